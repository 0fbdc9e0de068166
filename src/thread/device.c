/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Devices that channels are made of, and the two ops that reach across threads: the walk over a device's
 * channels, and its unregistration. Neither allocates: an op travels between threads as a note in its own
 * private words.
 */
#include "thread/device.h"

#include <string.h>

#include "base/alloc.h"

/* In op.priv, of the thread that submitted but where said otherwise. */
struct device_op {
	struct note note; /* whoever the op travels to */
	struct nvio_timer timer;
	struct list link;	  /* in the thread's device_ops; empty: it has ended */
	struct io_device *device; /* the walk's; registry lock, alive while ch is pinned */
	struct nvio_channel *ch;  /* the walk's: where it stands, pinned; whoever it travels to */
	int (*fn)(struct nvio_channel *ch, void *arg); /* NULL: not a walk, an unregistration */
	void *arg; /* of fn; an unregistration's: the device's address */
	_Atomic int stop; /* the submitter says so: end with this status */
	int status;	  /* whoever it travels to */
};

nvio_static_assert(sizeof(struct device_op) <= sizeof(((struct nvio_op *)0)->priv), "must fit into the op");

/* ---- the table of devices, under the registry lock ---- */

#define FIRST_BITS 6u

static struct io_device **bucket_of(struct thread_registry *r, const void *key)
{
	return &r->devices[address_bucket(key, r->device_bits)];
}

static struct io_device *find(struct thread_registry *r, const void *key)
{
	struct io_device *dev = r->devices ? *bucket_of(r, key) : NULL;

	while (dev && dev->key != key)
		dev = dev->next;
	return dev;
}

static struct io_device *find_registered(struct thread_registry *r, const void *key)
{
	struct io_device *dev = find(r, key);

	return dev && !dev->removed ? dev : NULL;
}

static void table_insert(struct thread_registry *r, struct io_device *dev)
{
	struct io_device **head = bucket_of(r, dev->key);

	dev->next = *head;
	*head = dev;
	r->device_count++;
}

static void table_remove(struct thread_registry *r, struct io_device *dev)
{
	struct io_device **at = bucket_of(r, dev->key);

	while (*at != dev)
		at = &(*at)->next;
	*at = dev->next;
	r->device_count--;
}

/*
 * As many buckets as devices, about. Without memory for more the chains grow, and only the first table is a
 * must.
 */
static int table_make_room(struct thread_registry *r)
{
	struct io_device **old = r->devices;
	uint32_t old_bits = r->device_bits, bits = old ? old_bits + 1 : FIRST_BITS;
	struct io_device **devices;

	if (old && r->device_count < 1u << old_bits)
		return 0;
	devices = alloc_array((size_t)1 << bits, sizeof(struct io_device *));
	if (!devices)
		return old ? 0 : -ENOMEM;
	r->devices = devices;
	r->device_bits = bits;
	r->device_count = 0;
	for (uint32_t i = 0; old && i < 1u << old_bits; i++) {
		for (struct io_device *dev = old[i], *next; dev; dev = next) {
			next = dev->next;
			table_insert(r, dev);
		}
	}
	alloc_free(old);
	return 0;
}

/* ---- the ops ---- */

static struct device_op *priv(struct nvio_op *op)
{
	return (struct device_op *)op->priv;
}

static struct nvio_op *op_of(struct device_op *d)
{
	return container_of((void *)d, struct nvio_op, priv);
}

static struct nvio_thread *submitter(struct nvio_op *op)
{
	return container_of(op->owner, struct nvio_thread, channel_ops);
}

static struct nvio_thread *submitting_thread(struct nvio_pollable *p)
{
	return container_of(p, struct nvio_thread, channel_ops);
}

static int poll_submitter(struct nvio_pollable *p)
{
	return nvio_thread_poll(submitting_thread(p), 0);
}

static void end(struct device_op *d, int status)
{
	nvio_timer_stop(&d->timer);
	list_remove(&d->link);
	thread_end_op(submitter(op_of(d)), op_of(d), status);
}

static void arrive(struct note *note)
{
	struct device_op *d = container_of(note, struct device_op, note);

	end(d, d->status);
}

/* On whatever thread: the op goes home. */
static void send_home(struct device_op *d, int status)
{
	d->status = status;
	d->note.fn = arrive;
	note_send(&submitter(op_of(d))->msgs, &d->note);
}

