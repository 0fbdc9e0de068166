/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a coroutine waits for: the end of an op, a time, its next turn.
 *
 * An op that is waited for has its `done` and `arg` borrowed, so that its end costs no more than any callback, and gets
 * them back before its own `done` is called. A queue pair or controller that it waits on is polled by the thread meanwhile, or wakes
 * it (co_sleep.c).
 */
#include "thread/co.h"

/* ---- taps ---- */

static void tap_done(struct nvio_op *op)
{
	struct co_tap *tap = op->arg;

	op->done = tap->done;
	op->arg = tap->arg;
	tap->op = NULL;
	tap->status = op->status;
	tap->ended(tap);
	/* After this the op may be gone. */
	if (op->done)
		op->done(op);
}

void co_tap_on(struct co_tap *tap, struct nvio_op *op, void (*ended)(struct co_tap *tap))
{
	tap->op = op;
	tap->done = op->done;
	tap->arg = op->arg;
	tap->ended = ended;
	op->done = tap_done;
	op->arg = tap;
}

void co_tap_off(struct co_tap *tap)
{
	struct nvio_op *op = tap->op;
	struct co_tap *outer;

	if (!op)
		return;
	tap->op = NULL;
	if (op->arg == tap) {
		op->done = tap->done;
		op->arg = tap->arg;
		return;
	}
	/* Several wait for it, and others came later. */
	for (outer = op->arg; outer->arg != tap; outer = outer->arg)
		invariant(outer->done == tap_done);
	outer->done = tap->done;
	outer->arg = tap->arg;
}

/* ---- watches ---- */

static struct list *bucket_of(struct co_sched *s, const struct nvio_pollable *p)
{
	return &s->buckets[((uintptr_t)p >> 6) * 0x9e3779b97f4a7c15ull >> 58];
}

static struct co_watch *find_first(struct co_sched *s, const struct nvio_pollable *p)
{
	struct list *bucket = bucket_of(s, p);

	list_for_each (l, bucket)
		if (list_entry(l, struct co_watch, bucket)->pollable == p)
			return list_entry(l, struct co_watch, bucket);
	return NULL;
}

static void become_first(struct co_sched *s, struct co_watch *w)
{
	w->first = w;
	list_push_back(&s->watched, &w->link);
	list_push_back(bucket_of(s, w->pollable), &w->bucket);
	s->watched_count++;
}

void co_watch_on(struct nvio_thread *t, struct co_watch *w, struct nvio_pollable *p, void (*failed)(struct co_watch *w, int rc))
{
	if (p->ops->thread && p->ops->thread(p) == t)
		return;
	w->pollable = p;
	w->failed = failed;
	w->fd = -1;
	list_init(&w->others);
	w->first = find_first(t->co, p);
	if (w->first)
		list_push_back(&w->first->others, &w->link);
	else
		become_first(t->co, w);
	t->co->idle_turns = 0;
	t->attention |= ATT_CO;
}

void co_watch_off(struct nvio_thread *t, struct co_watch *w)
{
	struct co_watch *heir = NULL;

	if (!w->pollable)
		return;
	list_remove(&w->link);
	if (w->first == w) {
		list_remove(&w->bucket);
		t->co->watched_count--;
		if (!list_empty(&w->others))
			heir = list_entry(list_pop_front(&w->others), struct co_watch, link);
		co_sleep_forget(t, w, heir);
	}
	if (heir) {
		list_splice(&heir->others, &w->others);
		list_for_each (l, &heir->others)
			list_entry(l, struct co_watch, link)->first = heir;
		become_first(t->co, heir);
	}
	w->pollable = NULL;
}

/* All that wait on it are told; each takes its watch off, and so another comes first. */
static COLD void pollable_failed(struct nvio_thread *t, const struct nvio_pollable *p, int rc)
{
	struct co_watch *w;

	while ((w = find_first(t->co, p)))
		w->failed(w, rc);
}

