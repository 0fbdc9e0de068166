/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Row T8: timers against a clock that stands still: exact, in order, and what they may do in each other's
 * callbacks.
 */
#include "tests/unit/thread/rig.h"

#include <stdlib.h>

struct log {
	struct rig rig;
	int fired[2048];
	int count;
};

struct entry {
	struct nvio_timer timer;
	struct log *log;
	int number;
	struct entry *stops, *starts; /* in its callback */
	uint64_t delay_us;
};

static void fired(struct nvio_timer *timer)
{
	struct entry *e = container_of(timer, struct entry, timer);

	assert_int_equal(timer->heap_index, 0);
	assert_true(timer->due_ns <= e->log->rig.now_ns);
	e->log->fired[e->log->count++] = e->number;
	if (e->stops)
		nvio_timer_stop(&e->stops->timer);
	if (e->starts)
		assert_int_equal(nvio_timer_start(e->log->rig.t, &e->starts->timer, e->starts->delay_us), 0);
}

static void make_entries(struct log *log, struct entry *entries, int n)
{
	rig_open_env(&log->rig, true);
	for (int i = 0; i < n; i++)
		entries[i] = (struct entry){ .timer.fn = fired, .log = log, .number = i };
}

static void start(struct entry *e, uint64_t delay_us)
{
	assert_int_equal(nvio_timer_start(e->log->rig.t, &e->timer, delay_us), 0);
}

static void timers_fire_when_due_and_not_a_nanosecond_before(void **state)
{
	struct log log = { 0 };
	struct entry e[3];

	make_entries(&log, e, 3);
	start(&e[0], 20);
	start(&e[1], 10);
	start(&e[2], 0);
	assert_int_equal(log.count, 0); /* never inside start */
	assert_int_equal(nvio_thread_poll(log.rig.t, 0), 1);
	assert_int_equal(log.fired[0], 2);
	log.rig.now_ns += 9999;
	assert_int_equal(nvio_thread_poll(log.rig.t, 0), 0);
	log.rig.now_ns += 1;
	assert_int_equal(nvio_thread_poll(log.rig.t, 0), 1);
	assert_int_equal(log.fired[1], 1);
	log.rig.now_ns += 50000;
	assert_int_equal(nvio_thread_poll(log.rig.t, 0), 1);
	assert_int_equal(log.fired[2], 0);
	assert_int_equal(nvio_thread_poll(log.rig.t, 0), 0);
	rig_close(&log.rig);
}

static void equal_ones_fire_in_the_order_of_starting(void **state)
{
	struct log log = { 0 };
	struct entry e[100];

	make_entries(&log, e, 100);
	for (int i = 0; i < 100; i++)
		start(&e[i], 5);
	log.rig.now_ns += 5000;
	assert_int_equal(nvio_thread_poll(log.rig.t, 0), 100);
	for (int i = 0; i < 100; i++)
		assert_int_equal(log.fired[i], i);
	rig_close(&log.rig);
}

static void starting_again_moves_and_stopping_stops(void **state)
{
	struct log log = { 0 };
	struct entry e[3];

	make_entries(&log, e, 3);
	start(&e[0], 10);
	start(&e[1], 20);
	start(&e[2], 30);
	start(&e[0], 40);
	start(&e[2], 5);
	nvio_timer_stop(&e[1].timer);
	nvio_timer_stop(&e[1].timer);
	log.rig.now_ns += 39999;
	assert_int_equal(nvio_thread_poll(log.rig.t, 0), 1);
	assert_int_equal(log.fired[0], 2);
	log.rig.now_ns += 1;
	assert_int_equal(nvio_thread_poll(log.rig.t, 0), 1);
	assert_int_equal(log.fired[1], 0);
	assert_true(nvio_thread_is_idle(log.rig.t));
	rig_close(&log.rig);
}

static void a_callback_may_stop_and_start_others_and_itself(void **state)
{
	struct log log = { 0 };
	struct entry e[4];

	make_entries(&log, e, 4);
	for (int i = 0; i < 3; i++)
		start(&e[i], 10);
	e[0].stops = &e[1];  /* due at the same moment, and not run */
	e[2].starts = &e[2]; /* itself, at once: not in this poll */
	log.rig.now_ns += 10000;
	assert_int_equal(nvio_thread_poll(log.rig.t, 0), 2);
	assert_int_equal(log.fired[1], 2);
	for (int i = 0; i < 5; i++)
		assert_int_equal(nvio_thread_poll(log.rig.t, 0), 1);
	assert_int_equal(log.count, 7);
	e[2].starts = NULL;
	assert_int_equal(nvio_thread_poll(log.rig.t, 0), 1);
	assert_int_equal(nvio_thread_poll(log.rig.t, 0), 0);
	rig_close(&log.rig);
}

static void a_delay_beyond_the_end_of_time_is_never(void **state)
{
	static const uint64_t delays[] = { UINT64_MAX, UINT64_MAX / 1000, UINT64_MAX / 1000 + 1,
		UINT64_MAX - 1 };

	for (size_t i = 0; i < ARRAY_SIZE(delays); i++) {
		struct log log = { 0 };
		struct entry e[1];

		make_entries(&log, e, 1);
		start(&e[0], delays[i]);
		log.rig.now_ns = UINT64_MAX - 1;
		assert_int_equal(nvio_thread_poll(log.rig.t, 0), 0);
		assert_int_equal(log.count, 0);
		nvio_timer_stop(&e[0].timer);
		rig_close(&log.rig);
	}
}

