/* SPDX-License-Identifier: BSD-3-Clause */
/* From Physical Region Pages to an iovec: the host's memory as the target may touch it. */
#ifndef TARGET_PRP_H
#define TARGET_PRP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

/*
 * Where device addresses lead. map: the memory behind [addr, addr + len), contiguous, or NULL when not all of it may be
 * touched; `write`: the controller writes to it.
 */
struct tgt_dma_ops {
	void *(*map)(void *ctx, uint64_t addr, uint64_t len, bool write);
};

struct tgt_dma {
	const struct tgt_dma_ops *ops;
	void *ctx;
};

static inline void *tgt_dma_map(const struct tgt_dma *dma, uint64_t addr, uint64_t len, bool write)
{
	return dma->ops->map(dma->ctx, addr, len, write);
}

/*
 * Walks the PRPs of `len` bytes (NVMe Base 2.0 section 4.1.1); neighbouring pages become one element. 0 and *count; a
 * status with DNR; or PRP_MORE: `max` elements are not enough.
 */
#define PRP_MORE 0xffff
uint16_t prp_walk(const struct tgt_dma *dma, uint64_t prp1, uint64_t prp2, uint32_t len, bool to_host,
	struct iovec *iov, int max, int *count);

#endif
