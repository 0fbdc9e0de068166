/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * T5, C2: what becomes of coroutines when their thread or their environment goes: -EBUSY with a name, or they are cancelled
 * and run to their end.
 */
#include "tests/unit/thread/rig.h"

#include "thread/co.h"
#include <nvio/bdev.h>
#include <nvio/co.h>
#include <nvio/nvme.h>

#define SECOND 1000000u

static struct nvio_env *env;
static struct nvio_thread *thread;
static char said[4096]; /* the log */

static void keep(void *arg, enum nvio_log_level level, const char *text)
{
	if (level == NVIO_LOG_ERROR)
		strncat(said, text, sizeof(said) - strlen(said) - 1);
}

static void open_env(void)
{
	struct nvio_env_opts opts;

	nvio_env_opts_init(&opts);
	opts.no_pci = true;
	opts.log_fn = keep;
	said[0] = '\0';
	assert_int_equal(nvio_env_open(&opts, &env), 0);
	assert_int_equal(nvio_thread_create(env, NULL, &thread), 0);
}

static struct nvio_co *spawn(const char *name, nvio_co_fn fn, void *arg)
{
	struct nvio_co_opts opts;
	struct nvio_co *co;

	nvio_co_opts_init(&opts);
	opts.name = name;
	assert_int_equal(nvio_co_spawn(thread, fn, arg, &opts, &co), 0);
	return co;
}

static void poll_times(int n)
{
	while (n--)
		assert_true(nvio_thread_poll(thread, 0) >= 0);
}

static int returns(void *arg)
{
	return 0;
}

static int sleeps(void *arg)
{
	int rc = nvio_co_sleep(3600 * (uint64_t)SECOND);

	if (arg)
		*(int *)arg = rc;
	return rc;
}

static int joins(void *arg)
{
	return nvio_co_join(arg, NULL);
}

static void a_thread_is_not_destroyed_under_its_coroutines(void **state)
{
	struct nvio_co *co[2];

	open_env();
	co[0] = spawn("first", sleeps, NULL);
	assert_int_equal(nvio_thread_destroy(thread), -EBUSY);
	assert_said("1 coroutines have not ended; \"first\" is ready to run");
	/* It is exiting from now on; those that are there go on. */
	assert_int_equal(nvio_co_spawn(thread, returns, NULL, NULL, NULL), -ESHUTDOWN);
	assert_said("exiting");
	poll_times(1);
	assert_int_equal(nvio_thread_destroy(thread), -EBUSY);
	assert_said("\"first\" sleeps: cancel it");
	nvio_co_cancel(co[0]);
	poll_times(1);
	assert_int_equal(nvio_thread_destroy(thread), -EBUSY);
	assert_said("\"first\" has ended and was not joined");
	assert_int_equal(nvio_co_join(co[0], NULL), -ECANCELED);
	assert_int_equal(nvio_thread_destroy(thread), 0);

	assert_int_equal(nvio_thread_create(env, NULL, &thread), 0);
	co[0] = spawn("sleeper", sleeps, NULL);
	co[1] = spawn("joiner", joins, co[0]);
	poll_times(2);
	nvio_co_detach(co[1]);
	assert_int_equal(nvio_thread_destroy(thread), -EBUSY);
	assert_said("2 coroutines have not ended");
	nvio_co_cancel(co[1]);
	poll_times(5);
	assert_int_equal(nvio_thread_destroy(thread), 0);
	nvio_env_close(env);
	assert_string_equal(said, "");
}

static int spawns_when_cancelled(void *arg)
{
	struct nvio_co *co;

	assert_int_equal(nvio_co_sleep(3600 * (uint64_t)SECOND), -ECANCELED);
	assert_int_equal(nvio_co_spawn(thread, returns, NULL, NULL, &co), -ESHUTDOWN);
	++*(int *)arg;
	return 0;
}

static int groups(void *arg)
{
	struct nvio_group_slot slots[4];
	struct nvio_group g;
	int rc[4] = { 0 };

	nvio_group_init(&g, slots, 4);
	for (int i = 0; i < 4; i++)
		nvio_group_spawn(&g, thread, sleeps, &rc[i], NULL);
	*(int *)arg = nvio_group_wait(&g);
	for (int i = 0; i < 4; i++)
		assert_int_equal(rc[i], -ECANCELED);
	return 0;
}

