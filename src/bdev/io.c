/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Submitting I/O: the checks, the description in the op, the call of the module. This and bdev_io_done() are
 * the hot path: what is right falls through a few comparisons (submit.h), what is wrong is sorted out by bdev_io_refuse() at
 * leisure. Reads and writes are here, everything else is in ops.c.
 */
#include <inttypes.h>

#include "bdev/gate.h"
#include "bdev/piece.h"
#include "bdev/qos.h"
#include "bdev/submit.h"

const char *bdev_type_name(unsigned type)
{
	static const char *const names[] = {
		[NVIO_BDEV_IO_READ] = "read",
		[NVIO_BDEV_IO_WRITE] = "write",
		[NVIO_BDEV_IO_WRITE_ZEROES] = "write zeroes",
		[NVIO_BDEV_IO_UNMAP] = "unmap",
		[NVIO_BDEV_IO_FLUSH] = "flush",
		[NVIO_BDEV_IO_COMPARE] = "compare",
		[NVIO_BDEV_IO_COMPARE_AND_WRITE] = "compare and write",
		[NVIO_BDEV_IO_COPY] = "copy",
		[NVIO_BDEV_IO_RESET] = "reset",
		[NVIO_BDEV_IO_NVME] = "NVMe command",
		[NVIO_BDEV_IO_NVME_ADMIN] = "NVMe admin command",
	};

	return names[type];
}

int bdev_range_refuse(const struct nvio_bdev *bdev, const char *what, uint64_t offset, uint64_t len)
{
	uint64_t size = atomic_load(&bdev->io_size);

	if (!len)
		return fail(-EINVAL, "bdev: %s: %s: length is 0", what, bdev->name);
	if ((offset | len) & bdev->block_mask)
		return fail(-EINVAL,
			"bdev: %s: %s: offset %" PRIu64 " and length %" PRIu64
			" must be multiples of the block size %u",
			what, bdev->name, offset, len, bdev->block_size);
	return fail(-ERANGE,
		"bdev: %s: %s: offset %" PRIu64 " and length %" PRIu64 " are beyond the end at %" PRIu64,
		what, bdev->name, offset, len, size);
}

int bdev_io_refuse(const struct nvio_bdev_desc *desc, const struct nvio_channel *handle,
	const struct nvio_op *op, enum nvio_bdev_io_type type, uint64_t offset, uint64_t len)
{
	const char *what = bdev_type_name(type);
	const struct nvio_bdev *bdev;

	if (!desc || !handle || !op)
		return fail(-EINVAL, "bdev: %s: %s is NULL", what,
			!desc	  ? "the descriptor"
			: !handle ? "the channel"
				  : "the op");
	bdev = desc->bdev;
	if (handle->key != bdev)
		return fail(-EINVAL,
			"bdev: %s: %s: the channel is of another device; use nvio_bdev_channel()", what,
			bdev->name);
	if (atomic_load(&bdev->removed))
		return fail(-ENODEV, "bdev: %s: %s: the device has been removed; close it", what, bdev->name);
	if (op->flags & ~bdev_allowed_flags(type))
		return fail(-EINVAL, "bdev: %s: %s: op flags 0x%x have no meaning here", what, bdev->name,
			op->flags & ~bdev_allowed_flags(type));
	if (!desc->writable && !(BDEV_READ_TYPES & NVIO_BDEV_CAN(type)))
		return fail(-EBADF, "bdev: %s: %s: the descriptor is read-only; open it with NVIO_BDEV_WRITE",
			what, bdev->name);
	if (!(desc->io_types & NVIO_BDEV_CAN(type)))
		return fail(-EOPNOTSUPP, "bdev: %s: %s: module %s cannot do this on this device", what,
			bdev->name, bdev->module->name);
	return bdev_range_refuse(bdev, what, offset, len);
}

static COLD void set_deadline(struct bdev_channel *ch, struct nvio_bdev_io *io, uint64_t timeout_us)
{
	uint64_t timeout_ns;

	if (!timeout_us || timeout_us == UINT64_MAX)
		return;
	if (__builtin_mul_overflow(timeout_us, NS_PER_US, &timeout_ns))
		timeout_ns = UINT64_MAX;
	io->deadline_ns = clock_add(clock_now(&ch->bdev->env->clock), timeout_ns);
	io->state |= BDEV_IO_DEADLINE;
}

/* The module did not take it. */
static COLD int not_taken(struct nvio_bdev_io *io, int rc)
{
	if (NVIO_CHECKED)
		bdev_check_done(io);
	if (rc == -EAGAIN)
		bdev_io_wait(io->channel, io);
	else if (io->state)
		bdev_io_done_slow(io, rc);
	else
		bdev_io_end_apart(io, rc);
	return 0;
}

