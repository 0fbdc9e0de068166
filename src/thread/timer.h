/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The timers of one nvio_thread: a binary heap ordered by due time, then by order of starting. All of it:
 * own thread.
 */
#ifndef THREAD_TIMER_H
#define THREAD_TIMER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include <nvio/thread.h>

struct timer_slot {
	uint64_t due_ns;
	uint64_t order; /* of starting */
	struct nvio_timer *timer;
};

struct timer_heap {
	struct timer_slot *slots; /* from 1 */
	uint32_t count;
	uint32_t room;	      /* slots allocated, without slot 0 */
	uint32_t reserved;    /* timed pollers: each may be started at any time, without failing */
	uint32_t reserved_in; /* how many of those are started */
	uint64_t next_order;
	uint64_t looked_at; /* cycles() of the last look at the clock; 0: look now */
};

void timer_heap_fini(struct timer_heap *h);

/* Room for one timer more that will be started by timer_insert() whenever its owner likes. 0; -ENOMEM. */
int timer_reserve(struct timer_heap *h);
void timer_unreserve(struct timer_heap *h);

/* Room for one caller's timer now. 0; -ENOMEM. */
int timer_make_room(struct timer_heap *h);

/* Starts or moves it; there must be room. */
void timer_insert(struct timer_heap *h, struct nvio_timer *timer, uint64_t due_ns);
void timer_remove(struct timer_heap *h, struct nvio_timer *timer);

/* When the first one is due; UINT64_MAX: none. */
static inline uint64_t timer_next_due(const struct timer_heap *h)
{
	return h->count ? h->slots[1].due_ns : UINT64_MAX;
}

/* nvio_timer_start() for the room itself: also on an exiting thread. 0; -ENOMEM. */
int timer_start(struct nvio_thread *t, struct nvio_timer *timer, uint64_t delay_us);

/* Runs what is due by now and was started before; returns how much work that was. */
int timer_run(struct nvio_thread *t);

/* What a timed poller's timer calls; its return value is work, so timer_run() knows it by this address. */
void poller_timer_fired(struct nvio_timer *timer);
int poller_fire(struct nvio_timer *timer, uint64_t now_ns);

#endif
