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

/*
 * Whether a read or write may go at once, and what it takes if so: the usual case, in a few instructions. A channel has at hand the one limit
 * of I/Os and the one of bytes that count for it; where there are more, it finds an empty bucket there, and bdev_qos_pass() sees to it.
 */
static ALWAYS_INLINE bool bdev_qos_fast(struct bdev_channel *ch, const struct nvio_bdev_io *io)
{
	struct bdev_bucket *ios = ch->fast[io->type][0], *bytes = ch->fast[io->type][1];

	if (unlikely(atomic_load_explicit(&ch->qos->waiting, memory_order_relaxed) |
		     atomic_load_explicit(&io->desc->qos_mask, memory_order_relaxed)))
		return false;
	if (unlikely(atomic_load_explicit(&ios->tokens, memory_order_relaxed) <= 0) ||
		unlikely(atomic_load_explicit(&bytes->tokens, memory_order_relaxed) <= 0))
		return false;
	atomic_fetch_sub_explicit(&ios->tokens, 1, memory_order_relaxed);
	atomic_fetch_sub_explicit(&bytes->tokens, (int64_t)io->len, memory_order_relaxed);
	return true;
}

nvio_static_assert((int)NVIO_BDEV_IO_READ == QOS_READ && (int)NVIO_BDEV_IO_WRITE == QOS_WRITE, "bdev_channel.fast");

/* With gate.lock, on the channel's thread: it goes by the limits as they are. True: there are some. */
bool bdev_qos_take_over(struct bdev_channel *ch);
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
