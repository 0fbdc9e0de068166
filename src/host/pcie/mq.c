/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The memory queue: commands built in place, one doorbell per batch, completions taken by their phase tag. This file is the
 * hot path; what is rare stands in prp.c and in the host core.
 */
#include "host/pcie/mq.h"

#include "base/alloc.h"
#include "host/hot.h"
#include "mem/mem.h"
#include <nvio/mem.h>

#define PHASE_BIT (1u << 16) /* of a completion's last dword */
#define SQ_AHEAD  8u         /* entries that are asked for before they are written */

/* ---- the entries ---- */

static ALWAYS_INLINE void put64(uint8_t *sqe, unsigned offset, uint64_t v)
{
	v = NVIO_LE_SWAP(64, v);
	memcpy(sqe + offset, &v, 8);
}

static ALWAYS_INLINE uint8_t *sqe_at_tail(struct mq *mq)
{
	return mq->sq + (size_t)mq->sq_tail * sizeof(struct nvio_sqe);
}

static COLD void wake_device(struct mq *mq)
{
	mq->wake(mq->qp.ctrlr);
}

/* After each doorbell. */
static ALWAYS_INLINE void look_asleep(struct mq *mq)
{
	/*
	 * The doorbell's store must not come after this load, or a device that falls asleep between them sleeps on. In the processor its
	 * membarrier forbids that, so only the compiler is to be told.
	 */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (unlikely(__atomic_load_n(mq->asleep, __ATOMIC_RELAXED)))
		wake_device(mq);
}

static ALWAYS_INLINE void sq_ring(struct mq *mq)
{
	uint32_t tail = mq->sq_tail;

	/*
	 * Release: the entries must be in memory before the doorbell is, or the controller fetches the ring's old content (H6).
	 */
	__atomic_store_n(mq->sq_doorbell, NVIO_LE_SWAP(32, tail), __ATOMIC_RELEASE);
	mq->sq_rung = tail;
	mq->qp.stats.sq_doorbells++;
	look_asleep(mq);
}

static ALWAYS_INLINE void sq_advance(struct mq *mq)
{
	uint32_t tail = mq->sq_tail + 1u;

	mq->sq_tail = tail == mq->sq_size ? 0 : tail;
	mq->qp.stats.submitted++;
	if (mq->qp.immediate)
		sq_ring(mq);
}

/* Dwords 0 to 3 and 10 to 15 of an NVM command; the data pointer is the caller's to fill in. */
static ALWAYS_INLINE void sqe_nvm(uint8_t *sqe, uint8_t opcode, const struct nvio_ns *ns, uint32_t cid, uint64_t lba, uint32_t nblocks,
	uint16_t control)
{
	put64(sqe, 0, opcode | cid << 16 | ns->sqe_nsid);
	put64(sqe, 8, 0);
	put64(sqe, 16, 0);
	put64(sqe, 40, lba);
	put64(sqe, 48, (nblocks - 1) | (uint64_t)control << 16);
	put64(sqe, 56, 0);
}

/* With `identity` any pointer but NULL is a buffer; without, a buffer is what the cache finds, and NULL is not. */
static ALWAYS_INLINE int mq_rw(struct nvio_ns *ns, struct nvio_qpair *qp, uint8_t opcode, void *buf, uint64_t lba, uint32_t nblocks,
	struct nvio_op *op, bool identity)
{
	struct mq *mq = qpair_mq(qp);
	uint64_t addr = (uintptr_t)buf, in_page, len;
	struct slot *slot;
	uint8_t *sqe;

	if (unlikely(!io_is_plain(ns, qp, addr, lba, nblocks, op, opcode == NVIO_NVM_WRITE)))
		return io_submit(ns, qp, opcode, buf, lba, nblocks, op);
	len = (uint64_t)nblocks << ns->shift;
	in_page = (addr & (HOST_PAGE - 1)) + len;
	/* Beyond two pages there is more to do than fits here. */
	if (unlikely(in_page > 2 * HOST_PAGE))
		return io_submit(ns, qp, opcode, buf, lba, nblocks, op);
	if (identity ? unlikely(!addr) : !mem_cache_hit(&mq->cache, addr, len, &addr))
		return io_submit(ns, qp, opcode, buf, lba, nblocks, op);

