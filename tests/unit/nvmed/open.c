/* SPDX-License-Identifier: BSD-3-Clause */
/* Opening and closing devices, and where a path leads: V1, V2, V17 (what is visible of a device). */
#include "fixture.h"

static char image[256];

static int setup(void **state)
{
	image_make(image, sizeof(image), 8 * MIB);
	unsetenv("NVMED_MAP");
	return 0;
}

static int teardown(void **state)
{
	image_remove(image);
	unsetenv("NVMED_MAP");
	return 0;
}

static void expect_open(const char *path, u64 capacity, int part)
{
	NVMED *nvmed = nvmed_open((char *)(uintptr_t)path, 0);

	if (!nvmed)
		fail_msg("%s: %s", path, nvmed_errmsg());
	assert_int_equal(nvmed->dev_info->capacity, capacity);
	assert_int_equal(nvmed->dev_info->part_no, part);
	assert_string_equal(nvmed->ns_path, path);
	assert_true(fcntl(nvmed->ns_fd, F_GETFD) >= 0);
	assert_int_equal(nvmed_close(nvmed), 0);
}

/* V1: a file, a transport id, a namespace of it. */
static void a_path_leads_to_a_file_or_a_transport_id(void **state)
{
	char text[512];

	expect_open(image, 8 * MIB, 0);
	snprintf(text, sizeof(text), "loop:%s?bs=4096", image);
	expect_open(text, 8 * MIB, 0);
	snprintf(text, sizeof(text), "trtype:LOOP traddr:%s", image);
	expect_open(text, 8 * MIB, 0);
	expect_open("loop:ram:4M", 4 * MIB, 0);
	expect_open("loop:ram:4M?ns=2 nsid:2", 2 * MIB, 0);
}

/* V1: bytes of a file's name that mean something in a drive's short form mean themselves. */
static void a_files_name_is_taken_as_it_is(void **state)
{
	char odd[300];

	snprintf(odd, sizeof(odd), "%s?size=1&100%%", image);
	assert_int_equal(link(image, odd), 0);
	expect_open(odd, 8 * MIB, 0);
	assert_int_equal(unlink(odd), 0);
}

/* V1: names of /dev by the variable, in all their spellings. */
static void the_variable_maps_names(void **state)
{
	char map[512];

	snprintf(map, sizeof(map), "nvme7n2 loop:ram:2M ; nvme0n1 %s; nvme3 loop:ram:6M?ns=3", image);
	setenv("NVMED_MAP", map, 1);
	expect_open("/dev/nvme0n1", 8 * MIB, 0);
	expect_open("/dev/nvmed0n1", 8 * MIB, 0);
	expect_open("/dev/nvme7n2", 2 * MIB, 0);
	expect_open("/dev/nvme3n3", 2 * MIB, 0);
	snprintf(map, sizeof(map), "/dev/nvmed0n1 %s", image);
	setenv("NVMED_MAP", map, 1);
	expect_open("/dev/nvme0n1", 8 * MIB, 0);
}

/* V1: the table as a file. */
static void the_variable_may_name_a_table(void **state)
{
	char table[300];
	FILE *file;

	snprintf(table, sizeof(table), "%s.conf", image);
	file = fopen(table, "w");
	assert_non_null(file);
	fprintf(file, "# drives of this machine\n\n  nvme1n1\tloop:ram:1M \nnvme0n1 %s\n", image);
	fclose(file);
	setenv("NVMED_MAP", table, 1);
	expect_open("/dev/nvme0n1", 8 * MIB, 0);
	expect_open("/dev/nvme1n1", 1 * MIB, 0);
	assert_int_equal(unlink(table), 0);
}

static void put(unsigned char *p, u64 value, int bytes)
{
	for (int i = 0; i < bytes; i++)
		p[i] = (unsigned char)(value >> (8 * i));
}

static void image_write(off_t at, const void *buf, size_t len)
{
	int fd = open(image, O_WRONLY);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, buf, len, at), len);
	close(fd);
}

/* V1: partitions; offsets count from the partition's start, and nothing reaches past its end. */
static void check_partition(const char *path, int part, off_t first, u64 bytes)
{
	struct rig r = rig_open(path, 0, 0, HANDLE_DIRECT_IO);
	unsigned char *buf = nvmed_get_buffer(r.nvmed, 1), got;
	int fd = open(image, O_RDONLY);

	assert_int_equal(r.nvmed->dev_info->capacity, bytes);
	assert_int_equal(r.nvmed->dev_info->start_sect, first / 512);
	assert_int_equal(r.nvmed->dev_info->part_no, part);
	memset(buf, 0xa0 + part, 4096);
	assert_int_equal(nvmed_pwrite(r.handle, buf, 4096, (off_t)bytes - 512), 512);
	assert_fails(nvmed_pwrite(r.handle, buf, 512, (off_t)bytes), ENOSPC);
	assert_int_equal(nvmed_flush(r.handle), 0);
	assert_int_equal(pread(fd, &got, 1, first + (off_t)bytes - 512), 1);
	assert_int_equal(got, 0xa0 + part);
	assert_int_equal(pread(fd, &got, 1, first + (off_t)bytes), 1);
	assert_int_equal(got, 0);
	close(fd);
	nvmed_put_buffer(buf);
	rig_close(&r);
}

