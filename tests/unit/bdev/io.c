/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading and writing: data, zeros, every return code of a submit, and what an op may say. B3, B4, X1, X5, Z2, Z4, Z14. */
#include "support.h"

#include <limits.h>

#define BLOCK  512u
#define BLOCKS 64u

/* X5: 1 MiB in blocks of 4096. */
static void a_malloc_device_gives_back_what_was_written(void **state)
{
	struct fixture *f = *state;
	unsigned char *buf = malloc(4096);
	struct disk d;

	assert_non_null(buf);
	make_malloc(f, "m", 4096, (1 << 20) / 4096);
	d = disk_open(f, "m", NVIO_BDEV_WRITE);
	assert_ok(do_read(&d, buf, 0, 4096));
	assert_true(all_bytes_are(buf, 0, 4096));
	memset(buf, 0xab, 4096);
	assert_ok(do_write(&d, buf, 4096, 4096));
	memset(buf, 0, 4096);
	assert_ok(do_read(&d, buf, 4096, 4096));
	assert_true(all_bytes_are(buf, 0xab, 4096));
	assert_ok(do_read(&d, buf, 8192, 4096));
	assert_true(all_bytes_are(buf, 0, 4096));
	disk_close(&d);
	free(buf);
}

/* X5: "test0", 512 x 1024. */
static void a_null_device_has_its_size_and_swallows_writes(void **state)
{
	struct fixture *f = *state;
	unsigned char buf[1024];
	struct disk d;

	make_null(f, "test0", 512, 1024);
	d = disk_open(f, "test0", NVIO_BDEV_WRITE);
	assert_int_equal(nvio_bdev_size_bytes(d.bdev), 512 * 1024);
	memset(buf, 0x5a, sizeof(buf));
	assert_ok(do_write(&d, buf, 512, sizeof(buf)));
	assert_ok(do_read(&d, buf, 512, sizeof(buf)));
	assert_true(all_bytes_are(buf, 0, sizeof(buf)));
	disk_close(&d);
}

/* X5, B4, Z14. */
static void null_reads_zeros_into_a_dirty_buffer_unless_told_not_to(void **state)
{
	struct nvio_bdev_null_opts o;
	struct fixture *f = *state;

	for (int untouched = 0; untouched < 2; untouched++) {
		unsigned char buf[2048];
		struct iovec iov[3] = { { buf, 100 }, { buf + 200, 0 }, { buf + 200, 412 + 100 } };
		struct nvio_op op = NVIO_OP(NULL);
		struct disk d;

		nvio_bdev_null_opts_init(&o);
		o.name = untouched ? "untouched" : "zeros";
		o.num_blocks = 1024;
		o.untouched_reads = untouched;
		assert_ok(nvio_bdev_null_create(f->env, &o));
		d = disk_open(f, o.name, 0);
		memset(buf, 0xee, sizeof(buf));
		assert_ok(do_read(&d, buf, 0, 1024));
		assert_true(all_bytes_are(buf, untouched ? 0xee : 0, 1024));
		assert_true(all_bytes_are(buf + 1024, 0xee, 1024));
		memset(buf, 0xee, sizeof(buf));
		assert_ok(nvio_await(nvio_bdev_readv(d.desc, d.ch, iov, 3, 0, 512, &op), &op));
		assert_true(all_bytes_are(buf, untouched ? 0xee : 0, 100));
		assert_true(all_bytes_are(buf + 100, 0xee, 100));
		assert_true(all_bytes_are(buf + 200, untouched ? 0xee : 0, 412));
		assert_true(all_bytes_are(buf + 612, 0xee, 100)); /* what is more than the length */
		disk_close(&d);
	}
}

enum call { READ, WRITE, READV, WRITEV, ZEROES, UNMAP, FLUSH };

static int submit(struct disk *d, enum call call, void *buf, struct iovec *iov, int iovcnt, uint64_t offset,
	uint64_t len, struct nvio_op *op)
{
	switch (call) {
	case READ: return nvio_bdev_read(d->desc, d->ch, buf, offset, len, op);
	case WRITE: return nvio_bdev_write(d->desc, d->ch, buf, offset, len, op);
	case READV: return nvio_bdev_readv(d->desc, d->ch, iov, iovcnt, offset, len, op);
	case WRITEV: return nvio_bdev_writev(d->desc, d->ch, iov, iovcnt, offset, len, op);
	case ZEROES: return nvio_bdev_write_zeroes(d->desc, d->ch, offset, len, op);
	case UNMAP: return nvio_bdev_unmap(d->desc, d->ch, offset, len, op);
	default: return nvio_bdev_flush(d->desc, d->ch, op);
	}
}

