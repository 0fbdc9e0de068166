/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The admin command set: opcodes, the numbers that Identify, Get Log Page and the features go by,
 * asynchronous events, and the dwords of the commands in host byte order. NVMe Base 2.0 section 5.
 */
#ifndef NVIO_SPEC_ADMIN_H
#define NVIO_SPEC_ADMIN_H

#include <stdint.h>

#include <nvio/compiler.h>

NVIO_BEGIN_DECLS

/* Opcodes (NVMe Base 2.0 section 5). Bits 1:0 tell the direction of the data. */
enum nvio_admin_opc {
	NVIO_ADMIN_DELETE_SQ          = 0x00,
	NVIO_ADMIN_CREATE_SQ          = 0x01,
	NVIO_ADMIN_GET_LOG_PAGE       = 0x02,
	NVIO_ADMIN_DELETE_CQ          = 0x04,
	NVIO_ADMIN_CREATE_CQ          = 0x05,
	NVIO_ADMIN_IDENTIFY           = 0x06,
	NVIO_ADMIN_ABORT              = 0x08,
	NVIO_ADMIN_SET_FEATURES       = 0x09,
	NVIO_ADMIN_GET_FEATURES       = 0x0a,
	NVIO_ADMIN_ASYNC_EVENT        = 0x0c,
	NVIO_ADMIN_NS_MANAGEMENT      = 0x0d,
	NVIO_ADMIN_FIRMWARE_COMMIT    = 0x10,
	NVIO_ADMIN_FIRMWARE_DOWNLOAD  = 0x11,
	NVIO_ADMIN_SELF_TEST          = 0x14,
	NVIO_ADMIN_NS_ATTACHMENT      = 0x15,
	NVIO_ADMIN_KEEP_ALIVE         = 0x18,
	NVIO_ADMIN_DIRECTIVE_SEND     = 0x19,
	NVIO_ADMIN_DIRECTIVE_RECEIVE  = 0x1a,
	NVIO_ADMIN_VIRT_MANAGEMENT    = 0x1c,
	NVIO_ADMIN_MI_SEND            = 0x1d,
	NVIO_ADMIN_MI_RECEIVE         = 0x1e,
	NVIO_ADMIN_CAPACITY_MANAGEMENT = 0x20,
	NVIO_ADMIN_LOCKDOWN           = 0x24,
	NVIO_ADMIN_DOORBELL_BUFFER    = 0x7c,
	NVIO_ADMIN_FABRICS            = 0x7f,
	NVIO_ADMIN_FORMAT_NVM         = 0x80,
	NVIO_ADMIN_SECURITY_SEND      = 0x81,
	NVIO_ADMIN_SECURITY_RECEIVE   = 0x82,
	NVIO_ADMIN_SANITIZE           = 0x84,
	NVIO_ADMIN_GET_LBA_STATUS     = 0x86,
	NVIO_ADMIN_VENDOR_FIRST       = 0xc0,
};

enum nvio_data_direction {
	NVIO_DATA_NONE     = 0,
	NVIO_DATA_TO_CTRLR = 1,
	NVIO_DATA_TO_HOST  = 2,
	NVIO_DATA_BOTH     = 3,
};

/* By the opcode's bits 1:0 (section 3.3.3.1); of admin and I/O commands alike, fabrics commands excepted. */
static inline enum nvio_data_direction nvio_opc_direction(uint8_t opc)
{
	return (enum nvio_data_direction)(opc & 3);
}

/* I/O command set identifiers (section 5.17). */
enum nvio_csi {
	NVIO_CSI_NVM = 0,
	NVIO_CSI_KV  = 1,
	NVIO_CSI_ZNS = 2,
};

