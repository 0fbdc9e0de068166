/* SPDX-License-Identifier: BSD-3-Clause */
/* Log messages on their way to the sink of their environment, standard error by default. */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/text.h"

#define LINE_MAX_BYTES 1024

int nvio_log_level_parse(const char *name, enum nvio_log_level *level)
{
	for (unsigned i = NVIO_LOG_ERROR; name && i <= NVIO_LOG_DEBUG; i++) {
		if (!strcasecmp(name, nvio_log_level_name((enum nvio_log_level)i))) {
			*level = (enum nvio_log_level)i;
			return 0;
		}
	}
	return fail(-EINVAL, "log: level: \"%s\" is unknown; one of error, warn, notice, info, debug",
		name ? name : "(null)");
}

/* One write a line: lines of several threads, and of several processes on one terminal, stay whole. */
static void write_stderr(const struct nvio_log *log, enum nvio_log_level level, const char *text)
{
	char line[LINE_MAX_BYTES + 128];
	int n = snprintf(line, sizeof(line), "%.63s: %s: %s\n", log->name ? log->name : "nvio",
		nvio_log_level_name(level), text);
	ssize_t ignored = write(STDERR_FILENO, line, (size_t)n);

	(void)ignored; /* there is no one left to tell */
}

void log_write(const struct nvio_log *log, enum nvio_log_level level, const char *fmt, ...)
{
	char text[LINE_MAX_BYTES];
	int saved_errno = errno; /* whoever logs between a failed call and the look at its errno keeps it */
	va_list ap;

	va_start(ap, fmt);
	text_vformat(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (log->fn)
		log->fn(log->arg, level, text);
	else
		write_stderr(log, level, text);
	errno = saved_errno;
}
