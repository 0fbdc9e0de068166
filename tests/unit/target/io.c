/* SPDX-License-Identifier: BSD-3-Clause */
/* The NVM command set, command by command, with what is wrong about each. */
#include "raw.h"

static void what_was_written_is_read_back(void **state)
{
	static const struct {
		const char *form;
		uint32_t bs;
	} cases[] = {
		{ "ram:1M", 512 },
		{ "ram:1M?bs=4096", 4096 },
		{ "ram:4M?poll=thread", 512 },
		{ "ram:1M?stride=2", 512 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct raw r;

		raw_open(&r, raw_env, cases[i].form);
		memset(r.buf, 0xab, RAW_PAGE);
		assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_WRITE, r.buf, 3, 4096 / cases[i].bs), NULL), 0);
		memset(r.buf, 0, RAW_PAGE);
		assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_READ, r.buf, 3, 4096 / cases[i].bs), NULL), 0);
		for (uint32_t b = 0; b < 4096; b++)
			assert_int_equal(r.buf[b], 0xab);
		assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_READ, r.buf, 2, 1), NULL), 0);
		for (uint32_t b = 0; b < cases[i].bs; b++)
			assert_int_equal(r.buf[b], 0);
		raw_close(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RAW_TEST(what_was_written_is_read_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
