/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernel's tree, file by file; see sysfs.h. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pci/sysfs.h"

int sysfs_path(struct sysfs_path *path, const char *root, const char *fmt, ...)
{
	size_t len = root ? strlen(root) : 0;
	va_list ap;
	int n;

	path->text[0] = '\0';
	while (len > 0 && root[len - 1] == '/')
		len--;
	if (len >= sizeof(path->text) - 1)
		return -ENAMETOOLONG;
	memcpy(path->text, root ? root : "", len);
	path->text[len++] = '/';
	va_start(ap, fmt);
	n = vsnprintf(path->text + len, sizeof(path->text) - len, fmt, ap);
	va_end(ap);
	return n < 0 || (size_t)n >= sizeof(path->text) - len ? -ENAMETOOLONG : 0;
}

int sysfs_of(struct sysfs_path *path, const char *root, const char *bdf, const char *name)
{
	return sysfs_path(path, root, "sys/bus/pci/devices/%s/%s", bdf, name);
}

int sysfs_read(const struct sysfs_path *path, char *text, size_t size)
{
	int rc = 0, fd = open(path->text, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, text, size);
	if (n < 0)
		rc = -errno;
	else if ((size_t)n == size && !memchr(text, '\n', size))
		rc = -EMSGSIZE;
	close(fd);
	if (rc)
		return rc;
	text[MIN((size_t)n, size - 1)] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return 0;
}

int sysfs_write(const struct sysfs_path *path, const char *text)
{
	int rc = 0, fd = open(path->text, O_WRONLY | O_TRUNC | O_CLOEXEC);
	char line[64];
	ssize_t n;
	int len;

	if (fd < 0)
		return -errno;
	len = snprintf(line, sizeof(line), "%s\n", text);
	if ((size_t)len >= sizeof(line)) {
		close(fd);
		return -EMSGSIZE;
	}
	n = write(fd, line, (size_t)len);
	if (n != len)
		rc = n < 0 ? -errno : -EIO;
	close(fd);
	return rc;
}

int sysfs_number(const struct sysfs_path *path, uint64_t max, uint64_t *value)
{
	unsigned long long number;
	char text[32], *end;
	int rc = sysfs_read(path, text, sizeof(text));

	if (rc)
		return rc == -EMSGSIZE ? -EIO : rc;
	errno = 0;
	number = strtoull(text, &end, 0);
	/* strtoull() also takes blanks and signs. */
	if (!isdigit((unsigned char)text[0]) || *end || errno || number > max)
		return -EIO;
	*value = number;
	return 0;
}

int sysfs_link(const struct sysfs_path *path, char *name, size_t size)
{
	char target[PATH_MAX], *last;
	ssize_t n = readlink(path->text, target, sizeof(target) - 1);

	if (n < 0)
		return -errno;
	target[n] = '\0';
	last = strrchr(target, '/');
	last = last ? last + 1 : target;
	if (!*last || strlen(last) >= size)
		return -EIO;
	memcpy(name, last, strlen(last) + 1);
	return 0;
}

int sysfs_child(const struct sysfs_path *path, const char *prefix, char *name, size_t size)
{
	DIR *dir = opendir(path->text);
	size_t len = strlen(prefix);
	int rc = -ENOENT;

	if (!dir)
		return -errno;
	for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
		if (strncmp(e->d_name, prefix, len) != 0 || !isdigit((unsigned char)e->d_name[len]))
			continue;
		if (strlen(e->d_name) >= size || (!rc && strcmp(e->d_name, name) >= 0))
			continue;
		memcpy(name, e->d_name, strlen(e->d_name) + 1);
		rc = 0;
	}
	closedir(dir);
	return rc;
}

int sysfs_count(const struct sysfs_path *path)
{
	DIR *dir = opendir(path->text);
	int count = 0;

	if (!dir)
		return -errno;
	for (struct dirent *e = readdir(dir); e; e = readdir(dir))
		count += e->d_name[0] != '.';
	closedir(dir);
	return count;
}
