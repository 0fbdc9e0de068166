/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The heap of DMA buffers: free spans binned by length, split on allocation and merged on free. A large
 * buffer gets a region of its own and gives it back; small ones share regions that are mapped as they are
 * needed.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fail.h"
#include "mem/mem.h"
#include "mem/poison.h"

#define FREED_BYTE 0xdf /* what freed memory reads as in checked builds */

static unsigned int bin_of(size_t len)
{
	return 63 - (unsigned int)__builtin_clzll(len / MEM_GRANULE);
}

static void bin_add(struct mem *mem, struct mem_span *span)
{
	unsigned int bin = bin_of(span->len);

	list_push_front(&mem->bins[bin], &span->bin);
	mem->nonempty |= 1ull << bin;
}

static void bin_remove(struct mem *mem, struct mem_span *span)
{
	unsigned int bin = bin_of(span->len);

	list_remove(&span->bin);
	if (list_empty(&mem->bins[bin]))
		mem->nonempty &= ~(1ull << bin);
}

/*
 * Where in the span len bytes could begin. On hugepages, what fits into one lies in one: without an IOMMU nothing beyond is contiguous
 * for a device, and rings have to be.
 */
static char *place(const struct mem_span *span, size_t len, size_t align)
{
	uintptr_t base = (uintptr_t)span->base, at = ALIGN_UP(base, align);
	size_t page = span->region->page_size, body = MIN(len, page);

	if (page > MEM_PAGE && len <= page + MEM_REDZONE && at / page != (at + body - 1) / page)
		at = ALIGN_UP(at, page);
	return at - base <= span->len && span->len - (at - base) >= len ? (char *)at : NULL;
}

/*
 * A free span with room for len bytes at a multiple of align. Looks at no more than `looks` spans of each
 * bin: spans of a bin beyond that of len + align fit all, so little is missed; the caller looks again without
 * a bound before it gives up.
 */
static struct mem_span *find_fit(struct mem *mem, size_t len, size_t align, size_t looks)
{
	for (unsigned int bin = bin_of(len); bin < MEM_BINS; bin++) {
		size_t looked = 0;

		if (!(mem->nonempty >> bin))
			return NULL;
		list_for_each (pos, &mem->bins[bin]) {
			struct mem_span *span = list_entry(pos, struct mem_span, bin);

			if (place(span, len, align))
				return span;
			if (++looked == looks)
				break;
		}
	}
	return NULL;
}

static struct mem_span *new_span(struct mem_span *after, char *base, char *end)
{
	struct mem_span *span = alloc_zeroed(sizeof(*span));

	if (!span)
		return NULL;
	span->base = base;
	span->len = (size_t)(end - base);
	span->region = after->region;
	list_init(&span->bin);
	return span;
}

/* Takes [at, at + len) out of the free span: what is before and behind stays free. */
static int cut(struct mem *mem, struct mem_span *span, char *at, size_t len, struct mem_span **out)
{
	char *end = span->base + span->len;
	struct mem_span *mid = span, *tail = NULL;

	if (at != span->base) {
		mid = new_span(span, at, at + len);
		if (!mid)
			goto out_none;
	}
	if (at + len != end) {
		tail = new_span(span, at + len, end);
		if (!tail)
			goto out_none;
	}
	bin_remove(mem, span);
	span->len = (size_t)(at - span->base);
	if (mid != span) {
		bin_add(mem, span);
		list_insert(span->order.next, &mid->order);
		mem_tree_insert(mem, mid);
	}
	mid->len = len;
	if (tail) {
		list_insert(mid->order.next, &tail->order);
		mem_tree_insert(mem, tail);
		bin_add(mem, tail);
	}
	*out = mid;
	return 0;
out_none:
	if (mid != span)
		alloc_free(mid);
	return fail(-ENOMEM, "mem: alloc: no memory for the description of %zu bytes", len);
}

static struct mem_span *first_span(struct mem_region *r)
{
	return list_entry(r->spans.next, struct mem_span, order);
}

/* Gives back regions that nothing is left in, all but `keep` of them; a small stock spares remapping. */
static void trim(struct mem *mem, unsigned int keep)
{
	list_for_each_safe (pos, &mem->regions) {
		struct mem_region *r = list_entry(pos, struct mem_region, link);

		if (r->used || r->reserved || r->fd < 0)
			continue;
		if (keep && !r->whole) {
			keep--;
			continue;
		}
		bin_remove(mem, first_span(r));
		mem_region_destroy(mem, r);
	}
}

/* Maps a region that has room for len bytes. */
static int grow(struct mem *mem, size_t len, size_t align, struct mem_span **span)
{
	size_t page = MAX(mem_region_page(mem), mem_map_granule(mem)), left, size;
	struct mem_region *r;
	int rc;

	if (mem->fixed)
		return fail(-ENOMEM,
			"mem: alloc: %zu bytes: %llu of the %zu that were reserved are in use; raise mem_size_mb",
			len, (unsigned long long)mem->stats.allocated, mem->limit);
	if (len > SIZE_MAX - page)
		return fail(-ENOMEM, "mem: alloc: %zu bytes do not fit into the address space", len);
	size = ALIGN_UP(len, page);
	if (mem->stats.reserved + size > mem->limit)
		trim(mem, 0);
	left = mem->limit - MIN(mem->limit, mem->stats.reserved);
	if (size > left)
		return fail(-ENOMEM,
			"mem: alloc: %zu bytes: %llu of the limit of %zu are in use; raise mem_size_mb", len,
			(unsigned long long)mem->stats.allocated, mem->limit);
	if (len < MEM_OWN_REGION)
		size = MAX(size, MIN(MAX(MEM_REGION_SIZE, page), ALIGN_DOWN(left, page)));
	rc = mem_region_create(mem, size, align, &r);
	if (rc)
		return rc;
	r->whole = len >= MEM_OWN_REGION;
	*span = first_span(r);
	bin_add(mem, *span);
	return 0;
}

