/* SPDX-License-Identifier: BSD-3-Clause */
/* The radix tree of NVMeDirect's headers, for programs that use it. The library's own cache has a table (cache.h). */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include <nvmed/radix-tree.h>

#define BITS  6
#define SLOTS (1u << BITS)
#define LEVELS ((unsigned int)(sizeof(unsigned long) * 8 + BITS - 1) / BITS)

struct radix_tree_node {
	unsigned int count;
	void *slots[SLOTS];
};

static unsigned int slot_of(unsigned long index, unsigned int level)
{
	return index >> (level * BITS) & (SLOTS - 1);
}

/* Whether a tree of that height has a place for the index. */
static bool reaches(unsigned int height, unsigned long index)
{
	return height >= LEVELS || (height && !(index >> (height * BITS)));
}

/* Takes empty nodes off the path to `index`, and levels that only 0 goes through off the top. */
static void trim(struct radix_tree_root *root, unsigned long index)
{
	struct radix_tree_node *path[LEVELS], *n = root->rnode;
	unsigned int depth = 0;

	for (unsigned int level = root->height; n && level-- > 0; n = level ? n->slots[slot_of(index, level)] : NULL)
		path[depth++] = n;
	while (depth-- > 0 && !path[depth]->count) {
		free(path[depth]);
		if (depth) {
			path[depth - 1]->slots[slot_of(index, root->height - depth)] = NULL;
			path[depth - 1]->count--;
		} else {
			root->rnode = NULL;
			root->height = 0;
		}
	}
	while (root->height > 1 && root->rnode->count == 1 && root->rnode->slots[0]) {
		n = root->rnode;
		root->rnode = n->slots[0];
		root->height--;
		free(n);
	}
}

static int grow(struct radix_tree_root *root, unsigned long index)
{
	while (!reaches(root->height, index)) {
		struct radix_tree_node *top = calloc(1, sizeof(*top));

		if (!top)
			return -ENOMEM;
		if (root->rnode) {
			top->slots[0] = root->rnode;
			top->count = 1;
		}
		root->rnode = top;
		root->height++;
	}
	return 0;
}

int radix_tree_insert(struct radix_tree_root *root, unsigned long index, void *item)
{
	struct radix_tree_node *n;
	unsigned int level;
	void **at;

	if (!item)
		return -EINVAL;
	if (radix_tree_lookup(root, index))
		return -EEXIST;
	/* An empty tree starts with the height that it needs. */
	if (grow(root, index))
		goto no_memory;
	n = root->rnode;
	for (level = root->height - 1; level > 0; level--) {
		at = &n->slots[slot_of(index, level)];
		if (!*at) {
			*at = calloc(1, sizeof(*n));
			if (!*at)
				goto no_memory;
			n->count++;
		}
		n = *at;
	}
	n->slots[slot_of(index, 0)] = item;
	n->count++;
	return 0;
no_memory:
	if (root->rnode)
		trim(root, index);
	return -ENOMEM;
}

void *radix_tree_lookup(struct radix_tree_root *root, unsigned long index)
{
	void *n = root->rnode;

	if (!reaches(root->height, index))
		return NULL;
	for (unsigned int level = root->height; n && level-- > 0;)
		n = ((struct radix_tree_node *)n)->slots[slot_of(index, level)];
	return n;
}

void *radix_tree_delete(struct radix_tree_root *root, unsigned long index)
{
	void *item = radix_tree_lookup(root, index);
	struct radix_tree_node *n = root->rnode;

	if (!item)
		return NULL;
	for (unsigned int level = root->height - 1; level > 0; level--)
		n = n->slots[slot_of(index, level)];
	n->slots[slot_of(index, 0)] = NULL;
	n->count--;
	trim(root, index);
	return item;
}

static unsigned int gather(struct radix_tree_node *n, unsigned int level, unsigned long base, unsigned long first, void **results,
	unsigned int max)
{
	unsigned int found = 0;

	for (unsigned int i = 0; i < SLOTS && found < max; i++) {
		unsigned long at = base | (unsigned long)i << (level * BITS);
		unsigned long last = level ? at | ((1ul << (level * BITS)) - 1) : at;

		if (!n->slots[i] || last < first)
			continue;
		if (level)
			found += gather(n->slots[i], level - 1, at, first, results + found, max - found);
		else
			results[found++] = n->slots[i];
	}
	return found;
}

unsigned int radix_tree_gang_lookup(struct radix_tree_root *root, void **results, unsigned long first, unsigned int max)
{
	return root->rnode ? gather(root->rnode, root->height - 1, 0, first, results, max) : 0;
}
