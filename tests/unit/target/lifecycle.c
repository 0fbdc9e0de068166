/* SPDX-License-Identifier: BSD-3-Clause */
/* Registers: the handshake, reset, shutdown, removal, and register writes that no good host would do. */
#include "raw.h"

#include "target/loop/drive.h"

#define RDY 1u
#define CFS 2u
#define SHST_MASK 0xcu

static void registers_tell_what_the_options_say(void **state)
{
	struct raw r;
	uint64_t cap;

	raw_init(&r, raw_env, "ram:1M?entries=100&stride=3");
	cap = loop_reg_read64(r.port, NVIO_REG_CAP);
	assert_int_equal(nvio_cap_mqes(cap), 99);
	assert_int_equal(nvio_cap_dstrd(cap), 3);
	assert_int_equal(nvio_cap_cqr(cap), 1);
	assert_int_equal(nvio_cap_to(cap), 1);
	assert_int_equal(nvio_cap_css(cap), NVIO_CAP_CSS_NVM);
	assert_int_equal(nvio_cap_mpsmin(cap), 0);
	assert_int_equal(nvio_cap_mpsmax(cap), 0);
	assert_int_equal(raw_r32(&r, NVIO_REG_VS), nvio_vs(2, 0, 0));
	assert_int_equal(nvio_crto_crwmt(raw_r32(&r, NVIO_REG_CRTO)), 1);
	assert_int_equal(raw_csts(&r), 0);
	assert_int_equal(raw_r32(&r, NVIO_REG_CC), 0);
	raw_close(&r);
}

static void what_is_wrong_before_enable_is_fatal_and_a_reset_heals_it(void **state)
{
	static const struct {
		const char *what;
		uint32_t cc;
		uint32_t aqa;
		uint64_t asq_off, acq_off; /* added to good addresses */
		bool nowhere;
		uint32_t want;
	} cases[] = {
		{ "all is well", RAW_CC_ENABLE, 0x001f001f, 0, 0, false, RDY },
		{ "entry sizes may come later", 1, 0x001f001f, 0, 0, false, RDY },
		{ "two entries are enough", RAW_CC_ENABLE, 0x00010001, 0, 0, false, RDY },
		{ "a page size that is not offered", RAW_CC_ENABLE | 1 << 7, 0x001f001f, 0, 0, false, CFS },
		{ "a command set that is not offered", RAW_CC_ENABLE | 6 << 4, 0x001f001f, 0, 0, false, CFS },
		{ "an arbitration that is not offered", RAW_CC_ENABLE | 1 << 11, 0x001f001f, 0, 0, false, CFS },
		{ "a wrong IOSQES", 1 | 7 << 16 | 4 << 20, 0x001f001f, 0, 0, false, CFS },
		{ "a wrong IOCQES", 1 | 6 << 16 | 5 << 20, 0x001f001f, 0, 0, false, CFS },
		{ "a submission queue of one", RAW_CC_ENABLE, 0x001f0000, 0, 0, false, CFS },
		{ "a completion queue of one", RAW_CC_ENABLE, 0x0000001f, 0, 0, false, CFS },
		{ "ASQ not aligned", RAW_CC_ENABLE, 0x001f001f, 64, 0, false, CFS },
		{ "ACQ not aligned", RAW_CC_ENABLE, 0x001f001f, 0, 16, false, CFS },
		{ "ASQ and ACQ at 0", RAW_CC_ENABLE, 0x001f001f, 0, 0, true, CFS },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct raw r;

		raw_init(&r, raw_env, "ram:1M");
		raw_write_admin(&r, 32, 32);
		raw_w32(&r, NVIO_REG_AQA, cases[i].aqa);
		if (cases[i].nowhere) {
			raw_w64(&r, NVIO_REG_ASQ, 0);
			raw_w64(&r, NVIO_REG_ACQ, 0);
		} else {
			raw_w64(&r, NVIO_REG_ASQ, (uintptr_t)r.admin.sq + cases[i].asq_off);
			raw_w64(&r, NVIO_REG_ACQ, (uintptr_t)r.admin.cq + cases[i].acq_off);
		}
		raw_w32(&r, NVIO_REG_CC, cases[i].cc);
		if (!raw_csts_becomes(&r, 3, cases[i].want))
			fail_msg("%s: CSTS 0x%x", cases[i].what, raw_csts(&r));
		raw_w32(&r, NVIO_REG_CC, 0);
		if (!raw_csts_becomes(&r, UINT32_MAX, 0))
			fail_msg("%s: after reset CSTS 0x%x", cases[i].what, raw_csts(&r));
		raw_enable(&r);
		raw_close(&r);
	}
}

