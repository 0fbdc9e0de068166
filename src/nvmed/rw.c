/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading and writing: what is asked for is checked here, once, and goes to the drive directly or by the cache. */
#include "priv.h"

static __attribute__((cold)) int refuse(struct handle *h, const void *buf, u64 offset, u64 count, const char *what)
{
	if (!handle_live(h))
		return failed(EINVAL, "nvmed: %s: no handle, or destroyed already", what);
	if (!buf)
		return failed(EINVAL, "nvmed: %s: the buffer is NULL", what);
	if (offset > h->device->capacity)
		return failed(EINVAL, "nvmed: %s: offset %lld lies outside the device, which has %llu bytes", what, (long long)offset,
			(unsigned long long)h->device->capacity);
	return failed(EINVAL, "nvmed: %s: offset %llu or count %llu is no multiple of the drive's block of %u bytes, which direct I/O wants",
		what, (unsigned long long)offset, (unsigned long long)count, 1u << h->device->block_shift);
}


static __attribute__((noinline)) struct iod *begin_past_cache(struct handle *h, struct queue *q, struct iod *spare, u64 first, u64 last,
	bool changes)
{
	unsigned int rounds = 0;
	struct iod *iod;

	for (;;) {
		if (cache_write_back(h, first, last))
			return NULL;
		lock(&q->lock);
		iod = iod_get(q, spare);
		if (!changes && iod)
			return iod;
		if (iod) {
			iod->first = first;
			iod->last = last;
			writing_add(q, iod);
			__atomic_store_n(&q->writing, q->writing, __ATOMIC_SEQ_CST); /* see cache_insert() */
			if (cache_take_out(h->device, first, last))
				return iod;
			request_end(q, iod, true);
		} else {
			nvio_qpair_poll(q->qp, 0); /* an asynchronous request waits for another to end */
		}
		unlock(&q->lock);
		cache_pause(&rounds);
	}
}

struct iod *request_begin(struct handle *h, struct queue *q, struct iod *spare, u64 offset, u64 len, bool changes)
{
	u64 first = offset >> PAGE_SHIFT, last = (offset + len - 1) >> PAGE_SHIFT;
	struct iod *iod;

	if (!cache_active(h->device)) {
		lock(&q->lock);
		/* Looked at again: from here on, who makes it active waits for this lock. */
		iod = likely(!cache_active(h->device)) ? iod_get(q, spare) : NULL;
		if (likely(iod)) {
			if (changes) {
				iod->first = first;
				iod->last = last;
				writing_add(q, iod);
			}
			return iod;
		}
		unlock(&q->lock);
	}
	return begin_past_cache(h, q, spare, first, last, changes);
}

/* Pages of the cache: what they hold is in nobody's way. */
int io_pages(struct handle *h, u8 opcode, const struct iovec *iov, int n, u64 offset, u64 len)
{
	struct queue *q = handle_queue(h, opcode, offset, len);
	struct device *d = h->device;
	u64 lba = d->start + (offset >> d->block_shift);
	u32 count = (u32)(len >> d->block_shift);
	struct iod spare, *iod;
	int rc;

	if (!q)
		return -1;
	lock(&q->lock);
	iod = iod_get(q, &spare);
	iod->op.done = NULL;
	rc = opcode == nvme_cmd_read ? nvio_ns_readv(d->ns, q->qp, iov, n, lba, count, &iod->op)
				     : nvio_ns_writev(d->ns, q->qp, iov, n, lba, count, &iod->op);
	if (rc)
		failed_nvio(rc, opcode == nvme_cmd_read ? "read" : "write");
	else if ((rc = queue_wait(q, iod, handle_sleeps(flags_of(h)))))
		failed_op(&iod->op, opcode == nvme_cmd_read ? "read" : "write");
	iod_put(q, iod);
	unlock(&q->lock);
	return rc ? -1 : 0;
}

