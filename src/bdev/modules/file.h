/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The file device inside: the opened image, the two engines that can drive it, and the cutting of an I/O into
 * steps that a system call can take.
 */
#ifndef BDEV_MODULES_FILE_H
#define BDEV_MODULES_FILE_H

#include "bdev/bdev.h"

#define FILE_CHANNEL_DEPTH                                                                                   \
	128u /* I/O of one channel that an engine holds at once; more waits in the channel */
#define FILE_STEP_MAX	  (1u << 30) /* bytes of one system call */
#define FILE_STEP_IOVCNT  64u
#define FILE_BOUNCE_BYTES (128u * 1024) /* a multiple of the largest block */
#define FILE_AGAIN_MAX	  200u		/* refusals in a row ("try again") before an I/O fails */

struct file_bdev;

struct file_engine {
	const char *name;
	size_t channel_size;
	/* Starts what the whole device shares; 0 or -errno. -ENOSYS, -EPERM, -EACCES, -ENOMEM, -EOPNOTSUPP:
	 * not here. */
	int (*init)(struct file_bdev *f);
	void (*fini)(struct file_bdev *f);
	int (*channel_create)(struct file_bdev *f, void *channel, struct nvio_thread *thread);
	void (*channel_destroy)(struct file_bdev *f, void *channel);
	int (*submit)(struct file_bdev *f, void *channel, struct nvio_bdev_io *io);
};

extern const struct file_engine file_engine_uring;
extern const struct file_engine file_engine_threads;

/* Immutable once created. */
struct file_bdev {
	const struct file_engine *engine;
	void *engine_data;
	struct nvio_env *env;
	int fd;
	uint32_t block_size;
	uint64_t num_blocks;
	uint32_t align;	  /* O_DIRECT is on: of addresses, offsets and lengths; 0: it is off */
	uint32_t threads; /* asked for */
	bool block_device;
	bool read_only;
	bool created; /* by us, just now: to be taken back if the creation fails later */
	bool can_unmap;
	uint8_t uuid[16];
	char *path;
};

/* Opens, checks and locks the image. 0, or -errno in words with nothing left behind. file_open.c */
int file_open(struct file_bdev *f, const struct nvio_bdev_file_opts *opts);
void file_close(struct file_bdev *f);

/* The size to that many blocks, where the file is shorter. file_open.c */
int file_grow(struct file_bdev *f, uint64_t num_blocks);

/*
 * How far an I/O has come, in io->module, and its next step. The caller does the step (preadv, io_uring,
 * ...), and tells how many bytes it moved; short ones go on where they stopped.
 */
struct file_progress {
	uint64_t done;	     /* bytes */
	uint64_t iov_offset; /* into the iovec at iov_index */
	void *bounce;	     /* a buffer that the step goes through; see bounced */
	uint32_t iov_index;
	uint32_t step_len; /* bytes under way */
	int32_t status;	   /* the engine's */
	uint8_t slot;	   /* the engine's */
	uint8_t phase;	   /* the engine's */
	uint8_t agains;	   /* refusals in a row; see file_again() */
	bool bounced;	   /* `bounce` is in use by this step */
};

nvio_static_assert(
	sizeof(struct file_progress) <= sizeof(((struct nvio_bdev_io *)0)->module), "no allocation per I/O");
nvio_static_assert(FILE_CHANNEL_DEPTH <= UINT8_MAX, "slot");
nvio_static_assert(FILE_AGAIN_MAX <= UINT8_MAX, "agains");

static inline struct file_progress *file_progress(struct nvio_bdev_io *io)
{
	return (struct file_progress *)io->module;
}

static inline void file_progress_init(struct file_progress *p)
{
	*p = (struct file_progress){ 0 };
}

/* Whether the next step of a read or write must go through a bounce buffer: its memory is not aligned as
 * O_DIRECT wants it. */
bool file_needs_bounce(
	const struct file_bdev *f, const struct nvio_bdev_io *io, const struct file_progress *p);

/* Fills `vec` (FILE_STEP_IOVCNT of them) with the next step; returns how many. `bounce`: use it,
 * FILE_BOUNCE_BYTES. */
unsigned file_step(const struct file_bdev *f, const struct nvio_bdev_io *io, struct file_progress *p,
	struct iovec *vec, void *bounce);

/*
 * The step has ended with `res`: bytes, or -errno. 0: it is all done; 1: there is more; -errno: the status of
 * the I/O. Steps are to be tried again as file_again() says.
 */
int file_step_done(
	const struct file_bdev *f, const struct nvio_bdev_io *io, struct file_progress *p, int64_t res);

/*
 * Whether a step that ended with `res` is to be tried again as it was: always when a signal interrupted it,
 * and FILE_AGAIN_MAX times in a row when the kernel refused or cancelled it. Once per step.
 */
bool file_again(struct file_progress *p, int64_t res);

/* What the user is told of a system call's -errno. */
int file_status(int64_t res);

#endif
