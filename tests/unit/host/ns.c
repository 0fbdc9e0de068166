/* SPDX-License-Identifier: BSD-3-Clause */
/* Namespaces: hostile lists and shapes, and those that come, go and change while I/O is under way. */
#include "tests/unit/host/fixture.h"

#include <stdlib.h>

#include <nvio/spec/log.h>

static uint32_t pages[8][1024]; /* what the list answers, by how often it was asked */
static unsigned asked;
static uint32_t from[16];

static bool lists(const struct nvio_sqe *sqe)
{
	if (sqe->opc != NVIO_ADMIN_IDENTIFY || (nvio_get_le32(sqe->cdw10) & 0xff) != NVIO_CNS_ACTIVE_NS_LIST)
		return false;
	assert_true(asked < 8);
	from[asked] = nvio_get_le32(sqe->nsid);
	memcpy(bare_reach(&f.b, nvio_get_le64(sqe->prp1), 4096), pages[asked++], 4096);
	bare_complete(&f.b, 0, bare_cid(sqe), 0, 0);
	return true;
}

static void setup_lists(uint32_t nn)
{
	memset(pages, 0, sizeof(pages));
	memset(from, 0, sizeof(from));
	asked = 0;
	f.admin = lists;
	f.b.id.nn = nvio_to_le32(nn);
}

static void connect_only(void)
{
	if (nvio_connect(f.env, "loop:bare", NULL, &f.c))
		fail_msg("%s", nvio_errmsg());
}

static void disconnect(void)
{
	nvio_ctrlr_close(f.c);
	f.c = NULL;
}

static void lists_may_be_bad(void **state)
{
	static const struct {
		uint32_t nn, list[6], ids[6];
	} cases[] = {
		{ 100, { 0 }, { 0 } },
		{ 100, { 1, 5, 100 }, { 1, 5, 100 } },
		{ 100, { 5, 3, 7 }, { 5 } },          /* does not ascend */
		{ 100, { 4, 4, 4 }, { 4 } },          /* repeats */
		{ 100, { 1, 101, 102 }, { 1 } },      /* beyond NN */
		{ 0, { 1 }, { 0 } },
		{ UINT32_MAX, { 1, 0xfffffffe, UINT32_MAX }, { 1, 0xfffffffe } }, /* the broadcast id is none */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t id = 0;

		setup_lists(cases[i].nn);
		memcpy(pages[0], cases[i].list, sizeof(cases[i].list));
		connect_only();
		for (unsigned k = 0; cases[i].ids[k]; k++) {
			id = nvio_ctrlr_next_ns(f.c, id);
			assert_int_equal(id, cases[i].ids[k]);
			assert_int_equal(nvio_ns_id(nvio_ctrlr_ns(f.c, id)), id);
		}
		assert_int_equal(nvio_ctrlr_next_ns(f.c, id), 0);
		disconnect();
	}
}

static void long_lists_take_several_pages_and_have_a_bound(void **state)
{
	uint32_t id = 0, n = 0;

	/* Seven full pages: more namespaces than are looked at. */
	setup_lists(1 << 20);
	for (unsigned p = 0; p < 7; p++)
		for (unsigned i = 0; i < 1024; i++)
			pages[p][i] = p * 2048 + i * 2 + 1;
	connect_only();
	while ((id = nvio_ctrlr_next_ns(f.c, id)))
		assert_int_equal(id, n++ * 2 + 1);
	assert_int_equal(n, 4096);
	assert_int_equal(from[0], 0);
	assert_int_equal(from[1], 2047);
	assert_int_equal(from[3], 3 * 2048 - 1);
	assert_non_null(strstr(f.warned, "4096"));
}

static void ids_that_are_none_are_refused_in_words(void **state)
{
	assert_null(nvio_ctrlr_ns(f.c, 0));
	assert_errmsg("1 to 8");
	assert_null(nvio_ctrlr_ns(f.c, 9));
	assert_errmsg("1 to 8");
	assert_null(nvio_ctrlr_ns(f.c, 2));
	assert_errmsg("not active");
	assert_int_equal(nvio_ctrlr_next_ns(f.c, 1), 0);
	assert_int_equal(nvio_ctrlr_next_ns(f.c, UINT32_MAX), 0);
}

