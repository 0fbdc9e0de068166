/* SPDX-License-Identifier: BSD-3-Clause */
/* Buffers: alignment, zeros, what is refused, what a wrong free does, and a random walk against a model. M1, M3, X1. */
#include "tests/support/unit.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/alloc.h"
#include "base/random.h"
#include "mem/mem.h"
#include "mem/poison.h"

static int setup(void **state)
{
	return nvio_env_open(NULL, (struct nvio_env **)state);
}

static int teardown(void **state)
{
	nvio_env_close(*state);
	return 0;
}

static struct nvio_mem_stats stats_of(struct nvio_env *env)
{
	struct nvio_mem_stats stats;

	nvio_mem_get_stats(env, &stats);
	return stats;
}

static void buffers_are_aligned_and_usable(void **state)
{
	static const struct {
		size_t size, align, want;
	} cases[] = {
		{ 1, 0, 64 },
		{ 1, 1, 64 },
		{ 63, 32, 64 },
		{ 64, 64, 64 },
		{ 65, 128, 128 },
		{ 4095, 0, 64 },
		{ 4096, 0, 4096 },
		{ 4097, 64, 4096 },
		{ 100, 4096, 4096 },
		{ 512, (size_t)1 << 20, (size_t)1 << 20 },
		{ 5000, (size_t)8 << 20, (size_t)8 << 20 },
		{ 64, (size_t)1 << 30, (size_t)1 << 30 },
		{ (size_t)2 << 20, 0, 4096 },
		{ ((size_t)2 << 20) - 1, 0, 4096 },
		{ ((size_t)9 << 20) + 1, (size_t)4 << 20, (size_t)4 << 20 },
	};
	void *bufs[ARRAY_SIZE(cases)];
	uint64_t allocated = 0;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		bufs[i] = nvio_mem_alloc(*state, cases[i].size, cases[i].align);
		assert_non_null(bufs[i]);
		assert_int_equal((uintptr_t)bufs[i] % cases[i].want, 0);
		memset(bufs[i], (int)i + 1, cases[i].size);
		allocated += cases[i].size;
		assert_int_equal(stats_of(*state).allocated, allocated);
		assert_int_equal(stats_of(*state).allocations, i + 1);
	}
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		for (size_t at = 0; at < cases[i].size; at++)
			if (((unsigned char *)bufs[i])[at] != i + 1)
				fail_msg("case %zu: byte %zu was written by another", i, at);
		assert_int_equal(nvio_mem_free(*state, bufs[i]), 0);
	}
	assert_int_equal(stats_of(*state).allocated, 0);
	assert_int_equal(stats_of(*state).allocations, 0);
}

static void senseless_requests_are_refused_by_name(void **state)
{
	static const struct {
		size_t size, align;
		const char *words;
	} cases[] = {
		{ 0, 0, "size 0" },
		{ 64, 3, "align 3" },
		{ 64, 96, "align 96" },
		{ 64, (size_t)1 << 31, "align 2147483648" },
		{ 64, SIZE_MAX, "align 18446744073709551615" },
		{ SIZE_MAX, 0, "18446744073709551615" },
		{ SIZE_MAX - 62, 0, "18446744073709551553" },
		{ SIZE_MAX / 2, 4096, "9223372036854775807" },
		{ (size_t)1 << 62, (size_t)1 << 30, "4611686018427387904" },
		{ (size_t)1 << 50, 0, "1125899906842624" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_null(nvio_mem_alloc(*state, cases[i].size, cases[i].align));
		assert_errmsg(cases[i].words);
		assert_null(nvio_mem_alloc_zeroed(*state, cases[i].size, cases[i].align));
		assert_errmsg(cases[i].words);
	}
	assert_int_equal(stats_of(*state).reserved, 0);
}

static void zeroed_ones_are_zero_on_dirty_memory_too(void **state)
{
	static const size_t sizes[] = { 1, 64, 100, 4096, 10000, (size_t)1 << 20, (size_t)3 << 20 };

	for (int round = 0; round < 3; round++) {
		unsigned char *bufs[ARRAY_SIZE(sizes)];

		for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
			bufs[i] = nvio_mem_alloc_zeroed(*state, sizes[i], 0);
			assert_non_null(bufs[i]);
			for (size_t at = 0; at < sizes[i]; at++)
				if (bufs[i][at])
					fail_msg("round %d: size %zu: byte %zu is not zero", round, sizes[i],
						at);
		}
		for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
			memset(bufs[i], 0xff, sizes[i]);
			assert_int_equal(nvio_mem_free(*state, bufs[i]), 0);
		}
	}
}

