/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Asynchronous I/O. A context that finds no free iod waits in line in its queue, so that any number may be under way and nothing is
 * allocated. What the drive has answered is put on a list under the queue's lock (aio_done), and told to the program later, without any:
 * by nvmed_aio_handle_complete(), or by the device's thread on queues that are not manual.
 */
#include "priv.h"

#include <sched.h>

static void aio_done(struct nvio_op *op);

/* A callback that runs on this thread; it may end its own handle. */
struct firing {
	struct handle *handle;
	bool gone;
	bool counts;             /* one of handle->inflight */
	struct firing *outer;
};
static __thread struct firing *firing;

static void aio_writing(struct queue *q, struct iod *iod, const NVMED_AIO_CTX *ctx)
{
	iod->first = (u64)ctx->start_lba >> PAGE_SHIFT;
	iod->last = ((u64)ctx->start_lba + ctx->len - 1) >> PAGE_SHIFT;
	writing_add(q, iod);
}

/*
 * Under the queue's lock; *wait: the context is to wait in line, which no context does once the cache is in use, since it could not look for
 * pages in its way when its turn comes. NULL otherwise: errno, and nothing is locked.
 */
static struct iod *aio_iod(struct handle *h, struct queue *q, NVMED_AIO_CTX *ctx, u8 opcode, bool *wait)
{
	struct iod *iod;

	*wait = false;
	lock(&q->lock);
	if (unlikely(cache_active(h->device))) {
		unlock(&q->lock);
		return request_begin(h, q, NULL, (u64)ctx->start_lba, ctx->len, opcode != nvme_cmd_read);
	}
	iod = q->waiting.head ? NULL : iod_get(q, NULL);
	*wait = !iod;
	if (iod && opcode != nvme_cmd_read)
		aio_writing(q, iod, ctx);
	return iod;
}

/* Under the queue's lock. Any failure is one of the context. */
static int aio_start(struct queue *q, struct iod *iod, NVMED_AIO_CTX *ctx)
{
	struct device *d = q->device;
	u64 lba = d->start + ((u64)ctx->start_lba >> d->block_shift);
	u32 count = (u32)(ctx->len >> d->block_shift);
	int rc;

	iod->ctx = ctx;
	iod->op.done = aio_done;
	iod->op.arg = iod;
	ctx->num_init_io = 1;
	ctx->status = AIO_PROCESS;
	if (queue_auto(q))
		reaper_began(d, iod);
	if (ctx->opcode == nvme_cmd_read)
		rc = nvio_ns_read(d->ns, q->qp, ctx->buf, lba, count, &iod->op);
	else
		rc = nvio_ns_write(d->ns, q->qp, ctx->buf, lba, count, &iod->op);
	if (unlikely(rc)) {
		if (queue_auto(q))
			reaper_ended(d, iod);
		request_end(q, iod, ctx->opcode != nvme_cmd_read);
	}
	return rc;
}

/* Under the queue's lock. */
static void aio_ready(struct queue *q, NVMED_AIO_CTX *ctx, int rc)
{
	struct handle *h = handle_of(ctx->handle);
	struct lock *l = queue_auto(q) ? &q->device->reaper.lock : &h->done_lock;

	ctx->num_complete_io = rc ? rc : 1;
	q->aio--;
	lock(l);
	ctx_push(queue_auto(q) ? &q->device->reaper.ready : &h->done, ctx);
	unlock(l);
}

/* In nvio_qpair_poll(), under the queue's lock. */
static void aio_done(struct nvio_op *op)
{
	struct iod *iod = op->arg;
	struct queue *q = iod->queue;
	NVMED_AIO_CTX *next;

	if (queue_auto(q))
		reaper_ended(q->device, iod);
	request_end(q, iod, iod->ctx->opcode != nvme_cmd_read);
	aio_ready(q, iod->ctx, op->status);
	while (unlikely(q->waiting.head) && q->free_iods) {
		int rc;

		next = ctx_pop(&q->waiting);
		iod = iod_get(q, NULL);
		if (next->opcode != nvme_cmd_read)
			aio_writing(q, iod, next);
		rc = aio_start(q, iod, next);
		if (rc)
			aio_ready(q, next, rc);
	}
}

