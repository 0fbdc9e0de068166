/* SPDX-License-Identifier: BSD-3-Clause */
/* Opcodes, features, log pages, events and bits in the specification's own words. */
#include "base/compiler.h"
#include <nvio/spec/admin.h>
#include <nvio/spec/identify.h>
#include <nvio/spec/nvm.h>
#include <nvio/spec/regs.h>
#include <nvio/spec/words.h>

static const char reserved[] = "reserved";
static const char vendor[] = "vendor specific";

static const char *const admin_opcodes[] = {
	[NVIO_ADMIN_DELETE_SQ]           = "Delete I/O Submission Queue",
	[NVIO_ADMIN_CREATE_SQ]           = "Create I/O Submission Queue",
	[NVIO_ADMIN_GET_LOG_PAGE]        = "Get Log Page",
	[NVIO_ADMIN_DELETE_CQ]           = "Delete I/O Completion Queue",
	[NVIO_ADMIN_CREATE_CQ]           = "Create I/O Completion Queue",
	[NVIO_ADMIN_IDENTIFY]            = "Identify",
	[NVIO_ADMIN_ABORT]               = "Abort",
	[NVIO_ADMIN_SET_FEATURES]        = "Set Features",
	[NVIO_ADMIN_GET_FEATURES]        = "Get Features",
	[NVIO_ADMIN_ASYNC_EVENT]         = "Asynchronous Event Request",
	[NVIO_ADMIN_NS_MANAGEMENT]       = "Namespace Management",
	[NVIO_ADMIN_FIRMWARE_COMMIT]     = "Firmware Commit",
	[NVIO_ADMIN_FIRMWARE_DOWNLOAD]   = "Firmware Image Download",
	[NVIO_ADMIN_SELF_TEST]           = "Device Self-test",
	[NVIO_ADMIN_NS_ATTACHMENT]       = "Namespace Attachment",
	[NVIO_ADMIN_KEEP_ALIVE]          = "Keep Alive",
	[NVIO_ADMIN_DIRECTIVE_SEND]      = "Directive Send",
	[NVIO_ADMIN_DIRECTIVE_RECEIVE]   = "Directive Receive",
	[NVIO_ADMIN_VIRT_MANAGEMENT]     = "Virtualization Management",
	[NVIO_ADMIN_MI_SEND]             = "NVMe-MI Send",
	[NVIO_ADMIN_MI_RECEIVE]          = "NVMe-MI Receive",
	[NVIO_ADMIN_CAPACITY_MANAGEMENT] = "Capacity Management",
	[NVIO_ADMIN_LOCKDOWN]            = "Lockdown",
	[NVIO_ADMIN_DOORBELL_BUFFER]     = "Doorbell Buffer Config",
	[NVIO_ADMIN_FABRICS]             = "Fabrics Commands",
	[NVIO_ADMIN_FORMAT_NVM]          = "Format NVM",
	[NVIO_ADMIN_SECURITY_SEND]       = "Security Send",
	[NVIO_ADMIN_SECURITY_RECEIVE]    = "Security Receive",
	[NVIO_ADMIN_SANITIZE]            = "Sanitize",
	[NVIO_ADMIN_GET_LBA_STATUS]      = "Get LBA Status",
};

static const char *const nvm_opcodes[] = {
	[NVIO_NVM_FLUSH]                = "Flush",
	[NVIO_NVM_WRITE]                = "Write",
	[NVIO_NVM_READ]                 = "Read",
	[NVIO_NVM_WRITE_UNCORRECTABLE]  = "Write Uncorrectable",
	[NVIO_NVM_COMPARE]              = "Compare",
	[NVIO_NVM_WRITE_ZEROES]         = "Write Zeroes",
	[NVIO_NVM_DSM]                  = "Dataset Management",
	[NVIO_NVM_VERIFY]               = "Verify",
	[NVIO_NVM_RESERVATION_REGISTER] = "Reservation Register",
	[NVIO_NVM_RESERVATION_REPORT]   = "Reservation Report",
	[NVIO_NVM_RESERVATION_ACQUIRE]  = "Reservation Acquire",
	[NVIO_NVM_RESERVATION_RELEASE]  = "Reservation Release",
	[NVIO_NVM_COPY]                 = "Copy",
};

