/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The poll: what a thread does, round after round. THE hot path of the room. With one active poller and
 * nothing else it takes a few loads and compares around the call: no lock, no atomic exchange, no look at a
 * clock, no system call.
 */
#include <limits.h>
#include <sched.h>

#include "thread/co.h"
#include "thread/device.h"
#include "thread/poller.h"

/* Notes make notes; this many, and then something else has its turn. */
#define NOTES_PER_ROUND 64u

/* One call of nvio_thread_poll() or poll_drain(). */
struct frame {
	struct nvio_thread **current; /* this OS thread's */
	struct nvio_thread *before;   /* current until then */
	void *os;		      /* who had the thread until then: nobody or this OS thread */
};

static COLD void say_taken_elsewhere(struct nvio_thread *t)
{
	struct nvio_thread *mine = thread_tls_current;

	fail(-EBUSY, "thread: poll: %s: another OS thread has it right now (current here: %s)", t->name,
		mine ? mine->name : "none");
}

/*
 * `os` is who has the thread, looked up by owner() just before. False, and the words for -EBUSY: another OS
 * thread has it.
 */
static ALWAYS_INLINE bool enter(struct nvio_thread *t, struct frame *f, void *os)
{
	struct nvio_thread **current = &thread_tls_current;

	/* Keeps the compiler from computing the address anew, at three instructions each time. */
	__asm__("" : "+r"(current));
	f->current = current;
	f->before = *current;
	f->os = os;
	/*
	 * A plain store in release builds: two OS threads that enter at the very same moment are the caller's
	 * error, and a locked instruction in each poll is too much for finding it out. Checked builds do.
	 */
	if (os && os != current)
		goto taken;
	if (NVIO_CHECKED && !os && !atomic_compare_exchange_strong(&t->os, &os, (void *)current))
		goto taken;
	atomic_store_explicit(&t->os, current, memory_order_relaxed);
	*current = t;
	t->depth++;
	return true;

taken:
	say_taken_elsewhere(t);
	return false;
}

/* Acquire: what the OS thread that polled it before has written; pairs with the release in leave(). */
static ALWAYS_INLINE void *owner(struct nvio_thread *t)
{
	return atomic_load_explicit(&t->os, memory_order_acquire);
}

static ALWAYS_INLINE void leave(struct nvio_thread *t, struct frame *f)
{
	t->depth--;
	if (unlikely(t->attention & ATT_LOOP))
		sleep_rearm(t);
	*f->current = f->before;
	/* Release: see enter(). */
	atomic_store_explicit(&t->os, f->os, memory_order_release);
}

/* Checked builds: a callback must leave the OS thread as it found it. */
static ALWAYS_INLINE void check_back(struct nvio_thread *t, const char *what, const char *name)
{
	if (NVIO_CHECKED && unlikely(thread_tls_current != t))
		thread_came_back_elsewhere(t, what, name);
}

/*
 * Ends what was there at entry. Counted, and taken one by one: a `done` that waits polls in here, and must
 * find the rest in the queue; a `done` that submits anew must not keep us here.
 */
static NOINLINE uint64_t run_ended(struct nvio_thread *t)
{
	uint64_t until = t->hot.ended_in;
	uint64_t before = t->ended_out;
	struct nvio_op *op;

	while (t->ended_out < until && (op = op_queue_pop(&t->hot.ended))) {
		t->ended_out++;
		op_end(op, (int32_t)op->state);
		check_back(t, "a completion", "");
	}
	return t->ended_out - before;
}

static uint64_t run_messages(struct nvio_thread *t, uint64_t max)
{
	void (*fn)(void *arg);
	uint64_t n;
	void *arg;

	for (n = 0; n < max && msg_take(&t->msgs, &fn, &arg); n++) {
		fn(arg);
		check_back(t, "a message", "");
	}
	return n;
}

static uint64_t run_notes(struct nvio_thread *t)
{
	struct note *note;
	uint64_t n;

	for (n = 0; n < NOTES_PER_ROUND && (note = note_take(&t->msgs)); n++)
		note->fn(note);
	return n;
}

static NOINLINE uint64_t run_mail(struct nvio_thread *t, uint32_t max_msgs)
{
	uint64_t waiting = msg_waiting(&t->msgs);
	uint64_t work = 0;

	if (mail_seen(&t->msgs))
		return 0;
	if (waiting)
		work += run_messages(t, max_msgs ? max_msgs : waiting);
	if (note_waiting(&t->msgs))
		work += run_notes(t);
	return work;
}

