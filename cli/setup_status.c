/* SPDX-License-Identifier: BSD-3-Clause */
/* `nvio setup status`: each NVMe drive, who has it, and what is on it. */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "out.h"
#include "setup.h"

static void print_list(const json_t *node, const char *key, const char *what)
{
	json_t *list = json_object_get(node, key), *one;
	size_t i;

	json_array_foreach(list, i, one) {
		printf("%s", i ? ", " : what);
		tree_print(json_string_value(one));
	}
}

static void print_node(const json_t *node)
{
	json_t *bytes = json_object_get(node, "bytes");
	const char *content = tree_get(node, "content");
	char size[32] = "";

	if (bytes)
		cli_bytes(size, sizeof(size), (double)json_integer_value(bytes));
	/* Of nodes that are no storage, only what somebody does with them is of interest. */
	if (!bytes && !json_array_size(json_object_get(node, "open_by")))
		return;
	printf("    /dev/%-16s %-10s", tree_get(node, "name"), size);
	if (content[0]) {
		putchar(' ');
		tree_print(content);
	}
	print_list(node, "mounts", "  mounted on ");
	print_list(node, "holders", "  part of ");
	if (json_is_true(json_object_get(node, "swap")))
		printf("  swap");
	print_list(node, "open_by", "  open in ");
	putchar('\n');
}

static void print_drive(const json_t *drive)
{
	const char *owner = tree_get(drive, "owner"), *driver = tree_get(drive, "driver"), *vfio = tree_get(drive, "vfio_path");
	const char *vendor = tree_get(drive, "vendor"), *device = tree_get(drive, "device"), *kernel = tree_get(drive, "kernel_name");
	json_int_t group = json_integer_value(json_object_get(drive, "iommu_group"));
	json_t *node, *uses;
	size_t i;

	printf("%s  %s:%s  %s", tree_get(drive, "address"), vendor + 2, device + 2, owner);
	if (driver[0])
		printf(" (%s%s%s)", driver, kernel[0] ? " " : "", kernel);
	if (group >= 0)
		printf("  group %d", (int)group);
	if (vfio[0])
		printf("  %s", vfio);
	if (tree_get(drive, "model")[0]) {
		printf("  ");
		tree_print(tree_get(drive, "model"));
		printf(", serial ");
		tree_print(tree_get(drive, "serial"));
	}
	putchar('\n');
	json_array_foreach(json_object_get(drive, "nodes"), i, node)
		print_node(node);
	json_array_foreach(json_object_get(drive, "group_others"), i, node)
		printf("    in its group: %s, class %s, driver %s\n", tree_get(node, "address"), tree_get(node, "class"),
			tree_get(node, "driver")[0] ? tree_get(node, "driver") : "none");
	uses = setup_uses(drive);
	if (json_array_size(uses))
		printf("    in use: not to be taken away\n");
	json_decref(uses);
}

int setup_status(char **args, int n)
{
	json_t *drives, *drive, *root;
	int status = setup_drives(args, n, false, &drives);
	size_t i;

	if (status)
		return status;
	if (cli.json) {
		json_array_foreach(drives, i, drive)
			cli_json_set(drive, "in_use", setup_uses(drive));
		root = cli_json_object();
		cli_json_set(root, "drives", drives);
		return cli_json_print(root);
	}
	json_array_foreach(drives, i, drive)
		print_drive(drive);
	if (!json_array_size(drives))
		printf("no NVMe drive on the PCI bus\n");
	json_decref(drives);
	return CLI_OK;
}
