/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rows C1, C2, T5: what goes from thread to thread: the walk over a device's channels, and ends that other
 * threads take part in.
 */
#include "tests/unit/thread/toy.h"

/* Four threads on this one OS thread, each with a channel but the last. */
struct walk {
	struct rig rig;
	struct device d;
	struct nvio_thread *t[4];
	struct nvio_channel *ch[3];
	struct nvio_op op;
	int done;
};

static void walk_open(struct walk *w)
{
	memset(w, 0, sizeof(*w));
	open_with_device(&w->rig, &w->d);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(nvio_thread_create(w->rig.env, NULL, &w->t[i]), 0);
		if (i == 3)
			break;
		assert_int_equal(nvio_thread_attach(w->t[i]), 0);
		assert_int_equal(nvio_channel_get(w->rig.env, &w->d, &w->ch[i]), 0);
		assert_int_equal(nvio_thread_detach(w->t[i]), 0);
	}
	w->op = (struct nvio_op)NVIO_OP(count_done);
	w->op.arg = &w->done;
}

static int visits(struct walk *w, int i)
{
	return ((struct context *)nvio_channel_ctx(w->ch[i]))->visits;
}

static void walk_close(struct walk *w)
{
	for (int i = 0; i < 3; i++)
		if (w->ch[i])
			nvio_channel_put(w->ch[i]);
	for (int i = 0; i < 4; i++)
		assert_int_equal(nvio_thread_destroy(w->t[i]), 0);
	close_with_device(&w->rig, &w->d);
}

static void the_walk_visits_each_channel_on_its_own_thread_one_after_another(void **state)
{
	struct walk w;

	walk_open(&w);
	assert_int_equal(nvio_channel_for_each(w.rig.env, &w.d, visit, NULL, &w.op), 0);
	assert_int_equal(visits(&w, 0), 0);
	nvio_thread_poll(w.t[1], 0);
	nvio_thread_poll(w.t[2], 0);
	assert_int_equal(visits(&w, 1) + visits(&w, 2), 0); /* not before the first one's turn is over */
	for (int i = 0; i < 3; i++) {
		nvio_thread_poll(w.rig.t, 0);
		assert_int_equal(w.done, 0);
		assert_int_equal(nvio_thread_poll(w.t[i], 0), 1);
		assert_int_equal(visits(&w, i), 1);
	}
	assert_int_equal(w.done, 0);
	nvio_thread_poll(w.rig.t, 0);
	assert_int_equal(w.done, 1);
	assert_int_equal(w.op.status, 0);
	walk_close(&w);
}

static int refuse(struct nvio_channel *ch)
{
	return -EIO;
}

static int yes(struct nvio_channel *ch)
{
	return 5;
}

static void run_all(struct walk *w)
{
	for (int i = 0; i < 20 && !w->done; i++) {
		for (int n = 0; n < 4; n++)
			nvio_thread_poll(w->t[n], 0);
		nvio_thread_poll(w->rig.t, 0);
	}
	assert_int_equal(w->done, 1);
}

