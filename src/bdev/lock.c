/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Locks of ranges, and quiesce, which is one of everything. All that were asked for are in one list, oldest first: one that overlaps an
 * older one is queued, else it is asked of the channels (gate.c), and held once each has drained.
 */
#include <inttypes.h>

#include "bdev/gate.h"
#include <nvio/bdev_lock.h>

/* bdev_lock.state */
enum {
	LOCK_NONE,
	LOCK_QUEUED,
	LOCK_ASKED,
	LOCK_HELD,
};

/* What lies in an nvio_bdev_lock. */
struct public_lock {
	struct bdev_lock lock;
	struct nvio_bdev_desc *desc;
};

nvio_static_assert(sizeof(struct public_lock) <= sizeof(struct nvio_bdev_lock), "part of the ABI");

static bool overlap(const struct bdev_lock *lock, uint64_t offset, uint64_t len)
{
	return offset < lock->offset + lock->len && lock->offset < offset + len;
}

static bool conflict(const struct bdev_lock *a, const struct bdev_lock *b)
{
	return !(a->keeps_out & BDEV_LOCK_SEEN) && !(b->keeps_out & BDEV_LOCK_SEEN) && overlap(a, b->offset, b->len);
}

/* Whether the channel goes by it. */
static bool seen(const struct bdev_channel *ch, const struct bdev_lock *lock)
{
	return lock->state >= LOCK_ASKED && lock->gen <= ch->seen_gen;
}

bool bdev_locks_keep_out(const struct bdev_channel *ch)
{
	list_for_each (l, &ch->bdev->gate.locks) {
		const struct bdev_lock *lock = list_entry(l, struct bdev_lock, link);

		if (lock->keeps_out & ~BDEV_LOCK_SEEN && seen(ch, lock))
			return true;
	}
	return false;
}

static bool keeps_out(const struct bdev_lock *lock, const struct nvio_bdev_io *io)
{
	if (lock->keeps_out & BDEV_LOCK_ALL)
		return true;
	switch (io->type) {
	case NVIO_BDEV_IO_READ:
	case NVIO_BDEV_IO_COMPARE: return lock->keeps_out & BDEV_LOCK_READS && overlap(lock, io->offset, io->len);
	case NVIO_BDEV_IO_FLUSH: return false;
	case NVIO_BDEV_IO_NVME:
	case NVIO_BDEV_IO_NVME_ADMIN: return lock->keeps_out & BDEV_LOCK_WRITES;
	case NVIO_BDEV_IO_COPY:
		if (lock->keeps_out & BDEV_LOCK_READS && overlap(lock, io->src, io->len))
			return true;
		break;
	default: break;
	}
	return lock->keeps_out & BDEV_LOCK_WRITES && overlap(lock, io->offset, io->len);
}

bool bdev_locks_hold(const struct bdev_channel *ch, const struct nvio_bdev_io *io)
{
	list_for_each (l, &ch->bdev->gate.locks) {
		const struct bdev_lock *lock = list_entry(l, struct bdev_lock, link);

		if (!seen(ch, lock) || (lock->ch == ch && !(lock->keeps_out & BDEV_LOCK_OWN)))
			continue;
		if (keeps_out(lock, io))
			return true;
	}
	return false;
}

static void one_channel_less(struct bdev_lock *lock)
{
	if (--lock->pending)
		return;
	lock->state = LOCK_HELD;
	bdev_gate_kick(lock->ch);
}

/* Those that only want to be known of. */
void bdev_locks_seen(struct bdev_channel *ch, uint64_t before)
{
	list_for_each (l, &ch->bdev->gate.locks) {
		struct bdev_lock *lock = list_entry(l, struct bdev_lock, link);

		if (lock->state == LOCK_ASKED && lock->keeps_out & BDEV_LOCK_SEEN && lock->gen > before &&
			lock->gen <= ch->seen_gen)
			one_channel_less(lock);
	}
}

