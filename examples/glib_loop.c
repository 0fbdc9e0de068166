/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nvio in GLib's main loop, as a GSource: prepare asks nvio how long the loop may sleep, check tells
 * whether there is something to do, dispatch polls.
 *
 *     glib_loop image.bin
 */
#include <glib.h>

#include "job.h"

#define TICKS 3 /* at least, and the job done */

struct source {
	GSource base;
	struct nvio_thread *thread;
	gpointer fd;
	int timeout_ms;
};

struct program {
	struct job job;
	GMainLoop *loop;
	unsigned ticks;
};

static gboolean prepare(GSource *base, gint *timeout_ms)
{
	struct source *s = (struct source *)base;

	*timeout_ms = s->timeout_ms = nvio_thread_timeout_ms(s->thread);
	return s->timeout_ms == 0;
}

/* After a sleep it is always polled: whether a timer of nvio's is due, nvio knows best. */
static gboolean check(GSource *base)
{
	struct source *s = (struct source *)base;

	return s->timeout_ms >= 0 || g_source_query_unix_fd(base, s->fd);
}

static gboolean dispatch(GSource *base, GSourceFunc callback, gpointer arg)
{
	struct source *s = (struct source *)base;

	nvio_thread_poll(s->thread, 0);
	return callback(arg);
}

static GSourceFuncs source_funcs = { .prepare = prepare, .check = check, .dispatch = dispatch };

/* After each poll. */
static gboolean look(gpointer arg)
{
	struct program *p = arg;

	if (p->job.failed || (p->job.done && p->ticks >= TICKS))
		g_main_loop_quit(p->loop);
	return G_SOURCE_CONTINUE;
}

static gboolean on_tick(gpointer arg)
{
	((struct program *)arg)->ticks++;
	return look(arg);
}

int main(int argc, char **argv)
{
	static struct program p;
	struct source *s;

	if (argc != 2)
		return fprintf(stderr, "usage: %s IMAGE\n", argv[0]), 2;
	if (job_start(&p.job, argv[1]))
		return 1;
	p.loop = g_main_loop_new(NULL, FALSE);
	s = (struct source *)g_source_new(&source_funcs, sizeof(*s));
	s->thread = p.job.thread;
	s->fd = g_source_add_unix_fd(&s->base, nvio_thread_fd(s->thread), G_IO_IN);
	g_source_set_callback(&s->base, look, &p, NULL);
	g_source_attach(&s->base, NULL);
	g_timeout_add(1, on_tick, &p);

	g_main_loop_run(p.loop);

	g_source_destroy(&s->base);
	g_source_unref(&s->base);
	g_main_loop_unref(p.loop);
	return job_end(&p.job, argv[1], p.ticks);
}
