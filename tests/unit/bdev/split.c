/* SPDX-License-Identifier: BSD-3-Clause */
<<<<<<< HEAD
/* The split device: parts that do not touch each other, one claim, and a base that goes, shrinks and grows. B4. */
#include "stack.h"

#include <pthread.h>

#include "base/alloc.h"

static struct nvio_bdev_split_opts split_of(const char *base, uint32_t count, uint64_t size_mb)
{
	struct nvio_bdev_split_opts o;

	nvio_bdev_split_opts_init(&o);
	o.base = base;
	o.split_count = count;
	o.split_size_mb = size_mb;
	return o;
}

static void split(struct fixture *f, const char *base, uint32_t count, uint64_t size_mb)
{
	struct nvio_bdev_split_opts o = split_of(base, count, size_mb);

	if (nvio_bdev_split_create(f->env, &o))
		fail_msg("%s", nvio_errmsg());
}

static uint64_t blocks_of(struct fixture *f, const char *name)
{
	struct nvio_bdev_desc *desc;
	uint64_t blocks;

	if (nvio_bdev_open(f->env, name, 0, &desc))
		return 0;
	blocks = nvio_bdev_num_blocks(nvio_bdev_desc_bdev(desc));
	assert_ok(nvio_bdev_close(desc));
	return blocks;
}

static void each_part_is_its_piece_of_the_base(void **state)
{
	struct fixture *f = *state;
	struct disk parts[3], below;
	unsigned char buf[BLOCK], seen[BLOCK];
	struct nvio_op op = NVIO_OP(NULL);

	make_malloc(f, "m", BLOCK, 1000);
	split(f, "m", 3, 0);
	below = disk_open(f, "m", NVIO_BDEV_READ);
	for (unsigned i = 0; i < 3; i++) {
		char name[] = { 'm', 'p', (char)('0' + i), 0 };

		parts[i] = disk_open(f, name, NVIO_BDEV_WRITE);
		assert_int_equal(nvio_bdev_num_blocks(parts[i].bdev), 333);
		assert_string_equal(nvio_bdev_module(parts[i].bdev), "split");
	}
	for (unsigned i = 0; i < 3; i++) {
		memset(buf, (int)i + 1, BLOCK);
		assert_ok(do_write(&parts[i], buf, 0, BLOCK));
		assert_ok(do_write(&parts[i], buf, 332 * BLOCK, BLOCK));
		assert_int_equal(do_write(&parts[i], buf, 333 * BLOCK, BLOCK), -ERANGE);
		assert_int_equal(do_write(&parts[i], buf, 332 * BLOCK, 2 * BLOCK), -ERANGE);
	}
	for (unsigned i = 0; i < 3; i++) {
		assert_ok(do_read(&below, seen, i * 333 * BLOCK, BLOCK));
		assert_true(all_bytes_are(seen, (unsigned char)(i + 1), BLOCK));
		assert_ok(do_read(&below, seen, (i * 333 + 332) * BLOCK, BLOCK));
		assert_true(all_bytes_are(seen, (unsigned char)(i + 1), BLOCK));
	}
	/* The last block belongs to nobody. */
	assert_ok(do_read(&below, seen, 999 * BLOCK, BLOCK));
	assert_true(all_bytes_are(seen, 0, BLOCK));
	/* All of one part, and no more. */
	assert_ok(nvio_await(nvio_bdev_write_zeroes(parts[1].desc, parts[1].ch, 0, 333 * BLOCK, &op), &op));
	assert_ok(do_read(&below, seen, 332 * BLOCK, BLOCK));
	assert_true(all_bytes_are(seen, 1, BLOCK));
	assert_ok(do_read(&below, seen, 333 * BLOCK, BLOCK));
	assert_true(all_bytes_are(seen, 0, BLOCK));
	assert_ok(do_read(&below, seen, 666 * BLOCK, BLOCK));
	assert_true(all_bytes_are(seen, 3, BLOCK));
	for (unsigned i = 0; i < 3; i++)
		disk_close(&parts[i]);
	disk_close(&below);
}

