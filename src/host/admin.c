/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Admin commands: the users' passthrough and conveniences, and the library's own. The admin queue is a queue pair like
 * the others, but under the controller's lock; what users are to hear is put aside and told outside of it.
 */
#include "host/hot.h"

#include <nvio/mem.h>

/* ---- the library's own ---- */

static void on_cmd_done(struct nvio_op *op)
{
	struct admin_cmd *cmd = container_of(op, struct admin_cmd, op);

	cmd->busy = false;
	if (cmd->done)
		cmd->done(cmd, op->status);
}

static void raw_describe(struct nvio_op *op, const struct nvio_sqe *sqe, void *buf, uint32_t len, uint8_t flags)
{
	struct host_io *io = op_io(op);

	memset(io, 0, sizeof(*io));
	io->kind = HOST_IO_RAW;
	io->opcode = sqe->opc;
	io->data = buf;
	io->nblocks = len;
	io->flags = flags;
	io->sqe = *sqe;
	op->cpl.answered = 0;
}

void admin_send(struct nvio_ctrlr *c, struct admin_cmd *cmd, const struct nvio_sqe *sqe, void *buf, uint32_t len,
	void (*done)(struct admin_cmd *cmd, int rc))
{
	invariant(!cmd->busy);
	memset(&cmd->op, 0, sizeof(cmd->op));
	cmd->op.done = on_cmd_done;
	/* The controller's states have deadlines of their own, Abort has its command's, and events may never come. */
	cmd->op.timeout_us = cmd->timeout_ms ? cmd->timeout_ms * 1000ull : UINT64_MAX;
	cmd->c = c;
	cmd->done = done;
	cmd->busy = true;
	raw_describe(&cmd->op, sqe, buf, len, HOST_IO_INTERNAL);
	qpair_submit_slow(c->admin, &cmd->op);
	c->admin->ops->kick(c->admin);
}

static void on_abort_done(struct admin_cmd *cmd, int rc)
{
	(void)rc; /* whether it aborted anything shows in what it was to abort */
	cmd->c->aborts_out--;
}

bool admin_abort(struct nvio_ctrlr *c, struct nvio_qpair *qp, struct slot *slot)
{
	uint32_t limit = MIN((uint32_t)c->id.acl + 1, (uint32_t)HOST_ABORT_COUNT);
	struct nvio_sqe sqe = { .opc = NVIO_ADMIN_ABORT };

	if (!c->admin->live || c->admin->free_slot == SLOT_NONE || c->aborts_out >= limit)
		return false;
	sqe.cdw10 = nvio_to_le32(qp->qid | (uint32_t)slot->cid << 16);
	for (unsigned i = 0; i < HOST_ABORT_COUNT; i++) {
		if (c->aborts[i].busy)
			continue;
		c->aborts_out++;
		admin_send(c, &c->aborts[i], &sqe, NULL, 0, on_abort_done);
		return true;
	}
	return false;
}

/* ---- endings ---- */

void admin_user_ended(struct nvio_ctrlr *c, struct nvio_op *op, int rc)
{
	op_io(op)->error = rc;
	op_queue_push(&c->ended, op);
	sleep_wake_ctrlr(c);
}

void admin_cmd_ended(struct nvio_ctrlr *c, struct nvio_op *op)
{
	struct host_io *io = op_io(op);

	if (io->flags & HOST_IO_COPIED) {
		void *buf = (void *)(uintptr_t)io->lba;

		if ((io->opcode & 2) && op->cpl.answered && !op->cpl.sf)
			memcpy(buf, io->data, io->nblocks);
		nvio_mem_free(c->env, io->data);
		io->data = buf;
		io->flags &= (uint8_t)~HOST_IO_COPIED;
	}
	admin_user_ended(c, op, io->error);
}

