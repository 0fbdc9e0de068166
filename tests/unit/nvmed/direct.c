/* SPDX-License-Identifier: BSD-3-Clause */
/* Direct I/O and what belongs to it, on both block sizes: V3, V4, V6, V7, V8, V9, V10, V11, and drives that fail. */
#include "fixture.h"

#include <limits.h>

#define SIZE (4 * MIB)

static const char *const drives[] = { "loop:ram:4M", "loop:ram:4M?bs=4096", "loop:ram:4M?iommu=1", "loop:ram:4M?poll=thread" };

/* V9 */
static void what_was_written_is_read(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(drives); i++) {
		struct rig r = rig_open(drives[i], 0, 0, HANDLE_DIRECT_IO | HANDLE_HINT_DMEM);
		unsigned char *out = nvmed_get_buffer(r.nvmed, 1024), *in = nvmed_get_buffer(r.nvmed, 1024);

		pattern_fill(out, SIZE, 3);
		assert_int_equal(nvmed_write(r.handle, out, SIZE), SIZE);
		assert_int_equal(nvmed_lseek(r.handle, 0, SEEK_CUR), SIZE);
		assert_int_equal(nvmed_read(r.handle, in, SIZE), 0);
		assert_fails(nvmed_write(r.handle, in, 4096), ENOSPC);
		assert_int_equal(nvmed_lseek(r.handle, 0, SEEK_SET), 0);
		assert_int_equal(nvmed_read(r.handle, in, SIZE), SIZE);
		assert_memory_equal(in, out, SIZE);
		memset(in, 0, SIZE);
		assert_int_equal(nvmed_pread(r.handle, in, 8192, 4096 * 3), 8192);
		assert_memory_equal(in, out + 4096 * 3, 8192);
		assert_int_equal(nvmed_lseek(r.handle, 0, SEEK_CUR), SIZE);
		assert_int_equal(nvmed_pwrite(r.handle, out, 4096, 4096 * 5), 4096);
		assert_int_equal(nvmed_pread(r.handle, in, 4096 * 2, 4096 * 5), 8192);
		assert_memory_equal(in, out, 4096);
		assert_memory_equal(in + 4096, out + 4096 * 6, 4096);
		assert_int_equal(nvmed_flush(r.handle), 0);
		nvmed_put_buffer(in);
		nvmed_put_buffer(out);
		rig_close(&r);
	}
}

/* V9: never past the end; lengths of 2^32 and more are cut there, too. */
static void the_end_of_the_device_cuts(void **state)
{
	struct rig r = rig_open("loop:ram:4M", 0, 0, HANDLE_DIRECT_IO);
	unsigned char *buf = nvmed_get_buffer(r.nvmed, 1024);

	assert_int_equal(nvmed_pread(r.handle, buf, 4096, SIZE - 512), 512);
	assert_int_equal(nvmed_pwrite(r.handle, buf, 4096, SIZE - 1024), 1024);
	assert_int_equal(nvmed_pread(r.handle, buf, 1ul << 32, 0), SIZE);
	assert_int_equal(nvmed_pread(r.handle, buf, (1ul << 40) + 512, 512), SIZE - 512);
	assert_int_equal(nvmed_pread(r.handle, buf, 512, SIZE), 0);
	assert_int_equal(nvmed_pread(r.handle, buf, 0, 0), 0);
	assert_int_equal(nvmed_pwrite(r.handle, buf, 0, 0), 0);
	nvmed_put_buffer(buf);
	rig_close(&r);
}

/* V9: unpinned buffers, of any alignment, are allowed. */
static void any_buffer_will_do(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(drives); i++) {
		struct rig r = rig_open(drives[i], 0, 0, HANDLE_DIRECT_IO);
		unsigned char *out = malloc(3 * 4096 + 1), *in = malloc(3 * 4096 + 1);

		pattern_fill(out, 3 * 4096 + 1, 9);
		assert_int_equal(nvmed_pwrite(r.handle, out + 1, 3 * 4096, 4096), 3 * 4096);
		assert_int_equal(nvmed_pread(r.handle, in + 1, 3 * 4096, 4096), 3 * 4096);
		assert_memory_equal(in + 1, out + 1, 3 * 4096);
		free(out);
		free(in);
		rig_close(&r);
	}
}

