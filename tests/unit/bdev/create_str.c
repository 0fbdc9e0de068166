/* SPDX-License-Identifier: BSD-3-Clause */
/* Devices from a line of text: what it makes, and where what is wrong is said to be. B4. */
#include "stack.h"

#include <sys/stat.h>

#include "base/alloc.h"

static struct nvio_bdev *find(struct fixture *f, const char *name)
{
	struct nvio_bdev_desc *desc;
	struct nvio_bdev *bdev;

	if (nvio_bdev_open(f->env, name, 0, &desc))
		return NULL;
	bdev = nvio_bdev_desc_bdev(desc);
	assert_ok(nvio_bdev_close(desc));
	return bdev;
}

static int count_one(struct nvio_bdev *bdev, void *arg)
{
	++*(unsigned *)arg;
	return 0;
}

static unsigned count(struct fixture *f)
{
	unsigned n = 0;

	assert_ok(nvio_bdev_for_each(f->env, count_one, &n));
	return n;
}

static void text_makes_what_it_says(void **state)
{
	static const struct {
		const char *text, *module;
		uint64_t bytes;
		uint32_t block_size;
		unsigned devices;
	} cases[] = {
		{ "null:1G", "null", 1ull << 30, 512, 1 },
		{ "null:8E", NULL, 0, 0, 0 },
		{ "null:4096P?bs=64k&untouched=1", "null", 1ull << 62, 65536, 1 },
		{ "malloc:1M", "malloc", 1 << 20, 512, 1 },
		{ "malloc:0x100000?bs=4096", "malloc", 1 << 20, 4096, 1 },
		{ "malloc:1MiB?bs=4k&uuid=01234567-89ab-cdef-0123-456789abcdef", "malloc", 1 << 20, 4096, 1 },
		{ "malloc:%31M", "malloc", 1 << 20, 512, 1 },
		{ "passthru:malloc:1M", "passthru", 1 << 20, 512, 2 },
		{ "passthru:passthru?name=x:malloc:1M?bs=4096", "passthru", 1 << 20, 4096, 3 },
		{ "delay?avg_read=100&p99_read=500:malloc:1M", "delay", 1 << 20, 512, 2 },
		{ "delay:null:1M", "delay", 1 << 20, 512, 2 },
		{ "error:null:1M", "error", 1 << 20, 512, 2 },
		{ "error?kind=fail&type=read&lba=1&blocks=2&skip=1&every=2&count=1&p=0.5&errno=28&sf=0x281:null:1M", "error", 1 << 20,
			512, 2 },
		{ "error?kind=corrupt&xor=1&offset=9:error?kind=no_memory&us=10:error?kind=pend:null:1M", "error", 1 << 20, 512, 4 },
		{ "split?count=4:malloc:1M", "split", 1 << 18, 512, 5 },
		{ "split?count=2&size_mb=1:null:1G", "split", 1 << 20, 512, 3 },
	};

	for (size_t c = 0; c < ARRAY_SIZE(cases); c++) {
		char name[NVIO_BDEV_NAME_MAX + 1] = "untouched";
		struct nvio_bdev *bdev;
		struct fixture *f;
		int rc;

		f = *state;
		rc = nvio_bdev_create_str(f->env, cases[c].text, name);
		assert_int_equal(count(f), cases[c].devices);
		if (!cases[c].module) {
			assert_int_equal(rc, -EINVAL);
			assert_string_equal(name, "untouched");
		} else {
			if (rc)
				fail_msg("%s: %s", cases[c].text, nvio_errmsg());
			bdev = find(f, name);
			assert_non_null(bdev);
			assert_string_equal(nvio_bdev_module(bdev), cases[c].module);
			assert_int_equal(nvio_bdev_size_bytes(bdev), cases[c].bytes);
			assert_int_equal(nvio_bdev_block_size(bdev), cases[c].block_size);
			if (strstr(cases[c].text, "uuid"))
				assert_ptr_equal(find(f, "01234567-89AB-cdef-0123-456789abcdef"), bdev);
		}
		/* A fresh one for the next. */
		fixture_teardown(state);
		fixture_setup(state);
	}
}

