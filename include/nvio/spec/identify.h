/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What Identify returns: controller, namespace, lists and descriptors, with the fields' own names. NVMe
 * Base 2.0 section 5.17.2; fields of the NVM command set: NVM Command Set 1.0 section 4.1.5.
 */
#ifndef NVIO_SPEC_IDENTIFY_H
#define NVIO_SPEC_IDENTIFY_H

#include <stddef.h>
#include <stdint.h>

#include <nvio/compiler.h>
#include <nvio/endian.h>

NVIO_BEGIN_DECLS

/* Power state descriptor (NVMe Base 2.0 section 5.17.2.1). */
struct nvio_power_state {
	nvio_le16 mp;         /* maximum power, in 0.01 W, or 0.0001 W with NVIO_PS_MXPS */
	uint8_t reserved2;
	uint8_t flags;
	nvio_le32 enlat;      /* entry latency, microseconds */
	nvio_le32 exlat;      /* exit latency */
	uint8_t rrt;          /* relative read throughput, read latency, write ...: lower is better */
	uint8_t rrl;
	uint8_t rwt;
	uint8_t rwl;
	nvio_le16 idlp;       /* idle power, scaled by ips */
	uint8_t ips;          /* 7:6 idle power scale */
	uint8_t reserved19;
	nvio_le16 actp;       /* active power, scaled by apws */
	uint8_t apws;         /* 2:0 workload, 7:6 scale */
	uint8_t reserved23[9];
};

nvio_static_assert(sizeof(struct nvio_power_state) == 32, "NVMe Base 2.0 section 5.17.2.1");
nvio_static_assert(offsetof(struct nvio_power_state, enlat) == 4, "NVMe Base 2.0 section 5.17.2.1");
nvio_static_assert(offsetof(struct nvio_power_state, rrt) == 12, "NVMe Base 2.0 section 5.17.2.1");
nvio_static_assert(offsetof(struct nvio_power_state, idlp) == 16, "NVMe Base 2.0 section 5.17.2.1");
nvio_static_assert(offsetof(struct nvio_power_state, actp) == 20, "NVMe Base 2.0 section 5.17.2.1");

#define NVIO_PS_MXPS 0x01 /* mp is in 0.0001 W */
#define NVIO_PS_NOPS 0x02 /* no I/O in this state */

#define NVIO_PS_MAX 32

/* Identify Controller, CNS 01h (NVMe Base 2.0 section 5.17.2.1). ASCII fields are padded with spaces. */
struct nvio_id_ctrlr {
	/* Controller capabilities and features. */
	nvio_le16 vid;
	nvio_le16 ssvid;
	uint8_t sn[20];
	uint8_t mn[40];
	uint8_t fr[8];
	uint8_t rab;
	uint8_t ieee[3];
	uint8_t cmic;
	uint8_t mdts;         /* largest transfer: 2^mdts pages of CAP.MPSMIN; 0: no limit */
	nvio_le16 cntlid;
	nvio_le32 ver;
	nvio_le32 rtd3r;      /* microseconds */
	nvio_le32 rtd3e;
	nvio_le32 oaes;
	nvio_le32 ctratt;
	nvio_le16 rrls;
	uint8_t reserved102[9];
	uint8_t cntrltype;
	uint8_t fguid[16];
	nvio_le16 crdt1;      /* command retry delays, in 100 ms */
	nvio_le16 crdt2;
	nvio_le16 crdt3;
	uint8_t reserved134[119];
	uint8_t nvmsr;
	uint8_t vwci;
	uint8_t mec;

