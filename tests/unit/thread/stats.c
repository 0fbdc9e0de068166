/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Listing threads and their statistics (issue of threads, item 2; rows T2, T4, T8), from their own and other
 * OS threads.
 */
#include "tests/unit/thread/toy.h"

#include <time.h>

static struct nvio_thread_stats stats_of(struct nvio_thread *t)
{
	struct nvio_thread_stats s;

	nvio_thread_get_stats(t, &s, sizeof(s));
	return s;
}

static void spin_ms(unsigned ms)
{
	struct timespec begin, now;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	do {
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1000000 < ms);
}

static int work_a_while(void *arg)
{
	spin_ms(*(unsigned *)arg);
	return 1;
}

static void busy_and_idle_time_are_told_apart(void **state)
{
	unsigned ms = 5;
	struct nvio_thread_stats s;
	struct nvio_poller *p;
	struct rig r;

	rig_open_env(&r, false);
	for (int i = 0; i < 100; i++)
		nvio_thread_poll(r.t, 0);
	assert_int_equal(nvio_poller_register(r.t, "work", work_a_while, &ms, 0, &p), 0);
	for (int i = 0; i < 20; i++)
		assert_int_equal(nvio_thread_poll(r.t, 0), 1);
	nvio_poller_pause(p);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(nvio_thread_poll(r.t, 0), 0);
		spin_ms(5); /* the caller's own time, before a poll that finds nothing */
	}
	s = stats_of(r.t);
	print_message("# busy %llu us, idle %llu us\n", (unsigned long long)s.busy_ns / 1000,
		(unsigned long long)s.idle_ns / 1000);
	/* 100 ms of work; preemption can add to either, so only what must be is asked for. */
	assert_true(s.busy_ns > 90000000 && s.busy_ns < 2000000000);
	assert_true(s.idle_ns > 50000000);
	assert_int_equal(s.polls, 140);
	nvio_poller_unregister(p);
	rig_close(&r);
}

static void sleep_is_idle_time(void **state)
{
	struct nvio_thread_stats s;
	struct rig r;

	rig_open_env(&r, false);
	for (int i = 0; i < 3; i++) {
		nvio_thread_poll(r.t, 0);
		assert_int_equal(nvio_thread_timeout_ms(r.t), -1);
		usleep(20000);
		/* The poll after the sleep finds work, and yet the sleep was none. */
		nvio_thread_send(r.t, rig_count, &(int){ 0 });
		assert_int_equal(nvio_thread_poll(r.t, 0), 1);
		nvio_thread_poll(r.t, 0);
	}
	s = stats_of(r.t);
	assert_true(s.idle_ns >= 50000000);
	assert_true(s.busy_ns < s.idle_ns);
	rig_close(&r);
}

static int visit_nothing(void *arg)
{
	return *(int *)arg;
}

static void messages_pollers_and_channels_are_counted(void **state)
{
	struct nvio_poller *active, *timed;
	struct nvio_poller_stats ps[3];
	struct nvio_channel *ch;
	struct nvio_thread_stats s;
	int found = 1, none = 0, ran = 0;
	struct device d;
	struct rig r;

	open_with_device(&r, &d);
	assert_int_equal(nvio_channel_get(r.env, &d, &ch), 0);
	assert_int_equal(nvio_poller_register(r.t, "active", visit_nothing, &found, 0, &active), 0);
	assert_int_equal(nvio_poller_register(r.t, "timed", visit_nothing, &none, 1000, &timed), 0);
	for (int i = 0; i < 5; i++)
		nvio_thread_send(r.t, rig_count, &ran);
	assert_int_equal(stats_of(r.t).msgs_waiting, 5);
	for (int i = 0; i < 10; i++) {
		r.now_ns += 500000;
		nvio_thread_poll(r.t, 0);
	}
	s = stats_of(r.t);
	assert_int_equal(s.polls, 10);
	assert_int_equal(s.msgs, 5);
	assert_int_equal(s.msgs_waiting, 0);
	assert_int_equal(s.pollers, 2);
	assert_int_equal(s.channels, 1);
	nvio_poller_pause(timed);
	memset(ps, 0x55, sizeof(ps));
	assert_int_equal(nvio_thread_get_poller_stats(r.t, ps, 3), 2);
	assert_string_equal(ps[0].name, "active");
	assert_int_equal(ps[0].period_us, 0);
	assert_int_equal(ps[0].runs, 10);
	assert_int_equal(ps[0].busy, 10);
	assert_false(ps[0].paused);
	assert_string_equal(ps[1].name, "timed");
	assert_int_equal(ps[1].period_us, 1000);
	assert_int_equal(ps[1].runs, 5);
	assert_int_equal(ps[1].busy, 0);
	assert_true(ps[1].paused);
	assert_int_equal(((unsigned char *)&ps[2])[0], 0x55);
	assert_int_equal(nvio_thread_get_poller_stats(r.t, ps, 1), 2);
	nvio_poller_unregister(active);
	assert_int_equal(nvio_thread_get_poller_stats(r.t, NULL, 0), 1);
	nvio_channel_put(ch);
	assert_int_equal(nvio_thread_detach(r.t), 0);
	close_with_device(&r, &d);
}

