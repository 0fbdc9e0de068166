/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A latency histogram: any number of values from 0 to 2^64 - 1 (nanoseconds, by custom) in 15 KiB of the
 * caller's memory. Values below 64 are kept exactly; above, each power of two is divided into 32 buckets, and
 * a percentile is told as the middle of its bucket, so it is off by at most 1/64 of the true value. Count,
 * minimum, maximum and mean are exact.
 */
#ifndef NVIO_HISTOGRAM_H
#define NVIO_HISTOGRAM_H

#include <stdint.h>

#include <nvio/compiler.h>

NVIO_BEGIN_DECLS

#define NVIO_HISTOGRAM_BITS    5 /* 2^5 buckets for each power of two */
#define NVIO_HISTOGRAM_BUCKETS ((64 - NVIO_HISTOGRAM_BITS + 1) << NVIO_HISTOGRAM_BITS)

/*
 * All zero bytes is an empty one. One thread at a time; to count on several, give each its own and merge
 * them.
 */
struct nvio_histogram {
	uint64_t count;
	uint64_t min, max;       /* meaningless while count is 0 */
	uint64_t sum, sum_high;  /* 128 bits */
	uint64_t buckets[NVIO_HISTOGRAM_BUCKETS];
};

/* The bucket of a value. */
static inline unsigned nvio_histogram_bucket(uint64_t value)
{
	unsigned shift;

	if (value < 1u << NVIO_HISTOGRAM_BITS)
		return (unsigned)value;
	shift = 63u - (unsigned)__builtin_clzll(value) - NVIO_HISTOGRAM_BITS;
	/* The leading 1 of value >> shift steps to the next group of buckets. */
	return (shift << NVIO_HISTOGRAM_BITS) + (unsigned)(value >> shift);
}

/* Counts a value. Never fails; needs no call before it but zeroing. */
static inline void nvio_histogram_add(struct nvio_histogram *h, uint64_t value)
{
	if (value < h->min || !h->count)
		h->min = value;
	if (value > h->max)
		h->max = value;
	h->count++;
	h->sum += value;
	h->sum_high += h->sum < value;
	h->buckets[nvio_histogram_bucket(value)]++;
}

/* Empties it. */
NVIO_EXPORT void nvio_histogram_clear(struct nvio_histogram *h);

/* Adds all that `from` has counted to `into`; the two must differ. */
NVIO_EXPORT void nvio_histogram_merge(struct nvio_histogram *into, const struct nvio_histogram *from);

NVIO_EXPORT uint64_t nvio_histogram_count(const struct nvio_histogram *h);

/* All of these are 0 on an empty histogram. */
NVIO_EXPORT uint64_t nvio_histogram_min(const struct nvio_histogram *h);
NVIO_EXPORT uint64_t nvio_histogram_max(const struct nvio_histogram *h);
NVIO_EXPORT double nvio_histogram_mean(const struct nvio_histogram *h);

/*
 * The smallest value that `percent` per cent of the values do not exceed (50: the median), within 1/64 of it
 * and never outside of minimum and maximum. 0 and below (and not-a-number) give the minimum, 100 and above
 * the maximum.
 */
NVIO_EXPORT uint64_t nvio_histogram_percentile(const struct nvio_histogram *h, double percent);

NVIO_END_DECLS

#endif
