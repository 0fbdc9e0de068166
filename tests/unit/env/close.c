/* SPDX-License-Identifier: BSD-3-Clause */
/* Closing: what is still open in an environment goes newest first, whatever it does meanwhile. */
#include "tests/support/unit.h"

#include "base/compiler.h"
#include "base/env.h"

struct child {
	struct env_child child;
	struct nvio_env *env;
	int id;
	struct child *takes; /* closes this one too */
	struct child *makes; /* opens this one */
};

static int order[8], closed;

static void on_close(struct env_child *c)
{
	struct child *child = container_of(c, struct child, child);

	order[closed++] = child->id;
	env_child_remove(child->env, c);
	if (child->takes)
		on_close(&child->takes->child);
	if (child->makes)
		env_child_add(child->env, &child->makes->child, on_close);
}

static void start(struct child *children, int count, struct nvio_env **env)
{
	closed = 0;
	assert_int_equal(nvio_env_open(NULL, env), 0);
	for (int i = 0; i < count; i++)
		children[i] = (struct child){ .env = *env, .id = i };
}

static void assert_order(const int *want, int count)
{
	assert_int_equal(closed, count);
	assert_memory_equal(order, want, (size_t)count * sizeof(*want));
}

static void the_newest_goes_first(void **state)
{
	struct child children[3];
	struct nvio_env *env;

	start(children, 3, &env);
	for (int i = 0; i < 3; i++)
		env_child_add(env, &children[i].child, on_close);
	nvio_env_close(env);
	assert_order((const int[]){ 2, 1, 0 }, 3);
}

static void what_was_closed_before_is_left_alone(void **state)
{
	struct child children[3];
	struct nvio_env *env;

	start(children, 3, &env);
	for (int i = 0; i < 3; i++)
		env_child_add(env, &children[i].child, on_close);
	env_child_remove(env, &children[1].child);
	nvio_env_close(env);
	assert_order((const int[]){ 2, 0 }, 2);
}

static void a_child_may_close_another(void **state)
{
	struct child children[4];
	struct nvio_env *env;

	start(children, 4, &env);
	for (int i = 0; i < 4; i++)
		env_child_add(env, &children[i].child, on_close);
	children[3].takes = &children[1];
	nvio_env_close(env);
	assert_order((const int[]){ 3, 1, 2, 0 }, 4);
}

static void a_child_may_open_another(void **state)
{
	struct child children[3];
	struct nvio_env *env;

	start(children, 3, &env);
	for (int i = 0; i < 2; i++)
		env_child_add(env, &children[i].child, on_close);
	children[1].makes = &children[2];
	nvio_env_close(env);
	assert_order((const int[]){ 1, 2, 0 }, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_newest_goes_first),
		cmocka_unit_test(what_was_closed_before_is_left_alone),
		cmocka_unit_test(a_child_may_close_another),
		cmocka_unit_test(a_child_may_open_another),
	};

	return cmocka_run_group_tests_name("env_close", tests, NULL, NULL);
}
