/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * I/O on a namespace: what may be submitted, and how. A plain read or write goes straight to the transport (hot.h); everything
 * else takes the pending list (piece.c).
 */
#include "host/hot.h"

#define RW_FLAGS (NVIO_OP_FUA | NVIO_OP_LIMITED_RETRY | NVIO_OP_REAP)

/* cdw12 bits 31:16 for an op's flags (NVM Command Set 1.0 section 3.2.4). */
static uint16_t control_of(uint32_t flags)
{
	return (uint16_t)((flags & NVIO_OP_FUA ? 1u << 14 : 0) | (flags & NVIO_OP_LIMITED_RETRY ? 1u << 15 : 0));
}

/* Something about the call is wrong: finds out what. */
static COLD int refuse(const struct nvio_ns *ns, const struct nvio_qpair *qp, const void *buf, uint64_t lba, uint32_t nblocks,
	const struct nvio_op *op, uint32_t flags_allowed, bool write)
{
	uint64_t end;

	if (!ns || !qp || !op || !buf)
		return fail(-EINVAL, "io: %s is NULL", !ns ? "the namespace" : !qp ? "the queue pair" : !op ? "the op" : "the buffer");
	if (!ns->ctrlr)
		return fail(-ENODEV, "io: namespace %u: its controller is closed", ns->nsid);
	if (!qp->ctrlr)
		return fail(-ENODEV, "io: queue pair %u: its controller is closed", qp->qid);
	if (qp->ctrlr != ns->ctrlr)
		return fail(-EINVAL, "io: queue pair %u and namespace %u belong to different controllers", qp->qid, ns->nsid);
	if (!ns->num_blocks)
		return fail(-ENODEV, "io: namespace %u is not active any more", ns->nsid);
	if (!nblocks)
		return fail(-EINVAL, "io: namespace %u: zero blocks", ns->nsid);
	if (__builtin_add_overflow(lba, nblocks, &end) || end > ns->num_blocks)
		return fail(-ERANGE, "io: namespace %u: blocks %llu + %u lie beyond the last of its %llu blocks", ns->nsid,
			(unsigned long long)lba, nblocks, (unsigned long long)ns->num_blocks);
	if (op->flags & ~flags_allowed)
		return fail(-EINVAL, "io: namespace %u: op flags %#x are not for this operation (allowed: %#x)", ns->nsid,
			op->flags & ~flags_allowed, flags_allowed);
	if ((op->flags & NVIO_OP_REAP) && op->done)
		return fail(-EINVAL, "io: NVIO_OP_REAP is for ops without a callback");
	if ((op->flags & NVIO_OP_REAP) && op->state == OP_REAPABLE)
		return fail(-EINVAL, "io: the op has ended and was not reaped yet; nvio_qpair_reap() or nvio_wait() first");
	if (write && ns->read_only)
		return fail(-EROFS, "io: namespace %u is write-protected", ns->nsid);
	return fail(-EINVAL, "io: namespace %u: the op is in flight already", ns->nsid);
}

static bool acceptable(const struct nvio_ns *ns, const struct nvio_qpair *qp, const void *buf, uint64_t lba,
	uint32_t nblocks, const struct nvio_op *op, uint32_t flags_allowed, bool write)
{
	uint64_t end;

	if (unlikely(!ns || !qp || !buf || !op))
		return false;
	/* A namespace that is gone has no blocks, so this also turns away closed controllers. */
	if (unlikely(!nblocks || __builtin_add_overflow(lba, nblocks, &end) || end > ns->num_blocks))
		return false;
	if (unlikely(qp->ctrlr != ns->ctrlr || (op->flags & ~flags_allowed) || op->status == -EINPROGRESS))
		return false;
	if (unlikely((op->flags & NVIO_OP_REAP) && (op->done || op->state == OP_REAPABLE)))
		return false;
	return !write || likely(!ns->read_only);
}

static int submit(struct nvio_ns *ns, struct nvio_qpair *qp, enum host_io_kind kind, uint8_t opcode, void *data, uint32_t iovcnt,
	uint64_t lba, uint32_t nblocks, struct nvio_op *op)
{
	size_t len = kind == HOST_IO_RW ? (size_t)nblocks << ns->shift : 0;
	int rc = qp->ops->reach && !ns->ctrlr->opts.bounce ? qpair_check_reach(qp, data, iovcnt, len) : 0;

	if (!rc)
		rc = qpair_admit(qp, data, iovcnt, len);
	if (rc)
		return rc;
	io_describe(op, ns, (uint8_t)kind, opcode, data, iovcnt, lba, nblocks, control_of(op->flags));
	qpair_submit_slow(qp, op);
	return 0;
}

