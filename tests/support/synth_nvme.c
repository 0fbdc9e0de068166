/* SPDX-License-Identifier: BSD-3-Clause */
/* An NVMe controller on the synthetic bus; see synth_nvme.h. */
#include "tests/support/synth_nvme.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nvio/error.h>
#include <nvio/spec/admin.h>
#include <nvio/spec/command.h>

/*
 * A doorbell that was not written since the last look. Taking the value leaves this behind, so that a queue made anew may be rung
 * with the same value as its predecessor.
 */
#define NOT_RUNG UINT32_MAX

static uint32_t get32(struct synth_nvme *n, uint32_t offset)
{
	return __atomic_load_n(&n->bar[offset / 4], __ATOMIC_ACQUIRE);
}

static uint64_t get64(struct synth_nvme *n, uint32_t offset)
{
	return get32(n, offset) | (uint64_t)get32(n, offset + 4) << 32;
}

static void put32(struct synth_nvme *n, uint32_t offset, uint32_t value)
{
	__atomic_store_n(&n->bar[offset / 4], value, __ATOMIC_RELEASE);
}

static uint32_t *doorbell(struct synth_nvme *n, unsigned int index)
{
	return &n->bar[NVIO_REG_DOORBELL / 4 + index];
}

static void *reach(struct synth_nvme *n, uint64_t addr, uint64_t len)
{
	return loop_behind_iommu(n->port) ? loop_reach(n->port, &n->tlb, addr, len) : (void *)(uintptr_t)addr;
}

static void show(struct synth_nvme *n)
{
	/* Doorbells are next to each other, however far apart those behind are. */
	uint64_t cap = loop_reg_read64(n->port, NVIO_REG_CAP) & ~(0xfull << 32);

	put32(n, NVIO_REG_CAP, (uint32_t)cap);
	put32(n, NVIO_REG_CAP + 4, (uint32_t)(cap >> 32));
	put32(n, NVIO_REG_VS, loop_reg_read32(n->port, NVIO_REG_VS));
	put32(n, NVIO_REG_CSTS, loop_reg_read32(n->port, NVIO_REG_CSTS));
}

/* ---- registers ---- */

static void forget_queues(struct synth_nvme *n)
{
	memset(n->cqs, 0, sizeof(n->cqs));
	n->asq = NULL;
	for (unsigned int i = 0; i < 2 * SYNTH_NVME_QUEUES; i++)
		__atomic_store_n(doorbell(n, i), NOT_RUNG, __ATOMIC_RELAXED);
}

static void enabled(struct synth_nvme *n)
{
	uint64_t asq = get64(n, NVIO_REG_ASQ), acq = get64(n, NVIO_REG_ACQ);
	uint32_t aqa = get32(n, NVIO_REG_AQA);

	if (!asq || !acq || !aqa || !synth_is_bus_master(&n->synth))
		n->enabled_blind++;
	loop_reg_write(n->port, NVIO_REG_AQA, 4, aqa);
	loop_reg_write(n->port, NVIO_REG_ASQ, 8, asq);
	loop_reg_write(n->port, NVIO_REG_ACQ, 8, acq);
	n->asq_size = nvio_aqa_asqs(aqa) + 1;
	n->asq_tail = 0;
	n->asq = reach(n, asq, (uint64_t)n->asq_size * sizeof(struct nvio_sqe));
	n->cqs[0] = (struct synth_cq){ .size = nvio_aqa_acqs(aqa) + 1, .phase = 1, .interrupts = true };
	n->cqs[0].mem = reach(n, acq, (uint64_t)n->cqs[0].size * sizeof(struct nvio_cqe));
}

static void take_cc(struct synth_nvme *n)
{
	uint32_t cc = get32(n, NVIO_REG_CC);

	if (cc == n->cc)
		return;
	if (nvio_cc_en(cc) != nvio_cc_en(n->cc))
		forget_queues(n);
	if (nvio_cc_en(cc) && !nvio_cc_en(n->cc))
		enabled(n);
	n->cc = cc;
	loop_reg_write(n->port, NVIO_REG_CC, 4, cc);
}

/* ---- queues ---- */

/* What is needed of an admin command before the controller has it: where completions will be, and where not any more. */
static void learn(struct synth_nvme *n, const struct nvio_sqe *sqe)
{
	uint32_t cdw10 = nvio_get_le32(sqe->cdw10), cdw11 = nvio_get_le32(sqe->cdw11);
	struct synth_cq *cq = &n->cqs[(cdw10 & 0xffff) % SYNTH_NVME_QUEUES];

	if (sqe->opc == NVIO_ADMIN_DELETE_CQ)
		cq->mem = NULL;
	if (sqe->opc != NVIO_ADMIN_CREATE_CQ)
		return;
	*cq = (struct synth_cq){ .size = (cdw10 >> 16) + 1, .phase = 1, .interrupts = cdw11 & 2, .vector = cdw11 >> 16 };
	cq->mem = reach(n, nvio_get_le64(sqe->prp1), (uint64_t)cq->size * sizeof(struct nvio_cqe));
	if (cq->interrupts && cq->vector >= n->synth.counts.vectors_enabled)
		n->vectors_too_early++;
}

static void raise_for(struct synth_nvme *n, struct synth_cq *cq)
{
	if (!cq->interrupts)
		return;
	n->raised[cq->vector]++;
	synth_raise(&n->synth, cq->vector);
}

