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

/* How an idle thread rests: run.c. */
struct rest {
	uint64_t spin_most_ns, spin_ns; /* as asked for, and as it has proved worth while */
	uint64_t since_ns;		/* when this spin began; 0: at the next look at the clock */
	uint32_t polls;			/* idle ones in a row */
};

/* Ops that wait at the other end of a call or a join: remote.h. */
struct remote_queue {
	pthread_mutex_t lock;
	struct op_queue ops; /* lock */
	uint64_t turns;	     /* lock; ops ever added */
	void (*release)(struct remote_queue *q);
};

/* A channel that has ended, in checked builds. */
struct grave {
	struct nvio_channel *ch;
	char device[32];
};

/* Own thread writes, anyone reads. Times are cycles(). */
struct thread_counts {
	_Atomic uint64_t polls;
	uint64_t stamp_at;	     /* the poll at which to look at the cycle counter; own thread */
	bool was_busy;		     /* the last poll; own thread */
	uint64_t stamp;		     /* own thread; time until here is accounted for */
	_Atomic uint64_t busy, idle;
	uint64_t begin, begin_ns; /* immutable; tell how long a cycle is */
};

/* What a handle counts on: the thread itself, whose memory stays until the last one is put. */
struct nvio_thread_handle {
	_Atomic uint32_t refs; /* anyone; one is the thread's own */
};

struct nvio_thread {
	/* Hot. Own thread, but where said otherwise. */
	struct thread_hot hot;
	uint64_t ended_out;
	void *_Atomic os; /* which OS thread has it (the address of its thread_tls_current); NULL: none */
	uint32_t depth;	  /* polls that run, one inside the other */
	uint32_t attention;
	struct list pollers; /* untimed, not paused; and those that run right now */
	struct timer_heap timers;
	struct thread_counts counts;
	struct msg_queue msgs; /* anyone, by its own rules */
	struct co_sched *co;   /* NULL: there never was a coroutine */

	/* Pollers. */
	struct list incoming; /* become active at the next poll */
	struct list aside;    /* paused, and timed */
	uint32_t active;      /* untimed, not paused */
	pthread_mutex_t pollers_lock;
	struct list all_pollers; /* pollers_lock; in the order of registration */

	/* Channels. */
	struct nvio_pollable channel_ops; /* the owner of for_each's and unregister's ops */
	struct nvio_channel **channels; /* by address of the device: channel.c; NULL: none so far */
	uint32_t channel_bits;		/* 2^bits buckets */
	_Atomic uint32_t channel_count; /* own thread writes, anyone reads */
	struct list channel_list;	/* oldest first */
	struct list dying;
	uint32_t dying_count;
	struct list device_ops; /* for_each and unregister: submitted here, not yet complete */
	struct grave graves[NVIO_CHECKED ? 16 : 1];
	uint32_t next_grave;

	/* Calls: those to this thread, and the ops that others end for it. */
	struct remote_queue calls; /* by its own lock */
	uint64_t call_turn;
	struct nvio_pollable remote_pollable; /* the owner of the ops below */
	struct list remote_ops;		      /* submitted here, not yet complete */

	/* Running. */
	_Atomic bool stop; /* anyone */
	bool running;
	struct rest wait_rest; /* of nvio_wait() */

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
	CACHE_ALIGNED struct nvio_thread_handle handle;
};

/* Of one environment. */
struct thread_registry {
	pthread_mutex_t lock; /* all below; never held across a callback */
	struct list threads;  /* oldest first */
	uint32_t thread_count;
	uint64_t last_id;
	struct io_device **devices; /* by address: device.c; NULL: none so far */
	uint32_t device_bits;	    /* 2^bits buckets */
	uint32_t device_count;
};

/*
 * Whether an OS thread other than the caller's has it right now. Acquire: pairs with the release of letting
 * it go.
 */
static inline bool owned_elsewhere(const struct nvio_thread *t)
{
	void *os = atomic_load_explicit(&t->os, memory_order_acquire);

	return os && os != &thread_tls_current;
}

/* current.c: reports the call of `what` on the wrong OS thread, with both threads' names, and aborts. */
_Noreturn void thread_called_elsewhere(const struct nvio_thread *t, const char *what) COLD;

/* Checked builds only: the caller may use what belongs to t. */
static inline void check_own(const struct nvio_thread *t, const char *what)
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
static inline uint32_t channel_count(const struct nvio_thread *t)
{
	return atomic_load_explicit(&t->channel_count, memory_order_relaxed);
}
void channel_clear_graves(struct nvio_thread *t);
int channel_run_dying(struct nvio_thread *t);
/*
 * Whatever references there are, which are reported: `what` has happened. Newest first: one that stands on
 * another has got that while it was made, and puts it when it goes. Drains.
 */
void channel_kill_all(struct nvio_thread *t, const char *what);

/* An address, spread over 2^bits buckets: addresses differ in the middle, and the multiplier is Knuth's. */
static inline size_t address_bucket(const void *key, uint32_t bits)
{
	return (size_t)((uint64_t)(uintptr_t)key * 0x9e3779b97f4a7c15ull >> (64 - bits));
}

/* thread.c: the oldest thread made after the one with this id, with a reference; NULL: none. */
struct nvio_thread *thread_next(struct thread_registry *r, uint64_t id);

/*
 * thread.c: what is in flight on an exiting thread is cancelled, what is held is taken away; false: not all
 * yet.
 */
bool thread_clear(struct nvio_thread *t, const char *what);

/* thread.c: the end of one that nothing is left of. */
void thread_free(struct nvio_thread *t);

/* call.c: the memory of a thread. */
void thread_ref(struct nvio_thread *t);
void thread_unref(struct nvio_thread *t);
void call_released(struct remote_queue *q); /* .release of nvio_thread.calls */

/* remote.c */
extern const struct pollable_ops remote_pollable_ops;
void remote_cancel_all(struct nvio_thread *t); /* those that still wait; each ends in a later poll */
void remote_queue_init(struct remote_queue *q, void (*release)(struct remote_queue *q));
void remote_queue_fini(struct remote_queue *q);

/* Sleeps while *word is `value`, at most so long (UINT64_MAX: for ever); may return early. */
void futex_wait(_Atomic uint32_t *word, uint32_t value, uint64_t timeout_ns);
void futex_wake(_Atomic uint32_t *word);


/* stats.c */
void counts_init(struct thread_counts *c);
void counts_stamp(struct thread_counts *c, bool busy); /* after a poll, now and then */
void counts_slept(struct thread_counts *c);	       /* the time until now was sleep */

/* device.c */
extern const struct pollable_ops device_pollable_ops;
void device_cancel_all(struct nvio_thread *t);
void device_free_all(struct thread_registry *r);

#endif
