/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Cutting reads and writes into steps. A step is at most so many iovecs and bytes; with O_DIRECT it is a run
 * of aligned pieces of memory, or one bounce buffer for memory that is not. All I/O of a device goes through
 * one descriptor, direct or not, so there are no two views of the file that would have to be kept coherent.
 */
#include <string.h>

#include "bdev/modules/file.h"

static bool aligned(const struct file_bdev *f, const void *addr, uint64_t len)
{
	return !f->align || !(((uintptr_t)addr | len) & (f->align - 1));
}

/* The piece of memory at `index`, `offset`, of at most `left` bytes. */
static struct iovec piece_at(const struct nvio_bdev_io *io, uint32_t index, uint64_t offset, uint64_t left)
{
	const struct iovec *iov = &io->iov[index];

	return (struct iovec){ (char *)iov->iov_base + offset, MIN(iov->iov_len - offset, left) };
}

/* Passes over iovecs that are used up, or empty from the start. */
static void skip_empty(const struct nvio_bdev_io *io, struct file_progress *p)
{
	while (p->iov_index < (uint32_t)io->iovcnt && p->iov_offset == io->iov[p->iov_index].iov_len) {
		p->iov_index++;
		p->iov_offset = 0;
	}
}

bool file_needs_bounce(
	const struct file_bdev *f, const struct nvio_bdev_io *io, const struct file_progress *p)
{
	struct file_progress at = *p;
	struct iovec piece;

	skip_empty(io, &at);
	piece = piece_at(io, at.iov_index, at.iov_offset, io->len - at.done);
	return !aligned(f, piece.iov_base, piece.iov_len);
}

/* Copies between the bounce buffer and the next `len` bytes of memory; the progress stays. */
static void bounce_copy(const struct nvio_bdev_io *io, const struct file_progress *p, uint64_t len)
{
	struct file_progress at = *p;
	char *bounce = p->bounce;

	while (len) {
		struct iovec piece;

		skip_empty(io, &at);
		piece = piece_at(io, at.iov_index, at.iov_offset, len);
		if (io->type == NVIO_BDEV_IO_WRITE)
			memcpy(bounce, piece.iov_base, piece.iov_len);
		else
			memcpy(piece.iov_base, bounce, piece.iov_len);
		bounce += piece.iov_len;
		at.iov_offset += piece.iov_len;
		len -= piece.iov_len;
	}
}

unsigned file_step(const struct file_bdev *f, const struct nvio_bdev_io *io, struct file_progress *p,
	struct iovec *vec, void *bounce)
{
	uint64_t left = MIN(io->len - p->done, FILE_STEP_MAX);
	struct file_progress at;
	unsigned count = 0;

	p->bounced = bounce;
	if (bounce) {
		p->bounce = bounce;
		p->step_len = (uint32_t)MIN(left, FILE_BOUNCE_BYTES);
		if (io->type == NVIO_BDEV_IO_WRITE)
			bounce_copy(io, p, p->step_len);
		vec[0] = (struct iovec){ bounce, p->step_len };
		return 1;
	}
	skip_empty(io, p);
	at = *p;
	while (left && count < FILE_STEP_IOVCNT) {
		struct iovec piece = piece_at(io, at.iov_index, at.iov_offset, left);

		if (!aligned(f, piece.iov_base, piece.iov_len))
			break;
		vec[count++] = piece;
		left -= piece.iov_len;
		at.iov_offset += piece.iov_len;
		at.done += piece.iov_len;
		skip_empty(io, &at);
	}
	p->step_len = (uint32_t)(at.done - p->done);
	return count;
}

static void advance(const struct nvio_bdev_io *io, struct file_progress *p, uint64_t len)
{
	p->done += len;
	while (len) {
		struct iovec piece;

		skip_empty(io, p);
		piece = piece_at(io, p->iov_index, p->iov_offset, len);
		p->iov_offset += piece.iov_len;
		len -= piece.iov_len;
	}
}

int file_status(int64_t res)
{
	switch (res) {
	case -ENOSPC:
	case -EDQUOT:
	case -EFBIG: /* a limit of the process or of the file system: no room either */ return -ENOSPC;
	case -ENODEV:
	case -ENXIO: return -ENODEV;
	case -EFAULT:
	case -EOPNOTSUPP: return (int)res;
	case -ENOSYS: return -EOPNOTSUPP;
	default: return -EIO;
	}
}

bool file_again(struct file_progress *p, int64_t res)
{
	if (res == -EINTR)
		return true;
	if (res == -EAGAIN || res == -ECANCELED)
		return p->agains++ < FILE_AGAIN_MAX;
	p->agains = 0;
	return false;
}

int file_step_done(
	const struct file_bdev *f, const struct nvio_bdev_io *io, struct file_progress *p, int64_t res)
{
	if (file_again(p, res))
		return 1;
	if (res < 0)
		return file_status(res);
	/* Nothing moved: a read beyond the end of a file that somebody has cut, or a device that will not
	 * write. */
	if (!res)
		return -EIO;
	/* Short, and not where O_DIRECT could go on: go on from the last place where it can. */
	if (f->align && res < p->step_len)
		res = ALIGN_DOWN(res, (int64_t)f->align);
	if (!res)
		return -EIO;
	if (p->bounced && io->type == NVIO_BDEV_IO_READ)
		bounce_copy(io, p, (uint64_t)res);
	advance(io, p, (uint64_t)res);
	return p->done < io->len;
}
