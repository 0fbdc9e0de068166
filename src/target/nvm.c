/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The NVM command set (read and write themselves are in rw.h). The block layer promises that no callback runs before submit
 * has returned, so nothing here can be entered twice for one request.
 */
#include "target/rw.h"

#include <errno.h>

#include <nvio/spec/log.h>

void tgt_bdev_failed(struct tgt_req *req, int rc)
{
	tgt_req_done(req, tgt_status(rc, req->sqe.opc != NVIO_NVM_READ && req->sqe.opc != NVIO_NVM_COMPARE));
}

void tgt_rw_ended(struct nvio_op *op)
{
	struct tgt_req *req = container_of(op, struct tgt_req, op);

	tgt_op_ended(req);
	if (likely(!op->status))
		tgt_req_done(req, 0);
	else
		tgt_bdev_failed(req, op->status);
}

static void exec_rw(struct tgt_req *req, struct tgt_attach *at, bool write)
{
	tgt_rw(req, req->ctrlr, at, write, req->ctrlr->front->map, tgt_rw_ended);
}

static void zeroes_ended(struct nvio_op *op)
{
	struct tgt_req *req = container_of(op, struct tgt_req, op);
	struct tgt_attach *at = req->at;
	int rc = op->status;

	if (rc == -EOPNOTSUPP && !req->step && !(at->flags & TGT_REMOVED)) {
		/* The medium cannot give blocks back after all: write the zeros. */
		req->step = 1;
		rc = nvio_bdev_write_zeroes(at->desc, at->ch, tgt_slba(&req->sqe) << at->shift, req->len, &req->op);
		if (!rc)
			return;
	}
	tgt_op_ended(req);
	if (rc)
		tgt_bdev_failed(req, rc);
	else
		tgt_req_done(req, 0);
}

static void exec_write_zeroes(struct tgt_req *req, struct tgt_attach *at)
{
	uint32_t cdw12 = tgt_dw(req->sqe.cdw12);
	uint64_t slba = tgt_slba(&req->sqe), nlb = nvio_rw_nlb(cdw12) + 1;
	uint64_t offset = slba << at->shift, len = nlb << at->shift;
	int rc = -EOPNOTSUPP;

	if (at->flags & TGT_READ_ONLY) {
		tgt_req_done(req, TGT_DNR(NVIO_SCT_GENERIC, NVIO_SC_NS_WRITE_PROTECTED));
		return;
	}
	if (!tgt_range_ok(at, slba, nlb)) {
		tgt_req_done(req, TGT_DNR(NVIO_SCT_GENERIC, NVIO_SC_LBA_OUT_OF_RANGE));
		return;
	}
	req->len = (uint32_t)len;
	req->step = 0;
	tgt_op_init(req, zeroes_ended, 0);
	if (cdw12 & NVIO_RW_DEAC && at->flags & TGT_UNMAP_ZEROES)
		rc = nvio_bdev_unmap(at->desc, at->ch, offset, len, &req->op);
	if (rc == -EOPNOTSUPP) {
		req->step = 1;
		rc = nvio_bdev_write_zeroes(at->desc, at->ch, offset, len, &req->op);
	}
	if (rc)
		tgt_bdev_failed(req, rc);
	else
		tgt_op_began(req, at);
}

static COLD void exec_rest(struct tgt_req *req, struct tgt_attach *at)
{
	switch (req->sqe.opc) {
	case NVIO_NVM_COMPARE:
		tgt_exec_compare(req, at);
		break;
	case NVIO_NVM_WRITE_ZEROES:
		exec_write_zeroes(req, at);
		break;
	case NVIO_NVM_DSM:
		tgt_exec_dsm(req, at);
		break;
	default:
		tgt_req_done(req, TGT_INVALID_OPC);
		break;
	}
}

static const uint32_t effects[256] = {
	[NVIO_NVM_FLUSH] = NVIO_EFFECTS_CSUPP,
	[NVIO_NVM_WRITE] = NVIO_EFFECTS_CSUPP | NVIO_EFFECTS_LBCC,
	[NVIO_NVM_READ] = NVIO_EFFECTS_CSUPP,
	[NVIO_NVM_COMPARE] = NVIO_EFFECTS_CSUPP,
	[NVIO_NVM_WRITE_ZEROES] = NVIO_EFFECTS_CSUPP | NVIO_EFFECTS_LBCC,
	[NVIO_NVM_DSM] = NVIO_EFFECTS_CSUPP | NVIO_EFFECTS_LBCC,
};

uint32_t tgt_io_effects(uint8_t opc)
{
	return effects[opc];
}

void tgt_exec_io(struct tgt_req *req)
{
	const struct nvio_sqe *sqe = &req->sqe;
	struct tgt_attach *at = tgt_ctrlr_ns(req->ctrlr, tgt_dw(sqe->nsid));
	uint8_t opc = sqe->opc;

	if (likely(at && !(sqe->flags & (NVIO_SQE_FUSE_MASK | NVIO_SQE_PSDT_MASK)))) {
		if (opc == NVIO_NVM_READ)
			exec_rw(req, at, false);
		else if (opc == NVIO_NVM_WRITE)
			exec_rw(req, at, true);
		else if (opc == NVIO_NVM_FLUSH)
			tgt_exec_flush(req);
		else
			exec_rest(req, at);
		return;
	}
	/* Which of several errors is told is ours to choose: the opcode's first, then the fields', then the namespace's. */
	if (!effects[opc])
		tgt_req_done(req, TGT_INVALID_OPC);
	else if (sqe->flags & (NVIO_SQE_FUSE_MASK | NVIO_SQE_PSDT_MASK))
		tgt_req_done(req, TGT_INVALID_FIELD);
	else if (opc == NVIO_NVM_FLUSH && tgt_dw(sqe->nsid) == NVIO_NSID_ALL)
		tgt_exec_flush(req);
	else
		tgt_req_done(req, TGT_INVALID_NS);
}
