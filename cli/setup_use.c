/* SPDX-License-Identifier: BSD-3-Clause */
/* A drive with everything that is known of it, and whether it may be taken away; see setup.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nvio/error.h>

#include "cli.h"
#include "out.h"
#include "setup.h"

static void add_vfio_node(json_t *nodes, const char *path)
{
	json_t *node, *one;
	size_t i;

	json_array_foreach(nodes, i, one) {
		if (!strcmp(tree_get(one, "name"), path + strlen("/dev/")))
			return;
	}
	node = cli_json_object();
	cli_json_set(node, "name", cli_json_text(path + strlen("/dev/")));
	cli_json_set(node, "kind", cli_json_text("vfio"));
	cli_json_set(node, "open_by", cli_json_array());
	cli_json_add(nodes, node);
}

static void add_listed(json_t *nodes, const char *bdf, const char *folder, const char *below)
{
	json_t *names = tree_names("/sys/bus/pci/devices/%s/%s", bdf, folder), *name;
	char path[128];
	size_t i;

	json_array_foreach(names, i, name) {
		snprintf(path, sizeof(path), "%s%.64s", below, json_string_value(name));
		add_vfio_node(nodes, path);
	}
	json_decref(names);
}

/* Groups and character devices: who has one of them open has the drive. */
static json_t *vfio_nodes(const struct nvio_pci_info *info)
{
	json_t *nodes = cli_json_array();
	char path[128];

	if (!strncmp(info->vfio_path, "/dev/", 5))
		add_vfio_node(nodes, info->vfio_path);
	if (info->iommu_group >= 0) {
		snprintf(path, sizeof(path), "/dev/vfio/%d", info->iommu_group);
		add_vfio_node(nodes, path);
	}
	add_listed(nodes, info->bdf, "vfio-dev", "/dev/vfio/devices/");
	add_listed(nodes, info->bdf, "uio", "/dev/");
	return nodes;
}

/* Others of its group which are neither unbound nor in user space: with them, nobody can use it there. Bridges do not matter. */
static json_t *group_others(const struct nvio_pci_info *info)
{
	json_t *others = cli_json_array(), *names, *value;
	size_t i;

	if (info->iommu_group < 0)
		return others;
	names = tree_names("/sys/bus/pci/devices/%s/iommu_group/devices", info->bdf);
	json_array_foreach(names, i, value) {
		const char *bdf = json_string_value(value);
		char class_code[32], driver[64];
		json_t *other;

		tree_line(class_code, sizeof(class_code), "/sys/bus/pci/devices/%s/class", bdf);
		tree_link(driver, sizeof(driver), "/sys/bus/pci/devices/%s/driver", bdf);
		if (!strcmp(bdf, info->bdf) || !strncmp(class_code, "0x06", 4))
			continue;
		other = cli_json_object();
		cli_json_set(other, "address", cli_json_text(bdf));
		cli_json_set(other, "class", cli_json_text(class_code));
		cli_json_set(other, "driver", cli_json_text(driver));
		cli_json_add(others, other);
	}
	json_decref(names);
	return others;
}

static void add_hex(json_t *drive, const char *key, unsigned value)
{
	char text[16];

	snprintf(text, sizeof(text), "0x%04x", value);
	cli_json_set(drive, key, cli_json_text(text));
}

static void add_names(json_t *drive, const struct nvio_pci_info *info)
{
	static const struct {
		const char *key, *file;
	} files[] = { { "model", "model" }, { "serial", "serial" }, { "firmware", "firmware_rev" }, { "state", "state" } };
	char text[128];

	for (size_t i = 0; i < CLI_COUNT(files); i++) {
		text[0] = 0;
		if (info->kernel_name[0])
			tree_line(text, sizeof(text), "/sys/class/nvme/%s/%s", info->kernel_name, files[i].file);
		cli_json_set(drive, files[i].key, cli_json_text(text));
	}
	tree_line(text, sizeof(text), "/sys/bus/pci/devices/%s/sriov_numvfs", info->bdf);
	cli_json_set(drive, "virtual_functions", json_integer(atoi(text)));
	cli_json_set(drive, "is_virtual", json_boolean(info->is_vf));
}

