/* SPDX-License-Identifier: BSD-3-Clause */
/* Device addresses: mappers that come and go, what is mapped through them, and sharing with a peer. H4. */
#include "tests/unit/mem/fake.h"

static struct fake mmu, mmu2, mmu3;
static struct nvio_env *env;
static char *own;

static int setup(void **state)
{
	fake_init(&mmu, "mmu");
	fake_init(&mmu2, "mmu2");
	fake_init(&mmu3, "mmu3");
	own = mmap(NULL, 8 * MEM_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return own == MAP_FAILED ? -1 : nvio_env_open(NULL, &env);
}

static int teardown(void **state)
{
	nvio_env_close(env);
	assert_false(mmu.confused || mmu2.confused || mmu3.confused);
	assert_int_equal(mmu.count + mmu2.count + mmu3.count, 0);
	return munmap(own, 8 * MEM_PAGE);
}

static void what_is_there_and_what_comes_is_mapped(void **state)
{
	char *before = nvio_mem_alloc(env, 100, 0), *after;
	struct nvio_mem_buf handle;

	assert_int_equal(nvio_mem_register(env, own, MEM_PAGE), 0);
	assert_int_equal(mem_mapper_add(env, &mmu.m), 0);
	assert_int_equal(mmu.count, 2);
	assert_ptr_equal(fake_reach(&mmu, addr_of(env, before)), before);
	assert_int_equal(addr_of(env, before + 99), addr_of(env, before) + 99);
	assert_ptr_equal(fake_reach(&mmu, addr_of(env, own)), own);
	after = nvio_mem_alloc(env, (size_t)3 << 20, 0);
	assert_int_equal(mmu.count, 3);
	assert_ptr_equal(fake_reach(&mmu, addr_of(env, after) + 12345), after + 12345);
	assert_int_equal(nvio_mem_register(env, own + MEM_PAGE, MEM_PAGE), 0);
	assert_int_equal(mmu.count, 4);
	assert_int_equal(nvio_mem_buf_open(env, own + MEM_PAGE + 10, 20, &handle), 0);
	assert_int_equal(handle.device_addr, addr_of(env, own + MEM_PAGE) + 10);
	nvio_mem_buf_close(env, &handle);
	assert_int_equal(nvio_mem_free(env, after), 0);
	assert_int_equal(nvio_mem_unregister(env, own, MEM_PAGE), 0);
	assert_int_equal(mmu.count, 2);
	mem_mapper_remove(env, &mmu.m);
	assert_int_equal(mmu.count, 0);
	assert_int_equal(addr_of(env, before), (uintptr_t)before);
}

static void all_mappers_have_the_same_addresses(void **state)
{
	struct fake *all[] = { &mmu, &mmu2, &mmu3 };
	char *bufs[3];
	uint64_t addr;

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		bufs[i] = nvio_mem_alloc(env, (size_t)3 << 20, 0);
		assert_int_equal(mem_mapper_add(env, &all[i]->m), 0);
	}
	assert_int_equal(nvio_mem_register(env, own, MEM_PAGE), 0);
	addr = addr_of(env, own);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		assert_int_equal(all[i]->count, 4);
		assert_ptr_equal(fake_reach(all[i], addr), own);
		for (size_t k = 0; k < ARRAY_SIZE(bufs); k++)
			assert_ptr_equal(fake_reach(all[i], addr_of(env, bufs[k])), bufs[k]);
	}
	/* One that goes, even the first, changes nothing for the others. */
	mem_mapper_remove(env, &mmu.m);
	assert_int_equal(mmu.count, 0);
	assert_int_equal(mmu2.count, 4);
	assert_int_equal(addr_of(env, own), addr);
	assert_int_equal(nvio_mem_unregister(env, own, MEM_PAGE), 0);
	assert_null(fake_reach(&mmu2, addr));
	assert_null(fake_reach(&mmu3, addr));
	assert_int_equal(mem_mapper_add(env, &mmu.m), 0);
	assert_int_equal(mmu.count, 3);
	mem_mapper_remove(env, &mmu2.m);
	mem_mapper_remove(env, &mmu3.m);
	mem_mapper_remove(env, &mmu.m);
	assert_int_equal(addr_of(env, bufs[0]), (uintptr_t)bufs[0]);
}

