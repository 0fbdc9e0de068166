/* SPDX-License-Identifier: BSD-3-Clause */
/* Limits: rates to the I/O, bursts, debts, weights, what is in flight at once, all on a clock of the test's own. B5. */
#include "hold.h"

#include "base/alloc.h"

#define BIG	(64u * HOLD_BLOCK)
#define STEP_NS 1000000u

static unsigned char buf[BIG];

/* One that keeps so many I/Os submitted, and counts what ends. */
struct load {
	struct nvio_bdev_desc *desc;
	struct nvio_channel *ch;
	struct nvio_thread *thread;
	bool write;
	uint64_t len;
	unsigned done;
	bool stop;
	struct nvio_op ops[64];
};

static void submit(struct load *l, struct nvio_op *op);

static void on_done(struct nvio_op *op)
{
	struct load *l = op->arg;

	if (op->status == -ECANCELED)
		return;
	assert_ok(op->status);
	l->done++;
	if (!l->stop)
		submit(l, op);
}

static void submit(struct load *l, struct nvio_op *op)
{
	*op = (struct nvio_op)NVIO_OP(on_done);
	op->arg = l;
	if (l->write)
		assert_ok(nvio_bdev_write(l->desc, l->ch, buf, 0, l->len, op));
	else
		assert_ok(nvio_bdev_read(l->desc, l->ch, buf, 0, l->len, op));
}

static void start(struct load *l, struct disk *d, struct fixture *f, bool write, uint64_t len, unsigned depth)
{
	*l = (struct load){ .desc = d->desc, .ch = d->ch, .thread = f->thread, .write = write, .len = len };
	for (unsigned i = 0; i < depth; i++)
		submit(l, &l->ops[i]);
}

static void start_aside(struct load *l, struct disk *d, struct side *s, bool write, unsigned depth)
{
	*l = (struct load){ .desc = d->desc, .ch = s->ch, .thread = s->thread, .write = write, .len = HOLD_BLOCK };
	assert_ok(nvio_thread_attach(s->thread));
	for (unsigned i = 0; i < depth; i++)
		submit(l, &l->ops[i]);
	assert_ok(nvio_thread_detach(s->thread));
}

static void run_us(struct fixture *f, struct side *s, uint64_t us)
{
	for (uint64_t t = 0; t < us; t += STEP_NS / 1000) {
		settle(f, s);
		hold_now_ns += STEP_NS;
	}
	settle(f, s);
}

/* All that waits ends, so that the test can. */
static void stop(struct fixture *f, struct side *s, struct load *l)
{
	l->stop = true;
	for (unsigned i = 0; i < ARRAY_SIZE(l->ops); i++) {
		if (!nvio_op_pending(&l->ops[i]))
			continue;
		assert_ok(nvio_thread_attach(l->thread));
		nvio_cancel(&l->ops[i]);
		assert_ok(nvio_thread_detach(l->thread));
	}
	settle(f, s);
}

static void set_qos(struct fixture *f, struct side *s, struct disk *d, const struct nvio_bdev_qos *q)
{
	struct nvio_op op = NVIO_OP(NULL);

	assert_ok(nvio_bdev_set_qos(d->desc, d->ch, q, &op));
	settle(f, s);
	assert_ok(op.status);
}

static void set_weight(struct fixture *f, struct side *s, struct disk *d, uint32_t weight)
{
	struct nvio_bdev_desc_qos q;
	struct nvio_op op = NVIO_OP(NULL);

	nvio_bdev_desc_qos_init(&q);
	q.weight = weight;
	assert_ok(nvio_bdev_set_desc_qos(d->desc, d->ch, &q, &op));
	settle(f, s);
	assert_ok(op.status);
}

static struct nvio_bdev_qos no_limits(void)
{
	struct nvio_bdev_qos q;

	nvio_bdev_qos_init(&q);
	return q;
}

