/* SPDX-License-Identifier: BSD-3-Clause */
/* The handle: how a program wants its I/O done, on one queue or on several, and where in the device it stands. */
#include "priv.h"

#include <stdlib.h>
#include <unistd.h>

#define HANDLE_FLAGS    (HANDLE_DIRECT_IO | HANDLE_SYNC_IO | HANDLE_HINT_DMEM | HANDLE_INTERRUPT)
#define HANDLE_QUEUES   1024 /* of one multi-queue handle */

struct queue *handle_pick(struct handle *h, u8 opcode, u64 offset, u64 len)
{
	NVMED_QUEUE *pick = h->pub.mq_get_queue(&h->pub, opcode, offset, len > UINT_MAX ? UINT_MAX : (unsigned int)len);

	for (int i = 0; i < h->pub.num_mq; i++)
		if (h->pub.queue_mq[i] == pick)
			return queue_of(pick);
	failed(EINVAL, "nvmed: the handle's function picked a queue that is none of its %d", h->pub.num_mq);
	return NULL;
}

static bool flags_fit(struct handle *h, u32 flags)
{
	if (!(flags & HANDLE_INTERRUPT))
		return true;
	for (int i = 0; i < h->pub.num_mq; i++)
		if (!(h->pub.queue_mq[i]->flags & QUEUE_INTERRUPT))
			return false;
	return h->pub.num_mq || (h->pub.queue->flags & QUEUE_INTERRUPT);
}

/* The queues' count of handles. False: one of them has been destroyed meanwhile. */
static bool queues_hold(struct handle *h, int by)
{
	struct device *d = h->device;
	int n = h->pub.queue_mq ? h->pub.num_mq : 1;
	bool good = true;

	pthread_mutex_lock(&d->mutex);
	for (int i = 0; i < n; i++)
		good &= queue_live(queue_of(h->pub.queue_mq ? h->pub.queue_mq[i] : h->pub.queue));
	for (int i = 0; good && i < n; i++)
		queue_of(h->pub.queue_mq ? h->pub.queue_mq[i] : h->pub.queue)->handles += (unsigned int)by;
	pthread_mutex_unlock(&d->mutex);
	return good;
}

static NVMED_HANDLE *handle_publish(struct handle *h, int flags)
{
	h->pub.flags |= (u32)flags;
	if (h->device->pub.flags & NVMED_NO_CACHE)
		h->pub.flags |= HANDLE_DIRECT_IO;
	if (!flags_fit(h, h->pub.flags)) {
		failed(EINVAL, "nvmed: handle_create: HANDLE_INTERRUPT wants queues made with QUEUE_INTERRUPT");
		goto failed;
	}
	if (!queues_hold(h, 1)) {
		failed(EINVAL, "nvmed: handle_create: the queue has been destroyed");
		goto failed;
	}
	__atomic_store_n(&h->magic, HANDLE_LIVE, __ATOMIC_RELAXED);
	return &h->pub;
failed:
	free(h->pub.queue_mq);
	free(h);
	return NULL;
}

static struct handle *handle_new(NVMED_QUEUE *queue, int flags)
{
	struct handle *h;

	if (!queue_live(queue_of(queue)) || (flags & ~HANDLE_FLAGS)) {
		failed(EINVAL, flags & ~HANDLE_FLAGS ? "nvmed: handle_create: unknown flags %#x" : "nvmed: handle_create: no queue", flags);
		return NULL;
	}
	h = calloc(1, sizeof(*h));
	if (!h) {
		failed(ENOMEM, "nvmed: handle_create: no memory");
		return NULL;
	}
	h->device = queue_of(queue)->device;
	h->pub.queue = queue;
	return h;
}

NVMED_HANDLE *nvmed_handle_create(NVMED_QUEUE *queue, int flags)
{
	struct handle *h = handle_new(queue, flags);

	return h ? handle_publish(h, flags) : NULL;
}

NVMED_HANDLE *nvmed_handle_create_mq(NVMED_QUEUE **queues, int num_queue, int flags,
	NVMED_QUEUE *(*func)(NVMED_HANDLE *handle, u8 opcode, unsigned long offs, unsigned int len))
{
	struct handle *h;

	if (!queues || num_queue < 1 || num_queue > HANDLE_QUEUES || !func) {
		failed(EINVAL, "nvmed: handle_create_mq: wants 1 to %d queues and a function that picks one", HANDLE_QUEUES);
		return NULL;
	}
	for (int i = 0; i < num_queue; i++) {
		if (!queue_live(queue_of(queues[i])) || queues[i]->nvmed != queues[0]->nvmed) {
			failed(EINVAL, "nvmed: handle_create_mq: queue %d is none, or of another device", i);
			return NULL;
		}
	}
	h = handle_new(queues[0], flags);
	if (!h)
		return NULL;
	h->pub.queue_mq = calloc((size_t)num_queue, sizeof(*queues));
	if (!h->pub.queue_mq) {
		failed(ENOMEM, "nvmed: handle_create_mq: no memory");
		free(h);
		return NULL;
	}
	memcpy(h->pub.queue_mq, queues, (size_t)num_queue * sizeof(*queues));
	h->pub.num_mq = num_queue;
	h->pub.mq_get_queue = func;
	h->pub.flags = HANDLE_MQ;
	return handle_publish(h, flags);
}