static const char *const features[] = {
	[NVIO_FID_ARBITRATION]             = "Arbitration",
	[NVIO_FID_POWER_MANAGEMENT]        = "Power Management",
	[NVIO_FID_LBA_RANGE_TYPE]          = "LBA Range Type",
	[NVIO_FID_TEMPERATURE_THRESHOLD]   = "Temperature Threshold",
	[NVIO_FID_ERROR_RECOVERY]          = "Error Recovery",
	[NVIO_FID_VOLATILE_WRITE_CACHE]    = "Volatile Write Cache",
	[NVIO_FID_NUM_QUEUES]              = "Number of Queues",
	[NVIO_FID_IRQ_COALESCING]          = "Interrupt Coalescing",
	[NVIO_FID_IRQ_VECTOR_CONFIG]       = "Interrupt Vector Configuration",
	[NVIO_FID_WRITE_ATOMICITY]         = "Write Atomicity Normal",
	[NVIO_FID_ASYNC_EVENT_CONFIG]      = "Asynchronous Event Configuration",
	[NVIO_FID_AUTO_POWER_STATE]        = "Autonomous Power State Transition",
	[NVIO_FID_HOST_MEMORY_BUFFER]      = "Host Memory Buffer",
	[NVIO_FID_TIMESTAMP]               = "Timestamp",
	[NVIO_FID_KEEP_ALIVE]              = "Keep Alive Timer",
	[NVIO_FID_HOST_THERMAL]            = "Host Controlled Thermal Management",
	[NVIO_FID_NON_OP_POWER_STATE]      = "Non-Operational Power State Config",
	[NVIO_FID_READ_RECOVERY_LEVEL]     = "Read Recovery Level Config",
	[NVIO_FID_PLM_CONFIG]              = "Predictable Latency Mode Config",
	[NVIO_FID_PLM_WINDOW]              = "Predictable Latency Mode Window",
	[NVIO_FID_LBA_STATUS_INTERVAL]     = "LBA Status Information Report Interval",
	[NVIO_FID_HOST_BEHAVIOR]           = "Host Behavior Support",
	[NVIO_FID_SANITIZE_CONFIG]         = "Sanitize Config",
	[NVIO_FID_ENDURANCE_EVENTS]        = "Endurance Group Event Configuration",
	[NVIO_FID_IOCS_PROFILE]            = "I/O Command Set Profile",
	[NVIO_FID_SPINUP_CONTROL]          = "Spinup Control",
	[NVIO_FID_ENHANCED_CTRLR_METADATA] = "Enhanced Controller Metadata",
	[NVIO_FID_CTRLR_METADATA]          = "Controller Metadata",
	[NVIO_FID_NS_METADATA]             = "Namespace Metadata",
	[NVIO_FID_SOFTWARE_PROGRESS]       = "Software Progress Marker",
	[NVIO_FID_HOST_ID]                 = "Host Identifier",
	[NVIO_FID_RESERVATION_MASK]        = "Reservation Notification Mask",
	[NVIO_FID_RESERVATION_PERSISTENCE] = "Reservation Persistence",
	[NVIO_FID_NS_WRITE_PROTECTION]     = "Namespace Write Protection Config",
};

static const char *const logs[] = {
	[NVIO_LID_SUPPORTED]           = "Supported Log Pages",
	[NVIO_LID_ERROR]               = "Error Information",
	[NVIO_LID_SMART]               = "SMART / Health Information",
	[NVIO_LID_FIRMWARE_SLOT]       = "Firmware Slot Information",
	[NVIO_LID_CHANGED_NS]          = "Changed Namespace List",
	[NVIO_LID_COMMAND_EFFECTS]     = "Commands Supported and Effects",
	[NVIO_LID_SELF_TEST]           = "Device Self-test",
	[NVIO_LID_TELEMETRY_HOST]      = "Telemetry Host-Initiated",
	[NVIO_LID_TELEMETRY_CTRLR]     = "Telemetry Controller-Initiated",
	[NVIO_LID_ENDURANCE_GROUP]     = "Endurance Group Information",
	[NVIO_LID_PREDICTABLE_NVM_SET] = "Predictable Latency Per NVM Set",
	[NVIO_LID_PREDICTABLE_EVENTS]  = "Predictable Latency Event Aggregate",
	[NVIO_LID_ANA]                 = "Asymmetric Namespace Access",
	[NVIO_LID_PERSISTENT_EVENT]    = "Persistent Event Log",
	[NVIO_LID_LBA_STATUS]          = "LBA Status Information",
	[NVIO_LID_ENDURANCE_EVENTS]    = "Endurance Group Event Aggregate",
	[NVIO_LID_MEDIA_UNIT_STATUS]   = "Media Unit Status",
	[NVIO_LID_CAPACITY_CONFIGS]    = "Supported Capacity Configuration List",
	[NVIO_LID_FEATURE_EFFECTS]     = "Feature Identifiers Supported and Effects",
	[NVIO_LID_MI_EFFECTS]          = "NVMe-MI Commands Supported and Effects",
	[NVIO_LID_LOCKDOWN]            = "Command and Feature Lockdown",
	[NVIO_LID_BOOT_PARTITION]      = "Boot Partition",
	[NVIO_LID_ROTATIONAL_MEDIA]    = "Rotational Media Information",
	[NVIO_LID_DISCOVERY]           = "Discovery",
	[NVIO_LID_RESERVATION]         = "Reservation Notification",
	[NVIO_LID_SANITIZE]            = "Sanitize Status",
};

