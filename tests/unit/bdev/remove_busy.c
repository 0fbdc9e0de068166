/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Removal and resizing under load: eight OS threads do I/O of all kinds, each on its own channel, while the
 * device shrinks, grows and goes. What is not -ENODEV or -ERANGE works, and nothing hangs. B1; meant for
 * ThreadSanitizer, too, so it is a device that keeps nothing: two threads that write one block of RAM at once
 * are the application's own affair.
 */
#include "support.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"

#define THREADS 8u
#define BLOCK	512u
#define BLOCKS	4096u
#define DEPTH	4u

struct load {
	struct fixture *f;
	_Atomic uint64_t done, beyond, gone;
	atomic_uint running;
	const char *name;
};

struct worker {
	struct load *load;
	struct nvio_thread *thread;
	struct disk d;
	struct nvio_op ops[DEPTH];
	unsigned char bufs[DEPTH][2][8 * BLOCK];
	uint32_t random;
	bool busy[DEPTH]; /* submitted, and not judged yet */
	bool removed, bad;
};

static uint32_t next(struct worker *w)
{
	w->random = w->random * 1664525 + 1013904223;
	return w->random >> 8;
}

static void event(struct nvio_bdev_desc *desc, enum nvio_bdev_event what, void *arg)
{
	struct worker *w = arg;

	w->removed |= what == NVIO_BDEV_REMOVED;
}

static int submit(struct worker *w, unsigned i)
{
	uint64_t offset = next(w) % BLOCKS * BLOCK, len = (1 + next(w) % 8) * BLOCK;
	unsigned char *buf = w->bufs[i][0], *buf2 = w->bufs[i][1];
	struct nvio_op *op = &w->ops[i];
	struct disk *d = &w->d;

	*op = (struct nvio_op)NVIO_OP(NULL);
	op->timeout_us = next(w) % 4 ? 0 : 60000000;
	switch (next(w) % 8) {
	case 0: return nvio_bdev_write(d->desc, d->ch, buf, offset, len, op);
	case 1: return nvio_bdev_compare(d->desc, d->ch, buf, offset, len, op);
	case 2: return nvio_bdev_write_zeroes(d->desc, d->ch, offset, len, op);
	case 3:
		return nvio_bdev_copy(
			d->desc, d->ch, offset / 2, BLOCKS / 2 * BLOCK + offset / 2 + len, len, op);
	case 4: return nvio_bdev_compare_and_write(d->desc, d->ch, buf, buf2, offset, len, op);
	case 5: return nvio_bdev_flush(d->desc, d->ch, op);
	default: return nvio_bdev_read(d->desc, d->ch, buf, offset, len, op);
	}
}

/* Whether the status is one that a device which shrinks or goes may answer. */
static bool judge(struct worker *w, int rc)
{
	struct load *load = w->load;

	atomic_fetch_add(&load->done, !rc || rc == -EILSEQ);
	atomic_fetch_add(&load->beyond, rc == -ERANGE || rc == -EINVAL);
	atomic_fetch_add(&load->gone, rc == -ENODEV);
	return !rc || rc == -EILSEQ || rc == -ERANGE || rc == -EINVAL || rc == -ENODEV;
}

static void await(struct worker *w, unsigned i)
{
	if (w->busy[i])
		w->bad |= !judge(w, nvio_wait(&w->ops[i]));
	w->busy[i] = false;
}

static void run(struct worker *w)
{
	while (!w->removed)
		for (unsigned i = 0; i < DEPTH; i++) {
			int rc;

			await(w, i);
			rc = submit(w, i);
			w->busy[i] = !rc;
			if (rc)
				w->bad |= !judge(w, rc);
			nvio_thread_poll(w->thread, 0);
		}
	for (unsigned i = 0; i < DEPTH; i++)
		await(w, i);
}

static void *work(void *arg)
{
	struct load *load = arg;
	struct worker *w = calloc(1, sizeof(*w));
	bool good;

	w->load = load;
	w->random = (uint32_t)(uintptr_t)w;
	if (nvio_thread_create(load->f->env, NULL, &w->thread) || nvio_thread_attach(w->thread) ||
		nvio_bdev_open(load->f->env, load->name, NVIO_BDEV_WRITE, &w->d.desc) ||
		nvio_bdev_channel(w->d.desc, &w->d.ch))
		abort();
	nvio_bdev_set_event_fn(w->d.desc, event, w);
	atomic_fetch_add(&load->running, 1);
	run(w);
	nvio_channel_put(w->d.ch);
	good = !nvio_bdev_close(w->d.desc) && !nvio_thread_detach(w->thread) &&
	       !nvio_thread_destroy(w->thread) && !w->bad;
	free(w);
	return good ? NULL : arg;
}

