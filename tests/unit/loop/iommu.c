/* SPDX-License-Identifier: BSD-3-Clause */
/* The software IOMMU: what is reached through it, while other threads map and unmap. */
#include "tests/support/unit.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/alloc.h"
#include "base/random.h"
#include "loop/iommu.h"
#include "loop/loop.h"

static const struct loop_port_ops iommu_ops = { .iommu = true };
static const struct loop_port_ops plain_ops = { 0 };

static struct nvio_env *env;
static struct loop_port *port;
static struct loop_tlb tlb;

static int setup(void **state)
{
	memset(&tlb, 0, sizeof(tlb));
	return nvio_env_open(NULL, &env) || loop_publish(env, "i", &iommu_ops, NULL, 4, 0, &port);
}

static int teardown(void **state)
{
	loop_withdraw(port);
	nvio_env_close(env);
	return 0;
}

static uint64_t addr_of(const void *ptr)
{
	uint64_t addr = 0;

	assert_int_equal(nvio_mem_device_addr(env, ptr, &addr, NULL), 0);
	return addr;
}

static void memory_is_mapped_while_a_host_is_attached(void **state)
{
	char *buf = nvio_mem_alloc(env, 10000, 0), *late;
	struct loop_port *host;
	uint64_t at;

	assert_true(loop_behind_iommu(port));
	assert_int_equal(addr_of(buf), (uintptr_t)buf);
	assert_null(loop_reach(port, &tlb, (uintptr_t)buf, 1));
	for (int i = 0; i < 3; i++) {
		assert_int_equal(loop_attach(env, "i", &host), 0);
		at = addr_of(buf);
		assert_true(at >= 1ull << 32 && at != (uintptr_t)buf);
		assert_ptr_equal(loop_reach(port, &tlb, at, 10000), buf);
		assert_ptr_equal(loop_reach(port, &tlb, at + 9999, 1), buf + 9999);
		assert_null(loop_reach(port, &tlb, (uintptr_t)buf, 1));
		late = nvio_mem_alloc(env, 3 << 20, 0);
		assert_ptr_equal(loop_reach(port, &tlb, addr_of(late), 3 << 20), late);
		loop_detach(host);
		assert_null(loop_reach(port, &tlb, at, 1));
		assert_int_equal(addr_of(buf), (uintptr_t)buf);
		assert_int_equal(nvio_mem_free(env, late), 0);
	}
}

static void a_host_without_room_is_refused(void **state)
{
	char *buf = nvio_mem_alloc(env, 100, 0);
	struct loop_port *host, *plain;
	struct nvio_mem_buf handle;
	long left = -1;

	assert_int_equal(nvio_mem_buf_open(env, buf, 100, &handle), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(loop_attach(env, "i", &host), -EBUSY);
		assert_errmsg("loop: i: an open handle");
	}
	/* That is no matter to a target that has no IOMMU. */
	assert_int_equal(loop_publish(env, "p", &plain_ops, NULL, 4, 0, &plain), 0);
	assert_false(loop_behind_iommu(plain));
	assert_int_equal(loop_attach(env, "p", &host), 0);
	loop_detach(host);
	loop_withdraw(plain);
	nvio_mem_buf_close(env, &handle);
	for (long n = 0; left < 0; n++) {
		int rc;

		alloc_fail_after(n);
		rc = loop_attach(env, "i", &host);
		left = alloc_fail_after(-1);
		assert_int_equal(rc, left < 0 ? -ENOMEM : 0);
		if (rc)
			assert_int_equal(addr_of(buf), (uintptr_t)buf);
	}
	loop_detach(host);
}

