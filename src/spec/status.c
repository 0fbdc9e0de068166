/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One row for each status code of NVMe: its words and the errno it becomes. The table is the documentation
 * that spec/words.h summarises; tests/unit/spec/words.c holds every row.
 */
#include "base/compiler.h"
#include <nvio/libc.h>
#include <nvio/spec/status.h>
#include <nvio/spec/words.h>

struct row {
	const char *text;  /* NULL: the code means nothing */
	int err;           /* positive */
};

static const struct row generic[] = {
	[NVIO_SC_SUCCESS] = { "Successful Completion", 0 },
	[NVIO_SC_INVALID_OPCODE] = { "Invalid Command Opcode", EOPNOTSUPP },
	[NVIO_SC_INVALID_FIELD] = { "Invalid Field in Command", EINVAL },
	[NVIO_SC_CID_CONFLICT] = { "Command ID Conflict", EINVAL },
	[NVIO_SC_DATA_TRANSFER_ERROR] = { "Data Transfer Error", EIO },
	[NVIO_SC_ABORTED_POWER_LOSS] = { "Commands Aborted due to Power Loss Notification", ECANCELED },
	[NVIO_SC_INTERNAL_ERROR] = { "Internal Error", EIO },
	[NVIO_SC_ABORT_REQUESTED] = { "Command Abort Requested", ECANCELED },
	[NVIO_SC_ABORTED_SQ_DELETION] = { "Command Aborted due to SQ Deletion", ECANCELED },
	[NVIO_SC_ABORTED_FAILED_FUSED] = { "Command Aborted due to Failed Fused Command", ECANCELED },
	[NVIO_SC_ABORTED_MISSING_FUSED] = { "Command Aborted due to Missing Fused Command", ECANCELED },
	[NVIO_SC_INVALID_NS_OR_FORMAT] = { "Invalid Namespace or Format", ENODEV },
	[NVIO_SC_COMMAND_SEQUENCE_ERROR] = { "Command Sequence Error", EINVAL },
	[NVIO_SC_INVALID_SGL_SEGMENT] = { "Invalid SGL Segment Descriptor", EINVAL },
	[NVIO_SC_INVALID_SGL_COUNT] = { "Invalid Number of SGL Descriptors", EINVAL },
	[NVIO_SC_INVALID_DATA_SGL_LENGTH] = { "Data SGL Length Invalid", EINVAL },
	[NVIO_SC_INVALID_METADATA_SGL_LENGTH] = { "Metadata SGL Length Invalid", EINVAL },
	[NVIO_SC_INVALID_SGL_TYPE] = { "SGL Descriptor Type Invalid", EINVAL },
	[NVIO_SC_INVALID_CMB_USE] = { "Invalid Use of Controller Memory Buffer", EINVAL },
	[NVIO_SC_INVALID_PRP_OFFSET] = { "PRP Offset Invalid", EINVAL },
	[NVIO_SC_ATOMIC_WRITE_UNIT_EXCEEDED] = { "Atomic Write Unit Exceeded", EINVAL },
	[NVIO_SC_OPERATION_DENIED] = { "Operation Denied", EACCES },
	[NVIO_SC_INVALID_SGL_OFFSET] = { "SGL Offset Invalid", EINVAL },
	[NVIO_SC_HOSTID_INCONSISTENT_FORMAT] = { "Host Identifier Inconsistent Format", EINVAL },
	[NVIO_SC_KEEP_ALIVE_EXPIRED] = { "Keep Alive Timer Expired", ECONNRESET },
	[NVIO_SC_INVALID_KEEP_ALIVE_TIMEOUT] = { "Keep Alive Timeout Invalid", EINVAL },
	[NVIO_SC_ABORTED_PREEMPT] = { "Command Aborted due to Preempt and Abort", ECANCELED },
	[NVIO_SC_SANITIZE_FAILED] = { "Sanitize Failed", EIO },
	[NVIO_SC_SANITIZE_IN_PROGRESS] = { "Sanitize In Progress", EBUSY },
	[NVIO_SC_INVALID_SGL_GRANULARITY] = { "SGL Data Block Granularity Invalid", EINVAL },
	[NVIO_SC_NOT_SUPPORTED_IN_CMB_QUEUE] = { "Command Not Supported for Queue in CMB", EOPNOTSUPP },
	[NVIO_SC_NS_WRITE_PROTECTED] = { "Namespace is Write Protected", EROFS },
	[NVIO_SC_INTERRUPTED] = { "Command Interrupted", EAGAIN },
	[NVIO_SC_TRANSIENT_TRANSPORT_ERROR] = { "Transient Transport Error", EAGAIN },
	[NVIO_SC_LOCKED_DOWN] = { "Command Prohibited by Command and Feature Lockdown", EACCES },
	[NVIO_SC_ADMIN_MEDIA_NOT_READY] = { "Admin Command Media Not Ready", EAGAIN },
	[NVIO_SC_LBA_OUT_OF_RANGE] = { "LBA Out of Range", ERANGE },
	[NVIO_SC_CAPACITY_EXCEEDED] = { "Capacity Exceeded", ENOSPC },
	[NVIO_SC_NS_NOT_READY] = { "Namespace Not Ready", EAGAIN },
	[NVIO_SC_RESERVATION_CONFLICT] = { "Reservation Conflict", EBUSY },
	[NVIO_SC_FORMAT_IN_PROGRESS] = { "Format In Progress", EBUSY },
};

