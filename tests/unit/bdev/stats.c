/* SPDX-License-Identifier: BSD-3-Clause */
/* Statistics, latency histograms and queue-depth samples, over channels, threads and stacks. B5. */
#include "ram.h"

#include <pthread.h>

#include "base/alloc.h"
#include "base/clock.h"
#include <nvio/bdev_stat.h>

#define BLOCK  512u
#define BLOCKS 4096u

static unsigned char buf[64 * 1024];

static struct nvio_bdev_stats stats_of(struct disk *d)
{
	struct nvio_bdev_stats stats = NVIO_BDEV_STATS;
	struct nvio_op op = NVIO_OP(NULL);

	assert_ok(nvio_await(nvio_bdev_get_stats(d->desc, &stats, &op), &op));
	return stats;
}

static void reset(struct disk *d)
{
	struct nvio_op op = NVIO_OP(NULL);

	assert_ok(nvio_await(nvio_bdev_reset_stats(d->desc, &op), &op));
}

static void make_passthru(struct fixture *f, const char *name, const char *base)
{
	struct nvio_bdev_passthru_opts o;

	nvio_bdev_passthru_opts_init(&o);
	o.name = name;
	o.base = base;
	assert_ok(nvio_bdev_passthru_create(f->env, &o));
}

static void each_type_counts_its_operations_bytes_and_errors(void **state)
{
	struct nvio_op op = NVIO_OP(NULL);
	struct fixture *f = *state;
	struct nvio_bdev_stats s;
	struct disk d;
	static struct ram ram;

	ram = (struct ram){ 0 };
	ram_make(f, &ram, 0, BLOCKS);
	d = disk_open(f, "r", NVIO_BDEV_WRITE);
	s = stats_of(&d);
	for (unsigned i = 0; i < ARRAY_SIZE(s.io); i++) {
		const struct nvio_bdev_io_stats none = { 0 };

		assert_memory_equal(&s.io[i], &none, sizeof(none));
	}
	for (unsigned i = 0; i < 5; i++)
		assert_ok(do_read(&d, buf, 0, 4096));
	for (unsigned i = 0; i < 3; i++)
		assert_ok(do_write(&d, buf, 0, 8192));
	assert_ok(nvio_await(nvio_bdev_write_zeroes(d.desc, d.ch, 0, 512 * 1024, &op), &op));
	assert_ok(nvio_await(nvio_bdev_flush(d.desc, d.ch, &op), &op));
	ram.fail_type = NVIO_BDEV_CAN(NVIO_BDEV_IO_READ);
	ram.fail_rc = -EIO;
	assert_int_equal(do_read(&d, buf, 0, 512), -EIO);
	s = stats_of(&d);
	assert_int_equal(s.io[NVIO_BDEV_IO_READ].ops, 6);
	assert_int_equal(s.io[NVIO_BDEV_IO_READ].bytes, 5 * 4096 + 512);
	assert_int_equal(s.io[NVIO_BDEV_IO_READ].errors, 1);
	assert_int_equal(s.io[NVIO_BDEV_IO_WRITE].ops, 3); /* those that zeros were made of do not count */
	assert_int_equal(s.io[NVIO_BDEV_IO_WRITE].bytes, 3 * 8192);
	assert_int_equal(s.io[NVIO_BDEV_IO_WRITE].errors, 0);
	assert_int_equal(s.io[NVIO_BDEV_IO_WRITE_ZEROES].ops, 1);
	assert_int_equal(s.io[NVIO_BDEV_IO_WRITE_ZEROES].bytes, 512 * 1024);
	assert_int_equal(s.io[NVIO_BDEV_IO_FLUSH].ops, 1);
	assert_int_equal(s.io[NVIO_BDEV_IO_FLUSH].bytes, 0);
	assert_int_equal(s.channels, 1);
	assert_int_equal(s.in_flight, 0);
	assert_true(s.elapsed_ns > 0);
	reset(&d);
	s = stats_of(&d);
	assert_int_equal(s.io[NVIO_BDEV_IO_READ].ops, 0);
	assert_int_equal(s.io[NVIO_BDEV_IO_READ].max_ns, 0);
	assert_ok(do_write(&d, buf, 0, 8192));
	assert_int_equal(stats_of(&d).io[NVIO_BDEV_IO_WRITE].ops, 1);
	disk_close(&d);
}

