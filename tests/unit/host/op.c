/* SPDX-License-Identifier: BSD-3-Clause */
/* The op's contract as the queue pair and the controller keep it, sentence by sentence. */
#include "tests/unit/host/fixture.h"

#include <stdlib.h>

/* ---- refused: nothing was sent and the op is untouched ---- */

static int rc_of(int which, struct nvio_op *op)
{
	static const struct nvio_lba_range range = { 0, 1 }, none = { 0, 0 }, beyond = { 1 << 20, 1 };
	struct iovec iov = { f.buf, 511 };
	struct nvio_sqe flush = { .opc = NVIO_NVM_FLUSH }, fused = { .opc = NVIO_NVM_FLUSH, .flags = 1 };
	struct nvio_sqe create = { .opc = NVIO_ADMIN_CREATE_SQ };

	switch (which) {
	case 0: return nvio_ns_read(f.ns, f.qp, f.buf, 0, 0, op);
	case 1: return nvio_ns_read(f.ns, f.qp, f.buf, 1 << 20, 1, op);
	case 2: return nvio_ns_read(f.ns, f.qp, f.buf, UINT64_MAX, 1, op);
	case 3: return nvio_ns_read(f.ns, f.qp, f.buf, UINT64_MAX - 3, 8, op);
	case 4: return nvio_ns_write(f.ns, f.qp, NULL, 0, 1, op);
	case 5: return nvio_ns_write(NULL, f.qp, f.buf, 0, 1, op);
	case 6: return nvio_ns_write(f.ns, NULL, f.buf, 0, 1, op);
	case 7: return nvio_ns_readv(f.ns, f.qp, &iov, 1, 0, 1, op);
	case 8: return nvio_ns_readv(f.ns, f.qp, &iov, 0, 0, 1, op);
	case 9: return nvio_ns_writev(f.ns, f.qp, NULL, 1, 0, 1, op);
	case 10: return nvio_ns_deallocate(f.ns, f.qp, &range, 0, op);
	case 11: return nvio_ns_deallocate(f.ns, f.qp, &range, 257, op);
	case 12: return nvio_ns_deallocate(f.ns, f.qp, &none, 1, op);
	case 13: return nvio_ns_deallocate(f.ns, f.qp, &beyond, 1, op);
	case 14: return nvio_ns_deallocate(f.ns, f.qp, NULL, 1, op);
	case 15: return nvio_ns_write_zeroes(f.ns, f.qp, 1, 1 << 20, op);
	case 16: return nvio_ns_compare(f.ns, f.qp, f.buf, 1 << 20, 1, op);
	case 17: return nvio_qpair_io(f.qp, &flush, NULL, 1, op);
	case 18: return nvio_qpair_io(f.qp, &fused, NULL, 0, op);
	case 19: return nvio_qpair_io(f.qp, &flush, f.buf, nvio_ctrlr_max_transfer(f.c) + 1, op);
	case 20: return nvio_qpair_io(f.qp, &flush, f.buf + 2, 4097, op);
	case 21: return nvio_ctrlr_admin(f.c, &create, NULL, 0, op);
	case 22: return nvio_ctrlr_admin(f.c, &fused, NULL, 0, op);
	case 23: return nvio_ctrlr_admin(f.c, NULL, NULL, 0, op);
	case 24: return nvio_ctrlr_get_log(f.c, 2, 0, 0, f.buf, 6, op);
	case 25: return nvio_ctrlr_get_log(f.c, 2, 0, 2, f.buf, 8, op);
	case 26: return nvio_ctrlr_get_feature(f.c, 1, 8, 0, 0, NULL, 0, op);
	case 27: return nvio_connect_async(f.env, "loop:nobody", NULL, op, &f.c);
	default: return 1;
	}
}

