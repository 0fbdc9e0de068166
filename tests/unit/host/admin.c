/* SPDX-License-Identifier: BSD-3-Clause */
/* Admin commands, asynchronous events and keep-alive. */
#include "tests/unit/host/fixture.h"

#include <nvio/spec/feature.h>
#include <nvio/spec/log.h>

/* ---- commands ---- */

static struct nvio_sqe last;
static uint16_t answer_sf;
static uint32_t answer_dw0;

static bool take(const struct nvio_sqe *sqe)
{
	if (sqe->opc == NVIO_ADMIN_ASYNC_EVENT || sqe->opc == NVIO_ADMIN_KEEP_ALIVE)
		return false;
	last = *sqe;
	bare_complete(&f.b, 0, bare_cid(sqe), answer_dw0, answer_sf);
	return true;
}

static uint32_t dword(const nvio_le32 *le) { return nvio_get_le32(*le); }

static void the_conveniences_build_their_commands(void **state)
{
	struct nvio_op op = NVIO_OP(NULL);

	f.admin = take;
	answer_sf = 0;
	answer_dw0 = 0x12345678;
	assert_int_equal(nvio_await(nvio_ctrlr_identify(f.c, 0x13, 7, f.buf, &op), &op), 0);
	assert_int_equal(last.opc, NVIO_ADMIN_IDENTIFY);
	assert_int_equal(dword(&last.nsid), 7);
	assert_int_equal(dword(&last.cdw10), 0x13);
	assert_ptr_equal(bare_reach(&f.b, nvio_get_le64(last.prp1), 1), f.buf);
	assert_int_equal(op.cpl.dw0, 0x12345678);

	assert_int_equal(nvio_await(nvio_ctrlr_get_log(f.c, 2, 5, 0x123456789abcull, f.buf, 16384, &op), &op), 0);
	assert_int_equal(last.opc, NVIO_ADMIN_GET_LOG_PAGE);
	assert_int_equal(dword(&last.nsid), 5);
	assert_int_equal(dword(&last.cdw10), 2 | 4095 << 16);
	assert_int_equal(dword(&last.cdw11), 0);
	assert_int_equal(dword(&last.cdw12), 0x56789abc);
	assert_int_equal(dword(&last.cdw13), 0x1234);

	assert_int_equal(nvio_await(nvio_ctrlr_get_feature(f.c, 0x81, 3, 9, 1, f.buf, 16, &op), &op), 0);
	assert_int_equal(last.opc, NVIO_ADMIN_GET_FEATURES);
	assert_int_equal(dword(&last.cdw10), 0x81 | 3 << 8);
	assert_int_equal(dword(&last.cdw11), 1);
	assert_int_equal(dword(&last.nsid), 9);

	assert_int_equal(nvio_await(nvio_ctrlr_set_feature(f.c, 6, true, 9, 1, NULL, 0, &op), &op), 0);
	assert_int_equal(last.opc, NVIO_ADMIN_SET_FEATURES);
	assert_int_equal(dword(&last.cdw10), 6 | 1u << 31);
	assert_int_equal(dword(&last.cdw11), 1);

	answer_sf = NVIO_SF(1, NVIO_SC_INVALID_LOG_PAGE) | NVIO_SF_DNR;
	assert_int_equal(nvio_await(nvio_ctrlr_get_log(f.c, 2, 5, 0, f.buf, 4, &op), &op), -EOPNOTSUPP);
	assert_int_equal(op.cpl.sf, answer_sf);
	assert_int_equal(nvio_cpl_dnr(&op.cpl), 1);
}

