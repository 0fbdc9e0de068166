/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The namespace: its shape and its I/O. A handle stays answerable until the environment closes: after its controller is gone,
 * I/O gives -ENODEV and sizes are 0. A handle keeps its block size: a namespace that gets another one (Format) gets another
 * handle, too, and the old one is gone.
 *
 * Every submit: 0, or nothing was sent and the op is untouched:
 *   -EINVAL a NULL buffer or op, zero blocks, a queue pair of another controller, an unknown flag; -ERANGE beyond the last block;
 *   -ENODEV controller or namespace gone; -EIO controller failed; -EOPNOTSUPP the controller has no such command; -EROFS write-protected.
 * op.status at the end: 0; the errno of nvio_status_to_errno() with the words in op.cpl; -ETIMEDOUT; -ECANCELED; -ENODEV; -EIO.
 * Buffers: nblocks x block size bytes, any alignment (aligned to 4 bytes avoids a copy), the caller's, untouched until completion.
 * I/O larger than the controller takes in one command is split; the op still completes once, with the first error.
 * Thread: the queue pair's.
 */
#ifndef NVIO_NS_H
#define NVIO_NS_H

#include <stdbool.h>
#include <stdint.h>

#include <nvio/compiler.h>
#include <nvio/libc.h>
#include <nvio/op.h>
#include <nvio/spec/identify.h>

NVIO_BEGIN_DECLS

struct nvio_ctrlr;
struct nvio_ns;
struct nvio_qpair;

NVIO_EXPORT uint32_t nvio_ns_id(const struct nvio_ns *ns);
NVIO_EXPORT uint32_t nvio_ns_block_size(const struct nvio_ns *ns);    /* bytes of data per block; 0: gone */
NVIO_EXPORT uint64_t nvio_ns_num_blocks(const struct nvio_ns *ns);
NVIO_EXPORT uint64_t nvio_ns_size_bytes(const struct nvio_ns *ns);
NVIO_EXPORT uint32_t nvio_ns_max_transfer(const struct nvio_ns *ns);  /* bytes per command */
NVIO_EXPORT bool nvio_ns_is_active(const struct nvio_ns *ns);
NVIO_EXPORT bool nvio_ns_is_read_only(const struct nvio_ns *ns);
NVIO_EXPORT const struct nvio_id_ns *nvio_ns_identify(const struct nvio_ns *ns); /* NULL: gone; the data stays until the controller is closed */
NVIO_EXPORT struct nvio_ctrlr *nvio_ns_ctrlr(const struct nvio_ns *ns);          /* NULL: gone */

/* Op flags: NVIO_OP_FUA, NVIO_OP_LIMITED_RETRY. NVM Command Set 1.0 sections 3.2.4 and 3.2.6. */
NVIO_EXPORT int nvio_ns_read(struct nvio_ns *ns, struct nvio_qpair *qp, void *buf, uint64_t lba, uint32_t nblocks, struct nvio_op *op);
NVIO_EXPORT int nvio_ns_write(struct nvio_ns *ns, struct nvio_qpair *qp, const void *buf, uint64_t lba, uint32_t nblocks, struct nvio_op *op);

/* The iovec array, too, must stay until completion. Its pieces hold at least nblocks x block size bytes together (-EINVAL). */
NVIO_EXPORT int nvio_ns_readv(struct nvio_ns *ns, struct nvio_qpair *qp, const struct iovec *iov, int iovcnt, uint64_t lba, uint32_t nblocks,
	struct nvio_op *op);
NVIO_EXPORT int nvio_ns_writev(struct nvio_ns *ns, struct nvio_qpair *qp, const struct iovec *iov, int iovcnt, uint64_t lba,
	uint32_t nblocks, struct nvio_op *op);

/* Everything written before is durable when it completes (NVMe Base 2.0 section 7.1). */
NVIO_EXPORT int nvio_ns_flush(struct nvio_ns *ns, struct nvio_qpair *qp, struct nvio_op *op);

/* op.status -EILSEQ: the data differs (Compare Failure). */
NVIO_EXPORT int nvio_ns_compare(struct nvio_ns *ns, struct nvio_qpair *qp, const void *buf, uint64_t lba, uint32_t nblocks, struct nvio_op *op);
NVIO_EXPORT int nvio_ns_comparev(struct nvio_ns *ns, struct nvio_qpair *qp, const struct iovec *iov, int iovcnt, uint64_t lba,
	uint32_t nblocks, struct nvio_op *op);
NVIO_EXPORT int nvio_ns_write_zeroes(struct nvio_ns *ns, struct nvio_qpair *qp, uint64_t lba, uint32_t nblocks, struct nvio_op *op);

/* Deallocate (Dataset Management with AD): 1 to 256 ranges, which stay the caller's and untouched until completion. */
struct nvio_lba_range {
	uint64_t lba;
	uint32_t nblocks;
};
NVIO_EXPORT int nvio_ns_deallocate(struct nvio_ns *ns, struct nvio_qpair *qp, const struct nvio_lba_range *ranges, uint32_t count,
	struct nvio_op *op);

NVIO_END_DECLS

#endif
