/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads a block: the README's program. Try it with loop:ram:64M, or loop:disk.img. */
#include <nvio/nvme.h>

int main(int argc, char **argv)
{
	struct nvio_env *env;
	struct nvio_ctrlr *ctrlr;
	struct nvio_qpair *qp;

	if (argc != 2 || nvio_env_open(NULL, &env) || nvio_connect(env, argv[1], NULL, &ctrlr) ||
	    nvio_qpair_alloc(ctrlr, NULL, &qp))
		return fprintf(stderr, "%s\n", nvio_errmsg()), 1;

	struct nvio_ns *ns = nvio_ctrlr_ns(ctrlr, 1);
	void *buf = nvio_mem_alloc(env, nvio_ns_block_size(ns), 0);
	struct nvio_op op = NVIO_OP(NULL);
	int rc = nvio_await(nvio_ns_read(ns, qp, buf, 0, 1, &op), &op);

	printf("block 0: %s\n", rc ? nvio_op_strerror(&op) : "read");
	nvio_env_close(env); /* closes what is still open below it, in order */
	return rc != 0;
}
