/* SPDX-License-Identifier: BSD-3-Clause */
/* Failures in words: what is kept, for whom, and what of hostile text comes through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fail.h"
#include <nvio/error.h>

static void a_failure_hands_its_code_through(void **state)
{
	assert_int_equal(fail(-EINVAL, "mem: alloc: size %d; ask for more", 0), -EINVAL);
	assert_string_equal(nvio_errmsg(), "mem: alloc: size 0; ask for more");
	assert_int_equal(fail(-EIO, "later"), -EIO);
	assert_string_equal(nvio_errmsg(), "later");
	fail_clear();
	assert_string_equal(nvio_errmsg(), "");
}

static void a_failure_may_wrap_the_one_before(void **state)
{
	fail(-EIO, "inner cause");
	fail(-EIO, "outer: %s; and again: %s", nvio_errmsg(), nvio_errmsg());
	assert_string_equal(nvio_errmsg(), "outer: inner cause; and again: inner cause");
}

static void long_text_is_cut_with_dots(void **state)
{
	char text[2000];

	for (size_t len = 505; len < 520; len++) {
		memset(text, 'x', len);
		text[len] = '\0';
		fail(-EIO, "%s", text);
		if (len <= 511) {
			assert_string_equal(nvio_errmsg(), text);
		} else {
			assert_int_equal(strlen(nvio_errmsg()), 511);
			assert_memory_equal(nvio_errmsg(), text, 508);
			assert_string_equal(nvio_errmsg() + 508, "...");
		}
	}
}

static void bytes_that_are_not_printable_become_question_marks(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "two\nlines", "two?lines" },
		{ "\x1b[31mred", "?[31mred" },
		{ "tab\there", "tab?here" },
		{ "\xc3\xa9", "??" },
		{ "del\x7f", "del?" },
		{ " ~", " ~" },
		{ "", "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		fail(-EIO, "%s", cases[i].in);
		assert_string_equal(nvio_errmsg(), cases[i].out);
	}
}

static void *fail_elsewhere(void *arg)
{
	const char *before = nvio_errmsg();
	int clean = !*before;

	fail(-EIO, "the other thread's");
	return (void *)(intptr_t)clean;
}

static void each_thread_has_its_own(void **state)
{
	pthread_t other;
	void *clean;

	fail(-EIO, "mine");
	assert_int_equal(pthread_create(&other, NULL, fail_elsewhere, NULL), 0);
	assert_int_equal(pthread_join(other, &clean), 0);
	assert_non_null(clean);
	assert_string_equal(nvio_errmsg(), "mine");
}

static void errno_values_have_names_with_either_sign(void **state)
{
	static const struct {
		int err;
		const char *name;
	} cases[] = {
		{ EPERM, "EPERM" },       { -EPERM, "EPERM" },           { -EINVAL, "EINVAL" },
		{ -EAGAIN, "EAGAIN" },    { -EINPROGRESS, "EINPROGRESS" }, { -EOPNOTSUPP, "EOPNOTSUPP" },
		{ -EHWPOISON, "EHWPOISON" }, { 0, "E?" },                { 41, "E?" },
		{ 99999, "E?" },          { INT_MAX, "E?" },             { INT_MIN, "E?" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(nvio_errno_name(cases[i].err), cases[i].name);
}

/* Runs fn in a child whose standard error comes back in text; returns the wait status. */
static int in_child(void (*fn)(void), char *text, size_t size)
{
	const struct rlimit no_core = { 0, 0 };
	int fd[2], status;
	size_t len = 0;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(fd), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		setrlimit(RLIMIT_CORE, &no_core);
		signal(SIGABRT, SIG_DFL);
		dup2(fd[1], STDERR_FILENO);
		close(fd[0]);
		close(fd[1]);
		fn();
		_exit(0);
	}
	close(fd[1]);
	while (len < size - 1 && (n = read(fd[0], text + len, size - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	close(fd[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void break_one(void)
{
	invariant(1 + 1 == 3);
}

static void keep_one(void)
{
	invariant(1 + 1 == 2);
}

static void a_broken_invariant_is_named_and_aborts(void **state)
{
	char text[4096];
	int status = in_child(break_one, text, sizeof(text));

	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_non_null(strstr(text, "1 + 1 == 3"));
	assert_non_null(strstr(text, "errmsg.c:"));
	status = in_child(keep_one, text, sizeof(text));
	assert_true(WIFEXITED(status) && !WEXITSTATUS(status));
	assert_string_equal(text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_failure_hands_its_code_through),
		cmocka_unit_test(a_failure_may_wrap_the_one_before),
		cmocka_unit_test(long_text_is_cut_with_dots),
		cmocka_unit_test(bytes_that_are_not_printable_become_question_marks),
		cmocka_unit_test(each_thread_has_its_own),
		cmocka_unit_test(errno_values_have_names_with_either_sign),
		cmocka_unit_test(a_broken_invariant_is_named_and_aborts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
