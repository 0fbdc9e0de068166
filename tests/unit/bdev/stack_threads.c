/* SPDX-License-Identifier: BSD-3-Clause */
/* Devices on devices and several threads: who made them is gone, who deletes them is another, and all of it under I/O. B1, B4. */
#include "stack.h"

#include <pthread.h>
#include <stdatomic.h>

struct other {
	struct fixture f;
	void (*run)(struct fixture *f);
};

static void *other_main(void *arg)
{
	struct other *o = arg;

	assert_ok(nvio_thread_create(o->f.env, NULL, &o->f.thread));
	assert_ok(nvio_thread_attach(o->f.thread));
	o->run(&o->f);
	assert_ok(nvio_thread_detach(o->f.thread));
	assert_ok(nvio_thread_destroy(o->f.thread));
	return NULL;
}

/* Runs it on a thread of its own, which is gone then. */
static void elsewhere(struct fixture *f, void (*run)(struct fixture *f))
{
	struct other o = { .f = *f, .run = run };
	pthread_t thread;

	assert_ok(pthread_create(&thread, NULL, other_main, &o));
	assert_ok(pthread_join(thread, NULL));
}

static void make_stacks(struct fixture *f)
{
	make(f, "passthru?name=p:delay?name=d:error?name=e:bdev:m");
	make(f, "split?name=s&count=2:bdev:m2");
}

static void the_thread_that_made_a_stack_may_be_gone(void **state)
{
	struct fixture *f = *state;
	uint64_t blocks;

	make_malloc(f, "m", BLOCK, BLOCKS);
	make_malloc(f, "m2", BLOCK, BLOCKS);
	elsewhere(f, make_stacks);
	assert_ok(nvio_bdev_resize(f->env, "m", BLOCKS / 2));
	assert_ok(nvio_bdev_resize(f->env, "m2", BLOCKS / 4));
	poll_some(f);
	assert_true(is_there(f, "p", &blocks));
	assert_int_equal(blocks, BLOCKS / 2);
	assert_true(is_there(f, "sp0", &blocks));
	assert_int_equal(blocks, BLOCKS / 4);
	assert_false(is_there(f, "sp1", NULL));
	delete_device(f, "m");
	delete_device(f, "m2");
	poll_some(f);
	assert_false(is_there(f, "p", NULL) || is_there(f, "d", NULL) || is_there(f, "e", NULL) || is_there(f, "sp0", NULL));
}

static void delete_stacks(struct fixture *f)
{
	delete_device(f, "p");
	delete_device(f, "sp1");
	delete_device(f, "sp0");
}

static void delete_d(struct fixture *f)
{
	delete_device(f, "d");
}

static void another_thread_may_delete_what_one_has_made(void **state)
{
	struct fixture *f = *state;
	struct nvio_bdev_desc *desc;

	make_malloc(f, "m", BLOCK, BLOCKS);
	make_malloc(f, "m2", BLOCK, BLOCKS);
	make_stacks(f);
	elsewhere(f, delete_stacks);
	/* The bases are given back on the thread that opened them. */
	poll_some(f);
	assert_ok(nvio_bdev_open(f->env, "d", NVIO_BDEV_WRITE, &desc));
	assert_ok(nvio_bdev_close(desc));
	assert_ok(nvio_bdev_open(f->env, "m2", NVIO_BDEV_WRITE, &desc));
	assert_ok(nvio_bdev_close(desc));
	/* The threads that made and that deleted are both gone. */
	elsewhere(f, delete_d);
	poll_some(f);
	delete_device(f, "m");
	poll_some(f);
	assert_false(is_there(f, "e", NULL));
}

/* ---- several threads at once ---- */

#define THREADS 8u

struct busy {
	struct fixture f;
	const char *name;
	uint64_t first; /* its own blocks begin there */
	pthread_t thread;
	_Atomic unsigned rounds;
	bool removed;
};

/* cmocka's assertions are for the test's own thread. */
static void must(bool truth)
{
	if (!truth) {
		fprintf(stderr, "# %s\n", nvio_errmsg());
		abort();
	}
}

