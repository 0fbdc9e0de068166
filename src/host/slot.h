/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The hot path of a queue pair that all transports share: taking a slot, and what happens when a completion names it.
 * Read this and host/pcie/mq.c to know what an I/O costs.
 */
#ifndef HOST_SLOT_H
#define HOST_SLOT_H

#include "host/host.h"
#include <nvio/spec/words.h>

#define SLOT_INDEX_BITS 12
#define SLOT_INDEX(cid) ((cid) & ((1u << SLOT_INDEX_BITS) - 1))

static inline struct slot *slot_take(struct nvio_qpair *qp, struct nvio_op *op)
{
	struct slot *slot = &qp->slots[qp->free_slots[--qp->nfree]];

	slot->op = op;
	return slot;
}

/* The next command in this slot gets another generation: a late second completion of this one is told apart. */
static inline void slot_give_back(struct nvio_qpair *qp, struct slot *slot)
{
	qp->free_slots[qp->nfree++] = SLOT_INDEX(slot->cid);
	slot->op = NULL;
	slot->flags = 0;
	slot->cid += 1u << SLOT_INDEX_BITS;
}

static inline void op_set_cpl(struct nvio_op *op, uint64_t dw01, uint32_t sf)
{
	memcpy(&op->cpl.dw0, &dw01, sizeof(dw01));
	op->cpl.sf = (uint16_t)sf;
	op->cpl.answered = 1;
	op->cpl.reserved = 0;
}

/* Hands a finished op of this queue to whom it belongs. */
static inline void qpair_end(struct nvio_qpair *qp, struct nvio_op *op, int status)
{
	if (unlikely(!op->done && (op->flags & NVIO_OP_REAP)))
		op_queue_push(&qp->reaped, op);
	op_end(op, status);
}

/*
 * A completion arrived: dw01 are its first two dwords in host order, sf its status field without the phase tag. Returns 1 when an
 * op ended, 0 otherwise. The caller has moved its queue head on: callbacks may poll this queue again.
 */
static ALWAYS_INLINE int qpair_complete(struct nvio_qpair *qp, uint32_t cid, uint64_t dw01, uint32_t sf)
{
	struct slot *slot = &qp->slots[SLOT_INDEX(cid)];
	struct nvio_op *op;

	if (unlikely(SLOT_INDEX(cid) >= qp->nslots || slot->cid != cid || !slot->op)) {
		qp->stats.bad_completions++;
		return 0;
	}
	op = slot->op;
	qp->stats.completed++;
	if (unlikely(slot->flags)) {
		qpair_complete_slow(qp, slot, op, dw01, sf);
		return 1;
	}
	slot_give_back(qp, slot);
	op_set_cpl(op, dw01, sf);
	qpair_end(qp, op, unlikely(sf) ? nvio_status_to_errno((uint16_t)sf) : 0);
	return 1;
}

#endif
