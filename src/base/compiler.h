/* SPDX-License-Identifier: BSD-3-Clause */
/* GNU attributes and small macros behind plain names; the only place that spells them. */
#ifndef BASE_COMPILER_H
#define BASE_COMPILER_H

#include <stddef.h>
#include <stdint.h>

#include "nvio_config.h"
#include <nvio/compiler.h>

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define NOINLINE      __attribute__((noinline))
#define COLD          __attribute__((noinline, cold))
#define ALWAYS_INLINE inline __attribute__((always_inline))
#define CACHE_LINE    64
#define CACHE_ALIGNED __attribute__((aligned(CACHE_LINE)))
#define MAY_ALIAS     __attribute__((may_alias))
#define MAYBE_UNUSED  __attribute__((unused))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#define DIV_ROUND_UP(n, d)   (((n) + (d) - 1) / (d))
#define ALIGN_UP(n, align)   (((n) + (align) - 1) & ~((__typeof__(n))(align) - 1))
#define ALIGN_DOWN(n, align) ((n) & ~((__typeof__(n))(align) - 1))
#define IS_POWER_OF_2(n)     ((n) && !((n) & ((n) - 1)))

/*
 * A relaxed load of an aligned word that another thread may write just now, for the hot path: compilers do not let an instruction have an
 * atomic load as its operand, which costs one more and a register. ThreadSanitizer is told the truth.
 */
#if defined(__SANITIZE_THREAD__)
#define HOT_LOAD(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HOT_LOAD(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#endif
#endif
#ifndef HOT_LOAD
#define HOT_LOAD(p) (*(p))
#endif

/*
 * Asks for the cache line at `p`, any address, in order to write it soon. The other side of a ring has read it
 * last, and a store that waits for its line keeps all later stores waiting.
 */
static inline void prefetch_write(const void *p)
{
#if defined(__x86_64__)
	/* Known, or ignored, by every x86-64; __builtin_prefetch() uses it only when told of a newer one. */
	__asm__ volatile("prefetchw %0" : : "m"(*(const char *)p));
#else
	__builtin_prefetch(p, 1);
#endif
}

/* Tells the processor that this is a spin loop. */
static inline void cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

#endif
