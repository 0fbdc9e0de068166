/* SPDX-License-Identifier: BSD-3-Clause */
/* Names, who may be at a port, doorbells, interrupts, kicks, and how both sides leave; on one OS thread. */
#include "tests/support/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "base/alloc.h"
#include "loop/loop.h"

static struct nvio_env *env;
static struct loop_port *port; /* the target's and the host's are one */

struct target {
	int kicks, detaches;
	bool nest;     /* kick again from within */
	bool withdraw; /* withdraw from within */
	bool detach;   /* the host detaches from within */
	int drain;     /* so many kicks until it is quiet */
	int urges;
	int attach;    /* what a host gets that attaches from within; 0: none does */
};

static struct target target;

static int on_kick(void *ctx)
{
	struct target *t = ctx;
	struct loop_port *next;

	t->kicks++;
	t->drain -= t->drain > 0;
	if (t->nest)
		assert_int_equal(loop_hot(port)->kick(loop_hot(port)->ctx), 0);
	if (t->withdraw)
		loop_withdraw(port);
	if (t->detach)
		loop_detach(port);
	if (t->attach)
		assert_int_equal(loop_attach(env, "n", &next), t->attach);
	return 5;
}

static void on_detached(void *ctx)
{
	((struct target *)ctx)->detaches++;
}

static const struct loop_port_ops inline_ops = { .kick = on_kick, .detached = on_detached };
static const struct loop_port_ops silent_ops = { 0 };

static bool is_quiet(void *ctx)
{
	return !((struct target *)ctx)->drain;
}

static int urge(void *ctx)
{
	struct target *t = ctx;

	t->urges++;
	t->drain--;
	return 1;
}

static const struct loop_port_ops drained_ops = { .kick = on_kick, .detached = on_detached, .quiet = is_quiet };
static const struct loop_port_ops urged_ops = { .detached = on_detached, .quiet = is_quiet, .urge = urge };

static int setup(void **state)
{
	target = (struct target){ 0 };
	port = NULL;
	return nvio_env_open(NULL, &env);
}

static int teardown(void **state)
{
	nvio_env_close(env);
	return 0;
}

static void publish(const char *name)
{
	assert_int_equal(loop_publish(env, name, &inline_ops, &target, 8, 0, &port), 0);
}

static int kick(void)
{
	return loop_hot(port)->kick(loop_hot(port)->ctx);
}

static void names_lead_to_one_port_and_one_host(void **state)
{
	struct loop_port *other = NULL, *found;

	publish("a");
	assert_int_equal(loop_publish(env, "a", &silent_ops, NULL, 2, 0, &other), -EEXIST);
	assert_null(other);
	assert_int_equal(loop_publish(env, "b", &silent_ops, NULL, 2, 0, &other), 0);
	assert_int_equal(loop_attach(env, "c", &found), -ENODEV);
	assert_errmsg("c");
	assert_int_equal(loop_attach(env, "", &found), -ENODEV);
	assert_int_equal(loop_attach(env, "a", &found), 0);
	assert_ptr_equal(found, port);
	assert_int_equal(loop_attach(env, "a", &found), -EBUSY);
	assert_int_equal(loop_attach(env, "b", &found), 0);
	assert_ptr_equal(found, other);
	loop_detach(port);
	assert_int_equal(loop_attach(env, "a", &found), 0);
	loop_detach(port);
	loop_detach(other); /* whose target does not want to know */
	assert_int_equal(target.detaches, 2);
	loop_withdraw(port);
	loop_withdraw(other);
	assert_int_equal(loop_attach(env, "a", &found), -ENODEV);
}

static void names_of_two_environments_are_apart(void **state)
{
	struct nvio_env *other;
	struct loop_port *theirs, *found;

	assert_int_equal(nvio_env_open(NULL, &other), 0);
	publish("a");
	assert_int_equal(loop_attach(other, "a", &found), -ENODEV);
	assert_int_equal(loop_publish(other, "a", &silent_ops, NULL, 2, 0, &theirs), 0);
	assert_int_equal(loop_attach(other, "a", &found), 0);
	assert_ptr_equal(found, theirs);
	loop_detach(found);
	loop_withdraw(theirs);
	nvio_env_close(other);
	loop_withdraw(port);
}

static void senseless_ports_are_refused(void **state)
{
	struct loop_port *p;

	assert_int_equal(loop_publish(env, NULL, &silent_ops, NULL, 2, 0, &p), -EINVAL);
	assert_int_equal(loop_publish(env, "", &silent_ops, NULL, 2, 0, &p), -EINVAL);
	assert_int_equal(loop_publish(env, "a", &silent_ops, NULL, 2, 16, &p), -EINVAL);
	assert_errmsg("dstrd 16");
}

static void no_memory_no_port(void **state)
{
	struct loop_port *found;
	long left = -1;
	int failed = 0;

	for (long n = 0; left < 0; n++) {
		int rc;

		alloc_fail_after(n);
		rc = loop_publish(env, "a", &silent_ops, NULL, 2, 0, &port);
		left = alloc_fail_after(-1);
		assert_int_equal(rc, left < 0 ? -ENOMEM : 0);
		if (rc)
			assert_int_equal(loop_attach(env, "a", &found), -ENODEV);
		failed += left < 0;
	}
	assert_int_equal(failed, 3);
	loop_withdraw(port);
}

