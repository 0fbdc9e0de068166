/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The hot path of the memory queues: from the entry in the ring to the op, and from the op's end to the completion's phase
 * tag. Whatever is rare has left for a COLD function before it gets here.
 */
#ifndef TARGET_MEMQ_HOT_H
#define TARGET_MEMQ_HOT_H

#include "target/memq.h"

static ALWAYS_INLINE struct memq_req *to_memq(struct tgt_req *r) { return container_of(r, struct memq_req, r); }

static ALWAYS_INLINE struct memq_req *memq_sq_take(struct memq_sq *sq)
{
	struct memq_req *q = sq->free;

	if (unlikely(!q)) {
		q = memq_sq_fresh(sq);
		if (!q)
			return NULL;
	} else {
		sq->free = q->next;
	}
	sq->used++;
	q->r.fault = 0;
	q->r.state = MEMQ_REQ_ACTIVE;
	q->r.dw0 = 0;
	q->r.dw1 = 0;
	return q;
}

/* Back to its queue, without an answer. */
static ALWAYS_INLINE void memq_release_to(struct memq_sq *sq, struct memq_req *q)
{
	if (unlikely(q->r.rare))
		memq_release_rare(q);
	q->r.state = MEMQ_REQ_FREE;
	q->next = sq->free;
	sq->free = q;
	sq->used--;
}

static ALWAYS_INLINE bool memq_cq_full(const struct memq_cq *cq)
{
	return (cq->tail + 1 == cq->size ? 0 : cq->tail + 1) == cq->head;
}

/* Writes one entry; the caller has seen that there is room. */
static ALWAYS_INLINE void memq_cq_write(struct memq_cq *cq, const struct memq_sq *sq, const struct memq_req *q, uint16_t cid,
	uint32_t phase)
{
	struct nvio_cqe *e = &cq->ring[cq->tail];
	uint64_t dws = NVIO_LE_SWAP(64, (uint64_t)q->r.dw1 << 32 | q->r.dw0);
	uint32_t ids = NVIO_LE_SWAP(32, sq->head | (uint32_t)sq->qid << 16);
	uint32_t last = NVIO_LE_SWAP(32, cid | (uint32_t)nvio_cqe_status_build(q->r.sf, phase) << 16);

	prefetch_write(e + MEMQ_PREFETCH);
	__builtin_memcpy(e, &dws, sizeof(dws));
	__builtin_memcpy(&e->sqhd, &ids, sizeof(ids));
	/*
	 * Release: the phase tag makes the entry valid, so neither the rest of it nor the data of the command may be seen
	 * later than this store.
	 */
	__atomic_store_n((uint32_t *)(void *)&e->cid, last, __ATOMIC_RELEASE);
	if (unlikely(++cq->tail == cq->size)) {
		cq->tail = 0;
		cq->phase ^= 1;
	}
	if (cq->ien) {
		cq->m->irq_bits[cq->vector / 64] |= 1ull << cq->vector % 64;
		cq->m->irq_wanted = true;
	}
}

/* Answers the request, with r->sf set. */
static ALWAYS_INLINE void memq_answer(struct memq_req *q)
{
	struct memq_sq *sq = q->sq;
	struct memq_cq *cq = sq->cq;

	if (unlikely(q->r.fault | cq->slow) || unlikely(memq_cq_full(cq))) {
		memq_complete_slowly(q);
		return;
	}
	memq_cq_write(cq, sq, q, nvio_get_le16(q->r.sqe.cid), cq->phase);
	memq_release_to(sq, q);
}

/* One page of data, the most frequent case by far; everything else is memq_map_slowly(). */
static ALWAYS_INLINE uint16_t memq_map_fast(struct tgt_req *r, uint32_t len, bool to_host)
{
	struct memq_req *q = to_memq(r);
	struct memq *m = q->sq->m;
	uint64_t prp1 = nvio_get_le64(r->sqe.prp1);
	void *p;

	if (unlikely(len > TGT_PAGE - prp1 % TGT_PAGE || prp1 % 4))
		return memq_map_slowly(m, q, len, to_host);
	if (unlikely(!prp1))
		return TGT_INVALID_FIELD;
	p = tgt_dma_map(&m->dma, prp1, len, to_host);
	if (unlikely(!p))
		return TGT_DNR(NVIO_SCT_GENERIC, NVIO_SC_DATA_TRANSFER_ERROR);
	r->iov_small[0] = (struct iovec){ p, len };
	r->iov = r->iov_small;
	r->iovcnt = 1;
	return 0;
}

#endif