static void closing_the_environment_cancels_and_unwinds_them(void **state)
{
	int rc[3] = { 0 }, spawned = 0, begun = 0;

	open_env();
	spawn("sleeper", sleeps, &rc[0]);
	spawn("joiner", joins, spawn("joined", sleeps, &rc[1]));
	spawn("group", groups, &rc[2]);
	spawn("spawner", spawns_when_cancelled, &spawned);
	poll_times(3);
	spawn("not begun", spawns_when_cancelled, &begun);
	spawn("ended and not joined", returns, NULL);
	nvio_env_close(env);
	for (int i = 0; i < 3; i++)
		assert_int_equal(rc[i], -ECANCELED);
	assert_int_equal(spawned, 1);
	assert_int_equal(begun, 1);
	assert_string_equal(said, "");
}

/* ---- with an OS thread ---- */

static int leaves_one_behind(struct nvio_thread *t, void *arg)
{
	assert_int_equal(nvio_co_spawn(t, sleeps, arg, NULL, NULL), 0);
	nvio_thread_poll(t, 0);
	return 7;
}

static int doubles(void *arg)
{
	return 2 * *(int *)arg;
}

struct caller {
	struct nvio_thread_handle *to;
	int turns;
};

/* A call with a result, on another OS thread, from straight-line code: others run meanwhile. */
static int calls(void *arg)
{
	struct caller *c = arg;
	int rc = 0;

	for (int i = 1; i < 100 && !rc; i++) {
		struct nvio_op op = NVIO_OP(NULL);
		int n = -i;

		rc = nvio_await(nvio_thread_handle_call(c->to, doubles, &n, &op), &op) == 2 * n ? 0 : -EILSEQ;
	}
	c->turns = -1;
	return rc;
}

static int counts_turns(void *arg)
{
	struct caller *c = arg;

	while (c->turns >= 0) {
		c->turns++;
		nvio_co_yield();
	}
	return 0;
}

static void an_os_thread_that_ends_unwinds_its_coroutines(void **state)
{
	struct nvio_os_thread *os;
	int rc = 0;

	open_env();
	assert_int_equal(nvio_os_thread_spawn(env, NULL, leaves_one_behind, &rc, &os), 0);
	assert_int_equal(nvio_os_thread_join(os), 7);
	assert_int_equal(rc, -ECANCELED);
	assert_int_equal(nvio_thread_destroy(thread), 0);
	nvio_env_close(env);
	assert_string_equal(said, "");
}

static void a_call_to_another_os_thread_suspends(void **state)
{
	struct nvio_os_thread *os;
	struct nvio_co *co[2];
	struct caller c = { 0 };

	open_env();
	assert_int_equal(nvio_os_thread_spawn(env, NULL, NULL, NULL, &os), 0);
	c.to = nvio_os_thread_handle(os);
	co[0] = spawn("caller", calls, &c);
	co[1] = spawn("counter", counts_turns, &c);
	assert_int_equal(nvio_co_join_all(co, 2), 0);
	nvio_thread_handle_exit(c.to);
	assert_int_equal(nvio_os_thread_join(os), 0);
	assert_int_equal(nvio_thread_destroy(thread), 0);
	nvio_env_close(env);
	assert_string_equal(said, "");
}

static int spawned_in_a_run(void *arg)
{
	int *done = arg;
	int rc = nvio_co_sleep(20000);

	*done = 1;
	return rc;
}

static int spawns_and_exits(void *arg)
{
	struct nvio_thread *t = nvio_thread_current();
	int rc = nvio_co_spawn(t, spawned_in_a_run, arg, NULL, NULL);

	nvio_thread_exit(t);
	return rc;
}

static void a_run_goes_on_until_its_coroutines_have_ended(void **state)
{
	struct nvio_op op = NVIO_OP(NULL);
	struct nvio_os_thread *os;
	int done = 0;

	open_env();
	assert_int_equal(nvio_os_thread_spawn(env, NULL, NULL, NULL, &os), 0);
	assert_int_equal(
		nvio_await(nvio_thread_handle_call(nvio_os_thread_handle(os), spawns_and_exits, &done, &op), &op), 0);
	assert_int_equal(nvio_os_thread_join(os), 0);
	assert_int_equal(done, 1);
	assert_int_equal(nvio_thread_destroy(thread), 0);
	nvio_env_close(env);
}

/* ---- with I/O under way ---- */

struct user {
	const char *drive;
	struct nvio_ctrlr *ctrlr;
	int rc, reads;
};

