/* SPDX-License-Identifier: BSD-3-Clause */
/* C2: groups of ops and coroutines: the first error wins, the rest are asked to end, and all have ended when the wait returns. */
#include "tests/unit/thread/rig.h"

#include <nvio/co.h>

#define SECOND 1000000u
#define SLOTS  8

/* Completes its oldest op with `status` when `let` is not 0; cancelled ones at once. */
struct queue {
	struct nvio_pollable pollable;
	struct op_queue ops;
	int let, status, rc, cancels;
	bool cannot_cancel;
};

static int queue_poll(struct nvio_pollable *p)
{
	struct queue *q = container_of(p, struct queue, pollable);
	struct nvio_op *op, *next;
	int n = 0;

	if (q->rc)
		return fail(q->rc, "queue: it is broken");
	for (op = q->ops.head; op; op = next) {
		next = op->next;
		if (!op->state && !q->let)
			continue;
		q->let -= !op->state;
		op_queue_remove(&q->ops, op);
		op_end(op, op->state ? -ECANCELED : q->status);
		n++;
	}
	return n;
}

static int queue_cancel(struct nvio_pollable *p, struct nvio_op *op)
{
	struct queue *q = container_of(p, struct queue, pollable);

	q->cancels++;
	if (q->cannot_cancel)
		return fail(-EOPNOTSUPP, "queue: cannot");
	op->state = 1;
	return 0;
}

static const struct pollable_ops queue_ops = { .name = "queue", .poll = queue_poll, .cancel = queue_cancel };

static struct rig rig;
static struct queue queues[2];

static void open_rig(void)
{
	rig_open_env(&rig, true);
	memset(queues, 0, sizeof(queues));
	for (int i = 0; i < 2; i++) {
		queues[i].pollable.ops = &queue_ops;
		op_queue_init(&queues[i].ops);
	}
}

static int submit(struct queue *q, struct nvio_op *op)
{
	op->state = 0;
	op_begin(op, &q->pollable);
	op_queue_push(&q->ops, op);
	return 0;
}

static void poll_times(int n)
{
	while (n--)
		assert_true(nvio_thread_poll(rig.t, 0) >= 0);
}

/* Runs a test's body once as plain code and once in a coroutine: the same promises hold. */
static void in_both_worlds(nvio_co_fn body)
{
	struct nvio_co *co;

	open_rig();
	assert_int_equal(body(NULL), 0);
	rig_close(&rig);
	open_rig();
	assert_int_equal(nvio_co_spawn(rig.t, body, NULL, NULL, &co), 0);
	assert_int_equal(nvio_co_join(co, NULL), 0);
	rig_close(&rig);
}

static int dones;

static void count_done(struct nvio_op *op)
{
	assert_ptr_equal(op->arg, &dones);
	dones++;
}

static int body_all_succeed(void *arg)
{
	struct nvio_group_slot slots[SLOTS];
	struct nvio_op ops[SLOTS];
	struct nvio_group g;

	dones = 0;
	nvio_group_init(&g, slots, SLOTS);
	assert_int_equal(nvio_group_wait(&g), 0); /* nothing in it */
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < SLOTS; i++) {
			ops[i] = (struct nvio_op){ .done = count_done, .arg = &dones };
			assert_int_equal(nvio_group_add(&g, submit(&queues[i % 2], &ops[i]), &ops[i]), 0);
		}
		queues[0].let = queues[1].let = SLOTS / 2;
		assert_int_equal(nvio_group_wait(&g), 0);
		for (int i = 0; i < SLOTS; i++) {
			assert_int_equal(ops[i].status, 0);
			assert_ptr_equal(ops[i].done, count_done);
		}
		assert_int_equal(dones, (round + 1) * SLOTS);
	}
	return 0;
}

static void a_group_waits_for_all_and_can_be_used_again(void **state)
{
	in_both_worlds(body_all_succeed);
}

