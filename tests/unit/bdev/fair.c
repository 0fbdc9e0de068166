/* SPDX-License-Identifier: BSD-3-Clause */
/* A module without room: who waits has a turn, descriptor by descriptor, and in order within each; devices above, too. B5. */
#include "hold.h"

static unsigned char buf[HOLD_BLOCK];
static char order[128];
static unsigned order_count;

static void note_order(struct nvio_op *op)
{
	if (order_count < sizeof(order) - 1)
		order[order_count++] = *(const char *)op->arg;
	order[order_count] = 0;
}

static void submit(struct disk *d, struct nvio_op *op, const char *letter)
{
	*op = (struct nvio_op)NVIO_OP(note_order);
	op->arg = (void *)letter;
	assert_ok(nvio_bdev_write(d->desc, d->ch, buf, 0, HOLD_BLOCK, op));
}

static void finish(struct fixture *f, struct hold *h, unsigned count)
{
	while (order_count < count) {
		hold_let_go(h->channels[0], 1);
		settle(f, NULL);
	}
}

static void a_flood_does_not_starve_the_others(void **state)
{
	struct fixture *f = *state;
	struct hold *h = make_hold(f, "h", 0);
	struct disk d[3];
	static struct nvio_op ops[26];
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
	unsigned n = 0;

	for (unsigned i = 0; i < 3; i++)
		d[i] = disk_open(f, "h", NVIO_BDEV_WRITE);
	h->room = 1;
	order_count = 0;
	for (; n < 7; n++) /* a to g; a is with the module */
		submit(&d[0], &ops[n], &letters[n]);
	for (; n < 9; n++) /* h, i */
		submit(&d[1], &ops[n], &letters[n]);
	submit(&d[2], &ops[n], &letters[n]); /* j */
	finish(f, h, 10);
	assert_string_equal(order, "abhjcidefg");
	for (unsigned i = 0; i < 3; i++)
		disk_close(&d[i]);
}

/* What comes from devices above waits below with everybody else: those above are of one descriptor each. */
static void devices_above_have_their_turns(void **state)
{
	struct fixture *f = *state;
	struct hold *h = make_hold(f, "h", 0);
	static struct nvio_op ops[12];
	struct disk top, reader;

	make_above(f, "p", "h");
	top = disk_open(f, "p", NVIO_BDEV_WRITE);
	reader = disk_open(f, "h", NVIO_BDEV_READ);
	h->room = 1;
	order_count = 0;
	for (unsigned i = 0; i < 8; i++)
		submit(&top, &ops[i], "t");
	for (unsigned i = 8; i < 12; i++) {
		ops[i] = (struct nvio_op)NVIO_OP(note_order);
		ops[i].arg = (void *)"r";
		assert_ok(nvio_bdev_read(reader.desc, reader.ch, buf, 0, HOLD_BLOCK, &ops[i]));
	}
	finish(f, h, 12);
	assert_string_equal(order, "ttrtrtrtrttt");
	/* The other way round: who is above comes to a queue that is long already. */
	order_count = 0;
	for (unsigned i = 0; i < 8; i++) {
		ops[i] = (struct nvio_op)NVIO_OP(note_order);
		ops[i].arg = (void *)"r";
		assert_ok(nvio_bdev_read(reader.desc, reader.ch, buf, 0, HOLD_BLOCK, &ops[i]));
	}
	for (unsigned i = 8; i < 11; i++)
		submit(&top, &ops[i], "t");
	finish(f, h, 11);
	assert_string_equal(order, "rrtrtrtrrrr");
	disk_close(&top);
	disk_close(&reader);
}

static void deadlines_and_cancel_find_it_in_any_queue(void **state)
{
	struct fixture *f = *state;
	struct hold *h = make_hold(f, "h", 0);
	struct disk d[2];
	struct nvio_op with = NVIO_OP(NULL), late[2], cancelled[2], stays[2];

	for (unsigned i = 0; i < 2; i++)
		d[i] = disk_open(f, "h", NVIO_BDEV_WRITE);
	h->room = 1;
	assert_ok(nvio_bdev_write(d[0].desc, d[0].ch, buf, 0, HOLD_BLOCK, &with));
	for (unsigned i = 0; i < 2; i++) {
		late[i] = cancelled[i] = stays[i] = (struct nvio_op)NVIO_OP(NULL);
		late[i].timeout_us = 100 * (i + 1);
		assert_ok(nvio_bdev_write(d[i].desc, d[i].ch, buf, 0, HOLD_BLOCK, &late[i]));
		assert_ok(nvio_bdev_write(d[i].desc, d[i].ch, buf, 0, HOLD_BLOCK, &cancelled[i]));
		assert_ok(nvio_bdev_write(d[i].desc, d[i].ch, buf, 0, HOLD_BLOCK, &stays[i]));
		assert_ok(nvio_cancel(&cancelled[i]));
	}
	hold_now_ns += 150000;
	settle(f, NULL);
	assert_int_equal(late[0].status, -ETIMEDOUT);
	assert_true(nvio_op_pending(&late[1]));
	hold_now_ns += 100000;
	settle(f, NULL);
	assert_int_equal(late[1].status, -ETIMEDOUT);
	assert_int_equal(h->channels[0]->count, 1);
	for (unsigned i = 0; i < 3; i++) {
		hold_let_go(h->channels[0], 1);
		settle(f, NULL);
	}
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(cancelled[i].status, -ECANCELED);
		assert_ok(stays[i].status);
		disk_close(&d[i]);
	}
}

/* A channel's place in the descriptors is used again; nothing of the one before is left there. */
static void the_next_channel_begins_anew(void **state)
{
	struct fixture *f = *state;
	struct hold *h = make_hold(f, "h", 0);
	struct disk d = disk_open(f, "h", NVIO_BDEV_WRITE);
	struct nvio_op ops[3];

	nvio_channel_put(d.ch);
	settle(f, NULL);
	for (unsigned round = 0; round < 3; round++) {
		assert_ok(nvio_bdev_channel(d.desc, &d.ch));
		h->room = 1;
		for (unsigned i = 0; i < 3; i++) {
			ops[i] = (struct nvio_op)NVIO_OP(NULL);
			assert_ok(nvio_bdev_write(d.desc, d.ch, buf, 0, HOLD_BLOCK, &ops[i]));
		}
		nvio_channel_put(d.ch);
		settle(f, NULL);
		assert_ok(ops[0].status);
		assert_int_equal(ops[1].status, -ECANCELED);
		assert_int_equal(ops[2].status, -ECANCELED);
	}
	assert_ok(nvio_bdev_close(d.desc));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		hold_test(a_flood_does_not_starve_the_others),
		hold_test(devices_above_have_their_turns),
		hold_test(deadlines_and_cancel_find_it_in_any_queue),
		hold_test(the_next_channel_begins_anew),
	};

	return cmocka_run_group_tests_name("bdev/fair", tests, NULL, NULL);
}
