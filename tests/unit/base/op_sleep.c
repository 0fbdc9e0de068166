/* SPDX-License-Identifier: BSD-3-Clause */
/* nvio_wait() that has found nothing for long: it sleeps where owner and current nvio_thread allow it (Z15), with a made-up owner. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/op.h"

struct sleeper {
	struct nvio_pollable pollable;
	struct nvio_op *op;
	bool ready; /* the next poll ends the op */
	int polls;
	int fd, timeout_ms, rc;
	int arms, arms_until_done; /* then it has something to do */
	int current_fd, current_ms, current_rc, current_arms;
};

static struct sleeper sl;

static int sleeper_poll(struct nvio_pollable *p)
{
	sl.polls++;
	if (!sl.ready)
		return 0;
	op_end(sl.op, 0);
	return 1;
}

static int sleeper_arm(struct nvio_pollable *p, int *fd, int *timeout_ms)
{
	assert_ptr_equal(p, &sl.pollable);
	*fd = sl.fd;
	*timeout_ms = sl.timeout_ms;
	if (++sl.arms == sl.arms_until_done)
		sl.ready = true;
	return sl.rc;
}

static int current_arm(int *fd, int *timeout_ms)
{
	sl.current_arms++;
	*fd = sl.current_fd;
	*timeout_ms = sl.current_ms;
	return sl.current_rc;
}

static const struct pollable_ops sleeper_ops = { .name = "sleeper", .poll = sleeper_poll, .arm = sleeper_arm };

/* What a wait does that has found nothing for long: how often it arms, and how often it still polls. */
static void a_long_wait_sleeps_where_it_can(void **state)
{
	static const struct {
		const char *name;
		int rc, fd_readable, ms;             /* of the owner */
		int current_rc, current_readable, current_ms;
		int arms, least_polls, most_polls;
	} cases[] = {
		{ "woken by the owner", 0, 1, -1, -ENOENT, 0, -1, 5, 2004, 2010 },
		{ "by the current thread", 0, 0, -1, 0, 1, -1, 5, 2004, 2010 },
		{ "by the owner's time", 0, 0, 2, 0, 0, -1, 5, 2004, 2010 },
		{ "by the current thread's time", 0, 0, -1, 0, 0, 2, 5, 2004, 2010 },
		{ "by the shorter of the two", 0, 0, 1000000, 0, 0, 2, 5, 2004, 2010 },
		{ "there is something after all: it polls as long again", 1, 0, -1, -ENOENT, 0, -1, 3, 6000, 6010 },
		{ "there is something for the current thread", 0, 0, -1, 1, 0, -1, 3, 6000, 6010 },
		{ "the owner cannot be slept on", -EOPNOTSUPP, 0, -1, -ENOENT, 0, -1, 50, 2049, 2060 },
		{ "the current thread cannot", 0, 0, -1, -EMFILE, 0, -1, 50, 2049, 2060 },
	};
	int fds[2] = { eventfd(0, EFD_CLOEXEC), eventfd(1, EFD_CLOEXEC) };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct nvio_op op = NVIO_OP(NULL);

		memset(&sl, 0, sizeof(sl));
		sl.pollable.ops = &sleeper_ops;
		sl.op = &op;
		sl.rc = cases[i].rc;
		sl.fd = fds[cases[i].fd_readable];
		sl.timeout_ms = cases[i].ms;
		sl.current_rc = cases[i].current_rc;
		sl.current_fd = fds[cases[i].current_readable];
		sl.current_ms = cases[i].current_ms;
		sl.arms_until_done = cases[i].arms;
		op_idle_arm = cases[i].current_rc == -ENOENT && i % 2 ? NULL : current_arm;
		op_begin(&op, &sl.pollable);
		assert_int_equal(nvio_wait(&op), 0);
		op_idle_arm = NULL;
		print_message("# %s: %d polls\n", cases[i].name, sl.polls);
		assert_in_range(sl.polls, cases[i].least_polls, cases[i].most_polls);
		assert_int_equal(sl.arms, cases[i].arms);
	}
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_long_wait_sleeps_where_it_can),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
