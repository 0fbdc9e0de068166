/* SPDX-License-Identifier: BSD-3-Clause */
/* Reset: what waits ends, what is with the module is waited for, the module has its turn, I/O goes on. B3. */
#include "hold.h"

#define RESET NVIO_BDEV_CAN(NVIO_BDEV_IO_RESET)

static unsigned char buf[HOLD_BLOCK];

static void what_waits_and_what_is_held_ends_and_io_goes_on(void **state)
{
	static const uint32_t types[] = { 0, RESET };
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		struct hold *h = make_hold(f, "h", types[i]);
		struct disk d = disk_open(f, "h", NVIO_BDEV_WRITE);
		struct side s = side_open(f, d.desc);
		struct nvio_op io[4], op = NVIO_OP(NULL), later = NVIO_OP(NULL);

		h->room = 1;
		for (unsigned k = 0; k < 4; k++) {
			io[k] = (struct nvio_op)NVIO_OP(NULL);
			if (k < 2)
				assert_ok(nvio_bdev_write(d.desc, d.ch, buf, 0, HOLD_BLOCK, &io[k]));
			else
				assert_ok(side_write(&s, d.desc, buf, 0, &io[k]));
		}
		assert_ok(nvio_bdev_reset(d.desc, d.ch, &op));
		settle(f, &s);
		assert_ok(op.status);
		for (unsigned k = 0; k < 4; k++)
			assert_int_equal(io[k].status, -ECANCELED);
		assert_int_equal(h->aborts, 2);
		assert_int_equal(h->resets, types[i] ? 1 : 0);
		h->at_once = true;
		assert_ok(side_write(&s, d.desc, buf, 0, &later));
		settle(f, &s);
		assert_ok(later.status);
		side_close(&s);
		disk_close(&d);
		delete_device(f, "h");
	}
}

static void io_that_comes_meanwhile_waits_and_the_module_is_waited_for(void **state)
{
	struct fixture *f = *state;
	struct hold *h = make_hold(f, "h", RESET);
	struct disk d = disk_open(f, "h", NVIO_BDEV_WRITE);
	struct side s = side_open(f, d.desc);
	struct nvio_op before = NVIO_OP(NULL), meanwhile = NVIO_OP(NULL), op = NVIO_OP(NULL), second = NVIO_OP(NULL);

	h->stubborn = true;
	assert_ok(side_write(&s, d.desc, buf, 0, &before));
	assert_ok(nvio_bdev_reset(d.desc, d.ch, &op));
	settle(f, &s);
	assert_true(nvio_op_pending(&op));
	assert_ok(side_write(&s, d.desc, buf, 0, &meanwhile));
	assert_int_equal(nvio_bdev_reset(d.desc, d.ch, &second), -EALREADY);
	settle(f, &s);
	assert_int_equal(h->submits, 1);
	hold_let_go(h->channels[1], 1);
	settle(f, &s);
	assert_ok(before.status); /* it was too late to end it */
	assert_ok(op.status);
	assert_int_equal(h->resets, 1);
	assert_int_equal(h->channels[1]->count, 1);
	hold_let_go(h->channels[1], 1);
	settle(f, &s);
	assert_ok(meanwhile.status);
	side_close(&s);
	disk_close(&d);
}

static void a_module_that_never_ends_its_io_is_given_up_at_the_deadline(void **state)
{
	struct fixture *f = *state;
	struct hold *h = make_hold(f, "h", RESET);
	struct disk d = disk_open(f, "h", NVIO_BDEV_WRITE);
	struct nvio_op before = NVIO_OP(NULL), waits = NVIO_OP(NULL), op = NVIO_OP(NULL), cancelled = NVIO_OP(NULL);

	h->stubborn = true;
	op.timeout_us = 1000;
	assert_ok(nvio_bdev_write(d.desc, d.ch, buf, 0, HOLD_BLOCK, &before));
	assert_ok(nvio_bdev_reset(d.desc, d.ch, &op));
	settle(f, NULL);
	assert_ok(nvio_bdev_write(d.desc, d.ch, buf, 0, HOLD_BLOCK, &waits));
	settle(f, NULL);
	assert_int_equal(h->channels[0]->count, 1);
	hold_now_ns += 1100000;
	settle(f, NULL);
	assert_int_equal(op.status, -ETIMEDOUT);
	assert_int_equal(h->channels[0]->count, 2); /* I/O goes on */
	assert_int_equal(h->resets, 0);
	/* The same by cancel, and a reset after it may come. */
	assert_ok(nvio_bdev_reset(d.desc, d.ch, &cancelled));
	settle(f, NULL);
	assert_ok(nvio_cancel(&cancelled));
	settle(f, NULL);
	assert_int_equal(cancelled.status, -ECANCELED);
	h->stubborn = false;
	op = (struct nvio_op)NVIO_OP(NULL);
	assert_ok(nvio_await(nvio_bdev_reset(d.desc, d.ch, &op), &op));
	assert_int_equal(before.status, -ECANCELED);
	assert_int_equal(waits.status, -ECANCELED);
	disk_close(&d);
}

