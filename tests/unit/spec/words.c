/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Words and errnos, from numbers written out here and not taken from the headers: a changed row, number or
 * text in the library fails, and so does a code that means something there and nothing here.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/compiler.h"
#include <nvio/spec/words.h>

static const struct {
	uint8_t sct;
	uint8_t sc;
	const char *text;
	int err;
} statuses[] = {
	{ 0, 0x00, "Successful Completion", 0 },
	{ 0, 0x01, "Invalid Command Opcode", -EOPNOTSUPP },
	{ 0, 0x02, "Invalid Field in Command", -EINVAL },
	{ 0, 0x03, "Command ID Conflict", -EINVAL },
	{ 0, 0x04, "Data Transfer Error", -EIO },
	{ 0, 0x05, "Commands Aborted due to Power Loss Notification", -ECANCELED },
	{ 0, 0x06, "Internal Error", -EIO },
	{ 0, 0x07, "Command Abort Requested", -ECANCELED },
	{ 0, 0x08, "Command Aborted due to SQ Deletion", -ECANCELED },
	{ 0, 0x09, "Command Aborted due to Failed Fused Command", -ECANCELED },
	{ 0, 0x0a, "Command Aborted due to Missing Fused Command", -ECANCELED },
	{ 0, 0x0b, "Invalid Namespace or Format", -ENODEV },
	{ 0, 0x0c, "Command Sequence Error", -EINVAL },
	{ 0, 0x0d, "Invalid SGL Segment Descriptor", -EINVAL },
	{ 0, 0x0e, "Invalid Number of SGL Descriptors", -EINVAL },
	{ 0, 0x0f, "Data SGL Length Invalid", -EINVAL },
	{ 0, 0x10, "Metadata SGL Length Invalid", -EINVAL },
	{ 0, 0x11, "SGL Descriptor Type Invalid", -EINVAL },
	{ 0, 0x12, "Invalid Use of Controller Memory Buffer", -EINVAL },
	{ 0, 0x13, "PRP Offset Invalid", -EINVAL },
	{ 0, 0x14, "Atomic Write Unit Exceeded", -EINVAL },
	{ 0, 0x15, "Operation Denied", -EACCES },
	{ 0, 0x16, "SGL Offset Invalid", -EINVAL },
	{ 0, 0x18, "Host Identifier Inconsistent Format", -EINVAL },
	{ 0, 0x19, "Keep Alive Timer Expired", -ECONNRESET },
	{ 0, 0x1a, "Keep Alive Timeout Invalid", -EINVAL },
	{ 0, 0x1b, "Command Aborted due to Preempt and Abort", -ECANCELED },
	{ 0, 0x1c, "Sanitize Failed", -EIO },
	{ 0, 0x1d, "Sanitize In Progress", -EBUSY },
	{ 0, 0x1e, "SGL Data Block Granularity Invalid", -EINVAL },
	{ 0, 0x1f, "Command Not Supported for Queue in CMB", -EOPNOTSUPP },
	{ 0, 0x20, "Namespace is Write Protected", -EROFS },
	{ 0, 0x21, "Command Interrupted", -EAGAIN },
	{ 0, 0x22, "Transient Transport Error", -EAGAIN },
	{ 0, 0x23, "Command Prohibited by Command and Feature Lockdown", -EACCES },
	{ 0, 0x24, "Admin Command Media Not Ready", -EAGAIN },
	{ 0, 0x80, "LBA Out of Range", -ERANGE },
	{ 0, 0x81, "Capacity Exceeded", -ENOSPC },
	{ 0, 0x82, "Namespace Not Ready", -EAGAIN },
	{ 0, 0x83, "Reservation Conflict", -EBUSY },
	{ 0, 0x84, "Format In Progress", -EBUSY },
	{ 1, 0x00, "Completion Queue Invalid", -EINVAL },
	{ 1, 0x01, "Invalid Queue Identifier", -EINVAL },
	{ 1, 0x02, "Invalid Queue Size", -EINVAL },
	{ 1, 0x03, "Abort Command Limit Exceeded", -EBUSY },
	{ 1, 0x05, "Asynchronous Event Request Limit Exceeded", -EBUSY },
	{ 1, 0x06, "Invalid Firmware Slot", -EINVAL },
	{ 1, 0x07, "Invalid Firmware Image", -EINVAL },
	{ 1, 0x08, "Invalid Interrupt Vector", -EINVAL },
	{ 1, 0x09, "Invalid Log Page", -EOPNOTSUPP },
	{ 1, 0x0a, "Invalid Format", -EINVAL },
	{ 1, 0x0b, "Firmware Activation Requires Conventional Reset", -EAGAIN },
	{ 1, 0x0c, "Invalid Queue Deletion", -EINVAL },
	{ 1, 0x0d, "Feature Identifier Not Saveable", -EOPNOTSUPP },
	{ 1, 0x0e, "Feature Not Changeable", -EACCES },
	{ 1, 0x0f, "Feature Not Namespace Specific", -EINVAL },
	{ 1, 0x10, "Firmware Activation Requires NVM Subsystem Reset", -EAGAIN },
	{ 1, 0x11, "Firmware Activation Requires Controller Level Reset", -EAGAIN },
	{ 1, 0x12, "Firmware Activation Requires Maximum Time Violation", -EAGAIN },
	{ 1, 0x13, "Firmware Activation Prohibited", -EACCES },
	{ 1, 0x14, "Overlapping Range", -EINVAL },
	{ 1, 0x15, "Namespace Insufficient Capacity", -ENOSPC },
	{ 1, 0x16, "Namespace Identifier Unavailable", -ENOSPC },
	{ 1, 0x18, "Namespace Already Attached", -EEXIST },
	{ 1, 0x19, "Namespace Is Private", -EACCES },
	{ 1, 0x1a, "Namespace Not Attached", -ENOENT },
	{ 1, 0x1b, "Thin Provisioning Not Supported", -EOPNOTSUPP },
	{ 1, 0x1c, "Controller List Invalid", -EINVAL },
	{ 1, 0x1d, "Device Self-test In Progress", -EBUSY },
	{ 1, 0x1e, "Boot Partition Write Prohibited", -EROFS },
	{ 1, 0x1f, "Invalid Controller Identifier", -EINVAL },
	{ 1, 0x20, "Invalid Secondary Controller State", -EINVAL },
	{ 1, 0x21, "Invalid Number of Controller Resources", -EINVAL },
	{ 1, 0x22, "Invalid Resource Identifier", -EINVAL },
	{ 1, 0x23, "Sanitize Prohibited While Persistent Memory Region is Enabled", -EBUSY },
	{ 1, 0x24, "ANA Group Identifier Invalid", -EINVAL },
	{ 1, 0x25, "ANA Attach Failed", -EIO },
	{ 1, 0x26, "Insufficient Capacity", -ENOSPC },
	{ 1, 0x27, "Namespace Attachment Limit Exceeded", -ENOSPC },
	{ 1, 0x28, "Prohibition of Command Execution Not Supported", -EOPNOTSUPP },
	{ 1, 0x29, "I/O Command Set Not Supported", -EOPNOTSUPP },
	{ 1, 0x2a, "I/O Command Set Not Enabled", -EOPNOTSUPP },
	{ 1, 0x2b, "I/O Command Set Combination Rejected", -EINVAL },
	{ 1, 0x2c, "Invalid I/O Command Set", -EINVAL },
	{ 1, 0x2d, "Identifier Unavailable", -ENOSPC },
	{ 1, 0x80, "Conflicting Attributes", -EINVAL },
	{ 1, 0x81, "Invalid Protection Information", -EINVAL },
	{ 1, 0x82, "Attempted Write to Read Only Range", -EROFS },
	{ 1, 0x83, "Command Size Limit Exceeded", -EINVAL },
	{ 2, 0x80, "Write Fault", -EIO },
	{ 2, 0x81, "Unrecovered Read Error", -EIO },
	{ 2, 0x82, "End-to-end Guard Check Error", -EILSEQ },
	{ 2, 0x83, "End-to-end Application Tag Check Error", -EILSEQ },
	{ 2, 0x84, "End-to-end Reference Tag Check Error", -EILSEQ },
	{ 2, 0x85, "Compare Failure", -EILSEQ },
	{ 2, 0x86, "Access Denied", -EACCES },
	{ 2, 0x87, "Deallocated or Unwritten Logical Block", -EIO },
	{ 2, 0x88, "End-to-end Storage Tag Check Error", -EILSEQ },
	{ 3, 0x00, "Internal Path Error", -EIO },
	{ 3, 0x01, "Asymmetric Access Persistent Loss", -ENODEV },
	{ 3, 0x02, "Asymmetric Access Inaccessible", -EAGAIN },
	{ 3, 0x03, "Asymmetric Access Transition", -EAGAIN },
	{ 3, 0x60, "Controller Pathing Error", -EIO },
	{ 3, 0x70, "Host Pathing Error", -EIO },
	{ 3, 0x71, "Command Aborted By Host", -ECANCELED },
};

