/* SPDX-License-Identifier: BSD-3-Clause */
/* Failures: errno for the program, words for its user. And the way of the lock that had to wait. */
#include "priv.h"

#include <sched.h>
#include <stdarg.h>
#include <time.h>

#define SPINS_BEFORE_YIELD 64
#define YIELDS_BEFORE_NAP  100
#define NAP_NS             20000

static __thread char words[512];

const char *nvmed_errmsg(void)
{
	return words;
}

int failed(int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	errno = err;
	return -1;
}

int failed_nvio(int rc, const char *what)
{
	const char *why = nvio_errmsg();

	return failed(-rc, "nvmed: %s: %s", what, *why ? why : strerror(-rc));
}

int failed_op(const struct nvio_op *op, const char *what)
{
	return failed(-op->status, "nvmed: %s: %s", what, nvio_op_strerror(op));
}

void lock_wait(struct lock *l)
{
	unsigned int round = 0;

	__atomic_fetch_add(&l->waiters, 1, __ATOMIC_RELAXED);
	do {
		for (unsigned int i = 0; i < SPINS_BEFORE_YIELD && __atomic_load_n(&l->held, __ATOMIC_RELAXED); i++)
			cpu_relax();
		if (__atomic_load_n(&l->held, __ATOMIC_RELAXED)) {
			if (++round < YIELDS_BEFORE_NAP)
				sched_yield();
			else
				nanosleep(&(struct timespec){ .tv_nsec = NAP_NS }, NULL);
		}
	} while (__atomic_exchange_n(&l->held, 1, __ATOMIC_ACQUIRE));
	__atomic_fetch_sub(&l->waiters, 1, __ATOMIC_RELAXED);
}
