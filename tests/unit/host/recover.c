/* SPDX-License-Identifier: BSD-3-Clause */
/* Deadlines, aborts, resets, removal, and completions that make no sense: whatever happens, each op ends exactly once. */
#include "tests/unit/host/fixture.h"

#include <stdlib.h>

static struct nvio_qpair_stats stats(void)
{
	struct nvio_qpair_stats s;

	nvio_qpair_get_stats(f.qp, &s);
	return s;
}

static void submit(struct fix_op *o, uint32_t nblocks, uint64_t timeout_us)
{
	fix_op_init(o);
	o->op.timeout_us = timeout_us;
	assert_int_equal(nvio_ns_read(f.ns, f.qp, f.buf, 0, nblocks, &o->op), 0);
}

/* Runs until all are done, or 100 s have passed. */
static void run_to_end(struct fix_op *o, unsigned n)
{
	for (unsigned i = 0; i < 100000; i++) {
		unsigned done = 0;

		for (unsigned k = 0; k < n; k++)
			done += o[k].done != 0;
		if (done == n)
			break;
		fix_run(1, MS);
	}
	fix_run(3, MS);
	for (unsigned k = 0; k < n; k++)
		assert_int_equal(o[k].done, 1);
}

/* ---- deadlines ---- */

static void a_lost_command_is_aborted_and_times_out(void **state)
{
	static const uint32_t blocks[] = { 1, 64, 1000 };

	f.hold_io = true;
	f.abort_works = true;
	for (int i = 0; i < 3; i++) {
		uint64_t start = f.now_ns;
		struct fix_op o;

		submit(&o, blocks[i], 5000);
		fix_run(2, MS);
		assert_int_equal(o.done, 0);
		run_to_end(&o, 1);
		assert_int_equal(o.status, -ETIMEDOUT);
		assert_in_range(f.now_ns - start, 5 * MS, 15 * MS);
		assert_int_equal(nvio_qpair_in_flight(f.qp), 0);
	}
	assert_int_equal(stats().aborts, f.seen[NVIO_ADMIN_ABORT]);
	assert_int_equal(f.b.resets, 0);
	f.hold_io = false;
	assert_int_equal(fix_read(), 0);
}

static void the_default_deadline_is_command_timeout_ms(void **state)
{
	static const struct {
		uint32_t option_ms;
		uint64_t own_us;
		uint64_t ends_ms; /* 0: never */
	} cases[] = { { 2000, 0, 2000 }, { 2000, 100, 1 }, { 2000, 9000000, 9000 }, { 2000, UINT64_MAX, 0 }, { 0, 0, 0 }, { 0, 7000, 7 },
		{ 2000, UINT64_MAX - 1, 0 } };

	f.hold_io = true;
	f.abort_works = true;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct nvio_ctrlr_opts opts;
		struct fix_op o;

		nvio_ctrlr_opts_init(&opts);
		opts.command_timeout_ms = cases[i].option_ms;
		fix_connect(&opts);
		submit(&o, 1, cases[i].own_us);
		for (unsigned ms = 0; ms < (cases[i].ends_ms ? cases[i].ends_ms - 1 : 100000); ms++)
			fix_run(1, MS);
		assert_int_equal(o.done, 0);
		if (cases[i].ends_ms) {
			for (int ms = 0; ms < 70; ms++) /* up to 50 ms later, never sooner */
				fix_run(1, MS);
			assert_int_equal(o.done, 1);
			assert_int_equal(o.status, -ETIMEDOUT);
		}
		nvio_qpair_free(f.qp);
		nvio_ctrlr_close(f.c);
		f.qp = NULL;
		f.c = NULL;
		f.held_count = 0;
		assert_int_equal(o.done, 1);
	}
}

static void what_waits_for_a_slot_times_out_where_it_is(void **state)
{
	unsigned depth = nvio_qpair_depth(f.qp);
	struct fix_op *o = calloc(depth + 1, sizeof(*o));

	f.hold_io = true;
	for (unsigned i = 0; i < depth; i++)
		submit(&o[i], 1, UINT64_MAX);
	submit(&o[depth], 1, 3000);
	fix_run(10, MS);
	assert_int_equal(o[depth].done, 1);
	assert_int_equal(o[depth].status, -ETIMEDOUT);
	assert_int_equal(f.held_count, depth);
	assert_int_equal(f.seen[NVIO_ADMIN_ABORT], 0);
	fix_answer_all();
	run_to_end(o, depth + 1);
	free(o);
}

