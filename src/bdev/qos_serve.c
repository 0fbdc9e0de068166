/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * I/O that goes by limits. Of the descriptors that wait the one that has had least, by its weight, is next (start-time fair queueing); each
 * of its reads and writes apart waits in order. What is in a bucket is taken by whoever is next, on whichever thread; a thread whose
 * descriptors are too far ahead of one elsewhere leaves it to that one, for a while.
 */
#include "bdev/gate.h"
#include "bdev/qos.h"

#define LEAD_IOS       8u		   /* how far ahead one may be of others on other threads, at the default weight */
#define RECHECK_NS     NS_PER_MS	   /* one that is too far ahead looks again; nobody need look more often */
#define PATIENCE_NS    (10 * NS_PER_MS)	   /* so long it leaves to others what they do not take */
#define UNITS_MAX      (1ull << 36)
#define UNIT_SHIFT     20

static const uint8_t classes[NVIO_BDEV_IO_TYPES] = {
	[NVIO_BDEV_IO_READ] = QOS_READ,
	[NVIO_BDEV_IO_WRITE] = QOS_WRITE,
	[NVIO_BDEV_IO_WRITE_ZEROES] = QOS_WRITE,
	[NVIO_BDEV_IO_UNMAP] = QOS_WRITE,
	[NVIO_BDEV_IO_FLUSH] = QOS_FREE,
	[NVIO_BDEV_IO_COMPARE] = QOS_READ,
	[NVIO_BDEV_IO_COMPARE_AND_WRITE] = QOS_WRITE,
	[NVIO_BDEV_IO_COPY] = QOS_WRITE,
	[NVIO_BDEV_IO_RESET] = QOS_FREE,
	[NVIO_BDEV_IO_NVME] = QOS_WRITE,
	[NVIO_BDEV_IO_NVME_ADMIN] = QOS_FREE,
};

static int64_t cost(const struct nvio_bdev_io *io, unsigned bytes)
{
	if (!bytes)
		return 1;
	return io->type == NVIO_BDEV_IO_UNMAP ? 0 : (int64_t)MIN(io->len, NVIO_BDEV_RATE_MAX);
}

/* What it is in the shares of descriptors. */
static uint64_t units(const struct bdev_qos *q, const struct nvio_bdev_io *io)
{
	return q->by_bytes ? MIN(MAX((uint64_t)cost(io, QOS_BYTES), 1), UNITS_MAX) : 1;
}

static bool has_tokens(const struct bdev_bucket *b)
{
	return atomic_load_explicit(&b->tokens, memory_order_relaxed) > 0;
}

static void pay(struct bdev_bucket *b, const struct nvio_bdev_io *io, unsigned bytes)
{
	atomic_fetch_sub_explicit(&b->tokens, cost(io, bytes), memory_order_relaxed);
}

/*
 * One of those that may be in flight. Sequentially consistent, as is what ends: either that sees that somebody waits, or who waits sees
 * that there is room.
 */
static bool take_place(struct bdev_qos *q, struct nvio_bdev_io *io)
{
	if (atomic_fetch_add(&q->in_flight, 1) >= atomic_load_explicit(&q->max_in_flight, memory_order_relaxed)) {
		atomic_fetch_sub(&q->in_flight, 1);
		return false;
	}
	io->state |= BDEV_IO_LIMITED;
	return true;
}

static struct bdev_qos *qos_of(const struct bdev_channel *ch)
{
	/* Acquire: it is made before it can be seen; pairs with its publication. */
	return atomic_load_explicit(&ch->bdev->gate.qos, memory_order_acquire);
}

/* Queues it: it does not count as in flight until it is let go. */
static void enqueue(struct bdev_channel *ch, struct bdev_qos *q, struct nvio_bdev_io *io)
{
	struct bdev_share *s = bdev_share_get(ch, io);
	bool first = list_empty(&s->in_unpaid);

	bdev_uncount(io);
	io->state |= BDEV_IO_UNPAID;
	op_queue_push(&s->unpaid[classes[io->type]], bdev_io_op(io));
	if (io->state & BDEV_IO_DEADLINE)
		bdev_timer_arm(ch, io->deadline_ns);
	if (!first)
		return;
	list_push_back(&ch->unpaid, &s->in_unpaid);
	pthread_mutex_lock(&ch->bdev->gate.lock);
	s->stuck = false;
	list_push_back(&q->backlog, &s->in_backlog);
	/* What it did not use it has lost. */
	if (!io->desc->backlogged++ && (int64_t)(q->vclock - io->desc->vtime) > 0)
		io->desc->vtime = q->vclock;
	atomic_fetch_add(&q->waiting, 1);
	pthread_mutex_unlock(&ch->bdev->gate.lock);
}

/* With gate.lock: out of its queue, still uncounted. */
static void dequeue(struct bdev_qos *q, struct bdev_share *s, struct nvio_bdev_io *io)
{
	op_queue_remove(&s->unpaid[classes[io->type]], bdev_io_op(io));
	io->state &= ~BDEV_IO_UNPAID;
	if (!op_queue_empty(&s->unpaid[QOS_READ]) || !op_queue_empty(&s->unpaid[QOS_WRITE]))
		return;
	list_remove(&s->in_unpaid);
	list_remove(&s->in_backlog);
	io->desc->backlogged--;
	atomic_fetch_sub(&q->waiting, 1);
}

