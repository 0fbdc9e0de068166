/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Handing out pieces: in the order in which the I/Os came, as long as the pool has some; the end of a piece, and of the whole. A module may
 * end a piece inside submit: bdev_pieces_pump() is a loop that is never entered twice, so that nothing recurses.
 */
#include "bdev/gate.h"
#include "bdev/piece.h"

static struct bdev_piece *piece_of(struct nvio_bdev_io *io)
{
	return container_of(bdev_io_op(io), struct bdev_piece, op);
}

static void unqueue(struct bdev_channel *ch, struct nvio_bdev_io *whole)
{
	if (!(whole->state & BDEV_IO_UNISSUED))
		return;
	op_queue_remove(&ch->unissued, bdev_io_op(whole));
	whole->state &= ~BDEV_IO_UNISSUED;
}

static void piece_free(struct bdev_channel *ch, struct bdev_piece *piece)
{
	struct bdev_pool *pool = ch->pool;

	if (piece->bounce)
		pool->bounces[pool->bounce_count++] = piece->bounce;
	piece->bounce = NULL;
	piece->next = pool->free;
	pool->free = piece;
}

/* Has the piece go through memory of the pool; false: there is none now. */
static bool take_bounce(struct bdev_channel *ch, struct bdev_piece *piece, uint64_t len)
{
	struct bdev_pool *pool = ch->pool;

	if (!pool->bounce_count)
		return false;
	piece->bounce = pool->bounces[--pool->bounce_count];
	piece->iov[0] = (struct iovec){ piece->bounce, len };
	bdev_piece_io(piece)->iovcnt = 1;
	bdev_piece_io(piece)->len = len;
	return true;
}

/* The next piece of what is at `iov`, in the caller's memory where the module can use that. */
static bool describe_data(struct bdev_channel *ch, struct nvio_bdev_io *whole, const struct iovec *iov, struct bdev_piece *piece)
{
	struct bdev_pieces *p = bdev_pieces_of(whole);
	struct nvio_bdev_io *io = bdev_piece_io(piece);
	uint64_t limit = bdev_piece_limit(ch->bdev, io->offset, whole->len - p->at);

	io->len = bdev_piece_gather(ch->bdev, p, iov, piece, limit);
	if (!io->len) {
		if (!take_bounce(ch, piece, MIN(limit, (uint64_t)BDEV_BOUNCE_BYTES)))
			return false;
		if (io->type != NVIO_BDEV_IO_READ)
			bdev_bounce_fill(piece->bounce, iov + p->index, p->skip, io->len);
	}
	bdev_pieces_advance(p, iov, io->len);
	return true;
}

static bool describe_compare(struct bdev_channel *ch, struct nvio_bdev_io *whole, struct bdev_piece *piece)
{
	struct bdev_pieces *p = bdev_pieces_of(whole);
	uint64_t limit = bdev_piece_limit(ch->bdev, whole->offset + p->at, whole->len - p->at);

	if (!take_bounce(ch, piece, MIN(limit, (uint64_t)BDEV_BOUNCE_BYTES)))
		return false;
	bdev_piece_io(piece)->type = NVIO_BDEV_IO_READ;
	bdev_pieces_advance(p, whole->iov, bdev_piece_io(piece)->len);
	return true;
}

static bool describe_zeroes(struct bdev_channel *ch, struct nvio_bdev_io *whole, struct bdev_piece *piece)
{
	const struct nvio_bdev *bdev = ch->bdev;
	struct nvio_bdev_io *io = bdev_piece_io(piece);
	uint64_t most = MIN(bdev->max_iovcnt, (uint32_t)BDEV_ZERO_IOVCNT);

	io->type = NVIO_BDEV_IO_WRITE;
	io->len = MIN(bdev_piece_limit(bdev, io->offset, whole->len - bdev_pieces_of(whole)->at), most * BDEV_BOUNCE_BYTES);
	io->iovcnt = (int32_t)DIV_ROUND_UP(io->len, (uint64_t)BDEV_BOUNCE_BYTES);
	for (int i = 0; i < io->iovcnt; i++)
		piece->iov[i] = (struct iovec){ ch->pool->memory, BDEV_BOUNCE_BYTES };
	return true;
}

/* What is read must be written at once, within the limits at both ends. */
static bool describe_copy(struct bdev_channel *ch, struct nvio_bdev_io *whole, struct bdev_piece *piece)
{
	uint64_t at = bdev_pieces_of(whole)->at, left = whole->len - at;
	uint64_t limit = bdev_piece_limit(ch->bdev, whole->offset + at, left);

	limit = MIN(limit, bdev_piece_limit(ch->bdev, whole->src + at, left));
	if (!take_bounce(ch, piece, MIN(limit, (uint64_t)BDEV_BOUNCE_BYTES)))
		return false;
	bdev_piece_io(piece)->type = NVIO_BDEV_IO_READ;
	bdev_piece_io(piece)->offset = whole->src + at;
	return true;
}

