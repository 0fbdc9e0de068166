/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nvio_thread: a scheduling context, not an OS thread. Messages, pollers, timers, I/O channels. It runs on
 * whichever OS thread calls nvio_thread_poll(), one at a time, and offers one file descriptor to sleep on.
 */
#ifndef NVIO_THREAD_H
#define NVIO_THREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nvio/compiler.h>
#include <nvio/op.h>

NVIO_BEGIN_DECLS

struct nvio_env;
struct nvio_thread;
struct nvio_poller;
struct nvio_channel;

#define NVIO_THREAD_MSGS_DEFAULT 262143 /* messages that fit by default; memory is taken as they come */
#define NVIO_THREAD_MSGS_SMALL   1023

struct nvio_thread_opts {
	size_t size;
	const char *name;  /* NULL: "thread-<id>"; copied, at most 31 bytes */
	uint32_t max_msgs; /* how many messages may wait at once; 0: NVIO_THREAD_MSGS_DEFAULT */
};

NVIO_EXPORT void nvio_thread_opts_init(struct nvio_thread_opts *opts);

/*
 * Makes a context in the environment; `opts` may be NULL. It belongs to no OS thread until somebody polls it.
 * 0; -EINVAL name too long or max_msgs over 2^24; -ENOMEM; -EMFILE. Any thread.
 */
NVIO_EXPORT int nvio_thread_create(struct nvio_env *env, const struct nvio_thread_opts *opts, struct nvio_thread **thread);

/*
 * Marks the thread as exiting: from now on nvio_thread_send() answers -ESHUTDOWN and no channel, poller or
 * timer can be added. Messages already accepted still run. Any thread; a second call does nothing.
 */
NVIO_EXPORT void nvio_thread_exit(struct nvio_thread *thread);

/*
 * Exits if it has not yet, drains (runs the accepted messages, ends the channels that were put, unregisters
 * pollers) and frees. 0; -EBUSY: channels are still held or ops in flight: put them, poll, and call again
 * (nvio_errmsg() names them); the thread then stays exiting. Thread: the one that polls it, not from within
 * its own poll.
 */
NVIO_EXPORT int nvio_thread_destroy(struct nvio_thread *thread);

/*
 * Makes it the calling OS thread's current nvio_thread, until detach; nests (detach restores the one before).
 * nvio_thread_poll() does so for its own duration. Detaching what is not current: -EINVAL.
 */
NVIO_EXPORT int nvio_thread_attach(struct nvio_thread *thread);
NVIO_EXPORT int nvio_thread_detach(struct nvio_thread *thread);

/* The one current on the calling OS thread, or NULL. */
NVIO_EXPORT struct nvio_thread *nvio_thread_current(void);

/* The first one made in the environment that still exists, or NULL; how many there are. Any thread. */
NVIO_EXPORT struct nvio_thread *nvio_thread_app(struct nvio_env *env);
NVIO_EXPORT uint32_t nvio_thread_count(struct nvio_env *env);

/*
 * Runs what is due: up to `max_msgs` messages (0: those waiting at entry), timers, every active poller once,
 * completions. Returns how much work was done, 0 when idle; -EBUSY when another OS thread is polling it right
 * now. May be called from within itself (a callback that waits): the running poller is not entered again.
 */
NVIO_EXPORT int nvio_thread_poll(struct nvio_thread *thread, uint32_t max_msgs);

/*
 * The descriptor to sleep on (epoll, poll, libuv, GLib): readable when a message waits, a timer is due or an
 * event source of a poller has fired. It belongs to the thread. nvio_thread_timeout_ms(): how long to sleep
 * at most: 0 when there is an active untimed poller or work waits, -1 when only the descriptor can tell.
 * Between the last poll and the sleep no wake-up is lost. A loop that asks nvio_thread_timeout_ms() before
 * each sleep costs its busy polls nothing; where it is never asked, each poll arms the descriptor by itself.
 */
