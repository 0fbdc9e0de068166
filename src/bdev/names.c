/* SPDX-License-Identifier: BSD-3-Clause */
/* The hash table of names; see names.h. */
#include "bdev/names.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"

#define FIRST_BITS 6
#define MAX_BITS   24
#define UUID_BYTES 16

/* FNV-1a; the high bits are the better ones. */
static uint64_t hash(const void *key, bool is_uuid)
{
	const unsigned char *p = key;
	size_t len = is_uuid ? UUID_BYTES : strlen(key);
	uint64_t h = 0xcbf29ce484222325ull + is_uuid;

	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * 0x100000001b3ull;
	return h * 0x9e3779b97f4a7c15ull;
}

static struct bdev_name **bucket(const struct bdev_names *names, const void *key, bool is_uuid)
{
	return &names->buckets[hash(key, is_uuid) >> (64 - names->bits)];
}

static bool matches(const struct bdev_name *name, const void *key, bool is_uuid)
{
	if (name->is_uuid != is_uuid)
		return false;
	return is_uuid ? !memcmp(name->key, key, UUID_BYTES) : !strcmp(name->key, key);
}

int bdev_names_init(struct bdev_names *names)
{
	names->bits = FIRST_BITS;
	names->count = 0;
	names->buckets = alloc_array(1u << FIRST_BITS, sizeof(names->buckets[0]));
	return names->buckets ? 0 : -ENOMEM;
}

void bdev_names_fini(struct bdev_names *names)
{
	alloc_free(names->buckets);
	names->buckets = NULL;
}

static void append(struct bdev_names *names, struct bdev_name *name)
{
	struct bdev_name **at = bucket(names, name->key, name->is_uuid);

	while (*at)
		at = &(*at)->next;
	name->next = NULL;
	*at = name;
}

static void grow(struct bdev_names *names)
{
	struct bdev_names more = { .bits = names->bits + 1, .count = names->count };

	if (more.bits > MAX_BITS)
		return;
	more.buckets = alloc_array((size_t)1 << more.bits, sizeof(more.buckets[0]));
	if (!more.buckets)
		return;
	for (size_t i = 0; i < (size_t)1 << names->bits; i++)
		for (struct bdev_name *name = names->buckets[i], *next; name; name = next) {
			next = name->next;
			append(&more, name);
		}
	alloc_free(names->buckets);
	*names = more;
}

void bdev_names_add(struct bdev_names *names, struct bdev_name *name, struct nvio_bdev *bdev, const void *key,
	bool is_uuid)
{
	if (names->count >= 1u << names->bits)
		grow(names);
	name->bdev = bdev;
	name->key = key;
	name->is_uuid = is_uuid;
	append(names, name);
	names->count++;
}

void bdev_names_remove(struct bdev_names *names, struct bdev_name *name)
{
	struct bdev_name **at = bucket(names, name->key, name->is_uuid);

	while (*at != name)
		at = &(*at)->next;
	*at = name->next;
	names->count--;
}

struct nvio_bdev *bdev_names_find(const struct bdev_names *names, const void *key, bool is_uuid)
{
	for (struct bdev_name *name = *bucket(names, key, is_uuid); name; name = name->next)
		if (matches(name, key, is_uuid))
			return name->bdev;
	return NULL;
}
