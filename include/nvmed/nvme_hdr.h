/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * NVMe commands as programs for NVMeDirect name them: opcodes (NVM Command Set 1.0 section 3.2), and the layouts of a command, its
 * completion and a range to deallocate (NVMe Base 2.0 sections 3.3.3.1 and 3.3.3.2). All fields are little-endian.
 */
#ifndef NVMED_NVME_HDR_H
#define NVMED_NVME_HDR_H

#include <linux/types.h>

enum nvme_opcode {
	nvme_cmd_flush = 0x00,
	nvme_cmd_write = 0x01,
	nvme_cmd_read = 0x02,
	nvme_cmd_write_uncor = 0x04,
	nvme_cmd_compare = 0x05,
	nvme_cmd_write_zeroes = 0x08,
	nvme_cmd_dsm = 0x09,
	nvme_cmd_resv_register = 0x0d,
	nvme_cmd_resv_report = 0x0e,
	nvme_cmd_resv_acquire = 0x11,
	nvme_cmd_resv_release = 0x15,
};

enum {
	NVME_DSMGMT_IDR = 1 << 0,
	NVME_DSMGMT_IDW = 1 << 1,
	NVME_DSMGMT_AD = 1 << 2,
};

struct nvme_common_command {
	__u8 opcode;
	__u8 flags;
	__u16 command_id;
	__le32 nsid;
	__le32 cdw2[2];
	__le64 metadata;
	__le64 prp1;
	__le64 prp2;
	__le32 cdw10[6];
};

struct nvme_rw_command {
	__u8 opcode;
	__u8 flags;
	__u16 command_id;
	__le32 nsid;
	__u64 rsvd2;
	__le64 metadata;
	__le64 prp1;
	__le64 prp2;
	__le64 slba;
	__le16 length;
	__le16 control;
	__le32 dsmgmt;
	__le32 reftag;
	__le16 apptag;
	__le16 appmask;
};

struct nvme_dsm_cmd {
	__u8 opcode;
	__u8 flags;
	__u16 command_id;
	__le32 nsid;
	__u64 rsvd2[2];
	__le64 prp1;
	__le64 prp2;
	__le32 nr;
	__le32 attributes;
	__u32 rsvd12[4];
};

struct nvme_dsm_range {
	__le32 cattr;
	__le32 nlb;
	__le64 slba;
};

struct nvme_command {
	union {
		struct nvme_common_command common;
		struct nvme_rw_command rw;
		struct nvme_dsm_cmd dsm;
	};
};

struct nvme_completion {
	__le32 result;
	__u32 rsvd;
	__le16 sq_head;
	__le16 sq_id;
	__u16 command_id;
	__le16 status;
};

#ifdef __cplusplus
static_assert(sizeof(struct nvme_command) == 64 && sizeof(struct nvme_completion) == 16, "entries of the queues");
#else
_Static_assert(sizeof(struct nvme_command) == 64 && sizeof(struct nvme_completion) == 16, "entries of the queues");
#endif

#endif
