/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reset: intake stops on all channels and what waits there ends, I/O with the module is hurried and waited for, then a module that takes
 * RESET is handed it, and intake goes on. One at a time and device; those below a stacked device come by nvio_bdev_io_forward().
 */
#include "bdev/gate.h"
#include <nvio/bdev_lock.h>

/* All channels are told. It does not count as in flight from here on, as it waits for what does. */
static int begin(struct nvio_bdev_io *io)
{
	struct bdev_channel *ch = io->channel;
	struct bdev_gate *g = &ch->bdev->gate;
	int rc = 0;

	bdev_uncount(io);
	io->state |= BDEV_IO_RESET;
	if (io->state & BDEV_IO_DEADLINE)
		bdev_timer_arm(ch, io->deadline_ns);
	pthread_mutex_lock(&g->lock);
	if (g->reset) {
		rc = -EALREADY;
	} else {
		g->reset = io;
		g->reset_channel = ch;
		g->reset_gen = ++g->gen;
		g->reset_pending = g->channel_count;
		g->reset_with_module = false;
		bdev_gate_kick_all(g);
	}
	pthread_mutex_unlock(&g->lock);
	if (!rc)
		return 0;
	io->state &= ~BDEV_IO_RESET;
	bdev_recount(io);
	return rc;
}

int bdev_reset_forwarded(struct nvio_bdev_io *io)
{
	int rc = begin(io);

	if (rc)
		bdev_io_done(io, rc);
	return 0;
}

void bdev_reset_drained(struct bdev_channel *ch, uint64_t before)
{
	struct bdev_gate *g = &ch->bdev->gate;

	if (!g->reset || g->reset_gen <= before || g->reset_gen > ch->drained_gen)
		return;
	if (!--g->reset_pending)
		bdev_gate_kick(g->reset_channel);
}

/* Nothing is in flight any more: the module's turn. */
void bdev_reset_step(struct bdev_channel *ch)
{
	struct bdev_gate *g = &ch->bdev->gate;
	struct nvio_bdev_io *io;
	int rc = 0;

	pthread_mutex_lock(&g->lock);
	io = g->reset;
	if (io && (g->reset_channel != ch || g->reset_pending || g->reset_with_module))
		io = NULL;
	if (io)
		g->reset_with_module = true;
	pthread_mutex_unlock(&g->lock);
	if (!io)
		return;
	bdev_recount(io);
	if (atomic_load_explicit(&ch->bdev->native, memory_order_relaxed) & NVIO_BDEV_CAN(NVIO_BDEV_IO_RESET))
		rc = ch->bdev->submit(ch->bdev->device, ch->module, io);
	else
		bdev_io_done(io, 0);
	if (rc == -EAGAIN)
		bdev_io_wait(ch, io);
	else if (rc)
		bdev_io_done(io, rc);
}

void bdev_reset_over(struct nvio_bdev_io *io)
{
	struct bdev_channel *ch = io->channel;
	struct bdev_gate *g = &ch->bdev->gate;

	io->state &= ~BDEV_IO_RESET;
	pthread_mutex_lock(&g->lock);
	g->reset = NULL;
	bdev_gate_kick_all(g);
	pthread_mutex_unlock(&g->lock);
}

struct nvio_bdev_io *bdev_reset_of(struct bdev_channel *ch)
{
	struct bdev_gate *g = &ch->bdev->gate;
	struct nvio_bdev_io *io;

	pthread_mutex_lock(&g->lock);
	io = g->reset;
	if (io && (g->reset_channel != ch || g->reset_with_module))
		io = NULL;
	pthread_mutex_unlock(&g->lock);
	return io;
}

bool bdev_reset_end(struct nvio_bdev_io *io, int status)
{
	if (bdev_reset_of(io->channel) != io)
		return false;
	bdev_recount(io);
	bdev_io_done(io, status); /* and with it bdev_reset_over() */
	return true;
}

int nvio_bdev_reset(struct nvio_bdev_desc *desc, struct nvio_channel *handle, struct nvio_op *op)
{
	int rc = bdev_request_check("reset", desc, handle, op);
	struct nvio_bdev_io *io;
	bool busy;

	if (rc)
		return rc;
	if (!desc->writable)
		return fail(-EBADF, "bdev: reset: %s: the descriptor is read-only; open it with NVIO_BDEV_WRITE",
			desc->bdev->name);
	pthread_mutex_lock(&desc->bdev->gate.lock);
	busy = desc->bdev->gate.reset;
	pthread_mutex_unlock(&desc->bdev->gate.lock);
	if (busy)
		return fail(-EALREADY, "bdev: reset: %s: it is being reset already; wait for that", desc->bdev->name);
	io = bdev_request_begin(desc, handle, op, NVIO_BDEV_IO_RESET);
	rc = begin(io);
	/* Another thread was faster between the two. */
	if (rc)
		bdev_io_done(io, rc);
	return 0;
}
