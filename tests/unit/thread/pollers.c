/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rows T4, T8: pollers: who runs when, and what they may do to themselves and to each other in the middle
 * of a poll.
 */
#include "tests/unit/thread/rig.h"

#include <limits.h>

enum act {
	ACT_NOTHING,
	ACT_UNREGISTER,
	ACT_PAUSE,
	ACT_PAUSE_RESUME,
	ACT_PAUSE_RESUME_PAUSE,
	ACT_REPLACE, /* unregister, and register anew */
};

struct play {
	struct rig rig;
	struct nvio_poller *p[3];
	int runs[3];
	uint64_t period_us;
	int target;
	enum act act;
	bool nest_before, nest_after;
	bool acted;
	int depth;
};

static int play_a(void *arg)
{
	((struct play *)arg)->runs[0]++;
	return 0;
}

static int play_c(void *arg)
{
	((struct play *)arg)->runs[2]++;
	return 0;
}

static int play_b(void *arg);

static const nvio_poller_fn play_fns[] = { play_a, play_b, play_c };

static void play_register(struct play *play, int i)
{
	assert_int_equal(
		nvio_poller_register(play->rig.t, "play", play_fns[i], play, play->period_us, &play->p[i]),
		0);
}

static void play_act(struct play *play)
{
	struct nvio_poller **p = &play->p[play->target];

	switch (play->act) {
	case ACT_NOTHING: break;
	case ACT_UNREGISTER:
		nvio_poller_unregister(*p);
		*p = NULL;
		break;
	case ACT_PAUSE: nvio_poller_pause(*p); break;
	case ACT_PAUSE_RESUME_PAUSE:
	case ACT_PAUSE_RESUME:
		nvio_poller_pause(*p);
		nvio_poller_pause(*p); /* a second one does nothing */
		nvio_poller_resume(*p);
		nvio_poller_resume(*p);
		if (play->act == ACT_PAUSE_RESUME_PAUSE)
			nvio_poller_pause(*p);
		break;
	case ACT_REPLACE:
		nvio_poller_unregister(*p);
		play_register(play, play->target);
		break;
	}
}

/* The one in the middle acts, once. */
static int play_b(void *arg)
{
	struct play *play = arg;

	/* Never entered again; but one that was registered in its stead is another poller. */
	if (play->act != ACT_REPLACE)
		assert_int_equal(play->depth, 0);
	play->depth++;
	play->runs[1]++;
	if (!play->acted) {
		play->acted = true;
		if (play->nest_before)
			nvio_thread_poll(play->rig.t, 0);
		play_act(play);
		if (play->nest_after)
			nvio_thread_poll(play->rig.t, 0);
	}
	play->depth--;
	return 0;
}

