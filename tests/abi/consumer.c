/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A program as a user writes it: public headers, and whatever pkg-config says. tests/abi/link builds it against an installed
 * nvio, shared and static. It opens an environment, and so pulls in every room, every transport and every module.
 */
#include <stdio.h>
#include <string.h>

#include <nvio/histogram.h>
#include <nvio/nvme.h>
#include <nvio/version.h>

/* These must not meet the library's own of the same name. */
int fail(void);
int alloc_free(void);

int fail(void)
{
	return 11;
}

int alloc_free(void)
{
	return 22;
}

static int complain(const char *what)
{
	fprintf(stderr, "consumer: %s: %s\n", what, nvio_errmsg());
	return 1;
}

int main(void)
{
	struct nvio_env *env = NULL;
	char version[32];
	void *buf;

	snprintf(version, sizeof(version), "%d.%d.%d", NVIO_VERSION_MAJOR, NVIO_VERSION_MINOR, NVIO_VERSION_PATCH);
	if (strcmp(version, nvio_version()))
		return complain("header and library are of different versions");
	if (fail() != 11 || alloc_free() != 22)
		return complain("our own functions were replaced");
	for (int round = 0; round < 2; round++) {
		if (nvio_env_open(NULL, &env))
			return complain("nvio_env_open");
		buf = nvio_mem_alloc(env, 4096, 0);
		if (!buf)
			return complain("nvio_mem_alloc");
		if (nvio_mem_free(env, buf))
			return complain("nvio_mem_free");
		nvio_env_close(env);
	}
	printf("consumer: nvio %s\n", nvio_version());
	return 0;
}
