/* SPDX-License-Identifier: BSD-3-Clause */
/* The software IOMMU; see iommu.h. */
#include "loop/iommu.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fail.h"

struct mapping {
	struct iova_range range;
	char *va;
};

/* 48 bits, as IOMMUs with page tables of four levels have. */
static const struct mem_range range = { (uint64_t)1 << 32, ((uint64_t)1 << 48) - 1 };

static struct loop_iommu *to_iommu(struct mem_mapper *m)
{
	return container_of(m, struct loop_iommu, mapper);
}

static int iommu_map(struct mem_mapper *m, void *va, size_t len, uint64_t iova)
{
	struct loop_iommu *iommu = to_iommu(m);
	struct mapping *mapping = alloc_zeroed(sizeof(*mapping));

	if (!mapping)
		return fail(-ENOMEM, "%s: no memory for the description of %zu bytes", m->name, len);
	mapping->range.first = iova;
	mapping->range.last = iova + len - 1;
	mapping->va = va;
	pthread_mutex_lock(&iommu->lock);
	iova_insert(&iommu->mappings, &mapping->range);
	pthread_mutex_unlock(&iommu->lock);
	return 0;
}

static void iommu_unmap(struct mem_mapper *m, void *va, size_t len, uint64_t iova)
{
	struct loop_iommu *iommu = to_iommu(m);
	struct iova_range *found;
	struct mapping *mapping;

	pthread_mutex_lock(&iommu->lock);
	found = iova_find(&iommu->mappings, iova);
	invariant(found && found->first == iova && found->last == iova + len - 1);
	mapping = container_of(found, struct mapping, range);
	invariant(mapping->va == va);
	iova_remove(&iommu->mappings, found);
	/* Release: whoever sees it finds the map without this, under the lock, and whatever is mapped here next only after it. */
	__atomic_fetch_add(&iommu->epoch, 1, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&iommu->lock);
	alloc_free(mapping);
}

static const struct mem_mapper_ops iommu_ops = { .map = iommu_map, .unmap = iommu_unmap };

void loop_iommu_init(struct loop_iommu *iommu, const char *name)
{
	*iommu = (struct loop_iommu){
		.mapper.ops = &iommu_ops,
		.mapper.page_sizes = MEM_PAGE,
		.mapper.ranges = &range,
		.mapper.num_ranges = 1,
	};
	snprintf(iommu->mapper.name, sizeof(iommu->mapper.name), "loop: %.50s", name);
	pthread_mutex_init(&iommu->lock, NULL);
}

void loop_iommu_fini(struct loop_iommu *iommu)
{
	invariant(!iommu->mappings.root);
	pthread_mutex_destroy(&iommu->lock);
}

void *loop_iommu_walk(struct loop_iommu *iommu, struct loop_tlb *tlb, uint64_t iova, uint64_t len)
{
	unsigned int slot = (iova >> 21) % LOOP_TLB_SLOTS;
	struct iova_range *found;
	void *p = NULL;

	pthread_mutex_lock(&iommu->lock);
	/* Under the lock the epoch and the map agree. */
	if (tlb->epoch != __atomic_load_n(&iommu->epoch, __ATOMIC_RELAXED)) {
		memset(tlb->slots, 0, sizeof(tlb->slots));
		tlb->epoch = __atomic_load_n(&iommu->epoch, __ATOMIC_RELAXED);
	}
	found = iova_find(&iommu->mappings, iova);
	if (found && len - 1 <= found->last - iova) {
		tlb->slots[slot].first = found->first;
		tlb->slots[slot].len = found->last - found->first + 1;
		tlb->slots[slot].va = container_of(found, struct mapping, range)->va;
		p = tlb->slots[slot].va + (iova - found->first);
	}
	pthread_mutex_unlock(&iommu->lock);
	return p;
}
