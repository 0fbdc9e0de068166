/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The switch of stacks by itself: what the ABI says that a call preserves is preserved, for several contexts at once. A program of
 * its own without a test library, so that it can be built and run for another processor (aarch64_switch).
 */
#include <fenv.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "thread/co_switch.h"

#define CONTEXTS 3
#define SWITCHES 1000
#define STACK    65536

static void *here, *there[CONTEXTS];
static long steps[CONTEXTS];

static void check(int good, const char *what)
{
	if (good)
		return;
	printf("%s: %s is not as it was\n", co_switch_kind, what);
	exit(1);
}

/* More values than there are registers that a call preserves, of both kinds, alive across each switch. */
static void work(void *arg)
{
	long id = (long)(intptr_t)arg;
	int rounding = id == 1 ? FE_UPWARD : FE_TONEAREST;
	volatile long seed = id * 1000;
	volatile double dseed = (double)id + 0.5;
	long a = seed + 1, b = seed + 2, c = seed + 3, d = seed + 4, e = seed + 5, f = seed + 6, g = seed + 7;
	double p = dseed * 2, q = dseed * 3, r = dseed * 4, s = dseed * 5, t = dseed * 6, u = dseed * 7, v = dseed * 8, w = dseed * 9;

	check(((uintptr_t)__builtin_frame_address(0) & 15) == 0, "the alignment of the stack");
	fesetround(rounding);
	for (;;) {
		co_switch(&there[id], here);
		check(fegetround() == rounding, "the rounding mode");
		check(a + b + c + d + e + f + g == 7 * (seed + 4), "a register");
		check(p + q + r + s + t + u + v + w == dseed * 44, "a floating point register");
		steps[id]++;
	}
}

int main(void)
{
	for (long i = 0; i < CONTEXTS; i++) {
		char *stack = aligned_alloc(4096, STACK);

		if (!stack)
			return 2;
		there[i] = co_switch_make(stack, stack + STACK, work, (void *)(intptr_t)i);
	}
	for (int n = 0; n <= SWITCHES; n++) {
		for (int i = 0; i < CONTEXTS; i++) {
			co_switch(&here, there[i]);
			check(fegetround() == FE_TONEAREST, "the rounding mode of the first stack");
		}
	}
	for (int i = 0; i < CONTEXTS; i++)
		check(steps[i] == SWITCHES, "the number of steps");
	printf("%s: %d contexts, %d switches each\n", co_switch_kind, CONTEXTS, SWITCHES);
	return 0;
}
