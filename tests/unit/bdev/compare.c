/* SPDX-License-Identifier: BSD-3-Clause */
/* Compare, compare and write, copy and NVMe commands: native, emulated, and refused. B3. */
#include "ram.h"

#include "base/alloc.h"

#define BLOCK	    512u
#define BLOCKS	    1024u
#define SIZE	    ((uint64_t)BLOCK * BLOCKS)

#define CAN_COMPARE NVIO_BDEV_CAN(NVIO_BDEV_IO_COMPARE)
#define CAN_SWAP    NVIO_BDEV_CAN(NVIO_BDEV_IO_COMPARE_AND_WRITE)
#define CAN_COPY    NVIO_BDEV_CAN(NVIO_BDEV_IO_COPY)
#define CAN_ALL	    (CAN_COMPARE | CAN_SWAP | CAN_COPY)

/* Who does it: the module; the layer; the layer once the module has refused, at once or later. And how fast
 * the module is. */
static const struct way {
	const char *name;
	uint32_t types, fails;
	bool inside;
	unsigned room;
} ways[] = {
	{ "native", CAN_ALL, 0, false, 0 },
	{ "native, slow", CAN_ALL, 0, false, 3 },
	{ "emulated", 0, 0, false, 0 },
	{ "emulated, slow", 0, 0, false, RAM_HELD },
	{ "emulated, one at a time", 0, 0, false, 1 },
	{ "refused from submit", CAN_ALL, CAN_ALL, true, 0 },
	{ "refused at once", CAN_ALL, CAN_ALL, false, 0 },
	{ "refused later", CAN_ALL, CAN_ALL, false, 2 },
};

static struct ram ram;
static unsigned char other[SIZE], more[SIZE];

static struct disk make(struct fixture *f, const struct way *way)
{
	ram = (struct ram){ .room = way->room,
		.fail_type = way->fails,
		.fail_rc = -EOPNOTSUPP,
		.refuse_inside = way->inside };
	ram_make(f, &ram, way->types, BLOCKS);
	return disk_open(f, "r", NVIO_BDEV_WRITE);
}

static void unmake(struct fixture *f, struct disk *d)
{
	disk_close(d);
	delete_device(f, "r");
}

static const struct {
	uint64_t offset, len;
} ranges[] = {
	{ 0, BLOCK },
	{ BLOCK, 64 * 1024 },
	{ 3 * BLOCK, 64 * 1024 + BLOCK },
	{ 0, SIZE },
};

static void compare_tells_whether_it_is_there(void **state)
{
	struct fixture *f = *state;

	for (size_t w = 0; w < ARRAY_SIZE(ways); w++) {
		struct disk d = make(f, &ways[w]);

		for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
			uint64_t offset = ranges[i].offset, len = ranges[i].len;
			struct iovec iov[4] = { { other, 100 }, { NULL, 0 }, { other + 100, len - 100 },
				{ NULL, 0 } };
			struct nvio_op op = NVIO_OP(NULL);

			memcpy(other, ram.data + offset, len);
			assert_ok(nvio_bdev_compare(d.desc, d.ch, other, offset, len, &op));
			if (ram_wait(f, &ram, &op))
				fail_msg("%s, range %zu: %s", ways[w].name, i, nvio_errno_name(op.status));
			assert_ok(nvio_bdev_comparev(d.desc, d.ch, iov, 4, offset, len, &op));
			assert_ok(ram_wait(f, &ram, &op));
			other[len - 1]++;
			assert_ok(nvio_bdev_compare(d.desc, d.ch, other, offset, len, &op));
			assert_int_equal(ram_wait(f, &ram, &op), -EILSEQ);
			assert_ok(nvio_bdev_comparev(d.desc, d.ch, iov, 4, offset, len, &op));
			assert_int_equal(ram_wait(f, &ram, &op), -EILSEQ);
			other[len - 1]--;
			other[0]++;
			assert_ok(nvio_bdev_compare(d.desc, d.ch, other, offset, len, &op));
			assert_int_equal(ram_wait(f, &ram, &op), -EILSEQ);
		}
		assert_int_equal(ram.counts[NVIO_BDEV_IO_WRITE], 0);
		unmake(f, &d);
	}
}

