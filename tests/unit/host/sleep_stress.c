/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Thousands of I/Os, each checked, with gaps at random around the moments at which the drive falls asleep and the host arms: no
 * wake-up is lost. Host and drive are on two OS threads (inline: two hosts' threads move one drive).
 */
#include "tests/unit/host/asleep.h"

#define ROUNDS 4000

struct host {
	struct nvio_qpair *qp;
	struct random random;
	uint8_t *buf;
	uint64_t lba, wrong, lost;
	uint32_t rounds;
};

/* Nothing, a little, about as long as a drive spins before it falls asleep, or surely longer, on a slow machine, too. */
static void gap(struct random *random)
{
	uint64_t kind = random_u64(random) % 256, us = 0, until;

	if (!kind)
		us = 20000;
	else if (kind < 128)
		us = random_u64(random) % 4;
	else if (kind < 224)
		us = random_u64(random) % 800;
	for (until = clock_monotonic_ns() + us * NS_PER_US; clock_monotonic_ns() < until;)
		cpu_relax();
}

static void sleep_for(struct host *h, struct nvio_op *op)
{
	uint64_t begin = clock_monotonic_ns();

	while (nvio_op_pending(op) && !h->lost) {
		struct pollfd fd = { .fd = nvio_qpair_fd(h->qp), .events = POLLIN };
		int ms;

		if (nvio_qpair_poll(h->qp, 0) || !nvio_op_pending(op) || nvio_qpair_arm(h->qp, &ms))
			continue;
		if (random_u64(&h->random) % 4 == 0)
			gap(&h->random);
		/* Deadlines are 30 s away; whatever wakes it must come long before. */
		if (!poll(&fd, 1, ms) && clock_monotonic_ns() - begin > PATIENCE_MS * NS_PER_MS / 2)
			h->lost++;
	}
}

static void *be_host(void *arg)
{
	struct host *h = arg;

	for (uint32_t i = 0; i < h->rounds && !h->lost; i++) {
		struct nvio_op op = NVIO_OP(NULL);
		uint64_t lba = h->lba + i % 64;

		gap(&h->random);
		memset(h->buf, (int)i, BLOCK);
		if (nvio_ns_write(r.ns, h->qp, h->buf, lba, 1, &op))
			h->wrong++;
		sleep_for(h, &op);
		memset(h->buf, (int)~i, BLOCK);
		if (random_u64(&h->random) % 2)
			gap(&h->random);
		if (h->lost || op.status || nvio_ns_read(r.ns, h->qp, h->buf, lba, 1, &op)) {
			h->wrong++;
			continue;
		}
		sleep_for(h, &op);
		h->wrong += op.status || h->buf[0] != (uint8_t)i || memcmp(h->buf, h->buf + 1, BLOCK - 1);
	}
	return NULL;
}

static void run(enum kind kind, const char *fault, uint32_t hosts, uint32_t rounds)
{
	struct host h[2] = { 0 };
	pthread_t threads[2];

	rig_open(kind, fault, NULL);
	for (uint32_t i = 0; i < hosts; i++) {
		h[i] = (struct host){ .qp = r.qp, .buf = r.buf + i * 4096, .lba = i * 64, .rounds = rounds };
		random_init(&h[i].random, i + 1);
		if (i)
			check(nvio_qpair_alloc(r.c, NULL, &h[i].qp));
	}
	for (uint32_t i = 0; i < hosts; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, be_host, &h[i]), 0);
	for (uint32_t i = 0; i < hosts; i++)
		pthread_join(threads[i], NULL);
	for (uint32_t i = 0; i < hosts; i++) {
		assert_int_equal(h[i].lost, 0);
		assert_int_equal(h[i].wrong, 0);
		if (i)
			nvio_qpair_free(h[i].qp);
	}
	/* Or it would prove little; the gaps of two seldom meet. */
	if (kind != INLINE && hosts == 1)
		assert_true(drive_sleeps() >= rounds / 500);
	rig_close();
}

static void a_thread_of_the_drives_own(void **state)
{
	run(OS_THREAD, NULL, 1, ROUNDS);
}

static void a_loop_that_sleeps_on_the_drives_thread(void **state)
{
	run(ATTACHED, NULL, 1, ROUNDS);
}

static void late_completions(void **state)
{
	run(OS_THREAD, "delay:us=150:p=0.5", 1, ROUNDS / 4);
	run(ATTACHED, "delay:us=150:p=0.5", 1, ROUNDS / 4);
	run(INLINE, "delay:us=150:p=0.5", 1, ROUNDS / 4);
}

static void two_hosts_threads(void **state)
{
	run(OS_THREAD, NULL, 2, ROUNDS / 4);
	run(INLINE, NULL, 2, ROUNDS / 4);
	run(INLINE, "delay:us=150:p=0.5", 2, ROUNDS / 16);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_thread_of_the_drives_own),
		cmocka_unit_test(a_loop_that_sleeps_on_the_drives_thread),
		cmocka_unit_test(late_completions),
		cmocka_unit_test(two_hosts_threads),
	};

	asleep_begin(argc, argv);
	return cmocka_run_group_tests_name("host_sleep_stress", tests, NULL, NULL);
}
