/* SPDX-License-Identifier: BSD-3-Clause */
/* The environment of a freestanding program: a log, a clock, and the list of what is open. No options of a process, no rooms. */
#include "base/alloc.h"
#include "base/env.h"
#include "base/fail.h"
#include "base/opts.h"

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
static int check(const struct nvio_env_opts *o)
{
	struct nvio_env_opts usual, rest = *o;

	if (!o->name || !o->name[0] || strlen(o->name) > 63)
		return fail(-EINVAL, "env: open: name must have 1 to 63 characters");
	if ((int)o->log_level < 0 || o->log_level > NVIO_LOG_DEBUG)
		return fail(-EINVAL, "env: open: log_level is %d; 0 to %d expected", (int)o->log_level, NVIO_LOG_DEBUG);
	nvio_env_opts_init(&usual);
	usual.name = o->name;
	usual.log_level = o->log_level;
	usual.log_fn = o->log_fn;
	usual.log_arg = o->log_arg;
	usual.now_ns = o->now_ns;
	usual.now_arg = o->now_arg;
	/* Field by field, since padding may differ. */
	if (rest.core_mask || rest.main_core != usual.main_core || rest.mem_size_mb || rest.shm_id != usual.shm_id || rest.hugepages ||
	    rest.hugepage_single_segments || rest.mlock || rest.seed)
		return fail(-EOPNOTSUPP, "env: open: only name, log_level, log_fn and now_ns (and their args) exist without an operating system");
	return 0;
}