/* Ten seconds of a load that is always there: the burst, and then the rate, exactly. */
static void rates_are_kept_to_the_io(void **state)
{
	enum which { READ_IOS, READ_BYTES, WRITE_IOS, WRITE_BYTES, ALL_IOS, ALL_BYTES };
	static const struct {
		enum which which;
		uint64_t per_s, burst;
		unsigned reads, writes; /* in ten seconds; UINT_MAX: not limited */
	} cases[] = {
		{ READ_IOS, 1000, 50, 10050, UINT32_MAX },
		{ WRITE_IOS, 1000, 50, UINT32_MAX, 10050 },
		{ READ_IOS, 8, 1, 81, UINT32_MAX },
		{ WRITE_IOS, 333, 0, UINT32_MAX, 3330 + 33 },
		{ READ_BYTES, 100 * HOLD_BLOCK, 10 * HOLD_BLOCK, 1010, UINT32_MAX },
		{ WRITE_BYTES, 100 * HOLD_BLOCK, 10 * HOLD_BLOCK, UINT32_MAX, 1010 },
		{ ALL_IOS, 1000, 100, 10100, 0 },
		{ ALL_BYTES, 1000 * HOLD_BLOCK, 100 * HOLD_BLOCK, 10100, 0 },
	};
	struct fixture *f = *state;
	struct hold *h = make_hold(f, "h", 0);
	struct disk d = disk_open(f, "h", NVIO_BDEV_WRITE);
	static struct load reads, writes;

	h->at_once = true;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct nvio_bdev_qos q = no_limits();
		struct nvio_bdev_rate *rates[] = { &q.read_ios, &q.read_bytes, &q.write_ios, &q.write_bytes, &q.all_ios,
			&q.all_bytes };

		set_qos(f, NULL, &d, &q);
		rates[cases[i].which]->per_s = cases[i].per_s;
		rates[cases[i].which]->burst = cases[i].burst;
		set_qos(f, NULL, &d, &q);
		start(&reads, &d, f, false, HOLD_BLOCK, 8);
		start(&writes, &d, f, true, HOLD_BLOCK, cases[i].writes ? 8 : 0);
		run_us(f, NULL, 10000000);
		if (cases[i].reads != UINT32_MAX && reads.done != cases[i].reads)
			fail_msg("case %zu: %u reads", i, reads.done);
		if (cases[i].writes != UINT32_MAX && writes.done != cases[i].writes)
			fail_msg("case %zu: %u writes", i, writes.done);
		/* What is not limited is not held up by what is, on the same descriptor. */
		if (cases[i].reads == UINT32_MAX)
			assert_true(reads.done > 50000);
		if (cases[i].writes == UINT32_MAX)
			assert_true(writes.done > 50000);
		stop(f, NULL, &reads);
		stop(f, NULL, &writes);
	}
	disk_close(&d);
}

static void io_larger_than_the_bucket_goes_into_debt(void **state)
{
	struct fixture *f = *state;
	struct hold *h = make_hold(f, "h", 0);
	struct disk d = disk_open(f, "h", NVIO_BDEV_WRITE);
	struct nvio_bdev_qos q = no_limits();
	static struct load l;

	h->at_once = true;
	q.all_bytes = (struct nvio_bdev_rate){ BIG, HOLD_BLOCK };
	set_qos(f, NULL, &d, &q);
	start(&l, &d, f, true, BIG, 4);
	settle(f, NULL);
	assert_int_equal(l.done, 1);
	run_us(f, NULL, 10000000);
	assert_in_range(l.done, 10, 11);
	stop(f, NULL, &l);
	disk_close(&d);
}

static void several_threads_keep_one_rate(void **state)
{
	struct fixture *f = *state;
	struct hold *h = make_hold(f, "h", 0);
	struct disk d = disk_open(f, "h", NVIO_BDEV_WRITE);
	struct side s = side_open(f, d.desc);
	struct nvio_bdev_qos q = no_limits();
	static struct load mine, theirs;

	h->at_once = true;
	q.all_ios = (struct nvio_bdev_rate){ 1000, 10 };
	set_qos(f, &s, &d, &q);
	start(&mine, &d, f, true, HOLD_BLOCK, 16);
	start_aside(&theirs, &d, &s, false, 16);
	run_us(f, &s, 10000000);
	assert_int_equal(mine.done + theirs.done, 10010);
	stop(f, &s, &mine);
	stop(f, &s, &theirs);
	side_close(&s);
	disk_close(&d);
}

