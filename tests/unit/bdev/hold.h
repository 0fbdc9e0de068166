/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For tests of what holds I/O back: a module that keeps what it gets until the test lets go, and more nvio_threads, each with a channel, all
 * polled by the test's one OS thread in turn, so that everything happens in the same order each time.
 */
#ifndef TEST_BDEV_HOLD_H
#define TEST_BDEV_HOLD_H

#include "support.h"

#include <nvio/bdev_lock.h>
#include <nvio/bdev_qos.h>

#define HOLD_BLOCK  512u
#define HOLD_BLOCKS 1024u
#define HOLD_MAX    512u

struct hold;

struct hold_channel {
	struct hold *h;
	struct nvio_thread *thread;
	struct nvio_bdev_io *io[HOLD_MAX];
	unsigned count;
};

struct hold {
	unsigned char data[HOLD_BLOCK * HOLD_BLOCKS];
	bool at_once;  /* ends in submit */
	bool stubborn; /* abort() ends nothing */
	unsigned room; /* per channel */
	unsigned submits, aborts, resets;
	int reset_rc;
	struct hold_channel *channels[16]; /* in the order of their making */
	unsigned channel_count;
};

static MAYBE_UNUSED void hold_execute(struct hold *h, struct nvio_bdev_io *io)
{
	uint64_t at = io->offset, left = io->len;

	for (const struct iovec *iov = io->iov; left && io->type <= NVIO_BDEV_IO_WRITE; iov++) {
		size_t n = MIN(iov->iov_len, left);

		if (io->type == NVIO_BDEV_IO_WRITE)
			memcpy(h->data + at, iov->iov_base, n);
		else
			memcpy(iov->iov_base, h->data + at, n);
		at += n;
		left -= n;
	}
	nvio_bdev_io_done(io, io->type == NVIO_BDEV_IO_RESET ? h->reset_rc : 0);
}

static MAYBE_UNUSED int hold_submit(void *device, void *channel, struct nvio_bdev_io *io)
{
	struct hold_channel *c = channel;
	struct hold *h = device;

	h->submits++;
	h->resets += io->type == NVIO_BDEV_IO_RESET;
	if (!h->at_once && c->count == h->room)
		return -EAGAIN;
	if (h->at_once || io->type == NVIO_BDEV_IO_RESET)
		hold_execute(h, io);
	else
		c->io[c->count++] = io;
	return 0;
}

/* The oldest ones end, on the channel's thread; returns how many. */
static MAYBE_UNUSED unsigned hold_let_go(struct hold_channel *c, unsigned count)
{
	unsigned n;

	assert_ok(nvio_thread_attach(c->thread));
	for (n = 0; n < count && c->count; n++) {
		struct nvio_bdev_io *io = c->io[0];

		memmove(c->io, c->io + 1, --c->count * sizeof(c->io[0]));
		hold_execute(c->h, io);
	}
	nvio_bdev_channel_ready(c);
	assert_ok(nvio_thread_detach(c->thread));
	return n;
}

static MAYBE_UNUSED int hold_channel_create(void *device, void *channel, struct nvio_thread *thread)
{
	struct hold_channel *c = channel;
	struct hold *h = device;

	c->h = h;
	c->thread = thread;
	if (h->channel_count < ARRAY_SIZE(h->channels))
		h->channels[h->channel_count++] = c;
	return 0;
}

static MAYBE_UNUSED void hold_channel_destroy(void *device, void *channel)
{
	struct hold_channel *c = channel;

	while (c->count)
		hold_execute(c->h, c->io[--c->count]);
}

static MAYBE_UNUSED void hold_abort(void *device, void *channel)
{
	struct hold_channel *c = channel;

	c->h->aborts++;
	while (!c->h->stubborn && c->count)
		nvio_bdev_io_done(c->io[--c->count], -ECANCELED);
}

static MAYBE_UNUSED void hold_destroy(void *device)
{
	free(device);
}

static MAYBE_UNUSED const struct nvio_bdev_module hold_module = {
	.name = "hold",
	.submit = hold_submit,
	.channel_create = hold_channel_create,
	.channel_destroy = hold_channel_destroy,
	.abort = hold_abort,
	.destroy = hold_destroy,
};

