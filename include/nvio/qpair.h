/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The I/O queue pair: one thread each, no locks. Submit ops with the functions of nvio/ns.h, poll here.
 */
#ifndef NVIO_QPAIR_H
#define NVIO_QPAIR_H

#include <stddef.h>
#include <stdint.h>

#include <nvio/compiler.h>
#include <nvio/op.h>
#include <nvio/spec/command.h>

NVIO_BEGIN_DECLS

struct nvio_ctrlr;
struct nvio_qpair;

#define NVIO_QPAIR_IMMEDIATE (1u << 0) /* ring the doorbell at each submit, not once per poll */

enum nvio_qpair_priority { /* NVMe Base 2.0 section 5.5; used when the controller arbitrates by weighted round robin */
	NVIO_QPAIR_URGENT = 0,
	NVIO_QPAIR_HIGH = 1,
	NVIO_QPAIR_MEDIUM = 2,
	NVIO_QPAIR_LOW = 3,
};

struct nvio_qpair_opts {
	size_t size;
	uint32_t flags;
	uint32_t io_queue_size;     /* 0: the controller option */
	uint32_t io_queue_requests; /* 0: the controller option */
	enum nvio_qpair_priority priority; /* default urgent; another one needs a controller with weighted round robin (-EOPNOTSUPP) */
};

NVIO_EXPORT void nvio_qpair_opts_init(struct nvio_qpair_opts *opts);

/*
 * Makes an I/O queue pair and waits (polling) until the controller has it. `opts` may be NULL. 0; -EINVAL; -ENOMEM; -ENOSPC the controller
 * grants no more; -ENODEV; -ETIMEDOUT; -EIO the controller refused. It belongs to the OS thread that polls it.
 */
NVIO_EXPORT int nvio_qpair_alloc(struct nvio_ctrlr *ctrlr, const struct nvio_qpair_opts *opts, struct nvio_qpair **qp);

/*
 * Begins to make one: *qp is valid at once and must be freed whatever happens; I/O submitted to it waits until the controller has the
 * queues. `op` completes in nvio_qpair_poll() (or nvio_wait()), with 0 or as above; when the queue pair is freed before, with
 * -ECANCELED. Errors that are known at once are returned, and then nothing is left behind. The op takes no flags.
 */
NVIO_EXPORT int nvio_qpair_alloc_async(struct nvio_ctrlr *ctrlr, const struct nvio_qpair_opts *opts, struct nvio_op *op,
	struct nvio_qpair **qp);

/*
 * Gives it back. Ops in flight complete first with -ECANCELED (callbacks run in this call); the controller's queues are deleted before
 * memory goes. NULL is allowed. Also right for one that has outlived its controller. Not from within one of its own callbacks.
 */
NVIO_EXPORT void nvio_qpair_free(struct nvio_qpair *qp);

/*
 * Rings the doorbell for what was submitted, reaps up to `max` completions (0: all there are) and runs their callbacks. Returns how many ops
 * completed; -ENODEV removed or closed, -EIO failed (all its ops have then completed). May be called from a callback.
 */
NVIO_EXPORT int nvio_qpair_poll(struct nvio_qpair *qp, uint32_t max);

/*
 * Batch reaping: polls, then hands out up to `max` completed ops that were submitted with NVIO_OP_REAP, oldest first. Returns how many,
 * or what nvio_qpair_poll() failed with when there are none.
 */
NVIO_EXPORT int nvio_qpair_reap(struct nvio_qpair *qp, struct nvio_op **ops, uint32_t max);

/*
 * Sleeping instead of polling. nvio_qpair_fd(): the descriptor to sleep on (epoll, poll, an event source of an nvio_thread), made by the
 * first call. It belongs to the queue pair: valid until that is freed or its controller closed; only to be watched, never read.
 * nvio_qpair_arm(), each time before sleeping: 0: there is nothing to do before the descriptor becomes readable or *timeout_ms
 * are over (-1: no limit); 1: there is something, poll and arm again. Between the two no wake-up is lost. The timeout is for what only time
 * brings about: deadlines, keep-alive, a reset of the controller. After the sleep: nvio_qpair_poll(), which also makes nothing of a sleep
 * that did not take place. To spin for a while before arming keeps the latency low, since a wake-up costs microseconds.
 *
 * What arming sees is this queue pair, and what the library does for its controller unasked; admin commands are nvio_ctrlr_arm()'s.
 * Both answer -ENODEV and -EIO as nvio_qpair_poll() does; -EOPNOTSUPP the transport cannot wake a host; -EMFILE or -ENFILE; -EINVAL NULL.
 * With an injected clock the timeout is in that clock's time. nvio_wait() sleeps by itself. Thread: the queue pair's.
 */
NVIO_EXPORT int nvio_qpair_fd(struct nvio_qpair *qp);
NVIO_EXPORT int nvio_qpair_arm(struct nvio_qpair *qp, int *timeout_ms);

/* Rings the doorbell for what was submitted, without reaping. */
NVIO_EXPORT void nvio_qpair_kick(struct nvio_qpair *qp);

NVIO_EXPORT uint16_t nvio_qpair_id(const struct nvio_qpair *qp);
NVIO_EXPORT struct nvio_ctrlr *nvio_qpair_ctrlr(const struct nvio_qpair *qp); /* NULL: closed */
NVIO_EXPORT uint32_t nvio_qpair_depth(const struct nvio_qpair *qp);           /* commands that can be in flight at once */
NVIO_EXPORT uint32_t nvio_qpair_in_flight(const struct nvio_qpair *qp);       /* commands that are */

/*
 * Any I/O command (passthrough). The command is copied, cid and data pointer set by the library; `len` bytes at most nvio_ctrlr_max_transfer().
 * Neither LBA range nor buffer length are checked against the namespace. 0; -EINVAL; -ENODEV; -EIO.
 */
NVIO_EXPORT int nvio_qpair_io(struct nvio_qpair *qp, const struct nvio_sqe *cmd, void *buf, size_t len, struct nvio_op *op);

struct nvio_qpair_stats {
	uint64_t submitted, completed;   /* commands */
	uint64_t sq_doorbells, cq_doorbells;
	uint64_t queued;                 /* ops that had to wait for a slot */
	uint64_t split;                  /* ops that took more than one command */
	uint64_t bounced;                /* commands that went through a bounce buffer */
	uint64_t timeouts, aborts;
	uint64_t resent;                 /* commands sent anew after a reset */
	uint64_t bad_completions;        /* unknown or twice-used command identifiers */
};
NVIO_EXPORT void nvio_qpair_get_stats(const struct nvio_qpair *qp, struct nvio_qpair_stats *stats);

NVIO_END_DECLS

#endif
