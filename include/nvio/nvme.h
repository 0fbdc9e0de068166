/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Raw NVMe in one include: everything that a program needs to open an environment, connect to a controller and do I/O. It brings
 * <stdio.h> along, since the first thing every program does is to print nvio_errmsg().
 */
#ifndef NVIO_NVME_H
#define NVIO_NVME_H

#include <stdio.h>

#include <nvio/ctrlr.h>
#include <nvio/drive.h>
#include <nvio/env.h>
#include <nvio/error.h>
#include <nvio/mem.h>
#include <nvio/ns.h>
#include <nvio/op.h>
#include <nvio/qpair.h>
#include <nvio/spec/words.h>
#include <nvio/trid.h>

#endif
