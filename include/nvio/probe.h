/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Probing: find the controllers that user space could take, choose among them, and connect to those chosen, all at once, since each may
 * take seconds to become ready. To connect to one that is known, nvio_connect() is enough.
 */
#ifndef NVIO_PROBE_H
#define NVIO_PROBE_H

#include <stdbool.h>
#include <stddef.h>

#include <nvio/compiler.h>
#include <nvio/ctrlr.h>
#include <nvio/pci.h>
#include <nvio/trid.h>

NVIO_BEGIN_DECLS

/* What was found. Valid during the callback. */
struct nvio_probe_info {
	size_t size;                     /* sizeof(struct nvio_probe_info), set by the library */
	const struct nvio_trid *trid;    /* how to connect to it */
	const struct nvio_pci_info *pci; /* NULL when it is not on the PCI bus */
};

/*
 * Whether to connect. `opts` has the defaults, and is to be changed as wished; strings in it are to stay until nvio_probe() returns. No
 * controller has been touched yet when this is called for the last time.
 */
typedef bool (*nvio_probe_fn)(const struct nvio_probe_info *info, struct nvio_ctrlr_opts *opts, void *arg);

/*
 * One that was chosen: connected and ready (rc 0), and the caller's from then on, to be closed by nvio_ctrlr_close() or with the
 * environment; or NULL and why not (rc as of nvio_connect(); nvio_errmsg() has the words). In the order in which they are done. What takes
 * long in here keeps the others waiting.
 */
typedef void (*nvio_attach_fn)(const struct nvio_probe_info *info, struct nvio_ctrlr *ctrlr, int rc, void *arg);

/*
 * Looks for controllers and connects to those that `probe` chooses. `trid` NULL, or PCIe without an address: all NVMe functions that
 * user space has been given (vfio-pci; with unsafe_no_iommu those without an IOMMU, too), in ascending order of addresses; those of the
 * kernel are left out. Any other trid: just that controller, which must be an NVMe function when it is PCIe. `probe` NULL: all of them,
 * with the default options.
 *
 * How many were connected, 0 when there is nothing (a machine without a PCI bus included); -EINVAL `env` or `attach` is NULL, or the trid
 * is not valid; -EPERM the environment was opened with no_pci; -ENODEV the trid's function does not exist, or is no NVMe drive; -ENOMEM;
 * -ECANCELED the calling coroutine was cancelled: what was connecting is closed. Errors of single controllers go to `attach`.
 * Polls until all are done, and lets the thread that is current or, in a coroutine, the others run meanwhile. Thread: that of the controllers' admin ops.
 */
NVIO_EXPORT int nvio_probe(struct nvio_env *env, const struct nvio_trid *trid, nvio_probe_fn probe, nvio_attach_fn attach, void *arg);

NVIO_END_DECLS

#endif
