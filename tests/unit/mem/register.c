/* SPDX-License-Identifier: BSD-3-Clause */
/* The caller's own memory, handles, and marks of what is in flight. M2, Z3, Z12. */
#include "tests/support/unit.h"

#include <errno.h>
#include <sys/mman.h>

#include "base/alloc.h"
#include "mem/mem.h"

#define PAGES 8

struct fixture {
	struct nvio_env *env;
	char *own; /* PAGES pages, not nvio's, with an unmapped page behind */
};

static struct fixture f;

static int setup(void **state)
{
	f.own = mmap(
		NULL, (PAGES + 1) * MEM_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (f.own == MAP_FAILED || munmap(f.own + PAGES * MEM_PAGE, MEM_PAGE))
		return -1;
	return nvio_env_open(NULL, &f.env);
}

static int teardown(void **state)
{
	nvio_env_close(f.env);
	return munmap(f.own, PAGES * MEM_PAGE);
}

static uint64_t registered(void)
{
	struct nvio_mem_stats stats;

	nvio_mem_get_stats(f.env, &stats);
	return stats.registered;
}

static void what_cannot_be_registered_is_refused(void **state)
{
	char *buf = nvio_mem_alloc(f.env, 4 * MEM_PAGE, 0);
	const struct {
		char *addr;
		size_t len;
		int rc;
		const char *words;
	} cases[] = {
		{ f.own, 0, -EINVAL, "length 0" },
		{ f.own + 1, MEM_PAGE, -EINVAL, "multiples of 4096" },
		{ f.own + 512, MEM_PAGE, -EINVAL, "multiples of 4096" },
		{ f.own, 100, -EINVAL, "multiples of 4096" },
		{ f.own, MEM_PAGE + 1, -EINVAL, "multiples of 4096" },
		{ f.own, SIZE_MAX, -EINVAL, "multiples of 4096" },
		{ f.own, (size_t)0 - MEM_PAGE, -EINVAL, "wrap around" },
		{ (char *)(UINTPTR_MAX - MEM_PAGE + 1), MEM_PAGE, -EINVAL, "wrap around" },
		{ f.own, (PAGES + 1) * MEM_PAGE, -EINVAL, "mapped" },
		{ f.own + PAGES * MEM_PAGE, MEM_PAGE, -EINVAL, "mapped" },
		{ NULL, MEM_PAGE, -EINVAL, "mapped" },
		{ buf, MEM_PAGE, -EEXIST, "nvio's own memory" },
		{ buf + MEM_PAGE, MEM_PAGE, -EEXIST, "nvio's own memory" },
	};

	assert_non_null(buf);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(nvio_mem_register(f.env, cases[i].addr, cases[i].len), cases[i].rc);
		assert_errmsg(cases[i].words);
		assert_int_equal(registered(), 0);
	}
}

static void overlaps_are_found_at_every_edge(void **state)
{
	/* Pages 3 and 4 are registered. */
	static const struct {
		size_t page, pages;
		int rc;
	} cases[] = {
		{ 0, 3, 0 },
		{ 5, 3, 0 },
		{ 2, 1, 0 },
		{ 5, 1, 0 },
		{ 3, 2, -EEXIST },
		{ 3, 1, -EEXIST },
		{ 4, 1, -EEXIST },
		{ 2, 2, -EEXIST },
		{ 4, 2, -EEXIST },
		{ 0, 8, -EEXIST },
		{ 2, 4, -EEXIST },
		{ 0, 4, -EEXIST },
	};

	assert_int_equal(nvio_mem_register(f.env, f.own + 3 * MEM_PAGE, 2 * MEM_PAGE), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *addr = f.own + cases[i].page * MEM_PAGE;
		size_t len = cases[i].pages * MEM_PAGE;

		assert_int_equal(nvio_mem_register(f.env, addr, len), cases[i].rc);
		if (cases[i].rc) {
			assert_errmsg("overlap a registration");
			assert_int_equal(registered(), 2 * MEM_PAGE);
		} else {
			assert_int_equal(registered(), 2 * MEM_PAGE + len);
			assert_int_equal(nvio_mem_unregister(f.env, addr, len), 0);
		}
	}
}

static void only_just_what_was_registered_is_unregistered(void **state)
{
	char *buf = nvio_mem_alloc(f.env, MEM_PAGE, 0), *addr = f.own + MEM_PAGE;
	const struct {
		char *addr;
		size_t len;
	} wrong[] = {
		{ addr, MEM_PAGE },
		{ addr, 3 * MEM_PAGE },
		{ addr + MEM_PAGE, MEM_PAGE },
		{ f.own, MEM_PAGE },
		{ addr, 0 },
		{ NULL, 2 * MEM_PAGE },
		{ buf, MEM_PAGE },
	};

	assert_int_equal(nvio_mem_register(f.env, addr, 2 * MEM_PAGE), 0);
	assert_int_equal(nvio_mem_free(f.env, addr), -EINVAL);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(nvio_mem_unregister(f.env, wrong[i].addr, wrong[i].len), -ENOENT);
	assert_int_equal(registered(), 2 * MEM_PAGE);
	assert_int_equal(nvio_mem_unregister(f.env, addr, 2 * MEM_PAGE), 0);
	assert_int_equal(nvio_mem_unregister(f.env, addr, 2 * MEM_PAGE), -ENOENT);
	assert_int_equal(registered(), 0);
	addr[0] = 1; /* still the caller's */
}

