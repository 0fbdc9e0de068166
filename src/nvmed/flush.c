/* SPDX-License-Identifier: BSD-3-Clause */
/* Flush and discard. */
#include "priv.h"

int flush_device(struct handle *h)
{
	struct iod spare, *iod;
	struct queue *q;
	int rc;

	if (cache_active(h->device) && cache_write_back(h, 0, UINT64_MAX))
		return -1;
	q = handle_queue(h, nvme_cmd_flush, 0, 0);
	if (!q)
		return -1;
	lock(&q->lock);
	iod = iod_get(q, &spare);
	iod->op.done = NULL;
	rc = nvio_ns_flush(h->device->ns, q->qp, &iod->op);
	if (rc)
		failed_nvio(rc, "flush");
	else if ((rc = queue_wait(q, iod, handle_sleeps(flags_of(h)))))
		failed_op(&iod->op, "flush");
	iod_put(q, iod);
	unlock(&q->lock);
	return rc ? -1 : 0;
}

int nvmed_flush(NVMED_HANDLE *handle)
{
	struct handle *h = handle_of(handle);

	if (!handle_live(h))
		return failed(EINVAL, "nvmed: flush: no handle, or destroyed already");
	return flush_device(h);
}

int nvmed_discard(NVMED_HANDLE *handle, unsigned long start, unsigned int len)
{
	struct handle *h = handle_of(handle);
	struct iod spare, *iod;
	struct nvio_lba_range range;
	struct device *d;
	struct queue *q;
	int rc;

	if (!handle_live(h))
		return failed(EINVAL, "nvmed: discard: no handle, or destroyed already");
	d = h->device;
	if (((start | len) & ((1u << d->block_shift) - 1)) || start > d->capacity || len > d->capacity - start)
		return failed(EINVAL, "nvmed: discard: %lu + %u: not of whole blocks of %u bytes, or beyond the end of the device", start, len,
			1u << d->block_shift);
	if (!len)
		return 0;
	q = handle_queue(h, nvme_cmd_dsm, start, len);
	if (!q)
		return -1;
	range = (struct nvio_lba_range){ .lba = d->start + (start >> d->block_shift), .nblocks = len >> d->block_shift };
	iod = request_begin(h, q, &spare, start, len, true);
	if (!iod)
		return -1;
	iod->op.done = NULL;
	rc = nvio_ns_deallocate(d->ns, q->qp, &range, 1, &iod->op);
	if (rc)
		failed_nvio(rc, "discard");
	else if ((rc = queue_wait(q, iod, handle_sleeps(flags_of(h)))))
		failed_op(&iod->op, "discard");
	request_end(q, iod, true);
	unlock(&q->lock);
	return rc ? -1 : 0;
}