static const char *const sct_words[8] = {
	"generic", "command specific", "media error", "path error", "reserved", "reserved", "reserved",
	"vendor specific",
};

struct word {
	uint8_t value;
	const char *text;
};

static const struct word admin_opcodes[] = {
	{ 0x00, "Delete I/O Submission Queue" },
	{ 0x01, "Create I/O Submission Queue" },
	{ 0x02, "Get Log Page" },
	{ 0x04, "Delete I/O Completion Queue" },
	{ 0x05, "Create I/O Completion Queue" },
	{ 0x06, "Identify" },
	{ 0x08, "Abort" },
	{ 0x09, "Set Features" },
	{ 0x0a, "Get Features" },
	{ 0x0c, "Asynchronous Event Request" },
	{ 0x0d, "Namespace Management" },
	{ 0x10, "Firmware Commit" },
	{ 0x11, "Firmware Image Download" },
	{ 0x14, "Device Self-test" },
	{ 0x15, "Namespace Attachment" },
	{ 0x18, "Keep Alive" },
	{ 0x19, "Directive Send" },
	{ 0x1a, "Directive Receive" },
	{ 0x1c, "Virtualization Management" },
	{ 0x1d, "NVMe-MI Send" },
	{ 0x1e, "NVMe-MI Receive" },
	{ 0x20, "Capacity Management" },
	{ 0x24, "Lockdown" },
	{ 0x7c, "Doorbell Buffer Config" },
	{ 0x7f, "Fabrics Commands" },
	{ 0x80, "Format NVM" },
	{ 0x81, "Security Send" },
	{ 0x82, "Security Receive" },
	{ 0x84, "Sanitize" },
	{ 0x86, "Get LBA Status" },
};

