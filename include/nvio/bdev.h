/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Block devices: a name, a size, and reads and writes, whatever is behind them. Open a descriptor, get a channel on
 * each nvio_thread that does I/O, and submit ops.
 */
#ifndef NVIO_BDEV_H
#define NVIO_BDEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include <nvio/compiler.h>
#include <nvio/op.h>
#include <nvio/thread.h>

NVIO_BEGIN_DECLS

struct nvio_env;
struct nvio_bdev;
struct nvio_bdev_desc;
struct nvio_sqe;

#define NVIO_BDEV_NAME_MAX 255

/* What can be done with a device. */
enum nvio_bdev_io_type {
	NVIO_BDEV_IO_READ,
	NVIO_BDEV_IO_WRITE,
	NVIO_BDEV_IO_WRITE_ZEROES,
	NVIO_BDEV_IO_UNMAP,
	NVIO_BDEV_IO_FLUSH,
	NVIO_BDEV_IO_COMPARE,
	NVIO_BDEV_IO_COMPARE_AND_WRITE,
	NVIO_BDEV_IO_COPY,
	NVIO_BDEV_IO_RESET,
	NVIO_BDEV_IO_NVME,	 /* an NVMe I/O command as it is */
	NVIO_BDEV_IO_NVME_ADMIN, /* an NVMe admin command as it is */
	NVIO_BDEV_IO_TYPES,	 /* how many there are */
};

/* Flags of nvio_bdev_open(). */
#define NVIO_BDEV_READ  0u
#define NVIO_BDEV_WRITE (1u << 0)

enum nvio_bdev_event {
	NVIO_BDEV_REMOVED, /* going away: put the channels and close; new I/O gets -ENODEV, what is in flight still completes */
	NVIO_BDEV_RESIZED, /* num_blocks has changed */
};

typedef void (*nvio_bdev_event_fn)(struct nvio_bdev_desc *desc, enum nvio_bdev_event event, void *arg);

/*
 * Opens by name, alias or uuid. 0; -ENODEV no such device (named in nvio_errmsg()); -EROFS write asked of a read-only device;
 * -EPERM claimed, by a module that builds on it or by nvio_bdev_claim(); -ENOMEM; -EINVAL unknown flag or NULL. Thread: a current
 * nvio_thread is needed: events are delivered on it, and close happens on it.
 */
NVIO_EXPORT int nvio_bdev_open(struct nvio_env *env, const char *name, uint32_t flags, struct nvio_bdev_desc **desc);

/* Who hears of removal and resize; at most one per descriptor; NULL: nobody. Thread: the opening one. */
NVIO_EXPORT void nvio_bdev_set_event_fn(struct nvio_bdev_desc *desc, nvio_bdev_event_fn fn, void *arg);

/*
 * Closes. Channels got from it must have been put. NULL is allowed. 0; -EBUSY I/O of this descriptor is in flight (nothing
 * happened). Thread: the opening one.
 */
NVIO_EXPORT int nvio_bdev_close(struct nvio_bdev_desc *desc);

/* The device of a descriptor; valid while the descriptor is open. */
NVIO_EXPORT struct nvio_bdev *nvio_bdev_desc_bdev(const struct nvio_bdev_desc *desc);

NVIO_EXPORT const char *nvio_bdev_name(const struct nvio_bdev *bdev);
NVIO_EXPORT const char *nvio_bdev_module(const struct nvio_bdev *bdev); /* "malloc", "null", "file", ... */
NVIO_EXPORT uint32_t nvio_bdev_block_size(const struct nvio_bdev *bdev);
NVIO_EXPORT uint64_t nvio_bdev_num_blocks(const struct nvio_bdev *bdev);
NVIO_EXPORT uint64_t nvio_bdev_size_bytes(const struct nvio_bdev *bdev);
NVIO_EXPORT bool nvio_bdev_is_read_only(const struct nvio_bdev *bdev);
NVIO_EXPORT bool nvio_bdev_has_volatile_cache(const struct nvio_bdev *bdev); /* a write is durable only after flush or FUA */
NVIO_EXPORT const uint8_t *nvio_bdev_uuid(const struct nvio_bdev *bdev); /* 16 bytes */
NVIO_EXPORT const char *nvio_bdev_alias(const struct nvio_bdev *bdev, unsigned index); /* NULL beyond the last */

