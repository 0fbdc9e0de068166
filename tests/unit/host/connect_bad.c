/* SPDX-License-Identifier: BSD-3-Clause */
/* Connecting to a controller that does not behave: each step refused, never answered, fatal or gone; deadlines; closing midway. */
#include "tests/unit/host/fixture.h"

#include <nvio/spec/feature.h>

static int connect(void)
{
	int rc = nvio_connect(f.env, "loop:bare", NULL, &f.c);

	if (rc)
		f.c = NULL;
	return rc;
}

static void find_controller(uint32_t cc, uint32_t csts)
{
	f.b.cc = cc;
	f.b.csts = csts;
	loop_reg_publish32(f.b.port, NVIO_REG_CC, cc);
	loop_reg_publish32(f.b.port, NVIO_REG_CSTS, csts);
}

/* ---- registers ---- */

static void registers_that_do_not_behave_end_the_connect(void **state)
{
	static const struct {
		const char *name;
		uint32_t cc, csts;
		bool never_ready, never_stop, fatal, absent;
		uint64_t mpsmin;
		int rc;
		const char *words;
	} cases[] = {
		{ "never ready", .never_ready = true, .rc = -ETIMEDOUT, .words = "enabling: no CSTS.RDY = 1" },
		{ "never stops", 0x460001, 1, .never_stop = true, .rc = -ETIMEDOUT, .words = "disabling: no CSTS.RDY = 0" },
		{ "never settles", 0x460001, 0, .rc = -ETIMEDOUT, .words = "settling" },
		{ "fatal", .fatal = true, .rc = -EIO, .words = "CSTS.CFS" },
		{ "gone", .absent = true, .rc = -ENODEV, .words = "all-ones" },
		{ "large pages", .mpsmin = 1, .rc = -EOPNOTSUPP, .words = "MPSMIN" },
		{ "larger pages", .mpsmin = 15, .rc = -EOPNOTSUPP, .words = "MPSMIN" },
	};

	f.step_ns = MS;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t cap = 4095 | 1ull << 16 | 1ull << 24 | 1ull << 37;

		f.b.never_ready = cases[i].never_ready;
		f.b.never_stop = cases[i].never_stop;
		f.b.fatal = cases[i].fatal;
		loop_reg_publish64(f.b.port, NVIO_REG_CAP, cap | cases[i].mpsmin << 48);
		find_controller(cases[i].cc, cases[i].csts);
		loop_set_present(f.b.port, !cases[i].absent);
		if (connect() != cases[i].rc || !strstr(nvio_errmsg(), cases[i].words))
			fail_msg("%s: %s", cases[i].name, nvio_errmsg());
		assert_errmsg("loop: bare: ");
		loop_set_present(f.b.port, true);
	}
	f.b.never_ready = f.b.never_stop = f.b.fatal = false;
	loop_reg_publish64(f.b.port, NVIO_REG_CAP, 4095 | 1ull << 16 | 1ull << 24 | 1ull << 37);
	assert_int_equal(connect(), 0);
}

/* What is behind the end of an older structure is not ours to look at. */
static void options_of_an_older_program_are_understood(void **state)
{
	struct nvio_ctrlr_opts o;

	nvio_ctrlr_opts_init(&o);
	o.size = offsetof(struct nvio_ctrlr_opts, bounce);
	memset(&o.bounce, 0xff, sizeof(o) - o.size);
	f.step_ns = MS;
	assert_int_equal(nvio_connect(f.env, "loop:bare", &o, &f.c), 0);
	nvio_ctrlr_close(f.c);
	f.c = NULL;
	o.size -= 8;
	assert_int_equal(nvio_connect(f.env, "loop:bare", &o, &f.c), -EINVAL);
	f.c = NULL;
}

static void a_settling_controller_is_not_disabled_before_its_time_is_up(void **state)
{
	struct fix_op o;

	fix_op_init(&o);
	find_controller(0x460001, 0);
	assert_int_equal(nvio_connect_async(f.env, "loop:bare", NULL, &o.op, &f.c), 0);
	fix_run(2, 0);
	fix_run(1, 500 * MS - 1);
	assert_int_equal(o.done, 0);
	assert_int_equal(f.b.write_count, 0);
	fix_run(1, 1);
	assert_string_equal(nvio_ctrlr_state(f.c), "failing");
	fix_run(1, 0);
	assert_int_equal(o.done, 1);
	assert_int_equal(o.status, -ETIMEDOUT);
}

