/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The end of an OS thread of ours, as others see it: waited for, joined, detached, or closed with all else.
 */
#include "thread/spawn.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <nvio/error.h>

#define CLOSE_LOOK_MS                                                                                        \
	10u /* how often the end of an environment looks after what the OS thread may wait for */
#define CLOSE_WORDS_MS 1000u /* so long in silence */

uint32_t os_thread_close_ms = OS_THREAD_CLOSE_MS;

struct nvio_thread_handle *nvio_os_thread_handle(const struct nvio_os_thread *os)
{
	return os->handle;
}

bool nvio_os_thread_is_finished(const struct nvio_os_thread *os)
{
	return os_thread_reached(os, OS_FINISHED);
}

int nvio_os_thread_wait(struct nvio_os_thread *os, struct nvio_op *op)
{
	int rc = remote_check(op, "wait for an OS thread");

	if (rc)
		return rc;
	atomic_fetch_add_explicit(&os->refs, 1, memory_order_relaxed);
	pthread_mutex_lock(&os->waiters.lock);
	remote_add(&os->waiters, op, NULL, NULL);
	pthread_mutex_unlock(&os->waiters.lock);
	remote_start_deadline(op);
	/* It may have ended all that waited just before we did. */
	if (os_thread_reached(os, OS_FINISHED))
		remote_end_all(&os->waiters, 0);
	return 0;
}

/* The reference of the environment's list, if it is still in there. */
static void forget_env(struct nvio_os_thread *os)
{
	bool was;

	lock_take(&os->env->lock);
	was = !list_empty(&os->child.link);
	list_remove(&os->child.link);
	lock_give(&os->env->lock);
	if (was)
		os_thread_unref(os);
}

static int value_of(const struct nvio_os_thread *os)
{
	if (os->value >= 0)
		return os->value;
	return fail(os->value, "%s", *os->words ? os->words : nvio_errno_name(os->value));
}

int nvio_os_thread_join(struct nvio_os_thread *os)
{
	int rc;

	if (pthread_equal(os->os, pthread_self()))
		return fail(-EDEADLK, "thread: join: %s: an OS thread cannot join itself",
			nvio_thread_handle_name(os->handle));
	/* Again where the waiting coroutine is cancelled: half a join there is none. */
	while (!os_thread_reached(os, OS_FINISHED)) {
		struct nvio_op op = NVIO_OP(NULL);

		rc = nvio_os_thread_wait(os, &op);
		if (rc)
			return rc;
		while (nvio_op_pending(&op))
			nvio_wait(&op);
	}
	pthread_join(os->os, NULL); /* it is past all but its return */
	rc = value_of(os);
	forget_env(os);
	os_thread_unref(os);
	return rc;
}

void nvio_os_thread_detach(struct nvio_os_thread *os)
{
	struct nvio_env *env = os->env;
	bool returned;

	pthread_detach(os->os);
	lock_take(&env->lock);
	returned = os->returned;
	os->detached = true;
	lock_give(&env->lock);
	/* Else it leaves by itself when it returns. */
	if (returned)
		forget_env(os);
	os_thread_unref(os);
}

/* A call that it waits for may be queued at a thread that nobody polls any more: that is answered. */
static int refuse_calls(struct nvio_thread *t, void *arg)
{
	(void)arg;
	if (!atomic_load_explicit(&t->os, memory_order_relaxed))
		remote_end_all(&t->calls, -ESHUTDOWN);
	return 0;
}

static _Noreturn void give_up(const struct nvio_os_thread *os)
{
	fprintf(stderr,
		"nvio: env: close: the function of OS thread \"%s\" has not returned %" PRIu32
		" ms after its nvio_thread was asked to exit, and memory that it uses cannot go; join it "
		"before closing\n",
		nvio_thread_handle_name(os->handle), os_thread_close_ms);
	abort();
}

void os_thread_close_child(struct env_child *child)
{
	struct nvio_os_thread *os = container_of(child, struct nvio_os_thread, child);
	struct nvio_env *env = os->env;
	struct nvio_thread *mine = thread_current();
	uint64_t begin = clock_monotonic_ns(), waited_ms;
	bool told = false;

	if (!os_thread_reached(os, OS_FINISHED))
		nvio_thread_exit(os->thread);
	while (!os_thread_reached(os, OS_FINISHED)) {
		waited_ms = (clock_monotonic_ns() - begin) / NS_PER_MS;
		if (waited_ms >= os_thread_close_ms)
			give_up(os);
		if (waited_ms >= CLOSE_WORDS_MS && !told)
			log_msg(&env->log, NVIO_LOG_WARN,
				"env: close: waiting for the function of OS thread \"%s\" to return",
				nvio_thread_handle_name(os->handle));
		told = waited_ms >= CLOSE_WORDS_MS;
		if (mine && mine->env == env)
			nvio_thread_poll(mine, 0);
		nvio_thread_for_each(env, refuse_calls, NULL);
		futex_wait(&os->stage, OS_RUNS, CLOSE_LOOK_MS * NS_PER_MS);
	}
	if (!os->detached) {
		pthread_join(os->os, NULL);
		os_thread_unref(os); /* the owner's: its handle goes with the environment */
	}
	os_thread_unref(os);
}
