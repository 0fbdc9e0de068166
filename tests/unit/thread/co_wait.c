/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * C2, C3: what nvio_wait() promises in a coroutine and beside one: suspension, wake-up, who polls what, and the op as its
 * caller left it.
 */
#include "tests/unit/thread/rig.h"

#include <stdlib.h>

#include <nvio/co.h>

/* Something that nobody polls but whoever waits on it: completes its oldest op when `let` is not 0, or fails. */
struct queue {
	struct nvio_pollable pollable;
	struct op_queue ops;
	int let, polls, rc, cancels;
	bool cannot_cancel, stubborn; /* stubborn: says yes to a cancel, and then completes with 0 */
	void (*on_poll)(struct queue *q);
};

static int queue_poll(struct nvio_pollable *p)
{
	struct queue *q = container_of(p, struct queue, pollable);
	struct nvio_op *op;
	int n = 0;

	q->polls++;
	if (q->on_poll)
		q->on_poll(q);
	if (q->rc)
		return fail(q->rc, "queue: it is broken");
	while (q->let && (op = op_queue_pop(&q->ops))) {
		q->let--;
		n++;
		op_end(op, op->state ? -ECANCELED : 0);
	}
	return n;
}

static int queue_cancel(struct nvio_pollable *p, struct nvio_op *op)
{
	struct queue *q = container_of(p, struct queue, pollable);

	q->cancels++;
	if (q->cannot_cancel)
		return fail(-EOPNOTSUPP, "queue: cannot");
	op->state = !q->stubborn;
	q->let = 1;
	return 0;
}

static void queue_waited(struct nvio_pollable *p, struct nvio_op *op)
{
	fail(-EINVAL, "never called in these tests");
	abort();
}

static const struct pollable_ops queue_ops = {
	.name = "queue", .poll = queue_poll, .cancel = queue_cancel, .waited = queue_waited
};

static struct rig rig;
static struct queue queue;
static int dones;

static void open_rig(void)
{
	rig_open_env(&rig, true);
	memset(&queue, 0, sizeof(queue));
	queue.pollable.ops = &queue_ops;
	op_queue_init(&queue.ops);
	dones = 0;
}

static int submit(struct queue *q, struct nvio_op *op)
{
	op->state = 0;
	op_begin(op, &q->pollable);
	op_queue_push(&q->ops, op);
	return 0;
}

static struct nvio_co *spawn(nvio_co_fn fn, void *arg)
{
	struct nvio_co *co;

	assert_int_equal(nvio_co_spawn(rig.t, fn, arg, NULL, &co), 0);
	return co;
}

static void poll_times(int n)
{
	while (n--)
		assert_true(nvio_thread_poll(rig.t, 0) >= 0);
}

static void count_done(struct nvio_op *op)
{
	/* As the caller left it, though a coroutine waits. */
	assert_ptr_equal(op->done, count_done);
	assert_ptr_equal(op->arg, &dones);
	assert_null(nvio_co_current());
	dones++;
}

static int waits_on_the_queue(void *arg)
{
	struct nvio_op op = { .done = count_done, .arg = &dones };

	return nvio_await(submit(arg, &op), &op);
}

static void an_op_that_is_waited_for_suspends_and_its_queue_is_polled(void **state)
{
	struct nvio_co *co;

	open_rig();
	co = spawn(waits_on_the_queue, &queue);
	poll_times(1);
	assert_int_equal(nvio_co_status(co), NVIO_CO_WAITING);
	assert_int_equal(queue.polls, 0);
	assert_false(nvio_thread_is_idle(rig.t)); /* nobody but a poll can tell when it ends */
	assert_int_equal(nvio_thread_timeout_ms(rig.t), 0);
	poll_times(3);
	assert_int_equal(queue.polls, 3);
	assert_int_equal(dones, 0);
	queue.let = 1;
	poll_times(1);
	assert_int_equal(dones, 1);
	assert_int_equal(nvio_co_status(co), NVIO_CO_ENDED); /* it ran in the same poll */
	poll_times(3);
	assert_int_equal(queue.polls, 4); /* and then no more */
	assert_true(nvio_thread_is_idle(rig.t));
	assert_int_equal(nvio_co_join(co, NULL), 0);
	rig_close(&rig);
}

