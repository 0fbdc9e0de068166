/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The queue pair's life: made, brought to the controller, polled, deleted. What it does with ops is in io.c, piece.c and
 * the transport; what it does when things go wrong is in recover.c.
 */
#include "host/hot.h"

#include "base/alloc.h"
#include "base/opts.h"

#define POLLS_PER_GATE 64 /* busy polls between two looks at the cycle counter */

static int qpair_poll_ops(struct nvio_pollable *p)
{
	return nvio_qpair_poll(container_of(p, struct nvio_qpair, pollable), 0);
}

static void qpair_waited(struct nvio_pollable *p, struct nvio_op *op)
{
	op->state = 0;
	op_queue_remove(&container_of(p, struct nvio_qpair, pollable)->reaped, op);
}

static const struct pollable_ops qpair_pollable_ops = {
	.name = "queue pair",
	.poll = qpair_poll_ops,
	.cancel = qpair_cancel,
	.waited = qpair_waited,
	.arm = sleep_qpair_op,
};

int qpair_init(struct nvio_qpair *qp, struct nvio_ctrlr *c, uint16_t qid, uint32_t entries, uint32_t slots,
	const struct qpair_ops *ops)
{
	uint32_t table = 1;

	while (table < slots)
		table *= 2;
	qp->slots = alloc_aligned(CACHE_LINE, table * sizeof(*qp->slots));
	if (!qp->slots)
		return fail(-ENOMEM, "%s: queue pair %u: no memory for %u requests", c->ops->name, qid, slots);
	/* Low numbers first, so that a shallow queue stays within a few cache lines. */
	for (uint32_t i = 0; i < table; i++) {
		qp->slots[i].cid = (uint16_t)i;
		qp->slots[i].next_free = i + 1 < slots ? (uint16_t)(i + 1) : SLOT_NONE;
	}
	qp->pollable.ops = &qpair_pollable_ops;
	qp->ops = ops;
	qp->ctrlr = c;
	qp->env = c->env;
	qp->qid = qid;
	qp->size = (uint16_t)entries;
	qp->nslots = (uint16_t)slots;
	qp->slot_mask = (uint16_t)(table - 1);
	qp->gate = GATE_CLOSED;
	qp->rare = true;
	qp->gate_count = POLLS_PER_GATE;
	op_queue_init(&qp->pending);
	op_queue_init(&qp->ended);
	op_queue_init(&qp->reaped);
	list_init(&qp->link);
	list_init(&qp->orphan.link);
	qp->sleep_fd = -1;
	return 0;
}

void qpair_fini(struct nvio_qpair *qp)
{
	alloc_free(qp->slots);
	qp->slots = NULL;
}

void qpair_call(struct nvio_qpair *qp)
{
	atomic_store(&qp->attention, true); /* not only release: see sleep_wake_qpair() */
	sleep_wake_qpair(qp);
}

void qpair_call_all(struct nvio_ctrlr *c)
{
	list_for_each(pos, &c->qpairs)
		qpair_call(list_entry(pos, struct nvio_qpair, link));
}

void qpair_stale_all(struct nvio_ctrlr *c)
{
	list_for_each(pos, &c->qpairs) {
		struct nvio_qpair *qp = list_entry(pos, struct nvio_qpair, link);

		if (qp->state == QPAIR_LIVE || qp->state == QPAIR_CREATED || qp->state == QPAIR_SQ_DELETED)
			qp->state = QPAIR_STALE;
	}
	qpair_call_all(c);
}

/* ---- polling ---- */

/* Ops have ended by other means than a completion, or the queue is not usable just now. */
static COLD int poll_rare(struct nvio_qpair *qp)
{
	int n = qpair_deliver(qp);

	if (qp->live) {
		qp->rare = !op_queue_empty(&qp->ended);
		return n;
	}
	if (n)
		return n;
	if (qp->ctrlr && !qp->dead_rc) {
		ctrlr_service(qp->ctrlr);
		if (atomic_load_explicit(&qp->attention, memory_order_acquire))
			qpair_attend(qp);
		qpair_tick(qp);
	}
	n = qpair_deliver(qp);
	if (n || !qp->dead_rc)
		return n;
	qpair_gone_rc(qp); /* for its words */
	return qp->dead_rc;
}

