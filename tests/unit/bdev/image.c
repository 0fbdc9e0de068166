/* SPDX-License-Identifier: BSD-3-Clause */
/* Opening an image: wrong ones, new ones, locked ones, and what a failed attempt leaves behind. B4, X1. */
#include "image.h"

#include <dirent.h>
#include <sys/file.h>

static void a_wrong_image_is_refused_with_its_path_and_a_remedy(void **state)
{
	static const struct {
		const char *file;
		uint32_t block_size;
		uint64_t num_blocks;
		bool create, read_only;
		int rc;
		const char *word;
	} cases[] = {
		{ "missing", 512, 0, false, false, -ENOENT, "create" },
		{ "missing", 512, 8, false, false, -ENOENT, "create" },
		{ "missing", 512, 0, true, false, -EINVAL, "num_blocks" },
		{ "missing", 512, 8, true, true, -ENOENT, "path" },
		{ "none/missing", 512, 8, true, false, -ENOENT, "path" },
		{ "empty/below", 512, 8, true, false, -ENOTDIR, "path" },
		{ "directory", 512, 0, false, false, -EISDIR, "directory" },
		{ "directory", 512, 8, true, false, -EISDIR, "directory" },
		{ "empty", 512, 0, false, false, -EINVAL, "truncate" },
		{ "truncated", 512, 0, false, false, -EINVAL, "multiple" },
		{ "odd", 4096, 0, false, false, -EINVAL, "multiple" },
		{ "pipe", 512, 8, false, false, -EINVAL, "pipe" },
		{ "../../../dev/null", 512, 8, false, false, -EINVAL, "character device" },
		{ "good", 512, 2049, false, false, -ENOSPC, "create" },
		{ "good", 512, 2049, true, true, -ENOSPC, "read-only" },
		{ "good", 512, UINT64_MAX, true, false, -EINVAL, "2^63" },
		{ "good", 512, UINT64_MAX / 512, true, false, -EINVAL, "2^63" },
		{ "good", 1000, 0, false, false, -EINVAL, "block size" },
		{ "good", 131072, 0, false, false, -EINVAL, "block size" },
	};
	struct fixture *f = *state;

	make_image(f, "empty", 0, 0600);
	make_image(f, "truncated", 1000, 0600);
	make_image(f, "odd", 512 * 9, 0600);
	make_image(f, "good", 1 << 20, 0600);
	assert_ok(mkdir(path_of(f, "directory"), 0700));
	assert_ok(mkfifo(path_of(f, "pipe"), 0600));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct nvio_bdev_file_opts o = opts_for("f", path_of(f, cases[i].file));
		int rc;

		o.block_size = cases[i].block_size;
		o.num_blocks = cases[i].num_blocks;
		o.create = cases[i].create;
		o.read_only = cases[i].read_only;
		rc = nvio_bdev_file_create(f->env, &o);
		if (rc != cases[i].rc)
			fail_msg("case %zu, %s: %d, %d expected: %s", i, cases[i].file, rc, cases[i].rc,
				nvio_errmsg());
		assert_errmsg_has(cases[i].word);
		if (!strstr(cases[i].word, "block size"))
			assert_errmsg_has(o.path);
		assert_int_not_equal(access(path_of(f, "missing"), F_OK), 0);
	}
}

static void bad_options_are_refused(void **state)
{
	struct fixture *f = *state;
	struct nvio_bdev_file_opts o = opts_for("f", NULL);

	assert_int_equal(nvio_bdev_file_create(f->env, &o), -EINVAL);
	o.path = "";
	assert_int_equal(nvio_bdev_file_create(f->env, &o), -EINVAL);
	o = opts_for(NULL, make_image(f, "good", 1 << 20, 0600));
	assert_int_equal(nvio_bdev_file_create(f->env, &o), -EINVAL);
	o.name = "f";
	o.engine = 3;
	assert_int_equal(nvio_bdev_file_create(f->env, &o), -EINVAL);
	o.engine = NVIO_BDEV_FILE_THREADS;
	o.threads = 257;
	assert_int_equal(nvio_bdev_file_create(f->env, &o), -EINVAL);
	o.threads = 1;
	o.block_size = 0; /* 512 */
	assert_ok(nvio_bdev_file_create(f->env, &o));
	delete_device(f, "f");
}