static const struct word nvm_opcodes[] = {
	{ 0x00, "Flush" },
	{ 0x01, "Write" },
	{ 0x02, "Read" },
	{ 0x04, "Write Uncorrectable" },
	{ 0x05, "Compare" },
	{ 0x08, "Write Zeroes" },
	{ 0x09, "Dataset Management" },
	{ 0x0c, "Verify" },
	{ 0x0d, "Reservation Register" },
	{ 0x0e, "Reservation Report" },
	{ 0x11, "Reservation Acquire" },
	{ 0x15, "Reservation Release" },
	{ 0x19, "Copy" },
};

static const struct word features[] = {
	{ 0x01, "Arbitration" },
	{ 0x02, "Power Management" },
	{ 0x03, "LBA Range Type" },
	{ 0x04, "Temperature Threshold" },
	{ 0x05, "Error Recovery" },
	{ 0x06, "Volatile Write Cache" },
	{ 0x07, "Number of Queues" },
	{ 0x08, "Interrupt Coalescing" },
	{ 0x09, "Interrupt Vector Configuration" },
	{ 0x0a, "Write Atomicity Normal" },
	{ 0x0b, "Asynchronous Event Configuration" },
	{ 0x0c, "Autonomous Power State Transition" },
	{ 0x0d, "Host Memory Buffer" },
	{ 0x0e, "Timestamp" },
	{ 0x0f, "Keep Alive Timer" },
	{ 0x10, "Host Controlled Thermal Management" },
	{ 0x11, "Non-Operational Power State Config" },
	{ 0x12, "Read Recovery Level Config" },
	{ 0x13, "Predictable Latency Mode Config" },
	{ 0x14, "Predictable Latency Mode Window" },
	{ 0x15, "LBA Status Information Report Interval" },
	{ 0x16, "Host Behavior Support" },
	{ 0x17, "Sanitize Config" },
	{ 0x18, "Endurance Group Event Configuration" },
	{ 0x19, "I/O Command Set Profile" },
	{ 0x1a, "Spinup Control" },
	{ 0x7d, "Enhanced Controller Metadata" },
	{ 0x7e, "Controller Metadata" },
	{ 0x7f, "Namespace Metadata" },
	{ 0x80, "Software Progress Marker" },
	{ 0x81, "Host Identifier" },
	{ 0x82, "Reservation Notification Mask" },
	{ 0x83, "Reservation Persistence" },
	{ 0x84, "Namespace Write Protection Config" },
};