	io_describe(op, ns, HOST_IO_RW, opcode, buf, 0, lba, nblocks, 0);
	op_begin(op, &qp->pollable);
	slot = slot_take(qp, op);
	sqe = sqe_at_tail(mq);
	prefetch_write(sqe + SQ_AHEAD * sizeof(struct nvio_sqe));
	sqe_nvm(sqe, opcode, ns, slot->cid, lba, nblocks, 0);
	put64(sqe, 24, addr);
	put64(sqe, 32, in_page <= HOST_PAGE ? 0 : (addr | (HOST_PAGE - 1)) + 1);
	sq_advance(mq);
	return 0;
}

static int mq_read(struct nvio_ns *ns, struct nvio_qpair *qp, void *buf, uint64_t lba, uint32_t nblocks, struct nvio_op *op)
{
	return mq_rw(ns, qp, NVIO_NVM_READ, buf, lba, nblocks, op, true);
}

static int mq_write(struct nvio_ns *ns, struct nvio_qpair *qp, void *buf, uint64_t lba, uint32_t nblocks, struct nvio_op *op)
{
	return mq_rw(ns, qp, NVIO_NVM_WRITE, buf, lba, nblocks, op, true);
}

static int mq_read_mapped(struct nvio_ns *ns, struct nvio_qpair *qp, void *buf, uint64_t lba, uint32_t nblocks, struct nvio_op *op)
{
	return mq_rw(ns, qp, NVIO_NVM_READ, buf, lba, nblocks, op, false);
}

static int mq_write_mapped(struct nvio_ns *ns, struct nvio_qpair *qp, void *buf, uint64_t lba, uint32_t nblocks, struct nvio_op *op)
{
	return mq_rw(ns, qp, NVIO_NVM_WRITE, buf, lba, nblocks, op, false);
}

/* ---- everything but a plain read or write ---- */

static int put_ranges(struct mq *mq, uint8_t *sqe, struct host_io *io, unsigned slot)
{
	const struct nvio_lba_range *ranges = io->data;
	uint8_t *page = mq->pages + (size_t)slot * HOST_PAGE;

	for (uint32_t i = 0; i < io->iovcnt; i++) {
		put64(page, i * 16, (uint64_t)ranges[i].nblocks << 32);
		put64(page, i * 16 + 8, ranges[i].lba);
	}
	put64(sqe, 24, mq_slot_page(mq, slot));
	put64(sqe, 32, 0);
	return 0;
}

/* Where the data of blocks [first, first + count) lies. */
static int put_data(struct mq *mq, uint8_t *sqe, const struct host_io *io, const struct slot *slot)
{
	uint64_t skip = (uint64_t)slot->first << io->ns->shift;
	uint32_t len = slot->count << io->ns->shift;
	unsigned index = SLOT_INDEX(slot->cid);

	if (slot->flags & SLOT_BOUNCED) {
		put64(sqe, 24, mq_slot_page(mq, index));
		put64(sqe, 32, 0);
		return 0;
	}
	if (io->iovcnt)
		return prp_fill_iov(mq, sqe, io->data, skip, len, index);
	return prp_fill(mq, sqe, (const uint8_t *)io->data + skip, len, index);
}

static int put_raw(struct mq *mq, uint8_t *sqe, const struct host_io *io, const struct slot *slot)
{
	nvio_le16 cid = nvio_to_le16(slot->cid);

	memcpy(sqe, &io->sqe, sizeof(io->sqe));
	memcpy(sqe + offsetof(struct nvio_sqe, cid), &cid, sizeof(cid));
	if (!io->nblocks)
		return 0;
	if (slot->flags & SLOT_BOUNCED) {
		put64(sqe, 24, mq_slot_page(mq, SLOT_INDEX(slot->cid)));
		put64(sqe, 32, 0);
		return 0;
	}
	return prp_fill(mq, sqe, io->data, io->nblocks, SLOT_INDEX(slot->cid));
}

static int mq_send(struct nvio_qpair *qp, struct slot *slot)
{
	struct mq *mq = qpair_mq(qp);
	struct host_io *io = op_io(slot->op);
	uint8_t *sqe = sqe_at_tail(mq);
	int rc = 0;

	if (slot->flags & SLOT_BOUNCED)
		qp->stats.bounced++;
	switch (io->kind) {
	case HOST_IO_RW:
		sqe_nvm(sqe, io->opcode, io->ns, slot->cid, io->lba + slot->first, slot->count, io->control);
		rc = put_data(mq, sqe, io, slot);
		break;
	case HOST_IO_NODATA:
		if (io->nblocks) {
			sqe_nvm(sqe, io->opcode, io->ns, slot->cid, io->lba + slot->first, slot->count, io->control);
		} else {
			memset(sqe, 0, sizeof(struct nvio_sqe));
			put64(sqe, 0, io->opcode | (uint64_t)slot->cid << 16 | (uint64_t)io->ns->nsid << 32);
		}
		put64(sqe, 24, 0);
		put64(sqe, 32, 0);
		break;
	case HOST_IO_RANGES:
		memset(sqe, 0, sizeof(struct nvio_sqe));
		put64(sqe, 0, io->opcode | (uint64_t)slot->cid << 16 | (uint64_t)io->ns->nsid << 32);
		put64(sqe, 40, (io->iovcnt - 1) | (uint64_t)NVIO_DSM_AD << 32);
		rc = put_ranges(mq, sqe, io, SLOT_INDEX(slot->cid));
		break;
	case HOST_IO_RAW:
		rc = put_raw(mq, sqe, io, slot);
		break;
	}
	if (!rc)
		sq_advance(mq);
	return rc;
}