int nvio_qpair_poll(struct nvio_qpair *qp, uint32_t max)
{
	int n;

	if (unlikely(atomic_load_explicit(&qp->attention, memory_order_acquire)))
		qpair_attend(qp);
	if (unlikely(qp->rare)) {
		n = poll_rare(qp);
		if (n || !qp->live)
			return n;
	}
	n = qp->ops->reap(qp, max);
	if (unlikely(qp->gate & GATE_CLOSED)) {
		qpair_pump(qp);
		qp->ops->kick(qp);
	}
	if (n && likely(--qp->gate_count))
		return n;
	qp->gate_count = POLLS_PER_GATE;
	/* On an injected clock the cycle counter says nothing. */
	if (cycles() - qp->last_gate >= CYCLES_GATE || unlikely(qp->env->clock.now_ns))
		qpair_tick(qp);
	return n;
}

int nvio_qpair_reap(struct nvio_qpair *qp, struct nvio_op **ops, uint32_t max)
{
	int rc = nvio_qpair_poll(qp, 0);
	uint32_t n = 0;

	while (n < max && !op_queue_empty(&qp->reaped)) {
		ops[n] = op_queue_pop(&qp->reaped);
		ops[n++]->state = 0;
	}
	return n ? (int)n : MIN(rc, 0);
}

void nvio_qpair_kick(struct nvio_qpair *qp)
{
	if (qp->live)
		qp->ops->kick(qp);
}

/* ---- making one ---- */

void nvio_qpair_opts_init(struct nvio_qpair_opts *opts)
{
	memset(opts, 0, sizeof(*opts));
	opts->size = sizeof(*opts);
}

static int check_opts(struct nvio_ctrlr *c, const struct nvio_qpair_opts *o)
{
	if (o->flags & ~NVIO_QPAIR_IMMEDIATE)
		return fail(-EINVAL, "queue pair: unknown flags %#x", o->flags & ~NVIO_QPAIR_IMMEDIATE);
	if (o->io_queue_size == 1 || o->io_queue_size > 65536)
		return fail(-EINVAL, "queue pair: io_queue_size %u; a queue has 2 to 65536 entries", o->io_queue_size);
	if ((unsigned)o->priority > NVIO_QPAIR_LOW)
		return fail(-EINVAL, "queue pair: priority %d is none of the four", (int)o->priority);
	/* CC.AMS stays round robin, under which the controller ignores priorities: better to say so. */
	if (o->priority != NVIO_QPAIR_URGENT)
		return fail(-EOPNOTSUPP, "queue pair: %s: priorities need weighted round robin arbitration, which is not enabled", c->trid.traddr);
	return 0;
}

/* The lowest free identifier, under the lock; 0: none. */
static uint16_t free_qid(struct nvio_ctrlr *c)
{
	for (uint32_t qid = 1; qid <= c->max_queues; qid++) {
		bool used = false;

		list_for_each(pos, &c->qpairs)
			used |= list_entry(pos, struct nvio_qpair, link)->qid == qid;
		if (!used)
			return (uint16_t)qid;
	}
	return 0;
}

static int qpair_make(struct nvio_ctrlr *c, const struct nvio_qpair_opts *o, struct nvio_qpair **out)
{
	uint32_t entries = o->io_queue_size ? o->io_queue_size : c->opts.io_queue_size;
	uint32_t slots = o->io_queue_requests ? o->io_queue_requests : c->opts.io_queue_requests;
	uint16_t qid = free_qid(c);
	struct nvio_qpair *qp = NULL;
	int rc;

	if (!qid)
		return fail(-ENOSPC, "queue pair: %s: all %u I/O queue pairs that the controller grants are in use; free one", c->trid.traddr,
			c->max_queues);
	entries = MIN(entries, nvio_cap_mqes(c->cap) + 1u);
	rc = c->ops->qpair_create(c, qid, MAX(entries, 2u), slots, &qp);
	if (rc)
		return rc;
	qp->priority = o->priority;
	qp->immediate = o->flags & NVIO_QPAIR_IMMEDIATE;
	qp->state = QPAIR_NEW;
	qp->cmd.qp = qp;
	qp->cmd.timeout_ms = c->opts.state_timeout_ms;
	list_push_back(&c->qpairs, &qp->link);
	atomic_store(&qp->attention, true);
	*out = qp;
	return 0;
}

