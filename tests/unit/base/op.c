/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The contract of include/nvio/op.h, as far as the caller's and the owner's halves meet here: with a made-up
 * owner. C2, C3, Z4.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/op.h"
#include <nvio/error.h>

/* Completes the oldest op with `status` once it has been polled `idle_polls` times in vain. */
struct fake {
	struct nvio_pollable pollable;
	struct op_queue queue;
	int idle_polls, polls, status;
	int poll_rc;        /* returned instead of working when negative */
	int complete_first; /* complete everything before failing so */
	int cancels;
};

static struct fake *fake_of(struct nvio_pollable *p)
{
	return container_of(p, struct fake, pollable);
}

static int fake_poll(struct nvio_pollable *p)
{
	struct fake *f = fake_of(p);
	struct nvio_op *op;

	f->polls++;
	if (f->poll_rc) {
		while (f->complete_first && (op = op_queue_pop(&f->queue)))
			op_end(op, -ENODEV);
		return fail(f->poll_rc, "fake: the device is gone");
	}
	if (f->idle_polls) {
		f->idle_polls--;
		return 0;
	}
	op = op_queue_pop(&f->queue);
	if (!op)
		return 0;
	op_end(op, f->status);
	return 1;
}

static int fake_cancel(struct nvio_pollable *p, struct nvio_op *op)
{
	struct fake *f = fake_of(p);

	f->cancels++;
	f->status = -ECANCELED;
	return 0;
}

static const struct pollable_ops fake_ops = { .name = "fake", .poll = fake_poll, .cancel = fake_cancel };
static const struct pollable_ops stubborn_ops = { .name = "stubborn", .poll = fake_poll };

static void fake_init(struct fake *f, const struct pollable_ops *ops)
{
	memset(f, 0, sizeof(*f));
	f->pollable.ops = ops;
	op_queue_init(&f->queue);
}

static int fake_submit(struct fake *f, struct nvio_op *op)
{
	op_begin(op, &f->pollable);
	op_queue_push(&f->queue, op);
	return 0;
}

static int dones; /* reset by each test that counts */

static void count_done(struct nvio_op *op)
{
	assert_int_not_equal(op->status, -EINPROGRESS);
	dones++;
}

static void waiting_polls_until_completion(void **state)
{
	static const struct {
		int idle_polls, status;
	} cases[] = { { 0, 0 }, { 0, -EIO }, { 1, 0 }, { 100, -ETIMEDOUT }, { 10000, 0 } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct nvio_op op = NVIO_OP(count_done);
		struct fake f;

		fake_init(&f, &fake_ops);
		f.idle_polls = cases[i].idle_polls;
		f.status = cases[i].status;
		dones = 0;
		assert_int_equal(nvio_await(fake_submit(&f, &op), &op), cases[i].status);
		assert_int_equal(f.polls, cases[i].idle_polls + 1);
		assert_int_equal(dones, 1);
		assert_int_equal(op.status, cases[i].status);
		assert_false(nvio_op_pending(&op));
		assert_int_equal(nvio_wait(&op), cases[i].status); /* at once, and without another callback */
		assert_int_equal(f.polls, cases[i].idle_polls + 1);
		assert_int_equal(dones, 1);
	}
}

static void a_failed_submit_is_not_waited_for(void **state)
{
	struct nvio_op op = NVIO_OP(NULL);

	assert_int_equal(nvio_await(-ENXIO, &op), -ENXIO);
	assert_int_equal(op.status, 0);
	assert_int_equal(nvio_wait(&op), 0);
}

static void others_of_the_queue_complete_meanwhile(void **state)
{
	struct nvio_op ops[8] = { 0 };
	struct fake f;

	fake_init(&f, &fake_ops);
	dones = 0;
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		ops[i].done = count_done;
		fake_submit(&f, &ops[i]);
	}
	assert_int_equal(nvio_wait(&ops[4]), 0);
	assert_int_equal(dones, 5);
	assert_true(nvio_op_pending(&ops[5]));
	assert_int_equal(nvio_wait(&ops[7]), 0);
	assert_int_equal(dones, 8);
}

static void a_failing_poll_ends_the_wait(void **state)
{
	struct nvio_op op = NVIO_OP(NULL);
	struct fake f;

	fake_init(&f, &fake_ops);
	f.poll_rc = -EBUSY;
	fake_submit(&f, &op);
	assert_int_equal(nvio_wait(&op), -EBUSY);
	assert_true(nvio_op_pending(&op));
	assert_int_equal(f.polls, 1);
	assert_string_equal(nvio_errmsg(),
		"wait: fake: the operation is still in flight: fake: the device is gone");
	f.poll_rc = 0; /* it was, and can be waited for again */
	assert_int_equal(nvio_wait(&op), 0);
}

