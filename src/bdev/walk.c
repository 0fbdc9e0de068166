/* SPDX-License-Identifier: BSD-3-Clause */
/* The walk over a device's channels that asks each of them on its own thread; see stat.h. */
#include "base/alloc.h"
#include "bdev/stat.h"
#include <nvio/error.h>

/* Registry lock. */
static void visit(struct bdev_walk *walk, struct bdev_channel *ch)
{
	int rc;

	if (ch->walked & walk->bit)
		return;
	ch->walked |= walk->bit;
	rc = walk->take(walk, ch);
	if (!walk->status)
		walk->status = rc;
}

static int arrive(struct nvio_channel *handle, void *arg)
{
	struct bdev_walk *walk = arg;

	pthread_mutex_lock(&walk->bdev->env->bdevs->lock);
	visit(walk, channel_ctx(handle));
	pthread_mutex_unlock(&walk->bdev->env->bdevs->lock);
	return 0;
}

static void fold(struct nvio_bdev *bdev, struct bdev_channel *ch)
{
	for (unsigned i = 0; i < NVIO_BDEV_IO_TYPES; i++) {
		bdev_stat_add(&bdev->past[i], &ch->stats[i]);
		bdev_stat_add(&bdev->past[i], &ch->stats_apart[i]);
	}
	bdev_histograms_leave(ch);
}

void bdev_walk_leave(struct bdev_channel *ch)
{
	list_for_each (l, &ch->bdev->walks)
		visit(list_entry(l, struct bdev_walk, link), ch);
	fold(ch->bdev, ch);
}

static void walk_free(struct bdev_walk *walk)
{
	alloc_free(walk->sum);
	if (walk->owns_out)
		alloc_free(walk->out);
	alloc_free(walk);
}

/* It has been everywhere: channels that end from here on tell it nothing. The first error. */
static int close_walk(struct bdev_walk *walk)
{
	struct bdev_registry *reg = walk->bdev->env->bdevs;
	int status;

	pthread_mutex_lock(&reg->lock);
	list_remove(&walk->link);
	status = walk->status;
	pthread_mutex_unlock(&reg->lock);
	return status;
}

/* No longer known to the device. */
static void detach(struct bdev_walk *walk)
{
	struct bdev_registry *reg = walk->bdev->env->bdevs;

	pthread_mutex_lock(&reg->lock);
	walk->bdev->walk_bits &= ~walk->bit;
	pthread_mutex_unlock(&reg->lock);
	bdev_unpin(walk->bdev);
}

static int set_out(struct bdev_walk *walk);

/* A channel that was put is passed by, and may not have come to its end yet: that is where it would tell. */
static bool has_missed(const struct bdev_walk *walk)
{
	struct bdev_registry *reg = walk->bdev->env->bdevs;
	bool missed = false;

	pthread_mutex_lock(&reg->lock);
	list_for_each (l, &walk->bdev->channels)
		missed |= !(list_entry(l, struct bdev_channel, link)->walked & walk->bit);
	pthread_mutex_unlock(&reg->lock);
	return missed;
}

static void walked(struct nvio_op *walk_op)
{
	struct bdev_walk *walk = walk_op->arg;
	int status = walk_op->status;

	if (!status && has_missed(walk)) {
		status = set_out(walk);
		if (!status)
			return;
	}
	if (close_walk(walk) && !status)
		status = walk->status;
	if (walk->finish)
		status = walk->finish(walk, status);
	if (status == -EINPROGRESS)
		return;
	detach(walk);
	thread_end_op(walk->thread, walk->op, status);
	walk_free(walk);
}

static int set_out(struct bdev_walk *walk)
{
	struct nvio_bdev *bdev = walk->bdev;
	int rc;

	walk->walk_op = (struct nvio_op)NVIO_OP(walked);
	walk->walk_op.arg = walk;
	walk->walk_op.timeout_us = walk->op->timeout_us;
	rc = nvio_channel_for_each(bdev->env, bdev, arrive, walk, &walk->walk_op);
	return rc == -ENOENT ? fail(-ENODEV, "bdev: statistics: %s: the device has been removed; close it",
				       bdev->name)
			     : rc;
}

