/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A host of the tests' own: registers, rings and doorbells by hand over the loop port, with nothing of src/host in between, so that
 * the target is held against the specification and not against our other reading of it.
 */
#ifndef TESTS_TARGET_RAW_H
#define TESTS_TARGET_RAW_H

#include "tests/support/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "loop/loop.h"
#include <nvio/drive.h>
#include <nvio/env.h>
#include <nvio/error.h>
#include <nvio/spec/admin.h>
#include <nvio/spec/command.h>
#include <nvio/spec/feature.h>
#include <nvio/spec/identify.h>
#include <nvio/spec/log.h>
#include <nvio/spec/nvm.h>
#include <nvio/spec/regs.h>
#include <nvio/spec/status.h>
#include <nvio/thread.h>

#define RAW_PAGE      4096u
#define RAW_PATIENCE  (20 * NS_PER_S) /* a failure, not a measurement */
#define RAW_QUIET     300             /* polls after which nothing more is expected */
#define RAW_NOT_SEEN  0xffff

struct raw_queue {
	struct nvio_sqe *sq;
	struct nvio_cqe *cq;
	uint32_t sq_size, cq_size, tail, head;
	uint8_t phase;
	uint16_t qid;
	uint16_t sqhd;
};

struct raw {
	struct nvio_env *env;
	struct nvio_drive *drive;
	struct loop_port *port;
	struct nvio_thread *thread; /* to poll, when the drive is attached */
	struct raw_queue admin, io;
	uint16_t next_cid;
	uint8_t *buf;               /* RAW_BUF_PAGES */
};

#define RAW_BUF_PAGES 600u

static inline void *raw_pages(uint32_t n)
{
	void *p = NULL;

	assert_int_equal(posix_memalign(&p, RAW_PAGE, n * (size_t)RAW_PAGE), 0);
	memset(p, 0, n * (size_t)RAW_PAGE);
	return p;
}

static inline void raw_kick(struct raw *r)
{
	const struct loop_hot *hot = loop_hot(r->port);

	if (hot->kick)
		hot->kick(hot->ctx);
	else if (r->thread)
		nvio_thread_poll(r->thread, 0);
	else
		sleep_ns(1000);
}

static inline void raw_kicks(struct raw *r, int n)
{
	while (n--)
		raw_kick(r);
}

/* ---- registers ---- */

static inline void raw_w32(struct raw *r, uint32_t reg, uint32_t v) { loop_reg_write(r->port, reg, 4, v); }
static inline void raw_w64(struct raw *r, uint32_t reg, uint64_t v) { loop_reg_write(r->port, reg, 8, v); }
static inline uint32_t raw_r32(struct raw *r, uint32_t reg) { return loop_reg_read32(r->port, reg); }
static inline uint32_t raw_csts(struct raw *r) { return raw_r32(r, NVIO_REG_CSTS); }

/* Until CSTS & mask == want; false when it does not come. */
static inline bool raw_csts_becomes(struct raw *r, uint32_t mask, uint32_t want)
{
	uint64_t end = clock_monotonic_ns() + RAW_PATIENCE;

	do {
		raw_kick(r);
		if ((raw_csts(r) & mask) == want)
			return true;
	} while (clock_monotonic_ns() < end);
	return false;
}

#define RAW_CC_ENABLE (1u | 6u << 16 | 4u << 20)

/* ---- queues ---- */

static inline void raw_queue_make(struct raw_queue *q, uint16_t qid, uint32_t sq_size, uint32_t cq_size)
{
	memset(q, 0, sizeof(*q));
	q->sq = raw_pages(sq_size * 64 / RAW_PAGE + 1);
	q->cq = raw_pages(cq_size * 16 / RAW_PAGE + 1);
	q->sq_size = sq_size;
	q->cq_size = cq_size;
	q->phase = 1;
	q->qid = qid;
}

static inline void raw_queue_free(struct raw_queue *q)
{
	free(q->sq);
	free(q->cq);
	memset(q, 0, sizeof(*q));
}

static inline void raw_doorbell(struct raw *r, uint32_t index, uint32_t value)
{
	__atomic_store_n(loop_doorbell(r->port, index), value, __ATOMIC_RELEASE);
	loop_target_check(r->port);
}

/* Puts the command into the ring; returns the identifier it gave it. */
static inline uint16_t raw_put(struct raw *r, struct raw_queue *q, struct nvio_sqe sqe)
{
	uint16_t cid = r->next_cid++;

	sqe.cid = nvio_to_le16(cid);
	q->sq[q->tail] = sqe;
	q->tail = (q->tail + 1) % q->sq_size;
	return cid;
}

static inline void raw_ring(struct raw *r, struct raw_queue *q) { raw_doorbell(r, 2u * q->qid, q->tail); }

/* The next completion, if there is one; does not tell the controller. */
static inline bool raw_peek(struct raw_queue *q, struct nvio_cqe *cqe)
{
	struct nvio_cqe *e = &q->cq[q->head];
	uint32_t last = __atomic_load_n((uint32_t *)(void *)&e->cid, __ATOMIC_ACQUIRE);

	if ((last >> 16 & 1) != q->phase)
		return false;
	*cqe = *e;
	q->sqhd = nvio_get_le16(cqe->sqhd);
	assert_int_equal(nvio_get_le16(cqe->sqid), q->qid);
	q->head = (q->head + 1) % q->cq_size;
	q->phase ^= q->head == 0;
	return true;
}

