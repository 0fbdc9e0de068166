/* SPDX-License-Identifier: BSD-3-Clause */
/* Each drive: who has it, what is on it, its IOMMU group, and whether the caller may open it. */
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "doctor.h"
#include "setup.h"

/* Of all drives of a system, that some are the kernel's is as it should be. */
static enum doctor_level not_yet(const struct doctor *d)
{
	return d->one ? DOCTOR_PROBLEM : DOCTOR_NOTE;
}

static void check_kernel(struct doctor *d, const json_t *drive, const char *bdf)
{
	json_t *uses = setup_uses(drive);
	const char *name = tree_get(drive, "kernel_name");
	char fix[160];

	snprintf(fix, sizeof(fix), "sudo nvio setup bind %s --user %s", bdf, d->user);
	if (json_array_size(uses))
		doctor_say(d, not_yet(d), bdf, "choose another drive, or end these uses first: nvio setup status",
			"the kernel has it (%s), and it is in use: %s%s", name[0] ? name : tree_get(drive, "driver"),
			json_string_value(json_array_get(uses, 0)), json_array_size(uses) > 1 ? ", and more" : "");
	else
		doctor_say(d, not_yet(d), bdf, fix, "the kernel has it (%s); nothing on it is in use",
			name[0] ? name : tree_get(drive, "driver"));
	json_decref(uses);
}

static void check_group(struct doctor *d, const json_t *drive, const char *bdf)
{
	json_t *other;
	char fix[160];
	size_t i;

	json_array_foreach(json_object_get(drive, "group_others"), i, other) {
		const char *driver = tree_get(other, "driver");

		if (!driver[0] || strstr(driver, "vfio") || !strcmp(driver, "pci-stub"))
			continue;
		snprintf(fix, sizeof(fix), "sudo nvio setup bind %s %.32s --user %s", bdf, tree_get(other, "address"), d->user);
		doctor_say(d, DOCTOR_PROBLEM, bdf, fix, "%s (class %s) is in the same IOMMU group, and %s has it", tree_get(other, "address"),
			tree_get(other, "class"), driver);
	}
}

static bool is_open(const json_t *drive, const char **by)
{
	json_t *node;
	size_t i;

	json_array_foreach(json_object_get(drive, "nodes"), i, node) {
		*by = json_string_value(json_array_get(json_object_get(node, "open_by"), 0));
		if (*by)
			return true;
	}
	return false;
}

static void check_vfio(struct doctor *d, const json_t *drive, const char *bdf)
{
	const char *path = tree_get(drive, "vfio_path"), *by;
	int rc = path[0] ? tree_may_use("%s", path) : -ENOENT;
	char fix[256];

	check_group(d, drive, bdf);
	if (rc == -ENOENT) {
		doctor_say(d, DOCTOR_PROBLEM, bdf, "look into dmesg; in a container: --device /dev/vfio", "vfio-pci has it, but %s is not there",
			path[0] ? path : "its device file");
	} else if (rc) {
		snprintf(fix, sizeof(fix), "sudo nvio setup bind %s --user %s", bdf, d->user);
		doctor_say(d, DOCTOR_PROBLEM, bdf, fix, "vfio-pci has it, and you may not open %s: %s", path, strerror(-rc));
	} else if (is_open(drive, &by)) {
		snprintf(fix, sizeof(fix), "wait for it to end; it is process %s", by);
		doctor_say(d, DOCTOR_PROBLEM, bdf, fix, "vfio-pci has it, and another process uses it just now: %s", by);
	} else {
		doctor_say(d, DOCTOR_OK, bdf, NULL, "vfio-pci has it, and you may open %s", path);
	}
}

static void check_uio(struct doctor *d, const char *bdf)
{
	if (doctor_has_cap(CAP_SYS_ADMIN) && doctor_has_cap(CAP_SYS_RAWIO))
		doctor_say(d, DOCTOR_NOTE, bdf, NULL,
			"uio_pci_generic has it: usable with unsafe_no_iommu and hugepages, and nothing protects the machine from a wrong address");
	else
		doctor_say(d, DOCTOR_PROBLEM, bdf, "with an IOMMU, better: sudo nvio setup bind ADDRESS --user NAME; or run as root",
			"uio_pci_generic has it, which is for root alone");
}

static void check_drive(struct doctor *d, const json_t *drive)
{
	const char *bdf = tree_get(drive, "address"), *owner = tree_get(drive, "owner");
	char fix[160];

	if (!strcmp(owner, "vfio")) {
		check_vfio(d, drive, bdf);
	} else if (!strcmp(owner, "uio")) {
		check_uio(d, bdf);
	} else if (!strcmp(owner, "kernel")) {
		check_kernel(d, drive, bdf);
		check_group(d, drive, bdf);
	} else {
		snprintf(fix, sizeof(fix), "sudo nvio setup bind %s --user %s", bdf, d->user);
		doctor_say(d, not_yet(d), bdf, fix, "no driver has it");
	}
}

void doctor_drives(struct doctor *d)
{
	json_t *drive;
	size_t i;

	if (!json_array_size(d->drives))
		doctor_say(d, DOCTOR_NOTE, "drives", NULL, "there is no NVMe drive on the PCI bus");
	json_array_foreach(d->drives, i, drive)
		check_drive(d, drive);
}
