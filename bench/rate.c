/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How many I/Os per second, each kind of load beside the floor it is held against. Machines are shared and
 * wander, so the two take turns in short slices, and what counts is the ratio within a round. One line of
 * JSON per row and depth; bench/run makes tables of them.
 *
 *     bench_rate [ROUNDS [SLICE_MS [ROW]]]
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

#define MAX_ROUNDS 99
#define WARM_NS    3000000u
#define NS_PER_MS  1000000u

struct row {
	const char *name;
	struct load_opts load, floor; /* floor.kind NULL: there is none */
	unsigned depths[5];           /* 0 ends */
	bool two; /* on two cores: the drive gets a thread of its own, and so does the floor's device */
};

#define NVME(form)  { .kind = &load_nvme, .what = (form) }
#define NVMEW(form) { .kind = &load_nvme, .what = (form), .write = true }
#define BDEV(what_) { .kind = &load_bdev, .what = (what_) }
#define BDEVW(what_) { .kind = &load_bdev, .what = (what_), .write = true }
#define FLOOR(what_) { .kind = &load_floor, .what = (what_) }
#define COPY(what_) { .kind = &load_copy, .what = (what_) }
#define COPYW(what_) { .kind = &load_copy, .what = (what_), .write = true }

static const struct row rows[] = {
	{ "loop-two-null", NVME("null:1G?untouched=1"), FLOOR("two"), { 1, 8, 32, 128 }, true },
	{ "loop-two-zeros", NVME("null:1G"), FLOOR("two"), { 1, 8, 32, 128 }, true },
	{ "loop-two-ram", NVME("ram:64M"), FLOOR("two"), { 1, 32, 128 }, true },
	{ "loop-two-null-write", NVMEW("null:1G?untouched=1"), FLOOR("two"), { 1, 32 }, true },
	{ "loop-one-null", NVME("null:1G?untouched=1"), FLOOR("one"), { 1, 32, 128 }, false },
	{ "bdev-null", BDEV("null"), { 0 }, { 1, 32, 128 }, false },
	{ "bdev-zeros", BDEV("zeros"), COPY("memset"), { 1, 32, 128 }, false },
	{ "bdev-malloc", BDEV("malloc"), COPY("memcpy"), { 1, 32, 128 }, false },
	{ "bdev-malloc-write", BDEVW("malloc"), COPYW("memcpy"), { 1, 32, 128 }, false },
	/* The device uses large pages where there are any; so this one asks what it costs beside the copying. */
	{ "bdev-malloc-large", BDEV("malloc"), COPY("memcpy-large"), { 1, 32, 128 }, false },
};

/* Latency is measured apart, as looking at the clock twice per I/O costs as much as some I/Os do. */
static const struct row latencies[] = {
	{ "loop-two-null", NVME("null:1G?untouched=1"), { 0 }, { 1, 32 }, true },
	{ "loop-two-null-write", NVMEW("null:1G?untouched=1"), { 0 }, { 1, 32 }, true },
	{ "loop-two-ram-write", NVMEW("ram:64M"), { 0 }, { 1, 32 }, true },
	{ "loop-one-null-write", NVMEW("null:1G?untouched=1"), { 0 }, { 1, 32 }, false },
	{ "bdev-malloc-write", BDEVW("malloc"), { 0 }, { 1, 32 }, false },
};

static int host_core = -1, drive_core = -1;

/* The first two cores there are; less than two: drive_core stays -1. */
static void find_cores(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		load_die("cores", errno);
	for (int core = 0; core < CPU_SETSIZE; core++) {
		if (!CPU_ISSET((unsigned)core, &set))
			continue;
		if (host_core < 0)
			host_core = core;
		else if (drive_core < 0)
			drive_core = core;
	}
}

static double slice(const struct row *row, struct load_opts opts, unsigned depth, uint64_t duration_ns,
	struct nvio_histogram *latency)
{
	char form[128];
	struct load *l;
	double rate;

