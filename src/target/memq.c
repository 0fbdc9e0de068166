/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The memory queues' hot path: look at the doorbells, fetch commands, have them executed. One poll reads each doorbell once
 * and takes all that is there, up to a bound that keeps the queues fair.
 */
#include "target/memq_hot.h"
#include "target/rw.h"

#include <string.h>

#include "base/alloc.h"
#include "base/fail.h"
#include <nvio/spec/admin.h>
#include <nvio/spec/feature.h>

static const struct tgt_front_ops front_ops = {
	.map = memq_map,
	.complete = memq_complete,
	.admin = memq_admin,
	.abort = memq_abort,
	.fatal = memq_fatal,
};

void memq_run(struct memq_req *q)
{
	q->r.state = MEMQ_REQ_ACTIVE;
	if (q->sq->qid)
		tgt_exec_io(&q->r);
	else
		tgt_exec_admin(&q->r);
}

/* The end of a read or write that went the straight way. */
static void rw_ended(struct nvio_op *op)
{
	struct memq_req *q = to_memq(container_of(op, struct tgt_req, op));

	tgt_op_ended(&q->r);
	if (unlikely(op->status)) {
		tgt_bdev_failed(&q->r, op->status);
		return;
	}
	q->r.sf = 0;
	memq_answer(q);
}

static COLD void run_admin(struct memq *m, struct memq_req *q)
{
	if (q->r.sqe.opc == NVIO_ADMIN_ABORT) {
		m->ctrlr.aborts++;
		q->r.rare |= TGT_RARE_ABORT;
	}
	if (!fault_plan_armed(m->faults) || !memq_strike(q))
		tgt_exec_admin(&q->r);
}

static ALWAYS_INLINE void run_io(struct memq *m, struct memq_req *q)
{
	const struct nvio_sqe *sqe = &q->r.sqe;
	struct tgt_attach *at;

	if (unlikely(fault_plan_armed(m->faults)) && memq_strike(q))
		return;
	at = tgt_ctrlr_ns(&m->ctrlr, tgt_dw(sqe->nsid));
	/* Neither fused nor with an SGL, and there is a namespace: reads and writes need no further call. */
	if (unlikely(!at || sqe->flags & (NVIO_SQE_FUSE_MASK | NVIO_SQE_PSDT_MASK)))
		tgt_exec_io(&q->r);
	else if (sqe->opc == NVIO_NVM_READ)
		tgt_rw(&q->r, &m->ctrlr, at, false, memq_map_fast, rw_ended);
	else if (sqe->opc == NVIO_NVM_WRITE)
		tgt_rw(&q->r, &m->ctrlr, at, true, memq_map_fast, rw_ended);
	else
		tgt_exec_io(&q->r);
}

static ALWAYS_INLINE bool fetch_one(struct memq *m, struct memq_sq *sq, bool admin)
{
	struct memq_req *q = memq_sq_take(sq);
	uint32_t head = sq->head;

	if (unlikely(!q))
		return false;
	q->r.sqe = sq->ring[head];
	__builtin_prefetch(&sq->ring[head + MEMQ_PREFETCH]);
	/* The head moves first: a completion written from in here reports it. */
	sq->head = head + 1 == sq->size ? 0 : head + 1;
	if (admin)
		run_admin(m, q);
	else
		run_io(m, q);
	return true;
}

static COLD void bad_tail(struct memq *m, struct memq_sq *sq)
{
	/* Put back what is right, or it would be reported over and over. */
	__atomic_store_n(sq->tail_db, sq->tail, __ATOMIC_RELAXED);
	memq_bad_doorbell(m, NVIO_AER_ERROR_INVALID_VALUE);
}

/*
 * How many of the commands up to `tail` this round takes. A host beside us gets the first half answered while the second is
 * still to come, and so has something to do meanwhile: were whole batches handed to and fro, each would wait for the other.
 */
static ALWAYS_INLINE uint32_t batch(const struct memq *m, const struct memq_sq *sq, uint32_t tail)
{
	uint32_t waiting = tail >= sq->head ? tail - sq->head : tail + sq->size - sq->head;

	return MIN(m->halves ? (waiting + 1) / 2 : waiting, m->burst);
}

static ALWAYS_INLINE uint32_t sq_poll(struct memq *m, struct memq_sq *sq, bool admin)
{
	/* Acquire: the entries must not be read before the doorbell that announces them. */
	uint32_t tail = __atomic_load_n(sq->tail_db, __ATOMIC_ACQUIRE);
	uint32_t n = 0, most;

	if (tail != sq->tail) {
		if (unlikely(tail >= sq->size)) {
			bad_tail(m, sq);
			tail = sq->tail;
		} else {
			sq->tail = tail;
			tgt_count(&m->stats.sq_doorbells, 1);
		}
	}
	/* The host rings both doorbells of a pair, and they share a cache line: this look is almost free. */
	memq_cq_look(sq->cq);
	most = batch(m, sq, tail);
	/* The first of a batch are asked for together; each that is fetched asks for one further on. */
	for (uint32_t i = 0; i < MIN(most, MEMQ_PREFETCH); i++)
		__builtin_prefetch(&sq->ring[sq->head + i]);
	while (n < most && likely(!sq->deleting)) {
		if (!fetch_one(m, sq, admin))
			break;
		n++;
		if (unlikely(m->state != MEMQ_READY))
			break;
	}
	return n;
}