static void sizes_are_as_asked_or_refused(void **state)
{
	static const struct {
		uint32_t count;
		uint64_t size_mb;
		int rc;
		uint64_t blocks;
	} cases[] = {
		{ 1, 0, 0, 20480 },
		{ 4, 0, 0, 5120 },
		{ 4, 2, 0, 4096 },
		{ 5, 2, 0, 4096 },
		{ 6, 2, -ENOSPC, 0 },
		{ 1, 11, -ENOSPC, 0 },
		{ 2, UINT64_MAX, -ENOSPC, 0 },
		{ 0, 0, -EINVAL, 0 },
		{ NVIO_BDEV_SPLIT_MAX, 0, 0, 20 },
		{ NVIO_BDEV_SPLIT_MAX + 1, 0, -EINVAL, 0 },
		{ UINT32_MAX, 0, -EINVAL, 0 },
	};
	struct fixture *f = *state;

	for (size_t c = 0; c < ARRAY_SIZE(cases); c++) {
		struct nvio_bdev_split_opts o = split_of("m", cases[c].count, cases[c].size_mb);

		o.name = "x";
		make_malloc(f, "m", BLOCK, 20480);
		assert_int_equal(nvio_bdev_split_create(f->env, &o), cases[c].rc);
		assert_int_equal(blocks_of(f, "xp0"), cases[c].blocks);
		delete_device(f, "m");
		poll_some(f);
		assert_int_equal(blocks_of(f, "xp0"), 0);
	}
	make_malloc(f, "small", BLOCK, 3);
	assert_int_equal(nvio_bdev_split_create(f->env, &(struct nvio_bdev_split_opts){ .size = sizeof(struct nvio_bdev_split_opts),
								 .base = "small", .split_count = 4 }), -ENOSPC);
	assert_int_equal(nvio_bdev_split_create(f->env, NULL), -EINVAL);
}

static void the_group_holds_one_claim_until_its_last_part_is_gone(void **state)
{
	struct fixture *f = *state;
	struct nvio_bdev_desc *desc, *other;
	struct nvio_bdev_split_opts again = split_of("m", 2, 0);

	make_malloc(f, "m", BLOCK, BLOCKS);
	split(f, "m", 3, 0);
	assert_int_equal(nvio_bdev_open(f->env, "m", NVIO_BDEV_WRITE, &desc), -EPERM);
	again.name = "other";
	assert_int_equal(nvio_bdev_split_create(f->env, &again), -EPERM);
	/* A part can be written and claimed for itself. */
	assert_ok(nvio_bdev_open(f->env, "mp1", NVIO_BDEV_WRITE, &desc));
	assert_ok(nvio_bdev_claim(desc));
	assert_int_equal(nvio_bdev_open(f->env, "mp1", NVIO_BDEV_WRITE, &other), -EPERM);
	assert_ok(nvio_bdev_open(f->env, "mp0", NVIO_BDEV_WRITE, &other));
	assert_ok(nvio_bdev_close(other));
	assert_ok(nvio_bdev_close(desc));
	delete_device(f, "mp1");
	delete_device(f, "mp0");
	assert_int_equal(nvio_bdev_open(f->env, "m", NVIO_BDEV_WRITE, &desc), -EPERM);
	delete_device(f, "mp2");
	assert_ok(nvio_bdev_open(f->env, "m", NVIO_BDEV_WRITE, &desc));
	assert_ok(nvio_bdev_close(desc));
	split(f, "m", 2, 0);
}

static void removal_of_the_base_removes_all_parts(void **state)
{
	struct fixture *f = *state;
	static struct nvio_op op, ios[64];
	static unsigned char buf[64][BLOCK];
	struct disk open[2];
	struct nvio_op again = NVIO_OP(NULL);

	make(f, "split?count=4&name=x:delay?avg_write=1000:malloc:2M?name=m");
	open[0] = disk_open(f, "xp0", NVIO_BDEV_WRITE);
	open[1] = disk_open(f, "xp3", NVIO_BDEV_WRITE);
	for (unsigned i = 0; i < 64; i++)
		start_write(&open[i % 2], &ios[i], buf[i], i * BLOCK, BLOCK);
	op = (struct nvio_op)NVIO_OP(NULL);
	assert_ok(nvio_bdev_delete(f->env, "m", &op));
	poll_some(f);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(blocks_of(f, (char[]){ 'x', 'p', (char)('0' + i), 0 }), 0);
	assert_int_equal(nvio_bdev_write(open[0].desc, open[0].ch, buf[0], 0, BLOCK, &again), -ENODEV);
	/* What is under way ends as it would have. */
	advance_us(f, 1000);
	for (unsigned i = 0; i < 64; i++)
		assert_ok(ios[i].status);
	assert_true(nvio_op_pending(&op));
	disk_close(&open[0]);
	disk_close(&open[1]);
	assert_ok(nvio_wait(&op));
}