	opts.depth = depth;
	opts.core = drive_core;
	if (row->two && opts.kind == &load_nvme) {
		snprintf(form, sizeof(form), "%s%cpoll=thread&core=%d", opts.what,
			strchr(opts.what, '?') ? '&' : '?', drive_core);
		opts.what = form;
	}
	/* The drive's thread finds its core only if the environment is opened unbound. */
	load_pin(-1);
	opts.latency = latency;
	l = load_open(&opts);
	load_pin(host_core);
	load_run_for(l, WARM_NS);
	if (latency)
		nvio_histogram_clear(latency);
	rate = load_run_for(l, duration_ns);
	load_close(l);
	return rate;
}

static void print_list(const char *name, const double *values, unsigned n)
{
	printf(", \"%s\": [", name);
	for (unsigned i = 0; i < n; i++)
		printf("%s%.0f", i ? ", " : "", values[i]);
	printf("]");
}

static void run_row(const struct row *row, unsigned rounds, uint64_t slice_ns)
{
	static double rate[MAX_ROUNDS], floor[MAX_ROUNDS];

	for (const unsigned *depth = row->depths; *depth; depth++) {
		for (unsigned i = 0; i < rounds; i++) {
			/* Who goes first changes, so that neither always meets the colder machine. */
			if (row->floor.kind && i % 2)
				floor[i] = slice(row, row->floor, *depth, slice_ns, NULL);
			rate[i] = slice(row, row->load, *depth, slice_ns, NULL);
			if (row->floor.kind && !(i % 2))
				floor[i] = slice(row, row->floor, *depth, slice_ns, NULL);
		}
		printf("{\"row\": \"%s\", \"depth\": %u", row->name, *depth);
		print_list("iops", rate, rounds);
		if (row->floor.kind)
			print_list("floor", floor, rounds);
		printf("}\n");
		fflush(stdout);
	}
}

static void run_latency(const struct row *row, uint64_t slice_ns)
{
	static const struct {
		const char *name;
		double percent;
	} told[] = { { "p50_ns", 50 }, { "p99_ns", 99 }, { "p999_ns", 99.9 } };
	static struct nvio_histogram h;

	for (const unsigned *depth = row->depths; *depth; depth++) {
		slice(row, row->load, *depth, slice_ns, &h);
		printf("{\"latency\": \"%s\", \"depth\": %u, \"mean_ns\": %.0f", row->name, *depth,
			nvio_histogram_mean(&h));
		for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++)
			printf(", \"%s\": %llu", told[i].name,
				(unsigned long long)nvio_histogram_percentile(&h, told[i].percent));
		printf("}\n");
		fflush(stdout);
	}
}

static bool wanted(const struct row *row, const char *only)
{
	if (only && strcmp(only, row->name))
		return false;
	if (row->two && drive_core < 0) {
		printf("{\"skipped\": \"%s\", \"reason\": \"it takes two cores\"}\n", row->name);
		return false;
	}
	return true;
}

static unsigned long number(const char *text, unsigned long least, unsigned long most)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*end || n < least || n > most) {
		fprintf(stderr, "bench_rate: %s: a number from %lu to %lu is wanted\n", text, least, most);
		exit(2);
	}
	return n;
}

int main(int argc, char **argv)
{
	unsigned rounds = argc > 1 ? (unsigned)number(argv[1], 1, MAX_ROUNDS) : 7;
	uint64_t slice_ns = (argc > 2 ? number(argv[2], 1, 10000) : 40) * NS_PER_MS;
	const char *only = argc > 3 ? argv[3] : NULL;

	find_cores();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (wanted(&rows[i], only))
			run_row(&rows[i], rounds, slice_ns);
	for (size_t i = 0; i < sizeof(latencies) / sizeof(latencies[0]); i++)
		if (wanted(&latencies[i], only))
			run_latency(&latencies[i], 2 * slice_ns);
	return 0;
}