/* What ended outside of a completion (timed out, canceled, dropped): to its sender in here, or put aside. */
static int admin_sort_ended(struct nvio_ctrlr *c)
{
	int n = 0;

	while (!op_queue_empty(&c->admin->ended)) {
		struct nvio_op *op = op_queue_pop(&c->admin->ended);

		piece_release(c->admin, op);
		if (op_io(op)->flags & HOST_IO_INTERNAL)
			op_end(op, op_io(op)->error);
		else
			admin_cmd_ended(c, op);
		n++;
	}
	return n;
}

int admin_reap(struct nvio_ctrlr *c)
{
	struct nvio_qpair *qp = c->admin;
	uint64_t now = ctrlr_now(c);
	int n;

	if (!qp->live)
		return admin_sort_ended(c);
	n = qp->ops->reap(qp, 0);
	if (now >= qp->next_scan_ns)
		qpair_scan(qp, now);
	n += admin_sort_ended(c);
	qpair_pump(qp);
	qp->ops->kick(qp);
	return n;
}

void admin_drop_all(struct nvio_ctrlr *c, int rc)
{
	c->admin->live = false;
	c->admin->gate |= GATE_CLOSED;
	qpair_end_all(c->admin, rc);
	admin_sort_ended(c);
}

int admin_deliver(struct nvio_ctrlr *c)
{
	int n = 0;

	for (;;) {
		struct nvio_op *op;

		lock_take(&c->lock);
		op = op_queue_pop(&c->ended);
		lock_give(&c->lock);
		if (!op)
			return n;
		op_end(op, op_io(op)->error);
		n++;
	}
}

/* ---- the users' ---- */

/* Opcodes that would pull the rug from under the library. */
static bool is_ours(uint8_t opc)
{
	switch (opc) {
	case NVIO_ADMIN_CREATE_SQ:
	case NVIO_ADMIN_CREATE_CQ:
	case NVIO_ADMIN_DELETE_SQ:
	case NVIO_ADMIN_DELETE_CQ:
	case NVIO_ADMIN_ASYNC_EVENT:
		return true;
	default:
		return false;
	}
}

static int check(struct nvio_ctrlr *c, const struct nvio_sqe *cmd, const void *buf, size_t len, const struct nvio_op *op)
{
	int rc;

	if (!c || !cmd || !op || (len && !buf))
		return fail(-EINVAL, "admin: %s is NULL", !c ? "the controller" : !cmd ? "the command" : !op ? "the op" : "the buffer");
	if (nvio_op_pending(op) || op->flags)
		return fail(-EINVAL, "admin: the op is in flight already, or has flags (%#x), which admin commands do not take", op->flags);
	if (is_ours(cmd->opc))
		return fail(-EINVAL, "admin: opcode %#x manages queues or events, which is the library's part", cmd->opc);
	if (cmd->flags)
		return fail(-EINVAL, "admin: FUSE and PSDT (%#x) are the library's", cmd->flags);
	rc = ctrlr_gone_rc(c);
	if (rc)
		return rc;
	if (len > c->max_transfer)
		return fail(-EINVAL, "admin: %zu bytes; %s takes at most %u", len, c->trid.traddr, c->max_transfer);
	return 0;
}

/* Beyond a page, which the slot has for it: whether the controller can have the buffer as it is. */
static bool needs_copy(struct nvio_ctrlr *c, const void *buf, size_t len)
{
	struct nvio_qpair *qp = c->admin;

	if (len <= HOST_PAGE)
		return false;
	return ((uintptr_t)buf & 3) || (qp->ops->reach && qp->ops->reach(qp, buf, len) < len);
}

/* Admin commands are rare, and their buffers anywhere: what the controller cannot reach is copied. */
static int copy_buffer(struct nvio_ctrlr *c, const struct nvio_sqe *cmd, const void *buf, size_t len, void **copy)
{
	*copy = NULL;
	if (!needs_copy(c, buf, len))
		return 0;
	*copy = nvio_mem_alloc_zeroed(c->env, len, HOST_PAGE);
	if (!*copy)
		return -ENOMEM;
	if (cmd->opc & 1)
		memcpy(*copy, buf, len);
	return 0;
}