static void a_reset_forgets_queues_and_features_and_keeps_data(void **state)
{
	struct raw r;
	uint32_t v;

	raw_open(&r, raw_env, "ram:1M");
	memset(r.buf, 0x5a, 512);
	assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_WRITE, r.buf, 7, 1), NULL), 0);
	assert_int_equal(raw_set_feature(&r, NVIO_FID_WRITE_ATOMICITY, 1, NULL), 0);
	raw_w32(&r, NVIO_REG_CC, RAW_CC_ENABLE & ~1u);
	assert_true(raw_csts_becomes(&r, RDY, 0));
	raw_enable(&r);
	assert_int_equal(raw_get_feature(&r, NVIO_FID_WRITE_ATOMICITY, 0, 0, &v), 0);
	assert_int_equal(v, 0);
	/* The old queue 1 is gone, so it can be made again. */
	raw_create_io(&r, 16, 16);
	memset(r.buf, 0, 512);
	assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_READ, r.buf, 7, 1), NULL), 0);
	assert_int_equal(r.buf[0], 0x5a);
	assert_int_equal(r.buf[511], 0x5a);
	raw_close(&r);
}

static void shutdown_is_told_and_ends_commands(void **state)
{
	static const uint32_t shns[] = { NVIO_CC_SHN_NORMAL, NVIO_CC_SHN_ABRUPT };

	for (size_t i = 0; i < ARRAY_SIZE(shns); i++) {
		struct raw r;

		raw_open(&r, raw_env, "ram:1M?vwc=1");
		raw_w32(&r, NVIO_REG_CC, nvio_cc_with_shn(RAW_CC_ENABLE, shns[i]));
		assert_true(raw_csts_becomes(&r, SHST_MASK, NVIO_CSTS_SHST_COMPLETE << 2));
		assert_int_equal(raw_csts(&r) & RDY, RDY);
		raw_put(&r, &r.io, raw_rw(NVIO_NVM_READ, r.buf, 0, 1));
		raw_ring(&r, &r.io);
		raw_expect_quiet(&r, &r.io);
		raw_w32(&r, NVIO_REG_CC, 0);
		assert_true(raw_csts_becomes(&r, UINT32_MAX, 0));
		raw_enable(&r);
		raw_create_io(&r, 16, 16);
		assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_READ, r.buf, 0, 1), NULL), 0);
		raw_close(&r);
	}
}

static void shutdown_and_disable_in_one_write(void **state)
{
	struct raw r;

	raw_open(&r, raw_env, "ram:1M");
	raw_w32(&r, NVIO_REG_CC, nvio_cc_with_shn(RAW_CC_ENABLE & ~1u, NVIO_CC_SHN_NORMAL));
	assert_true(raw_csts_becomes(&r, SHST_MASK | RDY, NVIO_CSTS_SHST_COMPLETE << 2));
	raw_enable(&r);
	assert_int_equal(raw_csts(&r) & SHST_MASK, 0);
	raw_close(&r);
}

static void shutdown_of_a_controller_that_never_ran(void **state)
{
	struct raw r;

	raw_init(&r, raw_env, "ram:1M");
	raw_w32(&r, NVIO_REG_CC, NVIO_CC_SHN_NORMAL << 14);
	assert_true(raw_csts_becomes(&r, SHST_MASK | RDY, NVIO_CSTS_SHST_COMPLETE << 2));
	raw_enable(&r);
	raw_close(&r);
}

