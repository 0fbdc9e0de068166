/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any text as a transport id: refused without a trace, or taken; and what was taken can be written and read again, and is
 * the same place then.
 *
 * Input: the text.
 */
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include <nvio/error.h>
#include <nvio/trid.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void taken(const struct nvio_trid *t)
{
	char text[1024];
	struct nvio_trid again;

	invariant(strlen(t->traddr) <= NVIO_TRADDR_MAX && strlen(t->trsvcid) <= NVIO_TRSVCID_MAX && strlen(t->subnqn) <= NVIO_NQN_MAX);
	invariant(t->traddr[0]);
	invariant(nvio_trid_format(t, text, sizeof(text)) == (int)strlen(text));
	invariant(!nvio_trid_parse(text, &again));
	invariant(!memcmp(t, &again, sizeof(again)));
	invariant(!nvio_trid_compare(t, &again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct nvio_trid t, was;

	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	text[size] = 0;
	memset(&t, 0x5a, sizeof(t));
	was = t;
	fail_clear();
	if (!nvio_trid_parse(text, &t)) {
		taken(&t);
	} else {
		invariant(!memcmp(&t, &was, sizeof(t)));
		invariant(strncmp(nvio_errmsg(), "trid: ", 6) == 0);
	}
	free(text);
	return 0;
}
