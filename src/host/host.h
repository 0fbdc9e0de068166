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

#include <stdatomic.h>
#include <stdbool.h>

#include "base/env.h"
#include "base/list.h"
#include "base/op.h"
#include "base/platform.h"
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
#define HOST_MAX_SLOTS      4095u      /* a command identifier is 12 bits of slot and 4 of generation, and FFFFh is not to be used */
#define HOST_MAX_NS         4096u      /* active namespaces looked at per controller */
#define HOST_AER_COUNT      4          /* asynchronous event requests kept at the controller */
#define HOST_ABORT_COUNT    4          /* Abort commands at once */
#define HOST_MAX_RETRIES    2          /* how often one op is sent anew after a reset */
#define SLEEP_NAP_MS        1          /* where a device cannot be relied on to wake us */
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
#define HOST_IO_COPIED    (1u << 5) /* HOST_IO_RAW: data is a copy that the controller can reach; lba is the address of the user's buffer */

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
	uint16_t next_free;         /* SLOT_NONE: the last */
	uint8_t flags;
	uint64_t abort_deadline_ns; /* with SLOT_ABORTING: then the controller is reset */
};

_Static_assert(sizeof(struct slot) == 32, "two to a cache line");

#define SLOT_NONE 0xffff

/* qpair.gate */
#define GATE_CLOSED (1u << 0) /* not live, or others are waiting already: to the end of the pending list */

enum qpair_state {
	QPAIR_NEW,         /* memory is there; not at the controller yet */
	QPAIR_CREATING_CQ,
	QPAIR_CREATING_SQ,
	QPAIR_CREATED,     /* the controller has it; its thread has not noticed yet */
	QPAIR_LIVE,
	QPAIR_STALE,       /* the controller was disabled; its thread has still to take the commands back */
	QPAIR_DELETING_SQ,
	QPAIR_SQ_DELETED,  /* its thread takes the last completions before the completion queue goes, too */
	QPAIR_DELETING_CQ,
	QPAIR_DEAD,        /* will not come back: controller closed, failed or removed, or the queue refused */
};

/* An admin command of the library's own. */
struct admin_cmd {
	struct nvio_op op;
	struct nvio_ctrlr *c;
	bool busy;
	uint32_t timeout_ms;    /* 0: none */
	void (*done)(struct admin_cmd *cmd, int rc); /* under the lock */
	/* Abort: whose. */
	struct nvio_qpair *qp;
	uint16_t cid;
};

struct qpair_ops;

struct nvio_qpair {
	struct nvio_pollable pollable;
	const struct qpair_ops *ops;
	struct slot *slots;
	uint16_t free_slot;          /* the head of a list, last in first out; SLOT_NONE: all are taken */
	uint16_t gate;               /* not 0: a submit is not plain (GATE_...); read together with free_slot, see qpair_open() */
	uint16_t slot_mask;          /* the table is as long as the next power of two */
	uint16_t nslots;
	bool live;                   /* the controller has it and it may be used */
	bool immediate;
	uint8_t gate_count;          /* polls until the cycle counter is looked at although there is work */
	struct nvio_ctrlr *ctrlr;    /* NULL once the controller is closed */
	bool rare;                   /* the next poll has more to do than reaping: not live, or `ended` has something */
	atomic_bool attention;       /* any thread: the controller's side wants qpair_attend() */
	struct op_queue pending;     /* waiting for a slot, in order */
	struct op_queue ended;       /* io.error is how; delivered by the next poll */
	struct op_queue reaped;      /* NVIO_OP_REAP */
	struct nvio_op *alloc_op;    /* told when it is live, or will not be; NULL afterwards */
	uint64_t last_gate;          /* cycles */
	uint64_t next_scan_ns;       /* when deadlines want to be looked at */
	uint64_t due_ns;             /* the nearest of them, as of the last look; UINT64_MAX: none */
	_Atomic int sleep_fd;        /* -1: not made. Its own thread; others see that there is one */
	uint64_t dropped;            /* commands that a reset or a close took back: neither completed nor in flight */
	uint64_t unsuccessful;       /* of stats.completed */
	uint64_t succeeded_seen;     /* the rest of it when last looked at: something works again */
	uint32_t aborting;           /* slots with SLOT_ABORTING */
	uint16_t qid;
	uint16_t size;               /* entries of the submission queue */
	int dead_rc;                 /* not 0: it will not come back, and why: -ENODEV, -EIO, ... */
	struct nvio_qpair_stats stats;