static inline void raw_ring_cq(struct raw *r, struct raw_queue *q) { raw_doorbell(r, 2u * q->qid + 1, q->head); }

static inline bool raw_reap(struct raw *r, struct raw_queue *q, struct nvio_cqe *cqe)
{
	raw_kick(r);
	if (!raw_peek(q, cqe))
		return false;
	raw_ring_cq(r, q);
	return true;
}

static inline bool raw_wait(struct raw *r, struct raw_queue *q, struct nvio_cqe *cqe)
{
	uint64_t end = clock_monotonic_ns() + RAW_PATIENCE;

	do {
		if (raw_reap(r, q, cqe))
			return true;
	} while (clock_monotonic_ns() < end);
	return false;
}

/* Nothing comes, however often the drive is polled. */
static inline void raw_expect_quiet(struct raw *r, struct raw_queue *q)
{
	struct nvio_cqe cqe = { 0 };

	for (int i = 0; i < RAW_QUIET; i++)
		assert_false(raw_reap(r, q, &cqe));
}

static inline uint16_t raw_sf(const struct nvio_cqe *cqe) { return nvio_cqe_status_sf(nvio_get_le16(cqe->status)); }

/* One command from ring to completion; its status, and dword 0 in *dw0 (may be NULL). */
static inline uint16_t raw_do(struct raw *r, struct raw_queue *q, struct nvio_sqe sqe, uint32_t *dw0)
{
	struct nvio_cqe cqe = { 0 };
	uint16_t cid = raw_put(r, q, sqe);

	raw_ring(r, q);
	assert_true(raw_wait(r, q, &cqe));
	assert_int_equal(nvio_get_le16(cqe.cid), cid);
	if (dw0)
		*dw0 = nvio_get_le32(cqe.dw0);
	return raw_sf(&cqe);
}

/* ---- commands ---- */

static inline struct nvio_sqe raw_cmd(uint8_t opc, uint32_t nsid, const void *data)
{
	struct nvio_sqe s = { .opc = opc, .nsid = nvio_to_le32(nsid), .prp1 = nvio_to_le64((uintptr_t)data) };

	return s;
}

static inline struct nvio_sqe raw_dws(struct nvio_sqe s, uint32_t cdw10, uint32_t cdw11, uint32_t cdw12)
{
	s.cdw10 = nvio_to_le32(cdw10);
	s.cdw11 = nvio_to_le32(cdw11);
	s.cdw12 = nvio_to_le32(cdw12);
	return s;
}

/* Read, Write and what looks like them; a buffer beyond one page must be contiguous: PRP2 is a second page or not needed. */
static inline struct nvio_sqe raw_rw(uint8_t opc, const void *data, uint64_t slba, uint32_t nlb)
{
	struct nvio_sqe s = raw_dws(raw_cmd(opc, 1, data), (uint32_t)slba, (uint32_t)(slba >> 32), nlb - 1);

	s.prp2 = nvio_to_le64(((uintptr_t)data & ~(uintptr_t)(RAW_PAGE - 1)) + RAW_PAGE);
	return s;
}

/* PRPs for `len` bytes at `data`, with `list` (one page) for the pages beyond the first when there are more than two. */
static inline void raw_prps(struct nvio_sqe *s, uint8_t *data, uint32_t len, nvio_le64 *list)
{
	uintptr_t page = ((uintptr_t)data & ~(uintptr_t)(RAW_PAGE - 1)) + RAW_PAGE;
	uint32_t n = 0;

	s->prp1 = nvio_to_le64((uintptr_t)data);
	s->prp2 = nvio_to_le64(page);
	if ((uintptr_t)data + len <= page + RAW_PAGE)
		return;
	for (; page < (uintptr_t)data + len; page += RAW_PAGE)
		list[n++] = nvio_to_le64(page);
	s->prp2 = nvio_to_le64((uintptr_t)list);
}

static inline struct nvio_sqe raw_create_cq(const struct raw_queue *q, uint32_t flags, uint32_t vector)
{
	return raw_dws(raw_cmd(NVIO_ADMIN_CREATE_CQ, 0, q->cq), nvio_create_queue_cdw10(q->qid, q->cq_size - 1),
		nvio_create_cq_cdw11(flags, vector), 0);
}

static inline struct nvio_sqe raw_create_sq(const struct raw_queue *q, uint32_t cqid)
{
	return raw_dws(raw_cmd(NVIO_ADMIN_CREATE_SQ, 0, q->sq), nvio_create_queue_cdw10(q->qid, q->sq_size - 1),
		nvio_create_sq_cdw11(NVIO_CREATE_PC, 0, cqid), 0);
}

static inline uint16_t raw_delete(struct raw *r, uint8_t opc, uint16_t qid)
{
	return raw_do(r, &r->admin, raw_dws(raw_cmd(opc, 0, NULL), qid, 0, 0), NULL);
}