/* Whoever waits for it to be made hears of it in the next poll. */
void qpair_alloc_ended(struct nvio_qpair *qp, int rc)
{
	struct nvio_op *op = qp->alloc_op;

	if (!op)
		return;
	qp->alloc_op = NULL;
	op_io(op)->error = rc;
	if (rc)
		op->cpl = qp->create_cpl;
	op_queue_push(&qp->ended, op);
	qp->rare = true;
}

int nvio_qpair_alloc_async(struct nvio_ctrlr *c, const struct nvio_qpair_opts *opts, struct nvio_op *op, struct nvio_qpair **out)
{
	struct nvio_qpair_opts o;
	struct nvio_qpair *qp = NULL;
	int rc;

	if (!c || !out || !op)
		return fail(-EINVAL, "queue pair: %s is NULL", !c ? "the controller" : !op ? "the op" : "where to put it");
	if (op->flags || nvio_op_pending(op))
		return fail(-EINVAL, "queue pair: the op is in flight already, or has flags (%#x), which this does not take", op->flags);
	nvio_qpair_opts_init(&o);
	if (opts) {
		rc = opts_copy("nvio_qpair_opts", &o, sizeof(o), opts, sizeof(o));
		if (rc)
			return rc;
	}
	rc = check_opts(c, &o);
	if (rc)
		return rc;
	rc = ctrlr_gone_rc(c);
	if (rc)
		return rc;
	lock_take(&c->lock);
	rc = qpair_make(c, &o, &qp);
	lock_give(&c->lock);
	if (rc)
		return rc;
	memset(op->priv, 0, sizeof(op->priv));
	op_io(op)->kind = HOST_IO_NODATA;
	op->cpl = (struct nvio_cpl){ 0 };
	op_begin(op, &qp->pollable);
	qp->alloc_op = op;
	*out = qp;
	return 0;
}

int nvio_qpair_alloc(struct nvio_ctrlr *c, const struct nvio_qpair_opts *opts, struct nvio_qpair **out)
{
	struct nvio_op op = NVIO_OP(NULL);
	struct nvio_qpair *qp = NULL;
	int rc;

	if (!out)
		return fail(-EINVAL, "queue pair: where to put it is NULL");
	rc = nvio_qpair_alloc_async(c, opts, &op, &qp);
	if (rc)
		return rc;
	/* The states and commands on the way have deadlines, so this ends. */
	rc = nvio_wait(&op);
	if (rc) {
		if (!ctrlr_gone_rc(c))
			fail(rc, "queue pair %u: %s: the controller did not create it: %s", qp->qid, c->trid.traddr, nvio_op_strerror(&op));
		nvio_qpair_free(qp);
		return rc;
	}
	*out = qp;
	return 0;
}

/* ---- giving it back ---- */

static void on_deleted(struct admin_cmd *cmd, int rc)
{
	struct nvio_qpair *qp = cmd->qp;
	enum ctrlr_state s = ctrlr_state(cmd->c);

	if (!rc && qp->state == QPAIR_DELETING_SQ) {
		qp->state = QPAIR_SQ_DELETED;
	} else if (!rc || s == CTRLR_DISABLE || ctrlr_state_ended(s)) {
		qp->state = QPAIR_DEAD;
	} else {
		/* A controller that does not let go of a queue is reset: only then is the memory ours again. */
		qp->state = QPAIR_STALE;
		ctrlr_request_reset(cmd->c, "a queue could not be deleted");
	}
	qpair_call(qp);
}