static void latencies_are_in_nanoseconds_and_depth_follows_from_them(void **state)
{
	struct nvio_op ops[3] = { NVIO_OP(NULL), NVIO_OP(NULL), NVIO_OP(NULL) };
	struct fixture *f = *state;
	const struct nvio_bdev_io_stats *r;
	struct nvio_bdev_stats s;
	static struct ram ram;
	uint64_t began, took;
	struct disk d;

	ram = (struct ram){ .room = RAM_HELD };
	ram_make(f, &ram, 0, BLOCKS);
	d = disk_open(f, "r", NVIO_BDEV_WRITE);
	reset(&d);
	began = clock_monotonic_ns();
	for (unsigned i = 0; i < 3; i++)
		assert_ok(nvio_bdev_read(d.desc, d.ch, buf, 0, 512, &ops[i]));
	s = stats_of(&d);
	assert_int_equal(s.in_flight, 3);
	sleep_ns(20 * NS_PER_MS);
	for (unsigned i = 0; i < 3; i++)
		assert_ok(ram_wait(f, &ram, &ops[i]));
	took = clock_monotonic_ns() - began;
	s = stats_of(&d);
	r = &s.io[NVIO_BDEV_IO_READ];
	assert_int_equal(r->ops, 3);
	/* The counter's rate is known to a few per mille. */
	assert_in_range(r->min_ns, 19 * NS_PER_MS, took + took / 50);
	assert_in_range(r->max_ns, r->min_ns, took + took / 50);
	assert_in_range(r->total_ns, 3 * r->min_ns - 3, 3 * r->max_ns + 3);
	assert_true(s.mean_depth > 0.5 * (double)r->total_ns / (double)s.elapsed_ns);
	assert_true(s.mean_depth < 3.1);
	disk_close(&d);
}

static void channels_that_have_ended_still_count(void **state)
{
	struct fixture *f = *state;
	struct nvio_bdev_stats s;
	struct disk d;

	make_malloc(f, "m", BLOCK, BLOCKS);
	d = disk_open(f, "m", NVIO_BDEV_WRITE);
	for (unsigned i = 0; i < 10; i++) {
		assert_ok(do_read(&d, buf, 0, 512));
		nvio_channel_put(d.ch);
		nvio_thread_poll(f->thread, 0);
		s = stats_of(&d);
		assert_int_equal(s.channels, 0);
		assert_int_equal(s.io[NVIO_BDEV_IO_READ].ops, i + 1);
		assert_ok(nvio_bdev_channel(d.desc, &d.ch));
	}
	reset(&d);
	assert_int_equal(stats_of(&d).io[NVIO_BDEV_IO_READ].ops, 0);
	disk_close(&d);
}

/* Reads, and from time to time with a deadline, which takes the long way down. */
static void read_some(struct disk *d, unsigned count, unsigned slow)
{
	for (unsigned i = 0; i < count; i++) {
		struct nvio_op op = NVIO_OP(NULL);

		op.timeout_us = i < slow ? 60000000 : 0;
		assert_ok(nvio_await(nvio_bdev_read(d->desc, d->ch, buf, 0, 512, &op), &op));
	}
}

