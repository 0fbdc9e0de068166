/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Faults against the controller's life: whatever state a fault finds the controller in, and whatever the host does
 * there, no invariant of the state machine breaks and a subsystem reset heals it.
 */
#include "raw.h"

#define RDY      1u
#define CFS      2u
#define NSSRO    0x10u
#define ALL_ONES UINT32_MAX

static uint32_t cc_shutdown(uint32_t cc) { return nvio_cc_with_shn(cc, NVIO_CC_SHN_NORMAL); }

static void read_block(struct raw *r)
{
	raw_put(r, &r->io, raw_rw(NVIO_NVM_READ, r->buf, 0, 1));
	raw_ring(r, &r->io);
}

/* ---- the states; each is reached from that of a drive just attached or reset ---- */

static void be_disabled(struct raw *r) { raw_write_admin(r, 32, 32); }

static void be_ready(struct raw *r)
{
	raw_enable(r);
	raw_create_io(r, 64, 64);
}

static void be_enabling(struct raw *r)
{
	raw_fault(r, "never_ready:count=1");
	raw_write_admin(r, 32, 32);
	raw_w32(r, NVIO_REG_CC, RAW_CC_ENABLE);
	raw_kicks(r, 5);
	assert_int_equal(raw_csts(r) & RDY, 0);
	assert_int_equal(raw_r32(r, NVIO_REG_CC), RAW_CC_ENABLE);
}

static void be_shut(struct raw *r)
{
	be_ready(r);
	raw_w32(r, NVIO_REG_CC, cc_shutdown(RAW_CC_ENABLE));
	assert_true(raw_csts_becomes(r, 0xc | RDY, NVIO_CSTS_SHST_COMPLETE << 2 | RDY));
}

static void be_shut_unborn(struct raw *r)
{
	raw_write_admin(r, 32, 32);
	raw_w32(r, NVIO_REG_CC, cc_shutdown(RAW_CC_ENABLE));
	assert_true(raw_csts_becomes(r, 0xc | RDY, NVIO_CSTS_SHST_COMPLETE << 2));
}

static void be_fatal(struct raw *r)
{
	be_ready(r);
	raw_fault(r, "fatal:opcode=2:count=1");
	read_block(r);
	assert_true(raw_csts_becomes(r, CFS | RDY, CFS | RDY));
}

static void be_refused(struct raw *r)
{
	raw_write_admin(r, 32, 32);
	raw_w32(r, NVIO_REG_CC, RAW_CC_ENABLE | 1 << 7);
	assert_true(raw_csts_becomes(r, CFS | RDY, CFS));
}

static void be_stopping(struct raw *r)
{
	be_ready(r);
	raw_fault(r, "never_stop:count=1");
	raw_w32(r, NVIO_REG_CC, 0);
	raw_kicks(r, 5);
	assert_int_equal(raw_csts(r) & RDY, RDY);
}

static void be_gone(struct raw *r)
{
	be_ready(r);
	assert_int_equal(nvio_drive_remove(r->drive), 0);
	assert_true(raw_csts_becomes(r, ALL_ONES, ALL_ONES));
}

static const struct {
	const char *name;
	void (*enter)(struct raw *r);
	uint32_t up; /* CSTS: RDY when it is there to be held by never_stop */
} states[] = {
	{ "disabled", be_disabled, 0 },
	{ "enabling", be_enabling, 0 },
	{ "ready", be_ready, RDY },
	{ "shut", be_shut, RDY },
	{ "shut before it ran", be_shut_unborn, 0 },
	{ "fatal", be_fatal, RDY },
	{ "fatal at enable", be_refused, 0 },
	{ "stopping", be_stopping, RDY },
	{ "gone", be_gone, 0 },
};

/* ---- what happens there ---- */

static void do_enable(struct raw *r) { raw_w32(r, NVIO_REG_CC, RAW_CC_ENABLE); }
static void do_enable_badly(struct raw *r) { raw_w32(r, NVIO_REG_CC, RAW_CC_ENABLE | 1 << 7); }
static void do_disable(struct raw *r) { raw_w32(r, NVIO_REG_CC, 0); }
static void do_shutdown(struct raw *r) { raw_w32(r, NVIO_REG_CC, cc_shutdown(RAW_CC_ENABLE)); }
static void do_both(struct raw *r) { raw_w32(r, NVIO_REG_CC, cc_shutdown(0)); }
static void do_reset(struct raw *r) { raw_w32(r, NVIO_REG_NSSR, NVIO_NSSR_RESET); }
static void do_remove(struct raw *r) { nvio_drive_remove(r->drive); }
static void do_insert(struct raw *r) { nvio_drive_insert(r->drive); }

static void do_commands(struct raw *r)
{
	if (r->io.sq)
		read_block(r);
	raw_put(r, &r->admin, raw_dws(raw_cmd(NVIO_ADMIN_IDENTIFY, 0, r->buf), NVIO_CNS_CTRLR, 0, 0));
	raw_ring(r, &r->admin);
}

