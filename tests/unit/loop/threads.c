/* SPDX-License-Identifier: BSD-3-Clause */
/* Host and target on OS threads of their own: order, atomicity, and leaving while the other is at work. */
#include "tests/support/unit.h"

#include <errno.h>
#include <pthread.h>
#include <sys/eventfd.h>

#include "base/clock.h"
#include "loop/loop.h"

static struct nvio_env *env;
static struct loop_port *port;

static int setup(void **state)
{
	return nvio_env_open(NULL, &env);
}

static int teardown(void **state)
{
	nvio_env_close(env);
	return 0;
}

/* ---- Order ---- */

#define WRITES 100000

struct taker {
	uint64_t taken;
	bool wrong;
};

static void *take_all(void *arg)
{
	struct taker *t = arg;
	struct loop_write w;

	while (t->taken < WRITES) {
		if (!loop_reg_next(port, &w)) {
			sched_yield();
			continue;
		}
		t->wrong |= w.value != t->taken || w.offset != (uint32_t)t->taken * 8 ||
			    w.width != 4 + (t->taken & 4);
		t->taken++;
	}
	return NULL;
}

static void writes_reach_another_thread_in_order(void **state)
{
	static const struct loop_port_ops ops = { 0 };
	struct taker taker = { 0 };
	pthread_t thread;

	assert_int_equal(loop_publish(env, "t", &ops, NULL, 4, 0, &port), 0);
	assert_int_equal(loop_attach(env, "t", &port), 0);
	assert_int_equal(pthread_create(&thread, NULL, take_all, &taker), 0);
	for (uint64_t i = 0; i < WRITES; i++)
		loop_reg_write(port, (uint32_t)i * 8, 4 + (i & 4), i);
	pthread_join(thread, NULL);
	assert_int_equal(taker.taken, WRITES);
	assert_false(taker.wrong);
	loop_detach(port);
	loop_withdraw(port);
}

/* ---- What is published ---- */

#define PUBLISHED 200000

static uint64_t payload; /* plain: published by the register */

static void *publish_values(void *arg)
{
	for (uint64_t i = 1; i <= PUBLISHED; i++)
		loop_reg_publish64(port, 0, i << 32 | i);
	payload = 42;
	loop_reg_publish32(port, 0x1c, 1);
	return NULL;
}

static void sixty_four_bits_are_read_as_one_and_in_order(void **state)
{
	static const struct loop_port_ops ops = { 0 };
	uint64_t last = 0, torn = 0, back = 0;
	pthread_t thread;

	assert_int_equal(loop_publish(env, "p", &ops, NULL, 4, 0, &port), 0);
	assert_int_equal(loop_attach(env, "p", &port), 0);
	assert_int_equal(pthread_create(&thread, NULL, publish_values, NULL), 0);
	while (!loop_reg_read32(port, 0x1c)) {
		uint64_t v = loop_reg_read64(port, 0);

		torn += v >> 32 != (uint32_t)v;
		back += v < last;
		last = v;
	}
	/* What the target did before it said ready is seen by who saw ready. */
	assert_int_equal(payload, 42);
	pthread_join(thread, NULL);
	assert_int_equal(torn, 0);
	assert_int_equal(back, 0);
	loop_detach(port);
	loop_withdraw(port);
}

/* ---- Kicks of several hosts' threads ---- */

#define KICKERS 4
#define KICKS	50000

struct kicked {
	uint64_t count; /* plain: kicks exclude each other */
	int inside;	/* atomic */
	bool overlap;
	bool gone; /* atomic; set once withdraw has returned: nothing may run any more */
	bool late;
	int detaches;
};

static struct kicked kicked;

static int count_kick(void *ctx)
{
	struct kicked *k = ctx;

	k->overlap |= __atomic_fetch_add(&k->inside, 1, __ATOMIC_RELAXED) != 0;
	k->late |= __atomic_load_n(&k->gone, __ATOMIC_RELAXED);
	k->count++;
	__atomic_fetch_sub(&k->inside, 1, __ATOMIC_RELAXED);
	return 1;
}

static void note_detach(void *ctx)
{
	struct kicked *k = ctx;

	k->late |= __atomic_load_n(&k->gone, __ATOMIC_RELAXED);
	k->detaches++;
}

static const struct loop_port_ops kick_ops = { .kick = count_kick, .detached = note_detach };

static void *kick_much(void *arg)
{
	uint64_t *worked = arg;

	/* Until that many did something: one that comes while another is inside does nothing. */
	while (*worked < KICKS) {
		int work = loop_hot(port)->kick(loop_hot(port)->ctx);

		*worked += (uint64_t)work;
		if (!work)
			sched_yield();
	}
	return NULL;
}

