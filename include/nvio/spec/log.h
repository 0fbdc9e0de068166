/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What Get Log Page returns. NVMe Base 2.0 section 5.16.1.
 */
#ifndef NVIO_SPEC_LOG_H
#define NVIO_SPEC_LOG_H

#include <stddef.h>
#include <stdint.h>

#include <nvio/compiler.h>
#include <nvio/endian.h>

NVIO_BEGIN_DECLS

/* Supported Log Pages, LID 00h (section 5.16.1.1). */
struct nvio_log_supported {
	nvio_le32 lid[256]; /* NVIO_LOG_SUPPORTED_* */
};

nvio_static_assert(sizeof(struct nvio_log_supported) == 1024, "NVMe Base 2.0 section 5.16.1.1");

#define NVIO_LOG_SUPPORTED_LSUPP (1u << 0)
#define NVIO_LOG_SUPPORTED_IOS   (1u << 1) /* offsets may be indices */

/* Error Information, LID 01h (section 5.16.1.2): newest first, error_count 0 is an unused entry. */
struct nvio_log_error {
	nvio_le64 error_count;
	nvio_le16 sqid;
	nvio_le16 cid;
	nvio_le16 status;     /* as cqe.status: bit 0 the phase tag, 15:1 the status field */
	nvio_le16 parm_loc;   /* byte 7:0 and bit 10:8 of the command's bad parameter; FFFFh: none */
	nvio_le64 lba;
	nvio_le32 nsid;
	uint8_t vs;           /* vendor's log page with more, or 0 */
	uint8_t trtype;
	uint8_t reserved30[2];
	nvio_le64 cs;
	nvio_le16 trtype_info;
	uint8_t reserved42[22];
};

nvio_static_assert(sizeof(struct nvio_log_error) == 64, "NVMe Base 2.0 section 5.16.1.2");
nvio_static_assert(offsetof(struct nvio_log_error, status) == 12, "NVMe Base 2.0 section 5.16.1.2");
nvio_static_assert(offsetof(struct nvio_log_error, lba) == 16, "NVMe Base 2.0 section 5.16.1.2");
nvio_static_assert(offsetof(struct nvio_log_error, nsid) == 24, "NVMe Base 2.0 section 5.16.1.2");
nvio_static_assert(offsetof(struct nvio_log_error, cs) == 32, "NVMe Base 2.0 section 5.16.1.2");

#define NVIO_PARM_LOC_NONE 0xffff

static inline uint16_t nvio_parm_loc(uint32_t byte, uint32_t bit)
{
	return (uint16_t)((byte & 0xff) | (bit & 7) << 8);
}

/* SMART / Health Information, LID 02h (section 5.16.1.3). */
struct nvio_log_smart {
	uint8_t critical_warning;       /* NVIO_SMART_* */
	nvio_le16 temperature;          /* Kelvin */
	uint8_t available_spare;        /* percent */
	uint8_t spare_threshold;
	uint8_t percentage_used;        /* may exceed 100 */
	uint8_t endurance_group_warning;
	uint8_t reserved7[25];
	nvio_le128 data_units_read;     /* thousands of 512 bytes, rounded up */
	nvio_le128 data_units_written;
	nvio_le128 host_reads;          /* commands */
	nvio_le128 host_writes;
	nvio_le128 busy_minutes;
	nvio_le128 power_cycles;
	nvio_le128 power_on_hours;
	nvio_le128 unsafe_shutdowns;
	nvio_le128 media_errors;
	nvio_le128 error_log_entries;
	nvio_le32 warning_temp_minutes;
	nvio_le32 critical_temp_minutes;
	nvio_le16 temp_sensor[8];       /* Kelvin; 0: none */
	nvio_le32 tmt1_count;           /* thermal management: transitions, then seconds */
	nvio_le32 tmt2_count;
	nvio_le32 tmt1_seconds;
	nvio_le32 tmt2_seconds;
	uint8_t reserved232[280];
};

nvio_static_assert(sizeof(struct nvio_log_smart) == 512, "NVMe Base 2.0 section 5.16.1.3");
nvio_static_assert(offsetof(struct nvio_log_smart, temperature) == 1, "NVMe Base 2.0 section 5.16.1.3");
nvio_static_assert(offsetof(struct nvio_log_smart, available_spare) == 3, "NVMe Base 2.0 section 5.16.1.3");
nvio_static_assert(offsetof(struct nvio_log_smart, data_units_read) == 32, "NVMe Base 2.0 section 5.16.1.3");
nvio_static_assert(offsetof(struct nvio_log_smart, host_reads) == 64, "NVMe Base 2.0 section 5.16.1.3");
nvio_static_assert(offsetof(struct nvio_log_smart, power_cycles) == 112, "NVMe Base 2.0 section 5.16.1.3");
nvio_static_assert(offsetof(struct nvio_log_smart, media_errors) == 160, "NVMe Base 2.0 section 5.16.1.3");
nvio_static_assert(offsetof(struct nvio_log_smart, warning_temp_minutes) == 192,
	"NVMe Base 2.0 section 5.16.1.3");
