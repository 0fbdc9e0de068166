/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the benchmarks put under load, each behind the same few functions: `depth` reads or writes of 4 KiB
 * at random places kept in flight, the next one submitted from the callback of the one before. The loops
 * themselves are written out per kind, so that what is measured holds no indirection of the benchmark's own.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nvio/histogram.h>

#define LOAD_IO        4096u
#define LOAD_MAX_DEPTH 128u
#define LOAD_POLLS     64u /* between two looks at the clock */

struct load_kind;

struct load_opts {
	const struct load_kind *kind;
	const char *what;               /* the kind's own: a drive's short form, a module's name, ... */
	unsigned depth;                 /* 1 to LOAD_MAX_DEPTH */
	bool write;
	int core;                       /* of a second thread of the benchmark's own; -1: anywhere */
	struct nvio_histogram *latency; /* NULL: not measured, and then costs nothing */
};

struct load {
	const struct load_kind *kind;
	unsigned depth;
	bool write;
	unsigned polls;
	uint64_t issued, completed;
	uint64_t limit;                 /* stop when so many have completed */
	uint64_t random;
	uint64_t mask;                  /* 4 KiB units of the device - 1 */
	struct nvio_histogram *latency;
	/* Set by load_run_for(): when to stop, and what had been done by then. */
	uint64_t begin_ns, until_ns, counted, elapsed_ns;
};

struct load_kind {
	const char *name;
	struct load *(*open)(const struct load_opts *opts);
	void (*run)(struct load *l); /* until l->limit, which load_goes_on() may bring forward */
	void (*close)(struct load *l);
};

extern const struct load_kind load_nvme;  /* the driver over a software drive; what: the drive's short form */
/*
 * what: "null" (untouched reads), "passthru" (over it), "qos" (null with limits that are never reached), "zeros", "malloc", "nvme" (a null drive)
 */
extern const struct load_kind load_bdev;
extern const struct load_kind load_floor; /* what: "one" thread or "two" */
extern const struct load_kind load_copy;  /* what: "memcpy", "memcpy-large" (pages) or "memset" */

/* Opens, or prints why not and exits. */
struct load *load_open(const struct load_opts *opts);
void load_close(struct load *l);

/* Exactly so many I/Os. */
void load_run_count(struct load *l, uint64_t ios);

/* So long; returns I/Os per second. */
double load_run_for(struct load *l, uint64_t duration_ns);

/* ---- for the kinds ---- */

void load_init(struct load *l, const struct load_opts *opts, uint64_t device_bytes);
void load_look(struct load *l);
uint64_t load_now_ns(void);

/* Zeroed memory that is there already (touched), page-aligned; never NULL. */
void *load_memory(size_t size);

/* Prints "bench: <what>: <nvio_errmsg() or the errno's words>" and exits. */
_Noreturn void load_die(const char *what, int rc);

/* The OS thread that calls it: to one core, or with -1 to all that the process began with. */
void load_pin(int core);

/* Marsaglia's xorshift64: six instructions. */
static inline uint64_t load_next_unit(struct load *l)
{
	uint64_t x = l->random;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	l->random = x;
	return x & l->mask;
}

/* Asked once per poll. */
static inline bool load_goes_on(struct load *l)
{
	if (++l->polls % LOAD_POLLS == 0 && l->until_ns)
		load_look(l);
	return l->completed < l->limit;
}

#endif