static void take_doorbell(struct synth_nvme *n, unsigned int index, uint32_t value)
{
	struct synth_cq *cq = &n->cqs[index / 2];

	if (index == 0) {
		for (; n->asq && n->asq_tail != value; n->asq_tail = (n->asq_tail + 1) % n->asq_size) {
			struct nvio_sqe sqe;

			memcpy(&sqe, n->asq + (size_t)n->asq_tail * sizeof(sqe), sizeof(sqe));
			learn(n, &sqe);
		}
	}
	__atomic_store_n(loop_doorbell(n->port, index), value, __ATOMIC_RELEASE);
	loop_target_check(n->port);
	if (index % 2 && cq->mem) {
		cq->told = value;
		if (cq->told != cq->tail)
			raise_for(n, cq);
	}
}

static void take_doorbells(struct synth_nvme *n)
{
	for (unsigned int i = 0; i < 2 * SYNTH_NVME_QUEUES; i++) {
		uint32_t value = __atomic_exchange_n(doorbell(n, i), NOT_RUNG, __ATOMIC_ACQUIRE);

		if (value == NOT_RUNG)
			continue;
		if (synth_is_bus_master(&n->synth))
			take_doorbell(n, i, value);
		else
			n->strays++;
	}
}

static bool has_new(const struct synth_cq *cq)
{
	const uint8_t *dw3 = cq->mem + (size_t)cq->tail * sizeof(struct nvio_cqe) + 12;

	return (__atomic_load_n((const uint32_t *)(const void *)dw3, __ATOMIC_ACQUIRE) >> 16 & 1) == cq->phase;
}

static void interrupt(struct synth_nvme *n)
{
	/* The memory may be somebody else's by now. */
	if (!synth_is_bus_master(&n->synth))
		return;
	for (unsigned int i = 0; i < SYNTH_NVME_QUEUES; i++) {
		struct synth_cq *cq = &n->cqs[i];

		while (cq->mem && has_new(cq)) {
			bool was_empty = cq->tail == cq->told;

			if (++cq->tail == cq->size) {
				cq->tail = 0;
				cq->phase ^= 1;
			}
			if (was_empty)
				raise_for(n, cq);
		}
	}
}

/* ---- moving ---- */

static void pull(struct synth_nvme *n)
{
	n->pulled = true;
	synth_pull(&n->synth);
}

void synth_nvme_move(struct synth_nvme *n)
{
	const struct loop_hot *hot = loop_hot(n->port);

	if (pthread_mutex_trylock(&n->lock))
		return;
	if (++n->moves == n->pull_at) {
		if (n->asks_back)
			synth_ask_back(&n->synth);
		else
			pull(n);
	}
	if (!n->pulled) {
		take_cc(n);
		interrupt(n); /* for what it posted before it looks at what it is told */
		take_doorbells(n);
		if (hot->kick)
			hot->kick(hot->ctx);
		show(n);
		interrupt(n);
	}
	pthread_mutex_unlock(&n->lock);
}

static void *run_thread(void *arg)
{
	struct synth_nvme *n = arg;

	while (!atomic_load(&n->stop)) {
		synth_nvme_move(n);
		sched_yield();
	}
	return NULL;
}

void synth_nvme_run(struct synth_nvme *n)
{
	n->has_thread = !pthread_create(&n->thread, NULL, run_thread, n);
	if (!n->has_thread)
		abort();
}

void synth_nvme_pull(struct synth_nvme *n)
{
	pthread_mutex_lock(&n->lock);
	pull(n);
	pthread_mutex_unlock(&n->lock);
}

/* ---- what the bus tells ---- */

static void config_written(struct synth *s, uint32_t offset, uint32_t width, uint32_t value)
{
	struct synth_nvme *n = s->arg;

	if (offset != PCI_CFG_COMMAND || !(value & PCI_CMD_BUS_MASTER))
		return;
	n->mastered++;
	if (nvio_cc_en(get32(n, NVIO_REG_CC)) || nvio_csts_rdy(get32(n, NVIO_REG_CSTS)))
		n->mastered_running++;
}

static void was_reset(struct synth *s)
{
	struct synth_nvme *n = s->arg;

	pthread_mutex_lock(&n->lock);
	put32(n, NVIO_REG_CC, 0);
	take_cc(n);
	pthread_mutex_unlock(&n->lock);
	synth_nvme_move(n);
}

void synth_nvme_open(struct synth_nvme *n, struct nvio_env *env, const char *bdf, const char *loop_name)
{
	memset(n, 0, sizeof(*n));
	synth_init(&n->synth, bdf, NVIO_PCI_CLASS_NVME);
	n->synth.bars[0].base = n->bar;
	n->synth.bars[0].len = sizeof(n->bar);
	n->synth.config_written = config_written;
	n->synth.was_reset = was_reset;
	n->synth.arg = n;
	n->env = env;
	pthread_mutex_init(&n->lock, NULL);
	if (loop_attach(env, loop_name, &n->port)) {
		fprintf(stderr, "synth_nvme: %s\n", nvio_errmsg());
		abort();
	}
	forget_queues(n);
	show(n);
	synth_add(env, &n->synth);
}

void synth_nvme_close(struct synth_nvme *n)
{
	atomic_store(&n->stop, true);
	if (n->has_thread)
		pthread_join(n->thread, NULL);
	synth_remove(n->env, &n->synth);
	synth_fini(&n->synth);
	loop_detach(n->port);
	pthread_mutex_destroy(&n->lock);
}
