/* SPDX-License-Identifier: BSD-3-Clause */
/* Devices by name: making, finding, opening, claiming them; modules of the application's own; every
 * allocation failing. B1, B2, B4, B5, X1. */
#include "support.h"

#include "base/alloc.h"

static void a_device_says_what_it_is(void **state)
{
	static const uint8_t uuid[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };
	struct nvio_bdev_malloc_opts o;
	struct fixture *f = *state;
	struct disk d;

	nvio_bdev_malloc_opts_init(&o);
	o.name = "m0";
	o.block_size = 4096;
	o.num_blocks = 256;
	o.uuid = uuid;
	assert_ok(nvio_bdev_malloc_create(f->env, &o));
	d = disk_open(f, "m0", NVIO_BDEV_WRITE);
	assert_string_equal(nvio_bdev_name(d.bdev), "m0");
	assert_string_equal(nvio_bdev_module(d.bdev), "malloc");
	assert_int_equal(nvio_bdev_block_size(d.bdev), 4096);
	assert_int_equal(nvio_bdev_num_blocks(d.bdev), 256);
	assert_int_equal(nvio_bdev_size_bytes(d.bdev), 1 << 20);
	assert_false(nvio_bdev_is_read_only(d.bdev));
	assert_false(nvio_bdev_has_volatile_cache(d.bdev));
	assert_memory_equal(nvio_bdev_uuid(d.bdev), uuid, 16);
	assert_null(nvio_bdev_alias(d.bdev, 0));
	assert_int_equal(nvio_bdev_file_engine(d.bdev, NULL, NULL), -EINVAL);
	disk_close(&d);
}

static char long_name[300];

static void bad_options_are_refused_by_name(void **state)
{
	static const struct {
		const char *name;
		uint32_t block_size;
		uint64_t num_blocks;
		int malloc_rc, null_rc;
		const char *word;
	} cases[] = {
		{ NULL, 512, 8, -EINVAL, -EINVAL, "name" },
		{ "", 512, 8, -EINVAL, -EINVAL, "name" },
		{ "a\nb", 512, 8, -EINVAL, -EINVAL, "control" },
		{ long_name, 512, 8, -EINVAL, -EINVAL, "longer" },
		{ "x", 0, 8, -EINVAL, -EINVAL, "block size" },
		{ "x", 256, 8, -EINVAL, -EINVAL, "block size" },
		{ "x", 513, 8, -EINVAL, -EINVAL, "block size" },
		{ "x", 131072, 8, -EINVAL, -EINVAL, "block size" },
		{ "x", 512, 0, -EINVAL, -EINVAL, "num_blocks" },
		{ "x", 512, UINT64_MAX, -EINVAL, -EINVAL, "2^63" },
		{ "x", 512, UINT64_MAX / 512 + 2, -EINVAL, -EINVAL, "2^63" },
		{ "x", 512, (UINT64_MAX >> 1) / 512 + 1, -EINVAL, -EINVAL, "2^63" },
		{ "x", 512, 1ull << 53, -ENOMEM, 0, "bytes" },
	};
	struct fixture *f = *state;

	memset(long_name, 'x', 256);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct nvio_bdev_malloc_opts m;
		struct nvio_bdev_null_opts n;

		nvio_bdev_malloc_opts_init(&m);
		m.name = cases[i].name;
		m.block_size = cases[i].block_size;
		m.num_blocks = cases[i].num_blocks;
		assert_int_equal(nvio_bdev_malloc_create(f->env, &m), cases[i].malloc_rc);
		assert_errmsg_has(cases[i].word);
		nvio_bdev_null_opts_init(&n);
		n.name = cases[i].name;
		n.block_size = cases[i].block_size;
		n.num_blocks = cases[i].num_blocks;
		assert_int_equal(nvio_bdev_null_create(f->env, &n), cases[i].null_rc);
		if (cases[i].null_rc)
			assert_errmsg_has(cases[i].word);
	}
	assert_int_equal(nvio_bdev_malloc_create(f->env, NULL), -EINVAL);
	assert_int_equal(nvio_bdev_null_create(NULL, NULL), -EINVAL);
	assert_int_equal(nvio_bdev_file_create(f->env, NULL), -EINVAL);
}

static void a_name_of_255_bytes_is_fine(void **state)
{
	struct fixture *f = *state;
	char name[256];
	struct disk d;

	memset(name, 'n', 255);
	name[255] = 0;
	make_null(f, name, 512, 8);
	d = disk_open(f, name, 0);
	disk_close(&d);
}

static void options_of_another_size_are_refused(void **state)
{
	struct fixture *f = *state;
	struct nvio_bdev_null_opts o = { .name = "n", .block_size = 512, .num_blocks = 8 };

	assert_int_equal(nvio_bdev_null_create(f->env, &o), -EINVAL);
	assert_errmsg_has("_init()");
}

