/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Entered by the PVH boot protocol (Xen's "HVM direct boot ABI"): 32 bits, flat segments, paging off, interrupts off. Goes on to 64 bits
 * with all of the first 512 GiB mapped to itself, in pages of 1 GiB, which is all the paging there is. They are cached as the
 * processor's memory types (MTRRs) say: memory is, BARs are not.
 */
	.section .note.pvh, "a", @note
	.balign 4
	.long 4, 8, 18 /* name of 4 bytes, address of 8, XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.quad start

	.section .text.start, "ax"
	.code32
	.globl start
start:
	cld
	rdtsc
	mov %eax, %edi
	mov %edx, %esi

	mov $0x80000001, %eax
	cpuid
	test $(1 << 26), %edx /* pages of 1 GiB */
	jz no_big_pages

	/* Page directory pointer i: i GiB, present, writable, large. */
	mov $pdpt, %ebx
	mov $0x83, %eax
	xor %edx, %edx
1:	mov %eax, (%ebx)
	mov %edx, 4(%ebx)
	add $8, %ebx
	add $(1 << 30), %eax
	adc $0, %edx
	cmp $(pdpt + 4096), %ebx
	jne 1b

	movl $(pdpt + 3), pml4
	mov $pml4, %eax
	mov %eax, %cr3
	mov %cr4, %eax
	or $(1 << 5), %eax /* PAE */
	mov %eax, %cr4
	mov $0xc0000080, %ecx /* EFER.LME */
	rdmsr
	or $(1 << 8), %eax
	wrmsr
	mov %cr0, %eax
	or $(1 << 31 | 1), %eax /* PG, PE */
	mov %eax, %cr0
	lgdt gdt_where
	ljmp $8, $start64

no_big_pages: /* "1G?" is all that can be said here */
	mov $0x3f8, %dx
	mov $'1', %al
	out %al, %dx
	mov $'G', %al
	out %al, %dx
	mov $'?', %al
	out %al, %dx
2:	cli
	hlt
	jmp 2b

	.code64
start64:
	mov $16, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	lea stack_end(%rip), %rsp
	shl $32, %rsi
	mov %edi, %edi
	or %rsi, %rdi /* the counter as it was at the entry */
	call machine_begin
	call run
3:	cli
	hlt
	jmp 3b

	.section .rodata
	.balign 8
gdt:
	.quad 0
	.quad 0x00af9a000000ffff /* 8: code, 64 bits */
	.quad 0x00cf92000000ffff /* 16: data */
gdt_where:
	.word . - gdt - 1
	.quad gdt

	.section .bss
	.balign 4096
pml4:	.skip 4096
pdpt:	.skip 4096
	.skip 65536
stack_end:
