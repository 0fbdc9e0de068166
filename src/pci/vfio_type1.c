/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * VFIO by groups: /dev/vfio/N for the functions that the IOMMU cannot tell apart, and a container,
 * /dev/vfio/vfio, for an address space. A group can be opened once, which is what keeps a second process out.
 * Groups of one environment share a container where the kernel lets them, so that memory is mapped, and
 * counted against the limit, only once.
 *
 * Groups of the no-IOMMU mode come the same way; there the address space is that of physical memory
 * (physical.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fail.h"
#include "pci/physical.h"
#include "pci/sysfs.h"
#include "pci/vfio.h"

struct vfio_group {
	struct list link; /* pci->groups */
	char path[64];	  /* info->vfio_path */
	int fd;
	uint32_t refs; /* functions of it that this environment has */
	struct pci_space *space;
};

/* ---- The mapper ---- */

static int type1_map(struct mem_mapper *m, void *va, size_t len, uint64_t iova)
{
	struct pci_space *space = container_of(m, struct pci_space, mapper);
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)va,
		.iova = iova,
		.size = len,
	};

	if (ioctl(space->fd, VFIO_IOMMU_MAP_DMA, &map))
		return pci_space_map_failed(space, len, iova, errno);
	space->mapped += len;
	return 0;
}

static void type1_unmap(struct mem_mapper *m, void *va, size_t len, uint64_t iova)
{
	struct pci_space *space = container_of(m, struct pci_space, mapper);
	struct vfio_iommu_type1_dma_unmap unmap = { .argsz = sizeof(unmap), .iova = iova, .size = len };
	struct vfio_iommu_type1_info info = { .argsz = sizeof(info) };

	/*
	 * It cannot fail for what is mapped just so; if it did, a device could write to memory that is
	 * someone else's soon. But when the last group is pulled out, the container loses all mappings, and then
	 * its IOMMU: there is nothing left to be unmapped, or nobody to ask.
	 */
	if (ioctl(space->fd, VFIO_IOMMU_UNMAP_DMA, &unmap))
		invariant(ioctl(space->fd, VFIO_IOMMU_GET_INFO, &info));
	else
		invariant(unmap.size == len || !unmap.size);
	space->mapped -= len;
}

static const struct mem_mapper_ops type1_ops = { .map = type1_map, .unmap = type1_unmap };

/* ---- Containers ---- */

/* What the IOMMU can do, of what VFIO_IOMMU_GET_INFO told. */
struct iommu {
	uint64_t page_sizes;
	uint32_t avail;
	uint32_t num_ranges;
	struct mem_range ranges[32];
};

/*
 * One capability, with `room` bytes from its head on. Its fields are copied out: some kernels put capabilities
 * at 4 modulo 8 (seen on Linux 6.1), and these have fields of 64 bits.
 */
static void read_cap(const char *at, size_t room, uint16_t id, struct iommu *iommu)
{
	struct vfio_iommu_type1_info_cap_iova_range ranges;
	struct vfio_iommu_type1_info_dma_avail avail;
	struct vfio_iova_range range;

	if (id == VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE && room >= sizeof(ranges)) {
		memcpy(&ranges, at, sizeof(ranges));
		for (size_t i = 0; i < ranges.nr_iovas && iommu->num_ranges < ARRAY_SIZE(iommu->ranges) &&
				   room - sizeof(ranges) >= (i + 1) * sizeof(range);
			i++) {
			memcpy(&range, at + sizeof(ranges) + i * sizeof(range), sizeof(range));
			iommu->ranges[iommu->num_ranges++] = (struct mem_range){ range.start, range.end };
		}
	} else if (id == VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL && room >= sizeof(avail)) {
		memcpy(&avail, at, sizeof(avail));
		iommu->avail = avail.avail;
	}
}

static void read_caps(const struct vfio_iommu_type1_info *info, size_t size, struct iommu *iommu)
{
	const char *bytes = (const char *)info;
	uint32_t next = info->flags & VFIO_IOMMU_INFO_CAPS ? info->cap_offset : 0;
	struct vfio_info_cap_header head;

	while (next && next <= size - sizeof(head)) {
		memcpy(&head, bytes + next, sizeof(head));
		read_cap(bytes + next, size - next, head.id, iommu);
		next = head.next;
	}
}