static void the_modules_error_is_the_resets(void **state)
{
	struct fixture *f = *state;
	struct hold *h = make_hold(f, "h", RESET);
	struct disk d = disk_open(f, "h", NVIO_BDEV_WRITE);
	struct nvio_op op = NVIO_OP(NULL);

	h->reset_rc = -EIO;
	assert_int_equal(nvio_await(nvio_bdev_reset(d.desc, d.ch, &op), &op), -EIO);
	h->at_once = true;
	assert_ok(do_write(&d, buf, 0, HOLD_BLOCK));
	disk_close(&d);
}

static void bad_requests_are_refused(void **state)
{
	struct fixture *f = *state;
	struct disk d, r;
	struct nvio_op op = NVIO_OP(NULL), gone = NVIO_OP(NULL);

	make_hold(f, "h", RESET);
	d = disk_open(f, "h", NVIO_BDEV_WRITE);
	r = disk_open(f, "h", NVIO_BDEV_READ);
	assert_int_equal(nvio_bdev_reset(NULL, d.ch, &op), -EINVAL);
	assert_int_equal(nvio_bdev_reset(d.desc, NULL, &op), -EINVAL);
	assert_int_equal(nvio_bdev_reset(d.desc, d.ch, NULL), -EINVAL);
	assert_int_equal(nvio_bdev_reset(r.desc, r.ch, &op), -EBADF);
	assert_errmsg_has("read-only");
	op.flags = NVIO_OP_FUA;
	assert_int_equal(nvio_bdev_reset(d.desc, d.ch, &op), -EINVAL);
	op.flags = 0;
	assert_ok(nvio_bdev_delete(f->env, "h", &gone));
	assert_int_equal(nvio_bdev_reset(d.desc, d.ch, &op), -ENODEV);
	disk_close(&d);
	disk_close(&r);
	assert_ok(nvio_wait(&gone));
}

/* Reset from above goes all the way down, and ends what came from above where that waits: others' I/O is not its own to end. */
static void a_stacked_device_is_reset_down_to_the_ground(void **state)
{
	struct fixture *f = *state;
	struct hold *h = make_hold(f, "h", RESET);
	struct disk top, d;
	struct nvio_bdev_lock lock = { { 0 } };
	struct nvio_op io[3] = { NVIO_OP(NULL), NVIO_OP(NULL), NVIO_OP(NULL) }, op = NVIO_OP(NULL), l = NVIO_OP(NULL);

	make_above(f, "p1", "h");
	make_above(f, "p2", "p1");
	top = disk_open(f, "p2", NVIO_BDEV_WRITE);
	d = disk_open(f, "h", 0);
	assert_ok(nvio_await(nvio_bdev_lock_range(d.desc, d.ch, &lock, 0, HOLD_BLOCK, NVIO_BDEV_LOCK_OWN, &l), &l));
	h->room = 1;
	for (unsigned i = 0; i < 3; i++) /* the first waits for the lock, the second is with the module, the third waits for room */
		assert_ok(nvio_bdev_write(top.desc, top.ch, buf, i * HOLD_BLOCK, HOLD_BLOCK, &io[i]));
	settle(f, NULL);
	assert_int_equal(h->submits, 2);
	assert_ok(nvio_bdev_reset(top.desc, top.ch, &op));
	settle(f, NULL);
	settle(f, NULL);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(io[i].status, -ECANCELED);
	assert_ok(op.status);
	assert_int_equal(h->resets, 1);
	assert_ok(nvio_bdev_unlock_range(&lock));
	/* A deadline reaches down, too. */
	h->stubborn = true;
	assert_ok(nvio_bdev_read(d.desc, d.ch, buf, 0, HOLD_BLOCK, &io[0]));
	op = (struct nvio_op)NVIO_OP(NULL);
	op.timeout_us = 1000;
	assert_ok(nvio_bdev_reset(top.desc, top.ch, &op));
	settle(f, NULL);
	assert_true(nvio_op_pending(&op));
	hold_now_ns += 1100000;
	settle(f, NULL);
	assert_int_equal(op.status, -ETIMEDOUT);
	hold_let_go(h->channels[0], 1);
	settle(f, NULL);
	assert_ok(io[0].status);
	h->at_once = true;
	assert_ok(do_write(&top, buf, 0, HOLD_BLOCK));
	disk_close(&top);
	disk_close(&d);
}

