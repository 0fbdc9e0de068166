/* SPDX-License-Identifier: BSD-3-Clause */
/* The error device: who is struck, by what, and that nobody else is. B4. */
#include "stack.h"

static struct nvio_bdev_error_inject inject_of(enum nvio_bdev_error_kind kind, uint32_t types)
{
	struct nvio_bdev_error_inject i;

	nvio_bdev_error_inject_init(&i);
	i.kind = kind;
	i.io_types = types;
	return i;
}

#define READS  NVIO_BDEV_CAN(NVIO_BDEV_IO_READ)
#define WRITES NVIO_BDEV_CAN(NVIO_BDEV_IO_WRITE)

static void inject(struct fixture *f, const struct nvio_bdev_error_inject *i)
{
	if (nvio_bdev_error_inject(f->env, "e", i))
		fail_msg("%s", nvio_errmsg());
}

static void clear(struct fixture *f)
{
	struct nvio_op op = NVIO_OP(NULL);

	assert_ok(nvio_await(nvio_bdev_error_clear(f->env, "e", &op), &op));
}

static struct nvio_bdev_error_stats stats(struct fixture *f)
{
	struct nvio_bdev_error_stats s;

	assert_ok(nvio_bdev_error_stats(f->env, "e", &s));
	return s;
}

static struct disk make_error(struct fixture *f)
{
	make(f, "error?name=e:malloc:2M?name=m");
	return disk_open(f, "e", NVIO_BDEV_WRITE);
}

/* Which of 20 reads, of one block each from block 0 on, are struck: a bit for each. */
static uint32_t struck_reads(struct disk *d)
{
	unsigned char buf[BLOCK];
	uint32_t bits = 0;

	for (unsigned i = 0; i < 20; i++)
		bits |= (do_read(d, buf, i * BLOCK, BLOCK) ? 1u : 0) << i;
	return bits;
}

static void counters_and_ranges_choose(void **state)
{
	static const struct {
		uint64_t lba, blocks, skip, every, count;
		uint32_t struck;
	} cases[] = {
		{ 0, 0, 0, 0, 0, 0xfffff },
		{ 0, 0, 0, 0, 1, 0x00001 },
		{ 0, 0, 5, 0, 2, 0x00060 },
		{ 0, 0, 0, 4, 0, 0x11111 },
		{ 0, 0, 3, 5, 0, 0x42108 },
		{ 7, 3, 0, 0, 0, 0x00380 },
		{ 7, 3, 1, 2, 1, 0x00100 },
		{ 19, UINT64_MAX, 0, 0, 0, 0x80000 },
		{ 20, 1, 0, 0, 0, 0 },
		{ UINT64_MAX, UINT64_MAX, 0, 0, 0, 0 },
	};
	struct fixture *f = *state;
	struct disk d = make_error(f);
	uint64_t total = 0;

	for (size_t c = 0; c < ARRAY_SIZE(cases); c++) {
		struct nvio_bdev_error_inject i = inject_of(NVIO_BDEV_ERROR_FAIL, READS);

		i.lba = cases[c].lba;
		i.num_blocks = cases[c].blocks;
		i.skip = cases[c].skip;
		i.every = cases[c].every;
		i.count = cases[c].count;
		inject(f, &i);
		assert_int_equal(struck_reads(&d), cases[c].struck);
		total += (uint64_t)__builtin_popcount(cases[c].struck);
		assert_int_equal(stats(f).failed, total);
		clear(f);
		assert_int_equal(struck_reads(&d), 0);
	}
	disk_close(&d);
}

/* An I/O that begins before the range, or ends behind it, touches it. */
static void touching_a_range_is_enough(void **state)
{
	static const struct {
		uint64_t first;
		int rc;
	} cases[] = { { 6, 0 }, { 7, -EIO }, { 9, -EIO }, { 11, -EIO }, { 12, 0 } };
	struct fixture *f = *state;
	struct disk d = make_error(f);
	struct nvio_bdev_error_inject i = inject_of(NVIO_BDEV_ERROR_FAIL, READS);
	unsigned char buf[4 * BLOCK];

	i.lba = 10;
	i.num_blocks = 2;
	inject(f, &i);
	for (size_t c = 0; c < ARRAY_SIZE(cases); c++)
		assert_int_equal(do_read(&d, buf, cases[c].first * BLOCK, 4 * BLOCK), cases[c].rc);
	disk_close(&d);
}

