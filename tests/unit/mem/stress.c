/* SPDX-License-Identifier: BSD-3-Clause */
/* Several OS threads on one environment's memory: buffers made by one and freed by another, look-ups and
 * registrations between. M1, M2. */
#include "tests/support/unit.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>

#include "base/random.h"
#include "mem/mem.h"

#define THREADS 4
#define ROUNDS	20000
#define SLOTS	64

static struct nvio_env *env;
static void *slots[SLOTS]; /* atomic; a buffer that is in none belongs to the thread that took it out */

struct worker {
	pthread_t thread;
	uint64_t seed;
	char *own;	 /* two pages of its own */
	const char *why; /* what went wrong */
};

/* The first bytes of a buffer say how large it is; its last byte repeats them. */
static void *make(struct random *r)
{
	size_t size = 64 + random_below(r, random_bool(r, 0.01) ? (size_t)3 << 20 : 9000);
	unsigned char *buf = nvio_mem_alloc(env, size, 0);

	if (!buf)
		return NULL;
	memcpy(buf, &size, sizeof(size));
	buf[size - 1] = (unsigned char)size;
	return buf;
}

static const char *look(void *buf)
{
	uint64_t addr;
	size_t size, contig;

	memcpy(&size, buf, sizeof(size));
	if (((unsigned char *)buf)[size - 1] != (unsigned char)size)
		return "a buffer was overwritten";
	if (nvio_mem_device_addr(env, buf, &addr, &contig) || addr != (uintptr_t)buf || contig != size)
		return "a buffer has the wrong device address";
	return NULL;
}

static const char *use_own(char *own)
{
	struct nvio_mem_buf handle;

	if (nvio_mem_register(env, own, 2 * MEM_PAGE))
		return "own memory could not be registered";
	if (nvio_mem_buf_open(env, own + 10, 100, &handle))
		return "no handle of own memory";
	if (nvio_mem_unregister(env, own, 2 * MEM_PAGE) != -EBUSY)
		return "memory with a handle was unregistered";
	nvio_mem_buf_close(env, &handle);
	return nvio_mem_unregister(env, own, 2 * MEM_PAGE) ? "own memory could not be unregistered" : NULL;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct random r;

	random_init(&r, w->seed);
	for (int i = 0; i < ROUNDS && !w->why; i++) {
		void *buf, *mine = random_bool(&r, 0.7) ? make(&r) : NULL;

		buf = __atomic_exchange_n(&slots[random_below(&r, SLOTS)], mine, __ATOMIC_ACQ_REL);
		if (buf)
			w->why = look(buf);
		if (nvio_mem_free(env, buf))
			w->why = "a buffer could not be freed";
		if (!w->why && i % 16 == 0)
			w->why = use_own(w->own);
	}
	return NULL;
}

static void threads_share_an_environment(void **state)
{
	struct worker workers[THREADS] = { 0 };
	uint64_t seed = random_os_seed();
	struct nvio_mem_stats stats;

	print_message("# seed %llu\n", (unsigned long long)seed);
	assert_int_equal(nvio_env_open(NULL, &env), 0);
	for (int i = 0; i < THREADS; i++) {
		workers[i].seed = seed + (uint64_t)i;
		workers[i].own =
			mmap(NULL, 2 * MEM_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		assert_ptr_not_equal(workers[i].own, MAP_FAILED);
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(workers[i].thread, NULL);
	for (int i = 0; i < THREADS; i++) {
		if (workers[i].why)
			fail_msg("thread %d: %s (%s)", i, workers[i].why, nvio_errmsg());
		munmap(workers[i].own, 2 * MEM_PAGE);
	}
	for (int i = 0; i < SLOTS; i++)
		assert_int_equal(nvio_mem_free(env, slots[i]), 0);
	nvio_mem_get_stats(env, &stats);
	assert_int_equal(stats.allocations, 0);
	assert_int_equal(stats.allocated, 0);
	assert_int_equal(stats.registered, 0);
	nvio_env_close(env);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_share_an_environment),
	};

	return cmocka_run_group_tests_name("mem_stress", tests, NULL, NULL);
}
