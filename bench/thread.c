/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What threads cost: messages, calls, pollers, channels. Each beside the least that could do the same, in
 * turns within one run; one line of JSON per row. bench/run makes tables of them.
 *
 *     bench_thread [ROUNDS]
 */
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <nvio/env.h>
#include <nvio/thread.h>

#include "load.h"

#define MAX_ROUNDS 99
#define MANY	   10000

static struct nvio_env *env;
static struct nvio_thread *here;
static unsigned rounds = 7;

/* Something to count that the compiler cannot know the end of. */
static volatile uint64_t sink;

static void must(const char *what, int rc)
{
	if (rc < 0)
		load_die(what, rc);
}

/* ---- rows: nanoseconds per thing, and of its floor ---- */

typedef double (*measure_fn)(unsigned n);

static void print_list(const char *name, const double *values)
{
	printf(", \"%s\": [", name);
	for (unsigned i = 0; i < rounds; i++)
		printf("%s%.2f", i ? ", " : "", values[i]);
	printf("]");
}

static void row(const char *name, unsigned n, measure_fn nvio, measure_fn least)
{
	double ns[MAX_ROUNDS], floor_ns[MAX_ROUNDS];

	nvio(n); /* warm */
	for (unsigned i = 0; i < rounds; i++) {
		ns[i] = nvio(n);
		floor_ns[i] = least ? least(n) : 0;
	}
	printf("{\"thread\": \"%s\", \"n\": %u", name, n);
	print_list("ns", ns);
	if (least)
		print_list("floor_ns", floor_ns);
	printf("}\n");
	fflush(stdout);
}

static void memory_row(const char *name, unsigned n, size_t before)
{
	printf("{\"memory\": \"%s\", \"n\": %u, \"bytes\": %.0f}\n", name, n,
		(double)(mallinfo2().uordblks - before) / n);
}

/* ---- two OS threads ---- */

#define TRIPS 20000u

static struct {
	_Atomic uint32_t ball __attribute__((aligned(64)));
	uint32_t pad[15];
	struct nvio_thread *there;
	_Atomic uint32_t stop;
	uint32_t trips;
	int core;
} game;

static void *bare_partner(void *arg)
{
	(void)arg;
	load_pin(game.core);
	for (uint32_t i = 0; i < TRIPS; i++) {
		while (atomic_load_explicit(&game.ball, memory_order_acquire) != 2 * i + 1)
			;
		atomic_store_explicit(&game.ball, 2 * i + 2, memory_order_release);
	}
	return NULL;
}

static double bare_trip(unsigned n)
{
	uint64_t begin;
	pthread_t os;

	(void)n;
	atomic_store(&game.ball, 0);
	must("pthread_create", -pthread_create(&os, NULL, bare_partner, NULL));
	usleep(1000);
	begin = load_now_ns();
	for (uint32_t i = 0; i < TRIPS; i++) {
		atomic_store_explicit(&game.ball, 2 * i + 1, memory_order_release);
		while (atomic_load_explicit(&game.ball, memory_order_acquire) != 2 * i + 2)
			;
	}
	begin = load_now_ns() - begin;
	pthread_join(os, NULL);
	return (double)begin / TRIPS;
}

static void *spin_there(void *arg)
{
	(void)arg;
	load_pin(game.core);
	while (!atomic_load_explicit(&game.stop, memory_order_relaxed))
		nvio_thread_poll(game.there, 0);
	return NULL;
}

static void *sleep_there(void *arg)
{
	(void)arg;
	load_pin(game.core);
	nvio_thread_run(game.there, 0);
	return NULL;
}

static void *adapt_there(void *arg)
{
	(void)arg;
	load_pin(game.core);
	nvio_thread_run(game.there, NVIO_THREAD_SPIN_US);
	return NULL;
}

static void come_back(void *arg)
{
	(void)arg;
	game.trips++;
}

static void go_there(void *arg)
{
	must("send", nvio_thread_send(here, come_back, arg));
}

static int answer(void *arg)
{
	return *(int *)arg;
}

