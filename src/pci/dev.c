/* SPDX-License-Identifier: BSD-3-Clause */
/* One interface to all ways to take a function: which of them it is to be, and what they have in common. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fail.h"
#include "pci/dev.h"
#include "pci/sysfs.h"

/* ---- The environment's corner ---- */

int pci_env_init(struct nvio_env *env)
{
	struct pci_registry *pci = alloc_zeroed(sizeof(*pci));

	if (!pci)
		return fail(-ENOMEM, "pci: no memory for the registry of functions");
	pthread_mutex_init(&pci->lock, NULL);
	list_init(&pci->spaces);
	list_init(&pci->groups);
	list_init(&pci->synths);
	env->pci = pci;
	return 0;
}

void pci_env_fini(struct nvio_env *env)
{
	struct pci_registry *pci = env->pci;

	if (!pci)
		return;
	invariant(list_empty(&pci->spaces) && list_empty(&pci->groups));
	list_for_each_safe (pos, &pci->synths)
		list_remove(pos);
	pthread_mutex_destroy(&pci->lock);
	alloc_free(pci);
	env->pci = NULL;
}

/* ---- Words ---- */

int pci_busy(const struct nvio_pci_info *info, const char *path)
{
	struct pci_holder holder;

	if (!pci_find_holder(path, &holder))
		return fail(-EBUSY, "pci: %s: another process has it; `sudo fuser -v %s` shows which",
			info->bdf, path);
	if (holder.pid == (int)getpid())
		return fail(
			-EBUSY, "pci: %s: this process has it already, in another environment", info->bdf);
	return fail(-EBUSY, "pci: %s: process %d (%s) has it; only one can: end it first", info->bdf,
		holder.pid, holder.name);
}

int pci_cannot_open(const struct nvio_pci_info *info, const char *path, int err)
{
	switch (err) {
	case EBUSY: return pci_busy(info, path);
	case EACCES:
	case EPERM:
		return fail(-err, "pci: %s: cannot open %s: %s; run `sudo nvio setup bind %s --user $USER`",
			info->bdf, path, strerror(err), info->bdf);
	case ENOENT:
		return fail(-EOPNOTSUPP,
			"pci: %s: there is no %s; run `sudo modprobe vfio-pci`, or hand it into the container",
			info->bdf, path);
	case ENODEV:
	case ENXIO:
		return fail(-ENODEV,
			"pci: %s: %s has no device behind it any more; `nvio list` shows the drives",
			info->bdf, path);
	}
	return fail(-err, "pci: %s: cannot open %s: %s; `nvio doctor` checks what is needed", info->bdf, path,
		strerror(err));
}

static int not_ours(const struct nvio_pci_info *info)
{
	char who[80];

	if (info->owner == NVIO_PCI_UNBOUND)
		return fail(-EBUSY, "pci: %s: no driver for user space has it; run `sudo nvio setup bind %s`",
			info->bdf, info->bdf);
	snprintf(who, sizeof(who), "%s%s%s", info->driver, info->kernel_name[0] ? " as " : "",
		info->kernel_name);
	return fail(-EBUSY,
		"pci: %s: the kernel's driver has it (%s); unmount what is on it, and run `sudo nvio setup bind %s`",
		info->bdf, who, info->bdf);
}

/* ---- Taking ---- */

static int take(struct nvio_env *env, const struct nvio_pci_info *info, struct pci_dev **dev)
{
	switch (info->owner) {
	case NVIO_PCI_VFIO:
		if (strncmp(info->vfio_path, "/dev/vfio/devices/", 18) == 0)
			return vfio_cdev_open(env, info, dev);
		if (info->vfio_path[0])
			return vfio_type1_open(env, info, dev);
		return fail(-EOPNOTSUPP, "pci: %s: %s has it, and gives it no group; look into `dmesg`",
			info->bdf, info->driver);
	case NVIO_PCI_UIO: return uio_open(env, info, dev);
	default: return not_ours(info);
	}
}

