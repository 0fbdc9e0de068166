/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The environment is closed, or an OS thread ends, while coroutines wait: they are asked to end and run to their end, before anything that they
 * use is closed. It takes as long as their ops take, within bounds; one that does not end is told by its name, and its stack
 * is left as it is, for an op of its may still be under way.
 */
#include "thread/co.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"

/* By the real clock: longer than their ops take by default to be given up. A test makes it shorter. */
uint64_t co_close_ns = 60 * NS_PER_S;

/* No new ones, and those that there are shall end; how many there are. */
static uint32_t ask_all(struct nvio_thread *t)
{
	if (!t->co)
		return 0;
	t->co->closing = true;
	list_for_each (l, &t->co->all) {
		struct nvio_co *co = list_entry(l, struct nvio_co, in_all);

		if (co->status != NVIO_CO_ENDED)
			nvio_co_cancel(co);
	}
	return t->co->count;
}

/* A turn for those of one thread; true: one was run. */
static bool turn(struct nvio_thread *t, uint32_t *left)
{
	bool ran;

	/* One that still runs on an OS thread of the library's is joined later, and unwinds its own. */
	if (owned_elsewhere(t) || !ask_all(t))
		return false;
	ran = t->co->ready_count;
	nvio_thread_poll(t, 0);
	*left += t->co->count;
	return ran;
}

/*
 * For all threads that have some, since what one waits for may be another's to do; only for those, as the rest may have
 * OS threads of the library's own that still poll them.
 */
static bool turn_of_all(struct thread_registry *r, uint32_t *left)
{
	struct nvio_thread *t;
	bool ran = false;
	uint64_t id = 0;

	while ((t = thread_next(r, id))) {
		id = t->id;
		ran |= turn(t, left);
		thread_unref(t);
	}
	return ran;
}

/* Its memory stays, and what is not in it must not point there. */
static void abandon(struct nvio_thread *t, struct nvio_co *co)
{
	log_msg(&t->env->log, NVIO_LOG_ERROR,
		"coroutine: close: \"%s\" of thread %s was cancelled and does not end; its stack and what it holds are left as they are",
		co_name(co), t->name);
	if (co->tap)
		co_wait_abandon(t, co->tap);
	if (co->group)
		co_group_abandon(t, co->group);
	if (co->joins)
		co->joins->joiner = NULL;
	if (co->slot)
		co_group_ended(co->slot, -ECANCELED);
	nvio_timer_stop(&co->timer);
	if (co->status == NVIO_CO_READY) {
		list_remove(&co->link);
		t->co->ready_count--;
	}
	list_remove(&co->in_all);
	t->co->count--;
}

static void abandon_all(struct nvio_thread *t)
{
	if (owned_elsewhere(t) || !t->co)
		return;
	for (struct list *l = t->co->all.next, *next; l != &t->co->all; l = next) {
		struct nvio_co *co = list_entry(l, struct nvio_co, in_all);

		next = l->next;
		if (co->status != NVIO_CO_ENDED)
			abandon(t, co);
	}
}

void co_stop(struct nvio_thread *t)
{
	uint64_t end_ns = clock_monotonic_ns() + co_close_ns;
	unsigned idle = 0;
	uint32_t left;

	do {
		left = 0;
		op_idle_count(&idle, turn(t, &left));
	} while (left && clock_monotonic_ns() < end_ns);
	abandon_all(t);
}

void thread_env_stop(struct nvio_env *env)
{
	struct thread_registry *r = env->threads;
	uint64_t end_ns = clock_monotonic_ns() + co_close_ns;
	struct nvio_thread *t;
	unsigned idle = 0;
	uint64_t id = 0;
	uint32_t left;

	do {
		left = 0;
		op_idle_count(&idle, turn_of_all(r, &left));
	} while (left && clock_monotonic_ns() < end_ns);
	while (left && (t = thread_next(r, id))) {
		id = t->id;
		abandon_all(t);
		thread_unref(t);
	}
}
