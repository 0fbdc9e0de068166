/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ops that wait, and ops in several commands. An op too large for one command, or whose memory cannot be described in
 * one, is sent piece by piece; its own private part is the only state, so nothing is allocated and nothing can run out.
 */
#include "host/hot.h"

#include "mem/mem.h"

/* Blocks of one command that moves no data: NLB has 16 bits. */
#define NODATA_BLOCKS 65536u

static bool has_blocks(const struct host_io *io)
{
	return io->kind == HOST_IO_RW || (io->kind == HOST_IO_NODATA && io->nblocks);
}

/* How much of the op has still to be put into commands. */
static bool all_sent(const struct host_io *io)
{
	return has_blocks(io) ? io->next_block >= io->nblocks : io->next_block != 0;
}

/* Whether the command moves data to us, or from us; passthrough commands may do both (opcode bits 1:0). */
static bool reads(const struct host_io *io)
{
	return io->kind == HOST_IO_RAW ? (io->opcode & 2) != 0 : io->opcode == NVIO_NVM_READ;
}

static bool writes(const struct host_io *io)
{
	return io->kind == HOST_IO_RAW ? (io->opcode & 1) != 0 : io->opcode != NVIO_NVM_READ;
}

/*
 * How many bytes from `skip` on of the iovec one list of PRPs can describe: every join but the first must lie on a page
 * boundary on both sides, and every start on a dword.
 */
static uint64_t iov_reach(const struct iovec *iov, uint64_t skip, uint64_t limit)
{
	uint64_t reach = 0;
	bool first = true;

	while (reach < limit) {
		uintptr_t start;
		uint64_t n;

		if (skip >= iov->iov_len) {
			skip -= iov->iov_len;
			iov++;
			continue;
		}
		start = (uintptr_t)iov->iov_base + skip;
		if (first ? (start & 3) != 0 : (start & (HOST_PAGE - 1)) != 0)
			break;
		n = MIN((uint64_t)iov->iov_len - skip, limit - reach);
		reach += n;
		if ((start + n) & (HOST_PAGE - 1))
			break;
		first = false;
		skip = 0;
		iov++;
	}
	return reach;
}

/* How many of `len` bytes from `skip` on the controller can reach; the iovec has that many. */
static uint64_t device_reach(struct nvio_qpair *qp, const struct host_io *io, uint64_t skip, uint64_t len)
{
	const struct iovec *iov = io->data;
	uint64_t reach = 0;

	if (!io->iovcnt)
		return qp->ops->reach(qp, (const uint8_t *)io->data + skip, len);
	for (; reach < len; iov++) {
		uint64_t n, got;

		if (skip >= iov->iov_len) {
			skip -= iov->iov_len;
			continue;
		}
		n = MIN((uint64_t)iov->iov_len - skip, len - reach);
		got = qp->ops->reach(qp, (const uint8_t *)iov->iov_base + skip, n);
		reach += got;
		if (got < n)
			break;
		skip = 0;
	}
	return reach;
}

/*
 * Chooses the next piece of a read, write or compare: sets slot's first, count and SLOT_BOUNCED. Count 0: the namespace has gone
 * meanwhile.
 */
static void plan_data(struct nvio_qpair *qp, const struct host_io *io, struct slot *slot)
{
	uint32_t left = io->nblocks - io->next_block;
	uint32_t limit = io->ns->max_blocks;
	uint32_t max = MIN(left, limit);
	uint64_t reach = (uint64_t)max << io->ns->shift;
	uint64_t skip = (uint64_t)io->next_block << io->ns->shift;

	if (io->iovcnt)
		reach = iov_reach(io->data, skip, reach);
	else if (((uintptr_t)io->data + skip) & 3)
		reach = 0;
	if (qp->ops->reach)
		reach = device_reach(qp, io, skip, reach);
	slot->first = io->next_block;
	slot->count = (uint32_t)(reach >> io->ns->shift);
	if (!slot->count) {
		slot->flags |= SLOT_BOUNCED;
		slot->count = MIN(max, HOST_PAGE >> io->ns->shift);
	}
}