static void what_would_pull_the_rug_is_refused(void **state)
{
	static const uint8_t opcs[] = { NVIO_ADMIN_CREATE_SQ, NVIO_ADMIN_CREATE_CQ, NVIO_ADMIN_DELETE_SQ, NVIO_ADMIN_DELETE_CQ,
		NVIO_ADMIN_ASYNC_EVENT };
	struct nvio_op op = NVIO_OP(NULL);
	struct nvio_sqe cmd = { 0 };

	for (size_t i = 0; i < sizeof(opcs); i++) {
		unsigned seen = f.seen[opcs[i]];

		cmd.opc = opcs[i];
		assert_int_equal(nvio_ctrlr_admin(f.c, &cmd, NULL, 0, &op), -EINVAL);
		assert_errmsg("library's");
		fix_run(1, 0);
		assert_int_equal(f.seen[opcs[i]], seen);
	}
	cmd.opc = 0xc0;
	cmd.flags = 0x40;
	assert_int_equal(nvio_ctrlr_admin(f.c, &cmd, NULL, 0, &op), -EINVAL);
	cmd.flags = 0;
	assert_int_equal(nvio_ctrlr_admin(NULL, &cmd, NULL, 0, &op), -EINVAL);
	assert_int_equal(nvio_ctrlr_admin(f.c, &cmd, NULL, 4, &op), -EINVAL);
	assert_int_equal(nvio_ctrlr_admin(f.c, &cmd, NULL, 0, NULL), -EINVAL);
	assert_int_equal(nvio_ctrlr_admin(f.c, &cmd, f.buf, (128 << 10) + 4, &op), -EINVAL);
}

static bool fill(const struct nvio_sqe *sqe)
{
	if (sqe->opc != 0xc2)
		return false;
	for (unsigned i = 0; i < dword(&sqe->cdw10); i++) {
		uint64_t prp1 = nvio_get_le64(sqe->prp1), first = 4096 - prp1 % 4096;

		*(uint8_t *)bare_reach(&f.b, i < first ? prp1 + i : nvio_get_le64(sqe->prp2) + i - first, 1) = (uint8_t)(i + 1);
	}
	bare_complete(&f.b, 0, bare_cid(sqe), 0, 0);
	return true;
}

static void data_of_any_alignment_arrives(void **state)
{
	f.admin = fill;
	for (unsigned skew = 0; skew < 8; skew++) {
		for (unsigned len = 1; len < 4000; len += 333) {
			struct nvio_sqe cmd = { .opc = 0xc2, .cdw10 = nvio_to_le32(len) };
			struct nvio_op op = NVIO_OP(NULL);

			memset(f.buf, 0, 8192);
			assert_int_equal(nvio_await(nvio_ctrlr_admin(f.c, &cmd, f.buf + skew, len, &op), &op), 0);
			for (unsigned i = 0; i < len; i++)
				assert_int_equal(f.buf[skew + i], (uint8_t)(i + 1));
			assert_int_equal(f.buf[skew + len], 0);
		}
	}
}

/* Beyond a page, what cannot be given as it is is copied. */
static void long_data_of_any_alignment_arrives(void **state)
{
	f.admin = fill;
	for (unsigned skew = 0; skew < 8; skew++) {
		struct nvio_sqe cmd = { .opc = 0xc2, .cdw10 = nvio_to_le32(8000) };
		struct nvio_mem_stats before, after;
		struct nvio_op op = NVIO_OP(NULL);

		memset(f.buf, 0, 12288);
		nvio_mem_get_stats(f.env, &before);
		assert_int_equal(nvio_await(nvio_ctrlr_admin(f.c, &cmd, f.buf + skew, 8000, &op), &op), 0);
		for (unsigned i = 0; i < 8000; i++)
			assert_int_equal(f.buf[skew + i], (uint8_t)(i + 1));
		assert_int_equal(f.buf[skew + 8000], 0);
		nvio_mem_get_stats(f.env, &after);
		assert_int_equal(before.allocations, after.allocations);
	}
}

static bool hold_vendor(const struct nvio_sqe *sqe)
{
	return sqe->opc == 0xc0;
}

static void a_lost_admin_command_times_out(void **state)
{
	static const struct {
		uint64_t own_us, ends_ms;
		bool abort_works;
	} cases[] = { { 0, 60000, true }, { 5000, 5, true }, { 5000, 1005, false } };

	f.admin = hold_vendor;
	for (int i = 0; i < 3; i++) {
		struct nvio_sqe cmd = { .opc = 0xc0 };
		uint64_t resets = f.b.resets, start = f.now_ns;
		struct fix_op o;

		fix_op_init(&o);
		o.op.timeout_us = cases[i].own_us;
		f.abort_works = cases[i].abort_works;
		assert_int_equal(nvio_ctrlr_admin(f.c, &cmd, NULL, 0, &o.op), 0);
		while (!o.done) {
			fix_run(1, MS);
			assert_true(f.now_ns - start < (cases[i].ends_ms + 100) * MS);
		}
		assert_true(f.now_ns - start >= cases[i].ends_ms * MS);
		assert_int_equal(o.status, -ETIMEDOUT);
		fix_run(10, MS);
		assert_int_equal(f.b.resets - resets, !cases[i].abort_works);
		assert_true(nvio_ctrlr_is_ready(f.c));
		assert_int_equal(o.done, 1);
	}
}