static void a_wrong_free_says_so_and_does_nothing(void **state)
{
	struct nvio_mem_stats before;
	char *a, *b, *big, on_stack[64];
	struct nvio_env *other;
	void *theirs;

	assert_int_equal(nvio_env_open(NULL, &other), 0);
	theirs = nvio_mem_alloc(other, 64, 0);
	a = nvio_mem_alloc(*state, 200, 0);
	b = nvio_mem_alloc(*state, 200, 0);
	big = nvio_mem_alloc(*state, (size_t)5 << 20, 0);
	assert_true(theirs && a && b && big);
	assert_int_equal(nvio_mem_free(*state, b), 0);
	before = stats_of(*state);
	const struct {
		void *ptr;
		const char *words;
	} cases[] = {
		{ b, "freed already" },
		{ a + 1, "not its start" },
		{ a + 64, "not its start" },
		{ big + 4096, "not its start" },
		{ on_stack, "not memory of this environment" },
		{ theirs, "not memory of this environment" },
		{ (void *)1, "not memory of this environment" },
		{ (void *)UINTPTR_MAX, "not memory of this environment" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct nvio_mem_stats after;

		assert_int_equal(nvio_mem_free(*state, cases[i].ptr), -EINVAL);
		assert_errmsg(cases[i].words);
		after = stats_of(*state);
		assert_memory_equal(&before, &after, sizeof(after));
	}
	assert_int_equal(nvio_mem_free(*state, big), 0);
	assert_int_equal(nvio_mem_free(*state, big), -EINVAL);
	assert_int_equal(nvio_mem_free(*state, a), 0);
	assert_int_equal(nvio_mem_free(*state, NULL), 0);
	nvio_env_close(other);
}

static void a_large_buffer_gives_its_memory_back(void **state)
{
	int files = unit_open_files();
	void *small = nvio_mem_alloc(*state, 64, 0), *big[10];
	uint64_t reserved = stats_of(*state).reserved;

	for (int i = 0; i < 10; i++) {
		big[i] = nvio_mem_alloc(*state, (size_t)(i + 2) << 20, 0);
		assert_non_null(big[i]);
	}
	assert_true(stats_of(*state).reserved >= reserved + ((uint64_t)65 << 20));
	for (int i = 0; i < 10; i++)
		assert_int_equal(nvio_mem_free(*state, big[i]), 0);
	assert_int_equal(stats_of(*state).reserved, reserved);
	assert_int_equal(unit_open_files(), files + 1);
	assert_int_equal(nvio_mem_free(*state, small), 0);
}

/* Freed in several orders, the pieces become one again: a buffer of the whole fits without more memory. */
static void freed_neighbours_become_one(void **state)
{
	static const int orders[][8] = {
		{ 0, 1, 2, 3, 4, 5, 6, 7 },
		{ 7, 6, 5, 4, 3, 2, 1, 0 },
		{ 0, 2, 4, 6, 1, 3, 5, 7 },
		{ 3, 4, 0, 7, 1, 6, 2, 5 },
	};
	const size_t piece = 200000;

	for (size_t o = 0; o < ARRAY_SIZE(orders); o++) {
		void *bufs[8], *pin = nvio_mem_alloc(*state, 64, 0), *whole;
		uint64_t reserved;

		for (int i = 0; i < 8; i++) {
			bufs[i] = nvio_mem_alloc(*state, piece, 0);
			assert_non_null(bufs[i]);
		}
		reserved = stats_of(*state).reserved;
		for (int i = 0; i < 8; i++)
			assert_int_equal(nvio_mem_free(*state, bufs[orders[o][i]]), 0);
		whole = nvio_mem_alloc(*state, 8 * piece, 0);
		assert_non_null(whole);
		assert_ptr_equal(whole, bufs[0]);
		assert_int_equal(stats_of(*state).reserved, reserved);
		assert_int_equal(nvio_mem_free(*state, whole), 0);
		assert_int_equal(nvio_mem_free(*state, pin), 0);
	}
}

#define MODEL_BUFS 200

static void a_random_walk_agrees_with_a_model(void **state)
{
	struct {
		unsigned char *ptr;
		size_t size;
		unsigned char fill;
	} bufs[MODEL_BUFS] = { 0 };
	uint64_t seed = random_os_seed(), allocated = 0, count = 0;
	struct random r;

	print_message("# seed %llu\n", (unsigned long long)seed);
	random_init(&r, seed);
	for (int step = 0; step < 20000; step++) {
		size_t i = random_below(&r, MODEL_BUFS);

		if (bufs[i].ptr) {
			if (bufs[i].ptr[0] != bufs[i].fill || bufs[i].ptr[bufs[i].size - 1] != bufs[i].fill)
				fail_msg("step %d: a buffer was overwritten", step);
			assert_int_equal(nvio_mem_free(*state, bufs[i].ptr), 0);
			allocated -= bufs[i].size;
			count--;
			bufs[i].ptr = NULL;
		} else {
			bool zeroed = random_bool(&r, 0.5);
			size_t size = 1 + random_below(&r, random_bool(&r, 0.02) ? 3000000 : 20000);
			size_t align = random_bool(&r, 0.5) ? 0 : (size_t)1 << random_below(&r, 15);

			bufs[i].ptr = (zeroed ? nvio_mem_alloc_zeroed : nvio_mem_alloc)(*state, size, align);
			assert_non_null(bufs[i].ptr);
			if (zeroed && (bufs[i].ptr[0] || bufs[i].ptr[size / 2] || bufs[i].ptr[size - 1]))
				fail_msg("step %d: not zero", step);
			bufs[i].size = size;
			bufs[i].fill = (unsigned char)random_u64(&r);
			memset(bufs[i].ptr, bufs[i].fill, size);
			allocated += size;
			count++;
		}
		assert_int_equal(stats_of(*state).allocated, allocated);
		assert_int_equal(stats_of(*state).allocations, count);
		assert_true(stats_of(*state).reserved >= allocated);
	}
	for (size_t i = 0; i < MODEL_BUFS; i++)
		assert_int_equal(nvio_mem_free(*state, bufs[i].ptr), 0);
	/* One region is kept in stock. */
	assert_true(stats_of(*state).reserved <= MEM_REGION_SIZE);
}

static void no_description_no_buffer_and_nothing_lost(void **state)
{
	struct nvio_mem_stats before = stats_of(*state);
	long left = -1;
	int failed = 0;

	for (long n = 0; left < 0; n++) {
		void *buf;

		alloc_fail_after(n);
		buf = nvio_mem_alloc(*state, 100, (size_t)1 << 20);
		left = alloc_fail_after(-1);
		if (left < 0) {
			assert_null(buf);
			assert_errmsg("no memory");
			assert_int_equal(stats_of(*state).allocated, before.allocated);
			assert_int_equal(stats_of(*state).allocations, before.allocations);
			failed++;
		} else {
			assert_non_null(buf);
			assert_int_equal(nvio_mem_free(*state, buf), 0);
		}
	}
	assert_true(failed >= 3);
}

static int alloc_without_files(void *arg)
{
	struct rlimit limit = { .rlim_cur = 0, .rlim_max = 4096 };
	struct nvio_env *env = arg;

	if (setrlimit(RLIMIT_NOFILE, &limit))
		return 1;
	if (nvio_mem_alloc(env, 100, 0) || !strstr(nvio_errmsg(), "Too many open files"))
		return 2;
	limit.rlim_cur = 1000;
	if (setrlimit(RLIMIT_NOFILE, &limit) || !nvio_mem_alloc(env, 100, 0))
		return 3;
	return 0;
}

static void without_a_file_there_is_no_buffer(void **state)
{
	assert_int_equal(unit_in_child(alloc_without_files, *state), 0);
}

static int alloc_beyond_the_file_size(void *arg)
{
	struct rlimit limit = { .rlim_cur = 1 << 20, .rlim_max = 1 << 20 };
	struct nvio_env *env = arg;

	signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &limit))
		return 1;
	if (nvio_mem_alloc(env, 10000000, 0) || !strstr(nvio_errmsg(), "File too large"))
		return 2;
	return 0;
}