void bdev_qos_take_out(struct bdev_channel *ch, struct nvio_bdev_io *io)
{
	pthread_mutex_lock(&ch->bdev->gate.lock);
	dequeue(qos_of(ch), bdev_share(io->desc, ch), io);
	pthread_mutex_unlock(&ch->bdev->gate.lock);
	bdev_recount(io);
}

bool bdev_qos_pass(struct bdev_channel *ch, struct nvio_bdev_io *io)
{
	struct bdev_qos *q = qos_of(ch);
	unsigned class = classes[io->type];
	uint32_t mask, m;

	if (class == QOS_FREE)
		return true;
	mask = atomic_load_explicit(&q->mask[class], memory_order_relaxed);
	if (atomic_load_explicit(&q->waiting, memory_order_relaxed) |
		atomic_load_explicit(&io->desc->qos_mask, memory_order_relaxed))
		goto wait;
	for (m = mask & ~QOS_IN_FLIGHT; m; m &= m - 1)
		if (!has_tokens(&q->buckets[__builtin_ctz(m)]))
			goto wait;
	if (mask & QOS_IN_FLIGHT && !take_place(q, io))
		goto wait;
	for (m = mask & ~QOS_IN_FLIGHT; m; m &= m - 1)
		pay(&q->buckets[__builtin_ctz(m)], io, __builtin_ctz(m) & QOS_BYTES);
	return true;

wait:
	enqueue(ch, q, io);
	bdev_qos_serve(ch);
	return false;
}

/* One look of a channel's at what waits. */
struct round {
	struct bdev_channel *ch;
	struct bdev_qos *q;
	uint64_t now;
	uint64_t due_ns;    /* when there may be more; 0: nothing but another's end can tell */
	struct op_queue go; /* have paid */
	bool patience_over;
};

/*
 * Whether there is something in the bucket; else when to look again: not before half a burst has come, if that is soon, so that a high rate
 * does not make a storm of timers.
 */
static bool look(struct round *r, struct bdev_bucket *b)
{
	uint64_t wait_ns, half_ns;

	bdev_bucket_fill(b, r->now);
	wait_ns = bdev_bucket_wait_ns(b);
	if (!wait_ns)
		return true;
	half_ns = b->burst / 2 >= b->rate / 1000 ? RECHECK_NS : b->burst / 2 * NS_PER_S / b->rate;
	wait_ns = clock_add(r->now, MAX(wait_ns, half_ns));
	if (!r->due_ns || wait_ns < r->due_ns)
		r->due_ns = wait_ns;
	return false;
}

/* Whether the oldest of a class could go as far as nobody else has a say: its class's limits, and its descriptor's own. */
static bool class_can_go(struct round *r, struct nvio_bdev_desc *desc, unsigned class)
{
	uint32_t m = atomic_load_explicit(&r->q->mask[class], memory_order_relaxed) & (3u << 2 * class);
	uint32_t own = atomic_load_explicit(&desc->qos_mask, memory_order_relaxed);
	bool can = true;

	for (; m; m &= m - 1)
		can &= look(r, &r->q->buckets[__builtin_ctz(m)]);
	for (; own; own &= own - 1)
		can &= look(r, &desc->caps[__builtin_ctz(own)]);
	return can;
}

/* The next I/O of a share, or NULL: none can go. What a lock or a reset holds back waits there instead. */
static struct nvio_bdev_io *candidate(struct round *r, struct bdev_share *s)
{
	struct nvio_bdev_io *best = NULL;

	for (unsigned class = QOS_READ; class <= QOS_WRITE; class++) {
		struct nvio_bdev_io *io;

		if (op_queue_empty(&s->unpaid[class]) || !class_can_go(r, bdev_share_desc(s), class))
			continue;
		io = bdev_op_io(s->unpaid[class].head);
		if (!best || (int64_t)(io->begun - best->begun) < 0)
			best = io;
	}
	return best;
}

/* Whether it is so far ahead of somebody on another thread that it leaves the next turn to that one. */
static bool too_far_ahead(struct round *r, const struct nvio_bdev_io *io)
{
	uint64_t lead = (LEAD_IOS * units(r->q, io) << UNIT_SHIFT) / NVIO_BDEV_WEIGHT_DEFAULT;

	list_for_each (l, &r->q->backlog) {
		struct bdev_share *s = list_entry(l, struct bdev_share, in_backlog);

		if (s->ch != r->ch && !s->stuck && (int64_t)(io->desc->vtime - bdev_share_desc(s)->vtime - lead) > 0)
			return true;
	}
	return false;
}

