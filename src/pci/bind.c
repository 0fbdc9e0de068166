/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Handing a function from one driver to another, by driver_override: it names the one driver that may take
 * the function, whatever the drivers' tables say, and touches no other function. Each step that fails takes
 * back the ones before it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fail.h"
#include "pci/sysfs.h"

#define SETTLE_MS 500 /* for what the kernel does behind a write: drivers may probe on another thread */
#define PROBE_MS  50  /* before a driver is asked by name, which also says why it does not want to */

struct binding {
	const char *root;
	struct nvio_pci_info info;				    /* as it was */
	const char *driver;					    /* wanted: NULL none, "" any */
	char override[sizeof(((struct nvio_pci_info *)0)->driver)]; /* as it was; "" none */
};

static int check_driver(const char *driver)
{
	size_t len = strlen(driver);

	if (len >= sizeof(((struct nvio_pci_info *)0)->driver) || strchr(driver, '/') || driver[0] == '.')
		return fail(-EINVAL,
			"pci: bind: \"%s\" is not the name of a driver; vfio-pci, nvme or uio_pci_generic are",
			driver);
	for (size_t i = 0; i < len; i++)
		if (driver[i] <= ' ' || driver[i] > '~')
			return fail(-EINVAL, "pci: bind: the driver's name has byte 0x%02x",
				(unsigned char)driver[i]);
	return 0;
}

/* A write that failed, in words. */
static int cannot_write(const struct binding *b, const struct sysfs_path *path, int rc)
{
	const char *remedy = "look into `dmesg`";

	if (rc == -EACCES || rc == -EPERM)
		remedy = "this needs root: run it with sudo";
	else if (rc == -EROFS)
		remedy = "sysfs is mounted read-only, as containers have it: run it outside";
	else if (rc == -ENODEV || rc == -ENOENT)
		remedy = "the function is gone; `nvio list` shows the drives";
	return fail(
		rc, "pci: bind %s: cannot write %s: %s; %s", b->info.bdf, path->text, strerror(-rc), remedy);
}

static int write_of(const struct binding *b, const char *name, const char *text)
{
	struct sysfs_path path;
	int rc = sysfs_of(&path, b->root, b->info.bdf, name);

	if (!rc)
		rc = sysfs_write(&path, text);
	return rc ? cannot_write(b, &path, rc) : 0;
}

/* The driver that has it now; "" for none. */
static void driver_now(const struct binding *b, char *name, size_t size)
{
	struct sysfs_path path;

	if (sysfs_of(&path, b->root, b->info.bdf, "driver") || sysfs_link(&path, name, size))
		name[0] = '\0';
}

