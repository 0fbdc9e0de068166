/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interrupts of a PCI function: each queue sleeps on its own, what cannot sleep is polled, and no completion is slept through however
 * unluckily it comes (H8). The function interrupts only where it must (see synth_nvme.h).
 */
#include "tests/unit/host/pcie_fixture.h"

#include <poll.h>
#include <stdlib.h>

#include <nvio/drive.h>

static bool readable(int fd, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, timeout_ms) == 1;
}

static void submit(struct nvio_qpair *qp, struct fix_op *o)
{
	fix_op_init(o);
	assert_int_equal(nvio_ns_read(f.ns, qp, f.buf, 0, 1, &o->op), 0);
}

static void arm(struct nvio_qpair *qp)
{
	int timeout_ms;

	while (nvio_qpair_arm(qp, &timeout_ms))
		nvio_qpair_poll(qp, 0);
}

/* ---- whose interrupt ---- */

static void each_queue_has_an_interrupt_of_its_own(void **state)
{
	struct nvio_qpair *q[4];
	struct fix_op o[ARRAY_SIZE(q)];
	int fds[ARRAY_SIZE(q)], admin_fd;

	pcie_connect_all(NULL);
	nvio_qpair_free(f.qp);
	f.qp = NULL;
	f.hold_io = true;
	admin_fd = nvio_ctrlr_fd(f.c);
	assert_true(admin_fd >= 0);
	for (unsigned i = 0; i < ARRAY_SIZE(q); i++) {
		assert_int_equal(nvio_qpair_alloc(f.c, NULL, &q[i]), 0);
		fds[i] = nvio_qpair_fd(q[i]);
		assert_true(fds[i] >= 0);
		assert_int_equal(nvio_qpair_fd(q[i]), fds[i]);
	}
	for (unsigned turn = 0; turn < 3 * ARRAY_SIZE(q); turn++) {
		unsigned rings = turn % ARRAY_SIZE(q);
		int ms;

		f.held_count = 0;
		for (unsigned i = 0; i < ARRAY_SIZE(q); i++) {
			submit(q[i], &o[i]);
			arm(q[i]);
		}
		while (nvio_ctrlr_arm(f.c, &ms))
			nvio_ctrlr_poll(f.c);
		fix_answer(rings, 0);
		synth_nvme_move(&dev);
		for (unsigned i = 0; i < ARRAY_SIZE(q); i++)
			assert_int_equal(readable(fds[i], 0), i == rings);
		assert_false(readable(admin_fd, 0));
		for (unsigned i = 0; i < ARRAY_SIZE(q); i++) {
			if (i != rings)
				fix_answer(i, 0);
			synth_nvme_move(&dev);
			nvio_qpair_poll(q[i], 0);
			assert_int_equal(o[i].done, 1);
		}
	}
	for (unsigned i = 0; i < ARRAY_SIZE(q); i++)
		nvio_qpair_free(q[i]);
}

static void an_admin_command_rings_for_the_controller(void **state)
{
	struct fix_op o;
	int fd, ms;

	pcie_connect_all(NULL);
	fd = nvio_ctrlr_fd(f.c);
	while (nvio_ctrlr_arm(f.c, &ms))
		nvio_ctrlr_poll(f.c);
	assert_false(readable(fd, 0));
	fix_op_init(&o);
	assert_int_equal(nvio_ctrlr_identify(f.c, 1, 0, f.buf, &o.op), 0);
	synth_nvme_move(&dev);
	assert_true(readable(fd, 0));
	nvio_ctrlr_poll(f.c);
	assert_int_equal(o.done, 1);
}

static void vectors_go_with_the_queue_and_with_the_controller(void **state)
{
	int files = 0;

	for (unsigned i = 0; i < 3; i++) {
		struct fix_op o;

		pcie_connect_all(NULL);
		assert_true(nvio_qpair_fd(f.qp) >= 0 && nvio_ctrlr_fd(f.c) >= 0);
		nvio_qpair_free(f.qp);
		assert_false(synth_raise(&dev.synth, 1));
		assert_int_equal(nvio_qpair_alloc(f.c, NULL, &f.qp), 0);
		assert_true(nvio_qpair_fd(f.qp) >= 0);
		f.hold_io = true;
		f.held_count = 0;
		submit(f.qp, &o);
		arm(f.qp);
		fix_answer(0, 0);
		synth_nvme_move(&dev);
		assert_true(readable(nvio_qpair_fd(f.qp), 0));
		pcie_disconnect();
		assert_int_equal(o.done, 1);
		if (i == 0)
			files = unit_open_files(); /* the first one's memory stays in the heap */
		assert_int_equal(unit_open_files(), files);
	}
}

/* ---- those without ---- */

