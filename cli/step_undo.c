/* SPDX-License-Identifier: BSD-3-Clause */
/* Making steps, whether they are done, and turning them round: each step's opposite is a step as well. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "cli.h"
#include "out.h"
#include "setup.h"

static json_int_t number(const json_t *step, const char *key)
{
	return json_integer_value(json_object_get(step, key));
}

static bool is(const json_t *step, const char *what)
{
	return !strcmp(tree_get(step, "do"), what);
}

static json_t *step_new(const char *what, const char *key, const char *value)
{
	json_t *step = cli_json_object();

	cli_json_set(step, "do", cli_json_text(what));
	cli_json_set(step, key, cli_json_text(value));
	return step;
}

json_t *step_module(const char *name)
{
	return step_new("module", "name", name);
}

json_t *step_driver(const char *bdf, const char *driver)
{
	json_t *step = step_new("driver", "bdf", bdf);

	cli_json_set(step, "driver", cli_json_text(driver));
	return step;
}

json_t *step_file(const char *path, const char *text)
{
	json_t *step = step_new("file", "path", path);

	cli_json_set(step, "text", cli_json_text(text));
	return step;
}

json_t *step_remove(const char *path)
{
	return step_new("remove", "path", path);
}

json_t *step_value(const char *path, uint64_t value)
{
	json_t *step = step_new("value", "path", path);
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	cli_json_set(step, "value", cli_json_text(text));
	return step;
}

json_t *step_limit(pid_t pid, json_int_t soft, json_int_t hard)
{
	json_t *step = cli_json_object();

	cli_json_set(step, "do", cli_json_text("limit"));
	cli_json_set(step, "pid", json_integer(pid));
	cli_json_set(step, "start", json_integer((json_int_t)step_process_start(pid)));
	cli_json_set(step, "soft", json_integer(soft));
	cli_json_set(step, "hard", json_integer(hard));
	return step;
}

static json_t *with_owner(json_t *step, const json_t *who)
{
	static const char *const keys[] = { "who", "uid", "gid", "mode" };

	for (size_t i = 0; i < CLI_COUNT(keys); i++) {
		if (json_object_get(who, keys[i]))
			cli_json_set(step, keys[i], json_incref(json_object_get(who, keys[i])));
	}
	return step;
}

json_t *step_own(const char *path, const json_t *who)
{
	return with_owner(step_new("own", "path", path), who);
}

json_t *step_give(const char *bdf, int group, const json_t *who)
{
	json_t *step = with_owner(step_new("give", "bdf", bdf), who);

	cli_json_set(step, "group", json_integer(group));
	return step;
}

unsigned long long step_process_start(pid_t pid)
{
	char line[1024], *p;

	if (tree_line(line, sizeof(line), "/proc/%d/stat", (int)pid))
		return 0;
	/* The name, in parentheses, may have anything in it; the start is the 22nd field. */
	p = strrchr(line, ')');
	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	return p ? strtoull(p, NULL, 10) : 0;
}

int step_file_is_ours(const char *path)
{
	char full[PATH_MAX], line[sizeof(STEP_HEADER)];
	struct stat st;

	if (lstat(tree_path(full, "%s", path), &st))
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	if (!S_ISREG(st.st_mode) || tree_line(line, sizeof(line), "%s", path) || strcmp(line, STEP_HEADER) != 0)
		return -EEXIST;
	return 1;
}

static bool is_loaded(const char *name)
{
	char module[64];

	snprintf(module, sizeof(module), "%s", name);
	for (char *p = module; *p; p++) {
		if (*p == '-')
			*p = '_';
	}
	return tree_exists("/sys/module/%s", module);
}

static void driver_now(const json_t *step, char driver[64])
{
	tree_link(driver, 64, "/sys/bus/pci/devices/%s/driver", tree_get(step, "bdf"));
}

static void override_now(const json_t *step, char override[64])
{
	tree_line(override, 64, "/sys/bus/pci/devices/%s/driver_override", tree_get(step, "bdf"));
	if (!strcmp(override, "(null)"))
		override[0] = 0;
}

bool step_is_for_user_space(const char *driver)
{
	return strstr(driver, "vfio") || !strcmp(driver, "uio_pci_generic");
}

/* With a driver of the kernel, and none that is to replace it when it next looks. */
static bool has_driver(const json_t *step)
{
	const char *want = tree_get(step, "driver");
	char driver[64], override[64];

	driver_now(step, driver);
	override_now(step, override);
	return !strcmp(driver, want) && (!want[0] || step_is_for_user_space(want) || !override[0]);
}

static bool is_owned(const json_t *step)
{
	char full[PATH_MAX];
	struct stat st;

	if (lstat(tree_path(full, "%s", tree_get(step, "path")), &st))
		return false;
	return (number(step, "uid") < 0 || (json_int_t)st.st_uid == number(step, "uid")) &&
	       (number(step, "gid") < 0 || (json_int_t)st.st_gid == number(step, "gid")) &&
	       (st.st_mode & 07777) == (mode_t)number(step, "mode");
}

