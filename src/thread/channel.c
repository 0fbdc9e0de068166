/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * I/O channels: a thread's own table of them, so that getting one again, and putting it back, takes no
 * lock. Only making and destroying one tells the device.
 */
#include <string.h>

#include "base/alloc.h"
#include "thread/device.h"
#include <nvio/error.h>

#define FIRST_BITS 6u

static struct nvio_channel **bucket(struct nvio_thread *t, const void *key)
{
	return &t->channels[address_bucket(key, t->channel_bits)];
}

static struct nvio_channel *find(struct nvio_thread *t, const void *key)
{
	struct nvio_channel *ch = t->channels ? *bucket(t, key) : NULL;

	while (ch && ch->key != key)
		ch = ch->next;
	return ch;
}

static void hang_up(struct nvio_thread *t, struct nvio_channel *ch)
{
	struct nvio_channel **head = bucket(t, ch->key);

	ch->next = *head;
	*head = ch;
}

/*
 * As many buckets as channels, about. Without memory for more the chains grow, and only the first table is a
 * must.
 */
static int make_room(struct nvio_thread *t)
{
	struct nvio_channel **old = t->channels;
	uint32_t old_bits = t->channel_bits, bits = old ? old_bits + 1 : FIRST_BITS;
	struct nvio_channel **channels;

	if (old && channel_count(t) < 1u << old_bits)
		return 0;
	channels = alloc_array((size_t)1 << bits, sizeof(struct nvio_channel *));
	if (!channels)
		return old ? 0 : -ENOMEM;
	t->channels = channels;
	t->channel_bits = bits;
	for (uint32_t i = 0; old && i < 1u << old_bits; i++) {
		for (struct nvio_channel *ch = old[i], *next; ch; ch = next) {
			next = ch->next;
			hang_up(t, ch);
		}
	}
	alloc_free(old);
	return 0;
}

static void count_channels(struct nvio_thread *t, int more)
{
	atomic_store_explicit(&t->channel_count, channel_count(t) + (uint32_t)more, memory_order_relaxed);
}

static void no_longer_dying(struct nvio_channel *ch)
{
	if (list_empty(&ch->dying))
		return;
	list_remove(&ch->dying);
	if (!--ch->thread->dying_count)
		ch->thread->attention &= ~ATT_DYING;
}

static void start_dying(struct nvio_channel *ch)
{
	list_push_back(&ch->thread->dying, &ch->dying);
	ch->thread->dying_count++;
	ch->thread->attention |= ATT_DYING;
}

static int get_again(struct nvio_channel *ch, struct nvio_channel **out)
{
	if (atomic_load_explicit(&ch->device->removed, memory_order_relaxed))
		return fail(-ENODEV, "channel: get: device %s is being unregistered", ch->device->name);
	no_longer_dying(ch);
	ch->refs++;
	*out = ch;
	return 0;
}

/* Why it said no, if it told; its words would not say which device. */
static COLD int refused(const struct io_device *d, int rc)
{
	const char *why = nvio_errmsg();

	return fail(rc, "channel: get: device %s: %s", d->name, *why ? why : nvio_errno_name(rc));
}

static int create(struct nvio_thread *t, struct io_device *d, struct nvio_channel **out)
{
	struct nvio_channel *ch = make_room(t) ? NULL : alloc_aligned(CACHE_LINE, sizeof(*ch) + d->ops.ctx_size);
	int rc;

	if (!ch)
		return fail(-ENOMEM, "channel: get: device %s: no memory for %zu bytes of context", d->name,
			d->ops.ctx_size);
	ch->thread = t;
	ch->key = d->key;
	ch->device = d;
	ch->refs = 1;
	list_init(&ch->dying);
	list_init(&ch->in_thread);
	list_init(&ch->in_device);
	fail_clear();
	rc = d->ops.channel_create ? d->ops.channel_create(d->key, ch) : 0;
	if (rc) {
		alloc_free(ch);
		return refused(d, rc);
	}
	if (NVIO_CHECKED)
		channel_note_place(ch);
	*out = ch;
	return 0;
}

static void publish(struct nvio_channel *ch)
{
	struct io_device *d = ch->device;

	hang_up(ch->thread, ch);
	count_channels(ch->thread, 1);
	list_push_back(&ch->thread->channel_list, &ch->in_thread);
	pthread_mutex_lock(&d->registry->lock);
	list_push_back(&d->channels, &ch->in_device);
	pthread_mutex_unlock(&d->registry->lock);
}

/* Checked builds keep the last few for a while, so that one put too often is told by name. */
static void bury(struct nvio_channel *ch)
{
	struct nvio_thread *t = ch->thread;
	struct grave *g = &t->graves[t->next_grave++ % ARRAY_SIZE(t->graves)];

	alloc_free(g->ch);
	g->ch = ch;
	memcpy(g->device, ch->device->name, sizeof(g->device));
}