static const char *const cns_values[] = {
	[NVIO_CNS_NS]                    = "Namespace",
	[NVIO_CNS_CTRLR]                 = "Controller",
	[NVIO_CNS_ACTIVE_NS_LIST]        = "Active Namespace ID list",
	[NVIO_CNS_NS_ID_DESC_LIST]       = "Namespace Identification Descriptor list",
	[NVIO_CNS_NVM_SET_LIST]          = "NVM Set List",
	[NVIO_CNS_CSI_NS]                = "I/O Command Set specific Namespace",
	[NVIO_CNS_CSI_CTRLR]             = "I/O Command Set specific Controller",
	[NVIO_CNS_CSI_ACTIVE_NS_LIST]    = "I/O Command Set specific Active Namespace ID list",
	[NVIO_CNS_INDEPENDENT_NS]        = "I/O Command Set Independent Namespace",
	[NVIO_CNS_ALLOCATED_NS_LIST]     = "Allocated Namespace ID list",
	[NVIO_CNS_ALLOCATED_NS]          = "Allocated Namespace",
	[NVIO_CNS_NS_CTRLR_LIST]         = "Namespace Attached Controller list",
	[NVIO_CNS_CTRLR_LIST]            = "Controller list",
	[NVIO_CNS_PRIMARY_CAPS]          = "Primary Controller Capabilities",
	[NVIO_CNS_SECONDARY_LIST]        = "Secondary Controller list",
	[NVIO_CNS_NS_GRANULARITY_LIST]   = "Namespace Granularity List",
	[NVIO_CNS_UUID_LIST]             = "UUID List",
	[NVIO_CNS_DOMAIN_LIST]           = "Domain List",
	[NVIO_CNS_ENDURANCE_GROUP_LIST]  = "Endurance Group List",
	[NVIO_CNS_CSI_ALLOCATED_NS_LIST] = "I/O Command Set specific Allocated Namespace ID list",
	[NVIO_CNS_CSI_ALLOCATED_NS]      = "I/O Command Set specific Allocated Namespace",
	[NVIO_CNS_IOCS]                  = "I/O Command Set",
};

static const char *const aer_errors[] = {
	[NVIO_AER_ERROR_INVALID_DOORBELL] = "Write to Invalid Doorbell Register",
	[NVIO_AER_ERROR_INVALID_VALUE]    = "Invalid Doorbell Write Value",
	[NVIO_AER_ERROR_DIAGNOSTIC]       = "Diagnostic Failure",
	[NVIO_AER_ERROR_PERSISTENT]       = "Persistent Internal Error",
	[NVIO_AER_ERROR_TRANSIENT]        = "Transient Internal Error",
	[NVIO_AER_ERROR_FIRMWARE_LOAD]    = "Firmware Image Load Error",
};

static const char *const aer_smart[] = {
	[NVIO_AER_SMART_RELIABILITY] = "NVM Subsystem Reliability",
	[NVIO_AER_SMART_TEMPERATURE] = "Temperature Threshold",
	[NVIO_AER_SMART_SPARE]       = "Spare Below Threshold",
};

static const char *const aer_notices[] = {
	[NVIO_AER_NOTICE_NS_CHANGED]      = "Namespace Attribute Changed",
	[NVIO_AER_NOTICE_FIRMWARE]        = "Firmware Activation Starting",
	[NVIO_AER_NOTICE_TELEMETRY]       = "Telemetry Log Changed",
	[NVIO_AER_NOTICE_ANA]             = "Asymmetric Namespace Access Change",
	[NVIO_AER_NOTICE_PREDICTABLE]     = "Predictable Latency Event Aggregate Log Change",
	[NVIO_AER_NOTICE_LBA_STATUS]      = "LBA Status Information Alert",
	[NVIO_AER_NOTICE_ENDURANCE_GROUP] = "Endurance Group Event Aggregate Log Page Change",
	[NVIO_AER_NOTICE_DISCOVERY]       = "Discovery Log Page Change",
};

