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

static uint64_t device_addr(const struct mem_span *span, const void *ptr)
{
	return span->region->iova + (uint64_t)((const char *)ptr - span->region->base);
}

int nvio_mem_device_addr(struct nvio_env *env, const void *ptr, uint64_t *addr, size_t *contig)
{
	struct mem *mem = lock(env);
	struct mem_span *span = find_used(mem, ptr, 1);
	int rc = 0;

	if (span) {
		*addr = device_addr(span, ptr);
		if (contig)
			*contig = span->size - (size_t)((const char *)ptr - span->base);
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
		return fail(-EFAULT, "mem: device address of %p: neither allocated here nor registered", ptr);
	*extent = (struct mem_extent){ .base = (uintptr_t)span->region->base, .len = span->region->len,
		.delta = span->region->iova - (uintptr_t)span->region->base };
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
	struct mem_span *span;
	struct mem *mem;
	int rc = 0;

	if (!len)
		return fail(-EINVAL, "mem: handle of %p: length 0", addr);
	mem = lock(env);
	span = find_used(mem, addr, len);
	if (span) {
		span->handles++;
		*buf = (struct nvio_mem_buf){
			.base = addr, .len = len, .device_addr = device_addr(span, addr), .region = span
		};
	} else {
		rc = fail(-EFAULT,
			"mem: handle of %p: %zu bytes do not lie in one allocation or registration", addr,
			len);
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

/* ---- Locks and device mappings of everything ---- */

int mem_require_device(struct nvio_env *env)
{
	struct mem *mem;
	int rc = 0;

	if (env->opts.mlock == NVIO_MLOCK_NEVER)
		return 0;
	mem = lock(env);
	list_for_each (pos, &mem->regions) {
		rc = mem_region_lock(mem, list_entry(pos, struct mem_region, link));
		if (rc)
			break;
	}
	/* What got locked stays so: harmless, and a second try goes on from there. */
	if (!rc)
		mem->lock_pages = true;
	unlock(mem);
	return rc;
}

static bool has_handles(const struct mem_region *r)
{
	list_for_each (pos, &r->spans)
		if (list_entry(pos, struct mem_span, order)->handles)
			return true;
	return false;
}

static void unmap_all(struct mem *mem)
{
	list_for_each (pos, &mem->regions)
		mem_region_unmap(mem, list_entry(pos, struct mem_region, link));
	mem->map_ops = NULL;
	mem->map_ctx = NULL;
}

static int map_all(struct mem *mem)
{
	list_for_each (pos, &mem->regions) {
		struct mem_region *r = list_entry(pos, struct mem_region, link);
		int rc = mem_region_map(mem, r);

		if (rc)
			return rc;
		if (r->iova != (uintptr_t)r->base && has_handles(r))
			return fail(-EBUSY,
				"mem: map for devices: an open handle of memory at %p would change its address; "
				"close it, and open it again afterwards",
				(void *)r->base);
	}
	return 0;
}

int mem_map_set(struct nvio_env *env, const struct mem_map_ops *ops, void *ctx)
{
	struct mem *mem = lock(env);
	int rc;

	if (mem->map_ops) {
		rc = fail(-EBUSY,
			"mem: map for devices: something maps the memory of this environment already");
	} else {
		mem->map_ops = ops;
		mem->map_ctx = ctx;
		rc = map_all(mem);
		if (rc)
			unmap_all(mem);
	}
	unlock(mem);
	return rc;
}

void mem_map_clear(struct nvio_env *env)
{
	struct mem *mem = lock(env);

	unmap_all(mem);
	unlock(mem);
}
