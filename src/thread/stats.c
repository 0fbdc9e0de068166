/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a thread has done, for whoever asks. The hot path counts polls and compares; the cycle counter is
 * read when a thread turns busy or idle, and every so many polls in between.
 */
#include <string.h>

#include "thread/poller.h"

/* So late may be what others read; and so much idle time before a poll that finds work may pass for busy. */
#define BUSY_POLLS 1024u
#define IDLE_POLLS 16u

void counts_init(struct thread_counts *c)
{
	c->stamp_at = IDLE_POLLS;
	c->begin_ns = clock_monotonic_ns();
	c->stamp = c->begin = cycles();
}

static void account(struct thread_counts *c, bool busy)
{
	_Atomic uint64_t *sum = busy ? &c->busy : &c->idle;
	uint64_t now = cycles();

	/* It may jump between cores. */
	if (now > c->stamp)
		atomic_store_explicit(sum, atomic_load_explicit(sum, memory_order_relaxed) + now - c->stamp,
			memory_order_relaxed);
	c->stamp = now;
}

void counts_stamp(struct thread_counts *c, bool busy)
{
	uint64_t polls = atomic_load_explicit(&c->polls, memory_order_relaxed);

	/* Work after idleness began when the poll did, which is just after the last stamp: not told yet. */
	if (!busy || c->was_busy)
		account(c, c->was_busy);
	c->was_busy = busy;
	c->stamp_at = polls + (busy ? BUSY_POLLS : IDLE_POLLS);
}

void counts_slept(struct thread_counts *c)
{
	account(c, false);
	c->was_busy = false;
}

/* Cycles into nanoseconds, by how long the thread has lived in both. */
static uint64_t in_ns(const struct thread_counts *c, uint64_t ticks)
{
	uint64_t lived_ns = clock_monotonic_ns() - c->begin_ns;
	uint64_t lived = cycles() - c->begin;

	return lived ? (uint64_t)((double)ticks * (double)lived_ns / (double)lived) : 0;
}

void nvio_thread_get_stats(struct nvio_thread *t, struct nvio_thread_stats *stats, size_t size)
{
	struct nvio_thread_stats s = { 0 };

	s.busy_ns = in_ns(&t->counts, atomic_load_explicit(&t->counts.busy, memory_order_relaxed));
	s.idle_ns = in_ns(&t->counts, atomic_load_explicit(&t->counts.idle, memory_order_relaxed));
	s.polls = atomic_load_explicit(&t->counts.polls, memory_order_relaxed);
	/* In this order: what has run is among what was sent. */
	s.msgs = atomic_load_explicit(&t->msgs.taken, memory_order_acquire);
	s.msgs_waiting = (atomic_load_explicit(&t->msgs.word, memory_order_relaxed) - s.msgs) & MSG_SENT;
	s.channels = channel_count(t);
	s.pollers = nvio_thread_get_poller_stats(t, NULL, 0);
	memset(stats, 0, size);
	memcpy(stats, &s, MIN(size, sizeof(s)));
}

uint32_t nvio_thread_get_poller_stats(struct nvio_thread *t, struct nvio_poller_stats *stats, uint32_t max)
{
	uint32_t n = 0;

	pthread_mutex_lock(&t->pollers_lock);
	list_for_each (l, &t->all_pollers) {
		const struct nvio_poller *p = list_entry(l, struct nvio_poller, in_all);

		if (n++ >= max)
			continue;
		memcpy(stats->name, p->name, sizeof(stats->name));
		stats->period_us = p->period_ns / NS_PER_US;
		stats->runs = atomic_load_explicit(&p->runs, memory_order_relaxed);
		stats->busy = atomic_load_explicit(&p->busy, memory_order_relaxed);
		stats->paused = atomic_load_explicit(&p->paused, memory_order_relaxed);
		stats++;
	}
	pthread_mutex_unlock(&t->pollers_lock);
	return n;
}