/* ---- resets ---- */

static void when_abort_does_not_help_the_controller_is_reset_and_the_rest_sent_anew(void **state)
{
	struct fix_op o[20];
	uint64_t start;

	f.hold_io = true; /* and Abort aborts nothing */
	submit(&o[0], 1, 10000);
	for (int i = 1; i < 20; i++)
		submit(&o[i], i % 4 ? 1 : 600, UINT64_MAX);
	fix_run(2, 0);
	start = f.now_ns;
	while (!f.b.resets) {
		assert_true(f.now_ns - start < 2 * SEC);
		assert_int_equal(o[0].done, 0);
		fix_run(1, MS);
	}
	assert_in_range(f.now_ns - start, 1010 * MS, 1080 * MS); /* its deadline, and abort_timeout_ms */
	f.hold_io = false;
	run_to_end(o, 20);
	assert_int_equal(o[0].status, -ETIMEDOUT);
	assert_int_equal(o[0].op.cpl.answered, 0);
	for (int i = 1; i < 20; i++)
		assert_int_equal(o[i].status, 0);
	assert_int_equal(f.b.resets, 1);
	assert_int_equal(nvio_ctrlr_reset_count(f.c), 1);
	assert_int_equal(stats().resent, 19);
	assert_int_equal(stats().timeouts, 1);
	assert_int_equal(nvio_qpair_in_flight(f.qp), 0);
	assert_true(nvio_ctrlr_is_ready(f.c));
	assert_int_equal(fix_read(), 0);
}

static void passthrough_is_not_repeated(void **state)
{
	struct nvio_sqe cmd = { .opc = 0x91 };
	struct fix_op o, reset;

	f.hold_io = true;
	fix_op_init(&o);
	fix_op_init(&reset);
	assert_int_equal(nvio_qpair_io(f.qp, &cmd, f.buf, 512, &o.op), 0);
	fix_run(1, 0);
	assert_int_equal(nvio_ctrlr_reset(f.c, &reset.op), 0);
	assert_int_equal(nvio_wait(&o.op), -ECANCELED);
	assert_int_equal(nvio_wait(&reset.op), 0);
	assert_int_equal(f.held_count, 1);
}

static void the_user_may_reset_at_any_time(void **state)
{
	struct fix_op o[10], reset, second;

	for (int round = 0; round < 10; round++) { /* more often than max_resets: being asked is no sign of trouble */
		f.hold_io = true;
		for (int i = 0; i < 10; i++)
			submit(&o[i], i % 3 ? 1 : 800, 0);
		fix_run(1, 0);
		fix_op_init(&reset);
		fix_op_init(&second);
		assert_int_equal(nvio_ctrlr_reset(f.c, &reset.op), 0);
		assert_int_equal(nvio_ctrlr_reset(f.c, &second.op), -EALREADY);
		assert_int_equal(nvio_cancel(&reset.op), -EOPNOTSUPP);
		assert_int_equal(reset.done, 0);
		f.hold_io = false;
		assert_int_equal(nvio_wait(&reset.op), 0);
		assert_int_equal(reset.done, 1);
		assert_true(nvio_ctrlr_is_ready(f.c));
		run_to_end(o, 10);
		for (int i = 0; i < 10; i++)
			assert_int_equal(o[i].status, 0);
	}
	assert_int_equal(f.b.early_stops, 0);
}

static void the_user_may_reset_where_trouble_may_not(void **state)
{
	struct nvio_ctrlr_opts opts;
	struct nvio_op op = NVIO_OP(NULL);

	nvio_ctrlr_opts_init(&opts);
	opts.max_resets = 0;
	fix_connect(&opts);
	assert_int_equal(nvio_await(nvio_ctrlr_reset(f.c, &op), &op), 0);
	assert_int_equal(fix_read(), 0);
	f.b.fatal = true;
	fix_run(3, 20 * MS);
	assert_string_equal(nvio_ctrlr_state(f.c), "failed");
}

static void io_while_resetting_waits_and_completes(void **state)
{
	struct fix_op o[6], reset;

	fix_op_init(&reset);
	assert_int_equal(nvio_ctrlr_reset(f.c, &reset.op), 0);
	for (int i = 0; i < 6; i++) {
		submit(&o[i], i & 1 ? 1 : 300, 0);
		fix_run(1, 0);
	}
	run_to_end(o, 6);
	for (int i = 0; i < 6; i++)
		assert_int_equal(o[i].status, 0);
	assert_int_equal(reset.done, 1);
}