static void io_of_a_stack_counts_once_at_each_device(void **state)
{
	struct disk a, b, bottom;
	struct fixture *f = *state;

	make_malloc(f, "m", BLOCK, BLOCKS);
	make_passthru(f, "a", "m");
	make_passthru(f, "b", "a");
	a = disk_open(f, "a", NVIO_BDEV_READ);
	b = disk_open(f, "b", NVIO_BDEV_WRITE);
	bottom = disk_open(f, "m", NVIO_BDEV_READ);
	read_some(&a, 7, 2);
	read_some(&b, 5, 3);
	read_some(&bottom, 11, 1);
	assert_int_equal(stats_of(&b).io[NVIO_BDEV_IO_READ].ops, 5);
	assert_int_equal(stats_of(&a).io[NVIO_BDEV_IO_READ].ops, 12);
	assert_int_equal(stats_of(&bottom).io[NVIO_BDEV_IO_READ].ops, 23);
	/* Resetting one forgets nothing of the others. */
	reset(&a);
	assert_int_equal(stats_of(&b).io[NVIO_BDEV_IO_READ].ops, 5);
	assert_int_equal(stats_of(&a).io[NVIO_BDEV_IO_READ].ops, 0);
	assert_int_equal(stats_of(&bottom).io[NVIO_BDEV_IO_READ].ops, 23);
	read_some(&a, 3, 1);
	reset(&bottom);
	assert_int_equal(stats_of(&a).io[NVIO_BDEV_IO_READ].ops, 3);
	assert_int_equal(stats_of(&bottom).io[NVIO_BDEV_IO_READ].ops, 0);
	read_some(&b, 4, 1);
	/* Nor does the end of a channel above. */
	disk_close(&b);
	disk_close(&a);
	for (unsigned i = 0; i < 10; i++)
		nvio_thread_poll(f->thread, 0);
	assert_int_equal(stats_of(&bottom).io[NVIO_BDEV_IO_READ].ops, 4);
	assert_int_equal(stats_of(&bottom).io[NVIO_BDEV_IO_READ].bytes, 4 * 512);
	disk_close(&bottom);
}

#define THREADS 4u
#define READS	20000u

struct worker {
	struct fixture *f;
	unsigned reads;
};

static void *work(void *arg)
{
	struct worker *w = arg;
	struct nvio_thread *t;
	unsigned char *mine = malloc(4096);
	struct disk d;

	if (nvio_thread_create(w->f->env, NULL, &t) || nvio_thread_attach(t))
		abort();
	for (unsigned n = 0; n < w->reads;) {
		d = disk_open(w->f, "m", NVIO_BDEV_WRITE);
		for (unsigned i = 0; i < 100; i++, n++)
			if (do_read(&d, mine, 0, 512))
				abort();
		disk_close(&d);
		nvio_thread_poll(t, 0);
	}
	if (nvio_thread_detach(t) || nvio_thread_destroy(t))
		abort();
	free(mine);
	return NULL;
}

