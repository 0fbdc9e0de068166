/* SPDX-License-Identifier: BSD-3-Clause */
/* The admin command set: which commands there are, and the short ones. */
#include "target/admin.h"

#include <nvio/spec/log.h>
#include <nvio/spec/nvm.h>

static void exec_abort(struct tgt_req *req)
{
	struct tgt_ctrlr *c = req->ctrlr;
	uint32_t cdw10 = tgt_dw(req->sqe.cdw10);
	bool lied = req->fault == NVIO_FAULT_LOSE_ABORT + 1;

	if (c->aborts > TGT_ACL + 1) {
		tgt_req_done(req, TGT_DNR(NVIO_SCT_COMMAND, NVIO_SC_ABORT_LIMIT_EXCEEDED));
		return;
	}
	/* Dword 0 bit 0 tells that the command was not aborted (NVMe Base 2.0 section 5.1.1). */
	req->dw0 = !(lied || c->front->abort(c, (uint16_t)nvio_abort_sqid(cdw10), (uint16_t)nvio_abort_cid(cdw10)));
	tgt_req_done(req, 0);
}

static void exec_keep_alive(struct tgt_req *req)
{
	tgt_ctrlr_keep_alive(req->ctrlr);
	tgt_req_done(req, 0);
}

static const struct {
	void (*exec)(struct tgt_req *req);
	uint32_t effects;
} table[256] = {
	[NVIO_ADMIN_GET_LOG_PAGE] = { tgt_exec_get_log, NVIO_EFFECTS_CSUPP },
	[NVIO_ADMIN_IDENTIFY] = { tgt_exec_identify, NVIO_EFFECTS_CSUPP },
	[NVIO_ADMIN_ABORT] = { exec_abort, NVIO_EFFECTS_CSUPP },
	[NVIO_ADMIN_SET_FEATURES] = { tgt_exec_set_features, NVIO_EFFECTS_CSUPP },
	[NVIO_ADMIN_GET_FEATURES] = { tgt_exec_get_features, NVIO_EFFECTS_CSUPP },
	[NVIO_ADMIN_ASYNC_EVENT] = { tgt_exec_aer, NVIO_EFFECTS_CSUPP },
	[NVIO_ADMIN_KEEP_ALIVE] = { exec_keep_alive, NVIO_EFFECTS_CSUPP },
	/* Executed by the memory queues' front end. */
	[NVIO_ADMIN_DELETE_SQ] = { NULL, NVIO_EFFECTS_CSUPP },
	[NVIO_ADMIN_CREATE_SQ] = { NULL, NVIO_EFFECTS_CSUPP },
	[NVIO_ADMIN_DELETE_CQ] = { NULL, NVIO_EFFECTS_CSUPP },
	[NVIO_ADMIN_CREATE_CQ] = { NULL, NVIO_EFFECTS_CSUPP },
};

uint32_t tgt_admin_effects(uint8_t opc)
{
	return table[opc].effects;
}

void tgt_exec_admin(struct tgt_req *req)
{
	uint8_t opc = req->sqe.opc;

	if (!table[opc].effects)
		tgt_req_done(req, TGT_INVALID_OPC);
	else if (req->sqe.flags & (NVIO_SQE_FUSE_MASK | NVIO_SQE_PSDT_MASK))
		tgt_req_done(req, TGT_INVALID_FIELD);
	else if (table[opc].exec)
		table[opc].exec(req);
	else if (!req->ctrlr->front->admin(req))
		tgt_req_done(req, TGT_INVALID_OPC);
}
