/* SPDX-License-Identifier: BSD-3-Clause */
/* The fault plan: each kind as the host sees it, which commands are struck, and the text form. */
#include "raw.h"

#include "target/fault.h"

static struct nvio_sqe rd(struct raw *r, uint64_t lba) { return raw_rw(NVIO_NVM_READ, r->buf, lba, 1); }

static void a_status_comes_instead_of_execution(void **state)
{
	struct raw r;

	raw_open(&r, raw_env, "ram:1M?fault=status:opcode=1:sf=0x4281:count=1");
	memset(r.buf, 9, 512);
	assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_WRITE, r.buf, 0, 1), NULL), 0x4281);
	assert_int_equal(raw_do(&r, &r.io, rd(&r, 0), NULL), 0);
	assert_int_equal(r.buf[0], 0);
	assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_WRITE, r.buf, 0, 1), NULL), 0);
	raw_close(&r);
}

static void a_lost_command_is_executed_and_never_answered(void **state)
{
	struct nvio_drive_stats st;
	struct raw r;

	raw_open(&r, raw_env, "ram:1M?fault=lose:opcode=1:count=1");
	memset(r.buf, 9, 512);
	raw_put(&r, &r.io, raw_rw(NVIO_NVM_WRITE, r.buf, 0, 1));
	raw_ring(&r, &r.io);
	raw_expect_quiet(&r, &r.io);
	memset(r.buf, 0, 512);
	assert_int_equal(raw_do(&r, &r.io, rd(&r, 0), NULL), 0);
	assert_int_equal(r.buf[0], 9);
	nvio_drive_get_stats(r.drive, &st);
	assert_int_equal(st.faults, 1);
	/* Nothing is kept of it: any number can be lost. */
	raw_fault(&r, "lose");
	for (int i = 0; i < 5000; i++) {
		raw_put(&r, &r.io, rd(&r, 0));
		raw_ring(&r, &r.io);
		raw_kicks(&r, 1);
	}
	nvio_drive_clear_faults(r.drive);
	assert_int_equal(raw_do(&r, &r.io, rd(&r, 0), NULL), 0);
	raw_close(&r);
}

static uint64_t fake_now = 1000000;

static uint64_t fake_clock(void *arg)
{
	return fake_now;
}

static void a_delay_is_as_long_as_asked_for(void **state)
{
	struct nvio_cqe cqe = { 0 };
	struct nvio_env_opts eo;
	struct nvio_env *env;
	struct raw r;

	nvio_env_opts_init(&eo);
	eo.now_ns = fake_clock;
	assert_int_equal(nvio_env_open(&eo, &env), 0);
	raw_open(&r, env, "ram:1M?fault=delay:us=500:opcode=2");
	raw_put(&r, &r.io, rd(&r, 0));
	raw_ring(&r, &r.io);
	raw_kicks(&r, 5);
	fake_now += 499 * NS_PER_US;
	raw_kicks(&r, 5);
	assert_false(raw_peek(&r.io, &cqe));
	fake_now += NS_PER_US;
	raw_kicks(&r, 2);
	assert_true(raw_peek(&r.io, &cqe));
	raw_close(&r);
	nvio_env_close(env);
}

static void fatal_stops_everything_until_a_reset(void **state)
{
	struct raw r;

	raw_open(&r, raw_env, "ram:1M?fault=fatal:opcode=2:count=1");
	for (int i = 0; i < 10; i++)
		raw_put(&r, &r.io, rd(&r, 0));
	raw_ring(&r, &r.io);
	assert_true(raw_csts_becomes(&r, 2, 2));
	raw_expect_quiet(&r, &r.io);
	raw_w32(&r, NVIO_REG_CC, 0);
	assert_true(raw_csts_becomes(&r, 3, 0));
	raw_enable(&r);
	raw_create_io(&r, 8, 8);
	assert_int_equal(raw_do(&r, &r.io, rd(&r, 0), NULL), 0);
	raw_close(&r);
}

static void remove_makes_it_vanish(void **state)
{
	struct raw r;

	raw_open(&r, raw_env, "ram:1M?fault=remove:opcode=2:skip=5");
	for (int i = 0; i < 10; i++)
		raw_put(&r, &r.io, rd(&r, 0));
	raw_ring(&r, &r.io);
	assert_true(raw_csts_becomes(&r, UINT32_MAX, UINT32_MAX));
	nvio_drive_clear_faults(r.drive);
	assert_int_equal(nvio_drive_insert(r.drive), 0);
	raw_enable(&r);
	raw_close(&r);
}