/* Tells the program. Its callback may do anything, to the context, the handle and, on a manual queue, the device. */
void aio_fire(NVMED_AIO_CTX *ctx)
{
	struct firing f = { .handle = handle_of(ctx->handle), .counts = true, .outer = firing };

	__atomic_fetch_add(&f.handle->completed, 1, __ATOMIC_RELAXED);
	if (!ctx->aio_callback) {
		/* From here on the context may be gone. */
		__atomic_store_n(&ctx->status, AIO_COMPLETE, __ATOMIC_RELEASE);
		__atomic_fetch_sub(&f.handle->inflight, 1, __ATOMIC_RELEASE);
		return;
	}
	__atomic_store_n(&ctx->status, AIO_COMPLETE, __ATOMIC_RELEASE);
	firing = &f;
	ctx->aio_callback(ctx, ctx->cb_userdata);
	firing = f.outer;
	if (!f.gone)
		__atomic_fetch_sub(&f.handle->inflight, 1, __ATOMIC_RELEASE);
}

/* ---- submitting ---- */

static int aio_refuse(const NVMED_AIO_CTX *ctx)
{
	if (!ctx || !handle_live(handle_of(ctx->handle)))
		return failed(EINVAL, "nvmed: aio: %s", ctx ? "no handle, or destroyed already" : "the context is NULL");
	if (!ctx->buf)
		return failed(EINVAL, "nvmed: aio: the buffer is NULL");
	return failed(EINVAL, "nvmed: aio: %zu bytes at %lld: not of whole blocks of %u bytes, none, or beyond the end of the device", ctx->len,
		(long long)ctx->start_lba, 1u << handle_of(ctx->handle)->device->block_shift);
}

static inline bool aio_acceptable(const NVMED_AIO_CTX *ctx)
{
	struct device *d;
	u64 offset, len;

	if (!ctx || !handle_live(handle_of(ctx->handle)) || !ctx->buf)
		return false;
	d = handle_of(ctx->handle)->device;
	offset = (u64)ctx->start_lba;
	len = ctx->len;
	return len && !((offset | len) & ((1u << d->block_shift) - 1)) && offset < d->capacity && len <= d->capacity - offset &&
		len >> d->block_shift <= UINT_MAX;
}

static __attribute__((cold)) int aio_take_back(NVMED_AIO_CTX *ctx, struct queue *q)
{
	struct handle *h = handle_of(ctx->handle);

	ctx->status = AIO_INIT;
	ctx->num_init_io = 0;
	if (queue_auto(q))
		reaper_expect(q->device, -1);
	__atomic_fetch_sub(&h->submitted, 1, __ATOMIC_RELAXED);
	__atomic_fetch_sub(&h->inflight, 1, __ATOMIC_RELEASE);
	return NVMED_AIO_ERROR;
}

