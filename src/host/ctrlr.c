/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The controller's life as its user sees it: created, polled, reset, closed. What it goes through meanwhile is state.c.
 *
 * Closing goes in named phases: stop intake, delete the queues, tell the controller, give back the device, free. What handles
 * may still be asked about (the husk) is kept a while.
 */
#include "host/hot.h"

#include "base/alloc.h"
#include "base/opts.h"
#include <nvio/mem.h>

#define HUSKS_KEPT 64 /* closed controllers per environment whose handles still answer */

/* ---- options ---- */

void nvio_ctrlr_opts_init(struct nvio_ctrlr_opts *o)
{
	*o = (struct nvio_ctrlr_opts){
		.size = sizeof(*o),
		.num_io_queues = 1024,
		.io_queue_size = 256,
		.io_queue_requests = 512,
		.admin_queue_size = 32,
		.keep_alive_timeout_ms = 10000,
		.command_timeout_ms = 30000,
		.admin_timeout_ms = 60000,
		.abort_timeout_ms = 1000,
		.max_resets = 3,
		.state_timeout_ms = 5000,
	};
}

static int in_range(const char *name, uint32_t v, uint32_t min, uint32_t max)
{
	if (v >= min && v <= max)
		return 0;
	return fail(-EINVAL, "connect: option %s is %u; it goes from %u to %u", name, v, min, max);
}

static int check_opts(const struct nvio_ctrlr_opts *o)
{
	int rc = in_range("num_io_queues", o->num_io_queues, 1, 65535);

	if (!rc)
		rc = in_range("io_queue_size", o->io_queue_size, 2, 65536);
	if (!rc)
		rc = in_range("io_queue_requests", o->io_queue_requests, 1, 65535);
	if (!rc)
		rc = in_range("admin_queue_size", o->admin_queue_size, 2, 4096);
	if (!rc)
		rc = in_range("abort_timeout_ms", o->abort_timeout_ms, 1, UINT32_MAX);
	if (!rc)
		rc = in_range("state_timeout_ms", o->state_timeout_ms, 1, UINT32_MAX);
	if (!rc && o->hostnqn && strlen(o->hostnqn) > NVIO_NQN_MAX)
		rc = fail(-EINVAL, "connect: option hostnqn is longer than %d bytes", NVIO_NQN_MAX);
	return rc;
}

/* ---- creating ---- */

static int ctrlr_poll_op(struct nvio_pollable *p)
{
	return nvio_ctrlr_poll(container_of(p, struct nvio_ctrlr, pollable));
}

static int ctrlr_cancel_op(struct nvio_pollable *p, struct nvio_op *op)
{
	struct nvio_ctrlr *c = container_of(p, struct nvio_ctrlr, pollable);
	int rc;

	lock_take(&c->lock);
	if (op == c->connect_op || op == c->reset_op)
		rc = fail(-EOPNOTSUPP, "cancel: connecting and resetting have deadlines; to stop them, close the controller");
	else
		rc = c->admin ? qpair_cancel(&c->admin->pollable, op) : 0;
	lock_give(&c->lock);
	return rc;
}

static const struct pollable_ops ctrlr_pollable_ops = {
	.name = "controller",
	.poll = ctrlr_poll_op,
	.cancel = ctrlr_cancel_op,
	.arm = sleep_ctrlr_op,
};

static void ctrlr_close_child(struct env_child *child)
{
	nvio_ctrlr_close(container_of(child, struct nvio_ctrlr, child));
}

static void ctrlr_free(struct nvio_ctrlr *c)
{
	ns_free_all(c);
	lock_fini(&c->lock);
	alloc_free((void *)(uintptr_t)c->opts.hostnqn);
	alloc_free(c);
}

/* Before `bounce`: programs that were built then are still to be understood. */
#define FIRST_SIZE (offsetof(struct nvio_ctrlr_opts, hostnqn) + sizeof(char *))

static int ctrlr_new(struct nvio_env *env, const struct nvio_trid *trid, const struct nvio_ctrlr_opts *opts, const struct ctrlr_ops *ops,
	struct nvio_ctrlr **out)
{
	struct nvio_ctrlr *c = alloc_zeroed(sizeof(*c));
	int rc;

	if (!c)
		return fail(-ENOMEM, "connect: %s: no memory", trid->traddr);
	lock_init(&c->lock);
	nvio_ctrlr_opts_init(&c->opts);
	if (opts) {
		rc = opts_copy("nvio_ctrlr_opts", &c->opts, sizeof(c->opts), opts, FIRST_SIZE);
		if (rc) {
			c->opts.hostnqn = NULL;
			goto err;
		}
	}
	rc = check_opts(&c->opts);
	if (c->opts.hostnqn)
		c->opts.hostnqn = rc ? NULL : alloc_strdup(c->opts.hostnqn);
	if (rc)
		goto err;
	rc = -ENOMEM;
	if (opts && opts->hostnqn && !c->opts.hostnqn) {
		fail(rc, "connect: %s: no memory", trid->traddr);
		goto err;
	}
	c->pollable.ops = &ctrlr_pollable_ops;
	c->env = env;
	c->ops = ops;
	c->trid = *trid;
	c->next_keep_alive_ns = UINT64_MAX;
	c->state_deadline_ns = UINT64_MAX;
	c->sleep_fd = -1;
	list_init(&c->qpairs);
	list_init(&c->child.link);
	op_queue_init(&c->ended);
	*out = c;
	return 0;
err:
	ctrlr_free(c);
	return rc;
}

