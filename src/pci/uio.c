/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The last resort: uio_pci_generic keeps other drivers away, sysfs gives the BARs and configuration space, and device addresses are
 * physical ones. Nothing stands between a wrong address and the machine's memory, so it has to be asked for (unsafe_no_iommu). There
 * are no vectors: it has to be polled. A lock on the device file, which UIO would let anybody open, keeps a second process out.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fail.h"
#include "pci/physical.h"
#include "pci/sysfs.h"

struct uio_dev {
	struct pci_dev dev;
	int fd;     /* /dev/uioN, locked; closing it turns bus mastering off */
	int config; /* sysfs */
	struct pci_space *space;
};

static struct uio_dev *uio_of(struct pci_dev *dev)
{
	return container_of(dev, struct uio_dev, dev);
}

/* ---- Configuration space, BARs, reset ---- */

static int config_failed(struct pci_dev *dev, uint32_t offset, ssize_t n)
{
	int err = n < 0 ? errno : EIO;

	return fail(err == ENODEV ? -ENODEV : -EIO, "pci: %s: configuration space at 0x%x: %s", dev->info.bdf, offset, strerror(err));
}

static int uio_config_read(struct pci_dev *dev, uint32_t offset, uint32_t width, uint32_t *value)
{
	uint32_t raw = 0;
	ssize_t n = pread(uio_of(dev)->config, &raw, width, offset);

	if (n != (ssize_t)width)
		return config_failed(dev, offset, n);
	*value = le32toh(raw);
	return 0;
}

static int uio_config_write(struct pci_dev *dev, uint32_t offset, uint32_t width, uint32_t value)
{
	uint32_t raw = htole32(value);
	ssize_t n = pwrite(uio_of(dev)->config, &raw, width, offset);

	return n == (ssize_t)width ? 0 : config_failed(dev, offset, n);
}

static int uio_map_bar(struct pci_dev *dev, unsigned int index, void **base, size_t *len, bool *guarded)
{
	struct sysfs_path path;
	char name[16];
	struct stat st;
	int rc = 0, fd;
	void *at;

	snprintf(name, sizeof(name), "resource%u", index);
	if (sysfs_of(&path, dev->env->opts.pci_root, dev->info.bdf, name))
		return fail(-ENAMETOOLONG, "pci: %s: the path of pci_root is too long", dev->info.bdf);
	fd = open(path.text, O_RDWR | O_CLOEXEC | O_SYNC);
	if (fd < 0 && errno == ENOENT)
		return fail(-ENODEV, "pci: %s: there is no BAR %u", dev->info.bdf, index);
	if (fd < 0)
		return pci_cannot_open(&dev->info, path.text, errno);
	if (fstat(fd, &st) || st.st_size <= 0) {
		close(fd);
		return fail(-ENODEV, "pci: %s: there is no BAR %u", dev->info.bdf, index);
	}
	at = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		rc = fail(-EOPNOTSUPP, "pci: %s: BAR %u cannot be mapped: %s; it is of I/O ports, or the kernel is locked down", dev->info.bdf,
			index, strerror(errno));
	close(fd);
	if (rc)
		return rc;
	*base = at;
	*len = (size_t)st.st_size;
	*guarded = true;
	return 0;
}

static void uio_unmap_bar(struct pci_dev *dev, void *base, size_t len)
{
	munmap(base, len);
}

static int uio_reset(struct pci_dev *dev)
{
	struct sysfs_path path;
	int rc = sysfs_of(&path, dev->env->opts.pci_root, dev->info.bdf, "reset");

	if (!rc)
		rc = sysfs_write(&path, "1");
	if (rc == -ENOENT)
		return fail(-EOPNOTSUPP, "pci: %s: the function has no reset of its own", dev->info.bdf);
	return rc ? fail(-EIO, "pci: %s: reset: %s", dev->info.bdf, strerror(-rc)) : 0;
}

static int uio_vector_set(struct pci_dev *dev, uint32_t vector, int fd)
{
	return fail(-EINVAL, "pci: %s: uio_pci_generic has no vectors: it has to be polled", dev->info.bdf);
}

