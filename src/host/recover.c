/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * When things take too long or break: deadlines lead to an Abort, an Abort that does not help to a reset of the
 * controller, and a reset that does not help to failure. Whatever happens, each op ends exactly once.
 *
 * A reset is the controller's business (state.c); a queue pair's part is done by its own thread, which may be another one: it
 * is called to attention, takes its commands back once the controller is disabled, and has itself created anew.
 */
#include "host/hot.h"

#include "base/text.h"

#define SCAN_NS (50 * NS_PER_MS) /* how often deadlines are looked at when none is known to be near */

/* ---- deadlines ---- */

static uint64_t default_deadline(const struct nvio_qpair *qp, uint64_t now)
{
	const struct nvio_ctrlr_opts *o = &qp->ctrlr->opts;
	uint32_t ms = qp->qid ? o->command_timeout_ms : o->admin_timeout_ms;

	return ms ? clock_add(now, ms * NS_PER_MS) : UINT64_MAX;
}

/*
 * An op without a deadline of its own is stamped when it is first seen here, not when it was submitted: that costs the
 * hot path nothing, and makes the default up to SCAN_NS longer, never shorter.
 */
static bool expired(const struct nvio_qpair *qp, struct host_io *io, uint64_t now, uint64_t *next)
{
	if (!io->deadline_ns)
		io->deadline_ns = default_deadline(qp, now);
	if (io->deadline_ns <= now)
		return true;
	*next = MIN(*next, io->deadline_ns);
	return false;
}

static void abort_want(struct nvio_qpair *qp, struct slot *slot, uint64_t reset_at)
{
	struct host_io *io = op_io(slot->op);

	/* A plain read or write is not counted on its way out (hot.h); it comes back as one that is. */
	if (!io->in_flight) {
		io->in_flight = 1;
		io->next_block = io->nblocks;
	}
	if (!(slot->flags & SLOT_ABORTING))
		qp->aborting++;
	slot->flags |= SLOT_ABORTING | SLOT_PART;
	slot->abort_deadline_ns = reset_at;
}

static void abort_send(struct nvio_qpair *qp, struct slot *slot)
{
	struct nvio_ctrlr *c = qp->ctrlr;
	bool sent;

	if (slot->flags & SLOT_ABORT_SENT)
		return;
	if (qp->qid)
		lock_take(&c->lock);
	sent = admin_abort(c, qp, slot);
	if (qp->qid)
		lock_give(&c->lock);
	if (!sent)
		return;
	slot->flags |= SLOT_ABORT_SENT;
	qp->stats.aborts++;
}

static void reset_wanted(struct nvio_qpair *qp, const struct slot *slot)
{
	struct nvio_ctrlr *c = qp->ctrlr;
	char why[96];

	text_format(why, sizeof(why), "command %#x on queue %u did not complete, and aborting it did not help", slot->cid, qp->qid);
	if (qp->qid)
		lock_take(&c->lock);
	/* Not when somebody else has begun one: this command is lost in that, too. */
	if (qp->qid ? qp->state == QPAIR_LIVE : atomic_load_explicit(&c->up, memory_order_relaxed))
		ctrlr_request_reset(c, why);
	if (qp->qid)
		lock_give(&c->lock);
}

/* false: the controller is to be reset, and the scan ends here. */
static bool scan_slot(struct nvio_qpair *qp, struct slot *slot, uint64_t now, uint64_t *next)
{
	struct host_io *io = op_io(slot->op);

	if (expired(qp, io, now, next) && (!(slot->flags & SLOT_ABORTING) || slot->abort_deadline_ns == UINT64_MAX)) {
		io->flags |= HOST_IO_TIMED_OUT;
		qp->stats.timeouts++;
		abort_want(qp, slot, clock_add(now, qp->ctrlr->opts.abort_timeout_ms * NS_PER_MS));
	}
	if (!(slot->flags & SLOT_ABORTING))
		return true;
	if (now >= slot->abort_deadline_ns) {
		reset_wanted(qp, slot);
		return false;
	}
	abort_send(qp, slot);
	*next = MIN(*next, slot->flags & SLOT_ABORT_SENT ? slot->abort_deadline_ns : now + NS_PER_MS);
	return true;
}

static void scan_pending(struct nvio_qpair *qp, uint64_t now, uint64_t *next)
{
	struct nvio_op *op, *following;

	for (op = qp->pending.head; op; op = following) {
		struct host_io *io = op_io(op);

		following = op->next;
		/* With commands out, those decide; it ends when they have. */
		if (io->in_flight || !expired(qp, io, now, next))
			continue;
		io->flags |= HOST_IO_TIMED_OUT;
		qp->stats.timeouts++;
		qpair_end_later(qp, op, -ETIMEDOUT);
	}
}