static void mq_kick(struct nvio_qpair *qp)
{
	struct mq *mq = qpair_mq(qp);

	if (mq->sq_tail != mq->sq_rung)
		sq_ring(mq);
}

/* ---- completions ---- */

static ALWAYS_INLINE void cq_tell(struct mq *mq)
{
	/*
	 * Release: our reads of the entries must be done before the controller may write new ones into their place.
	 */
	__atomic_store_n(mq->cq_doorbell, NVIO_LE_SWAP(32, mq->cq_head), __ATOMIC_RELEASE);
	mq->cq_untold = 0;
	mq->qp.stats.cq_doorbells++;
	look_asleep(mq); /* it may hold completions back until there is room */
}

static int mq_reap(struct nvio_qpair *qp, uint32_t max)
{
	struct mq *mq = qpair_mq(qp);
	int ended = 0;

	/* "All there are" is a ring's worth: with a controller as fast as the callbacks there would be no end. */
	if (!max)
		max = mq->cq_size;
	if (mq->sq_tail != mq->sq_rung)
		sq_ring(mq);
	if (mq->kick)
		mq->kick(mq->kick_ctx);
	for (;;) {
		uint32_t head = mq->cq_head, dw3;
		const uint8_t *cqe = mq->cq + (size_t)head * sizeof(struct nvio_cqe);
		uint64_t dw01;

		/*
		 * Acquire: the phase tag is read before the rest of the entry, or a half-written entry is taken for whole (H6).
		 */
		dw3 = NVIO_LE_SWAP(32, __atomic_load_n((const uint32_t *)(const void *)(cqe + 12), __ATOMIC_ACQUIRE));
		if ((dw3 ^ mq->cq_phase) & PHASE_BIT)
			break;
		memcpy(&dw01, cqe, sizeof(dw01));
		dw01 = NVIO_LE_SWAP(64, dw01);
		head++;
		if (unlikely(head == mq->cq_size)) {
			head = 0;
			mq->cq_phase = ~dw3 & PHASE_BIT; /* the other one; dw3 is in a register anyway */
		}
		mq->cq_head = head;
		/* Counted here and not at the end: a callback's own poll may tell the controller, and this must not do so again. */
		mq->cq_untold++;
		ended += qpair_complete(qp, (uint16_t)dw3, dw01, dw3 >> 17);
		if (!--max)
			break;
	}
	/* A callback may have disabled the controller, which then has no doorbells. */
	if (unlikely(!mq->qp.live))
		return ended;
	if (mq->cq_untold >= mq->cq_tell_at)
		cq_tell(mq);
	/* What the callbacks submitted leaves at once, as one batch, rather than at the next poll. */
	if (likely(mq->sq_tail != mq->sq_rung))
		sq_ring(mq);
	return ended;
}

static bool mq_peek(const struct nvio_qpair *qp, uint32_t *head)
{
	const struct mq *mq = (const struct mq *)(const void *)qp;
	const uint8_t *cqe = mq->cq + (size_t)mq->cq_head * sizeof(struct nvio_cqe);
	uint32_t dw3 = NVIO_LE_SWAP(32, __atomic_load_n((const uint32_t *)(const void *)(cqe + 12), __ATOMIC_RELAXED));

	*head = mq->cq_head;
	return !((dw3 ^ mq->cq_phase) & PHASE_BIT);
}

/* ---- set-up ---- */

static void mq_rewind(struct nvio_qpair *qp)
{
	struct mq *mq = qpair_mq(qp);

	memset(mq->sq, 0, (size_t)mq->sq_size * sizeof(struct nvio_sqe));
	memset((void *)(uintptr_t)mq->cq, 0, (size_t)mq->cq_size * sizeof(struct nvio_cqe));
	mq->sq_tail = mq->sq_rung = 0;
	mq->cq_head = mq->cq_untold = 0;
	mq->cq_phase = PHASE_BIT;
}

