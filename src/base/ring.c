/* SPDX-License-Identifier: BSD-3-Clause */
/* Making and ending of the ring; its use is in ring.h, to be read in one piece. */
#include "base/ring.h"

#include <errno.h>

#include "base/alloc.h"
#include "base/fail.h"

#define CAPACITY_MAX (1u << 30)

int ring_init(struct ring *ring, uint32_t capacity, void *memory)
{
	if (capacity < 2 || capacity > CAPACITY_MAX || !IS_POWER_OF_2(capacity))
		return fail(-EINVAL, "ring: init: capacity %u is not a power of two from 2 to 2^30",
			capacity);
	ring->slots = memory ? memory : alloc_array(capacity, sizeof(*ring->slots));
	if (!ring->slots)
		return fail(-ENOMEM, "ring: init: no memory for %u slots", capacity);
	ring->owns_slots = !memory;
	ring->mask = capacity - 1;
	ring->tail = 0;
	atomic_init(&ring->head, 0);
	for (uint32_t i = 0; i < capacity; i++)
		atomic_init(&ring->slots[i].turn, i);
	return 0;
}

void ring_fini(struct ring *ring)
{
	if (ring->owns_slots)
		alloc_free(ring->slots);
	ring->slots = NULL;
}
