/* SPDX-License-Identifier: BSD-3-Clause */
/* The environment's memory: made at open, with what was asked to be reserved, and gone at close; and the way
 * in for buffers. */
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fail.h"
#include "mem/mem.h"

void *nvio_mem_alloc(struct nvio_env *env, size_t size, size_t align)
{
	void *buf = NULL;

	lock_take(&env->mem->lock);
	mem_heap_alloc(env->mem, size, align, false, &buf);
	lock_give(&env->mem->lock);
	return buf;
}

void *nvio_mem_alloc_zeroed(struct nvio_env *env, size_t size, size_t align)
{
	void *buf = NULL;

	lock_take(&env->mem->lock);
	mem_heap_alloc(env->mem, size, align, true, &buf);
	lock_give(&env->mem->lock);
	return buf;
}

int nvio_mem_free(struct nvio_env *env, void *buf)
{
	int rc;

	if (!buf)
		return 0;
	lock_take(&env->mem->lock);
	rc = mem_heap_free(env->mem, buf);
	lock_give(&env->mem->lock);
	return rc;
}

void nvio_mem_get_stats(struct nvio_env *env, struct nvio_mem_stats *stats)
{
	lock_take(&env->mem->lock);
	*stats = env->mem->stats;
	if (env->mem->pinning)
		stats->locked = stats->reserved;
	lock_give(&env->mem->lock);
}

static int check_opts(const struct nvio_env_opts *opts, size_t page)
{
	bool must = opts->hugepages == NVIO_HUGEPAGES_2M || opts->hugepages == NVIO_HUGEPAGES_1G;

	if (opts->mem_size_mb > SIZE_MAX >> 20)
		return fail(-EINVAL, "mem: mem_size_mb %llu is more than the address space",
			(unsigned long long)opts->mem_size_mb);
	if (opts->hugepage_single_segments && !opts->mem_size_mb)
		return fail(-EINVAL,
			"mem: hugepage_single_segments needs mem_size_mb: all of it becomes one mapping");
	if (must && opts->mem_size_mb % (page >> 20))
		return fail(-EINVAL, "mem: mem_size_mb %llu is not a multiple of the hugepage's %zu MiB",
			(unsigned long long)opts->mem_size_mb, page >> 20);
	return 0;
}

static int reserve(struct mem *mem, const struct nvio_env_opts *opts)
{
	size_t size = (size_t)opts->mem_size_mb << 20;

	if (size && (opts->hugepages != NVIO_HUGEPAGES_NO || opts->hugepage_single_segments)) {
		mem->fixed = true;
		return mem_heap_reserve(mem, size);
	}
	/* Without a size, one region tells now, not at the first buffer, whether there are any hugepages. */
	if (opts->hugepages == NVIO_HUGEPAGES_2M || opts->hugepages == NVIO_HUGEPAGES_1G)
		return mem_heap_reserve(mem, MAX(MEM_REGION_SIZE, mem_region_page(mem)));
	return 0;
}

int mem_env_init(struct nvio_env *env)
{
	struct mem *mem = alloc_zeroed(sizeof(*mem));
	int rc;

	if (!mem)
		return fail(-ENOMEM, "mem: no memory for the allocator");
	mem->env = env;
	lock_init(&mem->lock);
	list_init(&mem->regions);
	list_init(&mem->mappers);
	list_init(&mem->caches);
	for (unsigned int i = 0; i < MEM_BINS; i++)
		list_init(&mem->bins[i]);
	mem->limit = env->opts.mem_size_mb ? (size_t)env->opts.mem_size_mb << 20 : SIZE_MAX;
	mem->lock_pages = env->opts.mlock == NVIO_MLOCK_ALWAYS;
	rc = check_opts(&env->opts, mem_region_page(mem));
	if (!rc)
		rc = reserve(mem, &env->opts);
	if (rc) {
		lock_fini(&mem->lock);
		alloc_free(mem);
		return rc;
	}
	env->mem = mem;
	return 0;
}

void mem_env_fini(struct nvio_env *env)
{
	struct mem *mem = env->mem;

	if (!mem)
		return;
	if (mem->stats.allocations)
		log_msg(&env->log, NVIO_LOG_INFO,
			"mem: %llu buffers of %llu bytes were not freed before close",
			(unsigned long long)mem->stats.allocations, (unsigned long long)mem->stats.allocated);
	list_for_each_safe (pos, &mem->regions)
		mem_region_destroy(mem, list_entry(pos, struct mem_region, link));
	lock_fini(&mem->lock);
	alloc_free(mem);
	env->mem = NULL;
}
