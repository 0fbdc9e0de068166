/* SPDX-License-Identifier: BSD-3-Clause */
/* Locks of ranges: who waits for whom, in which order, and how a lock ends. B5. */
#include "hold.h"

static unsigned char buf[HOLD_BLOCK];

static struct nvio_op lock_op(void)
{
	return (struct nvio_op)NVIO_OP(NULL);
}

static void a_lock_waits_for_what_is_in_flight_on_all_threads(void **state)
{
	struct fixture *f = *state;
	struct hold *h = make_hold(f, "h", 0);
	struct disk d = disk_open(f, "h", NVIO_BDEV_WRITE);
	struct side s = side_open(f, d.desc);
	struct nvio_op mine = NVIO_OP(NULL), theirs = NVIO_OP(NULL), later = NVIO_OP(NULL), op = lock_op();
	struct nvio_bdev_lock lock = { { 0 } };

	assert_ok(nvio_bdev_write(d.desc, d.ch, buf, 0, HOLD_BLOCK, &mine));
	assert_ok(side_write(&s, d.desc, buf, 1, &theirs));
	assert_ok(nvio_bdev_lock_range(d.desc, d.ch, &lock, 8 * HOLD_BLOCK, HOLD_BLOCK, 0, &op));
	settle(f, &s);
	assert_true(nvio_op_pending(&op));
	/* What begins now is not waited for: it knows of the lock. */
	assert_ok(side_write(&s, d.desc, buf, 2, &later));
	hold_let_go(h->channels[0], 1);
	settle(f, &s);
	assert_true(nvio_op_pending(&op));
	hold_let_go(h->channels[1], 1);
	settle(f, &s);
	assert_ok(op.status);
	assert_ok(theirs.status);
	assert_true(nvio_op_pending(&later));
	assert_ok(nvio_bdev_unlock_range(&lock));
	hold_let_go(h->channels[1], 1);
	settle(f, &s);
	side_close(&s);
	disk_close(&d);
}

static void what_overlaps_waits_and_everything_else_passes(void **state)
{
	enum who { OWN, OTHER };
	static const struct {
		uint32_t flags;
		enum who who;
		enum nvio_bdev_io_type type;
		uint64_t block;
		bool waits;
	} cases[] = {
		{ 0, OTHER, NVIO_BDEV_IO_WRITE, 8, true },
		{ 0, OTHER, NVIO_BDEV_IO_WRITE, 11, true },
		{ 0, OTHER, NVIO_BDEV_IO_WRITE, 7, false },
		{ 0, OTHER, NVIO_BDEV_IO_WRITE, 12, false },
		{ 0, OTHER, NVIO_BDEV_IO_READ, 8, false },
		{ 0, OTHER, NVIO_BDEV_IO_UNMAP, 8, true },
		{ 0, OTHER, NVIO_BDEV_IO_FLUSH, 0, false },
		{ 0, OWN, NVIO_BDEV_IO_WRITE, 8, false },
		{ NVIO_BDEV_LOCK_READS, OTHER, NVIO_BDEV_IO_READ, 9, true },
		{ NVIO_BDEV_LOCK_READS, OWN, NVIO_BDEV_IO_READ, 9, false },
		{ NVIO_BDEV_LOCK_OWN, OWN, NVIO_BDEV_IO_WRITE, 9, true },
		{ NVIO_BDEV_LOCK_OWN, OWN, NVIO_BDEV_IO_READ, 9, false },
		{ NVIO_BDEV_LOCK_OWN | NVIO_BDEV_LOCK_READS, OWN, NVIO_BDEV_IO_READ, 9, true },
	};
	struct fixture *f = *state;
	struct hold *h = make_hold(f, "h", NVIO_BDEV_CAN(NVIO_BDEV_IO_UNMAP));
	struct disk d = disk_open(f, "h", NVIO_BDEV_WRITE);
	struct side s = side_open(f, d.desc);

	h->at_once = true;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct nvio_channel *ch = cases[i].who == OWN ? d.ch : s.ch;
		struct nvio_thread *t = cases[i].who == OWN ? f->thread : s.thread;
		uint64_t offset = cases[i].block * HOLD_BLOCK;
		struct nvio_op op = lock_op(), io = NVIO_OP(NULL);
		struct nvio_bdev_lock lock = { { 0 } };
		int rc;

		assert_ok(nvio_bdev_lock_range(
			d.desc, d.ch, &lock, 8 * HOLD_BLOCK, 4 * HOLD_BLOCK, cases[i].flags, &op));
		settle(f, &s);
		assert_ok(op.status);
		assert_ok(nvio_thread_attach(t));
		switch (cases[i].type) {
		case NVIO_BDEV_IO_READ: rc = nvio_bdev_read(d.desc, ch, buf, offset, HOLD_BLOCK, &io); break;
		case NVIO_BDEV_IO_UNMAP: rc = nvio_bdev_unmap(d.desc, ch, offset, HOLD_BLOCK, &io); break;
		case NVIO_BDEV_IO_FLUSH: rc = nvio_bdev_flush(d.desc, ch, &io); break;
		default: rc = nvio_bdev_write(d.desc, ch, buf, offset, HOLD_BLOCK, &io);
		}
		assert_ok(nvio_thread_detach(t));
		assert_ok(rc);
		settle(f, &s);
		if (nvio_op_pending(&io) != cases[i].waits)
			fail_msg("case %zu", i);
		assert_ok(nvio_bdev_unlock_range(&lock));
		settle(f, &s);
		assert_ok(io.status);
	}
	side_close(&s);
	disk_close(&d);
}

