/* SPDX-License-Identifier: BSD-3-Clause */
/* The attached controllers by name. They stand among the environment's children, and are known by how they are closed. */
#include <string.h>

#include "bdev/modules/nvme.h"
#include <nvio/bdev_nvme.h>

/* With the environment's lock held. */
static struct nvme_ctrlr *find_locked(struct nvio_env *env, const char *name)
{
	list_for_each (l, &env->children) {
		struct env_child *child = list_entry(l, struct env_child, link);
		struct nvme_ctrlr *nc = container_of(child, struct nvme_ctrlr, child);

		if (child->close == nvme_close_child && !strcmp(nc->name, name))
			return nc;
	}
	return NULL;
}

struct nvme_ctrlr *nvme_find(struct nvio_env *env, const char *name)
{
	struct nvme_ctrlr *nc;

	lock_take(&env->lock);
	nc = find_locked(env, name);
	lock_give(&env->lock);
	return nc;
}

/* Newer than the controller that it has, and so closed before that. */
int nvme_join_env(struct nvme_ctrlr *nc)
{
	struct nvio_env *env = nc->env;
	bool taken;

	lock_take(&env->lock);
	taken = find_locked(env, nc->name);
	nc->child.close = nvme_close_child;
	if (!taken)
		list_push_back(&env->children, &nc->child.link);
	lock_give(&env->lock);
	return taken ? fail(-EEXIST, "bdev: nvme: attach: a controller %s is attached; choose another name", nc->name) : 0;
}

int nvio_bdev_nvme_ctrlr(struct nvio_env *env, const char *name, struct nvio_ctrlr **ctrlr)
{
	struct nvme_ctrlr *nc;
	struct nvio_ctrlr *c = NULL;

	if (!env || !name || !ctrlr)
		return fail(-EINVAL, "bdev: nvme: controller: %s is NULL",
			!env	? "the environment"
			: !name ? "the name"
				: "the result");
	lock_take(&env->lock);
	nc = find_locked(env, name);
	if (nc && atomic_load(&nc->state) == NVME_ATTACHED)
		c = nc->ctrlr;
	lock_give(&env->lock);
	if (!c)
		return fail(-ENODEV, "bdev: nvme: controller: %s is %s", name, nc ? "being attached or detached" : "not attached");
	*ctrlr = c;
	return 0;
}

/* The one attached next after `after`; NULL: the first. With all of them at this home none can go meanwhile. */
static struct nvme_ctrlr *next(struct nvio_env *env, const struct nvme_ctrlr *after)
{
	struct nvme_ctrlr *found = NULL;
	bool passed = !after;

	lock_take(&env->lock);
	list_for_each (l, &env->children) {
		struct env_child *child = list_entry(l, struct env_child, link);
		struct nvme_ctrlr *nc = container_of(child, struct nvme_ctrlr, child);

		if (child->close != nvme_close_child)
			continue;
		if (!found && passed && atomic_load(&nc->state) == NVME_ATTACHED)
			found = nc;
		passed |= nc == after;
	}
	lock_give(&env->lock);
	return found;
}

int nvio_bdev_nvme_for_each(struct nvio_env *env, int (*fn)(const char *name, struct nvio_ctrlr *ctrlr, void *arg), void *arg)
{
	struct nvme_ctrlr *nc = NULL;
	int rc = 0;

	if (!env || !fn)
		return fail(-EINVAL, "bdev: nvme: for each: %s is NULL", env ? "the function" : "the environment");
	while (!rc && (nc = next(env, nc)))
		rc = fn(nc->name, nc->ctrlr, arg);
	return rc;
}