static void a_timer_moves_from_one_thread_to_another(void **state)
{
	struct log log = { 0 };
	struct nvio_thread *b;
	struct entry e[1];

	make_entries(&log, e, 1);
	assert_int_equal(nvio_thread_create(log.rig.env, NULL, &b), 0);
	start(&e[0], 10);
	assert_int_equal(nvio_timer_start(b, &e[0].timer, 10), 0);
	log.rig.now_ns += 10000;
	assert_int_equal(nvio_thread_poll(log.rig.t, 0), 0);
	assert_int_equal(nvio_thread_poll(b, 0), 1);
	assert_int_equal(nvio_thread_destroy(b), 0);
	rig_close(&log.rig);
}

static void without_memory_a_start_fails_and_a_move_does_not(void **state)
{
	struct log log = { 0 };
	struct entry e[20];
	int i;

	make_entries(&log, e, 20);
	for (i = 0; i < 20; i++) {
		int rc;

		alloc_fail_after(0);
		rc = nvio_timer_start(log.rig.t, &e[i].timer, 10);
		if (alloc_fail_after(-1) < 0) {
			assert_int_equal(rc, -ENOMEM);
			assert_int_equal(e[i].timer.heap_index, 0);
			start(&e[i], 10);
		} else {
			assert_int_equal(rc, 0);
		}
	}
	alloc_fail_after(0);
	for (i = 0; i < 20; i++)
		start(&e[i], 20);
	assert_int_equal(alloc_fail_after(-1), 0);
	log.rig.now_ns += 20000;
	assert_int_equal(nvio_thread_poll(log.rig.t, 0), 20);
	rig_close(&log.rig);
}

/* Started, moved and stopped at random, against a plain list. */
static void a_thousand_timers_fire_as_a_sorted_list_says(void **state)
{
	static struct log log;
	static struct entry e[1000];
	uint64_t due[1000];
	unsigned seed = 1;

	memset(&log, 0, sizeof(log));
	make_entries(&log, e, 1000);
	memset(due, 0, sizeof(due));
	for (int i = 0; i < 20000; i++) {
		int n = rand_r(&seed) % 1000;
		uint64_t delay = (uint64_t)(rand_r(&seed) % 500);

		if (rand_r(&seed) % 4) {
			start(&e[n], delay);
			due[n] = log.rig.now_ns + delay * 1000;
		} else {
			nvio_timer_stop(&e[n].timer);
			due[n] = 0;
		}
		if (i % 7)
			continue;
		log.count = 0;
		log.rig.now_ns += 3000;
		nvio_thread_poll(log.rig.t, 0);
		for (int f = 0; f < log.count; f++) {
			int number = log.fired[f];

			assert_true(due[number] && due[number] <= log.rig.now_ns);
			if (f)
				assert_true(e[log.fired[f - 1]].timer.due_ns <= e[number].timer.due_ns);
			due[number] = 0;
		}
		for (int k = 0; k < 1000; k++)
			assert_true(!due[k] || due[k] > log.rig.now_ns);
	}
	for (int i = 0; i < 1000; i++)
		nvio_timer_stop(&e[i].timer);
	assert_true(nvio_thread_is_idle(log.rig.t));
	rig_close(&log.rig);
}

static void count_real(struct nvio_timer *timer)
{
	++*(int *)timer->arg;
}

static void on_the_real_clock_a_timer_is_neither_early_nor_forgotten(void **state)
{
	struct nvio_timer timer = { .fn = count_real };
	uint64_t before;
	struct rig r;
	int n = 0;

	rig_open_env(&r, false);
	timer.arg = &n;
	before = clock_monotonic_ns();
	assert_int_equal(nvio_timer_start(r.t, &timer, 2000), 0);
	rig_poll_until(r.t, &n, 1);
	assert_true(clock_monotonic_ns() - before >= 2000000);
	/* One that is due at once runs in the very next poll, gate or no gate. */
	for (int i = 0; i < 100; i++) {
		assert_int_equal(nvio_timer_start(r.t, &timer, 0), 0);
		assert_int_equal(nvio_thread_poll(r.t, 0), 1);
	}
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timers_fire_when_due_and_not_a_nanosecond_before),
		cmocka_unit_test(equal_ones_fire_in_the_order_of_starting),
		cmocka_unit_test(starting_again_moves_and_stopping_stops),
		cmocka_unit_test(a_callback_may_stop_and_start_others_and_itself),
		cmocka_unit_test(a_delay_beyond_the_end_of_time_is_never),
		cmocka_unit_test(a_timer_moves_from_one_thread_to_another),
		cmocka_unit_test(without_memory_a_start_fails_and_a_move_does_not),
		cmocka_unit_test(a_thousand_timers_fire_as_a_sorted_list_says),
		cmocka_unit_test(on_the_real_clock_a_timer_is_neither_early_nor_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