static void a_read_only_file_wants_read_only(void **state)
{
	struct fixture *f = *state;
	struct nvio_bdev_file_opts o = opts_for("f", make_image(f, "ro", 1 << 20, 0400));
	struct nvio_bdev_desc *desc;
	unsigned char buf[512];
	struct disk d;

	if (geteuid()) {
		assert_int_equal(nvio_bdev_file_create(f->env, &o), -EACCES);
		assert_errmsg_has("read-only");
	}
	for_each_engine (engine, f) {
		o.read_only = true;
		o.engine = engine;
		assert_ok(nvio_bdev_file_create(f->env, &o));
		assert_int_equal(nvio_bdev_open(f->env, "f", NVIO_BDEV_WRITE, &desc), -EROFS);
		assert_errmsg_has("NVIO_BDEV_WRITE");
		d = disk_open(f, "f", NVIO_BDEV_READ);
		assert_true(nvio_bdev_is_read_only(d.bdev));
		assert_ok(do_read(&d, buf, 0, 512));
		assert_int_equal(do_write(&d, buf, 0, 512), -EBADF);
		disk_close(&d);
		delete_device(f, "f");
	}
}

static void an_image_is_created_extended_and_keeps_its_uuid(void **state)
{
	struct fixture *f = *state;
	struct nvio_bdev_file_opts o = opts_for("f", path_of(f, "new"));
	uint8_t uuid[16];
	struct stat st;
	struct disk d;

	o.create = true;
	o.block_size = 4096;
	o.num_blocks = 100;
	assert_ok(nvio_bdev_file_create(f->env, &o));
	d = disk_open(f, "f", 0);
	memcpy(uuid, nvio_bdev_uuid(d.bdev), 16);
	disk_close(&d);
	delete_device(f, "f");
	o.num_blocks = 200;
	assert_ok(nvio_bdev_file_create(f->env, &o));
	delete_device(f, "f");
	assert_ok(stat(o.path, &st));
	assert_int_equal(st.st_size, 200 * 4096);
	o.create = false;
	o.num_blocks = 0;
	assert_ok(nvio_bdev_file_create(f->env, &o));
	d = disk_open(f, "f", 0);
	assert_int_equal(nvio_bdev_num_blocks(d.bdev), 200);
	assert_memory_equal(nvio_bdev_uuid(d.bdev), uuid, 16);
	assert_string_equal(nvio_bdev_module(d.bdev), "file");
	assert_true(nvio_bdev_has_volatile_cache(d.bdev));
	disk_close(&d);
	delete_device(f, "f");
	o.num_blocks = 50; /* smaller than the file is fine */
	assert_ok(nvio_bdev_file_create(f->env, &o));
	d = disk_open(f, "f", 0);
	assert_int_equal(nvio_bdev_num_blocks(d.bdev), 50);
	disk_close(&d);
}

static void a_failed_create_takes_the_new_file_back(void **state)
{
	struct fixture *f = *state;
	struct nvio_bdev_file_opts o = opts_for("taken", path_of(f, "new"));

	make_null(f, "taken", 512, 8);
	o.create = true;
	o.num_blocks = 100;
	assert_int_equal(nvio_bdev_file_create(f->env, &o), -EEXIST);
	assert_int_not_equal(access(o.path, F_OK), 0);
	make_image(f, "old", 1 << 20, 0600);
	o.path = path_of(f, "old");
	assert_int_equal(nvio_bdev_file_create(f->env, &o), -EEXIST);
	assert_ok(access(o.path, F_OK)); /* it was there before */
}

