/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows T6, T5, X5 (name, id, spawn returning a value): OS threads with an nvio_thread of their own. */
#include "tests/unit/thread/toy.h"

#include <limits.h>
#include <signal.h>

#include "thread/spawn.h"
#include <nvio/error.h>

static int fails(struct nvio_thread *t, void *arg)
{
	return *(int *)arg;
}

static int fails_in_words(struct nvio_thread *t, void *arg)
{
	return nvio_channel_get((struct nvio_env *)arg, NULL, &(struct nvio_channel *){ NULL });
}

static void join_gives_the_value_of_the_function(void **state)
{
	static const int values[] = { 0, 17, INT_MAX, -EIO, INT_MIN };

	for (size_t i = 0; i < ARRAY_SIZE(values) * 2; i++) {
		int value = values[i / 2];
		struct nvio_os_thread *os;
		struct rig r;

		rig_open_env(&r, false);
		if (i % 2)
			assert_int_equal(nvio_thread_attach(r.t), 0);
		assert_int_equal(nvio_os_thread_spawn(r.env, NULL, fails, &value, &os), 0);
		assert_int_equal(nvio_os_thread_join(os), value);
		assert_int_equal(nvio_thread_count(r.env), 1);
		if (i % 2)
			assert_int_equal(nvio_thread_detach(r.t), 0);
		rig_close(&r);
	}
}

static void a_failing_function_reaches_join_with_its_words(void **state)
{
	struct nvio_os_thread *os;
	struct rig r;

	rig_open_env(&r, false);
	assert_int_equal(nvio_os_thread_spawn(r.env, NULL, fails_in_words, r.env, &os), 0);
	assert_int_equal(nvio_os_thread_join(os), -ENODEV);
	assert_said("channel: get: device");
	rig_close(&r);
}

struct look {
	char name[32], kernel_name[32];
	uint64_t id;
	int cores, core;
	bool current, signals_blocked;
	size_t stack;
};

static int look_around(struct nvio_thread *t, void *arg)
{
	struct look *l = arg;
	pthread_attr_t attr;
	cpu_set_t set;
	sigset_t mask;

	snprintf(l->name, sizeof(l->name), "%s", nvio_thread_name(t));
	pthread_getname_np(pthread_self(), l->kernel_name, sizeof(l->kernel_name));
	l->id = nvio_thread_id(t);
	l->current = nvio_thread_current() == t;
	pthread_getaffinity_np(pthread_self(), sizeof(set), &set);
	l->cores = CPU_COUNT(&set);
	l->core = l->cores == 1 ? sched_getcpu() : -1;
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	/* Blocked, the SIGBUS of a drive that was pulled out would end the process, whatever handles it. */
	l->signals_blocked = sigismember(&mask, SIGTERM) && sigismember(&mask, SIGUSR1) && !sigismember(&mask, SIGBUS);
	pthread_getattr_np(pthread_self(), &attr);
	pthread_attr_getstacksize(&attr, &l->stack);
	pthread_attr_destroy(&attr);
	return 0;
}

static void the_options_are_honoured(void **state)
{
	struct nvio_os_thread_opts opts;
	struct nvio_os_thread *os;
	struct look l = { 0 };
	sigset_t mask;
	int cores[1024];
	struct rig r;

	rig_open_env(&r, false);
	nvio_os_thread_opts_init(&opts);
	opts.name = "a worker with a long name";
	opts.core = (nvio_env_cores(r.env, cores, ARRAY_SIZE(cores)), cores[0]);
	opts.stack_size = 1 << 20;
	assert_int_equal(nvio_os_thread_spawn(r.env, &opts, look_around, &l, &os), 0);
	assert_string_equal(nvio_thread_handle_name(nvio_os_thread_handle(os)), opts.name);
	assert_int_equal(nvio_os_thread_join(os), 0);
	assert_string_equal(l.name, opts.name);
	assert_string_equal(l.kernel_name, "a worker with a");
	assert_int_equal(l.id, 2);
	assert_true(l.current);
	assert_true(l.signals_blocked);
	assert_int_equal(l.cores, 1);
	assert_int_equal(l.core, cores[0]);
	assert_int_equal(l.stack, 1 << 20);
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	assert_false(sigismember(&mask, SIGTERM));
	rig_close(&r);
}

