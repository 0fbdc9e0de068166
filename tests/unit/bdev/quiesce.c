/* SPDX-License-Identifier: BSD-3-Clause */
/* Quiesce: nothing is in flight and nothing begins, also on devices that others stand on. B5. */
#include "hold.h"

static unsigned char buf[HOLD_BLOCK];

static void everything_waits_until_it_is_over(void **state)
{
	struct fixture *f = *state;
	struct hold *h = make_hold(f, "h", 0);
	struct disk d = disk_open(f, "h", NVIO_BDEV_WRITE);
	struct side s = side_open(f, d.desc);
	struct nvio_bdev_lock q = { { 0 } };
	struct nvio_op op = NVIO_OP(NULL), before = NVIO_OP(NULL), io[3] = { NVIO_OP(NULL), NVIO_OP(NULL), NVIO_OP(NULL) };

	assert_ok(side_write(&s, d.desc, buf, 0, &before));
	assert_ok(nvio_bdev_quiesce(d.desc, d.ch, &q, &op));
	settle(f, &s);
	assert_true(nvio_op_pending(&op));
	hold_let_go(h->channels[1], 1);
	settle(f, &s);
	assert_ok(op.status);
	h->at_once = true;
	assert_ok(side_write(&s, d.desc, buf, 0, &io[0]));
	assert_ok(nvio_bdev_read(d.desc, d.ch, buf, 0, HOLD_BLOCK, &io[1])); /* the own channel, too */
	assert_ok(nvio_bdev_flush(d.desc, d.ch, &io[2]));
	settle(f, &s);
	assert_int_equal(h->submits, 1);
	for (unsigned i = 0; i < 3; i++)
		assert_true(nvio_op_pending(&io[i]));
	assert_ok(nvio_bdev_unquiesce(&q));
	settle(f, &s);
	for (unsigned i = 0; i < 3; i++)
		assert_ok(io[i].status);
	assert_int_equal(nvio_bdev_unquiesce(&q), -EINVAL);
	side_close(&s);
	disk_close(&d);
}

static void one_waits_for_locks_and_locks_wait_for_it(void **state)
{
	struct fixture *f = *state;
	struct hold *h = make_hold(f, "h", 0);
	struct disk d = disk_open(f, "h", NVIO_BDEV_WRITE);
	struct nvio_bdev_lock locks[3] = { 0 };
	struct nvio_op ops[3] = { NVIO_OP(NULL), NVIO_OP(NULL), NVIO_OP(NULL) };

	h->at_once = true;
	assert_ok(nvio_bdev_lock_range(d.desc, d.ch, &locks[0], 0, HOLD_BLOCK, 0, &ops[0]));
	assert_ok(nvio_bdev_quiesce(d.desc, d.ch, &locks[1], &ops[1]));
	assert_ok(nvio_bdev_lock_range(d.desc, d.ch, &locks[2], 8 * HOLD_BLOCK, HOLD_BLOCK, 0, &ops[2]));
	for (unsigned i = 0; i < 3; i++) {
		settle(f, NULL);
		for (unsigned k = 0; k < 3; k++)
			assert_int_equal(nvio_op_pending(&ops[k]), k > i);
		assert_ok(nvio_bdev_unlock_range(&locks[i]));
	}
	disk_close(&d);
}

/* I/O goes through the device above, without a frame (one passthru) or with (two); which is quiesced is below, between or above. */
static void what_stands_on_a_device_waits_with_it(void **state)
{
	static const struct {
		const char *top, *quiesced;
	} cases[] = { { "p1", "h" }, { "p1", "p1" }, { "p2", "h" }, { "p2", "p1" }, { "p2", "p2" } };
	struct fixture *f = *state;
	struct hold *h = make_hold(f, "h", 0);

	make_above(f, "p1", "h");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct disk top, d;
		struct nvio_bdev_lock q = { { 0 } };
		struct nvio_op op = NVIO_OP(NULL), before[2] = { NVIO_OP(NULL), NVIO_OP(NULL) }, after = NVIO_OP(NULL);
		struct hold_channel *c;

		if (i == 2)
			make_above(f, "p2", "p1"); /* which claims p1 */
		top = disk_open(f, cases[i].top, NVIO_BDEV_WRITE);
		d = disk_open(f, cases[i].quiesced, 0);
		c = h->channels[h->channel_count - 1];
		for (unsigned k = 0; k < 2; k++)
			assert_ok(nvio_bdev_write(top.desc, top.ch, buf, k * HOLD_BLOCK, HOLD_BLOCK, &before[k]));
		assert_ok(nvio_bdev_quiesce(d.desc, d.ch, &q, &op));
		assert_ok(nvio_bdev_write(top.desc, top.ch, buf, 0, HOLD_BLOCK, &after));
		settle(f, NULL);
		assert_true(nvio_op_pending(&op));
		assert_int_equal(hold_let_go(c, 1), 1);
		settle(f, NULL);
		assert_true(nvio_op_pending(&op));
		assert_int_equal(hold_let_go(c, 1), 1);
		settle(f, NULL);
		assert_ok(op.status);
		assert_ok(before[1].status);
		assert_int_equal(c->count, 0);
		assert_true(nvio_op_pending(&after));
		assert_ok(nvio_bdev_unquiesce(&q));
		settle(f, NULL);
		assert_int_equal(hold_let_go(c, 1), 1);
		settle(f, NULL);
		assert_ok(after.status);
		disk_close(&top);
		disk_close(&d);
		settle(f, NULL);
	}
}

