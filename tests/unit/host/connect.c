/* SPDX-License-Identifier: BSD-3-Clause */
/* Connecting to a controller that behaves: what it is told in which order, what is learnt of it, options, and the way back. */
#include "tests/unit/host/fixture.h"

#include "base/alloc.h"

static int connect(const struct nvio_ctrlr_opts *opts)
{
	int rc = nvio_connect(f.env, "loop:bare", opts, &f.c);

	if (rc)
		f.c = NULL;
	return rc;
}

static void disconnect(void)
{
	nvio_ctrlr_close(f.c);
	f.c = NULL;
}

static void assert_writes(const uint32_t *offsets, unsigned n)
{
	assert_int_equal(f.b.write_count, n);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(f.b.writes[i].offset, offsets[i]);
}

/* ---- the order of register writes ---- */

static void the_admin_queue_is_told_while_disabled_and_enable_comes_last(void **state)
{
	static const uint32_t order[] = { NVIO_REG_AQA, NVIO_REG_ASQ, NVIO_REG_ACQ, NVIO_REG_CC };

	assert_int_equal(connect(NULL), 0);
	assert_writes(order, 4);
	assert_int_equal(f.b.writes[0].value, 31 | 31 << 16);
	assert_int_equal(f.b.writes[1].value % 4096, 0);
	assert_int_equal(f.b.writes[1].width, 8);
	assert_int_equal(f.b.writes[2].value % 4096, 0);
	/* EN, NVM command set, 4 KiB pages, round robin, entries of 64 and 16 bytes. */
	assert_int_equal(f.b.writes[3].value, 1 | 6 << 16 | 4 << 20);
	/* The way back: shutdown notification first, with EN kept, then EN = 0. */
	disconnect();
	assert_int_equal(f.b.write_count, 6);
	assert_int_equal(f.b.writes[4].value, 1 | 1 << 14 | 6 << 16 | 4 << 20);
	assert_int_equal(f.b.writes[5].value & 1, 0);
	assert_int_equal(f.b.early_stops, 0);
}

static void find_controller(uint32_t cc, uint32_t csts)
{
	f.b.cc = cc;
	f.b.csts = csts;
	loop_reg_publish32(f.b.port, NVIO_REG_CC, cc);
	loop_reg_publish32(f.b.port, NVIO_REG_CSTS, csts);
}

static void a_controller_left_enabled_is_disabled_first(void **state)
{
	static const uint32_t order[] = { NVIO_REG_CC, NVIO_REG_AQA, NVIO_REG_ASQ, NVIO_REG_ACQ, NVIO_REG_CC };

	find_controller(0x460001, 1);
	assert_int_equal(connect(NULL), 0);
	assert_writes(order, 5);
	assert_int_equal(f.b.writes[0].value, 0x460000);
	assert_int_equal(f.b.early_stops, 0);
}

static void one_found_enabling_is_waited_for_before_it_is_disabled(void **state)
{
	struct fix_op o;

	fix_op_init(&o);
	find_controller(0x460001, 0);
	assert_int_equal(nvio_connect_async(f.env, "loop:bare", NULL, &o.op, &f.c), 0);
	for (int i = 0; i < 10; i++) {
		fix_run(1, MS);
		assert_string_equal(nvio_ctrlr_state(f.c), "settling");
	}
	assert_int_equal(f.b.write_count, 0);
	f.b.csts = 1;
	assert_int_equal(nvio_wait(&o.op), 0);
	assert_int_equal(f.b.early_stops, 0);
	assert_int_equal(f.b.writes[0].value, 0x460000);
}

static void one_found_stopping_is_waited_for(void **state)
{
	struct fix_op o;

	fix_op_init(&o);
	find_controller(0, 1);
	assert_int_equal(nvio_connect_async(f.env, "loop:bare", NULL, &o.op, &f.c), 0);
	fix_run(10, MS);
	assert_string_equal(nvio_ctrlr_state(f.c), "disabling");
	assert_int_equal(f.b.write_count, 0);
	f.b.csts = 0;
	assert_int_equal(nvio_wait(&o.op), 0);
}

/* ---- what is learnt ---- */

static void transfer_limits_follow_mdts(void **state)
{
	static const struct {
		uint8_t mdts;
		uint32_t bytes;
	} cases[] = { { 0, 2 << 20 }, { 1, 8192 }, { 5, 128 << 10 }, { 8, 1 << 20 }, { 9, 2 << 20 }, { 10, 2 << 20 }, { 255, 2 << 20 } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		f.b.id.mdts = cases[i].mdts;
		assert_int_equal(connect(NULL), 0);
		assert_int_equal(nvio_ctrlr_max_transfer(f.c), cases[i].bytes);
		assert_int_equal(nvio_ns_max_transfer(nvio_ctrlr_ns(f.c, 1)), cases[i].bytes);
		disconnect();
	}
}