int io_submit(struct nvio_ns *ns, struct nvio_qpair *qp, uint8_t opcode, void *buf, uint64_t lba, uint32_t nblocks, struct nvio_op *op)
{
	bool write = opcode == NVIO_NVM_WRITE;

	if (!acceptable(ns, qp, buf, lba, nblocks, op, RW_FLAGS, write))
		return refuse(ns, qp, buf, lba, nblocks, op, RW_FLAGS, write);
	return submit(ns, qp, HOST_IO_RW, opcode, buf, 0, lba, nblocks, op);
}

int io_submit_read(struct nvio_ns *ns, struct nvio_qpair *qp, void *buf, uint64_t lba, uint32_t nblocks, struct nvio_op *op)
{
	return io_submit(ns, qp, NVIO_NVM_READ, buf, lba, nblocks, op);
}

int io_submit_write(struct nvio_ns *ns, struct nvio_qpair *qp, void *buf, uint64_t lba, uint32_t nblocks, struct nvio_op *op)
{
	return io_submit(ns, qp, NVIO_NVM_WRITE, buf, lba, nblocks, op);
}

int nvio_ns_read(struct nvio_ns *ns, struct nvio_qpair *qp, void *buf, uint64_t lba, uint32_t nblocks, struct nvio_op *op)
{
	if (unlikely(!qp))
		return io_submit(ns, qp, NVIO_NVM_READ, buf, lba, nblocks, op);
	return qp->ops->read(ns, qp, buf, lba, nblocks, op);
}

int nvio_ns_write(struct nvio_ns *ns, struct nvio_qpair *qp, const void *buf, uint64_t lba, uint32_t nblocks, struct nvio_op *op)
{
	void *data = (void *)(uintptr_t)buf;

	if (unlikely(!qp))
		return io_submit(ns, qp, NVIO_NVM_WRITE, data, lba, nblocks, op);
	return qp->ops->write(ns, qp, data, lba, nblocks, op);
}

/* ---- what is not hot ---- */

static int rwv(struct nvio_ns *ns, struct nvio_qpair *qp, uint8_t opcode, const struct iovec *iov, int iovcnt, uint64_t lba,
	uint32_t nblocks, struct nvio_op *op)
{
	bool write = opcode == NVIO_NVM_WRITE;
	uint64_t have = 0, need;

	if (!acceptable(ns, qp, iov, lba, nblocks, op, RW_FLAGS, write))
		return refuse(ns, qp, iov, lba, nblocks, op, RW_FLAGS, write);
	need = (uint64_t)nblocks << ns->shift;
	for (int i = 0; i < iovcnt && have < need; i++) {
		if (iov[i].iov_len && !iov[i].iov_base)
			return fail(-EINVAL, "io: namespace %u: piece %d of the iovec is NULL", ns->nsid, i);
		if (__builtin_add_overflow(have, iov[i].iov_len, &have))
			return fail(-EINVAL, "io: namespace %u: the iovec's length overflows at piece %d", ns->nsid, i);
	}
	if (iovcnt <= 0 || have < need)
		return fail(-EINVAL, "io: namespace %u: the %d pieces of the iovec hold %llu bytes; %u blocks need %llu", ns->nsid, iovcnt,
			(unsigned long long)have, nblocks, (unsigned long long)need);
	return submit(ns, qp, HOST_IO_RW, opcode, (void *)(uintptr_t)iov, (uint32_t)iovcnt, lba, nblocks, op);
}

int nvio_ns_readv(struct nvio_ns *ns, struct nvio_qpair *qp, const struct iovec *iov, int iovcnt, uint64_t lba, uint32_t nblocks,
	struct nvio_op *op)
{
	return rwv(ns, qp, NVIO_NVM_READ, iov, iovcnt, lba, nblocks, op);
}

int nvio_ns_writev(struct nvio_ns *ns, struct nvio_qpair *qp, const struct iovec *iov, int iovcnt, uint64_t lba, uint32_t nblocks,
	struct nvio_op *op)
{
	return rwv(ns, qp, NVIO_NVM_WRITE, iov, iovcnt, lba, nblocks, op);
}

/* Optional NVM commands: Identify Controller, ONCS (NVM Command Set 1.0 section 4.1.5.2). */
static int need_oncs(const struct nvio_ns *ns, uint16_t bit, const char *what)
{
	if (nvio_get_le16(ns->ctrlr->id.oncs) & bit)
		return 0;
	return fail(-EOPNOTSUPP, "io: namespace %u: the controller has no %s command (ONCS)", ns->nsid, what);
}

int nvio_ns_flush(struct nvio_ns *ns, struct nvio_qpair *qp, struct nvio_op *op)
{
	if (!acceptable(ns, qp, op, 0, 1, op, NVIO_OP_REAP, false))
		return refuse(ns, qp, op, 0, 1, op, NVIO_OP_REAP, false);
	return submit(ns, qp, HOST_IO_NODATA, NVIO_NVM_FLUSH, NULL, 0, 0, 0, op);
}