static int take_real(struct nvio_env *env, const char *text, struct pci_dev **dev)
{
	struct nvio_pci_info info;
	struct pci_bdf bdf;
	int rc;

	if (pci_bdf_parse(text, &bdf))
		return fail(-EINVAL, "pci: \"%s\" is not the address of a function; 0000:01:00.0 is the form",
			text);
	if (env->opts.no_pci)
		return fail(-EPERM, "pci: %s: the environment was opened with no_pci", text);
	rc = pci_inspect(env->opts.pci_root, &bdf, &info);
	if (rc == -ENODEV)
		return fail(rc, "pci: %s: no such function; `nvio list` shows the drives", info.bdf);
	if (rc)
		return fail(rc, "pci: %s: its class cannot be read from sysfs: %s", info.bdf, strerror(-rc));
	return take(env, &info, dev);
}

/* Memory space on, bus mastering and INTx off: the state in which a function is handed out. */
static int make_ready(struct pci_dev *dev)
{
	uint32_t command = 0;
	int rc = dev->way->config_read(dev, PCI_CFG_COMMAND, 2, &command);

	if (!rc && command == 0xffff)
		return fail(
			-ENODEV, "pci: %s: it does not answer: it is gone, or has no power", dev->info.bdf);
	command = (command | PCI_CMD_MEMORY | PCI_CMD_INTX_DISABLE) & ~PCI_CMD_BUS_MASTER;
	if (!rc)
		rc = dev->way->config_write(dev, PCI_CFG_COMMAND, 2, command);
	return rc;
}

int pci_open(struct nvio_env *env, const char *bdf, struct pci_dev **out)
{
	struct pci_dev *dev = NULL;
	int rc;

	if (!bdf)
		return fail(-EINVAL, "pci: open: no address of a function");
	pthread_mutex_lock(&env->pci->lock);
	rc = synth_open(env, bdf, &dev);
	if (rc == -ENOENT)
		rc = take_real(env, bdf, &dev);
	if (!rc) {
		rc = make_ready(dev);
		if (rc)
			dev->way->close(dev);
	}
	pthread_mutex_unlock(&env->pci->lock);
	if (rc)
		return rc;
	log_msg(&env->log, NVIO_LOG_INFO, "pci: %s: taken (%s), %u vectors", dev->info.bdf, dev->way->name,
		dev->vectors);
	*out = dev;
	return 0;
}

void pci_close(struct pci_dev *dev)
{
	struct nvio_env *env;

	if (!dev)
		return;
	env = dev->env;
	pthread_mutex_lock(&env->pci->lock);
	/* No DMA first: all that follows takes memory away from under it. */
	pci_set_bus_master(dev, false);
	if (!pci_look(dev))
		dev->way->reset(dev);
	for (unsigned int i = 0; i < PCI_BARS; i++) {
		if (!dev->bars[i].base)
			continue;
		if (dev->bars[i].guarded)
			pci_guard_remove(dev->bars[i].base);
		dev->way->unmap_bar(dev, dev->bars[i].base, dev->bars[i].len);
	}
	dev->way->close(dev);
	pthread_mutex_unlock(&env->pci->lock);
}

const char *pci_bdf(const struct pci_dev *dev)
{
	return dev->info.bdf;
}

uint32_t pci_class(const struct pci_dev *dev)
{
	return dev->info.class_code;
}

/* ---- Configuration space ---- */

static int check_config(const struct pci_dev *dev, uint32_t offset, uint32_t width)
{
	if ((width != 1 && width != 2 && width != 4) || offset % width || offset > PCI_CONFIG_SIZE - width)
		return fail(-EINVAL,
			"pci: %s: configuration space: %u bytes at 0x%x; 1, 2 or 4 aligned ones below 0x%x expected",
			dev->info.bdf, width, offset, PCI_CONFIG_SIZE);
	if (atomic_load_explicit(&dev->gone, memory_order_relaxed))
		return fail(-ENODEV, "pci: %s: the function is gone", dev->info.bdf);
	return 0;
}

int pci_config_read(struct pci_dev *dev, uint32_t offset, uint32_t width, uint32_t *value)
{
	int rc = check_config(dev, offset, width);

	return rc ? rc : dev->way->config_read(dev, offset, width, value);
}

int pci_config_write(struct pci_dev *dev, uint32_t offset, uint32_t width, uint32_t value)
{
	int rc = check_config(dev, offset, width);

	return rc ? rc : dev->way->config_write(dev, offset, width, value);
}

