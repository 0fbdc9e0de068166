/* SPDX-License-Identifier: BSD-3-Clause */
/* The part of time that is not for the hot path. */
#include "base/clock.h"

#include <errno.h>
#include <time.h>

void sleep_ns(uint64_t ns)
{
	struct timespec until;
	uint64_t end = clock_add(clock_monotonic_ns(), ns);

	/* An absolute end: a sleep that signals cut into pieces does not grow. */
	until.tv_sec = (time_t)(end / NS_PER_S);
	until.tv_nsec = (long)(end % NS_PER_S);
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
		;
}
