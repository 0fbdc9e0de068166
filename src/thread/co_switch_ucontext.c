/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The switch for processors without one in assembly. It also saves and restores the signal mask, by a system call each
 * time, which is why it is not the choice where there is another.
 */
#include "thread/co_switch.h"

#include <stdint.h>
#include <ucontext.h>

#include "base/compiler.h"
#include "base/fail.h"

const char *const co_switch_kind = "ucontext";

/* At the top of a context's stack. */
struct first {
	ucontext_t context;
	void (*fn)(void *arg);
	void *arg;
};

/* makecontext() hands on ints; a pointer takes two. */
static void begin(unsigned high, unsigned low)
{
	struct first *f = (struct first *)((uintptr_t)high << 16 << 16 | low);

	f->fn(f->arg);
	invariant(!"a context does not return");
}

void *co_switch_make(void *bottom, void *top, void (*fn)(void *arg), void *arg)
{
	struct first *f = (struct first *)ALIGN_DOWN((uintptr_t)top - sizeof(*f), 64);
	uintptr_t p = (uintptr_t)f;

	invariant(!getcontext(&f->context)); /* has no reason to fail */
	f->fn = fn;
	f->arg = arg;
	f->context.uc_link = NULL;
	f->context.uc_stack.ss_sp = bottom;
	f->context.uc_stack.ss_size = (size_t)((char *)f - (char *)bottom);
	makecontext(&f->context, (void (*)(void))begin, 2, (unsigned)(p >> 16 >> 16), (unsigned)p);
	return &f->context;
}

void co_switch(void **save, void *to)
{
	ucontext_t here;

	*save = &here;
	invariant(!swapcontext(&here, to));
}
