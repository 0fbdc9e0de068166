/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Descriptors: who has a device open, with which rights, and the events that they hear on their own threads.
 */
#include "base/alloc.h"
#include "bdev/gate.h"
#include <nvio/error.h>

/* With the registry lock held. 0, or why the device cannot be opened like this. */
static int open_check(const struct nvio_bdev *bdev, const char *name, uint32_t flags)
{
	if (!bdev)
		return fail(-ENODEV, "bdev: open: no device is named %s", name);
	if (!(flags & NVIO_BDEV_WRITE))
		return 0;
	if (bdev->read_only)
		return fail(-EROFS, "bdev: open: %s is read-only; open it without NVIO_BDEV_WRITE", name);
	if (bdev->claimed_by)
		return fail(-EPERM,
			"bdev: open: %s is claimed for exclusive use, perhaps by a device that builds on it; delete that one first",
			name);
	return 0;
}

int nvio_bdev_open(struct nvio_env *env, const char *name, uint32_t flags, struct nvio_bdev_desc **out)
{
	struct nvio_bdev_desc *desc;
	struct bdev_registry *reg;
	struct nvio_bdev *bdev;
	int rc;

	if (!env || !name || !out)
		return fail(-EINVAL, "bdev: open: %s is NULL",
			!env	? "the environment"
			: !name ? "the name"
				: "the result");
	if (flags & ~NVIO_BDEV_WRITE)
		return fail(-EINVAL, "bdev: open: %s: unknown flags 0x%x", name, flags & ~NVIO_BDEV_WRITE);
	if (!thread_current())
		return fail(-EINVAL, "bdev: open: %s: no nvio_thread is current here; attach to one", name);
	reg = env->bdevs;
	desc = alloc_aligned(CACHE_LINE, sizeof(*desc));
	if (!desc)
		return fail(-ENOMEM, "bdev: open: %s: no memory for a descriptor", name);
	desc->writable = flags & NVIO_BDEV_WRITE;
	desc->thread = thread_current();
	desc->thread_id = nvio_thread_id(desc->thread);
	desc->reg = reg;
	bdev_note_opener(desc, NVIO_CHECKED ? __builtin_return_address(0) : NULL);
	pthread_mutex_lock(&reg->lock);
	bdev = bdev_find(reg, name);
	rc = open_check(bdev, name, flags);
	if (!rc) {
		desc->bdev = bdev;
		desc->io_types = bdev->io_types & (BDEV_READ_TYPES | (desc->writable ? BDEV_WRITE_TYPES : 0));
		list_push_back(&bdev->descs, &desc->link);
	}
	pthread_mutex_unlock(&reg->lock);
	if (rc) {
		alloc_free(desc);
		return rc;
	}
	*out = desc;
	return 0;
}

void nvio_bdev_set_event_fn(struct nvio_bdev_desc *desc, nvio_bdev_event_fn fn, void *arg)
{
	checked(thread_current() == desc->thread);
	desc->event_fn = fn;
	desc->event_arg = arg;
}

struct nvio_bdev *nvio_bdev_desc_bdev(const struct nvio_bdev_desc *desc)
{
	return desc->bdev;
}

/* Of one whose opener is gone it may be any thread, and somebody else may be closing it. */
static void roaming_event(struct nvio_bdev_desc *desc, enum nvio_bdev_event event)
{
	pthread_mutex_lock(&desc->reg->event_lock);
	if (!desc->muted)
		desc->event_fn(desc, event, desc->event_arg);
	pthread_mutex_unlock(&desc->reg->event_lock);
}

void bdev_desc_mute(struct nvio_bdev_desc *desc)
{
	pthread_mutex_lock(&desc->reg->event_lock);
	desc->muted = true;
	pthread_mutex_unlock(&desc->reg->event_lock);
}

/* The message to the opening thread: all events that have come together until now. */
static void events_deliver(void *arg)
{
	struct nvio_bdev_desc *desc = arg;
	struct bdev_registry *reg = desc->reg;

	for (;;) {
		enum nvio_bdev_event event;
		bool roams;

		pthread_mutex_lock(&reg->lock);
		if (!desc->events || desc->closed) {
			desc->event_sent = false;
			break;
		}
		event = desc->events & 1u << NVIO_BDEV_RESIZED ? NVIO_BDEV_RESIZED : NVIO_BDEV_REMOVED;
		desc->events &= ~(1u << event);
		roams = desc->roams;
		pthread_mutex_unlock(&reg->lock);
		if (roams)
			roaming_event(desc, event);
		else if (desc->event_fn)
			desc->event_fn(desc, event, desc->event_arg);
	}
	if (!desc->closed)
		desc = NULL;
	pthread_mutex_unlock(&reg->lock);
	alloc_free(desc);
}