void qpair_scan(struct nvio_qpair *qp, uint64_t now)
{
	uint64_t next = UINT64_MAX;

	if (qp->live && qpair_in_flight(qp))
		for (unsigned i = 0; i < qp->nslots; i++)
			if (qp->slots[i].op && !scan_slot(qp, &qp->slots[i], now, &next))
				break;
	scan_pending(qp, now, &next);
	qp->due_ns = next;
	qp->next_scan_ns = MIN(next, now + SCAN_NS);
}

void qpair_tick(struct nvio_qpair *qp)
{
	struct nvio_ctrlr *c = qp->ctrlr;
	uint64_t now = ctrlr_now(c);

	qp->last_gate = cycles();
	if (qp->stats.completed - qp->unsuccessful != qp->succeeded_seen) {
		qp->succeeded_seen = qp->stats.completed - qp->unsuccessful;
		atomic_store_explicit(&c->resets_in_row, 0, memory_order_relaxed);
	}
	if (now >= qp->next_scan_ns)
		qpair_scan(qp, now);
	if (qp->aborting || now >= atomic_load_explicit(&c->next_service_ns, memory_order_relaxed))
		ctrlr_service(c);
}

int qpair_cancel(struct nvio_pollable *p, struct nvio_op *op)
{
	struct nvio_qpair *qp = container_of(p, struct nvio_qpair, pollable);
	struct host_io *io = op_io(op);
	bool out = false;

	if (op == qp->alloc_op)
		return fail(-EOPNOTSUPP, "cancel: making a queue pair has deadlines; to stop it, free the queue pair");
	for (unsigned i = 0; i < qp->nslots; i++) {
		struct slot *slot = &qp->slots[i];

		if (slot->op != op)
			continue;
		out = true;
		/* A cancel that the controller does not honour is no reason to reset it: the op's own deadline stays. */
		if (!(slot->flags & SLOT_ABORTING)) {
			abort_want(qp, slot, UINT64_MAX);
			if (qp->live)
				abort_send(qp, slot);
		}
	}
	/* Ended already, and only to be told. */
	if (!out && !(io->flags & HOST_IO_QUEUED))
		return 0;
	io->flags |= HOST_IO_CANCELED;
	if (!out) {
		qpair_end_later(qp, op, -ECANCELED);
	} else if (io->flags & HOST_IO_QUEUED) {
		io->flags &= (uint8_t)~HOST_IO_QUEUED;
		op_queue_remove(&qp->pending, op);
		io->error = -ECANCELED;
		op->cpl.answered = 0;
	}
	return 0;
}

/* ---- the queue pair's part in a reset ---- */

static void slot_drop(struct nvio_qpair *qp, struct slot *slot)
{
	if (slot->flags & SLOT_ABORTING)
		qp->aborting--;
	op_io(slot->op)->in_flight = 0;
	qp->dropped++;
	slot->flags = 0;
	slot_give_back(qp, slot);
}

/* What an op whose command was lost in a reset ends with; 0: it is sent anew. */
static int lost_rc(struct host_io *io)
{
	if (io->error)
		return io->error;
	if (io->flags & HOST_IO_TIMED_OUT)
		return -ETIMEDOUT;
	if (io->flags & HOST_IO_CANCELED)
		return -ECANCELED;
	/* A passthrough command may not be repeatable; only its sender knows. */
	if (io->kind == HOST_IO_RAW)
		return -ECANCELED;
	return ++io->retries > HOST_MAX_RETRIES ? -EIO : 0;
}

void qpair_take_back(struct nvio_qpair *qp)
{
	struct op_queue again;

	op_queue_init(&again);
	for (unsigned i = 0; i < qp->nslots; i++) {
		struct slot *slot = &qp->slots[i];
		struct nvio_op *op = slot->op;
		struct host_io *io;
		int rc;

		if (!op)
			continue;
		io = op_io(op);
		for (unsigned k = i; k < qp->nslots; k++) /* all commands of the op at once */
			if (qp->slots[k].op == op)
				slot_drop(qp, &qp->slots[k]);
		if (io->flags & HOST_IO_QUEUED)
			op_queue_remove(&qp->pending, op);
		io->flags &= (uint8_t)~HOST_IO_QUEUED;
		rc = lost_rc(io);
		if (rc) {
			qpair_end_later(qp, op, rc);
			continue;
		}
		io->next_block = 0;
		io->flags |= HOST_IO_QUEUED;
		qp->stats.resent++;
		op_queue_push(&again, op);
	}
	op_queue_splice(&again, &qp->pending);
	op_queue_splice(&qp->pending, &again);
	qp->gate |= GATE_CLOSED;
}

