/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Failures in words. Functions of nvio return 0 or -errno; what failed, why and what to do stands here, in one line:
 * stage, object, cause, remedy.
 */
#ifndef NVIO_ERROR_H
#define NVIO_ERROR_H

#include <nvio/compiler.h>

NVIO_BEGIN_DECLS

/*
 * The calling OS thread's last failure, in words; "" when there was none. Valid until that thread's next failure.
 */
NVIO_EXPORT const char *nvio_errmsg(void);

/* The name of an errno ("EINVAL" for 22 or -22); "E?" for one without a name. */
NVIO_EXPORT const char *nvio_errno_name(int err);

NVIO_END_DECLS

#endif