/* Both at once: who drains the device above and who drains the one below wait for different things. */
static void devices_are_quiesced_independently(void **state)
{
	struct fixture *f = *state;
	struct hold *h = make_hold(f, "h", 0);
	struct disk top, d;
	struct nvio_bdev_lock above = { { 0 } }, below = { { 0 } }, range = { { 0 } };
	struct nvio_op ops[3] = { NVIO_OP(NULL), NVIO_OP(NULL), NVIO_OP(NULL) }, io[2] = { NVIO_OP(NULL), NVIO_OP(NULL) };

	make_above(f, "p", "h");
	top = disk_open(f, "p", NVIO_BDEV_WRITE);
	d = disk_open(f, "h", 0);
	assert_ok(nvio_bdev_write(top.desc, top.ch, buf, 0, HOLD_BLOCK, &io[0])); /* makes it feed */
	hold_let_go(h->channels[0], 1);
	settle(f, NULL);
	/* A write waits below for a range; the device above waits for that write, another range below does not. */
	assert_ok(nvio_await(nvio_bdev_lock_range(d.desc, d.ch, &range, 0, HOLD_BLOCK, NVIO_BDEV_LOCK_OWN, &ops[0]), &ops[0]));
	assert_ok(nvio_bdev_write(top.desc, top.ch, buf, 0, HOLD_BLOCK, &io[1]));
	assert_ok(nvio_bdev_quiesce(top.desc, top.ch, &above, &ops[1]));
	assert_ok(nvio_bdev_lock_range(d.desc, d.ch, &below, 8 * HOLD_BLOCK, HOLD_BLOCK, NVIO_BDEV_LOCK_OWN, &ops[2]));
	settle(f, NULL);
	assert_true(nvio_op_pending(&ops[1]));
	assert_ok(ops[2].status);
	assert_ok(nvio_bdev_unlock_range(&below));
	assert_ok(nvio_bdev_unlock_range(&range));
	settle(f, NULL);
	hold_let_go(h->channels[0], 1);
	settle(f, NULL);
	assert_ok(io[1].status);
	assert_ok(ops[1].status);
	assert_ok(nvio_bdev_unquiesce(&above));
	disk_close(&top);
	disk_close(&d);
}

/* Many locks that follow each other at once, while the module always has something. */
static void a_busy_device_is_quiesced_all_the_same(void **state)
{
	struct fixture *f = *state;
	struct hold *h = make_hold(f, "h", 0);
	struct disk d = disk_open(f, "h", NVIO_BDEV_WRITE);
	static struct nvio_op io[400];
	struct hold_channel *c = h->channels[0];
	unsigned submitted = 0;

	for (unsigned round = 0; round < 50; round++) {
		struct nvio_bdev_lock q = { { 0 } };
		struct nvio_op op = NVIO_OP(NULL);

		for (unsigned i = 0; i < 4; i++, submitted++) {
			io[submitted] = (struct nvio_op)NVIO_OP(NULL);
			assert_ok(nvio_bdev_read(d.desc, d.ch, buf, 0, HOLD_BLOCK, &io[submitted]));
		}
		assert_ok(nvio_bdev_quiesce(d.desc, d.ch, &q, &op));
		for (unsigned i = 0; i < 4; i++, submitted++) {
			io[submitted] = (struct nvio_op)NVIO_OP(NULL);
			assert_ok(nvio_bdev_read(d.desc, d.ch, buf, 0, HOLD_BLOCK, &io[submitted]));
		}
		while (nvio_op_pending(&op)) {
			hold_let_go(c, 1);
			nvio_thread_poll(f->thread, 0);
		}
		assert_ok(op.status);
		assert_int_equal(c->count, 0);
		assert_ok(nvio_bdev_unquiesce(&q));
		settle(f, NULL);
		assert_int_equal(c->count, 4);
	}
	hold_let_go(c, HOLD_MAX);
	settle(f, NULL);
	for (unsigned i = 0; i < submitted; i++)
		assert_ok(io[i].status);
	disk_close(&d);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		hold_test(everything_waits_until_it_is_over),
		hold_test(one_waits_for_locks_and_locks_wait_for_it),
		hold_test(what_stands_on_a_device_waits_with_it),
		hold_test(devices_are_quiesced_independently),
		hold_test(a_busy_device_is_quiesced_all_the_same),
	};

	return cmocka_run_group_tests_name("bdev/quiesce", tests, NULL, NULL);
}