void qpair_end_all(struct nvio_qpair *qp, int rc)
{
	for (unsigned i = 0; i < qp->nslots; i++) {
		struct nvio_op *op = qp->slots[i].op;
		struct host_io *io;

		if (!op)
			continue;
		io = op_io(op);
		for (unsigned k = i; k < qp->nslots; k++)
			if (qp->slots[k].op == op)
				slot_drop(qp, &qp->slots[k]);
		qpair_end_later(qp, op, io->flags & HOST_IO_TIMED_OUT ? -ETIMEDOUT : rc);
	}
	while (!op_queue_empty(&qp->pending))
		qpair_end_later(qp, qp->pending.head, rc);
}

static void on_created(struct admin_cmd *cmd, int rc)
{
	struct nvio_qpair *qp = cmd->qp;
	struct nvio_sqe sqe;

	/* Answered, but a reset has begun before the answer was read, and the controller forgets the queue. */
	if (!rc && ctrlr_state(cmd->c) <= CTRLR_DISABLE)
		rc = -ECANCELED;
	if (rc == -ECANCELED) { /* a reset came between; begun again when the controller is ready */
		qp->state = QPAIR_NEW;
	} else if (rc) {
		qp->create_rc = rc == -ETIMEDOUT ? rc : -EIO;
		qp->create_cpl = cmd->op.cpl;
		/* What was created before the refusal goes again; not when the controller was disabled, and has forgotten it. */
		if (qp->state == QPAIR_CREATING_SQ && ctrlr_state(cmd->c) > CTRLR_DISABLE && !ctrlr_state_ended(ctrlr_state(cmd->c))) {
			qpair_delete_cq(qp);
			return;
		}
		qp->state = QPAIR_DEAD;
	} else if (qp->state == QPAIR_CREATING_CQ) {
		qp->state = QPAIR_CREATING_SQ;
		qp->ops->create_cmd(qp, false, &sqe);
		admin_send(cmd->c, cmd, &sqe, NULL, 0, on_created);
		return;
	} else {
		qp->state = QPAIR_CREATED;
	}
	qpair_call(qp);
}

static void create_begin(struct nvio_qpair *qp)
{
	struct nvio_sqe sqe;

	qp->ops->rewind(qp);
	qp->state = QPAIR_CREATING_CQ;
	qp->ops->create_cmd(qp, true, &sqe);
	admin_send(qp->ctrlr, &qp->cmd, &sqe, NULL, 0, on_created);
}

/* The controller's side wants something of this queue pair. On its own thread; takes the lock. */
void qpair_attend(struct nvio_qpair *qp)
{
	struct nvio_ctrlr *c = qp->ctrlr;
	enum ctrlr_state s;
	bool again = false;

	if (!c)
		return;
	lock_take(&c->lock);
	atomic_store_explicit(&qp->attention, false, memory_order_relaxed);
	s = ctrlr_state(c);
	if (ctrlr_state_ended(s)) {
		qp->state = QPAIR_DEAD;
		qp->create_rc = s == CTRLR_FAILED ? -EIO : -ENODEV;
	}
	if (qp->state == QPAIR_STALE) {
		qp->live = false;
		qp->rare = true;
		qp->gate |= GATE_CLOSED;
		/* Until the controller is disabled it may still write to the buffers. */
		again = s <= CTRLR_DISABLE;
		if (!again) {
			qpair_take_back(qp);
			qp->state = QPAIR_NEW;
		}
	}
	if (qp->state == QPAIR_NEW && s == CTRLR_READY && !qp->cmd.busy)
		create_begin(qp);
	if (qp->state == QPAIR_CREATED) {
		qp->state = QPAIR_LIVE;
		qp->live = true;
	}
	if (qp->state == QPAIR_DEAD && !qp->dead_rc) {
		qp->live = false;
		qp->rare = true;
		qp->gate |= GATE_CLOSED;
		qp->dead_rc = qp->create_rc;
		qpair_alloc_ended(qp, qp->dead_rc);
		qpair_end_all(qp, qp->dead_rc);
	}
	lock_give(&c->lock);
	if (qp->live)
		qpair_alloc_ended(qp, 0);
	if (again)
		atomic_store_explicit(&qp->attention, true, memory_order_release);
	if (qp->live) {
		qpair_pump(qp);
		qp->ops->kick(qp);
	}
}
