/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The whole of an nvio_thread, and the corner of the environment that knows all of them; for this room
 * alone (others see thread.h). "Own thread" is whoever polls it or has it attached, one OS thread at a
 * time.
 */
#ifndef THREAD_STATE_H
#define THREAD_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/env.h"
#include "base/fail.h"
#include "thread/msg.h"
#include "thread/thread.h"
#include "thread/timer.h"

#define THREAD_NAME_MAX	       31u
#define THREAD_CHANNEL_BUCKETS 64u
#define THREAD_EVENTS	       16u   /* taken from epoll at once */
#define THREAD_DRAIN_ROUNDS    4096u /* what still makes work after so many rounds will not end by itself */

/* Why a poll has more to do than pollers, messages, timers and completions: bits of nvio_thread.attention. */
#define ATT_INCOMING (1u << 0) /* pollers that join the active list */
#define ATT_DYING    (1u << 1) /* channels without a reference */
#define ATT_ARMED    (1u << 2) /* it was about to sleep, or slept */
#define ATT_SOURCES  (1u << 3) /* there are event sources */
#define ATT_LOOP     (1u << 4) /* a loop watches its descriptor that does not ask for the timeout: sleep.c */
#define ATT_TIMERS   (1u << 5) /* there are timers that run */
#define ATT_CO       (1u << 8) /* coroutines are ready, or wait for what must be polled: co_run() */

struct event_source;
struct co_sched;

struct nvio_thread {
	/* Hot. Own thread, but where said otherwise. */
	struct thread_hot hot;
	uint64_t ended_out;
	void *_Atomic os; /* which OS thread has it (the address of its thread_tls_current); NULL: none */
	uint32_t depth;	  /* polls that run, one inside the other */
	uint32_t attention;
	struct list pollers; /* untimed, not paused; and those that run right now */
	struct timer_heap timers;
	struct msg_queue msgs; /* anyone, by its own rules */
	struct co_sched *co;   /* NULL: there never was a coroutine */

	/* Pollers. */
	struct list incoming; /* become active at the next poll */
	struct list aside;    /* paused, and timed */
	uint32_t active;      /* untimed, not paused */

	/* Channels. */
	struct nvio_pollable channel_ops; /* the owner of for_each's and unregister's ops */
	struct nvio_channel *channels[THREAD_CHANNEL_BUCKETS];
	uint32_t channel_count;
	struct list dying;
	uint32_t dying_count;
	struct list device_ops; /* for_each and unregister: submitted here, not yet complete */

	/* Sleeping. */
	int epoll_fd, timer_fd;	       /* immutable */
	uint64_t timer_fd_due_ns;      /* what timer_fd is set to; UINT64_MAX: not set */
	struct event_source **sources; /* by descriptor */
	uint32_t source_room, source_count;
	uint64_t batches;	      /* of events, ever */
	uint32_t source_rounds;	      /* batches of events being worked on, one inside the other */
	struct event_source *removed; /* sources to free when no batch is */
	uint64_t sources_looked_at;   /* cycles() */
	bool asks_timeout;	      /* nvio_thread_timeout_ms() has been called */

	uint32_t attached;  /* how often it is attached */
	struct clock clock; /* immutable, as is all below */
	struct nvio_env *env;
	uint64_t id;
	char name[THREAD_NAME_MAX + 1];
	struct env_child child;	 /* env lock */
	struct list in_registry; /* registry lock */
};

/* Of one environment. */
struct thread_registry {
	pthread_mutex_t lock; /* all below; never held across a callback */
	struct list threads;  /* oldest first */
	uint32_t thread_count;
	uint64_t last_id;
	struct list devices;
};

/*
 * Whether an OS thread other than the caller's has it right now. Acquire: pairs with the release of letting
 * it go.
 */
static inline bool owned_elsewhere(struct nvio_thread *t)
{
	void *os = atomic_load_explicit(&t->os, memory_order_acquire);

	return os && os != &thread_tls_current;
}

/* current.c: reports the call of `what` on the wrong OS thread, with both threads' names, and aborts. */
_Noreturn void thread_called_elsewhere(struct nvio_thread *t, const char *what) COLD;

/* Checked builds only: the caller may use what belongs to t. */
static inline void check_own(struct nvio_thread *t, const char *what)
{
	if (NVIO_CHECKED && unlikely(owned_elsewhere(t)))
		thread_called_elsewhere(t, what);
}

/* current.c: it goes away, and is current nowhere on this OS thread any more. */
void current_forget(struct nvio_thread *t);

/*
 * poll.c: runs messages, completions and the ends of channels, but no pollers and no timers, until none of
 * them is left or THREAD_DRAIN_ROUNDS have passed. Returns how much there was.
 */
uint64_t poll_drain(struct nvio_thread *t);

/* sleep.c */
int sleep_init(struct nvio_thread *t);
void sleep_fini(struct nvio_thread *t);
int sleep_attend(struct nvio_thread *t); /* after a sleep, or with event sources; how much work it was */
void sleep_rearm(struct nvio_thread *t); /* the end of a poll of a thread with ATT_LOOP */

/* channel.c */
int channel_run_dying(struct nvio_thread *t);
/* Whatever references there are; poll_drain() then destroys them. */
void channel_kill_all(struct nvio_thread *t);

/* device.c */
extern const struct pollable_ops device_pollable_ops;
void device_cancel_all(struct nvio_thread *t);
void device_free_all(struct thread_registry *r);

#endif
