/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The radix tree of NVMeDirect's headers: from a number to a pointer, after the Linux kernel's of that name. Not safe between threads by itself.
 */
#ifndef NVMED_RADIX_TREE_H
#define NVMED_RADIX_TREE_H

#ifdef __cplusplus
extern "C" {
#endif

#ifndef NVMED_EXPORT
#define NVMED_EXPORT __attribute__((visibility("default")))
#endif

struct radix_tree_node;

struct radix_tree_root {
	unsigned int height; /* of 6 bits each; 0: empty, or the one item 0 */
	struct radix_tree_node *rnode;
};

#define RADIX_TREE_INIT { 0, 0 }
#define RADIX_TREE(name) struct radix_tree_root name = RADIX_TREE_INIT
#define INIT_RADIX_TREE(root)          \
	do {                           \
		(root)->height = 0;    \
		(root)->rnode = 0;     \
	} while (0)

/* 0; -EINVAL `item` is NULL; -EEXIST there is one; -ENOMEM, and nothing has changed. */
NVMED_EXPORT int radix_tree_insert(struct radix_tree_root *root, unsigned long index, void *item);

/* The item, or NULL. */
NVMED_EXPORT void *radix_tree_lookup(struct radix_tree_root *root, unsigned long index);

/* Takes the item out and returns it; NULL there was none. Memory goes with the last item. */
NVMED_EXPORT void *radix_tree_delete(struct radix_tree_root *root, unsigned long index);

/* Up to `max` items from `first` on, in order. How many. */
NVMED_EXPORT unsigned int radix_tree_gang_lookup(struct radix_tree_root *root, void **results, unsigned long first,
	unsigned int max);

#ifdef __cplusplus
}
#endif

#endif