static const struct row command[] = {
	[NVIO_SC_INVALID_CQ] = { "Completion Queue Invalid", EINVAL },
	[NVIO_SC_INVALID_QID] = { "Invalid Queue Identifier", EINVAL },
	[NVIO_SC_INVALID_QUEUE_SIZE] = { "Invalid Queue Size", EINVAL },
	[NVIO_SC_ABORT_LIMIT_EXCEEDED] = { "Abort Command Limit Exceeded", EBUSY },
	[NVIO_SC_AER_LIMIT_EXCEEDED] = { "Asynchronous Event Request Limit Exceeded", EBUSY },
	[NVIO_SC_INVALID_FIRMWARE_SLOT] = { "Invalid Firmware Slot", EINVAL },
	[NVIO_SC_INVALID_FIRMWARE_IMAGE] = { "Invalid Firmware Image", EINVAL },
	[NVIO_SC_INVALID_INTERRUPT_VECTOR] = { "Invalid Interrupt Vector", EINVAL },
	[NVIO_SC_INVALID_LOG_PAGE] = { "Invalid Log Page", EOPNOTSUPP },
	[NVIO_SC_INVALID_FORMAT] = { "Invalid Format", EINVAL },
	[NVIO_SC_FIRMWARE_NEEDS_CONV_RESET] = { "Firmware Activation Requires Conventional Reset", EAGAIN },
	[NVIO_SC_INVALID_QUEUE_DELETION] = { "Invalid Queue Deletion", EINVAL },
	[NVIO_SC_FEATURE_NOT_SAVEABLE] = { "Feature Identifier Not Saveable", EOPNOTSUPP },
	[NVIO_SC_FEATURE_NOT_CHANGEABLE] = { "Feature Not Changeable", EACCES },
	[NVIO_SC_FEATURE_NOT_NS_SPECIFIC] = { "Feature Not Namespace Specific", EINVAL },
	[NVIO_SC_FIRMWARE_NEEDS_SUBSYS_RESET] = { "Firmware Activation Requires NVM Subsystem Reset",
	                                          EAGAIN },
	[NVIO_SC_FIRMWARE_NEEDS_CTRLR_RESET] = { "Firmware Activation Requires Controller Level Reset",
	                                         EAGAIN },
	[NVIO_SC_FIRMWARE_NEEDS_MAX_TIME] = { "Firmware Activation Requires Maximum Time Violation", EAGAIN },
	[NVIO_SC_FIRMWARE_PROHIBITED] = { "Firmware Activation Prohibited", EACCES },
	[NVIO_SC_OVERLAPPING_RANGE] = { "Overlapping Range", EINVAL },
	[NVIO_SC_NS_INSUFFICIENT_CAPACITY] = { "Namespace Insufficient Capacity", ENOSPC },
	[NVIO_SC_NSID_UNAVAILABLE] = { "Namespace Identifier Unavailable", ENOSPC },
	[NVIO_SC_NS_ALREADY_ATTACHED] = { "Namespace Already Attached", EEXIST },
	[NVIO_SC_NS_IS_PRIVATE] = { "Namespace Is Private", EACCES },
	[NVIO_SC_NS_NOT_ATTACHED] = { "Namespace Not Attached", ENOENT },
	[NVIO_SC_THIN_PROVISIONING_UNSUPPORTED] = { "Thin Provisioning Not Supported", EOPNOTSUPP },
	[NVIO_SC_INVALID_CTRLR_LIST] = { "Controller List Invalid", EINVAL },
	[NVIO_SC_SELF_TEST_IN_PROGRESS] = { "Device Self-test In Progress", EBUSY },
	[NVIO_SC_BOOT_PARTITION_PROTECTED] = { "Boot Partition Write Prohibited", EROFS },
	[NVIO_SC_INVALID_CTRLR_ID] = { "Invalid Controller Identifier", EINVAL },
	[NVIO_SC_INVALID_SECONDARY_STATE] = { "Invalid Secondary Controller State", EINVAL },
	[NVIO_SC_INVALID_RESOURCE_COUNT] = { "Invalid Number of Controller Resources", EINVAL },
	[NVIO_SC_INVALID_RESOURCE_ID] = { "Invalid Resource Identifier", EINVAL },
	[NVIO_SC_SANITIZE_PROHIBITED_PMR] = { "Sanitize Prohibited While Persistent Memory Region is Enabled",
	                                      EBUSY },
	[NVIO_SC_INVALID_ANA_GROUP] = { "ANA Group Identifier Invalid", EINVAL },
	[NVIO_SC_ANA_ATTACH_FAILED] = { "ANA Attach Failed", EIO },
	[NVIO_SC_INSUFFICIENT_CAPACITY] = { "Insufficient Capacity", ENOSPC },
	[NVIO_SC_NS_ATTACH_LIMIT_EXCEEDED] = { "Namespace Attachment Limit Exceeded", ENOSPC },
	[NVIO_SC_LOCKDOWN_UNSUPPORTED] = { "Prohibition of Command Execution Not Supported", EOPNOTSUPP },
	[NVIO_SC_IOCS_NOT_SUPPORTED] = { "I/O Command Set Not Supported", EOPNOTSUPP },
	[NVIO_SC_IOCS_NOT_ENABLED] = { "I/O Command Set Not Enabled", EOPNOTSUPP },
	[NVIO_SC_IOCS_COMBINATION_REJECTED] = { "I/O Command Set Combination Rejected", EINVAL },
	[NVIO_SC_INVALID_IOCS] = { "Invalid I/O Command Set", EINVAL },
	[NVIO_SC_ID_UNAVAILABLE] = { "Identifier Unavailable", ENOSPC },
	[NVIO_SC_CONFLICTING_ATTRIBUTES] = { "Conflicting Attributes", EINVAL },
	[NVIO_SC_INVALID_PROTECTION_INFO] = { "Invalid Protection Information", EINVAL },
	[NVIO_SC_READ_ONLY_RANGE] = { "Attempted Write to Read Only Range", EROFS },
	[NVIO_SC_COMMAND_SIZE_EXCEEDED] = { "Command Size Limit Exceeded", EINVAL },
};