static int do_type(struct disk *d, enum nvio_bdev_io_type type)
{
	static unsigned char buf[BLOCK];
	struct nvio_op op = NVIO_OP(NULL);
	int rc;

	switch (type) {
	case NVIO_BDEV_IO_READ: rc = nvio_bdev_read(d->desc, d->ch, buf, 0, BLOCK, &op); break;
	case NVIO_BDEV_IO_WRITE: rc = nvio_bdev_write(d->desc, d->ch, buf, 0, BLOCK, &op); break;
	case NVIO_BDEV_IO_WRITE_ZEROES: rc = nvio_bdev_write_zeroes(d->desc, d->ch, 0, BLOCK, &op); break;
	default: rc = nvio_bdev_unmap(d->desc, d->ch, 0, BLOCK, &op); break;
	}
	return nvio_await(rc, &op);
}

static void types_choose(void **state)
{
	struct fixture *f = *state;
	struct disk d = make_error(f);

	for (enum nvio_bdev_io_type type = NVIO_BDEV_IO_READ; type <= NVIO_BDEV_IO_UNMAP; type++) {
		struct nvio_bdev_error_inject i = inject_of(NVIO_BDEV_ERROR_FAIL, NVIO_BDEV_CAN(type));

		i.status = -ENOSPC;
		inject(f, &i);
		for (enum nvio_bdev_io_type t = NVIO_BDEV_IO_READ; t <= NVIO_BDEV_IO_UNMAP; t++)
			assert_int_equal(do_type(&d, t), t == type ? -ENOSPC : 0);
		clear(f);
	}
	disk_close(&d);
}

static void an_nvme_status_stands_beside_the_errno(void **state)
{
	struct fixture *f = *state;
	struct disk d;
	struct nvio_bdev_error_inject i = inject_of(NVIO_BDEV_ERROR_FAIL, READS);
	unsigned char buf[BLOCK];
	struct nvio_op op = NVIO_OP(NULL);

	/* Through another layer above, too. */
	make(f, "passthru?name=p:error?name=e:malloc:2M");
	d = disk_open(f, "p", NVIO_BDEV_WRITE);
	i.sf = 0x4281; /* unrecovered read error, do not retry */
	i.status = -ENODATA;
	i.count = 1;
	inject(f, &i);
	assert_int_equal(nvio_await(nvio_bdev_read(d.desc, d.ch, buf, 0, BLOCK, &op), &op), -ENODATA);
	assert_true(op.cpl.answered);
	assert_int_equal(nvio_cpl_sct(&op.cpl), 2);
	assert_int_equal(nvio_cpl_sc(&op.cpl), 0x81);
	assert_true(nvio_cpl_dnr(&op.cpl));
	assert_ok(nvio_await(nvio_bdev_read(d.desc, d.ch, buf, 0, BLOCK, &op), &op));
	assert_false(op.cpl.answered);
	disk_close(&d);
}

static void corrupted_reads_differ_in_one_byte_and_the_device_below_does_not(void **state)
{
	struct fixture *f = *state;
	struct disk d = make_error(f), below = disk_open(f, "m", NVIO_BDEV_READ);
	struct nvio_bdev_error_inject i = inject_of(NVIO_BDEV_ERROR_CORRUPT, READS);
	unsigned char out[4 * BLOCK], in[4 * BLOCK];
	struct iovec iov[] = { { in, 100 }, { NULL, 0 }, { in + 100, 1 }, { in + 101, sizeof(in) - 101 } };
	struct nvio_op op = NVIO_OP(NULL);

	memset(out, 0x5a, sizeof(out));
	assert_ok(do_write(&d, out, 0, sizeof(out)));
	i.corrupt_offset = 100;
	i.corrupt_xor = 0x01;
	inject(f, &i);
	assert_ok(nvio_await(nvio_bdev_readv(d.desc, d.ch, iov, 4, 0, sizeof(in), &op), &op));
	assert_int_equal(in[100], 0x5b);
	in[100] = 0x5a;
	assert_memory_equal(in, out, sizeof(in));
	assert_ok(do_read(&below, in, 0, sizeof(in)));
	assert_memory_equal(in, out, sizeof(in));
	/* Beyond the length it is counted round. */
	clear(f);
	i.corrupt_offset = 4 * BLOCK + 7;
	i.corrupt_xor = 0;
	inject(f, &i);
	assert_ok(do_read(&d, in, 0, sizeof(in)));
	assert_int_equal(in[7], 0xa5);
	assert_int_equal(stats(f).corrupted, 2);
	disk_close(&d);
	disk_close(&below);
}