/* Identify: which structure (section 5.17.1). */
enum nvio_cns {
	NVIO_CNS_NS                    = 0x00,
	NVIO_CNS_CTRLR                 = 0x01,
	NVIO_CNS_ACTIVE_NS_LIST        = 0x02,
	NVIO_CNS_NS_ID_DESC_LIST       = 0x03,
	NVIO_CNS_NVM_SET_LIST          = 0x04,
	NVIO_CNS_CSI_NS                = 0x05,
	NVIO_CNS_CSI_CTRLR             = 0x06,
	NVIO_CNS_CSI_ACTIVE_NS_LIST    = 0x07,
	NVIO_CNS_INDEPENDENT_NS        = 0x08,
	NVIO_CNS_ALLOCATED_NS_LIST     = 0x10,
	NVIO_CNS_ALLOCATED_NS          = 0x11,
	NVIO_CNS_NS_CTRLR_LIST         = 0x12,
	NVIO_CNS_CTRLR_LIST            = 0x13,
	NVIO_CNS_PRIMARY_CAPS          = 0x14,
	NVIO_CNS_SECONDARY_LIST        = 0x15,
	NVIO_CNS_NS_GRANULARITY_LIST   = 0x16,
	NVIO_CNS_UUID_LIST             = 0x17,
	NVIO_CNS_DOMAIN_LIST           = 0x18,
	NVIO_CNS_ENDURANCE_GROUP_LIST  = 0x19,
	NVIO_CNS_CSI_ALLOCATED_NS_LIST = 0x1a,
	NVIO_CNS_CSI_ALLOCATED_NS      = 0x1b,
	NVIO_CNS_IOCS                  = 0x1c, /* I/O command set data structure */
};

#define NVIO_IDENTIFY_BYTES 4096

/* Feature identifiers (section 5.27.1; 03h, 05h, 0Ah and 15h: NVM Command Set 1.0 section 4.1.3). */
enum nvio_fid {
	NVIO_FID_ARBITRATION           = 0x01,
	NVIO_FID_POWER_MANAGEMENT      = 0x02,
	NVIO_FID_LBA_RANGE_TYPE        = 0x03,
	NVIO_FID_TEMPERATURE_THRESHOLD = 0x04,
	NVIO_FID_ERROR_RECOVERY        = 0x05,
	NVIO_FID_VOLATILE_WRITE_CACHE  = 0x06,
	NVIO_FID_NUM_QUEUES            = 0x07,
	NVIO_FID_IRQ_COALESCING        = 0x08,
	NVIO_FID_IRQ_VECTOR_CONFIG     = 0x09,
	NVIO_FID_WRITE_ATOMICITY       = 0x0a,
	NVIO_FID_ASYNC_EVENT_CONFIG    = 0x0b,
	NVIO_FID_AUTO_POWER_STATE      = 0x0c,
	NVIO_FID_HOST_MEMORY_BUFFER    = 0x0d,
	NVIO_FID_TIMESTAMP             = 0x0e,
	NVIO_FID_KEEP_ALIVE            = 0x0f,
	NVIO_FID_HOST_THERMAL          = 0x10,
	NVIO_FID_NON_OP_POWER_STATE    = 0x11,
	NVIO_FID_READ_RECOVERY_LEVEL   = 0x12,
	NVIO_FID_PLM_CONFIG            = 0x13,
	NVIO_FID_PLM_WINDOW            = 0x14,
	NVIO_FID_LBA_STATUS_INTERVAL   = 0x15,
	NVIO_FID_HOST_BEHAVIOR         = 0x16,
	NVIO_FID_SANITIZE_CONFIG       = 0x17,
	NVIO_FID_ENDURANCE_EVENTS      = 0x18,
	NVIO_FID_IOCS_PROFILE          = 0x19,
	NVIO_FID_SPINUP_CONTROL        = 0x1a,
	NVIO_FID_ENHANCED_CTRLR_METADATA = 0x7d,
	NVIO_FID_CTRLR_METADATA        = 0x7e,
	NVIO_FID_NS_METADATA           = 0x7f,
	NVIO_FID_SOFTWARE_PROGRESS     = 0x80,
	NVIO_FID_HOST_ID               = 0x81,
	NVIO_FID_RESERVATION_MASK      = 0x82,
	NVIO_FID_RESERVATION_PERSISTENCE = 0x83,
	NVIO_FID_NS_WRITE_PROTECTION   = 0x84,
	NVIO_FID_VENDOR_FIRST          = 0xc0,
};

