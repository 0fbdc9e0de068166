/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rows T9, Z15: sleeping on the descriptor: what makes it readable, what the timeout says, and that no
 * wake-up is lost.
 */
#include "tests/unit/thread/rig.h"

#include <poll.h>
#include <sys/epoll.h>

#include "thread/state.h"

static bool readable(struct nvio_thread *t, int timeout_ms)
{
	struct pollfd p = { .fd = nvio_thread_fd(t), .events = POLLIN };

	return poll(&p, 1, timeout_ms) == 1;
}

static void ignore(struct nvio_timer *timer)
{
	(void)timer;
}

static void the_timeout_says_what_there_is_to_wait_for(void **state)
{
	/* With timers started so many microseconds ahead; 0: none. */
	static const struct {
		uint64_t timer_us;
		bool poller, message, op;
		int ms;
	} cases[] = {
		{ 0, false, false, false, -1 },
		{ 0, true, false, false, 0 },
		{ 0, false, true, false, 0 },
		{ 0, false, false, true, 0 },
		{ 1, false, false, false, 1 }, /* rounded up: never awake too early */
		{ 1000, false, false, false, 1 },
		{ 1001, false, false, false, 2 },
		{ 1000000, false, false, false, 1000 },
		{ 1000000, true, false, false, 0 },
		{ UINT64_MAX / 2, false, false, false, -1 }, /* never */
		{ 100000000000000, false, false, false, INT32_MAX },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct nvio_timer timer = { .fn = ignore };
		struct nvio_op op = NVIO_OP(NULL);
		struct nvio_poller *p;
		struct rig r;
		int n = 0;

		rig_open_env(&r, true);
		if (cases[i].timer_us)
			assert_int_equal(nvio_timer_start(r.t, &timer, cases[i].timer_us), 0);
		if (cases[i].poller)
			assert_int_equal(nvio_poller_register(r.t, "p", rig_count_poller, &n, 0, &p), 0);
		if (cases[i].message)
			assert_int_equal(nvio_thread_send(r.t, rig_count, &n), 0);
		if (cases[i].op) {
			op_begin(&op, thread_pollable(r.t));
			thread_end_op(r.t, &op, 0);
		}
		assert_int_equal(nvio_thread_timeout_ms(r.t), cases[i].ms);
		r.now_ns += cases[i].timer_us > 1000000 ? 0 : cases[i].timer_us * 1000;
		if (cases[i].timer_us && cases[i].timer_us <= 1000000)
			assert_int_equal(nvio_thread_timeout_ms(r.t), 0); /* due */
		nvio_timer_stop(&timer);
		rig_close(&r);
	}
}

static void the_descriptor_is_readable_when_a_message_waits(void **state)
{
	for (int asks = 0; asks < 2; asks++) {
		struct rig r;
		int n = 0;

		rig_open_env(&r, false);
		assert_false(readable(r.t, 0));
		for (int round = 1; round <= 5; round++) {
			if (asks)
				assert_int_equal(nvio_thread_timeout_ms(r.t), -1);
			assert_false(readable(r.t, 0));
			assert_int_equal(nvio_thread_send(r.t, rig_count, &n), 0);
			assert_int_equal(nvio_thread_send(r.t, rig_count, &n), 0);
			assert_true(readable(r.t, 0));
			assert_int_equal(nvio_thread_poll(r.t, 0), 2);
			assert_int_equal(n, 2 * round);
		}
		/* Nothing is left behind that would make a loop spin. */
		nvio_thread_poll(r.t, 0);
		if (asks)
			assert_int_equal(nvio_thread_timeout_ms(r.t), -1);
		assert_false(readable(r.t, 0));
		rig_close(&r);
	}
}

static void messages_that_a_poll_left_keep_it_readable(void **state)
{
	struct rig r;
	int n = 0;

	rig_open_env(&r, false);
	assert_int_equal(nvio_thread_send(r.t, rig_count, &n), 0);
	assert_true(readable(r.t, 0)); /* asked for only now, and still */
	assert_int_equal(nvio_thread_send(r.t, rig_count, &n), 0);
	assert_int_equal(nvio_thread_poll(r.t, 1), 1);
	assert_true(readable(r.t, 0));
	assert_int_equal(nvio_thread_poll(r.t, 1), 1);
	assert_false(readable(r.t, 0));
	rig_close(&r);
}

