/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sleeping instead of spinning, host and drive together, with each kind of drive: what wakes whom (T9, H8). What it
 * costs to be idle is in sleep_idle.c, and that nothing is lost in sleep_stress.c.
 */
#include "tests/unit/host/asleep.h"

#include <sys/epoll.h>

/* ---- What wakes whom ---- */

static void a_sleeping_drive_answers_soon(void **state)
{
	FOR_EACH_KIND(kind) {
		uint64_t longest = 0;

		rig_open(kind, NULL, NULL);
		for (int i = 0; i < 20; i++) {
			uint64_t begin;

			await_asleep(kind);
			begin = clock_monotonic_ns();
			assert_int_equal(io(i % 2, 0), 0);
			longest = MAX(longest, clock_monotonic_ns() - begin);
		}
		assert_true(longest < NS_PER_S);
		rig_close();
	}
}

static void resets_and_shutdown_reach_a_sleeping_drive(void **state)
{
	FOR_EACH_KIND(kind) {
		struct nvio_op op = NVIO_OP(NULL);

		rig_open(kind, NULL, NULL);
		assert_int_equal(io(true, 0), 0);
		await_asleep(kind);
		check(nvio_ctrlr_reset(r.c, &op));
		assert_int_equal(sleep_until_done(&op), 0);
		assert_int_equal(nvio_ctrlr_reset_count(r.c), 1);
		assert_int_equal(io(false, 0), 0);
		await_asleep(kind);
		rig_close(); /* deletes the queues, shuts down, and waits for each of them */
	}
}

struct ending {
	const char *fault;
	int status, resets; /* -1: any */
};

/* Each fault of the plan, while the host sleeps: what time must bring about, it does. */
static void faults_are_seen_asleep(void **state)
{
	static const struct ending endings[] = {
		{ "delay:opcode=2:us=50000:count=1", 0, 0 },
		{ "lose:opcode=2:count=1", -ETIMEDOUT, -1 },
		{ "lose:opcode=2", -ETIMEDOUT, -1 },
		{ "status:opcode=2:sf=0x281:count=1", -EIO, 0 },
		{ "fatal:opcode=2:count=1", 0, 1 },
		{ "remove:opcode=2:count=1", -ENODEV, -1 },
		{ "phase:opcode=2:count=1", -ETIMEDOUT, 1 },
		{ "unknown_cid:opcode=2:count=1", 0, 0 },
		{ "duplicate:opcode=2:count=1", 0, 0 },
		{ "short:opcode=2:count=1", 0, 0 },
		{ "corrupt:opcode=2:count=1", 0, 0 },
	};

	FOR_EACH_KIND(kind) {
		for (size_t i = 0; i < ARRAY_SIZE(endings); i++) {
			const struct ending *e = &endings[i];
			struct nvio_ctrlr_opts o = impatient();
			int status;

			rig_open(kind, e->fault, &o);
			await_asleep(kind);
			status = io(false, 0);
			if (e->status == -EIO ? !status : status != e->status)
				fail_msg("kind %d, %s: %d", kind, e->fault, status);
			if (e->resets >= 0)
				assert_int_equal(nvio_ctrlr_reset_count(r.c), e->resets);
			rig_close();
		}
	}
}

static void states_that_never_come_are_given_up_asleep(void **state)
{
	static const char *const faults[] = { "never_ready", "never_stop" };

	FOR_EACH_KIND(kind) {
		for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
			struct nvio_op op = NVIO_OP(NULL);
			struct nvio_ctrlr_opts o = impatient();

			o.max_resets = 1;
			o.state_timeout_ms = 300;
			rig_open(kind, NULL, &o);
			check(nvio_drive_add_fault_str(r.drive, faults[i]));
			check(nvio_ctrlr_reset(r.c, &op));
			assert_int_equal(sleep_until_done(&op), -EIO);
			rig_close();
		}
	}
}

static void *remove_drive(void *arg)
{
	sleep_ns(100 * NS_PER_MS);
	nvio_drive_remove(r.drive);
	return NULL;
}

