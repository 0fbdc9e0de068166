/* SPDX-License-Identifier: BSD-3-Clause */
/* The file device at work: engines and their fallback, full disks, and a file that is cut under us. B4. */
#include "forbid.h"
#include "image.h"

#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static void what_was_written_is_in_the_file_and_there_after_reopening(void **state)
{
	static unsigned char buf[8192], seen[8192];
	struct fixture *f = *state;
	struct nvio_bdev_file_opts o = opts_for("f", make_image(f, "image", 1 << 20, 0600));

	for_each_engine (engine, f)
		for (int direct = 0; direct < 2; direct++) {
			struct nvio_op op = { .flags = NVIO_OP_FUA };
			unsigned char value = (unsigned char)(engine * 16 + direct + 1);
			struct disk d;
			int fd;

			o.engine = engine;
			o.no_direct = !direct;
			o.block_size = 4096;
			assert_ok(nvio_bdev_file_create(f->env, &o));
			d = disk_open(f, "f", NVIO_BDEV_WRITE);
			memset(buf, value, sizeof(buf));
			assert_ok(do_write(&d, buf, 4096, 4096));
			assert_ok(nvio_await(nvio_bdev_write(d.desc, d.ch, buf, 8192, 8192, &op), &op));
			op = (struct nvio_op)NVIO_OP(NULL);
			assert_ok(nvio_await(nvio_bdev_flush(d.desc, d.ch, &op), &op));
			disk_close(&d);
			delete_device(f, "f");
			fd = open(o.path, O_RDONLY);
			assert_int_equal(pread(fd, seen, 8192, 4096), 8192);
			assert_ok(close(fd));
			assert_true(all_bytes_are(seen, value, 8192));
			assert_ok(nvio_bdev_file_create(f->env, &o));
			d = disk_open(f, "f", 0);
			memset(seen, 0, sizeof(seen));
			assert_ok(do_read(&d, seen, 8192, 8192));
			assert_true(all_bytes_are(seen, value, 8192));
			disk_close(&d);
			delete_device(f, "f");
		}
}

static void the_engine_is_told(void **state)
{
	struct fixture *f = *state;
	struct nvio_bdev_file_opts o = opts_for("f", make_image(f, "image", 1 << 20, 0600));
	bool direct = true, uring = have_uring(f);
	const char *engine;
	struct disk d;

	for (int kind = NVIO_BDEV_FILE_AUTO; kind <= NVIO_BDEV_FILE_THREADS; kind++) {
		if (kind == NVIO_BDEV_FILE_IO_URING && !uring)
			continue;
		o.engine = kind;
		o.no_direct = true;
		assert_ok(nvio_bdev_file_create(f->env, &o));
		d = disk_open(f, "f", 0);
		assert_ok(nvio_bdev_file_engine(d.bdev, &engine, &direct));
		assert_string_equal(
			engine, kind == NVIO_BDEV_FILE_THREADS || !uring ? "threads" : "io_uring");
		assert_false(direct);
		disk_close(&d);
		delete_device(f, "f");
	}
	assert_int_equal(nvio_bdev_file_engine(NULL, &engine, &direct), -EINVAL);
}

static void direct_io_is_used_where_the_file_system_takes_it(void **state)
{
	struct fixture *f = *state;
	struct nvio_bdev_file_opts o = opts_for("f", make_image(f, "image", 1 << 20, 0600));
	int fd = open(o.path, O_RDONLY | O_DIRECT);
	bool direct;
	struct disk d;

	if (fd < 0) {
		print_message("# the file system of %s has no O_DIRECT\n", f->dir);
		skip();
	}
	close(fd);
	o.block_size = 4096;
	assert_ok(nvio_bdev_file_create(f->env, &o));
	d = disk_open(f, "f", 0);
	assert_ok(nvio_bdev_file_engine(d.bdev, NULL, &direct));
	assert_true(direct);
	disk_close(&d);
}