static void shapes_that_cannot_be_driven_are_left_out(void **state)
{
	static const struct {
		uint8_t ds;
		uint16_t ms;
		uint64_t nsze;
		uint8_t flbas, nlbaf;
		const char *words; /* NULL: it is usable */
	} cases[] = {
		{ 9, 0, 1, 0, 0, NULL }, { 12, 0, UINT64_MAX >> 12, 0, 0, NULL }, { 8, 0, 1, 0, 0, "block size" },
		{ 13, 0, 1, 0, 0, "block size" }, { 0, 0, 1, 0, 0, "block size" }, { 255, 0, 1, 0, 0, "block size" },
		{ 9, 8, 1, 0, 0, "metadata" }, { 9, 0, 0, 0, 0, "no blocks" }, { 9, 0, UINT64_MAX, 0, 0, "2^64" },
		{ 9, 0, 1, 0xff, 255, "block size" }, { 9, 0, 1, 0x0f, 0, "block size" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct nvio_ns *ns;

		f.b.ns.lbaf[0].ds = cases[i].ds;
		f.b.ns.lbaf[0].ms = nvio_to_le16(cases[i].ms);
		f.b.ns.nsze = nvio_to_le64(cases[i].nsze);
		f.b.ns.flbas = cases[i].flbas;
		f.b.ns.nlbaf = cases[i].nlbaf;
		connect_only();
		ns = nvio_ctrlr_ns(f.c, 1);
		if (cases[i].words) {
			assert_null(ns);
			if (!strstr(f.warned, cases[i].words))
				fail_msg("case %zu: %s", i, f.warned);
		} else {
			assert_non_null(ns);
			assert_int_equal(nvio_ns_num_blocks(ns), cases[i].nsze);
			assert_int_equal(nvio_ns_size_bytes(ns), cases[i].nsze << cases[i].ds);
		}
		disconnect();
	}
}

static bool gone_since(const struct nvio_sqe *sqe)
{
	if (sqe->opc != NVIO_ADMIN_IDENTIFY || (nvio_get_le32(sqe->cdw10) & 0xff) != NVIO_CNS_NS || nvio_get_le32(sqe->nsid) != 2)
		return false;
	bare_complete(&f.b, 0, bare_cid(sqe), 0, NVIO_SF(0, NVIO_SC_INVALID_NS_OR_FORMAT));
	return true;
}

static void one_that_went_since_it_was_listed_is_left_out(void **state)
{
	memcpy(f.b.active, (uint32_t[]){ 1, 2, 3, 0 }, 16);
	f.admin = gone_since;
	connect_only();
	assert_non_null(nvio_ctrlr_ns(f.c, 1));
	assert_null(nvio_ctrlr_ns(f.c, 2));
	assert_non_null(nvio_ctrlr_ns(f.c, 3));
}

/* ---- changes ---- */

static void notice(void)
{
	assert_true(f.b.events_held > 0);
	bare_complete(&f.b, 0, f.b.event_cids[--f.b.events_held],
		nvio_aer_build(NVIO_AER_NOTICE, NVIO_AER_NOTICE_NS_CHANGED, NVIO_LID_CHANGED_NS), 0);
	fix_run(20, 0);
	assert_string_equal(nvio_ctrlr_state(f.c), "ready");
}

static void a_notice_makes_the_namespaces_be_read_again(void **state)
{
	struct nvio_op op = NVIO_OP(NULL);
	struct nvio_ns *second;

	fix_run(1, 0);
	for (unsigned round = 1; round <= 3; round++) { /* the log page is read, or the second notice would never come */
		memcpy(f.b.active, (uint32_t[]){ 1, 2, 0 }, 12);
		f.b.ns.nsze = nvio_to_le64(1000 * round);
		notice();
		assert_int_equal(f.seen[NVIO_ADMIN_GET_LOG_PAGE], 2 * round - 1);
		second = nvio_ctrlr_ns(f.c, 2);
		assert_non_null(second);
		assert_int_equal(nvio_ns_num_blocks(f.ns), 1000 * round);
		assert_int_equal(nvio_await(nvio_ns_read(second, f.qp, f.buf, 1000 * round - 1, 1, &op), &op), 0);
		assert_int_equal(nvio_ns_read(second, f.qp, f.buf, 1000 * round, 1, &op), -ERANGE);

		f.b.active[1] = 0;
		notice();
		assert_false(nvio_ns_is_active(second));
		assert_int_equal(nvio_ns_size_bytes(second), 0);
		assert_null(nvio_ctrlr_ns(f.c, 2));
		assert_int_equal(nvio_ns_read(second, f.qp, f.buf, 0, 1, &op), -ENODEV);
		assert_errmsg("not active");
	}
	assert_int_equal(f.b.resets, 0);
}

static void io_in_line_for_a_namespace_that_goes_ends(void **state)
{
	unsigned depth = nvio_qpair_depth(f.qp), total = depth + 20;
	struct fix_op *o = calloc(total, sizeof(*o));

	fix_run(1, 0);
	f.hold_io = true;
	for (unsigned i = 0; i < total; i++) {
		fix_op_init(&o[i]);
		if (i % 4 == 3)
			assert_int_equal(nvio_ns_flush(f.ns, f.qp, &o[i].op), 0);
		else
			assert_int_equal(nvio_ns_read(f.ns, f.qp, f.buf + i % 2, 0, i % 3 ? 1 : 700, &o[i].op), 0);
	}
	fix_run(1, 0);
	f.b.active[0] = 0;
	notice();
	f.hold_io = false;
	fix_answer_all();
	for (unsigned i = 0; i < total; i++) {
		int rc = nvio_wait(&o[i].op);

		assert_true(rc == 0 || rc == -ENODEV);
		assert_int_equal(o[i].done, 1);
	}
	assert_int_equal(o[total - 2].status, -ENODEV);
	assert_int_equal(nvio_qpair_in_flight(f.qp), 0);
	free(o);
}

static void a_changed_block_size_does_not_reach_io_under_way(void **state)
{
	struct nvio_op op = NVIO_OP(NULL);
	struct nvio_ns *old = f.ns, *now;
	struct fix_op o[300];
	uint8_t *odd = f.buf + (4 << 20) + 1;

	fix_run(1, 0);
	memset(odd, 0xee, 8 * 4096);
	f.hold_io = true;
	for (int i = 0; i < 300; i++) {
		fix_op_init(&o[i]);
		/* Through a page of ours, where a length in other blocks would run over. */
		assert_int_equal(nvio_ns_read(f.ns, f.qp, odd, 0, 8, &o[i].op), 0);
	}
	fix_run(1, 0);
	f.b.ns.lbaf[0].ds = 12;
	notice();
	f.hold_io = false;
	fix_answer_all();
	for (int i = 0; i < 300; i++) {
		int rc = nvio_wait(&o[i].op);

		assert_true(rc == 0 || rc == -ENODEV);
	}
	assert_int_equal(odd[4096], 0xee);
	/* The old handle is gone, a new one is there. */
	assert_false(nvio_ns_is_active(old));
	assert_int_equal(nvio_ns_read(old, f.qp, f.buf, 0, 1, &op), -ENODEV);
	now = nvio_ctrlr_ns(f.c, 1);
	assert_ptr_not_equal(now, old);
	assert_int_equal(nvio_ns_block_size(now), 4096);
	assert_int_equal(nvio_await(nvio_ns_read(now, f.qp, f.buf, 0, 1, &op), &op), 0);
	/* The same over a reset. */
	f.b.ns.lbaf[0].ds = 9;
	assert_int_equal(nvio_await(nvio_ctrlr_reset(f.c, &op), &op), 0);
	assert_false(nvio_ns_is_active(now));
	f.ns = nvio_ctrlr_ns(f.c, 1);
	assert_int_equal(fix_read(), 0);
}

static void a_block_size_that_changes_for_ever_has_a_bound(void **state)
{
	fix_run(1, 0);
	for (int i = 0; i < 4096; i++) {
		f.b.ns.lbaf[0].ds = i & 1 ? 9 : 12;
		notice();
	}
	assert_non_null(nvio_ctrlr_ns(f.c, 1));
	f.b.ns.lbaf[0].ds = 12;
	notice();
	assert_null(nvio_ctrlr_ns(f.c, 1));
	assert_non_null(strstr(f.warned, "too often"));
}

static void handles_outlive_their_controller(void **state)
{
	struct nvio_op op = NVIO_OP(NULL);
	struct nvio_ns *old = f.ns;

	fix_run(1, 0);
	f.b.ns.lbaf[0].ds = 12;
	notice();
	f.ns = nvio_ctrlr_ns(f.c, 1);
	nvio_ctrlr_close(f.c);
	f.c = NULL;
	assert_null(nvio_ns_ctrlr(old));
	assert_null(nvio_ns_ctrlr(f.ns));
	assert_int_equal(nvio_ns_read(old, f.qp, f.buf, 0, 1, &op), -ENODEV);
	assert_int_equal(nvio_ns_read(f.ns, f.qp, f.buf, 0, 1, &op), -ENODEV);
	assert_int_equal(nvio_ns_block_size(f.ns), 0);
}

static void namespaces_and_queues_of_different_controllers_do_not_mix(void **state)
{
	static struct bare other;
	struct nvio_op op = NVIO_OP(NULL);
	struct nvio_ctrlr *c;
	struct nvio_qpair *qp;

	memset(&other, 0, sizeof(other));
	assert_int_equal(bare_open(&other, f.env, "other"), 0);
	assert_int_equal(nvio_connect(f.env, "loop:other", NULL, &c), 0);
	assert_int_equal(nvio_qpair_alloc(c, NULL, &qp), 0);
	assert_int_equal(nvio_ns_read(f.ns, qp, f.buf, 0, 1, &op), -EINVAL);
	assert_errmsg("different controllers");
	assert_int_equal(nvio_ns_write(nvio_ctrlr_ns(c, 1), f.qp, f.buf, 0, 1, &op), -EINVAL);
	nvio_qpair_free(qp);
	nvio_ctrlr_close(c);
	bare_close(&other);
}

#define TEST(test)      cmocka_unit_test_setup_teardown(test, fix_setup, fix_teardown)
#define CONNECTED(test) cmocka_unit_test_setup_teardown(test, fix_setup_connected, fix_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(lists_may_be_bad),
		TEST(long_lists_take_several_pages_and_have_a_bound),
		CONNECTED(ids_that_are_none_are_refused_in_words),
		TEST(shapes_that_cannot_be_driven_are_left_out),
		TEST(one_that_went_since_it_was_listed_is_left_out),
		CONNECTED(a_notice_makes_the_namespaces_be_read_again),
		CONNECTED(io_in_line_for_a_namespace_that_goes_ends),
		CONNECTED(a_changed_block_size_does_not_reach_io_under_way),
		CONNECTED(a_block_size_that_changes_for_ever_has_a_bound),
		CONNECTED(handles_outlive_their_controller),
		CONNECTED(namespaces_and_queues_of_different_controllers_do_not_mix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
