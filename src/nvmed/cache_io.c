/* SPDX-License-Identifier: BSD-3-Clause */
/* The cache at work: hits, misses, read-ahead, writing back, and its agreement with I/O that goes past it. */
#include "cache.h"

#include <sched.h>

#define FILL_PAGES  32u /* at most in one read of the drive */
#define AHEAD_PAGES 16u /* of a stream */

static u64 device_pages(const struct device *d)
{
	return (d->capacity + PAGE_BYTES - 1) >> PAGE_SHIFT;
}

/* Pages [number, number + n) from or to the drive; the last one of the device may be short. */
static int pages_io(struct handle *h, u8 opcode, struct page **pages, unsigned int n)
{
	u64 offset = pages[0]->number << PAGE_SHIFT, len = (u64)n << PAGE_SHIFT;
	struct iovec iov[FILL_PAGES];

	for (unsigned int i = 0; i < n; i++)
		iov[i] = (struct iovec){ .iov_base = pages[i]->data, .iov_len = PAGE_BYTES };
	if (len > h->device->capacity - offset)
		len = h->device->capacity - offset;
	return io_pages(h, opcode, iov, (int)n, offset, len);
}

/* ---- writing back ---- */

/* The dirty pages around `p`, which is busy already: they become busy, too. Under the shard's lock. */
static unsigned int cluster(struct shard *s, struct page *p, struct page **pages)
{
	u64 base = p->number & ~(u64)(CLUSTER_PAGES - 1), first = p->number, last = p->number;
	unsigned int n = 0;
	struct page *o;

	while (first > base && (o = cache_find(s, first - 1)) && o->dirty && !o->busy)
		first--;
	while (last < base + CLUSTER_PAGES - 1 && (o = cache_find(s, last + 1)) && o->dirty && !o->busy)
		last++;
	for (u64 i = first; i <= last; i++) {
		pages[n] = cache_find(s, i);
		pages[n++]->busy = true;
	}
	return n;
}

/* Writes `p`, which is busy and dirty, and its neighbours. */
static int write_cluster(struct handle *h, struct page *p)
{
	struct cache *c = &h->device->cache;
	struct shard *s = cache_shard(c, p->number);
	struct page *pages[CLUSTER_PAGES];
	unsigned int n;
	int rc;

	lock(&s->lock);
	n = cluster(s, p, pages);
	unlock(&s->lock);
	rc = pages_io(h, nvme_cmd_write, pages, n);
	lock(&s->lock);
	for (unsigned int i = 0; i < n; i++) {
		if (!rc)
			cache_set_clean(c, pages[i]);
		pages[i]->busy = false;
	}
	unlock(&s->lock);
	return rc;
}

/* A dirty page of the range that was dirty when `until` was the count; under the lock. *busy: there is one, but it is busy. */
static struct page *dirty_in(struct shard *s, u64 first, u64 last, u64 until, bool *busy)
{
	struct page *found = NULL;

	*busy = false;
	for (struct page *p = s->dirty; p; p = p->dirty_next) {
		if (p->number < first || p->number > last || p->dirtied > until)
			continue;
		if (p->busy)
			*busy = true;
		else if (!found || p->number < found->number)
			found = p;
	}
	return found;
}

static int write_back_shard(struct handle *h, struct shard *s, u64 first, u64 last, u64 until)
{
	unsigned int rounds = 0;
	bool busy;

	for (;;) {
		struct page *p;

		lock(&s->lock);
		p = dirty_in(s, first, last, until, &busy);
		if (p)
			p->busy = true;
		unlock(&s->lock);
		if (p && write_cluster(h, p))
			return -1;
		if (!p && !busy)
			return 0;
		if (!p)
			cache_pause(&rounds);
	}
}

int cache_write_back(struct handle *h, u64 first, u64 last)
{
	struct cache *c = &h->device->cache;
	u64 until = __atomic_load_n(&c->dirtied, __ATOMIC_SEQ_CST);

	if (!__atomic_load_n(&c->dirty, __ATOMIC_ACQUIRE))
		return 0;
	if (first >> CLUSTER_SHIFT == last >> CLUSTER_SHIFT)
		return write_back_shard(h, cache_shard(c, first), first, last, until);
	for (unsigned int i = 0; i < c->num_shards; i++)
		if (write_back_shard(h, &c->shards[i], first, last, until))
			return -1;
	return 0;
}

/* ---- I/O past the cache ---- */

/* Takes the pages of one shard in [first, last] out. False: there is one that is busy or dirty. */
static bool take_out_shard(struct cache *c, struct shard *s, u64 first, u64 last)
{
	bool clear = true;

	lock(&s->lock);
	for (struct page *p = s->oldest, *newer; p; p = newer) {
		newer = p->newer;
		if (p->number < first || p->number > last)
			continue;
		if (p->busy || p->dirty) {
			clear = false;
			continue;
		}
		cache_remove(c, s, p);
		cache_give_back(c, p);
	}
	unlock(&s->lock);
	return clear;
}

