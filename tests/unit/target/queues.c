/* SPDX-License-Identifier: BSD-3-Clause */
/* Queues: making and deleting them with all that can be wrong, wrapping, filling up, doorbells, interrupts. */
#include "raw.h"

#include <sys/eventfd.h>
#include <unistd.h>

#define QID   NVIO_SF_DNR | NVIO_SF(1, NVIO_SC_INVALID_QID)
#define SIZE  NVIO_SF_DNR | NVIO_SF(1, NVIO_SC_INVALID_QUEUE_SIZE)
#define FIELD RAW_GENERIC(INVALID_FIELD)

static void bad_queues_are_refused(void **state)
{
	struct raw r;
	uint8_t *good;

	/* Entries: 2 to 64; queues 1 to 4. Queue pair 1 exists; completion queue 2, too. */
	raw_init(&r, raw_env, "ram:1M?entries=64&queues=4");
	raw_enable(&r);
	raw_create_io(&r, 8, 8);
	good = r.buf;
	assert_int_equal(raw_do(&r, &r.admin, raw_dws(raw_cmd(5, 0, good + 8 * RAW_PAGE),
		nvio_create_queue_cdw10(2, 7), 1, 0), NULL), 0);
	{
		const struct {
			const char *what;
			uint8_t opc;
			const void *addr;
			uint32_t qid, qsize, cdw11;
			uint16_t sf;
		} cases[] = {
			{ "CQ 0", 5, good, 0, 7, 1, QID },
			{ "CQ beyond what was granted", 5, good, 5, 7, 1, QID },
			{ "CQ 65535", 5, good, 65535, 7, 1, QID },
			{ "CQ that exists", 5, good, 1, 7, 1, QID },
			{ "CQ of one entry", 5, good, 3, 0, 1, SIZE },
			{ "CQ larger than MQES", 5, good, 3, 64, 1, SIZE },
			{ "CQ not contiguous", 5, good, 3, 7, 0, FIELD },
			{ "CQ not aligned", 5, good + 16, 3, 7, 1, RAW_GENERIC(INVALID_PRP_OFFSET) },
			{ "CQ at 0", 5, NULL, 3, 7, 1, FIELD },
			{ "CQ where no memory is", 5, (void *)0x1000, 3, 7, 1, FIELD },
			{ "CQ of a wrong vector", 5, good, 3, 7, 3 | 5 << 16, RAW_COMMAND(INVALID_INTERRUPT_VECTOR) },
			{ "SQ 0", 1, good, 0, 7, 1 | 1 << 16, QID },
			{ "SQ beyond what was granted", 1, good, 5, 7, 1 | 1 << 16, QID },
			{ "SQ that exists", 1, good, 1, 7, 1 | 1 << 16, QID },
			{ "SQ of one entry", 1, good, 2, 0, 1 | 1 << 16, SIZE },
			{ "SQ larger than MQES", 1, good, 2, 64, 1 | 1 << 16, SIZE },
			{ "SQ not contiguous", 1, good, 2, 7, 1 << 16, FIELD },
			{ "SQ not aligned", 1, good + 64, 2, 7, 1 | 1 << 16, RAW_GENERIC(INVALID_PRP_OFFSET) },
			{ "SQ at 0", 1, NULL, 2, 7, 1 | 1 << 16, FIELD },
			{ "SQ of the admin CQ", 1, good, 2, 7, 1, QID },
			{ "SQ of an impossible CQ", 1, good, 2, 7, 1 | 6 << 16, QID },
			{ "SQ of a CQ that is not there", 1, good, 2, 7, 1 | 4 << 16, RAW_COMMAND(INVALID_CQ) },
			{ "delete of SQ 0", 0, NULL, 0, 0, 0, QID },
			{ "delete of an SQ that is not there", 0, NULL, 2, 0, 0, QID },
			{ "delete of an impossible SQ", 0, NULL, 40000, 0, 0, QID },
			{ "delete of CQ 0", 4, NULL, 0, 0, 0, QID },
			{ "delete of a CQ that is not there", 4, NULL, 3, 0, 0, QID },
			{ "delete of an impossible CQ", 4, NULL, 129, 0, 0, QID },
			{ "delete of a CQ in use", 4, NULL, 1, 0, 0, RAW_COMMAND(INVALID_QUEUE_DELETION) },
			{ "CQ of the largest size", 5, good, 3, 63, 1, 0 },
			{ "SQ that shares a CQ", 1, good + 4 * RAW_PAGE, 2, 63, 1 | 1 << 16, 0 },
			{ "delete of it", 0, NULL, 2, 0, 0, 0 },
			{ "delete of SQ 1", 0, NULL, 1, 0, 0, 0 },
			{ "delete of CQ 1", 4, NULL, 1, 0, 0, 0 },
			{ "delete of CQ 1 again", 4, NULL, 1, 0, 0, QID },
		};

		for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
			uint16_t sf = raw_do(&r, &r.admin,
				raw_dws(raw_cmd(cases[i].opc, 0, cases[i].addr),
					nvio_create_queue_cdw10(cases[i].qid, cases[i].qsize), cases[i].cdw11, 0),
				NULL);

			if (sf != cases[i].sf)
				fail_msg("%s: 0x%x instead of 0x%x", cases[i].what, sf, cases[i].sf);
		}
	}
	raw_close(&r);
}

