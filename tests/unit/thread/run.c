/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows Z10, Z15, T9: the loop that sleeps when idle, and how it ends. */
#include "tests/unit/thread/rig.h"

#include <sys/resource.h>
#include <time.h>

static uint64_t cpu_ns(void)
{
	struct rusage use;

	getrusage(RUSAGE_SELF, &use);
	return (uint64_t)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1000000000u +
	       (uint64_t)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) * 1000u;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

struct looper {
	struct rig r;
	uint32_t spin_us;
	pthread_t os;
	int rc;
};

static void *run(void *arg)
{
	struct looper *l = arg;

	l->rc = nvio_thread_run(l->r.t, l->spin_us);
	return NULL;
}

static void looper_start(struct looper *l, uint32_t spin_us)
{
	memset(l, 0, sizeof(*l));
	rig_open_env(&l->r, false);
	l->spin_us = spin_us;
	assert_int_equal(pthread_create(&l->os, NULL, run, l), 0);
}

static void looper_join(struct looper *l)
{
	assert_int_equal(pthread_join(l->os, NULL), 0);
	assert_int_equal(l->rc, 0);
}

static void stop_ends_a_run_wherever_it_is(void **state)
{
	/* Not begun yet, spinning, just about to sleep, asleep; and more often than once. */
	for (int round = 0; round < 200; round++) {
		struct looper l;

		looper_start(&l, round % 3 * 20);
		usleep((useconds_t)(round % 10 * 30));
		nvio_thread_stop(l.r.t);
		nvio_thread_stop(l.r.t);
		looper_join(&l);
		assert_true(nvio_thread_is_running(l.r.t));
		rig_close(&l.r);
	}
}

static void exit_ends_a_run_wherever_it_is(void **state)
{
	for (int round = 0; round < 200; round++) {
		struct looper l;
		int ran = 0;

		looper_start(&l, round % 3 * 20);
		usleep((useconds_t)(round % 10 * 30));
		for (int i = 0; i < 5; i++)
			assert_int_equal(nvio_thread_send(l.r.t, rig_count, &ran), 0);
		nvio_thread_exit(l.r.t);
		looper_join(&l);
		assert_int_equal(ran, 5);
		rig_close(&l.r);
	}
}

static void stop_itself(void *arg)
{
	nvio_thread_stop(arg);
	nvio_thread_stop(arg);
}

static void run_again(void *arg)
{
	assert_int_equal(nvio_thread_run(arg, 0), -EALREADY);
	nvio_thread_stop(arg);
}

static void stop_from_within_ends_one_run_only(void **state)
{
	struct rig r;
	int ran = 0;

	rig_open_env(&r, false);
	assert_int_equal(nvio_thread_send(r.t, stop_itself, r.t), 0);
	assert_int_equal(nvio_thread_run(r.t, 50), 0);
	/* A stop before the run is not lost, and counts once. */
	nvio_thread_stop(r.t);
	nvio_thread_stop(r.t);
	assert_int_equal(nvio_thread_send(r.t, rig_count, &ran), 0);
	assert_int_equal(nvio_thread_run(r.t, 50), 0);
	assert_int_equal(ran, 0);
	assert_int_equal(nvio_thread_send(r.t, run_again, r.t), 0);
	assert_int_equal(nvio_thread_run(r.t, 50), 0);
	assert_int_equal(ran, 1);
	assert_null(nvio_thread_current());
	rig_close(&r);
}

static void a_run_of_what_another_has_is_refused(void **state)
{
	struct looper l;

	looper_start(&l, 0);
	while (nvio_thread_attach(l.r.t) != -EBUSY) {
		nvio_thread_detach(l.r.t);
		usleep(100);
	}
	assert_int_equal(nvio_thread_run(l.r.t, 0), -EBUSY);
	nvio_thread_stop(l.r.t);
	looper_join(&l);
	rig_close(&l.r);
}

