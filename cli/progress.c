/* SPDX-License-Identifier: BSD-3-Clause */
/* The progress line of long transfers; nothing at all unless somebody is there to see it. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "out.h"
#include "stream.h"

#define EVERY_NS UINT64_C(200000000)

uint64_t progress_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

void progress_begin(struct progress *p, const char *verb, uint64_t expected)
{
	p->verb = verb;
	p->expected = expected;
	p->on = isatty(STDERR_FILENO);
	p->shown = false;
	p->begin_ns = progress_now_ns();
	p->next_ns = p->begin_ns + EVERY_NS;
}

void progress_show(struct progress *p, uint64_t done)
{
	char have[32], all[32], rate[32];
	uint64_t now;

	if (!p->on)
		return;
	now = progress_now_ns();
	if (now < p->next_ns)
		return;
	p->next_ns = now + EVERY_NS;
	p->shown = true;
	cli_bytes(have, sizeof(have), (double)done);
	cli_bytes(rate, sizeof(rate), (double)done * 1e9 / (double)(now - p->begin_ns));
	if (p->expected == CLI_UNSET || !p->expected)
		fprintf(stderr, "\r%s: %s, %s/s \033[K", p->verb, have, rate);
	else
		fprintf(stderr, "\r%s: %s of %s (%.0f %%), %s/s \033[K", p->verb, have,
			cli_bytes(all, sizeof(all), (double)p->expected),
			100.0 * (double)done / (double)p->expected, rate);
}

double progress_end(struct progress *p)
{
	if (p->shown)
		fprintf(stderr, "\r\033[K");
	return (double)(progress_now_ns() - p->begin_ns) / 1e9;
}