/* V8, V9, V11: what is refused, and with which errno. */
static void misaligned_and_out_of_range_is_refused(void **state)
{
	for (size_t i = 0; i < 2; i++) {
		struct rig r = rig_open(drives[i], 0, 0, HANDLE_DIRECT_IO);
		unsigned char buf[4096];

		assert_fails(nvmed_pread(r.handle, buf, 100, 0), EINVAL);
		assert_words("block");
		assert_fails(nvmed_pread(r.handle, buf, 512, 100), EINVAL);
		assert_fails(nvmed_pwrite(r.handle, buf, 511, 0), EINVAL);
		assert_fails(nvmed_pread(r.handle, buf, 512, -512), EINVAL);
		assert_fails(nvmed_pread(r.handle, buf, 4096, SIZE + 4096), EINVAL);
		assert_fails(nvmed_pwrite(r.handle, buf, 4096, LLONG_MAX - 4095), EINVAL);
		assert_fails(nvmed_pread(r.handle, NULL, 4096, 0), EINVAL);
		assert_fails(nvmed_read(r.handle, NULL, 4096), EINVAL);
		assert_fails(nvmed_lseek(r.handle, 100, SEEK_SET), EINVAL);
		assert_fails(nvmed_discard(r.handle, 100, 4096), EINVAL);
		assert_fails(nvmed_discard(r.handle, 0, 100), EINVAL);
		assert_fails(nvmed_discard(r.handle, SIZE, 4096), EINVAL);
		assert_fails(nvmed_discard(r.handle, ULONG_MAX & ~4095ul, 8192), EINVAL);
		assert_fails(nvmed_discard(r.handle, 0, 0u - 4096), EINVAL);
		assert_int_equal(nvmed_discard(r.handle, SIZE, 0), 0);
		rig_close(&r);
	}
}

/* V8: END is the size minus the offset; the whole range of off_t is answered. */
static void lseek_table(void **state)
{
	static const struct {
		off_t offset;
		int whence;
		off_t want; /* -1: errno is `err` */
		int err;
	} cases[] = {
		{ 4096, SEEK_SET, 4096, 0 },
		{ 4096, SEEK_CUR, 8192, 0 },
		{ -8192, SEEK_CUR, 0, 0 },
		{ -1, SEEK_CUR, -1, EINVAL },
		{ 0, SEEK_END, SIZE, 0 },
		{ 512, SEEK_END, SIZE - 512, 0 },
		{ SIZE, SEEK_END, 0, 0 },
		{ SIZE + 512, SEEK_END, -1, EINVAL },
		{ -512, SEEK_END, -1, EINVAL },
		{ LLONG_MIN, SEEK_END, -1, EOVERFLOW },
		{ LLONG_MIN, SEEK_CUR, -1, EINVAL },
		{ LLONG_MAX, SEEK_CUR, -1, EINVAL },
		{ LLONG_MAX, SEEK_SET, -1, EINVAL },
		{ SIZE, SEEK_SET, SIZE, 0 },
		{ LLONG_MAX, SEEK_CUR, -1, EOVERFLOW },
		{ 0, 3, -1, EINVAL },
		{ 0, -1, -1, EINVAL },
		{ 512, SEEK_SET, 512, 0 },
	};
	struct rig r = rig_open("loop:ram:4M", 0, 0, HANDLE_DIRECT_IO);

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		errno = 0;
		if (nvmed_lseek(r.handle, cases[i].offset, cases[i].whence) != cases[i].want || errno != cases[i].err)
			fail_msg("case %zu: errno %d", i, errno);
	}
	rig_close(&r);
}

