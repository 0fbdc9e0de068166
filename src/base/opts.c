/* SPDX-License-Identifier: BSD-3-Clause */
/* Options structures that can grow; see opts.h. */
#include "base/compiler.h"
#include "base/fail.h"
#include "base/opts.h"
#include <nvio/libc.h>

int opts_copy(const char *what, void *dst, size_t dst_size, const void *src, size_t min_size)
{
	const unsigned char *bytes = src;
	size_t src_size;

	memcpy(&src_size, src, sizeof(src_size));
	if (src_size < min_size)
		return fail(-EINVAL,
			"options: %s: size is %zu, at least %zu expected; call its _init() function first",
			what, src_size, min_size);
	/* A size that no structure has is an uninitialised one; do not walk through memory with it. */
	if (src_size > dst_size + 4096)
		return fail(-EINVAL,
			"options: %s: size is %zu, %zu expected; call its _init() function first", what,
			src_size, dst_size);
	for (size_t i = dst_size; i < src_size; i++)
		if (bytes[i])
			return fail(-E2BIG,
				"options: %s: byte %zu is set, and this release knows %zu bytes; "
				"the program was built for a newer one",
				what, i, dst_size);
	memcpy(dst, src, MIN(src_size, dst_size));
	memcpy(dst, &dst_size, sizeof(dst_size));
	return 0;
}
