/* SPDX-License-Identifier: BSD-3-Clause */
/* What rooms ask of the environment beyond reading its fields. */
#include <errno.h>
#include <sched.h>
#include <string.h>

#include "base/env.h"
#include "base/fail.h"

static bool has_core(const struct nvio_env *env, int core)
{
	for (int i = 0; i < env->core_count; i++)
		if (env->cores[i] == core)
			return true;
	return false;
}

int env_bind_thread(const struct nvio_env *env, int core)
{
	cpu_set_t set;
	int rc;

	CPU_ZERO(&set);
	if (core >= 0) {
		if (!has_core(env, core))
			return fail(
				-EINVAL, "env: %s: core %d is not in the core mask", env->opts.name, core);
		CPU_SET(core, &set);
	} else {
		for (int i = 0; i < env->core_count; i++)
			CPU_SET(env->cores[i], &set);
	}
	rc = pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
	if (rc)
		return fail(-rc, "env: %s: cannot bind a thread to core %d: %s", env->opts.name, core,
			strerror(rc));
	return 0;
}
