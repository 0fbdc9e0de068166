/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The passthru device: another device under another name. It adds nothing, and is where to begin when one wants to write a module that
 * builds on others.
 */
#include "base/alloc.h"
#include "base/opts.h"
#include "bdev/bdev.h"
#include "bdev/modules/modules.h"

struct passthru_bdev {
	struct nvio_env *env;	     /* immutable, as is all of it */
	struct nvio_bdev_base *base;
	struct nvio_bdev_desc *below;
	char *name;
};

struct passthru_channel {
	struct nvio_channel *below;
};

static int passthru_submit(void *device, void *channel, struct nvio_bdev_io *io)
{
	const struct passthru_bdev *p = device;
	const struct passthru_channel *c = channel;

	return nvio_bdev_io_forward(io, p->below, c->below, io->offset);
}

static int passthru_channel_create(void *device, void *channel, struct nvio_thread *thread)
{
	const struct passthru_bdev *p = device;
	struct passthru_channel *c = channel;

	return nvio_bdev_channel(p->below, &c->below);
}

static void passthru_channel_destroy(void *device, void *channel)
{
	struct passthru_channel *c = channel;

	nvio_channel_put(c->below);
}

static void passthru_abort(void *device, void *channel)
{
	struct passthru_channel *c = channel;

	nvio_bdev_channel_abort(c->below);
}

/* As large as what is below, which may grow and shrink. */
static int passthru_resize(void *device, uint64_t num_blocks, bool busy)
{
	const struct passthru_bdev *p = device;

	if (num_blocks > nvio_bdev_num_blocks(nvio_bdev_base_bdev(p->base)))
		return fail(-ENOSPC, "bdev: passthru: resize: %s: the device below has fewer blocks; resize that one", p->name);
	return 0;
}

static void passthru_destroy(void *device)
{
	struct passthru_bdev *p = device;

	nvio_bdev_base_close(p->base);
	alloc_free(p->name);
	alloc_free(p);
}

const struct nvio_bdev_module passthru_module = {
	.name = "passthru",
	.submit = passthru_submit,
	.channel_create = passthru_channel_create,
	.channel_destroy = passthru_channel_destroy,
	.abort = passthru_abort,
	.resize = passthru_resize,
	.destroy = passthru_destroy,
};

static void base_resized(void *arg, uint64_t num_blocks)
{
	struct passthru_bdev *p = arg;

	/* It fails when this device is going away. */
	if (bdev_resize_of(p->env, p->name, p, num_blocks))
		fail_clear();
}

void nvio_bdev_passthru_opts_init(struct nvio_bdev_passthru_opts *opts)
{
	*opts = (struct nvio_bdev_passthru_opts){ .size = sizeof(*opts) };
}

static int open_base(struct passthru_bdev *p, const struct nvio_bdev_passthru_opts *o)
{
	struct nvio_bdev_base_opts base;
	int rc;

	nvio_bdev_base_opts_init(&base);
	base.base = o->base;
	base.name = o->name;
	base.device = p;
	base.resized = base_resized;
	base.arg = p;
	rc = nvio_bdev_base_open(p->env, &base, &p->base);
	if (!rc)
		p->below = nvio_bdev_base_desc(p->base);
	return rc;
}

static int publish(struct passthru_bdev *p, const struct nvio_bdev_passthru_opts *o)
{
	struct nvio_bdev_params params;

	nvio_bdev_base_params(p->base, &params);
	params.module = &passthru_module;
	params.name = o->name;
	params.device = p;
	params.channel_size = sizeof(struct passthru_channel);
	params.uuid = o->uuid;
	return nvio_bdev_register(p->env, &params);
}

int nvio_bdev_passthru_create(struct nvio_env *env, const struct nvio_bdev_passthru_opts *opts)
{
	struct nvio_bdev_passthru_opts o;
	struct passthru_bdev *p;
	int rc;

	if (!env || !opts)
		return fail(-EINVAL, "bdev: passthru: %s is NULL", env ? "the options" : "the environment");
	nvio_bdev_passthru_opts_init(&o);
	rc = opts_copy("nvio_bdev_passthru_opts", &o, sizeof(o), opts, sizeof(o));
	if (!rc)
		rc = bdev_name_check("create", o.name);
	if (rc)
		return rc;
	p = alloc_zeroed(sizeof(*p));
	if (!p)
		return fail(-ENOMEM, "bdev: passthru: no memory for the device");
	p->env = env;
	p->name = alloc_strdup(o.name);
	rc = p->name ? open_base(p, &o) : fail(-ENOMEM, "bdev: passthru: no memory for the device");
	if (rc)
		goto free_device;
	rc = publish(p, &o);
	if (rc)
		goto close_base;
	return 0;

close_base:
	nvio_bdev_base_close(p->base);
free_device:
	alloc_free(p->name);
	alloc_free(p);
	return rc;
}