static void a_program_of_another_release_gets_as_much_as_it_knows(void **state)
{
	struct {
		struct nvio_thread_stats s;
		uint64_t later;
	} newer;
	struct rig r;

	rig_open_env(&r, false);
	nvio_thread_poll(r.t, 0);
	memset(&newer, 0x55, sizeof(newer));
	nvio_thread_get_stats(r.t, &newer.s, sizeof(newer));
	assert_int_equal(newer.s.polls, 1);
	assert_int_equal(newer.later, 0);
	memset(&newer, 0x55, sizeof(newer));
	nvio_thread_get_stats(r.t, &newer.s, offsetof(struct nvio_thread_stats, msgs));
	assert_int_equal(newer.s.polls, 1);
	assert_int_equal(newer.s.msgs, 0x5555555555555555);
	rig_close(&r);
}

struct list_of {
	uint64_t ids[8];
	int count, stop_at;
	struct nvio_thread *destroy;
};

static int add_to_list(struct nvio_thread *t, void *arg)
{
	struct list_of *l = arg;

	l->ids[l->count++] = nvio_thread_id(t);
	if (l->destroy) {
		assert_int_equal(nvio_thread_destroy(l->destroy), 0);
		l->destroy = NULL;
		/* Its memory stays for the duration of the call. */
		assert_string_equal(nvio_thread_name(t), "thread-1");
		assert_false(nvio_thread_is_running(t));
	}
	return l->count == l->stop_at ? 7 : 0;
}

static void threads_are_listed_oldest_first(void **state)
{
	struct nvio_thread *t[3];
	struct list_of l = { 0 }, first = { .stop_at = 1 }, vanishing = { 0 };
	struct nvio_env *env;

	assert_int_equal(nvio_env_open(NULL, &env), 0);
	assert_int_equal(nvio_thread_for_each(env, add_to_list, &l), 0);
	assert_int_equal(l.count, 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(nvio_thread_create(env, NULL, &t[i]), 0);
	assert_int_equal(nvio_thread_for_each(env, add_to_list, &l), 0);
	assert_int_equal(l.count, 3);
	for (int i = 0; i < 3; i++)
		assert_int_equal(l.ids[i], nvio_thread_id(t[i]));
	assert_int_equal(nvio_thread_for_each(env, add_to_list, &first), 7);
	assert_int_equal(first.count, 1);
	vanishing.destroy = t[0];
	assert_int_equal(nvio_thread_for_each(env, add_to_list, &vanishing), 0);
	assert_int_equal(vanishing.count, 3);
	nvio_env_close(env);
}

struct reader {
	struct nvio_env *env;
	atomic_bool stop;
	pthread_t os;
};

static int read_one(struct nvio_thread *t, void *arg)
{
	struct nvio_poller_stats ps[4];
	struct nvio_thread_stats s = stats_of(t);

	nvio_thread_get_poller_stats(t, ps, 4);
	return s.polls + s.msgs == UINT64_MAX;
}

static void *read_all_the_time(void *arg)
{
	struct reader *reader = arg;

	while (!atomic_load(&reader->stop))
		nvio_thread_for_each(reader->env, read_one, NULL);
	return NULL;
}

/* For the thread sanitizer: pollers, channels and threads come and go under the reader's eyes. */
static void statistics_are_read_by_others_meanwhile(void **state)
{
	struct reader reader = { 0 };
	int one = 1, ran = 0;
	struct device d;
	struct rig r;

	open_with_device(&r, &d);
	reader.env = r.env;
	assert_int_equal(pthread_create(&reader.os, NULL, read_all_the_time, &reader), 0);
	for (int i = 0; i < 500; i++) {
		struct nvio_thread *t;
		struct nvio_poller *p, *timed;
		struct nvio_channel *ch;

		assert_int_equal(nvio_poller_register(r.t, "p", visit_nothing, &one, 0, &p), 0);
		assert_int_equal(nvio_poller_register(r.t, "t", visit_nothing, &one, 10, &timed), 0);
		assert_int_equal(nvio_channel_get(r.env, &d, &ch), 0);
		assert_int_equal(nvio_thread_create(r.env, NULL, &t), 0);
		nvio_thread_send(r.t, rig_count, &ran);
		nvio_thread_poll(r.t, 0);
		nvio_poller_pause(p);
		r.now_ns += 10000;
		nvio_thread_poll(r.t, 0);
		nvio_poller_resume(p);
		nvio_poller_unregister(p);
		nvio_poller_unregister(timed);
		nvio_channel_put(ch);
		assert_int_equal(nvio_thread_destroy(t), 0);
	}
	atomic_store(&reader.stop, true);
	assert_int_equal(pthread_join(reader.os, NULL), 0);
	assert_int_equal(ran, 500);
	assert_int_equal(nvio_thread_detach(r.t), 0);
	close_with_device(&r, &d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(busy_and_idle_time_are_told_apart),
		cmocka_unit_test(sleep_is_idle_time),
		cmocka_unit_test(messages_pollers_and_channels_are_counted),
		cmocka_unit_test(a_program_of_another_release_gets_as_much_as_it_knows),
		cmocka_unit_test(threads_are_listed_oldest_first),
		cmocka_unit_test(statistics_are_read_by_others_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