#define SIZE ((uint64_t)BLOCK * BLOCKS)

/* B3, Z2, Z4: what is wrong is refused with its own code, and the op is untouched. */
static void ranges_are_checked_alike_in_every_call(void **state)
{
	static const struct {
		uint64_t offset, len;
		int rc;
	} cases[] = {
		{ 0, BLOCK, 0 },
		{ 0, SIZE, 0 },
		{ SIZE - BLOCK, BLOCK, 0 },
		{ 0, 0, -EINVAL },
		{ SIZE, 0, -EINVAL },
		{ 1, BLOCK, -EINVAL },
		{ 0, 1, -EINVAL },
		{ 0, BLOCK + 1, -EINVAL },
		{ BLOCK / 2, BLOCK / 2, -EINVAL },
		{ UINT64_MAX, 1, -EINVAL },
		{ UINT64_MAX, UINT64_MAX, -EINVAL },
		{ 0, UINT64_MAX, -EINVAL },
		{ SIZE, BLOCK, -ERANGE },
		{ SIZE - BLOCK, 2 * BLOCK, -ERANGE },
		{ 0, SIZE + BLOCK, -ERANGE },
		{ BLOCK, SIZE, -ERANGE },
		{ 0, UINT64_MAX - BLOCK + 1, -ERANGE },
		{ BLOCK, UINT64_MAX - BLOCK + 1, -ERANGE },	/* the sum is 0 */
		{ 2 * BLOCK, UINT64_MAX - BLOCK + 1, -ERANGE }, /* the sum wraps to a block */
		{ UINT64_MAX - BLOCK + 1, BLOCK, -ERANGE },
		{ UINT64_MAX - BLOCK + 1, 2 * BLOCK, -ERANGE },
		{ 1ull << 63, 1ull << 63, -ERANGE },
	};
	static unsigned char buf[SIZE];
	struct fixture *f = *state;
	struct disk d;

	make_malloc(f, "m", BLOCK, BLOCKS);
	d = disk_open(f, "m", NVIO_BDEV_WRITE);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (enum call call = READ; call <= UNMAP; call++) {
			/* More room than needed, so that only the range can be at fault. */
			struct iovec iov[2] = { { buf, sizeof(buf) }, { buf, SIZE_MAX } };
			struct nvio_op op = NVIO_OP(NULL);
			struct nvio_op before = op;
			int rc = submit(&d, call, buf, iov, 2, cases[i].offset, cases[i].len, &op);

			if (rc != cases[i].rc)
				fail_msg("call %d case %zu: %d, %d expected: %s", call, i, rc, cases[i].rc,
					nvio_errmsg());
			if (rc)
				assert_memory_equal(&op, &before, sizeof(op));
			else
				assert_ok(nvio_wait(&op));
		}
	disk_close(&d);
}

/* B3: the same in blocks, also where the bytes do not fit into 64 bits. */
static void blocks_are_counted_like_bytes(void **state)
{
	static const struct {
		uint64_t lba, blocks;
		int rc;
	} cases[] = {
		{ 0, 1, 0 },
		{ 3, 5, 0 },
		{ 0, BLOCKS, 0 },
		{ BLOCKS - 1, 1, 0 },
		{ 0, 0, -EINVAL },
		{ BLOCKS, 0, -EINVAL },
		{ BLOCKS, 1, -ERANGE },
		{ BLOCKS - 1, 2, -ERANGE },
		{ 0, UINT64_MAX, -ERANGE },
		{ UINT64_MAX, 1, -ERANGE },
		{ UINT64_MAX, UINT64_MAX, -ERANGE },
		{ UINT64_MAX / BLOCK + 1, 1, -ERANGE }, /* 2^64 bytes */
		{ 0, UINT64_MAX / BLOCK + 2, -ERANGE },
	};
	static unsigned char out[SIZE], in[SIZE];
	struct fixture *f = *state;
	struct disk d;

	make_malloc(f, "m", BLOCK, BLOCKS);
	d = disk_open(f, "m", NVIO_BDEV_WRITE);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t lba = cases[i].lba, blocks = cases[i].blocks;
		struct nvio_op op = NVIO_OP(NULL);

		memset(out, (int)i + 1, sizeof(out));
		assert_int_equal(nvio_await(nvio_bdev_write_blocks(d.desc, d.ch, out, lba, blocks, &op), &op), cases[i].rc);
		assert_int_equal(nvio_await(nvio_bdev_read_blocks(d.desc, d.ch, in, lba, blocks, &op), &op), cases[i].rc);
		if (cases[i].rc)
			continue;
		assert_memory_equal(in, out, blocks * BLOCK);
		assert_ok(do_read(&d, in, lba * BLOCK, blocks * BLOCK));
		assert_memory_equal(in, out, blocks * BLOCK);
	}
	assert_int_equal(nvio_bdev_read_blocks(NULL, d.ch, in, 0, 1, NULL), -EINVAL);
	assert_int_equal(nvio_bdev_write_blocks(d.desc, d.ch, NULL, 0, 1, NULL), -EINVAL);
	disk_close(&d);
}