static int aio_submit(NVMED_AIO_CTX *ctx, u8 opcode)
{
	struct device *d;
	struct handle *h;
	struct queue *q;
	struct iod *iod;
	bool wait;
	int rc = 0;

	if (unlikely(!aio_acceptable(ctx)))
		return aio_refuse(ctx);
	h = handle_of(ctx->handle);
	d = h->device;
	q = handle_queue(h, opcode, (u64)ctx->start_lba, ctx->len);
	if (unlikely(!q))
		return NVMED_AIO_ERROR;
	if (queue_auto(q) && reaper_start(d))
		return NVMED_AIO_ERROR;
	ctx->opcode = opcode;
	ctx->status = AIO_INIT;
	ctx->num_init_io = 0;
	ctx->num_complete_io = 0;
	/* All counts come first: once it is begun the context may complete, and take the handle with it, before this returns. */
	__atomic_fetch_add(&h->inflight, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&h->submitted, 1, __ATOMIC_RELAXED);
	if (queue_auto(q))
		reaper_expect(d, 1);
	iod = aio_iod(h, q, ctx, opcode, &wait);
	if (unlikely(!iod && !wait))
		return aio_take_back(ctx, q);
	if (likely(iod))
		rc = aio_start(q, iod, ctx);
	else
		ctx_push(&q->waiting, ctx);
	if (unlikely(rc))
		failed_nvio(rc, "aio");
	q->aio += !rc;
	if (likely(!rc) && queue_auto(q)) {
		/* The doorbell is for who polls next, which may be a while. */
		if (__atomic_load_n(&d->reaper.sleeps, __ATOMIC_RELAXED) == REAPER_PAUSES)
			nvio_qpair_kick(q->qp);
		reaper_wake(d);
	}
	unlock(&q->lock);
	return unlikely(rc) ? aio_take_back(ctx, q) : NVMED_AIO_QUEUED;
}

int nvmed_aio_read(NVMED_AIO_CTX *context)
{
	return aio_submit(context, nvme_cmd_read);
}

int nvmed_aio_write(NVMED_AIO_CTX *context)
{
	return aio_submit(context, nvme_cmd_write);
}

int nvmed_aio_error(const NVMED_AIO_CTX *context)
{
	return context ? context->num_complete_io < 0 ? context->num_complete_io : 0 : -EINVAL;
}

/* ---- completing ---- */

static struct queue *nth_queue(struct handle *h, int i)
{
	return queue_of(h->pub.queue_mq ? h->pub.queue_mq[i] : h->pub.queue);
}

static int num_queues(const struct handle *h)
{
	return h->pub.queue_mq ? h->pub.num_mq : 1;
}

int nvmed_aio_queue_submit(NVMED_HANDLE *handle)
{
	struct handle *h = handle_of(handle);

	if (!handle_live(h))
		return failed(EINVAL, "nvmed: aio_queue_submit: no handle, or destroyed already");
	for (int i = 0; i < num_queues(h); i++) {
		struct queue *q = nth_queue(h, i);

		lock(&q->lock);
		nvio_qpair_kick(q->qp);
		unlock(&q->lock);
	}
	return __atomic_exchange_n(&h->submitted, 0, __ATOMIC_RELAXED);
}

/* Reaps the handle's queues and tells what is its own. `h` may be gone afterwards if a callback ended it: true. */
static bool aio_pump(struct handle *h)
{
	struct firing f = { .handle = h, .outer = firing };
	NVMED_AIO_CTX *ctx;

	for (int i = 0; i < num_queues(h); i++) {
		struct queue *q = nth_queue(h, i);

		lock(&q->lock);
		if (q->aio)
			nvio_qpair_poll(q->qp, 0);
		unlock(&q->lock);
	}
	firing = &f;
	while (!f.gone) {
		lock(&h->done_lock);
		ctx = ctx_pop(&h->done);
		unlock(&h->done_lock);
		if (!ctx)
			break;
		aio_fire(ctx);
	}
	firing = f.outer;
	return f.gone;
}

int nvmed_aio_handle_complete(NVMED_HANDLE *handle)
{
	struct handle *h = handle_of(handle);

	if (!handle_live(h))
		return failed(EINVAL, "nvmed: aio_handle_complete: no handle, or destroyed already");
	return aio_pump(h) ? 0 : __atomic_exchange_n(&h->completed, 0, __ATOMIC_RELAXED);
}

void aio_drain(struct handle *h)
{
	int own = 0;

	for (struct firing *f = firing; f; f = f->outer)
		own += f->handle == h && f->counts;
	while (__atomic_load_n(&h->inflight, __ATOMIC_ACQUIRE) > own) {
		aio_pump(h);
		if (reaper_is_me(h->device))
			reaper_fire(h->device);
		sched_yield();
	}
	for (struct firing *f = firing; f; f = f->outer)
		f->gone |= f->handle == h;
}