/* Each of the two is always there; on one thread or on two; under a rate of I/Os, of bytes, or so many in flight. */
static void weights_share_what_there_is(void **state)
{
	enum limit { IOS, BYTES, IN_FLIGHT };
	static const struct {
		enum limit limit;
		bool aside;
		uint32_t a, b;
	} cases[] = {
		{ IOS, false, 100, 100 },
		{ IOS, false, 300, 100 },
		{ IOS, false, 1, 9 },
		{ IOS, true, 100, 100 },
		{ IOS, true, 300, 100 },
		{ IOS, true, 100, 900 },
		{ BYTES, false, 100, 400 },
		{ BYTES, true, 400, 100 },
		{ IN_FLIGHT, false, 100, 100 },
		{ IN_FLIGHT, false, 500, 100 },
		{ IN_FLIGHT, true, 300, 100 },
	};
	struct fixture *f = *state;
	struct hold *h = make_hold(f, "h", 0);
	struct disk a = disk_open(f, "h", NVIO_BDEV_WRITE), b = disk_open(f, "h", NVIO_BDEV_WRITE);
	struct side s = side_open(f, b.desc);
	static struct load la, lb;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct nvio_bdev_qos q = no_limits();
		double want = (double)cases[i].a / cases[i].b, got;

		set_qos(f, &s, &a, &q);
		q.all_ios.per_s = cases[i].limit == IOS ? 1000 : 0;
		q.all_bytes.per_s = cases[i].limit == BYTES ? 1000 * HOLD_BLOCK : 0;
		q.max_in_flight = cases[i].limit == IN_FLIGHT ? 4 : 0;
		set_qos(f, &s, &a, &q);
		set_weight(f, &s, &a, cases[i].a);
		set_weight(f, &s, &b, cases[i].b);
		h->at_once = cases[i].limit != IN_FLIGHT;
		start(&la, &a, f, true, HOLD_BLOCK, 32);
		if (cases[i].aside)
			start_aside(&lb, &b, &s, true, 32);
		else
			start(&lb, &b, f, true, HOLD_BLOCK, 32);
		/* Beyond the burst, which goes to whoever comes first. */
		if (h->at_once)
			run_us(f, &s, 500000);
		la.done = lb.done = 0;
		for (unsigned n = 0; !h->at_once && n < 4000; n++) {
			assert_true(h->channels[0]->count + h->channels[1]->count <= 4);
			hold_let_go(h->channels[n & 1], 1);
			hold_let_go(h->channels[~n & 1], 1);
			settle(f, &s);
		}
		if (h->at_once)
			run_us(f, &s, 20000000);
		got = (double)la.done / lb.done;
		if (got < want * 0.95 || got > want * 1.05)
			fail_msg("case %zu: %u and %u, wanted %u to %u", i, la.done, lb.done, cases[i].a, cases[i].b);
		if (h->at_once)
			assert_in_range(la.done + lb.done, 19990, 20010);
		h->at_once = true;
		la.stop = lb.stop = true;
		hold_let_go(h->channels[0], HOLD_MAX);
		hold_let_go(h->channels[1], HOLD_MAX);
		stop(f, &s, &la);
		stop(f, &s, &lb);
	}
	side_close(&s);
	disk_close(&a);
	disk_close(&b);
}

static void a_flood_starves_nobody_and_who_pauses_leaves_all_to_others(void **state)
{
	struct fixture *f = *state;
	struct hold *h = make_hold(f, "h", 0);
	struct disk a = disk_open(f, "h", NVIO_BDEV_WRITE), b = disk_open(f, "h", NVIO_BDEV_WRITE);
	struct nvio_bdev_qos q = no_limits();
	static struct load flood, small;

	h->at_once = true;
	q.all_ios = (struct nvio_bdev_rate){ 1000, 10 };
	set_qos(f, NULL, &a, &q);
	start(&flood, &a, f, true, HOLD_BLOCK, 64);
	run_us(f, NULL, 1000000);
	assert_int_equal(flood.done, 1010);
	start(&small, &b, f, true, HOLD_BLOCK, 1);
	flood.done = 0;
	run_us(f, NULL, 1000000);
	assert_in_range(small.done, 475, 525);
	stop(f, NULL, &small);
	flood.done = 0;
	run_us(f, NULL, 1000000);
	assert_in_range(flood.done, 999, 1001);
	/* A pause saves up no more than the burst. */
	stop(f, NULL, &flood);
	run_us(f, NULL, 5000000);
	start(&flood, &a, f, true, HOLD_BLOCK, 64);
	settle(f, NULL);
	assert_int_equal(flood.done, 10);
	stop(f, NULL, &flood);
	disk_close(&a);
	disk_close(&b);
}

