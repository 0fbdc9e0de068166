/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Regions: the mappings that buffers are cut from, and registered memory of the caller. Each of ours is a
 * memfd, so that it can be shared with a peer process; each may be locked, and mapped for devices (map.c),
 * as it comes into being.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fail.h"
#include "mem/mem.h"
#include "mem/poison.h"
#include <nvio/error.h>

size_t mem_region_page(const struct mem *mem)
{
	switch (mem->env->opts.hugepages) {
	case NVIO_HUGEPAGES_TRY:
	case NVIO_HUGEPAGES_2M: return MEM_HUGE_2M;
	case NVIO_HUGEPAGES_1G: return MEM_HUGE_1G;
	default: return MEM_PAGE;
	}
}

static unsigned int memfd_flags(size_t page_size)
{
	switch (page_size) {
	case MEM_HUGE_2M: return MFD_CLOEXEC | MFD_HUGETLB | MFD_HUGE_2MB;
	case MEM_HUGE_1G: return MFD_CLOEXEC | MFD_HUGETLB | MFD_HUGE_1GB;
	default: return MFD_CLOEXEC;
	}
}

static int open_memfd(struct mem *mem, size_t len, size_t page_size, int *out)
{
	int rc, fd = memfd_create(mem->env->opts.name, memfd_flags(page_size));

	if (fd < 0)
		return fail(-errno, "mem: memfd for %zu bytes: %s", len, strerror(errno));
	/* Hugepages are taken now: when a limit hides behind the free ones, a touch later on would be a
	 * SIGBUS. */
	rc = len > INT64_MAX ? EFBIG : ftruncate(fd, (off_t)len) ? errno : 0;
	if (!rc && page_size > MEM_PAGE && fallocate(fd, 0, 0, (off_t)len))
		rc = errno == ENOSPC ? ENOMEM : errno;
	if (rc) {
		close(fd);
		return fail(-rc, "mem: memfd: size %zu: %s", len, strerror(rc));
	}
	*out = fd;
	return 0;
}

/* Maps the fd at a multiple of `align`: address space is taken with room to spare and trimmed. */
static int map_aligned(int fd, size_t len, size_t page_size, size_t align, char **out)
{
	size_t room, head;
	char *base, *at;

	if (__builtin_add_overflow(len, align, &room))
		return fail(-ENOMEM, "mem: map: %zu bytes do not fit into the address space", len);
	base = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return fail(-ENOMEM, "mem: map: address space for %zu bytes: %s", len, strerror(errno));
	at = (char *)ALIGN_UP((uintptr_t)base, align);
	head = (size_t)(at - base);
	/* Hugepages are there already, and get into the page tables now: without an IOMMU they are asked where they lie. */
	if (mmap(at, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | (page_size > MEM_PAGE ? MAP_POPULATE : 0), fd, 0) ==
		MAP_FAILED) {
		fail(-ENOMEM, "mem: map: %zu bytes: %s", len, strerror(errno));
		munmap(base, room);
		return -ENOMEM;
	}
	if (head)
		munmap(base, head);
	if (room - head > len)
		munmap(at + len, room - head - len);
	*out = at;
	return 0;
}

static int map_pages(struct mem *mem, struct mem_region *r, size_t align, size_t page_size)
{
	/* From 2 MiB on aligned to that, so that an IOMMU can use its large pages. */
	size_t want = MAX(align, r->len >= MEM_HUGE_2M ? MAX(MEM_HUGE_2M, page_size) : mem_map_granule(mem));
	int rc = open_memfd(mem, r->len, page_size, &r->fd);

	if (rc)
		return rc;
	rc = map_aligned(r->fd, r->len, page_size, want, &r->base);
	if (rc) {
		close(r->fd);
		return rc;
	}
	r->page_size = page_size;
	return 0;
}

static int map_region(struct mem *mem, struct mem_region *r, size_t align)
{
	size_t page_size = mem_region_page(mem);
	int rc;

	if (page_size == MEM_PAGE || r->len % page_size)
		return map_pages(mem, r, align, MEM_PAGE);
	rc = map_pages(mem, r, align, page_size);
	if (!rc)
		return 0;
	if (mem->env->opts.hugepages == NVIO_HUGEPAGES_TRY) {
		fail_clear();
		return map_pages(mem, r, align, MEM_PAGE);
	}
	return fail(-ENOMEM,
		"mem: hugepages: %zu pages of %zu MiB: %s; reserve some "
		"(/sys/kernel/mm/hugepages/hugepages-%zukB/nr_hugepages), or ask for NVIO_HUGEPAGES_TRY or _NO",
		r->len / page_size, page_size >> 20, nvio_errno_name(rc), page_size >> 10);
}

/* ---- Locking ---- */

static size_t locked_bytes(const struct mem *mem)
{
	size_t sum = 0;

	list_for_each (pos, &mem->regions) {
		const struct mem_region *r = list_entry(pos, struct mem_region, link);

		if (r->locked && r->page_size == MEM_PAGE)
			sum += r->len;
	}
	return sum;
}

