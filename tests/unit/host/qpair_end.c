/* SPDX-License-Identifier: BSD-3-Clause */
/* How queue pairs begin and end when it is not simple: refused, never answered, with I/O in flight, without their controller. Z8. */
#include "tests/unit/host/fixture.h"

#include "base/alloc.h"
#include <nvio/spec/log.h>

static struct {
	uint8_t opc;
	unsigned times; /* how often it strikes */
	uint16_t sf;    /* 0: never answered */
} plan;

static bool strike(const struct nvio_sqe *sqe)
{
	if (sqe->opc != plan.opc || !plan.times)
		return false;
	plan.times--;
	if (plan.sf)
		bare_complete(&f.b, 0, bare_cid(sqe), 0, plan.sf);
	return true;
}

static void set_plan(uint8_t opc, unsigned times, uint16_t sf)
{
	plan.opc = opc;
	plan.times = times;
	plan.sf = sf;
	f.admin = strike;
}

/* ---- making ---- */

static void a_refused_queue_is_an_error_with_the_controllers_words(void **state)
{
	static const uint8_t opcs[] = { NVIO_ADMIN_CREATE_CQ, NVIO_ADMIN_CREATE_SQ };

	for (int i = 0; i < 2; i++) {
		struct nvio_qpair *qp = NULL;

		set_plan(opcs[i], 1, NVIO_SF(1, NVIO_SC_INVALID_QUEUE_SIZE));
		memset(f.seen, 0, sizeof(f.seen));
		assert_int_equal(nvio_qpair_alloc(f.c, NULL, &qp), -EIO);
		assert_errmsg("Invalid Queue Size");
		assert_null(qp);
		/* What had been created was deleted again. */
		assert_int_equal(f.seen[NVIO_ADMIN_DELETE_CQ], i);
		assert_int_equal(f.seen[NVIO_ADMIN_DELETE_SQ], 0);
		assert_int_equal(nvio_qpair_alloc(f.c, NULL, &qp), 0);
		assert_int_equal(nvio_qpair_id(qp), 2);
		nvio_qpair_free(qp);
	}
	assert_int_equal(fix_read(), 0);
	assert_int_equal(f.b.resets, 0);
}

static void a_queue_that_is_never_created_times_out(void **state)
{
	static const uint8_t opcs[] = { NVIO_ADMIN_CREATE_CQ, NVIO_ADMIN_CREATE_SQ };

	f.step_ns = MS / 10;
	for (int i = 0; i < 2; i++) {
		struct nvio_qpair *qp = NULL;
		uint64_t start = f.now_ns;

		set_plan(opcs[i], 1, 0);
		assert_int_equal(nvio_qpair_alloc(f.c, NULL, &qp), -ETIMEDOUT);
		assert_null(qp);
		assert_in_range(f.now_ns - start, 5 * SEC, 8 * SEC); /* state_timeout_ms, and what the recovery takes */
		assert_int_equal(nvio_qpair_alloc(f.c, NULL, &qp), 0);
		nvio_qpair_free(qp);
		assert_int_equal(fix_read(), 0);
	}
}

static void every_allocation_may_fail_and_nothing_is_left(void **state)
{
	struct nvio_mem_stats before, after;
	struct nvio_qpair *qp = NULL;
	long left = -1, n;

	nvio_mem_get_stats(f.env, &before);
	for (n = 0; left < 0; n++) {
		int rc;

		assert_true(n < 50);
		alloc_fail_after(n);
		rc = nvio_qpair_alloc(f.c, NULL, &qp);
		left = alloc_fail_after(-1);
		assert_int_equal(rc, left < 0 ? -ENOMEM : 0);
		if (rc) {
			nvio_mem_get_stats(f.env, &after);
			assert_int_equal(after.allocations, before.allocations);
		}
	}
	assert_true(n > 2);
	nvio_qpair_free(qp);
}

/* ---- giving back ---- */

static void freeing_cancels_what_is_in_flight_and_in_line(void **state)
{
	struct fix_op o[300];

	f.hold_io = true;
	for (int i = 0; i < 300; i++) {
		fix_op_init(&o[i]);
		assert_int_equal(nvio_ns_read(f.ns, f.qp, f.buf, 0, i % 7 ? 1 : 700, &o[i].op), 0);
	}
	fix_run(2, 0);
	nvio_qpair_free(f.qp);
	f.qp = NULL;
	for (int i = 0; i < 300; i++) {
		assert_int_equal(o[i].done, 1);
		assert_int_equal(o[i].status, -ECANCELED);
		assert_int_equal(o[i].op.cpl.answered, 0);
	}
}

