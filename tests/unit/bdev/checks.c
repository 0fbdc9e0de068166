/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ownership checker: what programs and modules do wrong is named. Each fault ends a child process, whose
 * last words are read. Z3, and the bad input of modules.
 */
#include "ram.h"

#include <pthread.h>
#include <sys/wait.h>

#include <nvio/mem.h>

#define NEEDS_CHECKED                                                                                        \
	do {                                                                                                 \
		if (!NVIO_CHECKED) {                                                                         \
			print_message("# only checked builds look at this\n");                               \
			skip();                                                                              \
		}                                                                                            \
	} while (0)

enum fault { TWICE, TWICE_IN_SUBMIT, NEVER, ELSEWHERE, AFTER_EAGAIN, AND_AN_ERROR };

static enum fault fault;
static struct nvio_bdev_io *kept;

static int bad_submit(void *device, void *channel, struct nvio_bdev_io *io)
{
	kept = io;
	if (fault == TWICE_IN_SUBMIT) {
		nvio_bdev_io_done(io, 0);
		nvio_bdev_io_done(io, 0);
	}
	if (fault == AND_AN_ERROR) {
		nvio_bdev_io_done(io, 0);
		return -EIO;
	}
	return fault == AFTER_EAGAIN ? -EAGAIN : 0;
}

static void bad_destroy(void *device)
{
}

static const struct nvio_bdev_module bad_module = {
	.name = "bad", .submit = bad_submit, .destroy = bad_destroy
};

struct child {
	struct nvio_env *env;
	struct nvio_thread *main, *side;
	struct nvio_bdev_desc *desc;
	struct nvio_channel *ch;
	struct nvio_op op;
	unsigned char buf[4096];
};

static bool child_open(struct child *c)
{
	struct nvio_thread_opts main_opts, side_opts;
	struct nvio_bdev_params p;

	nvio_thread_opts_init(&main_opts);
	nvio_thread_opts_init(&side_opts);
	main_opts.name = "main-thread";
	side_opts.name = "side-thread";
	if (nvio_env_open(NULL, &c->env) || nvio_thread_create(c->env, &main_opts, &c->main) ||
		nvio_thread_create(c->env, &side_opts, &c->side) || nvio_thread_attach(c->main) ||
		nvio_bdev_module_register(c->env, &bad_module))
		return false;
	nvio_bdev_params_init(&p);
	p.module = &bad_module;
	p.name = "bad0";
	p.device = c;
	p.num_blocks = 64;
	return !nvio_bdev_register(c->env, &p) &&
	       !nvio_bdev_open(c->env, "bad0", NVIO_BDEV_WRITE, &c->desc) &&
	       !nvio_bdev_channel(c->desc, &c->ch);
}

static void *complete_elsewhere(void *arg)
{
	struct child *c = arg;

	nvio_thread_attach(c->side);
	nvio_bdev_io_done(kept, 0);
	return NULL;
}

static void module_fault(struct child *c)
{
	pthread_t thread;

	c->op = (struct nvio_op)NVIO_OP(NULL);
	nvio_bdev_write(c->desc, c->ch, c->buf, 0, 512, &c->op);
	switch (fault) {
	case TWICE:
		nvio_bdev_io_done(kept, 0);
		nvio_bdev_io_done(kept, 0);
		break;
	case NEVER:
		nvio_channel_put(c->ch);
		nvio_thread_poll(c->main, 0);
		break;
	case ELSEWHERE:
		pthread_create(&thread, NULL, complete_elsewhere, c);
		pthread_join(thread, NULL);
		break;
	case AFTER_EAGAIN: nvio_bdev_io_done(kept, 0); break;
	default: break;
	}
}

static void read_elsewhere(struct child *c)
{
	nvio_thread_attach(c->side);
	nvio_bdev_read(c->desc, c->ch, c->buf, 0, 512, &c->op);
}

static void compare_elsewhere(struct child *c)
{
	nvio_thread_attach(c->side);
	nvio_bdev_compare(c->desc, c->ch, c->buf, 0, 512, &c->op);
}

/* Runs it in a child, which must abort; what it says goes to `said`. */
static void last_words(void (*run)(struct child *c), char *said, size_t size)
{
	int pipe_fd[2], status;
	size_t len = 0;
	ssize_t n;
	pid_t pid;

	assert_ok(pipe(pipe_fd));
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		static struct child c;

		dup2(pipe_fd[1], STDERR_FILENO);
		signal(SIGABRT, SIG_DFL);
		alarm(60);
		if (child_open(&c))
			run(&c);
		_exit(3);
	}
	close(pipe_fd[1]);
	while ((n = read(pipe_fd[0], said + len, size - 1 - len)) > 0)
		len += (size_t)n;
	said[len] = 0;
	close(pipe_fd[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFSIGNALED(status) && WEXITSTATUS(status) == 3)
		fail_msg("it went unnoticed; said: %s", said);
}

static void assert_says(const char *said, const char *word)
{
	if (!strstr(said, word))
		fail_msg("\"%s\" is not in \"%s\"", word, said);
}

