/* SPDX-License-Identifier: BSD-3-Clause */
/* A tree of the tests' own that looks like the kernel's /sys and /dev, in a temporary folder. */
#ifndef PCI_TREE_H
#define PCI_TREE_H

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "tests/support/unit.h"

static char tree_root[64];

static inline void tree_at(char path[PATH_MAX], const char *fmt, va_list ap)
{
	int n = snprintf(path, PATH_MAX, "%s/", tree_root);

	vsnprintf(path + n, (size_t)(PATH_MAX - n), fmt, ap);
}

/* Makes the folders that lead to the last component. */
static inline void tree_lead(char *path)
{
	for (char *p = path + strlen(tree_root) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		assert_true(!mkdir(path, 0755) || errno == EEXIST);
		*p = '/';
	}
}

/* Every function that follows takes a path below the root as a format. */
static inline void NVIO_PRINTF(2, 3) tree_file(const char *text, const char *fmt, ...)
{
	char path[PATH_MAX];
	va_list ap;
	FILE *f;

	va_start(ap, fmt);
	tree_at(path, fmt, ap);
	va_end(ap);
	tree_lead(path);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static inline void NVIO_PRINTF(1, 2) tree_dir(const char *fmt, ...)
{
	char path[PATH_MAX];
	va_list ap;

	va_start(ap, fmt);
	tree_at(path, fmt, ap);
	va_end(ap);
	tree_lead(path);
	assert_true(!mkdir(path, 0755) || errno == EEXIST);
}

static inline void NVIO_PRINTF(2, 3) tree_link(const char *target, const char *fmt, ...)
{
	char path[PATH_MAX];
	va_list ap;

	va_start(ap, fmt);
	tree_at(path, fmt, ap);
	va_end(ap);
	tree_lead(path);
	unlink(path);
	assert_int_equal(symlink(target, path), 0);
}

static inline void NVIO_PRINTF(1, 2) tree_unlink(const char *fmt, ...)
{
	char path[PATH_MAX];
	va_list ap;

	va_start(ap, fmt);
	tree_at(path, fmt, ap);
	va_end(ap);
	unlink(path);
}

/* The text of a file, at most what fits. */
static inline void NVIO_PRINTF(2, 3) tree_read(char text[64], const char *fmt, ...)
{
	char path[PATH_MAX];
	va_list ap;
	FILE *f;

	va_start(ap, fmt);
	tree_at(path, fmt, ap);
	va_end(ap);
	f = fopen(path, "r");
	assert_non_null(f);
	text[fread(text, 1, 63, f)] = '\0';
	fclose(f);
}

/* A function with its identity. */
static inline void tree_function(const char *bdf, const char *class_code, const char *vendor, const char *device)
{
	tree_file(class_code, "sys/bus/pci/devices/%s/class", bdf);
	tree_file(vendor, "sys/bus/pci/devices/%s/vendor", bdf);
	tree_file(device, "sys/bus/pci/devices/%s/device", bdf);
	tree_file("(null)\n", "sys/bus/pci/devices/%s/driver_override", bdf);
}

static inline void tree_driver(const char *bdf, const char *driver)
{
	char target[PATH_MAX];

	tree_dir("sys/bus/pci/drivers/%s", driver);
	snprintf(target, sizeof(target), "../../drivers/%s", driver);
	tree_link(target, "sys/bus/pci/devices/%s/driver", bdf);
}

/* Puts the function into a group. */
static inline void tree_group(const char *bdf, int group)
{
	char target[PATH_MAX];

	tree_dir("sys/kernel/iommu_groups/%d/devices/%s", group, bdf);
	snprintf(target, sizeof(target), "../../../../kernel/iommu_groups/%d", group);
	tree_link(target, "sys/bus/pci/devices/%s/iommu_group", bdf);
}

static inline int tree_setup(void **state)
{
	snprintf(tree_root, sizeof(tree_root), "/tmp/nvio-pci-XXXXXX");
	return mkdtemp(tree_root) ? 0 : -1;
}

static inline int tree_drop(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return remove(path);
}

static inline int tree_teardown(void **state)
{
	return nftw(tree_root, tree_drop, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
