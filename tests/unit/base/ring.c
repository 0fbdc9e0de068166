/* SPDX-License-Identifier: BSD-3-Clause */
/* The ring between OS threads: order, bounds, and nothing lost or doubled under contention. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "base/fail.h"
#include "base/ring.h"

static void *number(uintptr_t n)
{
	return (void *)n; /* only carried, never followed */
}

static void bad_capacities_are_refused(void **state)
{
	static const uint32_t bad[] = { 0, 1, 3, 6, 1000, (1u << 30) + 1, 1u << 31, UINT32_MAX };
	struct ring ring;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(ring_init(&ring, bad[i], NULL), -EINVAL);
}

static void it_holds_its_capacity_and_not_one_more(void **state)
{
	static const uint32_t capacities[] = { 2, 4, 64, 1024 };
	void *out[1100];

	for (size_t c = 0; c < ARRAY_SIZE(capacities); c++) {
		uint32_t n = capacities[c];
		struct ring ring;

		assert_int_equal(ring_init(&ring, n, NULL), 0);
		assert_true(ring_empty(&ring));
		assert_int_equal(ring_pop(&ring, out, 1), 0);
		for (int lap = 0; lap < 3; lap++) {
			for (uint32_t i = 0; i < n; i++)
				assert_true(ring_push(&ring, number(i)));
			assert_false(ring_push(&ring, number(99)));
			assert_false(ring_empty(&ring));
			assert_int_equal(ring_pop(&ring, out, ARRAY_SIZE(out)), n);
			for (uint32_t i = 0; i < n; i++)
				assert_ptr_equal(out[i], number(i));
			assert_true(ring_empty(&ring));
		}
		ring_fini(&ring);
	}
}

static void batches_and_pushes_interleave(void **state)
{
	uintptr_t in = 0, expect = 0;
	struct ring ring;
	void *out[5];

	assert_int_equal(ring_init(&ring, 8, NULL), 0);
	for (int step = 0; step < 1000; step++) {
		unsigned n;

		for (int i = 0; i < step % 7; i++)
			in += ring_push(&ring, number(in));
		n = ring_pop(&ring, out, (unsigned)step % 6);
		assert_true(n <= (unsigned)step % 6);
		for (unsigned i = 0; i < n; i++)
			assert_ptr_equal(out[i], number(expect++));
	}
	assert_true(in - expect <= 8);
	ring_fini(&ring);
}

static void the_callers_memory_serves(void **state)
{
	void *memory = malloc(ring_bytes(16)); /* the exact size: a sanitizer sees a byte too many */
	struct ring ring;
	void *out[16];

	assert_non_null(memory);
	assert_int_equal(ring_init(&ring, 16, memory), 0);
	for (uintptr_t i = 0; i < 16; i++)
		assert_true(ring_push(&ring, number(i)));
	assert_int_equal(ring_pop(&ring, out, 16), 16);
	ring_fini(&ring);
	free(memory);
}

enum { PRODUCERS = 4, MESSAGES = 50000 };

struct message {
	unsigned producer, serial;
};

struct producer {
	struct ring *ring;
	unsigned id, refused;
};

/* Each message is written by its producer and read by the consumer without any lock but the ring. */
static void *produce(void *arg)
{
	struct producer *p = arg;

	for (unsigned i = 0; i < MESSAGES; i++) {
		struct message *m = malloc(sizeof(*m));

		if (!m)
			abort();
		*m = (struct message){ p->id, i };
		while (!ring_push(p->ring, m)) {
			p->refused++;
			sched_yield();
		}
	}
	return NULL;
}

static void four_producers_lose_and_double_nothing(void **state)
{
	struct producer producers[PRODUCERS];
	pthread_t threads[PRODUCERS];
	unsigned next[PRODUCERS] = { 0 }, total = 0, refused = 0;
	struct ring ring;
	void *out[16];

	assert_int_equal(ring_init(&ring, 64, NULL), 0);
	for (unsigned i = 0; i < PRODUCERS; i++) {
		producers[i] = (struct producer){ &ring, i, 0 };
		assert_int_equal(pthread_create(&threads[i], NULL, produce, &producers[i]), 0);
	}
	while (total < PRODUCERS * MESSAGES) {
		unsigned n = ring_pop(&ring, out, ARRAY_SIZE(out));

		for (unsigned i = 0; i < n; i++) {
			struct message *m = out[i];

			assert_true(m->producer < PRODUCERS);
			assert_int_equal(m->serial, next[m->producer]++);
			free(m);
		}
		total += n;
		if (!n)
			sched_yield();
	}
	for (unsigned i = 0; i < PRODUCERS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		refused += producers[i].refused;
	}
	assert_true(ring_empty(&ring));
	assert_true(refused > 0); /* 64 slots for 200,000: being full was tested, too */
	ring_fini(&ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_capacities_are_refused),
		cmocka_unit_test(it_holds_its_capacity_and_not_one_more),
		cmocka_unit_test(batches_and_pushes_interleave),
		cmocka_unit_test(the_callers_memory_serves),
		cmocka_unit_test(four_producers_lose_and_double_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