	/* Admin command set attributes. */
	nvio_le16 oacs;
	uint8_t acl;          /* outstanding Aborts, 0's based */
	uint8_t aerl;         /* outstanding Asynchronous Event Requests, 0's based */
	uint8_t frmw;
	uint8_t lpa;
	uint8_t elpe;         /* error log entries, 0's based */
	uint8_t npss;         /* power states, 0's based */
	uint8_t avscc;
	uint8_t apsta;
	nvio_le16 wctemp;     /* Kelvin */
	nvio_le16 cctemp;
	nvio_le16 mtfa;       /* 100 ms */
	nvio_le32 hmpre;      /* 4 KiB */
	nvio_le32 hmmin;
	nvio_le128 tnvmcap;   /* bytes */
	nvio_le128 unvmcap;
	nvio_le32 rpmbs;
	nvio_le16 edstt;      /* minutes */
	uint8_t dsto;
	uint8_t fwug;         /* 4 KiB */
	nvio_le16 kas;        /* keep alive granularity in 100 ms; 0: no keep alive */
	nvio_le16 hctma;
	nvio_le16 mntmt;
	nvio_le16 mxtmt;
	nvio_le32 sanicap;
	nvio_le32 hmminds;
	nvio_le16 hmmaxd;
	nvio_le16 nsetidmax;
	nvio_le16 endgidmax;
	uint8_t anatt;
	uint8_t anacap;
	nvio_le32 anagrpmax;
	nvio_le32 nanagrpid;
	nvio_le32 pels;
	nvio_le16 domainid;
	uint8_t reserved358[10];
	nvio_le128 megcap;
	uint8_t reserved384[128];

	/* I/O command set attributes. */
	uint8_t sqes;         /* log2 of the entry size: required 3:0, largest 7:4 */
	uint8_t cqes;
	nvio_le16 maxcmd;
	nvio_le32 nn;         /* largest namespace identifier */
	nvio_le16 oncs;
	nvio_le16 fuses;
	uint8_t fna;
	uint8_t vwc;
	nvio_le16 awun;       /* blocks, 0's based */
	nvio_le16 awupf;
	uint8_t icsvscc;
	uint8_t nwpc;
	nvio_le16 acwu;
	nvio_le16 ocfs;
	nvio_le32 sgls;
	nvio_le32 mnan;
	nvio_le128 maxdna;
	nvio_le32 maxcna;
	uint8_t reserved564[204];
	uint8_t subnqn[256];  /* ends with a zero byte */
	uint8_t reserved1024[768];

	/* Fabrics. */
	nvio_le32 ioccsz;     /* 16 bytes */
	nvio_le32 iorcsz;
	nvio_le16 icdoff;
	uint8_t fcatt;
	uint8_t msdbd;
	nvio_le16 ofcs;
	uint8_t dctype;
	uint8_t reserved1807[241];

	struct nvio_power_state psd[NVIO_PS_MAX];
	uint8_t vs[1024];
};

