/* SPDX-License-Identifier: BSD-3-Clause */
/* The subsystem: what all its controllers tell of themselves, and which bdevs its namespaces are. */
#include "target/target.h"

#include "base/alloc.h"

void tgt_subsystem_fini(struct tgt_subsystem *s)
{
	for (uint32_t i = 0; s->ns && i < s->num_ns; i++)
		alloc_free(s->ns[i].bdev);
	alloc_free(s->ns);
	s->ns = NULL;
	s->num_ns = 0;
}
