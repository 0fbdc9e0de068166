/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The transport to a PCI function, on a synthetic bus: taking it, starting it, I/O, giving it back (H1, H2, H3, H6, H7). What becomes of
 * one that goes is in pcie_gone.c, interrupts are in pcie_sleep.c.
 */
#include "tests/unit/host/pcie_fixture.h"

#include "base/alloc.h"
#include <nvio/drive.h>

/* ---- taking and giving back ---- */

static void it_is_connected_identified_and_given_back(void **state)
{
	for (unsigned round = 1; round <= 3; round++) {
		memcpy(f.b.id.sn, "foo                 ", sizeof(f.b.id.sn));
		pcie_connect_all(NULL);
		assert_string_equal(nvio_ctrlr_state(f.c), "ready");
		assert_memory_equal(nvio_ctrlr_id(f.c)->sn, "foo  ", 5);
		assert_true(synth_is_bus_master(&dev.synth));
		assert_true(synth_config_get(&dev.synth, PCI_CFG_COMMAND, 2) & PCI_CMD_MEMORY);
		assert_int_equal(fix_read(), 0);
		pcie_disconnect();
		assert_false(synth_is_bus_master(&dev.synth));
		assert_int_equal(dev.synth.counts.opens, round);
		assert_int_equal(dev.synth.counts.closes, round);
		assert_int_equal(dev.synth.counts.resets, round);
		assert_false(nvio_cc_en(dev.cc));
	}
	assert_int_equal(dev.strays, 0);
}

/* H1 */
static void only_an_nvme_controller_is_taken_for_one(void **state)
{
	static const struct {
		uint32_t class_code;
		int rc;
	} cases[] = { { 0x010802, 0 }, { 0x010803, -ENODEV }, { 0x010801, -ENODEV }, { 0x010601, -ENODEV }, { 0x020802, -ENODEV }, { 0, -ENODEV } };

	for (int can_be_reset = 0; can_be_reset < 2; can_be_reset++) {
		dev.synth.has_reset = can_be_reset;
		for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
			synth_config_set(&dev.synth, PCI_CFG_CLASS, 2, cases[i].class_code & 0xffff);
			synth_config_set(&dev.synth, PCI_CFG_CLASS + 2, 1, cases[i].class_code >> 16);
			assert_int_equal(pcie_connect(NULL), cases[i].rc);
			if (cases[i].rc)
				assert_errmsg("not an NVMe controller");
			pcie_disconnect();
			assert_int_equal(dev.synth.counts.opens, dev.synth.counts.closes);
		}
	}
	assert_int_equal(dev.mastered, 2);
}

