/* SPDX-License-Identifier: BSD-3-Clause */
/* Registers: what the host writes, in its order, and what it reads from then on (NVMe Base 2.0 section 3.1.3). */
#include "target/memq.h"

#include "base/fail.h"
#include <nvio/spec/regs.h>

#define CC_WRITABLE 0x00fffff1u
#define AQA_WRITABLE 0x0fff0fffu
#define MAX_WRITES_PER_POLL 64

static void publish32(struct memq *m, uint32_t offset, uint32_t value)
{
	m->port->reg_publish(m->port_ctx, offset, 4, value);
}

static void publish64(struct memq *m, uint32_t offset, uint64_t value)
{
	m->port->reg_publish(m->port_ctx, offset, 8, value);
}

void memq_regs_reset(struct memq *m)
{
	uint32_t to = DIV_ROUND_UP(m->opts.ready_timeout_ms, 500);
	struct nvio_cap cap = {
		.mqes = (uint16_t)(m->opts.max_queue_entries - 1),
		.cqr = 1,
		.to = (uint8_t)MIN(to, 255u),
		.dstrd = (uint8_t)m->opts.doorbell_stride,
		.nssrs = 1,
		.css = NVIO_CAP_CSS_NVM,
		.crms = NVIO_CAP_CRMS_CRWMS,
	};

	m->cap = nvio_cap_build(&cap);
	m->cc = 0;
	m->csts = 0;
	m->aqa = 0;
	m->intm = 0;
	m->asq = 0;
	m->acq = 0;
	publish64(m, NVIO_REG_CAP, m->cap);
	publish32(m, NVIO_REG_VS, TGT_VS);
	publish32(m, NVIO_REG_INTMS, 0);
	publish32(m, NVIO_REG_INTMC, 0);
	publish32(m, NVIO_REG_CC, 0);
	publish32(m, NVIO_REG_NSSR, 0);
	publish32(m, NVIO_REG_AQA, 0);
	publish64(m, NVIO_REG_ASQ, 0);
	publish64(m, NVIO_REG_ACQ, 0);
	publish32(m, NVIO_REG_CRTO, nvio_crto_build(MIN(to, 65535u), 0));
	memq_csts_set(m, 0);
}

static void write_cc(struct memq *m, uint32_t value)
{
	uint32_t shn = nvio_cc_shn(value), goal = 0;
	bool up = m->state == MEMQ_READY || m->state == MEMQ_FATAL || m->state == MEMQ_STUCK || m->state == MEMQ_SHUT;

	m->cc = value & CC_WRITABLE;
	publish32(m, NVIO_REG_CC, m->cc);
	if ((shn == NVIO_CC_SHN_NORMAL || shn == NVIO_CC_SHN_ABRUPT) &&
		nvio_csts_shst(m->csts) == NVIO_CSTS_SHST_NORMAL)
		goal |= MEMQ_GOAL_SHUTDOWN;
	if (!nvio_cc_en(value) && up) {
		if (nvio_csts_rdy(m->csts) && fault_plan_armed(m->faults) &&
			fault_plan_state(m->faults, NVIO_FAULT_NEVER_STOP)) {
			if (m->state != MEMQ_STUCK)
				memq_state_set(m, MEMQ_STUCK);
			return;
		}
		goal |= MEMQ_GOAL_DISABLE;
	}
	if (goal)
		memq_drain(m, goal);
	else if (nvio_cc_en(value) && m->state == MEMQ_DISABLED)
		memq_enable(m);
}

static void write_intm(struct memq *m, uint32_t intm)
{
	m->intm = intm;
	publish32(m, NVIO_REG_INTMS, intm);
	publish32(m, NVIO_REG_INTMC, intm);
	m->irq_wanted = true; /* what is no longer masked may go */
}

/* One half of a 64-bit register, the low 12 bits of which are reserved. */
static void write_addr(struct memq *m, uint64_t *addr, uint32_t reg, bool high, uint32_t value)
{
	*addr = high ? (*addr & 0xffffffffu) | (uint64_t)value << 32 : (*addr & ~0xffffffffull) | value;
	publish64(m, reg, *addr);
}

static void write32(struct memq *m, uint32_t offset, uint32_t value)
{
	switch (offset) {
	case NVIO_REG_CC:
		write_cc(m, value);
		break;
	case NVIO_REG_CSTS: /* NSSRO is cleared by writing 1 */
		if (nvio_csts_nssro(value))
			memq_csts_set(m, m->csts & ~nvio_csts_build(&(struct nvio_csts){ .nssro = 1 }));
		break;
	case NVIO_REG_INTMS:
		write_intm(m, m->intm | value);
		break;
	case NVIO_REG_INTMC:
		write_intm(m, m->intm & ~value);
		break;
	case NVIO_REG_NSSR:
		if (value == NVIO_NSSR_RESET)
			memq_drain(m, MEMQ_GOAL_RESET | MEMQ_GOAL_NSSR);
		break;
	case NVIO_REG_AQA:
		m->aqa = value & AQA_WRITABLE;
		publish32(m, NVIO_REG_AQA, m->aqa);
		break;
	case NVIO_REG_ASQ:
	case NVIO_REG_ASQ + 4:
		write_addr(m, &m->asq, NVIO_REG_ASQ, offset != NVIO_REG_ASQ, value);
		break;
	case NVIO_REG_ACQ:
	case NVIO_REG_ACQ + 4:
		write_addr(m, &m->acq, NVIO_REG_ACQ, offset != NVIO_REG_ACQ, value);
		break;
	default: /* read only, or not there */
		break;
	}
}

static void record(struct memq *m, const struct memq_reg_write *w)
{
	pthread_mutex_lock(&m->record_lock);
	if (m->num_recorded < MEMQ_RECORD_MAX)
		m->record[m->num_recorded] = *w;
	m->num_recorded++;
	pthread_mutex_unlock(&m->record_lock);
}

int memq_regs_poll(struct memq *m)
{
	struct memq_reg_write w;
	int n = 0;

	/* While it drains, writes wait: the host sees in CSTS that the last one has not had its effect yet. */
	while (m->state != MEMQ_DRAINING && m->state != MEMQ_FLUSHING && n < MAX_WRITES_PER_POLL &&
		m->port->reg_next(m->port_ctx, &w)) {
		n++;
		/* Taken out while its host left: it must not start anything now, and no next host writes before the reset. */
		if (unlikely(memq_noted(m, MEMQ_ATT_DETACHED)))
			break;
		if (m->record)
			record(m, &w);
		if (m->state == MEMQ_GONE)
			continue;
		write32(m, w.offset, (uint32_t)w.value);
		/*
		 * The upper half counts in its own right. A write that the lower half has made the beginning of a reset is
		 * dropped with it, as the registers it would go to are reset.
		 */
		if (w.width == 8 && m->state != MEMQ_DRAINING)
			write32(m, w.offset + 4, (uint32_t)(w.value >> 32));
	}
	return n;
}
