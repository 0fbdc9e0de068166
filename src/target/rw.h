/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Read and write, the hot path of every target: from a command to an op with the block layer. A front end that wants them
 * without a call in between includes this and hands in its own ways to map and to complete, which then become part of it;
 * nvm.c does so with those of the table.
 */
#ifndef TARGET_RW_H
#define TARGET_RW_H

#include "target/nvm.h"

typedef uint16_t (*tgt_map_fn)(struct tgt_req *req, uint32_t len, bool to_host);

/* The end of a command that the block layer refused or failed. nvm.c */
void tgt_bdev_failed(struct tgt_req *req, int rc) COLD;

/* Submits the read or write of req->iov, `len` bytes of it. */
static ALWAYS_INLINE int tgt_rw_submit(struct tgt_req *req, struct tgt_attach *at, bool write, uint64_t offset, uint32_t len)
{
	if (likely(req->iovcnt == 1))
		return write ? nvio_bdev_write(at->desc, at->ch, req->iov->iov_base, offset, len, &req->op) :
			       nvio_bdev_read(at->desc, at->ch, req->iov->iov_base, offset, len, &req->op);
	return write ? nvio_bdev_writev(at->desc, at->ch, req->iov, req->iovcnt, offset, len, &req->op) :
		       nvio_bdev_readv(at->desc, at->ch, req->iov, req->iovcnt, offset, len, &req->op);
}

static ALWAYS_INLINE void tgt_rw_count(struct tgt_ctrlr *c, bool write, uint32_t len)
{
	if (write) {
		tgt_count(&c->counters.writes, 1);
		tgt_count(&c->counters.bytes_written, len);
	} else {
		tgt_count(&c->counters.reads, 1);
		tgt_count(&c->counters.bytes_read, len);
	}
}

/* Executes it. The flags of the command have been looked at, and `at` is its namespace. */
static ALWAYS_INLINE void tgt_rw(struct tgt_req *req, struct tgt_ctrlr *c, struct tgt_attach *at, bool write, tgt_map_fn map,
	nvio_op_fn done)
{
	const struct nvio_sqe *sqe = &req->sqe;
	uint32_t cdw12 = tgt_dw(sqe->cdw12), nlb = nvio_rw_nlb(cdw12) + 1, len = nlb << at->shift;
	uint64_t slba = tgt_slba(sqe), offset = slba << at->shift;
	uint16_t sf;
	int rc;

	sf = TGT_DNR(NVIO_SCT_GENERIC, NVIO_SC_NS_WRITE_PROTECTED);
	if (write && unlikely(at->flags & TGT_READ_ONLY))
		goto refuse;
	sf = TGT_DNR(NVIO_SCT_GENERIC, NVIO_SC_LBA_OUT_OF_RANGE);
	if (unlikely(!tgt_range_ok(at, slba, nlb)))
		goto refuse;
	sf = TGT_INVALID_FIELD;
	if (unlikely(len > c->max_transfer))
		goto refuse;
	sf = map(req, len, !write);
	if (unlikely(sf)) {
		if (sf == TGT_MAP_WAIT)
			return;
		goto refuse;
	}
	tgt_op_init(req, done, write && (cdw12 & NVIO_RW_FUA || c->write_through) ? NVIO_OP_FUA : 0);
	req->len = len;
	if (unlikely(req->fault) && tgt_rw_fault(req, at, write, offset, len))
		return;
	rc = tgt_rw_submit(req, at, write, offset, len);
	if (unlikely(rc)) {
		tgt_bdev_failed(req, rc);
		return;
	}
	tgt_op_began(req, at);
	tgt_rw_count(c, write, len);
	return;
refuse:
	tgt_req_done(req, sf);
}

#endif