void bdev_notify(struct nvio_bdev *bdev, enum nvio_bdev_event event)
{
	list_for_each (l, &bdev->descs) {
		struct nvio_bdev_desc *desc = list_entry(l, struct nvio_bdev_desc, link);
		int rc;

		desc->events |= 1u << event;
		if (desc->event_sent)
			continue;
		rc = thread_send_by_id(bdev->env, desc->thread_id, events_deliver, desc);
		/* Its opener is gone: whoever removes or resizes the device sees to what stands on it. */
		if (rc && desc->roams && thread_current())
			rc = nvio_thread_send(thread_current(), events_deliver, desc);
		desc->event_sent = !rc;
		if (rc)
			log_msg(&bdev->env->log, NVIO_LOG_WARN,
				"bdev: %s: an event could not be told to its opener: %s", bdev->name,
				nvio_errmsg());
	}
}

/* Counts the thread's own I/O that has ended but whose `done` is yet to run: to the caller it is in flight.
 */
static uint64_t ended_count(const struct nvio_bdev_desc *desc)
{
	struct thread_hot *hot = (struct thread_hot *)desc->thread;
	uint64_t count = 0;

	for (struct nvio_op *op = hot->ended.head; op; op = op->next)
		count += bdev_op_io(op)->desc == desc;
	return count;
}

static uint64_t in_flight(const struct nvio_bdev_desc *desc)
{
	uint64_t count = 0;

	for (unsigned i = 0; i < BDEV_MAX_CHANNELS; i++)
		count += atomic_load_explicit(&desc->shares[i].n, memory_order_relaxed);
	return count;
}

void bdev_desc_close(struct nvio_bdev_desc *desc)
{
	struct nvio_bdev *bdev = desc->bdev;
	struct bdev_registry *reg = desc->reg;
	bool last, kept;

	bdev_gate_desc_closes(desc);
	pthread_mutex_lock(&reg->lock);
	list_remove(&desc->link);
	if (bdev->claimed_by == desc)
		bdev->claimed_by = NULL;
	last = bdev_is_unused(bdev);
	kept = desc->event_sent;
	desc->closed = true;
	pthread_mutex_unlock(&reg->lock);
	if (last)
		bdev_last_closed(bdev);
	if (!kept)
		alloc_free(desc);
}

int nvio_bdev_close(struct nvio_bdev_desc *desc)
{
	uint64_t count;

	if (!desc)
		return 0;
	checked(thread_current() == desc->thread);
	count = in_flight(desc) + ended_count(desc);
	if (count)
		return fail(-EBUSY, "bdev: close: %s: %llu operations are in flight; wait for them",
			desc->bdev->name, (unsigned long long)count);
	bdev_desc_close(desc);
	return 0;
}

int nvio_bdev_claim(struct nvio_bdev_desc *desc)
{
	struct bdev_registry *reg;
	struct nvio_bdev *bdev;
	int rc = 0;

	if (!desc)
		return fail(-EINVAL, "bdev: claim: the descriptor is NULL");
	bdev = desc->bdev;
	reg = bdev->env->bdevs;
	pthread_mutex_lock(&reg->lock);
	if (atomic_load(&bdev->removed))
		rc = fail(-ENODEV, "bdev: claim: %s: the device has been removed; close it", bdev->name);
	else if (bdev->claimed_by)
		rc = fail(-EPERM, "bdev: claim: %s is claimed already", bdev->name);
	list_for_each (l, &bdev->descs) {
		struct nvio_bdev_desc *other = list_entry(l, struct nvio_bdev_desc, link);

		if (!rc && other != desc && other->writable)
			rc = fail(-EBUSY, "bdev: claim: %s is open for writing elsewhere", bdev->name);
	}
	if (!rc)
		bdev->claimed_by = desc;
	pthread_mutex_unlock(&reg->lock);
	return rc;
}

void nvio_bdev_release(struct nvio_bdev_desc *desc)
{
	struct bdev_registry *reg = desc->bdev->env->bdevs;

	pthread_mutex_lock(&reg->lock);
	if (desc->bdev->claimed_by == desc)
		desc->bdev->claimed_by = NULL;
	pthread_mutex_unlock(&reg->lock);
}
