/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Load on the floor (floor.h): the same loop as load_nvme.c has, on bare rings, with both ends on one OS
 * thread or on two.
 */
#include "load.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "floor.h"

#define DEVICE_BYTES (1u << 30)
#define BLOCKS       (LOAD_IO / 512)

struct floor_io {
	struct floor_op op;
	struct floor_load *l;
	void *buf;
};

struct floor_load {
	struct load l;
	struct floor_rings *rings;
	uint8_t *memory;
	struct floor_io ios[LOAD_MAX_DEPTH];
	pthread_t device;
	int core;
	bool two;
	atomic_bool stop;
};

static void submit(struct floor_load *l, struct floor_io *io)
{
	uint64_t lba = load_next_unit(&l->l) * BLOCKS;

	l->l.issued++;
	floor_submit(l->rings, &io->op, io->buf, lba, BLOCKS);
}

static void on_done(struct floor_op *op)
{
	struct floor_io *io = op->arg;
	struct floor_load *l = io->l;

	if (op->status)
		load_die("the floor", EIO);
	l->l.completed++;
	if (l->l.issued < l->l.limit)
		submit(l, io);
}

static void *device(void *arg)
{
	struct floor_load *l = arg;

	load_pin(l->core);
	while (!atomic_load_explicit(&l->stop, memory_order_relaxed))
		floor_device(l->rings);
	return NULL;
}

static void run_two(struct floor_load *l)
{
	while (load_goes_on(&l->l))
		floor_reap(l->rings);
}

static void run_one(struct floor_load *l)
{
	while (load_goes_on(&l->l)) {
		floor_device(l->rings);
		floor_reap(l->rings);
	}
}

static void floor_run(struct load *load)
{
	struct floor_load *l = (struct floor_load *)load;

	for (unsigned i = 0; i < load->depth && load->issued < load->limit; i++)
		submit(l, &l->ios[i]);
	if (l->two)
		run_two(l);
	else
		run_one(l);
}

static struct load *floor_open(const struct load_opts *opts)
{
	struct floor_load *l = calloc(1, sizeof(*l));
	int rc;

	if (!l)
		load_die("memory", ENOMEM);
	load_init(&l->l, opts, DEVICE_BYTES);
	l->rings = load_memory(sizeof(*l->rings));
	floor_init(l->rings);
	l->memory = load_memory((size_t)opts->depth * LOAD_IO);
	for (unsigned i = 0; i < opts->depth; i++)
		l->ios[i] = (struct floor_io){
			.op = { .done = on_done, .arg = &l->ios[i] },
			.l = l,
			.buf = l->memory + (size_t)i * LOAD_IO,
		};
	l->core = opts->core;
	l->two = !strcmp(opts->what, "two");
	if (l->two) {
		rc = pthread_create(&l->device, NULL, device, l);
		if (rc)
			load_die("a second thread", rc);
	}
	return &l->l;
}

static void floor_close(struct load *load)
{
	struct floor_load *l = (struct floor_load *)load;

	atomic_store(&l->stop, true);
	if (l->two)
		pthread_join(l->device, NULL);
	munmap(l->memory, (size_t)load->depth * LOAD_IO);
	munmap(l->rings, sizeof(*l->rings));
	free(l);
}

const struct load_kind load_floor = {
	.name = "floor",
	.open = floor_open,
	.run = floor_run,
	.close = floor_close,
};
