/* SPDX-License-Identifier: BSD-3-Clause */
/* Registers and the queue of writes, on one OS thread: values, edges, order, removal, a queue that is full.
 */
#include "tests/support/unit.h"

#include <errno.h>

#include "base/clock.h"
#include "loop/loop.h"

struct target {
	struct loop_port *port;
	uint64_t taken;
	bool wrong, asleep;
};

static struct nvio_env *env;
static struct loop_port *port;
static struct target target;

/* Takes one write in each kick, which must come in order. */
static int take_one(void *ctx)
{
	struct target *t = ctx;
	struct loop_write w;

	if (t->asleep || !loop_reg_next(t->port, &w))
		return 0;
	t->wrong |= w.value != t->taken++;
	return 1;
}

static const struct loop_port_ops inline_ops = { .kick = take_one };
static const struct loop_port_ops thread_ops = { 0 };

static void publish(const struct loop_port_ops *ops)
{
	assert_int_equal(loop_publish(env, "r", ops, &target, 4, 0, &port), 0);
	assert_int_equal(loop_attach(env, "r", &port), 0);
	target = (struct target){ .port = port };
}

static int setup(void **state)
{
	if (nvio_env_open(NULL, &env))
		return -1;
	publish(&thread_ops);
	return 0;
}

static int teardown(void **state)
{
	loop_detach(port);
	loop_withdraw(port);
	nvio_env_close(env);
	return 0;
}

static void leave(void)
{
	loop_detach(port);
	loop_withdraw(port);
}

static void the_host_reads_what_was_published(void **state)
{
	static const struct {
		uint32_t offset;
		uint64_t want32, want64;
	} cases[] = {
		{ 0x00, 0x55667788, 0x1122334455667788 },
		{ 0x04, 0x11223344, UINT64_MAX }, /* not aligned to 8 */
		{ 0x08, 0x00010400, 0x00010400 },
		{ 0x1c, 1, UINT64_MAX },
		{ 0x18, 0, 0x100000000 },
		{ 0x02, UINT32_MAX, UINT64_MAX },
		{ 0xffc, 0xabcd, UINT64_MAX },
		{ 0xff8, 0, 0xabcd00000000 },
		{ 0x1000, UINT32_MAX, UINT64_MAX },
		{ 0xfffffff8, UINT32_MAX, UINT64_MAX },
	};

	loop_reg_publish64(port, 0, 0x1122334455667788);
	loop_reg_publish32(port, 8, 0x00010400);
	loop_reg_publish32(port, 0x1c, 1);
	loop_reg_publish32(port, 0xffc, 0xabcd);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(loop_reg_read32(port, cases[i].offset), cases[i].want32);
		assert_int_equal(loop_reg_read64(port, cases[i].offset), cases[i].want64);
	}
}

static void a_removed_port_reads_all_ones_and_takes_no_writes(void **state)
{
	struct loop_write w;

	loop_reg_publish32(port, 8, 7);
	loop_set_present(port, false);
	assert_false(loop_present(port));
	assert_int_equal(loop_reg_read32(port, 8), UINT32_MAX);
	assert_int_equal(loop_reg_read64(port, 8), UINT64_MAX);
	loop_reg_write(port, 0x14, 4, 1);
	loop_set_present(port, true);
	assert_true(loop_present(port));
	assert_int_equal(loop_reg_read32(port, 8), 7);
	assert_false(loop_reg_next(port, &w));
	loop_reg_write(port, 0x14, 4, 2);
	assert_true(loop_reg_next(port, &w));
	assert_int_equal(w.value, 2);
}

static void writes_come_out_as_they_went_in(void **state)
{
	static const struct loop_write writes[] = {
		{ 0x24, 4, 0x001f001f }, { 0x28, 8, 0x123456789000 }, { 0x30, 8, UINT64_MAX },
		{ 0x14, 4, 0x00460001 }, { 0x14, 4, 0x00460001 }, /* twice is two writes */
		{ 0xfffffffd, 3, 9 },				  /* to judge this is the target's */
	};
	struct loop_write w;

	assert_false(loop_reg_next(port, &w));
	for (int round = 0; round < 1000; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(writes); i++)
			loop_reg_write(port, writes[i].offset, writes[i].width, writes[i].value);
		for (size_t i = 0; i < ARRAY_SIZE(writes); i++) {
			assert_true(loop_reg_next(port, &w));
			assert_int_equal(w.offset, writes[i].offset);
			assert_int_equal(w.width, writes[i].width);
			assert_int_equal(w.value, writes[i].value);
		}
		assert_false(loop_reg_next(port, &w));
	}
	/* A write changes nothing by itself. */
	assert_int_equal(loop_reg_read32(port, 0x14), 0);
}

static void a_former_hosts_writes_are_dropped(void **state)
{
	struct loop_port *next;
	struct loop_write w;

	loop_reg_write(port, 0x14, 4, 1);
	loop_reg_write(port, 0x14, 4, 2);
	loop_detach(port);
	assert_int_equal(loop_attach(env, "r", &next), 0);
	loop_reg_write(next, 0x14, 4, 3);
	assert_true(loop_reg_next(port, &w));
	assert_int_equal(w.value, 3);
	assert_false(loop_reg_next(port, &w));
}

static void a_full_queue_moves_an_inline_target(void **state)
{
	leave();
	publish(&inline_ops);
	for (uint64_t i = 0; i < 3 * LOOP_MAX_WRITES; i++)
		loop_reg_write(port, 0x14, 4, i);
	assert_int_equal(target.taken, 2 * LOOP_MAX_WRITES);
	while (take_one(&target))
		;
	assert_int_equal(target.taken, 3 * LOOP_MAX_WRITES);
	assert_false(target.wrong);
	assert_true(loop_present(port));
}

/* With and without a kick: a target that does not move counts as gone after a second, and may come back. */
static void a_target_that_does_not_move_counts_as_gone(void **state)
{
	const struct loop_port_ops *const ops[] = { &thread_ops, &inline_ops };

	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		uint64_t start;

		leave();
		publish(ops[i]);
		target.asleep = true;
		for (uint64_t n = 0; n < LOOP_MAX_WRITES; n++)
			loop_reg_write(port, 0x14, 4, n);
		assert_true(loop_present(port));
		start = clock_monotonic_ns();
		loop_reg_write(port, 0x14, 4, 99);
		assert_in_range(clock_monotonic_ns() - start, NS_PER_S, 10 * NS_PER_S);
		assert_false(loop_present(port));
		assert_int_equal(loop_reg_read32(port, 0), UINT32_MAX);
		target.asleep = false;
		while (take_one(&target))
			;
		assert_int_equal(target.taken, LOOP_MAX_WRITES);
		assert_false(target.wrong);
		if (i == 0) {
			loop_set_present(port, true);
		} else {
			loop_detach(port);
			assert_int_equal(loop_attach(env, "r", &port), 0);
		}
		assert_true(loop_present(port));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_host_reads_what_was_published, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_removed_port_reads_all_ones_and_takes_no_writes, setup, teardown),
		cmocka_unit_test_setup_teardown(writes_come_out_as_they_went_in, setup, teardown),
		cmocka_unit_test_setup_teardown(a_former_hosts_writes_are_dropped, setup, teardown),
		cmocka_unit_test_setup_teardown(a_full_queue_moves_an_inline_target, setup, teardown),
		cmocka_unit_test_setup_teardown(a_target_that_does_not_move_counts_as_gone, setup, teardown),
	};

	return cmocka_run_group_tests_name("loop_regs", tests, NULL, NULL);
}