nvio_static_assert(sizeof(struct nvio_id_ctrlr) == 4096, "NVMe Base 2.0 section 5.17.2.1");
nvio_static_assert(offsetof(struct nvio_id_ctrlr, sn) == 4, "NVMe Base 2.0 section 5.17.2.1");
nvio_static_assert(offsetof(struct nvio_id_ctrlr, mn) == 24, "NVMe Base 2.0 section 5.17.2.1");
nvio_static_assert(offsetof(struct nvio_id_ctrlr, fr) == 64, "NVMe Base 2.0 section 5.17.2.1");
nvio_static_assert(offsetof(struct nvio_id_ctrlr, mdts) == 77, "NVMe Base 2.0 section 5.17.2.1");
nvio_static_assert(offsetof(struct nvio_id_ctrlr, ver) == 80, "NVMe Base 2.0 section 5.17.2.1");
nvio_static_assert(offsetof(struct nvio_id_ctrlr, cntrltype) == 111, "NVMe Base 2.0 section 5.17.2.1");
nvio_static_assert(offsetof(struct nvio_id_ctrlr, nvmsr) == 253, "NVMe Base 2.0 section 5.17.2.1");
nvio_static_assert(offsetof(struct nvio_id_ctrlr, oacs) == 256, "NVMe Base 2.0 section 5.17.2.1");
nvio_static_assert(offsetof(struct nvio_id_ctrlr, wctemp) == 266, "NVMe Base 2.0 section 5.17.2.1");
nvio_static_assert(offsetof(struct nvio_id_ctrlr, tnvmcap) == 280, "NVMe Base 2.0 section 5.17.2.1");
nvio_static_assert(offsetof(struct nvio_id_ctrlr, kas) == 320, "NVMe Base 2.0 section 5.17.2.1");
nvio_static_assert(offsetof(struct nvio_id_ctrlr, sanicap) == 328, "NVMe Base 2.0 section 5.17.2.1");
nvio_static_assert(offsetof(struct nvio_id_ctrlr, domainid) == 356, "NVMe Base 2.0 section 5.17.2.1");
nvio_static_assert(offsetof(struct nvio_id_ctrlr, megcap) == 368, "NVMe Base 2.0 section 5.17.2.1");
nvio_static_assert(offsetof(struct nvio_id_ctrlr, sqes) == 512, "NVMe Base 2.0 section 5.17.2.1");
nvio_static_assert(offsetof(struct nvio_id_ctrlr, nn) == 516, "NVMe Base 2.0 section 5.17.2.1");
nvio_static_assert(offsetof(struct nvio_id_ctrlr, vwc) == 525, "NVMe Base 2.0 section 5.17.2.1");
nvio_static_assert(offsetof(struct nvio_id_ctrlr, sgls) == 536, "NVMe Base 2.0 section 5.17.2.1");
nvio_static_assert(offsetof(struct nvio_id_ctrlr, maxcna) == 560, "NVMe Base 2.0 section 5.17.2.1");
nvio_static_assert(offsetof(struct nvio_id_ctrlr, subnqn) == 768, "NVMe Base 2.0 section 5.17.2.1");
nvio_static_assert(offsetof(struct nvio_id_ctrlr, ioccsz) == 1792, "NVMe Base 2.0 section 5.17.2.1");
nvio_static_assert(offsetof(struct nvio_id_ctrlr, dctype) == 1806, "NVMe Base 2.0 section 5.17.2.1");
nvio_static_assert(offsetof(struct nvio_id_ctrlr, psd) == 2048, "NVMe Base 2.0 section 5.17.2.1");
nvio_static_assert(offsetof(struct nvio_id_ctrlr, vs) == 3072, "NVMe Base 2.0 section 5.17.2.1");

/* Bits of its fields. */
#define NVIO_CMIC_MULTI_PORT  (1u << 0)
#define NVIO_CMIC_MULTI_CTRLR (1u << 1)
#define NVIO_CMIC_SRIOV       (1u << 2)
#define NVIO_CMIC_ANA         (1u << 3)

/* OAES, and the same bits in the feature Asynchronous Event Configuration. */
#define NVIO_OAES_NS_ATTRIBUTES   (1u << 8)
#define NVIO_OAES_FIRMWARE        (1u << 9)
#define NVIO_OAES_TELEMETRY       (1u << 10) /* in the feature only; LPA tells of it */
#define NVIO_OAES_ANA             (1u << 11)
#define NVIO_OAES_PREDICTABLE     (1u << 12)
#define NVIO_OAES_LBA_STATUS      (1u << 13)
#define NVIO_OAES_ENDURANCE_GROUP (1u << 14)
#define NVIO_OAES_NORMAL_SHUTDOWN (1u << 15)
#define NVIO_OAES_DISCOVERY       (1u << 31)

#define NVIO_CTRATT_HOSTID_128     (1u << 0)
#define NVIO_CTRATT_NON_OP_PSP     (1u << 1)
#define NVIO_CTRATT_NVM_SETS       (1u << 2)
#define NVIO_CTRATT_READ_RECOVERY  (1u << 3)
#define NVIO_CTRATT_ENDURANCE_GROUPS (1u << 4)
#define NVIO_CTRATT_PREDICTABLE    (1u << 5)
#define NVIO_CTRATT_TBKAS          (1u << 6) /* keep alive by traffic */
#define NVIO_CTRATT_NS_GRANULARITY (1u << 7)
#define NVIO_CTRATT_SQ_ASSOCIATIONS (1u << 8)
#define NVIO_CTRATT_UUID_LIST      (1u << 9)
#define NVIO_CTRATT_MDS            (1u << 10) /* multi-domain subsystem */
#define NVIO_CTRATT_FIXED_CAPACITY (1u << 11)
#define NVIO_CTRATT_VARIABLE_CAPACITY (1u << 12)
#define NVIO_CTRATT_DELETE_ENDURANCE_GROUP (1u << 13)
#define NVIO_CTRATT_DELETE_NVM_SET (1u << 14)
#define NVIO_CTRATT_ELBAS          (1u << 15) /* extended LBA formats */

