/* SPDX-License-Identifier: BSD-3-Clause */
/* Limits of a device and of descriptors: setting them, and the buckets that count them. */
#include "bdev/qos.h"

#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/opts.h"
#include "bdev/gate.h"

#define FILL_STEP_NS (1ull << 33) /* times a rest below 10^9 it fits into 64 bits */

void bdev_bucket_fill(struct bdev_bucket *b, uint64_t now)
{
	uint64_t left = now - b->filled_ns;
	uint64_t more = 0;
	int64_t over;

	b->filled_ns = now;
	while (left && more < b->burst) {
		uint64_t ns = MIN(left, FILL_STEP_NS);
		uint64_t parts = ns * (b->rate % NS_PER_S) + b->rest;

		/* So that a debt, however large, is not paid by more than there is. */
		if (__builtin_add_overflow(more, ns * (b->rate / NS_PER_S) + parts / NS_PER_S, &more))
			more = INT64_MAX;
		b->rest = parts % NS_PER_S;
		left -= ns;
	}
	if (!more)
		return;
	over = atomic_fetch_add_explicit(&b->tokens, (int64_t)MIN(more, 1ull << 61), memory_order_relaxed) +
	       (int64_t)MIN(more, 1ull << 61) - (int64_t)b->burst;
	if (over >= 0) {
		atomic_fetch_sub_explicit(&b->tokens, over, memory_order_relaxed);
		b->rest = 0;
	}
}

uint64_t bdev_bucket_wait_ns(const struct bdev_bucket *b)
{
	int64_t tokens = atomic_load_explicit(&b->tokens, memory_order_relaxed);
	uint64_t need, rate = b->rate;

	if (tokens > 0 || !rate)
		return 0;
	need = 1 - (uint64_t)tokens;
	/* Whoever waits longer than a second looks again then. */
	if (need >= rate)
		return NS_PER_S;
	for (; need >> 33; need >>= 1)
		rate >>= 1;
	return DIV_ROUND_UP(need * NS_PER_S - MIN(b->rest, need * NS_PER_S - 1), rate);
}

static void bucket_set(struct bdev_bucket *b, const struct nvio_bdev_rate *rate, uint64_t now)
{
	int64_t tokens = atomic_load_explicit(&b->tokens, memory_order_relaxed);
	bool fresh = !b->rate;

	if (!fresh && rate->per_s)
		bdev_bucket_fill(b, now);
	b->rate = rate->per_s;
	b->burst = rate->burst;
	b->filled_ns = now;
	b->rest = 0;
	/* Full for one that is new; who changes a limit all the time gets no burst each time. */
	if (fresh || tokens > (int64_t)b->burst)
		atomic_store_explicit(&b->tokens, (int64_t)b->burst, memory_order_relaxed);
}

void nvio_bdev_qos_init(struct nvio_bdev_qos *qos)
{
	*qos = (struct nvio_bdev_qos){ .size = sizeof(*qos) };
}

void nvio_bdev_desc_qos_init(struct nvio_bdev_desc_qos *qos)
{
	*qos = (struct nvio_bdev_desc_qos){ .size = sizeof(*qos), .weight = NVIO_BDEV_WEIGHT_DEFAULT };
}

/* Checks one, and sets the burst that was left to us: of at least one I/O or block. */
static int rate_check(const struct nvio_bdev *bdev, const char *what, struct nvio_bdev_rate *rate, uint64_t unit)
{
	if (rate->per_s > NVIO_BDEV_RATE_MAX || rate->burst > NVIO_BDEV_RATE_MAX)
		return fail(-EINVAL, "bdev: qos: %s: %s: %" PRIu64 " per second with a burst of %" PRIu64 " is more than %llu",
			bdev->name, what, rate->per_s, rate->burst, NVIO_BDEV_RATE_MAX);
	if (rate->burst && !rate->per_s)
		return fail(-EINVAL, "bdev: qos: %s: %s: a burst of %" PRIu64 " without a rate; set per_s, too", bdev->name,
			what, rate->burst);
	if (rate->per_s && !rate->burst)
		rate->burst = MAX(rate->per_s / 10, unit);
	return 0;
}

/* The six of a device, in the order of the buckets. */
static void rates_of(struct nvio_bdev_qos *qos, struct nvio_bdev_rate *rates[QOS_BUCKETS])
{
	rates[2 * QOS_READ] = &qos->read_ios;
	rates[2 * QOS_READ + QOS_BYTES] = &qos->read_bytes;
	rates[2 * QOS_WRITE] = &qos->write_ios;
	rates[2 * QOS_WRITE + QOS_BYTES] = &qos->write_bytes;
	rates[2 * QOS_ALL] = &qos->all_ios;
	rates[2 * QOS_ALL + QOS_BYTES] = &qos->all_bytes;
}

/* The only limit among those of the mask; `none` when there is none, and an empty one when there are several, or something else. */
static struct bdev_bucket *only_one(struct bdev_qos *q, uint32_t mask, struct bdev_bucket *none)
{
	static struct bdev_bucket empty; /* nothing is ever put in or taken out */

