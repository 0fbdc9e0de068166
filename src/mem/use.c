/* SPDX-License-Identifier: BSD-3-Clause */
/* What is done with memory that is there: device addresses, registration, handles, marks of what is in
 * flight. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fail.h"
#include "mem/mem.h"

static struct mem *lock(struct nvio_env *env)
{
	lock_take(&env->mem->lock);
	return env->mem;
}

static void unlock(struct mem *mem)
{
	lock_give(&mem->lock);
}

/* The buffer or registration that holds all of [ptr, ptr + len). */
static struct mem_span *find_used(const struct mem *mem, const void *ptr, size_t len)
{
	struct mem_span *span = mem_tree_find(mem, ptr);
	size_t offset;

	if (!span || !span->used)
		return NULL;
	offset = (size_t)((const char *)ptr - span->base);
	return offset < span->size && len <= span->size - offset ? span : NULL;
}

int nvio_mem_device_addr(struct nvio_env *env, const void *ptr, uint64_t *addr, size_t *contig)
{
	struct mem *mem = lock(env);
	struct mem_span *span = find_used(mem, ptr, 1);
	struct mem_extent extent;
	int rc = 0;

	if (span) {
		*addr = mem_region_addr(span->region, ptr, &extent);
		if (contig)
			*contig = MIN(span->size - (size_t)((const char *)ptr - span->base),
				extent.len - ((uintptr_t)ptr - extent.base));
	} else {
		rc = fail(-EFAULT, "mem: device address of %p: neither allocated here nor registered", ptr);
	}
	unlock(mem);
	return rc;
}

int mem_extent_locked(const struct mem *mem, const void *ptr, struct mem_extent *extent)
{
	struct mem_span *span = find_used(mem, ptr, 1);

	if (!span)
		return fail(-EFAULT,
			"mem: %p is not memory that the device can reach: neither allocated here (nvio_mem_alloc) nor registered "
			"(nvio_mem_register)",
			ptr);
	mem_region_addr(span->region, ptr, extent);
	return 0;
}

int mem_extent_find(struct nvio_env *env, const void *ptr, struct mem_extent *extent)
{
	struct mem *mem = lock(env);
	int rc = mem_extent_locked(mem, ptr, extent);

	unlock(mem);
	return rc;
}

/* ---- Registration ---- */

static int check_range(const void *addr, size_t len)
{
	uintptr_t end;

	if (!len)
		return fail(-EINVAL, "mem: register %p: length 0", addr);
	if ((uintptr_t)addr % MEM_PAGE || len % MEM_PAGE)
		return fail(-EINVAL,
			"mem: register %p: %zu bytes: address and length must be multiples of %zu", addr, len,
			MEM_PAGE);
	if (__builtin_add_overflow((uintptr_t)addr, len, &end))
		return fail(-EINVAL, "mem: register %p: %zu bytes wrap around the end of the address space",
			addr, len);
	/* A no-op on memory that is mapped; ENOMEM where it is not. */
	if (!addr || msync((void *)(uintptr_t)addr, len, MS_ASYNC))
		return fail(-EINVAL, "mem: register %p: not all of the %zu bytes are mapped", addr, len);
	return 0;
}

int nvio_mem_register(struct nvio_env *env, void *addr, size_t len)
{
	struct mem_region *region;
	struct mem_span *other;
	struct mem *mem;
	int rc;

	rc = check_range(addr, len);
	if (rc)
		return rc;
	mem = lock(env);
	other = mem_tree_floor(mem, (char *)addr + len - 1);
	if (other && other->base + other->len > (char *)addr)
		rc = fail(-EEXIST, "mem: register %p: %zu bytes overlap %s at %p of %zu", addr, len,
			other->region->fd < 0 ? "a registration" : "nvio's own memory", (void *)other->base,
			other->len);
	else
		rc = mem_region_adopt(mem, addr, len, &region);
	unlock(mem);
	return rc;
}