static void many_on_one_queue_poll_it_once_and_wake_each_in_its_turn(void **state)
{
	struct nvio_co *co[8];

	open_rig();
	for (int i = 0; i < 8; i++)
		co[i] = spawn(waits_on_the_queue, &queue);
	poll_times(1);
	for (int i = 0; i < 8; i++) {
		queue.polls = 0;
		poll_times(2);
		assert_int_equal(queue.polls, 2);
		queue.let = 1;
		poll_times(1);
		for (int k = 0; k < 8; k++)
			assert_int_equal(nvio_co_status(co[k]), k <= i ? NVIO_CO_ENDED : NVIO_CO_WAITING);
	}
	assert_int_equal(dones, 8);
	assert_int_equal(nvio_co_join_all(co, 8), 0);
	rig_close(&rig);
}

static void many_queues_are_each_polled_while_they_are_waited_on(void **state)
{
	static struct queue queues[200];
	struct nvio_co *co[200];

	open_rig();
	memset(queues, 0, sizeof(queues));
	for (int i = 0; i < 200; i++) {
		queues[i].pollable.ops = &queue_ops;
		op_queue_init(&queues[i].ops);
		co[i] = spawn(waits_on_the_queue, &queues[i]);
	}
	poll_times(3);
	for (int i = 0; i < 200; i++) {
		assert_int_equal(queues[i].polls, 2);
		queues[i].let = i % 2;
	}
	poll_times(4);
	for (int i = 0; i < 200; i++) {
		assert_int_equal(queues[i].polls, i % 2 ? 3 : 6);
		queues[i].let = 1;
	}
	assert_int_equal(nvio_co_join_all(co, 200), 0);
	rig_close(&rig);
}

static int waits_on_the_thread(void *arg)
{
	struct nvio_op op = { .done = count_done, .arg = &dones };

	op_begin(&op, thread_pollable(rig.t));
	thread_end_op(rig.t, &op, (int)(intptr_t)arg);
	return nvio_wait(&op);
}

static void what_the_thread_drives_is_not_polled_beside_it(void **state)
{
	struct nvio_co *co;

	open_rig();
	co = spawn(waits_on_the_thread, (void *)(intptr_t)-EIO);
	poll_times(2);
	assert_int_equal(nvio_co_status(co), NVIO_CO_ENDED);
	assert_int_equal(nvio_co_join(co, NULL), -EIO);
	assert_int_equal(dones, 1);
	rig_close(&rig);
}

static struct nvio_op shared;

static int waits_for_the_shared_one(void *arg)
{
	return nvio_wait(&shared);
}

static void several_may_wait_for_one_op(void **state)
{
	struct nvio_co *co[3];

	open_rig();
	shared = (struct nvio_op){ .done = count_done, .arg = &dones };
	submit(&queue, &shared);
	for (int i = 0; i < 3; i++)
		co[i] = spawn(waits_for_the_shared_one, NULL);
	poll_times(2);
	assert_int_equal(queue.polls, 1);
	queue.let = 1;
	assert_int_equal(nvio_co_join_all(co, 3), 0);
	assert_int_equal(dones, 1);

	/* And beside them one that polls. */
	submit(&queue, &shared);
	co[0] = spawn(waits_for_the_shared_one, NULL);
	poll_times(1);
	queue.let = 1;
	assert_int_equal(nvio_wait(&shared), 0);
	assert_int_equal(nvio_co_status(co[0]), NVIO_CO_READY);
	assert_int_equal(nvio_co_join(co[0], NULL), 0);
	assert_int_equal(dones, 2);
	rig_close(&rig);
}

static int again_left;

static void submit_again(struct nvio_op *op)
{
	if (again_left-- > 0)
		submit(&queue, op);
}

static int waits_for_the_last(void *arg)
{
	struct nvio_op op = NVIO_OP(submit_again);

	again_left = 3;
	submit(&queue, &op);
	return nvio_wait(&op);
}

static void done_may_submit_the_op_anew(void **state)
{
	struct nvio_co *co;

	open_rig();
	queue.let = 4;
	co = spawn(waits_for_the_last, NULL);
	assert_int_equal(nvio_co_join(co, NULL), 0);
	assert_int_equal(again_left, -1);
	rig_close(&rig);
}

