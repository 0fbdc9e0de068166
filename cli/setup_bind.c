/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `nvio setup bind` and `unbind`: a drive from the kernel to user space and back. Everything that speaks against it is looked for, and
 * told at once, before anything is changed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <nvio/error.h>

#include "cli.h"
#include "out.h"
#include "setup.h"
#include "setup_persist.h"

#define DRIVES_MAX     64
#define UNBIND_WAIT_MS 15000

static const char *const driver_names[] = { "vfio-pci", "uio_pci_generic" };

static bool is_among(const json_t *drives, const char *bdf)
{
	json_t *drive;
	size_t i;

	json_array_foreach(drives, i, drive) {
		if (!strcmp(tree_get(drive, "address"), bdf))
			return true;
	}
	return false;
}

static bool has_driver(const json_t *drive, const char *driver)
{
	return !strcmp(tree_get(drive, "driver"), driver);
}

static int group_of(const json_t *drive)
{
	return (int)json_integer_value(json_object_get(drive, "iommu_group"));
}

static bool no_iommu_allowed(void)
{
	char line[8];

	tree_line(line, sizeof(line), "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode");
	return line[0] == 'Y' || line[0] == '1';
}

/* Whether VFIO would let anybody have it: all of its group, as far as it does DMA of its own, has to be in user space. */
static int check_group(const json_t *drive, const json_t *drives)
{
	const char *bdf = tree_get(drive, "address");
	json_t *other;
	int status = CLI_OK;
	size_t i;

	if (group_of(drive) < 0 && !no_iommu_allowed())
		return cli_fail("%s: it is in no IOMMU group, so vfio-pci cannot have it; 'nvio doctor' says how to switch the IOMMU on",
			bdf);
	json_array_foreach(json_object_get(drive, "group_others"), i, other) {
		const char *driver = tree_get(other, "driver"), *address = tree_get(other, "address");

		if (!driver[0] || strstr(driver, "vfio") || !strcmp(driver, "pci-stub") || is_among(drives, address))
			continue;
		status = cli_fail("%s: its IOMMU group %d has %s (class %s, driver %s) as well, which must come along: name it, too", bdf,
			group_of(drive), address, tree_get(other, "class"), driver);
	}
	return status;
}

/* A function that is no drive comes along with one of its group, and nobody here can tell what it is used for. */
static int check_kind(const json_t *drive, const json_t *drives)
{
	const char *bdf = tree_get(drive, "address");
	json_t *other;
	bool along = false;
	size_t i;

	if (json_is_true(json_object_get(drive, "nvme")))
		return CLI_OK;
	json_array_foreach(drives, i, other)
		along |= other != drive && group_of(drive) >= 0 && group_of(other) == group_of(drive) &&
			 json_is_true(json_object_get(other, "nvme"));
	if (!along)
		return cli_fail("%s is no NVMe drive, and shares no IOMMU group with one that is named", bdf);
	if (!setup.force)
		return cli_fail("%s is no NVMe drive, and what it is used for is not looked at; --force takes it all the same", bdf);
	return CLI_OK;
}

/* All that speaks against it, line by line. */
static int check_uses(const json_t *drive, bool next_start)
{
	const char *bdf = tree_get(drive, "address");
	json_t *uses = setup_uses(drive), *use;
	int status = CLI_OK;
	size_t i;

	if (next_start)
		setup_add_fstab(uses, drive);
	json_array_foreach(uses, i, use) {
		if (setup.force)
			cli_note("%s: forced, though %s", bdf, json_string_value(use));
		else
			status = cli_fail("%s: %s", bdf, json_string_value(use));
	}
	if (status)
		cli_note("%s is left as it is: end these uses first (--force takes it away from them, and loses what they have not written)",
			bdf);
	json_decref(uses);
	return status;
}

