/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The target's core: subsystem, controller and request. Commands are executed here without knowing how they arrived: a
 * front end (memory queues today) fills in a request, says where its data lies when asked, and takes the answer away.
 *
 * Threads: a controller with all its requests belongs to one nvio_thread. What others may touch is marked.
 */
#ifndef TARGET_TARGET_H
#define TARGET_TARGET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/compiler.h"
#include "base/env.h"
#include "base/list.h"
#include "target/aer.h"
#include "target/errlog.h"
#include "target/feature.h"
#include <nvio/bdev.h>
#include <nvio/op.h>
#include <nvio/spec/command.h>
#include <nvio/spec/status.h>
#include <nvio/thread.h>

#define TGT_PAGE          4096u /* CC.MPS 0 is the only page size offered */
#define TGT_CNTLID        1u
#define TGT_BOUNCE_BYTES  (128u << 10) /* Compare reads the medium in pieces of this */
#define TGT_ACL           3u    /* Abort commands at once, 0's based */
#define TGT_KAS           1u    /* keep alive granularity in 100 ms */
#define TGT_NO_LIMIT      UINT32_MAX
#define TGT_MAX_TRANSFER  (256u << 20) /* 65536 blocks of 4096: what one command can ask for at most */
#define TGT_VS            nvio_vs(2, 0, 0)

struct tgt_ctrlr;
struct tgt_req;

/* A namespace of a subsystem; immutable. */
struct tgt_ns {
	char *bdev;        /* name; owned */
	bool read_only;
};

struct tgt_subsystem {
	char serial[21];
	char model[41];
	char firmware[9];
	char nqn[224];
	bool volatile_cache; /* reported even if no namespace has one */
	struct tgt_ns *ns; /* nsid is the index + 1; owned */
	uint32_t num_ns;
};

/* A namespace as one controller has it open. */
enum tgt_attach_flags {
	TGT_READ_ONLY     = 1 << 0,
	TGT_CACHED        = 1 << 1, /* writes are durable only after flush or with FUA */
	TGT_UNMAP_ZEROES  = 1 << 2, /* deallocated blocks read as zeros */
	TGT_REMOVED       = 1 << 3, /* the bdev is going: no new I/O */
};

struct tgt_attach {
	struct nvio_bdev_desc *desc; /* NULL: not there (any more) */
	struct nvio_channel *ch;
	uint64_t num_blocks;  /* 0 when it is not there, so that the range check alone keeps I/O away */
	uint32_t inflight;    /* ops with the bdev */
	uint8_t shift;        /* log2 of the block size */
	uint8_t flags;
	uint16_t error_recovery; /* the feature, per namespace */
	uint32_t nsid;
	struct tgt_ctrlr *ctrlr;
};

/*
 * How a front end carries requests. None of these is called but from the controller's thread.
 *
 * map: the data of the request, `len` bytes, into req->iov and req->iovcnt; to_host tells the direction. 0, a status, or
 * TGT_MAP_WAIT: no room now, the front end will execute the request again from the start.
 */
#define TGT_MAP_WAIT 0xffff
struct tgt_front_ops {
	uint16_t (*map)(struct tgt_req *req, uint32_t len, bool to_host);
	void (*complete)(struct tgt_req *req);             /* req->sf and dw0 are the answer; the request is the front end's again */
	bool (*admin)(struct tgt_req *req);                /* a command of the front end's own? Then it is taken */
	bool (*abort)(struct tgt_ctrlr *c, uint16_t sqid, uint16_t cid); /* aborted: it has been completed */
	void (*fatal)(struct tgt_ctrlr *c);                /* show CSTS.CFS and stop */
};

/* tgt_req.rare */
#define TGT_RARE_BOUNCE (1u << 0)
#define TGT_RARE_CHUNK  (1u << 1) /* the front end's, as is the next */
#define TGT_RARE_ABORT  (1u << 2) /* counts as an Abort command outstanding */

