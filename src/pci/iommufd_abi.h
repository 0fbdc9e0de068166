/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kernel's interface of /dev/iommu and of VFIO's character devices, as far as it is used here (Linux 6.6 and later,
 * Documentation/userspace-api/iommufd.rst): the headers of the systems that nvio is built on may be older than what it runs on.
 */
#ifndef PCI_IOMMUFD_ABI_H
#define PCI_IOMMUFD_ABI_H

#include <assert.h>
#include <linux/ioctl.h>
#include <linux/vfio.h>
#include <stdint.h>

#define IOMMUFD_IOAS_ALLOC  _IO(';', 0x81)
#define IOMMUFD_DESTROY     _IO(';', 0x80)
#define IOMMUFD_IOVA_RANGES _IO(';', 0x84)
#define IOMMUFD_IOAS_MAP    _IO(';', 0x85)
#define IOMMUFD_IOAS_UNMAP  _IO(';', 0x86)

#define CDEV_BIND   _IO(VFIO_TYPE, VFIO_BASE + 18)
#define CDEV_ATTACH _IO(VFIO_TYPE, VFIO_BASE + 19)
#define CDEV_DETACH _IO(VFIO_TYPE, VFIO_BASE + 20)

#define IOMMUFD_MAP_FIXED_IOVA (1u << 0)
#define IOMMUFD_MAP_WRITEABLE  (1u << 1)
#define IOMMUFD_MAP_READABLE   (1u << 2)

struct iommufd_destroy {
	uint32_t size, id;
};

struct iommufd_ioas_alloc {
	uint32_t size, flags, ioas_id;
};

struct iommufd_iova_ranges {
	uint32_t size, ioas_id;
	uint32_t num; /* in: room for; out: how many there are */
	uint32_t reserved;
	uint64_t ranges; /* address of pairs: first, last */
	uint64_t alignment;
};

struct iommufd_ioas_map {
	uint32_t size, flags, ioas_id, reserved;
	uint64_t user_va, length, iova;
};

struct iommufd_ioas_unmap {
	uint32_t size, ioas_id;
	uint64_t iova, length;
};

struct cdev_bind {
	uint32_t argsz, flags;
	int32_t iommufd;
	uint32_t devid;
};

struct cdev_attach {
	uint32_t argsz, flags, ioas_id;
};

struct cdev_detach {
	uint32_t argsz, flags;
};

static_assert(sizeof(struct iommufd_destroy) == 8, "iommufd: destroy");
static_assert(sizeof(struct iommufd_ioas_alloc) == 12, "iommufd: IOAS alloc");
static_assert(sizeof(struct iommufd_iova_ranges) == 32, "iommufd: IOVA ranges");
static_assert(sizeof(struct iommufd_ioas_map) == 40, "iommufd: map");
static_assert(sizeof(struct iommufd_ioas_unmap) == 24, "iommufd: unmap");
static_assert(sizeof(struct cdev_bind) == 16, "VFIO: bind");
static_assert(sizeof(struct cdev_attach) == 12, "VFIO: attach");

#endif
