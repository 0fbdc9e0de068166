/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the library takes from the system below it, so that the driver core runs on one with nothing but a compiler: locks, what
 * is kept for each OS thread, time, leaving the core to others. Memory is base/alloc.h and <nvio/mem.h>, text base/text.h.
 *
 * Both choices have the same names. With an operating system they are inline calls of what it has; without one (-ffreestanding)
 * they lead to the functions of <nvio/platform.h>.
 */
#ifndef BASE_PLATFORM_H
#define BASE_PLATFORM_H

#include <nvio/libc.h>

#if __STDC_HOSTED__
#include "base/platform_hosted.h"
#else
#include "base/platform_bare.h"
#endif

#endif