static void a_refused_submit_leaves_the_op_untouched(void **state)
{
	static const int expected[] = {
		-EINVAL, -ERANGE, -ERANGE, -ERANGE, -EINVAL, -EINVAL, -EINVAL, -EINVAL, -EINVAL, -EINVAL, -EINVAL, -EINVAL, -EINVAL,
		-ERANGE, -EINVAL, -ERANGE, -ERANGE, -EINVAL, -EINVAL, -EINVAL, -EINVAL, -EINVAL, -EINVAL, -EINVAL, -EINVAL, -EINVAL,
		-EINVAL, -ENOENT,
	};
	uint64_t commands = f.b.commands;
	struct nvio_op op, was;

	memset(&op, 0x5a, sizeof(op));
	op.done = NULL;
	op.status = 7;
	op.flags = 0;
	was = op;
	for (unsigned i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		int rc = rc_of((int)i, &op);

		if (rc != expected[i])
			fail_msg("case %u: %d, expected %d: %s", i, rc, expected[i], nvio_errmsg());
		assert_memory_equal(&op, &was, sizeof(op));
	}
	assert_int_equal(nvio_qpair_poll(f.qp, 0), 0);
	assert_int_equal(f.b.commands, commands);
}

static void flags_without_a_use_are_refused(void **state)
{
	struct nvio_sqe flush = { .opc = NVIO_NVM_FLUSH, .nsid = nvio_to_le32(1) };
	static const uint32_t none[] = { NVIO_OP_FUA, NVIO_OP_LIMITED_RETRY, 1u << 3, 1u << 31 };
	struct nvio_lba_range range = { 0, 1 };

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		struct nvio_op op = { .flags = none[i] }, was = op;

		assert_int_equal(nvio_ns_flush(f.ns, f.qp, &op), -EINVAL);
		assert_int_equal(nvio_ns_deallocate(f.ns, f.qp, &range, 1, &op), -EINVAL);
		assert_int_equal(nvio_qpair_io(f.qp, &flush, NULL, 0, &op), -EINVAL);
		assert_int_equal(nvio_ctrlr_identify(f.c, 1, 0, f.buf, &op), -EINVAL);
		if (none[i] >= 1u << 3) {
			assert_int_equal(nvio_ns_read(f.ns, f.qp, f.buf, 0, 1, &op), -EINVAL);
			assert_int_equal(nvio_ns_write_zeroes(f.ns, f.qp, 0, 1, &op), -EINVAL);
		}
		assert_memory_equal(&op, &was, sizeof(op));
	}
}

static void an_op_in_flight_is_refused(void **state)
{
	struct nvio_sqe flush = { .opc = NVIO_NVM_FLUSH, .nsid = nvio_to_le32(1) };
	struct nvio_op op = NVIO_OP(NULL), was;

	f.hold_io = true;
	assert_int_equal(nvio_ns_read(f.ns, f.qp, f.buf, 0, 1, &op), 0);
	was = op;
	assert_int_equal(nvio_ns_read(f.ns, f.qp, f.buf, 0, 1, &op), -EINVAL);
	assert_int_equal(nvio_ns_flush(f.ns, f.qp, &op), -EINVAL);
	assert_int_equal(nvio_qpair_io(f.qp, &flush, NULL, 0, &op), -EINVAL);
	assert_int_equal(nvio_ctrlr_identify(f.c, 1, 0, f.buf, &op), -EINVAL);
	assert_int_equal(nvio_ctrlr_reset(f.c, &op), -EINVAL);
	assert_memory_equal(&op, &was, sizeof(op));
	fix_run(1, 0);
	fix_answer_all();
	assert_int_equal(nvio_wait(&op), 0);
}

/* ---- submitted: done exactly once, and not before submit returned ---- */

