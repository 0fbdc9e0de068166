/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The queues themselves: Create and Delete I/O Queue with all that can be wrong about them (NVMe Base 2.0 sections 5.4
 * to 5.7), Abort's search, and doorbells that nobody should ring.
 */
#include "target/memq.h"

#include <errno.h>

#include "base/alloc.h"
#include "base/fail.h"
#include <nvio/spec/admin.h>
#include <nvio/spec/feature.h>
#include <nvio/spec/regs.h>

#define INVALID(sc) TGT_DNR(NVIO_SCT_COMMAND, NVIO_SC_INVALID_##sc)

static uint32_t *doorbell(struct memq *m, uint32_t index)
{
	uint32_t *db = m->port->doorbell(m->port_ctx, index);

	/* Whatever was written before the queue was there does not count. */
	__atomic_store_n(db, 0, __ATOMIC_RELAXED);
	return db;
}

static struct memq_cq *cq_open(struct memq *m, uint16_t qid, uint32_t size, uint64_t addr)
{
	struct memq_cq *cq = alloc_zeroed(sizeof(*cq));

	if (!cq)
		return NULL;
	cq->ring = tgt_dma_map(&m->dma, addr, size * sizeof(struct nvio_cqe), true);
	cq->size = size;
	cq->phase = 1;
	cq->qid = qid;
	cq->m = m;
	cq->head_db = doorbell(m, 2u * qid + 1);
	list_init(&cq->held);
	m->cq[qid] = cq;
	return cq;
}

static void cq_close(struct memq *m, struct memq_cq *cq)
{
	doorbell(m, 2u * cq->qid + 1);
	m->cq[cq->qid] = NULL;
	alloc_free(cq);
}

static struct memq_sq *sq_open(struct memq *m, uint16_t qid, uint32_t size, uint64_t addr, struct memq_cq *cq)
{
	struct memq_sq *sq = alloc_zeroed(sizeof(*sq));

	if (!sq)
		return NULL;
	sq->num_reqs = MIN(size, MEMQ_MAX_REQS);
	sq->reqs = alloc_aligned(CACHE_LINE, sq->num_reqs * sizeof(*sq->reqs));
	if (!sq->reqs) {
		alloc_free(sq);
		return NULL;
	}
	sq->ring = tgt_dma_map(&m->dma, addr, size * sizeof(struct nvio_sqe), false);
	sq->size = size;
	sq->qid = qid;
	sq->m = m;
	sq->cq = cq;
	sq->tail_db = doorbell(m, 2u * qid);
	cq->num_sqs++;
	m->sq[qid] = sq;
	m->active[m->num_active++] = sq;
	return sq;
}

static void sq_close(struct memq *m, struct memq_sq *sq)
{
	uint32_t i;

	for (i = 0; m->active[i] != sq; i++)
		;
	m->active[i] = m->active[--m->num_active];
	doorbell(m, 2u * sq->qid);
	m->sq[sq->qid] = NULL;
	sq->cq->num_sqs--;
	alloc_free(sq->reqs);
	alloc_free(sq);
}

struct memq_req *memq_sq_fresh(struct memq_sq *sq)
{
	struct memq_req *q;

	if (sq->fresh == sq->num_reqs)
		return NULL;
	q = &sq->reqs[sq->fresh++];
	q->sq = sq;
	q->r.ctrlr = &sq->m->ctrlr;
	q->r.sqid = sq->qid;
	list_init(&q->r.link);
	return q;
}

int memq_open_admin(struct memq *m)
{
	struct memq_cq *cq = cq_open(m, 0, nvio_aqa_acqs(m->aqa) + 1, m->acq);
	struct memq_sq *sq = cq ? sq_open(m, 0, nvio_aqa_asqs(m->aqa) + 1, m->asq, cq) : NULL;

	if (!sq) {
		memq_close_queues(m);
		return -ENOMEM;
	}
	cq->ien = true;
	return 0;
}

void memq_close_queues(struct memq *m)
{
	while (m->num_active)
		sq_close(m, m->active[m->num_active - 1]);
	for (uint32_t i = 0; i <= MEMQ_MAX_IO_QUEUES; i++)
		if (m->cq[i])
			cq_close(m, m->cq[i]);
	m->deleting = 0;
}

