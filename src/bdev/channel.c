/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Channels: one per device and thread, so that I/O takes no lock. Here are their making and end, and cancel.
 */
#include "bdev/gate.h"
#include "bdev/piece.h"
#include "bdev/stat.h"

static int channel_poll(struct nvio_pollable *p)
{
	return thread_wait_poll(container_of(p, struct bdev_channel, pollable)->thread);
}

static struct nvio_thread *channels_thread(struct nvio_pollable *p)
{
	return container_of(p, struct bdev_channel, pollable)->thread;
}

static int channel_cancel(struct nvio_pollable *p, struct nvio_op *op)
{
	struct bdev_channel *ch = container_of(p, struct bdev_channel, pollable);
	struct nvio_bdev_io *io = bdev_op_io(op);

	if (io->state & BDEV_IO_PIECES && bdev_pieces_stop(ch, io, -ECANCELED))
		return 0;
	if (!bdev_waiting_end(ch, io, -ECANCELED))
		return fail(-EOPNOTSUPP,
			"bdev: cancel: %s: module %s is at it and cannot be stopped; the operation will "
			"complete by itself",
			ch->bdev->name, ch->bdev->module->name);
	return 0;
}

const struct pollable_ops bdev_channel_pollable = {
	.name = "bdev channel",
	.poll = channel_poll,
	.cancel = channel_cancel,
	.thread = channels_thread,
};

void nvio_bdev_channel_abort(struct nvio_channel *handle)
{
	struct bdev_channel *ch = channel_ctx(handle);

	/* The module does not know of what waits, which may be for ever. */
	bdev_waiting_end_all(ch, -ECANCELED, true);
	if (ch->bdev->module->abort)
		ch->bdev->module->abort(ch->bdev->device, ch->module);
}

/* Finds a free slot and joins the device's list. */
static int channel_join(struct nvio_bdev *bdev, struct bdev_channel *ch)
{
	struct bdev_registry *reg = bdev->env->bdevs;
	unsigned slot = 0;
	int rc = 0;

	pthread_mutex_lock(&bdev->resize_lock);
	pthread_mutex_lock(&reg->lock);
	while (slot < BDEV_MAX_CHANNELS && bdev->slots_used[slot / 64] >> slot % 64 & 1)
		slot++;
	if (atomic_load(&bdev->removed)) {
		rc = -ENODEV;
	} else if (slot == BDEV_MAX_CHANNELS) {
		rc = -ENOMEM;
	} else {
		bdev->slots_used[slot / 64] |= 1ull << slot % 64;
		ch->slot = slot;
		ch->count_at = offsetof(struct nvio_bdev_desc, shares) + slot * sizeof(struct bdev_share);
		ch->walked = UINT64_MAX; /* those under way need not come here */
		list_push_back(&bdev->channels, &ch->link);
	}
	pthread_mutex_unlock(&reg->lock);
	pthread_mutex_unlock(&bdev->resize_lock);
	if (rc == -ENODEV)
		return fail(rc, "bdev: channel: %s: the device has been removed; close it", bdev->name);
	if (rc)
		return fail(rc, "bdev: channel: %s: %d threads have one already, which is the limit",
			bdev->name, BDEV_MAX_CHANNELS);
	return 0;
}

static void channel_leave(struct nvio_bdev *bdev, struct bdev_channel *ch)
{
	struct bdev_registry *reg = bdev->env->bdevs;

	bdev_check_ended(ch);
	pthread_mutex_lock(&reg->lock);
	list_for_each (l, &bdev->descs)
		bdev_share(list_entry(l, struct nvio_bdev_desc, link), ch)->ch = NULL;
	bdev_walk_leave(ch);
	list_remove(&ch->link);
	bdev->slots_used[ch->slot / 64] &= ~(1ull << ch->slot % 64);
	pthread_mutex_unlock(&reg->lock);
}

