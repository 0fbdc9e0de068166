/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Coroutines from within: what a coroutine is, what a thread keeps for all of its, and how the end of an op reaches
 * whoever waits for it. All of it: own thread.
 *
 * Who waits is woken rather than told: co_wake() puts it into the run queue, from which the thread's poll resumes it, and
 * the loop that suspended it looks whether what it waits for has come. So waking one in vain is allowed, and cancelling is
 * just that: the waiting loop, on its own stack, sees that it was cancelled and asks on.
 */
#ifndef THREAD_CO_H
#define THREAD_CO_H

#include "thread/co_san.h"
#include "thread/state.h"
#include <nvio/co.h>

/* Sizes of stacks are powers of two; a class is one of them. */
#define CO_CLASS_MIN   14u /* NVIO_CO_STACK_MIN */
#define CO_CLASSES     15u /* NVIO_CO_STACK_MAX, times CO_STACK_FACTOR */
#define CO_GUARD       (64u << 10) /* bytes below a stack that nobody may touch: more than most frames, or they would jump over it */
#define CO_POOL_WARM   64u	   /* ended ones that are kept as they are, of each class */
#define CO_POOL_COLD   960u	   /* beyond that, kept with all but the topmost page given back; the rest is unmapped */
#define CO_BUCKETS     64u	   /* for the pollables that are waited on */
#define CO_COLORS      16u
#define CO_COLOR_BYTES 128u

struct co_tap;
struct group;
struct group_slot;

/* Lies at the top of its own stack. */
struct nvio_co {
	/* Switching. */
	void *sp;   /* while it does not run */
	void *back; /* who resumed it, while it runs */
	struct co_san *back_san;
	uint32_t depth; /* of the thread's polls when it was resumed: deeper is a callback, not the coroutine */
	enum nvio_co_status status;
	struct list link; /* in the run queue, or in a pool */
	struct nvio_thread *thread;

	nvio_co_fn fn;
	void *arg;
	int value; /* what fn returned */
	bool cancelled, detached;

	/* What it waits for, when it does, so that it can be torn away from that. */
	struct co_tap *tap;
	struct group *group;
	struct nvio_co *joins;
	struct nvio_timer timer;

	/* Who waits for it. */
	bool joined; /* somebody is at it */
	struct nvio_co *joiner;
	struct group_slot *slot;

	struct list in_all; /* in the thread's all */
	uint64_t id;
	char name[NVIO_CO_NAME_MAX + 1];
	void *map; /* the guard, and above it the stack; immutable, as is all below */
	unsigned class;
	struct co_san san;
};

struct co_pool {
	struct list warm, cold; /* last in, first out */
	uint32_t warm_count, cold_count;
};

/* What a thread has once a coroutine was spawned on it. */
struct co_sched {
	struct list ready; /* in the order in which they will run */
	uint32_t ready_count;
	struct nvio_co *running; /* the innermost, where they run one above the other on nested polls */
	uint32_t watched_count;
	struct list watched; /* one watch for each pollable */
	uint32_t idle_turns; /* in a row, in which polling these found nothing */
	bool armed;	     /* and the thread, asleep, is woken by them, or by the timer: co_sleep.c */
	struct nvio_timer timer;
	struct list buckets[CO_BUCKETS];
	struct list all;
	uint32_t count, unjoined; /* of all: not ended, ended */
	bool closing;		  /* the environment goes: no more of them */
	unsigned color;
	uint64_t last_id;
	struct co_pool pools[CO_CLASSES];
};

/* ---- co_stack.c ---- */

/* A coroutine's memory of at least `size` bytes of stack, from the pool or new; NULL: no memory, with words. */
struct nvio_co *co_stack_get(struct nvio_thread *t, size_t size);
void co_stack_put(struct nvio_thread *t, struct nvio_co *co);
void co_stack_free(struct nvio_co *co);
void co_pool_init(struct co_sched *s);
void co_pool_free(struct co_sched *s);
/* Whether the address is one that only a coroutine which overruns its stack touches. Async-signal-safe. */
bool co_stack_guards(const struct nvio_co *co, const void *addr);

/* ---- co.c ---- */

/* What runs on each stack, for ever: one coroutine after another. */
void co_main(void *co);

