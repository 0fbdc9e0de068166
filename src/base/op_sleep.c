/* SPDX-License-Identifier: BSD-3-Clause */
/* Waiting for an op asleep: on the descriptor of its owner, and on that of the nvio_thread that is current. */
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>

#include "base/op.h"

/* How many descriptors to sleep on; 0: there is something to do; -errno: one of the two cannot be slept on. */
static int arm_all(struct nvio_pollable *owner, struct pollfd fds[2], int *timeout_ms)
{
	int (*arm_current)(int *, int *) = atomic_load_explicit(&op_idle_arm, memory_order_relaxed);
	int rc = owner->ops->arm ? owner->ops->arm(owner, &fds[0].fd, timeout_ms) : -EOPNOTSUPP;
	int ms;

	if (rc)
		return MIN(rc, 0);
	rc = arm_current ? arm_current(&fds[1].fd, &ms) : -ENOENT;
	if (rc == -ENOENT)
		return 1;
	if (rc)
		return MIN(rc, 0);
	if (ms >= 0 && (*timeout_ms < 0 || ms < *timeout_ms))
		*timeout_ms = ms;
	return 2;
}

bool op_sleep(struct nvio_pollable *owner)
{
	struct pollfd fds[2] = { { .events = POLLIN }, { .events = POLLIN } };
	int timeout_ms, n = arm_all(owner, fds, &timeout_ms);

	if (n > 0)
		poll(fds, (nfds_t)n, timeout_ms); /* whatever it says, polling goes on */
	else
		sched_yield();
	return n;
}
