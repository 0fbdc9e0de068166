/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `nvio perf` in four parts: what is asked for and the report (perf.c), the loop (perf_run.c), where the I/O
 * goes (perf_io.c), the pattern (perf_verify.c).
 */
#ifndef CLI_PERF_H
#define CLI_PERF_H

#include <stdbool.h>
#include <stdint.h>

#include <nvio/bdev.h>
#include <nvio/histogram.h>

#include "cli.h"

#define PERF_DEPTH_MAX 4096
#define PERF_THREADS_MAX 64
#define PERF_MEMORY_MAX (UINT64_C(1) << 30)
#define PERF_VERIFY_BLOCK_MAX 65536

enum perf_rw {
	PERF_RANDREAD,
	PERF_RANDWRITE,
	PERF_READ,
	PERF_WRITE,
	PERF_RANDRW,
};

/* What a thread does when nothing has completed. */
enum perf_wait {
	PERF_SPIN,
	PERF_SLEEP,    /* until the drive interrupts, or whatever a device has to wake its thread with */
	PERF_ADAPTIVE, /* spins a while, then sleeps */
};

/* Where the buffers come from. */
enum perf_buffers {
	PERF_BUFFERS_DMA,        /* nvio_mem_alloc() */
	PERF_BUFFERS_REGISTERED, /* memory of the tool's own, made known to drives */
	PERF_BUFFERS_FOREIGN,    /* memory that no drive knows: what cannot reach it has it copied */
};

/* What is measured: a namespace, or a block device. */
struct perf_target {
	struct nvio_env *env;
	uint32_t block_size;
	uint64_t bytes;
	bool is_bdev;
	bool writes;
	struct cli_dev dev;                /* a namespace */
	struct nvio_thread *thread;        /* a block device: the calling OS thread's, */
	char name[NVIO_BDEV_NAME_MAX + 1]; /* and its name */
};

/* One OS thread's way to it. */
struct perf_io {
	struct perf_target *target;
	struct nvio_thread *thread; /* NULL: a namespace */
	bool own_thread;
	struct nvio_bdev_desc *desc;
	struct nvio_channel *ch;
	enum perf_wait wait;
	uint64_t idle_since_ns;     /* adaptive; 0: it is not */
	uint64_t sleeps;
};

/* What has been written where, by generations; one unit is one I/O. See perf_verify.c. */
struct perf_verify {
	uint32_t *generation; /* what the unit holds; 0: not written by us */
	uint64_t *want;       /* room for a block */
	uint64_t first;       /* unit */
	uint64_t seed;
	uint32_t block_size;
	uint32_t blocks;      /* of a unit */
	uint32_t next;        /* generation of the next write */
	uint64_t mismatches;  /* blocks */
};

struct perf {
	/* As asked for. */
	struct perf_target *target;
	enum perf_rw rw;
	uint32_t threads;
	uint32_t depth;       /* of each thread */
	uint32_t bs;
	double time_s;        /* counts when ios is CLI_UNSET */
	uint64_t ios;
	uint32_t read_percent;
	uint64_t seed;
	bool verify;
	enum perf_wait wait;
	enum perf_buffers buffers;
	uint32_t misalign;    /* bytes from the beginning of a page on that each buffer begins at */
	uint64_t first;       /* the region's first unit */
	uint64_t units;       /* I/Os that the region holds */

	/* Results. */
	double elapsed_s;
	uint64_t done, reads, writes, errors, sleeps;
	struct nvio_histogram latency;
	struct perf_verify pattern;
};

/* Opens what `text` says, for what p asks. A failed open leaves nothing to close. */
int perf_target_open(struct perf_target *t, const char *text, const struct perf *p, bool writes);
void perf_target_close(struct perf_target *t);

/* own_thread: not the OS thread that opened the target. A failed open leaves nothing to close. */
int perf_io_open(struct perf_io *io, struct perf_target *t, bool own_thread);
void perf_io_close(struct perf_io *io);
int perf_io_submit(struct perf_io *io, bool is_write, void *buf, uint64_t offset, uint32_t bytes, struct nvio_op *op);
/* Takes what has completed; when nothing has, waits as io->wait says. */
void perf_io_poll(struct perf_io *io);
/* Tells how the I/O ended, or why it could not be submitted. */
void perf_io_fail(struct perf_io *io, const struct nvio_op *op, bool is_write, uint64_t offset);

/*
 * Measures. CLI_OK, CLI_FAILED on errors, CLI_DIFFERS on data that is not what was written. The results count
 * in any case.
 */
int perf_run(struct perf *p);

/* For the p->units units from p->first on. */
int perf_verify_init(struct perf_verify *v, const struct perf *p);
void perf_verify_fini(struct perf_verify *v);
/* Fills the buffer of a write to the unit; `generation` is what it will hold once the write has succeeded. */
uint32_t perf_verify_fill(struct perf_verify *v, void *buf, uint64_t unit);
/* Whether the unit's data is what was last written; counts and tells what is not. */
void perf_verify_check(struct perf_verify *v, const void *buf, uint64_t unit);

#endif