static int channel_create(void *device, struct nvio_channel *handle)
{
	struct nvio_bdev *bdev = device;
	struct bdev_channel *ch = channel_ctx(handle);
	int rc;

	ch->pollable.ops = &bdev_channel_pollable;
	ch->thread = channel_thread(handle);
	ch->bdev = bdev;
	ch->gates = bdev->gates;
	list_init(&ch->rooms);
	op_queue_init(&ch->unissued);
	ch->timer.fn = bdev_timer_fired;
	ch->timer.arg = ch;
	rc = bdev_frames_init(ch);
	if (!rc && bdev->gates & BDEV_GATE_LIMITS)
		rc = bdev_pool_init(ch);
	if (rc)
		goto free_frames;
	rc = channel_join(bdev, ch);
	if (rc)
		goto free_pool;
	bdev_gate_join(ch);
	if (bdev->module->channel_create)
		rc = bdev->module->channel_create(bdev->device, ch->module, ch->thread);
	if (rc)
		goto leave;
	rc = bdev_observe_init(ch);
	if (rc)
		goto destroy_module_part;
	return 0;

destroy_module_part:
	if (bdev->module->channel_destroy)
		bdev->module->channel_destroy(bdev->device, ch->module);
leave:
	bdev_gate_leave(ch);
	channel_leave(bdev, ch);
	bdev_observe_fini(ch);
free_pool:
	bdev_pool_fini(ch);
free_frames:
	bdev_frames_fini(ch);
	return rc;
}

/*
 * What was sent on comes back before the module's part goes: it is hurried, and the thread polled for as long as that takes.
 */
static void await_forwarded(struct nvio_bdev *bdev, struct bdev_channel *ch)
{
	if (!ch->frames)
		return;
	while (bdev_in_flight(ch)) {
		if (bdev->module->abort)
			bdev->module->abort(bdev->device, ch->module);
		nvio_thread_poll(ch->thread, 0);
	}
}

/* Before the module lets go of the channel below, which may end in any poll from then on. */
static void stop_feeding(struct bdev_channel *ch)
{
	bdev_stat_stop_feeding(ch);
	list_remove(&ch->feeder);
	ch->feeds = NULL;
}

/* Stop intake, end what waits, let the module finish what it has. */
static void channel_destroy(void *device, struct nvio_channel *handle)
{
	struct nvio_bdev *bdev = device;
	struct bdev_channel *ch = channel_ctx(handle);
	struct nvio_bdev_io *reset;

	ch->ending = true;
	bdev_pieces_stop_all(ch);
	bdev_waiting_end_all(ch, -ECANCELED, false);
	bdev_locks_end_all(ch, -ECANCELED);
	reset = bdev_reset_of(ch);
	if (reset)
		bdev_reset_end(reset, -ECANCELED);
	nvio_timer_stop(&ch->timer);
	await_forwarded(bdev, ch);
	stop_feeding(ch);
	if (bdev->module->channel_destroy)
		bdev->module->channel_destroy(bdev->device, ch->module);
	bdev_gate_leave(ch);
	channel_leave(bdev, ch);
	bdev_observe_fini(ch);
	bdev_pool_fini(ch);
	bdev_frames_fini(ch);
}

void bdev_channel_ops_init(struct nvio_bdev *bdev, size_t module_size)
{
	bdev->channel_ops = (struct nvio_io_device_ops){
		.name = bdev->name,
		.ctx_size = sizeof(struct bdev_channel) + module_size,
		.channel_create = channel_create,
		.channel_destroy = channel_destroy,
	};
}

int nvio_bdev_channel(struct nvio_bdev_desc *desc, struct nvio_channel **ch)
{
	struct nvio_bdev *bdev;

	if (!desc || !ch)
		return fail(-EINVAL, "bdev: channel: %s is NULL", desc ? "the result" : "the descriptor");
	bdev = desc->bdev;
	if (atomic_load(&bdev->removed))
		return fail(-ENODEV, "bdev: channel: %s: the device has been removed; close it", bdev->name);
	return nvio_channel_get(bdev->env, bdev, ch);
}