/* Takes a waiting unregistration off its device; false: the device is gone, and the op on its way home. */
static bool withdraw(struct thread_registry *r, struct nvio_op *op)
{
	struct io_device *dev;
	bool found = false;

	pthread_mutex_lock(&r->lock);
	dev = find(r, priv(op)->arg);
	if (dev && dev->unregister_op == op) {
		dev->unregister_op = NULL;
		found = true;
	}
	pthread_mutex_unlock(&r->lock);
	return found;
}

static void stop(struct device_op *d, int status)
{
	struct nvio_op *op = op_of(d);

	if (d->fn)
		atomic_store_explicit(&d->stop, status, memory_order_relaxed);
	else if (withdraw(submitter(op)->env->threads, op))
		end(d, status);
}

static int cancel(struct nvio_pollable *p, struct nvio_op *op)
{
	check_own(container_of(p, struct nvio_thread, channel_ops), "nvio_cancel");
	if (!list_empty(&priv(op)->link))
		stop(priv(op), -ECANCELED);
	return 0;
}

const struct pollable_ops device_pollable_ops = {
	.name = "io device",
	.poll = poll_submitter,
	.cancel = cancel,
	.thread = submitting_thread,
};

static void timed_out(struct nvio_timer *timer)
{
	stop(container_of(timer, struct device_op, timer), -ETIMEDOUT);
}

/*
 * The submit's checks, and all of it that can fail; the op is taken at the end of it. 0 or -errno, the op
 * untouched.
 */
static int begin(struct nvio_op *op, struct nvio_env *env, const char *what, struct nvio_thread **thread)
{
	struct nvio_thread *t = thread_tls_current;
	struct device_op fresh = { 0 };
	int rc;

	if (!t || t->env != env)
		return fail(-EINVAL, "device: %s: %s", what,
			t ? "the current nvio_thread is of another environment"
			  : "no current nvio_thread; attach to one");
	if (!op || op->flags)
		return fail(-EINVAL, "device: %s: %s", what, op ? "op.flags must be 0" : "no op");
	rc = timer_make_room(&t->timers);
	if (rc)
		return rc;
	*priv(op) = fresh;
	op_begin(op, &t->channel_ops);
	list_push_back(&t->device_ops, &priv(op)->link);
	*thread = t;
	return 0;
}

/* Apart from begin() because it asks the clock, which may be the caller's, and that not under a lock. */
static void start_deadline(struct nvio_thread *t, struct nvio_op *op)
{
	if (!op->timeout_us || op->timeout_us == UINT64_MAX)
		return;
	priv(op)->timer.fn = timed_out;
	timer_start(t, &priv(op)->timer, op->timeout_us); /* cannot fail: begin() made room */
}

struct io_device *device_hold(struct thread_registry *r, void *key)
{
	struct io_device *dev;

	pthread_mutex_lock(&r->lock);
	dev = find_registered(r, key);
	if (dev)
		dev->count++;
	pthread_mutex_unlock(&r->lock);
	return dev;
}

void device_release(struct io_device *dev)
{
	struct thread_registry *r = dev->registry;
	struct nvio_op *op = NULL;
	bool last;

	pthread_mutex_lock(&r->lock);
	last = !--dev->count && dev->removed;
	if (last) {
		op = dev->unregister_op;
		table_remove(r, dev);
	}
	pthread_mutex_unlock(&r->lock);
	if (last)
		alloc_free(dev);
	if (op)
		send_home(priv(op), 0);
}

int nvio_io_device_register(struct nvio_env *env, void *device, const struct nvio_io_device_ops *ops)
{
	struct thread_registry *r = env->threads;
	struct io_device *dev;
	int rc;

	if (!device || !ops)
		return fail(-EINVAL, "device: register: no %s", device ? "ops" : "address");
	dev = alloc_zeroed(sizeof(*dev));
	if (!dev)
		return fail(-ENOMEM, "device: register: %s: no memory", ops->name ? ops->name : "?");
	dev->registry = r;
	dev->key = device;
	dev->ops = *ops;
	strncpy(dev->name, ops->name ? ops->name : "device", sizeof(dev->name) - 1);
	dev->ops.name = dev->name;
	list_init(&dev->channels);
	pthread_mutex_lock(&r->lock);
	rc = find(r, device) ? -EEXIST : table_make_room(r);
	if (!rc)
		table_insert(r, dev);
	pthread_mutex_unlock(&r->lock);
	if (rc) {
		fail(rc, "device: register: %s: %s", dev->name,
			rc == -EEXIST ? "its address is registered already, or still has channels"
				      : "no memory");
		alloc_free(dev);
	}
	return rc;
}

