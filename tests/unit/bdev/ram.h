/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A module of the tests' own, registered as an application would: RAM that can hold on to what it gets, has
 * limits and sees to it that they are kept, and knows as many types of I/O as it is told to.
 */
#ifndef TEST_BDEV_RAM_H
#define TEST_BDEV_RAM_H

#include "support.h"

#define RAM_HELD 64u

struct ram {
	struct nvio_bdev_params params; /* what it was registered with */
	unsigned char *data;
	struct nvio_bdev_io *held[RAM_HELD];
	unsigned held_count, room; /* room 0: everything ends inside submit */
	void *channel;
	int fail_rc;		     /* what I/O of fail_type answers */
	unsigned fail_type;	     /* a mask */
	uint64_t fail_from, fail_to; /* only that of it which touches these bytes; 0, 0: all */
	bool refuse_inside;	     /* -EOPNOTSUPP and the like come back from submit() */
	unsigned counts[NVIO_BDEV_IO_TYPES], fua_count, most_held, broken;
};

static MAYBE_UNUSED void ram_copy(
	struct ram *r, uint64_t offset, const struct iovec *iov, uint64_t left, bool in)
{
	unsigned char *at = r->data + offset;

	for (; left; iov++) {
		size_t n = MIN(iov->iov_len, left);

		if (n && in)
			memcpy(at, iov->iov_base, n);
		else if (n)
			memcpy(iov->iov_base, at, n);
		at += n;
		left -= n;
	}
}

static MAYBE_UNUSED bool ram_equal(struct ram *r, uint64_t offset, const struct iovec *iov, uint64_t left)
{
	for (; left; iov++) {
		size_t n = MIN(iov->iov_len, left);

		if (n && memcmp(r->data + offset, iov->iov_base, n))
			return false;
		offset += n;
		left -= n;
	}
	return true;
}

/* What a module may rely on. */
static MAYBE_UNUSED bool ram_limits_kept(const struct ram *r, const struct nvio_bdev_io *io)
{
	const struct nvio_bdev_params *p = &r->params;
	uint64_t left = io->len;

	if (io->type != NVIO_BDEV_IO_READ && io->type != NVIO_BDEV_IO_WRITE &&
		io->type != NVIO_BDEV_IO_COMPARE)
		return true;
	if (!io->len || (io->len | io->offset) % p->block_size ||
		io->offset + io->len > p->num_blocks * p->block_size)
		return false;
	if (p->max_io_bytes && io->len > p->max_io_bytes)
		return false;
	if (p->boundary_bytes &&
		io->offset / p->boundary_bytes != (io->offset + io->len - 1) / p->boundary_bytes)
		return false;
	if (p->max_iovcnt && (uint32_t)io->iovcnt > p->max_iovcnt)
		return false;
	for (int i = 0; i < io->iovcnt && left; i++) {
		uint64_t n = MIN(io->iov[i].iov_len, left);

		left -= n;
		if (n && p->buf_align &&
			((uintptr_t)io->iov[i].iov_base % p->buf_align || (left && n % p->buf_align)))
			return false;
	}
	return !left;
}

static MAYBE_UNUSED int ram_do(struct ram *r, struct nvio_bdev_io *io)
{
	if (r->fail_type & NVIO_BDEV_CAN(io->type) &&
		(!r->fail_to || (io->offset < r->fail_to && r->fail_from < io->offset + io->len)))
		return r->fail_rc;
	switch (io->type) {
	case NVIO_BDEV_IO_READ: ram_copy(r, io->offset, io->iov, io->len, false); return 0;
	case NVIO_BDEV_IO_WRITE: ram_copy(r, io->offset, io->iov, io->len, true); return 0;
	case NVIO_BDEV_IO_WRITE_ZEROES: memset(r->data + io->offset, 0, io->len); return 0;
	case NVIO_BDEV_IO_COPY: memcpy(r->data + io->offset, r->data + io->src, io->len); return 0;
	case NVIO_BDEV_IO_COMPARE: return ram_equal(r, io->offset, io->iov, io->len) ? 0 : -EILSEQ;
	case NVIO_BDEV_IO_COMPARE_AND_WRITE:
		if (!ram_equal(r, io->offset, io->iov, io->len))
			return -EILSEQ;
		ram_copy(r, io->offset, io->iov2, io->len, true);
		return 0;
	default: return 0;
	}
}