NVIO_EXPORT int nvio_thread_fd(struct nvio_thread *thread);
NVIO_EXPORT int nvio_thread_timeout_ms(struct nvio_thread *thread);

NVIO_EXPORT const char *nvio_thread_name(const struct nvio_thread *thread);
NVIO_EXPORT uint64_t nvio_thread_id(const struct nvio_thread *thread);      /* 1 and up, never used twice in an environment */
NVIO_EXPORT bool nvio_thread_has_active_pollers(const struct nvio_thread *thread); /* untimed, not paused */
NVIO_EXPORT bool nvio_thread_has_pollers(const struct nvio_thread *thread);
NVIO_EXPORT bool nvio_thread_is_idle(const struct nvio_thread *thread);     /* no messages, timers, active pollers or completions */
NVIO_EXPORT bool nvio_thread_is_running(const struct nvio_thread *thread);  /* not exiting */

/*
 * Sends a message: fn(arg) runs once, in the thread's poll, in the order of sending per sender. 0; -ESHUTDOWN
 * the thread is exiting; -ENOBUFS max_msgs wait already: nothing was sent. Any thread, any OS thread;
 * lock-free.
 */
NVIO_EXPORT int nvio_thread_send(struct nvio_thread *thread, void (*fn)(void *arg), void *arg);

/*
 * Calls fn(arg) once on the thread, in its poll, as a message in the order of sending; op completes with what
 * fn returned, which is op->status then (0, -errno, or a number of the caller's meaning; -EINPROGRESS becomes
 * -EINVAL). It completes on the calling nvio_thread, where one is current. Where none is, it completes within
 * nvio_wait(op), which then sleeps until the answer is there. Also to itself. Nothing is allocated. A call
 * that was accepted is always answered: a thread that exits still runs it, and if the environment closes
 * first it ends with -ESHUTDOWN. nvio_cancel() and op.timeout_us end a call whose fn has not begun, at once,
 * with -ECANCELED or -ETIMEDOUT, and fn is not called then; once fn runs, the call ends with it. 0;
 * -ESHUTDOWN the thread is exiting; -ENOBUFS max_msgs wait already; -EINVAL no fn, op.flags are set or the op
 * is in flight; -ENOMEM (only with op.timeout_us). Any thread, any OS thread.
 */
NVIO_EXPORT int nvio_thread_call(struct nvio_thread *thread, int (*fn)(void *arg), void *arg, struct nvio_op *op);

/*
 * Handles: a reference to a thread that may be kept, cloned and used on any OS thread whether the thread
 * still exists or not. To one that is gone, sends and calls answer -ESHUTDOWN. A handle keeps a few KiB, also
 * beyond its environment.
 */
struct nvio_thread_handle;

/* A new reference; never NULL. `thread` must exist at this moment. Any thread. */
NVIO_EXPORT struct nvio_thread_handle *nvio_thread_handle_get(struct nvio_thread *thread);

/* One reference more to the same thread: the pointer that was given. Any thread. */
NVIO_EXPORT struct nvio_thread_handle *nvio_thread_handle_clone(struct nvio_thread_handle *handle);

/* Gives a reference back; NULL is allowed. Any thread. */
NVIO_EXPORT void nvio_thread_handle_put(struct nvio_thread_handle *handle);

/*
 * As nvio_thread_send(), nvio_thread_call(), nvio_thread_exit() (of one that is gone: nothing),
 * nvio_thread_is_running() (false: exiting, or gone), nvio_thread_id() and nvio_thread_name(). Any thread.
 */
NVIO_EXPORT int nvio_thread_handle_send(struct nvio_thread_handle *handle, void (*fn)(void *arg), void *arg);
NVIO_EXPORT int nvio_thread_handle_call(struct nvio_thread_handle *handle, int (*fn)(void *arg), void *arg,
	struct nvio_op *op);