	/* Under the controller's lock. */
	enum qpair_state state;
	struct list link;            /* ctrlr.qpairs */
	enum nvio_qpair_priority priority;
	int create_rc;               /* with QPAIR_DEAD: what the controller refused it with */
	struct nvio_cpl create_cpl;
	struct admin_cmd cmd;        /* create and delete commands */
	struct env_child orphan;     /* linked into the environment when it has outlived its controller */
	struct nvio_env *env;        /* immutable */
};

/* How the core reaches a transport's queue pair. */
struct qpair_ops {
	/* Hot: nvio_ns_read() and nvio_ns_write() themselves; what is not plain they hand to io_submit(). */
	int (*read)(struct nvio_ns *ns, struct nvio_qpair *qp, void *buf, uint64_t lba, uint32_t nblocks, struct nvio_op *op);
	int (*write)(struct nvio_ns *ns, struct nvio_qpair *qp, void *buf, uint64_t lba, uint32_t nblocks, struct nvio_op *op);
	/* Sends blocks [slot.first, + slot.count) of slot.op, or its only command. 0; -errno when its memory cannot be reached. */
	int (*send)(struct nvio_qpair *qp, struct slot *slot);
	/* Tells the controller of what was sent. */
	void (*kick)(struct nvio_qpair *qp);
	/* Takes up to max completions (0: all) through qpair_complete(); returns how many. */
	int (*reap)(struct nvio_qpair *qp, uint32_t max);
	/* Whether a completion waits to be reaped; *head is the entry where the next one will be. Only looks. */
	bool (*peek)(const struct nvio_qpair *qp, uint32_t *head);
	/* Empties the queues, for a controller that was reset. */
	void (*rewind)(struct nvio_qpair *qp);
	/* Fills in the command that creates its completion or submission queue. */
	void (*create_cmd)(struct nvio_qpair *qp, bool cq, struct nvio_sqe *cmd);
	/*
	 * How many bytes from p on, up to len, the controller can reach; 0: none, with words. NULL: any pointer is a buffer.
	 */
	size_t (*reach)(struct nvio_qpair *qp, const void *p, size_t len);
	/* Tells the controller of all completions that were taken: nobody polls for a while. */
	void (*caught_up)(struct nvio_qpair *qp);
	/* The page of a slot, for bounced data. */
	void *(*bounce_page)(struct nvio_qpair *qp, const struct slot *slot);
	/* Frees what the controller could reach; it cannot any more. */
	void (*release)(struct nvio_qpair *qp);
	/* Frees the rest. */
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
	CTRLR_FAILING,       /* given up: CC.EN = 0, and memory is let go of only when CSTS.RDY = 0 */
	CTRLR_DISABLE,       /* CC.EN = 0, until CSTS.RDY = 0 */
	CTRLR_ENABLE,        /* admin queue registers, CC.EN = 1, until CSTS.RDY = 1 */
	CTRLR_IDENTIFY,      /* Identify Controller */
	CTRLR_SET_QUEUES,    /* Set Features: Number of Queues */
	CTRLR_SET_EVENTS,    /* Set Features: Asynchronous Event Configuration */
	CTRLR_SET_KEEP_ALIVE,
	CTRLR_CHANGED_NS,    /* Changed Namespace List log page: read, so that the controller tells of the next change */
	CTRLR_LIST_NS,       /* Active Namespace ID list, 1,024 at a time */
	CTRLR_IDENTIFY_NS,   /* each of them */
	CTRLR_READY,
	CTRLR_SHUTDOWN,      /* CC.SHN = normal, until CSTS.SHST = complete */
	CTRLR_CLOSED,
	CTRLR_FAILED,        /* given up and stopped; `failure` says why */
	CTRLR_REMOVED,       /* reads as all-ones */
	CTRLR_STATES
};

