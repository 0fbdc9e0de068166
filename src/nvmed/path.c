/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where a path leads. Names under /dev are looked up in the environment variable NVMED_MAP, then in /etc/nvmed.conf (when the variable's
 * value is itself a path, in that file instead); PCI addresses and
 * transport ids are taken as they are; anything else is a file, which becomes a software drive. Only one step: what a name leads to is
 * never a name again.
 */
#include "priv.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>

#define TABLE_FILE "/etc/nvmed.conf"
#define TABLE_VARIABLE "NVMED_MAP"
#define LINE_BYTES 2048

/* The parts of /dev/nvme0n1p2. */
struct name {
	int instance;
	unsigned int nsid; /* 0: none given */
	int part;
};

static bool number(const char **s, unsigned long *value)
{
	char *end;

	if (!isdigit((unsigned char)**s))
		return false;
	errno = 0;
	*value = strtoul(*s, &end, 10);
	*s = end;
	return !errno && *value <= INT_MAX;
}

/* nvme0, nvme0n1, nvme0n1p2, and the same with nvmed. */
static bool name_parse(const char *s, struct name *n)
{
	unsigned long value;

	*n = (struct name){ 0 };
	if (strncmp(s, "nvme", 4))
		return false;
	s += s[4] == 'd' ? 5 : 4;
	if (!number(&s, &value))
		return false;
	n->instance = (int)value;
	if (*s == 'n') {
		s++;
		if (!number(&s, &value) || !value)
			return false;
		n->nsid = (unsigned int)value;
		if (*s == 'p') {
			s++;
			if (!number(&s, &value) || !value)
				return false;
			n->part = (int)value;
		}
	}
	return !*s;
}

static char *trim(char *s)
{
	size_t len;

	s += strspn(s, " \t\r");
	len = strlen(s);
	while (len && strchr(" \t\r", s[len - 1]))
		s[--len] = '\0';
	return s;
}

/*
 * One entry, "NAME TARGET", against the name that is looked for. 1: this is it, `out` has its target, and *whole says that the entry is a
 * whole controller's, so that the name says which namespace; 0: another one; -1: no entry at all.
 */
static int entry_match(char *entry, const struct name *want, char *out, size_t size, bool *whole)
{
	char *text = trim(entry), *target;
	struct name n;

	if (!*text || *text == '#')
		return 0;
	target = text + strcspn(text, " \t");
	if (*target)
		*target++ = '\0';
	target = trim(target);
	if (!strncmp(text, "/dev/", 5))
		text += 5;
	if (!*target || !name_parse(text, &n) || n.part || strlen(target) >= size)
		return failed(EINVAL, "nvmed: open: table entry \"%s %s\": not of the form \"nvme0n1 TARGET\" (" TABLE_VARIABLE
			", " TABLE_FILE ")", text, target);
	if (n.instance != want->instance || (n.nsid && n.nsid != want->nsid))
		return 0;
	*whole = !n.nsid;
	strcpy(out, target);
	return 1;
}

static int table_search_text(const char *text, const struct name *want, char *out, size_t size, bool *whole)
{
	char line[LINE_BYTES];
	int rc = 0;

	while (!rc && *text) {
		size_t len = strcspn(text, ";\n");

		if (len >= sizeof(line))
			return failed(EINVAL, "nvmed: open: " TABLE_VARIABLE ": an entry is longer than %d bytes", LINE_BYTES - 1);
		memcpy(line, text, len);
		line[len] = '\0';
		rc = entry_match(line, want, out, size, whole);
		text += len + (text[len] != '\0');
	}
	return rc;
}

static int table_search_file(const char *path, bool needed, const struct name *want, char *out, size_t size, bool *whole)
{
	char line[LINE_BYTES];
	FILE *file = fopen(path, "re");
	int rc = 0;

	if (!file && (errno != ENOENT || needed))
		return failed(errno, "nvmed: open: table %s: %s; " TABLE_VARIABLE " may name another file", path, strerror(errno));
	if (!file)
		return 0;
	while (!rc && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		rc = entry_match(line, want, out, size, whole);
	}
	fclose(file);
	return rc;
}

