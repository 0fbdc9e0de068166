/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the tests of the host share: an environment on a clock of its own, a bare controller whose answers the
 * test may hold back or replace, and a connection to it with a queue pair and a namespace.
 */
#ifndef UNIT_HOST_FIXTURE_H
#define UNIT_HOST_FIXTURE_H

#include "tests/support/unit.h"

#include "base/compiler.h"
#include "tests/support/bare.h"
#include <nvio/nvme.h>
#include <nvio/spec/admin.h>
#include <nvio/spec/nvm.h>
#include <nvio/spec/regs.h>
#include <nvio/spec/status.h>

#define MS  1000000ull
#define SEC 1000000000ull

#define FIX_HELD   4096

struct fix_held {
	unsigned qid;
	uint32_t resets; /* of the controller when it came; it can be answered only in that life */
	struct nvio_sqe sqe;
};

struct fix {
	struct nvio_env *env;
	struct bare b;
	struct nvio_ctrlr *c;
	struct nvio_qpair *qp;
	struct nvio_ns *ns;
	uint8_t *buf; /* 8 MiB, page-aligned */
	uint64_t now_ns, step_ns; /* the clock, and how far each look moves it */
	char warned[1024]; /* the last log message of level WARN or worse */

	/* What the controller does with commands. */
	bool hold_io;
	bool (*admin)(const struct nvio_sqe *sqe); /* true: the test has dealt with it */
	bool abort_works; /* what is held ends as an Abort asks */
	bool (*io)(unsigned qid, const struct nvio_sqe *sqe);
	struct fix_held held[FIX_HELD];
	unsigned held_count;
	void (*tick)(void); /* whenever somebody looks at the clock: whatever moves beside the host */
	unsigned seen[256]; /* admin commands by opcode */
	nvio_le32 features[256]; /* what was last set: cdw11 by feature */
};

extern struct fix f;

/* Setup and teardown of cmocka. fix_setup: the environment and the controller; nothing connected. */
int fix_setup(void **state);
int fix_setup_connected(void **state);
int fix_teardown(void **state);

/* Connects (NULL: with the defaults), makes the queue pair and finds namespace 1. */
void fix_connect(const struct nvio_ctrlr_opts *opts);

/* Polls queue pair and controller `times` times, each at a clock moved by `ns`. */
void fix_run(unsigned times, uint64_t ns);

/* An Abort command does what it says to the command that it names, and is answered. */
bool fix_abort(const struct nvio_sqe *sqe);

/* Answers a held command; sf is the status field without the phase tag. */
void fix_answer(unsigned held, uint16_t sf);
void fix_answer_all(void);

/* An op that counts how often it was done, in op.arg. */
struct fix_op {
	struct nvio_op op;
	int done;
	int status; /* as `done` saw it */
};
void fix_op_init(struct fix_op *o);

/* A blocking read of one block. */
int fix_read(void);

#endif