static void registering_without_memory_changes_nothing(void **state)
{
	long left = -1;
	int failed = 0;

	for (long n = 0; left < 0; n++) {
		int rc;

		alloc_fail_after(n);
		rc = nvio_mem_register(f.env, f.own, MEM_PAGE);
		left = alloc_fail_after(-1);
		assert_int_equal(rc, left < 0 ? -ENOMEM : 0);
		assert_int_equal(registered(), left < 0 ? 0 : MEM_PAGE);
		failed += left < 0;
	}
	assert_int_equal(failed, 2);
}

static void device_addresses_are_virtual_ones_to_begin_with(void **state)
{
	char *buf = nvio_mem_alloc(f.env, 10000, 0), *freed = nvio_mem_alloc(f.env, 5000, 0), on_stack;
	const struct {
		char *ptr;
		size_t contig; /* 0: -EFAULT */
	} cases[] = {
		{ buf, 10000 },
		{ buf + 1, 9999 },
		{ buf + 9999, 1 },
		{ buf + 10000, 0 },
		{ f.own - 1, 0 },
		{ f.own, MEM_PAGE },
		{ f.own + MEM_PAGE - 1, 1 },
		{ f.own + MEM_PAGE, 2 * MEM_PAGE }, /* a registration of its own */
		{ f.own + 3 * MEM_PAGE, 0 },
		{ freed, 0 },
		{ &on_stack, 0 },
		{ NULL, 0 },
		{ (char *)UINTPTR_MAX, 0 },
	};

	assert_int_equal(nvio_mem_free(f.env, freed), 0);
	assert_int_equal(nvio_mem_register(f.env, f.own, MEM_PAGE), 0);
	assert_int_equal(nvio_mem_register(f.env, f.own + MEM_PAGE, 2 * MEM_PAGE), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t addr = 7;
		size_t contig = 7;
		int rc = nvio_mem_device_addr(f.env, cases[i].ptr, &addr, &contig);

		assert_int_equal(rc, cases[i].contig ? 0 : -EFAULT);
		assert_int_equal(addr, rc ? 7 : (uintptr_t)cases[i].ptr);
		assert_int_equal(contig, rc ? 7 : cases[i].contig);
		assert_int_equal(nvio_mem_device_addr(f.env, cases[i].ptr, &addr, NULL), rc);
	}
}

static void a_handle_lies_in_one_piece(void **state)
{
	char *buf = nvio_mem_alloc(f.env, 10000, 0);
	const struct {
		char *addr;
		size_t len;
		int rc;
	} cases[] = {
		{ buf, 10000, 0 },
		{ buf + 9999, 1, 0 },
		{ buf, 10001, -EFAULT },
		{ buf, 0, -EINVAL },
		{ buf, SIZE_MAX, -EFAULT },
		{ buf + 10000, 1, -EFAULT },
		{ f.own, 2 * MEM_PAGE, 0 },
		{ f.own + 100, 2 * MEM_PAGE - 100, 0 },
		{ f.own, 2 * MEM_PAGE + 1, -EFAULT }, /* goes on in the next registration */
		{ f.own + 4 * MEM_PAGE, 1, -EFAULT },
	};

	assert_int_equal(nvio_mem_register(f.env, f.own, 2 * MEM_PAGE), 0);
	assert_int_equal(nvio_mem_register(f.env, f.own + 2 * MEM_PAGE, MEM_PAGE), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct nvio_mem_buf handle = { 0 };

		assert_int_equal(nvio_mem_buf_open(f.env, cases[i].addr, cases[i].len, &handle), cases[i].rc);
		if (!cases[i].rc) {
			assert_ptr_equal(handle.base, cases[i].addr);
			assert_int_equal(handle.len, cases[i].len);
			assert_int_equal(handle.device_addr, (uintptr_t)cases[i].addr);
		}
		nvio_mem_buf_close(f.env, &handle); /* also of one that was never opened */
		assert_null(handle.region);
	}
	assert_int_equal(nvio_mem_free(f.env, buf), 0);
	assert_int_equal(nvio_mem_unregister(f.env, f.own, 2 * MEM_PAGE), 0);
}

