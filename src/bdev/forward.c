/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * I/O that a module sends on to a device below. The same op and the same nvio_bdev_io travel: what the device above must know again
 * when it comes back lies in a frame, of which its channel has so many. Frames make a stack, one for each device above.
 */
#include <inttypes.h>

#include "base/alloc.h"
#include "bdev/gate.h"

int bdev_frames_init(struct bdev_channel *ch)
{
	uint32_t count = ch->bdev->forwards;

	list_init(&ch->feeders);
	list_init(&ch->feeder);
	ch->hooked = ch->bdev->module->forwarded;
	if (!count)
		return 0;
	ch->frames = alloc_array(count, sizeof(*ch->frames));
	if (!ch->frames)
		return fail(-ENOMEM, "bdev: channel: %s: no memory for %" PRIu32 " I/Os to be sent on", ch->bdev->name, count);
	for (uint32_t i = 0; i < count; i++) {
		ch->frames[i].next = ch->free_frames;
		ch->free_frames = &ch->frames[i];
	}
	return 0;
}

void bdev_frames_fini(struct bdev_channel *ch)
{
	list_remove(&ch->feeder);
	invariant(list_empty(&ch->feeders));
	alloc_free(ch->frames);
	ch->frames = NULL;
}

/* Why it cannot go there. */
static COLD int refuse(const struct nvio_bdev_io *io, const struct nvio_bdev_desc *below, const struct nvio_channel *handle,
	uint64_t offset)
{
	const struct nvio_bdev *bdev = below->bdev;
	struct bdev_channel *upper = io->channel;

	/* Its size goes first, a moment before it is marked. */
	if (atomic_load(&bdev->removed) || !atomic_load(&bdev->io_size))
		return fail(-ENODEV, "bdev: %s: %s below has been removed", upper->bdev->name, bdev->name);
	if (handle->key != bdev)
		return fail(-EINVAL, "bdev: %s: forward: the channel is not one of %s", upper->bdev->name, bdev->name);
	if (!(below->io_types & NVIO_BDEV_CAN(io->type)))
		return bdev->io_types & NVIO_BDEV_CAN(io->type)
			       ? fail(-EBADF, "bdev: %s: %s below is open for reading only", upper->bdev->name, bdev->name)
			       : fail(-EOPNOTSUPP, "bdev: %s: %s below cannot do this", upper->bdev->name, bdev->name);
	return fail(-ERANGE, "bdev: %s: offset %" PRIu64 " and length %" PRIu64 " are beyond the end of %s below at %" PRIu64,
		upper->bdev->name, offset, io->len, bdev->name, atomic_load(&bdev->io_size));
}

/* Types without a range of their own: any device that is there will do. */
#define RANGELESS                                                                                                      \
	(NVIO_BDEV_CAN(NVIO_BDEV_IO_FLUSH) | NVIO_BDEV_CAN(NVIO_BDEV_IO_RESET) | NVIO_BDEV_CAN(NVIO_BDEV_IO_NVME) |     \
		NVIO_BDEV_CAN(NVIO_BDEV_IO_NVME_ADMIN))

static ALWAYS_INLINE bool fits(const struct nvio_bdev_io *io, const struct nvio_bdev_desc *below,
	const struct nvio_channel *handle, uint64_t offset)
{
	const struct nvio_bdev *bdev = below->bdev;
	uint64_t size = atomic_load_explicit(&bdev->io_size, memory_order_relaxed);
	uint32_t type = NVIO_BDEV_CAN(io->type);

	if (unlikely(handle->key != bdev || !(below->io_types & type)))
		return false;
	if (unlikely(io->type > NVIO_BDEV_IO_WRITE)) {
		if (type & RANGELESS)
			return size;
		if (io->type == NVIO_BDEV_IO_COPY && io->src + offset - io->offset > size - io->len)
			return false;
	}
	return likely(io->len <= size && offset <= size - io->len);
}

/* Both ends of a copy move together. */
static void move(struct nvio_bdev_io *io, uint64_t offset)
{
	if (io->type == NVIO_BDEV_IO_COPY)
		io->src += offset - io->offset;
	io->offset = offset;
}

/* With a frame: it is an I/O of the channel below, with all that is to be seen to there, and comes back. */
static NOINLINE int forward_framed(struct nvio_bdev_io *io, struct nvio_bdev_desc *below, struct bdev_channel *ch, uint64_t offset)
{
	struct bdev_channel *upper = io->channel;
	struct bdev_frame *f = upper->free_frames;

	if (unlikely(!f)) {
		if (!upper->frames)
			return fail(-EINVAL, "bdev: %s: forward: its params.forwards is 0", upper->bdev->name);
		upper->wants_ready = true;
		return -EAGAIN;
	}
	upper->free_frames = f->next;
	f->next = io->frame;
	f->ch = upper;
	f->desc = io->desc;
	f->offset = io->offset;
	f->begun = io->begun;
	f->state = io->state;
	f->deadline_ns = io->deadline_ns;
	f->rest = io->rest;
	bdev_set_apart(upper, io);
	io->frame = f;
	io->desc = below;
	io->channel = ch;
	move(io, offset);
	/* The deadline goes along: it may have to wait there, too. */
	io->state = BDEV_IO_FORWARDED | (io->state & BDEV_IO_DEADLINE);
	io->begun = bdev_begun(ch);
	ch->in_flight[ch->epoch]++;
	if (NVIO_CHECKED)
		ch->open[io->type]++;
	bdev_io_op(io)->owner = &ch->pollable;
	return bdev_io_hand_over(io);
}

