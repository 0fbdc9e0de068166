/* SPDX-License-Identifier: BSD-3-Clause */
/* Waiting for other coroutines, and asking them to end. */
#include "thread/co.h"

static COLD int cannot_join(const struct nvio_co *me, struct nvio_co *co)
{
	/* First, for nothing else of it may be looked at then. */
	if (owned_elsewhere(co->thread))
		return fail(-EBUSY, "coroutine: join: another OS thread has its thread %s right now", co->thread->name);
	if (co->status == NVIO_CO_RUNNING)
		return fail(-EDEADLK, "coroutine: join: \"%s\": it %s", co_name(co),
			co == me ? "would wait for itself" : "goes on only when its caller returns");
	if (co->joined || co->slot)
		return fail(-EBUSY, "coroutine: join: \"%s\": %s", co_name(co),
			co->slot ? "it is in a group, which joins it" : "somebody joins it already");
	if (co->detached)
		return fail(-EINVAL, "coroutine: join: \"%s\": it is detached", co_name(co));
	if (me && me->thread != co->thread)
		return fail(-EINVAL, "coroutine: join: \"%s\": it belongs to thread %s and the caller to %s; send a message when it ends",
			co_name(co), co->thread->name, me->thread->name);
	return 0;
}

static void suspend_until_ended(struct nvio_co *me, struct nvio_co *co)
{
	co->joiner = me;
	me->joins = co;
	while (co->status != NVIO_CO_ENDED) {
		if (me->cancelled)
			nvio_co_cancel(co);
		co_suspend(me, NVIO_CO_WAITING);
	}
	me->joins = NULL;
}

static int poll_until_ended(struct nvio_co *co)
{
	unsigned idle = 0;

	while (co->status != NVIO_CO_ENDED) {
		int rc = thread_wait_poll(co->thread);

		if (rc < 0)
			return rc;
		op_idle_count(&idle, rc > 0);
	}
	return 0;
}

int nvio_co_join(struct nvio_co *co, int *value)
{
	struct nvio_co *me = co_current();
	int rc;

	if (!co)
		return fail(-EINVAL, "coroutine: join: it is NULL");
	rc = cannot_join(me, co);
	if (rc)
		return rc;
	co->joined = true;
	if (me) {
		suspend_until_ended(me, co);
	} else {
		rc = poll_until_ended(co);
		if (rc) {
			co->joined = false;
			return rc;
		}
	}
	rc = co->value;
	co_recycle(co);
	if (value)
		*value = rc;
	return MIN(rc, 0);
}

int nvio_co_join_all(struct nvio_co *const co[], size_t count)
{
	struct nvio_co *me = co_current();
	bool told = false;
	int first = 0;

	for (size_t i = 0; i < count; i++) {
		int rc = co[i] ? nvio_co_join(co[i], NULL) : 0;

		if (!first)
			first = rc;
		if (!me || !me->cancelled || told)
			continue;
		told = true;
		for (size_t k = i + 1; k < count; k++)
			if (co[k] && co[k]->status != NVIO_CO_ENDED)
				nvio_co_cancel(co[k]);
	}
	return first;
}

int nvio_co_detach(struct nvio_co *co)
{
	check_own(co->thread, "nvio_co_detach");
	if (co->joined || co->slot)
		return fail(-EBUSY, "coroutine: detach: \"%s\": %s", co_name(co),
			co->slot ? "it is in a group" : "somebody joins it");
	co->detached = true;
	if (co->status == NVIO_CO_ENDED)
		co_recycle(co);
	return 0;
}

int nvio_co_cancel(struct nvio_co *co)
{
	check_own(co->thread, "nvio_co_cancel");
	if (co->status == NVIO_CO_ENDED)
		return fail(-EALREADY, "coroutine: cancel: \"%s\": it has ended", co_name(co));
	if (!co->cancelled) {
		co->cancelled = true;
		co_wake(co);
	}
	return 0;
}
