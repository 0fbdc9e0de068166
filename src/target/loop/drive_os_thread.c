/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The drive that has an OS thread: it spins while there is work and a little beyond, then naps for longer and longer, so that
 * an idle drive costs next to nothing. Nothing wakes it but the end of the nap: doorbells are plain stores, as they should be.
 */
#include "target/loop/drive.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "base/fail.h"
#include <nvio/error.h>

#define SPIN_NS       (200 * NS_PER_US)
#define FIRST_NAP_NS  (20 * NS_PER_US)
#define LONGEST_NAP_NS NS_PER_MS
#define IDLE_POLLS    256u /* between looks at the clock while there is nothing to do */

struct idle {
	uint64_t since_ns; /* 0: busy */
	uint64_t nap_ns;
	uint32_t polls;
};

static void idle_more(struct idle *i)
{
	uint64_t now;

	cpu_relax();
	if (++i->polls % IDLE_POLLS && i->nap_ns == FIRST_NAP_NS)
		return;
	now = clock_monotonic_ns();
	if (!i->since_ns) {
		i->since_ns = now;
	} else if (now - i->since_ns > SPIN_NS) {
		sleep_ns(i->nap_ns);
		i->nap_ns = MIN(i->nap_ns * 2, LONGEST_NAP_NS);
	}
}

static void *run(void *arg)
{
	struct nvio_drive *d = arg;
	struct idle idle = { .nap_ns = FIRST_NAP_NS };

	if (env_bind_thread(d->env, d->core))
		log_msg(&d->env->log, NVIO_LOG_WARN, "drive: %s: %s; it runs unbound", d->name, nvio_errmsg());
	/* Acquire: all that the opening thread has prepared, and later what the closing one wants to be seen. */
	while (!atomic_load_explicit(&d->stop, memory_order_acquire)) {
		int work = nvio_thread_poll(d->thread, 0);

		memq_irq_flush(&d->memq);
		if (work > 0 || memq_busy(&d->memq)) {
			idle = (struct idle){ .nap_ns = FIRST_NAP_NS };
			continue;
		}
		idle_more(&idle);
	}
	return NULL;
}

int drive_os_thread_start(struct nvio_drive *d)
{
	sigset_t all, before;
	int rc;

	/* Signals are the application's business: none is delivered to a thread that it knows nothing of. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&d->os_thread, NULL, run, d);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc)
		return fail(-rc, "drive: %s: cannot start an OS thread: %s", d->name, strerror(rc));
	return 0;
}

void drive_os_thread_stop(struct nvio_drive *d)
{
	atomic_store_explicit(&d->stop, true, memory_order_release);
	pthread_join(d->os_thread, NULL);
}