/*
 * The first one that goes this way. A module below that forwards in turn must find its own channel in the I/O, and one above with a hook
 * wants the I/O back: those go with frames.
 */
static COLD void start_feeding(struct bdev_channel *upper, struct bdev_channel *ch)
{
	if (upper->feeds || upper->hooked || ch->frames || !upper->frames)
		return;
	upper->feeds = ch;
	list_push_back(&ch->feeders, &upper->feeder);
}

/* As nvio_bdev_io_forward(), for all but plain reads and writes on a way that is known: with a frame, or refused. */
static NOINLINE int forward_slow(struct nvio_bdev_io *io, struct nvio_bdev_desc *below, struct nvio_channel *handle, uint64_t offset)
{
	if (!fits(io, below, handle, offset))
		return refuse(io, below, handle, offset);
	return forward_framed(io, below, channel_ctx(handle), offset);
}

/* The module below did not take it at once: where it is for lack of room, it waits there, where all who want room have their turns. */
static COLD int not_taken_below(struct nvio_bdev_io *io, struct nvio_bdev_desc *below, uint64_t before, int rc)
{
	struct bdev_channel *upper = io->channel;
	uint64_t offset = io->offset;

	io->offset = before;
	return rc == -EAGAIN ? forward_framed(io, below, upper->feeds, offset) : rc;
}

/*
 * Nothing below asks for attention, nor does anything above want the I/O back: then it goes straight to the module below, and stays an
 * I/O of the channel above, which alone counts it (whoever wants to know of the channel below asks its feeders, too).
 */
int nvio_bdev_io_forward(struct nvio_bdev_io *io, struct nvio_bdev_desc *below, struct nvio_channel *handle, uint64_t offset)
{
	struct bdev_channel *upper = io->channel, *ch = channel_ctx(handle);
	const struct nvio_bdev *bdev;
	uint64_t before;
	int rc;

	checked(ch->thread == upper->thread && thread_current() == ch->thread);
	/* Reads and writes go through: what else a module may lack is for the layer to decide. */
	if (unlikely(io->type > NVIO_BDEV_IO_WRITE))
		return forward_slow(io, below, handle, offset);
	if (!fits(io, below, handle, offset))
		return refuse(io, below, handle, offset);
	if (unlikely(upper->feeds != ch))
		start_feeding(upper, ch);
	if (unlikely(upper->feeds != ch || ch->gates | io->state))
		return forward_framed(io, below, ch, offset);
	bdev = below->bdev; /* also the channel's: fits() */
	before = io->offset;
	io->offset = offset;
	rc = bdev->submit(bdev->device, ch->module, io);
	return likely(!rc) ? 0 : not_taken_below(io, below, before, rc);
}

void bdev_io_end_apart(struct nvio_bdev_io *io, int status)
{
	struct bdev_channel *ch = io->channel;
	struct nvio_op *op = bdev_io_op(io);

	if (NVIO_CHECKED)
		bdev_release_buffers(io);
	bdev_io_account(ch, ch->stats_apart, io, status);
	bdev_count_add(io->desc, ch, -1u);
	op->owner = thread_pollable(ch->thread);
	thread_end_op(ch->thread, op, status);
	bdev_one_less(ch, io->begun);
}

/* There is room again for what wanted some. */
static void ready(struct bdev_channel *upper)
{
	if (!upper->wants_ready)
		return;
	upper->wants_ready = false;
	nvio_bdev_channel_ready(upper->module);
}

void bdev_feeders_ready(struct bdev_channel *ch)
{
	/* Nothing that runs in here takes a feeder away: channels end in polls. */
	list_for_each (l, &ch->feeders)
		ready(list_entry(l, struct bdev_channel, feeder));
}

void bdev_io_return(struct nvio_bdev_io *io, int status)
{
	struct bdev_channel *ch = io->channel;
	struct bdev_frame *f = io->frame;
	struct bdev_channel *upper = f->ch;

	bdev_io_account(ch, ch->stats_apart, io, status);
	bdev_one_less(ch, io->begun);
	io->frame = f->next;
	io->channel = upper;
	io->desc = f->desc;
	move(io, f->offset);
	io->begun = f->begun;
	io->state = f->state;
	io->deadline_ns = f->deadline_ns;
	io->rest = f->rest;
	bdev_io_op(io)->owner = &upper->pollable;
	bdev_set_back(upper, io);
	f->next = upper->free_frames;
	upper->free_frames = f;
	if (upper->hooked)
		upper->bdev->module->forwarded(upper->bdev->device, upper->module, io, status);
	else if (io->state)
		bdev_io_done_slow(io, status);
	else
		bdev_io_end_apart(io, status);
	ready(upper);
}
