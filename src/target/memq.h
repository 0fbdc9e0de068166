/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The memory-queue front end: registers, doorbells, rings and PRPs, as a PCI function has them. Where registers and
 * memory really are is behind two small tables, so that loop and vfio-user share all of this.
 *
 * Threads: everything belongs to the controller's nvio_thread but `attention`, `leaving`, the fault plan and the counters.
 */
#ifndef TARGET_MEMQ_H
#define TARGET_MEMQ_H

#include <stdatomic.h>

#include "target/fault.h"
#include "target/prp.h"
#include "target/target.h"

#define MEMQ_MAX_IO_QUEUES 128u
#define MEMQ_MAX_VECTORS   (MEMQ_MAX_IO_QUEUES + 1)
#define MEMQ_MAX_REQS      1024u /* of one submission queue at once; what is beyond stays in the ring */
#define MEMQ_BURST         256u  /* commands taken from one queue before the next has its turn */
#define MEMQ_PREFETCH      8u    /* entries ahead, in both rings */

struct memq;
struct memq_sq;

struct memq_reg_write {
	uint32_t offset;
	uint32_t width; /* 4 or 8 */
	uint64_t value;
};

/* Where the registers and doorbells are. */
struct memq_port_ops {
	bool (*reg_next)(void *ctx, struct memq_reg_write *w);  /* the host's next register write */
	void (*reg_publish)(void *ctx, uint32_t offset, uint32_t width, uint64_t value);
	uint32_t *(*doorbell)(void *ctx, uint32_t index);       /* 2 * qid, + 1 for the completion queue */
	void (*irq)(void *ctx, uint32_t vector);
	void (*present)(void *ctx, bool present);
	/*
	 * Hosts that sleep until a queue has completions; the first NULL: there are none such, and no look is taken. A word that is
	 * not 0 when one has armed since it was last cleared; what completion queue `qid` is waited at for (0: not; else 1 + the entry);
	 * and how to wake that one.
	 */
	uint32_t *(*armed_word)(void *ctx);
	uint32_t (*armed)(void *ctx, uint16_t qid);
	void (*wake)(void *ctx, uint16_t qid);
};

/* The life of the controller as the registers show it; memq_state.c has the moves that are allowed. */
enum memq_state {
	MEMQ_DISABLED, /* CC.EN and CSTS.RDY are 0 */
	MEMQ_READY,    /* CSTS.RDY is 1 and commands are fetched */
	MEMQ_FATAL,    /* CSTS.CFS is 1: nothing but a reset helps */
	MEMQ_STUCK,    /* the fault plan: an answer to CC.EN that never comes */
	MEMQ_DRAINING, /* a goal is set: no new commands, and I/O in flight comes to its end */
	MEMQ_FLUSHING, /* on the way to a shutdown: volatile caches are written */
	MEMQ_SHUT,     /* CSTS.SHST says complete, CC.EN is still 1 */
	MEMQ_GONE,     /* removed: registers read as all-ones */
	MEMQ_NUM_STATES,
};

/* What draining is for; several at once are possible. */
enum memq_goal {
	MEMQ_GOAL_DISABLE  = 1 << 0, /* CC.EN went to 0 */
	MEMQ_GOAL_SHUTDOWN = 1 << 1, /* CC.SHN asked for it */
	MEMQ_GOAL_RESET    = 1 << 2, /* the host left, or wrote NSSR: all registers as at the beginning */
	MEMQ_GOAL_NSSR     = 1 << 3, /* with it: CSTS.NSSRO tells */
	MEMQ_GOAL_GONE     = 1 << 4, /* removal */
	MEMQ_GOAL_LEFT     = 1 << 5, /* with RESET: the host has left, and waits for it */
};

/* What other OS threads ask for, in memq.attention. */
enum memq_attention {
	MEMQ_ATT_DETACHED = 1 << 0,
	MEMQ_ATT_REMOVE   = 1 << 1,
	MEMQ_ATT_INSERT   = 1 << 2,
};

enum memq_req_state {
	MEMQ_REQ_FREE = 0,
	MEMQ_REQ_ACTIVE,  /* being executed */
	MEMQ_REQ_DELAYED, /* the fault plan: its timer runs */
	MEMQ_REQ_IOV,     /* waits for a large iovec */
	MEMQ_REQ_HELD,    /* answered; its completion queue is full */
	MEMQ_REQ_DELETE,  /* Delete I/O Submission Queue that waits for the queue's last command */
};

struct memq_req {
	struct tgt_req r;
	struct memq_sq *sq;       /* immutable */
	struct memq_req *next;    /* in the free list */
	struct iovec *chunk;      /* a large iovec, from the pool */
	struct nvio_timer timer;
} CACHE_ALIGNED;