static void subsystem_reset_says_that_it_was(void **state)
{
	struct raw r;

	raw_open(&r, raw_env, "ram:1M");
	raw_w32(&r, NVIO_REG_NSSR, 0x12345678); /* not the word */
	raw_kicks(&r, 10);
	assert_int_equal(raw_csts(&r), RDY);
	raw_w32(&r, NVIO_REG_NSSR, NVIO_NSSR_RESET);
	assert_true(raw_csts_becomes(&r, UINT32_MAX, 1u << 4));
	assert_int_equal(raw_r32(&r, NVIO_REG_CC), 0);
	assert_int_equal(raw_r32(&r, NVIO_REG_AQA), 0);
	raw_enable(&r);
	assert_int_equal(nvio_csts_nssro(raw_csts(&r)), 1);
	raw_w32(&r, NVIO_REG_CSTS, 1u << 4);
	assert_true(raw_csts_becomes(&r, UINT32_MAX, RDY));
	raw_close(&r);
}

static void a_host_that_leaves_resets_the_controller(void **state)
{
	struct raw r;

	raw_open(&r, raw_env, "ram:1M");
	loop_detach(r.port);
	raw_attach(&r);
	assert_true(raw_csts_becomes(&r, UINT32_MAX, 0));
	assert_int_equal(raw_r32(&r, NVIO_REG_CC), 0);
	raw_enable(&r);
	raw_create_io(&r, 8, 8);
	assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_READ, r.buf, 0, 1), NULL), 0);
	raw_close(&r);
}

/* The drive is moved for a while, and must leave the buffer alone. */
static void expect_untouched(struct raw *r, size_t len)
{
	uint64_t end;

	memset(r->buf, 0xaa, len);
	end = clock_monotonic_ns() + 60 * NS_PER_MS;
	while (clock_monotonic_ns() < end) {
		nvio_drive_poll(r->drive);
		sleep_ns(100000);
	}
	for (size_t i = 0; i < len; i++)
		assert_int_equal(r->buf[i], 0xaa);
}

static void wait_struck(struct raw *r)
{
	struct nvio_drive_stats st;

	do {
		raw_kick(r);
		nvio_drive_get_stats(r->drive, &st);
	} while (!st.faults);
}

static void a_host_that_has_left_has_its_memory_to_itself(void **state)
{
	static const struct {
		const char *form;
		bool delayed;
	} cases[] = {
		{ "ram:4M?fault=delay:opcode=2:us=30000:count=1", true },
		{ "ram:4M?poll=thread&fault=delay:opcode=2:us=30000:count=1", true },
		{ "ram:4M", false },
		{ "ram:4M?poll=thread", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct raw r;

		raw_open(&r, raw_env, cases[i].form);
		for (uint32_t n = 0; n < 32; n++)
			raw_put(&r, &r.io, raw_rw(NVIO_NVM_READ, r.buf + n * RAW_PAGE, 0, 8));
		raw_ring(&r, &r.io);
		if (cases[i].delayed)
			wait_struck(&r);
		loop_detach(r.port);
		expect_untouched(&r, 32 * RAW_PAGE);
		raw_attach(&r);
		assert_int_equal(raw_csts(&r), 0);
		raw_enable(&r);
		raw_create_io(&r, 8, 8);
		assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_READ, r.buf, 0, 1), NULL), 0);
		assert_int_equal(r.buf[0], 0);
		raw_close(&r);
	}
}

static void a_delay_that_is_over_executes_nothing_for_a_host_that_leaves(void **state)
{
	struct raw r;

	raw_open(&r, raw_env, "ram:1M?fault=delay:opcode=2:us=2000:count=1");
	raw_put(&r, &r.io, raw_rw(NVIO_NVM_READ, r.buf, 0, 8));
	raw_ring(&r, &r.io);
	raw_kick(&r);
	memset(r.buf, 0xaa, RAW_PAGE);
	sleep_ns(10 * NS_PER_MS);
	/* The timer is due, and runs before the note is looked at. */
	loop_detach(r.port);
	for (uint32_t i = 0; i < RAW_PAGE; i++)
		assert_int_equal(r.buf[i], 0xaa);
	raw_attach(&r);
	raw_close(&r);
}

