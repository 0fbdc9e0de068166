/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Write zeroes for modules that lack it: a row of writes out of one page-aligned buffer of zeros. A module
 * may end each piece inside submit or later; either way the row is a loop here, not a recursion.
 */
#include "bdev/bdev.h"

#define ZERO_BYTES  65536 /* the largest block size */
#define ZERO_IOVCNT 16	  /* one piece is a megabyte */

static _Alignas(4096) const unsigned char zeros[ZERO_BYTES];

#define ZERO_IOV                                                                                             \
	{                                                                                                    \
		(void *)zeros, ZERO_BYTES                                                                    \
	}
#define ZERO_IOV4 ZERO_IOV, ZERO_IOV, ZERO_IOV, ZERO_IOV

static const struct iovec zero_iov[ZERO_IOVCNT] = { ZERO_IOV4, ZERO_IOV4, ZERO_IOV4, ZERO_IOV4 };

/* Submits pieces until one is under way (it comes back through bdev_zeroes_next()) or the end is reached. */
static void step(struct nvio_bdev_io *io)
{
	struct bdev_channel *ch = io->channel;
	int rc;

	do {
		io->state &= ~BDEV_IO_STEPPED;
		io->state |= BDEV_IO_STEPPING;
		rc = -EAGAIN;
		if (!(ch->gates & BDEV_GATE_WAITING))
			rc = ch->bdev->submit(ch->bdev->device, ch->module, io);
		if (rc == -EAGAIN) {
			io->state &= ~BDEV_IO_STEPPING;
			bdev_io_wait(ch, io);
			return;
		}
		if (rc) {
			io->state &= ~BDEV_IO_STEPPING;
			bdev_io_done(io, rc);
			return;
		}
	} while (io->state & BDEV_IO_STEPPED);
	io->state &= ~BDEV_IO_STEPPING;
}

/* Describes the next piece; false: there is none. */
static bool next_piece(struct nvio_bdev_io *io)
{
	if (!io->rest)
		return false;
	io->len = MIN(io->rest, (uint64_t)ZERO_BYTES * ZERO_IOVCNT);
	io->rest -= io->len;
	return true;
}

void bdev_zeroes_begin(struct nvio_bdev_io *io)
{
	io->state &= ~BDEV_IO_NATIVE_ZEROES;
	io->state |= BDEV_IO_EMULATED_ZEROES;
	io->type = NVIO_BDEV_IO_WRITE;
	io->iov = zero_iov;
	io->iovcnt = ZERO_IOVCNT;
	io->src = io->offset;
	io->rest = io->len;
	next_piece(io);
	step(io);
}

/* It is what it was, for whoever counts it or has sent it on. */
static int restored(struct nvio_bdev_io *io, int status)
{
	io->type = NVIO_BDEV_IO_WRITE_ZEROES;
	io->len += io->offset - io->src + io->rest;
	io->offset = io->src;
	return status;
}

int bdev_zeroes_next(struct nvio_bdev_io *io, int status)
{
	struct bdev_channel *ch = io->channel;

	if (status || !io->rest)
		return restored(io, status);
	if (ch->ending)
		return restored(io, -ECANCELED);
	io->offset += io->len;
	next_piece(io);
	if (io->state & BDEV_IO_STEPPING)
		io->state |= BDEV_IO_STEPPED;
	else
		step(io);
	return -EINPROGRESS;
}
