/* SPDX-License-Identifier: BSD-3-Clause */
/* Devices without an IOMMU: physical addresses, hugepages alone, and what is refused. E5, H4. */
#include "tests/unit/mem/fake.h"

#define PAGES 6 /* hugepages of 2 MiB that these tests use */

/* Addresses that lie as those of hugepages do: each anywhere, and never the next one's neighbour. */
static uint64_t phys_of(const void *va)
{
	uint64_t page = (uintptr_t)va / MEM_HUGE_2M;

	return ((page * 7919 + 13) % 4096 * 3 + 1) * MEM_HUGE_2M + (uintptr_t)va % MEM_HUGE_2M;
}

static int calls, calls_left;

static int fake_physical(struct mem_mapper *m, const void *va, size_t len, uint64_t *addrs)
{
	calls++;
	if (!calls_left--)
		return fake_fail(-EACCES, "/proc/self/pagemap tells nothing; run as root");
	for (size_t i = 0; i < len / MEM_PAGE; i++)
		addrs[i] = phys_of((const char *)va + i * MEM_PAGE);
	return 0;
}

static const struct mem_mapper_ops physical_ops = { .physical = fake_physical };

static struct mem_mapper phys = { .ops = &physical_ops, .name = "uio: a" }, phys2 = { .ops = &physical_ops, .name = "uio: b" };
static struct fake mmu;
static struct nvio_env *env;
static void *own;

static int open_env(enum nvio_hugepages huge)
{
	struct nvio_env_opts opts;

	nvio_env_opts_init(&opts);
	opts.hugepages = huge;
	return nvio_env_open(&opts, &env);
}

static int setup(void **state)
{
	calls = 0;
	calls_left = 1000000;
	fake_init(&mmu, "mmu");
	env = NULL;
	own = mmap(NULL, MEM_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return own == MAP_FAILED ? -1 : 0;
}

static int teardown(void **state)
{
	nvio_env_close(env);
	return munmap(own, MEM_PAGE);
}

static long free_hugepages(void)
{
	FILE *f = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "r");
	long n = 0;

	if (f && fscanf(f, "%ld", &n) != 1)
		n = 0;
	if (f)
		fclose(f);
	return n;
}

static void need_hugepages(void)
{
	if (free_hugepages() >= PAGES && !open_env(NVIO_HUGEPAGES_2M))
		return;
	print_message("# %d free hugepages of 2 MiB are needed (nr_hugepages)\n", PAGES);
	skip();
}

/* ---- without hugepages ---- */

static void ordinary_pages_are_refused(void **state)
{
	assert_int_equal(open_env(NVIO_HUGEPAGES_NO), 0);
	assert_int_equal(mem_mapper_add(env, &phys), -EPERM);
	assert_errmsg("uio: a");
	assert_errmsg("NVIO_HUGEPAGES_2M");
	assert_int_equal(calls, 0);
	assert_non_null(nvio_mem_alloc(env, 100, 0));
}

/* NVIO_HUGEPAGES_TRY may get none; what it gets instead cannot be used. */
static void pages_that_only_tried_to_be_huge_are_refused(void **state)
{
	struct nvio_mem_stats stats;
	char *buf;

	assert_int_equal(open_env(NVIO_HUGEPAGES_TRY), 0);
	if (free_hugepages()) {
		print_message("# there are hugepages, so TRY gets them\n");
		skip();
	}
	assert_int_equal(mem_mapper_add(env, &phys), 0);
	assert_null(nvio_mem_alloc(env, 100, 0));
	assert_errmsg("nr_hugepages");
	nvio_mem_get_stats(env, &stats);
	assert_int_equal(stats.reserved, 0);
	mem_mapper_remove(env, &phys);
	buf = nvio_mem_alloc(env, 100, 0);
	assert_non_null(buf);
	assert_int_equal(mem_mapper_add(env, &phys), -EPERM);
	assert_errmsg("nr_hugepages");
	assert_int_equal(addr_of(env, buf), (uintptr_t)buf);
}

static void with_and_without_do_not_mix(void **state)
{
	assert_int_equal(open_env(NVIO_HUGEPAGES_TRY), 0);
	assert_int_equal(mem_mapper_add(env, &phys), 0);
	assert_int_equal(mem_mapper_add(env, &mmu.m), -EBUSY);
	assert_errmsg("mmu works with an IOMMU, and uio: a");
	mem_mapper_remove(env, &phys);
	assert_int_equal(mem_mapper_add(env, &mmu.m), 0);
	assert_int_equal(mem_mapper_add(env, &phys), -EBUSY);
	assert_errmsg("uio: a works without an IOMMU, and mmu");
	mem_mapper_remove(env, &mmu.m);
}

