/* SPDX-License-Identifier: BSD-3-Clause */
/* The tables of the built-in modules, and how their devices are made from text. */
#ifndef BDEV_MODULES_MODULES_H
#define BDEV_MODULES_MODULES_H

#include "bdev/create_str.h"
#include <nvio/bdev_module.h>

extern const struct nvio_bdev_module malloc_module;
extern const struct nvio_bdev_module null_module;
extern const struct nvio_bdev_module file_module;
extern const struct nvio_bdev_module passthru_module;
extern const struct nvio_bdev_module delay_module;
extern const struct nvio_bdev_module error_module;
extern const struct nvio_bdev_module split_module;
extern const struct nvio_bdev_module nvme_module;
extern const struct nvio_bdev_module crypto_module;

/* forms.c, forms_error.c */
extern const struct bdev_form malloc_form;
extern const struct bdev_form null_form;
extern const struct bdev_form file_form;
extern const struct bdev_form bdev_form;
extern const struct bdev_form passthru_form;
extern const struct bdev_form delay_form;
extern const struct bdev_form error_form;
extern const struct bdev_form split_form;

/* nvme_form.c, crypto_form.c */
extern const struct bdev_form nvme_form;
extern const struct bdev_form crypto_form;

/* error_plan.c: 0, or -EINVAL in words. */
int error_inject_check(const struct nvio_bdev_error_inject *inject);

#endif
