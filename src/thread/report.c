/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is told of a program's mistakes: channels that nobody put, and in checked builds also where they were
 * got, channels put once too often, callbacks that come back with another thread current.
 */
#include "thread/device.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <stdio.h>
#include <stdlib.h>

#define PLACE_BYTES 256

/* A place in the program: the symbol if it is known, and object and offset, as addr2line -e wants them. */
static void place_str(void *address, char *text, size_t size)
{
	Dl_info info = { 0 };

	if (!dladdr(address, &info) || !info.dli_fname)
		snprintf(text, size, "%p", address);
	else if (info.dli_sname)
		snprintf(text, size, "%s+%#zx (%s+%#zx)", info.dli_sname,
			(size_t)((char *)address - (char *)info.dli_saddr), info.dli_fname,
			(size_t)((char *)address - (char *)info.dli_fbase));
	else
		snprintf(text, size, "%s+%#zx", info.dli_fname,
			(size_t)((char *)address - (char *)info.dli_fbase));
}

void channel_note_place(struct nvio_channel *ch)
{
	void *frames[CHANNEL_PLACES + 2];
	int n = backtrace(frames, ARRAY_SIZE(frames));

	/* Without this function and its caller, nvio_channel_get() itself. */
	for (int i = 2; i < n; i++)
		ch->places[i - 2] = frames[i];
}

void channel_place(const struct nvio_channel *ch, char *text, size_t size)
{
	char place[PLACE_BYTES];

	*text = '\0';
	if (!NVIO_CHECKED || !ch->places[0])
		return;
	place_str(ch->places[0], place, sizeof(place));
	snprintf(text, size, ", got at %s", place);
}

void channel_report(const struct nvio_channel *ch, const char *what)
{
	const struct nvio_thread *t = ch->thread;
	char place[PLACE_BYTES];

	log_msg(&t->env->log, NVIO_LOG_WARN,
		"thread: %s: %s, and a channel of device %s is still held, %u times; it is taken away",
		t->name, what, ch->device->name, ch->refs);
	for (int i = 0; NVIO_CHECKED && i < CHANNEL_PLACES && ch->places[i]; i++) {
		place_str(ch->places[i], place, sizeof(place));
		log_msg(&t->env->log, NVIO_LOG_WARN, "thread: %s: it was got %s %s", t->name,
			i ? "from" : "at", place);
	}
}

void channel_put_too_often(const char *device, const char *thread)
{
	fprintf(stderr,
		"nvio: thread: nvio_channel_put: a channel of device \"%s\" on thread \"%s\" is put once more "
		"than it was got\n",
		device, thread);
	abort();
}

void thread_came_back_elsewhere(const struct nvio_thread *t, const char *what, const char *name)
{
	const struct nvio_thread *now = thread_tls_current;

	fprintf(stderr,
		"nvio: thread: %s: %s%s%s returned with \"%s\" current; detach what it has attached\n",
		t->name, what, *name ? " " : "", name, now ? now->name : "no nvio_thread");
	abort();
}
