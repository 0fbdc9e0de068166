/* SPDX-License-Identifier: BSD-3-Clause */
/* mem_size_mb, hugepages, and memory that is reserved at open. M1, Z12. */
#include "tests/support/unit.h"

#include <errno.h>

#include "mem/mem.h"

static int open_with(uint64_t mb, enum nvio_hugepages hugepages, bool single, struct nvio_env **env)
{
	struct nvio_env_opts opts;

	nvio_env_opts_init(&opts);
	opts.mem_size_mb = mb;
	opts.hugepages = hugepages;
	opts.hugepage_single_segments = single;
	*env = NULL;
	return nvio_env_open(&opts, env);
}

static struct nvio_mem_stats stats_of(struct nvio_env *env)
{
	struct nvio_mem_stats stats;

	nvio_mem_get_stats(env, &stats);
	return stats;
}

/* Free hugepages of this machine; 0 also where there is no such thing. */
static unsigned long free_hugepages(unsigned int kb)
{
	unsigned long count = 0;
	char path[100];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-%ukB/free_hugepages", kb);
	file = fopen(path, "r");
	if (!file)
		return 0;
	if (fscanf(file, "%lu", &count) != 1)
		count = 0;
	fclose(file);
	return count;
}

static void options_that_contradict_each_other_are_refused(void **state)
{
	static const struct {
		uint64_t mb;
		enum nvio_hugepages hugepages;
		bool single;
		int rc;
		const char *words;
	} cases[] = {
		{ 0, NVIO_HUGEPAGES_NO, true, -EINVAL, "needs mem_size_mb" },
		{ 0, NVIO_HUGEPAGES_TRY, true, -EINVAL, "needs mem_size_mb" },
		{ 3, NVIO_HUGEPAGES_2M, false, -EINVAL, "multiple" },
		{ 512, NVIO_HUGEPAGES_1G, false, -EINVAL, "multiple" },
		{ UINT64_MAX, NVIO_HUGEPAGES_NO, false, -EINVAL, "mem_size_mb 18446744073709551615" },
		{ 1ull << 44, NVIO_HUGEPAGES_TRY, false, -EINVAL, "mem_size_mb" },
		{ 1ull << 40, NVIO_HUGEPAGES_TRY, false, -ENOMEM, "1152921504606846976" },
		{ 1ull << 40, NVIO_HUGEPAGES_NO, true, -ENOMEM, "1152921504606846976" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int files = unit_open_files();
		struct nvio_env *env;

		assert_int_equal(
			open_with(cases[i].mb, cases[i].hugepages, cases[i].single, &env), cases[i].rc);
		assert_null(env);
		assert_errmsg(cases[i].words);
		assert_int_equal(unit_open_files(), files);
	}
}

static void the_limit_is_reached_exactly_and_not_passed(void **state)
{
	static const struct {
		uint64_t mb;
		bool single;
	} cases[] = { { 1, false }, { 8, false }, { 9, false }, { 1, true }, { 9, true } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t all = (size_t)cases[i].mb << 20;
		struct nvio_env *env;
		void *small, *buf;
		char words[64];

		assert_int_equal(open_with(cases[i].mb, NVIO_HUGEPAGES_NO, cases[i].single, &env), 0);
		assert_int_equal(stats_of(env).reserved, cases[i].single ? all : 0);
		/* Memory in stock must not stand in the way of a larger buffer. */
		small = nvio_mem_alloc(env, 64, 0);
		assert_non_null(small);
		assert_null(nvio_mem_alloc(env, all, 0));
		assert_int_equal(nvio_mem_free(env, small), 0);
		buf = nvio_mem_alloc(env, all, 0);
		assert_non_null(buf);
		assert_true(stats_of(env).reserved <= all);
		assert_null(nvio_mem_alloc(env, 1, 0));
		assert_errmsg("mem_size_mb");
		snprintf(words, sizeof(words), "%zu", all);
		assert_errmsg(words);
		assert_int_equal(nvio_mem_free(env, buf), 0);
		assert_null(nvio_mem_alloc(env, all + 1, 0));
		buf = nvio_mem_alloc(env, all - 64, 4096);
		assert_non_null(buf);
		nvio_env_close(env);
	}
}

/* All of a limit can be had in small pieces, too. */
static void small_buffers_use_up_the_limit(void **state)
{
	struct nvio_env *env;
	size_t count = 0;

	assert_int_equal(open_with(6, NVIO_HUGEPAGES_NO, false, &env), 0);
	while (nvio_mem_alloc(env, 65536, 0))
		count++;
	/* Sanitizers take room between buffers. */
	assert_in_range(count, 6 * 16 * 9 / 10 - 6, 6 * 16);
	assert_true(stats_of(env).reserved <= (size_t)6 << 20);
	nvio_env_close(env);
}

static void one_segment_is_one_mapping_of_one_file(void **state)
{
	uint64_t offset_a, offset_b;
	struct nvio_env *env;
	int fd_a, fd_b;
	char *a, *b;

	assert_int_equal(open_with(16, NVIO_HUGEPAGES_TRY, true, &env), 0);
	assert_int_equal(stats_of(env).reserved, 16 << 20);
	a = nvio_mem_alloc(env, (size_t)7 << 20, 0);
	b = nvio_mem_alloc(env, (size_t)7 << 20, 0);
	assert_true(a && b);
	assert_int_equal(mem_share(env, a, &fd_a, &offset_a), 0);
	assert_int_equal(mem_share(env, b, &fd_b, &offset_b), 0);
	assert_int_equal(fd_a, fd_b);
	assert_int_equal(offset_b - offset_a, b - a);
	assert_int_equal(nvio_mem_free(env, a), 0);
	assert_int_equal(nvio_mem_free(env, b), 0);
	assert_int_equal(stats_of(env).reserved, 16 << 20);
	nvio_env_close(env);
}

static void trying_hugepages_works_without_any(void **state)
{
	static const uint64_t sizes[] = { 0, 4, 5 };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		unsigned long there = free_hugepages(2048);
		struct nvio_mem_stats stats;
		struct nvio_env *env;
		char *buf;

		assert_int_equal(open_with(sizes[i], NVIO_HUGEPAGES_TRY, false, &env), 0);
		assert_int_equal(stats_of(env).reserved, sizes[i] << 20);
		buf = nvio_mem_alloc(env, (size_t)3 << 20, 0);
		assert_non_null(buf);
		memset(buf, 1, (size_t)3 << 20);
		stats = stats_of(env);
		assert_int_equal(stats.hugepages, there < 2 || sizes[i] % 2 ? 0 : stats.reserved);
		nvio_env_close(env);
	}
}

