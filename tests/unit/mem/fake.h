/* SPDX-License-Identifier: BSD-3-Clause */
/* An IOMMU for the tests: holds what is mapped and unmapped against what it knows, and refuses when told to. */
#ifndef UNIT_MEM_FAKE_H
#define UNIT_MEM_FAKE_H

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fail.h"

/* Before cmocka, whose macro fail() takes the name. */
static inline int fake_fail(int rc, const char *text)
{
	return fail(rc, "%s", text);
}

#include "tests/support/unit.h"

#include "mem/mem.h"

#define FAKE_MAX 64

struct fake {
	struct mem_mapper m;
	struct mem_range range;
	struct {
		char *va;
		size_t len;
		uint64_t iova;
	} maps[FAKE_MAX];
	int count;
	int left;	  /* maps that still succeed */
	int rc;		  /* what the next one gives */
	const char *text; /* its words; NULL: none */
	bool confused;	  /* overlapping maps, or unmapped what was not mapped */
	void (*on_unmap)(const void *va); /* before anything is unmapped */
};

static inline int fake_map(struct mem_mapper *m, void *va, size_t len, uint64_t iova)
{
	struct fake *f = container_of(m, struct fake, m);

	if (!f->left || f->count == FAKE_MAX)
		return f->text ? fake_fail(f->rc, f->text) : f->rc;
	f->left--;
	for (int i = 0; i < f->count; i++)
		if (iova < f->maps[i].iova + f->maps[i].len && f->maps[i].iova < iova + len)
			f->confused = true;
	if (iova % 4096 || len % 4096 || iova < f->range.first || iova + len - 1 > f->range.last)
		f->confused = true;
	f->maps[f->count].va = va;
	f->maps[f->count].len = len;
	f->maps[f->count++].iova = iova;
	return 0;
}

static inline void fake_unmap(struct mem_mapper *m, void *va, size_t len, uint64_t iova)
{
	struct fake *f = container_of(m, struct fake, m);

	if (f->on_unmap)
		f->on_unmap(va);
	for (int i = 0; i < f->count; i++) {
		if (f->maps[i].va != va || f->maps[i].len != len || f->maps[i].iova != iova)
			continue;
		f->maps[i] = f->maps[--f->count];
		return;
	}
	f->confused = true;
}

static const struct mem_mapper_ops fake_ops = { .map = fake_map, .unmap = fake_unmap };

static inline void fake_init(struct fake *f, const char *name)
{
	*f = (struct fake){ .left = 1000000, .rc = -ENOSPC, .range = { 0, UINT64_MAX } };
	f->m.ops = &fake_ops;
	snprintf(f->m.name, sizeof(f->m.name), "%s", name);
	f->m.page_sizes = 4096;
	f->m.ranges = &f->range;
	f->m.num_ranges = 1;
}

/* The memory behind a device address, as the device would reach it; NULL: none. */
static inline char *fake_reach(const struct fake *f, uint64_t iova)
{
	for (int i = 0; i < f->count; i++)
		if (iova >= f->maps[i].iova && iova - f->maps[i].iova < f->maps[i].len)
			return f->maps[i].va + (iova - f->maps[i].iova);
	return NULL;
}

static inline uint64_t addr_of(struct nvio_env *env, const void *ptr)
{
	uint64_t addr = 0;

	assert_int_equal(nvio_mem_device_addr(env, ptr, &addr, NULL), 0);
	return addr;
}

#endif