static void status_goes_from_in_progress_to_the_end_and_done_runs_once(void **state)
{
	for (int hold = 0; hold < 2; hold++) {
		struct fix_op o;

		fix_op_init(&o);
		f.hold_io = hold;
		assert_int_equal(nvio_ns_read(f.ns, f.qp, f.buf, 0, 1, &o.op), 0);
		assert_int_equal(o.done, 0);
		assert_int_equal(o.op.status, -EINPROGRESS);
		assert_true(nvio_op_pending(&o.op));
		if (hold) {
			fix_run(3, MS);
			assert_int_equal(o.done, 0);
			assert_int_equal(nvio_qpair_in_flight(f.qp), 1);
			fix_answer_all();
		}
		assert_int_equal(nvio_qpair_poll(f.qp, 0), 1);
		assert_int_equal(o.done, 1);
		assert_int_equal(o.status, 0);
		assert_int_equal(o.op.cpl.answered, 1);
		fix_run(3, MS);
		assert_int_equal(o.done, 1);
		assert_int_equal(nvio_qpair_in_flight(f.qp), 0);
	}
}

static void the_callers_fields_stay_as_they_are(void **state)
{
	struct fix_op o, was;

	fix_op_init(&o);
	o.op.timeout_us = 123456;
	o.op.flags = NVIO_OP_FUA | NVIO_OP_LIMITED_RETRY;
	was = o;
	assert_int_equal(nvio_await(nvio_ns_write(f.ns, f.qp, f.buf, 0, 1, &o.op), &o.op), 0);
	assert_ptr_equal(o.op.done, was.op.done);
	assert_ptr_equal(o.op.arg, was.op.arg);
	assert_int_equal(o.op.timeout_us, was.op.timeout_us);
	assert_int_equal(o.op.flags, was.op.flags);
}

static void the_status_of_the_controller_stands_beside(void **state)
{
	static const struct {
		uint16_t sf;
		int rc;
	} cases[] = {
		{ NVIO_SF(0, 0x80) | NVIO_SF_DNR, -ERANGE }, { NVIO_SF(2, 0x85), -EILSEQ }, { NVIO_SF(2, 0x81), -EIO },
		{ NVIO_SF(0, 0x20), -EROFS }, { NVIO_SF(0, 0x01) | NVIO_SF_MORE | NVIO_SF_CRD(2), -EOPNOTSUPP },
		{ NVIO_SF(7, 0xff), -EIO },
	};
	struct nvio_op op = NVIO_OP(NULL);

	f.hold_io = true;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(nvio_ns_read(f.ns, f.qp, f.buf, 0, 1, &op), 0);
		fix_run(1, 0);
		fix_answer(f.held_count - 1, cases[i].sf);
		assert_int_equal(nvio_wait(&op), cases[i].rc);
		assert_int_equal(op.cpl.sf, cases[i].sf);
		assert_int_equal(op.cpl.answered, 1);
	}
}

static unsigned resubmitted;

static void on_done_again(struct nvio_op *op)
{
	assert_int_equal(op->status, 0);
	if (++resubmitted < 100)
		assert_int_equal(nvio_ns_read(f.ns, f.qp, f.buf, 0, resubmitted % 3 ? 1 : 64, op), 0);
}

static void an_op_may_be_submitted_anew_within_done(void **state)
{
	struct nvio_op op = NVIO_OP(on_done_again);

	resubmitted = 0;
	assert_int_equal(nvio_ns_read(f.ns, f.qp, f.buf, 0, 1, &op), 0);
	while (resubmitted < 100)
		assert_true(nvio_qpair_poll(f.qp, 0) >= 0);
	assert_int_equal(op.status, 0);
}

static int freed;

static void on_done_free(struct nvio_op *op)
{
	free(op);
	freed++;
}

static void an_op_may_be_freed_within_done(void **state)
{
	static const uint32_t blocks[] = { 1, 16, 100, 3000 };

	freed = 0;
	for (size_t i = 0; i < 4; i++) {
		struct nvio_op *op = calloc(1, sizeof(*op)), *admin = calloc(1, sizeof(*op));

		op->done = admin->done = on_done_free;
		assert_int_equal(nvio_ns_read(f.ns, f.qp, f.buf + i, 0, blocks[i], op), 0);
		assert_int_equal(nvio_ctrlr_identify(f.c, 1, 0, f.buf + i, admin), 0);
	}
	for (int i = 0; i < 1000 && freed < 8; i++)
		fix_run(1, 0);
	assert_int_equal(freed, 8);
}

