/* SPDX-License-Identifier: BSD-3-Clause */
/* A function through its VFIO descriptor: regions, interrupts and reset (Linux,
 * Documentation/driver-api/vfio.rst). */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fail.h"
#include "pci/vfio.h"

#define VECTORS_FIRST 16   /* set up with the first, where more cannot be added later without a gap */
#define VECTORS_MAX   2048 /* that MSI-X can have (PCI 3.0 section 6.8.2.3) */
#define AREAS_MAX     16   /* of a BAR that can be mapped in pieces only */
#define RESET_TRIES   50   /* a reset that meets another one's lock, 10 ms apart */

static struct vfio_dev *vfio_of(struct pci_dev *dev)
{
	return container_of(dev, struct vfio_dev, dev);
}

/* ---- Regions ---- */

static int region_info(struct vfio_dev *v, uint32_t index, struct vfio_region_info *info, size_t size)
{
	info->argsz = (uint32_t)size;
	info->index = index;
	if (ioctl(v->fd, VFIO_DEVICE_GET_REGION_INFO, info))
		return fail(-errno, "pci: %s: vfio: region %u: %s", v->dev.info.bdf, index, strerror(errno));
	return 0;
}

static int config_failed(struct vfio_dev *v, uint32_t offset, ssize_t n)
{
	int err = n < 0 ? errno : EIO;

	return fail(err == ENODEV ? -ENODEV : -EIO, "pci: %s: configuration space at 0x%x: %s",
		v->dev.info.bdf, offset, strerror(err));
}

int vfio_config_read(struct pci_dev *dev, uint32_t offset, uint32_t width, uint32_t *value)
{
	struct vfio_dev *v = vfio_of(dev);
	uint32_t raw = 0;
	ssize_t n = pread(v->fd, &raw, width, (off_t)(v->config_offset + offset));

	if (n != (ssize_t)width)
		return config_failed(v, offset, n);
	*value = le32toh(raw);
	return 0;
}

int vfio_config_write(struct pci_dev *dev, uint32_t offset, uint32_t width, uint32_t value)
{
	struct vfio_dev *v = vfio_of(dev);
	uint32_t raw = htole32(value);
	ssize_t n = pwrite(v->fd, &raw, width, (off_t)(v->config_offset + offset));

	return n == (ssize_t)width ? 0 : config_failed(v, offset, n);
}

/* The pieces of a BAR that can be mapped: all of it, or what kernels leave that keep the MSI-X table to
 * themselves. */
static uint32_t map_areas(
	const struct vfio_region_info *info, struct vfio_region_sparse_mmap_area areas[AREAS_MAX])
{
	const char *bytes = (const char *)info;
	uint32_t next = info->flags & VFIO_REGION_INFO_FLAG_CAPS ? info->cap_offset : 0;
	struct vfio_region_info_cap_sparse_mmap cap;

	/* Copied out, as kernels need not put capabilities where fields of 64 bits may stand. */
	while (next && next + sizeof(cap.header) <= info->argsz) {
		memcpy(&cap.header, bytes + next, sizeof(cap.header));
		if (cap.header.id == VFIO_REGION_INFO_CAP_SPARSE_MMAP && next + sizeof(cap) <= info->argsz) {
			uint32_t count;

			memcpy(&cap, bytes + next, sizeof(cap));
			count = MIN(cap.nr_areas, AREAS_MAX);
			if (count <= (info->argsz - next - sizeof(cap)) / sizeof(areas[0])) {
				memcpy(areas, bytes + next + sizeof(cap), count * sizeof(areas[0]));
				return count;
			}
		}
		next = cap.header.next;
	}
	areas[0] = (struct vfio_region_sparse_mmap_area){ .offset = 0, .size = info->size };
	return 1;
}