/* A mapper that fails at each of its maps in turn, as the first or as the third, leaves all as it was. */
static void a_mapper_that_fails_leaves_all_as_it_was(void **state)
{
	char *buf = nvio_mem_alloc(env, 100, 0), *big = nvio_mem_alloc(env, (size_t)3 << 20, 0);

	assert_int_equal(nvio_mem_register(env, own, MEM_PAGE), 0);
	for (int others = 0; others <= 2; others += 2) {
		uint64_t at, at_own;

		if (others) {
			assert_int_equal(mem_mapper_add(env, &mmu2.m), 0);
			assert_int_equal(mem_mapper_add(env, &mmu3.m), 0);
		}
		at = addr_of(env, buf);
		at_own = addr_of(env, own);
		for (int n = 0; n < 3; n++) {
			mmu.left = n;
			mmu.text = n ? "the table is full; raise its limit" : NULL;
			assert_int_equal(mem_mapper_add(env, &mmu.m), -ENOSPC);
			assert_errmsg(n ? "the table is full; raise its limit" : "mem: mmu: map 4194304 bytes at ");
			assert_int_equal(mmu.count, 0);
			assert_int_equal(addr_of(env, buf), at);
			assert_int_equal(addr_of(env, own), at_own);
			assert_int_equal(mmu2.count, others ? 3 : 0);
			assert_int_equal(mmu3.count, others ? 3 : 0);
		}
	}
	mmu.left = 3;
	assert_int_equal(mem_mapper_add(env, &mmu.m), 0);
	assert_ptr_equal(fake_reach(&mmu, addr_of(env, big)), big);
}

static void what_one_mapper_refuses_is_not_handed_out(void **state)
{
	struct nvio_mem_stats stats;
	int files = unit_open_files();

	assert_int_equal(mem_mapper_add(env, &mmu.m), 0);
	assert_int_equal(mem_mapper_add(env, &mmu2.m), 0);
	assert_int_equal(mem_mapper_add(env, &mmu3.m), 0);
	mmu3.left = 0;
	mmu3.text = "raise dma_entry_limit";
	assert_null(nvio_mem_alloc(env, 100, 0));
	assert_errmsg("raise dma_entry_limit");
	assert_null(nvio_mem_alloc(env, (size_t)5 << 20, 0));
	assert_int_equal(nvio_mem_register(env, own, MEM_PAGE), -ENOSPC);
	assert_errmsg("raise dma_entry_limit");
	nvio_mem_get_stats(env, &stats);
	assert_int_equal(stats.reserved, 0);
	assert_int_equal(stats.registered, 0);
	assert_int_equal(mmu.count + mmu2.count, 0);
	assert_int_equal(unit_open_files(), files);
	mmu3.left = 1000;
	assert_non_null(nvio_mem_alloc(env, 100, 0));
}

static void an_open_handle_keeps_its_address(void **state)
{
	char *buf = nvio_mem_alloc(env, 100, 0);
	struct nvio_mem_buf handle;

	assert_int_equal(nvio_mem_buf_open(env, buf, 100, &handle), 0);
	assert_int_equal(mem_mapper_add(env, &mmu.m), -EBUSY);
	assert_errmsg("open handle");
	assert_int_equal(mmu.count, 0);
	assert_int_equal(addr_of(env, buf), handle.device_addr);
	nvio_mem_buf_close(env, &handle);
	assert_int_equal(mem_mapper_add(env, &mmu.m), 0);
	/* More mappers do not disturb it: the addresses are those that it has. */
	assert_int_equal(nvio_mem_buf_open(env, buf, 100, &handle), 0);
	assert_int_equal(mem_mapper_add(env, &mmu2.m), 0);
	mem_mapper_remove(env, &mmu.m);
	assert_int_equal(addr_of(env, buf), handle.device_addr);
	nvio_mem_buf_close(env, &handle);
}

