/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Spans by address: a treap, so that any pointer into a buffer finds it. Balanced by coin tosses; split and
 * join are loops, so depth costs no stack.
 */
#include "mem/mem.h"

static uint32_t toss(struct mem *mem)
{
	uint32_t x = mem->prio ? mem->prio : 1;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return mem->prio = x;
}

static void split(struct mem_span *t, const char *key, struct mem_span **below, struct mem_span **above)
{
	while (t) {
		if (t->base < key) {
			*below = t;
			below = &t->right;
			t = t->right;
		} else {
			*above = t;
			above = &t->left;
			t = t->left;
		}
	}
	*below = *above = NULL;
}

static void join(struct mem_span **link, struct mem_span *below, struct mem_span *above)
{
	while (below && above) {
		if (below->prio >= above->prio) {
			*link = below;
			link = &below->right;
			below = below->right;
		} else {
			*link = above;
			link = &above->left;
			above = above->left;
		}
	}
	*link = below ? below : above;
}

void mem_tree_insert(struct mem *mem, struct mem_span *span)
{
	struct mem_span **link = &mem->tree;

	span->prio = toss(mem);
	while (*link && (*link)->prio >= span->prio)
		link = span->base < (*link)->base ? &(*link)->left : &(*link)->right;
	split(*link, span->base, &span->left, &span->right);
	*link = span;
}

void mem_tree_remove(struct mem *mem, struct mem_span *span)
{
	struct mem_span **link = &mem->tree;

	while (*link != span)
		link = span->base < (*link)->base ? &(*link)->left : &(*link)->right;
	join(link, span->left, span->right);
	span->left = span->right = NULL;
}

struct mem_span *mem_tree_floor(const struct mem *mem, const void *ptr)
{
	struct mem_span *best = NULL, *t = mem->tree;
	uintptr_t key = (uintptr_t)ptr;

	while (t) {
		if ((uintptr_t)t->base <= key) {
			best = t;
			t = t->right;
		} else {
			t = t->left;
		}
	}
	return best;
}

struct mem_span *mem_tree_find(const struct mem *mem, const void *ptr)
{
	struct mem_span *span = mem_tree_floor(mem, ptr);

	return span && (uintptr_t)ptr - (uintptr_t)span->base < span->len ? span : NULL;
}