static void entry_sizes_must_be_set_before_the_first_queue(void **state)
{
	struct raw r;

	raw_init(&r, raw_env, "ram:1M");
	raw_write_admin(&r, 8, 8);
	raw_w32(&r, NVIO_REG_CC, 1);
	assert_true(raw_csts_becomes(&r, 3, 1));
	raw_queue_make(&r.io, 1, 8, 8);
	assert_int_equal(raw_do(&r, &r.admin, raw_create_cq(&r.io, NVIO_CREATE_PC, 0), NULL), SIZE);
	raw_w32(&r, NVIO_REG_CC, RAW_CC_ENABLE);
	raw_kick(&r);
	raw_create_io(&r, 8, 8);
	raw_close(&r);
}

static void fewer_queues_can_be_asked_for(void **state)
{
	struct raw r;
	uint32_t v;

	raw_init(&r, raw_env, "ram:1M?queues=16");
	raw_enable(&r);
	assert_int_equal(raw_set_feature(&r, NVIO_FID_NUM_QUEUES, nvio_num_queues_build(99, 3), &v), 0);
	assert_int_equal(v, nvio_num_queues_build(15, 3));
	raw_queue_make(&r.io, 5, 8, 8);
	assert_int_equal(raw_do(&r, &r.admin, raw_create_cq(&r.io, NVIO_CREATE_PC, 0), NULL), QID);
	raw_queue_free(&r.io);
	raw_create_io(&r, 8, 8);
	raw_close(&r);
}

static void queues_wrap_around(void **state)
{
	static const struct {
		uint32_t sq, cq;
	} sizes[] = { { 2, 2 }, { 3, 7 }, { 16, 5 }, { 64, 64 } };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct raw r;

		raw_init(&r, raw_env, "ram:1M");
		raw_enable(&r);
		raw_create_io(&r, sizes[i].sq, sizes[i].cq);
		for (uint32_t n = 0; n < 4 * MAX(sizes[i].sq, sizes[i].cq); n++) {
			assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_READ, r.buf, n, 1), NULL), 0);
			assert_int_equal(r.io.sqhd, (n + 1) % sizes[i].sq);
		}
		raw_close(&r);
	}
}

static void a_full_completion_queue_holds_completions_back(void **state)
{
	struct nvio_cqe cqe = { 0 };
	uint64_t seen = 0;
	struct raw r;

	raw_init(&r, raw_env, "ram:1M");
	raw_enable(&r);
	raw_create_io(&r, 64, 4);
	for (int i = 0; i < 50; i++) {
		uint16_t cid = raw_put(&r, &r.io, raw_rw(i % 5 ? NVIO_NVM_READ : NVIO_NVM_FLUSH, r.buf, 0, 1));

		seen |= 1ull << cid % 64;
	}
	raw_ring(&r, &r.io);
	raw_kicks(&r, 20);
	/* Three fit; the rest waits for the head to move. */
	for (int i = 0; i < 3; i++) {
		assert_true(raw_peek(&r.io, &cqe));
		assert_true(seen & 1ull << nvio_get_le16(cqe.cid) % 64);
		seen &= ~(1ull << nvio_get_le16(cqe.cid) % 64);
	}
	raw_kicks(&r, 20);
	assert_false(raw_peek(&r.io, &cqe));
	raw_ring_cq(&r, &r.io);
	for (int i = 0; i < 47; i++) {
		assert_true(raw_wait(&r, &r.io, &cqe));
		assert_int_equal(raw_sf(&cqe), 0);
		assert_true(seen & 1ull << nvio_get_le16(cqe.cid) % 64);
		seen &= ~(1ull << nvio_get_le16(cqe.cid) % 64);
	}
	assert_true(seen == 0);
	raw_expect_quiet(&r, &r.io);
	raw_close(&r);
}