static void a_delay_that_is_over_executes_nothing_in_a_fatal_state(void **state)
{
	struct raw r;

	raw_open(&r, raw_env, "ram:1M?fault=delay:opcode=2:us=20000:count=1");
	raw_fault(&r, "fatal:opcode=0:count=1");
	raw_put(&r, &r.io, raw_rw(NVIO_NVM_READ, r.buf, 0, 8));
	raw_put(&r, &r.io, raw_cmd(NVIO_NVM_FLUSH, 1, NULL));
	raw_ring(&r, &r.io);
	assert_true(raw_csts_becomes(&r, CFS, CFS));
	expect_untouched(&r, RAW_PAGE);
	raw_w32(&r, NVIO_REG_CC, 0);
	assert_true(raw_csts_becomes(&r, UINT32_MAX, 0));
	raw_close(&r);
}

static void the_next_hosts_first_writes_are_not_lost(void **state)
{
	struct raw r;

	raw_open(&r, raw_env, "ram:1M");
	loop_detach(r.port);
	raw_attach(&r);
	raw_write_admin(&r, 32, 32);
	raw_w32(&r, NVIO_REG_CC, RAW_CC_ENABLE);
	raw_kick(&r);
	assert_int_equal(raw_csts(&r), RDY);
	assert_int_equal(raw_r32(&r, NVIO_REG_AQA), 0x001f001f);
	raw_close(&r);
}

static struct memq *leaves;

/* CC.EN, taken out of the queue at the moment when the host leaves. */
static bool last_write(void *ctx, struct memq_reg_write *w)
{
	if (!leaves)
		return tgt_loop_port_ops.reg_next(ctx, w);
	memq_leave(leaves);
	leaves = NULL;
	*w = (struct memq_reg_write){ NVIO_REG_CC, 4, RAW_CC_ENABLE };
	return true;
}

static void a_write_taken_while_its_host_leaves_starts_nothing(void **state)
{
	struct memq_port_ops ops = tgt_loop_port_ops;
	struct raw r;

	ops.reg_next = last_write;
	raw_init(&r, raw_env, "ram:1M");
	raw_write_admin(&r, 32, 32);
	raw_kick(&r);
	r.drive->memq.port = &ops;
	leaves = &r.drive->memq;
	raw_kick(&r);
	assert_null(leaves);
	assert_int_equal(raw_csts(&r), 0);
	assert_false(memq_has_left(&r.drive->memq));
	raw_kick(&r);
	assert_true(memq_has_left(&r.drive->memq));
	assert_int_equal(raw_csts(&r), 0);
	assert_int_equal(raw_r32(&r, NVIO_REG_CC), 0);
	raw_enable(&r);
	raw_close(&r);
}

static void a_reset_waits_for_the_block_device(void **state)
{
	struct raw r;

	raw_open(&r, raw_env, "ram:4M");
	/* The doorbell and the reset come in the same poll: whatever was fetched must be over when RDY reads 0. */
	for (int i = 0; i < 32; i++)
		raw_put(&r, &r.io, raw_rw(NVIO_NVM_READ, r.buf + i * RAW_PAGE, 0, 8));
	raw_ring(&r, &r.io);
	raw_kick(&r);
	raw_w32(&r, NVIO_REG_CC, 0);
	assert_true(raw_csts_becomes(&r, RDY, 0));
	memset(r.buf, 0xee, 32 * RAW_PAGE);
	raw_kicks(&r, 100);
	for (uint32_t i = 0; i < 32 * RAW_PAGE; i++)
		assert_int_equal(r.buf[i], 0xee);
	raw_close(&r);
}

