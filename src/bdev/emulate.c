/* SPDX-License-Identifier: BSD-3-Clause */
/* What a module lacks, made of reads and writes; piece.c does the work. */
#include "bdev/piece.h"

void bdev_emulate(struct nvio_bdev_io *io)
{
	io->state &= ~BDEV_IO_NATIVE;
	if (io->type == NVIO_BDEV_IO_WRITE_ZEROES)
		bdev_pieces_begin(io, BDEV_PIECES_ZEROES);
	else if (io->type == NVIO_BDEV_IO_COPY)
		bdev_pieces_begin(io, BDEV_PIECES_COPY);
	else if (io->type == NVIO_BDEV_IO_COMPARE)
		bdev_pieces_begin(io, BDEV_PIECES_COMPARE);
	else
		bdev_swap_begin(io);
}

int bdev_pieces_next(struct nvio_bdev_io *io, int status)
{
	struct bdev_pieces *p = bdev_pieces_of(io);

	if (!status && p->kind == BDEV_PIECES_COMPARE && io->type == NVIO_BDEV_IO_COMPARE_AND_WRITE) {
		bdev_pieces_restart(io, BDEV_PIECES_SWAP);
		return -EINPROGRESS;
	}
	return status;
}