	if (!mask)
		return none;
	return mask & QOS_IN_FLIGHT || !IS_POWER_OF_2(mask) ? &empty : &q->buckets[__builtin_ctz(mask)];
}

bool bdev_qos_take_over(struct bdev_channel *ch)
{
	struct bdev_qos *q = atomic_load_explicit(&ch->bdev->gate.qos, memory_order_relaxed);
	uint32_t ios = 1u << 2 * QOS_READ | 1u << 2 * QOS_WRITE | 1u << 2 * QOS_ALL, bytes = ios << QOS_BYTES;

	if (!q || !(q->mask[QOS_READ] | q->mask[QOS_WRITE] | q->limited_descs))
		return false;
	ch->qos = q;
	atomic_store_explicit(&ch->full.tokens, INT64_MAX, memory_order_relaxed);
	for (unsigned class = QOS_READ; class <= QOS_WRITE; class++) {
		uint32_t mask = atomic_load_explicit(&q->mask[class], memory_order_relaxed);

		ch->fast[class][0] = only_one(q, mask & ~bytes, &ch->full);
		ch->fast[class][1] = only_one(q, mask & bytes, &ch->full);
	}
	return true;
}

void bdev_qos_free(struct nvio_bdev *bdev)
{
	alloc_free(atomic_load(&bdev->gate.qos));
}

/* The device's, made the first time somebody sets a limit; it stays, as other threads look at it. */
static struct bdev_qos *qos_get(struct nvio_bdev *bdev)
{
	struct bdev_gate *g = &bdev->gate;
	struct bdev_qos *q = alloc_aligned(CACHE_LINE, sizeof(*q)), *other;

	pthread_mutex_lock(&g->lock);
	other = atomic_load_explicit(&g->qos, memory_order_relaxed);
	if (q && !other) {
		list_init(&q->backlog);
		nvio_bdev_qos_init(&q->config);
		/* Release: who sees it sees it made. */
		atomic_store_explicit(&g->qos, q, memory_order_release);
	}
	pthread_mutex_unlock(&g->lock);
	if (!other)
		return q;
	alloc_free(q);
	return other;
}

/* With gate.lock. What descriptors have had was counted otherwise until now: they begin anew. */
static void count_anew(struct bdev_qos *q)
{
	q->vclock += 1ull << 62;
	list_for_each (l, &q->backlog)
		bdev_share_desc(list_entry(l, struct bdev_share, in_backlog))->vtime = q->vclock;
}

/* With gate.lock. */
static void apply(struct bdev_qos *q, struct nvio_bdev_qos *o, uint64_t now)
{
	struct nvio_bdev_rate *rates[QOS_BUCKETS];
	uint32_t mask = o->max_in_flight ? QOS_IN_FLIGHT : 0;
	bool by_bytes = o->read_bytes.per_s || o->write_bytes.per_s || o->all_bytes.per_s;

	rates_of(o, rates);
	for (unsigned i = 0; i < QOS_BUCKETS; i++) {
		bucket_set(&q->buckets[i], rates[i], now);
		if (rates[i]->per_s)
			mask |= 1u << i;
	}
	if (by_bytes != q->by_bytes)
		count_anew(q);
	q->by_bytes = by_bytes;
	q->config = *o;
	atomic_store_explicit(&q->max_in_flight, o->max_in_flight, memory_order_relaxed);
	for (unsigned i = QOS_READ; i <= QOS_WRITE; i++)
		atomic_store_explicit(&q->mask[i], mask & (QOS_IN_FLIGHT | QOS_ALL_BITS | 3u << 2 * i), memory_order_relaxed);
}

/* All channels have taken it over, or the op has had enough of waiting. */
static void applied(struct bdev_lock *lock, int status)
{
	/* Nobody holds such a thing. */
	bdev_unlock(lock);
	bdev_request_end(lock->io, status);
}

/* The op waits for all channels as one for a lock does, which keeps nothing out. It lies where a module has its own. */
static void tell_all(struct nvio_bdev_desc *desc, struct nvio_channel *handle, struct nvio_op *op)
{
	struct nvio_bdev_io *io = bdev_request_begin(desc, handle, op, NVIO_BDEV_IO_FLUSH);
	struct bdev_lock *lock = (struct bdev_lock *)((char *)io + offsetof(struct nvio_bdev_io, module));

	nvio_static_assert(sizeof(*lock) <= offsetof(struct nvio_bdev_io, deadline_ns) - offsetof(struct nvio_bdev_io, module),
		"it has room there");
	*lock = (struct bdev_lock){
		.len = 1,
		.ch = channel_ctx(handle),
		.io = io,
		.granted = applied,
		.keeps_out = BDEV_LOCK_SEEN,
	};
	if (!bdev_lock(lock))
		applied(lock, 0);
}

int nvio_bdev_set_qos(
	struct nvio_bdev_desc *desc, struct nvio_channel *ch, const struct nvio_bdev_qos *qos, struct nvio_op *op)
{
	static const char *const names[QOS_BUCKETS] = { "read_ios", "read_bytes", "write_ios", "write_bytes", "all_ios",
		"all_bytes" };
	int rc = bdev_request_check("qos", desc, ch, op);
	struct nvio_bdev_rate *rates[QOS_BUCKETS];
	struct nvio_bdev_qos o;
	struct bdev_qos *q;
	uint64_t now;