static double trip(void *(*partner)(void *arg), bool call, unsigned trips)
{
	int value = 1;
	uint64_t begin;
	pthread_t os;

	atomic_store(&game.stop, 0);
	game.trips = 0;
	must("pthread_create", -pthread_create(&os, NULL, partner, NULL));
	usleep(1000);
	begin = load_now_ns();
	for (uint32_t i = 0; i < trips; i++) {
		if (call) {
			struct nvio_op op = NVIO_OP(NULL);

			must("call", nvio_await(nvio_thread_call(game.there, answer, &value, &op), &op));
			continue;
		}
		must("send", nvio_thread_send(game.there, go_there, NULL));
		while (game.trips == i)
			nvio_thread_poll(here, 0);
	}
	begin = load_now_ns() - begin;
	/* A stop that ends no run would end the next one. */
	if (partner == spin_there)
		atomic_store(&game.stop, 1);
	else
		nvio_thread_stop(game.there);
	pthread_join(os, NULL);
	return (double)begin / trips;
}

static double message_trip(unsigned n)
{
	(void)n;
	return trip(spin_there, false, TRIPS);
}

static double call_trip(unsigned n)
{
	(void)n;
	return trip(spin_there, true, TRIPS);
}

static double adaptive_trip(unsigned n)
{
	(void)n;
	return trip(adapt_there, false, TRIPS);
}

static double sleeping_trip(unsigned n)
{
	(void)n;
	return trip(sleep_there, false, TRIPS / 10);
}

/* ---- one OS thread ---- */

static void __attribute__((noinline)) count_message(void *arg)
{
	sink += (uintptr_t)arg;
}

static double messages(unsigned in_flight)
{
	unsigned batches = 200000 / in_flight + 1;
	uint64_t begin = load_now_ns();

	for (unsigned i = 0; i < batches; i++) {
		for (unsigned m = 0; m < in_flight; m++)
			must("send", nvio_thread_send(here, count_message, NULL));
		while (nvio_thread_poll(here, 0))
			;
	}
	return (double)(load_now_ns() - begin) / ((double)batches * in_flight);
}

static void (*volatile called)(void *arg) = count_message;

static double bare_calls(unsigned n)
{
	uint64_t begin = load_now_ns();

	(void)n;
	for (unsigned i = 0; i < 200000; i++)
		called(NULL);
	return (double)(load_now_ns() - begin) / 200000;
}

static int __attribute__((noinline)) find_nothing(void *arg)
{
	sink += (uintptr_t)arg;
	return 0;
}

static int (*volatile poller_called)(void *arg) = find_nothing;

static double idle_polls(unsigned n)
{
	unsigned polls = n ? 2000000 / n + 1 : 2000000;
	uint64_t begin = load_now_ns();

	for (unsigned i = 0; i < polls; i++)
		nvio_thread_poll(here, 0);
	return (double)(load_now_ns() - begin) / polls;
}

/* So many calls. */
static double bare_polls(unsigned n)
{
	unsigned polls = n ? 2000000 / n + 1 : 2000000;
	uint64_t begin = load_now_ns();

	for (unsigned i = 0; i < polls; i++)
		for (unsigned p = 0; p < n; p++)
			sink += (uint64_t)poller_called(NULL);
	return (double)(load_now_ns() - begin) / polls;
}

static void with_pollers(const char *name, unsigned n, uint64_t period_us, measure_fn run, measure_fn least)
{
	struct nvio_poller **pollers = calloc(n, sizeof(*pollers));

	for (unsigned i = 0; i < n; i++)
		must("poller",
			nvio_poller_register(here, "bench", find_nothing, NULL, period_us, &pollers[i]));
	row(name, n, run, least);
	for (unsigned i = 0; i < n; i++)
		nvio_poller_unregister(pollers[i]);
	free(pollers);
}

/* An active poller and none else: what each timed one that waits is held against. */
static double timed_polls(unsigned n)
{
	(void)n;
	return idle_polls(1);
}

static void poller_rows(void)
{
	struct nvio_poller *active;

	row("poll, nothing to do", 0, idle_polls, NULL);
	for (unsigned n = 1; n <= MANY; n *= 10)
		with_pollers("poll, idle pollers", n, 0, idle_polls, bare_polls);
	must("poller", nvio_poller_register(here, "active", find_nothing, NULL, 0, &active));
	row("poll, waiting timed pollers", 0, timed_polls, NULL);
	for (unsigned n = 1; n <= MANY; n *= 10)
		with_pollers("poll, waiting timed pollers", n, 3600000000u, timed_polls, NULL);
	nvio_poller_unregister(active);
}

/* ---- channels ---- */

