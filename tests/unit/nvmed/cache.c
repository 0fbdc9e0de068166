/* SPDX-License-Identifier: BSD-3-Clause */
/* The block cache: V15, and V10 and V11 where it takes part. Which pages it holds is seen by drives that fail reads from the N-th on. */
#include "fixture.h"

#define ODD_SIZE (4 * MIB + 3 * 512) /* ends within a page */

static char image[256];

static int setup(void **state)
{
	image_make(image, sizeof(image), 8 * MIB);
	return 0;
}

static int teardown(void **state)
{
	image_remove(image);
	return 0;
}

static unsigned char image_byte(off_t at)
{
	unsigned char c = 0;
	int fd = open(image, O_RDONLY);

	assert_int_equal(pread(fd, &c, 1, at), 1);
	close(fd);
	return c;
}

static ssize_t put(NVMED_HANDLE *h, const char *text, size_t len, off_t at)
{
	return nvmed_pwrite(h, (void *)(uintptr_t)text, len, at);
}

/* Bytes at any offset, in any number, up to the very end. */
static void bytes_anywhere(void **state)
{
	static const char *const drives[] = { "loop:ram:4195840", "loop:ram:4M?bs=4096", "loop:ram:4M?iommu=1" };
	static const struct {
		off_t at;
		size_t len;
	} cases[] = { { 0, 1 }, { 1, 4095 }, { 4095, 2 }, { 100, 10000 }, { 12288, 4096 }, { 12289, 300000 }, { 4 * MIB - 5000, 5000 } };

	for (size_t d = 0; d < ARRAY_SIZE(drives); d++) {
		struct rig r = rig_open(drives[d], d == 1 ? NVMED_CACHE_LAZY_INIT : 0, 0, 0);
		off_t size = (off_t)r.nvmed->dev_info->capacity;
		unsigned char *out = malloc(400000), *in = malloc(400000);

		assert_int_equal(size, d ? 4 * MIB : ODD_SIZE);
		for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
			pattern_fill(out, cases[i].len, (unsigned int)i);
			assert_int_equal(nvmed_pwrite(r.handle, out, cases[i].len, cases[i].at), cases[i].len);
			assert_int_equal(nvmed_pread(r.handle, in, cases[i].len, cases[i].at), cases[i].len);
			assert_memory_equal(in, out, cases[i].len);
		}
		assert_int_equal(nvmed_pwrite(r.handle, out, 5000, size - 3), 3);
		assert_int_equal(nvmed_pread(r.handle, in, 5000, size - 3), 3);
		assert_memory_equal(in, out, 3);
		assert_int_equal(nvmed_pread(r.handle, in, 1, size), 0);
		assert_fails(nvmed_pwrite(r.handle, in, 1, size), ENOSPC);
		assert_fails(nvmed_pread(r.handle, in, 1, size + 1), EINVAL);
		assert_int_equal(nvmed_lseek(r.handle, 3, SEEK_END), size - 3);
		assert_int_equal(nvmed_read(r.handle, in, 100), 3);
		assert_memory_equal(in, out, 3);
		assert_int_equal(nvmed_flush(r.handle), 0);
		free(out);
		free(in);
		rig_close(&r);
	}
}

/* Write-back until a flush, write-through with SYNC_IO, and at the latest when the handle is destroyed. */
static void when_data_reaches_the_drive(void **state)
{
	struct rig r = rig_open(image, 0, 0, 0);

	assert_int_equal(put(r.handle, "abc", 3, 5000), 3);
	assert_int_equal(image_byte(5000), 0);
	assert_int_equal(nvmed_flush(r.handle), 0);
	assert_int_equal(image_byte(5000), 'a');
	assert_int_equal(nvmed_handle_feature_set(r.handle, HANDLE_SYNC_IO, TRUE), TRUE);
	assert_int_equal(put(r.handle, "defg", 4, 8190), 4);
	assert_int_equal(image_byte(8190), 'd');
	assert_int_equal(image_byte(8193), 'g');
	assert_int_equal(nvmed_handle_feature_set(r.handle, HANDLE_SYNC_IO, FALSE), FALSE);
	assert_int_equal(put(r.handle, "x", 1, 100000), 1);
	assert_int_equal(image_byte(100000), 0);
	rig_close(&r);
	assert_int_equal(image_byte(100000), 'x');
	assert_int_equal(image_byte(5001), 'b');
}

