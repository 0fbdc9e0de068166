/* SPDX-License-Identifier: BSD-3-Clause */
/* Device addresses that are taken; see iova.h. Depth is that of a treap, about twice the logarithm, so recursion is shallow. */
#include "mem/iova.h"

#include "base/compiler.h"

static uint32_t toss(struct iova_tree *tree)
{
	uint32_t x = tree->coin ? tree->coin : 1;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return tree->coin = x;
}

/* What t says of its subtree, from what its children say of theirs. */
static void update(struct iova_range *t)
{
	const struct iova_range *l = t->left, *r = t->right;

	t->min = l ? l->min : t->first;
	t->max = r ? r->max : t->last;
	t->gap = 0;
	if (l)
		t->gap = MAX(l->gap, t->first - l->max - 1);
	if (r)
		t->gap = MAX(t->gap, MAX(r->gap, r->min - t->last - 1));
}

static struct iova_range *join(struct iova_range *below, struct iova_range *above)
{
	struct iova_range *top;

	if (!below || !above)
		return below ? below : above;
	if (below->prio >= above->prio) {
		top = below;
		top->right = join(below->right, above);
	} else {
		top = above;
		top->left = join(below, above->left);
	}
	update(top);
	return top;
}

/* Ranges that begin before `at`, and the others. */
static void split(struct iova_range *t, uint64_t at, struct iova_range **below, struct iova_range **above)
{
	if (!t) {
		*below = *above = NULL;
		return;
	}
	if (t->first < at) {
		split(t->right, at, &t->right, above);
		*below = t;
	} else {
		split(t->left, at, below, &t->left);
		*above = t;
	}
	update(t);
}

void iova_insert(struct iova_tree *tree, struct iova_range *range)
{
	struct iova_range *below, *above;

	range->left = range->right = NULL;
	range->prio = toss(tree);
	update(range);
	split(tree->root, range->first, &below, &above);
	tree->root = join(join(below, range), above);
}

void iova_remove(struct iova_tree *tree, struct iova_range *range)
{
	struct iova_range *below, *rest, *above, *self;

	split(tree->root, range->first, &below, &rest);
	split(rest, range->first + 1, &self, &above);
	tree->root = join(below, above);
	range->left = range->right = NULL;
}

struct iova_range *iova_find(const struct iova_tree *tree, uint64_t addr)
{
	struct iova_range *t = tree->root;

	while (t && (addr < t->first || addr > t->last))
		t = addr < t->first ? t->left : t->right;
	return t;
}

/* Whether it fits between two neighbours, which leave [lo, hi] free. */
static bool fits(const struct iova_ask *ask, uint64_t lo, uint64_t hi, uint64_t *at)
{
	uint64_t up, start;

	if (lo > hi)
		return false;
	up = (ask->offset - lo) & (ask->align - 1);
	if (hi - lo < up)
		return false;
	start = lo + up;
	if (hi - start < ask->len - 1)
		return false;
	*at = start;
	return true;
}

/* The widest gap there can be in [lo, hi] around t's subtree. */
static bool wide_enough(const struct iova_range *t, uint64_t lo, uint64_t hi, uint64_t len)
{
	return t->gap >= len || (t->min > lo && t->min - lo >= len) || (hi > t->max && hi - t->max >= len);
}

/* t's subtree is all that is taken of [lo, hi], and may reach beyond it. */
static bool search(const struct iova_range *t, const struct iova_ask *ask, uint64_t lo, uint64_t hi, uint64_t *at)
{
	if (!t || lo > hi)
		return fits(ask, lo, hi, at);
	if (!wide_enough(t, lo, hi, ask->len))
		return false;
	if (t->first > lo && search(t->left, ask, lo, MIN(hi, t->first - 1), at))
		return true;
	return t->last < hi && search(t->right, ask, MAX(lo, t->last + 1), hi, at);
}

bool iova_fit(const struct iova_tree *tree, const struct iova_ask *ask, uint64_t *at)
{
	return search(tree->root, ask, ask->first, ask->last, at);
}
