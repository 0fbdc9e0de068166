/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The host core: controller, namespace and queue pair as all transports share them, and the two tables by which a
 * transport is reached. It uses no threads and no file descriptors: whoever calls moves it forward.
 *
 * Who owns what: a queue pair's fields belong to the one thread that submits and polls; where another may look, the field
 * says so. Everything of the controller, the admin queue included, is under the controller's lock, and the I/O path
 * never takes it.
 */
#ifndef HOST_HOST_H
#define HOST_HOST_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/env.h"
#include "base/list.h"
#include "base/op.h"
#include <nvio/ctrlr.h>
#include <nvio/ns.h>
#include <nvio/qpair.h>
#include <nvio/spec/admin.h>
#include <nvio/spec/command.h>
#include <nvio/spec/identify.h>
#include <nvio/spec/nvm.h>
#include <nvio/spec/regs.h>

#define HOST_PAGE           4096u      /* CC.MPS is 0: the memory page of PRPs */
#define HOST_MAX_TRANSFER   (2u << 20) /* bytes per command: what one PRP list page reaches, whatever the start's alignment */
#define HOST_MAX_SLOTS      4096u      /* a command identifier is 12 bits of slot and 4 of generation */
#define HOST_MAX_NS         4096u      /* active namespaces looked at per controller */
#define HOST_AER_COUNT      4          /* asynchronous event requests kept at the controller */
#define HOST_ABORT_COUNT    4          /* Abort commands at once */
#define HOST_MAX_RETRIES    2          /* how often one op is sent anew after a reset */
#define HOST_SERVICE_NS     (10 * NS_PER_MS) /* how often a ready controller is looked at beside its queues */

/* ---- the op, as the host uses its private part ---- */

enum host_io_kind {
	HOST_IO_RW,      /* data is the buffer, or the iovec array when iovcnt is not 0 */
	HOST_IO_NODATA,  /* flush, write zeroes */
	HOST_IO_RANGES,  /* data is the array of struct nvio_lba_range, iovcnt of them */
	HOST_IO_RAW,     /* sqe is the command, data a buffer of nblocks bytes */
};

/* host_io.flags */
#define HOST_IO_QUEUED    (1u << 0) /* in qp->pending */
#define HOST_IO_CANCELED  (1u << 1) /* nvio_cancel() asked */
#define HOST_IO_TIMED_OUT (1u << 2)
#define HOST_IO_INTERNAL  (1u << 3) /* an admin command of the library's own: `done` runs under the controller's lock */
#define HOST_IO_SPLIT     (1u << 4) /* takes, or may take, more than one command */

struct host_io {
	struct nvio_ns *ns;     /* NULL for HOST_IO_RAW */
	void *data;
	uint64_t lba;
	uint64_t deadline_ns;   /* 0: not looked at yet (the queue's default); UINT64_MAX: none */
	uint32_t nblocks;       /* HOST_IO_RAW: bytes of data */
	uint32_t iovcnt;
	uint32_t next_block;    /* blocks that have been put into commands; HOST_IO_RAW and such without blocks: 0 or 1 */
	uint16_t in_flight;     /* commands out for it */
	uint8_t kind;
	uint8_t opcode;
	int32_t error;          /* what it will end with */
	uint8_t flags;
	uint8_t retries;
	uint16_t control;       /* cdw12 bits 31:16 */
	struct nvio_sqe sqe;    /* HOST_IO_RAW */
};

_Static_assert(sizeof(struct host_io) <= sizeof(((struct nvio_op *)0)->priv), "fits the op's private part");

static inline struct host_io *op_io(struct nvio_op *op) { return (struct host_io *)(void *)op->priv; }
static inline struct nvio_op *io_op(struct host_io *io) { return container_of((uint64_t *)(void *)io, struct nvio_op, priv[0]); }

/* ---- the queue pair ---- */

/* slot.flags: 0 is the fast path, the op ends with this command */
#define SLOT_PART     (1u << 0) /* one of several commands of its op */
#define SLOT_BOUNCED  (1u << 1) /* the data goes through the slot's page */
#define SLOT_ABORTING (1u << 2) /* past its deadline, or cancelled: an Abort is out or wanted */
#define SLOT_ABORT_SENT (1u << 3)
#define SLOT_ADMIN    (1u << 4) /* on the admin queue */

/* One command in flight. 32 bytes, dense: the PRP pages stand elsewhere and are touched only beyond two pages. */
struct slot {
	struct nvio_op *op;         /* NULL: free */
	uint32_t first, count;      /* the blocks of the op that it moves; meaningful with SLOT_PART or SLOT_BOUNCED */
	uint16_t cid;               /* the identifier of its present or next command: generation and slot number */
	uint8_t flags;
	uint64_t abort_deadline_ns; /* with SLOT_ABORTING: then the controller is reset */
};