/* 0: as it should be; 1: not; EXIT_SKIP: seccomp cannot be had. */
static int fallback_child(const char *path, int err)
{
	struct nvio_bdev_file_opts o = opts_for("f", path);
	unsigned char buf[4096], seen[4096];
	struct nvio_bdev_desc *desc;
	struct nvio_thread *thread;
	struct nvio_op op = NVIO_OP(NULL);
	struct nvio_channel *ch;
	struct nvio_env *env;
	const char *engine;

	/* As in a container or behind a sysctl. */
	forbid_call(SYS_io_uring_setup, err);
	if (nvio_env_open(NULL, &env) || nvio_thread_create(env, NULL, &thread) || nvio_thread_attach(thread))
		return 2;
	o.engine = NVIO_BDEV_FILE_IO_URING;
	if (nvio_bdev_file_create(env, &o) >= 0 || !strstr(nvio_errmsg(), "io_uring"))
		return 3;
	o.engine = NVIO_BDEV_FILE_AUTO;
	if (nvio_bdev_file_create(env, &o) || nvio_bdev_open(env, "f", NVIO_BDEV_WRITE, &desc) ||
		nvio_bdev_channel(desc, &ch))
		return 4;
	if (nvio_bdev_file_engine(nvio_bdev_desc_bdev(desc), &engine, NULL) || strcmp(engine, "threads"))
		return 5;
	memset(buf, 0x42, sizeof(buf));
	if (nvio_await(nvio_bdev_write(desc, ch, buf, 0, sizeof(buf), &op), &op) ||
		nvio_await(nvio_bdev_read(desc, ch, seen, 0, sizeof(seen), &op), &op) ||
		memcmp(buf, seen, sizeof(buf)))
		return 6;
	nvio_channel_put(ch);
	if (nvio_bdev_close(desc) || nvio_thread_detach(thread))
		return 7;
	nvio_env_close(env);
	return 0;
}

static void where_io_uring_is_forbidden_threads_take_over(void **state)
{
	static const int errors[] = { ENOSYS, EPERM, EACCES, ENOMEM };
	struct fixture *f = *state;
	const char *path = make_image(f, "image", 1 << 20, 0600);

	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		int status;
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (!pid)
			_exit(fallback_child(path, errors[i]));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		if (WEXITSTATUS(status) == EXIT_SKIP) {
			print_message("# seccomp cannot be had here\n");
			skip();
		}
		assert_int_equal(WEXITSTATUS(status), 0);
	}
}

static void a_file_that_is_cut_under_us_gives_errors_and_no_signal(void **state)
{
	static unsigned char buf[65536];
	struct fixture *f = *state;
	struct nvio_bdev_file_opts o = opts_for("f", make_image(f, "image", 1 << 20, 0600));

	for_each_engine (engine, f)
		for (int direct = 0; direct < 2; direct++) {
			struct disk d;

			o.engine = engine;
			o.no_direct = !direct;
			assert_ok(truncate(o.path, 1 << 20));
			assert_ok(nvio_bdev_file_create(f->env, &o));
			d = disk_open(f, "f", NVIO_BDEV_WRITE);
			assert_ok(truncate(o.path, 8192 + 100));
			assert_ok(do_read(&d, buf, 0, 8192));
			assert_int_equal(do_read(&d, buf, 8192, 512), -EIO); /* half of it is there */
			assert_int_equal(do_read(&d, buf, 65536, 512), -EIO);
			assert_int_equal(do_read(&d, buf, 0, 65536), -EIO);
			assert_ok(do_write(&d, buf, 65536, 512)); /* makes it longer again */
			assert_ok(do_read(&d, buf, 8192, 512));
			disk_close(&d);
			delete_device(f, "f");
		}
}

static void a_full_file_system_is_enospc(void **state)
{
	static unsigned char buf[1 << 20];
	struct fixture *f = *state;
	const char *mnt = path_of(f, "mnt");

	assert_ok(mkdir(mnt, 0700));
	if (mount("tmpfs", mnt, "tmpfs", 0, "size=512k")) {
		print_message("# cannot mount a tmpfs: %s\n", strerror(errno));
		skip();
	}
	for_each_engine (engine, f) {
		struct nvio_bdev_file_opts o = opts_for("f", path_of(f, "mnt/image"));
		struct disk d;

		o.engine = engine;
		o.create = true;
		o.num_blocks = 4096;
		assert_ok(nvio_bdev_file_create(f->env, &o)); /* sparse */
		d = disk_open(f, "f", NVIO_BDEV_WRITE);
		memset(buf, 1, sizeof(buf));
		assert_int_equal(do_write(&d, buf, 0, sizeof(buf)), -ENOSPC);
		disk_close(&d);
		delete_device(f, "f");
		assert_ok(unlink(o.path));
	}
	assert_ok(umount(mnt));
}

