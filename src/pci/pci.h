/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Taking a PCI function from user space: configuration space, BARs, interrupts as eventfds, memory mapped for its DMA, and the
 * news that it is gone. What the function does is nobody's business here. Files: bdf.c (addresses), sysfs.c and scan.c (what there is),
 * bind.c (drivers), dev.c (one interface to all ways to take a function), vfio*.c (through VFIO: groups, or the character
 * device and iommufd), uio.c (without an IOMMU, by explicit request), synth.c (a bus of the tests' own).
 *
 * Whoever takes a function maps all memory of the environment for it (mem_mapper), and that goes when the last one is given back.
 */
#ifndef PCI_PCI_H
#define PCI_PCI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/env.h"
#include <nvio/pci.h>

struct pci_dev;

/* Configuration space (PCI Local Bus 3.0 section 6.1). */
#define PCI_CFG_COMMAND        0x04
#define PCI_CFG_STATUS         0x06
#define PCI_CFG_CLASS          0x09 /* three bytes: interface, subclass, class */
#define PCI_CMD_MEMORY         (1u << 1)
#define PCI_CMD_BUS_MASTER     (1u << 2)
#define PCI_CMD_INTX_DISABLE   (1u << 10)

/*
 * Takes the function, for this process alone. Memory space is enabled, bus mastering is not, INTx is disabled. All memory of the
 * environment is mapped for it, now and as it comes.
 * 0; -EINVAL no BDF; -ENODEV no such function; -EPERM the environment was opened with no_pci, or it could only be taken without an IOMMU
 * and unsafe_no_iommu is not set; -EBUSY the kernel's driver has it (with its name), another process has it, or another function of its
 * group is not in user space; -EACCES; -ENOMEM; -EOPNOTSUPP. Each with words that end in the command that mends it. On failure the function
 * is as it was.
 */
int pci_open(struct nvio_env *env, const char *bdf, struct pci_dev **dev);

/* Gives it back, reset where it can be; it does no more DMA when this returns. NULL is allowed. */
void pci_close(struct pci_dev *dev);

const char *pci_bdf(const struct pci_dev *dev);
uint32_t pci_class(const struct pci_dev *dev); /* 0x010802 */

/* width 1, 2 or 4, aligned. 0; -ENODEV it is gone; -EINVAL; -EIO. */
int pci_config_read(struct pci_dev *dev, uint32_t offset, uint32_t width, uint32_t *value);
int pci_config_write(struct pci_dev *dev, uint32_t offset, uint32_t width, uint32_t value);

/* 0; -ENODEV it is gone; -EIO. Off is also asked of a function that is gone, as long as it answers: the system may only want it back. */
int pci_set_bus_master(struct pci_dev *dev, bool on);

/*
 * Maps a memory BAR (0 to 5) whole; a second call gives the same. It stays mapped until pci_close(): when the function goes, what was
 * mapped reads as all-ones from then on and writes go nowhere, no SIGBUS. 0; -ENODEV there is no such BAR; -EOPNOTSUPP it cannot be mapped.
 */
int pci_bar(struct pci_dev *dev, unsigned index, volatile void **base, size_t *len);

/* Function level reset or whatever the system has; BARs stay mapped, bus mastering is off. 0; -EOPNOTSUPP; -ENODEV; -EIO. */
int pci_reset(struct pci_dev *dev);

/* MSI-X vectors (MSI, where there is no MSI-X) that can lead to an eventfd; 0: it has to be polled. MSI-X is on from pci_open() on. */
uint32_t pci_vectors(const struct pci_dev *dev);
/*
 * The function may use the first `count` vectors from now on, though they lead to nothing yet. A drive may refuse a queue with a vector
 * before. 0; -EINVAL; -ENOSPC the system has not as many left; -ENODEV.
 */
int pci_vectors_enable(struct pci_dev *dev, uint32_t count);
/* From now on the vector writes to fd; -1: to nothing. The fd stays the caller's. Any thread, one at a time. 0; -EINVAL; -ENOSPC; -ENODEV. */
int pci_vector_set(struct pci_dev *dev, uint32_t vector, int fd);

/*
 * The system wants the function back, or it has been pulled out: readable from then on and for ever; not to be read from. -1: this way of
 * taking functions does not tell.
 */
int pci_gone_fd(const struct pci_dev *dev);
/* The same as a look: cheap enough for a poll (an atomic load), and up to date at the latest a few ms after pci_look(). */
bool pci_is_gone(struct pci_dev *dev);
/* Looks (a system call or two); what pci_is_gone() says from then on. */
bool pci_look(struct pci_dev *dev);

/* bdf.c. Numbers are hexadecimal; the domain may be left out. 0 or -EINVAL, without words. */
struct pci_bdf {
	uint32_t domain;
	uint8_t bus, dev, fn;
};
int pci_bdf_parse(const char *text, struct pci_bdf *bdf);
void pci_bdf_format(const struct pci_bdf *bdf, char out[20]);

#endif
