/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The mailbox of an nvio_thread. Messages lie in chunks that hang in a ring; a sender first sees to it that
 * the chunk of its position exists, then is accepted at that position by exchanging the word, then writes.
 * An accepted message is never lost, for closing is a bit of the same word.
 */
#include "thread/msg.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fail.h"

int msg_init(struct msg_queue *q, uint32_t max)
{
	uint64_t chunks = 4; /* the partly used ones at both ends, and the one that is being given back */
	int rc;

	memset(q, 0, sizeof(*q));
	while (chunks < DIV_ROUND_UP(max, MSG_CHUNK) + 3)
		chunks *= 2;
	q->chunks = alloc_array(chunks, sizeof(*q->chunks));
	if (!q->chunks)
		return fail(-ENOMEM, "thread: message queue: no memory for %u messages", max);
	q->mask = chunks - 1;
	q->max = max;
	q->room_until = max;
	q->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (q->wake_fd < 0) {
		rc = fail(-errno, "thread: eventfd: %s; each thread needs three descriptors (ulimit -n)",
			strerror(errno));
		goto free_chunks;
	}
	return 0;

free_chunks:
	alloc_free(q->chunks);
	return rc;
}

void msg_shut(struct msg_queue *q)
{
	atomic_fetch_or_explicit(&q->word, MSG_CLOSED, memory_order_relaxed);
	/*
	 * Acquire: the last touch of a sender that leaves must not move behind our freeing; pairs with
	 * leave().
	 */
	while (atomic_load_explicit(&q->word, memory_order_acquire) & MSG_SENDERS)
		sched_yield();
	close(q->wake_fd);
}

void msg_fini(struct msg_queue *q)
{
	/* A sender looks into the ring before it is refused, so this is for the very end. */
	for (uint64_t i = 0; i <= q->mask; i++)
		alloc_free(q->chunks[i]);
	alloc_free(q->chunks);
}

/* How far `a` is ahead of `b`, both modulo 2^48; negative: behind. */
static int64_t ahead(uint64_t a, uint64_t b)
{
	return (int64_t)((a - b) << (64 - MSG_SENT_BITS)) >> (64 - MSG_SENT_BITS);
}

static bool has_room(struct msg_queue *q, uint64_t pos)
{
	uint64_t until;

	/*
	 * Acquire, both: the receiver takes a used-up chunk out of the ring before it publishes `taken`,
	 * and we must not look at the ring before that; room_until hands on what another sender has
	 * acquired.
	 */
	if (ahead(atomic_load_explicit(&q->room_until, memory_order_acquire), pos) > 0)
		return true;
	until = (atomic_load_explicit(&q->taken, memory_order_acquire) + q->max) & MSG_SENT;
	if (ahead(until, pos) <= 0)
		return false;
	atomic_store_explicit(&q->room_until, until, memory_order_release);
	return true;
}

/* The chunk of a position, made if need be. */
static struct msg_chunk *chunk_at(struct msg_queue *q, uint64_t pos)
{
	struct msg_chunk *_Atomic *slot = &q->chunks[(pos / MSG_CHUNK) & q->mask];
	/* Acquire: the chunk's zeroed messages are seen no later than the chunk. */
	struct msg_chunk *chunk = atomic_load_explicit(slot, memory_order_acquire);
	struct msg_chunk *mine;

	if (likely(chunk))
		return chunk;
	mine = alloc_zeroed(sizeof(*mine));
	if (!mine)
		return NULL;
	if (atomic_compare_exchange_strong_explicit(
		    slot, &chunk, mine, memory_order_acq_rel, memory_order_acquire))
		return mine;
	alloc_free(mine); /* another sender was faster */
	return chunk;
}

static void leave(struct msg_queue *q)
{
	/* Release: nothing of this send may be seen after it, for the queue may be freed then. */
	atomic_fetch_sub_explicit(&q->word, MSG_SENDER, memory_order_release);
}

/*
 * One step of a loop: enters as a sender, with the bits `set`, the count of messages moved by `count` and
 * SLEEPS gone unless it is in `set`; *word is the word from before. False: not entered, and *word is fresh.
 * 8,191 senders at once is the bound; one more waits here.
 */
