/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the sanitizers must be told when the stack changes. Nothing in other builds. AddressSanitizer keeps a stack's
 * bounds and its fake stack (of frames whose use after return it watches for); ThreadSanitizer sees each stack as a
 * fiber; LeakSanitizer looks for pointers in stacks only where it is told that they are.
 *
 * The order is that of a switch: co_san_leave() on the stack that is left, just before, and co_san_arrive() on the one that is
 * entered, just after.
 */
#ifndef THREAD_CO_SAN_H
#define THREAD_CO_SAN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CO_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define CO_TSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define CO_ASAN 1
#endif
#if defined(__SANITIZE_THREAD__)
#define CO_TSAN 1
#endif

/* A stack as the sanitizers know it. For that of an OS thread, filled in when a coroutine is resumed from it. */
struct co_san {
#ifdef CO_ASAN
	const void *bottom;
	size_t size;
	void *fake;
#endif
#ifdef CO_TSAN
	void *fiber;
#endif
	char nothing[1];
};

#if defined(CO_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>

#define CO_STACK_FACTOR 4u /* redzones make larger frames */
#define CO_SAN_FRAME	__attribute__((no_sanitize("address")))

static inline void co_san_make(struct co_san *s, const void *bottom, size_t size)
{
	s->bottom = bottom;
	s->size = size;
	s->fake = NULL;
	ASAN_UNPOISON_MEMORY_REGION(bottom, size);
	__lsan_register_root_region(bottom, size);
}

static inline void co_san_unmake(struct co_san *s, const void *bottom, size_t size)
{
	(void)s;
	__lsan_unregister_root_region(bottom, size);
	ASAN_UNPOISON_MEMORY_REGION(bottom, size);
}

/* A stack is used again; only what was left by longjmp() or the like could still be poisoned. */
static inline void co_san_reuse(struct co_san *s)
{
	ASAN_UNPOISON_MEMORY_REGION(s->bottom, s->size);
}

static inline void co_san_this(struct co_san *s)
{
	s->fake = NULL;
}

/* `ended`: nothing of the stack that is left will be used any more. */
static inline void co_san_leave(struct co_san *from, struct co_san *to, bool ended)
{
	__sanitizer_start_switch_fiber(ended ? NULL : &from->fake, to->bottom, to->size);
}

/* On `to`; `from`, if not NULL, learns where it is. */
static inline void co_san_arrive(struct co_san *to, struct co_san *from)
{
	void *fake = to->fake;

	to->fake = NULL;
	if (from)
		__sanitizer_finish_switch_fiber(fake, &from->bottom, &from->size);
	else
		__sanitizer_finish_switch_fiber(fake, NULL, NULL);
}

#elif defined(CO_TSAN)
#include <sanitizer/tsan_interface.h>

#define CO_STACK_FACTOR 4u
#define CO_SAN_FRAME

static inline void co_san_make(struct co_san *s, const void *bottom, size_t size)
{
	(void)bottom;
	(void)size;
	s->fiber = __tsan_create_fiber(0);
}

static inline void co_san_unmake(struct co_san *s, const void *bottom, size_t size)
{
	(void)bottom;
	(void)size;
	__tsan_destroy_fiber(s->fiber);
}

static inline void co_san_reuse(struct co_san *s) { (void)s; }

static inline void co_san_this(struct co_san *s)
{
	s->fiber = __tsan_get_current_fiber();
}

/* Flag 0: what was done before the switch happens before what is done after it. */
static inline void co_san_leave(struct co_san *from, struct co_san *to, bool ended)
{
	(void)from;
	(void)ended;
	__tsan_switch_to_fiber(to->fiber, 0);
}

static inline void co_san_arrive(struct co_san *to, struct co_san *from)
{
	(void)to;
	(void)from;
}

#else

#define CO_STACK_FACTOR 1u
#define CO_SAN_FRAME

static inline void co_san_make(struct co_san *s, const void *bottom, size_t size)
{
	(void)s, (void)bottom, (void)size;
}
static inline void co_san_unmake(struct co_san *s, const void *bottom, size_t size)
{
	(void)s, (void)bottom, (void)size;
}
static inline void co_san_reuse(struct co_san *s) { (void)s; }
static inline void co_san_this(struct co_san *s) { (void)s; }
static inline void co_san_leave(struct co_san *from, struct co_san *to, bool ended)
{
	(void)from, (void)to, (void)ended;
}
static inline void co_san_arrive(struct co_san *to, struct co_san *from) { (void)to, (void)from; }

#endif

#endif
