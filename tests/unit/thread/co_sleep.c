/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * C3, Z15: a thread whose coroutines wait on queue pairs that only it polls sleeps, however the drive is driven, and no wake-up is lost.
 */
#include "tests/unit/thread/rig.h"

#include <stdlib.h>
#include <sys/resource.h>

#include "base/clock.h"
#include <nvio/co.h>
#include <nvio/nvme.h>

#define BLOCK  512u
#define LATE_US 2000000u
#define GAPS   1500u /* rounds of random gaps, for each kind of drive */
#define LOST_NS (5 * NS_PER_S) /* a wake-up that takes so long is lost; the deadline of a command, which would hide it, is longer */

static const enum nvio_drive_poll kinds[] = { NVIO_DRIVE_INLINE, NVIO_DRIVE_OS_THREAD, NVIO_DRIVE_ATTACHED };

static struct {
	struct nvio_env *env;
	struct nvio_thread *t;
	struct nvio_drive *drive;
	struct nvio_ctrlr *ctrlr;
	struct nvio_qpair *qp;
	unsigned rounds;
} s;

static uint64_t cpu_ns(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * NS_PER_S +
	       (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * NS_PER_US;
}

static int connects(void *arg)
{
	int rc = nvio_connect(s.env, "loop:d", NULL, &s.ctrlr);

	return rc ? rc : nvio_qpair_alloc(s.ctrlr, NULL, &s.qp);
}

static int disconnects(void *arg)
{
	nvio_qpair_free(s.qp);
	nvio_ctrlr_close(s.ctrlr);
	return 0;
}

static int in_coroutine(nvio_co_fn fn)
{
	struct nvio_co *co;

	assert_int_equal(nvio_co_spawn(s.t, fn, NULL, NULL, &co), 0);
	return nvio_co_join(co, NULL);
}

static void open_all(enum nvio_drive_poll kind, const char *fault)
{
	struct nvio_drive_ns_opts ns = { .backing = NVIO_DRIVE_RAM, .bytes = 1 << 20 };
	struct nvio_env_opts eo;
	struct nvio_drive_opts o;

	memset(&s, 0, sizeof(s));
	nvio_env_opts_init(&eo);
	eo.no_pci = true;
	assert_int_equal(nvio_env_open(&eo, &s.env), 0);
	assert_int_equal(nvio_thread_create(s.env, NULL, &s.t), 0);
	nvio_drive_opts_init(&o);
	o.name = "d";
	o.num_ns = 1;
	o.ns = &ns;
	o.poll = kind;
	o.thread = kind == NVIO_DRIVE_ATTACHED ? s.t : NULL;
	assert_int_equal(nvio_thread_attach(s.t), 0);
	assert_int_equal(nvio_drive_open(s.env, &o, &s.drive), 0);
	assert_int_equal(nvio_thread_detach(s.t), 0);
	assert_int_equal(nvio_drive_add_fault_str(s.drive, fault), 0);
	assert_int_equal(in_coroutine(connects), 0);
}

static void close_all(void)
{
	assert_int_equal(in_coroutine(disconnects), 0);
	nvio_env_close(s.env);
}

static int read_once(void)
{
	uint8_t *buf = nvio_mem_alloc(s.env, BLOCK, 0);
	struct nvio_op op = NVIO_OP(NULL);
	int rc = nvio_await(nvio_ns_read(nvio_ctrlr_ns(s.ctrlr, 1), s.qp, buf, 0, 1, &op), &op);

	nvio_mem_free(s.env, buf);
	return rc;
}

static int reads(void *arg)
{
	return read_once();
}

static int reads_and_stops(void *arg)
{
	int rc = read_once();

	nvio_thread_stop(s.t);
	return rc;
}

static int joins(void)
{
	return in_coroutine(reads);
}

static int runs(void)
{
	struct nvio_co *co;

	assert_int_equal(nvio_co_spawn(s.t, reads_and_stops, NULL, NULL, &co), 0);
	assert_int_equal(nvio_thread_run(s.t, NVIO_THREAD_SPIN_US), 0);
	return nvio_co_join(co, NULL);
}

static void a_thread_sleeps_while_a_coroutine_waits_on_a_queue_pair(void **state)
{
	int (*const ways[])(void) = { joins, runs };

	for (size_t i = 0; i < ARRAY_SIZE(kinds) * ARRAY_SIZE(ways); i++) {
		uint64_t begin, cpu;

		open_all(kinds[i / ARRAY_SIZE(ways)], "delay:opcode=2:us=2000000");
		begin = clock_monotonic_ns();
		cpu = cpu_ns();
		assert_int_equal(ways[i % ARRAY_SIZE(ways)](), 0);
		cpu = cpu_ns() - cpu;
		begin = clock_monotonic_ns() - begin;
		assert_true(begin >= (uint64_t)LATE_US * NS_PER_US);
		if (cpu * 10 > begin)
			print_error("case %zu: %llu us of a core in %llu\n", i, (unsigned long long)(cpu / NS_PER_US),
				(unsigned long long)(begin / NS_PER_US));
		assert_true(cpu * 10 <= begin);
		close_all();
	}
}

/* With some gaps shorter than it takes to fall asleep, some longer; two of them, so that one's wake-up may hide the other's. */
static int reads_with_gaps(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;
	int rc = 0;

	while (!rc && s.rounds < GAPS) {
		uint64_t begin = clock_monotonic_ns();

		s.rounds++;
		rc = read_once();
		if (!rc && clock_monotonic_ns() - begin > LOST_NS)
			rc = -ETIME;
		if (!rc && rand_r(&seed) % 2)
			rc = nvio_co_sleep((uint64_t)rand_r(&seed) % 300);
	}
	return rc;
}

static void no_wake_up_is_lost(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct nvio_co *co[2];

		open_all(kinds[i], "delay:opcode=2:us=400:p=0.5");
		for (uintptr_t k = 0; k < ARRAY_SIZE(co); k++)
			assert_int_equal(nvio_co_spawn(s.t, reads_with_gaps, (void *)(k + 1), NULL, &co[k]), 0);
		assert_int_equal(nvio_co_join_all(co, ARRAY_SIZE(co)), 0);
		close_all();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_thread_sleeps_while_a_coroutine_waits_on_a_queue_pair),
		cmocka_unit_test(no_wake_up_is_lost),
	};

	return cmocka_run_group_tests_name("thread/co_sleep", tests, NULL, NULL);
}