/* Options of the error device from text do what they say; those of the others are seen in what is made. */
static void options_of_the_error_device_are_heeded(void **state)
{
	static const struct {
		const char *options;
		uint32_t struck; /* which of 16 reads of one block, from block 0 on: a bit for each */
		int status;
	} cases[] = {
		{ "kind=fail", 0xffff, -EIO },
		{ "kind=none", 0, 0 },
		{ "kind=fail&type=write", 0, 0 },
		{ "kind=fail&type=read&errno=28", 0xffff, -ENOSPC },
		{ "kind=fail&lba=2&blocks=3", 0x001c, -EIO },
		{ "kind=fail&lba=14", 0xc000, -EIO },
		{ "kind=fail&skip=4&every=3&count=2", 0x0090, -EIO },
		{ "kind=no_memory&count=1&us=1", 0, 0 },
		{ "kind=corrupt", 0, 0 },
		{ "kind=fail&p=0.000001&count=1", 0, 0 },
	};
	struct fixture *f = *state;

	for (size_t c = 0; c < ARRAY_SIZE(cases); c++) {
		unsigned char buf[BLOCK];
		uint32_t struck = 0;
		struct disk d;
		char text[128];

		snprintf(text, sizeof(text), "error?name=e&%s:malloc:1M?name=m", cases[c].options);
		make(f, text);
		d = disk_open(f, "e", NVIO_BDEV_WRITE);
		for (unsigned i = 0; i < 16; i++) {
			int rc = do_read(&d, buf, i * BLOCK, BLOCK);

			if (rc)
				assert_int_equal(rc, cases[c].status);
			struck |= (rc ? 1u : 0) << i;
		}
		assert_int_equal(struck, cases[c].struck);
		disk_close(&d);
		delete_device(f, "m");
		poll_some(f);
	}
}

static void a_corrupted_byte_is_where_the_text_says(void **state)
{
	struct fixture *f = *state;
	unsigned char buf[BLOCK];
	struct nvio_op op = NVIO_OP(NULL);
	struct disk d;

	make(f, "error?name=a&kind=fail&type=write&sf=0x280:error?name=e&kind=corrupt&type=read&offset=9&xor=0x40:malloc:1M");
	d = disk_open(f, "a", NVIO_BDEV_WRITE);
	assert_ok(do_read(&d, buf, 0, BLOCK));
	assert_int_equal(buf[9], 0x40);
	assert_true(all_bytes_are(buf, 0, 9));
	assert_int_equal(nvio_await(nvio_bdev_write(d.desc, d.ch, buf, 0, BLOCK, &op), &op), -EIO);
	assert_int_equal(op.cpl.sf, 0x280);
	disk_close(&d);
}

