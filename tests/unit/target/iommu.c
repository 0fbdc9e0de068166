/* SPDX-License-Identifier: BSD-3-Clause */
/* A drive behind an IOMMU: what it reaches, and what becomes of an address that leads nowhere. */
#include "raw.h"

#include <nvio/mem.h>

static struct nvio_env *env;
static char first_warning[600];
static unsigned warnings;

static void on_log(void *arg, enum nvio_log_level level, const char *text)
{
	if (level > NVIO_LOG_WARN)
		return;
	if (!warnings++)
		snprintf(first_warning, sizeof(first_warning), "%s", text);
}

static int setup(void **state)
{
	struct nvio_env_opts o;

	nvio_env_opts_init(&o);
	o.log_level = NVIO_LOG_DEBUG;
	o.log_fn = on_log;
	warnings = 0;
	return nvio_env_open(&o, &env);
}

static int teardown(void **state)
{
	nvio_env_close(env);
	return 0;
}

/* The device address of memory, in the shape in which the commands of raw.h take it. */
static void *dev(const void *ptr)
{
	uint64_t addr = 0;

	assert_int_equal(nvio_mem_device_addr(env, ptr, &addr, NULL), 0);
	return (void *)(uintptr_t)addr;
}

static void queue_register(struct raw_queue *q)
{
	assert_int_equal(nvio_mem_register(env, q->sq, (q->sq_size * 64 / RAW_PAGE + 1) * RAW_PAGE), 0);
	assert_int_equal(nvio_mem_register(env, q->cq, (q->cq_size * 16 / RAW_PAGE + 1) * RAW_PAGE), 0);
}

static void queue_unregister(struct raw_queue *q)
{
	if (!q->sq)
		return;
	assert_int_equal(nvio_mem_unregister(env, q->sq, (q->sq_size * 64 / RAW_PAGE + 1) * RAW_PAGE), 0);
	assert_int_equal(nvio_mem_unregister(env, q->cq, (q->cq_size * 16 / RAW_PAGE + 1) * RAW_PAGE), 0);
}

static void enable(struct raw *r)
{
	raw_init(r, env, "ram:4M?iommu=1");
	raw_queue_make(&r->admin, 0, 32, 32);
	queue_register(&r->admin);
	raw_w32(r, NVIO_REG_AQA, nvio_aqa_build(31, 31));
	raw_w64(r, NVIO_REG_ASQ, (uintptr_t)dev(r->admin.sq));
	raw_w64(r, NVIO_REG_ACQ, (uintptr_t)dev(r->admin.cq));
	raw_w32(r, NVIO_REG_CC, RAW_CC_ENABLE);
	assert_true(raw_csts_becomes(r, 3, 1));
}

/* The Create commands with the addresses that the queue has for the drive. */
static struct nvio_sqe create(const struct raw_queue *q, bool cq, bool by_device_address)
{
	struct raw_queue at = *q;

	if (by_device_address) {
		at.sq = dev(q->sq);
		at.cq = dev(q->cq);
	}
	return cq ? raw_create_cq(&at, NVIO_CREATE_PC, 0) : raw_create_sq(&at, 1);
}

static void open_all(struct raw *r)
{
	enable(r);
	raw_queue_make(&r->io, 1, 64, 64);
	queue_register(&r->io);
	assert_int_equal(raw_do(r, &r->admin, create(&r->io, true, true), NULL), 0);
	assert_int_equal(raw_do(r, &r->admin, create(&r->io, false, true), NULL), 0);
}

static void close_all(struct raw *r)
{
	queue_unregister(&r->io);
	queue_unregister(&r->admin);
	raw_close(r);
}

static uint64_t faults(struct raw *r)
{
	struct nvio_drive_stats s;

	nvio_drive_get_stats(r->drive, &s);
	return s.dma_faults;
}

static void data_is_reached_by_device_addresses_only(void **state)
{
	struct raw r;
	uint8_t *there;

	open_all(&r);
	there = nvio_mem_alloc(env, 2 * RAW_PAGE, 0);
	memset(there, 0x5a, RAW_PAGE);
	assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_WRITE, dev(there), 0, 8), NULL), 0);
	assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_READ, (uint8_t *)dev(there) + RAW_PAGE, 0, 8), NULL), 0);
	assert_memory_equal(there, there + RAW_PAGE, RAW_PAGE);
	assert_int_equal(faults(&r), 0);
	assert_int_equal(warnings, 0);

	/* The virtual address of that very memory, and of other memory of the process; for data to either side, and admin data. */
	assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_READ, there, 0, 1), NULL), RAW_GENERIC(DATA_TRANSFER_ERROR));
	assert_int_equal(faults(&r), 1);
	assert_int_equal(warnings, 1);
	assert_non_null(strstr(first_warning, "DMA fault: write of 512 bytes at device address"));
	assert_non_null(strstr(first_warning, "nvio_mem_register"));
	assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_WRITE, r.buf, 0, 1), NULL), RAW_GENERIC(DATA_TRANSFER_ERROR));
	assert_int_equal(raw_identify(&r, NVIO_CNS_CTRLR, 0, 0, r.buf), RAW_GENERIC(DATA_TRANSFER_ERROR));
	assert_int_equal(faults(&r), 3);
	assert_int_equal(warnings, 1); /* said once */
	assert_memory_equal(there, there + RAW_PAGE, RAW_PAGE);

	/* The drive goes on. */
	assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_READ, dev(there), 0, 8), NULL), 0);
	assert_int_equal(nvio_mem_free(env, there), 0);
	close_all(&r);
}

