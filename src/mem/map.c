/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Device addresses: which region lies where, and whoever maps it there. While there is no mapper they are virtual addresses; with
 * mappers they are chosen here, the same for all of them; without an IOMMU they are physical addresses.
 */
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fail.h"
#include "mem/mem.h"
#include <nvio/error.h>

/*
 * Addresses are given out from 4 GiB upwards, and below only when there is no room above: down there are the BARs of 32-bit functions,
 * to which a bridge may send an address before an IOMMU sees it, and what firmware keeps for itself. Addresses that are virtual
 * addresses by mistake are not found up there, either.
 */
#define HIGH_BEGIN ((uint64_t)1 << 32)
#define LOW_BEGIN  ((uint64_t)1 << 20)

/* What nobody is given: writes to the second gap are interrupts (Intel SDM 3A section 11.11.1), not memory; and the end cannot wrap. */
static const struct mem_range usable[] = {
	{ LOW_BEGIN, 0xfedfffff },
	{ 0xfef00000, UINT64_MAX - MEM_HUGE_1G },
};

static const struct mem_range zones[] = {
	{ HIGH_BEGIN, UINT64_MAX - MEM_HUGE_1G },
	{ LOW_BEGIN, HIGH_BEGIN - 1 },
};

static struct mem_mapper *to_mapper(struct list *pos)
{
	return list_entry(pos, struct mem_mapper, link);
}

static size_t smallest_page(const struct mem_mapper *m)
{
	return m->page_sizes ? (size_t)1 << __builtin_ctzll(m->page_sizes) : MEM_PAGE;
}

size_t mem_map_granule(const struct mem *mem)
{
	size_t granule = MEM_PAGE;

	list_for_each (pos, &mem->mappers)
		granule = MAX(granule, smallest_page(to_mapper(pos)));
	return granule;
}

/* ---- Where a region may lie ---- */

/* Narrows w, which begins where we look, to the next of these ranges. False: there is none. */
static bool narrow(struct mem_range *w, const struct mem_range *ranges, unsigned int num)
{
	for (unsigned int i = 0; i < num; i++) {
		if (ranges[i].last < w->first)
			continue;
		w->first = MAX(w->first, ranges[i].first);
		w->last = MIN(w->last, ranges[i].last);
		return true;
	}
	return false;
}

/* The next addresses from `from` on that all mappers can map. */
static bool next_window(const struct mem *mem, uint64_t from, struct mem_range *w)
{
	for (;;) {
		*w = (struct mem_range){ from, UINT64_MAX };
		if (!narrow(w, usable, ARRAY_SIZE(usable)))
			return false;
		list_for_each (pos, &mem->mappers) {
			const struct mem_mapper *m = to_mapper(pos);

			if (!narrow(w, m->ranges, m->num_ranges))
				return false;
		}
		/* When one has moved the beginning, the others are asked again about that. */
		if (w->first == from)
			return true;
		from = w->first;
	}
}

static bool fit(const struct mem *mem, const struct mem_region *r, size_t align, uint64_t *at)
{
	for (size_t i = 0; i < ARRAY_SIZE(zones); i++) {
		struct mem_range w;

		for (uint64_t from = zones[i].first; next_window(mem, from, &w) && w.first <= zones[i].last; from = w.last + 1) {
			const struct iova_ask ask = {
				.first = w.first,
				.last = MIN(w.last, zones[i].last),
				.len = r->len,
				.align = align,
				.offset = (uintptr_t)r->base,
			};

			if (iova_fit(&mem->placed, &ask, at))
				return true;
		}
	}
	return false;
}

static uint64_t aperture(const struct mem_mapper *m)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < m->num_ranges; i++)
		sum += m->ranges[i].last - m->ranges[i].first;
	return sum;
}

