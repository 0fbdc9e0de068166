/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the tests of sleeping share: a host that never polls without having been woken or told, and a drive of each kind. The attached one
 * is polled by an OS thread that sleeps on its nvio_thread whenever that says it may, as somebody else's loop would.
 */
#ifndef UNIT_HOST_ASLEEP_H
#define UNIT_HOST_ASLEEP_H

#include "tests/support/unit.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "base/random.h"
#include "tests/support/no_membarrier.h"
#include <nvio/nvme.h>
#include <nvio/spec/admin.h>

#define PATIENCE_MS 20000 /* a wake-up that takes so long is lost */
#define BLOCK	    512u

enum kind { INLINE, OS_THREAD, ATTACHED, KINDS };

#define FOR_EACH_KIND(kind) for (enum kind kind = INLINE; kind < KINDS; kind++)

static bool has_barrier;

/* With main's arguments: "--no-membarrier" does without. */
static inline void asleep_begin(int argc, char **argv)
{
	no_membarrier_if_asked(argc, argv);
	has_barrier = argc < 2;
}

struct rig {
	struct nvio_env *env;
	struct nvio_drive *drive;
	struct nvio_ctrlr *c;
	struct nvio_qpair *qp;
	struct nvio_ns *ns;
	uint8_t *buf; /* 1 MiB */

	struct nvio_thread *thread; /* ATTACHED */
	pthread_t pump;
	atomic_bool stop;
	uint64_t lost; /* sleeps of the host that nothing ended in time */
};

static struct rig r;
static const struct nvio_drive_ns_opts *rig_backing; /* NULL: RAM */

static inline void check(int rc)
{
	if (rc)
		fail_msg("%d: %s", rc, nvio_errmsg());
}

static void *pump_thread(void *arg)
{
	while (!atomic_load(&r.stop)) {
		struct pollfd fd = { .events = POLLIN };
		int ms;

		if (nvio_thread_poll(r.thread, 0) > 0)
			continue;
		ms = nvio_thread_timeout_ms(r.thread);
		fd.fd = nvio_thread_fd(r.thread);
		if (ms)
			poll(&fd, 1, ms);
	}
	return NULL;
}

static void stop_pump(void *arg)
{
	atomic_store(&r.stop, true);
}

/* Deadlines of tens of milliseconds, so that lost commands cost no more. */
static inline struct nvio_ctrlr_opts impatient(void)
{
	struct nvio_ctrlr_opts o;

	nvio_ctrlr_opts_init(&o);
	o.command_timeout_ms = 200;
	o.admin_timeout_ms = 200;
	o.abort_timeout_ms = 100;
	o.state_timeout_ms = 2000;
	return o;
}

static void on_log(void *arg, enum nvio_log_level level, const char *text)
{
}

static inline void rig_open(enum kind kind, const char *fault, const struct nvio_ctrlr_opts *co)
{
	struct nvio_drive_ns_opts ns = { .backing = NVIO_DRIVE_RAM, .bytes = 1 << 20 };
	struct nvio_drive_opts o;
	struct nvio_env_opts eo;

	memset(&r, 0, sizeof(r));
	nvio_env_opts_init(&eo);
	eo.log_fn = on_log;
	check(nvio_env_open(&eo, &r.env));
	nvio_drive_opts_init(&o);
	o.name = "d";
	o.num_ns = 1;
	o.ns = rig_backing ? rig_backing : &ns;
	o.poll = kind == INLINE ? NVIO_DRIVE_INLINE : kind == OS_THREAD ? NVIO_DRIVE_OS_THREAD : NVIO_DRIVE_ATTACHED;
	if (kind == ATTACHED) {
		check(nvio_thread_create(r.env, NULL, &r.thread));
		o.thread = r.thread;
	}
	check(nvio_drive_open(r.env, &o, &r.drive));
	if (fault)
		check(nvio_drive_add_fault_str(r.drive, fault));
	if (kind == ATTACHED)
		assert_int_equal(pthread_create(&r.pump, NULL, pump_thread, NULL), 0);
	check(nvio_connect(r.env, "loop:d", co, &r.c));
	check(nvio_qpair_alloc(r.c, NULL, &r.qp));
	r.ns = nvio_ctrlr_ns(r.c, 1);
	assert_non_null(r.ns);
	r.buf = nvio_mem_alloc(r.env, 1 << 20, 4096);
	assert_non_null(r.buf);
}

static inline void rig_close(void)
{
	nvio_qpair_free(r.qp);
	nvio_ctrlr_close(r.c);
	if (r.thread) {
		check(nvio_thread_send(r.thread, stop_pump, NULL));
		pthread_join(r.pump, NULL);
	}
	nvio_drive_close(r.drive);
	if (r.thread)
		check(nvio_thread_destroy(r.thread));
	nvio_mem_free(r.env, r.buf);
	nvio_env_close(r.env);
}

/* Sleeps once, on queue pair and controller, for no longer than limit_ms; false: only time has passed, all of it. */
static inline bool sleep_once(int limit_ms)
{
	struct pollfd fds[2] = { { .events = POLLIN }, { .events = POLLIN } };
	int ms[2], rc;

	fds[0].fd = nvio_qpair_fd(r.qp);
	fds[1].fd = nvio_ctrlr_fd(r.c);
	if (fds[0].fd < 0 || fds[1].fd < 0)
		return true;
	if (nvio_qpair_arm(r.qp, &ms[0]) || nvio_ctrlr_arm(r.c, &ms[1]))
		return true;
	for (int i = 0; i < 2; i++)
		if (ms[i] >= 0 && ms[i] < limit_ms)
			limit_ms = ms[i];
	rc = poll(fds, 2, limit_ms);
	return rc != 0;
}

/* Until the op has ended, sleeping whenever the library says that it may. */
static inline int sleep_until_done(struct nvio_op *op)
{
	uint64_t begin = clock_monotonic_ns();

	while (nvio_op_pending(op)) {
		int rc = nvio_qpair_poll(r.qp, 0);

		nvio_ctrlr_poll(r.c);
		if (rc < 0 || !nvio_op_pending(op))
			break;
		sleep_once(PATIENCE_MS);
		if (clock_monotonic_ns() - begin > PATIENCE_MS * NS_PER_MS)
			fail_msg("%s", "an op did not end: its wake-up is lost");
	}
	assert_false(nvio_op_pending(op));
	return op->status;
}

static inline int io(bool write, uint64_t lba)
{
	struct nvio_op op = NVIO_OP(NULL);

	check(write ? nvio_ns_write(r.ns, r.qp, r.buf, lba, 1, &op) : nvio_ns_read(r.ns, r.qp, r.buf, lba, 1, &op));
	return sleep_until_done(&op);
}

static inline uint64_t drive_sleeps(void)
{
	struct nvio_drive_stats st;

	nvio_drive_get_stats(r.drive, &st);
	return st.sleeps;
}

/* Until the drive has fallen asleep (again). An inline one sleeps with its host. */
static inline void await_asleep(enum kind kind)
{
	uint64_t before = drive_sleeps(), until = clock_monotonic_ns() + PATIENCE_MS * NS_PER_MS;

	if (kind == INLINE)
		return;
	/* It may be asleep already. */
	for (int i = 0; drive_sleeps() == before && (i < 5 || !before); i++) {
		if (clock_monotonic_ns() > until)
			fail_msg("%s", "the drive does not fall asleep");
		sleep_ns(2 * NS_PER_MS);
	}
}

/* User and system time of the whole process. */
static inline uint64_t cpu_ns(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * NS_PER_S +
	       (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * NS_PER_US;
}

#endif
