/* SPDX-License-Identifier: BSD-3-Clause */
/* The bare controller; see bare.h. */
#include "tests/support/bare.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nvio/spec/admin.h>
#include <nvio/spec/regs.h>

void *bare_reach(struct bare *b, uint64_t addr, uint64_t len)
{
	void *p;

	if (!loop_behind_iommu(b->port))
		return (void *)(uintptr_t)addr;
	p = loop_reach(b->port, &b->tlb, addr, len);
	if (!p) {
		fprintf(stderr, "bare: nothing is mapped at %#llx for %llu bytes\n", (unsigned long long)addr, (unsigned long long)len);
		abort();
	}
	return p;
}

static void publish_status(struct bare *b)
{
	loop_reg_publish32(b->port, NVIO_REG_CC, b->cc);
	loop_reg_publish32(b->port, NVIO_REG_CSTS, b->csts | (b->fatal ? 2 : 0));
}

static void doorbell_set(struct bare *b, unsigned index, uint32_t v)
{
	__atomic_store_n(loop_doorbell(b->port, index), v, __ATOMIC_RELEASE);
}

static void enable(struct bare *b)
{
	struct bare_queue *q = &b->q[0];

	memset(b->q, 0, sizeof(b->q));
	b->events_held = 0;
	for (unsigned i = 0; i < 2 * BARE_QUEUES; i++)
		doorbell_set(b, i, 0);
	q->sq_size = nvio_aqa_asqs(b->aqa) + 1;
	q->cq_size = nvio_aqa_acqs(b->aqa) + 1;
	q->sq = bare_reach(b, b->asq, q->sq_size * sizeof(struct nvio_sqe));
	q->cq = bare_reach(b, b->acq, q->cq_size * sizeof(struct nvio_cqe));
	q->phase = 1;
	if (!b->never_ready)
		b->csts |= 1;
}

static void write_cc(struct bare *b, uint32_t cc)
{
	bool was = nvio_cc_en(b->cc), is = nvio_cc_en(cc);

	if (was && !is && !(b->csts & 1) && !b->fatal)
		b->early_stops++;
	b->cc = cc;
	if (!was && is)
		enable(b);
	if (was && !is) {
		b->resets++;
		if (!b->never_stop)
			b->csts &= ~1u;
	}
	if (nvio_cc_shn(cc) && !b->stuck_shutdown)
		b->csts = (b->csts & ~0xcu) | NVIO_CSTS_SHST_COMPLETE << 2;
	else
		b->csts &= ~0xcu;
	publish_status(b);
}

static void take_register(struct bare *b, const struct loop_write *w)
{
	if (b->write_count < BARE_WRITES)
		b->writes[b->write_count++] = *w;
	switch (w->offset) {
	case NVIO_REG_CC:
		write_cc(b, (uint32_t)w->value);
		break;
	case NVIO_REG_AQA:
		b->aqa = (uint32_t)w->value;
		break;
	case NVIO_REG_ASQ:
		b->asq = w->value;
		break;
	case NVIO_REG_ACQ:
		b->acq = w->value;
		break;
	default:
		break;
	}
}

void bare_post(struct bare *b, unsigned qid, uint16_t cid, uint32_t dw0, uint16_t sf, unsigned phase)
{
	struct bare_queue *q = &b->q[qid];
	uint8_t *cqe = q->cq + q->cq_tail * sizeof(struct nvio_cqe);
	uint64_t dw01 = dw0;
	uint32_t dw2 = q->sq_head | qid << 16;

	memcpy(cqe, &dw01, 8);
	memcpy(cqe + 8, &dw2, 4);
	__atomic_store_n((uint32_t *)(void *)(cqe + 12), cid | (uint32_t)(sf << 1 | phase) << 16, __ATOMIC_RELEASE);
}

void bare_complete(struct bare *b, unsigned qid, uint16_t cid, uint32_t dw0, uint16_t sf)
{
	struct bare_queue *q = &b->q[qid];

	bare_post(b, qid, cid, dw0, sf, q->phase);
	if (++q->cq_tail == q->cq_size) {
		q->cq_tail = 0;
		q->phase ^= 1;
	}
}

static void identify(struct bare *b, const struct nvio_sqe *sqe)
{
	uint8_t *page = bare_reach(b, nvio_get_le64(sqe->prp1), 4096);
	uint32_t from = nvio_get_le32(sqe->nsid);
	unsigned n = 0;

	switch (nvio_get_le32(sqe->cdw10) & 0xff) {
	case NVIO_CNS_CTRLR:
		memcpy(page, &b->id, sizeof(b->id));
		break;
	case NVIO_CNS_ACTIVE_NS_LIST:
		memset(page, 0, 4096);
		for (unsigned i = 0; b->active[i]; i++)
			if (b->active[i] > from)
				memcpy(page + 4 * n++, &b->active[i], 4);
		break;
	default:
		memcpy(page, &b->ns, sizeof(b->ns));
	}
}

