/* SPDX-License-Identifier: BSD-3-Clause */
/* The Error Information log: a ring of the last commands that failed. */
#ifndef TARGET_ERRLOG_H
#define TARGET_ERRLOG_H

#include <stdint.h>

#include <nvio/spec/log.h>

#define TGT_ERRLOG_ENTRIES 64u

struct tgt_errlog {
	uint64_t count;        /* ever; entry n stands at (n - 1) % TGT_ERRLOG_ENTRIES */
	uint64_t media_errors;
	struct nvio_log_error entry[TGT_ERRLOG_ENTRIES];
};

/* Newest first, unused entries zero. */
void tgt_errlog_page(const struct tgt_errlog *l, struct nvio_log_error *page);

#endif
