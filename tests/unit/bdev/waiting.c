/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the layer does around a module that is slow or lacks something: I/O that waits for room, its order,
 * deadlines and cancel, and write zeroes made of writes. The module is the test's own, registered as an
 * application would. B3, Z4.
 */
#include "support.h"

#define BLOCK  512u
#define BLOCKS 16384u /* 8 MiB: several pieces of an emulated write zeroes */
#define HELD   16u

/* RAM that holds on to what it gets until the test lets go. */
struct slow {
	unsigned char *data;
	struct nvio_bdev_io *held[HELD];
	unsigned held_count, room;
	bool at_once;  /* completes inside submit */
	int zeroes_rc; /* what native write zeroes answer */
	int submit_rc; /* what everything answers */
	unsigned submits, writes, fua_writes;
	void *channel;
};

static struct slow slow;
static uint64_t now_ns;

static uint64_t test_clock(void *arg)
{
	return now_ns;
}

static int execute(struct slow *s, struct nvio_bdev_io *io)
{
	unsigned char *at = s->data + io->offset;
	uint64_t left = io->len;

	if (io->type == NVIO_BDEV_IO_WRITE_ZEROES)
		return s->zeroes_rc;
	for (const struct iovec *iov = io->iov; left; iov++) {
		size_t n = MIN(iov->iov_len, left);

		if (io->type == NVIO_BDEV_IO_WRITE)
			memcpy(at, iov->iov_base, n);
		else
			memcpy(iov->iov_base, at, n);
		at += n;
		left -= n;
	}
	return 0;
}

static int slow_submit(void *device, void *channel, struct nvio_bdev_io *io)
{
	struct slow *s = device;

	assert_ptr_equal(channel, s->channel);
	s->submits++;
	if (s->submit_rc)
		return s->submit_rc;
	if (!s->at_once && s->held_count == s->room)
		return -EAGAIN;
	s->writes += io->type == NVIO_BDEV_IO_WRITE;
	s->fua_writes += io->type == NVIO_BDEV_IO_WRITE && io->fua;
	if (s->at_once)
		nvio_bdev_io_done(io, execute(s, io));
	else
		s->held[s->held_count++] = io;
	return 0;
}

static int slow_channel_create(void *device, void *channel, struct nvio_thread *thread)
{
	static const unsigned char zeroed[100];
	struct slow *s = device;

	assert_memory_equal(channel, zeroed, sizeof(zeroed));
	assert_int_equal((uintptr_t)channel % 64, 0);
	s->channel = channel;
	return 0;
}

static void let_go(struct slow *s, unsigned count)
{
	for (unsigned i = 0; i < count && s->held_count; i++) {
		struct nvio_bdev_io *io = s->held[0];

		memmove(s->held, s->held + 1, --s->held_count * sizeof(s->held[0]));
		nvio_bdev_io_done(io, execute(s, io));
	}
	nvio_bdev_channel_ready(s->channel);
}

static void slow_channel_destroy(void *device, void *channel)
{
	struct slow *s = device;

	while (s->held_count)
		let_go(s, s->held_count);
}

static void slow_destroy(void *device)
{
	struct slow *s = device;

	free(s->data);
}

static const struct nvio_bdev_module slow_module = {
	.name = "slow",
	.submit = slow_submit,
	.channel_create = slow_channel_create,
	.channel_destroy = slow_channel_destroy,
	.destroy = slow_destroy,
};

static struct disk make_slow(struct fixture *f, uint32_t io_types)
{
	struct nvio_bdev_params p;

