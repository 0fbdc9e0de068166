/* SPDX-License-Identifier: BSD-3-Clause */
/* The seam where something that maps memory for devices hooks in, and sharing with a peer; with a fake IOMMU.
 */
#include "tests/support/unit.h"

#include <errno.h>
#include <sys/mman.h>

#include "mem/mem.h"

#define IOMMU_MAX 16

/* Gives addresses one after another, far from virtual ones, and holds what comes against what it knows. */
struct iommu {
	struct {
		void *va;
		size_t len;
	} maps[IOMMU_MAX];
	int count, maps_ever;
	int fails_at; /* this many maps succeed */
	uint64_t next;
	bool identity;
	bool confused; /* unmapped what was not mapped */
};

static int iommu_map(void *ctx, void *va, size_t len, uint64_t *iova)
{
	struct iommu *mmu = ctx;

	if (mmu->count == IOMMU_MAX || mmu->maps_ever >= mmu->fails_at)
		return -ENOSPC;
	mmu->maps_ever++;
	mmu->maps[mmu->count].va = va;
	mmu->maps[mmu->count++].len = len;
	*iova = mmu->identity ? (uintptr_t)va : mmu->next;
	mmu->next += len;
	return 0;
}

static void iommu_unmap(void *ctx, void *va, size_t len)
{
	struct iommu *mmu = ctx;

	for (int i = 0; i < mmu->count; i++) {
		if (mmu->maps[i].va != va || mmu->maps[i].len != len)
			continue;
		mmu->maps[i] = mmu->maps[--mmu->count];
		return;
	}
	mmu->confused = true;
}

static const struct mem_map_ops iommu_ops = { .map = iommu_map, .unmap = iommu_unmap };

static struct iommu mmu;
static struct nvio_env *env;
static char *own;

