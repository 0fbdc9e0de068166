/* SPDX-License-Identifier: BSD-3-Clause */
/* How the library logs: a sink is handed in, nothing is looked up. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/compiler.h"
#include <nvio/log.h>

/* What log_msg() calls once it has checked the level. */
void log_write(const struct nvio_log *log, enum nvio_log_level level, const char *fmt, ...)
	NVIO_PRINTF(3, 4) COLD;

/*
 * The arguments are evaluated only when the message is wanted; `log` NULL drops it. One line, without its
 * end.
 */
#define log_msg(log, lvl, ...)                                             \
	do {                                                               \
		const struct nvio_log *log_msg_to = (log);                 \
		if (log_msg_to && (lvl) <= log_msg_to->level)              \
			log_write(log_msg_to, (lvl), __VA_ARGS__);         \
	} while (0)

#endif
