/* SPDX-License-Identifier: BSD-3-Clause */
/* From the name of a device to what its module has of it: how settings are changed while I/O runs. */
#include "bdev/bdev.h"

/* With the registry lock held. */
static int find_of_module(
	struct bdev_registry *reg, const char *name, const struct nvio_bdev_module *module, struct nvio_bdev **out)
{
	struct nvio_bdev *bdev = bdev_find(reg, name);

	if (!bdev)
		return fail(-ENODEV, "bdev: %s: no device is named %s", module->name, name);
	if (bdev->module != module)
		return fail(-EINVAL, "bdev: %s: %s is of module %s", module->name, name, bdev->module->name);
	*out = bdev;
	return 0;
}

int bdev_tell(struct nvio_env *env, const char *name, const struct nvio_bdev_module *module,
	int (*set)(void *device, void *arg), void *arg, int (*heed)(struct nvio_channel *ch, void *arg), struct nvio_op *op)
{
	struct bdev_registry *reg = env->bdevs;
	struct nvio_bdev *bdev = NULL;
	int rc;

	if (heed && !thread_current())
		return fail(-EINVAL, "bdev: %s: %s: no nvio_thread is current here; attach to one", module->name, name);
	/* The lock keeps the device where it is. */
	pthread_mutex_lock(&reg->lock);
	rc = find_of_module(reg, name, module, &bdev);
	if (!rc)
		rc = set(bdev->device, arg);
	if (!rc && heed)
		rc = nvio_channel_for_each(env, bdev, heed, NULL, op);
	pthread_mutex_unlock(&reg->lock);
	return rc;
}
