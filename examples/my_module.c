/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two block-device modules made outside of the library, with its public headers alone: `shelf` keeps its
 * blocks in RAM, `mask` stands on another device and stores everything XORed with a byte.
 * docs/bdev-modules.md explains them line by line.
 *
 *     my_module
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nvio/bdev.h>
#include <nvio/bdev_module.h>
#include <nvio/env.h>
#include <nvio/error.h>
#include <nvio/thread.h>

/* ---- shelf: a device that stands by itself ---- */

struct shelf {
	unsigned char *bytes;
};

/* Moves `len` bytes between the shelf and the iovecs. */
static void shelf_move(unsigned char *at, const struct iovec *iov, uint64_t len, bool in)
{
	for (; len; iov++) {
		size_t n = iov->iov_len < len ? iov->iov_len : len;

		if (n && in)
			memcpy(at, iov->iov_base, n);
		else if (n)
			memcpy(iov->iov_base, at, n);
		at += n;
		len -= n;
	}
}

static int shelf_submit(void *device, void *channel, struct nvio_bdev_io *io)
{
	struct shelf *s = device;

	(void)channel;
	shelf_move(s->bytes + io->offset, io->iov, io->len, io->type == NVIO_BDEV_IO_WRITE);
	nvio_bdev_io_done(io, 0);
	return 0;
}

static void shelf_destroy(void *device)
{
	struct shelf *s = device;

	free(s->bytes);
	free(s);
}

static const struct nvio_bdev_module shelf_module = {
	.name = "shelf",
	.submit = shelf_submit,
	.destroy = shelf_destroy,
};

static int shelf_create(struct nvio_env *env, const char *name, uint64_t num_blocks)
{
	struct shelf *s = calloc(1, sizeof(*s));
	struct nvio_bdev_params params;
	int rc = -ENOMEM;

	if (!s)
		return rc;
	s->bytes = calloc(num_blocks, 512);
	if (!s->bytes)
		goto free_device;
	nvio_bdev_params_init(&params); /* reads and writes, blocks of 512 */
	params.module = &shelf_module;
	params.name = name;
	params.device = s;
	params.num_blocks = num_blocks;
	rc = nvio_bdev_register(env, &params);
	if (!rc)
		return 0;
free_device:
	shelf_destroy(s); /* registered it would be the library's */
	return rc;
}

/* ---- mask: a device that stands on another one ---- */

#define MASK_BUFFERS 64u
#define MASK_BYTES   65536u

struct mask {
	struct nvio_bdev_base *base;
	unsigned char key;
};

/* What is written goes down in memory of our own: the caller's must stay as it is. */
struct mask_buffer {
	struct mask_buffer *next;
	struct iovec iov;
	const struct iovec *callers; /* put back when it returns */
	int32_t callers_count;
};

struct mask_channel {
	struct nvio_channel *below;
	struct mask_buffer *free;
	struct mask_buffer buffers[MASK_BUFFERS];
};

static void mask_bytes(unsigned char *at, uint64_t len, unsigned char key)
{
	for (uint64_t i = 0; i < len; i++)
		at[i] ^= key;
}

static void mask_iov(const struct iovec *iov, uint64_t len, unsigned char key)
{
	for (; len; iov++) {
		uint64_t n = iov->iov_len < len ? iov->iov_len : len;

		mask_bytes(iov->iov_base, n, key);
		len -= n;
	}
}

/* What it needs to know later is in io->context, which is ours while the I/O is with us and below. */
static int mask_write(struct mask *m, struct mask_channel *c, struct nvio_bdev_io *io)
{
	struct mask_buffer *b = c->free;
	int rc;

	if (!b)
		return -EAGAIN; /* nvio_bdev_channel_ready() follows in mask_forwarded() */
	c->free = b->next;
	shelf_move(b->iov.iov_base, io->iov, io->len, true);
	mask_bytes(b->iov.iov_base, io->len, m->key);
	b->callers = io->iov;
	b->callers_count = io->iovcnt;
	io->iov = &b->iov;
	io->iovcnt = 1;
	io->context = b;
	rc = nvio_bdev_io_forward(io, nvio_bdev_base_desc(m->base), c->below, io->offset);
	if (!rc)
		return 0;
	io->iov = b->callers; /* it did not go: as if nothing had been */
	io->iovcnt = b->callers_count;
	b->next = c->free;
	c->free = b;
	return rc;
}

