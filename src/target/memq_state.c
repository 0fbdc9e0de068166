/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The controller's life: enable, reset, shutdown, removal. Whatever ends it goes through draining, because the block layer
 * reads and writes the host's memory directly: CSTS.RDY must not read 0, nor the registers as all-ones, before the last
 * such op has ended, or the host might free memory that is still being written.
 */
#include "target/memq.h"

#include <errno.h>

#include "base/fail.h"
#include <nvio/error.h>
#include <nvio/spec/regs.h>

#define BIT(s) (1u << MEMQ_##s)

/* From where to where. */
static const uint32_t moves[MEMQ_NUM_STATES] = {
	[MEMQ_DISABLED] = BIT(READY) | BIT(FATAL) | BIT(STUCK) | BIT(DRAINING),
	[MEMQ_READY] = BIT(FATAL) | BIT(STUCK) | BIT(DRAINING),
	[MEMQ_FATAL] = BIT(STUCK) | BIT(DRAINING),
	[MEMQ_STUCK] = BIT(DRAINING),
	[MEMQ_DRAINING] = BIT(FLUSHING) | BIT(DISABLED) | BIT(SHUT) | BIT(GONE),
	[MEMQ_FLUSHING] = BIT(DISABLED) | BIT(SHUT) | BIT(GONE),
	[MEMQ_SHUT] = BIT(STUCK) | BIT(DRAINING),
	[MEMQ_GONE] = BIT(DISABLED),
};

void memq_state_set(struct memq *m, enum memq_state to)
{
	invariant(moves[m->state] & 1u << to);
	m->state = to;
	/* Release: pairs with memq_is_gone(). */
	atomic_store_explicit(&m->gone, to == MEMQ_GONE, memory_order_release);
}

void memq_csts_set(struct memq *m, uint32_t csts)
{
	m->csts = csts;
	m->port->reg_publish(m->port_ctx, NVIO_REG_CSTS, 4, csts);
}

static void csts_change(struct memq *m, struct nvio_csts set)
{
	set.nssro = (uint8_t)nvio_csts_nssro(m->csts);
	memq_csts_set(m, nvio_csts_build(&set));
}

/* From now on answers are dropped. */
static void silence(struct memq *m)
{
	for (uint32_t i = 0; i <= MEMQ_MAX_IO_QUEUES; i++)
		if (m->cq[i])
			m->cq[i]->slow |= MEMQ_CQ_DEAD;
}

void memq_fatal(struct tgt_ctrlr *c)
{
	struct memq *m = c->front_ctx;

	if (m->state != MEMQ_READY && m->state != MEMQ_DISABLED)
		return;
	silence(m);
	memq_state_set(m, MEMQ_FATAL);
	csts_change(m, (struct nvio_csts){ .cfs = 1, .rdy = (uint8_t)nvio_csts_rdy(m->csts) });
}

/* What is wrong with the registers that the host has set before CC.EN (NVMe Base 2.0 section 3.5.1); NULL: nothing. */
static const char *enable_refused(struct memq *m)
{
	uint32_t cc = m->cc, asqs = nvio_aqa_asqs(m->aqa), acqs = nvio_aqa_acqs(m->aqa);

	if (nvio_cc_mps(cc))
		return "CC.MPS is not 0, the only page size in CAP";
	if (nvio_cc_css(cc) != NVIO_CC_CSS_NVM)
		return "CC.CSS is not 0, the only command set in CAP";
	if (nvio_cc_ams(cc) != NVIO_CC_AMS_RR)
		return "CC.AMS is not 0, the only arbitration in CAP";
	/* They need not be set before the first I/O queue is made (section 3.1.3.5). */
	if (nvio_cc_iosqes(cc) && nvio_cc_iosqes(cc) != 6)
		return "CC.IOSQES is not 6";
	if (nvio_cc_iocqes(cc) && nvio_cc_iocqes(cc) != 4)
		return "CC.IOCQES is not 4";
	if (!asqs || !acqs)
		return "AQA: an admin queue has fewer than 2 entries";
	if (m->asq % TGT_PAGE || m->acq % TGT_PAGE)
		return "ASQ or ACQ is not aligned to a page";
	if (!tgt_dma_map(&m->dma, m->asq, (asqs + 1) * sizeof(struct nvio_sqe), false) ||
		!tgt_dma_map(&m->dma, m->acq, (acqs + 1) * sizeof(struct nvio_cqe), true))
		return "ASQ or ACQ leads nowhere";
	return NULL;
}

void memq_enable(struct memq *m)
{
	const char *why = enable_refused(m);

	if (fault_plan_armed(m->faults) && fault_plan_state(m->faults, NVIO_FAULT_NEVER_READY)) {
		memq_state_set(m, MEMQ_STUCK);
		return;
	}
	if (!why && memq_open_admin(m))
		why = "no memory for the admin queue";
	if (why) {
		log_msg(&m->ctrlr.env->log, NVIO_LOG_NOTICE, "target: %s: the controller refuses to start: %s",
			m->ctrlr.subsys->serial, why);
		memq_fatal(&m->ctrlr);
		return;
	}
	memq_state_set(m, MEMQ_READY);
	csts_change(m, (struct nvio_csts){ .rdy = 1 });
}

static void drop(struct memq *m, struct memq_req *q)
{
	list_remove(&q->r.link);
	memq_release(q);
}