static int check_drives(const json_t *drives, const char *driver)
{
	json_t *drive;
	int status = CLI_OK;
	size_t i;

	json_array_foreach(drives, i, drive) {
		if (check_kind(drive, drives) || (!strcmp(driver, "vfio-pci") && check_group(drive, drives)) ||
			(!has_driver(drive, driver) && check_uses(drive, setup.persistent)))
			status = CLI_FAILED;
	}
	return status;
}

/*
 * Claims the namespaces for us alone until the driver has gone: nobody can mount them between our look and that. -EBUSY would mean
 * that somebody has, just now.
 */
static int claim(const json_t *drives, int *fds, size_t max, size_t *count)
{
	json_t *drive, *node;
	char path[PATH_MAX];
	struct stat st;
	size_t i, k;

	*count = 0;
	json_array_foreach(drives, i, drive) {
		json_array_foreach(json_object_get(drive, "nodes"), k, node) {
			if (strcmp(tree_get(node, "kind"), "namespace") != 0 || *count == max)
				continue;
			tree_path(path, "/dev/%s", tree_get(node, "name"));
			if (stat(path, &st) || !S_ISBLK(st.st_mode))
				continue;
			fds[*count] = open(path, O_RDONLY | O_EXCL | O_CLOEXEC | O_NONBLOCK);
			if (fds[*count] < 0 && errno == EBUSY)
				return cli_fail("%s: %s has just been taken into use", tree_get(drive, "address"), path);
			*count += fds[*count] >= 0;
		}
	}
	return CLI_OK;
}

/* Who is to have the nodes: NULL when neither --user nor --group is given. */
static int find_who(json_t **who)
{
	const char *name = setup.user ? setup.user : setup.group;
	uid_t uid = 0;
	gid_t gid = 0;
	int rc;

	*who = NULL;
	if (setup.user && setup.group)
		return cli_usage("--user and --group exclude each other");
	if (!name)
		return CLI_OK;
	rc = setup.user ? tree_user(name, &uid, &gid) : tree_group(name, &gid);
	if (rc == -EINVAL)
		return cli_usage("--%s: that is no name of a %s: letters, digits, and _ . - @ within", setup.user ? "user" : "group",
			setup.user ? "user" : "group");
	if (rc)
		return cli_fail("there is no %s %s", setup.user ? "user" : "group", name);
	*who = cli_json_object();
	cli_json_set(*who, "who", cli_json_text(name));
	cli_json_set(*who, "uid", json_integer(setup.user ? (json_int_t)uid : -1));
	cli_json_set(*who, "gid", json_integer(setup.user ? -1 : (json_int_t)gid));
	cli_json_set(*who, "mode", json_integer(setup.user ? 0600 : 0660));
	return CLI_OK;
}

/*
 * /dev/vfio/vfio is for everybody, since it leads to nothing without a group. /dev/iommu is as harmless, and mostly root's; it is shared by
 * all drives, so that a second user must not take it from the first.
 */
static int add_common_nodes(json_t *steps, const json_t *who)
{
	json_t *all = json_pack("{sssisisi}", "who", "all", "uid", -1, "gid", -1, "mode", 0666);
	char path[PATH_MAX];
	struct stat st;

	if (tree_exists("/dev/vfio/vfio"))
		cli_json_add(steps, step_own("/dev/vfio/vfio", all));
	json_decref(all);
	if (stat(tree_path(path, "/dev/iommu"), &st))
		return CLI_OK;
	if (setup.user && st.st_uid && (json_int_t)st.st_uid != json_integer_value(json_object_get(who, "uid")))
		return cli_fail("%s belongs to user %u already, and can belong to one only; give the drives to a group of both: --group",
			path, (unsigned)st.st_uid);
	cli_json_add(steps, step_own("/dev/iommu", who));
	return CLI_OK;
}

