/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sleeping: one epoll descriptor that holds the mailbox's eventfd, a timerfd and the event sources of
 * pollers. A thread that does not sleep pays for none of it: senders write to the eventfd only when the
 * thread has said that it is about to sleep (nvio_thread_timeout_ms() says so), and the timerfd is set at
 * that moment.
 *
 * A loop that watches nvio_thread_fd() and never asks for the timeout is served too (ATT_LOOP): each of its
 * polls ends as if it had asked. The first call of nvio_thread_timeout_ms() ends that.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "thread/co.h"

/* How often a thread that has active pollers, and so never sleeps, looks at its event sources: 5 to 20 us. */
#define SOURCES_GATE	   (CYCLES_GATE / 32)

#define SOURCES_FIRST_ROOM 64u

struct event_source {
	int fd;
	nvio_poller_fn fn; /* NULL: removed */
	void *arg;
	bool running;
	struct event_source *next; /* among the removed */
};

static int watch(struct nvio_thread *t, int fd, void *what)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = what };

	return epoll_ctl(t->epoll_fd, EPOLL_CTL_ADD, fd, &ev) ? -errno : 0;
}

int sleep_init(struct nvio_thread *t)
{
	int rc;

	t->timer_fd_due_ns = UINT64_MAX;
	t->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (t->epoll_fd < 0) {
		rc = -errno;
		goto failed;
	}
	t->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (t->timer_fd < 0) {
		rc = -errno;
		goto close_epoll;
	}
	rc = watch(t, t->msgs.wake_fd, &t->msgs);
	if (!rc)
		rc = watch(t, t->timer_fd, &t->timers);
	if (rc)
		goto close_timer;
	return 0;

close_timer:
	close(t->timer_fd);
close_epoll:
	close(t->epoll_fd);
failed:
	return fail(rc, "thread: %s: epoll or timerfd: %s; each thread needs three descriptors (ulimit -n)",
		t->name, strerror(-rc));
}

static void free_removed(struct nvio_thread *t)
{
	struct event_source *s;

	while ((s = t->removed)) {
		t->removed = s->next;
		alloc_free(s);
	}
}

void sleep_fini(struct nvio_thread *t)
{
	for (uint32_t i = 0; i < t->source_room; i++)
		alloc_free(t->sources[i]);
	alloc_free(t->sources);
	free_removed(t);
	close(t->timer_fd);
	close(t->epoll_fd);
}

static int take_event(struct nvio_thread *t, void *what)
{
	struct event_source *s = what;
	uint64_t count;
	int rc;

	if (what == &t->msgs) {
		msg_unwake(&t->msgs);
		return 0;
	}
	if (what == &t->timers) {
		(void)!read(t->timer_fd, &count, sizeof(count));
		t->timer_fd_due_ns = UINT64_MAX;
		t->timers.looked_at = 0;
		return 0;
	}
	if (!s->fn || s->running)
		return 0; /* removed by one before it in the batch, or an outer poll is in it */
	s->running = true;
	rc = s->fn(s->arg);
	s->running = false;
	return rc > 0 ? rc : 0;
}

static int take_events(struct nvio_thread *t)
{
	struct epoll_event events[THREAD_EVENTS];
	int n = epoll_wait(t->epoll_fd, events, THREAD_EVENTS, 0);
	uint64_t batch = ++t->batches;
	int work = 0;

	t->source_rounds++;
	/*
	 * A poll within one of them has asked anew, so the rest may have been dealt with; if not, it is told
	 * again.
	 */
	for (int i = 0; i < n && t->batches == batch; i++)
		work += take_event(t, events[i].data.ptr);
	if (!--t->source_rounds)
		free_removed(t);
	return work;
}

static bool says_it_sleeps(struct nvio_thread *t)
{
	return atomic_load_explicit(&t->msgs.word, memory_order_relaxed) & MSG_SLEEPS;
}

int sleep_attend(struct nvio_thread *t)
{
	uint64_t ticks;

	if (t->attention & ATT_ARMED) {
		/* A loop that polls more often than it sleeps: nobody has written, so all stays as it is. */
		if ((t->attention & ATT_LOOP) && !t->source_count && t->timer_fd_due_ns == UINT64_MAX &&
			says_it_sleeps(t))
			return 0;
		t->attention &= ~ATT_ARMED;
		msg_awake(&t->msgs);
		counts_slept(&t->counts);
	} else if (t->active) {
		ticks = cycles();
		if (ticks - t->sources_looked_at < SOURCES_GATE)
			return 0;
		t->sources_looked_at = ticks;
	}
	return take_events(t);
}

/* Lets the descriptor tell when a timer is due. An injected clock cannot be told to the kernel. */
static void set_timer_fd(struct nvio_thread *t)
{
	uint64_t due = timer_next_due(&t->timers);
	struct itimerspec at = { 0 };

	if (t->clock.now_ns || due == t->timer_fd_due_ns)
		return;
	if (due != UINT64_MAX) {
		at.it_value.tv_sec = (time_t)(due / NS_PER_S);
		at.it_value.tv_nsec = (long)(due % NS_PER_S);
	}
	/* Only bad arguments could make it fail. */
	if (!timerfd_settime(t->timer_fd, TFD_TIMER_ABSTIME, &at, NULL))
		t->timer_fd_due_ns = due;
}

