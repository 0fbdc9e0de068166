/* SPDX-License-Identifier: BSD-3-Clause */
/* The formatting of a freestanding program, held against the C library's: src/bare/format.c, which is linked in, not included. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

int bare_vprint(char *buf, size_t size, const char *fmt, va_list ap);

/* Both, into buffers of `size` bytes that are full of something else. */
static void both(size_t size, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void both(size_t size, const char *fmt, ...)
{
	char ours[256], theirs[256];
	int our_len, their_len;
	va_list ap;

	memset(ours, '~', sizeof(ours));
	memset(theirs, '~', sizeof(theirs));
	va_start(ap, fmt);
	our_len = bare_vprint(ours, size, fmt, ap);
	va_end(ap);
	va_start(ap, fmt);
	their_len = vsnprintf(theirs, size, fmt, ap);
	va_end(ap);
	if (our_len != their_len || memcmp(ours, theirs, sizeof(ours)))
		fail_msg("\"%s\" in %zu bytes: %d \"%.*s\", not %d \"%.*s\"", fmt, size, our_len, (int)sizeof(ours) - 1, ours, their_len,
			(int)sizeof(theirs) - 1, theirs);
}

static void test_numbers(void **state)
{
	static const long long values[] = { 0, 1, 9, 10, 255, 4096, INT32_MAX, INT32_MIN, UINT32_MAX, INT64_MAX, INT64_MIN, -1, -10 };

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		long long v = values[i];

		both(200, "%d %u %x %X %#x", (int)v, (unsigned)v, (unsigned)v, (unsigned)v, (unsigned)v);
		both(200, "%lld %llu %llx %lu %zu", v, (unsigned long long)v, (unsigned long long)v, (unsigned long)v, (size_t)v);
		both(200, "%hhu %hu %hhd %hd", (unsigned char)v, (unsigned short)v, (signed char)v, (short)v);
		both(200, "%5d|%-5d|%05d|%+d|%.3d|%8.3d|%-8.3d", (int)v, (int)v, (int)v, (int)v, (int)v, (int)v, (int)v);
		both(200, "%02x|%#04x|%#10x|%-#10x|%Xh|%.0u", (unsigned)v, (unsigned)v, (unsigned)v, (unsigned)v, (unsigned)v, (unsigned)v);
		both(200, "%*d|%-*d|%.*d", 7, (int)v, 7, (int)v, 4, (int)v);
	}
	both(200, "%*d", -7, 42);
	both(200, "%p", (void *)(uintptr_t)0x1234abcd);
}

static void test_strings(void **state)
{
	both(200, "%s|%10s|%-10s|%.3s|%10.3s|%.63s", "serial", "serial", "serial", "serial", "serial", "serial");
	both(200, "%s%s%s", "", "a", "");
	both(200, "%.*s|%*s", 2, "abc", 5, "abc");
	both(200, "%c%c|%3c|100%%", 'a', 'b', 'c');
	both(200, "nothing");
	both(200, "%s", "");
}

/* Cut, but the length is that of all. */
static void test_small_buffers(void **state)
{
	for (size_t size = 0; size < 24; size++)
		both(size, "%s %u %#x|", "queue pair", 12345u, 0xabcdu);
}

/* Not one that we know: written as it stands. */
static void test_unknown(void **state)
{
	static const char *const formats[] = { "%", "a%", "%q", "%5.2k!" };

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		char text[32];
		va_list none;

		memset(&none, 0, sizeof(none));
		assert_int_equal(bare_vprint(text, sizeof(text), formats[i], none), strlen(formats[i]));
		assert_string_equal(text, formats[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_small_buffers),
		cmocka_unit_test(test_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
