/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The delay device: the device below, slower. What has ended there is held here for the latency of its class before it ends.
 *
 * I/O of a class ends in the order in which it came, since all of it waits equally long: so a class is a queue, with one timer for its
 * head. An I/O keeps when it was queued, not when it is due, and thus other latencies hold for what is queued, too.
 */
#include <inttypes.h>

#include "base/alloc.h"
#include "base/opts.h"
#include "bdev/bdev.h"
#include "bdev/modules/modules.h"

enum delay_class {
	AVG_READ,
	P99_READ,
	AVG_WRITE,
	P99_WRITE,
	CLASSES,
};

struct delay_bdev {
	struct nvio_env *env;			 /* immutable */
	struct nvio_bdev_base *base;		 /* immutable */
	struct nvio_bdev_desc *below;		 /* immutable */
	_Atomic uint64_t latency_ns[CLASSES]; /* any thread */
	char *name;				 /* immutable */
};

/* In nvio_bdev_io.module of what is held. */
struct held {
	struct nvio_bdev_io *next;
	uint64_t since_ns;
	int status;
};

nvio_static_assert(sizeof(struct held) <= sizeof(((struct nvio_bdev_io *)0)->module), "no allocation per I/O");

struct delay_queue {
	struct nvio_bdev_io *head, **tail;
	struct nvio_timer timer; /* for the head */
	struct delay_channel *channel;
};

/* Own thread. */
struct delay_channel {
	struct nvio_channel *below;
	struct nvio_thread *thread;
	const struct delay_bdev *device;
	struct random random;
	struct delay_queue queues[CLASSES];
};

static struct held *held(struct nvio_bdev_io *io)
{
	return (struct held *)io->module;
}

static uint64_t latency(const struct delay_queue *q)
{
	const struct delay_channel *c = q->channel;

	return atomic_load_explicit(&c->device->latency_ns[q - c->queues], memory_order_relaxed);
}

static void end_head(struct delay_queue *q, int status)
{
	struct nvio_bdev_io *io = q->head;

	q->head = held(io)->next;
	if (!q->head)
		q->tail = &q->head;
	bdev_io_done(io, status);
}

/* Ends what is due, and has the timer run out when the next one is. */
static void run(struct delay_queue *q)
{
	uint64_t now = clock_now(&q->channel->device->env->clock);
	uint64_t wait = latency(q);

	while (q->head) {
		uint64_t due = clock_add(held(q->head)->since_ns, wait);

		/* Without a timer, as on a thread that exits, nothing can be held. */
		if (due > now && !nvio_timer_start(q->channel->thread, &q->timer, DIV_ROUND_UP(due - now, NS_PER_US)))
			return;
		end_head(q, held(q->head)->status);
	}
	nvio_timer_stop(&q->timer);
}

static void timer_fired(struct nvio_timer *timer)
{
	run(timer->arg);
}

static int delay_submit(void *device, void *channel, struct nvio_bdev_io *io)
{
	const struct delay_bdev *d = device;
	const struct delay_channel *c = channel;

	return nvio_bdev_io_forward(io, d->below, c->below, io->offset);
}

static void delay_forwarded(void *device, void *channel, struct nvio_bdev_io *io, int status)
{
	struct delay_channel *c = channel;
	bool is_p99 = random_u64(&c->random) < UINT64_MAX / 100;
	struct delay_queue *q = &c->queues[(io->type == NVIO_BDEV_IO_READ ? AVG_READ : AVG_WRITE) + is_p99];
	bool first = !q->head;

	if (!latency(q) && first) {
		bdev_io_done(io, status);
		return;
	}
	*held(io) = (struct held){ .since_ns = clock_now(&c->device->env->clock), .status = status };
	*q->tail = io;
	q->tail = &held(io)->next;
	if (first)
		run(q);
}

static int delay_channel_create(void *device, void *channel, struct nvio_thread *thread)
{
	const struct delay_bdev *d = device;
	struct delay_channel *c = channel;

	c->thread = thread;
	c->device = d;
	lock_take(&d->env->lock);
	random_init(&c->random, random_u64(&d->env->random));
	lock_give(&d->env->lock);
	for (unsigned i = 0; i < CLASSES; i++) {
		c->queues[i].tail = &c->queues[i].head;
		c->queues[i].timer.fn = timer_fired;
		c->queues[i].timer.arg = &c->queues[i];
		c->queues[i].channel = c;
	}
	return nvio_bdev_channel(d->below, &c->below);
}

static void delay_channel_destroy(void *device, void *channel)
{
	struct delay_channel *c = channel;

	nvio_channel_put(c->below);
}

static void delay_abort(void *device, void *channel)
{
	struct delay_channel *c = channel;

	for (unsigned i = 0; i < CLASSES; i++) {
		while (c->queues[i].head)
			end_head(&c->queues[i], -ECANCELED);
		nvio_timer_stop(&c->queues[i].timer);
	}
	nvio_bdev_channel_abort(c->below);
}

