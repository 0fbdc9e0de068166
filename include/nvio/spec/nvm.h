/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The NVM command set: opcodes, the bits of its command dwords in host byte order, and the ranges of Dataset
 * Management and Copy. NVM Command Set 1.0 section 3; Flush and reservations: NVMe Base 2.0 section 7.
 */
#ifndef NVIO_SPEC_NVM_H
#define NVIO_SPEC_NVM_H

#include <stddef.h>
#include <stdint.h>

#include <nvio/compiler.h>
#include <nvio/endian.h>

NVIO_BEGIN_DECLS

/* Opcodes (NVM Command Set 1.0 section 3; NVMe Base 2.0 section 7). */
enum nvio_nvm_opc {
	NVIO_NVM_FLUSH               = 0x00,
	NVIO_NVM_WRITE               = 0x01,
	NVIO_NVM_READ                = 0x02,
	NVIO_NVM_WRITE_UNCORRECTABLE = 0x04,
	NVIO_NVM_COMPARE             = 0x05,
	NVIO_NVM_WRITE_ZEROES        = 0x08,
	NVIO_NVM_DSM                 = 0x09,
	NVIO_NVM_VERIFY              = 0x0c,
	NVIO_NVM_RESERVATION_REGISTER = 0x0d,
	NVIO_NVM_RESERVATION_REPORT  = 0x0e,
	NVIO_NVM_RESERVATION_ACQUIRE = 0x11,
	NVIO_NVM_RESERVATION_RELEASE = 0x15,
	NVIO_NVM_COPY                = 0x19,
	NVIO_NVM_VENDOR_FIRST        = 0x80,
};

/*
 * cdw12 of Read, Write, Compare, Write Zeroes, Verify (sections 3.2.1 to 3.2.8); the block count, 0's
 * based, in 15:0.
 */
#define NVIO_RW_NLB_MASK     0xffffu
#define NVIO_RW_DTYPE_STREAMS (1u << 20) /* directive type, 23:20; the specific value is cdw13 31:16 */
#define NVIO_RW_STC          (1u << 24) /* storage tag check */
#define NVIO_RW_DEAC         (1u << 25) /* Write Zeroes: deallocate */
#define NVIO_RW_PRCHK_REF    (1u << 26)
#define NVIO_RW_PRCHK_APP    (1u << 27)
#define NVIO_RW_PRCHK_GUARD  (1u << 28)
#define NVIO_RW_PRACT        (1u << 29) /* the controller inserts and strips protection information */
#define NVIO_RW_FUA          (1u << 30)
#define NVIO_RW_LR           (1u << 31) /* limited retry */

/* cdw10 is the low half of the first block's address and cdw11 the high. nlb is 0's based; flags as above. */
static inline uint32_t nvio_rw_cdw12(uint32_t nlb, uint32_t flags)
{
	return (nlb & NVIO_RW_NLB_MASK) | flags;
}

static inline uint32_t nvio_rw_nlb(uint32_t cdw12) { return cdw12 & NVIO_RW_NLB_MASK; }
static inline uint32_t nvio_rw_prinfo(uint32_t cdw12) { return cdw12 >> 26 & 0xf; }

/* Dataset Management (section 3.2.3): cdw10 7:0 is the number of ranges, 0's based; cdw11 the attributes. */
#define NVIO_DSM_IDR (1u << 0) /* integral dataset for read */
#define NVIO_DSM_IDW (1u << 1) /* integral dataset for write */
#define NVIO_DSM_AD  (1u << 2) /* deallocate */

#define NVIO_DSM_MAX_RANGES 256

struct nvio_dsm_range {
	nvio_le32 cattr; /* context attributes */
	nvio_le32 nlb;   /* number of blocks; not 0's based */
	nvio_le64 slba;
};

nvio_static_assert(sizeof(struct nvio_dsm_range) == 16, "NVM Command Set 1.0 section 3.2.3");
nvio_static_assert(offsetof(struct nvio_dsm_range, nlb) == 4, "NVM Command Set 1.0 section 3.2.3");
nvio_static_assert(offsetof(struct nvio_dsm_range, slba) == 8, "NVM Command Set 1.0 section 3.2.3");

/*
 * Copy (section 3.2.2): cdw10 and cdw11 are the destination; cdw12 has the number of ranges, 0's based, in
 * 7:0, the format in 11:8, PRINFOR in 15:12, and from 20 on the same bits as Write.
 */
#define NVIO_COPY_MAX_RANGES 256

static inline uint32_t nvio_copy_cdw12(uint32_t nr, uint32_t format, uint32_t flags)
{
	return (nr & 0xff) | (format & 0xf) << 8 | flags;
}

static inline uint32_t nvio_copy_nr(uint32_t cdw12) { return cdw12 & 0xff; }
static inline uint32_t nvio_copy_format(uint32_t cdw12) { return cdw12 >> 8 & 0xf; }

/* Source range, descriptor format 0 (section 3.2.2). */
struct nvio_copy_range {
	uint8_t reserved0[8];
	nvio_le64 slba;
	nvio_le16 nlb;    /* 0's based */
	uint8_t reserved18[6];
	nvio_le32 eilbrt;
	nvio_le16 elbat;
	nvio_le16 elbatm;
};

nvio_static_assert(sizeof(struct nvio_copy_range) == 32, "NVM Command Set 1.0 section 3.2.2");
nvio_static_assert(offsetof(struct nvio_copy_range, slba) == 8, "NVM Command Set 1.0 section 3.2.2");
nvio_static_assert(offsetof(struct nvio_copy_range, nlb) == 16, "NVM Command Set 1.0 section 3.2.2");
nvio_static_assert(offsetof(struct nvio_copy_range, eilbrt) == 24, "NVM Command Set 1.0 section 3.2.2");
nvio_static_assert(offsetof(struct nvio_copy_range, elbat) == 28, "NVM Command Set 1.0 section 3.2.2");
nvio_static_assert(offsetof(struct nvio_copy_range, elbatm) == 30, "NVM Command Set 1.0 section 3.2.2");

NVIO_END_DECLS

#endif
