/* SPDX-License-Identifier: BSD-3-Clause */
/* Core masks, and who is bound to what. */
#include "tests/support/unit.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "base/env.h"

static cpu_set_t allowed;
static int first_core, core_count;

static int setup(void **state)
{
	if (sched_getaffinity(0, sizeof(allowed), &allowed))
		return -1;
	core_count = CPU_COUNT(&allowed);
	while (!CPU_ISSET(first_core, &allowed))
		first_core++;
	return 0;
}

static int open_with(const char *mask, int main_core, struct nvio_env **env)
{
	struct nvio_env_opts opts;

	nvio_env_opts_init(&opts);
	opts.core_mask = mask;
	opts.main_core = main_core;
	*env = NULL;
	return nvio_env_open(&opts, env);
}

static void no_mask_means_the_cores_of_this_process(void **state)
{
	struct nvio_env *env;
	int cores[1024];

	assert_int_equal(open_with(NULL, -1, &env), 0);
	assert_int_equal(nvio_env_cores(env, cores, 1024), core_count);
	for (int i = 0; i < core_count; i++) {
		assert_true(CPU_ISSET(cores[i], &allowed));
		assert_true(i == 0 || cores[i - 1] < cores[i]);
	}
	nvio_env_close(env);
}

static void no_more_cores_are_written_than_there_is_room_for(void **state)
{
	int cores[2] = { -7, -7 };
	struct nvio_env *env;

	assert_int_equal(open_with(NULL, -1, &env), 0);
	assert_int_equal(nvio_env_cores(env, NULL, 0), core_count);
	assert_int_equal(nvio_env_cores(env, cores, 1), core_count);
	assert_int_equal(cores[0], first_core);
	assert_int_equal(cores[1], -7);
	nvio_env_close(env);
}

static void assert_mask_means_the_first_core(const char *mask)
{
	struct nvio_env *env;
	int core = -1;

	assert_int_equal(open_with(mask, -1, &env), 0);
	assert_int_equal(nvio_env_cores(env, &core, 1), 1);
	assert_int_equal(core, first_core);
	nvio_env_close(env);
}

/* One core, written in each way. */
static void all_ways_to_write_a_mask_mean_the_same(void **state)
{
	static const char *const prefixes[] = { "", "0x", "0X", "0x000" };
	int c = first_core;
	char mask[300];

	snprintf(mask, sizeof(mask), "[%d]", c);
	assert_mask_means_the_first_core(mask);
	snprintf(mask, sizeof(mask), "[%d-%d]", c, c);
	assert_mask_means_the_first_core(mask);
	snprintf(mask, sizeof(mask), "[%d,%d-%d]", c, c, c);
	assert_mask_means_the_first_core(mask);
	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		int len = snprintf(mask, sizeof(mask), "%s%c", prefixes[i], "1248"[c % 4]);

		memset(mask + len, '0', (size_t)(c / 4));
		mask[len + c / 4] = '\0';
		assert_mask_means_the_first_core(mask);
	}
}

