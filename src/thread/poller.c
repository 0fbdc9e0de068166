/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pollers: registering, pausing, and what happens when one does so to itself or to another in the middle of
 * a poll. The rule that keeps polls simple, nested ones too: a running poller never leaves its list; the
 * poll that runs it settles its fate.
 */
#include "thread/poller.h"

#include <string.h>

#include "base/alloc.h"

/* From the active ones' point of view; timed pollers are never among them. */
static void activate(struct nvio_poller *p)
{
	struct nvio_thread *t = p->thread;

	t->active++;
	list_remove(&p->link);
	if (!t->depth) {
		list_push_back(&t->pollers, &p->link);
		return;
	}
	/*
	 * Not into the list that a poll walks: a poller that registers the next one would make a poll
	 * without end.
	 */
	list_push_back(&t->incoming, &p->link);
	t->attention |= ATT_INCOMING;
}

void poller_admit(struct nvio_thread *t)
{
	list_splice(&t->pollers, &t->incoming);
	t->attention &= ~ATT_INCOMING;
}

static void poller_free(struct nvio_poller *p)
{
	pthread_mutex_lock(&p->thread->pollers_lock);
	list_remove(&p->in_all);
	pthread_mutex_unlock(&p->thread->pollers_lock);
	list_remove(&p->link);
	if (p->sleep)
		poller_sleep_free(p);
	if (p->period_ns) {
		timer_remove(&p->thread->timers, &p->timer);
		timer_unreserve(&p->thread->timers);
	}
	alloc_free(p);
}

void poller_settle(struct nvio_poller *p)
{
	if (p->flags & POLLER_GONE) {
		poller_free(p);
	} else if (p->flags & POLLER_PAUSED) {
		list_remove(&p->link);
		list_push_back(&p->thread->aside, &p->link);
	}
}

int poller_fire(struct nvio_timer *timer, uint64_t now_ns)
{
	struct nvio_poller *p = container_of(timer, struct nvio_poller, timer);
	uint64_t due = clock_add(timer->due_ns, p->period_ns);
	int rc;

	p->flags = POLLER_RUNNING;
	rc = p->fn(p->arg);
	poller_count(&p->runs);
	if (rc > 0)
		poller_count(&p->busy);
	p->flags &= ~POLLER_RUNNING;
	if (!p->flags) {
		/* Beats that were missed are not made up for, or a late thread would run nothing else. */
		timer_insert(&p->thread->timers, timer, due > now_ns ? due : clock_add(now_ns, p->period_ns));
	} else {
		poller_settle(p);
	}
	return rc > 0 ? rc : 0;
}

void poller_timer_fired(struct nvio_timer *timer)
{
	poller_fire(timer, timer->due_ns);
}

static void start_beat(struct nvio_poller *p)
{
	timer_insert(&p->thread->timers, &p->timer, clock_add(clock_now(&p->thread->clock), p->period_ns));
}

int nvio_poller_register(struct nvio_thread *t, const char *name, nvio_poller_fn fn, void *arg,
	uint64_t period_us, struct nvio_poller **poller)
{
	struct nvio_poller *p;
	int rc;

	check_own(t, "nvio_poller_register");
	if (!fn || !poller)
		return fail(-EINVAL, "thread: %s: poller %s: no %s", t->name, name ? name : "?",
			fn ? "place for its handle" : "fn");
	if (msg_closed(&t->msgs))
		return fail(-ESHUTDOWN, "thread: %s: poller %s: the thread is exiting", t->name,
			name ? name : "?");
	p = alloc_zeroed(sizeof(*p));
	if (!p)
		return fail(-ENOMEM, "thread: %s: poller %s: no memory", t->name, name ? name : "?");
	if (period_us) {
		rc = timer_reserve(&t->timers);
		if (rc)
			goto free_poller;
	}
	list_init(&p->link);
	p->thread = t;
	p->fn = fn;
	p->arg = arg;
	/* Words for a debugger; a longer name is cut. */
	strncpy(p->name, name ? name : "poller", sizeof(p->name) - 1);
	p->period_ns = period_us > UINT64_MAX / NS_PER_US ? UINT64_MAX : period_us * NS_PER_US;
	if (period_us) {
		p->timer.fn = poller_timer_fired;
		p->timer.thread = t;
		list_push_back(&t->aside, &p->link);
		start_beat(p);
	} else {
		activate(p);
	}
	pthread_mutex_lock(&t->pollers_lock);
	list_push_back(&t->all_pollers, &p->in_all);
	pthread_mutex_unlock(&t->pollers_lock);
	*poller = p;
	return 0;

free_poller:
	alloc_free(p);
	return rc;
}

/* Out of the active ones, whichever kind it is, and marked as `flag`. */
static void deactivate(struct nvio_poller *p, uint32_t flag)
{
	if (p->period_ns)
		timer_remove(&p->thread->timers, &p->timer);
	else if (!(p->flags & POLLER_PAUSED))
		p->thread->active--;
	p->flags |= flag;
	if (flag == POLLER_PAUSED)
		atomic_store_explicit(&p->paused, true, memory_order_relaxed);
	if (!(p->flags & POLLER_RUNNING))
		poller_settle(p);
}

void nvio_poller_unregister(struct nvio_poller *p)
{
	if (!p)
		return;
	check_own(p->thread, "nvio_poller_unregister");
	checked(!(p->flags & POLLER_GONE));
	if (p->sleep)
		poller_sleep_ends(p);
	deactivate(p, POLLER_GONE);
}

void nvio_poller_pause(struct nvio_poller *p)
{
	check_own(p->thread, "nvio_poller_pause");
	checked(!(p->flags & POLLER_GONE));
	if (p->sleep)
		poller_sleep_ends(p);
	if (!(p->flags & POLLER_PAUSED))
		deactivate(p, POLLER_PAUSED);
}

void nvio_poller_resume(struct nvio_poller *p)
{
	bool running = p->flags & POLLER_RUNNING;

	check_own(p->thread, "nvio_poller_resume");
	checked(!(p->flags & POLLER_GONE));
	if (p->sleep)
		poller_sleep_ends(p);
	if (!(p->flags & POLLER_PAUSED))
		return;
	p->flags &= ~POLLER_PAUSED;
	atomic_store_explicit(&p->paused, false, memory_order_relaxed);
	if (p->period_ns && !running)
		start_beat(p);
	else if (!p->period_ns && !running)
		activate(p);
	else if (!p->period_ns)
		p->thread->active++; /* still in the list, for it runs */
}

static void free_list(struct list *pollers)
{
	while (!list_empty(pollers))
		poller_free(list_entry(pollers->next, struct nvio_poller, link));
}

void poller_free_all(struct nvio_thread *t)
{
	free_list(&t->pollers);
	free_list(&t->incoming);
	free_list(&t->aside);
	t->active = 0;
}

bool nvio_thread_has_active_pollers(const struct nvio_thread *t)
{
	check_own(t, "nvio_thread_has_active_pollers");
	return t->active;
}

bool nvio_thread_has_pollers(const struct nvio_thread *t)
{
	check_own(t, "nvio_thread_has_pollers");
	return !list_empty(&t->pollers) || !list_empty(&t->incoming) || !list_empty(&t->aside);
}
