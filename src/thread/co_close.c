/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The environment is closed while coroutines wait: they are asked to end and run to their end, before anything that they
 * use is closed. It takes as long as their ops take, within bounds; one that does not end is told by its name, and its stack
 * is left as it is, for an op of its may still be under way.
 */
#include "thread/co.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"

/* By the real clock: longer than their ops take by default to be given up. A test makes it shorter. */
uint64_t co_close_ns = 60 * NS_PER_S;

static struct nvio_thread *next_thread(struct thread_registry *r, uint64_t after)
{
	struct nvio_thread *next = NULL;

	pthread_mutex_lock(&r->lock);
	list_for_each (l, &r->threads) {
		struct nvio_thread *t = list_entry(l, struct nvio_thread, in_registry);

		if (t->id > after && (!next || t->id < next->id))
			next = t;
	}
	pthread_mutex_unlock(&r->lock);
	return next;
}

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

/*
 * One turn of all threads that have some, since what one waits for may be another's to do; only of those, for the rest may
 * have OS threads of the library's own that still poll them. True: a coroutine was run.
 */
static bool turn(struct thread_registry *r, uint32_t *left)
{
	bool ran = false;
	uint64_t id = 0;

	*left = 0;
	for (struct nvio_thread *t = next_thread(r, id); t; t = next_thread(r, id)) {
		id = t->id;
		if (!ask_all(t))
			continue;
		ran |= t->co->ready_count > 0;
		nvio_thread_poll(t, 0);
		*left += t->co->count;
	}
	return ran;
}

/* Its memory stays, and what is not in it must not point there. */
static void abandon(struct nvio_thread *t, struct nvio_co *co)
{
	log_msg(&t->env->log, NVIO_LOG_ERROR,
		"coroutine: env close: \"%s\" of thread %s was cancelled and does not end; its stack and what it holds are left as they are",
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
	if (!t->co)
		return;
	for (struct list *l = t->co->all.next, *next; l != &t->co->all; l = next) {
		struct nvio_co *co = list_entry(l, struct nvio_co, in_all);

		next = l->next;
		if (co->status != NVIO_CO_ENDED)
			abandon(t, co);
	}
}

void thread_env_stop(struct nvio_env *env)
{
	struct thread_registry *r = env->threads;
	uint64_t end_ns = clock_monotonic_ns() + co_close_ns;
	unsigned idle = 0;
	uint64_t id = 0;
	uint32_t left;

	do {
		bool ran = turn(r, &left);

		op_idle_count(&idle, ran);
	} while (left && clock_monotonic_ns() < end_ns);
	for (struct nvio_thread *t = next_thread(r, id); left && t; t = next_thread(r, id)) {
		id = t->id;
		abandon_all(t);
	}
}
