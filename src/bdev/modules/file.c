/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The file device: a regular file or a block device, driven by io_uring or, where that is forbidden or not
 * built in, by a pool of threads.
 *
 * A shrinking device leaves the file as long as it is: what was cut off can be had again, and nobody loses
 * data by a resize.
 */
#include <errno.h>

#include "base/alloc.h"
#include "base/opts.h"
#include "bdev/modules/file.h"
#include "bdev/modules/modules.h"
#include <nvio/error.h>

#define THREADS_DEFAULT 4u
#define THREADS_MAX	256u

static int file_submit(void *device, void *channel, struct nvio_bdev_io *io)
{
	struct file_bdev *f = device;

	file_progress_init(file_progress(io));
	return f->engine->submit(f, channel, io);
}

static int file_channel_create(void *device, void *channel, struct nvio_thread *thread)
{
	struct file_bdev *f = device;

	return f->engine->channel_create(f, channel, thread);
}

static void file_channel_destroy(void *device, void *channel)
{
	struct file_bdev *f = device;

	f->engine->channel_destroy(f, channel);
}

static int file_resize(void *device, uint64_t num_blocks, bool busy)
{
	return file_grow(device, num_blocks);
}

static void file_destroy(void *device)
{
	struct file_bdev *f = device;

	f->engine->fini(f);
	file_close(f);
	alloc_free(f);
}

const struct nvio_bdev_module file_module = {
	.name = "file",
	.submit = file_submit,
	.channel_create = file_channel_create,
	.channel_destroy = file_channel_destroy,
	.resize = file_resize,
	.destroy = file_destroy,
};

void nvio_bdev_file_opts_init(struct nvio_bdev_file_opts *opts)
{
	*opts = (struct nvio_bdev_file_opts){ .size = sizeof(*opts), .block_size = BDEV_MIN_BLOCK };
}

static bool means_not_here(int rc)
{
	return rc == -ENOSYS || rc == -EPERM || rc == -EACCES || rc == -ENOMEM || rc == -EOPNOTSUPP;
}

static int start_engine(struct file_bdev *f, enum nvio_bdev_file_engine wanted)
{
	int rc;

	if (wanted != NVIO_BDEV_FILE_THREADS) {
		f->engine = &file_engine_uring;
		rc = f->engine->init(f);
		if (!rc || wanted == NVIO_BDEV_FILE_IO_URING || !means_not_here(rc))
			return rc;
		log_msg(&f->env->log, NVIO_LOG_INFO, "%s; falling back to a pool of threads", nvio_errmsg());
		fail_clear();
	}
	f->engine = &file_engine_threads;
	return f->engine->init(f);
}

static int opts_check(struct nvio_bdev_file_opts *o)
{
	if (!o->block_size)
		o->block_size = BDEV_MIN_BLOCK;
	if (!IS_POWER_OF_2(o->block_size) || o->block_size < BDEV_MIN_BLOCK || o->block_size > BDEV_MAX_BLOCK)
		return fail(-EINVAL, "bdev: file: block size %u is not a power of two from %u to %u",
			o->block_size, BDEV_MIN_BLOCK, BDEV_MAX_BLOCK);
	if ((unsigned)o->engine > NVIO_BDEV_FILE_THREADS)
		return fail(-EINVAL, "bdev: file: engine %u does not exist", (unsigned)o->engine);
	if (o->threads > THREADS_MAX)
		return fail(-EINVAL, "bdev: file: %u threads are more than %u", o->threads, THREADS_MAX);
	if (!o->threads)
		o->threads = THREADS_DEFAULT;
	return 0;
}

static int file_register(struct file_bdev *f, const struct nvio_bdev_file_opts *o)
{
	struct nvio_bdev_params params;

	nvio_bdev_params_init(&params);
	params.module = &file_module;
	params.name = o->name;
	params.device = f;
	params.channel_size = f->engine->channel_size;
	params.block_size = f->block_size;
	params.num_blocks = f->num_blocks;
	params.uuid = o->uuid ? o->uuid : f->uuid;
	params.read_only = f->read_only;
	params.volatile_cache = true;
	params.io_types |= NVIO_BDEV_CAN(NVIO_BDEV_IO_FLUSH) | NVIO_BDEV_CAN(NVIO_BDEV_IO_WRITE_ZEROES);
	if (f->can_unmap)
		params.io_types |= NVIO_BDEV_CAN(NVIO_BDEV_IO_UNMAP);
	return nvio_bdev_register(f->env, &params);
}

int nvio_bdev_file_create(struct nvio_env *env, const struct nvio_bdev_file_opts *opts)
{
	struct nvio_bdev_file_opts o;
	struct file_bdev *f;
	int rc;

	if (!env || !opts)
		return fail(-EINVAL, "bdev: file: %s is NULL", env ? "the options" : "the environment");
	nvio_bdev_file_opts_init(&o);
	rc = opts_copy("nvio_bdev_file_opts", &o, sizeof(o), opts, sizeof(o));
	if (rc)
		return rc;
	rc = opts_check(&o);
	if (rc)
		return rc;
	/* Before there is a file to be taken back. */
	rc = bdev_name_check("create", o.name);
	if (rc)
		return rc;
	f = alloc_zeroed(sizeof(*f));
	if (!f)
		return fail(-ENOMEM, "bdev: file: %s: no memory for the device", o.name);
	f->env = env;
	f->threads = o.threads;
	rc = file_open(f, &o);
	if (rc)
		goto out_free;
	rc = start_engine(f, o.engine);
	if (rc)
		goto out_close;
	rc = file_register(f, &o);
	if (rc)
		goto out_engine;
	f->created = false;
	return 0;
out_engine:
	f->engine->fini(f);
out_close:
	file_close(f);
out_free:
	alloc_free(f);
	return rc;
}

int nvio_bdev_file_engine(const struct nvio_bdev *bdev, const char **engine, bool *direct)
{
	const struct file_bdev *f;

	if (!bdev || bdev->module != &file_module)
		return fail(-EINVAL, "bdev: %s is not a file device", bdev ? bdev->name : "NULL");
	f = bdev->device;
	if (engine)
		*engine = f->engine->name;
	if (direct)
		*direct = f->align;
	return 0;
}
