/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which nvio_thread is current on an OS thread: attaching, which nests, beside the poll, which does it for
 * its duration.
 */
#include "thread/state.h"

#include <stdio.h>
#include <stdlib.h>

#define ATTACH_NESTING 16u

_Thread_local struct nvio_thread *thread_tls_current __attribute__((tls_model("initial-exec")));

/* What this OS thread has attached, newest last. */
static _Thread_local struct {
	struct nvio_thread *thread, *before;
	uint32_t depth; /* of the thread's polls at that time */
} attached[ATTACH_NESTING];
static _Thread_local uint32_t attached_count;

struct nvio_thread *nvio_thread_current(void)
{
	return thread_tls_current;
}

void thread_called_elsewhere(const struct nvio_thread *t, const char *what)
{
	struct nvio_thread *mine = thread_tls_current;

	fprintf(stderr,
		"nvio: thread: %s: wrong thread: it is about \"%s\", which another OS thread runs, and it is "
		"called on \"%s\"; send a message to \"%s\" instead\n",
		what, t->name, mine ? mine->name : "an OS thread without a current nvio_thread", t->name);
	abort();
}

int nvio_thread_attach(struct nvio_thread *t)
{
	void *os = NULL;

	if (attached_count == ATTACH_NESTING)
		return fail(-EINVAL, "thread: attach: %s: %u are attached here already; detach them", t->name,
			ATTACH_NESTING);
	/* Acquire: what the OS thread that had it before has written. */
	if (!atomic_compare_exchange_strong_explicit(
		    &t->os, &os, &thread_tls_current, memory_order_acquire, memory_order_relaxed) &&
		os != &thread_tls_current)
		return fail(-EBUSY, "thread: attach: %s: another OS thread has it right now", t->name);
	attached[attached_count].thread = t;
	attached[attached_count].before = thread_tls_current;
	attached[attached_count++].depth = t->depth;
	t->attached++;
	thread_tls_current = t;
	return 0;
}

int nvio_thread_detach(struct nvio_thread *t)
{
	uint32_t last = attached_count - 1;

	if (!t || thread_tls_current != t)
		return fail(-EINVAL, "thread: detach: %s: it is not current here, %s is",
			t ? t->name : "none", thread_tls_current ? thread_tls_current->name : "none");
	if (!attached_count || attached[last].thread != t || attached[last].depth != t->depth)
		return fail(-EINVAL,
			"thread: detach: %s: it is current because it is being polled, not by attach",
			t->name);
	thread_tls_current = attached[last].before;
	attached_count = last;
	/* Release: pairs with whoever takes it next. */
	if (!--t->attached && !t->depth)
		atomic_store_explicit(&t->os, NULL, memory_order_release);
	return 0;
}

void current_forget(struct nvio_thread *t)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < attached_count; i++) {
		if (attached[i].thread == t)
			continue;
		attached[kept] = attached[i];
		if (attached[kept].before == t)
			attached[kept].before = NULL;
		kept++;
	}
	attached_count = kept;
	if (thread_tls_current == t)
		thread_tls_current = kept ? attached[kept - 1].thread : NULL;
}
