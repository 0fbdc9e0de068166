/* SPDX-License-Identifier: BSD-3-Clause */
/* Ops that another OS thread ends: see remote.h. */
#include "thread/remote.h"

#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

/* An answer is often on its way already; so many looks before the OS thread sleeps. */
#define LOOKS_BEFORE_SLEEP 2000u

void futex_wait(_Atomic uint32_t *word, uint32_t value, uint64_t timeout_ns)
{
	struct timespec ts = {
		.tv_sec = (time_t)(timeout_ns / NS_PER_S),
		.tv_nsec = (long)(timeout_ns % NS_PER_S),
	};

	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, timeout_ns == UINT64_MAX ? NULL : &ts, NULL, 0);
}

void futex_wake(_Atomic uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

static struct nvio_op *op_of(struct remote_op *r)
{
	return container_of((void *)r, struct nvio_op, priv);
}

void remote_queue_init(struct remote_queue *q, void (*release)(struct remote_queue *q))
{
	pthread_mutex_init(&q->lock, NULL);
	op_queue_init(&q->ops);
	q->turns = 0;
	q->release = release;
}

void remote_queue_fini(struct remote_queue *q)
{
	invariant(op_queue_empty(&q->ops));
	pthread_mutex_destroy(&q->lock);
}

/* Takes a waiting op back; false: too late. Submitter. */
static bool withdraw(struct nvio_op *op)
{
	struct remote_op *r = remote_priv(op);
	bool waits;

	pthread_mutex_lock(&r->queue->lock);
	waits = atomic_load_explicit(&r->state, memory_order_relaxed) == REMOTE_WAITS;
	if (waits) {
		op_queue_remove(&r->queue->ops, op);
		atomic_store_explicit(&r->state, REMOTE_TAKEN, memory_order_relaxed);
	}
	pthread_mutex_unlock(&r->queue->lock);
	return waits;
}

/* ---- with a home ---- */

static struct nvio_thread *home_of(const struct nvio_op *op)
{
	return container_of(op->owner, struct nvio_thread, remote_pollable);
}

static struct nvio_thread *home(struct nvio_pollable *p)
{
	return container_of(p, struct nvio_thread, remote_pollable);
}

static int poll_home(struct nvio_pollable *p)
{
	return thread_wait_poll(home(p));
}

/* Submitter: it is at home, in whatever way. */
static void end_at_home(struct nvio_op *op, int status)
{
	struct remote_op *r = remote_priv(op);

	nvio_timer_stop(&r->timer);
	list_remove(&r->link);
	r->queue->release(r->queue);
	thread_end_op(home_of(op), op, status);
}

static int cancel_at_home(struct nvio_pollable *p, struct nvio_op *op)
{
	check_own(container_of(p, struct nvio_thread, remote_pollable), "nvio_cancel");
	if (!list_empty(&remote_priv(op)->link) && withdraw(op))
		end_at_home(op, -ECANCELED);
	return 0;
}

const struct pollable_ops remote_pollable_ops = {
	.name = "call to a thread",
	.poll = poll_home,
	.cancel = cancel_at_home,
	.thread = home,
};

static void timed_out(struct nvio_timer *timer)
{
	struct nvio_op *op = op_of(container_of(timer, struct remote_op, timer));

	if (withdraw(op))
		end_at_home(op, -ETIMEDOUT);
}

static void arrive(struct note *note)
{
	struct remote_op *r = container_of(note, struct remote_op, note);

	end_at_home(op_of(r), r->status);
}

void remote_cancel_all(struct nvio_thread *t)
{
	list_for_each_safe (l, &t->remote_ops) {
		struct nvio_op *op = op_of(list_entry(l, struct remote_op, link));

		if (withdraw(op))
			end_at_home(op, -ECANCELED);
	}
}

/* ---- without one ---- */

static struct nvio_op *op_of_self(struct nvio_pollable *p)
{
	return op_of(container_of(p, struct remote_op, self));
}

static void end_by_itself(struct nvio_op *op, int status)
{
	struct remote_queue *q = remote_priv(op)->queue;

	q->release(q);
	op_end(op, status);
}

/* Sleeps until the state changes or the deadline is there. */
static void sleep_on(struct remote_op *r, uint32_t state)
{
	uint64_t now, due = r->timer.due_ns;

	if (!due) {
		futex_wait(&r->state, state, UINT64_MAX);
		return;
	}
	now = clock_monotonic_ns();
	if (now < due)
		futex_wait(&r->state, state, due - now);
	else if (withdraw(op_of(r))) {
		r->status = -ETIMEDOUT;
		atomic_store_explicit(&r->state, REMOTE_ENDED, memory_order_relaxed);
	} else {
		r->timer.due_ns = 0; /* too late for a deadline */
	}
}

static int poll_self(struct nvio_pollable *p)
{
	struct nvio_op *op = op_of_self(p);
	struct remote_op *r = remote_priv(op);
	uint32_t state;

	/* Acquire: the status, and what fn has done. */
	for (unsigned looks = 0;; looks++) {
		state = atomic_load_explicit(&r->state, memory_order_acquire);
		if (state == REMOTE_ENDED)
			break;
		/* One that has been attached since submit wants its turn: nvio_wait() gives it. */
		if (thread_current())
			return 0;
		if (looks < LOOKS_BEFORE_SLEEP)
			cpu_relax();
		else
			sleep_on(r, state);
	}
	end_by_itself(op, r->status);
	return 1;
}

static int cancel_self(struct nvio_pollable *p, struct nvio_op *op)
{
	struct remote_op *r = remote_priv(op);

	(void)p;
	if (!withdraw(op))
		return 0;
	r->status = -ECANCELED;
	atomic_store_explicit(&r->state, REMOTE_ENDED, memory_order_relaxed);
	return 0;
}

static const struct pollable_ops self_pollable_ops = {
	.name = "call to a thread",
	.poll = poll_self,
	.cancel = cancel_self,
};

/* ---- both ---- */

int remote_check(struct nvio_op *op, const char *what)
{
	struct nvio_thread *t = thread_current();

	if (!op || op->flags || nvio_op_pending(op))
		return fail(-EINVAL, "thread: %s: %s", what,
			!op	    ? "no op"
			: op->flags ? "op.flags must be 0"
				    : "the op is in flight already");
	if (!t || !op->timeout_us || op->timeout_us == UINT64_MAX)
		return 0;
	return timer_make_room(&t->timers);
}

void remote_add(struct remote_queue *q, struct nvio_op *op, int (*fn)(void *arg), void *arg)
{
	struct remote_op *r = remote_priv(op);
	struct nvio_thread *t = thread_current();

	*r = (struct remote_op){ .queue = q, .fn = fn, .arg = arg, .turn = ++q->turns };
	if (t) {
		list_push_back(&t->remote_ops, &r->link);
		op_begin(op, &t->remote_pollable);
	} else {
		r->self.ops = &self_pollable_ops;
		op_begin(op, &r->self);
	}
	op_queue_push(&q->ops, op);
}

void remote_start_deadline(struct nvio_op *op)
{
	struct remote_op *r = remote_priv(op);
	struct nvio_thread *t = thread_current();

	if (!op->timeout_us || op->timeout_us == UINT64_MAX)
		return;
	if (t) {
		r->timer.fn = timed_out;
		timer_start(t, &r->timer, op->timeout_us); /* cannot fail: remote_check() made room */
		return;
	}
	/* The OS thread sleeps in real time, whatever the environment's clock is. */
	r->timer.due_ns = clock_add(clock_monotonic_ns(),
		op->timeout_us > UINT64_MAX / NS_PER_US ? UINT64_MAX : op->timeout_us * NS_PER_US);
}

struct nvio_op *remote_take(struct remote_queue *q, uint64_t turn)
{
	struct nvio_op *op;

	pthread_mutex_lock(&q->lock);
	op = q->ops.head;
	if (op && remote_priv(op)->turn <= turn) {
		op_queue_remove(&q->ops, op);
		atomic_store_explicit(&remote_priv(op)->state, REMOTE_TAKEN, memory_order_relaxed);
	} else {
		op = NULL;
	}
	pthread_mutex_unlock(&q->lock);
	return op;
}

void remote_end(struct nvio_op *op, int status)
{
	struct remote_op *r = remote_priv(op);

	r->status = status == -EINPROGRESS ? -EINVAL : status;
	if (op->owner == &r->self) {
		/*
		 * Release: see poll_self(). From here on the op may be gone; to wake up an address that
		 * nobody sleeps on does no harm.
		 */
		atomic_store_explicit(&r->state, REMOTE_ENDED, memory_order_release);
		futex_wake(&r->state);
		return;
	}
	r->note.fn = arrive;
	note_send(&home_of(op)->msgs, &r->note);
}

void remote_end_all(struct remote_queue *q, int status)
{
	struct nvio_op *op;

	while ((op = remote_take(q, UINT64_MAX)))
		remote_end(op, status);
}
