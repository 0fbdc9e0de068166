/* SPDX-License-Identifier: BSD-3-Clause */
/* Asynchronous I/O and handles on several queues: V5, V12, V13, V14, V18 (the device's thread and its polling period). */
#include "fixture.h"

#include <pthread.h>
#include <time.h>

#define SIZE    (4 * MIB)
#define DEPTH   64
#define MANY    1000 /* more than a queue has requests */

static int callbacks;

static void count(const NVMED_AIO_CTX *ctx, void *userdata)
{
	assert_int_equal(ctx->status, AIO_COMPLETE);
	__atomic_fetch_add((int *)userdata, 1, __ATOMIC_RELEASE);
}

static NVMED_AIO_CTX ctx_of(NVMED_HANDLE *h, void *buf, off_t at, size_t len)
{
	return (NVMED_AIO_CTX){ .handle = h, .buf = buf, .start_lba = at, .len = len, .aio_callback = count, .cb_userdata = &callbacks };
}

static void wait_for(int *counter, int n)
{
	for (int i = 0; __atomic_load_n(counter, __ATOMIC_ACQUIRE) < n; i++) {
		if (i > 60000)
			fail_msg("%d of %d after a minute", *counter, n);
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
}

/* V12, V13, V14: any number at a time; nothing completes before it is asked for; counts are those since the last call. */
static void manual_completion(void **state)
{
	static const int flags[] = { QUEUE_MANUAL_COMPLETION, QUEUE_MANUAL_CQ };

	for (size_t f = 0; f < ARRAY_SIZE(flags); f++) {
		struct rig r = rig_open("loop:ram:4M", 0, flags[f], HANDLE_DIRECT_IO);
		unsigned char *out = nvmed_get_buffer(r.nvmed, 1024), *in = nvmed_get_buffer(r.nvmed, 1024);
		NVMED_AIO_CTX *ctx = calloc(MANY, sizeof(*ctx));
		int done = 0;

		pattern_fill(out, SIZE, 5);
		for (int round = 0; round < 2; round++) {
			callbacks = done = 0;
			for (int i = 0; i < MANY; i++) {
				ctx[i] = ctx_of(r.handle, (round ? in : out) + i * 4096, i * 4096, 4096);
				assert_int_equal(round ? nvmed_aio_read(&ctx[i]) : nvmed_aio_write(&ctx[i]), NVMED_AIO_QUEUED);
			}
			assert_int_equal(callbacks, 0);
			assert_int_equal(ctx[0].status, AIO_PROCESS);
			assert_int_equal(ctx[MANY - 1].status, AIO_INIT);
			assert_int_equal(nvmed_aio_queue_submit(r.handle), MANY);
			assert_int_equal(nvmed_aio_queue_submit(r.handle), 0);
			while (done < MANY)
				done += nvmed_aio_handle_complete(r.handle);
			assert_int_equal(done, MANY);
			assert_int_equal(callbacks, MANY);
			assert_int_equal(nvmed_aio_handle_complete(r.handle), 0);
			for (int i = 0; i < MANY; i++) {
				assert_int_equal(ctx[i].status, AIO_COMPLETE);
				assert_int_equal(ctx[i].num_init_io, ctx[i].num_complete_io);
				assert_int_equal(nvmed_aio_error(&ctx[i]), 0);
			}
		}
		assert_memory_equal(in, out, MANY * 4096);
		free(ctx);
		rig_close(&r);
	}
}

/* V14, V18: without the flag the device's thread completes, whatever its period; a program that counts is served as well. */
static void the_devices_thread_completes(void **state)
{
	static const int flags[] = { 0, QUEUE_INTERRUPT };
	static const int periods[] = { NVMED_POLLING_ADAPT, 0, 200 };

	for (size_t f = 0; f < ARRAY_SIZE(flags) * ARRAY_SIZE(periods); f++) {
		struct rig r = rig_open("loop:ram:4M?poll=thread", 0, flags[f % 2], HANDLE_DIRECT_IO);
		unsigned char *buf = nvmed_get_buffer(r.nvmed, DEPTH);
		NVMED_AIO_CTX ctx[DEPTH];
		int done = 0;

		assert_int_equal(nvmed_feature_set(r.nvmed, NVMED_POLLING_PERIOD, periods[f / 2]), periods[f / 2]);
		assert_int_equal(nvmed_feature_get(r.nvmed, NVMED_POLLING_PERIOD), periods[f / 2]);
		callbacks = 0;
		for (int round = 0; round < 5; round++) {
			for (int i = 0; i < DEPTH; i++) {
				ctx[i] = ctx_of(r.handle, buf + i * 4096, i * 4096, 4096);
				assert_int_equal(nvmed_aio_write(&ctx[i]), 0);
			}
			wait_for(&callbacks, DEPTH * (round + 1));
		}
		while (done < DEPTH * 5)
			done += nvmed_aio_handle_complete(r.handle);
		assert_int_equal(done, DEPTH * 5);
		rig_close(&r);
	}
}

struct chain {
	NVMED_AIO_CTX ctx;
	int left;
	int done;
};

static void again(const NVMED_AIO_CTX *ctx, void *userdata)
{
	struct chain *c = userdata;

	if (--c->left) {
		c->ctx.start_lba = (c->ctx.start_lba + 4096) % SIZE;
		assert_int_equal(nvmed_aio_read(&c->ctx), 0);
	} else {
		__atomic_store_n(&c->done, 1, __ATOMIC_RELEASE);
	}
}

/* V13: a callback may submit more, by its own context too. */
static void callbacks_submit_more(void **state)
{
	static const int flags[] = { 0, QUEUE_INTERRUPT, QUEUE_MANUAL_COMPLETION };

	for (size_t f = 0; f < ARRAY_SIZE(flags); f++) {
		struct rig r = rig_open("loop:ram:4M", 0, flags[f], HANDLE_DIRECT_IO);
		struct chain c = { .left = 300 };

		c.ctx = ctx_of(r.handle, nvmed_get_buffer(r.nvmed, 1), 0, 4096);
		c.ctx.aio_callback = again;
		c.ctx.cb_userdata = &c;
		assert_int_equal(nvmed_aio_read(&c.ctx), 0);
		while (flags[f] == QUEUE_MANUAL_COMPLETION && !c.done)
			nvmed_aio_handle_complete(r.handle);
		wait_for(&c.done, 1);
		rig_close(&r);
	}
}

/* V13: a failed command is visible to the callback. */
static void failures_are_visible(void **state)
{
	static const struct {
		const char *drive;
		int err;
	} cases[] = {
		{ "loop:ram:4M?fault=status:opcode=2:sf=0x4281", -EIO },
		{ "loop:ram:4M?fault=remove:opcode=2", -ENODEV },
	};

	for (size_t c = 0; c < ARRAY_SIZE(cases); c++) {
		struct rig r = rig_open(cases[c].drive, NVMED_NO_CACHE, QUEUE_MANUAL_COMPLETION, 0);
		NVMED_AIO_CTX ctx[4];
		int done = 0;

		callbacks = 0;
		for (int i = 0; i < 4; i++) {
			ctx[i] = ctx_of(r.handle, nvmed_get_buffer(r.nvmed, 1), i * 4096, 4096);
			assert_int_equal(nvmed_aio_read(&ctx[i]), 0);
		}
		while (done < 4)
			done += nvmed_aio_handle_complete(r.handle);
		for (int i = 0; i < 4; i++) {
			assert_int_equal(ctx[i].status, AIO_COMPLETE);
			assert_int_not_equal(ctx[i].num_init_io, ctx[i].num_complete_io);
			assert_int_equal(nvmed_aio_error(&ctx[i]), cases[c].err);
		}
		assert_int_equal(callbacks, 4);
		nvmed_handle_destroy(r.handle); /* its flush fails where the drive is gone */
		assert_int_equal(nvmed_queue_destroy(r.queue), 0);
		assert_int_equal(nvmed_close(r.nvmed), 0);
	}
}

/* V12 */
static void bad_contexts_are_refused(void **state)
{
	struct rig r = rig_open("loop:ram:4M", 0, 0, HANDLE_DIRECT_IO);
	unsigned char buf[512];
	const struct {
		NVMED_HANDLE *handle;
		void *buf;
		off_t at;
		size_t len;
	} cases[] = {
		{ NULL, buf, 0, 512 },	    { r.handle, NULL, 0, 512 },		  { r.handle, buf, 100, 512 },
		{ r.handle, buf, 0, 100 },  { r.handle, buf, 0, 0 },		  { r.handle, buf, SIZE, 512 },
		{ r.handle, buf, -512, 512 }, { r.handle, buf, SIZE - 512, 1024 }, { r.handle, buf, 0, 1ul << 32 },
		{ r.handle, buf, 512, -512ul },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		NVMED_AIO_CTX ctx = ctx_of(cases[i].handle, cases[i].buf, cases[i].at, cases[i].len);

		assert_fails(nvmed_aio_read(&ctx), EINVAL);
		assert_fails(nvmed_aio_write(&ctx), EINVAL);
	}
	assert_fails(nvmed_aio_read(NULL), EINVAL);
	assert_fails(nvmed_aio_write(NULL), EINVAL);
	assert_fails(nvmed_aio_queue_submit(NULL), EINVAL);
	assert_fails(nvmed_aio_handle_complete(NULL), EINVAL);
	assert_int_equal(nvmed_aio_queue_submit(r.handle), 0);
	rig_close(&r);
}

static void ends_all(const NVMED_AIO_CTX *ctx, void *userdata)
{
	struct rig *r = userdata;

	assert_int_equal(nvmed_handle_destroy(r->handle), 0);
	assert_int_equal(nvmed_queue_destroy(r->queue), 0);
	if (r->nvmed->flags & NVMED_CACHE_LAZY_INIT)
		assert_int_equal(nvmed_close(r->nvmed), 0);
	else
		assert_int_equal(nvmed_close(r->nvmed), -NVMED_FAULT);
	__atomic_store_n(&callbacks, 1, __ATOMIC_RELEASE);
}

/* A callback may end its handle and its queue, and where it runs in the program's own thread the device, too. */
static void callbacks_may_end_everything(void **state)
{
	static unsigned char buf[4096];

	for (int manual = 0; manual < 2; manual++) {
		struct rig r = rig_open("loop:ram:4M", manual ? NVMED_CACHE_LAZY_INIT : 0, manual ? QUEUE_MANUAL_COMPLETION : 0,
			HANDLE_DIRECT_IO);
		NVMED_AIO_CTX ctx = ctx_of(r.handle, buf, 0, 4096);

		callbacks = 0;
		ctx.aio_callback = ends_all;
		ctx.cb_userdata = &r;
		assert_int_equal(nvmed_aio_read(&ctx), 0);
		while (manual && !callbacks)
			nvmed_aio_handle_complete(r.handle);
		wait_for(&callbacks, 1);
		if (!manual)
			assert_int_equal(nvmed_close(r.nvmed), 0);
	}
}

/* V4: destroying a handle waits for its I/O, and its callbacks run. */
static void destroy_waits(void **state)
{
	for (int manual = 0; manual < 2; manual++) {
		struct rig r = rig_open("loop:ram:4M?fault=delay:us=2000:opcode=1", 0, manual ? QUEUE_MANUAL_COMPLETION : 0, HANDLE_DIRECT_IO);
		unsigned char *buf = nvmed_get_buffer(r.nvmed, 1);
		NVMED_AIO_CTX ctx[20];

		callbacks = 0;
		for (int i = 0; i < 20; i++) {
			ctx[i] = ctx_of(r.handle, buf, i * 4096, 4096);
			assert_int_equal(nvmed_aio_write(&ctx[i]), 0);
		}
		assert_int_equal(nvmed_handle_destroy(r.handle), 0);
		assert_int_equal(callbacks, 20);
		assert_int_equal(nvmed_aio_write(&ctx[0]), -1);
		assert_int_equal(nvmed_queue_destroy(r.queue), 0);
		assert_int_equal(nvmed_close(r.nvmed), 0);
	}
}

/* V5: what the function was asked, and the queue that it picks. */
static NVMED_QUEUE *picks[3];
static struct {
	u8 opcode;
	unsigned long offs;
	unsigned int len;
	int calls;
} asked;
static int pick_number;

static NVMED_QUEUE *pick(NVMED_HANDLE *handle, u8 opcode, unsigned long offs, unsigned int len)
{
	asked.opcode = opcode;
	asked.offs = offs;
	asked.len = len;
	asked.calls++;
	return pick_number < 3 ? picks[pick_number] : NULL;
}

static void the_pick_is_used(void **state)
{
	struct rig r = rig_open("loop:ram:4M", 0, 0, HANDLE_DIRECT_IO);
	unsigned char *buf = nvmed_get_buffer(r.nvmed, 2);
	NVMED_QUEUE *array[3];
	NVMED_AIO_CTX ctx;
	NVMED_HANDLE *mq;

	for (int i = 0; i < 3; i++)
		array[i] = picks[i] = nvmed_queue_create(r.nvmed, QUEUE_MANUAL_COMPLETION);
	assert_null(nvmed_handle_create_mq(NULL, 3, 0, pick));
	assert_null(nvmed_handle_create_mq(array, 0, 0, pick));
	assert_null(nvmed_handle_create_mq(array, 3, 0, NULL));
	assert_null(nvmed_handle_create_mq(array, 3, HANDLE_INTERRUPT, pick));
	mq = nvmed_handle_create_mq(array, 3, HANDLE_DIRECT_IO, pick);
	assert_non_null(mq);
	memset(array, 0, sizeof(array)); /* the caller keeps its array */
	assert_true(mq->flags & HANDLE_MQ);
	for (pick_number = 0; pick_number < 3; pick_number++) {
		assert_int_equal(nvmed_pwrite(mq, buf, 8192, 4096), 8192);
		assert_int_equal(asked.opcode, nvme_cmd_write);
		assert_int_equal(asked.offs, 4096);
		assert_int_equal(asked.len, 8192);
		assert_int_equal(nvmed_pread(mq, buf, 4096, 0), 4096);
		assert_int_equal(asked.opcode, nvme_cmd_read);
		ctx = ctx_of(mq, buf, 512, 512);
		callbacks = 0;
		assert_int_equal(nvmed_aio_read(&ctx), 0);
		/* Another handle of the same queue that asks does not tell this one's callback. */
		for (NVMED_HANDLE *other = nvmed_handle_create(picks[pick_number], HANDLE_DIRECT_IO); other; other = NULL) {
			for (int i = 0; i < 100; i++)
				assert_int_equal(nvmed_aio_handle_complete(other), 0);
			assert_int_equal(callbacks, 0);
			assert_int_equal(nvmed_handle_destroy(other), 0);
		}
		while (!nvmed_aio_handle_complete(mq))
			;
		assert_int_equal(callbacks, 1);
	}
	pick_number = 3;
	assert_fails(nvmed_pread(mq, buf, 4096, 0), EINVAL);
	assert_fails(nvmed_aio_read(&ctx), EINVAL);
	pick_number = 0;
	assert_int_equal(nvmed_queue_destroy(picks[2]), -NVMED_FAULT);
	assert_int_equal(nvmed_handle_destroy(mq), -NVMED_FAULT);
	assert_int_equal(nvmed_handle_destroy_mq(r.handle), -NVMED_FAULT);
	assert_int_equal(nvmed_handle_destroy_mq(NULL), -NVMED_NOENTRY);
	assert_int_equal(nvmed_handle_destroy_mq(mq), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(nvmed_queue_destroy(picks[i]), 0);
	rig_close(&r);
}

/* One queue of several threads, each with synchronous and asynchronous I/O of its own. */
static void *worker(void *arg)
{
	NVMED_HANDLE *h = arg;
	unsigned char *buf = nvmed_get_buffer(HtoD(h), 4), *mine = nvmed_get_buffer(HtoD(h), 1);
	int done = 0;

	for (int i = 0; i < 200; i++) {
		NVMED_AIO_CTX ctx = ctx_of(h, buf, h->offset, 4096);

		ctx.cb_userdata = &done;
		memset(buf, i, 4096);
		if (nvmed_aio_write(&ctx))
			return (void *)1;
		wait_for(&done, i + 1);
		if (nvmed_pread(h, mine, 4096, h->offset) != 4096 || mine[4095] != (unsigned char)i)
			return (void *)2;
	}
	return NULL;
}

static void threads_share_a_queue(void **state)
{
	struct rig r = rig_open("loop:ram:4M", 0, 0, HANDLE_DIRECT_IO);
	NVMED_HANDLE *h[4];
	pthread_t thread[4];
	void *result;

	for (int i = 0; i < 4; i++) {
		h[i] = nvmed_handle_create(r.queue, HANDLE_DIRECT_IO);
		assert_int_equal(nvmed_lseek(h[i], i * 65536, SEEK_SET), i * 65536);
		assert_int_equal(pthread_create(&thread[i], NULL, worker, h[i]), 0);
	}
	for (int i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(thread[i], &result), 0);
		assert_null(result);
		assert_int_equal(nvmed_handle_destroy(h[i]), 0);
	}
	rig_close(&r);
}

/* V17 */
static void device_features_table(void **state)
{
	struct rig r = rig_open("loop:ram:4M", NVMED_NO_CACHE, 0, 0);
	static const int bad[][2] = { { NVMED_POLLING_PERIOD, -2 }, { NVMED_POLLING_PERIOD, 1000001 }, { 1 << 20, 1 }, { 0, 0 } };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(nvmed_feature_set(r.nvmed, bad[i][0], bad[i][1]), -NVMED_INVALID);
	assert_int_equal(nvmed_feature_set(NULL, NVMED_POLLING_PERIOD, 1), -NVMED_INVALID);
	assert_int_equal(nvmed_feature_get(NULL, NVMED_POLLING_PERIOD), -NVMED_INVALID);
	assert_int_equal(nvmed_feature_get(r.nvmed, 1 << 20), -NVMED_INVALID);
	assert_int_equal(nvmed_feature_get(r.nvmed, NVMED_NO_CACHE), TRUE);
	assert_int_equal(nvmed_feature_get(r.nvmed, NVMED_CACHE_LAZY_INIT), FALSE);
	assert_int_equal(nvmed_feature_get(r.nvmed, NVMED_POLLING_PERIOD), NVMED_POLLING_ADAPT);
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(manual_completion),
		cmocka_unit_test(the_devices_thread_completes),
		cmocka_unit_test(callbacks_submit_more),
		cmocka_unit_test(failures_are_visible),
		cmocka_unit_test(bad_contexts_are_refused),
		cmocka_unit_test(callbacks_may_end_everything),
		cmocka_unit_test(destroy_waits),
		cmocka_unit_test(the_pick_is_used),
		cmocka_unit_test(threads_share_a_queue),
		cmocka_unit_test(device_features_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
