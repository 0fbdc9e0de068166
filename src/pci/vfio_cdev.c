/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * VFIO by character devices: /dev/vfio/devices/vfioN for one function, and an IOAS of /dev/iommu for an
 * address space. A device can be bound once, which is what keeps a second process out. Functions of one
 * environment share an IOAS where that does not change for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fail.h"
#include "pci/iommufd_abi.h"
#include "pci/sysfs.h"
#include "pci/vfio.h"

/* ---- The mapper ---- */

static int iommufd_map(struct mem_mapper *m, void *va, size_t len, uint64_t iova)
{
	struct pci_space *space = container_of(m, struct pci_space, mapper);
	struct iommufd_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMUFD_MAP_FIXED_IOVA | IOMMUFD_MAP_READABLE | IOMMUFD_MAP_WRITEABLE,
		.ioas_id = space->id,
		.user_va = (uintptr_t)va,
		.length = len,
		.iova = iova,
	};

	if (ioctl(space->fd, IOMMUFD_IOAS_MAP, &map))
		return pci_space_map_failed(space, len, iova, errno);
	space->mapped += len;
	return 0;
}

static void iommufd_unmap(struct mem_mapper *m, void *va, size_t len, uint64_t iova)
{
	struct pci_space *space = container_of(m, struct pci_space, mapper);
	struct iommufd_ioas_unmap unmap = {
		.size = sizeof(unmap), .ioas_id = space->id, .iova = iova, .length = len
	};

	invariant(!ioctl(space->fd, IOMMUFD_IOAS_UNMAP, &unmap)); /* see type1_unmap() */
	space->mapped -= len;
}

static const struct mem_mapper_ops iommufd_ops = { .map = iommufd_map, .unmap = iommufd_unmap };

/* ---- Address spaces ---- */

/* What can be mapped in the IOAS, with all that is attached to it. 0 or -errno. */
static int ask_ranges(
	const struct pci_space *space, struct mem_range *ranges, uint32_t *count, uint64_t *alignment)
{
	struct iommufd_iova_ranges ask = {
		.size = sizeof(ask), .ioas_id = space->id, .num = *count, .ranges = (uintptr_t)ranges
	};

	static_assert(sizeof(struct mem_range) == 16, "the kernel's pairs: first, last");
	if (ioctl(space->fd, IOMMUFD_IOVA_RANGES, &ask))
		return -errno;
	*count = ask.num;
	*alignment = MAX(ask.alignment, MEM_PAGE);
	return 0;
}

static int attach(const struct vfio_dev *v, const struct pci_space *space)
{
	struct cdev_attach attach = { .argsz = sizeof(attach), .ioas_id = space->id };

	return ioctl(v->fd, CDEV_ATTACH, &attach) ? -errno : 0;
}

/* Of an IOAS with nothing attached or mapped. Other spaces may keep the iommufd open, and would keep it, too. */
static void destroy_ioas(struct pci_space *space)
{
	struct iommufd_destroy destroy = { .size = sizeof(destroy), .id = space->id };

	ioctl(space->fd, IOMMUFD_DESTROY, &destroy);
}

static void detach(const struct vfio_dev *v)
{
	struct cdev_detach detach = { .argsz = sizeof(detach) };

	ioctl(v->fd, CDEV_DETACH, &detach);
}

static bool is_ours(const struct pci_space *space)
{
	return space->mapper.ops == &iommufd_ops;
}

static bool join_space(struct vfio_dev *v)
{
	list_for_each (pos, &v->dev.env->pci->spaces) {
		struct pci_space *space = list_entry(pos, struct pci_space, link);
		struct mem_range ranges[ARRAY_SIZE(space->ranges)];
		uint32_t count = ARRAY_SIZE(ranges);
		uint64_t alignment;

		if (!is_ours(space) || attach(v, space))
			continue;
		if (!ask_ranges(space, ranges, &count, &alignment) && alignment == space->mapper.page_sizes &&
			pci_space_same_ranges(space, ranges, count)) {
			space->refs++;
			v->space = space;
			return true;
		}
		detach(v);
	}
	return false;
}

static int describe(struct pci_space *space, const char *bdf)
{
	struct mem_range ranges[ARRAY_SIZE(space->ranges)];
	uint32_t count = ARRAY_SIZE(ranges);
	int rc;

	snprintf(space->mapper.name, sizeof(space->mapper.name), "iommufd: %s", bdf);
	space->mapper.ops = &iommufd_ops;
	space->mapper.pins = true;
	rc = ask_ranges(space, ranges, &count, &space->mapper.page_sizes);
	if (rc || !pci_space_set_ranges(space, ranges, count))
		return fail(rc ? rc : -EOPNOTSUPP,
			"pci: %s: iommufd does not tell which addresses it translates: %s", bdf,
			strerror(rc ? -rc : EOPNOTSUPP));
	return 0;
}

