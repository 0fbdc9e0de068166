/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The floor: the least that anybody does who moves a 4 KiB read through NVMe memory queues. An op, a per-
 * command array, the entry written in place, one doorbell per batch, completions found by their phase tag;
 * no checks, no namespaces, no timeouts, no errors, nothing but one command. What a driver costs is told as
 * a ratio to this.
 */
#ifndef BENCH_FLOOR_H
#define BENCH_FLOOR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define FLOOR_ENTRIES 256u
#define FLOOR_LINE    64

struct floor_op {
	void (*done)(struct floor_op *op);
	void *arg;
	int status;
	uint32_t dw0;
};

struct floor_sqe {
	uint64_t word[8];
};

struct floor_cqe {
	uint32_t dw0, dw1;
	uint16_t sqhd, sqid;
	_Atomic uint32_t last; /* cid 15:0, phase tag 16, status 31:17 */
};

struct floor_slot {
	struct floor_op *op;
	uint16_t next_free;
};

struct floor_rings {
	/* The host's. */
	struct floor_slot slots[FLOOR_ENTRIES] __attribute__((aligned(FLOOR_LINE)));
	uint32_t sq_tail, sq_rung, cq_head, cq_phase;
	uint16_t free_slot;
	/* Written by the host, read by the device. */
	_Atomic uint32_t sq_doorbell __attribute__((aligned(FLOOR_LINE)));
	_Atomic uint32_t cq_doorbell __attribute__((aligned(FLOOR_LINE)));
	struct floor_sqe sq[FLOOR_ENTRIES] __attribute__((aligned(FLOOR_LINE)));
	/* The device's. */
	uint32_t dev_head __attribute__((aligned(FLOOR_LINE)));
	uint32_t dev_cq_tail, dev_phase;
	uint64_t dev_moved; /* of the addresses it was given, so that reading them is not for nothing */
	/* Written by the device, read by the host. */
	struct floor_cqe cq[FLOOR_ENTRIES] __attribute__((aligned(FLOOR_LINE)));
};

void floor_init(struct floor_rings *f);

/* Host: a read of `nblocks` at `lba` into `buf`. At most FLOOR_ENTRIES - 1 at once. */
void floor_submit(struct floor_rings *f, struct floor_op *op, void *buf, uint64_t lba, uint32_t nblocks);

/* Host: rings for what was submitted, takes what completed, runs callbacks, rings for what they submitted. */
unsigned floor_reap(struct floor_rings *f);

/* Device: completes what there is; returns how many. */
unsigned floor_device(struct floor_rings *f);

#endif
