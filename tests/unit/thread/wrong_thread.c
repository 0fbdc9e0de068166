/* SPDX-License-Identifier: BSD-3-Clause */
/* Row T10: checked builds report a call on the wrong OS thread with the names of both nvio_threads. */
#include "tests/unit/thread/rig.h"

#include <fcntl.h>

#include <nvio/co.h>

enum call {
	CALL_REGISTER,
	CALL_UNREGISTER,
	CALL_PAUSE,
	CALL_RESUME,
	CALL_TIMER_START,
	CALL_TIMER_STOP,
	CALL_ADD_FD,
	CALL_REMOVE_FD,
	CALL_TIMEOUT,
	CALL_FD,
	CALL_PUT,
	CALL_CTX,
	CALL_IS_IDLE,
	CALL_HAS_ACTIVE,
	CALL_HAS_POLLERS,
	CALL_CANCEL_CALL,
	CALL_CANCEL_WALK,
	CALL_CO_CANCEL,
	CALL_CO_DETACH,
	CALLS,
};

static const char *const names[CALLS] = {
	"nvio_poller_register",
	"nvio_poller_unregister",
	"nvio_poller_pause",
	"nvio_poller_resume",
	"nvio_timer_start",
	"nvio_timer_stop",
	"nvio_thread_add_fd",
	"nvio_thread_remove_fd",
	"nvio_thread_timeout_ms",
	"nvio_thread_fd",
	"nvio_channel_put",
	"nvio_channel_ctx",
	"nvio_thread_is_idle",
	"nvio_thread_has_active_pollers",
	"nvio_thread_has_pollers",
	"nvio_cancel",
	"nvio_cancel",
	"nvio_co_cancel",
	"nvio_co_detach",
};

struct scene {
	struct nvio_env *env;
	struct nvio_thread *theirs, *mine;
	struct nvio_poller *p;
	struct nvio_timer timer;
	struct nvio_channel *ch;
	struct nvio_op op, walk;
	struct nvio_co *co;
	enum call call;
	int err; /* where standard error goes */
	atomic_bool attached;
};

static void *attach_and_stay(void *arg)
{
	struct scene *s = arg;

	nvio_thread_attach(s->theirs);
	atomic_store(&s->attached, true);
	while (atomic_load(&s->attached))
		pause();
	return NULL;
}

static int nothing(void *arg)
{
	return 0;
}

static int visit_nothing(struct nvio_channel *ch, void *arg)
{
	return 0;
}

static void make_call(struct scene *s)
{
	switch (s->call) {
	case CALL_REGISTER: nvio_poller_register(s->theirs, "q", nothing, NULL, 0, &s->p); break;
	case CALL_UNREGISTER: nvio_poller_unregister(s->p); break;
	case CALL_PAUSE: nvio_poller_pause(s->p); break;
	case CALL_RESUME: nvio_poller_resume(s->p); break;
	case CALL_TIMER_START: nvio_timer_start(s->theirs, &s->timer, 1); break;
	case CALL_TIMER_STOP: nvio_timer_stop(&s->timer); break;
	case CALL_ADD_FD: nvio_thread_add_fd(s->theirs, 0, nothing, NULL); break;
	case CALL_REMOVE_FD: nvio_thread_remove_fd(s->theirs, 0); break;
	case CALL_TIMEOUT: nvio_thread_timeout_ms(s->theirs); break;
	case CALL_FD: nvio_thread_fd(s->theirs); break;
	case CALL_PUT: nvio_channel_put(s->ch); break;
	case CALL_CTX: nvio_channel_ctx(s->ch); break;
	case CALL_IS_IDLE: nvio_thread_is_idle(s->theirs); break;
	case CALL_HAS_ACTIVE: nvio_thread_has_active_pollers(s->theirs); break;
	case CALL_HAS_POLLERS: nvio_thread_has_pollers(s->theirs); break;
	case CALL_CANCEL_CALL: nvio_cancel(&s->op); break;
	case CALL_CANCEL_WALK: nvio_cancel(&s->walk); break;
	case CALL_CO_CANCEL: nvio_co_cancel(s->co); break;
	case CALL_CO_DETACH: nvio_co_detach(s->co); break;
	case CALLS: break;
	}
}

static void ignore(struct nvio_timer *timer)
{
	(void)timer;
}

/* In a child process, which aborts. */
static int play(void *arg)
{
	static const struct nvio_io_device_ops ops = { .name = "toy" };
	struct nvio_thread_opts opts;
	struct scene *s = arg;
	pthread_t os;

	nvio_thread_opts_init(&opts);
	if (nvio_env_open(NULL, &s->env))
		return 1;
	opts.name = "theirs";
	if (nvio_thread_create(s->env, &opts, &s->theirs))
		return 1;
	opts.name = "mine";
	if (nvio_thread_create(s->env, &opts, &s->mine))
		return 1;
	s->timer.fn = ignore;
	nvio_thread_attach(s->theirs);
	if (nvio_poller_register(s->theirs, "p", nothing, NULL, 0, &s->p) ||
		nvio_timer_start(s->theirs, &s->timer, 1000) || nvio_io_device_register(s->env, s, &ops) ||
		nvio_channel_get(s->env, s, &s->ch) || nvio_thread_call(s->mine, nothing, NULL, &s->op) ||
		nvio_channel_for_each(s->env, s, visit_nothing, NULL, &s->walk) || nvio_co_spawn(s->theirs, nothing, NULL, NULL, &s->co))
		return 1;
	nvio_thread_detach(s->theirs);
	if (pthread_create(&os, NULL, attach_and_stay, s))
		return 1;
	while (!atomic_load(&s->attached))
		usleep(100);
	nvio_thread_attach(s->mine);
	dup2(s->err, 2);
	make_call(s);
	return 2; /* it went through */
}

static void each_call_names_both_threads(void **state)
{
	if (!NVIO_CHECKED) {
		print_message("# only checked builds check (-Dchecked=true)\n");
		skip();
	}
	for (int call = 0; call < CALLS; call++) {
		struct scene s = { .call = call };
		char text[1024] = { 0 };
		int fds[2];

		assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
		s.err = fds[1];
		assert_int_equal(unit_in_child(play, &s), -1);
		assert_true(read(fds[0], text, sizeof(text) - 1) > 0);
		assert_non_null(strstr(text, names[call]));
		assert_non_null(strstr(text, "\"theirs\""));
		assert_non_null(strstr(text, "\"mine\""));
		close(fds[0]);
		close(fds[1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_call_names_both_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
