/* SPDX-License-Identifier: BSD-3-Clause */
/* The image behind a software drive's short form, for `nvio write`, which makes it when it is not there. */
#ifndef CLI_IMAGE_H
#define CLI_IMAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include <nvio/trid.h>

struct image {
	bool is_file;          /* a loop device over a file; nothing below counts otherwise */
	bool sized;            /* the form says how large it is to be */
	bool several;          /* more than one namespace: more than one file */
	bool read_only;
	uint32_t block_size;
	char path[NVIO_TRADDR_MAX + 1];
};

void image_parse(const struct nvio_trid *trid, struct image *image);

/* Whether there is something at its path; *st as stat() has it. */
bool image_stat(const struct image *image, struct stat *st);

/* Whether nothing has its name (a link that leads nowhere would be something), in a directory that is there. */
bool image_is_missing(const struct image *image);

/* Adds size=`bytes` (rounded up) to the form, so that connecting makes the image. -ENAMETOOLONG: no room. */
int image_add_size(struct nvio_trid *trid, uint64_t bytes, uint64_t *rounded);

#endif
