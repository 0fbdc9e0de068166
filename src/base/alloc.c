/* SPDX-License-Identifier: BSD-3-Clause */
/* The heap with a switch that makes one allocation fail; see alloc.h. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

static _Thread_local long fail_after = -1;

bool alloc_fails(void)
{
	if (likely(fail_after < 0))
		return false;
	return fail_after-- == 0;
}

void *alloc_zeroed(size_t size)
{
	return alloc_array(1, size);
}

void *alloc_array(size_t count, size_t size)
{
	if (alloc_fails())
		return NULL;
	/* calloc() refuses this as well, but sanitizers end the program for it. */
	if (size && count > SIZE_MAX / size)
		return NULL;
	/* A size of 0 must not look like a failure. */
	return calloc(count ? count : 1, size ? size : 1);
}

void *alloc_aligned(size_t align, size_t size)
{
	void *ptr;

	if (alloc_fails())
		return NULL;
	if (posix_memalign(&ptr, MAX(align, sizeof(void *)), size ? size : 1))
		return NULL;
	memset(ptr, 0, size);
	return ptr;
}

char *alloc_strdup(const char *s)
{
	if (alloc_fails())
		return NULL;
	return strdup(s);
}

void alloc_free(void *ptr)
{
	free(ptr);
}

long alloc_fail_after(long n)
{
	long left = fail_after;

	fail_after = n < 0 ? -1 : n;
	return left;
}