/* Whether, and how, a device does something; a descriptor for reading only may do less. */
enum nvio_bdev_support {
	NVIO_BDEV_CANNOT = 0,
	NVIO_BDEV_NATIVE = 1,	/* its module does it */
	NVIO_BDEV_EMULATED = 2, /* the library does it by reading and writing */
};

/* NVIO_BDEV_CANNOT also for a type that does not exist. */
NVIO_EXPORT enum nvio_bdev_support nvio_bdev_can(const struct nvio_bdev *bdev, enum nvio_bdev_io_type type);

/*
 * Calls fn for each device, in order of creation, until it returns non-zero; returns that. fn may open, create and delete, this device
 * and others; `bdev` stays valid while fn runs. -EINVAL NULL. Any thread.
 */
NVIO_EXPORT int nvio_bdev_for_each(struct nvio_env *env, int (*fn)(struct nvio_bdev *bdev, void *arg), void *arg);

/*
 * Takes the device for oneself, or for a module that builds on it: as long as it lasts others get -EPERM when they open it
 * for writing. 0; -EPERM claimed already; -EBUSY open for writing elsewhere; -ENODEV; -EINVAL NULL. Ends with the release
 * or with the descriptor. Thread: the opening one.
 */
NVIO_EXPORT int nvio_bdev_claim(struct nvio_bdev_desc *desc);
NVIO_EXPORT void nvio_bdev_release(struct nvio_bdev_desc *desc); /* does nothing when the claim is not its own */

/*
 * The current nvio_thread's channel of the device (reference counted; give it back with nvio_channel_put()).
 * 0; -ENODEV removed; -EINVAL no current thread; -ENOMEM; or the module's error.
 * Wait for its I/O before the last reference is put: the end of a stacked device's channel polls its thread until all has come back, and what that
 * waits for must not be another nvio_thread that only this OS thread polls.
 */
NVIO_EXPORT int nvio_bdev_channel(struct nvio_bdev_desc *desc, struct nvio_channel **ch);

/*
 * I/O. Offset and length in bytes, multiples of the block size, of any size up to the device's: what is larger than the module can take,
 * crosses what it cannot cross, or lies in memory that it cannot use is split and copied by the library. `buf` any address; the iovec
 * array and the buffers stay the caller's but must not change until the op completes. Op flags: NVIO_OP_FUA where something is
 * written, but not on unmap. Thread: the channel's.
 * 0: submitted; else nothing was: -EINVAL misaligned, length 0, flags, NULL, iovec too short or over 2^20 entries; -ERANGE
 * beyond the end (wrap-around included); -EBADF a write on a read-only descriptor; -ENODEV removed; -EOPNOTSUPP the
 * module cannot, and the library cannot for it. Checked builds: -EFAULT a buffer of nvio_mem_alloc() was freed, or is too short.
 * op.status then: 0, -EIO, -ENOSPC, -ENODEV, -ECANCELED, -ETIMEDOUT (op.timeout_us passed; the module still
 * finishes first), -EILSEQ a compare found a difference, -ENOMEM the first time a channel needs memory to split, copy or emulate.
 * Of what is split the first error counts, and other parts may have been done.
 */
NVIO_EXPORT int nvio_bdev_read(struct nvio_bdev_desc *desc, struct nvio_channel *ch, void *buf, uint64_t offset,
	uint64_t len, struct nvio_op *op);
NVIO_EXPORT int nvio_bdev_write(struct nvio_bdev_desc *desc, struct nvio_channel *ch, const void *buf, uint64_t offset,
	uint64_t len, struct nvio_op *op);
NVIO_EXPORT int nvio_bdev_readv(struct nvio_bdev_desc *desc, struct nvio_channel *ch, const struct iovec *iov, int iovcnt,
	uint64_t offset, uint64_t len, struct nvio_op *op);
NVIO_EXPORT int nvio_bdev_writev(struct nvio_bdev_desc *desc, struct nvio_channel *ch, const struct iovec *iov,
	int iovcnt, uint64_t offset, uint64_t len, struct nvio_op *op);

/* The same in blocks: `lba` and `num_blocks` times the block size. */
NVIO_EXPORT int nvio_bdev_read_blocks(struct nvio_bdev_desc *desc, struct nvio_channel *ch, void *buf, uint64_t lba,
	uint64_t num_blocks, struct nvio_op *op);
