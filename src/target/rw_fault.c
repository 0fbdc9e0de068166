/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads and writes that the fault plan has singled out: half the data, or one bit of it changed. Not the hot path, so it may
 * allocate; when it cannot, the command is executed as it should be.
 */
#include "target/rw.h"

#include <string.h>

#include "base/alloc.h"

static void flip_bit(void *data)
{
	*(uint8_t *)data ^= 0x10;
}

static void corrupt_read_ended(struct nvio_op *op)
{
	struct tgt_req *req = container_of(op, struct tgt_req, op);

	if (!op->status)
		flip_bit(req->iov->iov_base);
	tgt_rw_ended(op);
}

/* The host's buffer is not ours to change, so what is written is a copy of it. */
static bool corrupt_write(struct tgt_req *req, uint32_t len)
{
	req->bounce = alloc_aligned(TGT_PAGE, len);
	if (!req->bounce)
		return false;
	req->rare |= TGT_RARE_BOUNCE;
	tgt_req_get(req, 0, req->bounce, len);
	flip_bit(req->bounce);
	req->iov_small[0] = (struct iovec){ req->bounce, len };
	req->iov = req->iov_small;
	req->iovcnt = 1;
	return true;
}

/* Cuts the data off after `len` bytes. */
static void cut(struct tgt_req *req, uint32_t len)
{
	for (int i = 0; i < req->iovcnt; i++) {
		if (req->iov[i].iov_len >= len) {
			req->iov[i].iov_len = len;
			req->iovcnt = i + 1;
			return;
		}
		len -= (uint32_t)req->iov[i].iov_len;
	}
}

bool tgt_rw_fault(struct tgt_req *req, struct tgt_attach *at, bool write, uint64_t offset, uint32_t len)
{
	int rc;

	switch (req->fault - 1) {
	case NVIO_FAULT_SHORT:
		len = len / 2 & ~((1u << at->shift) - 1);
		if (!len) {
			tgt_req_done(req, 0);
			return true;
		}
		cut(req, len);
		break;
	case NVIO_FAULT_CORRUPT:
		if (!write)
			req->op.done = corrupt_read_ended;
		else if (!corrupt_write(req, len))
			return false;
		break;
	default:
		return false; /* it strikes at the completion */
	}
	rc = tgt_rw_submit(req, at, write, offset, len);
	if (rc)
		tgt_req_done(req, tgt_status(rc, write));
	else
		tgt_op_began(req, at);
	return true;
}