static void bad_options_are_refused_and_leave_nothing(void **state)
{
	static const struct {
		struct nvio_os_thread_opts opts;
		int rc;
		const char *words;
	} cases[] = {
		{ { .size = 4 }, -EINVAL, "size" },
		{ { .core = -2 }, -EINVAL, "core is -2" },
		{ { .core = 1023 }, -EINVAL, "not in the core mask" },
		{ { .core = -1, .name = "12345678901234567890123456789012" }, -EINVAL, "longer" },
		{ { .core = -1, .max_msgs = UINT32_MAX }, -EINVAL, "max_msgs" },
		{ { .core = -1, .stack_size = 1 }, -EINVAL, "stack of 1 bytes" },
		{ { .core = -1, .stack_size = (size_t)1 << 60 }, -EAGAIN, "cannot start" },
	};
	int files;
	struct rig r;

	rig_open_env(&r, false);
	files = unit_open_files();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct nvio_os_thread_opts opts = cases[i].opts;
		struct nvio_os_thread *os = NULL;
		int value = 0, rc;

		if (!opts.size)
			opts.size = sizeof(opts);
		rc = nvio_os_thread_spawn(r.env, &opts, fails, &value, &os);
		if (cases[i].rc == -EAGAIN && rc == -ENOMEM)
			rc = -EAGAIN; /* as the system likes */
		assert_int_equal(rc, cases[i].rc);
		assert_said(cases[i].words);
		assert_null(os);
		assert_int_equal(nvio_thread_count(r.env), 1);
		assert_int_equal(unit_open_files(), files);
	}
	rig_close(&r);
}

static void each_failing_allocation_leaves_nothing(void **state)
{
	int files, value = 0;
	struct rig r;

	rig_open_env(&r, false);
	files = unit_open_files();
	for (long n = 0, left = -1; left < 0; n++) {
		struct nvio_os_thread *os;
		int rc;

		alloc_fail_after(n);
		rc = nvio_os_thread_spawn(r.env, NULL, fails, &value, &os);
		left = alloc_fail_after(-1);
		assert_int_equal(rc, left < 0 ? -ENOMEM : 0);
		if (!rc)
			assert_int_equal(nvio_os_thread_join(os), 0);
		assert_int_equal(nvio_thread_count(r.env), 1);
		assert_int_equal(unit_open_files(), files);
	}
	rig_close(&r);
}

struct talk {
	struct nvio_thread_handle *to;
	int answer;
};

static int current_id(void *arg)
{
	return (int)nvio_thread_id(nvio_thread_current());
}

static int call_home(struct nvio_thread *t, void *arg)
{
	struct talk *talk = arg;
	struct nvio_op op = NVIO_OP(NULL);

	talk->answer = nvio_await(nvio_thread_handle_call(talk->to, current_id, NULL, &op), &op);
	return talk->answer;
}

/* No deadlock: the one that joins has an nvio_thread, and answers while it waits. */
static void who_joins_answers_the_joined_one(void **state)
{
	struct nvio_os_thread *os;
	struct talk talk;
	struct rig r;

	rig_open_env(&r, false);
	talk.to = nvio_thread_handle_get(r.t);
	assert_int_equal(nvio_thread_attach(r.t), 0);
	assert_int_equal(nvio_os_thread_spawn(r.env, NULL, call_home, &talk, &os), 0);
	assert_int_equal(nvio_os_thread_join(os), 1);
	assert_int_equal(nvio_thread_detach(r.t), 0);
	nvio_thread_handle_put(talk.to);
	rig_close(&r);
}

static int until_told(struct nvio_thread *t, void *arg)
{
	while (!atomic_load((atomic_bool *)arg))
		usleep(100);
	return 3;
}

