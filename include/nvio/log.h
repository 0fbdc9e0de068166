/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Log messages: what happens besides the caller's own calls. There is no process-wide log; each environment
 * has its own sink and level.
 */
#ifndef NVIO_LOG_H
#define NVIO_LOG_H

#include <nvio/compiler.h>

NVIO_BEGIN_DECLS

enum nvio_log_level {
	NVIO_LOG_ERROR = 0, /* something was lost or does not work any more */
	NVIO_LOG_WARN,      /* it works, but not as asked for, or something is about to fail */
	NVIO_LOG_NOTICE,    /* rare and normal: a controller was reset, a namespace appeared */
	NVIO_LOG_INFO,      /* each step of opening, connecting and closing */
	NVIO_LOG_DEBUG,     /* for those who work on nvio */
};

/*
 * A sink. `text` is one line without its end, at most 1023 bytes of printable ASCII, and valid during the
 * call only. Runs on the thread that has something to say, so on any, and on several at once; it must not
 * call nvio.
 */
typedef void (*nvio_log_fn)(void *arg, enum nvio_log_level level, const char *text);

struct nvio_log {
	enum nvio_log_level level; /* messages beyond it are dropped */
	nvio_log_fn fn;            /* NULL: standard error */
	void *arg;                 /* handed to fn */
	const char *name;          /* starts the lines on standard error; NULL: "nvio" */
};

/* "error", "warn", "notice", "info", "debug"; "?" for another value. Any thread. */
NVIO_EXPORT const char *nvio_log_level_name(enum nvio_log_level level);

/* The level of that name, in any case. 0; -EINVAL: no such name, and *level is as it was. Any thread. */
NVIO_EXPORT int nvio_log_level_parse(const char *name, enum nvio_log_level *level);

NVIO_END_DECLS

#endif
