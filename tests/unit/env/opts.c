/* SPDX-License-Identifier: BSD-3-Clause */
/* The options of an environment: defaults, what is refused and in which words, and how the structure may
 * grow. */
#include "tests/support/unit.h"

#include <errno.h>
#include <limits.h>

#include "base/compiler.h"
#include "base/env.h"
#include "base/opts.h"

static void defaults_are_as_documented(void **state)
{
	struct nvio_env_opts opts;

	memset(&opts, 0xa5, sizeof(opts));
	nvio_env_opts_init(&opts);
	assert_int_equal(opts.size, sizeof(opts));
	assert_string_equal(opts.name, "nvio");
	assert_null(opts.core_mask);
	assert_int_equal(opts.main_core, -1);
	assert_int_equal(opts.mem_size_mb, 0);
	assert_int_equal(opts.shm_id, -1);
	assert_false(opts.no_pci);
	assert_int_equal(opts.hugepages, NVIO_HUGEPAGES_NO);
	assert_false(opts.hugepage_single_segments);
	assert_int_equal(opts.mlock, NVIO_MLOCK_AUTO);
	assert_int_equal(opts.log_level, NVIO_LOG_WARN);
	assert_null(opts.log_fn);
	assert_null(opts.now_ns);
	assert_int_equal(opts.seed, 0);
}

static void null_options_mean_the_defaults(void **state)
{
	struct nvio_env *env;

	assert_int_equal(nvio_env_open(NULL, &env), 0);
	assert_string_equal(nvio_env_name(env), "nvio");
	assert_int_equal(env->opts.size, sizeof(struct nvio_env_opts));
	nvio_env_close(env);
}

#define NAME_63 "123456789012345678901234567890123456789012345678901234567890123"

static void names_are_held_against_the_rule(void **state)
{
	static const struct {
		const char *name;
		int rc;
		const char *words;
	} cases[] = {
		{ "a", 0, NULL },
		{ "a b~!", 0, NULL },
		{ NAME_63, 0, NULL },
		{ NAME_63 "4", -EINVAL, "too long" },
		{ "", -EINVAL, "empty" },
		{ NULL, -EINVAL, "NULL" },
		{ "a\nb", -EINVAL, "0x0a at 1" },
		{ "\x7f", -EINVAL, "0x7f at 0" },
		{ "ab\xff", -EINVAL, "0xff at 2" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct nvio_env *env = NULL;
		struct nvio_env_opts opts;

		nvio_env_opts_init(&opts);
		opts.name = cases[i].name;
		assert_int_equal(nvio_env_open(&opts, &env), cases[i].rc);
		if (cases[i].rc) {
			assert_null(env);
			assert_errmsg(cases[i].words);
		} else {
			assert_string_equal(nvio_env_name(env), cases[i].name);
		}
		nvio_env_close(env);
	}
}

static void strings_are_copied(void **state)
{
	char name[] = "mine";
	struct nvio_env_opts opts;
	struct nvio_env *env;

	nvio_env_opts_init(&opts);
	opts.name = name;
	assert_int_equal(nvio_env_open(&opts, &env), 0);
	name[0] = 'M';
	assert_string_equal(nvio_env_name(env), "mine");
	nvio_env_close(env);
}

static void numbers_out_of_range_are_named(void **state)
{
	static const struct {
		size_t offset;
		int value;
		const char *words;
	} cases[] = {
		{ offsetof(struct nvio_env_opts, main_core), -2, "main_core is -2" },
		{ offsetof(struct nvio_env_opts, main_core), 5000, "core 5000" },
		{ offsetof(struct nvio_env_opts, shm_id), -2, "shm_id is -2" },
		{ offsetof(struct nvio_env_opts, shm_id), INT_MIN, "shm_id is" },
		{ offsetof(struct nvio_env_opts, hugepages), 4, "hugepages is 4" },
		{ offsetof(struct nvio_env_opts, hugepages), -1, "hugepages is -1" },
		{ offsetof(struct nvio_env_opts, mlock), 3, "mlock is 3" },
		{ offsetof(struct nvio_env_opts, log_level), 5, "log_level is 5" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct nvio_env *env = NULL;
		struct nvio_env_opts opts;

		nvio_env_opts_init(&opts);
		memcpy((char *)&opts + cases[i].offset, &cases[i].value, sizeof(int));
		assert_int_equal(nvio_env_open(&opts, &env), -EINVAL);
		assert_null(env);
		assert_errmsg(cases[i].words);
	}
}

struct newer {
	struct nvio_env_opts opts;
	uint8_t more[16];
};

static void sizes_of_other_releases_are_told_apart(void **state)
{
	static const struct {
		size_t size;
		size_t set; /* this byte of `more`, when below 16 */
		int rc;
	} cases[] = {
		{ sizeof(struct nvio_env_opts), 0, 0 }, /* what is behind it is not looked at */
		{ sizeof(struct newer), 99, 0 },
		{ sizeof(struct newer), 0, -E2BIG },
		{ sizeof(struct newer), 15, -E2BIG },
		{ sizeof(struct nvio_env_opts) + 15, 15, 0 },
		{ 0, 99, -EINVAL },
		{ sizeof(size_t), 99, -EINVAL },
		{ SIZE_MAX, 99, -EINVAL },
		{ (size_t)1 << 40, 99, -EINVAL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct nvio_env *env = NULL;
		struct newer newer = { 0 };

		nvio_env_opts_init(&newer.opts);
		newer.opts.size = cases[i].size;
		if (cases[i].set < sizeof(newer.more))
			newer.more[cases[i].set] = 1;
		assert_int_equal(nvio_env_open(&newer.opts, &env), cases[i].rc);
		if (cases[i].rc)
			assert_errmsg("nvio_env_opts");
		nvio_env_close(env);
	}
}

struct v1 {
	size_t size;
	int a;
};

struct v2 {
	size_t size;
	int a;
	int b;
};

static void an_older_structure_keeps_the_defaults_of_what_it_lacks(void **state)
{
	struct v1 src = { .size = offsetof(struct v1, a) + sizeof(int), .a = 1 };
	struct v2 dst = { .size = sizeof(dst), .a = 7, .b = 8 };

	assert_int_equal(opts_copy("v2", &dst, sizeof(dst), &src, offsetof(struct v1, a) + sizeof(int)), 0);
	assert_int_equal(dst.size, sizeof(dst));
	assert_int_equal(dst.a, 1);
	assert_int_equal(dst.b, 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_as_documented),
		cmocka_unit_test(null_options_mean_the_defaults),
		cmocka_unit_test(names_are_held_against_the_rule),
		cmocka_unit_test(strings_are_copied),
		cmocka_unit_test(numbers_out_of_range_are_named),
		cmocka_unit_test(sizes_of_other_releases_are_told_apart),
		cmocka_unit_test(an_older_structure_keeps_the_defaults_of_what_it_lacks),
	};

	return cmocka_run_group_tests_name("env_opts", tests, NULL, NULL);
}
