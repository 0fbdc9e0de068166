/* SPDX-License-Identifier: BSD-3-Clause */
/* Channels and the devices they are made of: references, the walk over all of them, and the end of a device.
 */
#include "tests/unit/thread/rig.h"

#include <stdlib.h>

struct device {
	atomic_int created, destroyed;
	int create_rc;
	int (*during_create)(struct device *d); /* called in channel_create */
	struct nvio_env *env;
};

struct context {
	uint64_t bytes[5];
	int visits;
};

static int create(void *device, struct nvio_channel *ch)
{
	struct device *d = device;
	struct context *ctx = nvio_channel_ctx(ch);

	for (size_t i = 0; i < sizeof(*ctx); i++)
		assert_int_equal(((char *)ctx)[i], 0);
	assert_int_equal((uintptr_t)ctx % 64, 0);
	assert_ptr_equal(ctx, channel_ctx(ch));
	assert_ptr_equal(nvio_channel_device(ch), device);
	assert_ptr_equal(nvio_channel_thread(ch), nvio_thread_current());
	if (d->create_rc)
		return d->create_rc;
	d->created++;
	if (d->during_create) {
		int (*during)(struct device * device) = d->during_create;

		d->during_create = NULL;
		return during(d);
	}
	return 0;
}

static void destroy(void *device, struct nvio_channel *ch)
{
	struct device *d = device;

	assert_ptr_equal(nvio_channel_thread(ch), nvio_thread_current());
	d->destroyed++;
}

static const struct nvio_io_device_ops ops = {
	.name = "toy",
	.ctx_size = sizeof(struct context),
	.channel_create = create,
	.channel_destroy = destroy,
};

static void open_with_device(struct rig *r, struct device *d)
{
	memset(d, 0, sizeof(*d));
	rig_open_env(r, true);
	d->env = r->env;
	assert_int_equal(nvio_io_device_register(r->env, d, &ops), 0);
	assert_int_equal(nvio_thread_attach(r->t), 0);
}

static void close_with_device(struct rig *r, struct device *d)
{
	nvio_thread_poll(r->t, 0);
	assert_int_equal(nvio_io_device_unregister(r->env, d, NULL), 0);
	assert_int_equal(d->created, d->destroyed);
	rig_close(r);
}

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