enum nvio_ctrlr_type {
	NVIO_CTRLR_TYPE_NOT_REPORTED = 0,
	NVIO_CTRLR_TYPE_IO           = 1,
	NVIO_CTRLR_TYPE_DISCOVERY    = 2,
	NVIO_CTRLR_TYPE_ADMIN        = 3,
};

#define NVIO_OACS_SECURITY   (1u << 0)
#define NVIO_OACS_FORMAT     (1u << 1)
#define NVIO_OACS_FIRMWARE   (1u << 2)
#define NVIO_OACS_NS_MANAGEMENT (1u << 3)
#define NVIO_OACS_SELF_TEST  (1u << 4)
#define NVIO_OACS_DIRECTIVES (1u << 5)
#define NVIO_OACS_MI         (1u << 6)
#define NVIO_OACS_VIRT_MANAGEMENT (1u << 7)
#define NVIO_OACS_DOORBELL_BUFFER (1u << 8)
#define NVIO_OACS_LBA_STATUS (1u << 9)
#define NVIO_OACS_LOCKDOWN   (1u << 10)

#define NVIO_FRMW_SLOT1_READ_ONLY (1u << 0)
#define NVIO_FRMW_NO_RESET        (1u << 4)
#define NVIO_FRMW_OVERLAP_DETECTED (1u << 5)

static inline uint32_t nvio_frmw_slots(uint8_t frmw) { return frmw >> 1 & 7; }

#define NVIO_LPA_SMART_PER_NS    (1u << 0)
#define NVIO_LPA_COMMAND_EFFECTS (1u << 1)
#define NVIO_LPA_EXTENDED        (1u << 2) /* 32-bit NUMD, and offsets */
#define NVIO_LPA_TELEMETRY       (1u << 3)
#define NVIO_LPA_PERSISTENT_EVENT (1u << 4)
#define NVIO_LPA_SUPPORTED_PAGES (1u << 5) /* log pages 00h, 05h (scope), 12h and 13h */
#define NVIO_LPA_TELEMETRY_AREA4 (1u << 6)

#define NVIO_SANICAP_CRYPTO    (1u << 0)
#define NVIO_SANICAP_BLOCK     (1u << 1)
#define NVIO_SANICAP_OVERWRITE (1u << 2)
#define NVIO_SANICAP_NDI       (1u << 29) /* no deallocate is inhibited */

/* Entry sizes for SQES and CQES. */
#define NVIO_SQES_64 0x66
#define NVIO_CQES_16 0x44

#define NVIO_ONCS_COMPARE      (1u << 0)
#define NVIO_ONCS_WRITE_UNCORRECTABLE (1u << 1)
#define NVIO_ONCS_DSM          (1u << 2)
#define NVIO_ONCS_WRITE_ZEROES (1u << 3)
#define NVIO_ONCS_SAVE         (1u << 4) /* Save in Set Features, Select in Get Features */
#define NVIO_ONCS_RESERVATIONS (1u << 5)
#define NVIO_ONCS_TIMESTAMP    (1u << 6)
#define NVIO_ONCS_VERIFY       (1u << 7)
#define NVIO_ONCS_COPY         (1u << 8)

#define NVIO_FUSES_COMPARE_WRITE (1u << 0)

#define NVIO_FNA_FORMAT_ALL (1u << 0)
#define NVIO_FNA_ERASE_ALL  (1u << 1)
#define NVIO_FNA_CRYPTO     (1u << 2)
#define NVIO_FNA_NO_BROADCAST (1u << 3)

#define NVIO_VWC_PRESENT (1u << 0)

/* VWC 2:1: whether Flush takes NSID FFFFFFFFh. */
enum nvio_vwc_flush {
	NVIO_VWC_FLUSH_UNKNOWN       = 0,
	NVIO_VWC_FLUSH_NO_BROADCAST  = 2,
	NVIO_VWC_FLUSH_BROADCAST     = 3,
};

