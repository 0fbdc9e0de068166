/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Load on the block-device layer: a null or malloc device, one channel on one nvio_thread that this loop
 * polls.
 */
#include "load.h"

#include <stdlib.h>
#include <string.h>

#include <nvio/bdev.h>
#include <nvio/bdev_nvme.h>
#include <nvio/bdev_qos.h>
#include <nvio/env.h>
#include <nvio/mem.h>
#include <nvio/thread.h>

#define BLOCK        512u
#define NULL_BYTES   (1u << 30)
#define MALLOC_BYTES (64u << 20) /* beyond the second-level cache, as load_copy.c has it */

struct bdev_io {
	struct nvio_op op;
	struct bdev_load *l;
	void *buf;
	uint64_t begin_ns;
};

struct bdev_load {
	struct load l;
	struct nvio_bdev_desc *desc;
	struct nvio_channel *ch;
	struct nvio_thread *thread;
	struct nvio_env *env;
	uint8_t *memory;
	struct bdev_io ios[LOAD_MAX_DEPTH];
};

/* Inlined where it is called, or the benchmark would count its own calls. */
static inline __attribute__((always_inline)) void submit(struct bdev_load *l, struct bdev_io *io)
{
	uint64_t offset = load_next_unit(&l->l) * LOAD_IO;
	int rc;

	l->l.issued++;
	if (l->l.write)
		rc = nvio_bdev_write(l->desc, l->ch, io->buf, offset, LOAD_IO, &io->op);
	else
		rc = nvio_bdev_read(l->desc, l->ch, io->buf, offset, LOAD_IO, &io->op);
	if (rc)
		load_die("submit", rc);
}

static void on_done(struct nvio_op *op)
{
	struct bdev_io *io = op->arg;
	struct bdev_load *l = io->l;

	if (op->status)
		load_die(nvio_op_strerror(op), op->status);
	l->l.completed++;
	if (l->l.issued < l->l.limit)
		submit(l, io);
}

static void on_done_timed(struct nvio_op *op)
{
	struct bdev_io *io = op->arg;
	struct bdev_load *l = io->l;
	uint64_t now = load_now_ns();

	if (op->status)
		load_die(nvio_op_strerror(op), op->status);
	nvio_histogram_add(l->l.latency, now - io->begin_ns);
	l->l.completed++;
	if (l->l.issued < l->l.limit) {
		io->begin_ns = load_now_ns();
		submit(l, io);
	}
}

static void bdev_run(struct load *load)
{
	struct bdev_load *l = (struct bdev_load *)load;
	int rc;

	for (unsigned i = 0; i < load->depth && load->issued < load->limit; i++) {
		l->ios[i].begin_ns = load_now_ns();
		submit(l, &l->ios[i]);
	}
	while (load_goes_on(load)) {
		rc = nvio_thread_poll(l->thread, 0);
		if (rc < 0)
			load_die("poll", rc);
	}
}

static int create_null(struct nvio_env *env, bool untouched)
{
	struct nvio_bdev_null_opts opts;

	nvio_bdev_null_opts_init(&opts);
	opts.name = "bench";
	opts.block_size = BLOCK;
	opts.num_blocks = NULL_BYTES / BLOCK;
	opts.untouched_reads = untouched;
	return nvio_bdev_null_create(env, &opts);
}

static int create_malloc(struct nvio_env *env)
{
	struct nvio_bdev_malloc_opts opts;

	nvio_bdev_malloc_opts_init(&opts);
	opts.name = "bench";
	opts.block_size = BLOCK;
	opts.num_blocks = MALLOC_BYTES / BLOCK;
	return nvio_bdev_malloc_create(env, &opts);
}

/* Each page of a RAM device is there beforehand: this is about copying, not about the first touch. */
static void touch_all(struct bdev_load *l)
{
	struct nvio_op op = NVIO_OP(NULL);
	int rc;

	for (uint64_t unit = 0; unit <= l->l.mask; unit++) {
		rc = nvio_await(nvio_bdev_write(l->desc, l->ch, l->memory, unit * LOAD_IO, LOAD_IO, &op), &op);
		if (rc)
			load_die("fill", rc);
	}
}