/* One request, at most CHUNK_BYTES, both ends on blocks. */
static inline int direct_one(struct handle *h, u8 opcode, void *buf, u64 offset, u64 len)
{
	struct queue *q = handle_queue(h, opcode, offset, len);
	struct device *d = h->device;
	u64 lba = d->start + (offset >> d->block_shift);
	struct iod spare, *iod;
	int rc;

	if (unlikely(!q))
		return -1;
	iod = request_begin(h, q, &spare, offset, len, opcode != nvme_cmd_read);
	if (unlikely(!iod))
		return -1;
	iod->op.done = NULL;
	if (opcode == nvme_cmd_read)
		rc = nvio_ns_read(d->ns, q->qp, buf, lba, (u32)(len >> d->block_shift), &iod->op);
	else
		rc = nvio_ns_write(d->ns, q->qp, buf, lba, (u32)(len >> d->block_shift), &iod->op);
	if (likely(!rc)) {
		rc = queue_wait(q, iod, handle_sleeps(flags_of(h)));
		if (unlikely(rc))
			failed_op(&iod->op, opcode == nvme_cmd_read ? "read" : "write");
	} else {
		failed_nvio(rc, opcode == nvme_cmd_read ? "read" : "write");
	}
	request_end(q, iod, opcode != nvme_cmd_read);
	unlock(&q->lock);
	return rc ? -1 : 0;
}

/* What was moved before an error counts, as with POSIX. */
static ssize_t direct_rw(struct handle *h, u8 opcode, char *buf, u64 count, u64 offset)
{
	u64 done = 0;

	while (done < count) {
		u64 len = count - done < CHUNK_BYTES ? count - done : CHUNK_BYTES;

		if (unlikely(direct_one(h, opcode, buf + done, offset + done, len)))
			return done ? (ssize_t)done : -1;
		done += len;
	}
	return (ssize_t)done;
}

static inline ssize_t rw(NVMED_HANDLE *handle, u8 opcode, void *buf, size_t count, off_t off)
{
	struct handle *h = handle_of(handle);
	const char *what = opcode == nvme_cmd_read ? "read" : "write";
	u64 offset = (u64)off, left;
	bool direct;

	if (unlikely(!handle_live(h) || !buf || offset > h->device->capacity))
		return refuse(h, buf, offset, count, what);
	direct = flags_of(h) & HANDLE_DIRECT_IO;
	if (unlikely(direct && ((offset | count) & ((1u << h->device->block_shift) - 1))))
		return refuse(h, buf, offset, count, what);
	left = h->device->capacity - offset;
	if (unlikely(count > left)) {
		if (!left && opcode == nvme_cmd_write)
			return failed(ENOSPC, "nvmed: write: at the end of the device, which has %llu bytes",
				(unsigned long long)offset);
		count = left;
	}
	if (likely(direct))
		return direct_rw(h, opcode, buf, count, offset);
	if (!count)
		return 0;
	if (opcode == nvme_cmd_read ? cache_read(h, buf, offset, count) : cache_write(h, buf, offset, count))
		return -1;
	return (ssize_t)count;
}

ssize_t nvmed_pread(NVMED_HANDLE *handle, void *buf, size_t count, off_t offset)
{
	return rw(handle, nvme_cmd_read, buf, count, offset);
}

ssize_t nvmed_pwrite(NVMED_HANDLE *handle, void *buf, size_t count, off_t offset)
{
	return rw(handle, nvme_cmd_write, buf, count, offset);
}

ssize_t nvmed_read(NVMED_HANDLE *handle, void *buf, size_t count)
{
	ssize_t n = rw(handle, nvme_cmd_read, buf, count, handle_live(handle_of(handle)) ? handle->offset : 0);

	if (n > 0)
		handle->offset += n;
	return n;
}

ssize_t nvmed_write(NVMED_HANDLE *handle, void *buf, size_t count)
{
	ssize_t n = rw(handle, nvme_cmd_write, buf, count, handle_live(handle_of(handle)) ? handle->offset : 0);

	if (n > 0)
		handle->offset += n;
	return n;
}
