/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of block devices share: an environment with a thread, devices of each kind, I/O that waits.
 */
#ifndef TEST_BDEV_SUPPORT_H
#define TEST_BDEV_SUPPORT_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/compiler.h"
#include <nvio/bdev.h>
#include <nvio/bdev_module.h>
#include <nvio/env.h>
#include <nvio/error.h>
#include <nvio/thread.h>

#define assert_ok(rc) assert_int_equal(rc, 0)

struct fixture {
	struct nvio_env *env;
	struct nvio_thread *thread;
	char dir[64]; /* for images; gone with the fixture */
};

/* One device, open for writing, with a channel. */
struct disk {
	struct nvio_bdev_desc *desc;
	struct nvio_channel *ch;
	struct nvio_bdev *bdev;
};

static MAYBE_UNUSED int fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	assert_ok(nvio_env_open(NULL, &f->env));
	assert_ok(nvio_thread_create(f->env, NULL, &f->thread));
	assert_ok(nvio_thread_attach(f->thread));
	snprintf(f->dir, sizeof(f->dir), "%s/nvio-bdev-XXXXXX",
		access("/var/tmp", W_OK) ? "/tmp" : "/var/tmp");
	assert_non_null(mkdtemp(f->dir));
	*state = f;
	return 0;
}

static MAYBE_UNUSED int fixture_teardown(void **state)
{
	struct fixture *f = *state;
	char command[128];

	assert_ok(nvio_thread_detach(f->thread));
	nvio_env_close(f->env);
	snprintf(command, sizeof(command), "rm -rf %s", f->dir);
	assert_ok(system(command));
	free(f);
	return 0;
}

static MAYBE_UNUSED struct disk disk_open(struct fixture *f, const char *name, uint32_t flags)
{
	struct disk d;

	assert_ok(nvio_bdev_open(f->env, name, flags, &d.desc));
	assert_ok(nvio_bdev_channel(d.desc, &d.ch));
	d.bdev = nvio_bdev_desc_bdev(d.desc);
	return d;
}

static MAYBE_UNUSED void disk_close(struct disk *d)
{
	nvio_channel_put(d->ch);
	assert_ok(nvio_bdev_close(d->desc));
}

static MAYBE_UNUSED void delete_device(struct fixture *f, const char *name)
{
	struct nvio_op op = NVIO_OP(NULL);

	assert_ok(nvio_await(nvio_bdev_delete(f->env, name, &op), &op));
}

static MAYBE_UNUSED void make_malloc(
	struct fixture *f, const char *name, uint32_t block_size, uint64_t num_blocks)
{
	struct nvio_bdev_malloc_opts o;

	nvio_bdev_malloc_opts_init(&o);
	o.name = name;
	o.block_size = block_size;
	o.num_blocks = num_blocks;
	assert_ok(nvio_bdev_malloc_create(f->env, &o));
}

static MAYBE_UNUSED void make_null(
	struct fixture *f, const char *name, uint32_t block_size, uint64_t num_blocks)
{
	struct nvio_bdev_null_opts o;

	nvio_bdev_null_opts_init(&o);
	o.name = name;
	o.block_size = block_size;
	o.num_blocks = num_blocks;
	assert_ok(nvio_bdev_null_create(f->env, &o));
}

static MAYBE_UNUSED int do_read(struct disk *d, void *buf, uint64_t offset, uint64_t len)
{
	struct nvio_op op = NVIO_OP(NULL);

	return nvio_await(nvio_bdev_read(d->desc, d->ch, buf, offset, len, &op), &op);
}

static MAYBE_UNUSED int do_write(struct disk *d, const void *buf, uint64_t offset, uint64_t len)
{
	struct nvio_op op = NVIO_OP(NULL);

	return nvio_await(nvio_bdev_write(d->desc, d->ch, buf, offset, len, &op), &op);
}

static MAYBE_UNUSED bool all_bytes_are(const void *buf, unsigned char value, size_t len)
{
	const unsigned char *p = buf;

	for (size_t i = 0; i < len; i++)
		if (p[i] != value)
			return false;
	return true;
}

static MAYBE_UNUSED void assert_errmsg_has(const char *word)
{
	if (!strstr(nvio_errmsg(), word))
		fail_msg("\"%s\" is not in \"%s\"", word, nvio_errmsg());
}

#define fixture_test(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)

#endif
