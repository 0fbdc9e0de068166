/* SPDX-License-Identifier: BSD-3-Clause */
/* The options of an environment: defaults, a copy of our own, and the checks that need no other room. */
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fail.h"
#include "base/opts.h"
#include "env/env.h"

#define NAME_MAX_LEN 63
/* What the first release had; an options structure of that one must be accepted for ever. */
#define FIRST_RELEASE_SIZE (offsetof(struct nvio_env_opts, seed) + sizeof(uint64_t))

void nvio_env_opts_init(struct nvio_env_opts *opts)
{
	*opts = (struct nvio_env_opts){
		.size = sizeof(*opts),
		.name = "nvio",
		.main_core = -1,
		.shm_id = -1,
		.log_level = NVIO_LOG_WARN,
	};
}

static int check_name(const char *name)
{
	size_t len = name ? strnlen(name, NAME_MAX_LEN + 1) : 0;

	if (!len || len > NAME_MAX_LEN)
		return fail(-EINVAL, "env: open: name is %s; 1 to %d printable characters expected",
			!name ? "NULL"
			: len ? "too long"
			      : "empty",
			NAME_MAX_LEN);
	for (size_t i = 0; i < len; i++)
		if (name[i] < ' ' || name[i] > '~')
			return fail(-EINVAL,
				"env: open: name has byte 0x%02x at %zu; printable ASCII expected",
				(unsigned int)(unsigned char)name[i], i);
	return 0;
}

/* An enum of a C caller can be any integer. */
static int check_enum(const char *what, int value, int last)
{
	if (value < 0 || value > last)
		return fail(-EINVAL, "env: open: %s is %d; 0 to %d expected", what, value, last);
	return 0;
}

static int check(const struct nvio_env_opts *opts)
{
	int rc = check_name(opts->name);

	if (!rc)
		rc = check_enum("hugepages", (int)opts->hugepages, NVIO_HUGEPAGES_1G);
	if (!rc)
		rc = check_enum("mlock", (int)opts->mlock, NVIO_MLOCK_NEVER);
	if (!rc)
		rc = check_enum("log_level", (int)opts->log_level, NVIO_LOG_DEBUG);
	if (!rc && opts->shm_id < -1)
		rc = fail(
			-EINVAL, "env: open: shm_id is %d; -1 (private) or 0 and up expected", opts->shm_id);
	if (!rc && opts->main_core < -1)
		rc = fail(-EINVAL, "env: open: main_core is %d; -1 (not bound) or a core expected",
			opts->main_core);
	return rc;
}

int env_opts_init(struct nvio_env_opts *dst, const struct nvio_env_opts *src)
{
	struct nvio_env_opts opts;
	char *name, *mask = NULL, *root = NULL;
	int rc;

	nvio_env_opts_init(&opts);
	rc = src ? opts_copy("nvio_env_opts", &opts, sizeof(opts), src, FIRST_RELEASE_SIZE) : 0;
	if (!rc)
		rc = check(&opts);
	if (rc)
		return rc;
	name = alloc_strdup(opts.name);
	if (!name)
		goto out;
	if (opts.core_mask) {
		mask = alloc_strdup(opts.core_mask);
		if (!mask)
			goto out_name;
	}
	if (opts.pci_root) {
		root = alloc_strdup(opts.pci_root);
		if (!root)
			goto out_mask;
	}
	opts.name = name;
	opts.core_mask = mask;
	opts.pci_root = root;
	*dst = opts;
	return 0;
out_mask:
	alloc_free(mask);
out_name:
	alloc_free(name);
out:
	return fail(-ENOMEM, "env: open: no memory for the options");
}

void env_opts_fini(struct nvio_env_opts *opts)
{
	alloc_free((char *)(uintptr_t)opts->name);
	alloc_free((char *)(uintptr_t)opts->core_mask);
	alloc_free((char *)(uintptr_t)opts->pci_root);
	opts->name = opts->core_mask = opts->pci_root = NULL;
}