void qpair_delete_cq(struct nvio_qpair *qp)
{
	struct nvio_sqe sqe = { .opc = NVIO_ADMIN_DELETE_CQ, .cdw10 = nvio_to_le32(qp->qid) };

	qp->state = QPAIR_DELETING_CQ;
	admin_send(qp->ctrlr, &qp->cmd, &sqe, NULL, 0, on_deleted);
}

static void delete_begin(struct nvio_qpair *qp)
{
	struct nvio_sqe sqe = { .opc = NVIO_ADMIN_DELETE_SQ, .cdw10 = nvio_to_le32(qp->qid) };

	qp->state = QPAIR_DELETING_SQ;
	admin_send(qp->ctrlr, &qp->cmd, &sqe, NULL, 0, on_deleted);
}

/*
 * Done when the controller cannot reach its memory any more: the queues are deleted, or the controller was disabled in the
 * meantime, or is gone.
 */
static bool delete_done(struct nvio_qpair *qp)
{
	enum ctrlr_state s = ctrlr_state(qp->ctrlr);

	if (ctrlr_state_ended(s))
		return true;
	if (qp->cmd.busy)
		return false;
	switch (qp->state) {
	case QPAIR_NEW:
	case QPAIR_DEAD:
		return true;
	case QPAIR_STALE: /* a reset has begun since */
		return s > CTRLR_DISABLE;
	case QPAIR_LIVE:
	case QPAIR_CREATED:
		if (atomic_load_explicit(&qp->ctrlr->up, memory_order_relaxed))
			delete_begin(qp);
		return false;
	default:
		return false;
	}
}

void qpair_delete(struct nvio_qpair *qp)
{
	struct nvio_ctrlr *c = qp->ctrlr;
	bool done = false, reap = qp->live;

	/* From here on callbacks' submits only go in line, and are canceled below. */
	qp->gate |= GATE_CLOSED;
	qp->live = false;
	qp->rare = true;
	while (!done) {
		int n = 0;

		if (reap)
			n = qp->ops->reap(qp, 0);
		lock_take(&c->lock);
		/* Deleting the submission queue made the controller answer what was in it; those answers count, and are read. */
		if (qp->state == QPAIR_SQ_DELETED && !ctrlr_state_ended(ctrlr_state(c)))
			qpair_delete_cq(qp);
		n += ctrlr_advance(c);
		done = delete_done(qp);
		if (done)
			list_remove(&qp->link);
		reap &= qp->state == QPAIR_LIVE || qp->state == QPAIR_DELETING_SQ || qp->state == QPAIR_SQ_DELETED;
		lock_give(&c->lock);
		if (!n && !done)
			op_idle();
	}
	/* What callbacks submit now would end nowhere. */
	qp->dead_rc = -ENODEV;
	qpair_alloc_ended(qp, -ECANCELED);
	qpair_end_all(qp, -ECANCELED);
	qpair_deliver(qp);
	if (qp->sleep_fd >= 0)
		c->ops->sleep->close(c, qp->qid);
	qp->sleep_fd = -1;
}

void nvio_qpair_free(struct nvio_qpair *qp)
{
	if (!qp)
		return;
	if (qp->ctrlr)
		qpair_delete(qp);
	else
		env_child_remove(qp->env, &qp->orphan);
	qpair_deliver(qp);
	/* What nobody has reaped cannot be any more, and must not point to us. */
	while (!op_queue_empty(&qp->reaped))
		op_queue_pop(&qp->reaped)->state = 0;
	qp->ops->destroy(qp);
}

/* ---- what it is ---- */

uint16_t nvio_qpair_id(const struct nvio_qpair *qp) { return qp->qid; }
struct nvio_ctrlr *nvio_qpair_ctrlr(const struct nvio_qpair *qp) { return qp->ctrlr; }
uint32_t nvio_qpair_depth(const struct nvio_qpair *qp) { return qp->nslots; }
uint32_t nvio_qpair_in_flight(const struct nvio_qpair *qp) { return qpair_in_flight(qp); }
void nvio_qpair_get_stats(const struct nvio_qpair *qp, struct nvio_qpair_stats *stats) { *stats = qp->stats; }