static int beats;

static int beat(void *arg)
{
	beats++;
	return 1;
}

/*
 * Under a percent of a core; here a tenth is allowed, for sanitizers and busy machines. A wait in a join
 * counts as well.
 */
static void an_idle_process_sleeps(void **state)
{
	struct nvio_os_thread *os;
	struct nvio_poller *p;
	uint64_t cpu, begin;
	struct looper l;

	looper_start(&l, NVIO_THREAD_SPIN_US);
	assert_int_equal(nvio_os_thread_spawn(l.r.env, NULL, NULL, NULL, &os), 0);
	nvio_thread_stop(l.r.t);
	looper_join(&l);
	beats = 0;
	assert_int_equal(nvio_poller_register(l.r.t, "beat", beat, NULL, 20000, &p), 0);
	assert_int_equal(pthread_create(&l.os, NULL, run, &l), 0);
	usleep(100000);
	cpu = cpu_ns();
	begin = now_ns();
	usleep(700000);
	cpu = cpu_ns() - cpu;
	begin = now_ns() - begin;
	print_message("# idle: %.2f %% of a core\n", 100.0 * (double)cpu / (double)begin);
	assert_true(cpu * 10 < begin);
	nvio_thread_exit(l.r.t);
	looper_join(&l);
	assert_true(beats >= 10);
	nvio_env_close(l.r.env);
}

static int take_a_nap(struct nvio_thread *t, void *arg)
{
	usleep(500000);
	return 0;
}

static void who_waits_in_a_join_sleeps_too(void **state)
{
	for (int attached = 0; attached < 2; attached++) {
		struct nvio_os_thread *os;
		struct rig r;
		uint64_t cpu;

		rig_open_env(&r, false);
		if (attached)
			assert_int_equal(nvio_thread_attach(r.t), 0);
		cpu = cpu_ns();
		assert_int_equal(nvio_os_thread_spawn(r.env, NULL, take_a_nap, NULL, &os), 0);
		assert_int_equal(nvio_os_thread_join(os), 0);
		assert_true(cpu_ns() - cpu < 100000000);
		if (attached)
			assert_int_equal(nvio_thread_detach(r.t), 0);
		rig_close(&r);
	}
}

static void an_active_poller_is_never_slept_over(void **state)
{
	struct nvio_poller *p;
	struct looper l;
	int polled = 0;

	memset(&l, 0, sizeof(l));
	rig_open_env(&l.r, false);
	assert_int_equal(nvio_poller_register(l.r.t, "active", rig_count_poller, &polled, 0, &p), 0);
	assert_int_equal(pthread_create(&l.os, NULL, run, &l), 0);
	usleep(50000);
	nvio_thread_stop(l.r.t);
	looper_join(&l);
	assert_true(polled > 1000);
	rig_close(&l.r);
}

static void each_wake_up_is_served(void **state)
{
	struct looper l;
	int value = 0;

	looper_start(&l, 0);
	for (int i = 0; i < 300; i++) {
		struct nvio_op op = NVIO_OP(NULL);

		if (i % 3 == 0)
			usleep(200);
		assert_int_equal(nvio_await(nvio_thread_call(l.r.t, rig_count_poller, &value, &op), &op), 0);
	}
	assert_int_equal(value, 300);
	nvio_thread_exit(l.r.t);
	looper_join(&l);
	rig_close(&l.r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stop_ends_a_run_wherever_it_is),
		cmocka_unit_test(exit_ends_a_run_wherever_it_is),
		cmocka_unit_test(stop_from_within_ends_one_run_only),
		cmocka_unit_test(a_run_of_what_another_has_is_refused),
		cmocka_unit_test(an_idle_process_sleeps),
		cmocka_unit_test(who_waits_in_a_join_sleeps_too),
		cmocka_unit_test(an_active_poller_is_never_slept_over),
		cmocka_unit_test(each_wake_up_is_served),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
