/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The drive that has an OS thread: it spins while there is work and a little beyond; then its poller rests (drive_sleep.c), and it
 * sleeps until its nvio_thread has something to do.
 */
#include "target/loop/drive.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/signals.h"
#include "loop/loop.h"
#include <nvio/error.h>

static void sleep_on_thread(struct nvio_drive *d)
{
	struct pollfd fds[2] = { { .fd = d->bell_fd, .events = POLLIN }, { .events = POLLIN } };
	int ms = nvio_thread_timeout_ms(d->thread);

	if (ms) {
		fds[1].fd = nvio_thread_fd(d->thread);
		poll(fds, 2, ms);
	} else {
		cpu_relax();
	}
	/* Whoever rings takes back that we sleep, which is seen without a system call, and may be seen before the bell is. */
	if (fds[0].revents || !__atomic_load_n(loop_target_asleep(d->port), __ATOMIC_RELAXED))
		drive_on_bell(d);
}

static void *run(void *arg)
{
	struct nvio_drive *d = arg;

	if (env_bind_thread(d->env, d->core))
		log_msg(&d->env->log, NVIO_LOG_WARN, "drive: %s: %s; it runs unbound", d->name, nvio_errmsg());
	/* Acquire: all that the opening thread has prepared, and later what the closing one wants to be seen. */
	while (!atomic_load_explicit(&d->stop, memory_order_acquire)) {
		int work = nvio_thread_poll(d->thread, 0);

		memq_irq_flush(&d->memq);
		if (work > 0)
			continue;
		if (d->asleep)
			sleep_on_thread(d);
		else
			cpu_relax();
	}
	return NULL;
}

int drive_os_thread_start(struct nvio_drive *d)
{
	sigset_t before;
	int rc;

	signals_block(&before);
	rc = pthread_create(&d->os_thread, NULL, run, d);
	signals_restore(&before);
	if (rc)
		return fail(-rc, "drive: %s: cannot start an OS thread: %s", d->name, strerror(rc));
	return 0;
}

void drive_os_thread_stop(struct nvio_drive *d)
{
	static const uint64_t one = 1;

	atomic_store_explicit(&d->stop, true, memory_order_release);
	/* Whether it sleeps or is about to: once it watches the descriptor, it finds this. The counter is far from its end. */
	(void)!write(d->bell_fd, &one, sizeof(one));
	pthread_join(d->os_thread, NULL);
}