static void a_poll_that_completes_and_fails_counts_as_completed(void **state)
{
	struct nvio_op op = NVIO_OP(count_done);
	struct fake f;

	fake_init(&f, &fake_ops);
	f.poll_rc = -EIO;
	f.complete_first = 1;
	dones = 0;
	fake_submit(&f, &op);
	assert_int_equal(nvio_wait(&op), -ENODEV);
	assert_int_equal(dones, 1);
}

static struct fake suspend_fake;
static int suspensions;
static bool poll_fails;

/* As a coroutine's suspension: comes back now and then, once in a while for nothing, or because the owner's poll has failed. */
static bool suspend(struct nvio_op *op)
{
	if (++suspensions == 3)
		op_end(op_queue_pop(&suspend_fake.queue), 0);
	return !poll_fails;
}

static bool in_no_coroutine(struct nvio_op *op)
{
	suspensions++;
	return false;
}

static void inside_a_coroutine_it_is_suspended(void **state)
{
	struct nvio_op op = NVIO_OP(NULL);

	fake_init(&suspend_fake, &fake_ops);
	suspensions = 0;
	op_suspend = suspend;
	fake_submit(&suspend_fake, &op);
	assert_int_equal(nvio_wait(&op), 0);
	assert_int_equal(suspensions, 3);
	assert_int_equal(nvio_wait(&op), 0); /* not in flight: no suspension */
	assert_int_equal(suspensions, 3);
	assert_int_equal(suspend_fake.polls, 0);

	/* The words of a failure are the poll's. */
	poll_fails = true;
	suspend_fake.poll_rc = -EBUSY;
	fake_submit(&suspend_fake, &op);
	assert_int_equal(nvio_wait(&op), -EBUSY);
	assert_string_equal(nvio_errmsg(), "wait: fake: the operation is still in flight: fake: the device is gone");
	poll_fails = false;
	suspend_fake.poll_rc = 0;

	op_suspend = in_no_coroutine;
	suspend_fake.polls = 0;
	assert_int_equal(nvio_wait(&op), 0);
	assert_int_equal(suspend_fake.polls, 1);
	op_suspend = NULL;
}

struct self_freeing {
	struct nvio_op op;
	int *freed;
};

static void free_self(struct nvio_op *op)
{
	struct self_freeing *s = container_of(op, struct self_freeing, op);

	++*s->freed;
	free(s);
}

static void done_may_free_the_op(void **state)
{
	struct nvio_op last = NVIO_OP(NULL);
	struct fake f;
	int freed = 0;

	fake_init(&f, &fake_ops);
	for (int i = 0; i < 3; i++) {
		struct self_freeing *s = calloc(1, sizeof(*s));

		assert_non_null(s);
		s->op.done = free_self;
		s->freed = &freed;
		fake_submit(&f, &s->op);
	}
	fake_submit(&f, &last);
	assert_int_equal(nvio_wait(&last), 0);
	assert_int_equal(freed, 3);
}

static struct fake *again_on;
static int again_left;

static void submit_again(struct nvio_op *op)
{
	if (again_left--)
		fake_submit(again_on, op);
}

static void done_may_submit_the_op_anew(void **state)
{
	struct nvio_op op = NVIO_OP(submit_again);
	struct fake f;

	fake_init(&f, &fake_ops);
	again_on = &f;
	again_left = 5;
	fake_submit(&f, &op);
	assert_int_equal(nvio_wait(&op), 0); /* waits for the last of them */
	assert_int_equal(f.polls, 6);
	assert_int_equal(again_left, -1);
}

static struct nvio_op nested;

static void wait_for_another(struct nvio_op *op)
{
	assert_int_equal(nvio_wait(&nested), 0);
	dones++;
}

static void done_may_wait_for_another_op(void **state)
{
	struct nvio_op op = NVIO_OP(wait_for_another);
	struct fake f;

	fake_init(&f, &fake_ops);
	dones = 0;
	fake_submit(&f, &op);
	nested = (struct nvio_op)NVIO_OP(count_done);
	fake_submit(&f, &nested);
	assert_int_equal(nvio_wait(&op), 0);
	assert_int_equal(dones, 2);
}

static void cancelling_asks_the_owner(void **state)
{
	struct nvio_op op = NVIO_OP(count_done);
	struct fake f;

	fake_init(&f, &fake_ops);
	assert_int_equal(nvio_cancel(&op), -EALREADY); /* never submitted */
	dones = 0;
	fake_submit(&f, &op);
	assert_int_equal(nvio_cancel(&op), 0);
	assert_int_equal(dones, 0);
	assert_true(nvio_op_pending(&op));
	assert_int_equal(nvio_wait(&op), -ECANCELED);
	assert_int_equal(dones, 1);
	assert_int_equal(nvio_cancel(&op), -EALREADY); /* completed */
	assert_non_null(strstr(nvio_errmsg(), "ECANCELED"));
	assert_int_equal(f.cancels, 1);
}