static uint32_t queues_poll(struct memq *m)
{
	uint32_t work = sq_poll(m, m->active[0], true);

	if (unlikely(work)) {
		tgt_count(&m->stats.admin_commands, work);
		m->burst = nvio_arbitration_get(m->ctrlr.features.value[NVIO_FID_ARBITRATION]).burst;
		m->burst = m->burst == NVIO_ARBITRATION_NO_LIMIT ? MEMQ_BURST : 1u << m->burst;
	}
	/* num_active is read each time: an admin command may have changed it, a fault may have stopped everything. */
	for (uint32_t i = 1; i < m->num_active && likely(m->state == MEMQ_READY); i++) {
		uint32_t n = sq_poll(m, m->active[i], false);

		if (n) {
			tgt_count(&m->stats.io_commands, n);
			work += n;
		}
	}
	if (unlikely(!list_empty(&m->iov_wait)))
		memq_map_retry(m);
	if (unlikely(m->deleting))
		memq_delete_ready(m);
	if (!work)
		memq_scan_doorbells(m);
	return work;
}

static COLD int attend(struct memq *m)
{
	/* Acquire: pairs with memq_attend(). */
	uint32_t what = atomic_exchange_explicit(&m->attention, 0, memory_order_acquire);

	if (what & MEMQ_ATT_DETACHED) {
		if (m->state == MEMQ_GONE)
			memq_left(m);
		else
			memq_drain(m, MEMQ_GOAL_RESET | MEMQ_GOAL_LEFT);
	}
	if (what & MEMQ_ATT_REMOVE && m->state != MEMQ_GONE)
		memq_drain(m, MEMQ_GOAL_GONE);
	if (what & MEMQ_ATT_INSERT) {
		if (m->state == MEMQ_GONE) {
			memq_state_set(m, MEMQ_DISABLED);
			memq_regs_reset(m);
			m->port->present(m->port_ctx, true);
		} else if (m->goal & MEMQ_GOAL_GONE) {
			m->goal = (m->goal & ~(uint32_t)MEMQ_GOAL_GONE) | MEMQ_GOAL_RESET;
		}
	}
	return 1;
}

int memq_poll(void *memq)
{
	struct memq *m = memq;
	int work = 0;

	if (unlikely(atomic_load_explicit(&m->attention, memory_order_relaxed)))
		work = attend(m);
	work += memq_regs_poll(m);
	if (likely(m->state == MEMQ_READY))
		work += (int)queues_poll(m);
	else if (m->state == MEMQ_DRAINING || m->state == MEMQ_FLUSHING)
		work += memq_drain_step(m);
	memq_irq_flush(m);
	return work;
}

int memq_init(struct memq *m, struct nvio_env *env, struct nvio_thread *thread, const struct tgt_subsystem *subsys,
	const struct memq_opts *opts)
{
	int rc;

	memset(m, 0, sizeof(*m));
	m->opts = *opts;
	m->port = opts->port;
	m->port_ctx = opts->port_ctx;
	m->dma = opts->dma;
	m->faults = opts->faults;
	m->armed_word = m->port->armed_word ? m->port->armed_word(m->port_ctx) : &m->no_word;
	m->burst = MEMQ_BURST;
	m->halves = opts->host_beside;
	list_init(&m->iov_wait);
	pthread_mutex_init(&m->record_lock, NULL);
	if (opts->record_registers) {
		m->record = alloc_array(MEMQ_RECORD_MAX, sizeof(*m->record));
		if (!m->record) {
			rc = fail(-ENOMEM, "target: no memory to record register writes");
			goto lock;
		}
	}
	rc = memq_map_init(m);
	if (rc)
		goto record;
	rc = tgt_ctrlr_init(&m->ctrlr, env, thread, subsys, &opts->ctrlr);
	if (rc)
		goto map;
	m->ctrlr.front = &front_ops;
	m->ctrlr.front_ctx = m;
	memq_regs_reset(m);
	return 0;
map:
	alloc_free(m->chunks);
	alloc_free(m->chunk_mem);
record:
	alloc_free(m->record);
lock:
	pthread_mutex_destroy(&m->record_lock);
	return rc;
}

void memq_fini(struct memq *m)
{
	memq_close_queues(m);
	tgt_ctrlr_fini(&m->ctrlr);
	alloc_free(m->chunks);
	alloc_free(m->chunk_mem);
	alloc_free(m->record);
	pthread_mutex_destroy(&m->record_lock);
}
