/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The queue: one I/O queue pair of the drive and a lock around it, so that threads may share it. Its requests (iods) are made with it; a
 * caller that finds none left brings one on its stack.
 */
#include "priv.h"

#include <poll.h>
#include <sched.h>
#include <stdlib.h>

#define QUEUE_FLAGS       (QUEUE_MANUAL_COMPLETION | QUEUE_INTERRUPT)
#define POLLS_BEFORE_SLEEP 64    /* of who sleeps: most drives answer within that */
#define POLLS_BEFORE_YIELD 1024  /* of who does not: somebody else may have to run for the answer to come */
#define SLEEP_MS           5     /* another thread may reap what this one sleeps for */

struct iod *iod_get(struct queue *q, struct iod *spare)
{
	struct iod *iod = q->free_iods;

	if (likely(iod)) {
		q->free_iods = iod->next;
		return iod;
	}
	if (spare)
		*spare = (struct iod){ .pooled = false };
	return spare;
}

void iod_put(struct queue *q, struct iod *iod)
{
	if (!iod->pooled)
		return;
	iod->next = q->free_iods;
	q->free_iods = iod;
}

static void queue_let_others(struct queue *q)
{
	unlock(&q->lock);
	sched_yield();
	lock(&q->lock);
}

/* Lets go of the lock while it sleeps. Not for longer than SLEEP_MS, for which see there. */
void queue_sleep(struct queue *q)
{
	int ms, rc = nvio_qpair_arm(q->qp, &ms);
	struct pollfd fd = { .fd = rc ? -1 : nvio_qpair_fd(q->qp), .events = POLLIN };

	if (rc || fd.fd < 0) {
		queue_let_others(q);
		return;
	}
	unlock(&q->lock);
	poll(&fd, 1, ms < 0 || ms > SLEEP_MS ? SLEEP_MS : ms);
	lock(&q->lock);
}

int queue_wait(struct queue *q, struct iod *iod, bool sleep)
{
	unsigned int idle = 0;

	while (nvio_op_pending(&iod->op)) {
		int n = nvio_qpair_poll(q->qp, 0);

		if (likely(n > 0)) {
			idle = 0;
			continue;
		}
		idle++;
		if (sleep && idle > POLLS_BEFORE_SLEEP)
			queue_sleep(q);
		else if (unlikely(n < 0) || __atomic_load_n(&q->lock.waiters, __ATOMIC_RELAXED) || idle % POLLS_BEFORE_YIELD == 0)
			queue_let_others(q);
	}
	return iod->op.status;
}

static int queue_make_iods(struct queue *q)
{
	q->iods = calloc(QUEUE_IODS, sizeof(*q->iods));
	if (!q->iods)
		return failed(ENOMEM, "nvmed: queue_create: no memory");
	for (int i = QUEUE_IODS - 1; i >= 0; i--) {
		q->iods[i].queue = q;
		q->iods[i].pooled = true;
		iod_put(q, &q->iods[i]);
	}
	return 0;
}

static struct queue *queue_new(struct device *d, int flags)
{
	struct queue *q = calloc(1, sizeof(*q));
	int rc;

	if (!q || queue_make_iods(q)) {
		failed(ENOMEM, "nvmed: queue_create: no memory");
		free(q);
		return NULL;
	}
	if (quota_take(d))
		goto free;
	while (q->slot < QUEUES_MAX && d->slots[q->slot])
		q->slot++;
	rc = q->slot < QUEUES_MAX ? nvio_qpair_alloc(d->ctrlr, NULL, &q->qp) : -ENOSPC;
	if (rc) {
		failed_nvio(rc, "queue_create");
		rc = errno;
		quota_give_back(d);
		errno = rc;
		goto free;
	}
	q->device = d;
	q->pub = (NVMED_QUEUE){ .nvmed = &d->pub, .flags = (u32)flags, .qid = nvio_qpair_id(q->qp), .q_depth = nvio_qpair_depth(q->qp) };
	return q;
free:
	free(q->iods);
	free(q);
	return NULL;
}

NVMED_QUEUE *nvmed_queue_create(NVMED *nvmed, int flags)
{
	struct device *d = device_of(nvmed);
	struct queue *q;

	if (!nvmed || !device_live(nvmed) || (flags & ~QUEUE_FLAGS)) {
		failed(EINVAL, flags & ~QUEUE_FLAGS ? "nvmed: queue_create: unknown flags %#x" : "nvmed: queue_create: no open device", flags);
		return NULL;
	}
	pthread_mutex_lock(&d->mutex);
	q = queue_new(d, flags);
	if (q) {
		q->next = d->queues;
		d->queues = q;
		__atomic_store_n(&d->slots[q->slot], q, __ATOMIC_RELEASE);
		if (q->slot >= d->num_slots)
			__atomic_store_n(&d->num_slots, q->slot + 1, __ATOMIC_RELEASE);
		__atomic_store_n(&q->magic, QUEUE_LIVE, __ATOMIC_RELAXED);
	}
	pthread_mutex_unlock(&d->mutex);
	return q ? &q->pub : NULL;
}

/* Under device->mutex. */
static int queue_retire(struct queue *q)
{
	struct queue **at = &q->device->queues;

	if (!queue_live(q))
		return -NVMED_NOENTRY;
	if (q->handles) {
		failed(EBUSY, "nvmed: queue_destroy: %u handles still use queue %u; nvmed_handle_destroy() first", q->handles, q->pub.qid);
		return -NVMED_FAULT;
	}
	while (*at != q)
		at = &(*at)->next;
	*at = q->next;
	__atomic_store_n(&q->magic, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&q->device->slots[q->slot], NULL, __ATOMIC_RELEASE);
	nvio_qpair_free(q->qp);
	free(q->iods);
	quota_give_back(q->device);
	q->next = q->device->dead_queues;
	q->device->dead_queues = q;
	return 0;
}

int nvmed_queue_destroy(NVMED_QUEUE *queue)
{
	struct queue *q = queue_of(queue);
	struct device *d;
	int rc;

	if (!queue_live(q)) {
		failed(EINVAL, "nvmed: queue_destroy: no queue, or destroyed already");
		return -NVMED_NOENTRY;
	}
	d = q->device;
	pthread_mutex_lock(&d->mutex);
	rc = queue_retire(q);
	pthread_mutex_unlock(&d->mutex);
	return rc;
}