/* What coroutines wait on comes last: to arm it is in vain if there is anything else. */
static bool work_waits(struct nvio_thread *t)
{
	return !op_queue_empty(&t->hot.ended) || t->dying_count || mail_waiting(&t->msgs) ||
	       (t->attention & ATT_CO && !co_sleep_begins(t));
}

/* Milliseconds until the first timer is due, rounded up; 0: due; -1: there is none. */
static int timer_ms(struct nvio_thread *t)
{
	uint64_t due = timer_next_due(&t->timers);
	uint64_t now, ms;

	if (due == UINT64_MAX)
		return -1;
	now = clock_now(&t->clock);
	if (due <= now) {
		t->timers.looked_at = 0;
		return 0;
	}
	ms = (due - now - 1) / NS_PER_MS + 1;
	return ms < INT_MAX ? (int)ms : INT_MAX;
}

int nvio_thread_timeout_ms(struct nvio_thread *t)
{
	int ms;

	check_own(t, "nvio_thread_timeout_ms");
	t->asks_timeout = true;
	t->attention &= ~ATT_LOOP;
	if (t->active || work_waits(t))
		return 0;
	ms = timer_ms(t);
	if (!ms)
		return 0;
	/* From here on senders write to the eventfd; whoever sent before is seen by msg_sleep(). */
	if (!msg_sleep(&t->msgs))
		return 0;
	t->attention |= ATT_ARMED;
	set_timer_fd(t);
	return ms;
}

void sleep_rearm(struct nvio_thread *t)
{
	bool armed = t->attention & ATT_ARMED, waits;

	if (t->depth)
		return; /* an outer poll goes on */
	t->attention |= ATT_ARMED;
	waits = work_waits(t); /* may start a timer */
	set_timer_fd(t);
	if (!waits && (armed || msg_sleep(&t->msgs)))
		return;
	msg_awake(&t->msgs);
	msg_wake(&t->msgs);
}

int nvio_thread_fd(struct nvio_thread *t)
{
	check_own(t, "nvio_thread_fd");
	if (!t->asks_timeout) {
		t->attention |= ATT_LOOP;
		sleep_rearm(t);
	}
	return t->epoll_fd;
}

static int make_source_room(struct nvio_thread *t, uint32_t fd)
{
	uint32_t room = MAX(t->source_room, SOURCES_FIRST_ROOM);
	struct event_source **sources;

	while (room <= fd)
		room *= 2;
	if (room == t->source_room)
		return 0;
	sources = alloc_array(room, sizeof(struct event_source *));
	if (!sources)
		return fail(-ENOMEM, "thread: %s: no memory to watch descriptor %u", t->name, fd);
	if (t->sources)
		memcpy(sources, t->sources, t->source_room * sizeof(struct event_source *));
	alloc_free(t->sources);
	t->sources = sources;
	t->source_room = room;
	return 0;
}

int nvio_thread_add_fd(struct nvio_thread *t, int fd, nvio_poller_fn fn, void *arg)
{
	struct event_source *s;
	int rc;

	check_own(t, "nvio_thread_add_fd");
	if (fd < 0 || !fn)
		return fail(fn ? -EBADF : -EINVAL, "thread: %s: cannot watch descriptor %d: %s", t->name, fd,
			fn ? "not a descriptor" : "no fn");
	rc = make_source_room(t, (uint32_t)fd);
	if (rc)
		return rc;
	if (t->sources[fd])
		return fail(-EEXIST,
			"thread: %s: descriptor %d is watched already; remove it before closing it", t->name,
			fd);
	s = alloc_zeroed(sizeof(*s));
	if (!s)
		return fail(-ENOMEM, "thread: %s: no memory to watch descriptor %d", t->name, fd);
	s->fd = fd;
	s->fn = fn;
	s->arg = arg;
	rc = watch(t, fd, s);
	if (rc) {
		alloc_free(s);
		return fail(rc, "thread: %s: cannot watch descriptor %d: %s", t->name, fd, strerror(-rc));
	}
	t->sources[fd] = s;
	t->source_count++;
	t->attention |= ATT_SOURCES;
	return 0;
}

int nvio_thread_remove_fd(struct nvio_thread *t, int fd)
{
	struct event_source *s;

	check_own(t, "nvio_thread_remove_fd");
	s = fd >= 0 && (uint32_t)fd < t->source_room ? t->sources[fd] : NULL;
	if (!s)
		return fail(-ENOENT, "thread: %s: descriptor %d is not watched", t->name, fd);
	/* Fails when it was closed first, and then there is nothing to do. */
	(void)epoll_ctl(t->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
	t->sources[fd] = NULL;
	if (!--t->source_count)
		t->attention &= ~ATT_SOURCES;
	s->fn = NULL;
	s->next = t->removed;
	t->removed = s;
	/* In the middle of a batch of events it may be named in that batch. */
	if (!t->source_rounds)
		free_removed(t);
	return 0;
}