static void the_file_size_limit_is_enospc_too(void **state)
{
	static unsigned char buf[65536];
	struct fixture *f = *state;
	struct rlimit before, limit;

	assert_ok(getrlimit(RLIMIT_FSIZE, &before));
	limit = before;
	limit.rlim_cur = 1 << 19;
	signal(SIGXFSZ, SIG_IGN);
	for_each_engine (engine, f) {
		struct nvio_bdev_file_opts o = opts_for("f", path_of(f, "image"));
		struct disk d;
		int rc;

		o.engine = engine;
		o.create = true;
		o.num_blocks = 2048;
		assert_ok(setrlimit(RLIMIT_FSIZE, &limit));
		rc = nvio_bdev_file_create(f->env, &o);
		assert_ok(setrlimit(RLIMIT_FSIZE, &before));
		assert_int_equal(rc, -EFBIG);
		assert_errmsg_has("limit");
		assert_int_not_equal(access(o.path, F_OK), 0);
		assert_ok(nvio_bdev_file_create(f->env, &o));
		d = disk_open(f, "f", NVIO_BDEV_WRITE);
		assert_ok(setrlimit(RLIMIT_FSIZE, &limit));
		rc = do_write(&d, buf, 1 << 19, sizeof(buf));
		assert_ok(setrlimit(RLIMIT_FSIZE, &before));
		assert_int_equal(rc, -ENOSPC);
		assert_ok(do_write(&d, buf, 1 << 19, sizeof(buf)));
		disk_close(&d);
		delete_device(f, "f");
		assert_ok(unlink(o.path));
	}
	signal(SIGXFSZ, SIG_DFL);
}

static void resize_grows_the_file_and_never_cuts_it(void **state)
{
	struct fixture *f = *state;
	struct nvio_bdev_file_opts o = opts_for("f", make_image(f, "image", 1 << 20, 0600));
	unsigned char buf[512];
	struct stat st;
	struct disk d;

	assert_ok(nvio_bdev_file_create(f->env, &o));
	d = disk_open(f, "f", NVIO_BDEV_WRITE);
	assert_ok(nvio_bdev_resize(f->env, "f", 4096));
	assert_ok(stat(o.path, &st));
	assert_int_equal(st.st_size, 2 << 20);
	assert_ok(do_write(&d, buf, 4095 * 512, 512));
	assert_ok(nvio_bdev_resize(f->env, "f", 16));
	assert_int_equal(do_write(&d, buf, 4095 * 512, 512), -ERANGE);
	assert_ok(stat(o.path, &st));
	assert_int_equal(st.st_size, 2 << 20);
	disk_close(&d);
	delete_device(f, "f");
	o.read_only = true;
	assert_ok(nvio_bdev_file_create(f->env, &o));
	assert_int_equal(nvio_bdev_resize(f->env, "f", 8192), -ENOSPC);
}

static unsigned done_count;

static void count_done(struct nvio_op *op)
{
	assert_int_equal(op->status, 0);
	done_count++;
}

/* More than an engine holds, in buffers that are not aligned: waits for slots and for bounce buffers too. */
static void any_number_of_ios_may_be_submitted_at_once(void **state)
{
	enum { COUNT = 1000, LEN = 4096 };
	unsigned char *buf = malloc((size_t)COUNT * LEN + 1);
	struct nvio_op *ops = calloc(COUNT, sizeof(*ops));
	struct fixture *f = *state;
	struct nvio_bdev_file_opts o = opts_for("f", make_image(f, "image", COUNT * LEN, 0600));

	assert_non_null(buf);
	assert_non_null(ops);
	for_each_engine (engine, f)
		for (int odd = 0; odd < 2; odd++)
			for (int write = 1; write >= 0; write--) {
				struct disk d;

				o.engine = engine;
				o.block_size = LEN;
				assert_ok(nvio_bdev_file_create(f->env, &o));
				d = disk_open(f, "f", NVIO_BDEV_WRITE);
				done_count = 0;
				for (unsigned i = 0; i < COUNT; i++) {
					unsigned char *at = buf + odd + i * LEN;

					memset(at, write ? (int)(i * 7 + engine) : 0, LEN);
					ops[i] = (struct nvio_op)NVIO_OP(count_done);
					if (write)
						assert_ok(nvio_bdev_write(
							d.desc, d.ch, at, i * LEN, LEN, &ops[i]));
					else
						assert_ok(nvio_bdev_read(
							d.desc, d.ch, at, i * LEN, LEN, &ops[i]));
				}
				while (done_count < COUNT)
					nvio_thread_poll(f->thread, 0);
				for (unsigned i = 0; i < COUNT; i++)
					assert_true(all_bytes_are(
						buf + odd + i * LEN, (unsigned char)(i * 7 + engine), LEN));
				disk_close(&d);
				delete_device(f, "f");
			}
	free(ops);
	free(buf);
}