static void bad_pointers_flags_and_iovecs_are_refused(void **state)
{
	static unsigned char buf[2 * BLOCK];
	static const struct {
		const char *what;
		struct iovec iov[3];
		int iovcnt;
		int rc;
	} cases[] = {
		{ "just right", { { buf, BLOCK } }, 1, 0 },
		{ "in pieces", { { buf, 1 }, { buf + 1, BLOCK - 2 }, { buf, 1 } }, 3, 0 },
		{ "with empty ones", { { NULL, 0 }, { buf, BLOCK }, { NULL, 0 } }, 3, 0 },
		{ "too long", { { buf, BLOCK }, { buf, BLOCK } }, 2, 0 },
		{ "wraps around", { { buf, SIZE_MAX }, { buf, SIZE_MAX }, { buf, 2 } }, 3, 0 },
		{ "one byte short", { { buf, BLOCK - 1 } }, 1, -EINVAL },
		{ "none", { { buf, BLOCK } }, 0, -EINVAL },
		{ "negative", { { buf, BLOCK } }, -1, -EINVAL },
		{ "over 2^20", { { buf, BLOCK } }, (1 << 20) + 1, -EINVAL },
		{ "INT_MIN", { { buf, BLOCK } }, INT_MIN, -EINVAL },
		{ "NULL piece", { { buf, 100 }, { NULL, BLOCK - 100 } }, 2, -EINVAL },
		{ "empty", { { buf, 0 }, { buf, 0 } }, 2, -EINVAL },
	};
	struct nvio_op op = NVIO_OP(NULL);
	struct fixture *f = *state;
	struct disk d, other;

	make_null(f, "n", BLOCK, BLOCKS);
	make_null(f, "other", BLOCK, BLOCKS);
	d = disk_open(f, "n", NVIO_BDEV_WRITE);
	other = disk_open(f, "other", NVIO_BDEV_WRITE);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct iovec iov[3];
		int rc;

		memcpy(iov, cases[i].iov, sizeof(iov));
		/* A read of null would write through the pieces that are longer than they are; writes look at
		 * nothing. */
		rc = nvio_bdev_writev(d.desc, d.ch, iov, cases[i].iovcnt, 0, BLOCK, &op);
		if (rc != cases[i].rc)
			fail_msg("%s: %d, %d expected", cases[i].what, rc, cases[i].rc);
		if (!rc)
			assert_ok(nvio_wait(&op));
		op = (struct nvio_op)NVIO_OP(NULL);
		rc = nvio_bdev_readv(d.desc, d.ch, iov, cases[i].iovcnt, 0, BLOCK, &op);
		assert_int_equal(rc, cases[i].rc);
		if (!rc)
			assert_ok(nvio_wait(&op));
	}
	assert_int_equal(nvio_bdev_readv(d.desc, d.ch, NULL, 1, 0, BLOCK, &op), -EINVAL);
	assert_int_equal(nvio_bdev_read(d.desc, d.ch, NULL, 0, BLOCK, &op), -EINVAL);
	assert_int_equal(nvio_bdev_read(NULL, d.ch, buf, 0, BLOCK, &op), -EINVAL);
	assert_int_equal(nvio_bdev_read(d.desc, NULL, buf, 0, BLOCK, &op), -EINVAL);
	assert_int_equal(nvio_bdev_read(d.desc, d.ch, buf, 0, BLOCK, NULL), -EINVAL);
	assert_int_equal(nvio_bdev_flush(NULL, d.ch, &op), -EINVAL);
	assert_int_equal(nvio_bdev_write_zeroes(d.desc, NULL, 0, BLOCK, &op), -EINVAL);
	assert_int_equal(nvio_bdev_read(d.desc, other.ch, buf, 0, BLOCK, &op), -EINVAL);
	assert_errmsg_has("another device");
	assert_int_equal(nvio_bdev_channel(NULL, &d.ch), -EINVAL);
	assert_int_equal(nvio_bdev_channel(d.desc, NULL), -EINVAL);
	disk_close(&d);
	disk_close(&other);
}