NVIO_EXPORT void nvio_thread_handle_exit(struct nvio_thread_handle *handle);
NVIO_EXPORT bool nvio_thread_handle_is_running(const struct nvio_thread_handle *handle);
NVIO_EXPORT uint64_t nvio_thread_handle_id(const struct nvio_thread_handle *handle);
NVIO_EXPORT const char *nvio_thread_handle_name(const struct nvio_thread_handle *handle);

/*
 * The loop: attaches the thread, polls it, and returns 0 when nvio_thread_stop() was called, or when the
 * thread is exiting and drained (no message, completion, dying channel or op of its own is left; channels
 * that are held, pollers and timers are not waited for). An idle thread spins for up to `spin_us`
 * microseconds, less where spinning has not paid, and then sleeps on its descriptor; 0: sleeps at once. While
 * a poller is active (untimed, not paused) it never sleeps. 0; -EBUSY another OS thread has it; -EALREADY it
 * is being run already; -EINVAL too many are attached here. Thread: becomes the nvio_thread's own.
 */
#define NVIO_THREAD_SPIN_US 50 /* a good `spin_us`: about what it costs to be woken up twice */
NVIO_EXPORT int nvio_thread_run(struct nvio_thread *thread, uint32_t spin_us);

/*
 * Ends the nvio_thread_run() that is going on, or else the next one; more calls before that do nothing more.
 * The thread does not exit: it can be run again. Any thread, also from within what it runs.
 */
NVIO_EXPORT void nvio_thread_stop(struct nvio_thread *thread);

/*
 * Calls fn for each thread of the environment, oldest first, until it returns other than 0, which is
 * returned. No lock is held: fn may do anything. The thread may be exiting, but its memory stays for the
 * duration of fn, which may therefore ask for name, id, is_running and statistics, send, call and take a
 * handle. Any thread.
 */
NVIO_EXPORT int nvio_thread_for_each(struct nvio_env *env, int (*fn)(struct nvio_thread *thread, void *arg), void *arg);

/*
 * What a thread has done since it was made. A poll that found work is busy time, one that found none is idle
 * time, and so is sleep on the descriptor; time between two polls counts as the second one does. Counted in
 * batches: up to some 1,024 polls late.
 */
struct nvio_thread_stats {
	uint64_t busy_ns, idle_ns;
	uint64_t polls;
	uint64_t msgs;         /* messages and calls that have run */
	uint64_t msgs_waiting;
	uint32_t pollers;      /* registered, of every kind */
	uint32_t channels;
};

/* Fills in the first `size` bytes (sizeof(*stats)) of what it knows; zeroes beyond. Any thread. */
NVIO_EXPORT void nvio_thread_get_stats(struct nvio_thread *thread, struct nvio_thread_stats *stats, size_t size);

struct nvio_poller_stats {
	char name[32];
	uint64_t period_us; /* 0: every poll */
	uint64_t runs;      /* calls of its fn */
	uint64_t busy;      /* those that returned more than 0 */
	bool paused;
};

/*
 * Fills in up to `max` of `stats` in the order of registration, returns how many pollers there are. Any
 * thread.
 */
NVIO_EXPORT uint32_t nvio_thread_get_poller_stats(struct nvio_thread *thread, struct nvio_poller_stats *stats, uint32_t max);

/*
 * OS threads with an nvio_thread of their own.
 */
struct nvio_os_thread;

struct nvio_os_thread_opts {
	size_t size;
	const char *name;  /* of both; NULL: "thread-<id>"; copied, at most 31 bytes, of which the kernel shows 15 */
	int core;          /* bound to it; -1: to all cores of the environment's mask */
	uint32_t max_msgs; /* as in nvio_thread_opts */
	uint32_t spin_us;  /* of nvio_thread_run(), where there is no fn */
	size_t stack_size; /* bytes; 0: the system's default */
};

NVIO_EXPORT void nvio_os_thread_opts_init(struct nvio_os_thread_opts *opts);