static void what_the_controller_is_can_be_asked(void **state)
{
	struct nvio_ns *ns;

	f.b.ns.lbaf[0].ds = 12;
	assert_int_equal(connect(NULL), 0);
	assert_true(nvio_ctrlr_is_ready(f.c));
	assert_string_equal(nvio_ctrlr_state(f.c), "ready");
	assert_string_equal(nvio_ctrlr_failure(f.c), "");
	assert_string_equal(nvio_ctrlr_trid(f.c)->traddr, "bare");
	assert_ptr_equal(nvio_ctrlr_env(f.c), f.env);
	assert_int_equal(nvio_ctrlr_version(f.c), 0x20000);
	assert_int_equal(nvio_ctrlr_cap(f.c) & 0xffff, 4095);
	assert_int_equal(nvio_ctrlr_max_queues(f.c), BARE_QUEUES - 1);
	assert_int_equal(nvio_ctrlr_num_ns(f.c), 8);
	assert_memory_equal(nvio_ctrlr_id(f.c), &f.b.id, sizeof(f.b.id));
	ns = nvio_ctrlr_ns(f.c, 1);
	assert_int_equal(nvio_ns_id(ns), 1);
	assert_int_equal(nvio_ns_block_size(ns), 4096);
	assert_int_equal(nvio_ns_num_blocks(ns), 1 << 20);
	assert_int_equal(nvio_ns_size_bytes(ns), 1ull << 32);
	assert_ptr_equal(nvio_ns_ctrlr(ns), f.c);
	assert_memory_equal(nvio_ns_identify(ns), &f.b.ns, sizeof(f.b.ns));
	assert_false(nvio_ns_is_read_only(ns));
}

static void fewer_queues_may_be_asked_for_than_there_are(void **state)
{
	struct nvio_ctrlr_opts o;

	nvio_ctrlr_opts_init(&o);
	o.num_io_queues = 2;
	assert_int_equal(connect(&o), 0);
	assert_int_equal(nvio_ctrlr_max_queues(f.c), 2);
}

/* ---- options ---- */

static void options_out_of_range_are_refused_by_name(void **state)
{
	static const char long_nqn[] = "nqn." "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaa";
	static const struct {
		size_t offset;
		uint32_t value;
		const char *name;
	} cases[] = {
#define OPT(name, value) { offsetof(struct nvio_ctrlr_opts, name), value, #name }
		OPT(num_io_queues, 0), OPT(num_io_queues, 65536), OPT(io_queue_size, 0), OPT(io_queue_size, 1),
		OPT(io_queue_size, 65537), OPT(io_queue_requests, 0), OPT(io_queue_requests, 65536), OPT(admin_queue_size, 0),
		OPT(admin_queue_size, 1), OPT(admin_queue_size, 4097), OPT(abort_timeout_ms, 0), OPT(state_timeout_ms, 0),
	};
	struct nvio_ctrlr_opts o;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		nvio_ctrlr_opts_init(&o);
		memcpy((char *)&o + cases[i].offset, &cases[i].value, 4);
		assert_int_equal(connect(&o), -EINVAL);
		assert_errmsg(cases[i].name);
	}
	nvio_ctrlr_opts_init(&o);
	o.hostnqn = long_nqn;
	assert_true(strlen(long_nqn) > NVIO_NQN_MAX);
	assert_int_equal(connect(&o), -EINVAL);
	assert_errmsg("hostnqn");
	nvio_ctrlr_opts_init(&o);
	o.size = 3;
	assert_int_equal(connect(&o), -EINVAL);
	o.size = SIZE_MAX;
	assert_int_equal(connect(&o), -EINVAL);
	assert_int_equal(f.b.write_count, 0);
}

static void options_at_their_limits_work(void **state)
{
	static const struct {
		uint32_t queues, size, requests, admin;
	} cases[] = { { 1, 2, 1, 2 }, { 65535, 65536, 65535, 4096 }, { 3, 3, 2, 3 } };

	for (size_t i = 0; i < 3; i++) {
		struct nvio_ctrlr_opts o;

		nvio_ctrlr_opts_init(&o);
		o.num_io_queues = cases[i].queues;
		o.io_queue_size = cases[i].size;
		o.io_queue_requests = cases[i].requests;
		o.admin_queue_size = cases[i].admin;
		o.keep_alive_timeout_ms = o.command_timeout_ms = o.admin_timeout_ms = 0;
		o.hostnqn = "nqn.host";
		fix_connect(&o);
		assert_int_equal(f.b.aqa, (cases[i].admin - 1) | (cases[i].admin - 1) << 16);
		assert_int_equal(nvio_qpair_depth(f.qp), i == 0 ? 1 : i == 1 ? 4095 : 2);
		assert_int_equal(fix_read(), 0);
		nvio_qpair_free(f.qp);
		f.qp = NULL;
		disconnect();
	}
}