static void discard(struct nvio_channel *ch)
{
	struct io_device *d = ch->device;

	if (d->ops.channel_destroy)
		d->ops.channel_destroy(d->key, ch);
	if (NVIO_CHECKED)
		bury(ch);
	else
		alloc_free(ch);
	device_release(d);
}

void channel_clear_graves(struct nvio_thread *t)
{
	for (size_t i = 0; i < ARRAY_SIZE(t->graves); i++) {
		alloc_free(t->graves[i].ch);
		t->graves[i].ch = NULL;
	}
}

/* Checked builds: a channel that has no reference left, in the making of its end or buried. */
static COLD void check_put(struct nvio_channel *ch)
{
	const struct nvio_thread *t = ch->thread;

	for (size_t i = 0; i < ARRAY_SIZE(t->graves); i++)
		if (t->graves[i].ch == ch)
			channel_put_too_often(t->graves[i].device, t->name);
	channel_put_too_often(ch->device->name, t->name);
}

static int get_first(struct nvio_thread *t, void *key, struct nvio_channel **out)
{
	struct io_device *d = device_hold(t->env->threads, key);
	struct nvio_channel *ch = NULL, *other;
	int rc;

	if (!d)
		return fail(-ENODEV, "channel: get: device %p is not registered", key);
	rc = create(t, d, &ch);
	if (rc) {
		device_release(d);
		return rc;
	}
	/*
	 * channel_create may have polled, and what ran there may have got the same channel; the first one
	 * counts.
	 */
	other = find(t, key);
	if (other) {
		discard(ch);
		return get_again(other, out);
	}
	publish(ch);
	*out = ch;
	return 0;
}

int nvio_channel_get(struct nvio_env *env, void *device, struct nvio_channel **out)
{
	struct nvio_thread *t = thread_tls_current;
	struct nvio_channel *ch;

	if (!t || t->env != env)
		return fail(-EINVAL,
			"channel: get: %s; attach to a thread of this environment or send it a message",
			t ? "the current nvio_thread is of another environment" : "no current nvio_thread");
	if (msg_closed(&t->msgs))
		return fail(-ESHUTDOWN, "channel: get: thread %s is exiting", t->name);
	ch = find(t, device);
	return ch ? get_again(ch, out) : get_first(t, device, out);
}

void nvio_channel_put(struct nvio_channel *ch)
{
	check_own(ch->thread, "nvio_channel_put");
	if (NVIO_CHECKED && !ch->refs)
		check_put(ch);
	invariant(ch->refs > 0);
	if (!--ch->refs)
		start_dying(ch);
}

static void destroy(struct nvio_channel *ch)
{
	struct nvio_thread *t = ch->thread;
	struct nvio_channel **at = bucket(t, ch->key);
	struct thread_registry *r = t->env->threads;
	bool pinned;

	pthread_mutex_lock(&r->lock);
	pinned = ch->pins;
	if (!pinned)
		list_remove(&ch->in_device);
	pthread_mutex_unlock(&r->lock);
	if (pinned) {
		start_dying(ch); /* a walk stands on it, and moves on in one of our next polls */
		return;
	}
	while (*at != ch)
		at = &(*at)->next;
	*at = ch->next;
	count_channels(t, -1);
	list_remove(&ch->in_thread);
	discard(ch);
}

int channel_run_dying(struct nvio_thread *t)
{
	uint32_t n = t->dying_count;
	int work = 0;

	for (; n && !list_empty(&t->dying); n--) {
		struct nvio_channel *ch = list_entry(t->dying.next, struct nvio_channel, dying);

		no_longer_dying(ch);
		destroy(ch);
		work++;
	}
	return work;
}

void channel_kill_all(struct nvio_thread *t, const char *what)
{
	while (!list_empty(&t->channel_list)) {
		struct nvio_channel *ch = list_entry(t->channel_list.prev, struct nvio_channel, in_thread);
		uint32_t count = channel_count(t);

		if (ch->refs)
			channel_report(ch, what);
		ch->refs = 0;
		if (list_empty(&ch->dying))
			start_dying(ch);
		poll_drain(t);
		if (channel_count(t) == count)
			return; /* a walk stands on it */
	}
}

void *nvio_channel_ctx(struct nvio_channel *ch)
{
	check_own(ch->thread, "nvio_channel_ctx");
	return ch->ctx;
}

struct nvio_thread *nvio_channel_thread(const struct nvio_channel *ch)
{
	return ch->thread;
}

void *nvio_channel_device(const struct nvio_channel *ch)
{
	return ch->key;
}