static void partitions_of_mbr_and_gpt(void **state)
{
	unsigned char mbr[512] = { 0 }, header[512] = { 0 }, entries[512] = { 0 };
	char map[300];

	setenv("NVMED_MAP", image, 1); /* a table without any entry */
	assert_null(nvmed_open((char *)(uintptr_t)"/dev/nvme0n1p1", 0));
	snprintf(map, sizeof(map), "nvme0n1 %s", image);
	setenv("NVMED_MAP", map, 1);
	assert_null(nvmed_open((char *)(uintptr_t)"/dev/nvme0n1p1", 0));
	assert_int_equal(errno, ENODEV);

	put(mbr + 510, 0xaa55, 2);
	mbr[446 + 4] = 0x83;
	put(mbr + 446 + 8, 3, 4);
	put(mbr + 446 + 12, 2049, 4);
	mbr[446 + 16 + 4] = 0x83;
	put(mbr + 446 + 16 + 8, 16000, 4);
	put(mbr + 446 + 16 + 12, 2000, 4); /* beyond the end */
	image_write(0, mbr, sizeof(mbr));
	check_partition("/dev/nvme0n1p1", 1, 3 * 512, 2049 * 512);
	assert_null(nvmed_open((char *)(uintptr_t)"/dev/nvme0n1p2", 0));
	assert_int_equal(errno, EINVAL);
	assert_null(nvmed_open((char *)(uintptr_t)"/dev/nvme0n1p3", 0));
	assert_int_equal(errno, ENODEV);
	assert_null(nvmed_open((char *)(uintptr_t)"/dev/nvme0n1p5", 0));
	assert_int_equal(errno, ENODEV);

	mbr[446 + 4] = 0xee;
	image_write(0, mbr, sizeof(mbr));
	memcpy(header, "EFI PART", 8);
	put(header + 72, 2, 8);
	put(header + 80, 8, 4);
	put(header + 84, 128, 4);
	image_write(512, header, sizeof(header));
	entries[128] = 1; /* the type */
	put(entries + 128 + 32, 4096, 8);
	put(entries + 128 + 40, 8191, 8);
	image_write(1024, entries, sizeof(entries));
	check_partition("/dev/nvmed0n1p2", 2, 4096 * 512, 4096 * 512);
	assert_null(nvmed_open((char *)(uintptr_t)"/dev/nvme0n1p1", 0));
	assert_null(nvmed_open((char *)(uintptr_t)"/dev/nvme0n1p9", 0));
	put(header + 84, 1 << 30, 4);
	image_write(512, header, sizeof(header));
	assert_null(nvmed_open((char *)(uintptr_t)"/dev/nvme0n1p2", 0));
	assert_int_equal(errno, EINVAL);
}