/* What both kinds of queue have in common. */
static uint16_t check_create(struct memq *m, const struct nvio_sqe *sqe, bool sq, uint32_t entry)
{
	uint32_t cdw10 = tgt_dw(sqe->cdw10), qid = nvio_create_queue_qid(cdw10), qsize = nvio_create_queue_qsize(cdw10);
	uint32_t granted = m->ctrlr.features.value[NVIO_FID_NUM_QUEUES];
	uint64_t addr = nvio_get_le64(sqe->prp1);

	granted = (sq ? nvio_num_queues_sq(granted) : nvio_num_queues_cq(granted)) + 1;
	if (!qid || qid > granted || (sq ? (void *)m->sq[qid] : (void *)m->cq[qid]))
		return INVALID(QID);
	if (!qsize || qsize > nvio_cap_mqes(m->cap) ||
		(sq ? nvio_cc_iosqes(m->cc) != 6 : nvio_cc_iocqes(m->cc) != 4))
		return INVALID(QUEUE_SIZE);
	if (!(tgt_dw(sqe->cdw11) & NVIO_CREATE_PC)) /* CAP.CQR: contiguous is all there is */
		return TGT_INVALID_FIELD;
	if (addr % TGT_PAGE)
		return TGT_DNR(NVIO_SCT_GENERIC, NVIO_SC_INVALID_PRP_OFFSET);
	if (!addr || !tgt_dma_map(&m->dma, addr, (uint64_t)(qsize + 1) * entry, !sq))
		return TGT_INVALID_FIELD;
	return 0;
}

static uint16_t create_cq(struct memq *m, const struct nvio_sqe *sqe)
{
	uint32_t cdw10 = tgt_dw(sqe->cdw10), cdw11 = tgt_dw(sqe->cdw11);
	uint16_t sf = check_create(m, sqe, false, sizeof(struct nvio_cqe));
	struct memq_cq *cq;

	if (sf)
		return sf;
	if (nvio_create_cq_vector(cdw11) > m->ctrlr.max_queues)
		return INVALID(INTERRUPT_VECTOR);
	cq = cq_open(m, (uint16_t)nvio_create_queue_qid(cdw10), nvio_create_queue_qsize(cdw10) + 1,
		nvio_get_le64(sqe->prp1));
	if (!cq)
		return NVIO_SF(NVIO_SCT_GENERIC, NVIO_SC_INTERNAL_ERROR);
	cq->ien = cdw11 & NVIO_CREATE_IEN;
	cq->vector = (uint16_t)nvio_create_cq_vector(cdw11);
	m->ctrlr.io_queues++;
	return 0;
}

static uint16_t create_sq(struct memq *m, const struct nvio_sqe *sqe)
{
	uint32_t cdw10 = tgt_dw(sqe->cdw10), cqid = nvio_create_sq_cqid(tgt_dw(sqe->cdw11));
	uint16_t sf = check_create(m, sqe, true, sizeof(struct nvio_sqe));

	if (sf)
		return sf;
	/* The admin queue or one that cannot exist is a wrong number, one that could but does not, a wrong queue (5.5.1). */
	if (!cqid || cqid > nvio_num_queues_cq(m->ctrlr.features.value[NVIO_FID_NUM_QUEUES]) + 1)
		return INVALID(QID);
	if (!m->cq[cqid])
		return INVALID(CQ);
	if (!sq_open(m, (uint16_t)nvio_create_queue_qid(cdw10), nvio_create_queue_qsize(cdw10) + 1,
			nvio_get_le64(sqe->prp1), m->cq[cqid]))
		return NVIO_SF(NVIO_SCT_GENERIC, NVIO_SC_INTERNAL_ERROR);
	m->ctrlr.io_queues++;
	return 0;
}

static uint16_t delete_cq(struct memq *m, const struct nvio_sqe *sqe)
{
	uint32_t qid = nvio_create_queue_qid(tgt_dw(sqe->cdw10));

	if (!qid || qid > MEMQ_MAX_IO_QUEUES || !m->cq[qid])
		return INVALID(QID);
	if (m->cq[qid]->num_sqs)
		return INVALID(QUEUE_DELETION);
	cq_close(m, m->cq[qid]);
	m->ctrlr.io_queues--;
	return 0;
}

