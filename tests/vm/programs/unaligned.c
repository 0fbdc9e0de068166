/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The caller's own memory, registered, at every alignment that a PRP allows (multiples of four bytes, NVMe Base 2.0 section 4.1.1), in
 * sizes from one block to several commands: what a PRP entry, a pair and lists of them have to get right. The memory around each buffer
 * must stay as it was.
 *
 *     vm_unaligned TRID...     several: taken together, in one environment, which maps the memory for all of them
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <nvio/nvme.h>

#define PAGE 4096u
#define AREA (4u << 20)
#define DRIVES 4

struct drive {
	struct nvio_ns *ns;
	struct nvio_qpair *qp;
	uint32_t bs;
};

static uint8_t pattern(uint32_t seed, size_t i)
{
	return (uint8_t)(seed * 31 + i * 7 + (i >> 8) * 13 + (i >> 12));
}

static int failed(const char *what, size_t offset, size_t len, const struct nvio_op *op)
{
	fprintf(stderr, "%s, %zu bytes at offset %zu: %s\n", what, len, offset, op ? nvio_op_strerror(op) : "not what was written");
	return 1;
}

/* Out of `out`, into `in`, at the same offset of both. */
static int round_trip(const struct drive *d, uint8_t *out, uint8_t *in, size_t offset, uint32_t blocks)
{
	static uint32_t seed;
	size_t len = (size_t)blocks * d->bs;
	struct nvio_op op = NVIO_OP(NULL);

	seed++;
	for (size_t i = 0; i < len; i++)
		out[offset + i] = pattern(seed, i);
	memset(in, 0x5a, offset + len + PAGE);
	if (nvio_await(nvio_ns_write(d->ns, d->qp, out + offset, seed % 64, blocks, &op), &op))
		return failed("write", offset, len, &op);
	if (nvio_await(nvio_ns_read(d->ns, d->qp, in + offset, seed % 64, blocks, &op), &op))
		return failed("read", offset, len, &op);
	if (memcmp(out + offset, in + offset, len))
		return failed("read", offset, len, NULL);
	for (size_t i = 0; i < offset + len + PAGE; i++) {
		if ((i < offset || i >= offset + len) && in[i] != 0x5a)
			return failed("the memory around a read", offset, len, NULL);
	}
	return 0;
}

static int run(const struct drive *d, uint8_t *out, uint8_t *in)
{
	static const size_t offsets[] = { 0, 4, 8, 60, 508, 512, 2048, 3584, 4092 };
	const uint32_t sizes[] = { d->bs, 4096, 8192, 12288, 65536, 131072, 524288, 1u << 20, 2u << 20 };
	uint32_t count = 0;

	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		for (size_t o = 0; o < sizeof(offsets) / sizeof(offsets[0]); o++, count++) {
			if (round_trip(d, out, in, offsets[o], sizes[s] / d->bs))
				return 1;
		}
	}
	/* One block more or less than whole pages. */
	for (uint32_t blocks = 1; blocks <= 40; blocks++, count++) {
		if (round_trip(d, out, in, (blocks * 4 * 37) % PAGE, blocks))
			return 1;
	}
	printf("%u round trips, blocks of %u bytes: all as written\n", count, d->bs);
	return 0;
}

static int take(struct nvio_env *env, const char *trid, struct drive *d)
{
	struct nvio_ctrlr *ctrlr;
	int rc = nvio_connect(env, trid, NULL, &ctrlr);

	if (!rc)
		rc = nvio_qpair_alloc(ctrlr, NULL, &d->qp);
	if (rc)
		return rc;
	d->ns = nvio_ctrlr_ns(ctrlr, 1);
	d->bs = nvio_ns_block_size(d->ns);
	return 0;
}

int main(int argc, char **argv)
{
	struct nvio_env *env;
	struct drive drives[DRIVES];
	uint8_t *area = mmap(NULL, 2 * AREA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int count = argc - 1, rc = 0;

	if (count < 1 || count > DRIVES || area == MAP_FAILED)
		return fprintf(stderr, "usage: vm_unaligned TRID...\n"), 2;
	if (nvio_env_open(NULL, &env))
		return fprintf(stderr, "%s\n", nvio_errmsg()), 1;
	for (int i = 0; i < count && !rc; i++)
		rc = take(env, argv[i + 1], &drives[i]);
	if (!rc)
		rc = nvio_mem_register(env, area, 2 * AREA);
	if (rc) {
		fprintf(stderr, "%s\n", nvio_errmsg());
		nvio_env_close(env);
		return 1;
	}
	for (int i = 0; i < count && !rc; i++)
		rc = run(&drives[i], area, area + AREA);

	if (nvio_mem_unregister(env, area, 2 * AREA))
		rc = fprintf(stderr, "%s\n", nvio_errmsg());
	nvio_env_close(env);
	return rc != 0;
}
