/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Device addresses for the I/O path: each queue pair keeps the extents of the buffers it has seen, so that a buffer of the same
 * registration as the last one costs two comparisons and an addition, and no lock. Before an extent ceases to be valid it is
 * taken out of all caches; whoever still has I/O on memory that is being unregistered has lost either way.
 */
#include "mem/mem.h"

void mem_cache_open(struct nvio_env *env, struct mem_cache *cache)
{
	*cache = (struct mem_cache){ .env = env, .last = &cache->ways[0] };
	lock_take(&env->mem->lock);
	list_push_back(&env->mem->caches, &cache->link);
	lock_give(&env->mem->lock);
}

void mem_cache_close(struct mem_cache *cache)
{
	if (!cache->env)
		return;
	lock_take(&cache->env->mem->lock);
	list_remove(&cache->link);
	lock_give(&cache->env->mem->lock);
	cache->env = NULL;
}

void mem_cache_drop(struct mem *mem, const void *base, size_t len)
{
	uintptr_t first = (uintptr_t)base;

	list_for_each (pos, &mem->caches) {
		struct mem_cache *cache = list_entry(pos, struct mem_cache, link);

		for (unsigned int i = 0; i < MEM_CACHE_WAYS; i++) {
			struct mem_way *way = &cache->ways[i];

			if (way->end > first && way->base < first + len)
				__atomic_store_n(&way->end, 0, __ATOMIC_RELAXED);
		}
	}
}

/* `base` and `delta` are written by the cache's own thread only, `end` by whoever holds the lock. */
static int look_up(struct mem_cache *cache, const void *ptr)
{
	struct mem_way *way = &cache->ways[cache->next % MEM_CACHE_WAYS];
	struct mem *mem = cache->env->mem;
	struct mem_extent extent;
	int rc;

	lock_take(&mem->lock);
	rc = mem_extent_locked(mem, ptr, &extent);
	if (!rc) {
		way->base = extent.base;
		way->delta = extent.delta;
		__atomic_store_n(&way->end, extent.base + extent.len, __ATOMIC_RELAXED);
		cache->last = way;
		cache->next++;
	}
	lock_give(&mem->lock);
	return rc;
}

static bool holds(const struct mem_way *way, uintptr_t addr)
{
	return addr >= way->base && addr < __atomic_load_n(&way->end, __ATOMIC_RELAXED);
}

int mem_cache_find(struct mem_cache *cache, const void *ptr, uint64_t *device_addr, size_t *contig)
{
	uintptr_t addr = (uintptr_t)ptr;

	for (unsigned int i = 0; i < MEM_CACHE_WAYS && !holds(cache->last, addr); i++)
		if (holds(&cache->ways[i], addr))
			cache->last = &cache->ways[i];
	if (!holds(cache->last, addr)) {
		int rc = look_up(cache, ptr);

		if (rc)
			return rc;
	}
	*device_addr = addr + cache->last->delta;
	*contig = __atomic_load_n(&cache->last->end, __ATOMIC_RELAXED) - addr;
	return 0;
}