int vfio_map_bar(struct pci_dev *dev, unsigned int index, void **base, size_t *len, bool *guarded)
{
	struct vfio_dev *v = vfio_of(dev);
	struct vfio_region_sparse_mmap_area areas[AREAS_MAX];
	union {
		struct vfio_region_info info;
		char room[1024];
	} u = { 0 };
	uint32_t count;
	char *at;
	int rc = region_info(v, VFIO_PCI_BAR0_REGION_INDEX + index, &u.info, sizeof(u));

	if (rc)
		return rc;
	if (u.info.argsz > sizeof(u)) /* the kernel then told no capabilities, as there was no room */
		u.info.flags &= ~VFIO_REGION_INFO_FLAG_CAPS;
	if (!u.info.size)
		return fail(-ENODEV, "pci: %s: there is no BAR %u", dev->info.bdf, index);
	if (!(u.info.flags & VFIO_REGION_INFO_FLAG_MMAP))
		return fail(-EOPNOTSUPP,
			"pci: %s: BAR %u cannot be mapped: it is of I/O ports, or shares its page with others",
			dev->info.bdf, index);
	at = mmap(NULL, u.info.size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (at == MAP_FAILED)
		return fail(-errno, "pci: %s: BAR %u: address space for %llu bytes: %s", dev->info.bdf, index,
			(unsigned long long)u.info.size, strerror(errno));
	count = map_areas(&u.info, areas);
	for (uint32_t i = 0; i < count; i++) {
		if (areas[i].offset + areas[i].size <= u.info.size &&
			mmap(at + areas[i].offset, areas[i].size, PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_FIXED, v->fd,
				(off_t)(u.info.offset + areas[i].offset)) != MAP_FAILED)
			continue;
		rc = fail(-errno, "pci: %s: BAR %u: cannot map: %s", dev->info.bdf, index, strerror(errno));
		munmap(at, u.info.size);
		return rc;
	}
	*base = at;
	*len = u.info.size;
	*guarded = true;
	return 0;
}

void vfio_unmap_bar(struct pci_dev *dev, void *base, size_t len)
{
	munmap(base, len);
}

int vfio_reset(struct pci_dev *dev)
{
	struct vfio_dev *v = vfio_of(dev);

	if (!v->can_reset)
		return fail(-EOPNOTSUPP, "pci: %s: the function has no reset of its own", dev->info.bdf);
	for (int i = 0; ioctl(v->fd, VFIO_DEVICE_RESET); i++) {
		if (errno != EAGAIN || i == RESET_TRIES)
			return fail(errno == ENODEV ? -ENODEV : -EIO, "pci: %s: reset: %s", dev->info.bdf,
				strerror(errno));
		usleep(10000);
	}
	return 0;
}

/* ---- Interrupts ---- */

static uint32_t irq_count(struct vfio_dev *v, uint32_t index, bool *grows)
{
	struct vfio_irq_info info = { .argsz = sizeof(info), .index = index };

	if (ioctl(v->fd, VFIO_DEVICE_GET_IRQ_INFO, &info) || !(info.flags & VFIO_IRQ_INFO_EVENTFD))
		return 0;
	*grows = !(info.flags & VFIO_IRQ_INFO_NORESIZE);
	return MIN(info.count, VECTORS_MAX);
}

/* `count` eventfds from vector `start` on. Count 0: the interrupt as a whole is off. Returns what the ioctl
 * does. */
static int set_irqs(struct vfio_dev *v, uint32_t index, uint32_t start, uint32_t count, const int32_t *fds)
{
	size_t size = sizeof(struct vfio_irq_set) + count * sizeof(*fds);
	struct vfio_irq_set *set = alloc_zeroed(size);
	int rc;

	if (!set) {
		errno = ENOMEM;
		return -1;
	}
	set->argsz = (uint32_t)size;
	set->flags =
		VFIO_IRQ_SET_ACTION_TRIGGER | (count ? VFIO_IRQ_SET_DATA_EVENTFD : VFIO_IRQ_SET_DATA_NONE);
	set->index = index;
	set->start = start;
	set->count = count;
	if (count)
		memcpy(set->data, fds, count * sizeof(*fds));
	rc = ioctl(v->fd, VFIO_DEVICE_SET_IRQS, set);
	alloc_free(set);
	return rc;
}

static int vectors_failed(struct vfio_dev *v, uint32_t want, int rc)
{
	/* More than 0: so many there would be. */
	if (rc > 0 || errno == ENOSPC)
		return fail(-ENOSPC,
			"pci: %s: %u interrupt vectors are wanted, and the system has %d left; use fewer queues, or poll",
			v->dev.info.bdf, want, rc > 0 ? rc : 0);
	return fail(-errno, "pci: %s: %u interrupt vectors: %s", v->dev.info.bdf, want, strerror(errno));
}

/* Sets up vectors so that `vector` is among them. */
static int enable(struct vfio_dev *v, uint32_t vector)
{
	uint32_t old = v->irq_enabled,
		 want = MIN(v->dev.vectors, MAX(vector + 1, MAX(VECTORS_FIRST, 2 * old)));
	int rc;

	if (old)
		set_irqs(v, v->irq_index, 0, 0, NULL);
	rc = set_irqs(v, v->irq_index, 0, want, v->irq_fds);
	if (rc && want > vector + 1) {
		want = vector + 1;
		rc = set_irqs(v, v->irq_index, 0, want, v->irq_fds);
	}
	if (rc) {
		rc = vectors_failed(v, want, rc);
		v->irq_enabled = old && !set_irqs(v, v->irq_index, 0, old, v->irq_fds) ? old : 0;
		return rc;
	}
	v->irq_enabled = want;
	/* What came while they were off is lost: whoever sleeps on one of them looks. */
	for (uint32_t i = 0; i < old; i++)
		if (v->irq_fds[i] >= 0)
			eventfd_write(v->irq_fds[i], 1);
	return 0;
}

int vfio_vector_set(struct pci_dev *dev, uint32_t vector, int fd)
{
	struct vfio_dev *v = vfio_of(dev);
	int32_t one = fd, former = v->irq_fds[vector];
	int rc;

	if (vector >= v->irq_enabled && !(v->irq_enabled && v->irq_grows)) {
		if (fd < 0)
			return 0;
		v->irq_fds[vector] = fd;
		rc = enable(v, vector);
		if (rc)
			v->irq_fds[vector] = former;
		return rc;
	}
	rc = set_irqs(v, v->irq_index, vector, 1, &one);
	if (rc)
		return vectors_failed(v, 1, rc);
	v->irq_fds[vector] = fd;
	return 0;
}

int vfio_vectors_enable(struct pci_dev *dev, uint32_t count)
{
	struct vfio_dev *v = vfio_of(dev);

	return v->irq_enabled >= count || (v->irq_enabled && v->irq_grows) ? 0 : enable(v, count - 1);
}

/* The kernel wants it back, or the bus reports that it is beyond help: one descriptor for both. */
static int listen_for_the_end(struct vfio_dev *v)
{
	static const uint32_t ends[] = { VFIO_PCI_REQ_IRQ_INDEX, VFIO_PCI_ERR_IRQ_INDEX };
	int32_t fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	bool grows;

	if (fd < 0)
		return fail(-errno, "pci: %s: eventfd: %s", v->dev.info.bdf, strerror(errno));
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		if (irq_count(v, ends[i], &grows) == 0 || !set_irqs(v, ends[i], 0, 1, &fd))
			continue;
		close(fd);
		return fail(-errno, "pci: %s: vfio: cannot be told when it goes: %s", v->dev.info.bdf,
			strerror(errno));
	}
	v->dev.gone_fd = fd;
	return 0;
}

