/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What sleeping costs: the latency of a 4 KiB read at depth 1 with host and drive on two OS threads, each of them spinning or asleep,
 * beside floors of two bare threads: a word handed to and fro, and an eventfd with epoll. All take turns, so that the machine's mood is
 * the same for all. And what a process with an idle drive and an idle host takes of a core.
 *
 *     bench_sleep [ROUNDS [IDLE_MS]]
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <nvio/nvme.h>

#include "load.h"

#define NS_PER_MS 1000000ull
#define QUICK	  200u			/* round trips of a turn, one after another */
#define SLOW	  20u			/* the same, with a gap before each */
#define GAP_NS	  (3 * NS_PER_MS)	/* longer than any drive spins */
#define QUIT	  UINT64_MAX

static int host_core = -1, drive_core = -1;

static void find_cores(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		load_die("cores", errno);
	for (int core = 0; core < CPU_SETSIZE; core++) {
		if (!CPU_ISSET((unsigned)core, &set))
			continue;
		if (host_core < 0)
			host_core = core;
		else if (drive_core < 0)
			drive_core = core;
	}
}

static void nap(uint64_t ns)
{
	struct timespec ts = { .tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u) };

	nanosleep(&ts, NULL);
}

/* ---- The floors ---- */

struct floors {
	pthread_t thread;
	int to, from, epoll_to, epoll_from;
	_Atomic uint64_t ping __attribute__((aligned(64)));
	_Atomic uint64_t pong __attribute__((aligned(64)));
};

static struct floors fl;

static int watching(int fd)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int ep = epoll_create1(EPOLL_CLOEXEC);

	if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev))
		load_die("epoll", errno);
	return ep;
}

static void event_await(int ep, int fd)
{
	struct epoll_event ev;
	eventfd_t count;

	while (epoll_wait(ep, &ev, 1, -1) < 1)
		;
	if (eventfd_read(fd, &count))
		load_die("eventfd", errno);
}

static void *answer_events(void *arg)
{
	load_pin(drive_core);
	for (;;) {
		event_await(fl.epoll_to, fl.to);
		if (atomic_load(&fl.ping) == QUIT)
			return NULL;
		eventfd_write(fl.from, 1);
	}
}

static void *answer_words(void *arg)
{
	uint64_t seen = 0, now;

	load_pin(drive_core);
	while ((now = atomic_load_explicit(&fl.ping, memory_order_acquire)) != QUIT) {
		if (now == seen)
			continue;
		seen = now;
		atomic_store_explicit(&fl.pong, seen, memory_order_release);
	}
	return NULL;
}

static void event_trip(void)
{
	eventfd_write(fl.to, 1);
	event_await(fl.epoll_from, fl.from);
}

static void word_trip(void)
{
	uint64_t next = atomic_load_explicit(&fl.ping, memory_order_relaxed) + 1;

	atomic_store_explicit(&fl.ping, next, memory_order_release);
	while (atomic_load_explicit(&fl.pong, memory_order_acquire) != next)
		;
}

static void floor_open(void *(*answer)(void *))
{
	fl = (struct floors){ .to = eventfd(0, EFD_CLOEXEC), .from = eventfd(0, EFD_CLOEXEC) };
	if (fl.to < 0 || fl.from < 0)
		load_die("eventfd", errno);
	fl.epoll_to = watching(fl.to);
	fl.epoll_from = watching(fl.from);
	if (pthread_create(&fl.thread, NULL, answer, NULL))
		load_die("thread", EAGAIN);
}

static void floor_close(void)
{
	atomic_store(&fl.ping, QUIT);
	eventfd_write(fl.to, 1);
	pthread_join(fl.thread, NULL);
	close(fl.epoll_to);
	close(fl.epoll_from);
	close(fl.to);
	close(fl.from);
}

/* ---- nvio ---- */

static struct {
	struct nvio_env *env;
	struct nvio_ctrlr *ctrlr;
	struct nvio_qpair *qp;
	struct nvio_ns *ns;
	void *buf;
	int fd;
} nv;

static void nvio_open(const char *where)
{
	int rc = nvio_env_open(NULL, &nv.env);

	if (!rc)
		rc = nvio_connect(nv.env, where, NULL, &nv.ctrlr);
	if (!rc)
		rc = nvio_qpair_alloc(nv.ctrlr, NULL, &nv.qp);
	nv.ns = rc ? NULL : nvio_ctrlr_ns(nv.ctrlr, 1);
	nv.buf = rc ? NULL : nvio_mem_alloc(nv.env, LOAD_IO, LOAD_IO);
	nv.fd = rc ? -1 : nvio_qpair_fd(nv.qp);
	if (rc || !nv.ns || !nv.buf || nv.fd < 0)
		load_die(where, rc ? rc : -ENODEV);
}

static void nvio_close(void)
{
	nvio_qpair_free(nv.qp);
	nvio_ctrlr_close(nv.ctrlr);
	nvio_mem_free(nv.env, nv.buf);
	nvio_env_close(nv.env);
}

static void submit(struct nvio_op *op)
{
	int rc = nvio_ns_read(nv.ns, nv.qp, nv.buf, 0, LOAD_IO / nvio_ns_block_size(nv.ns), op);

	if (rc)
		load_die("submit", rc);
}

static void spin_trip(void)
{
	struct nvio_op op = NVIO_OP(NULL);

	submit(&op);
	while (nvio_op_pending(&op))
		nvio_qpair_poll(nv.qp, 0);
}

