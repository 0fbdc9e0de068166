/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * x86-64, System V ABI. What a called function must preserve is pushed onto the stack that is left, and taken
 * from the one that is entered: rbx, rbp, r12 to r15, and the control bits of MXCSR and of the x87 unit.
 * A context on its stack, upwards from its pointer:
 *
 *      0 mxcsr, x87 control word   8 r15  16 r14  24 r13  32 r12  40 rbx  48 rbp  56 where it goes on
 *
 * It leaves by a jump: `ret` would be predicted to go where the last `call` came from, and that was on the other stack
 * (2.5 ns a switch). A shadow stack would not see the change either way; so the note at the end promises branch tracking
 * (endbr64, and `notrack` for a jump to behind a call) and no shadow stack.
 */
	.text
	.globl	co_switch
	.hidden	co_switch
	.type	co_switch, @function
	.p2align 4
co_switch:
	.cfi_startproc
	endbr64
	pushq	%rbp
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbp, 0
	pushq	%rbx
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbx, 0
	pushq	%r12
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r12, 0
	pushq	%r13
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r13, 0
	pushq	%r14
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r14, 0
	pushq	%r15
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r15, 0
	subq	$8, %rsp
	.cfi_adjust_cfa_offset 8
	stmxcsr	(%rsp)
	fnstcw	4(%rsp)
	movq	%rsp, (%rdi)
	/* From here on it is the other stack; what lies on it has the same shape, so the CFI holds. */
	movq	%rsi, %rsp
	ldmxcsr	(%rsp)
	fldcw	4(%rsp)
	addq	$8, %rsp
	.cfi_adjust_cfa_offset -8
	popq	%r15
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r15
	popq	%r14
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r14
	popq	%r13
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r13
	popq	%r12
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r12
	popq	%rbx
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rbx
	popq	%rbp
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rbp
	popq	%rcx
	.cfi_adjust_cfa_offset -8
	.cfi_register %rip, %rcx
	notrack jmp *%rcx
	.cfi_endproc
	.size	co_switch, . - co_switch

/* Where a new context begins: the function in r12, its argument in r13. Backtraces end here. */
	.globl	co_switch_begin
	.hidden	co_switch_begin
	.type	co_switch_begin, @function
	.p2align 4
co_switch_begin:
	.cfi_startproc
	.cfi_undefined %rip
	endbr64
	movq	%r13, %rdi
	xorl	%ebp, %ebp
	callq	*%r12
	ud2
	.cfi_endproc
	.size	co_switch_begin, . - co_switch_begin

	.section .note.GNU-stack, "", @progbits
	/* GNU_PROPERTY_X86_FEATURE_1_AND: IBT (bit 0) */
	.section .note.gnu.property, "a"
	.p2align 3
	.long	4, 16, 5
	.asciz	"GNU"
	.long	0xc0000002, 4, 1, 0