static int body_first_error(void *arg)
{
	struct nvio_group_slot slots[SLOTS];
	struct nvio_op ops[SLOTS];
	struct nvio_group g;

	nvio_group_init(&g, slots, SLOTS);
	for (int i = 0; i < SLOTS; i++) {
		ops[i] = (struct nvio_op)NVIO_OP(NULL);
		assert_int_equal(nvio_group_add(&g, submit(&queues[i % 2], &ops[i]), &ops[i]), 0);
	}
	queues[1].let = 1;
	queues[1].status = -EIO;
	assert_int_equal(nvio_group_wait(&g), -EIO);
	for (int i = 0; i < SLOTS; i++)
		assert_int_equal(ops[i].status, i == 1 ? -EIO : -ECANCELED);
	assert_int_equal(queues[0].cancels + queues[1].cancels, SLOTS - 1);
	/* The error is told once. */
	assert_int_equal(nvio_group_wait(&g), 0);
	return 0;
}

static void the_first_error_wins_and_the_rest_are_cancelled(void **state)
{
	in_both_worlds(body_first_error);
}

static int lets_the_rest_end(void *arg)
{
	nvio_co_yield();
	nvio_co_yield();
	queues[0].let = 10;
	return 0;
}

static int body_uncancellable(void *arg)
{
	struct nvio_group_slot slots[SLOTS];
	struct nvio_op a = NVIO_OP(NULL), b = NVIO_OP(NULL);
	struct nvio_group g;

	nvio_group_init(&g, slots, SLOTS);
	queues[0].cannot_cancel = true;
	queues[1].let = 1;
	queues[1].status = -EIO;
	nvio_group_add(&g, submit(&queues[0], &a), &a);
	nvio_group_add(&g, submit(&queues[1], &b), &b);
	assert_int_equal(nvio_co_spawn(rig.t, lets_the_rest_end, NULL, NULL, NULL), 0);
	/* Plain code polls the queues; the thread has its turns because it is current. */
	if (!nvio_co_current())
		nvio_thread_attach(rig.t);
	assert_int_equal(nvio_group_wait(&g), -EIO);
	if (!nvio_co_current())
		nvio_thread_detach(rig.t);
	assert_int_equal(a.status, 0); /* it came to its end, and was awaited */
	assert_int_equal(queues[0].cancels, 1);
	return 0;
}

static void what_cannot_be_cancelled_is_awaited_all_the_same(void **state)
{
	in_both_worlds(body_uncancellable);
}

static int body_failed_submit(void *arg)
{
	struct nvio_group_slot slots[2];
	struct nvio_op a = NVIO_OP(NULL), b = NVIO_OP(NULL), c = NVIO_OP(NULL);
	struct nvio_group g;

	nvio_group_init(&g, slots, 2);
	assert_int_equal(nvio_group_add(&g, submit(&queues[0], &a), &a), 0);
	assert_int_equal(nvio_group_add(&g, -ENOSPC, &b), -ENOSPC); /* never in flight */
	assert_int_equal(nvio_group_add(&g, submit(&queues[1], &c), &c), -ENOSPC); /* in, and a reason to stop */
	assert_int_equal(nvio_group_wait(&g), -ENOSPC);
	assert_int_equal(a.status, -ECANCELED);
	assert_int_equal(c.status, -ECANCELED);
	assert_int_equal(b.status, 0);
	return 0;
}

static void a_failed_submit_is_an_error_of_the_group(void **state)
{
	in_both_worlds(body_failed_submit);
}

static int body_more_than_slots(void *arg)
{
	struct nvio_group_slot slots[2];
	struct nvio_op ops[100];
	struct nvio_group g;

	nvio_group_init(&g, slots, 2);
	for (int i = 0; i < 100; i++) {
		ops[i] = (struct nvio_op)NVIO_OP(NULL);
		queues[i % 2].let++;
		assert_int_equal(nvio_group_add(&g, submit(&queues[i % 2], &ops[i]), &ops[i]), 0);
	}
	assert_int_equal(nvio_group_wait(&g), 0);
	for (int i = 0; i < 100; i++)
		assert_int_equal(ops[i].status, 0);
	nvio_group_init(&g, NULL, 0);
	ops[0] = (struct nvio_op)NVIO_OP(NULL);
	assert_int_equal(nvio_group_add(&g, submit(&queues[0], &ops[0]), &ops[0]), -EINVAL);
	assert_said("no slots");
	queues[0].let = 1;
	return nvio_wait(&ops[0]);
}

