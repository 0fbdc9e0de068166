/* SPDX-License-Identifier: BSD-3-Clause */
/* What users write: what is understood, and in which words the rest is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include <nvio/error.h>

#define UNTOUCHED UINT64_C(0xdeadbeef)

struct number_case {
	const char *text;
	int rc;
	uint64_t value;
};

static void sizes(void **state)
{
	static const struct number_case cases[] = {
		{ "0", 0, 0 }, { "1", 0, 1 }, { "4096", 0, 4096 }, { "4k", 0, 4096 }, { "4K", 0, 4096 },
		{ "4KiB", 0, 4096 }, { "4kib", 0, 4096 }, { "256M", 0, 256ull << 20 },
		{ "1g", 0, 1ull << 30 }, { "2T", 0, 2ull << 40 }, { "3P", 0, 3ull << 50 }, { "512B", 0, 512 },
		{ "0x10", 0, 16 }, { "0X1fk", 0, 31 * 1024 }, { "010", 0, 10 }, { "0k", 0, 0 },
		{ "18446744073709551615", 0, UINT64_MAX }, { "16383P", 0, 16383ull << 50 },
		{ "0xffffffffffffffff", 0, UINT64_MAX }, { "0xb", 0, 11 },
		{ "18446744073709551616", -ERANGE, 0 }, { "16384P", -ERANGE, 0 },
		{ "0x10000000000000000", -ERANGE, 0 }, { "99999999999999999999999999999", -ERANGE, 0 },
		{ "18014398509481984k", -ERANGE, 0 }, { "", -EINVAL, 0 }, { NULL, -EINVAL, 0 },
		{ "-1", -EINVAL, 0 }, { "+1", -EINVAL, 0 }, { " 1", -EINVAL, 0 }, { "1 ", -EINVAL, 0 },
		{ "1 k", -EINVAL, 0 }, { "k", -EINVAL, 0 }, { "1kk", -EINVAL, 0 }, { "1kB", -EINVAL, 0 },
		{ "1x", -EINVAL, 0 }, { "0x", -EINVAL, 0 }, { "0xg", -EINVAL, 0 }, { "1.5k", -EINVAL, 0 },
		{ "1e3", -EINVAL, 0 }, { "4kiBs", -EINVAL, 0 }, { "1\n", -EINVAL, 0 }, { "1+", -EINVAL, 0 },
		{ "\xff", -EINVAL, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t value = UNTOUCHED;

		assert_int_equal(parse_size("size", cases[i].text, &value), cases[i].rc);
		assert_true(value == (cases[i].rc ? UNTOUCHED : cases[i].value));
		if (cases[i].rc)
			assert_memory_equal(nvio_errmsg(), "size: ", 6);
	}
}

static void numbers(void **state)
{
	static const struct {
		struct number_case c;
		uint64_t max;
	} cases[] = {
		{ { "0", 0, 0 }, 0 }, { { "7", 0, 7 }, 7 }, { { "0x7", 0, 7 }, 7 }, { { "007", 0, 7 }, 7 },
		{ { "65535", 0, 65535 }, 65535 }, { { "18446744073709551615", 0, UINT64_MAX }, UINT64_MAX },
		{ { "8", -ERANGE, 0 }, 7 }, { { "1", -ERANGE, 0 }, 0 },
		{ { "18446744073709551616", -ERANGE, 0 }, UINT64_MAX }, { { "", -EINVAL, 0 }, 7 },
		{ { NULL, -EINVAL, 0 }, 7 }, { { "-1", -EINVAL, 0 }, 7 }, { { "1k", -EINVAL, 0 }, 7 },
		{ { "0x", -EINVAL, 0 }, 7 }, { { "x7", -EINVAL, 0 }, 7 }, { { "7 ", -EINVAL, 0 }, 7 },
		{ { "a", -EINVAL, 0 }, UINT64_MAX },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t value = UNTOUCHED;

		assert_int_equal(parse_u64("depth", cases[i].c.text, cases[i].max, &value), cases[i].c.rc);
		assert_true(value == (cases[i].c.rc ? UNTOUCHED : cases[i].c.value));
	}
	assert_int_equal(parse_u64("depth", "9", 8, &(uint64_t){ 0 }), -ERANGE);
	assert_string_equal(nvio_errmsg(), "depth: 9 is too large; at most 8");
}

static void booleans(void **state)
{
	static const struct {
		const char *text;
		int rc, value;
	} cases[] = {
		{ "1", 0, 1 }, { "true", 0, 1 }, { "YES", 0, 1 }, { "On", 0, 1 }, { "0", 0, 0 },
		{ "False", 0, 0 }, { "no", 0, 0 }, { "off", 0, 0 }, { "", -EINVAL, 0 }, { NULL, -EINVAL, 0 },
		{ "2", -EINVAL, 0 }, { "yess", -EINVAL, 0 }, { "tru", -EINVAL, 0 }, { " 1", -EINVAL, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		bool value = !cases[i].value;

		assert_int_equal(parse_bool("no_pci", cases[i].text, &value), cases[i].rc);
		assert_int_equal(value, cases[i].rc ? !cases[i].value : cases[i].value);
	}
}

/* `want` lists the pairs as "key=value;", or "key;" where there is no '='; `rc` is how the walk ends. */
static void queries(void **state)
{
	static const struct {
		const char *text;
		int rc;
		const char *want;
	} cases[] = {
		{ "", 0, "" },
		{ "a=b", 0, "a=b;" },
		{ "a=b&c=d", 0, "a=b;c=d;" },
		{ "flag", 0, "flag;" },
		{ "flag&a=", 0, "flag;a=;" },
		{ "a=b=c", 0, "a=b=c;" },
		{ "a=%2Fdev%2fsda", 0, "a=/dev/sda;" },
		{ "a=x%26y%3dz&b=1", 0, "a=x&y=z;b=1;" },
		{ "%61=1", 0, "a=1;" },
		{ "a=1+2", 0, "a=1+2;" },
		{ "a=%25", 0, "a=%;" },
		{ "a=%", -EINVAL, "" },
		{ "a=%4", -EINVAL, "" },
		{ "a=%4&b=1", -EINVAL, "" },
		{ "a=%zz", -EINVAL, "" },
		{ "a=%-1", -EINVAL, "" },
		{ "a=%00", -EINVAL, "" },
		{ "=b", -EINVAL, "" },
		{ "&", -EINVAL, "" },
		{ "a=1&", -EINVAL, "" },
		{ "a=1&&b=2", -EINVAL, "a=1;" },
		{ "a=1&=2", -EINVAL, "a=1;" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *copy = strdup(cases[i].text), *rest = copy, *key, *value;
		char got[256] = "";
		int rc;

		while ((rc = parse_query("loop", &rest, &key, &value)) > 0) {
			strcat(got, key);
			if (value)
				strcat(strcat(got, "="), value);
			strcat(got, ";");
		}
		assert_int_equal(rc, cases[i].rc);
		assert_string_equal(got, cases[i].want);
		free(copy);
	}
}

static void no_text_is_an_empty_query(void **state)
{
	char *rest = NULL, *key, *value;

	assert_int_equal(parse_query("loop", &rest, &key, &value), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes),
		cmocka_unit_test(numbers),
		cmocka_unit_test(booleans),
		cmocka_unit_test(queries),
		cmocka_unit_test(no_text_is_an_empty_query),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
