/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The fault plan: which commands go wrong and how. Faults may be added by any OS thread; the controller asks whether there
 * is a plan at all with one load, and only then looks closer.
 */
#ifndef TARGET_FAULT_H
#define TARGET_FAULT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/random.h"
#include <nvio/drive.h>
#include <nvio/spec/command.h>

#define FAULT_MAX 64u

struct fault_rule {
	struct nvio_fault fault;
	uint64_t seen;   /* commands that matched */
	uint64_t struck;
};

struct fault_plan {
	_Atomic uint32_t count; /* lock to write */
	pthread_mutex_t lock;   /* all below */
	struct fault_rule rules[FAULT_MAX];
	struct random random;
	_Atomic uint64_t struck; /* lock to write */
};

void fault_plan_init(struct fault_plan *p, uint64_t seed);
void fault_plan_fini(struct fault_plan *p);

/* 0; -EINVAL; -ENOSPC. */
int fault_plan_add(struct fault_plan *p, const struct nvio_fault *fault);
int fault_plan_add_str(struct fault_plan *p, const char *text);
void fault_plan_clear(struct fault_plan *p);

static inline bool fault_plan_armed(struct fault_plan *p)
{
	/* Relaxed: the rules themselves are read under the lock. */
	return atomic_load_explicit(&p->count, memory_order_relaxed) != 0;
}

/* Whether a command is struck; then *fault is how. */
bool fault_plan_command(struct fault_plan *p, const struct nvio_sqe *sqe, bool admin, struct nvio_fault *fault);

/* Whether a change of the controller's state is: NVIO_FAULT_NEVER_READY, NVIO_FAULT_NEVER_STOP. */
bool fault_plan_state(struct fault_plan *p, enum nvio_fault_kind kind);

/* Text to fault, without a plan. 0; -EINVAL. */
int fault_parse(const char *text, struct nvio_fault *fault);

#endif