static void open_handles_keep_the_memory(void **state)
{
	char *buf = nvio_mem_alloc(f.env, 10000, 0);
	struct nvio_mem_buf a, b, c;

	assert_int_equal(nvio_mem_register(f.env, f.own, MEM_PAGE), 0);
	assert_int_equal(nvio_mem_buf_open(f.env, buf, 10, &a), 0);
	assert_int_equal(nvio_mem_buf_open(f.env, buf + 5000, 10, &b), 0);
	assert_int_equal(nvio_mem_buf_open(f.env, f.own, 10, &c), 0);
	assert_int_equal(nvio_mem_free(f.env, buf), -EBUSY);
	assert_errmsg("2 handles");
	assert_int_equal(nvio_mem_unregister(f.env, f.own, MEM_PAGE), -EBUSY);
	assert_errmsg("1 handles");
	nvio_mem_buf_close(f.env, &a);
	assert_int_equal(nvio_mem_free(f.env, buf), -EBUSY);
	nvio_mem_buf_close(f.env, &b);
	nvio_mem_buf_close(f.env, &b);
	assert_int_equal(nvio_mem_free(f.env, buf), 0);
	nvio_mem_buf_close(f.env, &c);
	assert_int_equal(nvio_mem_unregister(f.env, f.own, MEM_PAGE), 0);
}

static void memory_in_flight_is_not_freed(void **state)
{
	char *buf = nvio_mem_alloc(f.env, 10000, 0);
	char where[64];

	assert_int_equal(nvio_mem_register(f.env, f.own, MEM_PAGE), 0);
	assert_int_equal(mem_hold_range(f.env, buf, 512), 0);
	assert_int_equal(mem_hold_range(f.env, buf + 512, 1024), 0);
	assert_int_equal(mem_hold_range(f.env, f.own + 8, 16), 0);
	assert_int_equal(nvio_mem_free(f.env, buf), -EBUSY);
	snprintf(where, sizeof(where), "2 I/Os on it are in flight, the last on %p of 1024",
		(void *)(buf + 512));
	assert_errmsg(where);
	assert_int_equal(nvio_mem_unregister(f.env, f.own, MEM_PAGE), -EBUSY);
	assert_errmsg("in flight");
	mem_release_range(f.env, buf, 512);
	assert_int_equal(nvio_mem_free(f.env, buf), -EBUSY);
	mem_release_range(f.env, buf + 512, 1024);
	assert_int_equal(nvio_mem_free(f.env, buf), 0);
	mem_release_range(f.env, f.own + 8, 16);
	assert_int_equal(nvio_mem_unregister(f.env, f.own, MEM_PAGE), 0);
}

static void io_on_freed_or_too_short_memory_is_seen(void **state)
{
	char *buf = nvio_mem_alloc(f.env, 10000, 0), *freed = nvio_mem_alloc(f.env, 4096, 0), on_stack[100];
	const struct {
		char *ptr;
		size_t len;
		int rc;
		const char *words;
	} cases[] = {
		{ buf, 10000, 0, NULL },
		{ buf, 10001, -EFAULT, "runs over the end" },
		{ buf + 9999, 2, -EFAULT, "runs over the end" },
		{ freed, 4096, -EFAULT, "freed" },
		{ freed + 5, 1, -EFAULT, "freed" },
		{ on_stack, sizeof(on_stack), 0, NULL },
		{ f.own, PAGES * MEM_PAGE, 0, NULL },
		{ NULL, 1, 0, NULL },
	};

	assert_int_equal(nvio_mem_free(f.env, freed), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(mem_hold_range(f.env, cases[i].ptr, cases[i].len), cases[i].rc);
		if (cases[i].rc)
			assert_errmsg(cases[i].words);
		else
			mem_release_range(f.env, cases[i].ptr, cases[i].len);
	}
	assert_int_equal(nvio_mem_free(f.env, buf), 0);
}

static void marks_cost_nothing_unless_checked(void **state)
{
	char *buf = nvio_mem_alloc(f.env, 100, 0);

	assert_int_equal(mem_hold(f.env, buf, 100), 0);
	assert_int_equal(nvio_mem_free(f.env, buf), NVIO_CHECKED ? -EBUSY : 0);
	mem_release(f.env, buf, 100);
	assert_int_equal(nvio_mem_free(f.env, buf), NVIO_CHECKED ? 0 : -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_cannot_be_registered_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(overlaps_are_found_at_every_edge, setup, teardown),
		cmocka_unit_test_setup_teardown(
			only_just_what_was_registered_is_unregistered, setup, teardown),
		cmocka_unit_test_setup_teardown(registering_without_memory_changes_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(
			device_addresses_are_virtual_ones_to_begin_with, setup, teardown),
		cmocka_unit_test_setup_teardown(a_handle_lies_in_one_piece, setup, teardown),
		cmocka_unit_test_setup_teardown(open_handles_keep_the_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(memory_in_flight_is_not_freed, setup, teardown),
		cmocka_unit_test_setup_teardown(io_on_freed_or_too_short_memory_is_seen, setup, teardown),
		cmocka_unit_test_setup_teardown(marks_cost_nothing_unless_checked, setup, teardown),
	};

	return cmocka_run_group_tests_name("mem_register", tests, NULL, NULL);
}
