/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Results, for people and as JSON. What a controller returns is described once, as a table of fields, and
 * printed either way from there.
 */
#ifndef CLI_OUT_H
#define CLI_OUT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include <nvio/spec/words.h>

enum cli_show {
	CLI_SHOW_DEC,
	CLI_SHOW_HEX,
	CLI_SHOW_KELVIN, /* also in degrees Celsius, for people */
	CLI_SHOW_TEXT,   /* ASCII, padded with blanks or ended by a zero byte */
	CLI_SHOW_BYTES,  /* an identifier: hexadecimal digits, in the order of the bytes */
	CLI_SHOW_UUID,   /* the same, with dashes */
};

struct cli_field {
	const char *key;     /* of the JSON object, and the label unless there is one */
	uint16_t offset;     /* into the data; numbers lie there little-endian */
	uint16_t bytes;      /* numbers: 1 to 16 */
	enum cli_show show;
	const char *label;
	unsigned bits;       /* enum nvio_bits + 1: has bits with names; 0: has none */
};

/* A row of a table over `struct s`, the key being the field's own name or another one. */
#define CLI_FIELD(s, field, how) { #field, offsetof(struct s, field), sizeof(((struct s *)0)->field), how }
#define CLI_FIELD_AS(s, field, key, how)                                                                   \
	{ key, offsetof(struct s, field), sizeof(((struct s *)0)->field), how }
#define CLI_FIELD_BITS(s, field, which)                                                                    \
	{ #field, offsetof(struct s, field), sizeof(((struct s *)0)->field), CLI_SHOW_HEX, NULL, (which) + 1 }

/* "label : value" lines, as wide as the longest label; with cli.verbose the bits, in words, below. */
void cli_fields_print(const struct cli_field *fields, size_t n, const void *data);
void cli_fields_json(json_t *object, const struct cli_field *fields, size_t n, const void *data);

/* object[key] = value, which becomes the object's. Running out of memory ends the program, with a message. */
void cli_json_set(json_t *object, const char *key, json_t *value);
void cli_json_add(json_t *array, json_t *value);
json_t *cli_json_object(void);
json_t *cli_json_array(void);
/* JSON numbers of jansson have 63 bits; a larger one loses its low digits. */
json_t *cli_json_u64(uint64_t v);
/* Any bytes: what is not valid UTF-8 becomes '?'. */
json_t *cli_json_text(const char *text);
json_t *cli_json_hex(const void *data, size_t len);
/* Prints and frees. Returns CLI_OK; a failure to write shows at the end of main(). */
int cli_json_print(json_t *root);

/* A field of ASCII without its padding; what is not printable becomes '?'. `to` holds len + 1 bytes. */
void cli_text(char *to, const void *from, size_t len);
/* "1.50 GiB"; returns buf. */
const char *cli_bytes(char *buf, size_t len, double bytes);
void cli_hexdump(const void *data, size_t len);

#endif