void bdev_locks_drained(struct bdev_channel *ch, uint64_t before)
{
	list_for_each (l, &ch->bdev->gate.locks) {
		struct bdev_lock *lock = list_entry(l, struct bdev_lock, link);

		if (lock->state == LOCK_ASKED && !(lock->keeps_out & BDEV_LOCK_SEEN) && lock->gen > before &&
			lock->gen <= ch->drained_gen)
			one_channel_less(lock);
	}
}

static bool must_queue(const struct bdev_gate *g, const struct bdev_lock *lock)
{
	for (const struct list *l = g->locks.next; l != &lock->link; l = l->next)
		if (conflict(list_entry(l, struct bdev_lock, link), lock))
			return true;
	return false;
}

/* Its turn has come: all channels are asked. */
static void ask(struct bdev_gate *g, struct bdev_lock *lock)
{
	lock->state = LOCK_ASKED;
	lock->gen = ++g->gen;
	lock->pending = g->channel_count;
	bdev_gate_kick_all(g);
}

/* It is out of the list, and those that it kept waiting have their turn. */
static void give_back(struct bdev_gate *g, struct bdev_lock *gone)
{
	bool asked = gone->state >= LOCK_ASKED;

	gone->state = LOCK_NONE;
	list_remove(&gone->link);
	if (asked)
		bdev_gate_kick_all(g);
	list_for_each (l, &g->locks) {
		struct bdev_lock *lock = list_entry(l, struct bdev_lock, link);

		if (lock->state == LOCK_QUEUED && conflict(gone, lock) && !must_queue(g, lock))
			ask(g, lock);
	}
}

/* A channel that holds nothing back and has no note under way can do now what it would do when kicked. */
static bool spared(struct bdev_channel *ch)
{
	if (ch->kicked || !op_queue_empty(&ch->held) || !list_empty(&ch->unpaid) || ch->ending)
		return false;
	ch->kicked = true;
	return true;
}

static bool spared_end(struct bdev_channel *ch, bool was)
{
	if (!was)
		return false;
	ch->kicked = false;
	bdev_gate_take_over(ch);
	return true;
}

/* With the request over, one way or the other, the I/O counts again. */
static void no_longer_waits(struct nvio_bdev_io *io)
{
	if (!io || !(io->state & BDEV_IO_LOCKING))
		return;
	io->state &= ~BDEV_IO_LOCKING;
	bdev_recount(io);
}

int bdev_lock(struct bdev_lock *lock)
{
	struct bdev_channel *ch = lock->ch;
	struct bdev_gate *g = &ch->bdev->gate;
	bool held, now = false;

	if (lock->io) {
		lock->io->state |= BDEV_IO_LOCKING;
		bdev_uncount(lock->io);
		if (lock->io->state & BDEV_IO_DEADLINE)
			bdev_timer_arm(ch, lock->io->deadline_ns);
	}
	pthread_mutex_lock(&g->lock);
	lock->told = false;
	lock->state = LOCK_QUEUED;
	list_push_back(&g->locks, &lock->link);
	if (!must_queue(g, lock)) {
		bool mine = spared(ch);

		ask(g, lock);
		now = spared_end(ch, mine);
	}
	pthread_mutex_unlock(&g->lock);
	if (now)
		bdev_gate_drain(ch);
	pthread_mutex_lock(&g->lock);
	held = lock->state == LOCK_HELD;
	lock->told = held;
	pthread_mutex_unlock(&g->lock);
	if (!held)
		return -EINPROGRESS;
	no_longer_waits(lock->io);
	return 0;
}

void bdev_unlock(struct bdev_lock *lock)
{
	struct bdev_channel *ch = lock->ch;
	struct bdev_gate *g = &ch->bdev->gate;
	bool now = false;

	pthread_mutex_lock(&g->lock);
	if (lock->state != LOCK_NONE) {
		bool mine = spared(ch);

		give_back(g, lock);
		now = spared_end(ch, mine);
	}
	pthread_mutex_unlock(&g->lock);
	if (now)
		bdev_gate_drain(ch);
	no_longer_waits(lock->io);
}