static void an_op_is_sent_anew_only_so_often(void **state)
{
	struct nvio_op op = NVIO_OP(NULL);
	struct fix_op o;

	f.hold_io = true;
	submit(&o, 1, UINT64_MAX);
	for (int i = 0; i < 3; i++) {
		fix_run(5, 0);
		assert_int_equal(o.done, 0);
		assert_int_equal(f.held_count, i + 1);
		assert_int_equal(nvio_await(nvio_ctrlr_reset(f.c, &op), &op), 0);
	}
	fix_run(10, 0);
	assert_int_equal(o.done, 1);
	assert_int_equal(o.status, -EIO);
}

static void resets_in_a_row_end_in_failure_of_everything_once(void **state)
{
	struct fix_op o[300], admin;
	struct nvio_op late = NVIO_OP(NULL), was = late;

	f.hold_io = true;
	for (int i = 0; i < 300; i++)
		submit(&o[i], i % 9 ? 1 : 900, i % 2 ? UINT64_MAX : 0);
	fix_run(2, 0);
	f.b.fatal = true; /* and it stays so */
	fix_run(1, 20 * MS);
	for (int i = 0; i < 200 && strcmp(nvio_ctrlr_state(f.c), "failed"); i++)
		fix_run(1, 20 * MS);
	assert_string_equal(nvio_ctrlr_state(f.c), "failed");
	assert_true(strstr(nvio_ctrlr_failure(f.c), "3 resets in a row") != NULL);
	assert_int_equal(nvio_ctrlr_reset_count(f.c), 3);
	run_to_end(o, 300);
	for (int i = 0; i < 300; i++)
		assert_int_equal(o[i].status, -EIO);
	/* And from then on. */
	assert_int_equal(nvio_qpair_poll(f.qp, 0), -EIO);
	assert_errmsg("given up");
	assert_int_equal(nvio_ctrlr_poll(f.c), -EIO);
	assert_int_equal(nvio_ns_read(f.ns, f.qp, f.buf, 0, 1, &late), -EIO);
	assert_int_equal(nvio_ns_flush(f.ns, f.qp, &late), -EIO);
	assert_int_equal(nvio_ctrlr_identify(f.c, 1, 0, f.buf, &late), -EIO);
	assert_memory_equal(&late, &was, sizeof(late));
	fix_op_init(&admin);
	assert_int_equal(nvio_ctrlr_reset(f.c, &admin.op), -EIO);
}

static void io_that_succeeds_between_makes_resets_start_from_one(void **state)
{
	for (int i = 0; i < 12; i++) {
		f.b.fatal = true;
		fix_run(1, 20 * MS);
		f.b.fatal = false;
		fix_run(20, MS);
		assert_int_equal(fix_read(), 0);
		fix_run(1, MS);
	}
	assert_int_equal(nvio_ctrlr_reset_count(f.c), 12);
}

static bool fatal_once_at_identify(const struct nvio_sqe *sqe)
{
	if (sqe->opc == NVIO_ADMIN_IDENTIFY && f.seen[NVIO_ADMIN_IDENTIFY] == 1) {
		bare_complete(&f.b, 0, bare_cid(sqe), 0, NVIO_SF(0, NVIO_SC_INTERNAL_ERROR));
		return true;
	}
	return false;
}

static void a_reset_that_fails_midway_is_begun_again(void **state)
{
	struct nvio_op op = NVIO_OP(NULL);

	f.admin = fatal_once_at_identify;
	memset(f.seen, 0, sizeof(f.seen));
	assert_int_equal(nvio_await(nvio_ctrlr_reset(f.c, &op), &op), 0);
	assert_int_equal(f.b.resets, 2);
	assert_int_equal(fix_read(), 0);
}

static void a_reset_that_never_ends_fails(void **state)
{
	for (int stop = 0; stop < 2; stop++) {
		struct fix_op o, reset;

		fix_connect(NULL);
		f.hold_io = true;
		submit(&o, 1, UINT64_MAX);
		fix_run(1, 0);
		f.b.never_stop = stop;
		f.b.never_ready = !stop;
		fix_op_init(&reset);
		assert_int_equal(nvio_ctrlr_reset(f.c, &reset.op), 0);
		f.step_ns = MS;
		assert_int_equal(nvio_wait(&reset.op), -EIO);
		assert_int_equal(nvio_wait(&o.op), -EIO);
		f.b.never_stop = f.b.never_ready = false;
		nvio_qpair_free(f.qp);
		nvio_ctrlr_close(f.c);
		f.qp = NULL;
		f.c = NULL;
		assert_int_equal(o.done, 1);
		assert_int_equal(reset.done, 1);
	}
}

