/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rows T1, T2, T5, X5 (name, id): making and ending threads, their names and numbers, and which one is
 * current.
 */
#include "tests/unit/thread/rig.h"

#include <stdlib.h>

static void options_are_checked(void **state)
{
	static const char longest[] = "1234567890123456789012345678901";
	static const char longer[] = "12345678901234567890123456789012";
	static const struct {
		const char *name;
		uint32_t max_msgs;
		int rc;
		const char *words;
	} cases[] = {
		{ longest, 0, 0, NULL },
		{ longer, 0, -EINVAL, "longer than 31" },
		{ "", 1, 0, NULL },
		{ NULL, 1u << 24, 0, NULL },
		{ NULL, (1u << 24) + 1, -EINVAL, "max_msgs" },
		{ NULL, UINT32_MAX, -EINVAL, "max_msgs" },
	};
	struct rig r;

	rig_open_env(&r, false);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct nvio_thread_opts opts;
		struct nvio_thread *t = NULL;

		nvio_thread_opts_init(&opts);
		assert_int_equal(opts.max_msgs, NVIO_THREAD_MSGS_DEFAULT);
		opts.name = cases[i].name;
		opts.max_msgs = cases[i].max_msgs;
		assert_int_equal(nvio_thread_create(r.env, &opts, &t), cases[i].rc);
		if (cases[i].rc) {
			assert_null(t);
			assert_said(cases[i].words);
			continue;
		}
		if (cases[i].name)
			assert_string_equal(nvio_thread_name(t), cases[i].name);
		assert_int_equal(nvio_thread_destroy(t), 0);
	}
	rig_close(&r);
}

static void options_of_another_size_are_refused_or_read(void **state)
{
	struct {
		struct nvio_thread_opts opts;
		uint64_t later;
	} newer = { 0 };
	struct nvio_thread *t;
	struct rig r;

	rig_open_env(&r, false);
	newer.opts.size = sizeof(newer);
	assert_int_equal(nvio_thread_create(r.env, &newer.opts, &t), 0);
	assert_int_equal(nvio_thread_destroy(t), 0);
	newer.later = 1;
	assert_int_equal(nvio_thread_create(r.env, &newer.opts, &t), -E2BIG);
	newer.opts.size = 4;
	assert_int_equal(nvio_thread_create(r.env, &newer.opts, &t), -EINVAL);
	rig_close(&r);
}

static void ids_are_never_used_twice_and_name_the_nameless(void **state)
{
	struct nvio_thread *a, *b;
	struct rig r;
	char name[32];
	uint64_t id;

	rig_open_env(&r, false);
	assert_int_equal(nvio_thread_id(r.t), 1);
	assert_string_equal(nvio_thread_name(r.t), "thread-1");
	assert_int_equal(nvio_thread_create(r.env, NULL, &a), 0);
	id = nvio_thread_id(a);
	assert_int_equal(nvio_thread_destroy(a), 0);
	assert_int_equal(nvio_thread_create(r.env, NULL, &b), 0);
	assert_true(nvio_thread_id(b) > id);
	snprintf(name, sizeof(name), "thread-%d", (int)nvio_thread_id(b));
	assert_string_equal(nvio_thread_name(b), name);
	assert_int_equal(nvio_thread_destroy(b), 0);
	rig_close(&r);
}

