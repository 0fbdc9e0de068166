/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What every room may know of the environment. The room `env` opens and closes it; each other room uses its own corner
 * here (by an opaque pointer) and the list of things to close.
 */
#ifndef BASE_ENV_H
#define BASE_ENV_H

#include <stdatomic.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/platform.h"
#include "base/random.h"
#include <nvio/env.h>

/* Something that is open in the environment and must be closed before it. Embedded in the object. */
struct env_child {
	struct list link;                        /* env lock */
	void (*close)(struct env_child *child);  /* called by nvio_env_close(), newest first; removes itself from the list */
};

struct mem;
struct pci_registry;
struct thread_registry;
struct loop_registry;
struct bdev_registry;

struct nvio_env {
	struct lock lock;           /* children; also the rooms' registries where they say so. Never held across a callback. */
	struct list children;       /* env lock; newest last */
	struct nvio_env_opts opts;  /* immutable; strings owned */
	struct clock clock;         /* immutable */
	struct nvio_log log;        /* immutable */
	struct random random;       /* env lock */
	int cores[1024];            /* immutable; ascending */
	int core_count;
	int shm_fd;                 /* -1, or holds the lock of shm_id */

	_Atomic bool closing; /* what is open is being closed, by one OS thread for all of its nvio_threads */

	/* The rooms' own; made at open by the room's init, ended at close by its fini. */
	struct mem *mem;
	struct pci_registry *pci;
	struct thread_registry *threads;
	struct loop_registry *loop;
	struct bdev_registry *bdevs;
};

static inline void env_child_add(struct nvio_env *env, struct env_child *child, void (*close)(struct env_child *))
{
	child->close = close;
	lock_take(&env->lock);
	list_push_back(&env->children, &child->link);
	lock_give(&env->lock);
}

static inline void env_child_remove(struct nvio_env *env, struct env_child *child)
{
	lock_take(&env->lock);
	list_remove(&child->link);
	lock_give(&env->lock);
}

/* Takes the newest child out of the list; NULL when there is none left. */
static inline struct env_child *env_child_take_newest(struct nvio_env *env)
{
	struct env_child *child = NULL;

	lock_take(&env->lock);
	if (!list_empty(&env->children)) {
		child = list_entry(env->children.prev, struct env_child, link);
		list_remove(&child->link);
	}
	lock_give(&env->lock);
	return child;
}

/*
 * Binds the calling OS thread to `core`, or with -1 to all cores of the environment's mask. For OS threads that nvio starts,
 * as their first act. 0; -EINVAL: a core that is not in the mask; -errno of the system.
 */
int env_bind_thread(const struct nvio_env *env, int core);

/* The rooms' corners. Each init returns 0 or -errno with nothing left behind; each fini takes NULL corners. */
int mem_env_init(struct nvio_env *env);
void mem_env_fini(struct nvio_env *env);
int pci_env_init(struct nvio_env *env);
void pci_env_fini(struct nvio_env *env);
int thread_env_init(struct nvio_env *env);
void thread_env_fini(struct nvio_env *env);
/* The first step of closing, while all is still there: coroutines are cancelled and run to their end. */
void thread_env_stop(struct nvio_env *env);
int loop_env_init(struct nvio_env *env);
void loop_env_fini(struct nvio_env *env);
int bdev_env_init(struct nvio_env *env);
void bdev_env_fini(struct nvio_env *env);

#endif