static void deadlines_follow_cap_to(void **state)
{
	static const unsigned to[] = { 0, 1, 3, 255 };

	f.b.never_ready = true;
	for (size_t i = 0; i < 4; i++) {
		uint64_t ms = to[i] ? to[i] * 500 : 500;
		struct fix_op o;

		fix_op_init(&o);
		loop_reg_publish64(f.b.port, NVIO_REG_CAP, 4095 | 1ull << 16 | (uint64_t)to[i] << 24 | 1ull << 37);
		assert_int_equal(nvio_connect_async(f.env, "loop:bare", NULL, &o.op, &f.c), 0);
		fix_run(5, 0);
		assert_string_equal(nvio_ctrlr_state(f.c), "enabling");
		fix_run(1, ms * MS - 1);
		assert_int_equal(o.done, 0);
		fix_run(1, 1);
		fix_run(1, 0);
		assert_int_equal(o.status, -ETIMEDOUT);
		assert_true(strstr(nvio_ctrlr_failure(f.c), "enabling") != NULL);
		assert_int_equal(nvio_ctrlr_poll(f.c), -EIO);
		nvio_ctrlr_close(f.c);
		f.c = NULL;
	}
}

/* ---- commands ---- */

static struct {
	uint8_t opc;
	uint32_t cdw10;
	uint16_t sf;      /* 0: never answered */
	bool fatal, gone; /* instead */
} plan;

static bool strike(const struct nvio_sqe *sqe)
{
	if (sqe->opc != plan.opc || (nvio_get_le32(sqe->cdw10) & 0xff) != plan.cdw10)
		return false;
	if (plan.sf)
		bare_complete(&f.b, 0, bare_cid(sqe), 0, plan.sf);
	f.b.fatal = plan.fatal;
	if (plan.gone)
		loop_set_present(f.b.port, false);
	return true;
}

static const struct step {
	uint8_t opc, cdw10;
	const char *words;
} steps[] = {
	{ NVIO_ADMIN_IDENTIFY, NVIO_CNS_CTRLR, "Identify Controller" },
	{ NVIO_ADMIN_SET_FEATURES, NVIO_FID_NUM_QUEUES, "Number of Queues" },
	{ NVIO_ADMIN_SET_FEATURES, NVIO_FID_ASYNC_EVENT_CONFIG, "Asynchronous Event" },
	{ NVIO_ADMIN_SET_FEATURES, NVIO_FID_KEEP_ALIVE, "Keep Alive" },
	{ NVIO_ADMIN_IDENTIFY, NVIO_CNS_ACTIVE_NS_LIST, "active namespaces" },
	{ NVIO_ADMIN_IDENTIFY, NVIO_CNS_NS, "Identify Namespace" },
};
#define STEPS (sizeof(steps) / sizeof(steps[0]))

static void each_step_may_fail_in_each_way(void **state)
{
	struct nvio_mem_stats before, after;

	nvio_mem_get_stats(f.env, &before);
	f.b.id.kas = nvio_to_le16(1);
	f.step_ns = MS;
	f.admin = strike;
	for (size_t i = 0; i < STEPS; i++) {
		for (int how = 0; how < 4; how++) {
			static const int rcs[] = { -ETIMEDOUT, -EIO, -EIO, -ENODEV };
			bool optional = i == 2 || i == 3;
			int rc;

			memset(&plan, 0, sizeof(plan));
			plan.opc = steps[i].opc;
			plan.cdw10 = steps[i].cdw10;
			plan.sf = how == 1 ? NVIO_SF(0, NVIO_SC_INTERNAL_ERROR) | NVIO_SF_DNR : 0;
			plan.fatal = how == 2;
			plan.gone = how == 3;
			rc = connect();
			if (rc != (how == 1 && optional ? 0 : rcs[how]))
				fail_msg("%s, %d: %d %s", steps[i].words, how, rc, nvio_errmsg());
			if (how <= 1 && rc)
				assert_errmsg(steps[i].words);
			nvio_ctrlr_close(f.c);
			f.c = NULL;
			f.b.fatal = false;
			loop_set_present(f.b.port, true);
			nvio_mem_get_stats(f.env, &after);
			assert_int_equal(after.allocations, before.allocations);
		}
	}
	f.admin = NULL;
	assert_int_equal(connect(), 0);
}

static void a_step_has_state_timeout_ms(void **state)
{
	struct nvio_ctrlr_opts opts;

	f.admin = strike;
	for (size_t i = 0; i < STEPS; i += 4) {
		struct fix_op o;

		fix_op_init(&o);
		memset(&plan, 0, sizeof(plan));
		plan.opc = steps[i].opc;
		plan.cdw10 = steps[i].cdw10;
		nvio_ctrlr_opts_init(&opts);
		opts.state_timeout_ms = 777;
		assert_int_equal(nvio_connect_async(f.env, "loop:bare", &opts, &o.op, &f.c), 0);
		fix_run(20, 0);
		fix_run(1, 777 * MS - 1);
		assert_int_equal(o.done, 0);
		fix_run(1, 1);
		fix_run(1, 0);
		assert_int_equal(o.done, 1);
		assert_int_equal(o.status, -ETIMEDOUT);
		nvio_ctrlr_close(f.c);
		f.c = NULL;
	}
}

/* ---- closing midway ---- */