/* One command, from fetch to completion. The first line is what the fast path reads. */
struct tgt_req {
	struct nvio_sqe sqe;       /* a copy: the host may reuse its entry once we report the head beyond it */
	struct tgt_ctrlr *ctrlr;   /* immutable */
	struct tgt_attach *at;     /* while an op is with the bdev */
	struct iovec *iov;
	int iovcnt;
	uint32_t len;
	uint32_t dw0, dw1;
	uint16_t sf;
	uint16_t sqid;             /* immutable */
	uint8_t fault;             /* what the fault plan has in mind with it: enum nvio_fault_kind + 1 */
	uint8_t state;             /* the front end's */
	uint8_t rare;              /* TGT_RARE_*: the request has something to give back */
	uint16_t step;             /* of commands that take several ops */
	struct iovec iov_small[2];
	uint64_t offset;           /* bytes done, of such commands */
	void *bounce;              /* of a corrupted write: heap; else NULL */
	struct nvio_op op CACHE_ALIGNED;
	struct list link;          /* where it waits */
};

struct tgt_ctrlr_opts {
	uint32_t max_transfer; /* bytes, or TGT_NO_LIMIT */
	uint32_t max_queues;   /* I/O queue pairs */
};

struct tgt_counters { /* written by the controller's thread; others may read */
	uint64_t reads, writes;
	uint64_t bytes_read, bytes_written;
};

struct tgt_ctrlr {
	struct tgt_attach *ns;  /* num_ns; owned */
	uint32_t num_ns;
	uint32_t max_transfer;  /* immutable */
	bool write_through;     /* the volatile cache was switched off: every write is FUA */
	const struct tgt_front_ops *front;
	void *front_ctx;        /* the front end's */
	struct tgt_counters counters;

	/* Cold. */
	struct nvio_env *env;
	struct nvio_thread *thread;
	const struct tgt_subsystem *subsys;
	uint32_t max_queues;    /* immutable */
	uint32_t io_queues;     /* SQs and CQs that exist; kept by the front end */
	uint32_t aborts;        /* Abort commands outstanding */
	struct tgt_features features;
	struct tgt_aer aer;
	struct tgt_errlog errlog;
	uint32_t changed_ns[TGT_CHANGED_MAX]; /* for the Changed Namespace List */
	uint32_t num_changed;
	struct nvio_timer keep_alive;
	uint64_t born_ns;       /* power-on hours count from here */
	uint8_t *bounce;        /* TGT_BOUNCE_BYTES; owned */
	struct tgt_req *bounce_user;
	struct list bounce_wait;
};

/* ---- subsystem.c ---- */
void tgt_subsystem_fini(struct tgt_subsystem *s);

/* ---- ctrlr.c ---- */
/* 0; -ENOMEM, or the bdevs' errors; nothing is left behind then. `thread` must be current. */
int tgt_ctrlr_init(struct tgt_ctrlr *c, struct nvio_env *env, struct nvio_thread *thread,
	const struct tgt_subsystem *subsys, const struct tgt_ctrlr_opts *opts);
/* No request may be outstanding; the thread must be current. */
void tgt_ctrlr_fini(struct tgt_ctrlr *c);
/* A controller level reset, after the front end has taken all requests back. */
void tgt_ctrlr_reset(struct tgt_ctrlr *c);
/* Starts or stops the keep alive timer as the feature says; a Keep Alive command starts it anew. */
void tgt_ctrlr_keep_alive(struct tgt_ctrlr *c);
bool tgt_ctrlr_has_cache(const struct tgt_ctrlr *c);
/* Ops with bdevs. */
uint32_t tgt_ctrlr_inflight(const struct tgt_ctrlr *c);

/* The namespace, or NULL when the id is not that of an active one. */
static inline struct tgt_attach *tgt_ctrlr_ns(struct tgt_ctrlr *c, uint32_t nsid)
{
	/* 0 becomes the largest number, so one comparison refuses both ends. */
	if (unlikely(nsid - 1 >= c->num_ns))
		return NULL;
	return c->ns[nsid - 1].desc ? &c->ns[nsid - 1] : NULL;
}

