/* SPDX-License-Identifier: BSD-3-Clause */
/* Running one step. What it leads to is looked at afterwards: a write to sysfs that is taken may still not have helped. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <nvio/error.h>

#include "cli.h"
#include "out.h"
#include "setup.h"

/* How long the nodes that a driver makes may take to appear. */
#define NODE_WAIT_MS 5000

extern char **environ;

static json_int_t number(const json_t *step, const char *key)
{
	return json_integer_value(json_object_get(step, key));
}

static int failed(int rc, const char *what, const char *path)
{
	cli_fail("%s %s: %s%s", what, path, strerror(-rc), rc == -EACCES || rc == -EPERM ? "; this needs root" : "");
	return rc;
}

/* The first that is there of /sbin and /usr/sbin: the PATH of whoever called us is not to be trusted with root's work. */
static bool find_modprobe(char path[PATH_MAX])
{
	tree_path(path, "/sbin/modprobe");
	if (access(path, X_OK))
		tree_path(path, "/usr/sbin/modprobe");
	return !access(path, X_OK);
}

static int modprobe(const char *verb, const char *name)
{
	char path[PATH_MAX], root[PATH_MAX], program[] = "modprobe", d[] = "-d", module[64], option[8];
	char *argv[6] = { program };
	int n = 1, status, rc;
	pid_t pid;

	if (!find_modprobe(path)) {
		cli_fail("module %s is not loaded, and there is no %s to load it with (package kmod)", name, path);
		return -ENOENT;
	}
	snprintf(module, sizeof(module), "%s", name);
	snprintf(option, sizeof(option), "%s", verb);
	if (!tree_is_system()) {
		argv[n++] = d;
		argv[n++] = (char *)(uintptr_t)tree_path(root, "/");
	}
	if (option[0])
		argv[n++] = option;
	argv[n++] = module;
	rc = posix_spawn(&pid, path, NULL, NULL, argv, environ);
	if (rc)
		return failed(-rc, "cannot run", path);
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return failed(-errno, "cannot wait for", path);
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status)) {
		cli_fail("modprobe %s%s%s failed: is the module built for this kernel? (modinfo %s)", verb, verb[0] ? " " : "",
			name, name);
		return -EIO;
	}
	return 0;
}

static int own(const json_t *step, const char *path)
{
	char full[PATH_MAX], by_fd[32];
	uid_t uid = (uid_t)number(step, "uid");
	gid_t gid = (gid_t)number(step, "gid");
	struct stat st;
	int fd, rc = 0;

	/* By descriptor, and not through a link: whoever may write to the folder could put one there. */
	fd = open(tree_path(full, "%s", path), O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return failed(-errno, "cannot give away", full);
	snprintf(by_fd, sizeof(by_fd), "/proc/self/fd/%d", fd);
	if (fstat(fd, &st))
		rc = -errno;
	else if (S_ISLNK(st.st_mode))
		rc = -ELOOP;
	else if (fchownat(fd, "", uid, gid, AT_EMPTY_PATH) || chmod(by_fd, (mode_t)number(step, "mode")))
		rc = -errno;
	close(fd);
	return rc ? failed(rc, "cannot give away", full) : 0;
}

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 10 * 1000 * 1000 }, NULL);
}

static int give(const json_t *step)
{
	const char *bdf = tree_get(step, "bdf");
	json_int_t group = number(step, "group");
	char path[128] = "", cdev[160] = "", name[64];
	int rc = 0;

	if (group >= 0)
		snprintf(path, sizeof(path), "/dev/vfio/%" JSON_INTEGER_FORMAT, group);
	for (int ms = 0; ms < NODE_WAIT_MS; ms += 10) {
		json_t *names = tree_names("/sys/bus/pci/devices/%s/vfio-dev", bdf);

		snprintf(name, sizeof(name), "%s", json_array_size(names) ? json_string_value(json_array_get(names, 0)) : "");
		snprintf(cdev, sizeof(cdev), "/dev/vfio/devices/%s", name);
		json_decref(names);
		if ((path[0] && tree_exists("%s", path)) || (name[0] && tree_exists("%s", cdev)))
			break;
		nap();
	}
	if (path[0] && tree_exists("%s", path))
		rc = own(step, path);
	else if (!name[0] || !tree_exists("%s", cdev))
		rc = failed(-ENOENT, "vfio-pci has the drive, but made no node:", path[0] ? path : "/dev/vfio/devices");
	if (!rc && name[0] && tree_exists("%s", cdev))
		rc = own(step, cdev);
	return rc;
}

static int make_folders(const char *path)
{
	char part[PATH_MAX], full[PATH_MAX];

	for (const char *p = path + 1; (p = strchr(p, '/')); p++) {
		snprintf(part, sizeof(part), "%.*s", (int)(p - path), path);
		if (mkdir(tree_path(full, "%s", part), 0755) && errno != EEXIST)
			return failed(-errno, "cannot make the folder", full);
	}
	return 0;
}

