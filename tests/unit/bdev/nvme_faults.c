/* SPDX-License-Identifier: BSD-3-Clause */
/* Namespaces as devices when the controller is slow, broken, reset or gone, and when the environment closes in the middle. B4. */
#include "nvme.h"

#include <poll.h>

#include <nvio/spec/status.h>

#define MIB   (1u << 20)
#define COUNT 64u

struct load {
	struct nvio_op ops[COUNT];
	unsigned char buf[COUNT][4096];
	unsigned done[COUNT];
	struct disk d;
};

static struct load l;

static void on_done(struct nvio_op *op)
{
	l.done[op - l.ops]++;
}

static void submit_all(bool write)
{
	for (unsigned i = 0; i < COUNT; i++) {
		l.ops[i] = (struct nvio_op)NVIO_OP(on_done);
		l.done[i] = 0;
		if (write) {
			stamp(l.buf[i], i * 4096, 4096);
			assert_ok(nvio_bdev_write(l.d.desc, l.d.ch, l.buf[i], i * 4096, 4096, &l.ops[i]));
		} else {
			assert_ok(nvio_bdev_read(l.d.desc, l.d.ch, l.buf[i], i * 4096, 4096, &l.ops[i]));
		}
	}
}

/* Each ended, once, with `rc`. */
static void assert_all_ended(struct fixture *f, int rc)
{
	for (unsigned i = 0; i < COUNT; i++) {
		poll_until(f, !nvio_op_pending(&l.ops[i]));
		assert_int_equal(l.ops[i].status, rc);
	}
	for (unsigned i = 0; i < 100; i++)
		nvio_thread_poll(f->thread, 0);
	for (unsigned i = 0; i < COUNT; i++)
		assert_int_equal(l.done[i], 1);
}

static struct nvio_ctrlr_opts hasty(void)
{
	struct nvio_ctrlr_opts o;

	nvio_ctrlr_opts_init(&o);
	o.command_timeout_ms = 100;
	o.abort_timeout_ms = 100;
	return o;
}

/* Recoverable faults: the data arrives all the same. A command that is lost has its deadline to end by, and no other ends with it. */
static void what_the_driver_mends_is_not_seen(void **state)
{
	static const struct {
		const char *fault;
		unsigned lost_min, lost_max;
	} faults[] = {
		{ "delay:us=3000:p=0.3", 0, 0 },
		{ "duplicate:every=3", 0, 0 },
		{ "unknown_cid:every=5", 0, 0 },
		{ "fatal:skip=10:count=1", 0, 0 },
		{ "phase:skip=5:count=1", 1, COUNT },
		{ "lose:skip=7:count=1&fault=lose_abort", 1, 1 },
	};
	struct fixture *f = *state;
	struct nvio_ctrlr_opts o = hasty();
	char trid[128];

	for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
		bool written[COUNT];
		unsigned lost = 0;

		snprintf(trid, sizeof(trid), "loop:ram:8M?seed=1&fault=%s", faults[i].fault);
		assert_ok(attach_with(f, "Nvme0", trid, &o));
		l.d = disk_open(f, "Nvme0n1", NVIO_BDEV_WRITE);
		submit_all(true);
		for (unsigned k = 0; k < COUNT; k++) {
			int rc = nvio_wait(&l.ops[k]);

			assert_true(!rc || rc == -ETIMEDOUT);
			written[k] = !rc;
			lost += rc != 0;
		}
		assert_in_range(lost, faults[i].lost_min, faults[i].lost_max);
		submit_all(false);
		assert_all_ended(f, 0);
		for (unsigned k = 0; k < COUNT; k++)
			assert_true(!written[k] || is_stamped(l.buf[k], k * 4096, 4096));
		disk_close(&l.d);
		assert_ok(detach(f, "Nvme0"));
	}
}

/* What the controller says about a medium that has failed reaches whoever asked, in words. */
static void a_media_error_comes_with_its_words(void **state)
{
	struct fixture *f = *state;
	unsigned char buf[512];
	struct nvio_op op = NVIO_OP(NULL);

	attach(f, "Nvme0", "loop:ram:8M?fault=status:opcode=2:sf=0x4281:lba=8:blocks=1&fault=status:opcode=8:sf=0x4280");
	l.d = disk_open(f, "Nvme0n1", NVIO_BDEV_WRITE);
	assert_int_equal(nvio_await(nvio_bdev_read(l.d.desc, l.d.ch, buf, 4096, 512, &op), &op), -EIO);
	assert_true(op.cpl.answered);
	assert_int_equal(op.cpl.sf, 0x4281);
	if (!strstr(nvio_op_strerror(&op), "Unrecovered Read Error") && !strstr(nvio_op_strerror(&op), "unrecovered read error"))
		fail_msg("%s", nvio_op_strerror(&op));
	assert_ok(nvio_await(nvio_bdev_read(l.d.desc, l.d.ch, buf, 0, 512, &op), &op));
	assert_int_equal(nvio_await(nvio_bdev_write_zeroes(l.d.desc, l.d.ch, 0, 4096, &op), &op), -EIO);
	assert_int_equal(op.cpl.sf, 0x4280);
	disk_close(&l.d);
}

