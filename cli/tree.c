/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading the tree that has sys/, dev/, proc/ and etc/; see tree.h. */
#include "tree.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "out.h"

#define TEXT_MAX ((size_t)4 << 20)

const char *tree_root;

int tree_check(void)
{
	struct stat st;

	if (!tree_root)
		return CLI_OK;
	/* The longest path below it is far shorter than that. */
	if (strlen(tree_root) > PATH_MAX / 2)
		return cli_usage("--root: the name is too long");
	if (stat(tree_root, &st))
		return cli_usage("--root: %s: %s", tree_root, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return cli_usage("--root: %s is no folder", tree_root);
	return CLI_OK;
}

bool tree_is_system(void)
{
	struct stat a, b;

	return !tree_root || (!stat(tree_root, &a) && !stat("/", &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino);
}

static void vpath(char path[PATH_MAX], const char *fmt, va_list ap)
{
	size_t len = tree_root ? strlen(tree_root) : 0;

	while (len && tree_root[len - 1] == '/')
		len--;
	if (len)
		memcpy(path, tree_root, len);
	vsnprintf(path + len, PATH_MAX - len, fmt, ap);
}

#define PATH_OF(path, fmt)                                                                                   \
	do {                                                                                                 \
		va_list ap;                                                                                  \
		va_start(ap, fmt);                                                                           \
		vpath(path, fmt, ap);                                                                        \
		va_end(ap);                                                                                  \
	} while (0)

const char *tree_path(char path[PATH_MAX], const char *fmt, ...)
{
	PATH_OF(path, fmt);
	return path;
}

bool tree_exists(const char *fmt, ...)
{
	char path[PATH_MAX];
	struct stat st;

	PATH_OF(path, fmt);
	return !lstat(path, &st);
}

/* Files of sysfs are small; pipes and devices in their place are not waited for. */
static int read_start(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	ssize_t n;
	int rc;

	buf[0] = 0;
	if (fd < 0)
		return -errno;
	n = read(fd, buf, size - 1);
	rc = n < 0 ? -errno : 0;
	close(fd);
	buf[n < 0 ? 0 : n] = 0;
	return rc;
}

int tree_line(char *buf, size_t size, const char *fmt, ...)
{
	char path[PATH_MAX];
	char *start = buf, *end;
	int rc;

	PATH_OF(path, fmt);
	rc = read_start(path, buf, size);
	while (*start == ' ' || *start == '\t')
		start++;
	end = start + strcspn(start, "\n");
	while (end > start && isspace((unsigned char)end[-1]))
		end--;
	memmove(buf, start, (size_t)(end - start));
	buf[end - start] = 0;
	return rc;
}

int tree_link(char *buf, size_t size, const char *fmt, ...)
{
	char path[PATH_MAX], target[PATH_MAX];
	const char *name;
	ssize_t n;

	PATH_OF(path, fmt);
	buf[0] = 0;
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return -errno;
	target[n] = 0;
	name = strrchr(target, '/');
	name = name ? name + 1 : target;
	if (strlen(name) >= size)
		return -ENAMETOOLONG;
	strcpy(buf, name);
	return 0;
}

char *tree_text(const char *fmt, ...)
{
	char path[PATH_MAX];
	size_t len = 0, size = 8192;
	char *text = NULL;
	ssize_t n = 1;
	int fd;

	PATH_OF(path, fmt);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return NULL;
	while (n > 0 && len < TEXT_MAX) {
		char *more = realloc(text, size + 1);

		if (!more) {
			n = -1;
			break;
		}
		text = more;
		n = read(fd, text + len, size - len);
		if (n > 0)
			len += (size_t)n;
		if (len == size)
			size *= 2;
	}
	if (n < 0) {
		int err = errno;

		free(text);
		close(fd);
		errno = err;
		return NULL;
	}
	text[len] = 0;
	close(fd);
	return text;
}

static int is_shown(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

json_t *tree_names(const char *fmt, ...)
{
	char path[PATH_MAX];
	json_t *array = cli_json_array();
	struct dirent **names;
	int count;

	PATH_OF(path, fmt);
	count = scandir(path, &names, is_shown, versionsort);
	for (int i = 0; i < count; i++) {
		json_t *name = json_string(names[i]->d_name);

		/* A name that is no UTF-8 is none that the kernel gives. */
		if (name)
			cli_json_add(array, name);
		free(names[i]);
	}
	if (count >= 0)
		free(names);
	return array;
}

int tree_may_use(const char *fmt, ...)
{
	char path[PATH_MAX];

	PATH_OF(path, fmt);
	return faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS) ? -errno : 0;
}

void tree_print(const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p; p++)
		putchar(*p < ' ' || *p == 0x7f ? '?' : *p);
}

/* Names go into files of udev, PAM and the shell, each with its own quoting: none that needs any. */
static bool is_plain_name(const char *name)
{
	size_t len = strlen(name);

	return len && len <= 64 && !isdigit((unsigned char)name[0]) && name[0] != '-' && name[0] != '.' && name[0] != '@' &&
	       strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.@-") == len;
}

int tree_user(const char *name, uid_t *uid, gid_t *gid)
{
	char path[PATH_MAX];
	struct passwd *pw = NULL;
	FILE *f;

	if (!is_plain_name(name))
		return -EINVAL;
	if (tree_is_system()) {
		pw = getpwnam(name);
	} else if ((f = fopen(tree_path(path, "/etc/passwd"), "re"))) {
		while ((pw = fgetpwent(f)) && strcmp(pw->pw_name, name) != 0)
			;
		fclose(f);
	}
	if (!pw)
		return -ENOENT;
	*uid = pw->pw_uid;
	*gid = pw->pw_gid;
	return 0;
}

int tree_group(const char *name, gid_t *gid)
{
	char path[PATH_MAX];
	struct group *gr = NULL;
	FILE *f;

	if (!is_plain_name(name))
		return -EINVAL;
	if (tree_is_system()) {
		gr = getgrnam(name);
	} else if ((f = fopen(tree_path(path, "/etc/group"), "re"))) {
		while ((gr = fgetgrent(f)) && strcmp(gr->gr_name, name) != 0)
			;
		fclose(f);
	}
	if (!gr)
		return -ENOENT;
	*gid = gr->gr_gid;
	return 0;
}

const char *tree_get(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}