/* The device is its own until it is deleted. */
static MAYBE_UNUSED struct hold *make_hold(struct fixture *f, const char *name, uint32_t io_types)
{
	struct hold *h = calloc(1, sizeof(*h));
	struct nvio_bdev_params p;
	int rc;

	assert_non_null(h);
	h->room = HOLD_MAX;
	rc = nvio_bdev_module_register(f->env, &hold_module);
	assert_true(!rc || rc == -EEXIST);
	nvio_bdev_params_init(&p);
	p.module = &hold_module;
	p.name = name;
	p.device = h;
	p.channel_size = sizeof(struct hold_channel);
	p.num_blocks = HOLD_BLOCKS;
	p.io_types |= io_types;
	assert_ok(nvio_bdev_register(f->env, &p));
	return h;
}

static MAYBE_UNUSED void make_above(struct fixture *f, const char *name, const char *base)
{
	struct nvio_bdev_passthru_opts o;

	nvio_bdev_passthru_opts_init(&o);
	o.name = name;
	o.base = base;
	assert_ok(nvio_bdev_passthru_create(f->env, &o));
}

/* Another nvio_thread with a channel of the same descriptor. */
struct side {
	struct nvio_thread *thread;
	struct nvio_channel *ch;
};

static MAYBE_UNUSED struct side side_open(struct fixture *f, struct nvio_bdev_desc *desc)
{
	struct side s;

	assert_ok(nvio_thread_create(f->env, NULL, &s.thread));
	assert_ok(nvio_thread_attach(s.thread));
	assert_ok(nvio_bdev_channel(desc, &s.ch));
	assert_ok(nvio_thread_detach(s.thread));
	return s;
}

static MAYBE_UNUSED void side_close(struct side *s)
{
	assert_ok(nvio_thread_attach(s->thread));
	nvio_channel_put(s->ch);
	assert_ok(nvio_thread_detach(s->thread));
	assert_ok(nvio_thread_destroy(s->thread));
}

/* Both threads, until nothing moves by itself any more. */
static MAYBE_UNUSED void settle(struct fixture *f, struct side *s)
{
	for (int i = 0; i < 8; i++) {
		nvio_thread_poll(f->thread, 0);
		if (s)
			nvio_thread_poll(s->thread, 0);
	}
}

/* A write of one block by a side's channel. */
static MAYBE_UNUSED int side_write(struct side *s, struct nvio_bdev_desc *desc, const void *buf, uint64_t block, struct nvio_op *op)
{
	int rc;

	assert_ok(nvio_thread_attach(s->thread));
	rc = nvio_bdev_write(desc, s->ch, buf, block * HOLD_BLOCK, HOLD_BLOCK, op);
	assert_ok(nvio_thread_detach(s->thread));
	return rc;
}

static MAYBE_UNUSED int side_cancel(struct side *s, struct nvio_op *op)
{
	int rc;

	assert_ok(nvio_thread_attach(s->thread));
	rc = nvio_cancel(op);
	assert_ok(nvio_thread_detach(s->thread));
	return rc;
}

/* On a clock of the test's own. */
static uint64_t hold_now_ns;

static MAYBE_UNUSED uint64_t hold_clock(void *arg)
{
	return hold_now_ns;
}

static MAYBE_UNUSED int hold_setup(void **state)
{
	struct nvio_env_opts opts;
	struct fixture *f;

	if (fixture_setup(state))
		return -1;
	f = *state;
	assert_ok(nvio_thread_detach(f->thread));
	nvio_env_close(f->env);
	nvio_env_opts_init(&opts);
	opts.now_ns = hold_clock;
	hold_now_ns = 1000000;
	assert_ok(nvio_env_open(&opts, &f->env));
	assert_ok(nvio_thread_create(f->env, NULL, &f->thread));
	assert_ok(nvio_thread_attach(f->thread));
	return 0;
}

#define hold_test(fn) cmocka_unit_test_setup_teardown(fn, hold_setup, fixture_teardown)

#endif