int bdev_walk_again(struct bdev_walk *walk, int (*take)(struct bdev_walk *walk, struct bdev_channel *ch))
{
	struct bdev_registry *reg = walk->bdev->env->bdevs;
	int rc;

	pthread_mutex_lock(&reg->lock);
	list_for_each (l, &walk->bdev->channels)
		list_entry(l, struct bdev_channel, link)->walked &= ~walk->bit;
	walk->take = take;
	list_push_back(&walk->bdev->walks, &walk->link);
	pthread_mutex_unlock(&reg->lock);
	rc = set_out(walk);
	if (rc)
		close_walk(walk);
	return rc;
}

/* Registry lock. */
static int attach(struct bdev_walk *walk)
{
	struct nvio_bdev *bdev = walk->bdev;

	if (atomic_load(&bdev->removed))
		return fail(
			-ENODEV, "bdev: statistics: %s: the device has been removed; close it", bdev->name);
	if (bdev->walk_bits == UINT64_MAX)
		return fail(-EBUSY, "bdev: statistics: %s: %d calls are under way; wait for them", bdev->name,
			BDEV_WALKS);
	walk->bit = ~bdev->walk_bits & (bdev->walk_bits + 1);
	bdev->walk_bits |= walk->bit;
	list_for_each (l, &bdev->channels)
		list_entry(l, struct bdev_channel, link)->walked &= ~walk->bit;
	list_push_back(&bdev->walks, &walk->link);
	bdev->pins++;
	return 0;
}

static int check(const struct nvio_bdev_desc *desc, const char *what, const struct nvio_op *op)
{
	if (!desc || !op)
		return fail(-EINVAL, "bdev: %s: %s is NULL", what, desc ? "the op" : "the descriptor");
	if (op->flags)
		return fail(-EINVAL, "bdev: %s: %s: op flags 0x%x have no meaning here", what,
			desc->bdev->name, op->flags);
	if (!thread_current())
		return fail(-EINVAL, "bdev: %s: %s: no nvio_thread is current here; attach to one", what,
			desc->bdev->name);
	return 0;
}

static int begin_walk(struct bdev_walk *walk, void (*begin)(struct bdev_walk *walk))
{
	struct bdev_registry *reg = walk->bdev->env->bdevs;
	int rc;

	pthread_mutex_lock(&reg->lock);
	rc = attach(walk);
	if (!rc && begin)
		begin(walk);
	pthread_mutex_unlock(&reg->lock);
	if (rc)
		return rc;
	rc = set_out(walk);
	if (rc) {
		close_walk(walk);
		pthread_mutex_lock(&reg->lock);
		if (walk->undo)
			walk->undo(walk);
		pthread_mutex_unlock(&reg->lock);
		detach(walk);
	}
	return rc;
}

int bdev_walk_start(struct nvio_bdev_desc *desc, const char *what, const struct bdev_walk *order,
	void (*begin)(struct bdev_walk *walk), struct nvio_op *op)
{
	struct bdev_walk *walk = alloc_zeroed(sizeof(*walk));
	int rc;

	if (!walk) {
		alloc_free(order->sum);
		if (order->owns_out)
			alloc_free(order->out);
		return fail(-ENOMEM, "bdev: %s: no memory", what);
	}
	*walk = *order;
	rc = check(desc, what, op);
	if (rc) {
		walk_free(walk);
		return rc;
	}
	walk->bdev = desc->bdev;
	walk->op = op;
	walk->thread = thread_current();
	rc = begin_walk(walk, begin);
	if (rc) {
		walk_free(walk);
		return rc;
	}
	op_begin(op, thread_pollable(walk->thread));
	return 0;
}