/* V3 */
static void queues_have_their_end(void **state)
{
	NVMED *nvmed = nvmed_open((char *)(uintptr_t)"loop:ram:4M?queues=3", 0);
	NVMED_QUEUE *q[4];
	NVMED_HANDLE *h;

	assert_null(nvmed_queue_create(NULL, 0));
	assert_null(nvmed_queue_create(nvmed, 4));
	assert_int_equal(errno, EINVAL);
	q[0] = nvmed_queue_create(nvmed, 0);
	q[1] = nvmed_queue_create(nvmed, QUEUE_MANUAL_CQ);
	q[2] = nvmed_queue_create(nvmed, QUEUE_INTERRUPT);
	assert_non_null(q[0]);
	assert_non_null(q[1]);
	assert_non_null(q[2]);
	assert_ptr_equal(QtoD(q[1]), nvmed);
	assert_int_equal(q[1]->flags, QUEUE_MANUAL_COMPLETION | QUEUE_INTERRUPT);
	assert_true(q[0]->qid != q[1]->qid && q[1]->qid != q[2]->qid && q[0]->q_depth);
	q[3] = nvmed_queue_create(nvmed, 0);
	assert_null(q[3]);
	assert_int_equal(errno, ENOSPC);
	h = nvmed_handle_create(q[0], 0);
	assert_int_equal(nvmed_queue_destroy(q[0]), -NVMED_FAULT);
	assert_int_equal(nvmed_handle_destroy(h), 0);
	assert_int_equal(nvmed_queue_destroy(q[0]), 0);
	assert_int_equal(nvmed_queue_destroy(q[0]), -NVMED_NOENTRY);
	assert_null(nvmed_handle_create(q[0], 0));
	assert_int_equal(nvmed_queue_destroy(NULL), -NVMED_NOENTRY);
	q[0] = nvmed_queue_create(nvmed, 0);
	assert_non_null(q[0]);
	for (int i = 0; i < 3; i++)
		assert_int_equal(nvmed_queue_destroy(q[i]), 0);
	assert_int_equal(nvmed_close(nvmed), 0);
}

/* V4, V6 */
static void interrupt_handles_want_interrupt_queues(void **state)
{
	struct rig r = rig_open("loop:ram:4M", NVMED_NO_CACHE, 0, 0), i;
	unsigned char buf[4096];

	assert_null(nvmed_handle_create(r.queue, HANDLE_INTERRUPT));
	assert_int_equal(errno, EINVAL);
	assert_null(nvmed_handle_create(r.queue, HANDLE_MQ));
	assert_null(nvmed_handle_create(r.queue, 32));
	assert_null(nvmed_handle_create(NULL, 0));
	assert_int_equal(nvmed_handle_feature_set(r.handle, HANDLE_INTERRUPT, TRUE), -NVMED_INVALID);
	assert_int_equal(nvmed_handle_feature_set(r.handle, HANDLE_INTERRUPT, FALSE), FALSE);
	assert_int_equal(nvmed_handle_feature_get(r.handle, HANDLE_INTERRUPT), FALSE);
	rig_close(&r);
	i = rig_open("loop:ram:4M?poll=thread&fault=delay:us=20000:opcode=2", 0, QUEUE_INTERRUPT, HANDLE_DIRECT_IO | HANDLE_INTERRUPT);
	assert_int_equal(nvmed_handle_feature_get(i.handle, HANDLE_INTERRUPT), TRUE);
	assert_int_equal(nvmed_pread(i.handle, buf, 4096, 0), 4096);
	assert_int_equal(nvmed_handle_feature_set(i.handle, HANDLE_INTERRUPT, FALSE), FALSE);
	assert_int_equal(nvmed_pread(i.handle, buf, 4096, 0), 4096);
	assert_int_equal(nvmed_handle_feature_set(i.handle, HANDLE_INTERRUPT, TRUE), TRUE);
	rig_close(&i);
}