/* 1 found, 0 not, -1 an error. */
static int table_search(const struct name *want, char *out, size_t size, bool *whole)
{
	const char *map = getenv(TABLE_VARIABLE);
	int rc = 0;

	if (map && (*map == '/' || *map == '.') && strncmp(map, "/dev/", 5))
		return table_search_file(map, true, want, out, size, whole);
	if (map)
		rc = table_search_text(map, want, out, size, whole);
	return rc ? rc : table_search_file(TABLE_FILE, false, want, out, size, whole);
}

static bool is_bdf(const char *s)
{
	struct nvio_trid trid;

	return strspn(s, "0123456789abcdefABCDEF:.") == strlen(s) && strchr(s, ':') && strchr(s, '.') && !nvio_trid_parse(s, &trid);
}

/* Takes a " nsid:N" off the end. */
static int take_nsid(char *text, struct target *t)
{
	char *at = strstr(text, " nsid:");
	const char *digits;
	unsigned long value;

	if (!at)
		return 0;
	digits = at + strlen(" nsid:");
	if (!number(&digits, &value) || *digits || !value)
		return failed(EINVAL, "nvmed: open: \"%s\": a namespace is a number from 1 on, at the very end", at + 1);
	t->nsid = (unsigned int)value;
	*trim(at) = '\0';
	*at = '\0';
	return 0;
}

/* A file's path as the address of a software drive: what would be options of one stands for itself. */
static int file_target(const char *path, struct target *t)
{
	struct stat st;
	size_t at;

	if (stat(path, &st))
		return failed(errno, "nvmed: open: %s: %s; a software drive wants a file (truncate -s 1G %s); names of drives are in "
			TABLE_FILE " or " TABLE_VARIABLE, path, strerror(errno), path);
	at = (size_t)sprintf(t->trid, "loop:%s", *path == '/' ? "" : "./");
	for (; *path; path++) {
		if (at + 4 >= sizeof(t->trid))
			return failed(ENAMETOOLONG, "nvmed: open: the path is too long");
		if (strchr("%?&", *path))
			at += (size_t)sprintf(t->trid + at, "%%%02x", (unsigned char)*path);
		else
			t->trid[at++] = *path;
	}
	t->trid[at] = '\0';
	return 0;
}

static int target_of(const char *text, struct target *t)
{
	if (!strncasecmp(text, "trtype", 6) || !strncasecmp(text, "loop:", 5) || strstr(text, " nsid:") || is_bdf(text)) {
		if (strlen(text) >= sizeof(t->trid))
			return failed(ENAMETOOLONG, "nvmed: open: the transport id is too long");
		strcpy(t->trid, text);
		if (take_nsid(t->trid, t))
			return -1;
		if (!strncasecmp(t->trid, "trtype", 6) || !strncasecmp(t->trid, "loop:", 5) || is_bdf(t->trid))
			return 0;
		text = strdupa(t->trid);
	}
	return file_target(text, t);
}

int path_resolve(const char *path, struct target *t)
{
	char text[sizeof(t->trid)];
	bool whole = false;
	struct name n;
	int rc;

	*t = (struct target){ .nsid = 1 };
	if (!*path)
		return failed(EINVAL, "nvmed: open: the path is empty");
	if (strncmp(path, "/dev/nvme", 9))
		return target_of(path, t);
	if (!name_parse(path + 5, &n))
		return failed(EINVAL, "nvmed: open: %s: not of the form /dev/nvme0n1 or /dev/nvme0n1p1", path);
	if (!n.nsid)
		n.nsid = 1;
	rc = table_search(&n, text, sizeof(text), &whole);
	if (rc < 0)
		return -1;
	if (!rc)
		return failed(ENODEV, "nvmed: open: %s: no entry for nvme%dn%u; add one to " TABLE_FILE " or set " TABLE_VARIABLE
			"=\"nvme%dn%u 0000:01:00.0\"", path, n.instance, n.nsid, n.instance, n.nsid);
	if (whole)
		t->nsid = n.nsid;
	t->instance = n.instance;
	t->part = n.part;
	return target_of(text, t);
}