static void more_admin_commands_than_the_queue_holds(void **state)
{
	struct nvio_ctrlr_opts opts;

	for (uint32_t size = 2; size <= 5; size++) {
		struct fix_op o[40];

		nvio_ctrlr_opts_init(&opts);
		opts.admin_queue_size = size;
		fix_connect(&opts);
		for (int i = 0; i < 40; i++) {
			fix_op_init(&o[i]);
			assert_int_equal(nvio_ctrlr_identify(f.c, 1, 0, f.buf, &o[i].op), 0);
		}
		for (int i = 0; i < 40; i++) {
			assert_int_equal(nvio_wait(&o[i].op), 0);
			assert_int_equal(o[i].done, 1);
		}
		nvio_qpair_free(f.qp);
		nvio_ctrlr_close(f.c);
		f.qp = NULL;
		f.c = NULL;
	}
}

static void an_admin_queue_of_one_command_recovers_too(void **state)
{
	struct nvio_ctrlr_opts opts;
	struct fix_op o;

	nvio_ctrlr_opts_init(&opts);
	opts.admin_queue_size = 2;
	opts.command_timeout_ms = 100;
	fix_connect(&opts);
	f.hold_io = true;
	fix_op_init(&o);
	assert_int_equal(nvio_ns_read(f.ns, f.qp, f.buf, 0, 1, &o.op), 0);
	for (int i = 0; i < 2000 && !o.done; i++)
		fix_run(1, MS);
	assert_int_equal(o.status, -ETIMEDOUT);
	f.hold_io = false;
	fix_run(10, MS);
	assert_int_equal(fix_read(), 0);
}

static void admin_commands_in_flight_end_with_a_reset(void **state)
{
	struct nvio_sqe cmd = { .opc = 0xc0 };
	struct nvio_op op = NVIO_OP(NULL);
	struct fix_op o[40];

	f.admin = hold_vendor;
	for (int i = 0; i < 40; i++) {
		fix_op_init(&o[i]);
		assert_int_equal(nvio_ctrlr_admin(f.c, &cmd, f.buf, 512, &o[i].op), 0);
	}
	fix_run(2, 0);
	assert_int_equal(nvio_await(nvio_ctrlr_reset(f.c, &op), &op), 0);
	for (int i = 0; i < 40; i++) {
		assert_int_equal(nvio_wait(&o[i].op), -ECANCELED);
		assert_int_equal(o[i].done, 1);
	}
	assert_int_equal(nvio_await(nvio_ctrlr_identify(f.c, 1, 0, f.buf, &op), &op), 0);
}

/* ---- asynchronous events ---- */

static uint32_t events[32];
static unsigned event_count;

static void on_event(struct nvio_ctrlr *c, uint32_t dw0, void *arg)
{
	assert_ptr_equal(c, f.c);
	assert_ptr_equal(arg, &events);
	assert_true(event_count < 32);
	events[event_count++] = dw0;
}

static void raise_event(uint32_t dw0)
{
	assert_true(f.b.events_held > 0);
	bare_complete(&f.b, 0, f.b.event_cids[--f.b.events_held], dw0, 0);
}

