/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From nothing to the first block read, as any program would do it; then it writes the moment
 * (CLOCK_MONOTONIC, in nanoseconds) to standard output. bench_start knows when it was started.
 */
#include <stdio.h>
#include <time.h>

#include <nvio/nvme.h>

static int failed(const char *what)
{
	fprintf(stderr, "first_read: %s: %s\n", what, nvio_errmsg());
	return 1;
}

int main(void)
{
	static char block[4096] __attribute__((aligned(4096)));
	struct nvio_op op = NVIO_OP(NULL);
	struct nvio_ctrlr *ctrlr;
	struct nvio_qpair *qp;
	struct nvio_env *env;
	struct timespec ts;

	if (nvio_env_open(NULL, &env))
		return failed("environment");
	if (nvio_connect(env, "loop:ram:64M", NULL, &ctrlr))
		return failed("connect");
	if (nvio_qpair_alloc(ctrlr, NULL, &qp))
		return failed("queue pair");
	if (nvio_await(nvio_ns_read(nvio_ctrlr_ns(ctrlr, 1), qp, block, 0, 1, &op), &op))
		return failed("read");
	clock_gettime(CLOCK_MONOTONIC, &ts);
	printf("%lld\n", (long long)ts.tv_sec * 1000000000 + ts.tv_nsec);
	nvio_qpair_free(qp);
	nvio_env_close(env);
	return 0;
}