static void count_done(struct nvio_op *op)
{
	++*(int *)op->arg;
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

static int total_visits;

static int visit(struct nvio_channel *ch, void *arg)
{
	struct context *ctx = nvio_channel_ctx(ch);

	assert_ptr_equal(nvio_channel_thread(ch), nvio_thread_current());
	ctx->visits++;
	total_visits++;
	return arg ? ((int (*)(struct nvio_channel *))arg)(ch) : 0;
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

/* Four threads on this one OS thread, each with a channel but the last. */
struct walk {
	struct rig rig;
	struct device d;
	struct nvio_thread *t[4];
	struct nvio_channel *ch[3];
	struct nvio_op op;
	int done;
};

static void walk_open(struct walk *w)
{
	memset(w, 0, sizeof(*w));
	open_with_device(&w->rig, &w->d);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(nvio_thread_create(w->rig.env, NULL, &w->t[i]), 0);
		if (i == 3)
			break;
		assert_int_equal(nvio_thread_attach(w->t[i]), 0);
		assert_int_equal(nvio_channel_get(w->rig.env, &w->d, &w->ch[i]), 0);
		assert_int_equal(nvio_thread_detach(w->t[i]), 0);
	}
	w->op = (struct nvio_op)NVIO_OP(count_done);
	w->op.arg = &w->done;
}

static int visits(struct walk *w, int i)
{
	return ((struct context *)nvio_channel_ctx(w->ch[i]))->visits;
}

static void walk_close(struct walk *w)
{
	for (int i = 0; i < 3; i++)
		if (w->ch[i])
			nvio_channel_put(w->ch[i]);
	for (int i = 0; i < 4; i++)
		assert_int_equal(nvio_thread_destroy(w->t[i]), 0);
	close_with_device(&w->rig, &w->d);
}

static void the_walk_visits_each_channel_on_its_own_thread_one_after_another(void **state)
{
	struct walk w;

	walk_open(&w);
	assert_int_equal(nvio_channel_for_each(w.rig.env, &w.d, visit, NULL, &w.op), 0);
	assert_int_equal(visits(&w, 0), 0);
	nvio_thread_poll(w.t[1], 0);
	nvio_thread_poll(w.t[2], 0);
	assert_int_equal(visits(&w, 1) + visits(&w, 2), 0); /* not before the first one's turn is over */
	for (int i = 0; i < 3; i++) {
		nvio_thread_poll(w.rig.t, 0);
		assert_int_equal(w.done, 0);
		assert_int_equal(nvio_thread_poll(w.t[i], 0), 1);
		assert_int_equal(visits(&w, i), 1);
	}
	assert_int_equal(w.done, 0);
	nvio_thread_poll(w.rig.t, 0);
	assert_int_equal(w.done, 1);
	assert_int_equal(w.op.status, 0);
	walk_close(&w);
}

static int refuse(struct nvio_channel *ch)
{
	return -EIO;
}

static int yes(struct nvio_channel *ch)
{
	return 5;
}

static void run_all(struct walk *w)
{
	for (int i = 0; i < 20 && !w->done; i++) {
		for (int n = 0; n < 4; n++)
			nvio_thread_poll(w->t[n], 0);
		nvio_thread_poll(w->rig.t, 0);
	}
	assert_int_equal(w->done, 1);
}

static void a_negative_return_ends_the_walk_and_no_other_does(void **state)
{
	static const struct {
		int (*fn)(struct nvio_channel *ch);
		int status, visits[3];
	} cases[] = {
		{ NULL, 0, { 1, 1, 1 } },
		{ yes, 0, { 1, 1, 1 } },
		{ refuse, -EIO, { 1, 0, 0 } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct walk w;

		walk_open(&w);
		assert_int_equal(
			nvio_channel_for_each(w.rig.env, &w.d, visit, (void *)cases[i].fn, &w.op), 0);
		run_all(&w);
		assert_int_equal(w.op.status, cases[i].status);
		for (int n = 0; n < 3; n++)
			assert_int_equal(visits(&w, n), cases[i].visits[n]);
		walk_close(&w);
	}
}

static void a_walk_over_nothing_completes_in_the_next_poll(void **state)
{
	struct nvio_op op = NVIO_OP(NULL);
	struct device d;
	struct rig r;

	open_with_device(&r, &d);
	assert_int_equal(nvio_channel_for_each(r.env, &d, visit, NULL, &op), 0);
	assert_true(nvio_op_pending(&op));
	assert_int_equal(nvio_wait(&op), 0);
	close_with_device(&r, &d);
}

static void a_channel_that_is_put_under_the_walk_is_passed_over(void **state)
{
	/* Which channel goes before the walk comes to it. */
	for (int gone = 0; gone < 3; gone++) {
		struct walk w;

		total_visits = 0;
		walk_open(&w);
		assert_int_equal(nvio_channel_for_each(w.rig.env, &w.d, visit, NULL, &w.op), 0);
		nvio_channel_put(w.ch[gone]);
		w.ch[gone] = NULL;
		/* The walk stands on the first, so that one's thread cannot go yet. */
		if (gone == 0)
			assert_int_equal(nvio_thread_poll(w.t[3], 0), 0);
		run_all(&w);
		assert_int_equal(w.op.status, 0);
		for (int i = 0; i < 3; i++)
			if (i != gone)
				assert_int_equal(visits(&w, i), 1);
		assert_int_equal(total_visits, 2);
		assert_int_equal(w.d.created - w.d.destroyed, 2);
		walk_close(&w);
	}
}

static void a_walk_can_be_cancelled_and_time_out(void **state)
{
	for (int cancel = 0; cancel < 2; cancel++) {
		struct walk w;

		walk_open(&w);
		w.op.timeout_us = cancel ? 0 : 10;
		assert_int_equal(nvio_channel_for_each(w.rig.env, &w.d, visit, NULL, &w.op), 0);
		nvio_thread_poll(w.t[0], 0);
		if (cancel)
			assert_int_equal(nvio_cancel(&w.op), 0);
		w.rig.now_ns += 10000;
		nvio_thread_poll(w.rig.t, 0);
		run_all(&w);
		assert_int_equal(w.op.status, cancel ? -ECANCELED : -ETIMEDOUT);
		assert_int_equal(visits(&w, 0), 1);
		assert_int_equal(visits(&w, 1) + visits(&w, 2), 0);
		walk_close(&w);
	}
}

static void exiting_threads_are_walked_too(void **state)
{
	struct walk w;

	walk_open(&w);
	nvio_thread_exit(w.t[1]);
	assert_int_equal(nvio_channel_for_each(w.rig.env, &w.d, visit, NULL, &w.op), 0);
	nvio_thread_exit(w.rig.t);
	run_all(&w);
	assert_int_equal(w.op.status, 0);
	assert_int_equal(visits(&w, 1), 1);
	walk_close(&w);
}

/* The environment is closed while a walk and an unregistration are under way and channels are held. */
static void closing_the_environment_ends_everything_once(void **state)
{
	for (int newest_submits = 0; newest_submits < 2; newest_submits++) {
		struct nvio_op unregister = NVIO_OP(count_done);
		struct nvio_thread *submitter;
		struct walk w;
		int done = 0;

		walk_open(&w);
		unregister.arg = &done;
		submitter = newest_submits ? w.t[3] : w.rig.t;
		assert_int_equal(nvio_thread_attach(submitter), 0);
		assert_int_equal(nvio_channel_for_each(w.rig.env, &w.d, visit, NULL, &w.op), 0);
		assert_int_equal(nvio_io_device_unregister(w.rig.env, &w.d, &unregister), 0);
		nvio_env_close(w.rig.env);
		assert_int_equal(w.done, 1);
		assert_int_equal(done, 1);
		/* The submitter goes first, or it is there until all is done. */
		assert_int_equal(w.op.status, newest_submits ? -ECANCELED : 0);
		assert_int_equal(unregister.status, newest_submits ? -ECANCELED : 0);
		assert_int_equal(w.d.created, 3);
		assert_int_equal(w.d.destroyed, 3);
	}
}

struct worker {
	struct nvio_env *env;
	struct nvio_thread *t;
	struct device *d;
	pthread_t os;
	atomic_bool *stop;
	bool churns; /* gets and puts all the time */
	atomic_bool ready;
};

static void *work(void *arg)
{
	struct worker *w = arg;
	struct nvio_channel *ch, *more;

	if (nvio_thread_attach(w->t) || nvio_channel_get(w->env, w->d, &ch))
		return NULL;
	atomic_store(&w->ready, true);
	while (!atomic_load(w->stop)) {
		nvio_thread_poll(w->t, 0);
		if (!w->churns)
			continue;
		nvio_channel_put(ch);
		nvio_thread_poll(w->t, 0);
		if (nvio_channel_get(w->env, w->d, &ch) || nvio_channel_get(w->env, w->d, &more))
			return NULL;
		nvio_channel_put(more);
	}
	nvio_channel_put(ch);
	while (nvio_thread_destroy(w->t) == -EBUSY)
		nvio_thread_poll(w->t, 0);
	return w;
}

static int count_visit(struct nvio_channel *ch, void *arg)
{
	atomic_fetch_add((atomic_int *)arg, 1);
	return nvio_channel_thread(ch) == nvio_thread_current() ? 0 : -EPROTO;
}

static void walks_across_os_threads(void **state)
{
	atomic_bool stop = false;
	struct worker w[3] = { 0 };
	struct nvio_op op = NVIO_OP(NULL);
	struct device d;
	struct rig r;

	open_with_device(&r, &d);
	for (int i = 0; i < 3; i++) {
		w[i].env = r.env;
		w[i].d = &d;
		w[i].stop = &stop;
		w[i].churns = i == 2;
		assert_int_equal(nvio_thread_create(r.env, NULL, &w[i].t), 0);
		assert_int_equal(pthread_create(&w[i].os, NULL, work, &w[i]), 0);
	}
	for (int i = 0; i < 3; i++)
		while (!atomic_load(&w[i].ready))
			usleep(100);
	for (int i = 0; i < 500; i++) {
		atomic_int visited = 0;

		assert_int_equal(
			nvio_await(nvio_channel_for_each(r.env, &d, count_visit, &visited, &op), &op), 0);
		/* The two that stand still, and the third when it was there; one that goes and comes may be
		 * met again. */
		assert_true(visited >= 2);
	}
	atomic_store(&stop, true);
	for (int i = 0; i < 3; i++) {
		void *result;

		assert_int_equal(pthread_join(w[i].os, &result), 0);
		assert_ptr_equal(result, &w[i]);
	}
	assert_int_equal(nvio_await(nvio_io_device_unregister(r.env, &d, &op), &op), 0);
	assert_int_equal(d.created, d.destroyed);
	rig_close(&r);
}

static void unregistering_while_other_os_threads_let_go(void **state)
{
	for (int round = 0; round < 50; round++) {
		atomic_bool stop = false;
		struct worker w[3] = { 0 };
		struct nvio_op op = NVIO_OP(NULL);
		struct device d;
		struct rig r;

		open_with_device(&r, &d);
		for (int i = 0; i < 3; i++) {
			w[i].env = r.env;
			w[i].d = &d;
			w[i].stop = &stop;
			assert_int_equal(nvio_thread_create(r.env, NULL, &w[i].t), 0);
			assert_int_equal(pthread_create(&w[i].os, NULL, work, &w[i]), 0);
		}
		for (int i = 0; i < 3; i++)
			while (!atomic_load(&w[i].ready))
				usleep(100);
		assert_int_equal(nvio_io_device_unregister(r.env, &d, &op), 0);
		nvio_thread_poll(r.t, 0);
		assert_true(nvio_op_pending(&op));
		atomic_store(&stop, true);
		assert_int_equal(nvio_wait(&op), 0);
		assert_int_equal(d.destroyed, 3);
		for (int i = 0; i < 3; i++)
			assert_int_equal(pthread_join(w[i].os, NULL), 0);
		rig_close(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_get_yields_the_same_channel_and_counts),
		cmocka_unit_test(a_get_before_the_end_keeps_the_channel),
		cmocka_unit_test(each_thread_has_its_own_channel),
		cmocka_unit_test(many_devices_keep_apart),
		cmocka_unit_test(what_cannot_be_had_is_refused),
		cmocka_unit_test(without_memory_nothing_is_left),
		cmocka_unit_test(a_channel_that_is_got_while_it_is_made_exists_once),
		cmocka_unit_test(destroying_a_thread_waits_for_its_channels),
		cmocka_unit_test(unregistering_waits_for_the_last_channel),
		cmocka_unit_test(unregistering_a_device_without_channels_completes_in_the_next_poll),
		cmocka_unit_test(an_unregistration_can_be_cancelled_and_time_out_and_be_taken_up_again),
		cmocka_unit_test(submitting_checks_come_before_the_op_is_touched),
		cmocka_unit_test(the_walk_visits_each_channel_on_its_own_thread_one_after_another),
		cmocka_unit_test(a_negative_return_ends_the_walk_and_no_other_does),
		cmocka_unit_test(a_walk_over_nothing_completes_in_the_next_poll),
		cmocka_unit_test(a_channel_that_is_put_under_the_walk_is_passed_over),
		cmocka_unit_test(a_walk_can_be_cancelled_and_time_out),
		cmocka_unit_test(exiting_threads_are_walked_too),
		cmocka_unit_test(closing_the_environment_ends_everything_once),
		cmocka_unit_test(walks_across_os_threads),
		cmocka_unit_test(unregistering_while_other_os_threads_let_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
