/* SPDX-License-Identifier: BSD-3-Clause */
/* One controller, several OS threads: each with a queue pair of its own, and resets, admin commands and frees meanwhile. */
#include "tests/unit/host/fixture.h"

#include <pthread.h>
#include <sched.h>

#define WORKERS 3
#define QD      16

struct worker {
	pthread_t thread;
	struct nvio_qpair *qp;
	struct nvio_op ops[QD];
	uint8_t *buf;
	uint64_t submitted, done, failed;
	uint64_t target;
	bool renew; /* make the queue pair anew now and then */
};

static struct worker workers[WORKERS];

static void on_done(struct nvio_op *op)
{
	struct worker *w = op->arg;

	w->done++;
	w->failed += op->status != 0;
}

/* Keeps QD ops of different kinds in flight until `target` are done. */
static void *work(void *arg)
{
	struct worker *w = arg;

	while (w->done < w->target) {
		for (int i = 0; i < QD && w->submitted < w->target; i++) {
			struct nvio_op *op = &w->ops[i];
			int rc;

			if (nvio_op_pending(op))
				continue;
			*op = (struct nvio_op)NVIO_OP(on_done);
			op->arg = w;
			switch (w->submitted % 8) {
			case 0: rc = nvio_ns_write(f.ns, w->qp, w->buf, 0, 600, op); break;
			case 1: rc = nvio_ns_flush(f.ns, w->qp, op); break;
			case 2: rc = nvio_ns_write_zeroes(f.ns, w->qp, 0, 100000, op); break;
			case 3: rc = nvio_ns_read(f.ns, w->qp, w->buf + 1, 0, 8, op); break;
			default: rc = nvio_ns_read(f.ns, w->qp, w->buf, 0, 8, op);
			}
			if (rc)
				fail_msg("%s", nvio_errmsg());
			w->submitted++;
		}
		if (nvio_qpair_poll(w->qp, 0) < 0)
			fail_msg("%s", nvio_errmsg());
		if (w->renew && w->done % 100 == 99 && w->submitted == w->done) {
			nvio_qpair_free(w->qp);
			if (nvio_qpair_alloc(f.c, NULL, &w->qp))
				fail_msg("%s", nvio_errmsg());
		}
		sched_yield();
	}
	return NULL;
}

static void begin(unsigned n, uint64_t target, bool renew)
{
	memset(workers, 0, sizeof(workers));
	for (unsigned i = 0; i < n; i++) {
		workers[i].target = target;
		workers[i].renew = renew;
		workers[i].buf = f.buf + (i << 20);
		assert_int_equal(nvio_qpair_alloc(f.c, NULL, &workers[i].qp), 0);
	}
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
}

static void end(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		pthread_join(workers[i].thread, NULL);
		assert_int_equal(workers[i].done, workers[i].target);
		assert_int_equal(workers[i].failed, 0);
		assert_int_equal(nvio_qpair_in_flight(workers[i].qp), 0);
		nvio_qpair_free(workers[i].qp);
	}
}

static void each_thread_has_its_queue_pair(void **state)
{
	begin(2, 20000, false);
	end(2);
}

static void a_reset_while_all_do_io_loses_nothing(void **state)
{
	begin(2, 200000, false);
	for (int i = 0; i < 2; i++) { /* an op is sent anew only so often */
		struct nvio_op op = NVIO_OP(NULL);

		assert_int_equal(nvio_await(nvio_ctrlr_reset(f.c, &op), &op), 0);
		for (int k = 0; k < 200; k++) {
			nvio_ctrlr_poll(f.c);
			sched_yield();
		}
	}
	end(2);
	assert_int_equal(nvio_ctrlr_reset_count(f.c), 2);
	assert_int_equal(fix_read(), 0);
}

static void admin_commands_and_new_queues_meanwhile(void **state)
{
	static uint8_t page[4096];

	begin(2, 20000, false);
	for (int i = 0; i < 50; i++) {
		struct nvio_op op = NVIO_OP(NULL);
		struct nvio_qpair *qp;

		assert_int_equal(nvio_await(nvio_ctrlr_identify(f.c, 1, 0, page, &op), &op), 0);
		assert_int_equal(nvio_qpair_alloc(f.c, NULL, &qp), 0);
		assert_int_equal(nvio_await(nvio_ns_flush(f.ns, qp, &op), &op), 0);
		nvio_qpair_free(qp);
	}
	end(2);
}

static void threads_may_make_and_free_queue_pairs_themselves(void **state)
{
	begin(WORKERS, 5000, true);
	end(WORKERS);
}

static void keep_alive_and_timeouts_go_on_from_any_thread(void **state)
{
	nvio_qpair_free(f.qp);
	nvio_ctrlr_close(f.c);
	f.b.id.kas = nvio_to_le16(1);
	f.qp = NULL;
	fix_connect(NULL);
	begin(2, 20000, false);
	/* Seven seconds: once at half the timeout, and no reset, however long a thread is kept waiting. */
	for (int i = 0; i < 700; i++) {
		__atomic_add_fetch(&f.now_ns, 10 * MS, __ATOMIC_RELAXED);
		nvio_ctrlr_poll(f.c);
		usleep(10);
	}
	end(2);
	fix_run(2, 0);
	assert_int_equal(f.seen[NVIO_ADMIN_KEEP_ALIVE], 1);
	assert_int_equal(nvio_ctrlr_reset_count(f.c), 0);
}

#define CONNECTED(test) cmocka_unit_test_setup_teardown(test, fix_setup_connected, fix_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CONNECTED(each_thread_has_its_queue_pair),
		CONNECTED(a_reset_while_all_do_io_loses_nothing),
		CONNECTED(admin_commands_and_new_queues_meanwhile),
		CONNECTED(threads_may_make_and_free_queue_pairs_themselves),
		CONNECTED(keep_alive_and_timeouts_go_on_from_any_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
