/* SPDX-License-Identifier: BSD-3-Clause */
/* The built-in devices as text has them: their options' names, and what they mean to each device's own creation. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "bdev/bdev.h"
#include "bdev/modules/modules.h"

/* ---- malloc and null ---- */

struct memory_form {
	uint64_t bytes;
	uint32_t block_size;
	bool untouched;
};

static const struct bdev_form_key malloc_keys[] = {
	{ "bs", BDEV_FORM_SIZE32, offsetof(struct memory_form, block_size) },
	{ NULL },
};

static const struct bdev_form_key null_keys[] = {
	{ "bs", BDEV_FORM_SIZE32, offsetof(struct memory_form, block_size) },
	{ "untouched", BDEV_FORM_BOOL, offsetof(struct memory_form, untouched) },
	{ NULL },
};

static void memory_init(void *form)
{
	((struct memory_form *)form)->block_size = BDEV_MIN_BLOCK;
}

static int memory_size(void *form, const char *what)
{
	return parse_size("the size", what, &((struct memory_form *)form)->bytes);
}

static int memory_check(void *form)
{
	const struct memory_form *m = form;

	if (!IS_POWER_OF_2(m->block_size) || m->block_size < BDEV_MIN_BLOCK || m->block_size > BDEV_MAX_BLOCK)
		return fail(-EINVAL, "bs: %" PRIu32 " is not a power of two from %u to %u", m->block_size, BDEV_MIN_BLOCK, BDEV_MAX_BLOCK);
	if (!m->bytes || m->bytes % m->block_size || m->bytes > INT64_MAX)
		return fail(-EINVAL, "the size: %" PRIu64 " is not a multiple of the block size, %" PRIu32 ", from that to 2^63 - 1", m->bytes,
			m->block_size);
	return 0;
}

static int malloc_create(struct nvio_env *env, const void *form, const struct bdev_form_args *args)
{
	const struct memory_form *m = form;
	struct nvio_bdev_malloc_opts o;

	nvio_bdev_malloc_opts_init(&o);
	o.name = args->name;
	o.uuid = args->uuid;
	o.block_size = m->block_size;
	o.num_blocks = m->bytes / m->block_size;
	return nvio_bdev_malloc_create(env, &o);
}

static int null_create(struct nvio_env *env, const void *form, const struct bdev_form_args *args)
{
	const struct memory_form *m = form;
	struct nvio_bdev_null_opts o;

	nvio_bdev_null_opts_init(&o);
	o.name = args->name;
	o.uuid = args->uuid;
	o.block_size = m->block_size;
	o.num_blocks = m->bytes / m->block_size;
	o.untouched_reads = m->untouched;
	return nvio_bdev_null_create(env, &o);
}

const struct bdev_form malloc_form = {
	.kind = "malloc",
	.what = "SIZE",
	.size = sizeof(struct memory_form),
	.keys = malloc_keys,
	.init = memory_init,
	.set_what = memory_size,
	.check = memory_check,
	.create = malloc_create,
};

const struct bdev_form null_form = {
	.kind = "null",
	.what = "SIZE",
	.size = sizeof(struct memory_form),
	.keys = null_keys,
	.init = memory_init,
	.set_what = memory_size,
	.check = memory_check,
	.create = null_create,
};

/* ---- file ---- */

struct file_form {
	const char *path;
	uint64_t bytes;
	uint32_t block_size;
	uint32_t engine;
	uint32_t threads;
	bool read_only;
	bool no_direct;
};

static const char *const engines[] = {
	[NVIO_BDEV_FILE_AUTO] = "auto",
	[NVIO_BDEV_FILE_IO_URING] = "io_uring",
	[NVIO_BDEV_FILE_THREADS] = "threads",
	NULL,
};

static const struct bdev_form_key file_keys[] = {
	{ "size", BDEV_FORM_SIZE, offsetof(struct file_form, bytes) },
	{ "bs", BDEV_FORM_SIZE32, offsetof(struct file_form, block_size) },
	{ "ro", BDEV_FORM_BOOL, offsetof(struct file_form, read_only) },
	{ "direct", BDEV_FORM_NOT, offsetof(struct file_form, no_direct) },
	{ "engine", BDEV_FORM_WORD, offsetof(struct file_form, engine), engines },
	{ "threads", BDEV_FORM_U32, offsetof(struct file_form, threads) },
	{ NULL },
};

static void file_init(void *form)
{
	((struct file_form *)form)->block_size = BDEV_MIN_BLOCK;
}

static int file_path(void *form, const char *what)
{
	((struct file_form *)form)->path = what;
	return 0;
}

static int file_check(void *form)
{
	const struct file_form *f = form;

	if (!f->block_size || f->bytes % f->block_size)
		return fail(-EINVAL, "size: %" PRIu64 " is not a multiple of the block size, %" PRIu32, f->bytes, f->block_size);
	return 0;
}

/* Whoever says a size wants an image of it, be it there or not. */
static int file_create(struct nvio_env *env, const void *form, const struct bdev_form_args *args)
{
	const struct file_form *f = form;
	struct nvio_bdev_file_opts o;

	nvio_bdev_file_opts_init(&o);
	o.name = args->name;
	o.uuid = args->uuid;
	o.path = f->path;
	o.block_size = f->block_size;
	o.num_blocks = f->bytes / f->block_size;
	o.create = f->bytes && !f->read_only;
	o.read_only = f->read_only;
	o.no_direct = f->no_direct;
	o.engine = (enum nvio_bdev_file_engine)f->engine;
	o.threads = f->threads;
	return nvio_bdev_file_create(env, &o);
}

