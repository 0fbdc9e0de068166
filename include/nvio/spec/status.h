/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Status: how a command ended. A status code (SC) means something only together with its type (SCT), so the
 * codes below are values of SC alone, grouped by SCT, and NVIO_SF() puts both together. NVMe Base 2.0
 * section 3.3.3.2.1.
 */
#ifndef NVIO_SPEC_STATUS_H
#define NVIO_SPEC_STATUS_H

#include <stdint.h>

#include <nvio/compiler.h>

NVIO_BEGIN_DECLS

/*
 * The status field without the phase tag, as in struct nvio_cpl: SC 7:0, SCT 10:8, CRD 12:11, M 13, DNR 14.
 */
#define NVIO_SF(sct, sc)    ((uint16_t)(((unsigned)(sct) & 7) << 8 | ((unsigned)(sc) & 0xff)))
#define NVIO_SF_CRD(index)  ((uint16_t)(((unsigned)(index) & 3) << 11)) /* retry delay: CRDT 1 to 3 */
#define NVIO_SF_MORE        0x2000 /* the error log has more about it */
#define NVIO_SF_DNR         0x4000 /* do not retry: it would fail again */
#define NVIO_SF_CODE_MASK   0x07ff /* SCT and SC */

static inline uint32_t nvio_sf_sc(uint16_t sf) { return sf & 0xff; }
static inline uint32_t nvio_sf_sct(uint16_t sf) { return sf >> 8 & 7; }
static inline uint32_t nvio_sf_crd(uint16_t sf) { return sf >> 11 & 3; }

enum nvio_sct {
	NVIO_SCT_GENERIC = 0,
	NVIO_SCT_COMMAND = 1, /* command specific */
	NVIO_SCT_MEDIA   = 2, /* media and data integrity errors */
	NVIO_SCT_PATH    = 3,
	NVIO_SCT_VENDOR  = 7,
};

/* SCT 0, generic. From 80h: the I/O command set's (NVM Command Set 1.0 section 3.1). */
enum nvio_sc_generic {
	NVIO_SC_SUCCESS                      = 0x00,
	NVIO_SC_INVALID_OPCODE               = 0x01,
	NVIO_SC_INVALID_FIELD                = 0x02,
	NVIO_SC_CID_CONFLICT                 = 0x03,
	NVIO_SC_DATA_TRANSFER_ERROR          = 0x04,
	NVIO_SC_ABORTED_POWER_LOSS           = 0x05,
	NVIO_SC_INTERNAL_ERROR               = 0x06,
	NVIO_SC_ABORT_REQUESTED              = 0x07,
	NVIO_SC_ABORTED_SQ_DELETION          = 0x08,
	NVIO_SC_ABORTED_FAILED_FUSED         = 0x09,
	NVIO_SC_ABORTED_MISSING_FUSED        = 0x0a,
	NVIO_SC_INVALID_NS_OR_FORMAT         = 0x0b,
	NVIO_SC_COMMAND_SEQUENCE_ERROR       = 0x0c,
	NVIO_SC_INVALID_SGL_SEGMENT          = 0x0d,
	NVIO_SC_INVALID_SGL_COUNT            = 0x0e,
	NVIO_SC_INVALID_DATA_SGL_LENGTH      = 0x0f,
	NVIO_SC_INVALID_METADATA_SGL_LENGTH  = 0x10,
	NVIO_SC_INVALID_SGL_TYPE             = 0x11,
	NVIO_SC_INVALID_CMB_USE              = 0x12,
	NVIO_SC_INVALID_PRP_OFFSET           = 0x13,
	NVIO_SC_ATOMIC_WRITE_UNIT_EXCEEDED   = 0x14,
	NVIO_SC_OPERATION_DENIED             = 0x15,
	NVIO_SC_INVALID_SGL_OFFSET           = 0x16,
	NVIO_SC_HOSTID_INCONSISTENT_FORMAT   = 0x18,
	NVIO_SC_KEEP_ALIVE_EXPIRED           = 0x19,
	NVIO_SC_INVALID_KEEP_ALIVE_TIMEOUT   = 0x1a,
	NVIO_SC_ABORTED_PREEMPT              = 0x1b,
	NVIO_SC_SANITIZE_FAILED              = 0x1c,
	NVIO_SC_SANITIZE_IN_PROGRESS         = 0x1d,
	NVIO_SC_INVALID_SGL_GRANULARITY      = 0x1e,
	NVIO_SC_NOT_SUPPORTED_IN_CMB_QUEUE   = 0x1f,
	NVIO_SC_NS_WRITE_PROTECTED           = 0x20,
	NVIO_SC_INTERRUPTED                  = 0x21,
	NVIO_SC_TRANSIENT_TRANSPORT_ERROR    = 0x22,
	NVIO_SC_LOCKED_DOWN                  = 0x23,
	NVIO_SC_ADMIN_MEDIA_NOT_READY        = 0x24,
	NVIO_SC_LBA_OUT_OF_RANGE             = 0x80,
	NVIO_SC_CAPACITY_EXCEEDED            = 0x81,
	NVIO_SC_NS_NOT_READY                 = 0x82,
	NVIO_SC_RESERVATION_CONFLICT         = 0x83,
	NVIO_SC_FORMAT_IN_PROGRESS           = 0x84,
};