static void locks_that_overlap_are_granted_in_order_and_io_has_its_turn_between(void **state)
{
	struct fixture *f = *state;
	struct hold *h = make_hold(f, "h", 0);
	struct disk d = disk_open(f, "h", NVIO_BDEV_WRITE);
	struct side s = side_open(f, d.desc);
	struct nvio_bdev_lock locks[4] = { 0 };
	struct nvio_op ops[4], io = NVIO_OP(NULL);
	/* The last is of another range, and need not wait. */
	static const unsigned first[] = { 0, 2, 1, 100 };

	h->at_once = true;
	for (unsigned i = 0; i < 4; i++) {
		ops[i] = lock_op();
		assert_ok(nvio_bdev_lock_range(
			d.desc, d.ch, &locks[i], first[i] * HOLD_BLOCK, 4 * HOLD_BLOCK, NVIO_BDEV_LOCK_OWN, &ops[i]));
	}
	settle(f, &s);
	assert_ok(ops[0].status);
	assert_ok(ops[3].status);
	assert_true(nvio_op_pending(&ops[1]) && nvio_op_pending(&ops[2]));
	assert_ok(side_write(&s, d.desc, buf, 3, &io)); /* overlaps all three */
	settle(f, &s);
	assert_true(nvio_op_pending(&io));
	assert_ok(nvio_bdev_unlock_range(&locks[0]));
	settle(f, &s);
	assert_ok(io.status);
	assert_ok(ops[1].status);
	assert_true(nvio_op_pending(&ops[2]));
	assert_ok(nvio_bdev_unlock_range(&locks[1]));
	settle(f, &s);
	assert_ok(ops[2].status);
	assert_ok(nvio_bdev_unlock_range(&locks[2]));
	assert_int_equal(nvio_bdev_unlock_range(&locks[2]), -EINVAL);
	assert_ok(nvio_bdev_unlock_range(&locks[3]));
	side_close(&s);
	disk_close(&d);
}

