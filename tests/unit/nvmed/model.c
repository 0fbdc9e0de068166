/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Cache, direct, asynchronous and discard I/O mixed at random over several handles and threads, against a plain array of bytes (V9 to V15).
 * Each thread owns every N-th unit of the device, so that neighbours within a page are of different threads, and what one writes must
 * never undo what another has. The seed is printed, and may be given in NVMED_SEED.
 */
#include "fixture.h"

#include <pthread.h>
#include <time.h>

#define THREADS 4
#define STEPS   3000

struct config {
	const char *drive;
	int cache_pages;
	unsigned int unit; /* blocks that one thread owns in a row */
	int queue_flags;
};

struct worker {
	struct rig *r;
	const struct config *config;
	NVMED_HANDLE *buffered, *direct, *synced;
	unsigned char *model, *buf;
	u64 seed;
	unsigned int id, block;
	char trouble[200];
};

static u64 draw(struct worker *w, u64 below)
{
	w->seed ^= w->seed << 13;
	w->seed ^= w->seed >> 7;
	w->seed ^= w->seed << 17;
	return w->seed % below;
}

static void on_done(const NVMED_AIO_CTX *ctx, void *userdata)
{
	__atomic_store_n((int *)userdata, 1, __ATOMIC_RELEASE);
}

static int aio(struct worker *w, bool write, u64 at, size_t len)
{
	int done = 0;
	NVMED_AIO_CTX ctx = { .handle = w->direct, .start_lba = (off_t)at, .len = len, .buf = w->buf, .aio_callback = on_done,
		.cb_userdata = &done };

	if (write ? nvmed_aio_write(&ctx) : nvmed_aio_read(&ctx))
		return -1;
	while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE))
		if (nvmed_aio_handle_complete(w->direct) == 0)
			nanosleep(&(struct timespec){ .tv_nsec = 1000 }, NULL);
	return nvmed_aio_error(&ctx) ? -1 : (int)len;
}

/* One step on bytes that are the thread's own. */
static bool step(struct worker *w, unsigned int number)
{
	u64 unit = (u64)w->config->unit * w->block, units = w->r->nvmed->dev_info->capacity / unit, mine, at, len;
	unsigned int kind = (unsigned int)draw(w, 100);
	bool aligned = kind >= 50, write = kind % 2, good;

	mine = draw(w, units / THREADS) * THREADS + w->id;
	at = draw(w, unit);
	len = 1 + draw(w, unit - at);
	if (aligned) {
		at -= at % w->block;
		len += w->block - 1 - (len - 1) % w->block;
	}
	at += mine * unit;
	if (write)
		for (u64 i = 0; i < len; i++)
			w->buf[i] = (unsigned char)draw(w, 256);
	if (kind >= 94) {
		good = kind == 94 ? !nvmed_flush(w->buffered) : !nvmed_discard(w->direct, at, (unsigned int)len);
		if (kind != 94)
			memset(w->model + at, 0, len);
	} else if (kind >= 75) {
		good = aio(w, write, at, len) == (int)len;
	} else {
		NVMED_HANDLE *h = kind >= 50 ? w->direct : kind >= 40 ? w->synced : w->buffered;

		good = (write ? nvmed_pwrite(h, w->buf, len, (off_t)at) : nvmed_pread(h, w->buf, len, (off_t)at)) == (ssize_t)len;
	}
	if (!good)
		snprintf(w->trouble, sizeof(w->trouble), "step %u: kind %u at %llu, %llu: %s", number, kind, (unsigned long long)at,
			(unsigned long long)len, nvmed_errmsg());
	if (good && write && kind < 94)
		memcpy(w->model + at, w->buf, len);
	if (good && !write && kind < 94 && memcmp(w->model + at, w->buf, len)) {
		snprintf(w->trouble, sizeof(w->trouble), "step %u: kind %u at %llu, %llu bytes: not what was written", number, kind,
			(unsigned long long)at, (unsigned long long)len);
		good = false;
	}
	return good;
}

