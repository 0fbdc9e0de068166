/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * By which name which device is found: a hash table of names, aliases and uuids, so that ten thousand devices
 * are found, and made, as fast as ten. All of it under the registry lock.
 */
#ifndef BDEV_NAMES_H
#define BDEV_NAMES_H

#include <stdbool.h>
#include <stdint.h>

struct nvio_bdev;

/* One way to find a device. */
struct bdev_name {
	struct bdev_name *next; /* in its bucket; of those alike the oldest first */
	struct nvio_bdev *bdev;
	const void *key; /* a text, or 16 bytes of uuid */
	bool is_uuid;
};

struct bdev_alias {
	struct bdev_name name;
	char text[];
};

struct bdev_names {
	struct bdev_name **buckets;
	unsigned bits;	/* 1 << bits buckets */
	uint32_t count; /* of names in them */
};

/* 0; -ENOMEM */
int bdev_names_init(struct bdev_names *names);
void bdev_names_fini(struct bdev_names *names);
/* Never fails: without memory for more buckets they only get longer. */
void bdev_names_add(struct bdev_names *names, struct bdev_name *name, struct nvio_bdev *bdev, const void *key,
	bool is_uuid);
void bdev_names_remove(struct bdev_names *names, struct bdev_name *name);
/* The oldest device that is known by it, or NULL. */
struct nvio_bdev *bdev_names_find(const struct bdev_names *names, const void *key, bool is_uuid);

#endif