static void events_are_told_in_order_and_asked_for_again(void **state)
{
	event_count = 0;
	nvio_ctrlr_set_event_fn(f.c, on_event, &events);
	fix_run(1, 0);
	assert_int_equal(f.b.events_held, 4);
	for (int round = 0; round < 5; round++) {
		raise_event(nvio_aer_build(NVIO_AER_SMART, 1, 2));
		raise_event(nvio_aer_build(NVIO_AER_ERROR, 3, 1));
		fix_run(2, 0);
		assert_int_equal(event_count, 2);
		assert_int_equal(events[0], nvio_aer_build(NVIO_AER_SMART, 1, 2));
		assert_int_equal(events[1], nvio_aer_build(NVIO_AER_ERROR, 3, 1));
		assert_int_equal(f.b.events_held, 4);
		event_count = 0;
	}
	nvio_ctrlr_set_event_fn(f.c, NULL, NULL);
	raise_event(nvio_aer_build(NVIO_AER_SMART, 1, 2));
	fix_run(2, 0);
	assert_int_equal(event_count, 0);
	/* A reset drops the requests; they come again. */
	f.b.events_held = 0;
	f.b.fatal = true;
	fix_run(1, 20 * MS);
	f.b.fatal = false;
	fix_run(20, MS);
	assert_int_equal(f.b.events_held, 4);
}

static void as_many_requests_as_the_controller_takes(void **state)
{
	static const struct {
		uint8_t aerl;
		uint32_t admin_queue_size;
		unsigned held;
	} cases[] = { { 0, 32, 1 }, { 1, 32, 2 }, { 255, 32, 4 }, { 255, 2, 0 }, { 255, 9, 2 } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct nvio_ctrlr_opts opts;

		nvio_ctrlr_opts_init(&opts);
		opts.admin_queue_size = cases[i].admin_queue_size;
		f.b.id.aerl = cases[i].aerl;
		fix_connect(&opts);
		fix_run(2, 0);
		assert_int_equal(f.b.events_held, cases[i].held);
		nvio_qpair_free(f.qp);
		nvio_ctrlr_close(f.c);
		f.qp = NULL;
		f.c = NULL;
	}
}

static bool refuse_events(const struct nvio_sqe *sqe)
{
	if (sqe->opc != NVIO_ADMIN_ASYNC_EVENT)
		return false;
	bare_complete(&f.b, 0, bare_cid(sqe), 0, NVIO_SF(1, NVIO_SC_AER_LIMIT_EXCEEDED));
	return true;
}

static void a_controller_that_refuses_requests_is_not_pestered(void **state)
{
	f.admin = refuse_events;
	fix_connect(NULL);
	fix_run(100, MS);
	assert_int_equal(f.seen[NVIO_ADMIN_ASYNC_EVENT], 4);
	assert_int_equal(fix_read(), 0);
}

static bool flood(const struct nvio_sqe *sqe)
{
	if (sqe->opc != NVIO_ADMIN_ASYNC_EVENT)
		return false;
	bare_complete(&f.b, 0, bare_cid(sqe), nvio_aer_build(NVIO_AER_SMART, 0, 2), 0);
	return true;
}

static void a_flood_of_events_stops_nothing_else(void **state)
{
	struct nvio_op op = NVIO_OP(NULL);

	f.admin = flood;
	fix_connect(NULL);
	for (int i = 0; i < 50; i++) {
		assert_int_equal(nvio_await(nvio_ctrlr_identify(f.c, 1, 0, f.buf, &op), &op), 0);
		assert_int_equal(fix_read(), 0);
	}
	assert_true(f.seen[NVIO_ADMIN_ASYNC_EVENT] > 50);
}

static void only_the_notices_that_there_are_are_asked_for(void **state)
{
	static const struct {
		uint32_t oaes, asked;
	} cases[] = { { 0, 0x1f }, { NVIO_OAES_NS_ATTRIBUTES, 0x11f }, { 0xffffffff, 0x31f } };

	for (int i = 0; i < 3; i++) {
		f.b.id.oaes = nvio_to_le32(cases[i].oaes);
		f.b.write_count = 0;
		f.admin = NULL;
		answer_dw0 = 0;
		fix_connect(NULL);
		nvio_qpair_free(f.qp);
		nvio_ctrlr_close(f.c);
		f.qp = NULL;
		f.c = NULL;
		assert_int_equal(dword(&f.features[NVIO_FID_ASYNC_EVENT_CONFIG]), cases[i].asked);
	}
}

/* ---- keep-alive ---- */

static bool hold_keep_alive(const struct nvio_sqe *sqe)
{
	return sqe->opc == NVIO_ADMIN_KEEP_ALIVE;
}

