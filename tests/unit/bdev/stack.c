/* SPDX-License-Identifier: BSD-3-Clause */
/* Devices on devices: I/O that travels down and comes back, claims, removal and resizing from below. B1, B4. */
#include "stack.h"
#include <nvio/bdev_lock.h>
#include <nvio/bdev_stat.h>

#include "base/alloc.h"

static void make_passthru(struct fixture *f, const char *name, const char *base)
{
	struct nvio_bdev_passthru_opts o;

	nvio_bdev_passthru_opts_init(&o);
	o.name = name;
	o.base = base;
	assert_ok(nvio_bdev_passthru_create(f->env, &o));
}

static void what_is_written_above_is_read_below(void **state)
{
	static unsigned char buf[8192], seen[8192];
	struct fixture *f = *state;
	struct nvio_op op = NVIO_OP(NULL);
	struct disk top, bottom;

	make_malloc(f, "m", BLOCK, BLOCKS);
	make_passthru(f, "p1", "m");
	make_passthru(f, "p2", "p1");
	make_passthru(f, "p3", "p2");
	top = disk_open(f, "p3", NVIO_BDEV_WRITE);
	bottom = disk_open(f, "m", NVIO_BDEV_READ);
	memset(buf, 0xab, sizeof(buf));
	assert_ok(do_write(&top, buf, 4096, 8192));
	assert_ok(do_read(&bottom, seen, 4096, 8192));
	assert_memory_equal(buf, seen, sizeof(buf));
	assert_ok(nvio_await(nvio_bdev_write_zeroes(top.desc, top.ch, 4096, 4096, &op), &op));
	assert_ok(do_read(&bottom, seen, 4096, 8192));
	assert_true(all_bytes_are(seen, 0, 4096));
	assert_true(all_bytes_are(seen + 4096, 0xab, 4096));
	op.timeout_us = 1000000;
	assert_ok(nvio_await(nvio_bdev_read(top.desc, top.ch, seen, 4096, 8192, &op), &op));
	disk_close(&top);
	disk_close(&bottom);
}

static void the_device_below_is_claimed(void **state)
{
	struct fixture *f = *state;
	struct nvio_bdev_desc *desc;
	struct nvio_op op = NVIO_OP(NULL);

	make_malloc(f, "m", BLOCK, BLOCKS);
	make_passthru(f, "p", "m");
	assert_int_equal(nvio_bdev_open(f->env, "m", NVIO_BDEV_WRITE, &desc), -EPERM);
	assert_ok(nvio_await(nvio_bdev_delete(f->env, "p", &op), &op));
	assert_ok(nvio_bdev_open(f->env, "m", NVIO_BDEV_WRITE, &desc));
	assert_ok(nvio_bdev_close(desc));
}

static void count_event(struct nvio_bdev_desc *desc, enum nvio_bdev_event event, void *arg)
{
	((unsigned *)arg)[event]++;
}

static void removal_and_resizing_below_are_heard_above(void **state)
{
	struct fixture *f = *state;
	struct nvio_op op = NVIO_OP(NULL);
	unsigned events[2] = { 0 };
	unsigned char buf[512];
	struct disk top;

	make_malloc(f, "m", BLOCK, BLOCKS);
	make_passthru(f, "p1", "m");
	make_passthru(f, "p2", "p1");
	top = disk_open(f, "p2", NVIO_BDEV_WRITE);
	nvio_bdev_set_event_fn(top.desc, count_event, events);
	assert_ok(nvio_bdev_resize(f->env, "m", BLOCKS / 2));
	while (!events[NVIO_BDEV_RESIZED])
		nvio_thread_poll(f->thread, 0);
	assert_int_equal(nvio_bdev_num_blocks(top.bdev), BLOCKS / 2);
	assert_int_equal(do_read(&top, buf, BLOCKS / 2 * BLOCK, BLOCK), -ERANGE);
	assert_ok(nvio_bdev_delete(f->env, "m", &op));
	while (!events[NVIO_BDEV_REMOVED])
		nvio_thread_poll(f->thread, 0);
	assert_int_equal(do_read(&top, buf, 0, BLOCK), -ENODEV);
	assert_true(nvio_op_pending(&op));
	disk_close(&top);
	assert_ok(nvio_wait(&op));
	assert_int_equal(nvio_bdev_open(f->env, "p1", 0, &top.desc), -ENODEV);
}