static void a_wrong_phase_silences_the_queue(void **state)
{
	struct raw r;

	raw_open(&r, raw_env, "ram:1M?fault=phase:opcode=2:count=1");
	raw_put(&r, &r.io, rd(&r, 0));
	raw_put(&r, &r.io, rd(&r, 0));
	raw_ring(&r, &r.io);
	raw_expect_quiet(&r, &r.io);
	/* It is there, but for the tag. */
	assert_int_equal(nvio_get_le16(r.io.cq[0].sqid), 1);
	assert_int_equal(nvio_get_le16(r.io.cq[0].status) & 1, 0);
	assert_int_equal(raw_identify(&r, 1, 0, 0, r.buf), 0); /* the admin queue lives */
	raw_close(&r);
}

static void unknown_and_duplicate_completions(void **state)
{
	struct nvio_cqe a = { 0 }, b = { 0 };
	uint16_t cid;
	struct raw r;

	raw_open(&r, raw_env, "ram:1M?fault=unknown_cid:opcode=2:count=1&fault=duplicate:opcode=2:count=1");
	cid = raw_put(&r, &r.io, rd(&r, 0));
	raw_ring(&r, &r.io);
	assert_true(raw_wait(&r, &r.io, &a));
	assert_true(raw_wait(&r, &r.io, &b));
	assert_int_not_equal(nvio_get_le16(a.cid), cid);
	assert_int_equal(nvio_get_le16(b.cid), cid);
	cid = raw_put(&r, &r.io, rd(&r, 0));
	raw_ring(&r, &r.io);
	assert_true(raw_wait(&r, &r.io, &a));
	assert_true(raw_wait(&r, &r.io, &b));
	assert_int_equal(nvio_get_le16(a.cid), cid);
	assert_int_equal(nvio_get_le16(b.cid), cid);
	raw_expect_quiet(&r, &r.io);
	raw_close(&r);
}

static void two_completions_for_one_wait_for_room(void **state)
{
	struct nvio_cqe cqe = { 0 };
	int n = 0;
	struct raw r;

	raw_init(&r, raw_env, "ram:1M?fault=duplicate:opcode=2");
	raw_enable(&r);
	raw_create_io(&r, 32, 4);
	for (int i = 0; i < 10; i++)
		raw_put(&r, &r.io, rd(&r, 0));
	raw_ring(&r, &r.io);
	for (int i = 0; i < RAW_QUIET; i++)
		n += raw_reap(&r, &r.io, &cqe);
	assert_int_equal(n, 20);
	raw_close(&r);
	/* With two entries there is never room for two: once is all. */
	raw_init(&r, raw_env, "ram:1M?fault=duplicate:opcode=2");
	raw_enable(&r);
	raw_create_io(&r, 32, 2);
	assert_int_equal(raw_do(&r, &r.io, rd(&r, 0), NULL), 0);
	raw_close(&r);
}

static void short_data_is_half_and_success(void **state)
{
	struct raw r;

	raw_open(&r, raw_env, "ram:1M");
	memset(r.buf, 0x66, RAW_PAGE);
	raw_fault(&r, "short:opcode=1:count=1");
	assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_WRITE, r.buf, 0, 8), NULL), 0);
	memset(r.buf, 0xee, RAW_PAGE);
	assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_READ, r.buf, 0, 8), NULL), 0);
	assert_int_equal(r.buf[2047], 0x66);
	assert_int_equal(r.buf[2048], 0);
	raw_fault(&r, "short:opcode=2");
	memset(r.buf, 0xee, RAW_PAGE);
	assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_READ, r.buf, 0, 8), NULL), 0);
	assert_int_equal(r.buf[2047], 0x66);
	assert_int_equal(r.buf[2048], 0xee);
	memset(r.buf, 0xee, RAW_PAGE);
	assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_READ, r.buf, 0, 1), NULL), 0); /* half a block: none */
	assert_int_equal(r.buf[0], 0xee);
	raw_close(&r);
}

static int bits_changed(const uint8_t *p, uint8_t was, size_t n)
{
	int bits = 0;

	for (size_t i = 0; i < n; i++)
		bits += __builtin_popcount((unsigned)(p[i] ^ was));
	return bits;
}

static void corruption_is_one_bit(void **state)
{
	struct raw r;

	raw_open(&r, raw_env, "ram:1M");
	memset(r.buf, 0x66, RAW_PAGE);
	raw_fault(&r, "corrupt:opcode=1:count=1");
	assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_WRITE, r.buf, 0, 8), NULL), 0);
	assert_int_equal(bits_changed(r.buf, 0x66, RAW_PAGE), 0); /* the host's buffer is as it was */
	assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_READ, r.buf, 0, 8), NULL), 0);
	assert_int_equal(bits_changed(r.buf, 0x66, RAW_PAGE), 1);
	memset(r.buf, 0x66, RAW_PAGE);
	assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_WRITE, r.buf, 0, 8), NULL), 0);
	raw_fault(&r, "corrupt:opcode=2:count=1");
	assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_READ, r.buf, 0, 8), NULL), 0);
	assert_int_equal(bits_changed(r.buf, 0x66, RAW_PAGE), 1);
	assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_READ, r.buf, 0, 8), NULL), 0);
	assert_int_equal(bits_changed(r.buf, 0x66, RAW_PAGE), 0);
	raw_close(&r);
}

