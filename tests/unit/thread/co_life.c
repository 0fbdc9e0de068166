/* SPDX-License-Identifier: BSD-3-Clause */
/* C3: coroutines from being spawned to being joined, yielding, sleeping, cancelled, and what may be asked about them. */
#include "tests/unit/thread/rig.h"

#include <poll.h>

#include <nvio/co.h>

#define SECOND 1000000u

static struct rig rig; /* of the test that runs */
static char trace[64]; /* what happened, a letter each */
static unsigned traced;

static void note(char what)
{
	assert_true(traced < sizeof(trace) - 1);
	trace[traced++] = what;
	trace[traced] = '\0';
}

static void open_rig(bool still_clock)
{
	traced = 0;
	trace[0] = '\0';
	rig_open_env(&rig, still_clock);
}

static struct nvio_co *spawn(nvio_co_fn fn, void *arg)
{
	struct nvio_co *co = NULL;

	assert_int_equal(nvio_co_spawn(rig.t, fn, arg, NULL, &co), 0);
	assert_non_null(co);
	return co;
}

static int join(struct nvio_co *co)
{
	return nvio_co_join(co, NULL);
}

static int returns(void *arg)
{
	note('r');
	return (int)(intptr_t)arg;
}

static void what_the_function_returns_reaches_join(void **state)
{
	static const struct {
		int returned, joined;
	} cases[] = { { 0, 0 }, { 1, 0 }, { INT32_MAX, 0 }, { -1, -1 }, { -EIO, -EIO }, { -4096, -4096 } };

	open_rig(false);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int value = 77;

		assert_int_equal(nvio_co_join(spawn(returns, (void *)(intptr_t)cases[i].returned), &value),
			cases[i].joined);
		assert_int_equal(value, cases[i].returned);
		assert_int_equal(join(spawn(returns, (void *)(intptr_t)cases[i].returned)), cases[i].joined);
	}
	rig_close(&rig);
}

static void it_runs_in_the_next_poll_and_not_in_spawn(void **state)
{
	struct nvio_co *co;

	open_rig(false);
	assert_true(nvio_thread_is_idle(rig.t));
	co = spawn(returns, NULL);
	assert_string_equal(trace, "");
	assert_int_equal(nvio_co_status(co), NVIO_CO_READY);
	assert_int_equal(nvio_co_count(rig.t), 1);
	assert_false(nvio_thread_is_idle(rig.t));
	assert_int_equal(nvio_thread_timeout_ms(rig.t), 0);
	assert_int_equal(nvio_thread_poll(rig.t, 0), 1);
	assert_string_equal(trace, "r");
	assert_int_equal(nvio_co_status(co), NVIO_CO_ENDED);
	assert_int_equal(nvio_co_count(rig.t), 0);
	assert_true(nvio_thread_is_idle(rig.t));
	assert_int_equal(nvio_thread_poll(rig.t, 0), 0);
	assert_int_equal(join(co), 0);
	rig_close(&rig);
}

static void detached_ones_free_themselves(void **state)
{
	struct nvio_co *co;

	open_rig(false);
	assert_int_equal(nvio_co_spawn(rig.t, returns, NULL, NULL, NULL), 0); /* from the start */
	co = spawn(returns, NULL);				      /* before it ran */
	assert_int_equal(nvio_co_detach(co), 0);
	assert_int_equal(nvio_co_join(co, NULL), -EINVAL);
	assert_said("detached");
	nvio_thread_poll(rig.t, 0);
	co = spawn(returns, NULL); /* after it ended */
	nvio_thread_poll(rig.t, 0);
	assert_int_equal(nvio_co_status(co), NVIO_CO_ENDED);
	assert_int_equal(nvio_co_detach(co), 0);
	assert_string_equal(trace, "rrr");
	rig_close(&rig); /* would say -EBUSY for one that is left */
}

static int takes_turns(void *arg)
{
	for (int i = 0; i < 3; i++) {
		note((char)(intptr_t)arg);
		assert_int_equal(nvio_co_yield(), 0);
	}
	return 0;
}

static void yielding_lets_others_run_in_order(void **state)
{
	struct nvio_co *co[3];

	open_rig(false);
	for (int i = 0; i < 3; i++)
		co[i] = spawn(takes_turns, (void *)(intptr_t)('a' + i));
	for (int i = 1; i <= 3; i++) {
		assert_int_equal(nvio_thread_poll(rig.t, 0), 3);
		assert_int_equal(traced, 3 * i);
	}
	assert_int_equal(nvio_co_join_all(co, 3), 0);
	assert_string_equal(trace, "abcabcabc");
	rig_close(&rig);
}

