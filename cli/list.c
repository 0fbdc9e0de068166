/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `nvio list`: the devices that are named, one line for each namespace; or, without a name, what the PCI bus has and who has it. That is
 * told from what the kernel knows: no drive is taken for it. JSON keys are those of nvme-cli 2.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <nvio/error.h>
#include <nvio/pci.h>
#include <nvio/spec/identify.h>

#include "cli.h"
#include "out.h"
#include "setup.h"

static const char *const list_columns[] = { "Device", "Serial", "Model", "Namespace", "Size", "Block size",
	"Firmware" };
static const char list_row[] = "%-28s %-20s %-24s %-9s %-12s %-10s %s\n";
/* Of the bus, and who has it. */
static const char pci_row[] = "%-28s %-20s %-24s %-9s %-12s %-10s %-10s %s\n";

static void list_print(const char *text, const struct nvio_id_ctrlr *id, struct nvio_ns *ns)
{
	char sn[21], mn[41], fr[9], nsid[16], size[32], block[16];

	cli_text(sn, id->sn, sizeof(id->sn));
	cli_text(mn, id->mn, sizeof(id->mn));
	cli_text(fr, id->fr, sizeof(id->fr));
	snprintf(nsid, sizeof(nsid), "%" PRIu32, nvio_ns_id(ns));
	cli_bytes(size, sizeof(size), (double)nvio_ns_size_bytes(ns));
	snprintf(block, sizeof(block), "%" PRIu32, nvio_ns_block_size(ns));
	printf(list_row, text, sn, mn, nsid, size, block, fr);
}

static json_t *list_json(const char *text, const struct nvio_id_ctrlr *id, struct nvio_ns *ns)
{
	const struct nvio_id_ns *id_ns = nvio_ns_identify(ns);
	json_t *one = cli_json_object();
	char field[41];

	cli_json_set(one, "NameSpace", json_integer(nvio_ns_id(ns)));
	cli_json_set(one, "DevicePath", cli_json_text(text));
	cli_text(field, id->fr, sizeof(id->fr));
	cli_json_set(one, "Firmware", cli_json_text(field));
	cli_text(field, id->mn, sizeof(id->mn));
	cli_json_set(one, "ModelNumber", cli_json_text(field));
	cli_text(field, id->sn, sizeof(id->sn));
	cli_json_set(one, "SerialNumber", cli_json_text(field));
	cli_json_set(one, "UsedBytes",
		cli_json_u64(id_ns ? nvio_get_le64(id_ns->nuse) * nvio_ns_block_size(ns) : 0));
	cli_json_set(one, "MaximumLBA", cli_json_u64(nvio_ns_num_blocks(ns)));
	cli_json_set(one, "PhysicalSize", cli_json_u64(nvio_ns_size_bytes(ns)));
	cli_json_set(one, "SectorSize", json_integer(nvio_ns_block_size(ns)));
	return one;
}

/* With the first device that answers, so that none stands over failures alone. */
static void list_head(void)
{
	static bool shown;

	if (!shown)
		printf(list_row, list_columns[0], list_columns[1], list_columns[2], list_columns[3],
			list_columns[4], list_columns[5], list_columns[6]);
	shown = true;
}

/* Each device on its own: one that cannot be opened is told and does not hide the others. */
static int list_device(const char *text, json_t *list)
{
	struct nvio_trid trid;
	struct cli_dev dev;
	int status = cli_dev_parse(text, &trid);

	if (!status)
		status = cli_dev_open(&dev, &trid, NULL);
	if (status)
		return status;
	if (!list)
		list_head();
	for (uint32_t nsid = 0; (nsid = nvio_ctrlr_next_ns(dev.ctrlr, nsid));) {
		struct nvio_ns *ns = nvio_ctrlr_ns(dev.ctrlr, nsid);

		if (!ns)
			status = cli_fail("%s", nvio_errmsg());
		else if (list)
			cli_json_add(list, list_json(text, nvio_ctrlr_id(dev.ctrlr), ns));
		else
			list_print(text, nvio_ctrlr_id(dev.ctrlr), ns);
	}
	cli_dev_close(&dev);
	return status;
}

/* ---- the bus ---- */

struct on_kernel {
	char sn[64], mn[64], fr[32];
};

static void kernel_line(char *buf, size_t size, const char *controller, const char *file)
{
	char line[128] = "";

	if (controller[0])
		tree_line(line, sizeof(line), "/sys/class/nvme/%s/%s", controller, file);
	cli_text(buf, line, strnlen(line, size - 1));
}

static void kernel_knows(const struct nvio_pci_info *info, struct on_kernel *k)
{
	kernel_line(k->sn, sizeof(k->sn), info->kernel_name, "serial");
	kernel_line(k->mn, sizeof(k->mn), info->kernel_name, "model");
	kernel_line(k->fr, sizeof(k->fr), info->kernel_name, "firmware_rev");
}

static uint64_t block_number(const char *name, const char *file)
{
	char line[32];

	tree_line(line, sizeof(line), "/sys/class/block/%s/%s", name, file);
	return strtoull(line, NULL, 10);
}

static void pci_print(const struct nvio_pci_info *info, const struct on_kernel *k, const json_t *node)
{
	const char *owner = nvio_pci_owner_str(info->owner);
	char nsid[24] = "-", size[32] = "-", block[24] = "-", who[80];

	if (node) {
		const char *name = tree_get(node, "name");

		snprintf(nsid, sizeof(nsid), "%" PRIu64, block_number(name, "nsid"));
		snprintf(block, sizeof(block), "%" PRIu64, block_number(name, "queue/logical_block_size"));
		cli_bytes(size, sizeof(size), (double)json_integer_value(json_object_get(node, "bytes")));
		snprintf(who, sizeof(who), "%s (/dev/%.48s)", owner, name);
	} else {
		snprintf(who, sizeof(who), info->driver[0] ? "%s (%.48s)" : "%s", owner, info->driver);
	}
	printf(pci_row, info->bdf, k->sn[0] ? k->sn : "-", k->mn[0] ? k->mn : "-", nsid, size, block, k->fr[0] ? k->fr : "-", who);
}