/* The next piece; false: it needs bounce memory, of which there is none now. */
static bool describe(struct bdev_channel *ch, struct nvio_bdev_io *whole, struct bdev_piece *piece)
{
	struct bdev_pieces *p = bdev_pieces_of(whole);
	struct nvio_bdev_io *io = bdev_piece_io(piece);

	piece->whole = whole;
	piece->skip = p->skip;
	piece->index = p->index;
	piece->copied = false;
	io->offset = whole->offset + p->at;
	io->type = whole->type;
	io->iov = piece->iov;
	switch ((enum bdev_pieces_kind)p->kind) {
	case BDEV_PIECES_COMPARE: return describe_compare(ch, whole, piece);
	case BDEV_PIECES_ZEROES: return describe_zeroes(ch, whole, piece);
	case BDEV_PIECES_COPY: return describe_copy(ch, whole, piece);
	case BDEV_PIECES_DATA: return describe_data(ch, whole, whole->iov, piece);
	case BDEV_PIECES_SWAP: break;
	}
	io->type = NVIO_BDEV_IO_WRITE;
	return describe_data(ch, whole, whole->iov2, piece);
}

static void submit(struct bdev_channel *ch, struct bdev_piece *piece)
{
	struct nvio_bdev_io *io = bdev_piece_io(piece);
	const struct nvio_bdev *bdev = ch->bdev;
	int rc = -EAGAIN;

	io->fua = io->type == NVIO_BDEV_IO_WRITE && piece->whole->fua;
	io->state = BDEV_IO_PIECE | (piece->whole->state & BDEV_IO_DEADLINE);
	io->deadline_ns = piece->whole->deadline_ns;
	io->desc = piece->whole->desc;
	io->channel = ch;
	io->frame = NULL;
	piece->op.status = -EINPROGRESS;
	piece->op.owner = &ch->pollable;
	piece->op.cpl.answered = 0;
	if (!(ch->gates & BDEV_GATE_WAITING))
		rc = bdev->submit(bdev->device, ch->module, io);
	if (rc == -EAGAIN)
		bdev_io_wait(ch, io);
	else if (rc)
		bdev_piece_done(io, rc);
}

/* Nothing of it is with the module, and nothing more will be: either the next step begins, or it ends. */
static void finish(struct nvio_bdev_io *whole)
{
	int status = bdev_pieces_next(whole, bdev_pieces_of(whole)->status);

	if (status == -EINPROGRESS)
		return;
	whole->state &= ~BDEV_IO_PIECES;
	bdev_set_back(whole->channel, whole);
	if (whole->state & BDEV_IO_SWAPPING)
		bdev_swap_end(whole);
	bdev_io_done_slow(whole, status);
}

/* Half of a compare and write would be worse than a late one. */
static bool must_go_on(struct nvio_bdev_io *whole)
{
	return bdev_pieces_of(whole)->kind == BDEV_PIECES_SWAP;
}

/* Why no more of it may be handed out. */
static int reason_to_stop(const struct bdev_channel *ch, struct nvio_bdev_io *whole)
{
	if (bdev_pieces_of(whole)->status)
		return bdev_pieces_of(whole)->status;
	if (ch->ending)
		return -ECANCELED;
	if (whole->state & BDEV_IO_DEADLINE && !must_go_on(whole) && clock_now(&ch->bdev->env->clock) >= whole->deadline_ns)
		return -ETIMEDOUT;
	return 0;
}

/* Hands out a piece, or finds that there need be no more; false: the pool is empty. */
static bool issue(struct bdev_channel *ch, struct nvio_bdev_io *whole)
{
	struct bdev_pieces *p = bdev_pieces_of(whole);
	struct bdev_piece *piece = ch->pool->free;

	p->status = reason_to_stop(ch, whole);
	if (p->status) {
		unqueue(ch, whole);
		if (!p->in_flight)
			finish(whole);
		return true;
	}
	if (!piece || !describe(ch, whole, piece))
		return false;
	ch->pool->free = piece->next;
	p->in_flight++;
	p->at += bdev_piece_io(piece)->len;
	if (p->at == whole->len)
		unqueue(ch, whole);
	submit(ch, piece); /* which may be the end of the whole */
	return true;
}

static void pump(struct bdev_channel *ch)
{
	if (ch->pumping)
		return;
	ch->pumping = true;
	while (!op_queue_empty(&ch->unissued))
		if (!issue(ch, bdev_op_io(ch->unissued.head)))
			break;
	ch->pumping = false;
}

void bdev_pieces_restart(struct nvio_bdev_io *io, enum bdev_pieces_kind kind)
{
	struct bdev_channel *ch = io->channel;

	*bdev_pieces_of(io) = (struct bdev_pieces){ .kind = kind };
	io->state |= BDEV_IO_UNISSUED;
	op_queue_push(&ch->unissued, bdev_io_op(io));
	if (io->state & BDEV_IO_DEADLINE)
		bdev_timer_arm(ch, io->deadline_ns);
	pump(ch);
}

