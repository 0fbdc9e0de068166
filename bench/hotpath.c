/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an I/O costs in instructions: a program that does exactly so many of them and is run under callgrind,
 * twice, with different counts. The slope is free of everything but the I/O. bench/counts.py runs it and
 * reads the result.
 *
 *     bench_hotpath LOAD DEPTH IOS
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

static const struct {
	const char *name;
	struct load_opts opts;
} loads[] = {
	/* Both ends on one thread: the file a function is in tells the driver from the drive. */
	{ "nvme", { .kind = &load_nvme, .what = "null:1G?untouched=1" } },
	/* The same with device addresses of the buffers to be found. */
	{ "nvme-mapped", { .kind = &load_nvme, .what = "null:1G?untouched=1&iommu=1" } },
	{ "nvme-write", { .kind = &load_nvme, .what = "null:1G?untouched=1", .write = true } },
	{ "floor", { .kind = &load_floor, .what = "one" } },
	{ "bdev-null", { .kind = &load_bdev, .what = "null" } },
	{ "bdev-zeros", { .kind = &load_bdev, .what = "zeros" } },
	{ "bdev-qos", { .kind = &load_bdev, .what = "qos" } },
	{ "bdev-passthru", { .kind = &load_bdev, .what = "passthru" } },
	/* As "nvme", from above: the difference is the layer and the module. */
	{ "bdev-nvme", { .kind = &load_bdev, .what = "nvme" } },
	{ "bdev-malloc", { .kind = &load_bdev, .what = "malloc" } },
};

static int usage(void)
{
	fprintf(stderr, "usage: bench_hotpath LOAD DEPTH IOS\nloads:");
	for (size_t i = 0; i < sizeof(loads) / sizeof(loads[0]); i++)
		fprintf(stderr, " %s", loads[i].name);
	fprintf(stderr, "\n");
	return 2;
}

int main(int argc, char **argv)
{
	struct load_opts opts = { 0 };
	struct load *l;

	if (argc != 4)
		return usage();
	for (size_t i = 0; i < sizeof(loads) / sizeof(loads[0]); i++)
		if (!strcmp(argv[1], loads[i].name))
			opts = loads[i].opts;
	if (!opts.kind)
		return usage();
	opts.depth = (unsigned)strtoul(argv[2], NULL, 10);
	opts.core = -1;
	l = load_open(&opts);
	load_run_count(l, strtoull(argv[3], NULL, 10));
	load_close(l);
	return 0;
}