static void names_aliases_and_uuids_find_the_device(void **state)
{
	static const uint8_t uuid[16] = { 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0x4d, 0xef, 0x81, 0x23, 0x45,
		0x67, 0x89, 0xab, 0xcd, 0xef };
	static const char *const good[] = {
		"n0",
		"other",
		"third one",
		"12345678-9abc-4def-8123-456789abcdef",
		"12345678-9ABC-4DEF-8123-456789ABCDEF",
	};
	static const char *const bad[] = {
		"n",
		"n00",
		"N0",
		"",
		"12345678-9abc-4def-8123-456789abcdee",
		"123456789abc4def8123456789abcdef",
		"12345678-9abc-4def-8123_456789abcdef",
		"12345678-9abc-4def-8123-456789abcdeg",
	};
	struct nvio_bdev_null_opts o;
	struct nvio_bdev_desc *desc;
	struct fixture *f = *state;

	nvio_bdev_null_opts_init(&o);
	o.name = "n0";
	o.num_blocks = 8;
	o.uuid = uuid;
	assert_ok(nvio_bdev_null_create(f->env, &o));
	assert_ok(nvio_bdev_add_alias(f->env, "n0", "other"));
	assert_ok(nvio_bdev_add_alias(f->env, "other", "third one"));
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_ok(nvio_bdev_open(f->env, good[i], 0, &desc));
		assert_string_equal(nvio_bdev_name(nvio_bdev_desc_bdev(desc)), "n0");
		assert_string_equal(nvio_bdev_alias(nvio_bdev_desc_bdev(desc), 1), "third one");
		assert_ok(nvio_bdev_close(desc));
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(nvio_bdev_open(f->env, bad[i], 0, &desc), -ENODEV);
		assert_errmsg_has(bad[i]);
	}
}

static void a_name_in_use_is_refused_whatever_kind_it_is(void **state)
{
	static const char *const taken[] = { "a", "alias of a" };
	struct fixture *f = *state;

	make_null(f, "a", 512, 8);
	make_null(f, "b", 512, 8);
	assert_ok(nvio_bdev_add_alias(f->env, "a", "alias of a"));
	for (size_t i = 0; i < ARRAY_SIZE(taken); i++) {
		struct nvio_bdev_malloc_opts o;

		nvio_bdev_malloc_opts_init(&o);
		o.name = taken[i];
		o.num_blocks = 8;
		assert_int_equal(nvio_bdev_malloc_create(f->env, &o), -EEXIST);
		assert_errmsg_has(taken[i]);
		assert_int_equal(nvio_bdev_add_alias(f->env, "b", taken[i]), -EEXIST);
	}
	assert_int_equal(nvio_bdev_add_alias(f->env, "nobody", "c"), -ENODEV);
	assert_int_equal(nvio_bdev_add_alias(f->env, "a", ""), -EINVAL);
	for (unsigned i = 1; i < 16; i++) {
		char alias[8];

		snprintf(alias, sizeof(alias), "a%u", i);
		assert_ok(nvio_bdev_add_alias(f->env, "a", alias));
	}
	assert_int_equal(nvio_bdev_add_alias(f->env, "a", "one too many"), -ENOMEM);
}

static int collect(struct nvio_bdev *bdev, void *arg)
{
	char *names = arg;

	strcat(names, nvio_bdev_name(bdev));
	return strcmp(nvio_bdev_name(bdev), "stop") ? 0 : 7;
}

static void iteration_follows_creation_and_stops_when_told(void **state)
{
	struct fixture *f = *state;
	char names[64] = "";

	make_null(f, "c", 512, 8);
	make_null(f, "a", 512, 8);
	make_null(f, "b", 512, 8);
	assert_int_equal(nvio_bdev_for_each(f->env, collect, names), 0);
	assert_string_equal(names, "cab");
	delete_device(f, "a");
	make_null(f, "stop", 512, 8);
	make_null(f, "a", 512, 8);
	names[0] = 0;
	assert_int_equal(nvio_bdev_for_each(f->env, collect, names), 7);
	assert_string_equal(names, "cbstop");
	assert_int_equal(nvio_bdev_for_each(f->env, NULL, NULL), -EINVAL);
}

static void random_uuids_differ_and_are_version_4(void **state)
{
	struct fixture *f = *state;
	struct disk a, b;

	make_null(f, "a", 512, 8);
	make_null(f, "b", 512, 8);
	a = disk_open(f, "a", 0);
	b = disk_open(f, "b", 0);
	assert_memory_not_equal(nvio_bdev_uuid(a.bdev), nvio_bdev_uuid(b.bdev), 16);
	assert_int_equal(nvio_bdev_uuid(a.bdev)[6] >> 4, 4);
	assert_int_equal(nvio_bdev_uuid(a.bdev)[8] >> 6, 2);
	disk_close(&a);
	disk_close(&b);
}

