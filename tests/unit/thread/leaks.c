/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rows C1, T5, T10: channels that nobody puts, or puts too often, and callbacks that leave another thread
 * current.
 */
#include "tests/unit/thread/toy.h"

#include <fcntl.h>

static char logged[8192];

static void keep_log(void *arg, enum nvio_log_level level, const char *text)
{
	strncat(logged, text, sizeof(logged) - strlen(logged) - 2);
	strcat(logged, "\n");
}

static struct nvio_thread *open_named(struct nvio_env **env, struct device *d)
{
	struct nvio_thread_opts thread_opts;
	struct nvio_env_opts opts;
	struct nvio_thread *t;

	logged[0] = '\0';
	memset(d, 0, sizeof(*d));
	nvio_env_opts_init(&opts);
	opts.log_fn = keep_log;
	assert_int_equal(nvio_env_open(&opts, env), 0);
	nvio_thread_opts_init(&thread_opts);
	thread_opts.name = "forgetful";
	assert_int_equal(nvio_thread_create(*env, &thread_opts, &t), 0);
	assert_int_equal(nvio_io_device_register(*env, d, &ops), 0);
	assert_int_equal(nvio_thread_attach(t), 0);
	return t;
}

/* Where it was got: in this very program. */
static void assert_place(const char *text)
{
	if (NVIO_CHECKED)
		assert_non_null(strstr(text, "test_thread_leaks+0x"));
}

static void a_leaked_channel_is_reported_at_close(void **state)
{
	struct nvio_channel *ch;
	struct nvio_env *env;
	struct device d;

	open_named(&env, &d);
	assert_int_equal(nvio_channel_get(env, &d, &ch), 0);
	assert_int_equal(nvio_channel_get(env, &d, &ch), 0);
	nvio_env_close(env);
	assert_int_equal(d.destroyed, 1);
	assert_non_null(strstr(logged, "forgetful"));
	assert_non_null(strstr(logged, "device toy is still held, 2 times"));
	assert_place(logged);
}

static void what_was_put_is_not_reported(void **state)
{
	struct nvio_channel *ch;
	struct nvio_env *env;
	struct device d;

	open_named(&env, &d);
	assert_int_equal(nvio_channel_get(env, &d, &ch), 0);
	nvio_channel_put(ch);
	nvio_env_close(env);
	assert_string_equal(logged, "");
}

static void destroy_names_what_is_held(void **state)
{
	struct nvio_channel *ch;
	struct nvio_thread *t;
	struct nvio_env *env;
	struct device d;

	t = open_named(&env, &d);
	assert_int_equal(nvio_channel_get(env, &d, &ch), 0);
	assert_int_equal(nvio_thread_destroy(t), -EBUSY);
	assert_said("forgetful");
	assert_said("device toy, 1 times");
	assert_place(nvio_errmsg());
	nvio_channel_put(ch);
	assert_int_equal(nvio_thread_destroy(t), 0);
	nvio_env_close(env);
}

/* ---- what makes checked builds abort ---- */

enum mistake {
	PUT_TWICE,
	PUT_WHEN_GONE,
	STAY_IN_POLLER,
	STAY_IN_TIMED_POLLER,
	STAY_IN_MESSAGE,
	STAY_IN_DONE,
	MISTAKES,
};

static const struct {
	const char *words[2];
} expected[MISTAKES] = {
	[PUT_TWICE] = { { "nvio_channel_put", "device \"toy\" on thread \"forgetful\"" } },
	[PUT_WHEN_GONE] = { { "nvio_channel_put", "device \"toy\" on thread \"forgetful\"" } },
	[STAY_IN_POLLER] = { { "poller guest", "\"other\" current" } },
	[STAY_IN_TIMED_POLLER] = { { "forgetful", "\"other\" current" } },
	[STAY_IN_MESSAGE] = { { "a message", "\"other\" current" } },
	[STAY_IN_DONE] = { { "a completion", "\"other\" current" } },
};

static int stay(void *arg)
{
	nvio_thread_attach(arg);
	return 0;
}

static int stay_away(void *arg)
{
	return 0;
}

static void stay_message(void *arg)
{
	stay(arg);
}

static void stay_done(struct nvio_op *op)
{
	stay(op->arg);
}

struct scene {
	enum mistake mistake;
	int err;
};

static int play(void *arg)
{
	struct scene *s = arg;
	struct nvio_thread_opts opts;
	struct nvio_thread *t, *other;
	struct nvio_op op = NVIO_OP(stay_done);
	struct nvio_channel *ch;
	struct nvio_poller *p;
	struct nvio_env *env;
	struct device d;

	t = open_named(&env, &d);
	nvio_thread_opts_init(&opts);
	opts.name = "other";
	if (nvio_thread_create(env, &opts, &other) || nvio_channel_get(env, &d, &ch))
		return 1;
	dup2(s->err, 2);
	switch (s->mistake) {
	case PUT_TWICE:
	case PUT_WHEN_GONE:
		nvio_channel_put(ch);
		if (s->mistake == PUT_WHEN_GONE)
			nvio_thread_poll(t, 0);
		nvio_channel_put(ch);
		return 2;
	case STAY_IN_POLLER: nvio_poller_register(t, "guest", stay, other, 0, &p); break;
	case STAY_IN_TIMED_POLLER: nvio_poller_register(t, "guest", stay, other, 1, &p); break;
	case STAY_IN_MESSAGE: nvio_thread_send(t, stay_message, other); break;
	case STAY_IN_DONE:
		op.arg = other;
		nvio_thread_call(t, stay_away, NULL, &op);
		break;
	case MISTAKES: break;
	}
	for (int i = 0; i < 1000; i++) {
		nvio_thread_poll(t, 0);
		usleep(100);
	}
	return 2;
}

static void mistakes_are_told_by_name(void **state)
{
	if (!NVIO_CHECKED) {
		print_message("# only checked builds check (-Dchecked=true)\n");
		skip();
	}
	for (int mistake = 0; mistake < MISTAKES; mistake++) {
		struct scene s = { .mistake = mistake };
		char text[1024] = { 0 };
		int fds[2];

		assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
		s.err = fds[1];
		assert_int_equal(unit_in_child(play, &s), -1);
		assert_true(read(fds[0], text, sizeof(text) - 1) > 0);
		for (int i = 0; i < 2; i++)
			if (!strstr(text, expected[mistake].words[i]))
				assert_string_equal(text, expected[mistake].words[i]);
		close(fds[0]);
		close(fds[1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_leaked_channel_is_reported_at_close),
		cmocka_unit_test(what_was_put_is_not_reported),
		cmocka_unit_test(destroy_names_what_is_held),
		cmocka_unit_test(mistakes_are_told_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