static bool take_out_page(struct cache *c, u64 number)
{
	struct shard *s = cache_shard(c, number);
	struct page *p;
	bool clear = true;

	lock(&s->lock);
	p = cache_find(s, number);
	if (p && (p->busy || p->dirty)) {
		clear = false;
	} else if (p) {
		cache_remove(c, s, p);
		cache_give_back(c, p);
	}
	unlock(&s->lock);
	return clear;
}

bool cache_take_out(struct device *d, u64 first, u64 last)
{
	struct cache *c = &d->cache;
	bool clear = true;

	/* See cache_insert(). */
	(void)__atomic_load_n(&c->clock, __ATOMIC_SEQ_CST);
	if (last - first < __atomic_load_n(&c->pages, __ATOMIC_RELAXED)) {
		for (u64 i = first; clear && i <= last; i++)
			clear = take_out_page(c, i);
		return clear;
	}
	for (unsigned int i = 0; clear && i < c->num_shards; i++)
		clear = take_out_shard(c, &c->shards[i], first, last);
	return clear;
}

static bool overlaps(const struct queue *q, u64 first, u64 last)
{
	for (const struct iod *iod = q->writing; iod; iod = iod->next)
		if (iod->first <= last && first <= iod->last)
			return true;
	return false;
}

/* Pages [first, last] are in the cache and busy; direct writes that were there before come to their end. */
static void wait_for_writers(struct device *d, u64 first, u64 last)
{
	unsigned int n = __atomic_load_n(&d->num_slots, __ATOMIC_ACQUIRE);

	for (unsigned int i = 0; i < n; i++) {
		struct queue *q = __atomic_load_n(&d->slots[i], __ATOMIC_ACQUIRE);
		unsigned int rounds = 0;
		bool again = true;

		while (q && again && __atomic_load_n(&q->writing, __ATOMIC_SEQ_CST)) {
			lock(&q->lock);
			again = overlaps(q, first, last);
			if (again)
				nvio_qpair_poll(q->qp, 0);
			unlock(&q->lock);
			if (again)
				cache_pause(&rounds);
		}
	}
}

/* ---- misses ---- */

/* A page to fill. NULL: -1 with errno, or when `only_now`, none is at hand. */
static struct page *take(struct handle *h, bool only_now)
{
	struct cache *c = &h->device->cache;
	unsigned int rounds = 0;

	for (;;) {
		struct page *p = cache_take_free(c), *dirty = NULL;

		if (p)
			return p;
		p = cache_evict(c, &dirty);
		if (p)
			return p;
		if (dirty && write_cluster(h, dirty))
			return NULL;
		if (only_now && !dirty)
			return NULL;
		if (!dirty)
			cache_pause(&rounds);
	}
}

/* Puts `p` in as page `number`, busy. False: there is one already; `p` has been given back. */
static bool put_in(struct cache *c, struct page *p, u64 number)
{
	struct shard *s = cache_shard(c, number);
	bool there;

	lock(&s->lock);
	there = cache_find(s, number);
	if (!there)
		cache_insert(c, s, p, number);
	unlock(&s->lock);
	if (there)
		cache_give_back(c, p);
	return !there;
}

static void release(struct cache *c, struct page *p, bool good)
{
	struct shard *s = cache_shard(c, p->number);

	lock(&s->lock);
	p->busy = false;
	if (!good)
		cache_remove(c, s, p);
	unlock(&s->lock);
	if (!good)
		cache_give_back(c, p);
}

/* Reads up to `want` pages from `number` on, as many as are not there and find room. */
static int fill(struct handle *h, u64 number, unsigned int want)
{
	struct cache *c = &h->device->cache;
	struct page *pages[FILL_PAGES];
	unsigned int n, have;
	int rc;

	for (have = 0; have < want; have++) {
		pages[have] = take(h, have > 0);
		if (!pages[have])
			break;
	}
	if (!have)
		return -1;
	for (n = 0; n < have && put_in(c, pages[n], number + n); n++)
		;
	for (unsigned int i = n + 1; i < have; i++)
		cache_give_back(c, pages[i]);
	if (!n)
		return 0;
	wait_for_writers(h->device, number, number + n - 1);
	rc = pages_io(h, nvme_cmd_read, pages, n);
	for (unsigned int i = 0; i < n; i++)
		release(c, pages[i], !rc);
	/* What lies behind may be what cannot be read. */
	return rc && n > 1 ? fill(h, number, 1) : rc;
}