static int mask_submit(void *device, void *channel, struct nvio_bdev_io *io)
{
	struct mask_channel *c = channel;
	struct mask *m = device;

	if (io->type == NVIO_BDEV_IO_WRITE)
		return mask_write(m, c, io);
	return nvio_bdev_io_forward(io, nvio_bdev_base_desc(m->base), c->below, io->offset);
}

/* It has ended below. */
static void mask_forwarded(void *device, void *channel, struct nvio_bdev_io *io, int status)
{
	struct mask_channel *c = channel;
	const struct mask *m = device;

	if (io->type == NVIO_BDEV_IO_READ && !status)
		mask_iov(io->iov, io->len, m->key);
	if (io->type == NVIO_BDEV_IO_WRITE) {
		struct mask_buffer *b = io->context;

		io->iov = b->callers;
		io->iovcnt = b->callers_count;
		b->next = c->free;
		c->free = b;
	}
	nvio_bdev_io_done(io, status);
	nvio_bdev_channel_ready(c);
}

static void mask_channel_destroy(void *device, void *channel)
{
	struct mask_channel *c = channel;

	(void)device;
	for (unsigned i = 0; i < MASK_BUFFERS; i++)
		free(c->buffers[i].iov.iov_base);
	if (c->below)
		nvio_channel_put(c->below);
}

static int mask_channel_create(void *device, void *channel, struct nvio_thread *thread)
{
	struct mask_channel *c = channel; /* zeroed */
	struct mask *m = device;
	int rc = nvio_bdev_channel(nvio_bdev_base_desc(m->base), &c->below);

	(void)thread;
	for (unsigned i = 0; !rc && i < MASK_BUFFERS; i++) {
		c->buffers[i].iov = (struct iovec){ malloc(MASK_BYTES), MASK_BYTES };
		c->buffers[i].next = c->free;
		c->free = &c->buffers[i];
		rc = c->buffers[i].iov.iov_base ? 0 : -ENOMEM;
	}
	if (rc)
		mask_channel_destroy(device, channel);
	return rc;
}

static void mask_abort(void *device, void *channel)
{
	struct mask_channel *c = channel;

	(void)device;
	nvio_bdev_channel_abort(c->below);
}

static void mask_destroy(void *device)
{
	struct mask *m = device;

	nvio_bdev_base_close(m->base);
	free(m);
}

static const struct nvio_bdev_module mask_module = {
	.name = "mask",
	.submit = mask_submit,
	.forwarded = mask_forwarded,
	.channel_create = mask_channel_create,
	.channel_destroy = mask_channel_destroy,
	.abort = mask_abort,
	.destroy = mask_destroy,
};

static int mask_create(struct nvio_env *env, const char *name, const char *base, unsigned char key)
{
	struct mask *m = calloc(1, sizeof(*m));
	struct nvio_bdev_base_opts opts;
	struct nvio_bdev_params params;
	int rc;

	if (!m)
		return -ENOMEM;
	m->key = key;
	nvio_bdev_base_opts_init(&opts);
	opts.base = base;
	opts.name = name;
	rc = nvio_bdev_base_open(env, &opts, &m->base);
	if (rc)
		goto free_device;
	nvio_bdev_base_params(m->base, &params); /* its size, blocks, cache */
	params.module = &mask_module;
	params.name = name;
	params.device = m;
	params.channel_size = sizeof(struct mask_channel);
	/* Only what we understand: the rest is made of it by the library. */
	params.io_types &= NVIO_BDEV_CAN(NVIO_BDEV_IO_READ) | NVIO_BDEV_CAN(NVIO_BDEV_IO_WRITE) |
			   NVIO_BDEV_CAN(NVIO_BDEV_IO_UNMAP) | NVIO_BDEV_CAN(NVIO_BDEV_IO_FLUSH);
	params.max_io_bytes = MASK_BYTES; /* larger I/O comes in pieces */
	rc = nvio_bdev_register(env, &params);
	if (!rc)
		return 0;
	nvio_bdev_base_close(m->base);
free_device:
	free(m);
	return rc;
}

