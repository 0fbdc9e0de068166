/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The environment's devices and modules by name; what this room keeps in the environment.
 */
#include <ctype.h>
#include <string.h>

#include "base/alloc.h"
#include "bdev/bdev.h"
#include "bdev/uuid.h"

static void event_lock_init(pthread_mutex_t *lock)
{
	pthread_mutexattr_t attr;

	/* What an event sets off may end in closing the descriptor that it came for. */
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(lock, &attr);
	pthread_mutexattr_destroy(&attr);
}

int bdev_env_init(struct nvio_env *env)
{
	struct bdev_registry *reg = alloc_zeroed(sizeof(*reg));

	if (!reg || bdev_names_init(&reg->names)) {
		alloc_free(reg);
		return fail(-ENOMEM, "bdev: init: no memory for the registry");
	}
	pthread_mutex_init(&reg->lock, NULL);
	event_lock_init(&reg->event_lock);
	list_init(&reg->devices);
	list_init(&reg->leaving);
	list_init(&reg->cursors);
	reg->opened_ns = clock_monotonic_ns();
	reg->opened_ticks = cycles();
	for (unsigned i = 0; bdev_builtin_modules[i]; i++)
		reg->modules[reg->module_count++] = bdev_builtin_modules[i];
	env->bdevs = reg;
	return 0;
}

/* The threads are gone, and with them all channels and I/O. What is still open is closed with its device. */
static void device_fini(struct nvio_bdev *bdev)
{
	struct nvio_op *op = bdev->delete_op;
	struct list *l;

	while ((l = list_pop_front(&bdev->descs))) {
		bdev_report_leak(bdev, list_entry(l, struct nvio_bdev_desc, link));
		alloc_free(list_entry(l, struct nvio_bdev_desc, link));
	}
	if (atomic_load(&bdev->removed))
		list_remove(&bdev->link);
	else
		bdev_unlist(bdev->env->bdevs, bdev);
	/* -ENOENT when the deletion had come that far. */
	if (nvio_io_device_unregister(bdev->env, bdev, NULL))
		fail_clear();
	bdev_free(bdev);
	/* A deletion that waited for those descriptors. */
	if (op)
		op_end(op, -ECANCELED);
}

/* The one that no other stands on. */
static struct nvio_bdev *newest(struct bdev_registry *reg)
{
	struct nvio_bdev *found = NULL;

	if (!list_empty(&reg->devices))
		found = list_entry(reg->devices.prev, struct nvio_bdev, link);
	list_for_each (l, &reg->leaving) {
		struct nvio_bdev *bdev = list_entry(l, struct nvio_bdev, link);

		if (!found || bdev->serial > found->serial)
			found = bdev;
	}
	return found;
}

void bdev_env_fini(struct nvio_env *env)
{
	struct bdev_registry *reg = env->bdevs;
	struct nvio_bdev *bdev;

	if (!reg)
		return;
	while ((bdev = newest(reg)))
		device_fini(bdev);
	bdev_names_fini(&reg->names);
	pthread_mutex_destroy(&reg->lock);
	pthread_mutex_destroy(&reg->event_lock);
	alloc_free(reg);
	env->bdevs = NULL;
}

int bdev_name_check(const char *what, const char *name)
{
	size_t len;

	if (!name || !*name)
		return fail(-EINVAL, "bdev: %s: the name is %s", what, name ? "empty" : "NULL");
	len = strnlen(name, NVIO_BDEV_NAME_MAX + 1);
	if (len > NVIO_BDEV_NAME_MAX)
		return fail(-EINVAL, "bdev: %s: the name %.32s... is longer than %d bytes", what, name,
			NVIO_BDEV_NAME_MAX);
	for (size_t i = 0; i < len; i++)
		if (iscntrl((unsigned char)name[i]))
			return fail(-EINVAL, "bdev: %s: the name %s has a control character at byte %zu",
				what, name, i);
	return 0;
}

struct nvio_bdev *bdev_find(struct bdev_registry *reg, const char *name)
{
	struct nvio_bdev *bdev = bdev_names_find(&reg->names, name, false);
	uint8_t uuid[16];

	if (bdev || !uuid_parse(name, uuid))
		return bdev;
	return bdev_names_find(&reg->names, uuid, true);
}

/* Where an nvio_bdev_for_each() is: what it will look at next. On its stack. */
struct cursor {
	struct list link; /* in bdev_registry.cursors */
	struct list *next;
};

void bdev_unlist(struct bdev_registry *reg, struct nvio_bdev *bdev)
{
	struct bdev_alias *alias;

	bdev_names_remove(&reg->names, &bdev->by_name);
	bdev_names_remove(&reg->names, &bdev->by_uuid);
	for (unsigned i = 0; i < BDEV_MAX_ALIASES; i++) {
		alias = atomic_load(&bdev->aliases[i]);
		if (alias)
			bdev_names_remove(&reg->names, &alias->name);
	}
	list_for_each (l, &reg->cursors) {
		struct cursor *c = list_entry(l, struct cursor, link);

		if (c->next == &bdev->link)
			c->next = bdev->link.next;
	}
	list_remove(&bdev->link);
}

const char *nvio_bdev_alias(const struct nvio_bdev *bdev, unsigned index)
{
	struct bdev_alias *alias;

	if (index >= BDEV_MAX_ALIASES)
		return NULL;
	/* Acquire: the text that the pointer leads to was written before it. */
	alias = atomic_load_explicit(&bdev->aliases[index], memory_order_acquire);
	return alias ? alias->text : NULL;
}

