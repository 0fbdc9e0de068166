/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory queues, host side: submission and completion rings in memory that the controller reaches, and doorbells (NVMe
 * PCIe Transport 1.0 section 3). PCIe, loop and vfio-user share this and differ in where BAR and memory come from.
 */
#ifndef HOST_PCIE_MQ_H
#define HOST_PCIE_MQ_H

#include "host/host.h"
#include "mem/cache.h"

/* What a backend (loop, later VFIO and vfio-user) gives to memory queues. */
struct mq_bar {
	/* Doorbell register `index`: 2 * qid, + 1 for the completion queue; NULL out of range. */
	uint32_t *(*doorbell)(struct nvio_ctrlr *c, uint32_t index);
	/* Moves along a device that has no thread of its own; NULL otherwise. Fixed while the device is open. */
	int (*kick)(void *ctx);
	void *kick_ctx;
	/*
	 * A word that is not 0 while the device sleeps, and how to wake it then, after a doorbell was written; NULL: it hears doorbells by
	 * itself. Fixed while the device is open.
	 */
	const uint32_t *asleep;
	void (*wake)(struct nvio_ctrlr *c);
	/* Device addresses are virtual addresses: any pointer is a buffer. */
	bool identity;
	/* The interrupt vector of its completion queue; -1: it has none. */
	int vector;
};

struct mq {
	struct nvio_qpair qp;     /* first */

	/* Submission. */
	uint8_t *sq CACHE_ALIGNED;
	uint32_t *sq_doorbell;
	const uint32_t *asleep;    /* the device's, or a word that stays 0 */
	uint32_t sq_tail, sq_rung; /* next entry to write; what the controller was told */
	uint32_t sq_size;
	bool identity;

	/* Completion. */
	uint32_t cq_size;
	uint32_t cq_head, cq_untold; /* next entry to read; entries read that the controller was not told of */
	uint32_t cq_tell_at;
	uint32_t cq_phase;         /* PHASE_BIT or 0: what a new entry has */
	const uint8_t *cq;
	uint32_t *cq_doorbell;
	int (*kick)(void *ctx);
	void *kick_ctx;

	/* Two pages beyond the first are reached through the slot's page; also the bounce buffer. */
	uint8_t *pages;
	uint64_t pages_iova;
	bool pages_contig;         /* for the device, too */

	struct mem_cache cache;    /* not identity */
	uint64_t sq_iova, cq_iova;
	int vector;                /* -1: it does not interrupt */
	struct nvio_env *env;
	void (*wake)(struct nvio_ctrlr *c);
};

int mq_create(struct nvio_ctrlr *c, const struct mq_bar *bar, uint16_t qid, uint32_t entries, uint32_t slots,
	struct nvio_qpair **out);

void mq_admin_setup(struct nvio_ctrlr *c); /* ctrlr_ops.admin_setup */

static inline struct mq *qpair_mq(struct nvio_qpair *qp) { return (struct mq *)(void *)qp; }

/* The device address of a slot's page. */
static inline uint64_t mq_slot_page(struct mq *mq, unsigned slot)
{
	uint64_t iova = mq->pages_iova + (uint64_t)slot * HOST_PAGE;
	size_t contig;

	/* It was found when the queue was made, and is ours: so it is there. */
	if (unlikely(!mq->pages_contig))
		mem_cache_find(&mq->cache, mq->pages + (size_t)slot * HOST_PAGE, &iova, &contig);
	return iova;
}

/* prp.c: fills in the data pointer of a command that moves [buf, buf + len). `list` is the slot's page. 0 or -EFAULT. */
int prp_fill(struct mq *mq, uint8_t *sqe, const void *buf, uint32_t len, unsigned slot);
int prp_fill_iov(struct mq *mq, uint8_t *sqe, const struct iovec *iov, uint64_t skip, uint32_t len, unsigned slot);

extern const struct ctrlr_ops pcie_loop_ops; /* loop.c */
extern const struct ctrlr_ops pcie_pci_ops;  /* pci.c */

#endif
