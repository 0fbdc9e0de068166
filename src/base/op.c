/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Waiting for an op and asking for its end: the two things that a caller does with an op without knowing
 * which queue or thread works on it.
 */
#include "base/op.h"

#include <stdatomic.h>

#include "base/platform.h"
#include <nvio/error.h>

/* So many polls in a row may find nothing before the waiting one sleeps, if it can: a few hundred microseconds. */
#define IDLE_POLLS_BEFORE_SLEEP 2000

bool (*_Atomic op_suspend)(struct nvio_op *op);
int (*_Atomic op_idle_poll)(void);
int (*_Atomic op_idle_arm)(int *fd, int *timeout_ms);

static int idle_turn(void)
{
	int (*poll)(void) = atomic_load_explicit(&op_idle_poll, memory_order_relaxed);

	return poll ? poll() : 0;
}

int op_idle(void)
{
	int n = idle_turn();

	if (!n)
		platform_yield();
	return n;
}

void op_idle_count(unsigned *idle, bool worked)
{
	if (worked || idle_turn() > 0)
		*idle = 0;
	else if (++*idle >= IDLE_POLLS_BEFORE_SLEEP)
		platform_yield();
}

static bool suspended(struct nvio_op *op)
{
	bool (*suspend)(struct nvio_op *) = atomic_load_explicit(&op_suspend, memory_order_relaxed);

	return suspend && suspend(op);
}

/* The owner has said why in words just before; hold on to them. */
static COLD int wait_failed(const struct nvio_op *op, int rc)
{
	const char *why = nvio_errmsg();

	return fail(rc, "wait: %s: the operation is still in flight: %s", op->owner->ops->name,
		*why ? why : nvio_errno_name(rc));
}

int nvio_wait(struct nvio_op *op)
{
	unsigned idle = 0;
	int rc;

	while (nvio_op_pending(op)) {
		if (suspended(op))
			continue;
		rc = op->owner->ops->poll(op->owner);
		if (unlikely(rc < 0)) {
			/*
			 * An owner completes its ops before it fails; one that is still pending would pend
			 * for ever.
			 */
			if (nvio_op_pending(op))
				return wait_failed(op, rc);
			break;
		}
		if (rc || idle_turn() > 0)
			idle = 0;
		else if (++idle >= IDLE_POLLS_BEFORE_SLEEP && !op_sleep(op->owner))
			idle = 0;
	}
	if (unlikely(op->flags & NVIO_OP_REAP) && op->state == OP_REAPABLE)
		op->owner->ops->waited(op->owner, op);
	return op->status;
}

int nvio_cancel(struct nvio_op *op)
{
	const struct pollable_ops *ops;

	if (!nvio_op_pending(op))
		return fail(-EALREADY, "cancel: the operation is not in flight (status %s)",
			op->status ? nvio_errno_name(op->status) : "0");
	ops = op->owner->ops;
	if (!ops->cancel)
		return fail(-EOPNOTSUPP, "cancel: %s: not possible; the operation will complete by itself",
			ops->name);
	return ops->cancel(op->owner, op);
}
