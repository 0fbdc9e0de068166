/* SPDX-License-Identifier: BSD-3-Clause */
/* The tables of the built-in modules. */
#ifndef BDEV_MODULES_MODULES_H
#define BDEV_MODULES_MODULES_H

#include <nvio/bdev_module.h>

extern const struct nvio_bdev_module malloc_module;
extern const struct nvio_bdev_module null_module;
extern const struct nvio_bdev_module file_module;
extern const struct nvio_bdev_module passthru_module;

#endif
