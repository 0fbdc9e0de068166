/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The room's inside, and what other rooms ask of it beyond <nvio/mem.h>: locking, the seam where something
 * that maps memory for devices hooks in, and marking buffers as in flight. Files: region.c (mappings of the
 * process, locks), map.c (device addresses, and whoever maps them), iova.c (which of them are taken), heap.c
 * (buffers cut from regions), tree.c (buffers by address), use.c (look-ups, registration, handles, holds),
 * cache.c (device addresses for the I/O path), env.c (the environment's corner).
 */
#ifndef MEM_MEM_H
#define MEM_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/env.h"
#include "base/list.h"
#include "base/platform.h"
#include "mem/cache.h"
#include "mem/iova.h"
#include <nvio/mem.h>

#define MEM_PAGE	((size_t)4096)
#define MEM_HUGE_2M	((size_t)2 << 20)
#define MEM_HUGE_1G	((size_t)1 << 30)
#define MEM_GRANULE	((size_t)64)	  /* buffers begin and end on cache lines: no two share one */
#define MEM_REGION_SIZE ((size_t)4 << 20) /* what is mapped when a small buffer finds no room */
#define MEM_OWN_REGION	((size_t)2 << 20) /* buffers from this size on get a region of their own */
#define MEM_MAX_ALIGN	((size_t)1 << 30)
#define MEM_BINS	64 /* free spans by the power of two below their length */
#define MEM_BIN_LOOKS	32 /* spans looked at in a bin before moving on to one where each fits */

/* ---- For other rooms ---- */

/*
 * Whatever maps memory for devices: an IOMMU. An environment may have several, and all of them map all of its memory (what there
 * is, and what comes) at the same device addresses, which this room chooses. While there is none, device addresses are virtual
 * addresses. All functions run with the room's lock held, on any thread, and must not call this room.
 */
struct mem_range {
	uint64_t first, last;
};

struct mem_mapper {
	const struct mem_mapper_ops *ops;
	char name[64];			/* for messages: "vfio: 0000:01:00.0" */
	uint64_t page_sizes;		/* bit mask; the smallest is what all regions must be multiples of */
	const struct mem_range *ranges; /* device addresses it can map, ascending */
	unsigned int num_ranges;
	/*
	 * What it maps stays in memory until it is unmapped (VFIO pins pages), and counts against RLIMIT_MEMLOCK. While there is such
	 * a mapper nothing is locked by mlock, which would count a second time and add nothing.
	 */
	bool pins;
	struct list link; /* the room's */
};

struct mem_mapper_ops {
	/* 0, or -errno with words that say who, what, and what to raise (the user sees just these); then nothing is mapped. */
	int (*map)(struct mem_mapper *m, void *va, size_t len, uint64_t iova);
	void (*unmap)(struct mem_mapper *m, void *va, size_t len, uint64_t iova);
	/*
	 * Not NULL: there is no IOMMU, and this tells the physical address of each MEM_PAGE of [va, va + len), in the place of map.
	 * Only hugepages stay where they are, so only those can be used; and there can be no other mapper but of the same kind.
	 */
	int (*physical)(struct mem_mapper *m, const void *va, size_t len, uint64_t *addrs);
};

/*
 * All memory of the environment is mapped through `m`, too. 0; -EBUSY an open handle's device address would change, or one with and one
 * without IOMMU in one environment; -ENOSPC no room in the device addresses that all mappers can map, or what there is lies at some that m
 * cannot map; -EINVAL what there is is no multiple of m's smallest page; -EPERM no hugepages where they are needed; -ENOMEM; or what map
 * or physical returned. On failure it is as before.
 */
int mem_mapper_add(struct nvio_env *env, struct mem_mapper *m);

/* Unmaps everything from it. Its device must have stopped. */
void mem_mapper_remove(struct nvio_env *env, struct mem_mapper *m);

/*
 * Memory that is contiguous for devices: device address = address + delta for all of [base, base + len), until it is freed or
 * unregistered or mappers come and go. Whoever translates on the I/O path has a mem_cache (mem/cache.h), which is told of that.
 */
struct mem_extent {
	uintptr_t base;
	size_t len;
	uint64_t delta;
};

/* The extent around ptr. 0; -EFAULT neither allocated here nor registered, with words. Takes the room's lock. Any thread. */
int mem_extent_find(struct nvio_env *env, const void *ptr, struct mem_extent *extent);

/*
 * Something does DMA by device address: locks all memory and what comes later, unless the options say never, and except
 * while a mapper pins it. 0; -EPERM the limit on locked memory, with words that name what is needed.
 */
int mem_require_device(struct nvio_env *env);

/* A buffer's memfd and the offset in it, for a peer process. The fd stays the room's. 0; -EFAULT not of this room. */
int mem_share(struct nvio_env *env, const void *ptr, int *fd, uint64_t *offset);

/*
 * An I/O on [ptr, ptr + len) is submitted, or over: between the two, freeing or unregistering it is -EBUSY.
 * Checked builds only, in others nothing is looked at. 0, also for memory that is none of ours (over loop and
 * TCP any pointer is a valid buffer); -EFAULT: it is ours, but freed or never handed out, or runs over the
 * end of the buffer.
 */
int mem_hold_range(struct nvio_env *env, const void *ptr, size_t len);
void mem_release_range(struct nvio_env *env, const void *ptr, size_t len);

static inline int mem_hold(struct nvio_env *env, const void *ptr, size_t len)
{
	return NVIO_CHECKED ? mem_hold_range(env, ptr, len) : 0;
}

static inline void mem_release(struct nvio_env *env, const void *ptr, size_t len)
{
	if (NVIO_CHECKED)
		mem_release_range(env, ptr, len);
}

/* ---- Inside; all of it with mem->lock held ---- */

/* A mapping: ours (a memfd), or the caller's that was registered. All fields under the lock. */
struct mem_region {
	struct list link; /* in mem->regions */
	char *base;
	size_t len; /* multiple of page_size */
	size_t page_size;
	uint64_t iova;	/* device address of base */
	uint64_t *phys; /* no IOMMU: device address of each of its pages; NULL otherwise */
	struct iova_range place; /* in mem->placed while mapped */
	int fd;			 /* -1: the caller's memory */
	bool reserved; /* made at open, stays to the end */
	bool whole;    /* one large buffer is all that is in it, ever */
	bool locked;
	bool mapped;	   /* through all of mem->mappers, at `place` */
	struct list spans; /* all of it, in the order of addresses */
	size_t used;	   /* spans handed out */
	size_t fresh; /* offset from which on nothing was ever handed out: zero still, and not even touched */
};

/* A piece of a region: free, or handed out. Metadata stands apart from the memory, which devices write to. */
struct mem_span {
	struct mem_span *left, *right; /* in mem->tree, by address; a treap */
	uint32_t prio;
	bool used;
	uint32_t handles; /* open nvio_mem_buf */
	uint32_t holds;	  /* I/Os in flight */
	const void *held; /* the last of them, for the message */
	size_t held_len;
	char *base;
	size_t len;  /* multiple of the granule */
	size_t size; /* what was asked for */
	struct mem_region *region;
	struct list order; /* region->spans */
	struct list bin;   /* free ones: mem->bins[] */
};

struct mem {
	struct lock lock;
	struct nvio_env *env;
	struct mem_span *tree;
	struct list regions;
	struct list caches; /* mem_cache */
	struct list bins[MEM_BINS];
	uint64_t nonempty; /* bit per bin */
	uint32_t prio;	   /* state of the treap's coin */
	size_t limit;	   /* bytes of our own that may be mapped */
	bool fixed;	   /* all of it was reserved at open */
	bool lock_pages;
	struct list mappers;	  /* struct mem_mapper; all with an IOMMU, or all without */
	bool physical;		  /* without */
	unsigned int pinning;	  /* mappers that pin */
	struct iova_tree placed;  /* device addresses in use */
	struct nvio_mem_stats stats;
};

/* use.c */
int mem_extent_locked(const struct mem *mem, const void *ptr, struct mem_extent *extent);

/* cache.c: before device addresses of [base, base + len) cease to be valid, or change */
void mem_cache_drop(struct mem *mem, const void *base, size_t len);

/* region.c */
int mem_region_create(struct mem *mem, size_t len, size_t align, struct mem_region **region);
int mem_region_adopt(struct mem *mem, void *base, size_t len, struct mem_region **region);
void mem_region_destroy(struct mem *mem, struct mem_region *region);
int mem_region_lock(struct mem *mem, struct mem_region *region);
void mem_region_unlock(struct mem *mem, struct mem_region *region);
size_t mem_region_page(const struct mem *mem);

/* map.c */
int mem_region_map(struct mem *mem, struct mem_region *region); /* 0, or -errno with words and nothing mapped */
void mem_region_unmap(struct mem *mem, struct mem_region *region);
uint64_t mem_region_addr(const struct mem_region *region, const void *ptr, struct mem_extent *extent);
size_t mem_map_granule(const struct mem *mem); /* what regions must be multiples of, for all mappers */

/* Pages are to be locked by mlock. */
static inline bool mem_locks(const struct mem *mem)
{
	return mem->lock_pages && !mem->pinning;
}

/* heap.c */
int mem_heap_reserve(struct mem *mem, size_t len);
int mem_heap_alloc(struct mem *mem, size_t size, size_t align, bool zeroed, void **buf);
int mem_heap_free(struct mem *mem, void *buf);

/* tree.c */
void mem_tree_insert(struct mem *mem, struct mem_span *span);
void mem_tree_remove(struct mem *mem, struct mem_span *span);
struct mem_span *mem_tree_floor(
	const struct mem *mem, const void *ptr); /* the last span that begins at or before ptr */
struct mem_span *mem_tree_find(const struct mem *mem, const void *ptr); /* the span that holds ptr */

#endif
