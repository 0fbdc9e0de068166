/* SPDX-License-Identifier: BSD-3-Clause */
/* What the bus has: every function that the kernel's tree shows, and what a user needs to know of it. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fail.h"
#include "base/opts.h"
#include "pci/sysfs.h"

#define MAX_FUNCTIONS	   65536 /* a tree that shows more is not one */
#define FIRST_RELEASE_SIZE (offsetof(struct nvio_pci_scan_opts, bdf) + sizeof(char *))

void nvio_pci_scan_opts_init(struct nvio_pci_scan_opts *opts)
{
	*opts = (struct nvio_pci_scan_opts){
		.size = sizeof(*opts),
		.class_code = NVIO_PCI_CLASS_NVME,
		.vendor = NVIO_PCI_ANY,
		.device = NVIO_PCI_ANY,
	};
}

const char *nvio_pci_owner_str(enum nvio_pci_owner owner)
{
	switch (owner) {
	case NVIO_PCI_UNBOUND: return "unbound";
	case NVIO_PCI_KERNEL: return "kernel";
	case NVIO_PCI_VFIO: return "vfio";
	case NVIO_PCI_UIO: return "uio";
	}
	return "?";
}

/* ---- One function ---- */

/* 0 where it cannot be read: identity is for people and filters, and no reason to hide a drive. */
static uint64_t attribute(const char *root, const char *bdf, const char *name, uint64_t max)
{
	struct sysfs_path path;
	uint64_t value = 0;

	if (sysfs_of(&path, root, bdf, name) || sysfs_number(&path, max, &value))
		return 0;
	return value;
}

static int numa_node(const char *root, const char *bdf)
{
	struct sysfs_path path;
	uint64_t node;

	/* "-1" is not a number here, which is what it means. */
	if (sysfs_of(&path, root, bdf, "numa_node") || sysfs_number(&path, INT32_MAX, &node))
		return -1;
	return (int)node;
}

/* The group; *pseudo: of VFIO's no-IOMMU mode, which makes groups that protect from nothing. */
static void inspect_group(const char *root, struct nvio_pci_info *info, int *pseudo)
{
	struct sysfs_path path;
	char text[32], *end;
	long group;
	int count;

	*pseudo = -1;
	info->iommu_group = -1;
	if (sysfs_of(&path, root, info->bdf, "iommu_group") || sysfs_link(&path, text, sizeof(text)))
		return;
	group = strtol(text, &end, 10);
	if (*end || group < 0 || group > INT32_MAX)
		return;
	if (!sysfs_of(&path, root, info->bdf, "iommu_group/name") && !sysfs_read(&path, text, sizeof(text)) &&
		strcmp(text, "vfio-noiommu") == 0) {
		*pseudo = (int)group;
		return;
	}
	info->iommu_group = (int)group;
	count = sysfs_of(&path, root, info->bdf, "iommu_group/devices") ? 0 : sysfs_count(&path);
	info->group_size = count > 0 ? (uint32_t)count : 1;
}

/* The device file: the newer one where both it and /dev/iommu are there. */
static void inspect_vfio(const char *root, struct nvio_pci_info *info, int pseudo_group)
{
	struct sysfs_path path;
	char name[32];

	if (!sysfs_of(&path, root, info->bdf, "vfio-dev") &&
		!sysfs_child(&path, "vfio", name, sizeof(name)) && !sysfs_path(&path, root, "dev/iommu") &&
		!access(path.text, F_OK) && !sysfs_path(&path, root, "dev/vfio/devices/%s", name) &&
		!access(path.text, F_OK))
		snprintf(info->vfio_path, sizeof(info->vfio_path), "/dev/vfio/devices/%s", name);
	else if (info->iommu_group >= 0)
		snprintf(info->vfio_path, sizeof(info->vfio_path), "/dev/vfio/%d", info->iommu_group);
	else if (pseudo_group >= 0)
		snprintf(info->vfio_path, sizeof(info->vfio_path), "/dev/vfio/noiommu-%d", pseudo_group);
}

static void inspect_owner(const char *root, struct nvio_pci_info *info, int pseudo_group)
{
	struct sysfs_path path;

	if (sysfs_of(&path, root, info->bdf, "driver") ||
		sysfs_link(&path, info->driver, sizeof(info->driver))) {
		info->owner = NVIO_PCI_UNBOUND;
		info->driver[0] = '\0';
	} else if (strstr(info->driver, "vfio")) { /* vendors have their own vfio-pci: mlx5_vfio_pci */
		info->owner = NVIO_PCI_VFIO;
		inspect_vfio(root, info, pseudo_group);
	} else if (strcmp(info->driver, "uio_pci_generic") == 0) {
		info->owner = NVIO_PCI_UIO;
	} else {
		info->owner = NVIO_PCI_KERNEL;
		if (sysfs_of(&path, root, info->bdf, "nvme") ||
			sysfs_child(&path, "nvme", info->kernel_name, sizeof(info->kernel_name)))
			info->kernel_name[0] = '\0';
	}
}