/*
 * Starts an OS thread that makes an nvio_thread, attaches it, and calls fn(thread, arg); `fn` NULL:
 * nvio_thread_run(), until nvio_thread_exit(). Signals are blocked in it. When fn returns the nvio_thread
 * exits: accepted messages and calls run, ops of its own are cancelled and awaited, channels still held are
 * reported (a warning in the log) and put, and then it is destroyed. `os` is valid from join or detach on no
 * more. `opts` may be NULL; copied. 0; -EINVAL a bad option, named in nvio_errmsg(); -ENOMEM; -EMFILE;
 * -EAGAIN no more OS threads; an -errno of binding. Nothing is left behind then, and fn was not called. Any
 * thread.
 */
NVIO_EXPORT int nvio_os_thread_spawn(struct nvio_env *env, const struct nvio_os_thread_opts *opts,
	int (*fn)(struct nvio_thread *thread, void *arg), void *arg, struct nvio_os_thread **os);

/* The nvio_thread's handle: valid as long as `os` is; clone it to keep it longer. Any thread. */
NVIO_EXPORT struct nvio_thread_handle *nvio_os_thread_handle(const struct nvio_os_thread *os);

/* Whether fn has returned and its nvio_thread is drained: a join would not wait. Any thread. */
NVIO_EXPORT bool nvio_os_thread_is_finished(const struct nvio_os_thread *os);

/*
 * op completes with 0 when nvio_os_thread_is_finished(); as in nvio_thread_call(), on the calling nvio_thread
 * or within nvio_wait(). Cancelled or timed out, it leaves the thread running. 0; -EINVAL op.flags are set or
 * the op is in flight; -ENOMEM (only with op.timeout_us). Any thread.
 */
NVIO_EXPORT int nvio_os_thread_wait(struct nvio_os_thread *os, struct nvio_op *op);

/*
 * Waits until it is finished, frees `os`, and returns what fn returned; if that is negative, nvio_errmsg()
 * has the words of the failed thread's last failure. Where an nvio_thread is current it is polled meanwhile,
 * inside a coroutine that suspends, elsewhere the OS thread sleeps. A cancelled coroutine waits on (one that
 * is to heed it waits with nvio_os_thread_wait() first). -EDEADLK: it is the calling one; `os` is left as it
 * was. Once; any other thread.
 */
NVIO_EXPORT int nvio_os_thread_join(struct nvio_os_thread *os);

/*
 * Nobody will join it: it frees itself when it is finished. Closing the environment still waits for it. Once;
 * any thread.
 */
NVIO_EXPORT void nvio_os_thread_detach(struct nvio_os_thread *os);

/*
 * Pollers. `fn` returns how much work it did (0: idle). period_us 0: every poll; else that often, by the
 * environment's clock. All of these may be called from within any poller, also about itself; unregister frees
 * it (its fn is not called again). Thread: the nvio_thread's own (or before its first poll).
 */
typedef int (*nvio_poller_fn)(void *arg);
NVIO_EXPORT int nvio_poller_register(struct nvio_thread *thread, const char *name, nvio_poller_fn fn, void *arg,
	uint64_t period_us, struct nvio_poller **poller);

/*
 * Lets an untimed poller sleep: when its fn has found nothing `idle_polls` times in a row (0: after each
 * time), it is not called any more until `fd` is readable, so that the thread may sleep; then it goes on as
 * before. `fd` must be readable for as long as fn would find something (fn consumes the event), or become so
 * again. Pausing takes it away from the descriptor, resuming makes it spin anew: do that when something was
 * begun that fn is to look after. Where the descriptor cannot be watched it spins on. `fd` -1: no more of
 * this. Remove (by -1, or by unregistering) before closing fd. 0; -EINVAL a timed poller; -EBADF fd below -1; -ENOMEM.
 * Thread: the nvio_thread's own.
 */
NVIO_EXPORT int nvio_poller_sleep_on(struct nvio_poller *poller, int fd, uint32_t idle_polls);

