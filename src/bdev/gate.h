/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What may hold I/O back before it comes to a module: locks of ranges, a reset, limits. The device knows what is in force (bdev_gate),
 * and each channel takes that over on its own thread: until then it goes by what it knew before.
 */
#ifndef BDEV_GATE_H
#define BDEV_GATE_H

#include "bdev/bdev.h"
#include "bdev/lock.h"

/* bdev_lock.keeps_out of what is no lock at all: it is held once every channel has taken over what was changed. */
#define BDEV_LOCK_SEEN (1u << 7)

/* Gates that ask more than how many wait. */
#define BDEV_GATES_HOLD (BDEV_GATE_LOCKED | BDEV_GATE_RESET)

void bdev_gate_init(struct nvio_bdev *bdev);
void bdev_gate_fini(struct nvio_bdev *bdev);

/* A channel is made, and takes over what is in force; it goes, with all that it has asked for and locked. Its thread. */
void bdev_gate_join(struct bdev_channel *ch);
void bdev_gate_leave(struct bdev_channel *ch);
/* Lets go of what the descriptor has locked and limited. The descriptor's thread, or when that is gone. */
void bdev_gate_desc_closes(struct nvio_bdev_desc *desc);

/* With gate.lock: whether an I/O of the channel must wait, as far as the channel has taken over what is in force. */
bool bdev_gate_holds(const struct bdev_channel *ch, const struct nvio_bdev_io *io);

/* Has it wait until the channel next looks at the gate and nothing holds it. */
void bdev_gate_hold(struct nvio_bdev_io *io);
/* An I/O comes to the gates: it is held, waits, or goes on. 0 */
int bdev_gate_enter(struct nvio_bdev_io *io);
/* The other end of it: an I/O that is BDEV_IO_LIMITED or BDEV_IO_RESET is done. */
void bdev_gate_done(struct nvio_bdev_io *io);

/* With gate.lock: has a channel, or all, look at the gate. */
void bdev_gate_kick(struct bdev_channel *ch);
void bdev_gate_kick_all(struct bdev_gate *g);
/* With gate.lock: the channel, ours, takes over what is in force. True: a reset that it has not known of. */
bool bdev_gate_take_over(struct bdev_channel *ch);
/* After that, without the lock: has it told when all from before has ended. */
void bdev_gate_drain(struct bdev_channel *ch);

/* lock.c, with gate.lock: whether some lock keeps it out; what the channel should have in its gates; what it has seen or drained. */
bool bdev_locks_hold(const struct bdev_channel *ch, const struct nvio_bdev_io *io);
bool bdev_locks_keep_out(const struct bdev_channel *ch);
void bdev_locks_seen(struct bdev_channel *ch, uint64_t before);
void bdev_locks_drained(struct bdev_channel *ch, uint64_t before);
void bdev_locks_release(struct bdev_gate *g, const struct bdev_channel *ch, const struct nvio_bdev_desc *desc);
/* lock.c, without it: tells the holders on this channel; ends the request of `io`, or of all of the channel's that have one. */
void bdev_locks_tell(struct bdev_channel *ch);
void bdev_lock_end(struct bdev_channel *ch, struct nvio_bdev_io *io, int status);
void bdev_locks_end_all(struct bdev_channel *ch, int status);
/* Ends those whose deadline has passed; the next deadline, or 0. */
uint64_t bdev_locks_timeout(struct bdev_channel *ch, uint64_t now);

/* reset.c */
int bdev_reset_forwarded(struct nvio_bdev_io *io);
void bdev_reset_drained(struct bdev_channel *ch, uint64_t before);
void bdev_reset_step(struct bdev_channel *ch);
void bdev_reset_over(struct nvio_bdev_io *io);
/* Takes back one that waits for the end of I/O; false: the module is at it. */
bool bdev_reset_end(struct nvio_bdev_io *io, int status);
struct nvio_bdev_io *bdev_reset_of(struct bdev_channel *ch); /* one that could be taken back, or NULL */

/*
 * An op that asks for a change of the gate: it lies in wait as an I/O does, with BDEV_IO_LOCKING or BDEV_IO_RESET, and is counted as one.
 * check: 0, or what is wrong with the arguments.
 */
int bdev_request_check(const char *what, const struct nvio_bdev_desc *desc, const struct nvio_channel *handle,
	const struct nvio_op *op);
struct nvio_bdev_io *bdev_request_begin(struct nvio_bdev_desc *desc, struct nvio_channel *handle, struct nvio_op *op,
	enum nvio_bdev_io_type type);
void bdev_request_end(struct nvio_bdev_io *io, int status); /* uncounted in the statistics */

/* From counting among those with the module to those apart, and back. Pieces are not counted anywhere. */
static inline void bdev_set_apart(struct bdev_channel *ch, const struct nvio_bdev_io *io)
{
	if (io->state & BDEV_IO_PIECE)
		return;
	ch->apart[io->begun & BDEV_EPOCH_OWN]++;
	if (!--ch->in_flight[io->begun & BDEV_EPOCH_MASK] && ch->draining)
		bdev_drain_check(ch);
}

static inline void bdev_set_back(struct bdev_channel *ch, const struct nvio_bdev_io *io)
{
	if (io->state & BDEV_IO_PIECE)
		return;
	ch->in_flight[io->begun & BDEV_EPOCH_MASK]++;
	ch->apart[io->begun & BDEV_EPOCH_OWN]--;
}

/* From here on it does not count as in flight: it waits for something that may itself wait for the end of all I/O. And back. */
static inline void bdev_uncount(struct nvio_bdev_io *io)
{
	struct bdev_channel *ch = io->channel;

	if (!--ch->in_flight[io->begun & BDEV_EPOCH_MASK] && ch->draining)
		bdev_drain_check(ch);
}

static inline void bdev_recount(struct nvio_bdev_io *io)
{
	struct bdev_channel *ch = io->channel;

	io->begun = (io->begun & ~(uint64_t)BDEV_EPOCH_MASK) | ch->epoch;
	ch->in_flight[ch->epoch]++;
}

#endif