static void compare_and_write_writes_when_it_is_there_and_nothing_else(void **state)
{
	struct fixture *f = *state;

	for (size_t w = 0; w < ARRAY_SIZE(ways); w++) {
		struct disk d = make(f, &ways[w]);

		for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
			uint64_t offset = ranges[i].offset, len = ranges[i].len;
			struct iovec iov[2] = { { other, len - 1 }, { other + len - 1, 1 } };
			struct iovec iov2[3] = { { more, 1 }, { more + 1, 600 }, { more + 601, SIZE } };
			struct nvio_op op = NVIO_OP(NULL);

			memcpy(other, ram.data + offset, len);
			memset(more, (int)(0x40 + i), sizeof(more));
			other[len / 2]++;
			assert_ok(nvio_bdev_compare_and_write(d.desc, d.ch, other, more, offset, len, &op));
			assert_int_equal(ram_wait(f, &ram, &op), -EILSEQ);
			other[len / 2]--;
			assert_memory_equal(ram.data + offset, other, len);
			op.flags = NVIO_OP_FUA;
			ram.fua_count = 0;
			assert_ok(nvio_bdev_compare_and_write(d.desc, d.ch, other, more, offset, len, &op));
			if (ram_wait(f, &ram, &op))
				fail_msg("%s, range %zu: %s", ways[w].name, i, nvio_errno_name(op.status));
			assert_true(ram.fua_count);
			assert_memory_equal(ram.data + offset, more, len);
			memcpy(other, more, len);
			memset(more, (int)(0x80 + i), sizeof(more));
			assert_ok(nvio_bdev_compare_and_writev(
				d.desc, d.ch, iov, 2, iov2, len > 601 ? 3 : 2, offset, len, &op));
			assert_ok(ram_wait(f, &ram, &op));
			assert_memory_equal(ram.data + offset, more, len);
		}
		unmake(f, &d);
	}
}

static void copy_copies_and_touches_nothing_else(void **state)
{
	static const struct {
		uint64_t src, dst, len;
	} cases[] = {
		{ 0, BLOCK, BLOCK },
		{ BLOCK, 0, BLOCK },
		{ 0, SIZE / 2, SIZE / 2 },
		{ SIZE / 2, 0, SIZE / 2 },
		{ SIZE - 70 * 1024, 512, 70 * 1024 },
	};
	struct fixture *f = *state;

	for (size_t w = 0; w < ARRAY_SIZE(ways); w++) {
		struct disk d = make(f, &ways[w]);

		for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
			struct nvio_op op = NVIO_OP(NULL);

			for (size_t n = 0; n < SIZE; n++)
				ram.data[n] = (unsigned char)(n / 512 + n * 3 + i);
			memcpy(other, ram.data, SIZE);
			memmove(other + cases[i].dst, other + cases[i].src, cases[i].len);
			op.flags = NVIO_OP_FUA;
			assert_ok(
				nvio_bdev_copy(d.desc, d.ch, cases[i].src, cases[i].dst, cases[i].len, &op));
			if (ram_wait(f, &ram, &op))
				fail_msg("%s, case %zu: %s", ways[w].name, i, nvio_errno_name(op.status));
			assert_memory_equal(ram.data, other, SIZE);
		}
		unmake(f, &d);
	}
}

static int bad_call(
	struct disk *d, unsigned call, uint64_t src, uint64_t offset, uint64_t len, struct nvio_op *op)
{
	struct iovec iov = { other, sizeof(other) };

	switch (call) {
	case 0: return nvio_bdev_compare(d->desc, d->ch, other, offset, len, op);
	case 1: return nvio_bdev_comparev(d->desc, d->ch, &iov, 1, offset, len, op);
	case 2: return nvio_bdev_compare_and_write(d->desc, d->ch, other, more, offset, len, op);
	case 3: return nvio_bdev_compare_and_writev(d->desc, d->ch, &iov, 1, &iov, 1, offset, len, op);
	default: return nvio_bdev_copy(d->desc, d->ch, src, offset, len, op);
	}
}