static bool answer_at_deletion(const struct nvio_sqe *sqe)
{
	if (sqe->opc == NVIO_ADMIN_DELETE_SQ)
		fix_answer_all();
	return false;
}

static void answers_that_come_while_deleting_count(void **state)
{
	struct fix_op o;

	fix_op_init(&o);
	f.hold_io = true;
	f.admin = answer_at_deletion;
	assert_int_equal(nvio_ns_read(f.ns, f.qp, f.buf, 0, 1, &o.op), 0);
	fix_run(1, 0);
	nvio_qpair_free(f.qp);
	f.qp = NULL;
	assert_int_equal(o.done, 1);
	assert_int_equal(o.status, 0);
}

static int persistent, refused;

static void on_done_submit_again(struct nvio_op *op)
{
	int rc = nvio_ns_read(f.ns, op->arg, f.buf, 0, 1, op);

	persistent++;
	assert_true(persistent < 100);
	if (rc) {
		assert_int_equal(rc, -ENODEV);
		refused++;
	}
}

static void a_callback_that_submits_again_does_not_keep_it_alive(void **state)
{
	for (int how = 0; how < 2; how++) {
		struct nvio_op ops[10];

		persistent = refused = 0;
		f.hold_io = true;
		f.held_count = 0;
		for (int i = 0; i < 10; i++) {
			ops[i] = (struct nvio_op)NVIO_OP(on_done_submit_again);
			ops[i].arg = f.qp;
			assert_int_equal(nvio_ns_read(f.ns, f.qp, f.buf, 0, 1, &ops[i]), 0);
		}
		fix_run(2, 0);
		if (how == 0) {
			nvio_qpair_free(f.qp);
			assert_int_equal(nvio_qpair_alloc(f.c, NULL, &f.qp), 0);
		} else {
			nvio_ctrlr_close(f.c);
			f.c = NULL;
		}
		assert_int_equal(refused, 10);
		for (int i = 0; i < 10; i++)
			assert_int_equal(ops[i].status, -ECANCELED);
	}
}

static void a_queue_that_cannot_be_deleted_costs_a_reset(void **state)
{
	static const struct {
		uint8_t opc;
		uint16_t sf;
	} cases[] = {
		{ NVIO_ADMIN_DELETE_SQ, NVIO_SF(1, NVIO_SC_INVALID_QID) }, { NVIO_ADMIN_DELETE_CQ, NVIO_SF(1, NVIO_SC_INVALID_QUEUE_DELETION) },
		{ NVIO_ADMIN_DELETE_SQ, NVIO_SF(0, NVIO_SC_ABORT_REQUESTED) }, { NVIO_ADMIN_DELETE_SQ, 0 }, { NVIO_ADMIN_DELETE_CQ, 0 },
	};

	f.step_ns = MS / 10;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct nvio_qpair *qp;
		uint64_t resets = f.b.resets;

		assert_int_equal(nvio_qpair_alloc(f.c, NULL, &qp), 0);
		set_plan(cases[i].opc, 1, cases[i].sf);
		nvio_qpair_free(qp);
		assert_int_equal(f.b.resets, resets + 1); /* before its memory went */
		assert_int_equal(fix_read(), 0);          /* and the others came back */
	}
}

static bool fatal_at_deletion(const struct nvio_sqe *sqe)
{
	f.b.fatal |= sqe->opc == NVIO_ADMIN_DELETE_SQ;
	return f.b.fatal;
}

static void freeing_ends_with_a_controller_that_dies_of_it(void **state)
{
	struct fix_op o;

	fix_op_init(&o);
	f.step_ns = MS;
	f.hold_io = true;
	f.admin = fatal_at_deletion;
	assert_int_equal(nvio_ns_read(f.ns, f.qp, f.buf, 0, 1, &o.op), 0);
	fix_run(1, 0);
	nvio_qpair_free(f.qp);
	f.qp = NULL;
	assert_int_equal(o.done, 1);
	assert_true(o.status < 0);
}