int bdev_io_start(struct nvio_bdev_io *io)
{
	struct bdev_channel *ch = io->channel;
	const struct nvio_bdev *bdev = ch->bdev;
	uint32_t type = NVIO_BDEV_CAN(io->type);
	int rc = -EAGAIN;

	if (type & BDEV_EMULATED_TYPES) {
		if (!(atomic_load_explicit(&bdev->native, memory_order_relaxed) & type)) {
			bdev_emulate(io);
			return 0;
		}
		io->state |= BDEV_IO_NATIVE;
	}
	if (type == NVIO_BDEV_CAN(NVIO_BDEV_IO_FLUSH) && !bdev->volatile_cache) {
		/* Nothing is held back that could be flushed. */
		bdev_io_done_here(io, 0);
		return 0;
	}
	if (ch->gates & BDEV_GATE_LIMITS && !bdev_io_fits(bdev, io)) {
		bdev_pieces_begin(io, BDEV_PIECES_DATA);
		return 0;
	}
	if (!(ch->gates & BDEV_GATE_WAITING))
		rc = bdev->submit(bdev->device, ch->module, io);
	return rc ? not_taken(io, rc) : 0;
}

/* With a deadline, behind others that wait, or of a type that a module need not have. */
NOINLINE int bdev_io_submit_slow(struct nvio_bdev_io *io)
{
	struct bdev_channel *ch = io->channel;

	/* Of one that came from above the deadline is seen to there. */
	if (bdev_io_op(io)->timeout_us && !(io->state & BDEV_IO_FORWARDED))
		set_deadline(ch, io, bdev_io_op(io)->timeout_us);
	if (ch->gates & BDEV_GATE_TIMED)
		io->state |= BDEV_IO_TIMED;
	return bdev_gate_enter(io);
}

static ALWAYS_INLINE int io_submit(struct bdev_channel *ch, struct nvio_bdev_io *io)
{
	const struct nvio_bdev *bdev = ch->bdev;
	int rc;

	if (unlikely(bdev_io_op(io)->timeout_us | ch->gates) &&
		!(!bdev_io_op(io)->timeout_us && ch->gates == BDEV_GATE_QOS && bdev_qos_fast(ch, io)))
		return bdev_io_submit_slow(io);
	rc = bdev->submit(bdev->device, ch->module, io);
	return likely(!rc) ? 0 : not_taken(io, rc);
}

int bdev_io_hand_over(struct nvio_bdev_io *io)
{
	return io->type <= NVIO_BDEV_IO_WRITE ? io_submit(io->channel, io) : bdev_io_submit_slow(io);
}

int bdev_buf_refuse(enum nvio_bdev_io_type type)
{
	return fail(-EINVAL, "bdev: %s: the buffer is NULL", bdev_type_name(type));
}

static ALWAYS_INLINE int rw(struct nvio_bdev_desc *desc, struct nvio_channel *handle,
	enum nvio_bdev_io_type type, void *buf, uint64_t offset, uint64_t len, struct nvio_op *op)
{
	struct nvio_bdev_io *io;
	struct bdev_channel *ch;

	if (unlikely(!buf))
		return bdev_buf_refuse(type);
	if (!bdev_io_valid(desc, handle, op, type, offset, len))
		return bdev_io_refuse(desc, handle, op, type, offset, len);
	if (NVIO_CHECKED && bdev_hold_buffer(desc->bdev->env, buf, len))
		return -EFAULT;
	ch = channel_ctx(handle);
	io = bdev_io_begin(desc, ch, op, type, offset, len);
	io->one.iov_base = buf;
	io->one.iov_len = len;
	io->iov = &io->one;
	return io_submit(ch, io);
}

/* Whether the iovecs are sound and have room for `len`. 0 or -EINVAL. */
int bdev_iov_check(enum nvio_bdev_io_type type, const struct iovec *iov, int iovcnt, uint64_t len)
{
	uint64_t room = 0;

	if (!iov || iovcnt <= 0 || iovcnt > BDEV_MAX_IOVCNT)
		return fail(-EINVAL, "bdev: %s: %d iovecs at %p; 1 to %d are allowed", bdev_type_name(type),
			iovcnt, (const void *)iov, BDEV_MAX_IOVCNT);
	/* Saturates: lengths that wrap around must not look short, nor long. */
	for (int i = 0; i < iovcnt; i++) {
		if (!iov[i].iov_base && iov[i].iov_len)
			return fail(-EINVAL, "bdev: %s: iovec %d is NULL and has length %zu", bdev_type_name(type),
				i, iov[i].iov_len);
		room = clock_add(room, iov[i].iov_len);
	}
	if (room < len)
		return fail(-EINVAL,
			"bdev: %s: the iovecs hold %" PRIu64 " bytes, and the length is %" PRIu64,
			bdev_type_name(type), room, len);
	return 0;
}

static ALWAYS_INLINE int rwv(struct nvio_bdev_desc *desc, struct nvio_channel *handle,
	enum nvio_bdev_io_type type, const struct iovec *iov, int iovcnt, uint64_t offset, uint64_t len,
	struct nvio_op *op)
{
	struct nvio_bdev_io *io;
	struct bdev_channel *ch;
	int rc;

