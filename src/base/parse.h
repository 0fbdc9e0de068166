/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What users write: sizes, numbers, booleans, and "a=b&c=d" with %-escapes. `what` names the option or field
 * in the failure's words. Each returns 0, or -EINVAL (not such a thing) or -ERANGE (one, but too large); the
 * result is then as it was.
 */
#ifndef BASE_PARSE_H
#define BASE_PARSE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

/* Decimal, or hexadecimal with 0x; a leading 0 does not mean octal. No sign, no blanks. At most `max`. */
int parse_u64(const char *what, const char *text, uint64_t max, uint64_t *value);

/* As parse_u64(), with an optional k, M, G, T or P (powers of 1024, in any case, "iB" may follow) or B. */
int parse_size(const char *what, const char *text, uint64_t *bytes);

/* 1 and 0, true and false, yes and no, on and off, in any case. */
int parse_bool(const char *what, const char *text, bool *value);

/*
 * Walks "a=b&c=d%20e" in place: *rest starts at the text and is moved on, key and value are cut out of it and
 * decoded. 1: there was a pair (value NULL when it had no '='); 0: the end; -EINVAL: an empty key, a bad
 * escape, or %00. '+' stands for itself: it occurs in file names.
 */
int parse_query(const char *what, char **rest, char **key, char **value);

/* Decodes %xx in place. 0; -EINVAL, and the text is half decoded. */
int parse_percent(const char *what, char *text);

#endif
