/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The error device: the device below, failing as its plan says (error_plan.c).
 *
 * Data that is written must not be touched, as it is the caller's: a corrupted write goes down as it is, and then a second time with only
 * the block that is to be wrong, out of a buffer of this channel. One at a time; the next one waits, as for a device without room.
 */
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/opts.h"
#include "bdev/modules/error.h"
#include "bdev/modules/modules.h"

struct error_bdev {
	struct nvio_env *env;	     /* immutable */
	struct nvio_bdev_base *base; /* immutable */
	struct nvio_bdev_desc *below; /* immutable */
	char *name;		     /* immutable */
	struct error_plan plan;
};

/* The write that is being corrupted. */
struct spoilt {
	struct nvio_bdev_io *io; /* NULL: none */
	bool second;		 /* the wrong block is on its way */
	uint8_t xor;
	uint64_t at; /* of the byte, from where the I/O begins */
	const struct iovec *iov;
	uint64_t len;
	int32_t iovcnt;
	struct iovec one; /* the wrong block */
};

/* Own thread. */
struct error_channel {
	struct nvio_channel *below;
	struct nvio_thread *thread;
	const struct error_bdev *device;
	struct nvio_bdev_io *pending; /* newest first, linked by module[0] */
	struct nvio_timer again;
	struct spoilt spoilt;
	bool write_waits; /* for spoilt */
	unsigned char *block;
};

static void again_fired(struct nvio_timer *timer)
{
	nvio_bdev_channel_ready(timer->arg);
}

static struct nvio_bdev_io **pending_next(struct nvio_bdev_io *io)
{
	return (struct nvio_bdev_io **)io->module;
}

/* Takes what is pended out, oldest first. */
static struct nvio_bdev_io *pending_take(struct error_channel *c)
{
	struct nvio_bdev_io *oldest = NULL;

	while (c->pending) {
		struct nvio_bdev_io *io = c->pending;

		c->pending = *pending_next(io);
		*pending_next(io) = oldest;
		oldest = io;
	}
	return oldest;
}

static int forward(struct error_channel *c, struct nvio_bdev_io *io)
{
	return nvio_bdev_io_forward(io, c->device->below, c->below, io->offset);
}

static void strike_fail(struct nvio_bdev_io *io, const struct nvio_bdev_error_inject *i)
{
	const struct nvio_cpl cpl = { .sf = i->sf, .answered = 1 };

	if (i->sf)
		nvio_bdev_io_set_cpl(io, &cpl);
	bdev_io_done(io, i->status);
}

/* The byte `at` of the data. */
static unsigned char *byte_at(const struct iovec *iov, uint64_t at)
{
	for (; at >= iov->iov_len; iov++)
		at -= iov->iov_len;
	return (unsigned char *)iov->iov_base + at;
}

static void copy_from(const struct iovec *iov, uint64_t at, unsigned char *to, uint64_t left)
{
	for (; at >= iov->iov_len; iov++)
		at -= iov->iov_len;
	for (; left; iov++, at = 0) {
		size_t n = MIN(iov->iov_len - at, left);

		if (n)
			memcpy(to, (unsigned char *)iov->iov_base + at, n);
		to += n;
		left -= n;
	}
}

static void spoilt_end(struct error_channel *c, int status)
{
	struct spoilt *s = &c->spoilt;
	struct nvio_bdev_io *io = s->io;

	if (s->second) {
		io->iov = s->iov;
		io->iovcnt = s->iovcnt;
		io->len = s->len;
	}
	s->io = NULL;
	bdev_io_done(io, status);
	if (!c->write_waits)
		return;
	c->write_waits = false;
	nvio_bdev_channel_ready(c);
}

/* A write that is to be corrupted is back from below. */
static void spoilt_step(struct error_channel *c, int status)
{
	const struct error_bdev *e = c->device;
	uint32_t block_size = e->plan.block_size;
	struct spoilt *s = &c->spoilt;
	struct nvio_bdev_io *io = s->io;
	uint64_t in_block = s->at % block_size;
	int rc;

	if (status || s->second) {
		spoilt_end(c, status);
		return;
	}
	copy_from(io->iov, s->at - in_block, c->block, block_size);
	c->block[in_block] ^= s->xor;
	s->second = true;
	s->iov = io->iov;
	s->iovcnt = io->iovcnt;
	s->len = io->len;
	s->one = (struct iovec){ c->block, block_size };
	io->iov = &s->one;
	io->iovcnt = 1;
	io->len = block_size;
	rc = nvio_bdev_io_forward(io, e->below, c->below, io->offset + s->at - in_block);
	if (rc)
		spoilt_end(c, rc);
}