static void a_put_channel_lets_io_finish(void **state)
{
	static _Alignas(4096) unsigned char buf[64][4096]; /* needs no bounce buffers */
	static struct nvio_op ops[300];
	struct fixture *f = *state;
	struct nvio_bdev_file_opts o = opts_for("f", make_image(f, "image", 1 << 20, 0600));

	for_each_engine (engine, f) {
		unsigned ok = 0, canceled = 0;
		struct disk d;

		o.engine = engine;
		assert_ok(nvio_bdev_file_create(f->env, &o));
		d = disk_open(f, "f", NVIO_BDEV_WRITE);
		for (unsigned i = 0; i < ARRAY_SIZE(ops); i++) {
			ops[i] = (struct nvio_op)NVIO_OP(NULL);
			assert_ok(nvio_bdev_write(d.desc, d.ch, buf[i % 64], (i % 64) * 4096, 4096, &ops[i]));
		}
		nvio_channel_put(d.ch);
		for (unsigned i = 0; i < 10; i++)
			nvio_thread_poll(f->thread, 0);
		for (unsigned i = 0; i < ARRAY_SIZE(ops); i++) {
			ok += ops[i].status == 0;
			canceled += ops[i].status == -ECANCELED;
		}
		assert_int_equal(ok + canceled, ARRAY_SIZE(ops));
		assert_true(ok >= 128); /* those that the engine had */
		assert_ok(nvio_bdev_close(d.desc));
		delete_device(f, "f");
	}
}

/* As an event loop does it; returns how often the thread slept with the op in flight. */
static unsigned loop_until_done(struct fixture *f, struct nvio_op *op)
{
	unsigned slept = 0;

	while (nvio_op_pending(op)) {
		struct pollfd fd = { .fd = nvio_thread_fd(f->thread), .events = POLLIN };
		int timeout = nvio_thread_timeout_ms(f->thread);

		if (timeout) {
			assert_int_equal(timeout, -1);	       /* no timer: only the descriptor can end it */
			assert_true(poll(&fd, 1, 10000) == 1); /* a wake-up that is lost would end here */
			slept++;
		}
		nvio_thread_poll(f->thread, 0);
	}
	return slept;
}

static void a_thread_may_sleep_while_io_is_under_way(void **state)
{
	static unsigned char buf[1 << 20];
	struct fixture *f = *state;
	struct nvio_bdev_file_opts o = opts_for("f", make_image(f, "image", 64 << 20, 0600));

	for_each_engine (engine, f) {
		struct nvio_op op = { .flags = NVIO_OP_FUA };
		unsigned slept = 0;
		struct disk d;

		o.engine = engine;
		assert_ok(nvio_bdev_file_create(f->env, &o));
		d = disk_open(f, "f", NVIO_BDEV_WRITE);
		assert_false(nvio_thread_has_active_pollers(f->thread)); /* nothing to do: nothing polls */
		for (unsigned i = 0; i < 64; i++) {
			assert_ok(nvio_bdev_write(d.desc, d.ch, buf, (uint64_t)i << 20, sizeof(buf), &op));
			assert_true(nvio_thread_has_active_pollers(f->thread));
			slept += loop_until_done(f, &op);
			assert_ok(op.status);
		}
		print_message("# slept %u times in 64 writes\n", slept);
		nvio_thread_poll(f->thread, 0);
		assert_false(nvio_thread_has_active_pollers(f->thread));
		disk_close(&d);
		delete_device(f, "f");
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		fixture_test(what_was_written_is_in_the_file_and_there_after_reopening),
		fixture_test(the_engine_is_told),
		fixture_test(direct_io_is_used_where_the_file_system_takes_it),
		fixture_test(where_io_uring_is_forbidden_threads_take_over),
		fixture_test(a_file_that_is_cut_under_us_gives_errors_and_no_signal),
		fixture_test(a_full_file_system_is_enospc),
		fixture_test(the_file_size_limit_is_enospc_too),
		fixture_test(resize_grows_the_file_and_never_cuts_it),
		fixture_test(any_number_of_ios_may_be_submitted_at_once),
		fixture_test(a_put_channel_lets_io_finish),
		fixture_test(a_thread_may_sleep_while_io_is_under_way),
	};

	return cmocka_run_group_tests_name("bdev/file", tests, NULL, NULL);
}
