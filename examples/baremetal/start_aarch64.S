/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Entered at EL1, MMU and caches off. Maps the first GiB as device memory and the ones behind it as ordinary, inner shareable memory, each to
 * itself: with the MMU off all of it would be device memory, in which unaligned accesses trap and atomics need not work.
 */
	.section .text.start, "ax"
	.globl start
start:
	isb
	mrs x19, cntvct_el0

	adrp x0, level1
	add x0, x0, :lo12:level1
	msr ttbr0_el1, x0
	ldr x0, =0xff00 /* MAIR: attribute 0 is device-nGnRnE, 1 is memory, write-back */
	msr mair_el1, x0
	/* T0SZ 25: 39 bits, walks begin at level 1. Tables: write-back, inner shareable, 4 KiB. TTBR1 is off. 40 bits of address. */
	ldr x0, =(25 | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 23 | 2 << 32)
	msr tcr_el1, x0
	ldr x0, =vectors
	msr vbar_el1, x0
	dsb ish
	tlbi vmalle1
	dsb ish
	isb
	mrs x0, sctlr_el1
	ldr x1, =(1 << 12 | 1 << 2 | 1) /* I, C, M */
	orr x0, x0, x1
	bic x0, x0, #2 /* A: unaligned accesses to memory are all right */
	msr sctlr_el1, x0
	isb

	ldr x0, =stack_end
	mov sp, x0
	mov x0, x19
	bl machine_begin
	bl run
1:	wfi
	b 1b

	/* A fault is a bug, of which there is nothing to be said but where. */
	.balign 2048
vectors:
	.rept 16
	.balign 128
	b fault
	.endr
fault:
	ldr x0, =stack_end
	mov sp, x0
	mrs x0, elr_el1
	mrs x1, esr_el1
	b machine_fault

	.section .data.level1, "aw"
	.balign 4096
level1:
	.quad 0x0060000000000401 /* block, accessed, attribute 0, never executed */
	.set gib, 1
	.rept 511
	.quad gib << 30 | 0x705 /* block, accessed, inner shareable, attribute 1 */
	.set gib, gib + 1
	.endr

	.section .bss
	.balign 16
	.skip 65536
stack_end:
