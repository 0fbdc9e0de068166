/* SPDX-License-Identifier: BSD-3-Clause */
/* Flush: of one namespace, or of all of them one after another. */
#include "target/nvm.h"

#include <errno.h>

static void flush_ended(struct nvio_op *op);

/* Flushes the first namespace from req->step on that is there; done when there is none. */
static void flush_next(struct tgt_req *req)
{
	struct tgt_ctrlr *c = req->ctrlr;
	uint32_t nsid = tgt_dw(req->sqe.nsid);
	bool all = nsid == NVIO_NSID_ALL;

	for (; req->step < c->num_ns; req->step++) {
		struct tgt_attach *at = &c->ns[req->step];
		int rc;

		if (!at->desc || at->flags & TGT_REMOVED || (!all && at->nsid != nsid))
			continue;
		tgt_op_init(req, flush_ended, 0);
		rc = nvio_bdev_flush(at->desc, at->ch, &req->op);
		if (rc) {
			tgt_req_done(req, tgt_status(rc, true));
			return;
		}
		tgt_op_began(req, at);
		req->step++;
		return;
	}
	tgt_req_done(req, 0);
}

static void flush_ended(struct nvio_op *op)
{
	struct tgt_req *req = container_of(op, struct tgt_req, op);

	tgt_op_ended(req);
	if (op->status)
		tgt_req_done(req, tgt_status(op->status, true));
	else
		flush_next(req);
}

void tgt_exec_flush(struct tgt_req *req)
{
	req->step = 0;
	flush_next(req);
}