enum ctrlr_event {
	CTRLR_ENTER,  /* the state was just entered */
	CTRLR_REPLY,  /* the command sent by this state has completed: ctrlr.state_op */
	CTRLR_POLL,   /* time has passed */
};

/*
 * How a transport lets its user sleep until a queue has completions (qid 0: the admin queue, and changes of CSTS as far as it can
 * tell). The descriptors are the transport's business, as are interrupts; the core only decides whether there is something to do.
 */
struct sleep_ops {
	/* The descriptor, made at the first call; -errno with words. Closed by close(), and by ctrlr_ops.close. */
	int (*open)(struct nvio_ctrlr *c, uint16_t qid);
	void (*close)(struct nvio_ctrlr *c, uint16_t qid);
	/* It is not readable any more by what is over. */
	void (*begin)(struct nvio_ctrlr *c, uint16_t qid);
	/* From here on a completion at `head` makes it readable. How long to sleep at most for its sake, in ms; -1: no limit. */
	int (*arm)(struct nvio_ctrlr *c, uint16_t qid, uint32_t head);
	/* A device that the host moves along: 0 and how long it needs not be (-1: no limit); 1: it has something to do; -errno. */
	int (*rest)(struct nvio_ctrlr *c, uint16_t qid, int *timeout_ms);
	/* Makes it readable. Any thread, while it is open. */
	void (*end)(struct nvio_ctrlr *c, uint16_t qid);
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
	/* Writes AQA, ASQ and ACQ. The controller is disabled. */
	void (*admin_setup)(struct nvio_ctrlr *c);
	/* From here on it does no DMA, whatever it does: it did not stop, or is gone from the bus. NULL: there is no such means. */
	void (*cut_off)(struct nvio_ctrlr *c);
	/* NULL: it must be polled. */
	const struct sleep_ops *sleep;
};

struct nvio_ctrlr {
	struct nvio_pollable pollable;
	const struct ctrlr_ops *ops;
	void *transport;                /* the transport's own */
	struct nvio_env *env;
	struct env_child child;
	struct lock lock;               /* everything below that is not immutable */
	struct nvio_trid trid;          /* immutable */
	struct nvio_ctrlr_opts opts;    /* immutable */
	void (*on_closed)(struct nvio_ctrlr *c, void *arg); /* immutable; after close, by whoever connected */
	void *on_closed_arg;

	_Atomic(enum ctrlr_state) state; /* written under the lock, read by anyone */
	uint64_t state_since_ns, state_deadline_ns; /* deadline UINT64_MAX: none */
	char failure[448];              /* of FAILED and REMOVED, and of a connect that did not succeed */
	int failure_rc;
	atomic_bool up;                 /* set up and in use, though it may be looking at its namespaces anew; written under the lock */
	atomic_uint resets;             /* all of them; written under the lock */
	atomic_uint resets_in_row;      /* an I/O that succeeds sets it to 0 (any queue's thread) */
	_Atomic uint64_t next_service_ns; /* a hint, for any thread */
	bool closing;

	uint64_t cap;
	uint32_t vs, cc;
	uint32_t dstrd;
	uint32_t max_transfer;
	uint32_t max_queues;            /* granted */
	struct nvio_id_ctrlr id;
	void *dma;                      /* one page for Identify */

	struct nvio_qpair *admin;
	struct op_queue ended;          /* users' ops that are done; delivered outside the lock */
	struct admin_cmd state_cmd, keep_alive, aborts[HOST_ABORT_COUNT], aers[HOST_AER_COUNT];
	uint32_t aborts_out;
	uint64_t next_keep_alive_ns;    /* UINT64_MAX: off */
	struct nvio_op *connect_op, *reset_op;
	nvio_ctrlr_event_fn event_fn;
	void *event_arg;
	uint32_t events[16];            /* dw0 of events not delivered yet */
	uint32_t event_count;
	bool ns_changed;                /* the namespaces must be read again */

	struct list qpairs;
	int sleep_fd;                   /* -1: not made */
	bool sleeps;                    /* somebody may sleep on it */