static void corrupted_writes_leave_the_callers_buffer_and_one_byte_below_differs(void **state)
{
	static const uint64_t offsets[] = { 0, 1, BLOCK - 1, BLOCK, 3 * BLOCK + 17, 4 * BLOCK - 1 };
	struct fixture *f = *state;
	struct disk d = make_error(f);
	unsigned char out[4 * BLOCK], copy[4 * BLOCK], in[4 * BLOCK];
	struct iovec iov[] = { { out, 3 }, { out + 3, BLOCK }, { out + 3 + BLOCK, sizeof(out) - 3 - BLOCK } };

	for (size_t c = 0; c < ARRAY_SIZE(offsets); c++) {
		struct nvio_bdev_error_inject i = inject_of(NVIO_BDEV_ERROR_CORRUPT, WRITES);
		struct nvio_op op = NVIO_OP(NULL);

		for (size_t n = 0; n < sizeof(out); n++)
			out[n] = (unsigned char)(n * 13 + c);
		memcpy(copy, out, sizeof(out));
		i.corrupt_offset = offsets[c];
		i.count = 1;
		inject(f, &i);
		assert_ok(nvio_await(nvio_bdev_writev(d.desc, d.ch, iov, 3, 2 * BLOCK, sizeof(out), &op), &op));
		assert_memory_equal(out, copy, sizeof(out));
		assert_ok(do_read(&d, in, 2 * BLOCK, sizeof(in)));
		assert_int_equal(in[offsets[c]], (unsigned char)(out[offsets[c]] ^ 0xff));
		in[offsets[c]] ^= 0xff;
		assert_memory_equal(in, out, sizeof(in));
		clear(f);
	}
	assert_int_equal(stats(f).corrupted, ARRAY_SIZE(offsets));
	disk_close(&d);
}

/* There is one buffer for the wrong block: writes wait for it, in order, and all of them are struck. */
static void many_corrupted_writes_at_once_are_all_corrupted(void **state)
{
	static unsigned char out[64][BLOCK], in[BLOCK];
	static struct nvio_op ops[64];
	struct fixture *f = *state;
	struct nvio_bdev_error_inject i = inject_of(NVIO_BDEV_ERROR_CORRUPT, WRITES);
	struct disk d;

	make(f, "error?name=e:delay?avg_write=1000&avg_read=10:malloc:2M");
	d = disk_open(f, "e", NVIO_BDEV_WRITE);
	inject(f, &i);
	for (unsigned n = 0; n < 64; n++) {
		memset(out[n], (int)n, BLOCK);
		start_write(&d, &ops[n], out[n], n * BLOCK, BLOCK);
	}
	for (unsigned n = 0; n < 64; n++) {
		assert_true(nvio_op_pending(&ops[n]));
		advance_us(f, 1000);
		assert_true(nvio_op_pending(&ops[n]));
		advance_us(f, 1000);
		assert_ok(ops[n].status);
	}
	assert_int_equal(stats(f).corrupted, 64);
	clear(f);
	for (unsigned n = 0; n < 64; n++) {
		struct nvio_op op;

		start_read(&d, &op, in, n * BLOCK, BLOCK);
		advance_us(f, 10);
		assert_ok(op.status);
		assert_int_equal(in[0], n ^ 0xff);
		assert_true(all_bytes_are(in + 1, (unsigned char)n, BLOCK - 1));
	}
	disk_close(&d);
}

static void pended_io_goes_on_when_cleared_and_ends_with_its_channel(void **state)
{
	static unsigned char buf[300][BLOCK];
	static struct nvio_op ops[300];
	struct fixture *f = *state;
	struct disk d = make_error(f);
	struct nvio_bdev_error_inject i = inject_of(NVIO_BDEV_ERROR_PEND, READS);
	unsigned char ones[BLOCK];

	memset(ones, 1, sizeof(ones));
	assert_ok(do_write(&d, ones, 0, BLOCK));
	inject(f, &i);
	/* More than a device forwards at once. */
	for (unsigned n = 0; n < 300; n++)
		start_read(&d, &ops[n], buf[n], 0, BLOCK);
	assert_ok(do_write(&d, ones, BLOCK, BLOCK));
	for (unsigned n = 0; n < 300; n++)
		assert_true(nvio_op_pending(&ops[n]));
	assert_int_equal(stats(f).pended, 300);
	assert_int_equal(nvio_cancel(&ops[0]), -EOPNOTSUPP);
	clear(f);
	poll_some(f);
	for (unsigned n = 0; n < 300; n++) {
		assert_ok(ops[n].status);
		assert_true(all_bytes_are(buf[n], 1, BLOCK));
	}
	inject(f, &i);
	start_read(&d, &ops[0], buf[0], 0, BLOCK);
	poll_some(f);
	nvio_channel_put(d.ch);
	poll_some(f);
	assert_int_equal(ops[0].status, -ECANCELED);
	assert_ok(nvio_bdev_close(d.desc));
}