/* With gate.lock: one of the channel's that is held and does not know it yet. */
static struct bdev_lock *untold(struct bdev_channel *ch)
{
	list_for_each (l, &ch->bdev->gate.locks) {
		struct bdev_lock *lock = list_entry(l, struct bdev_lock, link);

		if (lock->ch == ch && lock->state == LOCK_HELD && !lock->told)
			return lock;
	}
	return NULL;
}

void bdev_locks_tell(struct bdev_channel *ch)
{
	struct bdev_gate *g = &ch->bdev->gate;
	struct bdev_lock *lock;

	do {
		pthread_mutex_lock(&g->lock);
		lock = untold(ch);
		if (lock)
			lock->told = true;
		pthread_mutex_unlock(&g->lock);
		if (!lock)
			break;
		no_longer_waits(lock->io);
		lock->granted(lock, 0);
	} while (lock);
}

/* A request of the channel's that was made for an I/O, this one or any, and that its I/O still waits for. */
static struct bdev_lock *request_of(struct bdev_channel *ch, const struct nvio_bdev_io *io)
{
	list_for_each (l, &ch->bdev->gate.locks) {
		struct bdev_lock *lock = list_entry(l, struct bdev_lock, link);

		if (lock->ch == ch && lock->io && !lock->told && (!io || lock->io == io))
			return lock;
	}
	return NULL;
}

/* One request less; false: there was none. */
static bool end_request(struct bdev_channel *ch, struct nvio_bdev_io *io, int status)
{
	struct bdev_gate *g = &ch->bdev->gate;
	struct bdev_lock *lock;

	pthread_mutex_lock(&g->lock);
	lock = request_of(ch, io);
	if (lock)
		give_back(g, lock);
	pthread_mutex_unlock(&g->lock);
	if (!lock)
		return false;
	no_longer_waits(lock->io);
	lock->granted(lock, status);
	return true;
}

void bdev_lock_end(struct bdev_channel *ch, struct nvio_bdev_io *io, int status)
{
	end_request(ch, io, status);
}

void bdev_locks_end_all(struct bdev_channel *ch, int status)
{
	while (end_request(ch, NULL, status))
		;
}

/* With gate.lock: one whose deadline has passed; the next deadline of the others. */
static struct nvio_bdev_io *late(struct bdev_channel *ch, uint64_t now, uint64_t *next)
{
	list_for_each (l, &ch->bdev->gate.locks) {
		struct bdev_lock *lock = list_entry(l, struct bdev_lock, link);

		if (lock->ch != ch || !lock->io || lock->told || !(lock->io->state & BDEV_IO_DEADLINE))
			continue;
		if (lock->io->deadline_ns <= now)
			return lock->io;
		if (!*next || lock->io->deadline_ns < *next)
			*next = lock->io->deadline_ns;
	}
	return NULL;
}

uint64_t bdev_locks_timeout(struct bdev_channel *ch, uint64_t now)
{
	struct bdev_gate *g = &ch->bdev->gate;
	struct nvio_bdev_io *io;
	uint64_t next;

	do {
		next = 0;
		pthread_mutex_lock(&g->lock);
		io = late(ch, now, &next);
		pthread_mutex_unlock(&g->lock);
		if (io)
			bdev_lock_end(ch, io, -ETIMEDOUT);
	} while (io);
	return next;
}

static struct public_lock *public_of(struct nvio_bdev_lock *lock)
{
	return (struct public_lock *)lock->priv;
}

static void public_granted(struct bdev_lock *lock, int status)
{
	struct nvio_bdev_io *io = lock->io;

	lock->io = NULL;
	bdev_request_end(io, status);
}

void bdev_locks_release(struct bdev_gate *g, const struct bdev_channel *ch, const struct nvio_bdev_desc *desc)
{
	/* Giving back changes the states of others, and takes none but this one out of the list. */
	list_for_each_safe (l, &g->locks) {
		struct bdev_lock *lock = list_entry(l, struct bdev_lock, link);
		bool its = lock->granted == public_granted && container_of(lock, struct public_lock, lock)->desc == desc;

		if (lock->ch == ch || (desc && its))
			give_back(g, lock);
	}
}

