/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * C3: coroutines that do NVMe I/O on queue pairs which nobody polls but they, and block device I/O, with the drive driven in
 * each of the three ways; and threads with coroutines on two OS threads at once.
 */
#include "tests/unit/thread/rig.h"

#include <stdlib.h>
#include <time.h>

#include <nvio/bdev.h>
#include <nvio/co.h>
#include <nvio/nvme.h>

#define BLOCK  512u
#define BLOCKS 8u
#define ROUNDS 50u
#define COS    16u

/* A place where coroutines work: a thread, and what they share on it. */
struct site {
	struct nvio_env *env;
	struct nvio_thread *t;
	struct nvio_ctrlr *ctrlr;
	struct nvio_qpair *qp; /* shared by the coroutines; NULL: each makes its own */
	struct nvio_bdev_desc *desc;
	struct nvio_channel *ch;
	uint32_t seed;
};

struct worker {
	struct site *site;
	uint32_t number;
	unsigned done;
};

static void open_site(struct site *s, const char *drive)
{
	struct nvio_env_opts opts;

	memset(s, 0, sizeof(*s));
	nvio_env_opts_init(&opts);
	opts.no_pci = true;
	assert_int_equal(nvio_env_open(&opts, &s->env), 0);
	assert_int_equal(nvio_thread_create(s->env, NULL, &s->t), 0);
	if (drive)
		assert_int_equal(nvio_connect(s->env, drive, NULL, &s->ctrlr), 0);
}

static void fill(uint8_t *buf, size_t len, uint32_t seed)
{
	for (size_t i = 0; i < len; i++) {
		seed = seed * 1103515245 + 12345;
		buf[i] = (uint8_t)(seed >> 16);
	}
}

/* Straight-line code: writes its own blocks, reads them back, compares. */
static int writes_and_reads(void *arg)
{
	struct worker *w = arg;
	struct site *s = w->site;
	struct nvio_ns *ns = nvio_ctrlr_ns(s->ctrlr, 1);
	uint8_t *out = nvio_mem_alloc(s->env, BLOCK * BLOCKS, 0), *in = nvio_mem_alloc(s->env, BLOCK * BLOCKS, 0);
	struct nvio_qpair *qp = s->qp;
	uint64_t lba = w->number * BLOCKS;
	int rc = 0;

	if (!qp)
		rc = nvio_qpair_alloc(s->ctrlr, NULL, &qp);
	for (unsigned i = 0; !rc && i < ROUNDS; i++) {
		struct nvio_op op = { .flags = i % 2 ? NVIO_OP_REAP : 0 };

		fill(out, BLOCK * BLOCKS, w->number * ROUNDS + i);
		rc = nvio_await(nvio_ns_write(ns, qp, out, lba, BLOCKS, &op), &op);
		if (!rc)
			rc = nvio_await(nvio_ns_read(ns, qp, in, lba, BLOCKS, &op), &op);
		if (!rc && memcmp(in, out, BLOCK * BLOCKS))
			rc = -EILSEQ;
		w->done++;
	}
	if (qp != s->qp)
		nvio_qpair_free(qp);
	nvio_mem_free(s->env, out);
	nvio_mem_free(s->env, in);
	return rc;
}

static void run_workers(struct site *s, nvio_co_fn fn)
{
	struct worker workers[COS];
	struct nvio_co *co[COS];

	for (uint32_t i = 0; i < COS; i++) {
		workers[i] = (struct worker){ .site = s, .number = i };
		assert_int_equal(nvio_co_spawn(s->t, fn, &workers[i], NULL, &co[i]), 0);
	}
	assert_int_equal(nvio_co_join_all(co, COS), 0);
	for (uint32_t i = 0; i < COS; i++)
		assert_int_equal(workers[i].done, ROUNDS);
}

