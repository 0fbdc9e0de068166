/* SPDX-License-Identifier: BSD-3-Clause */
/* The version, as meson.build says it; a test holds the numbers of the header against it. */
#include "base/compiler.h"
#include <nvio/version.h>

const char *nvio_version(void)
{
	return NVIO_VERSION;
}
