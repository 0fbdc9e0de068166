/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A program as a user writes it: public headers, and whatever pkg-config says. tests/abi/link builds it against an installed
 * nvio, shared and static. It opens an environment, and so pulls in every room, every transport and every module.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <nvio/bdev.h>
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

/* Through other people's code, too, which the static library may have taken in. */
static int encrypt(struct nvio_env *env)
{
	static const char key[] = "0123456789abcdef0123456789abcdef" "fedcba9876543210fedcba9876543210";
	struct nvio_bdev_desc *desc = NULL;
	struct nvio_thread *thread = NULL;
	struct nvio_channel *ch = NULL;
	struct nvio_op op = NVIO_OP(NULL);
	char text[128], name[NVIO_BDEV_NAME_MAX + 1], wrote[512] = "plain", seen[512];
	int rc;

	snprintf(text, sizeof(text), "crypto?key=%s:malloc:1M", key);
	if (nvio_thread_create(env, NULL, &thread) || nvio_thread_attach(thread))
		return complain("nvio_thread");
	rc = nvio_bdev_create_str(env, text, name);
	if (rc)
		return rc == -EOPNOTSUPP ? 0 : complain(text);
	if (nvio_bdev_open(env, name, NVIO_BDEV_WRITE, &desc) || nvio_bdev_channel(desc, &ch))
		return complain(name);
	if (nvio_await(nvio_bdev_write(desc, ch, wrote, 0, 512, &op), &op) ||
		nvio_await(nvio_bdev_read(desc, ch, seen, 0, 512, &op), &op) || memcmp(wrote, seen, 512))
		return complain("encrypted I/O");
	nvio_channel_put(ch);
	nvio_thread_poll(thread, 0);
	return nvio_bdev_close(desc) || nvio_thread_detach(thread) ? complain("closing") : 0;
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
		if (encrypt(env))
			return 1;
		nvio_env_close(env);
	}
	printf("consumer: nvio %s\n", nvio_version());
	return 0;
}