static int sleeps(void *arg)
{
	int rc = nvio_co_sleep((uint64_t)(intptr_t)arg);

	note(rc ? 'c' : 's');
	return rc;
}

static void sleeping_takes_its_time_by_the_environments_clock(void **state)
{
	struct nvio_co *co[3];

	open_rig(true);
	co[0] = spawn(sleeps, (void *)(intptr_t)(2 * SECOND));
	co[1] = spawn(sleeps, (void *)(intptr_t)SECOND);
	co[2] = spawn(sleeps, NULL); /* a turn */
	nvio_thread_poll(rig.t, 0);
	assert_int_equal(nvio_co_status(co[0]), NVIO_CO_SLEEPING);
	assert_int_equal(nvio_co_status(co[2]), NVIO_CO_READY);
	nvio_thread_poll(rig.t, 0);
	assert_string_equal(trace, "s");
	assert_int_equal(nvio_thread_timeout_ms(rig.t), 1000);
	rig.now_ns += 1000000000 - 1;
	nvio_thread_poll(rig.t, 0);
	assert_string_equal(trace, "s");
	rig.now_ns += 1;
	nvio_thread_poll(rig.t, 0);
	assert_string_equal(trace, "ss");
	assert_int_equal(nvio_co_status(co[0]), NVIO_CO_SLEEPING);
	rig.now_ns += 1000000000;
	assert_int_equal(nvio_co_join_all(co, 3), 0);
	assert_string_equal(trace, "sss");
	rig_close(&rig);
}

static int says_where_it_is(void *arg)
{
	struct nvio_co **me = arg;

	assert_ptr_equal(nvio_co_current(), *me);
	assert_ptr_equal(nvio_co_thread(*me), rig.t);
	assert_ptr_equal(nvio_thread_current(), rig.t);
	assert_int_equal(nvio_co_status(*me), NVIO_CO_RUNNING);
	assert_int_equal(nvio_co_yield(), 0);
	assert_ptr_equal(nvio_co_current(), *me);
	return 0;
}

static void each_knows_itself_and_nobody_else_is_one(void **state)
{
	struct nvio_co *co[2];

	open_rig(false);
	assert_null(nvio_co_current());
	assert_int_equal(nvio_co_yield(), -EINVAL);
	assert_said("not called in a coroutine");
	assert_int_equal(nvio_co_sleep(1), -EINVAL);
	for (int i = 0; i < 2; i++)
		co[i] = spawn(says_where_it_is, &co[i]);
	assert_int_equal(nvio_co_join_all(co, 2), 0);
	assert_null(nvio_co_current());
	rig_close(&rig);
}

static int calls_from_a_poller(void *arg)
{
	int *calls = arg;

	++*calls;
	assert_null(nvio_co_current());
	assert_int_equal(nvio_co_yield(), -EINVAL);
	return 0;
}

static int polls_within(void *arg)
{
	int *calls = arg;
	int before = *calls;

	/* The poll is on this stack, and so is the poller; but it is none of the coroutine's. */
	assert_true(nvio_thread_poll(rig.t, 0) >= 0);
	assert_true(*calls > before);
	assert_non_null(nvio_co_current());
	note('p');
	return nvio_co_yield();
}

static void a_poll_within_one_enters_no_running_one_again(void **state)
{
	struct nvio_poller *p;
	struct nvio_co *co[3];
	int calls = 0;

	open_rig(false);
	assert_int_equal(nvio_poller_register(rig.t, "p", calls_from_a_poller, &calls, 0, &p), 0);
	for (int i = 0; i < 3; i++)
		co[i] = spawn(polls_within, &calls);
	/* Each runs the next one in its nested poll. */
	nvio_thread_poll(rig.t, 0);
	assert_string_equal(trace, "ppp");
	assert_int_equal(calls, 4);
	assert_int_equal(nvio_co_join_all(co, 3), 0);
	nvio_poller_unregister(p);
	rig_close(&rig);
}

static int joins(void *arg)
{
	int rc = join(*(struct nvio_co **)arg);

	note('j');
	return rc;
}

