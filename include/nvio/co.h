/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Coroutines: straight-line code that never blocks the core. A coroutine belongs to an nvio_thread and runs on a stack of
 * its own, from within nvio_thread_poll() and never from within a completion callback. In it nvio_wait() and nvio_await()
 * suspend it instead of polling, and so does everything in nvio that waits; others run meanwhile.
 *
 * Cancelling asks, as nvio_cancel() does, and nothing ends before it has ended: what the coroutine waits for is asked to end
 * early (the op by nvio_cancel(), the coroutine that it joins or the members of its group by nvio_co_cancel()), and the
 * wait ends when that has. Sleeping and yielding end with -ECANCELED. All this goes for each later wait, too. So memory on
 * a coroutine's stack is safe to do I/O with, and a coroutine that hands on the errors it gets comes to its end.
 *
 * nvio_thread_destroy() answers -EBUSY while there are coroutines; nvio_env_close() cancels them and polls until they have run to
 * their end, before it closes anything else.
 *
 * Thread, where a function does not say otherwise: the nvio_thread that the coroutine belongs to, that is whoever polls it
 * or may poll it. From another OS thread, send that thread a message that does the call.
 *
 * An nvio_thread may be polled by one OS thread today and by another tomorrow, and a coroutine goes along: a wait is where
 * addresses of thread-local variables (of errno, too) become stale. The text of nvio_errmsg() is the OS thread's: read
 * it before the next wait.
 */
#ifndef NVIO_CO_H
#define NVIO_CO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nvio/compiler.h>
#include <nvio/op.h>
#include <nvio/thread.h>

NVIO_BEGIN_DECLS

struct nvio_co;

#define NVIO_CO_NAME_MAX      31
#define NVIO_CO_STACK_DEFAULT (64u << 10)
#define NVIO_CO_STACK_MIN     (16u << 10)
#define NVIO_CO_STACK_MAX     (64u << 20)

/* What a coroutine does: its whole stack is the call of this. What it returns reaches nvio_co_join(). */
typedef int (*nvio_co_fn)(void *arg);

struct nvio_co_opts {
	size_t size;
	const char *name;  /* NULL: "co-<number>"; copied, at most NVIO_CO_NAME_MAX bytes */
	size_t stack_size; /* bytes, rounded up to a power of two; 0: NVIO_CO_STACK_DEFAULT. Memory is taken page by page, as
	                      it is touched. In builds with a sanitizer, whose frames are larger, four times as much. */
};

NVIO_EXPORT void nvio_co_opts_init(struct nvio_co_opts *opts);

/*
 * Makes a coroutine that runs fn(arg), beginning with the thread's next turn for coroutines and never in here. `opts` may be
 * NULL. The handle is valid until it is joined, or detached and ended; with `co` NULL it is detached from the start.
 * 0; -EINVAL no fn, a name too long, or a stack_size outside of its bounds; -ENOMEM no memory, or no more mappings
 * (vm.max_map_count); -ESHUTDOWN the thread is exiting, or the environment is being closed; -EBUSY another OS thread has the
 * nvio_thread right now: send it a message that spawns. On an error nothing is left behind.
 */
NVIO_EXPORT int nvio_co_spawn(
	struct nvio_thread *thread, nvio_co_fn fn, void *arg, const struct nvio_co_opts *opts, struct nvio_co **co);

/*
 * Waits until the coroutine has ended, and frees it. In a coroutine of the same thread it suspends that; elsewhere it polls
 * the thread. *value (may be NULL) is what its function returned. A coroutine that was cancelled while it joins cancels the
 * other, and goes on waiting.
 * 0; what the function returned where that is negative; and without *value, and the handle as before: -EINVAL it is NULL, or of
 * another nvio_thread than the calling coroutine; -EBUSY somebody else joins it, or it is in a group; -EDEADLK it is the caller,
 * or runs beneath it on the same stack; -EBUSY another OS thread has the nvio_thread.
 */
NVIO_EXPORT int nvio_co_join(struct nvio_co *co, int *value);

/*
 * Joins all of them; NULLs are passed over. Returns 0 or the first error in the order of the array, but waits for all in any
 * case. They are not cancelled because one fails (that is what a group does), but all are when the caller is.
 */
NVIO_EXPORT int nvio_co_join_all(struct nvio_co *const co[], size_t count);

/* Nobody will join it: it is freed when it ends, or now if it has. -EBUSY: somebody joins it, or it is in a group. 0. */
NVIO_EXPORT int nvio_co_detach(struct nvio_co *co);

/*
 * Asks it to end; see the top of this file. What it waits for is asked to end at the thread's next turn for coroutines. A second
 * call does nothing. One that has not begun yet begins all the same. 0; -EALREADY it has ended. Also about the caller itself.
 */
NVIO_EXPORT int nvio_co_cancel(struct nvio_co *co);

/* Whether it was asked to end. */
NVIO_EXPORT bool nvio_co_is_cancelled(const struct nvio_co *co);

/* Lets the others run. 0; -ECANCELED (after having let them run); -EINVAL not in a coroutine. */
NVIO_EXPORT int nvio_co_yield(void);

