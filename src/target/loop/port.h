/* SPDX-License-Identifier: BSD-3-Clause */
/* The loop front end: the memory queues' registers and memory, when the host is in this process. */
#ifndef TARGET_LOOP_PORT_H
#define TARGET_LOOP_PORT_H

#include "loop/iommu.h"
#include "target/memq.h"

struct loop_port;

/* For memq_opts: the tables, with the struct loop_port as context; memory without an IOMMU needs none. */
extern const struct memq_port_ops tgt_loop_port_ops;
extern const struct tgt_dma_ops tgt_loop_dma_ops;

/* Memory behind an IOMMU; the controller's thread's, but for the counter, which others may read. */
struct tgt_loop_iommu {
	struct loop_port *port;
	struct loop_tlb tlb;
	struct memq *memq;
	const char *name; /* for the log */
	uint64_t faults;
};
extern const struct tgt_dma_ops tgt_loop_iommu_dma_ops;

/* One doorbell pair for each queue the memory queues may ever have. */
#define TGT_LOOP_DOORBELLS (2 * (MEMQ_MAX_IO_QUEUES + 1))

#endif
