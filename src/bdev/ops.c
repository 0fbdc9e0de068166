/* SPDX-License-Identifier: BSD-3-Clause */
/* Submitting everything that is neither a read nor a write. What a module lacks of it is made of reads and writes by pieces.c. */
#include <inttypes.h>

#include "bdev/submit.h"
#include <nvio/error.h>

/* Of types that have a range and no data. */
static int submit_range(struct nvio_bdev_desc *desc, struct nvio_channel *handle, enum nvio_bdev_io_type type,
	uint64_t offset, uint64_t len, struct nvio_op *op)
{
	if (!bdev_io_valid(desc, handle, op, type, offset, len))
		return bdev_io_refuse(desc, handle, op, type, offset, len);
	return bdev_io_submit_slow(bdev_io_begin(desc, channel_ctx(handle), op, type, offset, len));
}

int nvio_bdev_write_zeroes(struct nvio_bdev_desc *desc, struct nvio_channel *ch, uint64_t offset, uint64_t len,
	struct nvio_op *op)
{
	return submit_range(desc, ch, NVIO_BDEV_IO_WRITE_ZEROES, offset, len, op);
}

int nvio_bdev_unmap(struct nvio_bdev_desc *desc, struct nvio_channel *ch, uint64_t offset, uint64_t len, struct nvio_op *op)
{
	return submit_range(desc, ch, NVIO_BDEV_IO_UNMAP, offset, len, op);
}

/* Everything else about a submit of a type without a range: a block stands for it in the checks. */
static int check_rangeless(const struct nvio_bdev_desc *desc, const struct nvio_channel *handle, const struct nvio_op *op,
	enum nvio_bdev_io_type type)
{
	uint64_t block = desc ? desc->bdev->block_size : 0;

	return bdev_io_valid(desc, handle, op, type, 0, block) ? 0 : bdev_io_refuse(desc, handle, op, type, 0, block);
}

int nvio_bdev_flush(struct nvio_bdev_desc *desc, struct nvio_channel *handle, struct nvio_op *op)
{
	int rc = check_rangeless(desc, handle, op, NVIO_BDEV_IO_FLUSH);

	if (rc)
		return rc;
	return bdev_io_submit_slow(bdev_io_begin(desc, channel_ctx(handle), op, NVIO_BDEV_IO_FLUSH, 0, 0));
}

int nvio_bdev_compare(struct nvio_bdev_desc *desc, struct nvio_channel *handle, const void *buf, uint64_t offset,
	uint64_t len, struct nvio_op *op)
{
	struct nvio_bdev_io *io;

	if (!buf)
		return bdev_buf_refuse(NVIO_BDEV_IO_COMPARE);
	if (!bdev_io_valid(desc, handle, op, NVIO_BDEV_IO_COMPARE, offset, len))
		return bdev_io_refuse(desc, handle, op, NVIO_BDEV_IO_COMPARE, offset, len);
	if (NVIO_CHECKED && bdev_hold_buffer(desc->bdev->env, buf, len))
		return -EFAULT;
	io = bdev_io_begin(desc, channel_ctx(handle), op, NVIO_BDEV_IO_COMPARE, offset, len);
	io->one = (struct iovec){ (void *)buf, len };
	io->iov = &io->one;
	return bdev_io_submit_slow(io);
}

int nvio_bdev_comparev(struct nvio_bdev_desc *desc, struct nvio_channel *handle, const struct iovec *iov, int iovcnt,
	uint64_t offset, uint64_t len, struct nvio_op *op)
{
	struct nvio_bdev_io *io;
	int rc;

	if (!bdev_io_valid(desc, handle, op, NVIO_BDEV_IO_COMPARE, offset, len))
		return bdev_io_refuse(desc, handle, op, NVIO_BDEV_IO_COMPARE, offset, len);
	rc = bdev_iov_check(NVIO_BDEV_IO_COMPARE, iov, iovcnt, len);
	if (NVIO_CHECKED && !rc)
		rc = bdev_hold_iov(desc->bdev->env, iov, len);
	if (rc)
		return rc;
	io = bdev_io_begin(desc, channel_ctx(handle), op, NVIO_BDEV_IO_COMPARE, offset, len);
	io->iov = iov;
	io->iovcnt = iovcnt;
	return bdev_io_submit_slow(io);
}

/* The buffers of a compare and write, in checked builds. */
static int hold_both(struct nvio_env *env, const struct iovec *compare, const struct iovec *write, uint64_t len)
{
	int rc;

	if (!NVIO_CHECKED)
		return 0;
	rc = bdev_hold_iov(env, compare, len);
	if (rc)
		return rc;
	rc = bdev_hold_iov(env, write, len);
	if (rc)
		bdev_release_iov(env, compare, len);
	return rc;
}

