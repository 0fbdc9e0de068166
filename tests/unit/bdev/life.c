/* SPDX-License-Identifier: BSD-3-Clause */
/* The life of a device: deletion with everything open, resize, several threads, and an environment that
 * closes over it all. B1, M3, X1. */
#include "support.h"

#include <pthread.h>
#include <stdatomic.h>

#define BLOCK 512u

struct events {
	unsigned removed, resized;
	bool close_in_event;
	struct disk *disk;
};

static void on_event(struct nvio_bdev_desc *desc, enum nvio_bdev_event event, void *arg)
{
	struct events *e = arg;

	e->removed += event == NVIO_BDEV_REMOVED;
	e->resized += event == NVIO_BDEV_RESIZED;
	if (e->close_in_event) {
		nvio_channel_put(e->disk->ch);
		assert_ok(nvio_bdev_close(desc));
	}
}

static void polls(struct fixture *f, unsigned n)
{
	while (n--)
		nvio_thread_poll(f->thread, 0);
}

static void a_deletion_is_told_refuses_new_io_and_waits_for_the_last_close(void **state)
{
	struct nvio_op gone = NVIO_OP(NULL), io = NVIO_OP(NULL), more = NVIO_OP(NULL);
	static unsigned char buf[BLOCK];
	struct nvio_bdev_desc *desc;
	struct fixture *f = *state;
	struct events e = { 0 }, e2 = { 0 };
	struct nvio_channel *ch;
	struct disk d, d2;

	make_malloc(f, "m", BLOCK, 64);
	d = disk_open(f, "m", NVIO_BDEV_WRITE);
	d2 = disk_open(f, "m", NVIO_BDEV_READ);
	nvio_bdev_set_event_fn(d.desc, on_event, &e);
	nvio_bdev_set_event_fn(d2.desc, on_event, &e2);
	assert_ok(nvio_bdev_write(d.desc, d.ch, buf, 0, BLOCK, &io));
	assert_ok(nvio_bdev_delete(f->env, "m", &gone));
	assert_int_equal(e.removed, 0); /* never inside the call */
	assert_int_equal(nvio_bdev_delete(f->env, "m", &more), -ENODEV);
	assert_int_equal(nvio_bdev_open(f->env, "m", 0, &desc), -ENODEV);
	assert_int_equal(nvio_bdev_channel(d.desc, &ch), -ENODEV);
	assert_int_equal(do_read(&d, buf, 0, BLOCK), -ENODEV);
	assert_int_equal(do_write(&d, buf, 0, BLOCK), -ENODEV);
	assert_int_equal(nvio_bdev_flush(d.desc, d.ch, &more), -ENODEV);
	assert_int_equal(nvio_bdev_unmap(d.desc, d.ch, 0, BLOCK, &more), -ENODEV);
	assert_int_equal(nvio_bdev_write_zeroes(d.desc, d.ch, 0, BLOCK, &more), -ENODEV);
	assert_int_equal(nvio_bdev_claim(d.desc), -ENODEV);
	assert_errmsg_has("removed");
	polls(f, 5);
	assert_ok(io.status); /* what was in flight completed */
	assert_int_equal(e.removed, 1);
	assert_int_equal(e2.removed, 1);
	make_malloc(f, "m", 4096, 8); /* the name is free at once */
	disk_close(&d);
	polls(f, 5);
	assert_true(nvio_op_pending(&gone));
	disk_close(&d2);
	assert_ok(nvio_wait(&gone));
	d = disk_open(f, "m", NVIO_BDEV_WRITE);
	assert_int_equal(nvio_bdev_block_size(d.bdev), 4096);
	disk_close(&d);
}

static void a_deletion_checks_its_arguments(void **state)
{
	struct nvio_op op = NVIO_OP(NULL), flagged = { .flags = NVIO_OP_REAP };
	struct fixture *f = *state;

	make_null(f, "n", BLOCK, 8);
	assert_int_equal(nvio_bdev_delete(f->env, "other", &op), -ENODEV);
	assert_errmsg_has("other");
	assert_int_equal(nvio_bdev_delete(NULL, "n", &op), -EINVAL);
	assert_int_equal(nvio_bdev_delete(f->env, NULL, &op), -EINVAL);
	assert_int_equal(nvio_bdev_delete(f->env, "n", NULL), -EINVAL);
	assert_int_equal(nvio_bdev_delete(f->env, "n", &flagged), -EINVAL);
	assert_ok(nvio_thread_detach(f->thread));
	assert_int_equal(nvio_bdev_delete(f->env, "n", &op), -EINVAL);
	assert_ok(nvio_thread_attach(f->thread));
	assert_false(nvio_op_pending(&op));
	delete_device(f, "n");
}

