/* SPDX-License-Identifier: BSD-3-Clause */
/* What tests of libnvmed share: a drive of RAM or of a file in a directory of its own, one queue, one handle. */
#ifndef NVMED_FIXTURE_H
#define NVMED_FIXTURE_H

#include "tests/support/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <lib_nvmed.h>
#include <stdlib.h>
#include <sys/stat.h>

#define MIB (1u << 20)
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

struct rig {
	NVMED *nvmed;
	NVMED_QUEUE *queue;
	NVMED_HANDLE *handle;
};

static inline struct rig rig_open(const char *path, int open_flags, int queue_flags, int handle_flags)
{
	struct rig r;

	r.nvmed = nvmed_open((char *)(uintptr_t)path, open_flags);
	if (!r.nvmed)
		fail_msg("%s: %s", path, nvmed_errmsg());
	r.queue = nvmed_queue_create(r.nvmed, queue_flags);
	assert_non_null(r.queue);
	r.handle = nvmed_handle_create(r.queue, handle_flags);
	assert_non_null(r.handle);
	return r;
}

static inline void rig_close(struct rig *r)
{
	assert_int_equal(nvmed_handle_destroy(r->handle), 0);
	assert_int_equal(nvmed_queue_destroy(r->queue), 0);
	assert_int_equal(nvmed_close(r->nvmed), 0);
}

/* A file of `bytes` zeros in a directory of its own; `path` has its name. */
static inline void image_make(char *path, size_t size, off_t bytes)
{
	char dir[] = "/tmp/nvmed.XXXXXX";
	int fd;

	assert_non_null(mkdtemp(dir));
	snprintf(path, size, "%s/disk.img", dir);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, bytes), 0);
	close(fd);
}

static inline void image_remove(char *path)
{
	assert_int_equal(unlink(path), 0);
	*strrchr(path, '/') = '\0';
	assert_int_equal(rmdir(path), 0);
}

static inline void pattern_fill(unsigned char *buf, size_t len, unsigned int seed)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = (unsigned char)((i * 7 + seed) ^ (i >> 9));
}

#define assert_words(words)                                                                                  \
	do {                                                                                                 \
		if (!strstr(nvmed_errmsg(), (words)))                                                        \
			fail_msg("\"%s\" expected in the message \"%s\"", (words), nvmed_errmsg());          \
	} while (0)

#define assert_fails(call, err)                                                                              \
	do {                                                                                                 \
		errno = 0;                                                                                   \
		assert_int_equal((call), -1);                                                                \
		assert_int_equal(errno, (err));                                                              \
	} while (0)

#endif
