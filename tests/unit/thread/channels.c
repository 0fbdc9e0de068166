/* SPDX-License-Identifier: BSD-3-Clause */
/* Row C1: channels and the devices they are made of: references, many of them, and the end of a device. */
#include "tests/unit/thread/toy.h"

#include <stdlib.h>

static void each_get_yields_the_same_channel_and_counts(void **state)
{
	struct nvio_channel *ch, *again;
	struct device d;
	struct rig r;

	open_with_device(&r, &d);
	assert_int_equal(nvio_channel_get(r.env, &d, &ch), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(nvio_channel_get(r.env, &d, &again), 0);
		assert_ptr_equal(again, ch);
	}
	assert_int_equal(d.created, 1);
	for (int i = 0; i < 4; i++) {
		nvio_thread_poll(r.t, 0);
		assert_int_equal(d.destroyed, 0);
		nvio_channel_put(ch);
	}
	assert_int_equal(d.destroyed, 0); /* in a later poll */
	assert_false(nvio_thread_is_idle(r.t));
	assert_int_equal(nvio_thread_timeout_ms(r.t), 0);
	assert_int_equal(nvio_thread_poll(r.t, 0), 1);
	assert_int_equal(d.destroyed, 1);
	assert_true(nvio_thread_is_idle(r.t));
	close_with_device(&r, &d);
}

static void a_get_before_the_end_keeps_the_channel(void **state)
{
	struct nvio_channel *ch, *again;
	struct device d;
	struct rig r;

	open_with_device(&r, &d);
	assert_int_equal(nvio_channel_get(r.env, &d, &ch), 0);
	nvio_channel_put(ch);
	assert_int_equal(nvio_channel_get(r.env, &d, &again), 0);
	assert_ptr_equal(again, ch);
	assert_int_equal(nvio_thread_poll(r.t, 0), 0);
	assert_int_equal(d.destroyed, 0);
	nvio_channel_put(ch);
	close_with_device(&r, &d);
	assert_int_equal(d.created, 1);
}

static void each_thread_has_its_own_channel(void **state)
{
	struct nvio_channel *ch[3];
	struct nvio_thread *t[3];
	struct device d;
	struct rig r;

	open_with_device(&r, &d);
	t[0] = r.t;
	for (int i = 0; i < 3; i++) {
		if (i)
			assert_int_equal(nvio_thread_create(r.env, NULL, &t[i]), 0);
		assert_int_equal(nvio_thread_attach(t[i]), 0);
		assert_int_equal(nvio_channel_get(r.env, &d, &ch[i]), 0);
		assert_ptr_equal(nvio_channel_thread(ch[i]), t[i]);
		assert_int_equal(nvio_thread_detach(t[i]), 0);
	}
	assert_true(ch[0] != ch[1] && ch[1] != ch[2]);
	for (int i = 2; i >= 0; i--) {
		nvio_channel_put(ch[i]);
		if (i)
			assert_int_equal(nvio_thread_destroy(t[i]), 0);
	}
	close_with_device(&r, &d);
}

static void many_devices_keep_apart(void **state)
{
	static struct device d[500];
	struct nvio_channel *ch[500];
	struct rig r;

	rig_open_env(&r, true);
	assert_int_equal(nvio_thread_attach(r.t), 0);
	for (int i = 0; i < 500; i++) {
		memset(&d[i], 0, sizeof(d[i]));
		assert_int_equal(nvio_io_device_register(r.env, &d[i], &ops), 0);
		assert_int_equal(nvio_channel_get(r.env, &d[i], &ch[i]), 0);
	}
	for (int i = 0; i < 500; i++) {
		struct nvio_channel *again;

		assert_int_equal(nvio_channel_get(r.env, &d[i], &again), 0);
		assert_ptr_equal(again, ch[i]);
		nvio_channel_put(again);
		nvio_channel_put(again);
	}
	assert_int_equal(nvio_thread_poll(r.t, 0), 500);
	for (int i = 0; i < 500; i++)
		assert_int_equal(nvio_io_device_unregister(r.env, &d[i], NULL), 0);
	rig_close(&r);
}