int mem_region_lock(struct mem *mem, struct mem_region *r)
{
	struct rlimit limit = { 0 };
	int err;

	if (r->locked)
		return 0;
	/* Hugepages are never swapped out, and do not count. */
	if (r->page_size == MEM_PAGE && mlock(r->base, r->len)) {
		err = errno;
		getrlimit(RLIMIT_MEMLOCK, &limit);
		return fail(-EPERM,
			"mem: lock %zu bytes: %s; RLIMIT_MEMLOCK is %llu bytes and at least %zu are needed: "
			"raise it (ulimit -l %zu, or LimitMEMLOCK= of the service), or set mlock to NVIO_MLOCK_NEVER",
			r->len, strerror(err), (unsigned long long)limit.rlim_cur, locked_bytes(mem) + r->len,
			DIV_ROUND_UP(locked_bytes(mem) + r->len, 1024));
	}
	r->locked = true;
	if (r->fd >= 0)
		mem->stats.locked += r->len;
	return 0;
}

void mem_region_unlock(struct mem *mem, struct mem_region *r)
{
	if (!r->locked)
		return;
	if (r->page_size == MEM_PAGE)
		munlock(r->base, r->len);
	r->locked = false;
	if (r->fd >= 0)
		mem->stats.locked -= r->len;
}

/* ---- Coming and going ---- */

/* One span over all of the region: handed out when it is the caller's memory, free otherwise (the heap bins
 * it). */
static int add_span(struct mem *mem, struct mem_region *r, bool used)
{
	struct mem_span *span = alloc_zeroed(sizeof(*span));

	if (!span)
		return fail(-ENOMEM, "mem: no memory for the description of %zu bytes", r->len);
	span->base = r->base;
	span->len = span->size = r->len;
	span->region = r;
	span->used = used;
	list_init(&span->bin);
	list_push_back(&r->spans, &span->order);
	mem_tree_insert(mem, span);
	r->used = used;
	return 0;
}

/* Enters a region whose memory is there already. On failure it is as before. */
static int enter(struct mem *mem, struct mem_region *r)
{
	int rc;

	list_init(&r->spans);
	rc = mem_locks(mem) ? mem_region_lock(mem, r) : 0;
	if (rc)
		return rc;
	rc = mem_region_map(mem, r);
	if (rc)
		goto out_lock;
	rc = add_span(mem, r, r->fd < 0);
	if (rc)
		goto out_map;
	list_push_back(&mem->regions, &r->link);
	return 0;
out_map:
	mem_region_unmap(mem, r);
out_lock:
	mem_region_unlock(mem, r);
	return rc;
}

int mem_region_create(struct mem *mem, size_t len, size_t align, struct mem_region **region)
{
	struct mem_region *r = alloc_zeroed(sizeof(*r));
	int rc;

	if (!r)
		return fail(-ENOMEM, "mem: no memory for the description of a region");
	r->len = len;
	rc = map_region(mem, r, align);
	if (rc)
		goto out_free;
	rc = enter(mem, r);
	if (rc)
		goto out_unmap;
	mem->stats.reserved += len;
	mem->stats.hugepages += r->page_size > MEM_PAGE ? len : 0;
	mem_poison(r->base, len);
	*region = r;
	return 0;
out_unmap:
	munmap(r->base, r->len);
	close(r->fd);
out_free:
	alloc_free(r);
	return rc;
}

int mem_region_adopt(struct mem *mem, void *base, size_t len, struct mem_region **region)
{
	struct mem_region *r = alloc_zeroed(sizeof(*r));
	int rc;

	if (!r)
		return fail(-ENOMEM, "mem: no memory for the description of a region");
	r->base = base;
	r->len = len;
	r->page_size = MEM_PAGE;
	r->fd = -1;
	rc = enter(mem, r);
	if (rc) {
		alloc_free(r);
		return rc;
	}
	mem->stats.registered += len;
	*region = r;
	return 0;
}

void mem_region_destroy(struct mem *mem, struct mem_region *r)
{
	/* Devices first: once the pages are gone, someone else's would be at these addresses. */
	mem_region_unmap(mem, r);
	mem_region_unlock(mem, r);
	list_remove(&r->link);
	list_for_each_safe (pos, &r->spans) {
		struct mem_span *span = list_entry(pos, struct mem_span, order);

		mem_tree_remove(mem, span);
		alloc_free(span);
	}
	if (r->fd >= 0) {
		mem->stats.reserved -= r->len;
		mem->stats.hugepages -= r->page_size > MEM_PAGE ? r->len : 0;
		mem_unpoison(r->base, r->len);
		munmap(r->base, r->len);
		close(r->fd);
	} else {
		mem->stats.registered -= r->len;
	}
	alloc_free(r);
}