static void a_busy_thread_costs_its_senders_no_system_call(void **state)
{
	struct rig r;
	int n = 0;

	rig_open_env(&r, false);
	/* It slept once, long ago. */
	assert_int_equal(nvio_thread_timeout_ms(r.t), -1);
	nvio_thread_poll(r.t, 0);
	for (int i = 0; i < 10; i++) {
		uint64_t count;

		assert_int_equal(nvio_thread_send(r.t, rig_count, &n), 0);
		/* The eventfd has not been written to. */
		assert_int_equal(read(r.t->msgs.wake_fd, &count, sizeof(count)), -1);
		assert_int_equal(nvio_thread_poll(r.t, 0), 1);
	}
	rig_close(&r);
}

static void only_the_first_of_many_senders_wakes(void **state)
{
	uint64_t count = 0;
	struct rig r;
	int n = 0;

	rig_open_env(&r, false);
	assert_int_equal(nvio_thread_timeout_ms(r.t), -1);
	for (int i = 0; i < 10; i++)
		assert_int_equal(nvio_thread_send(r.t, rig_count, &n), 0);
	assert_int_equal(read(r.t->msgs.wake_fd, &count, sizeof(count)), sizeof(count));
	assert_int_equal(count, 1);
	rig_close(&r);
}

static void the_descriptor_is_readable_when_a_timer_is_due(void **state)
{
	for (int asks = 0; asks < 2; asks++) {
		struct nvio_timer timer = { .fn = ignore };
		struct rig r;

		rig_open_env(&r, false);
		assert_false(readable(r.t, 0));
		for (int round = 0; round < 3; round++) {
			uint64_t start = clock_monotonic_ns();

			assert_int_equal(nvio_timer_start(r.t, &timer, 5000), 0);
			if (asks)
				assert_in_range(nvio_thread_timeout_ms(r.t), 1, 5);
			else
				nvio_thread_poll(r.t, 0);
			assert_true(readable(r.t, 5000));
			assert_true(clock_monotonic_ns() - start >= 5000000);
			assert_int_equal(nvio_thread_poll(r.t, 0), 1);
			nvio_thread_poll(r.t, 0);
			assert_false(readable(r.t, 0));
		}
		/* One that was stopped does not wake. */
		assert_int_equal(nvio_timer_start(r.t, &timer, 5000), 0);
		if (asks)
			nvio_thread_timeout_ms(r.t);
		nvio_thread_poll(r.t, 0);
		nvio_timer_stop(&timer);
		if (asks)
			assert_int_equal(nvio_thread_timeout_ms(r.t), -1);
		nvio_thread_poll(r.t, 0);
		assert_false(readable(r.t, 15));
		rig_close(&r);
	}
}

static void exit_wakes_a_sleeper(void **state)
{
	struct rig r;

	rig_open_env(&r, false);
	assert_int_equal(nvio_thread_timeout_ms(r.t), -1);
	assert_false(readable(r.t, 0));
	nvio_thread_exit(r.t);
	assert_true(readable(r.t, 0));
	rig_close(&r);
}

struct source {
	struct nvio_thread *t;
	int fds[2];
	int runs;
	bool removes_itself;
	struct source *removes;
	bool nests;
};

static int consume(void *arg)
{
	struct source *s = arg;
	char c;

	s->runs++;
	if (s->nests)
		nvio_thread_poll(s->t, 0); /* the event is still there, and fn is not entered again */
	assert_int_equal(read(s->fds[0], &c, 1), 1);
	if (s->removes)
		assert_int_equal(nvio_thread_remove_fd(s->t, s->removes->fds[0]), 0);
	if (s->removes_itself)
		assert_int_equal(nvio_thread_remove_fd(s->t, s->fds[0]), 0);
	return 1;
}

