/* SPDX-License-Identifier: BSD-3-Clause */
/* The lock of shm_id: within a process, across processes, after a crash, and with something unpleasant in its
 * place. */
#include "tests/support/unit.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/compiler.h"
#include "base/env.h"

static char dir[] = "/tmp/nvio-test-shm-XXXXXX";

static int setup(void **state)
{
	return mkdtemp(dir) && !setenv("XDG_RUNTIME_DIR", dir, 1) ? 0 : -1;
}

static void file_of(int id, char *path, size_t size)
{
	snprintf(path, size, "%s/nvio-%u-%d.lock", dir, (unsigned int)geteuid(), id);
}

static int teardown(void **state)
{
	char path[256];

	for (int id = 0; id < 10; id++) {
		file_of(id, path, sizeof(path));
		if (unlink(path))
			rmdir(path);
	}
	return rmdir(dir);
}

static int open_id(int id, struct nvio_env **env)
{
	struct nvio_env_opts opts;

	nvio_env_opts_init(&opts);
	opts.shm_id = id;
	*env = NULL;
	return nvio_env_open(&opts, env);
}

static void an_id_is_held_once(void **state)
{
	struct nvio_env *a, *b;
	int files;

	assert_int_equal(open_id(0, &a), 0);
	files = unit_open_files();
	assert_int_equal(open_id(0, &b), -EALREADY);
	assert_null(b);
	assert_errmsg("shm_id 0");
	assert_errmsg("in use");
	assert_int_equal(unit_open_files(), files);
	assert_int_equal(open_id(1, &b), 0);
	nvio_env_close(b);
	nvio_env_close(a);
	assert_int_equal(open_id(0, &a), 0);
	nvio_env_close(a);
}

static void private_ones_never_collide(void **state)
{
	struct nvio_env *a, *b;

	assert_int_equal(open_id(-1, &a), 0);
	assert_int_equal(open_id(-1, &b), 0);
	nvio_env_close(a);
	nvio_env_close(b);
}

static int try_id(void *arg)
{
	struct nvio_env *env;
	int rc = open_id(*(int *)arg, &env);

	nvio_env_close(env);
	return rc == 0 ? 0 : rc == -EALREADY ? 1 : 2;
}

static void another_process_is_kept_out_until_close(void **state)
{
	struct nvio_env *env;
	int id = 2;

	assert_int_equal(open_id(id, &env), 0);
	assert_int_equal(unit_in_child(try_id, &id), 1);
	nvio_env_close(env);
	assert_int_equal(unit_in_child(try_id, &id), 0);
}

static int open_and_die(void *arg)
{
	struct nvio_env *env;

	if (open_id(*(int *)arg, &env))
		return 1;
	raise(SIGKILL);
	return 2;
}

static void a_crash_leaves_no_lock(void **state)
{
	struct nvio_env *env;
	int id = 3;

	assert_int_equal(unit_in_child(open_and_die, &id), -1);
	assert_int_equal(open_id(id, &env), 0);
	nvio_env_close(env);
}

static void a_forked_child_does_not_keep_the_id(void **state)
{
	struct nvio_env *env;
	pid_t pid;

	assert_int_equal(open_id(4, &env), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		pause();
		_exit(0);
	}
	nvio_env_close(env);
	assert_int_equal(open_id(4, &env), 0);
	nvio_env_close(env);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void what_lies_in_the_files_place_is_not_followed(void **state)
{
	struct nvio_env *env;
	char path[256];

	file_of(5, path, sizeof(path));
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(open_id(5, &env), -ELOOP);
	assert_errmsg(path);
	file_of(6, path, sizeof(path));
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(open_id(6, &env), -EACCES);
	assert_errmsg("not a plain file");
	file_of(7, path, sizeof(path));
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(open_id(7, &env), -EISDIR);
	assert_errmsg(path);
}

static void without_a_runtime_directory_there_is_another_place(void **state)
{
	static const char *const dirs[] = { NULL, "", "relative", "/nonexistent-directory", "/etc/passwd" };

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		int id = 1900000000 + (int)(getpid() % 100000);
		struct nvio_env *a, *b;
		char path[64];

		if (dirs[i])
			setenv("XDG_RUNTIME_DIR", dirs[i], 1);
		else
			unsetenv("XDG_RUNTIME_DIR");
		assert_int_equal(open_id(id, &a), 0);
		assert_int_equal(open_id(id, &b), -EALREADY);
		nvio_env_close(a);
		snprintf(path, sizeof(path), "/tmp/nvio-%u-%d.lock", (unsigned int)geteuid(), id);
		if (unlink(path)) {
			snprintf(path, sizeof(path), "/run/user/%u/nvio-%u-%d.lock", (unsigned int)geteuid(),
				(unsigned int)geteuid(), id);
			assert_int_equal(unlink(path), 0);
		}
	}
	setenv("XDG_RUNTIME_DIR", dir, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_id_is_held_once),
		cmocka_unit_test(private_ones_never_collide),
		cmocka_unit_test(another_process_is_kept_out_until_close),
		cmocka_unit_test(a_crash_leaves_no_lock),
		cmocka_unit_test(a_forked_child_does_not_keep_the_id),
		cmocka_unit_test(what_lies_in_the_files_place_is_not_followed),
		cmocka_unit_test(without_a_runtime_directory_there_is_another_place),
	};

	return cmocka_run_group_tests_name("env_shm", tests, setup, teardown);
}
