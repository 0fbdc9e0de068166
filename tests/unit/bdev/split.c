/* SPDX-License-Identifier: BSD-3-Clause */
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
	/* A copy stays in its part, both ends of it. */
	assert_ok(nvio_await(nvio_bdev_copy(parts[2].desc, parts[2].ch, 332 * BLOCK, 5 * BLOCK, BLOCK, &op), &op));
	assert_ok(do_read(&below, seen, (666 + 5) * BLOCK, BLOCK));
	assert_true(all_bytes_are(seen, 3, BLOCK));
	assert_int_equal(nvio_bdev_copy(parts[0].desc, parts[0].ch, 333 * BLOCK, 0, BLOCK, &op), -ERANGE);
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
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		fixture_test(each_part_is_its_piece_of_the_base),
		fixture_test(sizes_are_as_asked_or_refused),
		fixture_test(the_group_holds_one_claim_until_its_last_part_is_gone),
		clocked_test(removal_of_the_base_removes_all_parts),
		fixture_test(parts_shrink_go_and_grow_with_the_base),
		fixture_test(who_has_taken_over_a_name_is_left_alone),
		fixture_test(a_part_that_cannot_be_made_takes_back_the_others),
		fixture_test(each_allocation_may_fail),
		fixture_test(threads_on_parts_do_not_meet),
	};

	return cmocka_run_group_tests_name("bdev/split", tests, NULL, NULL);
}
