/* SPDX-License-Identifier: BSD-3-Clause */
/* The levels of log messages by name. */
#include "base/compiler.h"
#include <nvio/log.h>

static const char *const level_names[] = {
	[NVIO_LOG_ERROR] = "error",
	[NVIO_LOG_WARN] = "warn",
	[NVIO_LOG_NOTICE] = "notice",
	[NVIO_LOG_INFO] = "info",
	[NVIO_LOG_DEBUG] = "debug",
};

const char *nvio_log_level_name(enum nvio_log_level level)
{
	return (unsigned)level < ARRAY_SIZE(level_names) ? level_names[level] : "?";
}
