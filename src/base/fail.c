/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The last failure of each OS thread, in words. Being thread-local it needs no lock, and no function needs a
 * parameter for its error text.
 */
#include "base/fail.h"

#include <stdarg.h>

#include "base/platform.h"
#include "base/text.h"
#include <nvio/error.h>

static THREAD_LOCAL char last_failure[512];

int fail(int rc, const char *fmt, ...)
{
	char text[sizeof(last_failure)];
	va_list ap;
	size_t len;

	checked(rc < 0);
	/* Formatted aside first: an argument may be the last failure itself. */
	va_start(ap, fmt);
	len = text_vformat(text, sizeof(text), fmt, ap);
	va_end(ap);
	memcpy(last_failure, text, len + 1);
	return rc;
}

void fail_clear(void)
{
	last_failure[0] = '\0';
}

const char *nvio_errmsg(void)
{
	return last_failure;
}
