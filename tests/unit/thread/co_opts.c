/* SPDX-License-Identifier: BSD-3-Clause */
/* C3: what a coroutine is given: its options, its name, and a floating point unit of its own. */
#include "tests/unit/thread/rig.h"

#include <fenv.h>

#include <nvio/co.h>

static struct rig rig; /* of the test that runs */

static struct nvio_co *spawn(nvio_co_fn fn, void *arg)
{
	struct nvio_co *co = NULL;

	assert_int_equal(nvio_co_spawn(rig.t, fn, arg, NULL, &co), 0);
	return co;
}

static int join(struct nvio_co *co)
{
	return nvio_co_join(co, NULL);
}

static int returns(void *arg)
{
	return (int)(intptr_t)arg;
}

static void options_are_checked(void **state)
{
	static const char longest[] = "1234567890123456789012345678901";
	static const char longer[] = "12345678901234567890123456789012";
	static const struct {
		const char *name;
		size_t stack_size;
		int rc;
		const char *words;
	} cases[] = {
		{ longest, 0, 0, NULL },
		{ longer, 0, -EINVAL, "longer than 31" },
		{ NULL, NVIO_CO_STACK_MIN, 0, NULL },
		{ NULL, NVIO_CO_STACK_MIN - 1, -EINVAL, "stack_size 16383" },
		{ NULL, 1, -EINVAL, "stack_size" },
		{ NULL, NVIO_CO_STACK_MAX, 0, NULL },
		{ NULL, (size_t)NVIO_CO_STACK_MAX + 1, -EINVAL, "stack_size" },
		{ NULL, SIZE_MAX, -EINVAL, "stack_size" },
	};

	rig_open_env(&rig, false);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct nvio_co_opts opts;
		struct nvio_co *co = NULL;

		nvio_co_opts_init(&opts);
		assert_int_equal(opts.stack_size, NVIO_CO_STACK_DEFAULT);
		opts.name = cases[i].name;
		opts.stack_size = cases[i].stack_size;
		assert_int_equal(nvio_co_spawn(rig.t, returns, NULL, &opts, &co), cases[i].rc);
		if (cases[i].rc) {
			assert_null(co);
			assert_said(cases[i].words);
			continue;
		}
		if (cases[i].name)
			assert_string_equal(nvio_co_name(co), cases[i].name);
		assert_int_equal(join(co), 0);
	}
	assert_int_equal(nvio_co_spawn(rig.t, NULL, NULL, NULL, NULL), -EINVAL);
	assert_said("no fn");
	rig_close(&rig);
}

static void options_of_another_size_are_refused_or_read(void **state)
{
	struct {
		struct nvio_co_opts opts;
		uint64_t later;
	} newer = { 0 };

	rig_open_env(&rig, false);
	newer.opts.size = sizeof(newer);
	assert_int_equal(nvio_co_spawn(rig.t, returns, NULL, &newer.opts, NULL), 0);
	newer.later = 1;
	assert_int_equal(nvio_co_spawn(rig.t, returns, NULL, &newer.opts, NULL), -E2BIG);
	newer.opts.size = 4;
	assert_int_equal(nvio_co_spawn(rig.t, returns, NULL, &newer.opts, NULL), -EINVAL);
	nvio_thread_poll(rig.t, 0);
	rig_close(&rig);
}

static void the_name_is_copied_and_the_nameless_are_numbered(void **state)
{
	char name[] = "copier";
	struct nvio_co_opts opts;
	struct nvio_co *co[3];

	/* Z1 */
	rig_open_env(&rig, false);
	nvio_co_opts_init(&opts);
	opts.name = name;
	assert_int_equal(nvio_co_spawn(rig.t, returns, NULL, &opts, &co[0]), 0);
	name[0] = 'x';
	memset(&opts, 0xff, sizeof(opts));
	assert_string_equal(nvio_co_name(co[0]), "copier");
	co[1] = spawn(returns, NULL);
	co[2] = spawn(returns, NULL);
	assert_string_equal(nvio_co_name(co[1]), "co-2");
	assert_string_equal(nvio_co_name(co[2]), "co-3");
	assert_int_equal(nvio_co_join_all(co, 3), 0);
	rig_close(&rig);
}

static int rounds_upward(void *arg)
{
	volatile double one = 1, three = 3;

	assert_int_equal(fesetround(FE_UPWARD), 0);
	for (int i = 0; i < 3; i++) {
		nvio_co_yield();
		assert_int_equal(fegetround(), FE_UPWARD);
		assert_true(one / three * three >= 1);
	}
	return 0;
}

static int rounds_to_nearest(void *arg)
{
	for (int i = 0; i < 3; i++) {
		assert_int_equal(fegetround(), FE_TONEAREST);
		nvio_co_yield();
	}
	return 0;
}

static void the_rounding_mode_is_each_ones_own(void **state)
{
	struct nvio_co *co[2];

	rig_open_env(&rig, false);
	co[0] = spawn(rounds_upward, NULL);
	co[1] = spawn(rounds_to_nearest, NULL);
	assert_int_equal(nvio_co_join_all(co, 2), 0);
	assert_int_equal(fegetround(), FE_TONEAREST);
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_are_checked),
		cmocka_unit_test(options_of_another_size_are_refused_or_read),
		cmocka_unit_test(the_name_is_copied_and_the_nameless_are_numbered),
		cmocka_unit_test(the_rounding_mode_is_each_ones_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