static void a_poller_may_do_anything_to_any_poller(void **state)
{
	/* How often A, B and C have run after the first poll and after the second; untimed, without nested
	 * polls. */
	static const struct {
		enum act act;
		int target;
		int first[3], second[3];
	} cases[] = {
		{ ACT_NOTHING, 0, { 1, 1, 1 }, { 2, 2, 2 } },
		{ ACT_UNREGISTER, 0, { 1, 1, 1 }, { 1, 2, 2 } },
		{ ACT_UNREGISTER, 1, { 1, 1, 1 }, { 2, 1, 2 } },
		{ ACT_UNREGISTER, 2, { 1, 1, 0 }, { 2, 2, 0 } },
		{ ACT_PAUSE, 0, { 1, 1, 1 }, { 1, 2, 2 } },
		{ ACT_PAUSE, 1, { 1, 1, 1 }, { 2, 1, 2 } },
		{ ACT_PAUSE, 2, { 1, 1, 0 }, { 2, 2, 0 } },
		{ ACT_PAUSE_RESUME, 0, { 1, 1, 1 }, { 2, 2, 2 } },
		{ ACT_PAUSE_RESUME, 1, { 1, 1, 1 }, { 2, 2, 2 } },
		{ ACT_PAUSE_RESUME, 2, { 1, 1, 0 }, { 2, 2, 1 } },
		{ ACT_PAUSE_RESUME_PAUSE, 0, { 1, 1, 1 }, { 1, 2, 2 } },
		{ ACT_PAUSE_RESUME_PAUSE, 1, { 1, 1, 1 }, { 2, 1, 2 } },
		{ ACT_PAUSE_RESUME_PAUSE, 2, { 1, 1, 0 }, { 2, 2, 0 } },
		{ ACT_REPLACE, 0, { 1, 1, 1 }, { 2, 2, 2 } },
		{ ACT_REPLACE, 1, { 1, 1, 1 }, { 2, 2, 2 } },
		{ ACT_REPLACE, 2, { 1, 1, 0 }, { 2, 2, 1 } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct play play = { .act = cases[i].act, .target = cases[i].target };

		rig_open_env(&play.rig, false);
		for (int n = 0; n < 3; n++)
			play_register(&play, n);
		nvio_thread_poll(play.rig.t, 0);
		assert_memory_equal(play.runs, cases[i].first, sizeof(play.runs));
		nvio_thread_poll(play.rig.t, 0);
		assert_memory_equal(play.runs, cases[i].second, sizeof(play.runs));
		rig_close(&play.rig);
	}
}

/* The same with nested polls before and after, and timed: whether the target goes on or not is all that
 * counts. */
static void it_may_do_so_around_nested_polls_and_when_timed(void **state)
{
	for (int act = ACT_NOTHING; act <= ACT_REPLACE; act++) {
		for (int variant = 0; variant < 3 * 2 * 2 * 2; variant++) {
			struct play play = { .act = act };
			bool goes_on = act == ACT_NOTHING || act == ACT_PAUSE_RESUME || act == ACT_REPLACE;
			int before[3];

			play.target = variant % 3;
			play.nest_before = variant / 3 % 2;
			play.nest_after = variant / 6 % 2;
			play.period_us = variant / 12 ? 10 : 0;
			rig_open_env(&play.rig, true);
			for (int n = 0; n < 3; n++)
				play_register(&play, n);
			for (int n = 0; n < 2; n++) {
				play.rig.now_ns += 10000;
				nvio_thread_poll(play.rig.t, 0);
			}
			assert_true(play.acted);
			memcpy(before, play.runs, sizeof(before));
			for (int n = 0; n < 5; n++) {
				play.rig.now_ns += 10000;
				nvio_thread_poll(play.rig.t, 0);
			}
			for (int n = 0; n < 3; n++)
				assert_int_equal(
					play.runs[n] - before[n], n != play.target || goes_on ? 5 : 0);
			rig_close(&play.rig);
		}
	}
}

struct breeder {
	struct nvio_thread *t;
	int born;
};

static int breed(void *arg)
{
	struct breeder *b = arg;
	struct nvio_poller *p;

	assert_int_equal(nvio_poller_register(b->t, "child", breed, b, 0, &p), 0);
	b->born++;
	return 1;
}

static void pollers_that_register_pollers_do_not_keep_the_poll(void **state)
{
	struct breeder b = { 0 };
	struct nvio_poller *p;
	struct rig r;

	rig_open_env(&r, false);
	b.t = r.t;
	assert_int_equal(nvio_poller_register(r.t, "first", breed, &b, 0, &p), 0);
	for (int i = 0; i < 6; i++)
		assert_int_equal(nvio_thread_poll(r.t, 0), 1 << i);
	assert_int_equal(b.born, 63);
	rig_close(&r);
}

static void what_a_thread_has_is_what_it_says(void **state)
{
	struct nvio_poller *untimed, *timed;
	struct rig r;
	int n = 0;

	rig_open_env(&r, true);
	assert_false(nvio_thread_has_pollers(r.t));
	assert_int_equal(nvio_poller_register(r.t, NULL, rig_count_poller, &n, 100, &timed), 0);
	assert_true(nvio_thread_has_pollers(r.t));
	assert_false(nvio_thread_has_active_pollers(r.t));
	assert_int_equal(nvio_poller_register(r.t, "u", rig_count_poller, &n, 0, &untimed), 0);
	assert_true(nvio_thread_has_active_pollers(r.t));
	assert_false(nvio_thread_is_idle(r.t));
	nvio_poller_pause(untimed);
	assert_false(nvio_thread_has_active_pollers(r.t));
	assert_false(nvio_thread_is_idle(r.t)); /* the timed one's timer runs */
	nvio_poller_pause(timed);
	assert_true(nvio_thread_is_idle(r.t));
	assert_true(nvio_thread_has_pollers(r.t));
	nvio_poller_resume(untimed);
	assert_true(nvio_thread_has_active_pollers(r.t));
	nvio_poller_unregister(untimed);
	nvio_poller_unregister(timed);
	nvio_poller_unregister(NULL);
	assert_false(nvio_thread_has_pollers(r.t));
	assert_int_equal(nvio_thread_poll(r.t, 0), 0);
	assert_int_equal(n, 0);
	rig_close(&r);
}

static void timed_pollers_keep_their_beat(void **state)
{
	/* Where the clock goes, in us, and how often the poller of 100 us has run by then. */
	static const struct {
		uint64_t at_us;
		int runs;
	} steps[] = {
		{ 0, 0 },
		{ 99, 0 },
		{ 100, 1 },
		{ 100, 1 },
		{ 199, 1 },
		{ 230, 2 },
		{ 299, 2 },
		{ 300, 3 },  /* late once, and in beat again */
		{ 1000, 4 }, /* missed beats are not made up for */
		{ 1099, 4 },
		{ 1100, 5 },
	};
	struct nvio_poller *p;
	struct rig r;
	uint64_t start;
	int n = 0;

	rig_open_env(&r, true);
	start = r.now_ns;
	assert_int_equal(nvio_poller_register(r.t, "beat", rig_count_poller, &n, 100, &p), 0);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		r.now_ns = start + steps[i].at_us * 1000;
		nvio_thread_poll(r.t, 0);
		assert_int_equal(n, steps[i].runs);
	}
	/* A pause starts the beat anew. */
	nvio_poller_pause(p);
	r.now_ns += 1000000;
	nvio_thread_poll(r.t, 0);
	assert_int_equal(n, 5);
	nvio_poller_resume(p);
	r.now_ns += 99999;
	nvio_thread_poll(r.t, 0);
	assert_int_equal(n, 5);
	r.now_ns += 1;
	nvio_thread_poll(r.t, 0);
	assert_int_equal(n, 6);
	rig_close(&r);
}