/*
 * Each pollable once. They are turned over from front to back, since callbacks come and go, and poll in here again; a nested
 * poll that is ahead of us has done our work.
 */
uint64_t co_watch_poll(struct nvio_thread *t)
{
	struct co_sched *s = t->co;
	uint64_t work = 0;

	for (uint32_t n = s->watched_count; n && s->watched_count; n--) {
		struct co_watch *w = list_entry(s->watched.next, struct co_watch, link);
		struct nvio_pollable *p = w->pollable;
		int rc;

		list_remove(&w->link);
		list_push_back(&s->watched, &w->link);
		rc = p->ops->poll(p);
		if (unlikely(rc < 0))
			pollable_failed(t, p, rc);
		else
			work += (unsigned)rc;
	}
	s->idle_turns = work ? 0 : s->idle_turns + 1;
	return work;
}

/* ---- waiting for an op ---- */

struct op_wait {
	struct co_tap tap;
	struct co_watch watch;
	struct nvio_co *co;
};

static void op_ended(struct co_tap *tap)
{
	struct op_wait *w = container_of(tap, struct op_wait, tap);

	/* Now, and not when the coroutine runs: by then the queue pair may be gone. */
	co_watch_off(w->co->thread, &w->watch);
	co_wake(w->co);
}

static void op_poll_failed(struct co_watch *watch, int rc)
{
	struct op_wait *w = container_of(watch, struct op_wait, watch);

	(void)rc;
	co_tap_off(&w->tap);
	w->tap.status = -EINPROGRESS;
	co_watch_off(w->co->thread, watch);
	co_wake(w->co);
}

bool co_wait_op(struct nvio_op *op)
{
	struct nvio_co *co = co_current();
	bool asked = false;
	struct op_wait w;

	if (!co)
		return false;
	w.co = co;
	w.watch.pollable = NULL;
	co_tap_on(&w.tap, op, op_ended);
	co_watch_on(co->thread, &w.watch, op->owner, op_poll_failed);
	co->tap = &w.tap;
	do {
		if (unlikely(co->cancelled && !asked)) {
			asked = true;
			/* One that cannot be ends by itself, and one that has ended is no failure. */
			if (nvio_cancel(op))
				fail_clear();
		}
		co_suspend(co, NVIO_CO_WAITING);
	} while (w.tap.op);
	co->tap = NULL;
	return w.tap.status != -EINPROGRESS;
}

void co_wait_abandon(struct nvio_thread *t, struct co_tap *tap)
{
	co_tap_off(tap);
	co_watch_off(t, &container_of(tap, struct op_wait, tap)->watch);
}

/* ---- waiting for a time, or a turn ---- */

static COLD int not_in_one(const char *what)
{
	return fail(-EINVAL, "coroutine: %s: not called in a coroutine", what);
}

static int yield(struct nvio_co *co)
{
	co_make_ready(co);
	co_suspend(co, NVIO_CO_READY);
	return co->cancelled ? -ECANCELED : 0;
}

int nvio_co_yield(void)
{
	struct nvio_co *co = co_current();

	return co ? yield(co) : not_in_one("yield");
}

static void time_is_up(struct nvio_timer *timer)
{
	co_wake(container_of(timer, struct nvio_co, timer));
}

int nvio_co_sleep(uint64_t us)
{
	struct nvio_co *co = co_current();
	int rc;

	if (!co)
		return not_in_one("sleep");
	/* One that does not heed it must not keep the others from running. */
	if (!us || co->cancelled)
		return yield(co);
	co->timer.fn = time_is_up;
	rc = timer_start(co->thread, &co->timer, us);
	if (rc)
		return rc;
	while (co->timer.heap_index && !co->cancelled)
		co_suspend(co, NVIO_CO_SLEEPING);
	nvio_timer_stop(&co->timer);
	return co->cancelled ? -ECANCELED : 0;
}
