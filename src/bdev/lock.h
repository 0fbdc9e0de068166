/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Locks of byte ranges of a device, for what must not be disturbed: a compare and write that is made of a read and a write, an
 * application that moves data, quiesce. The lock lies in its holder's memory; nothing is allocated.
 *
 * A lock is asked for from one channel, and held once every channel of the device knows of it and all I/O from before has ended. I/O that
 * comes later and overlaps waits in its own channel. Requests that overlap are served in the order of asking, those that do not at once.
 */
#ifndef BDEV_LOCK_H
#define BDEV_LOCK_H

#include "bdev/bdev.h"

/* bdev_lock.keeps_out; what keeps nothing out but other locks is 0. */
enum {
	BDEV_LOCK_WRITES = 1 << 0, /* whatever may change what is there, and commands that nobody looks into */
	BDEV_LOCK_READS = 1 << 1,  /* whatever else has a range */
	BDEV_LOCK_ALL = 1 << 2,	   /* everything on the device, also flushes; for the range from 0 to BDEV_LOCK_END */
	BDEV_LOCK_OWN = 1 << 3,	   /* of the above, also what comes from the lock's own channel */
};

#define BDEV_LOCK_END UINT64_MAX

struct bdev_lock {
	/* The caller's; they stay as they are from bdev_lock() to bdev_unlock(). */
	uint64_t offset, len; /* bytes; len is at least 1, and their sum does not wrap */
	struct bdev_channel *ch; /* who asks */
	/*
	 * NULL, or the I/O of `ch` that needs the lock: while it waits for it, it does not count as in flight, so that nobody who waits
	 * for the end of all I/O waits for it; cancelling it, its deadline and a reset end the request (`granted` hears -ECANCELED or
	 * -ETIMEDOUT).
	 */
	struct nvio_bdev_io *io;
	/* On the channel's thread, never inside bdev_lock(): 0, the lock is held; else it is not, and will not be. */
	void (*granted)(struct bdev_lock *lock, int status);
	uint32_t keeps_out;

	/* The gate's: gate.lock of the device. */
	uint32_t state;
	uint32_t pending; /* channels that I/O from before is in flight on */
	bool told;	  /* its holder knows that it is held */
	uint64_t gen;	  /* see bdev_gate.gen */
	struct list link; /* in gate.locks of the device */
};

/*
 * Asks for the lock. 0: it is held already, `granted` is not called; -EINPROGRESS: it is called later. Thread: the channel's.
 * What its holder sends to the module itself passes no gate: locks keep out what is submitted to the device.
 */
int bdev_lock(struct bdev_lock *lock);

/*
 * Gives a lock back that is held, or takes back the request (`granted` is then not called). From here on the memory is the caller's.
 * An `io` whose request is taken back counts as in flight again. Thread: the channel's.
 */
void bdev_unlock(struct bdev_lock *lock);

#endif