/* H2 */
static void a_bar_that_is_too_small_is_told_apart(void **state)
{
	static const struct {
		size_t len;
		int rc;
		const char *words;
	} cases[] = {
		{ 0, -ENODEV, "BAR 0" },
		{ 4, -ENODEV, "lspci" },
		{ 0x1000, -ENODEV, "lspci" },
		{ 0x1004, -ENODEV, "lspci" },
		{ 0x1008, 0, NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		dev.synth.bars[0].base = cases[i].len ? dev.bar : NULL;
		dev.synth.bars[0].len = cases[i].len;
		assert_int_equal(pcie_connect(NULL), cases[i].rc);
		if (cases[i].rc)
			assert_errmsg(cases[i].words);
		pcie_disconnect();
		assert_int_equal(dev.synth.counts.opens, dev.synth.counts.closes);
	}
}

static void a_queue_whose_doorbells_are_outside_is_refused(void **state)
{
	struct nvio_qpair *second = NULL;

	for (size_t words = 5; words <= 6; words++) {
		dev.synth.bars[0].len = NVIO_REG_DOORBELL + words * 4;
		pcie_connect_all(NULL);
		assert_int_equal(nvio_qpair_alloc(f.c, NULL, &second), words < 6 ? -ENODEV : 0);
		if (words < 6)
			assert_errmsg("use fewer queue pairs");
		assert_int_equal(fix_read(), 0);
		nvio_qpair_free(second);
		second = NULL;
		pcie_disconnect();
		/* Not even the first one. */
		dev.synth.bars[0].len = NVIO_REG_DOORBELL + 3 * 4;
		assert_int_equal(pcie_connect(NULL), 0);
		assert_int_equal(nvio_qpair_alloc(f.c, NULL, &second), -ENODEV);
		assert_errmsg("queue pair 1 has no doorbell");
		pcie_disconnect();
	}
}

static void a_function_has_one_user(void **state)
{
	struct nvio_ctrlr *c;
	struct nvio_env *other;

	pcie_connect_all(NULL);
	assert_int_equal(nvio_connect(f.env, BDF, NULL, &c), -EBUSY);
	assert_errmsg("taken already");
	/* Nor two environments: the bus is the same. */
	assert_int_equal(nvio_env_open(NULL, &other), 0);
	synth_remove(f.env, &dev.synth);
	synth_add(other, &dev.synth);
	assert_int_equal(nvio_connect(other, BDF, NULL, &c), -EBUSY);
	assert_errmsg("taken already");
	synth_remove(other, &dev.synth);
	synth_add(f.env, &dev.synth);
	nvio_env_close(other);
	assert_int_equal(fix_read(), 0);
}

static void a_failure_while_it_is_taken_leaves_it_free(void **state)
{
	for (long n = 0, left = -1; left < 0; n++) {
		int rc;

		alloc_fail_after(n);
		rc = pcie_connect(NULL);
		left = alloc_fail_after(-1);
		if (left < 0)
			assert_int_equal(rc, -ENOMEM);
		else
			assert_int_equal(rc, 0);
		pcie_disconnect();
		assert_int_equal(dev.synth.counts.opens, dev.synth.counts.closes);
	}
	dev.synth.faults.bar = -EIO;
	assert_int_equal(pcie_connect(NULL), -EIO);
	assert_errmsg("planted");
	dev.synth.faults.open = -EACCES;
	assert_int_equal(pcie_connect(NULL), -EACCES);
	assert_int_equal(dev.synth.counts.opens, dev.synth.counts.closes);
}

/* ---- starting ---- */

/* H3, and what its last driver left: enabled, with queues somewhere in memory that is ours now. */
static void bus_mastering_waits_until_it_has_stopped(void **state)
{
	dev.bar[NVIO_REG_AQA / 4] = 0x1f001f;
	dev.bar[NVIO_REG_ASQ / 4] = (uint32_t)(uintptr_t)f.buf;
	dev.bar[NVIO_REG_ASQ / 4 + 1] = (uint32_t)((uintptr_t)f.buf >> 32);
	dev.bar[NVIO_REG_ACQ / 4] = dev.bar[NVIO_REG_ASQ / 4] + 4096;
	dev.bar[NVIO_REG_ACQ / 4 + 1] = dev.bar[NVIO_REG_ASQ / 4 + 1];
	dev.bar[NVIO_REG_CC / 4] = 0x460001;
	synth_nvme_move(&dev);
	assert_true(nvio_csts_rdy(dev.bar[NVIO_REG_CSTS / 4]));
	dev.enabled_blind = 0; /* the last driver's */
	f.b.write_count = 0;
	pcie_connect_all(NULL);
	assert_int_equal(f.b.resets, 1);
	assert_int_equal(dev.mastered, 1);
	assert_int_equal(dev.mastered_running, 0);
	/* The order in which the controller saw it: stopped, then its queues, then CC.EN. */
	assert_int_equal(f.b.writes[0].offset, NVIO_REG_CC);
	assert_false(nvio_cc_en((uint32_t)f.b.writes[0].value));
	assert_int_equal(f.b.writes[1].offset, NVIO_REG_AQA);
	assert_int_equal(f.b.writes[2].offset, NVIO_REG_ASQ);
	assert_int_equal(f.b.writes[3].offset, NVIO_REG_ACQ);
	assert_int_equal(f.b.writes[4].offset, NVIO_REG_CC);
	assert_true(nvio_cc_en((uint32_t)f.b.writes[4].value));
	assert_int_equal(fix_read(), 0);
}

static void bus_mastering_is_on_before_it_is_enabled_anew(void **state)
{
	struct fix_op o;

	pcie_connect_all(NULL);
	for (unsigned i = 1; i <= 3; i++) {
		fix_op_init(&o);
		assert_int_equal(nvio_ctrlr_reset(f.c, &o.op), 0);
		while (!o.done)
			fix_run(1, MS);
		assert_int_equal(o.status, 0);
		assert_int_equal(fix_read(), 0);
	}
	assert_int_equal(f.b.resets, 3);
	assert_int_equal(dev.strays, 0);
}

/* ---- I/O ---- */

/* H6, H7: the bare controller follows ring and phase as the specification has them. */
static void every_command_is_answered_over_many_wraps(void **state)
{
	struct nvio_qpair_opts opts;
	struct fix_op o[5];
	uint64_t commands;

	pcie_connect_all(NULL);
	nvio_qpair_free(f.qp);
	nvio_qpair_opts_init(&opts);
	opts.io_queue_size = 4;
	assert_int_equal(nvio_qpair_alloc(f.c, &opts, &f.qp), 0);
	commands = f.b.commands;
	for (unsigned round = 0; round < 200; round++) {
		unsigned n = 1 + round % 5;

		for (unsigned i = 0; i < n; i++) {
			fix_op_init(&o[i]);
			assert_int_equal(nvio_ns_read(f.ns, f.qp, f.buf + i * 4096, i, 1 + i * 4, &o[i].op), 0);
		}
		for (unsigned i = 0; i < 50 && nvio_qpair_in_flight(f.qp); i++)
			fix_run(1, 0);
		fix_run(4, 0);
		for (unsigned i = 0; i < n; i++) {
			assert_int_equal(o[i].done, 1);
			assert_int_equal(o[i].status, 0);
		}
	}
	assert_int_equal(f.b.commands - commands, 200 / 5 * (1 + 2 + 3 + 4 + 5));
}

static void queues_have_doorbells_of_their_own(void **state)
{
	struct nvio_qpair *q[SYNTH_NVME_QUEUES - 1];
	struct fix_op o[ARRAY_SIZE(q)];

	pcie_connect_all(NULL);
	nvio_qpair_free(f.qp);
	f.qp = NULL;
	for (unsigned turn = 0; turn < 3; turn++) {
		f.hold_io = true;
		f.held_count = 0;
		for (unsigned i = 0; i < ARRAY_SIZE(q); i++)
			assert_int_equal(nvio_qpair_alloc(f.c, NULL, &q[i]), 0);
		for (unsigned i = 0; i < ARRAY_SIZE(q); i++) {
			fix_op_init(&o[i]);
			assert_int_equal(nvio_ns_write(f.ns, q[i], f.buf, 0, 1, &o[i].op), 0);
			nvio_qpair_poll(q[i], 0);
			assert_int_equal(f.held_count, i + 1);
			assert_int_equal(f.held[i].qid, nvio_qpair_id(q[i]));
		}
		/* Answered in the other order. */
		for (unsigned i = ARRAY_SIZE(q); i-- > 0;) {
			fix_answer(i, 0);
			nvio_qpair_poll(q[i], 0);
			for (unsigned k = 0; k < ARRAY_SIZE(q); k++)
				assert_int_equal(o[k].done, k >= i);
		}
		for (unsigned i = 0; i < ARRAY_SIZE(q); i++)
			nvio_qpair_free(q[i]);
	}
	assert_int_equal(dev.strays, 0);
}

/* ---- a controller with a disk ---- */

/* Data moves, and none of it through anything that was not mapped. */
static void a_drive_keeps_what_is_written(void **state)
{
	static const char *const forms[] = { "ram:8M", "ram:8M?iommu=1" };

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		struct nvio_op op = NVIO_OP(NULL);
		struct nvio_drive_stats s;
		struct nvio_drive *drive;
		uint8_t *mem = f.buf;

		pcie_unplug();
		assert_int_equal(nvio_drive_open_str(f.env, forms[i], &drive), 0);
		synth_nvme_open(&dev, f.env, BDF, forms[i]);
		f.tick = pcie_tick;
		pcie_connect_all(NULL);
		for (uint32_t n = 1; n <= 2048; n = n * 3 + 1) {
			uint32_t len = n * 512;

			for (uint32_t k = 0; k < len; k++)
				mem[k + 4] = (uint8_t)(k * 7 + k / 251 + n);
			memset(mem + (4 << 20), 0, len);
			assert_int_equal(nvio_await(nvio_ns_write(f.ns, f.qp, mem + 4, 5, n, &op), &op), 0);
			assert_int_equal(nvio_await(nvio_ns_read(f.ns, f.qp, mem + (4 << 20), 5, n, &op), &op), 0);
			assert_memory_equal(mem + 4, mem + (4 << 20), len);
		}
		pcie_disconnect();
		nvio_drive_get_stats(drive, &s);
		assert_int_equal(s.dma_faults, 0);
		pcie_unplug();
		nvio_drive_close(drive);
		pcie_plug();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PCIE_TEST(it_is_connected_identified_and_given_back),
		PCIE_TEST(only_an_nvme_controller_is_taken_for_one),
		PCIE_TEST(a_bar_that_is_too_small_is_told_apart),
		PCIE_TEST(a_queue_whose_doorbells_are_outside_is_refused),
		PCIE_TEST(a_function_has_one_user),
		PCIE_TEST(a_failure_while_it_is_taken_leaves_it_free),
		PCIE_TEST(bus_mastering_waits_until_it_has_stopped),
		PCIE_TEST(bus_mastering_is_on_before_it_is_enabled_anew),
		PCIE_TEST(every_command_is_answered_over_many_wraps),
		PCIE_TEST(queues_have_doorbells_of_their_own),
		PCIE_TEST(a_drive_keeps_what_is_written),
	};

	return cmocka_run_group_tests_name("host_pcie", tests, NULL, NULL);
}