static void what_cannot_be_had_is_refused(void **state)
{
	struct nvio_channel *ch = NULL;
	struct nvio_env *other;
	struct device d;
	struct rig r;
	int x;

	open_with_device(&r, &d);
	assert_int_equal(nvio_io_device_register(r.env, NULL, &ops), -EINVAL);
	assert_int_equal(nvio_io_device_register(r.env, &x, NULL), -EINVAL);
	assert_int_equal(nvio_io_device_register(r.env, &d, &ops), -EEXIST);
	assert_int_equal(nvio_io_device_unregister(r.env, &x, NULL), -ENOENT);
	assert_int_equal(nvio_channel_get(r.env, &x, &ch), -ENODEV);
	d.create_rc = -EIO;
	assert_int_equal(nvio_channel_get(r.env, &d, &ch), -EIO);
	assert_said("device toy: EIO");
	d.create_rc = 0;
	assert_int_equal(nvio_env_open(NULL, &other), 0);
	assert_int_equal(nvio_channel_get(other, &d, &ch), -EINVAL);
	assert_said("another environment");
	nvio_env_close(other);
	assert_int_equal(nvio_thread_detach(r.t), 0);
	assert_int_equal(nvio_channel_get(r.env, &d, &ch), -EINVAL);
	assert_said("no current nvio_thread");
	assert_int_equal(nvio_thread_attach(r.t), 0);
	nvio_thread_exit(r.t);
	assert_int_equal(nvio_channel_get(r.env, &d, &ch), -ESHUTDOWN);
	assert_null(ch);
	assert_int_equal(d.created, 0);
	close_with_device(&r, &d);
}

static void without_memory_nothing_is_left(void **state)
{
	struct nvio_channel *ch;
	struct device d;
	struct rig r;
	int x, rc;

	open_with_device(&r, &d);
	alloc_fail_after(0);
	rc = nvio_channel_get(r.env, &d, &ch);
	assert_int_equal(alloc_fail_after(-1), -1);
	assert_int_equal(rc, -ENOMEM);
	assert_int_equal(d.created, 0);
	alloc_fail_after(0);
	rc = nvio_io_device_register(r.env, &x, &ops);
	assert_int_equal(alloc_fail_after(-1), -1);
	assert_int_equal(rc, -ENOMEM);
	assert_int_equal(nvio_channel_get(r.env, &x, &ch), -ENODEV);
	close_with_device(&r, &d);
}

static struct nvio_channel *got_meanwhile;

static int get_it_meanwhile(struct device *d)
{
	return nvio_channel_get(d->env, d, &got_meanwhile);
}

static void a_channel_that_is_got_while_it_is_made_exists_once(void **state)
{
	struct nvio_channel *ch;
	struct device d;
	struct rig r;

	open_with_device(&r, &d);
	d.during_create = get_it_meanwhile;
	assert_int_equal(nvio_channel_get(r.env, &d, &ch), 0);
	assert_ptr_equal(ch, got_meanwhile);
	assert_int_equal(d.created - d.destroyed, 1);
	nvio_channel_put(ch);
	nvio_channel_put(ch);
	close_with_device(&r, &d);
}

static void destroying_a_thread_waits_for_its_channels(void **state)
{
	struct nvio_channel *ch;
	struct device d;
	struct rig r;

	open_with_device(&r, &d);
	assert_int_equal(nvio_channel_get(r.env, &d, &ch), 0);
	assert_int_equal(nvio_thread_destroy(r.t), -EBUSY);
	assert_said("toy");
	assert_false(nvio_thread_is_running(r.t));
	nvio_channel_put(ch);
	/* One that was put needs no poll any more: destroy ends it. */
	assert_int_equal(nvio_thread_destroy(r.t), 0);
	assert_int_equal(d.destroyed, 1);
	assert_int_equal(nvio_io_device_unregister(r.env, &d, NULL), 0);
	nvio_env_close(r.env);
}