static const struct {
	const char *text, *place, *word;
} bad[] = {
	{ "", "at byte 1:", "there are: malloc, null, file" },
	{ ":", "at byte 1:", "no kind" },
	{ "?", "at byte 1:", "no kind" },
	{ "tape:1G", "at byte 1:", "\"tape\"" },
	{ "Null:1G", "at byte 1:", "\"Null\"" },
	{ " null:1G", "at byte 1:", "\" null\"" },
	{ "null", "at byte 5:", "null:SIZE" },
	{ "null:", "at byte 6:", "null:SIZE" },
	{ "null:?bs=512", "at byte 6:", "null:SIZE" },
	{ "null?bs=512:1G", "at byte 5:", "stand at the end" },
	{ "null:1G?", "at byte 9:", "no option" },
	{ "null:1G?bs", "at byte 9:", "needs a value" },
	{ "null:1G?bs=", "at byte 9:", "needs a value" },
	{ "null:1G?=5", "at byte 9:", "empty" },
	{ "null:1G?bs=512&", "at byte 9:", "'&'" },
	{ "null:1G?bs=512&bs=512", "at byte 16:", "twice" },
	{ "null:1G?bs=512&nope=1", "at byte 16:", "there are: name, uuid, bs, untouched" },
	{ "null:1G?bs=x", "at byte 9:", "not a size" },
	{ "null:1G?bs=99999999999999999999", "at byte 9:", "too large" },
	{ "null:1G?bs=4G", "at byte 9:", "too large" },
	{ "null:1G?bs=3", "at byte 1:", "power of two" },
	{ "null:1G?bs=0", "at byte 1:", "power of two" },
	{ "null:0", "at byte 1:", "not a multiple" },
	{ "null:1000", "at byte 1:", "not a multiple" },
	{ "null:-1", "at byte 6:", "not a size" },
	{ "null:1G%", "at byte 6:", "escape" },
	{ "null:1G%zz", "at byte 6:", "escape" },
	{ "null:1G%00", "at byte 6:", "%00" },
	{ "null:1G?name=a%0Ab", "at byte 9:", "control character" },
	{ "null:1G?untouched=maybe", "at byte 9:", "neither" },
	{ "null:1G?uuid=1", "at byte 9:", "uuid" },
	{ "null:1G:malloc:1G", "at byte 6:", "not a size" },
	{ "file:", "at byte 6:", "file:PATH" },
	{ "file:x?engine=steam", "at byte 8:", "auto, io_uring, threads" },
	{ "file:x?size=1000", "at byte 1:", "multiple" },
	{ "file:x?bs=0", "at byte 1:", "block size" },
	{ "file:x?direct=2", "at byte 8:", "neither" },
	{ "bdev:", "at byte 6:", "bdev:NAME" },
	{ "passthru", "at byte 9:", "stands on another" },
	{ "passthru:", "at byte 10:", "stands on another" },
	{ "passthru?:null:1G", "at byte 10:", "no option" },
	{ "passthru?x=1:null:1G", "at byte 10:", "there are: name, uuid" },
	{ "passthru:passthru:tape:1", "at byte 19:", "tape" },
	{ "delay?avg_read=-1:null:1G", "at byte 7:", "not a number" },
	{ "delay?avg_read=5&p99_read=4:null:1G", "at byte 1:", "p99" },
	{ "delay?avg_write=5&p99_write=4:null:1G", "at byte 1:", "p99" },
	{ "error?type=read:null:1G", "at byte 1:", "of which kind" },
	{ "error?kind=bad:null:1G", "at byte 7:", "none, fail, corrupt, pend, no_memory" },
	{ "error?kind=fail&type=bad:null:1G", "at byte 17:", "write_zeroes" },
	{ "error?kind=fail&p=0:null:1G", "at byte 17:", "above 0" },
	{ "error?kind=fail&p=nan:null:1G", "at byte 17:", "above 0" },
	{ "error?kind=fail&p=1.5:null:1G", "at byte 17:", "above 0" },
	{ "error?kind=fail&errno=4096:null:1G", "at byte 1:", "errno" },
	{ "error?kind=fail&errno=11:null:1G", "at byte 1:", "status" },
	{ "error?kind=fail&sf=65536:null:1G", "at byte 17:", "too large" },
	{ "error?kind=fail&sf=0x8000:null:1G", "at byte 1:", "sf" },
	{ "error?kind=corrupt&xor=256:null:1G", "at byte 20:", "too large" },
	{ "error?kind=corrupt&type=unmap:null:1G", "at byte 1:", "io_types" },
	{ "split:null:1G", "at byte 1:", "count" },
	{ "split?count=0:null:1G", "at byte 1:", "count" },
	{ "split?count=1025:null:1G", "at byte 1:", "count" },
	{ "split?uuid=01234567-89ab-cdef-0123-456789abcdef&count=1:null:1G", "at byte 7:", "no option" },
};

static void what_makes_no_sense_is_told_with_its_place(void **state)
{
	struct fixture *f = *state;

	for (size_t c = 0; c < ARRAY_SIZE(bad); c++) {
		if (nvio_bdev_create_str(f->env, bad[c].text, NULL) != -EINVAL)
			fail_msg("%s is taken, or refused otherwise: %s", bad[c].text, nvio_errmsg());
		assert_errmsg_has(bad[c].place);
		assert_errmsg_has(bad[c].word);
		assert_int_equal(nvio_bdev_check_str(bad[c].text), -EINVAL);
		assert_errmsg_has(bad[c].place);
		assert_int_equal(count(f), 0);
	}
	assert_int_equal(nvio_bdev_create_str(f->env, NULL, NULL), -EINVAL);
	assert_int_equal(nvio_bdev_create_str(NULL, "null:1G", NULL), -EINVAL);
}