	struct nvio_ns **ns;            /* by nsid, ascending; handles stay until the controller's husk goes */
	uint32_t ns_count, ns_done;     /* ns_done: how many IDENTIFY_NS has dealt with */
	struct nvio_ns *ns_old;         /* handles whose namespace has another block size now */
	uint32_t ns_old_count;
	uint32_t list_from;
};

struct nvio_ns {
	struct nvio_ctrlr *ctrlr;       /* NULL: closed */
	uint64_t num_blocks;            /* 0: gone */
	uint32_t max_blocks;            /* per command that moves data; 0: gone */
	uint32_t nsid;
	uint64_t sqe_nsid;              /* nsid where a command's first 8 bytes have it */
	uint8_t shift;                  /* block size is 1 << shift; set once, since I/O in flight counts in it */
	bool active, read_only, seen;
	uint32_t block_size;
	struct nvio_id_ns *id;
	struct nvio_ns *next_old;       /* in ctrlr.ns_old */
};

static inline enum ctrlr_state ctrlr_state(const struct nvio_ctrlr *c)
{
	return atomic_load_explicit(&c->state, memory_order_acquire);
}

/* ctrlr.c */
int ctrlr_create(struct nvio_env *env, const struct nvio_trid *trid, const struct nvio_ctrlr_opts *opts,
	const struct ctrlr_ops *ops, struct nvio_op *connect_op, struct nvio_ctrlr **out);
int ctrlr_gone_rc(struct nvio_ctrlr *c);        /* why nothing can be submitted: 0, -ENODEV or -EIO with words. Any thread. */
int ctrlr_service(struct nvio_ctrlr *c);        /* from a queue pair's poll: moves the controller along if nobody else does just now */
static inline uint64_t ctrlr_now(const struct nvio_ctrlr *c) { return clock_now(&c->env->clock); }

/* state.c: all under the lock */
void ctrlr_set_state(struct nvio_ctrlr *c, enum ctrlr_state to);
void ctrlr_fail(struct nvio_ctrlr *c, int rc, const char *fmt, ...) NVIO_PRINTF(3, 4);
void ctrlr_removed(struct nvio_ctrlr *c);
void ctrlr_request_reset(struct nvio_ctrlr *c, const char *why); /* a sign of trouble: counted, until it is given up */
void ctrlr_begin_reset(struct nvio_ctrlr *c, enum nvio_log_level level, const char *why);
int ctrlr_advance(struct nvio_ctrlr *c);        /* registers, admin completions, the state, deadlines; returns work done */
const char *ctrlr_state_name(enum ctrlr_state s);
static inline bool ctrlr_state_ended(enum ctrlr_state s) { return s >= CTRLR_CLOSED; }

/* admin.c: all under the lock */
void admin_send(struct nvio_ctrlr *c, struct admin_cmd *cmd, const struct nvio_sqe *sqe, void *buf, uint32_t len,
	void (*done)(struct admin_cmd *cmd, int rc));
bool admin_abort(struct nvio_ctrlr *c, struct nvio_qpair *qp, struct slot *slot); /* whether it could be sent */
int admin_reap(struct nvio_ctrlr *c);
void admin_drop_all(struct nvio_ctrlr *c, int rc); /* the controller is disabled: everything at it ends with rc */
void admin_user_ended(struct nvio_ctrlr *c, struct nvio_op *op, int rc);
void admin_cmd_ended(struct nvio_ctrlr *c, struct nvio_op *op); /* a user's admin command; io.error is how */
int admin_deliver(struct nvio_ctrlr *c);           /* not under the lock: the users' callbacks */

/* event.c: all under the lock */
void events_arm(struct nvio_ctrlr *c);
void keep_alive_poll(struct nvio_ctrlr *c, uint64_t now);

/* ns.c: all under the lock but the getters of nvio/ns.h */
void ns_list_begin(struct nvio_ctrlr *c);
int ns_list_add(struct nvio_ctrlr *c, const uint8_t *page, uint32_t *last); /* 1: there may be more after *last */
struct nvio_ns *ns_to_identify(struct nvio_ctrlr *c);
int ns_update(struct nvio_ctrlr *c, uint32_t at, const struct nvio_id_ns *id); /* id NULL: the controller has it no more */
void ns_list_end(struct nvio_ctrlr *c);
void ns_all_gone(struct nvio_ctrlr *c);
void ns_free_all(struct nvio_ctrlr *c);

