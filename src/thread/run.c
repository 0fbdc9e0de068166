/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The loop of a thread that has an OS thread to itself, and the rest that idle threads take: spin for a
 * while, for work often follows work, then sleep on the descriptor. How long to spin adapts: where a sleep
 * turns out shorter than the spin that was given up, spinning pays again; where it was longer, less.
 */
#include <poll.h>
#include <sched.h>

#include "thread/state.h"
#include <nvio/co.h>

#define POLLS_PER_LOOK	64u   /* at the clock, while idle */
#define POLLS_PER_YIELD 2000u /* of a thread that may not sleep: a few hundred microseconds */
#define STILL_CLOCK_MS	1     /* longest sleep on an injected clock, whose moves wake up nobody */

static void rest_init(struct rest *r, uint32_t spin_us)
{
	*r = (struct rest){ .spin_most_ns = (uint64_t)spin_us * NS_PER_US };
	r->spin_ns = r->spin_most_ns;
}

/* Something was found: the next idle poll begins a new spin. */
static void rest_ends(struct rest *r)
{
	r->polls = 0;
	r->since_ns = 0;
}

static bool asked_to_stop(const struct nvio_thread *t)
{
	return atomic_load_explicit(&t->stop, memory_order_acquire);
}

static void sleep_on_descriptor(struct nvio_thread *t, struct rest *r)
{
	bool was_closed = msg_closed(&t->msgs);
	int ms = nvio_thread_timeout_ms(t);
	struct pollfd fd = { .fd = t->epoll_fd, .events = POLLIN };
	uint64_t begin;

	/*
	 * From here on who asks it to stop or to exit makes the descriptor readable; who asked before is
	 * seen.
	 */
	if (!ms || asked_to_stop(t) || msg_closed(&t->msgs) != was_closed)
		return;
	if (t->clock.now_ns)
		ms = STILL_CLOCK_MS;
	begin = clock_monotonic_ns();
	poll(&fd, 1, ms);
	r->since_ns = 0;
	if (clock_monotonic_ns() - begin < r->spin_most_ns)
		r->spin_ns = r->spin_most_ns;
	else
		r->spin_ns = r->spin_ns > NS_PER_US ? r->spin_ns / 2 : 0;
}

/* After an idle poll. */
static void rest(struct nvio_thread *t, struct rest *r)
{
	uint64_t now;

	cpu_relax();
	r->polls++;
	if (t->active) {
		if (r->polls % POLLS_PER_YIELD == 0)
			sched_yield();
		return;
	}
	if (r->spin_ns) {
		if (r->polls % POLLS_PER_LOOK)
			return;
		now = clock_monotonic_ns();
		if (!r->since_ns)
			r->since_ns = now;
		if (now - r->since_ns < r->spin_ns)
			return;
	}
	sleep_on_descriptor(t, r);
}

/* Nothing is left that its polls would bring to an end. Own thread. */
static bool drained(struct nvio_thread *t)
{
	return !mail_waiting(&t->msgs) && op_queue_empty(&t->hot.ended) && !t->dying_count &&
	       list_empty(&t->device_ops) && list_empty(&t->remote_ops) && !nvio_co_count(t);
}

int nvio_thread_run(struct nvio_thread *t, uint32_t spin_us)
{
	struct rest r;
	int rc = nvio_thread_attach(t);

	if (rc)
		return rc;
	if (t->running) {
		nvio_thread_detach(t);
		return fail(-EALREADY, "thread: run: %s: it is being run already", t->name);
	}
	t->running = true;
	rest_init(&r, spin_us);
	while (!asked_to_stop(t)) {
		rc = nvio_thread_poll(t, 0);
		if (rc) {
			rest_ends(&r);
			continue;
		}
		if (msg_closed(&t->msgs) && drained(t))
			break;
		rest(t, &r);
	}
	atomic_store_explicit(&t->stop, false, memory_order_relaxed);
	t->running = false;
	nvio_thread_detach(t);
	return 0;
}

void nvio_thread_stop(struct nvio_thread *t)
{
	msg_ring(&t->msgs, &t->stop);
}

int thread_wait_poll(struct nvio_thread *t)
{
	int work = nvio_thread_poll(t, 0);

	if (work) {
		rest_ends(&t->wait_rest);
		return work;
	}
	/* Whatever else is current here wants its turns, too: then nobody sleeps. */
	if (thread_current() && thread_current() != t)
		return 0;
	if (!t->wait_rest.spin_most_ns)
		rest_init(&t->wait_rest, NVIO_THREAD_SPIN_US);
	rest(t, &t->wait_rest);
	return 0;
}
