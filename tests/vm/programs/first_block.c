/* SPDX-License-Identifier: BSD-3-Clause */
/* S1's end-to-end example: 0xAB to block 0 of the drive that NVME_PCI_ADDR names, back, and compared. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nvio/nvme.h>

int main(void)
{
	const char *address = getenv("NVME_PCI_ADDR");
	char trid[300];
	struct nvio_env *env;
	struct nvio_ctrlr *ctrlr;
	struct nvio_qpair *qp;

	if (!address)
		return fprintf(stderr, "NVME_PCI_ADDR is not set; it is the drive's address, as 0000:00:04.0\n"), 2;
	snprintf(trid, sizeof(trid), "trtype:PCIe traddr:%s", address);
	if (nvio_env_open(NULL, &env) || nvio_connect(env, trid, NULL, &ctrlr) || nvio_qpair_alloc(ctrlr, NULL, &qp))
		return fprintf(stderr, "%s\n", nvio_errmsg()), 1;

	struct nvio_ns *ns = nvio_ctrlr_ns(ctrlr, 1);
	uint32_t bs = nvio_ns_block_size(ns);
	uint8_t *out = nvio_mem_alloc(env, bs, 0), *in = nvio_mem_alloc_zeroed(env, bs, 0);
	struct nvio_op op = NVIO_OP(NULL);

	memset(out, 0xab, bs);
	int rc = nvio_await(nvio_ns_write(ns, qp, out, 0, 1, &op), &op);
	if (!rc)
		rc = nvio_await(nvio_ns_read(ns, qp, in, 0, 1, &op), &op);
	if (rc)
		fprintf(stderr, "block 0: %s\n", nvio_op_strerror(&op));
	else if (memcmp(out, in, bs))
		rc = fprintf(stderr, "block 0 is not what was written\n");
	else
		printf("block 0: %u bytes of 0xab, verified\n", bs);
	nvio_env_close(env);
	return rc != 0;
}
