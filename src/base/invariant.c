/* SPDX-License-Identifier: BSD-3-Clause */
/* The end of a process in which an invariant is broken; see fail.h. */
#include <stdio.h>
#include <stdlib.h>

#include "base/fail.h"

void invariant_broken(const char *file, int line, const char *words)
{
	fprintf(stderr, "nvio: %s:%d: broken invariant: %s; this is a bug in nvio, please report it\n", file,
		line, words);
	abort();
}