static void never_ready_and_never_stop(void **state)
{
	struct raw r;

	raw_init(&r, raw_env, "ram:1M?fault=never_ready:count=1&fault=never_stop:count=1");
	raw_write_admin(&r, 8, 8);
	raw_w32(&r, NVIO_REG_CC, RAW_CC_ENABLE);
	raw_kicks(&r, RAW_QUIET);
	assert_int_equal(raw_csts(&r), 0);
	raw_w32(&r, NVIO_REG_CC, 0); /* RDY is 0 already: nothing to refuse */
	raw_kicks(&r, 5);
	raw_enable(&r);
	raw_w32(&r, NVIO_REG_CC, 0);
	raw_kicks(&r, RAW_QUIET);
	assert_int_equal(raw_csts(&r), 1);
	raw_w32(&r, NVIO_REG_CC, 0); /* asked again, it gives in */
	assert_true(raw_csts_becomes(&r, 1, 0));
	raw_enable(&r);
	raw_close(&r);
}

static void a_lied_about_abort_aborts_nothing(void **state)
{
	uint16_t late;
	uint32_t dw0;
	struct raw r;

	raw_open(&r, raw_env, "ram:1M?fault=delay:us=1000000000:opcode=2&fault=lose_abort");
	late = raw_put(&r, &r.io, rd(&r, 0));
	raw_ring(&r, &r.io);
	raw_kick(&r);
	assert_int_equal(raw_do(&r, &r.admin, raw_dws(raw_cmd(8, 0, NULL), nvio_abort_cdw10(1, late), 0, 0), &dw0), 0);
	assert_int_equal(dw0, 0);
	raw_expect_quiet(&r, &r.io);
	raw_close(&r);
}

static void which_commands_are_struck(void **state)
{
	static const struct {
		const char *fault;
		uint32_t struck; /* bit per command: reads of block 0 to 9, then a write of 3, then a flush */
	} cases[] = {
		{ "status:sf=6", 0xfff },
		{ "status:sf=6:opcode=2", 0x3ff },
		{ "status:sf=6:opcode=0", 0x800 },
		{ "status:sf=6:nsid=1", 0xfff },
		{ "status:sf=6:nsid=2", 0 },
		{ "status:sf=6:lba=3", 0x408 },
		{ "status:sf=6:lba=3:blocks=2", 0x418 },
		{ "status:sf=6:lba=10:blocks=100", 0 },
		{ "status:sf=6:skip=4", 0xff0 },
		{ "status:sf=6:every=3", 0x249 },
		{ "status:sf=6:skip=1:every=5", 0x842 },
		{ "status:sf=6:count=2", 0x003 },
		{ "status:sf=6:skip=2:every=4:count=2", 0x044 },
		{ "status:sf=6:admin=1", 0 },
		{ "status:sf=6:p=1", 0xfff },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint32_t struck = 0;
		struct raw r;

		raw_open(&r, raw_env, "ram:1M");
		raw_fault(&r, cases[i].fault);
		for (uint32_t c = 0; c < 12; c++) {
			struct nvio_sqe s = c < 10 ? rd(&r, c) : c == 10 ? raw_rw(NVIO_NVM_WRITE, r.buf, 3, 1) : raw_cmd(0, 1, NULL);

			struck |= (uint32_t)(raw_do(&r, &r.io, s, NULL) != 0) << c;
		}
		if (struck != cases[i].struck)
			fail_msg("%s: struck 0x%x instead of 0x%x", cases[i].fault, struck, cases[i].struck);
		raw_close(&r);
	}
}

static void chances_repeat_with_the_seed(void **state)
{
	uint64_t struck[3] = { 0 };

	for (int i = 0; i < 3; i++) {
		struct raw r;

		raw_open(&r, raw_env, i < 2 ? "ram:1M?seed=5&fault=status:sf=6:p=0.5" : "ram:1M?seed=6&fault=status:sf=6:p=0.5");
		for (int c = 0; c < 64; c++)
			struck[i] |= (uint64_t)(raw_do(&r, &r.io, rd(&r, 0), NULL) != 0) << c;
		raw_close(&r);
	}
	assert_true(struck[0] == struck[1]);
	assert_true(struck[0] != struck[2]);
	assert_in_range(__builtin_popcountll(struck[0]), 16, 48);
}

