/* SPDX-License-Identifier: BSD-3-Clause */
/* Devices on devices: I/O that travels down and comes back, claims, removal and resizing from below. B1, B4. */
#include "support.h"

#define BLOCK  512u
#define BLOCKS 4096u

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

int main(void)
{
	static const struct CMUnitTest tests[] = {
		fixture_test(what_is_written_above_is_read_below),
		fixture_test(the_device_below_is_claimed),
		fixture_test(removal_and_resizing_below_are_heard_above),
		fixture_test(an_environment_closes_whatever_stands_on_what),
	};

	return cmocka_run_group_tests_name("bdev stack", tests, NULL, NULL);
}