/* ---- Begin and end ---- */

static int init_interrupts(struct vfio_dev *v)
{
	v->irq_index = VFIO_PCI_MSIX_IRQ_INDEX;
	v->dev.vectors = irq_count(v, v->irq_index, &v->irq_grows);
	if (!v->dev.vectors) {
		v->irq_index = VFIO_PCI_MSI_IRQ_INDEX;
		v->dev.vectors = irq_count(v, v->irq_index, &v->irq_grows);
	}
	v->irq_fds = alloc_array(v->dev.vectors, sizeof(*v->irq_fds));
	if (!v->irq_fds)
		return fail(-ENOMEM, "pci: %s: no memory for %u vectors", v->dev.info.bdf, v->dev.vectors);
	memset(v->irq_fds, 0xff, v->dev.vectors * sizeof(*v->irq_fds));
	return 0;
}

/*
 * Some vectors, that lead to nothing, from the beginning: a device may look whether MSI-X is on when a queue
 * is made, and not again when it has an interrupt to raise (QEMU's drive). Without them it can still be
 * polled; who sets one later is told what is wrong.
 */
static void enable_some(struct vfio_dev *v)
{
	if (v->dev.vectors && enable(v, 0))
		fail_clear();
}

int vfio_dev_init(struct vfio_dev *v)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct vfio_region_info config = { 0 };
	int rc;

	v->dev.gone_fd = -1;
	if (ioctl(v->fd, VFIO_DEVICE_GET_INFO, &info))
		return fail(-errno, "pci: %s: vfio: device: %s", v->dev.info.bdf, strerror(errno));
	if (!(info.flags & VFIO_DEVICE_FLAGS_PCI) || info.num_regions <= VFIO_PCI_CONFIG_REGION_INDEX)
		return fail(-EOPNOTSUPP, "pci: %s: vfio: it is no PCI function", v->dev.info.bdf);
	v->can_reset = info.flags & VFIO_DEVICE_FLAGS_RESET;
	rc = region_info(v, VFIO_PCI_CONFIG_REGION_INDEX, &config, sizeof(config));
	if (rc)
		return rc;
	v->config_offset = config.offset;
	v->config_size = config.size;
	rc = init_interrupts(v);
	if (rc)
		return rc;
	rc = listen_for_the_end(v);
	if (rc) {
		alloc_free(v->irq_fds);
		v->irq_fds = NULL;
		return rc;
	}
	enable_some(v);
	return 0;
}

void vfio_dev_fini(struct vfio_dev *v)
{
	if (v->irq_enabled)
		set_irqs(v, v->irq_index, 0, 0, NULL);
	close(v->fd);
	close(v->dev.gone_fd);
	alloc_free(v->irq_fds);
}