static const struct word logs[] = {
	{ 0x00, "Supported Log Pages" },
	{ 0x01, "Error Information" },
	{ 0x02, "SMART / Health Information" },
	{ 0x03, "Firmware Slot Information" },
	{ 0x04, "Changed Namespace List" },
	{ 0x05, "Commands Supported and Effects" },
	{ 0x06, "Device Self-test" },
	{ 0x07, "Telemetry Host-Initiated" },
	{ 0x08, "Telemetry Controller-Initiated" },
	{ 0x09, "Endurance Group Information" },
	{ 0x0a, "Predictable Latency Per NVM Set" },
	{ 0x0b, "Predictable Latency Event Aggregate" },
	{ 0x0c, "Asymmetric Namespace Access" },
	{ 0x0d, "Persistent Event Log" },
	{ 0x0e, "LBA Status Information" },
	{ 0x0f, "Endurance Group Event Aggregate" },
	{ 0x10, "Media Unit Status" },
	{ 0x11, "Supported Capacity Configuration List" },
	{ 0x12, "Feature Identifiers Supported and Effects" },
	{ 0x13, "NVMe-MI Commands Supported and Effects" },
	{ 0x14, "Command and Feature Lockdown" },
	{ 0x15, "Boot Partition" },
	{ 0x16, "Rotational Media Information" },
	{ 0x70, "Discovery" },
	{ 0x80, "Reservation Notification" },
	{ 0x81, "Sanitize Status" },
};

static const struct word cns_values[] = {
	{ 0x00, "Namespace" },
	{ 0x01, "Controller" },
	{ 0x02, "Active Namespace ID list" },
	{ 0x03, "Namespace Identification Descriptor list" },
	{ 0x04, "NVM Set List" },
	{ 0x05, "I/O Command Set specific Namespace" },
	{ 0x06, "I/O Command Set specific Controller" },
	{ 0x07, "I/O Command Set specific Active Namespace ID list" },
	{ 0x08, "I/O Command Set Independent Namespace" },
	{ 0x10, "Allocated Namespace ID list" },
	{ 0x11, "Allocated Namespace" },
	{ 0x12, "Namespace Attached Controller list" },
	{ 0x13, "Controller list" },
	{ 0x14, "Primary Controller Capabilities" },
	{ 0x15, "Secondary Controller list" },
	{ 0x16, "Namespace Granularity List" },
	{ 0x17, "UUID List" },
	{ 0x18, "Domain List" },
	{ 0x19, "Endurance Group List" },
	{ 0x1a, "I/O Command Set specific Allocated Namespace ID list" },
	{ 0x1b, "I/O Command Set specific Allocated Namespace" },
	{ 0x1c, "I/O Command Set" },
};