static void the_first_that_strikes_is_taken(void **state)
{
	struct raw r;

	raw_open(&r, raw_env, "ram:1M?fault=status:sf=4:count=1&fault=status:sf=6");
	assert_int_equal(raw_do(&r, &r.io, rd(&r, 0), NULL), 4);
	assert_int_equal(raw_do(&r, &r.io, rd(&r, 0), NULL), 6);
	nvio_drive_clear_faults(r.drive);
	assert_int_equal(raw_do(&r, &r.io, rd(&r, 0), NULL), 0);
	raw_close(&r);
}

static void text_that_is_no_fault(void **state)
{
	static const struct {
		const char *text, *words;
	} bad[] = {
		{ "", "not a kind" }, { "explode", "not a kind" }, { "delay:", "not key=value" }, { "delay:us", "not key=value" },
		{ "delay:us=", "drive: fault: us: " },
		{ "delay:us=x", "drive: fault: us: \"x\"" },
		{ "delay:us=-1", "us" }, { "delay:speed=3", "not a key" },
		{ "delay:=3", "not a key" },
		{ "status:opcode=256:sf=1", "drive: fault: opcode: 256" },
		{ "status", "sf" }, { "status:sf=0", "sf" },
		{ "status:sf=0x8000", "sf" }, { "delay:p=0", "p=0" }, { "delay:p=1.5", "p=1.5" }, { "delay:p=nan", "p=nan" },
		{ "delay:p=", "p=" }, { "delay:admin=maybe", "admin" }, { "DELAY", "not a kind" },
		{ "delay:lba=18446744073709551615:blocks=2", "wrap" },
	};
	struct fault_plan p;
	char longer[600];

	fault_plan_init(&p, 1);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (fault_plan_add_str(&p, bad[i].text) != -EINVAL)
			fail_msg("\"%s\" was taken", bad[i].text);
		assert_errmsg(bad[i].words);
	}
	memset(longer, 'a', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(fault_plan_add_str(&p, longer), -EINVAL);
	assert_int_equal(fault_plan_add_str(&p, NULL), -EINVAL);
	assert_int_equal(fault_plan_add(&p, NULL), -EINVAL);
	assert_false(fault_plan_armed(&p));
	for (uint32_t i = 0; i < FAULT_MAX; i++)
		assert_int_equal(fault_plan_add_str(&p, "lose"), 0);
	assert_int_equal(fault_plan_add_str(&p, "lose"), -ENOSPC);
	fault_plan_clear(&p);
	assert_int_equal(fault_plan_add_str(&p, "lose"), 0);
	fault_plan_fini(&p);
}

static void structures_that_are_no_fault(void **state)
{
	static const struct nvio_fault bad[] = {
		{ .kind = (enum nvio_fault_kind)99, .opcode = -1 },
		{ .kind = NVIO_FAULT_LOSE, .opcode = 256 },
		{ .kind = NVIO_FAULT_LOSE, .opcode = -2 },
		{ .kind = NVIO_FAULT_LOSE, .opcode = -1, .probability = -0.1 },
		{ .kind = NVIO_FAULT_LOSE, .opcode = -1, .probability = 1.1 },
		{ .kind = NVIO_FAULT_STATUS, .opcode = -1 },
		{ .kind = NVIO_FAULT_LOSE, .opcode = -1, .lba_first = UINT64_MAX, .lba_count = 2 },
	};
	struct fault_plan p;

	fault_plan_init(&p, 1);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(fault_plan_add(&p, &bad[i]), -EINVAL);
	fault_plan_fini(&p);
	assert_int_equal(nvio_drive_add_fault(NULL, &bad[0]), -EINVAL);
	assert_int_equal(nvio_drive_add_fault_str(NULL, "lose"), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RAW_TEST(a_status_comes_instead_of_execution),
		RAW_TEST(a_lost_command_is_executed_and_never_answered),
		RAW_TEST(a_delay_is_as_long_as_asked_for),
		RAW_TEST(fatal_stops_everything_until_a_reset),
		RAW_TEST(remove_makes_it_vanish),
		RAW_TEST(a_wrong_phase_silences_the_queue),
		RAW_TEST(unknown_and_duplicate_completions),
		RAW_TEST(two_completions_for_one_wait_for_room),
		RAW_TEST(short_data_is_half_and_success),
		RAW_TEST(corruption_is_one_bit),
		RAW_TEST(never_ready_and_never_stop),
		RAW_TEST(a_lied_about_abort_aborts_nothing),
		RAW_TEST(which_commands_are_struck),
		RAW_TEST(chances_repeat_with_the_seed),
		RAW_TEST(the_first_that_strikes_is_taken),
		RAW_TEST(text_that_is_no_fault),
		RAW_TEST(structures_that_are_no_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