	slow = (struct slow){ .data = malloc(BLOCK * BLOCKS), .room = HELD };
	assert_non_null(slow.data);
	memset(slow.data, 0xff, BLOCK * BLOCKS);
	assert_ok(nvio_bdev_module_register(f->env, &slow_module));
	nvio_bdev_params_init(&p);
	p.module = &slow_module;
	p.name = "s";
	p.device = &slow;
	p.channel_size = 100;
	p.num_blocks = BLOCKS;
	p.io_types |= io_types;
	assert_ok(nvio_bdev_register(f->env, &p));
	return disk_open(f, "s", NVIO_BDEV_WRITE);
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

static unsigned order[64], order_count;

static void note_order(struct nvio_op *op)
{
	order[order_count++] = (unsigned)(uintptr_t)op->arg;
}

static void what_has_no_room_waits_and_keeps_its_order(void **state)
{
	static unsigned char buf[BLOCK];
	struct nvio_op ops[40];
	struct fixture *f = *state;
	struct disk d = make_slow(f, 0);

	slow.room = 3;
	order_count = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(ops); i++) {
		ops[i] = (struct nvio_op)NVIO_OP(note_order);
		ops[i].arg = (void *)(uintptr_t)i;
		assert_ok(nvio_bdev_read(d.desc, d.ch, buf, i * BLOCK, BLOCK, &ops[i]));
	}
	assert_int_equal(slow.held_count, 3);
	assert_int_equal(slow.submits, 4); /* those behind the first that waits are not even tried */
	assert_int_equal(nvio_bdev_close(d.desc), -EBUSY);
	while (order_count < ARRAY_SIZE(ops)) {
		let_go(&slow, 2);
		nvio_thread_poll(f->thread, 0);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(ops); i++) {
		assert_int_equal(order[i], i);
		assert_ok(ops[i].status);
	}
	disk_close(&d);
}

static void a_waiting_op_can_be_cancelled_and_one_with_the_module_cannot(void **state)
{
	static unsigned char buf[BLOCK];
	struct nvio_op with = NVIO_OP(note_order), waits = NVIO_OP(note_order), last = NVIO_OP(note_order);
	struct fixture *f = *state;
	struct disk d = make_slow(f, 0);

	slow.room = 1;
	order_count = 0;
	assert_ok(nvio_bdev_read(d.desc, d.ch, buf, 0, BLOCK, &with));
	assert_ok(nvio_bdev_read(d.desc, d.ch, buf, 0, BLOCK, &waits));
	assert_ok(nvio_bdev_read(d.desc, d.ch, buf, 0, BLOCK, &last));
	assert_int_equal(nvio_cancel(&with), -EOPNOTSUPP);
	assert_errmsg_has("slow");
	assert_ok(nvio_cancel(&waits));
	assert_int_equal(order_count, 0); /* never inside the call */
	assert_int_equal(nvio_wait(&waits), -ECANCELED);
	assert_int_equal(nvio_cancel(&waits), -EALREADY);
	let_go(&slow, 1);
	assert_ok(nvio_wait(&with));
	let_go(&slow, 1);
	assert_ok(nvio_wait(&last));
	assert_int_equal(order_count, 3);
	disk_close(&d);
}

static void a_waiting_op_ends_at_its_deadline(void **state)
{
	static unsigned char buf[BLOCK];
	struct nvio_op with = NVIO_OP(NULL), late = NVIO_OP(NULL), soon = NVIO_OP(NULL),
		       never = NVIO_OP(NULL);
	struct fixture *f = *state;
	struct disk d = make_slow(f, 0);

	slow.room = 1;
	late.timeout_us = 50;
	soon.timeout_us = 20;
	never.timeout_us = UINT64_MAX;
	assert_ok(nvio_bdev_read(d.desc, d.ch, buf, 0, BLOCK, &with));
	assert_ok(nvio_bdev_read(d.desc, d.ch, buf, 0, BLOCK, &late));
	assert_ok(nvio_bdev_read(d.desc, d.ch, buf, 0, BLOCK, &soon));
	assert_ok(nvio_bdev_read(d.desc, d.ch, buf, 0, BLOCK, &never));
	now_ns += 19 * 1000;
	nvio_thread_poll(f->thread, 0);
	assert_true(nvio_op_pending(&soon));
	now_ns += 2 * 1000;
	nvio_thread_poll(f->thread, 0);
	nvio_thread_poll(f->thread, 0);
	assert_int_equal(soon.status, -ETIMEDOUT);
	assert_true(nvio_op_pending(&late));
	now_ns += 30 * 1000;
	nvio_thread_poll(f->thread, 0);
	nvio_thread_poll(f->thread, 0);
	assert_int_equal(late.status, -ETIMEDOUT);
	now_ns += 1ull << 60;
	nvio_thread_poll(f->thread, 0);
	assert_true(nvio_op_pending(&never));
	assert_true(nvio_op_pending(&with));
	let_go(&slow, 1);
	let_go(&slow, 1);
	assert_ok(nvio_wait(&with));
	assert_ok(nvio_wait(&never));
	assert_int_equal(slow.writes, 0);
	disk_close(&d);
}

