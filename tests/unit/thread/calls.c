/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows T7, C2, Z5, X5 (send, call): calls with a result, and handles that survive their thread. */
#include "tests/unit/thread/rig.h"

#define BOTH_WAYS for (int attached = 0; attached < 2; attached++)

static int returned;

static int give(void *arg)
{
	returned++;
	return *(int *)arg;
}

static void count_done(struct nvio_op *op)
{
	++*(int *)op->arg;
}

/* A target that another OS thread polls while the test waits. */
struct pair {
	struct rig r; /* r.t is the caller's */
	struct nvio_thread *target;
	atomic_bool stop;
	pthread_t os;
};

static void *poll_target(void *arg)
{
	struct pair *p = arg;

	while (!atomic_load(&p->stop)) {
		nvio_thread_poll(p->target, 0);
		sched_yield();
	}
	return NULL;
}

static void pair_open(struct pair *p)
{
	memset(p, 0, sizeof(*p));
	returned = 0;
	rig_open_env(&p->r, false);
	assert_int_equal(nvio_thread_create(p->r.env, NULL, &p->target), 0);
}

static void pair_start(struct pair *p)
{
	assert_int_equal(pthread_create(&p->os, NULL, poll_target, p), 0);
}

static void pair_stop(struct pair *p)
{
	atomic_store(&p->stop, true);
	assert_int_equal(pthread_join(p->os, NULL), 0);
}

static void pair_close(struct pair *p)
{
	assert_int_equal(nvio_thread_destroy(p->target), 0);
	rig_close(&p->r);
}

static void the_op_ends_with_what_fn_returned(void **state)
{
	static const int values[][2] = { { 0, 0 }, { 42, 42 }, { -EIO, -EIO }, { -EINPROGRESS, -EINVAL } };
	struct pair p;

	pair_open(&p);
	pair_start(&p);
	BOTH_WAYS
	{
		if (attached)
			assert_int_equal(nvio_thread_attach(p.r.t), 0);
		for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
			struct nvio_op op = NVIO_OP(count_done);
			int done = 0, value = values[i][0];

			op.arg = &done;
			assert_int_equal(
				nvio_await(nvio_thread_call(p.target, give, &value, &op), &op), values[i][1]);
			assert_int_equal(op.status, values[i][1]);
			assert_int_equal(done, 1);
		}
	}
	assert_int_equal(nvio_thread_detach(p.r.t), 0);
	assert_int_equal(returned, 8);
	pair_stop(&p);
	pair_close(&p);
}

static void a_thread_can_call_itself(void **state)
{
	struct nvio_op op = NVIO_OP(NULL);
	int value = 7;
	struct rig r;

	returned = 0;
	rig_open_env(&r, false);
	assert_int_equal(nvio_thread_attach(r.t), 0);
	assert_int_equal(nvio_thread_call(r.t, give, &value, &op), 0);
	assert_int_equal(returned, 0); /* not within the submit */
	assert_int_equal(nvio_wait(&op), 7);
	assert_int_equal(nvio_thread_detach(r.t), 0);
	rig_close(&r);
}