static void queues_beyond_the_vectors_are_polled(void **state)
{
	struct nvio_qpair *q[4];

	dev.synth.vectors = 3; /* the admin queue's, and two */
	pcie_connect_all(NULL);
	nvio_qpair_free(f.qp);
	f.qp = NULL;
	for (unsigned i = 0; i < ARRAY_SIZE(q); i++) {
		struct fix_op o;
		int ms;

		assert_int_equal(nvio_qpair_alloc(f.c, NULL, &q[i]), 0);
		if (i < 2) {
			assert_true(nvio_qpair_fd(q[i]) >= 0);
		} else {
			assert_int_equal(nvio_qpair_fd(q[i]), -EOPNOTSUPP);
			assert_errmsg("3 interrupt vectors");
			assert_errmsg("fewer queue pairs");
			assert_int_equal(nvio_qpair_arm(q[i], &ms), -EOPNOTSUPP);
		}
		submit(q[i], &o);
		assert_int_equal(nvio_wait(&o.op), 0);
		assert_int_equal(dev.cqs[i + 1].interrupts, i < 2);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(q); i++)
		nvio_qpair_free(q[i]);
}

static void where_there_are_no_vectors_queues_are_polled(void **state)
{
	for (int refused = 0; refused < 2; refused++) {
		struct fix_op o;

		dev.synth.vectors = refused ? 8 : 0;
		dev.synth.faults.vectors_enable = refused ? -ENOSPC : 0;
		f.warned[0] = '\0';
		pcie_connect_all(NULL);
		assert_int_equal(strstr(f.warned, "without interrupts") != NULL, refused);
		f.warned[0] = '\0';
		assert_int_equal(nvio_qpair_fd(f.qp), -EOPNOTSUPP);
		assert_errmsg("poll it");
		assert_false(dev.cqs[1].interrupts);
		submit(f.qp, &o);
		assert_int_equal(nvio_wait(&o.op), 0);
		/* It is not asked again, nor said again. */
		nvio_qpair_free(f.qp);
		assert_int_equal(nvio_qpair_alloc(f.c, NULL, &f.qp), 0);
		assert_int_equal(nvio_qpair_fd(f.qp), -EOPNOTSUPP);
		assert_string_equal(f.warned, "");
		pcie_disconnect();
	}
}

static void a_vector_that_cannot_be_set_is_no_descriptor(void **state)
{
	int files, fd;

	pcie_connect_all(NULL);
	files = unit_open_files();
	dev.synth.faults.vector = -ENOSPC;
	assert_int_equal(nvio_qpair_fd(f.qp), -ENOSPC);
	assert_errmsg("planted");
	assert_int_equal(unit_open_files(), files);
	fd = nvio_qpair_fd(f.qp);
	assert_true(fd >= 0);
}

/* ---- nothing is slept through ---- */

/* A function may hold its interrupt back as long as it believes that there are completions to be read. */
static void it_is_told_of_all_completions_before_sleep(void **state)
{
	pcie_connect_all(NULL);
	for (unsigned n = 1; n < 60; n++) {
		struct fix_op o[60];
		int fd = nvio_qpair_fd(f.qp);

		f.hold_io = false;
		for (unsigned i = 0; i < n; i++)
			submit(f.qp, &o[i]);
		for (unsigned i = 0; i < n; i++)
			assert_int_equal(nvio_wait(&o[i].op), 0);
		f.hold_io = true;
		f.held_count = 0;
		submit(f.qp, &o[0]);
		arm(f.qp);
		synth_nvme_move(&dev);
		assert_int_equal(dev.cqs[1].told, dev.cqs[1].tail);
		assert_false(readable(fd, 0));
		fix_answer(0, 0);
		synth_nvme_move(&dev);
		assert_true(readable(fd, 0));
		nvio_qpair_poll(f.qp, 0);
		assert_int_equal(o[0].done, 1);
	}
}

static int answer_at; /* looks at the clock until the answer comes; -1: it came */

static void answer_tick(void)
{
	if (answer_at >= 0 && answer_at-- == 0)
		fix_answer(0, 0);
	synth_nvme_move(&dev);
}

/* Whatever moment of arming it comes in: either that says so, or the descriptor is readable. */
static void a_completion_while_arming_is_seen_or_rings(void **state)
{
	unsigned seen = 0, rang = 0;

	pcie_connect_all(NULL);
	for (int at = 0; at < 40; at++) {
		struct fix_op o;
		int ms, rc, fd = nvio_qpair_fd(f.qp);

		f.hold_io = true;
		f.held_count = 0;
		submit(f.qp, &o);
		nvio_qpair_poll(f.qp, 0);
		synth_nvme_move(&dev);
		assert_int_equal(f.held_count, 1);
		answer_at = at;
		f.tick = answer_tick;
		rc = nvio_qpair_arm(f.qp, &ms);
		assert_true(rc >= 0);
		if (answer_at < 0) {
			assert_true(rc == 1 || readable(fd, 0));
			seen += rc == 1;
			rang += rc == 0;
		}
		while (answer_at >= 0)
			answer_tick();
		assert_true(rc == 1 || readable(fd, 0));
		f.tick = pcie_tick;
		nvio_qpair_poll(f.qp, 0);
		assert_int_equal(o.done, 1);
	}
	assert_true(seen && rang);
}