/* Whether it comes to be with `driver` (NULL: with none; "": with any) before long. */
static bool settles(const struct binding *b, const char *driver, int ms)
{
	char now[sizeof(b->info.driver)];

	for (;; ms--) {
		driver_now(b, now, sizeof(now));
		if (driver && *driver ? strcmp(now, driver) == 0 : (now[0] != '\0') == (driver != NULL))
			return true;
		if (ms <= 0)
			return false;
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
}

/* Asks the kernel to find a driver, and then `driver` to take it: which also says what keeps it from that. 0
 * or -errno, without words. */
static int probe(const struct binding *b, const char *driver)
{
	struct sysfs_path path;
	int rc = sysfs_path(&path, b->root, "sys/bus/pci/drivers_probe");

	if (!rc)
		rc = sysfs_write(&path, b->info.bdf);
	if (!*driver)
		return settles(b, driver, rc ? 0 : SETTLE_MS) ? 0 : rc ? rc : -ENOENT;
	if (!rc && settles(b, driver, PROBE_MS))
		return 0;
	rc = sysfs_path(&path, b->root, "sys/bus/pci/drivers/%s/bind", driver);
	if (!rc)
		rc = sysfs_write(&path, b->info.bdf);
	return settles(b, driver, rc && rc != -EBUSY ? 0 : SETTLE_MS) ? 0 : rc ? rc : -EBUSY;
}

static int unbind(const struct binding *b)
{
	int rc = write_of(b, "driver/unbind", b->info.bdf);

	if (rc)
		return rc;
	if (!settles(b, NULL, SETTLE_MS))
		return fail(-EBUSY, "pci: bind %s: %s does not let it go; look into `dmesg`", b->info.bdf,
			b->info.driver);
	return 0;
}

/* As it was, as far as the kernel lets us; the words of the failure stay. */
static void restore(const struct binding *b)
{
	char now[sizeof(b->info.driver)];
	struct sysfs_path path;

	if (!sysfs_of(&path, b->root, b->info.bdf, "driver_override"))
		sysfs_write(&path, b->override);
	driver_now(b, now, sizeof(now));
	if (strcmp(now, b->info.driver) == 0)
		return;
	if (now[0] && !sysfs_of(&path, b->root, b->info.bdf, "driver/unbind"))
		sysfs_write(&path, b->info.bdf);
	if (b->info.driver[0])
		probe(b, b->info.driver);
}

/* Why a driver did not take it. */
static int not_taken(const struct binding *b, int rc)
{
	const struct nvio_pci_info *info = &b->info;

	if (!*b->driver)
		return fail(-ENOENT,
			"pci: bind %s: no driver took it; load the one that should (modprobe nvme) and try again",
			info->bdf);
	if (strstr(b->driver, "vfio") && info->iommu_group < 0)
		return fail(-EBUSY,
			"pci: bind %s: %s did not take it, for the machine has no IOMMU in use; enable VT-d or AMD-Vi in the "
			"firmware and boot with intel_iommu=on (Intel)",
			info->bdf, b->driver);
	return fail(-EBUSY, "pci: bind %s: %s did not take it: %s; look into `dmesg`", info->bdf, b->driver,
		strerror(-rc));
}

static int check_file(const struct binding *b, const char *file)
{
	struct pci_holder holder;
	struct sysfs_path path;

	if (sysfs_path(&path, b->root, "%s", file + 1) || !pci_find_holder(path.text, &holder))
		return 0;
	return fail(-EBUSY, "pci: bind %s: process %d (%s) has %s open; end it first", b->info.bdf,
		holder.pid, holder.name, file);
}

/*
 * Unbinding from VFIO waits, in the kernel, until its user has closed it: that is not for this call to do. The user may
 * have come by the group, whichever file we would take.
 */
static int check_unused(const struct binding *b)
{
	char group[32];
	int rc = b->info.vfio_path[0] ? check_file(b, b->info.vfio_path) : 0;

	if (rc || !b->info.vfio_path[0] || b->info.iommu_group < 0)
		return rc;
	snprintf(group, sizeof(group), "/dev/vfio/%d", b->info.iommu_group);
	return check_file(b, group);
}

static int check(struct binding *b, const char *bdf_text, bool *done)
{
	const char *driver = b->driver;
	struct sysfs_path path;
	struct pci_bdf bdf;
	int rc;

	*done = false;
	rc = driver ? check_driver(driver) : 0;
	if (rc)
		return rc;
	if (pci_bdf_parse(bdf_text, &bdf))
		return fail(-EINVAL,
			"pci: bind: \"%s\" is not the address of a function; 0000:01:00.0 is the form",
			bdf_text ? bdf_text : "");
	rc = pci_inspect(b->root, &bdf, &b->info);
	if (rc)
		return fail(rc, "pci: bind %s: %s; `nvio list` shows the drives", b->info.bdf,
			rc == -ENODEV ? "no such function" : strerror(-rc));
	if (sysfs_of(&path, b->root, b->info.bdf, "driver_override") ||
		sysfs_read(&path, b->override, sizeof(b->override)) || strcmp(b->override, "(null)") == 0)
		b->override[0] = '\0';
	if (!driver || *driver)
		*done = strcmp(b->info.driver, driver ? driver : "") == 0;
	else
		*done = b->info.owner == NVIO_PCI_KERNEL && !b->override[0];
	if (*done)
		return 0;
	if (driver && *driver &&
		(sysfs_path(&path, b->root, "sys/bus/pci/drivers/%s", driver) || access(path.text, F_OK)))
		return fail(-ENOENT, "pci: bind %s: the driver %s is not loaded; run `modprobe %s`",
			b->info.bdf, driver, driver);
	return check_unused(b);
}

int nvio_pci_bind(const char *root, const char *bdf, const char *driver)
{
	struct binding b = { .root = root, .driver = driver };
	bool done;
	int rc = check(&b, bdf, &done);

	if (rc || done)
		return rc;
	rc = write_of(&b, "driver_override", driver ? driver : "");
	if (rc)
		return rc;
	if (b.info.driver[0])
		rc = unbind(&b);
	if (!rc && driver) {
		rc = probe(&b, driver);
		if (rc)
			rc = not_taken(&b, rc);
	}
	if (rc)
		restore(&b);
	return rc;
}