static int no_room(const struct mem *mem, const struct mem_region *r)
{
	const struct mem_mapper *narrowest = NULL;
	uint64_t taken = 0;

	list_for_each (pos, &mem->mappers)
		if (!narrowest || aperture(to_mapper(pos)) < aperture(narrowest))
			narrowest = to_mapper(pos);
	list_for_each (pos, &mem->regions)
		taken += list_entry(pos, struct mem_region, link)->mapped ? list_entry(pos, struct mem_region, link)->len : 0;
	if (!narrowest->num_ranges)
		return fail(-ENOSPC, "mem: no device addresses for %zu bytes: %s can map none", r->len, narrowest->name);
	return fail(-ENOSPC,
		"mem: no device addresses for %zu bytes in a row: %llu bytes are mapped, and %s can map %#llx to %#llx in %u ranges; "
		"free or unregister memory, or use an environment of its own for the device",
		r->len, (unsigned long long)taken, narrowest->name, (unsigned long long)narrowest->ranges[0].first,
		(unsigned long long)narrowest->ranges[narrowest->num_ranges - 1].last, narrowest->num_ranges);
}

/*
 * Chooses addresses and takes them. They agree with the virtual ones within a large page, so that an IOMMU can use large pages
 * for whatever lies on such.
 */
static int place(struct mem *mem, struct mem_region *r)
{
	static const size_t aligns[] = { MEM_HUGE_1G, MEM_HUGE_2M, 0 };
	size_t granule = mem_map_granule(mem);
	uint64_t at;

	for (size_t i = 0; i < ARRAY_SIZE(aligns); i++) {
		size_t align = MAX(aligns[i], granule);

		if (r->len < aligns[i] || !fit(mem, r, align, &at))
			continue;
		r->place.first = at;
		r->place.last = at + r->len - 1;
		iova_insert(&mem->placed, &r->place);
		return 0;
	}
	return no_room(mem, r);
}

/* ---- Mapping a region ---- */

/* The mapper's own words, when it has some. */
static int in_words(int rc, const struct mem_mapper *m, const char *what, const void *at, size_t len)
{
	if (*nvio_errmsg())
		return rc;
	return fail(rc, "mem: %s: %s %zu bytes at %p: %s", m->name, what, len, at, nvio_errno_name(rc));
}

static int map_one(const struct mem_region *r, struct mem_mapper *m)
{
	size_t page = smallest_page(m);
	int rc;

	if (((uintptr_t)r->base | r->len | r->place.first) % page)
		return fail(-EINVAL,
			"mem: %zu bytes at %p (device address %#llx) cannot be mapped by %s: its smallest page is %zu bytes, of which "
			"address and length must be multiples",
			r->len, (void *)r->base, (unsigned long long)r->place.first, m->name, page);
	fail_clear();
	rc = m->ops->map(m, r->base, r->len, r->place.first);
	return rc ? in_words(rc, m, "map", r->base, r->len) : 0;
}

/* Takes it back from those in the list before `end`. */
static void unmap_until(struct mem *mem, struct mem_region *r, const struct list *end)
{
	for (struct list *pos = mem->mappers.next; pos != end; pos = pos->next)
		to_mapper(pos)->ops->unmap(to_mapper(pos), r->base, r->len, r->place.first);
}

static int map_placed(struct mem *mem, struct mem_region *r)
{
	int rc = place(mem, r);

	if (rc)
		return rc;
	list_for_each (pos, &mem->mappers) {
		rc = map_one(r, to_mapper(pos));
		if (rc) {
			unmap_until(mem, r, pos);
			iova_remove(&mem->placed, &r->place);
			return rc;
		}
	}
	r->iova = r->place.first;
	return 0;
}