/* ---- who may connect ---- */

static void a_controller_has_one_host_at_a_time(void **state)
{
	struct nvio_ctrlr *second = NULL;

	assert_int_equal(connect(NULL), 0);
	assert_int_equal(nvio_connect(f.env, "loop:bare", NULL, &second), -EBUSY);
	assert_errmsg("bare");
	assert_null(second);
	assert_true(nvio_ctrlr_is_ready(f.c));
	disconnect();
	assert_int_equal(connect(NULL), 0);
}

static void bad_arguments_are_refused(void **state)
{
	struct nvio_op op = NVIO_OP(NULL), flagged = { .flags = NVIO_OP_FUA };
	struct nvio_ctrlr *c;
	struct nvio_trid t;

	assert_int_equal(nvio_connect(NULL, "loop:bare", NULL, &c), -EINVAL);
	assert_int_equal(nvio_connect(f.env, NULL, NULL, &c), -EINVAL);
	assert_int_equal(nvio_connect(f.env, "loop:bare", NULL, NULL), -EINVAL);
	assert_int_equal(nvio_connect(f.env, "bare", NULL, &c), -EINVAL);
	assert_int_equal(nvio_connect_trid(f.env, NULL, NULL, &c), -EINVAL);
	assert_int_equal(nvio_connect_async(f.env, "loop:bare", NULL, NULL, &c), -EINVAL);
	assert_int_equal(nvio_connect_async(f.env, "loop:bare", NULL, &flagged, &c), -EINVAL);
	assert_int_equal(nvio_connect_async(f.env, "loop:bare", NULL, &op, NULL), -EINVAL);
	assert_int_equal(nvio_trid_tcp(&t, "127.0.0.1", "4420", NULL), 0);
	assert_int_equal(nvio_connect_trid(f.env, &t, NULL, &c), -EOPNOTSUPP);
	assert_errmsg("TCP");
	nvio_ctrlr_close(NULL);
	nvio_qpair_free(NULL);
}

/* ---- allocations, one after the other ---- */

static void every_allocation_may_fail_and_nothing_is_left(void **state)
{
	struct nvio_mem_stats before, after;
	long left = -1, n;

	nvio_mem_get_stats(f.env, &before);
	for (n = 0; left < 0; n++) {
		struct nvio_ctrlr_opts o;
		int rc;

		nvio_ctrlr_opts_init(&o);
		o.hostnqn = "nqn.host";
		assert_true(n < 200);
		alloc_fail_after(n);
		rc = connect(&o);
		left = alloc_fail_after(-1);
		assert_int_equal(rc, left < 0 ? -ENOMEM : 0);
		if (rc) {
			assert_string_not_equal(nvio_errmsg(), "");
			nvio_mem_get_stats(f.env, &after);
			assert_int_equal(after.allocations, before.allocations);
			assert_false(f.b.csts & 1);
		}
	}
	assert_true(n > 5);
	assert_true(nvio_ctrlr_is_ready(f.c));
	disconnect();
	nvio_mem_get_stats(f.env, &after);
	assert_int_equal(after.allocations, before.allocations);
}

static void open_fail_open_for_ever(void **state)
{
	for (int i = 0; i < 200; i++) {
		f.b.fatal = i & 1;
		if (i & 1) {
			assert_int_equal(connect(NULL), -EIO);
			continue;
		}
		fix_connect(NULL);
		assert_int_equal(fix_read(), 0);
		nvio_qpair_free(f.qp);
		f.qp = NULL;
		disconnect();
	}
	f.b.fatal = false;
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, fix_setup, fix_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_admin_queue_is_told_while_disabled_and_enable_comes_last),
		TEST(a_controller_left_enabled_is_disabled_first),
		TEST(one_found_enabling_is_waited_for_before_it_is_disabled),
		TEST(one_found_stopping_is_waited_for),
		TEST(transfer_limits_follow_mdts),
		TEST(what_the_controller_is_can_be_asked),
		TEST(fewer_queues_may_be_asked_for_than_there_are),
		TEST(options_out_of_range_are_refused_by_name),
		TEST(options_at_their_limits_work),
		TEST(a_controller_has_one_host_at_a_time),
		TEST(bad_arguments_are_refused),
		TEST(every_allocation_may_fail_and_nothing_is_left),
		TEST(open_fail_open_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
