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

/*
 * ---- delay: the device below, slower ----
 *
 * Each I/O is held for a while after the device below has ended it: one in a hundred, at random, for the p99 latency, the others for the
 * average one. Reads have their own two; all other types go by those of writes. In microseconds by the environment's clock; 0: not held.
 * What is held costs no polling, so the thread may sleep. The random numbers follow from the environment's seed.
 */
struct nvio_bdev_delay_opts {
	size_t size;
	const char *name;
	const char *base;
	const uint8_t *uuid;
	uint64_t avg_read_us;
	uint64_t p99_read_us; /* at least the average, as for writes */
	uint64_t avg_write_us;
	uint64_t p99_write_us;
};
/* And -EINVAL: a p99 latency below the average. */
NVIO_EXPORT int nvio_bdev_delay_create(struct nvio_env *env, const struct nvio_bdev_delay_opts *opts);
NVIO_EXPORT void nvio_bdev_delay_opts_init(struct nvio_bdev_delay_opts *opts);

/*
 * Other latencies, from `opts`; its name, base and uuid are not looked at. They hold for new I/O at once, and for what is held already
 * (counted from when that began) once `op` completes, on the calling nvio_thread. 0; -ENODEV; -EINVAL not a delay device, no current
 * thread, or as above; -ENOMEM they hold for new I/O alone. Any thread.
 */
NVIO_EXPORT int nvio_bdev_delay_update(struct nvio_env *env, const char *name, const struct nvio_bdev_delay_opts *opts,
	struct nvio_op *op);

/* ---- error: the device below, failing as it is told ---- */

struct nvio_bdev_error_opts {
	size_t size;
	const char *name;
	const char *base;
	const uint8_t *uuid;
};
NVIO_EXPORT int nvio_bdev_error_create(struct nvio_env *env, const struct nvio_bdev_error_opts *opts);
NVIO_EXPORT void nvio_bdev_error_opts_init(struct nvio_bdev_error_opts *opts);

enum nvio_bdev_error_kind {
	NVIO_BDEV_ERROR_FAIL,	   /* ends with `status` and `sf`; the device below does not see it */
	NVIO_BDEV_ERROR_CORRUPT,   /* a byte of what is read, or of what is written below, is another one; success is said */
	NVIO_BDEV_ERROR_PEND,	   /* held until nvio_bdev_error_clear(), which lets it go on, or until its channel goes (-ECANCELED) */
	NVIO_BDEV_ERROR_NO_MEMORY, /* refused as by a device without room, and tried again after `again_us`; it and what follows waits */
};

#define NVIO_BDEV_ERROR_MAX 16 /* injections that a device has at once */

/* One injection. An I/O is counted when its type and range fit; which of those are struck, the counters and `probability` say. */
struct nvio_bdev_error_inject {
	size_t size;
	enum nvio_bdev_error_kind kind;
	uint32_t io_types;   /* NVIO_BDEV_CAN() of each; 0: all. CORRUPT: READ and WRITE alone can be */
	uint64_t lba;	     /* the first block of the range that must be touched; of types without a range all are */
	uint64_t num_blocks; /* 0: to the end */
	uint64_t skip;	     /* let so many pass first */
	uint64_t every;	     /* then strike the first and each n-th; 0 and 1: each */
	uint64_t count;	     /* strike so often, then never again; 0: no limit */
	double probability;  /* above 0, and 1 (the default) at most; from the environment's seed */

	/* What each kind has. */
	int status;		 /* FAIL: -errno; 0: -EIO */
	uint16_t sf;		 /* FAIL: the NVMe status field as in struct nvio_cpl, for op.cpl; 0: no controller answered */
	uint8_t corrupt_xor;	 /* CORRUPT: what the byte is changed by; 0: 0xff */
	uint64_t corrupt_offset; /* CORRUPT: which byte, from where the I/O begins; beyond its length counted round */
	uint64_t again_us;	 /* NO_MEMORY: by the environment's clock; 0: 1000 */
};
NVIO_EXPORT void nvio_bdev_error_inject_init(struct nvio_bdev_error_inject *inject);

/*
 * Adds an injection; the first one that strikes an I/O is all that it gets. 0; -ENODEV; -EINVAL not an error device, or a bad value (named in
 * nvio_errmsg()); -ENOSPC there are NVIO_BDEV_ERROR_MAX. Any thread; it holds for I/O that is submitted from then on.
 */
