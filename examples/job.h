/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the loop examples have to do: write blocks to a file by way of a block device, read each one back
 * and compare it, all by callbacks. It knows nothing of the loop; see epoll_loop.c, uv_loop.c and
 * glib_loop.c for how those drive the same job.
 */
#ifndef JOB_H
#define JOB_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <nvio/bdev.h>
#include <nvio/env.h>
#include <nvio/error.h>
#include <nvio/thread.h>

#define JOB_BLOCKS 256
#define JOB_BLOCK  4096

struct job {
	struct nvio_env *env;
	struct nvio_thread *thread;
	struct nvio_bdev_desc *desc;
	struct nvio_channel *ch;
	struct nvio_op op;
	uint64_t block;
	bool reading, done, failed;
	unsigned char data[JOB_BLOCK], back[JOB_BLOCK];
};

static void job_step(struct nvio_op *op);

static void job_fail(struct job *j, const char *why)
{
	fprintf(stderr, "block %llu: %s\n", (unsigned long long)j->block, why);
	j->failed = j->done = true;
}

static void job_submit(struct job *j)
{
	uint64_t offset = j->block * JOB_BLOCK;
	int rc;

	if (j->reading)
		rc = nvio_bdev_read(j->desc, j->ch, j->back, offset, JOB_BLOCK, &j->op);
	else
		rc = nvio_bdev_write(j->desc, j->ch, memset(j->data, (int)(j->block + 1), JOB_BLOCK), offset,
			JOB_BLOCK, &j->op);
	if (rc)
		job_fail(j, nvio_errmsg());
}

/* A write is followed by the read of the same block, and that by the next block. */
static void job_step(struct nvio_op *op)
{
	struct job *j = op->arg;

	if (op->status) {
		job_fail(j, nvio_op_strerror(op));
	} else if (j->reading && memcmp(j->data, j->back, JOB_BLOCK)) {
		job_fail(j, "read back other data than was written");
	} else {
		j->block += j->reading;
		j->reading = !j->reading;
		j->done = j->block == JOB_BLOCKS;
		if (!j->done)
			job_submit(j);
	}
}

/*
 * Opens everything, with the block device over the file at `path`, and submits the first write. 0, or -errno
 * with the words printed.
 */
static int job_start(struct job *j, const char *path)
{
	struct nvio_bdev_file_opts opts;
	int rc;

	memset(j, 0, sizeof(*j));
	nvio_bdev_file_opts_init(&opts);
	opts.name = "image";
	opts.path = path;
	opts.block_size = JOB_BLOCK;
	opts.num_blocks = JOB_BLOCKS;
	opts.create = true;
	rc = nvio_env_open(NULL, &j->env);
	if (!rc)
		rc = nvio_thread_create(j->env, NULL, &j->thread);
	if (!rc)
		rc = nvio_thread_attach(j->thread);
	if (!rc)
		rc = nvio_bdev_file_create(j->env, &opts);
	if (!rc)
		rc = nvio_bdev_open(j->env, "image", NVIO_BDEV_WRITE, &j->desc);
	if (!rc)
		rc = nvio_bdev_channel(j->desc, &j->ch);
	if (rc) {
		fprintf(stderr, "%s\n", nvio_errmsg());
		nvio_env_close(j->env);
		return rc;
	}
	j->op = (struct nvio_op)NVIO_OP(job_step);
	j->op.arg = j;
	job_submit(j);
	return 0;
}

/*
 * Closes everything and gives the program's exit status; `ticks`: how often the program's own timer ran
 * meanwhile.
 */
static int job_end(struct job *j, const char *path, unsigned ticks)
{
	bool good = j->done && !j->failed;

	printf("%llu blocks of %d bytes written, read back and compared; %u ticks\n",
		(unsigned long long)j->block, JOB_BLOCK, ticks);
	nvio_channel_put(j->ch);
	nvio_env_close(j->env);
	remove(path);
	return !good;
}

#endif