static void flags_without_meaning_are_refused(void **state)
{
	static const struct {
		enum call call;
		uint32_t flags;
		int rc;
	} cases[] = {
		{ READ, NVIO_OP_FUA, -EINVAL },
		{ READV, NVIO_OP_FUA, -EINVAL },
		{ WRITE, NVIO_OP_FUA, 0 },
		{ WRITEV, NVIO_OP_FUA, 0 },
		{ ZEROES, NVIO_OP_FUA, 0 },
		{ UNMAP, NVIO_OP_FUA, -EINVAL },
		{ FLUSH, NVIO_OP_FUA, -EINVAL },
		{ READ, NVIO_OP_LIMITED_RETRY, -EINVAL },
		{ WRITE, NVIO_OP_LIMITED_RETRY, -EINVAL },
		{ READ, NVIO_OP_REAP, -EINVAL },
		{ WRITE, NVIO_OP_FUA | NVIO_OP_REAP, -EINVAL },
		{ WRITE, 1u << 31, -EINVAL },
	};
	static unsigned char buf[BLOCK];
	struct iovec iov = { buf, BLOCK };
	struct fixture *f = *state;
	struct disk d;

	make_malloc(f, "m", BLOCK, BLOCKS);
	d = disk_open(f, "m", NVIO_BDEV_WRITE);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct nvio_op op = NVIO_OP(NULL);

		op.flags = cases[i].flags;
		assert_int_equal(submit(&d, cases[i].call, buf, &iov, 1, 0, BLOCK, &op), cases[i].rc);
		if (!cases[i].rc)
			assert_ok(nvio_wait(&op));
	}
	disk_close(&d);
}

/* B1, X1. */
static void a_read_only_descriptor_only_reads(void **state)
{
	static unsigned char buf[BLOCK];
	struct iovec iov = { buf, BLOCK };
	struct fixture *f = *state;
	struct disk d;

	make_malloc(f, "m", BLOCK, BLOCKS);
	d = disk_open(f, "m", NVIO_BDEV_READ);
	for (enum call call = READ; call <= FLUSH; call++) {
		struct nvio_op op = NVIO_OP(NULL);
		bool reads = call == READ || call == READV || call == FLUSH;

		assert_int_equal(
			nvio_await(submit(&d, call, buf, &iov, 1, 0, BLOCK, &op), &op), reads ? 0 : -EBADF);
	}
	disk_close(&d);
}

static unsigned done_count;

static void count_done(struct nvio_op *op)
{
	done_count++;
}

static void done_runs_in_the_poll_and_once(void **state)
{
	static unsigned char buf[BLOCK];
	struct nvio_op ops[100];
	struct fixture *f = *state;
	struct disk d;

	make_null(f, "n", BLOCK, BLOCKS);
	d = disk_open(f, "n", NVIO_BDEV_WRITE);
	done_count = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(ops); i++) {
		ops[i] = (struct nvio_op)NVIO_OP(count_done);
		ops[i].cpl.answered = 1;
		assert_ok(nvio_bdev_read(d.desc, d.ch, buf, 0, BLOCK, &ops[i]));
		assert_true(nvio_op_pending(&ops[i]));
	}
	assert_int_equal(done_count, 0);
	assert_int_equal(nvio_bdev_close(d.desc), -EBUSY);
	assert_errmsg_has("100 operations");
	while (done_count < ARRAY_SIZE(ops))
		assert_true(nvio_thread_poll(f->thread, 0) > 0);
	nvio_thread_poll(f->thread, 0);
	assert_int_equal(done_count, ARRAY_SIZE(ops));
	for (unsigned i = 0; i < ARRAY_SIZE(ops); i++) {
		assert_int_equal(ops[i].status, 0);
		assert_int_equal(ops[i].cpl.answered, 0); /* no controller had a part in it */
	}
	disk_close(&d);
}