/*
 * Passthrough has no blocks to be cut at: a buffer that cannot be given as it is fits the slot's page, or was refused. One that was
 * unregistered while its command waited for a slot does neither, and is refused when it is sent.
 */
static bool raw_bounces(struct nvio_qpair *qp, const struct host_io *io)
{
	if (!io->nblocks || io->nblocks > HOST_PAGE)
		return false;
	return ((uintptr_t)io->data & 3) || (qp->ops->reach && qp->ops->reach(qp, io->data, io->nblocks) < io->nblocks);
}

bool piece_plan(struct nvio_qpair *qp, const struct host_io *io, struct slot *slot)
{
	slot->first = slot->count = 0;
	if (io->kind == HOST_IO_RW) {
		plan_data(qp, io, slot);
	} else if (io->kind == HOST_IO_NODATA && io->nblocks) {
		slot->first = io->next_block;
		slot->count = MIN(io->nblocks - io->next_block, NODATA_BLOCKS);
	} else if (io->kind == HOST_IO_RAW && raw_bounces(qp, io)) {
		slot->flags |= SLOT_BOUNCED;
	}
	return slot->count < io->nblocks && has_blocks(io);
}

/* Copies between the op's memory and the slot's page. */
void piece_gather(struct nvio_qpair *qp, struct slot *slot, bool to_page)
{
	const struct host_io *io = op_io(slot->op);
	uint8_t *page = qp->ops->bounce_page(qp, slot);
	uint64_t skip = io->ns ? (uint64_t)slot->first << io->ns->shift : 0;
	uint64_t len = io->ns ? (uint64_t)slot->count << io->ns->shift : io->nblocks;
	struct iovec plain = { .iov_base = io->data, .iov_len = SIZE_MAX };
	const struct iovec *iov = io->iovcnt ? io->data : &plain;

	for (uint64_t at = 0; at < len; iov++) {
		uint64_t n;

		if (skip >= iov->iov_len) {
			skip -= iov->iov_len;
			continue;
		}
		n = MIN((uint64_t)iov->iov_len - skip, len - at);
		if (to_page)
			memcpy(page + at, (const uint8_t *)iov->iov_base + skip, n);
		else
			memcpy((uint8_t *)iov->iov_base + skip, page + at, n);
		at += n;
		skip = 0;
	}
}

/* ---- checked builds: buffers in flight are held, so that a free is seen ---- */

static void release_buffers(struct nvio_env *env, const void *data, uint32_t iovcnt, size_t left)
{
	const struct iovec *iov = data;

	if (!iovcnt && left)
		mem_release(env, data, left);
	for (uint32_t i = 0; i < iovcnt && left; i++) {
		size_t n = MIN(iov[i].iov_len, left);

		if (n)
			mem_release(env, iov[i].iov_base, n);
		left -= n;
	}
}

/* All of them, or none. */
static int hold_buffers(struct nvio_env *env, const void *data, uint32_t iovcnt, size_t len)
{
	const struct iovec *iov = data;
	size_t held = 0;
	int rc = 0;

	if (!iovcnt)
		return len ? mem_hold(env, data, len) : 0;
	for (uint32_t i = 0; i < iovcnt && held < len && !rc; i++) {
		size_t n = MIN(iov[i].iov_len, len - held);

		if (n)
			rc = mem_hold(env, iov[i].iov_base, n);
		if (!rc)
			held += n;
	}
	if (rc)
		release_buffers(env, data, iovcnt, held);
	return rc;
}

void piece_release(struct nvio_qpair *qp, struct nvio_op *op)
{
	const struct host_io *io = op_io(op);
	size_t len = io->kind == HOST_IO_RAW ? io->nblocks : io->kind == HOST_IO_RW ? (size_t)io->nblocks << io->ns->shift : 0;

	if (NVIO_CHECKED && !(io->flags & HOST_IO_INTERNAL))
		release_buffers(qp->env, io->data, io->kind == HOST_IO_RW ? io->iovcnt : 0, len);
}

/* ---- the pending list ---- */