/* ---- all of it on threads ---- */

#define SLEEPERS    3
#define PATIENCE_MS 60000

static struct {
	struct nvio_env *env;
	struct nvio_ctrlr *c;
	struct nvio_ns *ns;
	unsigned reads;
	unsigned sleeps[SLEEPERS], lost[SLEEPERS], failed[SLEEPERS];
} st;

static bool sleep_for(struct nvio_qpair *qp, struct nvio_op *ops, unsigned n, unsigned me)
{
	int fd = nvio_qpair_fd(qp), ms;

	for (unsigned i = 0; i < n; i++) {
		while (nvio_op_pending(&ops[i])) {
			int rc = nvio_qpair_arm(qp, &ms);

			if (rc < 0)
				return false;
			if (rc == 0) {
				st.sleeps[me]++;
				if (!readable(fd, PATIENCE_MS)) {
					st.lost[me]++;
					return false;
				}
			}
			nvio_qpair_poll(qp, 0);
		}
		st.failed[me] += ops[i].status != 0;
	}
	return true;
}

static void *sleeper(void *arg)
{
	unsigned me = (unsigned)(uintptr_t)arg;
	uint8_t *buf = nvio_mem_alloc(st.env, 8 * 4096, 4096);
	struct nvio_qpair *qp = NULL;

	if (!buf || nvio_qpair_alloc(st.c, NULL, &qp)) {
		st.failed[me]++;
		return NULL;
	}
	for (unsigned i = 0; i < st.reads; i++) {
		struct nvio_op ops[8];
		unsigned n = 1 + i % ARRAY_SIZE(ops);

		for (unsigned k = 0; k < n; k++) {
			ops[k] = (struct nvio_op)NVIO_OP(NULL);
			if (nvio_ns_read(st.ns, qp, buf + k * 4096, k * 8, 8, &ops[k]))
				abort();
		}
		if (!sleep_for(qp, ops, n, me))
			abort(); /* ops are on the stack */
	}
	nvio_qpair_free(qp);
	nvio_mem_free(st.env, buf);
	return NULL;
}

static void no_interrupt_is_lost_under_load(void **state)
{
	static const char *const forms[] = { "ram:8M", "ram:8M?poll=thread", "ram:8M?iommu=1" };

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		struct nvio_drive *drive;
		pthread_t threads[SLEEPERS];
		struct synth_nvme *n = &dev;

		memset(&st, 0, sizeof(st));
		st.reads = 400;
		assert_int_equal(nvio_env_open(NULL, &st.env), 0);
		assert_int_equal(nvio_drive_open_str(st.env, forms[i], &drive), 0);
		synth_nvme_open(n, st.env, BDF, forms[i]);
		synth_nvme_run(n);
		if (nvio_connect(st.env, BDF, NULL, &st.c))
			fail_msg("%s", nvio_errmsg());
		st.ns = nvio_ctrlr_ns(st.c, 1);
		for (uintptr_t t = 0; t < SLEEPERS; t++)
			assert_int_equal(pthread_create(&threads[t], NULL, sleeper, (void *)t), 0);
		for (unsigned t = 0; t < SLEEPERS; t++)
			pthread_join(threads[t], NULL);
		for (unsigned t = 0; t < SLEEPERS; t++) {
			assert_int_equal(st.failed[t], 0);
			assert_int_equal(st.lost[t], 0);
			assert_true(st.sleeps[t] > 0);
		}
		nvio_ctrlr_close(st.c);
		assert_int_equal(n->strays, 0);
		assert_int_equal(n->vectors_too_early, 0);
		assert_int_equal(n->mastered_running, 0);
		synth_nvme_close(n);
		nvio_drive_close(drive);
		nvio_env_close(st.env);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PCIE_TEST(each_queue_has_an_interrupt_of_its_own),
		PCIE_TEST(an_admin_command_rings_for_the_controller),
		PCIE_TEST(vectors_go_with_the_queue_and_with_the_controller),
		PCIE_TEST(queues_beyond_the_vectors_are_polled),
		PCIE_TEST(where_there_are_no_vectors_queues_are_polled),
		PCIE_TEST(a_vector_that_cannot_be_set_is_no_descriptor),
		PCIE_TEST(it_is_told_of_all_completions_before_sleep),
		PCIE_TEST(a_completion_while_arming_is_seen_or_rings),
		cmocka_unit_test(no_interrupt_is_lost_under_load),
	};

	return cmocka_run_group_tests_name("host_pcie_sleep", tests, NULL, NULL);
}
