/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading of what users write. Strict: what is not understood in full is refused, with words that say what
 * would be.
 */
#include "base/parse.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/fail.h"

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The digits that *text starts with, which is moved behind them. -EINVAL none; -ERANGE beyond 64 bits. */
static int read_digits(const char **text, uint64_t *value)
{
	const char *p = *text;
	uint64_t v = 0;
	int base = 10, digit;

	if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X')) {
		base = 16;
		p += 2;
	}
	digit = hex_digit(*p);
	if (digit < 0 || digit >= base)
		return -EINVAL;
	for (; digit >= 0 && digit < base; digit = hex_digit(*++p))
		if (__builtin_mul_overflow(v, (uint64_t)base, &v) ||
		    __builtin_add_overflow(v, (uint64_t)digit, &v))
			return -ERANGE;
	*text = p;
	*value = v;
	return 0;
}

int parse_u64(const char *what, const char *text, uint64_t max, uint64_t *value)
{
	const char *p = text ? text : "";
	uint64_t v = 0;
	int rc = read_digits(&p, &v);

	if (rc == -EINVAL || (!rc && *p))
		return fail(-EINVAL, "%s: \"%s\" is not a number; write digits, or 0x and hexadecimal ones",
			what, text ? text : "");
	if (rc || v > max)
		return fail(-ERANGE, "%s: %s is too large; at most %llu", what, text,
			(unsigned long long)max);
	*value = v;
	return 0;
}

/* The power of two of a size suffix, or -1. */
static int suffix_shift(const char *p)
{
	static const char letters[] = "kmgtp";
	const char *at;

	if (!*p || !strcasecmp(p, "b"))
		return 0;
	at = strchr(letters, *p | 0x20);
	if (!at || (p[1] && strcasecmp(p + 1, "ib")))
		return -1;
	return 10 * (int)(at - letters + 1);
}

int parse_size(const char *what, const char *text, uint64_t *bytes)
{
	const char *p = text ? text : "";
	uint64_t v = 0;
	int rc = read_digits(&p, &v);
	int shift = rc ? 0 : suffix_shift(p);

	if (rc == -EINVAL || shift < 0)
		return fail(-EINVAL,
			"%s: \"%s\" is not a size; write bytes, or a number with k, M, G, T or P, as in 256M",
			what, text ? text : "");
	if (rc || v > UINT64_MAX >> shift)
		return fail(-ERANGE, "%s: %s is too large; it must be below 2^64 bytes", what, text);
	*bytes = v << shift;
	return 0;
}

int parse_bool(const char *what, const char *text, bool *value)
{
	static const char *const words[][2] = {
		{ "0", "1" }, { "false", "true" }, { "no", "yes" }, { "off", "on" },
	};

	for (unsigned i = 0; text && i < ARRAY_SIZE(words); i++) {
		for (unsigned truth = 0; truth < 2; truth++) {
			if (!strcasecmp(text, words[i][truth])) {
				*value = truth;
				return 0;
			}
		}
	}
	return fail(-EINVAL, "%s: \"%s\" is neither; write true or false, yes or no, on or off, 1 or 0", what,
		text ? text : "");
}

int parse_percent(const char *what, char *text)
{
	char *out = text;

	for (char *p = text; *p; p++) {
		int high, low;

		if (*p != '%') {
			*out++ = *p;
			continue;
		}
		high = hex_digit(p[1]);
		low = high < 0 ? -1 : hex_digit(p[2]);
		if (low < 0)
			return fail(-EINVAL,
				"%s: \"%.3s\" is not an escape; write %% and two hexadecimal digits (%%25)",
				what, p);
		if (!(high | low))
			return fail(-EINVAL, "%s: %%00 cannot be part of a text", what);
		*out++ = (char)(high << 4 | low);
		p += 2;
	}
	*out = '\0';
	return 0;
}

int parse_query(const char *what, char **rest, char **key, char **value)
{
	char *k = *rest, *v, *end;
	int rc;

	if (!k || !*k)
		return 0;
	end = strchrnul(k, '&');
	if (*end) {
		*end++ = '\0';
		if (!*end) /* "a=b&" would otherwise end like "a=b" */
			return fail(-EINVAL, "%s: ends in '&'; remove it, or add key=value", what);
	}
	v = strchr(k, '=');
	if (v)
		*v++ = '\0';
	if (!*k)
		return fail(-EINVAL, "%s: a key is empty; write key=value&key=value", what);
	rc = parse_percent(what, k);
	if (!rc && v)
		rc = parse_percent(what, v);
	if (rc)
		return rc;
	*key = k;
	*value = v;
	*rest = end;
	return 1;
}