static void the_wait_is_an_op_with_deadline_and_cancel(void **state)
{
	for (int attached = 0; attached < 2; attached++) {
		struct nvio_op late = NVIO_OP(NULL), stopped = NVIO_OP(NULL),
			       good[2] = { NVIO_OP(NULL), NVIO_OP(NULL) };
		struct nvio_os_thread *os;
		atomic_bool tell = false;
		struct rig r;

		rig_open_env(&r, false);
		if (attached)
			assert_int_equal(nvio_thread_attach(r.t), 0);
		assert_int_equal(nvio_os_thread_spawn(r.env, NULL, until_told, &tell, &os), 0);
		late.timeout_us = 1000;
		assert_int_equal(nvio_os_thread_wait(os, &late), 0);
		assert_int_equal(nvio_os_thread_wait(os, &stopped), 0);
		assert_int_equal(nvio_os_thread_wait(os, &good[0]), 0);
		assert_int_equal(nvio_cancel(&stopped), 0);
		assert_int_equal(nvio_wait(&late), -ETIMEDOUT);
		assert_int_equal(nvio_wait(&stopped), -ECANCELED);
		assert_false(nvio_os_thread_is_finished(os));
		assert_true(nvio_op_pending(&good[0]));
		atomic_store(&tell, true);
		assert_int_equal(nvio_wait(&good[0]), 0);
		assert_true(nvio_os_thread_is_finished(os));
		assert_int_equal(nvio_await(nvio_os_thread_wait(os, &good[1]), &good[1]), 0);
		assert_int_equal(nvio_os_thread_join(os), 3);
		if (attached)
			assert_int_equal(nvio_thread_detach(r.t), 0);
		rig_close(&r);
	}
}

static struct nvio_os_thread *itself;
static atomic_int join_rc;

static int join_itself(struct nvio_thread *t, void *arg)
{
	while (!atomic_load((atomic_bool *)arg))
		usleep(100);
	atomic_store(&join_rc, nvio_os_thread_join(itself));
	return 1;
}

static void joining_oneself_is_refused(void **state)
{
	atomic_bool go = false;
	struct rig r;

	rig_open_env(&r, false);
	assert_int_equal(nvio_os_thread_spawn(r.env, NULL, join_itself, &go, &itself), 0);
	atomic_store(&go, true);
	assert_int_equal(nvio_os_thread_join(itself), 1);
	assert_int_equal(join_rc, -EDEADLK);
	rig_close(&r);
}

/*
 * Detached before and after the end, and the environment closed with it running: all of it is freed (ASan
 * looks).
 */
static void a_detached_one_frees_itself(void **state)
{
	for (int way = 0; way < 3; way++) {
		atomic_bool tell = way == 1;
		struct nvio_os_thread *os;
		struct rig r;

		rig_open_env(&r, false);
		assert_int_equal(
			nvio_os_thread_spawn(r.env, NULL, way == 2 ? NULL : until_told, &tell, &os), 0);
		while (way == 1 && !nvio_os_thread_is_finished(os))
			usleep(100);
		nvio_os_thread_detach(os);
		atomic_store(&tell, true);
		nvio_env_close(r.env);
	}
}

static void spawn_without_a_function_runs_until_exit(void **state)
{
	struct nvio_op op = NVIO_OP(NULL);
	struct nvio_os_thread *os;
	struct rig r;

	rig_open_env(&r, false);
	assert_int_equal(nvio_os_thread_spawn(r.env, NULL, NULL, NULL, &os), 0);
	assert_int_equal(
		nvio_await(nvio_thread_handle_call(nvio_os_thread_handle(os), current_id, NULL, &op), &op),
		2);
	assert_false(nvio_os_thread_is_finished(os));
	nvio_env_close(r.env); /* asks it to exit, joins and frees it */
}

struct careless {
	struct device d;
	struct nvio_env *env;
	struct nvio_thread *never_polled;
	struct nvio_op op;
	int done, polled;
};

static int keep_things(struct nvio_thread *t, void *arg)
{
	struct careless *c = arg;
	struct nvio_channel *ch;
	struct nvio_poller *p;

	c->op = (struct nvio_op)NVIO_OP(count_done);
	c->op.arg = &c->done;
	if (nvio_channel_get(c->env, &c->d, &ch) ||
		nvio_poller_register(t, "p", rig_count_poller, &c->polled, 0, &p) ||
		nvio_thread_send(t, rig_count, &c->done) ||
		nvio_thread_call(c->never_polled, current_id, NULL, &c->op))
		return -EIO;
	return 9;
}

