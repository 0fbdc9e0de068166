/* SPDX-License-Identifier: BSD-3-Clause */
/* I/O that a module cannot take as it comes: too large, across boundaries, in too many pieces, in memory it
 * cannot use. B3, Z2, Z16. */
#include "ram.h"

#include "base/alloc.h"
#include "base/random.h"

#define BLOCK  512u
#define BLOCKS 2048u
#define SIZE   ((uint64_t)BLOCK * BLOCKS)
#define SLACK  4096u

static struct ram ram;
static _Alignas(4096) unsigned char mem[SIZE + 2 * SLACK], expected[SIZE];
static uint64_t now_ns;

static struct disk make(
	struct fixture *f, const struct nvio_bdev_params *limits, uint32_t types, unsigned room)
{
	ram = (struct ram){ .params = *limits, .room = room };
	ram_make(f, &ram, types, BLOCKS);
	return disk_open(f, "r", NVIO_BDEV_WRITE);
}

static void unmake(struct fixture *f, struct disk *d)
{
	disk_close(d);
	delete_device(f, "r");
}

static void what_is_too_large_or_crosses_a_boundary_becomes_just_as_many_pieces(void **state)
{
	static const struct {
		struct nvio_bdev_params limits;
		uint64_t offset, len;
		unsigned pieces;
	} cases[] = {
		{ { .max_io_bytes = 4096 }, 0, 4096, 1 },
		{ { .max_io_bytes = 4096 }, 512, 4096, 1 },
		{ { .max_io_bytes = 4096 }, 0, 4608, 2 },
		{ { .max_io_bytes = 512 }, 512, 8192, 16 },
		{ { .max_io_bytes = 1536 }, 0, 4608, 3 },
		{ { .boundary_bytes = 4096 }, 0, 4096, 1 },
		{ { .boundary_bytes = 4096 }, 512, 3584, 1 },
		{ { .boundary_bytes = 4096 }, 512, 4096, 2 },
		{ { .boundary_bytes = 4096 }, 3584, 1024, 2 },
		{ { .boundary_bytes = 512 }, 512, 1536, 3 },
		{ { .boundary_bytes = 8192, .max_io_bytes = 1024 }, 7680, 2048, 3 },
		{ { .max_io_bytes = 65536 }, 0, SIZE, 16 },
		{ { .max_iovcnt = 1 }, 0, SIZE, 1 },
		{ { .buf_align = 512 }, 0, SIZE, 1 },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (unsigned room = 0; room < 4; room += 3) {
			struct disk d = make(f, &cases[i].limits, NVIO_BDEV_CAN(NVIO_BDEV_IO_COMPARE), room);
			struct nvio_op op = NVIO_OP(NULL);

			memset(mem, 0, sizeof(mem));
			assert_ok(nvio_bdev_read(d.desc, d.ch, mem, cases[i].offset, cases[i].len, &op));
			assert_ok(ram_wait(f, &ram, &op));
			assert_memory_equal(mem, ram.data + cases[i].offset, cases[i].len);
			assert_true(all_bytes_are(mem + cases[i].len, 0, SLACK));
			assert_int_equal(ram.counts[NVIO_BDEV_IO_READ], cases[i].pieces);
			assert_ok(nvio_bdev_compare(d.desc, d.ch, mem, cases[i].offset, cases[i].len, &op));
			assert_ok(ram_wait(f, &ram, &op));
			assert_int_equal(ram.counts[NVIO_BDEV_IO_COMPARE], cases[i].pieces);
			mem[cases[i].len - 1]++;
			assert_ok(nvio_bdev_compare(d.desc, d.ch, mem, cases[i].offset, cases[i].len, &op));
			assert_int_equal(ram_wait(f, &ram, &op), -EILSEQ);
			assert_ok(nvio_bdev_write(d.desc, d.ch, mem, cases[i].offset, cases[i].len, &op));
			assert_ok(ram_wait(f, &ram, &op));
			assert_memory_equal(mem, ram.data + cases[i].offset, cases[i].len);
			assert_int_equal(ram.counts[NVIO_BDEV_IO_WRITE], cases[i].pieces);
			assert_int_equal(ram.broken, 0);
			unmake(f, &d);
		}
}

/* Any number of iovecs at any address, for `len` bytes and more. */
static int cut(struct random *random, struct iovec *iov, int most, uint64_t len)
{
	unsigned char *at = mem + random_below(random, 2) * random_below(random, 600);
	uint64_t left = len;
	int count = 0;

	while (left) {
		uint64_t n =
			random_bool(random, 0.5) ? random_below(random, 64) * 64 : random_below(random, 900);

		if (count + 1 >= most || n > left)
			n = left;
		iov[count++] = (struct iovec){ at, n };
		at += n;
		left -= n;
	}
	if (random_bool(random, 0.3))
		iov[count - 1].iov_len += 100;
	return count;
}

static void odd_memory_is_copied_and_limits_are_kept_whatever_comes(void **state)
{
	static const struct nvio_bdev_params limits[] = {
		{ .buf_align = 512 },
		{ .buf_align = 4096 },
		{ .buf_align = 4 },
		{ .max_iovcnt = 1 },
		{ .max_iovcnt = 2, .buf_align = 64 },
		{ .max_iovcnt = 16, .max_io_bytes = 65536, .boundary_bytes = 131072, .buf_align = 4 },
		{ .boundary_bytes = 512 },
		{ .max_io_bytes = 4096, .buf_align = 4096, .block_size = 4096 },
		{ .max_iovcnt = 3, .block_size = 1024 },
	};
	uint64_t seed = random_os_seed();
	struct fixture *f = *state;
	struct iovec iov[40];
	struct random random;

	print_message("# seed 0x%llx\n", (unsigned long long)seed);
	random_init(&random, seed);
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		uint32_t block = limits[i].block_size ? limits[i].block_size : BLOCK;
		struct disk d;

		ram = (struct ram){ .params = limits[i], .room = i % 3 * 2 };
		ram_make(f, &ram, i & 1 ? NVIO_BDEV_CAN(NVIO_BDEV_IO_COMPARE) : 0, SIZE / block);
		d = disk_open(f, "r", NVIO_BDEV_WRITE);
		for (unsigned n = 0; n < 300; n++) {
			uint64_t offset = random_below(&random, SIZE / block) * block;
			uint64_t len = (1 + random_below(&random, n % 10 ? 20 : 400)) * block;
			struct nvio_op op = NVIO_OP(NULL);
			uint64_t at = 0;
			int count, rc;

			len = MIN(len, SIZE - offset);
			count = cut(&random, iov, 40, len);
			if (n & 1) {
				random_fill(&random, mem, sizeof(mem));
				memcpy(expected, ram.data, SIZE);
				for (int k = 0; k < count; at += iov[k++].iov_len)
					memcpy(expected + offset + at, iov[k].iov_base,
						MIN(iov[k].iov_len, len - at));
				rc = nvio_bdev_writev(d.desc, d.ch, iov, count, offset, len, &op);
				assert_ok(rc);
				assert_ok(ram_wait(f, &ram, &op));
				assert_memory_equal(ram.data, expected, SIZE);
				assert_ok(nvio_bdev_comparev(d.desc, d.ch, iov, count, offset, len, &op));
				assert_ok(ram_wait(f, &ram, &op));
				continue;
			}
			memset(mem, 0xdb, sizeof(mem));
			assert_ok(nvio_bdev_readv(d.desc, d.ch, iov, count, offset, len, &op));
			assert_ok(ram_wait(f, &ram, &op));
			for (int k = 0; k < count; at += iov[k++].iov_len)
				if (memcmp(ram.data + offset + at, iov[k].iov_base,
					    MIN(iov[k].iov_len, len - at)))
					fail_msg(
						"limits %zu: offset %llu length %llu: iovec %d of %d differs",
						i, (unsigned long long)offset, (unsigned long long)len, k,
						count);
			assert_true(all_bytes_are((unsigned char *)iov[0].iov_base + len, 0xdb, 100));
		}
		assert_int_equal(ram.broken, 0);
		unmake(f, &d);
	}
}