static int ask_iommu(int container, struct iommu *iommu)
{
	union {
		struct vfio_iommu_type1_info info;
		char room[4096];
	} u = { 0 };

	*iommu = (struct iommu){ 0 };
	u.info.argsz = sizeof(u);
	if (ioctl(container, VFIO_IOMMU_GET_INFO, &u.info))
		return -errno;
	iommu->page_sizes = u.info.flags & VFIO_IOMMU_INFO_PGSIZES ? u.info.iova_pgsizes : MEM_PAGE;
	read_caps(&u.info, sizeof(u), iommu);
	/* Before Linux 5.4 it does not tell. 39 bits are the least that IOMMUs have, and the interrupts'
	 * window is in all of x86's. */
	if (!iommu->num_ranges) {
		iommu->ranges[0] = (struct mem_range){ 0, 0xfedfffff };
		iommu->ranges[1] = (struct mem_range){ 0xfef00000, (1ull << 39) - 1 };
		iommu->num_ranges = 2;
	}
	return 0;
}

static int cannot_set_iommu(const struct nvio_pci_info *info, int err)
{
	if (err == EPERM)
		return fail(-EPERM,
			"pci: %s: vfio: the platform does not isolate interrupts; enable interrupt remapping in the firmware, or, if "
			"everything that uses this machine is trusted, `sudo modprobe vfio_iommu_type1 allow_unsafe_interrupts=1`",
			info->bdf);
	return fail(-err, "pci: %s: vfio: the group cannot be put behind the IOMMU: %s; look into `dmesg`",
		info->bdf, strerror(err));
}

static int open_container(struct nvio_env *env, const struct nvio_pci_info *info, int type, int *out)
{
	struct sysfs_path path;
	int fd, rc = sysfs_path(&path, env->opts.pci_root, "dev/vfio/vfio");

	if (rc)
		return fail(rc, "pci: %s: the path of pci_root is too long", info->bdf);
	fd = open(path.text, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return pci_cannot_open(info, path.text, errno);
	if (ioctl(fd, VFIO_GET_API_VERSION) != VFIO_API_VERSION)
		rc = fail(-EOPNOTSUPP, "pci: %s: %s is not VFIO as this release knows it", info->bdf,
			path.text);
	else if (ioctl(fd, VFIO_CHECK_EXTENSION, type) <= 0)
		rc = fail(-EOPNOTSUPP,
			"pci: %s: vfio: no support for this IOMMU; run `sudo modprobe vfio_iommu_type1`",
			info->bdf);
	if (rc) {
		close(fd);
		return rc;
	}
	*out = fd;
	return 0;
}

/* Fills in the mapper of a space that has its first group. */
static int describe(struct pci_space *space, const struct nvio_pci_info *info, bool physical)
{
	struct iommu iommu;
	int rc;

	snprintf(space->mapper.name, sizeof(space->mapper.name), "vfio: %s", info->bdf);
	if (physical)
		return pci_physical_init(space);
	rc = ask_iommu(space->fd, &iommu);
	if (rc)
		return fail(rc, "pci: %s: vfio: the IOMMU does not tell what it can: %s", info->bdf,
			strerror(-rc));
	space->mapper.ops = &type1_ops;
	space->mapper.page_sizes = iommu.page_sizes;
	space->mapper.pins = true;
	space->avail = iommu.avail;
	if (!pci_space_set_ranges(space, iommu.ranges, iommu.num_ranges))
		return fail(-EOPNOTSUPP, "pci: %s: vfio: the IOMMU translates no addresses", info->bdf);
	return 0;
}

static int new_space(
	struct nvio_env *env, const struct nvio_pci_info *info, struct vfio_group *group, bool physical)
{
	int type = physical ? VFIO_NOIOMMU_IOMMU : VFIO_TYPE1v2_IOMMU;
	struct pci_space *space = alloc_zeroed(sizeof(*space));
	int rc;

	if (!space)
		return fail(-ENOMEM, "pci: %s: no memory for an address space", info->bdf);
	rc = open_container(env, info, type, &space->fd);
	if (rc)
		goto out_free;
	if (ioctl(group->fd, VFIO_GROUP_SET_CONTAINER, &space->fd)) {
		rc = cannot_set_iommu(info, errno);
		goto out_close;
	}
	if (ioctl(space->fd, VFIO_SET_IOMMU, type)) {
		rc = cannot_set_iommu(info, errno);
		goto out_unset;
	}
	rc = describe(space, info, physical);
	if (rc)
		goto out_unset;
	rc = mem_mapper_add(env, &space->mapper);
	if (rc)
		goto out_physical;
	space->refs = 1;
	list_push_back(&env->pci->spaces, &space->link);
	group->space = space;
	return 0;
out_physical:
	pci_physical_fini(space);
out_unset:
	ioctl(group->fd, VFIO_GROUP_UNSET_CONTAINER);
out_close:
	close(space->fd);
out_free:
	alloc_free(space);
	return rc;
}

/* Into an address space that is there, when that does not change for it. */
static bool join_space(struct nvio_env *env, struct vfio_group *group)
{
	list_for_each (pos, &env->pci->spaces) {
		struct pci_space *space = list_entry(pos, struct pci_space, link);
		struct iommu iommu;

		if (space->mapper.ops != &type1_ops || ioctl(group->fd, VFIO_GROUP_SET_CONTAINER, &space->fd))
			continue;
		if (!ask_iommu(space->fd, &iommu) &&
			(iommu.page_sizes & -iommu.page_sizes) ==
				(space->mapper.page_sizes & -space->mapper.page_sizes) &&
			pci_space_same_ranges(space, iommu.ranges, iommu.num_ranges)) {
			space->refs++;
			group->space = space;
			return true;
		}
		ioctl(group->fd, VFIO_GROUP_UNSET_CONTAINER);
	}
	return false;
}

/* ---- Groups ---- */

static int open_group(
	struct nvio_env *env, const struct nvio_pci_info *info, bool physical, struct vfio_group **out)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	struct vfio_group *group = alloc_zeroed(sizeof(*group));
	struct sysfs_path path;
	int rc;

	if (!group)
		return fail(-ENOMEM, "pci: %s: no memory for its group", info->bdf);
	snprintf(group->path, sizeof(group->path), "%s", info->vfio_path);
	rc = sysfs_path(&path, env->opts.pci_root, "%s", info->vfio_path + 1);
	group->fd = rc ? -1 : open(path.text, O_RDWR | O_CLOEXEC);
	if (group->fd < 0) {
		rc = pci_cannot_open(info, path.text, rc ? -rc : errno);
		goto out_free;
	}
	if (ioctl(group->fd, VFIO_GROUP_GET_STATUS, &status))
		rc = fail(-errno, "pci: %s: vfio: %s: %s", info->bdf, path.text, strerror(errno));
	else if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		rc = pci_group_blocked(env, info);
	else if (physical || !join_space(env, group))
		rc = new_space(env, info, group, physical);
	if (rc)
		goto out_close;
	list_push_back(&env->pci->groups, &group->link);
	*out = group;
	return 0;
out_close:
	close(group->fd);
out_free:
	alloc_free(group);
	return rc;
}

