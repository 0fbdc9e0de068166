/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * I/O that waits: for room in the module, where each descriptor has its own queue and all have their turns; and the end of whatever waits
 * for whatever, by deadline, cancel, reset or the channel's end.
 */
#include "bdev/gate.h"
#include "bdev/piece.h"
#include "bdev/qos.h"

struct bdev_share *bdev_share_get(struct bdev_channel *ch, struct nvio_bdev_io *io)
{
	struct bdev_share *s = bdev_share(io->desc, ch);

	if (s->ch)
		return s;
	s->ch = ch;
	op_queue_init(&s->room);
	op_queue_init(&s->unpaid[0]);
	op_queue_init(&s->unpaid[1]);
	list_init(&s->in_rooms);
	list_init(&s->in_unpaid);
	list_init(&s->in_backlog);
	return s;
}

void bdev_io_wait(struct bdev_channel *ch, struct nvio_bdev_io *io)
{
	struct bdev_share *s = bdev_share_get(ch, io);

	io->state |= BDEV_IO_WAITING;
	op_queue_push(&s->room, bdev_io_op(io));
	bdev_set_apart(ch, io);
	if (list_empty(&s->in_rooms))
		list_push_back(&ch->rooms, &s->in_rooms);
	ch->gates |= BDEV_GATE_WAITING;
	if (io->state & BDEV_IO_DEADLINE)
		bdev_timer_arm(ch, io->deadline_ns);
}

/* Out of its queue. */
static void take_out(struct bdev_channel *ch, struct bdev_share *s, struct nvio_bdev_io *io)
{
	op_queue_remove(&s->room, bdev_io_op(io));
	io->state &= ~BDEV_IO_WAITING;
	bdev_set_back(ch, io);
	if (op_queue_empty(&s->room))
		list_remove(&s->in_rooms);
	if (list_empty(&ch->rooms) && !ch->resubmitting)
		ch->gates &= ~BDEV_GATE_WAITING;
}

/* No room even for this one: it is the next again, and its descriptor has the next turn. */
static void put_back(struct bdev_channel *ch, struct bdev_share *s, struct nvio_bdev_io *io)
{
	io->state |= BDEV_IO_WAITING;
	op_queue_push_front(&s->room, bdev_io_op(io));
	bdev_set_apart(ch, io);
	list_remove(&s->in_rooms);
	list_push_front(&ch->rooms, &s->in_rooms);
}

void nvio_bdev_channel_ready(void *module)
{
	struct bdev_channel *ch = bdev_channel_of(module);

	if (ch->resubmitting || ch->ending)
		return;
	ch->resubmitting = true;
	while (!list_empty(&ch->rooms)) {
		struct bdev_share *s = list_entry(ch->rooms.next, struct bdev_share, in_rooms);
		struct nvio_bdev_io *io = bdev_op_io(s->room.head);
		int rc;

		take_out(ch, s, io);
		if (!op_queue_empty(&s->room)) {
			list_remove(&s->in_rooms);
			list_push_back(&ch->rooms, &s->in_rooms);
		}
		rc = ch->bdev->submit(ch->bdev->device, ch->module, io);
		if (rc == -EAGAIN) {
			put_back(ch, s, io);
			break;
		}
		if (rc)
			bdev_io_done_here(io, rc);
	}
	/* Before the feeders have their turn: what they send would wait here, and the module owes no call for it. */
	if (list_empty(&ch->rooms))
		ch->gates &= ~BDEV_GATE_WAITING;
	bdev_feeders_ready(ch);
	ch->resubmitting = false;
	bdev_qos_serve(ch);
}

bool bdev_waiting_end(struct bdev_channel *ch, struct nvio_bdev_io *io, int status)
{
	if (io->state & BDEV_IO_LOCKING) {
		bdev_lock_end(ch, io, status);
		return true;
	}
	if (io->state & BDEV_IO_WAITING) {
		take_out(ch, bdev_share_get(ch, io), io);
	} else if (io->state & BDEV_IO_HELD) {
		op_queue_remove(&ch->held, bdev_io_op(io));
		io->state &= ~BDEV_IO_HELD;
		bdev_recount(io);
	} else if (io->state & BDEV_IO_UNPAID) {
		bdev_qos_take_out(ch, io);
	} else {
		return io->state & BDEV_IO_RESET && bdev_reset_end(io, status);
	}
	bdev_io_done_here(io, status);
	return true;
}