static char logged[4096];

static void keep_log(void *arg, enum nvio_log_level level, const char *text)
{
	strncat(logged, text, sizeof(logged) - strlen(logged) - 2);
	strcat(logged, "\n");
}

/*
 * T5: channels held, messages and calls pending when the function returns: drained, taken away, and reported.
 */
static void what_the_function_leaves_is_cleared_and_reported(void **state)
{
	struct nvio_env_opts opts;
	struct nvio_os_thread *os;
	struct careless c = { 0 };

	logged[0] = '\0';
	nvio_env_opts_init(&opts);
	opts.log_fn = keep_log;
	assert_int_equal(nvio_env_open(&opts, &c.env), 0);
	assert_int_equal(nvio_thread_create(c.env, NULL, &c.never_polled), 0);
	assert_int_equal(nvio_io_device_register(c.env, &c.d, &ops), 0);
	assert_int_equal(nvio_os_thread_spawn(c.env, NULL, keep_things, &c, &os), 0);
	assert_int_equal(nvio_os_thread_join(os), 9);
	assert_int_equal(c.done, 2);
	assert_int_equal(c.op.status, -ECANCELED);
	assert_int_equal(c.d.created, 1);
	assert_int_equal(c.d.destroyed, 1);
	assert_non_null(strstr(logged, "thread-2"));
	assert_non_null(strstr(logged, "device toy"));
	assert_int_equal(nvio_thread_count(c.env), 1);
	assert_int_equal(nvio_io_device_unregister(c.env, &c.d, NULL), 0);
	nvio_env_close(c.env);
}

/* It waits for an answer of a thread that nobody polls; the environment's end gives it one. */
static void closing_answers_calls_that_nobody_would(void **state)
{
	struct nvio_os_thread *os;
	struct talk talk;
	struct rig r;

	rig_open_env(&r, false);
	talk.to = nvio_thread_handle_get(r.t);
	talk.answer = 0;
	assert_int_equal(nvio_os_thread_spawn(r.env, NULL, call_home, &talk, &os), 0);
	usleep(10000);
	nvio_env_close(r.env);
	assert_int_equal(talk.answer, -ESHUTDOWN);
	nvio_thread_handle_put(talk.to);
}

static int never_returns(struct nvio_thread *t, void *arg)
{
	for (;;)
		pause();
	return 0;
}

static int close_with_a_stuck_thread(void *arg)
{
	struct nvio_os_thread_opts opts;
	struct nvio_os_thread *os;
	struct nvio_env *env;

	nvio_os_thread_opts_init(&opts);
	opts.name = "stuck";
	os_thread_close_ms = 1500;
	if (nvio_env_open(NULL, &env) || nvio_os_thread_spawn(env, &opts, never_returns, NULL, &os))
		return 1;
	dup2(*(int *)arg, 2);
	nvio_env_close(env);
	return 2;
}

static void one_that_does_not_return_is_told_by_name(void **state)
{
	char text[2048] = { 0 };
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(unit_in_child(close_with_a_stuck_thread, &fds[1]), -1);
	assert_true(read(fds[0], text, sizeof(text) - 1) > 0);
	assert_non_null(strstr(text, "waiting for the function of OS thread \"stuck\""));
	assert_non_null(strstr(text, "has not returned"));
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(join_gives_the_value_of_the_function),
		cmocka_unit_test(a_failing_function_reaches_join_with_its_words),
		cmocka_unit_test(the_options_are_honoured),
		cmocka_unit_test(bad_options_are_refused_and_leave_nothing),
		cmocka_unit_test(each_failing_allocation_leaves_nothing),
		cmocka_unit_test(who_joins_answers_the_joined_one),
		cmocka_unit_test(the_wait_is_an_op_with_deadline_and_cancel),
		cmocka_unit_test(joining_oneself_is_refused),
		cmocka_unit_test(a_detached_one_frees_itself),
		cmocka_unit_test(spawn_without_a_function_runs_until_exit),
		cmocka_unit_test(what_the_function_leaves_is_cleared_and_reported),
		cmocka_unit_test(closing_answers_calls_that_nobody_would),
		cmocka_unit_test(one_that_does_not_return_is_told_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
