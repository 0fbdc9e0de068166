/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The freestanding core on a platform that is this test: what it refuses, and that each allocation of connecting may fail. Controllers that work
 * are QEMU's, see run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <nvio/ctrlr.h>
#include <nvio/env.h>
#include <nvio/error.h>
#include <nvio/mem.h>
#include <nvio/op.h>
#include <nvio/platform.h>

/* ---- the platform ---- */

static uint64_t now_ns;
static long fail_after = -1; /* of allocations */
static long allocated;

uint64_t nvio_platform_now_ns(void) { return now_ns += 1000; }
void nvio_platform_idle(void) { now_ns += 1000000; }

static void *take(size_t size, size_t align)
{
	void *p = NULL;

	if (fail_after >= 0 && fail_after-- == 0)
		return NULL;
	assert_int_equal(posix_memalign(&p, align, size), 0);
	allocated++;
	return p;
}

void *nvio_platform_alloc(size_t size, size_t align)
{
	void *p = take(size, align);

	return p ? memset(p, 0, size) : NULL;
}

void *nvio_platform_dma_alloc(size_t size, size_t align) { return take(size, align); }

void nvio_platform_free(void *ptr)
{
	allocated--;
	free(ptr);
}

void nvio_platform_dma_free(void *ptr) { nvio_platform_free(ptr); }

int nvio_platform_device_addr(const void *ptr, uint64_t *addr, size_t *contig)
{
	*addr = (uintptr_t)ptr;
	*contig = 4096 - (uintptr_t)ptr % 4096;
	return ptr ? 0 : -EFAULT;
}

static char logged[512];
void nvio_platform_log(const char *line) { strncpy(logged, line, sizeof(logged) - 1); }
void nvio_platform_panic(const char *line)
{
	fail_msg("%s", line);
	abort();
}

/* ---- the tests ---- */

static _Alignas(4096) uint8_t regs[8192];

static const struct nvio_bar good = { .base = regs, .len = sizeof(regs), .name = "0000:00:04.0" };

static struct nvio_env *open_env(void)
{
	struct nvio_env *env;

	assert_int_equal(nvio_env_open(NULL, &env), 0);
	return env;
}

static void options_of_a_process_are_refused(void **state)
{
	struct nvio_env_opts opts;
	struct nvio_env *env;

#define REFUSED(field, value, rc)                                       \
	do {                                                            \
		nvio_env_opts_init(&opts);                              \
		opts.field = (value);                                   \
		assert_int_equal(nvio_env_open(&opts, &env), (rc));     \
		assert_int_equal(allocated, 0);                         \
	} while (0)
	REFUSED(core_mask, "0x1", -EOPNOTSUPP);
	REFUSED(main_core, 0, -EOPNOTSUPP);
	REFUSED(mem_size_mb, 1, -EOPNOTSUPP);
	REFUSED(shm_id, 0, -EOPNOTSUPP);
	REFUSED(hugepages, NVIO_HUGEPAGES_2M, -EOPNOTSUPP);
	REFUSED(seed, 1, -EOPNOTSUPP);
	REFUSED(name, "", -EINVAL);
	REFUSED(log_level, (enum nvio_log_level)9, -EINVAL);
	REFUSED(size, 8, -EINVAL);
}

static void bars_that_cannot_be_are_refused(void **state)
{
	static const struct {
		struct nvio_bar bar;
		const char *words;
	} cases[] = {
		{ { .base = NULL, .len = 8192, .name = "a" }, "BAR of" },
		{ { .base = regs + 4, .len = 8192, .name = "a" }, "aligned to 8" },
		{ { .base = regs, .len = 4096, .name = "a" }, "4096 bytes" },
		{ { .base = regs, .len = 8192, .name = "" }, "name" },
		{ { .base = regs, .len = 8192, .name = NULL }, "name" },
	};
	struct nvio_env *env = open_env();
	struct nvio_ctrlr *c = NULL;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(nvio_connect_bar(env, &cases[i].bar, NULL, &c), -EINVAL);
		assert_non_null(strstr(nvio_errmsg(), cases[i].words));
	}
	assert_int_equal(nvio_connect_bar(env, NULL, NULL, &c), -EINVAL);
	assert_null(c);
	nvio_env_close(env);
	assert_int_equal(allocated, 0);
}

/* All-ones, and registers that never become ready; each time with every allocation failing in turn. */
static void controllers_that_do_not_work(void **state)
{
	static const struct {
		uint8_t fill;
		int rc;
		const char *words;
	} cases[] = {
		{ 0xff, -ENODEV, "all-ones" },
		{ 0x00, -ETIMEDOUT, "0000:00:04.0" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		long left = -1;

		for (long n = 0; left < 0; n++) {
			struct nvio_env *env = open_env();
			struct nvio_ctrlr *c = NULL;
			int rc;

			memset(regs, cases[i].fill, sizeof(regs));
			if (!cases[i].fill) {
				/* CAP: 64 entries, ready within 0.5 s, the NVM command set; VS 1.4. */
				const uint64_t cap = 63 | 1ull << 24 | 1ull << 37;

				memcpy(regs, &cap, 8);
				memcpy(regs + 8, &(uint32_t){ 0x10400 }, 4);
			}
			fail_after = n;
			rc = nvio_connect_bar(env, &good, NULL, &c);
			left = fail_after;
			fail_after = -1;
			assert_int_equal(rc, left < 0 ? -ENOMEM : cases[i].rc);
			if (left >= 0)
				assert_non_null(strstr(nvio_errmsg(), cases[i].words));
			assert_null(c);
			nvio_env_close(env);
			assert_int_equal(allocated, 0);
		}
	}
	assert_non_null(strstr(logged, "nvio: "));
}

static void buffers(void **state)
{
	struct nvio_env *env = open_env();
	uint64_t addr;
	size_t contig;
	uint8_t *p;

	assert_null(nvio_mem_alloc(env, 0, 0));
	assert_null(nvio_mem_alloc(env, 64, 48));
	assert_null(nvio_mem_alloc(env, SIZE_MAX, 0));
	fail_after = 0;
	assert_null(nvio_mem_alloc(env, 64, 0));
	assert_non_null(strstr(nvio_errmsg(), "no more memory"));
	p = nvio_mem_alloc_zeroed(env, 4097, 0);
	assert_int_equal((uintptr_t)p % 4096, 0);
	for (int i = 0; i < 4097; i++)
		assert_int_equal(p[i], 0);
	assert_int_equal(nvio_mem_device_addr(env, p + 1, &addr, &contig), 0);
	assert_int_equal(addr, (uintptr_t)p + 1);
	assert_int_equal(contig, 4095);
	assert_int_equal(nvio_mem_device_addr(env, NULL, &addr, NULL), -EFAULT);
	assert_int_equal(nvio_mem_free(env, p), 0);
	assert_int_equal(nvio_mem_free(env, NULL), 0);
	nvio_env_close(env);
	assert_int_equal(allocated, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_of_a_process_are_refused),
		cmocka_unit_test(bars_that_cannot_be_are_refused),
		cmocka_unit_test(controllers_that_do_not_work),
		cmocka_unit_test(buffers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
