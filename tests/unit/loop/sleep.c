/* SPDX-License-Identifier: BSD-3-Clause */
/* Sleeping at a port: who is woken by what, and that no wake-up is lost however close the two sides come (T9). */
#include "tests/support/unit.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "base/clock.h"
#include "base/random.h"
#include "loop/loop.h"
#include "tests/support/no_membarrier.h"

#define PATIENCE_MS 20000 /* a wake-up that takes so long is lost */

static struct nvio_env *env;
static struct loop_port *port;
static int target_fd;
static bool has_barrier;

static const struct loop_port_ops thread_ops = { 0 };

static void begin(const struct loop_port_ops *ops)
{
	assert_int_equal(loop_publish(env, "p", ops, NULL, 8, 0, &port), 0);
	assert_int_equal(loop_attach(env, "p", &port), 0);
	target_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_true(target_fd >= 0);
	loop_target_set_eventfd(port, target_fd);
}

static void end(void)
{
	loop_detach(port);
	loop_target_set_eventfd(port, -1);
	loop_withdraw(port);
	close(target_fd);
}

static int setup(void **state)
{
	return nvio_env_open(NULL, &env);
}

static int teardown(void **state)
{
	nvio_env_close(env);
	return 0;
}

static bool readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

/* How often the eventfd was written to since it was last asked. */
static uint64_t taken(int fd)
{
	uint64_t count = 0;

	return read(fd, &count, sizeof(count)) < 0 ? 0 : count;
}

/* ---- Who is woken by what ---- */

static void the_barrier_is_what_the_kernel_gives(void **state)
{
	begin(&thread_ops);
	assert_int_equal(loop_target_sleeps(port), has_barrier);
	assert_int_equal(loop_bell_open(port, 0) >= 0, true);
	assert_int_equal(loop_bell_arm(port, 0, 0), has_barrier);
	end();
}

static void a_target_is_woken_once_and_only_while_it_sleeps(void **state)
{
	begin(&thread_ops);
	loop_target_check(port);
	loop_reg_write(port, 0x14, 4, 1);
	assert_int_equal(taken(target_fd), 0);
	loop_target_sleeps(port);
	loop_target_check(port);
	loop_target_check(port);
	assert_int_equal(taken(target_fd), 1);
	loop_target_sleeps(port);
	loop_target_awake(port);
	loop_target_check(port);
	assert_int_equal(taken(target_fd), 0);
	end();
}

static void a_register_write_and_a_leaving_host_wake_the_target(void **state)
{
	begin(&thread_ops);
	loop_target_sleeps(port);
	loop_reg_write(port, 0x14, 4, 1);
	assert_int_equal(taken(target_fd), 1);
	loop_target_sleeps(port);
	loop_detach(port);
	assert_int_equal(taken(target_fd), 1);
	assert_int_equal(loop_attach(env, "p", &port), 0);
	end();
}

static void only_an_armed_bell_rings_and_only_once(void **state)
{
	int fds[2];

	begin(&thread_ops);
	for (uint32_t i = 0; i < 2; i++) {
		fds[i] = loop_bell_open(port, i);
		assert_true(fds[i] >= 0);
		assert_int_equal(loop_bell_open(port, i), fds[i]);
		loop_bell_ring(port, i);
		assert_false(readable(fds[i]));
	}
	assert_int_equal(*loop_bells_armed(port), 0);
	loop_bell_arm(port, 1, 41);
	assert_int_equal(*loop_bells_armed(port), 1);
	assert_int_equal(loop_bell_armed(port, 0), 0);
	assert_int_equal(loop_bell_armed(port, 1), 42);
	loop_bells_ring(port);
	assert_false(readable(fds[0]));
	assert_true(readable(fds[1]));
	assert_int_equal(loop_bell_armed(port, 1), 0);
	loop_bell_silence(port, 1);
	loop_bell_ring(port, 1);
	assert_false(readable(fds[1]));
	loop_bell_strike(port, 0);
	assert_true(readable(fds[0]));
	end();
}

static void removal_return_and_withdrawal_ring(void **state)
{
	int fd;

	begin(&thread_ops);
	fd = loop_bell_open(port, 3);
	for (int present = 0; present < 2; present++) {
		loop_bell_silence(port, 3);
		loop_bell_arm(port, 3, 0);
		loop_set_present(port, present);
		assert_true(readable(fd));
	}
	loop_bell_silence(port, 3);
	loop_bell_arm(port, 3, 0);
	loop_withdraw(port);
	assert_true(readable(fd));
	loop_detach(port);
	close(target_fd);
}

