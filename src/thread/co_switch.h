/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From one stack to another. Meson chooses who does it: assembly (co_switch_asm.c with co_switch_x86_64.S or
 * co_switch_aarch64.S) or ucontext (co_switch_ucontext.c). All that a suspended context needs lies on its own
 * stack, so one pointer stands for it.
 */
#ifndef THREAD_CO_SWITCH_H
#define THREAD_CO_SWITCH_H

#include <stddef.h>

/* How: "x86-64", "aarch64" or "ucontext". */
extern const char *const co_switch_kind;

/*
 * Makes a context that calls fn(arg), which never returns, on the stack [bottom, top); top is aligned to 16.
 * Returns what stands for it. At most a few hundred bytes below top (ucontext: one to five KiB) are used.
 */
void *co_switch_make(void *bottom, void *top, void (*fn)(void *arg), void *arg);

/* Suspends the caller, with *save standing for it, and goes on with `to`, which is used up by that. */
void co_switch(void **save, void *to);

#endif