static void a_module_at_fault_is_named_with_its_device_and_the_threads(void **state)
{
	static const struct {
		enum fault fault;
		const char *words[3];
	} cases[] = {
		{ TWICE, { "twice", "write", "main-thread" } },
		{ TWICE_IN_SUBMIT, { "twice", "write", "main-thread" } },
		{ NEVER, { "never completed", "1 write", "main-thread" } },
		{ ELSEWHERE, { "wrong thread", "main-thread", "side-thread" } },
		{ AFTER_EAGAIN, { "-EAGAIN", "write", "main-thread" } },
		{ AND_AN_ERROR, { "twice", "write", "main-thread" } },
	};
	char said[4096];

	NEEDS_CHECKED;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		fault = cases[i].fault;
		last_words(module_fault, said, sizeof(said));
		assert_says(said, "module bad");
		assert_says(said, "device bad0");
		for (unsigned w = 0; w < 3; w++)
			assert_says(said, cases[i].words[w]);
	}
}

static void io_on_another_threads_channel_is_named(void **state)
{
	char said[4096];

	NEEDS_CHECKED;
	last_words(read_elsewhere, said, sizeof(said));
	assert_says(said, "bad0");
	assert_says(said, "read");
	assert_says(said, "main-thread");
	assert_says(said, "side-thread");
	last_words(compare_elsewhere, said, sizeof(said));
	assert_says(said, "compare");
}

static char logged[8192];

static void take_log(void *arg, enum nvio_log_level level, const char *text)
{
	size_t len = strlen(logged);

	snprintf(logged + len, sizeof(logged) - len, "%s\n", text);
}

static void a_descriptor_left_open_is_told_with_its_opener_and_the_place(void **state)
{
	struct nvio_bdev_desc *closed, *left;
	struct nvio_bdev_null_opts o;
	struct nvio_env_opts opts;
	struct nvio_thread_opts t;
	struct nvio_thread *thread;
	struct nvio_env *env;

	nvio_env_opts_init(&opts);
	opts.log_fn = take_log;
	logged[0] = 0;
	assert_ok(nvio_env_open(&opts, &env));
	nvio_thread_opts_init(&t);
	t.name = "the-opener";
	assert_ok(nvio_thread_create(env, &t, &thread));
	assert_ok(nvio_thread_attach(thread));
	nvio_bdev_null_opts_init(&o);
	o.num_blocks = 8;
	o.name = "leaked0";
	assert_ok(nvio_bdev_null_create(env, &o));
	o.name = "proper0";
	assert_ok(nvio_bdev_null_create(env, &o));
	assert_ok(nvio_bdev_open(env, "proper0", 0, &closed));
	assert_ok(nvio_bdev_open(env, "leaked0", 0, &left));
	assert_ok(nvio_bdev_close(closed));
	assert_ok(nvio_thread_detach(thread));
	nvio_env_close(env);
	assert_says(logged, "leaked0");
	assert_says(logged, "the-opener");
	if (NVIO_CHECKED)
		assert_says(logged, "test_bdev_checks+");
	assert_null(strstr(logged, "proper0"));
}

static void a_buffer_in_flight_can_be_neither_freed_nor_unregistered(void **state)
{
	struct nvio_op op = NVIO_OP(NULL), swap = NVIO_OP(NULL);
	struct fixture *f = *state;
	unsigned char *buf, *own;
	static struct ram ram;
	struct iovec iov[2];
	struct disk d;

	NEEDS_CHECKED;
	ram = (struct ram){ .room = 8 };
	ram_make(f, &ram, 0, 64);
	d = disk_open(f, "r", NVIO_BDEV_WRITE);
	buf = nvio_mem_alloc(f->env, 8192, 4096);
	own = aligned_alloc(4096, 4096);
	assert_non_null(buf);
	assert_non_null(own);
	assert_ok(nvio_mem_register(f->env, own, 4096));
	iov[0] = (struct iovec){ own, 512 };
	iov[1] = (struct iovec){ buf + 512, 4096 };
	assert_ok(nvio_bdev_writev(d.desc, d.ch, iov, 2, 0, 1024, &op));
	assert_int_equal(nvio_mem_free(f->env, buf), -EBUSY);
	assert_int_equal(nvio_mem_unregister(f->env, own, 4096), -EBUSY);
	assert_ok(ram_wait(f, &ram, &op));
	memcpy(buf, ram.data, 512);
	assert_ok(nvio_bdev_compare_and_write(d.desc, d.ch, buf, own, 0, 512, &swap));
	assert_int_equal(nvio_mem_free(f->env, buf), -EBUSY);
	assert_int_equal(nvio_mem_unregister(f->env, own, 4096), -EBUSY);
	assert_ok(ram_wait(f, &ram, &swap));
	assert_ok(nvio_mem_unregister(f->env, own, 4096));
	/* Over its end, and once it is freed. */
	assert_int_equal(nvio_bdev_read(d.desc, d.ch, buf + 4096, 0, 8192, &op), -EFAULT);
	assert_ok(nvio_mem_free(f->env, buf));
	assert_int_equal(nvio_bdev_read(d.desc, d.ch, buf, 0, 512, &op), -EFAULT);
	assert_errmsg_has("freed");
	disk_close(&d);
	free(own);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_module_at_fault_is_named_with_its_device_and_the_threads),
		cmocka_unit_test(io_on_another_threads_channel_is_named),
		cmocka_unit_test(a_descriptor_left_open_is_told_with_its_opener_and_the_place),
		fixture_test(a_buffer_in_flight_can_be_neither_freed_nor_unregistered),
	};

	return cmocka_run_group_tests_name("bdev/checks", tests, NULL, NULL);
}
