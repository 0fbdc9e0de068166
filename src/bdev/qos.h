/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Limits of rates and of what is in flight. qos.c sets them; qos_serve.c lets I/O go by them: at once as long as there are tokens and
 * nobody waits, without a lock or a look at the clock; else the I/O is queued, and an arbiter under gate.lock says who is next.
 */
#ifndef BDEV_QOS_H
#define BDEV_QOS_H

#include "bdev/bdev.h"
#include <nvio/bdev_qos.h>

/* What an I/O counts as. */
enum {
	QOS_READ,
	QOS_WRITE,
	QOS_FREE,
};

/* Bits of bdev_qos.mask: buckets, at twice the class (QOS_ALL: of both), plus one for bytes; and the limit of I/Os in flight. */
#define QOS_ALL		 2
#define QOS_BUCKETS	 6
#define QOS_BYTES	 1u
#define QOS_ALL_BITS	 (3u << 2 * QOS_ALL)
#define QOS_IN_FLIGHT	 (1u << QOS_BUCKETS)

struct bdev_qos {
	_Atomic uint32_t mask[2]; /* by class; written under gate.lock */
	_Atomic uint32_t max_in_flight; /* written under gate.lock */
	_Atomic uint32_t waiting; /* shares in `backlog`; written under gate.lock */
	struct bdev_bucket buckets[QOS_BUCKETS];
	CACHE_ALIGNED _Atomic uint32_t in_flight; /* BDEV_IO_LIMITED; any thread */

	/* gate.lock */
	struct list backlog;	    /* shares in which something waits for a limit */
	uint64_t vclock;	    /* how far the descriptors that wait have come, see nvio_bdev_desc.vtime */
	bool by_bytes;		    /* what they have had is counted in bytes */
	uint32_t limited_descs;	    /* with limits of their own */
	struct nvio_bdev_qos config;
};

/* With gate.lock: whether there are limits. */
bool bdev_qos_active(const struct nvio_bdev *bdev);
void bdev_qos_free(struct nvio_bdev *bdev);
/* With gate.lock. */
void bdev_qos_desc_closes(struct nvio_bdev_desc *desc);

/* An I/O comes to the limits. True: it has paid, and goes on; false: it waits, or was let go already. */
bool bdev_qos_pass(struct bdev_channel *ch, struct nvio_bdev_io *io);
/* Lets go what can go, and has a timer look again when there is more. */
void bdev_qos_serve(struct bdev_channel *ch);
/* Takes an I/O that waits out of its queue; it counts as in flight again. */
void bdev_qos_take_out(struct bdev_channel *ch, struct nvio_bdev_io *io);
/* The end of one that is BDEV_IO_LIMITED. */
void bdev_qos_done(struct nvio_bdev_io *io);

/* With gate.lock: adds what has come since; how long until there is something again, 0: there is. */
void bdev_bucket_fill(struct bdev_bucket *b, uint64_t now);
uint64_t bdev_bucket_wait_ns(const struct bdev_bucket *b);

#endif
