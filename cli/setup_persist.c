/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A binding that lasts: a udev rule for each drive and one file for the module. At a start, the kernel's driver may have the drive before
 * udev looks: then the rule has this program take it, with all checks that it makes when a person calls it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "out.h"
#include "setup.h"
#include "setup_persist.h"

static const char rules_folder[] = "/etc/udev/rules.d";
static const char modules_path[] = "/etc/modules-load.d/nvio.conf";

static void rule_name(const char *bdf, char *name, size_t size)
{
	snprintf(name, size, "60-nvio-%s.rules", bdf);
}

static void rule_path(const char *bdf, char *path, size_t size)
{
	char name[64];

	rule_name(bdf, name, sizeof(name));
	snprintf(path, size, "%s/%s", rules_folder, name);
}

/* At each start root runs it, so whoever may change it, or put another in its place, would be root. Of another tree nothing is known. */
static int check_program(const char *path)
{
	char part[PATH_MAX];
	struct stat st;

	snprintf(part, sizeof(part), "%s", path);
	for (;;) {
		char *slash = strrchr(part, '/');

		if (stat(part[0] ? part : "/", &st))
			return cli_fail("%s, which the rule has to name: %s", path, strerror(errno));
		/* In a folder like /tmp, what is root's stays. */
		if (st.st_uid || ((st.st_mode & S_IWOTH) && !(S_ISDIR(st.st_mode) && (st.st_mode & S_ISVTX))))
			return cli_fail("this program lies at %s, and not only root can change %s: root must not run that at each start; install it, as in: "
					"sudo make install", path, part[0] ? part : "/");
		if (!slash)
			return CLI_OK;
		*slash = 0;
	}
}

/* udev gives a meaning to % and $, and to quotes; a path with any of these is refused, not quoted. */
static int own_path(char path[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 1);

	if (n <= 0)
		return cli_fail("cannot tell where this program lies, which the rule has to say: %s", strerror(errno));
	path[n] = 0;
	if (strspn(path, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_/.+-") != (size_t)n)
		return cli_fail("this program lies at '%s', which a rule of udev cannot name; install it, as in: make install", path);
	return tree_is_system() ? check_program(path) : CLI_OK;
}

/* It is the drive of that kind in that place: in another machine, or after cards have been moved, it is nobody. */
static void rule_text(const json_t *drive, const char *program, char *text, size_t size)
{
	const char *bdf = tree_get(drive, "address"), *name = setup.user ? setup.user : setup.group;

	snprintf(text, size,
		STEP_HEADER " bind %s --persistent: gives this NVMe drive to user space at each start.\n"
			    "# To undo: nvio setup unbind %s (or nvio setup reset, which undoes everything).\n"
			    "ACTION!=\"add\", GOTO=\"nvio_end\"\n"
			    "SUBSYSTEM!=\"pci\", GOTO=\"nvio_end\"\n"
			    "KERNEL!=\"%s\", GOTO=\"nvio_end\"\n"
			    "ATTR{vendor}!=\"%s\", GOTO=\"nvio_end\"\n"
			    "ATTR{device}!=\"%s\", GOTO=\"nvio_end\"\n"
			    "ATTR{subsystem_vendor}!=\"%s\", GOTO=\"nvio_end\"\n"
			    "ATTR{subsystem_device}!=\"%s\", GOTO=\"nvio_end\"\n"
			    "ATTR{driver_override}=\"vfio-pci\"\n"
			    "RUN+=\"%s setup bind %s%s%s\"\n"
			    "LABEL=\"nvio_end\"\n",
		bdf, bdf, bdf, tree_get(drive, "vendor"), tree_get(drive, "device"), tree_get(drive, "subsystem_vendor"),
		tree_get(drive, "subsystem_device"), program, bdf, setup.user ? " --user " : setup.group ? " --group " : "",
		name ? name : "");
}

/* Somebody else's file of that name is found now, not half way. */
static int add_file(json_t *steps, const char *path, const char *text)
{
	char full[PATH_MAX];

	if (step_file_is_ours(path) < 0)
		return cli_fail("%s is there, and was not written by setup: it is left alone", tree_path(full, "%s", path));
	cli_json_add(steps, step_file(path, text));
	return CLI_OK;
}

int persist_add(json_t *steps, const json_t *drives)
{
	static const char modules[] = STEP_HEADER " bind --persistent: the drives of its rules in /etc/udev/rules.d need this module.\n"
						  "# To undo: nvio setup reset.\n"
						  "vfio-pci\n";
	char program[PATH_MAX], path[128], text[PATH_MAX + 1024];
	json_t *drive;
	int status = own_path(program);
	size_t i;

	if (!status)
		status = add_file(steps, modules_path, modules);
	json_array_foreach(drives, i, drive) {
		if (status)
			break;
		rule_path(tree_get(drive, "address"), path, sizeof(path));
		rule_text(drive, program, text, sizeof(text));
		status = add_file(steps, path, text);
	}
	return status;
}

static bool is_leaving(const json_t *leaving, const char *rule)
{
	char name[64];
	json_t *drive;
	size_t i;

	json_array_foreach(leaving, i, drive) {
		rule_name(tree_get(drive, "address"), name, sizeof(name));
		if (!strcmp(name, rule))
			return true;
	}
	return false;
}

static bool others_stay(const json_t *leaving)
{
	json_t *names = tree_names("%s", rules_folder), *name;
	bool stay = false;
	size_t i;

	json_array_foreach(names, i, name) {
		const char *rule = json_string_value(name);

		stay |= !strncmp(rule, "60-nvio-", 8) && !is_leaving(leaving, rule);
	}
	json_decref(names);
	return stay;
}

void persist_remove(json_t *steps, json_t *forget, const char *bdf, const json_t *leaving)
{
	char path[128];

	rule_path(bdf, path, sizeof(path));
	cli_json_add(steps, step_remove(path));
	cli_json_add(forget, step_remove(path));
	if (others_stay(leaving))
		return;
	cli_json_add(steps, step_remove(modules_path));
	cli_json_add(forget, step_remove(modules_path));
}
