/* SPDX-License-Identifier: BSD-3-Clause */
/* Bitmaps: every edge of a word, against a plain array of booleans. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>

#include "base/bitmap.h"
#include "base/random.h"

static void finds_across_word_edges(void **state)
{
	static const struct {
		size_t nbits, set_to, from, want; /* bits 0 to set_to - 1 are set */
	} cases[] = {
		{ 1, 0, 0, 0 },       { 1, 1, 0, 1 },     { 63, 62, 0, 62 },   { 63, 63, 0, 63 },
		{ 64, 63, 0, 63 },    { 64, 64, 0, 64 },  { 65, 64, 0, 64 },   { 65, 65, 0, 65 },
		{ 200, 128, 0, 128 }, { 200, 5, 6, 6 },   { 200, 5, 2, 5 },    { 200, 199, 64, 199 },
		{ 200, 200, 64, 200 }, { 200, 0, 199, 199 }, { 200, 0, 200, 200 }, { 200, 0, 1000, 200 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t map[4] = { 0 };

		for (size_t bit = 0; bit < cases[i].set_to; bit++)
			bitmap_set(map, bit);
		assert_int_equal(bitmap_find_zero(map, cases[i].nbits, cases[i].from), cases[i].want);
		for (size_t w = 0; w < 4; w++)
			map[w] = ~map[w];
		assert_int_equal(bitmap_find_set(map, cases[i].nbits, cases[i].from), cases[i].want);
	}
}

static void bits_behind_the_end_count_for_nothing(void **state)
{
	uint64_t map[2] = { UINT64_MAX, UINT64_MAX };

	bitmap_clear(map, 70);
	assert_int_equal(bitmap_find_zero(map, 70, 0), 70);
	assert_int_equal(bitmap_find_zero(map, 71, 0), 70);
	assert_int_equal(bitmap_count(map, 70), 70);
	assert_int_equal(bitmap_count(map, 71), 70);
	assert_int_equal(bitmap_count(map, 128), 127);
	bitmap_zero(map, 65);
	assert_int_equal(map[0] | map[1], 0);
}

static void agrees_with_an_array_of_booleans(void **state)
{
	enum { BITS = 333 };
	uint64_t map[BITMAP_WORDS(BITS)] = { 0 };
	bool model[BITS] = { false };
	struct random r;

	random_init(&r, 7);
	for (int step = 0; step < 20000; step++) {
		size_t bit = random_below(&r, BITS), first, n = 0;

		model[bit] = random_bool(&r, 0.7);
		(model[bit] ? bitmap_set : bitmap_clear)(map, bit);
		bit = random_below(&r, BITS);
		assert_int_equal(bitmap_test(map, bit), model[bit]);
		for (first = bit; first < BITS && model[first]; first++)
			;
		assert_int_equal(bitmap_find_zero(map, BITS, bit), first);
		for (size_t i = 0; i < BITS; i++)
			n += model[i];
		assert_int_equal(bitmap_count(map, BITS), n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_across_word_edges),
		cmocka_unit_test(bits_behind_the_end_count_for_nothing),
		cmocka_unit_test(agrees_with_an_array_of_booleans),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