static inline uint32_t nvio_vwc_flush(uint8_t vwc) { return vwc >> 1 & 3; }

/* NWPC */
#define NVIO_NWPC_WRITE_PROTECT (1u << 0)
#define NVIO_NWPC_UNTIL_POWER_CYCLE (1u << 1)
#define NVIO_NWPC_PERMANENT     (1u << 2)

/* SGLS 1:0: 0 no SGLs, 1 without and 2 with dword alignment. */
#define NVIO_SGLS_BYTE_ALIGNED (1u << 0)
#define NVIO_SGLS_DWORD_ALIGNED (1u << 1)
#define NVIO_SGLS_KEYED        (1u << 2)
#define NVIO_SGLS_BIT_BUCKET   (1u << 16)
#define NVIO_SGLS_METADATA_CONTIGUOUS (1u << 17)
#define NVIO_SGLS_OVERSIZE     (1u << 18)
#define NVIO_SGLS_METADATA_SGL (1u << 19)
#define NVIO_SGLS_OFFSET       (1u << 20)
#define NVIO_SGLS_TRANSPORT    (1u << 21)

/* Identify Controller of the NVM command set, CNS 06h CSI 00h (NVM Command Set 1.0 section 4.1.5). */
struct nvio_id_ctrlr_nvm {
	uint8_t vsl;          /* largest Verify, Write Zeroes, Write Uncorrectable: as mdts; 0: no limit */
	uint8_t wzsl;
	uint8_t wusl;
	uint8_t dmrl;         /* Dataset Management: ranges, blocks in a range, blocks in all; 0: no limit */
	nvio_le32 dmrsl;
	nvio_le64 dmsl;
	uint8_t reserved16[4080];
};

nvio_static_assert(sizeof(struct nvio_id_ctrlr_nvm) == 4096, "NVM Command Set 1.0 section 4.1.5");
nvio_static_assert(offsetof(struct nvio_id_ctrlr_nvm, dmrsl) == 4, "NVM Command Set 1.0 section 4.1.5");
nvio_static_assert(offsetof(struct nvio_id_ctrlr_nvm, dmsl) == 8, "NVM Command Set 1.0 section 4.1.5");

/* LBA format (NVM Command Set 1.0 section 4.1.5.1). */
struct nvio_lbaf {
	nvio_le16 ms;         /* metadata bytes */
	uint8_t ds;           /* log2 of the block size; below 9: not a format */
	uint8_t rp;           /* 1:0 relative performance, 0 is best */
};

nvio_static_assert(sizeof(struct nvio_lbaf) == 4, "NVM Command Set 1.0 section 4.1.5.1");

#define NVIO_LBAF_MAX 64

/* Identify Namespace of the NVM command set, CNS 00h (NVM Command Set 1.0 section 4.1.5.1). */
struct nvio_id_ns {
	nvio_le64 nsze;       /* blocks */
	nvio_le64 ncap;
	nvio_le64 nuse;
	uint8_t nsfeat;
	uint8_t nlbaf;        /* formats, 0's based */
	uint8_t flbas;
	uint8_t mc;
	uint8_t dpc;
	uint8_t dps;
	uint8_t nmic;
	uint8_t rescap;
	uint8_t fpi;
	uint8_t dlfeat;
	nvio_le16 nawun;      /* blocks, 0's based */
	nvio_le16 nawupf;
	nvio_le16 nacwu;
	nvio_le16 nabsn;
	nvio_le16 nabo;
	nvio_le16 nabspf;
	nvio_le16 noiob;
	nvio_le128 nvmcap;    /* bytes */
	nvio_le16 npwg;       /* blocks, 0's based */
	nvio_le16 npwa;
	nvio_le16 npdg;
	nvio_le16 npda;
	nvio_le16 nows;
	nvio_le16 mssrl;      /* Copy: blocks in a range, in all, ranges (0's based) */
	nvio_le32 mcl;
	uint8_t msrc;
	uint8_t reserved81;
	uint8_t nulbaf;
	uint8_t reserved83[9];
	nvio_le32 anagrpid;
	uint8_t reserved96[3];
	uint8_t nsattr;
	nvio_le16 nvmsetid;
	nvio_le16 endgid;
	uint8_t nguid[16];    /* big-endian */
	uint8_t eui64[8];     /* big-endian */
	struct nvio_lbaf lbaf[NVIO_LBAF_MAX];
	uint8_t vs[3712];
};

