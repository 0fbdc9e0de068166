/* SPDX-License-Identifier: BSD-3-Clause */
/* The delay device: how long what is held, on the test's clock. B4. */
#include "stack.h"

#include <poll.h>

#include "base/alloc.h"
#include "base/clock.h"

#define MANY 10000u

static struct nvio_op ops[MANY];
static unsigned char buf[MANY][BLOCK];

static unsigned pending(unsigned count)
{
	unsigned n = 0;

	for (unsigned i = 0; i < count; i++)
		n += nvio_op_pending(&ops[i]);
	return n;
}

static void set_latency(struct fixture *f, uint64_t read_us, uint64_t write_us)
{
	struct nvio_bdev_delay_opts o;
	struct nvio_op op = NVIO_OP(NULL);

	nvio_bdev_delay_opts_init(&o);
	o.avg_read_us = o.p99_read_us = read_us;
	o.avg_write_us = o.p99_write_us = write_us;
	assert_ok(nvio_await(nvio_bdev_delay_update(f->env, "d", &o, &op), &op));
}

static void reads_and_writes_take_their_own_time_and_all_else_that_of_writes(void **state)
{
	struct fixture *f = *state;
	struct disk d;

	make(f, "delay?name=d&avg_read=100&avg_write=300:malloc:2M");
	d = disk_open(f, "d", NVIO_BDEV_WRITE);
	memset(buf[1], 0xab, BLOCK);
	start_read(&d, &ops[0], buf[0], 0, BLOCK);
	start_write(&d, &ops[1], buf[1], 0, BLOCK);
	ops[2] = (struct nvio_op)NVIO_OP(NULL);
	assert_ok(nvio_bdev_write_zeroes(d.desc, d.ch, BLOCK, BLOCK, &ops[2]));
	ops[3] = (struct nvio_op)NVIO_OP(NULL);
	assert_ok(nvio_bdev_unmap(d.desc, d.ch, 2 * BLOCK, BLOCK, &ops[3]));
	advance_us(f, 99);
	assert_int_equal(pending(4), 4);
	advance_us(f, 1);
	assert_int_equal(pending(4), 3);
	assert_ok(ops[0].status);
	advance_us(f, 199);
	assert_int_equal(pending(4), 3);
	advance_us(f, 1);
	assert_int_equal(pending(4), 0);
	for (unsigned i = 0; i < 4; i++)
		assert_ok(ops[i].status);
	disk_close(&d);
}

/* Writes of 1 MiB through the delay are what they were, and a read brings them back. */
static void data_goes_through_as_it_is(void **state)
{
	struct fixture *f = *state;
	unsigned char *out = malloc(1 << 20), *in = calloc(1, 1 << 20);
	struct disk d;

	make(f, "delay?name=d&avg_read=1&avg_write=1:malloc:2M");
	d = disk_open(f, "d", NVIO_BDEV_WRITE);
	for (unsigned i = 0; i < 1 << 20; i++)
		out[i] = (unsigned char)(i * 7 + (i >> 8));
	start_write(&d, &ops[0], out, BLOCK, 1 << 20);
	advance_us(f, 1);
	assert_ok(ops[0].status);
	start_read(&d, &ops[0], in, BLOCK, 1 << 20);
	advance_us(f, 1);
	assert_ok(ops[0].status);
	assert_memory_equal(in, out, 1 << 20);
	disk_close(&d);
	free(out);
	free(in);
}

/* How many of MANY reads take the p99 latency. */
static unsigned count_late(struct fixture *f, const char *device)
{
	struct disk d = disk_open(f, device, NVIO_BDEV_WRITE);
	unsigned late;

	for (unsigned i = 0; i < MANY; i++) {
		start_read(&d, &ops[i], buf[i], 0, BLOCK);
		/* No more than are forwarded at once. */
		if (i % 100 == 99)
			poll_some(f);
	}
	advance_us(f, 10);
	late = pending(MANY);
	advance_us(f, 989);
	assert_int_equal(pending(MANY), late);
	advance_us(f, 1);
	assert_int_equal(pending(MANY), 0);
	disk_close(&d);
	poll_some(f);
	return late;
}