static void a_negative_return_ends_the_walk_and_no_other_does(void **state)
{
	static const struct {
		int (*fn)(struct nvio_channel *ch);
		int status, visits[3];
	} cases[] = {
		{ NULL, 0, { 1, 1, 1 } },
		{ yes, 0, { 1, 1, 1 } },
		{ refuse, -EIO, { 1, 0, 0 } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct walk w;

		walk_open(&w);
		assert_int_equal(
			nvio_channel_for_each(w.rig.env, &w.d, visit, (void *)cases[i].fn, &w.op), 0);
		run_all(&w);
		assert_int_equal(w.op.status, cases[i].status);
		for (int n = 0; n < 3; n++)
			assert_int_equal(visits(&w, n), cases[i].visits[n]);
		walk_close(&w);
	}
}

static void a_walk_over_nothing_completes_in_the_next_poll(void **state)
{
	struct nvio_op op = NVIO_OP(NULL);
	struct device d;
	struct rig r;

	open_with_device(&r, &d);
	assert_int_equal(nvio_channel_for_each(r.env, &d, visit, NULL, &op), 0);
	assert_true(nvio_op_pending(&op));
	assert_int_equal(nvio_wait(&op), 0);
	close_with_device(&r, &d);
}

static void a_channel_that_is_put_under_the_walk_is_passed_over(void **state)
{
	/* Which channel goes before the walk comes to it. */
	for (int gone = 0; gone < 3; gone++) {
		struct walk w;

		total_visits = 0;
		walk_open(&w);
		assert_int_equal(nvio_channel_for_each(w.rig.env, &w.d, visit, NULL, &w.op), 0);
		nvio_channel_put(w.ch[gone]);
		w.ch[gone] = NULL;
		/* The walk stands on the first, so that one's thread cannot go yet. */
		if (gone == 0)
			assert_int_equal(nvio_thread_poll(w.t[3], 0), 0);
		run_all(&w);
		assert_int_equal(w.op.status, 0);
		for (int i = 0; i < 3; i++)
			if (i != gone)
				assert_int_equal(visits(&w, i), 1);
		assert_int_equal(total_visits, 2);
		assert_int_equal(w.d.created - w.d.destroyed, 2);
		walk_close(&w);
	}
}

static void a_walk_can_be_cancelled_and_time_out(void **state)
{
	for (int cancel = 0; cancel < 2; cancel++) {
		struct walk w;

		walk_open(&w);
		w.op.timeout_us = cancel ? 0 : 10;
		assert_int_equal(nvio_channel_for_each(w.rig.env, &w.d, visit, NULL, &w.op), 0);
		nvio_thread_poll(w.t[0], 0);
		if (cancel)
			assert_int_equal(nvio_cancel(&w.op), 0);
		w.rig.now_ns += 10000;
		nvio_thread_poll(w.rig.t, 0);
		run_all(&w);
		assert_int_equal(w.op.status, cancel ? -ECANCELED : -ETIMEDOUT);
		assert_int_equal(visits(&w, 0), 1);
		assert_int_equal(visits(&w, 1) + visits(&w, 2), 0);
		walk_close(&w);
	}
}

static void exiting_threads_are_walked_too(void **state)
{
	struct walk w;

	walk_open(&w);
	nvio_thread_exit(w.t[1]);
	assert_int_equal(nvio_channel_for_each(w.rig.env, &w.d, visit, NULL, &w.op), 0);
	nvio_thread_exit(w.rig.t);
	run_all(&w);
	assert_int_equal(w.op.status, 0);
	assert_int_equal(visits(&w, 1), 1);
	walk_close(&w);
}

/* The environment is closed while a walk and an unregistration are under way and channels are held. */
static void closing_the_environment_ends_everything_once(void **state)
{
	for (int newest_submits = 0; newest_submits < 2; newest_submits++) {
		struct nvio_op unregister = NVIO_OP(count_done);
		struct nvio_thread *submitter;
		struct walk w;
		int done = 0;

		walk_open(&w);
		unregister.arg = &done;
		submitter = newest_submits ? w.t[3] : w.rig.t;
		assert_int_equal(nvio_thread_attach(submitter), 0);
		assert_int_equal(nvio_channel_for_each(w.rig.env, &w.d, visit, NULL, &w.op), 0);
		assert_int_equal(nvio_io_device_unregister(w.rig.env, &w.d, &unregister), 0);
		nvio_env_close(w.rig.env);
		assert_int_equal(w.done, 1);
		assert_int_equal(done, 1);
		/* The submitter goes first, or it is there until all is done. */
		assert_int_equal(w.op.status, newest_submits ? -ECANCELED : 0);
		assert_int_equal(unregister.status, newest_submits ? -ECANCELED : 0);
		assert_int_equal(w.d.created, 3);
		assert_int_equal(w.d.destroyed, 3);
	}
}

struct worker {
	struct nvio_env *env;
	struct nvio_thread *t;
	struct device *d;
	pthread_t os;
	atomic_bool *stop;
	bool churns; /* gets and puts all the time */
	atomic_bool ready;
};

static void *work(void *arg)
{
	struct worker *w = arg;
	struct nvio_channel *ch, *more;

	if (nvio_thread_attach(w->t) || nvio_channel_get(w->env, w->d, &ch))
		return NULL;
	atomic_store(&w->ready, true);
	while (!atomic_load(w->stop)) {
		if (!nvio_thread_poll(w->t, 0))
			sched_yield(); /* there may be fewer cores than we are */
		if (!w->churns)
			continue;
		nvio_channel_put(ch);
		nvio_thread_poll(w->t, 0);
		if (nvio_channel_get(w->env, w->d, &ch) || nvio_channel_get(w->env, w->d, &more))
			return NULL;
		nvio_channel_put(more);
	}
	nvio_channel_put(ch);
	while (nvio_thread_destroy(w->t) == -EBUSY)
		nvio_thread_poll(w->t, 0);
	return w;
}

static int count_visit(struct nvio_channel *ch, void *arg)
{
	atomic_fetch_add((atomic_int *)arg, 1);
	return nvio_channel_thread(ch) == nvio_thread_current() ? 0 : -EPROTO;
}

static void walks_across_os_threads(void **state)
{
	atomic_bool stop = false;
	struct worker w[3] = { 0 };
	struct nvio_op op = NVIO_OP(NULL);
	struct device d;
	struct rig r;

	open_with_device(&r, &d);
	for (int i = 0; i < 3; i++) {
		w[i].env = r.env;
		w[i].d = &d;
		w[i].stop = &stop;
		w[i].churns = i == 2;
		assert_int_equal(nvio_thread_create(r.env, NULL, &w[i].t), 0);
		assert_int_equal(pthread_create(&w[i].os, NULL, work, &w[i]), 0);
	}
	for (int i = 0; i < 3; i++)
		while (!atomic_load(&w[i].ready))
			usleep(100);
	for (int i = 0; i < 500; i++) {
		atomic_int visited = 0;

		assert_int_equal(
			nvio_await(nvio_channel_for_each(r.env, &d, count_visit, &visited, &op), &op), 0);
		/* The two that stand still, and the third when it was there; one that goes and comes may be
		 * met again. */
		assert_true(visited >= 2);
	}
	atomic_store(&stop, true);
	for (int i = 0; i < 3; i++) {
		void *result;

		assert_int_equal(pthread_join(w[i].os, &result), 0);
		assert_ptr_equal(result, &w[i]);
	}
	assert_int_equal(nvio_await(nvio_io_device_unregister(r.env, &d, &op), &op), 0);
	assert_int_equal(d.created, d.destroyed);
	rig_close(&r);
}

static void unregistering_while_other_os_threads_let_go(void **state)
{
	for (int round = 0; round < 50; round++) {
		atomic_bool stop = false;
		struct worker w[3] = { 0 };
		struct nvio_op op = NVIO_OP(NULL);
		struct device d;
		struct rig r;

		open_with_device(&r, &d);
		for (int i = 0; i < 3; i++) {
			w[i].env = r.env;
			w[i].d = &d;
			w[i].stop = &stop;
			assert_int_equal(nvio_thread_create(r.env, NULL, &w[i].t), 0);
			assert_int_equal(pthread_create(&w[i].os, NULL, work, &w[i]), 0);
		}
		for (int i = 0; i < 3; i++)
			while (!atomic_load(&w[i].ready))
				usleep(100);
		assert_int_equal(nvio_io_device_unregister(r.env, &d, &op), 0);
		nvio_thread_poll(r.t, 0);
		assert_true(nvio_op_pending(&op));
		atomic_store(&stop, true);
		assert_int_equal(nvio_wait(&op), 0);
		assert_int_equal(d.destroyed, 3);
		for (int i = 0; i < 3; i++)
			assert_int_equal(pthread_join(w[i].os, NULL), 0);
		rig_close(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_walk_visits_each_channel_on_its_own_thread_one_after_another),
		cmocka_unit_test(a_negative_return_ends_the_walk_and_no_other_does),
		cmocka_unit_test(a_walk_over_nothing_completes_in_the_next_poll),
		cmocka_unit_test(a_channel_that_is_put_under_the_walk_is_passed_over),
		cmocka_unit_test(a_walk_can_be_cancelled_and_time_out),
		cmocka_unit_test(exiting_threads_are_walked_too),
		cmocka_unit_test(closing_the_environment_ends_everything_once),
		cmocka_unit_test(walks_across_os_threads),
		cmocka_unit_test(unregistering_while_other_os_threads_let_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
