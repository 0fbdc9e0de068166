/* SPDX-License-Identifier: BSD-3-Clause */
/* Namespaces as devices on many threads at once: data of their own, resets, admin commands that end elsewhere, detaching. B4, N5. */
#include "nvme.h"

#include <pthread.h>
#include <stdatomic.h>

#define THREADS 8
#define DEPTH	16
#define SHARE	(1u << 20) /* of the device, per thread */

struct worker {
	struct fixture *f;
	struct nvio_thread *thread;
	pthread_t os;
	unsigned index;
	unsigned rounds;
	const char *wrong; /* what was, for the thread that may fail the test */
};

static atomic_uint running;

static const char *work(struct worker *w)
{
	static unsigned char memory[THREADS][DEPTH][4096];
	static struct nvio_op all[THREADS][DEPTH];
	struct nvio_op *ops = all[w->index], admin = NVIO_OP(NULL);
	struct nvio_sqe cmd = { .opc = NVIO_ADMIN_IDENTIFY, .cdw10 = nvio_to_le32(NVIO_CNS_CTRLR) };
	unsigned char (*buf)[4096] = memory[w->index], page[4096];
	uint64_t base = (uint64_t)w->index * SHARE;
	const char *wrong = NULL;
	struct nvio_bdev_desc *desc;
	struct nvio_channel *ch;

	if (nvio_bdev_open(w->f->env, w->index % 2 ? "Nvme0n1" : "Nvme0n2", NVIO_BDEV_WRITE, &desc))
		return "open";
	if (nvio_bdev_channel(desc, &ch))
		return "channel";
	for (unsigned r = 0; r < w->rounds && !wrong; r++) {
		for (unsigned i = 0; i < DEPTH; i++) {
			uint64_t at = base + (r * DEPTH + i) % (SHARE / 4096) * 4096;

			ops[i] = (struct nvio_op)NVIO_OP(NULL);
			stamp(buf[i], at + r, 4096);
			if (nvio_bdev_write(desc, ch, buf[i], at, 4096, &ops[i]))
				wrong = "write";
		}
		for (unsigned i = 0; i < DEPTH; i++)
			if (nvio_wait(&ops[i]))
				wrong = "written";
		for (unsigned i = 0; i < DEPTH && !wrong; i++) {
			uint64_t at = base + (r * DEPTH + i) % (SHARE / 4096) * 4096;

			memset(buf[i], 0, 4096);
			if (nvio_await(nvio_bdev_read(desc, ch, buf[i], at, 4096, &ops[i]), &ops[i]))
				wrong = "read";
			else if (!is_stamped(buf[i], at + r, 4096))
				wrong = "data";
		}
		/* It ends on the controller's thread, and is told here. */
		if (r % 32 == 0 && nvio_await(nvio_bdev_nvme_admin(desc, ch, &cmd, page, 4096, &admin), &admin) &&
			admin.status != -ECANCELED)
			wrong = "admin";
	}
	nvio_channel_put(ch);
	if (nvio_bdev_close(desc))
		wrong = "close";
	return wrong;
}

static void *worker_run(void *arg)
{
	struct worker *w = arg;

	nvio_thread_attach(w->thread);
	w->wrong = work(w);
	for (unsigned i = 0; i < 100; i++)
		nvio_thread_poll(w->thread, 0);
	nvio_thread_detach(w->thread);
	atomic_fetch_sub(&running, 1);
	return NULL;
}

static void run_workers(struct fixture *f, struct worker *w, unsigned rounds, unsigned resets)
{
	struct nvio_op reset = NVIO_OP(NULL);
	struct nvio_ctrlr *c;
	unsigned begun = 0;

	assert_ok(nvio_bdev_nvme_ctrlr(f->env, "Nvme0", &c));
	atomic_store(&running, THREADS);
	for (unsigned i = 0; i < THREADS; i++) {
		w[i] = (struct worker){ .f = f, .index = i, .rounds = rounds };
		assert_ok(nvio_thread_create(f->env, NULL, &w[i].thread));
		assert_ok(pthread_create(&w[i].os, NULL, worker_run, &w[i]));
	}
	while (atomic_load(&running)) {
		if (begun < resets && !nvio_op_pending(&reset) && !nvio_ctrlr_reset(c, &reset))
			begun++;
		if (!nvio_thread_poll(f->thread, 0))
			sched_yield();
	}
	if (nvio_op_pending(&reset))
		assert_ok(nvio_wait(&reset));
	for (unsigned i = 0; i < THREADS; i++) {
		assert_ok(pthread_join(w[i].os, NULL));
		if (w[i].wrong)
			fail_msg("thread %u: %s", i, w[i].wrong);
		assert_ok(nvio_thread_destroy(w[i].thread));
	}
	assert_int_equal(begun, resets);
}