static void uio_close(struct pci_dev *dev)
{
	struct uio_dev *u = uio_of(dev);

	close(u->config);
	flock(u->fd, LOCK_UN);
	close(u->fd);
	pci_space_put(dev->env, u->space);
	alloc_free(u);
}

static const struct pci_way uio_way = {
	.name = "uio",
	.config_read = uio_config_read,
	.config_write = uio_config_write,
	.map_bar = uio_map_bar,
	.unmap_bar = uio_unmap_bar,
	.reset = uio_reset,
	.vector_set = uio_vector_set,
	.close = uio_close,
};

/* ---- Taking ---- */

/* The device file, locked. */
static int open_device(struct uio_dev *u)
{
	const struct nvio_pci_info *info = &u->dev.info;
	const char *root = u->dev.env->opts.pci_root;
	struct sysfs_path path;
	char name[32];
	int rc;

	if (sysfs_of(&path, root, info->bdf, "uio") || sysfs_child(&path, "uio", name, sizeof(name)) ||
		sysfs_path(&path, root, "dev/%s", name))
		return fail(-EOPNOTSUPP, "pci: %s: uio_pci_generic has it, and gives it no device file; look into `dmesg`", info->bdf);
	u->fd = open(path.text, O_RDWR | O_CLOEXEC);
	if (u->fd < 0)
		return pci_cannot_open(info, path.text, errno);
	if (!flock(u->fd, LOCK_EX | LOCK_NB))
		return 0;
	rc = errno;
	close(u->fd);
	return rc == EWOULDBLOCK ? pci_busy(info, path.text)
				 : fail(-rc, "pci: %s: cannot lock %s: %s", info->bdf, path.text, strerror(rc));
}

static int open_config(struct uio_dev *u)
{
	struct sysfs_path path;

	if (sysfs_of(&path, u->dev.env->opts.pci_root, u->dev.info.bdf, "config"))
		return fail(-ENAMETOOLONG, "pci: %s: the path of pci_root is too long", u->dev.info.bdf);
	u->config = open(path.text, O_RDWR | O_CLOEXEC);
	return u->config < 0 ? pci_cannot_open(&u->dev.info, path.text, errno) : 0;
}

/* The one space of physical addresses that all such functions of the environment share. */
static int get_space(struct uio_dev *u)
{
	struct nvio_env *env = u->dev.env;
	struct pci_space *space;
	int rc;

	list_for_each (pos, &env->pci->spaces) {
		space = list_entry(pos, struct pci_space, link);
		if (space->fd >= 0)
			continue;
		space->refs++;
		u->space = space;
		return 0;
	}
	space = alloc_zeroed(sizeof(*space));
	if (!space)
		return fail(-ENOMEM, "pci: %s: no memory for an address space", u->dev.info.bdf);
	space->fd = -1;
	space->refs = 1;
	snprintf(space->mapper.name, sizeof(space->mapper.name), "uio: %s", u->dev.info.bdf);
	rc = pci_physical_init(space);
	if (rc)
		goto out_free;
	rc = mem_mapper_add(env, &space->mapper);
	if (rc)
		goto out_physical;
	list_push_back(&env->pci->spaces, &space->link);
	u->space = space;
	return 0;
out_physical:
	pci_physical_fini(space);
out_free:
	alloc_free(space);
	return rc;
}

int uio_open(struct nvio_env *env, const struct nvio_pci_info *info, struct pci_dev **dev)
{
	struct uio_dev *u;
	int rc = pci_physical_allowed(env, info);

	if (rc)
		return rc;
	u = alloc_zeroed(sizeof(*u));
	if (!u)
		return fail(-ENOMEM, "pci: %s: no memory for the function", info->bdf);
	u->dev = (struct pci_dev){ .way = &uio_way, .env = env, .info = *info, .gone_fd = -1 };
	rc = open_device(u);
	if (rc)
		goto out_free;
	rc = open_config(u);
	if (rc)
		goto out_fd;
	rc = get_space(u);
	if (rc)
		goto out_config;
	*dev = &u->dev;
	return 0;
out_config:
	close(u->config);
out_fd:
	close(u->fd);
out_free:
	alloc_free(u);
	return rc;
}