static int setup(void **state)
{
	mmu = (struct iommu){ .fails_at = 1000, .next = 1ull << 40 };
	own = mmap(NULL, 4 * MEM_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return own == MAP_FAILED ? -1 : nvio_env_open(NULL, &env);
}

static int teardown(void **state)
{
	nvio_env_close(env);
	return munmap(own, 4 * MEM_PAGE);
}

static uint64_t addr_of(const void *ptr)
{
	uint64_t addr = 0;

	assert_int_equal(nvio_mem_device_addr(env, ptr, &addr, NULL), 0);
	return addr;
}

static void what_is_there_and_what_comes_is_mapped(void **state)
{
	char *before = nvio_mem_alloc(env, 100, 0), *after;
	struct nvio_mem_buf handle;

	assert_int_equal(nvio_mem_register(env, own, MEM_PAGE), 0);
	assert_int_equal(mem_map_set(env, &iommu_ops, &mmu), 0);
	assert_int_equal(mmu.count, 2);
	assert_in_range(addr_of(before), 1ull << 40, (1ull << 40) + MEM_REGION_SIZE);
	assert_int_equal(addr_of(before + 99), addr_of(before) + 99);
	assert_in_range(addr_of(own), 1ull << 40, 1ull << 41);
	after = nvio_mem_alloc(env, (size_t)3 << 20, 0);
	assert_int_equal(mmu.count, 3);
	assert_in_range(addr_of(after), 1ull << 40, 1ull << 41);
	assert_int_equal(nvio_mem_register(env, own + MEM_PAGE, MEM_PAGE), 0);
	assert_int_equal(mmu.count, 4);
	assert_int_equal(nvio_mem_buf_open(env, own + MEM_PAGE + 10, 20, &handle), 0);
	assert_int_equal(handle.device_addr, addr_of(own + MEM_PAGE) + 10);
	nvio_mem_buf_close(env, &handle);
	assert_int_equal(nvio_mem_free(env, after), 0);
	assert_int_equal(nvio_mem_unregister(env, own, MEM_PAGE), 0);
	assert_int_equal(mmu.count, 2);
	mem_map_clear(env);
	assert_int_equal(mmu.count, 0);
	assert_false(mmu.confused);
	assert_int_equal(addr_of(before), (uintptr_t)before);
}

static void there_is_one_mapper_at_a_time(void **state)
{
	assert_int_equal(mem_map_set(env, &iommu_ops, &mmu), 0);
	assert_int_equal(mem_map_set(env, &iommu_ops, &mmu), -EBUSY);
	mem_map_clear(env);
	mem_map_clear(env);
	assert_int_equal(mem_map_set(env, &iommu_ops, &mmu), 0);
}

static void a_mapper_that_fails_leaves_all_as_it_was(void **state)
{
	char *buf = nvio_mem_alloc(env, 100, 0);

	assert_int_equal(nvio_mem_register(env, own, MEM_PAGE), 0);
	mmu.fails_at = 1;
	assert_int_equal(mem_map_set(env, &iommu_ops, &mmu), -ENOSPC);
	assert_errmsg("for devices: ENOSPC");
	assert_int_equal(mmu.count, 0);
	assert_false(mmu.confused);
	assert_int_equal(addr_of(buf), (uintptr_t)buf);
	assert_int_equal(addr_of(own), (uintptr_t)own);
}

static void what_cannot_be_mapped_is_not_handed_out(void **state)
{
	struct nvio_mem_stats stats;
	int files = unit_open_files();

	assert_int_equal(mem_map_set(env, &iommu_ops, &mmu), 0);
	mmu.fails_at = 0;
	assert_null(nvio_mem_alloc(env, 100, 0));
	assert_errmsg("for devices");
	assert_null(nvio_mem_alloc(env, (size_t)5 << 20, 0));
	assert_int_equal(nvio_mem_register(env, own, MEM_PAGE), -ENOSPC);
	nvio_mem_get_stats(env, &stats);
	assert_int_equal(stats.reserved, 0);
	assert_int_equal(stats.registered, 0);
	assert_int_equal(unit_open_files(), files);
	mmu.fails_at = 1000;
	assert_non_null(nvio_mem_alloc(env, 100, 0));
}

static void an_open_handle_keeps_its_address(void **state)
{
	char *buf = nvio_mem_alloc(env, 100, 0);
	struct nvio_mem_buf handle;

	assert_int_equal(nvio_mem_buf_open(env, buf, 100, &handle), 0);
	assert_int_equal(mem_map_set(env, &iommu_ops, &mmu), -EBUSY);
	assert_errmsg("open handle");
	assert_int_equal(mmu.count, 0);
	assert_int_equal(addr_of(buf), handle.device_addr);
	/* A mapper that keeps addresses as they are does not disturb it. */
	mmu.identity = true;
	assert_int_equal(mem_map_set(env, &iommu_ops, &mmu), 0);
	nvio_mem_buf_close(env, &handle);
}

static void closing_the_environment_unmaps_all(void **state)
{
	struct nvio_env *other;

	assert_int_equal(nvio_env_open(NULL, &other), 0);
	assert_int_equal(mem_map_set(other, &iommu_ops, &mmu), 0);
	assert_non_null(nvio_mem_alloc(other, 100, 0));
	assert_int_equal(nvio_mem_register(other, own, MEM_PAGE), 0);
	assert_int_equal(mmu.count, 2);
	nvio_env_close(other);
	assert_int_equal(mmu.count, 0);
	assert_false(mmu.confused);
}

static void a_buffer_can_be_shared_through_its_file(void **state)
{
	char *buf = nvio_mem_alloc(env, 10000, 0), *big = nvio_mem_alloc(env, (size_t)3 << 20, 0);
	char *const shared[] = { buf, buf + 4096, big + 8192 };
	uint64_t offset;
	int fd;

	for (size_t i = 0; i < ARRAY_SIZE(shared); i++) {
		char *there;

		assert_int_equal(mem_share(env, shared[i], &fd, &offset), 0);
		there = mmap(NULL, MEM_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
		assert_ptr_not_equal(there, MAP_FAILED);
		shared[i][5] = (char)(i + 1);
		assert_int_equal(there[5], i + 1);
		munmap(there, MEM_PAGE);
	}
	assert_int_equal(nvio_mem_register(env, own, MEM_PAGE), 0);
	assert_int_equal(mem_share(env, own, &fd, &offset), -EFAULT);
	assert_int_equal(mem_share(env, &fd, &fd, &offset), -EFAULT);
	assert_int_equal(nvio_mem_free(env, buf), 0);
	assert_int_equal(mem_share(env, buf, &fd, &offset), -EFAULT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_there_and_what_comes_is_mapped, setup, teardown),
		cmocka_unit_test_setup_teardown(there_is_one_mapper_at_a_time, setup, teardown),
		cmocka_unit_test_setup_teardown(a_mapper_that_fails_leaves_all_as_it_was, setup, teardown),
		cmocka_unit_test_setup_teardown(what_cannot_be_mapped_is_not_handed_out, setup, teardown),
		cmocka_unit_test_setup_teardown(an_open_handle_keeps_its_address, setup, teardown),
		cmocka_unit_test_setup_teardown(closing_the_environment_unmaps_all, setup, teardown),
		cmocka_unit_test_setup_teardown(a_buffer_can_be_shared_through_its_file, setup, teardown),
	};

	return cmocka_run_group_tests_name("mem_device", tests, NULL, NULL);
}