static void held_completions_do_not_stop_a_deletion_or_a_reset(void **state)
{
	struct nvio_cqe cqe = { 0 };
	struct raw r;

	for (int reset = 0; reset < 2; reset++) {
		raw_init(&r, raw_env, "ram:1M");
		raw_enable(&r);
		raw_create_io(&r, 64, 4);
		for (int i = 0; i < 20; i++)
			raw_put(&r, &r.io, raw_rw(NVIO_NVM_READ, r.buf, 0, 1));
		raw_ring(&r, &r.io);
		raw_kicks(&r, 5);
		if (reset) {
			raw_w32(&r, NVIO_REG_CC, 0);
			assert_true(raw_csts_becomes(&r, 1, 0));
		} else {
			raw_put(&r, &r.admin, raw_dws(raw_cmd(NVIO_ADMIN_DELETE_SQ, 0, NULL), 1, 0, 0));
			raw_ring(&r, &r.admin);
			while (!raw_peek(&r.admin, &cqe)) {
				struct nvio_cqe io;

				raw_reap(&r, &r.io, &io);
			}
			assert_int_equal(raw_sf(&cqe), 0);
		}
		raw_close(&r);
	}
}

static void deleting_a_queue_aborts_what_is_late(void **state)
{
	struct nvio_cqe cqe = { 0 };
	struct raw r;
	int aborted = 0;

	raw_open(&r, raw_env, "ram:1M?fault=delay:us=1000000000:opcode=2");
	for (int i = 0; i < 5; i++)
		raw_put(&r, &r.io, raw_rw(i < 3 ? NVIO_NVM_READ : NVIO_NVM_WRITE, r.buf, 0, 1));
	raw_ring(&r, &r.io);
	raw_kicks(&r, 5);
	assert_int_equal(raw_delete(&r, NVIO_ADMIN_DELETE_SQ, 1), 0);
	for (int i = 0; i < 5; i++) {
		assert_true(raw_peek(&r.io, &cqe));
		aborted += raw_sf(&cqe) == NVIO_SF(0, NVIO_SC_ABORTED_SQ_DELETION);
	}
	assert_int_equal(aborted, 3);
	assert_int_equal(raw_delete(&r, NVIO_ADMIN_DELETE_CQ, 1), 0);
	raw_create_io(&r, 4, 4);
	assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_WRITE, r.buf, 0, 1), NULL), 0);
	raw_close(&r);
}

static void late_commands_complete_out_of_order(void **state)
{
	struct nvio_cqe cqe = { 0 };
	uint16_t late, fast;
	struct raw r;

	raw_open(&r, raw_env, "ram:1M?fault=delay:us=3000:opcode=2:count=1");
	late = raw_put(&r, &r.io, raw_rw(NVIO_NVM_READ, r.buf, 0, 1));
	fast = raw_put(&r, &r.io, raw_rw(NVIO_NVM_READ, r.buf, 0, 1));
	raw_ring(&r, &r.io);
	assert_true(raw_wait(&r, &r.io, &cqe));
	assert_int_equal(nvio_get_le16(cqe.cid), fast);
	assert_int_equal(r.io.sqhd, 2);
	assert_true(raw_wait(&r, &r.io, &cqe));
	assert_int_equal(nvio_get_le16(cqe.cid), late);
	assert_int_equal(raw_sf(&cqe), 0);
	raw_close(&r);
}

static void more_commands_than_requests_wait_in_the_ring(void **state)
{
	struct nvio_cqe cqe = { 0 };
	struct raw r;

	raw_init(&r, raw_env, "ram:1M?fault=delay:us=2000");
	raw_enable(&r);
	raw_create_io(&r, 4096, 4096);
	for (int i = 0; i < 3000; i++)
		raw_put(&r, &r.io, raw_rw(NVIO_NVM_READ, r.buf, 0, 1));
	raw_ring(&r, &r.io);
	for (int i = 0; i < 3000; i++) {
		assert_true(raw_wait(&r, &r.io, &cqe));
		assert_int_equal(raw_sf(&cqe), 0);
	}
	raw_close(&r);
}