_Static_assert(sizeof(struct slot) == 32, "two to a cache line");

enum qpair_state {
	QPAIR_NEW,         /* memory is there; not at the controller yet */
	QPAIR_CREATING_CQ,
	QPAIR_CREATING_SQ,
	QPAIR_CREATED,     /* the controller has it; its thread has not noticed yet */
	QPAIR_LIVE,
	QPAIR_STALE,       /* the controller was disabled; its thread has still to take the commands back */
	QPAIR_DELETING_SQ,
	QPAIR_DELETING_CQ,
	QPAIR_DEAD,        /* will not come back: controller closed, failed or removed, or the queue refused */
};

struct qpair_ops;

struct nvio_qpair {
	struct nvio_pollable pollable;
	const struct qpair_ops *ops;
	struct slot *slots;
	uint16_t *free_slots;        /* a stack */
	uint16_t nfree;
	uint16_t nslots;
	bool closed_gate;            /* submits go to the pending list: not live, or others are waiting already */
	bool immediate;
	uint8_t gate_count;          /* polls until the cycle counter is looked at although there is work */
	atomic_bool attention;       /* any thread: the controller's side wants qpair_attend() */
	struct nvio_ctrlr *ctrlr;    /* NULL once the controller is closed */
	struct op_queue pending;     /* waiting for a slot, in order */
	struct op_queue ended;       /* io.error is how; delivered by the next poll */
	struct op_queue reaped;      /* NVIO_OP_REAP */
	uint64_t last_gate;          /* cycles */
	uint64_t next_scan_ns;       /* when deadlines want to be looked at */
	uint32_t aborting;           /* slots with SLOT_ABORTING */
	uint16_t qid;
	uint16_t size;               /* entries of the submission queue */
	int dead_rc;                 /* with QPAIR_DEAD: why, -ENODEV, -EIO, ... */
	struct nvio_qpair_stats stats;

	/* Under the controller's lock. */
	enum qpair_state state;
	struct list link;            /* ctrlr.qpairs */
	enum nvio_qpair_priority priority;
	struct nvio_op admin_op;     /* create and delete commands */
	struct env_child orphan;     /* linked into the environment when it has outlived its controller */
	struct nvio_env *env;        /* immutable */
};

/* How the core reaches a transport's queue pair. */
struct qpair_ops {
	/* Hot: one read or write of a plain buffer, dword aligned, within one command; a slot is free. */
	void (*send_rw)(struct nvio_qpair *qp, struct nvio_op *op);
	/* Sends blocks [slot.first, + slot.count) of slot.op, or its only command. 0; -errno when its memory cannot be reached. */
	int (*send)(struct nvio_qpair *qp, struct slot *slot);
	/* Tells the controller of what was sent. */
	void (*kick)(struct nvio_qpair *qp);
	/* Takes up to max completions (0: all) through qpair_complete(); returns how many. */
	int (*reap)(struct nvio_qpair *qp, uint32_t max);
	/* Empties the queues, for a controller that was reset. */
	void (*rewind)(struct nvio_qpair *qp);
	/* Fills in the command that creates its completion or submission queue. */
	void (*create_cmd)(struct nvio_qpair *qp, bool cq, struct nvio_sqe *cmd);
	/* The page of a slot, for bounced data. */
	void *(*bounce_page)(struct nvio_qpair *qp, const struct slot *slot);
	void (*destroy)(struct nvio_qpair *qp);
};

/* ---- the controller ---- */

/*
 * The life of a controller. Each state has one handler; states that wait for a register or a command simply are not left
 * until it is there, so there are no twins for waiting.
 */
enum ctrlr_state {
	CTRLR_NEW,           /* made; nothing has been sent */
	CTRLR_PROBE,         /* registers are read: who is there, what was left behind */
	CTRLR_SETTLE,        /* found enabled but not ready: it must become ready before it may be disabled */
	CTRLR_DISABLE,       /* CC.EN = 0, until CSTS.RDY = 0 */
	CTRLR_ENABLE,        /* admin queue registers, CC.EN = 1, until CSTS.RDY = 1 */
	CTRLR_IDENTIFY,      /* Identify Controller */
	CTRLR_SET_QUEUES,    /* Set Features: Number of Queues */
	CTRLR_SET_EVENTS,    /* Set Features: Asynchronous Event Configuration */
	CTRLR_SET_KEEP_ALIVE,
	CTRLR_LIST_NS,       /* Active Namespace ID list, 1,024 at a time */
	CTRLR_IDENTIFY_NS,   /* each of them */
	CTRLR_READY,
	CTRLR_SHUTDOWN,      /* CC.SHN = normal, until CSTS.SHST = complete */
	CTRLR_CLOSED,
	CTRLR_FAILED,        /* given up; `failure` says why */
	CTRLR_REMOVED,       /* reads as all-ones */
	CTRLR_STATES
};