static int waits_with_a_tag(void *arg)
{
	struct nvio_op op = { .flags = NVIO_OP_REAP };

	submit(arg, &op);
	return nvio_wait(&op);
}

static void an_op_to_be_reaped_goes_to_the_waiter_instead(void **state)
{
	struct nvio_co *co;

	open_rig();
	queue.let = 1;
	co = spawn(waits_with_a_tag, &queue);
	assert_int_equal(nvio_co_join(co, NULL), 0);
	rig_close(&rig);
}

/* ---- failures ---- */

static int waits_twice(void *arg)
{
	struct nvio_op op = { .done = count_done, .arg = &dones };
	int rc;

	submit(arg, &op);
	rc = nvio_wait(&op);
	assert_int_equal(rc, -EBUSY);
	assert_string_equal(nvio_errmsg(), "wait: queue: the operation is still in flight: queue: it is broken");
	assert_true(nvio_op_pending(&op));
	assert_ptr_equal(op.done, count_done);
	queue.rc = 0;
	return nvio_wait(&op);
}

static void a_poll_that_fails_ends_the_wait_as_outside_of_a_coroutine(void **state)
{
	struct nvio_co *co[2];

	open_rig();
	queue.rc = -EBUSY;
	co[0] = spawn(waits_twice, &queue);
	poll_times(1);
	assert_int_equal(nvio_co_status(co[0]), NVIO_CO_WAITING);
	poll_times(1);
	queue.let = 1;
	assert_int_equal(nvio_co_join(co[0], NULL), 0);
	assert_int_equal(dones, 1);

	/* Two wait for the same op; it is given back whole. */
	shared = (struct nvio_op){ .done = count_done, .arg = &dones };
	submit(&queue, &shared);
	queue.rc = -EIO;
	for (int i = 0; i < 2; i++)
		co[i] = spawn(waits_for_the_shared_one, NULL);
	assert_int_equal(nvio_co_join(co[1], NULL), -EIO);
	assert_int_equal(nvio_co_join(co[0], NULL), -EIO);
	assert_ptr_equal(shared.done, count_done);
	assert_ptr_equal(shared.arg, &dones);
	queue.rc = 0;
	queue.let = 1;
	assert_int_equal(nvio_wait(&shared), 0);
	assert_int_equal(dones, 2);
	rig_close(&rig);
}

/* ---- callbacks that wait ---- */

static void wait_in_done(struct nvio_op *op)
{
	struct nvio_op other = NVIO_OP(NULL);

	assert_null(nvio_co_current());
	submit(&queue, &other);
	queue.let = 1;
	assert_int_equal(nvio_wait(&other), 0); /* polls */
	dones++;
}

static int waits_while_done_waits(void *arg)
{
	struct nvio_op op = NVIO_OP(wait_in_done);

	op_begin(&op, thread_pollable(rig.t));
	thread_end_op(rig.t, &op, 0);
	return nvio_wait(&op);
}

static int poller_that_waits(void *arg)
{
	struct nvio_op op = NVIO_OP(NULL);

	if (dones)
		return 0;
	dones++;
	submit(&queue, &op);
	queue.let = 1;
	assert_int_equal(nvio_wait(&op), 0);
	return 1;
}

static void callbacks_and_pollers_wait_by_polling_while_coroutines_are_suspended(void **state)
{
	static struct queue other;
	struct nvio_poller *p;
	struct nvio_co *co[2];

	open_rig();
	other = queue;
	op_queue_init(&other.ops);
	co[0] = spawn(waits_on_the_queue, &other);
	co[1] = spawn(waits_while_done_waits, NULL);
	assert_int_equal(nvio_co_join(co[1], NULL), 0);
	assert_int_equal(dones, 1);
	dones = 0;
	assert_int_equal(nvio_poller_register(rig.t, "p", poller_that_waits, NULL, 0, &p), 0);
	poll_times(1);
	assert_int_equal(dones, 1);
	nvio_poller_unregister(p);
	assert_int_equal(nvio_co_status(co[0]), NVIO_CO_WAITING);
	other.let = 1;
	assert_int_equal(nvio_co_join(co[0], NULL), 0);
	rig_close(&rig);
}