/* memq_cq.slow: why a completion cannot simply be written. */
#define MEMQ_CQ_HELD   (1u << 0) /* others wait for room already */
#define MEMQ_CQ_SILENT (1u << 1) /* the fault plan: nothing is written any more */
#define MEMQ_CQ_DEAD   (1u << 2) /* the controller stops: answers are dropped */
#define MEMQ_CQ_DOZE   (1u << 3) /* memq_poll() rests, and is wanted again when a request ends */
#define MEMQ_CQ_WAITED (1u << 4) /* a host sleeps until there is one */

struct memq_cq {
	struct nvio_cqe *ring;
	uint32_t *head_db;
	uint32_t head, tail, size;
	uint8_t phase;
	uint8_t slow;
	bool ien;
	uint16_t vector;
	uint16_t qid;
	uint16_t num_sqs;
	struct memq *m;
	struct list held;         /* struct memq_req, oldest first */
};

struct memq_sq {
	const struct nvio_sqe *ring;
	uint32_t *tail_db;
	uint32_t head, tail, size;
	uint32_t used;            /* requests taken */
	struct memq_req *free;
	struct memq_cq *cq;
	struct memq *m;
	struct memq_req *reqs;
	uint32_t fresh, num_reqs; /* of reqs: ever used; all */
	uint16_t qid;
	struct memq_req *deleting; /* the command that deletes it and waits */
};

struct memq_stats { /* written by the controller's thread; others may read */
	uint64_t sq_doorbells, cq_doorbells;
	uint64_t admin_commands, io_commands;
	uint64_t bad_doorbells;
};

struct memq_opts {
	const struct memq_port_ops *port;
	void *port_ctx;
	struct tgt_dma dma;
	struct fault_plan *faults;
	uint32_t max_queue_entries;
	uint32_t doorbell_stride;
	uint32_t ready_timeout_ms;
	bool record_registers;
	bool host_beside;         /* the host runs at the same time, on another OS thread */
	void (*roused)(void *ctx); /* after memq_doze(): memq_poll() is wanted again */
	void *roused_ctx;
	struct tgt_ctrlr_opts ctrlr;
};

#define MEMQ_RECORD_MAX 4096u

struct memq {
	/* Hot. */
	_Atomic uint32_t attention;
	_Atomic bool gone;        /* state is MEMQ_GONE; any thread may read */
	_Atomic bool leaving;     /* the host has left, and the reset for that is not through; any thread */
	enum memq_state state;
	uint32_t num_active;
	uint32_t deleting;        /* submission queues that wait to be deleted */
	bool irq_wanted;
	bool dozes;               /* between memq_doze() and memq_rouse() */
	uint32_t *armed_word;     /* port->armed_word(), or one that stays 0 */
	const struct memq_port_ops *port;
	void *port_ctx;
	struct fault_plan *faults;
	uint32_t burst;
	bool halves;              /* opts.host_beside; see batch() */
	uint32_t scan;            /* next doorbell to look at that should be untouched */
	struct list iov_wait;     /* requests that wait for a large iovec */
	struct memq_stats stats;
	struct memq_sq *active[MEMQ_MAX_IO_QUEUES + 1]; /* dense; [0] is the admin queue */
	struct tgt_ctrlr ctrlr;
	struct tgt_dma dma;

	/* Cold. */
	struct memq_sq *sq[MEMQ_MAX_IO_QUEUES + 1];
	struct memq_cq *cq[MEMQ_MAX_IO_QUEUES + 1];
	uint64_t irq_bits[DIV_ROUND_UP(MEMQ_MAX_VECTORS, 64)];
	uint64_t wake_bits[DIV_ROUND_UP(MEMQ_MAX_IO_QUEUES + 1, 64)]; /* by queue: MEMQ_CQ_WAITED, and there is one now */
	uint32_t no_word;         /* for armed_word */
	struct iovec **chunks;    /* free ones */
	struct iovec *chunk_mem;
	uint32_t num_chunks, chunk_len;
	struct memq_opts opts;
	uint32_t goal;            /* enum memq_goal */
	uint32_t flush_ns;        /* MEMQ_FLUSHING: index of the next */
	struct nvio_op flush_op;
	bool flush_busy;

	/* Registers. */
	uint64_t cap;
	uint32_t cc, csts, aqa, intm;
	uint64_t asq, acq;

	pthread_mutex_t record_lock; /* the two below */
	struct memq_reg_write *record;
	size_t num_recorded;
};

/* ---- memq.c ---- */
int memq_init(struct memq *m, struct nvio_env *env, struct nvio_thread *thread, const struct tgt_subsystem *subsys,
	const struct memq_opts *opts);
void memq_fini(struct memq *m);
int memq_poll(void *memq);               /* a poller; returns the work done: 0 when another call would find nothing, either */
void memq_run(struct memq_req *q);       /* executes it (again) */
bool memq_strike(struct memq_req *q);    /* memq_fault.c: asks the plan; true when it took the command over */