NVIO_EXPORT void nvio_poller_unregister(struct nvio_poller *poller);
NVIO_EXPORT void nvio_poller_pause(struct nvio_poller *poller);
NVIO_EXPORT void nvio_poller_resume(struct nvio_poller *poller);

/*
 * One-shot timers in caller's memory; the fields are the library's but `fn` and `arg`. Zero-initialise, set
 * fn, start.
 */
struct nvio_timer {
	void (*fn)(struct nvio_timer *timer);
	void *arg;
	struct nvio_thread *thread;
	uint64_t due_ns;
	uint32_t heap_index; /* 0: not started */
};

/*
 * Starts it, or moves it when it is started already. 0; -ESHUTDOWN; -ENOMEM. Thread: the nvio_thread's own.
 */
NVIO_EXPORT int nvio_timer_start(struct nvio_thread *thread, struct nvio_timer *timer, uint64_t delay_us);
NVIO_EXPORT void nvio_timer_stop(struct nvio_timer *timer); /* does nothing when it is not started */

/*
 * An event source of a poller: while the thread sleeps, `fd` becoming readable wakes it and `fn` runs
 * (level-triggered; fn consumes the event). Thread: the nvio_thread's own. 0; -EEXIST; -ENOMEM; or epoll's
 * error. Remove before closing fd.
 */
NVIO_EXPORT int nvio_thread_add_fd(struct nvio_thread *thread, int fd, nvio_poller_fn fn, void *arg);
NVIO_EXPORT int nvio_thread_remove_fd(struct nvio_thread *thread, int fd);

/*
 * I/O channels: one context per thread and device, reference counted, so that I/O needs no lock.
 * A device is known by an address of the caller's choice.
 */
struct nvio_io_device_ops {
	const char *name;
	size_t ctx_size;                                    /* bytes of context per channel, zeroed */
	int (*channel_create)(void *device, struct nvio_channel *ch); /* 0 or -errno; on the channel's thread */
	void (*channel_destroy)(void *device, struct nvio_channel *ch);
};

NVIO_EXPORT int nvio_io_device_register(struct nvio_env *env, void *device, const struct nvio_io_device_ops *ops);

/*
 * Ends the registration: no new channels from now on (-ENODEV); `op` completes, on the calling thread (the
 * current nvio_thread), when the last channel is gone. 0; -ENOENT; -EINVAL no current thread. `op` NULL: 0
 * when there are no channels, else -EBUSY.
 */
NVIO_EXPORT int nvio_io_device_unregister(struct nvio_env *env, void *device, struct nvio_op *op);

/*
 * The current nvio_thread's channel of the device: the same pointer each time, one more reference. 0; -ENODEV
 * not registered; -EINVAL no current thread; -ESHUTDOWN; or channel_create's error.
 */
NVIO_EXPORT int nvio_channel_get(struct nvio_env *env, void *device, struct nvio_channel **ch);

/*
 * Gives a reference back; the last one destroys the channel in a later poll of its thread. Thread: the
 * channel's.
 */
NVIO_EXPORT void nvio_channel_put(struct nvio_channel *ch);

NVIO_EXPORT void *nvio_channel_ctx(struct nvio_channel *ch);
NVIO_EXPORT struct nvio_thread *nvio_channel_thread(const struct nvio_channel *ch);
NVIO_EXPORT void *nvio_channel_device(const struct nvio_channel *ch);

/*
 * Calls fn(ch, arg) for each channel of the device, each on its own thread, one after another; a negative
 * return ends the walk and is op's status. op completes on the calling thread (the current nvio_thread). 0;
 * -ENOENT; -EINVAL no current thread.
 */
NVIO_EXPORT int nvio_channel_for_each(struct nvio_env *env, void *device, int (*fn)(struct nvio_channel *ch, void *arg),
	void *arg, struct nvio_op *op);

NVIO_END_DECLS

#endif