/* Coherent with direct and asynchronous I/O and with discards, on any handle of the device, and when a handle becomes direct. */
static void all_ways_see_the_same(void **state)
{
	struct rig r = rig_open(image, 0, QUEUE_MANUAL_COMPLETION, 0);
	NVMED_HANDLE *direct = nvmed_handle_create(r.queue, HANDLE_DIRECT_IO);
	unsigned char *page = nvmed_get_buffer(r.nvmed, 1), c;
	NVMED_AIO_CTX ctx = { .handle = direct, .buf = page, .start_lba = 512, .len = 512 };

	assert_int_equal(put(r.handle, "q", 1, 600), 1);
	assert_int_equal(nvmed_pread(direct, page, 512, 512), 512);
	assert_int_equal(page[88], 'q');
	memset(page, 'd', 512);
	assert_int_equal(put(r.handle, "r", 1, 100), 1); /* dirty, and in the same page */
	assert_int_equal(nvmed_pwrite(direct, page, 512, 512), 512);
	assert_int_equal(nvmed_pread(r.handle, &c, 1, 600), 1);
	assert_int_equal(c, 'd');
	assert_int_equal(nvmed_pread(r.handle, &c, 1, 100), 1);
	assert_int_equal(c, 'r');
	memset(page, 'a', 512);
	assert_int_equal(nvmed_aio_write(&ctx), 0);
	while (!nvmed_aio_handle_complete(direct))
		;
	assert_int_equal(nvmed_pread(r.handle, &c, 1, 1023), 1);
	assert_int_equal(c, 'a');
	assert_int_equal(put(r.handle, "s", 1, 513), 1);
	assert_int_equal(nvmed_aio_read(&ctx), 0);
	while (!nvmed_aio_handle_complete(direct))
		;
	assert_int_equal(page[1], 's');
	assert_int_equal(nvmed_discard(direct, 512, 512), 0);
	assert_int_equal(nvmed_pread(r.handle, &c, 1, 513), 1);
	assert_int_equal(c, 0);
	assert_int_equal(nvmed_pread(r.handle, &c, 1, 100), 1);
	assert_int_equal(c, 'r');
	assert_int_equal(put(r.handle, "t", 1, 20000), 1);
	assert_int_equal(nvmed_handle_feature_set(r.handle, HANDLE_DIRECT_IO, TRUE), TRUE);
	assert_int_equal(nvmed_pread(r.handle, page, 4096, 16384), 4096);
	assert_int_equal(page[20000 - 16384], 't');
	assert_fails(nvmed_pread(r.handle, page, 1, 0), EINVAL);
	assert_int_equal(nvmed_handle_destroy(direct), 0);
	rig_close(&r);
}

/* LRU over hits of both kinds: the page that was neither read nor written for longest goes. */
static void the_least_recently_used_page_goes(void **state)
{
	static const off_t held[] = { 0, 30, 50, 70 }, gone[] = { 10, 20 };
	struct rig r = rig_open("loop:ram:4M?fault=status:opcode=2:sf=0x4281:skip=6", 0, 0, 0);
	unsigned char c = 1;

	assert_int_equal(nvmed_feature_set(r.nvmed, NVMED_CACHE_SIZE, 4), 4);
	assert_int_equal(nvmed_pread(r.handle, &c, 1, 30 * 4096), 1); /* 30 */
	assert_int_equal(nvmed_pread(r.handle, &c, 1, 10 * 4096), 1); /* 10 30 */
	assert_int_equal(nvmed_pread(r.handle, &c, 1, 20 * 4096), 1); /* 20 10 30 */
	assert_int_equal(nvmed_pread(r.handle, &c, 1, 0), 1);	      /* 0 20 10 30 */
	assert_int_equal(nvmed_pwrite(r.handle, &c, 1, 30 * 4096), 1); /* 30 0 20 10: a hit */
	assert_int_equal(nvmed_pread(r.handle, &c, 1, 50 * 4096), 1);  /* 50 30 0 20 */
	assert_int_equal(nvmed_pread(r.handle, &c, 1, 0), 1);	       /* 0 50 30 20: a hit */
	assert_int_equal(nvmed_pread(r.handle, &c, 1, 70 * 4096), 1);  /* 70 0 50 30 */
	for (size_t i = 0; i < ARRAY_SIZE(held); i++)
		assert_int_equal(nvmed_pread(r.handle, &c, 1, held[i] * 4096), 1);
	for (size_t i = 0; i < ARRAY_SIZE(gone); i++)
		assert_fails(nvmed_pread(r.handle, &c, 1, gone[i] * 4096), EIO);
	rig_close(&r);
}