static void a_descriptor_has_limits_of_its_own(void **state)
{
	struct fixture *f = *state;
	struct hold *h = make_hold(f, "h", 0);
	struct disk a = disk_open(f, "h", NVIO_BDEV_WRITE), b = disk_open(f, "h", NVIO_BDEV_WRITE);
	struct nvio_bdev_desc_qos own;
	struct nvio_bdev_qos q = no_limits();
	struct nvio_op op = NVIO_OP(NULL);
	static struct load la, lb;

	h->at_once = true;
	nvio_bdev_desc_qos_init(&own);
	own.ios = (struct nvio_bdev_rate){ 100, 10 };
	assert_ok(nvio_await(nvio_bdev_set_desc_qos(a.desc, a.ch, &own, &op), &op));
	start(&la, &a, f, true, HOLD_BLOCK, 8);
	start(&lb, &b, f, true, HOLD_BLOCK, 8);
	run_us(f, NULL, 10000000);
	assert_int_equal(la.done, 1010);
	assert_true(lb.done > 50000);
	/* Under a limit of the device the rest is the others'. */
	q.all_ios = (struct nvio_bdev_rate){ 1000, 10 };
	set_qos(f, NULL, &a, &q);
	la.done = lb.done = 0;
	run_us(f, NULL, 10000000);
	assert_int_equal(la.done, 1000);
	assert_int_equal(la.done + lb.done, 10000);
	stop(f, NULL, &la);
	stop(f, NULL, &lb);
	disk_close(&a);
	/* It ends with its descriptor. */
	q = no_limits();
	set_qos(f, NULL, &b, &q);
	start(&lb, &b, f, true, HOLD_BLOCK, 8);
	run_us(f, NULL, 1000000);
	assert_true(lb.done > 5000);
	stop(f, NULL, &lb);
	disk_close(&b);
}

static void what_waits_goes_by_new_limits_and_ends_by_cancel_and_deadline(void **state)
{
	struct fixture *f = *state;
	struct hold *h = make_hold(f, "h", 0);
	struct disk d = disk_open(f, "h", NVIO_BDEV_WRITE);
	struct nvio_bdev_qos q = no_limits(), seen = no_limits();
	struct nvio_op ops[6];

	h->at_once = true;
	q.write_ios = (struct nvio_bdev_rate){ 1, 1 };
	set_qos(f, NULL, &d, &q);
	assert_ok(nvio_bdev_get_qos(d.desc, &seen));
	assert_int_equal(seen.write_ios.per_s, 1);
	assert_int_equal(seen.write_ios.burst, 1);
	for (unsigned i = 0; i < 6; i++) {
		ops[i] = (struct nvio_op)NVIO_OP(NULL);
		ops[i].timeout_us = i == 2 ? 500 : 0;
		assert_ok(nvio_bdev_write(d.desc, d.ch, buf, 0, HOLD_BLOCK, &ops[i]));
	}
	assert_ok(nvio_cancel(&ops[1]));
	settle(f, NULL);
	hold_now_ns += 600000;
	settle(f, NULL);
	assert_ok(ops[0].status);
	assert_int_equal(ops[1].status, -ECANCELED);
	assert_int_equal(ops[2].status, -ETIMEDOUT);
	assert_true(nvio_op_pending(&ops[3]));
	hold_now_ns += 1000000000;
	settle(f, NULL);
	assert_ok(ops[3].status);
	assert_true(nvio_op_pending(&ops[4]));
	q = no_limits();
	set_qos(f, NULL, &d, &q);
	settle(f, NULL);
	assert_ok(ops[4].status);
	assert_ok(ops[5].status);
	disk_close(&d);
}