static int begin_spoilt(struct error_channel *c, struct nvio_bdev_io *io, const struct nvio_bdev_error_inject *i)
{
	int rc;

	/* Before it goes, as it may be back at once. */
	c->spoilt = (struct spoilt){ .io = io, .xor = i->corrupt_xor, .at = i->corrupt_offset % io->len };
	rc = forward(c, io);
	if (rc)
		c->spoilt.io = NULL;
	return rc;
}

static int strike(struct error_channel *c, struct nvio_bdev_io *io, const struct nvio_bdev_error_inject *i)
{
	switch (i->kind) {
	case NVIO_BDEV_ERROR_FAIL: strike_fail(io, i); return 0;
	case NVIO_BDEV_ERROR_CORRUPT: return begin_spoilt(c, io, i);
	case NVIO_BDEV_ERROR_PEND:
		*pending_next(io) = c->pending;
		c->pending = io;
		return 0;
	case NVIO_BDEV_ERROR_NO_MEMORY: break;
	}
	/* Without a timer, as on a thread that exits, nobody would call it again. */
	return nvio_timer_start(c->thread, &c->again, i->again_us) ? forward(c, io) : -EAGAIN;
}

static int error_submit(void *device, void *channel, struct nvio_bdev_io *io)
{
	struct error_bdev *e = device;
	struct error_channel *c = channel;
	struct nvio_bdev_error_inject i;

	/* It will be handed in again, and is not to be counted twice. */
	if (unlikely(!bdev_channel_of(channel)->free_frames))
		return forward(c, io);
	if (unlikely(c->spoilt.io && io->type == NVIO_BDEV_IO_WRITE)) {
		c->write_waits = true;
		return -EAGAIN;
	}
	return error_plan_strikes(&e->plan, io, ERROR_BEFORE, &i) ? strike(c, io, &i) : forward(c, io);
}

static void error_forwarded(void *device, void *channel, struct nvio_bdev_io *io, int status)
{
	struct error_bdev *e = device;
	struct error_channel *c = channel;
	struct nvio_bdev_error_inject i;

	if (unlikely(io == c->spoilt.io)) {
		spoilt_step(c, status);
		return;
	}
	if (io->type == NVIO_BDEV_IO_READ && !status && error_plan_strikes(&e->plan, io, ERROR_AFTER, &i))
		*byte_at(io->iov, i.corrupt_offset % io->len) ^= i.corrupt_xor;
	bdev_io_done(io, status);
}

static int error_channel_create(void *device, void *channel, struct nvio_thread *thread)
{
	const struct error_bdev *e = device;
	struct error_channel *c = channel;
	int rc;

	c->thread = thread;
	c->device = e;
	c->again.fn = again_fired;
	c->again.arg = c;
	c->block = alloc_aligned(4096, e->plan.block_size);
	if (!c->block)
		return fail(-ENOMEM, "bdev: error: %s: no memory for a block", e->name);
	rc = nvio_bdev_channel(e->below, &c->below);
	if (rc)
		alloc_free(c->block);
	return rc;
}

static void error_channel_destroy(void *device, void *channel)
{
	struct error_channel *c = channel;

	nvio_timer_stop(&c->again);
	nvio_channel_put(c->below);
	alloc_free(c->block);
}

static void error_abort(void *device, void *channel)
{
	struct error_channel *c = channel;

	for (struct nvio_bdev_io *io = pending_take(c), *next; io; io = next) {
		next = *pending_next(io);
		bdev_io_done(io, -ECANCELED);
	}
	nvio_bdev_channel_abort(c->below);
}

static int error_resize(void *device, uint64_t num_blocks, bool busy)
{
	const struct error_bdev *e = device;

	if (num_blocks > nvio_bdev_num_blocks(nvio_bdev_base_bdev(e->base)))
		return fail(-ENOSPC, "bdev: error: resize: %s: the device below has fewer blocks; resize that one", e->name);
	return 0;
}

static void error_destroy(void *device)
{
	struct error_bdev *e = device;

	nvio_bdev_base_close(e->base);
	pthread_mutex_destroy(&e->plan.lock);
	alloc_free(e->name);
	alloc_free(e);
}

const struct nvio_bdev_module error_module = {
	.name = "error",
	.submit = error_submit,
	.forwarded = error_forwarded,
	.channel_create = error_channel_create,
	.channel_destroy = error_channel_destroy,
	.abort = error_abort,
	.resize = error_resize,
	.destroy = error_destroy,
};

static void base_resized(void *arg, uint64_t num_blocks)
{
	struct error_bdev *e = arg;

	/* It fails when this device is going away. */
	if (bdev_resize_of(e->env, e->name, e, num_blocks))
		fail_clear();
}

void nvio_bdev_error_opts_init(struct nvio_bdev_error_opts *opts)
{
	*opts = (struct nvio_bdev_error_opts){ .size = sizeof(*opts) };
}