/* Has everything of its own, and gives it back whatever happens; closing the environment must not be quicker. */
static int uses_a_drive(void *arg)
{
	struct user *u = arg;
	struct nvio_ctrlr_opts opts;
	struct nvio_qpair *qp = NULL;
	void *buf;
	int rc;

	nvio_ctrlr_opts_init(&opts);
	opts.command_timeout_ms = 500;
	opts.abort_timeout_ms = 200;
	rc = nvio_connect(env, u->drive, &opts, &u->ctrlr);
	assert_int_equal(rc, 0);
	rc = nvio_qpair_alloc(u->ctrlr, NULL, &qp);
	assert_int_equal(rc, 0);
	buf = nvio_mem_alloc(env, 4096, 0);
	while (!rc) {
		struct nvio_op op = NVIO_OP(NULL);

		rc = nvio_await(nvio_ns_read(nvio_ctrlr_ns(u->ctrlr, 1), qp, buf, 0, 1, &op), &op);
		u->reads += !rc;
		if (!rc && nvio_co_is_cancelled(nvio_co_current()))
			rc = -ECANCELED;
	}
	u->rc = rc;
	nvio_mem_free(env, buf);
	nvio_qpair_free(qp);
	nvio_ctrlr_close(u->ctrlr);
	return rc;
}

static void closing_while_they_do_io_lets_them_clean_up(void **state)
{
	static const struct {
		const char *drive;
		int rc;
	} cases[] = {
		{ "loop:ram:1M", -ECANCELED },
		{ "loop:ram:1M?poll=thread", -ECANCELED },
		{ "loop:ram:1M?fault=delay:skip=20:us=50000", -ECANCELED },
		{ "loop:ram:1M?fault=lose:skip=20", -ETIMEDOUT }, /* nothing to abort: the op's deadline ends it */
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct user u = { .drive = cases[i].drive };

		open_env();
		spawn("user", uses_a_drive, &u);
		for (long n = 0; u.reads < 20 && n < 50000000; n++)
			nvio_thread_poll(thread, 0);
		assert_true(u.reads >= 20);
		poll_times(3);
		nvio_env_close(env);
		assert_int_equal(u.rc, cases[i].rc);
		assert_string_equal(said, "");
	}
}

/* ---- those that do not end ---- */

static int never_heeds(void *arg)
{
	for (;;) {
		nvio_co_yield();
		nvio_co_sleep(SECOND);
	}
	return 0;
}

static int waits_for_ever(void *arg)
{
	return nvio_wait(arg);
}

static int nothing(struct nvio_pollable *p)
{
	return 0;
}

static const struct pollable_ops deaf_ops = { .name = "deaf", .poll = nothing };

static void one_that_does_not_end_is_named_and_left(void **state)
{
	struct nvio_pollable deaf = { &deaf_ops };
	struct nvio_op op = { .done = NULL, .arg = &deaf };
	struct nvio_op third = NVIO_OP(NULL);
	uint64_t patience = co_close_ns;
	int rc = 0;

	open_env();
	op_begin(&op, &deaf);
	op_begin(&third, &deaf);
	spawn("stubborn", never_heeds, NULL);
	spawn("good", sleeps, &rc);
	poll_times(2);
	co_close_ns = 200 * NS_PER_MS;
	nvio_env_close(env);
	assert_non_null(strstr(said, "\"stubborn\" of thread thread-1 was cancelled and does not end"));
	assert_null(strstr(said, "good"));
	assert_int_equal(rc, -ECANCELED);

	/* Its op is still in flight: nothing of it may be freed, and its end may not be told to anybody. */
	open_env();
	spawn("deaf", waits_for_ever, &op);
	spawn("joiner", joins, spawn("joined", waits_for_ever, &third));
	poll_times(2);
	assert_ptr_not_equal(op.arg, &deaf);
	nvio_env_close(env);
	co_close_ns = patience;
	assert_non_null(strstr(said, "\"deaf\""));
	assert_non_null(strstr(said, "\"joined\""));
	assert_non_null(strstr(said, "\"joiner\""));
	assert_ptr_equal(op.arg, &deaf);
	assert_null(op.done);
	op_end(&op, 0);
	op_end(&third, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_thread_is_not_destroyed_under_its_coroutines),
		cmocka_unit_test(closing_the_environment_cancels_and_unwinds_them),
		cmocka_unit_test(an_os_thread_that_ends_unwinds_its_coroutines),
		cmocka_unit_test(a_call_to_another_os_thread_suspends),
		cmocka_unit_test(a_run_goes_on_until_its_coroutines_have_ended),
		cmocka_unit_test(closing_while_they_do_io_lets_them_clean_up),
		cmocka_unit_test(one_that_does_not_end_is_named_and_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
