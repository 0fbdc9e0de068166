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
	lock(&q->lock);
	iod = iod_get(q, &spare);
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
	iod_put(q, iod);
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

	if (unlikely(!handle_live(h) || !buf || offset > h->device->capacity))
		return refuse(h, buf, offset, count, what);
	if (unlikely((offset | count) & ((1u << h->device->block_shift) - 1)))
		return refuse(h, buf, offset, count, what);
	left = h->device->capacity - offset;
	if (unlikely(count > left)) {
		if (!left && opcode == nvme_cmd_write)
			return failed(ENOSPC, "nvmed: write: at the end of the device, which has %llu bytes",
				(unsigned long long)offset);
		count = left;
	}
	return direct_rw(h, opcode, buf, count, offset);
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
