/* SPDX-License-Identifier: BSD-3-Clause */
/* Time: the real clock, one handed in, and the cheap counter in front of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <sys/time.h>

#include "base/clock.h"

static uint64_t fake_now(void *arg)
{
	return (*(uint64_t *)arg)++;
}

static void the_clock_handed_in_is_asked(void **state)
{
	uint64_t t = 41;
	struct clock clock = { fake_now, &t };

	assert_int_equal(clock_now(&clock), 41);
	assert_int_equal(clock_now(&clock), 42);
}

static void the_default_clock_moves_on(void **state)
{
	struct clock clock = { 0 };
	uint64_t before = clock_now(&clock), after;

	sleep_ns(2 * NS_PER_MS);
	after = clock_now(&clock);
	assert_true(after - before >= 2 * NS_PER_MS);
	assert_true(after - before < 60 * NS_PER_S);
}

static void never_does_not_wrap_into_the_past(void **state)
{
	assert_int_equal(clock_add(5, 6), 11);
	assert_true(clock_add(1, UINT64_MAX) == UINT64_MAX);
	assert_true(clock_add(UINT64_MAX, UINT64_MAX) == UINT64_MAX);
}

static void the_gate_opens_within_ten_milliseconds(void **state)
{
	uint64_t before = cycles();

	sleep_ns(10 * NS_PER_MS);
	assert_true(cycles() - before > CYCLES_GATE);
}

static volatile sig_atomic_t alarms;

static void on_alarm(int sig)
{
	alarms++;
}

static void a_sleep_goes_on_through_signals(void **state)
{
	struct sigaction action = { .sa_handler = on_alarm }, old;
	struct itimerval often = { { 0, 1000 }, { 0, 1000 } }, never = { { 0, 0 }, { 0, 0 } };
	uint64_t before = clock_monotonic_ns();

	assert_int_equal(sigaction(SIGALRM, &action, &old), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
	sleep_ns(20 * NS_PER_MS);
	assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
	assert_true(clock_monotonic_ns() - before >= 20 * NS_PER_MS);
	assert_true(alarms > 0);
	assert_int_equal(sigaction(SIGALRM, &old, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_clock_handed_in_is_asked),
		cmocka_unit_test(the_default_clock_moves_on),
		cmocka_unit_test(never_does_not_wrap_into_the_past),
		cmocka_unit_test(the_gate_opens_within_ten_milliseconds),
		cmocka_unit_test(a_sleep_goes_on_through_signals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