static int get_group(
	struct nvio_env *env, const struct nvio_pci_info *info, bool physical, struct vfio_group **out)
{
	int rc;

	*out = NULL;
	list_for_each (pos, &env->pci->groups)
		if (strcmp(list_entry(pos, struct vfio_group, link)->path, info->vfio_path) == 0)
			*out = list_entry(pos, struct vfio_group, link);
	rc = *out ? 0 : open_group(env, info, physical, out);
	if (!rc)
		(*out)->refs++;
	return rc;
}

static void put_group(struct nvio_env *env, struct vfio_group *group)
{
	if (--group->refs)
		return;
	list_remove(&group->link);
	/* Memory goes while the group is in the container: a container without a group has lost its IOMMU. */
	pci_space_put(env, group->space);
	close(group->fd);
	alloc_free(group);
}

/* ---- Functions ---- */

static void type1_close(struct pci_dev *dev)
{
	struct vfio_dev *v = container_of(dev, struct vfio_dev, dev);

	vfio_dev_fini(v);
	put_group(dev->env, v->group);
	alloc_free(v);
}

static const struct pci_way type1_way = {
	.name = "vfio group",
	VFIO_WAY_COMMON,
	.close = type1_close,
};

int vfio_type1_open(struct nvio_env *env, const struct nvio_pci_info *info, struct pci_dev **dev)
{
	bool physical = strncmp(info->vfio_path, "/dev/vfio/noiommu-", 18) == 0;
	struct vfio_dev *v;
	int rc;

	if (physical) {
		rc = pci_physical_allowed(env, info);
		if (rc)
			return rc;
	}
	v = alloc_zeroed(sizeof(*v));
	if (!v)
		return fail(-ENOMEM, "pci: %s: no memory for the function", info->bdf);
	v->dev = (struct pci_dev){ .way = &type1_way, .env = env, .info = *info };
	rc = get_group(env, info, physical, &v->group);
	if (rc)
		goto out_free;
	v->space = v->group->space;
	v->fd = ioctl(v->group->fd, VFIO_GROUP_GET_DEVICE_FD, info->bdf);
	if (v->fd < 0) {
		rc = errno == EBUSY ? pci_busy(info, info->vfio_path)
				    : fail(-errno, "pci: %s: vfio: the group does not give it: %s", info->bdf,
					      strerror(errno));
		goto out_group;
	}
	rc = vfio_dev_init(v);
	if (rc)
		goto out_fd;
	*dev = &v->dev;
	return 0;
out_fd:
	close(v->fd);
out_group:
	put_group(env, v->group);
out_free:
	alloc_free(v);
	return rc;
}