/* With the registry lock held. */
static int alias_add(struct bdev_registry *reg, const char *name, struct bdev_alias *alias)
{
	struct nvio_bdev *bdev = bdev_find(reg, name);

	if (!bdev)
		return fail(-ENODEV, "bdev: alias: no device is named %s", name);
	if (bdev_find(reg, alias->text))
		return fail(-EEXIST, "bdev: alias: the name %s is in use", alias->text);
	for (unsigned i = 0; i < BDEV_MAX_ALIASES; i++) {
		if (nvio_bdev_alias(bdev, i))
			continue;
		bdev_names_add(&reg->names, &alias->name, bdev, alias->text, false);
		atomic_store_explicit(&bdev->aliases[i], alias, memory_order_release);
		return 0;
	}
	return fail(-ENOMEM, "bdev: alias: %s has %d already, which is the limit", name, BDEV_MAX_ALIASES);
}

int nvio_bdev_add_alias(struct nvio_env *env, const char *name, const char *alias)
{
	struct bdev_registry *reg;
	struct bdev_alias *copy;
	int rc;

	if (!env || !name)
		return fail(
			-EINVAL, "bdev: alias: %s is NULL", env ? "the device's name" : "the environment");
	rc = bdev_name_check("alias", alias);
	if (rc)
		return rc;
	copy = alloc_zeroed(sizeof(*copy) + strlen(alias) + 1);
	if (!copy)
		return fail(-ENOMEM, "bdev: alias: no memory for %s", alias);
	strcpy(copy->text, alias);
	reg = env->bdevs;
	pthread_mutex_lock(&reg->lock);
	rc = alias_add(reg, name, copy);
	pthread_mutex_unlock(&reg->lock);
	if (rc)
		alloc_free(copy);
	return rc;
}

/* The next device, pinned, or NULL. */
static struct nvio_bdev *cursor_step(struct bdev_registry *reg, struct cursor *c)
{
	struct nvio_bdev *bdev = NULL;

	pthread_mutex_lock(&reg->lock);
	if (c->next != &reg->devices) {
		bdev = list_entry(c->next, struct nvio_bdev, link);
		bdev->pins++;
		c->next = c->next->next;
	}
	pthread_mutex_unlock(&reg->lock);
	return bdev;
}

int nvio_bdev_for_each(struct nvio_env *env, int (*fn)(struct nvio_bdev *bdev, void *arg), void *arg)
{
	struct bdev_registry *reg;
	struct nvio_bdev *bdev;
	struct cursor c;
	int rc = 0;

	if (!env || !fn)
		return fail(-EINVAL, "bdev: for each: %s is NULL", env ? "the function" : "the environment");
	reg = env->bdevs;
	pthread_mutex_lock(&reg->lock);
	c.next = reg->devices.next;
	list_push_back(&reg->cursors, &c.link);
	pthread_mutex_unlock(&reg->lock);
	while (!rc && (bdev = cursor_step(reg, &c))) {
		rc = fn(bdev, arg);
		bdev_unpin(bdev);
	}
	pthread_mutex_lock(&reg->lock);
	list_remove(&c.link);
	pthread_mutex_unlock(&reg->lock);
	return rc;
}

/* With the registry lock held: where the module, or one of that name, stands in the table; module_count:
 * nowhere. */
static unsigned module_index(const struct bdev_registry *reg, const struct nvio_bdev_module *module)
{
	unsigned i = 0;

	while (i < reg->module_count && reg->modules[i] != module &&
		strcmp(reg->modules[i]->name, module->name))
		i++;
	return i;
}

int nvio_bdev_module_register(struct nvio_env *env, const struct nvio_bdev_module *module)
{
	struct bdev_registry *reg;
	int rc = 0;

	if (!env || !module || !module->submit || !module->destroy)
		return fail(-EINVAL, "bdev: register module: %s is NULL",
			!env		 ? "the environment"
			: !module	 ? "the table"
			: module->submit ? "destroy"
					 : "submit");
	rc = bdev_name_check("register module", module->name);
	if (rc)
		return rc;
	reg = env->bdevs;
	pthread_mutex_lock(&reg->lock);
	if (module_index(reg, module) < reg->module_count)
		rc = fail(-EEXIST, "bdev: register module: %s is registered already", module->name);
	else if (reg->module_count == BDEV_MAX_MODULES)
		rc = fail(-ENOMEM, "bdev: register module: there are %d already, which is the limit",
			BDEV_MAX_MODULES);
	else
		reg->modules[reg->module_count++] = module;
	pthread_mutex_unlock(&reg->lock);
	return rc;
}

/* With the registry lock held: a device that the module made, or NULL. */
static const struct nvio_bdev *module_user(struct list *devices, const struct nvio_bdev_module *module)
{
	list_for_each (l, devices) {
		struct nvio_bdev *bdev = list_entry(l, struct nvio_bdev, link);

		if (bdev->module == module)
			return bdev;
	}
	return NULL;
}

int nvio_bdev_module_unregister(struct nvio_env *env, const struct nvio_bdev_module *module)
{
	const struct nvio_bdev *user;
	struct bdev_registry *reg;
	unsigned index;
	int rc = 0;

	if (!env || !module || !module->name)
		return fail(-EINVAL, "bdev: unregister module: %s is NULL",
			env ? "the table" : "the environment");
	reg = env->bdevs;
	pthread_mutex_lock(&reg->lock);
	index = module_index(reg, module);
	user = module_user(&reg->devices, module);
	if (!user)
		user = module_user(&reg->leaving, module);
	if (index == reg->module_count || reg->modules[index] != module)
		rc = fail(-ENOENT, "bdev: unregister module: %s is not registered", module->name);
	else if (user)
		rc = fail(-EBUSY, "bdev: unregister module: %s: device %s is made of it; delete it first",
			module->name, user->name);
	else
		reg->modules[index] = reg->modules[--reg->module_count];
	pthread_mutex_unlock(&reg->lock);
	return rc;
}