/* SCT 1, command specific. From 80h: the NVM command set's. */
enum nvio_sc_command {
	NVIO_SC_INVALID_CQ                   = 0x00,
	NVIO_SC_INVALID_QID                  = 0x01,
	NVIO_SC_INVALID_QUEUE_SIZE           = 0x02,
	NVIO_SC_ABORT_LIMIT_EXCEEDED         = 0x03,
	NVIO_SC_AER_LIMIT_EXCEEDED           = 0x05,
	NVIO_SC_INVALID_FIRMWARE_SLOT        = 0x06,
	NVIO_SC_INVALID_FIRMWARE_IMAGE       = 0x07,
	NVIO_SC_INVALID_INTERRUPT_VECTOR     = 0x08,
	NVIO_SC_INVALID_LOG_PAGE             = 0x09,
	NVIO_SC_INVALID_FORMAT               = 0x0a,
	NVIO_SC_FIRMWARE_NEEDS_CONV_RESET    = 0x0b,
	NVIO_SC_INVALID_QUEUE_DELETION       = 0x0c,
	NVIO_SC_FEATURE_NOT_SAVEABLE         = 0x0d,
	NVIO_SC_FEATURE_NOT_CHANGEABLE       = 0x0e,
	NVIO_SC_FEATURE_NOT_NS_SPECIFIC      = 0x0f,
	NVIO_SC_FIRMWARE_NEEDS_SUBSYS_RESET  = 0x10,
	NVIO_SC_FIRMWARE_NEEDS_CTRLR_RESET   = 0x11,
	NVIO_SC_FIRMWARE_NEEDS_MAX_TIME      = 0x12,
	NVIO_SC_FIRMWARE_PROHIBITED          = 0x13,
	NVIO_SC_OVERLAPPING_RANGE            = 0x14,
	NVIO_SC_NS_INSUFFICIENT_CAPACITY     = 0x15,
	NVIO_SC_NSID_UNAVAILABLE             = 0x16,
	NVIO_SC_NS_ALREADY_ATTACHED          = 0x18,
	NVIO_SC_NS_IS_PRIVATE                = 0x19,
	NVIO_SC_NS_NOT_ATTACHED              = 0x1a,
	NVIO_SC_THIN_PROVISIONING_UNSUPPORTED = 0x1b,
	NVIO_SC_INVALID_CTRLR_LIST           = 0x1c,
	NVIO_SC_SELF_TEST_IN_PROGRESS        = 0x1d,
	NVIO_SC_BOOT_PARTITION_PROTECTED     = 0x1e,
	NVIO_SC_INVALID_CTRLR_ID             = 0x1f,
	NVIO_SC_INVALID_SECONDARY_STATE      = 0x20,
	NVIO_SC_INVALID_RESOURCE_COUNT       = 0x21,
	NVIO_SC_INVALID_RESOURCE_ID          = 0x22,
	NVIO_SC_SANITIZE_PROHIBITED_PMR      = 0x23,
	NVIO_SC_INVALID_ANA_GROUP            = 0x24,
	NVIO_SC_ANA_ATTACH_FAILED            = 0x25,
	NVIO_SC_INSUFFICIENT_CAPACITY        = 0x26,
	NVIO_SC_NS_ATTACH_LIMIT_EXCEEDED     = 0x27,
	NVIO_SC_LOCKDOWN_UNSUPPORTED         = 0x28,
	NVIO_SC_IOCS_NOT_SUPPORTED           = 0x29,
	NVIO_SC_IOCS_NOT_ENABLED             = 0x2a,
	NVIO_SC_IOCS_COMBINATION_REJECTED    = 0x2b,
	NVIO_SC_INVALID_IOCS                 = 0x2c,
	NVIO_SC_ID_UNAVAILABLE               = 0x2d,
	NVIO_SC_CONFLICTING_ATTRIBUTES       = 0x80,
	NVIO_SC_INVALID_PROTECTION_INFO      = 0x81,
	NVIO_SC_READ_ONLY_RANGE              = 0x82,
	NVIO_SC_COMMAND_SIZE_EXCEEDED        = 0x83,
};

