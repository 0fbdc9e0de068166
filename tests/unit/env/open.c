/* SPDX-License-Identifier: BSD-3-Clause */
/* Opening: again and again, two at once, with what is injected; and a failed one leaves nothing behind. Z11, M3. */
#include "tests/support/unit.h"

#include <errno.h>
#include <sys/resource.h>

#include "base/alloc.h"
#include "base/compiler.h"
#include "base/env.h"
#include <nvio/mem.h>

static void open_close_and_open_again(void **state)
{
	int files = unit_open_files();

	for (int i = 0; i < 200; i++) {
		struct nvio_env *env;

		assert_int_equal(nvio_env_open(NULL, &env), 0);
		assert_non_null(nvio_mem_alloc(env, 4096, 0));
		nvio_env_close(env);
	}
	assert_int_equal(unit_open_files(), files);
}

static void two_at_once_do_not_know_of_each_other(void **state)
{
	struct nvio_env_opts opts;
	struct nvio_mem_stats stats;
	struct nvio_env *a, *b;
	void *buf;

	nvio_env_opts_init(&opts);
	opts.name = "a";
	assert_int_equal(nvio_env_open(&opts, &a), 0);
	opts.name = "b";
	assert_int_equal(nvio_env_open(&opts, &b), 0);
	assert_string_equal(nvio_env_name(a), "a");
	assert_string_equal(nvio_env_name(b), "b");
	buf = nvio_mem_alloc(a, 100, 0);
	assert_non_null(buf);
	nvio_mem_get_stats(b, &stats);
	assert_int_equal(stats.allocations, 0);
	assert_int_equal(nvio_mem_free(b, buf), -EINVAL);
	nvio_env_close(a);
	buf = nvio_mem_alloc(b, 100, 0);
	assert_non_null(buf);
	assert_int_equal(nvio_mem_free(b, buf), 0);
	nvio_env_close(b);
}

static void closing_nothing_is_allowed(void **state)
{
	nvio_env_close(NULL);
}

/* Each allocation of an open fails in turn. */
static void a_failed_open_leaves_nothing(void **state)
{
	int files = unit_open_files();
	struct nvio_env_opts opts;
	struct nvio_env *first;
	long left = -1;
	int core, failed = 0;
	char mask[16];

	assert_int_equal(nvio_env_open(NULL, &first), 0);
	assert_true(nvio_env_cores(first, &core, 1) > 0);
	nvio_env_close(first);
	snprintf(mask, sizeof(mask), "[%d]", core);
	nvio_env_opts_init(&opts);
	opts.core_mask = mask;
	opts.mem_size_mb = 2;
	opts.hugepage_single_segments = true;
	for (long n = 0; left < 0; n++) {
		struct nvio_env *env = NULL;
		int rc;

		alloc_fail_after(n);
		rc = nvio_env_open(&opts, &env);
		left = alloc_fail_after(-1);
		if (left < 0) {
			assert_int_equal(rc, -ENOMEM);
			assert_null(env);
			assert_int_not_equal(nvio_errmsg()[0], '\0');
			assert_int_equal(unit_open_files(), files);
			failed++;
		} else {
			assert_int_equal(rc, 0);
		}
		nvio_env_close(env);
	}
	assert_true(failed >= 5);
	assert_int_equal(unit_open_files(), files);
}

static int open_with_few_files(void *arg)
{
	struct rlimit limit = { .rlim_cur = (rlim_t)unit_open_files(), .rlim_max = 4096 };
	int opened = 0;

	/* One more each time, until it works; each failure must leave as many as there were. */
	for (int files = unit_open_files(); !opened && limit.rlim_cur < 100; limit.rlim_cur++) {
		struct nvio_env_opts opts;
		struct nvio_env *env = NULL;
		int rc;

		nvio_env_opts_init(&opts);
		opts.mem_size_mb = 1;
		opts.hugepage_single_segments = true;
		if (setrlimit(RLIMIT_NOFILE, &limit))
			return 1;
		rc = nvio_env_open(&opts, &env);
		opened = rc == 0;
		if (rc && (rc != -EMFILE || !nvio_errmsg()[0] || env))
			return 2;
		nvio_env_close(env);
		limit.rlim_cur += 10; /* for the count itself */
		setrlimit(RLIMIT_NOFILE, &limit);
		if (unit_open_files() != files)
			return 3;
		limit.rlim_cur -= 10;
	}
	return opened ? 0 : 4;
}

static void running_out_of_files_leaves_nothing(void **state)
{
	assert_int_equal(unit_in_child(open_with_few_files, NULL), 0);
}

static uint64_t tick(void *arg)
{
	return (*(uint64_t *)arg)++;
}

static void the_clock_is_the_one_handed_in(void **state)
{
	struct nvio_env_opts opts;
	uint64_t now = 1000;
	struct nvio_env *env;

	nvio_env_opts_init(&opts);
	opts.now_ns = tick;
	opts.now_arg = &now;
	assert_int_equal(nvio_env_open(&opts, &env), 0);
	now = 2000;
	assert_int_equal(clock_now(&env->clock), 2000);
	assert_int_equal(clock_now(&env->clock), 2001);
	nvio_env_close(env);
}

static void a_seed_repeats_and_none_does_not(void **state)
{
	static const struct {
		uint64_t a, b;
		bool same;
	} cases[] = { { 1, 1, true }, { 1, 2, false }, { 0, 0, false } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct nvio_env_opts opts;
		struct nvio_env *a, *b;

		nvio_env_opts_init(&opts);
		opts.seed = cases[i].a;
		assert_int_equal(nvio_env_open(&opts, &a), 0);
		opts.seed = cases[i].b;
		assert_int_equal(nvio_env_open(&opts, &b), 0);
		assert_int_equal(random_u64(&a->random) == random_u64(&b->random), cases[i].same);
		nvio_env_close(a);
		nvio_env_close(b);
	}
}

struct heard {
	int count;
	char text[1024];
};

static void hear(void *arg, enum nvio_log_level level, const char *text)
{
	struct heard *heard = arg;

	heard->count++;
	snprintf(heard->text, sizeof(heard->text), "%s", text);
}

static void the_log_goes_where_it_was_told_to(void **state)
{
	struct heard heard = { 0 };
	struct nvio_env_opts opts;
	struct nvio_env *env;

	nvio_env_opts_init(&opts);
	opts.log_fn = hear;
	opts.log_arg = &heard;
	opts.log_level = NVIO_LOG_INFO;
	assert_int_equal(nvio_env_open(&opts, &env), 0);
	heard.count = 0;
	log_msg(&env->log, NVIO_LOG_DEBUG, "not this");
	assert_int_equal(heard.count, 0);
	log_msg(&env->log, NVIO_LOG_INFO, "but %s", "this");
	assert_int_equal(heard.count, 1);
	assert_non_null(strstr(heard.text, "but this"));
	assert_non_null(nvio_mem_alloc(env, 100, 0));
	nvio_env_close(env);
	assert_non_null(strstr(heard.text, "not freed before close"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(open_close_and_open_again),
		cmocka_unit_test(two_at_once_do_not_know_of_each_other),
		cmocka_unit_test(closing_nothing_is_allowed),
		cmocka_unit_test(a_failed_open_leaves_nothing),
		cmocka_unit_test(running_out_of_files_leaves_nothing),
		cmocka_unit_test(the_clock_is_the_one_handed_in),
		cmocka_unit_test(a_seed_repeats_and_none_does_not),
		cmocka_unit_test(the_log_goes_where_it_was_told_to),
	};

	return cmocka_run_group_tests_name("env_open", tests, NULL, NULL);
}