enum ctrlr_event {
	CTRLR_ENTER,  /* the state was just entered */
	CTRLR_REPLY,  /* the command sent by this state has completed: ctrlr.state_op */
	CTRLR_POLL,   /* time has passed */
};

struct ctrlr_ops {
	const char *name;   /* "loop" */
	/* Takes the device. 0 or -errno with words. */
	int (*open)(struct nvio_ctrlr *c);
	/* Gives it back; afterwards it does no more DMA. */
	void (*close)(struct nvio_ctrlr *c);
	uint64_t (*reg_read)(struct nvio_ctrlr *c, uint32_t offset, uint32_t width);
	void (*reg_write)(struct nvio_ctrlr *c, uint32_t offset, uint32_t width, uint64_t value);
	/* Moves a device along that has no thread of its own; NULL when there is none. */
	int (*kick)(struct nvio_ctrlr *c);
	/* Makes the memory of a queue pair. qid 0 is the admin queue. */
	int (*qpair_create)(struct nvio_ctrlr *c, uint16_t qid, uint32_t entries, uint32_t slots, struct nvio_qpair **qp);
	/* Writes AQA, ASQ and ACQ. */
	void (*admin_setup)(struct nvio_ctrlr *c);
};

struct admin_cmd {
	struct nvio_op op;
	struct nvio_ctrlr *c;
	bool busy;
	/* Abort: whose. */
	struct nvio_qpair *qp;
	uint16_t cid;
};

struct nvio_ctrlr {
	struct nvio_pollable pollable;
	const struct ctrlr_ops *ops;
	void *transport;                /* the transport's own */
	struct nvio_env *env;
	struct env_child child;
	pthread_mutex_t lock;           /* everything below that is not immutable */
	struct nvio_trid trid;          /* immutable */
	struct nvio_ctrlr_opts opts;    /* immutable */
	void (*on_closed)(struct nvio_ctrlr *c, void *arg); /* immutable; after close, by whoever connected */
	void *on_closed_arg;

	_Atomic(enum ctrlr_state) state; /* written under the lock, read by anyone */
	uint64_t state_since_ns, state_deadline_ns; /* deadline UINT64_MAX: none */
	char failure[256];              /* of FAILED and REMOVED, and of a connect that did not succeed */
	int failure_rc;
	uint32_t resets;                /* all of them */
	atomic_uint resets_in_row;      /* an I/O that succeeds sets it to 0 (any queue's thread) */
	uint64_t next_service_ns;

	uint64_t cap;
	uint32_t vs, cc;
	uint32_t dstrd;
	uint32_t max_transfer;
	uint32_t max_queues;            /* granted */
	struct nvio_id_ctrlr id;
	void *dma;                      /* one page for Identify */

	struct nvio_qpair *admin;
	struct op_queue ended;          /* user's admin ops that are done; delivered outside the lock */
	struct admin_cmd state_cmd, keep_alive, aborts[HOST_ABORT_COUNT], aers[HOST_AER_COUNT];
	uint32_t aborts_out;
	uint64_t next_keep_alive_ns;    /* UINT64_MAX: off */
	struct nvio_op *connect_op, *reset_op;
	nvio_ctrlr_event_fn event_fn;
	void *event_arg;
	uint32_t events[16];            /* dw0 of events not delivered yet */
	uint32_t event_count;
	bool ns_changed;                /* the namespaces must be read again */
	bool rescan_only;               /* LIST_NS was entered from READY, not from a reset */

	struct list qpairs;

	struct nvio_ns **ns;            /* by nsid, ascending; handles stay until the controller's husk goes */
	uint32_t ns_count, ns_done;     /* ns_done: how many IDENTIFY_NS has dealt with */
	uint32_t list_from;
};

struct nvio_ns {
	struct nvio_ctrlr *ctrlr;       /* NULL: closed */
	uint64_t num_blocks;            /* 0: gone */
	uint32_t nsid;
	uint32_t max_blocks;            /* per command that moves data */
	uint8_t shift;                  /* block size is 1 << shift */
	bool active, read_only, seen;
	uint32_t block_size;
	struct nvio_id_ns *id;
};