static void enqueue(struct nvio_qpair *qp, struct nvio_op *op)
{
	op_io(op)->flags |= HOST_IO_QUEUED;
	op_queue_push(&qp->pending, op);
	qp->gate |= GATE_CLOSED;
}

static void dequeue(struct nvio_qpair *qp, struct nvio_op *op)
{
	struct host_io *io = op_io(op);

	if (!(io->flags & HOST_IO_QUEUED))
		return;
	io->flags &= (uint8_t)~HOST_IO_QUEUED;
	op_queue_remove(&qp->pending, op);
}

int qpair_gone_rc(const struct nvio_qpair *qp)
{
	int rc;

	if (!qp->dead_rc)
		return 0;
	if (!qp->ctrlr)
		return fail(-ENODEV, "io: queue pair %u: its controller is closed", qp->qid);
	rc = ctrlr_gone_rc(qp->ctrlr);
	if (rc)
		return rc;
	if (qp->dead_rc == qp->create_rc)
		return fail(qp->dead_rc, "io: queue pair %u was refused by the controller; free it and make another", qp->qid);
	return fail(qp->dead_rc, "io: queue pair %u is being freed", qp->qid);
}

/* Where device addresses are not virtual ones, the controller reaches what was allocated or registered, and nothing else. */
static int check_piece(struct nvio_qpair *qp, const uint8_t *p, size_t len)
{
	size_t got = qp->ops->reach(qp, p, len);

	if (got == len)
		return 0;
	return fail(-EFAULT, "io: the controller cannot reach %p, byte %zu of a buffer of %zu: it is neither from nvio_mem_alloc() nor registered "
		"(nvio_mem_register()); or set bounce in nvio_ctrlr_opts to have such buffers copied", (const void *)(p + got), got, len);
}

int qpair_check_reach(struct nvio_qpair *qp, const void *data, uint32_t iovcnt, size_t len)
{
	const struct iovec *iov = data;
	int rc = 0;

	if (!qp->ops->reach || !len)
		return 0;
	if (!iovcnt)
		return check_piece(qp, data, len);
	for (uint32_t i = 0; i < iovcnt && len && !rc; i++) {
		size_t n = MIN(iov[i].iov_len, len);

		rc = n ? check_piece(qp, iov[i].iov_base, n) : 0;
		len -= n;
	}
	return rc;
}

int qpair_admit(struct nvio_qpair *qp, const void *data, uint32_t iovcnt, size_t len)
{
	int rc = qpair_gone_rc(qp);

	if (rc)
		return rc;
	return NVIO_CHECKED ? hold_buffers(qp->env, data, iovcnt, len) : 0;
}

void qpair_submit_slow(struct nvio_qpair *qp, struct nvio_op *op)
{
	struct host_io *io = op_io(op);

	if (op->timeout_us && op->timeout_us != UINT64_MAX) {
		io->deadline_ns = clock_add(clock_now(&qp->env->clock),
			op->timeout_us > UINT64_MAX / NS_PER_US ? UINT64_MAX : op->timeout_us * NS_PER_US);
		if (io->deadline_ns < qp->next_scan_ns)
			qp->next_scan_ns = io->deadline_ns;
	} else if (op->timeout_us) {
		io->deadline_ns = UINT64_MAX;
	}
	op_begin(op, &qp->pollable);
	if ((qp->gate & GATE_CLOSED) || qp->free_slot == SLOT_NONE)
		qp->stats.queued++;
	enqueue(qp, op);
	qpair_pump(qp);
}

/* The next piece of the op cannot be sent; those that are out end it when they come back. */
static void pump_failed(struct nvio_qpair *qp, struct nvio_op *op, struct slot *slot, int rc)
{
	slot->flags = 0;
	slot_give_back(qp, slot);
	dequeue(qp, op);
	op_io(op)->error = rc;
	op->cpl.answered = 0;
	if (!op_io(op)->in_flight)
		qpair_end_later(qp, op, rc);
}