static void a_limit_on_file_sizes_is_an_error_not_a_signal(void **state)
{
	assert_int_equal(unit_in_child(alloc_beyond_the_file_size, *state), 0);
}

static void what_is_not_handed_out_is_poisoned_for_the_sanitizer(void **state)
{
#ifdef MEM_ASAN
	char *buf = nvio_mem_alloc(*state, 100, 0), *next = nvio_mem_alloc(*state, 64, 0);

	assert_true(buf && next);
	assert_false(__asan_address_is_poisoned(buf));
	assert_false(__asan_address_is_poisoned(buf + 99));
	assert_true(__asan_address_is_poisoned(buf + 104));
	assert_true(__asan_address_is_poisoned(next + 64));
	assert_true(__asan_address_is_poisoned(next - 1));
	assert_int_equal(nvio_mem_free(*state, buf), 0);
	assert_true(__asan_address_is_poisoned(buf));
	assert_int_equal(nvio_mem_free(*state, next), 0);
#else
	print_message("# not built with AddressSanitizer\n");
	skip();
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(buffers_are_aligned_and_usable, setup, teardown),
		cmocka_unit_test_setup_teardown(senseless_requests_are_refused_by_name, setup, teardown),
		cmocka_unit_test_setup_teardown(zeroed_ones_are_zero_on_dirty_memory_too, setup, teardown),
		cmocka_unit_test_setup_teardown(a_wrong_free_says_so_and_does_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(a_large_buffer_gives_its_memory_back, setup, teardown),
		cmocka_unit_test_setup_teardown(freed_neighbours_become_one, setup, teardown),
		cmocka_unit_test_setup_teardown(a_random_walk_agrees_with_a_model, setup, teardown),
		cmocka_unit_test_setup_teardown(no_description_no_buffer_and_nothing_lost, setup, teardown),
		cmocka_unit_test_setup_teardown(without_a_file_there_is_no_buffer, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_limit_on_file_sizes_is_an_error_not_a_signal, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_is_not_handed_out_is_poisoned_for_the_sanitizer, setup, teardown),
	};

	return cmocka_run_group_tests_name("mem_alloc", tests, NULL, NULL);
}