/* Get Features: which value (section 5.15). */
enum nvio_feature_sel {
	NVIO_SEL_CURRENT   = 0,
	NVIO_SEL_DEFAULT   = 1,
	NVIO_SEL_SAVED     = 2,
	NVIO_SEL_SUPPORTED = 3, /* dword 0 then holds NVIO_FEATURE_CAP_* */
};

#define NVIO_FEATURE_CAP_SAVEABLE    (1u << 0)
#define NVIO_FEATURE_CAP_NS_SPECIFIC (1u << 1)
#define NVIO_FEATURE_CAP_CHANGEABLE  (1u << 2)

/* Log page identifiers (section 5.16.1). */
enum nvio_lid {
	NVIO_LID_SUPPORTED          = 0x00,
	NVIO_LID_ERROR              = 0x01,
	NVIO_LID_SMART              = 0x02,
	NVIO_LID_FIRMWARE_SLOT      = 0x03,
	NVIO_LID_CHANGED_NS         = 0x04,
	NVIO_LID_COMMAND_EFFECTS    = 0x05,
	NVIO_LID_SELF_TEST          = 0x06,
	NVIO_LID_TELEMETRY_HOST     = 0x07,
	NVIO_LID_TELEMETRY_CTRLR    = 0x08,
	NVIO_LID_ENDURANCE_GROUP    = 0x09,
	NVIO_LID_PREDICTABLE_NVM_SET = 0x0a,
	NVIO_LID_PREDICTABLE_EVENTS = 0x0b,
	NVIO_LID_ANA                = 0x0c,
	NVIO_LID_PERSISTENT_EVENT   = 0x0d,
	NVIO_LID_LBA_STATUS         = 0x0e,
	NVIO_LID_ENDURANCE_EVENTS   = 0x0f,
	NVIO_LID_MEDIA_UNIT_STATUS  = 0x10,
	NVIO_LID_CAPACITY_CONFIGS   = 0x11,
	NVIO_LID_FEATURE_EFFECTS    = 0x12,
	NVIO_LID_MI_EFFECTS         = 0x13,
	NVIO_LID_LOCKDOWN           = 0x14,
	NVIO_LID_BOOT_PARTITION     = 0x15,
	NVIO_LID_ROTATIONAL_MEDIA   = 0x16,
	NVIO_LID_DISCOVERY          = 0x70,
	NVIO_LID_RESERVATION        = 0x80,
	NVIO_LID_SANITIZE           = 0x81,
	NVIO_LID_VENDOR_FIRST       = 0xc0,
};

/* Asynchronous events (section 5.2.1). */
enum nvio_aer_type {
	NVIO_AER_ERROR  = 0,
	NVIO_AER_SMART  = 1,
	NVIO_AER_NOTICE = 2,
	NVIO_AER_IOCS   = 6, /* I/O command set specific */
	NVIO_AER_VENDOR = 7,
};

enum nvio_aer_error_info {
	NVIO_AER_ERROR_INVALID_DOORBELL = 0x00, /* write to the doorbell of no queue */
	NVIO_AER_ERROR_INVALID_VALUE    = 0x01, /* of a doorbell write */
	NVIO_AER_ERROR_DIAGNOSTIC       = 0x02,
	NVIO_AER_ERROR_PERSISTENT       = 0x03, /* internal error */
	NVIO_AER_ERROR_TRANSIENT        = 0x04, /* internal error */
	NVIO_AER_ERROR_FIRMWARE_LOAD    = 0x05,
};

enum nvio_aer_smart_info {
	NVIO_AER_SMART_RELIABILITY = 0x00,
	NVIO_AER_SMART_TEMPERATURE = 0x01,
	NVIO_AER_SMART_SPARE       = 0x02,
};

enum nvio_aer_notice_info {
	NVIO_AER_NOTICE_NS_CHANGED       = 0x00,
	NVIO_AER_NOTICE_FIRMWARE         = 0x01, /* activation is starting */
	NVIO_AER_NOTICE_TELEMETRY        = 0x02,
	NVIO_AER_NOTICE_ANA              = 0x03,
	NVIO_AER_NOTICE_PREDICTABLE      = 0x04,
	NVIO_AER_NOTICE_LBA_STATUS       = 0x05,
	NVIO_AER_NOTICE_ENDURANCE_GROUP  = 0x06,
	NVIO_AER_NOTICE_DISCOVERY        = 0xf0,
};