/* What waits for a limit does not keep a lock waiting, waits for the lock when it has paid nothing yet, and then goes. */
static void limits_and_locks_go_together(void **state)
{
	struct fixture *f = *state;
	struct hold *h = make_hold(f, "h", 0);
	struct disk d = disk_open(f, "h", NVIO_BDEV_WRITE);
	struct nvio_bdev_qos q = no_limits();
	struct nvio_bdev_lock lock = { { 0 } };
	struct nvio_op ops[3], op = NVIO_OP(NULL);

	h->at_once = true;
	q.all_ios = (struct nvio_bdev_rate){ 10, 1 };
	set_qos(f, NULL, &d, &q);
	for (unsigned i = 0; i < 3; i++) {
		ops[i] = (struct nvio_op)NVIO_OP(NULL);
		assert_ok(nvio_bdev_write(d.desc, d.ch, buf, 0, HOLD_BLOCK, &ops[i]));
	}
	assert_ok(nvio_await(nvio_bdev_quiesce(d.desc, d.ch, &lock, &op), &op));
	run_us(f, NULL, 1000000);
	assert_int_equal(h->submits, 1);
	assert_ok(nvio_bdev_unquiesce(&lock));
	settle(f, NULL);
	assert_ok(ops[1].status);
	assert_true(nvio_op_pending(&ops[2]));
	run_us(f, NULL, 200000);
	assert_ok(ops[2].status);
	disk_close(&d);
}

static void a_stacked_device_has_limits_of_its_own(void **state)
{
	static const char *const limited[] = { "p", "h" };
	struct fixture *f = *state;
	struct hold *h = make_hold(f, "h", 0);
	struct disk top, d;
	static struct load l;

	make_above(f, "p", "h");
	h->at_once = true;
	top = disk_open(f, "p", NVIO_BDEV_WRITE);
	for (size_t i = 0; i < ARRAY_SIZE(limited); i++) {
		struct nvio_bdev_qos q = no_limits();

		d = disk_open(f, limited[i], 0);
		q.all_ios = (struct nvio_bdev_rate){ 100, 5 };
		q.max_in_flight = 2;
		set_qos(f, NULL, &d, &q);
		start(&l, &top, f, true, HOLD_BLOCK, 16);
		run_us(f, NULL, 10000000);
		assert_int_equal(l.done, 1005);
		stop(f, NULL, &l);
		q = no_limits();
		set_qos(f, NULL, &d, &q);
		disk_close(&d);
	}
	disk_close(&top);
}

static void bad_values_are_refused_in_words(void **state)
{
	static const struct {
		struct nvio_bdev_rate rate;
		const char *words;
	} cases[] = {
		{ { NVIO_BDEV_RATE_MAX + 1, 0 }, "read_bytes" },
		{ { UINT64_MAX, 0 }, "more than" },
		{ { 1, UINT64_MAX }, "more than" },
		{ { 0, 1 }, "without a rate" },
	};
	struct fixture *f = *state;
	struct hold *h = make_hold(f, "h", 0);
	struct disk d = disk_open(f, "h", NVIO_BDEV_WRITE);
	struct nvio_bdev_desc_qos own;
	struct nvio_op op = NVIO_OP(NULL);
	struct nvio_bdev_qos q = no_limits();

	h->at_once = true;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		q.read_bytes = cases[i].rate;
		assert_int_equal(nvio_bdev_set_qos(d.desc, d.ch, &q, &op), -EINVAL);
		assert_errmsg_has(cases[i].words);
		nvio_bdev_desc_qos_init(&own);
		own.bytes = cases[i].rate;
		assert_int_equal(nvio_bdev_set_desc_qos(d.desc, d.ch, &own, &op), -EINVAL);
	}
	for (unsigned i = 0; i < 2; i++) {
		nvio_bdev_desc_qos_init(&own);
		own.weight = i ? NVIO_BDEV_WEIGHT_MAX + 1 : 0;
		assert_int_equal(nvio_bdev_set_desc_qos(d.desc, d.ch, &own, &op), -EINVAL);
		assert_errmsg_has("weight");
	}
	q = no_limits();
	q.size = 3;
	assert_int_equal(nvio_bdev_set_qos(d.desc, d.ch, &q, &op), -EINVAL);
	assert_int_equal(nvio_bdev_get_qos(d.desc, &q), -EINVAL);
	assert_int_equal(nvio_bdev_set_qos(d.desc, d.ch, NULL, &op), -EINVAL);
	assert_int_equal(nvio_bdev_set_desc_qos(d.desc, d.ch, NULL, &op), -EINVAL);
	assert_int_equal(nvio_bdev_get_qos(NULL, &q), -EINVAL);
	q = no_limits();
	assert_int_equal(nvio_bdev_set_qos(NULL, d.ch, &q, &op), -EINVAL);
	assert_int_equal(nvio_bdev_set_qos(d.desc, NULL, &q, &op), -EINVAL);
	/* The largest there are limit nothing, and the smallest do not lose the fractions. */
	q.all_bytes = (struct nvio_bdev_rate){ NVIO_BDEV_RATE_MAX, NVIO_BDEV_RATE_MAX };
	q.all_ios = (struct nvio_bdev_rate){ NVIO_BDEV_RATE_MAX, 1 };
	set_qos(f, NULL, &d, &q);
	for (unsigned i = 0; i < 100; i++) {
		assert_ok(do_write(&d, buf, 0, HOLD_BLOCK));
		hold_now_ns += 1000000;
	}
	assert_int_equal(h->submits, 100);
	disk_close(&d);
}