static void a_rescan_under_way_does_not_pass_for_a_reset(void **state)
{
	struct nvio_qpair *qp;
	uint32_t dw0 = nvio_aer_build(NVIO_AER_NOTICE, NVIO_AER_NOTICE_NS_CHANGED, NVIO_LID_CHANGED_NS);

	assert_int_equal(nvio_qpair_alloc(f.c, NULL, &qp), 0);
	/* A namespace that is listed but never identified: the controller stays in that state for 5 s. */
	set_plan(NVIO_ADMIN_IDENTIFY, 1, 0);
	fix_run(1, 0);
	assert_int_equal(f.b.events_held, 4);
	bare_complete(&f.b, 0, f.b.event_cids[0], dw0, 0);
	fix_run(5, 0);
	assert_string_equal(nvio_ctrlr_state(f.c), "listing namespaces");
	assert_true(nvio_ctrlr_is_ready(f.c));
	memset(f.seen, 0, sizeof(f.seen));
	nvio_qpair_free(qp);
	assert_int_equal(f.seen[NVIO_ADMIN_DELETE_SQ], 1);
	assert_int_equal(f.seen[NVIO_ADMIN_DELETE_CQ], 1);
}

/* ---- without the controller ---- */

static void a_queue_pair_may_outlive_its_controller(void **state)
{
	struct nvio_sqe flush = { .opc = NVIO_NVM_FLUSH };
	struct nvio_lba_range range = { 0, 1 };
	struct iovec iov = { f.buf, 4096 };
	struct nvio_op op = NVIO_OP(NULL), was = op, *reaped;
	struct fix_op o;

	fix_op_init(&o);
	f.hold_io = true;
	assert_int_equal(nvio_ns_read(f.ns, f.qp, f.buf, 0, 1, &o.op), 0);
	fix_run(1, 0);
	nvio_ctrlr_close(f.c);
	assert_int_equal(o.done, 1);
	assert_int_equal(o.status, -ECANCELED);

	assert_null(nvio_qpair_ctrlr(f.qp));
	assert_int_equal(nvio_qpair_id(f.qp), 1);
	assert_int_equal(nvio_qpair_in_flight(f.qp), 0);
	assert_int_equal(nvio_qpair_poll(f.qp, 0), -ENODEV);
	assert_errmsg("closed");
	assert_int_equal(nvio_qpair_reap(f.qp, &reaped, 1), -ENODEV);
	nvio_qpair_kick(f.qp);
	assert_int_equal(nvio_ns_read(f.ns, f.qp, f.buf, 0, 1, &op), -ENODEV);
	assert_int_equal(nvio_ns_write(f.ns, f.qp, f.buf, 0, 1, &op), -ENODEV);
	assert_int_equal(nvio_ns_readv(f.ns, f.qp, &iov, 1, 0, 1, &op), -ENODEV);
	assert_int_equal(nvio_ns_flush(f.ns, f.qp, &op), -ENODEV);
	assert_int_equal(nvio_ns_compare(f.ns, f.qp, f.buf, 0, 1, &op), -ENODEV);
	assert_int_equal(nvio_ns_write_zeroes(f.ns, f.qp, 0, 1, &op), -ENODEV);
	assert_int_equal(nvio_ns_deallocate(f.ns, f.qp, &range, 1, &op), -ENODEV);
	assert_int_equal(nvio_qpair_io(f.qp, &flush, NULL, 0, &op), -ENODEV);
	assert_memory_equal(&op, &was, sizeof(op));

	assert_int_equal(nvio_ns_id(f.ns), 1);
	assert_int_equal(nvio_ns_num_blocks(f.ns), 0);
	assert_int_equal(nvio_ns_size_bytes(f.ns), 0);
	assert_int_equal(nvio_ns_block_size(f.ns), 0);
	assert_int_equal(nvio_ns_max_transfer(f.ns), 0);
	assert_false(nvio_ns_is_active(f.ns));
	assert_null(nvio_ns_identify(f.ns));
	assert_null(nvio_ns_ctrlr(f.ns));

	/* The handle of the controller, too, still answers. */
	assert_int_equal(nvio_ctrlr_poll(f.c), -ENODEV);
	assert_int_equal(nvio_ctrlr_identify(f.c, 1, 0, f.buf, &op), -ENODEV);
	assert_int_equal(nvio_ctrlr_reset(f.c, &op), -ENODEV);
	assert_null(nvio_ctrlr_ns(f.c, 1));
	assert_false(nvio_ctrlr_is_ready(f.c));
	assert_string_equal(nvio_ctrlr_state(f.c), "closed");
}

