/* SPDX-License-Identifier: BSD-3-Clause */
/* A poller, and how the poll runs one. All of it: own thread. */
#ifndef THREAD_POLLER_H
#define THREAD_POLLER_H

#include "thread/state.h"

/* Bits of nvio_poller.flags; 0: active, and not being called. */
#define POLLER_RUNNING (1u << 0) /* it is being called: it stays where it is in its list until it returns */
#define POLLER_PAUSED  (1u << 1)
#define POLLER_GONE    (1u << 2) /* unregistered while it runs: freed when it returns */

struct nvio_poller {
	struct list link; /* in the thread's pollers, incoming or aside */
	nvio_poller_fn fn;
	void *arg;
	uint32_t flags;
	struct nvio_thread *thread;
	_Atomic uint64_t runs; /* own thread writes, anyone reads; beside all else that a poll touches */
	uint64_t period_ns;    /* 0: untimed */
	struct nvio_timer timer;
	_Atomic uint64_t busy; /* as runs */
	_Atomic bool paused;   /* as runs; what flags say, for statistics */
	struct poller_sleep *sleep;  /* poller_sleep.c; NULL: it never sleeps */
	struct list in_all;	     /* the thread's pollers_lock */
	char name[32];		     /* immutable */
};

/* Own thread; others may be reading. */
static inline void poller_count(_Atomic uint64_t *n)
{
	atomic_store_explicit(n, atomic_load_explicit(n, memory_order_relaxed) + 1, memory_order_relaxed);
}

/* Does what was put off because the poller was running; it may be freed. */
void poller_settle(struct nvio_poller *p) COLD;

/* Moves the pollers that became active since the last poll into the list. */
void poller_admit(struct nvio_thread *t);

/* poller_sleep.c: its descriptor is not watched any more; the caller pauses, resumes or frees it. */
void poller_sleep_ends(struct nvio_poller *p);
void poller_sleep_free(struct nvio_poller *p);

/* Frees all of the thread's pollers. */
void poller_free_all(struct nvio_thread *t);

#endif
