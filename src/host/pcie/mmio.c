/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory queues over registers that somebody else has found and mapped, and who also answers for device addresses: the transport of
 * programs without an operating system (NVMe PCIe Transport 1.0 section 3). It is polled.
 *
 * Registers are accessed in dwords, which every controller takes; one of eight bytes is two of them, the lower one first (NVMe Base
 * 2.0 section 3.1.3).
 */
#include "host/pcie/mmio.h"

#include "base/alloc.h"
#include "host/pcie/mq.h"

/* The table stands in front of what belongs to one controller, since the table is all that open() is given. */
struct mmio {
	struct ctrlr_ops ops; /* first */
	struct nvio_bar bar;
};

static const struct nvio_bar *bar_of(struct nvio_ctrlr *c) { return &((struct mmio *)c->transport)->bar; }

static volatile uint32_t *reg_at(struct nvio_ctrlr *c, uint32_t offset)
{
	return (volatile uint32_t *)((volatile char *)bar_of(c)->base + offset);
}

static uint32_t read32(struct nvio_ctrlr *c, uint32_t offset)
{
	/* Acquire: what the controller wrote to memory before it showed this value must not be read before it. */
	return NVIO_LE_SWAP(32, __atomic_load_n(reg_at(c, offset), __ATOMIC_ACQUIRE));
}

static void write32(struct nvio_ctrlr *c, uint32_t offset, uint32_t value)
{
	/* Release: what the controller will read of memory because of this write must be there before it. */
	__atomic_store_n(reg_at(c, offset), NVIO_LE_SWAP(32, value), __ATOMIC_RELEASE);
}

static uint64_t mmio_read(struct nvio_ctrlr *c, uint32_t offset, uint32_t width)
{
	uint64_t low = read32(c, offset);

	return width == 8 ? low | (uint64_t)read32(c, offset + 4) << 32 : low;
}

static void mmio_write(struct nvio_ctrlr *c, uint32_t offset, uint32_t width, uint64_t value)
{
	write32(c, offset, (uint32_t)value);
	if (width == 8)
		write32(c, offset + 4, (uint32_t)(value >> 32));
}

static uint32_t *mmio_doorbell(struct nvio_ctrlr *c, uint32_t index)
{
	uint64_t at = NVIO_REG_DOORBELL + ((uint64_t)index << (2 + nvio_cap_dstrd(c->cap)));

	return at + sizeof(uint32_t) <= bar_of(c)->len ? (uint32_t *)(void *)((char *)bar_of(c)->base + at) : NULL;
}

static int mmio_qpair_create(struct nvio_ctrlr *c, uint16_t qid, uint32_t entries, uint32_t slots, struct nvio_qpair **qp)
{
	struct mq_bar bar = { .doorbell = mmio_doorbell, .identity = bar_of(c)->identity, .vector = -1 };

	return mq_create(c, &bar, qid, entries, slots, qp);
}

static int mmio_open(struct nvio_ctrlr *c)
{
	c->transport = (void *)(uintptr_t)c->ops;
	return 0;
}

static void mmio_close(struct nvio_ctrlr *c);

static const struct ctrlr_ops mmio_ops = {
	.name = "pcie",
	.open = mmio_open,
	.close = mmio_close,
	.reg_read = mmio_read,
	.reg_write = mmio_write,
	.qpair_create = mmio_qpair_create,
	.admin_setup = mq_admin_setup,
};

/* Handles of a closed controller still tell its transport's name, from a table that stays. */
static void mmio_close(struct nvio_ctrlr *c)
{
	c->ops = &mmio_ops;
	c->transport = NULL;
}

static void mmio_free(struct nvio_ctrlr *c, void *arg)
{
	alloc_free(arg);
}

int mmio_ctrlr_create(struct nvio_env *env, const struct nvio_trid *trid, const struct nvio_bar *bar, const struct nvio_ctrlr_opts *opts,
	struct nvio_op *op, struct nvio_ctrlr **out)
{
	struct mmio *m = alloc_zeroed(sizeof(*m));
	int rc;

	if (!m)
		return fail(-ENOMEM, "connect: %s: no memory", trid->traddr);
	m->ops = mmio_ops;
	m->bar = *bar;
	m->bar.name = NULL; /* the caller's; from here on it is in the trid */
	rc = ctrlr_create(env, trid, opts, &m->ops, op, out);
	if (rc) {
		alloc_free(m);
		return rc;
	}
	(*out)->on_closed = mmio_free;
	(*out)->on_closed_arg = m;
	return 0;
}
