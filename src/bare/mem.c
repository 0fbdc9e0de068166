/* SPDX-License-Identifier: BSD-3-Clause */
/* <nvio/mem.h> and the look-ups of the I/O path on the memory of the platform: the same sizes and alignments as the room mem gives. */
#include <nvio/mem.h>

#include "base/compiler.h"
#include "base/fail.h"
#include "mem/cache.h"
#include <nvio/libc.h>
#include <nvio/platform.h>

#define GRANULE   ((size_t)64) /* buffers begin and end on cache lines: no two share one */
#define PAGE      ((size_t)4096)
#define MAX_ALIGN ((size_t)1 << 30)

void *nvio_mem_alloc(struct nvio_env *env, size_t size, size_t align)
{
	void *buf;

	if (!size || size > SIZE_MAX - GRANULE || (align && (!IS_POWER_OF_2(align) || align > MAX_ALIGN))) {
		fail(-EINVAL, "mem: alloc: size %zu, align %zu; 1 byte or more, and 0 or a power of two up to %zu expected", size, align, MAX_ALIGN);
		return NULL;
	}
	buf = nvio_platform_dma_alloc(ALIGN_UP(size, GRANULE), MAX(align, size >= PAGE ? PAGE : GRANULE));
	if (!buf)
		fail(-ENOMEM, "mem: alloc: %zu bytes: the platform has no more memory for devices", size);
	return buf;
}

void *nvio_mem_alloc_zeroed(struct nvio_env *env, size_t size, size_t align)
{
	void *buf = nvio_mem_alloc(env, size, align);

	if (buf)
		memset(buf, 0, size);
	return buf;
}

int nvio_mem_free(struct nvio_env *env, void *buf)
{
	if (buf)
		nvio_platform_dma_free(buf);
	return 0;
}

int nvio_mem_device_addr(struct nvio_env *env, const void *ptr, uint64_t *addr, size_t *contig)
{
	size_t bytes;

	if (nvio_platform_device_addr(ptr, addr, &bytes))
		return fail(-EFAULT, "mem: %p: the platform knows no device address of it", ptr);
	if (contig)
		*contig = bytes;
	return 0;
}

/* Nothing is ever unmapped behind a cache's back here, so nobody has to know of it. */
void mem_cache_open(struct nvio_env *env, struct mem_cache *cache)
{
	*cache = (struct mem_cache){ .env = env, .last = &cache->ways[0] };
}

void mem_cache_close(struct mem_cache *cache)
{
	cache->env = NULL;
}

/* A platform's device addresses are seldom in more than one piece, so the other ways are not looked at. */
int mem_cache_find(struct mem_cache *cache, const void *ptr, uint64_t *device_addr, size_t *contig)
{
	int rc = nvio_mem_device_addr(cache->env, ptr, device_addr, contig);

	if (rc)
		return rc;
	cache->last->base = (uintptr_t)ptr;
	cache->last->end = (uintptr_t)ptr + *contig;
	cache->last->delta = *device_addr - (uintptr_t)ptr;
	return 0;
}
