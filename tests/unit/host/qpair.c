/* SPDX-License-Identifier: BSD-3-Clause */
/* Queue pairs at work: how many, how deep, full, around the ring, doorbells, passthrough. */
#include "tests/unit/host/fixture.h"

#include <stdlib.h>

static struct nvio_qpair_stats stats(void)
{
	struct nvio_qpair_stats s;

	nvio_qpair_get_stats(f.qp, &s);
	return s;
}

/* Gives back the fixture's queue pair and makes one of `size` entries and `requests`. */
static void remake(uint32_t size, uint32_t requests, uint32_t flags)
{
	struct nvio_qpair_opts o;

	nvio_qpair_free(f.qp);
	f.qp = NULL;
	nvio_qpair_opts_init(&o);
	o.io_queue_size = size;
	o.io_queue_requests = requests;
	o.flags = flags;
	if (nvio_qpair_alloc(f.c, &o, &f.qp))
		fail_msg("%s", nvio_errmsg());
}

static void as_many_as_the_controller_grants(void **state)
{
	struct nvio_qpair *qp[BARE_QUEUES], *more = NULL;
	unsigned n = 0;

	assert_int_equal(nvio_qpair_id(f.qp), 1);
	while (n < BARE_QUEUES - 2) {
		assert_int_equal(nvio_qpair_alloc(f.c, NULL, &qp[n]), 0);
		assert_int_equal(nvio_qpair_id(qp[n]), n + 2);
		assert_ptr_equal(nvio_qpair_ctrlr(qp[n]), f.c);
		n++;
	}
	assert_int_equal(nvio_qpair_alloc(f.c, NULL, &more), -ENOSPC);
	assert_errmsg("7");
	assert_null(more);
	/* Free one in the middle, and that one can be had again. */
	nvio_qpair_free(qp[2]);
	assert_int_equal(nvio_qpair_alloc(f.c, NULL, &qp[2]), 0);
	assert_int_equal(nvio_qpair_id(qp[2]), 4);
	assert_int_equal(nvio_qpair_alloc(f.c, NULL, &more), -ENOSPC);
	while (n)
		nvio_qpair_free(qp[--n]);
	assert_int_equal(f.seen[NVIO_ADMIN_DELETE_SQ], BARE_QUEUES - 1);
	assert_int_equal(f.seen[NVIO_ADMIN_DELETE_CQ], BARE_QUEUES - 1);
	for (int i = 0; i < 50; i++)
		remake(0, 0, 0);
	assert_int_equal(fix_read(), 0);
}

static bool refuse_create(const struct nvio_sqe *sqe)
{
	if (sqe->opc != NVIO_ADMIN_CREATE_CQ)
		return false;
	bare_complete(&f.b, 0, bare_cid(sqe), 0, NVIO_SF(NVIO_SCT_COMMAND, NVIO_SC_INVALID_QUEUE_SIZE));
	return true;
}

static void one_can_be_made_without_waiting(void **state)
{
	struct nvio_qpair *qp = NULL;
	struct fix_op made, read;

	fix_op_init(&made);
	fix_op_init(&read);
	assert_int_equal(nvio_qpair_alloc_async(f.c, NULL, &made.op, &qp), 0);
	assert_int_equal(made.done, 0);
	assert_true(nvio_op_pending(&made.op));
	assert_int_equal(nvio_cancel(&made.op), -EOPNOTSUPP);
	/* I/O may be submitted at once, and goes out when there is a queue for it. */
	assert_int_equal(nvio_ns_read(f.ns, qp, f.buf, 0, 1, &read.op), 0);
	for (int i = 0; i < 100 && !read.done; i++)
		assert_true(nvio_qpair_poll(qp, 0) >= 0);
	assert_int_equal(made.done, 1);
	assert_int_equal(made.status, 0);
	assert_int_equal(read.done, 1);
	assert_int_equal(read.status, 0);
	nvio_qpair_free(qp);
	assert_int_equal(made.done, 1);
}

