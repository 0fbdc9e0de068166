/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pattern of `nvio perf --verify`. Each block begins with its own address and the generation of its
 * write, so that a block in the wrong place and a write that got lost can be told from each other; the rest
 * follows from the two and the seed, and the last word is a checksum, so that a torn block can be told from
 * both.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perf.h"

#define TELL_MAX 5

struct head {
	uint64_t lba;
	uint64_t generation;
	uint64_t seed;
};

static uint64_t scramble(uint64_t x)
{
	x ^= x >> 31;
	x *= UINT64_C(0x9fb21c651e98df25);
	x ^= x >> 28;
	return x;
}

static uint64_t checksum(const uint64_t *word, size_t words)
{
	uint64_t sum = UINT64_C(0x243f6a8885a308d3);

	for (size_t i = 0; i < words; i++)
		sum = (sum ^ word[i]) * UINT64_C(0x100000001b3) + (sum >> 47);
	return sum;
}

/* Blocks are a multiple of 512 bytes and the buffers aligned, so words do. */
static void fill_block(uint64_t *word, size_t words, uint64_t lba, uint32_t generation, uint64_t seed)
{
	struct head head = { lba, generation, seed };
	uint64_t x = scramble(lba * 3 + ((uint64_t)generation << 32) + seed);

	memcpy(word, &head, sizeof(head));
	for (size_t i = sizeof(head) / 8; i < words - 1; i++) {
		x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		word[i] = x;
	}
	word[words - 1] = checksum(word, words - 1);
}

int perf_verify_init(struct perf_verify *v, const struct perf *p)
{
	memset(v, 0, sizeof(*v));
	v->generation = calloc(p->units, sizeof(*v->generation));
	v->want = malloc(p->target->block_size);
	if (!v->generation || !v->want) {
		perf_verify_fini(v);
		return cli_fail("out of memory for the generations of %" PRIu64 " I/Os", p->units);
	}
	v->first = p->first;
	v->seed = p->seed;
	v->block_size = p->target->block_size;
	v->blocks = p->bs / v->block_size;
	v->next = 1;
	return CLI_OK;
}

void perf_verify_fini(struct perf_verify *v)
{
	free(v->generation);
	free(v->want);
	v->generation = NULL;
	v->want = NULL;
}

uint32_t perf_verify_fill(struct perf_verify *v, void *buf, uint64_t unit)
{
	uint32_t generation = v->next;

	/* 0 means "not written by us". */
	v->next = generation == UINT32_MAX ? 1 : generation + 1;
	for (uint32_t i = 0; i < v->blocks; i++)
		fill_block((uint64_t *)((uint8_t *)buf + (size_t)i * v->block_size), v->block_size / 8,
			unit * v->blocks + i, generation, v->seed);
	return generation;
}

static void tell(const struct perf_verify *v, const uint64_t *got, const uint64_t *want)
{
	size_t words = v->block_size / 8, at = 0;
	struct head g, w;

	memcpy(&g, got, sizeof(g));
	memcpy(&w, want, sizeof(w));
	while (at < words - 1 && got[at] == want[at])
		at++;
	if (got[words - 1] == checksum(got, words - 1) && g.seed == w.seed)
		cli_note("block %" PRIu64 ": expected generation %" PRIu64 ", got block %" PRIu64
			 " of generation %" PRIu64,
			w.lba, w.generation, g.lba, g.generation);
	else
		cli_note("block %" PRIu64 ": expected generation %" PRIu64
			 ", got damaged data: from byte %zu on, expected %016" PRIx64 ", got %016" PRIx64,
			w.lba, w.generation, at * 8, want[at], got[at]);
}

void perf_verify_check(struct perf_verify *v, const void *buf, uint64_t unit)
{
	uint32_t generation = v->generation[unit - v->first];

	if (!generation)
		return;
	for (uint32_t i = 0; i < v->blocks; i++) {
		const uint64_t *got = (const uint64_t *)((const uint8_t *)buf + (size_t)i * v->block_size);

		fill_block(v->want, v->block_size / 8, unit * v->blocks + i, generation, v->seed);
		if (!memcmp(got, v->want, v->block_size))
			continue;
		if (v->mismatches++ < TELL_MAX)
			tell(v, got, v->want);
	}
}
