/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which device addresses are taken: ranges that do not overlap, and the lowest gap that something fits into. A treap in which each
 * node knows the widest gap below it, so that a search does not walk past tens of thousands of registrations. The nodes are the
 * owner's, so nothing here can run out of memory.
 */
#ifndef MEM_IOVA_H
#define MEM_IOVA_H

#include <stdbool.h>
#include <stdint.h>

struct iova_range {
	uint64_t first, last;
	/* The tree's. */
	struct iova_range *left, *right;
	uint32_t prio;
	uint64_t min, max; /* the lowest and the highest address of the subtree */
	uint64_t gap;	   /* the widest gap between two ranges of the subtree */
};

/* Zeroed: empty. */
struct iova_tree {
	struct iova_range *root;
	uint32_t coin;
};

/* Where something may go: len bytes within [first, last] at an address that is `offset` modulo `align`, a power of two. */
struct iova_ask {
	uint64_t first, last;
	uint64_t len, align, offset;
};

/* first and last are set; they overlap no other range of the tree. */
void iova_insert(struct iova_tree *tree, struct iova_range *range);
void iova_remove(struct iova_tree *tree, struct iova_range *range);

/* The range that holds addr, or NULL. */
struct iova_range *iova_find(const struct iova_tree *tree, uint64_t addr);

/* The lowest address where it fits. */
bool iova_fit(const struct iova_tree *tree, const struct iova_ask *ask, uint64_t *at);

#endif
