/* SPDX-License-Identifier: BSD-3-Clause */
/* Which device addresses memory gets: the tree of those taken against a model of it, and what mappers can map. H4. */
#include "tests/unit/mem/fake.h"

#include "base/random.h"

#define UNITS 2048 /* of the model's address space */
#define UNIT  ((uint64_t)4096)
#define BASE  ((uint64_t)1 << 32)
#define GIB   ((uint64_t)1 << 30)
#define MIB   ((uint64_t)1 << 20)

/* ---- the tree ---- */

static bool taken[UNITS];

/* The same question, answered unit by unit. */
static bool model_fit(const struct iova_ask *ask, uint64_t *at)
{
	for (uint64_t a = ask->first; a <= ask->last && ask->last - a >= ask->len - 1; a += UNIT) {
		uint64_t n = 0;

		while (n < ask->len / UNIT && !taken[(a - BASE) / UNIT + n])
			n++;
		if (n == ask->len / UNIT && a % ask->align == ask->offset % ask->align) {
			*at = a;
			return true;
		}
	}
	return false;
}

static void mark(const struct iova_range *r, bool is)
{
	for (uint64_t a = r->first; a <= r->last; a += UNIT) {
		assert_int_equal(taken[(a - BASE) / UNIT], !is);
		taken[(a - BASE) / UNIT] = is;
	}
}

static struct iova_ask any_ask(struct random *random)
{
	uint64_t first = random_below(random, UNITS), last = first + random_below(random, UNITS - first);
	bool all = random_below(random, 3);

	return (struct iova_ask){
		.first = BASE + (all ? 0 : first) * UNIT,
		.last = BASE + (all ? UNITS : last + 1) * UNIT - 1,
		.len = (1 + random_below(random, random_below(random, 4) ? 8 : 200)) * UNIT,
		.align = UNIT << random_below(random, 7),
		.offset = random_below(random, 256) * UNIT,
	};
}

static void the_tree_agrees_with_a_model(void **state)
{
	static struct iova_range ranges[UNITS];
	struct iova_tree tree = { 0 };
	struct random random;
	unsigned count = 0, full = 0;

	random_init(&random, 4);
	memset(taken, 0, sizeof(taken));
	for (int i = 0; i < 60000; i++) {
		uint64_t at = 0, want = 0, addr = BASE + random_below(&random, UNITS * UNIT);
		/* More come than go for a while, then the other way round. */
		bool grow = random_below(&random, 10) < (i / 5000 % 2 ? 3 : 7);
		struct iova_ask ask = any_ask(&random);
		struct iova_range *found;

		assert_int_equal(iova_fit(&tree, &ask, &at), model_fit(&ask, &want));
		assert_int_equal(at, want);
		full += !at;
		if (grow && at && count < UNITS) {
			ranges[count].first = at;
			ranges[count].last = at + ask.len - 1;
			iova_insert(&tree, &ranges[count]);
			mark(&ranges[count++], true);
		} else if (!grow && count) {
			unsigned k = (unsigned)random_below(&random, count);

			mark(&ranges[k], false);
			iova_remove(&tree, &ranges[k]);
			/* The last one moves into its place, as another node. */
			if (k != --count) {
				iova_remove(&tree, &ranges[count]);
				ranges[k] = ranges[count];
				iova_insert(&tree, &ranges[k]);
			}
		}
		found = iova_find(&tree, addr);
		assert_int_equal(found != NULL, taken[(addr - BASE) / UNIT]);
		if (found)
			assert_in_range(addr, found->first, found->last);
	}
	assert_true(full > 100); /* it was full at times */
	while (count)
		iova_remove(&tree, &ranges[--count]);
	assert_null(tree.root);
}

static void the_ends_of_the_address_space(void **state)
{
	struct iova_tree tree = { 0 };
	struct iova_range last = { .first = UINT64_MAX - 4095, .last = UINT64_MAX };
	struct iova_range zero = { .first = 0, .last = 4095 };
	struct iova_ask ask = { .first = 0, .last = UINT64_MAX, .len = 4096, .align = 4096 };
	uint64_t at = 1;

	assert_true(iova_fit(&tree, &ask, &at));
	assert_int_equal(at, 0);
	iova_insert(&tree, &zero);
	iova_insert(&tree, &last);
	assert_true(iova_fit(&tree, &ask, &at));
	assert_int_equal(at, 4096);
	ask.len = UINT64_MAX - 8191;
	assert_true(iova_fit(&tree, &ask, &at));
	assert_int_equal(at, 4096);
	ask.len++;
	assert_false(iova_fit(&tree, &ask, &at));
	ask = (struct iova_ask){ .first = UINT64_MAX - 8191, .last = UINT64_MAX, .len = 4096, .align = 1 << 20 };
	assert_false(iova_fit(&tree, &ask, &at));
	assert_ptr_equal(iova_find(&tree, UINT64_MAX), &last);
	assert_ptr_equal(iova_find(&tree, 0), &zero);
	assert_null(iova_find(&tree, 4096));
}