/* The addresses of the hugepages that it consists of. */
static int find_physical(struct mem *mem, struct mem_region *r)
{
	struct mem_mapper *m = to_mapper(mem->mappers.next);
	size_t count = r->len / r->page_size;
	uint64_t *phys;

	if (r->fd < 0)
		return fail(-EOPNOTSUPP,
			"mem: register %p: %s works without an IOMMU, and the kernel may move this memory at any time; use "
			"buffers of nvio_mem_alloc() from hugepages, or let I/O be bounced",
			(void *)r->base, m->name);
	if (r->page_size == MEM_PAGE)
		return fail(-EPERM,
			"mem: %zu bytes: %s works without an IOMMU, which takes hugepages, and these are ordinary pages; reserve "
			"hugepages (/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages), and set the option hugepages to "
			"NVIO_HUGEPAGES_2M",
			r->len, m->name);
	phys = alloc_array(count, sizeof(*phys));
	if (!phys)
		return fail(-ENOMEM, "mem: no memory for the addresses of %zu hugepages", count);
	for (size_t i = 0; i < count; i++) {
		const void *at = r->base + i * r->page_size;
		int rc;

		fail_clear();
		rc = m->ops->physical(m, at, MEM_PAGE, &phys[i]);
		if (rc) {
			alloc_free(phys);
			return in_words(rc, m, "physical address of", at, r->page_size);
		}
	}
	r->phys = phys;
	r->iova = phys[0];
	return 0;
}

int mem_region_map(struct mem *mem, struct mem_region *r)
{
	int rc = 0;

	r->iova = (uintptr_t)r->base;
	if (list_empty(&mem->mappers))
		return 0;
	rc = mem->physical ? find_physical(mem, r) : map_placed(mem, r);
	r->mapped = !rc;
	return rc;
}

void mem_region_unmap(struct mem *mem, struct mem_region *r)
{
	/* First of all, nobody finds the addresses any more. */
	mem_cache_drop(mem, r->base, r->len);
	if (r->mapped && !r->phys) {
		unmap_until(mem, r, &mem->mappers);
		iova_remove(&mem->placed, &r->place);
	}
	alloc_free(r->phys);
	r->phys = NULL;
	r->mapped = false;
	r->iova = (uintptr_t)r->base;
}

/* ---- Looking up ---- */

/* The device address of ptr, and around it (extent may be NULL) what is contiguous for devices. */
uint64_t mem_region_addr(const struct mem_region *r, const void *ptr, struct mem_extent *extent)
{
	size_t offset = (size_t)((const char *)ptr - r->base), begin = 0, len = r->len;
	uint64_t at = r->iova;

	if (r->phys) {
		begin = ALIGN_DOWN(offset, r->page_size);
		len = r->page_size;
		at = r->phys[offset / r->page_size];
	}
	if (extent)
		*extent = (struct mem_extent){
			.base = (uintptr_t)r->base + begin,
			.len = len,
			.delta = at - ((uintptr_t)r->base + begin),
		};
	return at + (offset - begin);
}

/* ---- Mappers come and go ---- */

static bool has_handles(const struct mem_region *r)
{
	list_for_each (pos, &r->spans)
		if (list_entry(pos, struct mem_span, order)->handles)
			return true;
	return false;
}

static void unmap_before(struct mem *mem, const struct list *end)
{
	for (struct list *pos = mem->regions.next; pos != end; pos = pos->next)
		mem_region_unmap(mem, list_entry(pos, struct mem_region, link));
}

/* The first mapper: every address changes. */
static int add_first(struct mem *mem, struct mem_mapper *m)
{
	mem_cache_drop(mem, NULL, SIZE_MAX);
	mem->physical = m->ops->physical;
	list_push_back(&mem->mappers, &m->link);
	list_for_each (pos, &mem->regions) {
		struct mem_region *r = list_entry(pos, struct mem_region, link);
		int rc;

		if (has_handles(r))
			rc = fail(-EBUSY,
				"mem: %s: an open handle of memory at %p would change its address; close it, and open it again "
				"afterwards",
				m->name, (void *)r->base);
		else
			rc = mem_region_map(mem, r);
		if (rc) {
			unmap_before(mem, pos);
			list_remove(&m->link);
			return rc;
		}
	}
	return 0;
}