/* V6 */
static void features_table(void **state)
{
	static const int features[] = { HANDLE_SYNC_IO, HANDLE_HINT_DMEM };
	static const int none[] = { 0, HANDLE_MQ, 32, -1, HANDLE_SYNC_IO | HANDLE_HINT_DMEM };
	struct rig r = rig_open("loop:ram:4M", NVMED_NO_CACHE, 0, 0);

	for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
		assert_int_equal(nvmed_handle_feature_get(r.handle, features[i]), FALSE);
		assert_int_equal(nvmed_handle_feature_set(r.handle, features[i], 17), TRUE);
		assert_int_equal(nvmed_handle_feature_get(r.handle, features[i]), TRUE);
		assert_int_equal(nvmed_handle_feature_set(r.handle, features[i], FALSE), FALSE);
		assert_int_equal(nvmed_handle_feature_get(r.handle, features[i]), FALSE);
	}
	for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
		assert_int_equal(nvmed_handle_feature_set(r.handle, none[i], TRUE), -NVMED_INVALID);
		assert_int_equal(nvmed_handle_feature_get(r.handle, none[i]), -NVMED_INVALID);
	}
	assert_int_equal(nvmed_handle_feature_get(r.handle, HANDLE_DIRECT_IO), TRUE);
	assert_int_equal(nvmed_handle_feature_set(r.handle, HANDLE_DIRECT_IO, FALSE), -NVMED_INVALID);
	rig_close(&r);
}

/* V4, V16: NULL and destroyed handles are told from live ones by every function. */
static void no_handle_no_service(void **state)
{
	struct rig r = rig_open("loop:ram:4M", 0, 0, HANDLE_DIRECT_IO);
	unsigned char buf[4096];
	NVMED_HANDLE *gone = nvmed_handle_create(r.queue, 0), *h[2];

	assert_int_equal(nvmed_handle_destroy(gone), 0);
	h[0] = NULL;
	h[1] = gone;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(nvmed_handle_destroy(h[i]), -NVMED_NOENTRY);
		assert_int_equal(nvmed_handle_destroy_mq(h[i]), -NVMED_NOENTRY);
		assert_fails(nvmed_read(h[i], buf, 4096), EINVAL);
		assert_fails(nvmed_write(h[i], buf, 4096), EINVAL);
		assert_fails(nvmed_pread(h[i], buf, 4096, 0), EINVAL);
		assert_fails(nvmed_pwrite(h[i], buf, 4096, 0), EINVAL);
		assert_fails(nvmed_lseek(h[i], 0, SEEK_SET), EINVAL);
		assert_fails(nvmed_flush(h[i]), EINVAL);
		assert_fails(nvmed_discard(h[i], 0, 4096), EINVAL);
		assert_int_equal(nvmed_handle_feature_get(h[i], HANDLE_DIRECT_IO), -NVMED_INVALID);
		assert_int_equal(nvmed_handle_feature_set(h[i], HANDLE_DIRECT_IO, 1), -NVMED_INVALID);
	}
	rig_close(&r);
}

/* V7 */
static void buffers_are_pages_of_zeros(void **state)
{
	static const unsigned char zeros[4096];
	struct rig r = rig_open("loop:ram:4M", 0, 0, HANDLE_DIRECT_IO);
	unsigned char *buf = nvmed_get_buffer(r.nvmed, 3), foreign[64];

	assert_non_null(buf);
	assert_int_equal((uintptr_t)buf % 4096, 0);
	for (int i = 0; i < 3; i++)
		assert_memory_equal(buf + i * 4096, zeros, 4096);
	memset(buf, 1, 3 * 4096);
	nvmed_put_buffer(buf);
	errno = 0;
	nvmed_put_buffer(NULL);
	assert_int_equal(errno, 0);
	nvmed_put_buffer(buf);
	assert_int_equal(errno, EINVAL);
	errno = 0;
	nvmed_put_buffer(foreign);
	assert_int_equal(errno, EINVAL);
	buf = nvmed_get_buffer(r.nvmed, 3);
	for (int i = 0; i < 3; i++)
		assert_memory_equal(buf + i * 4096, zeros, 4096);
	assert_null(nvmed_get_buffer(r.nvmed, 0));
	assert_int_equal(errno, EINVAL);
	assert_null(nvmed_get_buffer(NULL, 1));
	assert_null(nvmed_get_buffer(r.nvmed, UINT_MAX));
	assert_int_equal(errno, ENOMEM);
	rig_close(&r); /* a buffer that was not put back goes with the device */
}

