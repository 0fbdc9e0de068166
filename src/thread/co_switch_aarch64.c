/* SPDX-License-Identifier: BSD-3-Clause */
/* The first frame of a context, laid out as co_switch_aarch64.S expects to find it. */
#include "thread/co_switch.h"

#include <stdint.h>
#include <string.h>

#include "base/compiler.h"

const char *const co_switch_kind = "aarch64";

void co_switch_begin(void);

struct first_frame {
	uint64_t x19_to_x30[12];
	uint64_t d8_to_d15[8];
	uint64_t fpcr, unused;
};

nvio_static_assert(sizeof(struct first_frame) == 176, "its end is the top of the stack, aligned for a call");

void *co_switch_make(void *bottom, void *top, void (*fn)(void *arg), void *arg)
{
	struct first_frame *f = (struct first_frame *)top - 1;

	(void)bottom;
	memset(f, 0, sizeof(*f));
	/* Rounding and exceptions as whoever makes it has them, as if it made a call. */
	__asm__ volatile("mrs %0, fpcr" : "=r"(f->fpcr));
	f->x19_to_x30[0] = (uintptr_t)fn;
	f->x19_to_x30[1] = (uintptr_t)arg;
	f->x19_to_x30[11] = (uintptr_t)co_switch_begin;
	return f;
}