static void demanding_hugepages_fails_without_any(void **state)
{
	static const struct {
		enum nvio_hugepages hugepages;
		unsigned int kb;
		uint64_t mb;
	} cases[] = {
		{ NVIO_HUGEPAGES_2M, 2048, 0 },
		{ NVIO_HUGEPAGES_2M, 2048, 4 },
		{ NVIO_HUGEPAGES_1G, 1048576, 0 },
		{ NVIO_HUGEPAGES_1G, 1048576, 1024 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		unsigned long need = cases[i].kb == 2048 ? 2 : 1, there = free_hugepages(cases[i].kb);
		int files = unit_open_files(), rc;
		struct nvio_env *env;

		rc = open_with(cases[i].mb, cases[i].hugepages, false, &env);
		if (there >= need) {
			assert_int_equal(rc, 0);
			assert_non_null(nvio_mem_alloc(env, (size_t)3 << 20, 0));
			assert_int_equal(stats_of(env).hugepages, stats_of(env).reserved);
			assert_int_not_equal(stats_of(env).hugepages, 0);
			nvio_env_close(env);
		} else {
			assert_int_equal(rc, -ENOMEM);
			assert_null(env);
			assert_errmsg("nr_hugepages");
		}
		assert_int_equal(unit_open_files(), files);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_that_contradict_each_other_are_refused),
		cmocka_unit_test(the_limit_is_reached_exactly_and_not_passed),
		cmocka_unit_test(small_buffers_use_up_the_limit),
		cmocka_unit_test(one_segment_is_one_mapping_of_one_file),
		cmocka_unit_test(trying_hugepages_works_without_any),
		cmocka_unit_test(demanding_hugepages_fails_without_any),
	};

	return cmocka_run_group_tests_name("mem_limits", tests, NULL, NULL);
}
