/* SPDX-License-Identifier: BSD-3-Clause */
/* The cache's pages: made, found, taken, given back. What they are read from and written to is in cache_io.c. */
#include "cache.h"

#include <sched.h>
#include <stdlib.h>
#include <time.h>

#define PAGES_DEFAULT 2560      /* 10 MiB */
#define PAGES_MAX     (1 << 22) /* 16 GiB */
#define ONE_SHARD     1024      /* so many pages, or fewer, are one shard: exact LRU */

/* The memory of some pages; kept until the cache goes. */
struct chunk {
	struct chunk *next;
	char *data;
	struct page pages[];
};

void cache_pause(unsigned int *rounds)
{
	if (++*rounds < 32)
		cpu_relax();
	else if (*rounds < 200)
		sched_yield();
	else
		nanosleep(&(struct timespec){ .tv_nsec = 20000 }, NULL);
}

/* ---- one page; all under its shard's lock ---- */

/*
 * The clock makes sure that of a page that is put in and a direct write that begins one sees the other: here the clock advances and then
 * `writing` is read, there `writing` is set and then the clock is read, all four in one order that everybody agrees on.
 */
void cache_insert(struct cache *c, struct shard *s, struct page *p, u64 number)
{
	struct page **bucket = cache_bucket(s, number);

	p->number = number;
	p->used = __atomic_add_fetch(&c->clock, 1, __ATOMIC_SEQ_CST);
	p->busy = true;
	p->dirty = false;
	p->hash_next = *bucket;
	*bucket = p;
	cache_link_newest(s, p);
}

void cache_set_dirty(struct cache *c, struct shard *s, struct page *p)
{
	if (p->dirty)
		return;
	p->dirty = true;
	p->dirtied = __atomic_add_fetch(&c->dirtied, 1, __ATOMIC_RELAXED);
	p->dirty_next = s->dirty;
	p->dirty_pprev = &s->dirty;
	if (s->dirty)
		s->dirty->dirty_pprev = &p->dirty_next;
	s->dirty = p;
	__atomic_add_fetch(&c->dirty, 1, __ATOMIC_RELEASE);
}

void cache_set_clean(struct cache *c, struct page *p)
{
	p->dirty = false;
	*p->dirty_pprev = p->dirty_next;
	if (p->dirty_next)
		p->dirty_next->dirty_pprev = p->dirty_pprev;
	__atomic_sub_fetch(&c->dirty, 1, __ATOMIC_RELEASE);
}

void cache_remove(struct cache *c, struct shard *s, struct page *p)
{
	struct page **at = cache_bucket(s, p->number);

	while (*at != p)
		at = &(*at)->hash_next;
	*at = p->hash_next;
	cache_unlink(s, p);
	if (p->dirty)
		cache_set_clean(c, p);
}

/* ---- taking and giving back ---- */

struct page *cache_take_free(struct cache *c)
{
	struct page *p = NULL;

	lock(&c->free_lock);
	if (c->free && c->used < __atomic_load_n(&c->capacity, __ATOMIC_RELAXED)) {
		p = c->free;
		c->free = p->older;
		__atomic_store_n(&c->used, c->used + 1, __ATOMIC_RELAXED);
	}
	unlock(&c->free_lock);
	return p;
}

void cache_give_back(struct cache *c, struct page *p)
{
	lock(&c->free_lock);
	p->older = c->free;
	c->free = p;
	__atomic_store_n(&c->used, c->used - 1, __ATOMIC_RELAXED);
	unlock(&c->free_lock);
}

static struct shard *shard_of_oldest(struct cache *c)
{
	struct shard *best = NULL;
	u64 oldest = UINT64_MAX;

	if (c->num_shards == 1)
		return c->shards;
	for (unsigned int i = 0; i < c->num_shards; i++) {
		struct shard *s = &c->shards[i];

		lock(&s->lock);
		for (struct page *p = s->oldest; p; p = p->newer) {
			if (p->busy)
				continue;
			if (p->used < oldest) {
				oldest = p->used;
				best = s;
			}
			break;
		}
		unlock(&s->lock);
	}
	return best;
}

static struct page *evict_one(struct cache *c, struct page **dirty)
{
	struct shard *s = shard_of_oldest(c);
	struct page *p;

	*dirty = NULL;
	if (!s)
		return NULL;
	lock(&s->lock);
	for (p = s->oldest; p && p->busy; p = p->newer)
		;
	if (p && p->dirty) {
		*dirty = p;
		p->busy = true;
		p = NULL;
	} else if (p) {
		cache_remove(c, s, p);
	}
	unlock(&s->lock);
	return p;
}

/*
 * The page that was not used for longest, out of the cache; or NULL and in *dirty one that is dirty and must be written first, busy from
 * now on; or NULL twice: all are busy.
 */
struct page *cache_evict(struct cache *c, struct page **dirty)
{
	struct page *p;

	/* Several, when the cache has become smaller. */
	while ((p = evict_one(c, dirty)) &&
		__atomic_load_n(&c->used, __ATOMIC_RELAXED) > __atomic_load_n(&c->capacity, __ATOMIC_RELAXED))
		cache_give_back(c, p);
	return p;
}

/* ---- the whole ---- */