static void open_checks_its_arguments(void **state)
{
	struct nvio_bdev_desc *desc = NULL;
	struct fixture *f = *state;

	make_null(f, "n", 512, 8);
	assert_int_equal(nvio_bdev_open(f->env, "n", 0x80, &desc), -EINVAL);
	assert_int_equal(nvio_bdev_open(NULL, "n", 0, &desc), -EINVAL);
	assert_int_equal(nvio_bdev_open(f->env, NULL, 0, &desc), -EINVAL);
	assert_int_equal(nvio_bdev_open(f->env, "n", 0, NULL), -EINVAL);
	assert_ok(nvio_thread_detach(f->thread));
	assert_int_equal(nvio_bdev_open(f->env, "n", 0, &desc), -EINVAL);
	assert_errmsg_has("nvio_thread");
	assert_ok(nvio_thread_attach(f->thread));
	assert_null(desc);
	assert_ok(nvio_bdev_close(NULL));
}

static void a_claim_keeps_writers_out_until_it_ends(void **state)
{
	struct nvio_bdev_desc *holder, *writer, *reader;
	struct fixture *f = *state;

	make_null(f, "n", 512, 8);
	assert_ok(nvio_bdev_open(f->env, "n", NVIO_BDEV_WRITE, &holder));
	assert_ok(nvio_bdev_open(f->env, "n", NVIO_BDEV_WRITE, &writer));
	assert_int_equal(nvio_bdev_claim(NULL), -EINVAL);
	assert_int_equal(nvio_bdev_claim(holder), -EBUSY);
	assert_ok(nvio_bdev_close(writer));
	assert_ok(nvio_bdev_claim(holder));
	assert_int_equal(nvio_bdev_claim(holder), -EPERM);
	assert_int_equal(nvio_bdev_open(f->env, "n", NVIO_BDEV_WRITE, &writer), -EPERM);
	assert_ok(nvio_bdev_open(f->env, "n", NVIO_BDEV_READ, &reader));
	assert_int_equal(nvio_bdev_claim(reader), -EPERM);
	nvio_bdev_release(reader); /* not its own: nothing happens */
	assert_int_equal(nvio_bdev_open(f->env, "n", NVIO_BDEV_WRITE, &writer), -EPERM);
	nvio_bdev_release(holder);
	assert_ok(nvio_bdev_open(f->env, "n", NVIO_BDEV_WRITE, &writer));
	assert_ok(nvio_bdev_close(writer));
	assert_ok(nvio_bdev_claim(holder));
	assert_ok(nvio_bdev_close(holder)); /* ends the claim */
	assert_ok(nvio_bdev_open(f->env, "n", NVIO_BDEV_WRITE, &writer));
	assert_ok(nvio_bdev_close(writer));
	assert_ok(nvio_bdev_close(reader));
}

static unsigned destroyed;

static int own_submit(void *device, void *channel, struct nvio_bdev_io *io)
{
	nvio_bdev_io_done(io, 0);
	return 0;
}

static void own_destroy(void *device)
{
	destroyed++;
}

static const struct nvio_bdev_module own_module = {
	.name = "own", .submit = own_submit, .destroy = own_destroy
};

static void an_applications_module_stands_beside_the_built_in_ones(void **state)
{
	static const struct nvio_bdev_module same_name = {
		.name = "null", .submit = own_submit, .destroy = own_destroy
	};
	static const struct nvio_bdev_module no_name = { .submit = own_submit, .destroy = own_destroy };
	static const struct nvio_bdev_module no_submit = { .name = "x", .destroy = own_destroy };
	struct nvio_bdev_params p;
	struct fixture *f = *state;
	struct disk d;

	destroyed = 0;
	nvio_bdev_params_init(&p);
	p.module = &own_module;
	p.name = "o";
	p.num_blocks = 8;
	assert_int_equal(nvio_bdev_register(f->env, &p), -ENOENT);
	assert_int_equal(nvio_bdev_module_unregister(f->env, &own_module), -ENOENT);
	assert_int_equal(nvio_bdev_module_register(f->env, &same_name), -EEXIST);
	assert_int_equal(nvio_bdev_module_register(f->env, &no_name), -EINVAL);
	assert_int_equal(nvio_bdev_module_register(f->env, &no_submit), -EINVAL);
	assert_int_equal(nvio_bdev_module_register(f->env, NULL), -EINVAL);
	assert_ok(nvio_bdev_module_register(f->env, &own_module));
	assert_int_equal(nvio_bdev_module_register(f->env, &own_module), -EEXIST);
	assert_ok(nvio_bdev_register(f->env, &p));
	d = disk_open(f, "o", 0);
	assert_string_equal(nvio_bdev_module(d.bdev), "own");
	disk_close(&d);
	assert_int_equal(nvio_bdev_module_unregister(f->env, &own_module), -EBUSY);
	assert_errmsg_has("o");
	delete_device(f, "o");
	assert_int_equal(destroyed, 1);
	assert_ok(nvio_bdev_module_unregister(f->env, &own_module));
}