int ctrlr_create(struct nvio_env *env, const struct nvio_trid *trid, const struct nvio_ctrlr_opts *opts, const struct ctrlr_ops *ops,
	struct nvio_op *connect_op, struct nvio_ctrlr **out)
{
	struct nvio_ctrlr *c = NULL;
	int rc = ctrlr_new(env, trid, opts, ops, &c);

	if (rc)
		return rc;
	rc = ops->open(c);
	if (rc)
		goto err_free;
	/* Identify goes through a page of its own. */
	c->dma = nvio_mem_alloc_zeroed(env, HOST_PAGE, HOST_PAGE);
	if (!c->dma) {
		rc = -ENOMEM;
		goto err_close;
	}
	memset(connect_op->priv, 0, sizeof(connect_op->priv));
	op_begin(connect_op, &c->pollable);
	c->connect_op = connect_op;
	env_child_add(env, &c->child, ctrlr_close_child);
	*out = c;
	return 0;

err_close:
	ops->close(c);
err_free:
	ctrlr_free(c);
	return rc;
}

/* ---- polling ---- */

int ctrlr_service(struct nvio_ctrlr *c)
{
	int n;

	/* Somebody else is at it: that is as good. */
	if (!lock_try(&c->lock))
		return 0;
	n = ctrlr_advance(c);
	lock_give(&c->lock);
	return n;
}

int ctrlr_gone_rc(struct nvio_ctrlr *c)
{
	switch (ctrlr_state(c)) {
	case CTRLR_CLOSED:
		return fail(-ENODEV, "%s: %s: the controller is closed", c->ops->name, c->trid.traddr);
	case CTRLR_REMOVED:
		return fail(-ENODEV, "%s", c->failure);
	case CTRLR_FAILED:
		return fail(-EIO, "%s; close it and connect again", c->failure);
	default:
		return c->closing ? fail(-ENODEV, "%s: %s: the controller is being closed", c->ops->name, c->trid.traddr) : 0;
	}
}

static int deliver_events(struct nvio_ctrlr *c)
{
	uint32_t events[ARRAY_SIZE(c->events)], n;
	nvio_ctrlr_event_fn fn;
	void *arg;

	lock_take(&c->lock);
	n = c->event_count;
	memcpy(events, c->events, n * sizeof(events[0]));
	c->event_count = 0;
	fn = c->event_fn;
	arg = c->event_arg;
	lock_give(&c->lock);
	for (uint32_t i = 0; fn && i < n; i++)
		fn(c, events[i], arg);
	return (int)n;
}

int nvio_ctrlr_poll(struct nvio_ctrlr *c)
{
	int n;

	if (!c)
		return fail(-EINVAL, "poll: the controller is NULL");
	lock_take(&c->lock);
	ctrlr_advance(c);
	lock_give(&c->lock);
	n = admin_deliver(c);
	n += deliver_events(c);
	if (n)
		return n;
	return ctrlr_gone_rc(c);
}

int nvio_ctrlr_reset(struct nvio_ctrlr *c, struct nvio_op *op)
{
	int rc;

	if (!c || !op || nvio_op_pending(op))
		return fail(-EINVAL, "reset: a NULL argument, or the op is in flight already");
	rc = ctrlr_gone_rc(c);
	if (rc)
		return rc;
	lock_take(&c->lock);
	if (!atomic_load_explicit(&c->up, memory_order_relaxed) || c->reset_op) {
		rc = fail(-EALREADY, "reset: %s: it is %s already", c->trid.traddr, ctrlr_state_name(ctrlr_state(c)));
	} else {
		memset(op->priv, 0, sizeof(op->priv));
		op_begin(op, &c->pollable);
		op->cpl.answered = 0;
		c->reset_op = op;
		/* Asked for, so no sign of trouble. */
		atomic_store_explicit(&c->resets_in_row, 0, memory_order_relaxed);
		ctrlr_begin_reset(c, NVIO_LOG_NOTICE, "the user asked for it");
	}
	lock_give(&c->lock);
	return rc;
}

void nvio_ctrlr_set_event_fn(struct nvio_ctrlr *c, nvio_ctrlr_event_fn fn, void *arg)
{
	lock_take(&c->lock);
	c->event_fn = fn;
	c->event_arg = arg;
	lock_give(&c->lock);
}

/* ---- closing ---- */

static void husk_free(struct env_child *child)
{
	struct nvio_ctrlr *c = container_of(child, struct nvio_ctrlr, child);

	env_child_remove(c->env, child);
	ctrlr_free(c);
}

