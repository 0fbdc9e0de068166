/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of this room share: an environment, one with a clock that stands still, and counters to be
 * called. */
#ifndef RIG_H
#define RIG_H

#include "tests/support/unit.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "base/alloc.h"
#include "base/compiler.h"
#include "base/env.h"
#include "thread/thread.h"
#include <nvio/thread.h>

/* The last failure's words contain `words`. Not cmocka's fail_msg(), for `fail` is the library's here. */
#define assert_said(words)                                                                                   \
	do {                                                                                                 \
		if (!strstr(nvio_errmsg(), (words)))                                                         \
			assert_string_equal(nvio_errmsg(), (words));                                         \
	} while (0)

struct rig {
	struct nvio_env *env;
	struct nvio_thread *t;
	uint64_t now_ns;
};

static inline uint64_t rig_now(void *arg)
{
	return ((struct rig *)arg)->now_ns;
}

static inline void rig_open_env(struct rig *r, bool still_clock)
{
	struct nvio_env_opts opts;

	nvio_env_opts_init(&opts);
	opts.no_pci = true;
	r->now_ns = 1000000000;
	if (still_clock) {
		opts.now_ns = rig_now;
		opts.now_arg = r;
	}
	assert_int_equal(nvio_env_open(&opts, &r->env), 0);
	assert_int_equal(nvio_thread_create(r->env, NULL, &r->t), 0);
}

/* The rig's own thread must go without force: nothing is left behind by a test. */
static inline void rig_close(struct rig *r)
{
	assert_int_equal(nvio_thread_destroy(r->t), 0);
	nvio_env_close(r->env);
}

static inline void rig_count(void *arg)
{
	++*(int *)arg;
}

static inline int rig_count_poller(void *arg)
{
	++*(int *)arg;
	return 0;
}

/* Polls until *flag is `want`; bounded, so that a lost wake-up fails instead of hanging. */
static inline void rig_poll_until(struct nvio_thread *t, const int *flag, int want)
{
	for (long i = 0; *flag != want && i < 50000000; i++)
		assert_true(nvio_thread_poll(t, 0) >= 0);
	assert_int_equal(*flag, want);
}

#endif
