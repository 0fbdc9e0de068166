/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What coroutines cost, each number beside a floor that took turns with it: a switch beside the barest switch there is, spawn and
 * join beside a function call, an awaited op beside one with a callback. One line of JSON per row; bench/run makes a
 * table of them.
 *
 *     bench_co [ROUNDS]
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <nvio/bdev.h>
#include <nvio/co.h>
#include <nvio/env.h>
#include <nvio/error.h>

#include "co_floor.h"
#include "load.h"

#define MAX_ROUNDS 999
#define TURNS	   20000u /* short, so that most rounds are not interrupted */
#define IDLE	   10000u

static struct nvio_env *env;
static struct nvio_thread *thread;
static struct nvio_bdev_desc *desc;
static struct nvio_channel *ch;
static uint8_t buf[512];

static struct nvio_co *spawn(nvio_co_fn fn, void *arg)
{
	struct nvio_co *co;

	if (nvio_co_spawn(thread, fn, arg, NULL, &co))
		load_die("coroutine", 0);
	return co;
}

/* ---- what is measured: each does it `n` times ---- */

static int yields(void *arg)
{
	for (uint64_t n = *(uint64_t *)arg; n; n--)
		nvio_co_yield();
	return 0;
}

/* `cos` coroutines yield, so that a turn of each is a switch to it and a switch back. */
static void yield_among(uint64_t n, unsigned cos)
{
	struct nvio_co *co[1000];
	uint64_t each = n / cos / 2;

	for (unsigned i = 0; i < cos; i++)
		co[i] = spawn(yields, &each);
	nvio_co_join_all(co, cos);
}

static void yield_1(uint64_t n) { yield_among(n, 1); }
static void yield_32(uint64_t n) { yield_among(n, 32); }
static void yield_1000(uint64_t n) { yield_among(n, 1000); }

static int returns(void *arg)
{
	return 0;
}

static void spawn_join(uint64_t n)
{
	while (n--)
		nvio_co_join(spawn(returns, NULL), NULL);
}

static int (*volatile called)(void *arg) = returns;

static void call(uint64_t n)
{
	while (n--)
		called(NULL);
}

static int reads(void *arg)
{
	for (uint64_t n = *(uint64_t *)arg; n; n--) {
		struct nvio_op op = NVIO_OP(NULL);

		if (nvio_await(nvio_bdev_read(desc, ch, buf, 0, sizeof(buf), &op), &op))
			load_die("read", 0);
	}
	return 0;
}

static void read_in_coroutine(uint64_t n)
{
	nvio_co_join(spawn(reads, &n), NULL);
}

static void read_again(struct nvio_op *op)
{
	uint64_t *n = op->arg;

	if (--*n && nvio_bdev_read(desc, ch, buf, 0, sizeof(buf), op))
		load_die("read", 0);
}

static void read_with_callback(uint64_t n)
{
	struct nvio_op op = { .done = read_again, .arg = &n };

	if (nvio_bdev_read(desc, ch, buf, 0, sizeof(buf), &op))
		load_die("read", 0);
	while (n)
		nvio_thread_poll(thread, 0);
}

/* ---- the rows ---- */

static const struct row {
	const char *name;
	void (*run)(uint64_t n);
	const char *floor_name;
	void (*floor)(uint64_t n);
	uint64_t n;
} rows[] = {
	{ "switch, one coroutine and a poll for each", yield_1, "bare switch", co_floor_switch, TURNS },
	{ "switch, 32 take turns", yield_32, "bare switch", co_floor_switch, TURNS },
	{ "switch, 1,000 take turns", yield_1000, "bare switch", co_floor_switch, 10 * TURNS },
	{ "spawn and join, from the pool", spawn_join, "function call", call, TURNS },
	{ "null read, awaited", read_in_coroutine, "with a callback", read_with_callback, TURNS },
};

static double time_of(void (*run)(uint64_t n), uint64_t n)
{
	uint64_t begin = load_now_ns();

	run(n);
	return (double)(load_now_ns() - begin) / (double)n;
}

static void print_list(const char *name, const double *values, unsigned n)
{
	printf(", \"%s\": [", name);
	for (unsigned i = 0; i < n; i++)
		printf("%s%.2f", i ? ", " : "", values[i]);
	printf("]");
}

static void run_row(const struct row *row, unsigned rounds)
{
	static double ns[MAX_ROUNDS], floor[MAX_ROUNDS];

	time_of(row->run, row->n);
	for (unsigned i = 0; i < rounds; i++) {
		floor[i] = time_of(row->floor, row->n);
		ns[i] = time_of(row->run, row->n);
	}
	printf("{\"row\": \"%s\", \"floor_name\": \"%s\"", row->name, row->floor_name);
	print_list("ns", ns, rounds);
	print_list("floor_ns", floor, rounds);
	printf("}\n");
	fflush(stdout);
}

/* ---- memory ---- */

static int sleeps(void *arg)
{
	return nvio_co_sleep(3600000000u);
}

static long resident(void)
{
	long size, pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (!f || fscanf(f, "%ld %ld", &size, &pages) != 2)
		load_die("/proc/self/statm", errno);
	fclose(f);
	return pages * sysconf(_SC_PAGESIZE);
}

static void measure_memory(void)
{
	static struct nvio_co *co[IDLE];
	long before = resident(), with;

	for (unsigned i = 0; i < IDLE; i++)
		co[i] = spawn(sleeps, NULL);
	nvio_thread_poll(thread, 0);
	with = resident();
	for (unsigned i = 0; i < IDLE; i++)
		nvio_co_cancel(co[i]);
	nvio_co_join_all(co, IDLE);
	printf("{\"memory\": \"each of %u that sleep\", \"bytes\": %ld}\n", IDLE, (with - before) / (long)IDLE);
	printf("{\"memory\": \"all that the pool keeps of them\", \"bytes\": %ld}\n", resident() - before);
}

static void open_all(void)
{
	struct nvio_bdev_null_opts opts;

	nvio_bdev_null_opts_init(&opts);
	opts.name = "null";
	opts.block_size = 512;
	opts.num_blocks = 1024;
	opts.untouched_reads = true;
	if (nvio_env_open(NULL, &env) || nvio_thread_create(env, NULL, &thread) || nvio_thread_attach(thread) ||
		nvio_bdev_null_create(env, &opts) || nvio_bdev_open(env, "null", 0, &desc) || nvio_bdev_channel(desc, &ch))
		load_die("open", 0);
}

int main(int argc, char **argv)
{
	long rounds = argc > 1 ? strtol(argv[1], NULL, 10) : 7;

	if (rounds < 1 || rounds > MAX_ROUNDS) {
		fprintf(stderr, "bench_co: a number of rounds from 1 to %d is wanted\n", MAX_ROUNDS);
		return 2;
	}
	open_all();
	measure_memory(); /* first, while no stack is in the pool */
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		run_row(&rows[i], (unsigned)rounds);
	nvio_channel_put(ch);
	nvio_env_close(env);
	return 0;
}
