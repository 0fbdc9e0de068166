/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The hot path of a queue pair that all transports share: what a plain read or write is, taking a slot, and what happens
 * when a completion names it.
 * Read this and host/pcie/mq.c to know what an I/O costs.
 */
#ifndef HOST_HOT_H
#define HOST_HOT_H

#include "host/host.h"
#include <nvio/spec/words.h>

#define SLOT_INDEX_BITS 12
#define SLOT_INDEX(cid) ((cid) & ((1u << SLOT_INDEX_BITS) - 1))

static inline struct slot *slot_take(struct nvio_qpair *qp, struct nvio_op *op)
{
	struct slot *slot = &qp->slots[qp->free_slot];

	qp->free_slot = slot->next_free;
	slot->op = op;
	return slot;
}

/* The next command in this slot gets another generation: a late second completion of this one is told apart. */
static ALWAYS_INLINE void slot_give_back_at(struct nvio_qpair *qp, struct slot *slot, uint32_t index)
{
	slot->op = NULL;
	slot->cid += 1u << SLOT_INDEX_BITS;
	slot->next_free = qp->free_slot;
	qp->free_slot = (uint16_t)index;
}

static inline void slot_give_back(struct nvio_qpair *qp, struct slot *slot)
{
	slot_give_back_at(qp, slot, (uint32_t)(slot - qp->slots));
}

static inline uint32_t qpair_in_flight(const struct nvio_qpair *qp)
{
	return (uint32_t)(qp->stats.submitted - qp->stats.completed - qp->dropped);
}

static inline void op_set_cpl(struct nvio_op *op, uint64_t dw01, uint32_t sf)
{
	memcpy(&op->cpl.dw0, &dw01, sizeof(dw01));
	op->cpl.sf = (uint16_t)sf;
	op->cpl.answered = 1;
	op->cpl.reserved = 0; /* so that it is one store */
}

/* Hands a finished op of this queue to whom it belongs. */
static inline void qpair_end(struct nvio_qpair *qp, struct nvio_op *op, int status)
{
	if (unlikely(!op->done && (op->flags & NVIO_OP_REAP))) {
		op->state = OP_REAPABLE;
		op_queue_push(&qp->reaped, op);
	}
	op_end(op, status);
}

/* ---- submitting a plain read or write ---- */

_Static_assert(offsetof(struct nvio_qpair, gate) == offsetof(struct nvio_qpair, free_slot) + 2 &&
	offsetof(struct nvio_qpair, free_slot) % 4 == 0, "qpair_open() reads both at once");

/* The gate is open and a slot is free: gate 0, and free_slot not FFFFh, in one comparison. */
static ALWAYS_INLINE bool qpair_open(const struct nvio_qpair *qp)
{
	uint32_t both;

	memcpy(&both, &qp->free_slot, sizeof(both));
	return NVIO_LE_SWAP(32, both) < SLOT_NONE;
}

/* Whether [lba, lba + nblocks) may go out as one command, right now, as it is. false: io_submit() sorts out what else it takes. */
static ALWAYS_INLINE bool io_is_plain(const struct nvio_ns *ns, const struct nvio_qpair *qp, uintptr_t buf, uint64_t lba,
	uint32_t nblocks, const struct nvio_op *op, bool write)
{
	uint64_t end;

	if (NVIO_CHECKED || unlikely(!ns))
		return false;
	if (unlikely(!op))
		return false;
	/* The subtraction turns away 0 as well. A namespace that is gone has no blocks. */
	if (unlikely(nblocks - 1 >= ns->max_blocks || __builtin_add_overflow(lba, nblocks, &end) || end > __atomic_load_n(&ns->num_blocks, __ATOMIC_ACQUIRE)))
		return false;
	if (unlikely(buf & 3))
		return false;
	if (unlikely(qp->ctrlr != ns->ctrlr || !qpair_open(qp)))
		return false;
	if (unlikely((op->timeout_us | op->flags) || op->status == -EINPROGRESS))
		return false;
	return !write || likely(!ns->read_only);
}

static ALWAYS_INLINE void io_describe(struct nvio_op *op, struct nvio_ns *ns, uint8_t kind, uint8_t opcode, void *data, uint32_t iovcnt,
	uint64_t lba, uint32_t nblocks, uint16_t control)
{
	struct host_io *io = op_io(op);

	io->ns = ns;
	io->data = data;
	io->lba = lba;
	io->deadline_ns = 0;
	io->nblocks = nblocks;
	io->iovcnt = iovcnt;
	io->next_block = 0;
	io->in_flight = 0;
	io->kind = kind;
	io->opcode = opcode;
	io->error = 0;
	io->flags = 0;
	io->retries = 0;
	io->control = control;
}

/* ---- completing ---- */

/*
 * A completion arrived: dw01 are its first two dwords in host order, sf its status field without the phase tag. Returns 1 when an
 * op ended, 0 otherwise. The caller has moved its queue head on: callbacks may poll this queue again.
 */
static ALWAYS_INLINE int qpair_complete(struct nvio_qpair *qp, uint16_t cid, uint64_t dw01, uint32_t sf)
{
	uint32_t index = cid & qp->slot_mask;
	struct slot *slot = &qp->slots[index];
	struct nvio_op *op = slot->op;

	/* An identifier that nobody uses, or that was answered before: its slot has another generation, or no op. */
	if (unlikely(slot->cid != cid || !op)) {
		qp->stats.bad_completions++;
		return 0;
	}
	qp->stats.completed++;
	if (unlikely(slot->flags | sf))
		return qpair_complete_slow(qp, slot, op, dw01, sf);
	slot_give_back_at(qp, slot, index);
	op_set_cpl(op, dw01, 0);
	qpair_end(qp, op, 0);
	return 1;
}

#endif
