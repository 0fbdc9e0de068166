/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two stacks that switch to each other in a loop. No floating point state, no scheduler, no sanitizers. On other processors
 * the floor is swapcontext().
 */
#include "co_floor.h"

#include <stdlib.h>

#include "load.h"

#define STACK 65536

static void *there, *here;

#if defined(__x86_64__)

void co_floor_jump(void **save, void *to);

__asm__(".text\n"
	".globl co_floor_jump\n"
	".hidden co_floor_jump\n"
	".type co_floor_jump, @function\n"
	"co_floor_jump:\n"
	"	pushq %rbp\n	pushq %rbx\n	pushq %r12\n	pushq %r13\n	pushq %r14\n	pushq %r15\n"
	"	movq %rsp, (%rdi)\n"
	"	movq %rsi, %rsp\n"
	"	popq %r15\n	popq %r14\n	popq %r13\n	popq %r12\n	popq %rbx\n	popq %rbp\n"
	"	ret\n"
	".size co_floor_jump, . - co_floor_jump\n");

static void *make(char *top, void (*fn)(void))
{
	uintptr_t *sp = (uintptr_t *)top - 2; /* as after a call */

	*--sp = (uintptr_t)fn;
	for (int i = 0; i < 6; i++)
		*--sp = 0;
	return sp;
}

#elif defined(__aarch64__)

void co_floor_jump(void **save, void *to);

__asm__(".text\n"
	".globl co_floor_jump\n"
	".hidden co_floor_jump\n"
	".type co_floor_jump, %function\n"
	"co_floor_jump:\n"
	"	sub sp, sp, #160\n"
	"	stp x19, x20, [sp]\n	stp x21, x22, [sp, #16]\n	stp x23, x24, [sp, #32]\n"
	"	stp x25, x26, [sp, #48]\n	stp x27, x28, [sp, #64]\n	stp x29, x30, [sp, #80]\n"
	"	stp d8, d9, [sp, #96]\n	stp d10, d11, [sp, #112]\n	stp d12, d13, [sp, #128]\n	stp d14, d15, [sp, #144]\n"
	"	mov x9, sp\n	str x9, [x0]\n	mov sp, x1\n"
	"	ldp x19, x20, [sp]\n	ldp x21, x22, [sp, #16]\n	ldp x23, x24, [sp, #32]\n"
	"	ldp x25, x26, [sp, #48]\n	ldp x27, x28, [sp, #64]\n	ldp x29, x30, [sp, #80]\n"
	"	ldp d8, d9, [sp, #96]\n	ldp d10, d11, [sp, #112]\n	ldp d12, d13, [sp, #128]\n	ldp d14, d15, [sp, #144]\n"
	"	add sp, sp, #160\n	ret\n"
	".size co_floor_jump, . - co_floor_jump\n");

static void *make(char *top, void (*fn)(void))
{
	uintptr_t *sp = (uintptr_t *)(top - 160);

	for (int i = 0; i < 20; i++)
		sp[i] = 0;
	sp[11] = (uintptr_t)fn;
	return sp;
}

#else

#include <ucontext.h>

static void co_floor_jump(void **save, void *to)
{
	ucontext_t now;

	*save = &now;
	swapcontext(&now, to);
}

static void *make(char *top, void (*fn)(void))
{
	static ucontext_t first;

	getcontext(&first);
	first.uc_stack.ss_sp = top - STACK;
	first.uc_stack.ss_size = STACK;
	makecontext(&first, fn, 0);
	return &first;
}

#endif

static void other_side(void)
{
	for (;;)
		co_floor_jump(&there, here);
}

void co_floor_switch(uint64_t n)
{
	if (!there)
		there = make((char *)load_memory(STACK) + STACK, other_side);
	for (n /= 2; n; n--)
		co_floor_jump(&here, there);
}
