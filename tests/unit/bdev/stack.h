/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of devices on devices share: a clock of the test's own, devices from text, a bottom that holds on to what it gets. */
#ifndef TEST_BDEV_STACK_H
#define TEST_BDEV_STACK_H

#include "support.h"

#include "base/alloc.h"

#define BLOCK  512u
#define BLOCKS 4096u

static uint64_t now_ns;

static MAYBE_UNUSED uint64_t test_clock(void *arg)
{
	return now_ns;
}

/* As fixture_setup(), on the test's clock and with a seed. */
static MAYBE_UNUSED int clocked_setup(void **state)
{
	struct nvio_env_opts opts;
	struct fixture *f;

	if (fixture_setup(state))
		return -1;
	f = *state;
	assert_ok(nvio_thread_detach(f->thread));
	nvio_env_close(f->env);
	nvio_env_opts_init(&opts);
	opts.now_ns = test_clock;
	opts.seed = 7;
	now_ns = 1000000;
	assert_ok(nvio_env_open(&opts, &f->env));
	assert_ok(nvio_thread_create(f->env, NULL, &f->thread));
	assert_ok(nvio_thread_attach(f->thread));
	return 0;
}

#define clocked_test(fn) cmocka_unit_test_setup_teardown(fn, clocked_setup, fixture_teardown)

static MAYBE_UNUSED void make(struct fixture *f, const char *text)
{
	if (nvio_bdev_create_str(f->env, text, NULL))
		fail_msg("%s: %s", text, nvio_errmsg());
}

static MAYBE_UNUSED void poll_some(struct fixture *f)
{
	for (unsigned i = 0; i < 8; i++)
		nvio_thread_poll(f->thread, 0);
}

static MAYBE_UNUSED void advance_us(struct fixture *f, uint64_t us)
{
	now_ns += us * 1000;
	poll_some(f);
}

static MAYBE_UNUSED void start_read(struct disk *d, struct nvio_op *op, void *buf, uint64_t offset, uint64_t len)
{
	*op = (struct nvio_op)NVIO_OP(NULL);
	assert_ok(nvio_bdev_read(d->desc, d->ch, buf, offset, len, op));
}

static MAYBE_UNUSED void start_write(struct disk *d, struct nvio_op *op, const void *buf, uint64_t offset, uint64_t len)
{
	*op = (struct nvio_op)NVIO_OP(NULL);
	assert_ok(nvio_bdev_write(d->desc, d->ch, buf, offset, len, op));
}

static MAYBE_UNUSED bool is_there(struct fixture *f, const char *name, uint64_t *blocks)
{
	struct nvio_bdev_desc *desc;

	if (nvio_bdev_open(f->env, name, 0, &desc))
		return false;
	if (blocks)
		*blocks = nvio_bdev_num_blocks(nvio_bdev_desc_bdev(desc));
	assert_ok(nvio_bdev_close(desc));
	return true;
}

/* Each allocation that a channel of the device takes, at all levels of its stack. */
static MAYBE_UNUSED void channel_allocations_may_fail(struct fixture *f, const char *name)
{
	struct nvio_bdev_desc *desc;
	struct nvio_channel *ch;
	long left = -1;
	int rc;

	assert_ok(nvio_bdev_open(f->env, name, NVIO_BDEV_WRITE, &desc));
	for (long n = 0; left < 0; n++) {
		alloc_fail_after(n);
		rc = nvio_bdev_channel(desc, &ch);
		left = alloc_fail_after(-1);
		assert_int_equal(rc, left < 0 ? -ENOMEM : 0);
		poll_some(f);
	}
	nvio_channel_put(ch);
	assert_ok(nvio_bdev_close(desc));
}

/* ---- a bottom that the test moves on ---- */

#define SLOW_HELD 512u

struct slow {
	struct nvio_bdev_io *held[SLOW_HELD]; /* in order of arrival */
	unsigned count, room;
	unsigned submits;
	unsigned by_type[NVIO_BDEV_IO_TYPES];
	uint64_t order[SLOW_HELD * 4]; /* offsets, as they were taken */
	unsigned taken;
	void *channel;
	bool at_once;
};

static struct slow slow;

static MAYBE_UNUSED int slow_submit(void *device, void *channel, struct nvio_bdev_io *io)
{
	slow.submits++;
	if (!slow.at_once && slow.count == slow.room)
		return -EAGAIN;
	slow.by_type[io->type]++;
	if (slow.taken < ARRAY_SIZE(slow.order))
		slow.order[slow.taken++] = io->offset;
	if (slow.at_once)
		nvio_bdev_io_done(io, 0);
	else
		slow.held[slow.count++] = io;
	return 0;
}

static MAYBE_UNUSED int slow_channel_create(void *device, void *channel, struct nvio_thread *thread)
{
	slow.channel = channel;
	return 0;
}

static MAYBE_UNUSED void slow_let_go(unsigned count, int status)
{
	while (count-- && slow.count) {
		struct nvio_bdev_io *io = slow.held[0];

		memmove(slow.held, slow.held + 1, --slow.count * sizeof(slow.held[0]));
		nvio_bdev_io_done(io, status);
	}
	nvio_bdev_channel_ready(slow.channel);
}

/* Of a device at the bottom: what came from above is still there when that channel ends, and ends with it. */
static MAYBE_UNUSED void slow_abort(void *device, void *channel)
{
	slow_let_go(slow.count, -ECANCELED);
}

static MAYBE_UNUSED void slow_channel_destroy(void *device, void *channel)
{
	slow_abort(device, channel);
}

static MAYBE_UNUSED void slow_destroy(void *device)
{
}

static MAYBE_UNUSED const struct nvio_bdev_module slow_module = {
	.name = "slow",
	.submit = slow_submit,
	.channel_create = slow_channel_create,
	.channel_destroy = slow_channel_destroy,
	.abort = slow_abort,
	.destroy = slow_destroy,
};

static MAYBE_UNUSED void make_slow(struct fixture *f, const char *name, uint32_t io_types)
{
	struct nvio_bdev_params p;

	slow = (struct slow){ .room = SLOW_HELD };
	assert_ok(nvio_bdev_module_register(f->env, &slow_module));
	nvio_bdev_params_init(&p);
	p.module = &slow_module;
	p.name = name;
	p.device = &slow;
	p.num_blocks = BLOCKS;
	p.io_types |= io_types;
	assert_ok(nvio_bdev_register(f->env, &p));
}

#endif
