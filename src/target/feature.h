/* SPDX-License-Identifier: BSD-3-Clause */
/* The features of a controller: one table says what there is, this struct holds what is set. */
#ifndef TARGET_FEATURE_H
#define TARGET_FEATURE_H

#include <stdint.h>

#include <nvio/spec/admin.h>

#define TGT_TEMPERATURE   313u /* Kelvin, for ever */
#define TGT_WARNING_TEMP  343u
#define TGT_CRITICAL_TEMP 353u
#define TGT_VECTORS       129u /* interrupt vectors: the admin queue's and one for each I/O queue */

struct tgt_features {
	uint32_t value[NVIO_FID_KEEP_ALIVE + 1]; /* by identifier, those that are one dword */
	uint32_t under_temperature; /* threshold; value[] has the one for over temperature */
	uint8_t no_coalescing[TGT_VECTORS];
	uint8_t host_id[16];
	uint8_t host_id_extended;
};

struct tgt_ctrlr;
void tgt_features_init(struct tgt_ctrlr *c);

/* Critical warnings of the SMART log as the thresholds make them. */
uint8_t tgt_features_warning(const struct tgt_ctrlr *c);

#endif