static int create_passthru(struct nvio_env *env)
{
	struct nvio_bdev_passthru_opts opts;

	nvio_bdev_passthru_opts_init(&opts);
	opts.name = "above";
	opts.base = "bench";
	return nvio_bdev_passthru_create(env, &opts);
}

/* Limits of I/Os and of bytes that no machine reaches, filled up for longer than any run. */
static int set_limits(struct bdev_load *l)
{
	struct nvio_op op = NVIO_OP(NULL);
	struct nvio_bdev_qos qos;

	nvio_bdev_qos_init(&qos);
	qos.all_ios = (struct nvio_bdev_rate){ 1ull << 40, 1ull << 50 };
	qos.all_bytes = (struct nvio_bdev_rate){ 1ull << 50, 1ull << 60 };
	return nvio_await(nvio_bdev_set_qos(l->desc, l->ch, &qos, &op), &op);
}

static int attach_nvme(struct nvio_env *env)
{
	struct nvio_bdev_nvme_opts opts;
	struct nvio_op op = NVIO_OP(NULL);

	nvio_bdev_nvme_opts_init(&opts);
	opts.name = "bench";
	opts.trid = "loop:null:1G?untouched=1";
	return nvio_await(nvio_bdev_nvme_attach(env, &opts, &op), &op);
}

/* The device that is asked for, and its name. */
static int create(struct nvio_env *env, const char *what, const char **name)
{
	int rc;

	*name = "bench";
	if (!strcmp(what, "malloc"))
		return create_malloc(env);
	if (!strcmp(what, "nvme")) {
		*name = "benchn1";
		return attach_nvme(env);
	}
	rc = create_null(env, strcmp(what, "zeros"));
	if (rc || strcmp(what, "passthru"))
		return rc;
	*name = "above";
	return create_passthru(env);
}

static void bdev_prepare(struct bdev_load *l, const struct load_opts *opts)
{
	bool ram = !strcmp(opts->what, "malloc");
	const char *name = NULL;
	int rc = nvio_env_open(NULL, &l->env);

	if (!rc)
		rc = nvio_thread_create(l->env, NULL, &l->thread);
	if (!rc)
		rc = nvio_thread_attach(l->thread);
	if (!rc)
		rc = create(l->env, opts->what, &name);
	if (!rc)
		rc = nvio_bdev_open(l->env, name, NVIO_BDEV_WRITE, &l->desc);
	if (!rc)
		rc = nvio_bdev_channel(l->desc, &l->ch);
	if (!rc && !strcmp(opts->what, "qos"))
		rc = set_limits(l);
	if (rc)
		load_die(opts->what, rc);
	l->memory = nvio_mem_alloc_zeroed(l->env, (size_t)opts->depth * LOAD_IO, LOAD_IO);
	if (!l->memory)
		load_die("buffers", -ENOMEM);
	load_init(&l->l, opts, ram ? MALLOC_BYTES : NULL_BYTES);
	if (ram)
		touch_all(l);
}

static struct load *bdev_open(const struct load_opts *opts)
{
	struct bdev_load *l = calloc(1, sizeof(*l));

	if (!l)
		load_die("memory", -ENOMEM);
	bdev_prepare(l, opts);
	for (unsigned i = 0; i < opts->depth; i++)
		l->ios[i] = (struct bdev_io){
			.op = { .done = opts->latency ? on_done_timed : on_done, .arg = &l->ios[i] },
			.l = l,
			.buf = l->memory + (size_t)i * LOAD_IO,
		};
	return &l->l;
}

static void bdev_close(struct load *load)
{
	struct bdev_load *l = (struct bdev_load *)load;
	int rc;

	nvio_channel_put(l->ch);
	nvio_thread_poll(l->thread, 0);
	rc = nvio_bdev_close(l->desc);
	if (rc)
		load_die("close", rc);
	nvio_mem_free(l->env, l->memory);
	nvio_thread_detach(l->thread);
	nvio_env_close(l->env);
	free(l);
}

const struct load_kind load_bdev = {
	.name = "bdev",
	.open = bdev_open,
	.run = bdev_run,
	.close = bdev_close,
};
