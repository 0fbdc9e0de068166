/* SPDX-License-Identifier: BSD-3-Clause */
/* A toy device that channels can be made of, for the tests of channels and of walks over them. */
#ifndef TOY_H
#define TOY_H

#include "tests/unit/thread/rig.h"

struct device {
	atomic_int created, destroyed;
	int create_rc;
	int (*during_create)(struct device *d); /* called in channel_create */
	struct nvio_env *env;
};

struct context {
	uint64_t bytes[5];
	int visits;
};

static inline int create(void *device, struct nvio_channel *ch)
{
	struct device *d = device;
	struct context *ctx = nvio_channel_ctx(ch);

	for (size_t i = 0; i < sizeof(*ctx); i++)
		assert_int_equal(((char *)ctx)[i], 0);
	assert_int_equal((uintptr_t)ctx % 64, 0);
	assert_ptr_equal(ctx, channel_ctx(ch));
	assert_ptr_equal(nvio_channel_device(ch), device);
	assert_ptr_equal(nvio_channel_thread(ch), nvio_thread_current());
	if (d->create_rc)
		return d->create_rc;
	d->created++;
	if (d->during_create) {
		int (*during)(struct device * device) = d->during_create;

		d->during_create = NULL;
		return during(d);
	}
	return 0;
}

static inline void destroy(void *device, struct nvio_channel *ch)
{
	struct device *d = device;

	assert_ptr_equal(nvio_channel_thread(ch), nvio_thread_current());
	d->destroyed++;
}

static const struct nvio_io_device_ops ops = {
	.name = "toy",
	.ctx_size = sizeof(struct context),
	.channel_create = create,
	.channel_destroy = destroy,
};

static inline void open_with_device(struct rig *r, struct device *d)
{
	memset(d, 0, sizeof(*d));
	rig_open_env(r, true);
	d->env = r->env;
	assert_int_equal(nvio_io_device_register(r->env, d, &ops), 0);
	assert_int_equal(nvio_thread_attach(r->t), 0);
}

static inline void close_with_device(struct rig *r, struct device *d)
{
	nvio_thread_poll(r->t, 0);
	assert_int_equal(nvio_io_device_unregister(r->env, d, NULL), 0);
	assert_int_equal(d->created, d->destroyed);
	rig_close(r);
}

static inline void count_done(struct nvio_op *op)
{
	++*(int *)op->arg;
}

static int total_visits MAYBE_UNUSED;

static inline int visit(struct nvio_channel *ch, void *arg)
{
	struct context *ctx = nvio_channel_ctx(ch);

	assert_ptr_equal(nvio_channel_thread(ch), nvio_thread_current());
	ctx->visits++;
	total_visits++;
	return arg ? ((int (*)(struct nvio_channel *))arg)(ch) : 0;
}

#endif
