/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Controller properties: where they lie and what their bits mean. Everything here works on host-order
 * integers, as an MMIO read returns them; the structs are decoded forms, not layouts. NVMe Base 2.0 section
 * 3.1.3.
 */
#ifndef NVIO_SPEC_REGS_H
#define NVIO_SPEC_REGS_H

#include <stdint.h>

#include <nvio/compiler.h>

NVIO_BEGIN_DECLS

/* Offsets in bytes (NVMe Base 2.0 section 3.1.3). */
enum nvio_reg {
	NVIO_REG_CAP      = 0x00, /* 8 bytes */
	NVIO_REG_VS       = 0x08,
	NVIO_REG_INTMS    = 0x0c,
	NVIO_REG_INTMC    = 0x10,
	NVIO_REG_CC       = 0x14,
	NVIO_REG_CSTS     = 0x1c,
	NVIO_REG_NSSR     = 0x20,
	NVIO_REG_AQA      = 0x24,
	NVIO_REG_ASQ      = 0x28, /* 8 bytes */
	NVIO_REG_ACQ      = 0x30, /* 8 bytes */
	NVIO_REG_CMBLOC   = 0x38,
	NVIO_REG_CMBSZ    = 0x3c,
	NVIO_REG_BPINFO   = 0x40,
	NVIO_REG_BPRSEL   = 0x44,
	NVIO_REG_BPMBL    = 0x48, /* 8 bytes */
	NVIO_REG_CMBMSC   = 0x50, /* 8 bytes */
	NVIO_REG_CMBSTS   = 0x58,
	NVIO_REG_CMBEBS   = 0x5c,
	NVIO_REG_CMBSWTP  = 0x60,
	NVIO_REG_NSSD     = 0x64,
	NVIO_REG_CRTO     = 0x68,
	NVIO_REG_PMRCAP   = 0xe00,
	NVIO_REG_PMRCTL   = 0xe04,
	NVIO_REG_PMRSTS   = 0xe08,
	NVIO_REG_PMREBS   = 0xe0c,
	NVIO_REG_PMRSWTP  = 0xe10,
	NVIO_REG_PMRMSCL  = 0xe14,
	NVIO_REG_PMRMSCU  = 0xe18,
	NVIO_REG_DOORBELL = 0x1000, /* PCIe Transport 1.0 section 3.1.2 */
};

/* What NSSR must be written with to reset the subsystem: "NVMe" in ASCII (section 3.1.3.7). */
#define NVIO_NSSR_RESET 0x4e564d65u

/* Where the doorbells of queue `qid` lie, by CAP.DSTRD (PCIe Transport 1.0 sections 3.1.2.1 and 3.1.2.2). */
static inline uint32_t nvio_sq_tail_doorbell(uint32_t qid, uint32_t dstrd)
{
	return NVIO_REG_DOORBELL + (2 * qid) * (4u << dstrd);
}

static inline uint32_t nvio_cq_head_doorbell(uint32_t qid, uint32_t dstrd)
{
	return NVIO_REG_DOORBELL + (2 * qid + 1) * (4u << dstrd);
}

/* CAP, Controller Capabilities (section 3.1.3.1). */
enum nvio_cap_css {
	NVIO_CAP_CSS_NVM   = 1 << 0, /* bits of the field CSS */
	NVIO_CAP_CSS_IOCSS = 1 << 6, /* one or more I/O command sets, chosen by CSI */
	NVIO_CAP_CSS_NONE  = 1 << 7, /* the admin command set only */
};

enum nvio_cap_ams {
	NVIO_CAP_AMS_WRR    = 1 << 0, /* weighted round robin with urgent priority class */
	NVIO_CAP_AMS_VENDOR = 1 << 1,
};

enum nvio_cap_crms {
	NVIO_CAP_CRMS_CRWMS = 1 << 0, /* ready with media */
	NVIO_CAP_CRMS_CRIMS = 1 << 1, /* ready independent of media */
};

/* A decoded CAP; values are the fields' own (MQES and MPS as encoded). */
struct nvio_cap {
	uint16_t mqes;   /* entries of the largest I/O queue, 0's based */
	uint8_t cqr;     /* queues must be contiguous */
	uint8_t ams;
	uint8_t to;      /* worst time until ready, in 500 ms */
	uint8_t dstrd;   /* doorbell stride is 4 << dstrd bytes */
	uint8_t nssrs;   /* NSSR works */
	uint8_t css;
	uint8_t bps;
	uint8_t cps;
	uint8_t mpsmin;  /* page size is 4096 << mps bytes */
	uint8_t mpsmax;
	uint8_t pmrs;
	uint8_t cmbs;
	uint8_t nsss;
	uint8_t crms;
};