static void an_environment_closes_whatever_stands_on_what(void **state)
{
	struct fixture *f = *state;
	static struct nvio_op op, ios[64];
	static unsigned char buf[64][512];
	struct disk top;

	make_malloc(f, "m", BLOCK, BLOCKS);
	make_passthru(f, "p1", "m");
	make_passthru(f, "p2", "p1");
	make_passthru(f, "p3", "p2");
	top = disk_open(f, "p3", NVIO_BDEV_WRITE);
	for (unsigned i = 0; i < 64; i++) {
		ios[i] = (struct nvio_op)NVIO_OP(NULL);
		assert_ok(nvio_bdev_write(top.desc, top.ch, buf[i], i * 512, 512, &ios[i]));
	}
	op = (struct nvio_op)NVIO_OP(NULL);
	assert_ok(nvio_bdev_delete(f->env, "p1", &op));
}

/* All that a stack may be made of, as deep as text can make it; and what is seen at the bottom is what was meant. */
static void a_stack_may_be_deep_and_mixed(void **state)
{
	static unsigned char out[1 << 20], in[1 << 20];
	struct fixture *f = *state;
	struct disk top, bottom;

	make(f, "passthru?name=top:delay:error:passthru:split?count=1:delay:error:passthru:delay:error:split?count=1:passthru:error:"
		"passthru:passthru:malloc:2M?name=m");
	top = disk_open(f, "top", NVIO_BDEV_WRITE);
	bottom = disk_open(f, "m", NVIO_BDEV_READ);
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (unsigned char)(i * 11 + (i >> 9));
	assert_ok(do_write(&top, out, BLOCK, sizeof(out)));
	assert_ok(do_read(&bottom, in, BLOCK, sizeof(in)));
	assert_memory_equal(in, out, sizeof(in));
	memset(in, 0, sizeof(in));
	assert_ok(do_read(&top, in, BLOCK, sizeof(in)));
	assert_memory_equal(in, out, sizeof(in));
	disk_close(&top);
	disk_close(&bottom);
}

/* Written by the top device, piece by piece, since nothing below has it. */
static void zeros_are_written_where_the_bottom_lacks_write_zeroes(void **state)
{
	struct fixture *f = *state;
	struct nvio_op op = NVIO_OP(NULL);
	struct disk top;

	make_slow(f, "s", 0);
	slow.at_once = true;
	make(f, "passthru?name=top:error:delay:bdev:s");
	top = disk_open(f, "top", NVIO_BDEV_WRITE);
	assert_ok(nvio_await(nvio_bdev_write_zeroes(top.desc, top.ch, BLOCK, (BLOCKS - 1) * BLOCK, &op), &op));
	assert_int_equal(slow.by_type[NVIO_BDEV_IO_WRITE_ZEROES], 0);
	assert_in_range(slow.by_type[NVIO_BDEV_IO_WRITE], 1, BLOCKS);
	assert_int_equal(slow.order[0], BLOCK);
	assert_int_equal(nvio_bdev_unmap(top.desc, top.ch, 0, BLOCK, &op), -EOPNOTSUPP);
	disk_close(&top);
}

#define MANY 1500u

static struct nvio_op ops[MANY];
static unsigned char bufs[MANY][BLOCK];

