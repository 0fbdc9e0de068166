/* SPDX-License-Identifier: BSD-3-Clause */
/* How a failure is recorded: the text goes to the thread's nvio_errmsg(), the code is handed through. */
#ifndef BASE_FAIL_H
#define BASE_FAIL_H

#include "base/compiler.h"

#undef fail /* cmocka's, in tests that include it first; they say fail_msg() */

/*
 * Records the calling thread's last failure and returns `rc` (which must be negative), so that a caller writes
 *     return fail(-EINVAL, "mem: alloc: align %zu is not a power of two", align);
 * One line, at most 511 bytes (longer text is cut with "..."); bytes that are not printable become '?'.
 * Safe against the current errmsg being one of the arguments (it wraps an inner failure: "%s", nvio_errmsg()).
 */
int fail(int rc, const char *fmt, ...) NVIO_PRINTF(2, 3) COLD;

/* Forgets the thread's last failure; for an attempt whose failure was expected and handled. */
void fail_clear(void);

/*
 * An invariant of our own is broken: prints file, line and words to standard error and aborts. On in release for control paths;
 * `checked()` vanishes from release builds. Never for input from the wire, a device, a file or a user.
 */
_Noreturn void invariant_broken(const char *file, int line, const char *words) COLD;

#define invariant(cond)                                                    \
	do {                                                               \
		if (unlikely(!(cond)))                                     \
			invariant_broken(__FILE__, __LINE__, #cond);       \
	} while (0)

#define checked(cond)                                                      \
	do {                                                               \
		if (NVIO_CHECKED && unlikely(!(cond)))                     \
			invariant_broken(__FILE__, __LINE__, #cond);       \
	} while (0)

#endif
