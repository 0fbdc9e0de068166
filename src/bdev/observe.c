/* SPDX-License-Identifier: BSD-3-Clause */
/* What is watched on request: a histogram of latencies for each type, and the queue depth from time to time.
 */
#include "base/alloc.h"
#include "bdev/stat.h"

static struct nvio_histogram *histograms_alloc(void)
{
	return alloc_array(NVIO_BDEV_IO_TYPES, sizeof(struct nvio_histogram));
}

static int start_histograms(struct bdev_channel *ch)
{
	if (!ch->histograms)
		ch->histograms = histograms_alloc();
	if (!ch->histograms)
		return -ENOMEM;
	ch->gates |= BDEV_GATE_TIMED;
	return 0;
}

static void stop_histograms(struct bdev_channel *ch)
{
	ch->gates &= ~BDEV_GATE_TIMED;
	alloc_free(ch->histograms);
	ch->histograms = NULL;
}

static uint64_t to_ns(const struct bdev_registry *reg, uint64_t ticks)
{
	return (uint64_t)(((unsigned __int128)ticks *
				  atomic_load_explicit(&reg->ns_per_tick, memory_order_relaxed)) >>
			  32);
}

void bdev_histogram_count(struct bdev_channel *ch, const struct nvio_bdev_io *io)
{
	if (ch->histograms)
		nvio_histogram_add(
			&ch->histograms[io->type], to_ns(ch->bdev->env->bdevs, cycles() - io->begun));
}

void bdev_histograms_leave(struct bdev_channel *ch)
{
	struct nvio_bdev *bdev = ch->bdev;

	for (unsigned i = 0; ch->histograms && bdev->past_histograms && i < NVIO_BDEV_IO_TYPES; i++)
		nvio_histogram_merge(&bdev->past_histograms[i], &ch->histograms[i]);
}

static void sample(struct nvio_timer *timer)
{
	struct bdev_channel *ch = timer->arg;
	uint64_t depth = bdev_depth(ch);

	ch->samples.count++;
	ch->samples.sum += depth;
	ch->samples.max = MAX(ch->samples.max, depth);
	/* It has just run, so there is room for it. Only a thread that exits says no. */
	if (nvio_timer_start(ch->thread, timer, ch->sample_period_us))
		fail_clear();
}

static int start_samples(struct bdev_channel *ch, uint64_t period_us)
{
	nvio_timer_stop(&ch->sample_timer);
	ch->samples.count = ch->samples.sum = ch->samples.max = 0;
	ch->sample_period_us = period_us;
	ch->sample_timer.fn = sample;
	ch->sample_timer.arg = ch;
	return period_us ? nvio_timer_start(ch->thread, &ch->sample_timer, period_us) : 0;
}

int bdev_observe_init(struct bdev_channel *ch)
{
	struct bdev_registry *reg = ch->bdev->env->bdevs;
	uint64_t period_us;
	bool timed;
	int rc = 0;

	pthread_mutex_lock(&reg->lock);
	timed = ch->bdev->past_histograms;
	period_us = ch->bdev->sample_period_us;
	pthread_mutex_unlock(&reg->lock);
	if (timed)
		rc = start_histograms(ch);
	if (!rc && period_us)
		rc = start_samples(ch, period_us);
	if (rc)
		bdev_observe_fini(ch);
	return rc;
}

void bdev_observe_fini(struct bdev_channel *ch)
{
	nvio_timer_stop(&ch->sample_timer);
	stop_histograms(ch);
}

/* ---- histograms ---- */

static int take_start(struct bdev_walk *walk, struct bdev_channel *ch)
{
	return start_histograms(ch);
}

static int take_stop(struct bdev_walk *walk, struct bdev_channel *ch)
{
	stop_histograms(ch);
	return 0;
}

/* Registry lock. */
static void forget_past(struct bdev_walk *walk)
{
	alloc_free(walk->bdev->past_histograms);
	walk->bdev->past_histograms = NULL;
}

/* One channel could not have them: then none has. */
static int finish_start(struct bdev_walk *walk, int status)
{
	struct bdev_registry *reg = walk->bdev->env->bdevs;

	if (!status)
		return 0;
	pthread_mutex_lock(&reg->lock);
	forget_past(walk);
	pthread_mutex_unlock(&reg->lock);
	walk->finish = NULL;
	walk->status = status;
	return bdev_walk_again(walk, take_stop) ? status : -EINPROGRESS;
}