const struct bdev_form file_form = {
	.kind = "file",
	.what = "PATH",
	.size = sizeof(struct file_form),
	.keys = file_keys,
	.init = file_init,
	.set_what = file_path,
	.check = file_check,
	.create = file_create,
};

/* ---- a device that is there ---- */

static int bdev_name(void *form, const char *what)
{
	return bdev_name_check("the name", what);
}

static int bdev_there(struct nvio_env *env, const void *form, const struct bdev_form_args *args)
{
	bool there;

	pthread_mutex_lock(&env->bdevs->lock);
	there = bdev_find(env->bdevs, args->name);
	pthread_mutex_unlock(&env->bdevs->lock);
	return there ? 0 : fail(-ENODEV, "no device is named %s", args->name);
}

const struct bdev_form bdev_form = {
	.kind = "bdev",
	.what = "NAME",
	.exists = true,
	.set_what = bdev_name,
	.create = bdev_there,
};

/* ---- passthru, delay, split ---- */

static int passthru_create(struct nvio_env *env, const void *form, const struct bdev_form_args *args)
{
	struct nvio_bdev_passthru_opts o;

	nvio_bdev_passthru_opts_init(&o);
	o.name = args->name;
	o.base = args->base;
	o.uuid = args->uuid;
	return nvio_bdev_passthru_create(env, &o);
}

const struct bdev_form passthru_form = { .kind = "passthru", .create = passthru_create };

static const struct bdev_form_key delay_keys[] = {
	{ "avg_read", BDEV_FORM_U64, offsetof(struct nvio_bdev_delay_opts, avg_read_us) },
	{ "p99_read", BDEV_FORM_U64, offsetof(struct nvio_bdev_delay_opts, p99_read_us) },
	{ "avg_write", BDEV_FORM_U64, offsetof(struct nvio_bdev_delay_opts, avg_write_us) },
	{ "p99_write", BDEV_FORM_U64, offsetof(struct nvio_bdev_delay_opts, p99_write_us) },
	{ NULL },
};

static void delay_init(void *form)
{
	nvio_bdev_delay_opts_init(form);
}

/* Of whom no p99 is said, it is the average. */
static int delay_check(void *form)
{
	struct nvio_bdev_delay_opts *o = form;

	if (!o->p99_read_us)
		o->p99_read_us = o->avg_read_us;
	if (!o->p99_write_us)
		o->p99_write_us = o->avg_write_us;
	if (o->p99_read_us < o->avg_read_us || o->p99_write_us < o->avg_write_us)
		return fail(-EINVAL, "delay: p99 must not be below the average");
	return 0;
}

static int delay_create(struct nvio_env *env, const void *form, const struct bdev_form_args *args)
{
	struct nvio_bdev_delay_opts o = *(const struct nvio_bdev_delay_opts *)form;

	o.name = args->name;
	o.base = args->base;
	o.uuid = args->uuid;
	return nvio_bdev_delay_create(env, &o);
}

const struct bdev_form delay_form = {
	.kind = "delay",
	.size = sizeof(struct nvio_bdev_delay_opts),
	.keys = delay_keys,
	.init = delay_init,
	.check = delay_check,
	.create = delay_create,
};

static const struct bdev_form_key split_keys[] = {
	{ "count", BDEV_FORM_U32, offsetof(struct nvio_bdev_split_opts, split_count) },
	{ "size_mb", BDEV_FORM_U64, offsetof(struct nvio_bdev_split_opts, split_size_mb) },
	{ NULL },
};

static void split_init(void *form)
{
	nvio_bdev_split_opts_init(form);
}

static int split_check(void *form)
{
	const struct nvio_bdev_split_opts *o = form;

	if (!o->split_count || o->split_count > NVIO_BDEV_SPLIT_MAX)
		return fail(-EINVAL, "split: how many parts? count=1 to count=%d", NVIO_BDEV_SPLIT_MAX);
	return 0;
}

static int split_create(struct nvio_env *env, const void *form, const struct bdev_form_args *args)
{
	struct nvio_bdev_split_opts o = *(const struct nvio_bdev_split_opts *)form;

	o.name = args->name;
	o.base = args->base;
	return nvio_bdev_split_create(env, &o);
}

/* `name` is that of the first part. */
static void split_undo(struct nvio_env *env, const void *form, const char *name)
{
	const struct nvio_bdev_split_opts *o = form;
	char part[NVIO_BDEV_NAME_MAX + 16];

	for (uint32_t i = 0; i < o->split_count; i++) {
		snprintf(part, sizeof(part), "%.*s%" PRIu32, (int)strlen(name) - 1, name, i);
		bdev_withdraw(env, part, NULL);
	}
}

const struct bdev_form split_form = {
	.kind = "split",
	.first = "p0",
	.no_uuid = true,
	.size = sizeof(struct nvio_bdev_split_opts),
	.keys = split_keys,
	.init = split_init,
	.check = split_check,
	.create = split_create,
	.undo = split_undo,
};