static bool refuse_create(const struct nvio_sqe *sqe)
{
	if (sqe->opc != NVIO_ADMIN_CREATE_CQ)
		return false;
	bare_complete(&f.b, 0, bare_cid(sqe), 0, NVIO_SF(1, NVIO_SC_INVALID_QID));
	return true;
}

static void a_queue_refused_after_a_reset_is_dead_and_says_so(void **state)
{
	struct nvio_op op = NVIO_OP(NULL), late = NVIO_OP(NULL);
	struct fix_op o;

	f.hold_io = true;
	submit(&o, 1, 0);
	fix_run(1, 0);
	f.admin = refuse_create;
	assert_int_equal(nvio_await(nvio_ctrlr_reset(f.c, &op), &op), 0);
	assert_int_equal(nvio_wait(&o.op), -EIO);
	assert_int_equal(nvio_qpair_poll(f.qp, 0), -EIO);
	assert_errmsg("refused");
	assert_int_equal(nvio_ns_read(f.ns, f.qp, f.buf, 0, 1, &late), -EIO);
	assert_errmsg("refused");
	f.admin = NULL;
	f.hold_io = false;
	nvio_qpair_free(f.qp);
	assert_int_equal(nvio_qpair_alloc(f.c, NULL, &f.qp), 0);
	assert_int_equal(fix_read(), 0);
}

/* ---- removal ---- */

static void removal_ends_everything_once(void **state)
{
	struct fix_op o[300], admin;
	struct nvio_op late = NVIO_OP(NULL);

	f.hold_io = true;
	for (int i = 0; i < 300; i++)
		submit(&o[i], i % 9 ? 1 : 900, 0);
	fix_run(2, 0);
	loop_set_present(f.b.port, false);
	fix_op_init(&admin);
	assert_int_equal(nvio_ctrlr_identify(f.c, 1, 0, f.buf, &admin.op), 0);
	fix_run(3, 20 * MS);
	run_to_end(o, 300);
	for (int i = 0; i < 300; i++)
		assert_int_equal(o[i].status, -ENODEV);
	assert_int_equal(admin.done, 1);
	assert_string_equal(nvio_ctrlr_state(f.c), "removed");
	assert_int_equal(nvio_qpair_poll(f.qp, 0), -ENODEV);
	assert_int_equal(nvio_ctrlr_poll(f.c), -ENODEV);
	assert_errmsg("all-ones");
	assert_int_equal(nvio_ns_read(f.ns, f.qp, f.buf, 0, 1, &late), -ENODEV);
	/* It may come back, for whoever connects anew. */
	nvio_qpair_free(f.qp);
	nvio_ctrlr_close(f.c);
	loop_set_present(f.b.port, true);
	f.hold_io = false;
	fix_connect(NULL);
	assert_int_equal(fix_read(), 0);
}

/* ---- completions that make no sense ---- */

static void completions_for_nobody_are_counted_and_ignored(void **state)
{
	struct fix_op o, other;
	uint16_t cid;

	f.hold_io = true;
	submit(&o, 1, 0);
	submit(&other, 64, 0);
	fix_run(1, 0);
	cid = bare_cid(&f.held[0].sqe);
	bare_complete(&f.b, 1, 0xffff, 0, 0);                      /* nobody's */
	bare_complete(&f.b, 1, 200, 0, 0);                         /* a slot without an op */
	bare_complete(&f.b, 1, (uint16_t)(cid ^ 0x1000), 0, 0);    /* another generation's */
	fix_run(1, 0);
	assert_int_equal(stats().bad_completions, 3);
	assert_int_equal(o.done + other.done, 0);
	fix_answer(0, 0);
	fix_answer(0, 0); /* twice */
	fix_run(1, 0);
	assert_int_equal(o.done, 1);
	assert_int_equal(stats().bad_completions, 4);
	assert_int_equal(stats().completed, 1);
	/* The same slot again: the second answer to the first command is not this one's. */
	submit(&o, 1, 0);
	fix_run(1, 0);
	assert_int_equal(bare_cid(&f.held[2].sqe) & 0xfff, cid & 0xfff);
	fix_answer(0, NVIO_SF(2, 0x81));
	fix_run(1, 0);
	assert_int_equal(o.done, 0);
	assert_int_equal(stats().bad_completions, 5);
	fix_answer(2, 0);
	fix_answer(1, 0);
	fix_run(1, 0);
	assert_int_equal(o.status, 0);
	assert_int_equal(o.done, 1);
	assert_int_equal(other.done, 1);
}

