/* SPDX-License-Identifier: BSD-3-Clause */
/* Locking memory: when, what is said where the limit does not allow it, and what is not locked because it is pinned. E5. */
#include "tests/unit/mem/fake.h"

#include <stdlib.h>
#include <sys/resource.h>

static int open_with(enum nvio_mlock mlock_when, uint64_t mb, struct nvio_env **env)
{
	struct nvio_env_opts opts;

	nvio_env_opts_init(&opts);
	opts.mlock = mlock_when;
	opts.mem_size_mb = mb;
	opts.hugepage_single_segments = mb != 0;
	*env = NULL;
	return nvio_env_open(&opts, env);
}

static struct nvio_mem_stats stats_of(struct nvio_env *env)
{
	struct nvio_mem_stats stats;

	nvio_mem_get_stats(env, &stats);
	return stats;
}

/* The limit of a plain user is not that of the one who runs the tests; up to 8 MiB is what systems allow
 * today. */
static bool may_lock(size_t len)
{
	void *probe = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool may = probe != MAP_FAILED && !mlock(probe, len);

	munmap(probe, len);
	return may;
}

static void locking_follows_the_option_and_the_device(void **state)
{
	static const struct {
		enum nvio_mlock when;
		bool before, after; /* the need of a device */
	} cases[] = {
		{ NVIO_MLOCK_AUTO, false, true },
		{ NVIO_MLOCK_ALWAYS, true, true },
		{ NVIO_MLOCK_NEVER, false, false },
	};

	if (!may_lock((size_t)7 << 20)) {
		print_message("# RLIMIT_MEMLOCK is below 7 MiB\n");
		skip();
	}
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct nvio_mem_stats stats;
		struct nvio_env *env;
		void *big;

		assert_int_equal(open_with(cases[i].when, 0, &env), 0);
		assert_non_null(nvio_mem_alloc(env, 100, 0));
		stats = stats_of(env);
		assert_int_equal(stats.locked, cases[i].before ? stats.reserved : 0);
		assert_int_equal(mem_require_device(env), 0);
		assert_int_equal(mem_require_device(env), 0);
		stats = stats_of(env);
		assert_int_equal(stats.locked, cases[i].after ? stats.reserved : 0);
		big = nvio_mem_alloc(env, (size_t)2 << 20, 0);
		assert_non_null(big);
		stats = stats_of(env);
		assert_int_equal(stats.locked, cases[i].after ? stats.reserved : 0);
		assert_int_equal(nvio_mem_free(env, big), 0);
		stats = stats_of(env);
		assert_int_equal(stats.locked, cases[i].after ? stats.reserved : 0);
		nvio_env_close(env);
	}
}

/* What this process has locked by mlock, in bytes. */
static uint64_t vm_locked(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	unsigned long long kb = 0;
	char line[256];

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "VmLck: %llu", &kb) == 1)
			break;
	fclose(f);
	return kb << 10;
}

/* Sanitizers make mlock() do nothing. */
static bool mlock_counts(void)
{
	uint64_t before = vm_locked();
	void *probe = mmap(NULL, MEM_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool counts = probe != MAP_FAILED && !mlock(probe, MEM_PAGE) && vm_locked() > before;

	munmap(probe, MEM_PAGE);
	return counts;
}

/*
 * Pinned pages do not swap and count against the limit, so they are not locked as well: not what was locked before, not what comes, and
 * not when a device needs it; and when nobody pins any more they are locked again.
 */
static void what_is_pinned_is_not_locked_too(void **state)
{
	static const struct {
		enum nvio_mlock when;
		bool need; /* mem_require_device() before */
		bool locked; /* without the mapper that pins */
	} cases[] = {
		{ NVIO_MLOCK_AUTO, false, false },
		{ NVIO_MLOCK_AUTO, true, true },
		{ NVIO_MLOCK_ALWAYS, false, true },
		{ NVIO_MLOCK_NEVER, true, false },
	};
	uint64_t before = vm_locked();
	struct fake pin, pin2, plain;

	if (!may_lock((size_t)7 << 20)) {
		print_message("# RLIMIT_MEMLOCK is below 7 MiB\n");
		skip();
	}
	if (!mlock_counts()) {
		print_message("# mlock() does nothing under this sanitizer\n");
		skip();
	}
	fake_init(&pin, "pin");
	fake_init(&pin2, "pin2");
	fake_init(&plain, "plain");
	pin.m.pins = pin2.m.pins = true;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t reserved, locked;
		struct nvio_env *env;

		assert_int_equal(open_with(cases[i].when, 0, &env), 0);
		assert_non_null(nvio_mem_alloc(env, 100, 0));
		if (cases[i].need)
			assert_int_equal(mem_require_device(env), 0);
		assert_int_equal(mem_mapper_add(env, &plain.m), 0);
		reserved = stats_of(env).reserved;
		locked = cases[i].locked ? reserved : 0;
		assert_int_equal(stats_of(env).locked, locked);
		assert_int_equal(vm_locked() - before, locked);

		pin.left = 0; /* it fails: all is as it was */
		assert_int_equal(mem_mapper_add(env, &pin.m), -ENOSPC);
		assert_int_equal(stats_of(env).locked, locked);
		assert_int_equal(vm_locked() - before, locked);

		pin.left = 1000;
		assert_int_equal(mem_mapper_add(env, &pin.m), 0);
		assert_int_equal(mem_mapper_add(env, &pin2.m), 0);
		assert_int_equal(mem_require_device(env), 0);
		assert_non_null(nvio_mem_alloc(env, (size_t)2 << 20, 0));
		assert_int_equal(stats_of(env).locked, stats_of(env).reserved);
		assert_int_equal(vm_locked(), before);
		mem_mapper_remove(env, &pin.m);
		assert_int_equal(vm_locked(), before);
		mem_mapper_remove(env, &pin2.m);
		/* The need for a device came meanwhile. */
		locked = cases[i].when == NVIO_MLOCK_NEVER ? 0 : stats_of(env).reserved;
		assert_int_equal(stats_of(env).locked, locked);
		assert_int_equal(vm_locked() - before, locked);
		mem_mapper_remove(env, &plain.m);
		nvio_env_close(env);
		assert_int_equal(vm_locked(), before);
	}
}