/* Any thread. */
static inline void memq_attend(struct memq *m, uint32_t what)
{
	/* Release: what the caller did before must be seen by the controller's thread when it sees the bit. */
	atomic_fetch_or_explicit(&m->attention, what, memory_order_release);
}

/* The host has left: what is of it is dropped or comes to its end, and the controller is reset. Any thread. */
static inline void memq_leave(struct memq *m)
{
	atomic_store_explicit(&m->leaving, true, memory_order_relaxed);
	memq_attend(m, MEMQ_ATT_DETACHED);
}

/* Whether that is through. Acquire: whoever sees it may reuse the memory that is no longer touched. Any thread. */
static inline bool memq_has_left(const struct memq *m)
{
	return !atomic_load_explicit(&m->leaving, memory_order_acquire);
}

/* Noted, and not taken up yet. Acquire: pairs with memq_attend(). Any thread. */
static inline bool memq_noted(const struct memq *m, uint32_t what)
{
	return atomic_load_explicit(&m->attention, memory_order_acquire) & what;
}

/* Whether a removal is through. Acquire: whoever sees it may reuse the memory that the drive no longer touches. Any thread. */
static inline bool memq_is_gone(const struct memq *m)
{
	return atomic_load_explicit(&m->gone, memory_order_acquire);
}

/* ---- memq_sleep.c: whoever polls may rest, and so may hosts ---- */
void memq_flush_slowly(struct memq *m) COLD;
void memq_doze(struct memq *m);          /* memq_poll() is going to rest: opts.roused is called once, when it is wanted again */
void memq_rouse(struct memq *m) COLD;
void memq_cq_waited(struct memq_cq *cq) COLD; /* it has a completion, and MEMQ_CQ_WAITED */

/* Raises the interrupts that completions have asked for, and wakes hosts that sleep; at the end of each poll. */
static ALWAYS_INLINE void memq_irq_flush(struct memq *m)
{
	/*
	 * The completions must be written before the look whether a host sleeps, or one that falls asleep between them sleeps on. In the
	 * processor the host's membarrier forbids it, so only the compiler is to be told.
	 */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (unlikely(m->irq_wanted) || unlikely(__atomic_load_n(m->armed_word, __ATOMIC_RELAXED)))
		memq_flush_slowly(m);
}

/* ---- memq_cq.c: completions ---- */
void memq_complete(struct tgt_req *r);
void memq_complete_slowly(struct memq_req *q) COLD;
void memq_release_rare(struct memq_req *q) COLD; /* what few requests have to give back */
void memq_release(struct memq_req *q);   /* back to its queue, without an answer */
void memq_cq_look(struct memq_cq *cq);   /* reads the head doorbell and lets held completions go */
bool memq_cq_put(struct memq_cq *cq, struct memq_req *q, uint16_t cid, uint8_t phase_flip); /* false: full */
/* memq_fault.c: a completion that the plan may have plans with; there is room for one. False: it needs more room. */
bool memq_fault_complete(struct memq_req *q);

/* ---- memq_queue.c ---- */
bool memq_admin(struct tgt_req *r);
bool memq_abort(struct tgt_ctrlr *c, uint16_t sqid, uint16_t cid);
int memq_open_admin(struct memq *m);
void memq_delete_ready(struct memq *m);
void memq_close_queues(struct memq *m);
void memq_scan_doorbells(struct memq *m); /* looks at one that nobody should have written to */
void memq_bad_doorbell(struct memq *m, uint8_t info) COLD;
struct memq_req *memq_sq_fresh(struct memq_sq *sq); /* one never used before; NULL: all are taken */

/* ---- memq_map.c ---- */
int memq_map_init(struct memq *m);
uint16_t memq_map(struct tgt_req *r, uint32_t len, bool to_host);
uint16_t memq_map_slowly(struct memq *m, struct memq_req *q, uint32_t len, bool to_host) NOINLINE;
void memq_map_retry(struct memq *m);
void memq_map_free(struct memq *m, struct memq_req *q); /* gives the large iovec back */

/* ---- memq_state.c, memq_regs.c ---- */
void memq_state_set(struct memq *m, enum memq_state to);
void memq_csts_set(struct memq *m, uint32_t csts);
void memq_drain(struct memq *m, uint32_t goal);
bool memq_drain_step(struct memq *m);    /* whether the state has moved on */
void memq_left(struct memq *m);          /* tells whoever asks memq_has_left() */
void memq_fatal(struct tgt_ctrlr *c);
void memq_enable(struct memq *m);
void memq_regs_reset(struct memq *m);    /* as at the beginning, and published */
int memq_regs_poll(struct memq *m);      /* the host's writes; how many there were */

#endif
