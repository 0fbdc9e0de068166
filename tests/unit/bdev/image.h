/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of file devices share: images in the fixture's directory, and the engines there are. */
#ifndef TEST_BDEV_IMAGE_H
#define TEST_BDEV_IMAGE_H

#include <fcntl.h>
#include <sys/stat.h>

#include "support.h"

static char path_buf[4][128];

static MAYBE_UNUSED const char *path_of(struct fixture *f, const char *file)
{
	static unsigned next;
	char *path = path_buf[next++ % 4];

	snprintf(path, sizeof(path_buf[0]), "%s/%s", f->dir, file);
	return path;
}

static MAYBE_UNUSED const char *make_image(struct fixture *f, const char *file, off_t bytes, mode_t mode)
{
	const char *path = path_of(f, file);
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL, mode);

	assert_true(fd >= 0);
	assert_ok(ftruncate(fd, bytes));
	assert_ok(close(fd));
	return path;
}

static MAYBE_UNUSED struct nvio_bdev_file_opts opts_for(const char *name, const char *path)
{
	struct nvio_bdev_file_opts o;

	nvio_bdev_file_opts_init(&o);
	o.name = name;
	o.path = path;
	return o;
}

/* Whether io_uring can be had here. */
static MAYBE_UNUSED bool have_uring(struct fixture *f)
{
	struct nvio_bdev_file_opts o = opts_for("probe", path_of(f, "probe"));
	int rc;

	o.create = true;
	o.num_blocks = 64;
	o.engine = NVIO_BDEV_FILE_IO_URING;
	rc = nvio_bdev_file_create(f->env, &o);
	if (!rc)
		delete_device(f, "probe");
	(void)!unlink(o.path);
	return !rc;
}

/* Each engine that can be had here. */
#define for_each_engine(e, f)                                                                                \
	for (enum nvio_bdev_file_engine e = have_uring(f) ? NVIO_BDEV_FILE_IO_URING                          \
							  : NVIO_BDEV_FILE_THREADS;                          \
		e <= NVIO_BDEV_FILE_THREADS; e++)

#endif
