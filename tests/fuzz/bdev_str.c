/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any text as block devices: refused in words that say where, without a trace; or taken, and then there are devices, or the system has
 * refused them, again without a trace. A text that names files is only read.
 *
 * Input: the text.
 */
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include <nvio/bdev.h>
#include <nvio/env.h>
#include <nvio/error.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int count_one(struct nvio_bdev *bdev, void *arg)
{
	++*(unsigned *)arg;
	return 0;
}

static unsigned count(struct nvio_env *env)
{
	unsigned n = 0;

	invariant(!nvio_bdev_for_each(env, count_one, &n));
	return n;
}

static void create(struct nvio_env *env, const char *text)
{
	char name[NVIO_BDEV_NAME_MAX + 1];
	struct nvio_bdev_desc *desc;
	int rc = nvio_bdev_create_str(env, text, name);

	if (rc) {
		invariant(!strncmp(nvio_errmsg(), "bdev: text: ", 12));
		invariant(!count(env));
		return;
	}
	invariant(count(env));
	invariant(!nvio_bdev_open(env, name, 0, &desc));
	invariant(!nvio_bdev_close(desc));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nvio_env_opts opts;
	struct nvio_thread *thread;
	struct nvio_env *env;
	char *text = malloc(size + 1);

	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	text[size] = 0;
	fail_clear();
	if (nvio_bdev_check_str(text)) {
		invariant(!strncmp(nvio_errmsg(), "bdev: text: ", 12));
	} else if (!strstr(text, "file:") && !strstr(text, "nvme:")) {
		nvio_env_opts_init(&opts);
		opts.log_level = NVIO_LOG_ERROR;
		invariant(!nvio_env_open(&opts, &env));
		invariant(!nvio_thread_create(env, NULL, &thread));
		invariant(!nvio_thread_attach(thread));
		create(env, text);
		invariant(!nvio_thread_detach(thread));
		nvio_env_close(env);
	}
	free(text);
	return 0;
}
