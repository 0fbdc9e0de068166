/* SPDX-License-Identifier: BSD-3-Clause */
/* The signals of OS threads that the library makes. */
#ifndef BASE_SIGNALS_H
#define BASE_SIGNALS_H

#include <signal.h>
#include <stddef.h>

#include "base/compiler.h"

/*
 * For the time of a pthread_create(): signals are the application's business, and none is delivered to a thread that it did not make. Left
 * out are those that an instruction of the thread itself raises: blocked they could not be handled, and end the process. SIGBUS is one, by
 * which a drive that was pulled out is noticed (pci/guard.c).
 */
static inline void signals_block(sigset_t *before)
{
	static const int own[] = { SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGSYS };
	sigset_t all;

	sigfillset(&all);
	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		sigdelset(&all, own[i]);
	pthread_sigmask(SIG_SETMASK, &all, before);
}

static inline void signals_restore(const sigset_t *before)
{
	pthread_sigmask(SIG_SETMASK, before, NULL);
}

#endif
