/* SPDX-License-Identifier: BSD-3-Clause */
/* The intrusive list: order, removal from anywhere, and that a node taken out may be taken out again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/list.h"

struct item {
	int value;
	struct list link;
};

static void assert_order(struct list *head, const char *want)
{
	char got[16] = "";
	size_t n = 0;

	list_for_each(pos, head)
		got[n++] = (char)('0' + list_entry(pos, struct item, link)->value);
	assert_string_equal(got, want);
	n = strlen(want);
	for (struct list *pos = head->prev; pos != head; pos = pos->prev) /* the way back agrees */
		assert_int_equal(list_entry(pos, struct item, link)->value, want[--n] - '0');
	assert_int_equal(n, 0);
}

static void fill(struct list *head, struct item *items, int n)
{
	list_init(head);
	for (int i = 0; i < n; i++) {
		items[i].value = i + 1;
		list_push_back(head, &items[i].link);
	}
}

static void nodes_leave_from_anywhere(void **state)
{
	static const char *const want[] = { "234", "134", "124", "123" };
	struct item items[4];
	struct list head;

	for (int i = 0; i < 4; i++) {
		fill(&head, items, 4);
		list_remove(&items[i].link);
		assert_order(&head, want[i]);
		list_remove(&items[i].link); /* does nothing */
		assert_order(&head, want[i]);
		list_push_front(&head, &items[i].link);
		assert_int_equal(list_entry(head.next, struct item, link)->value, i + 1);
	}
}

static void pops_come_in_order_and_end(void **state)
{
	struct list head = LIST_INIT(head);
	struct item items[3];

	assert_null(list_pop_front(&head));
	fill(&head, items, 3);
	for (int i = 0; i < 3; i++)
		assert_ptr_equal(list_pop_front(&head), &items[i].link);
	assert_null(list_pop_front(&head));
	assert_true(list_empty(&head));
}

static void a_splice_moves_everything_to_the_end(void **state)
{
	struct list a, b;
	struct item first[2], second[3];

	fill(&a, first, 2);
	fill(&b, second, 3);
	list_splice(&a, &b);
	assert_order(&a, "12123");
	assert_order(&b, "");
	list_splice(&a, &b);
	assert_order(&a, "12123");
	list_splice(&b, &a);
	assert_order(&b, "12123");
	assert_order(&a, "");
}

static void the_safe_walk_survives_removal(void **state)
{
	struct item items[5];
	struct list head;

	fill(&head, items, 5);
	list_for_each_safe(pos, &head)
		if (list_entry(pos, struct item, link)->value % 2)
			list_remove(pos);
	assert_order(&head, "24");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nodes_leave_from_anywhere),
		cmocka_unit_test(pops_come_in_order_and_end),
		cmocka_unit_test(a_splice_moves_everything_to_the_end),
		cmocka_unit_test(the_safe_walk_survives_removal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
