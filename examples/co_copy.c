/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Straight-line code that never blocks the core: two coroutines copy a half each from one block device to another. The
 * second device is then read back and compared.
 *
 *     co_copy 64          MiB
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nvio/bdev.h>
#include <nvio/co.h>
#include <nvio/env.h>
#include <nvio/error.h>
#include <nvio/mem.h>

#define CHUNK 65536

struct copy {
	struct nvio_bdev_desc *src, *dst;
	struct nvio_channel *src_ch, *dst_ch;
	void *buf;
	uint64_t begin, end, chunk;
};

static int copier(void *arg) /* a coroutine on an nvio_thread */
{
	struct copy *c = arg;

	for (uint64_t off = c->begin; off < c->end; off += c->chunk) {
		struct nvio_op op = NVIO_OP(NULL);
		int rc = nvio_await(nvio_bdev_read(c->src, c->src_ch, c->buf, off, c->chunk, &op), &op);
		if (!rc)
			rc = nvio_await(nvio_bdev_write(c->dst, c->dst_ch, c->buf, off, c->chunk, &op), &op);
		if (rc)
			return rc;
	}
	return 0;
}

/* Writes a pattern that tells each block, or looks for it. Plain code: nvio_await() polls here. */
static int pattern(struct nvio_bdev_desc *desc, struct nvio_channel *ch, void *buf, uint64_t bytes, int write)
{
	uint64_t *words = buf;

	for (uint64_t off = 0; off < bytes; off += CHUNK) {
		struct nvio_op op = NVIO_OP(NULL);
		int rc;

		for (uint64_t i = 0; write && i < CHUNK / 8; i++)
			words[i] = (off + i * 8) * 0x9e3779b97f4a7c15u;
		rc = write ? nvio_await(nvio_bdev_write(desc, ch, buf, off, CHUNK, &op), &op) :
			     nvio_await(nvio_bdev_read(desc, ch, buf, off, CHUNK, &op), &op);
		if (rc)
			return rc;
		for (uint64_t i = 0; !write && i < CHUNK / 8; i++)
			if (words[i] != (off + i * 8) * 0x9e3779b97f4a7c15u)
				return -EILSEQ;
	}
	return 0;
}

static int make(struct nvio_env *env, const char *name, uint64_t bytes, struct nvio_bdev_desc **desc, struct nvio_channel **ch)
{
	struct nvio_bdev_malloc_opts opts;
	int rc;

	nvio_bdev_malloc_opts_init(&opts);
	opts.name = name;
	opts.block_size = 4096;
	opts.num_blocks = bytes / 4096;
	rc = nvio_bdev_malloc_create(env, &opts);
	if (!rc)
		rc = nvio_bdev_open(env, name, NVIO_BDEV_WRITE, desc);
	return rc ? rc : nvio_bdev_channel(*desc, ch);
}

int main(int argc, char **argv)
{
	uint64_t bytes = argc == 2 ? strtoull(argv[1], NULL, 0) << 20 : 0;
	struct copy a = { .chunk = CHUNK }, b;
	struct nvio_thread *thread;
	struct nvio_co *co[2];
	struct nvio_env *env;
	int rc;

	if (!bytes)
		return fprintf(stderr, "usage: %s MIB\n", argv[0]), 2;
	if (nvio_env_open(NULL, &env) || nvio_thread_create(env, NULL, &thread) || nvio_thread_attach(thread) ||
		make(env, "src", bytes, &a.src, &a.src_ch) || make(env, "dst", bytes, &a.dst, &a.dst_ch))
		return fprintf(stderr, "%s\n", nvio_errmsg()), 1;
	b = a;
	a.end = b.begin = bytes / 2;
	b.end = bytes;
	a.buf = nvio_mem_alloc(env, CHUNK, 0);
	b.buf = nvio_mem_alloc(env, CHUNK, 0);
	if (!a.buf || !b.buf || pattern(a.src, a.src_ch, a.buf, bytes, 1))
		return fprintf(stderr, "%s\n", nvio_errmsg()), 1;

	if (nvio_co_spawn(thread, copier, &a, NULL, &co[0]) || nvio_co_spawn(thread, copier, &b, NULL, &co[1]))
		return fprintf(stderr, "%s\n", nvio_errmsg()), 1;
	rc = nvio_co_join_all(co, 2); /* the same call works in a coroutine: it suspends */
	if (!rc)
		rc = pattern(a.dst, a.dst_ch, a.buf, bytes, 0);

	printf("%llu MiB copied by two coroutines: %s\n", (unsigned long long)(bytes >> 20), rc ? nvio_errno_name(rc) : "verified");
	nvio_channel_put(a.src_ch);
	nvio_channel_put(a.dst_ch);
	nvio_env_close(env);
	return rc != 0;
}
