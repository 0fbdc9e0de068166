/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * I/O that is done in pieces: what the module cannot take at once, and what it lacks and the layer makes of reads and writes. An I/O
 * in pieces stays the caller's op with its own progress in nvio_bdev_io.module; its pieces are small I/Os of their own out of the
 * channel's pool, of which so many are in flight at once. Pieces are neither counted nor measured: to everybody else there is one I/O.
 */
#ifndef BDEV_PIECE_H
#define BDEV_PIECE_H

#include "bdev/bdev.h"
#include "bdev/lock.h"

#define BDEV_PIECES	  32	/* in flight per channel */
#define BDEV_SWAPS	  32	/* compare and writes per channel that have or ask for their locks; more wait */
#define BDEV_PIECE_IOVCNT 32	/* of one piece */
#define BDEV_BOUNCES	  8	/* pieces per channel whose data goes through memory of the pool */
#define BDEV_BOUNCE_BYTES 65536 /* of these, each; the largest block size */
#define BDEV_ZERO_IOVCNT  16	/* so a piece of zeros is a megabyte */

/* What the pieces are for. */
enum bdev_pieces_kind {
	BDEV_PIECES_DATA,    /* what the I/O says, in portions that the module can take */
	BDEV_PIECES_COMPARE, /* reads, each compared with what the caller has */
	BDEV_PIECES_SWAP,    /* writes, once a compare and write has found what it wanted */
	BDEV_PIECES_ZEROES,  /* writes of zeros */
	BDEV_PIECES_COPY,    /* a read and a write each */
};

/* In nvio_bdev_io.module of the I/O that is done in pieces. */
struct bdev_pieces {
	uint64_t at;	/* bytes that pieces have been handed out for */
	uint64_t skip;	/* where in iov[index] the next one begins */
	uint32_t index;
	int32_t status; /* the first error */
	uint32_t in_flight;
	uint8_t kind; /* enum bdev_pieces_kind */
};

nvio_static_assert(sizeof(struct bdev_pieces) <= sizeof(((struct nvio_bdev_io *)0)->module), "it needs no memory of its own");

struct bdev_piece {
	struct nvio_op op; /* its private area is the nvio_bdev_io that the module sees */
	struct bdev_piece *next;
	struct nvio_bdev_io *whole; /* what it is a piece of */
	unsigned char *bounce;	    /* where its data goes through; NULL: the caller's own memory */
	uint64_t skip;		    /* where in whole's iovecs its data begins, when it goes through bounce */
	uint32_t index;
	bool copied; /* of a copy: what was read is being written */
	struct iovec iov[BDEV_PIECE_IOVCNT];
};

/* The lock of a compare and write that is made of reads and writes. */
struct bdev_swap {
	struct bdev_lock lock;
	struct bdev_swap *next;
};

/* Of a channel, made when it is first needed, or with the channel of a device that has limits: about 640 KiB. Own thread. */
struct bdev_pool {
	struct bdev_piece *free;
	unsigned bounce_count; /* free ones */
	unsigned char *bounces[BDEV_BOUNCES];
	unsigned char *memory; /* DMA-able; the zeros, then the bounces */
	struct bdev_piece pieces[BDEV_PIECES];
	struct bdev_swap *free_swaps;
	struct bdev_swap swaps[BDEV_SWAPS];
};

/* swap.c: takes the lock, and begins; gives it back. */
void bdev_swap_begin(struct nvio_bdev_io *io);
void bdev_swap_end(struct nvio_bdev_io *io);

int bdev_pool_init(struct bdev_channel *ch);
void bdev_pool_fini(struct bdev_channel *ch);

/* Whether the module can take the I/O as it is. limits.c */
bool bdev_io_fits(const struct nvio_bdev *bdev, const struct nvio_bdev_io *io);
/* How many bytes of [offset, offset + len) one piece may have, by length and boundary. limits.c */
uint64_t bdev_piece_limit(const struct nvio_bdev *bdev, uint64_t offset, uint64_t len);
/*
 * Describes up to `limit` bytes at the cursor of `pieces` in piece->iov as the module can take them; returns how many, 0: not even a block
 * without copying. limits.c
 */
uint64_t bdev_piece_gather(const struct nvio_bdev *bdev, const struct bdev_pieces *pieces, const struct iovec *iov,
	struct bdev_piece *piece, uint64_t limit);
/* Moves the cursor. limits.c */
void bdev_pieces_advance(struct bdev_pieces *pieces, const struct iovec *iov, uint64_t len);

/* Data between bounce memory and iovecs, from a place in those. bounce.c */
void bdev_bounce_fill(unsigned char *bounce, const struct iovec *iov, uint64_t skip, uint64_t len);
void bdev_bounce_empty(const unsigned char *bounce, const struct iovec *iov, uint64_t skip, uint64_t len);
bool bdev_bounce_equal(const unsigned char *bounce, const struct iovec *iov, uint64_t skip, uint64_t len);

static inline struct bdev_pieces *bdev_pieces_of(struct nvio_bdev_io *io)
{
	return (struct bdev_pieces *)io->module;
}

static inline struct nvio_bdev_io *bdev_piece_io(struct bdev_piece *piece)
{
	return bdev_op_io(&piece->op);
}

/* emulate.c: the I/O that the module lacks begins, out of reads and writes. */
void bdev_emulate(struct nvio_bdev_io *io);
/* emulate.c: all pieces have ended. -EINPROGRESS: more are to come; else the status. */
int bdev_pieces_next(struct nvio_bdev_io *io, int status);

/* piece.c: the I/O is done in pieces from here on. */
void bdev_pieces_begin(struct nvio_bdev_io *io, enum bdev_pieces_kind kind);
/* piece.c: once more from the start, with another kind. */
void bdev_pieces_restart(struct nvio_bdev_io *io, enum bdev_pieces_kind kind);
/* piece.c: the end of a piece. */
void bdev_piece_done(struct nvio_bdev_io *io, int status);
/* piece.c: no more pieces of it are handed out, and those that wait end. False: there was nothing to stop. */
bool bdev_pieces_stop(struct bdev_channel *ch, struct nvio_bdev_io *io, int status);
/* piece.c: ends what is overdue; returns when the next one will be, 0: never. */
uint64_t bdev_pieces_expire(struct bdev_channel *ch, uint64_t now);
/* piece.c: the channel ends. */
void bdev_pieces_stop_all(struct bdev_channel *ch);

#endif
