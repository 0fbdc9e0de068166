/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A controller whose namespaces are block devices: attached, looked after by a poller of its home thread, detached.
 *
 * Detaching goes in named phases: the devices are removed, and end with their last descriptors; the queues go; the controller is shut
 * down. A controller that fails or vanishes goes the same way.
 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/opts.h"
#include "bdev/modules/nvme.h"
#include <nvio/bdev_nvme.h>
#include <nvio/error.h>

void nvme_ctrlr_put(struct nvme_ctrlr *nc)
{
	if (atomic_fetch_sub(&nc->refs, 1) != 1)
		return;
	pthread_mutex_destroy(&nc->lock);
	alloc_free(nc->name);
	alloc_free(nc);
}

/* ---- the end ---- */

static void end_op(struct nvme_ctrlr *nc, struct nvio_op **op, int status)
{
	struct nvio_op *ended = *op;

	*op = NULL;
	if (ended)
		thread_end_op(nc->home, ended, status);
}

/* Its pollers first: closing polls, and they must not be entered again. */
static void close_ctrlr(struct nvme_ctrlr *nc)
{
	atomic_store(&nc->state, NVME_CLOSED);
	nvio_poller_unregister(nc->poller);
	nvio_poller_unregister(nc->beat);
	nvio_ctrlr_close(nc->ctrlr);
}

/* The last queue is gone; or home is, and then close_child() has seen to the rest. */
static void queues_gone(struct nvio_op *op)
{
	struct nvme_ctrlr *nc = container_of(op, struct nvme_ctrlr, gone_op);
	int rc = nc->rc;

	if (atomic_load(&nc->state) == NVME_CLOSING && !op->status) {
		close_ctrlr(nc);
		env_child_remove(nc->env, &nc->child);
		if (rc)
			fail(rc, "%s", nc->why);
		end_op(nc, &nc->attach_op, rc);
		end_op(nc, &nc->detach_op, 0);
		nvme_ctrlr_put(nc);
	}
	nvme_ctrlr_put(nc);
}

static void begin_close(struct nvme_ctrlr *nc)
{
	nc->gone_op = (struct nvio_op)NVIO_OP(queues_gone);
	/* Without memory for a timer it is tried again with the next beat. */
	if (nvio_io_device_unregister(nc->env, nc, &nc->gone_op)) {
		fail_clear();
		return;
	}
	atomic_store(&nc->state, NVME_CLOSING);
	atomic_fetch_add(&nc->refs, 1);
	nvio_channel_put(nc->pin);
	nc->pin = NULL;
}

static void begin_leave(struct nvme_ctrlr *nc)
{
	atomic_store(&nc->state, NVME_LEAVING);
	nvme_remove_all(nc);
	nvme_ctrlr_wake(nc);
}

/* With everything but its queues gone it may need no more than a few polls; then it takes the usual way. */
static bool closes_by_itself(struct nvme_ctrlr *nc)
{
	for (unsigned i = 0; i < NVME_LAST_POLLS && atomic_load(&nc->state) == NVME_CLOSING; i++)
		nvio_thread_poll(nc->home, 0);
	return atomic_load(&nc->state) == NVME_CLOSED;
}

/*
 * All of the environment is on this OS thread now, so the other threads' queues are ended here, too: they must not outlive the
 * controller. Home is made current, since a drive may live on it that has to answer. Its own queue is pinned, or else gone by now.
 */
static void close_now(struct nvme_ctrlr *nc)
{
	list_for_each (l, &nc->queues)
		nvme_queue_kill(list_entry(l, struct nvme_queue, in_ctrlr));
	close_ctrlr(nc);
	list_for_each (l, &nc->queues)
		nvme_queue_bury(list_entry(l, struct nvme_queue, in_ctrlr));
	while (!list_empty(&nc->devices))
		nvme_forget(list_entry(nc->devices.next, struct nvme_bdev, link));
	end_op(nc, &nc->attach_op, -ECANCELED);
	end_op(nc, &nc->detach_op, -ECANCELED);
	if (nc->pin)
		nvio_channel_put(nc->pin);
	nvme_ctrlr_put(nc);
}

void nvme_close_child(struct env_child *child)
{
	struct nvme_ctrlr *nc = container_of(child, struct nvme_ctrlr, child);
	struct nvio_thread *home = nc->home;
	bool attached = !nvio_thread_attach(home);

	atomic_fetch_add(&nc->refs, 1);
	/* What is polled meanwhile must not go on with it. */
	nc->polling = true;
	if (!closes_by_itself(nc))
		close_now(nc);
	nvme_ctrlr_put(nc);
	if (attached)
		nvio_thread_detach(home);
}

/* ---- looking after it ---- */

static COLD void attach_failed(struct nvme_ctrlr *nc, int rc, const char *why)
{
	nc->rc = rc;
	snprintf(nc->why, sizeof(nc->why), "%s", why);
	begin_leave(nc);
}

