/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sleeping, seen from the queues. Both ends of it cost the hot path nothing: that somebody sleeps is a bit in memq_cq.slow, so
 * that the next completion takes the slow way and comes by here.
 */
#include "target/memq_hot.h"

static void raise_interrupts(struct memq *m)
{
	m->irq_wanted = false;
	for (uint32_t i = 0; i < ARRAY_SIZE(m->irq_bits); i++) {
		/* INTMS masks the first 32 vectors; what is masked stays wanted until INTMC. */
		uint64_t bits = m->irq_bits[i] & ~(i ? 0 : (uint64_t)m->intm);

		m->irq_bits[i] &= ~bits;
		for (; bits; bits &= bits - 1)
			m->port->irq(m->port_ctx, i * 64 + (uint32_t)__builtin_ctzll(bits));
	}
	for (uint32_t i = 0; i < ARRAY_SIZE(m->wake_bits); i++) {
		uint64_t bits = m->wake_bits[i];

		m->wake_bits[i] = 0;
		for (; bits; bits &= bits - 1)
			m->port->wake(m->port_ctx, (uint16_t)(i * 64 + (uint32_t)__builtin_ctzll(bits)));
	}
}

void memq_cq_waited(struct memq_cq *cq)
{
	cq->slow &= (uint8_t)~MEMQ_CQ_WAITED;
	cq->m->wake_bits[cq->qid / 64] |= 1ull << cq->qid % 64;
	cq->m->irq_wanted = true;
}

/* A host has armed: those whose completions are there already are woken, the others noted where the next completion finds it. */
static void see_armed(struct memq *m)
{
	/* Acquire: whoever set it has armed before. */
	if (!__atomic_exchange_n(m->armed_word, 0, __ATOMIC_ACQUIRE))
		return;
	for (uint32_t qid = 0; qid <= MEMQ_MAX_IO_QUEUES; qid++) {
		struct memq_cq *cq = m->cq[qid];
		uint32_t armed = cq ? m->port->armed(m->port_ctx, (uint16_t)qid) : 0;

		if (!armed)
			continue;
		cq->slow |= MEMQ_CQ_WAITED;
		if (cq->tail != armed - 1)
			memq_cq_waited(cq);
	}
}

void memq_flush_slowly(struct memq *m)
{
	see_armed(m);
	if (m->irq_wanted)
		raise_interrupts(m);
}

static void mark(struct memq *m, bool dozes)
{
	m->dozes = dozes;
	for (uint32_t i = 0; i <= MEMQ_MAX_IO_QUEUES; i++) {
		if (!m->cq[i])
			continue;
		if (dozes)
			m->cq[i]->slow |= MEMQ_CQ_DOZE;
		else
			m->cq[i]->slow &= (uint8_t)~MEMQ_CQ_DOZE;
	}
}

void memq_doze(struct memq *m)
{
	mark(m, true);
}

void memq_rouse(struct memq *m)
{
	if (!m->dozes)
		return;
	mark(m, false);
	m->opts.roused(m->opts.roused_ctx);
}
