/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The first half of each submit, shared by io.c and ops.c: the checks that what is right falls through, and the description of
 * the I/O in the op.
 */
#ifndef BDEV_SUBMIT_H
#define BDEV_SUBMIT_H

#include "bdev/bdev.h"

static ALWAYS_INLINE uint32_t bdev_allowed_flags(enum nvio_bdev_io_type type)
{
	return type == NVIO_BDEV_IO_WRITE || type == NVIO_BDEV_IO_WRITE_ZEROES ||
			       type == NVIO_BDEV_IO_COMPARE_AND_WRITE || type == NVIO_BDEV_IO_COPY
		       ? NVIO_OP_FUA
		       : 0;
}

/* Finds out why the submit was refused; some check of the callers has failed. io.c */
COLD int bdev_io_refuse(const struct nvio_bdev_desc *desc, const struct nvio_channel *handle, const struct nvio_op *op,
	enum nvio_bdev_io_type type, uint64_t offset, uint64_t len);
/* What is wrong with the range; `what` starts every message. io.c */
COLD int bdev_range_refuse(const struct nvio_bdev *bdev, const char *what, uint64_t offset, uint64_t len);
COLD int bdev_buf_refuse(enum nvio_bdev_io_type type);
/* Whether the iovecs are sound and have room for `len`. 0 or -EINVAL. io.c */
int bdev_iov_check(enum nvio_bdev_io_type type, const struct iovec *iov, int iovcnt, uint64_t len);
/* io.c */
int bdev_io_submit_slow(struct nvio_bdev_io *io);

/* Whether a range lies within the device, in whole blocks, and is not empty. */
static ALWAYS_INLINE bool bdev_range_valid(const struct nvio_bdev *bdev, uint64_t offset, uint64_t len)
{
	uint64_t size = atomic_load_explicit(&bdev->io_size, memory_order_relaxed);

	/* len - 1 wraps for length 0, and size - len cannot: one comparison each. */
	return !((offset | len) & bdev->block_mask) && len - 1 < size && offset <= size - len;
}

/* Every check but those of the buffer; true: sound. */
static ALWAYS_INLINE bool bdev_io_valid(const struct nvio_bdev_desc *desc, const struct nvio_channel *handle,
	const struct nvio_op *op, enum nvio_bdev_io_type type, uint64_t offset, uint64_t len)
{
	const struct nvio_bdev *bdev;

	if (unlikely(!desc) || unlikely(!handle) || unlikely(!op))
		return false;
	bdev = desc->bdev;
	return likely(handle->key == bdev && bdev_range_valid(bdev, offset, len) &&
		      (desc->io_types & NVIO_BDEV_CAN(type)) && !(op->flags & ~bdev_allowed_flags(type)));
}

/* Takes the op; all has been checked. */
static ALWAYS_INLINE struct nvio_bdev_io *bdev_io_begin(struct nvio_bdev_desc *desc, struct bdev_channel *ch,
	struct nvio_op *op, enum nvio_bdev_io_type type, uint64_t offset, uint64_t len)
{
	struct nvio_bdev_io *io = bdev_op_io(op);

	if (NVIO_CHECKED) {
		bdev_check_thread(ch, type);
		ch->open[type]++;
	}
	io->offset = offset;
	io->len = len;
	io->desc = desc;
	io->channel = ch;
	/* Neighbours that are written as one. */
	io->iovcnt = 1;
	io->type = type;
	io->fua = bdev_allowed_flags(type) ? op->flags & NVIO_OP_FUA : 0;
	io->state = 0;
	io->begun = bdev_begun(ch);
	ch->in_flight[ch->epoch]++;
	op->cpl.answered = 0;
	op_begin(op, &ch->pollable);
	bdev_count_add(desc, ch, 1);
	return io;
}

#endif