static void pieces_are_in_flight_together_and_more_io_than_the_pool_has_waits(void **state)
{
	static const struct nvio_bdev_params limits = { .max_io_bytes = 512, .buf_align = 512 };
	struct fixture *f = *state;
	struct disk d = make(f, &limits, 0, RAM_HELD);
	static struct nvio_op ops[16];
	bool pending = true;

	for (unsigned i = 0; i < ARRAY_SIZE(ops); i++) {
		ops[i] = (struct nvio_op)NVIO_OP(NULL);
		/* Half of them through bounce memory. */
		assert_ok(nvio_bdev_read(d.desc, d.ch, mem + i * 32768 + (i & 1), i * 16384, 16384, &ops[i]));
	}
	while (pending) {
		ram_let_go(&ram, 1);
		nvio_thread_poll(f->thread, 0);
		pending = false;
		for (unsigned i = 0; i < ARRAY_SIZE(ops); i++)
			pending |= nvio_op_pending(&ops[i]);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(ops); i++) {
		assert_ok(ops[i].status);
		assert_memory_equal(mem + i * 32768 + (i & 1), ram.data + i * 16384, 16384);
	}
	assert_true(ram.most_held > 8);
	assert_int_equal(ram.counts[NVIO_BDEV_IO_READ], ARRAY_SIZE(ops) * 32);
	assert_int_equal(ram.broken, 0);
	unmake(f, &d);
}