static void run_load(struct fixture *f, const char *name, const char *resized)
{
	struct nvio_op op = NVIO_OP(NULL);
	struct load load = { .f = f, .name = name };
	pthread_t threads[THREADS];

	for (unsigned i = 0; i < THREADS; i++)
		assert_ok(pthread_create(&threads[i], NULL, work, &load));
	while (atomic_load(&load.running) < THREADS)
		sleep_ns(NS_PER_MS);
	for (unsigned i = 0; i < 30; i++) {
		assert_ok(nvio_bdev_resize(f->env, resized, i & 1 ? BLOCKS : BLOCKS / 4 + i));
		nvio_thread_poll(f->thread, 0);
		sleep_ns(NS_PER_MS);
	}
	while (atomic_load(&load.done) < 1000)
		nvio_thread_poll(f->thread, 0);
	assert_ok(nvio_bdev_delete(f->env, resized, &op));
	assert_ok(nvio_wait(&op));
	for (unsigned i = 0; i < THREADS; i++) {
		void *bad;

		assert_ok(pthread_join(threads[i], &bad));
		assert_null(bad);
	}
	assert_true(atomic_load(&load.beyond));
	assert_int_equal(nvio_bdev_delete(f->env, name, &op), -ENODEV);
}

static void eight_threads_bear_resizing_and_removal(void **state)
{
	struct fixture *f = *state;

	make_null(f, "m", BLOCK, BLOCKS);
	run_load(f, "m", "m");
}

static void and_so_do_devices_that_stand_on_it(void **state)
{
	struct nvio_bdev_passthru_opts o;
	struct fixture *f = *state;

	make_null(f, "m", BLOCK, BLOCKS);
	nvio_bdev_passthru_opts_init(&o);
	o.name = "p";
	o.base = "m";
	assert_ok(nvio_bdev_passthru_create(f->env, &o));
	run_load(f, "p", "m");
}

static void an_open_extent_beyond_the_new_end_completes_and_new_io_is_refused(void **state)
{
	static unsigned char buf[8 * BLOCK];
	struct nvio_op ops[8], op = NVIO_OP(NULL);
	struct fixture *f = *state;
	struct disk d;

	make_malloc(f, "m", BLOCK, BLOCKS);
	d = disk_open(f, "m", NVIO_BDEV_WRITE);
	for (unsigned i = 0; i < 8; i++) {
		ops[i] = (struct nvio_op)NVIO_OP(NULL);
		assert_ok(nvio_bdev_write(d.desc, d.ch, buf, (BLOCKS - 8 + i) * BLOCK, BLOCK, &ops[i]));
	}
	assert_ok(nvio_bdev_resize(f->env, "m", 16));
	for (unsigned i = 0; i < 8; i++)
		assert_ok(nvio_wait(&ops[i]));
	assert_int_equal(nvio_bdev_read(d.desc, d.ch, buf, 16 * BLOCK, BLOCK, &op), -ERANGE);
	assert_int_equal(nvio_bdev_copy(d.desc, d.ch, 16 * BLOCK, 0, BLOCK, &op), -ERANGE);
	assert_int_equal(nvio_bdev_compare(d.desc, d.ch, buf, 16 * BLOCK, BLOCK, &op), -ERANGE);
	assert_ok(nvio_bdev_resize(f->env, "m", BLOCKS));
	assert_ok(do_read(&d, buf, (BLOCKS - 8) * BLOCK, sizeof(buf)));
	assert_true(all_bytes_are(buf, 0, sizeof(buf)));
	disk_close(&d);
}

#define TURNS 200u

struct counter {
	struct fixture *f;
	const char *name;
};