NVIO_EXPORT int nvio_bdev_error_inject(struct nvio_env *env, const char *name, const struct nvio_bdev_error_inject *inject);

/*
 * Takes all injections away, and lets what they hold (PEND) go on to the device below; that has happened when `op` completes, on the
 * calling nvio_thread. 0; -ENODEV; -EINVAL not an error device, no current thread; -ENOMEM they are taken away, and what is held stays
 * so. Any thread.
 */
NVIO_EXPORT int nvio_bdev_error_clear(struct nvio_env *env, const char *name, struct nvio_op *op);

/* How often each kind has struck since the device was made. */
struct nvio_bdev_error_stats {
	uint64_t failed;
	uint64_t corrupted;
	uint64_t pended;
	uint64_t refused;
};
/* 0; -ENODEV; -EINVAL not an error device. Any thread. */
NVIO_EXPORT int nvio_bdev_error_stats(struct nvio_env *env, const char *name, struct nvio_bdev_error_stats *stats);

/*
 * ---- split: equal parts of one device, each a device ----
 *
 * The parts are named "<name>p0", "<name>p1", ... What the base has beyond the last part stays unused. Each part can be opened, deleted and
 * claimed by itself; the base is given back with the last one. When the base shrinks, a part that reaches beyond its end shrinks
 * to what is left of it, or is deleted when nothing is; when the base grows again, parts that have shrunk grow to what they were.
 * Putting a channel of a part with I/O in flight hurries (-ECANCELED) what the base holds back for the other parts on that thread, too.
 */
#define NVIO_BDEV_SPLIT_MAX 1024 /* parts */

struct nvio_bdev_split_opts {
	size_t size;
	const char *name; /* NULL: the base's */
	const char *base;
	uint32_t split_count;	/* 1 to NVIO_BDEV_SPLIT_MAX */
	uint64_t split_size_mb; /* of a part, in MiB; 0: as large as they can be */
};
/* And -ENOSPC: the base is too small for that. */
NVIO_EXPORT int nvio_bdev_split_create(struct nvio_env *env, const struct nvio_bdev_split_opts *opts);
NVIO_EXPORT void nvio_bdev_split_opts_init(struct nvio_bdev_split_opts *opts);

/*
 * ---- devices from a line of text ----
 *
 *     malloc:1G?bs=4096
 *     delay?avg_read=100&p99_read=500:error?kind=fail&every=10:file:disk.img?size=1G
 *
 * Layers are joined by ':' and stand on what is right of them. The last one is KIND:WHAT, and its options reach from the first '?' to the
 * end of the text; every other one is KIND or KIND?OPTIONS, up to the next ':'. OPTIONS is KEY=VALUE&KEY=VALUE. In WHAT and OPTIONS
 * '%' and two hexadecimal digits stand for a byte: "%3F" for '?', "%26" for '&', "%3A" for ':' and "%25" for '%'. At most
 * NVIO_BDEV_STR_MAX bytes and NVIO_BDEV_STR_LAYERS layers. docs/bdev-devices.md tells kinds and options.
 */
#define NVIO_BDEV_STR_MAX    4095
#define NVIO_BDEV_STR_LAYERS 16

/*
 * Creates all devices of the text, from the last to the first, and writes the name of the first into `name` (NVIO_BDEV_NAME_MAX + 1 bytes, or
 * NULL). One without the option "name" gets its kind and a number. 0; -EINVAL the text makes no sense, and nvio_errmsg() says where and what
 * would; or what the creation of a device answers. On an error there is nothing left of it, but for a file that was made. Deleting the last one deletes
 * what stands on it. Thread: a current nvio_thread is needed when one stands on another.
 */
NVIO_EXPORT int nvio_bdev_create_str(struct nvio_env *env, const char *text, char *name);

/* Whether the text makes sense; nothing is created. 0; -EINVAL, and nvio_errmsg() says where and what would. Any thread. */
NVIO_EXPORT int nvio_bdev_check_str(const char *text);

/* The kinds that there are; NULL beyond the last. Any thread. */
NVIO_EXPORT const char *nvio_bdev_str_kind(unsigned index);

NVIO_END_DECLS

#endif
