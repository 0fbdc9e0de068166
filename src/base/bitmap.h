/* SPDX-License-Identifier: BSD-3-Clause */
/* Bitmaps in the caller's words: free identifiers, used clusters. One thread at a time. */
#ifndef BASE_BITMAP_H
#define BASE_BITMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/compiler.h"

/* uint64_t map[BITMAP_WORDS(nbits)]; */
#define BITMAP_WORDS(nbits) (((nbits) + 63) / 64)

static inline void bitmap_zero(uint64_t *map, size_t nbits)
{
	memset(map, 0, BITMAP_WORDS(nbits) * sizeof(*map));
}

static inline void bitmap_set(uint64_t *map, size_t bit) { map[bit / 64] |= UINT64_C(1) << bit % 64; }
static inline void bitmap_clear(uint64_t *map, size_t bit) { map[bit / 64] &= ~(UINT64_C(1) << bit % 64); }
static inline bool bitmap_test(const uint64_t *map, size_t bit) { return map[bit / 64] >> bit % 64 & 1; }

/*
 * The first bit at `from` or after that differs from those of `flip` (all ones to find a 0, 0 to find a 1);
 * nbits when none.
 */
static inline size_t bitmap_find(const uint64_t *map, size_t nbits, size_t from, uint64_t flip)
{
	uint64_t word;
	size_t i = from / 64, bit;

	if (from >= nbits)
		return nbits;
	word = (map[i] ^ flip) & UINT64_MAX << from % 64;
	while (!word) {
		if (++i >= BITMAP_WORDS(nbits))
			return nbits;
		word = map[i] ^ flip;
	}
	bit = i * 64 + (size_t)__builtin_ctzll(word);
	return MIN(bit, nbits); /* what lies beyond nbits in the last word counts for nothing */
}

static inline size_t bitmap_find_zero(const uint64_t *map, size_t nbits, size_t from)
{
	return bitmap_find(map, nbits, from, UINT64_MAX);
}

static inline size_t bitmap_find_set(const uint64_t *map, size_t nbits, size_t from)
{
	return bitmap_find(map, nbits, from, 0);
}

static inline size_t bitmap_count(const uint64_t *map, size_t nbits)
{
	size_t n = 0;

	for (size_t i = 0; i < nbits / 64; i++)
		n += (size_t)__builtin_popcountll(map[i]);
	if (nbits % 64)
		n += (size_t)__builtin_popcountll(map[nbits / 64] << (64 - nbits % 64));
	return n;
}

#endif