static void removal_wakes_an_idle_host(void **state)
{
	FOR_EACH_KIND(kind) {
		pthread_t thread;
		uint64_t begin;
		int rc = 0;

		rig_open(kind, NULL, NULL);
		await_asleep(kind);
		begin = clock_monotonic_ns();
		assert_int_equal(pthread_create(&thread, NULL, remove_drive, NULL), 0);
		while (rc >= 0) {
			sleep_once(PATIENCE_MS);
			rc = nvio_qpair_poll(r.qp, 0);
			nvio_ctrlr_poll(r.c);
		}
		pthread_join(thread, NULL);
		assert_int_equal(rc, -ENODEV);
		/* Before anything that time alone would have brought about: the next keep-alive, 5 s later. */
		assert_true(clock_monotonic_ns() - begin < 3 * NS_PER_S);
		assert_int_equal(nvio_qpair_arm(r.qp, &rc), -ENODEV);
		assert_int_equal(nvio_ctrlr_arm(r.c, &rc), -ENODEV);
		rig_close();
	}
}

static void keep_alive_goes_on_asleep(void **state)
{
	FOR_EACH_KIND(kind) {
		struct nvio_ctrlr_opts o;
		struct nvio_drive_stats st;
		uint64_t begin, before;
		int ms;

		nvio_ctrlr_opts_init(&o);
		o.keep_alive_timeout_ms = 200;
		rig_open(kind, NULL, &o);
		nvio_drive_get_stats(r.drive, &st);
		before = st.admin_commands;
		while (nvio_qpair_arm(r.qp, &ms))
			nvio_qpair_poll(r.qp, 0);
		assert_in_range(ms, 1, 100);
		begin = clock_monotonic_ns();
		while (clock_monotonic_ns() - begin < NS_PER_S) {
			sleep_once(1000);
			nvio_qpair_poll(r.qp, 0); /* alone: polling any queue pair keeps the controller alive */
		}
		nvio_drive_get_stats(r.drive, &st);
		/* One each 100 ms at the most, however long a busy machine made of the second; a few as late as it likes. */
		assert_in_range(st.admin_commands - before, 3, 2 + (clock_monotonic_ns() - begin) / (100 * NS_PER_MS));
		assert_int_equal(nvio_ctrlr_reset_count(r.c), 0);
		rig_close();
	}
}

/* ---- Several threads ---- */

static atomic_bool hot_stop;

static void *poll_hot(void *arg)
{
	struct nvio_qpair *qp = arg;

	while (!atomic_load(&hot_stop))
		nvio_qpair_poll(qp, 0);
	return NULL;
}

/* Another thread's polls take the completions of the admin queue; whoever sleeps for them is told. */
static void admin_commands_end_while_others_poll(void **state)
{
	FOR_EACH_KIND(kind) {
		struct nvio_qpair *other;
		pthread_t thread;

		rig_open(kind, NULL, NULL);
		check(nvio_qpair_alloc(r.c, NULL, &other));
		atomic_store(&hot_stop, false);
		assert_int_equal(pthread_create(&thread, NULL, poll_hot, other), 0);
		for (int i = 0; i < 300; i++) {
			struct nvio_op op = NVIO_OP(NULL);

			check(nvio_ctrlr_get_feature(r.c, 2, 0, 0, 0, NULL, 0, &op));
			assert_int_equal(sleep_until_done(&op), 0);
		}
		atomic_store(&hot_stop, true);
		pthread_join(thread, NULL);
		nvio_qpair_free(other);
		rig_close();
	}
}

static void *reset_soon(void *arg)
{
	struct nvio_op op = NVIO_OP(NULL);

	sleep_ns(50 * NS_PER_MS);
	return (void *)(intptr_t)nvio_await(nvio_ctrlr_reset(r.c, &op), &op);
}

/* The queue pair's own thread sleeps on a late command while another resets the controller: it is sent anew. */
static void a_reset_by_another_thread_wakes_the_queue_pair(void **state)
{
	FOR_EACH_KIND(kind) {
		struct nvio_op op = NVIO_OP(NULL);
		pthread_t thread;
		void *rc;

		rig_open(kind, "delay:opcode=2:us=10000000:count=1", NULL);
		check(nvio_ns_read(r.ns, r.qp, r.buf, 0, 1, &op));
		assert_int_equal(pthread_create(&thread, NULL, reset_soon, NULL), 0);
		while (nvio_op_pending(&op)) {
			struct pollfd fd = { .fd = nvio_qpair_fd(r.qp), .events = POLLIN };
			int ms;

			assert_true(fd.fd >= 0);
			if (nvio_qpair_poll(r.qp, 0) == 0 && !nvio_qpair_arm(r.qp, &ms))
				poll(&fd, 1, ms);
		}
		pthread_join(thread, &rc);
		assert_int_equal((intptr_t)rc, 0);
		assert_int_equal(op.status, 0);
		assert_int_equal(nvio_ctrlr_reset_count(r.c), 1);
		rig_close();
	}
}