int pci_set_bus_master(struct pci_dev *dev, bool on)
{
	uint32_t command = 0;
	int rc;

	if (on && pci_is_gone(dev))
		return fail(-ENODEV, "pci: %s: the function is gone", dev->info.bdf);
	/* Off also when it is gone: one that the system only wants back still does what it was told to do. */
	rc = dev->way->config_read(dev, PCI_CFG_COMMAND, 2, &command);
	if (!rc && command == 0xffff)
		rc = fail(-ENODEV, "pci: %s: the function does not answer", dev->info.bdf);
	if (rc)
		return rc;
	command = on ? command | PCI_CMD_BUS_MASTER : command & ~PCI_CMD_BUS_MASTER;
	return dev->way->config_write(dev, PCI_CFG_COMMAND, 2, command);
}

/* ---- BARs, reset, interrupts ---- */

int pci_bar(struct pci_dev *dev, unsigned int index, volatile void **base, size_t *len)
{
	bool guarded = false;
	void *at;
	size_t size;
	int rc;

	if (index >= PCI_BARS)
		return fail(-ENODEV, "pci: %s: there is no BAR %u", dev->info.bdf, index);
	if (!dev->bars[index].base) {
		rc = dev->way->map_bar(dev, index, &at, &size, &guarded);
		if (rc)
			return rc;
		rc = guarded ? pci_guard_add(at, size, &dev->gone) : 0;
		if (rc) {
			dev->way->unmap_bar(dev, at, size);
			return rc;
		}
		dev->bars[index].base = at;
		dev->bars[index].len = size;
		dev->bars[index].guarded = guarded;
	}
	*base = dev->bars[index].base;
	*len = dev->bars[index].len;
	return 0;
}

int pci_reset(struct pci_dev *dev)
{
	int rc = pci_look(dev) ? fail(-ENODEV, "pci: %s: the function is gone", dev->info.bdf)
			       : dev->way->reset(dev);

	return rc ? rc : make_ready(dev);
}

uint32_t pci_vectors(const struct pci_dev *dev)
{
	return dev->vectors;
}

int pci_vectors_enable(struct pci_dev *dev, uint32_t count)
{
	if (!count || count > dev->vectors)
		return fail(-EINVAL, "pci: %s: %u vectors are wanted; it has %u", dev->info.bdf, count,
			dev->vectors);
	if (atomic_load_explicit(&dev->gone, memory_order_relaxed))
		return fail(-ENODEV, "pci: %s: the function is gone", dev->info.bdf);
	return dev->way->vectors_enable ? dev->way->vectors_enable(dev, count) : 0;
}

int pci_vector_set(struct pci_dev *dev, uint32_t vector, int fd)
{
	if (vector >= dev->vectors || fd < -1)
		return fail(-EINVAL, "pci: %s: vector %u to descriptor %d: it has %u vectors", dev->info.bdf,
			vector, fd, dev->vectors);
	if (atomic_load_explicit(&dev->gone, memory_order_relaxed))
		return fail(-ENODEV, "pci: %s: the function is gone", dev->info.bdf);
	return dev->way->vector_set(dev, vector, fd);
}

/* ---- Gone ---- */

int pci_gone_fd(const struct pci_dev *dev)
{
	return dev->gone_fd;
}

bool pci_is_gone(struct pci_dev *dev)
{
	return atomic_load_explicit(&dev->gone, memory_order_relaxed);
}

bool pci_look(struct pci_dev *dev)
{
	struct pollfd told = { .fd = dev->gone_fd, .events = POLLIN };
	uint32_t status = 0;

	if (pci_is_gone(dev))
		return true;
	/*
	 * The status register cannot be all-ones (PCI 3.0 section 6.2.3: two bits are reserved). Not the
	 * vendor: of virtual functions it is the system's invention, and still there when the function is
	 * not.
	 */
	if ((dev->gone_fd >= 0 && poll(&told, 1, 0) > 0 && (told.revents & POLLIN)) ||
		dev->way->config_read(dev, PCI_CFG_STATUS, 2, &status) == -ENODEV || status == 0xffff)
		atomic_store_explicit(&dev->gone, true, memory_order_relaxed);
	return pci_is_gone(dev);
}