static void refusals_leave_the_op_untouched(void **state)
{
	struct nvio_thread_opts opts;
	struct nvio_thread *full, *gone;
	struct nvio_op op = NVIO_OP(NULL), pending = NVIO_OP(NULL);
	int value = 1, ran = 0;
	struct pair p;

	pair_open(&p);
	nvio_thread_opts_init(&opts);
	opts.max_msgs = 1;
	assert_int_equal(nvio_thread_create(p.r.env, &opts, &full), 0);
	assert_int_equal(nvio_thread_create(p.r.env, NULL, &gone), 0);
	nvio_thread_exit(gone);
	assert_int_equal(nvio_thread_send(full, rig_count, &ran), 0);

	assert_int_equal(nvio_thread_call(full, give, &value, &op), -ENOBUFS);
	assert_said("max_msgs");
	assert_int_equal(nvio_thread_call(gone, give, &value, &op), -ESHUTDOWN);
	assert_said("exiting");
	assert_int_equal(nvio_thread_call(p.target, NULL, NULL, &op), -EINVAL);
	assert_int_equal(nvio_thread_call(p.target, give, &value, NULL), -EINVAL);
	op.flags = NVIO_OP_FUA;
	assert_int_equal(nvio_thread_call(p.target, give, &value, &op), -EINVAL);
	assert_said("flags");
	op.flags = 0;
	assert_int_equal(op.status, 0);
	assert_null(op.owner);
	assert_int_equal(nvio_thread_call(p.target, give, &value, &pending), 0);
	assert_int_equal(nvio_thread_call(p.target, give, &value, &pending), -EINVAL);
	assert_said("in flight");
	nvio_thread_poll(p.target, 0);
	assert_int_equal(nvio_wait(&pending), 1);
	assert_int_equal(returned, 1);
	assert_int_equal(nvio_thread_destroy(full), 0);
	assert_int_equal(nvio_thread_destroy(gone), 0);
	pair_close(&p);
}

static int trace[8], traced;

static void note_message(void *arg)
{
	trace[traced++] = (int)(intptr_t)arg;
}

static int note_call(void *arg)
{
	trace[traced++] = (int)(intptr_t)arg;
	return 0;
}

/* Calls and messages of one sender keep their order, also around a call that was taken back. */
static void calls_and_messages_run_in_the_order_of_sending(void **state)
{
	for (int cancelled = 0; cancelled < 2; cancelled++) {
		static const int wanted[2][5] = { { 1, 2, 3, 4, 5 }, { 1, 3, 4, 5, 0 } };
		struct nvio_op a = NVIO_OP(NULL), b = NVIO_OP(NULL);
		struct pair p;

		pair_open(&p);
		traced = 0;
		memset(trace, 0, sizeof(trace));
		assert_int_equal(nvio_thread_attach(p.r.t), 0);
		nvio_thread_send(p.target, note_message, (void *)1);
		assert_int_equal(nvio_thread_call(p.target, note_call, (void *)2, &a), 0);
		nvio_thread_send(p.target, note_message, (void *)3);
		assert_int_equal(nvio_thread_call(p.target, note_call, (void *)4, &b), 0);
		nvio_thread_send(p.target, note_message, (void *)5);
		if (cancelled)
			assert_int_equal(nvio_cancel(&a), 0);
		nvio_thread_poll(p.target, 0);
		assert_memory_equal(trace, wanted[cancelled], sizeof(wanted[0]));
		assert_int_equal(nvio_wait(&a), cancelled ? -ECANCELED : 0);
		assert_int_equal(nvio_wait(&b), 0);
		assert_int_equal(nvio_thread_detach(p.r.t), 0);
		pair_close(&p);
	}
}

static void a_cancelled_or_late_call_ends_although_nobody_polls_the_target(void **state)
{
	BOTH_WAYS
	{
		for (int late = 0; late < 2; late++) {
			struct nvio_op op = NVIO_OP(count_done);
			int done = 0, value = 1;
			struct pair p;

			pair_open(&p);
			if (attached)
				assert_int_equal(nvio_thread_attach(p.r.t), 0);
			op.arg = &done;
			op.timeout_us = late ? 2000 : 0;
			assert_int_equal(nvio_thread_call(p.target, give, &value, &op), 0);
			if (!late)
				assert_int_equal(nvio_cancel(&op), 0);
			assert_int_equal(done, 0); /* never within nvio_cancel() */
			assert_int_equal(nvio_wait(&op), late ? -ETIMEDOUT : -ECANCELED);
			assert_int_equal(done, 1);
			nvio_thread_poll(p.target, 0);
			assert_int_equal(returned, 0);
			if (attached)
				assert_int_equal(nvio_thread_detach(p.r.t), 0);
			pair_close(&p);
		}
	}
}

