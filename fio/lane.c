/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A job's way to a drive (a queue pair) or to a block device (a channel), and the I/O on it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <nvio/bdev.h>
#include <nvio/nvme.h>

#include "job.h"

#define ONCS_DSM    (1u << 2) /* Identify Controller, optional NVM commands: NVMe Base 2.0, figure 275 */
#define ONCS_ZEROES (1u << 3)

nvio_static_assert(sizeof(((struct io *)0)->ranges) >= sizeof(struct nvio_lba_range), "a trim's range lies in its io");

static int look_at_ns(struct device *dev, uint32_t nsid, struct target *t, char *why)
{
	uint16_t oncs = nvio_get_le16(nvio_ctrlr_id(dev->ctrlr)->oncs);

	if (!nsid)
		nsid = nvio_ctrlr_next_ns(dev->ctrlr, 0);
	if (!nsid) {
		tell(why, "%s: it has no active namespace", dev->text);
		return -ENODEV;
	}
	t->ns = nvio_ctrlr_ns(dev->ctrlr, nsid);
	if (!t->ns) {
		tell(why, "%s", nvio_errmsg());
		return -ENODEV;
	}
	t->shape = (struct shape){
		.block_size = nvio_ns_block_size(t->ns),
		.bytes = nvio_ns_size_bytes(t->ns),
		.read_only = nvio_ns_is_read_only(t->ns),
		.can_trim = oncs & ONCS_DSM,
		.can_zero = oncs & ONCS_ZEROES,
	};
	return 0;
}

static int look_at_bdev(struct nvio_bdev *bdev, void *arg)
{
	struct target *t = arg;

	if (strcmp(nvio_bdev_name(bdev), t->lane->dev->bdev))
		return 0;
	t->shape = (struct shape){
		.block_size = nvio_bdev_block_size(bdev),
		.bytes = nvio_bdev_size_bytes(bdev),
		.read_only = nvio_bdev_is_read_only(bdev),
		.can_trim = nvio_bdev_can(bdev, NVIO_BDEV_IO_UNMAP) != NVIO_BDEV_CANNOT,
		.can_zero = nvio_bdev_can(bdev, NVIO_BDEV_IO_WRITE_ZEROES) != NVIO_BDEV_CANNOT,
	};
	return 1;
}

int target_look(struct device *dev, uint32_t nsid, struct target *t, char *why)
{
	struct lane only_device = { .dev = dev };
	struct target look = { .lane = &only_device };

	if (dev->ctrlr)
		return look_at_ns(dev, nsid, t, why);
	if (nsid) {
		tell(why, "%s is a block device, which has no namespaces; leave nsid away", dev->text);
		return -EINVAL;
	}
	if (nvio_bdev_for_each(device_env(), look_at_bdev, &look) != 1) {
		tell(why, "%s is gone", dev->text);
		return -ENODEV;
	}
	t->shape = look.shape;
	return 0;
}

static int open_qpair(struct lane *lane, uint32_t depth)
{
	struct nvio_qpair_opts opts;
	int rc;

	nvio_qpair_opts_init(&opts);
	/* A queue holds one less than its entries; where the drive has smaller ones, I/O waits in the library. */
	opts.io_queue_requests = depth;
	opts.io_queue_size = depth < 65535 ? depth + 1 : 65536;
	device_lock();
	rc = nvio_qpair_alloc(lane->dev->ctrlr, &opts, &lane->qp);
	device_unlock();
	return rc;
}

int lane_open(struct lane *lane, struct device *dev, uint32_t depth, bool writes, char *why)
{
	int rc;

	memset(lane, 0, sizeof(*lane));
	lane->dev = dev;
	if (dev->ctrlr) {
		rc = open_qpair(lane, depth);
	} else {
		rc = nvio_bdev_open(device_env(), dev->bdev, writes ? NVIO_BDEV_WRITE : NVIO_BDEV_READ, &lane->desc);
		if (!rc)
			rc = nvio_bdev_channel(lane->desc, &lane->ch);
	}
	if (rc) {
		tell(why, "%s", nvio_errmsg());
		lane_close(lane);
	}
	return rc;
}

void lane_close(struct lane *lane)
{
	if (lane->qp) {
		device_lock();
		nvio_qpair_free(lane->qp);
		device_unlock();
	}
	if (lane->ch)
		nvio_channel_put(lane->ch);
	nvio_bdev_close(lane->desc);
	memset(lane, 0, sizeof(*lane));
}

static int submit_ns(struct target *t, enum io_kind kind, void *buf, uint64_t lba, uint64_t nblocks, struct io *io)
{
	struct nvio_lba_range *range = (struct nvio_lba_range *)io->ranges;
	struct nvio_qpair *qp = t->lane->qp;

	switch (kind) {
	case IO_READ:
		return nvio_ns_read(t->ns, qp, buf, lba, nblocks, &io->op);
	case IO_WRITE:
		return nvio_ns_write(t->ns, qp, buf, lba, nblocks, &io->op);
	case IO_ZERO:
		return nvio_ns_write_zeroes(t->ns, qp, lba, nblocks, &io->op);
	case IO_TRIM:
		*range = (struct nvio_lba_range){ .lba = lba, .nblocks = nblocks };
		return nvio_ns_deallocate(t->ns, qp, range, 1, &io->op);
	case IO_SYNC:
		return nvio_ns_flush(t->ns, qp, &io->op);
	}
	return -EINVAL;
}

static int submit_bdev(struct lane *lane, enum io_kind kind, void *buf, uint64_t offset, uint64_t len, struct io *io)
{
	switch (kind) {
	case IO_READ:
		return nvio_bdev_read(lane->desc, lane->ch, buf, offset, len, &io->op);
	case IO_WRITE:
		return nvio_bdev_write(lane->desc, lane->ch, buf, offset, len, &io->op);
	case IO_ZERO:
		return nvio_bdev_write_zeroes(lane->desc, lane->ch, offset, len, &io->op);
	case IO_TRIM:
		return nvio_bdev_unmap(lane->desc, lane->ch, offset, len, &io->op);
	case IO_SYNC:
		return nvio_bdev_flush(lane->desc, lane->ch, &io->op);
	}
	return -EINVAL;
}

int target_submit(struct target *t, enum io_kind kind, void *buf, uint64_t offset, uint64_t len, struct io *io)
{
	uint32_t bs = t->shape.block_size;

	if (t->lane->desc)
		return submit_bdev(t->lane, kind, buf, offset, len, io);
	return submit_ns(t, kind, buf, offset / bs, len / bs, io);
}
