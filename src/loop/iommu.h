/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An IOMMU made of software: what stands between a target that is to see no more than a PCIe function would and the memory of its
 * host. The host's side is a mapper of the environment's memory (mem/mem.h), the target's side leads from device addresses
 * to that memory. Device addresses begin at 4 GiB, far from what virtual addresses are, so that one never passes for the other.
 */
#ifndef LOOP_IOMMU_H
#define LOOP_IOMMU_H

#include <pthread.h>
#include <stdbool.h>

#include "base/compiler.h"
#include "mem/mem.h"

struct loop_iommu {
	struct mem_mapper mapper;
	pthread_mutex_t lock;
	struct iova_tree mappings; /* lock; struct mapping of iommu.c */
	/*
	 * One more before something is unmapped: what was remembered of it is void. On a line of its own: the target reads it at each
	 * access.
	 */
	uint32_t epoch CACHE_ALIGNED; /* atomic */
};

/* What a target remembers of the map. One thread at a time; zeroed at first. */
#define LOOP_TLB_SLOTS 64
struct loop_tlb {
	uint32_t epoch;
	struct {
		uint64_t first, len; /* len 0: nothing */
		char *va;
	} slots[LOOP_TLB_SLOTS];
};

/* `name` is the mapper's, cut if need be. fini: nothing is mapped any more. */
void loop_iommu_init(struct loop_iommu *iommu, const char *name);
void loop_iommu_fini(struct loop_iommu *iommu);

void *loop_iommu_walk(struct loop_iommu *iommu, struct loop_tlb *tlb, uint64_t iova, uint64_t len);

/*
 * The memory behind [iova, iova + len), len not 0; NULL: not all of it is mapped, as one piece. It may be touched until it is unmapped,
 * which the host does when its I/O is over. Any thread, each with a tlb of its own; others may map and unmap at the same time.
 */
static inline void *loop_iommu_reach(struct loop_iommu *iommu, struct loop_tlb *tlb, uint64_t iova, uint64_t len)
{
	/* Regions are 4 MiB, mostly: neighbouring 2 MiB have slots of their own. */
	unsigned int slot = (iova >> 21) % LOOP_TLB_SLOTS;
	uint64_t offset = iova - tlb->slots[slot].first;

	/*
	 * Acquire: pairs with the increment before an unmap, so that nothing is found here that was unmapped before whatever told us of
	 * this address, and that an address that came anew is not taken for the one it was.
	 */
	if (likely(__atomic_load_n(&iommu->epoch, __ATOMIC_ACQUIRE) == tlb->epoch && offset < tlb->slots[slot].len &&
		    len <= tlb->slots[slot].len - offset))
		return tlb->slots[slot].va + offset;
	return loop_iommu_walk(iommu, tlb, iova, len);
}

#endif
