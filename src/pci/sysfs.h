/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the kernel's tree says of a function: small text files, links and folders below a root that need not be "/". All of it may
 * vanish while it is being read. Nothing here leaves words behind: the caller knows what a failure means.
 */
#ifndef PCI_SYSFS_H
#define PCI_SYSFS_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "pci/pci.h"

/* A path below a root; NULL and "/" are the same. */
struct sysfs_path {
	char text[PATH_MAX];
};

/* 0 or -ENAMETOOLONG. */
int sysfs_path(struct sysfs_path *path, const char *root, const char *fmt, ...) NVIO_PRINTF(3, 4);
/* Of a file of a function: sys/bus/pci/devices/<bdf>/<name>. */
int sysfs_of(struct sysfs_path *path, const char *root, const char *bdf, const char *name);

/* The first line of a text file without its end. 0; -EMSGSIZE longer than `size` - 1; or the system's -errno. */
int sysfs_read(const struct sysfs_path *path, char *text, size_t size);
/* `text` and a line's end, in one write. */
int sysfs_write(const struct sysfs_path *path, const char *text);
/* A number, with or without 0x as C has it. 0; -EIO: it is not one, or more than `max`; or the system's -errno. */
int sysfs_number(const struct sysfs_path *path, uint64_t max, uint64_t *value);
/* The last component of what the link leads to. */
int sysfs_link(const struct sysfs_path *path, char *name, size_t size);
/* The entry of a folder that begins with `prefix` and a digit; the first in order where there are several. */
int sysfs_child(const struct sysfs_path *path, const char *prefix, char *name, size_t size);
/* How many entries a folder has, or -errno. */
int sysfs_count(const struct sysfs_path *path);

/* scan.c: all of it for one function. 0; -ENODEV it is not there (any more); -EIO no class can be read; -ENAMETOOLONG. */
int pci_inspect(const char *root, const struct pci_bdf *bdf, struct nvio_pci_info *info);

/* holder.c */
struct pci_holder {
	int pid;
	char name[20];
};
/* A process, which may be this one, that has the device file open; false where none is seen (other users' are seen by root alone). */
bool pci_find_holder(const char *path, struct pci_holder *holder);

#endif
