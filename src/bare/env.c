/* SPDX-License-Identifier: BSD-3-Clause */
/* The environment of a freestanding program: a log, a clock, and the list of what is open. No options of a process, no rooms. */
#include "base/alloc.h"
#include "base/env.h"
#include "base/fail.h"
#include "base/opts.h"

#define NAME_MAX_LEN 63

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

/* What a process has and a freestanding program has not is refused, not ignored. */
static bool is_of_a_process(const struct nvio_env_opts *o)
{
	return o->core_mask || o->main_core != -1 || o->mem_size_mb || o->shm_id != -1 || o->no_pci || o->hugepages ||
	       o->hugepage_single_segments || o->mlock || o->seed || o->pci_root || o->unsafe_no_iommu;
}

static int check(const struct nvio_env_opts *o)
{
	if (!o->name || !o->name[0] || strlen(o->name) > NAME_MAX_LEN)
		return fail(-EINVAL, "env: open: name must have 1 to %d characters", NAME_MAX_LEN);
	if ((int)o->log_level < 0 || o->log_level > NVIO_LOG_DEBUG)
		return fail(-EINVAL, "env: open: log_level is %d; 0 to %d expected", (int)o->log_level, NVIO_LOG_DEBUG);
	if (is_of_a_process(o))
		return fail(-EOPNOTSUPP, "env: open: without an operating system there are only name, log_level, log_fn and now_ns, and their args");
	return 0;
}

int nvio_env_open(const struct nvio_env_opts *opts, struct nvio_env **out)
{
	struct nvio_env *env = alloc_zeroed(sizeof(*env));
	char *name = NULL;
	int rc;

	if (!env)
		return fail(-ENOMEM, "env: open: no memory for the environment");
	nvio_env_opts_init(&env->opts);
	rc = opts ? opts_copy("nvio_env_opts", &env->opts, sizeof(env->opts), opts, sizeof(env->opts)) : 0;
	if (!rc)
		rc = check(&env->opts);
	if (rc)
		goto out_free;
	name = alloc_strdup(env->opts.name);
	if (!name) {
		rc = fail(-ENOMEM, "env: open: no memory for the options");
		goto out_free;
	}
	opts = &env->opts;
	env->opts.name = name;
	env->clock = (struct clock){ .now_ns = opts->now_ns, .arg = opts->now_arg };
	env->log = (struct nvio_log){ .level = opts->log_level, .fn = opts->log_fn, .arg = opts->log_arg, .name = name };
	env->shm_fd = -1;
	list_init(&env->children);
	lock_init(&env->lock);
	*out = env;
	return 0;
out_free:
	alloc_free(env);
	return rc;
}

void nvio_env_close(struct nvio_env *env)
{
	struct env_child *child;

	if (!env)
		return;
	atomic_store(&env->closing, true);
	/* One by one, asking anew each time: closing a child may close others, and needs the lock to leave the list. */
	while ((child = env_child_take_newest(env)))
		child->close(child);
	lock_fini(&env->lock);
	alloc_free((char *)(uintptr_t)env->opts.name);
	alloc_free(env);
}

const char *nvio_env_name(const struct nvio_env *env)
{
	return env->opts.name;
}