/* NVMe Base 2.0 sections 5.4 and 5.5: physically contiguous. Where there are vectors it interrupts; whether anybody hears is another matter. */
static void mq_create_cmd(struct nvio_qpair *qp, bool cq, struct nvio_sqe *cmd)
{
	struct mq *mq = qpair_mq(qp);
	uint32_t entries = cq ? mq->cq_size : mq->sq_size;

	memset(cmd, 0, sizeof(*cmd));
	cmd->opc = cq ? NVIO_ADMIN_CREATE_CQ : NVIO_ADMIN_CREATE_SQ;
	cmd->prp1 = nvio_to_le64(cq ? mq->cq_iova : mq->sq_iova);
	cmd->cdw10 = nvio_to_le32(qp->qid | (entries - 1) << 16);
	if (!cq)
		cmd->cdw11 = nvio_to_le32(1u | (uint32_t)qp->priority << 1 | (uint32_t)qp->qid << 16);
	else
		cmd->cdw11 = nvio_to_le32(mq->vector < 0 ? 1u : 1u | 1u << 1 | (uint32_t)mq->vector << 16);
}

static void *mq_bounce_page(struct nvio_qpair *qp, const struct slot *slot)
{
	return qpair_mq(qp)->pages + (size_t)SLOT_INDEX(slot->cid) * HOST_PAGE;
}

static void mq_release(struct nvio_qpair *qp)
{
	struct mq *mq = qpair_mq(qp);

	nvio_mem_free(mq->env, mq->pages);
	nvio_mem_free(mq->env, (void *)(uintptr_t)mq->cq);
	nvio_mem_free(mq->env, mq->sq);
	mq->pages = NULL;
	mq->cq = NULL;
	mq->sq = NULL;
}

static void mq_destroy(struct nvio_qpair *qp)
{
	mq_release(qp);
	mem_cache_close(&qpair_mq(qp)->cache);
	qpair_fini(qp);
	alloc_free(qpair_mq(qp));
}

static size_t mq_reach(struct nvio_qpair *qp, const void *p, size_t len)
{
	size_t contig, reach = 0;
	uint64_t iova;

	while (reach < len) {
		if (mem_cache_find(&qpair_mq(qp)->cache, (const char *)p + reach, &iova, &contig))
			break;
		reach += MIN(contig, len - reach);
	}
	return reach;
}

/* A controller may hold an interrupt back while there are completions that it was not told about. */
static void mq_caught_up(struct nvio_qpair *qp)
{
	struct mq *mq = qpair_mq(qp);

	if (mq->cq_untold && mq->vector >= 0)
		cq_tell(mq);
}

#define MQ_OPS_COMMON \
	.send = mq_send, .kick = mq_kick, .reap = mq_reap, .peek = mq_peek, .rewind = mq_rewind, .create_cmd = mq_create_cmd, \
	.caught_up = mq_caught_up, .bounce_page = mq_bounce_page, .release = mq_release, .destroy = mq_destroy

static const struct qpair_ops mq_identity_ops = { MQ_OPS_COMMON, .read = mq_read, .write = mq_write };
static const struct qpair_ops mq_mapped_ops = { MQ_OPS_COMMON, .read = mq_read_mapped, .write = mq_write_mapped, .reach = mq_reach };

/* A ring is contiguous for the device (CAP.CQR), whatever it is for us. */
static void *ring_alloc(struct mq *mq, size_t len, uint64_t *iova)
{
	size_t size = ALIGN_UP(len, (size_t)HOST_PAGE), contig = size;
	void *p = nvio_mem_alloc_zeroed(mq->env, size, HOST_PAGE);
	int rc = 0;

	if (!p)
		return NULL;
	*iova = (uintptr_t)p;
	if (!mq->identity)
		rc = mem_cache_find(&mq->cache, p, iova, &contig);
	if (!rc && contig < size)
		rc = fail(-ENOMEM, "%s: queue pair %u: no %zu bytes that are contiguous for the device; use a smaller queue, or larger hugepages",
			mq->qp.ctrlr->ops->name, mq->qp.qid, size);
	if (!rc)
		return p;
	nvio_mem_free(mq->env, p);
	return NULL;
}

