/* SPDX-License-Identifier: BSD-3-Clause */
/* Stands in for file_uring.c where the library is built without liburing. */
#include "bdev/modules/file.h"

static int uring_init(struct file_bdev *f)
{
	return fail(-EOPNOTSUPP, "bdev: file: %s: io_uring is not built in; use the thread engine", f->path);
}

/* Without init nothing else is called. */
const struct file_engine file_engine_uring = {
	.name = "io_uring",
	.init = uring_init,
};