static void nothing_is_lost_or_counted_twice_while_channels_come_and_go(void **state)
{
	struct worker w = { .f = *state, .reads = READS };
	pthread_t threads[THREADS];
	struct fixture *f = *state;
	uint64_t before = 0;
	struct disk d;

	make_malloc(f, "m", BLOCK, BLOCKS);
	d = disk_open(f, "m", NVIO_BDEV_READ);
	for (unsigned i = 0; i < THREADS; i++)
		assert_ok(pthread_create(&threads[i], NULL, work, &w));
	for (unsigned i = 0; i < 300; i++) {
		uint64_t ops = stats_of(&d).io[NVIO_BDEV_IO_READ].ops;

		assert_true(ops >= before && ops <= THREADS * READS);
		before = ops;
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(stats_of(&d).io[NVIO_BDEV_IO_READ].ops, THREADS * READS);
	disk_close(&d);
}

static int set_histograms(struct disk *d, bool on)
{
	struct nvio_op op = NVIO_OP(NULL);

	return nvio_await(nvio_bdev_set_histograms(d->desc, on, &op), &op);
}

static void histograms_count_each_latency_while_they_are_on(void **state)
{
	static struct nvio_histogram h;
	struct nvio_op op = NVIO_OP(NULL);
	struct nvio_bdev_stats s;
	struct fixture *f = *state;
	struct disk d, top;

	make_malloc(f, "m", BLOCK, BLOCKS);
	make_passthru(f, "p", "m");
	d = disk_open(f, "m", NVIO_BDEV_READ);
	top = disk_open(f, "p", NVIO_BDEV_WRITE);
	read_some(&d, 5, 0);
	assert_int_equal(nvio_bdev_get_histogram(d.desc, NVIO_BDEV_IO_READ, &h, &op), -ENOENT);
	assert_ok(set_histograms(&d, true));
	assert_ok(set_histograms(&d, true)); /* goes on with those there are */
	reset(&d);
	read_some(&d, 100, 10);
	read_some(&top, 50, 10);
	assert_ok(do_write(&top, buf, 0, 512));
	nvio_histogram_clear(&h);
	assert_ok(nvio_await(nvio_bdev_get_histogram(d.desc, NVIO_BDEV_IO_READ, &h, &op), &op));
	assert_int_equal(nvio_histogram_count(&h), 150);
	s = stats_of(&d);
	assert_int_equal(s.io[NVIO_BDEV_IO_READ].ops, 150);
	assert_in_range(
		nvio_histogram_max(&h), s.io[NVIO_BDEV_IO_READ].min_ns, s.io[NVIO_BDEV_IO_READ].max_ns);
	nvio_histogram_clear(&h);
	assert_ok(nvio_await(nvio_bdev_get_histogram(d.desc, NVIO_BDEV_IO_WRITE, &h, &op), &op));
	assert_int_equal(nvio_histogram_count(&h), 1);
	/* Of a channel that has ended, too, and of one that comes later. */
	disk_close(&top);
	for (unsigned i = 0; i < 10; i++)
		nvio_thread_poll(f->thread, 0);
	nvio_channel_put(d.ch);
	nvio_thread_poll(f->thread, 0);
	assert_ok(nvio_bdev_channel(d.desc, &d.ch));
	read_some(&d, 10, 0);
	nvio_histogram_clear(&h);
	assert_ok(nvio_await(nvio_bdev_get_histogram(d.desc, NVIO_BDEV_IO_READ, &h, &op), &op));
	assert_int_equal(nvio_histogram_count(&h), 160);
	assert_ok(set_histograms(&d, false));
	read_some(&d, 3, 0);
	assert_int_equal(nvio_bdev_get_histogram(d.desc, NVIO_BDEV_IO_READ, &h, &op), -ENOENT);
	assert_int_equal(nvio_bdev_get_histogram(d.desc, NVIO_BDEV_IO_TYPES, &h, &op), -EINVAL);
	disk_close(&d);
}

static void queue_depths_are_sampled_by_the_environments_clock(void **state)
{
	struct nvio_op ops[6], op = NVIO_OP(NULL);
	struct fixture *f = *state;
	struct nvio_bdev_stats s;
	static struct ram ram;
	struct disk d;

	ram = (struct ram){ .room = 4 };
	ram_make(f, &ram, 0, BLOCKS);
	d = disk_open(f, "r", NVIO_BDEV_WRITE);
	assert_ok(nvio_await(nvio_bdev_set_depth_sampling(d.desc, 500, &op), &op));
	for (unsigned i = 0; i < ARRAY_SIZE(ops); i++) {
		ops[i] = (struct nvio_op)NVIO_OP(NULL);
		assert_ok(nvio_bdev_read(d.desc, d.ch, buf, 0, 512, &ops[i]));
	}
	do {
		nvio_thread_poll(f->thread, 0);
		s = stats_of(&d);
	} while (s.sampled_depth_max < 6);
	assert_int_equal(s.sampled, 1);
	assert_int_equal(s.sampled_depth_max, 6); /* those that wait for room are among them */
	assert_true(s.sampled_depth > 0 && s.sampled_depth <= 6);
	for (unsigned i = 0; i < ARRAY_SIZE(ops); i++)
		assert_ok(ram_wait(f, &ram, &ops[i]));
	assert_ok(nvio_await(nvio_bdev_set_depth_sampling(d.desc, 0, &op), &op));
	s = stats_of(&d);
	assert_int_equal(s.sampled, 0);
	disk_close(&d);
}

static void bad_calls_are_refused_and_every_allocation_may_fail(void **state)
{
	struct nvio_bdev_stats stats = NVIO_BDEV_STATS, small = { .size = 8 };
	static struct nvio_histogram h;
	struct nvio_op op = NVIO_OP(NULL), gone = NVIO_OP(NULL);
	struct fixture *f = *state;
	struct disk d;

	make_malloc(f, "m", BLOCK, BLOCKS);
	d = disk_open(f, "m", NVIO_BDEV_READ);
	assert_int_equal(nvio_bdev_get_stats(NULL, &stats, &op), -EINVAL);
	assert_int_equal(nvio_bdev_get_stats(d.desc, NULL, &op), -EINVAL);
	assert_int_equal(nvio_bdev_get_stats(d.desc, &stats, NULL), -EINVAL);
	assert_int_equal(nvio_bdev_get_stats(d.desc, &small, &op), -EINVAL);
	assert_int_equal(nvio_bdev_get_histogram(d.desc, NVIO_BDEV_IO_READ, NULL, &op), -EINVAL);
	assert_int_equal(nvio_bdev_set_histograms(NULL, true, &op), -EINVAL);
	op.flags = NVIO_OP_FUA;
	assert_int_equal(nvio_bdev_reset_stats(d.desc, &op), -EINVAL);
	op.flags = 0;
	for (unsigned call = 0; call < 4; call++) {
		unsigned failures = 0;

		for (long n = 0, left = -1; left < 0; n++) {
			int rc;

			alloc_fail_after(n);
			switch (call) {
			case 0: rc = nvio_bdev_get_stats(d.desc, &stats, &op); break;
			case 1: rc = nvio_bdev_set_histograms(d.desc, true, &op); break;
			case 2: rc = nvio_bdev_get_histogram(d.desc, NVIO_BDEV_IO_READ, &h, &op); break;
			default: rc = nvio_bdev_set_depth_sampling(d.desc, 1000, &op); break;
			}
			rc = nvio_await(rc, &op);
			left = alloc_fail_after(-1);
			assert_int_equal(rc, left < 0 ? -ENOMEM : 0);
			failures += left < 0;
			if (call == 1 && left < 0) /* one without is none */
				assert_int_equal(
					nvio_bdev_get_histogram(d.desc, NVIO_BDEV_IO_READ, &h, &op), -ENOENT);
		}
		assert_true(failures >= 1);
	}
	assert_ok(nvio_bdev_delete(f->env, "m", &gone));
	assert_int_equal(nvio_bdev_get_stats(d.desc, &stats, &op), -ENODEV);
	assert_errmsg_has("m");
	disk_close(&d);
	assert_ok(nvio_wait(&gone));
}

static void a_device_waits_for_who_looks_at_it(void **state)
{
	struct nvio_bdev_stats stats = NVIO_BDEV_STATS;
	struct nvio_op op = NVIO_OP(NULL), gone = NVIO_OP(NULL);
	struct fixture *f = *state;
	struct disk d;

	make_malloc(f, "m", BLOCK, BLOCKS);
	d = disk_open(f, "m", NVIO_BDEV_READ);
	assert_ok(do_read(&d, buf, 0, 512));
	assert_ok(nvio_bdev_get_stats(d.desc, &stats, &op));
	disk_close(&d);
	assert_ok(nvio_bdev_delete(f->env, "m", &gone));
	assert_ok(nvio_wait(&gone));
	assert_ok(nvio_wait(&op));
	assert_int_equal(stats.io[NVIO_BDEV_IO_READ].ops, 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		fixture_test(each_type_counts_its_operations_bytes_and_errors),
		fixture_test(latencies_are_in_nanoseconds_and_depth_follows_from_them),
		fixture_test(channels_that_have_ended_still_count),
		fixture_test(io_of_a_stack_counts_once_at_each_device),
		fixture_test(nothing_is_lost_or_counted_twice_while_channels_come_and_go),
		fixture_test(histograms_count_each_latency_while_they_are_on),
		fixture_test(queue_depths_are_sampled_by_the_environments_clock),
		fixture_test(bad_calls_are_refused_and_every_allocation_may_fail),
		fixture_test(a_device_waits_for_who_looks_at_it),
	};

	return cmocka_run_group_tests_name("bdev/stats", tests, NULL, NULL);
}