/* Takes back every request that is not with the block layer. */
static void take_back(struct memq *m)
{
	struct tgt_ctrlr *c = &m->ctrlr;
	struct list *l;

	while ((l = list_pop_front(&c->aer.waiting)))
		drop(m, container_of(list_entry(l, struct tgt_req, link), struct memq_req, r));
	c->aer.num_waiting = 0;
	while ((l = list_pop_front(&c->bounce_wait)))
		drop(m, container_of(list_entry(l, struct tgt_req, link), struct memq_req, r));
	for (uint32_t i = 0; i < m->num_active; i++) {
		struct memq_sq *sq = m->active[i];

		for (uint32_t j = 0; j < sq->fresh; j++) {
			struct memq_req *q = &sq->reqs[j];

			if (q->r.state == MEMQ_REQ_FREE || q->r.state == MEMQ_REQ_ACTIVE)
				continue;
			nvio_timer_stop(&q->timer);
			drop(m, q);
		}
	}
	m->deleting = 0;
}

void memq_drain(struct memq *m, uint32_t goal)
{
	bool begun = m->state == MEMQ_DRAINING || m->state == MEMQ_FLUSHING;

	m->goal |= goal;
	if (begun)
		return;
	if (goal & MEMQ_GOAL_SHUTDOWN)
		csts_change(m, (struct nvio_csts){ .rdy = (uint8_t)nvio_csts_rdy(m->csts),
			.cfs = (uint8_t)nvio_csts_cfs(m->csts), .shst = NVIO_CSTS_SHST_OCCURRING });
	memq_state_set(m, MEMQ_DRAINING);
	silence(m);
	take_back(m);
}

void memq_left(struct memq *m)
{
	/* Release: pairs with memq_has_left(). */
	atomic_store_explicit(&m->leaving, false, memory_order_release);
}

static void finish(struct memq *m)
{
	uint32_t goal = m->goal, shst = NVIO_CSTS_SHST_NORMAL;
	struct memq_reg_write lost;

	m->goal = 0;
	memq_close_queues(m);
	tgt_ctrlr_reset(&m->ctrlr);
	m->burst = MEMQ_BURST;
	m->irq_wanted = false;
	for (uint32_t i = 0; i < ARRAY_SIZE(m->irq_bits); i++)
		m->irq_bits[i] = 0;
	for (uint32_t i = 0; i < ARRAY_SIZE(m->wake_bits); i++)
		m->wake_bits[i] = 0; /* whoever sleeps hears of the status */
	if (goal & MEMQ_GOAL_GONE) {
		/* Only now, when nothing touches the host's memory any more: it cannot wait for CSTS.RDY as in a reset. */
		m->port->present(m->port_ctx, false);
		while (m->port->reg_next(m->port_ctx, &lost))
			; /* written before, never looked at: not to be found by the next life */
		memq_state_set(m, MEMQ_GONE);
		goto out;
	}
	if (goal & MEMQ_GOAL_SHUTDOWN)
		shst = NVIO_CSTS_SHST_COMPLETE;
	if (goal & MEMQ_GOAL_RESET) {
		memq_state_set(m, MEMQ_DISABLED);
		memq_regs_reset(m);
		if (goal & MEMQ_GOAL_NSSR)
			memq_csts_set(m, nvio_csts_build(&(struct nvio_csts){ .nssro = 1 }));
	} else if (goal & MEMQ_GOAL_DISABLE || !nvio_cc_en(m->cc)) {
		memq_state_set(m, MEMQ_DISABLED);
		csts_change(m, (struct nvio_csts){ .shst = (uint8_t)shst });
	} else {
		memq_state_set(m, MEMQ_SHUT);
		csts_change(m, (struct nvio_csts){ .rdy = (uint8_t)nvio_csts_rdy(m->csts), .shst = (uint8_t)shst });
	}
out:
	/* Last: what this host reads, or the next one finds, is published. */
	if (goal & MEMQ_GOAL_LEFT)
		memq_left(m);
}

static void flush_ended(struct nvio_op *op)
{
	struct memq *m = op->arg;

	m->flush_busy = false;
	m->ctrlr.ns[m->flush_ns].inflight--;
	if (op->status)
		log_msg(&m->ctrlr.env->log, NVIO_LOG_ERROR, "target: %s: flush of namespace %u at shutdown: %s",
			m->ctrlr.subsys->serial, m->flush_ns + 1, nvio_errno_name(op->status));
	if (m->ctrlr.ns[m->flush_ns].flags & TGT_REMOVED)
		tgt_attach_settle(&m->ctrlr.ns[m->flush_ns]);
	m->flush_ns++;
	memq_rouse(m);
}

/* Flushes one namespace after another; true when all have been. */
static bool flush_step(struct memq *m)
{
	while (!m->flush_busy && m->flush_ns < m->ctrlr.num_ns) {
		struct tgt_attach *at = &m->ctrlr.ns[m->flush_ns];

		m->flush_op = (struct nvio_op)NVIO_OP(flush_ended);
		m->flush_op.arg = m;
		if (!at->desc || at->flags & TGT_REMOVED ||
			nvio_bdev_flush(at->desc, at->ch, &m->flush_op)) {
			m->flush_ns++;
			continue;
		}
		at->inflight++;
		m->flush_busy = true;
	}
	return !m->flush_busy;
}

bool memq_drain_step(struct memq *m)
{
	if (m->state == MEMQ_DRAINING) {
		for (uint32_t i = 0; i < m->num_active; i++)
			if (m->active[i]->used)
				return false;
		if (m->goal & MEMQ_GOAL_SHUTDOWN) {
			m->flush_ns = 0;
			memq_state_set(m, MEMQ_FLUSHING);
		}
	}
	if (m->state == MEMQ_FLUSHING && !flush_step(m))
		return false;
	finish(m);
	return true;
}