static int unregister_now(struct thread_registry *r, void *device)
{
	struct io_device *dev;
	int rc = 0;

	pthread_mutex_lock(&r->lock);
	dev = find(r, device);
	if (!dev)
		rc = -ENOENT;
	else if (dev->count)
		rc = -EBUSY;
	else
		table_remove(r, dev);
	pthread_mutex_unlock(&r->lock);
	if (rc)
		return fail(rc, "device: unregister: %p: %s", device,
			rc == -EBUSY ? "it still has channels; put them, or give an op to wait with"
				     : "not registered");
	alloc_free(dev);
	return 0;
}

/* Under the registry lock: whether an op can wait for the device. */
static int may_unregister(const struct io_device *dev)
{
	if (!dev)
		return -ENOENT;
	return dev->unregister_op ? -EALREADY : 0;
}

int nvio_io_device_unregister(struct nvio_env *env, void *device, struct nvio_op *op)
{
	struct thread_registry *r = env->threads;
	struct nvio_thread *t;
	struct io_device *dev;
	bool gone = false;
	int rc;

	if (!op)
		return unregister_now(r, device);
	pthread_mutex_lock(&r->lock);
	dev = find(r, device);
	rc = may_unregister(dev);
	if (rc) {
		fail(rc, "device: unregister: %p: %s", device,
			dev ? "another op waits for it" : "not registered");
	} else {
		/* Under the lock, or the device might go before we wait for it. */
		rc = begin(op, env, "unregister", &t);
	}
	if (!rc) {
		dev->removed = true;
		gone = !dev->count;
		priv(op)->arg = device;
		if (gone)
			table_remove(r, dev);
		else
			dev->unregister_op = op;
	}
	pthread_mutex_unlock(&r->lock);
	if (rc)
		return rc;
	start_deadline(t, op);
	if (gone) {
		alloc_free(dev);
		end(priv(op), 0);
	}
	return 0;
}

static void step(struct note *note)
{
	struct device_op *d = container_of(note, struct device_op, note);
	struct nvio_channel *ch = d->ch, *next = NULL;
	struct thread_registry *r = ch->thread->env->threads;
	int rc = atomic_load_explicit(&d->stop, memory_order_relaxed);

	/* One that was put meanwhile is as good as gone. */
	if (!rc && ch->refs)
		rc = d->fn(ch, d->arg);
	pthread_mutex_lock(&r->lock);
	if (rc >= 0 && ch->in_device.next != &d->device->channels) {
		next = list_entry(ch->in_device.next, struct nvio_channel, in_device);
		next->pins++;
	}
	ch->pins--;
	pthread_mutex_unlock(&r->lock);
	d->ch = next;
	if (next)
		note_send(&next->thread->msgs, note);
	else
		send_home(d, MIN(rc, 0));
}

int nvio_channel_for_each(struct nvio_env *env, void *device, int (*fn)(struct nvio_channel *ch, void *arg),
	void *arg, struct nvio_op *op)
{
	struct thread_registry *r = env->threads;
	struct nvio_channel *first = NULL;
	struct nvio_thread *t;
	struct io_device *dev;
	int rc;

	if (!fn)
		return fail(-EINVAL, "device: for_each: no fn");
	pthread_mutex_lock(&r->lock);
	dev = find_registered(r, device);
	if (!dev)
		rc = fail(-ENOENT, "device: for_each: %p: not registered", device);
	else
		rc = begin(op, env, "for_each", &t);
	if (!rc && !list_empty(&dev->channels)) {
		first = list_entry(dev->channels.next, struct nvio_channel, in_device);
		first->pins++;
	}
	pthread_mutex_unlock(&r->lock);
	if (rc)
		return rc;
	if (!first) {
		end(priv(op), 0);
		return 0;
	}
	priv(op)->note.fn = step;
	priv(op)->fn = fn;
	priv(op)->arg = arg;
	priv(op)->device = dev;
	priv(op)->ch = first;
	start_deadline(t, op);
	note_send(&first->thread->msgs, &priv(op)->note);
	return 0;
}

void device_cancel_all(struct nvio_thread *t)
{
	list_for_each_safe (l, &t->device_ops)
		stop(list_entry(l, struct device_op, link), -ECANCELED);
}

void device_free_all(struct thread_registry *r)
{
	for (uint32_t i = 0; r->devices && i < 1u << r->device_bits; i++) {
		for (struct io_device *dev = r->devices[i], *next; dev; dev = next) {
			next = dev->next;
			alloc_free(dev);
		}
	}
	alloc_free(r->devices);
}
