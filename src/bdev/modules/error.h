/* SPDX-License-Identifier: BSD-3-Clause */
/* The error device's plan: which I/O is struck, and by what. One plan for all threads. */
#ifndef BDEV_MODULES_ERROR_H
#define BDEV_MODULES_ERROR_H

#include "bdev/bdev.h"

struct error_rule {
	struct nvio_bdev_error_inject inject;
	uint64_t seen;	 /* I/O that fits */
	uint64_t struck;
};

struct error_plan {
	pthread_mutex_t lock;
	_Atomic uint32_t count; /* lock to write; 0: nobody need take it */
	struct error_rule rules[NVIO_BDEV_ERROR_MAX]; /* lock */
	struct random random;			      /* lock */
	struct nvio_bdev_error_stats stats;	      /* lock */
	uint32_t block_size;			      /* immutable */
};

/* Where in the life of an I/O it is looked at: corrupted reads are when their data has come, all else is before. */
enum error_when {
	ERROR_BEFORE,
	ERROR_AFTER,
};

/* Checks and adds. 0; -EINVAL; -ENOSPC. */
int error_plan_add(struct error_plan *plan, const struct nvio_bdev_error_inject *inject);
void error_plan_clear(struct error_plan *plan);

/* Whether something strikes the I/O now, which is copied to `out`. */
bool error_plan_strikes(
	struct error_plan *plan, const struct nvio_bdev_io *io, enum error_when when, struct nvio_bdev_error_inject *out);

#endif