/* Each slot's page is looked up where not all of them are contiguous. */
static uint8_t *pages_alloc(struct mq *mq, uint32_t slots)
{
	size_t size = (size_t)slots * HOST_PAGE, contig = size;
	uint8_t *p = nvio_mem_alloc_zeroed(mq->env, size, HOST_PAGE);

	if (!p)
		return NULL;
	mq->pages_iova = (uintptr_t)p;
	if (!mq->identity && mem_cache_find(&mq->cache, p, &mq->pages_iova, &contig)) {
		nvio_mem_free(mq->env, p);
		return NULL;
	}
	mq->pages_contig = contig >= size;
	return p;
}

/*
 * The completion queue is larger than the submission queue by as many entries as we keep back telling about, so that the
 * controller never has to wait for its doorbell. Where CAP.MQES forbids that, each batch is told.
 */
static void mq_size_cq(struct mq *mq, uint32_t entries, uint32_t mqes)
{
	uint32_t keep = MIN(MAX(entries / 4, 1u), 64u);
	uint32_t size = entries + keep;

	if (mq->qp.qid == 0 || size > mqes) {
		mq->cq_size = entries;
		mq->cq_tell_at = 1;
		return;
	}
	mq->cq_size = size;
	mq->cq_tell_at = keep;
}

static const uint32_t never_asleep;

int mq_create(struct nvio_ctrlr *c, const struct mq_bar *bar, uint16_t qid, uint32_t entries, uint32_t slots,
	struct nvio_qpair **out)
{
	struct mq *mq;
	int rc;

	/* 65,536 entries is what the specification allows; the indices here are 16 bits wide and go one less. */
	entries = MIN(entries, 65535u);
	slots = MIN(slots, MIN(entries - 1, HOST_MAX_SLOTS));
	mq = alloc_aligned(CACHE_LINE, sizeof(*mq));
	if (!mq)
		return fail(-ENOMEM, "%s: queue pair %u: no memory", c->ops->name, qid);
	rc = qpair_init(&mq->qp, c, qid, entries, slots, bar->identity ? &mq_identity_ops : &mq_mapped_ops);
	if (rc)
		goto err_free;
	mq->env = c->env;
	mq->sq_size = entries;
	mq_size_cq(mq, entries, MIN(nvio_cap_mqes(c->cap) + 1u, 65535u));
	mq->identity = bar->identity;
	mq->vector = bar->vector;
	if (!bar->identity)
		mem_cache_open(c->env, &mq->cache);
	mq->kick = bar->kick;
	mq->kick_ctx = bar->kick_ctx;
	mq->asleep = bar->asleep ? bar->asleep : &never_asleep;
	mq->wake = bar->wake;

	rc = -ENODEV;
	mq->sq_doorbell = bar->doorbell(c, 2u * qid);
	mq->cq_doorbell = bar->doorbell(c, 2u * qid + 1);
	if (!mq->sq_doorbell || !mq->cq_doorbell) {
		fail(rc, "%s: %s: queue pair %u has no doorbell: the controller's BAR is too small; use fewer queue pairs (num_io_queues)", c->ops->name,
			c->trid.traddr, qid);
		goto err_qpair;
	}
	rc = -ENOMEM;
	mq->sq = ring_alloc(mq, (size_t)mq->sq_size * sizeof(struct nvio_sqe), &mq->sq_iova);
	if (!mq->sq)
		goto err_qpair;
	mq->cq = ring_alloc(mq, (size_t)mq->cq_size * sizeof(struct nvio_cqe), &mq->cq_iova);
	if (!mq->cq)
		goto err_sq;
	mq->pages = pages_alloc(mq, slots);
	if (!mq->pages)
		goto err_cq;
	mq->cq_phase = PHASE_BIT;
	*out = &mq->qp;
	return 0;

err_cq:
	nvio_mem_free(c->env, (void *)(uintptr_t)mq->cq);
err_sq:
	nvio_mem_free(c->env, mq->sq);
err_qpair:
	mem_cache_close(&mq->cache);
	qpair_fini(&mq->qp);
err_free:
	alloc_free(mq);
	return rc;
}

void mq_admin_setup(struct nvio_ctrlr *c)
{
	struct mq *mq = qpair_mq(c->admin);

	/* Queue sizes are 0-based (NVMe Base 2.0 section 3.1.3.8). */
	c->ops->reg_write(c, NVIO_REG_AQA, 4, (mq->sq_size - 1) | (mq->cq_size - 1) << 16);
	c->ops->reg_write(c, NVIO_REG_ASQ, 8, mq->sq_iova);
	c->ops->reg_write(c, NVIO_REG_ACQ, 8, mq->cq_iova);
}
