/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two worker threads, fed by messages, and the results returned by messages: each piece of work is the
 * checksum of a stretch of a block device, read on the worker's own channel. The workers sleep while there
 * is nothing to do, and so does the main thread.
 *
 *     workers
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nvio/bdev.h>
#include <nvio/env.h>
#include <nvio/error.h>
#include <nvio/mem.h>
#include <nvio/thread.h>

#define WORKERS 2
#define PIECES	64
#define PIECE	65536

struct worker {
	struct nvio_os_thread *os;
	struct nvio_bdev_desc
		*desc; /* opened by the main thread; I/O may come from any, each on its own channel */
	struct nvio_channel *ch;
	unsigned pieces;
};

struct piece {
	struct nvio_op op;
	struct worker *worker;
	struct nvio_thread *home;
	unsigned char *buf;
	uint64_t number, sum;
	int status;
};

static unsigned returned;

static uint64_t sum_of(const unsigned char *bytes, size_t len)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum = sum * 31 + bytes[i];
	return sum;
}

/* On the main thread: a result is back. */
static void on_result(void *arg)
{
	struct piece *p = arg;

	returned++;
	if (p->status)
		fprintf(stderr, "piece %llu: %s\n", (unsigned long long)p->number, strerror(-p->status));
	if (returned == PIECES)
		nvio_thread_stop(p->home);
}

/* On the worker. */
static void on_read(struct nvio_op *op)
{
	struct piece *p = op->arg;

	p->status = op->status;
	p->sum = sum_of(p->buf, PIECE);
	p->worker->pieces++;
	nvio_thread_send(p->home, on_result, p);
}

/* On the worker: a piece of work has come. */
static void on_piece(void *arg)
{
	struct piece *p = arg;
	struct worker *w = p->worker;

	p->op = (struct nvio_op)NVIO_OP(on_read);
	p->op.arg = p;
	p->status = nvio_bdev_read(w->desc, w->ch, p->buf, p->number * PIECE, PIECE, &p->op);
	if (p->status)
		nvio_thread_send(p->home, on_result, p);
}

/*
 * Calls, whose result the main thread waits for: the channel is the worker's own, so it is got and put there.
 */
static int get_channel(void *arg)
{
	struct worker *w = arg;

	return nvio_bdev_channel(w->desc, &w->ch);
}

static int put_channel(void *arg)
{
	nvio_channel_put(((struct worker *)arg)->ch);
	return 0;
}

static int call(struct worker *w, int (*fn)(void *arg))
{
	struct nvio_op op = NVIO_OP(NULL);

	return nvio_await(nvio_thread_handle_call(nvio_os_thread_handle(w->os), fn, w, &op), &op);
}

static int fill(struct nvio_bdev_desc *desc, unsigned char *memory)
{
	struct nvio_channel *ch;
	int rc = nvio_bdev_channel(desc, &ch);

	for (uint64_t i = 0; i < PIECES && !rc; i++) {
		struct nvio_op op = NVIO_OP(NULL);

		for (unsigned at = 0; at < PIECE; at++)
			memory[at] = (unsigned char)(i * 251 + at * 7);
		rc = nvio_await(nvio_bdev_write(desc, ch, memory, i * PIECE, PIECE, &op), &op);
	}
	nvio_channel_put(ch);
	return rc;
}

static int check(const struct piece *pieces, unsigned char *memory)
{
	unsigned wrong = 0;

	for (uint64_t i = 0; i < PIECES; i++) {
		for (unsigned at = 0; at < PIECE; at++)
			memory[at] = (unsigned char)(i * 251 + at * 7);
		wrong += pieces[i].status || pieces[i].sum != sum_of(memory, PIECE);
	}
	return (int)wrong;
}

static int start_workers(struct nvio_env *env, struct nvio_bdev_desc *desc, struct worker *workers)
{
	struct nvio_os_thread_opts opts;
	char name[16];
	int rc = 0;

	nvio_os_thread_opts_init(&opts);
	opts.name = name;
	for (int i = 0; i < WORKERS && !rc; i++) {
		snprintf(name, sizeof(name), "worker-%d", i);
		workers[i] = (struct worker){ .desc = desc };
		rc = nvio_os_thread_spawn(env, &opts, NULL, NULL, &workers[i].os);
		if (!rc)
			rc = call(&workers[i], get_channel);
	}
	return rc;
}

static int stop_workers(struct worker *workers)
{
	int rc = 0;

	for (int i = 0; i < WORKERS && !rc; i++) {
		printf("worker-%d: %u pieces\n", i, workers[i].pieces);
		rc = call(&workers[i], put_channel);
		nvio_thread_handle_exit(nvio_os_thread_handle(workers[i].os));
		if (!rc)
			rc = nvio_os_thread_join(workers[i].os);
	}
	return rc;
}

int main(void)
{
	struct nvio_bdev_malloc_opts opts;
	struct worker workers[WORKERS];
	struct nvio_bdev_desc *desc;
	struct nvio_thread *home;
	struct nvio_env *env;
	struct piece *pieces = calloc(PIECES, sizeof(*pieces));
	unsigned char *memory = malloc((size_t)PIECES * PIECE);
	int rc;

	nvio_bdev_malloc_opts_init(&opts);
	opts.name = "data";
	opts.block_size = 4096;
	opts.num_blocks = PIECES * PIECE / 4096;
	if (!pieces || !memory || nvio_env_open(NULL, &env) || nvio_thread_create(env, NULL, &home) ||
		nvio_thread_attach(home) || nvio_bdev_malloc_create(env, &opts) ||
		nvio_bdev_open(env, "data", NVIO_BDEV_WRITE, &desc) || fill(desc, memory) ||
		start_workers(env, desc, workers))
		return fprintf(stderr, "%s\n", nvio_errmsg()), 1;

	for (uint64_t i = 0; i < PIECES; i++) {
		pieces[i] = (struct piece){
			.worker = &workers[i % WORKERS], .home = home, .number = i, .buf = memory + i * PIECE
		};
		if (nvio_thread_handle_send(
			    nvio_os_thread_handle(pieces[i].worker->os), on_piece, &pieces[i]))
			return fprintf(stderr, "%s\n", nvio_errmsg()), 1;
	}
	nvio_thread_run(home, NVIO_THREAD_SPIN_US); /* until the last result is back */

	rc = stop_workers(workers);
	if (rc)
		fprintf(stderr, "%s\n", nvio_errmsg());
	rc |= check(pieces, memory);
	printf("%u results, %s\n", returned, rc ? "not all of them right" : "all of them right");
	nvio_env_close(env);
	free(memory);
	free(pieces);
	return rc != 0;
}