/* Ten MiB by default; resized while in use, and no byte is lost. */
static void the_cache_is_resized(void **state)
{
	static const int bad[] = { 0, -1, (1 << 22) + 1 };
	static const int sizes[] = { 3000, 40, 1, 2000 };
	struct rig r = rig_open("loop:ram:4M", 0, 0, 0);
	unsigned char c;

	assert_int_equal(nvmed_feature_get(r.nvmed, NVMED_CACHE_SIZE), 2560);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(nvmed_feature_set(r.nvmed, NVMED_CACHE_SIZE, bad[i]), -NVMED_INVALID);
	for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
		for (int i = 0; i < 1000; i++) {
			c = (unsigned char)(i + (int)s);
			assert_int_equal(nvmed_pwrite(r.handle, &c, 1, i * 4096 + 7), 1);
		}
		assert_int_equal(nvmed_feature_set(r.nvmed, NVMED_CACHE_SIZE, sizes[s]), sizes[s]);
		assert_int_equal(nvmed_feature_get(r.nvmed, NVMED_CACHE_SIZE), sizes[s]);
		for (int i = 0; i < 1000; i++) {
			assert_int_equal(nvmed_pread(r.handle, &c, 1, i * 4096 + 7), 1);
			assert_int_equal(c, (unsigned char)(i + (int)s));
		}
	}
	rig_close(&r);
	r = rig_open("loop:ram:4M", NVMED_NO_CACHE, 0, 0);
	assert_int_equal(nvmed_feature_set(r.nvmed, NVMED_CACHE_SIZE, 100), -NVMED_INVALID);
	rig_close(&r);
}

/* What could not be written back is told, stays, and is written by the next flush. */
static void a_failed_write_back_is_told_and_made_good(void **state)
{
	struct rig r = rig_open("loop:ram:4M?fault=status:opcode=1:sf=0x4280:count=1", 0, 0, 0);
	unsigned char *page = nvmed_get_buffer(r.nvmed, 1);

	assert_int_equal(put(r.handle, "kept", 4, 9000), 4);
	assert_fails(nvmed_flush(r.handle), EIO);
	assert_int_equal(nvmed_flush(r.handle), 0);
	assert_int_equal(nvmed_handle_feature_set(r.handle, HANDLE_DIRECT_IO, TRUE), TRUE);
	assert_int_equal(nvmed_pread(r.handle, page, 4096, 8192), 4096);
	assert_memory_equal(page + 9000 - 8192, "kept", 4);
	rig_close(&r);
}

/* Read-ahead reads what nobody asked for; its errors are nobody's. */
static void errors_ahead_are_nobodys(void **state)
{
	struct rig r = rig_open("loop:ram:4M?fault=status:opcode=2:sf=0x4281:lba=40:blocks=8", 0, 0, 0);
	unsigned char buf[4096];

	for (int i = 0; i < 5; i++)
		assert_int_equal(nvmed_read(r.handle, buf, 4096), 4096);
	assert_fails(nvmed_read(r.handle, buf, 4096), EIO);
	assert_int_equal(nvmed_lseek(r.handle, 4096, SEEK_CUR), 6 * 4096);
	assert_int_equal(nvmed_read(r.handle, buf, 4096), 4096);
	rig_close(&r);
}

/* A stream is read ahead: far fewer reads of the drive than pages. */
static void streams_are_read_ahead(void **state)
{
	struct rig r = rig_open("loop:ram:4M?fault=status:opcode=2:sf=0x4281:skip=80", 0, 0, 0);
	unsigned char buf[4096];

	for (int i = 0; i < 1024; i++)
		assert_int_equal(nvmed_read(r.handle, buf, 4096), 4096);
	rig_close(&r);
}

/* Adjacent dirty pages are written together. */
static void neighbours_are_written_together(void **state)
{
	struct rig r = rig_open("loop:ram:4M?fault=status:opcode=1:sf=0x4280:skip=16", 0, 0, 0);
	static unsigned char buf[MIB];

	assert_int_equal(nvmed_write(r.handle, buf, MIB), MIB);
	assert_int_equal(nvmed_flush(r.handle), 0);
	rig_close(&r);
}

/* A drive that goes away: errors, no hang, and closing works. */
static void a_drive_that_goes(void **state)
{
	struct rig r = rig_open("loop:ram:4M?fault=remove:opcode=1", 0, 0, 0);
	unsigned char buf[4096] = { 0 };

	assert_int_equal(nvmed_pwrite(r.handle, buf, 4096, 0), 4096);
	assert_fails(nvmed_flush(r.handle), ENODEV);
	assert_int_equal(nvmed_pread(r.handle, buf, 4096, 0), 4096); /* still held */
	assert_fails(nvmed_pread(r.handle, buf, 4096, 8192), ENODEV);
	assert_int_equal(nvmed_handle_destroy(r.handle), -NVMED_FAULT);
	assert_int_equal(nvmed_queue_destroy(r.queue), 0);
	assert_int_equal(nvmed_close(r.nvmed), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_anywhere),
		cmocka_unit_test_setup_teardown(when_data_reaches_the_drive, setup, teardown),
		cmocka_unit_test_setup_teardown(all_ways_see_the_same, setup, teardown),
		cmocka_unit_test(the_least_recently_used_page_goes),
		cmocka_unit_test(the_cache_is_resized),
		cmocka_unit_test(a_failed_write_back_is_told_and_made_good),
		cmocka_unit_test(errors_ahead_are_nobodys),
		cmocka_unit_test(streams_are_read_ahead),
		cmocka_unit_test(neighbours_are_written_together),
		cmocka_unit_test(a_drive_that_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