static void one_in_a_hundred_takes_the_p99_latency_and_the_same_ones_each_time(void **state)
{
	struct fixture *f = *state;
	unsigned late;

	make(f, "delay?name=d&avg_read=10&p99_read=1000:null:2M");
	late = count_late(f, "d");
	assert_in_range(late, 60, 140);
	fixture_teardown(state);
	clocked_setup(state);
	f = *state;
	make(f, "delay?name=d&avg_read=10&p99_read=1000:null:2M");
	assert_int_equal(count_late(f, "d"), late);
	/* Another channel goes on with other numbers. */
	assert_in_range(count_late(f, "d"), 60, 140);
}

static void other_latencies_hold_for_what_is_held_already(void **state)
{
	struct fixture *f = *state;
	struct disk d;

	make(f, "delay?name=d&avg_read=1000000:null:2M");
	d = disk_open(f, "d", NVIO_BDEV_WRITE);
	start_read(&d, &ops[0], buf[0], 0, BLOCK);
	advance_us(f, 400);
	assert_int_equal(pending(1), 1);
	set_latency(f, 500, 0);
	poll_some(f);
	assert_int_equal(pending(1), 1);
	start_read(&d, &ops[1], buf[1], 0, BLOCK);
	advance_us(f, 100);
	assert_false(nvio_op_pending(&ops[0]));
	assert_true(nvio_op_pending(&ops[1]));
	/* Longer: counted from when it began. */
	set_latency(f, 2000, 0);
	advance_us(f, 1899);
	assert_true(nvio_op_pending(&ops[1]));
	advance_us(f, 1);
	assert_false(nvio_op_pending(&ops[1]));
	start_read(&d, &ops[0], buf[0], 0, BLOCK);
	set_latency(f, 0, 0);
	poll_some(f);
	assert_int_equal(pending(2), 0);
	disk_close(&d);
}

/* In real time: few turns, since it sleeps in between. */
static void a_thread_with_nothing_but_held_io_sleeps_until_it_is_due(void **state)
{
	struct fixture *f = *state;
	struct pollfd fd = { .fd = nvio_thread_fd(f->thread), .events = POLLIN };
	uint64_t begin = clock_monotonic_ns();
	unsigned turns = 0;
	struct disk d;

	make(f, "delay?name=d&avg_read=50000:null:2M");
	d = disk_open(f, "d", NVIO_BDEV_WRITE);
	for (unsigned i = 0; i < 100; i++)
		start_read(&d, &ops[i], buf[i], 0, BLOCK);
	assert_false(nvio_thread_has_active_pollers(f->thread));
	for (; pending(100); turns++) {
		poll(&fd, 1, nvio_thread_timeout_ms(f->thread));
		nvio_thread_poll(f->thread, 0);
	}
	assert_true(clock_monotonic_ns() - begin >= 50000000);
	assert_in_range(turns, 1, 200);
	disk_close(&d);
}

static void what_is_held_ends_with_its_channel(void **state)
{
	struct fixture *f = *state;
	struct disk d;

	make(f, "delay?name=d&avg_read=100000000&avg_write=100000000:null:2M");
	d = disk_open(f, "d", NVIO_BDEV_WRITE);
	start_read(&d, &ops[0], buf[0], 0, BLOCK);
	start_write(&d, &ops[1], buf[1], 0, BLOCK);
	poll_some(f);
	nvio_channel_put(d.ch);
	poll_some(f);
	assert_int_equal(ops[0].status, -ECANCELED);
	assert_int_equal(ops[1].status, -ECANCELED);
	assert_ok(nvio_bdev_close(d.desc));
}

static void a_deadline_shorter_than_the_latency_is_told(void **state)
{
	struct fixture *f = *state;
	struct disk d;

	make(f, "delay?name=d&avg_read=1000:null:2M");
	d = disk_open(f, "d", NVIO_BDEV_WRITE);
	ops[0] = (struct nvio_op)NVIO_OP(NULL);
	ops[0].timeout_us = 500;
	assert_ok(nvio_bdev_read(d.desc, d.ch, buf[0], 0, BLOCK, &ops[0]));
	ops[1] = (struct nvio_op)NVIO_OP(NULL);
	ops[1].timeout_us = 1500;
	assert_ok(nvio_bdev_read(d.desc, d.ch, buf[0], 0, BLOCK, &ops[1]));
	advance_us(f, 1000);
	assert_int_equal(ops[0].status, -ETIMEDOUT);
	assert_ok(ops[1].status);
	disk_close(&d);
}