static void a_descriptor_may_be_closed_from_its_event(void **state)
{
	struct nvio_op gone = NVIO_OP(NULL);
	struct fixture *f = *state;
	struct events e = { .close_in_event = true };
	struct disk d;

	make_malloc(f, "m", BLOCK, 64);
	d = disk_open(f, "m", NVIO_BDEV_WRITE);
	e.disk = &d;
	nvio_bdev_set_event_fn(d.desc, on_event, &e);
	assert_ok(nvio_await(nvio_bdev_delete(f->env, "m", &gone), &gone));
	assert_int_equal(e.removed, 1);
}

static void a_descriptor_closed_before_its_event_hears_nothing(void **state)
{
	struct nvio_op gone = NVIO_OP(NULL);
	struct fixture *f = *state;
	struct events e = { 0 };
	struct disk d;

	make_malloc(f, "m", BLOCK, 64);
	d = disk_open(f, "m", NVIO_BDEV_WRITE);
	nvio_bdev_set_event_fn(d.desc, on_event, &e);
	assert_ok(nvio_bdev_delete(f->env, "m", &gone));
	disk_close(&d);
	assert_ok(nvio_wait(&gone));
	polls(f, 3);
	assert_int_equal(e.removed, 0);
}

static void resize_moves_the_end_and_keeps_the_data(void **state)
{
	static unsigned char buf[BLOCK];
	struct fixture *f = *state;
	struct events e = { 0 };
	struct disk d;

	make_malloc(f, "m", BLOCK, 64);
	d = disk_open(f, "m", NVIO_BDEV_WRITE);
	nvio_bdev_set_event_fn(d.desc, on_event, &e);
	memset(buf, 0x11, BLOCK);
	assert_ok(do_write(&d, buf, 63 * BLOCK, BLOCK));
	assert_ok(nvio_bdev_resize(f->env, "m", 1 << 20));
	polls(f, 1);
	assert_int_equal(e.resized, 1);
	assert_int_equal(nvio_bdev_num_blocks(d.bdev), 1 << 20);
	memset(buf, 0, BLOCK);
	assert_ok(do_read(&d, buf, 63 * BLOCK, BLOCK));
	assert_true(all_bytes_are(buf, 0x11, BLOCK));
	memset(buf, 0x22, BLOCK);
	assert_ok(do_write(&d, buf, ((1 << 20) - 1) * (uint64_t)BLOCK, BLOCK));
	assert_ok(nvio_bdev_resize(f->env, "m", 63));
	assert_int_equal(do_read(&d, buf, 63 * BLOCK, BLOCK), -ERANGE);
	assert_ok(do_read(&d, buf, 62 * BLOCK, BLOCK));
	assert_ok(nvio_bdev_resize(f->env, "m", 1 << 20));
	assert_ok(do_read(&d, buf, 63 * BLOCK, BLOCK));
	assert_true(all_bytes_are(buf, 0, BLOCK)); /* cut off and grown again: zeros */
	assert_ok(do_read(&d, buf, ((1 << 20) - 1) * (uint64_t)BLOCK, BLOCK));
	assert_true(all_bytes_are(buf, 0, BLOCK));
	polls(f, 2);
	assert_true(e.resized >= 2);
	assert_int_equal(e.removed, 0);
	disk_close(&d);
}

static int no_submit(void *device, void *channel, struct nvio_bdev_io *io)
{
	return -EIO;
}

static void no_destroy(void *device)
{
}

static void resize_says_why_it_cannot(void **state)
{
	static const struct nvio_bdev_module rigid = {
		.name = "rigid", .submit = no_submit, .destroy = no_destroy
	};
	struct nvio_bdev_params p;
	struct fixture *f = *state;

	make_null(f, "n", BLOCK, 8);
	make_malloc(f, "m", BLOCK, 8);
	assert_ok(nvio_bdev_module_register(f->env, &rigid));
	nvio_bdev_params_init(&p);
	p.module = &rigid;
	p.name = "r";
	p.num_blocks = 8;
	assert_ok(nvio_bdev_register(f->env, &p));
	assert_int_equal(nvio_bdev_resize(f->env, "r", 16), -EOPNOTSUPP);
	assert_int_equal(nvio_bdev_resize(f->env, "n", 0), -EINVAL);
	assert_int_equal(nvio_bdev_resize(f->env, "n", UINT64_MAX), -EINVAL);
	assert_int_equal(nvio_bdev_resize(f->env, "m", 1ull << 53), -ENOMEM);
	assert_int_equal(nvio_bdev_resize(f->env, "other", 16), -ENODEV);
	assert_int_equal(nvio_bdev_resize(f->env, NULL, 16), -EINVAL);
	assert_int_equal(nvio_bdev_resize(NULL, "n", 16), -EINVAL);
	assert_ok(nvio_bdev_resize(f->env, "n", 16));
}