static void open_source(struct source *s, struct nvio_thread *t)
{
	memset(s, 0, sizeof(*s));
	s->t = t;
	assert_int_equal(pipe(s->fds), 0);
	assert_int_equal(nvio_thread_add_fd(t, s->fds[0], consume, s), 0);
}

static void close_source(struct source *s)
{
	close(s->fds[0]);
	close(s->fds[1]);
}

static void fire(struct source *s)
{
	assert_int_equal(write(s->fds[1], "x", 1), 1);
}

static void an_event_source_wakes_and_its_function_runs(void **state)
{
	struct source s;
	struct rig r;

	rig_open_env(&r, false);
	open_source(&s, r.t);
	assert_int_equal(nvio_thread_poll(r.t, 0), 0);
	assert_int_equal(nvio_thread_timeout_ms(r.t), -1);
	assert_false(readable(r.t, 0));
	fire(&s);
	fire(&s);
	assert_true(readable(r.t, 0));
	assert_int_equal(nvio_thread_poll(r.t, 0), 1);
	assert_true(readable(r.t, 0)); /* level-triggered: one is left */
	assert_int_equal(nvio_thread_poll(r.t, 0), 1);
	assert_false(readable(r.t, 0));
	assert_int_equal(s.runs, 2);
	assert_int_equal(nvio_thread_remove_fd(r.t, s.fds[0]), 0);
	fire(&s);
	assert_int_equal(nvio_thread_poll(r.t, 0), 0);
	assert_false(readable(r.t, 0));
	close_source(&s);
	rig_close(&r);
}

static void a_spinning_thread_serves_its_event_sources_too(void **state)
{
	struct nvio_poller *p;
	struct source s;
	struct rig r;
	int n = 0;

	rig_open_env(&r, false);
	assert_int_equal(nvio_poller_register(r.t, "spin", rig_count_poller, &n, 0, &p), 0);
	open_source(&s, r.t);
	fire(&s);
	rig_poll_until(r.t, &s.runs, 1);
	assert_int_equal(nvio_thread_remove_fd(r.t, s.fds[0]), 0);
	close_source(&s);
	rig_close(&r);
}

static void sources_may_remove_each_other_and_themselves(void **state)
{
	/* Two that fire at once; the first to run removes the other, which must not run. */
	for (int variant = 0; variant < 3; variant++) {
		struct source a, b;
		struct rig r;

		rig_open_env(&r, false);
		open_source(&a, r.t);
		open_source(&b, r.t);
		fire(&a);
		fire(&b);
		if (variant == 0) {
			a.removes = &b;
			b.removes = &a;
		}
		a.removes_itself = b.removes_itself = variant == 1;
		a.nests = variant == 2;
		for (int i = 0; i < 3; i++)
			nvio_thread_poll(r.t, 0);
		if (variant == 0)
			assert_int_equal(a.runs + b.runs, 1);
		else
			assert_true(a.runs == 1 && b.runs == 1);
		close_source(&a);
		close_source(&b);
		rig_close(&r);
	}
}

static void what_cannot_be_watched_is_refused(void **state)
{
	struct source s;
	struct rig r;
	FILE *file;

	rig_open_env(&r, false);
	open_source(&s, r.t);
	assert_int_equal(nvio_thread_add_fd(r.t, s.fds[0], consume, &s), -EEXIST);
	assert_int_equal(nvio_thread_add_fd(r.t, -1, consume, &s), -EBADF);
	assert_int_equal(nvio_thread_add_fd(r.t, 999, consume, &s), -EBADF);
	assert_int_equal(nvio_thread_add_fd(r.t, s.fds[1], NULL, &s), -EINVAL);
	file = tmpfile();
	assert_non_null(file);
	assert_int_equal(nvio_thread_add_fd(r.t, fileno(file), consume, &s), -EPERM);
	fclose(file);
	assert_int_equal(nvio_thread_remove_fd(r.t, s.fds[1]), -ENOENT);
	assert_int_equal(nvio_thread_remove_fd(r.t, -1), -ENOENT);
	assert_int_equal(nvio_thread_remove_fd(r.t, 1 << 30), -ENOENT);
	assert_int_equal(nvio_thread_remove_fd(r.t, s.fds[0]), 0);
	assert_int_equal(nvio_thread_remove_fd(r.t, s.fds[0]), -ENOENT);
	close_source(&s);
	for (long n = 0, left = -1; left < 0; n++) {
		struct source again;
		struct nvio_thread *t;
		int rc;

		assert_int_equal(nvio_thread_create(r.env, NULL, &t), 0);
		assert_int_equal(pipe(again.fds), 0);
		alloc_fail_after(n);
		rc = nvio_thread_add_fd(t, again.fds[0], consume, &again);
		left = alloc_fail_after(-1);
		assert_int_equal(rc, left < 0 ? -ENOMEM : 0);
		assert_int_equal(nvio_thread_remove_fd(t, again.fds[0]), rc ? -ENOENT : 0);
		close_source(&again);
		assert_int_equal(nvio_thread_destroy(t), 0);
	}
	rig_close(&r);
}