nvio_static_assert(sizeof(struct nvio_id_ns) == 4096, "NVM Command Set 1.0 section 4.1.5.1");
nvio_static_assert(offsetof(struct nvio_id_ns, nsfeat) == 24, "NVM Command Set 1.0 section 4.1.5.1");
nvio_static_assert(offsetof(struct nvio_id_ns, dlfeat) == 33, "NVM Command Set 1.0 section 4.1.5.1");
nvio_static_assert(offsetof(struct nvio_id_ns, nawun) == 34, "NVM Command Set 1.0 section 4.1.5.1");
nvio_static_assert(offsetof(struct nvio_id_ns, nvmcap) == 48, "NVM Command Set 1.0 section 4.1.5.1");
nvio_static_assert(offsetof(struct nvio_id_ns, mssrl) == 74, "NVM Command Set 1.0 section 4.1.5.1");
nvio_static_assert(offsetof(struct nvio_id_ns, mcl) == 76, "NVM Command Set 1.0 section 4.1.5.1");
nvio_static_assert(offsetof(struct nvio_id_ns, anagrpid) == 92, "NVM Command Set 1.0 section 4.1.5.1");
nvio_static_assert(offsetof(struct nvio_id_ns, nsattr) == 99, "NVM Command Set 1.0 section 4.1.5.1");
nvio_static_assert(offsetof(struct nvio_id_ns, nguid) == 104, "NVM Command Set 1.0 section 4.1.5.1");
nvio_static_assert(offsetof(struct nvio_id_ns, eui64) == 120, "NVM Command Set 1.0 section 4.1.5.1");
nvio_static_assert(offsetof(struct nvio_id_ns, lbaf) == 128, "NVM Command Set 1.0 section 4.1.5.1");
nvio_static_assert(offsetof(struct nvio_id_ns, vs) == 384, "NVM Command Set 1.0 section 4.1.5.1");

#define NVIO_NSFEAT_THIN     (1u << 0)
#define NVIO_NSFEAT_ATOMIC   (1u << 1) /* nawun, nawupf, nacwu count instead of the controller's */
#define NVIO_NSFEAT_DAE      (1u << 2) /* deallocated or unwritten block error */
#define NVIO_NSFEAT_UIDREUSE (1u << 3)
#define NVIO_NSFEAT_OPTPERF  (1u << 4) /* npwg, npwa, npdg, npda, nows count */

#define NVIO_FLBAS_EXTENDED  (1u << 4) /* metadata at the end of each block's data */

/* The index into lbaf: FLBAS 3:0, and with more than 16 formats 6:5 above it. */
static inline uint32_t nvio_flbas_index(uint8_t flbas, uint8_t nlbaf)
{
	return (flbas & 0xfu) | (nlbaf > 15 ? (flbas >> 5 & 3u) << 4 : 0);
}

static inline uint8_t nvio_flbas_build(uint32_t index, uint32_t extended)
{
	return (uint8_t)((index & 0xf) | (extended & 1) << 4 | (index >> 4 & 3) << 5);
}

#define NVIO_MC_EXTENDED (1u << 0)
#define NVIO_MC_SEPARATE (1u << 1)

#define NVIO_DPC_TYPE1 (1u << 0)
#define NVIO_DPC_TYPE2 (1u << 1)
#define NVIO_DPC_TYPE3 (1u << 2)
#define NVIO_DPC_FIRST (1u << 3)
#define NVIO_DPC_LAST  (1u << 4)

#define NVIO_DPS_TYPE_MASK 0x7 /* 0: no protection information; else the type */
#define NVIO_DPS_FIRST     (1u << 3)