static inline uint32_t nvio_cap_mqes(uint64_t cap) { return (uint32_t)(cap & 0xffff); }
static inline uint32_t nvio_cap_cqr(uint64_t cap) { return (uint32_t)(cap >> 16) & 1; }
static inline uint32_t nvio_cap_ams(uint64_t cap) { return (uint32_t)(cap >> 17) & 3; }
static inline uint32_t nvio_cap_to(uint64_t cap) { return (uint32_t)(cap >> 24) & 0xff; }
static inline uint32_t nvio_cap_dstrd(uint64_t cap) { return (uint32_t)(cap >> 32) & 0xf; }
static inline uint32_t nvio_cap_nssrs(uint64_t cap) { return (uint32_t)(cap >> 36) & 1; }
static inline uint32_t nvio_cap_css(uint64_t cap) { return (uint32_t)(cap >> 37) & 0xff; }
static inline uint32_t nvio_cap_bps(uint64_t cap) { return (uint32_t)(cap >> 45) & 1; }
static inline uint32_t nvio_cap_cps(uint64_t cap) { return (uint32_t)(cap >> 46) & 3; }
static inline uint32_t nvio_cap_mpsmin(uint64_t cap) { return (uint32_t)(cap >> 48) & 0xf; }
static inline uint32_t nvio_cap_mpsmax(uint64_t cap) { return (uint32_t)(cap >> 52) & 0xf; }
static inline uint32_t nvio_cap_pmrs(uint64_t cap) { return (uint32_t)(cap >> 56) & 1; }
static inline uint32_t nvio_cap_cmbs(uint64_t cap) { return (uint32_t)(cap >> 57) & 1; }
static inline uint32_t nvio_cap_nsss(uint64_t cap) { return (uint32_t)(cap >> 58) & 1; }
static inline uint32_t nvio_cap_crms(uint64_t cap) { return (uint32_t)(cap >> 59) & 3; }

/* Bits of a value that its field has no room for are dropped. */
static inline uint64_t nvio_cap_build(const struct nvio_cap *c)
{
	return (uint64_t)c->mqes | (uint64_t)(c->cqr & 1) << 16 | (uint64_t)(c->ams & 3) << 17 |
		(uint64_t)c->to << 24 | (uint64_t)(c->dstrd & 0xf) << 32 | (uint64_t)(c->nssrs & 1) << 36 |
		(uint64_t)c->css << 37 | (uint64_t)(c->bps & 1) << 45 | (uint64_t)(c->cps & 3) << 46 |
		(uint64_t)(c->mpsmin & 0xf) << 48 | (uint64_t)(c->mpsmax & 0xf) << 52 |
		(uint64_t)(c->pmrs & 1) << 56 | (uint64_t)(c->cmbs & 1) << 57 |
		(uint64_t)(c->nsss & 1) << 58 | (uint64_t)(c->crms & 3) << 59;
}

/* VS, Version (section 3.1.3.2); also Identify Controller's VER. */
static inline uint32_t nvio_vs(uint32_t major, uint32_t minor, uint32_t tertiary)
{
	return major << 16 | (minor & 0xff) << 8 | (tertiary & 0xff);
}

static inline uint32_t nvio_vs_major(uint32_t vs) { return vs >> 16; }
static inline uint32_t nvio_vs_minor(uint32_t vs) { return vs >> 8 & 0xff; }
static inline uint32_t nvio_vs_tertiary(uint32_t vs) { return vs & 0xff; }

/* CC, Controller Configuration (section 3.1.3.5). */
enum nvio_cc_css {
	NVIO_CC_CSS_NVM   = 0,
	NVIO_CC_CSS_ALL   = 6, /* all supported I/O command sets */
	NVIO_CC_CSS_ADMIN = 7, /* the admin command set only */
};

enum nvio_cc_ams {
	NVIO_CC_AMS_RR     = 0,
	NVIO_CC_AMS_WRR    = 1,
	NVIO_CC_AMS_VENDOR = 7,
};

enum nvio_cc_shn {
	NVIO_CC_SHN_NONE   = 0,
	NVIO_CC_SHN_NORMAL = 1,
	NVIO_CC_SHN_ABRUPT = 2,
};

/* A decoded CC. */
struct nvio_cc {
	uint8_t en;
	uint8_t css;
	uint8_t mps;
	uint8_t ams;
	uint8_t shn;
	uint8_t iosqes; /* log2 of bytes */
	uint8_t iocqes;
	uint8_t crime;
};