static inline uint16_t raw_identify(struct raw *r, uint32_t cns, uint32_t nsid, uint32_t csi, void *page)
{
	return raw_do(r, &r->admin,
		raw_dws(raw_cmd(NVIO_ADMIN_IDENTIFY, nsid, page), cns, nvio_identify_cdw11(0, csi), 0), NULL);
}

static inline uint16_t raw_set_feature(struct raw *r, uint32_t cdw10, uint32_t value, uint32_t *dw0)
{
	return raw_do(r, &r->admin, raw_dws(raw_cmd(NVIO_ADMIN_SET_FEATURES, 0, r->buf), cdw10, value, 0), dw0);
}

static inline uint16_t raw_get_feature(struct raw *r, uint32_t fid, uint32_t sel, uint32_t cdw11, uint32_t *dw0)
{
	return raw_do(r, &r->admin,
		raw_dws(raw_cmd(NVIO_ADMIN_GET_FEATURES, 0, r->buf), nvio_get_features_cdw10(fid, sel), cdw11, 0), dw0);
}

static inline uint16_t raw_get_log(struct raw *r, uint32_t lid, uint32_t len, uint64_t offset, void *page)
{
	struct nvio_sqe s = raw_dws(raw_cmd(NVIO_ADMIN_GET_LOG_PAGE, NVIO_NSID_ALL, page),
		nvio_log_cdw10(lid, 0, len / 4 - 1), nvio_log_cdw11(len / 4 - 1, 0), (uint32_t)offset);

	s.cdw13 = nvio_to_le32((uint32_t)(offset >> 32));
	return raw_do(r, &r->admin, s, NULL);
}

/* ---- the drive ---- */

static inline void raw_attach(struct raw *r)
{
	assert_int_equal(loop_attach(r->env, nvio_drive_name(r->drive), &r->port), 0);
}

static inline void raw_write_admin(struct raw *r, uint32_t sq_size, uint32_t cq_size)
{
	raw_queue_free(&r->admin);
	raw_queue_make(&r->admin, 0, sq_size, cq_size);
	raw_w32(r, NVIO_REG_AQA, nvio_aqa_build(sq_size - 1, cq_size - 1));
	raw_w64(r, NVIO_REG_ASQ, (uintptr_t)r->admin.sq);
	raw_w64(r, NVIO_REG_ACQ, (uintptr_t)r->admin.cq);
}

static inline void raw_enable(struct raw *r)
{
	raw_write_admin(r, 32, 32);
	raw_w32(r, NVIO_REG_CC, RAW_CC_ENABLE);
	assert_true(raw_csts_becomes(r, 3, 1));
}

static inline void raw_create_io(struct raw *r, uint32_t sq_size, uint32_t cq_size)
{
	raw_queue_free(&r->io);
	raw_queue_make(&r->io, 1, sq_size, cq_size);
	assert_int_equal(raw_do(r, &r->admin, raw_create_cq(&r->io, NVIO_CREATE_PC, 0), NULL), 0);
	assert_int_equal(raw_do(r, &r->admin, raw_create_sq(&r->io, 1), NULL), 0);
}

static inline void raw_init(struct raw *r, struct nvio_env *env, const char *form)
{
	memset(r, 0, sizeof(*r));
	r->env = env;
	r->buf = raw_pages(RAW_BUF_PAGES);
	if (nvio_drive_open_str(env, form, &r->drive))
		fail_msg("%s: %s", form, nvio_errmsg());
	raw_attach(r);
}

/* A drive with an I/O queue of 64, ready for commands. */
static inline void raw_open(struct raw *r, struct nvio_env *env, const char *form)
{
	raw_init(r, env, form);
	raw_enable(r);
	raw_create_io(r, 64, 64);
}

static inline void raw_close(struct raw *r)
{
	if (r->port)
		loop_detach(r->port);
	nvio_drive_close(r->drive);
	raw_queue_free(&r->admin);
	raw_queue_free(&r->io);
	free(r->buf);
	memset(r, 0, sizeof(*r));
}

static inline void raw_fault(struct raw *r, const char *text)
{
	if (nvio_drive_add_fault_str(r->drive, text))
		fail_msg("%s: %s", text, nvio_errmsg());
}

/* Status of the DNR kind, as most refusals are. */
#define RAW_DNR(sct, sc) (NVIO_SF(sct, sc) | NVIO_SF_DNR)
#define RAW_GENERIC(sc)  RAW_DNR(NVIO_SCT_GENERIC, NVIO_SC_##sc)
#define RAW_COMMAND(sc)  RAW_DNR(NVIO_SCT_COMMAND, NVIO_SC_##sc)

/* The environment that each test of a file has. */
static struct nvio_env *raw_env;

static inline int raw_setup(void **state)
{
	return nvio_env_open(NULL, &raw_env);
}

static inline int raw_teardown(void **state)
{
	nvio_env_close(raw_env);
	return 0;
}

#define RAW_TEST(f) cmocka_unit_test_setup_teardown(f, raw_setup, raw_teardown)

#endif