enum nvio_aer_iocs_info {
	NVIO_AER_IOCS_RESERVATION         = 0x00,
	NVIO_AER_IOCS_SANITIZE_DONE       = 0x01,
	NVIO_AER_IOCS_SANITIZE_DEALLOCATE = 0x02, /* done, with unexpected deallocation */
};

/* Dword 0 of an asynchronous event's completion. */
static inline uint32_t nvio_aer_build(uint32_t type, uint32_t info, uint32_t lid)
{
	return (type & 7) | (info & 0xff) << 8 | (lid & 0xff) << 16;
}

static inline uint32_t nvio_aer_type(uint32_t dw0) { return dw0 & 7; }
static inline uint32_t nvio_aer_info(uint32_t dw0) { return dw0 >> 8 & 0xff; }
static inline uint32_t nvio_aer_lid(uint32_t dw0) { return dw0 >> 16 & 0xff; }

/* Create and Delete I/O Queue (sections 5.4 to 5.7). qsize is 0's based. */
#define NVIO_CREATE_PC  (1u << 0) /* physically contiguous */
#define NVIO_CREATE_IEN (1u << 1) /* completion queue: interrupts enabled */

enum nvio_sq_priority {
	NVIO_SQ_URGENT = 0,
	NVIO_SQ_HIGH   = 1,
	NVIO_SQ_MEDIUM = 2,
	NVIO_SQ_LOW    = 3,
};

static inline uint32_t nvio_create_queue_cdw10(uint32_t qid, uint32_t qsize)
{
	return (qid & 0xffff) | (qsize & 0xffff) << 16;
}

/* flags: NVIO_CREATE_PC, NVIO_CREATE_IEN. */
static inline uint32_t nvio_create_cq_cdw11(uint32_t flags, uint32_t vector)
{
	return (flags & 3) | (vector & 0xffff) << 16;
}

/* flags: NVIO_CREATE_PC; priority counts under weighted round robin. */
static inline uint32_t nvio_create_sq_cdw11(uint32_t flags, uint32_t priority, uint32_t cqid)
{
	return (flags & 1) | (priority & 3) << 1 | (cqid & 0xffff) << 16;
}

static inline uint32_t nvio_create_queue_qid(uint32_t cdw10) { return cdw10 & 0xffff; }
static inline uint32_t nvio_create_queue_qsize(uint32_t cdw10) { return cdw10 >> 16; }
static inline uint32_t nvio_create_cq_vector(uint32_t cdw11) { return cdw11 >> 16; }
static inline uint32_t nvio_create_sq_priority(uint32_t cdw11) { return cdw11 >> 1 & 3; }
static inline uint32_t nvio_create_sq_cqid(uint32_t cdw11) { return cdw11 >> 16; }

/* Abort (section 5.1). Bit 0 of the completion's dword 0 set: the command was not aborted. */
static inline uint32_t nvio_abort_cdw10(uint32_t sqid, uint32_t cid)
{
	return (sqid & 0xffff) | (cid & 0xffff) << 16;
}

static inline uint32_t nvio_abort_sqid(uint32_t cdw10) { return cdw10 & 0xffff; }
static inline uint32_t nvio_abort_cid(uint32_t cdw10) { return cdw10 >> 16; }

/* Identify (section 5.17): cdw10 and cdw11. */
static inline uint32_t nvio_identify_cdw10(uint32_t cns, uint32_t cntid)
{
	return (cns & 0xff) | (cntid & 0xffff) << 16;
}

static inline uint32_t nvio_identify_cdw11(uint32_t cns_specific_id, uint32_t csi)
{
	return (cns_specific_id & 0xffff) | (csi & 0xff) << 24;
}

