/* SPDX-License-Identifier: BSD-3-Clause */
/* Ten thousand devices: made, found by every name, walked over while they change, and gone. B1, B2. */
#include "support.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"

#define MANY 10000u

static void make(struct fixture *f, unsigned i)
{
	struct nvio_bdev_null_opts o;
	char name[32];
	uint8_t uuid[16] = { 0x6e, (uint8_t)i, (uint8_t)(i >> 8), (uint8_t)(i >> 16), 0, 0, 0x40, 0, 0x80 };

	snprintf(name, sizeof(name), "null%u", i);
	nvio_bdev_null_opts_init(&o);
	o.name = name;
	o.num_blocks = 8 + i;
	o.uuid = uuid;
	assert_ok(nvio_bdev_null_create(f->env, &o));
}

static void assert_finds(struct fixture *f, const char *name, unsigned i)
{
	struct nvio_bdev_desc *desc;

	assert_ok(nvio_bdev_open(f->env, name, 0, &desc));
	assert_int_equal(nvio_bdev_num_blocks(nvio_bdev_desc_bdev(desc)), 8 + i);
	assert_ok(nvio_bdev_close(desc));
}

static int count(struct nvio_bdev *bdev, void *arg)
{
	unsigned *n = arg;

	assert_int_equal(nvio_bdev_num_blocks(bdev), 8 + *n);
	(*n)++;
	return 0;
}

static uint64_t open_many(struct fixture *f, unsigned first, unsigned last)
{
	uint64_t began = clock_monotonic_ns();

	for (unsigned round = 0; round < 2000; round++) {
		unsigned i = first + round * 7919 % (last - first);
		struct nvio_bdev_desc *desc;
		char name[32];

		snprintf(name, sizeof(name), "null%u", i);
		assert_ok(nvio_bdev_open(f->env, name, 0, &desc));
		assert_ok(nvio_bdev_close(desc));
	}
	return clock_monotonic_ns() - began;
}

static void ten_thousand_devices_are_found_as_fast_as_ten(void **state)
{
	struct fixture *f = *state;
	uint64_t few, many;
	unsigned n = 0;

	for (unsigned i = 0; i < 10; i++)
		make(f, i);
	few = open_many(f, 0, 10);
	for (unsigned i = 10; i < MANY; i++)
		make(f, i);
	for (unsigned i = 0; i < MANY; i += 7) {
		char name[64];

		snprintf(name, sizeof(name), "null%u", i);
		assert_finds(f, name, i);
		snprintf(name, sizeof(name), "6e%02x%02x%02x-0000-4000-8000-000000000000", i & 0xff,
			i >> 8 & 0xff, i >> 16);
		assert_finds(f, name, i);
	}
	assert_ok(nvio_bdev_add_alias(f->env, "null14", "alias of 14"));
	assert_ok(nvio_bdev_add_alias(f->env, "null7", "alias of 7"));
	assert_finds(f, "alias of 14", 14);
	assert_finds(f, "alias of 7", 7);
	assert_ok(nvio_bdev_for_each(f->env, count, &n));
	assert_int_equal(n, MANY);
	many = open_many(f, 0, MANY);
	print_message("# 2000 opens: %llu us among 10, %llu us among %u\n", (unsigned long long)few / 1000,
		(unsigned long long)many / 1000, MANY);
	/* A walk would be a thousand times slower; caches may make it a few. */
	assert_true(many < 50 * few);
	for (unsigned i = 0; i < MANY; i += 2) {
		char name[32];

		snprintf(name, sizeof(name), "null%u", i);
		delete_device(f, name);
		assert_int_equal(nvio_bdev_add_alias(f->env, name, "x"), -ENODEV);
	}
	assert_finds(f, "alias of 7", 7);
	assert_int_equal(nvio_bdev_add_alias(f->env, "alias of 14", "x"), -ENODEV);
	make(f, 0);
	assert_finds(f, "null0", 0);
}

struct changer {
	struct fixture *f;
	unsigned seen;
};

static struct nvio_op deletions[16];
static unsigned deletion_count;