static int open_base(struct error_bdev *e, const struct nvio_bdev_error_opts *o)
{
	struct nvio_bdev_base_opts base;
	int rc;

	nvio_bdev_base_opts_init(&base);
	base.base = o->base;
	base.name = o->name;
	base.device = e;
	base.resized = base_resized;
	base.arg = e;
	rc = nvio_bdev_base_open(e->env, &base, &e->base);
	if (rc)
		return rc;
	e->below = nvio_bdev_base_desc(e->base);
	e->plan.block_size = nvio_bdev_block_size(nvio_bdev_base_bdev(e->base));
	return 0;
}

static int publish(struct error_bdev *e, const struct nvio_bdev_error_opts *o)
{
	struct nvio_bdev_params params;

	nvio_bdev_base_params(e->base, &params);
	params.module = &error_module;
	params.name = o->name;
	params.device = e;
	params.channel_size = sizeof(struct error_channel);
	params.uuid = o->uuid;
	return nvio_bdev_register(e->env, &params);
}

int nvio_bdev_error_create(struct nvio_env *env, const struct nvio_bdev_error_opts *opts)
{
	struct nvio_bdev_error_opts o;
	struct error_bdev *e;
	int rc;

	if (!env || !opts)
		return fail(-EINVAL, "bdev: error: %s is NULL", env ? "the options" : "the environment");
	nvio_bdev_error_opts_init(&o);
	rc = opts_copy("nvio_bdev_error_opts", &o, sizeof(o), opts, sizeof(o));
	if (!rc)
		rc = bdev_name_check("create", o.name);
	if (rc)
		return rc;
	e = alloc_zeroed(sizeof(*e));
	if (!e)
		return fail(-ENOMEM, "bdev: error: no memory for the device");
	e->env = env;
	pthread_mutex_init(&e->plan.lock, NULL);
	lock_take(&env->lock);
	random_init(&e->plan.random, random_u64(&env->random));
	lock_give(&env->lock);
	e->name = alloc_strdup(o.name);
	rc = e->name ? open_base(e, &o) : fail(-ENOMEM, "bdev: error: no memory for the device");
	if (!rc)
		rc = publish(e, &o);
	if (rc)
		error_destroy(e);
	return rc;
}

void nvio_bdev_error_inject_init(struct nvio_bdev_error_inject *inject)
{
	*inject = (struct nvio_bdev_error_inject){ .size = sizeof(*inject), .probability = 1 };
}

static int add(void *device, void *arg)
{
	return error_plan_add(&((struct error_bdev *)device)->plan, arg);
}

int nvio_bdev_error_inject(struct nvio_env *env, const char *name, const struct nvio_bdev_error_inject *inject)
{
	struct nvio_bdev_error_inject i;
	int rc;

	if (!env || !name || !inject)
		return fail(-EINVAL, "bdev: error: inject: an environment, a name and an injection are needed");
	nvio_bdev_error_inject_init(&i);
	rc = opts_copy("nvio_bdev_error_inject", &i, sizeof(i), inject, sizeof(i));
	return rc ? rc : bdev_tell(env, name, &error_module, add, &i, NULL, NULL);
}

static int clear(void *device, void *arg)
{
	error_plan_clear(&((struct error_bdev *)device)->plan);
	return 0;
}

/* What is pended goes on. */
static int let_go(struct nvio_channel *ch, void *arg)
{
	struct error_channel *c = (struct error_channel *)((struct bdev_channel *)channel_ctx(ch))->module;

	for (struct nvio_bdev_io *io = pending_take(c), *next; io; io = next) {
		int rc;

		next = *pending_next(io);
		rc = forward(c, io);
		if (rc == -EAGAIN)
			bdev_io_wait(io->channel, io);
		else if (rc)
			bdev_io_done(io, rc);
	}
	return 0;
}

int nvio_bdev_error_clear(struct nvio_env *env, const char *name, struct nvio_op *op)
{
	if (!env || !name || !op)
		return fail(-EINVAL, "bdev: error: clear: an environment, a name and an op are needed");
	return bdev_tell(env, name, &error_module, clear, NULL, let_go, op);
}

static int read_stats(void *device, void *arg)
{
	struct error_plan *plan = &((struct error_bdev *)device)->plan;

	pthread_mutex_lock(&plan->lock);
	*(struct nvio_bdev_error_stats *)arg = plan->stats;
	pthread_mutex_unlock(&plan->lock);
	return 0;
}

int nvio_bdev_error_stats(struct nvio_env *env, const char *name, struct nvio_bdev_error_stats *stats)
{
	if (!env || !name || !stats)
		return fail(-EINVAL, "bdev: error: stats: an environment, a name and a place for the result are needed");
	return bdev_tell(env, name, &error_module, read_stats, stats, NULL, NULL);
}
