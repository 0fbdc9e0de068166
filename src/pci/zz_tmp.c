#include <errno.h>
#include "pci/dev.h"
int vfio_cdev_open(struct nvio_env *env, const struct nvio_pci_info *info, struct pci_dev **dev) { return -EOPNOTSUPP; }
int uio_open(struct nvio_env *env, const struct nvio_pci_info *info, struct pci_dev **dev) { return -EOPNOTSUPP; }
