/* SPDX-License-Identifier: BSD-3-Clause */
/* The system below, where it is POSIX with threads. Only through base/platform.h. */
#ifndef BASE_PLATFORM_HOSTED_H
#define BASE_PLATFORM_HOSTED_H

#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include "base/compiler.h"

/* Of each OS thread its own. */
#define THREAD_LOCAL _Thread_local

struct lock {
	pthread_mutex_t mutex;
};

static inline void lock_init(struct lock *l) { pthread_mutex_init(&l->mutex, NULL); }
static inline void lock_fini(struct lock *l) { pthread_mutex_destroy(&l->mutex); }
static inline void lock_take(struct lock *l) { pthread_mutex_lock(&l->mutex); }
static inline void lock_give(struct lock *l) { pthread_mutex_unlock(&l->mutex); }
static inline bool lock_try(struct lock *l) { return !pthread_mutex_trylock(&l->mutex); }

static inline uint64_t platform_clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Nanoseconds since some fixed moment; never goes back. */
static inline uint64_t platform_now_ns(void) { return platform_clock_ns(CLOCK_MONOTONIC); }

/* The same, as seldom as every few milliseconds, if that is cheaper. */
static inline uint64_t platform_coarse_ns(void) { return platform_clock_ns(CLOCK_MONOTONIC_COARSE); }

/* A turn for others, from a loop that waits. */
static inline void platform_yield(void) { sched_yield(); }

/* As vsnprintf(). */
static inline NVIO_PRINTF(3, 0) int platform_vprint(char *buf, size_t size, const char *fmt, va_list ap)
{
	return vsnprintf(buf, size, fmt, ap);
}

#endif
