/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vsnprintf() for the library's own messages: c, d, i, u, x, X, p, s and %, with the flags -, 0, # and +, width and precision (also *), and
 * the lengths hh, h, l, ll and z. Anything else is written as it stands, so that a message says less, not wrong.
 */
#include <stddef.h>

#include "base/platform.h"

struct out {
	char *buf;
	size_t size, len; /* len: what all of it takes, whether there is room or not */
};

struct spec {
	bool left, zero, alternate, plus, upper;
	int width, precision; /* precision -1: none */
	int length;           /* bytes of the argument's type */
};

static void put(struct out *o, char ch)
{
	if (o->len + 1 < o->size)
		o->buf[o->len] = ch;
	o->len++;
}

static void put_times(struct out *o, char ch, int times)
{
	while (times-- > 0)
		put(o, ch);
}

static void put_padded(struct out *o, const struct spec *s, const char *text, int len)
{
	if (!s->left)
		put_times(o, ' ', s->width - len);
	for (int i = 0; i < len; i++)
		put(o, text[i]);
	if (s->left)
		put_times(o, ' ', s->width - len);
}

static void put_string(struct out *o, const struct spec *s, const char *text)
{
	int len = 0;

	if (!text)
		text = "(null)";
	while ((s->precision < 0 || len < s->precision) && text[len])
		len++;
	put_padded(o, s, text, len);
}

/* `prefix` is what stands before the zeros: a sign, or 0x. */
static void put_number(struct out *o, const struct spec *s, uint64_t v, unsigned base, const char *prefix)
{
	const char *digits = s->upper ? "0123456789ABCDEF" : "0123456789abcdef";
	int n = 0, zeros, prefix_len = (int)strlen(prefix), len;
	char text[20];

	for (; v; v /= base)
		text[n++] = digits[v % base];
	zeros = (s->precision < 0 ? 1 : s->precision) - n;
	if (s->precision < 0 && s->zero && !s->left)
		zeros = MAX(zeros, s->width - prefix_len - n);
	zeros = MAX(zeros, 0);
	len = prefix_len + zeros + n;
	if (!s->left)
		put_times(o, ' ', s->width - len);
	for (int i = 0; i < prefix_len; i++)
		put(o, prefix[i]);
	put_times(o, '0', zeros);
	while (n)
		put(o, text[--n]);
	if (s->left)
		put_times(o, ' ', s->width - len);
}

/* va_list cannot be handed on by value: on some machines it is an array, on others not. */
struct args {
	va_list ap;
};

static int parse_count(const char **p, struct args *args)
{
	int n = 0;

	if (**p == '*') {
		(*p)++;
		return va_arg(args->ap, int);
	}
	while (**p >= '0' && **p <= '9')
		n = n * 10 + (*(*p)++ - '0');
	return n;
}

static void parse_spec(const char **p, struct spec *s, struct args *args)
{
	*s = (struct spec){ .precision = -1, .length = sizeof(int) };
	for (;; (*p)++) {
		if (**p == '-')
			s->left = true;
		else if (**p == '0')
			s->zero = true;
		else if (**p == '#')
			s->alternate = true;
		else if (**p == '+')
			s->plus = true;
		else
			break;
	}
	s->width = parse_count(p, args);
	if (s->width < 0) {
		s->left = true;
		s->width = -s->width;
	}
	if (**p == '.') {
		(*p)++;
		s->precision = parse_count(p, args);
	}
	for (; **p == 'h' || **p == 'l' || **p == 'z'; (*p)++)
		s->length = **p == 'h' ? s->length / 2 : 8;
	if (s->length == 8 && (*p)[-1] == 'z')
		s->length = sizeof(size_t);
}

static uint64_t take_unsigned(const struct spec *s, struct args *args)
{
	uint64_t v = s->length == 8 ? va_arg(args->ap, uint64_t) : va_arg(args->ap, unsigned);

	return s->length == 8 ? v : v & ((1ull << s->length * 8) - 1);
}

static void put_signed(struct out *o, const struct spec *s, struct args *args)
{
	int shift = 64 - s->length * 8;
	int64_t v = (int64_t)(take_unsigned(s, args) << shift) >> shift;

	put_number(o, s, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, 10, v < 0 ? "-" : s->plus ? "+" : "");
}

static void put_hex(struct out *o, const struct spec *s, uint64_t v)
{
	put_number(o, s, v, 16, !s->alternate || !v ? "" : s->upper ? "0X" : "0x");
}

/* One conversion; false: there is none like this. */
static bool convert(struct out *o, struct spec *s, char conversion, struct args *args)
{
	char ch;

	switch (conversion) {
	case 'd':
	case 'i':
		put_signed(o, s, args);
		return true;
	case 'u':
		put_number(o, s, take_unsigned(s, args), 10, "");
		return true;
	case 'X':
		s->upper = true;
		put_hex(o, s, take_unsigned(s, args));
		return true;
	case 'x':
		put_hex(o, s, take_unsigned(s, args));
		return true;
	case 'p':
		put_number(o, s, (uintptr_t)va_arg(args->ap, void *), 16, "0x");
		return true;
	case 's':
		put_string(o, s, va_arg(args->ap, const char *));
		return true;
	case 'c':
		ch = (char)va_arg(args->ap, int);
		put_padded(o, s, &ch, 1);
		return true;
	case '%':
		put(o, '%');
		return true;
	default:
		return false;
	}
}

int platform_vprint(char *buf, size_t size, const char *fmt, va_list ap)
{
	struct out o = { .buf = buf, .size = size };
	struct args args;

	va_copy(args.ap, ap);
	for (const char *p = fmt; *p; p++) {
		const char *begin = p++;
		struct spec s;

		if (*begin != '%') {
			p = begin;
			put(&o, *p);
			continue;
		}
		parse_spec(&p, &s, &args);
		if (convert(&o, &s, *p, &args))
			continue;
		while (begin < p)
			put(&o, *begin++);
		if (!*p)
			break;
		put(&o, *p);
	}
	va_end(args.ap);
	if (size)
		buf[MIN(o.len, size - 1)] = '\0';
	return (int)o.len;
}
