/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The split device: parts of one device below, each a device of its own. They share the descriptor of the base, and so its claim; whoever of
 * them goes last closes it.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/opts.h"
#include "bdev/bdev.h"
#include "bdev/modules/modules.h"

/* Commands name the base's own blocks, and a reset is of all of it: not for one part among others. */
#define OTHER_TYPES \
	(NVIO_BDEV_CAN(NVIO_BDEV_IO_NVME) | NVIO_BDEV_CAN(NVIO_BDEV_IO_NVME_ADMIN) | NVIO_BDEV_CAN(NVIO_BDEV_IO_RESET))

struct split_group;

/* Immutable, but where said otherwise. Lives as long as its group, so that its op can. */
struct split_part {
	struct split_group *group;
	struct nvio_bdev_desc *below;
	uint64_t offset; /* bytes */
	uint64_t num_blocks;
	char *name;		   /* NULL: never made */
	struct nvio_op delete_op; /* the thread of the base's events */
};

struct split_group {
	struct nvio_env *env;
	struct nvio_bdev_base *base;
	uint32_t block_size;
	uint32_t count;
	_Atomic uint32_t refs; /* a part that exists, a deletion that is under way, and the creation */
	struct split_part parts[];
};

struct split_channel {
	struct nvio_channel *below;
};

static void group_free(struct split_group *g)
{
	for (uint32_t i = 0; i < g->count; i++)
		alloc_free(g->parts[i].name);
	alloc_free(g);
}

static void group_put(struct split_group *g)
{
	if (atomic_fetch_sub(&g->refs, 1) > 1)
		return;
	nvio_bdev_base_close(g->base);
	group_free(g);
}

static int split_submit(void *device, void *channel, struct nvio_bdev_io *io)
{
	const struct split_part *p = device;
	const struct split_channel *c = channel;

	return nvio_bdev_io_forward(io, p->below, c->below, io->offset + p->offset);
}

static int split_channel_create(void *device, void *channel, struct nvio_thread *thread)
{
	const struct split_part *p = device;
	struct split_channel *c = channel;

	return nvio_bdev_channel(p->below, &c->below);
}

static void split_channel_destroy(void *device, void *channel)
{
	struct split_channel *c = channel;

	nvio_channel_put(c->below);
}

/* The other parts' I/O is hurried, too: without, what the base holds back for ever would hold the channel back as long. */
static void split_abort(void *device, void *channel)
{
	struct split_channel *c = channel;

	nvio_bdev_channel_abort(c->below);
}

/* How much of the part there is while the base has so many blocks. */
static uint64_t blocks_left(const struct split_part *p, uint64_t base_blocks)
{
	uint64_t first = p->offset / p->group->block_size;

	return base_blocks <= first ? 0 : MIN(base_blocks - first, p->num_blocks);
}

static int split_resize(void *device, uint64_t num_blocks, bool busy)
{
	const struct split_part *p = device;

	if (num_blocks > blocks_left(p, nvio_bdev_num_blocks(nvio_bdev_base_bdev(p->group->base))))
		return fail(-ENOSPC, "bdev: split: resize: %s: the part has %" PRIu64 " blocks at most", p->name, p->num_blocks);
	return 0;
}

static void split_destroy(void *device)
{
	struct split_part *p = device;

	group_put(p->group);
}

const struct nvio_bdev_module split_module = {
	.name = "split",
	.submit = split_submit,
	.channel_create = split_channel_create,
	.channel_destroy = split_channel_destroy,
	.abort = split_abort,
	.resize = split_resize,
	.destroy = split_destroy,
};

static void part_deleted(struct nvio_op *op)
{
	group_put(container_of(op, struct split_part, delete_op)->group);
}

/* On the thread of the base's events. */
static void part_delete(struct split_part *p)
{
	if (nvio_op_pending(&p->delete_op))
		return;
	atomic_fetch_add(&p->group->refs, 1);
	p->delete_op = (struct nvio_op)NVIO_OP(part_deleted);
	if (!bdev_delete_of(p->group->env, p->name, p, &p->delete_op))
		return;
	/* It has been, or is being, deleted by somebody else. */
	fail_clear();
	group_put(p->group);
}

static void base_removed(void *arg)
{
	struct split_group *g = arg;

	atomic_fetch_add(&g->refs, 1);
	for (uint32_t i = 0; i < g->count; i++)
		part_delete(&g->parts[i]);
	group_put(g);
}

static void base_resized(void *arg, uint64_t num_blocks)
{
	struct split_group *g = arg;

	atomic_fetch_add(&g->refs, 1);
	for (uint32_t i = 0; i < g->count; i++) {
		struct split_part *p = &g->parts[i];
		uint64_t left = blocks_left(p, num_blocks);

		if (!left)
			part_delete(p);
		else if (bdev_resize_of(g->env, p->name, p, left))
			fail_clear(); /* it is going away */
	}
	group_put(g);
}

void nvio_bdev_split_opts_init(struct nvio_bdev_split_opts *opts)
{
	*opts = (struct nvio_bdev_split_opts){ .size = sizeof(*opts) };
}

