/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The controller, host side: connect, admin commands, reset, close. Nothing here blocks but the calls that say so, and
 * those only poll, so that host and target can share a thread.
 *
 * Threads: a controller may be used from several OS threads; each queue pair belongs to one. Callbacks of admin ops run
 * in nvio_ctrlr_poll() (or nvio_wait() on such an op) of the thread that submitted them: use one thread per controller for admin ops.
 * Polling any queue pair also keeps the controller alive: keep-alive, aborts and resets progress from there too.
 */
#ifndef NVIO_CTRLR_H
#define NVIO_CTRLR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nvio/compiler.h>
#include <nvio/op.h>
#include <nvio/spec/command.h>
#include <nvio/spec/identify.h>
#include <nvio/trid.h>

NVIO_BEGIN_DECLS

struct nvio_env;
struct nvio_ctrlr;
struct nvio_ns;

struct nvio_ctrlr_opts {
	size_t size;
	uint32_t num_io_queues;         /* asked of the controller, which may grant fewer; default 1024 */
	uint32_t io_queue_size;         /* default entries per I/O queue, 2 to 65536; default 256; cut to CAP.MQES + 1 */
	uint32_t io_queue_requests;     /* commands in flight per queue pair; default 512; cut to the queue size - 1. More ops than
	                                   that wait in line; submit never fails for want of a slot */
	uint32_t admin_queue_size;      /* 2 to 4096; default 32 */
	uint32_t keep_alive_timeout_ms; /* default 10000; 0: off. Not used on controllers that have no keep-alive (KAS 0) */
	uint32_t command_timeout_ms;    /* deadline of ops with timeout_us 0; default 30000; 0: none */
	uint32_t admin_timeout_ms;      /* the same for admin commands; default 60000; 0: none */
	uint32_t abort_timeout_ms;      /* how long an Abort may take before the controller is reset; default 1000; at least 1 */
	uint32_t max_resets;            /* resets in a row (without an I/O that succeeds between) before it is given up; default 3 */
	uint32_t state_timeout_ms;      /* deadline of each step of connecting and resetting that the controller itself does not bound;
	                                   default 5000 */
	const char *hostnqn;            /* fabrics; NULL: made from the machine id */
	bool bounce;                    /* where a drive reaches only memory that was allocated or registered (PCIe): copy I/O from and to any other
	                                   buffer, 4 KiB per command, in place of refusing it (-EFAULT) */
};

NVIO_EXPORT void nvio_ctrlr_opts_init(struct nvio_ctrlr_opts *opts);

/*
 * Connects and waits until the controller is ready. `trid` is text as nvio_trid_parse() takes it; for LOOP the address may also be a
 * drive's short form (see nvio_drive_open_str()): when no drive of that name is open, one is made, and closed with the controller.
 * `opts` may be NULL. 0; -EINVAL the text or an option; -ENODEV nothing there; -EBUSY in use; -ETIMEDOUT a step took too long; -EIO
 * the controller failed (CSTS.CFS) or refused; -EOPNOTSUPP transport not in this build; or the image's error.
 * On failure nvio_errmsg() has the step and the cause, and nothing is left behind.
 */
NVIO_EXPORT int nvio_connect(struct nvio_env *env, const char *trid, const struct nvio_ctrlr_opts *opts, struct nvio_ctrlr **ctrlr);
NVIO_EXPORT int nvio_connect_trid(struct nvio_env *env, const struct nvio_trid *trid, const struct nvio_ctrlr_opts *opts,
	struct nvio_ctrlr **ctrlr);

/*
 * Begins to connect. *ctrlr is valid at once and must be closed whatever happens; until `op` has completed with 0 only
 * nvio_ctrlr_poll() (which drives it), nvio_wait(op) and nvio_ctrlr_close() are allowed on it. Errors as above, at once or by op.
 */
NVIO_EXPORT int nvio_connect_async(struct nvio_env *env, const char *trid, const struct nvio_ctrlr_opts *opts, struct nvio_op *op,
	struct nvio_ctrlr **ctrlr);

/*
 * Closes: completes what is in flight on its queue pairs (-ECANCELED), tells the controller (shutdown notification, NVMe Base 2.0 section
 * 3.6.1), frees. Polls until done, bounded by RTD3E or state_timeout_ms. Queue pairs still allocated answer -ENODEV from then on and are
 * freed by nvio_qpair_free() or with the environment; namespace handles answer -ENODEV until the environment closes. NULL is
 * allowed. Thread: no other thread uses the controller or its queue pairs meanwhile.
 */
NVIO_EXPORT void nvio_ctrlr_close(struct nvio_ctrlr *ctrlr);

/*
 * Processes admin completions and whatever else is due: connecting, keep-alive, events, aborts, resets. Returns the number of
 * admin completions and events handled, 0 when idle; -ENODEV removed; -EIO failed for good.
 */
NVIO_EXPORT int nvio_ctrlr_poll(struct nvio_ctrlr *ctrlr);

/*
 * The same as nvio_qpair_fd() and nvio_qpair_arm() (nvio/qpair.h), for what nvio_ctrlr_poll() does: connecting, admin commands, events,
 * keep-alive, resets. The descriptor is valid until the controller is closed. -ENODEV; -EIO; -EOPNOTSUPP; -EMFILE or -ENFILE; -EINVAL NULL.
 * Thread: one at a time.
 */