static void raw_io_works_however_the_drive_is_driven(void **state)
{
	static const struct {
		const char *drive;
		bool shared; /* one queue pair for all of them */
	} cases[] = {
		{ "loop:ram:1M", true },
		{ "loop:ram:1M", false },
		{ "loop:ram:1M?poll=thread", true },
		{ "loop:ram:1M?poll=thread", false },
		{ "loop:ram:1M?fault=delay:us=500:p=0.1", true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct site s;

		open_site(&s, cases[i].drive);
		if (cases[i].shared)
			assert_int_equal(nvio_qpair_alloc(s.ctrlr, NULL, &s.qp), 0);
		run_workers(&s, writes_and_reads);
		nvio_qpair_free(s.qp);
		nvio_ctrlr_close(s.ctrlr);
		assert_int_equal(nvio_thread_destroy(s.t), 0);
		nvio_env_close(s.env);
	}
}

/* The drive is the very thread's whose coroutine waits for it: connecting, too, must let the thread go on (Z9). */
static int connects_to_its_own_thread(void *arg)
{
	struct worker *w = arg;
	struct site *s = w->site;
	int rc = nvio_connect(s->env, "trtype:LOOP traddr:mine", NULL, &s->ctrlr);

	if (!rc)
		rc = writes_and_reads(w);
	nvio_ctrlr_close(s->ctrlr);
	return rc;
}

static void a_drive_on_the_same_thread_is_served_while_they_wait(void **state)
{
	struct nvio_drive_ns_opts ns = { .backing = NVIO_DRIVE_RAM, .bytes = 1 << 20 };
	struct nvio_drive_opts opts;
	struct nvio_drive *drive;
	struct nvio_co *co;
	struct worker w;
	struct site s;

	open_site(&s, NULL);
	nvio_drive_opts_init(&opts);
	opts.name = "mine";
	opts.num_ns = 1;
	opts.ns = &ns;
	opts.poll = NVIO_DRIVE_ATTACHED;
	opts.thread = s.t;
	assert_int_equal(nvio_thread_attach(s.t), 0);
	assert_int_equal(nvio_drive_open(s.env, &opts, &drive), 0);
	assert_int_equal(nvio_thread_detach(s.t), 0);
	w = (struct worker){ .site = &s };
	assert_int_equal(nvio_co_spawn(s.t, connects_to_its_own_thread, &w, NULL, &co), 0);
	assert_int_equal(nvio_co_join(co, NULL), 0);
	assert_int_equal(w.done, ROUNDS);
	nvio_env_close(s.env);
}

static int reads_and_is_cancelled(void *arg)
{
	struct site *s = arg;
	uint8_t *buf = nvio_mem_alloc(s->env, BLOCK, 0);
	struct nvio_op op = { .timeout_us = 20000 };
	int rc = nvio_await(nvio_ns_read(nvio_ctrlr_ns(s->ctrlr, 1), s->qp, buf, 0, 1, &op), &op);

	nvio_mem_free(s->env, buf);
	return rc;
}

static void deadlines_and_cancelling_end_raw_io(void **state)
{
	struct nvio_co *co[2];
	struct site s;

	open_site(&s, "loop:ram:1M?fault=lose");
	assert_int_equal(nvio_qpair_alloc(s.ctrlr, NULL, &s.qp), 0);
	assert_int_equal(nvio_co_spawn(s.t, reads_and_is_cancelled, &s, NULL, &co[0]), 0);
	assert_int_equal(nvio_co_join(co[0], NULL), -ETIMEDOUT);
	nvio_ctrlr_close(s.ctrlr);

	/* One that waits for a slot has not reached the drive, and ends at once. */
	open_site(&s, "loop:ram:1M?fault=delay:us=300000");
	{
		struct nvio_qpair_opts opts;

		nvio_qpair_opts_init(&opts);
		opts.io_queue_requests = 1;
		assert_int_equal(nvio_qpair_alloc(s.ctrlr, &opts, &s.qp), 0);
	}
	for (int i = 0; i < 2; i++)
		assert_int_equal(nvio_co_spawn(s.t, reads_and_is_cancelled, &s, NULL, &co[i]), 0);
	for (int i = 0; i < 3; i++)
		nvio_thread_poll(s.t, 0);
	nvio_co_cancel(co[1]);
	assert_int_equal(nvio_co_join(co[1], NULL), -ECANCELED);
	nvio_co_cancel(co[0]);
	assert_true(nvio_co_join(co[0], NULL) < 0);
	nvio_env_close(s.env);
}

static void a_queue_pair_may_go_while_they_wait_on_it(void **state)
{
	struct nvio_co *co[4];
	struct site s;

	open_site(&s, "loop:ram:1M?fault=lose");
	assert_int_equal(nvio_qpair_alloc(s.ctrlr, NULL, &s.qp), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(nvio_co_spawn(s.t, reads_and_is_cancelled, &s, NULL, &co[i]), 0);
	nvio_thread_poll(s.t, 0);
	nvio_qpair_free(s.qp);
	for (int i = 0; i < 4; i++)
		assert_int_equal(nvio_co_join(co[i], NULL), -ECANCELED);
	nvio_env_close(s.env);

	/* And so may the drive. */
	open_site(&s, "loop:ram:1M?fault=lose");
	assert_int_equal(nvio_qpair_alloc(s.ctrlr, NULL, &s.qp), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(nvio_co_spawn(s.t, reads_and_is_cancelled, &s, NULL, &co[i]), 0);
	nvio_thread_poll(s.t, 0);
	nvio_ctrlr_close(s.ctrlr);
	for (int i = 0; i < 4; i++)
		assert_int_equal(nvio_co_join(co[i], NULL), -ECANCELED);
	nvio_env_close(s.env);
}

/* ---- block devices ---- */

static void make_malloc(struct nvio_env *env, const char *name)
{
	struct nvio_bdev_malloc_opts opts;

	nvio_bdev_malloc_opts_init(&opts);
	opts.name = name;
	opts.block_size = BLOCK;
	opts.num_blocks = COS * BLOCKS;
	assert_int_equal(nvio_bdev_malloc_create(env, &opts), 0);
}

static int bdev_writes_and_reads(void *arg)
{
	struct worker *w = arg;
	struct site *s = w->site;
	uint8_t out[BLOCK * BLOCKS], in[BLOCK * BLOCKS];
	uint64_t offset = (uint64_t)w->number * sizeof(out);
	int rc = 0;

	for (unsigned i = 0; !rc && i < ROUNDS; i++) {
		struct nvio_op op = NVIO_OP(NULL);

		fill(out, sizeof(out), w->number * ROUNDS + i);
		rc = nvio_await(nvio_bdev_write(s->desc, s->ch, out, offset, sizeof(out), &op), &op);
		if (!rc)
			rc = nvio_await(nvio_bdev_read(s->desc, s->ch, in, offset, sizeof(in), &op), &op);
		if (!rc && memcmp(in, out, sizeof(out)))
			rc = -EILSEQ;
		w->done++;
	}
	return rc;
}

static void open_bdev(struct site *s, const char *name)
{
	assert_int_equal(nvio_thread_attach(s->t), 0);
	assert_int_equal(nvio_bdev_open(s->env, name, NVIO_BDEV_WRITE, &s->desc), 0);
	assert_int_equal(nvio_bdev_channel(s->desc, &s->ch), 0);
	assert_int_equal(nvio_thread_detach(s->t), 0);
}

static void close_bdev(struct site *s)
{
	assert_int_equal(nvio_thread_attach(s->t), 0);
	nvio_channel_put(s->ch);
	nvio_thread_poll(s->t, 0);
	assert_int_equal(nvio_bdev_close(s->desc), 0);
	assert_int_equal(nvio_thread_detach(s->t), 0);
}

static void block_device_io_suspends_too(void **state)
{
	struct site s;

	open_site(&s, NULL);
	make_malloc(s.env, "dev");
	open_bdev(&s, "dev");
	run_workers(&s, bdev_writes_and_reads);
	close_bdev(&s);
	assert_int_equal(nvio_thread_destroy(s.t), 0);
	nvio_env_close(s.env);
}

/* ---- two OS threads ---- */

static void *work_elsewhere(void *arg)
{
	struct site *s = arg;

	run_workers(s, s->desc ? bdev_writes_and_reads : writes_and_reads);
	return NULL;
}

static void threads_on_two_os_threads_do_not_meet(void **state)
{
	struct site a, b;
	pthread_t os;

	open_site(&a, "loop:ram:1M?poll=thread");
	assert_int_equal(nvio_qpair_alloc(a.ctrlr, NULL, &a.qp), 0);
	b = (struct site){ .env = a.env };
	assert_int_equal(nvio_thread_create(a.env, NULL, &b.t), 0);
	make_malloc(a.env, "dev");
	open_bdev(&b, "dev");
	assert_int_equal(pthread_create(&os, NULL, work_elsewhere, &b), 0);
	work_elsewhere(&a);
	assert_int_equal(pthread_join(os, NULL), 0);
	close_bdev(&b);

	/* And now the other OS thread gets both: they may move, between polls. */
	assert_int_equal(pthread_create(&os, NULL, work_elsewhere, &a), 0);
	assert_int_equal(pthread_join(os, NULL), 0);
	nvio_env_close(a.env);
}

static int stays(void *arg)
{
	for (int i = 0; i < 100; i++)
		nvio_co_yield();
	return nvio_co_sleep(1);
}

struct moving {
	struct nvio_thread *t;
	struct nvio_co *co;
};

static void *poll_some(void *arg)
{
	struct moving *m = arg;

	for (int i = 0; i < 25; i++)
		nvio_thread_poll(m->t, 0);
	return NULL;
}

static void a_suspended_coroutine_moves_with_its_thread(void **state)
{
	struct moving m;
	struct site s;
	pthread_t os;

	open_site(&s, NULL);
	m.t = s.t;
	assert_int_equal(nvio_co_spawn(s.t, stays, NULL, NULL, &m.co), 0);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(pthread_create(&os, NULL, poll_some, &m), 0);
		assert_int_equal(pthread_join(os, NULL), 0);
		nvio_thread_poll(s.t, 0);
	}
	assert_int_equal(nvio_co_join(m.co, NULL), 0);
	nvio_env_close(s.env);
}

static int works_on_another_thread(void *arg)
{
	struct nvio_thread *other = arg;
	struct nvio_op op = NVIO_OP(NULL);

	assert_int_equal(nvio_thread_attach(other), 0);
	assert_null(nvio_co_current());
	assert_int_equal(nvio_co_yield(), -EINVAL);
	op_begin(&op, thread_pollable(other));
	thread_end_op(other, &op, -EIO);
	assert_int_equal(nvio_wait(&op), -EIO); /* polls the other */
	assert_int_equal(nvio_thread_detach(other), 0);
	assert_non_null(nvio_co_current());

	/* And in a coroutine's own right: the other is polled for it. */
	op_begin(&op, thread_pollable(other));
	thread_end_op(other, &op, -EPERM);
	return nvio_wait(&op);
}

static void another_thread_may_be_used_from_a_coroutine(void **state)
{
	struct nvio_thread *other;
	struct nvio_co *co;
	struct site s;

	open_site(&s, NULL);
	assert_int_equal(nvio_thread_create(s.env, NULL, &other), 0);
	assert_int_equal(nvio_co_spawn(s.t, works_on_another_thread, other, NULL, &co), 0);
	assert_int_equal(nvio_co_join(co, NULL), -EPERM);
	nvio_env_close(s.env);
}

struct holder {
	struct nvio_thread *t;
	struct nvio_co *co;
	atomic_int stage;
};

static int returns(void *arg)
{
	return 7;
}

static void spawn_there(void *arg)
{
	struct holder *h = arg;

	assert_int_equal(nvio_co_spawn(h->t, returns, NULL, NULL, &h->co), 0);
	atomic_store(&h->stage, 2);
}

static void *hold(void *arg)
{
	struct holder *h = arg;

	nvio_thread_attach(h->t);
	atomic_store(&h->stage, 1);
	while (atomic_load(&h->stage) < 3)
		nvio_thread_poll(h->t, 0);
	nvio_thread_detach(h->t);
	return NULL;
}

static void wait_for_stage(struct holder *h, int stage)
{
	while (atomic_load(&h->stage) != stage)
		nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
}

static void another_os_threads_thread_is_spawned_on_by_message(void **state)
{
	struct holder h = { 0 };
	struct nvio_co *co = NULL;
	struct site s;
	pthread_t os;
	int value = 0;

	open_site(&s, NULL);
	h.t = s.t;
	assert_int_equal(pthread_create(&os, NULL, hold, &h), 0);
	wait_for_stage(&h, 1);
	assert_int_equal(nvio_co_spawn(s.t, returns, NULL, NULL, &co), -EBUSY);
	assert_said("send it a message");
	assert_null(co);
	assert_int_equal(nvio_thread_send(s.t, spawn_there, &h), 0);
	wait_for_stage(&h, 2);
	assert_int_equal(nvio_co_join(h.co, NULL), -EBUSY);
	assert_said("another OS thread");
	atomic_store(&h.stage, 3);
	assert_int_equal(pthread_join(os, NULL), 0);
	assert_int_equal(nvio_co_join(h.co, &value), 0);
	assert_int_equal(value, 7);
	nvio_env_close(s.env);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(raw_io_works_however_the_drive_is_driven),
		cmocka_unit_test(a_drive_on_the_same_thread_is_served_while_they_wait),
		cmocka_unit_test(deadlines_and_cancelling_end_raw_io),
		cmocka_unit_test(a_queue_pair_may_go_while_they_wait_on_it),
		cmocka_unit_test(block_device_io_suspends_too),
		cmocka_unit_test(threads_on_two_os_threads_do_not_meet),
		cmocka_unit_test(a_suspended_coroutine_moves_with_its_thread),
		cmocka_unit_test(another_thread_may_be_used_from_a_coroutine),
		cmocka_unit_test(another_os_threads_thread_is_spawned_on_by_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