static void the_first_error_is_the_ios_and_nothing_more_is_sent(void **state)
{
	static const struct nvio_bdev_params limits = { .max_io_bytes = 4096 };
	struct nvio_op op = NVIO_OP(NULL);
	struct fixture *f = *state;
	struct disk d = make(f, &limits, 0, 2);

	ram.fail_type = NVIO_BDEV_CAN(NVIO_BDEV_IO_WRITE);
	ram.fail_rc = -ENOSPC;
	ram.fail_from = 16384;
	ram.fail_to = 16385;
	assert_ok(nvio_bdev_write(d.desc, d.ch, mem, 0, 256 * 1024, &op));
	assert_int_equal(ram_wait(f, &ram, &op), -ENOSPC);
	assert_true(ram.counts[NVIO_BDEV_IO_WRITE] <= 8); /* of 64 */
	assert_int_equal(ram.held_count, 0);
	unmake(f, &d);
}

static uint64_t test_clock(void *arg)
{
	return now_ns;
}

static int clocked_setup(void **state)
{
	struct nvio_env_opts opts;
	struct fixture *f;

	if (fixture_setup(state))
		return -1;
	f = *state;
	assert_ok(nvio_thread_detach(f->thread));
	nvio_env_close(f->env);
	nvio_env_opts_init(&opts);
	opts.now_ns = test_clock;
	now_ns = 1000000;
	assert_ok(nvio_env_open(&opts, &f->env));
	assert_ok(nvio_thread_create(f->env, NULL, &f->thread));
	assert_ok(nvio_thread_attach(f->thread));
	return 0;
}

static void deadlines_and_cancel_stop_what_has_not_been_sent(void **state)
{
	static const struct nvio_bdev_params limits = { .max_io_bytes = 512 };
	struct nvio_op a = NVIO_OP(NULL), b = NVIO_OP(NULL), c = NVIO_OP(NULL);
	struct fixture *f = *state;
	struct disk d = make(f, &limits, 0, 4);

	a.timeout_us = 100;
	assert_ok(nvio_bdev_read(d.desc, d.ch, mem, 0, 65536, &a));
	assert_ok(nvio_bdev_read(d.desc, d.ch, mem + 65536, 65536, 65536, &b));
	assert_ok(nvio_bdev_write_zeroes(d.desc, d.ch, 512 * 1024, 65536, &c));
	now_ns += 101 * 1000;
	nvio_thread_poll(f->thread, 0);
	nvio_thread_poll(f->thread, 0);
	assert_true(nvio_op_pending(&a)); /* the module still has four of its pieces */
	assert_ok(nvio_cancel(&c));
	nvio_thread_poll(f->thread, 0);
	assert_int_equal(c.status, -ECANCELED);
	assert_int_equal(ram.counts[NVIO_BDEV_IO_WRITE], 0);
	ram_let_go(&ram, 4);
	nvio_thread_poll(f->thread, 0);
	assert_int_equal(a.status, -ETIMEDOUT);
	assert_ok(nvio_cancel(&b));
	assert_true(nvio_op_pending(&b));
	assert_int_equal(nvio_cancel(&b), -EOPNOTSUPP);
	assert_int_equal(ram_wait(f, &ram, &b), -ECANCELED);
	assert_true(ram.counts[NVIO_BDEV_IO_READ] < 16);
	unmake(f, &d);
}

static void a_channel_that_is_put_ends_what_is_in_pieces(void **state)
{
	static const struct nvio_bdev_params limits = { .max_io_bytes = 512 };
	struct nvio_op ops[4] = { NVIO_OP(NULL), NVIO_OP(NULL), NVIO_OP(NULL), NVIO_OP(NULL) };
	struct fixture *f = *state;
	struct disk d = make(f, &limits, 0, 3);

	assert_ok(nvio_bdev_read(d.desc, d.ch, mem, 0, 65536, &ops[0]));
	assert_ok(nvio_bdev_copy(d.desc, d.ch, 0, 65536, 65536, &ops[1]));
	assert_ok(nvio_bdev_compare(d.desc, d.ch, mem, 0, 65536, &ops[2]));
	assert_ok(nvio_bdev_write_zeroes(d.desc, d.ch, 0, 65536, &ops[3]));
	nvio_channel_put(d.ch);
	for (unsigned i = 0; i < 4; i++)
		nvio_thread_poll(f->thread, 0);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(ops[i].status, -ECANCELED);
	assert_ok(nvio_bdev_close(d.desc));
}