int nvio_bdev_compare_and_write(struct nvio_bdev_desc *desc, struct nvio_channel *handle, const void *compare,
	const void *write, uint64_t offset, uint64_t len, struct nvio_op *op)
{
	const struct iovec one = { (void *)compare, len }, two = { (void *)write, len };
	struct nvio_bdev_io *io;
	int rc;

	if (!compare || !write)
		return bdev_buf_refuse(NVIO_BDEV_IO_COMPARE_AND_WRITE);
	if (!bdev_io_valid(desc, handle, op, NVIO_BDEV_IO_COMPARE_AND_WRITE, offset, len))
		return bdev_io_refuse(desc, handle, op, NVIO_BDEV_IO_COMPARE_AND_WRITE, offset, len);
	rc = hold_both(desc->bdev->env, &one, &two, len);
	if (rc)
		return rc;
	io = bdev_io_begin(desc, channel_ctx(handle), op, NVIO_BDEV_IO_COMPARE_AND_WRITE, offset, len);
	io->one = one;
	io->two = two;
	io->iov = &io->one;
	io->iov2 = &io->two;
	io->iovcnt2 = 1;
	return bdev_io_submit_slow(io);
}

int nvio_bdev_compare_and_writev(struct nvio_bdev_desc *desc, struct nvio_channel *handle, const struct iovec *compare,
	int compare_count, const struct iovec *write, int write_count, uint64_t offset, uint64_t len, struct nvio_op *op)
{
	struct nvio_bdev_io *io;
	int rc;

	if (!bdev_io_valid(desc, handle, op, NVIO_BDEV_IO_COMPARE_AND_WRITE, offset, len))
		return bdev_io_refuse(desc, handle, op, NVIO_BDEV_IO_COMPARE_AND_WRITE, offset, len);
	rc = bdev_iov_check(NVIO_BDEV_IO_COMPARE_AND_WRITE, compare, compare_count, len);
	if (!rc)
		rc = bdev_iov_check(NVIO_BDEV_IO_COMPARE_AND_WRITE, write, write_count, len);
	if (!rc)
		rc = hold_both(desc->bdev->env, compare, write, len);
	if (rc)
		return rc;
	io = bdev_io_begin(desc, channel_ctx(handle), op, NVIO_BDEV_IO_COMPARE_AND_WRITE, offset, len);
	io->iov = compare;
	io->iovcnt = compare_count;
	io->iov2 = write;
	io->iovcnt2 = write_count;
	return bdev_io_submit_slow(io);
}

int nvio_bdev_copy(struct nvio_bdev_desc *desc, struct nvio_channel *handle, uint64_t src, uint64_t offset, uint64_t len,
	struct nvio_op *op)
{
	struct nvio_bdev_io *io;

	if (!bdev_io_valid(desc, handle, op, NVIO_BDEV_IO_COPY, offset, len))
		return bdev_io_refuse(desc, handle, op, NVIO_BDEV_IO_COPY, offset, len);
	if (!bdev_range_valid(desc->bdev, src, len))
		return bdev_range_refuse(desc->bdev, "copy from", src, len);
	if (src < offset + len && offset < src + len)
		return fail(-EINVAL,
			"bdev: copy: %s: %" PRIu64 " bytes at %" PRIu64 " and at %" PRIu64
			" overlap; copy through memory instead",
			desc->bdev->name, len, src, offset);
	io = bdev_io_begin(desc, channel_ctx(handle), op, NVIO_BDEV_IO_COPY, offset, len);
	io->src = src;
	return bdev_io_submit_slow(io);
}

static int submit_command(struct nvio_bdev_desc *desc, struct nvio_channel *handle, enum nvio_bdev_io_type type,
	const struct nvio_sqe *cmd, void *buf, uint64_t len, struct nvio_op *op)
{
	struct nvio_bdev_io *io;
	int rc = check_rangeless(desc, handle, op, type);

	if (rc)
		return rc;
	if (!cmd || (!buf && len))
		return fail(-EINVAL, "bdev: %s: %s: the %s is NULL", bdev_type_name(type), desc->bdev->name,
			cmd ? "buffer" : "command");
	if (NVIO_CHECKED && len && bdev_hold_buffer(desc->bdev->env, buf, len))
		return -EFAULT;
	io = bdev_io_begin(desc, channel_ctx(handle), op, type, 0, len);
	io->one = (struct iovec){ buf, len };
	io->iov = &io->one;
	io->cmd = cmd;
	return bdev_io_submit_slow(io);
}

int nvio_bdev_nvme_io(struct nvio_bdev_desc *desc, struct nvio_channel *ch, const struct nvio_sqe *cmd, void *buf,
	uint64_t len, struct nvio_op *op)
{
	return submit_command(desc, ch, NVIO_BDEV_IO_NVME, cmd, buf, len, op);
}

int nvio_bdev_nvme_admin(struct nvio_bdev_desc *desc, struct nvio_channel *ch, const struct nvio_sqe *cmd, void *buf,
	uint64_t len, struct nvio_op *op)
{
	return submit_command(desc, ch, NVIO_BDEV_IO_NVME_ADMIN, cmd, buf, len, op);
}

enum nvio_bdev_support nvio_bdev_can(const struct nvio_bdev *bdev, enum nvio_bdev_io_type type)
{
	if ((unsigned)type >= NVIO_BDEV_IO_TYPES || !(bdev->io_types & NVIO_BDEV_CAN(type)))
		return NVIO_BDEV_CANNOT;
	return atomic_load(&bdev->native) & NVIO_BDEV_CAN(type) ? NVIO_BDEV_NATIVE : NVIO_BDEV_EMULATED;
}
