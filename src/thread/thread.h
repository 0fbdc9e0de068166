/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What other rooms use of an nvio_thread beyond its public header: the end of an op "on a thread", and the
 * context of a channel. This is the hot path of every block device; the rest of a thread is in state.h, for
 * this room alone.
 */
#ifndef THREAD_THREAD_H
#define THREAD_THREAD_H

#include "base/list.h"
#include "base/op.h"
#include <nvio/thread.h>

/* The first member of struct nvio_thread. Own thread. */
struct thread_hot {
	struct nvio_pollable pollable; /* .poll is nvio_thread_poll(); its ops cannot be cancelled by it */
	struct op_queue ended;	       /* ops whose done runs in the next poll */
	uint64_t ended_in;	       /* how many were ever put there: bounds one round */
};

/*
 * Which nvio_thread is current here. A single load: initial-exec needs no call, and eight bytes of static
 * TLS.
 */
extern _Thread_local struct nvio_thread *thread_tls_current __attribute__((tls_model("initial-exec")));

static inline struct nvio_thread *thread_current(void)
{
	return thread_tls_current;
}

/*
 * The owner to give to op_begin() for an op that ends by thread_end_op(), so that nvio_wait() polls the
 * thread.
 */
static inline struct nvio_pollable *thread_pollable(struct nvio_thread *t)
{
	return &((struct thread_hot *)t)->pollable;
}

/*
 * The op has come to its end: its `done` runs at the end of the thread's poll, of the one that is running
 * or else of the next, never in here. Fit for use inside submit, after op_begin(). The status waits
 * in op.state. Thread: t's own.
 */
static inline void thread_end_op(struct nvio_thread *t, struct nvio_op *op, int status)
{
	struct thread_hot *hot = (struct thread_hot *)t;

	op->state = (uint32_t)status;
	hot->ended_in++;
	op_queue_push(&hot->ended, op);
}

/*
 * nvio_thread_send() to a thread that may be gone by now: -ESHUTDOWN then. Takes the registry's lock. Any thread.
 */
int thread_send_by_id(struct nvio_env *env, uint64_t id, void (*fn)(void *arg), void *arg);

/*
 * A turn for each thread of an environment that is being closed, when what one waits for may be another's to do: nobody else polls
 * them any more.
 */
void thread_poll_all(struct nvio_env *env);

/* run.c: a poll on behalf of nvio_wait(), which sleeps when it has long found nothing. */
int thread_wait_poll(struct nvio_thread *t);

struct note;

/*
 * Sends a note (thread/msg.h), which is never refused. The thread must be known to live, as one does that has a channel. Any thread.
 */
void thread_send_note(struct nvio_thread *t, struct note *note);

struct io_device;

#define CHANNEL_PLACES (NVIO_CHECKED ? 4 : 1)

/* Own thread, but where said otherwise. */
struct nvio_channel {
	struct nvio_thread *thread; /* immutable */
	void *key;		    /* immutable; the address that the device is known by */
	struct io_device *device;   /* immutable */
	struct nvio_channel *next;  /* in the thread's table */
	struct list dying;	    /* in the thread's list, when refs is 0 */
	struct list in_thread;	    /* all of the thread's, in the order of their making */
	uint32_t refs;
	uint32_t pins;	       /* registry lock; walks that stand on it, so that it stays in the list */
	struct list in_device; /* registry lock */
	void *places[CHANNEL_PLACES]; /* checked builds: who got it first, the nearest first */
	CACHE_ALIGNED unsigned char ctx[];
};

static inline void *channel_ctx(struct nvio_channel *ch)
{
	return ch->ctx;
}

static inline struct nvio_thread *channel_thread(const struct nvio_channel *ch)
{
	return ch->thread;
}

#endif