static void it_works_below_other_devices(void **state)
{
	static const struct nvio_bdev_params limits = {
		.max_io_bytes = 4096, .boundary_bytes = 8192, .buf_align = 512
	};
	struct nvio_bdev_passthru_opts o;
	struct fixture *f = *state;
	struct nvio_op op = NVIO_OP(NULL);
	struct disk d;

	ram = (struct ram){ .params = limits, .room = 2 };
	ram_make(f, &ram, 0, BLOCKS);
	nvio_bdev_passthru_opts_init(&o);
	o.name = "p";
	o.base = "r";
	assert_ok(nvio_bdev_passthru_create(f->env, &o));
	o.name = "q";
	o.base = "p";
	assert_ok(nvio_bdev_passthru_create(f->env, &o));
	d = disk_open(f, "q", NVIO_BDEV_WRITE);
	for (unsigned i = 0; i < 3; i++) {
		op.timeout_us = i == 1 ? 60000000 : 0;
		assert_ok(nvio_bdev_read(d.desc, d.ch, mem + 1, 512, 100 * 512, &op));
		assert_ok(ram_wait(f, &ram, &op));
		assert_memory_equal(mem + 1, ram.data + 512, 100 * 512);
		assert_ok(nvio_bdev_compare(d.desc, d.ch, mem + 1, 512, 100 * 512, &op));
		assert_ok(ram_wait(f, &ram, &op));
		assert_ok(nvio_bdev_copy(d.desc, d.ch, 0, SIZE / 2, SIZE / 2, &op));
		assert_ok(ram_wait(f, &ram, &op));
		assert_memory_equal(ram.data, ram.data + SIZE / 2, SIZE / 2);
		memcpy(mem, ram.data, 8192);
		memset(expected, (int)i, 8192);
		assert_ok(nvio_bdev_compare_and_write(d.desc, d.ch, mem, expected, 0, 8192, &op));
		assert_ok(ram_wait(f, &ram, &op));
		assert_true(all_bytes_are(ram.data, (unsigned char)i, 8192));
		assert_ok(nvio_bdev_write_zeroes(d.desc, d.ch, 512, 8192, &op));
		assert_ok(ram_wait(f, &ram, &op));
		assert_true(all_bytes_are(ram.data + 512, 0, 8192));
	}
	assert_int_equal(ram.broken, 0);
	disk_close(&d);
}

static void impossible_limits_are_refused_by_name(void **state)
{
	static const struct {
		struct nvio_bdev_params limits;
		const char *word;
	} cases[] = {
		{ { .max_io_bytes = 511 }, "max_io_bytes" },
		{ { .max_io_bytes = 513 }, "max_io_bytes" },
		{ { .boundary_bytes = 256 }, "boundary_bytes" },
		{ { .boundary_bytes = 1536 }, "boundary_bytes" },
		{ { .buf_align = 3 }, "buf_align" },
		{ { .buf_align = 8192 }, "buf_align" },
	};
	struct fixture *f = *state;

	assert_ok(nvio_bdev_module_register(f->env, &ram_module));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct nvio_bdev_params p;

		nvio_bdev_params_init(&p);
		p.module = &ram_module;
		p.name = "r";
		p.num_blocks = 8;
		p.max_io_bytes = cases[i].limits.max_io_bytes;
		p.boundary_bytes = cases[i].limits.boundary_bytes;
		p.buf_align = cases[i].limits.buf_align;
		assert_int_equal(nvio_bdev_register(f->env, &p), -EINVAL);
		assert_errmsg_has(cases[i].word);
	}
}

static void every_allocation_of_a_channel_with_limits_may_fail(void **state)
{
	static const struct nvio_bdev_params limits = { .max_io_bytes = 512 };
	struct fixture *f = *state;
	struct disk d = make(f, &limits, 0, 0);
	unsigned failures = 0;

	nvio_channel_put(d.ch);
	nvio_thread_poll(f->thread, 0);
	for (long n = 0, left = -1; left < 0; n++) {
		int rc;

		alloc_fail_after(n);
		rc = nvio_bdev_channel(d.desc, &d.ch);
		left = alloc_fail_after(-1);
		assert_int_equal(rc, left < 0 ? -ENOMEM : 0);
		failures += left < 0;
	}
	assert_true(failures >= 2);
	unmake(f, &d);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		fixture_test(what_is_too_large_or_crosses_a_boundary_becomes_just_as_many_pieces),
		fixture_test(odd_memory_is_copied_and_limits_are_kept_whatever_comes),
		fixture_test(pieces_are_in_flight_together_and_more_io_than_the_pool_has_waits),
		fixture_test(the_first_error_is_the_ios_and_nothing_more_is_sent),
		cmocka_unit_test_setup_teardown(
			deadlines_and_cancel_stop_what_has_not_been_sent, clocked_setup, fixture_teardown),
		fixture_test(a_channel_that_is_put_ends_what_is_in_pieces),
		fixture_test(it_works_below_other_devices),
		fixture_test(impossible_limits_are_refused_by_name),
		fixture_test(every_allocation_of_a_channel_with_limits_may_fail),
	};

	return cmocka_run_group_tests_name("bdev/pieces", tests, NULL, NULL);
}