static json_t *pci_json(const struct nvio_pci_info *info, const struct on_kernel *k, const json_t *node)
{
	const char *name = tree_get(node, "name");
	uint64_t bytes = (uint64_t)json_integer_value(json_object_get(node, "bytes"));
	uint64_t block = block_number(name, "queue/logical_block_size");
	json_t *one = cli_json_object();
	char path[80];

	snprintf(path, sizeof(path), "/dev/%.64s", name);
	cli_json_set(one, "NameSpace", cli_json_u64(block_number(name, "nsid")));
	cli_json_set(one, "DevicePath", cli_json_text(path));
	cli_json_set(one, "Firmware", cli_json_text(k->fr));
	cli_json_set(one, "ModelNumber", cli_json_text(k->mn));
	cli_json_set(one, "SerialNumber", cli_json_text(k->sn));
	cli_json_set(one, "UsedBytes", cli_json_u64(block_number(name, "nuse") * block));
	cli_json_set(one, "MaximumLBA", cli_json_u64(block ? bytes / block : 0));
	cli_json_set(one, "PhysicalSize", cli_json_u64(bytes));
	cli_json_set(one, "SectorSize", cli_json_u64(block));
	cli_json_set(one, "Address", cli_json_text(info->bdf));
	return one;
}

static json_t *function_json(const struct nvio_pci_info *info)
{
	json_t *one = cli_json_object();
	char text[16];

	cli_json_set(one, "Address", cli_json_text(info->bdf));
	cli_json_set(one, "Owner", cli_json_text(nvio_pci_owner_str(info->owner)));
	cli_json_set(one, "Driver", cli_json_text(info->driver));
	cli_json_set(one, "KernelName", cli_json_text(info->kernel_name));
	cli_json_set(one, "VfioPath", cli_json_text(info->vfio_path));
	snprintf(text, sizeof(text), "0x%04x", info->vendor);
	cli_json_set(one, "Vendor", cli_json_text(text));
	snprintf(text, sizeof(text), "0x%04x", info->device);
	cli_json_set(one, "Device", cli_json_text(text));
	cli_json_set(one, "IommuGroup", json_integer(info->iommu_group));
	cli_json_set(one, "NumaNode", json_integer(info->numa_node));
	return one;
}

struct bus {
	json_t *devices, *functions; /* NULL: a table is printed */
};

static int list_function(const struct nvio_pci_info *info, void *arg)
{
	json_t *nodes = setup_nodes(info), *node;
	struct bus *bus = arg;
	struct on_kernel k;
	bool some = false;
	size_t i;

	kernel_knows(info, &k);
	if (bus->functions)
		cli_json_add(bus->functions, function_json(info));
	json_array_foreach(nodes, i, node) {
		if (strcmp(tree_get(node, "kind"), "namespace") != 0)
			continue;
		some = true;
		if (bus->devices)
			cli_json_add(bus->devices, pci_json(info, &k, node));
		else
			pci_print(info, &k, node);
	}
	if (!some && !bus->devices)
		pci_print(info, &k, NULL);
	json_decref(nodes);
	return 0;
}

/* A system without the bus has no drives on it, which is no failure. */
static int list_bus(void)
{
	struct nvio_pci_scan_opts opts;
	struct bus bus = { NULL, NULL };
	json_t *root;
	int rc;

	nvio_pci_scan_opts_init(&opts);
	opts.root = tree_root;
	if (cli.json) {
		bus.devices = cli_json_array();
		bus.functions = cli_json_array();
	} else {
		printf(pci_row, list_columns[0], list_columns[1], list_columns[2], list_columns[3], list_columns[4], list_columns[5],
			list_columns[6], "Owner");
	}
	rc = nvio_pci_scan(&opts, list_function, &bus);
	if (cli.json) {
		root = cli_json_object();
		cli_json_set(root, "Devices", bus.devices);
		cli_json_set(root, "Functions", bus.functions);
		cli_json_print(root);
	}
	if (rc == -ENOENT)
		cli_note("%s", nvio_errmsg());
	else if (rc)
		return cli_fail("%s", nvio_errmsg());
	return CLI_OK;
}

static int run_list(void)
{
	json_t *root = NULL, *list = NULL;
	int status = tree_check();

	if (status)
		return status;
	if (cli.num_devices && tree_root)
		return cli_usage("--root is for the list of the bus: no DEVICE beside it");
	if (!cli.num_devices)
		return list_bus();
	if (cli.json) {
		root = cli_json_object();
		list = cli_json_array();
		cli_json_set(root, "Devices", list);
	}
	for (int i = 0; i < cli.num_devices; i++) {
		int rc = list_device(cli.devices[i], list);

		if (!status)
			status = rc;
	}
	if (root)
		cli_json_print(root);
	return status;
}

static const struct cli_opt list_opts[] = {
	{ "root", 0, CLI_TEXT, &tree_root, "DIR", "the tree whose sys/ has the PCI bus (default: /)" },
	{ NULL },
};

const struct cli_cmd cli_list = {
	.name = "list",
	.what = "List devices and their namespaces; without a DEVICE, the drives on the PCI bus",
	.devices = CLI_DEVICE_ANY,
	.opts = list_opts,
	.run = run_list,
};