/* ---- execution: each ends in tgt_req_done(), now or later ---- */
void tgt_exec_admin(struct tgt_req *req);   /* admin.c */
void tgt_exec_io(struct tgt_req *req);      /* nvm.c */
void tgt_exec_identify(struct tgt_req *req);
void tgt_exec_get_log(struct tgt_req *req);
void tgt_exec_get_features(struct tgt_req *req);
void tgt_exec_set_features(struct tgt_req *req);
void tgt_exec_aer(struct tgt_req *req);
void tgt_exec_compare(struct tgt_req *req, struct tgt_attach *at);
void tgt_exec_dsm(struct tgt_req *req, struct tgt_attach *at);
void tgt_exec_flush(struct tgt_req *req);

/* NVIO_EFFECTS_* of an opcode as the Commands Supported log tells them; 0: there is no such command. */
uint32_t tgt_admin_effects(uint8_t opc);    /* admin.c */
uint32_t tgt_io_effects(uint8_t opc);       /* nvm.c */

/* ---- request helpers ---- */
#define TGT_DNR(sct, sc) ((uint16_t)(NVIO_SF(sct, sc) | NVIO_SF_DNR))
#define TGT_INVALID_FIELD TGT_DNR(NVIO_SCT_GENERIC, NVIO_SC_INVALID_FIELD)
#define TGT_INVALID_NS    TGT_DNR(NVIO_SCT_GENERIC, NVIO_SC_INVALID_NS_OR_FORMAT)
#define TGT_INVALID_OPC   TGT_DNR(NVIO_SCT_GENERIC, NVIO_SC_INVALID_OPCODE)

static inline uint32_t tgt_dw(nvio_le32 x) { return nvio_get_le32(x); }

void tgt_req_failed(struct tgt_req *req) COLD; /* into the error log */

static ALWAYS_INLINE void tgt_req_done(struct tgt_req *req, uint16_t sf)
{
	req->sf = sf;
	if (unlikely(sf))
		tgt_req_failed(req);
	req->ctrlr->front->complete(req);
}

/* What a bdev's answer means; `write` tells which medium error it is. */
uint16_t tgt_status(int rc, bool write) COLD;

/*
 * Moves bytes between a plain buffer and the request's data from byte `offset` on, as far as that reaches. The data may
 * be shorter than the buffer (the rest is left out).
 */
void tgt_req_put(struct tgt_req *req, uint32_t offset, const void *buf, uint32_t len);
void tgt_req_get(struct tgt_req *req, uint32_t offset, void *buf, uint32_t len);
void tgt_req_zero(struct tgt_req *req, uint32_t offset);
int tgt_req_cmp(struct tgt_req *req, uint32_t offset, const void *buf, uint32_t len); /* 0: equal */

/* Maps `len` bytes of the request and hands the buffer over: the common end of Identify and the logs. */
void tgt_req_answer(struct tgt_req *req, const void *buf, uint32_t len);

/*
 * An op of the request with the bdev: prepares it, and after submitting counts it; tgt_op_ended() in the callback. When the submit failed,
 * nothing is counted.
 */
static inline void tgt_op_init(struct tgt_req *req, nvio_op_fn done, uint32_t flags)
{
	req->op.done = done;
	req->op.flags = flags;
}

static inline void tgt_op_began(struct tgt_req *req, struct tgt_attach *at)
{
	req->at = at;
	at->inflight++;
}

void tgt_attach_settle(struct tgt_attach *at) COLD; /* closes a removed namespace once its last op has ended */

static inline void tgt_op_ended(struct tgt_req *req)
{
	struct tgt_attach *at = req->at;

	if (unlikely(!--at->inflight && at->flags & TGT_REMOVED))
		tgt_attach_settle(at);
}

/* Plain increments of one writer that other OS threads may read. */
static inline void tgt_count(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

static inline uint64_t tgt_count_read(const uint64_t *counter) { return __atomic_load_n(counter, __ATOMIC_RELAXED); }

#endif
