/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The nvme device: a namespace of any controller that the driver reaches. This is an I/O's way to the driver and back: a command out of
 * the queue's pool carries the driver's op, so nothing is allocated.
 */
#include "bdev/modules/nvme.h"

#include "bdev/modules/modules.h"

void nvme_cmd_end(struct nvme_cmd *cmd, int status)
{
	struct nvme_channel *ch = cmd->ch;
	struct nvme_queue *q = ch->queue;
	struct nvio_bdev_io *io = cmd->io;

	cmd->next = q->free;
	q->free = cmd;
	ch->in_flight--;
	q->in_flight--;
	bdev_io_done(io, status);
	if (unlikely(q->starved))
		nvme_queue_feed(q);
}

static int piece_submit(const struct nvme_bdev *b, struct nvme_cmd *cmd)
{
	struct nvio_qpair *qp = cmd->ch->queue->qp;
	struct nvio_lba_range *r = &cmd->range;

	r->nblocks = (uint32_t)MIN(cmd->rest, NVME_PIECE);
	if (cmd->io->type == NVIO_BDEV_IO_UNMAP)
		return nvio_ns_deallocate(b->ns, qp, r, 1, &cmd->op);
	return nvio_ns_write_zeroes(b->ns, qp, r->lba, r->nblocks, &cmd->op);
}

static const struct nvme_bdev *bdev_of(const struct nvio_bdev_io *io)
{
	const struct bdev_channel *ch = io->channel;

	return ch->bdev->device;
}

static void piece_done(struct nvio_op *op)
{
	struct nvme_cmd *cmd = container_of(op, struct nvme_cmd, op);
	int status = op->status;

	if (!status) {
		cmd->range.lba += cmd->range.nblocks;
		cmd->rest -= cmd->range.nblocks;
		if (!cmd->rest) {
			nvme_cmd_end(cmd, 0);
			return;
		}
		status = piece_submit(bdev_of(cmd->io), cmd);
		if (!status)
			return;
	} else if (op->cpl.answered) {
		nvio_bdev_io_set_cpl(cmd->io, &op->cpl);
	}
	nvme_cmd_end(cmd, status);
}

/* Whoever sent a command of its own wants to know the answer, whatever it is. */
static COLD void done_with_answer(struct nvme_cmd *cmd)
{
	if (cmd->op.cpl.answered)
		nvio_bdev_io_set_cpl(cmd->io, &cmd->op.cpl);
	nvme_cmd_end(cmd, cmd->op.status);
}

static void raw_done(struct nvio_op *op)
{
	done_with_answer(container_of(op, struct nvme_cmd, op));
}

static void done(struct nvio_op *op)
{
	struct nvme_cmd *cmd = container_of(op, struct nvme_cmd, op);

	if (unlikely(op->status))
		done_with_answer(cmd);
	else
		nvme_cmd_end(cmd, 0);
}

/* Reset and admin commands end at the controller's home; from there they go to the queue's thread, which is awake while any is out. */
static void admin_done(struct nvio_op *op)
{
	struct nvme_queue *q = container_of(op, struct nvme_cmd, op)->ch->queue;

	pthread_mutex_lock(&q->lock);
	op_queue_push(&q->admin_done, op);
	pthread_mutex_unlock(&q->lock);
}

int nvme_reset_begin(struct nvme_queue *q, struct nvme_cmd *cmd)
{
	int rc = nvio_ctrlr_reset(q->nc->ctrlr, &cmd->op);

	if (rc != -EALREADY)
		return rc;
	/* The one that is under way may have begun before what this one is to mend. */
	fail_clear();
	op_queue_push(&q->resets, &cmd->op);
	return 0;
}

static int admin_submit(struct nvme_queue *q, struct nvme_cmd *cmd, const struct nvio_bdev_io *io)
{
	int rc;

	cmd->op.done = admin_done;
	if (io->type == NVIO_BDEV_IO_RESET)
		rc = nvme_reset_begin(q, cmd);
	else
		rc = nvio_ctrlr_admin(q->nc->ctrlr, io->cmd, io->len ? io->iov->iov_base : NULL, io->len, &cmd->op);
	if (rc)
		return rc;
	q->admin_out++;
	if (q->thread == q->nc->home)
		nvme_ctrlr_wake(q->nc);
	return 0;
}

/* The device is one namespace, and so are its commands, whatever they say. */
static int raw_submit(const struct nvme_bdev *b, struct nvme_queue *q, struct nvme_cmd *cmd, const struct nvio_bdev_io *io)
{
	struct nvio_sqe sqe = *io->cmd;

	sqe.nsid = nvio_to_le32(b->nsid);
	cmd->op.done = raw_done;
	return nvio_qpair_io(q->qp, &sqe, io->len ? io->iov->iov_base : NULL, io->len, &cmd->op);
}

