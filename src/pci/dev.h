/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the ways to take a function share: the function itself (dev.c), the address spaces that functions of one environment are in
 * (space.c), and the guard of mapped BARs (guard.c). A way is one constant table and a structure that begins with struct pci_dev.
 */
#ifndef PCI_DEV_H
#define PCI_DEV_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"
#include "mem/mem.h"
#include "pci/pci.h"

#define PCI_BARS	6
#define PCI_CONFIG_SIZE 4096u /* extended configuration space; a function may have only the first 256 bytes */
#define PCI_ALL_ONES	0xffffffffu

/* One way to take functions. All are called with the device open, by its thread unless it says otherwise. */
struct pci_way {
	const char *name; /* for messages: "vfio" */
	/* Checked by the caller: width, alignment, bounds. 0; -ENODEV; -EIO. */
	int (*config_read)(struct pci_dev *dev, uint32_t offset, uint32_t width, uint32_t *value);
	int (*config_write)(struct pci_dev *dev, uint32_t offset, uint32_t width, uint32_t value);
	/* Maps all of it, at most once. *guarded: it is a mapping of the system, which can vanish. */
	int (*map_bar)(struct pci_dev *dev, unsigned int index, void **base, size_t *len, bool *guarded);
	void (*unmap_bar)(struct pci_dev *dev, void *base, size_t len);
	int (*reset)(struct pci_dev *dev);
	/* Makes the first `count` vectors those that the function may use; NULL: they always are. */
	int (*vectors_enable)(struct pci_dev *dev, uint32_t count);
	/* Any thread. */
	int (*vector_set)(struct pci_dev *dev, uint32_t vector, int fd);
	/* The end: no DMA afterwards, everything of the way's is given back, and dev is freed. */
	void (*close)(struct pci_dev *dev);
};

struct pci_dev {
	const struct pci_way *way;
	struct nvio_env *env;
	struct nvio_pci_info info; /* as it was when it was taken */
	uint32_t vectors;
	int gone_fd;
	atomic_bool gone;
	struct {
		void *base; /* NULL: not mapped */
		size_t len;
		bool guarded;
	} bars[PCI_BARS];
};

/* The ways. Each takes what dev->info says, or fails with words and leaves it as it was. */
int vfio_cdev_open(struct nvio_env *env, const struct nvio_pci_info *info, struct pci_dev **dev);
int vfio_type1_open(struct nvio_env *env, const struct nvio_pci_info *info, struct pci_dev **dev);
int uio_open(struct nvio_env *env, const struct nvio_pci_info *info, struct pci_dev **dev);
int synth_open(struct nvio_env *env, const char *bdf, struct pci_dev **dev); /* -ENOENT, without words: not a synthetic one */

/* The environment's corner. */
struct pci_registry {
	pthread_mutex_t lock; /* taking and giving back functions, one at a time */
	struct list spaces;   /* struct pci_space */
	struct list groups;   /* struct vfio_group */
	struct list synths;   /* struct synth */
};

/*
 * An IOMMU's address space: everything of the environment is mapped in it, once for all functions in it. All of it under the registry's lock,
 * save map and unmap, which the room mem calls under its own.
 */
struct pci_space {
	struct mem_mapper mapper;
	struct list link;
	int fd;      /* container, or iommufd; -1: neither, uio.c's */
	uint32_t id; /* iommufd: of the IOAS */
	void (*destroy)(struct pci_space *space); /* what closing fd would leave behind; NULL: nothing */
	uint32_t refs;
	int physical_fd; /* pagemap, in those of physical.c */
	uint64_t mapped; /* bytes; under the lock of the room mem */
	uint32_t avail; /* type 1: mappings left when it was made; 0: not known */
	struct mem_range ranges[32];
};

/* Keeps what the kernel tells in a space, ascending. False: more than it holds, or none. */
bool pci_space_set_ranges(struct pci_space *space, const struct mem_range *ranges, uint32_t count);
bool pci_space_same_ranges(const struct pci_space *space, const struct mem_range *ranges, uint32_t count);
/* One user less; with the last, everything is unmapped, and it goes. */
void pci_space_put(struct nvio_env *env, struct pci_space *space);
/* The words for a map that failed with `err` (positive). Returns -errno. */
int pci_space_map_failed(const struct pci_space *space, size_t len, uint64_t iova, int err);

/* ---- guard.c: mapped BARs that vanish ---- */

/*
 * Until pci_guard_remove(), an access to [base, base + len) that the system answers with SIGBUS finds a page of all-ones in its place, and
 * *gone becomes true. 0; -ENOSPC too many; or what the system said, with words.
 */
int pci_guard_add(void *base, size_t len, atomic_bool *gone);
void pci_guard_remove(void *base);

/* ---- words that several ways have ---- */

/* -EBUSY: who has the file open. */
int pci_busy(const struct nvio_pci_info *info, const char *path);
/* -EBUSY: which function of its group the kernel has. */
int pci_group_blocked(const struct nvio_env *env, const struct nvio_pci_info *info);
/* rc of opening a device file, with the remedy. */
int pci_cannot_open(const struct nvio_pci_info *info, const char *path, int err);

#endif
