/* SPDX-License-Identifier: BSD-3-Clause */
/* DMA buffers under AddressSanitizer: what is not handed out may not be touched. Nothing in other builds. */
#ifndef MEM_POISON_H
#define MEM_POISON_H

#include <stddef.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MEM_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define MEM_ASAN 1
#endif

#ifdef MEM_ASAN
#include <sanitizer/asan_interface.h>
#define MEM_REDZONE	       64 /* bytes kept between two buffers, so that running over the end of one is seen */
#define mem_poison(ptr, len)   ASAN_POISON_MEMORY_REGION(ptr, len)
#define mem_unpoison(ptr, len) ASAN_UNPOISON_MEMORY_REGION(ptr, len)
#else
#define MEM_REDZONE	       0
#define mem_poison(ptr, len)   ((void)(ptr), (void)(len))
#define mem_unpoison(ptr, len) ((void)(ptr), (void)(len))
#endif

#endif