static void closing_the_environment_unmaps_all(void **state)
{
	struct nvio_env *other;

	assert_int_equal(nvio_env_open(NULL, &other), 0);
	assert_int_equal(mem_mapper_add(other, &mmu.m), 0);
	assert_int_equal(mem_mapper_add(other, &mmu2.m), 0);
	assert_non_null(nvio_mem_alloc(other, 100, 0));
	assert_int_equal(nvio_mem_register(other, own, MEM_PAGE), 0);
	assert_int_equal(mmu.count, 2);
	assert_int_equal(mmu2.count, 2);
	nvio_env_close(other);
	assert_int_equal(mmu.count + mmu2.count, 0);
}

static struct mem_extent extent_of(const void *ptr)
{
	struct mem_extent e;

	assert_int_equal(mem_extent_find(env, ptr, &e), 0);
	assert_true((uintptr_t)ptr >= e.base && (uintptr_t)ptr - e.base < e.len);
	return e;
}

static void an_extent_leads_from_any_address_in_it_to_the_devices(void **state)
{
	char *buf = nvio_mem_alloc(env, 10000, 0), *ptrs[] = { buf, buf + 9999, own, own + 2 * MEM_PAGE - 1 };
	struct mem_extent e;

	assert_int_equal(nvio_mem_register(env, own, 2 * MEM_PAGE), 0);
	for (int mapped = 0; mapped < 2; mapped++) {
		for (size_t i = 0; i < ARRAY_SIZE(ptrs); i++) {
			e = extent_of(ptrs[i]);
			assert_int_equal((uintptr_t)ptrs[i] + e.delta, addr_of(env, ptrs[i]));
			if (mapped)
				assert_ptr_equal(fake_reach(&mmu, (uintptr_t)ptrs[i] + e.delta), ptrs[i]);
			else
				assert_int_equal(e.delta, 0);
		}
		assert_int_equal(extent_of(own).base, (uintptr_t)own);
		assert_int_equal(extent_of(own).len, 2 * MEM_PAGE);
		assert_int_equal(mem_extent_find(env, own + 2 * MEM_PAGE, &e), -EFAULT);
		assert_errmsg("nvio_mem_register");
		assert_int_equal(mem_extent_find(env, &e, &e), -EFAULT);
		if (!mapped)
			assert_int_equal(mem_mapper_add(env, &mmu.m), 0);
	}
	assert_int_equal(nvio_mem_free(env, buf), 0);
	assert_int_equal(mem_extent_find(env, buf, &e), -EFAULT);
}

static struct mem_cache cache;
static unsigned int unmaps;

static void must_be_forgotten(const void *va)
{
	uint64_t at;

	assert_false(mem_cache_hit(&cache, (uintptr_t)va, 1, &at));
	for (int i = 0; i < MEM_CACHE_WAYS; i++)
		assert_false((uintptr_t)va >= cache.ways[i].base && (uintptr_t)va < cache.ways[i].end);
	unmaps++;
}

static void assert_cached(const void *ptr)
{
	uint64_t at;
	size_t contig;

	assert_int_equal(mem_cache_find(&cache, ptr, &at, &contig), 0);
	assert_int_equal(at, addr_of(env, ptr));
	assert_true(mem_cache_hit(&cache, (uintptr_t)ptr, contig, &at));
	assert_false(mem_cache_hit(&cache, (uintptr_t)ptr, contig + 1, &at));
	assert_int_equal(at, addr_of(env, ptr));
}

