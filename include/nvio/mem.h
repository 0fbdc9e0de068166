/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory that devices can reach. Over loop and TCP any pointer is a valid buffer; over PCIe, and over loop to a drive behind an
 * IOMMU, it must come from here or be registered. Device addresses (IOVA) equal virtual addresses until a device that maps memory is
 * connected; then they are chosen by nvio, the same for all devices of the environment, until the last of these is closed. Limits,
 * hugepages, IOMMUs and the remedies of each error are in docs/memory.md.
 */
#ifndef NVIO_MEM_H
#define NVIO_MEM_H

#include <stddef.h>
#include <stdint.h>

#include <nvio/compiler.h>

NVIO_BEGIN_DECLS

struct nvio_env;

/*
 * Allocates `size` bytes, aligned to `align`: 0 or a power of two up to 1 GiB; at least 64 bytes, and at least a 4 KiB page
 * for sizes of a page and more. On hugepages, what fits into one lies in one. The content is undefined (nvio_mem_alloc) or zero (nvio_mem_alloc_zeroed). NULL on failure:
 * size 0, bad align, the limit of mem_size_mb, no memory, or a device cannot map it (the limit on locked memory, no room in its
 * IOMMU, no hugepages where there is no IOMMU); nvio_errmsg() says which and names the size. Any thread; the
 * buffer may be freed by another.
 */
NVIO_EXPORT void *nvio_mem_alloc(struct nvio_env *env, size_t size, size_t align);
NVIO_EXPORT void *nvio_mem_alloc_zeroed(struct nvio_env *env, size_t size, size_t align);

/*
 * 0 (also for NULL); -EINVAL: not the start of a buffer of this environment, or freed already; -EBUSY: an I/O on it is
 * in flight (checked builds). On an error nothing happened. Any thread.
 */
NVIO_EXPORT int nvio_mem_free(struct nvio_env *env, void *buf);

/*
 * Makes the caller's own memory known to devices, of whatever kind: anonymous, of a file, of a library. Address and length are multiples
 * of 4 KiB; the memory stays the caller's, and must stay mapped until it is unregistered. 0; -EINVAL alignment, length 0, wrap-around, not
 * mapped, or no multiple of an IOMMU's larger pages; -EEXIST overlaps a registration or nvio's own memory; -ENOMEM; -EPERM memory
 * locking; -ENOSPC a device's IOMMU has no room, in addresses or in entries; -EFAULT a device cannot pin it, as it cannot be written or
 * is of a file that forbids it; -EOPNOTSUPP a device works without an IOMMU. On an error nothing is registered. Any thread.
 */
NVIO_EXPORT int nvio_mem_register(struct nvio_env *env, void *addr, size_t len);

/* 0; -ENOENT: not registered with just this address and length; -EBUSY: a handle or (checked builds) an I/O uses it. */
NVIO_EXPORT int nvio_mem_unregister(struct nvio_env *env, void *addr, size_t len);

/*
 * The device address of `ptr`, and in *contig (may be NULL) how many bytes from there on are contiguous for the device.
 * 0; -EFAULT: neither allocated here nor registered. Any thread; not meant for the I/O path.
 */
NVIO_EXPORT int nvio_mem_device_addr(struct nvio_env *env, const void *ptr, uint64_t *addr, size_t *contig);

/*
 * A registered-buffer handle: device address = device_addr + offset, without a look-up. Plain data; the fields may be
 * read, not changed.
 */
struct nvio_mem_buf {
	void *base;
	size_t len;
	uint64_t device_addr;
	void *region;      /* the library's */
};

/*
 * Makes a handle for [addr, addr + len) which must lie in one allocation or registration, and with devices that work without an IOMMU in
 * one hugepage. 0; -EFAULT; -EINVAL len 0. While a handle is open its region cannot be unregistered or freed (-EBUSY), and the first
 * device that maps memory cannot be connected (-EBUSY), as addresses change then. Close handles before the last such device is closed: their
 * addresses end with it. Any thread.
 */
NVIO_EXPORT int nvio_mem_buf_open(struct nvio_env *env, void *addr, size_t len, struct nvio_mem_buf *buf);
NVIO_EXPORT void nvio_mem_buf_close(struct nvio_env *env, struct nvio_mem_buf *buf);

struct nvio_mem_stats {
	uint64_t allocated;   /* bytes handed out */
	uint64_t reserved;    /* bytes mapped for it */
	uint64_t hugepages;   /* of these, on hugepages */
	uint64_t locked;      /* of these, locked, or pinned for a device */
	uint64_t registered;  /* bytes of the caller's own */
	uint64_t allocations; /* buffers handed out and not freed */
};

NVIO_EXPORT void nvio_mem_get_stats(struct nvio_env *env, struct nvio_mem_stats *stats);

NVIO_END_DECLS

#endif