static void bad_doorbells_are_events_and_do_no_harm(void **state)
{
	static const struct {
		uint32_t index, value;
		uint8_t info;
	} cases[] = {
		{ 2, 64, NVIO_AER_ERROR_INVALID_VALUE },        /* tail beyond the queue */
		{ 2, UINT32_MAX, NVIO_AER_ERROR_INVALID_VALUE },
		{ 3, 64, NVIO_AER_ERROR_INVALID_VALUE },        /* head beyond the queue */
		{ 3, 5, NVIO_AER_ERROR_INVALID_VALUE },         /* head beyond the tail */
		{ 4, 1, NVIO_AER_ERROR_INVALID_DOORBELL },      /* no such queue */
		{ 257, 9, NVIO_AER_ERROR_INVALID_DOORBELL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct nvio_drive_stats st;
		struct nvio_cqe cqe = { 0 };
		uint32_t dw0;
		struct raw r;

		raw_open(&r, raw_env, "ram:1M");
		raw_put(&r, &r.admin, raw_cmd(NVIO_ADMIN_ASYNC_EVENT, 0, NULL));
		raw_ring(&r, &r.admin);
		raw_kick(&r);
		raw_doorbell(&r, cases[i].index, cases[i].value);
		for (int k = 0; k < RAW_QUIET; k++)
			raw_kick(&r);
		nvio_drive_get_stats(r.drive, &st);
		assert_int_equal(st.bad_doorbells, 1);
		assert_true(raw_wait(&r, &r.admin, &cqe));
		dw0 = nvio_get_le32(cqe.dw0);
		assert_int_equal(dw0, nvio_aer_build(NVIO_AER_ERROR, cases[i].info, NVIO_LID_ERROR));
		/* The queue works on. */
		assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_READ, r.buf, 0, 1), NULL), 0);
		raw_close(&r);
	}
}

static uint64_t raised(int fd)
{
	uint64_t n = 0;

	return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

static void interrupts_come_in_batches_and_can_be_masked(void **state)
{
	int fd = eventfd(0, EFD_NONBLOCK);
	struct raw r;

	assert_true(fd >= 0);
	raw_init(&r, raw_env, "ram:1M");
	raw_enable(&r);
	raw_queue_make(&r.io, 1, 64, 64);
	assert_int_equal(raw_do(&r, &r.admin, raw_create_cq(&r.io, NVIO_CREATE_PC | NVIO_CREATE_IEN, 7), NULL), 0);
	assert_int_equal(raw_do(&r, &r.admin, raw_create_sq(&r.io, 1), NULL), 0);
	assert_int_equal(loop_irq_set_eventfd(r.port, 7, fd), 0);
	assert_int_equal(raised(fd), 0);
	for (int i = 0; i < 20; i++)
		raw_put(&r, &r.io, raw_rw(NVIO_NVM_READ, r.buf, 0, 1));
	raw_ring(&r, &r.io);
	raw_kick(&r); /* one kick is enough, or a host that sleeps would not wake */
	assert_int_equal(raised(fd), 1);
	raw_w32(&r, NVIO_REG_INTMS, 1u << 7);
	raw_kick(&r);
	assert_int_equal(raw_r32(&r, NVIO_REG_INTMS), 1u << 7);
	raw_put(&r, &r.io, raw_rw(NVIO_NVM_READ, r.buf, 0, 1));
	raw_ring(&r, &r.io);
	raw_kicks(&r, 5);
	assert_int_equal(raised(fd), 0);
	raw_w32(&r, NVIO_REG_INTMC, 1u << 7);
	raw_kicks(&r, 2);
	assert_int_equal(raised(fd), 1);
	assert_int_equal(raw_r32(&r, NVIO_REG_INTMC), 0);
	raw_close(&r);
	close(fd);
}

static void arbitration_burst_bounds_a_turn(void **state)
{
	struct nvio_cqe cqe = { 0 };
	struct raw r;
	int n = 0;

	raw_open(&r, raw_env, "ram:1M");
	assert_int_equal(raw_set_feature(&r, NVIO_FID_ARBITRATION, 2, NULL), 0); /* four at once */
	for (int i = 0; i < 10; i++)
		raw_put(&r, &r.io, raw_rw(NVIO_NVM_READ, r.buf, 0, 1));
	raw_ring(&r, &r.io);
	raw_kick(&r);
	while (raw_peek(&r.io, &cqe))
		n++;
	assert_int_equal(n, 4);
	raw_kicks(&r, 2);
	while (raw_peek(&r.io, &cqe))
		n++;
	assert_int_equal(n, 10);
	raw_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RAW_TEST(bad_queues_are_refused),
		RAW_TEST(entry_sizes_must_be_set_before_the_first_queue),
		RAW_TEST(fewer_queues_can_be_asked_for),
		RAW_TEST(queues_wrap_around),
		RAW_TEST(a_full_completion_queue_holds_completions_back),
		RAW_TEST(held_completions_do_not_stop_a_deletion_or_a_reset),
		RAW_TEST(deleting_a_queue_aborts_what_is_late),
		RAW_TEST(late_commands_complete_out_of_order),
		RAW_TEST(more_commands_than_requests_wait_in_the_ring),
		RAW_TEST(bad_doorbells_are_events_and_do_no_harm),
		RAW_TEST(interrupts_come_in_batches_and_can_be_masked),
		RAW_TEST(arbitration_burst_bounds_a_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