/* More I/O than all frames together, over a bottom with room for three: in order, and to the last one. */
static void without_room_below_all_wait_in_order(void **state)
{
	static const char *const texts[] = { "passthru?name=top:bdev:s", "passthru?name=top:passthru:passthru:bdev:s",
		"split?name=top&count=1:error:delay:passthru:bdev:s" };
	struct fixture *f;

	for (size_t t = 0; t < ARRAY_SIZE(texts); t++) {
		struct disk top;

		f = *state;
		make_slow(f, "s", 0);
		slow.room = 3;
		make(f, texts[t]);
		top = disk_open(f, t == 2 ? "topp0" : "top", NVIO_BDEV_WRITE);
		for (unsigned i = 0; i < MANY; i++)
			start_write(&top, &ops[i], bufs[i], (uint64_t)i * BLOCK, BLOCK);
		for (unsigned i = 0; i < MANY && slow.count; i++) {
			poll_some(f);
			slow_let_go(1 + i % 3, 0);
		}
		poll_some(f);
		for (unsigned i = 0; i < MANY; i++) {
			assert_ok(ops[i].status);
			assert_int_equal(slow.order[i], (uint64_t)i * BLOCK);
		}
		disk_close(&top);
		fixture_teardown(state);
		fixture_setup(state);
	}
}

/* Those who come through a stack, and those who use the bottom themselves, wait for the same room. */
static void above_and_below_share_the_room(void **state)
{
	struct fixture *f = *state;
	struct disk top, direct;

	make_slow(f, "s", 0);
	slow.room = 0;
	make(f, "passthru?name=top:bdev:s");
	top = disk_open(f, "top", NVIO_BDEV_WRITE);
	direct = disk_open(f, "s", NVIO_BDEV_READ);
	start_read(&top, &ops[0], bufs[0], 0, BLOCK);
	start_read(&direct, &ops[1], bufs[1], BLOCK, BLOCK);
	start_read(&top, &ops[2], bufs[2], 2 * BLOCK, BLOCK);
	slow.at_once = true;
	/* The one call that the module owes. */
	nvio_bdev_channel_ready(slow.channel);
	poll_some(f);
	for (unsigned i = 0; i < 3; i++)
		assert_ok(ops[i].status);
	start_read(&top, &ops[0], bufs[0], 0, BLOCK);
	poll_some(f);
	assert_ok(ops[0].status);
	disk_close(&top);
	disk_close(&direct);
}

static void what_waits_below_can_be_cancelled_and_has_its_deadline(void **state)
{
	static const char *const texts[] = { "passthru?name=top:bdev:s", "passthru?name=top:error:passthru:bdev:s" };

	for (size_t t = 0; t < ARRAY_SIZE(texts); t++) {
		struct fixture *f = *state;
		struct disk top;

		make_slow(f, "s", 0);
		slow.room = 1;
		make(f, texts[t]);
		top = disk_open(f, "top", NVIO_BDEV_WRITE);
		for (unsigned i = 0; i < 4; i++) {
			ops[i] = (struct nvio_op)NVIO_OP(NULL);
			ops[i].timeout_us = i == 2 || i == 0 ? 1000 : 0;
			assert_ok(nvio_bdev_read(top.desc, top.ch, bufs[i], i * BLOCK, BLOCK, &ops[i]));
		}
		assert_int_equal(nvio_cancel(&ops[0]), -EOPNOTSUPP);
		assert_ok(nvio_cancel(&ops[1]));
		poll_some(f);
		assert_int_equal(ops[1].status, -ECANCELED);
		advance_us(f, 1000);
		/* The one that waits; what the module has, it finishes first. */
		assert_int_equal(ops[2].status, -ETIMEDOUT);
		assert_true(nvio_op_pending(&ops[0]));
		slow_let_go(1, 0);
		poll_some(f);
		assert_int_equal(ops[0].status, -ETIMEDOUT);
		assert_true(nvio_op_pending(&ops[3]));
		slow_let_go(1, 0);
		poll_some(f);
		assert_ok(ops[3].status);
		disk_close(&top);
		fixture_teardown(state);
		clocked_setup(state);
	}
}