static void parts_shrink_go_and_grow_with_the_base(void **state)
{
	struct fixture *f = *state;

	make_malloc(f, "m", BLOCK, 1000);
	split(f, "m", 4, 0);
	assert_int_equal(nvio_bdev_resize(f->env, "mp0", 251), -ENOSPC);
	assert_ok(nvio_bdev_resize(f->env, "m", 600));
	poll_some(f);
	assert_int_equal(blocks_of(f, "mp0"), 250);
	assert_int_equal(blocks_of(f, "mp1"), 250);
	assert_int_equal(blocks_of(f, "mp2"), 100);
	assert_int_equal(blocks_of(f, "mp3"), 0);
	assert_ok(nvio_bdev_resize(f->env, "m", 2000));
	poll_some(f);
	assert_int_equal(blocks_of(f, "mp2"), 250);
	assert_int_equal(blocks_of(f, "mp3"), 0);
	assert_ok(nvio_bdev_resize(f->env, "m", 500));
	poll_some(f);
	assert_int_equal(blocks_of(f, "mp1"), 250);
	assert_int_equal(blocks_of(f, "mp2"), 0);
	assert_ok(nvio_bdev_resize(f->env, "m", 1));
	poll_some(f);
	assert_int_equal(blocks_of(f, "mp0"), 1);
	assert_int_equal(blocks_of(f, "mp1"), 0);
}

/* A part is deleted by a user, another device takes its name, and then the base goes: the other one stays. */
static void who_has_taken_over_a_name_is_left_alone(void **state)
{
	struct fixture *f = *state;

	make_malloc(f, "m", BLOCK, BLOCKS);
	split(f, "m", 2, 0);
	delete_device(f, "mp0");
	make_malloc(f, "mp0", BLOCK, 77);
	assert_ok(nvio_bdev_resize(f->env, "m", BLOCKS / 4));
	poll_some(f);
	assert_int_equal(blocks_of(f, "mp0"), 77);
	delete_device(f, "m");
	poll_some(f);
	assert_int_equal(blocks_of(f, "mp0"), 77);
	assert_int_equal(blocks_of(f, "mp1"), 0);
}

static void a_part_that_cannot_be_made_takes_back_the_others(void **state)
{
	struct fixture *f = *state;
	struct nvio_bdev_desc *desc;
	struct nvio_bdev_split_opts o = split_of("m", 4, 0);

	make_malloc(f, "m", BLOCK, BLOCKS);
	make_malloc(f, "mp2", BLOCK, 5);
	assert_int_equal(nvio_bdev_split_create(f->env, &o), -EEXIST);
	assert_int_equal(blocks_of(f, "mp0"), 0);
	assert_int_equal(blocks_of(f, "mp2"), 5);
	assert_ok(nvio_bdev_open(f->env, "m", NVIO_BDEV_WRITE, &desc));
	assert_ok(nvio_bdev_close(desc));
}

static void each_allocation_may_fail(void **state)
{
	struct fixture *f = *state;
	struct nvio_bdev_split_opts o = split_of("m", 3, 0);
	struct nvio_bdev_desc *desc;
	long left = -1;
	int rc;

	make_malloc(f, "m", BLOCK, BLOCKS);
	for (long n = 0; left < 0; n++) {
		alloc_fail_after(n);
		rc = nvio_bdev_split_create(f->env, &o);
		left = alloc_fail_after(-1);
		assert_int_equal(rc, left < 0 ? -ENOMEM : 0);
		if (rc) {
			assert_int_equal(blocks_of(f, "mp0"), 0);
			assert_ok(nvio_bdev_open(f->env, "m", NVIO_BDEV_WRITE, &desc));
			assert_ok(nvio_bdev_close(desc));
		}
	}
	assert_int_not_equal(blocks_of(f, "mp2"), 0);
}

struct writer {
	struct fixture *f;
	unsigned number;
	pthread_t thread;
};

