/* SPDX-License-Identifier: BSD-3-Clause */
/* The choice of I/O to strike: by type and range, then by counting, then by chance. */
#include <inttypes.h>

#include "bdev/modules/error.h"
#include "bdev/modules/modules.h"

#define DATA_TYPES (NVIO_BDEV_CAN(NVIO_BDEV_IO_READ) | NVIO_BDEV_CAN(NVIO_BDEV_IO_WRITE))
#define ALL_TYPES  (NVIO_BDEV_CAN(NVIO_BDEV_IO_TYPES) - 1)

int error_inject_check(const struct nvio_bdev_error_inject *i)
{
	uint32_t types = i->kind == NVIO_BDEV_ERROR_CORRUPT ? DATA_TYPES : ALL_TYPES;

	if (i->kind > NVIO_BDEV_ERROR_NO_MEMORY)
		return fail(-EINVAL, "bdev: error: inject: there is no kind %d", (int)i->kind);
	if (i->io_types & ~types)
		return fail(-EINVAL, "bdev: error: inject: io_types 0x%" PRIx32 ": of this kind there are 0x%" PRIx32, i->io_types, types);
	/* Turns away what is not a number, too. */
	if (!(i->probability > 0 && i->probability <= 1))
		return fail(-EINVAL, "bdev: error: inject: a probability of %g is not above 0 and at most 1", i->probability);
	if (i->status > 0 || i->status < -4095 || i->status == -EINPROGRESS || i->status == -EAGAIN)
		return fail(-EINVAL, "bdev: error: inject: status %d is no -errno that an I/O can end with", i->status);
	if (i->sf & 1u << 15)
		return fail(-EINVAL, "bdev: error: inject: sf 0x%x has more than 15 bits", i->sf);
	return 0;
}

static void set_defaults(struct nvio_bdev_error_inject *i)
{
	if (!i->io_types)
		i->io_types = i->kind == NVIO_BDEV_ERROR_CORRUPT ? DATA_TYPES : ALL_TYPES;
	if (!i->num_blocks)
		i->num_blocks = UINT64_MAX;
	if (!i->every)
		i->every = 1;
	if (!i->status)
		i->status = -EIO;
	if (!i->corrupt_xor)
		i->corrupt_xor = 0xff;
	if (!i->again_us)
		i->again_us = 1000;
}

int error_plan_add(struct error_plan *plan, const struct nvio_bdev_error_inject *inject)
{
	struct error_rule rule = { .inject = *inject };
	uint32_t count;
	int rc = error_inject_check(inject);

	if (rc)
		return rc;
	set_defaults(&rule.inject);
	pthread_mutex_lock(&plan->lock);
	count = atomic_load_explicit(&plan->count, memory_order_relaxed);
	if (count == NVIO_BDEV_ERROR_MAX) {
		rc = fail(-ENOSPC, "bdev: error: inject: there are %d already, which is the limit; clear them first", NVIO_BDEV_ERROR_MAX);
	} else {
		plan->rules[count] = rule;
		atomic_store_explicit(&plan->count, count + 1, memory_order_relaxed);
	}
	pthread_mutex_unlock(&plan->lock);
	return rc;
}

void error_plan_clear(struct error_plan *plan)
{
	pthread_mutex_lock(&plan->lock);
	atomic_store_explicit(&plan->count, 0, memory_order_relaxed);
	pthread_mutex_unlock(&plan->lock);
}

static bool has_range(const struct nvio_bdev_io *io)
{
	return io->type != NVIO_BDEV_IO_FLUSH && io->type != NVIO_BDEV_IO_RESET && io->type != NVIO_BDEV_IO_NVME &&
	       io->type != NVIO_BDEV_IO_NVME_ADMIN;
}

static bool fits(const struct nvio_bdev_error_inject *i, const struct nvio_bdev_io *io, enum error_when when, uint32_t block_size)
{
	uint64_t first = io->offset / block_size, end = first + io->len / block_size;
	bool corrupts_read = i->kind == NVIO_BDEV_ERROR_CORRUPT && io->type == NVIO_BDEV_IO_READ;

	if (!(i->io_types & NVIO_BDEV_CAN(io->type)) || corrupts_read != (when == ERROR_AFTER))
		return false;
	return !has_range(io) || (end > i->lba && first < clock_add(i->lba, i->num_blocks));
}

static bool strikes(struct error_rule *r, struct random *random)
{
	const struct nvio_bdev_error_inject *i = &r->inject;
	uint64_t n = r->seen++;

	if (n < i->skip || (n - i->skip) % i->every || (i->count && r->struck == i->count))
		return false;
	if (i->probability < 1 && !random_bool(random, i->probability))
		return false;
	r->struck++;
	return true;
}

static void count(struct nvio_bdev_error_stats *s, enum nvio_bdev_error_kind kind)
{
	switch (kind) {
	case NVIO_BDEV_ERROR_FAIL: s->failed++; break;
	case NVIO_BDEV_ERROR_CORRUPT: s->corrupted++; break;
	case NVIO_BDEV_ERROR_PEND: s->pended++; break;
	case NVIO_BDEV_ERROR_NO_MEMORY: s->refused++; break;
	}
}

bool error_plan_strikes(
	struct error_plan *plan, const struct nvio_bdev_io *io, enum error_when when, struct nvio_bdev_error_inject *out)
{
	bool struck = false;

	if (likely(!atomic_load_explicit(&plan->count, memory_order_relaxed)))
		return false;
	pthread_mutex_lock(&plan->lock);
	for (uint32_t i = 0; !struck && i < plan->count; i++) {
		struct error_rule *r = &plan->rules[i];

		struck = fits(&r->inject, io, when, plan->block_size) && strikes(r, &plan->random);
		if (struck) {
			count(&plan->stats, r->inject.kind);
			*out = r->inject;
		}
	}
	pthread_mutex_unlock(&plan->lock);
	return struck;
}