static void joining_in_a_coroutine_suspends_that(void **state)
{
	struct nvio_co *sleeper, *joiner;

	open_rig(true);
	sleeper = spawn(sleeps, (void *)(intptr_t)SECOND);
	joiner = spawn(joins, &sleeper);
	nvio_thread_poll(rig.t, 0);
	nvio_thread_poll(rig.t, 0);
	assert_int_equal(nvio_co_status(joiner), NVIO_CO_WAITING);
	assert_string_equal(trace, "");
	assert_int_equal(nvio_co_join(sleeper, NULL), -EBUSY); /* only one may */
	assert_said("somebody joins it");
	assert_int_equal(nvio_co_detach(sleeper), -EBUSY);
	rig.now_ns += 1000000000;
	assert_int_equal(join(joiner), 0);
	assert_string_equal(trace, "sj");
	rig_close(&rig);
}

static int joins_itself(void *arg)
{
	assert_int_equal(nvio_co_join(*(struct nvio_co **)arg, NULL), -EDEADLK);
	assert_said("itself");
	return 0;
}

static void join_in_a_message(void *arg)
{
	assert_int_equal(nvio_co_join(arg, NULL), -EDEADLK);
	note('m');
}

static int polls_while_it_is_joined(void *arg)
{
	assert_int_equal(nvio_thread_send(rig.t, join_in_a_message, *(struct nvio_co **)arg), 0);
	nvio_thread_poll(rig.t, 0);
	return 0;
}

static void joins_that_could_never_end_are_refused(void **state)
{
	struct nvio_thread *other;
	struct nvio_co *co;

	open_rig(false);
	assert_int_equal(nvio_co_join(NULL, NULL), -EINVAL);
	co = spawn(joins_itself, &co);
	assert_int_equal(join(co), 0);
	co = spawn(polls_while_it_is_joined, &co);
	assert_int_equal(join(co), 0);
	assert_string_equal(trace, "m");

	/* A coroutine of another thread, from a coroutine. */
	assert_int_equal(nvio_thread_create(rig.env, NULL, &other), 0);
	assert_int_equal(nvio_co_spawn(other, returns, NULL, NULL, &co), 0);
	assert_int_equal(join(spawn(joins, &co)), -EINVAL);
	assert_int_equal(join(co), 0);
	assert_int_equal(nvio_thread_destroy(other), 0);
	rig_close(&rig);
}

static void join_all_waits_for_all_and_tells_the_first_error(void **state)
{
	struct nvio_co *co[5];

	open_rig(false);
	co[0] = spawn(returns, (void *)(intptr_t)3);
	co[1] = NULL;
	co[2] = spawn(takes_turns, (void *)(intptr_t)'t');
	co[3] = spawn(returns, (void *)(intptr_t)-EIO);
	co[4] = spawn(returns, (void *)(intptr_t)-EPERM);
	assert_int_equal(nvio_co_join_all(co, 5), -EIO);
	assert_string_equal(trace, "rtrrtt");
	assert_int_equal(nvio_co_count(rig.t), 0);
	assert_int_equal(nvio_co_join_all(NULL, 0), 0);
	rig_close(&rig);
}

/* ---- cancelling ---- */

static int yields_until_cancelled(void *arg)
{
	int rc;

	while (!(rc = nvio_co_yield()))
		assert_false(nvio_co_is_cancelled(nvio_co_current()));
	assert_true(nvio_co_is_cancelled(nvio_co_current()));
	/* From now on all waits end so, each after a turn for the others. */
	assert_int_equal(nvio_co_sleep(100 * SECOND), -ECANCELED);
	assert_int_equal(nvio_co_sleep(0), -ECANCELED);
	return rc;
}

static int joins_sleeper(void *arg)
{
	struct nvio_co *sleeper = spawn(sleeps, (void *)(intptr_t)SECOND);
	int rc = join(sleeper);

	note('j');
	return rc;
}

static int cancels_itself(void *arg)
{
	assert_int_equal(nvio_co_cancel(nvio_co_current()), 0);
	return nvio_co_sleep(SECOND);
}

