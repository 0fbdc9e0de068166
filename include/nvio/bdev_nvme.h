/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * NVMe controllers as block devices: a controller is attached under a base name, and each of its active namespaces becomes a device,
 * "Nvme0n1" for namespace 1 of "Nvme0". Namespaces that come, go or change their size while it is attached do so as devices, too.
 *
 * Each nvio_thread that does I/O has a queue pair of its own, made with the thread's first channel. The controller itself is looked after
 * on the thread that attached it, which must be polled.
 */
#ifndef NVIO_BDEV_NVME_H
#define NVIO_BDEV_NVME_H

#include <stddef.h>

#include <nvio/compiler.h>
#include <nvio/op.h>

NVIO_BEGIN_DECLS

struct nvio_env;
struct nvio_ctrlr;
struct nvio_ctrlr_opts;

#define NVIO_BDEV_NVME_NAME_MAX 244 /* bytes: "n" and a namespace id make a device's name of it */

struct nvio_bdev_nvme_opts {
	size_t size;
	const char *name; /* 1 to NVIO_BDEV_NVME_NAME_MAX bytes, unique among the environment's attached controllers; copied */
	const char *trid; /* as nvio_connect() takes it: "loop:ram:64M", "trtype:PCIe traddr:0000:01:00.0", ... */
	const struct nvio_ctrlr_opts *ctrlr; /* nvio/ctrlr.h; NULL: the defaults */
};

NVIO_EXPORT void nvio_bdev_nvme_opts_init(struct nvio_bdev_nvme_opts *opts);

/*
 * Attaches: connects, and makes the devices. 0: begun, and `op` completes when that is done (or with what was in the way, nothing left
 * behind and nvio_errmsg() telling; nvio_await() is the blocking form). At once: -EINVAL NULL, a bad name or option, op flags, no current
 * nvio_thread; -EEXIST a controller of that name; -ENOMEM; and what nvio_connect() says at once. By op.status: what nvio_connect() says;
 * -EEXIST a device's name is in use; -ENOMEM; -ECANCELED it was detached, or the environment closed, before that.
 * Thread: any nvio_thread, which from then on looks after the controller and cannot be destroyed before it is detached.
 */
NVIO_EXPORT int nvio_bdev_nvme_attach(struct nvio_env *env, const struct nvio_bdev_nvme_opts *opts, struct nvio_op *op);

/*
 * Detaches: the devices are removed (their descriptors hear NVIO_BDEV_REMOVED), and when the last one is closed the controller is shut
 * down and `op` completes. 0; -ENODEV no such controller; -EALREADY another op waits for it; -EINVAL NULL, op flags, or not the attaching
 * thread. Thread: the attaching one.
 *
 * A controller that was removed, or has failed for good, is detached by itself in the same way.
 */
NVIO_EXPORT int nvio_bdev_nvme_detach(struct nvio_env *env, const char *name, struct nvio_op *op);

/*
 * The controller of a base name, for its state, its log pages and other admin commands; it is the library's, and closed by
 * detaching; so is the one function that hears its events. 0; -ENODEV no such controller, or it is not ready yet; -EINVAL NULL.
 * Any thread; admin ops: the attaching one.
 */
NVIO_EXPORT int nvio_bdev_nvme_ctrlr(struct nvio_env *env, const char *name, struct nvio_ctrlr **ctrlr);

/*
 * Calls fn for each attached controller, in the order of attaching, until it returns non-zero; returns that. fn must not attach or
 * detach. -EINVAL NULL. Thread: the attaching one of all of them.
 */
NVIO_EXPORT int nvio_bdev_nvme_for_each(struct nvio_env *env,
	int (*fn)(const char *name, struct nvio_ctrlr *ctrlr, void *arg), void *arg);

NVIO_END_DECLS

#endif
