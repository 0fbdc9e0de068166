/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A drive that has a thread to be polled on (its own, or the caller's) and nothing to do: it spins for a bounded time, and then
 * its poller rests until a doorbell, a register write, the end of a request or a note of another OS thread rouses it. Meanwhile
 * its nvio_thread may sleep. One that is moved by its host's polls rests with its host.
 */
#include "target/loop/drive.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/fail.h"
#include "loop/loop.h"

/* Polls in a row that found nothing before it rests: 100 to 400 us. More than there are doorbells that nobody should ring. */
#define IDLE_POLLS 4096u

/* Where the kernel has no membarrier: how long nobody looks at doorbells; longer and longer while there is nothing. */
#define FIRST_NAP_US   20u
#define LONGEST_NAP_US 1000u

static void wake(struct nvio_drive *d)
{
	loop_target_awake(d->port);
	if (d->poll == NVIO_DRIVE_ATTACHED)
		nvio_thread_remove_fd(d->thread, d->bell_fd);
	nvio_timer_stop(&d->nap);
	d->idle = 0;
	if (d->asleep)
		nvio_poller_resume(d->poller);
	d->asleep = false;
}

/* memq_rouse(): from memq_doze() on. */
void drive_roused(void *drive)
{
	wake(drive);
}

void drive_rouse(struct nvio_drive *d)
{
	memq_rouse(&d->memq);
}

int drive_on_bell(void *drive)
{
	struct nvio_drive *d = drive;
	uint64_t count;

	(void)!read(d->bell_fd, &count, sizeof(count));
	drive_rouse(d);
	return 1;
}

/* It looks once, and naps on when there is nothing. */
static void on_nap_over(struct nvio_timer *timer)
{
	struct nvio_drive *d = timer->arg;

	drive_rouse(d);
	d->idle = IDLE_POLLS - 1;
}

/* True: there will be a look at the doorbells in time. */
static bool nap(struct nvio_drive *d)
{
	d->nap.fn = on_nap_over;
	d->nap.arg = d;
	if (nvio_timer_start(d->thread, &d->nap, d->nap_us))
		return false;
	d->nap_us = MIN(d->nap_us * 2, LONGEST_NAP_US);
	return true;
}

static COLD int fall_asleep(struct nvio_drive *d)
{
	bool sound;
	int work;

	d->idle = 0;
	/* Its own OS thread watches the bell by itself, and so needs no memory for it. */
	if (d->poll == NVIO_DRIVE_ATTACHED && nvio_thread_add_fd(d->thread, d->bell_fd, drive_on_bell, d)) {
		fail_clear(); /* it spins on */
		return 0;
	}
	memq_doze(&d->memq);
	sound = loop_target_sleeps(d->port);
	/* The last look: what came before the flag could be seen, nobody rings for. */
	work = memq_poll(&d->memq);
	if (!work && d->memq.dozes && (sound || nap(d))) {
		tgt_count(&d->sleeps, 1);
		d->asleep = true;
		nvio_poller_pause(d->poller);
	} else {
		drive_rouse(d);
	}
	return work;
}

int drive_poller(void *drive)
{
	struct nvio_drive *d = drive;
	int work = memq_poll(&d->memq);

	if (work) {
		d->idle = 0;
		d->nap_us = FIRST_NAP_US;
		return work;
	}
	return unlikely(++d->idle >= IDLE_POLLS) ? fall_asleep(d) : 0;
}

int drive_rest(void *drive, int *fd, int *timeout_ms)
{
	struct nvio_drive *d = drive;
	int work;

	/* As in a kick; see there. */
	if (atomic_exchange_explicit(&d->busy, true, memory_order_acquire))
		return 1;
	work = nvio_thread_poll(d->thread, 0);
	memq_irq_flush(&d->memq);
	if (work <= 0) {
		/* What is asked is how long everything but our own poller may sleep, since the host does its work for it. */
		nvio_poller_pause(d->poller);
		*timeout_ms = nvio_thread_timeout_ms(d->thread);
		nvio_poller_resume(d->poller);
		*fd = nvio_thread_fd(d->thread);
		work = *timeout_ms == 0;
	}
	atomic_store_explicit(&d->busy, false, memory_order_release);
	return work;
}

int drive_sleep_init(struct nvio_drive *d)
{
	int rc;

	d->bell_fd = -1;
	d->nap_us = FIRST_NAP_US;
	if (d->poll == NVIO_DRIVE_INLINE)
		return 0;
	d->bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (d->bell_fd < 0) {
		rc = -errno;
		return fail(rc, "drive: open %s: eventfd: %s; raise the limit of open files (ulimit -n)", d->name, strerror(-rc));
	}
	loop_target_set_eventfd(d->port, d->bell_fd);
	return 0;
}

void drive_sleep_fini(struct nvio_drive *d)
{
	if (d->bell_fd < 0)
		return;
	drive_rouse(d);
	loop_target_set_eventfd(d->port, -1);
	close(d->bell_fd);
}