static void kicks_of_several_threads_exclude_each_other(void **state)
{
	uint64_t worked[KICKERS] = { 0 }, sum = 0;
	pthread_t threads[KICKERS];

	kicked = (struct kicked){ 0 };
	assert_int_equal(loop_publish(env, "k", &kick_ops, &kicked, 4, 0, &port), 0);
	assert_int_equal(loop_attach(env, "k", &port), 0);
	for (int i = 0; i < KICKERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, kick_much, &worked[i]), 0);
	for (int i = 0; i < KICKERS; i++) {
		pthread_join(threads[i], NULL);
		sum += worked[i];
	}
	assert_false(kicked.overlap);
	assert_int_equal(kicked.count, sum);
	loop_detach(port);
	loop_withdraw(port);
}

/* ---- Leaving ---- */

/* A host that reads, writes and kicks until it sees that the port is gone, and a little longer. */
static void *use_until_gone(void *arg)
{
	const struct loop_hot *hot = loop_hot(port);
	int after = 0;

	while (after < 100) {
		loop_reg_read64(port, 0);
		if (after)
			loop_reg_write(port, 0x14, 4, 1);
		hot->kick(hot->ctx);
		after += loop_reg_read32(port, 8) == UINT32_MAX;
	}
	loop_detach(port);
	return NULL;
}

static void a_target_leaves_while_its_host_is_at_work(void **state)
{
	for (int round = 0; round < 200; round++) {
		pthread_t thread;

		kicked = (struct kicked){ 0 };
		assert_int_equal(loop_publish(env, "w", &kick_ops, &kicked, 4, 0, &port), 0);
		assert_int_equal(loop_attach(env, "w", &port), 0);
		assert_int_equal(pthread_create(&thread, NULL, use_until_gone, NULL), 0);
		sleep_ns((uint64_t)round % 10 * 20000);
		loop_withdraw(port);
		__atomic_store_n(&kicked.gone, true, __ATOMIC_RELAXED);
		kicked.count = 0; /* the target's own again: a late kick would be a data race */
		pthread_join(thread, NULL);
		assert_false(kicked.late);
		assert_int_equal(kicked.detaches, 0);
	}
}

static void *detach_it(void *arg)
{
	loop_detach(port);
	return NULL;
}

/* Both leave at once: the note comes before withdraw returns or not at all, and the port is freed once. */
static void both_sides_leave_at_once(void **state)
{
	for (int round = 0; round < 500; round++) {
		pthread_t thread;
		int detaches;

		kicked = (struct kicked){ 0 };
		assert_int_equal(loop_publish(env, "b", &kick_ops, &kicked, 4, 0, &port), 0);
		assert_int_equal(loop_attach(env, "b", &port), 0);
		assert_int_equal(pthread_create(&thread, NULL, detach_it, NULL), 0);
		loop_withdraw(port);
		__atomic_store_n(&kicked.gone, true, __ATOMIC_RELAXED);
		detaches = kicked.detaches;
		pthread_join(thread, NULL);
		assert_int_equal(kicked.detaches, detaches);
		assert_false(kicked.late);
	}
}

static void *raise_much(void *arg)
{
	while (!__atomic_load_n((bool *)arg, __ATOMIC_RELAXED))
		loop_irq_raise(port, 0);
	return NULL;
}

/* Once an eventfd is taken out it may be closed, and whatever gets its number is not written to. */
static void an_eventfd_that_was_taken_out_is_not_written_to(void **state)
{
	static const struct loop_port_ops ops = { 0 };
	bool stop = false;
	pthread_t thread;

	assert_int_equal(loop_publish(env, "i", &ops, NULL, 4, 0, &port), 0);
	assert_int_equal(loop_attach(env, "i", &port), 0);
	assert_int_equal(pthread_create(&thread, NULL, raise_much, &stop), 0);
	for (int round = 0; round < 2000; round++) {
		int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), next;
		uint64_t count;

		assert_int_equal(loop_irq_set_eventfd(port, 0, fd), 0);
		if (round % 100 == 0)
			while (read(fd, &count, sizeof(count)) < 0)
				sched_yield();
		assert_int_equal(loop_irq_set_eventfd(port, 0, -1), 0);
		close(fd);
		next = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		assert_int_equal(next, fd);
		sched_yield();
		assert_int_equal(read(next, &count, sizeof(count)), -1);
		close(next);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	loop_detach(port);
	loop_withdraw(port);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(writes_reach_another_thread_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(
			sixty_four_bits_are_read_as_one_and_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(kicks_of_several_threads_exclude_each_other, setup, teardown),
		cmocka_unit_test_setup_teardown(a_target_leaves_while_its_host_is_at_work, setup, teardown),
		cmocka_unit_test_setup_teardown(both_sides_leave_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(
			an_eventfd_that_was_taken_out_is_not_written_to, setup, teardown),
	};

	return cmocka_run_group_tests_name("loop_threads", tests, NULL, NULL);
}