static const struct word ctrlr_types[] = {
	{ 0, "not reported" },
	{ 1, "I/O" },
	{ 2, "discovery" },
	{ 3, "administrative" },
};

static const struct word nidts[] = {
	{ 1, "EUI64" },
	{ 2, "NGUID" },
	{ 3, "UUID" },
	{ 4, "CSI" },
};

static const struct word csis[] = {
	{ 0, "NVM" },
	{ 1, "Key Value" },
	{ 2, "Zoned Namespace" },
};

static const struct {
	uint32_t dw0;
	const char *text;
} events[] = {
	{ 0x00010000, "Write to Invalid Doorbell Register" },
	{ 0x00010100, "Invalid Doorbell Write Value" },
	{ 0x00010200, "Diagnostic Failure" },
	{ 0x00010300, "Persistent Internal Error" },
	{ 0x00010400, "Transient Internal Error" },
	{ 0x00010500, "Firmware Image Load Error" },
	{ 0x00010600, "reserved" },
	{ 0x00020001, "NVM Subsystem Reliability" },
	{ 0x00020101, "Temperature Threshold" },
	{ 0x00020201, "Spare Below Threshold" },
	{ 0x00020301, "reserved" },
	{ 0x00040002, "Namespace Attribute Changed" },
	{ 0x00030102, "Firmware Activation Starting" },
	{ 0x00080202, "Telemetry Log Changed" },
	{ 0x000c0302, "Asymmetric Namespace Access Change" },
	{ 0x000b0402, "Predictable Latency Event Aggregate Log Change" },
	{ 0x000e0502, "LBA Status Information Alert" },
	{ 0x000f0602, "Endurance Group Event Aggregate Log Page Change" },
	{ 0x00000702, "reserved" },
	{ 0x0000ef02, "reserved" },
	{ 0x0070f002, "Discovery Log Page Change" },
	{ 0x0000f102, "reserved" },
	{ 0x00000003, "reserved" },
	{ 0x00000004, "reserved" },
	{ 0x00000005, "reserved" },
	{ 0x00800006, "Reservation Log Page Available" },
	{ 0x00810106, "Sanitize Operation Completed" },
	{ 0x00810206, "Sanitize Operation Completed With Unexpected Deallocation" },
	{ 0x00000306, "reserved" },
	{ 0x00000007, "vendor specific" },
	{ 0xffffffff, "vendor specific" },
	{ 0xff0000f8 | 1, "NVM Subsystem Reliability" }, /* only bits 2:0 and 15:8 count */
};

