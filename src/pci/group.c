/* SPDX-License-Identifier: BSD-3-Clause */
/* IOMMU groups: functions that are user space's, or the kernel's, together. */
#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "base/fail.h"
#include "pci/dev.h"
#include "pci/sysfs.h"

int pci_group_blocked(const struct nvio_env *env, const struct nvio_pci_info *info)
{
	struct sysfs_path path;
	struct nvio_pci_info other = { 0 };
	struct pci_bdf bdf;
	DIR *dir = sysfs_of(&path, env->opts.pci_root, info->bdf, "iommu_group/devices") ? NULL
											 : opendir(path.text);
	bool found = false;

	for (struct dirent *e = dir ? readdir(dir) : NULL; e && !found; e = readdir(dir))
		found = strcmp(e->d_name, info->bdf) != 0 && !pci_bdf_parse(e->d_name, &bdf) &&
			!pci_inspect(env->opts.pci_root, &bdf, &other) && other.owner == NVIO_PCI_KERNEL &&
			strcmp(other.driver, "pcieport") != 0 && strcmp(other.driver, "pci-stub") != 0;
	if (dir)
		closedir(dir);
	if (!found)
		return fail(-EBUSY,
			"pci: %s: another function of its IOMMU group %d is in use by the kernel; `ls %s` shows them",
			info->bdf, info->iommu_group, path.text);
	return fail(-EBUSY,
		"pci: %s: %s is in the same IOMMU group %d, and the kernel's driver %s has it; if it can be spared, "
		"`sudo nvio setup bind %s %s` takes both, or move the drive to another slot",
		info->bdf, other.bdf, info->iommu_group, other.driver, info->bdf, other.bdf);
}