#define NVIO_NMIC_SHARED (1u << 0)

#define NVIO_RESCAP_PTPL (1u << 0) /* persist through power loss */
#define NVIO_RESCAP_WE   (1u << 1) /* write exclusive, exclusive access; registrants only, all registrants */
#define NVIO_RESCAP_EA   (1u << 2)
#define NVIO_RESCAP_WERO (1u << 3)
#define NVIO_RESCAP_EARO (1u << 4)
#define NVIO_RESCAP_WEAR (1u << 5)
#define NVIO_RESCAP_EAAR (1u << 6)
#define NVIO_RESCAP_IEKEY13 (1u << 7)

#define NVIO_DLFEAT_READ_MASK    0x7
#define NVIO_DLFEAT_READ_UNKNOWN 0x0
#define NVIO_DLFEAT_READ_ZEROS   0x1
#define NVIO_DLFEAT_READ_ONES    0x2
#define NVIO_DLFEAT_WRITE_ZEROES (1u << 3) /* DEAC of Write Zeroes is honoured */
#define NVIO_DLFEAT_GUARD        (1u << 4)

#define NVIO_NSATTR_WRITE_PROTECTED (1u << 0)

/*
 * Active or allocated namespace list, CNS 02h, 07h, 10h, 1Ah (NVMe Base 2.0 section 5.17.2.2): ascending, 0
 * ends it.
 */
#define NVIO_NS_LIST_MAX 1024

struct nvio_ns_list {
	nvio_le32 nsid[NVIO_NS_LIST_MAX];
};

nvio_static_assert(sizeof(struct nvio_ns_list) == 4096, "NVMe Base 2.0 section 5.17.2.2");

/* Controller list, CNS 12h, 13h (NVMe Base 2.0 section 4.4.1): ascending. */
#define NVIO_CTRLR_LIST_MAX 2047

struct nvio_ctrlr_list {
	nvio_le16 num;
	nvio_le16 cntlid[NVIO_CTRLR_LIST_MAX];
};

nvio_static_assert(sizeof(struct nvio_ctrlr_list) == 4096, "NVMe Base 2.0 section 4.4.1");

/*
 * One of the list CNS 03h (NVMe Base 2.0 section 5.17.2.3); nidl bytes of identifier follow; nidt 0 ends
 * the list.
 */
struct nvio_id_ns_desc {
	uint8_t nidt;
	uint8_t nidl;
	uint8_t reserved2[2];
};

nvio_static_assert(sizeof(struct nvio_id_ns_desc) == 4, "NVMe Base 2.0 section 5.17.2.3");

enum nvio_nidt {
	NVIO_NIDT_EUI64 = 1,
	NVIO_NIDT_NGUID = 2,
	NVIO_NIDT_UUID  = 3,
	NVIO_NIDT_CSI   = 4,
};

enum nvio_nidl {
	NVIO_NIDL_EUI64 = 8,
	NVIO_NIDL_NGUID = 16,
	NVIO_NIDL_UUID  = 16,
	NVIO_NIDL_CSI   = 1,
};

/* I/O command set independent namespace, CNS 08h (NVMe Base 2.0 section 5.17.2.8). */
struct nvio_id_ns_independent {
	uint8_t nsfeat;
	uint8_t nmic;
	uint8_t rescap;
	uint8_t fpi;
	nvio_le32 anagrpid;
	uint8_t nsattr;
	uint8_t reserved9;
	nvio_le16 nvmsetid;
	nvio_le16 endgid;
	uint8_t nstat;        /* bit 0: ready */
	uint8_t reserved15[4081];
};

nvio_static_assert(sizeof(struct nvio_id_ns_independent) == 4096, "NVMe Base 2.0 section 5.17.2.8");
nvio_static_assert(offsetof(struct nvio_id_ns_independent, anagrpid) == 4, "NVMe Base 2.0 section 5.17.2.8");
nvio_static_assert(offsetof(struct nvio_id_ns_independent, nstat) == 14, "NVMe Base 2.0 section 5.17.2.8");

#define NVIO_NSTAT_READY (1u << 0)

NVIO_END_DECLS

#endif
