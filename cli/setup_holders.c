/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who uses the nodes of a drive: mounts, swap, devices that stand on them (device mapper, RAID, bcache, loop, a file system of several
 * devices, the kernel's NVMe target), and processes that have them open. Each is another file of the kernel.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "cli.h"
#include "out.h"
#include "setup.h"

static void add_text(json_t *node, const char *key, const char *text)
{
	json_t *list = json_object_get(node, key), *one;
	size_t i;

	json_array_foreach(list, i, one) {
		if (!strcmp(json_string_value(one), text))
			return;
	}
	cli_json_add(list, cli_json_text(text));
}

/* The node that a path of /dev means, through at most one link (/dev/disk/by-uuid/...); NULL: none of these. */
static json_t *find_path(json_t *nodes, const char *path)
{
	const char *name = strrchr(path, '/');
	char target[256];
	json_t *node;
	size_t i;

	if (strncmp(path, "/dev/", 5) != 0)
		return NULL;
	name = tree_link(target, sizeof(target), "%s", path) ? name + 1 : target;
	json_array_foreach(nodes, i, node) {
		if (!strcmp(tree_get(node, "name"), name))
			return node;
	}
	return NULL;
}

/* \040 and the like, as the kernel writes blanks in mountinfo and swaps. */
static void unescape(char *text)
{
	char *to = text;

	for (const char *p = text; *p; to++) {
		if (p[0] == '\\' && p[1] >= '0' && p[1] <= '3' && p[2] >= '0' && p[2] <= '7' && p[3] >= '0' && p[3] <= '7') {
			*to = (char)((p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0'));
			p += 4;
		} else {
			*to = *p++;
		}
	}
	*to = 0;
}

void setup_add_holders(json_t *node, const char *name)
{
	char what[256], text[640];

	/* A uuid of device mapper begins with whose it is: LVM-, CRYPT-, mpath-. */
	if (!tree_line(what, sizeof(what), "/sys/class/block/%s/dm/name", name) && what[0]) {
		char uuid[256];

		tree_line(uuid, sizeof(uuid), "/sys/class/block/%s/dm/uuid", name);
		uuid[strcspn(uuid, "-")] = 0;
		snprintf(text, sizeof(text), "%s (device mapper %s%s%s)", name, what, uuid[0] ? ", " : "", uuid);
	} else if (tree_exists("/sys/class/block/%s/md", name)) {
		tree_line(what, sizeof(what), "/sys/class/block/%s/md/level", name);
		snprintf(text, sizeof(text), "%s (RAID%s%s)", name, what[0] ? ", " : "", what);
	} else {
		snprintf(text, sizeof(text), "%s", name);
	}
	add_text(node, "holders", text);
}

/* 36 35 98:0 /root /where options - fstype source options; the number is not that of a device where btrfs makes one up. */
static void add_mount(json_t *nodes, char *line)
{
	char *field[5], *fstype, *source, *save = NULL, *dash = strstr(line, " - ");
	json_t *node;
	size_t i;

	if (!dash)
		return;
	*dash = 0;
	for (i = 0; i < CLI_COUNT(field); i++) {
		field[i] = strtok_r(i ? NULL : line, " ", &save);
		if (!field[i])
			return;
	}
	fstype = strtok_r(dash + 3, " ", &save);
	source = strtok_r(NULL, " ", &save);
	if (!fstype || !source)
		return;
	unescape(field[4]);
	unescape(source);
	node = find_path(nodes, source);
	if (node)
		add_text(node, "mounts", field[4]);
	json_array_foreach(nodes, i, node) {
		if (json_object_get(node, "bytes") && !strcmp(tree_get(node, "dev"), field[2]))
			add_text(node, "mounts", field[4]);
	}
}

static void for_lines(char *text, void (*fn)(json_t *nodes, char *line), json_t *nodes)
{
	char *rest = text, *line;

	while ((line = strsep(&rest, "\n")))
		fn(nodes, line);
	free(text);
}

static void add_swap(json_t *nodes, char *line)
{
	json_t *node;

	line[strcspn(line, " \t")] = 0;
	unescape(line);
	node = find_path(nodes, line);
	if (node)
		cli_json_set(node, "swap", json_true());
}

/* A file system of several devices is mounted by the name of one, and knows them all. */
static void add_btrfs(json_t *nodes)
{
	json_t *all = tree_names("/sys/fs/btrfs"), *fs, *node;
	size_t i, k;

	json_array_foreach(all, i, fs) {
		json_array_foreach(nodes, k, node) {
			if (tree_exists("/sys/fs/btrfs/%s/devices/%s", json_string_value(fs), tree_get(node, "name")))
				add_text(node, "holders", "btrfs");
		}
	}
	json_decref(all);
}

static void add_path_holder(json_t *nodes, const char *path, const char *who)
{
	json_t *node = find_path(nodes, path);

	if (node)
		add_text(node, "holders", who);
}

static void add_loops(json_t *nodes)
{
	json_t *all = tree_names("/sys/class/block"), *name;
	char path[PATH_MAX];
	size_t i;

	json_array_foreach(all, i, name) {
		if (!strncmp(json_string_value(name), "loop", 4) &&
			!tree_line(path, sizeof(path), "/sys/class/block/%s/loop/backing_file", json_string_value(name)))
			add_path_holder(nodes, path, json_string_value(name));
	}
	json_decref(all);
}

static void add_targets(json_t *nodes)
{
	static const char top[] = "/sys/kernel/config/nvmet/subsystems";
	json_t *all = tree_names("%s", top), *name, *numbers, *number;
	char path[PATH_MAX], who[300];
	size_t i, k;

	json_array_foreach(all, i, name) {
		numbers = tree_names("%s/%s/namespaces", top, json_string_value(name));
		json_array_foreach(numbers, k, number) {
			tree_line(path, sizeof(path), "%s/%s/namespaces/%s/device_path", top, json_string_value(name),
				json_string_value(number));
			snprintf(who, sizeof(who), "the kernel's NVMe target %s", json_string_value(name));
			add_path_holder(nodes, path, who);
		}
		json_decref(numbers);
	}
	json_decref(all);
}

void setup_add_mounts(json_t *nodes)
{
	char *text;

	if (!json_array_size(nodes))
		return;
	text = tree_text("/proc/self/mountinfo");
	for_lines(text ? text : tree_text("/proc/1/mountinfo"), add_mount, nodes);
	/* In a namespace of its own, as under udev or in a container, the first process sees more. */
	for_lines(tree_text("/proc/1/mountinfo"), add_mount, nodes);
	for_lines(tree_text("/proc/swaps"), add_swap, nodes);
	add_btrfs(nodes);
	add_loops(nodes);
	add_targets(nodes);
}

/* A node may have other names, so that its number is looked at, too; only below /dev: elsewhere looking may hang (NFS). */
static json_t *find_open(json_t *nodes, const char *target, const char *link)
{
	json_t *node;
	struct stat st;
	char dev[64];
	size_t i;

	if (strncmp(target, "/dev/", 5) != 0)
		return NULL;
	json_array_foreach(nodes, i, node) {
		if (!strcmp(tree_get(node, "name"), target + 5))
			return node;
	}
	if (stat(link, &st) || (!S_ISBLK(st.st_mode) && !S_ISCHR(st.st_mode)))
		return NULL;
	snprintf(dev, sizeof(dev), "%u:%u", major(st.st_rdev), minor(st.st_rdev));
	json_array_foreach(nodes, i, node) {
		if (!strcmp(tree_get(node, "dev"), dev) && S_ISBLK(st.st_mode) == !!json_object_get(node, "bytes"))
			return node;
	}
	return NULL;
}

static void add_process(json_t *nodes, const char *pid)
{
	json_t *fds = tree_names("/proc/%s/fd", pid), *fd, *node;
	char link[PATH_MAX], target[PATH_MAX], comm[64], who[128];
	size_t i;

	json_array_foreach(fds, i, fd) {
		ssize_t n = readlink(tree_path(link, "/proc/%s/fd/%s", pid, json_string_value(fd)), target, sizeof(target) - 1);

		if (n <= 0)
			continue;
		target[n] = 0;
		node = find_open(nodes, target, link);
		if (!node)
			continue;
		tree_line(comm, sizeof(comm), "/proc/%s/comm", pid);
		snprintf(who, sizeof(who), "%s (%s)", pid, comm);
		add_text(node, "open_by", who);
	}
	json_decref(fds);
}

void setup_add_openers(json_t *nodes)
{
	json_t *pids, *value;
	size_t i;

	if (!json_array_size(nodes))
		return;
	pids = tree_names("/proc");
	json_array_foreach(pids, i, value) {
		const char *pid = json_string_value(value);

		if (isdigit((unsigned char)pid[0]) && (!tree_is_system() || atoi(pid) != getpid()))
			add_process(nodes, pid);
	}
	json_decref(pids);
}

/* "UUID=..." and its kin stand for links below /dev/disk. */
static void fstab_path(const char *spec, char *path, size_t size)
{
	static const struct {
		const char *tag, *folder;
	} tags[] = { { "UUID=", "by-uuid" }, { "LABEL=", "by-label" }, { "PARTUUID=", "by-partuuid" },
		{ "PARTLABEL=", "by-partlabel" }, { "ID=", "by-id" } };

	snprintf(path, size, "%s", spec);
	for (size_t i = 0; i < CLI_COUNT(tags); i++) {
		const char *value = spec + strlen(tags[i].tag);

		if (strncmp(spec, tags[i].tag, strlen(tags[i].tag)) != 0)
			continue;
		value += *value == '"';
		snprintf(path, size, "/dev/disk/%s/%.*s", tags[i].folder, (int)strcspn(value, "\""), value);
	}
}

static void add_table(json_t *uses, json_t *nodes, const char *file, int column)
{
	char *text = tree_text("%s", file), *rest = text, *line;

	while ((line = strsep(&rest, "\n"))) {
		char *save = NULL, *word[2], path[PATH_MAX], say[PATH_MAX];
		json_t *node;

		word[0] = strtok_r(line, " \t", &save);
		word[1] = strtok_r(NULL, " \t", &save);
		if (!word[0] || !word[1] || word[0][0] == '#')
			continue;
		unescape(word[column]);
		fstab_path(word[column], path, sizeof(path));
		node = find_path(nodes, path);
		if (!node)
			continue;
		snprintf(say, sizeof(say), "%s: %s wants it (%.200s)", tree_get(node, "name"), file, word[!column]);
		cli_json_add(uses, cli_json_text(say));
	}
	free(text);
}

void setup_add_fstab(json_t *uses, const json_t *drive)
{
	json_t *nodes = json_object_get(drive, "nodes");

	add_table(uses, nodes, "/etc/fstab", 0);
	add_table(uses, nodes, "/etc/crypttab", 1);
}