NVIO_EXPORT int nvio_bdev_write_blocks(struct nvio_bdev_desc *desc, struct nvio_channel *ch, const void *buf, uint64_t lba,
	uint64_t num_blocks, struct nvio_op *op);

/* The same range becomes zeros; is given back (its content is then undefined, zeros for malloc, null and file); is made durable. */
NVIO_EXPORT int nvio_bdev_write_zeroes(struct nvio_bdev_desc *desc, struct nvio_channel *ch, uint64_t offset, uint64_t len,
	struct nvio_op *op);
NVIO_EXPORT int nvio_bdev_unmap(struct nvio_bdev_desc *desc, struct nvio_channel *ch, uint64_t offset, uint64_t len,
	struct nvio_op *op);
NVIO_EXPORT int nvio_bdev_flush(struct nvio_bdev_desc *desc, struct nvio_channel *ch, struct nvio_op *op);

/* Whether the device holds what the buffer holds: op.status 0, or -EILSEQ it does not. */
NVIO_EXPORT int nvio_bdev_compare(struct nvio_bdev_desc *desc, struct nvio_channel *ch, const void *buf, uint64_t offset,
	uint64_t len, struct nvio_op *op);
NVIO_EXPORT int nvio_bdev_comparev(struct nvio_bdev_desc *desc, struct nvio_channel *ch, const struct iovec *iov,
	int iovcnt, uint64_t offset, uint64_t len, struct nvio_op *op);

/*
 * Writes `write` where the device holds `compare`, else nothing (-EILSEQ). No other I/O of the device comes between, and of several at
 * once on the same range one wins. Once it writes it cannot be cancelled any more.
 */
NVIO_EXPORT int nvio_bdev_compare_and_write(struct nvio_bdev_desc *desc, struct nvio_channel *ch, const void *compare,
	const void *write, uint64_t offset, uint64_t len, struct nvio_op *op);
NVIO_EXPORT int nvio_bdev_compare_and_writev(struct nvio_bdev_desc *desc, struct nvio_channel *ch,
	const struct iovec *compare, int compare_count, const struct iovec *write, int write_count, uint64_t offset,
	uint64_t len, struct nvio_op *op);

/* Copies [src, src + len) of the device to [offset, offset + len) of it; ranges that overlap are refused with -EINVAL. */
NVIO_EXPORT int nvio_bdev_copy(struct nvio_bdev_desc *desc, struct nvio_channel *ch, uint64_t src, uint64_t offset,
	uint64_t len, struct nvio_op *op);

/*
 * Sends an NVMe command (nvio/spec/command.h) to the controller behind the device, with a buffer of `len` bytes (NULL and 0: none), which the
 * command moves to or from. `cmd` must stay as it is until the op completes; what the controller answers is in op.cpl. Neither the range
 * nor the opcode is looked at, so the descriptor must be writable (-EBADF). -EOPNOTSUPP no NVMe behind it.
 */
NVIO_EXPORT int nvio_bdev_nvme_io(struct nvio_bdev_desc *desc, struct nvio_channel *ch, const struct nvio_sqe *cmd,
	void *buf, uint64_t len, struct nvio_op *op);
NVIO_EXPORT int nvio_bdev_nvme_admin(struct nvio_bdev_desc *desc, struct nvio_channel *ch, const struct nvio_sqe *cmd,
	void *buf, uint64_t len, struct nvio_op *op);

/*
 * Changes the size. 0; -EOPNOTSUPP; -EINVAL 0; -ENOSPC, -EBUSY. Descriptors hear NVIO_BDEV_RESIZED; I/O beyond the new end that is
 * in flight completes as the module can.
 */
NVIO_EXPORT int nvio_bdev_resize(struct nvio_env *env, const char *name, uint64_t num_blocks);

/*
 * Deletes: descriptors hear NVIO_BDEV_REMOVED, new opens and I/O get -ENODEV, and when the last descriptor is closed the device goes
 * and `op` completes (on the calling nvio_thread). 0; -ENODEV; -EINVAL no current thread.
 */
NVIO_EXPORT int nvio_bdev_delete(struct nvio_env *env, const char *name, struct nvio_op *op);

NVIO_END_DECLS

#include <nvio/bdev_devices.h>

#endif
