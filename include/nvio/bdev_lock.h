/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Having a block device, or a range of it, for oneself for a while: locks of ranges, quiesce, reset.
 */
#ifndef NVIO_BDEV_LOCK_H
#define NVIO_BDEV_LOCK_H

#include <stdint.h>

#include <nvio/bdev.h>
#include <nvio/compiler.h>
#include <nvio/op.h>

NVIO_BEGIN_DECLS

/* Of the caller's memory, zeroed; it must stay where it is from the submit until it is given back. The library's otherwise. */
struct nvio_bdev_lock {
	uint64_t priv[16];
};

/* Flags of nvio_bdev_lock_range(). */
#define NVIO_BDEV_LOCK_READS (1u << 0) /* reads wait, too; without it only what may change the range does */
#define NVIO_BDEV_LOCK_OWN   (1u << 1) /* I/O of the lock's own channel waits, too; without it that passes */

/*
 * Locks [offset, offset + len), multiples of the block size: the op completes once all I/O of the device that was submitted before has ended,
 * on all threads, and from then on I/O that overlaps and comes by other channels than `ch` waits until the lock is given back, in
 * the order it came in on each channel. It does not fail for that; its own deadline and nvio_cancel() go on. A thread with a channel that
 * nobody polls keeps the lock from being granted. Commands of
 * nvio_bdev_nvme_io() and nvio_bdev_nvme_admin(), into which nobody looks, overlap with everything.
 *
 * Locks that overlap are granted in the order of asking, and I/O that waits has its turn between two of them. Who holds one lock and waits
 * for another should give that a deadline. Descriptors for reading may lock. A lock ends by itself with its descriptor and with its
 * channel (thus with its thread).
 *
 * 0: submitted, else nothing was: -EINVAL misaligned, length 0, unknown flags, NULL, a channel of another device, the lock is in use; -ERANGE
 * beyond the end; -ENODEV removed. op.status then: 0 it is held; -ECANCELED by nvio_cancel(), by a reset or the channel's end;
 * -ETIMEDOUT. Thread: the channel's. No memory is allocated.
 */
NVIO_EXPORT int nvio_bdev_lock_range(struct nvio_bdev_desc *desc, struct nvio_channel *ch, struct nvio_bdev_lock *lock,
	uint64_t offset, uint64_t len, uint32_t flags, struct nvio_op *op);

/* Gives it back; what waits goes on in the polls of its threads. 0; -EINVAL NULL, or not held. Thread: its channel's. */
NVIO_EXPORT int nvio_bdev_unlock_range(struct nvio_bdev_lock *lock);

/*
 * The same for the whole device and all I/O, flushes and that of `ch` included: when the op completes nothing is in flight, and nothing
 * will be until nvio_bdev_unquiesce(). Of a device that others stand on, what these send down waits, too. Answers as above.
 */
NVIO_EXPORT int nvio_bdev_quiesce(struct nvio_bdev_desc *desc, struct nvio_channel *ch, struct nvio_bdev_lock *lock,
	struct nvio_op *op);
NVIO_EXPORT int nvio_bdev_unquiesce(struct nvio_bdev_lock *lock);

/*
 * Resets the device: on all its channels, what waits ends with -ECANCELED (requests for locks, too), the module ends what it can (its
 * abort()), what is with it is waited for, then a module that takes RESET is handed it, and those below a stacked device are
 * reset like this as well. I/O that is submitted meanwhile waits. Locks that are held stay held.
 *
 * 0: submitted, else nothing was: -EINVAL NULL, flags, a channel of another device; -EBADF the descriptor is read-only; -ENODEV removed;
 * -EALREADY a reset is under way. op.status then: 0; -ETIMEDOUT op.timeout_us passed before all I/O had ended: then I/O goes on as if
 * nothing had been asked for; -ECANCELED the same by nvio_cancel() or the end of the channel; -EALREADY a device below is being
 * reset by somebody else; or the module's error. Thread: the channel's.
 */
NVIO_EXPORT int nvio_bdev_reset(struct nvio_bdev_desc *desc, struct nvio_channel *ch, struct nvio_op *op);

NVIO_END_DECLS

#endif