static void register_writes_are_kept_in_order(void **state)
{
	struct nvio_drive_opts o;
	struct nvio_drive_ns_opts ns = { .backing = NVIO_DRIVE_RAM, .bytes = 1 << 20 };
	struct nvio_register_write w[8];
	struct nvio_drive_stats st;
	struct raw r = { .env = raw_env, .buf = raw_pages(RAW_BUF_PAGES) };

	nvio_drive_opts_init(&o);
	o.name = "recorded";
	o.num_ns = 1;
	o.ns = &ns;
	o.record_registers = true;
	assert_int_equal(nvio_drive_open(raw_env, &o, &r.drive), 0);
	raw_attach(&r);
	raw_enable(&r);
	assert_int_equal(nvio_drive_register_writes(r.drive, w, ARRAY_SIZE(w)), 4);
	assert_int_equal(w[0].offset, NVIO_REG_AQA);
	assert_int_equal(w[0].width, 4);
	assert_int_equal(w[0].value, 0x001f001f);
	assert_int_equal(w[1].offset, NVIO_REG_ASQ);
	assert_int_equal(w[1].width, 8);
	assert_true(w[1].value == (uintptr_t)r.admin.sq);
	assert_int_equal(w[2].offset, NVIO_REG_ACQ);
	assert_int_equal(w[3].offset, NVIO_REG_CC);
	assert_int_equal(w[3].value, RAW_CC_ENABLE);
	assert_int_equal(nvio_drive_register_writes(r.drive, NULL, 0), 4);
	raw_create_io(&r, 64, 64);
	nvio_drive_get_stats(r.drive, &st);
	assert_int_equal(st.sq_doorbells, 2);
	assert_int_equal(st.admin_commands, 2);
	/* Ten commands, one doorbell. */
	for (int i = 0; i < 10; i++)
		raw_put(&r, &r.io, raw_rw(NVIO_NVM_READ, r.buf, 0, 1));
	raw_ring(&r, &r.io);
	raw_kicks(&r, 5);
	nvio_drive_get_stats(r.drive, &st);
	assert_int_equal(st.sq_doorbells, 3);
	assert_int_equal(st.io_commands, 10);
	assert_int_equal(st.bad_doorbells, 0);
	assert_true(st.doorbell_writes >= st.sq_doorbells);
	raw_close(&r);
}

static void halves_of_a_64_bit_register_may_be_written_one_by_one(void **state)
{
	struct raw r;

	raw_init(&r, raw_env, "ram:1M");
	raw_write_admin(&r, 4, 4);
	raw_w64(&r, NVIO_REG_ASQ, 0);
	raw_w32(&r, NVIO_REG_ASQ + 4, (uint32_t)((uintptr_t)r.admin.sq >> 32));
	raw_w32(&r, NVIO_REG_ASQ, (uint32_t)(uintptr_t)r.admin.sq);
	raw_w32(&r, NVIO_REG_CC, RAW_CC_ENABLE);
	assert_true(raw_csts_becomes(&r, 3, RDY));
	assert_true(loop_reg_read64(r.port, NVIO_REG_ASQ) == (uintptr_t)r.admin.sq);
	assert_int_equal(raw_identify(&r, NVIO_CNS_CTRLR, 0, 0, r.buf), 0);
	raw_close(&r);
}

static void hostile_register_writes_do_no_harm(void **state)
{
	struct random rnd;
	struct raw r;

	random_init(&rnd, 7);
	raw_init(&r, raw_env, "ram:1M");
	raw_write_admin(&r, 8, 8);
	for (int i = 0; i < 20000; i++) {
		uint32_t offset = (uint32_t)random_below(&rnd, 0x50) & ~3u;
		uint64_t v = random_u64(&rnd);

		/* Queue addresses stay ours: over loop any other would be this process's memory. */
		if (offset >= NVIO_REG_ASQ && offset < NVIO_REG_ACQ + 8)
			continue;
		if (random_below(&rnd, 2))
			raw_w32(&r, offset, (uint32_t)v);
		else if (offset % 8 == 0 && offset != NVIO_REG_NSSR)
			raw_w64(&r, offset, v);
		if (random_below(&rnd, 4) == 0)
			raw_kicks(&r, (int)random_below(&rnd, 4));
	}
	raw_w32(&r, NVIO_REG_CC, 0);
	assert_true(raw_csts_becomes(&r, RDY | CFS, 0));
	raw_w32(&r, NVIO_REG_NSSR, NVIO_NSSR_RESET);
	raw_kicks(&r, 10);
	raw_enable(&r);
	raw_close(&r);
}

