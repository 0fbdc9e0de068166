/* SPDX-License-Identifier: BSD-3-Clause */
/* Where the fault plan meets the queues: before a command is executed, and when its completion is written. */
#include "target/memq.h"

#include "base/fail.h"

static void on_delay(struct nvio_timer *timer)
{
	struct memq_req *q = timer->arg;
	struct memq *m = q->sq->m;

	/* Timers come before the poller that would look: its host may have left, and its memory is not ours any more then. */
	if (m->state != MEMQ_READY || memq_noted(m, MEMQ_ATT_DETACHED | MEMQ_ATT_REMOVE))
		memq_release(q);
	else
		memq_run(q);
}

bool memq_strike(struct memq_req *q)
{
	struct memq *m = q->sq->m;
	struct nvio_fault f;

	if (!fault_plan_command(m->faults, &q->r.sqe, !q->sq->qid, &f))
		return false;
	switch (f.kind) {
	case NVIO_FAULT_DELAY:
		q->timer.fn = on_delay;
		q->timer.arg = q;
		q->r.state = MEMQ_REQ_DELAYED;
		/* Without memory for a timer the command is not late, which is the lesser wrong. */
		return !nvio_timer_start(m->ctrlr.thread, &q->timer, f.delay_us);
	case NVIO_FAULT_STATUS:
		tgt_req_done(&q->r, f.sf);
		return true;
	case NVIO_FAULT_FATAL:
		memq_release(q);
		memq_fatal(&m->ctrlr);
		return true;
	case NVIO_FAULT_REMOVE:
		memq_release(q);
		memq_drain(m, MEMQ_GOAL_GONE);
		return true;
	default:
		q->r.fault = (uint8_t)(f.kind + 1);
		return false;
	}
}

static bool cid_used(const struct memq_sq *sq, uint16_t cid)
{
	for (uint32_t i = 0; i < sq->fresh; i++)
		if (sq->reqs[i].r.state != MEMQ_REQ_FREE && nvio_get_le16(sq->reqs[i].r.sqe.cid) == cid)
			return true;
	return false;
}

/* Two entries of the queue. One of two entries never has them, so there the plan has to do without. */
static bool room_for_two(const struct memq_cq *cq)
{
	uint32_t filled = cq->tail >= cq->head ? cq->tail - cq->head : cq->tail + cq->size - cq->head;

	return cq->size - 1 - filled >= 2;
}

bool memq_fault_complete(struct memq_req *q)
{
	struct memq_cq *cq = q->sq->cq;
	uint16_t cid = nvio_get_le16(q->r.sqe.cid), other = 0xfffe;
	int kind = q->r.fault - 1;

	if (kind == NVIO_FAULT_LOSE)
		goto release;
	if ((kind == NVIO_FAULT_UNKNOWN_CID || kind == NVIO_FAULT_DUPLICATE) && cq->size > 2) {
		if (!room_for_two(cq))
			return false;
		if (kind == NVIO_FAULT_DUPLICATE)
			other = cid;
		else
			while (cid_used(q->sq, other))
				other--;
		memq_cq_put(cq, q, other, 0);
	}
	memq_cq_put(cq, q, cid, kind == NVIO_FAULT_PHASE);
	if (kind == NVIO_FAULT_PHASE)
		cq->slow |= MEMQ_CQ_SILENT;
release:
	memq_release(q);
	return true;
}
