/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A thread that is about to sleep while coroutines wait on queue pairs and controllers, which its polls move along: each is armed,
 * and its descriptor watched, until the thread's next poll. That is the moment, and no earlier, since to arm is the last look: whatever
 * was submitted in the meantime, by whomever, is seen by it. After a wake-up for another reason each is polled once and armed again.
 */
#include "thread/co.h"

/* So many turns in a row must have found nothing: most waits are over by then, at a small part of the cost. Some 50 microseconds. */
#define IDLE_TURNS 1024u

/* The turn of the coroutines, later in the same poll, looks at all of them. */
static int woken(void *arg)
{
	return 0;
}

static void time_is_up(struct nvio_timer *timer)
{
}

static void unwatch(struct nvio_thread *t, struct co_watch *w)
{
	if (w->fd >= 0)
		nvio_thread_remove_fd(t, w->fd);
	w->fd = -1;
}

void co_sleep_forget(struct nvio_thread *t, struct co_watch *w, struct co_watch *heir)
{
	if (heir)
		heir->fd = w->fd;
	else
		unwatch(t, w);
	w->fd = -1;
}

void co_sleep_ends(struct nvio_thread *t)
{
	t->co->armed = false;
	nvio_timer_stop(&t->co->timer);
	list_for_each (l, &t->co->watched)
		unwatch(t, list_entry(l, struct co_watch, link));
}

/* 0: it wakes us, or *timeout_ms does. */
static int arm(struct nvio_thread *t, struct co_watch *w, int *timeout_ms)
{
	const struct pollable_ops *ops = w->pollable->ops;
	int fd, ms, rc;

	if (!ops->arm)
		return -EOPNOTSUPP;
	rc = ops->arm(w->pollable, &fd, &ms);
	if (!rc)
		rc = nvio_thread_add_fd(t, fd, woken, NULL);
	if (rc)
		return rc;
	w->fd = fd;
	if (ms >= 0 && (*timeout_ms < 0 || ms < *timeout_ms))
		*timeout_ms = ms;
	return 0;
}

static int arm_all(struct nvio_thread *t)
{
	int timeout_ms = -1, rc;

	list_for_each (l, &t->co->watched) {
		rc = arm(t, list_entry(l, struct co_watch, link), &timeout_ms);
		if (rc)
			return rc;
	}
	if (timeout_ms < 0)
		return 0;
	t->co->timer.fn = time_is_up;
	return timer_start(t, &t->co->timer, (uint64_t)timeout_ms * 1000);
}

bool co_sleep_begins(struct nvio_thread *t)
{
	struct co_sched *s = t->co;
	int rc;

	if (s->ready_count || s->idle_turns < IDLE_TURNS)
		return false;
	/* Nobody has polled since it was asked the last time; what is armed is armed anew, as there may be more to wait for. */
	if (s->armed)
		co_sleep_ends(t);
	s->armed = true;
	rc = arm_all(t);
	if (!rc)
		return true;
	/* There is something to do, or one of them cannot be slept on: all are polled, and after as many turns it is tried again. */
	if (rc < 0)
		fail_clear();
	co_sleep_ends(t);
	s->idle_turns = 0;
	return false;
}