static void unregistering_waits_for_the_last_channel(void **state)
{
	struct nvio_op op = NVIO_OP(count_done), op2 = NVIO_OP(count_done);
	struct nvio_channel *ch, *again;
	struct device d;
	struct rig r;
	int done = 0;

	open_with_device(&r, &d);
	op.arg = op2.arg = &done;
	assert_int_equal(nvio_channel_get(r.env, &d, &ch), 0);
	assert_int_equal(nvio_io_device_unregister(r.env, &d, NULL), -EBUSY);
	assert_int_equal(nvio_io_device_unregister(r.env, &d, &op), 0);
	assert_int_equal(nvio_io_device_unregister(r.env, &d, &op2), -EALREADY);
	assert_int_equal(nvio_io_device_unregister(r.env, &d, NULL), -EBUSY);
	assert_int_equal(op2.status, 0);
	assert_int_equal(nvio_channel_get(r.env, &d, &again), -ENODEV);
	assert_int_equal(
		nvio_channel_for_each(r.env, &d, (int (*)(struct nvio_channel *, void *))abort, NULL, &op2),
		-ENOENT);
	assert_int_equal(nvio_io_device_register(r.env, &d, &ops), -EEXIST);
	assert_int_equal(nvio_thread_destroy(r.t), -EBUSY);
	for (int i = 0; i < 5; i++)
		nvio_thread_poll(r.t, 0);
	assert_int_equal(done, 0);
	nvio_channel_put(ch);
	assert_int_equal(done, 0);
	assert_int_equal(nvio_wait(&op), 0);
	assert_int_equal(done, 1);
	assert_int_equal(d.destroyed, 1);
	assert_int_equal(nvio_io_device_unregister(r.env, &d, &op), -ENOENT);
	rig_close(&r);
}

static void unregistering_a_device_without_channels_completes_in_the_next_poll(void **state)
{
	struct nvio_op op = NVIO_OP(count_done);
	struct device d;
	struct rig r;
	int done = 0;

	open_with_device(&r, &d);
	op.arg = &done;
	assert_int_equal(nvio_io_device_unregister(r.env, &d, &op), 0);
	assert_int_equal(done, 0);
	assert_true(nvio_op_pending(&op));
	nvio_thread_poll(r.t, 0);
	assert_int_equal(done, 1);
	assert_int_equal(op.status, 0);
	/* The address is free again. */
	assert_int_equal(nvio_io_device_register(r.env, &d, &ops), 0);
	close_with_device(&r, &d);
}

static void an_unregistration_can_be_cancelled_and_time_out_and_be_taken_up_again(void **state)
{
	struct nvio_channel *ch;
	struct nvio_op op = NVIO_OP(NULL);
	struct device d;
	struct rig r;

	open_with_device(&r, &d);
	assert_int_equal(nvio_channel_get(r.env, &d, &ch), 0);
	op.timeout_us = 50;
	assert_int_equal(nvio_io_device_unregister(r.env, &d, &op), 0);
	r.now_ns += 49999;
	nvio_thread_poll(r.t, 0);
	assert_true(nvio_op_pending(&op));
	r.now_ns += 1;
	nvio_thread_poll(r.t, 0);
	assert_int_equal(op.status, -ETIMEDOUT);
	op.timeout_us = UINT64_MAX;
	assert_int_equal(nvio_io_device_unregister(r.env, &d, &op), 0);
	assert_int_equal(nvio_cancel(&op), 0);
	assert_true(nvio_op_pending(&op)); /* never inside cancel */
	assert_int_equal(nvio_cancel(&op), 0);
	nvio_thread_poll(r.t, 0);
	assert_int_equal(op.status, -ECANCELED);
	assert_int_equal(nvio_cancel(&op), -EALREADY);
	op.timeout_us = 50;
	assert_int_equal(nvio_io_device_unregister(r.env, &d, &op), 0);
	nvio_channel_put(ch);
	assert_int_equal(nvio_wait(&op), 0);
	assert_true(nvio_thread_is_idle(r.t)); /* its deadline is gone with it */
	rig_close(&r);
}