static void a_connect_may_be_closed_after_any_number_of_polls(void **state)
{
	struct nvio_mem_stats before, after;
	bool ready = false;

	nvio_mem_get_stats(f.env, &before);
	for (unsigned k = 0; !ready; k++) {
		struct fix_op o;

		assert_true(k < 100);
		fix_op_init(&o);
		assert_int_equal(nvio_connect_async(f.env, "loop:bare", NULL, &o.op, &f.c), 0);
		fix_run(k, 0);
		ready = nvio_ctrlr_is_ready(f.c);
		assert_int_equal(o.done, ready);
		nvio_ctrlr_close(f.c);
		f.c = NULL;
		assert_int_equal(o.done, 1);
		assert_int_equal(o.status, ready ? 0 : -ECANCELED);
		assert_int_equal(f.b.early_stops, 0);
		assert_false(f.b.csts & 1);
		nvio_mem_get_stats(f.env, &after);
		assert_int_equal(after.allocations, before.allocations);
	}
	assert_int_equal(connect(), 0);
}

static void closing_one_that_enables_waits_for_that_to_end(void **state)
{
	struct fix_op o;

	fix_op_init(&o);
	f.b.never_ready = true;
	assert_int_equal(nvio_connect_async(f.env, "loop:bare", NULL, &o.op, &f.c), 0);
	fix_run(5, 0);
	f.step_ns = MS;
	nvio_ctrlr_close(f.c); /* bounded by CAP.TO */
	f.c = NULL;
	assert_int_equal(o.done, 1);
	assert_true(o.status < 0);
	assert_true(f.now_ns < 3 * SEC);
}

static void closing_one_that_does_not_shut_down_is_bounded(void **state)
{
	static const struct {
		uint32_t rtd3e_us;
		uint64_t ms;
	} cases[] = { { 0, 5000 }, { 1, 501 }, { 2000000, 2500 } };

	for (size_t i = 0; i < 3; i++) {
		uint64_t start;

		f.b.stuck_shutdown = true;
		f.b.id.rtd3e = nvio_to_le32(cases[i].rtd3e_us);
		f.step_ns = 0;
		assert_int_equal(connect(), 0);
		start = f.now_ns;
		f.step_ns = MS;
		nvio_ctrlr_close(f.c);
		f.c = NULL;
		assert_in_range(f.now_ns - start, cases[i].ms * MS, (cases[i].ms + 20) * MS);
		assert_false(f.b.cc & 1); /* it was stopped all the same */
	}
}

static struct nvio_ctrlr *closes;

static void on_done_close(struct nvio_op *op)
{
	nvio_ctrlr_close(closes);
}

static void done_may_close_the_controller(void **state)
{
	struct nvio_op op = NVIO_OP(on_done_close);

	for (int fails = 0; fails < 2; fails++) {
		f.b.fatal = fails;
		assert_int_equal(nvio_connect_async(f.env, "loop:bare", NULL, &op, &closes), 0);
		assert_int_equal(nvio_wait(&op), fails ? -EIO : 0);
	}
	f.b.fatal = false;
	assert_int_equal(connect(), 0);
}

static void a_connect_that_failed_answers_until_it_is_closed(void **state)
{
	struct nvio_op op = NVIO_OP(NULL), other = NVIO_OP(NULL);
	struct nvio_qpair *qp;

	f.b.fatal = true;
	assert_int_equal(nvio_connect_async(f.env, "loop:bare", NULL, &op, &f.c), 0);
	assert_int_equal(nvio_wait(&op), -EIO);
	assert_string_equal(nvio_ctrlr_state(f.c), "failed");
	assert_int_equal(nvio_ctrlr_identify(f.c, 1, 0, f.buf, &other), -EIO);
	assert_int_equal(nvio_ctrlr_reset(f.c, &other), -EIO);
	assert_int_equal(nvio_qpair_alloc(f.c, NULL, &qp), -EIO);
	assert_int_equal(nvio_cancel(&op), -EALREADY);
	assert_null(nvio_ctrlr_ns(f.c, 1));
}

static void a_connect_cannot_be_canceled_but_closed(void **state)
{
	struct fix_op o;

	fix_op_init(&o);
	assert_int_equal(nvio_connect_async(f.env, "loop:bare", NULL, &o.op, &f.c), 0);
	fix_run(2, 0);
	assert_int_equal(nvio_cancel(&o.op), -EOPNOTSUPP);
	assert_int_equal(nvio_wait(&o.op), 0);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, fix_setup, fix_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(registers_that_do_not_behave_end_the_connect),
		TEST(options_of_an_older_program_are_understood),
		TEST(a_settling_controller_is_not_disabled_before_its_time_is_up),
		TEST(deadlines_follow_cap_to),
		TEST(each_step_may_fail_in_each_way),
		TEST(a_step_has_state_timeout_ms),
		TEST(a_connect_may_be_closed_after_any_number_of_polls),
		TEST(closing_one_that_enables_waits_for_that_to_end),
		TEST(closing_one_that_does_not_shut_down_is_bounded),
		TEST(done_may_close_the_controller),
		TEST(a_connect_that_failed_answers_until_it_is_closed),
		TEST(a_connect_cannot_be_canceled_but_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