static bool can_map(const struct mem_mapper *m, const struct iova_range *at)
{
	for (unsigned int i = 0; i < m->num_ranges; i++)
		if (at->first >= m->ranges[i].first && at->last <= m->ranges[i].last)
			return true;
	return false;
}

/* One more: all stays where it is. */
static int add_next(struct mem *mem, struct mem_mapper *m)
{
	list_for_each (pos, &mem->regions) {
		struct mem_region *r = list_entry(pos, struct mem_region, link);
		int rc;

		if (can_map(m, &r->place))
			rc = map_one(r, m);
		else
			rc = fail(-ENOSPC,
				"mem: %s cannot map device addresses %#llx to %#llx, which other devices of this environment use "
				"already; connect to it before the others, or in an environment of its own",
				m->name, (unsigned long long)r->place.first, (unsigned long long)r->place.last);
		if (!rc)
			continue;
		for (struct list *p = mem->regions.next; p != pos; p = p->next) {
			struct mem_region *back = list_entry(p, struct mem_region, link);

			m->ops->unmap(m, back->base, back->len, back->place.first);
		}
		return rc;
	}
	list_push_back(&mem->mappers, &m->link);
	return 0;
}

/* mlock again, after the last mapper that pinned. What fitted the limit before does so again, or else the user has lowered it. */
static void lock_all(struct mem *mem)
{
	list_for_each (pos, &mem->regions) {
		if (!mem_locks(mem) || !mem_region_lock(mem, list_entry(pos, struct mem_region, link)))
			continue;
		log_msg(&mem->env->log, NVIO_LOG_WARN, "%s", nvio_errmsg());
		return;
	}
}

static int add(struct mem *mem, struct mem_mapper *m)
{
	bool physical = m->ops->physical;
	int rc;

	if (!list_empty(&mem->mappers) && physical != mem->physical)
		return fail(-EBUSY,
			"mem: %s works %s an IOMMU, and %s, of the same environment, does not; use an environment of its own for it",
			m->name, physical ? "without" : "with", to_mapper(mem->mappers.next)->name);
	if (physical && mem->env->opts.hugepages == NVIO_HUGEPAGES_NO)
		return fail(-EPERM,
			"mem: %s works without an IOMMU, which takes hugepages: set the option hugepages to NVIO_HUGEPAGES_2M or _1G",
			m->name);
	/* What gets pinned would count twice against the limit if it were locked meanwhile. */
	if (m->pins && !mem->pinning++)
		list_for_each (pos, &mem->regions)
			mem_region_unlock(mem, list_entry(pos, struct mem_region, link));
	if (list_empty(&mem->mappers)) {
		rc = add_first(mem, m);
	} else if (physical) {
		list_push_back(&mem->mappers, &m->link); /* an address is the same for all of them */
		rc = 0;
	} else {
		rc = add_next(mem, m);
	}
	if (rc && m->pins && !--mem->pinning)
		lock_all(mem);
	return rc;
}

int mem_mapper_add(struct nvio_env *env, struct mem_mapper *m)
{
	struct mem *mem = env->mem;
	int rc;

	lock_take(&mem->lock);
	rc = add(mem, m);
	lock_give(&mem->lock);
	return rc;
}

void mem_mapper_remove(struct nvio_env *env, struct mem_mapper *m)
{
	struct mem *mem = env->mem;

	lock_take(&mem->lock);
	if (mem->mappers.next->next == &mem->mappers) {
		invariant(mem->mappers.next == &m->link);
		unmap_before(mem, &mem->regions);
	} else if (!mem->physical) {
		list_for_each (pos, &mem->regions) {
			struct mem_region *r = list_entry(pos, struct mem_region, link);

			m->ops->unmap(m, r->base, r->len, r->place.first);
		}
	}
	list_remove(&m->link);
	if (m->pins && !--mem->pinning)
		lock_all(mem);
	lock_give(&mem->lock);
}
