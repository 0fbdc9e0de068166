/* SPDX-License-Identifier: BSD-3-Clause */
/* The bits of capability and warning fields, in words: what the command-line tool prints under a number. */
#include "base/compiler.h"
#include <nvio/spec/identify.h>
#include <nvio/spec/log.h>
#include <nvio/spec/words.h>

/* A row names the bit by the mask that the headers have, so that the two cannot drift apart. */
struct bit {
	uint32_t mask;
	const char *text;
};

static const struct bit critical_warning[] = {
	{ NVIO_SMART_SPARE, "available spare below threshold" },
	{ NVIO_SMART_TEMPERATURE, "temperature beyond a threshold" },
	{ NVIO_SMART_RELIABILITY, "reliability degraded" },
	{ NVIO_SMART_READ_ONLY, "media read-only" },
	{ NVIO_SMART_BACKUP, "volatile memory backup failed" },
	{ NVIO_SMART_PMR, "persistent memory region read-only or unreliable" },
};

static const struct bit oacs[] = {
	{ NVIO_OACS_SECURITY, "Security Send and Receive" },
	{ NVIO_OACS_FORMAT, "Format NVM" },
	{ NVIO_OACS_FIRMWARE, "Firmware Commit and Download" },
	{ NVIO_OACS_NS_MANAGEMENT, "Namespace Management and Attachment" },
	{ NVIO_OACS_SELF_TEST, "Device Self-test" },
	{ NVIO_OACS_DIRECTIVES, "Directives" },
	{ NVIO_OACS_MI, "NVMe-MI Send and Receive" },
	{ NVIO_OACS_VIRT_MANAGEMENT, "Virtualization Management" },
	{ NVIO_OACS_DOORBELL_BUFFER, "Doorbell Buffer Config" },
	{ NVIO_OACS_LBA_STATUS, "Get LBA Status" },
	{ NVIO_OACS_LOCKDOWN, "Command and Feature Lockdown" },
};

static const struct bit oncs[] = {
	{ NVIO_ONCS_COMPARE, "Compare" },
	{ NVIO_ONCS_WRITE_UNCORRECTABLE, "Write Uncorrectable" },
	{ NVIO_ONCS_DSM, "Dataset Management" },
	{ NVIO_ONCS_WRITE_ZEROES, "Write Zeroes" },
	{ NVIO_ONCS_SAVE, "Save and Select of features" },
	{ NVIO_ONCS_RESERVATIONS, "Reservations" },
	{ NVIO_ONCS_TIMESTAMP, "Timestamp" },
	{ NVIO_ONCS_VERIFY, "Verify" },
	{ NVIO_ONCS_COPY, "Copy" },
};

static const struct bit oaes[] = {
	{ NVIO_OAES_NS_ATTRIBUTES, "Namespace Attribute Notices" },
	{ NVIO_OAES_FIRMWARE, "Firmware Activation Notices" },
	{ NVIO_OAES_TELEMETRY, "Telemetry Log Notices" },
	{ NVIO_OAES_ANA, "Asymmetric Namespace Access Change Notices" },
	{ NVIO_OAES_PREDICTABLE, "Predictable Latency Event Aggregate Log Change Notices" },
	{ NVIO_OAES_LBA_STATUS, "LBA Status Information Alert Notices" },
	{ NVIO_OAES_ENDURANCE_GROUP, "Endurance Group Event Aggregate Log Page Change Notices" },
	{ NVIO_OAES_NORMAL_SHUTDOWN, "Normal NVM Subsystem Shutdown" },
	{ NVIO_OAES_DISCOVERY, "Discovery Log Page Change Notices" },
};

static const struct bit ctratt[] = {
	{ NVIO_CTRATT_HOSTID_128, "128-bit Host Identifier" },
	{ NVIO_CTRATT_NON_OP_PSP, "Non-Operational Power State Permissive Mode" },
	{ NVIO_CTRATT_NVM_SETS, "NVM Sets" },
	{ NVIO_CTRATT_READ_RECOVERY, "Read Recovery Levels" },
	{ NVIO_CTRATT_ENDURANCE_GROUPS, "Endurance Groups" },
	{ NVIO_CTRATT_PREDICTABLE, "Predictable Latency Mode" },
	{ NVIO_CTRATT_TBKAS, "Traffic Based Keep Alive" },
	{ NVIO_CTRATT_NS_GRANULARITY, "Namespace Granularity" },
	{ NVIO_CTRATT_SQ_ASSOCIATIONS, "SQ Associations" },
	{ NVIO_CTRATT_UUID_LIST, "UUID List" },
	{ NVIO_CTRATT_MDS, "Multi-Domain Subsystem" },
	{ NVIO_CTRATT_FIXED_CAPACITY, "Fixed Capacity Management" },
	{ NVIO_CTRATT_VARIABLE_CAPACITY, "Variable Capacity Management" },
	{ NVIO_CTRATT_DELETE_ENDURANCE_GROUP, "Delete Endurance Group" },
	{ NVIO_CTRATT_DELETE_NVM_SET, "Delete NVM Set" },
	{ NVIO_CTRATT_ELBAS, "Extended LBA Formats" },
};