/* ---- Host and drive on one thread ---- */

static void an_attached_drive_lets_its_thread_sleep(void **state)
{
	struct nvio_thread *t;
	struct nvio_drive_ns_opts ns = { .backing = NVIO_DRIVE_RAM, .bytes = 1 << 20 };
	struct pollfd fd = { .events = POLLIN };
	struct nvio_op op = NVIO_OP(NULL);
	struct nvio_drive_opts o;
	int polls = 0, ms;

	memset(&r, 0, sizeof(r));
	check(nvio_env_open(NULL, &r.env));
	check(nvio_thread_create(r.env, NULL, &t));
	nvio_drive_opts_init(&o);
	o.name = "d";
	o.num_ns = 1;
	o.ns = &ns;
	o.poll = NVIO_DRIVE_ATTACHED;
	o.thread = t;
	check(nvio_drive_open(r.env, &o, &r.drive));
	/* While it spins the loop must not sleep; when it has long found nothing the loop may. */
	assert_int_equal(nvio_thread_timeout_ms(t), 0);
	/* The first answer counts: the nap of a drive without the barrier may be over before a second one. */
	while ((ms = nvio_thread_timeout_ms(t)) == 0 && polls++ < 100000)
		nvio_thread_poll(t, 0);
	fd.fd = nvio_thread_fd(t);
	assert_int_equal(ms, has_barrier ? -1 : 1);
	assert_int_equal(drive_sleeps() > 0, true);
	/* A host on the same thread: its waits give the thread its turns, sleeping or not. */
	check(nvio_thread_attach(t));
	check(nvio_connect(r.env, "loop:d", NULL, &r.c));
	check(nvio_qpair_alloc(r.c, NULL, &r.qp));
	r.ns = nvio_ctrlr_ns(r.c, 1);
	r.buf = nvio_mem_alloc(r.env, 4096, 4096);
	for (int i = 0; i < 20; i++) {
		for (polls = 0; nvio_thread_timeout_ms(t) == 0 && polls < 100000; polls++)
			nvio_thread_poll(t, 0);
		if (has_barrier) {
			/* The doorbell itself makes the thread's descriptor readable. */
			assert_int_equal(poll(&fd, 1, 0), 0);
			check(nvio_ns_write(r.ns, r.qp, r.buf, 0, 8, &op));
			nvio_qpair_kick(r.qp);
			assert_int_equal(poll(&fd, 1, PATIENCE_MS), 1);
			check(nvio_wait(&op));
		}
		check(nvio_await(nvio_ns_read(r.ns, r.qp, r.buf, 0, 8, &op), &op));
	}
	/* One that waits on this thread and this drive for long: the timer of the drive's thread ends the sleep. */
	check(nvio_drive_add_fault_str(r.drive, "delay:us=300000:opcode=2"));
	check(nvio_await(nvio_ns_read(r.ns, r.qp, r.buf, 0, 8, &op), &op));
	nvio_qpair_free(r.qp);
	nvio_ctrlr_close(r.c);
	check(nvio_thread_detach(t));
	nvio_mem_free(r.env, r.buf);
	nvio_drive_close(r.drive);
	check(nvio_thread_destroy(t));
	nvio_env_close(r.env);
}

static int on_readable(void *arg)
{
	return nvio_qpair_poll(arg, 0);
}