static inline uint32_t nvio_identify_cns(uint32_t cdw10) { return cdw10 & 0xff; }
static inline uint32_t nvio_identify_cntid(uint32_t cdw10) { return cdw10 >> 16; }
static inline uint32_t nvio_identify_csi(uint32_t cdw11) { return cdw11 >> 24; }

/*
 * Get Log Page (section 5.16): numd is the number of dwords, 0's based; the offset stands in cdw12 (low)
 * and cdw13.
 */
#define NVIO_LOG_RAE (1u << 15) /* in cdw10: retain the asynchronous event */

static inline uint32_t nvio_log_cdw10(uint32_t lid, uint32_t lsp, uint32_t numd)
{
	return (lid & 0xff) | (lsp & 0x7f) << 8 | (numd & 0xffff) << 16;
}

static inline uint32_t nvio_log_cdw11(uint32_t numd, uint32_t lsi)
{
	return numd >> 16 | (lsi & 0xffff) << 16;
}

static inline uint32_t nvio_log_lid(uint32_t cdw10) { return cdw10 & 0xff; }
static inline uint32_t nvio_log_lsp(uint32_t cdw10) { return cdw10 >> 8 & 0x7f; }
static inline uint32_t nvio_log_lsi(uint32_t cdw11) { return cdw11 >> 16; }

static inline uint32_t nvio_log_numd(uint32_t cdw10, uint32_t cdw11)
{
	return cdw10 >> 16 | (cdw11 & 0xffff) << 16;
}

/* Set Features and Get Features (sections 5.27 and 5.15); the values are in spec/feature.h. */
#define NVIO_SET_FEATURES_SAVE (1u << 31)

static inline uint32_t nvio_get_features_cdw10(uint32_t fid, uint32_t sel)
{
	return (fid & 0xff) | (sel & 7) << 8;
}

static inline uint32_t nvio_features_fid(uint32_t cdw10) { return cdw10 & 0xff; }
static inline uint32_t nvio_get_features_sel(uint32_t cdw10) { return cdw10 >> 8 & 7; }

/* Firmware Commit (section 5.12). */
enum nvio_firmware_action {
	NVIO_FIRMWARE_REPLACE          = 0,
	NVIO_FIRMWARE_REPLACE_ACTIVATE = 1, /* at the next controller level reset */
	NVIO_FIRMWARE_ACTIVATE         = 2, /* at the next controller level reset */
	NVIO_FIRMWARE_ACTIVATE_NOW     = 3,
	NVIO_FIRMWARE_BOOT_REPLACE     = 6,
	NVIO_FIRMWARE_BOOT_ACTIVATE    = 7,
};

static inline uint32_t nvio_firmware_commit_cdw10(uint32_t slot, uint32_t action, uint32_t boot_partition)
{
	return (slot & 7) | (action & 7) << 3 | (boot_partition & 1) << 31;
}

/* Format NVM (section 5.14). */
enum nvio_format_erase {
	NVIO_FORMAT_NO_ERASE     = 0,
	NVIO_FORMAT_USER_ERASE   = 1,
	NVIO_FORMAT_CRYPTO_ERASE = 2,
};

#define NVIO_FORMAT_METADATA_EXTENDED (1u << 4) /* or separate */
#define NVIO_FORMAT_PI_FIRST          (1u << 8) /* protection information comes first in the metadata */

/*
 * The LBA format index in two parts, protection information type 0 to 3, and what to erase; flags as above.
 */
static inline uint32_t nvio_format_cdw10(uint32_t lbaf, uint32_t pi, uint32_t erase, uint32_t flags)
{
	return (lbaf & 0xf) | (lbaf >> 4 & 3) << 12 | (pi & 7) << 5 | (erase & 7) << 9 | (flags & 0x110);
}

static inline uint32_t nvio_format_lbaf(uint32_t cdw10) { return (cdw10 & 0xf) | (cdw10 >> 12 & 3) << 4; }
static inline uint32_t nvio_format_pi(uint32_t cdw10) { return cdw10 >> 5 & 7; }
static inline uint32_t nvio_format_erase(uint32_t cdw10) { return cdw10 >> 9 & 7; }

NVIO_END_DECLS

#endif
