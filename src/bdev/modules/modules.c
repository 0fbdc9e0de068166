/* SPDX-License-Identifier: BSD-3-Clause */
/* The modules that are built in: all of them, here, by name. */
#include "bdev/bdev.h"
#include "bdev/modules/modules.h"

const struct nvio_bdev_module *const bdev_builtin_modules[] = {
	&malloc_module,
	&null_module,
	&file_module,
	&passthru_module,
	NULL,
};