static void what_is_wrong_with_the_options_is_said(void **state)
{
	struct fixture *f = *state;
	struct nvio_bdev_delay_opts o;
	struct nvio_op op = NVIO_OP(NULL);

	make(f, "malloc:1M?name=m");
	nvio_bdev_delay_opts_init(&o);
	o.name = "d";
	o.base = "m";
	o.avg_read_us = 2;
	o.p99_read_us = 1;
	assert_int_equal(nvio_bdev_delay_create(f->env, &o), -EINVAL);
	assert_errmsg_has("p99");
	o.p99_read_us = 2;
	o.avg_write_us = 1;
	assert_int_equal(nvio_bdev_delay_create(f->env, &o), -EINVAL);
	o.p99_write_us = UINT64_MAX;
	o.base = "none";
	assert_int_equal(nvio_bdev_delay_create(f->env, &o), -ENODEV);
	o.base = NULL;
	assert_int_equal(nvio_bdev_delay_create(f->env, &o), -EINVAL);
	o.base = "m";
	o.name = NULL;
	assert_int_equal(nvio_bdev_delay_create(f->env, &o), -EINVAL);
	assert_int_equal(nvio_bdev_delay_create(f->env, NULL), -EINVAL);
	assert_int_equal(nvio_bdev_delay_create(NULL, &o), -EINVAL);
	o.name = "d";
	assert_ok(nvio_bdev_delay_create(f->env, &o));
	assert_int_equal(nvio_bdev_delay_update(f->env, "m", &o, &op), -EINVAL);
	assert_errmsg_has("module malloc");
	assert_int_equal(nvio_bdev_delay_update(f->env, "x", &o, &op), -ENODEV);
	assert_int_equal(nvio_bdev_delay_update(f->env, "d", NULL, &op), -EINVAL);
	o.p99_read_us = 0;
	assert_int_equal(nvio_bdev_delay_update(f->env, "d", &o, &op), -EINVAL);
	o.p99_read_us = 2;
	assert_ok(nvio_thread_detach(f->thread));
	assert_int_equal(nvio_bdev_delay_update(f->env, "d", &o, &op), -EINVAL);
	assert_ok(nvio_thread_attach(f->thread));
	assert_ok(nvio_await(nvio_bdev_delay_update(f->env, "d", &o, &op), &op));
}

static void each_allocation_may_fail(void **state)
{
	struct fixture *f = *state;
	struct nvio_bdev_desc *desc;
	struct nvio_bdev_delay_opts o;
	long left = -1;
	int rc;

	make(f, "malloc:1M?name=m");
	nvio_bdev_delay_opts_init(&o);
	o.name = "d";
	o.base = "m";
	for (long n = 0; left < 0; n++) {
		alloc_fail_after(n);
		rc = nvio_bdev_delay_create(f->env, &o);
		left = alloc_fail_after(-1);
		assert_int_equal(rc, left < 0 ? -ENOMEM : 0);
		/* Nothing is left that has the base. */
		if (rc) {
			assert_ok(nvio_bdev_open(f->env, "m", NVIO_BDEV_WRITE, &desc));
			assert_ok(nvio_bdev_close(desc));
		}
	}
	channel_allocations_may_fail(f, "d");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		clocked_test(reads_and_writes_take_their_own_time_and_all_else_that_of_writes),
		clocked_test(data_goes_through_as_it_is),
		clocked_test(one_in_a_hundred_takes_the_p99_latency_and_the_same_ones_each_time),
		clocked_test(other_latencies_hold_for_what_is_held_already),
		fixture_test(a_thread_with_nothing_but_held_io_sleeps_until_it_is_due),
		clocked_test(what_is_held_ends_with_its_channel),
		clocked_test(a_deadline_shorter_than_the_latency_is_told),
		clocked_test(what_is_wrong_with_the_options_is_said),
		clocked_test(each_allocation_may_fail),
	};

	return cmocka_run_group_tests_name("bdev/delay", tests, NULL, NULL);
}
