/* SPDX-License-Identifier: BSD-3-Clause */
/* The file device where the kernel says "try again": it does, and neither for ever nor in its sleep. B4. */
#include "forbid.h"
#include "image.h"

#include <sys/wait.h>

#include "bdev/modules/file.h"

#define IDLE_POLLS 20000u /* far more than the engine polls before it lets the thread sleep */

static void refused_steps_are_tried_again_so_often_and_interrupted_ones_always(void **state)
{
	static const struct {
		int res;
		bool bounded;
	} cases[] = { { -EAGAIN, true }, { -ECANCELED, true }, { -EINTR, false } };
	unsigned char buf[1024];
	struct iovec iov = { buf, sizeof(buf) };
	struct nvio_bdev_io io = { .type = NVIO_BDEV_IO_READ, .len = sizeof(buf), .iov = &iov, .iovcnt = 1 };
	struct file_progress *p = file_progress(&io);
	struct iovec vec[FILE_STEP_IOVCNT];
	struct file_bdev f = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		file_progress_init(p);
		/* Half of it moves in between, and the counting starts again. */
		for (unsigned half = 0; half < 2; half++) {
			assert_int_equal(file_step(&f, &io, p, vec, NULL), 1);
			for (unsigned n = 0; n < FILE_AGAIN_MAX; n++)
				assert_int_equal(file_step_done(&f, &io, p, cases[i].res), 1);
			if (!half)
				assert_int_equal(file_step_done(&f, &io, p, sizeof(buf) / 2), 1);
		}
		assert_int_equal(file_step_done(&f, &io, p, cases[i].res), cases[i].bounded ? -EIO : 1);
		assert_int_equal(p->done, sizeof(buf) / 2);
	}
}

struct child {
	struct nvio_env *env;
	struct nvio_thread *thread;
	struct nvio_bdev_desc *desc;
	struct nvio_channel *ch;
};

static int child_open(struct child *c, const char *path, enum nvio_bdev_file_engine engine)
{
	struct nvio_bdev_file_opts o = opts_for("f", path);

	alarm(30); /* what hangs ends here */
	o.engine = engine;
	o.no_direct = true;
	return nvio_env_open(NULL, &c->env) || nvio_thread_create(c->env, NULL, &c->thread) ||
	       nvio_thread_attach(c->thread) || nvio_bdev_file_create(c->env, &o) ||
	       nvio_bdev_open(c->env, "f", NVIO_BDEV_WRITE, &c->desc) || nvio_bdev_channel(c->desc, &c->ch);
}

static int child_close(struct child *c)
{
	nvio_channel_put(c->ch);
	if (nvio_bdev_close(c->desc) || nvio_thread_detach(c->thread))
		return 1;
	nvio_env_close(c->env);
	return 0;
}

/* Runs it in a child of its own; EXIT_SKIP where seccomp cannot be had. */
static void in_child(int (*run)(const char *path), const char *path)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid)
		_exit(run(path));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == EXIT_SKIP) {
		print_message("# seccomp cannot be had here\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

static int refused_calls_child(const char *path)
{
	struct nvio_op op = NVIO_OP(NULL);
	unsigned char buf[512] = { 0 };
	struct child c;

	forbid_call(SYS_preadv, EAGAIN);
	if (child_open(&c, path, NVIO_BDEV_FILE_THREADS))
		return 2;
	if (nvio_await(nvio_bdev_read(c.desc, c.ch, buf, 0, sizeof(buf), &op), &op) != -EIO)
		return 3;
	op = (struct nvio_op)NVIO_OP(NULL);
	if (nvio_await(nvio_bdev_write(c.desc, c.ch, buf, 0, sizeof(buf), &op), &op))
		return 4;
	return child_close(&c);
}

static void calls_that_are_refused_for_ever_are_an_error(void **state)
{
	struct fixture *f = *state;

	in_child(refused_calls_child, make_image(f, "image", 1 << 20, 0600));
}

static int stuck_entry_child(const char *path)
{
	struct nvio_op ops[2] = { NVIO_OP(NULL), NVIO_OP(NULL) };
	unsigned char buf[2][512] = { 0 };
	struct child c;

	forbid_lone_entries(EAGAIN);
	if (child_open(&c, path, NVIO_BDEV_FILE_IO_URING))
		return 2;
	if (nvio_bdev_read(c.desc, c.ch, buf[0], 0, sizeof(buf[0]), &ops[0]))
		return 3;
	for (unsigned i = 0; i < IDLE_POLLS; i++)
		nvio_thread_poll(c.thread, 0);
	/* The kernel has nothing and will tell nothing: who sleeps now sleeps for ever. */
	if (!nvio_op_pending(&ops[0]) || !nvio_thread_has_active_pollers(c.thread))
		return 4;
	/* Two entries the kernel takes. */
	if (nvio_bdev_read(c.desc, c.ch, buf[1], 512, sizeof(buf[1]), &ops[1]))
		return 5;
	while (nvio_op_pending(&ops[0]) || nvio_op_pending(&ops[1]))
		nvio_thread_poll(c.thread, 0);
	if (ops[0].status || ops[1].status)
		return 6;
	return child_close(&c);
}

static void nobody_sleeps_on_entries_that_the_kernel_has_not_taken(void **state)
{
	struct fixture *f = *state;

	if (!have_uring(f)) {
		print_message("# io_uring cannot be had here\n");
		skip();
	}
	in_child(stuck_entry_child, make_image(f, "image", 1 << 20, 0600));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		fixture_test(refused_steps_are_tried_again_so_often_and_interrupted_ones_always),
		fixture_test(calls_that_are_refused_for_ever_are_an_error),
		fixture_test(nobody_sleeps_on_entries_that_the_kernel_has_not_taken),
	};

	return cmocka_run_group_tests_name("bdev/again", tests, NULL, NULL);
}
