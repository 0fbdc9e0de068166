/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a block device has done, and how long it took: counts and latencies, always on; latency histograms and sampled queue depths on
 * request. Each channel counts on its own thread, so asking takes a message to each of them: these calls take an op.
 *
 * Times are measured with the processor's counter and told in nanoseconds of real time, also where the environment has a clock of its
 * own. An I/O is measured from submit until the module, or whatever held it back, has ended it; a device that others stand on counts
 * theirs, too. What was split or emulated counts once, as what it was.
 *
 * Everywhere: 0: begun, `op` completes on the calling nvio_thread with 0, -ECANCELED the thread exits, -ETIMEDOUT; else nothing was:
 * -EINVAL NULL, op flags, or no current thread; -ENODEV removed; -ENOMEM; -EBUSY 64 such calls are under way for the device. They
 * cannot be cancelled. Any nvio_thread. The descriptor may be closed before the op completes.
 */
#ifndef NVIO_BDEV_STAT_H
#define NVIO_BDEV_STAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nvio/bdev.h>
#include <nvio/compiler.h>
#include <nvio/histogram.h>

NVIO_BEGIN_DECLS

/* Of one type of I/O: what has ended. */
struct nvio_bdev_io_stats {
	uint64_t ops;	   /* errors among them */
	uint64_t bytes;
	uint64_t errors;
	uint64_t total_ns; /* all latencies together; the mean is total_ns / ops */
	uint64_t min_ns;   /* 0 while there are none */
	uint64_t max_ns;
};

struct nvio_bdev_stats {
	size_t size;
	uint64_t elapsed_ns; /* since the device was made, or nvio_bdev_reset_stats() */
	uint32_t channels;   /* there are now */
	uint32_t sampled;    /* of these, how many have sampled their queue depth */
	uint64_t in_flight;  /* now, or rather when each channel was asked */
	double mean_depth;   /* how many were in flight on average: total_ns of all types / elapsed_ns (Little's law) */
	double sampled_depth;	    /* the same, by sampling: nvio_bdev_set_depth_sampling() */
	uint64_t sampled_depth_max; /* the highest sample of each channel, together: not exceeded at any sample */
	struct nvio_bdev_io_stats io[16]; /* by enum nvio_bdev_io_type; those there are not are zeros */
};

/* struct nvio_bdev_stats stats = NVIO_BDEV_STATS; */
#define NVIO_BDEV_STATS { .size = sizeof(struct nvio_bdev_stats) }

/* `stats` is filled when op completes with 0, as far as stats->size says it goes; until then it is the library's. */
NVIO_EXPORT int nvio_bdev_get_stats(struct nvio_bdev_desc *desc, struct nvio_bdev_stats *stats, struct nvio_op *op);

/* Everything counts from zero, for all who ask: statistics, histograms, and samples. */
NVIO_EXPORT int nvio_bdev_reset_stats(struct nvio_bdev_desc *desc, struct nvio_op *op);

/*
 * Has the latencies of each type counted in histograms from now on, or no longer, which forgets them. It costs 165 KiB per channel, and
 * each I/O goes a longer way. op.status also -ENOMEM; then there are none.
 */
NVIO_EXPORT int nvio_bdev_set_histograms(struct nvio_bdev_desc *desc, bool on, struct nvio_op *op);

/*
 * Adds the latencies of one type, in nanoseconds, of all channels to `histogram`, which is the library's until op completes. Also -EINVAL
 * no such type; -ENOENT there are no histograms.
 */
NVIO_EXPORT int nvio_bdev_get_histogram(struct nvio_bdev_desc *desc, enum nvio_bdev_io_type type,
	struct nvio_histogram *histogram, struct nvio_op *op);

/*
 * Has each channel look every so many microseconds, by the environment's clock, at how many I/Os are in flight on it; 0: no longer. Starts
 * the samples anew. op.status also -ENOMEM; then none are taken.
 */
NVIO_EXPORT int nvio_bdev_set_depth_sampling(struct nvio_bdev_desc *desc, uint64_t period_us, struct nvio_op *op);

NVIO_END_DECLS

#endif
