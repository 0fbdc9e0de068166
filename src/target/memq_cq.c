/* SPDX-License-Identifier: BSD-3-Clause */
/* Completions on their way to the host: the hot path's second half. */
#include "target/memq.h"

#include <errno.h>

#include "base/alloc.h"
#include "base/fail.h"
#include <nvio/spec/admin.h>

static ALWAYS_INLINE struct memq_req *to_memq(struct tgt_req *r) { return container_of(r, struct memq_req, r); }

/* Writes one entry; the caller has seen that there is room. */
static ALWAYS_INLINE void put(struct memq_cq *cq, const struct memq_req *q, uint16_t cid, uint32_t phase)
{
	struct nvio_cqe *e = &cq->ring[cq->tail];
	const struct memq_sq *sq = q->sq;
	uint64_t dws = NVIO_LE_SWAP(64, (uint64_t)q->r.dw1 << 32 | q->r.dw0);
	uint32_t ids = NVIO_LE_SWAP(32, sq->head | (uint32_t)sq->qid << 16);
	uint32_t last = NVIO_LE_SWAP(32, cid | (uint32_t)nvio_cqe_status_build(q->r.sf, phase) << 16);

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

static inline bool full(const struct memq_cq *cq)
{
	return (cq->tail + 1 == cq->size ? 0 : cq->tail + 1) == cq->head;
}

static COLD void bad_head(struct memq_cq *cq)
{
	__atomic_store_n(cq->head_db, cq->head, __ATOMIC_RELAXED);
	memq_bad_doorbell(cq->m, NVIO_AER_ERROR_INVALID_VALUE);
}

/* Takes the head that the host has rung, if it makes sense: it cannot pass the tail. */
static inline void read_head(struct memq_cq *cq)
{
	/* Acquire: our next write of the entry must not be seen before the host's reading of it ended. */
	uint32_t head = __atomic_load_n(cq->head_db, __ATOMIC_ACQUIRE), moved, filled;

	if (head == cq->head)
		return;
	moved = head >= cq->head ? head - cq->head : head + cq->size - cq->head;
	filled = cq->tail >= cq->head ? cq->tail - cq->head : cq->tail + cq->size - cq->head;
	if (unlikely(head >= cq->size || moved > filled)) {
		bad_head(cq);
		return;
	}
	cq->head = head;
	tgt_count(&cq->m->stats.cq_doorbells, 1);
}

bool memq_cq_put(struct memq_cq *cq, struct memq_req *q, uint16_t cid, uint8_t phase_flip)
{
	if (full(cq))
		return false;
	put(cq, q, cid, cq->phase ^ phase_flip);
	return true;
}

void memq_release(struct memq_req *q)
{
	struct memq_sq *sq = q->sq;

	if (unlikely(!sq->qid && q->r.sqe.opc == NVIO_ADMIN_ABORT && sq->m->ctrlr.aborts))
		sq->m->ctrlr.aborts--;
	if (unlikely(q->chunk))
		memq_map_free(sq->m, q);
	if (unlikely(q->r.bounce)) {
		alloc_free(q->r.bounce);
		q->r.bounce = NULL;
	}
	q->r.state = MEMQ_REQ_FREE;
	q->next = sq->free;
	sq->free = q;
	sq->used--;
}

static COLD void complete_slowly(struct memq_req *q)
{
	struct memq_cq *cq = q->sq->cq;

	if (cq->slow & (MEMQ_CQ_DEAD | MEMQ_CQ_SILENT)) {
		memq_release(q);
		return;
	}
	if (!(cq->slow & MEMQ_CQ_HELD) && !full(cq) && memq_fault_complete(q))
		return;
	cq->slow |= MEMQ_CQ_HELD;
	q->r.state = MEMQ_REQ_HELD;
	list_push_back(&cq->held, &q->r.link);
}

void memq_complete(struct tgt_req *r)
{
	struct memq_req *q = to_memq(r);
	struct memq_cq *cq = q->sq->cq;

	if (unlikely(r->fault | cq->slow)) {
		complete_slowly(q);
		return;
	}
	if (unlikely(full(cq))) {
		read_head(cq);
		if (full(cq)) {
			complete_slowly(q);
			return;
		}
	}
	put(cq, q, nvio_get_le16(r->sqe.cid), cq->phase);
	memq_release(q);
}

/* Lets held completions go, oldest first, as far as there is room. */
static COLD void let_go(struct memq_cq *cq)
{
	while (!list_empty(&cq->held) && !full(cq)) {
		struct memq_req *q = to_memq(list_entry(list_pop_front(&cq->held), struct tgt_req, link));

		if (cq->slow & MEMQ_CQ_SILENT) {
			memq_release(q);
		} else if (!memq_fault_complete(q)) {
			list_push_front(&cq->held, &q->r.link);
			return;
		}
	}
	if (list_empty(&cq->held))
		cq->slow &= (uint8_t)~MEMQ_CQ_HELD;
}

void memq_cq_look(struct memq_cq *cq)
{
	read_head(cq);
	if (unlikely(cq->slow & MEMQ_CQ_HELD))
		let_go(cq);
}
