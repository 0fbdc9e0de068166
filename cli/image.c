/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads as much of a software drive's short form as is needed to know its file; see image.h and nvio/drive.h.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image.h"

#define IMAGE_MIN   (UINT64_C(1) << 20)
#define IMAGE_ALIGN UINT64_C(4096) /* the larger of the two block sizes, so that either divides it */

static bool is_hex(char c)
{
	return c && strchr("0123456789abcdefABCDEF", c);
}

static void unescape(char *to, const char *from, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		char digits[3] = { 0 };

		if (from[i] == '%' && i + 2 < len && is_hex(from[i + 1]) && is_hex(from[i + 2])) {
			memcpy(digits, from + i + 1, 2);
			*to++ = (char)strtoul(digits, NULL, 16);
			i += 2;
		} else {
			*to++ = from[i];
		}
	}
	*to = 0;
}

/* What stands behind key=, or NULL. */
static const char *find_key(const char *query, const char *key)
{
	size_t len = strlen(key);

	for (const char *p = query; p && *p; p = strchr(p, '&') ? strchr(p, '&') + 1 : NULL) {
		if (!strncmp(p, key, len) && p[len] == '=')
			return p + len + 1;
	}
	return NULL;
}

void image_parse(const struct nvio_trid *trid, struct image *image)
{
	const char *form = trid->traddr, *query = strchr(form, '?'), *bs = NULL, *ro = NULL;

	memset(image, 0, sizeof(*image));
	if (trid->trtype != NVIO_TRTYPE_LOOP || !strncmp(form, "ram:", 4) || !strncmp(form, "null:", 5))
		return;
	image->is_file = true;
	unescape(image->path, form, query ? (size_t)(query - form) : strlen(form));
	if (query) {
		image->sized = find_key(query + 1, "size");
		image->several = find_key(query + 1, "ns");
		bs = find_key(query + 1, "bs");
		ro = find_key(query + 1, "ro");
	}
	/* Drives have blocks of one of two sizes, and what is neither is refused when it is connected to. */
	image->read_only = ro && *ro == '1';
	image->block_size = bs && strncmp(bs, "512", 3) ? 4096 : 512;
}

bool image_stat(const struct image *image, struct stat *st)
{
	return image->is_file && !stat(image->path, st);
}

bool image_is_missing(const struct image *image)
{
	const char *slash = strrchr(image->path, '/');
	char folder[sizeof(image->path)] = ".";
	struct stat st;

	if (!image->is_file || !lstat(image->path, &st) || errno != ENOENT)
		return false;
	if (slash)
		snprintf(folder, sizeof(folder), "%.*s", slash == image->path ? 1 : (int)(slash - image->path),
			image->path);
	return !stat(folder, &st) && S_ISDIR(st.st_mode);
}

int image_add_size(struct nvio_trid *trid, uint64_t bytes, uint64_t *rounded)
{
	size_t len = strlen(trid->traddr);
	int n;

	if (bytes < IMAGE_MIN)
		bytes = IMAGE_MIN;
	if (bytes > UINT64_MAX - IMAGE_ALIGN)
		return -EFBIG;
	*rounded = (bytes + IMAGE_ALIGN - 1) / IMAGE_ALIGN * IMAGE_ALIGN;
	n = snprintf(trid->traddr + len, sizeof(trid->traddr) - len, "%csize=%" PRIu64,
		strchr(trid->traddr, '?') ? '&' : '?', *rounded);
	return (size_t)n < sizeof(trid->traddr) - len ? 0 : -ENAMETOOLONG;
}