static COLD int submit_rare(const struct nvme_bdev *b, struct nvme_queue *q, struct nvme_cmd *cmd, const struct nvio_bdev_io *io)
{
	switch (io->type) {
	case NVIO_BDEV_IO_FLUSH:
		return nvio_ns_flush(b->ns, q->qp, &cmd->op);
	case NVIO_BDEV_IO_WRITE_ZEROES:
	case NVIO_BDEV_IO_UNMAP:
		cmd->op.done = piece_done;
		cmd->rest = io->len >> b->shift;
		cmd->range.lba = io->offset >> b->shift;
		return piece_submit(b, cmd);
	case NVIO_BDEV_IO_NVME:
		if (io->len && io->iovcnt != 1)
			return fail(-EINVAL, "bdev: nvme: %s: a command's buffer must be in one piece", b->name);
		return raw_submit(b, q, cmd, io);
	case NVIO_BDEV_IO_NVME_ADMIN:
		if (io->len && io->iovcnt != 1)
			return fail(-EINVAL, "bdev: nvme: %s: a command's buffer must be in one piece", b->name);
		return admin_submit(q, cmd, io);
	case NVIO_BDEV_IO_RESET:
		return admin_submit(q, cmd, io);
	default:
		return -EOPNOTSUPP;
	}
}

/* What moves data. */
static ALWAYS_INLINE int submit_data(const struct nvme_bdev *b, struct nvme_queue *q, struct nvme_cmd *cmd,
	const struct nvio_bdev_io *io)
{
	uint64_t lba = io->offset >> b->shift, blocks = io->len >> b->shift;
	uint32_t n = (uint32_t)blocks;
	void *buf = io->iov->iov_base;

	if (unlikely(blocks > NVME_PIECE))
		return fail(-EINVAL, "bdev: nvme: %s: %llu blocks; at most %u go in one I/O", b->name, (unsigned long long)blocks,
			NVME_PIECE);
	if (likely(io->iovcnt == 1)) {
		if (io->type == NVIO_BDEV_IO_READ)
			return nvio_ns_read(b->ns, q->qp, buf, lba, n, &cmd->op);
		if (io->type == NVIO_BDEV_IO_WRITE)
			return nvio_ns_write(b->ns, q->qp, buf, lba, n, &cmd->op);
		return nvio_ns_compare(b->ns, q->qp, buf, lba, n, &cmd->op);
	}
	if (io->type == NVIO_BDEV_IO_READ)
		return nvio_ns_readv(b->ns, q->qp, io->iov, io->iovcnt, lba, n, &cmd->op);
	if (io->type == NVIO_BDEV_IO_WRITE)
		return nvio_ns_writev(b->ns, q->qp, io->iov, io->iovcnt, lba, n, &cmd->op);
	return nvio_ns_comparev(b->ns, q->qp, io->iov, io->iovcnt, lba, n, &cmd->op);
}

/* All commands are out, or the queue pair is gone with its environment. */
static COLD int no_room(struct nvme_channel *ch)
{
	struct nvme_queue *q = ch->queue;

	if (!q->qp)
		return fail(-ENODEV, "bdev: nvme: %s: the controller is closed", q->nc->name);
	if (list_empty(&ch->waiting))
		list_push_back(&q->waiting, &ch->waiting);
	q->starved = true;
	return -EAGAIN;
}

int nvme_submit(void *device, void *channel, struct nvio_bdev_io *io)
{
	const struct nvme_bdev *b = device;
	struct nvme_channel *ch = channel;
	struct nvme_queue *q = ch->queue;
	struct nvme_cmd *cmd = q->free;
	int rc;

	if (unlikely(!cmd))
		return no_room(ch);
	cmd->io = io;
	cmd->ch = ch;
	cmd->op.done = done;
	cmd->op.timeout_us = bdev_io_op(io)->timeout_us;
	cmd->op.flags = unlikely(io->fua) ? NVIO_OP_FUA : 0;
	if (likely(io->type <= NVIO_BDEV_IO_WRITE || io->type == NVIO_BDEV_IO_COMPARE))
		rc = submit_data(b, q, cmd, io);
	else
		rc = submit_rare(b, q, cmd, io);
	if (unlikely(rc))
		return rc;
	/* It has not ended: the driver ends nothing within a submit, and what has ended at the controller's home is still to be fetched. */
	q->free = cmd->next;
	ch->in_flight++;
	q->in_flight++;
	if (unlikely(q->resting))
		nvme_queue_wake(q);
	return 0;
}

const struct nvio_bdev_module nvme_module = {
	.name = "nvme",
	.submit = nvme_submit,
	.channel_create = nvme_channel_create,
	.channel_destroy = nvme_channel_destroy,
	.abort = nvme_channel_abort,
	.resize = nvme_resize,
	.destroy = nvme_destroy,
};