static const struct {
	enum nvio_bits field;
	unsigned bit;
	const char *text;
} bits[] = {
	{ NVIO_BITS_CRITICAL_WARNING, 0, "available spare below threshold" },
	{ NVIO_BITS_CRITICAL_WARNING, 1, "temperature beyond a threshold" },
	{ NVIO_BITS_CRITICAL_WARNING, 2, "reliability degraded" },
	{ NVIO_BITS_CRITICAL_WARNING, 3, "media read-only" },
	{ NVIO_BITS_CRITICAL_WARNING, 4, "volatile memory backup failed" },
	{ NVIO_BITS_CRITICAL_WARNING, 5, "persistent memory region read-only or unreliable" },
	{ NVIO_BITS_OACS, 0, "Security Send and Receive" },
	{ NVIO_BITS_OACS, 1, "Format NVM" },
	{ NVIO_BITS_OACS, 2, "Firmware Commit and Download" },
	{ NVIO_BITS_OACS, 3, "Namespace Management and Attachment" },
	{ NVIO_BITS_OACS, 4, "Device Self-test" },
	{ NVIO_BITS_OACS, 5, "Directives" },
	{ NVIO_BITS_OACS, 6, "NVMe-MI Send and Receive" },
	{ NVIO_BITS_OACS, 7, "Virtualization Management" },
	{ NVIO_BITS_OACS, 8, "Doorbell Buffer Config" },
	{ NVIO_BITS_OACS, 9, "Get LBA Status" },
	{ NVIO_BITS_OACS, 10, "Command and Feature Lockdown" },
	{ NVIO_BITS_ONCS, 0, "Compare" },
	{ NVIO_BITS_ONCS, 1, "Write Uncorrectable" },
	{ NVIO_BITS_ONCS, 2, "Dataset Management" },
	{ NVIO_BITS_ONCS, 3, "Write Zeroes" },
	{ NVIO_BITS_ONCS, 4, "Save and Select of features" },
	{ NVIO_BITS_ONCS, 5, "Reservations" },
	{ NVIO_BITS_ONCS, 6, "Timestamp" },
	{ NVIO_BITS_ONCS, 7, "Verify" },
	{ NVIO_BITS_ONCS, 8, "Copy" },
	{ NVIO_BITS_OAES, 8, "Namespace Attribute Notices" },
	{ NVIO_BITS_OAES, 9, "Firmware Activation Notices" },
	{ NVIO_BITS_OAES, 10, "Telemetry Log Notices" },
	{ NVIO_BITS_OAES, 11, "Asymmetric Namespace Access Change Notices" },
	{ NVIO_BITS_OAES, 12, "Predictable Latency Event Aggregate Log Change Notices" },
	{ NVIO_BITS_OAES, 13, "LBA Status Information Alert Notices" },
	{ NVIO_BITS_OAES, 14, "Endurance Group Event Aggregate Log Page Change Notices" },
	{ NVIO_BITS_OAES, 15, "Normal NVM Subsystem Shutdown" },
	{ NVIO_BITS_OAES, 31, "Discovery Log Page Change Notices" },
	{ NVIO_BITS_CTRATT, 0, "128-bit Host Identifier" },
	{ NVIO_BITS_CTRATT, 1, "Non-Operational Power State Permissive Mode" },
	{ NVIO_BITS_CTRATT, 2, "NVM Sets" },
	{ NVIO_BITS_CTRATT, 3, "Read Recovery Levels" },
	{ NVIO_BITS_CTRATT, 4, "Endurance Groups" },
	{ NVIO_BITS_CTRATT, 5, "Predictable Latency Mode" },
	{ NVIO_BITS_CTRATT, 6, "Traffic Based Keep Alive" },
	{ NVIO_BITS_CTRATT, 7, "Namespace Granularity" },
	{ NVIO_BITS_CTRATT, 8, "SQ Associations" },
	{ NVIO_BITS_CTRATT, 9, "UUID List" },
	{ NVIO_BITS_CTRATT, 10, "Multi-Domain Subsystem" },
	{ NVIO_BITS_CTRATT, 11, "Fixed Capacity Management" },
	{ NVIO_BITS_CTRATT, 12, "Variable Capacity Management" },
	{ NVIO_BITS_CTRATT, 13, "Delete Endurance Group" },
	{ NVIO_BITS_CTRATT, 14, "Delete NVM Set" },
	{ NVIO_BITS_CTRATT, 15, "Extended LBA Formats" },
	{ NVIO_BITS_LPA, 0, "SMART / Health Information for each namespace" },
	{ NVIO_BITS_LPA, 1, "Commands Supported and Effects" },
	{ NVIO_BITS_LPA, 2, "extended data: 32-bit lengths, and offsets" },
	{ NVIO_BITS_LPA, 3, "Telemetry" },
	{ NVIO_BITS_LPA, 4, "Persistent Event Log" },
	{ NVIO_BITS_LPA, 5, "Supported Log Pages and effects of features and NVMe-MI commands" },
	{ NVIO_BITS_LPA, 6, "Telemetry Data Area 4" },
	{ NVIO_BITS_CMIC, 0, "several ports" },
	{ NVIO_BITS_CMIC, 1, "several controllers" },
	{ NVIO_BITS_CMIC, 2, "SR-IOV virtual function" },
	{ NVIO_BITS_CMIC, 3, "Asymmetric Namespace Access Reporting" },
	{ NVIO_BITS_FNA, 0, "a format is of all namespaces" },
	{ NVIO_BITS_FNA, 1, "a secure erase is of all namespaces" },
	{ NVIO_BITS_FNA, 2, "cryptographic erase" },
	{ NVIO_BITS_FNA, 3, "no format with NSID FFFFFFFFh" },
	{ NVIO_BITS_NSFEAT, 0, "thin provisioning" },
	{ NVIO_BITS_NSFEAT, 1, "atomic write units of its own" },
	{ NVIO_BITS_NSFEAT, 2, "Deallocated or Unwritten Logical Block error" },
	{ NVIO_BITS_NSFEAT, 3, "identifiers are never reused" },
	{ NVIO_BITS_NSFEAT, 4, "hints for optimal I/O" },
	{ NVIO_BITS_EFFECTS, 0, "supported" },
	{ NVIO_BITS_EFFECTS, 1, "changes logical blocks" },
	{ NVIO_BITS_EFFECTS, 2, "changes namespace capabilities" },
	{ NVIO_BITS_EFFECTS, 3, "changes the namespace inventory" },
	{ NVIO_BITS_EFFECTS, 4, "changes controller capabilities" },
	{ NVIO_BITS_EFFECTS, 19, "UUID selection" },
};

