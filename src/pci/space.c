/* SPDX-License-Identifier: BSD-3-Clause */
/* An IOMMU's address space as the room mem sees it: which addresses, and the words when it does not map. */
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fail.h"
#include "pci/physical.h"

bool pci_space_same_ranges(const struct pci_space *space, const struct mem_range *ranges, uint32_t count)
{
	if (count != space->mapper.num_ranges)
		return false;
	for (uint32_t i = 0; i < count; i++)
		if (ranges[i].first != space->ranges[i].first || ranges[i].last != space->ranges[i].last)
			return false;
	return true;
}

bool pci_space_set_ranges(struct pci_space *space, const struct mem_range *ranges, uint32_t count)
{
	if (!count || count > ARRAY_SIZE(space->ranges))
		return false;
	memcpy(space->ranges, ranges, count * sizeof(*ranges));
	space->mapper.ranges = space->ranges;
	space->mapper.num_ranges = count;
	return true;
}

void pci_space_put(struct nvio_env *env, struct pci_space *space)
{
	if (--space->refs)
		return;
	list_remove(&space->link);
	mem_mapper_remove(env, &space->mapper);
	pci_physical_fini(space);
	if (space->destroy)
		space->destroy(space);
	if (space->fd >= 0)
		close(space->fd);
	alloc_free(space);
}

int pci_space_map_failed(const struct pci_space *space, size_t len, uint64_t iova, int err)
{
	uint64_t need = (space->mapped + len + 1023) >> 10;
	const char *name = space->mapper.name;
	struct rlimit limit = { 0 };

	switch (err) {
	case ENOMEM:
		getrlimit(RLIMIT_MEMLOCK, &limit);
		if (limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur >> 10 < need)
			return fail(-EPERM,
				"pci: %s: cannot map %zu bytes: they count as locked memory, of which RLIMIT_MEMLOCK allows "
				"%llu KiB and %llu KiB are needed; run `ulimit -l %llu`, or "
				"`sudo nvio setup memlock %lluM --user $USER`",
				name, len, (unsigned long long)limit.rlim_cur >> 10, (unsigned long long)need,
				(unsigned long long)need, (unsigned long long)DIV_ROUND_UP(need, 1024u));
		return fail(-ENOMEM,
			"pci: %s: cannot map %zu bytes: no memory, or more of it locked by this user in all than "
			"RLIMIT_MEMLOCK allows; raise it (ulimit -l)",
			name, len);
	case ENOSPC:
		return fail(-ENOSPC,
			"pci: %s: cannot map %zu bytes: the IOMMU has no mapping left (%u when it was taken); register fewer "
			"and larger areas, or load vfio_iommu_type1 with a larger dma_entry_limit",
			name, len, space->avail);
	case EFAULT:
		return fail(-EFAULT,
			"pci: %s: cannot map %zu bytes: not all of it is memory that can be written", name,
			len);
	case EINVAL:
		return fail(-EINVAL,
			"pci: %s: cannot map %zu bytes: device address 0x%llx is not one that the IOMMU translates",
			name, len, (unsigned long long)iova);
	}
	return fail(-err, "pci: %s: cannot map %zu bytes at device address 0x%llx: %s", name, len,
		(unsigned long long)iova, strerror(err));
}