struct held {
	atomic_int inside, go;
};

static int stay_inside(void *arg)
{
	struct held *h = arg;

	atomic_store(&h->inside, 1);
	while (!atomic_load(&h->go))
		usleep(100);
	return 5;
}

static void a_call_that_runs_is_not_stopped_any_more(void **state)
{
	BOTH_WAYS
	{
		struct nvio_op op = NVIO_OP(NULL);
		struct held h = { 0 };
		struct pair p;

		pair_open(&p);
		pair_start(&p);
		if (attached)
			assert_int_equal(nvio_thread_attach(p.r.t), 0);
		op.timeout_us = 30000000;
		assert_int_equal(nvio_thread_call(p.target, stay_inside, &h, &op), 0);
		while (!atomic_load(&h.inside))
			usleep(100);
		assert_int_equal(nvio_cancel(&op), 0);
		assert_true(nvio_op_pending(&op));
		atomic_store(&h.go, 1);
		assert_int_equal(nvio_wait(&op), 5);
		if (attached)
			assert_int_equal(nvio_thread_detach(p.r.t), 0);
		pair_stop(&p);
		pair_close(&p);
	}
}

static void a_target_that_exits_still_answers_what_it_accepted(void **state)
{
	struct nvio_op op[3] = { NVIO_OP(NULL), NVIO_OP(NULL), NVIO_OP(NULL) };
	struct nvio_thread_handle *h;
	int value = 3;
	struct pair p;

	pair_open(&p);
	h = nvio_thread_handle_get(p.target);
	assert_int_equal(nvio_thread_attach(p.r.t), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(nvio_thread_call(p.target, give, &value, &op[i]), 0);
	nvio_thread_exit(p.target);
	assert_int_equal(nvio_thread_destroy(p.target), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(nvio_wait(&op[i]), 3);
	assert_int_equal(nvio_thread_handle_call(h, give, &value, &op[0]), -ESHUTDOWN);
	assert_int_equal(nvio_thread_detach(p.r.t), 0);
	nvio_thread_handle_put(h);
	rig_close(&p.r);
}

static void a_caller_with_calls_in_flight_cannot_be_destroyed(void **state)
{
	struct nvio_op op = NVIO_OP(NULL);
	int value = 3;
	struct pair p;

	pair_open(&p);
	assert_int_equal(nvio_thread_attach(p.r.t), 0);
	assert_int_equal(nvio_thread_call(p.target, give, &value, &op), 0);
	assert_int_equal(nvio_thread_destroy(p.r.t), -EBUSY);
	assert_said("a call or a join is in flight");
	nvio_thread_poll(p.target, 0);
	assert_int_equal(nvio_wait(&op), 3);
	assert_int_equal(nvio_thread_detach(p.r.t), 0);
	pair_close(&p);
}

static void closing_the_environment_ends_calls_once(void **state)
{
	/* The caller is the older of the two, or the newer; it goes last, or first. */
	for (int newer = 0; newer < 2; newer++) {
		struct nvio_op op = NVIO_OP(count_done);
		int done = 0, value = 3;
		struct pair p;

		pair_open(&p);
		op.arg = &done;
		assert_int_equal(nvio_thread_attach(newer ? p.target : p.r.t), 0);
		assert_int_equal(nvio_thread_call(newer ? p.r.t : p.target, give, &value, &op), 0);
		nvio_env_close(p.r.env);
		assert_int_equal(done, 1);
		assert_int_equal(op.status, newer ? -ECANCELED : 3);
	}
}

static void a_handle_answers_when_its_thread_and_environment_are_gone(void **state)
{
	struct nvio_op op = NVIO_OP(NULL);
	struct nvio_thread_handle *h, *clone;
	int ran = 0, value = 1;
	struct rig r;
	uint64_t id;

	rig_open_env(&r, false);
	h = nvio_thread_handle_get(r.t);
	clone = nvio_thread_handle_clone(h);
	id = nvio_thread_id(r.t);
	assert_int_equal(nvio_thread_handle_send(h, rig_count, &ran), 0);
	assert_true(nvio_thread_handle_is_running(h));
	nvio_thread_handle_put(h);
	rig_close(&r);
	assert_int_equal(ran, 1);
	assert_false(nvio_thread_handle_is_running(clone));
	assert_int_equal(nvio_thread_handle_send(clone, rig_count, &ran), -ESHUTDOWN);
	assert_int_equal(nvio_thread_handle_call(clone, give, &value, &op), -ESHUTDOWN);
	nvio_thread_handle_exit(clone);
	assert_int_equal(nvio_thread_handle_id(clone), id);
	assert_string_equal(nvio_thread_handle_name(clone), "thread-1");
	assert_int_equal(ran, 1);
	nvio_thread_handle_put(clone);
	nvio_thread_handle_put(NULL);
}

struct racer {
	struct nvio_thread_handle *h;
	int accepted;
	atomic_int *ran;
	pthread_t os;
};

static void count_atomic(void *arg)
{
	atomic_fetch_add((atomic_int *)arg, 1);
}

static void *send_until_it_is_gone(void *arg)
{
	struct racer *racer = arg;

	while (!nvio_thread_handle_send(racer->h, count_atomic, racer->ran))
		racer->accepted++;
	nvio_thread_handle_put(racer->h);
	return NULL;
}

/*
 * The thread goes while others send by handle: what was accepted runs, the rest is refused, nothing is
 * touched that is gone.
 */
static void senders_by_handle_race_with_the_end(void **state)
{
	for (int round = 0; round < 50; round++) {
		struct racer racers[4];
		atomic_int ran = 0;
		int accepted = 0;
		struct rig r;

		rig_open_env(&r, false);
		for (int i = 0; i < 4; i++) {
			racers[i] = (struct racer){ .h = nvio_thread_handle_get(r.t), .ran = &ran };
			assert_int_equal(
				pthread_create(&racers[i].os, NULL, send_until_it_is_gone, &racers[i]), 0);
		}
		for (int i = 0; i < 10; i++)
			nvio_thread_poll(r.t, 0);
		rig_close(&r);
		for (int i = 0; i < 4; i++) {
			assert_int_equal(pthread_join(racers[i].os, NULL), 0);
			accepted += racers[i].accepted;
		}
		assert_int_equal(ran, accepted);
	}
}

static void a_deadline_without_memory_for_it_is_refused(void **state)
{
	struct nvio_op op = NVIO_OP(NULL);
	int value = 1;
	struct pair p;

	pair_open(&p);
	assert_int_equal(nvio_thread_attach(p.r.t), 0);
	op.timeout_us = 1000000;
	alloc_fail_after(0);
	assert_int_equal(nvio_thread_call(p.target, give, &value, &op), -ENOMEM);
	assert_int_equal(alloc_fail_after(-1), -1);
	assert_int_equal(op.status, 0);
	assert_int_equal(nvio_thread_detach(p.r.t), 0);
	pair_close(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_op_ends_with_what_fn_returned),
		cmocka_unit_test(a_thread_can_call_itself),
		cmocka_unit_test(refusals_leave_the_op_untouched),
		cmocka_unit_test(calls_and_messages_run_in_the_order_of_sending),
		cmocka_unit_test(a_cancelled_or_late_call_ends_although_nobody_polls_the_target),
		cmocka_unit_test(a_call_that_runs_is_not_stopped_any_more),
		cmocka_unit_test(a_target_that_exits_still_answers_what_it_accepted),
		cmocka_unit_test(a_caller_with_calls_in_flight_cannot_be_destroyed),
		cmocka_unit_test(closing_the_environment_ends_calls_once),
		cmocka_unit_test(a_handle_answers_when_its_thread_and_environment_are_gone),
		cmocka_unit_test(senders_by_handle_race_with_the_end),
		cmocka_unit_test(a_deadline_without_memory_for_it_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
