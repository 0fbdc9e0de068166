/* SPDX-License-Identifier: BSD-3-Clause */
/* What a module can take at once: whether an I/O is that, and portions of one that is not. */
#include "bdev/piece.h"

#define LIMITED                                                                                              \
	(NVIO_BDEV_CAN(NVIO_BDEV_IO_READ) | NVIO_BDEV_CAN(NVIO_BDEV_IO_WRITE) |                              \
		NVIO_BDEV_CAN(NVIO_BDEV_IO_COMPARE))

/* Addresses, and the lengths of all but the last. */
static bool iov_aligned(const struct iovec *iov, uint64_t left, uintptr_t mask)
{
	for (; left; iov++) {
		uint64_t n = MIN(iov->iov_len, left);

		left -= n;
		if (n && ((uintptr_t)iov->iov_base & mask || (left && n & mask)))
			return false;
	}
	return true;
}

bool bdev_io_fits(const struct nvio_bdev *bdev, const struct nvio_bdev_io *io)
{
	if (!(LIMITED & NVIO_BDEV_CAN(io->type)))
		return true;
	if (io->len > bdev->max_io_bytes || (uint32_t)io->iovcnt > bdev->max_iovcnt ||
		(io->offset & bdev->boundary_mask) + io->len - 1 > bdev->boundary_mask)
		return false;
	return !bdev->buf_mask || iov_aligned(io->iov, io->len, bdev->buf_mask);
}

uint64_t bdev_piece_limit(const struct nvio_bdev *bdev, uint64_t offset, uint64_t len)
{
	/* The last byte before the boundary, so that without one nothing wraps around. */
	uint64_t before = bdev->boundary_mask - (offset & bdev->boundary_mask);

	return MIN(MIN(len - 1, before) + 1, (uint64_t)bdev->max_io_bytes);
}

/* Only so many iovecs as the length needs: some modules look at all of them. */
static int count_iov(const struct iovec *iov, uint64_t len)
{
	int n = 0;

	for (; len; n++)
		len -= MIN(iov[n].iov_len, len);
	return n;
}

uint64_t bdev_piece_gather(const struct nvio_bdev *bdev, const struct bdev_pieces *pieces,
	const struct iovec *iov, struct bdev_piece *piece, uint64_t limit)
{
	uint32_t most = MIN(bdev->max_iovcnt, (uint32_t)BDEV_PIECE_IOVCNT), n = 0;
	uint64_t skip = pieces->skip, len = 0;

	for (iov += pieces->index; len < limit && n < most; iov++, skip = 0) {
		uint64_t part = MIN(iov->iov_len - skip, limit - len);
		char *base = (char *)iov->iov_base + skip;

		if (!part)
			continue;
		if ((uintptr_t)base & bdev->buf_mask)
			break;
		piece->iov[n++] = (struct iovec){ base, part };
		len += part;
		if (part & bdev->buf_mask)
			break; /* only the last may end like this */
	}
	len &= ~bdev->block_mask;
	bdev_piece_io(piece)->iovcnt = count_iov(piece->iov, len);
	return len;
}

void bdev_pieces_advance(struct bdev_pieces *pieces, const struct iovec *iov, uint64_t len)
{
	while (len) {
		uint64_t left = iov[pieces->index].iov_len - pieces->skip;

		if (left > len) {
			pieces->skip += len;
			return;
		}
		len -= left;
		pieces->index++;
		pieces->skip = 0;
	}
}