/* A second OS thread with an nvio_thread of its own. */
struct helper {
	pthread_t os_thread;
	struct nvio_thread *thread;
	_Atomic bool stop;
};

static void *helper_run(void *arg)
{
	struct helper *h = arg;

	while (!atomic_load(&h->stop))
		if (!nvio_thread_poll(h->thread, 0))
			usleep(10);
	return NULL;
}

static void helper_start(struct fixture *f, struct helper *h)
{
	assert_ok(nvio_thread_create(f->env, NULL, &h->thread));
	atomic_init(&h->stop, false);
	assert_ok(pthread_create(&h->os_thread, NULL, helper_run, h));
}

static void helper_stop(struct helper *h)
{
	atomic_store(&h->stop, true);
	assert_ok(pthread_join(h->os_thread, NULL));
	assert_ok(nvio_thread_destroy(h->thread));
}

struct call {
	void (*fn)(struct call *c);
	struct fixture *f;
	const char *name;
	struct disk d;
	struct nvio_op op;
	unsigned count, left;
	unsigned char *buf;
	struct events events;
	_Atomic bool finished;
};

static void call_run(void *arg)
{
	struct call *c = arg;

	c->fn(c);
}

static void call_on(struct helper *h, struct call *c, void (*fn)(struct call *c))
{
	c->fn = fn;
	atomic_store(&c->finished, false);
	assert_ok(nvio_thread_send(h->thread, call_run, c));
}

static void await_call(struct fixture *f, struct call *c)
{
	while (!atomic_load(&c->finished))
		nvio_thread_poll(f->thread, 0);
}

static void open_there(struct call *c)
{
	c->d = disk_open(c->f, c->name, NVIO_BDEV_WRITE);
	nvio_bdev_set_event_fn(c->d.desc, on_event, &c->events);
	atomic_store(&c->finished, true);
}

static void close_there(struct call *c)
{
	disk_close(&c->d);
	atomic_store(&c->finished, true);
}

static void next_write(struct nvio_op *op)
{
	struct call *c = op->arg;

	assert_true(op->status == 0);
	if (!c->left--) {
		atomic_store(&c->finished, true);
		return;
	}
	assert_ok(nvio_bdev_write(c->d.desc, c->d.ch, c->buf, (c->left % 8) * BLOCK, BLOCK, op));
}

static void writes_there(struct call *c)
{
	c->op = (struct nvio_op)NVIO_OP(next_write);
	c->op.arg = c;
	c->left = c->count;
	assert_ok(nvio_bdev_write(c->d.desc, c->d.ch, c->buf, 0, BLOCK, &c->op));
}

static void a_device_is_used_by_two_threads_and_deleted_by_a_third_party(void **state)
{
	static unsigned char mine[BLOCK], theirs[BLOCK];
	struct nvio_op gone = NVIO_OP(NULL);
	struct fixture *f = *state;
	struct call c = { .f = f, .name = "m", .count = 20000, .buf = theirs };
	struct helper h;
	struct disk d;

	make_malloc(f, "m", BLOCK, 64);
	helper_start(f, &h);
	call_on(&h, &c, open_there);
	await_call(f, &c);
	d = disk_open(f, "m", NVIO_BDEV_WRITE);
	assert_ptr_not_equal(d.ch, c.d.ch);
	call_on(&h, &c, writes_there);
	for (unsigned i = 0; i < 20000; i++)
		assert_ok(do_write(&d, mine, (32 + i % 8) * BLOCK, BLOCK));
	await_call(f, &c);
	disk_close(&d);
	assert_ok(nvio_bdev_delete(f->env, "m", &gone));
	polls(f, 100);
	assert_true(nvio_op_pending(&gone)); /* they still have it open */
	call_on(&h, &c, close_there);
	assert_ok(nvio_wait(&gone));
	await_call(f, &c);
	helper_stop(&h);
	assert_true(c.events.removed <= 1);
}