static void submitting_checks_come_before_the_op_is_touched(void **state)
{
	struct nvio_op op = NVIO_OP(NULL), before;
	struct device d;
	struct rig r;
	int x;

	open_with_device(&r, &d);
	before = op;
	assert_int_equal(nvio_channel_for_each(r.env, &d, NULL, NULL, &op), -EINVAL);
	assert_int_equal(nvio_channel_for_each(r.env, &d, visit, NULL, NULL), -EINVAL);
	assert_int_equal(nvio_channel_for_each(r.env, &x, visit, NULL, &op), -ENOENT);
	assert_int_equal(nvio_io_device_unregister(r.env, &x, &op), -ENOENT);
	alloc_fail_after(0);
	assert_int_equal(nvio_channel_for_each(r.env, &d, visit, NULL, &op), -ENOMEM);
	alloc_fail_after(0);
	assert_int_equal(nvio_io_device_unregister(r.env, &d, &op), -ENOMEM);
	alloc_fail_after(-1);
	assert_int_equal(nvio_thread_detach(r.t), 0);
	assert_int_equal(nvio_channel_for_each(r.env, &d, visit, NULL, &op), -EINVAL);
	assert_int_equal(nvio_io_device_unregister(r.env, &d, &op), -EINVAL);
	assert_int_equal(nvio_thread_attach(r.t), 0);
	assert_memory_equal(&op, &before, sizeof(op));
	op.flags = NVIO_OP_FUA;
	assert_int_equal(nvio_channel_for_each(r.env, &d, visit, NULL, &op), -EINVAL);
	assert_int_equal(nvio_io_device_unregister(r.env, &d, &op), -EINVAL);
	close_with_device(&r, &d);
}

#define MANY 10000

static void ten_thousand_devices_and_channels_are_kept_apart(void **state)
{
	static struct nvio_channel *ch[MANY];
	static char keys[MANY][24];
	static const struct nvio_io_device_ops plain = { .name = "plain" };
	struct nvio_channel *again;
	struct rig r;

	rig_open_env(&r, true);
	assert_int_equal(nvio_thread_attach(r.t), 0);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(nvio_io_device_register(r.env, keys[i], &plain), 0);
		/* The tables grow when there is memory for it, and work on when there is none. */
		if (i % 2)
			alloc_fail_after(1);
		assert_int_equal(nvio_channel_get(r.env, keys[i], &ch[i]) && i % 2 == 0, 0);
		alloc_fail_after(-1);
		if (!ch[i])
			assert_int_equal(nvio_channel_get(r.env, keys[i], &ch[i]), 0);
	}
	assert_int_equal(nvio_io_device_register(r.env, keys[MANY / 2], &plain), -EEXIST);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(nvio_channel_get(r.env, keys[i], &again), 0);
		assert_ptr_equal(again, ch[i]);
		assert_ptr_equal(nvio_channel_device(ch[i]), keys[i]);
		nvio_channel_put(again);
		nvio_channel_put(ch[i]);
	}
	nvio_thread_poll(r.t, 0);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(nvio_io_device_unregister(r.env, keys[i], NULL), 0);
	assert_int_equal(nvio_thread_detach(r.t), 0);
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_get_yields_the_same_channel_and_counts),
		cmocka_unit_test(a_get_before_the_end_keeps_the_channel),
		cmocka_unit_test(each_thread_has_its_own_channel),
		cmocka_unit_test(many_devices_keep_apart),
		cmocka_unit_test(ten_thousand_devices_and_channels_are_kept_apart),
		cmocka_unit_test(what_cannot_be_had_is_refused),
		cmocka_unit_test(without_memory_nothing_is_left),
		cmocka_unit_test(a_channel_that_is_got_while_it_is_made_exists_once),
		cmocka_unit_test(destroying_a_thread_waits_for_its_channels),
		cmocka_unit_test(unregistering_waits_for_the_last_channel),
		cmocka_unit_test(unregistering_a_device_without_channels_completes_in_the_next_poll),
		cmocka_unit_test(an_unregistration_can_be_cancelled_and_time_out_and_be_taken_up_again),
		cmocka_unit_test(submitting_checks_come_before_the_op_is_touched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