static int lock_request(struct nvio_bdev_desc *desc, struct nvio_channel *handle, struct nvio_bdev_lock *lock,
	uint64_t offset, uint64_t len, uint32_t keeps_out, struct nvio_op *op)
{
	struct public_lock *p = public_of(lock);

	p->desc = desc;
	p->lock = (struct bdev_lock){
		.offset = offset,
		.len = len,
		.ch = channel_ctx(handle),
		.io = bdev_request_begin(desc, handle, op, NVIO_BDEV_IO_FLUSH),
		.granted = public_granted,
		.keeps_out = keeps_out,
	};
	if (!bdev_lock(&p->lock))
		public_granted(&p->lock, 0);
	return 0;
}

static int lock_check(const char *what, const struct nvio_bdev_desc *desc, const struct nvio_channel *handle,
	struct nvio_bdev_lock *lock, const struct nvio_op *op)
{
	int rc = bdev_request_check(what, desc, handle, op);

	if (rc)
		return rc;
	if (!lock)
		return fail(-EINVAL, "bdev: %s: %s: the lock is NULL", what, desc->bdev->name);
	if (public_of(lock)->lock.state != LOCK_NONE)
		return fail(-EINVAL, "bdev: %s: %s: the lock is in use, or its memory was not zeroed", what, desc->bdev->name);
	return 0;
}

int nvio_bdev_lock_range(struct nvio_bdev_desc *desc, struct nvio_channel *ch, struct nvio_bdev_lock *lock, uint64_t offset,
	uint64_t len, uint32_t flags, struct nvio_op *op)
{
	int rc = lock_check("lock", desc, ch, lock, op);
	uint32_t keeps_out = BDEV_LOCK_WRITES;
	uint64_t size;

	if (rc)
		return rc;
	size = nvio_bdev_size_bytes(desc->bdev);
	if (flags & ~(NVIO_BDEV_LOCK_READS | NVIO_BDEV_LOCK_OWN))
		return fail(-EINVAL, "bdev: lock: %s: unknown flags 0x%x", desc->bdev->name, flags);
	if (!len || (offset | len) & desc->bdev->block_mask)
		return fail(-EINVAL,
			"bdev: lock: %s: offset %" PRIu64 " and length %" PRIu64
			" must be multiples of the block size %u, and the length not 0",
			desc->bdev->name, offset, len, desc->bdev->block_size);
	if (len > size || offset > size - len)
		return fail(-ERANGE, "bdev: lock: %s: offset %" PRIu64 " and length %" PRIu64 " are beyond the end at %" PRIu64,
			desc->bdev->name, offset, len, size);
	if (flags & NVIO_BDEV_LOCK_READS)
		keeps_out |= BDEV_LOCK_READS;
	if (flags & NVIO_BDEV_LOCK_OWN)
		keeps_out |= BDEV_LOCK_OWN;
	return lock_request(desc, ch, lock, offset, len, keeps_out, op);
}

int nvio_bdev_quiesce(
	struct nvio_bdev_desc *desc, struct nvio_channel *ch, struct nvio_bdev_lock *lock, struct nvio_op *op)
{
	int rc = lock_check("quiesce", desc, ch, lock, op);

	return rc ? rc : lock_request(desc, ch, lock, 0, BDEV_LOCK_END, BDEV_LOCK_ALL | BDEV_LOCK_OWN, op);
}

static int unlock(const char *what, struct nvio_bdev_lock *lock)
{
	if (!lock)
		return fail(-EINVAL, "bdev: %s: the lock is NULL", what);
	if (public_of(lock)->lock.state != LOCK_HELD || !public_of(lock)->lock.told)
		return fail(-EINVAL, "bdev: %s: the lock is not held", what);
	checked(thread_current() == public_of(lock)->lock.ch->thread);
	bdev_unlock(&public_of(lock)->lock);
	return 0;
}

int nvio_bdev_unlock_range(struct nvio_bdev_lock *lock)
{
	return unlock("unlock", lock);
}

int nvio_bdev_unquiesce(struct nvio_bdev_lock *lock)
{
	return unlock("unquiesce", lock);
}