static const struct bit lpa[] = {
	{ NVIO_LPA_SMART_PER_NS, "SMART / Health Information for each namespace" },
	{ NVIO_LPA_COMMAND_EFFECTS, "Commands Supported and Effects" },
	{ NVIO_LPA_EXTENDED, "extended data: 32-bit lengths, and offsets" },
	{ NVIO_LPA_TELEMETRY, "Telemetry" },
	{ NVIO_LPA_PERSISTENT_EVENT, "Persistent Event Log" },
	{ NVIO_LPA_SUPPORTED_PAGES, "Supported Log Pages and effects of features and NVMe-MI commands" },
	{ NVIO_LPA_TELEMETRY_AREA4, "Telemetry Data Area 4" },
};

static const struct bit cmic[] = {
	{ NVIO_CMIC_MULTI_PORT, "several ports" },
	{ NVIO_CMIC_MULTI_CTRLR, "several controllers" },
	{ NVIO_CMIC_SRIOV, "SR-IOV virtual function" },
	{ NVIO_CMIC_ANA, "Asymmetric Namespace Access Reporting" },
};

static const struct bit fna[] = {
	{ NVIO_FNA_FORMAT_ALL, "a format is of all namespaces" },
	{ NVIO_FNA_ERASE_ALL, "a secure erase is of all namespaces" },
	{ NVIO_FNA_CRYPTO, "cryptographic erase" },
	{ NVIO_FNA_NO_BROADCAST, "no format with NSID FFFFFFFFh" },
};

static const struct bit nsfeat[] = {
	{ NVIO_NSFEAT_THIN, "thin provisioning" },
	{ NVIO_NSFEAT_ATOMIC, "atomic write units of its own" },
	{ NVIO_NSFEAT_DAE, "Deallocated or Unwritten Logical Block error" },
	{ NVIO_NSFEAT_UIDREUSE, "identifiers are never reused" },
	{ NVIO_NSFEAT_OPTPERF, "hints for optimal I/O" },
};

static const struct bit effects[] = {
	{ NVIO_EFFECTS_CSUPP, "supported" },
	{ NVIO_EFFECTS_LBCC, "changes logical blocks" },
	{ NVIO_EFFECTS_NCC, "changes namespace capabilities" },
	{ NVIO_EFFECTS_NIC, "changes the namespace inventory" },
	{ NVIO_EFFECTS_CCC, "changes controller capabilities" },
	{ NVIO_EFFECTS_USS, "UUID selection" },
};

static const struct {
	const struct bit *bits;
	unsigned count;
} fields[] = {
	[NVIO_BITS_CRITICAL_WARNING] = { critical_warning, ARRAY_SIZE(critical_warning) },
	[NVIO_BITS_OACS]             = { oacs, ARRAY_SIZE(oacs) },
	[NVIO_BITS_ONCS]             = { oncs, ARRAY_SIZE(oncs) },
	[NVIO_BITS_OAES]             = { oaes, ARRAY_SIZE(oaes) },
	[NVIO_BITS_CTRATT]           = { ctratt, ARRAY_SIZE(ctratt) },
	[NVIO_BITS_LPA]              = { lpa, ARRAY_SIZE(lpa) },
	[NVIO_BITS_CMIC]             = { cmic, ARRAY_SIZE(cmic) },
	[NVIO_BITS_FNA]              = { fna, ARRAY_SIZE(fna) },
	[NVIO_BITS_NSFEAT]           = { nsfeat, ARRAY_SIZE(nsfeat) },
	[NVIO_BITS_EFFECTS]          = { effects, ARRAY_SIZE(effects) },
};

const char *nvio_bit_str(enum nvio_bits field, unsigned bit)
{
	if ((unsigned)field >= ARRAY_SIZE(fields) || bit > 31)
		return "reserved";
	for (unsigned i = 0; i < fields[field].count; i++) {
		if (fields[field].bits[i].mask == 1u << bit)
			return fields[field].bits[i].text;
	}
	return "reserved";
}