static bool leaves_it_to_others(struct round *r, const struct nvio_bdev_io *io)
{
	struct bdev_channel *ch = r->ch;

	if (!too_far_ahead(r, io)) {
		ch->blocked_ns = 0;
		return false;
	}
	if (!ch->blocked_ns)
		ch->blocked_ns = r->now;
	if (r->now - ch->blocked_ns >= PATIENCE_NS) {
		r->patience_over = true;
		return false;
	}
	if (!r->due_ns || r->due_ns > r->now + RECHECK_NS)
		r->due_ns = r->now + RECHECK_NS;
	return true;
}

/* The limits that all descriptors share. */
static bool take_shared(struct round *r, struct nvio_bdev_io *io, uint32_t mask)
{
	uint32_t m = mask & QOS_ALL_BITS;
	bool can = true;

	for (; m; m &= m - 1)
		can &= look(r, &r->q->buckets[__builtin_ctz(m)]);
	return can && (!(mask & QOS_IN_FLIGHT) || take_place(r->q, io));
}

static void charge(struct round *r, struct nvio_bdev_io *io, uint32_t mask)
{
	struct nvio_bdev_desc *desc = io->desc;
	uint32_t own = atomic_load_explicit(&desc->qos_mask, memory_order_relaxed);
	uint32_t weight = desc->weight ? desc->weight : NVIO_BDEV_WEIGHT_DEFAULT;

	for (uint32_t m = mask & ~QOS_IN_FLIGHT; m; m &= m - 1)
		pay(&r->q->buckets[__builtin_ctz(m)], io, __builtin_ctz(m) & QOS_BYTES);
	for (; own; own &= own - 1)
		pay(&desc->caps[__builtin_ctz(own)], io, __builtin_ctz(own) & QOS_BYTES);
	if ((int64_t)(desc->vtime - r->q->vclock) > 0)
		r->q->vclock = desc->vtime;
	desc->vtime += (units(r->q, io) << UNIT_SHIFT) / weight;
}

/* The next one goes; false: there is none, or it must wait. */
static bool let_one_go(struct round *r)
{
	struct nvio_bdev_io *best = NULL;
	struct bdev_share *share;
	uint32_t mask;

	list_for_each (l, &r->ch->unpaid) {
		struct bdev_share *s = list_entry(l, struct bdev_share, in_unpaid);
		struct nvio_bdev_io *io = candidate(r, s);

		s->stuck = !io;
		if (io && (!best || (int64_t)(io->desc->vtime - best->desc->vtime) < 0))
			best = io;
	}
	if (!best)
		return false;
	share = bdev_share(best->desc, r->ch);
	if (r->ch->gates & BDEV_GATES_HOLD && bdev_gate_holds(r->ch, best)) {
		dequeue(r->q, share, best);
		best->state |= BDEV_IO_HELD;
		op_queue_push(&r->ch->held, bdev_io_op(best));
		return true;
	}
	mask = atomic_load_explicit(&r->q->mask[classes[best->type]], memory_order_relaxed);
	if (leaves_it_to_others(r, best) || !take_shared(r, best, mask))
		return false;
	charge(r, best, mask);
	dequeue(r->q, share, best);
	op_queue_push(&r->go, bdev_io_op(best));
	return true;
}

void bdev_qos_serve(struct bdev_channel *ch)
{
	struct round r = { .ch = ch };
	struct nvio_op *op;

	/* Without room in the module they would but change queues, and their order. */
	if (list_empty(&ch->unpaid) || ch->gates & BDEV_GATE_WAITING || ch->ending)
		return;
	r.q = qos_of(ch);
	r.now = clock_now(&ch->bdev->env->clock);
	op_queue_init(&r.go);
	pthread_mutex_lock(&ch->bdev->gate.lock);
	while (let_one_go(&r))
		r.due_ns = 0;
	pthread_mutex_unlock(&ch->bdev->gate.lock);
	if (r.patience_over)
		ch->blocked_ns = 0;
	ch->qos_due_ns = list_empty(&ch->unpaid) ? 0 : r.due_ns;
	if (ch->qos_due_ns)
		bdev_timer_arm(ch, ch->qos_due_ns);
	while ((op = op_queue_pop(&r.go))) {
		bdev_recount(bdev_op_io(op));
		bdev_io_start(bdev_op_io(op));
	}
}

/* A place is free: whoever has had least of those that wait is told. */
static void tell_next(struct bdev_qos *q)
{
	struct bdev_share *next = NULL;

	list_for_each (l, &q->backlog) {
		struct bdev_share *s = list_entry(l, struct bdev_share, in_backlog);

		if (!s->stuck && (!next || (int64_t)(bdev_share_desc(s)->vtime - bdev_share_desc(next)->vtime) < 0))
			next = s;
	}
	if (next)
		bdev_gate_kick(next->ch);
}

void bdev_qos_done(struct nvio_bdev_io *io)
{
	struct bdev_channel *ch = io->channel;
	struct bdev_qos *q = qos_of(ch);

	io->state &= ~BDEV_IO_LIMITED;
	atomic_fetch_sub(&q->in_flight, 1);
	if (!atomic_load(&q->waiting))
		return;
	pthread_mutex_lock(&ch->bdev->gate.lock);
	tell_next(q);
	pthread_mutex_unlock(&ch->bdev->gate.lock);
}