static int delete_all(struct nvio_bdev *bdev, void *arg)
{
	struct fixture *f = arg;

	struct nvio_op *op = &deletions[deletion_count++];

	*op = (struct nvio_op)NVIO_OP(NULL);
	assert_ok(nvio_bdev_delete(f->env, nvio_bdev_name(bdev), op));
	for (unsigned i = 0; i < 3; i++)
		nvio_thread_poll(f->thread, 0);
	assert_true(nvio_op_pending(op)); /* it stays as long as we look at it */
	assert_true(nvio_bdev_num_blocks(bdev) >= 8);
	return 0;
}

static int skip_one(struct nvio_bdev *bdev, void *arg)
{
	struct changer *c = arg;
	char next[32];

	snprintf(next, sizeof(next), "null%llu", (unsigned long long)nvio_bdev_num_blocks(bdev) - 8 + 1);
	if (c->seen++ < 3)
		delete_device(c->f, next);
	if (c->seen == 3)
		make(c->f, 100);
	return 0;
}

static void a_walk_bears_deletion_and_creation(void **state)
{
	struct changer c = { .f = *state };
	struct fixture *f = *state;
	unsigned n = 0;

	for (unsigned i = 0; i < 8; i++)
		make(f, i);
	assert_ok(nvio_bdev_for_each(f->env, skip_one, &c));
	assert_int_equal(c.seen, 3 + 2 + 1); /* 0, 2, 4, then 6 and 7, then the new one */
	deletion_count = 0;
	assert_ok(nvio_bdev_for_each(f->env, delete_all, f));
	assert_int_equal(deletion_count, 6);
	for (unsigned i = 0; i < deletion_count; i++)
		assert_ok(nvio_wait(&deletions[i]));
	assert_ok(nvio_bdev_for_each(f->env, count, &n));
	assert_int_equal(n, 0);
}

static atomic_bool stop;

static int look(struct nvio_bdev *bdev, void *arg)
{
	/* Whatever happens to it meanwhile. */
	for (unsigned i = 0; i < 10; i++)
		if (!*nvio_bdev_name(bdev) || !nvio_bdev_block_size(bdev))
			abort();
	return 0;
}

static void *walker(void *arg)
{
	struct fixture *f = arg;

	while (!atomic_load(&stop))
		if (nvio_bdev_for_each(f->env, look, NULL))
			abort();
	return NULL;
}

static void a_walk_on_another_thread_never_sees_a_device_that_is_gone(void **state)
{
	struct fixture *f = *state;
	pthread_t threads[3];

	atomic_store(&stop, false);
	for (unsigned i = 0; i < 3; i++)
		assert_ok(pthread_create(&threads[i], NULL, walker, f));
	for (unsigned i = 0; i < 300; i++) {
		char name[32];

		make(f, i);
		snprintf(name, sizeof(name), "null%u", i);
		delete_device(f, name);
	}
	atomic_store(&stop, true);
	for (unsigned i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
}

static void of_two_devices_with_one_uuid_the_older_is_found(void **state)
{
	static const uint8_t uuid[16] = { 1, 2, 3, 4, 5, 6, 0x40, 8, 0x80 };
	struct nvio_bdev_null_opts o;
	struct fixture *f = *state;

	for (unsigned i = 0; i < 2; i++) {
		nvio_bdev_null_opts_init(&o);
		o.name = i ? "younger" : "older";
		o.num_blocks = 8 + i;
		o.uuid = uuid;
		assert_ok(nvio_bdev_null_create(f->env, &o));
	}
	assert_finds(f, "01020304-0506-4008-8000-000000000000", 0);
	delete_device(f, "older");
	assert_finds(f, "01020304-0506-4008-8000-000000000000", 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		fixture_test(ten_thousand_devices_are_found_as_fast_as_ten),
		fixture_test(a_walk_bears_deletion_and_creation),
		fixture_test(a_walk_on_another_thread_never_sees_a_device_that_is_gone),
		fixture_test(of_two_devices_with_one_uuid_the_older_is_found),
	};

	return cmocka_run_group_tests_name("bdev/names", tests, NULL, NULL);
}