/* An IOAS of its own in the iommufd that it is bound to. */
static int new_space(struct vfio_dev *v, int iommufd)
{
	struct iommufd_ioas_alloc alloc = { .size = sizeof(alloc) };
	const char *bdf = v->dev.info.bdf;
	struct pci_space *space = alloc_zeroed(sizeof(*space));
	int rc;

	if (!space)
		return fail(-ENOMEM, "pci: %s: no memory for an address space", bdf);
	space->fd = fcntl(iommufd, F_DUPFD_CLOEXEC, 0);
	if (space->fd < 0 || ioctl(space->fd, IOMMUFD_IOAS_ALLOC, &alloc)) {
		rc = fail(-errno, "pci: %s: iommufd: address space: %s", bdf, strerror(errno));
		goto out_free;
	}
	space->id = alloc.ioas_id;
	rc = attach(v, space);
	if (rc) {
		fail(rc, "pci: %s: iommufd: cannot be attached: %s; look into `dmesg`", bdf, strerror(-rc));
		goto out_destroy;
	}
	rc = describe(space, bdf);
	if (!rc)
		rc = mem_mapper_add(v->dev.env, &space->mapper);
	if (rc)
		goto out_detach;
	space->destroy = destroy_ioas;
	space->refs = 1;
	list_push_back(&v->dev.env->pci->spaces, &space->link);
	v->space = space;
	return 0;
out_detach:
	detach(v);
out_destroy:
	destroy_ioas(space);
out_free:
	if (space->fd >= 0)
		close(space->fd);
	alloc_free(space);
	return rc;
}

/* ---- Functions ---- */

static void cdev_close(struct pci_dev *dev)
{
	struct vfio_dev *v = container_of(dev, struct vfio_dev, dev);

	vfio_dev_fini(v);
	pci_space_put(dev->env, v->space);
	alloc_free(v);
}

static const struct pci_way cdev_way = {
	.name = "vfio device",
	VFIO_WAY_COMMON,
	.close = cdev_close,
};

/* The environment's iommufd, or its first. The descriptor is the caller's. */
static int open_iommufd(struct nvio_env *env, const struct nvio_pci_info *info, int *out)
{
	struct sysfs_path path;

	*out = -1;
	list_for_each (pos, &env->pci->spaces) {
		struct pci_space *space = list_entry(pos, struct pci_space, link);

		if (*out < 0 && is_ours(space))
			*out = fcntl(space->fd, F_DUPFD_CLOEXEC, 0);
	}
	if (*out >= 0)
		return 0;
	if (sysfs_path(&path, env->opts.pci_root, "dev/iommu"))
		return fail(-ENAMETOOLONG, "pci: %s: the path of pci_root is too long", info->bdf);
	*out = open(path.text, O_RDWR | O_CLOEXEC);
	return *out < 0 ? pci_cannot_open(info, path.text, errno) : 0;
}

/* From here on it is ours alone. On failure v->fd is closed. */
static int bind_device(struct vfio_dev *v, const char *path, int iommufd)
{
	struct cdev_bind bind = { .argsz = sizeof(bind), .iommufd = iommufd };
	const struct nvio_pci_info *info = &v->dev.info;
	struct sysfs_path group;
	int err;

	if (!ioctl(v->fd, CDEV_BIND, &bind))
		return 0;
	err = errno;
	/* Ours is no holder. */
	close(v->fd);
	/* Another one has it bound: nothing else is EINVAL here. EBUSY: has it, too, but came by its group. */
	if (err == EINVAL)
		return pci_busy(info, path);
	if (err == EBUSY)
		return pci_busy(info,
			sysfs_path(&group, v->dev.env->opts.pci_root, "dev/vfio/%d", info->iommu_group)
				? path
				: group.text);
	/* The kernel has a function of its group; and nothing else, for who could open the file may bind it.
	 */
	if (err == EPERM)
		return pci_group_blocked(v->dev.env, info);
	return fail(-err, "pci: %s: vfio: cannot be bound to iommufd: %s; look into `dmesg`", info->bdf,
		strerror(err));
}

static int take(struct vfio_dev *v, const char *path, int iommufd)
{
	int rc = bind_device(v, path, iommufd);

	if (rc)
		return rc;
	rc = join_space(v) ? 0 : new_space(v, iommufd);
	if (rc)
		goto out_close;
	rc = vfio_dev_init(v);
	if (rc)
		goto out_space;
	return 0;
out_space:
	detach(v);
	pci_space_put(v->dev.env, v->space);
out_close:
	close(v->fd);
	return rc;
}

int vfio_cdev_open(struct nvio_env *env, const struct nvio_pci_info *info, struct pci_dev **dev)
{
	struct vfio_dev *v = alloc_zeroed(sizeof(*v));
	struct sysfs_path path;
	int rc, iommufd;

	if (!v)
		return fail(-ENOMEM, "pci: %s: no memory for the function", info->bdf);
	v->dev = (struct pci_dev){ .way = &cdev_way, .env = env, .info = *info };
	rc = sysfs_path(&path, env->opts.pci_root, "%s", info->vfio_path + 1);
	v->fd = rc ? -1 : open(path.text, O_RDWR | O_CLOEXEC);
	if (v->fd < 0) {
		rc = pci_cannot_open(info, info->vfio_path, rc ? -rc : errno);
		goto out_free;
	}
	rc = open_iommufd(env, info, &iommufd);
	if (rc) {
		close(v->fd);
		goto out_free;
	}
	rc = take(v, path.text, iommufd);
	close(iommufd);
	if (rc)
		goto out_free;
	*dev = &v->dev;
	return 0;
out_free:
	alloc_free(v);
	return rc;
}