/* Registry lock. */
static void begin_start(struct bdev_walk *walk)
{
	if (walk->bdev->past_histograms)
		return;
	walk->bdev->past_histograms = walk->out;
	walk->out = NULL;
}

/* Registry lock. */
static void undo_start(struct bdev_walk *walk)
{
	if (!walk->out)
		forget_past(walk);
}

int nvio_bdev_set_histograms(struct nvio_bdev_desc *desc, bool on, struct nvio_op *op)
{
	struct bdev_walk walk = { .take = on ? take_start : take_stop, .owns_out = true };

	if (!desc)
		return fail(-EINVAL, "bdev: histograms: the descriptor is NULL");
	if (!on)
		return bdev_walk_start(desc, "histograms", &walk, forget_past, op);
	atomic_store_explicit(&desc->reg->ns_per_tick, (uint64_t)(bdev_ns_per_tick(desc->reg) * 4294967296.0),
		memory_order_relaxed);
	walk.out = histograms_alloc();
	if (!walk.out)
		return fail(-ENOMEM, "bdev: histograms: %s: no memory", desc->bdev->name);
	walk.finish = finish_start;
	walk.undo = undo_start;
	return bdev_walk_start(desc, "histograms", &walk, begin_start, op);
}

static int take_histogram(struct bdev_walk *walk, struct bdev_channel *ch)
{
	if (ch->histograms)
		nvio_histogram_merge(walk->out, &ch->histograms[walk->value]);
	return 0;
}

static void begin_histogram(struct bdev_walk *walk)
{
	if (walk->bdev->past_histograms)
		nvio_histogram_merge(walk->out, &walk->bdev->past_histograms[walk->value]);
}

int nvio_bdev_get_histogram(struct nvio_bdev_desc *desc, enum nvio_bdev_io_type type,
	struct nvio_histogram *histogram, struct nvio_op *op)
{
	const struct bdev_walk walk = { .take = take_histogram, .out = histogram, .value = (uint64_t)type };
	bool there;

	if (!desc || !histogram)
		return fail(-EINVAL, "bdev: histogram: %s is NULL", desc ? "the result" : "the descriptor");
	if ((unsigned)type >= NVIO_BDEV_IO_TYPES)
		return fail(
			-EINVAL, "bdev: histogram: %s: there is no I/O type %d", desc->bdev->name, (int)type);
	pthread_mutex_lock(&desc->reg->lock);
	there = desc->bdev->past_histograms;
	pthread_mutex_unlock(&desc->reg->lock);
	if (!there)
		return fail(-ENOENT, "bdev: histogram: %s has none; call nvio_bdev_set_histograms() first",
			desc->bdev->name);
	return bdev_walk_start(desc, "histogram", &walk, begin_histogram, op);
}

/* ---- queue depths ---- */

static int take_sampling(struct bdev_walk *walk, struct bdev_channel *ch)
{
	return start_samples(ch, walk->value);
}

static int take_no_sampling(struct bdev_walk *walk, struct bdev_channel *ch)
{
	return start_samples(ch, 0);
}

static void begin_sampling(struct bdev_walk *walk)
{
	walk->bdev->sample_period_us = walk->value;
}

static void undo_sampling(struct bdev_walk *walk)
{
	walk->bdev->sample_period_us = 0;
}

static int finish_sampling(struct bdev_walk *walk, int status)
{
	if (!status)
		return 0;
	pthread_mutex_lock(&walk->bdev->env->bdevs->lock);
	undo_sampling(walk);
	pthread_mutex_unlock(&walk->bdev->env->bdevs->lock);
	walk->finish = NULL;
	walk->status = status;
	return bdev_walk_again(walk, take_no_sampling) ? status : -EINPROGRESS;
}

int nvio_bdev_set_depth_sampling(struct nvio_bdev_desc *desc, uint64_t period_us, struct nvio_op *op)
{
	const struct bdev_walk walk = {
		.take = take_sampling, .finish = finish_sampling, .undo = undo_sampling, .value = period_us
	};

	return bdev_walk_start(desc, "depth sampling", &walk, begin_sampling, op);
}
