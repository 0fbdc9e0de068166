/* SPDX-License-Identifier: BSD-3-Clause */
/* Completions on their way to the host, where it is not the straight way of memq_hot.h; the head doorbells. */
#include "target/memq_hot.h"

#include "base/alloc.h"
#include "base/fail.h"
#include <nvio/spec/admin.h>

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
	if (memq_cq_full(cq))
		return false;
	memq_cq_write(cq, q->sq, q, cid, cq->phase ^ phase_flip);
	if (cq->slow & MEMQ_CQ_WAITED)
		memq_cq_waited(cq);
	return true;
}

void memq_release_rare(struct memq_req *q)
{
	struct memq *m = q->sq->m;

	if (q->r.rare & TGT_RARE_ABORT)
		m->ctrlr.aborts--;
	if (q->chunk)
		memq_map_free(m, q);
	alloc_free(q->r.bounce);
	q->r.bounce = NULL;
	q->r.rare = 0;
}

void memq_release(struct memq_req *q)
{
	struct memq *m = q->sq->m;

	memq_release_to(q->sq, q);
	memq_rouse(m);
}

void memq_complete_slowly(struct memq_req *q)
{
	struct memq_cq *cq = q->sq->cq;

	if (cq->slow & (MEMQ_CQ_DEAD | MEMQ_CQ_SILENT)) {
		memq_release(q);
		return;
	}
	if (memq_cq_full(cq))
		read_head(cq);
	if (!(cq->slow & MEMQ_CQ_HELD) && !memq_cq_full(cq) && memq_fault_complete(q))
		return;
	cq->slow |= MEMQ_CQ_HELD;
	q->r.state = MEMQ_REQ_HELD;
	list_push_back(&cq->held, &q->r.link);
}

void memq_complete(struct tgt_req *r)
{
	memq_answer(to_memq(r));
}

/* Lets held completions go, oldest first, as far as there is room. */
static COLD void let_go(struct memq_cq *cq)
{
	while (!list_empty(&cq->held) && !memq_cq_full(cq)) {
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
