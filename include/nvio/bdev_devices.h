/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The built-in block devices and their options. Everywhere: `name` is 1 to NVIO_BDEV_NAME_MAX bytes and unique in the environment
 * (-EEXIST); block_size is a power of two, 512 to 65536; uuid NULL stands for a random one; options and strings are copied.
 */
#ifndef NVIO_BDEV_DEVICES_H
#define NVIO_BDEV_DEVICES_H

#include <nvio/bdev.h>

NVIO_BEGIN_DECLS

/* ---- devices that stand by themselves; any thread ---- */

/*
 * Memory is taken at the first touch, in large pages where the kernel has them: the first byte written in an aligned 2 MiB may take
 * all of the 2 MiB.
 */
struct nvio_bdev_malloc_opts {
	size_t size;
	const char *name;
	uint32_t block_size;
	uint64_t num_blocks;
	const uint8_t *uuid;
};
NVIO_EXPORT int nvio_bdev_malloc_create(struct nvio_env *env, const struct nvio_bdev_malloc_opts *opts);

struct nvio_bdev_null_opts {
	size_t size;
	const char *name;
	uint32_t block_size;
	uint64_t num_blocks;
	const uint8_t *uuid;
	bool untouched_reads; /* reads leave the buffer as it was: no data moves at all, for measuring everything else */
};
NVIO_EXPORT int nvio_bdev_null_create(struct nvio_env *env, const struct nvio_bdev_null_opts *opts);

enum nvio_bdev_file_engine {
	NVIO_BDEV_FILE_AUTO = 0,  /* io_uring, or threads where it is forbidden or not built in */
	NVIO_BDEV_FILE_IO_URING,  /* or an error */
	NVIO_BDEV_FILE_THREADS,   /* a pool with preadv and pwritev */
};

struct nvio_bdev_file_opts {
	size_t size;
	const char *name;
	const char *path;        /* a regular file or a block device */
	uint32_t block_size;     /* 0: 512 */
	uint64_t num_blocks;     /* 0: as large as the file; else the file is extended (sparse) up to that many when it is shorter
	                            and `create` is set, or refused with -ENOSPC when not */
	const uint8_t *uuid;     /* NULL: derived from the file's device and inode, so it stays the same */
	bool create;             /* make the file when it is not there */
	bool read_only;
	bool no_direct;          /* do not try O_DIRECT */
	enum nvio_bdev_file_engine engine;
	uint32_t threads;        /* of the thread engine; 0: 4 */
};
/*
 * 0; -ENOENT, -EACCES, -EISDIR, -EINVAL (size 0, or not a multiple of the block), -EROFS, -ENOSPC, ... each with the path and the
 * remedy. The file is locked (flock) against a second writer: -EBUSY.
 */
NVIO_EXPORT int nvio_bdev_file_create(struct nvio_env *env, const struct nvio_bdev_file_opts *opts);

/* "io_uring" or "threads", and whether O_DIRECT is in use. For reports. -EINVAL not a file device. */
NVIO_EXPORT int nvio_bdev_file_engine(const struct nvio_bdev *bdev, const char **engine, bool *direct);

NVIO_EXPORT void nvio_bdev_malloc_opts_init(struct nvio_bdev_malloc_opts *opts);
NVIO_EXPORT void nvio_bdev_null_opts_init(struct nvio_bdev_null_opts *opts);
NVIO_EXPORT void nvio_bdev_file_opts_init(struct nvio_bdev_file_opts *opts);

/*
 * ---- devices that stand on another one ----
 *
 * `base` is its name, alias or uuid. It is claimed: others may read it, and not write. Removing it removes what stands on it. Thread: a
 * current nvio_thread is needed, which hears the base's events. 0; -ENODEV no such base; -EPERM, -EBUSY it is claimed, or open for
 * writing elsewhere; -EEXIST; -EINVAL; -ENOMEM.
 */

/* The same device under another name. */
struct nvio_bdev_passthru_opts {
	size_t size;
	const char *name;
	const char *base;
	const uint8_t *uuid;
};
NVIO_EXPORT int nvio_bdev_passthru_create(struct nvio_env *env, const struct nvio_bdev_passthru_opts *opts);
NVIO_EXPORT void nvio_bdev_passthru_opts_init(struct nvio_bdev_passthru_opts *opts);

NVIO_END_DECLS

#endif