static void create(struct bare *b, const struct nvio_sqe *sqe)
{
	uint32_t cdw10 = nvio_get_le32(sqe->cdw10);
	unsigned qid = cdw10 & 0xffff;
	struct bare_queue *q = &b->q[qid];
	uint32_t entry = sqe->opc == NVIO_ADMIN_CREATE_CQ ? sizeof(struct nvio_cqe) : sizeof(struct nvio_sqe);
	uint8_t *mem = bare_reach(b, nvio_get_le64(sqe->prp1), ((cdw10 >> 16) + 1) * entry);

	if (sqe->opc == NVIO_ADMIN_CREATE_CQ) {
		q->cq = mem;
		q->cq_size = (cdw10 >> 16) + 1;
		q->cq_tail = 0;
		q->phase = 1;
	} else {
		q->sq = mem;
		q->sq_size = (cdw10 >> 16) + 1;
		q->sq_head = 0;
		doorbell_set(b, 2 * qid, 0);
	}
}

static void admin(struct bare *b, const struct nvio_sqe *sqe)
{
	uint32_t dw0 = 0;

	switch (sqe->opc) {
	case NVIO_ADMIN_IDENTIFY:
		identify(b, sqe);
		break;
	case NVIO_ADMIN_CREATE_CQ:
	case NVIO_ADMIN_CREATE_SQ:
		create(b, sqe);
		break;
	case NVIO_ADMIN_DELETE_SQ:
		b->q[nvio_get_le32(sqe->cdw10) & 0xffff].sq = NULL;
		break;
	case NVIO_ADMIN_SET_FEATURES:
		dw0 = (BARE_QUEUES - 2) | (BARE_QUEUES - 2) << 16;
		break;
	case NVIO_ADMIN_ASYNC_EVENT:
		b->event_cids[b->events_held++ % BARE_EVENTS] = bare_cid(sqe);
		return;
	case NVIO_ADMIN_ABORT:
		dw0 = 1; /* aborted nothing */
		break;
	default:
		break;
	}
	bare_complete(b, 0, bare_cid(sqe), dw0, 0);
}

static int take_commands(struct bare *b, unsigned qid)
{
	struct bare_queue *q = &b->q[qid];
	int n = 0;

	while (q->sq && q->sq_head != __atomic_load_n(loop_doorbell(b->port, 2 * qid), __ATOMIC_ACQUIRE)) {
		struct nvio_sqe sqe;

		memcpy(&sqe, q->sq + q->sq_head * sizeof(sqe), sizeof(sqe));
		q->sq_head = (q->sq_head + 1) % q->sq_size;
		b->commands++;
		n++;
		if (b->command && b->command(b, qid, &sqe))
			continue;
		if (qid)
			bare_complete(b, qid, bare_cid(&sqe), 0, 0);
		else
			admin(b, &sqe);
	}
	return n;
}

static int bare_kick(void *ctx)
{
	struct bare *b = ctx;
	struct loop_write w;
	int n = 0;

	while (loop_reg_next(b->port, &w)) {
		take_register(b, &w);
		n++;
	}
	publish_status(b);
	if (b->csts & 1 && !b->fatal)
		for (unsigned qid = 0; qid < BARE_QUEUES; qid++)
			n += take_commands(b, qid);
	return n;
}

static void bare_detached(void *ctx)
{
	struct bare *b = ctx;

	b->cc = b->csts = 0;
	memset(b->q, 0, sizeof(b->q));
}

int bare_open(struct bare *b, struct nvio_env *env, const char *name)
{
	static const struct loop_port_ops ops = { .kick = bare_kick, .detached = bare_detached };
	static const struct loop_port_ops iommu_ops = { .kick = bare_kick, .detached = bare_detached, .iommu = true };
	/* 4,096 entries, half a second, NVM command set. */
	uint64_t cap = 4095 | 1ull << 16 | 1ull << 24 | 1ull << 37;
	int rc = loop_publish(env, name, getenv("NVIO_TEST_IOMMU") ? &iommu_ops : &ops, b, 2 * BARE_QUEUES, 0, &b->port);

	if (rc)
		return rc;
	b->id.nn = nvio_to_le32(8);
	b->id.mdts = 5;
	b->id.acl = 3;
	b->id.aerl = 3;
	b->id.oncs = nvio_to_le16(NVIO_ONCS_COMPARE | NVIO_ONCS_DSM | NVIO_ONCS_WRITE_ZEROES);
	b->ns.nsze = nvio_to_le64(1 << 20);
	b->ns.lbaf[0].ds = 9;
	b->active[0] = 1;
	loop_reg_publish64(b->port, NVIO_REG_CAP, cap);
	loop_reg_publish32(b->port, NVIO_REG_VS, 0x20000);
	publish_status(b);
	return 0;
}

void bare_close(struct bare *b)
{
	loop_withdraw(b->port);
}