static bool enter(struct msg_queue *q, uint64_t *word, uint64_t set, uint64_t count)
{
	uint64_t next;

	if (unlikely((*word & MSG_SENDERS) == MSG_SENDERS)) {
		sched_yield();
		*word = atomic_load_explicit(&q->word, memory_order_relaxed);
		return false;
	}
	next = (*word & (MSG_SENDERS | MSG_CLOSED | MSG_NOTES)) + MSG_SENDER;
	next |= set | ((*word + count) & MSG_SENT);
	/*
	 * Acquire and release: the order between senders and a receiver that goes to sleep (see
	 * MSG_SLEEPS).
	 */
	return atomic_compare_exchange_weak_explicit(
		&q->word, word, next, memory_order_acq_rel, memory_order_relaxed);
}

int msg_send(struct msg_queue *q, void (*fn)(void *arg), void *arg)
{
	uint64_t word = atomic_load_explicit(&q->word, memory_order_relaxed);
	struct msg_chunk *chunk;
	struct msg *msg;

	do {
		if (unlikely(word & MSG_CLOSED))
			return fail(-ESHUTDOWN, "thread: send: the thread is exiting");
		if (unlikely(!has_room(q, word & MSG_SENT)))
			return fail(-ENOBUFS,
				"thread: send: %u messages wait already; poll the thread, or raise max_msgs",
				q->max);
		chunk = chunk_at(q, word & MSG_SENT);
		if (unlikely(!chunk))
			return fail(-ENOBUFS, "thread: send: no memory for another message");
	} while (!enter(q, &word, 0, 1));

	/*
	 * The chunk is the right one although it was looked up before: had its position been used up in the
	 * meantime, the count would have moved on and the exchange failed.
	 */
	msg = &chunk->msgs[word % MSG_CHUNK];
	msg->arg = arg;
	/* Release: arg, and what it points to, is seen no later than fn. */
	atomic_store_explicit(&msg->fn, fn, memory_order_release);
	if (word & MSG_SLEEPS)
		msg_wake(q);
	leave(q);
	return 0;
}

void note_send(struct msg_queue *q, struct note *note)
{
	uint64_t word = atomic_load_explicit(&q->word, memory_order_relaxed);

	/* Counted as a sender first: once it can be seen, the note may lead to the end of the receiver. */
	while (!enter(q, &word, word & MSG_SLEEPS, 0))
		;
	note->next = atomic_load_explicit(&q->notes, memory_order_relaxed);
	/* Release: the note's content is seen no later than the note. */
	while (!atomic_compare_exchange_weak_explicit(
		&q->notes, &note->next, note, memory_order_release, memory_order_relaxed))
		;
	/*
	 * Release: who sees the bit, or sets SLEEPS after this, sees the note. Acquire: who set SLEEPS before
	 * is seen here, and is woken; only one of several senders finds it.
	 */
	do {
		word = atomic_load_explicit(&q->word, memory_order_relaxed);
	} while (!atomic_compare_exchange_weak_explicit(&q->word, &word, (word & ~MSG_SLEEPS) | MSG_NOTES,
		memory_order_acq_rel, memory_order_relaxed));
	if (word & MSG_SLEEPS)
		msg_wake(q);
	leave(q);
}

void msg_close(struct msg_queue *q)
{
	uint64_t word = atomic_load_explicit(&q->word, memory_order_relaxed);

	do {
		if (word & MSG_CLOSED)
			return;
	} while (!enter(q, &word, MSG_CLOSED, 0));
	if (word & MSG_SLEEPS)
		msg_wake(q);
	leave(q);
}

void msg_ring(struct msg_queue *q, _Atomic bool *flag)
{
	uint64_t word = atomic_load_explicit(&q->word, memory_order_relaxed);

	/* Counted as a sender first: the flag may lead to the end of the receiver. */
	while (!enter(q, &word, word & (MSG_SLEEPS | MSG_CLOSED), 0))
		;
	atomic_store_explicit(flag, true, memory_order_release);
	/* Acquire and release: either we find SLEEPS, or who sets it after this finds the flag. */
	word = atomic_fetch_and_explicit(&q->word, ~MSG_SLEEPS, memory_order_acq_rel);
	if (word & MSG_SLEEPS)
		msg_wake(q);
	leave(q);
}