static void removed_event(struct nvio_bdev_desc *desc, enum nvio_bdev_event event, void *arg)
{
	((struct busy *)arg)->removed |= event == NVIO_BDEV_REMOVED;
}

/* Keeps 16 I/Os in flight until the device is taken away; each ends once. */
static void *busy_main(void *arg)
{
	struct busy *b = arg;
	struct nvio_op own[16];
	unsigned char buf[16][BLOCK];
	unsigned flying = 0;
	struct disk d;

	must(!nvio_thread_create(b->f.env, NULL, &b->f.thread));
	must(!nvio_thread_attach(b->f.thread));
	must(!nvio_bdev_open(b->f.env, b->name, NVIO_BDEV_WRITE, &d.desc));
	must(!nvio_bdev_channel(d.desc, &d.ch));
	nvio_bdev_set_event_fn(d.desc, removed_event, b);
	memset(own, 0, sizeof(own));
	while (!b->removed || flying) {
		flying = 0;
		for (unsigned i = 0; i < 16; i++) {
			if (nvio_op_pending(&own[i])) {
				flying++;
				continue;
			}
			if (b->removed)
				continue;
			own[i] = (struct nvio_op)NVIO_OP(NULL);
			/* It may go at any moment. */
			if (i % 2 ? nvio_bdev_read(d.desc, d.ch, buf[i], (b->first + i) * BLOCK, BLOCK, &own[i])
				  : nvio_bdev_write(d.desc, d.ch, buf[i], (b->first + i) * BLOCK, BLOCK, &own[i]))
				own[i].status = 0;
			flying += nvio_op_pending(&own[i]);
		}
		atomic_fetch_add(&b->rounds, 1);
		nvio_thread_poll(b->f.thread, 0);
	}
	nvio_channel_put(d.ch);
	must(!nvio_bdev_close(d.desc));
	must(!nvio_thread_detach(b->f.thread));
	must(!nvio_thread_destroy(b->f.thread));
	return NULL;
}

static void run_removal(struct fixture *f, const char *text, const char *victim, const char *const *names)
{
	struct nvio_op op = NVIO_OP(NULL);
	static struct busy busy[THREADS];

	make(f, text);
	for (unsigned i = 0; i < THREADS; i++) {
		busy[i] = (struct busy){ .f = *f, .name = names[i % 2], .first = i * 16 };
		assert_ok(pthread_create(&busy[i].thread, NULL, busy_main, &busy[i]));
	}
	for (unsigned i = 0; i < THREADS; i++)
		while (atomic_load(&busy[i].rounds) < 20)
			nvio_thread_poll(f->thread, 0);
	assert_ok(nvio_bdev_delete(f->env, victim, &op));
	assert_ok(nvio_wait(&op));
	for (unsigned i = 0; i < THREADS; i++)
		assert_ok(pthread_join(busy[i].thread, NULL));
	poll_some(f);
	assert_false(is_there(f, names[0], NULL));
}

/* At each level of a stack in turn, under eight threads that do not stop. */
static void each_level_may_be_removed_under_several_threads(void **state)
{
	static const char *const tops[] = { "topp0", "topp1" }, *const plain[] = { "top", "top" };
	static const char *const victims[] = { "m", "a", "b", "c" };

	for (size_t i = 0; i < ARRAY_SIZE(victims); i++) {
		run_removal(*state, "split?count=2&name=top:passthru?name=a:delay?name=b&avg_read=50&p99_read=200:error?name=c:malloc:2M?name=m",
			victims[i], tops);
		fixture_teardown(state);
		fixture_setup(state);
		run_removal(*state, "passthru?name=top:passthru?name=a:passthru?name=b:passthru?name=c:null:2M?name=m", victims[i], plain);
		fixture_teardown(state);
		fixture_setup(state);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		fixture_test(the_thread_that_made_a_stack_may_be_gone),
		fixture_test(another_thread_may_delete_what_one_has_made),
		fixture_test(each_level_may_be_removed_under_several_threads),
	};

	return cmocka_run_group_tests_name("bdev/stack_threads", tests, NULL, NULL);
}
