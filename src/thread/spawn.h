/* SPDX-License-Identifier: BSD-3-Clause */
/* An OS thread of ours: what spawn.c and its life in os_thread.c know of it. */
#ifndef THREAD_SPAWN_H
#define THREAD_SPAWN_H

#include "thread/remote.h"

/*
 * References: the owner's, until join or detach; the OS thread's own; the environment's, as long as it is in
 * the list of children; and one for each op that waits for the end.
 */
struct nvio_os_thread {
	_Atomic uint32_t refs;
	_Atomic uint32_t stage;	    /* enum os_stage; a futex */
	pthread_t os;		    /* immutable once RUNS */
	struct nvio_env *env;	    /* immutable; its lock: `detached`, `returned`, and being a child of it */
	struct nvio_thread *thread; /* the OS thread's; gone when FINISHED */
	struct nvio_thread_handle *handle; /* immutable */
	int (*fn)(struct nvio_thread *thread, void *arg);
	void *arg;
	int core;
	uint32_t spin_us;
	bool detached, returned;
	struct env_child child;
	struct remote_queue waiters; /* by its own lock */
	int value;		     /* the OS thread's until FINISHED, then immutable; as are: */
	char words[512];
};

enum os_stage {
	OS_STARTS,   /* it has not looked around yet */
	OS_FAILED,   /* it could not be bound; .value and .words say why */
	OS_RUNS,     /* fn is being called, or its thread drained */
	OS_FINISHED, /* nothing of the environment is touched any more */
};

/* How long the end of an environment waits for one that does not return. */
#define OS_THREAD_CLOSE_MS 30000u
extern uint32_t os_thread_close_ms; /* the same, but tests have less time */

static inline bool os_thread_reached(const struct nvio_os_thread *os, enum os_stage stage)
{
	/* Acquire: what was done before. */
	return atomic_load_explicit(&os->stage, memory_order_acquire) >= stage;
}

void os_thread_unref(struct nvio_os_thread *os);

/* The environment closes: asks it to exit, and joins it. */
void os_thread_close_child(struct env_child *child);

#endif