void bdev_pieces_begin(struct nvio_bdev_io *io, enum bdev_pieces_kind kind)
{
	struct bdev_channel *ch = io->channel;

	io->state |= BDEV_IO_PIECES;
	if (!ch->pool && bdev_pool_init(ch)) {
		bdev_io_done_slow(io, -ENOMEM);
		return;
	}
	bdev_set_apart(ch, io); /* it is its pieces that are with the module */
	bdev_pieces_restart(io, kind);
}

/* What is left to do with a piece that the module has done. */
static int take_result(struct nvio_bdev_io *whole, struct bdev_piece *piece)
{
	const struct bdev_pieces *p = bdev_pieces_of(whole);
	struct nvio_bdev_io *io = bdev_piece_io(piece);

	if (!piece->bounce || io->type != NVIO_BDEV_IO_READ)
		return 0;
	if (p->kind == BDEV_PIECES_COMPARE)
		return bdev_bounce_equal(piece->bounce, whole->iov + piece->index, piece->skip, io->len) ? 0 : -EILSEQ;
	if (p->kind == BDEV_PIECES_DATA)
		bdev_bounce_empty(piece->bounce, whole->iov + piece->index, piece->skip, io->len);
	return 0;
}

/* Of a copy: what has been read is written, unless there is no use in it any more. */
static bool write_copied(struct bdev_channel *ch, struct nvio_bdev_io *whole, struct bdev_piece *piece)
{
	struct nvio_bdev_io *io = bdev_piece_io(piece);

	if (bdev_pieces_of(whole)->kind != BDEV_PIECES_COPY || piece->copied || reason_to_stop(ch, whole))
		return false;
	piece->copied = true;
	io->offset = io->offset - whole->src + whole->offset;
	io->type = NVIO_BDEV_IO_WRITE;
	submit(ch, piece);
	return true;
}

/* Ends those pieces of it that wait for room at the module; false: there are none. */
static bool stop_waiting(struct bdev_channel *ch, struct nvio_bdev_io *whole, int status)
{
	bool stopped = false;

	bdev_pieces_of(whole)->in_flight++; /* it stays while we are at it */
	for (struct nvio_op *op = bdev_share_get(ch, whole)->room.head, *next; op; op = next) {
		next = op->next;
		if (!(bdev_op_io(op)->state & BDEV_IO_PIECE) || piece_of(bdev_op_io(op))->whole != whole)
			continue;
		stopped = true;
		bdev_waiting_end(ch, bdev_op_io(op), status);
	}
	bdev_pieces_of(whole)->in_flight--;
	return stopped;
}

void bdev_piece_done(struct nvio_bdev_io *io, int status)
{
	struct bdev_piece *piece = piece_of(io);
	struct nvio_bdev_io *whole = piece->whole;
	struct bdev_pieces *p = bdev_pieces_of(whole);
	struct bdev_channel *ch = io->channel;

	piece->op.status = status;
	if (!status && write_copied(ch, whole, piece))
		return;
	if (!status)
		status = take_result(whole, piece);
	/* A copy that was stopped between its read and its write. */
	if (!status && p->kind == BDEV_PIECES_COPY && !piece->copied)
		status = reason_to_stop(ch, whole);
	if (piece->op.cpl.answered && (status || !p->status))
		bdev_io_op(whole)->cpl = piece->op.cpl;
	piece_free(ch, piece);
	if (status && !p->status) {
		p->status = status;
		unqueue(ch, whole);
		stop_waiting(ch, whole, -ECANCELED);
	}
	if (!--p->in_flight && !(whole->state & BDEV_IO_UNISSUED))
		finish(whole);
	pump(ch);
}

bool bdev_pieces_stop(struct bdev_channel *ch, struct nvio_bdev_io *whole, int status)
{
	struct bdev_pieces *p = bdev_pieces_of(whole);
	bool stopped = whole->state & BDEV_IO_UNISSUED;

	if (must_go_on(whole) && !ch->ending)
		return false;
	if (stopped && !p->status)
		p->status = status;
	unqueue(ch, whole);
	p->in_flight++;
	stopped |= stop_waiting(ch, whole, status);
	if (!--p->in_flight)
		finish(whole);
	return stopped;
}

void bdev_pieces_stop_all(struct bdev_channel *ch)
{
	while (!op_queue_empty(&ch->unissued))
		bdev_pieces_stop(ch, bdev_op_io(ch->unissued.head), -ECANCELED);
}

uint64_t bdev_pieces_expire(struct bdev_channel *ch, uint64_t now)
{
	uint64_t next_ns = 0;

	for (struct nvio_op *op = ch->unissued.head, *next; op; op = next) {
		struct nvio_bdev_io *whole = bdev_op_io(op);

		next = op->next;
		if (!(whole->state & BDEV_IO_DEADLINE) || must_go_on(whole))
			continue;
		if (whole->deadline_ns <= now)
			bdev_pieces_stop(ch, whole, -ETIMEDOUT);
		else if (!next_ns || whole->deadline_ns < next_ns)
			next_ns = whole->deadline_ns;
	}
	return next_ns;
}
