/* SPDX-License-Identifier: BSD-3-Clause */
/* The radix tree of the headers, against a plain table. */
#include "fixture.h"

#include <radix-tree.h>

#define N 400

static unsigned long index_of(unsigned int i)
{
	/* Dense, sparse and at the very top. */
	return i % 3 == 0 ? i : i % 3 == 1 ? (unsigned long)i << 40 | i : ~0ul - i;
}

static int by_index(const void *a, const void *b)
{
	unsigned long x = index_of(*(const unsigned int *)a), y = index_of(*(const unsigned int *)b);

	return x < y ? -1 : x > y;
}

static void holds_what_was_put_in(void **state)
{
	static unsigned int items[N], order[N];
	void *found[N];
	RADIX_TREE(root);

	assert_null(radix_tree_lookup(&root, 0));
	assert_null(radix_tree_delete(&root, ~0ul));
	assert_int_equal(radix_tree_insert(&root, 1, NULL), -EINVAL);
	for (unsigned int i = 0; i < N; i++) {
		items[i] = order[i] = i;
		assert_int_equal(radix_tree_insert(&root, index_of(i), &items[i]), 0);
		assert_int_equal(radix_tree_insert(&root, index_of(i), &items[0]), -EEXIST);
	}
	qsort(order, N, sizeof(*order), by_index);
	assert_int_equal(radix_tree_gang_lookup(&root, found, 0, N), N);
	for (unsigned int i = 0; i < N; i++) {
		assert_ptr_equal(found[i], &items[order[i]]);
		assert_ptr_equal(radix_tree_lookup(&root, index_of(i)), &items[i]);
	}
	assert_int_equal(radix_tree_gang_lookup(&root, found, index_of(order[10]), 5), 5);
	for (unsigned int i = 0; i < 5; i++)
		assert_ptr_equal(found[i], &items[order[10 + i]]);
	assert_int_equal(radix_tree_gang_lookup(&root, found, index_of(order[N - 1]), 5), 1);
	for (unsigned int i = 0; i < N; i++) {
		assert_ptr_equal(radix_tree_delete(&root, index_of(i)), &items[i]);
		assert_null(radix_tree_delete(&root, index_of(i)));
		assert_int_equal(radix_tree_gang_lookup(&root, found, 0, N), N - 1 - i);
	}
	assert_null(root.rnode);
	assert_int_equal(root.height, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(holds_what_was_put_in) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