NVIO_EXPORT int nvio_ctrlr_fd(struct nvio_ctrlr *ctrlr);
NVIO_EXPORT int nvio_ctrlr_arm(struct nvio_ctrlr *ctrlr, int *timeout_ms);

/* The state in words: "ready", "enabling", ... For messages and logs. */
NVIO_EXPORT const char *nvio_ctrlr_state(const struct nvio_ctrlr *ctrlr);
NVIO_EXPORT bool nvio_ctrlr_is_ready(const struct nvio_ctrlr *ctrlr);

/* Why it is failed or removed, "" otherwise. */
NVIO_EXPORT const char *nvio_ctrlr_failure(const struct nvio_ctrlr *ctrlr);

NVIO_EXPORT const struct nvio_trid *nvio_ctrlr_trid(const struct nvio_ctrlr *ctrlr);
NVIO_EXPORT struct nvio_env *nvio_ctrlr_env(const struct nvio_ctrlr *ctrlr);
NVIO_EXPORT const struct nvio_id_ctrlr *nvio_ctrlr_id(const struct nvio_ctrlr *ctrlr); /* Identify Controller data, as of the last connect or reset */
NVIO_EXPORT uint64_t nvio_ctrlr_cap(const struct nvio_ctrlr *ctrlr);                /* register CAP */
NVIO_EXPORT uint32_t nvio_ctrlr_version(const struct nvio_ctrlr *ctrlr);            /* register VS */
NVIO_EXPORT uint32_t nvio_ctrlr_max_queues(const struct nvio_ctrlr *ctrlr);         /* I/O queue pairs granted */
NVIO_EXPORT uint32_t nvio_ctrlr_max_transfer(const struct nvio_ctrlr *ctrlr);       /* bytes per command; larger I/O is split */
NVIO_EXPORT uint32_t nvio_ctrlr_reset_count(const struct nvio_ctrlr *ctrlr);

/*
 * Namespaces. nvio_ctrlr_num_ns(): NN, the highest id there can be. nvio_ctrlr_ns(): NULL when the id is 0, out of range or inactive
 * (nvio_errmsg() says which). nvio_ctrlr_next_ns(): the first active id above `nsid` (0 to begin), 0 at the end.
 */
NVIO_EXPORT uint32_t nvio_ctrlr_num_ns(const struct nvio_ctrlr *ctrlr);
NVIO_EXPORT struct nvio_ns *nvio_ctrlr_ns(struct nvio_ctrlr *ctrlr, uint32_t nsid);
NVIO_EXPORT uint32_t nvio_ctrlr_next_ns(const struct nvio_ctrlr *ctrlr, uint32_t nsid);

/*
 * Admin commands. The command is copied (its cid and data pointer are set by the library); the buffer stays the caller's until the
 * op completes, any address and alignment, at most nvio_ctrlr_max_transfer() bytes. 0: submitted; -EINVAL; -ENODEV; -EIO. op.cpl has the answer.
 * nvio_ctrlr_admin() takes any opcode but those that manage queues, and asynchronous event requests, which are the library's (-EINVAL).
 */
NVIO_EXPORT int nvio_ctrlr_admin(struct nvio_ctrlr *ctrlr, const struct nvio_sqe *cmd, void *buf, size_t len, struct nvio_op *op);
NVIO_EXPORT int nvio_ctrlr_identify(struct nvio_ctrlr *ctrlr, uint8_t cns, uint32_t nsid, void *buf4096, struct nvio_op *op);
NVIO_EXPORT int nvio_ctrlr_get_log(struct nvio_ctrlr *ctrlr, uint8_t lid, uint32_t nsid, uint64_t offset, void *buf, uint32_t len,
	struct nvio_op *op); /* len a multiple of 4 */
NVIO_EXPORT int nvio_ctrlr_get_feature(struct nvio_ctrlr *ctrlr, uint8_t fid, uint8_t sel, uint32_t nsid, uint32_t cdw11, void *buf,
	uint32_t len, struct nvio_op *op); /* value in op.cpl.dw0 */
NVIO_EXPORT int nvio_ctrlr_set_feature(struct nvio_ctrlr *ctrlr, uint8_t fid, bool save, uint32_t nsid, uint32_t cdw11, void *buf,
	uint32_t len, struct nvio_op *op);

/*
 * Resets the controller (CC.EN 1 -> 0 -> 1) and brings its queue pairs back; I/O in flight is sent anew afterwards. `op` completes when it
 * is ready again, or failed. 0; -ENODEV; -EALREADY a reset is under way.
 */
NVIO_EXPORT int nvio_ctrlr_reset(struct nvio_ctrlr *ctrlr, struct nvio_op *op);

/* Asynchronous events (NVMe Base 2.0 section 5.2): dw0 as the controller gave it; runs in nvio_ctrlr_poll(). The library itself re-reads the
 * namespaces when a namespace attribute notice says so. NULL: nobody. */
typedef void (*nvio_ctrlr_event_fn)(struct nvio_ctrlr *ctrlr, uint32_t dw0, void *arg);
NVIO_EXPORT void nvio_ctrlr_set_event_fn(struct nvio_ctrlr *ctrlr, nvio_ctrlr_event_fn fn, void *arg);

NVIO_END_DECLS

#endif
