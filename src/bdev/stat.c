/* SPDX-License-Identifier: BSD-3-Clause */
/* Statistics: what the channels have counted, added up and told in nanoseconds. */
#include <string.h>

#include "base/alloc.h"
#include "bdev/stat.h"

#define CALIBRATION_NS (200 * NS_PER_US) /* reading a clock costs some 50 ns, so this is good to a few per mille */

nvio_static_assert(NVIO_BDEV_IO_TYPES <= ARRAY_SIZE(((struct nvio_bdev_stats *)0)->io), "nvio_bdev_stats tells of all types");

double bdev_ns_per_tick(const struct bdev_registry *reg)
{
	uint64_t ns, ticks;

	/* The longer the environment has been open the better it is known; it is waited for only right after the start. */
	do {
		ns = clock_monotonic_ns() - reg->opened_ns;
		ticks = cycles() - reg->opened_ticks;
	} while (ns < CALIBRATION_NS);
	return ticks ? (double)ns / (double)ticks : 1.0;
}

void bdev_stat_add(struct bdev_stat *into, const struct bdev_stat *from)
{
	if (from->min_ticks && (!into->min_ticks || from->min_ticks < into->min_ticks))
		into->min_ticks = from->min_ticks;
	into->max_ticks = MAX(into->max_ticks, from->max_ticks);
	into->ops += from->ops;
	into->bytes += from->bytes;
	into->errors += from->errors;
	into->ticks += from->ticks;
}

/* With the module; of a feeding channel, those that went straight through to the channel below. */
static uint64_t with_module(const struct bdev_channel *ch)
{
	return ch->in_flight[0] + ch->in_flight[1] + ch->in_flight[2] + ch->in_flight[3];
}

uint64_t bdev_depth(const struct bdev_channel *ch)
{
	uint64_t depth = bdev_in_flight(ch);

	list_for_each (l, &ch->feeders)
		depth += with_module(list_entry(l, struct bdev_channel, feeder));
	return depth;
}

static int add_channel(struct bdev_walk *walk, struct bdev_channel *ch)
{
	struct bdev_sum *sum = walk->sum;

	for (unsigned i = 0; i < NVIO_BDEV_IO_TYPES; i++) {
		bdev_stat_add(&sum->stats[i], &ch->stats[i]);
		bdev_stat_add(&sum->stats[i], &ch->stats_apart[i]);
		list_for_each (l, &ch->feeders)
			bdev_stat_add(&sum->stats[i], &list_entry(l, struct bdev_channel, feeder)->stats[i]);
	}
	sum->channels++;
	sum->in_flight += bdev_depth(ch);
	if (ch->samples.count) {
		sum->sampled++;
		sum->sampled_depth += (double)ch->samples.sum / (double)ch->samples.count;
		sum->sampled_depth_max += ch->samples.max;
	}
	return 0;
}

static uint64_t to_ns(uint64_t ticks, double ns_per_tick)
{
	return (uint64_t)((double)ticks * ns_per_tick);
}

static void tell_type(struct nvio_bdev_io_stats *out, const struct bdev_stat *stat, double ns_per_tick)
{
	out->ops = stat->ops;
	out->bytes = stat->bytes;
	out->errors = stat->errors;
	out->total_ns = to_ns(stat->ticks, ns_per_tick);
	/* Something took no time that can be told: it is not "none". */
	out->min_ns = MAX(to_ns(stat->min_ticks, ns_per_tick), (uint64_t)!!stat->ops);
	out->max_ns = MAX(to_ns(stat->max_ticks, ns_per_tick), out->min_ns);
}