static void long_and_deep_text_has_its_bounds(void **state)
{
	struct fixture *f = *state;
	static char text[1 << 20];
	char *at = text;

	for (unsigned i = 0; i < NVIO_BDEV_STR_LAYERS - 1; i++)
		at += sprintf(at, "passthru:");
	strcpy(at, "malloc:1M");
	make(f, text);
	assert_int_equal(count(f), NVIO_BDEV_STR_LAYERS);
	strcpy(at, "passthru:malloc:1M");
	assert_int_equal(nvio_bdev_create_str(f->env, text, NULL), -EINVAL);
	assert_errmsg_has("more than 16 layers");
	for (at = text; at < text + sizeof(text) - 10;)
		at += sprintf(at, "passthru:");
	assert_int_equal(nvio_bdev_create_str(f->env, text, NULL), -EINVAL);
	assert_errmsg_has("longer than 4095 bytes");
	memset(text, 'x', sizeof(text) - 1);
	text[NVIO_BDEV_STR_MAX] = '\0';
	assert_int_equal(nvio_bdev_create_str(f->env, text, NULL), -EINVAL);
	assert_errmsg_has("no kind");
	text[sprintf(text, "null:1M?name=")] = 'x';
	assert_int_equal(nvio_bdev_create_str(f->env, text, NULL), -EINVAL);
	assert_errmsg_has("longer than 255");
	/* The longest name that there can be; of a split it does not fit any more. */
	text[strlen("null:1M?name=") + 255] = '\0';
	make(f, text);
	assert_int_equal(strlen(nvio_bdev_name(find(f, text + strlen("null:1M?name=")))), 255);
	memmove(text + 20, text + 13, 256);
	memcpy(text, "split?count=11&name=", 20);
	strcat(text, ":null:1M");
	assert_int_equal(nvio_bdev_create_str(f->env, text, NULL), -EINVAL);
	assert_errmsg_has("longer than 255");
	assert_int_equal(count(f), NVIO_BDEV_STR_LAYERS + 1);
}

/* '?' and '%' and what else a path may have. */
static void paths_are_escaped(void **state)
{
	struct fixture *f = *state;
	char text[256], path[128], name[NVIO_BDEV_NAME_MAX + 1];
	struct stat st;

	snprintf(text, sizeof(text), "passthru:file:%s/a%%3Fb:c&d=e%%25+f?size=1M&bs=4096&name=%%3A%%26&engine=threads&threads=1&direct=0",
		f->dir);
	if (nvio_bdev_create_str(f->env, text, name))
		fail_msg("%s", nvio_errmsg());
	snprintf(path, sizeof(path), "%s/a?b:c&d=e%%+f", f->dir);
	assert_ok(stat(path, &st));
	assert_int_equal(st.st_size, 1 << 20);
	assert_non_null(find(f, ":&"));
	assert_int_equal(nvio_bdev_block_size(find(f, name)), 4096);
	snprintf(text, sizeof(text), "file:%s/none", f->dir);
	assert_int_equal(nvio_bdev_create_str(f->env, text, name), -ENOENT);
	snprintf(text, sizeof(text), "file:%s/none?ro=1&size=1M", f->dir);
	assert_int_equal(nvio_bdev_create_str(f->env, text, name), -ENOENT);
}

static void a_read_only_image_makes_what_stands_on_it_read_only(void **state)
{
	struct fixture *f = *state;
	struct nvio_bdev_desc *desc;
	char text[256];

	snprintf(text, sizeof(text), "file:%s/image?size=1M&name=w", f->dir);
	make(f, text);
	delete_device(f, "w");
	snprintf(text, sizeof(text), "split?name=s&count=2:delay:error:passthru:file:%s/image?ro=1", f->dir);
	make(f, text);
	assert_int_equal(nvio_bdev_open(f->env, "sp0", NVIO_BDEV_WRITE, &desc), -EROFS);
	assert_true(nvio_bdev_is_read_only(find(f, "sp1")));
}

static void what_is_there_can_be_stood_on(void **state)
{
	struct fixture *f = *state;
	char name[NVIO_BDEV_NAME_MAX + 1];

	make_malloc(f, "M:0", BLOCK, BLOCKS);
	assert_ok(nvio_bdev_create_str(f->env, "passthru?name=p:bdev:M%3a0", name));
	assert_string_equal(name, "p");
	assert_ok(nvio_bdev_create_str(f->env, "bdev:p", name));
	assert_string_equal(name, "p");
	assert_int_equal(nvio_bdev_create_str(f->env, "passthru:bdev:M:0", name), -EPERM);
	assert_int_equal(nvio_bdev_create_str(f->env, "passthru:bdev:x", name), -ENODEV);
	assert_errmsg_has("at byte 10: no device is named x");
	assert_int_equal(count(f), 2);
}

