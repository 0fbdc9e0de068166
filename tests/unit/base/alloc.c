/* SPDX-License-Identifier: BSD-3-Clause */
/* The heap and its switch: that a chosen allocation fails once, and no other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"

static void memory_is_zeroed_and_aligned(void **state)
{
	static const struct {
		size_t align, size;
	} cases[] = { { 1, 1 }, { 8, 100 }, { 64, 0 }, { 64, 3 }, { 4096, 5000 }, { 1 << 20, 64 } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		unsigned char *p = alloc_aligned(cases[i].align, cases[i].size), *q = alloc_zeroed(cases[i].size);

		assert_non_null(p);
		assert_non_null(q);
		assert_int_equal((uintptr_t)p % cases[i].align, 0);
		for (size_t b = 0; b < cases[i].size; b++)
			assert_int_equal(p[b] | q[b], 0);
		alloc_free(p);
		alloc_free(q);
	}
	alloc_free(NULL);
}

static void nothing_is_not_a_failure(void **state)
{
	void *none[] = { alloc_zeroed(0), alloc_array(0, 8), alloc_array(8, 0) };

	for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
		assert_non_null(none[i]);
		alloc_free(none[i]);
	}
}

static void a_product_that_overflows_is_refused(void **state)
{
	volatile size_t huge = SIZE_MAX / 2; /* volatile: the compiler would warn, rightly */

	assert_null(alloc_array(huge, 3));
	assert_null(alloc_array(3, huge));
}

static void strings_are_copied(void **state)
{
	char text[] = "disk0", *copy = alloc_strdup(text);

	text[0] = 'x';
	assert_string_equal(copy, "disk0");
	alloc_free(copy);
}

/* One allocation of each kind; the number of those that failed, and which. */
static int allocate_four(int *failed_at)
{
	void *p[] = { alloc_zeroed(8), alloc_array(2, 8), alloc_aligned(64, 8), alloc_strdup("x") };
	int failed = 0;

	for (int i = 0; i < 4; i++) {
		if (!p[i]) {
			failed++;
			*failed_at = i;
		}
		alloc_free(p[i]);
	}
	return failed;
}

static void the_chosen_allocation_fails_once(void **state)
{
	for (int n = 0; n < 6; n++) {
		int at = -1;

		alloc_fail_after(n);
		assert_int_equal(allocate_four(&at), n < 4);
		assert_int_equal(at, n < 4 ? n : -1);
		assert_int_equal(alloc_fail_after(-1), n < 4 ? -1 : n - 4);
		assert_int_equal(allocate_four(&at), 0);
	}
}

static void *allocate_elsewhere(void *arg)
{
	int at;

	*(int *)arg = allocate_four(&at);
	return NULL;
}

static void other_threads_are_left_alone(void **state)
{
	pthread_t other;
	int failed = -1;

	assert_int_equal(pthread_create(&other, NULL, allocate_elsewhere, &failed), 0);
	alloc_fail_after(0);
	assert_int_equal(pthread_join(other, NULL), 0);
	assert_int_equal(failed, 0);
	assert_null(alloc_zeroed(8));
	assert_int_equal(alloc_fail_after(-1), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_zeroed_and_aligned),
		cmocka_unit_test(nothing_is_not_a_failure),
		cmocka_unit_test(a_product_that_overflows_is_refused),
		cmocka_unit_test(strings_are_copied),
		cmocka_unit_test(the_chosen_allocation_fails_once),
		cmocka_unit_test(other_threads_are_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