static void an_owner_may_be_unable_to_cancel(void **state)
{
	struct nvio_op op = NVIO_OP(NULL);
	struct fake f;

	fake_init(&f, &stubborn_ops);
	fake_submit(&f, &op);
	assert_int_equal(nvio_cancel(&op), -EOPNOTSUPP);
	assert_non_null(strstr(nvio_errmsg(), "stubborn"));
	assert_int_equal(nvio_wait(&op), 0);
}

static void the_callers_fields_stay(void **state)
{
	struct nvio_op op = { .done = count_done, .arg = &op, .timeout_us = 77, .flags = NVIO_OP_FUA };
	struct fake f;

	fake_init(&f, &fake_ops);
	fake_submit(&f, &op);
	assert_int_equal(nvio_wait(&op), 0);
	assert_ptr_equal(op.done, count_done);
	assert_ptr_equal(op.arg, &op);
	assert_int_equal(op.timeout_us, 77);
	assert_int_equal(op.flags, NVIO_OP_FUA);
}

/* A queue's content as text: the index of each op in `ops`, in order, popped. */
static void assert_pops(struct op_queue *q, struct nvio_op *ops, const char *want)
{
	struct nvio_op *op;

	for (; *want; want++) {
		op = op_queue_pop(q);
		assert_non_null(op);
		assert_int_equal(op - ops, *want - '0');
		assert_null(op->next);
	}
	assert_null(op_queue_pop(q));
	assert_true(op_queue_empty(q));
	assert_ptr_equal(q->tail, &q->head);
}

static void queues_let_go_of_any_member(void **state)
{
	static const struct {
		const char *remove, *want;
	} cases[] = {
		{ "", "0123" }, { "0", "123" }, { "1", "023" }, { "3", "012" }, { "30", "12" },
		{ "0123", "" }, { "3210", "" }, { "12", "03" },
	};
	struct nvio_op ops[4] = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct op_queue q;

		op_queue_init(&q);
		for (int n = 0; n < 4; n++)
			op_queue_push(&q, &ops[n]);
		for (const char *r = cases[i].remove; *r; r++)
			op_queue_remove(&q, &ops[*r - '0']);
		assert_pops(&q, ops, cases[i].want);
	}
}

static void queues_take_at_both_ends_and_join(void **state)
{
	struct nvio_op ops[6] = { 0 };
	struct op_queue a, b;

	op_queue_init(&a);
	op_queue_init(&b);
	op_queue_splice(&a, &b); /* nothing to nothing */
	op_queue_push_front(&a, &ops[1]);
	op_queue_push_front(&a, &ops[0]);
	op_queue_push(&a, &ops[2]);
	op_queue_splice(&a, &b); /* nothing to something */
	op_queue_push(&b, &ops[3]);
	op_queue_push(&b, &ops[4]);
	op_queue_splice(&a, &b);
	assert_true(op_queue_empty(&b));
	op_queue_remove(&a, &ops[3]); /* the seam can be cut */
	op_queue_push(&a, &ops[5]);
	op_queue_splice(&b, &a); /* something to nothing */
	assert_pops(&a, ops, "");
	assert_pops(&b, ops, "01245");
}

static void completion_fields_are_where_the_specification_says(void **state)
{
	/* DNR 1, M 1, CRD 2, SCT 3, SC 0x81: bits 14, 13, 12:11, 10:8, 7:0 */
	const struct nvio_cpl c = { .sf = 1u << 14 | 1u << 13 | 2u << 11 | 3u << 8 | 0x81 };

	assert_int_equal(nvio_cpl_sc(&c), 0x81);
	assert_int_equal(nvio_cpl_sct(&c), 3);
	assert_int_equal(nvio_cpl_crd(&c), 2);
	assert_int_equal(nvio_cpl_more(&c), 1);
	assert_int_equal(nvio_cpl_dnr(&c), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(waiting_polls_until_completion),
		cmocka_unit_test(a_failed_submit_is_not_waited_for),
		cmocka_unit_test(others_of_the_queue_complete_meanwhile),
		cmocka_unit_test(a_failing_poll_ends_the_wait),
		cmocka_unit_test(a_poll_that_completes_and_fails_counts_as_completed),
		cmocka_unit_test(inside_a_coroutine_it_is_suspended),
		cmocka_unit_test(done_may_free_the_op),
		cmocka_unit_test(done_may_submit_the_op_anew),
		cmocka_unit_test(done_may_wait_for_another_op),
		cmocka_unit_test(cancelling_asks_the_owner),
		cmocka_unit_test(an_owner_may_be_unable_to_cancel),
		cmocka_unit_test(the_callers_fields_stay),
		cmocka_unit_test(queues_let_go_of_any_member),
		cmocka_unit_test(queues_take_at_both_ends_and_join),
		cmocka_unit_test(completion_fields_are_where_the_specification_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