	if (rc)
		return rc;
	if (!qos)
		return fail(-EINVAL, "bdev: qos: %s: the limits are NULL", desc->bdev->name);
	nvio_bdev_qos_init(&o);
	rc = opts_copy("nvio_bdev_qos", &o, sizeof(o), qos, sizeof(o));
	rates_of(&o, rates);
	for (unsigned i = 0; !rc && i < QOS_BUCKETS; i++)
		rc = rate_check(desc->bdev, names[i], rates[i], i & QOS_BYTES ? desc->bdev->block_size : 1);
	if (rc)
		return rc;
	q = qos_get(desc->bdev);
	if (!q)
		return fail(-ENOMEM, "bdev: qos: %s: no memory for limits", desc->bdev->name);
	now = clock_now(&desc->bdev->env->clock);
	pthread_mutex_lock(&desc->bdev->gate.lock);
	apply(q, &o, now);
	pthread_mutex_unlock(&desc->bdev->gate.lock);
	tell_all(desc, ch, op);
	return 0;
}

int nvio_bdev_get_qos(struct nvio_bdev_desc *desc, struct nvio_bdev_qos *qos)
{
	struct bdev_qos *q;
	size_t size;

	if (!desc || !qos)
		return fail(-EINVAL, "bdev: qos: %s is NULL", desc ? "the result" : "the descriptor");
	size = qos->size;
	if (size < sizeof(size) || size > sizeof(*qos))
		return fail(-EINVAL, "bdev: qos: %s: size %zu of the result; call nvio_bdev_qos_init()", desc->bdev->name, size);
	memset((char *)qos + sizeof(size), 0, size - sizeof(size));
	pthread_mutex_lock(&desc->bdev->gate.lock);
	q = atomic_load_explicit(&desc->bdev->gate.qos, memory_order_relaxed);
	if (q)
		memcpy(qos, &q->config, size);
	pthread_mutex_unlock(&desc->bdev->gate.lock);
	qos->size = size;
	return 0;
}

/* With gate.lock. */
static void apply_desc(struct nvio_bdev_desc *desc, struct bdev_qos *q, const struct nvio_bdev_desc_qos *o, uint64_t now)
{
	uint32_t mask = (o->ios.per_s ? 1u : 0) | (o->bytes.per_s ? 2u : 0);

	desc->weight = o->weight;
	bucket_set(&desc->caps[0], &o->ios, now);
	bucket_set(&desc->caps[QOS_BYTES], &o->bytes, now);
	q->limited_descs += !!mask - !!atomic_load_explicit(&desc->qos_mask, memory_order_relaxed);
	atomic_store_explicit(&desc->qos_mask, mask, memory_order_relaxed);
}

int nvio_bdev_set_desc_qos(
	struct nvio_bdev_desc *desc, struct nvio_channel *ch, const struct nvio_bdev_desc_qos *qos, struct nvio_op *op)
{
	int rc = bdev_request_check("qos", desc, ch, op);
	struct nvio_bdev_desc_qos o;
	struct bdev_qos *q;
	uint64_t now;

	if (rc)
		return rc;
	if (!qos)
		return fail(-EINVAL, "bdev: qos: %s: the limits are NULL", desc->bdev->name);
	nvio_bdev_desc_qos_init(&o);
	rc = opts_copy("nvio_bdev_desc_qos", &o, sizeof(o), qos, sizeof(o));
	if (!rc && (!o.weight || o.weight > NVIO_BDEV_WEIGHT_MAX))
		rc = fail(-EINVAL, "bdev: qos: %s: weight %u is not from 1 to %d", desc->bdev->name, o.weight,
			NVIO_BDEV_WEIGHT_MAX);
	if (!rc)
		rc = rate_check(desc->bdev, "ios", &o.ios, 1);
	if (!rc)
		rc = rate_check(desc->bdev, "bytes", &o.bytes, desc->bdev->block_size);
	if (rc)
		return rc;
	q = qos_get(desc->bdev);
	if (!q)
		return fail(-ENOMEM, "bdev: qos: %s: no memory for limits", desc->bdev->name);
	now = clock_now(&desc->bdev->env->clock);
	pthread_mutex_lock(&desc->bdev->gate.lock);
	apply_desc(desc, q, &o, now);
	pthread_mutex_unlock(&desc->bdev->gate.lock);
	tell_all(desc, ch, op);
	return 0;
}

void bdev_qos_desc_closes(struct nvio_bdev_desc *desc)
{
	struct bdev_qos *q = atomic_load_explicit(&desc->bdev->gate.qos, memory_order_relaxed);

	if (!q || !atomic_load_explicit(&desc->qos_mask, memory_order_relaxed))
		return;
	q->limited_descs--;
	desc->bdev->gate.gen++;
	bdev_gate_kick_all(&desc->bdev->gate);
}