static void bad_ranges_are_refused_and_nothing_is_sent(void **state)
{
	static const struct {
		uint64_t src, offset, len;
		int rc, copy_rc; /* of all but copy; of copy */
	} cases[] = {
		{ SIZE / 2, 0, 0, -EINVAL, -EINVAL },
		{ SIZE / 2, 1, BLOCK, -EINVAL, -EINVAL },
		{ SIZE / 2, 0, BLOCK + 1, -EINVAL, -EINVAL },
		{ SIZE / 2, 0, UINT64_MAX, -EINVAL, -EINVAL },
		{ SIZE / 2, UINT64_MAX, UINT64_MAX, -EINVAL, -EINVAL },
		{ SIZE / 2, SIZE, BLOCK, -ERANGE, -ERANGE },
		{ SIZE / 2, BLOCK, UINT64_MAX - BLOCK + 1, -ERANGE, -ERANGE },
		{ SIZE / 2, 0, SIZE + BLOCK, -ERANGE, -ERANGE },
		{ SIZE, 0, BLOCK, 0, -ERANGE },
		{ 1, BLOCK, BLOCK, 0, -EINVAL },
		{ UINT64_MAX - BLOCK + 1, 0, BLOCK, 0, -ERANGE },
		{ UINT64_MAX, 0, BLOCK, 0, -EINVAL },
		{ SIZE - BLOCK, 0, 2 * BLOCK, 0, -ERANGE },
		{ 0, 0, BLOCK, 0, -EINVAL }, /* overlap, as do the next */
		{ 0, BLOCK, 2 * BLOCK, 0, -EINVAL },
		{ BLOCK, 0, 2 * BLOCK, 0, -EINVAL },
		{ 0, SIZE - BLOCK, BLOCK, 0, 0 },
	};
	struct fixture *f = *state;

	for (size_t w = 0; w < 3; w += 2) {
		struct disk d = make(f, &ways[w]);

		memset(ram.data, 0, SIZE);
		memset(other, 0, SIZE);
		memset(more, 0, SIZE);
		for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
			for (unsigned call = 0; call < 5; call++) {
				int want = call == 4 ? cases[i].copy_rc : cases[i].rc, rc;
				struct nvio_op op = NVIO_OP(NULL), before = op;

				rc = bad_call(&d, call, cases[i].src, cases[i].offset, cases[i].len, &op);
				if (rc != want)
					fail_msg("call %u case %zu: %d, %d expected: %s", call, i, rc, want,
						nvio_errmsg());
				if (rc)
					assert_memory_equal(&op, &before, sizeof(op));
				else
					assert_ok(nvio_wait(&op));
			}
		unmake(f, &d);
	}
}

static void bad_arguments_are_refused(void **state)
{
	struct iovec iov = { other, BLOCK - 1 }, good = { other, BLOCK };
	struct nvio_op op = NVIO_OP(NULL);
	struct fixture *f = *state;
	struct disk d = make(f, &ways[2]), r;

	assert_int_equal(nvio_bdev_compare(d.desc, d.ch, NULL, 0, BLOCK, &op), -EINVAL);
	assert_int_equal(nvio_bdev_comparev(d.desc, d.ch, &iov, 1, 0, BLOCK, &op), -EINVAL);
	assert_int_equal(nvio_bdev_comparev(d.desc, d.ch, &good, 0, 0, BLOCK, &op), -EINVAL);
	assert_int_equal(nvio_bdev_compare_and_write(d.desc, d.ch, other, NULL, 0, BLOCK, &op), -EINVAL);
	assert_int_equal(nvio_bdev_compare_and_write(d.desc, d.ch, NULL, other, 0, BLOCK, &op), -EINVAL);
	assert_int_equal(
		nvio_bdev_compare_and_writev(d.desc, d.ch, &good, 1, &iov, 1, 0, BLOCK, &op), -EINVAL);
	assert_int_equal(
		nvio_bdev_compare_and_writev(d.desc, d.ch, &iov, 1, &good, 1, 0, BLOCK, &op), -EINVAL);
	assert_int_equal(nvio_bdev_compare(NULL, d.ch, other, 0, BLOCK, &op), -EINVAL);
	assert_int_equal(nvio_bdev_copy(d.desc, NULL, 0, BLOCK, BLOCK, &op), -EINVAL);
	assert_int_equal(nvio_bdev_copy(d.desc, d.ch, 0, BLOCK, BLOCK, NULL), -EINVAL);
	op.flags = NVIO_OP_FUA;
	assert_int_equal(nvio_bdev_compare(d.desc, d.ch, other, 0, BLOCK, &op), -EINVAL);
	op.flags = NVIO_OP_REAP;
	assert_int_equal(nvio_bdev_copy(d.desc, d.ch, 0, BLOCK, BLOCK, &op), -EINVAL);
	op.flags = 0;
	r = disk_open(f, "r", NVIO_BDEV_READ);
	memcpy(other, ram.data, BLOCK);
	assert_ok(nvio_await(nvio_bdev_compare(r.desc, r.ch, other, 0, BLOCK, &op), &op));
	assert_int_equal(nvio_bdev_compare_and_write(r.desc, r.ch, other, other, 0, BLOCK, &op), -EBADF);
	assert_int_equal(nvio_bdev_copy(r.desc, r.ch, 0, BLOCK, BLOCK, &op), -EBADF);
	assert_int_equal(nvio_bdev_write_zeroes(r.desc, r.ch, 0, BLOCK, &op), -EBADF);
	assert_int_equal(
		nvio_bdev_nvme_io(r.desc, r.ch, (const struct nvio_sqe *)other, NULL, 0, &op), -EBADF);
	disk_close(&r);
	unmake(f, &d);
}

