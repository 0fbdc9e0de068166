/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Load balanced over the channels of several threads: each I/O goes to the thread that has the fewest in
 * flight. The device is one, every thread has a channel of its own to it, and nothing is locked. At the
 * end the statistics tell how the work was spread.
 *
 *     balance
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nvio/bdev.h>
#include <nvio/env.h>
#include <nvio/error.h>
#include <nvio/thread.h>

#define LANES	 3
#define REQUESTS 48   /* in flight at once */
#define IOS	 6000 /* in all: each writes a block, reads it back and compares */
#define BLOCK	 4096

struct lane {
	struct nvio_os_thread *os;
	struct nvio_channel *ch;
	unsigned in_flight, served; /* the main thread's */
};

struct request {
	struct nvio_op op;
	struct lane *lane;
	struct nvio_thread *home;
	uint64_t block, number;
	bool reading;
	int status;
	unsigned char data[BLOCK], back[BLOCK];
};

static struct nvio_bdev_desc *desc;
static struct lane lanes[LANES];
static struct request requests[REQUESTS];
static unsigned submitted, completed, failures;

static void submit(struct request *r);

/* ---- on the main thread ---- */

static void on_answer(void *arg)
{
	struct request *r = arg;

	r->lane->in_flight--;
	r->lane->served++;
	completed++;
	if (r->status) {
		fprintf(stderr, "request %llu: %s\n", (unsigned long long)r->number, strerror(-r->status));
		failures++;
	}
	if (submitted < IOS)
		submit(r);
	else if (completed == IOS)
		nvio_thread_stop(r->home);
}

/* ---- on the lanes ---- */

static void answer(struct request *r, int status)
{
	r->status = status;
	nvio_thread_send(r->home, on_answer, r);
}

static void on_done(struct nvio_op *op)
{
	struct request *r = op->arg;
	int rc = op->status;

	if (!rc && !r->reading) {
		r->reading = true;
		rc = nvio_bdev_read(desc, r->lane->ch, r->back, r->block * BLOCK, BLOCK, op);
		if (!rc)
			return;
	} else if (!rc && memcmp(r->data, r->back, BLOCK)) {
		rc = -EIO;
	}
	answer(r, rc);
}

static void on_request(void *arg)
{
	struct request *r = arg;
	int rc;

	memset(r->data, (int)r->number, BLOCK);
	r->reading = false;
	r->op = (struct nvio_op)NVIO_OP(on_done);
	r->op.arg = r;
	rc = nvio_bdev_write(desc, r->lane->ch, r->data, r->block * BLOCK, BLOCK, &r->op);
	if (rc)
		answer(r, rc);
}

static int get_channel(void *arg)
{
	return nvio_bdev_channel(desc, &((struct lane *)arg)->ch);
}

static int put_channel(void *arg)
{
	nvio_channel_put(((struct lane *)arg)->ch);
	return 0;
}

/* ---- on the main thread ---- */

static void submit(struct request *r)
{
	struct lane *least = &lanes[0];

	for (int i = 1; i < LANES; i++)
		if (lanes[i].in_flight < least->in_flight)
			least = &lanes[i];
	r->lane = least;
	r->number = submitted++;
	least->in_flight++;
	if (nvio_thread_handle_send(nvio_os_thread_handle(least->os), on_request, r)) {
		fprintf(stderr, "%s\n", nvio_errmsg());
		exit(1);
	}
}

static int call(struct lane *l, int (*fn)(void *arg))
{
	struct nvio_op op = NVIO_OP(NULL);

	return nvio_await(nvio_thread_handle_call(nvio_os_thread_handle(l->os), fn, l, &op), &op);
}

static int tell(struct nvio_thread *t, void *arg)
{
	struct nvio_thread_stats s;

	(void)arg;
	nvio_thread_get_stats(t, &s, sizeof(s));
	printf("%-10s %6llu messages, busy %6.2f ms, idle %6.2f ms\n", nvio_thread_name(t),
		(unsigned long long)s.msgs, (double)s.busy_ns / 1e6, (double)s.idle_ns / 1e6);
	return 0;
}

static int start_lanes(struct nvio_env *env)
{
	struct nvio_os_thread_opts opts;
	char name[16];
	int rc = 0;

	nvio_os_thread_opts_init(&opts);
	opts.name = name;
	for (int i = 0; i < LANES && !rc; i++) {
		snprintf(name, sizeof(name), "lane-%d", i);
		rc = nvio_os_thread_spawn(env, &opts, NULL, NULL, &lanes[i].os);
		if (!rc)
			rc = call(&lanes[i], get_channel);
	}
	return rc;
}

int main(void)
{
	struct nvio_bdev_malloc_opts opts;
	struct nvio_thread *home;
	struct nvio_env *env;
	int bad = 0;

	nvio_bdev_malloc_opts_init(&opts);
	opts.name = "data";
	opts.block_size = BLOCK;
	opts.num_blocks = REQUESTS;
	if (nvio_env_open(NULL, &env) || nvio_thread_create(env, NULL, &home) || nvio_thread_attach(home) ||
		nvio_bdev_malloc_create(env, &opts) || nvio_bdev_open(env, "data", NVIO_BDEV_WRITE, &desc) ||
		start_lanes(env))
		return fprintf(stderr, "%s\n", nvio_errmsg()), 1;

	for (uint64_t i = 0; i < REQUESTS; i++) {
		requests[i].home = home;
		requests[i].block = i;
		submit(&requests[i]);
	}
	nvio_thread_run(home, NVIO_THREAD_SPIN_US);

	nvio_thread_for_each(env, tell, NULL);
	for (int i = 0; i < LANES; i++) {
		printf("lane-%d served %u\n", i, lanes[i].served);
		bad += lanes[i].served == 0;
		bad += call(&lanes[i], put_channel) != 0;
		nvio_thread_handle_exit(nvio_os_thread_handle(lanes[i].os));
		bad += nvio_os_thread_join(lanes[i].os) != 0;
	}
	printf("%u I/Os compared, %u failures\n", completed, failures);
	nvio_env_close(env);
	return bad || failures || completed != IOS;
}
