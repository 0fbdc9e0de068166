/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What groups (vfio_type1.c) and the character device with iommufd (vfio_cdev.c) share: once there is a descriptor of the
 * device, VFIO is the same either way (vfio_dev.c).
 */
#ifndef PCI_VFIO_H
#define PCI_VFIO_H

#include <linux/vfio.h>

#include "pci/dev.h"

struct vfio_group;

struct vfio_dev {
	struct pci_dev dev;
	int fd;
	bool can_reset;
	uint64_t config_offset, config_size;
	/* Interrupts: MSI-X, or MSI. */
	uint32_t irq_index;
	bool irq_grows;      /* more vectors can be added while some are in use */
	uint32_t irq_enabled; /* vectors that the kernel has set up */
	int32_t *irq_fds;    /* one per vector; -1: to nothing */
	/* How it was taken. */
	struct vfio_group *group; /* NULL: by its character device */
	struct pci_space *space;
};

/* From v->fd to something usable: regions, interrupts, the news that it is gone. On failure nothing but v->fd is left. */
int vfio_dev_init(struct vfio_dev *v);
/* The opposite; closes v->fd. */
void vfio_dev_fini(struct vfio_dev *v);

int vfio_config_read(struct pci_dev *dev, uint32_t offset, uint32_t width, uint32_t *value);
int vfio_config_write(struct pci_dev *dev, uint32_t offset, uint32_t width, uint32_t value);
int vfio_map_bar(struct pci_dev *dev, unsigned int index, void **base, size_t *len, bool *guarded);
void vfio_unmap_bar(struct pci_dev *dev, void *base, size_t len);
int vfio_reset(struct pci_dev *dev);
int vfio_vectors_enable(struct pci_dev *dev, uint32_t count);
int vfio_vector_set(struct pci_dev *dev, uint32_t vector, int fd);

/* What all ways through VFIO have in common, in their struct pci_way. */
#define VFIO_WAY_COMMON \
	.config_read = vfio_config_read, .config_write = vfio_config_write, .map_bar = vfio_map_bar, .unmap_bar = vfio_unmap_bar, \
	.reset = vfio_reset, .vectors_enable = vfio_vectors_enable, .vector_set = vfio_vector_set

#endif
