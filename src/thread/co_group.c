/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Groups: ops and coroutines that succeed or fail together. Members take a slot each and give it back as they end; the
 * first error is remembered, and who waits asks the others to end from its own stack, never from the callback that
 * brought the error.
 */
#include "thread/co.h"

#include <string.h>

struct group_slot {
	struct co_tap tap;   /* an op */
	struct co_watch watch;
	struct nvio_co *co;  /* or a coroutine */
	struct group *group;
	struct list link;    /* in free or members */
};

struct group {
	struct list free, members;
	int error;		    /* the first */
	bool asked;		    /* the members that there were have been asked to end */
	bool cancelled;
	bool wants_slot;
	struct nvio_co *waiter;	    /* suspended in it */
	struct nvio_thread *thread; /* the waiter's */
};

nvio_static_assert(sizeof(struct group_slot) <= sizeof(struct nvio_group_slot), "must fit into the caller's memory");
nvio_static_assert(sizeof(struct group) <= sizeof(struct nvio_group), "must fit into the caller's memory");

static struct group *group_of(struct nvio_group *g)
{
	return (struct group *)g->priv;
}

void nvio_group_init(struct nvio_group *group, struct nvio_group_slot *slots, size_t count)
{
	struct group *g = group_of(group);

	memset(g, 0, sizeof(*g));
	list_init(&g->free);
	list_init(&g->members);
	for (size_t i = 0; i < count; i++) {
		struct group_slot *slot = (struct group_slot *)slots[i].priv;

		memset(slot, 0, sizeof(*slot));
		slot->group = g;
		list_push_back(&g->free, &slot->link);
	}
}

static void fails_with(struct group *g, int status)
{
	if (status < 0 && !g->error)
		g->error = status;
}

/* A member has ended: its slot is free, and who waits may have something to do. */
static void slot_ended(struct group_slot *slot, int status)
{
	struct group *g = slot->group;

	if (g->waiter)
		co_watch_off(g->thread, &slot->watch);
	slot->co = NULL;
	list_remove(&slot->link);
	list_push_back(&g->free, &slot->link);
	fails_with(g, status);
	if (g->waiter && (list_empty(&g->members) || g->wants_slot || (g->error && !g->asked)))
		co_wake(g->waiter);
}

static void op_ended(struct co_tap *tap)
{
	slot_ended(container_of(tap, struct group_slot, tap), tap->status);
}

void co_group_ended(struct group_slot *slot, int value)
{
	slot_ended(slot, value);
}

/* The op will never end: see nvio_group_wait(). */
static void give_up(struct group_slot *slot, int rc)
{
	co_tap_off(&slot->tap);
	slot_ended(slot, rc);
}

static void poll_failed(struct co_watch *watch, int rc)
{
	struct group_slot *slot = container_of(watch, struct group_slot, watch);

	give_up(slot, rc);
}

static void ask_all(struct group *g)
{
	g->asked = true;
	/* Nobody ends in here: neither call runs anything. */
	list_for_each (l, &g->members) {
		struct group_slot *slot = list_entry(l, struct group_slot, link);

		if (slot->co)
			nvio_co_cancel(slot->co);
		else if (nvio_cancel(slot->tap.op))
			fail_clear(); /* it cannot be: it will end by itself */
	}
}

/* ---- waiting ---- */

static bool done(const struct group *g)
{
	return g->wants_slot ? !list_empty(&g->free) : list_empty(&g->members);
}

static void watch_members(struct group *g, bool on)
{
	list_for_each (l, &g->members) {
		struct group_slot *slot = list_entry(l, struct group_slot, link);

		if (!on)
			co_watch_off(g->thread, &slot->watch);
		else if (!slot->co)
			co_watch_on(g->thread, &slot->watch, slot->tap.op->owner, poll_failed);
	}
}

