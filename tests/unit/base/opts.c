/* SPDX-License-Identifier: BSD-3-Clause */
/* Options structures of other releases: older ones keep defaults, newer ones must not ask for what is unknown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/compiler.h"
#include "base/opts.h"
#include <nvio/error.h>

struct first_opts {
	size_t size;
	uint64_t depth;
};

struct today_opts {
	size_t size;
	uint64_t depth;
	uint64_t added;
};

struct future_opts {
	size_t size;
	uint64_t depth;
	uint64_t added;
	uint64_t later[2];
};

static void each_release_is_understood_or_refused(void **state)
{
	static const struct {
		struct future_opts caller;
		int rc;
		uint64_t depth, added; /* what is taken over; 7 and 8 are the defaults */
	} cases[] = {
		{ { .size = sizeof(struct today_opts), .depth = 1, .added = 2 }, 0, 1, 2 },
		{ { .size = sizeof(struct first_opts), .depth = 1, .added = 2 }, 0, 1, 8 },
		{ { .size = sizeof(struct future_opts), .depth = 1, .added = 2 }, 0, 1, 2 },
		{ { .size = sizeof(struct future_opts), .depth = 1, .later = { 0, 1 } }, -E2BIG, 7, 8 },
		{ { .size = sizeof(struct future_opts), .depth = 1, .later = { 1ull << 63, 0 } }, -E2BIG, 7, 8 },
		{ { .size = sizeof(struct first_opts) - 1 }, -EINVAL, 7, 8 },
		{ { .size = 0 }, -EINVAL, 7, 8 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct today_opts opts = { sizeof(opts), 7, 8 };
		int rc = opts_copy("test opts", &opts, sizeof(opts), &cases[i].caller, sizeof(struct first_opts));

		assert_int_equal(rc, cases[i].rc);
		assert_int_equal(opts.depth, cases[i].depth);
		assert_int_equal(opts.added, cases[i].added);
		assert_int_equal(opts.size, sizeof(opts));
		if (rc)
			assert_non_null(strstr(nvio_errmsg(), "test opts"));
	}
}

/* What stands in the size when a caller forgot _init(): nothing behind the structure may be read because of it. */
static void an_absurd_size_is_refused(void **state)
{
	static const size_t sizes[] = { SIZE_MAX, SIZE_MAX - 7, (size_t)1 << 40, 1 << 20 };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct today_opts opts = { sizeof(opts), 7, 8 }, caller = { sizes[i], 1, 2 };

		assert_int_equal(opts_copy("test opts", &opts, sizeof(opts), &caller, sizeof(struct first_opts)), -EINVAL);
		assert_int_equal(opts.depth, 7);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_release_is_understood_or_refused),
		cmocka_unit_test(an_absurd_size_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
