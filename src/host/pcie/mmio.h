/* SPDX-License-Identifier: BSD-3-Clause */
/* How a controller whose registers are mapped already is taken. */
#ifndef HOST_PCIE_MMIO_H
#define HOST_PCIE_MMIO_H

#include "host/host.h"
#include <nvio/platform.h>

/* As ctrlr_create(). `trid` says who it is in messages. */
int mmio_ctrlr_create(struct nvio_env *env, const struct nvio_trid *trid, const struct nvio_bar *bar, const struct nvio_ctrlr_opts *opts,
	struct nvio_op *op, struct nvio_ctrlr **out);

#endif