static void no_memory_holds_up_all_in_order_until_there_is_some(void **state)
{
	static unsigned char buf[BLOCK];
	static struct nvio_op ops[100];
	struct fixture *f = *state;
	struct disk d;
	struct nvio_bdev_error_inject i = inject_of(NVIO_BDEV_ERROR_NO_MEMORY, WRITES);

	make_slow(f, "s", 0);
	make(f, "error?name=e:bdev:s");
	d = disk_open(f, "e", NVIO_BDEV_WRITE);
	slow.at_once = true;
	i.count = 3;
	i.again_us = 500;
	inject(f, &i);
	for (unsigned n = 0; n < 100; n++)
		start_write(&d, &ops[n], buf, n * BLOCK, BLOCK);
	for (unsigned n = 0; n < 3; n++) {
		assert_int_equal(slow.taken, 0);
		advance_us(f, 499);
		assert_int_equal(stats(f).refused, n + 1);
		advance_us(f, 1);
	}
	assert_int_equal(slow.taken, 100);
	for (unsigned n = 0; n < 100; n++) {
		assert_ok(ops[n].status);
		assert_int_equal(slow.order[n], n * BLOCK);
	}
	/* What waits can be cancelled, and has its deadline. */
	clear(f);
	i.count = 0;
	inject(f, &i);
	start_write(&d, &ops[0], buf, 0, BLOCK);
	ops[1] = (struct nvio_op)NVIO_OP(NULL);
	ops[1].timeout_us = 100;
	assert_ok(nvio_bdev_write(d.desc, d.ch, buf, 0, BLOCK, &ops[1]));
	assert_ok(nvio_cancel(&ops[0]));
	advance_us(f, 100);
	assert_int_equal(ops[0].status, -ECANCELED);
	assert_int_equal(ops[1].status, -ETIMEDOUT);
	disk_close(&d);
}

static unsigned struck_by_chance(struct fixture *f, struct disk *d)
{
	unsigned char buf[BLOCK];
	unsigned struck = 0;

	for (unsigned i = 0; i < 4000; i++)
		struck = struck * 31 + !!do_read(d, buf, 0, BLOCK);
	return struck;
}

static void chance_follows_from_the_seed(void **state)
{
	struct fixture *f = *state;
	struct nvio_bdev_error_inject i = inject_of(NVIO_BDEV_ERROR_FAIL, READS);
	unsigned first;
	struct disk d;

	i.probability = 0.25;
	d = make_error(f);
	inject(f, &i);
	first = struck_by_chance(f, &d);
	assert_in_range(stats(f).failed, 850, 1150);
	assert_int_not_equal(struck_by_chance(f, &d), first);
	disk_close(&d);
	fixture_teardown(state);
	clocked_setup(state);
	f = *state;
	d = make_error(f);
	inject(f, &i);
	assert_int_equal(struck_by_chance(f, &d), first);
	disk_close(&d);
}

static void the_first_that_strikes_is_all_that_an_io_gets(void **state)
{
	static const int statuses[] = { -ENOSPC, -EILSEQ, 0 };
	struct fixture *f = *state;
	struct disk d = make_error(f);
	unsigned char buf[BLOCK];

	for (size_t n = 0; n < 2; n++) {
		struct nvio_bdev_error_inject i = inject_of(NVIO_BDEV_ERROR_FAIL, READS);

		i.count = 1;
		i.status = statuses[n];
		inject(f, &i);
	}
	for (size_t n = 0; n < ARRAY_SIZE(statuses); n++)
		assert_int_equal(do_read(&d, buf, 0, BLOCK), statuses[n]);
	disk_close(&d);
}

