/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Compare and write of a module that lacks it: reads and writes (piece.c) under a lock of the range, which keeps out all others,
 * those of its own channel too. Its pieces go to the module past the gates.
 */
#include "bdev/gate.h"
#include "bdev/piece.h"

/* Whoever waits for one is told by a kick. */
static void done_with(struct bdev_swap *s)
{
	struct bdev_channel *ch = s->lock.ch;

	s->next = ch->pool->free_swaps;
	ch->pool->free_swaps = s;
	if (op_queue_empty(&ch->held))
		return;
	pthread_mutex_lock(&ch->bdev->gate.lock);
	bdev_gate_kick(ch);
	pthread_mutex_unlock(&ch->bdev->gate.lock);
}

static void granted(struct bdev_lock *lock, int status)
{
	struct bdev_swap *s = container_of(lock, struct bdev_swap, lock);
	struct nvio_bdev_io *io = lock->io;

	if (status) {
		done_with(s);
		bdev_io_done(io, status);
		return;
	}
	io->state |= BDEV_IO_SWAPPING;
	io->context = s;
	bdev_pieces_begin(io, BDEV_PIECES_COMPARE);
}

void bdev_swap_begin(struct nvio_bdev_io *io)
{
	struct bdev_channel *ch = io->channel;
	struct bdev_swap *s;

	if (!ch->pool && bdev_pool_init(ch)) {
		bdev_io_done(io, -ENOMEM);
		return;
	}
	s = ch->pool->free_swaps;
	if (!s) {
		/* One of those that have them will give its lock back, and then this is looked at again. */
		bdev_gate_hold(io);
		return;
	}
	ch->pool->free_swaps = s->next;
	s->lock = (struct bdev_lock){
		.offset = io->offset,
		.len = io->len,
		.ch = ch,
		.io = io,
		.granted = granted,
		.keeps_out = BDEV_LOCK_WRITES | BDEV_LOCK_READS | BDEV_LOCK_OWN,
	};
	if (!bdev_lock(&s->lock))
		granted(&s->lock, 0);
	else if (io->state & BDEV_IO_LIMITED)
		bdev_gate_done(io); /* whoever holds the lock may need its place */
}

void bdev_swap_end(struct nvio_bdev_io *io)
{
	struct bdev_swap *s = io->context;

	io->state &= ~BDEV_IO_SWAPPING;
	bdev_unlock(&s->lock);
	done_with(s);
}