static void *write_part(void *arg)
{
	struct writer *w = arg;
	char name[] = { 'm', 'p', (char)('0' + w->number), 0 };
	unsigned char buf[4 * BLOCK], seen[4 * BLOCK];
	struct fixture own = *w->f;
	struct disk d;

	assert_ok(nvio_thread_create(own.env, NULL, &own.thread));
	assert_ok(nvio_thread_attach(own.thread));
	d = disk_open(&own, name, NVIO_BDEV_WRITE);
	memset(buf, (int)w->number + 1, sizeof(buf));
	for (unsigned round = 0; round < 4; round++)
		for (uint64_t at = 0; at + 4 <= BLOCKS / 4; at += 4)
			assert_ok(do_write(&d, buf, at * BLOCK, sizeof(buf)));
	for (uint64_t at = 0; at + 4 <= BLOCKS / 4; at += 4) {
		assert_ok(do_read(&d, seen, at * BLOCK, sizeof(seen)));
		assert_memory_equal(seen, buf, sizeof(buf));
	}
	disk_close(&d);
	assert_ok(nvio_thread_detach(own.thread));
	assert_ok(nvio_thread_destroy(own.thread));
	return NULL;
}

static void threads_on_parts_do_not_meet(void **state)
{
	struct fixture *f = *state;
	struct writer w[4];

	make_malloc(f, "m", BLOCK, BLOCKS);
	split(f, "m", 4, 0);
	for (unsigned i = 0; i < 4; i++) {
		w[i] = (struct writer){ .f = f, .number = i };
		assert_ok(pthread_create(&w[i].thread, NULL, write_part, &w[i]));
	}
	for (unsigned i = 0; i < 4; i++)
		assert_ok(pthread_join(w[i].thread, NULL));
=======
/* I/O that a module cannot take as it comes: too large, across boundaries, in too many pieces, in memory it cannot use. B3, Z2, Z16. */
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

static struct disk make(struct fixture *f, const struct nvio_bdev_params *limits, uint32_t types, unsigned room)
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
		uint64_t n = random_bool(random, 0.5) ? random_below(random, 64) * 64 : random_below(random, 900);

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
					memcpy(expected + offset + at, iov[k].iov_base, MIN(iov[k].iov_len, len - at));
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
				if (memcmp(ram.data + offset + at, iov[k].iov_base, MIN(iov[k].iov_len, len - at)))
					fail_msg("limits %zu: offset %llu length %llu: iovec %d of %d differs", i,
						(unsigned long long)offset, (unsigned long long)len, k, count);
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
	static const struct nvio_bdev_params limits = { .max_io_bytes = 4096, .boundary_bytes = 8192, .buf_align = 512 };
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
>>>>>>> 125a627 (tests: splitting and bouncing within every kind of limit)
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
<<<<<<< HEAD
		fixture_test(each_part_is_its_piece_of_the_base),
		fixture_test(sizes_are_as_asked_or_refused),
		fixture_test(the_group_holds_one_claim_until_its_last_part_is_gone),
		clocked_test(removal_of_the_base_removes_all_parts),
		fixture_test(parts_shrink_go_and_grow_with_the_base),
		fixture_test(who_has_taken_over_a_name_is_left_alone),
		fixture_test(a_part_that_cannot_be_made_takes_back_the_others),
		fixture_test(each_allocation_may_fail),
		fixture_test(threads_on_parts_do_not_meet),
=======
		fixture_test(what_is_too_large_or_crosses_a_boundary_becomes_just_as_many_pieces),
		fixture_test(odd_memory_is_copied_and_limits_are_kept_whatever_comes),
		fixture_test(pieces_are_in_flight_together_and_more_io_than_the_pool_has_waits),
		fixture_test(the_first_error_is_the_ios_and_nothing_more_is_sent),
		cmocka_unit_test_setup_teardown(deadlines_and_cancel_stop_what_has_not_been_sent, clocked_setup, fixture_teardown),
		fixture_test(a_channel_that_is_put_ends_what_is_in_pieces),
		fixture_test(it_works_below_other_devices),
		fixture_test(impossible_limits_are_refused_by_name),
		fixture_test(every_allocation_of_a_channel_with_limits_may_fail),
>>>>>>> 125a627 (tests: splitting and bouncing within every kind of limit)
	};

	return cmocka_run_group_tests_name("bdev/split", tests, NULL, NULL);
}