static void connected(struct nvme_ctrlr *nc)
{
	int rc = nc->connect_op.status;
	const char *why = nvio_ctrlr_failure(nc->ctrlr);

	if (rc) {
		attach_failed(nc, rc, *why ? why : nvio_errno_name(rc));
		return;
	}
	nc->resets_seen = nvio_ctrlr_reset_count(nc->ctrlr);
	rc = nvme_scan(nc);
	if (rc) {
		attach_failed(nc, rc, nvio_errmsg());
		return;
	}
	atomic_store(&nc->state, NVME_ATTACHED);
	end_op(nc, &nc->attach_op, 0);
}

static void on_event(struct nvio_ctrlr *c, uint32_t dw0, void *arg)
{
	struct nvme_ctrlr *nc = arg;

	if (nvio_aer_type(dw0) == NVIO_AER_NOTICE)
		atomic_store(&nc->rescan, true);
}

/* Whether the driver is through with what it has begun, its list of namespaces included. */
static bool settled(struct nvme_ctrlr *nc)
{
	struct nvio_ctrlr *c = nc->ctrlr;
	bool yes;

	lock_take(&c->lock);
	yes = ctrlr_state(c) == CTRLR_READY && !c->ns_changed;
	lock_give(&c->lock);
	return yes;
}

static void look_after(struct nvme_ctrlr *nc, int rc)
{
	uint32_t resets = nvio_ctrlr_reset_count(nc->ctrlr);

	if (rc < 0) {
		log_msg(&nc->env->log, NVIO_LOG_WARN, "bdev: nvme: %s: its devices are removed: %s", nc->name,
			nvio_ctrlr_failure(nc->ctrlr));
		begin_leave(nc);
		return;
	}
	if (resets == nc->resets_seen && !atomic_load(&nc->rescan))
		return;
	if (!settled(nc)) {
		nvme_ctrlr_wake(nc);
		return;
	}
	nc->resets_seen = resets;
	atomic_store(&nc->rescan, false);
	/* What did not become a device has been logged. */
	if (nvme_scan(nc))
		fail_clear();
}

static int poll(struct nvme_ctrlr *nc)
{
	int n = nvio_ctrlr_poll(nc->ctrlr);

	switch (atomic_load(&nc->state)) {
	case NVME_ATTACHING:
		if (!nvio_op_pending(&nc->connect_op))
			connected(nc);
		break;
	case NVME_ATTACHED:
		look_after(nc, n);
		nvme_reap(nc);
		if (nc->passing && nvme_is_unused(nc))
			begin_leave(nc);
		break;
	case NVME_LEAVING:
		nvme_reap(nc);
		if (list_empty(&nc->devices))
			begin_close(nc);
		break;
	default:
		break;
	}
	return MAX(n, 0);
}

/* A callback of the controller's user may wait, and so poll, in here. */
static int poll_once(struct nvme_ctrlr *nc)
{
	int n;

	if (nc->polling)
		return 0;
	nc->polling = true;
	n = poll(nc);
	nc->polling = false;
	return n;
}

void nvme_ctrlr_wake(struct nvme_ctrlr *nc)
{
	nc->idle = 0;
	if (!nc->resting)
		return;
	nc->resting = false;
	nvio_poller_resume(nc->poller);
}

static int on_poll(void *arg)
{
	struct nvme_ctrlr *nc = arg;
	int n = poll_once(nc);

	if (n) {
		nc->idle = 0;
		return n;
	}
	/* Connecting has its own deadlines. */
	if (++nc->idle < NVME_IDLE_POLLS || atomic_load(&nc->state) == NVME_ATTACHING)
		return 0;
	nc->resting = true;
	nvio_poller_pause(nc->poller);
	return 0;
}

static int on_beat(void *arg)
{
	struct nvme_ctrlr *nc = arg;
	int n = poll_once(nc);

	if (n)
		nvme_ctrlr_wake(nc);
	return n;
}

/* ---- attaching ---- */

void nvio_bdev_nvme_opts_init(struct nvio_bdev_nvme_opts *opts)
{
	*opts = (struct nvio_bdev_nvme_opts){ .size = sizeof(*opts) };
}

static int check(struct nvio_env *env, const struct nvio_bdev_nvme_opts *o, const struct nvio_op *op)
{
	int rc = bdev_name_check("nvme: attach", o->name);

	if (rc)
		return rc;
	if (strlen(o->name) > NVIO_BDEV_NVME_NAME_MAX)
		return fail(-EINVAL, "bdev: nvme: attach: the name %.32s... is longer than %d bytes", o->name, NVIO_BDEV_NVME_NAME_MAX);
	if (!o->trid)
		return fail(-EINVAL, "bdev: nvme: attach: %s: trid is NULL; say which controller", o->name);
	if (op->flags || nvio_op_pending(op))
		return fail(-EINVAL, "bdev: nvme: attach: %s: the op is in flight already, or has flags (%#x), which this does not take",
			o->name, op->flags);
	if (!thread_current())
		return fail(-EINVAL, "bdev: nvme: attach: %s: no nvio_thread is current here; attach to one", o->name);
	if (nvme_find(env, o->name))
		return fail(-EEXIST, "bdev: nvme: attach: a controller %s is attached; detach it, or choose another name", o->name);
	return 0;
}