static bool has_text(const json_t *step)
{
	char *text = tree_text("%s", tree_get(step, "path"));
	bool same = text && !strcmp(text, tree_get(step, "text"));

	free(text);
	return same;
}

static bool has_value(const json_t *step)
{
	char now[64];

	return !tree_line(now, sizeof(now), "%s", tree_get(step, "path")) && now[0] &&
	       strtoull(now, NULL, 10) == strtoull(tree_get(step, "value"), NULL, 10);
}

static json_int_t bytes_of(rlim_t limit)
{
	return limit == RLIM_INFINITY ? -1 : (json_int_t)limit;
}

static bool has_limit(const json_t *step)
{
	struct rlimit now;

	return !prlimit((pid_t)number(step, "pid"), RLIMIT_MEMLOCK, NULL, &now) &&
	       bytes_of(now.rlim_cur) == number(step, "soft") && bytes_of(now.rlim_max) == number(step, "hard");
}

bool step_is_done(const json_t *step)
{
	if (is(step, "module"))
		return is_loaded(tree_get(step, "name"));
	if (is(step, "unmodule"))
		return !is_loaded(tree_get(step, "name"));
	if (is(step, "driver"))
		return has_driver(step);
	if (is(step, "own"))
		return is_owned(step);
	if (is(step, "file"))
		return has_text(step);
	if (is(step, "remove"))
		return !step_file_is_ours(tree_get(step, "path"));
	if (is(step, "value"))
		return has_value(step);
	return is(step, "limit") && has_limit(step);
}

/*
 * Unbound at the start of the system because our own rule kept the kernel's driver away: that is not how it was before us, so
 * it goes to that driver.
 */
static json_t *former_driver(const json_t *step)
{
	const char *bdf = tree_get(step, "bdf");
	char driver[64], override[64];

	driver_now(step, driver);
	override_now(step, override);
	if (!driver[0] && !strcmp(override, "vfio-pci"))
		strcpy(driver, "nvme");
	return step_driver(bdf, driver);
}

static json_t *former_owner(const json_t *step)
{
	const char *path = tree_get(step, "path");
	char full[PATH_MAX];
	json_t *inverse;
	struct stat st;

	if (lstat(tree_path(full, "%s", path), &st) || S_ISLNK(st.st_mode))
		return NULL;
	inverse = step_new("own", "path", path);
	cli_json_set(inverse, "uid", json_integer(st.st_uid));
	cli_json_set(inverse, "gid", json_integer(st.st_gid));
	cli_json_set(inverse, "mode", json_integer(st.st_mode & 07777));
	return inverse;
}

static json_t *former_file(const json_t *step)
{
	const char *path = tree_get(step, "path");
	int ours = step_file_is_ours(path);
	json_t *inverse = NULL;
	char *text;

	if (!ours)
		return is(step, "file") ? step_remove(path) : NULL;
	text = ours > 0 ? tree_text("%s", path) : NULL;
	if (text)
		inverse = step_file(path, text);
	free(text);
	return inverse;
}

static json_t *former_limit(const json_t *step)
{
	pid_t pid = (pid_t)number(step, "pid");
	struct rlimit now;

	if (prlimit(pid, RLIMIT_MEMLOCK, NULL, &now))
		return NULL;
	return step_limit(pid, bytes_of(now.rlim_cur), bytes_of(now.rlim_max));
}

json_t *step_inverse(const json_t *step)
{
	char now[64];

	if (step_is_done(step))
		return NULL;
	if (is(step, "module"))
		return step_new("unmodule", "name", tree_get(step, "name"));
	if (is(step, "driver"))
		return former_driver(step);
	if (is(step, "own"))
		return former_owner(step);
	if (is(step, "file") || is(step, "remove"))
		return former_file(step);
	if (is(step, "limit"))
		return former_limit(step);
	if (is(step, "value") && !tree_line(now, sizeof(now), "%s", tree_get(step, "path")))
		return step_value(tree_get(step, "path"), strtoull(now, NULL, 10));
	return NULL;
}

/* What a step is about: "driver 0000:01:00.0". Writing and removing are about the same file. */
static void subject(const json_t *step, char *text, size_t size)
{
	static const char *const keys[] = { "name", "bdf", "path" };
	const char *kind = tree_get(step, "do");

	if (is(step, "remove"))
		kind = "file";
	if (is(step, "unmodule"))
		kind = "module";
	snprintf(text, size, "%s %" JSON_INTEGER_FORMAT, kind, number(step, "pid"));
	for (size_t i = 0; i < CLI_COUNT(keys); i++) {
		if (json_object_get(step, keys[i]))
			snprintf(text, size, "%s %s", kind, tree_get(step, keys[i]));
	}
}

bool step_same(const json_t *a, const json_t *b)
{
	char left[PATH_MAX], right[PATH_MAX];

	subject(a, left, sizeof(left));
	subject(b, right, sizeof(right));
	return !strcmp(left, right);
}
