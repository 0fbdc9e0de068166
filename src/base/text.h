/* SPDX-License-Identifier: BSD-3-Clause */
/* One line of text out of a format: how failures and log lines get their shape. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdarg.h>
#include <stddef.h>

#include "base/compiler.h"

/*
 * Formats into buf (size of at least 4 bytes, always terminated) and returns the length. What does not fit is
 * cut and ends in "..."; bytes outside of printable ASCII become '?', so that a name read from a device or a
 * peer cannot forge a second line or steer a terminal. The arguments must not point into buf.
 */
size_t text_vformat(char *buf, size_t size, const char *fmt, va_list ap) NVIO_PRINTF(3, 0);
size_t text_format(char *buf, size_t size, const char *fmt, ...) NVIO_PRINTF(3, 4);

#endif