/* Beside it first, then in its place: a reader, or a machine that stops, finds all of it or the former one. */
int step_write_file(const char *path, const char *text)
{
	char full[PATH_MAX], beside[PATH_MAX];
	size_t len = strlen(text);
	int rc = make_folders(path), fd;

	if (rc)
		return rc;
	tree_path(full, "%s", path);
	tree_path(beside, "%s.nvio-new", path);
	unlink(beside);
	fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return failed(-errno, "cannot write", full);
	for (size_t done = 0; done < len && !rc;) {
		ssize_t n = write(fd, text + done, len - done);

		if (n < 0)
			rc = -errno;
		else
			done += (size_t)n;
	}
	/* Whatever the umask of the caller is: udev and PAM read it. */
	if (!rc && (fchmod(fd, 0644) || fsync(fd)))
		rc = -errno;
	if (close(fd) && !rc)
		rc = -errno;
	if (!rc && rename(beside, full))
		rc = -errno;
	if (!rc)
		return 0;
	unlink(beside);
	return failed(rc, "cannot write", full);
}

static int run_file(const json_t *step)
{
	const char *path = tree_get(step, "path");
	int rc = step_file_is_ours(path);
	char full[PATH_MAX];

	if (rc < 0)
		return failed(rc, "not written by setup, so it is left alone:", tree_path(full, "%s", path));
	return step_write_file(path, tree_get(step, "text"));
}

static int run_remove(const json_t *step)
{
	const char *path = tree_get(step, "path");
	int rc = step_file_is_ours(path);
	char full[PATH_MAX];

	if (rc < 0)
		return failed(rc, "not written by setup, so it is left alone:", tree_path(full, "%s", path));
	if (rc && unlink(tree_path(full, "%s", path)))
		return failed(-errno, "cannot remove", full);
	return 0;
}

/* The kernel takes any number of hugepages and makes as many as it has memory for. */
static int run_value(const json_t *step)
{
	const char *path = tree_get(step, "path"), *value = tree_get(step, "value");
	char full[PATH_MAX], now[64];
	int fd = open(tree_path(full, "%s", path), O_WRONLY | O_TRUNC | O_CLOEXEC), rc = 0;

	if (fd < 0)
		return failed(-errno, "cannot write", full);
	if (write(fd, value, strlen(value)) < 0)
		rc = -errno;
	close(fd);
	if (rc)
		return failed(rc, "cannot write", full);
	tree_line(now, sizeof(now), "%s", path);
	if (strtoull(now, NULL, 10) == strtoull(value, NULL, 10))
		return 0;
	cli_fail("%s: %s were asked for, and the kernel has made %s: memory is short or in pieces; right after a start there is most",
		full, value, now[0] ? now : "none");
	return -ENOMEM;
}

static int run_limit(const json_t *step)
{
	json_int_t soft = number(step, "soft"), hard = number(step, "hard");
	struct rlimit limit = { .rlim_cur = soft < 0 ? RLIM_INFINITY : (rlim_t)soft,
		.rlim_max = hard < 0 ? RLIM_INFINITY : (rlim_t)hard };
	char pid[32];

	/* The number of a process that has ended may be another's by now; when it began tells them apart. */
	if (step_process_start((pid_t)number(step, "pid")) != (unsigned long long)number(step, "start"))
		return 0;
	if (!prlimit((pid_t)number(step, "pid"), RLIMIT_MEMLOCK, &limit, NULL) || errno == ESRCH)
		return 0;
	snprintf(pid, sizeof(pid), "%" JSON_INTEGER_FORMAT, number(step, "pid"));
	return failed(-errno, "cannot change the limit of process", pid);
}

/* With a driver of the kernel the override has done its work; left behind, it would keep every other one away. */
static int run_driver(const json_t *step)
{
	const char *driver = tree_get(step, "driver"), *bdf = tree_get(step, "bdf");
	int rc = nvio_pci_bind(tree_root, bdf, driver[0] ? driver : NULL), fd;
	char path[PATH_MAX];

	if (rc) {
		cli_fail("%s", nvio_errmsg());
		return rc;
	}
	if (!driver[0] || step_is_for_user_space(driver))
		return 0;
	fd = open(tree_path(path, "/sys/bus/pci/devices/%s/driver_override", bdf), O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd < 0 || write(fd, "\n", 1) < 0)
		rc = failed(-errno, "cannot write", path);
	if (fd >= 0)
		close(fd);
	return rc;
}

int step_run(const json_t *step)
{
	const char *what = tree_get(step, "do");

	if (!strcmp(what, "module"))
		return modprobe("", tree_get(step, "name"));
	if (!strcmp(what, "unmodule"))
		return modprobe("-r", tree_get(step, "name"));
	if (!strcmp(what, "driver"))
		return run_driver(step);
	if (!strcmp(what, "give"))
		return give(step);
	if (!strcmp(what, "own"))
		return tree_exists("%s", tree_get(step, "path")) ? own(step, tree_get(step, "path")) : 0;
	if (!strcmp(what, "file"))
		return run_file(step);
	if (!strcmp(what, "remove"))
		return run_remove(step);
	if (!strcmp(what, "value"))
		return run_value(step);
	if (!strcmp(what, "limit"))
		return run_limit(step);
	cli_fail("the record has a step '%s' that this release does not know", what);
	return -EINVAL;
}