static void cancelling_reaches_every_state(void **state)
{
	static const struct {
		const char *name;
		nvio_co_fn fn;
		intptr_t arg;
		int polls; /* before it is cancelled */
		enum nvio_co_status status;
		int rc;
		const char *trace;
	} cases[] = {
		{ "not begun", sleeps, SECOND, 0, NVIO_CO_READY, -ECANCELED, "c" },
		{ "not begun, and does not wait", returns, 5, 0, NVIO_CO_READY, 0, "r" },
		{ "ready", yields_until_cancelled, 0, 3, NVIO_CO_READY, -ECANCELED, "" },
		{ "sleeping", sleeps, SECOND, 1, NVIO_CO_SLEEPING, -ECANCELED, "c" },
		{ "joining", joins_sleeper, 0, 3, NVIO_CO_WAITING, -ECANCELED, "cj" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct nvio_co *co;

		open_rig(true);
		co = spawn(cases[i].fn, (void *)cases[i].arg);
		for (int n = 0; n < cases[i].polls; n++)
			nvio_thread_poll(rig.t, 0);
		assert_int_equal(nvio_co_status(co), cases[i].status);
		assert_false(nvio_co_is_cancelled(co));
		assert_int_equal(nvio_co_cancel(co), 0);
		assert_int_equal(nvio_co_cancel(co), 0); /* Z10 */
		assert_true(nvio_co_is_cancelled(co));
		for (int n = 0; n < 10; n++)
			nvio_thread_poll(rig.t, 0);
		assert_int_equal(nvio_co_status(co), NVIO_CO_ENDED);
		assert_int_equal(nvio_co_cancel(co), -EALREADY);
		assert_said("has ended");
		print_message("# %s\n", cases[i].name);
		assert_int_equal(join(co), cases[i].rc);
		assert_string_equal(trace, cases[i].trace);
		rig_close(&rig);
	}
	open_rig(true);
	assert_int_equal(join(spawn(cancels_itself, NULL)), -ECANCELED);
	rig_close(&rig);
}

static int joins_all_of_them(void *arg)
{
	struct nvio_co *co[3];

	for (int i = 0; i < 3; i++)
		co[i] = spawn(sleeps, (void *)(intptr_t)((i + 1) * SECOND));
	return nvio_co_join_all(co, 3);
}

static void cancelling_one_that_joins_many_ends_them_all(void **state)
{
	struct nvio_co *co;

	open_rig(true);
	co = spawn(joins_all_of_them, NULL);
	for (int n = 0; n < 3; n++)
		nvio_thread_poll(rig.t, 0);
	assert_int_equal(nvio_co_count(rig.t), 4);
	nvio_co_cancel(co);
	assert_int_equal(join(co), -ECANCELED);
	assert_string_equal(trace, "ccc");
	rig_close(&rig);
}

/* ---- the thread's descriptor ---- */

static int spawn_into_the_loop(void *arg)
{
	int rc = nvio_co_yield();

	++*(int *)arg;
	return rc;
}

static bool readable(void)
{
	struct pollfd p = { .fd = nvio_thread_fd(rig.t), .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static void a_loop_that_sleeps_hears_of_coroutines(void **state)
{
	/* One that asks for the timeout before it sleeps, and one that only watches the descriptor. */
	for (int asks = 0; asks < 2; asks++) {
		int ran = 0;

		open_rig(true);
		assert_false(readable());
		nvio_thread_poll(rig.t, 0);
		if (asks)
			assert_int_equal(nvio_thread_timeout_ms(rig.t), -1);
		assert_false(readable());
		/* Between asking and sleeping, from outside of a poll. */
		spawn(spawn_into_the_loop, &ran);
		assert_true(readable());
		for (int i = 0; i < 10 && (readable() || (asks && !nvio_thread_timeout_ms(rig.t))); i++)
			nvio_thread_poll(rig.t, 0);
		assert_int_equal(ran, 1);
		if (asks)
			assert_int_equal(nvio_thread_timeout_ms(rig.t), -1);
		assert_false(readable()); /* and sleeps again */
		nvio_env_close(rig.env);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_function_returns_reaches_join),
		cmocka_unit_test(it_runs_in_the_next_poll_and_not_in_spawn),
		cmocka_unit_test(detached_ones_free_themselves),
		cmocka_unit_test(yielding_lets_others_run_in_order),
		cmocka_unit_test(sleeping_takes_its_time_by_the_environments_clock),
		cmocka_unit_test(each_knows_itself_and_nobody_else_is_one),
		cmocka_unit_test(a_poll_within_one_enters_no_running_one_again),
		cmocka_unit_test(joining_in_a_coroutine_suspends_that),
		cmocka_unit_test(joins_that_could_never_end_are_refused),
		cmocka_unit_test(join_all_waits_for_all_and_tells_the_first_error),
		cmocka_unit_test(cancelling_reaches_every_state),
		cmocka_unit_test(cancelling_one_that_joins_many_ends_them_all),
		cmocka_unit_test(a_loop_that_sleeps_hears_of_coroutines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
