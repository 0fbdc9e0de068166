/* SPDX-License-Identifier: BSD-3-Clause */
/* Fields and JSON values; see out.h. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "out.h"

#define TEXT_MAX 256

static unsigned __int128 number(const struct cli_field *f, const void *data)
{
	const uint8_t *p = (const uint8_t *)data + f->offset;
	unsigned __int128 v = 0;

	for (size_t i = f->bytes; i-- > 0;)
		v = v << 8 | p[i];
	return v;
}

static const char *decimal(char *end, unsigned __int128 v)
{
	*--end = 0;
	do {
		*--end = (char)('0' + (int)(v % 10));
		v /= 10;
	} while (v);
	return end;
}

static void hex(char *to, const uint8_t *p, size_t len, enum cli_show show)
{
	for (size_t i = 0; i < len; i++) {
		if (show == CLI_SHOW_UUID && (i == 4 || i == 6 || i == 8 || i == 10))
			*to++ = '-';
		to += sprintf(to, "%02x", p[i]);
	}
}

void cli_text(char *to, const void *from, size_t len)
{
	const char *p = from;

	len = strnlen(p, len);
	while (len && p[len - 1] == ' ')
		len--;
	for (size_t i = 0; i < len; i++)
		to[i] = p[i] >= ' ' && p[i] <= '~' ? p[i] : '?';
	to[len] = 0;
}

static void explain(const struct cli_field *f, uint32_t v)
{
	for (unsigned bit = 0; bit < 32; bit++) {
		if (v >> bit & 1)
			printf("  %-8s  bit %u: %s\n", "", bit,
				nvio_bit_str((enum nvio_bits)(f->bits - 1), bit));
	}
}

static void print_one(const struct cli_field *f, const void *data)
{
	const uint8_t *p = (const uint8_t *)data + f->offset;
	char text[TEXT_MAX * 2 + 8];

	switch (f->show) {
	case CLI_SHOW_TEXT:
		cli_text(text, p, f->bytes);
		printf("%s\n", text);
		break;
	case CLI_SHOW_BYTES:
	case CLI_SHOW_UUID:
		hex(text, p, f->bytes, f->show);
		printf("%s\n", text);
		break;
	case CLI_SHOW_HEX: printf("%#" PRIx64 "\n", (uint64_t)number(f, data)); break;
	case CLI_SHOW_KELVIN:
		printf("%d C (%u K)\n", (int)number(f, data) - 273, (unsigned)number(f, data));
		break;
	case CLI_SHOW_DEC: printf("%s\n", decimal(text + sizeof(text), number(f, data))); break;
	}
}

static const char *label(const struct cli_field *f)
{
	return f->label ? f->label : f->key;
}

void cli_fields_print(const struct cli_field *fields, size_t n, const void *data)
{
	size_t width = 10;

	for (size_t i = 0; i < n; i++) {
		if (strlen(label(&fields[i])) > width)
			width = strlen(label(&fields[i]));
	}
	for (size_t i = 0; i < n; i++) {
		const struct cli_field *f = &fields[i];

		printf("%-*s: ", (int)width, label(f));
		print_one(f, data);
		if (f->bits && cli.verbose)
			explain(f, (uint32_t)number(f, data));
	}
}

void cli_fields_json(json_t *object, const struct cli_field *fields, size_t n, const void *data)
{
	for (size_t i = 0; i < n; i++) {
		const struct cli_field *f = &fields[i];
		const uint8_t *p = (const uint8_t *)data + f->offset;
		char text[TEXT_MAX * 2 + 8];
		unsigned __int128 v;

		switch (f->show) {
		case CLI_SHOW_TEXT:
			cli_text(text, p, f->bytes);
			cli_json_set(object, f->key, cli_json_text(text));
			break;
		case CLI_SHOW_BYTES:
		case CLI_SHOW_UUID:
			hex(text, p, f->bytes, f->show);
			cli_json_set(object, f->key, cli_json_text(text));
			break;
		default:
			v = number(f, data);
			cli_json_set(object, f->key,
				v > UINT64_MAX ? json_real((double)v) : cli_json_u64((uint64_t)v));
			break;
		}
	}
}

static void no_memory(void)
{
	cli_fail("out of memory");
	exit(CLI_FAILED);
}

void cli_json_set(json_t *object, const char *key, json_t *value)
{
	if (json_object_set_new(object, key, value))
		no_memory();
}

void cli_json_add(json_t *array, json_t *value)
{
	if (json_array_append_new(array, value))
		no_memory();
}

json_t *cli_json_object(void)
{
	json_t *object = json_object();

	if (!object)
		no_memory();
	return object;
}

json_t *cli_json_array(void)
{
	json_t *array = json_array();

	if (!array)
		no_memory();
	return array;
}

json_t *cli_json_u64(uint64_t v)
{
	return v > INT64_MAX ? json_real((double)v) : json_integer((json_int_t)v);
}

json_t *cli_json_text(const char *text)
{
	json_t *value = json_string(text);
	char *copy;

	if (value)
		return value;
	copy = strdup(text);
	if (!copy)
		no_memory();
	for (char *p = copy; *p; p++) {
		if (*p & 0x80)
			*p = '?';
	}
	value = json_string(copy);
	free(copy);
	return value;
}

json_t *cli_json_hex(const void *data, size_t len)
{
	char *text = malloc(2 * len + 1);
	json_t *value;

	if (!text)
		no_memory();
	text[0] = 0;
	hex(text, data, len, CLI_SHOW_BYTES);
	value = json_string(text);
	free(text);
	return value;
}

int cli_json_print(json_t *root)
{
	/* Twelve digits: enough for every ratio, and 0.1 stays 0.1. */
	if (json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(12)) == 0)
		putchar('\n');
	else if (!ferror(stdout))
		no_memory();
	json_decref(root);
	return CLI_OK;
}

const char *cli_bytes(char *buf, size_t len, double bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	size_t u = 0;

	for (; bytes >= 1024 && u + 1 < CLI_COUNT(units); u++)
		bytes /= 1024;
	snprintf(buf, len, u ? "%.2f %s" : "%.0f %s", bytes, units[u]);
	return buf;
}

void cli_hexdump(const void *data, size_t len)
{
	const uint8_t *p = data;

	for (size_t at = 0; at < len; at += 16) {
		size_t n = len - at < 16 ? len - at : 16;

		printf("%04zx:", at);
		for (size_t i = 0; i < 16; i++)
			i < n ? printf(" %02x", p[at + i]) : printf("   ");
		printf("  ");
		for (size_t i = 0; i < n; i++)
			putchar(p[at + i] >= ' ' && p[at + i] <= '~' ? p[at + i] : '.');
		putchar('\n');
	}
}
