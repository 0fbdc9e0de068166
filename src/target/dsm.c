/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Dataset Management: deallocates range by range. The hints for reading and writing are taken and have no effect, which is
 * all that the specification asks for.
 */
#include "target/nvm.h"

#include <errno.h>

static void dsm_next(struct tgt_req *req);

static uint32_t num_ranges(const struct tgt_req *req)
{
	return (tgt_dw(req->sqe.cdw10) & 0xff) + 1;
}

static struct nvio_dsm_range range(struct tgt_req *req, uint32_t i)
{
	struct nvio_dsm_range r;

	tgt_req_get(req, i * (uint32_t)sizeof(r), &r, sizeof(r));
	return r;
}

static void dsm_ended(struct nvio_op *op)
{
	struct tgt_req *req = container_of(op, struct tgt_req, op);

	tgt_op_ended(req);
	/* Deallocation is advice: a medium that cannot give blocks back does not fail the command. */
	if (op->status && op->status != -EOPNOTSUPP)
		tgt_req_done(req, tgt_status(op->status, true));
	else
		dsm_next(req);
}

static void dsm_next(struct tgt_req *req)
{
	struct tgt_attach *at = tgt_ctrlr_ns(req->ctrlr, tgt_dw(req->sqe.nsid));
	uint32_t n = num_ranges(req);

	if (!at) {
		tgt_req_done(req, TGT_INVALID_NS);
		return;
	}
	while (req->step < n) {
		/* Read anew: the list is the host's memory, and what was checked may have changed since. */
		struct nvio_dsm_range r = range(req, req->step++);
		uint64_t slba = nvio_get_le64(r.slba), nlb = nvio_get_le32(r.nlb);
		int rc;

		if (!tgt_range_ok(at, slba, nlb)) {
			tgt_req_done(req, TGT_DNR(NVIO_SCT_GENERIC, NVIO_SC_LBA_OUT_OF_RANGE));
			return;
		}
		if (!nlb)
			continue;
		tgt_op_init(req, dsm_ended, 0);
		rc = nvio_bdev_unmap(at->desc, at->ch, slba << at->shift, nlb << at->shift, &req->op);
		if (!rc) {
			tgt_op_began(req, at);
			return;
		}
		if (rc != -EOPNOTSUPP) {
			tgt_req_done(req, tgt_status(rc, true));
			return;
		}
	}
	tgt_req_done(req, 0);
}

void tgt_exec_dsm(struct tgt_req *req, struct tgt_attach *at)
{
	uint32_t n = num_ranges(req);
	uint16_t sf;

	sf = req->ctrlr->front->map(req, n * (uint32_t)sizeof(struct nvio_dsm_range), false);
	if (sf == TGT_MAP_WAIT)
		return;
	for (uint32_t i = 0; !sf && i < n; i++) {
		struct nvio_dsm_range r = range(req, i);

		if (!tgt_range_ok(at, nvio_get_le64(r.slba), nvio_get_le32(r.nlb)))
			sf = TGT_DNR(NVIO_SCT_GENERIC, NVIO_SC_LBA_OUT_OF_RANGE);
	}
	if (!sf && !(tgt_dw(req->sqe.cdw11) & NVIO_DSM_AD)) {
		tgt_req_done(req, 0);
		return;
	}
	if (!sf && at->flags & TGT_READ_ONLY)
		sf = TGT_DNR(NVIO_SCT_GENERIC, NVIO_SC_NS_WRITE_PROTECTED);
	if (sf) {
		tgt_req_done(req, sf);
		return;
	}
	req->step = 0;
	dsm_next(req);
}
