/* SPDX-License-Identifier: BSD-3-Clause */
/* Log messages: which come through, in what shape, and to whom. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

struct seen {
	int count;
	enum nvio_log_level level;
	char text[2048];
};

static void keep(void *arg, enum nvio_log_level level, const char *text)
{
	struct seen *seen = arg;

	seen->count++;
	seen->level = level;
	strcpy(seen->text, text);
	errno = EDOM; /* a sink may do as it likes */
}

static void messages_beyond_the_level_are_dropped_unevaluated(void **state)
{
	for (int limit = NVIO_LOG_ERROR; limit <= NVIO_LOG_DEBUG; limit++) {
		struct seen seen = { 0 };
		struct nvio_log log = { .level = (enum nvio_log_level)limit, .fn = keep, .arg = &seen };
		int evaluated = 0;

		for (int level = NVIO_LOG_ERROR; level <= NVIO_LOG_DEBUG; level++)
			log_msg(&log, (enum nvio_log_level)level, "%d", ++evaluated);
		assert_int_equal(seen.count, limit + 1);
		assert_int_equal(evaluated, limit + 1);
		assert_int_equal(seen.level, limit);
	}
}

static void no_sink_no_message(void **state)
{
	const struct nvio_log *none = NULL;
	int evaluated = 0;

	log_msg(none, NVIO_LOG_ERROR, "%d", ++evaluated);
	assert_int_equal(evaluated, 0);
}

static void a_message_is_one_printable_line(void **state)
{
	struct seen seen = { 0 };
	struct nvio_log log = { .level = NVIO_LOG_DEBUG, .fn = keep, .arg = &seen };
	char big[3000];

	log_msg(&log, NVIO_LOG_INFO, "serial \"%s\"", "a\nb\x1b");
	assert_string_equal(seen.text, "serial \"a?b?\"");
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	log_msg(&log, NVIO_LOG_INFO, "%s", big);
	assert_int_equal(strlen(seen.text), 1023);
	assert_string_equal(seen.text + 1020, "...");
}

static void errno_survives_a_message(void **state)
{
	struct seen seen = { 0 };
	struct nvio_log log = { .level = NVIO_LOG_DEBUG, .fn = keep, .arg = &seen };

	errno = ENOSPC;
	log_msg(&log, NVIO_LOG_INFO, "x");
	assert_int_equal(errno, ENOSPC);
}

/* What `log` writes to standard error for one message. */
static void stderr_of(const struct nvio_log *log, enum nvio_log_level level, const char *text, char *out,
	size_t size)
{
	int fd[2], saved = dup(STDERR_FILENO);
	ssize_t n;

	assert_int_equal(pipe(fd), 0);
	dup2(fd[1], STDERR_FILENO);
	log_msg(log, level, "%s", text);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(fd[1]);
	n = read(fd[0], out, size - 1);
	assert_true(n >= 0);
	out[n] = '\0';
	close(fd[0]);
}

static void the_default_sink_is_standard_error(void **state)
{
	struct nvio_log log = { .level = NVIO_LOG_WARN };
	char line[4096];

	stderr_of(&log, NVIO_LOG_WARN, "no hugepages", line, sizeof(line));
	assert_string_equal(line, "nvio: warn: no hugepages\n");
	stderr_of(&log, NVIO_LOG_NOTICE, "dropped", line, sizeof(line));
	assert_string_equal(line, "");
	log.name = "backup";
	stderr_of(&log, NVIO_LOG_ERROR, "lost", line, sizeof(line));
	assert_string_equal(line, "backup: error: lost\n");
}

static void levels_have_names_both_ways(void **state)
{
	static const char *const bad[] = { "", "warning", "0", "debug ", NULL };
	enum nvio_log_level level;

	for (int i = NVIO_LOG_ERROR; i <= NVIO_LOG_DEBUG; i++) {
		const char *name = nvio_log_level_name((enum nvio_log_level)i);

		level = (enum nvio_log_level)99;
		assert_int_equal(nvio_log_level_parse(name, &level), 0);
		assert_int_equal(level, i);
	}
	assert_int_equal(nvio_log_level_parse("DeBuG", &level), 0);
	assert_int_equal(level, NVIO_LOG_DEBUG);
	assert_string_equal(nvio_log_level_name((enum nvio_log_level)99), "?");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(nvio_log_level_parse(bad[i], &level), -EINVAL);
		assert_int_equal(level, NVIO_LOG_DEBUG);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_beyond_the_level_are_dropped_unevaluated),
		cmocka_unit_test(no_sink_no_message),
		cmocka_unit_test(a_message_is_one_printable_line),
		cmocka_unit_test(errno_survives_a_message),
		cmocka_unit_test(the_default_sink_is_standard_error),
		cmocka_unit_test(levels_have_names_both_ways),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
