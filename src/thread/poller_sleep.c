/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pollers that sleep on a descriptor when they have long found nothing. The poller's own function is called
 * through one of ours that counts; asleep, it is paused, and the thread watches the descriptor.
 */
#include "base/alloc.h"
#include "thread/poller.h"

struct poller_sleep {
	nvio_poller_fn fn; /* the poller's own */
	void *arg;
	int fd;
	uint32_t idle_polls, idle; /* as many as may be, and so far */
	bool asleep;
};

void poller_sleep_ends(struct nvio_poller *p)
{
	struct poller_sleep *s = p->sleep;

	s->idle = 0;
	if (!s->asleep)
		return;
	s->asleep = false;
	nvio_thread_remove_fd(p->thread, s->fd);
}

static int wake_up(void *arg)
{
	/* This ends the sleep, too; the next poll calls it. */
	nvio_poller_resume(arg);
	return 1;
}

static void fall_asleep(struct nvio_poller *p)
{
	struct poller_sleep *s = p->sleep;

	s->idle = 0;
	if (nvio_thread_add_fd(p->thread, s->fd, wake_up, p)) {
		fail_clear(); /* it spins on, and tries again */
		return;
	}
	nvio_poller_pause(p);
	s->asleep = true;
}

static int poll_and_count(void *arg)
{
	struct nvio_poller *p = arg;
	struct poller_sleep *s = p->sleep;
	int rc = s->fn(s->arg);

	/* It may have unregistered or paused itself, or given up its sleep. */
	if (p->flags != POLLER_RUNNING || !p->sleep || s->fd < 0)
		return rc;
	if (rc > 0)
		s->idle = 0;
	else if (++s->idle >= s->idle_polls)
		fall_asleep(p);
	return rc;
}

void poller_sleep_free(struct nvio_poller *p)
{
	poller_sleep_ends(p);
	alloc_free(p->sleep);
	p->sleep = NULL;
}

int nvio_poller_sleep_on(struct nvio_poller *p, int fd, uint32_t idle_polls)
{
	struct poller_sleep *s = p->sleep;

	check_own(p->thread, "nvio_poller_sleep_on");
	checked(!(p->flags & POLLER_GONE));
	if (p->period_ns)
		return fail(-EINVAL,
			"thread: %s: poller %s: it is timed, and sleeps anyway; sleeping on a descriptor is for "
			"others",
			p->thread->name, p->name);
	if (fd < -1)
		return fail(-EBADF, "thread: %s: poller %s: %d is no descriptor", p->thread->name, p->name, fd);
	if (!s) {
		s = alloc_zeroed(sizeof(*s));
		if (!s)
			return fail(-ENOMEM, "thread: %s: poller %s: no memory", p->thread->name, p->name);
		s->fn = p->fn;
		s->arg = p->arg;
		p->sleep = s;
		p->fn = poll_and_count;
		p->arg = p;
	}
	if (s->asleep)
		nvio_poller_resume(p);
	s->fd = fd;
	s->idle_polls = idle_polls;
	s->idle = 0;
	return 0;
}