/* Nodes that are there already can be taken back; those that come with the driver go with it. */
static void add_nodes(json_t *steps, const json_t *drive, const json_t *who)
{
	json_t *node;
	char path[PATH_MAX];
	size_t i;

	if (!has_driver(drive, "vfio-pci")) {
		cli_json_add(steps, step_give(tree_get(drive, "address"), group_of(drive), who));
		return;
	}
	json_array_foreach(json_object_get(drive, "nodes"), i, node) {
		snprintf(path, sizeof(path), "/dev/%s", tree_get(node, "name"));
		if (tree_exists("%s", path))
			cli_json_add(steps, step_own(path, who));
	}
}

static int bind_steps(json_t *steps, const json_t *drives, const char *driver, const json_t *who)
{
	json_t *drive;
	size_t i;

	cli_json_add(steps, step_module(driver));
	json_array_foreach(drives, i, drive)
		cli_json_add(steps, step_driver(tree_get(drive, "address"), driver));
	if (who) {
		if (add_common_nodes(steps, who))
			return CLI_FAILED;
		json_array_foreach(drives, i, drive)
			add_nodes(steps, drive, who);
	}
	return setup.persistent ? persist_add(steps, drives) : CLI_OK;
}

static void tell_bound(const json_t *drives, const char *driver, const json_t *who)
{
	json_t *drive;
	size_t i;

	json_array_foreach(drives, i, drive) {
		printf("%s: %s has it", tree_get(drive, "address"), driver);
		if (who)
			printf(", for %s %s", setup.user ? "user" : "group", tree_get(who, "who"));
		printf("; check: nvio doctor %s\n", tree_get(drive, "address"));
	}
}

static int check_driver_options(void)
{
	if (setup.driver == 0)
		return CLI_OK;
	if (setup.user || setup.group)
		return cli_usage("--driver uio_pci_generic is for root alone: without an IOMMU, whoever drives a device can read and "
				 "write all memory");
	if (setup.persistent)
		return cli_usage("--driver uio_pci_generic is not made to last: it protects the machine from nothing");
	return CLI_OK;
}

static int run_bind(json_t *drives, const json_t *who)
{
	const char *driver = driver_names[setup.driver];
	json_t *steps = cli_json_array();
	int fds[DRIVES_MAX * 4], status;
	size_t claimed = 0;

	status = check_drives(drives, driver);
	if (!status)
		status = bind_steps(steps, drives, driver, who);
	if (!status && !setup.dry_run && !setup.force)
		status = claim(drives, fds, CLI_COUNT(fds), &claimed);
	if (!status)
		status = plan_run(json_incref(steps), NULL);
	while (claimed > 0)
		close(fds[--claimed]);
	json_decref(steps);
	if (!status && plan_tells())
		tell_bound(drives, driver, who);
	return status;
}

int setup_bind(char **args, int n)
{
	json_t *drives, *who;
	int status = check_driver_options();

	if (!status && !n)
		status = cli_usage("bind: which? as in: nvio setup bind 0000:01:00.0 --user $USER");
	if (!status && n > DRIVES_MAX)
		status = cli_usage("bind: %d at a time", DRIVES_MAX);
	if (!status)
		status = find_who(&who);
	if (status)
		return status;
	status = setup_drives(args, n, true, &drives);
	if (!status)
		status = run_bind(drives, who);
	json_decref(drives);
	json_decref(who);
	return status;
}

/* The nodes of its namespaces and partitions; false: some are missing still. */
static bool block_nodes(const struct nvio_pci_info *info, char *names, size_t size)
{
	json_t *nodes = setup_nodes(info), *node;
	bool all = true;
	size_t i;

	names[0] = 0;
	json_array_foreach(nodes, i, node) {
		const char *name = tree_get(node, "name");

		if (!json_object_get(node, "bytes"))
			continue;
		all &= tree_exists("/dev/%s", name);
		snprintf(names + strlen(names), size - strlen(names), " /dev/%s", name);
	}
	json_decref(nodes);
	return all && names[0];
}

struct back {
	struct nvio_pci_info info;
	char nodes[1024];
	bool lives, done;
};

