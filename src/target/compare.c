/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Compare: reads the medium piece by piece into the controller's one bounce buffer. One command at a time has the buffer,
 * the others wait in order, so that Compare costs no memory however many are sent.
 */
#include "target/nvm.h"

#include <errno.h>

static void compare_next(struct tgt_req *req);

/* Ends the command that has the buffer and lets the next one have it. */
static void compare_done(struct tgt_req *req, uint16_t sf)
{
	struct tgt_ctrlr *c = req->ctrlr;
	struct list *next = list_pop_front(&c->bounce_wait);

	c->bounce_user = next ? list_entry(next, struct tgt_req, link) : NULL;
	tgt_req_done(req, sf);
	if (next)
		compare_next(list_entry(next, struct tgt_req, link));
}

static void compare_ended(struct nvio_op *op)
{
	struct tgt_req *req = container_of(op, struct tgt_req, op);
	struct tgt_ctrlr *c = req->ctrlr;
	uint32_t n = (uint32_t)MIN(req->len - req->offset, TGT_BOUNCE_BYTES);

	tgt_op_ended(req);
	if (op->status) {
		compare_done(req, tgt_status(op->status, false));
		return;
	}
	if (tgt_req_cmp(req, (uint32_t)req->offset, c->bounce, n)) {
		compare_done(req, TGT_DNR(NVIO_SCT_MEDIA, NVIO_SC_COMPARE_FAILURE));
		return;
	}
	req->offset += n;
	if (req->offset < req->len)
		compare_next(req);
	else
		compare_done(req, 0);
}

static void compare_next(struct tgt_req *req)
{
	struct tgt_ctrlr *c = req->ctrlr;
	struct tgt_attach *at = tgt_ctrlr_ns(c, tgt_dw(req->sqe.nsid));
	uint32_t n = (uint32_t)MIN(req->len - req->offset, TGT_BOUNCE_BYTES);
	int rc;

	if (!at) {
		compare_done(req, TGT_INVALID_NS); /* it went while the command waited */
		return;
	}
	tgt_op_init(req, compare_ended, 0);
	rc = nvio_bdev_read(at->desc, at->ch, c->bounce, (tgt_slba(&req->sqe) << at->shift) + req->offset, n, &req->op);
	if (rc)
		compare_done(req, tgt_status(rc, false));
	else
		tgt_op_began(req, at);
}

void tgt_exec_compare(struct tgt_req *req, struct tgt_attach *at)
{
	struct tgt_ctrlr *c = req->ctrlr;
	uint32_t nlb = nvio_rw_nlb(tgt_dw(req->sqe.cdw12)) + 1;
	uint16_t sf = 0;

	req->len = nlb << at->shift;
	req->offset = 0;
	if (!tgt_range_ok(at, tgt_slba(&req->sqe), nlb))
		sf = TGT_DNR(NVIO_SCT_GENERIC, NVIO_SC_LBA_OUT_OF_RANGE);
	else if (req->len > c->max_transfer)
		sf = TGT_INVALID_FIELD;
	else
		sf = c->front->map(req, req->len, false);
	if (sf == TGT_MAP_WAIT)
		return;
	if (sf) {
		tgt_req_done(req, sf);
	} else if (c->bounce_user) {
		list_push_back(&c->bounce_wait, &req->link);
	} else {
		tgt_count(&c->counters.reads, 1);
		c->bounce_user = req;
		compare_next(req);
	}
}