/* Takes a command back that is not with the block layer, and answers it. False: it cannot be had. */
static bool abort_req(struct memq *m, struct memq_req *q, uint16_t sf)
{
	if (q->r.state == MEMQ_REQ_DELAYED) {
		nvio_timer_stop(&q->timer);
	} else if (q->r.state == MEMQ_REQ_IOV) {
		list_remove(&q->r.link);
	} else if (q->r.state == MEMQ_REQ_ACTIVE && !q->sq->qid && q->r.sqe.opc == NVIO_ADMIN_ASYNC_EVENT) {
		list_remove(&q->r.link);
		m->ctrlr.aer.num_waiting--;
	} else {
		return false;
	}
	q->r.state = MEMQ_REQ_ACTIVE;
	q->r.dw0 = 0;
	q->r.dw1 = 0;
	/* Being aborted is no error of the command: it does not go into the error log. */
	q->r.sf = sf;
	memq_complete(&q->r);
	return true;
}

bool memq_abort(struct tgt_ctrlr *c, uint16_t sqid, uint16_t cid)
{
	struct memq *m = c->front_ctx;
	struct memq_sq *sq = sqid <= MEMQ_MAX_IO_QUEUES ? m->sq[sqid] : NULL;

	for (uint32_t i = 0; sq && i < sq->fresh; i++) {
		struct memq_req *q = &sq->reqs[i];

		if (q->r.state != MEMQ_REQ_FREE && nvio_get_le16(q->r.sqe.cid) == cid)
			return abort_req(m, q, NVIO_SF(NVIO_SCT_GENERIC, NVIO_SC_ABORT_REQUESTED));
	}
	return false;
}

/* The command is answered when the queue's last one has been (section 5.7). */
static uint16_t delete_sq(struct memq *m, struct memq_req *by)
{
	uint32_t qid = nvio_create_queue_qid(tgt_dw(by->r.sqe.cdw10));
	struct memq_sq *sq = qid <= MEMQ_MAX_IO_QUEUES ? m->sq[qid] : NULL;

	if (!qid || !sq || sq->deleting)
		return INVALID(QID);
	for (uint32_t i = 0; i < sq->fresh; i++)
		abort_req(m, &sq->reqs[i], NVIO_SF(NVIO_SCT_GENERIC, NVIO_SC_ABORTED_SQ_DELETION));
	by->r.state = MEMQ_REQ_DELETE;
	sq->deleting = by;
	m->deleting++;
	return 0;
}

void memq_delete_ready(struct memq *m)
{
	for (uint32_t i = 1; i < m->num_active;) {
		struct memq_sq *sq = m->active[i];
		struct memq_req *by = sq->deleting;

		/* Completions held back need not wait for room: the host has given the queue up, and its slots with it. */
		if (!by || sq->used) {
			i++;
			continue;
		}
		sq_close(m, sq);
		m->ctrlr.io_queues--;
		m->deleting--;
		tgt_req_done(&by->r, 0);
	}
}

bool memq_admin(struct tgt_req *r)
{
	struct memq_req *q = container_of(r, struct memq_req, r);
	struct memq *m = q->sq->m;
	uint16_t sf;

	switch (r->sqe.opc) {
	case NVIO_ADMIN_CREATE_CQ:
		sf = create_cq(m, &r->sqe);
		break;
	case NVIO_ADMIN_CREATE_SQ:
		sf = create_sq(m, &r->sqe);
		break;
	case NVIO_ADMIN_DELETE_CQ:
		sf = delete_cq(m, &r->sqe);
		break;
	case NVIO_ADMIN_DELETE_SQ:
		sf = delete_sq(m, q);
		if (!sf)
			return true;
		break;
	default:
		return false;
	}
	tgt_req_done(r, sf);
	return true;
}

void memq_bad_doorbell(struct memq *m, uint8_t info)
{
	tgt_count(&m->stats.bad_doorbells, 1);
	tgt_event(&m->ctrlr, NVIO_AER_ERROR, info, NVIO_LID_ERROR);
}

void memq_scan_doorbells(struct memq *m)
{
	uint32_t index = m->scan, qid = index / 2;
	uint32_t *db = m->port->doorbell(m->port_ctx, index);

	m->scan = index + 1 == 2 * (MEMQ_MAX_IO_QUEUES + 1) ? 0 : index + 1;
	if (index & 1 ? m->cq[qid] != NULL : m->sq[qid] != NULL)
		return;
	if (likely(!__atomic_load_n(db, __ATOMIC_RELAXED)))
		return;
	__atomic_store_n(db, 0, __ATOMIC_RELAXED);
	memq_bad_doorbell(m, NVIO_AER_ERROR_INVALID_DOORBELL);
}