/* ---- where memory lies ---- */

static struct fake mmu, mmu2;
static struct nvio_env *env;
static char *space; /* 8 GiB of addresses at a multiple of 1 GiB, with nothing behind them */

static int setup(void **state)
{
	char *at = mmap(NULL, 9 * GIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		return -1;
	space = (char *)ALIGN_UP((uintptr_t)at, GIB);
	*state = at;
	fake_init(&mmu, "mmu");
	fake_init(&mmu2, "mmu2");
	return nvio_env_open(NULL, &env);
}

static int teardown(void **state)
{
	nvio_env_close(env);
	assert_false(mmu.confused || mmu2.confused);
	assert_int_equal(mmu.count + mmu2.count, 0);
	return munmap(*state, 9 * GIB);
}

static void addresses_are_those_that_all_can_map(void **state)
{
	static const struct {
		struct mem_range a[3], b[2]; /* what each of the two mappers can map */
		unsigned num_a, num_b;
		uint64_t offset, len;	/* of the memory */
		uint64_t want;		/* 0: no room */
	} cases[] = {
		{ { { 0, UINT64_MAX } }, { { 0, UINT64_MAX } }, 1, 1, 0, 4096, 4 * GIB },
		{ { { 0, (1ull << 39) - 1 } }, { { 0, UINT64_MAX } }, 1, 1, 0, 4096, 4 * GIB },
		/* Below 4 GiB: not the lowest, and not where interrupts are. */
		{ { { 0, 4 * GIB - 1 } }, { { 0, UINT64_MAX } }, 1, 1, 0, 4096, MIB },
		{ { { 0xfed00000, 4 * GIB - 1 } }, { { 0, UINT64_MAX } }, 1, 1, 0, 2 * MIB, 0xff000000 },
		{ { { 0xfee00000, 0xfeefffff } }, { { 0, UINT64_MAX } }, 1, 1, 0, 4096, 0 },
		{ { { 0, MIB - 1 } }, { { 0, UINT64_MAX } }, 1, 1, 0, 4096, 0 },
		/* What both can. */
		{ { { 0, 12 * GIB - 1 } }, { { 10 * GIB, 20 * GIB } }, 1, 1, 0, GIB, 10 * GIB },
		{ { { 0, 12 * GIB - 1 } }, { { 10 * GIB, 20 * GIB } }, 1, 1, 0, 3 * GIB, 0 },
		{ { { 0, 5 * GIB - 1 }, { 6 * GIB, 7 * GIB - 1 }, { 8 * GIB, 99 * GIB } }, { { 5 * GIB, 6 * GIB - 1 }, { 7 * GIB, 9 * GIB } }, 3,
			2, 0, 4096, 8 * GIB },
		{ { { 0, 5 * GIB - 1 }, { 6 * GIB, 7 * GIB - 1 } }, { { 5 * GIB, 6 * GIB - 1 }, { 7 * GIB, 9 * GIB } }, 2, 2, 0, 4096, 0 },
		{ { { 0, UINT64_MAX } }, { { 0 } }, 1, 0, 0, 4096, 0 },
		/* Within a large page as the virtual ones, so that large pages can be used; less well where there is no room for that. */
		{ { { 4 * GIB + 4096, UINT64_MAX } }, { { 0, UINT64_MAX } }, 1, 1, 4096, 2 * MIB, 4 * GIB + 4096 },
		{ { { 4 * GIB + 8192, UINT64_MAX } }, { { 0, UINT64_MAX } }, 1, 1, 4096, 2 * MIB, 4 * GIB + 2 * MIB + 4096 },
		{ { { 4 * GIB + 8192, UINT64_MAX } }, { { 0, UINT64_MAX } }, 1, 1, 4096, 2 * MIB - 4096, 4 * GIB + 8192 },
		{ { { 4 * GIB + 8192, UINT64_MAX } }, { { 0, UINT64_MAX } }, 1, 1, 0, GIB, 5 * GIB },
		{ { { 0, 4 * GIB - 1 } }, { { 0, UINT64_MAX } }, 1, 1, 0, 3 * GIB, 2 * MIB },
		{ { { 4 * GIB + 4096, 4 * GIB + 2 * MIB + 4095 } }, { { 0, UINT64_MAX } }, 1, 1, 0, 2 * MIB, 4 * GIB + 4096 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *at = space + cases[i].offset;
		int rc;

		mmu.m.ranges = cases[i].a;
		mmu.m.num_ranges = cases[i].num_a;
		mmu2.m.ranges = cases[i].b;
		mmu2.m.num_ranges = cases[i].num_b;
		assert_int_equal(mem_mapper_add(env, &mmu.m), 0);
		assert_int_equal(mem_mapper_add(env, &mmu2.m), 0);
		rc = nvio_mem_register(env, at, cases[i].len);
		if (rc != (cases[i].want ? 0 : -ENOSPC))
			fail_msg("case %zu: %d: %s", i, rc, nvio_errmsg());
		if (rc)
			assert_errmsg("no device addresses for ");
		else if (addr_of(env, at) != cases[i].want)
			fail_msg("case %zu: %#llx", i, (unsigned long long)addr_of(env, at));
		if (!rc)
			assert_int_equal(nvio_mem_unregister(env, at, cases[i].len), 0);
		mem_mapper_remove(env, &mmu.m);
		mem_mapper_remove(env, &mmu2.m);
	}
}

static void what_was_given_back_is_given_again(void **state)
{
	mmu.range = (struct mem_range){ 4 * GIB, 6 * GIB - 1 };
	assert_int_equal(mem_mapper_add(env, &mmu.m), 0);
	for (int i = 0; i < 200; i++) {
		assert_int_equal(nvio_mem_register(env, space, GIB), 0);
		assert_int_equal(nvio_mem_register(env, space + GIB, GIB), 0);
		assert_int_equal(nvio_mem_register(env, space + 2 * GIB, 4096), -ENOSPC);
		assert_errmsg("4096 bytes in a row: 2147483648 bytes are mapped, and mmu can map 0x100000000 to 0x17fffffff");
		assert_int_equal(nvio_mem_unregister(env, space + (i % 2) * GIB, GIB), 0);
		assert_int_equal(nvio_mem_register(env, space + 2 * GIB, GIB), 0);
		assert_int_equal(addr_of(env, space + 2 * GIB), 4 * GIB + (i % 2) * GIB);
		assert_int_equal(nvio_mem_unregister(env, space + 2 * GIB, GIB), 0);
		assert_int_equal(nvio_mem_unregister(env, space + !(i % 2) * GIB, GIB), 0);
	}
}

static void a_mapper_that_cannot_map_what_is_there_is_refused(void **state)
{
	assert_int_equal(nvio_mem_register(env, space, GIB), 0);
	assert_int_equal(mem_mapper_add(env, &mmu.m), 0);
	mmu2.range = (struct mem_range){ 0, 5 * GIB - 2 };
	assert_int_equal(mem_mapper_add(env, &mmu2.m), -ENOSPC);
	assert_errmsg("mmu2 cannot map device addresses 0x100000000 to 0x13fffffff");
	assert_errmsg("before the others");
	assert_int_equal(mmu2.count, 0);
	/* The other way round there is room for all. */
	mem_mapper_remove(env, &mmu.m);
	mmu2.range = (struct mem_range){ 0, 4 * GIB - 1 };
	assert_int_equal(mem_mapper_add(env, &mmu2.m), 0);
	assert_int_equal(mem_mapper_add(env, &mmu.m), 0);
	assert_int_equal(addr_of(env, space), GIB);
}

/* IOMMUs of machines with pages of 64 KiB. */
static void larger_smallest_pages(void **state)
{
	char *buf, *big;

	mmu.m.page_sizes = 1 << 16 | 1 << 21;
	assert_int_equal(mem_mapper_add(env, &mmu.m), 0);
	assert_int_equal(nvio_mem_register(env, space, 4096), -EINVAL);
	assert_errmsg("smallest page is 65536 bytes");
	assert_int_equal(nvio_mem_register(env, space + 4096, 1 << 16), -EINVAL);
	assert_int_equal(nvio_mem_register(env, space + (1 << 16), 3 << 16), 0);
	assert_int_equal(addr_of(env, space + (1 << 16)) % (1 << 16), 0);
	/* Memory of ours fits it. */
	buf = nvio_mem_alloc(env, 100, 0);
	big = nvio_mem_alloc(env, (size_t)(2 * MIB) + 4096, 0);
	assert_non_null(buf);
	assert_non_null(big);
	for (int i = 0; i < mmu.count; i++)
		assert_int_equal(((uintptr_t)mmu.maps[i].va | mmu.maps[i].len | mmu.maps[i].iova) % (1 << 16), 0);
	mem_mapper_remove(env, &mmu.m);
	/* What was there before it may not. */
	assert_int_equal(nvio_mem_register(env, space + (1 << 20), 4096), 0);
	assert_int_equal(mem_mapper_add(env, &mmu.m), -EINVAL);
	assert_errmsg("mmu");
	assert_int_equal(mmu.count, 0);
	assert_int_equal(nvio_mem_unregister(env, space + (1 << 20), 4096), 0);
	assert_int_equal(mem_mapper_add(env, &mmu.m), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_tree_agrees_with_a_model),
		cmocka_unit_test(the_ends_of_the_address_space),
		cmocka_unit_test_setup_teardown(addresses_are_those_that_all_can_map, setup, teardown),
		cmocka_unit_test_setup_teardown(what_was_given_back_is_given_again, setup, teardown),
		cmocka_unit_test_setup_teardown(a_mapper_that_cannot_map_what_is_there_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(larger_smallest_pages, setup, teardown),
	};

	return cmocka_run_group_tests_name("mem_iova", tests, NULL, NULL);
}