/* How many blocks each part has; 0, and in words why there can be none. */
static int part_blocks(const struct nvio_bdev *bdev, const struct nvio_bdev_split_opts *o, uint64_t *blocks)
{
	uint64_t have = nvio_bdev_num_blocks(bdev), bytes;

	*blocks = have / o->split_count;
	if (!o->split_size_mb && *blocks)
		return 0;
	if (__builtin_mul_overflow(o->split_size_mb, UINT64_C(1) << 20, &bytes))
		bytes = UINT64_MAX;
	if (*blocks && bytes / nvio_bdev_block_size(bdev) <= *blocks) {
		*blocks = bytes / nvio_bdev_block_size(bdev);
		return 0;
	}
	return fail(-ENOSPC, "bdev: split: %s has %" PRIu64 " blocks of %" PRIu32 " bytes, too few for %" PRIu32 " parts of %" PRIu64 " MiB",
		nvio_bdev_name(bdev), have, nvio_bdev_block_size(bdev), o->split_count, o->split_size_mb);
}

static int part_name(struct split_part *p, const char *prefix, uint32_t number)
{
	char name[NVIO_BDEV_NAME_MAX + 16];
	int rc;

	snprintf(name, sizeof(name), "%sp%" PRIu32, prefix, number);
	rc = bdev_name_check("create", name);
	if (rc)
		return rc;
	p->name = alloc_strdup(name);
	return p->name ? 0 : fail(-ENOMEM, "bdev: split: no memory for the name %s", name);
}

static int open_base(struct split_group *g, const struct nvio_bdev_split_opts *o)
{
	struct nvio_bdev_base_opts base;

	nvio_bdev_base_opts_init(&base);
	base.base = o->base;
	base.name = o->name ? o->name : o->base;
	base.resized = base_resized;
	base.removed = base_removed;
	base.arg = g;
	return nvio_bdev_base_open(g->env, &base, &g->base);
}

static int publish(struct split_part *p)
{
	struct nvio_bdev_params params;
	int rc;

	nvio_bdev_base_params(p->group->base, &params);
	params.module = &split_module;
	params.name = p->name;
	params.device = p;
	params.channel_size = sizeof(struct split_channel);
	params.num_blocks = p->num_blocks;
	params.io_types &= ~OTHER_TYPES;
	atomic_fetch_add(&p->group->refs, 1);
	rc = nvio_bdev_register(p->group->env, &params);
	if (rc)
		atomic_fetch_sub(&p->group->refs, 1);
	return rc;
}

static int publish_all(struct split_group *g)
{
	for (uint32_t i = 0; i < g->count; i++) {
		int rc = publish(&g->parts[i]);

		if (!rc)
			continue;
		/* One that somebody has opened already goes when it is closed. */
		while (i-- > 0)
			if (bdev_withdraw(g->env, g->parts[i].name, &g->parts[i]))
				part_delete(&g->parts[i]);
		return rc;
	}
	return 0;
}

static int lay_out(struct split_group *g, const struct nvio_bdev_split_opts *o)
{
	const struct nvio_bdev *bdev = nvio_bdev_base_bdev(g->base);
	uint64_t blocks;
	int rc = part_blocks(bdev, o, &blocks);

	g->block_size = nvio_bdev_block_size(bdev);
	for (uint32_t i = 0; !rc && i < g->count; i++) {
		rc = part_name(&g->parts[i], o->name ? o->name : nvio_bdev_name(bdev), i);
		g->parts[i].group = g;
		g->parts[i].below = nvio_bdev_base_desc(g->base);
		g->parts[i].offset = i * blocks * g->block_size;
		g->parts[i].num_blocks = blocks;
	}
	return rc;
}

int nvio_bdev_split_create(struct nvio_env *env, const struct nvio_bdev_split_opts *opts)
{
	struct nvio_bdev_split_opts o;
	struct split_group *g;
	int rc;

	if (!env || !opts)
		return fail(-EINVAL, "bdev: split: %s is NULL", env ? "the options" : "the environment");
	nvio_bdev_split_opts_init(&o);
	rc = opts_copy("nvio_bdev_split_opts", &o, sizeof(o), opts, sizeof(o));
	if (!rc)
		rc = bdev_name_check("base", o.base);
	if (!rc && o.name)
		rc = bdev_name_check("create", o.name);
	if (rc)
		return rc;
	if (!o.split_count || o.split_count > NVIO_BDEV_SPLIT_MAX)
		return fail(-EINVAL, "bdev: split: split_count %" PRIu32 " is not 1 to %d", o.split_count, NVIO_BDEV_SPLIT_MAX);
	g = alloc_zeroed(sizeof(*g) + o.split_count * sizeof(g->parts[0]));
	if (!g)
		return fail(-ENOMEM, "bdev: split: no memory for %" PRIu32 " parts", o.split_count);
	g->env = env;
	g->count = o.split_count;
	atomic_store(&g->refs, 1);
	rc = open_base(g, &o);
	if (!rc)
		rc = lay_out(g, &o);
	if (!rc)
		rc = publish_all(g);
	group_put(g);
	return rc;
}
