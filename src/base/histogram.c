/* SPDX-License-Identifier: BSD-3-Clause */
/* What is asked of a histogram once the values are in; counting is in the header. */
#include <nvio/histogram.h>

#include <string.h>

#include "base/compiler.h"

nvio_static_assert(NVIO_HISTOGRAM_BUCKETS == 1920, "part of the ABI");

void nvio_histogram_clear(struct nvio_histogram *h)
{
	memset(h, 0, sizeof(*h));
}

void nvio_histogram_merge(struct nvio_histogram *into, const struct nvio_histogram *from)
{
	if (!from->count)
		return;
	if (!into->count || from->min < into->min)
		into->min = from->min;
	into->max = MAX(into->max, from->max);
	into->count += from->count;
	into->sum += from->sum;
	into->sum_high += from->sum_high + (into->sum < from->sum);
	for (unsigned i = 0; i < NVIO_HISTOGRAM_BUCKETS; i++)
		into->buckets[i] += from->buckets[i];
}

uint64_t nvio_histogram_count(const struct nvio_histogram *h)
{
	return h->count;
}

uint64_t nvio_histogram_min(const struct nvio_histogram *h)
{
	return h->count ? h->min : 0;
}

uint64_t nvio_histogram_max(const struct nvio_histogram *h)
{
	return h->max;
}

double nvio_histogram_mean(const struct nvio_histogram *h)
{
	return h->count ? ((double)h->sum_high * 0x1p64 + (double)h->sum) / (double)h->count : 0;
}

/* The middle of a bucket, rounded down. */
static uint64_t bucket_middle(unsigned bucket)
{
	const unsigned per_group = 1u << NVIO_HISTOGRAM_BITS;
	unsigned shift;

	if (bucket < per_group)
		return bucket;
	shift = bucket / per_group - 1;
	return ((uint64_t)(per_group + bucket % per_group) << shift) + ((UINT64_C(1) << shift) - 1) / 2;
}

/* How many values must not exceed the one looked for: percent of count, rounded up, 1 to count. */
static uint64_t rank_of(const struct nvio_histogram *h, double percent)
{
	double exact = (double)h->count * percent / 100;
	uint64_t rank;

	if (!(exact >= 1))
		return 1;
	if (exact >= (double)h->count)
		return h->count;
	rank = (uint64_t)exact;
	return rank + ((double)rank < exact);
}

uint64_t nvio_histogram_percentile(const struct nvio_histogram *h, double percent)
{
	uint64_t seen = 0, rank, value;
	unsigned i;

	if (!h->count || !(percent > 0))
		return nvio_histogram_min(h);
	if (percent >= 100)
		return h->max;
	rank = rank_of(h, percent);
	for (i = 0; i < NVIO_HISTOGRAM_BUCKETS - 1; i++) {
		seen += h->buckets[i];
		if (seen >= rank)
			break;
	}
	value = bucket_middle(i);
	return MIN(MAX(value, h->min), h->max);
}
