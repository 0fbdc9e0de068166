/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the NVM command set know of each other. */
#ifndef TARGET_NVM_H
#define TARGET_NVM_H

#include "target/target.h"
#include <nvio/drive.h>
#include <nvio/spec/nvm.h>

/* The range of blocks of a command, checked: slba + nlb stays within the namespace. */
static inline bool tgt_range_ok(const struct tgt_attach *at, uint64_t slba, uint64_t nlb)
{
	/* No sum, so nothing can wrap around. */
	return nlb <= at->num_blocks && slba <= at->num_blocks - nlb;
}

static inline uint64_t tgt_slba(const struct nvio_sqe *sqe)
{
	return tgt_dw(sqe->cdw10) | (uint64_t)tgt_dw(sqe->cdw11) << 32;
}

/* A read or write that the fault plan has singled out; true when it took the command over. rw_fault.c. */
bool tgt_rw_fault(struct tgt_req *req, struct tgt_attach *at, bool write, uint64_t offset, uint32_t len) COLD;

/* The callback of a read or write. nvm.c */
void tgt_rw_ended(struct nvio_op *op);

#endif