static void masks_that_are_none_are_refused(void **state)
{
	static const struct {
		const char *mask;
		const char *words;
	} cases[] = {
		{ "", "empty" },
		{ "0x", "empty" },
		{ "0", "no core" },
		{ "0x0", "no core" },
		{ "0xg", "not hexadecimal" },
		{ " 1", "not hexadecimal" },
		{ "1 ", "not hexadecimal" },
		{ "-1", "not hexadecimal" },
		{ "0x0x1", "not hexadecimal" },
		{ "[", "missing" },
		{ "[]", "missing" },
		{ "[0", "no ]" },
		{ "[0,]", "missing" },
		{ "[,0]", "missing" },
		{ "[0-]", "missing" },
		{ "[1-0]", "backwards" },
		{ "[0]x", "no ]" },
		{ "[0 ]", "no ]" },
		{ "[-1]", "missing" },
		{ "[1024]", "missing" },
		{ "[99999999999999999999]", "missing" },
		{ "[1023]", "may not use core 1023" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct nvio_env *env;

		assert_int_equal(open_with(cases[i].mask, -1, &env), -EINVAL);
		assert_null(env);
		assert_errmsg(cases[i].words);
	}
}

static void a_hexadecimal_mask_beyond_the_last_core_is_refused(void **state)
{
	char mask[300] = "1";
	struct nvio_env *env;

	memset(mask + 1, '0', 256); /* core 1024 */
	assert_int_equal(open_with(mask, -1, &env), -EINVAL);
	assert_errmsg("1023");
	/* Zeros in front say nothing. */
	memset(mask, '0', 257);
	mask[256 - first_core / 4] = "1248"[first_core % 4];
	assert_int_equal(open_with(mask, -1, &env), 0);
	nvio_env_close(env);
}

/* Binding is the thread's for good, so in threads of their own. */
static void *open_bound(void *arg)
{
	const int *main_core = arg;
	struct nvio_env *env;
	cpu_set_t *set = malloc(sizeof(*set));

	if (open_with(NULL, *main_core, &env))
		env = NULL;
	sched_getaffinity(0, sizeof(*set), set);
	nvio_env_close(env);
	return set;
}

static cpu_set_t affinity_after_open(int main_core)
{
	pthread_t thread;
	cpu_set_t set, *result;
	void *out;

	assert_int_equal(pthread_create(&thread, NULL, open_bound, &main_core), 0);
	pthread_join(thread, &out);
	result = out;
	set = *result;
	free(result);
	return set;
}

static void the_caller_is_bound_only_when_asked(void **state)
{
	cpu_set_t set = affinity_after_open(-1);

	assert_true(CPU_EQUAL(&set, &allowed));
	set = affinity_after_open(first_core);
	assert_int_equal(CPU_COUNT(&set), 1);
	assert_true(CPU_ISSET(first_core, &set));
	/* Refused: and then not bound. */
	set = affinity_after_open(1023);
	assert_true(CPU_EQUAL(&set, &allowed));
}

static void *bind_in_thread(void *arg)
{
	struct nvio_env *env = arg;
	cpu_set_t set;

	if (env_bind_thread(env, 1023) != -EINVAL)
		return (void *)"a core outside the mask was taken";
	if (env_bind_thread(env, first_core))
		return (void *)"binding to a core failed";
	sched_getaffinity(0, sizeof(set), &set);
	if (CPU_COUNT(&set) != 1 || !CPU_ISSET(first_core, &set))
		return (void *)"not bound to the core";
	if (env_bind_thread(env, -1))
		return (void *)"binding to the mask failed";
	sched_getaffinity(0, sizeof(set), &set);
	return CPU_EQUAL(&set, &allowed) ? NULL : (void *)"not bound to the mask";
}

static void threads_are_bound_within_the_mask(void **state)
{
	struct nvio_env *env;
	pthread_t thread;
	void *why;

	assert_int_equal(open_with(NULL, -1, &env), 0);
	assert_int_equal(pthread_create(&thread, NULL, bind_in_thread, env), 0);
	pthread_join(thread, &why);
	nvio_env_close(env);
	if (why)
		fail_msg("%s", (const char *)why);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_mask_means_the_cores_of_this_process),
		cmocka_unit_test(no_more_cores_are_written_than_there_is_room_for),
		cmocka_unit_test(all_ways_to_write_a_mask_mean_the_same),
		cmocka_unit_test(masks_that_are_none_are_refused),
		cmocka_unit_test(a_hexadecimal_mask_beyond_the_last_core_is_refused),
		cmocka_unit_test(the_caller_is_bound_only_when_asked),
		cmocka_unit_test(threads_are_bound_within_the_mask),
	};

	return cmocka_run_group_tests_name("env_cores", tests, setup, NULL);
}
