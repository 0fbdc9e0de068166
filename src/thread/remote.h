/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ops that another OS thread brings to an end: a call that waits for its turn there, a join that waits for
 * the end of it. Such an op waits in a queue at the other end, from which its submitter can take it back;
 * once taken from there it is sent home, in its own private words. Nothing is allocated.
 *
 * Home is the nvio_thread that was current at submit. Where none was, the op is its own owner, and who waits
 * for it sleeps.
 */
#ifndef THREAD_REMOTE_H
#define THREAD_REMOTE_H

#include "thread/state.h"

/* In op.priv. */
struct remote_op {
	struct note note;	 /* the way home */
	struct nvio_timer timer; /* submitter; without a home only .due_ns, 0: no deadline */
	union {
		struct list link;	   /* submitter: in its nvio_thread's remote_ops */
		struct nvio_pollable self; /* without a home: the op's owner */
	};
	struct remote_queue *queue; /* immutable from submit on */
	int (*fn)(void *arg);	    /* as are these: the queue's own business */
	void *arg;
	uint64_t turn;
	int status; /* whoever ends it */
	_Atomic uint32_t
		state; /* enum remote_state, under the queue's lock; REMOTE_ENDED: only without a home */
};

nvio_static_assert(sizeof(struct remote_op) <= sizeof(((struct nvio_op *)0)->priv), "must fit into the op");

enum remote_state {
	REMOTE_WAITS, /* in the queue */
	REMOTE_TAKEN, /* no longer, and not to be stopped */
	REMOTE_ENDED, /* .status says how */
};

static inline struct remote_op *remote_priv(struct nvio_op *op)
{
	return (struct remote_op *)op->priv;
}

/*
 * The queue's `release` is called once for each op that was added, when it no longer needs the queue: on its
 * submitter's thread.
 */

/* Submit's checks, and all of it that can fail. 0; -EINVAL; -ENOMEM: the op is untouched. */
int remote_check(struct nvio_op *op, const char *what);

/* Under q->lock, after remote_check(): the op is taken, and waits. */
void remote_add(struct remote_queue *q, struct nvio_op *op, int (*fn)(void *arg), void *arg);

/* After remote_add(), without the lock: starts its deadline, for which the clock is asked. */
void remote_start_deadline(struct nvio_op *op);

/* The oldest op, if its turn is at most `turn`; NULL: none. It is the caller's to end. Any thread. */
struct nvio_op *remote_take(struct remote_queue *q, uint64_t turn);

/* Ends an op that was taken. Any thread. */
void remote_end(struct nvio_op *op, int status);

/* Ends all that wait. Any thread. */
void remote_end_all(struct remote_queue *q, int status);

#endif