static void every_status_has_its_words_and_its_errno(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
		uint16_t sf = (uint16_t)(statuses[i].sct << 8 | statuses[i].sc);

		assert_string_equal(nvio_status_str(sf), statuses[i].text);
		assert_int_equal(nvio_status_to_errno(sf), statuses[i].err);
	}
}

static bool listed(uint16_t code)
{
	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
		if ((statuses[i].sct << 8 | statuses[i].sc) == code)
			return true;
	}
	return false;
}

static void a_status_without_a_meaning_says_so_and_is_eio(void **state)
{
	unsigned seen = 0;

	for (unsigned code = 0; code < 0x800; code++) {
		unsigned sct = code >> 8;
		bool vendor = sct == 7 || (sct <= 3 && (code & 0xff) >= 0xc0);

		if (listed((uint16_t)code))
			continue;
		assert_string_equal(nvio_status_str((uint16_t)code), vendor ? "vendor specific" : "reserved");
		assert_int_equal(nvio_status_to_errno((uint16_t)code), -EIO);
		seen++;
	}
	assert_int_equal(seen, 0x800 - ARRAY_SIZE(statuses));
}

static void retry_bits_do_not_change_the_meaning_of_any_status(void **state)
{
	for (unsigned sf = 0; sf <= 0xffff; sf++) {
		uint16_t code = sf & 0x7ff;

		assert_non_null(nvio_status_str((uint16_t)sf));
		assert_ptr_equal(nvio_status_str((uint16_t)sf), nvio_status_str(code));
		assert_string_equal(nvio_sct_str((uint16_t)sf), sct_words[code >> 8]);
		assert_int_equal(nvio_status_to_errno((uint16_t)sf), nvio_status_to_errno(code));
		assert_int_not_equal(nvio_status_to_errno((uint16_t)sf), -EINPROGRESS);
		assert_int_not_equal(nvio_status_to_errno((uint16_t)sf), -ETIMEDOUT);
		assert_int_equal(nvio_status_to_errno((uint16_t)sf) == 0, code == 0);
		assert_true(nvio_status_to_errno((uint16_t)sf) <= 0);
	}
}

