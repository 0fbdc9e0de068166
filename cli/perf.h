/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `nvio perf` in three parts: what is asked for and the report (perf.c), the loop (perf_run.c), the pattern
 * (perf_verify.c).
 */
#ifndef CLI_PERF_H
#define CLI_PERF_H

#include <stdbool.h>
#include <stdint.h>

#include <nvio/histogram.h>

#include "cli.h"

#define PERF_DEPTH_MAX 4096
#define PERF_MEMORY_MAX (UINT64_C(1) << 30)
#define PERF_VERIFY_BLOCK_MAX 65536

enum perf_rw {
	PERF_RANDREAD,
	PERF_RANDWRITE,
	PERF_READ,
	PERF_WRITE,
	PERF_RANDRW,
};

/* What has been written where, by generations; one unit is one I/O. See perf_verify.c. */
struct perf_verify {
	uint32_t *generation; /* what the unit holds; 0: not written by us */
	uint64_t seed;
	uint32_t block_size;
	uint32_t blocks;      /* of a unit */
	uint32_t next;        /* generation of the next write */
	uint64_t mismatches;  /* blocks */
};

struct perf {
	/* As asked for. */
	struct cli_dev *dev;
	enum perf_rw rw;
	uint32_t depth;
	uint32_t bs;
	double time_s;        /* counts when ios is CLI_UNSET */
	uint64_t ios;
	uint32_t read_percent;
	uint64_t seed;
	bool verify;
	uint64_t units;       /* I/Os that the region holds */

	/* Results. */
	double elapsed_s;
	uint64_t done, reads, writes, errors;
	struct nvio_histogram latency;
	struct perf_verify pattern;
};

/*
 * Measures. CLI_OK, CLI_FAILED on errors, CLI_DIFFERS on data that is not what was written. The results count
 * in any case.
 */
int perf_run(struct perf *p);

int perf_verify_init(struct perf_verify *v, uint64_t units, uint32_t block_size, uint32_t blocks,
	uint64_t seed);
void perf_verify_fini(struct perf_verify *v);
/* Fills the buffer of a write to the unit; `generation` is what it will hold once the write has succeeded. */
uint32_t perf_verify_fill(struct perf_verify *v, void *buf, uint64_t unit);
/* Whether the unit's data is what was last written; counts and tells what is not. */
void perf_verify_check(struct perf_verify *v, const void *buf, uint64_t unit);

#endif