static struct nvio_cpl answer = { .dw0 = 77, .answered = 1 };

static int command_submit(void *device, void *channel, struct nvio_bdev_io *io)
{
	if (io->len)
		memset(io->iov->iov_base, io->type == NVIO_BDEV_IO_NVME ? 1 : 2, io->len);
	answer.sf = *(const uint16_t *)io->cmd;
	nvio_bdev_io_set_cpl(io, &answer);
	nvio_bdev_io_done(io, 0);
	return 0;
}

static void command_destroy(void *device)
{
}

static void nvme_commands_reach_a_module_that_has_them(void **state)
{
	static const struct nvio_bdev_module module = {
		.name = "command", .submit = command_submit, .destroy = command_destroy
	};
	const uint16_t words[32] = { 0x1234 };
	const struct nvio_sqe *cmd = (const struct nvio_sqe *)words;
	struct nvio_op op = NVIO_OP(NULL);
	struct nvio_bdev_params p;
	struct fixture *f = *state;
	unsigned char buf[100];
	struct disk d;

	assert_ok(nvio_bdev_module_register(f->env, &module));
	nvio_bdev_params_init(&p);
	p.module = &module;
	p.name = "c";
	p.num_blocks = 8;
	p.io_types |= NVIO_BDEV_CAN(NVIO_BDEV_IO_NVME) | NVIO_BDEV_CAN(NVIO_BDEV_IO_NVME_ADMIN);
	assert_ok(nvio_bdev_register(f->env, &p));
	d = disk_open(f, "c", NVIO_BDEV_WRITE);
	assert_ok(nvio_await(nvio_bdev_nvme_io(d.desc, d.ch, cmd, buf, sizeof(buf), &op), &op));
	assert_true(all_bytes_are(buf, 1, sizeof(buf)));
	assert_int_equal(op.cpl.answered, 1);
	assert_int_equal(op.cpl.dw0, 77);
	assert_int_equal(op.cpl.sf, 0x1234);
	assert_ok(nvio_await(nvio_bdev_nvme_admin(d.desc, d.ch, cmd, buf, sizeof(buf), &op), &op));
	assert_true(all_bytes_are(buf, 2, sizeof(buf)));
	assert_ok(nvio_await(nvio_bdev_nvme_io(d.desc, d.ch, cmd, NULL, 0, &op), &op));
	assert_int_equal(nvio_bdev_nvme_io(d.desc, d.ch, NULL, buf, 1, &op), -EINVAL);
	assert_int_equal(nvio_bdev_nvme_io(d.desc, d.ch, cmd, NULL, 1, &op), -EINVAL);
	disk_close(&d);
	make_malloc(f, "m", 512, 8);
	d = disk_open(f, "m", NVIO_BDEV_WRITE);
	assert_int_equal(nvio_bdev_nvme_io(d.desc, d.ch, cmd, buf, sizeof(buf), &op), -EOPNOTSUPP);
	assert_errmsg_has("malloc");
	disk_close(&d);
}

static void a_device_tells_what_it_can(void **state)
{
	static const struct {
		enum nvio_bdev_io_type type;
		enum nvio_bdev_support native, emulated, after_refusal;
	} cases[] = {
		{ NVIO_BDEV_IO_READ, NVIO_BDEV_NATIVE, NVIO_BDEV_NATIVE, NVIO_BDEV_NATIVE },
		{ NVIO_BDEV_IO_WRITE, NVIO_BDEV_NATIVE, NVIO_BDEV_NATIVE, NVIO_BDEV_NATIVE },
		{ NVIO_BDEV_IO_FLUSH, NVIO_BDEV_NATIVE, NVIO_BDEV_NATIVE, NVIO_BDEV_NATIVE },
		{ NVIO_BDEV_IO_WRITE_ZEROES, NVIO_BDEV_EMULATED, NVIO_BDEV_EMULATED, NVIO_BDEV_EMULATED },
		{ NVIO_BDEV_IO_UNMAP, NVIO_BDEV_CANNOT, NVIO_BDEV_CANNOT, NVIO_BDEV_CANNOT },
		{ NVIO_BDEV_IO_COMPARE, NVIO_BDEV_NATIVE, NVIO_BDEV_EMULATED, NVIO_BDEV_EMULATED },
		{ NVIO_BDEV_IO_COPY, NVIO_BDEV_NATIVE, NVIO_BDEV_EMULATED, NVIO_BDEV_NATIVE },
		{ NVIO_BDEV_IO_NVME, NVIO_BDEV_CANNOT, NVIO_BDEV_CANNOT, NVIO_BDEV_CANNOT },
		{ NVIO_BDEV_IO_TYPES, NVIO_BDEV_CANNOT, NVIO_BDEV_CANNOT, NVIO_BDEV_CANNOT },
		{ (enum nvio_bdev_io_type)1000, NVIO_BDEV_CANNOT, NVIO_BDEV_CANNOT, NVIO_BDEV_CANNOT },
	};
	struct nvio_op op = NVIO_OP(NULL);
	struct fixture *f = *state;
	struct disk d = make(f, &ways[0]);

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(nvio_bdev_can(d.bdev, cases[i].type), cases[i].native);
	unmake(f, &d);
	d = make(f, &ways[2]);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(nvio_bdev_can(d.bdev, cases[i].type), cases[i].emulated);
	unmake(f, &d);
	d = make(f, &ways[5]);
	memcpy(other, ram.data, BLOCK);
	assert_ok(nvio_await(nvio_bdev_compare(d.desc, d.ch, other, 0, BLOCK, &op), &op));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(nvio_bdev_can(d.bdev, cases[i].type), cases[i].after_refusal);
	unmake(f, &d);
}