static void a_module_cannot_promise_what_it_cannot_do(void **state)
{
	struct nvio_bdev_params p;
	struct fixture *f = *state;

	assert_ok(nvio_bdev_module_register(f->env, &own_module));
	nvio_bdev_params_init(&p);
	p.module = &own_module;
	p.name = "o";
	p.num_blocks = 8;
	p.volatile_cache = true;
	assert_int_equal(nvio_bdev_register(f->env, &p), -EINVAL);
	assert_errmsg_has("flush");
	p.volatile_cache = false;
	p.io_types = NVIO_BDEV_CAN(NVIO_BDEV_IO_WRITE);
	assert_int_equal(nvio_bdev_register(f->env, &p), -EINVAL);
	p.module = NULL;
	assert_int_equal(nvio_bdev_register(f->env, &p), -EINVAL);
}

static int create_kind(struct fixture *f, unsigned kind)
{
	struct nvio_bdev_malloc_opts m;
	struct nvio_bdev_null_opts n;
	struct nvio_bdev_file_opts o;
	char path[128];

	switch (kind) {
	case 0:
		nvio_bdev_malloc_opts_init(&m);
		m.name = "d";
		m.num_blocks = 2048;
		return nvio_bdev_malloc_create(f->env, &m);
	case 1:
		nvio_bdev_null_opts_init(&n);
		n.name = "d";
		n.num_blocks = 2048;
		return nvio_bdev_null_create(f->env, &n);
	default:
		snprintf(path, sizeof(path), "%s/image", f->dir);
		nvio_bdev_file_opts_init(&o);
		o.name = "d";
		o.path = path;
		o.num_blocks = 2048;
		o.block_size = 4096;
		o.create = true;
		o.engine = kind == 2 ? NVIO_BDEV_FILE_IO_URING : NVIO_BDEV_FILE_THREADS;
		return nvio_bdev_file_create(f->env, &o);
	}
}

static int open_and_channel(struct fixture *f, struct disk *d)
{
	int rc = nvio_bdev_open(f->env, "d", NVIO_BDEV_WRITE, &d->desc);

	if (rc)
		return rc;
	rc = nvio_bdev_channel(d->desc, &d->ch);
	if (rc)
		assert_ok(nvio_bdev_close(d->desc));
	return rc;
}

static void every_allocation_may_fail_and_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	char path[128];

	snprintf(path, sizeof(path), "%s/image", f->dir);
	for (unsigned kind = 0; kind < 4; kind++) {
		unsigned failures = 0;
		struct disk d;
		int rc;

		for (long n = 0, left = -1; left < 0; n++) {
			alloc_fail_after(n);
			rc = create_kind(f, kind);
			left = alloc_fail_after(-1);
			if (left >= 0)
				break;
			assert_int_equal(rc, -ENOMEM);
			assert_true(*nvio_errmsg());
			assert_int_equal(nvio_bdev_open(f->env, "d", 0, &d.desc), -ENODEV);
			assert_int_not_equal(access(path, F_OK), 0);
			failures++;
		}
		if (kind == 2 && rc == -EOPNOTSUPP)
			continue; /* no io_uring here; tests of the file module say so */
		assert_ok(rc);
		assert_true(failures >= 3);
		for (long n = 0, left = -1; left < 0; n++) {
			alloc_fail_after(n);
			rc = open_and_channel(f, &d);
			left = alloc_fail_after(-1);
			assert_int_equal(rc, left < 0 ? -ENOMEM : 0);
		}
		disk_close(&d);
		delete_device(f, "d");
		(void)!unlink(path);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		fixture_test(a_device_says_what_it_is),
		fixture_test(bad_options_are_refused_by_name),
		fixture_test(a_name_of_255_bytes_is_fine),
		fixture_test(options_of_another_size_are_refused),
		fixture_test(names_aliases_and_uuids_find_the_device),
		fixture_test(a_name_in_use_is_refused_whatever_kind_it_is),
		fixture_test(iteration_follows_creation_and_stops_when_told),
		fixture_test(random_uuids_differ_and_are_version_4),
		fixture_test(open_checks_its_arguments),
		fixture_test(a_claim_keeps_writers_out_until_it_ends),
		fixture_test(an_applications_module_stands_beside_the_built_in_ones),
		fixture_test(a_module_cannot_promise_what_it_cannot_do),
		fixture_test(every_allocation_may_fail_and_leaves_nothing),
	};

	return cmocka_run_group_tests_name("bdev/registry", tests, NULL, NULL);
}
