/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nvio in a libuv loop. The thread's descriptor is watched by a poll handle; a prepare handle, which libuv
 * calls just before it sleeps, asks nvio how long that may be, and keeps the loop from sleeping (by an
 * idle handle) while work waits or a poller is active.
 *
 *     uv_loop image.bin
 */
#include <uv.h>

#include "job.h"

#define TICKS 3 /* at least, and the job done */

struct loop {
	struct job job;
	uv_loop_t uv;
	uv_poll_t readable;
	uv_prepare_t before_sleep;
	uv_check_t after_sleep;
	uv_idle_t stay_awake;
	uv_timer_t due, tick;
	unsigned ticks;
};

static void nothing(uv_idle_t *idle)
{
	(void)idle;
}

static void wake_up(uv_timer_t *timer)
{
	(void)timer;
}

/* The descriptor's news are nvio's own to read: the poll after the sleep does. */
static void on_readable(uv_poll_t *poll, int status, int events)
{
	(void)poll, (void)status, (void)events;
}

static void before_sleep(uv_prepare_t *prepare)
{
	struct loop *l = prepare->data;
	int ms = nvio_thread_timeout_ms(l->job.thread);

	if (ms == 0)
		uv_idle_start(&l->stay_awake, nothing);
	else
		uv_idle_stop(&l->stay_awake);
	if (ms > 0)
		uv_timer_start(&l->due, wake_up, (uint64_t)ms, 0);
	else
		uv_timer_stop(&l->due);
}

static void after_sleep(uv_check_t *check)
{
	struct loop *l = check->data;

	nvio_thread_poll(l->job.thread, 0);
	if (l->job.failed || (l->job.done && l->ticks >= TICKS))
		uv_stop(&l->uv);
}

static void on_tick(uv_timer_t *timer)
{
	((struct loop *)timer->data)->ticks++;
}

static void close_handle(uv_handle_t *handle, void *arg)
{
	(void)arg;
	uv_close(handle, NULL);
}

int main(int argc, char **argv)
{
	static struct loop l;

	if (argc != 2)
		return fprintf(stderr, "usage: %s IMAGE\n", argv[0]), 2;
	if (job_start(&l.job, argv[1]))
		return 1;
	uv_loop_init(&l.uv);
	uv_poll_init(&l.uv, &l.readable, nvio_thread_fd(l.job.thread));
	uv_prepare_init(&l.uv, &l.before_sleep);
	uv_check_init(&l.uv, &l.after_sleep);
	uv_idle_init(&l.uv, &l.stay_awake);
	uv_timer_init(&l.uv, &l.due);
	uv_timer_init(&l.uv, &l.tick);
	l.before_sleep.data = l.after_sleep.data = l.tick.data = &l;
	uv_poll_start(&l.readable, UV_READABLE, on_readable);
	uv_prepare_start(&l.before_sleep, before_sleep);
	uv_check_start(&l.after_sleep, after_sleep);
	uv_timer_start(&l.tick, on_tick, 1, 1);

	uv_run(&l.uv, UV_RUN_DEFAULT);

	uv_walk(&l.uv, close_handle, NULL);
	uv_run(&l.uv, UV_RUN_DEFAULT);
	uv_loop_close(&l.uv);
	return job_end(&l.job, argv[1], l.ticks);
}