/* Sleeps as soon as it may. */
static void sleep_trip(void)
{
	struct pollfd fd = { .fd = nv.fd, .events = POLLIN };
	struct nvio_op op = NVIO_OP(NULL);
	int ms;

	submit(&op);
	nvio_qpair_kick(nv.qp);
	while (nvio_op_pending(&op)) {
		if (!nvio_qpair_arm(nv.qp, &ms))
			poll(&fd, 1, ms);
		nvio_qpair_poll(nv.qp, 0);
	}
}

/* As the library does it: spins for a while, and sleeps then. */
static void wait_trip(void)
{
	struct nvio_op op = NVIO_OP(NULL);

	submit(&op);
	nvio_wait(&op);
}

/* ---- The rows ---- */

static struct row {
	const char *name, *words, *floor;
	void (*trip)(void);
	void *(*answer)(void *); /* a floor's */
	uint64_t gap_ns;
	struct nvio_histogram latency;
} rows[] = {
	{ "word", "floor: a word, spinning", NULL, word_trip, answer_words, 0, { 0 } },
	{ "event", "floor: eventfd and epoll", NULL, event_trip, answer_events, 0, { 0 } },
	{ "event-idle", "floor: eventfd and epoll, after 3 ms", NULL, event_trip, answer_events, GAP_NS, { 0 } },
	{ "spin", "both spin", "word", spin_trip, NULL, 0, { 0 } },
	{ "wait", "nvio_wait()", "word", wait_trip, NULL, 0, { 0 } },
	{ "host-sleeps", "the host sleeps at once", "event", sleep_trip, NULL, 0, { 0 } },
	{ "drive-sleeps", "the drive sleeps, after 3 ms", "event-idle", spin_trip, NULL, GAP_NS, { 0 } },
	{ "wait-idle", "nvio_wait(), after 3 ms", "event-idle", wait_trip, NULL, GAP_NS, { 0 } },
	{ "both-sleep", "both sleep, after 3 ms", "event-idle", sleep_trip, NULL, GAP_NS, { 0 } },
};

static void turn(struct row *row)
{
	char where[96];

	load_pin(-1);
	snprintf(where, sizeof(where), "loop:null:1G?untouched=1&poll=thread&core=%d", drive_core);
	if (row->answer)
		floor_open(row->answer);
	else
		nvio_open(where);
	load_pin(host_core);
	for (unsigned i = 0; i < 10; i++)
		row->trip();
	for (unsigned i = 0; i < (row->gap_ns ? SLOW : QUICK); i++) {
		uint64_t begin;

		if (row->gap_ns)
			nap(row->gap_ns);
		begin = load_now_ns();
		row->trip();
		nvio_histogram_add(&row->latency, load_now_ns() - begin);
	}
	if (row->answer)
		floor_close();
	else
		nvio_close();
}

static void print_row(const struct row *row)
{
	printf("{\"sleep\": \"%s\", \"words\": \"%s\", \"floor\": \"%s\", \"mean_ns\": %.0f", row->name, row->words,
		row->floor ? row->floor : "", nvio_histogram_mean(&row->latency));
	printf(", \"p50_ns\": %llu, \"p99_ns\": %llu}\n", (unsigned long long)nvio_histogram_percentile(&row->latency, 50),
		(unsigned long long)nvio_histogram_percentile(&row->latency, 99));
}

/* ---- Idle ---- */

static uint64_t cpu_ns(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000u +
	       (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000u;
}

/* A host that sleeps on all that it has, as somebody else's loop would. */
static void idle(const char *kind, uint64_t duration_ns)
{
	struct pollfd fds[2] = { { .events = POLLIN }, { .events = POLLIN } };
	uint64_t begin, cpu;
	char where[64];
	int ms, also;

	load_pin(-1);
	snprintf(where, sizeof(where), "loop:ram:64M?poll=%s", kind);
	nvio_open(where);
	fds[0].fd = nv.fd;
	fds[1].fd = nvio_ctrlr_fd(nv.ctrlr);
	spin_trip();
	nap(50 * NS_PER_MS);
	cpu = cpu_ns();
	begin = load_now_ns();
	while (load_now_ns() - begin < duration_ns) {
		uint64_t left_ms = (duration_ns - (load_now_ns() - begin)) / NS_PER_MS + 1;

		nvio_qpair_poll(nv.qp, 0);
		nvio_ctrlr_poll(nv.ctrlr);
		if (nvio_qpair_arm(nv.qp, &ms) || nvio_ctrlr_arm(nv.ctrlr, &also))
			continue;
		if (also >= 0 && (ms < 0 || also < ms))
			ms = also;
		poll(fds, 2, ms < 0 || (uint64_t)ms > left_ms ? (int)left_ms : ms);
	}
	cpu = cpu_ns() - cpu;
	printf("{\"idle\": \"%s\", \"percent\": %.3f}\n", kind, 100.0 * (double)cpu / (double)(load_now_ns() - begin));
	nvio_close();
}

int main(int argc, char **argv)
{
	unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 11;
	unsigned long idle_ms = argc > 2 ? strtoul(argv[2], NULL, 10) : 2000;

	find_cores();
	if (drive_core < 0)
		printf("{\"skipped\": \"sleep\", \"reason\": \"it takes two cores\"}\n");
	for (unsigned long i = 0; drive_core >= 0 && i < rounds; i++)
		for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++)
			turn(&rows[k]);
	for (size_t k = 0; drive_core >= 0 && k < sizeof(rows) / sizeof(rows[0]); k++)
		print_row(&rows[k]);
	idle("inline", idle_ms * NS_PER_MS);
	idle("thread", idle_ms * NS_PER_MS);
	return 0;
}