static void an_io_has_its_own_deadline(void **state)
{
	struct fixture *f = *state;
	unsigned char buf[512];
	struct nvio_op op = NVIO_OP(NULL);

	attach(f, "Nvme0", "loop:ram:8M?fault=lose:opcode=2:count=1");
	l.d = disk_open(f, "Nvme0n1", NVIO_BDEV_WRITE);
	op.timeout_us = 20000;
	assert_int_equal(nvio_await(nvio_bdev_read(l.d.desc, l.d.ch, buf, 0, 512, &op), &op), -ETIMEDOUT);
	assert_ok(nvio_await(nvio_bdev_read(l.d.desc, l.d.ch, buf, 0, 512, &op), &op));
	disk_close(&l.d);
	assert_ok(detach(f, "Nvme0"));
}

/* The device stays, and its I/O is sent anew. */
static void resets_under_load_lose_nothing(void **state)
{
	struct fixture *f = *state;
	struct nvio_op reset = NVIO_OP(NULL);
	struct nvio_ctrlr *c;
	struct events e = { 0 };

	attach(f, "Nvme0", "loop:ram:8M?fault=delay:us=500:p=0.5");
	assert_ok(nvio_bdev_nvme_ctrlr(f->env, "Nvme0", &c));
	l.d = disk_open(f, "Nvme0n1", NVIO_BDEV_WRITE);
	nvio_bdev_set_event_fn(l.d.desc, count_events, &e);
	for (unsigned round = 0; round < 20; round++) {
		submit_all(round % 2 == 0);
		for (unsigned i = 0; i < round; i++)
			nvio_thread_poll(f->thread, 0);
		assert_ok(nvio_ctrlr_reset(c, &reset));
		assert_all_ended(f, 0);
		assert_ok(nvio_wait(&reset));
		for (unsigned i = 0; i < COUNT; i++)
			assert_true(is_stamped(l.buf[i], i * 4096, 4096));
	}
	assert_int_equal(nvio_ctrlr_reset_count(c), 20);
	assert_int_equal(e.removed + e.resized, 0);
	disk_close(&l.d);
	assert_ok(detach(f, "Nvme0"));
}

static struct nvio_drive *drive_open(struct fixture *f, const char *form)
{
	struct nvio_drive *d;

	assert_ok(nvio_drive_open_str(f->env, form, &d));
	return d;
}

/* Removal with I/O in flight: each ends once, the device is removed, the controller detached by itself; then it returns. */
static void a_removed_controller_takes_its_devices_along(void **state)
{
	struct fixture *f = *state;
	struct nvio_drive *drive = drive_open(f, "ram:8M?ns=2&fault=delay:us=100000000");
	struct nvio_op op = NVIO_OP(NULL);
	struct events e = { 0 };
	struct nvio_ctrlr *c;

	attach(f, "Nvme0", "loop:ram:8M?ns=2&fault=delay:us=100000000");
	l.d = disk_open(f, "Nvme0n1", NVIO_BDEV_WRITE);
	nvio_bdev_set_event_fn(l.d.desc, count_events, &e);
	submit_all(false);
	for (unsigned i = 0; i < 100; i++)
		nvio_thread_poll(f->thread, 0);
	assert_ok(nvio_drive_remove(drive));
	assert_all_ended(f, -ENODEV);
	poll_until(f, e.removed);
	assert_false(is_there(f, "Nvme0n2"));
	assert_int_equal(nvio_bdev_nvme_ctrlr(f->env, "Nvme0", &c), -ENODEV);
	/* One may still ask to be told of the end. */
	assert_ok(nvio_bdev_nvme_detach(f->env, "Nvme0", &op));
	disk_close(&l.d);
	assert_ok(nvio_wait(&op));
	assert_int_equal(detach(f, "Nvme0"), -ENODEV);
	assert_int_equal(e.removed, 1);
	assert_ok(nvio_drive_insert(drive));
	nvio_drive_clear_faults(drive);
	attach(f, "Nvme0", "loop:ram:8M?ns=2&fault=delay:us=100000000");
	l.d = disk_open(f, "Nvme0n1", NVIO_BDEV_WRITE);
	submit_all(true);
	assert_all_ended(f, 0);
	disk_close(&l.d);
	assert_ok(detach(f, "Nvme0"));
	nvio_drive_close(drive);
}

