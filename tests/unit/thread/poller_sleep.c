/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows T8, T9, Z15: pollers that sleep on a descriptor when they have long found nothing. */
#include "tests/unit/thread/rig.h"

#include <poll.h>
#include <sys/eventfd.h>

struct source {
	struct rig r;
	struct nvio_poller *p;
	int fd, calls, found;
	int (*during)(struct source *s); /* called in the poller */
};

static int consume(void *arg)
{
	struct source *s = arg;
	uint64_t n;

	s->calls++;
	if (s->during)
		return s->during(s);
	if (read(s->fd, &n, sizeof(n)) != sizeof(n))
		return 0;
	s->found += (int)n;
	return 1;
}

static void source_open(struct source *s)
{
	memset(s, 0, sizeof(*s));
	rig_open_env(&s->r, false);
	s->fd = eventfd(0, EFD_NONBLOCK);
	assert_int_equal(nvio_poller_register(s->r.t, "source", consume, s, 0, &s->p), 0);
}

static void source_close(struct source *s)
{
	if (s->p)
		nvio_poller_unregister(s->p);
	close(s->fd);
	rig_close(&s->r);
}

static void feed(struct source *s)
{
	assert_int_equal(write(s->fd, &(uint64_t){ 1 }, 8), 8);
}

static void polls(struct source *s, int n)
{
	for (int i = 0; i < n; i++)
		nvio_thread_poll(s->r.t, 0);
}

static bool may_sleep(struct source *s)
{
	return nvio_thread_timeout_ms(s->r.t) != 0;
}

static void it_spins_so_often_sleeps_and_is_woken(void **state)
{
	struct source s;

	source_open(&s);
	assert_int_equal(nvio_poller_sleep_on(s.p, s.fd, 10), 0);
	for (int round = 1; round <= 3; round++) {
		struct pollfd fd = { .fd = nvio_thread_fd(s.r.t), .events = POLLIN };

		s.calls = 0;
		polls(&s, 9);
		assert_false(may_sleep(&s));
		polls(&s, 100);
		assert_int_equal(s.calls, 10);
		assert_true(may_sleep(&s));
		assert_int_equal(poll(&fd, 1, 0), 0);
		feed(&s);
		assert_int_equal(poll(&fd, 1, 0), 1);
		polls(&s, 1);
		assert_int_equal(s.found, round);
		/* Work starts the count anew. */
		assert_false(may_sleep(&s));
	}
	source_close(&s);
}

static void what_comes_while_it_falls_asleep_is_not_lost(void **state)
{
	struct source s;

	source_open(&s);
	assert_int_equal(nvio_poller_sleep_on(s.p, s.fd, 0), 0);
	polls(&s, 1);
	feed(&s);
	assert_true(may_sleep(&s)); /* the descriptor tells */
	assert_int_equal(poll(&(struct pollfd){ .fd = nvio_thread_fd(s.r.t), .events = POLLIN }, 1, 0), 1);
	polls(&s, 2);
	assert_int_equal(s.found, 1);
	source_close(&s);
}

static void pausing_and_resuming_hold_while_it_sleeps(void **state)
{
	struct source s;

	source_open(&s);
	assert_int_equal(nvio_poller_sleep_on(s.p, s.fd, 2), 0);
	polls(&s, 5);
	assert_int_equal(s.calls, 2);
	nvio_poller_resume(s.p);
	polls(&s, 5);
	assert_int_equal(s.calls, 4);
	nvio_poller_pause(s.p);
	feed(&s);
	polls(&s, 5);
	assert_int_equal(s.calls, 4);
	nvio_poller_resume(s.p);
	polls(&s, 1);
	assert_int_equal(s.found, 1);
	polls(&s, 5);
	assert_int_equal(nvio_poller_sleep_on(s.p, -1, 0), 0);
	s.calls = 0;
	polls(&s, 5);
	assert_int_equal(s.calls, 5);
	source_close(&s);
}

static int unregister_itself(struct source *s)
{
	nvio_poller_unregister(s->p);
	s->p = NULL;
	return 0;
}

static int pause_itself(struct source *s)
{
	nvio_poller_pause(s->p);
	return 0;
}

static int give_up_sleep(struct source *s)
{
	nvio_poller_sleep_on(s->p, -1, 0);
	return 0;
}

static void it_may_do_anything_to_itself(void **state)
{
	static const struct {
		int (*during)(struct source *s);
		int calls;
	} cases[] = { { unregister_itself, 1 }, { pause_itself, 1 }, { give_up_sleep, 5 } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct source s;

		source_open(&s);
		assert_int_equal(nvio_poller_sleep_on(s.p, s.fd, 1), 0);
		s.during = cases[i].during;
		polls(&s, 5);
		assert_int_equal(s.calls, cases[i].calls);
		source_close(&s);
	}
}

static void its_end_asleep_leaves_nothing_watched(void **state)
{
	struct source s;

	source_open(&s);
	assert_int_equal(nvio_poller_sleep_on(s.p, s.fd, 1), 0);
	polls(&s, 5);
	nvio_poller_unregister(s.p);
	s.p = NULL;
	assert_int_equal(nvio_thread_remove_fd(s.r.t, s.fd), -ENOENT);
	/* And so does the thread's. */
	assert_int_equal(nvio_poller_register(s.r.t, "source", consume, &s, 0, &s.p), 0);
	assert_int_equal(nvio_poller_sleep_on(s.p, s.fd, 1), 0);
	polls(&s, 5);
	s.p = NULL;
	source_close(&s);
}

static void what_cannot_be_is_refused_or_spins_on(void **state)
{
	struct nvio_poller *timed;
	struct source s;

	source_open(&s);
	assert_int_equal(nvio_poller_register(s.r.t, "timed", consume, &s, 1000000, &timed), 0);
	assert_int_equal(nvio_poller_sleep_on(timed, s.fd, 1), -EINVAL);
	assert_said("timed");
	assert_int_equal(nvio_poller_sleep_on(s.p, -2, 1), -EBADF);
	alloc_fail_after(0);
	assert_int_equal(nvio_poller_sleep_on(s.p, s.fd, 1), -ENOMEM);
	alloc_fail_after(-1);
	/* A descriptor that epoll does not take: the poller is called all the same. */
	assert_int_equal(nvio_poller_sleep_on(s.p, 1000000, 1), 0);
	polls(&s, 20);
	assert_int_equal(s.calls, 20);
	source_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_spins_so_often_sleeps_and_is_woken),
		cmocka_unit_test(what_comes_while_it_falls_asleep_is_not_lost),
		cmocka_unit_test(pausing_and_resuming_hold_while_it_sleeps),
		cmocka_unit_test(it_may_do_anything_to_itself),
		cmocka_unit_test(its_end_asleep_leaves_nothing_watched),
		cmocka_unit_test(what_cannot_be_is_refused_or_spins_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