static int waited;

static void on_done_wait(struct nvio_op *op)
{
	struct nvio_op other = NVIO_OP(NULL), admin = NVIO_OP(NULL);

	/* Same queue, and the admin queue. */
	assert_int_equal(nvio_await(nvio_ns_write(f.ns, f.qp, f.buf, 9, 1, &other), &other), 0);
	assert_int_equal(nvio_await(nvio_ctrlr_identify(f.c, 1, 0, f.buf, &admin), &admin), 0);
	waited++;
}

static void waiting_from_within_a_callback_works(void **state)
{
	struct nvio_op ops[20];

	waited = 0;
	for (int i = 0; i < 20; i++) {
		ops[i] = (struct nvio_op)NVIO_OP(on_done_wait);
		if (i & 1)
			assert_int_equal(nvio_ns_read(f.ns, f.qp, f.buf, 0, 1, &ops[i]), 0);
		else
			assert_int_equal(nvio_ctrlr_identify(f.c, 1, 0, f.buf, &ops[i]), 0);
	}
	for (int i = 0; i < 20; i++)
		assert_int_equal(nvio_wait(&ops[i]), 0);
	assert_int_equal(waited, 20);
	assert_int_equal(nvio_qpair_in_flight(f.qp), 0);
}

static void wait_on_what_is_not_in_flight_gives_its_status_at_once(void **state)
{
	struct nvio_op op = NVIO_OP(NULL);

	op.status = -EROFS;
	assert_int_equal(nvio_wait(&op), -EROFS);
	assert_int_equal(nvio_await(-EBUSY, &op), -EBUSY);
}

/* ---- cancel ---- */

static void cancel_of_what_is_in_flight_aborts_it(void **state)
{
	static const uint32_t blocks[] = { 1, 64, 1000 }; /* plain, with a list of pages, in several commands */

	f.hold_io = true;
	f.abort_works = true;
	for (size_t i = 0; i < 3; i++) {
		struct fix_op o;

		fix_op_init(&o);
		assert_int_equal(nvio_ns_read(f.ns, f.qp, f.buf, 0, blocks[i], &o.op), 0);
		fix_run(2, 0);
		assert_int_equal(nvio_cancel(&o.op), 0);
		assert_int_equal(o.done, 0);
		assert_int_equal(nvio_cancel(&o.op), 0); /* asking twice is no harm */
		assert_int_equal(nvio_wait(&o.op), -ECANCELED);
		assert_int_equal(nvio_cancel(&o.op), -EALREADY);
		fix_run(3, MS);
		assert_int_equal(o.done, 1);
	}
	assert_int_equal(f.b.resets, 0);
}

static void cancel_that_comes_too_late_is_success(void **state)
{
	struct fix_op o;

	fix_op_init(&o);
	f.hold_io = true;
	assert_int_equal(nvio_ns_read(f.ns, f.qp, f.buf, 0, 1, &o.op), 0);
	fix_run(1, 0);
	fix_answer(0, 0); /* done, but not told yet */
	assert_int_equal(nvio_cancel(&o.op), 0);
	assert_int_equal(nvio_wait(&o.op), 0);
	fix_run(3, MS);
	assert_int_equal(o.done, 1);
	assert_int_equal(nvio_qpair_in_flight(f.qp), 0);
}

static void cancel_that_the_controller_does_not_honour_leaves_the_op_to_it(void **state)
{
	struct fix_op o;

	fix_op_init(&o);
	f.hold_io = true; /* and Abort aborts nothing */
	assert_int_equal(nvio_ns_read(f.ns, f.qp, f.buf, 0, 1, &o.op), 0);
	fix_run(1, 0);
	assert_int_equal(nvio_cancel(&o.op), 0);
	fix_run(100, 100 * MS);
	assert_int_equal(o.done, 0);
	assert_int_equal(f.b.resets, 0);
	fix_answer_all();
	assert_int_equal(nvio_wait(&o.op), 0);
	assert_int_equal(o.done, 1);
}

