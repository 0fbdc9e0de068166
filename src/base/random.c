/* SPDX-License-Identifier: BSD-3-Clause */
/* Seeding, and the distributions drawn from the generator in random.h. */
#include "base/random.h"

#include <string.h>
#include <sys/random.h>

#include "base/clock.h"

/*
 * Steele, Lea and Flood's splitmix64: spreads a seed of few bits over the whole state, which so never is all
 * zero.
 */
static uint64_t splitmix(uint64_t *x)
{
	uint64_t z = *x += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

void random_init(struct random *r, uint64_t seed)
{
	for (unsigned i = 0; i < ARRAY_SIZE(r->s); i++)
		r->s[i] = splitmix(&seed);
}

uint64_t random_os_seed(void)
{
	uint64_t seed;

	/* In a sandbox without the call, time is random enough for what this is used for. */
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		seed = clock_monotonic_ns();
	return seed ? seed : 1;
}

uint64_t random_below(struct random *r, uint64_t n)
{
	uint64_t limit, x;

	if (!n)
		return 0;
	/*
	 * 2^64 mod n values at the bottom would make some results likelier than others; draw again for those.
	 */
	limit = (0 - n) % n;
	do {
		x = random_u64(r);
	} while (x < limit);
	return x % n;
}

bool random_bool(struct random *r, double probability)
{
	return (double)(random_u64(r) >> 11) * 0x1p-53 < probability;
}

void random_fill(struct random *r, void *buf, size_t len)
{
	unsigned char *p = buf;

	while (len) {
		uint64_t x = random_u64(r);
		size_t n = MIN(len, sizeof(x));

		memcpy(p, &x, n);
		p += n;
		len -= n;
	}
}