static void *work(void *arg)
{
	struct worker *w = arg;

	for (unsigned int i = 0; i < STEPS && step(w, i); i++)
		;
	return NULL;
}

static void check_all(struct rig *r, NVMED_HANDLE *h, const unsigned char *model)
{
	size_t size = r->nvmed->dev_info->capacity;
	unsigned char *all = malloc(size);

	assert_int_equal(nvmed_pread(h, all, size, 0), size);
	assert_memory_equal(all, model, size);
	free(all);
}

static void run(const struct config *config, u64 seed)
{
	struct rig r = rig_open(config->drive, 0, config->queue_flags, 0);
	unsigned char *model = calloc(1, r.nvmed->dev_info->capacity);
	struct worker w[THREADS];
	NVMED_HANDLE *direct;
	NVMED_QUEUE *q[THREADS];
	pthread_t threads[THREADS];

	assert_int_equal(nvmed_feature_set(r.nvmed, NVMED_CACHE_SIZE, config->cache_pages), config->cache_pages);
	for (unsigned int i = 0; i < THREADS; i++) {
		/* Half of them share a queue. */
		q[i] = i < THREADS / 2 ? r.queue : nvmed_queue_create(r.nvmed, config->queue_flags);
		w[i] = (struct worker){ .r = &r, .config = config, .model = model, .seed = seed + i * 0x9e3779b97f4a7c15u, .id = i,
			.block = 1u << r.nvmed->dev_info->lba_shift };
		w[i].buf = nvmed_get_buffer(r.nvmed, 16);
		w[i].buffered = nvmed_handle_create(q[i], 0);
		w[i].direct = nvmed_handle_create(q[i], HANDLE_DIRECT_IO);
		w[i].synced = nvmed_handle_create(q[i], HANDLE_SYNC_IO);
		assert_true(w[i].buffered && w[i].direct && w[i].synced && w[i].buf);
	}
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, work, &w[i]), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < THREADS; i++)
		if (*w[i].trouble)
			fail_msg("%s, seed %llu, thread %d: %s", config->drive, (unsigned long long)seed, i, w[i].trouble);
	check_all(&r, w[0].buffered, model);
	assert_int_equal(nvmed_flush(w[0].buffered), 0);
	direct = nvmed_handle_create(r.queue, HANDLE_DIRECT_IO);
	check_all(&r, direct, model);
	assert_int_equal(nvmed_handle_destroy(direct), 0);
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(nvmed_handle_destroy(w[i].buffered), 0);
		assert_int_equal(nvmed_handle_destroy(w[i].direct), 0);
		assert_int_equal(nvmed_handle_destroy(w[i].synced), 0);
		if (q[i] != r.queue)
			assert_int_equal(nvmed_queue_destroy(q[i]), 0);
	}
	free(model);
	rig_close(&r);
}

static void the_device_is_an_array_of_bytes(void **state)
{
	static const struct config configs[] = {
		{ "loop:ram:1M", 16, 1, QUEUE_MANUAL_COMPLETION },
		{ "loop:ram:1049088", 64, 13, QUEUE_MANUAL_COMPLETION },
		{ "loop:ram:2M?bs=4096", 24, 1, QUEUE_MANUAL_COMPLETION },
		{ "loop:ram:2M?bs=4096&poll=thread", 400, 5, 0 },
		{ "loop:ram:1M?iommu=1", 8, 7, QUEUE_INTERRUPT },
		{ "loop:ram:8M", 1500, 11, 0 },
	};
	const char *given = getenv("NVMED_SEED");
	u64 seed = given ? strtoull(given, NULL, 0) : ((u64)time(NULL) << 20 | (u64)getpid()) | 1;

	fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
	for (size_t i = 0; i < ARRAY_SIZE(configs); i++)
		run(&configs[i], seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_device_is_an_array_of_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