static void doorbells_stand_at_their_stride(void **state)
{
	static const uint32_t strides[] = { 0, 1, 4, 15 };

	for (size_t i = 0; i < ARRAY_SIZE(strides); i++) {
		uint32_t *first;

		assert_int_equal(loop_publish(env, "d", &silent_ops, NULL, 6, strides[i], &port), 0);
		first = loop_doorbell(port, 0);
		assert_non_null(first);
		for (uint32_t d = 0; d < 6; d++) {
			assert_ptr_equal(
				(char *)loop_doorbell(port, d), (char *)first + d * (4u << strides[i]));
			assert_int_equal(*loop_doorbell(port, d), 0);
			*loop_doorbell(port, d) = d;
		}
		assert_null(loop_doorbell(port, 6));
		assert_null(loop_doorbell(port, UINT32_MAX));
		loop_withdraw(port);
	}
}

static uint64_t take(int fd)
{
	uint64_t count = 0;

	return read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

static void interrupts_reach_the_hosts_eventfd(void **state)
{
	int a = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), b = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	struct loop_port *host;

	assert_true(a >= 0 && b >= 0);
	publish("irq");
	loop_irq_raise(port, 0); /* there is no host: nothing */
	assert_int_equal(loop_attach(env, "irq", &host), 0);
	assert_int_equal(loop_irq_set_eventfd(host, LOOP_MAX_VECTORS, a), -EINVAL);
	assert_errmsg("129");
	assert_int_equal(loop_irq_set_eventfd(host, 0, 100000), -EBADF);
	assert_int_equal(loop_irq_set_eventfd(host, 0, -2), -EBADF);
	assert_int_equal(loop_irq_set_eventfd(host, 0, a), 0);
	assert_int_equal(loop_irq_set_eventfd(host, LOOP_MAX_VECTORS - 1, b), 0);
	loop_irq_raise(port, 0);
	loop_irq_raise(port, 0);
	loop_irq_raise(port, 1);
	loop_irq_raise(port, LOOP_MAX_VECTORS);
	loop_irq_raise(port, UINT32_MAX);
	assert_int_equal(take(a), 2);
	assert_int_equal(take(b), 0);
	loop_irq_raise(port, LOOP_MAX_VECTORS - 1);
	assert_int_equal(take(b), 1);
	assert_int_equal(loop_irq_set_eventfd(host, 0, b), 0);
	loop_irq_raise(port, 0);
	assert_int_equal(take(a), 0);
	assert_int_equal(take(b), 1);
	assert_int_equal(loop_irq_set_eventfd(host, 0, -1), 0);
	loop_irq_raise(port, 0);
	assert_int_equal(take(b), 0);
	/* The next host does not inherit them. */
	loop_detach(host);
	assert_int_equal(loop_attach(env, "irq", &host), 0);
	loop_irq_raise(port, LOOP_MAX_VECTORS - 1);
	assert_int_equal(take(b), 0);
	loop_detach(host);
	loop_withdraw(port);
	close(a);
	close(b);
}

static void a_kick_moves_the_target_and_never_nests(void **state)
{
	struct loop_port *host;

	publish("k");
	assert_int_equal(loop_attach(env, "k", &host), 0);
	assert_int_equal(kick(), 5);
	target.nest = true;
	assert_int_equal(kick(), 5);
	assert_int_equal(target.kicks, 2);
	loop_detach(host);
	loop_withdraw(port);
	assert_int_equal(loop_publish(env, "k", &silent_ops, NULL, 2, 0, &port), 0);
	assert_null(loop_hot(port)->kick);
	loop_withdraw(port);
}

static void after_withdraw_nothing_reaches_the_target(void **state)
{
	struct loop_port *host, *found;

	publish("w");
	loop_reg_publish32(port, 0, 1);
	assert_int_equal(loop_attach(env, "w", &host), 0);
	loop_withdraw(port);
	assert_false(loop_present(host));
	assert_int_equal(loop_reg_read32(host, 0), UINT32_MAX);
	assert_int_equal(kick(), 0);
	assert_int_equal(target.kicks, 0);
	loop_reg_write(host, 0, 4, 1);
	assert_int_equal(loop_attach(env, "w", &found), -ENODEV);
	/* The name is free while the former host still holds on to the former port. */
	assert_int_equal(loop_publish(env, "w", &silent_ops, NULL, 2, 0, &found), 0);
	assert_ptr_not_equal(found, host);
	loop_detach(host);
	assert_int_equal(target.detaches, 0);
	loop_withdraw(found);
}

static void the_target_may_leave_from_within_a_kick(void **state)
{
	struct loop_port *host;

	publish("w");
	assert_int_equal(loop_attach(env, "w", &host), 0);
	target.withdraw = true;
	assert_int_equal(kick(), 5);
	assert_int_equal(kick(), 0);
	assert_int_equal(target.kicks, 1);
	loop_detach(host);
}