static void a_deadline_that_passes_in_the_module_changes_the_status_alone(void **state)
{
	static const struct {
		uint64_t timeout_us, passes_us;
		int status;
	} cases[] = {
		{ 10, 9, 0 },
		{ 10, 10, -ETIMEDOUT },
		{ 10, 1000, -ETIMEDOUT },
		{ 0, 1000000, 0 },
		{ UINT64_MAX, 1000000, 0 },
		{ UINT64_MAX - 1, 1000000, 0 },
		{ UINT64_MAX / 1000 + 1, 1000000, 0 },
	};
	static unsigned char buf[BLOCK];
	struct fixture *f = *state;
	struct disk d = make_slow(f, 0);

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct nvio_op op = NVIO_OP(NULL);

		op.timeout_us = cases[i].timeout_us;
		assert_ok(nvio_bdev_read(d.desc, d.ch, buf, 0, BLOCK, &op));
		now_ns += cases[i].passes_us * 1000;
		nvio_thread_poll(f->thread, 0);
		assert_true(nvio_op_pending(&op)); /* the module still has the buffer */
		let_go(&slow, 1);
		assert_int_equal(nvio_wait(&op), cases[i].status);
	}
	disk_close(&d);
}

static void the_modules_status_reaches_the_op(void **state)
{
	static const int codes[] = { -EIO, -ENOSPC, -ENODEV, -EILSEQ, -EOPNOTSUPP };
	static unsigned char buf[BLOCK];
	struct fixture *f = *state;
	struct disk d = make_slow(f, 0);

	for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
		slow.submit_rc = codes[i];
		assert_int_equal(do_read(&d, buf, 0, BLOCK), codes[i]);
		assert_int_equal(do_write(&d, buf, 0, BLOCK), codes[i]);
	}
	disk_close(&d);
}

static void what_a_module_lacks_is_refused_or_needless(void **state)
{
	struct nvio_op op = NVIO_OP(NULL);
	struct fixture *f = *state;
	struct disk d = make_slow(f, 0);

	assert_int_equal(nvio_bdev_unmap(d.desc, d.ch, 0, BLOCK, &op), -EOPNOTSUPP);
	assert_errmsg_has("slow");
	assert_ok(nvio_await(nvio_bdev_flush(d.desc, d.ch, &op), &op));
	assert_int_equal(slow.submits, 0);
	disk_close(&d);
}

enum zeroes_kind { MISSING, REFUSED_AT_ONCE, REFUSED_LATER };

