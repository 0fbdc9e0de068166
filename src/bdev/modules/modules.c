/* SPDX-License-Identifier: BSD-3-Clause */
/* The modules that are built in: all of them, here, by name. */
#include "bdev/bdev.h"
#include "bdev/modules/modules.h"

const struct nvio_bdev_module *const bdev_builtin_modules[] = {
	&malloc_module,
	&null_module,
	&file_module,
	&passthru_module,
	&delay_module,
	&error_module,
	&split_module,
	&nvme_module,
	&crypto_module,
	NULL,
};

/* The kinds of device that text can name; a new one is added here, too. */
const struct bdev_form *const bdev_forms[] = {
	&malloc_form,
	&null_form,
	&file_form,
	&bdev_form,
	&passthru_form,
	&delay_form,
	&error_form,
	&split_form,
	&nvme_form,
	&crypto_form,
	NULL,
};
