/* SPDX-License-Identifier: BSD-3-Clause */
/* The first frame of a context, laid out as co_switch_x86_64.S expects to find it. */
#include "thread/co_switch.h"

#include <stdint.h>
#include <string.h>

#include "base/compiler.h"

const char *const co_switch_kind = "x86-64";

void co_switch_begin(void);

struct first_frame {
	uint32_t mxcsr;
	uint16_t x87, unused;
	uintptr_t r15, r14, r13, r12, rbx, rbp, resume;
};

nvio_static_assert(sizeof(struct first_frame) == 64, "its end is the top of the stack, aligned for a call");

void *co_switch_make(void *bottom, void *top, void (*fn)(void *arg), void *arg)
{
	struct first_frame *f = (struct first_frame *)top - 1;

	(void)bottom;
	memset(f, 0, sizeof(*f));
	/* Rounding and exceptions as whoever makes it has them, as if it made a call. */
	__asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(f->mxcsr), "=m"(f->x87));
	f->r12 = (uintptr_t)fn;
	f->r13 = (uintptr_t)arg;
	f->resume = (uintptr_t)co_switch_begin;
	return f;
}
