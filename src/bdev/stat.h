/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Asking each channel of a device something, on its own thread, and losing nothing of those that end
 * meanwhile. A channel that ends leaves what it has counted to the device, under the registry lock, and first
 * to each walk that has not been to it.
 */
#ifndef BDEV_STAT_H
#define BDEV_STAT_H

#include "bdev/bdev.h"
#include <nvio/bdev_stat.h>

#define BDEV_WALKS 64 /* at once per device: bits of bdev_channel.walked */

struct bdev_walk {
	struct list link;	    /* registry lock; in bdev.walks */
	uint64_t bit;		    /* immutable */
	struct nvio_bdev *bdev;	    /* immutable; pinned */
	struct nvio_thread *thread; /* immutable; where both ops are */
	/* Has a channel give, or take, what it is about. The channel's thread, registry lock. 0 or -errno. */
	int (*take)(struct bdev_walk *walk, struct bdev_channel *ch);
	/* NULL, or the last step, on `thread`; its value is the op's status. -EINPROGRESS: it has set out
	 * again. */
	int (*finish)(struct bdev_walk *walk, int status);
	/* NULL, or what takes back `begin` when it could not set out. Registry lock. */
	void (*undo)(struct bdev_walk *walk);
	struct nvio_op walk_op;
	struct nvio_op *op;
	int status; /* registry lock; the first error of take() */

	/* For the use of those. The walk frees `sum`; whoever takes over `out` sets it to NULL. */
	struct bdev_sum *sum;
	void *out;
	bool owns_out; /* the walk frees `out` */
	uint64_t value;
};

/* What all channels have together. */
struct bdev_sum {
	struct bdev_stat stats[NVIO_BDEV_IO_TYPES];
	uint64_t in_flight;
	uint32_t channels, sampled;
	double sampled_depth;
	uint64_t sampled_depth_max;
};

/*
 * Sets out with what `walk` says (take, finish, sum, out, value), a copy of which is made. `begin` runs once
 * under the registry lock before, and may be NULL. 0, or what nvio_bdev_get_stats() answers; on an error
 * `sum`, and `out` if owned, are freed, too.
 */
int bdev_walk_start(struct nvio_bdev_desc *desc, const char *what, const struct bdev_walk *walk,
	void (*begin)(struct bdev_walk *walk), struct nvio_op *op);
/* From finish(): once more, with another take(). 0 or -errno. */
int bdev_walk_again(struct bdev_walk *walk, int (*take)(struct bdev_walk *walk, struct bdev_channel *ch));

void bdev_stat_add(struct bdev_stat *into, const struct bdev_stat *from);

/* A channel comes into being, and ends: what is watched of it. observe.c */
int bdev_observe_init(struct bdev_channel *ch);
void bdev_observe_fini(struct bdev_channel *ch);
/* The channel leaves what it has counted behind. Registry lock. walk.c */
void bdev_walk_leave(struct bdev_channel *ch);
/* What a channel without I/O of its own any more has counted for the one below it, too. Own thread. stat.c */
void bdev_stat_stop_feeding(struct bdev_channel *ch);
/* Registry lock. observe.c */
void bdev_histograms_leave(struct bdev_channel *ch);

/* How many I/Os are in flight on the channel. Own thread. */
uint64_t bdev_depth(const struct bdev_channel *ch);

/* How long a tick of cycles() is. */
double bdev_ns_per_tick(const struct bdev_registry *reg);

#endif