static void suspend_until_done(struct group *g, struct nvio_co *co)
{
	g->waiter = co;
	g->thread = co->thread;
	co->group = g;
	watch_members(g, true);
	while (!done(g)) {
		if (co->cancelled && !g->cancelled) {
			g->cancelled = true;
			g->asked = false;
		}
		if ((g->error || g->cancelled) && !g->asked)
			ask_all(g);
		co_suspend(co, NVIO_CO_WAITING);
	}
	watch_members(g, false);
	co->group = NULL;
	g->waiter = NULL;
}

/* Whoever ends meanwhile makes done() true in time; so each poll is of the member that waited longest for one. */
static void poll_until_done(struct group *g)
{
	unsigned idle = 0;

	while (!done(g)) {
		struct group_slot *slot = list_entry(g->members.next, struct group_slot, link);
		struct nvio_op *op = slot->tap.op;
		int rc;

		if ((g->error || g->cancelled) && !g->asked)
			ask_all(g);
		list_remove(&slot->link);
		list_push_back(&g->members, &slot->link);
		rc = slot->co ? nvio_thread_poll(slot->co->thread, 0) : op->owner->ops->poll(op->owner);
		if (rc < 0 && op && slot->tap.op == op)
			give_up(slot, rc);
		op_idle_count(&idle, rc > 0);
	}
}

static void wait_until_done(struct group *g)
{
	struct nvio_co *co = co_current();

	if (done(g))
		return;
	if (co)
		suspend_until_done(g, co);
	else
		poll_until_done(g);
}

int nvio_group_wait(struct nvio_group *group)
{
	struct group *g = group_of(group);
	int rc;

	wait_until_done(g);
	rc = g->error;
	g->error = 0;
	g->asked = false;
	g->cancelled = false;
	return rc;
}

void nvio_group_cancel(struct nvio_group *group)
{
	struct group *g = group_of(group);

	g->cancelled = true;
	fails_with(g, -ECANCELED);
	ask_all(g);
}

void co_group_abandon(struct nvio_thread *t, struct group *g)
{
	list_for_each (l, &g->members) {
		struct group_slot *slot = list_entry(l, struct group_slot, link);

		co_watch_off(t, &slot->watch);
		co_tap_off(&slot->tap);
		if (slot->co)
			slot->co->slot = NULL;
		slot->co = NULL;
	}
}

/* ---- joining ---- */

/* A free slot; NULL, with words: there never will be one. */
static struct group_slot *take_slot(struct group *g)
{
	struct group_slot *slot;

	if (list_empty(&g->free) && list_empty(&g->members)) {
		fail(-EINVAL, "group: it has no slots; give it some in nvio_group_init()");
		return NULL;
	}
	if (list_empty(&g->free)) {
		g->wants_slot = true;
		wait_until_done(g);
		g->wants_slot = false;
	}
	slot = list_entry(g->free.next, struct group_slot, link);
	list_remove(&slot->link);
	return slot;
}

static void join(struct group *g, struct group_slot *slot)
{
	list_push_back(&g->members, &slot->link);
	g->asked = false; /* not this one */
}

int nvio_group_add(struct nvio_group *group, int submitted, struct nvio_op *op)
{
	struct group *g = group_of(group);
	struct group_slot *slot;

	if (submitted) {
		fails_with(g, submitted);
		return g->error;
	}
	slot = take_slot(g);
	if (!slot)
		return -EINVAL;
	if (nvio_op_pending(op)) {
		co_tap_on(&slot->tap, op, op_ended);
		join(g, slot);
	} else {
		/* Before there was a slot. */
		list_push_back(&g->free, &slot->link);
		fails_with(g, op->status);
	}
	return g->error;
}

int nvio_group_spawn(
	struct nvio_group *group, struct nvio_thread *thread, nvio_co_fn fn, void *arg, const struct nvio_co_opts *opts)
{
	struct group *g = group_of(group);
	struct group_slot *slot = take_slot(g);
	int rc;

	if (!slot)
		return -EINVAL;
	rc = nvio_co_spawn(thread, fn, arg, opts, &slot->co);
	if (rc) {
		list_push_back(&g->free, &slot->link);
		fails_with(g, rc);
	} else {
		slot->co->slot = slot;
		join(g, slot);
	}
	return g->error;
}
