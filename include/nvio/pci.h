/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * PCI functions as Linux shows them: which NVMe drives the bus has, who has each of them, and handing one to another driver. Nothing
 * here needs an environment, and looking needs no privilege. To use a drive, connect to it (nvio/ctrlr.h) or probe (nvio/probe.h).
 */
#ifndef NVIO_PCI_H
#define NVIO_PCI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nvio/compiler.h>

NVIO_BEGIN_DECLS

#define NVIO_PCI_CLASS_NVME 0x010802u /* mass storage, non-volatile memory, NVM Express (NVMe PCIe Transport 1.0 section 2.1.1) */
#define NVIO_PCI_ANY        UINT32_MAX

enum nvio_pci_owner {
	NVIO_PCI_UNBOUND, /* no driver has it */
	NVIO_PCI_KERNEL,  /* the kernel's nvme driver, or another one that is not for user space: `driver` */
	NVIO_PCI_VFIO,    /* vfio-pci: ready for user space, or in use there */
	NVIO_PCI_UIO,     /* uio_pci_generic: no IOMMU protects the machine from it */
};

/* One function, as it was when it was looked at. */
struct nvio_pci_info {
	size_t size;             /* sizeof(struct nvio_pci_info), set by the library */
	char bdf[20];            /* "0000:01:00.0" */
	uint32_t class_code;     /* class, subclass, programming interface: 0x010802 */
	uint16_t vendor, device, subsystem_vendor, subsystem_device;
	uint8_t revision;
	bool is_vf;              /* a virtual function (SR-IOV) */
	int numa_node;           /* -1: not known */
	int iommu_group;         /* -1: none, so no IOMMU is in the way; so it is for the make-believe groups of VFIO's no-IOMMU mode */
	uint32_t group_size;     /* functions in it, this one included; 0: no group */
	enum nvio_pci_owner owner;
	char driver[32];         /* "" when unbound */
	char kernel_name[32];    /* "nvme0" when the kernel's driver has it, else "" */
	char vfio_path[64];      /* "/dev/vfio/12", "/dev/vfio/noiommu-12" or, where there is also /dev/iommu,
                                "/dev/vfio/devices/vfio0", when vfio-pci has it; else "" */
};

struct nvio_pci_scan_opts {
	size_t size;
	const char *root;        /* the tree that has sys/ and dev/; NULL: "/". For tests and containers. */
	uint32_t class_code;     /* NVIO_PCI_CLASS_NVME by default; NVIO_PCI_ANY */
	uint32_t vendor, device; /* NVIO_PCI_ANY by default */
	const char *bdf;         /* only this one; NULL: all */
};

NVIO_EXPORT void nvio_pci_scan_opts_init(struct nvio_pci_scan_opts *opts);

/* A function that the scan found, in ascending order of addresses. 0: go on; anything else ends the scan, and is what it returns. */
typedef int (*nvio_pci_fn)(const struct nvio_pci_info *info, void *arg);

/*
 * Looks at the bus. `opts` may be NULL. 0, also when there is nothing; what fn returned; -EINVAL bad bdf or option; -ENODEV a bdf that
 * does not exist (or is not what else is asked for: nvio_errmsg() says what it is); -EIO that one has no class that can be read; -ENOENT the
 * tree has no PCI bus; -ENOMEM; -E2BIG an option that this release does not know is set. A function that vanishes meanwhile, and without
 * `bdf` one whose class cannot be read, is left out; other attributes that cannot be read are 0, or -1. Any thread.
 */
NVIO_EXPORT int nvio_pci_scan(const struct nvio_pci_scan_opts *opts, nvio_pci_fn fn, void *arg);

/* "unbound", "kernel", "vfio", "uio". */
NVIO_EXPORT const char *nvio_pci_owner_str(enum nvio_pci_owner owner);

/*
 * Hands the function to `driver` ("vfio-pci", "nvme", "uio_pci_generic"; NULL: to none, "": to whichever the kernel finds for it). It is
 * unbound from its present driver first. Needs root. It does not look at what is on the drive: that is for the caller (see `nvio setup`).
 * With the name of a driver, that stays the only one that may take the function (driver_override) until it is handed to NULL or "".
 * 0, also when it has that driver already; -EINVAL; -ENODEV no such function; -ENOENT the driver is not loaded; -EACCES or -EPERM; -EROFS sysfs
 * cannot be written; -EBUSY a process uses it through VFIO (which the words name), the driver did not take it, or did not let it go; -EIO.
 * When the new driver does not take it, the former one gets it back. May take as long as the drivers do; any thread.
 */
NVIO_EXPORT int nvio_pci_bind(const char *root, const char *bdf, const char *driver);

NVIO_END_DECLS

#endif
