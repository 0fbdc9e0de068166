/* SPDX-License-Identifier: BSD-3-Clause */
/* A file in a directory is a drive: what a program in the style of 2018 flushed is there after it was killed. V1, V10. */
#include "fixture.h"

#include <signal.h>

static char image[256];

static int setup(void **state)
{
	image_make(image, sizeof(image), 8 * MIB);
	return 0;
}

static int teardown(void **state)
{
	image_remove(image);
	return 0;
}

/* Runs the program on the image and kills it when it says that it has flushed. */
static void killed_after_flush(const char *mode)
{
	char line[64] = "";
	int out[2], status;
	FILE *from;
	pid_t pid;

	assert_int_equal(pipe(out), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		dup2(out[1], 1);
		execl(YEAR2018, "year2018", image, mode, (char *)NULL);
		_exit(127);
	}
	close(out[1]);
	from = fdopen(out[0], "r");
	while (fgets(line, sizeof(line), from) && strcmp(line, "flushed\n"))
		;
	assert_string_equal(line, "flushed\n");
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	fclose(from);
}

static void expect_byte(off_t at, off_t end, unsigned char value)
{
	unsigned char buf[4096];
	int fd = open(image, O_RDONLY);

	for (; at < end; at += (off_t)sizeof(buf)) {
		assert_int_equal(pread(fd, buf, sizeof(buf), at), sizeof(buf));
		for (size_t i = 0; i < sizeof(buf); i++)
			if (buf[i] != value)
				fail_msg("byte %lld is %u, not %u", (long long)at + (long long)i, buf[i], value);
	}
	close(fd);
}

static void direct_writes_are_there(void **state)
{
	killed_after_flush("direct");
	expect_byte(0, 65536, 'D');
}

static void asynchronous_writes_are_there(void **state)
{
	killed_after_flush("aio");
	expect_byte(0, 65536, 'A');
}

static void buffered_writes_are_there(void **state)
{
	static const char line[] = "a line of a log, of no particular length\n";
	size_t len = strlen(line);
	char got[sizeof(line)] = "";
	int fd;

	killed_after_flush("buffered");
	fd = open(image, O_RDONLY);
	for (int i = 0; i < 3000; i++) {
		assert_int_equal(pread(fd, got, len, (off_t)(i * (int)len)), len);
		assert_string_equal(got, line);
	}
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(direct_writes_are_there, setup, teardown),
		cmocka_unit_test_setup_teardown(asynchronous_writes_are_there, setup, teardown),
		cmocka_unit_test_setup_teardown(buffered_writes_are_there, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