static int delay_resize(void *device, uint64_t num_blocks, bool busy)
{
	const struct delay_bdev *d = device;

	if (num_blocks > nvio_bdev_num_blocks(nvio_bdev_base_bdev(d->base)))
		return fail(-ENOSPC, "bdev: delay: resize: %s: the device below has fewer blocks; resize that one", d->name);
	return 0;
}

static void delay_free(struct delay_bdev *d)
{
	nvio_bdev_base_close(d->base);
	alloc_free(d->name);
	alloc_free(d);
}

static void delay_destroy(void *device)
{
	delay_free(device);
}

const struct nvio_bdev_module delay_module = {
	.name = "delay",
	.submit = delay_submit,
	.forwarded = delay_forwarded,
	.channel_create = delay_channel_create,
	.channel_destroy = delay_channel_destroy,
	.abort = delay_abort,
	.resize = delay_resize,
	.destroy = delay_destroy,
};

static void base_resized(void *arg, uint64_t num_blocks)
{
	struct delay_bdev *d = arg;

	/* It fails when this device is going away. */
	if (bdev_resize_of(d->env, d->name, d, num_blocks))
		fail_clear();
}

void nvio_bdev_delay_opts_init(struct nvio_bdev_delay_opts *opts)
{
	*opts = (struct nvio_bdev_delay_opts){ .size = sizeof(*opts) };
}

/* From the caller's options, checked. */
static int opts_read(struct nvio_bdev_delay_opts *o, const struct nvio_bdev_delay_opts *opts)
{
	int rc;

	nvio_bdev_delay_opts_init(o);
	rc = opts_copy("nvio_bdev_delay_opts", o, sizeof(*o), opts, sizeof(*o));
	if (rc)
		return rc;
	if (o->p99_read_us < o->avg_read_us || o->p99_write_us < o->avg_write_us)
		return fail(-EINVAL,
			"bdev: delay: a p99 latency is below the average one (reads %" PRIu64 " and %" PRIu64 " us, writes %" PRIu64
			" and %" PRIu64 " us)",
			o->p99_read_us, o->avg_read_us, o->p99_write_us, o->avg_write_us);
	return 0;
}

static void set_latencies(struct delay_bdev *d, const struct nvio_bdev_delay_opts *o)
{
	const uint64_t us[CLASSES] = { o->avg_read_us, o->p99_read_us, o->avg_write_us, o->p99_write_us };

	for (unsigned i = 0; i < CLASSES; i++) {
		uint64_t ns;

		if (__builtin_mul_overflow(us[i], NS_PER_US, &ns))
			ns = UINT64_MAX;
		atomic_store_explicit(&d->latency_ns[i], ns, memory_order_relaxed);
	}
}

static int publish(struct delay_bdev *d, const struct nvio_bdev_delay_opts *o)
{
	struct nvio_bdev_params params;

	nvio_bdev_base_params(d->base, &params);
	params.module = &delay_module;
	params.name = o->name;
	params.device = d;
	params.channel_size = sizeof(struct delay_channel);
	params.uuid = o->uuid;
	return nvio_bdev_register(d->env, &params);
}

int nvio_bdev_delay_create(struct nvio_env *env, const struct nvio_bdev_delay_opts *opts)
{
	struct nvio_bdev_base_opts base;
	struct nvio_bdev_delay_opts o;
	struct delay_bdev *d;
	int rc;

	if (!env || !opts)
		return fail(-EINVAL, "bdev: delay: %s is NULL", env ? "the options" : "the environment");
	rc = opts_read(&o, opts);
	if (!rc)
		rc = bdev_name_check("create", o.name);
	if (rc)
		return rc;
	d = alloc_zeroed(sizeof(*d));
	if (!d)
		return fail(-ENOMEM, "bdev: delay: no memory for the device");
	d->env = env;
	set_latencies(d, &o);
	nvio_bdev_base_opts_init(&base);
	base.base = o.base;
	base.name = o.name;
	base.device = d;
	base.resized = base_resized;
	base.arg = d;
	d->name = alloc_strdup(o.name);
	rc = d->name ? nvio_bdev_base_open(env, &base, &d->base) : fail(-ENOMEM, "bdev: delay: no memory for the device");
	if (rc)
		goto free_device;
	d->below = nvio_bdev_base_desc(d->base);
	rc = publish(d, &o);
	if (rc)
		goto free_device;
	return 0;

free_device:
	delay_free(d);
	return rc;
}

static int heed(struct nvio_channel *ch, void *arg)
{
	struct bdev_channel *bch = channel_ctx(ch);
	struct delay_channel *c = (struct delay_channel *)bch->module;

	for (unsigned i = 0; i < CLASSES; i++)
		run(&c->queues[i]);
	return 0;
}

static int update(void *device, void *arg)
{
	set_latencies(device, arg);
	return 0;
}

int nvio_bdev_delay_update(struct nvio_env *env, const char *name, const struct nvio_bdev_delay_opts *opts, struct nvio_op *op)
{
	struct nvio_bdev_delay_opts o;
	int rc;

	if (!env || !name || !opts || !op)
		return fail(-EINVAL, "bdev: delay: update: an environment, a name, options and an op are needed");
	rc = opts_read(&o, opts);
	return rc ? rc : bdev_tell(env, name, &delay_module, update, &o, heed, op);
}