static MAYBE_UNUSED int ram_submit(void *device, void *channel, struct nvio_bdev_io *io)
{
	struct ram *r = device;
	int rc;

	if (r->room && r->held_count == r->room)
		return -EAGAIN;
	r->broken += !ram_limits_kept(r, io);
	r->counts[io->type]++;
	r->fua_count += io->fua;
	if (r->room) {
		r->held[r->held_count++] = io;
		r->most_held = MAX(r->most_held, r->held_count);
		return 0;
	}
	rc = ram_do(r, io);
	if (rc && r->refuse_inside)
		return rc;
	nvio_bdev_io_done(io, rc);
	return 0;
}

/* Ends so many of those held, the oldest first. */
static MAYBE_UNUSED void ram_let_go(struct ram *r, unsigned count)
{
	for (unsigned i = 0; i < count && r->held_count; i++) {
		struct nvio_bdev_io *io = r->held[0];

		memmove(r->held, r->held + 1, --r->held_count * sizeof(r->held[0]));
		nvio_bdev_io_done(io, ram_do(r, io));
	}
	nvio_bdev_channel_ready(r->channel);
}

static MAYBE_UNUSED int ram_channel_create(void *device, void *channel, struct nvio_thread *thread)
{
	((struct ram *)device)->channel = channel;
	return 0;
}

static MAYBE_UNUSED void ram_channel_destroy(void *device, void *channel)
{
	struct ram *r = device;

	while (r->held_count)
		ram_let_go(r, r->held_count);
}

static MAYBE_UNUSED void ram_destroy(void *device)
{
	free(((struct ram *)device)->data);
	((struct ram *)device)->data = NULL;
}

static const struct nvio_bdev_module ram_module = {
	.name = "ram",
	.submit = ram_submit,
	.channel_create = ram_channel_create,
	.channel_destroy = ram_channel_destroy,
	.destroy = ram_destroy,
};

/* A device "r" out of r->params, of which this sets what is not a limit; the content is a pattern. */
static MAYBE_UNUSED void ram_make(struct fixture *f, struct ram *r, uint32_t io_types, uint64_t num_blocks)
{
	struct nvio_bdev_params limits = r->params;
	int rc = nvio_bdev_module_register(f->env, &ram_module);

	assert_true(!rc || rc == -EEXIST);
	nvio_bdev_params_init(&r->params);
	r->params.module = &ram_module;
	r->params.name = "r";
	r->params.device = r;
	r->params.num_blocks = num_blocks;
	r->params.io_types |= io_types;
	if (limits.block_size)
		r->params.block_size = limits.block_size;
	r->params.max_io_bytes = limits.max_io_bytes;
	r->params.boundary_bytes = limits.boundary_bytes;
	r->params.max_iovcnt = limits.max_iovcnt;
	r->params.buf_align = limits.buf_align;
	r->data = malloc(num_blocks * r->params.block_size);
	assert_non_null(r->data);
	for (uint64_t i = 0; i < num_blocks * r->params.block_size; i++)
		r->data[i] = (unsigned char)(i * 7 + i / 512);
	assert_ok(nvio_bdev_register(f->env, &r->params));
}

/* Until the op has ended, however little the device does by itself. */
static MAYBE_UNUSED int ram_wait(struct fixture *f, struct ram *r, struct nvio_op *op)
{
	while (nvio_op_pending(op)) {
		if (r->room)
			ram_let_go(r, 1);
		nvio_thread_poll(f->thread, 0);
	}
	return op->status;
}

#endif
