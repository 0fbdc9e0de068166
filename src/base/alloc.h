/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The heap, as all rooms use it, so that each allocation can be made to fail in a test. Not for DMA buffers
 * (room mem) and not for the I/O path (which does not allocate).
 */
#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"

/* Zeroed memory, or NULL. The size may be 0. */
void *alloc_zeroed(size_t size);

/* `count` zeroed elements of `size` bytes, or NULL; also when the product overflows. */
void *alloc_array(size_t count, size_t size);

/* The same, aligned to `align`, a power of two; for structures with members that are CACHE_ALIGNED. */
void *alloc_aligned(size_t align, size_t size);

/* A copy of `s`, or NULL. */
char *alloc_strdup(const char *s);

/* Gives back what came from any of the above; NULL is allowed. */
void alloc_free(void *ptr);

/* Asked by what takes memory elsewhere (mmap), so that a test can make that fail, too: true, and it is to fail. */
bool alloc_fails(void);

/*
 * Lets the calling OS thread's next `n` allocations succeed and the one after them fail, once; -1 disarms.
 * Returns what was left of the former count: -1 when it had fired, or was not armed. A test fails each
 * allocation of a function in turn:
 *
 *     for (long n = 0, left = -1; left < 0; n++) {
 *             alloc_fail_after(n);
 *             rc = function();
 *             left = alloc_fail_after(-1);
 *             (left < 0: -ENOMEM and nothing left behind; otherwise it was never asked that often: success)
 *     }
 */
long alloc_fail_after(long n);

#endif
