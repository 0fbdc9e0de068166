/* SPDX-License-Identifier: BSD-3-Clause */
/* Data that goes through the layer's own memory: where the caller's cannot be used, or what is there must be looked at. */
#include <string.h>

#include "base/alloc.h"
#include "bdev/piece.h"
#include "mem/mem.h"
#include <nvio/mem.h>

void bdev_bounce_fill(unsigned char *bounce, const struct iovec *iov, uint64_t skip, uint64_t len)
{
	for (; len; iov++, skip = 0) {
		uint64_t n = MIN(iov->iov_len - skip, len);

		if (n)
			memcpy(bounce, (const char *)iov->iov_base + skip, n);
		bounce += n;
		len -= n;
	}
}

void bdev_bounce_empty(const unsigned char *bounce, const struct iovec *iov, uint64_t skip, uint64_t len)
{
	for (; len; iov++, skip = 0) {
		uint64_t n = MIN(iov->iov_len - skip, len);

		if (n)
			memcpy((char *)iov->iov_base + skip, bounce, n);
		bounce += n;
		len -= n;
	}
}

bool bdev_bounce_equal(const unsigned char *bounce, const struct iovec *iov, uint64_t skip, uint64_t len)
{
	for (; len; iov++, skip = 0) {
		uint64_t n = MIN(iov->iov_len - skip, len);

		if (n && memcmp(bounce, (const char *)iov->iov_base + skip, n))
			return false;
		bounce += n;
		len -= n;
	}
	return true;
}

int bdev_pool_init(struct bdev_channel *ch)
{
	struct nvio_env *env = ch->bdev->env;
	struct bdev_pool *pool = alloc_zeroed(sizeof(*pool));

	if (!pool)
		return fail(-ENOMEM, "bdev: channel: %s: no memory for I/O in pieces", ch->bdev->name);
	pool->memory = nvio_mem_alloc_zeroed(env, (size_t)BDEV_BOUNCE_BYTES * (BDEV_BOUNCES + 1), MEM_PAGE);
	if (!pool->memory) {
		alloc_free(pool);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < BDEV_BOUNCES; i++)
		pool->bounces[pool->bounce_count++] = pool->memory + (size_t)BDEV_BOUNCE_BYTES * (i + 1);
	for (unsigned i = 0; i < BDEV_PIECES; i++) {
		pool->pieces[i].next = pool->free;
		pool->free = &pool->pieces[i];
	}
	for (unsigned i = 0; i < BDEV_SWAPS; i++) {
		pool->swaps[i].next = pool->free_swaps;
		pool->free_swaps = &pool->swaps[i];
	}
	ch->pool = pool;
	return 0;
}

void bdev_pool_fini(struct bdev_channel *ch)
{
	if (!ch->pool)
		return;
	invariant(!nvio_mem_free(ch->bdev->env, ch->pool->memory));
	alloc_free(ch->pool);
	ch->pool = NULL;
}