static void an_environment_closes_stacks_that_hold_io(void **state)
{
	struct fixture *f = *state;
	struct disk d[4];

	make(f, "passthru?name=a:delay?avg_read=3600000000:malloc:2M");
	make(f, "split?name=b&count=2:passthru:error?kind=pend:malloc:2M");
	make(f, "delay?name=c&avg_read=3600000000:error?kind=no_memory&us=3600000000:malloc:2M");
	d[0] = disk_open(f, "a", NVIO_BDEV_WRITE);
	d[1] = disk_open(f, "bp0", NVIO_BDEV_WRITE);
	d[2] = disk_open(f, "bp1", NVIO_BDEV_WRITE);
	d[3] = disk_open(f, "c", NVIO_BDEV_WRITE);
	for (unsigned i = 0; i < 400; i++)
		start_read(&d[i % 4], &ops[i], bufs[i], 0, BLOCK);
	poll_some(f);
	for (unsigned i = 0; i < 400; i++)
		assert_true(nvio_op_pending(&ops[i]));
	/* The teardown closes; it would hang if anything did. */
}

/* As for parts of a split: whoever has taken over the name is not the one that stands on the base. */
static void another_device_of_the_same_name_is_left_alone(void **state)
{
	struct fixture *f = *state;
	struct nvio_op op = NVIO_OP(NULL), base_op = NVIO_OP(NULL);
	struct disk top;
	uint64_t blocks;

	make(f, "passthru?name=p:malloc:2M?name=m");
	top = disk_open(f, "p", NVIO_BDEV_WRITE);
	assert_ok(nvio_bdev_delete(f->env, "p", &op));
	make_malloc(f, "p", BLOCK, 77);
	assert_ok(nvio_bdev_resize(f->env, "m", 50));
	poll_some(f);
	assert_ok(nvio_bdev_delete(f->env, "m", &base_op));
	poll_some(f);
	assert_true(is_there(f, "p", &blocks));
	assert_int_equal(blocks, 77);
	disk_close(&top);
	assert_ok(nvio_wait(&op));
	assert_ok(nvio_wait(&base_op));
}

static void each_allocation_may_fail(void **state)
{
	struct fixture *f = *state;
	struct nvio_bdev_passthru_opts o;
	struct nvio_bdev_desc *desc;
	long left = -1;
	int rc;

	make_malloc(f, "m", BLOCK, BLOCKS);
	nvio_bdev_passthru_opts_init(&o);
	o.name = "p";
	o.base = "m";
	for (long n = 0; left < 0; n++) {
		alloc_fail_after(n);
		rc = nvio_bdev_passthru_create(f->env, &o);
		left = alloc_fail_after(-1);
		assert_int_equal(rc, left < 0 ? -ENOMEM : 0);
		if (rc) {
			assert_ok(nvio_bdev_open(f->env, "m", NVIO_BDEV_WRITE, &desc));
			assert_ok(nvio_bdev_close(desc));
		}
	}
	channel_allocations_may_fail(f, "p");
}

/* A stack of which I/O goes straight through, and a descriptor that locks part of it. */
struct hang_up {
	struct nvio_bdev_desc *locker;
	struct nvio_channel *ch;
};

static void hang_up(struct nvio_timer *timer)
{
	struct hang_up *h = timer->arg;

	assert_ok(nvio_bdev_close(h->locker));
	nvio_channel_put(h->ch);
}