static struct nvme_ctrlr *ctrlr_alloc(struct nvio_env *env, const char *name)
{
	struct nvme_ctrlr *nc = alloc_zeroed(sizeof(*nc));

	if (!nc)
		return NULL;
	nc->name = alloc_strdup(name);
	if (!nc->name) {
		alloc_free(nc);
		return NULL;
	}
	nc->env = env;
	nc->home = thread_current();
	atomic_store(&nc->refs, 1);
	pthread_mutex_init(&nc->lock, NULL);
	list_init(&nc->queues);
	list_init(&nc->devices);
	list_init(&nc->child.link);
	return nc;
}

static int start(struct nvme_ctrlr *nc)
{
	int rc = nvio_poller_register(nc->home, "nvme controller", on_poll, nc, 0, &nc->poller);

	if (rc)
		return rc;
	rc = nvio_poller_register(nc->home, "nvme beat", on_beat, nc, NVME_PERIOD_US, &nc->beat);
	if (rc)
		goto stop_poller;
	rc = nvme_join_env(nc);
	if (rc)
		goto stop_beat;
	rc = nvio_channel_get(nc->env, nc, &nc->pin);
	if (rc)
		goto leave_env;
	nvio_ctrlr_set_event_fn(nc->ctrlr, on_event, nc);
	return 0;

leave_env:
	env_child_remove(nc->env, &nc->child);
stop_beat:
	nvio_poller_unregister(nc->beat);
stop_poller:
	nvio_poller_unregister(nc->poller);
	return rc;
}

static int attach(struct nvme_ctrlr *nc, const struct nvio_bdev_nvme_opts *o)
{
	int rc = nvio_io_device_register(nc->env, nc, &nvme_queue_ops);

	if (rc)
		return rc;
	nc->connect_op = (struct nvio_op)NVIO_OP(NULL);
	rc = nvio_connect_async(nc->env, o->trid, o->ctrlr, &nc->connect_op, &nc->ctrlr);
	if (rc)
		goto unregister;
	rc = start(nc);
	if (rc)
		goto close;
	return 0;

close:
	nvio_ctrlr_close(nc->ctrlr);
unregister:
	nvio_io_device_unregister(nc->env, nc, NULL);
	return rc;
}

int nvio_bdev_nvme_attach(struct nvio_env *env, const struct nvio_bdev_nvme_opts *opts, struct nvio_op *op)
{
	struct nvio_bdev_nvme_opts o;
	struct nvme_ctrlr *nc;
	int rc;

	if (!env || !opts || !op)
		return fail(-EINVAL, "bdev: nvme: attach: %s is NULL",
			!env	? "the environment"
			: !opts ? "the options"
				: "the op");
	nvio_bdev_nvme_opts_init(&o);
	rc = opts_copy("nvio_bdev_nvme_opts", &o, sizeof(o), opts, sizeof(o));
	if (!rc)
		rc = check(env, &o, op);
	if (rc)
		return rc;
	nc = ctrlr_alloc(env, o.name);
	if (!nc)
		return fail(-ENOMEM, "bdev: nvme: attach: %s: no memory", o.name);
	rc = attach(nc, &o);
	if (rc) {
		nvme_ctrlr_put(nc);
		return rc;
	}
	op_begin(op, thread_pollable(nc->home));
	nc->attach_op = op;
	return 0;
}

/* ---- detaching ---- */

int nvio_bdev_nvme_detach(struct nvio_env *env, const char *name, struct nvio_op *op)
{
	struct nvme_ctrlr *nc;
	enum nvme_state s;

	if (!env || !name || !op)
		return fail(-EINVAL, "bdev: nvme: detach: %s is NULL",
			!env	? "the environment"
			: !name ? "the name"
				: "the op");
	if (op->flags || nvio_op_pending(op))
		return fail(-EINVAL, "bdev: nvme: detach: %s: the op is in flight already, or has flags (%#x), which this does not take", name,
			op->flags);
	nc = nvme_find(env, name);
	if (!nc)
		return fail(-ENODEV, "bdev: nvme: detach: no controller %s is attached", name);
	if (nc->home != thread_current())
		return fail(-EINVAL, "bdev: nvme: detach: %s was attached on thread %s; detach it there", name, nvio_thread_name(nc->home));
	if (nc->detach_op)
		return fail(-EALREADY, "bdev: nvme: detach: %s is being detached, and another op waits for it", name);
	s = atomic_load(&nc->state);
	op_begin(op, thread_pollable(nc->home));
	nc->detach_op = op;
	if (s == NVME_ATTACHING)
		attach_failed(nc, -ECANCELED, "it was detached before it was attached");
	else if (s == NVME_ATTACHED)
		begin_leave(nc);
	return 0;
}

void nvme_leave_when_unused(struct nvio_env *env, const char *name, bool now)
{
	struct nvme_ctrlr *nc = nvme_find(env, name);

	if (!nc || atomic_load(&nc->state) != NVME_ATTACHED)
		return;
	nc->passing = true;
	if (now)
		begin_leave(nc);
}
