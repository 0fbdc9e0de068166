/* SPDX-License-Identifier: BSD-3-Clause */
/* The library's side of the operation: who an op waits on, and the moves that every owner makes with it. */
#ifndef BASE_OP_H
#define BASE_OP_H

#include <stdbool.h>

#include "base/compiler.h"
#include "base/fail.h"
#include <nvio/op.h>

struct nvio_thread;

/* What can be polled for an op's completion: a queue pair, a controller's admin queue, an nvio_thread. */
struct nvio_pollable {
	const struct pollable_ops *ops;
};

struct pollable_ops {
	const char *name;
	/* Makes progress; returns the number of completions (or other work), or -errno. */
	int (*poll)(struct nvio_pollable *p);
	/* NULL: ops of this owner cannot be cancelled. */
	int (*cancel)(struct nvio_pollable *p, struct nvio_op *op);
	/* An NVIO_OP_REAP op was waited for and has ended: it is not to be reaped any more. Only of owners that have such ops. */
	void (*waited)(struct nvio_pollable *p, struct nvio_op *op);
	/* The nvio_thread whose polls make p's progress by themselves; NULL, or returning NULL: whoever waits polls p. */
	struct nvio_thread *(*thread)(struct nvio_pollable *p);
	/*
	 * The caller has found nothing to do and wants to sleep. 0: it may, until *fd becomes readable or *timeout_ms are over (-1: no
	 * limit); 1: there is something after all, poll; -errno: it cannot be slept on, go on polling. NULL: it never can.
	 */
	int (*arm)(struct nvio_pollable *p, int *fd, int *timeout_ms);
};

/*
 * How nvio_wait() suspends the coroutine that calls it. True: something has come of it, look at the op again. False: it is not
 * called in a coroutine, or the owner's poll has failed: poll. The room thread puts its function here; always the same.
 */
extern bool (*_Atomic op_suspend)(struct nvio_op *op);

/*
 * Polls the nvio_thread that is current on this OS thread, if one is. Whatever waits by polling something else offers it a turn, so
 * that what it waits for may be done by that very thread. The room thread puts its function here; always the same.
 */
extern int (*_Atomic op_idle_poll)(void);

/*
 * pollable_ops.arm of the nvio_thread that is current on this OS thread: whoever sleeps with one current sleeps on that, too.
 * -ENOENT: there is none. The environment puts its function here; always the same.
 */
extern int (*_Atomic op_idle_arm)(int *fd, int *timeout_ms);

/* One idle turn of a waiting loop: the current nvio_thread's, or the operating system's. Returns work done. */
int op_idle(void);

/*
 * After a poll in a loop that waits, outside of coroutines: when it did no work, the current nvio_thread has a turn, and
 * after many such polls in a row (*idle counts them, from 0) the operating system has.
 */
void op_idle_count(unsigned *idle, bool worked);

/*
 * Until there may be something to do for who waits on `owner`; or, when that cannot be known, only leaves the core to others. False: there
 * is something that a poll or a few of them will show.
 */
bool op_sleep(struct nvio_pollable *owner);

#define OP_REAPABLE 1 /* op.state of an NVIO_OP_REAP op: it has ended, and is in its owner's list of what can be reaped */

/* FIFO of ops, intrusive by op.next/op.pprev; any member can be removed in O(1). */
struct op_queue {
	struct nvio_op *head, **tail;
};

static inline void op_queue_init(struct op_queue *q)
{
	q->head = NULL;
	q->tail = &q->head;
}

static inline bool op_queue_empty(const struct op_queue *q) { return !q->head; }

static inline void op_queue_push(struct op_queue *q, struct nvio_op *op)
{
	op->next = NULL;
	op->pprev = q->tail;
	*q->tail = op;
	q->tail = &op->next;
}

static inline void op_queue_push_front(struct op_queue *q, struct nvio_op *op)
{
	op->next = q->head;
	if (q->head)
		q->head->pprev = &op->next;
	else
		q->tail = &op->next;
	op->pprev = &q->head;
	q->head = op;
}

static inline void op_queue_remove(struct op_queue *q, struct nvio_op *op)
{
	*op->pprev = op->next;
	if (op->next)
		op->next->pprev = op->pprev;
	else
		q->tail = op->pprev;
	op->next = NULL;
	op->pprev = NULL;
}

static inline struct nvio_op *op_queue_pop(struct op_queue *q)
{
	struct nvio_op *op = q->head;

	if (!op)
		return NULL;
	/* As op_queue_remove(), but it is known who points to it. */
	q->head = op->next;
	if (op->next)
		op->next->pprev = &q->head;
	else
		q->tail = &q->head;
	op->next = NULL;
	op->pprev = NULL;
	return op;
}

/* Moves everything of `from` to the end of `to`. */
static inline void op_queue_splice(struct op_queue *to, struct op_queue *from)
{
	if (!from->head)
		return;
	from->head->pprev = to->tail;
	*to->tail = from->head;
	to->tail = from->tail;
	op_queue_init(from);
}

/* The op is taken: from here on it is the library's. The last step of a submit that will return 0. */
static inline void op_begin(struct nvio_op *op, struct nvio_pollable *owner)
{
	checked(op->status != -EINPROGRESS);
	op->owner = owner;
	op->status = -EINPROGRESS;
}

/*
 * Completes the op: sets the status and runs `done`. After this the op may be gone. An owner calls it from its poll,
 * never from submit.
 */
static inline void op_end(struct nvio_op *op, int status)
{
	checked(op->status == -EINPROGRESS && status != -EINPROGRESS);
	op->status = status;
	if (op->done)
		op->done(op);
}

#endif
