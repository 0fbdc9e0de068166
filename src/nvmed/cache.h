/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The block cache of a device: pages of 4 KiB by their number, in shards with a lock each. Sixteen pages in a row are of one shard, so that
 * neighbours are found and written together under one lock. The page that was not used for longest goes first, exactly so within a shard; between
 * shards a clock decides that each miss advances.
 *
 * A page that is `busy` belongs to who does I/O on it; all others wait for it, or take another. Who has one busy waits for nothing but requests
 * of the drive, which end by themselves: so nobody waits in a circle.
 *
 * I/O past the cache: a read has dirty pages written back first. A write stands in its queue's `writing` from before it looks for pages in its way
 * until the drive has answered, and whoever brings a page in looks there after the page is seen to be busy; of the two, one sees the
 * other, and the writer steps back. While no buffered I/O has ever been done (`active`), none of that is looked at.
 */
#ifndef NVMED_CACHE_H
#define NVMED_CACHE_H

#include "priv.h"

#define CLUSTER_SHIFT 4
#define CLUSTER_PAGES (1u << CLUSTER_SHIFT)

struct page {
	struct page *hash_next;
	struct page *newer, *older;            /* by last use; of free ones `older` only */
	struct page *dirty_next, **dirty_pprev;
	u64 number;
	u64 used;                              /* the clock at its last use */
	u64 dirtied;                           /* the how many-th page that became dirty it is */
	char *data;
	bool busy;
	bool dirty;
};

static inline struct shard *cache_shard(struct cache *c, u64 number)
{
	return &c->shards[(number >> CLUSTER_SHIFT) & (c->num_shards - 1)];
}

static inline struct page **cache_bucket(struct shard *s, u64 number)
{
	return &s->buckets[(number ^ number >> 12) & s->mask];
}

/* Under the shard's lock. */
static inline struct page *cache_find(struct shard *s, u64 number)
{
	struct page *p = *cache_bucket(s, number);

	while (p && p->number != number)
		p = p->hash_next;
	return p;
}

static inline void cache_unlink(struct shard *s, struct page *p)
{
	*(p->newer ? &p->newer->older : &s->newest) = p->older;
	*(p->older ? &p->older->newer : &s->oldest) = p->newer;
}

static inline void cache_link_newest(struct shard *s, struct page *p)
{
	p->newer = NULL;
	p->older = s->newest;
	*(s->newest ? &s->newest->newer : &s->oldest) = p;
	s->newest = p;
}

static inline void cache_touch(struct cache *c, struct shard *s, struct page *p)
{
	p->used = __atomic_load_n(&c->clock, __ATOMIC_RELAXED);
	if (s->newest != p) {
		cache_unlink(s, p);
		cache_link_newest(s, p);
	}
}

/* cache.c */
int cache_activate(struct device *d);
void cache_insert(struct cache *c, struct shard *s, struct page *p, u64 number);
void cache_remove(struct cache *c, struct shard *s, struct page *p);
void cache_set_dirty(struct cache *c, struct shard *s, struct page *p);
void cache_set_clean(struct cache *c, struct page *p);
struct page *cache_take_free(struct cache *c);
void cache_give_back(struct cache *c, struct page *p);
struct page *cache_evict(struct cache *c, struct page **dirty);

/* Of those that wait for a page: spins, then yields, then naps. */
void cache_pause(unsigned int *rounds);

#endif
