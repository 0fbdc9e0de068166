/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * AArch64, AAPCS64. What a called function must preserve is stored on the stack that is left, and taken from the
 * one that is entered: x19 to x30, the low halves of v8 to v15, and FPCR. A context on its stack, upwards from its
 * pointer:
 *
 *      0 x19 x20  16 x21 x22  32 x23 x24  48 x25 x26  64 x27 x28  80 x29 x30  96 d8 to d15  160 fpcr
 */
	.text
	.globl	co_switch
	.hidden	co_switch
	.type	co_switch, %function
	.p2align 4
co_switch:
	.cfi_startproc
	hint	#34			/* bti c */
	sub	sp, sp, #176
	.cfi_adjust_cfa_offset 176
	stp	x19, x20, [sp, #0]
	.cfi_rel_offset x19, 0
	.cfi_rel_offset x20, 8
	stp	x21, x22, [sp, #16]
	.cfi_rel_offset x21, 16
	.cfi_rel_offset x22, 24
	stp	x23, x24, [sp, #32]
	.cfi_rel_offset x23, 32
	.cfi_rel_offset x24, 40
	stp	x25, x26, [sp, #48]
	.cfi_rel_offset x25, 48
	.cfi_rel_offset x26, 56
	stp	x27, x28, [sp, #64]
	.cfi_rel_offset x27, 64
	.cfi_rel_offset x28, 72
	stp	x29, x30, [sp, #80]
	.cfi_rel_offset x29, 80
	.cfi_rel_offset x30, 88
	stp	d8, d9, [sp, #96]
	stp	d10, d11, [sp, #112]
	stp	d12, d13, [sp, #128]
	stp	d14, d15, [sp, #144]
	mrs	x9, fpcr
	str	x9, [sp, #160]
	mov	x10, sp
	str	x10, [x0]
	/* From here on it is the other stack; what lies on it has the same shape, so the CFI holds. */
	mov	sp, x1
	ldr	x10, [sp, #160]
	cmp	x9, x10			/* nearly always the same, and writing it is slow */
	b.eq	1f
	msr	fpcr, x10
1:	ldp	x19, x20, [sp, #0]
	ldp	x21, x22, [sp, #16]
	ldp	x23, x24, [sp, #32]
	ldp	x25, x26, [sp, #48]
	ldp	x27, x28, [sp, #64]
	ldp	x29, x30, [sp, #80]
	ldp	d8, d9, [sp, #96]
	ldp	d10, d11, [sp, #112]
	ldp	d12, d13, [sp, #128]
	ldp	d14, d15, [sp, #144]
	add	sp, sp, #176
	.cfi_def_cfa_offset 0
	ret
	.cfi_endproc
	.size	co_switch, . - co_switch

/* Where a new context begins: the function in x19, its argument in x20. Backtraces end here. */
	.globl	co_switch_begin
	.hidden	co_switch_begin
	.type	co_switch_begin, %function
	.p2align 4
co_switch_begin:
	.cfi_startproc
	.cfi_undefined x30
	hint	#36			/* bti j */
	mov	x0, x20
	mov	x29, xzr
	blr	x19
	brk	#1
	.cfi_endproc
	.size	co_switch_begin, . - co_switch_begin

	.section .note.GNU-stack, "", %progbits
	/* GNU_PROPERTY_AARCH64_FEATURE_1_AND: BTI (bit 0) */
	.section .note.gnu.property, "a"
	.p2align 3
	.long	4, 16, 5
	.asciz	"GNU"
	.long	0xc0000000, 4, 1, 0
