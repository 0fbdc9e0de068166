/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What grows with the number of block devices, and what must not: making one, finding and opening it by name, a channel, an I/O on one of
 * many, deleting, and the memory of each. One line of JSON per number; bench/run makes a table of them.
 *
 *     bench_grow [MOST]
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <nvio/bdev.h>
#include <nvio/env.h>

#include "load.h"

#define BLOCK  512u
#define BLOCKS 2048u
#define IOS    200000u
#define DEPTH  32u

struct many {
	struct nvio_env *env;
	struct nvio_thread *thread;
	struct nvio_bdev_desc **descs;
	struct nvio_channel **chs;
	unsigned count;
};

struct grow_io {
	struct nvio_op op;
	struct many *m;
	uint64_t *left;
	char buf[BLOCK];
};

static uint64_t resident(void)
{
	unsigned long total, pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (!f || fscanf(f, "%lu %lu", &total, &pages) != 2)
		load_die("memory in use", -errno);
	fclose(f);
	return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void create(struct many *m, unsigned i)
{
	struct nvio_bdev_null_opts o;
	char name[32];
	int rc;

	snprintf(name, sizeof(name), "grow%u", i);
	nvio_bdev_null_opts_init(&o);
	o.name = name;
	o.block_size = BLOCK;
	o.num_blocks = BLOCKS;
	o.untouched_reads = true;
	rc = nvio_bdev_null_create(m->env, &o);
	if (rc)
		load_die("create", rc);
}

static void open_one(struct many *m, unsigned i)
{
	char name[32];
	int rc;

	snprintf(name, sizeof(name), "grow%u", i);
	rc = nvio_bdev_open(m->env, name, NVIO_BDEV_WRITE, &m->descs[i]);
	if (rc)
		load_die("open", rc);
}

static void channel(struct many *m, unsigned i)
{
	int rc = nvio_bdev_channel(m->descs[i], &m->chs[i]);

	if (rc)
		load_die("channel", rc);
}

static void submit(struct grow_io *io)
{
	struct many *m = io->m;
	unsigned last = m->count - 1;
	int rc;

	rc = nvio_bdev_read(m->descs[last], m->chs[last], io->buf, 0, BLOCK, &io->op);
	if (rc)
		load_die("submit", rc);
}

static void on_done(struct nvio_op *op)
{
	struct grow_io *io = op->arg;

	if ((*io->left)-- > DEPTH)
		submit(io);
}

/* All on one of the devices, so that what is measured is not the cache's size. */
static void run_io(struct many *m)
{
	static struct grow_io ios[DEPTH];
	uint64_t left = IOS;

	for (unsigned i = 0; i < DEPTH; i++) {
		ios[i].op = (struct nvio_op){ .done = on_done, .arg = &ios[i] };
		ios[i].m = m;
		ios[i].left = &left;
		submit(&ios[i]);
	}
	while (left)
		nvio_thread_poll(m->thread, 0);
}

static double each(struct many *m, void (*fn)(struct many *m, unsigned i))
{
	uint64_t begin = load_now_ns();

	for (unsigned i = 0; i < m->count; i++)
		fn(m, i);
	return (double)(load_now_ns() - begin) / m->count;
}

static void close_one(struct many *m, unsigned i)
{
	nvio_channel_put(m->chs[i]);
	if (nvio_bdev_close(m->descs[i]))
		load_die("close", -EBUSY);
}

static void delete_one(struct many *m, unsigned i)
{
	struct nvio_op op = NVIO_OP(NULL);
	char name[32];
	int rc;

	snprintf(name, sizeof(name), "grow%u", i);
	rc = nvio_await(nvio_bdev_delete(m->env, name, &op), &op);
	if (rc)
		load_die("delete", rc);
}

static void measure(unsigned count)
{
	struct many m = { .count = count };
	uint64_t before, created, opened, channels, begin;
	double create_ns, open_ns, channel_ns, io_ns;

	m.descs = calloc(count, sizeof(*m.descs));
	m.chs = calloc(count, sizeof(*m.chs));
	if (!m.descs || !m.chs || nvio_env_open(NULL, &m.env) || nvio_thread_create(m.env, NULL, &m.thread) ||
		nvio_thread_attach(m.thread))
		load_die("set-up", -ENOMEM);
	before = resident();
	create_ns = each(&m, create);
	created = resident();
	open_ns = each(&m, open_one);
	opened = resident();
	channel_ns = each(&m, channel);
	channels = resident();
	run_io(&m);
	begin = load_now_ns();
	run_io(&m);
	io_ns = (double)(load_now_ns() - begin) / IOS;
	each(&m, close_one);
	printf("{\"bdevs\": %u, \"create_ns\": %.0f, \"open_ns\": %.0f, \"channel_ns\": %.0f, \"io_ns\": %.2f, ", count,
		create_ns, open_ns, channel_ns, io_ns);
	printf("\"delete_ns\": %.0f, \"device_bytes\": %.0f, \"desc_bytes\": %.0f, \"channel_bytes\": %.0f}\n",
		each(&m, delete_one), (double)(created - before) / count, (double)(opened - created) / count,
		(double)(channels - opened) / count);
	fflush(stdout);
	nvio_thread_detach(m.thread);
	nvio_env_close(m.env);
	free(m.descs);
	free(m.chs);
}

int main(int argc, char **argv)
{
	unsigned most = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 10000;

	for (unsigned count = 1; count <= most; count *= 10)
		measure(count);
	return 0;
}
