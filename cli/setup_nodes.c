/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The nodes in which the kernel shows a drive that it has: the controller, each namespace (with native multipath under the name of its
 * head, which the function's own folder does not tell), each partition; and what udev has seen on them.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "out.h"
#include "setup.h"

#define NAME_LEN 64

static json_t *node_new(json_t *nodes, const char *name, const char *kind, const char *dev)
{
	json_t *node = cli_json_object();

	cli_json_set(node, "name", cli_json_text(name));
	cli_json_set(node, "kind", cli_json_text(kind));
	cli_json_set(node, "dev", cli_json_text(dev));
	cli_json_set(node, "mounts", cli_json_array());
	cli_json_set(node, "holders", cli_json_array());
	cli_json_set(node, "open_by", cli_json_array());
	cli_json_set(node, "swap", json_false());
	cli_json_add(nodes, node);
	return node;
}

static bool has_node(const json_t *nodes, const char *name)
{
	json_t *node;
	size_t i;

	json_array_foreach(nodes, i, node) {
		if (!strcmp(tree_get(node, "name"), name))
			return true;
	}
	return false;
}

/* What udev has found there: "ext4 \"data\"", "gpt". It is not asked of the drive itself: that would need privileges. */
static void add_content(json_t *node, const char *dev)
{
	static const char *const keys[] = { "E:ID_FS_TYPE=", "E:ID_PART_TABLE_TYPE=", "E:ID_FS_LABEL=" };
	char *text = tree_text("/run/udev/data/b%s", dev), *rest = text, *line;
	char found[CLI_COUNT(keys)][NAME_LEN] = { "" }, all[3 * NAME_LEN + 8];

	while ((line = strsep(&rest, "\n"))) {
		for (size_t k = 0; k < CLI_COUNT(keys); k++) {
			if (!strncmp(line, keys[k], strlen(keys[k])))
				snprintf(found[k], sizeof(found[k]), "%s", line + strlen(keys[k]));
		}
	}
	free(text);
	snprintf(all, sizeof(all), "%s%s%s%s%s", found[0][0] ? found[0] : found[1], found[2][0] ? " \"" : "", found[2],
		found[2][0] ? "\"" : "", "");
	cli_json_set(node, "content", cli_json_text(all));
}

/*
 * The kernel lets nobody claim a node that is mounted in any namespace, swapped to, or part of something else (dm, md, bcache, ZFS),
 * known to us by name or not.
 */
static bool is_claimed(const char *name)
{
	char path[PATH_MAX];
	struct stat st;
	bool claimed;
	int fd;

	if (stat(tree_path(path, "/dev/%s", name), &st) || !S_ISBLK(st.st_mode))
		return false;
	fd = open(path, O_RDONLY | O_EXCL | O_CLOEXEC | O_NONBLOCK);
	claimed = fd < 0 && errno == EBUSY;
	if (fd >= 0)
		close(fd);
	return claimed;
}

static void add_block(json_t *nodes, const char *name, const char *kind)
{
	char dev[NAME_LEN], sectors[NAME_LEN], block[NAME_LEN];
	json_t *node, *names, *holder;
	size_t i;

	tree_line(dev, sizeof(dev), "/sys/class/block/%s/dev", name);
	tree_line(sectors, sizeof(sectors), "/sys/class/block/%s/size", name);
	tree_line(block, sizeof(block), "/sys/class/block/%s/queue/logical_block_size", name);
	node = node_new(nodes, name, kind, dev);
	cli_json_set(node, "bytes", cli_json_u64(strtoull(sectors, NULL, 10) * 512));
	if (!strcmp(kind, "namespace"))
		cli_json_set(node, "block_size", cli_json_u64(strtoull(block, NULL, 10)));
	add_content(node, dev);
	names = tree_names("/sys/class/block/%s/holders", name);
	json_array_foreach(names, i, holder)
		setup_add_holders(node, json_string_value(holder));
	json_decref(names);
	cli_json_set(node, "claimed", json_boolean(is_claimed(name)));
}

static void add_partitions(json_t *nodes, const char *ns)
{
	json_t *names = tree_names("/sys/class/block/%s", ns), *value;
	size_t i;

	json_array_foreach(names, i, value) {
		const char *name = json_string_value(value);

		if (strlen(name) < NAME_LEN && !strncmp(name, ns, strlen(ns)) &&
			tree_exists("/sys/class/block/%s/%s/partition", ns, name))
			add_block(nodes, name, "partition");
	}
	json_decref(names);
}

static void add_namespace(json_t *nodes, unsigned subsys, unsigned ns)
{
	char name[NAME_LEN], dev[NAME_LEN];

	snprintf(name, sizeof(name), "nvme%un%u", subsys, ns);
	if (has_node(nodes, name) || !tree_exists("/sys/class/block/%s", name))
		return;
	add_block(nodes, name, "namespace");
	add_partitions(nodes, name);
	snprintf(name, sizeof(name), "ng%un%u", subsys, ns);
	if (!tree_line(dev, sizeof(dev), "/sys/class/nvme-generic/%s/dev", name))
		node_new(nodes, name, "character", dev);
}

static void add_controller(json_t *nodes, const char *bdf, const char *name)
{
	json_t *names = tree_names("/sys/bus/pci/devices/%s/nvme/%s", bdf, name), *value;
	char dev[NAME_LEN];
	size_t i;

	tree_line(dev, sizeof(dev), "/sys/class/nvme/%s/dev", name);
	node_new(nodes, name, "controller", dev);
	json_array_foreach(names, i, value) {
		const char *entry = json_string_value(value);
		unsigned subsys, path, ns;
		char end;

		/* nvme0c1n2 is one of the paths to nvme0n2. */
		if (sscanf(entry, "nvme%uc%un%u%c", &subsys, &path, &ns, &end) == 3 ||
			sscanf(entry, "nvme%un%u%c", &subsys, &ns, &end) == 2)
			add_namespace(nodes, subsys, ns);
	}
	json_decref(names);
}

json_t *setup_nodes(const struct nvio_pci_info *info)
{
	json_t *nodes = cli_json_array();
	json_t *names = tree_names("/sys/bus/pci/devices/%s/nvme", info->bdf), *name;
	size_t i;

	json_array_foreach(names, i, name) {
		if (strlen(json_string_value(name)) < NAME_LEN)
			add_controller(nodes, info->bdf, json_string_value(name));
	}
	json_decref(names);
	return nodes;
}