static void without_memory_nothing_is_changed(void **state)
{
	struct fixture *f = *state;
	struct hold *h = make_hold(f, "h", 0);
	struct disk d = disk_open(f, "h", NVIO_BDEV_WRITE);
	struct nvio_bdev_qos q = no_limits(), seen = no_limits();
	struct nvio_op op = NVIO_OP(NULL);
	struct nvio_bdev_desc_qos own;

	h->at_once = true;
	q.write_ios.per_s = 1;
	nvio_bdev_desc_qos_init(&own);
	own.ios.per_s = 1;
	/* The first limit of a device needs memory, whosever it is. */
	for (unsigned descs = 0; descs < 2; descs++) {
		alloc_fail_after(0);
		assert_int_equal(descs ? nvio_bdev_set_desc_qos(d.desc, d.ch, &own, &op)
				       : nvio_bdev_set_qos(d.desc, d.ch, &q, &op),
			-ENOMEM);
		assert_true(alloc_fail_after(-1) < 0);
		assert_ok(nvio_bdev_get_qos(d.desc, &seen));
		assert_int_equal(seen.write_ios.per_s, 0);
		/* More than would pass at once. */
		for (unsigned i = 0; i < 3; i++)
			assert_ok(do_write(&d, buf, 0, HOLD_BLOCK));
	}
	/* And no other does. */
	assert_ok(nvio_await(nvio_bdev_set_qos(d.desc, d.ch, &q, &op), &op));
	for (unsigned descs = 0; descs < 2; descs++) {
		alloc_fail_after(0);
		assert_ok(nvio_await(descs ? nvio_bdev_set_desc_qos(d.desc, d.ch, &own, &op)
					   : nvio_bdev_set_qos(d.desc, d.ch, &q, &op),
			&op));
		alloc_fail_after(-1);
	}
	disk_close(&d);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		hold_test(rates_are_kept_to_the_io),
		hold_test(io_larger_than_the_bucket_goes_into_debt),
		hold_test(several_threads_keep_one_rate),
		hold_test(weights_share_what_there_is),
		hold_test(a_flood_starves_nobody_and_who_pauses_leaves_all_to_others),
		hold_test(a_descriptor_has_limits_of_its_own),
		hold_test(what_waits_goes_by_new_limits_and_ends_by_cancel_and_deadline),
		hold_test(limits_and_locks_go_together),
		hold_test(a_stacked_device_has_limits_of_its_own),
		hold_test(bad_values_are_refused_in_words),
		hold_test(without_memory_nothing_is_changed),
	};

	return cmocka_run_group_tests_name("bdev/qos", tests, NULL, NULL);
}