int pci_inspect(const char *root, const struct pci_bdf *bdf, struct nvio_pci_info *info)
{
	struct sysfs_path path;
	uint64_t class_code;
	int rc, pseudo_group;

	*info = (struct nvio_pci_info){ .size = sizeof(*info) };
	pci_bdf_format(bdf, info->bdf);
	rc = sysfs_of(&path, root, info->bdf, "class");
	if (rc)
		return rc;
	rc = sysfs_number(&path, 0xffffff, &class_code);
	if (rc)
		return rc == -ENOENT || rc == -ENODEV || rc == -ENOTDIR ? -ENODEV : -EIO;
	info->class_code = (uint32_t)class_code;
	info->vendor = (uint16_t)attribute(root, info->bdf, "vendor", UINT16_MAX);
	info->device = (uint16_t)attribute(root, info->bdf, "device", UINT16_MAX);
	info->subsystem_vendor = (uint16_t)attribute(root, info->bdf, "subsystem_vendor", UINT16_MAX);
	info->subsystem_device = (uint16_t)attribute(root, info->bdf, "subsystem_device", UINT16_MAX);
	info->revision = (uint8_t)attribute(root, info->bdf, "revision", UINT8_MAX);
	info->numa_node = numa_node(root, info->bdf);
	info->is_vf = !sysfs_of(&path, root, info->bdf, "physfn") && !access(path.text, F_OK);
	inspect_group(root, info, &pseudo_group);
	inspect_owner(root, info, pseudo_group);
	return 0;
}

/* ---- All of them ---- */

static bool wanted(const struct nvio_pci_scan_opts *opts, const struct nvio_pci_info *info)
{
	return (opts->class_code == NVIO_PCI_ANY || opts->class_code == info->class_code) &&
	       (opts->vendor == NVIO_PCI_ANY || opts->vendor == info->vendor) &&
	       (opts->device == NVIO_PCI_ANY || opts->device == info->device);
}

static int scan_one(const struct nvio_pci_scan_opts *opts, nvio_pci_fn fn, void *arg)
{
	struct nvio_pci_info info;
	struct pci_bdf bdf;
	int rc;

	if (pci_bdf_parse(opts->bdf, &bdf))
		return fail(-EINVAL, "pci: \"%s\" is not the address of a function; 0000:01:00.0 is the form",
			opts->bdf);
	rc = pci_inspect(opts->root, &bdf, &info);
	if (rc == -ENODEV)
		return fail(rc,
			"pci: %s: no such function; `nvio list` shows the drives, `lspci -D` everything",
			info.bdf);
	if (rc)
		return fail(rc, "pci: %s: its class cannot be read from sysfs: %s", info.bdf, strerror(-rc));
	if (opts->class_code != NVIO_PCI_ANY && opts->class_code != info.class_code)
		return fail(-ENODEV,
			"pci: %s: its class is 0x%06x, and 0x%06x%s is asked for; `nvio list` shows the drives",
			info.bdf, info.class_code, opts->class_code,
			opts->class_code == NVIO_PCI_CLASS_NVME ? " (NVMe)" : "");
	if (!wanted(opts, &info))
		return fail(-ENODEV, "pci: %s: it is %04x:%04x, and another vendor or device is asked for",
			info.bdf, info.vendor, info.device);
	return fn(&info, arg);
}

static int compare(const void *a, const void *b)
{
	const struct pci_bdf *x = a, *y = b;
	uint64_t kx = (uint64_t)x->domain << 32 | (uint64_t)x->bus << 16 | (uint64_t)x->dev << 8 | x->fn;
	uint64_t ky = (uint64_t)y->domain << 32 | (uint64_t)y->bus << 16 | (uint64_t)y->dev << 8 | y->fn;

	return kx < ky ? -1 : kx > ky;
}

/* All addresses of the folder, in no order. */
static int collect(DIR *dir, struct pci_bdf **list, size_t *count)
{
	size_t room = 0;

	*list = NULL;
	*count = 0;
	for (struct dirent *e = readdir(dir); e && *count < MAX_FUNCTIONS; e = readdir(dir)) {
		struct pci_bdf bdf;

		if (pci_bdf_parse(e->d_name, &bdf))
			continue;
		if (*count == room) {
			size_t more = room ? 2 * room : 64;
			struct pci_bdf *grown = alloc_array(more, sizeof(*grown));

			if (!grown) {
				alloc_free(*list);
				return fail(-ENOMEM, "pci: no memory for a list of %zu functions", more);
			}
			if (room)
				memcpy(grown, *list, room * sizeof(*grown));
			alloc_free(*list);
			*list = grown;
			room = more;
		}
		(*list)[(*count)++] = bdf;
	}
	return 0;
}

static int scan_all(const struct nvio_pci_scan_opts *opts, nvio_pci_fn fn, void *arg)
{
	struct sysfs_path path;
	struct pci_bdf *list;
	size_t count;
	DIR *dir;
	int rc = sysfs_path(&path, opts->root, "sys/bus/pci/devices");

	if (rc)
		return fail(-EINVAL, "pci: scan: the path of the root is too long");
	dir = opendir(path.text);
	if (!dir)
		return fail(errno == ENOTDIR ? -ENOENT : -errno,
			"pci: scan: %s: %s; this system shows no PCI bus", path.text, strerror(errno));
	rc = collect(dir, &list, &count);
	closedir(dir);
	if (rc)
		return rc;
	if (count)
		qsort(list, count, sizeof(*list), compare);
	for (size_t i = 0; i < count && !rc; i++) {
		struct nvio_pci_info info;

		/* One that is gone meanwhile, or has no class, is not there. */
		if (!pci_inspect(opts->root, &list[i], &info) && wanted(opts, &info))
			rc = fn(&info, arg);
	}
	alloc_free(list);
	return rc;
}

int nvio_pci_scan(const struct nvio_pci_scan_opts *user_opts, nvio_pci_fn fn, void *arg)
{
	struct nvio_pci_scan_opts opts;
	int rc = 0;

	nvio_pci_scan_opts_init(&opts);
	if (user_opts)
		rc = opts_copy("nvio_pci_scan_opts", &opts, sizeof(opts), user_opts, FIRST_RELEASE_SIZE);
	if (rc)
		return rc;
	if (!fn)
		return fail(-EINVAL, "pci: scan: there is no function to call");
	return opts.bdf ? scan_one(&opts, fn, arg) : scan_all(&opts, fn, arg);
}