static void bad_requests_are_refused_in_words(void **state)
{
	static const struct {
		uint64_t offset, len;
		uint32_t flags, op_flags;
		int rc;
		const char *words;
	} cases[] = {
		{ 0, 0, 0, 0, -EINVAL, "length not 0" },
		{ 1, 512, 0, 0, -EINVAL, "multiples" },
		{ 0, 513, 0, 0, -EINVAL, "multiples" },
		{ HOLD_BLOCK * HOLD_BLOCKS, 512, 0, 0, -ERANGE, "beyond the end" },
		{ 512, HOLD_BLOCK * HOLD_BLOCKS, 0, 0, -ERANGE, "beyond the end" },
		{ UINT64_MAX - 511, 512, 0, 0, -ERANGE, "beyond the end" },
		{ 512, UINT64_MAX - 511, 0, 0, -ERANGE, "beyond the end" },
		{ 0, 512, 1u << 2, 0, -EINVAL, "unknown flags 0x4" },
		{ 0, 512, 0, NVIO_OP_FUA, -EINVAL, "op flags" },
	};
	struct fixture *f = *state;
	struct hold *h = make_hold(f, "h", 0);
	struct disk d = disk_open(f, "h", NVIO_BDEV_READ), other;
	struct nvio_bdev_lock lock = { { 0 } };
	struct nvio_op op = lock_op(), again = lock_op();

	h->at_once = true;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		op.flags = cases[i].op_flags;
		assert_int_equal(nvio_bdev_lock_range(d.desc, d.ch, &lock, cases[i].offset, cases[i].len, cases[i].flags, &op),
			cases[i].rc);
		assert_errmsg_has(cases[i].words);
		assert_int_equal(op.status, 0);
	}
	op.flags = 0;
	assert_int_equal(nvio_bdev_lock_range(NULL, d.ch, &lock, 0, 512, 0, &op), -EINVAL);
	assert_int_equal(nvio_bdev_lock_range(d.desc, NULL, &lock, 0, 512, 0, &op), -EINVAL);
	assert_int_equal(nvio_bdev_lock_range(d.desc, d.ch, NULL, 0, 512, 0, &op), -EINVAL);
	assert_int_equal(nvio_bdev_lock_range(d.desc, d.ch, &lock, 0, 512, 0, NULL), -EINVAL);
	make_null(f, "n", 512, 8);
	other = disk_open(f, "n", 0);
	assert_int_equal(nvio_bdev_lock_range(d.desc, other.ch, &lock, 0, 512, 0, &op), -EINVAL);
	disk_close(&other);
	assert_int_equal(nvio_bdev_unlock_range(NULL), -EINVAL);
	assert_int_equal(nvio_bdev_unlock_range(&lock), -EINVAL);
	assert_ok(nvio_await(nvio_bdev_lock_range(d.desc, d.ch, &lock, 0, 512, 0, &op), &op));
	assert_int_equal(nvio_bdev_lock_range(d.desc, d.ch, &lock, 0, 512, 0, &again), -EINVAL);
	assert_errmsg_has("in use");
	assert_ok(nvio_bdev_unlock_range(&lock));
	disk_close(&d);
}

static void requests_and_what_waits_end_by_cancel_and_deadline(void **state)
{
	struct fixture *f = *state;
	struct hold *h = make_hold(f, "h", 0);
	struct disk d = disk_open(f, "h", NVIO_BDEV_WRITE);
	struct side s = side_open(f, d.desc);
	struct nvio_bdev_lock locks[4] = { 0 };
	struct nvio_op ops[4], io[3];

	h->at_once = true;
	for (unsigned i = 0; i < 4; i++) {
		ops[i] = lock_op();
		ops[i].timeout_us = i == 2 ? 500 : 0;
		assert_ok(nvio_bdev_lock_range(d.desc, d.ch, &locks[i], 0, HOLD_BLOCK, 0, &ops[i]));
	}
	settle(f, &s);
	for (unsigned i = 0; i < 3; i++) {
		io[i] = lock_op();
		io[i].timeout_us = i == 1 ? 300 : 0;
		assert_ok(side_write(&s, d.desc, buf, 0, &io[i]));
	}
	assert_ok(nvio_cancel(&ops[1]));
	assert_ok(side_cancel(&s, &io[0]));
	settle(f, &s);
	assert_int_equal(ops[1].status, -ECANCELED);
	assert_int_equal(io[0].status, -ECANCELED);
	assert_true(nvio_op_pending(&io[1]) && nvio_op_pending(&ops[2]));
	hold_now_ns += 400000;
	settle(f, &s);
	assert_int_equal(io[1].status, -ETIMEDOUT);
	assert_true(nvio_op_pending(&ops[2]));
	hold_now_ns += 200000;
	settle(f, &s);
	assert_int_equal(ops[2].status, -ETIMEDOUT);
	assert_int_equal(h->submits, 0);
	assert_int_equal(nvio_bdev_unlock_range(&locks[1]), -EINVAL);
	assert_ok(nvio_bdev_unlock_range(&locks[0]));
	settle(f, &s);
	assert_ok(io[2].status);
	assert_ok(ops[3].status);
	assert_ok(nvio_bdev_unlock_range(&locks[3]));
	side_close(&s);
	disk_close(&d);
}