static inline uint32_t nvio_cc_en(uint32_t cc) { return cc & 1; }
static inline uint32_t nvio_cc_css(uint32_t cc) { return cc >> 4 & 7; }
static inline uint32_t nvio_cc_mps(uint32_t cc) { return cc >> 7 & 0xf; }
static inline uint32_t nvio_cc_ams(uint32_t cc) { return cc >> 11 & 7; }
static inline uint32_t nvio_cc_shn(uint32_t cc) { return cc >> 14 & 3; }
static inline uint32_t nvio_cc_iosqes(uint32_t cc) { return cc >> 16 & 0xf; }
static inline uint32_t nvio_cc_iocqes(uint32_t cc) { return cc >> 20 & 0xf; }
static inline uint32_t nvio_cc_crime(uint32_t cc) { return cc >> 24 & 1; }

static inline uint32_t nvio_cc_build(const struct nvio_cc *c)
{
	return (c->en & 1u) | (c->css & 7u) << 4 | (c->mps & 0xfu) << 7 | (c->ams & 7u) << 11 |
		(c->shn & 3u) << 14 | (c->iosqes & 0xfu) << 16 | (c->iocqes & 0xfu) << 20 |
		(c->crime & 1u) << 24;
}

/* The same CC with another EN or SHN: what a host changes in a running controller. */
static inline uint32_t nvio_cc_with_en(uint32_t cc, uint32_t en)
{
	return (cc & ~1u) | (en & 1);
}

static inline uint32_t nvio_cc_with_shn(uint32_t cc, uint32_t shn)
{
	return (cc & ~(3u << 14)) | (shn & 3) << 14;
}

/*
 * CSTS, Controller Status (section 3.1.3.6). A read of all ones means that there is no controller any more.
 */
#define NVIO_CSTS_GONE 0xffffffffu

enum nvio_csts_shst {
	NVIO_CSTS_SHST_NORMAL    = 0, /* no shutdown has been asked for */
	NVIO_CSTS_SHST_OCCURRING = 1,
	NVIO_CSTS_SHST_COMPLETE  = 2,
};

/* A decoded CSTS. */
struct nvio_csts {
	uint8_t rdy;
	uint8_t cfs;   /* controller fatal status */
	uint8_t shst;
	uint8_t nssro; /* a subsystem reset has occurred */
	uint8_t pp;    /* processing is paused */
	uint8_t st;    /* the shutdown is the subsystem's */
};

static inline uint32_t nvio_csts_rdy(uint32_t csts) { return csts & 1; }
static inline uint32_t nvio_csts_cfs(uint32_t csts) { return csts >> 1 & 1; }
static inline uint32_t nvio_csts_shst(uint32_t csts) { return csts >> 2 & 3; }
static inline uint32_t nvio_csts_nssro(uint32_t csts) { return csts >> 4 & 1; }
static inline uint32_t nvio_csts_pp(uint32_t csts) { return csts >> 5 & 1; }
static inline uint32_t nvio_csts_st(uint32_t csts) { return csts >> 6 & 1; }

static inline uint32_t nvio_csts_build(const struct nvio_csts *c)
{
	return (c->rdy & 1u) | (c->cfs & 1u) << 1 | (c->shst & 3u) << 2 | (c->nssro & 1u) << 4 |
		(c->pp & 1u) << 5 | (c->st & 1u) << 6;
}

/* AQA, Admin Queue Attributes (section 3.1.3.8): both sizes 0's based, 2 to 4096 entries. */
#define NVIO_ADMIN_QUEUE_MIN 2
#define NVIO_ADMIN_QUEUE_MAX 4096

static inline uint32_t nvio_aqa_asqs(uint32_t aqa) { return aqa & 0xfff; }
static inline uint32_t nvio_aqa_acqs(uint32_t aqa) { return aqa >> 16 & 0xfff; }

static inline uint32_t nvio_aqa_build(uint32_t asqs, uint32_t acqs)
{
	return (asqs & 0xfff) | (acqs & 0xfff) << 16;
}

/* CRTO, Controller Ready Timeouts (section 3.1.3.21), both in 500 ms. */
static inline uint32_t nvio_crto_crwmt(uint32_t crto) { return crto & 0xffff; }
static inline uint32_t nvio_crto_crimt(uint32_t crto) { return crto >> 16; }

static inline uint32_t nvio_crto_build(uint32_t crwmt, uint32_t crimt)
{
	return (crwmt & 0xffff) | (crimt & 0xffff) << 16;
}

NVIO_END_DECLS

#endif