static void removal_shows_all_ones_and_return_a_fresh_controller(void **state)
{
	static const char *const forms[] = { "ram:1M", "ram:1M?poll=thread" };

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		struct raw r;

		raw_open(&r, raw_env, forms[i]);
		memset(r.buf, 0x77, 512);
		assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_WRITE, r.buf, 1, 1), NULL), 0);
		for (int j = 0; j < 20; j++)
			raw_put(&r, &r.io, raw_rw(NVIO_NVM_READ, r.buf + RAW_PAGE, 0, 1));
		raw_ring(&r, &r.io);
		assert_int_equal(nvio_drive_remove(r.drive), 0);
		assert_int_equal(nvio_drive_remove(r.drive), 0); /* again: nothing new */
		assert_int_equal(raw_csts(&r), UINT32_MAX);
		/* Its I/O is over: what is in the buffer now stays. */
		memset(r.buf + RAW_PAGE, 0x11, RAW_PAGE);
		raw_kicks(&r, 50);
		for (uint32_t b = 0; b < RAW_PAGE; b++)
			assert_int_equal(r.buf[RAW_PAGE + b], 0x11);
		assert_int_equal(nvio_drive_insert(r.drive), 0);
		assert_int_equal(raw_csts(&r), 0);
		raw_enable(&r);
		raw_create_io(&r, 8, 8);
		assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_READ, r.buf, 1, 1), NULL), 0);
		assert_int_equal(r.buf[0], 0x77);
		raw_close(&r);
	}
}

static void removal_in_every_state(void **state)
{
	for (int i = 0; i < 6; i++) {
		struct raw r;

		raw_init(&r, raw_env, "ram:1M");
		if (i == 1 || i == 2)
			raw_enable(&r);
		if (i == 2) {
			raw_w32(&r, NVIO_REG_CC, nvio_cc_with_shn(RAW_CC_ENABLE, NVIO_CC_SHN_NORMAL));
			assert_true(raw_csts_becomes(&r, SHST_MASK, 8));
		}
		if (i == 3) {
			raw_w32(&r, NVIO_REG_CC, RAW_CC_ENABLE); /* no queues: fatal */
			assert_true(raw_csts_becomes(&r, CFS, CFS));
		}
		if (i == 4) {
			raw_fault(&r, "never_ready");
			raw_write_admin(&r, 8, 8);
			raw_w32(&r, NVIO_REG_CC, RAW_CC_ENABLE);
			raw_kicks(&r, 10);
			nvio_drive_clear_faults(r.drive);
		}
		if (i == 5)
			raw_w32(&r, NVIO_REG_CC, RAW_CC_ENABLE); /* not even looked at yet */
		assert_int_equal(nvio_drive_remove(r.drive), 0);
		assert_int_equal(raw_csts(&r), UINT32_MAX);
		assert_int_equal(nvio_drive_insert(r.drive), 0);
		raw_enable(&r);
		raw_close(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RAW_TEST(registers_tell_what_the_options_say),
		RAW_TEST(what_is_wrong_before_enable_is_fatal_and_a_reset_heals_it),
		RAW_TEST(a_reset_forgets_queues_and_features_and_keeps_data),
		RAW_TEST(shutdown_is_told_and_ends_commands),
		RAW_TEST(shutdown_and_disable_in_one_write),
		RAW_TEST(shutdown_of_a_controller_that_never_ran),
		RAW_TEST(subsystem_reset_says_that_it_was),
		RAW_TEST(a_host_that_leaves_resets_the_controller),
		RAW_TEST(a_host_that_has_left_has_its_memory_to_itself),
		RAW_TEST(a_delay_that_is_over_executes_nothing_for_a_host_that_leaves),
		RAW_TEST(a_delay_that_is_over_executes_nothing_in_a_fatal_state),
		RAW_TEST(the_next_hosts_first_writes_are_not_lost),
		RAW_TEST(a_write_taken_while_its_host_leaves_starts_nothing),
		RAW_TEST(a_reset_waits_for_the_block_device),
		RAW_TEST(register_writes_are_kept_in_order),
		RAW_TEST(halves_of_a_64_bit_register_may_be_written_one_by_one),
		RAW_TEST(hostile_register_writes_do_no_harm),
		RAW_TEST(removal_shows_all_ones_and_return_a_fresh_controller),
		RAW_TEST(removal_in_every_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