static void an_emulated_operation_ends_with_the_modules_error(void **state)
{
	struct fixture *f = *state;

	for (unsigned room = 0; room < 2; room++) {
		struct nvio_op op = NVIO_OP(NULL);
		struct disk d = make(f, &ways[2]);

		ram.room = room * 4;
		ram.fail_rc = -EIO;
		ram.fail_type = NVIO_BDEV_CAN(NVIO_BDEV_IO_READ);
		ram.fail_from = 200 * 1024;
		ram.fail_to = ram.fail_from + 1;
		memcpy(other, ram.data, SIZE);
		memset(more, 0x11, SIZE);
		assert_ok(nvio_bdev_compare(d.desc, d.ch, other, 0, SIZE, &op));
		assert_int_equal(ram_wait(f, &ram, &op), -EIO);
		assert_ok(nvio_bdev_compare_and_write(d.desc, d.ch, other, more, 0, SIZE, &op));
		assert_int_equal(ram_wait(f, &ram, &op), -EIO);
		assert_memory_equal(ram.data, other, SIZE);
		assert_ok(nvio_bdev_copy(d.desc, d.ch, 0, SIZE / 2, SIZE / 2, &op));
		assert_int_equal(ram_wait(f, &ram, &op), -EIO);
		ram.fail_type = NVIO_BDEV_CAN(NVIO_BDEV_IO_WRITE);
		assert_ok(nvio_bdev_copy(d.desc, d.ch, SIZE / 2, 0, SIZE / 2, &op));
		assert_int_equal(ram_wait(f, &ram, &op), -EIO);
		ram.fail_type = 0;
		/* And everything that was lent for it is back: as much again works. */
		for (unsigned i = 0; i < 100; i++) {
			assert_ok(nvio_bdev_copy(d.desc, d.ch, 0, SIZE / 2, SIZE / 2, &op));
			assert_ok(ram_wait(f, &ram, &op));
		}
		unmake(f, &d);
	}
}

static void no_memory_for_an_emulation_is_said_and_not_for_good(void **state)
{
	struct nvio_op op = NVIO_OP(NULL);
	struct fixture *f = *state;
	struct disk d = make(f, &ways[2]);
	unsigned failures = 0;

	memcpy(other, ram.data, BLOCK);
	for (long n = 0, left = -1; left < 0; n++) {
		alloc_fail_after(n);
		assert_ok(nvio_bdev_compare(d.desc, d.ch, other, 0, BLOCK, &op));
		left = alloc_fail_after(-1);
		assert_int_equal(nvio_wait(&op), left < 0 ? -ENOMEM : 0);
		failures += left < 0;
	}
	assert_true(failures >= 1);
	unmake(f, &d);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		fixture_test(compare_tells_whether_it_is_there),
		fixture_test(compare_and_write_writes_when_it_is_there_and_nothing_else),
		fixture_test(copy_copies_and_touches_nothing_else),
		fixture_test(bad_ranges_are_refused_and_nothing_is_sent),
		fixture_test(bad_arguments_are_refused),
		fixture_test(nvme_commands_reach_a_module_that_has_them),
		fixture_test(a_device_tells_what_it_can),
		fixture_test(an_emulated_operation_ends_with_the_modules_error),
		fixture_test(no_memory_for_an_emulation_is_said_and_not_for_good),
	};

	return cmocka_run_group_tests_name("bdev/compare", tests, NULL, NULL);
}