int nvio_ns_compare(struct nvio_ns *ns, struct nvio_qpair *qp, const void *buf, uint64_t lba, uint32_t nblocks, struct nvio_op *op)
{
	int rc;

	if (!acceptable(ns, qp, buf, lba, nblocks, op, RW_FLAGS, false))
		return refuse(ns, qp, buf, lba, nblocks, op, RW_FLAGS, false);
	rc = need_oncs(ns, NVIO_ONCS_COMPARE, "Compare");
	if (rc)
		return rc;
	return submit(ns, qp, HOST_IO_RW, NVIO_NVM_COMPARE, (void *)(uintptr_t)buf, 0, lba, nblocks, op);
}

int nvio_ns_comparev(struct nvio_ns *ns, struct nvio_qpair *qp, const struct iovec *iov, int iovcnt, uint64_t lba, uint32_t nblocks,
	struct nvio_op *op)
{
	int rc = ns && ns->ctrlr ? need_oncs(ns, NVIO_ONCS_COMPARE, "Compare") : 0;

	return rc ? rc : rwv(ns, qp, NVIO_NVM_COMPARE, iov, iovcnt, lba, nblocks, op);
}

int nvio_ns_write_zeroes(struct nvio_ns *ns, struct nvio_qpair *qp, uint64_t lba, uint32_t nblocks, struct nvio_op *op)
{
	int rc;

	if (!acceptable(ns, qp, op, lba, nblocks, op, RW_FLAGS, true))
		return refuse(ns, qp, op, lba, nblocks, op, RW_FLAGS, true);
	rc = need_oncs(ns, NVIO_ONCS_WRITE_ZEROES, "Write Zeroes");
	if (rc)
		return rc;
	return submit(ns, qp, HOST_IO_NODATA, NVIO_NVM_WRITE_ZEROES, NULL, 0, lba, nblocks, op);
}

int nvio_ns_deallocate(struct nvio_ns *ns, struct nvio_qpair *qp, const struct nvio_lba_range *ranges, uint32_t count, struct nvio_op *op)
{
	int rc;

	if (!acceptable(ns, qp, ranges, 0, 1, op, NVIO_OP_REAP, true))
		return refuse(ns, qp, ranges, 0, 1, op, NVIO_OP_REAP, true);
	if (count < 1 || count > 256)
		return fail(-EINVAL, "io: deallocate: %u ranges; one command takes 1 to 256", count);
	for (uint32_t i = 0; i < count; i++)
		if (!acceptable(ns, qp, ranges, ranges[i].lba, ranges[i].nblocks, op, NVIO_OP_REAP, true))
			return refuse(ns, qp, ranges, ranges[i].lba, ranges[i].nblocks, op, NVIO_OP_REAP, true);
	rc = need_oncs(ns, NVIO_ONCS_DSM, "Dataset Management");
	if (rc)
		return rc;
	return submit(ns, qp, HOST_IO_RANGES, NVIO_NVM_DSM, (void *)(uintptr_t)ranges, count, 0, 0, op);
}

int nvio_qpair_io(struct nvio_qpair *qp, const struct nvio_sqe *cmd, void *buf, size_t len, struct nvio_op *op)
{
	int rc;

	if (!qp || !cmd || !op || (len && !buf))
		return fail(-EINVAL, "io: passthrough: a NULL argument");
	if (!qp->ctrlr)
		return fail(-ENODEV, "io: queue pair %u: its controller is closed", qp->qid);
	if (op->flags & ~NVIO_OP_REAP || ((op->flags & NVIO_OP_REAP) && (op->done || op->state == OP_REAPABLE)) || nvio_op_pending(op))
		return fail(-EINVAL, "io: passthrough: the op is in flight or not reaped, or has flags %#x that are not for this operation", op->flags);
	if (cmd->flags)
		return fail(-EINVAL, "io: passthrough: FUSE and PSDT (%#x) are the library's", cmd->flags);
	if (len > qp->ctrlr->max_transfer || (len > HOST_PAGE && ((uintptr_t)buf & 3)))
		return fail(-EINVAL, "io: passthrough: %zu bytes; at most %u, and a buffer beyond %u bytes is aligned to 4", len,
			qp->ctrlr->max_transfer, HOST_PAGE);
	/* What does not fit the slot's page cannot be bounced, as it has no blocks to be cut at. */
	rc = len > HOST_PAGE || !qp->ctrlr->opts.bounce ? qpair_check_reach(qp, buf, 0, len) : 0;
	if (!rc)
		rc = qpair_admit(qp, buf, 0, len);
	if (rc)
		return rc;
	io_describe(op, NULL, HOST_IO_RAW, cmd->opc, buf, 0, 0, (uint32_t)len, 0);
	op_io(op)->sqe = *cmd;
	memset(&op_io(op)->sqe.prp1, 0, 16); /* the data pointer is the library's */
	qpair_submit_slow(qp, op);
	return 0;
}