/*
 * Suspends the calling coroutine for so long by the environment's clock. 0; -ECANCELED it was cancelled, before or meanwhile;
 * -ENOMEM no room for the timer; -EINVAL not in a coroutine. 0 us: as nvio_co_yield().
 */
NVIO_EXPORT int nvio_co_sleep(uint64_t us);

/*
 * The coroutine that calls, or NULL. A callback (of an op, a poller, a timer, a message) that nvio_thread_poll() runs is in no
 * coroutine, even where a coroutine calls nvio_thread_poll(). Nor is one that has attached another nvio_thread, until it
 * detaches it: it waits by polling. Attach and detach between two waits of a coroutine, not around one.
 */
NVIO_EXPORT struct nvio_co *nvio_co_current(void);

enum nvio_co_status {
	NVIO_CO_READY,    /* it runs in the thread's next turn */
	NVIO_CO_RUNNING,  /* it is the caller, or runs beneath the caller on the same stack */
	NVIO_CO_WAITING,  /* for an op, a coroutine or a group */
	NVIO_CO_SLEEPING,
	NVIO_CO_ENDED,    /* and awaits nvio_co_join() */
};

NVIO_EXPORT enum nvio_co_status nvio_co_status(const struct nvio_co *co);
NVIO_EXPORT const char *nvio_co_name(struct nvio_co *co);
NVIO_EXPORT struct nvio_thread *nvio_co_thread(const struct nvio_co *co);

/* How many coroutines of the thread have not ended yet. */
NVIO_EXPORT uint32_t nvio_co_count(const struct nvio_thread *thread);

/*
 * On (or off again): a coroutine that overruns its stack is told on standard error, with its name and its thread's, before
 * the process goes the way it goes on SIGSEGV without us. Below each stack are 64 KiB that nobody may touch, so the overrun is
 * met in any case; this only names it. It takes the process's SIGSEGV, which is why nobody but the application turns it on:
 * the handler that was there before is called afterwards, also for each SIGSEGV that is no overrun, and a handler that
 * is installed later replaces ours. OS threads that run coroutines get an alternate signal stack, unless they have one.
 * 0; -ENOMEM; or sigaction()'s error. Any thread.
 */
NVIO_EXPORT int nvio_co_catch_overflow(bool on);

/*
 * A group: ops and coroutines that succeed or fail together. The first that fails is the result, the others are asked to end,
 * and nvio_group_wait() returns when all have ended, so whatever they use may live in the function that waits. Group and
 * slots are the caller's memory, and nothing is allocated for ops. A group is used by one coroutine, or by plain code of one
 * nvio_thread; nvio_group_cancel() may be called by others of that thread.
 *
 *     struct nvio_group_slot slots[2];
 *     struct nvio_group g;
 *
 *     nvio_group_init(&g, slots, 2);
 *     nvio_group_add(&g, nvio_bdev_read(desc, ch, a, 0, 4096, &op[0]), &op[0]);
 *     nvio_group_add(&g, nvio_bdev_read(desc, ch, b, 4096, 4096, &op[1]), &op[1]);
 *     rc = nvio_group_wait(&g);
 */
struct nvio_group_slot {
	uint64_t priv[20]; /* the library's */
};

struct nvio_group {
	uint64_t priv[12]; /* the library's */
};

/* Room for `count` members at once. They may be used again and again; nothing needs to be undone. */
NVIO_EXPORT void nvio_group_init(struct nvio_group *group, struct nvio_group_slot *slots, size_t count);

/*
 * Takes in an op: `submitted` is what its submit returned, and an error of it is one of the group. `done` of the op is called
 * as ever. When all slots are taken it waits until one is free. 0; or the group's first error so far, a reason to stop
 * adding: the op is in the group nevertheless. -EINVAL: a group without slots was not given this op. Until nvio_group_wait() returns
 * nobody else may wait for the op's end by looking at `done` or `arg`, which the library borrows. An op with NVIO_OP_REAP is
 * waited for by this, and not handed out by nvio_qpair_reap() any more.
 */
NVIO_EXPORT int nvio_group_add(struct nvio_group *group, int submitted, struct nvio_op *op);

/*
 * Spawns a coroutine into the group, which joins it: there is no handle. An error of nvio_co_spawn() is one of the group, and a negative
 * result of the function is. Waits for a slot as nvio_group_add() does, and returns as that does.
 */
NVIO_EXPORT int nvio_group_spawn(
	struct nvio_group *group, struct nvio_thread *thread, nvio_co_fn fn, void *arg, const struct nvio_co_opts *opts);

/* Asks all that are in it to end. Its result is -ECANCELED, unless there was an error before. */
NVIO_EXPORT void nvio_group_cancel(struct nvio_group *group);

/*
 * Waits until all have ended, and returns the first error, in the order in which they ended, or 0. The group is then empty and as
 * new. In a coroutine it suspends that; elsewhere it polls. When the coroutine is cancelled the group is. Only when the poll of
 * a queue fails, and leaves an op in flight that thus will never end, is that op given up: its error is the result.
 */
NVIO_EXPORT int nvio_group_wait(struct nvio_group *group);

NVIO_END_DECLS

#endif