/*
 * A chunk is used up: it serves again as the next one that senders will need, unless that is there already.
 */
static void recycle(struct msg_queue *q, uint64_t pos)
{
	struct msg_chunk *_Atomic *slot = &q->chunks[(pos / MSG_CHUNK) & q->mask];
	struct msg_chunk *chunk = atomic_load_explicit(slot, memory_order_relaxed);
	struct msg_chunk *none = NULL;
	uint64_t sent = atomic_load_explicit(&q->word, memory_order_relaxed) & MSG_SENT;

	atomic_store_explicit(slot, NULL, memory_order_relaxed);
	slot = &q->chunks[(sent / MSG_CHUNK + 1) & q->mask];
	/* Release: our last reads and the emptying of its messages come before its second life. */
	if (!atomic_compare_exchange_strong_explicit(
		    slot, &none, chunk, memory_order_release, memory_order_relaxed))
		alloc_free(chunk);
}

bool msg_take(struct msg_queue *q, void (**fn)(void *arg), void **arg)
{
	uint64_t pos = atomic_load_explicit(&q->taken, memory_order_relaxed);
	struct msg_chunk *chunk;
	struct msg *msg;

	if (!msg_waiting(q))
		return false;
	/* Acquire: see chunk_at(); it may be another thread's than the message's sender. */
	chunk = atomic_load_explicit(&q->chunks[(pos / MSG_CHUNK) & q->mask], memory_order_acquire);
	/*
	 * The word may be seen before the chunk that was hung up ahead of it: both loads are ordered by
	 * nothing here.
	 */
	if (unlikely(!chunk))
		return false;
	msg = &chunk->msgs[pos % MSG_CHUNK];
	/* Acquire: arg must not be read before fn is there. */
	*fn = atomic_load_explicit(&msg->fn, memory_order_acquire);
	if (!*fn)
		return false;
	*arg = msg->arg;
	atomic_store_explicit(&msg->fn, NULL, memory_order_relaxed);
	if (pos % MSG_CHUNK == MSG_CHUNK - 1)
		recycle(q, pos);
	/* Release: the place is free, and its chunk out of the ring, before a sender may count on it. */
	atomic_store_explicit(&q->taken, (pos + 1) & MSG_SENT, memory_order_release);
	return true;
}

/* What was sent since the last time, in the order of sending; the queue of notes is empty then. */
static struct note *sort_notes(struct msg_queue *q)
{
	struct note *sorted = NULL;
	struct note *newest;

	/* The bit first: a note that comes in between sets it again. Acquire and release keep the two in
	 * order. */
	atomic_fetch_and_explicit(&q->word, ~MSG_NOTES, memory_order_acq_rel);
	/* Acquire: the notes' content. */
	newest = atomic_exchange_explicit(&q->notes, NULL, memory_order_acquire);
	while (newest) {
		struct note *older = newest->next;

		newest->next = sorted;
		sorted = newest;
		newest = older;
	}
	return sorted;
}

struct note *note_take(struct msg_queue *q)
{
	struct note *note;

	if (!q->sorted)
		q->sorted = sort_notes(q);
	note = q->sorted;
	if (!note)
		return NULL;
	q->sorted = note->next;
	/* Some are left, so the bit must tell. */
	if (q->sorted)
		atomic_fetch_or_explicit(&q->word, MSG_NOTES, memory_order_relaxed);
	return note;
}

bool msg_sleep(struct msg_queue *q)
{
	/* Acquire and release: see MSG_SLEEPS and note_send(). */
	uint64_t word = atomic_fetch_or_explicit(&q->word, MSG_SLEEPS, memory_order_acq_rel);

	if ((word & (MSG_SENT | MSG_NOTES)) == atomic_load_explicit(&q->taken, memory_order_relaxed))
		return true;
	msg_awake(q);
	return false;
}

void msg_awake(struct msg_queue *q)
{
	atomic_fetch_and_explicit(&q->word, ~MSG_SLEEPS, memory_order_acq_rel);
}

void msg_wake(struct msg_queue *q)
{
	/* It cannot fail but by being full, which is as readable as can be. */
	(void)!write(q->wake_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
}

void msg_unwake(struct msg_queue *q)
{
	uint64_t count;

	(void)!read(q->wake_fd, &count, sizeof(count));
}
