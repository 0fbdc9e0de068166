/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Timers, and the beat of timed pollers. They cost a busy thread nothing while none is started, and
 * otherwise a look at the clock every microsecond or two, gated by the cycle counter; an injected clock is
 * always asked.
 */
#include "thread/timer.h"

#include <string.h>

#include "base/alloc.h"
#include "thread/state.h"

/* How late a look at the real clock may be: one to two microseconds. */
#define TIMER_GATE	  (CYCLES_GATE / 256)

#define TIMERS_FIRST_ROOM 15u
#define TIMERS_MAX	  (1u << 28) /* keeps the arithmetic of the heap in 32 bits */

static struct nvio_thread *thread_of(struct timer_heap *h)
{
	return container_of(h, struct nvio_thread, timers);
}

static void put(struct timer_heap *h, uint32_t i, struct timer_slot slot)
{
	h->slots[i] = slot;
	slot.timer->heap_index = i;
}

static bool before(const struct timer_slot *a, const struct timer_slot *b)
{
	return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->order < b->order;
}

static void sift_up(struct timer_heap *h, uint32_t i, struct timer_slot slot)
{
	for (; i > 1 && before(&slot, &h->slots[i / 2]); i /= 2)
		put(h, i, h->slots[i / 2]);
	put(h, i, slot);
}

static void sift_down(struct timer_heap *h, uint32_t i, struct timer_slot slot)
{
	uint32_t child;

	while ((child = 2 * i) <= h->count) {
		if (child < h->count && before(&h->slots[child + 1], &h->slots[child]))
			child++;
		if (!before(&h->slots[child], &slot))
			break;
		put(h, i, h->slots[child]);
		i = child;
	}
	put(h, i, slot);
}

static int grow(struct timer_heap *h)
{
	uint32_t room = h->room ? h->room * 2 + 1 : TIMERS_FIRST_ROOM;
	struct timer_slot *slots = room < TIMERS_MAX ? alloc_array(room + 1, sizeof(*slots)) : NULL;

	if (!slots)
		return fail(-ENOMEM, "thread: timer: no memory for %u timers", room);
	if (h->slots)
		memcpy(slots, h->slots, (h->count + 1) * sizeof(*slots));
	alloc_free(h->slots);
	h->slots = slots;
	h->room = room;
	return 0;
}

int timer_make_room(struct timer_heap *h)
{
	/* The started timers of callers, and a place for each timed poller, started or not. */
	return h->count - h->reserved_in + h->reserved < h->room ? 0 : grow(h);
}

int timer_reserve(struct timer_heap *h)
{
	int rc = timer_make_room(h);

	if (!rc)
		h->reserved++;
	return rc;
}

void timer_unreserve(struct timer_heap *h)
{
	h->reserved--;
}

void timer_insert(struct timer_heap *h, struct nvio_timer *timer, uint64_t due_ns)
{
	struct timer_slot slot = { .due_ns = due_ns, .timer = timer };

	timer_remove(h, timer);
	slot.order = h->next_order++;
	timer->due_ns = due_ns;
	if (timer->fn == poller_timer_fired)
		h->reserved_in++;
	h->count++;
	thread_of(h)->attention |= ATT_TIMERS;
	invariant(h->count <= h->room);
	sift_up(h, h->count, slot);
	if (h->slots[1].timer == timer)
		h->looked_at = 0;
}

void timer_remove(struct timer_heap *h, struct nvio_timer *timer)
{
	uint32_t i = timer->heap_index;
	struct timer_slot last;

	if (!i)
		return;
	invariant(i <= h->count && h->slots[i].timer == timer);
	timer->heap_index = 0;
	if (timer->fn == poller_timer_fired)
		h->reserved_in--;
	last = h->slots[h->count--];
	if (!h->count)
		thread_of(h)->attention &= ~ATT_TIMERS;
	if (last.timer == timer)
		return;
	if (i > 1 && before(&last, &h->slots[i / 2]))
		sift_up(h, i, last);
	else
		sift_down(h, i, last);
}

void timer_heap_fini(struct timer_heap *h)
{
	/* So that a later nvio_timer_stop() knows that there is nothing to do. */
	for (uint32_t i = 1; i <= h->count; i++)
		h->slots[i].timer->heap_index = 0;
	alloc_free(h->slots);
	memset(h, 0, sizeof(*h));
}

int timer_run(struct nvio_thread *t)
{
	struct timer_heap *h = &t->timers;
	uint64_t order, now, ticks;
	int work = 0;

	if (!t->clock.now_ns) {
		ticks = cycles();
		if (ticks - h->looked_at < TIMER_GATE)
			return 0;
		h->looked_at = ticks;
	}
	now = clock_now(&t->clock);
	/* What is started from here on waits for the next poll, even when it is due at once. */
	order = h->next_order;
	while (h->count && h->slots[1].due_ns <= now && h->slots[1].order < order) {
		struct nvio_timer *timer = h->slots[1].timer;

		timer_remove(h, timer);
		if (timer->fn == poller_timer_fired) {
			work += poller_fire(timer, now);
		} else {
			timer->fn(timer);
			work++;
		}
	}
	return work;
}

int timer_start(struct nvio_thread *t, struct nvio_timer *timer, uint64_t delay_us)
{
	uint64_t delay_ns = delay_us > UINT64_MAX / NS_PER_US ? UINT64_MAX : delay_us * NS_PER_US;
	int rc;

	if (timer->heap_index && timer->thread != t)
		nvio_timer_stop(timer);
	if (!timer->heap_index) {
		rc = timer_make_room(&t->timers);
		if (rc)
			return rc;
	}
	timer->thread = t;
	timer_insert(&t->timers, timer, clock_add(clock_now(&t->clock), delay_ns));
	return 0;
}

int nvio_timer_start(struct nvio_thread *t, struct nvio_timer *timer, uint64_t delay_us)
{
	check_own(t, "nvio_timer_start");
	if (!timer->fn)
		return fail(-EINVAL, "thread: %s: timer: no fn", t->name);
	if (msg_closed(&t->msgs))
		return fail(-ESHUTDOWN, "thread: %s: timer: the thread is exiting", t->name);
	return timer_start(t, timer, delay_us);
}

void nvio_timer_stop(struct nvio_timer *timer)
{
	if (!timer->heap_index)
		return;
	check_own(timer->thread, "nvio_timer_stop");
	timer_remove(&timer->thread->timers, timer);
}
