/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Device addresses without a look-up: the extents that somebody on the I/O path has seen. One thread at a time uses a cache; it is
 * closed before the environment.
 */
#ifndef MEM_CACHE_H
#define MEM_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/list.h"

struct nvio_env;

#define MEM_CACHE_WAYS 8

struct mem_way {
	uintptr_t base, end; /* end 0: nothing */
	uint64_t delta;
};

struct mem_cache {
	struct mem_way *last; /* the one of the last buffer */
	struct mem_way ways[MEM_CACHE_WAYS];
	unsigned int next; /* the way that the next new extent takes */
	struct nvio_env *env;
	struct list link; /* the room's */
};

void mem_cache_open(struct nvio_env *env, struct mem_cache *cache);
void mem_cache_close(struct mem_cache *cache);

/* Hot: the device address of [addr, addr + len), when all of it lies in the extent of the last buffer. len is not 0, and does not wrap. */
static ALWAYS_INLINE bool mem_cache_hit(const struct mem_cache *cache, uintptr_t addr, uint64_t len, uint64_t *device_addr)
{
	const struct mem_way *way = cache->last;

	if (unlikely(addr < way->base || addr + len > HOT_LOAD(&way->end)))
		return false;
	*device_addr = addr + way->delta;
	return true;
}

/* The rest: the device address of ptr, and how many bytes from there on are contiguous. 0; -EFAULT with words. */
int mem_cache_find(struct mem_cache *cache, const void *ptr, uint64_t *device_addr, size_t *contig);

#endif
