/* SPDX-License-Identifier: BSD-3-Clause */
/* Row C2: ops that end on a thread: exactly once, when `done` runs, and what it may do. */
#include "tests/unit/thread/rig.h"

struct job {
	struct nvio_op op;
	struct nvio_thread *t;
	int *order, *count;
	int number;
	int again; /* so often it submits itself anew in done */
	struct job *waits_for, *ends;
};

static void submit(struct job *j, int status)
{
	op_begin(&j->op, thread_pollable(j->t));
	thread_end_op(j->t, &j->op, status);
}

static void finished(struct nvio_op *op)
{
	struct job *j = container_of(op, struct job, op);

	assert_ptr_equal(nvio_thread_current(), j->t);
	if (j->waits_for)
		assert_int_equal(nvio_wait(&j->waits_for->op), -j->waits_for->number);
	j->order[(*j->count)++] = j->number;
	if (j->ends)
		submit(j->ends, 0);
	if (j->again) {
		j->again--;
		submit(j, 0);
	}
}

static void make(struct job *jobs, int n, struct nvio_thread *t, int *order, int *count)
{
	for (int i = 0; i < n; i++)
		jobs[i] = (struct job){
			.op = NVIO_OP(finished), .t = t, .order = order, .count = count, .number = i
		};
}

static void done_runs_in_the_next_poll_in_order_with_its_status(void **state)
{
	static const int statuses[] = { 0, -EIO, -ETIMEDOUT, -1, -4095 };
	int order[8], count = 0;
	struct job jobs[5];
	struct rig r;

	rig_open_env(&r, false);
	make(jobs, 5, r.t, order, &count);
	for (int i = 0; i < 5; i++) {
		submit(&jobs[i], statuses[i]);
		assert_int_equal(jobs[i].op.status, -EINPROGRESS);
	}
	assert_int_equal(count, 0);
	assert_false(nvio_thread_is_idle(r.t));
	assert_int_equal(nvio_thread_timeout_ms(r.t), 0);
	assert_int_equal(nvio_cancel(&jobs[0].op), -EOPNOTSUPP);
	assert_int_equal(nvio_thread_poll(r.t, 0), 5);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(order[i], i);
		assert_int_equal(jobs[i].op.status, statuses[i]);
	}
	assert_int_equal(nvio_thread_poll(r.t, 0), 0);
	rig_close(&r);
}

static int submit_once(void *arg)
{
	struct job *j = arg;

	if (!nvio_op_pending(&j->op) && !*j->count)
		submit(j, 0);
	return 0;
}

static void what_ends_in_a_poller_completes_in_the_same_poll(void **state)
{
	struct nvio_poller *p;
	int order[1], count = 0;
	struct job j;
	struct rig r;

	rig_open_env(&r, false);
	make(&j, 1, r.t, order, &count);
	assert_int_equal(nvio_poller_register(r.t, "p", submit_once, &j, 0, &p), 0);
	assert_int_equal(nvio_thread_poll(r.t, 0), 1);
	assert_int_equal(count, 1);
	rig_close(&r);
}

static void what_done_submits_waits_for_the_next_poll(void **state)
{
	int order[8], count = 0;
	struct job jobs[2];
	struct rig r;

	rig_open_env(&r, false);
	make(jobs, 2, r.t, order, &count);
	jobs[0].again = 3;
	jobs[0].ends = &jobs[1];
	submit(&jobs[0], 0);
	assert_int_equal(nvio_thread_poll(r.t, 0), 1);
	jobs[0].ends = NULL;
	assert_int_equal(nvio_thread_poll(r.t, 0), 2);
	assert_int_equal(nvio_thread_poll(r.t, 0), 1);
	assert_int_equal(nvio_thread_poll(r.t, 0), 1);
	assert_int_equal(nvio_thread_poll(r.t, 0), 0);
	assert_int_equal(count, 5);
	rig_close(&r);
}

static void done_may_wait_for_an_op_that_ended_with_it(void **state)
{
	int order[8], count = 0;
	struct job jobs[3];
	struct rig r;

	rig_open_env(&r, false);
	make(jobs, 3, r.t, order, &count);
	jobs[0].waits_for = &jobs[2];
	for (int i = 0; i < 3; i++)
		submit(&jobs[i], -i);
	nvio_thread_poll(r.t, 0);
	assert_int_equal(count, 3);
	assert_int_equal(order[0], 1);
	assert_int_equal(order[1], 2);
	assert_int_equal(order[2], 0);
	rig_close(&r);
}

static void waiting_polls_the_thread(void **state)
{
	struct nvio_op op = NVIO_OP(NULL);
	struct rig r;

	rig_open_env(&r, false);
	op_begin(&op, thread_pollable(r.t));
	thread_end_op(r.t, &op, -EIO);
	assert_int_equal(nvio_wait(&op), -EIO);
	rig_close(&r);
}

static void destroy_completes_what_has_ended(void **state)
{
	int order[8], count = 0;
	struct job jobs[2];
	struct rig r;

	rig_open_env(&r, false);
	make(jobs, 2, r.t, order, &count);
	jobs[0].again = 5;
	submit(&jobs[0], 0);
	submit(&jobs[1], 0);
	rig_close(&r);
	assert_int_equal(count, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(done_runs_in_the_next_poll_in_order_with_its_status),
		cmocka_unit_test(what_ends_in_a_poller_completes_in_the_same_poll),
		cmocka_unit_test(what_done_submits_waits_for_the_next_poll),
		cmocka_unit_test(done_may_wait_for_an_op_that_ended_with_it),
		cmocka_unit_test(waiting_polls_the_thread),
		cmocka_unit_test(destroy_completes_what_has_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