static inline enum ctrlr_state ctrlr_state(const struct nvio_ctrlr *c)
{
	return atomic_load_explicit(&c->state, memory_order_acquire);
}

/* ctrlr.c */
int ctrlr_create(struct nvio_env *env, const struct nvio_trid *trid, const struct nvio_ctrlr_opts *opts,
	const struct ctrlr_ops *ops, struct nvio_op *connect_op, struct nvio_ctrlr **out);
int ctrlr_connect_wait(struct nvio_ctrlr *c, struct nvio_op *op);
int ctrlr_gone_rc(const struct nvio_ctrlr *c);  /* why nothing can be submitted: 0, -ENODEV or -EIO with words */
uint64_t ctrlr_now(const struct nvio_ctrlr *c);

/* state.c: all under the lock */
void ctrlr_set_state(struct nvio_ctrlr *c, enum ctrlr_state to);
void ctrlr_fail(struct nvio_ctrlr *c, int rc, const char *fmt, ...) NVIO_PRINTF(3, 4);
void ctrlr_removed(struct nvio_ctrlr *c);
void ctrlr_request_reset(struct nvio_ctrlr *c, const char *why);
int ctrlr_advance(struct nvio_ctrlr *c, uint64_t now); /* one step of service: registers, states, deadlines */
const char *ctrlr_state_name(enum ctrlr_state s);
int ctrlr_service(struct nvio_ctrlr *c);        /* takes the lock if it is free; returns work done */
void ctrlr_deliver(struct nvio_ctrlr *c);       /* runs user callbacks, outside the lock */

/* admin.c: all under the lock */
int admin_send(struct nvio_ctrlr *c, struct admin_cmd *cmd, const struct nvio_sqe *sqe, void *buf, uint32_t len,
	nvio_op_fn done, uint64_t timeout_ns);
void admin_op_submit(struct nvio_ctrlr *c, struct nvio_op *op, const struct nvio_sqe *sqe, void *buf, uint32_t len);
void admin_abort(struct nvio_ctrlr *c, struct nvio_qpair *qp, struct slot *slot);
void admin_drop_all(struct nvio_ctrlr *c, int rc); /* the controller is disabled: internal commands end with rc, user's wait or end */

/* event.c: all under the lock */
void events_arm(struct nvio_ctrlr *c);
void keep_alive_arm(struct nvio_ctrlr *c, uint64_t now);
void keep_alive_poll(struct nvio_ctrlr *c, uint64_t now);

/* ns.c: all under the lock but the getters */
int ns_list_add(struct nvio_ctrlr *c, const nvio_le32 *list, uint32_t n, uint32_t *last);
void ns_list_begin(struct nvio_ctrlr *c);
void ns_list_end(struct nvio_ctrlr *c);
int ns_update(struct nvio_ctrlr *c, struct nvio_ns *ns, const struct nvio_id_ns *id);
void ns_all_gone(struct nvio_ctrlr *c);
void ns_free_all(struct nvio_ctrlr *c);

/* qpair.c */
int qpair_init(struct nvio_qpair *qp, struct nvio_ctrlr *c, uint16_t qid, uint32_t entries, uint32_t slots,
	const struct qpair_ops *ops);
void qpair_fini(struct nvio_qpair *qp);
void qpair_call(struct nvio_ctrlr *c);          /* under the lock: all queue pairs are wanted at their next poll */
void qpair_orphan_all(struct nvio_ctrlr *c);

/* recover.c: deadlines, aborts, and the queue pair's part in a reset */
void qpair_scan(struct nvio_qpair *qp, uint64_t now);
void qpair_attend(struct nvio_qpair *qp);
void qpair_take_back(struct nvio_qpair *qp);    /* commands in flight return to the pending list, or end */
void qpair_end_all(struct nvio_qpair *qp, int rc);
int qpair_cancel(struct nvio_pollable *p, struct nvio_op *op);
void qpair_tick(struct nvio_qpair *qp, bool idle);

/* io.c and piece.c: what is pending goes out */
int qpair_submit_slow(struct nvio_qpair *qp, struct nvio_op *op);
void qpair_pump(struct nvio_qpair *qp);
void qpair_complete_slow(struct nvio_qpair *qp, struct slot *slot, struct nvio_op *op, uint64_t dw01, uint32_t sf);
void qpair_end_later(struct nvio_qpair *qp, struct nvio_op *op, int rc);
int qpair_deliver(struct nvio_qpair *qp);
bool piece_plan(const struct host_io *io, struct slot *slot);
void piece_gather(struct nvio_qpair *qp, struct slot *slot, bool to_page);

#endif