static const struct row media[] = {
	[NVIO_SC_WRITE_FAULT] = { "Write Fault", EIO },
	[NVIO_SC_UNRECOVERED_READ] = { "Unrecovered Read Error", EIO },
	[NVIO_SC_GUARD_CHECK] = { "End-to-end Guard Check Error", EILSEQ },
	[NVIO_SC_APP_TAG_CHECK] = { "End-to-end Application Tag Check Error", EILSEQ },
	[NVIO_SC_REF_TAG_CHECK] = { "End-to-end Reference Tag Check Error", EILSEQ },
	[NVIO_SC_COMPARE_FAILURE] = { "Compare Failure", EILSEQ },
	[NVIO_SC_ACCESS_DENIED] = { "Access Denied", EACCES },
	[NVIO_SC_UNWRITTEN_BLOCK] = { "Deallocated or Unwritten Logical Block", EIO },
	[NVIO_SC_STORAGE_TAG_CHECK] = { "End-to-end Storage Tag Check Error", EILSEQ },
};

static const struct row path[] = {
	[NVIO_SC_INTERNAL_PATH_ERROR] = { "Internal Path Error", EIO },
	[NVIO_SC_ANA_PERSISTENT_LOSS] = { "Asymmetric Access Persistent Loss", ENODEV },
	[NVIO_SC_ANA_INACCESSIBLE] = { "Asymmetric Access Inaccessible", EAGAIN },
	[NVIO_SC_ANA_TRANSITION] = { "Asymmetric Access Transition", EAGAIN },
	[NVIO_SC_CTRLR_PATH_ERROR] = { "Controller Pathing Error", EIO },
	[NVIO_SC_HOST_PATH_ERROR] = { "Host Pathing Error", EIO },
	[NVIO_SC_ABORTED_BY_HOST] = { "Command Aborted By Host", ECANCELED },
};

static const struct {
	const struct row *rows;
	unsigned count;
	const char *text;
} types[8] = {
	[NVIO_SCT_GENERIC] = { generic, ARRAY_SIZE(generic), "generic" },
	[NVIO_SCT_COMMAND] = { command, ARRAY_SIZE(command), "command specific" },
	[NVIO_SCT_MEDIA]   = { media, ARRAY_SIZE(media), "media error" },
	[NVIO_SCT_PATH]    = { path, ARRAY_SIZE(path), "path error" },
	[NVIO_SCT_VENDOR]  = { NULL, 0, "vendor specific" },
};

/* NULL: the code means nothing. */
static const struct row *find(uint16_t sf)
{
	unsigned sct = nvio_sf_sct(sf), sc = nvio_sf_sc(sf);

	if (sc >= types[sct].count || !types[sct].rows[sc].text)
		return NULL;
	return &types[sct].rows[sc];
}

const char *nvio_status_str(uint16_t sf)
{
	const struct row *row = find(sf);
	unsigned sct = nvio_sf_sct(sf);

	if (row)
		return row->text;
	if (sct == NVIO_SCT_VENDOR || (sct <= NVIO_SCT_PATH && nvio_sf_sc(sf) >= NVIO_SC_VENDOR_FIRST))
		return "vendor specific";
	return "reserved";
}

const char *nvio_sct_str(uint16_t sf)
{
	const char *text = types[nvio_sf_sct(sf)].text;

	return text ? text : "reserved";
}

int nvio_status_to_errno(uint16_t sf)
{
	const struct row *row = find(sf);

	return row ? -row->err : -EIO;
}
