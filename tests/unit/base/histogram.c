/* SPDX-License-Identifier: BSD-3-Clause */
/* The latency histogram against sorted values: the documented error bound holds for every shape of input. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/random.h"
#include <nvio/histogram.h>

enum { VALUES = 20000 };

static uint64_t values[VALUES];
static struct nvio_histogram hist;

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void assert_within_bound(uint64_t got, uint64_t exact)
{
	uint64_t off = got > exact ? got - exact : exact - got;

	if (off > exact / 64)
		fail_msg("%llu is off from %llu", (unsigned long long)got, (unsigned long long)exact);
}

static uint64_t any_magnitude(struct random *r) { return random_u64(r) >> random_below(r, 64); }
static uint64_t around_ten_us(struct random *r) { return 8000 + random_below(r, 4000); }
static uint64_t small(struct random *r) { return random_below(r, 64); }
static uint64_t two_peaks(struct random *r) { return random_bool(r, 0.01) ? 50000000 + small(r) : 7777; }
static uint64_t constant(struct random *r) { return 123456789; }
static uint64_t at_the_end(struct random *r) { return UINT64_MAX - random_below(r, 3); }

static void percentiles_are_within_the_bound(void **state)
{
	static uint64_t (*const shapes[])(struct random *) = {
		any_magnitude, around_ten_us, small, two_peaks, constant, at_the_end,
	};
	static const double percents[] = { 0, 0.001, 1, 10, 50, 90, 99, 99.9, 99.99, 99.999, 100 };
	static const size_t counts[] = { 1, 2, 3, 1000, VALUES };
	struct random r;

	random_init(&r, 2024);
	for (size_t shape = 0; shape < ARRAY_SIZE(shapes); shape++) {
		for (size_t c = 0; c < ARRAY_SIZE(counts); c++) {
			size_t n = counts[c];

			nvio_histogram_clear(&hist);
			for (size_t i = 0; i < n; i++)
				nvio_histogram_add(&hist, values[i] = shapes[shape](&r));
			qsort(values, n, sizeof(values[0]), by_value);
			for (size_t p = 0; p < ARRAY_SIZE(percents); p++) {
				size_t rank = (size_t)ceil((double)n * percents[p] / 100);

				assert_within_bound(nvio_histogram_percentile(&hist, percents[p]),
					values[rank ? rank - 1 : 0]);
			}
			assert_true(nvio_histogram_min(&hist) == values[0]);
			assert_true(nvio_histogram_max(&hist) == values[n - 1]);
			assert_int_equal(nvio_histogram_count(&hist), n);
		}
	}
}

/* Every bucket's own edges, so that no value is ever counted next door. */
static void bucket_edges_are_within_the_bound(void **state)
{
	unsigned last = 0;

	assert_int_equal(nvio_histogram_bucket(UINT64_MAX), NVIO_HISTOGRAM_BUCKETS - 1);
	for (unsigned bit = 0; bit < 64; bit++) {
		for (int off = -2; off <= 2; off++) {
			uint64_t v = (UINT64_C(1) << bit) + (uint64_t)(int64_t)off;
			uint64_t pair[] = { v, UINT64_MAX };

			if (bit < 2 || v > UINT64_MAX - 2)
				continue;
			assert_true(nvio_histogram_bucket(v) >= last);
			last = nvio_histogram_bucket(v);
			nvio_histogram_clear(&hist);
			nvio_histogram_add(&hist, 0);
			nvio_histogram_add(&hist, pair[0]);
			nvio_histogram_add(&hist, pair[1]);
			assert_within_bound(nvio_histogram_percentile(&hist, 50), v);
		}
		last = 0;
	}
}

static void an_empty_one_answers_zero(void **state)
{
	static const double percents[] = { -1, 0, 50, 100, NAN };

	memset(&hist, 0, sizeof(hist));
	for (size_t i = 0; i < ARRAY_SIZE(percents); i++)
		assert_int_equal(nvio_histogram_percentile(&hist, percents[i]), 0);
	assert_int_equal(nvio_histogram_min(&hist), 0);
	assert_int_equal(nvio_histogram_max(&hist), 0);
	assert_int_equal(nvio_histogram_count(&hist), 0);
	assert_true(nvio_histogram_mean(&hist) == 0);
}

static void odd_percents_are_the_ends(void **state)
{
	nvio_histogram_clear(&hist);
	for (uint64_t v = 1000; v <= 3000; v += 1000)
		nvio_histogram_add(&hist, v);
	assert_int_equal(nvio_histogram_percentile(&hist, -5), 1000);
	assert_int_equal(nvio_histogram_percentile(&hist, NAN), 1000);
	assert_int_equal(nvio_histogram_percentile(&hist, -INFINITY), 1000);
	assert_int_equal(nvio_histogram_percentile(&hist, INFINITY), 3000);
	assert_int_equal(nvio_histogram_percentile(&hist, 1e300), 3000);
}

static void the_mean_is_exact_beyond_64_bits_of_sum(void **state)
{
	nvio_histogram_clear(&hist);
	for (int i = 0; i < 5; i++)
		nvio_histogram_add(&hist, UINT64_MAX);
	assert_true(fabs(nvio_histogram_mean(&hist) / 0x1p64 - 1) < 1e-15);
	nvio_histogram_clear(&hist);
	nvio_histogram_add(&hist, 1);
	nvio_histogram_add(&hist, 2);
	assert_true(nvio_histogram_mean(&hist) == 1.5);
}

static void merging_equals_counting_in_one(void **state)
{
	static struct nvio_histogram parts[3], whole;
	struct random r;

	random_init(&r, 5);
	nvio_histogram_clear(&whole);
	memset(parts, 0, sizeof(parts)); /* parts[2] stays empty */
	for (size_t i = 0; i < VALUES; i++) {
		uint64_t v = random_u64(&r);

		nvio_histogram_add(&whole, v);
		nvio_histogram_add(&parts[i % 2], v);
	}
	nvio_histogram_clear(&hist);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		nvio_histogram_merge(&hist, &parts[i]);
	assert_memory_equal(&hist, &whole, sizeof(whole));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(percentiles_are_within_the_bound),
		cmocka_unit_test(bucket_edges_are_within_the_bound),
		cmocka_unit_test(an_empty_one_answers_zero),
		cmocka_unit_test(odd_percents_are_the_ends),
		cmocka_unit_test(the_mean_is_exact_beyond_64_bits_of_sum),
		cmocka_unit_test(merging_equals_counting_in_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