static void write_zeroes_is_made_of_writes_where_the_module_has_none(void **state)
{
	static const struct {
		enum zeroes_kind kind;
		bool at_once;
		unsigned room;
	} cases[] = {
		{ MISSING, true, 0 },
		{ MISSING, false, HELD },
		{ MISSING, false, 1 },
		{ REFUSED_AT_ONCE, true, 0 },
		{ REFUSED_LATER, false, HELD },
	};
	static const struct {
		uint64_t offset, len;
		unsigned writes;
	} ranges[] = {
		{ 0, BLOCK, 1 },
		{ BLOCK, 1 << 20, 1 },
		{ BLOCK, (1 << 20) + BLOCK, 2 },
		{ 0, BLOCK * BLOCKS, 8 },
	};
	struct fixture *f = *state;

	for (size_t c = 0; c < ARRAY_SIZE(cases); c++) {
		bool missing = cases[c].kind == MISSING;
		struct disk d = make_slow(f, missing ? 0 : NVIO_BDEV_CAN(NVIO_BDEV_IO_WRITE_ZEROES));

		slow.at_once = cases[c].at_once;
		slow.room = cases[c].room;
		slow.zeroes_rc = -EOPNOTSUPP;
		for (size_t r = 0; r < ARRAY_SIZE(ranges); r++) {
			uint64_t end = ranges[r].offset + ranges[r].len;
			struct nvio_op op = NVIO_OP(NULL), other = NVIO_OP(NULL);
			unsigned char buf[BLOCK];

			slow.writes = slow.fua_writes = 0;
			memset(slow.data, 0xff, BLOCK * BLOCKS);
			op.flags = NVIO_OP_FUA;
			assert_ok(nvio_bdev_write_zeroes(d.desc, d.ch, ranges[r].offset, ranges[r].len, &op));
			assert_ok(nvio_bdev_read(d.desc, d.ch, buf, 0, BLOCK, &other));
			while (nvio_op_pending(&op) || nvio_op_pending(&other)) {
				if (!slow.at_once)
					let_go(&slow, 1);
				nvio_thread_poll(f->thread, 0);
			}
			assert_ok(op.status);
			assert_ok(other.status);
			assert_int_equal(slow.writes, ranges[r].writes);
			assert_int_equal(slow.fua_writes, ranges[r].writes);
			assert_true(all_bytes_are(slow.data, 0xff, ranges[r].offset));
			assert_true(all_bytes_are(slow.data + ranges[r].offset, 0, ranges[r].len));
			assert_true(all_bytes_are(slow.data + end, 0xff, BLOCK * BLOCKS - end));
		}
		disk_close(&d);
		delete_device(f, "s");
		assert_ok(nvio_bdev_module_unregister(f->env, &slow_module));
	}
}

static void an_emulated_write_zeroes_ends_with_its_first_error(void **state)
{
	struct nvio_op op = NVIO_OP(NULL);
	struct fixture *f = *state;
	struct disk d = make_slow(f, 0);

	slow.room = 1;
	assert_ok(nvio_bdev_write_zeroes(d.desc, d.ch, 0, BLOCK * BLOCKS, &op));
	let_go(&slow, 1);
	slow.submit_rc = -EIO;
	let_go(&slow, 1);
	assert_int_equal(nvio_wait(&op), -EIO);
	assert_int_equal(slow.writes, 2);
	disk_close(&d);
}

static void a_channel_that_is_put_finishes_what_it_has_and_ends_what_waits(void **state)
{
	static unsigned char buf[BLOCK];
	struct nvio_op with = NVIO_OP(NULL), waits = NVIO_OP(NULL), zeroes = NVIO_OP(NULL);
	struct fixture *f = *state;
	struct disk d = make_slow(f, 0);

	slow.room = 2;
	assert_ok(nvio_bdev_read(d.desc, d.ch, buf, 0, BLOCK, &with));
	assert_ok(nvio_bdev_write_zeroes(d.desc, d.ch, 0, BLOCK * BLOCKS, &zeroes));
	assert_ok(nvio_bdev_read(d.desc, d.ch, buf, 0, BLOCK, &waits));
	nvio_channel_put(d.ch);
	for (int i = 0; i < 4; i++)
		nvio_thread_poll(f->thread, 0);
	assert_ok(with.status);
	assert_int_equal(waits.status, -ECANCELED);
	assert_int_equal(zeroes.status, -ECANCELED); /* between two of its pieces */
	assert_ok(nvio_bdev_close(d.desc));
}

#define clocked_test(fn) cmocka_unit_test_setup_teardown(fn, clocked_setup, fixture_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		fixture_test(what_has_no_room_waits_and_keeps_its_order),
		fixture_test(a_waiting_op_can_be_cancelled_and_one_with_the_module_cannot),
		clocked_test(a_waiting_op_ends_at_its_deadline),
		clocked_test(a_deadline_that_passes_in_the_module_changes_the_status_alone),
		fixture_test(the_modules_status_reaches_the_op),
		fixture_test(what_a_module_lacks_is_refused_or_needless),
		fixture_test(write_zeroes_is_made_of_writes_where_the_module_has_none),
		fixture_test(an_emulated_write_zeroes_ends_with_its_first_error),
		fixture_test(a_channel_that_is_put_finishes_what_it_has_and_ends_what_waits),
	};

	return cmocka_run_group_tests_name("bdev/waiting", tests, NULL, NULL);
}
