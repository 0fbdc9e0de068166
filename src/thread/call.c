/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Calls with a result, and handles. A call is an op that waits at its target, and a message that says its
 * turn has come: so calls and messages keep the order in which they were sent, calls are bounded as messages
 * are, and what was accepted is answered even when the target exits.
 */
#include "thread/remote.h"

#include "base/alloc.h"

/* A turn: the next call runs, unless it was taken back. */
static void run_call(void *arg)
{
	struct nvio_thread *t = arg;
	struct nvio_op *op = remote_take(&t->calls, ++t->call_turn);
	struct remote_op *r;

	if (!op)
		return;
	r = remote_priv(op);
	remote_end(op, r->fn(r->arg));
}

static int refused(const struct nvio_thread *t, int rc)
{
	return fail(rc, "thread: call: %s: %s", t->name,
		rc == -ESHUTDOWN ? "the thread is exiting, or gone"
				 : "too many messages wait already; poll the thread, or raise max_msgs");
}

int nvio_thread_call(struct nvio_thread *t, int (*fn)(void *arg), void *arg, struct nvio_op *op)
{
	int rc;

	if (!fn)
		return fail(-EINVAL, "thread: call: %s: no fn", t->name);
	rc = remote_check(op, "call");
	if (rc)
		return rc;
	/* Under the lock, so that turns are in the order of the messages, and none comes before its op. */
	pthread_mutex_lock(&t->calls.lock);
	rc = msg_send(&t->msgs, run_call, t);
	if (!rc) {
		thread_ref(t);
		remote_add(&t->calls, op, fn, arg);
	}
	pthread_mutex_unlock(&t->calls.lock);
	if (rc)
		return refused(t, rc);
	remote_start_deadline(op);
	return 0;
}

void call_released(struct remote_queue *q)
{
	thread_unref(container_of(q, struct nvio_thread, calls));
}

/* ---- handles: the thread's memory, counted ---- */

static struct nvio_thread *thread_of(const struct nvio_thread_handle *h)
{
	return container_of(h, struct nvio_thread, handle);
}

void thread_ref(struct nvio_thread *t)
{
	/* Relaxed: who adds one has one, or knows by other means that the thread lives. */
	atomic_fetch_add_explicit(&t->handle.refs, 1, memory_order_relaxed);
}

void thread_unref(struct nvio_thread *t)
{
	/* Release and acquire: all that anybody did with it comes before its memory goes. */
	if (atomic_fetch_sub_explicit(&t->handle.refs, 1, memory_order_acq_rel) > 1)
		return;
	msg_fini(&t->msgs);
	remote_queue_fini(&t->calls);
	pthread_mutex_destroy(&t->pollers_lock);
	alloc_free(t);
}

struct nvio_thread_handle *nvio_thread_handle_get(struct nvio_thread *t)
{
	thread_ref(t);
	return &t->handle;
}

struct nvio_thread_handle *nvio_thread_handle_clone(struct nvio_thread_handle *h)
{
	thread_ref(thread_of(h));
	return h;
}

void nvio_thread_handle_put(struct nvio_thread_handle *h)
{
	if (h)
		thread_unref(thread_of(h));
}

int nvio_thread_handle_send(struct nvio_thread_handle *h, void (*fn)(void *arg), void *arg)
{
	return nvio_thread_send(thread_of(h), fn, arg);
}

int nvio_thread_handle_call(struct nvio_thread_handle *h, int (*fn)(void *arg), void *arg, struct nvio_op *op)
{
	return nvio_thread_call(thread_of(h), fn, arg, op);
}

void nvio_thread_handle_exit(struct nvio_thread_handle *h)
{
	nvio_thread_exit(thread_of(h));
}

bool nvio_thread_handle_is_running(const struct nvio_thread_handle *h)
{
	return nvio_thread_is_running(thread_of(h));
}

uint64_t nvio_thread_handle_id(const struct nvio_thread_handle *h)
{
	return thread_of(h)->id;
}

const char *nvio_thread_handle_name(const struct nvio_thread_handle *h)
{
	return thread_of(h)->name;
}
