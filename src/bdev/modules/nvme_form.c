/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * "nvme:TRID" in text: a controller, of which the device is namespace 1. It is attached under a name of its own, and detached by itself
 * once its devices have been deleted.
 */
#include <stdio.h>
#include <string.h>

#include "bdev/modules/modules.h"
#include "bdev/modules/nvme.h"
#include <nvio/bdev_nvme.h>
#include <nvio/trid.h>

struct nvme_form {
	const char *trid;
};

static int set_trid(void *form, const char *what)
{
	struct nvio_trid trid;

	((struct nvme_form *)form)->trid = what;
	return nvio_trid_parse(what, &trid);
}

static bool has_first(struct nvio_env *env, const char *name)
{
	char first[NVIO_BDEV_NAME_MAX + 1];
	bool there;

	snprintf(first, sizeof(first), "%sn1", name);
	pthread_mutex_lock(&env->bdevs->lock);
	there = bdev_find(env->bdevs, first);
	pthread_mutex_unlock(&env->bdevs->lock);
	return there;
}

static int create(struct nvio_env *env, const void *form, const struct bdev_form_args *args)
{
	const struct nvme_form *f = form;
	struct nvio_bdev_nvme_opts o;
	struct nvio_op op = NVIO_OP(NULL);
	int rc;

	nvio_bdev_nvme_opts_init(&o);
	o.name = args->name;
	o.trid = f->trid;
	rc = nvio_await(nvio_bdev_nvme_attach(env, &o, &op), &op);
	if (rc)
		return rc;
	if (has_first(env, args->name)) {
		nvme_leave_when_unused(env, args->name, false);
		return 0;
	}
	nvme_leave_when_unused(env, args->name, true);
	return fail(-ENODEV, "%s has no namespace 1", f->trid);
}

/* `name` is that of the first device. */
static void undo(struct nvio_env *env, const void *form, const char *name)
{
	char base[NVIO_BDEV_NAME_MAX + 16];

	snprintf(base, sizeof(base), "%.*s", (int)strlen(name) - 2, name);
	nvme_leave_when_unused(env, base, true);
}

const struct bdev_form nvme_form = {
	.kind = "nvme",
	.what = "CONTROLLER",
	.first = "n1",
	.whole = true,
	.no_uuid = true,
	.size = sizeof(struct nvme_form),
	.set_what = set_trid,
	.create = create,
	.undo = undo,
};