static unsigned resubmits_left;
static struct disk chain_disk;

static void resubmit(struct nvio_op *op)
{
	if (resubmits_left--)
		assert_ok(nvio_bdev_read(chain_disk.desc, chain_disk.ch, op->arg, 0, BLOCK, op));
}

static void an_op_may_be_submitted_anew_from_its_done(void **state)
{
	static unsigned char buf[BLOCK];
	struct nvio_op op = NVIO_OP(resubmit);
	struct fixture *f = *state;

	make_null(f, "n", BLOCK, BLOCKS);
	chain_disk = disk_open(f, "n", 0);
	op.arg = buf;
	resubmits_left = 1000;
	assert_ok(nvio_bdev_read(chain_disk.desc, chain_disk.ch, buf, 0, BLOCK, &op));
	for (int i = 0; i < 5000 && nvio_op_pending(&op); i++)
		nvio_thread_poll(f->thread, 0);
	assert_ok(op.status);
	assert_int_equal(resubmits_left, UINT_MAX);
	disk_close(&chain_disk);
}

static void zeroing_a_malloc_device_reads_as_zeros_and_touches_nothing_else(void **state)
{
	/* Pieces of a page, whole pages, and enough of them to be given back to the system. */
	static const struct {
		uint64_t offset, len;
	} cases[] = {
		{ 512, 512 },
		{ 4096, 4096 },
		{ 3584, 5120 },
		{ 0, 512 * 1024 },
		{ 512, 1024 * 1024 },
		{ 4096 - 512, 300 * 1024 },
		{ 1024 * 1024 - 512, 1024 * 1024 + 512 },
	};
	const size_t size = 2 << 20;
	unsigned char *buf = malloc(size);
	struct fixture *f = *state;
	struct disk d;

	assert_non_null(buf);
	make_malloc(f, "m", 512, size / 512);
	d = disk_open(f, "m", NVIO_BDEV_WRITE);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (int unmap = 0; unmap < 2; unmap++) {
			uint64_t end = cases[i].offset + cases[i].len;
			struct nvio_op op = NVIO_OP(NULL);

			memset(buf, 0xff, size);
			assert_ok(do_write(&d, buf, 0, size));
			assert_ok(nvio_await(submit(&d, unmap ? UNMAP : ZEROES, NULL, NULL, 0,
						     cases[i].offset, cases[i].len, &op),
				&op));
			assert_ok(do_read(&d, buf, 0, size));
			assert_true(all_bytes_are(buf, 0xff, cases[i].offset));
			assert_true(all_bytes_are(buf + cases[i].offset, 0, cases[i].len));
			assert_true(all_bytes_are(buf + end, 0xff, size - end));
		}
	disk_close(&d);
	free(buf);
}

static void a_huge_malloc_device_costs_only_what_is_written(void **state)
{
	struct fixture *f = *state;
	unsigned char buf[4096];
	struct disk d;

	make_malloc(f, "m", 4096, (1ull << 36) / 4096);
	d = disk_open(f, "m", NVIO_BDEV_WRITE);
	memset(buf, 0x77, sizeof(buf));
	assert_ok(do_write(&d, buf, (1ull << 36) - 4096, 4096));
	memset(buf, 0, sizeof(buf));
	assert_ok(do_read(&d, buf, (1ull << 36) - 4096, 4096));
	assert_true(all_bytes_are(buf, 0x77, 4096));
	disk_close(&d);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		fixture_test(a_malloc_device_gives_back_what_was_written),
		fixture_test(a_null_device_has_its_size_and_swallows_writes),
		fixture_test(null_reads_zeros_into_a_dirty_buffer_unless_told_not_to),
		fixture_test(ranges_are_checked_alike_in_every_call),
		fixture_test(blocks_are_counted_like_bytes),
		fixture_test(bad_pointers_flags_and_iovecs_are_refused),
		fixture_test(flags_without_meaning_are_refused),
		fixture_test(a_read_only_descriptor_only_reads),
		fixture_test(done_runs_in_the_poll_and_once),
		fixture_test(an_op_may_be_submitted_anew_from_its_done),
		fixture_test(zeroing_a_malloc_device_reads_as_zeros_and_touches_nothing_else),
		fixture_test(a_huge_malloc_device_costs_only_what_is_written),
	};

	return cmocka_run_group_tests_name("bdev/io", tests, NULL, NULL);
}