json_t *setup_drive(const struct nvio_pci_info *info)
{
	bool in_kernel = info->owner != NVIO_PCI_VFIO && info->owner != NVIO_PCI_UIO;
	json_t *nodes = in_kernel ? setup_nodes(info) : vfio_nodes(info), *drive = cli_json_object();

	if (in_kernel)
		setup_add_mounts(nodes);
	setup_add_openers(nodes);
	cli_json_set(drive, "address", cli_json_text(info->bdf));
	cli_json_set(drive, "nvme", json_boolean(info->class_code == NVIO_PCI_CLASS_NVME));
	add_hex(drive, "vendor", info->vendor);
	add_hex(drive, "device", info->device);
	add_hex(drive, "subsystem_vendor", info->subsystem_vendor);
	add_hex(drive, "subsystem_device", info->subsystem_device);
	cli_json_set(drive, "numa_node", json_integer(info->numa_node));
	cli_json_set(drive, "owner", cli_json_text(nvio_pci_owner_str(info->owner)));
	cli_json_set(drive, "driver", cli_json_text(info->driver));
	cli_json_set(drive, "kernel_name", cli_json_text(info->kernel_name));
	cli_json_set(drive, "vfio_path", cli_json_text(info->vfio_path));
	cli_json_set(drive, "iommu_group", json_integer(info->iommu_group));
	cli_json_set(drive, "group_others", group_others(info));
	add_names(drive, info);
	cli_json_set(drive, "nodes", nodes);
	return drive;
}

static int add_drive(const struct nvio_pci_info *info, void *arg)
{
	cli_json_add(arg, setup_drive(info));
	return 0;
}

int setup_drives(char **bdfs, int n, bool any_class, json_t **drives)
{
	struct nvio_pci_scan_opts opts;
	int rc = 0, i = 0;

	*drives = cli_json_array();
	nvio_pci_scan_opts_init(&opts);
	opts.root = tree_root;
	if (any_class)
		opts.class_code = NVIO_PCI_ANY;
	do {
		opts.bdf = n ? bdfs[i] : NULL;
		rc = nvio_pci_scan(&opts, add_drive, *drives);
	} while (!rc && ++i < n);
	if (!rc)
		return CLI_OK;
	json_decref(*drives);
	*drives = NULL;
	return rc == -EINVAL ? cli_usage("%s", nvio_errmsg()) : cli_fail("%s", nvio_errmsg());
}

static void add_use(json_t *uses, const json_t *node, const char *key, const char *what)
{
	json_t *list = json_object_get(node, key), *one;
	char text[PATH_MAX];
	size_t i;

	json_array_foreach(list, i, one) {
		snprintf(text, sizeof(text), "%s %s %s", tree_get(node, "name"), what, json_string_value(one));
		cli_json_add(uses, cli_json_text(text));
	}
}

static void add_uses(json_t *uses, const json_t *node)
{
	char text[128];

	add_use(uses, node, "mounts", "is mounted on");
	add_use(uses, node, "holders", "is part of");
	if (json_is_true(json_object_get(node, "swap"))) {
		snprintf(text, sizeof(text), "%.64s is swap space", tree_get(node, "name"));
		cli_json_add(uses, cli_json_text(text));
	}
	add_use(uses, node, "open_by", "is open in process");
}

/* The kernel says that somebody has it, and nothing that was looked at says who. */
static void add_claims(json_t *uses, const json_t *node)
{
	char text[128];

	if (!json_is_true(json_object_get(node, "claimed")))
		return;
	snprintf(text, sizeof(text), "%.64s is in use (mounted elsewhere, or part of something)", tree_get(node, "name"));
	cli_json_add(uses, cli_json_text(text));
}

json_t *setup_uses(const json_t *drive)
{
	json_t *uses = cli_json_array(), *node;
	json_int_t vfs = json_integer_value(json_object_get(drive, "virtual_functions"));
	char text[128];
	size_t i;

	json_array_foreach(json_object_get(drive, "nodes"), i, node)
		add_uses(uses, node);
	if (!json_array_size(uses)) {
		json_array_foreach(json_object_get(drive, "nodes"), i, node)
			add_claims(uses, node);
	}
	if (vfs > 0) {
		snprintf(text, sizeof(text), "it has %lld virtual functions, which stand and fall with it", (long long)vfs);
		cli_json_add(uses, cli_json_text(text));
	}
	return uses;
}