/* A controller that does not come back from its resets: -EIO, once, and the devices go. */
static void a_failed_controller_takes_its_devices_along(void **state)
{
	struct fixture *f = *state;
	struct nvio_drive *drive = drive_open(f, "ram:8M");
	struct events e = { 0 };
	struct nvio_bdev_nvme_opts o;
	struct nvio_op op = NVIO_OP(NULL);

	attach(f, "Nvme0", "loop:ram:8M");
	l.d = disk_open(f, "Nvme0n1", NVIO_BDEV_WRITE);
	nvio_bdev_set_event_fn(l.d.desc, count_events, &e);
	assert_ok(nvio_drive_add_fault_str(drive, "fatal"));
	assert_ok(nvio_drive_add_fault_str(drive, "never_ready"));
	submit_all(false);
	assert_all_ended(f, -EIO);
	poll_until(f, e.removed);
	assert_int_equal(e.removed, 1);
	disk_close(&l.d);
	/* It detaches by itself; until it has, its name is taken. */
	nvio_drive_clear_faults(drive);
	nvio_bdev_nvme_opts_init(&o);
	o.name = "Nvme0";
	o.trid = "loop:ram:8M";
	while (nvio_bdev_nvme_attach(f->env, &o, &op) == -EEXIST)
		nvio_thread_poll(f->thread, 0);
	assert_ok(nvio_wait(&op));
	assert_true(is_there(f, "Nvme0n1"));
	assert_ok(detach(f, "Nvme0"));
	nvio_drive_close(drive);
}

/* Polls as a loop does that sleeps between. Returns how often it polled; *slept: how often it would not have had to. */
static unsigned long sleep_until_ended(struct fixture *f, struct nvio_op *op, unsigned long *slept)
{
	struct pollfd pfd = { .fd = nvio_thread_fd(f->thread), .events = POLLIN };
	unsigned long polls = 0;

	*slept = 0;
	while (nvio_op_pending(op)) {
		int ms = nvio_thread_timeout_ms(f->thread);

		*slept += ms != 0;
		assert_true(poll(&pfd, 1, ms) >= 0);
		nvio_thread_poll(f->thread, 0);
		polls++;
	}
	return polls;
}

/* With I/O in flight for long its thread sleeps, and is woken by the device; by the beat it would take up to 10 ms more. */
static void a_thread_sleeps_while_the_device_works(void **state)
{
	static const char *const trids[] = {
		"loop:ram:8M?poll=thread&fault=delay:us=300000:opcode=2",
		"loop:ram:8M?fault=delay:us=300000:opcode=2",
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(trids); i++) {
		unsigned char buf[4096];

		attach(f, "Nvme0", trids[i]);
		l.d = disk_open(f, "Nvme0n1", NVIO_BDEV_WRITE);
		assert_ok(do_write(&l.d, buf, 0, sizeof(buf)));
		for (unsigned k = 0; k < 3; k++) {
			struct nvio_op op = NVIO_OP(NULL);
			unsigned long slept, polls;

			assert_ok(nvio_bdev_read(l.d.desc, l.d.ch, buf, 0, sizeof(buf), &op));
			polls = sleep_until_ended(f, &op, &slept);
			assert_int_equal(op.status, 0);
			assert_true(slept > 3);
			/* Not more than it takes to find that nothing is to be found, a few times over. */
			assert_true(polls < 20 * 1024);
		}
		disk_close(&l.d);
		assert_ok(detach(f, "Nvme0"));
	}
}

/* ---- the environment closes ---- */

static void nothing_more(struct fixture *f)
{
}

static void channel_and_io(struct fixture *f)
{
	l.d = disk_open(f, "Nvme0n1", NVIO_BDEV_WRITE);
	submit_all(true);
}

static void polled_io(struct fixture *f)
{
	channel_and_io(f);
	for (unsigned i = 0; i < 50; i++)
		nvio_thread_poll(f->thread, 0);
}