int nvio_mem_unregister(struct nvio_env *env, void *addr, size_t len)
{
	struct mem *mem = lock(env);
	struct mem_span *span = mem_tree_find(mem, addr);
	int rc = 0;

	if (!span || span->region->fd >= 0 || span->base != addr || span->len != len)
		rc = fail(-ENOENT,
			"mem: unregister %p: %zu bytes: not registered with just this address and length",
			addr, len);
	else if (span->holds)
		rc = fail(-EBUSY,
			"mem: unregister %p: %u I/Os on it are in flight, the last on %p of %zu bytes; wait for them",
			addr, span->holds, span->held, span->held_len);
	else if (span->handles)
		rc = fail(-EBUSY, "mem: unregister %p: %u handles of it are open; close them first", addr,
			span->handles);
	else
		mem_region_destroy(mem, span->region);
	unlock(mem);
	return rc;
}

/* ---- Handles ---- */

int nvio_mem_buf_open(struct nvio_env *env, void *addr, size_t len, struct nvio_mem_buf *buf)
{
	struct mem_extent extent;
	struct mem_span *span;
	struct mem *mem;
	uint64_t at;
	int rc = 0;

	if (!len)
		return fail(-EINVAL, "mem: handle of %p: length 0", addr);
	mem = lock(env);
	span = find_used(mem, addr, len);
	at = span ? mem_region_addr(span->region, addr, &extent) : 0;
	if (!span) {
		rc = fail(-EFAULT,
			"mem: handle of %p: %zu bytes do not lie in one allocation or registration", addr,
			len);
	} else if (extent.base + extent.len - (uintptr_t)addr < len) {
		rc = fail(-EFAULT,
			"mem: handle of %p: %zu bytes do not lie in one hugepage of %zu, beyond which nothing is contiguous "
			"without an IOMMU",
			addr, len, extent.len);
	} else {
		span->handles++;
		*buf = (struct nvio_mem_buf){ .base = addr, .len = len, .device_addr = at, .region = span };
	}
	unlock(mem);
	return rc;
}

void nvio_mem_buf_close(struct nvio_env *env, struct nvio_mem_buf *buf)
{
	struct mem_span *span = buf->region;
	struct mem *mem;

	if (!span)
		return;
	mem = lock(env);
	invariant(span->handles);
	span->handles--;
	unlock(mem);
	*buf = (struct nvio_mem_buf){ 0 };
}

/* ---- In flight ---- */

int mem_hold_range(struct nvio_env *env, const void *ptr, size_t len)
{
	struct mem *mem = lock(env);
	struct mem_span *span = mem_tree_find(mem, ptr);
	int rc = 0;

	if (span && find_used(mem, ptr, len)) {
		span->holds++;
		span->held = ptr;
		span->held_len = len;
	} else if (span && !span->used) {
		rc = fail(-EFAULT, "mem: I/O on %p of %zu bytes: the buffer was freed, or never handed out",
			ptr, len);
	} else if (span && span->region->fd >= 0) {
		rc = fail(-EFAULT,
			"mem: I/O on %p of %zu bytes: runs over the end of the buffer %p of %zu bytes", ptr,
			len, (void *)span->base, span->size);
	}
	unlock(mem);
	return rc;
}

void mem_release_range(struct nvio_env *env, const void *ptr, size_t len)
{
	struct mem *mem = lock(env);
	/* The same conditions as when it was held: memory that did not count then does not now. */
	struct mem_span *span = find_used(mem, ptr, len);

	/* None when it was registered in between. */
	if (span && span->holds)
		span->holds--;
	unlock(mem);
}

int mem_share(struct nvio_env *env, const void *ptr, int *fd, uint64_t *offset)
{
	struct mem *mem = lock(env);
	struct mem_span *span = find_used(mem, ptr, 1);
	int rc = 0;

	if (span && span->region->fd >= 0) {
		*fd = span->region->fd;
		*offset = (uint64_t)((const char *)ptr - span->region->base);
	} else {
		rc = fail(-EFAULT, "mem: share %p: not a buffer of this environment", ptr);
	}
	unlock(mem);
	return rc;
}

/* ---- Locks of everything ---- */

int mem_require_device(struct nvio_env *env)
{
	struct mem *mem;
	int rc = 0;

	if (env->opts.mlock == NVIO_MLOCK_NEVER)
		return 0;
	mem = lock(env);
	list_for_each (pos, &mem->regions) {
		rc = mem->pinning ? 0 : mem_region_lock(mem, list_entry(pos, struct mem_region, link));
		if (rc)
			break;
	}
	/* What got locked stays so: harmless, and a second try goes on from there. */
	if (!rc)
		mem->lock_pages = true;
	unlock(mem);
	return rc;
}