static void descriptors_go_with_the_bell_or_the_host(void **state)
{
	int before, files;

	begin(&thread_ops);
	before = unit_open_files();
	assert_true(loop_bell_open(port, 0) >= 0);
	assert_true(loop_bell_open(port, 128) >= 0);
	assert_int_equal(unit_open_files(), before + 2);
	assert_int_equal(loop_bell_open(port, 129), -EOPNOTSUPP);
	loop_bell_close(port, 0);
	loop_bell_close(port, 0);
	assert_int_equal(unit_open_files(), before + 1);
	loop_bell_ring(port, 0);
	loop_detach(port);
	files = unit_open_files();
	assert_int_equal(files, before);
	assert_int_equal(loop_attach(env, "p", &port), 0);
	end();
}

/* ---- Inline targets ---- */

static struct {
	int fd, timeout_ms, work;
} rests;

static int no_kick(void *ctx)
{
	return 0;
}

static int on_rest(void *ctx, int *fd, int *timeout_ms)
{
	*fd = rests.fd;
	*timeout_ms = rests.timeout_ms;
	return rests.work;
}

static void a_host_rests_with_its_inline_target(void **state)
{
	static const struct loop_port_ops ops = { .kick = no_kick, .rest = on_rest };
	int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), other = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK), ms, fd;

	begin(&ops);
	fd = loop_bell_open(port, 0);
	rests.work = 1;
	assert_int_equal(loop_bell_rest(port, 0, &ms), 1);
	rests.work = 0;
	rests.fd = event;
	rests.timeout_ms = 7;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(loop_bell_rest(port, 0, &ms), 0);
		assert_int_equal(ms, 7);
		assert_false(readable(fd));
	}
	assert_int_equal(eventfd_write(event, 1), 0);
	assert_true(readable(fd));
	taken(event);
	/* The bell still rings beside it, and another descriptor takes the place of the first. */
	loop_bell_strike(port, 0);
	assert_true(readable(fd));
	loop_bell_silence(port, 0);
	rests.fd = other;
	assert_int_equal(loop_bell_rest(port, 0, &ms), 0);
	assert_true(readable(fd));
	taken(other);
	assert_int_equal(eventfd_write(event, 1), 0);
	assert_false(readable(fd));
	end();
	close(event);
	close(other);
}

static void a_target_that_says_nothing_cannot_be_slept_on(void **state)
{
	static const struct loop_port_ops ops = { .kick = no_kick };
	int ms;

	begin(&ops);
	assert_true(loop_bell_open(port, 0) >= 0);
	assert_int_equal(loop_bell_rest(port, 0, &ms), -EOPNOTSUPP);
	assert_errmsg("poll it");
	end();
}

/* ---- Nothing is lost ---- */

#define LITMUS 100000
#define ROUNDS 30000

static struct {
	uint32_t round CACHE_ALIGNED; /* atomic; the target may begin this one */
	uint32_t ready CACHE_ALIGNED; /* atomic; it is at it */
	uint32_t done CACHE_ALIGNED;  /* atomic; it has looked */
	bool saw;		      /* of that round; published by `done` */
} litmus;

static void await_value(const uint32_t *word, uint32_t value)
{
	for (unsigned n = 0; __atomic_load_n(word, __ATOMIC_ACQUIRE) != value; n++)
		if (n % 1024 == 1023)
			sched_yield();
}

static void *sleep_and_look(void *arg)
{
	const uint32_t *doorbell = loop_doorbell(port, 0);

	for (uint32_t i = 1; i <= LITMUS; i++) {
		await_value(&litmus.round, i);
		__atomic_store_n(&litmus.ready, i, __ATOMIC_RELEASE);
		loop_target_sleeps(port);
		litmus.saw = __atomic_load_n(doorbell, __ATOMIC_ACQUIRE) == i;
		__atomic_store_n(&litmus.done, i, __ATOMIC_RELEASE);
	}
	return NULL;
}

/* "Ring, then look whether it sleeps" against "say that I sleep, then look", at the same moment, many times. */
static void one_of_the_two_looks_sees_the_other(void **state)
{
	uint32_t missed = 0;
	struct random random;
	pthread_t thread;

	begin(&thread_ops);
	memset(&litmus, 0, sizeof(litmus));
	random_init(&random, 3);
	assert_int_equal(pthread_create(&thread, NULL, sleep_and_look, NULL), 0);
	for (uint32_t i = 1; i <= LITMUS; i++) {
		uint64_t delay = random_u64(&random) % 256;
		bool asleep;

		loop_target_awake(port);
		__atomic_store_n(&litmus.round, i, __ATOMIC_RELEASE);
		await_value(&litmus.ready, i);
		while (delay--)
			__asm__ volatile("");
		__atomic_store_n(loop_doorbell(port, 0), i, __ATOMIC_RELEASE);
		asleep = loop_rung(loop_target_asleep(port));
		await_value(&litmus.done, i);
		missed += !asleep && !litmus.saw;
	}
	pthread_join(thread, NULL);
	assert_int_equal(missed, 0);
	end();
}

