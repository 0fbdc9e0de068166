/* SPDX-License-Identifier: BSD-3-Clause */
/* Who has a device file open: so that "busy" can be said with a name. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pci/sysfs.h"

static bool same_file(const struct stat *a, const struct stat *b)
{
	if (S_ISCHR(a->st_mode) && S_ISCHR(b->st_mode))
		return a->st_rdev == b->st_rdev;
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static bool has_open(const char *pid, const char *base, const struct stat *want)
{
	char path[64], target[PATH_MAX];
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%.16s/fd", pid);
	dir = opendir(path);
	if (!dir)
		return false;
	for (struct dirent *e = readdir(dir); e && !found; e = readdir(dir)) {
		const char *last;
		struct stat st;
		ssize_t n;

		/* By name first: a stat of any file, on a network perhaps, could take for ever. */
		n = readlinkat(dirfd(dir), e->d_name, target, sizeof(target) - 1);
		if (n <= 0)
			continue;
		target[n] = '\0';
		last = strrchr(target, '/');
		if (last && strcmp(last + 1, base) == 0 && !fstatat(dirfd(dir), e->d_name, &st, 0))
			found = same_file(&st, want);
	}
	closedir(dir);
	return found;
}

bool pci_find_holder(const char *path, struct pci_holder *holder)
{
	const char *base = strrchr(path, '/');
	bool found = false;
	struct stat want;
	DIR *dir;

	if (!base || stat(path, &want))
		return false;
	dir = opendir("/proc");
	if (!dir)
		return false;
	for (struct dirent *e = readdir(dir); e && !found; e = readdir(dir)) {
		struct sysfs_path comm;

		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		found = has_open(e->d_name, base + 1, &want);
		if (!found)
			continue;
		holder->pid = atoi(e->d_name);
		if (sysfs_path(&comm, "/proc", "%d/comm", holder->pid) ||
			sysfs_read(&comm, holder->name, sizeof(holder->name)))
			snprintf(holder->name, sizeof(holder->name), "?");
	}
	closedir(dir);
	return found;
}