/* The coroutine that calls, or NULL. */
static inline struct nvio_co *co_current(void)
{
	struct nvio_thread *t = thread_tls_current;
	struct nvio_co *co = t && t->co ? t->co->running : NULL;

	return co && co->depth == t->depth ? co : NULL;
}

/*
 * The running coroutine `co` lets go, and comes back when somebody has woken it. Afterwards it may be on another OS
 * thread: never inlined, so that no address of a thread-local variable survives it.
 */
void co_suspend(struct nvio_co *co, enum nvio_co_status status) NOINLINE;

/* Into the run queue, which it is not in. */
void co_make_ready(struct nvio_co *co);

/* It runs in the thread's next turn. Nothing happens when it is ready, runs or has ended. */
void co_wake(struct nvio_co *co);

/* The name, made up first where none was given. Async-signal-safe. */
const char *co_name(struct nvio_co *co);

/* It has been joined, or nobody will: its stack goes back to the pool. */
void co_recycle(struct nvio_co *co);

/* A turn for the coroutines: polls what they wait for, runs those that are ready. Returns how much work it was. */
uint64_t co_run(struct nvio_thread *t);

/* What keeps the thread from going, in words; 0: nothing. */
int co_busy_rc(struct nvio_thread *t);

/* The thread goes, and has none that has not ended. */
void co_fini(struct nvio_thread *t);

/* ---- co_wait.c ---- */

/* Taps an op in flight: ended() is called when it completes, before its own `done`, with op NULL and the status. */
struct co_tap {
	struct nvio_op *op;
	nvio_op_fn done; /* the op's own, as is arg */
	void *arg;
	void (*ended)(struct co_tap *tap);
	int status;
};

void co_tap_on(struct co_tap *tap, struct nvio_op *op, void (*ended)(struct co_tap *tap));
void co_tap_off(struct co_tap *tap); /* before the op has ended; nothing happens after that */

/* Somebody waits on a pollable that this thread does not poll by itself. */
struct co_watch {
	struct nvio_pollable *pollable; /* NULL: not on */
	struct co_watch *first;		/* of its pollable; that one is in the thread's lists */
	struct list link;		/* the first's: in watched; another's: in the first's others */
	struct list bucket;		/* the first's */
	struct list others;		/* the first's */
	int fd;				/* the first's; what the thread watches while it sleeps, or -1 */
	void (*failed)(struct co_watch *w, int rc); /* the pollable's poll failed */
};

/* Nothing happens where t polls the pollable anyway. */
void co_watch_on(struct nvio_thread *t, struct co_watch *w, struct nvio_pollable *p, void (*failed)(struct co_watch *w, int rc));
void co_watch_off(struct nvio_thread *t, struct co_watch *w);
uint64_t co_watch_poll(struct nvio_thread *t);

/* base/op.h's op_suspend. */
bool co_wait_op(struct nvio_op *op);

/* Nobody may touch the memory of the coroutine that waits with this tap any more. */
void co_wait_abandon(struct nvio_thread *t, struct co_tap *tap);

/* ---- co_sleep.c ---- */

/*
 * The thread wants to sleep, and ATT_CO is set. True: it may, as each pollable that coroutines wait on will wake it, or the timer; that ends
 * with its next poll.
 */
bool co_sleep_begins(struct nvio_thread *t);
void co_sleep_ends(struct nvio_thread *t);

/* A first watch goes; what it watches becomes the heir's, if there is one. */
void co_sleep_forget(struct nvio_thread *t, struct co_watch *w, struct co_watch *heir);

/* ---- co_group.c ---- */

/* A coroutine of the group has ended. */
void co_group_ended(struct group_slot *slot, int value);

/* Nobody may touch the memory of the coroutine that waits for it any more. */
void co_group_abandon(struct nvio_thread *t, struct group *g);

/* ---- co_close.c ---- */

extern uint64_t co_close_ns;

/* The thread goes, and nobody else looks after it: its coroutines are cancelled, and polled until they have ended. */
void co_stop(struct nvio_thread *t);

/* ---- co_fault.c ---- */

/* Gives this OS thread an alternate signal stack, if nvio_co_catch_overflow() is on and it has none. */
extern atomic_bool co_fault_on;
void co_fault_prepare(void);

#endif