static const struct {
	const char *name;
	void (*happen)(struct raw *r);
} events[] = {
	{ "enable", do_enable }, { "a bad enable", do_enable_badly }, { "disable", do_disable },
	{ "shutdown", do_shutdown }, { "shutdown and disable", do_both }, { "subsystem reset", do_reset }, { "commands", do_commands },
	{ "removal", do_remove }, { "insertion", do_insert },
};

static const char *const faults[] = {
	"never_stop", "never_stop:count=1", "never_ready", "never_ready:count=1",
	"fatal", "fatal:admin=1", "remove", "remove:admin=1",
};

/* As after power on, whatever was. The old queues' memory is freed by whoever makes new ones, so only after this. */
static void heal(struct raw *r, const char *what)
{
	nvio_drive_clear_faults(r->drive);
	raw_kicks(r, 10);
	if (raw_csts(r) == ALL_ONES) {
		assert_int_equal(nvio_drive_insert(r->drive), 0);
		if (!raw_csts_becomes(r, ALL_ONES, 0))
			fail_msg("%s: not back: CSTS 0x%x", what, raw_csts(r));
	}
	raw_w32(r, NVIO_REG_CSTS, NSSRO);
	raw_w32(r, NVIO_REG_NSSR, NVIO_NSSR_RESET);
	if (!raw_csts_becomes(r, ALL_ONES, NSSRO))
		fail_msg("%s: not reset: CSTS 0x%x", what, raw_csts(r));
}

static void check_works(struct raw *r, const char *what)
{
	be_ready(r);
	if (raw_do(r, &r->io, raw_rw(NVIO_NVM_READ, r->buf, 0, 1), NULL))
		fail_msg("%s: the drive does not read any more", what);
	heal(r, what);
	raw_queue_free(&r->io);
}

/* All pairs of events in a state under a fault, looked at one by one and, without a poll between, both at once. */
static void pairs_of_events(struct raw *r, size_t state, const char *fault)
{
	for (size_t i = 0; i < ARRAY_SIZE(events) * ARRAY_SIZE(events) * 2; i++) {
		size_t first = i / 2 / ARRAY_SIZE(events), second = i / 2 % ARRAY_SIZE(events);
		bool at_once = i & 1;
		char what[200];

		snprintf(what, sizeof(what), "%s, %s: %s, %s%s", states[state].name, fault, events[first].name,
			events[second].name, at_once ? " at once" : "");
		states[state].enter(r);
		raw_fault(r, fault);
		events[first].happen(r);
		if (!at_once)
			raw_kicks(r, 3);
		events[second].happen(r);
		raw_kicks(r, 3);
		heal(r, what);
		check_works(r, what);
	}
}

static void any_fault_in_any_state_can_be_healed(void **state)
{
	for (size_t s = 0; s < ARRAY_SIZE(states); s++) {
		struct raw r;

		raw_init(&r, raw_env, "ram:64k?vwc=1");
		for (size_t f = 0; f < ARRAY_SIZE(faults); f++)
			pairs_of_events(&r, s, faults[f]);
		raw_close(&r);
	}
}

/* CC.EN = 0 is refused as often as told and no more, with and without a shutdown in the same write. */
static void never_stop_holds_ready_in_every_state_that_has_it(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(states) * 2; i++) {
		const char *name = states[i / 2].name;
		uint32_t cc = i & 1 ? cc_shutdown(0) : 0;
		struct raw r;

		if (!states[i / 2].up)
			continue;
		raw_init(&r, raw_env, "ram:64k");
		states[i / 2].enter(&r);
		raw_fault(&r, "never_stop:count=2");
		for (int n = 0; n < 2; n++) {
			raw_w32(&r, NVIO_REG_CC, cc);
			raw_kicks(&r, RAW_QUIET);
			if (!(raw_csts(&r) & RDY))
				fail_msg("%s: it stopped: CSTS 0x%x", name, raw_csts(&r));
		}
		raw_w32(&r, NVIO_REG_CC, cc);
		if (!raw_csts_becomes(&r, RDY | CFS, 0))
			fail_msg("%s: it does not stop: CSTS 0x%x", name, raw_csts(&r));
		raw_close(&r);
	}
}

/* The host leaves, and comes back, while the fault holds. */
static void leaving_works_in_any_state(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(states) * ARRAY_SIZE(faults); i++) {
		struct raw r;

		raw_init(&r, raw_env, "ram:64k");
		states[i / ARRAY_SIZE(faults)].enter(&r);
		raw_fault(&r, faults[i % ARRAY_SIZE(faults)]);
		do_disable(&r);
		raw_kicks(&r, 3);
		loop_detach(r.port);
		nvio_drive_clear_faults(r.drive);
		raw_attach(&r);
		if (raw_csts(&r) == ALL_ONES)
			assert_int_equal(nvio_drive_insert(r.drive), 0);
		assert_true(raw_csts_becomes(&r, ALL_ONES, 0));
		raw_enable(&r);
		raw_close(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RAW_TEST(never_stop_holds_ready_in_every_state_that_has_it),
		RAW_TEST(any_fault_in_any_state_can_be_healed),
		RAW_TEST(leaving_works_in_any_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
