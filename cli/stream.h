/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any number of bytes between a namespace and a file or pipe: several I/Os in flight over a fixed ring of
 * buffers, in order at the file's end.
 */
#ifndef CLI_STREAM_H
#define CLI_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "cli.h"

#define STREAM_DEPTH_MAX     256
#define STREAM_DEPTH_DEFAULT 8

enum stream_kind {
	STREAM_READ,    /* namespace to file */
	STREAM_WRITE,   /* file to namespace */
	STREAM_COMPARE, /* file against namespace */
};

struct stream_difference {
	bool found;
	uint64_t at;      /* bytes from the first block on */
	uint64_t lba;
	uint32_t offset;  /* in that block */
	uint8_t file, device;
};

struct stream {
	/* The caller's. */
	enum stream_kind kind;
	struct cli_dev *dev;
	int fd;
	const char *name;  /* of the file, for messages */
	uint64_t lba;      /* the first block */
	uint64_t bytes;    /* how many: no fewer will do; CLI_UNSET: until the file ends */
	uint64_t expected; /* for the progress line: bytes, or CLI_UNSET when nobody knows */
	uint32_t depth;

	/* Results. */
	uint64_t moved;    /* bytes, without what fills the last block */
	uint64_t done;     /* I/Os that succeeded, also behind one that did not */
	double seconds;
	struct stream_difference difference;
};

/* CLI_OK, CLI_FAILED, or CLI_DIFFERS with `difference` filled in. A write is flushed whatever the outcome. */
int stream_run(struct stream *s);

/* A line on standard error when that is a terminal, at most five times a second. progress.c */
struct progress {
	const char *verb;
	uint64_t begin_ns, next_ns;
	uint64_t expected;
	bool on, shown;
};

uint64_t progress_now_ns(void);
void progress_begin(struct progress *p, const char *verb, uint64_t expected);
void progress_show(struct progress *p, uint64_t done);
double progress_end(struct progress *p); /* clears the line; the seconds it took */

#endif
