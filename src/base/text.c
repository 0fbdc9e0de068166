/* SPDX-License-Identifier: BSD-3-Clause */
/* Formatting of one line; used where failures and log messages are recorded. */
#include "base/text.h"

#include "base/platform.h"

size_t text_vformat(char *buf, size_t size, const char *fmt, va_list ap)
{
	int n = platform_vprint(buf, size, fmt, ap);
	size_t len;

	if (n < 0) { /* only a broken format or wide string does this */
		buf[0] = '\0';
		return 0;
	}
	len = (size_t)n;
	if (len >= size) {
		len = size - 1;
		memcpy(buf + len - 3, "...", 3);
	}
	for (size_t i = 0; i < len; i++)
		if (buf[i] < 0x20 || buf[i] > 0x7e)
			buf[i] = '?';
	return len;
}

size_t text_format(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	size_t len;

	va_start(ap, fmt);
	len = text_vformat(buf, size, fmt, ap);
	va_end(ap);
	return len;
}
