/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A controller of a few lines, for testing the host against something that is not our target: it answers what the host's
 * start-up asks and completes every I/O command with success without moving data. A test may take the I/O into its own hands
 * and answer as badly as it likes.
 */
#ifndef SUPPORT_BARE_H
#define SUPPORT_BARE_H

#include <nvio/spec/command.h>
#include <nvio/spec/identify.h>

#include "loop/iommu.h"
#include "loop/loop.h"

#define BARE_QUEUES 8
#define BARE_WRITES 256
#define BARE_EVENTS 16

struct bare_queue {
	uint8_t *sq, *cq;
	uint32_t sq_size, cq_size, sq_head, cq_tail, phase;
};

struct bare {
	struct loop_port *port;
	struct loop_tlb tlb;
	uint32_t cc, csts;
	uint64_t asq, acq;
	uint32_t aqa;
	struct bare_queue q[BARE_QUEUES];

	/* The test's: called for each command of queue qid; true: the test has dealt with it. */
	bool (*command)(struct bare *b, unsigned qid, const struct nvio_sqe *sqe);
	void *arg;
	bool never_ready, never_stop, fatal, stuck_shutdown;
	struct nvio_id_ctrlr id;
	struct nvio_id_ns ns;
	uint32_t active[8]; /* ends with 0 */
	uint64_t commands, resets;
	uint32_t early_stops; /* CC.EN 1 -> 0 before CSTS.RDY was 1 */
	struct loop_write writes[BARE_WRITES]; /* the first register writes, in order */
	uint32_t write_count;
	uint32_t events_held;
	uint16_t event_cids[BARE_EVENTS]; /* of the requests held */
};

/* With NVIO_TEST_IOMMU in the process's environment it stands behind an IOMMU. */
int bare_open(struct bare *b, struct nvio_env *env, const char *name);
void bare_close(struct bare *b);

/* The memory at a device address; it must be there, and contiguous. */
void *bare_reach(struct bare *b, uint64_t addr, uint64_t len);

/* Posts a completion: sf is the status field without the phase tag. */
void bare_complete(struct bare *b, unsigned qid, uint16_t cid, uint32_t dw0, uint16_t sf);

/* The same with the phase tag as given. */
void bare_post(struct bare *b, unsigned qid, uint16_t cid, uint32_t dw0, uint16_t sf, unsigned phase);

static inline uint16_t bare_cid(const struct nvio_sqe *sqe) { return nvio_get_le16(sqe->cid); }

#endif