static void one_that_is_refused_or_freed_says_so_once(void **state)
{
	struct nvio_qpair *qp = NULL;
	struct fix_op made;

	fix_op_init(&made);
	assert_int_equal(nvio_qpair_alloc_async(f.c, NULL, &made.op, &qp), 0);
	nvio_qpair_free(qp);
	assert_int_equal(made.done, 1);
	assert_int_equal(made.status, -ECANCELED);

	f.admin = refuse_create;
	fix_op_init(&made);
	assert_int_equal(nvio_qpair_alloc_async(f.c, NULL, &made.op, &qp), 0);
	for (int i = 0; i < 100 && !made.done; i++)
		nvio_qpair_poll(qp, 0);
	assert_int_equal(made.done, 1);
	assert_int_equal(made.status, -EIO);
	assert_int_equal(made.op.cpl.sf, NVIO_SF(NVIO_SCT_COMMAND, NVIO_SC_INVALID_QUEUE_SIZE));
	nvio_qpair_free(qp);
	assert_int_equal(made.done, 1);
	f.admin = NULL;

	fix_op_init(&made);
	made.op.flags = NVIO_OP_FUA;
	assert_int_equal(nvio_qpair_alloc_async(f.c, NULL, &made.op, &qp), -EINVAL);
	assert_int_equal(nvio_qpair_alloc_async(f.c, NULL, NULL, &qp), -EINVAL);
}

static void bad_options_are_refused(void **state)
{
	static const struct {
		uint32_t flags, size;
		int priority, rc;
		const char *words;
	} cases[] = {
		{ 2, 0, 0, -EINVAL, "flags" },
		{ 1u << 31, 0, 0, -EINVAL, "flags" },
		{ 0, 1, 0, -EINVAL, "io_queue_size" },
		{ 0, 65537, 0, -EINVAL, "io_queue_size" },
		{ 0, 0, -1, -EINVAL, "priority" },
		{ 0, 0, 4, -EINVAL, "priority" },
		{ 0, 0, NVIO_QPAIR_HIGH, -EOPNOTSUPP, "weighted round robin" },
		{ 0, 0, NVIO_QPAIR_LOW, -EOPNOTSUPP, "weighted round robin" },
	};
	struct nvio_qpair_opts o;
	struct nvio_qpair *qp = NULL;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		nvio_qpair_opts_init(&o);
		o.flags = cases[i].flags;
		o.io_queue_size = cases[i].size;
		o.priority = (enum nvio_qpair_priority)cases[i].priority;
		assert_int_equal(nvio_qpair_alloc(f.c, &o, &qp), cases[i].rc);
		assert_errmsg(cases[i].words);
		assert_null(qp);
	}
	nvio_qpair_opts_init(&o);
	o.size = 1;
	assert_int_equal(nvio_qpair_alloc(f.c, &o, &qp), -EINVAL);
	assert_int_equal(nvio_qpair_alloc(NULL, NULL, &qp), -EINVAL);
	assert_int_equal(nvio_qpair_alloc(f.c, NULL, NULL), -EINVAL);
}

static void sizes_and_requests_bound_the_depth(void **state)
{
	static const struct {
		uint32_t size, requests, depth, entries;
	} cases[] = {
		{ 2, 0, 1, 2 }, { 3, 0, 2, 3 }, { 4, 1, 1, 4 }, { 64, 64, 63, 64 }, { 64, 7, 7, 64 }, { 4096, 5000, 4095, 4096 },
		{ 65536, 65535, 4095, 4096 }, /* CAP.MQES */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		remake(cases[i].size, cases[i].requests, 0);
		assert_int_equal(nvio_qpair_depth(f.qp), cases[i].depth);
		assert_int_equal(f.b.q[1].sq_size, cases[i].entries);
		assert_in_range(f.b.q[1].cq_size, cases[i].entries, 4096);
		/* At least three times around. */
		for (uint32_t n = 0; n < 3 * MIN(cases[i].entries, 300) + 1; n++)
			assert_int_equal(fix_read(), 0);
	}
}

#define OPS 1000

static void more_ops_than_slots_wait_in_order(void **state)
{
	struct fix_op *o = calloc(OPS, sizeof(*o));
	uint64_t expected = 0;
	unsigned done = 0;

	remake(4, 0, 0);
	f.hold_io = true;
	for (unsigned i = 0; i < OPS; i++) {
		fix_op_init(&o[i]);
		assert_int_equal(nvio_ns_write(f.ns, f.qp, f.buf, i, 1, &o[i].op), 0);
	}
	while (done < OPS) {
		fix_run(1, 0);
		assert_in_range(f.held_count, 1, 3);
		assert_int_equal(nvio_qpair_in_flight(f.qp), f.held_count);
		/* They reach the controller in the order of submission, and may be answered in another one. */
		for (unsigned i = 0; i < f.held_count; i++)
			assert_int_equal(nvio_get_le32(f.held[i].sqe.cdw10), expected++);
		done += f.held_count;
		for (unsigned i = f.held_count; i > 0; i--)
			fix_answer(i - 1, 0);
		f.held_count = 0;
	}
	fix_run(1, 0);
	for (unsigned i = 0; i < OPS; i++) {
		assert_int_equal(o[i].done, 1);
		assert_int_equal(o[i].status, 0);
	}
	assert_int_equal(stats().submitted, OPS);
	assert_int_equal(stats().completed, OPS);
	assert_int_equal(stats().queued, OPS - 3);
	assert_int_equal(stats().bad_completions, 0);
	free(o);
}