/* qpair.c */
int qpair_init(struct nvio_qpair *qp, struct nvio_ctrlr *c, uint16_t qid, uint32_t entries, uint32_t slots,
	const struct qpair_ops *ops);
void qpair_fini(struct nvio_qpair *qp);
void qpair_call(struct nvio_qpair *qp);         /* under the lock: it is to attend at its next poll */
void qpair_call_all(struct nvio_ctrlr *c);      /* under the lock: every queue pair is to attend at its next poll */
void qpair_stale_all(struct nvio_ctrlr *c);     /* under the lock: the controller is being disabled */
void qpair_delete_cq(struct nvio_qpair *qp);    /* under the lock: begins to */
void qpair_alloc_ended(struct nvio_qpair *qp, int rc); /* on its own thread */
void qpair_delete(struct nvio_qpair *qp);       /* at the controller; polls until it is done or cannot be */

/* sleep.c */
void sleep_wake_qpair(struct nvio_qpair *qp);   /* under the lock, any thread: its own thread is wanted, should it sleep */
void sleep_wake_ctrlr(struct nvio_ctrlr *c);    /* under the lock */
int sleep_qpair_op(struct nvio_pollable *p, int *fd, int *timeout_ms); /* pollable_ops.arm */
int sleep_ctrlr_op(struct nvio_pollable *p, int *fd, int *timeout_ms);

/* recover.c: deadlines, aborts, and the queue pair's part in a reset; on the queue pair's thread */
void qpair_scan(struct nvio_qpair *qp, uint64_t now);
void qpair_tick(struct nvio_qpair *qp);
void qpair_attend(struct nvio_qpair *qp);
void qpair_take_back(struct nvio_qpair *qp);    /* the controller is disabled: commands return to the pending list, or end */
void qpair_end_all(struct nvio_qpair *qp, int rc);
int qpair_cancel(struct nvio_pollable *p, struct nvio_op *op);

/* io.c: a read or write of any kind: refused, or described and put in line */
int io_submit(struct nvio_ns *ns, struct nvio_qpair *qp, uint8_t opcode, void *buf, uint64_t lba, uint32_t nblocks,
	struct nvio_op *op);
/* The same, with the arguments of those that leave it to them: so that this is a jump. */
int io_submit_read(struct nvio_ns *ns, struct nvio_qpair *qp, void *buf, uint64_t lba, uint32_t nblocks, struct nvio_op *op);
int io_submit_write(struct nvio_ns *ns, struct nvio_qpair *qp, void *buf, uint64_t lba, uint32_t nblocks, struct nvio_op *op);

/* piece.c: what is pending goes out, and comes back */
int qpair_gone_rc(const struct nvio_qpair *qp); /* why nothing can be submitted: 0, or with words */
int qpair_admit(struct nvio_qpair *qp, const void *data, uint32_t iovcnt, size_t len); /* the last look before the op is touched */
int qpair_check_reach(struct nvio_qpair *qp, const void *data, uint32_t iovcnt, size_t len); /* -EFAULT with words */
void qpair_submit_slow(struct nvio_qpair *qp, struct nvio_op *op);
void piece_release(struct nvio_qpair *qp, struct nvio_op *op); /* the counterpart of qpair_admit() */
void qpair_pump(struct nvio_qpair *qp);
int qpair_complete_slow(struct nvio_qpair *qp, struct slot *slot, struct nvio_op *op, uint64_t dw01, uint32_t sf);
void qpair_end_later(struct nvio_qpair *qp, struct nvio_op *op, int rc);
int qpair_deliver(struct nvio_qpair *qp);
bool piece_plan(struct nvio_qpair *qp, const struct host_io *io, struct slot *slot);
void piece_gather(struct nvio_qpair *qp, struct slot *slot, bool to_page);

#endif