static int handle_end(NVMED_HANDLE *handle, bool mq)
{
	struct handle *h = handle_of(handle);
	struct device *d;
	int rc;

	if (!handle_live(h)) {
		failed(EINVAL, "nvmed: handle_destroy: no handle, or destroyed already");
		return -NVMED_NOENTRY;
	}
	if (mq != !!h->pub.queue_mq) {
		failed(EINVAL, "nvmed: handle_destroy: the handle is %s; use %s", mq ? "on one queue" : "multi-queue",
			mq ? "nvmed_handle_destroy()" : "nvmed_handle_destroy_mq()");
		return -NVMED_FAULT;
	}
	d = h->device;
	__atomic_store_n(&h->magic, 0, __ATOMIC_RELAXED); /* callbacks that still come cannot submit more */
	aio_drain(h);
	rc = flush_device(h);
	queues_hold(h, -1);
	free(h->pub.queue_mq);
	h->pub.queue_mq = NULL;
	pthread_mutex_lock(&d->mutex);
	h->next = d->dead_handles;
	d->dead_handles = h;
	pthread_mutex_unlock(&d->mutex);
	return rc ? -NVMED_FAULT : 0;
}

int nvmed_handle_destroy(NVMED_HANDLE *handle)
{
	return handle_end(handle, false);
}

int nvmed_handle_destroy_mq(NVMED_HANDLE *handle)
{
	return handle_end(handle, true);
}

static bool is_feature(int feature)
{
	return feature == HANDLE_DIRECT_IO || feature == HANDLE_SYNC_IO || feature == HANDLE_HINT_DMEM || feature == HANDLE_INTERRUPT;
}

int nvmed_handle_feature_set(NVMED_HANDLE *handle, int feature, int value)
{
	struct handle *h = handle_of(handle);

	if (!handle_live(h) || !is_feature(feature)) {
		failed(EINVAL, "nvmed: handle_feature_set: no handle, or no feature: %#x", feature);
		return -NVMED_INVALID;
	}
	if (value && !flags_fit(h, (u32)feature)) {
		failed(EINVAL, "nvmed: handle_feature_set: HANDLE_INTERRUPT wants queues made with QUEUE_INTERRUPT");
		return -NVMED_INVALID;
	}
	if (!value && feature == HANDLE_DIRECT_IO && (h->device->pub.flags & NVMED_NO_CACHE)) {
		failed(EINVAL, "nvmed: handle_feature_set: the device was opened without a cache; all I/O is direct");
		return -NVMED_INVALID;
	}
	if (value)
		__atomic_fetch_or(&h->pub.flags, (u32)feature, __ATOMIC_RELAXED);
	else
		__atomic_fetch_and(&h->pub.flags, ~(u32)feature, __ATOMIC_RELAXED);
	return value ? NVMED_TRUE : NVMED_FALSE;
}

int nvmed_handle_feature_get(NVMED_HANDLE *handle, int feature)
{
	if (!handle_live(handle_of(handle)) || !is_feature(feature)) {
		failed(EINVAL, "nvmed: handle_feature_get: no handle, or no feature: %#x", feature);
		return -NVMED_INVALID;
	}
	return flags_of(handle_of(handle)) & (u32)feature ? NVMED_TRUE : NVMED_FALSE;
}

off_t nvmed_lseek(NVMED_HANDLE *handle, off_t offset, int whence)
{
	struct handle *h = handle_of(handle);
	off_t at, size;

	if (!handle_live(h))
		return failed(EINVAL, "nvmed: lseek: no handle");
	size = (off_t)h->device->capacity;
	if (whence == SEEK_SET) {
		at = offset;
	} else if (whence == SEEK_CUR || whence == SEEK_END) {
		bool over = whence == SEEK_CUR ? __builtin_add_overflow(h->pub.offset, offset, &at)
					       : __builtin_sub_overflow(size, offset, &at);

		if (over)
			return failed(EOVERFLOW, "nvmed: lseek: %lld is too far", (long long)offset);
	} else {
		return failed(EINVAL, "nvmed: lseek: whence %d is none of SEEK_SET, SEEK_CUR and SEEK_END", whence);
	}
	if (at < 0 || at > size)
		return failed(EINVAL, "nvmed: lseek: %lld lies outside the device, which has %lld bytes", (long long)at, (long long)size);
	if ((flags_of(h) & HANDLE_DIRECT_IO) && ((u64)at & ((1u << h->device->block_shift) - 1)))
		return failed(EINVAL, "nvmed: lseek: %lld is no multiple of the drive's block of %u bytes, which direct I/O wants", (long long)at,
			1u << h->device->block_shift);
	h->pub.offset = at;
	return at;
}