static int grow(struct device *d, unsigned int pages)
{
	struct cache *c = &d->cache;
	struct chunk *chunk = calloc(1, sizeof(*chunk) + pages * sizeof(struct page));

	if (chunk)
		chunk->data = nvio_mem_alloc(d->env, (size_t)pages << PAGE_SHIFT, PAGE_BYTES);
	if (!chunk || !chunk->data) {
		free(chunk);
		return failed(ENOMEM, "nvmed: cache: no memory for %u pages", pages);
	}
	for (unsigned int i = pages; i-- > 0;) {
		chunk->pages[i].data = chunk->data + ((size_t)i << PAGE_SHIFT);
		lock(&c->free_lock);
		chunk->pages[i].older = c->free;
		c->free = &chunk->pages[i];
		unlock(&c->free_lock);
	}
	chunk->next = c->chunks;
	c->chunks = chunk;
	__atomic_store_n(&c->pages, c->pages + pages, __ATOMIC_RELAXED);
	return 0;
}

static int rehash(struct cache *c, struct shard *s, unsigned int buckets)
{
	struct page **fresh = calloc(buckets, sizeof(*fresh)), **old;

	if (!fresh)
		return failed(ENOMEM, "nvmed: cache: no memory for its table");
	lock(&s->lock);
	old = s->buckets;
	s->buckets = fresh;
	s->mask = buckets - 1;
	for (struct page *p = s->oldest; p; p = p->newer) {
		struct page **at = cache_bucket(s, p->number);

		p->hash_next = *at;
		*at = p;
	}
	unlock(&s->lock);
	free(old);
	return 0;
}

/* Memory and tables for `capacity` pages. Under device->mutex. */
static int provide(struct device *d)
{
	struct cache *c = &d->cache;
	unsigned int buckets = 64;

	if (!c->num_shards)
		c->num_shards = c->capacity <= ONE_SHARD ? 1 : CACHE_SHARDS;
	while (buckets < c->capacity / c->num_shards * 2)
		buckets *= 2;
	for (unsigned int i = 0; i < c->num_shards; i++)
		if (c->shards[i].mask + 1 < buckets && rehash(c, &c->shards[i], buckets))
			return -1;
	return c->pages < c->capacity ? grow(d, c->capacity - c->pages) : 0;
}

int cache_make(struct device *d)
{
	if (d->pub.flags & NVMED_NO_CACHE)
		return 0;
	d->cache.capacity = PAGES_DEFAULT;
	return d->pub.flags & NVMED_CACHE_LAZY_INIT ? 0 : provide(d);
}

/* Each direct write that did not look for pages is in its queue's list once this is over, and later ones look. */
static void settle(struct device *d)
{
	for (struct queue *q = d->queues; q; q = q->next) {
		lock(&q->lock);
		while (q->waiting.head) {
			nvio_qpair_poll(q->qp, 0);
			unlock(&q->lock);
			sched_yield();
			lock(&q->lock);
		}
		unlock(&q->lock);
	}
}

int cache_activate(struct device *d)
{
	int rc = 0;

	pthread_mutex_lock(&d->mutex);
	if (!d->cache.active) {
		rc = provide(d);
		if (!rc) {
			__atomic_store_n(&d->cache.active, true, __ATOMIC_SEQ_CST);
			settle(d);
			__atomic_store_n(&d->cache.usable, true, __ATOMIC_RELEASE);
		}
	}
	pthread_mutex_unlock(&d->mutex);
	return rc;
}

int cache_resize(struct device *d, int pages)
{
	struct cache *c = &d->cache;
	struct page *p, *dirty;
	unsigned int before;
	int rc;

	if (pages < 1 || pages > PAGES_MAX || (d->pub.flags & NVMED_NO_CACHE))
		return failed(EINVAL, "nvmed: a cache has 1 to %d pages, and a device opened with NVMED_NO_CACHE none", PAGES_MAX);
	pthread_mutex_lock(&d->mutex);
	before = c->capacity;
	__atomic_store_n(&c->capacity, (unsigned int)pages, __ATOMIC_RELAXED);
	if (!c->active)
		c->num_shards = 0;
	rc = c->active || !(d->pub.flags & NVMED_CACHE_LAZY_INIT) ? provide(d) : 0;
	if (rc)
		__atomic_store_n(&c->capacity, before, __ATOMIC_RELAXED);
	/* What is clean goes now, what is dirty when it has been written. */
	while (c->active && __atomic_load_n(&c->used, __ATOMIC_RELAXED) > c->capacity) {
		p = cache_evict(c, &dirty);
		if (p)
			cache_give_back(c, p);
		if (dirty) {
			struct shard *s = cache_shard(c, dirty->number);

			lock(&s->lock);
			dirty->busy = false;
			unlock(&s->lock);
		}
		if (!p)
			break;
	}
	pthread_mutex_unlock(&d->mutex);
	return rc;
}

void cache_drop(struct device *d)
{
	struct cache *c = &d->cache;

	for (unsigned int i = 0; i < CACHE_SHARDS; i++)
		free(c->shards[i].buckets);
	while (c->chunks) {
		struct chunk *chunk = c->chunks;

		c->chunks = chunk->next;
		nvio_mem_free(d->env, chunk->data);
		free(chunk);
	}
}