/* The kernel may move it. */
static void memory_of_the_caller_is_refused(void **state)
{
	assert_int_equal(open_env(NVIO_HUGEPAGES_TRY), 0);
	assert_int_equal(mem_mapper_add(env, &phys), 0);
	assert_int_equal(nvio_mem_register(env, own, MEM_PAGE), -EOPNOTSUPP);
	assert_errmsg("bounced");
	mem_mapper_remove(env, &phys);
	assert_int_equal(nvio_mem_register(env, own, MEM_PAGE), 0);
	assert_int_equal(mem_mapper_add(env, &phys), -EOPNOTSUPP);
	assert_int_equal(nvio_mem_unregister(env, own, MEM_PAGE), 0);
}

/* ---- with them ---- */

static void addresses_are_physical_hugepage_by_hugepage(void **state)
{
	char *small, *big;

	need_hugepages();
	small = nvio_mem_alloc(env, 5000, 0);
	assert_int_equal(mem_mapper_add(env, &phys), 0);
	assert_int_equal(mem_mapper_add(env, &phys2), 0);
	big = nvio_mem_alloc(env, 3 * MEM_HUGE_2M, 0);
	assert_non_null(big);
	mem_mapper_remove(env, &phys);
	assert_int_equal(addr_of(env, small + 4999), phys_of(small + 4999));
	for (size_t i = 0; i < 3; i++) {
		char *at = big + i * MEM_HUGE_2M + 4097;
		struct mem_extent e;
		uint64_t addr;
		size_t contig;

		assert_int_equal(nvio_mem_device_addr(env, at, &addr, &contig), 0);
		assert_int_equal(addr, phys_of(at));
		assert_int_equal(contig, MEM_HUGE_2M - 4097);
		assert_int_equal(mem_extent_find(env, at, &e), 0);
		assert_int_equal(e.base, (uintptr_t)at - 4097);
		assert_int_equal(e.len, MEM_HUGE_2M);
		assert_int_equal((uintptr_t)at + e.delta, phys_of(at));
	}
	mem_mapper_remove(env, &phys2);
	assert_int_equal(addr_of(env, big), (uintptr_t)big);
}

/* So a ring up to that size is contiguous, and a handle can be had. */
static void what_fits_a_hugepage_lies_in_one(void **state)
{
	static const size_t sizes[] = { 4096, 70000, 1 << 20, (1 << 20) + 64, 3 << 19, 100 };
	struct nvio_mem_buf handle;
	size_t contig;
	uint64_t addr;
	char *big;

	need_hugepages();
	assert_int_equal(mem_mapper_add(env, &phys), 0);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		char *buf = nvio_mem_alloc(env, sizes[i], 0);

		assert_non_null(buf);
		assert_int_equal(nvio_mem_device_addr(env, buf, &addr, &contig), 0);
		assert_int_equal(contig, sizes[i]);
		assert_int_equal(nvio_mem_buf_open(env, buf, sizes[i], &handle), 0);
		assert_int_equal(handle.device_addr, phys_of(buf));
		nvio_mem_buf_close(env, &handle);
		assert_int_equal(i % 2 ? nvio_mem_free(env, buf) : 0, 0);
	}
	big = nvio_mem_alloc(env, MEM_HUGE_2M + 4096, 0);
	assert_non_null(big);
	assert_int_equal(nvio_mem_buf_open(env, big, MEM_HUGE_2M + 1, &handle), -EFAULT);
	assert_errmsg("one hugepage");
	assert_int_equal(nvio_mem_buf_open(env, big, MEM_HUGE_2M, &handle), 0);
	nvio_mem_buf_close(env, &handle);
	mem_mapper_remove(env, &phys);
}

static void what_cannot_be_told_leaves_nothing_behind(void **state)
{
	struct nvio_mem_stats stats;
	int files;
	char *buf;

	need_hugepages();
	buf = nvio_mem_alloc(env, 100, 0);
	files = unit_open_files();
	calls_left = 0;
	assert_int_equal(mem_mapper_add(env, &phys), -EACCES);
	assert_errmsg("run as root");
	assert_int_equal(addr_of(env, buf), (uintptr_t)buf);
	calls_left = 1000;
	assert_int_equal(mem_mapper_add(env, &phys), 0);
	for (int n = 0; n < 2; n++) {
		calls_left = n;
		assert_null(nvio_mem_alloc(env, 2 * MEM_HUGE_2M, 0));
		assert_errmsg("run as root");
	}
	nvio_mem_get_stats(env, &stats);
	assert_int_equal(stats.reserved, 2 * MEM_HUGE_2M);
	assert_int_equal(unit_open_files(), files);
	mem_mapper_remove(env, &phys);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(ordinary_pages_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(pages_that_only_tried_to_be_huge_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(with_and_without_do_not_mix, setup, teardown),
		cmocka_unit_test_setup_teardown(memory_of_the_caller_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(addresses_are_physical_hugepage_by_hugepage, setup, teardown),
		cmocka_unit_test_setup_teardown(what_fits_a_hugepage_lies_in_one, setup, teardown),
		cmocka_unit_test_setup_teardown(what_cannot_be_told_leaves_nothing_behind, setup, teardown),
	};

	return cmocka_run_group_tests_name("mem_physical", tests, NULL, NULL);
}