/* What the I/O path remembers of an address goes before the mapper is told, whatever makes it go. */
static void caches_forget_an_address_before_it_goes(void **state)
{
	char *small = nvio_mem_alloc(env, 100, 0), *big;
	size_t contig;
	uint64_t at;

	mmu.on_unmap = mmu2.on_unmap = must_be_forgotten;
	unmaps = 0;
	mem_cache_open(env, &cache);
	assert_cached(small);
	assert_int_equal(mem_mapper_add(env, &mmu.m), 0);
	assert_cached(small);
	assert_int_equal(mem_mapper_add(env, &mmu2.m), 0);
	assert_int_equal(nvio_mem_register(env, own, MEM_PAGE), 0);
	big = nvio_mem_alloc(env, (size_t)3 << 20, 0);
	assert_cached(own);
	assert_cached(big);
	assert_cached(small);
	assert_int_equal(nvio_mem_unregister(env, own, MEM_PAGE), 0);
	assert_int_equal(mem_cache_find(&cache, own, &at, &contig), -EFAULT);
	assert_errmsg("nvio_mem_register");
	assert_int_equal(nvio_mem_free(env, big), 0);
	assert_int_equal(unmaps, 4);
	assert_true(mem_cache_hit(&cache, (uintptr_t)small, 1, &at)); /* nothing that stays is forgotten */
	mmu.on_unmap = NULL;
	mem_mapper_remove(env, &mmu.m);
	assert_true(mem_cache_hit(&cache, (uintptr_t)small, 1, &at)); /* the other one still has it there */
	mem_mapper_remove(env, &mmu2.m);
	assert_int_equal(unmaps, 5);
	assert_cached(small);
	mem_cache_close(&cache);
}

static bool knows(const struct mem_cache *c, const void *ptr)
{
	for (unsigned int i = 0; i < MEM_CACHE_WAYS; i++)
		if ((uintptr_t)ptr >= c->ways[i].base && (uintptr_t)ptr < c->ways[i].end)
			return true;
	return false;
}

/* More regions than a cache has ways: each is found, the last ones without a look at the tree. */
static void a_cache_keeps_the_last_regions(void **state)
{
	char *bufs[2 * MEM_CACHE_WAYS];

	assert_int_equal(mem_mapper_add(env, &mmu.m), 0);
	mem_cache_open(env, &cache);
	for (int i = 0; i < 2 * MEM_CACHE_WAYS; i++)
		assert_non_null(bufs[i] = nvio_mem_alloc(env, MEM_OWN_REGION, 0));
	for (int i = 0; i < 2 * MEM_CACHE_WAYS; i++) {
		assert_cached(bufs[i]);
		for (int k = 0; k < 2 * MEM_CACHE_WAYS; k++)
			assert_int_equal(knows(&cache, bufs[k]), k <= i && k > i - MEM_CACHE_WAYS);
	}
	mem_cache_close(&cache);
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
		cmocka_unit_test_setup_teardown(all_mappers_have_the_same_addresses, setup, teardown),
		cmocka_unit_test_setup_teardown(a_mapper_that_fails_leaves_all_as_it_was, setup, teardown),
		cmocka_unit_test_setup_teardown(what_one_mapper_refuses_is_not_handed_out, setup, teardown),
		cmocka_unit_test_setup_teardown(an_open_handle_keeps_its_address, setup, teardown),
		cmocka_unit_test_setup_teardown(closing_the_environment_unmaps_all, setup, teardown),
		cmocka_unit_test_setup_teardown(an_extent_leads_from_any_address_in_it_to_the_devices, setup, teardown),
		cmocka_unit_test_setup_teardown(caches_forget_an_address_before_it_goes, setup, teardown),
		cmocka_unit_test_setup_teardown(a_cache_keeps_the_last_regions, setup, teardown),
		cmocka_unit_test_setup_teardown(a_buffer_can_be_shared_through_its_file, setup, teardown),
	};

	return cmocka_run_group_tests_name("mem_device", tests, NULL, NULL);
}