static NOINLINE uint64_t attend(struct nvio_thread *t)
{
	uint64_t work = 0;

	if (t->attention & ATT_TIMERS) {
		work += (uint64_t)timer_run(t);
		check_back(t, "a timer or a timed poller", "");
	}
	if (t->attention & (ATT_ARMED | ATT_SOURCES))
		work += (uint64_t)sleep_attend(t);
	if (t->attention & ATT_DYING)
		work += (uint64_t)channel_run_dying(t);
	if (t->attention & ATT_INCOMING)
		poller_admit(t);
	return work;
}

/* Off the idle path, where the sum cannot overflow. */
static ALWAYS_INLINE int add_work(int work, uint64_t more)
{
	uint64_t sum = (uint64_t)work + more;

	return sum <= INT_MAX ? (int)sum : INT_MAX;
}

static ALWAYS_INLINE int run_pollers(struct nvio_thread *t, int work)
{
	for (struct list *l = t->pollers.next; l != &t->pollers;) {
		struct nvio_poller *p = list_entry(l, struct nvio_poller, link);
		int rc;

		if (unlikely(p->flags)) {
			l = l->next; /* an outer poll is in it */
			continue;
		}
		p->flags = POLLER_RUNNING;
		rc = p->fn(p->arg);
		check_back(t, "poller", p->name);
		poller_count(&p->runs);
		if (unlikely(rc > 0)) {
			poller_count(&p->busy);
			work = add_work(work, (unsigned)rc);
		}
		l = l->next;
		p->flags &= ~POLLER_RUNNING;
		if (unlikely(p->flags))
			poller_settle(p);
	}
	return work;
}

/*
 * A count, and now and then a look at the cycle counter: when idle turns busy, busy idle, or enough polls
 * have passed.
 */
static ALWAYS_INLINE void count(struct thread_counts *c, bool busy)
{
	uint64_t polls = atomic_load_explicit(&c->polls, memory_order_relaxed) + 1;

	atomic_store_explicit(&c->polls, polls, memory_order_relaxed);
	if (unlikely(busy != c->was_busy || polls == c->stamp_at))
		counts_stamp(c, busy);
}

static ALWAYS_INLINE int poll(struct nvio_thread *t, uint32_t max_msgs, void *os)
{
	struct frame f;
	int work = 0;

	if (unlikely(!enter(t, &f, os)))
		return -EBUSY;
	if (unlikely(mail_moved(&t->msgs)))
		work = add_work(work, run_mail(t, max_msgs));
	if (unlikely(t->attention))
		work = add_work(work, attend(t));
	work = run_pollers(t, work);
	/* Also those that ended before the poll: nothing but `done` can be waiting for them. */
	if (!op_queue_empty(&t->hot.ended))
		work = add_work(work, run_ended(t));
	/* Last: what they wait for has ended just now, if it did. */
	if (unlikely(t->attention & ATT_CO))
		work = add_work(work, co_run(t));
	count(&t->counts, work);
	leave(t, &f);
	return work;
}

/* Apart, so that the other way needs two registers less. */
static NOINLINE int poll_again(struct nvio_thread *t, uint32_t max_msgs, void *os)
{
	return poll(t, max_msgs, os);
}

int nvio_thread_poll(struct nvio_thread *t, uint32_t max_msgs)
{
	void *os = owner(t);

	if (unlikely(os))
		return poll_again(t, max_msgs, os); /* nested, attached, or somebody else's */
	return poll(t, max_msgs, NULL);
}

uint64_t poll_drain(struct nvio_thread *t)
{
	struct frame f;
	uint64_t work = 0;

	if (!enter(t, &f, owner(t)))
		return 0;
	for (unsigned round = 0; round < THREAD_DRAIN_ROUNDS; round++) {
		bool awaits_sender = msg_waiting(&t->msgs);
		uint64_t done = run_ended(t) + run_mail(t, 0);

		if (t->attention & ATT_DYING)
			done += (uint64_t)channel_run_dying(t);
		work += done;
		if (!done && !awaits_sender)
			break;
		if (!done) {
			sched_yield(); /* an accepted message is still being written */
			round--;
		}
	}
	leave(t, &f);
	return work;
}
