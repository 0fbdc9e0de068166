/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Verified I/O by physical addresses, with the environment's hugepages, at a depth, in sizes from a block to lists of pages. What is not
 * a hugepage must be refused, or copied, and never handed to the drive.
 *
 *     vm_no_iommu TRID [safe]     safe: without unsafe_no_iommu, which has to fail
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <nvio/nvme.h>

#define DEPTH	32u
#define LARGEST (128u << 10)
#define ROUNDS	10u

struct slot {
	struct nvio_op op;
	uint8_t *buf;
};

static uint8_t pattern(uint32_t round, uint32_t slot, size_t i)
{
	return (uint8_t)(round * 31 + slot * 17 + i * 7 + (i >> 8) * 13 + (i >> 12));
}

/* All of the slots at once, one behind the other on the drive; 0, or 1 with words. */
static int all(struct slot *slots, struct nvio_ns *ns, struct nvio_qpair *qp, uint32_t blocks, bool write)
{
	int rc = 0, submitted[DEPTH];

	for (uint32_t i = 0; i < DEPTH; i++) {
		slots[i].op = (struct nvio_op)NVIO_OP(NULL);
		submitted[i] = write ? nvio_ns_write(ns, qp, slots[i].buf, (uint64_t)i * blocks, blocks, &slots[i].op) :
				       nvio_ns_read(ns, qp, slots[i].buf, (uint64_t)i * blocks, blocks, &slots[i].op);
	}
	for (uint32_t i = 0; i < DEPTH; i++) {
		if (nvio_await(submitted[i], &slots[i].op))
			rc = fprintf(stderr, "%s of %u blocks: %s\n", write ? "write" : "read", blocks, nvio_op_strerror(&slots[i].op));
	}
	return rc != 0;
}

static int round_trip(struct slot *slots, struct nvio_ns *ns, struct nvio_qpair *qp, uint32_t round, size_t len)
{
	uint32_t blocks = (uint32_t)len / nvio_ns_block_size(ns);

	for (uint32_t s = 0; s < DEPTH; s++) {
		for (size_t i = 0; i < len; i++)
			slots[s].buf[i] = pattern(round, s, i);
	}
	if (all(slots, ns, qp, blocks, true))
		return 1;
	for (uint32_t s = 0; s < DEPTH; s++)
		memset(slots[s].buf, 0x5a, len);
	if (all(slots, ns, qp, blocks, false))
		return 1;
	for (uint32_t s = 0; s < DEPTH; s++) {
		for (size_t i = 0; i < len; i++) {
			if (slots[s].buf[i] != pattern(round, s, i))
				return fprintf(stderr, "slot %u, byte %zu of %zu: not what was written\n", s, i, len), 1;
		}
	}
	return 0;
}

static int run(struct nvio_env *env, struct nvio_ns *ns, struct nvio_qpair *qp)
{
	static const size_t sizes[] = { 512, 4096, 8192, 65536, LARGEST };
	struct slot slots[DEPTH];
	int rc = 0;

	for (uint32_t s = 0; s < DEPTH; s++) {
		slots[s].buf = nvio_mem_alloc(env, LARGEST, 4096);
		if (!slots[s].buf)
			return fprintf(stderr, "%s\n", nvio_errmsg()), 1;
	}
	for (uint32_t round = 0; round < ROUNDS && !rc; round++)
		rc = round_trip(slots, ns, qp, round, sizes[round % (sizeof(sizes) / sizeof(sizes[0]))]);
	for (uint32_t s = 0; s < DEPTH; s++)
		nvio_mem_free(env, slots[s].buf);
	return rc;
}

/* Ordinary pages of the caller's may move. */
static int check_refusal(struct nvio_env *env)
{
	void *own = mmap(NULL, LARGEST, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int rc = own == MAP_FAILED ? -ENOMEM : nvio_mem_register(env, own, LARGEST);

	if (rc >= 0)
		return fprintf(stderr, "memory that may move was registered\n"), 1;
	printf("refused, as it should be: %s\n", nvio_errmsg());
	return 0;
}

int main(int argc, char **argv)
{
	struct nvio_env_opts opts;
	struct nvio_env *env;
	struct nvio_ctrlr *ctrlr;
	struct nvio_qpair *qp;
	int rc;

	if (argc < 2)
		return fprintf(stderr, "usage: vm_no_iommu TRID [safe]\n"), 2;
	nvio_env_opts_init(&opts);
	opts.unsafe_no_iommu = argc == 2;
	opts.hugepages = NVIO_HUGEPAGES_2M;
	opts.mem_size_mb = 16;
	if (nvio_env_open(&opts, &env))
		return fprintf(stderr, "%s\n", nvio_errmsg()), 1;
	rc = nvio_connect(env, argv[1], NULL, &ctrlr);
	if (!rc)
		rc = nvio_qpair_alloc(ctrlr, NULL, &qp);
	if (rc)
		fprintf(stderr, "%s\n", nvio_errmsg());
	else
		rc = check_refusal(env) || run(env, nvio_ctrlr_ns(ctrlr, 1), qp);
	nvio_env_close(env);
	if (!rc)
		printf("%u rounds of %u at once: all as written\n", ROUNDS, DEPTH);
	return rc != 0;
}
