/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Opening and closing an environment: the top of the house, which knows all rooms and brings them up in the
 * order in which they stand on each other.
 */
#include <errno.h>
#include <stdatomic.h>

#include "base/alloc.h"
#include "base/fail.h"
#include "base/op.h"
#include "env/env.h"
#include <nvio/thread.h>

/* In this order at open, backwards at close. */
static const struct room {
	int (*init)(struct nvio_env *env);
	void (*fini)(struct nvio_env *env);
} rooms[] = {
	{ env_shm_init, env_shm_fini },
	{ mem_env_init, mem_env_fini },
	{ pci_env_init, pci_env_fini },
	{ thread_env_init, thread_env_fini },
	{ loop_env_init, loop_env_fini },
	{ bdev_env_init, bdev_env_fini },
};

static void rooms_fini(struct nvio_env *env, size_t count)
{
	while (count > 0)
		rooms[--count].fini(env);
}

static int rooms_init(struct nvio_env *env)
{
	for (size_t i = 0; i < ARRAY_SIZE(rooms); i++) {
		int rc = rooms[i].init(env);

		if (rc) {
			rooms_fini(env, i);
			return rc;
		}
	}
	return 0;
}

/* See op_idle_arm: base and host do not know threads. */
static int arm_current(int *fd, int *timeout_ms)
{
	struct nvio_thread *t = nvio_thread_current();

	if (!t)
		return -ENOENT;
	*timeout_ms = nvio_thread_timeout_ms(t);
	*fd = nvio_thread_fd(t);
	return *timeout_ms == 0;
}

int nvio_env_open(const struct nvio_env_opts *opts, struct nvio_env **out)
{
	struct nvio_env *env = alloc_zeroed(sizeof(*env));
	int rc;

	if (!env)
		return fail(-ENOMEM, "env: open: no memory for the environment");
	rc = env_opts_init(&env->opts, opts);
	if (rc)
		goto out_free;
	opts = &env->opts;
	env->clock = (struct clock){ .now_ns = opts->now_ns, .arg = opts->now_arg };
	env->log = (struct nvio_log){
		.level = opts->log_level, .fn = opts->log_fn, .arg = opts->log_arg, .name = opts->name
	};
	random_init(&env->random, opts->seed ? opts->seed : random_os_seed());
	list_init(&env->children);
	lock_init(&env->lock);
	rc = env_cores_init(env);
	if (rc)
		goto out_opts;
	rc = rooms_init(env);
	if (rc)
		goto out_opts;
	/* Last: the caller's binding is the one thing that could not be taken back. */
	rc = opts->main_core >= 0 ? env_bind_thread(env, opts->main_core) : 0;
	if (rc)
		goto out_rooms;
	atomic_store_explicit(&op_idle_arm, arm_current, memory_order_relaxed);
	*out = env;
	return 0;
out_rooms:
	rooms_fini(env, ARRAY_SIZE(rooms));
out_opts:
	lock_fini(&env->lock);
	env_opts_fini(&env->opts);
out_free:
	alloc_free(env);
	return rc;
}

void nvio_env_close(struct nvio_env *env)
{
	struct env_child *child;

	if (!env)
		return;
	thread_env_stop(env);
	atomic_store(&env->closing, true);
	/* One by one, asking anew each time: closing a child may close others, and needs the lock to leave
	 * the list. */
	while ((child = env_child_take_newest(env)))
		child->close(child);
	rooms_fini(env, ARRAY_SIZE(rooms));
	lock_fini(&env->lock);
	env_opts_fini(&env->opts);
	alloc_free(env);
}

const char *nvio_env_name(const struct nvio_env *env)
{
	return env->opts.name;
}

int nvio_env_cores(const struct nvio_env *env, int *cores, int max)
{
	for (int i = 0; i < MIN(max, env->core_count); i++)
		cores[i] = env->cores[i];
	return env->core_count;
}
