/* SPDX-License-Identifier: BSD-3-Clause */
/* What unit tests of several rooms share: cmocka with its includes in order, open files counted, a child
 * process for what spoils one. */
#ifndef SUPPORT_UNIT_H
#define SUPPORT_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <nvio/error.h>

#define CHILD_SKIPS 77

/* How many files this process has open. */
static inline int unit_open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = -1; /* the directory's own */

	assert_non_null(dir);
	for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir))
		count += entry->d_name[0] != '.';
	closedir(dir);
	return count;
}

/*
 * Runs `body` in a child process, whose limits and user it may change. Its result, 0 to 255: 0 good,
 * CHILD_SKIPS cannot be tested here, anything else is for the test to name (assertions do not work there).
 * -1: it died of a signal.
 */
static inline int unit_in_child(int (*body)(void *arg), void *arg)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(body(arg));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The last failure's words contain `words`. */
#define assert_errmsg(words)                                                                                 \
	do {                                                                                                 \
		if (!strstr(nvio_errmsg(), (words)))                                                         \
			fail_msg("\"%s\" expected in the message \"%s\"", (words), nvio_errmsg());           \
	} while (0)

#endif
