/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Eight OS threads on one device at once: locks, compare and writes, quiesce, limits set and taken away, resets, plain I/O, and what is
 * on the device tells whether each was alone when it had to be. B3, B5.
 */
#include "hold.h"

#include <pthread.h>
#include <stdatomic.h>

#define THREADS	   8u
#define ROUNDS	   60u
#define RANGES	   3u
#define RANGE_BLOCKS 4u
#define COUNTER_AT (64u * HOLD_BLOCK)
#define BUSY_AT	   (128u * HOLD_BLOCK)

struct shared {
	struct nvio_env *env;
	const char *name;
	_Atomic unsigned finished;
	_Atomic unsigned swaps, locked;
	_Atomic bool quiet; /* somebody has quiesced it */
};

struct worker {
	struct shared *sh;
	unsigned index;
	uint64_t random;
	struct nvio_thread *thread;
	struct nvio_bdev_desc *desc;
	struct nvio_channel *ch;
	struct nvio_op busy[4];
	unsigned char memory[4][HOLD_BLOCK];
	pthread_t os;
};

#define must(cond)                                                                                                     \
	do {                                                                                                           \
		if (!(cond)) {                                                                                         \
			fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #cond, nvio_errmsg());                  \
			abort();                                                                                       \
		}                                                                                                      \
	} while (0)

static unsigned random_below(struct worker *w, unsigned n)
{
	w->random = w->random * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)(w->random >> 33) % n;
}

static int rw(struct worker *w, bool write, void *buf, uint64_t offset)
{
	struct nvio_op op = NVIO_OP(NULL);
	int rc;

	do {
		if (write)
			rc = nvio_await(nvio_bdev_write(w->desc, w->ch, buf, offset, HOLD_BLOCK, &op), &op);
		else
			rc = nvio_await(nvio_bdev_read(w->desc, w->ch, buf, offset, HOLD_BLOCK, &op), &op);
	} while (rc == -ECANCELED); /* by a reset */
	return rc;
}

/* All blocks of a range hold the same number, but for whoever has it locked and counts it up, one after another. */
static void count_locked(struct worker *w)
{
	uint64_t at = random_below(w, RANGES) * RANGE_BLOCKS * HOLD_BLOCK, block[HOLD_BLOCK / 8] = { 0 }, value = 0;
	struct nvio_bdev_lock lock = { { 0 } };
	struct nvio_op op = NVIO_OP(NULL);
	int rc;

	do {
		rc = nvio_await(nvio_bdev_lock_range(
					w->desc, w->ch, &lock, at, RANGE_BLOCKS * HOLD_BLOCK, NVIO_BDEV_LOCK_READS, &op),
			&op);
	} while (rc == -ECANCELED);
	must(!rc);
	for (unsigned i = 0; i < RANGE_BLOCKS; i++) {
		must(!rw(w, false, block, at + i * HOLD_BLOCK));
		must(!i || block[0] == value);
		value = block[0];
	}
	block[0] = value + 1;
	for (unsigned i = 0; i < RANGE_BLOCKS; i++)
		must(!rw(w, true, block, at + i * HOLD_BLOCK));
	must(!nvio_bdev_unlock_range(&lock));
	w->sh->locked++;
}

static void count_swapped(struct worker *w)
{
	uint64_t old[HOLD_BLOCK / 8], new[HOLD_BLOCK / 8];
	struct nvio_op op = NVIO_OP(NULL);
	int rc;

	must(!rw(w, false, old, COUNTER_AT));
	memcpy(new, old, sizeof(new));
	new[0]++;
	rc = nvio_await(
		nvio_bdev_compare_and_write(w->desc, w->ch, old, new, COUNTER_AT, HOLD_BLOCK, &op), &op);
	must(!rc || rc == -EILSEQ || rc == -ECANCELED);
	w->sh->swaps += !rc;
}

static void be_alone(struct worker *w)
{
	struct nvio_bdev_lock lock = { { 0 } };
	struct nvio_op op = NVIO_OP(NULL);
	int rc = nvio_await(nvio_bdev_quiesce(w->desc, w->ch, &lock, &op), &op);

	must(!rc || rc == -ECANCELED);
	if (rc)
		return;
	must(!atomic_exchange(&w->sh->quiet, true));
	for (unsigned i = 0; i < 20; i++)
		nvio_thread_poll(w->thread, 0);
	must(atomic_exchange(&w->sh->quiet, false));
	must(!nvio_bdev_unquiesce(&lock));
}