/* The user's epoll holds an nvio_thread's, that the queue pair's, and that, with an inline drive, the drive's thread's. */
static void descriptors_nest_in_other_loops(void **state)
{
	FOR_EACH_KIND(kind) {
		struct epoll_event ev = { .events = EPOLLIN };
		struct nvio_op op = NVIO_OP(NULL);
		struct nvio_thread *t;
		int ep = epoll_create1(EPOLL_CLOEXEC), ms, fd;

		rig_open(kind, "delay:us=100000:opcode=2", NULL);
		check(nvio_thread_create(r.env, NULL, &t));
		assert_int_equal(epoll_ctl(ep, EPOLL_CTL_ADD, nvio_thread_fd(t), &ev), 0);
		fd = nvio_qpair_fd(r.qp);
		assert_true(fd >= 0);
		assert_int_equal(nvio_qpair_fd(r.qp), fd);
		check(nvio_thread_add_fd(t, fd, on_readable, r.qp));
		check(nvio_ns_read(r.ns, r.qp, r.buf, 0, 1, &op));
		while (nvio_op_pending(&op)) {
			if (nvio_qpair_poll(r.qp, 0) || nvio_qpair_arm(r.qp, &ms) || !nvio_op_pending(&op))
				continue;
			assert_int_equal(nvio_thread_timeout_ms(t), -1);
			epoll_wait(ep, &ev, 1, ms);
			nvio_thread_poll(t, 0);
		}
		assert_int_equal(op.status, 0);
		check(nvio_thread_remove_fd(t, fd));
		check(nvio_thread_destroy(t));
		close(ep);
		rig_close();
	}
}

/* ---- The calls themselves ---- */

static void what_is_wrong_is_said(void **state)
{
	struct nvio_op op = NVIO_OP(NULL);
	struct nvio_op *ended;
	int ms, files;

	assert_int_equal(nvio_qpair_fd(NULL), -EINVAL);
	assert_int_equal(nvio_ctrlr_fd(NULL), -EINVAL);
	assert_int_equal(nvio_qpair_arm(NULL, &ms), -EINVAL);
	assert_int_equal(nvio_ctrlr_arm(NULL, &ms), -EINVAL);
	rig_open(OS_THREAD, NULL, NULL);
	assert_int_equal(nvio_qpair_arm(r.qp, NULL), -EINVAL);
	assert_int_equal(nvio_ctrlr_arm(r.c, NULL), -EINVAL);
	/* What has ended and was not reaped is something to do. */
	op.flags = NVIO_OP_REAP;
	check(nvio_ns_read(r.ns, r.qp, r.buf, 0, 1, &op));
	while (nvio_op_pending(&op))
		nvio_qpair_poll(r.qp, 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(nvio_qpair_arm(r.qp, &ms), 1);
	assert_int_equal(nvio_qpair_reap(r.qp, &ended, 1), 1);
	while (nvio_qpair_arm(r.qp, &ms) == 1)
		nvio_qpair_poll(r.qp, 0);
	/* Its descriptors go with the queue pair, and with the controller. */
	assert_true(nvio_ctrlr_fd(r.c) >= 0);
	files = unit_open_files();
	nvio_qpair_free(r.qp);
	assert_int_equal(unit_open_files(), files - 1);
	check(nvio_qpair_alloc(r.c, NULL, &r.qp));
	assert_true(nvio_qpair_fd(r.qp) >= 0);
	nvio_ctrlr_close(r.c);
	assert_int_equal(unit_open_files(), files - 2);
	assert_int_equal(nvio_qpair_fd(r.qp), -ENODEV);
	assert_int_equal(nvio_qpair_arm(r.qp, &ms), -ENODEV);
	r.c = NULL;
	rig_close();
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sleeping_drive_answers_soon),
		cmocka_unit_test(resets_and_shutdown_reach_a_sleeping_drive),
		cmocka_unit_test(faults_are_seen_asleep),
		cmocka_unit_test(states_that_never_come_are_given_up_asleep),
		cmocka_unit_test(removal_wakes_an_idle_host),
		cmocka_unit_test(keep_alive_goes_on_asleep),
		cmocka_unit_test(admin_commands_end_while_others_poll),
		cmocka_unit_test(a_reset_by_another_thread_wakes_the_queue_pair),
		cmocka_unit_test(an_attached_drive_lets_its_thread_sleep),
		cmocka_unit_test(descriptors_nest_in_other_loops),
		cmocka_unit_test(what_is_wrong_is_said),
	};

	asleep_begin(argc, argv);
	return cmocka_run_group_tests_name("host_sleep", tests, NULL, NULL);
}
