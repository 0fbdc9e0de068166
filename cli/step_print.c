/* SPDX-License-Identifier: BSD-3-Clause */
/* A step as the shell would be told it, so that --dry-run can be read, and done by hand. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "setup.h"

static json_int_t number(const json_t *step, const char *key)
{
	return json_integer_value(json_object_get(step, key));
}

/* Quoted when it has anything but what the shell leaves alone. */
static void quote(const char *text)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_@%+=:,./-";

	if (*text && strspn(text, plain) == strlen(text)) {
		fputs(text, stdout);
		return;
	}
	putchar('\'');
	for (const char *p = text; *p; p++)
		*p == '\'' ? (void)fputs("'\\''", stdout) : (void)putchar(*p);
	putchar('\'');
}

static void path(const char *fmt, const char *name)
{
	char buf[PATH_MAX];

	quote(tree_path(buf, fmt, name));
}

static void to_file(const char *text, const char *fmt, const char *name)
{
	printf("echo ");
	quote(text);
	printf(" > ");
	path(fmt, name);
	putchar('\n');
}

static void print_driver(const json_t *step)
{
	const char *bdf = tree_get(step, "bdf"), *driver = tree_get(step, "driver");
	bool bound = tree_exists("/sys/bus/pci/devices/%s/driver", bdf);

	to_file(driver, "/sys/bus/pci/devices/%s/driver_override", bdf);
	if (bound)
		to_file(bdf, "/sys/bus/pci/devices/%s/driver/unbind", bdf);
	if (driver[0])
		to_file(bdf, "/sys/bus/pci/drivers_probe%s", "");
	/* An empty line takes an override away. */
	if (driver[0] && !step_is_for_user_space(driver))
		to_file("", "/sys/bus/pci/devices/%s/driver_override", bdf);
}

static void print_owner(const json_t *step, const char *what)
{
	json_int_t uid = number(step, "uid"), gid = number(step, "gid");

	if (uid >= 0 || gid >= 0) {
		printf("chown ");
		if (uid >= 0)
			printf("%" JSON_INTEGER_FORMAT, uid);
		if (gid >= 0)
			printf(":%" JSON_INTEGER_FORMAT, gid);
		printf(" %s && ", what);
	}
	printf("chmod %04o %s", (unsigned)number(step, "mode"), what);
}

static void print_give(const json_t *step)
{
	json_int_t group = number(step, "group");
	char buf[PATH_MAX];

	printf("for node in ");
	if (group >= 0) {
		snprintf(buf, sizeof(buf), "/dev/vfio/%" JSON_INTEGER_FORMAT, group);
		path("%s", buf);
		putchar(' ');
	}
	path("/dev/vfio/devices/%s", "");
	printf("$(ls ");
	path("/sys/bus/pci/devices/%s/vfio-dev", tree_get(step, "bdf"));
	printf(" 2>/dev/null); do [ ! -c \"$node\" ] || { ");
	print_owner(step, "\"$node\"");
	printf("; }; done\n");
}

static void print_own(const json_t *step)
{
	char buf[PATH_MAX];

	printf("node=");
	quote(tree_path(buf, "%s", tree_get(step, "path")));
	printf("; ");
	print_owner(step, "\"$node\"");
	putchar('\n');
}

static void print_module(const char *verb, const char *name)
{
	printf("modprobe %s", verb);
	if (!tree_is_system()) {
		printf("-d ");
		path("%s", "/");
		putchar(' ');
	}
	quote(name);
	putchar('\n');
}

static void print_limit(const json_t *step)
{
	printf("prlimit --pid %" JSON_INTEGER_FORMAT " --memlock=", number(step, "pid"));
	for (const char *key = "soft"; key; key = !strcmp(key, "soft") ? "hard" : NULL) {
		json_int_t bytes = number(step, key);

		if (bytes < 0)
			printf("unlimited");
		else
			printf("%" JSON_INTEGER_FORMAT, bytes);
		putchar(!strcmp(key, "soft") ? ':' : '\n');
	}
}

static void print_file(const json_t *step)
{
	char folder[PATH_MAX];

	snprintf(folder, sizeof(folder), "%s", tree_get(step, "path"));
	*strrchr(folder, '/') = 0;
	printf("mkdir -p ");
	path("%s", folder);
	printf("\ncat > ");
	path("%s", tree_get(step, "path"));
	printf(" <<'EOF'\n%sEOF\n", tree_get(step, "text"));
}

void step_print(const json_t *step)
{
	const char *what = tree_get(step, "do");

	if (!strcmp(what, "module")) {
		print_module("", tree_get(step, "name"));
	} else if (!strcmp(what, "unmodule")) {
		print_module("-r ", tree_get(step, "name"));
	} else if (!strcmp(what, "driver")) {
		print_driver(step);
	} else if (!strcmp(what, "give")) {
		print_give(step);
	} else if (!strcmp(what, "own")) {
		print_own(step);
	} else if (!strcmp(what, "file")) {
		print_file(step);
	} else if (!strcmp(what, "remove")) {
		printf("rm -f ");
		path("%s", tree_get(step, "path"));
		putchar('\n');
	} else if (!strcmp(what, "value")) {
		to_file(tree_get(step, "value"), "%s", tree_get(step, "path"));
	} else if (!strcmp(what, "limit")) {
		print_limit(step);
	}
}