static void names_without_being_asked_for_are_free_ones(void **state)
{
	struct fixture *f = *state;
	char name[NVIO_BDEV_NAME_MAX + 1];

	make_null(f, "null2", BLOCK, BLOCKS);
	make_null(f, "null3", BLOCK, BLOCKS);
	for (unsigned i = 0; i < 20; i++) {
		assert_ok(nvio_bdev_create_str(f->env, "null:1M", name));
		assert_int_equal(strncmp(name, "null", 4), 0);
	}
	assert_int_equal(count(f), 22);
	assert_int_equal(nvio_bdev_create_str(f->env, "null:1M?name=null2", name), -EEXIST);
}

/* A layer that cannot be made takes those below with it, and nothing that was there before. */
static void a_failure_half_way_leaves_nothing(void **state)
{
	static const char *const texts[] = {
		"passthru?name=taken:delay:error?kind=fail:malloc:1M",
		"passthru?name=taken:split?count=5:malloc:1M",
		"delay?name=taken:bdev:there",
		"split?count=3&name=t:passthru:null:1M",
		"passthru:split?count=9&size_mb=1:malloc:1M",
	};
	struct fixture *f = *state;

	make(f, "null:1M?name=taken");
	make(f, "null:1M?name=tp2");
	make(f, "null:1M?name=there");
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		assert_true(nvio_bdev_create_str(f->env, texts[i], NULL) < 0);
		assert_errmsg_has("bdev: text: at byte ");
		assert_int_equal(count(f), 3);
	}
	make(f, "passthru:bdev:there");
}

static void each_allocation_may_fail(void **state)
{
	struct fixture *f = *state;
	long left = -1;
	int rc;

	for (long n = 0; left < 0; n++) {
		alloc_fail_after(n);
		rc = nvio_bdev_create_str(f->env, "error?kind=fail:delay?avg_read=1:split?count=3:passthru:malloc:1M?bs=4096", NULL);
		left = alloc_fail_after(-1);
		assert_int_equal(rc, left < 0 ? -ENOMEM : 0);
		assert_int_equal(count(f), rc ? 0 : 7);
	}
}

static void the_kinds_can_be_listed(void **state)
{
	const char *kind;
	bool has_split = false;
	unsigned n = 0;

	while ((kind = nvio_bdev_str_kind(n))) {
		has_split |= !strcmp(kind, "split");
		n++;
	}
	assert_true(has_split);
	assert_true(n >= 8);
	assert_null(nvio_bdev_str_kind(n + 1));
	assert_null(nvio_bdev_str_kind(UINT32_MAX));
}

static void what_is_checked_is_not_made(void **state)
{
	struct fixture *f = *state;

	assert_ok(nvio_bdev_check_str("passthru:malloc:1M?name=a"));
	assert_ok(nvio_bdev_check_str("file:/no/such/place"));
	assert_int_equal(nvio_bdev_check_str(NULL), -EINVAL);
	assert_int_equal(count(f), 0);
}

/* B1: as many as one likes; and deleting the bottoms takes all with them. */
static void ten_thousand_devices_come_and_go(void **state)
{
	struct fixture *f = *state;
	static struct nvio_op ops[5000];
	char text[64], name[16];

	for (unsigned i = 0; i < 5000; i++) {
		snprintf(text, sizeof(text), "passthru?name=p%u:null:1M?name=n%u", i, i);
		make(f, text);
	}
	assert_int_equal(count(f), 10000);
	for (unsigned i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		ops[i] = (struct nvio_op)NVIO_OP(NULL);
		assert_ok(nvio_bdev_delete(f->env, name, &ops[i]));
	}
	for (unsigned i = 0; i < 5000; i++)
		assert_ok(nvio_wait(&ops[i]));
	assert_int_equal(count(f), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		fixture_test(text_makes_what_it_says),
		fixture_test(options_of_the_error_device_are_heeded),
		fixture_test(a_corrupted_byte_is_where_the_text_says),
		fixture_test(what_makes_no_sense_is_told_with_its_place),
		fixture_test(long_and_deep_text_has_its_bounds),
		fixture_test(paths_are_escaped),
		fixture_test(a_read_only_image_makes_what_stands_on_it_read_only),
		fixture_test(what_is_there_can_be_stood_on),
		fixture_test(names_without_being_asked_for_are_free_ones),
		fixture_test(a_failure_half_way_leaves_nothing),
		fixture_test(each_allocation_may_fail),
		fixture_test(the_kinds_can_be_listed),
		fixture_test(what_is_checked_is_not_made),
		fixture_test(ten_thousand_devices_come_and_go),
	};

	return cmocka_run_group_tests_name("bdev/create_str", tests, NULL, NULL);
}