	if (!bdev_io_valid(desc, handle, op, type, offset, len))
		return bdev_io_refuse(desc, handle, op, type, offset, len);
	rc = bdev_iov_check(type, iov, iovcnt, len);
	if (NVIO_CHECKED && !rc)
		rc = bdev_hold_iov(desc->bdev->env, iov, len);
	if (unlikely(rc))
		return rc;
	ch = channel_ctx(handle);
	io = bdev_io_begin(desc, ch, op, type, offset, len);
	io->iov = iov;
	io->iovcnt = iovcnt;
	return io_submit(ch, io);
}

int nvio_bdev_read(struct nvio_bdev_desc *desc, struct nvio_channel *ch, void *buf, uint64_t offset,
	uint64_t len, struct nvio_op *op)
{
	return rw(desc, ch, NVIO_BDEV_IO_READ, buf, offset, len, op);
}

int nvio_bdev_write(struct nvio_bdev_desc *desc, struct nvio_channel *ch, const void *buf, uint64_t offset,
	uint64_t len, struct nvio_op *op)
{
	return rw(desc, ch, NVIO_BDEV_IO_WRITE, (void *)buf, offset, len, op);
}

int nvio_bdev_readv(struct nvio_bdev_desc *desc, struct nvio_channel *ch, const struct iovec *iov, int iovcnt,
	uint64_t offset, uint64_t len, struct nvio_op *op)
{
	return rwv(desc, ch, NVIO_BDEV_IO_READ, iov, iovcnt, offset, len, op);
}

int nvio_bdev_writev(struct nvio_bdev_desc *desc, struct nvio_channel *ch, const struct iovec *iov,
	int iovcnt, uint64_t offset, uint64_t len, struct nvio_op *op)
{
	return rwv(desc, ch, NVIO_BDEV_IO_WRITE, iov, iovcnt, offset, len, op);
}

/* In bytes; what is more than 64 bits can tell is beyond the end of any device, and stays so. */
static uint64_t blocks_to_bytes(const struct nvio_bdev_desc *desc, uint64_t blocks)
{
	uint64_t bytes;

	if (!desc)
		return 0;
	return __builtin_mul_overflow(blocks, (uint64_t)desc->bdev->block_size, &bytes) ? ~desc->bdev->block_mask : bytes;
}

int nvio_bdev_read_blocks(struct nvio_bdev_desc *desc, struct nvio_channel *ch, void *buf, uint64_t lba,
	uint64_t num_blocks, struct nvio_op *op)
{
	return nvio_bdev_read(desc, ch, buf, blocks_to_bytes(desc, lba), blocks_to_bytes(desc, num_blocks), op);
}

int nvio_bdev_write_blocks(struct nvio_bdev_desc *desc, struct nvio_channel *ch, const void *buf, uint64_t lba,
	uint64_t num_blocks, struct nvio_op *op)
{
	return nvio_bdev_write(desc, ch, buf, blocks_to_bytes(desc, lba), blocks_to_bytes(desc, num_blocks), op);
}

void bdev_io_done_slow(struct nvio_bdev_io *io, int status)
{
	struct bdev_channel *ch = io->channel;

	if (likely(io->state == BDEV_IO_FORWARDED)) {
		bdev_io_return(io, status);
		return;
	}
	if (io->state & BDEV_IO_PIECE) {
		bdev_piece_done(io, status);
		return;
	}
	/* Of a channel that ends nothing new begins: nobody would be left to end it. */
	if (io->state & BDEV_IO_NATIVE && status == -EOPNOTSUPP && ch->ending)
		status = -ECANCELED;
	if (io->state & BDEV_IO_NATIVE && status == -EOPNOTSUPP) {
		atomic_fetch_and_explicit(&ch->bdev->native, ~NVIO_BDEV_CAN(io->type), memory_order_relaxed);
		bdev_emulate(io);
		return;
	}
	if (io->state & (BDEV_IO_LIMITED | BDEV_IO_RESET))
		bdev_gate_done(io);
	/* -ECANCELED stands: it never reached the module, and somebody asked for just that. */
	if (io->state & BDEV_IO_DEADLINE && status != -ECANCELED &&
		clock_now(&ch->bdev->env->clock) >= io->deadline_ns)
		status = -ETIMEDOUT;
	if (io->state & BDEV_IO_TIMED)
		bdev_histogram_count(ch, io);
	if (io->state & BDEV_IO_FORWARDED)
		bdev_io_return(io, status);
	else
		bdev_io_end_apart(io, status);
}

void bdev_io_done_here(struct nvio_bdev_io *io, int status)
{
	if (NVIO_CHECKED)
		bdev_check_done(io);
	if (io->state)
		bdev_io_done_slow(io, status);
	else
		bdev_io_end_apart(io, status);
}

void nvio_bdev_io_done(struct nvio_bdev_io *io, int status)
{
	bdev_io_done(io, status);
}

void nvio_bdev_io_set_cpl(struct nvio_bdev_io *io, const struct nvio_cpl *cpl)
{
	bdev_io_op(io)->cpl = *cpl;
}