static void what_is_wrong_is_said(void **state)
{
	struct fixture *f = *state;
	struct disk d = make_error(f);
	struct nvio_bdev_error_stats s;
	struct nvio_op op = NVIO_OP(NULL);
	static const struct {
		int kind, status;
		uint32_t types;
		double p;
		uint16_t sf;
		const char *word;
	} bad[] = {
		{ 4, 0, 0, 1, 0, "kind" },
		{ -1, 0, 0, 1, 0, "kind" },
		{ NVIO_BDEV_ERROR_CORRUPT, 0, NVIO_BDEV_CAN(NVIO_BDEV_IO_UNMAP), 1, 0, "io_types" },
		{ NVIO_BDEV_ERROR_FAIL, 0, 1u << 31, 1, 0, "io_types" },
		{ NVIO_BDEV_ERROR_FAIL, 5, 0, 1, 0, "status" },
		{ NVIO_BDEV_ERROR_FAIL, -4096, 0, 1, 0, "status" },
		{ NVIO_BDEV_ERROR_FAIL, -EAGAIN, 0, 1, 0, "status" },
		{ NVIO_BDEV_ERROR_FAIL, -EINPROGRESS, 0, 1, 0, "status" },
		{ NVIO_BDEV_ERROR_FAIL, 0, 0, 0, 0, "probability" },
		{ NVIO_BDEV_ERROR_FAIL, 0, 0, 1.01, 0, "probability" },
		{ NVIO_BDEV_ERROR_FAIL, 0, 0, __builtin_nan(""), 0, "probability" },
		{ NVIO_BDEV_ERROR_FAIL, 0, 0, 1, 0x8000, "sf" },
	};

	for (size_t c = 0; c < ARRAY_SIZE(bad); c++) {
		struct nvio_bdev_error_inject i = inject_of((enum nvio_bdev_error_kind)bad[c].kind, bad[c].types);

		i.status = bad[c].status;
		i.probability = bad[c].p;
		i.sf = bad[c].sf;
		assert_int_equal(nvio_bdev_error_inject(f->env, "e", &i), -EINVAL);
		assert_errmsg_has(bad[c].word);
	}
	for (unsigned n = 0; n <= NVIO_BDEV_ERROR_MAX; n++) {
		struct nvio_bdev_error_inject i = inject_of(NVIO_BDEV_ERROR_FAIL, WRITES);

		assert_int_equal(nvio_bdev_error_inject(f->env, "e", &i), n < NVIO_BDEV_ERROR_MAX ? 0 : -ENOSPC);
		if (!n) {
			assert_int_equal(nvio_bdev_error_inject(f->env, "m", &i), -EINVAL);
			assert_int_equal(nvio_bdev_error_inject(f->env, "x", &i), -ENODEV);
			i.size = 1;
			assert_int_equal(nvio_bdev_error_inject(f->env, "e", &i), -EINVAL);
		}
	}
	assert_int_equal(nvio_bdev_error_inject(f->env, "e", NULL), -EINVAL);
	assert_int_equal(nvio_bdev_error_clear(f->env, "m", &op), -EINVAL);
	assert_int_equal(nvio_bdev_error_clear(f->env, "e", NULL), -EINVAL);
	assert_int_equal(nvio_bdev_error_stats(f->env, "x", &s), -ENODEV);
	assert_int_equal(nvio_bdev_error_create(f->env, NULL), -EINVAL);
	disk_close(&d);
}

static void each_allocation_may_fail(void **state)
{
	struct fixture *f = *state;
	struct nvio_bdev_error_opts o;
	struct nvio_bdev_desc *desc;
	long left = -1;
	int rc;

	make(f, "malloc:1M?name=m");
	nvio_bdev_error_opts_init(&o);
	o.name = "e";
	o.base = "m";
	for (long n = 0; left < 0; n++) {
		alloc_fail_after(n);
		rc = nvio_bdev_error_create(f->env, &o);
		left = alloc_fail_after(-1);
		assert_int_equal(rc, left < 0 ? -ENOMEM : 0);
		if (rc) {
			assert_ok(nvio_bdev_open(f->env, "m", NVIO_BDEV_WRITE, &desc));
			assert_ok(nvio_bdev_close(desc));
		}
	}
	channel_allocations_may_fail(f, "e");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		fixture_test(counters_and_ranges_choose),
		fixture_test(touching_a_range_is_enough),
		fixture_test(types_choose),
		fixture_test(an_nvme_status_stands_beside_the_errno),
		fixture_test(corrupted_reads_differ_in_one_byte_and_the_device_below_does_not),
		fixture_test(corrupted_writes_leave_the_callers_buffer_and_one_byte_below_differs),
		clocked_test(many_corrupted_writes_at_once_are_all_corrupted),
		fixture_test(pended_io_goes_on_when_cleared_and_ends_with_its_channel),
		clocked_test(no_memory_holds_up_all_in_order_until_there_is_some),
		clocked_test(chance_follows_from_the_seed),
		fixture_test(the_first_that_strikes_is_all_that_an_io_gets),
		fixture_test(what_is_wrong_is_said),
		fixture_test(each_allocation_may_fail),
	};

	return cmocka_run_group_tests_name("bdev/error", tests, NULL, NULL);
}
