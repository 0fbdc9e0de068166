/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Options structures begin with `size_t size`, the sizeof that the caller was compiled with, so that they can
 * grow without breaking the ABI. Every room takes a caller's options through opts_copy().
 */
#ifndef BASE_OPTS_H
#define BASE_OPTS_H

#include <stddef.h>

/*
 * Copies the options `src` of a caller, whose first member is its size, onto `dst`, which holds the defaults.
 * The caller's structure may be smaller (an older release: the defaults stay for what it does not have) down
 * to `min_size`, the structure of the first release, or larger (a newer one) when all that we do not know is
 * zero. Sets dst's own size to dst_size. `what` names the structure in the message. 0; -EINVAL size smaller
 * than min_size; -E2BIG something set that we do not know.
 */
int opts_copy(const char *what, void *dst, size_t dst_size, const void *src, size_t min_size);

#endif
