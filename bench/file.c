/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The file device for so long, for bench/run to hold against fio on the same file: 4 KiB at random places, read or written.
 *
 *     bench_file PATH DEPTH MS direct|buffered [write]
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nvio/bdev.h>
#include <nvio/env.h>
#include <nvio/mem.h>

#include "load.h"

struct file_io {
	struct nvio_op op;
	struct file_load *l;
	void *buf;
};

struct file_load {
	struct load l;
	struct nvio_env *env;
	struct nvio_thread *thread;
	struct nvio_bdev_desc *desc;
	struct nvio_channel *ch;
	struct file_io ios[LOAD_MAX_DEPTH];
};

static void submit(struct file_io *io)
{
	struct file_load *l = io->l;
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
	struct file_io *io = op->arg;
	struct file_load *l = io->l;

	if (op->status)
		load_die(nvio_op_strerror(op), op->status);
	l->l.completed++;
	if (l->l.issued < l->l.limit)
		submit(io);
}

static void file_run(struct load *load)
{
	struct file_load *l = (struct file_load *)load;
	int rc;

	for (unsigned i = 0; i < load->depth && load->issued < load->limit; i++)
		submit(&l->ios[i]);
	while (load_goes_on(load)) {
		rc = nvio_thread_poll(l->thread, 0);
		if (rc < 0)
			load_die("poll", rc);
	}
}

static void file_prepare(struct file_load *l, const struct load_opts *opts, bool direct)
{
	struct nvio_bdev_file_opts o;
	int rc = nvio_env_open(NULL, &l->env);

	nvio_bdev_file_opts_init(&o);
	o.name = "file";
	o.path = opts->what;
	o.no_direct = !direct;
	if (!rc)
		rc = nvio_thread_create(l->env, NULL, &l->thread);
	if (!rc)
		rc = nvio_thread_attach(l->thread);
	if (!rc)
		rc = nvio_bdev_file_create(l->env, &o);
	if (!rc)
		rc = nvio_bdev_open(l->env, "file", NVIO_BDEV_WRITE, &l->desc);
	if (!rc)
		rc = nvio_bdev_channel(l->desc, &l->ch);
	if (rc)
		load_die(opts->what, rc);
	load_init(&l->l, opts, nvio_bdev_size_bytes(nvio_bdev_desc_bdev(l->desc)));
	for (unsigned i = 0; i < opts->depth; i++) {
		l->ios[i] = (struct file_io){ .op = { .done = on_done, .arg = &l->ios[i] }, .l = l };
		l->ios[i].buf = nvio_mem_alloc_zeroed(l->env, LOAD_IO, LOAD_IO);
		if (!l->ios[i].buf)
			load_die("buffers", -ENOMEM);
	}
}

static const struct load_kind load_file = { .name = "file", .run = file_run };

int main(int argc, char **argv)
{
	struct load_opts opts = { .kind = &load_file, .core = -1 };
	static struct file_load l;
	const char *engine;
	bool direct;
	double rate;

	if (argc < 5 || (strcmp(argv[4], "direct") && strcmp(argv[4], "buffered"))) {
		fprintf(stderr, "usage: bench_file PATH DEPTH MS direct|buffered [write]\n");
		return 2;
	}
	opts.what = argv[1];
	opts.depth = (unsigned)strtoul(argv[2], NULL, 10);
	opts.write = argc > 5;
	if (!opts.depth || opts.depth > LOAD_MAX_DEPTH)
		load_die("depth", -EINVAL);
	file_prepare(&l, &opts, !strcmp(argv[4], "direct"));
	if (nvio_bdev_file_engine(nvio_bdev_desc_bdev(l.desc), &engine, &direct))
		load_die("engine", -EINVAL);
	rate = load_run_for(&l.l, strtoull(argv[3], NULL, 10) * 1000000);
	printf("{\"iops\": %.0f, \"engine\": \"%s\", \"direct\": %s}\n", rate, engine, direct ? "true" : "false");
	nvio_env_close(l.env);
	return 0;
}