static void both_may_leave_from_within_a_kick(void **state)
{
	struct loop_port *host;

	publish("w");
	assert_int_equal(loop_attach(env, "w", &host), 0);
	target.withdraw = true;
	target.detach = true;
	assert_int_equal(kick(), 5);
	assert_int_equal(target.detaches, 0);
	publish("w");
	assert_int_equal(loop_attach(env, "w", &host), 0);
	target.withdraw = false;
	assert_int_equal(kick(), 5);
	assert_int_equal(target.detaches, 1);
	loop_withdraw(port);
}

static void a_host_leaves_when_the_target_is_quiet(void **state)
{
	struct loop_port *host;

	assert_int_equal(loop_publish(env, "q", &drained_ops, &target, 8, 0, &port), 0);
	assert_int_equal(loop_attach(env, "q", &host), 0);
	target.drain = 3;
	loop_detach(host);
	assert_int_equal(target.detaches, 1);
	assert_int_equal(target.kicks, 3);
	loop_withdraw(port);
}

static void a_target_that_nobody_moves_is_urged(void **state)
{
	struct loop_port *host;

	assert_int_equal(loop_publish(env, "u", &urged_ops, &target, 8, 0, &port), 0);
	assert_int_equal(loop_attach(env, "u", &host), 0);
	target.drain = 2;
	loop_detach(host);
	assert_int_equal(target.urges, 2);
	loop_withdraw(port);
}

static void a_target_that_has_left_is_not_waited_for(void **state)
{
	struct loop_port *host;

	assert_int_equal(loop_publish(env, "g", &urged_ops, &target, 8, 0, &port), 0);
	assert_int_equal(loop_attach(env, "g", &host), 0);
	target.drain = 2;
	loop_withdraw(port);
	loop_detach(host);
	assert_int_equal(target.urges, 0);
	assert_int_equal(target.detaches, 0);
}

/* Within a kick the target cannot be moved: the next host waits instead, or is sent away if it comes from in there too. */
static void who_leaves_from_within_a_kick_leaves_the_wait_to_the_next(void **state)
{
	struct loop_port *host;

	assert_int_equal(loop_publish(env, "n", &drained_ops, &target, 8, 0, &port), 0);
	assert_int_equal(loop_attach(env, "n", &host), 0);
	target.drain = 5;
	target.detach = true;
	target.attach = -EBUSY;
	assert_int_equal(kick(), 5);
	assert_int_equal(target.drain, 4);
	assert_int_equal(target.kicks, 1);
	target.detach = false;
	target.attach = 0;
	assert_int_equal(loop_attach(env, "n", &host), 0);
	assert_int_equal(target.kicks, 5);
	loop_detach(host);
	loop_withdraw(port);
}

static void what_was_forgotten_goes_with_the_environment(void **state)
{
	struct nvio_env_opts opts;
	struct loop_port *host;
	struct nvio_env *other;

	nvio_env_opts_init(&opts);
	opts.log_level = NVIO_LOG_ERROR;
	assert_int_equal(nvio_env_open(&opts, &other), 0);
	assert_int_equal(loop_publish(other, "a", &silent_ops, NULL, 2, 0, &port), 0);
	assert_int_equal(loop_publish(other, "b", &silent_ops, NULL, 2, 0, &port), 0);
	assert_int_equal(loop_attach(other, "a", &host), 0);
	loop_withdraw(host); /* which is the target's port as well */
	nvio_env_close(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(names_lead_to_one_port_and_one_host, setup, teardown),
		cmocka_unit_test_setup_teardown(names_of_two_environments_are_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(senseless_ports_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(no_memory_no_port, setup, teardown),
		cmocka_unit_test_setup_teardown(doorbells_stand_at_their_stride, setup, teardown),
		cmocka_unit_test_setup_teardown(interrupts_reach_the_hosts_eventfd, setup, teardown),
		cmocka_unit_test_setup_teardown(a_kick_moves_the_target_and_never_nests, setup, teardown),
		cmocka_unit_test_setup_teardown(after_withdraw_nothing_reaches_the_target, setup, teardown),
		cmocka_unit_test_setup_teardown(the_target_may_leave_from_within_a_kick, setup, teardown),
		cmocka_unit_test_setup_teardown(both_may_leave_from_within_a_kick, setup, teardown),
		cmocka_unit_test_setup_teardown(a_host_leaves_when_the_target_is_quiet, setup, teardown),
		cmocka_unit_test_setup_teardown(a_target_that_nobody_moves_is_urged, setup, teardown),
		cmocka_unit_test_setup_teardown(a_target_that_has_left_is_not_waited_for, setup, teardown),
		cmocka_unit_test_setup_teardown(
			who_leaves_from_within_a_kick_leaves_the_wait_to_the_next, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_was_forgotten_goes_with_the_environment, setup, teardown),
	};

	return cmocka_run_group_tests_name("loop_port", tests, NULL, NULL);
}