static void keep_alive_is_sent_at_half_the_timeout(void **state)
{
	struct nvio_ctrlr_opts opts;
	unsigned sent;

	f.b.id.kas = nvio_to_le16(1);
	nvio_ctrlr_opts_init(&opts);
	opts.keep_alive_timeout_ms = 4000;
	fix_connect(&opts);
	assert_int_equal(dword(&f.features[NVIO_FID_KEEP_ALIVE]), 4000);
	fix_run(1, 2000 * MS - 1);
	assert_int_equal(f.seen[NVIO_ADMIN_KEEP_ALIVE], 0);
	fix_run(2, 1);
	assert_int_equal(f.seen[NVIO_ADMIN_KEEP_ALIVE], 1);
	/* From any poll: the queue pair's is enough. */
	for (int i = 0; i < 100; i++) {
		f.now_ns += 100 * MS;
		nvio_qpair_poll(f.qp, 0);
	}
	fix_run(1, 0);
	assert_int_equal(f.seen[NVIO_ADMIN_KEEP_ALIVE], 6);
	sent = f.seen[NVIO_ADMIN_KEEP_ALIVE];
	/* Sent 2 s from now and not answered for the whole timeout: the controller is reset. */
	f.admin = hold_keep_alive;
	for (int i = 0; i < 59; i++)
		fix_run(1, 100 * MS);
	assert_int_equal(f.seen[NVIO_ADMIN_KEEP_ALIVE], sent + 1);
	assert_int_equal(f.b.resets, 0);
	f.admin = NULL;
	for (int i = 0; i < 5; i++)
		fix_run(1, 100 * MS);
	assert_int_equal(f.b.resets, 1);
	assert_int_equal(fix_read(), 0);
}

static bool refuse_keep_alive(const struct nvio_sqe *sqe)
{
	if (sqe->opc != NVIO_ADMIN_SET_FEATURES || dword(&sqe->cdw10) != NVIO_FID_KEEP_ALIVE)
		return false;
	bare_complete(&f.b, 0, bare_cid(sqe), 0, NVIO_SF(0, NVIO_SC_INVALID_FIELD));
	return true;
}

static void keep_alive_stays_silent_where_it_is_not_wanted(void **state)
{
	static const struct {
		uint16_t kas;
		uint32_t timeout_ms;
		bool refuse;
	} cases[] = { { 0, 10000, false }, { 1, 0, false }, { 1, 10000, true } };

	for (int i = 0; i < 3; i++) {
		struct nvio_ctrlr_opts opts;

		f.b.id.kas = nvio_to_le16(cases[i].kas);
		f.admin = cases[i].refuse ? refuse_keep_alive : NULL;
		nvio_ctrlr_opts_init(&opts);
		opts.keep_alive_timeout_ms = cases[i].timeout_ms;
		fix_connect(&opts);
		fix_run(10, 10 * SEC);
		assert_int_equal(f.seen[NVIO_ADMIN_KEEP_ALIVE], 0);
		nvio_qpair_free(f.qp);
		nvio_ctrlr_close(f.c);
		f.qp = NULL;
		f.c = NULL;
	}
}

#define TEST(test)      cmocka_unit_test_setup_teardown(test, fix_setup, fix_teardown)
#define CONNECTED(test) cmocka_unit_test_setup_teardown(test, fix_setup_connected, fix_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CONNECTED(the_conveniences_build_their_commands),
		CONNECTED(what_would_pull_the_rug_is_refused),
		CONNECTED(data_of_any_alignment_arrives),
		CONNECTED(long_data_of_any_alignment_arrives),
		CONNECTED(a_lost_admin_command_times_out),
		TEST(more_admin_commands_than_the_queue_holds),
		TEST(an_admin_queue_of_one_command_recovers_too),
		CONNECTED(admin_commands_in_flight_end_with_a_reset),
		CONNECTED(events_are_told_in_order_and_asked_for_again),
		TEST(as_many_requests_as_the_controller_takes),
		TEST(a_controller_that_refuses_requests_is_not_pestered),
		TEST(a_flood_of_events_stops_nothing_else),
		TEST(only_the_notices_that_there_are_are_asked_for),
		TEST(keep_alive_is_sent_at_half_the_timeout),
		TEST(keep_alive_stays_silent_where_it_is_not_wanted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