/* From here on in a child that is no superuser and may lock 1 MiB. */
static bool confine(void)
{
	struct rlimit limit = { .rlim_cur = 1 << 20, .rlim_max = 1 << 20 };

	if (setrlimit(RLIMIT_MEMLOCK, &limit) || (geteuid() == 0 && setresuid(65534, 65534, 65534)))
		return false;
	/* Sanitizers make mlock() do nothing. */
	return !may_lock(2 << 20);
}

static bool said_what_is_needed(const char *needed)
{
	const char *words = nvio_errmsg();

	return strstr(words, "RLIMIT_MEMLOCK is 1048576") && strstr(words, needed) &&
	       strstr(words, "ulimit -l") && strstr(words, "NVIO_MLOCK_NEVER");
}

static int always(void *arg)
{
	struct nvio_env *env;
	void *buf, *own;

	if (!confine())
		return CHILD_SKIPS;
	if (open_with(NVIO_MLOCK_ALWAYS, 2, &env) != -EPERM || env ||
		!said_what_is_needed("2097152 are needed"))
		return 1;
	if (open_with(NVIO_MLOCK_ALWAYS, 0, &env))
		return 2;
	if (nvio_mem_alloc(env, 100, 0) || !said_what_is_needed("4194304 are needed"))
		return 3;
	if (stats_of(env).reserved || stats_of(env).locked)
		return 4;
	nvio_env_close(env);
	if (open_with(NVIO_MLOCK_ALWAYS, 1, &env))
		return 5;
	buf = nvio_mem_alloc(env, 500000, 0);
	if (!buf || stats_of(env).locked != 1 << 20)
		return 6;
	own = mmap(NULL, MEM_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (nvio_mem_register(env, own, MEM_PAGE) != -EPERM || !said_what_is_needed("1052672 are needed"))
		return 7;
	if (stats_of(env).registered)
		return 8;
	nvio_env_close(env);
	/* Unlocked again: as much as before can be locked. */
	return may_lock(1 << 20) ? 0 : 9;
}

static int device(void *arg)
{
	struct nvio_env *env;

	if (!confine())
		return CHILD_SKIPS;
	if (open_with(NVIO_MLOCK_AUTO, 0, &env) || !nvio_mem_alloc(env, 100, 0))
		return 1;
	if (mem_require_device(env) != -EPERM || !said_what_is_needed("4194304 are needed"))
		return 2;
	if (stats_of(env).locked || !nvio_mem_alloc(env, 3000000, 0))
		return 3;
	nvio_env_close(env);
	if (open_with(NVIO_MLOCK_NEVER, 0, &env) || !nvio_mem_alloc(env, 100, 0) || mem_require_device(env))
		return 4;
	nvio_env_close(env);
	return 0;
}

static void run_confined(int (*body)(void *arg))
{
	int rc = unit_in_child(body, NULL);

	if (rc == CHILD_SKIPS) {
		print_message(
			"# mlock() has no limit here (a sanitizer, or a privilege that cannot be dropped)\n");
		skip();
	}
	assert_int_equal(rc, 0);
}

static void the_words_name_the_limit_and_what_is_needed(void **state)
{
	run_confined(always);
}

static void a_device_that_needs_locking_is_refused_and_nothing_else(void **state)
{
	run_confined(device);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(locking_follows_the_option_and_the_device),
		cmocka_unit_test(what_is_pinned_is_not_locked_too),
		cmocka_unit_test(the_words_name_the_limit_and_what_is_needed),
		cmocka_unit_test(a_device_that_needs_locking_is_refused_and_nothing_else),
	};

	return cmocka_run_group_tests_name("mem_lock", tests, NULL, NULL);
}
