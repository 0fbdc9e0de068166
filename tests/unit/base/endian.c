/* SPDX-License-Identifier: BSD-3-Clause */
/* Little-endian integers: the bytes as they lie in memory, whatever the machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <nvio/endian.h>

static void the_low_byte_comes_first(void **state)
{
	static const uint8_t bytes[] = { 0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01 };
	nvio_le16 x16 = nvio_to_le16(0x0708);
	nvio_le32 x32 = nvio_to_le32(0x05060708);
	nvio_le64 x64 = nvio_to_le64(0x0102030405060708);

	assert_memory_equal(&x16, bytes, 2);
	assert_memory_equal(&x32, bytes, 4);
	assert_memory_equal(&x64, bytes, 8);
	assert_int_equal(nvio_get_le16(x16), 0x0708);
	assert_int_equal(nvio_get_le32(x32), 0x05060708);
	assert_true(nvio_get_le64(x64) == 0x0102030405060708);
}

static void wide_counters_tell_when_they_do_not_fit(void **state)
{
	nvio_le128 x = nvio_to_le128(UINT64_MAX);
	int overflow = 1;

	assert_true(nvio_get_le128_low(x, &overflow) == UINT64_MAX);
	assert_int_equal(overflow, 0);
	x.b[15] = 1;
	assert_true(nvio_get_le128_low(x, &overflow) == UINT64_MAX);
	assert_int_equal(overflow, 1);
	assert_true(nvio_get_le128_low(x, NULL) == UINT64_MAX);
}

static void they_need_no_alignment_and_no_padding(void **state)
{
	struct {
		uint8_t a;
		nvio_le16 b;
		nvio_le64 c;
		nvio_le32 d;
		nvio_le128 e;
	} s;

	assert_int_equal(sizeof(s), 1 + 2 + 8 + 4 + 16);
	s.c = nvio_to_le64(77);
	assert_int_equal(nvio_get_le64(s.c), 77);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_low_byte_comes_first),
		cmocka_unit_test(wide_counters_tell_when_they_do_not_fit),
		cmocka_unit_test(they_need_no_alignment_and_no_padding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
