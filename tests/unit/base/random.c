/* SPDX-License-Identifier: BSD-3-Clause */
/* Random numbers: the generator's published output, and distributions that are what they say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/random.h"

/* State 1, 2, 3, 4: first outputs of the reference implementation. */
static void the_generator_is_xoshiro256starstar(void **state)
{
	static const uint64_t want[] = {
		11520, 0, 1509978240, 1215971899390074240, 1216172134540287360, 607988272756665600,
	};
	struct random r = { { 1, 2, 3, 4 } };

	for (size_t i = 0; i < ARRAY_SIZE(want); i++)
		assert_true(random_u64(&r) == want[i]);
}

static void a_seed_repeats_and_another_differs(void **state)
{
	struct random a, b, c;
	int same = 0;

	random_init(&a, 0);
	random_init(&b, 0);
	random_init(&c, 1);
	for (int i = 0; i < 1000; i++) {
		uint64_t x = random_u64(&a);

		assert_true(x == random_u64(&b));
		same += x == random_u64(&c);
	}
	assert_int_equal(same, 0);
}

static void below_is_even_and_below(void **state)
{
	enum { N = 6, DRAWS = 60000 };
	int seen[N] = { 0 };
	struct random r;

	random_init(&r, 3);
	for (int i = 0; i < DRAWS; i++) {
		uint64_t x = random_below(&r, N);

		assert_in_range(x, 0, N - 1);
		seen[x]++;
	}
	for (int i = 0; i < N; i++) /* 10000 each; 5 standard deviations are 457 */
		assert_in_range(seen[i], 9543, 10457);
}

/* With 3 * 2^62 a plain remainder would give the lowest third twice as often as each other third. */
static void below_is_even_for_huge_ranges(void **state)
{
	const uint64_t third = UINT64_C(1) << 62;
	int seen[3] = { 0 };
	struct random r;

	random_init(&r, 4);
	for (int i = 0; i < 30000; i++)
		seen[random_below(&r, 3 * third) / third]++;
	for (int i = 0; i < 3; i++)
		assert_in_range(seen[i], 9500, 10500);
}

static void the_smallest_ranges_have_one_answer(void **state)
{
	struct random r;

	random_init(&r, 1);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(random_below(&r, 0), 0);
		assert_int_equal(random_below(&r, 1), 0);
	}
}

static void probabilities_are_kept(void **state)
{
	static const struct {
		double p;
		int low, high; /* of 10000 */
	} cases[] = {
		{ -1, 0, 0 }, { 0, 0, 0 }, { 0.01, 50, 150 }, { 0.5, 4750, 5250 }, { 1, 10000, 10000 },
		{ 2, 10000, 10000 },
	};
	struct random r;

	random_init(&r, 6);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int hits = 0;

		for (int n = 0; n < 10000; n++)
			hits += random_bool(&r, cases[i].p);
		assert_in_range(hits, cases[i].low, cases[i].high);
	}
}

static void filling_writes_just_the_range(void **state)
{
	for (size_t len = 0; len < 20; len++) {
		unsigned char buf[24] = { 0 }, again[24] = { 0 };
		struct random a, b;

		random_init(&a, 9);
		random_init(&b, 9);
		buf[len] = 0x5a;
		random_fill(&a, buf, len);
		assert_int_equal(buf[len], 0x5a);
		random_fill(&b, again, len);
		assert_memory_equal(buf, again, len);
		for (size_t i = len + 1; i < sizeof(buf); i++)
			assert_int_equal(buf[i], 0);
	}
}

static void the_system_gives_seeds(void **state)
{
	uint64_t a = random_os_seed(), b = random_os_seed();

	assert_true(a && b && a != b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_generator_is_xoshiro256starstar),
		cmocka_unit_test(a_seed_repeats_and_another_differs),
		cmocka_unit_test(below_is_even_and_below),
		cmocka_unit_test(below_is_even_for_huge_ranges),
		cmocka_unit_test(the_smallest_ranges_have_one_answer),
		cmocka_unit_test(probabilities_are_kept),
		cmocka_unit_test(filling_writes_just_the_range),
		cmocka_unit_test(the_system_gives_seeds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