/*
 * SCT 1 again, of fabrics commands: the same values from 80h mean other things there (NVMe Base 2.0 section
 * 6).
 */
enum nvio_sc_fabrics {
	NVIO_SC_FABRICS_INCOMPATIBLE_FORMAT  = 0x80,
	NVIO_SC_FABRICS_CTRLR_BUSY           = 0x81,
	NVIO_SC_FABRICS_INVALID_PARAMETERS   = 0x82,
	NVIO_SC_FABRICS_RESTART_DISCOVERY    = 0x83,
	NVIO_SC_FABRICS_INVALID_HOST         = 0x84,
	NVIO_SC_FABRICS_INVALID_QUEUE_TYPE   = 0x85,
	NVIO_SC_FABRICS_DISCOVER_RESTART     = 0x90,
	NVIO_SC_FABRICS_AUTH_REQUIRED        = 0x91,
};

/* SCT 2, media and data integrity errors. */
enum nvio_sc_media {
	NVIO_SC_WRITE_FAULT                  = 0x80,
	NVIO_SC_UNRECOVERED_READ             = 0x81,
	NVIO_SC_GUARD_CHECK                  = 0x82,
	NVIO_SC_APP_TAG_CHECK                = 0x83,
	NVIO_SC_REF_TAG_CHECK                = 0x84,
	NVIO_SC_COMPARE_FAILURE              = 0x85,
	NVIO_SC_ACCESS_DENIED                = 0x86,
	NVIO_SC_UNWRITTEN_BLOCK              = 0x87,
	NVIO_SC_STORAGE_TAG_CHECK            = 0x88,
};

/* SCT 3, path related. */
enum nvio_sc_path {
	NVIO_SC_INTERNAL_PATH_ERROR          = 0x00,
	NVIO_SC_ANA_PERSISTENT_LOSS          = 0x01,
	NVIO_SC_ANA_INACCESSIBLE             = 0x02,
	NVIO_SC_ANA_TRANSITION               = 0x03,
	NVIO_SC_CTRLR_PATH_ERROR             = 0x60,
	NVIO_SC_HOST_PATH_ERROR              = 0x70,
	NVIO_SC_ABORTED_BY_HOST              = 0x71,
};

/* From here on the codes of SCT 0 to 3 are the vendor's. */
#define NVIO_SC_VENDOR_FIRST 0xc0

NVIO_END_DECLS

#endif
