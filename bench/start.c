/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Starts a program and says what that took: nanoseconds from the start to the moment that the program prints
 * (0 when what it prints is no such moment), and its largest resident set in KiB. One line per round. A
 * small program does this, and not the Python around it, since the kernel counts the memory of whoever
 * starts a program into that program's largest resident set.
 *
 *     bench_start ROUNDS PROGRAM [ARGUMENT...]
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static int failed(const char *what, int err)
{
	fprintf(stderr, "start: %s: %s\n", what, strerror(err));
	return 1;
}

static long long now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (long long)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* The first number that the program prints; the rest of its output is read and dropped. */
static long long first_number(int fd)
{
	char text[64], rest[4096];
	size_t len = 0;
	ssize_t n;

	while (len < sizeof(text) - 1 && (n = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = 0;
	while (read(fd, rest, sizeof(rest)) > 0)
		;
	return strtoll(text, NULL, 10);
}

static int one(char **argv)
{
	posix_spawn_file_actions_t actions;
	struct rusage usage;
	long long begin, end;
	int fds[2], status, rc;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return failed("pipe", errno);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
	begin = now_ns();
	rc = posix_spawn(&pid, argv[0], &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(fds[1]);
	if (rc) {
		close(fds[0]);
		return failed(argv[0], rc);
	}
	end = first_number(fds[0]);
	close(fds[0]);
	if (wait4(pid, &status, 0, &usage) != pid)
		return failed("wait4", errno);
	if (!WIFEXITED(status) || WEXITSTATUS(status)) {
		fprintf(stderr, "start: %s: ended with status %#x\n", argv[0], status);
		return 1;
	}
	printf("%lld %ld\n", end > begin ? end - begin : 0, usage.ru_maxrss);
	return 0;
}

int main(int argc, char **argv)
{
	int rounds = argc > 2 ? atoi(argv[1]) : 0;

	if (rounds < 1) {
		fprintf(stderr, "usage: bench_start ROUNDS PROGRAM [ARGUMENT...]\n");
		return 2;
	}
	for (int i = 0; i < rounds; i++)
		if (one(argv + 2))
			return 1;
	return 0;
}