static void closing_the_environment_ends_everything_in_it(void **state)
{
	struct fix_op o[40], admin, reset;
	struct nvio_qpair *second;

	assert_int_equal(nvio_qpair_alloc(f.c, NULL, &second), 0);
	f.hold_io = true;
	set_plan(NVIO_ADMIN_GET_LOG_PAGE, 1, 0);
	for (int i = 0; i < 40; i++) {
		fix_op_init(&o[i]);
		assert_int_equal(nvio_ns_read(f.ns, i & 1 ? second : f.qp, f.buf, 0, 1, &o[i].op), 0);
	}
	fix_op_init(&admin);
	fix_op_init(&reset);
	assert_int_equal(nvio_ctrlr_get_log(f.c, 2, 0, 0, f.buf, 512, &admin.op), 0);
	fix_run(2, 0);
	if (*state)
		assert_int_equal(nvio_ctrlr_reset(f.c, &reset.op), 0);
	f.step_ns = MS;
	nvio_mem_free(f.env, f.buf); /* busy in checked builds: it goes with the environment */
	nvio_env_close(f.env);
	for (int i = 0; i < 40; i++) {
		assert_int_equal(o[i].done, 1);
		assert_int_equal(o[i].status, -ECANCELED);
	}
	assert_int_equal(admin.done, 1);
	assert_int_equal(admin.status, -ECANCELED);
	assert_int_equal(reset.done, *state ? 1 : 0);
	/* The port was ours to withdraw, and is gone with the environment; begin anew for the teardown. */
	memset(&f, 0, sizeof(f));
	assert_int_equal(fix_setup(state), 0);
}

static struct nvio_sqe creation; /* opc 0: none is held */

/*
 * Holds the creation of a submission queue until another queue is to be deleted, refuses that, and answers the creation right behind it:
 * the refusal begins a reset, and the answer is read in the same breath.
 */
static bool created_as_a_reset_begins(const struct nvio_sqe *sqe)
{
	if (sqe->opc == NVIO_ADMIN_CREATE_SQ && f.b.resets == 0) {
		creation = *sqe;
		return true;
	}
	if (sqe->opc != NVIO_ADMIN_DELETE_SQ || !creation.opc)
		return false;
	bare_complete(&f.b, 0, bare_cid(sqe), 0, NVIO_SF(1, 0x01));
	bare_complete(&f.b, 0, bare_cid(&creation), 0, 0);
	creation.opc = 0;
	return true;
}

static void a_queue_created_as_a_reset_begins_is_created_anew(void **state)
{
	struct nvio_qpair *old = f.qp;
	struct nvio_qpair_stats s;
	struct fix_op made, o;
	unsigned creations;

	creation.opc = 0;
	f.admin = created_as_a_reset_begins;
	fix_op_init(&made);
	assert_int_equal(nvio_qpair_alloc_async(f.c, NULL, &made.op, &f.qp), 0);
	for (unsigned i = 0; i < 10 && !creation.opc; i++)
		fix_run(1, 0);
	assert_int_equal(creation.opc, NVIO_ADMIN_CREATE_SQ);
	creations = f.seen[NVIO_ADMIN_CREATE_SQ];
	nvio_qpair_free(old);
	assert_int_equal(f.b.resets, 1);
	for (unsigned i = 0; i < 1000 && !made.done; i++)
		fix_run(1, MS);
	assert_int_equal(made.done, 1);
	assert_int_equal(made.status, 0);
	assert_int_equal(f.seen[NVIO_ADMIN_CREATE_SQ], creations + 1);
	/* And the controller has it. */
	fix_op_init(&o);
	assert_int_equal(nvio_ns_read(f.ns, f.qp, f.buf, 0, 1, &o.op), 0);
	fix_run(3, 0);
	assert_int_equal(o.done, 1);
	assert_int_equal(o.status, 0);
	nvio_qpair_get_stats(f.qp, &s);
	assert_int_equal(s.timeouts, 0);
}

#define CONNECTED(test) cmocka_unit_test_setup_teardown(test, fix_setup_connected, fix_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CONNECTED(a_refused_queue_is_an_error_with_the_controllers_words),
		CONNECTED(a_queue_that_is_never_created_times_out),
		CONNECTED(every_allocation_may_fail_and_nothing_is_left),
		CONNECTED(freeing_cancels_what_is_in_flight_and_in_line),
		CONNECTED(answers_that_come_while_deleting_count),
		CONNECTED(a_callback_that_submits_again_does_not_keep_it_alive),
		CONNECTED(a_queue_that_cannot_be_deleted_costs_a_reset),
		CONNECTED(freeing_ends_with_a_controller_that_dies_of_it),
		CONNECTED(a_queue_created_as_a_reset_begins_is_created_anew),
		CONNECTED(a_rescan_under_way_does_not_pass_for_a_reset),
		CONNECTED(a_queue_pair_may_outlive_its_controller),
		CONNECTED(closing_the_environment_ends_everything_in_it),
		{ "closing_the_environment_ends_a_reset_too", closing_the_environment_ends_everything_in_it, fix_setup_connected,
			fix_teardown, (void *)1 },
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
