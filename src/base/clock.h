/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Time. A clock is a value handed in, so that a simulation runs on its own; the cycle counter is only a gate
 * that says whether looking at the clock can be worth it.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

#include "base/compiler.h"
#include "base/platform.h"

struct clock {
	uint64_t (*now_ns)(void *arg); /* NULL: CLOCK_MONOTONIC */
	void *arg;
};

#define NS_PER_US 1000ull
#define NS_PER_MS 1000000ull
#define NS_PER_S  1000000000ull

static inline uint64_t clock_monotonic_ns(void) { return platform_now_ns(); }

/* Nanoseconds since some fixed moment; never goes back. */
static inline uint64_t clock_now(const struct clock *clock)
{
	return clock->now_ns ? clock->now_ns(clock->arg) : clock_monotonic_ns();
}

/* a + b that stays at the end of time: a deadline of "never" must not wrap into the past. */
static inline uint64_t clock_add(uint64_t a, uint64_t b)
{
	uint64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

/*
 * Ticks of a counter of unknown rate that costs a few instructions to read, and CYCLES_GATE, the ticks after
 * which the real clock is worth a look: 0.2 to 0.5 ms on today's machines. Differences only; it may jump
 * between cores. On a simulated clock do not gate.
 */
#if defined(__x86_64__) || defined(__i386__)
#define CYCLES_GATE 1000000u /* 0.5 ms at 2 GHz, 0.2 ms at 5 GHz */
static inline uint64_t cycles(void)
{
	return __builtin_ia32_rdtsc();
}
#elif defined(__aarch64__)
#define CYCLES_GATE 8192u /* 0.33 ms at the usual 25 MHz; at 1 GHz it opens early, which only costs */
static inline uint64_t cycles(void)
{
	uint64_t v;

	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(v));
	return v;
}
#else
#define CYCLES_GATE 250000u /* nanoseconds; the coarse clock is a memory read */
static inline uint64_t cycles(void)
{
	return platform_coarse_ns();
}
#endif

/* Sleeps that long in real time, through signals. */
void sleep_ns(uint64_t ns);

#endif