static char keys[MANY][64];
static const struct nvio_io_device_ops device_ops = { .name = "bench", .ctx_size = 64 };

static double get_again(unsigned n)
{
	struct nvio_channel *ch;
	uint64_t begin = load_now_ns();

	for (unsigned i = 0; i < 200000; i++) {
		must("get", nvio_channel_get(env, keys[i * 7919u % n], &ch));
		nvio_channel_put(ch);
	}
	return (double)(load_now_ns() - begin) / 200000;
}

static double get_first(unsigned n)
{
	struct nvio_channel *ch;
	uint64_t begin = load_now_ns();

	for (unsigned i = 0; i < 20000; i++) {
		must("get", nvio_channel_get(env, keys[i * 7919u % n], &ch));
		nvio_channel_put(ch);
		nvio_thread_poll(here, 0);
	}
	return (double)(load_now_ns() - begin) / 20000;
}

static void channel_rows(void)
{
	static struct nvio_channel *held[MANY];
	unsigned devices = 0;
	size_t before;

	for (unsigned n = 1; n <= MANY; n *= 10) {
		before = mallinfo2().uordblks;
		for (unsigned i = devices; i < n; i++)
			must("register", nvio_io_device_register(env, keys[i], &device_ops));
		if (n == MANY)
			memory_row("registered device", n - devices, before);
		devices = n;
		row("channel, first get and last put", n, get_first, NULL);
		before = mallinfo2().uordblks;
		for (unsigned i = 0; i < n; i++)
			must("get", nvio_channel_get(env, keys[i], &held[i]));
		if (n == MANY)
			memory_row("channel with 64 bytes of context", n, before);
		row("channel, get and put again", n, get_again, NULL);
		for (unsigned i = 0; i < n; i++)
			nvio_channel_put(held[i]);
		nvio_thread_poll(here, 0);
	}
	for (unsigned i = 0; i < MANY; i++)
		must("unregister", nvio_io_device_unregister(env, keys[i], NULL));
}

static void thread_memory(void)
{
	struct nvio_thread *t[100];
	size_t before = mallinfo2().uordblks;
	struct nvio_thread_opts opts;

	nvio_thread_opts_init(&opts);
	opts.max_msgs = NVIO_THREAD_MSGS_SMALL;
	for (int i = 0; i < 100; i++)
		must("thread", nvio_thread_create(env, &opts, &t[i]));
	memory_row("nvio_thread, small message queue", 100, before);
	for (int i = 0; i < 100; i++)
		nvio_thread_destroy(t[i]);
}

static void two_core_rows(void)
{
	cpu_set_t set;
	int cores[2] = { -1, -1 }, found = 0;

	sched_getaffinity(0, sizeof(set), &set);
	for (int i = 0; i < CPU_SETSIZE && found < 2; i++)
		if (CPU_ISSET(i, &set))
			cores[found++] = i;
	if (found < 2) {
		printf("{\"skipped\": \"round trips\", \"reason\": \"one core only\"}\n");
		return;
	}
	must("thread", nvio_thread_create(env, NULL, &game.there));
	game.core = cores[1];
	load_pin(cores[0]);
	row("message there and back, both spinning", 1, message_trip, bare_trip);
	row("call with a result, both spinning", 1, call_trip, bare_trip);
	row("message, receiver spins, then sleeps", 1, adaptive_trip, bare_trip);
	row("message, receiver asleep", 1, sleeping_trip, bare_trip);
	load_pin(-1);
	must("destroy", nvio_thread_destroy(game.there));
}

int main(int argc, char **argv)
{
	if (argc > 1)
		rounds = (unsigned)strtoul(argv[1], NULL, 10);
	if (argc > 2 || rounds < 1 || rounds > MAX_ROUNDS) {
		fprintf(stderr, "usage: bench_thread [ROUNDS, 1 to %d]\n", MAX_ROUNDS);
		return 2;
	}
	must("env", nvio_env_open(NULL, &env));
	must("thread", nvio_thread_create(env, NULL, &here));
	must("attach", nvio_thread_attach(here));
	two_core_rows();
	for (unsigned n = 1; n <= 100000; n *= 10)
		row("message to oneself, so many in flight", n, messages, bare_calls);
	poller_rows();
	channel_rows();
	thread_memory();
	must("detach", nvio_thread_detach(here));
	nvio_env_close(env);
	return 0;
}