static void answers_out_of_order_find_their_ops(void **state)
{
	struct fix_op o[31];
	uint32_t x = 12345;

	remake(32, 0, 0);
	f.hold_io = true;
	for (int round = 0; round < 40; round++) {
		for (int i = 0; i < 31; i++) {
			fix_op_init(&o[i]);
			assert_int_equal(nvio_ns_read(f.ns, f.qp, f.buf, (unsigned)i, i % 3 ? 1 : 32, &o[i].op), 0);
		}
		fix_run(1, 0);
		assert_int_equal(f.held_count, 31);
		for (unsigned left = 31; left; left--) {
			unsigned k = (x = x * 1664525 + 1013904223) % left;
			unsigned i = nvio_get_le32(f.held[k].sqe.cdw10);
			uint16_t sf = i % 5 ? 0 : NVIO_SF(2, 0x80 + i);

			fix_answer(k, sf);
			f.held[k] = f.held[left - 1];
			f.held_count--;
			fix_run(1, 0);
			assert_int_equal(o[i].done, 1);
			assert_int_equal(o[i].op.cpl.sf, sf);
		}
	}
	assert_int_equal(stats().bad_completions, 0);
}

/* ---- doorbells ---- */

static void one_doorbell_per_batch(void **state)
{
	struct nvio_op ops[10];
	uint64_t before = stats().sq_doorbells;

	for (int round = 0; round < 3; round++) {
		uint64_t commands = f.b.commands;

		for (int i = 0; i < 10; i++) {
			ops[i] = (struct nvio_op)NVIO_OP(NULL);
			assert_int_equal(nvio_ns_read(f.ns, f.qp, f.buf, 0, 1, &ops[i]), 0);
		}
		nvio_ctrlr_poll(f.c); /* moves the controller, which has not heard of them */
		assert_int_equal(f.b.commands, commands);
		assert_int_equal(nvio_qpair_poll(f.qp, 0), 10);
		assert_int_equal(stats().sq_doorbells, ++before);
	}
	assert_true(stats().cq_doorbells <= 1);
}

static void kick_rings_without_reaping(void **state)
{
	struct nvio_op op = NVIO_OP(NULL);
	uint64_t commands = f.b.commands;

	assert_int_equal(nvio_ns_read(f.ns, f.qp, f.buf, 0, 1, &op), 0);
	nvio_qpair_kick(f.qp);
	nvio_ctrlr_poll(f.c);
	assert_int_equal(f.b.commands, commands + 1);
	assert_true(nvio_op_pending(&op));
	nvio_qpair_kick(f.qp);
	assert_int_equal(stats().sq_doorbells, 1);
	assert_int_equal(nvio_wait(&op), 0);
}

static void immediate_rings_at_each_submit(void **state)
{
	struct nvio_op ops[10];

	remake(64, 0, NVIO_QPAIR_IMMEDIATE);
	for (int i = 0; i < 10; i++) {
		ops[i] = (struct nvio_op)NVIO_OP(NULL);
		assert_int_equal(nvio_ns_read(f.ns, f.qp, f.buf, 0, i & 1 ? 1 : 64, &ops[i]), 0);
		assert_int_equal(stats().sq_doorbells, i + 1);
	}
	for (int i = 0; i < 10; i++)
		assert_int_equal(nvio_wait(&ops[i]), 0);
}

static void completions_are_told_in_batches_and_never_twice(void **state)
{
	remake(256, 0, 0);
	for (int i = 0; i < 640; i++)
		assert_int_equal(fix_read(), 0);
	assert_int_equal(stats().cq_doorbells, 10); /* every 64 */
	assert_int_equal(*loop_doorbell(f.b.port, 3), 640 % f.b.q[1].cq_size);
}

/* ---- polling ---- */

static void poll_takes_at_most_max(void **state)
{
	struct nvio_op ops[10];

	for (int i = 0; i < 10; i++) {
		ops[i] = (struct nvio_op)NVIO_OP(NULL);
		assert_int_equal(nvio_ns_read(f.ns, f.qp, f.buf, 0, 1, &ops[i]), 0);
	}
	assert_int_equal(nvio_qpair_poll(f.qp, 3), 3);
	assert_int_equal(nvio_op_pending(&ops[3]), 1);
	assert_int_equal(nvio_qpair_poll(f.qp, 6), 6);
	assert_int_equal(nvio_qpair_poll(f.qp, 6), 1);
	assert_int_equal(nvio_qpair_poll(f.qp, 6), 0);
}

