/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading the tree that has sys/, dev/, proc/ and etc/: "/" as a rule, another folder in tests and for containers. Paths begin with a
 * slash and are those of the tree. What is read there is not believed: it may be anything, or missing.
 */
#ifndef CLI_TREE_H
#define CLI_TREE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <jansson.h>

#include <nvio/compiler.h>

/* What --root says; NULL: "/". */
extern const char *tree_root;

/* CLI_OK; CLI_USAGE when --root is no folder, or its name is too long. */
int tree_check(void);
bool tree_is_system(void); /* it is "/" itself */

/* The path within the tree, as the system knows it. Returns `path`, cut where it is too long, so that opening it fails. */
const char *tree_path(char path[PATH_MAX], const char *fmt, ...) NVIO_PRINTF(2, 3);

bool tree_exists(const char *fmt, ...) NVIO_PRINTF(1, 2);
/* The first line, without white space around it; "" when there is none. 0 or -errno. */
int tree_line(char *buf, size_t size, const char *fmt, ...) NVIO_PRINTF(3, 4);
/* The last part of what a link leads to; "" when there is none. 0 or -errno. */
int tree_link(char *buf, size_t size, const char *fmt, ...) NVIO_PRINTF(3, 4);
/* All of a text file, up to 4 MiB; NULL with errno. To be freed. */
char *tree_text(const char *fmt, ...) NVIO_PRINTF(1, 2);
/* The names in a folder, sorted, without those that begin with a dot, as a JSON array; empty when there is no such folder. */
json_t *tree_names(const char *fmt, ...) NVIO_PRINTF(1, 2);
/* Whether the calling process may read and write it, as it stands. 0 or -errno. */
int tree_may_use(const char *fmt, ...) NVIO_PRINTF(1, 2);

/* Prints text of unknown origin: what could move the cursor becomes a question mark. */
void tree_print(const char *text);

/* The user or the group of that name, of the tree's /etc. 0; -ENOENT; -EINVAL a name that no user can have. */
int tree_user(const char *name, uid_t *uid, gid_t *gid);
int tree_group(const char *name, gid_t *gid);

/* The text at `key` of a JSON object, "" when there is none. */
const char *tree_get(const json_t *object, const char *key);

#endif
