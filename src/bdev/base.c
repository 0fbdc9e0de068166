/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a device that builds on another one holds of it: the descriptor with its claim, the events it hears, and the close, which may have
 * to travel to the thread that opened it.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/opts.h"
#include "bdev/bdev.h"
#include <nvio/error.h>

struct nvio_bdev_base {
	struct nvio_env *env;	     /* immutable */
	struct nvio_bdev_desc *desc; /* immutable */
	char *name;		     /* immutable; of the device above */
	void *device;		     /* immutable; the same */
	void (*resized)(void *arg, uint64_t num_blocks); /* immutable */
	void (*removed)(void *arg);			  /* immutable */
	void *arg;					  /* immutable */
	struct nvio_op delete_op;			  /* the thread of events, as is all below */
	bool closed;					  /* nothing but the end of delete_op is waited for */
};

void nvio_bdev_base_opts_init(struct nvio_bdev_base_opts *opts)
{
	*opts = (struct nvio_bdev_base_opts){ .size = sizeof(*opts) };
}

static void base_free(struct nvio_bdev_base *base)
{
	alloc_free(base->name);
	alloc_free(base);
}

/* The device above is gone, which has closed this base on its way. */
static void deleted(struct nvio_op *op)
{
	struct nvio_bdev_base *base = container_of(op, struct nvio_bdev_base, delete_op);

	if (base->closed)
		base_free(base);
}

/* On the opening thread, or when that is gone on the one that removes or resizes. */
static void base_event(struct nvio_bdev_desc *desc, enum nvio_bdev_event event, void *arg)
{
	struct nvio_bdev_base *base = arg;

	if (event == NVIO_BDEV_RESIZED) {
		if (base->resized)
			base->resized(base->arg, nvio_bdev_num_blocks(desc->bdev));
		return;
	}
	if (base->removed) {
		base->removed(base->arg); /* may have closed the base */
		return;
	}
	base->delete_op = (struct nvio_op)NVIO_OP(deleted);
	/* -ENODEV: it is being deleted already. */
	if (bdev_delete_of(base->env, base->name, base->device, &base->delete_op))
		fail_clear();
}

static int open_and_claim(struct nvio_bdev_base *base, const struct nvio_bdev_base_opts *o)
{
	uint32_t flags = o->read_only ? NVIO_BDEV_READ : NVIO_BDEV_WRITE;
	int rc = nvio_bdev_open(base->env, o->base, flags, &base->desc);

	if (rc == -EROFS)
		rc = nvio_bdev_open(base->env, o->base, NVIO_BDEV_READ, &base->desc);
	if (rc)
		return rc;
	if (!base->desc->writable || o->shared)
		return 0;
	rc = nvio_bdev_claim(base->desc);
	if (rc)
		nvio_bdev_close(base->desc);
	return rc;
}

int nvio_bdev_base_open(struct nvio_env *env, const struct nvio_bdev_base_opts *opts, struct nvio_bdev_base **out)
{
	struct nvio_bdev_base_opts o;
	struct nvio_bdev_base *base;
	int rc;

	if (!env || !opts || !out)
		return fail(-EINVAL, "bdev: base: %s is NULL",
			!env	? "the environment"
			: !opts ? "the options"
				: "the result");
	nvio_bdev_base_opts_init(&o);
	rc = opts_copy("nvio_bdev_base_opts", &o, sizeof(o), opts, sizeof(o));
	if (!rc)
		rc = bdev_name_check("create", o.name);
	if (!rc)
		rc = bdev_name_check("base", o.base);
	if (rc)
		return rc;
	base = alloc_zeroed(sizeof(*base));
	if (!base)
		return fail(-ENOMEM, "bdev: base: %s: no memory", o.base);
	base->env = env;
	base->device = o.device;
	base->resized = o.resized;
	base->removed = o.removed;
	base->arg = o.arg;
	base->name = alloc_strdup(o.name);
	rc = base->name ? open_and_claim(base, &o) : fail(-ENOMEM, "bdev: base: %s: no memory", o.base);
	if (rc) {
		base_free(base);
		return rc;
	}
	nvio_bdev_set_event_fn(base->desc, base_event, base);
	pthread_mutex_lock(&env->bdevs->lock);
	base->desc->roams = true;
	pthread_mutex_unlock(&env->bdevs->lock);
	*out = base;
	return 0;
}

/* On the opening thread, or when that is gone. */
static void close_now(void *arg)
{
	struct nvio_bdev_base *base = arg;

	bdev_desc_close(base->desc);
	base->closed = true;
	if (!nvio_op_pending(&base->delete_op))
		base_free(base);
}

void nvio_bdev_base_close(struct nvio_bdev_base *base)
{
	struct nvio_thread *current = thread_current();

	if (!base)
		return;
	/* The caller goes on to free what the events are about. */
	bdev_desc_mute(base->desc);
	if (current == base->desc->thread && nvio_thread_id(current) == base->desc->thread_id)
		close_now(base);
	else if (thread_send_by_id(base->env, base->desc->thread_id, close_now, base))
		close_now(base);
}

struct nvio_bdev_desc *nvio_bdev_base_desc(struct nvio_bdev_base *base)
{
	return base->desc;
}

struct nvio_bdev *nvio_bdev_base_bdev(struct nvio_bdev_base *base)
{
	return base->desc->bdev;
}

void nvio_bdev_base_params(struct nvio_bdev_base *base, struct nvio_bdev_params *params)
{
	const struct nvio_bdev *bdev = base->desc->bdev;

	nvio_bdev_params_init(params);
	params->block_size = bdev->block_size;
	params->num_blocks = nvio_bdev_num_blocks(bdev);
	params->io_types = base->desc->io_types;
	params->read_only = !base->desc->writable;
	params->volatile_cache = bdev->volatile_cache;
	params->forwards = NVIO_BDEV_FORWARDS;
}