static unsigned int fill_size(struct device *d, u64 number, u64 wanted)
{
	struct cache *c = &d->cache;
	u64 n = wanted, left = device_pages(d) - number;
	unsigned int share = __atomic_load_n(&c->capacity, __ATOMIC_RELAXED) / 4;

	if (__atomic_load_n(&c->stream, __ATOMIC_RELAXED) == number && n < AHEAD_PAGES)
		n = AHEAD_PAGES;
	if (n > left)
		n = left;
	if (share > FILL_PAGES)
		share = FILL_PAGES;
	if (n > share)
		n = share;
	return n ? (unsigned int)n : 1;
}

/* ---- reading and writing ---- */

static int ready(struct device *d)
{
	return likely(__atomic_load_n(&d->cache.usable, __ATOMIC_ACQUIRE)) ? 0 : cache_activate(d);
}

int cache_read(struct handle *h, char *buf, u64 offset, u64 len)
{
	struct cache *c = &h->device->cache;
	unsigned int rounds = 0;

	if (ready(h->device))
		return -1;
	while (len) {
		u64 number = offset >> PAGE_SHIFT;
		size_t in = offset & (PAGE_BYTES - 1), n = PAGE_BYTES - in < len ? PAGE_BYTES - in : len;
		struct shard *s = cache_shard(c, number);
		struct page *p;
		bool hit, missing;

		lock(&s->lock);
		p = cache_find(s, number);
		missing = !p;
		hit = p && !p->busy;
		if (likely(hit)) {
			memcpy(buf, p->data + in, n);
			cache_touch(c, s, p);
		}
		unlock(&s->lock);
		if (likely(hit)) {
			buf += n;
			offset += n;
			len -= n;
			rounds = 0;
		} else if (!missing) {
			cache_pause(&rounds);
		} else {
			unsigned int want = fill_size(h->device, number, (in + len + PAGE_BYTES - 1) >> PAGE_SHIFT);

			if (fill(h, number, want))
				return -1;
			__atomic_store_n(&c->stream, number + want, __ATOMIC_RELAXED);
		}
	}
	return 0;
}

/* Half of the cache may be dirty; who makes it more writes some. */
static int bound_dirty(struct handle *h, struct shard *s)
{
	struct cache *c = &h->device->cache;

	while (unlikely(__atomic_load_n(&c->dirty, __ATOMIC_RELAXED) > (__atomic_load_n(&c->capacity, __ATOMIC_RELAXED) + 1) / 2)) {
		struct page *p;

		lock(&s->lock);
		for (p = s->oldest; p && (p->busy || !p->dirty); p = p->newer)
			;
		if (p)
			p->busy = true;
		unlock(&s->lock);
		if (!p)
			return 0;
		if (write_cluster(h, p))
			return -1;
	}
	return 0;
}

/* A whole page that is not there: nothing to read. */
static int write_new(struct handle *h, u64 number, const char *buf, size_t n)
{
	struct cache *c = &h->device->cache;
	struct shard *s = cache_shard(c, number);
	struct page *p = take(h, false);

	if (!p)
		return -1;
	if (!put_in(c, p, number))
		return 0;
	wait_for_writers(h->device, number, number);
	memcpy(p->data, buf, n);
	lock(&s->lock);
	cache_set_dirty(c, s, p);
	p->busy = false;
	unlock(&s->lock);
	return 1;
}

int cache_write(struct handle *h, const char *buf, u64 offset, u64 len)
{
	struct device *d = h->device;
	struct cache *c = &d->cache;
	u64 first = offset >> PAGE_SHIFT, last = (offset + len - 1) >> PAGE_SHIFT;
	unsigned int rounds = 0;

	if (ready(d))
		return -1;
	while (len) {
		u64 number = offset >> PAGE_SHIFT;
		size_t in = offset & (PAGE_BYTES - 1), n = PAGE_BYTES - in < len ? PAGE_BYTES - in : len;
		struct shard *s = cache_shard(c, number);
		int done = 0;
		struct page *p;

		lock(&s->lock);
		p = cache_find(s, number);
		if (p && !p->busy) {
			memcpy(p->data + in, buf, n);
			cache_set_dirty(c, s, p);
			cache_touch(c, s, p);
			done = 1;
		}
		unlock(&s->lock);
		if (!done && p)
			cache_pause(&rounds);
		else if (!done && !in && (n == PAGE_BYTES || offset + n == d->capacity))
			done = write_new(h, number, buf, n);
		else if (!done)
			done = fill(h, number, 1);
		if (done < 0 || (done && bound_dirty(h, s)))
			return -1;
		if (done) {
			buf += n;
			offset += n;
			len -= n;
		}
	}
	return flags_of(h) & HANDLE_SYNC_IO ? cache_write_back(h, first, last) : 0;
}