static int tell(struct bdev_walk *walk, int status)
{
	struct nvio_bdev_stats *caller = walk->out, out = { .size = caller->size };
	const struct bdev_registry *reg = walk->bdev->env->bdevs;
	const struct bdev_sum *sum = walk->sum;
	double ns_per_tick, total_ns = 0;

	if (status)
		return status;
	ns_per_tick = bdev_ns_per_tick(reg);
	out.elapsed_ns = clock_monotonic_ns() - walk->value;
	out.channels = sum->channels;
	out.sampled = sum->sampled;
	out.in_flight = sum->in_flight;
	out.sampled_depth = sum->sampled_depth;
	out.sampled_depth_max = sum->sampled_depth_max;
	for (unsigned i = 0; i < NVIO_BDEV_IO_TYPES; i++) {
		tell_type(&out.io[i], &sum->stats[i], ns_per_tick);
		total_ns += (double)out.io[i].total_ns;
	}
	out.mean_depth = out.elapsed_ns ? total_ns / (double)out.elapsed_ns : 0;
	memcpy(caller, &out, MIN(out.size, sizeof(out)));
	return 0;
}

static void begin_sum(struct bdev_walk *walk)
{
	for (unsigned i = 0; i < NVIO_BDEV_IO_TYPES; i++)
		bdev_stat_add(&walk->sum->stats[i], &walk->bdev->past[i]);
	walk->value = walk->bdev->counted_since_ns;
}

int nvio_bdev_get_stats(struct nvio_bdev_desc *desc, struct nvio_bdev_stats *stats, struct nvio_op *op)
{
	struct bdev_walk walk = { .take = add_channel, .finish = tell, .out = stats };

	if (!stats)
		return fail(-EINVAL, "bdev: statistics: the result is NULL");
	if (stats->size < sizeof(*stats))
		return fail(-EINVAL, "bdev: statistics: size %zu is none of nvio_bdev_stats; begin with NVIO_BDEV_STATS", stats->size);
	walk.sum = alloc_zeroed(sizeof(*walk.sum));
	if (!walk.sum)
		return fail(-ENOMEM, "bdev: statistics: no memory");
	return bdev_walk_start(desc, "statistics", &walk, begin_sum, op);
}

/* Has `stats` of a feeding channel count for itself alone. */
static void move_apart(struct bdev_channel *feeder)
{
	for (unsigned i = 0; i < NVIO_BDEV_IO_TYPES; i++)
		bdev_stat_add(&feeder->stats_apart[i], &feeder->stats[i]);
	memset(feeder->stats, 0, sizeof(feeder->stats));
}

void bdev_stat_stop_feeding(struct bdev_channel *ch)
{
	if (!ch->feeds)
		return;
	for (unsigned i = 0; i < NVIO_BDEV_IO_TYPES; i++)
		bdev_stat_add(&ch->feeds->stats_apart[i], &ch->stats[i]);
}

static int reset_channel(struct bdev_walk *walk, struct bdev_channel *ch)
{
	/* Nothing of this may be forgotten by those above and below. */
	bdev_stat_stop_feeding(ch);
	list_for_each (l, &ch->feeders)
		move_apart(list_entry(l, struct bdev_channel, feeder));
	memset(ch->stats, 0, sizeof(ch->stats));
	memset(ch->stats_apart, 0, sizeof(ch->stats_apart));
	memset(&ch->samples, 0, sizeof(ch->samples));
	for (unsigned i = 0; ch->histograms && i < NVIO_BDEV_IO_TYPES; i++)
		nvio_histogram_clear(&ch->histograms[i]);
	return 0;
}

static void begin_reset(struct bdev_walk *walk)
{
	struct nvio_bdev *bdev = walk->bdev;

	memset(bdev->past, 0, NVIO_BDEV_IO_TYPES * sizeof(bdev->past[0]));
	for (unsigned i = 0; bdev->past_histograms && i < NVIO_BDEV_IO_TYPES; i++)
		nvio_histogram_clear(&bdev->past_histograms[i]);
	bdev->counted_since_ns = clock_monotonic_ns();
}

int nvio_bdev_reset_stats(struct nvio_bdev_desc *desc, struct nvio_op *op)
{
	const struct bdev_walk walk = { .take = reset_channel };

	return bdev_walk_start(desc, "reset statistics", &walk, begin_reset, op);
}
