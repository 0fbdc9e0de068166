/* SPDX-License-Identifier: BSD-3-Clause */
/* The software drive in use: who moves it, removal and return, faults, statistics. */
#include "target/loop/drive.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

#include "base/clock.h"
#include "base/fail.h"
#include "loop/loop.h"

#define SETTLE_NAP_NS (20 * NS_PER_US)

int drive_kick(void *drive)
{
	struct nvio_drive *d = drive;
	int work;

	/*
	 * Acquire on entry and release on leaving: the drive's state moves from one OS thread to the next, and nothing of it
	 * may be seen outside. A kick within a kick, or while another OS thread is at it, does nothing.
	 */
	if (atomic_exchange_explicit(&d->busy, true, memory_order_acquire))
		return 0;
	work = nvio_thread_poll(d->thread, 0);
	/* The completions of this poll; without it their interrupt would wait for the next. */
	memq_irq_flush(&d->memq);
	atomic_store_explicit(&d->busy, false, memory_order_release);
	return work;
}

void drive_detached(void *drive)
{
	struct nvio_drive *d = drive;

	memq_leave(&d->memq);
}

bool drive_quiet(void *drive)
{
	struct nvio_drive *d = drive;

	return memq_has_left(&d->memq);
}

/*
 * An attached drive whose thread nobody has polled for so long that the note was not even seen. It is taken once and kept to
 * the end, so that whoever should come to poll it meanwhile is told.
 */
int drive_urge(void *drive)
{
	struct nvio_drive *d = drive;

	if (!memq_noted(&d->memq, MEMQ_ATT_DETACHED) || nvio_thread_attach(d->thread))
		return 0;
	while (!memq_has_left(&d->memq)) {
		nvio_thread_poll(d->thread, 0);
		memq_poll(&d->memq);
	}
	nvio_thread_detach(d->thread);
	return 1;
}

void drive_child_close(struct env_child *child)
{
	nvio_drive_close(container_of(child, struct nvio_drive, child));
}

const char *nvio_drive_name(const struct nvio_drive *d)
{
	return d ? d->name : "";
}

int nvio_drive_poll(struct nvio_drive *d)
{
	if (!d)
		return fail(-EINVAL, "drive: poll: no drive (NULL)");
	return d->poll == NVIO_DRIVE_INLINE ? drive_kick(d) : 0;
}

/* From any thread: what was noted for it is to be seen, whether it sleeps or not. */
static void attend(struct nvio_drive *d, uint32_t what)
{
	memq_attend(&d->memq, what);
	loop_target_check(d->port);
}

/*
 * Waits until a removal or a return is through. An attached drive is moved by whoever polls its thread: on that thread we
 * poll it ourselves, from elsewhere it takes effect in its next poll.
 */
static void settle(struct nvio_drive *d, bool gone)
{
	while (memq_is_gone(&d->memq) != gone) {
		switch (d->poll) {
		case NVIO_DRIVE_INLINE:
			if (!drive_kick(d))
				sched_yield();
			break;
		case NVIO_DRIVE_OS_THREAD:
			sleep_ns(SETTLE_NAP_NS);
			break;
		case NVIO_DRIVE_ATTACHED:
			if (nvio_thread_current() != d->thread)
				return;
			nvio_thread_poll(d->thread, 0);
			memq_poll(&d->memq);
			break;
		}
	}
}

int nvio_drive_remove(struct nvio_drive *d)
{
	if (!d)
		return fail(-EINVAL, "drive: remove: no drive (NULL)");
	/* The return of a drive that was there may still be noted; it would undo this. */
	atomic_fetch_and_explicit(&d->memq.attention, ~(uint32_t)MEMQ_ATT_INSERT, memory_order_relaxed);
	attend(d, MEMQ_ATT_REMOVE);
	settle(d, true);
	return 0;
}

int nvio_drive_insert(struct nvio_drive *d)
{
	if (!d)
		return fail(-EINVAL, "drive: insert: no drive (NULL)");
	attend(d, MEMQ_ATT_INSERT);
	settle(d, false);
	return 0;
}

int nvio_drive_add_fault(struct nvio_drive *d, const struct nvio_fault *fault)
{
	return d ? fault_plan_add(&d->faults, fault) : fail(-EINVAL, "drive: fault: no drive (NULL)");
}

int nvio_drive_add_fault_str(struct nvio_drive *d, const char *text)
{
	return d ? fault_plan_add_str(&d->faults, text) : fail(-EINVAL, "drive: fault: no drive (NULL)");
}

void nvio_drive_clear_faults(struct nvio_drive *d)
{
	if (d)
		fault_plan_clear(&d->faults);
}

void nvio_drive_get_stats(struct nvio_drive *d, struct nvio_drive_stats *stats)
{
	const struct memq_stats *s = &d->memq.stats;

	memset(stats, 0, sizeof(*stats));
	stats->sq_doorbells = tgt_count_read(&s->sq_doorbells);
	stats->cq_doorbells = tgt_count_read(&s->cq_doorbells);
	stats->admin_commands = tgt_count_read(&s->admin_commands);
	stats->io_commands = tgt_count_read(&s->io_commands);
	stats->bad_doorbells = tgt_count_read(&s->bad_doorbells);
	stats->dma_faults = tgt_count_read(&d->iommu.faults);
	stats->sleeps = tgt_count_read(&d->sleeps);
	stats->faults = atomic_load_explicit(&d->faults.struck, memory_order_relaxed);
	if (d->memq.record)
		stats->doorbell_writes = stats->sq_doorbells + stats->cq_doorbells + stats->bad_doorbells;
}

size_t nvio_drive_register_writes(struct nvio_drive *d, struct nvio_register_write *writes, size_t max)
{
	struct memq *m = &d->memq;
	size_t n;

	pthread_mutex_lock(&m->record_lock);
	n = MIN(m->num_recorded, MEMQ_RECORD_MAX);
	for (size_t i = 0; i < MIN(n, max); i++)
		writes[i] = (struct nvio_register_write){ m->record[i].offset, m->record[i].width, m->record[i].value };
	pthread_mutex_unlock(&m->record_lock);
	return n;
}
