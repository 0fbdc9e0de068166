/* SPDX-License-Identifier: BSD-3-Clause */
/* Physical addresses of this process's pages; see physical.h. Nothing protects the machine from a wrong one.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "pci/physical.h"

/* Linux, Documentation/admin-guide/mm/pagemap.rst. */
#define PAGEMAP_PRESENT (1ull << 63)
#define PAGEMAP_PFN	((1ull << 55) - 1)
#define ENTRIES		512 /* read at a time: 2 MiB of 4 KiB pages */

int pci_physical_allowed(const struct nvio_env *env, const struct nvio_pci_info *info)
{
	if (env->opts.unsafe_no_iommu)
		return 0;
	return fail(-EPERM,
		"pci: %s: no IOMMU stands between it and the machine's memory; enable VT-d or AMD-Vi in the firmware and boot with "
		"intel_iommu=on (Intel), or set unsafe_no_iommu and take the risk",
		info->bdf);
}

/* `count` entries from the page at va on. */
static int read_entries(int fd, uintptr_t va, size_t page, size_t count, uint64_t *entries)
{
	size_t done = 0, want = count * sizeof(*entries);

	while (done < want) {
		ssize_t n = pread(fd, (char *)entries + done, want - done,
			(off_t)(va / page * sizeof(*entries) + done));

		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		done += (size_t)n;
	}
	return 0;
}

static int physical(struct mem_mapper *m, const void *va, size_t len, uint64_t *addrs)
{
	struct pci_space *space = container_of(m, struct pci_space, mapper);
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint64_t entries[ENTRIES];

	for (size_t done = 0; done < len;) {
		uintptr_t at = (uintptr_t)va + done, first = at & ~(page - 1);
		size_t span = MIN(ALIGN_UP((uintptr_t)va + len, page) - first, ENTRIES * page);
		int rc = read_entries(space->physical_fd, first, page, span / page, entries);

		if (rc)
			return fail(rc, "pci: %s: /proc/self/pagemap: %s", m->name, strerror(-rc));
		for (; done < len && (uintptr_t)va + done < first + span; done += MEM_PAGE) {
			uint64_t entry = entries[((uintptr_t)va + done - first) / page];

			if (!(entry & PAGEMAP_PRESENT))
				return fail(-EFAULT, "pci: %s: the page at %p is not in memory", m->name,
					(void *)((uintptr_t)va + done));
			if (!(entry & PAGEMAP_PFN))
				return fail(-EPERM,
					"pci: %s: the kernel does not tell physical addresses; run it as root",
					m->name);
			addrs[done / MEM_PAGE] = (entry & PAGEMAP_PFN) * page + ((uintptr_t)va + done) % page;
		}
	}
	return 0;
}

static const struct mem_mapper_ops physical_ops = { .physical = physical };

int pci_physical_init(struct pci_space *space)
{
	static const struct mem_range all = { 0, UINT64_MAX };
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return fail(-errno, "pci: %s: /proc/self/pagemap: %s; run it as root", space->mapper.name,
			strerror(errno));
	space->physical_fd = fd;
	space->mapper.ops = &physical_ops;
	space->mapper.page_sizes = MEM_PAGE;
	return pci_space_set_ranges(space, &all, 1) ? 0 : -EINVAL;
}

void pci_physical_fini(struct pci_space *space)
{
	if (space->mapper.ops == &physical_ops)
		close(space->physical_fd);
}
