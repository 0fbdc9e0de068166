/* SPDX-License-Identifier: BSD-3-Clause */
/* What base takes from an operating system elsewhere: log lines, the end of a broken program, waiting. */
#include "base/fail.h"
#include "base/log.h"
#include "base/op.h"
#include "base/platform.h"
#include "base/text.h"

#define LINE_BYTES 256 /* stacks are small here */

void log_write(const struct nvio_log *log, enum nvio_log_level level, const char *fmt, ...)
{
	char text[LINE_BYTES], line[LINE_BYTES + 96];
	va_list ap;

	va_start(ap, fmt);
	text_vformat(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (log->fn) {
		log->fn(log->arg, level, text);
		return;
	}
	text_format(line, sizeof(line), "%.63s: %s: %s", log->name ? log->name : "nvio", nvio_log_level_name(level), text);
	nvio_platform_log(line);
}

void invariant_broken(const char *file, int line, const char *words)
{
	char text[LINE_BYTES];

	text_format(text, sizeof(text), "nvio: %s:%d: broken invariant: %s; this is a bug in nvio, please report it", file, line, words);
	nvio_platform_panic(text);
}

/* No descriptors: who waits leaves the core to others, and polls on. */
bool op_sleep(struct nvio_pollable *owner)
{
	nvio_platform_idle();
	return true;
}
