/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What travels in the queues: the submission queue entry, the completion queue entry and the SGL descriptor.
 */
#ifndef NVIO_SPEC_COMMAND_H
#define NVIO_SPEC_COMMAND_H

#include <stddef.h>
#include <stdint.h>

#include <nvio/compiler.h>
#include <nvio/endian.h>
#include <nvio/libc.h>

NVIO_BEGIN_DECLS

#define NVIO_NSID_NONE 0u
#define NVIO_NSID_ALL  0xffffffffu /* broadcast */

/* Submission queue entry (NVMe Base 2.0 section 3.3.3.1). */
struct nvio_sqe {
	uint8_t opc;
	uint8_t flags;     /* FUSE 1:0, PSDT 7:6 */
	nvio_le16 cid;
	nvio_le32 nsid;
	nvio_le32 cdw2;
	nvio_le32 cdw3;
	nvio_le64 mptr;
	nvio_le64 prp1;    /* with prp2: the data pointer, two PRPs or one SGL descriptor */
	nvio_le64 prp2;
	nvio_le32 cdw10;
	nvio_le32 cdw11;
	nvio_le32 cdw12;
	nvio_le32 cdw13;
	nvio_le32 cdw14;
	nvio_le32 cdw15;
};

nvio_static_assert(sizeof(struct nvio_sqe) == 64, "NVMe Base 2.0 section 3.3.3.1");
nvio_static_assert(offsetof(struct nvio_sqe, cid) == 2, "NVMe Base 2.0 section 3.3.3.1");
nvio_static_assert(offsetof(struct nvio_sqe, nsid) == 4, "NVMe Base 2.0 section 3.3.3.1");
nvio_static_assert(offsetof(struct nvio_sqe, mptr) == 16, "NVMe Base 2.0 section 3.3.3.1");
nvio_static_assert(offsetof(struct nvio_sqe, prp1) == 24, "NVMe Base 2.0 section 3.3.3.1");
nvio_static_assert(offsetof(struct nvio_sqe, cdw10) == 40, "NVMe Base 2.0 section 3.3.3.1");
nvio_static_assert(offsetof(struct nvio_sqe, cdw15) == 60, "NVMe Base 2.0 section 3.3.3.1");

#define NVIO_SQE_FUSE_MASK   0x03
#define NVIO_SQE_FUSE_NONE   0x00
#define NVIO_SQE_FUSE_FIRST  0x01
#define NVIO_SQE_FUSE_SECOND 0x02
#define NVIO_SQE_PSDT_MASK     0xc0
#define NVIO_SQE_PSDT_PRP      0x00
#define NVIO_SQE_PSDT_SGL      0x40 /* metadata, if any, is one contiguous buffer */
#define NVIO_SQE_PSDT_SGL_MSGL 0x80 /* metadata is an SGL too */

/* Completion queue entry (NVMe Base 2.0 section 3.3.3.2). */
struct nvio_cqe {
	nvio_le32 dw0;     /* command specific */
	nvio_le32 dw1;
	nvio_le16 sqhd;
	nvio_le16 sqid;
	nvio_le16 cid;
	nvio_le16 status;  /* bit 0: phase tag; 15:1: status field, NVIO_SF() of spec/status.h */
};

nvio_static_assert(sizeof(struct nvio_cqe) == 16, "NVMe Base 2.0 section 3.3.3.2");
nvio_static_assert(offsetof(struct nvio_cqe, sqhd) == 8, "NVMe Base 2.0 section 3.3.3.2");
nvio_static_assert(offsetof(struct nvio_cqe, sqid) == 10, "NVMe Base 2.0 section 3.3.3.2");
nvio_static_assert(offsetof(struct nvio_cqe, cid) == 12, "NVMe Base 2.0 section 3.3.3.2");
nvio_static_assert(offsetof(struct nvio_cqe, status) == 14, "NVMe Base 2.0 section 3.3.3.2");

/* The 16 bits of cqe.status in host order, and back. */
static inline uint16_t nvio_cqe_status_build(uint32_t sf, uint32_t phase)
{
	return (uint16_t)(sf << 1 | (phase & 1));
}

static inline uint16_t nvio_cqe_status_sf(uint16_t status) { return status >> 1; }
static inline uint16_t nvio_cqe_status_phase(uint16_t status) { return status & 1; }

/* SGL descriptor (NVMe Base 2.0 section 4.1.2.1). */
struct nvio_sgl_desc {
	nvio_le64 addr;
	nvio_le32 len;
	uint8_t reserved12[3];
	uint8_t id;        /* type 7:4, sub type 3:0 */
};

nvio_static_assert(sizeof(struct nvio_sgl_desc) == 16, "NVMe Base 2.0 section 4.1.2.1");
nvio_static_assert(offsetof(struct nvio_sgl_desc, len) == 8, "NVMe Base 2.0 section 4.1.2.1");
nvio_static_assert(offsetof(struct nvio_sgl_desc, id) == 15, "NVMe Base 2.0 section 4.1.2.1");

enum nvio_sgl_type {
	NVIO_SGL_DATA         = 0x0,
	NVIO_SGL_BIT_BUCKET   = 0x1,
	NVIO_SGL_SEGMENT      = 0x2,
	NVIO_SGL_LAST_SEGMENT = 0x3,
	NVIO_SGL_KEYED_DATA   = 0x4,
	NVIO_SGL_TRANSPORT    = 0x5,
	NVIO_SGL_VENDOR       = 0xf,
};

enum nvio_sgl_subtype {
	NVIO_SGL_ADDRESS    = 0x0,
	NVIO_SGL_OFFSET     = 0x1, /* addr is an offset: in-capsule data */
	NVIO_SGL_INVALIDATE = 0xf, /* keyed: the remote key ends with the command */
};

static inline uint8_t nvio_sgl_id(uint32_t type, uint32_t subtype)
{
	return (uint8_t)((type & 0xf) << 4 | (subtype & 0xf));
}

static inline uint32_t nvio_sgl_id_type(uint8_t id) { return id >> 4; }
static inline uint32_t nvio_sgl_id_subtype(uint8_t id) { return id & 0xf; }

/* The data pointer taken as SGL descriptor 1 (PSDT is the caller's to set). */
static inline struct nvio_sgl_desc nvio_sqe_sgl(const struct nvio_sqe *sqe)
{
	struct nvio_sgl_desc d;

	memcpy(&d, (const uint8_t *)sqe + offsetof(struct nvio_sqe, prp1), sizeof(d));
	return d;
}

static inline void nvio_sqe_set_sgl(struct nvio_sqe *sqe, struct nvio_sgl_desc d)
{
	memcpy((uint8_t *)sqe + offsetof(struct nvio_sqe, prp1), &d, sizeof(d));
}

NVIO_END_DECLS

#endif