/* Its lock given back, the channel has a note under way, and its end polls until that has come: the one below ends meanwhile. */
static void a_channel_that_is_told_something_ends_before_the_one_below(void **state)
{
	struct fixture *f = *state;
	struct nvio_bdev_lock lock = { 0 };
	struct nvio_op op = NVIO_OP(NULL);
	struct nvio_timer timer = { .fn = hang_up };
	struct nvio_bdev_desc *desc;
	struct hang_up h;
	char buf[BLOCK];

	make(f, "passthru?name=top:malloc:1M?name=bottom");
	assert_ok(nvio_bdev_open(f->env, "top", 0, &desc));
	assert_ok(nvio_bdev_open(f->env, "top", 0, &h.locker));
	assert_ok(nvio_bdev_channel(desc, &h.ch));
	assert_ok(nvio_bdev_read(desc, h.ch, buf, 0, BLOCK, &op));
	poll_some(f);
	assert_int_equal(op.status, 0);
	op = (struct nvio_op)NVIO_OP(NULL);
	assert_ok(nvio_bdev_lock_range(h.locker, h.ch, &lock, 0, BLOCK, 0, &op));
	poll_some(f);
	assert_int_equal(op.status, 0);
	timer.arg = &h;
	assert_ok(nvio_timer_start(f->thread, &timer, 1));
	advance_us(f, 10);
	assert_ok(nvio_bdev_close(desc));
}

static void what_never_went_down_is_not_counted_below(void **state)
{
	struct fixture *f = *state;
	struct nvio_bdev_stats stats = NVIO_BDEV_STATS;
	struct nvio_bdev_lock lock = { 0 };
	struct nvio_op op = NVIO_OP(NULL), held = NVIO_OP(NULL), told = NVIO_OP(NULL);
	struct nvio_bdev_desc *desc, *below;
	struct nvio_channel *ch;
	char buf[BLOCK];

	make(f, "passthru?name=top:malloc:1M?name=bottom");
	assert_ok(nvio_bdev_open(f->env, "top", 0, &desc));
	assert_ok(nvio_bdev_open(f->env, "bottom", 0, &below));
	assert_ok(nvio_bdev_channel(desc, &ch));
	assert_ok(nvio_bdev_read(desc, ch, buf, 0, BLOCK, &op));
	poll_some(f);
	op = (struct nvio_op)NVIO_OP(NULL);
	assert_ok(nvio_bdev_quiesce(desc, ch, &lock, &op));
	poll_some(f);
	assert_int_equal(op.status, 0);
	assert_ok(nvio_bdev_read(desc, ch, buf, 0, BLOCK, &held));
	assert_ok(nvio_cancel(&held));
	poll_some(f);
	assert_int_equal(held.status, -ECANCELED);
	assert_ok(nvio_bdev_get_stats(below, &stats, &told));
	while (nvio_op_pending(&told))
		poll_some(f);
	assert_int_equal(stats.io[NVIO_BDEV_IO_READ].ops, 1);
	assert_int_equal(stats.io[NVIO_BDEV_IO_READ].errors, 0);
	assert_ok(nvio_bdev_unquiesce(&lock));
	nvio_channel_put(ch);
	poll_some(f);
	assert_ok(nvio_bdev_close(below));
	assert_ok(nvio_bdev_close(desc));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		fixture_test(what_is_written_above_is_read_below),
		fixture_test(the_device_below_is_claimed),
		fixture_test(removal_and_resizing_below_are_heard_above),
		fixture_test(an_environment_closes_whatever_stands_on_what),
		fixture_test(a_stack_may_be_deep_and_mixed),
		fixture_test(zeros_are_written_where_the_bottom_lacks_write_zeroes),
		fixture_test(without_room_below_all_wait_in_order),
		fixture_test(above_and_below_share_the_room),
		clocked_test(a_channel_that_is_told_something_ends_before_the_one_below),
		clocked_test(what_never_went_down_is_not_counted_below),
		clocked_test(what_waits_below_can_be_cancelled_and_has_its_deadline),
		fixture_test(an_environment_closes_stacks_that_hold_io),
		fixture_test(another_device_of_the_same_name_is_left_alone),
		fixture_test(each_allocation_may_fail),
	};

	return cmocka_run_group_tests_name("bdev stack", tests, NULL, NULL);
}
