/* SPDX-License-Identifier: BSD-3-Clause */
/* base/alloc.h on the memory of the platform. */
#include "base/alloc.h"

#include <nvio/libc.h>
#include <nvio/platform.h>

void *alloc_aligned(size_t align, size_t size)
{
	/* A size of 0 must not look like a failure. */
	return nvio_platform_alloc(size ? size : 1, MAX(align, 16u));
}

void *alloc_zeroed(size_t size)
{
	return alloc_aligned(0, size);
}

void *alloc_array(size_t count, size_t size)
{
	if (__builtin_mul_overflow(count, size, &size))
		return NULL;
	return alloc_zeroed(size);
}

char *alloc_strdup(const char *s)
{
	size_t size = strlen(s) + 1;
	char *copy = alloc_zeroed(size);

	if (copy)
		memcpy(copy, s, size);
	return copy;
}

void alloc_free(void *ptr)
{
	if (ptr)
		nvio_platform_free(ptr);
}