/* ---- and what an application does with them ---- */

#define STEP(call)                                                                                           \
	do {                                                                                                 \
		int rc = (call);                                                                             \
                                                                                                             \
		if (rc) {                                                                                    \
			fprintf(stderr, "%s: %s (%s)\n", #call, nvio_errno_name(rc), nvio_errmsg());         \
			exit(1);                                                                             \
		}                                                                                            \
	} while (0)

#define BYTES (1u << 20)

static unsigned char out[BYTES], in[BYTES];

static void use(struct nvio_env *env, const char *name)
{
	struct nvio_op op = NVIO_OP(NULL);
	struct nvio_bdev_desc *desc;
	struct nvio_channel *ch;

	STEP(nvio_bdev_open(env, name, NVIO_BDEV_WRITE, &desc));
	STEP(nvio_bdev_channel(desc, &ch));
	STEP(nvio_await(nvio_bdev_write(desc, ch, out, 0, BYTES, &op), &op));
	STEP(nvio_await(nvio_bdev_read(desc, ch, in, 0, BYTES, &op), &op));
	STEP(memcmp(out, in, BYTES) ? -EIO : 0);
	/* None of our modules has these. */
	STEP(nvio_await(nvio_bdev_compare(desc, ch, out, 0, BYTES, &op), &op));
	STEP(nvio_await(nvio_bdev_copy(desc, ch, 0, BYTES, BYTES, &op), &op));
	STEP(nvio_await(nvio_bdev_write_zeroes(desc, ch, 0, 4096, &op), &op));
	STEP(nvio_await(nvio_bdev_compare(desc, ch, out, BYTES, BYTES, &op), &op));
	nvio_channel_put(ch);
	STEP(nvio_bdev_close(desc));
}

int main(void)
{
	struct nvio_op op = NVIO_OP(NULL);
	struct nvio_thread *thread;
	struct nvio_bdev_desc *desc;
	struct nvio_channel *ch;
	struct nvio_env *env;

	for (unsigned i = 0; i < BYTES; i++)
		out[i] = (unsigned char)(i * 31 + i / 4096);
	STEP(nvio_env_open(NULL, &env));
	STEP(nvio_thread_create(env, NULL, &thread));
	STEP(nvio_thread_attach(thread));
	STEP(nvio_bdev_module_register(env, &shelf_module));
	STEP(nvio_bdev_module_register(env, &mask_module));
	STEP(shelf_create(env, "shelf0", 2 * BYTES / 512));
	use(env, "shelf0");
	STEP(mask_create(env, "mask0", "shelf0", 0x5a));
	use(env, "mask0");
	/* What lies on the shelf is masked. */
	STEP(nvio_bdev_open(env, "shelf0", NVIO_BDEV_READ, &desc));
	STEP(nvio_bdev_channel(desc, &ch));
	STEP(nvio_await(nvio_bdev_read(desc, ch, in, BYTES, BYTES, &op), &op));
	STEP(in[1000] == (out[1000] ^ 0x5a) ? 0 : -EIO);
	nvio_channel_put(ch);
	STEP(nvio_bdev_close(desc));
	/* Removing the device below takes the one above along. */
	STEP(nvio_await(nvio_bdev_delete(env, "shelf0", &op), &op));
	STEP(nvio_bdev_open(env, "mask0", NVIO_BDEV_READ, &desc) == -ENODEV ? 0 : -EEXIST);
	STEP(nvio_bdev_module_unregister(env, &mask_module));
	STEP(nvio_bdev_module_unregister(env, &shelf_module));
	STEP(nvio_thread_detach(thread));
	nvio_env_close(env);
	printf("shelf and mask: written, read, compared, copied and zeroed 1 MiB\n");
	return 0;
}
