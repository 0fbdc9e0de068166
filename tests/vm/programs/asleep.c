/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads of which each is slept for, on the queue pair's descriptor: with interrupts that do not come, this takes for ever. Tells how often
 * it slept.
 *
 *     vm_asleep TRID COUNT
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include <nvio/nvme.h>

/* 0, or -errno of the sleep itself; the op has its own status. */
static int sleep_for(struct nvio_qpair *qp, struct nvio_op *op, unsigned *sleeps)
{
	struct pollfd pfd = { .fd = nvio_qpair_fd(qp), .events = POLLIN };
	int timeout_ms, rc;

	if (pfd.fd < 0)
		return pfd.fd;
	while (op->status == -EINPROGRESS) {
		rc = nvio_qpair_arm(qp, &timeout_ms);
		if (rc < 0)
			return rc;
		if (rc == 0) {
			/* An interrupt that was lost shows here, and not after minutes. */
			rc = poll(&pfd, 1, 20000);
			if (rc == 0)
				return -ETIMEDOUT;
			++*sleeps;
		}
		nvio_qpair_poll(qp, 0);
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct nvio_env *env;
	struct nvio_ctrlr *ctrlr;
	struct nvio_qpair *qp;
	unsigned sleeps = 0, count;

	if (argc != 3)
		return fprintf(stderr, "usage: vm_asleep TRID COUNT\n"), 2;
	if (nvio_env_open(NULL, &env) || nvio_connect(env, argv[1], NULL, &ctrlr) || nvio_qpair_alloc(ctrlr, NULL, &qp))
		return fprintf(stderr, "%s\n", nvio_errmsg()), 1;

	struct nvio_ns *ns = nvio_ctrlr_ns(ctrlr, 1);
	void *buf = nvio_mem_alloc(env, nvio_ns_block_size(ns), 0);
	int rc = 0;

	count = (unsigned)atoi(argv[2]);
	for (unsigned i = 0; i < count && !rc; i++) {
		struct nvio_op op = NVIO_OP(NULL);

		rc = nvio_ns_read(ns, qp, buf, i, 1, &op);
		if (!rc) {
			rc = sleep_for(qp, &op, &sleeps);
			/* The op is ours only when it is over. */
			rc = op.status == -EINPROGRESS ? (nvio_wait(&op), rc) : op.status;
		}
		if (rc)
			fprintf(stderr, "read %u: %d: %s\n", i, rc, nvio_op_strerror(&op));
	}
	if (!rc)
		printf("%u reads, slept %u times\n", count, sleeps);
	nvio_env_close(env);
	return rc != 0;
}