static void adding_waits_for_a_slot(void **state)
{
	in_both_worlds(body_more_than_slots);
}

static int body_polls_fail(void *arg)
{
	struct nvio_group_slot slots[SLOTS];
	struct nvio_op a = { .done = count_done, .arg = &dones }, b = NVIO_OP(NULL);
	struct nvio_group g;

	nvio_group_init(&g, slots, SLOTS);
	nvio_group_add(&g, submit(&queues[0], &a), &a);
	nvio_group_add(&g, submit(&queues[1], &b), &b);
	queues[0].rc = -EBUSY;
	assert_int_equal(nvio_group_wait(&g), -EBUSY);
	assert_int_equal(b.status, -ECANCELED);
	assert_true(nvio_op_pending(&a)); /* given up, and as it was */
	assert_ptr_equal(a.done, count_done);
	assert_ptr_equal(a.arg, &dones);
	queues[0].rc = 0;
	assert_int_equal(nvio_cancel(&a), 0);
	assert_int_equal(nvio_wait(&a), -ECANCELED);
	return 0;
}

static void an_op_whose_queue_fails_is_given_up(void **state)
{
	in_both_worlds(body_polls_fail);
}

/* ---- coroutines in it ---- */

static int ran;

static int sleeps(void *arg)
{
	int rc = nvio_co_sleep((uint64_t)(intptr_t)arg);

	ran++;
	return rc;
}

static int fails(void *arg)
{
	nvio_co_yield();
	ran++;
	return (int)(intptr_t)arg;
}

static int body_coroutines(void *arg)
{
	struct nvio_group_slot slots[SLOTS];
	struct nvio_op op = NVIO_OP(NULL);
	struct nvio_group g;

	ran = 0;
	nvio_group_init(&g, slots, SLOTS);
	for (int i = 0; i < 3; i++)
		assert_int_equal(nvio_group_spawn(&g, rig.t, fails, (void *)(intptr_t)i, NULL), 0);
	assert_int_equal(nvio_group_wait(&g), 0); /* what is not negative is no error */
	assert_int_equal(ran, 3);

	for (int i = 0; i < 3; i++)
		assert_int_equal(nvio_group_spawn(&g, rig.t, sleeps, (void *)(intptr_t)SECOND, NULL), 0);
	nvio_group_add(&g, submit(&queues[0], &op), &op);
	assert_int_equal(nvio_group_spawn(&g, rig.t, fails, (void *)(intptr_t)-EPERM, NULL), 0);
	assert_int_equal(nvio_group_wait(&g), -EPERM);
	assert_int_equal(ran, 7); /* all of them have ended, long before their time */
	assert_int_equal(op.status, -ECANCELED);
	assert_int_equal(nvio_co_count(rig.t), nvio_co_current() ? 1 : 0);

	assert_int_equal(nvio_group_spawn(&g, rig.t, NULL, NULL, NULL), -EINVAL);
	assert_int_equal(nvio_group_wait(&g), -EINVAL);
	return 0;
}

static void coroutines_and_ops_fail_together(void **state)
{
	in_both_worlds(body_coroutines);
}

static int works_in_a_group(void *arg)
{
	struct nvio_group_slot slots[SLOTS];
	struct nvio_op op = NVIO_OP(NULL);
	struct nvio_group g;
	int rc;

	nvio_group_init(&g, slots, SLOTS);
	nvio_group_spawn(&g, rig.t, sleeps, (void *)(intptr_t)SECOND, NULL);
	if (arg)
		nvio_group_spawn(&g, rig.t, works_in_a_group, (void *)((intptr_t)arg - 1), NULL);
	nvio_group_add(&g, submit(&queues[0], &op), &op);
	rc = nvio_group_wait(&g);
	assert_false(nvio_op_pending(&op));
	return rc;
}