#define ROUNDS 10000

struct pingpong {
	struct nvio_thread *mine, *other;
	int count;
	bool asks, keeps_the_last;
	struct pingpong *peer;
};

static void ball(void *arg)
{
	struct pingpong *p = arg;

	p->count++;
	if (p->count == ROUNDS && p->keeps_the_last)
		return;
	assert_int_equal(nvio_thread_send(p->other, ball, p->peer), 0);
}

/* An event loop as anyone would write it. A lost wake-up shows as a sleep of ten seconds. */
static void *loop(void *arg)
{
	struct pingpong *p = arg;
	int ep = epoll_create1(0);
	struct epoll_event ev = { .events = EPOLLIN };

	epoll_ctl(ep, EPOLL_CTL_ADD, nvio_thread_fd(p->mine), &ev);
	while (p->count < ROUNDS) {
		int ms = -1;

		nvio_thread_poll(p->mine, 0);
		if (p->count >= ROUNDS)
			break;
		if (p->asks)
			ms = nvio_thread_timeout_ms(p->mine);
		if (epoll_wait(ep, &ev, 1, ms < 0 ? 10000 : ms) == 0 && ms < 0) {
			p->count = -1;
			break;
		}
	}
	close(ep);
	return NULL;
}

static void no_wake_up_is_lost(void **state)
{
	for (int asks = 0; asks < 2; asks++) {
		struct pingpong a = { 0 }, b = { 0 };
		pthread_t os;
		struct rig r;

		rig_open_env(&r, false);
		a.mine = b.other = r.t;
		assert_int_equal(nvio_thread_create(r.env, NULL, &b.mine), 0);
		a.other = b.mine;
		a.peer = &b;
		b.keeps_the_last = true;
		b.peer = &a;
		a.asks = b.asks = asks;
		assert_int_equal(nvio_thread_send(a.mine, ball, &a), 0);
		assert_int_equal(pthread_create(&os, NULL, loop, &b), 0);
		loop(&a);
		assert_int_equal(pthread_join(os, NULL), 0);
		assert_int_equal(a.count, ROUNDS);
		assert_int_equal(b.count, ROUNDS);
		assert_int_equal(nvio_thread_destroy(b.mine), 0);
		rig_close(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_timeout_says_what_there_is_to_wait_for),
		cmocka_unit_test(the_descriptor_is_readable_when_a_message_waits),
		cmocka_unit_test(messages_that_a_poll_left_keep_it_readable),
		cmocka_unit_test(a_busy_thread_costs_its_senders_no_system_call),
		cmocka_unit_test(only_the_first_of_many_senders_wakes),
		cmocka_unit_test(the_descriptor_is_readable_when_a_timer_is_due),
		cmocka_unit_test(exit_wakes_a_sleeper),
		cmocka_unit_test(an_event_source_wakes_and_its_function_runs),
		cmocka_unit_test(a_spinning_thread_serves_its_event_sources_too),
		cmocka_unit_test(sources_may_remove_each_other_and_themselves),
		cmocka_unit_test(what_cannot_be_watched_is_refused),
		cmocka_unit_test(no_wake_up_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
