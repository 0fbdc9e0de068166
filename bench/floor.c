/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Both ends of the floor. They are functions of a file of their own, so that the counts per function are
 * counts per part.
 */
#include "floor.h"

#include <stddef.h>
#include <string.h>

#define PHASE (1u << 16)
#define NONE  0xffff
#define READ  0x02u
#define AHEAD 8u /* entries that are asked for before they are written */

_Static_assert(sizeof(struct floor_sqe) == 64, "NVMe Base 2.0 section 3.3.3.1");
_Static_assert(sizeof(struct floor_cqe) == 16, "NVMe Base 2.0 section 3.3.3.2");

void floor_init(struct floor_rings *f)
{
	memset(f, 0, sizeof(*f));
	for (uint32_t i = 0; i < FLOOR_ENTRIES - 1; i++)
		f->slots[i].next_free = (uint16_t)(i + 1);
	f->slots[FLOOR_ENTRIES - 2].next_free = NONE;
	f->cq_phase = PHASE;
	f->dev_phase = PHASE;
}

/*
 * Asks for a line that is to be written soon: the other side read it last, and a store that waits for its
 * line keeps all later stores waiting.
 */
static inline void soon_written(void *line)
{
#if defined(__x86_64__)
	/* For every x86-64, which __builtin_prefetch() makes of it only when told of a newer one. */
	__asm__ volatile("prefetchw %0" : : "m"(*(char *)line));
#else
	__builtin_prefetch(line, 1);
#endif
}

void floor_submit(struct floor_rings *f, struct floor_op *op, void *buf, uint64_t lba, uint32_t nblocks)
{
	uint32_t cid = f->free_slot;
	struct floor_slot *slot = &f->slots[cid];
	struct floor_sqe *sqe = &f->sq[f->sq_tail];

	soon_written(&f->sq[(f->sq_tail + AHEAD) % FLOOR_ENTRIES]);
	f->free_slot = slot->next_free;
	slot->op = op;
	sqe->word[0] = READ | cid << 16 | UINT64_C(1) << 32;
	sqe->word[1] = 0;
	sqe->word[2] = 0;
	sqe->word[3] = (uintptr_t)buf;
	sqe->word[4] = 0;
	sqe->word[5] = lba;
	sqe->word[6] = nblocks - 1;
	sqe->word[7] = 0;
	f->sq_tail = (f->sq_tail + 1) % FLOOR_ENTRIES;
}

static inline void ring(struct floor_rings *f)
{
	/* Release: the entries are in memory before the doorbell is. */
	atomic_store_explicit(&f->sq_doorbell, f->sq_tail, memory_order_release);
	f->sq_rung = f->sq_tail;
}

unsigned floor_reap(struct floor_rings *f)
{
	unsigned n = 0;

	if (f->sq_tail != f->sq_rung)
		ring(f);
	for (; n < FLOOR_ENTRIES; n++) {
		struct floor_cqe *cqe = &f->cq[f->cq_head];
		/* Acquire: the phase tag is read before the rest of the entry. */
		uint32_t last = atomic_load_explicit(&cqe->last, memory_order_acquire);
		struct floor_slot *slot;
		struct floor_op *op;

		if ((last ^ f->cq_phase) & PHASE)
			break;
		slot = &f->slots[last & 0xff];
		op = slot->op;
		op->dw0 = cqe->dw0;
		op->status = (int)(last >> 17);
		f->cq_head = (f->cq_head + 1) % FLOOR_ENTRIES;
		if (!f->cq_head)
			f->cq_phase ^= PHASE;
		slot->next_free = f->free_slot;
		f->free_slot = (uint16_t)(slot - f->slots);
		op->done(op);
	}
	/* Release: our reads of the entries are done before their places may be written again. */
	if (n)
		atomic_store_explicit(&f->cq_doorbell, f->cq_head, memory_order_release);
	if (f->sq_tail != f->sq_rung)
		ring(f);
	return n;
}

unsigned floor_device(struct floor_rings *f)
{
	/* Acquire: the doorbell is read before the entries it announces. */
	uint32_t tail = atomic_load_explicit(&f->sq_doorbell, memory_order_acquire), head = f->dev_head;
	unsigned n = 0;

	for (; head != tail; n++) {
		const struct floor_sqe *sqe = &f->sq[head];
		struct floor_cqe *cqe = &f->cq[f->dev_cq_tail];
		uint32_t cid = (uint32_t)(sqe->word[0] >> 16) & 0xffff;

		soon_written(&f->cq[(f->dev_cq_tail + AHEAD) % FLOOR_ENTRIES]);
		f->dev_moved += sqe->word[3] ^ sqe->word[5];
		head = (head + 1) % FLOOR_ENTRIES;
		cqe->dw0 = 0;
		cqe->dw1 = 0;
		cqe->sqhd = (uint16_t)head;
		cqe->sqid = 1;
		/* Release: the phase tag is written last. */
		atomic_store_explicit(&cqe->last, cid | f->dev_phase, memory_order_release);
		f->dev_cq_tail = (f->dev_cq_tail + 1) % FLOOR_ENTRIES;
		if (!f->dev_cq_tail)
			f->dev_phase ^= PHASE;
	}
	f->dev_head = head;
	return n;
}