static void cancelling_goes_down_through_groups(void **state)
{
	struct nvio_co *co;

	for (int cancel_early = 0; cancel_early < 2; cancel_early++) {
		open_rig();
		ran = 0;
		assert_int_equal(nvio_co_spawn(rig.t, works_in_a_group, (void *)(intptr_t)5, NULL, &co), 0);
		poll_times(cancel_early ? 0 : 10);
		assert_int_equal(nvio_co_count(rig.t), cancel_early ? 1 : 12);
		nvio_co_cancel(co);
		assert_int_equal(nvio_co_join(co, NULL), -ECANCELED);
		assert_int_equal(nvio_co_count(rig.t), 0);
		assert_int_equal(ran, 6);
		rig_close(&rig);
	}
}

static struct nvio_group *to_cancel;

static int cancels_the_group(void *arg)
{
	nvio_co_yield();
	nvio_group_cancel(to_cancel);
	return 0;
}

static int body_cancel(void *arg)
{
	struct nvio_group_slot slots[SLOTS];
	struct nvio_op op = NVIO_OP(NULL);
	struct nvio_group g;

	nvio_group_init(&g, slots, SLOTS);
	nvio_group_add(&g, submit(&queues[0], &op), &op);
	nvio_group_cancel(&g);
	nvio_group_cancel(&g);
	assert_int_equal(nvio_group_wait(&g), -ECANCELED);
	assert_int_equal(op.status, -ECANCELED);

	/* By another, while it is waited on. */
	to_cancel = &g;
	nvio_group_spawn(&g, rig.t, sleeps, (void *)(intptr_t)SECOND, NULL);
	assert_int_equal(nvio_co_spawn(rig.t, cancels_the_group, NULL, NULL, NULL), 0);
	assert_int_equal(nvio_group_wait(&g), -ECANCELED);
	return 0;
}

static void a_group_can_be_cancelled(void **state)
{
	in_both_worlds(body_cancel);
}

static void an_exiting_thread_takes_no_new_ones_into_a_group(void **state)
{
	struct nvio_group_slot slots[1];
	struct nvio_group g;

	open_rig();
	nvio_group_init(&g, slots, 1);
	nvio_group_spawn(&g, rig.t, sleeps, (void *)(intptr_t)SECOND, NULL);
	nvio_thread_exit(rig.t);
	/* Exiting refuses new ones, and lets those that are there go on. */
	assert_int_equal(nvio_co_spawn(rig.t, sleeps, NULL, NULL, NULL), -ESHUTDOWN);
	poll_times(1);
	rig.now_ns += 1000000000;
	assert_int_equal(nvio_group_wait(&g), 0);
	assert_int_equal(nvio_group_spawn(&g, rig.t, sleeps, NULL, NULL), -ESHUTDOWN);
	assert_int_equal(nvio_group_wait(&g), -ESHUTDOWN);
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_group_waits_for_all_and_can_be_used_again),
		cmocka_unit_test(the_first_error_wins_and_the_rest_are_cancelled),
		cmocka_unit_test(what_cannot_be_cancelled_is_awaited_all_the_same),
		cmocka_unit_test(a_failed_submit_is_an_error_of_the_group),
		cmocka_unit_test(adding_waits_for_a_slot),
		cmocka_unit_test(an_op_whose_queue_fails_is_given_up),
		cmocka_unit_test(coroutines_and_ops_fail_together),
		cmocka_unit_test(cancelling_goes_down_through_groups),
		cmocka_unit_test(a_group_can_be_cancelled),
		cmocka_unit_test(an_exiting_thread_takes_no_new_ones_into_a_group),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