/* V11 */
static void what_was_discarded_reads_as_zeros(void **state)
{
	static const unsigned char zeros[8192];

	for (size_t i = 0; i < 2; i++) {
		struct rig r = rig_open(drives[i], 0, 0, HANDLE_DIRECT_IO);
		unsigned char *buf = nvmed_get_buffer(r.nvmed, 4);

		memset(buf, 7, 4 * 4096);
		assert_int_equal(nvmed_pwrite(r.handle, buf, 4 * 4096, 0), 4 * 4096);
		assert_int_equal(nvmed_discard(r.handle, 4096, 8192), 0);
		assert_int_equal(nvmed_pread(r.handle, buf, 4 * 4096, 0), 4 * 4096);
		assert_int_equal(buf[4095], 7);
		assert_memory_equal(buf + 4096, zeros, 8192);
		assert_int_equal(buf[12288], 7);
		rig_close(&r);
	}
}

/* V9, V10, V11: the drive's own errors arrive, as -1 and errno. */
static void errors_of_the_drive_arrive(void **state)
{
	static const struct {
		const char *drive;
		int read_err, write_err, flush_err, discard_err; /* 0: goes well */
	} cases[] = {
		{ "loop:ram:4M?fault=status:opcode=2:sf=0x281", EIO, 0, 0, 0 },
		{ "loop:ram:4M?fault=status:opcode=1:sf=0x280", 0, EIO, 0, 0 },
		{ "loop:ram:4M?vwc=1&fault=status:opcode=0:sf=0x4006", 0, 0, EIO, 0 },
		{ "loop:ram:4M?fault=status:opcode=9:sf=0x4006", 0, 0, 0, EIO },
		{ "loop:ram:4M?fault=remove:opcode=2", ENODEV, ENODEV, ENODEV, ENODEV },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct rig r = rig_open(cases[i].drive, 0, 0, HANDLE_DIRECT_IO);
		unsigned char buf[4096] = { 0 };

		for (int op = 0; op < 4; op++) {
			int want[] = { cases[i].read_err, cases[i].write_err, cases[i].flush_err, cases[i].discard_err };
			ssize_t n;

			errno = 0;
			n = op == 0   ? nvmed_pread(r.handle, buf, 4096, 0)
			    : op == 1 ? nvmed_pwrite(r.handle, buf, 4096, 0)
			    : op == 2 ? nvmed_flush(r.handle)
				      : nvmed_discard(r.handle, 0, 4096);
			if ((n == -1) != !!want[op] || (want[op] && errno != want[op]))
				fail_msg("%s: op %d: %zd, errno %d: %s", cases[i].drive, op, n, errno, nvmed_errmsg());
		}
		assert_int_equal(nvmed_handle_destroy(r.handle), cases[i].flush_err ? -NVMED_FAULT : 0);
		assert_int_equal(nvmed_handle_destroy(r.handle), -NVMED_NOENTRY);
		assert_int_equal(nvmed_queue_destroy(r.queue), 0);
		assert_int_equal(nvmed_close(r.nvmed), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_written_is_read),
		cmocka_unit_test(the_end_of_the_device_cuts),
		cmocka_unit_test(any_buffer_will_do),
		cmocka_unit_test(misaligned_and_out_of_range_is_refused),
		cmocka_unit_test(lseek_table),
		cmocka_unit_test(queues_have_their_end),
		cmocka_unit_test(interrupt_handles_want_interrupt_queues),
		cmocka_unit_test(features_table),
		cmocka_unit_test(no_handle_no_service),
		cmocka_unit_test(buffers_are_pages_of_zeros),
		cmocka_unit_test(what_was_discarded_reads_as_zeros),
		cmocka_unit_test(errors_of_the_drive_arrive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
