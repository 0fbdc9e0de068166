/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random reads at depth 32 with callbacks: each request embeds its op and finds itself again with container_of; the
 * callback submits the next one, and nvio_qpair_poll() drives it all. No allocation and no lock after the start.
 *
 *     depth32 loop:ram:64M 100000
 */
#include <stdlib.h>

#include <nvio/nvme.h>

#define DEPTH 32
#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

struct load {
	struct nvio_ns *ns;
	struct nvio_qpair *qp;
	uint64_t seed, left, in_flight, errors;
};

struct request {
	struct nvio_op op;
	struct load *load;
	void *buf;
};

static void submit(struct request *r)
{
	struct load *l = r->load;
	uint32_t blocks = 4096 / nvio_ns_block_size(l->ns);

	l->seed = l->seed * 6364136223846793005u + 1442695040888963407u;
	uint64_t lba = (l->seed >> 16) % (nvio_ns_num_blocks(l->ns) / blocks) * blocks;

	if (nvio_ns_read(l->ns, l->qp, r->buf, lba, blocks, &r->op)) {
		fprintf(stderr, "%s\n", nvio_errmsg());
		l->errors++;
		l->left = 0;
		return;
	}
	l->in_flight++;
}

static void on_read(struct nvio_op *op)
{
	struct request *r = container_of(op, struct request, op);
	struct load *l = r->load;

	l->in_flight--;
	if (op->status) {
		fprintf(stderr, "read: %s\n", nvio_op_strerror(op));
		l->errors++;
	}
	if (l->left) {
		l->left--;
		submit(r);
	}
}

int main(int argc, char **argv)
{
	struct nvio_env *env;
	struct nvio_ctrlr *ctrlr;
	struct load load = { .seed = 1 };
	struct request requests[DEPTH];

	if (argc != 3)
		return fprintf(stderr, "usage: %s DEVICE READS\n", argv[0]), 2;
	if (nvio_env_open(NULL, &env) || nvio_connect(env, argv[1], NULL, &ctrlr) || nvio_qpair_alloc(ctrlr, NULL, &load.qp) ||
	    !(load.ns = nvio_ctrlr_ns(ctrlr, nvio_ctrlr_next_ns(ctrlr, 0))))
		return fprintf(stderr, "%s\n", nvio_errmsg()), 1;

	uint64_t reads = strtoull(argv[2], NULL, 0);

	load.left = reads > DEPTH ? reads - DEPTH : 0;
	for (uint64_t i = 0; i < DEPTH && i < reads; i++) {
		requests[i] = (struct request){ .op = NVIO_OP(on_read), .load = &load, .buf = nvio_mem_alloc(env, 4096, 0) };
		if (!requests[i].buf)
			return fprintf(stderr, "%s\n", nvio_errmsg()), 1;
		submit(&requests[i]);
	}
	while (load.in_flight)
		if (nvio_qpair_poll(load.qp, 0) < 0)
			break;

	printf("%llu reads of 4096 bytes, %llu errors\n", (unsigned long long)reads, (unsigned long long)load.errors);
	nvio_env_close(env);
	return load.errors != 0;
}