/* Which of those that wait are to end. */
enum which { ALL, FORWARDED, LATE };

struct sweep {
	enum which which;
	int status;
	uint64_t now;
	bool ended;	/* one has */
	uint64_t next; /* the earliest deadline of those that stay; 0: none has one */
};

static bool ends(const struct nvio_bdev_io *io, struct sweep *w)
{
	if (w->which != LATE)
		return w->which == ALL || io->state & BDEV_IO_FORWARDED;
	if (!(io->state & BDEV_IO_DEADLINE))
		return false;
	if (io->deadline_ns <= w->now)
		return true;
	if (!w->next || io->deadline_ns < w->next)
		w->next = io->deadline_ns;
	return false;
}

/* An end may bring others into the queues, and takes none but its own out: but with a piece all of its whole's go. */
static void sweep_queue(struct bdev_channel *ch, struct op_queue *q, struct sweep *w)
{
	for (struct nvio_op *op = q->head, *next; op; op = next) {
		struct nvio_bdev_io *io = bdev_op_io(op);
		bool piece = io->state & BDEV_IO_PIECE;

		next = op->next;
		if (!ends(io, w))
			continue;
		w->ended = true;
		bdev_waiting_end(ch, io, w->status);
		if (piece)
			next = q->head;
	}
}

static void sweep(struct bdev_channel *ch, struct sweep *w)
{
	sweep_queue(ch, &ch->held, w);
	list_for_each_safe (l, &ch->rooms)
		sweep_queue(ch, &list_entry(l, struct bdev_share, in_rooms)->room, w);
	list_for_each_safe (l, &ch->unpaid) {
		struct bdev_share *s = list_entry(l, struct bdev_share, in_unpaid);

		for (unsigned i = 0; i < ARRAY_SIZE(s->unpaid); i++)
			sweep_queue(ch, &s->unpaid[i], w);
	}
}

void bdev_waiting_end_all(struct bdev_channel *ch, int status, bool forwarded)
{
	struct sweep w = { .which = forwarded ? FORWARDED : ALL, .status = status };

	/* Each end may bring another one in from above. */
	do {
		w.ended = false;
		sweep(ch, &w);
	} while (w.ended);
}

void bdev_timer_arm(struct bdev_channel *ch, uint64_t due_ns)
{
	uint64_t now;

	if (ch->timer_due_ns && ch->timer_due_ns <= due_ns)
		return;
	now = clock_now(&ch->bdev->env->clock);
	/* Without a timer a deadline is seen when the I/O gets its turn. */
	if (!nvio_timer_start(ch->thread, &ch->timer, due_ns > now ? DIV_ROUND_UP(due_ns - now, NS_PER_US) : 0))
		ch->timer_due_ns = due_ns;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return !a || (b && b < a) ? b : a;
}

void bdev_timer_fired(struct nvio_timer *timer)
{
	struct bdev_channel *ch = timer->arg;
	struct sweep w = { .which = LATE, .status = -ETIMEDOUT, .now = clock_now(&ch->bdev->env->clock) };
	struct nvio_bdev_io *io;
	uint64_t next;

	ch->timer_due_ns = 0;
	sweep(ch, &w);
	next = earlier(w.next, bdev_locks_timeout(ch, w.now));
	next = earlier(next, bdev_pieces_expire(ch, w.now));
	io = bdev_reset_of(ch);
	if (io && io->state & BDEV_IO_DEADLINE) {
		if (io->deadline_ns <= w.now)
			bdev_reset_end(io, -ETIMEDOUT);
		else
			next = earlier(next, io->deadline_ns);
	}
	if (next)
		bdev_timer_arm(ch, next);
	if (ch->qos_due_ns && ch->qos_due_ns <= w.now)
		bdev_qos_serve(ch);
	else if (ch->qos_due_ns)
		bdev_timer_arm(ch, ch->qos_due_ns);
}