static void requests_for_locks_end_and_locks_stay(void **state)
{
	struct fixture *f = *state;
	struct hold *h = make_hold(f, "h", RESET);
	struct disk d = disk_open(f, "h", NVIO_BDEV_WRITE);
	struct nvio_bdev_lock held = { { 0 } }, asked = { { 0 } };
	struct nvio_op ops[2] = { NVIO_OP(NULL), NVIO_OP(NULL) }, op = NVIO_OP(NULL);

	h->at_once = true;
	assert_ok(nvio_await(nvio_bdev_lock_range(d.desc, d.ch, &held, 0, HOLD_BLOCK, 0, &ops[0]), &ops[0]));
	assert_ok(nvio_bdev_lock_range(d.desc, d.ch, &asked, 0, HOLD_BLOCK, 0, &ops[1]));
	assert_ok(nvio_await(nvio_bdev_reset(d.desc, d.ch, &op), &op));
	assert_int_equal(ops[1].status, -ECANCELED);
	assert_ok(nvio_bdev_unlock_range(&held));
	disk_close(&d);
}

static void removal_and_the_channels_end_do_not_hang_it(void **state)
{
	struct fixture *f = *state;
	struct hold *h = make_hold(f, "h", RESET);
	struct disk d = disk_open(f, "h", NVIO_BDEV_WRITE);
	struct side s = side_open(f, d.desc);
	struct nvio_op io = NVIO_OP(NULL), op = NVIO_OP(NULL), gone = NVIO_OP(NULL), waits = NVIO_OP(NULL);

	h->stubborn = true;
	assert_ok(nvio_bdev_write(d.desc, d.ch, buf, 0, HOLD_BLOCK, &io));
	assert_ok(nvio_thread_attach(s.thread));
	assert_ok(nvio_bdev_reset(d.desc, s.ch, &op));
	assert_ok(nvio_thread_detach(s.thread));
	settle(f, &s);
	assert_ok(nvio_bdev_write(d.desc, d.ch, buf, 0, HOLD_BLOCK, &waits));
	assert_ok(nvio_bdev_delete(f->env, "h", &gone));
	settle(f, &s);
	assert_true(nvio_op_pending(&op) && nvio_op_pending(&waits));
	side_close(&s); /* who asked for it goes */
	settle(f, NULL);
	assert_int_equal(op.status, -ECANCELED);
	assert_int_equal(h->channels[0]->count, 2); /* what waited goes on, for it was submitted before the removal */
	hold_let_go(h->channels[0], 2);
	settle(f, NULL);
	assert_ok(io.status);
	assert_ok(waits.status);
	disk_close(&d);
	assert_ok(nvio_wait(&gone));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		hold_test(what_waits_and_what_is_held_ends_and_io_goes_on),
		hold_test(io_that_comes_meanwhile_waits_and_the_module_is_waited_for),
		hold_test(a_module_that_never_ends_its_io_is_given_up_at_the_deadline),
		hold_test(the_modules_error_is_the_resets),
		hold_test(bad_requests_are_refused),
		hold_test(a_stacked_device_is_reset_down_to_the_ground),
		hold_test(requests_for_locks_end_and_locks_stay),
		hold_test(removal_and_the_channels_end_do_not_hang_it),
	};

	return cmocka_run_group_tests_name("bdev/reset", tests, NULL, NULL);
}
