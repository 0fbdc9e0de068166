/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of opening and closing an environment share. */
#ifndef ENV_ENV_H
#define ENV_ENV_H

#include "base/env.h"
#include <nvio/ctrlr.h>

/* Copies and checks the options; strings become our own. On failure nothing is left behind. */
int env_opts_init(struct nvio_env_opts *dst, const struct nvio_env_opts *src);
void env_opts_fini(struct nvio_env_opts *opts);

/* Fills env->cores from env->opts.core_mask and what this process may use, and binds the caller when
 * main_core says so. */
int env_cores_init(struct nvio_env *env);

/* Takes the lock of env->opts.shm_id into env->shm_fd; nothing for -1. 0; -EALREADY held by someone. */
int env_shm_init(struct nvio_env *env);
void env_shm_fini(struct nvio_env *env);

/* nvio_connect_async(), the trid being known. */
int env_connect_begin(struct nvio_env *env, const struct nvio_trid *trid, const struct nvio_ctrlr_opts *opts, struct nvio_op *op,
	struct nvio_ctrlr **out);

#endif