/* V1: NULL on error, errno set, and words that name what to do. */
static void what_cannot_be_opened_says_why(void **state)
{
	static const struct {
		const char *path;
		int flags;
		int err;
		const char *words;
	} cases[] = {
		{ NULL, 0, EINVAL, "NULL" },
		{ "", 0, EINVAL, "empty" },
		{ "loop:ram:1M", 8, EINVAL, "flags 0x8" },
		{ "loop:ram:1M", NVMED_CACHE_SIZE, EINVAL, "flags 0x2" },
		{ "/nonexistent/disk.img", 0, ENOENT, "truncate" },
		{ "/tmp", 0, EISDIR, "directory" },
		{ "/dev/nvme0n1", 0, ENODEV, "/etc/nvmed.conf" },
		{ "/dev/nvme0n1", 0, ENODEV, "NVMED_MAP" },
		{ "/dev/nvme0n0", 0, EINVAL, "form" },
		{ "/dev/nvmeXn1", 0, EINVAL, "form" },
		{ "/dev/nvme0n1p0", 0, EINVAL, "form" },
		{ "/dev/nvme0n1px", 0, EINVAL, "form" },
		{ "/dev/nvme99999999999n1", 0, EINVAL, "form" },
		{ "loop:ram:1M nsid:2", 0, ENODEV, "namespace 2" },
		{ "loop:ram:1M nsid:x", 0, EINVAL, "number" },
		{ "loop:ram:1M nsid:0", 0, EINVAL, "number" },
		{ "loop:ram:1M?nokey=1", 0, EINVAL, "nokey" },
		{ "trtype:nothing traddr:x", 0, EINVAL, "nothing" },
		{ "0000:ff:1f.7", 0, ENODEV, "ff:1f.7" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		errno = 0;
		assert_null(nvmed_open((char *)(uintptr_t)cases[i].path, cases[i].flags));
		if (errno != cases[i].err)
			fail_msg("%s: errno %d, not %d: %s", cases[i].path, errno, cases[i].err, nvmed_errmsg());
		assert_words(cases[i].words);
	}
}

static void a_bad_table_is_told(void **state)
{
	setenv("NVMED_MAP", "nvme0n1", 1);
	assert_null(nvmed_open((char *)(uintptr_t)"/dev/nvme0n1", 0));
	assert_int_equal(errno, EINVAL);
	assert_words("NVMED_MAP");
	assert_words("/etc/nvmed.conf");
	setenv("NVMED_MAP", "sda loop:ram:1M", 1);
	assert_null(nvmed_open((char *)(uintptr_t)"/dev/nvme0n1", 0));
	assert_int_equal(errno, EINVAL);
	setenv("NVMED_MAP", "/nonexistent.conf", 1);
	assert_null(nvmed_open((char *)(uintptr_t)"/dev/nvme0n1", 0));
	assert_int_equal(errno, ENOENT);
	assert_words("NVMED_MAP");
}

/* V2 */
static void close_wants_a_device_without_queues(void **state)
{
	struct rig r = rig_open(image, 0, 0, 0);
	int files;

	assert_int_equal(nvmed_close(NULL), -NVMED_NOENTRY);
	assert_int_equal(nvmed_close(r.nvmed), -NVMED_FAULT);
	assert_int_equal(nvmed_handle_destroy(r.handle), 0);
	assert_int_equal(nvmed_close(r.nvmed), -NVMED_FAULT);
	assert_int_equal(nvmed_queue_destroy(r.queue), 0);
	assert_int_equal(nvmed_close(r.nvmed), 0);
	assert_int_equal(nvmed_close(r.nvmed), -NVMED_NOENTRY);
	files = unit_open_files();
	for (int i = 0; i < 3; i++) {
		r = rig_open(image, 0, 0, 0);
		rig_close(&r);
	}
	assert_int_equal(unit_open_files(), files);
}

/* V16: values are those of the published headers. */
static void result_codes_have_their_values(void **state)
{
	assert_int_equal(NVMED_SUCCESS, 0);
	assert_int_equal(NVMED_FAULT, 1);
	assert_int_equal(NVMED_NOENTRY, 2);
	assert_int_equal(NVMED_EXCEEDLIMIT, 3);
	assert_int_equal(NVMED_NOPERM, 4);
	assert_int_equal(NVMED_OVERQUOTA, 5);
	assert_int_equal(NVMED_INVALID, 6);
	assert_int_equal(NVMED_NO_CACHE, 1);
	assert_int_equal(NVMED_CACHE_SIZE, 2);
	assert_int_equal(NVMED_CACHE_LAZY_INIT, 4);
	assert_int_equal(QUEUE_MANUAL_COMPLETION, 1);
	assert_int_equal(QUEUE_INTERRUPT, 2);
	assert_int_equal(QUEUE_MANUAL_CQ, 3);
	assert_int_equal(HANDLE_DIRECT_IO, 1);
	assert_int_equal(HANDLE_SYNC_IO, 2);
	assert_int_equal(HANDLE_HINT_DMEM, 4);
	assert_int_equal(HANDLE_MQ, 8);
	assert_int_equal(HANDLE_INTERRUPT, 16);
	assert_int_equal(NVMED_AIO_QUEUED, 0);
	assert_int_equal(NVMED_AIO_ERROR, -1);
	assert_int_equal(AIO_INIT, 0);
	assert_int_equal(AIO_PROCESS, 2);
	assert_int_equal(AIO_COMPLETE, 4);
	assert_int_equal(PAGE_SIZE, 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_path_leads_to_a_file_or_a_transport_id, setup, teardown),
		cmocka_unit_test_setup_teardown(a_files_name_is_taken_as_it_is, setup, teardown),
		cmocka_unit_test_setup_teardown(the_variable_maps_names, setup, teardown),
		cmocka_unit_test_setup_teardown(the_variable_may_name_a_table, setup, teardown),
		cmocka_unit_test_setup_teardown(partitions_of_mbr_and_gpt, setup, teardown),
		cmocka_unit_test_setup_teardown(what_cannot_be_opened_says_why, setup, teardown),
		cmocka_unit_test_setup_teardown(a_bad_table_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(close_wants_a_device_without_queues, setup, teardown),
		cmocka_unit_test(result_codes_have_their_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