static void cancel_of_what_waits_for_a_slot_never_reaches_the_controller(void **state)
{
	unsigned depth = nvio_qpair_depth(f.qp), total = depth + 5;
	struct fix_op *o = calloc(total, sizeof(*o));
	uint64_t before = f.b.commands;

	f.hold_io = true;
	for (unsigned i = 0; i < total; i++) {
		fix_op_init(&o[i]);
		assert_int_equal(nvio_ns_read(f.ns, f.qp, f.buf, i, 1, &o[i].op), 0);
	}
	fix_run(2, 0);
	assert_int_equal(nvio_cancel(&o[depth + 2].op), 0);
	assert_int_equal(o[depth + 2].done, 0); /* never inside the call */
	assert_int_equal(nvio_wait(&o[depth + 2].op), -ECANCELED);
	assert_int_equal(o[depth + 2].op.cpl.answered, 0);
	assert_int_equal(nvio_cancel(&o[depth + 2].op), -EALREADY);
	f.hold_io = false;
	fix_answer_all();
	for (unsigned i = 0; i < total; i++) {
		assert_int_equal(nvio_wait(&o[i].op), i == depth + 2 ? -ECANCELED : 0);
		assert_int_equal(o[i].done, 1);
	}
	assert_int_equal(f.b.commands - before, total - 1);
	free(o);
}

static bool vendor_is_held(const struct nvio_sqe *sqe)
{
	return sqe->opc == 0xc0;
}

static void cancel_of_an_admin_command_aborts_it(void **state)
{
	struct nvio_sqe vendor = { .opc = 0xc0 };
	struct fix_op o;

	fix_op_init(&o);
	f.admin = vendor_is_held;
	f.abort_works = true;
	assert_int_equal(nvio_ctrlr_admin(f.c, &vendor, NULL, 0, &o.op), 0);
	fix_run(2, MS);
	assert_int_equal(nvio_cancel(&o.op), 0);
	assert_int_equal(o.done, 0);
	assert_int_equal(nvio_wait(&o.op), -ECANCELED);
	assert_int_equal(o.done, 1);
	assert_int_equal(nvio_cancel(&o.op), -EALREADY);
}

/* ---- batch reaping ---- */

static void reap_hands_out_in_the_order_of_completion(void **state)
{
	struct nvio_op ops[8], *got[8];
	static const unsigned order[] = { 3, 0, 7, 1, 2, 6, 5, 4 };

	f.hold_io = true;
	for (int i = 0; i < 8; i++) {
		ops[i] = (struct nvio_op){ .flags = NVIO_OP_REAP };
		assert_int_equal(nvio_ns_read(f.ns, f.qp, f.buf, 0, i % 2 ? 1 : 64, &ops[i]), 0);
	}
	assert_int_equal(nvio_qpair_reap(f.qp, got, 8), 0);
	assert_int_equal(f.held_count, 8);
	for (int i = 0; i < 8; i++)
		fix_answer(order[i], i == 2 ? NVIO_SF(2, 0x81) : 0);
	assert_int_equal(nvio_qpair_reap(f.qp, got, 3), 3);
	assert_int_equal(nvio_qpair_reap(f.qp, got + 3, 8), 5);
	for (int i = 0; i < 8; i++) {
		assert_ptr_equal(got[i], &ops[order[i]]);
		assert_int_equal(got[i]->status, i == 2 ? -EIO : 0);
	}
	assert_int_equal(nvio_qpair_reap(f.qp, got, 8), 0);
}