static void submit(struct nvio_ctrlr *c, const struct nvio_sqe *cmd, void *buf, size_t len, void *copy, struct nvio_op *op)
{
	struct host_io *io = op_io(op);

	raw_describe(op, cmd, copy ? copy : buf, (uint32_t)len, copy ? HOST_IO_COPIED : 0);
	io->lba = copy ? (uintptr_t)buf : 0;
	memset(&io->sqe.prp1, 0, 16); /* the data pointer is the library's */
	qpair_submit_slow(c->admin, op);
	op->owner = &c->pollable;
	c->admin->ops->kick(c->admin);
}

int nvio_ctrlr_admin(struct nvio_ctrlr *c, const struct nvio_sqe *cmd, void *buf, size_t len, struct nvio_op *op)
{
	int rc = check(c, cmd, buf, len, op);
	void *copy;

	if (rc)
		return rc;
	lock_take(&c->lock);
	rc = copy_buffer(c, cmd, buf, len, &copy);
	if (!rc)
		rc = qpair_admit(c->admin, copy ? copy : buf, 0, len);
	if (!rc)
		submit(c, cmd, buf, len, copy, op);
	else
		nvio_mem_free(c->env, copy);
	lock_give(&c->lock);
	return rc;
}

int nvio_ctrlr_identify(struct nvio_ctrlr *c, uint8_t cns, uint32_t nsid, void *buf, struct nvio_op *op)
{
	struct nvio_sqe cmd = { .opc = NVIO_ADMIN_IDENTIFY, .nsid = nvio_to_le32(nsid), .cdw10 = nvio_to_le32(cns) };

	return nvio_ctrlr_admin(c, &cmd, buf, HOST_PAGE, op);
}

int nvio_ctrlr_get_log(struct nvio_ctrlr *c, uint8_t lid, uint32_t nsid, uint64_t offset, void *buf, uint32_t len, struct nvio_op *op)
{
	struct nvio_sqe cmd = { .opc = NVIO_ADMIN_GET_LOG_PAGE, .nsid = nvio_to_le32(nsid) };
	uint32_t numd = len / 4 - 1;

	if (!len || len % 4 || offset % 4)
		return fail(-EINVAL, "admin: log page %#x: length %u and offset %llu must be multiples of 4, and there must be a length", lid, len,
			(unsigned long long)offset);
	cmd.cdw10 = nvio_to_le32(lid | numd << 16);
	cmd.cdw11 = nvio_to_le32(numd >> 16);
	cmd.cdw12 = nvio_to_le32((uint32_t)offset);
	cmd.cdw13 = nvio_to_le32((uint32_t)(offset >> 32));
	return nvio_ctrlr_admin(c, &cmd, buf, len, op);
}

int nvio_ctrlr_get_feature(struct nvio_ctrlr *c, uint8_t fid, uint8_t sel, uint32_t nsid, uint32_t cdw11, void *buf, uint32_t len,
	struct nvio_op *op)
{
	struct nvio_sqe cmd = { .opc = NVIO_ADMIN_GET_FEATURES, .nsid = nvio_to_le32(nsid), .cdw11 = nvio_to_le32(cdw11) };

	if (sel > 7)
		return fail(-EINVAL, "admin: get feature %#x: select %u; it has 3 bits", fid, sel);
	cmd.cdw10 = nvio_to_le32(fid | (uint32_t)sel << 8);
	return nvio_ctrlr_admin(c, &cmd, buf, len, op);
}

int nvio_ctrlr_set_feature(struct nvio_ctrlr *c, uint8_t fid, bool save, uint32_t nsid, uint32_t cdw11, void *buf, uint32_t len,
	struct nvio_op *op)
{
	struct nvio_sqe cmd = { .opc = NVIO_ADMIN_SET_FEATURES, .nsid = nvio_to_le32(nsid), .cdw11 = nvio_to_le32(cdw11) };

	cmd.cdw10 = nvio_to_le32(fid | (save ? 1u << 31 : 0));
	return nvio_ctrlr_admin(c, &cmd, buf, len, op);
}