static int return_it(void *arg)
{
	return *(int *)arg;
}

static void a_poll_returns_the_work_of_its_pollers(void **state)
{
	static const struct {
		int a, b, sum;
	} cases[] = {
		{ 0, 0, 0 },
		{ 1, 0, 1 },
		{ 3, 4, 7 },
		{ -5, 2, 2 },
		{ INT_MAX, 1, INT_MAX },
		{ INT_MAX, INT_MAX, INT_MAX },
		{ INT_MIN, -1, 0 },
	};
	struct nvio_poller *p;
	struct rig r;
	int a, b;

	rig_open_env(&r, false);
	assert_int_equal(nvio_poller_register(r.t, "a", return_it, &a, 0, &p), 0);
	assert_int_equal(nvio_poller_register(r.t, "b", return_it, &b, 0, &p), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		a = cases[i].a;
		b = cases[i].b;
		assert_int_equal(nvio_thread_poll(r.t, 0), cases[i].sum);
	}
	rig_close(&r);
}

static void a_failed_register_leaves_nothing(void **state)
{
	struct nvio_poller *p = NULL;
	struct rig r;
	int n = 0;

	rig_open_env(&r, false);
	assert_int_equal(nvio_poller_register(r.t, "p", NULL, NULL, 0, &p), -EINVAL);
	assert_int_equal(nvio_poller_register(r.t, "p", rig_count_poller, &n, 0, NULL), -EINVAL);
	for (long i = 0, left = -1; left < 0; i++) {
		int rc;

		alloc_fail_after(i);
		rc = nvio_poller_register(r.t, "p", rig_count_poller, &n, 1, &p);
		left = alloc_fail_after(-1);
		assert_int_equal(rc, left < 0 ? -ENOMEM : 0);
		assert_int_equal(nvio_thread_has_pollers(r.t), left >= 0);
	}
	rig_close(&r);
}

/* A beat takes no memory, however many other timers were started since: it cannot fail. */
static void a_beat_never_needs_memory(void **state)
{
	struct nvio_timer timers[100] = { 0 };
	struct nvio_poller *p[40];
	struct rig r;
	int n = 0;

	rig_open_env(&r, true);
	for (int i = 0; i < 40; i++) {
		assert_int_equal(nvio_poller_register(r.t, "p", rig_count_poller, &n, 100, &p[i]), 0);
		nvio_poller_pause(p[i]);
	}
	for (int i = 0; i < 100; i++) {
		timers[i].fn = (void (*)(struct nvio_timer *))rig_count;
		assert_int_equal(nvio_timer_start(r.t, &timers[i], 1000000), 0);
	}
	alloc_fail_after(0);
	for (int i = 0; i < 40; i++)
		nvio_poller_resume(p[i]);
	for (int i = 0; i < 5; i++) {
		r.now_ns += 100000;
		assert_int_equal(nvio_thread_poll(r.t, 0), 0);
	}
	assert_int_equal(alloc_fail_after(-1), 0);
	assert_int_equal(n, 200);
	for (int i = 0; i < 100; i++)
		nvio_timer_stop(&timers[i]);
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_poller_may_do_anything_to_any_poller),
		cmocka_unit_test(it_may_do_so_around_nested_polls_and_when_timed),
		cmocka_unit_test(pollers_that_register_pollers_do_not_keep_the_poll),
		cmocka_unit_test(what_a_thread_has_is_what_it_says),
		cmocka_unit_test(timed_pollers_keep_their_beat),
		cmocka_unit_test(a_poll_returns_the_work_of_its_pollers),
		cmocka_unit_test(a_failed_register_leaves_nothing),
		cmocka_unit_test(a_beat_never_needs_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
