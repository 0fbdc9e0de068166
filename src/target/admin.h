/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the admin command set know of each other. */
#ifndef TARGET_ADMIN_H
#define TARGET_ADMIN_H

#include "target/target.h"
#include <nvio/drive.h>
#include <nvio/spec/admin.h>
#include <nvio/spec/regs.h>

/* ASCII fields of fixed size: filled up with spaces (NVMe Base 2.0 section 1.4.2). */
void tgt_put_text(uint8_t *field, size_t size, const char *text); /* identify.c */

#endif