/* All 256 values: those of the table by name, the vendor's range, and "reserved" for the rest. */
static void check_words(const char *(*str)(uint8_t), const struct word *words, size_t count,
	unsigned vendor_first, unsigned vendor_last)
{
	for (unsigned v = 0; v < 256; v++) {
		const char *want = v >= vendor_first && v <= vendor_last ? "vendor specific" : "reserved";

		for (size_t i = 0; i < count; i++) {
			if (words[i].value == v)
				want = words[i].text;
		}
		assert_string_equal(str((uint8_t)v), want);
	}
}

#define CHECK_WORDS(str, words, first, last) check_words(str, words, ARRAY_SIZE(words), first, last)

static void every_opcode_has_its_name(void **state)
{
	CHECK_WORDS(nvio_admin_opcode_str, admin_opcodes, 0xc0, 0xff);
	CHECK_WORDS(nvio_nvm_opcode_str, nvm_opcodes, 0x80, 0xff);
}

static void every_feature_and_log_page_has_its_name(void **state)
{
	CHECK_WORDS(nvio_feature_str, features, 0xc0, 0xff);
	CHECK_WORDS(nvio_log_str, logs, 0xc0, 0xff);
}

static void every_identify_number_has_its_name(void **state)
{
	CHECK_WORDS(nvio_cns_str, cns_values, 256, 256);
	CHECK_WORDS(nvio_ctrlr_type_str, ctrlr_types, 256, 256);
	CHECK_WORDS(nvio_nidt_str, nidts, 256, 256);
	CHECK_WORDS(nvio_csi_str, csis, 0x30, 0x3f);
}

static void every_asynchronous_event_has_its_name(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(events); i++)
		assert_string_equal(nvio_aer_str(events[i].dw0), events[i].text);
	for (uint32_t dw0 = 0; dw0 <= 0xffff; dw0++)
		assert_non_null(nvio_aer_str(dw0));
}

static void shutdown_status_has_its_words(void **state)
{
	assert_string_equal(nvio_shst_str(0), "normal operation");
	assert_string_equal(nvio_shst_str(1), "shutdown occurring");
	assert_string_equal(nvio_shst_str(2), "shutdown complete");
	assert_string_equal(nvio_shst_str(3), "reserved");
	assert_string_equal(nvio_shst_str(UINT32_MAX), "reserved");
}

static void every_bit_of_a_field_has_its_words_and_no_other_has(void **state)
{
	/* One field and 32 more bits beyond the last, to see the bounds hold. */
	for (unsigned field = 0; field <= NVIO_BITS_EFFECTS + 1; field++) {
		for (unsigned bit = 0; bit < 64; bit++) {
			const char *want = "reserved";

			for (size_t i = 0; i < ARRAY_SIZE(bits); i++) {
				if (bits[i].field == field && bits[i].bit == bit)
					want = bits[i].text;
			}
			assert_string_equal(nvio_bit_str((enum nvio_bits)field, bit), want);
		}
	}
	assert_string_equal(nvio_bit_str((enum nvio_bits)-1, 0), "reserved");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_status_has_its_words_and_its_errno),
		cmocka_unit_test(a_status_without_a_meaning_says_so_and_is_eio),
		cmocka_unit_test(retry_bits_do_not_change_the_meaning_of_any_status),
		cmocka_unit_test(every_opcode_has_its_name),
		cmocka_unit_test(every_feature_and_log_page_has_its_name),
		cmocka_unit_test(every_identify_number_has_its_name),
		cmocka_unit_test(every_asynchronous_event_has_its_name),
		cmocka_unit_test(shutdown_status_has_its_words),
		cmocka_unit_test(every_bit_of_a_field_has_its_words_and_no_other_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