static int polls_a_queue_whose_done_waits(void *arg)
{
	struct nvio_op op = NVIO_OP(NULL), other = NVIO_OP(NULL);

	/* A callback that runs because the coroutine itself polls a queue is the coroutine's own: it suspends. */
	submit(&queue, &op);
	submit(&queue, &other);
	queue.let = 1;
	assert_int_equal(queue_poll(&queue.pollable), 1);
	assert_false(nvio_op_pending(&op));
	queue.let = 1;
	return nvio_wait(&other);
}

static void a_coroutine_may_poll_by_itself(void **state)
{
	struct nvio_co *co;

	open_rig();
	co = spawn(polls_a_queue_whose_done_waits, NULL);
	assert_int_equal(nvio_co_join(co, NULL), 0);
	rig_close(&rig);
}

static void poll_the_thread_from_a_queue(struct queue *q)
{
	q->on_poll = NULL;
	/* The queue's own poll is under way, and this polls it again, and runs coroutines. */
	poll_times(2);
}

static void a_queues_poll_may_poll_the_thread(void **state)
{
	struct nvio_co *co[2];

	open_rig();
	co[0] = spawn(waits_on_the_queue, &queue);
	co[1] = spawn(waits_on_the_queue, &queue);
	poll_times(1);
	queue.on_poll = poll_the_thread_from_a_queue;
	queue.let = 2;
	assert_int_equal(nvio_co_join_all(co, 2), 0);
	assert_int_equal(dones, 2);
	rig_close(&rig);
}

/* ---- cancelling ---- */

static int expects(void *arg)
{
	struct nvio_op op = NVIO_OP(NULL);
	int rc;

	submit(&queue, &op);
	rc = nvio_wait(&op);
	assert_int_equal(nvio_op_pending(&op), 0); /* whatever happens, it has ended */
	return rc;
}

static int waits_after_it_was_cancelled(void *arg)
{
	nvio_co_cancel(nvio_co_current());
	return expects(arg);
}

static void cancelling_asks_the_op_to_end_and_waits_for_it(void **state)
{
	static const struct {
		nvio_co_fn fn;
		bool cannot_cancel, stubborn;
		int rc, cancels;
	} cases[] = {
		{ expects, false, false, -ECANCELED, 1 },
		{ expects, false, true, 0, 1 },
		{ expects, true, false, 0, 1 },
		{ waits_after_it_was_cancelled, false, false, -ECANCELED, 1 },
		{ waits_after_it_was_cancelled, true, false, 0, 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct nvio_co *co;

		open_rig();
		queue.cannot_cancel = cases[i].cannot_cancel;
		queue.stubborn = cases[i].stubborn;
		co = spawn(cases[i].fn, NULL);
		poll_times(1);
		nvio_co_cancel(co);
		nvio_co_cancel(co);
		poll_times(1);
		assert_int_equal(queue.cancels, cases[i].cancels);
		poll_times(5);
		/* It is not let go of while its op is in flight. */
		assert_int_equal(nvio_co_status(co), cases[i].cannot_cancel ? NVIO_CO_WAITING : NVIO_CO_ENDED);
		queue.let = 1;
		assert_int_equal(nvio_co_join(co, NULL), cases[i].rc);
		assert_int_equal(queue.cancels, cases[i].cancels);
		rig_close(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_op_that_is_waited_for_suspends_and_its_queue_is_polled),
		cmocka_unit_test(many_on_one_queue_poll_it_once_and_wake_each_in_its_turn),
		cmocka_unit_test(many_queues_are_each_polled_while_they_are_waited_on),
		cmocka_unit_test(what_the_thread_drives_is_not_polled_beside_it),
		cmocka_unit_test(several_may_wait_for_one_op),
		cmocka_unit_test(done_may_submit_the_op_anew),
		cmocka_unit_test(an_op_to_be_reaped_goes_to_the_waiter_instead),
		cmocka_unit_test(a_poll_that_fails_ends_the_wait_as_outside_of_a_coroutine),
		cmocka_unit_test(callbacks_and_pollers_wait_by_polling_while_coroutines_are_suspended),
		cmocka_unit_test(a_coroutine_may_poll_by_itself),
		cmocka_unit_test(a_queues_poll_may_poll_the_thread),
		cmocka_unit_test(cancelling_asks_the_op_to_end_and_waits_for_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
