/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What other OS threads hand to an nvio_thread: messages (bounded, memory taken as they come) and notes (in
 * the sender's memory, never refused). Lock-free for senders. One word orders everything: how many messages
 * there ever were, whether the receiver is closed, whether it sleeps, and who is still inside a send.
 */
#ifndef THREAD_MSG_H
#define THREAD_MSG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

/*
 * The word. `sent` counts the accepted messages modulo 2^48. Because SLEEPS stands in the word that a
 * sender must change to be accepted, sending and going to sleep are ordered without a fence: either the
 * receiver, when it sets SLEEPS, gets back a count that includes the message, or the sender, when it is
 * accepted, sees SLEEPS and wakes it up. What is thereby ruled out is the store-load reordering of
 * "publish, then look whether it sleeps" against "say that I sleep, then look for more".
 */
#define MSG_SENT_BITS 48
#define MSG_SENT      ((1ull << MSG_SENT_BITS) - 1)
#define MSG_SENDER    (1ull << MSG_SENT_BITS) /* one OS thread that may still touch the queue */
#define MSG_SENDERS   (0x1fffull << MSG_SENT_BITS)
#define MSG_NOTES     (1ull << 61) /* there are notes */
#define MSG_SLEEPS    (1ull << 62)
#define MSG_CLOSED    (1ull << 63)

#define MSG_CHUNK     256u /* messages per allocation: 4 KiB */
#define MSG_MAX	      (1u << 24)

struct msg {
	void (*_Atomic fn)(void *arg); /* NULL: not written yet */
	void *arg;		       /* whoever fn says: the sender while NULL, else the receiver */
};

struct msg_chunk {
	struct msg msgs[MSG_CHUNK];
};

/*
 * Something of the sender's that is to be done on the receiver's thread; its memory is the sender's until
 * fn is called.
 */
struct note {
	struct note *next;
	void (*fn)(struct note *note);
};

struct msg_queue {
	CACHE_ALIGNED _Atomic uint64_t word; /* anyone */
	struct note *_Atomic notes;	     /* anyone; newest first */
	_Atomic uint64_t room_until; /* senders: a count that `sent` may reach; refreshed from `taken` */
	CACHE_ALIGNED _Atomic uint64_t taken; /* the receiver writes: messages taken out, modulo 2^48 */
	uint64_t idle_word;		      /* receiver: the word when nothing waited last time */
	struct note *sorted;		      /* receiver: notes in the order of sending */
	CACHE_ALIGNED struct msg_chunk *_Atomic *chunks; /* a ring of mask + 1; NULL: not needed so far */
	uint64_t mask;					 /* immutable, as is all below */
	uint32_t max;
	int wake_fd; /* eventfd */
};

/* 0; -ENOMEM; -EMFILE or -ENFILE. */
int msg_init(struct msg_queue *q, uint32_t max);

/*
 * The receiver goes: waits for the senders that are still inside to leave. The queue must be closed, or no
 * sender be left. From now on senders are refused, and closing does nothing.
 */
void msg_shut(struct msg_queue *q);

/* After msg_shut(), when nobody can know the queue any more. */
void msg_fini(struct msg_queue *q);

/* Any thread. 0; -ESHUTDOWN; -ENOBUFS. */
int msg_send(struct msg_queue *q, void (*fn)(void *arg), void *arg);

/* Any thread; not refused when closed: the caller knows by other means that the receiver still lives. */
void note_send(struct msg_queue *q, struct note *note);

/* No message is accepted from now on. Any thread. */
void msg_close(struct msg_queue *q);

/*
 * Sets the flag and wakes up a receiver that sleeps; one that looks at it after msg_sleep() misses nothing.
 * Any thread.
 */
void msg_ring(struct msg_queue *q, _Atomic bool *flag);

/* Receiver. The oldest message; false: none, or its sender has not finished writing it. */
bool msg_take(struct msg_queue *q, void (**fn)(void *arg), void **arg);

/* Receiver. The oldest note, or NULL. */
struct note *note_take(struct msg_queue *q);

/*
 * Receiver. Says that it is about to sleep on wake_fd: true; from now on the first sender writes to it.
 * False: something waits already and nothing was said. msg_awake() takes it back.
 */
bool msg_sleep(struct msg_queue *q);
void msg_awake(struct msg_queue *q);

/* Receiver. Makes wake_fd readable, or not. */
void msg_wake(struct msg_queue *q);
void msg_unwake(struct msg_queue *q);

static inline bool msg_closed(const struct msg_queue *q)
{
	/* Acquire: who sees it closed sees what was done before closing. */
	return atomic_load_explicit(&q->word, memory_order_acquire) & MSG_CLOSED;
}

/* How many messages wait. Receiver. Relaxed: the message itself is read only after an acquire of its fn. */
static inline uint64_t msg_waiting(const struct msg_queue *q)
{
	return (atomic_load_explicit(&q->word, memory_order_relaxed) -
		       atomic_load_explicit(&q->taken, memory_order_relaxed)) &
	       MSG_SENT;
}

static inline bool note_waiting(const struct msg_queue *q)
{
	return atomic_load_explicit(&q->word, memory_order_relaxed) & MSG_NOTES;
}

/* Either of them. */
static inline bool mail_waiting(const struct msg_queue *q)
{
	return (atomic_load_explicit(&q->word, memory_order_relaxed) & (MSG_NOTES | MSG_SENT)) !=
	       atomic_load_explicit(&q->taken, memory_order_relaxed);
}

/* Whether it is worth asking mail_seen(): one compare, for the hot path. Receiver. */
static inline bool mail_moved(const struct msg_queue *q)
{
	return atomic_load_explicit(&q->word, memory_order_relaxed) != q->idle_word;
}

/* Nothing waits, and mail_moved() says no until a sender comes. Receiver. */
static inline bool mail_seen(struct msg_queue *q)
{
	uint64_t word = atomic_load_explicit(&q->word, memory_order_relaxed);

	if ((word & (MSG_NOTES | MSG_SENT)) != atomic_load_explicit(&q->taken, memory_order_relaxed))
		return false;
	q->idle_word = word;
	return true;
}

#endif