nvio_static_assert(offsetof(struct nvio_log_smart, temp_sensor) == 200, "NVMe Base 2.0 section 5.16.1.3");
nvio_static_assert(offsetof(struct nvio_log_smart, tmt1_count) == 216, "NVMe Base 2.0 section 5.16.1.3");

#define NVIO_SMART_SPARE       (1u << 0)
#define NVIO_SMART_TEMPERATURE (1u << 1)
#define NVIO_SMART_RELIABILITY (1u << 2)
#define NVIO_SMART_READ_ONLY   (1u << 3)
#define NVIO_SMART_BACKUP      (1u << 4)
#define NVIO_SMART_PMR         (1u << 5)

/* Firmware Slot Information, LID 03h (section 5.16.1.4). */
struct nvio_log_firmware {
	uint8_t afi;          /* 2:0 active slot, 6:4 slot at the next reset, 0: not reported */
	uint8_t reserved1[7];
	uint8_t frs[7][8];    /* revisions of slots 1 to 7, ASCII; zeros: no valid one */
	uint8_t reserved64[448];
};

nvio_static_assert(sizeof(struct nvio_log_firmware) == 512, "NVMe Base 2.0 section 5.16.1.4");
nvio_static_assert(offsetof(struct nvio_log_firmware, frs) == 8, "NVMe Base 2.0 section 5.16.1.4");
nvio_static_assert(offsetof(struct nvio_log_firmware, reserved64) == 64, "NVMe Base 2.0 section 5.16.1.4");

static inline uint32_t nvio_afi_active(uint8_t afi) { return afi & 7; }
static inline uint32_t nvio_afi_next(uint8_t afi) { return afi >> 4 & 7; }

/* Changed Namespace List, LID 04h (section 5.16.1.5): 0 ends it; FFFFFFFFh alone: more than fit. */
#define NVIO_CHANGED_NS_MAX 1024

struct nvio_log_changed_ns {
	nvio_le32 nsid[NVIO_CHANGED_NS_MAX];
};

nvio_static_assert(sizeof(struct nvio_log_changed_ns) == 4096, "NVMe Base 2.0 section 5.16.1.5");

/* Commands Supported and Effects, LID 05h (section 5.16.1.6). */
struct nvio_log_effects {
	nvio_le32 acs[256];   /* by admin opcode: NVIO_EFFECTS_* */
	nvio_le32 iocs[256];  /* by I/O opcode */
	uint8_t reserved2048[2048];
};

nvio_static_assert(sizeof(struct nvio_log_effects) == 4096, "NVMe Base 2.0 section 5.16.1.6");
nvio_static_assert(offsetof(struct nvio_log_effects, iocs) == 1024, "NVMe Base 2.0 section 5.16.1.6");

#define NVIO_EFFECTS_CSUPP (1u << 0) /* supported */
#define NVIO_EFFECTS_LBCC  (1u << 1) /* changes blocks */
#define NVIO_EFFECTS_NCC   (1u << 2) /* changes a namespace's capabilities */
#define NVIO_EFFECTS_NIC   (1u << 3) /* changes the namespace inventory */
#define NVIO_EFFECTS_CCC   (1u << 4) /* changes the controller's capabilities */
#define NVIO_EFFECTS_USS   (1u << 19) /* UUID selection */

/* CSE, 18:16: who else may have commands in flight meanwhile. */
enum nvio_effects_cse {
	NVIO_EFFECTS_CSE_NONE  = 0, /* no restriction */
	NVIO_EFFECTS_CSE_NS    = 1, /* nobody on the same namespace */
	NVIO_EFFECTS_CSE_CTRLR = 2, /* nobody on any namespace */
};

static inline uint32_t nvio_effects_cse(uint32_t effects) { return effects >> 16 & 7; }

/* Device Self-test, LID 06h (section 5.16.1.7). */
struct nvio_self_test_result {
	uint8_t dsts;         /* 3:0 result, 7:4 which test */
	uint8_t seg;
	uint8_t vdi;
	uint8_t reserved3;
	nvio_le64 poh;
	nvio_le32 nsid;
	nvio_le64 flba;
	uint8_t sct;
	uint8_t sc;
	uint8_t vs[2];
};

struct nvio_log_self_test {
	uint8_t operation;    /* 3:0 */
	uint8_t completion;   /* 6:0 percent */
	uint8_t reserved2[2];
	struct nvio_self_test_result result[20]; /* newest first */
};

nvio_static_assert(sizeof(struct nvio_self_test_result) == 28, "NVMe Base 2.0 section 5.16.1.7");
nvio_static_assert(offsetof(struct nvio_self_test_result, flba) == 16, "NVMe Base 2.0 section 5.16.1.7");
nvio_static_assert(sizeof(struct nvio_log_self_test) == 564, "NVMe Base 2.0 section 5.16.1.7");

NVIO_END_DECLS

#endif
