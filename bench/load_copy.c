/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What malloc and zero-filled null devices are held against: nothing but the copying, at as many random
 * places and into as many buffers; in ordinary memory, as any program gets it, or in large pages where there
 * are any.
 */
#include "load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define RAM_BYTES (64u << 20)

struct copy_load {
	struct load l;
	bool zeros;
	uint8_t *ram;    /* NULL with `zeros` */
	uint8_t *memory;
};

static void copy_run(struct load *load)
{
	struct copy_load *l = (struct copy_load *)load;
	unsigned i = 0;

	while (load_goes_on(load)) {
		uint8_t *buf = l->memory + (size_t)i * LOAD_IO;
		uint8_t *place = l->ram + load_next_unit(load) * LOAD_IO;

		if (l->zeros)
			memset(buf, 0, LOAD_IO);
		else
			memcpy(load->write ? place : buf, load->write ? buf : place, LOAD_IO);
		/* The compiler must not merge two rounds. */
		__asm__ volatile("" : : "r"(buf), "r"(place) : "memory");
		load->issued++;
		load->completed++;
		i = i + 1 == load->depth ? 0 : i + 1;
	}
}

static uint8_t *ram(bool large)
{
	uint8_t *p;

	if (!large)
		return load_memory(RAM_BYTES);
	p = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		load_die("memory", errno);
	/* Before the first touch, which decides; a kernel without them is no error. */
	madvise(p, RAM_BYTES, MADV_HUGEPAGE);
	memset(p, 0, RAM_BYTES);
	return p;
}

static struct load *copy_open(const struct load_opts *opts)
{
	struct copy_load *l = calloc(1, sizeof(*l));

	if (!l)
		load_die("memory", ENOMEM);
	load_init(&l->l, opts, RAM_BYTES);
	l->zeros = !strcmp(opts->what, "memset");
	l->memory = load_memory((size_t)opts->depth * LOAD_IO);
	if (!l->zeros)
		l->ram = ram(!strcmp(opts->what, "memcpy-large"));
	return &l->l;
}

static void copy_close(struct load *load)
{
	struct copy_load *l = (struct copy_load *)load;

	munmap(l->memory, (size_t)load->depth * LOAD_IO);
	if (l->ram)
		munmap(l->ram, RAM_BYTES);
	free(l);
}

const struct load_kind load_copy = {
	.name = "copy",
	.open = copy_open,
	.run = copy_run,
	.close = copy_close,
};
