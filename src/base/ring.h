/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A bounded queue of pointers from any number of producers to one consumer, lock-free: how one OS thread
 * hands work to another. Each slot carries the position at which it may next be written or read (after Dmitry
 * Vyukov's bounded queue), so producers meet on one counter only, and the consumer writes nothing that
 * producers spin on.
 */
#ifndef BASE_RING_H
#define BASE_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

struct ring_slot {
	_Atomic uint64_t turn; /* position: free for the push there; position + 1: filled for the pop there */
	void *ptr;             /* whose turn it is: the producer's of that position, then the consumer's */
};

struct ring {
	CACHE_ALIGNED _Atomic uint64_t head; /* producers: where the next push goes */
	CACHE_ALIGNED uint64_t tail;         /* consumer: where the next pop is from */
	CACHE_ALIGNED struct ring_slot *slots; /* immutable, as is all below */
	uint64_t mask;
	bool owns_slots;
};

/* Bytes of memory for ring_init(), aligned to 8. */
static inline size_t ring_bytes(uint32_t capacity) { return capacity * sizeof(struct ring_slot); }

/*
 * `capacity` is a power of two, 2 to 2^30. `memory` (ring_bytes(capacity)) stays the caller's; NULL: from the
 * heap. 0; -EINVAL; -ENOMEM. Nothing is left behind by a failure.
 */
int ring_init(struct ring *ring, uint32_t capacity, void *memory);

/* Forgets what is still in it. No other thread may use it any more. */
void ring_fini(struct ring *ring);

/* False: it is full, and nothing happened. Any thread. */
static inline bool ring_push(struct ring *ring, void *ptr)
{
	/* Relaxed: a stale head is found out below, by the slot's turn or by the exchange. */
	uint64_t pos = atomic_load_explicit(&ring->head, memory_order_relaxed);
	struct ring_slot *slot;

	for (;;) {
		int64_t ahead;

		slot = &ring->slots[pos & ring->mask];
		/*
		 * Acquire: our write of slot->ptr must not move before the look that says that the consumer
		 * has read the pointer of the round before; pairs with the release in ring_pop().
		 */
		ahead = (int64_t)(atomic_load_explicit(&slot->turn, memory_order_acquire) - pos);
		if (ahead < 0)
			return false; /* still holds the pointer of the round before */
		if (ahead > 0) {
			pos = atomic_load_explicit(&ring->head, memory_order_relaxed);
			continue;
		}
		/* Relaxed: this only claims the position among producers; the data is ordered by the turn. */
		if (atomic_compare_exchange_weak_explicit(&ring->head, &pos, pos + 1, memory_order_relaxed,
				memory_order_relaxed))
			break;
	}
	slot->ptr = ptr;
	/*
	 * Release: the pointer, and all that it points to, must not be seen later than the turn that
	 * announces it.
	 */
	atomic_store_explicit(&slot->turn, pos + 1, memory_order_release);
	return true;
}

/*
 * Takes up to `max` pointers, in the order of pushing per producer; returns how many. A push that has claimed
 * its place but not yet filled it hides those behind it until it has. Consumer only.
 */
static inline unsigned ring_pop(struct ring *ring, void **ptrs, unsigned max)
{
	unsigned n = 0;

	for (; n < max; n++) {
		struct ring_slot *slot = &ring->slots[ring->tail & ring->mask];

		/*
		 * Acquire: the read of slot->ptr, and of what it points to, must not move before this look.
		 */
		if (atomic_load_explicit(&slot->turn, memory_order_acquire) != ring->tail + 1)
			break;
		ptrs[n] = slot->ptr;
		/*
		 * Release: our read of slot->ptr must not move behind the store that gives the slot to the
		 * next round.
		 */
		atomic_store_explicit(&slot->turn, ring->tail + ring->mask + 1, memory_order_release);
		ring->tail++;
	}
	return n;
}

/*
 * Whether a pop would find nothing. Consumer only. A consumer that is about to sleep announces that, then
 * needs atomic_thread_fence(memory_order_seq_cst), then looks here; a producer pushes, needs the same fence,
 * then looks for the announcement: without the two fences each may miss the other's store.
 */
static inline bool ring_empty(struct ring *ring)
{
	struct ring_slot *slot = &ring->slots[ring->tail & ring->mask];

	return atomic_load_explicit(&slot->turn, memory_order_acquire) != ring->tail + 1;
}

#endif