struct peer {
	uint64_t sleeps, lost;
	struct random random;
	int nap_ms; /* -1 with a barrier */
};

static uint32_t answer; /* atomic; the completion queue */

/* Around the moments at which the other one says that it sleeps. */
static void dawdle(struct peer *p)
{
	for (uint64_t n = random_u64(&p->random) % 4 ? random_u64(&p->random) % 64 : random_u64(&p->random) % 2048; n; n--)
		cpu_relax();
}

static void sleep_on(struct peer *p, int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	p->sleeps++;
	if (!poll(&pfd, 1, p->nap_ms < 0 ? PATIENCE_MS : p->nap_ms) && p->nap_ms < 0)
		p->lost++;
}

/* Answers each ring of doorbell 0 and sleeps between them. */
static void *be_target(void *arg)
{
	const uint32_t *doorbell = loop_doorbell(port, 0);
	struct peer *p = arg;
	uint32_t seen = 0;

	while (seen < ROUNDS && !p->lost) {
		uint32_t now = __atomic_load_n(doorbell, __ATOMIC_ACQUIRE);

		if (now == seen) {
			loop_target_sleeps(port);
			if (__atomic_load_n(doorbell, __ATOMIC_ACQUIRE) == seen)
				sleep_on(p, target_fd);
			loop_target_awake(port);
			taken(target_fd);
			continue;
		}
		seen = now;
		dawdle(p);
		__atomic_store_n(&answer, seen, __ATOMIC_RELEASE);
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
		if (__atomic_load_n(loop_bells_armed(port), __ATOMIC_RELAXED)) {
			__atomic_exchange_n(loop_bells_armed(port), 0, __ATOMIC_ACQUIRE);
			if (loop_bell_armed(port, 1) - 1 != seen)
				loop_bell_ring(port, 1);
		}
	}
	return NULL;
}

static void neither_side_misses_the_other(void **state)
{
	struct peer target, host;
	pthread_t thread;
	int fd;

	begin(&thread_ops);
	fd = loop_bell_open(port, 1);
	__atomic_store_n(&answer, 0, __ATOMIC_RELAXED);
	target = host = (struct peer){ .nap_ms = has_barrier ? -1 : 1 };
	random_init(&target.random, 1);
	random_init(&host.random, 2);
	assert_int_equal(pthread_create(&thread, NULL, be_target, &target), 0);
	for (uint32_t round = 1; round <= ROUNDS && !host.lost; round++) {
		dawdle(&host);
		__atomic_store_n(loop_doorbell(port, 0), round, __ATOMIC_RELEASE);
		loop_target_check(port);
		while (__atomic_load_n(&answer, __ATOMIC_ACQUIRE) != round && !host.lost) {
			loop_bell_silence(port, 1);
			loop_bell_arm(port, 1, round - 1);
			if (__atomic_load_n(&answer, __ATOMIC_ACQUIRE) != round)
				sleep_on(&host, fd);
		}
	}
	pthread_join(thread, NULL);
	assert_int_equal(host.lost, 0);
	assert_int_equal(target.lost, 0);
	/* Or it would prove nothing. */
	assert_true(host.sleeps > ROUNDS / 100 && target.sleeps > ROUNDS / 100);
	end();
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_barrier_is_what_the_kernel_gives, setup, teardown),
		cmocka_unit_test_setup_teardown(a_target_is_woken_once_and_only_while_it_sleeps, setup, teardown),
		cmocka_unit_test_setup_teardown(a_register_write_and_a_leaving_host_wake_the_target, setup, teardown),
		cmocka_unit_test_setup_teardown(only_an_armed_bell_rings_and_only_once, setup, teardown),
		cmocka_unit_test_setup_teardown(removal_return_and_withdrawal_ring, setup, teardown),
		cmocka_unit_test_setup_teardown(descriptors_go_with_the_bell_or_the_host, setup, teardown),
		cmocka_unit_test_setup_teardown(a_host_rests_with_its_inline_target, setup, teardown),
		cmocka_unit_test_setup_teardown(a_target_that_says_nothing_cannot_be_slept_on, setup, teardown),
		cmocka_unit_test_setup_teardown(neither_side_misses_the_other, setup, teardown),
		/* Last: without the barrier it is not so, and nothing relies on it. */
		cmocka_unit_test_setup_teardown(one_of_the_two_looks_sees_the_other, setup, teardown),
	};

	no_membarrier_if_asked(argc, argv);
	has_barrier = argc < 2;
	if (has_barrier)
		return cmocka_run_group_tests_name("loop_sleep", tests, NULL, NULL);
	return _cmocka_run_group_tests("loop_sleep_naps", tests, ARRAY_SIZE(tests) - 1, NULL, NULL);
}
