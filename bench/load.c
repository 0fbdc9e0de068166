/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What all kinds of load share: the clock, where threads run, and how a benchmark gives up.
 */
#include "load.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <nvio/error.h>

_Noreturn void load_die(const char *what, int rc)
{
	const char *words = nvio_errmsg();

	fprintf(stderr, "bench: %s: %s\n", what, words[0] ? words : strerror(rc < 0 ? -rc : rc));
	exit(1);
}

uint64_t load_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void *load_memory(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (p == MAP_FAILED)
		load_die("memory", errno);
	return p;
}

void load_pin(int core)
{
	static cpu_set_t all;
	cpu_set_t set;

	/* What the process began with is only known before the first pinning. */
	if (!CPU_COUNT(&all))
		sched_getaffinity(0, sizeof(all), &all);
	set = all;
	if (core >= 0) {
		CPU_ZERO(&set);
		CPU_SET((unsigned)core, &set);
	}
	if (pthread_setaffinity_np(pthread_self(), sizeof(set), &set))
		load_die("cannot bind a thread to a core", EINVAL);
}

void load_init(struct load *l, const struct load_opts *opts, uint64_t device_bytes)
{
	l->kind = opts->kind;
	l->depth = opts->depth;
	l->write = opts->write;
	l->latency = opts->latency;
	l->random = 0x9e3779b97f4a7c15u;
	l->mask = device_bytes / LOAD_IO - 1;
}

struct load *load_open(const struct load_opts *opts)
{
	if (opts->depth < 1 || opts->depth > LOAD_MAX_DEPTH)
		load_die("the depth is 1 to 128", EINVAL);
	return opts->kind->open(opts);
}

void load_close(struct load *l)
{
	l->kind->close(l);
}

void load_look(struct load *l)
{
	uint64_t now = load_now_ns();

	if (now < l->until_ns || l->elapsed_ns)
		return;
	l->counted = l->completed;
	l->elapsed_ns = now - l->begin_ns;
	/* Nothing more goes out; the loop ends when all that is in flight has come back. */
	l->limit = l->issued;
}

static void begin(struct load *l, uint64_t limit)
{
	l->issued = l->completed = l->counted = l->elapsed_ns = l->until_ns = 0;
	l->polls = 0;
	l->limit = limit;
}

void load_run_count(struct load *l, uint64_t ios)
{
	begin(l, ios);
	l->kind->run(l);
}

double load_run_for(struct load *l, uint64_t duration_ns)
{
	begin(l, UINT64_MAX);
	l->begin_ns = load_now_ns();
	l->until_ns = l->begin_ns + duration_ns;
	l->kind->run(l);
	return (double)l->counted * 1e9 / (double)l->elapsed_ns;
}