static const char *const aer_iocs[] = {
	[NVIO_AER_IOCS_RESERVATION]         = "Reservation Log Page Available",
	[NVIO_AER_IOCS_SANITIZE_DONE]       = "Sanitize Operation Completed",
	[NVIO_AER_IOCS_SANITIZE_DEALLOCATE] = "Sanitize Operation Completed With Unexpected Deallocation",
};

static const char *const shst_values[] = {
	[NVIO_CSTS_SHST_NORMAL]    = "normal operation",
	[NVIO_CSTS_SHST_OCCURRING] = "shutdown occurring",
	[NVIO_CSTS_SHST_COMPLETE]  = "shutdown complete",
};

static const char *const ctrlr_types[] = {
	[NVIO_CTRLR_TYPE_NOT_REPORTED] = "not reported",
	[NVIO_CTRLR_TYPE_IO]           = "I/O",
	[NVIO_CTRLR_TYPE_DISCOVERY]    = "discovery",
	[NVIO_CTRLR_TYPE_ADMIN]        = "administrative",
};

static const char *const nidt_values[] = {
	[NVIO_NIDT_EUI64] = "EUI64",
	[NVIO_NIDT_NGUID] = "NGUID",
	[NVIO_NIDT_UUID]  = "UUID",
	[NVIO_NIDT_CSI]   = "CSI",
};

static const char *const csi_values[] = {
	[NVIO_CSI_NVM] = "NVM",
	[NVIO_CSI_KV]  = "Key Value",
	[NVIO_CSI_ZNS] = "Zoned Namespace",
};

/* The I/O command set profile's vendor range (NVMe Base 2.0 section 5.17.1): 30h to 3Fh. */
#define CSI_VENDOR_FIRST 0x30
#define CSI_VENDOR_LAST  0x3f

static const char *pick(const char *const *words, unsigned count, unsigned i)
{
	return i < count && words[i] ? words[i] : reserved;
}

#define PICK(words, i) pick(words, ARRAY_SIZE(words), i)

const char *nvio_admin_opcode_str(uint8_t opc)
{
	return opc >= NVIO_ADMIN_VENDOR_FIRST ? vendor : PICK(admin_opcodes, opc);
}

const char *nvio_nvm_opcode_str(uint8_t opc)
{
	return opc >= NVIO_NVM_VENDOR_FIRST ? vendor : PICK(nvm_opcodes, opc);
}

const char *nvio_feature_str(uint8_t fid)
{
	return fid >= NVIO_FID_VENDOR_FIRST ? vendor : PICK(features, fid);
}

const char *nvio_log_str(uint8_t lid)
{
	return lid >= NVIO_LID_VENDOR_FIRST ? vendor : PICK(logs, lid);
}

const char *nvio_cns_str(uint8_t cns)
{
	return PICK(cns_values, cns);
}

const char *nvio_aer_str(uint32_t dw0)
{
	switch (nvio_aer_type(dw0)) {
	case NVIO_AER_ERROR:
		return PICK(aer_errors, nvio_aer_info(dw0));
	case NVIO_AER_SMART:
		return PICK(aer_smart, nvio_aer_info(dw0));
	case NVIO_AER_NOTICE:
		return PICK(aer_notices, nvio_aer_info(dw0));
	case NVIO_AER_IOCS:
		return PICK(aer_iocs, nvio_aer_info(dw0));
	case NVIO_AER_VENDOR:
		return vendor;
	default:
		return reserved;
	}
}

const char *nvio_shst_str(uint32_t shst)
{
	return PICK(shst_values, shst);
}

const char *nvio_ctrlr_type_str(uint8_t cntrltype)
{
	return PICK(ctrlr_types, cntrltype);
}

const char *nvio_nidt_str(uint8_t nidt)
{
	return PICK(nidt_values, nidt);
}

const char *nvio_csi_str(uint8_t csi)
{
	if (csi >= CSI_VENDOR_FIRST && csi <= CSI_VENDOR_LAST)
		return vendor;
	return PICK(csi_values, csi);
}