/* Handles of a closed controller answer -ENODEV; the oldest husks make room so that reconnecting for ever costs nothing. */
static void husk_keep(struct nvio_ctrlr *c)
{
	struct env_child *oldest = NULL;
	unsigned n = 0;

	env_child_remove(c->env, &c->child);
	lock_take(&c->env->lock);
	list_for_each(pos, &c->env->children) {
		struct env_child *child = list_entry(pos, struct env_child, link);

		if (child->close != husk_free)
			continue;
		if (!n++)
			oldest = child;
	}
	if (n >= HUSKS_KEPT)
		list_remove(&oldest->link); /* or another thread might take it, too */
	lock_give(&c->env->lock);
	if (n >= HUSKS_KEPT)
		husk_free(oldest);
	env_child_add(c->env, &c->child, husk_free);
}

static void orphan_free(struct env_child *child)
{
	nvio_qpair_free(container_of(child, struct nvio_qpair, orphan));
}

/* Phase 1 and 2: no more I/O, and no queue at the controller. */
static void close_queues(struct nvio_ctrlr *c, struct list *orphans)
{
	while (!list_empty(&c->qpairs)) {
		struct nvio_qpair *qp = list_entry(c->qpairs.next, struct nvio_qpair, link);

		qpair_delete(qp);
		list_push_back(orphans, &qp->link);
	}
}

/* Phase 3: an orderly shutdown where that is possible, else at least a stop. */
static void close_device(struct nvio_ctrlr *c)
{
	enum ctrlr_state s;
	bool wait;

	lock_take(&c->lock);
	c->closing = true;
	s = ctrlr_state(c);
	if (s == CTRLR_NEW)
		ctrlr_set_state(c, CTRLR_CLOSED);
	else if (s >= CTRLR_CHANGED_NS && s <= CTRLR_READY)
		ctrlr_set_state(c, CTRLR_SHUTDOWN);
	else if (s >= CTRLR_IDENTIFY && s < CTRLR_CHANGED_NS)
		ctrlr_set_state(c, CTRLR_DISABLE);
	/* Settling and enabling come first to their end: EN must not be cleared between EN = 1 and RDY = 1. */
	do {
		int n = ctrlr_advance(c);

		wait = !ctrlr_state_ended(ctrlr_state(c));
		lock_give(&c->lock);
		if (wait && !n)
			op_idle();
		lock_take(&c->lock);
	} while (wait);
	if (ctrlr_state(c) != CTRLR_CLOSED)
		ctrlr_set_state(c, CTRLR_CLOSED);
	lock_give(&c->lock);
}

void nvio_ctrlr_close(struct nvio_ctrlr *c)
{
	struct list orphans = LIST_INIT(orphans);
	void (*on_closed)(struct nvio_ctrlr *, void *);

	if (!c || ctrlr_state(c) == CTRLR_CLOSED)
		return;
	close_queues(c, &orphans);
	close_device(c);
	admin_deliver(c);

	/* Phase 4: the device is let go; only now may memory that it could reach be freed. */
	c->sleeps = false;
	c->sleep_fd = -1;
	c->ops->close(c);
	while (!list_empty(&orphans)) {
		struct nvio_qpair *qp = list_entry(list_pop_front(&orphans), struct nvio_qpair, link);

		qp->ops->release(qp);
		qp->dead_rc = -ENODEV;
		qp->ctrlr = NULL;
		env_child_add(c->env, &qp->orphan, orphan_free);
	}
	if (c->admin) {
		c->admin->ops->destroy(c->admin);
		c->admin = NULL;
	}
	nvio_mem_free(c->env, c->dma);
	c->dma = NULL;
	ns_all_gone(c);
	on_closed = c->on_closed;
	c->on_closed = NULL;
	if (on_closed)
		on_closed(c, c->on_closed_arg);
	husk_keep(c);
}

/* ---- what it is ---- */

const char *nvio_ctrlr_state(const struct nvio_ctrlr *c) { return ctrlr_state_name(ctrlr_state(c)); }
bool nvio_ctrlr_is_ready(const struct nvio_ctrlr *c) { return atomic_load_explicit(&c->up, memory_order_relaxed); }
const char *nvio_ctrlr_failure(const struct nvio_ctrlr *c) { return ctrlr_state_ended(ctrlr_state(c)) ? c->failure : ""; }
const struct nvio_trid *nvio_ctrlr_trid(const struct nvio_ctrlr *c) { return &c->trid; }
struct nvio_env *nvio_ctrlr_env(const struct nvio_ctrlr *c) { return c->env; }
const struct nvio_id_ctrlr *nvio_ctrlr_id(const struct nvio_ctrlr *c) { return &c->id; }
uint64_t nvio_ctrlr_cap(const struct nvio_ctrlr *c) { return c->cap; }
uint32_t nvio_ctrlr_version(const struct nvio_ctrlr *c) { return c->vs; }
uint32_t nvio_ctrlr_max_queues(const struct nvio_ctrlr *c) { return c->max_queues; }
uint32_t nvio_ctrlr_max_transfer(const struct nvio_ctrlr *c) { return c->max_transfer; }
uint32_t nvio_ctrlr_reset_count(const struct nvio_ctrlr *c) { return c->resets; }
