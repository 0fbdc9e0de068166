/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Limits of a block device: I/Os and bytes per second, how many I/Os at once, and who gets how much of it. docs/bdev-qos.md tells what
 * they mean together.
 */
#ifndef NVIO_BDEV_QOS_H
#define NVIO_BDEV_QOS_H

#include <stddef.h>
#include <stdint.h>

#include <nvio/bdev.h>
#include <nvio/compiler.h>
#include <nvio/op.h>

NVIO_BEGIN_DECLS

#define NVIO_BDEV_RATE_MAX	 (1ull << 60)
#define NVIO_BDEV_WEIGHT_DEFAULT 100
#define NVIO_BDEV_WEIGHT_MAX	 10000

struct nvio_bdev_rate {
	uint64_t per_s; /* 0: no limit; at most NVIO_BDEV_RATE_MAX */
	uint64_t burst; /* what may go at once after a pause; 0: a tenth of a second's worth */
};

/*
 * Of a device, all its descriptors and threads together. Reads are read and compare; writes are write, write zeroes, unmap, copy, compare and
 * write, and NVMe I/O commands; unmap has no bytes. Flush, reset and NVMe admin commands are free.
 */
struct nvio_bdev_qos {
	size_t size;
	struct nvio_bdev_rate read_ios, read_bytes;
	struct nvio_bdev_rate write_ios, write_bytes;
	struct nvio_bdev_rate all_ios, all_bytes; /* reads and writes together */
	uint32_t max_in_flight;			  /* how many of them may be with the module at once; 0: no limit */
};

NVIO_EXPORT void nvio_bdev_qos_init(struct nvio_bdev_qos *qos);

/*
 * Sets the limits in place of those before; all 0 takes them away. The op completes when all threads with a channel go by them. What waits
 * goes by the new ones, too. 0: submitted, else nothing was changed: -EINVAL a rate or burst beyond NVIO_BDEV_RATE_MAX, a burst without
 * a rate (named in nvio_errmsg()), NULL, flags, a channel of another device; -ENODEV removed; -ENOMEM. op.status then: 0; -ETIMEDOUT
 * or -ECANCELED while some thread has not polled: the limits are set all the same. Thread: the channel's.
 */
NVIO_EXPORT int nvio_bdev_set_qos(
	struct nvio_bdev_desc *desc, struct nvio_channel *ch, const struct nvio_bdev_qos *qos, struct nvio_op *op);

/* The limits in force, with the bursts as they are. `qos->size` must be set. 0; -EINVAL. Any thread. */
NVIO_EXPORT int nvio_bdev_get_qos(struct nvio_bdev_desc *desc, struct nvio_bdev_qos *qos);

/* Of one descriptor, on all threads together. */
struct nvio_bdev_desc_qos {
	size_t size;
	uint32_t weight; /* 1 to NVIO_BDEV_WEIGHT_MAX: descriptors that wait for the same limit of the device share it like this */
	struct nvio_bdev_rate ios, bytes; /* its own limits, beside the device's; reads and writes together */
};

NVIO_EXPORT void nvio_bdev_desc_qos_init(struct nvio_bdev_desc_qos *qos);

/* As nvio_bdev_set_qos(), for one descriptor; also -EINVAL a weight out of range. It ends with the descriptor. */
NVIO_EXPORT int nvio_bdev_set_desc_qos(
	struct nvio_bdev_desc *desc, struct nvio_channel *ch, const struct nvio_bdev_desc_qos *qos, struct nvio_op *op);

NVIO_END_DECLS

#endif