static void the_app_thread_is_the_oldest_that_exists(void **state)
{
	struct nvio_env *env;
	struct nvio_thread *t[3];

	assert_int_equal(nvio_env_open(NULL, &env), 0);
	assert_null(nvio_thread_app(env));
	assert_int_equal(nvio_thread_count(env), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(nvio_thread_create(env, NULL, &t[i]), 0);
	assert_int_equal(nvio_thread_count(env), 3);
	assert_ptr_equal(nvio_thread_app(env), t[0]);
	assert_int_equal(nvio_thread_destroy(t[0]), 0);
	assert_ptr_equal(nvio_thread_app(env), t[1]);
	assert_int_equal(nvio_thread_destroy(t[2]), 0);
	assert_int_equal(nvio_thread_destroy(t[1]), 0);
	assert_null(nvio_thread_app(env));
	assert_int_equal(nvio_thread_count(env), 0);
	nvio_env_close(env);
}

static void attaching_nests_and_detaching_restores(void **state)
{
	struct nvio_thread *b;
	struct rig r;

	rig_open_env(&r, false);
	assert_int_equal(nvio_thread_create(r.env, NULL, &b), 0);
	assert_null(nvio_thread_current());
	assert_int_equal(nvio_thread_detach(r.t), -EINVAL);
	assert_int_equal(nvio_thread_detach(NULL), -EINVAL);
	assert_int_equal(nvio_thread_attach(r.t), 0);
	assert_int_equal(nvio_thread_attach(b), 0);
	assert_int_equal(nvio_thread_attach(r.t), 0);
	assert_ptr_equal(nvio_thread_current(), r.t);
	assert_int_equal(nvio_thread_detach(b), -EINVAL);
	assert_said("not current");
	assert_int_equal(nvio_thread_detach(r.t), 0);
	assert_ptr_equal(nvio_thread_current(), b);
	assert_int_equal(nvio_thread_detach(b), 0);
	assert_ptr_equal(nvio_thread_current(), r.t);
	assert_int_equal(nvio_thread_detach(r.t), 0);
	assert_null(nvio_thread_current());
	for (int i = 0; i < 16; i++)
		assert_int_equal(nvio_thread_attach(b), 0);
	assert_int_equal(nvio_thread_attach(b), -EINVAL);
	/* One that goes is not current any more, however often it was attached. */
	assert_int_equal(nvio_thread_destroy(b), 0);
	assert_null(nvio_thread_current());
	assert_int_equal(nvio_thread_attach(r.t), 0);
	assert_int_equal(nvio_thread_detach(r.t), 0);
	rig_close(&r);
}

struct inside {
	struct nvio_thread *t, *other;
	int calls;
};

static void look_around(void *arg)
{
	struct inside *in = arg;

	in->calls++;
	assert_ptr_equal(nvio_thread_current(), in->t);
	assert_int_equal(nvio_thread_detach(in->t), -EINVAL);
	assert_said("being polled");
	assert_int_equal(nvio_thread_attach(in->other), 0);
	assert_ptr_equal(nvio_thread_current(), in->other);
	assert_int_equal(nvio_thread_detach(in->other), 0);
	assert_ptr_equal(nvio_thread_current(), in->t);
	assert_int_equal(nvio_thread_destroy(in->t), -EBUSY);
	assert_said("its own poll");
	assert_true(nvio_thread_is_running(in->t));
}

static void a_poll_makes_its_thread_current_for_its_duration(void **state)
{
	struct inside in = { 0 };
	struct rig r;

	rig_open_env(&r, false);
	in.t = r.t;
	assert_int_equal(nvio_thread_create(r.env, NULL, &in.other), 0);
	for (int attached = 0; attached < 2; attached++) {
		if (attached)
			assert_int_equal(nvio_thread_attach(r.t), 0);
		assert_int_equal(nvio_thread_send(r.t, look_around, &in), 0);
		assert_int_equal(nvio_thread_poll(r.t, 0), 1);
		assert_ptr_equal(nvio_thread_current(), attached ? r.t : NULL);
	}
	assert_int_equal(in.calls, 2);
	assert_int_equal(nvio_thread_detach(r.t), 0);
	assert_int_equal(nvio_thread_destroy(in.other), 0);
	rig_close(&r);
}

struct holder {
	struct nvio_thread *t;
	atomic_int stage;
};

static int hold(void *arg)
{
	struct holder *h = arg;

	atomic_store(&h->stage, 1);
	while (atomic_load(&h->stage) == 1)
		usleep(100);
	return 0;
}

static void *poll_once(void *arg)
{
	struct holder *h = arg;

	nvio_thread_poll(h->t, 0);
	atomic_store(&h->stage, 3);
	return NULL;
}

static void another_os_thread_is_turned_away_while_one_polls(void **state)
{
	struct holder h = { 0 };
	struct nvio_poller *p;
	pthread_t os;
	struct rig r;

	rig_open_env(&r, false);
	h.t = r.t;
	assert_int_equal(nvio_poller_register(r.t, "hold", hold, &h, 0, &p), 0);
	assert_int_equal(pthread_create(&os, NULL, poll_once, &h), 0);
	while (atomic_load(&h.stage) != 1)
		usleep(100);
	assert_int_equal(nvio_thread_poll(r.t, 0), -EBUSY);
	assert_said("another OS thread");
	assert_int_equal(nvio_thread_attach(r.t), -EBUSY);
	assert_int_equal(nvio_thread_destroy(r.t), -EBUSY);
	assert_true(nvio_thread_is_running(r.t));
	atomic_store(&h.stage, 2);
	assert_int_equal(pthread_join(os, NULL), 0);
	nvio_poller_unregister(p);
	assert_int_equal(nvio_thread_poll(r.t, 0), 0);
	rig_close(&r);
}

static void an_exiting_thread_takes_nothing_new_and_runs_what_it_took(void **state)
{
	struct nvio_timer timer = { .fn = NULL };
	struct nvio_poller *p;
	struct rig r;
	int ran = 0;

	rig_open_env(&r, false);
	assert_true(nvio_thread_is_running(r.t));
	assert_int_equal(nvio_timer_start(r.t, &timer, 0), -EINVAL);
	timer.fn = (void (*)(struct nvio_timer *))abort;
	assert_int_equal(nvio_thread_send(r.t, rig_count, &ran), 0);
	nvio_thread_exit(r.t);
	nvio_thread_exit(r.t);
	assert_false(nvio_thread_is_running(r.t));
	assert_int_equal(nvio_thread_send(r.t, rig_count, &ran), -ESHUTDOWN);
	assert_int_equal(nvio_poller_register(r.t, "p", rig_count_poller, &ran, 0, &p), -ESHUTDOWN);
	assert_int_equal(nvio_poller_register(r.t, "p", rig_count_poller, &ran, 10, &p), -ESHUTDOWN);
	assert_int_equal(nvio_timer_start(r.t, &timer, 0), -ESHUTDOWN);
	assert_int_equal(ran, 0);
	assert_int_equal(nvio_thread_poll(r.t, 0), 1);
	assert_int_equal(ran, 1);
	rig_close(&r);
}

static void destroy_runs_messages_and_frees_pollers_and_timers(void **state)
{
	struct nvio_timer timer = { .fn = (void (*)(struct nvio_timer *))abort };
	struct nvio_poller *p;
	struct rig r;
	int ran = 0, polled = 0;

	rig_open_env(&r, false);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(nvio_thread_send(r.t, rig_count, &ran), 0);
	assert_int_equal(nvio_poller_register(r.t, "active", rig_count_poller, &polled, 0, &p), 0);
	nvio_poller_pause(p);
	assert_int_equal(nvio_poller_register(r.t, "b", rig_count_poller, &polled, 0, &p), 0);
	assert_int_equal(nvio_poller_register(r.t, "timed", rig_count_poller, &polled, 1000, &p), 0);
	assert_int_equal(nvio_timer_start(r.t, &timer, 3600000000), 0);
	rig_close(&r);
	assert_int_equal(ran, 1000);
	assert_int_equal(polled, 0);
	nvio_timer_stop(&timer); /* it knows that it is not started any more */
	assert_int_equal(timer.heap_index, 0);
}

static void closing_the_environment_runs_what_was_accepted(void **state)
{
	int files = unit_open_files();
	struct nvio_thread *b;
	struct rig r;
	int ran = 0;

	rig_open_env(&r, false);
	assert_int_equal(nvio_thread_create(r.env, NULL, &b), 0);
	assert_int_equal(nvio_thread_send(r.t, rig_count, &ran), 0);
	assert_int_equal(nvio_thread_send(b, rig_count, &ran), 0);
	assert_int_equal(nvio_thread_attach(b), 0);
	nvio_env_close(r.env);
	assert_int_equal(ran, 2);
	assert_null(nvio_thread_current());
	assert_int_equal(unit_open_files(), files);
}

static void a_failed_create_leaves_nothing(void **state)
{
	struct rig r;
	int files;

	rig_open_env(&r, false);
	files = unit_open_files();
	for (long n = 0, left = -1; left < 0; n++) {
		struct nvio_thread *t = NULL;
		int rc;

		alloc_fail_after(n);
		rc = nvio_thread_create(r.env, NULL, &t);
		left = alloc_fail_after(-1);
		if (left < 0)
			assert_int_equal(rc, -ENOMEM);
		else
			assert_int_equal(rc, 0);
		assert_int_equal(nvio_thread_count(r.env), rc ? 1 : 2);
		if (!rc)
			assert_int_equal(nvio_thread_destroy(t), 0);
		assert_int_equal(unit_open_files(), files);
	}
	rig_close(&r);
}

static int create_without_descriptors(void *arg)
{
	struct rig *r = arg;
	int first = dup(0), last = first;
	struct nvio_thread *t;

	/* All taken but `free`: each of the three descriptors fails in turn. */
	while ((first = dup(0)) >= 0)
		last = first;
	for (int free = 0; free < 3; free++) {
		if (nvio_thread_create(r->env, NULL, &t) != -EMFILE || nvio_thread_count(r->env) != 1)
			return 1 + free;
		close(last--);
	}
	return nvio_thread_create(r->env, NULL, &t) ? 9 : 0;
}

static void without_descriptors_the_answer_is_emfile(void **state)
{
	struct rig r;

	rig_open_env(&r, false);
	assert_int_equal(unit_in_child(create_without_descriptors, &r), 0);
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_are_checked),
		cmocka_unit_test(options_of_another_size_are_refused_or_read),
		cmocka_unit_test(ids_are_never_used_twice_and_name_the_nameless),
		cmocka_unit_test(the_app_thread_is_the_oldest_that_exists),
		cmocka_unit_test(attaching_nests_and_detaching_restores),
		cmocka_unit_test(a_poll_makes_its_thread_current_for_its_duration),
		cmocka_unit_test(another_os_thread_is_turned_away_while_one_polls),
		cmocka_unit_test(an_exiting_thread_takes_nothing_new_and_runs_what_it_took),
		cmocka_unit_test(destroy_runs_messages_and_frees_pollers_and_timers),
		cmocka_unit_test(closing_the_environment_runs_what_was_accepted),
		cmocka_unit_test(a_failed_create_leaves_nothing),
		cmocka_unit_test(without_descriptors_the_answer_is_emfile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
