/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Registers and doorbells of the loop port, and memory. Without an IOMMU device addresses are virtual addresses of this process: whether
 * memory is really there cannot be known cheaply; what can never be is refused. Behind one it is known.
 */
#include "target/loop/port.h"

#include "loop/loop.h"
#include <nvio/spec/regs.h>

#define LOWEST_ADDR  0x10000ull           /* the kernel maps nothing below (vm.mmap_min_addr) */
#define HIGHEST_ADDR 0x00ffffffffffffffull /* user space of 5-level page tables, and more than any other has */

static bool port_reg_next(void *ctx, struct memq_reg_write *w)
{
	struct loop_write lw;

	if (likely(!loop_reg_next(ctx, &lw)))
		return false;
	*w = (struct memq_reg_write){ lw.offset, lw.width, lw.value };
	return true;
}

static void port_reg_publish(void *ctx, uint32_t offset, uint32_t width, uint64_t value)
{
	if (width == 8)
		loop_reg_publish64(ctx, offset, value);
	else
		loop_reg_publish32(ctx, offset, (uint32_t)value);
	/* Hosts that sleep are told that the status has changed, as completions are not all that they wait for. */
	if (offset == NVIO_REG_CSTS)
		loop_bells_ring(ctx);
}

static uint32_t *port_doorbell(void *ctx, uint32_t index)
{
	return loop_doorbell(ctx, index);
}

static void port_irq(void *ctx, uint32_t vector)
{
	loop_irq_raise(ctx, vector);
}

static void port_present(void *ctx, bool present)
{
	loop_set_present(ctx, present);
}

static uint32_t *port_armed_word(void *ctx)
{
	return loop_bells_armed(ctx);
}

static uint32_t port_armed(void *ctx, uint16_t qid)
{
	return loop_bell_armed(ctx, qid);
}

static void port_wake(void *ctx, uint16_t qid)
{
	loop_bell_ring(ctx, qid);
}

const struct memq_port_ops tgt_loop_port_ops = {
	.reg_next = port_reg_next,
	.reg_publish = port_reg_publish,
	.doorbell = port_doorbell,
	.irq = port_irq,
	.present = port_present,
	.armed_word = port_armed_word,
	.armed = port_armed,
	.wake = port_wake,
};

static void *identity_map(void *ctx, uint64_t addr, uint64_t len, bool write)
{
	if (unlikely(addr < LOWEST_ADDR || addr > HIGHEST_ADDR || len > HIGHEST_ADDR - addr))
		return NULL;
	return (void *)(uintptr_t)addr;
}

const struct tgt_dma_ops tgt_loop_dma_ops = {
	.map = identity_map,
};

/* The first is said aloud, since it is a program's mistake; a flood of them only where somebody looks for it. */
static COLD void dma_fault(struct tgt_loop_iommu *iommu, uint64_t addr, uint64_t len, bool write)
{
	const struct memq *m = iommu->memq;

	/* A host that has left has taken its memory along, and is owed nothing any more. */
	if (!memq_has_left(m))
		return;
	log_msg(&m->ctrlr.env->log, iommu->faults ? NVIO_LOG_DEBUG : NVIO_LOG_WARN,
		"drive: %s: DMA fault: %s of %llu bytes at device address %#llx, where nothing is mapped; buffers come from nvio_mem_alloc() or "
		"are registered by nvio_mem_register(), until their I/O is over",
		iommu->name, write ? "write" : "read", (unsigned long long)len, (unsigned long long)addr);
	tgt_count(&iommu->faults, 1);
}

static void *iommu_dma_map(void *ctx, uint64_t addr, uint64_t len, bool write)
{
	struct tgt_loop_iommu *iommu = ctx;
	void *p = loop_reach(iommu->port, &iommu->tlb, addr, len);

	if (unlikely(!p))
		dma_fault(iommu, addr, len, write);
	return p;
}

const struct tgt_dma_ops tgt_loop_iommu_dma_ops = {
	.map = iommu_dma_map,
};