static void a_second_writer_is_kept_out_and_readers_share(void **state)
{
	struct fixture *f = *state;
	struct nvio_bdev_file_opts o = opts_for("a", make_image(f, "image", 1 << 20, 0600));
	int fd;

	assert_ok(nvio_bdev_file_create(f->env, &o));
	o.name = "b";
	assert_int_equal(nvio_bdev_file_create(f->env, &o), -EBUSY);
	assert_errmsg_has(o.path);
	o.read_only = true;
	assert_int_equal(nvio_bdev_file_create(f->env, &o), -EBUSY);
	delete_device(f, "a");
	assert_ok(nvio_bdev_file_create(f->env, &o));
	o.name = "c";
	assert_ok(nvio_bdev_file_create(f->env, &o));
	o.name = "d";
	o.read_only = false;
	assert_int_equal(nvio_bdev_file_create(f->env, &o), -EBUSY);
	delete_device(f, "b");
	delete_device(f, "c");
	/* Another process is another open file description, as this is. */
	fd = open(o.path, O_RDONLY);
	assert_ok(flock(fd, LOCK_SH | LOCK_NB));
	assert_int_equal(nvio_bdev_file_create(f->env, &o), -EBUSY);
	assert_ok(close(fd));
	assert_ok(nvio_bdev_file_create(f->env, &o));
}

/* The flags of the one descriptor that this process has of the file. */
static int open_flags_of(const char *path)
{
	DIR *dir = opendir("/proc/self/fd");
	struct stat wanted, st;
	struct dirent *entry;
	int flags = -1;

	assert_non_null(dir);
	assert_ok(stat(path, &wanted));
	while ((entry = readdir(dir))) {
		int fd = atoi(entry->d_name);

		if (entry->d_name[0] == '.' || fstat(fd, &st) || st.st_dev != wanted.st_dev ||
			st.st_ino != wanted.st_ino)
			continue;
		assert_int_equal(flags, -1);
		flags = fcntl(fd, F_GETFL);
	}
	assert_ok(closedir(dir));
	assert_int_not_equal(flags, -1);
	return flags;
}

static void the_descriptor_of_an_image_blocks(void **state)
{
	static const struct {
		const char *file;
		bool create, read_only, no_direct;
	} cases[] = {
		{ "old", false, false, false },
		{ "old", false, false, true },
		{ "old", false, true, false },
		{ "old", false, true, true },
		{ "new", true, false, false },
	};
	struct fixture *f = *state;

	make_image(f, "old", 1 << 20, 0600);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct nvio_bdev_file_opts o = opts_for("f", path_of(f, cases[i].file));
		bool direct;
		struct disk d;
		int flags;

		o.block_size = 4096;
		o.num_blocks = 256;
		o.create = cases[i].create;
		o.read_only = cases[i].read_only;
		o.no_direct = cases[i].no_direct;
		assert_ok(nvio_bdev_file_create(f->env, &o));
		d = disk_open(f, "f", 0);
		assert_ok(nvio_bdev_file_engine(d.bdev, NULL, &direct));
		flags = open_flags_of(o.path);
		assert_false(flags & O_NONBLOCK);
		assert_int_equal(!!(flags & O_DIRECT), direct);
		assert_int_equal(flags & O_ACCMODE, cases[i].read_only ? O_RDONLY : O_RDWR);
		disk_close(&d);
		delete_device(f, "f");
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		fixture_test(a_wrong_image_is_refused_with_its_path_and_a_remedy),
		fixture_test(bad_options_are_refused),
		fixture_test(a_read_only_file_wants_read_only),
		fixture_test(an_image_is_created_extended_and_keeps_its_uuid),
		fixture_test(a_failed_create_takes_the_new_file_back),
		fixture_test(a_second_writer_is_kept_out_and_readers_share),
		fixture_test(the_descriptor_of_an_image_blocks),
	};

	return cmocka_run_group_tests_name("bdev/image", tests, NULL, NULL);
}
