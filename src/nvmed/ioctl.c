/* SPDX-License-Identifier: BSD-3-Clause */
/* The requests of NVMeDirect's kernel module, answered in this process. */
#include "priv.h"

#include <stdarg.h>

static struct queue *queue_by_id(struct device *d, unsigned int qid)
{
	struct queue *q;

	pthread_mutex_lock(&d->mutex);
	for (q = d->queues; q && q->pub.qid != qid; q = q->next)
		;
	pthread_mutex_unlock(&d->mutex);
	if (!q)
		failed(ENOENT, "nvmed: ioctl: there is no queue %u", qid);
	return q;
}

static int queue_create(struct device *d, NVMED_CREATE_QUEUE_ARGS *args)
{
	NVMED_QUEUE *q = nvmed_queue_create(&d->pub, args->reqInterrupt ? QUEUE_INTERRUPT : 0);

	if (!q)
		return -1;
	args->qid = q->qid;
	return 0;
}

static int queue_delete(struct device *d, const unsigned int *qid)
{
	struct queue *q = queue_by_id(d, *qid);

	return q ? nvmed_queue_destroy(&q->pub) ? -1 : 0 : -1;
}

/* The device address of each page. */
static int buffer_addr(struct device *d, NVMED_BUF *buf)
{
	if (!buf->addr || !buf->pfnList || ((uintptr_t)buf->addr & (PAGE_BYTES - 1)))
		return failed(EINVAL, "nvmed: ioctl: a buffer is page aligned and has a list for its addresses");
	for (unsigned int i = 0; i < buf->size; i++) {
		uint64_t addr;
		int rc = nvio_mem_device_addr(d->env, (char *)buf->addr + (size_t)i * PAGE_BYTES, &addr, NULL);

		if (rc)
			return failed_nvio(rc, "ioctl: the address of a buffer");
		buf->pfnList[i] = addr;
	}
	return 0;
}

/* Waits, for some milliseconds at most, for something to happen on the queue whose number is in *arg; then that is how many requests ended. */
static int interrupt_wait(struct device *d, unsigned long *arg)
{
	struct queue *q = *arg > UINT16_MAX ? NULL : queue_by_id(d, (unsigned int)*arg);
	int n;

	if (!q || !(q->pub.flags & QUEUE_INTERRUPT))
		return failed(q ? EINVAL : ENOENT, "nvmed: ioctl: %lu is no queue with interrupts", *arg);
	lock(&q->lock);
	n = nvio_qpair_poll(q->qp, 0);
	if (!n) {
		queue_sleep(q);
		n = nvio_qpair_poll(q->qp, 0);
	}
	unlock(&q->lock);
	*arg = n > 0 ? (unsigned long)n : 0;
	return n < 0 ? failed_nvio(n, "ioctl") : 0;
}

static int user_quota(struct device *d, NVMED_USER_QUOTA *quota, bool set)
{
	int rc = set ? nvmed_set_user_quota(&d->pub, quota->uid, quota->queue_max, &quota->queue_max, &quota->queue_used)
		     : nvmed_get_user_quota(&d->pub, quota->uid, &quota->queue_max, &quota->queue_used);

	return rc ? -1 : 0;
}

int nvmed_ioctl(int fd, unsigned long request, ...)
{
	struct device *d = device_by_fd(fd);
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	if (!d)
		return failed(EBADF, "nvmed: ioctl: %d is the ns_fd of no open device", fd);
	if (!arg)
		return failed(EFAULT, "nvmed: ioctl: the argument is NULL");
	switch (request) {
	case NVMED_IOCTL_NVMED_INFO:
		*(NVMED_DEVICE_INFO *)arg = d->info;
		return 0;
	case NVMED_IOCTL_QUEUE_CREATE:
		return queue_create(d, arg);
	case NVMED_IOCTL_QUEUE_DELETE:
		return queue_delete(d, arg);
	case NVMED_IOCTL_GET_BUFFER_ADDR:
		return buffer_addr(d, arg);
	case NVMED_IOCTL_INTERRUPT_COMM:
		return interrupt_wait(d, arg);
	case NVMED_IOCTL_GET_USER:
	case NVMED_IOCTL_SET_USER:
		return user_quota(d, arg, request == NVMED_IOCTL_SET_USER);
	default:
		return failed(ENOTTY, "nvmed: ioctl: unknown request %#lx", request);
	}
}