static void a_lock_ends_with_its_descriptor_and_with_its_channel(void **state)
{
	struct fixture *f = *state;
	struct hold *h = make_hold(f, "h", 0);
	struct disk d = disk_open(f, "h", NVIO_BDEV_WRITE), holder = disk_open(f, "h", 0);
	struct side s = side_open(f, d.desc);
	struct nvio_bdev_lock lock = { { 0 } }, pending = { { 0 } };
	struct nvio_op op = lock_op(), waits = lock_op(), io = NVIO_OP(NULL);

	h->at_once = true;
	assert_ok(nvio_bdev_lock_range(holder.desc, holder.ch, &lock, 0, HOLD_BLOCK, 0, &op));
	settle(f, &s);
	assert_ok(op.status);
	assert_ok(side_write(&s, d.desc, buf, 0, &io));
	settle(f, &s);
	assert_true(nvio_op_pending(&io));
	disk_close(&holder);
	settle(f, &s);
	assert_ok(io.status);
	assert_int_equal(nvio_bdev_unlock_range(&lock), -EINVAL);
	/* By a channel: the other thread's, which holds one and asks for another. */
	assert_ok(nvio_thread_attach(s.thread));
	assert_ok(nvio_bdev_lock_range(d.desc, s.ch, &lock, 0, HOLD_BLOCK, 0, &op));
	assert_ok(nvio_bdev_lock_range(d.desc, s.ch, &pending, 0, HOLD_BLOCK, 0, &waits));
	assert_ok(nvio_thread_detach(s.thread));
	settle(f, &s);
	assert_ok(op.status);
	io = (struct nvio_op)NVIO_OP(NULL);
	assert_ok(nvio_bdev_write(d.desc, d.ch, buf, 0, HOLD_BLOCK, &io));
	settle(f, &s);
	assert_true(nvio_op_pending(&io) && nvio_op_pending(&waits));
	side_close(&s);
	settle(f, NULL);
	assert_int_equal(waits.status, -ECANCELED);
	assert_ok(io.status);
	disk_close(&d);
}

static void a_channel_made_meanwhile_goes_by_the_lock(void **state)
{
	struct fixture *f = *state;
	struct hold *h = make_hold(f, "h", 0);
	struct disk d = disk_open(f, "h", NVIO_BDEV_WRITE);
	struct nvio_bdev_lock lock = { { 0 } };
	struct nvio_op op = lock_op(), io = NVIO_OP(NULL);
	struct side s;

	h->at_once = true;
	assert_ok(nvio_await(nvio_bdev_lock_range(d.desc, d.ch, &lock, 0, HOLD_BLOCK, 0, &op), &op));
	s = side_open(f, d.desc);
	assert_ok(side_write(&s, d.desc, buf, 0, &io));
	settle(f, &s);
	assert_true(nvio_op_pending(&io));
	assert_ok(nvio_bdev_unlock_range(&lock));
	settle(f, &s);
	assert_ok(io.status);
	side_close(&s);
	disk_close(&d);
}

static void removal_leaves_locks_as_they_are(void **state)
{
	struct fixture *f = *state;
	struct hold *h = make_hold(f, "h", 0);
	struct disk d = disk_open(f, "h", NVIO_BDEV_WRITE);
	struct side s = side_open(f, d.desc);
	struct nvio_bdev_lock lock = { { 0 } }, other = { { 0 } };
	struct nvio_op op = lock_op(), io = NVIO_OP(NULL), gone = NVIO_OP(NULL);

	h->at_once = true;
	assert_ok(nvio_bdev_lock_range(d.desc, d.ch, &lock, 0, HOLD_BLOCK, 0, &op));
	settle(f, &s);
	assert_ok(op.status);
	assert_ok(side_write(&s, d.desc, buf, 0, &io));
	assert_ok(nvio_bdev_delete(f->env, "h", &gone));
	settle(f, &s);
	assert_true(nvio_op_pending(&io));
	assert_int_equal(nvio_bdev_lock_range(d.desc, d.ch, &other, 0, HOLD_BLOCK, 0, &op), -ENODEV);
	assert_ok(nvio_bdev_unlock_range(&lock));
	settle(f, &s);
	assert_ok(io.status); /* it was submitted before */
	side_close(&s);
	disk_close(&d);
	assert_ok(nvio_wait(&gone));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		hold_test(a_lock_waits_for_what_is_in_flight_on_all_threads),
		hold_test(what_overlaps_waits_and_everything_else_passes),
		hold_test(locks_that_overlap_are_granted_in_order_and_io_has_its_turn_between),
		hold_test(bad_requests_are_refused_in_words),
		hold_test(requests_and_what_waits_end_by_cancel_and_deadline),
		hold_test(a_lock_ends_with_its_descriptor_and_with_its_channel),
		hold_test(a_channel_made_meanwhile_goes_by_the_lock),
		hold_test(removal_leaves_locks_as_they_are),
	};

	return cmocka_run_group_tests_name("bdev/lock", tests, NULL, NULL);
}