/* Adds one to the number in the first block, so often; whoever comes between makes it try again. */
static void *count_up(void *arg)
{
	const struct counter *c = arg;
	struct nvio_thread *t;
	struct disk d;

	if (nvio_thread_create(c->f->env, NULL, &t) || nvio_thread_attach(t))
		abort();
	d = disk_open(c->f, c->name, NVIO_BDEV_WRITE);
	for (unsigned done = 0; done < TURNS;) {
		struct nvio_op op = NVIO_OP(NULL);
		uint64_t was[2 * BLOCK / 8], now[2 * BLOCK / 8];
		int rc;

		if (do_read(&d, was, 0, sizeof(was)))
			abort();
		/* Both blocks belong together, also to those that read. */
		if (was[0] != was[BLOCK / 8])
			return arg;
		memcpy(now, was, sizeof(now));
		now[0]++;
		now[BLOCK / 8]++;
		rc = nvio_await(
			nvio_bdev_compare_and_write(d.desc, d.ch, was, now, 0, sizeof(now), &op), &op);
		if (rc && rc != -EILSEQ)
			return arg;
		done += !rc;
	}
	disk_close(&d);
	return nvio_thread_detach(t) || nvio_thread_destroy(t) ? arg : NULL;
}

static void count_on(struct fixture *f, const char *name)
{
	struct counter c = { .f = f, .name = name };
	uint64_t number[BLOCK / 8];
	pthread_t threads[4];
	struct disk d;

	for (unsigned i = 0; i < ARRAY_SIZE(threads); i++)
		assert_ok(pthread_create(&threads[i], NULL, count_up, &c));
	for (unsigned i = 0; i < ARRAY_SIZE(threads); i++) {
		void *bad;

		assert_ok(pthread_join(threads[i], &bad));
		assert_null(bad);
	}
	d = disk_open(f, name, NVIO_BDEV_READ);
	assert_ok(do_read(&d, number, 0, BLOCK));
	assert_int_equal(number[0], ARRAY_SIZE(threads) * TURNS);
	disk_close(&d);
}

static void an_emulated_compare_and_write_is_one_step_to_everybody(void **state)
{
	struct nvio_bdev_passthru_opts o;
	struct fixture *f = *state;

	make_malloc(f, "m", BLOCK, BLOCKS);
	count_on(f, "m");
	make_malloc(f, "below", BLOCK, BLOCKS);
	nvio_bdev_passthru_opts_init(&o);
	o.name = "p";
	o.base = "below";
	assert_ok(nvio_bdev_passthru_create(f->env, &o));
	count_on(f, "p");
}

static void more_compare_and_writes_than_there_are_locks_all_have_their_turn(void **state)
{
	static struct nvio_op ops[100];
	static uint64_t values[ARRAY_SIZE(ops) + 1][BLOCK / 8];
	struct fixture *f = *state;
	uint64_t number[BLOCK / 8];
	struct disk d;

	make_malloc(f, "m", BLOCK, BLOCKS);
	d = disk_open(f, "m", NVIO_BDEV_WRITE);
	for (unsigned i = 0; i <= ARRAY_SIZE(ops); i++)
		values[i][0] = i;
	/* All of one block and in order: each finds what the one before has left. */
	for (unsigned i = 0; i < ARRAY_SIZE(ops); i++) {
		ops[i] = (struct nvio_op)NVIO_OP(NULL);
		assert_ok(nvio_bdev_compare_and_write(
			d.desc, d.ch, values[i], values[i + 1], 0, BLOCK, &ops[i]));
	}
	for (unsigned i = 0; i < ARRAY_SIZE(ops); i++)
		assert_ok(nvio_wait(&ops[i]));
	assert_ok(do_read(&d, number, 0, BLOCK));
	assert_int_equal(number[0], ARRAY_SIZE(ops));
	/* And a channel that goes ends those that wait. */
	for (unsigned i = 0; i < ARRAY_SIZE(ops); i++)
		assert_ok(nvio_bdev_compare_and_write(
			d.desc, d.ch, values[100], values[100], 0, BLOCK, &ops[i]));
	nvio_channel_put(d.ch);
	for (unsigned i = 0; i < ARRAY_SIZE(ops); i++)
		assert_true(nvio_wait(&ops[i]) == 0 || ops[i].status == -ECANCELED);
	assert_ok(nvio_bdev_close(d.desc));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		fixture_test(eight_threads_bear_resizing_and_removal),
		fixture_test(and_so_do_devices_that_stand_on_it),
		fixture_test(an_emulated_compare_and_write_is_one_step_to_everybody),
		fixture_test(more_compare_and_writes_than_there_are_locks_all_have_their_turn),
		fixture_test(an_open_extent_beyond_the_new_end_completes_and_new_io_is_refused),
	};

	return cmocka_run_group_tests_name("bdev/remove_busy", tests, NULL, NULL);
}
