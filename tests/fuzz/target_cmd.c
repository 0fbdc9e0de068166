/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any command to a controller that runs: each is answered exactly once, with its own identifier and the right phase, except
 * those that wait for events, and nothing but the host's memory is touched.
 *
 * Input: records of one byte (bit 0: the I/O queue; bit 1: the PRPs lead into the host's memory; bit 2: first a write of 64 bytes
 * to memory, at the 2 bytes that follow) and the 64 bytes of a command.
 */
#include "tests/fuzz/target.h"

#include <nvio/spec/admin.h>

#define ENTRIES 16u
#define PAGE(n) (FUZZ_BASE + (n) * (uint64_t)TGT_PAGE)
#define DATA_FROM 4u /* the pages below are the queues */

struct queue {
	uint32_t sq_page, cq_page; /* index into memory */
	uint32_t qid, tail, head;
	uint8_t phase;
};

static void put(struct queue *q, const struct nvio_sqe *sqe)
{
	memcpy(ft.memory + q->sq_page * TGT_PAGE + q->tail * 64, sqe, 64);
	q->tail = (q->tail + 1) % ENTRIES;
	ft.doorbells[2 * q->qid] = q->tail;
}

static bool reap(struct queue *q, struct nvio_cqe *cqe)
{
	memcpy(cqe, ft.memory + q->cq_page * TGT_PAGE + q->head * 16, 16);
	if ((nvio_get_le16(cqe->status) & 1) != q->phase)
		return false;
	q->head = (q->head + 1) % ENTRIES;
	q->phase ^= q->head == 0;
	ft.doorbells[2 * q->qid + 1] = q->head;
	return true;
}

/* Takes what has come; true when the command was among it. Others can only be event requests, which come when they will. */
static bool reap_for(struct queue *q, uint16_t cid)
{
	struct nvio_cqe cqe;
	bool seen = false;

	while (reap(q, &cqe)) {
		FUZZ_CHECK(nvio_get_le16(cqe.sqid) == q->qid);
		FUZZ_CHECK(nvio_get_le16(cqe.sqhd) < ENTRIES);
		if (nvio_get_le16(cqe.cid) == cid) {
			FUZZ_CHECK(!seen);
			seen = true;
		}
	}
	return seen;
}

static void start(struct queue *admin, struct queue *io)
{
	struct nvio_sqe cq = { .opc = NVIO_ADMIN_CREATE_CQ, .cid = nvio_to_le16(1), .prp1 = nvio_to_le64(PAGE(3)),
		.cdw10 = nvio_to_le32(nvio_create_queue_cdw10(1, ENTRIES - 1)), .cdw11 = nvio_to_le32(1) };
	struct nvio_sqe sq = { .opc = NVIO_ADMIN_CREATE_SQ, .cid = nvio_to_le16(2), .prp1 = nvio_to_le64(PAGE(2)),
		.cdw10 = nvio_to_le32(nvio_create_queue_cdw10(1, ENTRIES - 1)), .cdw11 = nvio_to_le32(1 | 1 << 16) };

	*admin = (struct queue){ .sq_page = 0, .cq_page = 1, .qid = 0, .phase = 1 };
	*io = (struct queue){ .sq_page = 2, .cq_page = 3, .qid = 1, .phase = 1 };
	fuzz_write(NVIO_REG_AQA, 4, nvio_aqa_build(ENTRIES - 1, ENTRIES - 1));
	fuzz_write(NVIO_REG_ASQ, 8, PAGE(0));
	fuzz_write(NVIO_REG_ACQ, 8, PAGE(1));
	fuzz_write(NVIO_REG_CC, 4, 1 | 6 << 16 | 4 << 20);
	fuzz_poll(2);
	put(admin, &cq);
	put(admin, &sq);
	fuzz_poll(2);
	FUZZ_CHECK(reap_for(admin, 2));
	ft.lowest = PAGE(DATA_FROM);
}

/* Addresses that the input has no way to know; a few stay wild. Queue pages are left alone: they are ours to check. */
static nvio_le64 lead_home(nvio_le64 v)
{
	uint64_t a = nvio_get_le64(v) % ((FUZZ_PAGES - DATA_FROM + 1) * (uint64_t)TGT_PAGE);

	return nvio_to_le64(PAGE(DATA_FROM) + a);
}

/* Deleting the queues that we check by would only mislead the harness. */
static bool spoils_the_harness(const struct nvio_sqe *s, bool io)
{
	return !io && (s->opc == NVIO_ADMIN_DELETE_SQ || s->opc == NVIO_ADMIN_DELETE_CQ);
}

static void command(struct fuzz_input *in, struct queue *admin, struct queue *io, uint16_t cid)
{
	uint8_t how = (uint8_t)fuzz_int(in, 1);
	struct queue *q = how & 1 ? io : admin;
	struct nvio_sqe s;
	bool seen = false;

	if (how & 4) {
		uint32_t room = (FUZZ_PAGES - DATA_FROM) * TGT_PAGE - 64, at = (uint32_t)fuzz_int(in, 2) * 8 % room;

		fuzz_bytes(in, ft.memory + DATA_FROM * TGT_PAGE + at, 64);
		/* As list entries these lead somewhere, too. */
		for (int i = 0; how & 2 && i < 8; i++) {
			nvio_le64 v;

			memcpy(&v, ft.memory + DATA_FROM * TGT_PAGE + at + i * 8, 8);
			v = lead_home(v);
			v.b[0] = 0;
			v.b[1] &= 0xf0;
			memcpy(ft.memory + DATA_FROM * TGT_PAGE + at + i * 8, &v, 8);
		}
	}
	fuzz_bytes(in, &s, sizeof(s));
	s.cid = nvio_to_le16(cid);
	if (how & 2) {
		s.prp1 = lead_home(s.prp1);
		s.prp2 = lead_home(s.prp2);
	}
	if (spoils_the_harness(&s, how & 1))
		return;
	put(q, &s);
	for (int i = 0; i < 600 && !seen; i++) {
		fuzz_poll(1);
		seen = reap_for(q, cid);
	}
	FUZZ_CHECK(seen || (q == admin && s.opc == NVIO_ADMIN_ASYNC_EVENT));
	FUZZ_CHECK(fuzz_csts() == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct queue admin, io;

	fuzz_begin();
	start(&admin, &io);
	for (uint16_t cid = 10; in.left; cid++)
		command(&in, &admin, &io, cid);
	fuzz_end();
	return 0;
}