/* Sends the next piece of the op at the head. */
static void pump_one(struct nvio_qpair *qp, struct nvio_op *op)
{
	struct host_io *io = op_io(op);
	struct slot *slot = slot_take(qp, op);
	bool part;
	int rc;

	slot->flags = 0;
	part = piece_plan(qp, io, slot);
	if (has_blocks(io) && !slot->count) {
		pump_failed(qp, op, slot, -ENODEV);
		return;
	}
	if (part || (io->flags & HOST_IO_SPLIT)) {
		if (!(io->flags & HOST_IO_SPLIT))
			qp->stats.split++;
		io->flags |= HOST_IO_SPLIT;
		slot->flags |= SLOT_PART;
	}
	if (qp->qid == 0)
		slot->flags |= SLOT_ADMIN;
	if (NVIO_CHECKED)
		slot->flags |= SLOT_PART;
	if ((slot->flags & SLOT_BOUNCED) && writes(io))
		piece_gather(qp, slot, true);
	rc = qp->ops->send(qp, slot);
	if (rc) {
		pump_failed(qp, op, slot, rc);
		return;
	}
	io->in_flight++;
	io->next_block += has_blocks(io) ? slot->count : 1;
	if (all_sent(io))
		dequeue(qp, op);
}

void qpair_pump(struct nvio_qpair *qp)
{
	if (!qp->live)
		return;
	while (qp->free_slot != SLOT_NONE && !op_queue_empty(&qp->pending))
		pump_one(qp, qp->pending.head);
	if (op_queue_empty(&qp->pending))
		qp->gate &= (uint8_t)~GATE_CLOSED;
}

/* ---- endings ---- */

/* Completes the op at the next poll: for ends that happen inside a submit or a cancel. */
void qpair_end_later(struct nvio_qpair *qp, struct nvio_op *op, int rc)
{
	struct host_io *io = op_io(op);

	dequeue(qp, op);
	io->error = rc;
	op->cpl.answered = 0;
	op_queue_push(&qp->ended, op);
	qp->rare = true;
}

int qpair_deliver(struct nvio_qpair *qp)
{
	int n = 0;

	while (!op_queue_empty(&qp->ended)) {
		struct nvio_op *op = op_queue_pop(&qp->ended);

		piece_release(qp, op);
		qpair_end(qp, op, op_io(op)->error);
		n++;
	}
	return n;
}

/* What a command that was being aborted, or its op canceled, ends with. */
static int aborted_status(const struct host_io *io, uint32_t sf)
{
	int rc = sf ? nvio_status_to_errno((uint16_t)sf) : 0;

	if (rc != -ECANCELED)
		return rc;
	return io->flags & HOST_IO_TIMED_OUT ? -ETIMEDOUT : -ECANCELED;
}

int qpair_complete_slow(struct nvio_qpair *qp, struct slot *slot, struct nvio_op *op, uint64_t dw01, uint32_t sf)
{
	struct host_io *io = op_io(op);
	int status = aborted_status(io, sf);

	/* A plain read or write is here because it failed, and was not counted on its way out (hot.h). */
	if (!slot->flags) {
		io->in_flight = 1;
		io->next_block = io->nblocks;
	}
	if ((slot->flags & SLOT_BOUNCED) && reads(io) && !sf)
		piece_gather(qp, slot, false);
	qp->unsuccessful += sf != 0;
	if (slot->flags & SLOT_ABORTING)
		qp->aborting--;
	slot->flags = 0;
	slot_give_back(qp, slot);
	io->in_flight--;
	if (!io->error) {
		op_set_cpl(op, dw01, sf);
		io->error = status;
	}
	if (io->error)
		dequeue(qp, op);
	if (io->in_flight || (!io->error && !all_sent(io)))
		return 0;
	dequeue(qp, op);
	piece_release(qp, op);
	/* The admin queue is reaped under the controller's lock: what its users are to hear waits until that is free. */
	if (qp->qid == 0 && !(io->flags & HOST_IO_INTERNAL)) {
		admin_cmd_ended(qp->ctrlr, op);
		return 1;
	}
	qpair_end(qp, op, io->error);
	return 1;
}