static void events_are_heard_on_the_opening_thread(void **state)
{
	struct nvio_op gone = NVIO_OP(NULL);
	struct fixture *f = *state;
	struct call c = { .f = f, .name = "n" };
	struct helper h;

	make_null(f, "n", BLOCK, 64);
	helper_start(f, &h);
	call_on(&h, &c, open_there);
	await_call(f, &c);
	c.events.close_in_event = true;
	c.events.disk = &c.d;
	assert_ok(nvio_await(nvio_bdev_delete(f->env, "n", &gone), &gone));
	helper_stop(&h);
	assert_int_equal(c.events.removed, 1);
}

static void a_malloc_device_does_not_move_under_another_thread(void **state)
{
	static unsigned char buf[BLOCK];
	struct fixture *f = *state;
	struct call c = { .f = f, .name = "m", .count = 20000, .buf = buf };
	struct helper h;
	int rc;

	make_malloc(f, "m", BLOCK, 64);
	helper_start(f, &h);
	call_on(&h, &c, open_there);
	await_call(f, &c);
	call_on(&h, &c, writes_there);
	for (uint64_t blocks = 64; blocks < 1 << 20; blocks *= 2) {
		rc = nvio_bdev_resize(f->env, "m", blocks);
		assert_true(rc == 0 || rc == -EBUSY);
		assert_ok(nvio_bdev_resize(f->env, "m", 16));
	}
	await_call(f, &c);
	call_on(&h, &c, close_there);
	await_call(f, &c);
	helper_stop(&h);
	assert_ok(nvio_bdev_resize(f->env, "m", 1 << 20));
}

static unsigned canceled;

static void note_canceled(struct nvio_op *op)
{
	canceled += op->status == -ECANCELED;
}

static void an_environment_closes_over_all_that_is_open(void **state)
{
	static unsigned char buf[4096];
	static struct nvio_op io, gone;
	struct nvio_bdev_file_opts o;
	struct nvio_thread *t;
	struct nvio_env *env;
	struct fixture *f = *state;
	char path[128];

	snprintf(path, sizeof(path), "%s/image", f->dir);
	for (int engine = NVIO_BDEV_FILE_AUTO; engine <= NVIO_BDEV_FILE_THREADS; engine += 2) {
		struct fixture inner = { 0 };
		struct disk d, open_disk;

		assert_ok(nvio_env_open(NULL, &env));
		assert_ok(nvio_thread_create(env, NULL, &t));
		assert_ok(nvio_thread_attach(t));
		inner.env = env;
		inner.thread = t;
		nvio_bdev_file_opts_init(&o);
		o.name = "f";
		o.path = path;
		o.create = true;
		o.num_blocks = 1024;
		o.engine = engine;
		assert_ok(nvio_bdev_file_create(env, &o));
		make_malloc(&inner, "m", BLOCK, 64);
		make_null(&inner, "deleted", BLOCK, 64);
		d = disk_open(&inner, "f", NVIO_BDEV_WRITE);
		open_disk = disk_open(&inner, "deleted", NVIO_BDEV_WRITE);
		(void)open_disk;
		disk_open(&inner, "m", NVIO_BDEV_WRITE);
		io = (struct nvio_op)NVIO_OP(NULL);
		gone = (struct nvio_op)NVIO_OP(note_canceled);
		canceled = 0;
		assert_ok(nvio_bdev_delete(env, "deleted", &gone));
		assert_ok(nvio_bdev_write(d.desc, d.ch, buf, 0, sizeof(buf), &io));
		assert_ok(nvio_thread_detach(t));
		nvio_env_close(env);
		assert_false(nvio_op_pending(&io));
		assert_int_equal(canceled, 1);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		fixture_test(a_deletion_is_told_refuses_new_io_and_waits_for_the_last_close),
		fixture_test(a_deletion_checks_its_arguments),
		fixture_test(a_descriptor_may_be_closed_from_its_event),
		fixture_test(a_descriptor_closed_before_its_event_hears_nothing),
		fixture_test(resize_moves_the_end_and_keeps_the_data),
		fixture_test(resize_says_why_it_cannot),
		fixture_test(a_device_is_used_by_two_threads_and_deleted_by_a_third_party),
		fixture_test(events_are_heard_on_the_opening_thread),
		fixture_test(a_malloc_device_does_not_move_under_another_thread),
		fixture_test(an_environment_closes_over_all_that_is_open),
	};

	return cmocka_run_group_tests_name("bdev/life", tests, NULL, NULL);
}
