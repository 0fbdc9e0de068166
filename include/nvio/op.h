/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The operation: one caller-owned object describes everything that takes time, whichever layer does it, and
 * serves callbacks, batch reaping, blocking calls and coroutines alike.
 *
 * The contract, sentence by sentence (tests/unit/base/op.c and tests/unit/host/op.c hold each):
 *  - Submitting returns 0, or -errno and the op is untouched.
 *  - `done` runs exactly once iff submit returned 0, on the submitting thread, and never before submit returned.
 *  - `status` is -EINPROGRESS in flight, then 0 or -errno. `cpl` is the NVMe completion where a controller answered.
 *  - The op's memory belongs to the library from submit until `done` is called (or, without `done`, until status is
 *    no longer -EINPROGRESS). Inside `done` it is the caller's again: it may be freed or submitted anew.
 *  - nvio_cancel() only asks; the completion still arrives exactly once.
 *  - Each op carries its own deadline.
 */
#ifndef NVIO_OP_H
#define NVIO_OP_H

#include <stddef.h>
#include <stdint.h>

#include <nvio/compiler.h>
#include <nvio/libc.h>

NVIO_BEGIN_DECLS

struct nvio_op;
struct nvio_pollable;

typedef void (*nvio_op_fn)(struct nvio_op *op);

/*
 * What the controller answered (NVMe Base 2.0 section 3.3.3.2), in host byte order. `sf` is the status field without the
 * phase tag: SC 7:0, SCT 10:8, CRD 12:11, M 13, DNR 14.
 */
struct nvio_cpl {
	uint32_t dw0;      /* command specific result */
	uint32_t dw1;
	uint16_t sf;
	uint8_t answered;  /* 1: a controller answered; 0: the op ended without it, see op.status */
	uint8_t reserved;
};

/* Values of op.flags; a flag that an operation has no use for is refused with -EINVAL. */
#define NVIO_OP_FUA          (1u << 0) /* Force Unit Access: the data is on the medium when the write completes */
#define NVIO_OP_LIMITED_RETRY (1u << 1) /* the controller need not try hard */
#define NVIO_OP_REAP         (1u << 2) /* no callback: the op is handed out by nvio_qpair_reap(); needs done == NULL.
                                          nvio_wait() on it takes it out, too. Until then it must live, and cannot be submitted anew */

struct nvio_op {
	/*
	 * The caller's; the library reads them from submit on and leaves them as they are. Only while a coroutine or a group waits for
	 * the op does it borrow `done` and `arg`; it puts them back before it calls `done`.
	 */
	nvio_op_fn done;     /* may be NULL */
	void *arg;           /* for the caller's own use */
	uint64_t timeout_us; /* 0: the queue's default; UINT64_MAX: never */
	uint32_t flags;

	/* Results. */
	int status;          /* -EINPROGRESS in flight, then 0 or -errno */
	struct nvio_cpl cpl;

	/* The library's. */
	uint32_t state;
	struct nvio_pollable *owner;
	struct nvio_op *next, **pprev;
	uint64_t priv[23];
};

nvio_static_assert(sizeof(struct nvio_op) == 256, "four cache lines, of which the plain I/O of any layer touches three; part of the ABI");

/* Initialiser. `struct nvio_op op = NVIO_OP(on_read);` or, later, `op = (struct nvio_op)NVIO_OP(on_read);` */
#define NVIO_OP(fn) { .done = (fn) }

static inline unsigned nvio_cpl_sc(const struct nvio_cpl *c) { return c->sf & 0xff; }
static inline unsigned nvio_cpl_sct(const struct nvio_cpl *c) { return (c->sf >> 8) & 7; }
static inline unsigned nvio_cpl_crd(const struct nvio_cpl *c) { return (c->sf >> 11) & 3; }
static inline int nvio_cpl_more(const struct nvio_cpl *c) { return (c->sf >> 13) & 1; }
static inline int nvio_cpl_dnr(const struct nvio_cpl *c) { return (c->sf >> 14) & 1; }

/* Whether the op is in flight: submitted and not yet completed. Any thread that may touch the op. */
static inline int nvio_op_pending(const struct nvio_op *op)
{
	return op->status == -EINPROGRESS;
}

/*
 * Waits until the op is complete and returns its status. Outside a coroutine it polls what the op is waiting on (its
 * queue pair, or the nvio_thread it was submitted on), so other callbacks of that queue run meanwhile, and sleeps where that has
 * found nothing for a while (a queue pair, a controller). Inside a coroutine it suspends the coroutine, and when that is
 * cancelled (nvio/co.h) the op is, by nvio_cancel(). On an op that is not in flight it returns op->status at once.
 * Thread: the submitting one. May be called from a `done` callback, except for the op that is being completed.
 */
NVIO_EXPORT int nvio_wait(struct nvio_op *op);

/*
 * The submit's own error if it failed, else nvio_wait(op):
 *     rc = nvio_await(nvio_ns_read(ns, qp, buf, 0, 1, &op), &op);
 */
static inline int nvio_await(int submitted, struct nvio_op *op)
{
	return submitted ? submitted : nvio_wait(op);
}

/*
 * Asks for the op to end early. 0: asked, and the op will complete exactly once, with -ECANCELED if the request
 * came in time. -EALREADY: the op is not in flight. -EOPNOTSUPP: its owner cannot cancel (it will complete all the
 * same). An op still waiting for a free queue slot ends without reaching the controller; one that has reached it is
 * aborted (NVMe Base 2.0 section 5.1) and stays the library's until the controller answers. `done` never runs inside
 * this call. Thread: the submitting one.
 */
NVIO_EXPORT int nvio_cancel(struct nvio_op *op);

/*
 * How the op ended, in words: "success", the NVMe status (with SCT and SC) where a controller answered, or the errno.
 * For an op that was never in flight because its submit failed, the calling thread's last failure as nvio_errmsg() tells it; an
 * op that was in flight before still tells how that ended, since a failed submit leaves it untouched: ask nvio_errmsg() then.
 * Never NULL; the text is valid until the calling thread's next call of this function.
 */
NVIO_EXPORT const char *nvio_op_strerror(const struct nvio_op *op);

NVIO_END_DECLS

#endif