static int polled;

static void on_done_poll(struct nvio_op *op)
{
	int n = nvio_qpair_poll(f.qp, 0);

	assert_true(n >= 0);
	polled += n;
}

static void poll_may_be_called_from_a_callback(void **state)
{
	struct nvio_op ops[40];

	polled = 0;
	remake(64, 0, 0);
	for (int i = 0; i < 40; i++) {
		ops[i] = (struct nvio_op)NVIO_OP(on_done_poll);
		assert_int_equal(nvio_ns_read(f.ns, f.qp, f.buf, 0, 1, &ops[i]), 0);
	}
	polled += nvio_qpair_poll(f.qp, 0);
	assert_int_equal(polled, 40);
	assert_int_equal(stats().completed, 40);
}

/* ---- passthrough ---- */

static void passthrough_sends_what_it_is_given(void **state)
{
	struct nvio_sqe cmd = { .opc = NVIO_NVM_VERIFY, .cid = nvio_to_le16(0xbeef), .nsid = nvio_to_le32(3),
		.prp1 = nvio_to_le64(1), .cdw10 = nvio_to_le32(10), .cdw11 = nvio_to_le32(11), .cdw12 = nvio_to_le32(12),
		.cdw13 = nvio_to_le32(13), .cdw14 = nvio_to_le32(14), .cdw15 = nvio_to_le32(15) };
	struct nvio_op op = NVIO_OP(NULL);
	struct nvio_sqe *sqe = &f.held[0].sqe;

	f.hold_io = true;
	assert_int_equal(nvio_qpair_io(f.qp, &cmd, f.buf, 12288, &op), 0);
	memset(&cmd, 0xff, sizeof(cmd)); /* it was copied */
	fix_run(1, 0);
	assert_int_equal(sqe->opc, NVIO_NVM_VERIFY);
	assert_int_equal(nvio_get_le32(sqe->nsid), 3);
	assert_ptr_equal(bare_reach(&f.b, nvio_get_le64(sqe->prp1), 4096), f.buf);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(nvio_get_le32((&sqe->cdw10)[i]), 10 + i);
	fix_answer(0, NVIO_SF(0, 0x80));
	assert_int_equal(nvio_wait(&op), -ERANGE);
}

static bool copy_both_ways(unsigned qid, const struct nvio_sqe *sqe)
{
	uint8_t *page = bare_reach(&f.b, nvio_get_le64(sqe->prp1), 100);

	if (sqe->opc & 1)
		assert_int_equal(page[99], 0x42);
	if (sqe->opc & 2)
		page[99] = 0x17;
	bare_complete(&f.b, qid, bare_cid(sqe), 0, 0);
	return true;
}

static void passthrough_of_any_alignment_goes_both_ways(void **state)
{
	f.io = copy_both_ways;
	for (uint8_t opc = 0x81; opc <= 0x83; opc++) {
		for (unsigned skew = 0; skew < 4; skew++) {
			struct nvio_sqe cmd = { .opc = opc };
			struct nvio_op op = NVIO_OP(NULL);

			f.buf[skew + 99] = 0x42;
			assert_int_equal(nvio_await(nvio_qpair_io(f.qp, &cmd, f.buf + skew, 4096, &op), &op), 0);
			assert_int_equal(f.buf[skew + 99], opc & 2 ? 0x17 : 0x42);
		}
	}
	assert_int_equal(stats().bounced, 9);
}

#define CONNECTED(test) cmocka_unit_test_setup_teardown(test, fix_setup_connected, fix_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CONNECTED(as_many_as_the_controller_grants),
		CONNECTED(one_can_be_made_without_waiting),
		CONNECTED(one_that_is_refused_or_freed_says_so_once),
		CONNECTED(bad_options_are_refused),
		CONNECTED(sizes_and_requests_bound_the_depth),
		CONNECTED(more_ops_than_slots_wait_in_order),
		CONNECTED(answers_out_of_order_find_their_ops),
		CONNECTED(one_doorbell_per_batch),
		CONNECTED(kick_rings_without_reaping),
		CONNECTED(immediate_rings_at_each_submit),
		CONNECTED(completions_are_told_in_batches_and_never_twice),
		CONNECTED(poll_takes_at_most_max),
		CONNECTED(poll_may_be_called_from_a_callback),
		CONNECTED(passthrough_sends_what_it_is_given),
		CONNECTED(passthrough_of_any_alignment_goes_both_ways),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
