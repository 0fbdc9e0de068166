/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * OS threads with an nvio_thread of their own: how they start, run and drain. Waiting for one is in join.c.
 */
#include "thread/co.h"
#include "thread/spawn.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/opts.h"
#include "base/signals.h"
#include "thread/device.h"
#include <nvio/error.h>

#define KERNEL_NAME_MAX 15
#define DRAIN_MS	1000u /* then what is in flight is left to the end of the environment */

void nvio_os_thread_opts_init(struct nvio_os_thread_opts *opts)
{
	*opts = (struct nvio_os_thread_opts){
		.size = sizeof(*opts),
		.core = -1,
		.max_msgs = NVIO_THREAD_MSGS_DEFAULT,
		.spin_us = NVIO_THREAD_SPIN_US,
	};
}

static void set_stage(struct nvio_os_thread *os, enum os_stage stage)
{
	/* Release: value and words, and all that was done with the environment. */
	atomic_store_explicit(&os->stage, stage, memory_order_release);
	futex_wake(&os->stage);
}

/* The thread's last words go to whoever joins. */
static void keep_words(struct nvio_os_thread *os, int value)
{
	os->value = value;
	if (value < 0)
		snprintf(os->words, sizeof(os->words), "%s", nvio_errmsg());
}

/* Nothing is left in flight or held; false: something does not come to its end. */
static bool drain(struct nvio_thread *t)
{
	uint64_t begin = clock_monotonic_ns();

	while (!thread_clear(t, "the function of its OS thread has returned")) {
		if (clock_monotonic_ns() - begin > DRAIN_MS * NS_PER_MS)
			return false;
		sched_yield();
	}
	return true;
}

/* fn has returned: the nvio_thread goes as if nobody else were there to look after it. */
static void end_thread(struct nvio_thread *t)
{
	nvio_thread_exit(t);
	co_stop(t);
	poll_drain(t);
	if (drain(t)) {
		thread_free(t);
		return;
	}
	log_msg(&t->env->log, NVIO_LOG_WARN,
		"thread: %s: its function has returned, and what it had in flight on other threads has not come "
		"back for %u ms; do they poll? The environment's close sees to the rest",
		t->name, DRAIN_MS);
	nvio_thread_detach(t);
}

/* No longer a child of the environment, from here on; true: it was one until now. */
static bool leave_env(struct nvio_os_thread *os)
{
	bool was = !list_empty(&os->child.link);

	list_remove(&os->child.link);
	return was;
}

static void finish(struct nvio_os_thread *os)
{
	struct nvio_env *env = os->env;
	bool left;

	lock_take(&env->lock);
	os->returned = true;
	left = os->detached && leave_env(os);
	lock_give(&env->lock);
	set_stage(os, OS_FINISHED);
	remote_end_all(&os->waiters, 0);
	if (left)
		os_thread_unref(os);
}

static void *body(void *arg)
{
	struct nvio_os_thread *os = arg;
	struct nvio_thread *t = os->thread;
	char name[KERNEL_NAME_MAX + 1];
	int rc = env_bind_thread(os->env, os->core);

	snprintf(name, sizeof(name), "%.*s", KERNEL_NAME_MAX, t->name);
	pthread_setname_np(pthread_self(), name);
	if (!rc)
		rc = nvio_thread_attach(t);
	if (rc) {
		keep_words(os, rc);
		set_stage(os, OS_FAILED);
		return NULL;
	}
	set_stage(os, OS_RUNS);
	fail_clear();
	keep_words(os, os->fn ? os->fn(t, os->arg) : nvio_thread_run(t, os->spin_us));
	end_thread(t);
	finish(os);
	os_thread_unref(os);
	return NULL;
}

/* ---- the other side ---- */

static void waiter_released(struct remote_queue *q)
{
	os_thread_unref(container_of(q, struct nvio_os_thread, waiters));
}

static struct nvio_os_thread *os_thread_alloc(struct nvio_env *env, const struct nvio_os_thread_opts *opts)
{
	struct nvio_os_thread *os = alloc_zeroed(sizeof(*os));

	if (!os)
		return NULL;
	os->refs = 3;
	os->env = env;
	os->core = opts->core;
	os->spin_us = opts->spin_us;
	list_init(&os->child.link);
	remote_queue_init(&os->waiters, waiter_released);
	return os;
}

void os_thread_unref(struct nvio_os_thread *os)
{
	if (atomic_fetch_sub_explicit(&os->refs, 1, memory_order_acq_rel) > 1)
		return;
	nvio_thread_handle_put(os->handle);
	remote_queue_fini(&os->waiters);
	alloc_free(os);
}

static int start(struct nvio_os_thread *os, const struct nvio_os_thread_opts *opts)
{
	pthread_attr_t attr;
	sigset_t before;
	int rc;

	pthread_attr_init(&attr);
	if (opts->stack_size) {
		rc = pthread_attr_setstacksize(&attr, opts->stack_size);
		if (rc) {
			pthread_attr_destroy(&attr);
			return fail(-rc, "thread: spawn: %s: a stack of %zu bytes: %s", os->thread->name,
				opts->stack_size, strerror(rc));
		}
	}
	signals_block(&before);
	rc = pthread_create(&os->os, &attr, body, os);
	signals_restore(&before);
	pthread_attr_destroy(&attr);
	if (rc)
		return fail(-rc, "thread: spawn: %s: cannot start an OS thread: %s", os->thread->name,
			strerror(rc));
	while (!os_thread_reached(os, OS_FAILED))
		futex_wait(&os->stage, OS_STARTS, UINT64_MAX);
	if (os_thread_reached(os, OS_RUNS))
		return 0;
	pthread_join(os->os, NULL);
	return fail(os->value, "thread: spawn: %s: %s", os->thread->name, os->words);
}

static int read_opts(struct nvio_os_thread_opts *opts, const struct nvio_os_thread_opts *given)
{
	nvio_os_thread_opts_init(opts);
	if (!given)
		return 0;
	return opts_copy("nvio_os_thread_opts", opts, sizeof(*opts), given, sizeof(*given));
}

int nvio_os_thread_spawn(struct nvio_env *env, const struct nvio_os_thread_opts *given,
	int (*fn)(struct nvio_thread *thread, void *arg), void *arg, struct nvio_os_thread **out)
{
	struct nvio_thread_opts thread_opts;
	struct nvio_os_thread_opts opts;
	struct nvio_os_thread *os;
	int rc = read_opts(&opts, given);

	if (rc)
		return rc;
	if (opts.core < -1)
		return fail(-EINVAL, "thread: spawn: core is %d; -1 (any) or a core expected", opts.core);
	os = os_thread_alloc(env, &opts);
	if (!os)
		return fail(-ENOMEM, "thread: spawn: no memory");
	os->fn = fn;
	os->arg = arg;
	nvio_thread_opts_init(&thread_opts);
	thread_opts.name = opts.name;
	thread_opts.max_msgs = opts.max_msgs;
	rc = nvio_thread_create(env, &thread_opts, &os->thread);
	if (rc)
		goto free_os;
	os->handle = nvio_thread_handle_get(os->thread);
	/* Before it runs, and may be finished: a child after its nvio_thread, so that it is closed before. */
	env_child_add(env, &os->child, os_thread_close_child);
	rc = start(os, &opts);
	if (rc)
		goto destroy_thread;
	*out = os;
	return 0;

destroy_thread:
	env_child_remove(env, &os->child);
	nvio_thread_destroy(os->thread); /* drained: others may have found it, and sent to it */
free_os:
	os->refs = 1;
	os_thread_unref(os);
	return rc;
}