static void eight_threads_have_their_own_queues(void **state)
{
	static struct worker w[THREADS];
	struct fixture *f = *state;

	attach(f, "Nvme0", "loop:ram:32M?ns=2&poll=thread");
	run_workers(f, w, 100, 0);
	assert_ok(detach(f, "Nvme0"));
}

/* The drive has no thread: whoever polls moves it along. */
static void eight_threads_move_one_drive(void **state)
{
	static struct worker w[THREADS];
	struct fixture *f = *state;

	attach(f, "Nvme0", "loop:ram:32M?ns=2");
	run_workers(f, w, 50, 0);
	assert_ok(detach(f, "Nvme0"));
}

static void resets_on_another_thread_lose_nothing(void **state)
{
	static struct worker w[THREADS];
	struct fixture *f = *state;
	struct nvio_ctrlr_opts o;

	nvio_ctrlr_opts_init(&o);
	o.max_resets = 100;
	assert_ok(attach_with(f, "Nvme0", "loop:ram:32M?ns=2&poll=thread", &o));
	run_workers(f, w, 100, 2);
	assert_ok(detach(f, "Nvme0"));
}

/* ---- threads that are still at it when the environment closes ---- */

static void *leave_io_behind(void *arg)
{
	static unsigned char buf[THREADS][4096];
	static struct nvio_op ops[THREADS], admin[THREADS];
	static const struct nvio_sqe cmd = { .opc = NVIO_ADMIN_IDENTIFY, .cdw10 = { { NVIO_CNS_CTRLR } } };
	static unsigned char page[THREADS][4096];
	struct worker *w = arg;
	struct nvio_bdev_desc *desc;
	struct nvio_channel *ch;

	nvio_thread_attach(w->thread);
	ops[w->index] = (struct nvio_op)NVIO_OP(NULL);
	admin[w->index] = (struct nvio_op)NVIO_OP(NULL);
	w->wrong = "begun";
	if (!nvio_bdev_open(w->f->env, "Nvme0n1", NVIO_BDEV_WRITE, &desc) && !nvio_bdev_channel(desc, &ch) &&
		!nvio_bdev_write(desc, ch, buf[w->index], w->index * 4096, 4096, &ops[w->index]) &&
		!nvio_bdev_nvme_admin(desc, ch, &cmd, page[w->index], 4096, &admin[w->index]))
		w->wrong = NULL;
	nvio_thread_detach(w->thread);
	return NULL;
}

static void an_environment_closes_over_many_threads(void **state)
{
	static struct worker w[THREADS];

	/* Threads older than the controller, and younger ones: they close after it, and before. */
	for (unsigned older = 0; older < 2; older++) {
		struct fixture *f;

		assert_ok(fixture_setup((void **)&f));
		if (!older)
			attach(f, "Nvme0", "loop:ram:8M");
		for (unsigned i = 0; i < THREADS / 2; i++) {
			w[i] = (struct worker){ .f = f, .index = i };
			assert_ok(nvio_thread_create(f->env, NULL, &w[i].thread));
		}
		if (older)
			attach(f, "Nvme0", "loop:ram:8M");
		for (unsigned i = 0; i < THREADS / 2; i++) {
			assert_ok(pthread_create(&w[i].os, NULL, leave_io_behind, &w[i]));
			assert_ok(pthread_join(w[i].os, NULL));
			assert_null(w[i].wrong);
		}
		assert_ok(fixture_teardown((void **)&f));
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		fixture_test(eight_threads_have_their_own_queues),
		fixture_test(eight_threads_move_one_drive),
		fixture_test(resets_on_another_thread_lose_nothing),
		cmocka_unit_test(an_environment_closes_over_many_threads),
	};

	return cmocka_run_group_tests_name("bdev nvme threads", tests, NULL, NULL);
}