/* The controller works, and its nodes are all there and have been the same twice. */
static int look(const struct nvio_pci_info *info, void *arg)
{
	struct back *b = arg;
	char state[32], nodes[sizeof(b->nodes)];

	b->info = *info;
	if (info->class_code != NVIO_PCI_CLASS_NVME) {
		b->done = true;
		return 0;
	}
	tree_line(state, sizeof(state), "/sys/class/nvme/%s/state", info->kernel_name);
	b->lives = info->kernel_name[0] && !strcmp(state, "live");
	if (!b->lives)
		return 0;
	b->done = block_nodes(info, nodes, sizeof(nodes)) && !strcmp(nodes, b->nodes);
	memcpy(b->nodes, nodes, sizeof(nodes));
	return 0;
}

static int wait_back(const char *bdf)
{
	struct nvio_pci_scan_opts opts;
	struct back b = { .nodes = "" };

	nvio_pci_scan_opts_init(&opts);
	opts.root = tree_root;
	opts.class_code = NVIO_PCI_ANY;
	opts.bdf = bdf;
	for (int ms = 0; ms < UNBIND_WAIT_MS && !b.done; ms += 100) {
		if (nvio_pci_scan(&opts, look, &b))
			return cli_fail("%s", nvio_errmsg());
		if (!b.done)
			nanosleep(&(struct timespec){ .tv_nsec = 100 * 1000 * 1000 }, NULL);
	}
	if (!b.done && !b.lives)
		return cli_fail("%s: the kernel's driver has taken it, but it does not come to life; look into `dmesg`", bdf);
	if (!b.done)
		cli_note("%s: the kernel has it, but shows no namespace of it", bdf);
	else if (plan_tells())
		printf("%s: the kernel has it:%s\n", bdf, b.nodes[0] ? b.nodes : b.info.driver);
	return CLI_OK;
}

static void unbind_steps(json_t *steps, json_t *forget, const json_t *drives)
{
	json_t *drive, *node, *anybody = cli_json_object();
	char path[PATH_MAX];
	size_t i, k;

	cli_json_add(steps, step_module("nvme"));
	json_array_foreach(drives, i, drive) {
		const char *bdf = tree_get(drive, "address");

		persist_remove(steps, forget, bdf, drives);
		cli_json_add(steps, step_driver(bdf, "nvme"));
		cli_json_add(forget, step_driver(bdf, "nvme"));
		json_array_foreach(json_object_get(drive, "nodes"), k, node) {
			snprintf(path, sizeof(path), "/dev/%s", tree_get(node, "name"));
			cli_json_add(forget, step_own(path, anybody));
		}
	}
	json_decref(anybody);
}

static int check_unbind(const json_t *drives)
{
	json_t *drive;
	int status = CLI_OK;
	size_t i;

	json_array_foreach(drives, i, drive) {
		if (!json_is_true(json_object_get(drive, "nvme")))
			status = cli_fail("%s is no NVMe drive", tree_get(drive, "address"));
		else if (!has_driver(drive, "nvme") && check_uses(drive, false))
			status = CLI_FAILED;
	}
	return status;
}

int setup_unbind(char **args, int n)
{
	json_t *drives, *drive, *steps, *forget;
	int status;
	size_t i;

	if (!n)
		return cli_usage("unbind: which? as in: nvio setup unbind 0000:01:00.0");
	if (n > DRIVES_MAX)
		return cli_usage("unbind: %d at a time", DRIVES_MAX);
	status = setup_drives(args, n, true, &drives);
	if (status)
		return status;
	steps = cli_json_array();
	forget = cli_json_array();
	status = check_unbind(drives);
	if (!status) {
		unbind_steps(steps, forget, drives);
		status = plan_run(json_incref(steps), json_incref(forget));
	}
	json_array_foreach(drives, i, drive) {
		if (!status && !setup.dry_run)
			status = wait_back(tree_get(drive, "address"));
	}
	json_decref(forget);
	json_decref(steps);
	json_decref(drives);
	return status;
}
