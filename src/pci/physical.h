/* SPDX-License-Identifier: BSD-3-Clause */
/* Device addresses without an IOMMU: those of physical memory, which the kernel tells the privileged (/proc/self/pagemap). */
#ifndef PCI_PHYSICAL_H
#define PCI_PHYSICAL_H

#include "pci/dev.h"

/* Whether the environment asked for it: 0, or -EPERM with words. */
int pci_physical_allowed(const struct nvio_env *env, const struct nvio_pci_info *info);

/* Makes the space's mapper one of physical addresses; its name is the caller's. 0; -EPERM; or what the system said, with words. */
int pci_physical_init(struct pci_space *space);
/* Does nothing for a space that is not of this kind. */
void pci_physical_fini(struct pci_space *space);

#endif
