/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sleeping instead of polling. To arm is to say where the next completion is waited for, and then to look whether there is anything
 * to do after all, in the order in which it could be missed: the queue, what other threads want, the controller, and the device
 * itself where that is moved by us. What only time brings about (deadlines, keep-alive, a reset) is in the timeout.
 *
 * A poll undoes nothing: an arm that nobody sleeps on costs the device one wake-up too many, and the poll nothing.
 */
#include "host/hot.h"

/* While a controller is set up or reset, registers and other threads' commands are waited for that not every device tells of. */
#define UNSETTLED_NS NS_PER_MS

/*
 * With commands at a device that several threads move along by their polls, the others may stop to poll without a word; so each
 * looks now and then.
 */
#define SHARED_MS 10

static int timeout_until(uint64_t due_ns, uint64_t now)
{
	uint64_t ms;

	if (due_ns == UINT64_MAX)
		return -1;
	ms = due_ns <= now ? 0 : (due_ns - now - 1) / NS_PER_MS + 1;
	return ms < INT32_MAX ? (int)ms : INT32_MAX;
}

static void shorten(int *timeout_ms, int ms)
{
	if (ms >= 0 && (*timeout_ms < 0 || ms < *timeout_ms))
		*timeout_ms = ms;
}

/* ---- the controller's part, under the lock ---- */

static uint64_t keep_alive_due(struct nvio_ctrlr *c)
{
	if (!c->keep_alive.busy)
		return c->next_keep_alive_ns;
	/* Not sent yet: that comes with the end of another command. Else it must be answered by then. */
	if (op_io(&c->keep_alive.op)->flags & HOST_IO_QUEUED)
		return UINT64_MAX;
	return clock_add(c->next_keep_alive_ns, c->opts.keep_alive_timeout_ms * NS_PER_MS / 2);
}

/* Moves it on, with a look at its status and at every deadline. Whether anything came of it; *due_ns: when it wants that again. */
static bool ctrlr_look(struct nvio_ctrlr *c, uint64_t *due_ns)
{
	uint64_t now = ctrlr_now(c);
	int n;

	c->next_service_ns = now;
	if (c->admin)
		c->admin->next_scan_ns = 0;
	n = ctrlr_advance(c);
	*due_ns = MIN(c->state_deadline_ns, keep_alive_due(c));
	if (c->admin && c->admin->live)
		*due_ns = MIN(*due_ns, c->admin->due_ns);
	if (ctrlr_state(c) != CTRLR_READY && !ctrlr_state_ended(ctrlr_state(c)))
		*due_ns = MIN(*due_ns, now + UNSETTLED_NS);
	return n;
}

void sleep_wake_ctrlr(struct nvio_ctrlr *c)
{
	if (!c->sleeps)
		return;
	c->sleeps = false;
	c->ops->sleep->end(c, 0);
}

void sleep_wake_qpair(struct nvio_qpair *qp)
{
	/*
	 * All four are sequentially consistent: setting `attention` and this load, making the descriptor and the last look at `attention`.
	 * So either it is seen there that something is wanted, or here that there is a descriptor.
	 */
	if (atomic_load(&qp->sleep_fd) >= 0 && qp->ctrlr)
		qp->ctrlr->ops->sleep->end(qp->ctrlr, qp->qid);
}

/* ---- the queue pair ---- */

static int qpair_open_fd(struct nvio_qpair *qp)
{
	struct nvio_ctrlr *c = qp->ctrlr;
	int rc = qp->dead_rc ? qpair_gone_rc(qp) : 0;

	if (rc)
		return rc;
	if (qp->sleep_fd >= 0)
		return qp->sleep_fd;
	if (!c->ops->sleep)
		return fail(-EOPNOTSUPP, "%s: queue pair %u: this transport cannot be slept on; poll it", c->ops->name, qp->qid);
	rc = c->ops->sleep->open(c, qp->qid);
	if (rc >= 0)
		atomic_store(&qp->sleep_fd, rc);
	return rc;
}