static void every_identifier_may_be_forged(void **state)
{
	struct fix_op o;

	f.hold_io = true;
	submit(&o, 1, UINT64_MAX);
	fix_run(1, 0);
	for (unsigned cid = 0; cid <= 0xffff; cid++) {
		if (cid != bare_cid(&f.held[0].sqe))
			bare_complete(&f.b, 1, (uint16_t)cid, 0, 0);
		if (cid % 64 == 0)
			fix_run(1, 0);
	}
	fix_run(1, 0);
	assert_int_equal(o.done, 0);
	assert_int_equal(stats().bad_completions, 0xffff);
	fix_answer(0, 0);
	run_to_end(&o, 1);
	assert_int_equal(o.status, 0);
}

static void a_wrong_phase_is_no_completion(void **state)
{
	struct fix_op o;

	f.hold_io = true;
	submit(&o, 1, 5000);
	fix_run(1, 0);
	bare_post(&f.b, 1, bare_cid(&f.held[0].sqe), 0, 0, !f.b.q[1].phase);
	fix_run(2, MS);
	assert_int_equal(o.done, 0);
	f.hold_io = false;
	run_to_end(&o, 1); /* by way of a deadline, an Abort and a reset */
	assert_int_equal(o.status, -ETIMEDOUT);
	assert_int_equal(f.b.resets, 1);
	assert_int_equal(fix_read(), 0);
}

#define TEST(test)      cmocka_unit_test_setup_teardown(test, fix_setup, fix_teardown)
static void nothing_ends_before_a_failed_controller_has_stopped(void **state)
{
	struct nvio_ctrlr_opts opts;
	struct fix_op o;

	nvio_ctrlr_opts_init(&opts);
	opts.max_resets = 0;
	opts.keep_alive_timeout_ms = 0;
	fix_connect(&opts);
	f.hold_io = true;
	f.b.never_stop = true;
	fix_op_init(&o);
	o.op.timeout_us = 1000;
	assert_int_equal(nvio_ns_read(f.ns, f.qp, f.buf, 0, 1, &o.op), 0);
	fix_run(40, 100 * MS);
	/* It may still write to the buffer, whatever we have decided about it. */
	assert_string_equal(nvio_ctrlr_state(f.c), "failing");
	assert_int_equal(o.done, 0);
	f.b.csts &= ~1u;
	fix_run(5, MS);
	assert_string_equal(nvio_ctrlr_state(f.c), "failed");
	assert_int_equal(o.done, 1);
	assert_int_equal(o.status, -ETIMEDOUT);
}

#define CONNECTED(test) cmocka_unit_test_setup_teardown(test, fix_setup_connected, fix_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CONNECTED(a_lost_command_is_aborted_and_times_out),
		TEST(the_default_deadline_is_command_timeout_ms),
		CONNECTED(what_waits_for_a_slot_times_out_where_it_is),
		CONNECTED(when_abort_does_not_help_the_controller_is_reset_and_the_rest_sent_anew),
		CONNECTED(passthrough_is_not_repeated),
		CONNECTED(the_user_may_reset_at_any_time),
		TEST(the_user_may_reset_where_trouble_may_not),
		CONNECTED(io_while_resetting_waits_and_completes),
		CONNECTED(an_op_is_sent_anew_only_so_often),
		CONNECTED(resets_in_a_row_end_in_failure_of_everything_once),
		CONNECTED(io_that_succeeds_between_makes_resets_start_from_one),
		CONNECTED(a_reset_that_fails_midway_is_begun_again),
		TEST(nothing_ends_before_a_failed_controller_has_stopped),
		TEST(a_reset_that_never_ends_fails),
		CONNECTED(a_queue_refused_after_a_reset_is_dead_and_says_so),
		CONNECTED(removal_ends_everything_once),
		CONNECTED(completions_for_nobody_are_counted_and_ignored),
		CONNECTED(every_identifier_may_be_forged),
		CONNECTED(a_wrong_phase_is_no_completion),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
