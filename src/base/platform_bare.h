/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The system below, where there is none: the functions that a freestanding program provides. Only through base/platform.h.
 *
 * Locks spin. They are held for a few instructions or one look at the controller, never while somebody waits for it, and on a single
 * core they are always free.
 */
#ifndef BASE_PLATFORM_BARE_H
#define BASE_PLATFORM_BARE_H

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include <nvio/platform.h>

/* There are no threads. Several cores share the last failure's text, and only that. */
#define THREAD_LOCAL

struct lock {
	atomic_bool taken;
};

static inline void lock_init(struct lock *l) { atomic_init(&l->taken, false); }
static inline void lock_fini(struct lock *l) { (void)l; }

/* Acquire: what the lock protects must not be looked at before it is ours. */
static inline bool lock_try(struct lock *l) { return !atomic_exchange_explicit(&l->taken, true, memory_order_acquire); }

static inline void lock_take(struct lock *l)
{
	while (!lock_try(l))
		cpu_relax();
}

/* Release: our last writes to what it protects must be seen by whoever takes it next. */
static inline void lock_give(struct lock *l) { atomic_store_explicit(&l->taken, false, memory_order_release); }

static inline uint64_t platform_now_ns(void) { return nvio_platform_now_ns(); }
static inline uint64_t platform_coarse_ns(void) { return nvio_platform_now_ns(); }
static inline void platform_yield(void) { nvio_platform_idle(); }

/* As vsnprintf(), for what the library's own messages use of it: see bare/format.c. */
int platform_vprint(char *buf, size_t size, const char *fmt, va_list ap) NVIO_PRINTF(3, 0);

#endif