static int qpair_arm(struct nvio_qpair *qp, int *timeout_ms)
{
	struct nvio_ctrlr *c = qp->ctrlr;
	uint64_t due_ns, now;
	uint32_t head;
	bool moved;
	int ms, rc;

	c->ops->sleep->begin(c, qp->qid);
	if (qp->live) {
		qp->ops->kick(qp);
		qpair_scan(qp, ctrlr_now(c)); /* gives each op its deadline */
	}
	qp->ops->caught_up(qp);
	qp->ops->peek(qp, &head);
	*timeout_ms = c->ops->sleep->arm(c, qp->qid, head);
	/* The last looks: at the queue, and at what other threads and the controller may want. */
	if ((qp->live && qp->ops->peek(qp, &head)) || !op_queue_empty(&qp->ended))
		return 1;
	lock_take(&c->lock);
	moved = ctrlr_look(c, &due_ns);
	now = ctrlr_now(c);
	lock_give(&c->lock);
	if (moved || atomic_load(&qp->attention))
		return 1;
	/* Last of all, as it ends with the next move. */
	rc = c->ops->sleep->rest(c, qp->qid, &ms);
	if (rc)
		return rc;
	shorten(timeout_ms, ms);
	due_ns = MIN(due_ns, qp->live ? qp->due_ns : now + UNSETTLED_NS);
	shorten(timeout_ms, timeout_until(due_ns, now));
	if (c->ops->kick && qp->live && qpair_in_flight(qp))
		shorten(timeout_ms, SHARED_MS);
	return *timeout_ms == 0;
}

int nvio_qpair_fd(struct nvio_qpair *qp)
{
	return qp ? qpair_open_fd(qp) : fail(-EINVAL, "queue pair: it is NULL");
}

int nvio_qpair_arm(struct nvio_qpair *qp, int *timeout_ms)
{
	int rc;

	if (!qp || !timeout_ms)
		return fail(-EINVAL, "queue pair: arm: %s is NULL", qp ? "where to put the timeout" : "it");
	/* Also when it is gone since: each op is told. */
	if (!op_queue_empty(&qp->ended) || !op_queue_empty(&qp->reaped))
		return 1;
	rc = qpair_open_fd(qp);
	return rc < 0 ? rc : qpair_arm(qp, timeout_ms);
}

int sleep_qpair_op(struct nvio_pollable *p, int *fd, int *timeout_ms)
{
	struct nvio_qpair *qp = container_of(p, struct nvio_qpair, pollable);

	/* Nobody can sleep by a clock that the kernel does not know. */
	if (qp->env->clock.now_ns)
		return -EOPNOTSUPP;
	*fd = qp->dead_rc ? -EOPNOTSUPP : qpair_open_fd(qp);
	return *fd < 0 ? *fd : nvio_qpair_arm(qp, timeout_ms);
}

/* ---- the controller ---- */

static int ctrlr_open_fd(struct nvio_ctrlr *c)
{
	int rc = ctrlr_gone_rc(c);

	if (rc)
		return rc;
	if (!c->ops->sleep)
		return fail(-EOPNOTSUPP, "%s: %s: this transport cannot be slept on; poll it", c->ops->name, c->trid.traddr);
	lock_take(&c->lock);
	if (c->sleep_fd < 0)
		c->sleep_fd = c->ops->sleep->open(c, 0);
	rc = c->sleep_fd;
	lock_give(&c->lock);
	return rc;
}

/* Under the lock. 1: there is something to do. */
static int ctrlr_arm(struct nvio_ctrlr *c, uint64_t *due_ns, int *timeout_ms)
{
	uint32_t head = 0;

	c->ops->sleep->begin(c, 0);
	c->sleeps = true;
	if (c->admin) {
		c->admin->ops->caught_up(c->admin);
		c->admin->ops->peek(c->admin, &head);
	}
	*timeout_ms = c->ops->sleep->arm(c, 0, head);
	return ctrlr_look(c, due_ns) || !op_queue_empty(&c->ended) || c->event_count || ctrlr_state_ended(ctrlr_state(c));
}

int nvio_ctrlr_fd(struct nvio_ctrlr *c)
{
	return c ? ctrlr_open_fd(c) : fail(-EINVAL, "controller: it is NULL");
}

int nvio_ctrlr_arm(struct nvio_ctrlr *c, int *timeout_ms)
{
	uint64_t due_ns, now;
	int ms, rc;

	if (!c || !timeout_ms)
		return fail(-EINVAL, "controller: arm: %s is NULL", c ? "where to put the timeout" : "it");
	rc = ctrlr_open_fd(c);
	if (rc < 0)
		return rc;
	lock_take(&c->lock);
	rc = ctrlr_arm(c, &due_ns, timeout_ms);
	now = ctrlr_now(c);
	lock_give(&c->lock);
	if (!rc)
		rc = c->ops->sleep->rest(c, 0, &ms);
	if (rc)
		return rc;
	shorten(timeout_ms, ms);
	shorten(timeout_ms, timeout_until(due_ns, now));
	return *timeout_ms == 0;
}

int sleep_ctrlr_op(struct nvio_pollable *p, int *fd, int *timeout_ms)
{
	struct nvio_ctrlr *c = container_of(p, struct nvio_ctrlr, pollable);

	if (c->env->clock.now_ns)
		return -EOPNOTSUPP;
	*fd = ctrlr_open_fd(c);
	return *fd < 0 ? *fd : nvio_ctrlr_arm(c, timeout_ms);
}