static int obtain(struct mem *mem, size_t len, size_t align, struct mem_span **span)
{
	bool own = len >= MEM_OWN_REGION && !mem->fixed;
	int rc;

	*span = own ? NULL : find_fit(mem, len, align, MEM_BIN_LOOKS);
	if (*span)
		return 0;
	rc = grow(mem, len, align, span);
	if (!rc)
		return 0;
	*span = find_fit(mem, len, align, SIZE_MAX);
	return *span ? 0 : rc;
}

/* DMA memory has to be there, all of it at once: more than the machine has would end in the hands of the OOM
 * killer. */
static int check_size(size_t size, size_t align)
{
	long pages = sysconf(_SC_PHYS_PAGES);
	uint64_t machine = pages > 0 ? (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE) : UINT64_MAX;

	if (!size)
		return fail(-EINVAL, "mem: alloc: size 0");
	if (align && (!IS_POWER_OF_2(align) || align > MEM_MAX_ALIGN))
		return fail(-EINVAL, "mem: alloc: align %zu; 0 or a power of two up to %zu expected", align,
			MEM_MAX_ALIGN);
	if (size > machine)
		return fail(-ENOMEM, "mem: alloc: %zu bytes: the machine has %llu", size,
			(unsigned long long)machine);
	return 0;
}

/* Only what was handed out before can be other than zero; the rest of a memfd is not even touched. */
static void clear(struct mem_region *r, const struct mem_span *span, size_t size)
{
	size_t offset = (size_t)(span->base - r->base);

	if (offset < r->fresh)
		memset(span->base, 0, MIN(size, r->fresh - offset));
}

int mem_heap_alloc(struct mem *mem, size_t size, size_t align, bool zeroed, void **buf)
{
	struct mem_span *span;
	size_t len;
	int rc;

	rc = check_size(size, align);
	if (rc)
		return rc;
	align = MAX(align, size >= MEM_PAGE ? MEM_PAGE : MEM_GRANULE);
	len = ALIGN_UP(size, MEM_GRANULE);
	rc = obtain(mem, len + MEM_REDZONE, align, &span);
	if (!rc) {
		len += MEM_REDZONE;
	} else if (MEM_REDZONE && mem->limit != SIZE_MAX) {
		/* What fits other builds' limit must fit here. */
		fail_clear();
		rc = obtain(mem, len, align, &span);
	}
	if (rc)
		return rc;
	/* No crumbs for small buffers, which would keep all of a large region from going. */
	if (span->region->whole)
		len = span->len;
	rc = cut(mem, span, place(span, len, align), len, &span);
	if (rc)
		return rc;
	span->used = true;
	span->size = size;
	span->region->used++;
	mem_unpoison(span->base, size);
	if (zeroed)
		clear(span->region, span, size);
	span->region->fresh = MAX(span->region->fresh, (size_t)(span->base - span->region->base) + len);
	mem->stats.allocated += size;
	mem->stats.allocations++;
	*buf = span->base;
	return 0;
}

static void merge(struct mem *mem, struct mem_span *into, struct mem_span *span)
{
	into->len += span->len;
	mem_tree_remove(mem, span);
	list_remove(&span->order);
	alloc_free(span);
}

static struct mem_span *free_neighbour(struct mem_span *span, struct list *pos)
{
	struct mem_span *other;

	if (pos == &span->region->spans)
		return NULL;
	other = list_entry(pos, struct mem_span, order);
	return other->used ? NULL : other;
}

static int check_free(const struct mem_span *span, const void *buf)
{
	if (!span || span->region->fd < 0)
		return fail(-EINVAL, "mem: free %p: not memory of this environment", buf);
	if (!span->used)
		return fail(-EINVAL, "mem: free %p: freed already, or never handed out", buf);
	if (span->base != buf)
		return fail(-EINVAL, "mem: free %p: inside the buffer %p of %zu bytes, not its start", buf,
			(void *)span->base, span->size);
	if (span->holds)
		return fail(-EBUSY,
			"mem: free %p: %u I/Os on it are in flight, the last on %p of %zu bytes; wait for them",
			buf, span->holds, span->held, span->held_len);
	if (span->handles)
		return fail(-EBUSY, "mem: free %p: %u handles of it are open; close them first", buf,
			span->handles);
	return 0;
}

int mem_heap_free(struct mem *mem, void *buf)
{
	struct mem_span *other, *span = mem_tree_find(mem, buf);
	int rc = check_free(span, buf);

	if (rc)
		return rc;
	mem->stats.allocated -= span->size;
	mem->stats.allocations--;
	span->region->used--;
	span->used = false;
	if (NVIO_CHECKED)
		memset(span->base, FREED_BYTE, span->size);
	mem_poison(span->base, span->len);
	other = free_neighbour(span, span->order.next);
	if (other) {
		bin_remove(mem, other);
		merge(mem, span, other);
	}
	other = free_neighbour(span, span->order.prev);
	if (other) {
		bin_remove(mem, other);
		merge(mem, other, span);
		span = other;
	}
	bin_add(mem, span);
	if (!span->region->used)
		trim(mem, 1);
	return 0;
}

int mem_heap_reserve(struct mem *mem, size_t len)
{
	struct mem_region *r;
	int rc;

	rc = check_size(len, 0);
	if (rc)
		return rc;
	rc = mem_region_create(mem, len, MEM_PAGE, &r);
	if (rc)
		return rc;
	r->reserved = true;
	bin_add(mem, first_span(r));
	return 0;
}