/* The end of a mapping is an end, whatever is remembered of it and whatever comes after it. */
static void an_access_lies_in_one_mapping(void **state)
{
	char *own = mmap(NULL, 16 * MEM_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct loop_port *host;
	uint64_t at;

	assert_int_equal(loop_attach(env, "i", &host), 0);
	assert_int_equal(nvio_mem_register(env, own + 8 * MEM_PAGE, 4 * MEM_PAGE), 0);
	assert_int_equal(nvio_mem_register(env, own, 4 * MEM_PAGE), 0);
	at = addr_of(own);
	assert_int_equal(at, addr_of(own + 8 * MEM_PAGE) + 4 * MEM_PAGE);
	for (int i = 0; i < 2; i++) {
		assert_ptr_equal(loop_reach(port, &tlb, at, 4 * MEM_PAGE), own);
		assert_null(loop_reach(port, &tlb, at, 4 * MEM_PAGE + 1));
		assert_null(loop_reach(port, &tlb, at - 1, 2));
		assert_null(loop_reach(port, &tlb, at, UINT64_MAX));
		assert_ptr_equal(loop_reach(port, &tlb, at - 1, 1), own + 12 * MEM_PAGE - 1);
		assert_null(loop_reach(port, &tlb, at + 4 * MEM_PAGE, 1));
		assert_null(loop_reach(port, &tlb, at + 4 * MEM_PAGE - 1, 2));
		assert_null(loop_reach(port, &tlb, 0, 1));
		assert_null(loop_reach(port, &tlb, UINT64_MAX, 1));
	}
	/* Other memory at the same address is not taken for what was there. */
	assert_int_equal(nvio_mem_unregister(env, own, 4 * MEM_PAGE), 0);
	assert_null(loop_reach(port, &tlb, at, 1));
	assert_int_equal(nvio_mem_register(env, own + 4 * MEM_PAGE, 4 * MEM_PAGE), 0);
	assert_int_equal(addr_of(own + 4 * MEM_PAGE), at);
	assert_ptr_equal(loop_reach(port, &tlb, at, 1), own + 4 * MEM_PAGE);
	assert_int_equal(nvio_mem_unregister(env, own + 4 * MEM_PAGE, 4 * MEM_PAGE), 0);
	assert_int_equal(nvio_mem_unregister(env, own + 8 * MEM_PAGE, 4 * MEM_PAGE), 0);
	loop_detach(host);
	munmap(own, 16 * MEM_PAGE);
}

/* ---- threads ---- */

#define PAGES  64 /* that come and go, of each of two threads */
#define STABLE 200 /* more than a tlb has slots */
#define ROUNDS 4000

static char *area;
static uint64_t stable_at[STABLE];
static char *stable[STABLE];
static atomic_uint busy;

static void *come_and_go(void *arg)
{
	char *mine = area + (uintptr_t)arg * PAGES * MEM_PAGE;
	bool there[PAGES] = { 0 };
	struct random random;

	random_init(&random, (uintptr_t)arg);
	for (int i = 0; i < ROUNDS; i++) {
		size_t k = random_below(&random, PAGES);
		char *page = mine + k * MEM_PAGE;
		uint64_t at;

		if (there[k] ? nvio_mem_unregister(env, page, MEM_PAGE) : nvio_mem_register(env, page, MEM_PAGE))
			abort();
		there[k] = !there[k];
		if (!there[k])
			continue;
		/* What this thread has just mapped it finds, as a drive does that it would tell of it. */
		if (nvio_mem_device_addr(env, page, &at, NULL))
			abort();
		struct loop_tlb fresh = { 0 };

		if (loop_reach(port, &fresh, at, MEM_PAGE) != page)
			abort();
	}
	for (size_t k = 0; k < PAGES; k++)
		if (there[k] && nvio_mem_unregister(env, mine + k * MEM_PAGE, MEM_PAGE))
			abort();
	atomic_fetch_sub(&busy, 1);
	return NULL;
}

static void others_may_map_and_unmap_meanwhile(void **state)
{
	struct loop_port *host;
	struct random random;
	uint64_t reached = 0;
	pthread_t threads[2];

	assert_int_equal(loop_attach(env, "i", &host), 0);
	area = mmap(NULL, 2 * PAGES * MEM_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < STABLE; i++) {
		stable[i] = mmap(NULL, MEM_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		assert_int_equal(nvio_mem_register(env, stable[i], MEM_PAGE), 0);
		stable_at[i] = addr_of(stable[i]);
		memset(stable[i], i, MEM_PAGE);
	}
	random_init(&random, 1);
	atomic_store(&busy, 2);
	for (uintptr_t i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, (void *)i), 0);
	do {
		for (int i = 0; i < 200; i++) {
			size_t k = random_below(&random, STABLE), offset = random_below(&random, MEM_PAGE);
			const char *p = loop_reach(port, &tlb, stable_at[k] + offset, 1);

			assert_ptr_equal(p, stable[k] + offset);
			assert_int_equal((uint8_t)*p, k);
			/* Where things come and go it is a page of theirs, or nothing. */
			p = loop_reach(port, &tlb, stable_at[STABLE - 1] + (1 + random_below(&random, 2 * PAGES)) * MEM_PAGE, 8);
			if (p)
				assert_true(p >= area && p < area + 2 * PAGES * MEM_PAGE);
			reached += p != NULL;
		}
	} while (atomic_load(&busy));
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_true(reached > 0);
	loop_detach(host);
	for (int i = 0; i < STABLE; i++) {
		assert_int_equal(nvio_mem_unregister(env, stable[i], MEM_PAGE), 0);
		munmap(stable[i], MEM_PAGE);
	}
	munmap(area, 2 * PAGES * MEM_PAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(memory_is_mapped_while_a_host_is_attached, setup, teardown),
		cmocka_unit_test_setup_teardown(a_host_without_room_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(an_access_lies_in_one_mapping, setup, teardown),
		cmocka_unit_test_setup_teardown(others_may_map_and_unmap_meanwhile, setup, teardown),
	};

	return cmocka_run_group_tests_name("loop_iommu", tests, NULL, NULL);
}