static void more_io_than_commands(struct fixture *f)
{
	static struct nvio_op ops[1500];
	static unsigned char buf[512];

	channel_and_io(f);
	for (unsigned i = 0; i < ARRAY_SIZE(ops); i++) {
		ops[i] = (struct nvio_op)NVIO_OP(NULL);
		assert_ok(nvio_bdev_read(l.d.desc, l.d.ch, buf, 0, 512, &ops[i]));
	}
}

static struct nvio_op leaving;

static void detaching(struct fixture *f)
{
	channel_and_io(f);
	leaving = (struct nvio_op)NVIO_OP(NULL);
	assert_ok(nvio_bdev_nvme_detach(f->env, "Nvme0", &leaving));
	nvio_thread_poll(f->thread, 0);
}

static void detaching_with_channels_dying(struct fixture *f)
{
	struct nvio_op op = NVIO_OP(NULL);

	l.d = disk_open(f, "Nvme0n1", NVIO_BDEV_WRITE);
	assert_ok(nvio_await(nvio_bdev_flush(l.d.desc, l.d.ch, &op), &op));
	leaving = (struct nvio_op)NVIO_OP(NULL);
	assert_ok(nvio_bdev_nvme_detach(f->env, "Nvme0", &leaving));
	disk_close(&l.d);
}

static void resetting(struct fixture *f)
{
	static struct nvio_op op;
	struct nvio_ctrlr *c;

	polled_io(f);
	assert_ok(nvio_bdev_nvme_ctrlr(f->env, "Nvme0", &c));
	op = (struct nvio_op)NVIO_OP(NULL);
	assert_ok(nvio_ctrlr_reset(c, &op));
	nvio_thread_poll(f->thread, 0);
}

static void deleting_the_device(struct fixture *f)
{
	static struct nvio_op op;

	channel_and_io(f);
	op = (struct nvio_op)NVIO_OP(NULL);
	assert_ok(nvio_bdev_delete(f->env, "Nvme0n1", &op));
}

/* B4: whatever is going on when the environment closes ends, and nothing is lost or freed twice (ASan and LSan look on). */
static void an_environment_closes_in_every_state(void **state)
{
	static void (*const states[])(struct fixture *f) = {
		nothing_more, channel_and_io, polled_io, more_io_than_commands, detaching, detaching_with_channels_dying, resetting,
		deleting_the_device,
	};
	static const char *const trids[] = {
		"loop:ram:8M?ns=2&fault=delay:us=2000",
		"loop:ram:8M?poll=thread",
		"loop:ram:8M?fault=fatal:skip=40:count=1",
	};

	for (size_t i = 0; i < ARRAY_SIZE(states) * ARRAY_SIZE(trids); i++) {
		struct fixture *f;

		memset(l.ops, 0, sizeof(l.ops));
		assert_ok(fixture_setup((void **)&f));
		attach(f, "Nvme0", trids[i % ARRAY_SIZE(trids)]);
		states[i / ARRAY_SIZE(trids)](f);
		assert_ok(fixture_teardown((void **)&f));
		for (unsigned k = 0; k < COUNT; k++)
			assert_false(nvio_op_pending(&l.ops[k]));
		assert_false(nvio_op_pending(&leaving));
	}
}

static void an_environment_closes_at_each_step_of_attaching(void **state)
{
	for (unsigned steps = 0; steps < 40; steps++) {
		struct nvio_bdev_nvme_opts o;
		struct nvio_op op = NVIO_OP(NULL);
		struct fixture *f;

		assert_ok(fixture_setup((void **)&f));
		nvio_bdev_nvme_opts_init(&o);
		o.name = "Nvme0";
		o.trid = "loop:ram:8M?ns=4";
		assert_ok(nvio_bdev_nvme_attach(f->env, &o, &op));
		for (unsigned i = 0; i < steps; i++)
			nvio_thread_poll(f->thread, 0);
		assert_ok(fixture_teardown((void **)&f));
		assert_false(nvio_op_pending(&op));
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		fixture_test(what_the_driver_mends_is_not_seen),
		fixture_test(a_media_error_comes_with_its_words),
		fixture_test(an_io_has_its_own_deadline),
		fixture_test(resets_under_load_lose_nothing),
		fixture_test(a_thread_sleeps_while_the_device_works),
		fixture_test(a_removed_controller_takes_its_devices_along),
		fixture_test(a_failed_controller_takes_its_devices_along),
		cmocka_unit_test(an_environment_closes_in_every_state),
		cmocka_unit_test(an_environment_closes_at_each_step_of_attaching),
	};

	return cmocka_run_group_tests_name("bdev nvme faults", tests, NULL, NULL);
}