static void each_address_of_a_list_counts(void **state)
{
	enum { GOOD, SECOND, LIST, ENTRY };
	struct raw r;
	uint8_t *data;
	nvio_le64 *list;

	open_all(&r);
	data = nvio_mem_alloc(env, 8 * RAW_PAGE, RAW_PAGE);
	list = nvio_mem_alloc(env, RAW_PAGE, RAW_PAGE);
	for (int wrong = GOOD; wrong <= ENTRY; wrong++) {
		uint64_t before = faults(&r);
		struct nvio_sqe s = raw_rw(NVIO_NVM_READ, dev(data), 0, 8);

		if (wrong == SECOND) {
			s = raw_rw(NVIO_NVM_READ, (uint8_t *)dev(data) + 512, 0, 8);
			s.prp2 = nvio_to_le64((uintptr_t)data);
		} else {
			s = raw_rw(NVIO_NVM_READ, dev(data), 0, 64);
			raw_prps(&s, dev(data), 64 * 512, list);
			s.prp2 = nvio_to_le64((uintptr_t)(wrong == LIST ? (void *)list : dev(list)));
			if (wrong == ENTRY)
				list[5] = nvio_to_le64((uintptr_t)data);
		}
		assert_int_equal(raw_do(&r, &r.io, s, NULL), wrong ? RAW_GENERIC(DATA_TRANSFER_ERROR) : 0);
		assert_int_equal(faults(&r) - before, wrong != GOOD);
	}
	assert_int_equal(nvio_mem_free(env, data), 0);
	assert_int_equal(nvio_mem_free(env, list), 0);
	close_all(&r);
}

static void what_is_unregistered_is_out_of_reach(void **state)
{
	void *page = raw_pages(1), *at;
	struct raw r;

	open_all(&r);
	for (int i = 0; i < 3; i++) {
		uint64_t before = faults(&r);

		assert_int_equal(nvio_mem_register(env, page, RAW_PAGE), 0);
		at = dev(page);
		assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_READ, at, 0, 8), NULL), 0);
		assert_int_equal(nvio_mem_unregister(env, page, RAW_PAGE), 0);
		assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_READ, at, 0, 8), NULL), RAW_GENERIC(DATA_TRANSFER_ERROR));
		assert_int_equal(faults(&r) - before, 1);
	}
	free(page);
	close_all(&r);
}

static void queues_must_be_reachable_too(void **state)
{
	struct raw r;

	enable(&r);
	raw_queue_make(&r.io, 1, 64, 64);
	queue_register(&r.io);
	assert_int_equal(raw_do(&r, &r.admin, create(&r.io, true, false), NULL), RAW_GENERIC(INVALID_FIELD));
	assert_int_equal(raw_do(&r, &r.admin, create(&r.io, true, true), NULL), 0);
	assert_int_equal(raw_do(&r, &r.admin, create(&r.io, false, false), NULL), RAW_GENERIC(INVALID_FIELD));
	assert_int_equal(faults(&r), 2);
	/* An admin queue that is not: the controller does not start. */
	raw_w32(&r, NVIO_REG_CC, 0);
	assert_true(raw_csts_becomes(&r, 1, 0));
	raw_w64(&r, NVIO_REG_ACQ, (uintptr_t)r.admin.cq);
	raw_w32(&r, NVIO_REG_CC, RAW_CC_ENABLE);
	assert_true(raw_csts_becomes(&r, 2, 2));
	assert_true(faults(&r) > 2);
	close_all(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(data_is_reached_by_device_addresses_only, setup, teardown),
		cmocka_unit_test_setup_teardown(each_address_of_a_list_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_unregistered_is_out_of_reach, setup, teardown),
		cmocka_unit_test_setup_teardown(queues_must_be_reachable_too, setup, teardown),
	};

	return cmocka_run_group_tests_name("target_iommu", tests, NULL, NULL);
}