static void reap_with_a_callback_is_refused(void **state)
{
	struct nvio_sqe flush = { .opc = NVIO_NVM_FLUSH, .nsid = nvio_to_le32(1) };
	struct fix_op o;

	fix_op_init(&o);
	o.op.flags = NVIO_OP_REAP;
	assert_int_equal(nvio_ns_read(f.ns, f.qp, f.buf, 0, 1, &o.op), -EINVAL);
	assert_errmsg("REAP");
	assert_int_equal(nvio_ns_flush(f.ns, f.qp, &o.op), -EINVAL);
	assert_int_equal(nvio_qpair_io(f.qp, &flush, NULL, 0, &o.op), -EINVAL);
}

static void canceled_ops_are_reaped_too(void **state)
{
	struct nvio_op op = { .flags = NVIO_OP_REAP }, *got;

	f.hold_io = true;
	f.abort_works = true;
	assert_int_equal(nvio_ns_read(f.ns, f.qp, f.buf, 0, 1, &op), 0);
	fix_run(1, 0);
	assert_int_equal(nvio_cancel(&op), 0);
	fix_run(2, 0);
	assert_int_equal(nvio_qpair_reap(f.qp, &got, 1), 1);
	assert_ptr_equal(got, &op);
	assert_int_equal(op.status, -ECANCELED);
}

static void waiting_for_an_op_takes_it_out_of_what_is_reaped(void **state)
{
	struct nvio_op a = NVIO_OP(NULL), b = NVIO_OP(NULL), *got[2];

	a.flags = b.flags = NVIO_OP_REAP;
	assert_int_equal(nvio_ns_read(f.ns, f.qp, f.buf, 0, 1, &a), 0);
	assert_int_equal(nvio_ns_read(f.ns, f.qp, f.buf, 1, 1, &b), 0);
	assert_int_equal(nvio_wait(&a), 0);
	assert_int_equal(nvio_op_pending(&b), 0);
	/* One that has ended and was not reaped is not the caller's yet. */
	assert_int_equal(nvio_ns_read(f.ns, f.qp, f.buf, 1, 1, &b), -EINVAL);
	assert_errmsg("reap");
	assert_int_equal(nvio_qpair_reap(f.qp, got, 2), 1);
	assert_ptr_equal(got[0], &b);
	assert_int_equal(nvio_await(nvio_ns_read(f.ns, f.qp, f.buf, 1, 1, &b), &b), 0);
	assert_int_equal(nvio_wait(&b), 0);
	assert_int_equal(nvio_qpair_reap(f.qp, got, 2), 0);
}

#define CONNECTED(test) cmocka_unit_test_setup_teardown(test, fix_setup_connected, fix_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CONNECTED(waiting_for_an_op_takes_it_out_of_what_is_reaped),
		CONNECTED(a_refused_submit_leaves_the_op_untouched),
		CONNECTED(flags_without_a_use_are_refused),
		CONNECTED(an_op_in_flight_is_refused),
		CONNECTED(status_goes_from_in_progress_to_the_end_and_done_runs_once),
		CONNECTED(the_callers_fields_stay_as_they_are),
		CONNECTED(the_status_of_the_controller_stands_beside),
		CONNECTED(an_op_may_be_submitted_anew_within_done),
		CONNECTED(an_op_may_be_freed_within_done),
		CONNECTED(waiting_from_within_a_callback_works),
		CONNECTED(wait_on_what_is_not_in_flight_gives_its_status_at_once),
		CONNECTED(cancel_of_what_is_in_flight_aborts_it),
		CONNECTED(cancel_that_comes_too_late_is_success),
		CONNECTED(cancel_that_the_controller_does_not_honour_leaves_the_op_to_it),
		CONNECTED(cancel_of_what_waits_for_a_slot_never_reaches_the_controller),
		CONNECTED(cancel_of_an_admin_command_aborts_it),
		CONNECTED(reap_hands_out_in_the_order_of_completion),
		CONNECTED(reap_with_a_callback_is_refused),
		CONNECTED(canceled_ops_are_reaped_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
