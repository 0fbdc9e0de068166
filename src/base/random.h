/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random numbers from a seed: the same seed gives the same numbers on every machine, which is what makes a
 * simulated failure repeatable. The generator is Blackman and Vigna's xoshiro256**; not for secrets.
 */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

struct random {
	uint64_t s[4];
};

/* Any seed will do, 0 too. */
void random_init(struct random *r, uint64_t seed);

/* A seed from the operating system, never 0. */
uint64_t random_os_seed(void);

static inline uint64_t random_u64(struct random *r)
{
	uint64_t *s = r->s;
	uint64_t scaled = s[1] * 5;
	uint64_t result = (scaled << 7 | scaled >> 57) * 9;
	uint64_t shifted = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= shifted;
	s[3] = s[3] << 45 | s[3] >> 19;
	return result;
}

/* 0 to n - 1, each equally likely; 0 for n = 0. */
uint64_t random_below(struct random *r, uint64_t n);

/* True with this probability: never at 0 and below, always at 1 and above. */
bool random_bool(struct random *r, double probability);

void random_fill(struct random *r, void *buf, size_t len);

#endif