static void change_limits(struct worker *w)
{
	struct nvio_op op = NVIO_OP(NULL);
	struct nvio_bdev_qos q;
	int rc;

	nvio_bdev_qos_init(&q);
	if (random_below(w, 2)) {
		q.all_ios.per_s = 200000;
		q.all_ios.burst = 50;
		q.max_in_flight = 4;
	}
	rc = nvio_await(nvio_bdev_set_qos(w->desc, w->ch, &q, &op), &op);
	must(!rc || rc == -ECANCELED);
}

static void reset(struct worker *w)
{
	struct nvio_op op = NVIO_OP(NULL);
	int rc = nvio_await(nvio_bdev_reset(w->desc, w->ch, &op), &op);

	must(!rc || rc == -EALREADY);
}

/* I/O that is always there, of a place of its own. */
static void keep_busy(struct worker *w)
{
	for (unsigned i = 0; i < 4; i++) {
		if (nvio_op_pending(&w->busy[i]))
			continue;
		must(!w->busy[i].status || w->busy[i].status == -ECANCELED);
		w->busy[i] = (struct nvio_op)NVIO_OP(NULL);
		must(!nvio_bdev_write(w->desc, w->ch, w->memory[i], BUSY_AT + (w->index * 4 + i) * HOLD_BLOCK, HOLD_BLOCK,
			&w->busy[i]));
	}
}

static void *work(void *arg)
{
	struct worker *w = arg;

	must(!nvio_thread_attach(w->thread));
	must(!nvio_bdev_open(w->sh->env, w->sh->name, NVIO_BDEV_WRITE, &w->desc));
	must(!nvio_bdev_channel(w->desc, &w->ch));
	for (unsigned i = 0; i < ROUNDS; i++) {
		keep_busy(w);
		switch (random_below(w, 16)) {
		case 0: be_alone(w); break;
		case 1: change_limits(w); break;
		case 2: reset(w); break;
		case 3:
		case 4:
		case 5:
		case 6:
		case 7: count_swapped(w); break;
		default: count_locked(w);
		}
	}
	for (unsigned i = 0; i < 4; i++)
		nvio_wait(&w->busy[i]);
	w->sh->finished++;
	while (w->sh->finished < THREADS)
		nvio_thread_poll(w->thread, 0);
	nvio_channel_put(w->ch);
	must(!nvio_bdev_close(w->desc));
	must(!nvio_thread_detach(w->thread));
	must(!nvio_thread_destroy(w->thread));
	return NULL;
}

static void everybody_is_alone_where_they_have_to_be(void **state)
{
	static const char *const names[] = { "m", "p" };
	static struct worker workers[THREADS];
	struct fixture *f = *state;

	make_malloc(f, "m", HOLD_BLOCK, HOLD_BLOCKS);
	for (size_t n = 0; n < ARRAY_SIZE(names); n++) {
		struct shared sh = { .env = f->env, .name = names[n] };
		uint64_t block[HOLD_BLOCK / 8], sum = 0;
		struct disk d;

		if (n)
			make_above(f, "p", "m");
		d = disk_open(f, names[n], NVIO_BDEV_WRITE);
		memset(block, 0, sizeof(block));
		for (unsigned i = 0; i < 256; i++)
			assert_ok(do_write(&d, block, i * HOLD_BLOCK, HOLD_BLOCK));
		disk_close(&d);
		/* Nobody polls this thread from now on, so it must have no channel left, on no device. */
		settle(f, NULL);
		for (unsigned i = 0; i < THREADS; i++) {
			workers[i] = (struct worker){ .sh = &sh, .index = i, .random = i + 1 + n * 100 };
			assert_ok(nvio_thread_create(f->env, NULL, &workers[i].thread));
		}
		for (unsigned i = 0; i < THREADS; i++)
			assert_ok(pthread_create(&workers[i].os, NULL, work, &workers[i]));
		for (unsigned i = 0; i < THREADS; i++)
			assert_ok(pthread_join(workers[i].os, NULL));
		d = disk_open(f, names[n], NVIO_BDEV_READ);
		for (unsigned i = 0; i < RANGES; i++) {
			assert_ok(do_read(&d, block, i * RANGE_BLOCKS * HOLD_BLOCK, HOLD_BLOCK));
			sum += block[0];
		}
		assert_int_equal(sum, sh.locked);
		assert_ok(do_read(&d, block, COUNTER_AT, HOLD_BLOCK));
		/* One that was cancelled may have written. */
		assert_true(block[0] >= sh.swaps && sh.swaps > 0);
		disk_close(&d);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		fixture_test(everybody_is_alone_where_they_have_to_be),
	};

	return cmocka_run_group_tests_name("bdev/gates_stress", tests, NULL, NULL);
}
