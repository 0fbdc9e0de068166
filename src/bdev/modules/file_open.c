/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Opening an image: every way in which it can be the wrong thing is found here, and told with its path, its
 * cause and what to do about it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "bdev/modules/file.h"
#include "bdev/uuid.h"

#define LOCK_TRIES    50
#define LOCK_RETRY_NS (10 * NS_PER_MS)

#define DIRECT_ALIGN_MIN 512u
#define DIRECT_ALIGN_MAX 4096u

static const char *remedy_of(int err)
{
	switch (err) {
	case ENOENT: return "check the path, or set `create` and a size to make it";
	case EACCES:
	case EPERM: return "check its permissions, or open it read-only";
	case EROFS: return "its file system is read-only; open it read-only";
	case EMFILE:
	case ENFILE: return "too many open files; raise the limit (ulimit -n)";
	case ENOTDIR:
	case ELOOP:
	case ENAMETOOLONG: return "check the path";
	case ETXTBSY: return "it is in use as a program or swap; choose another file";
	case ENOSPC:
	case EDQUOT:
	case EFBIG: return "free some space, raise the limit, or choose a smaller size";
	default: return "choose another file";
	}
}

static COLD int file_fail(const struct file_bdev *f, const char *what, int err)
{
	return fail(-err, "bdev: file: cannot %s %s: %s; %s", what, f->path, strerror(err), remedy_of(err));
}

/* Only regular files and block devices will do. */
static int check_type(const struct file_bdev *f, mode_t mode)
{
	if (S_ISREG(mode) || S_ISBLK(mode))
		return 0;
	if (S_ISDIR(mode))
		return fail(-EISDIR, "bdev: file: %s is a directory; name a regular file or a block device",
			f->path);
	return fail(-EINVAL, "bdev: file: %s is a %s; name a regular file or a block device", f->path,
		S_ISFIFO(mode)	 ? "pipe"
		: S_ISCHR(mode)	 ? "character device"
		: S_ISSOCK(mode) ? "socket"
				 : "special file");
}

/* Looks before it opens: opening a tape or a pipe has effects of its own. Should one take the place of the
 * file in between, O_NONBLOCK keeps the open from waiting. */
static int open_existing(struct file_bdev *f)
{
	struct stat st;
	int rc;

	if (stat(f->path, &st))
		return errno == ENOENT ? -ENOENT : file_fail(f, "look at", errno);
	rc = check_type(f, st.st_mode);
	if (rc)
		return rc;
	f->fd = open(f->path, (f->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return f->fd < 0 ? file_fail(f, "open", errno) : 0;
}

static int open_or_create(struct file_bdev *f, const struct nvio_bdev_file_opts *opts)
{
	int rc = open_existing(f);

	if (rc != -ENOENT || f->fd >= 0)
		return rc;
	if (!opts->create || opts->read_only)
		return file_fail(f, "open", ENOENT);
	if (!opts->num_blocks)
		return fail(-EINVAL, "bdev: file: cannot create %s without a size; set num_blocks", f->path);
	f->fd = open(f->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (f->fd < 0)
		return file_fail(f, "create", errno);
	f->created = true;
	return 0;
}

/* O_NONBLOCK was for the open only: left on, io_uring of some kernels (5.1 to 5.18) answers I/O that would
 * have to wait with -EAGAIN. */
static int make_blocking(const struct file_bdev *f)
{
	int flags = fcntl(f->fd, F_GETFL);

	if (flags < 0 || fcntl(f->fd, F_SETFL, flags & ~O_NONBLOCK))
		return file_fail(f, "turn O_NONBLOCK off for", errno);
	return 0;
}

/*
 * A process that was killed with I/O in its ring is gone before the kernel has let go of its files, and with them of the
 * lock: so it is asked for again for a moment before somebody is said to hold it.
 */
static int lock_image(const struct file_bdev *f)
{
	for (unsigned i = 0; i < LOCK_TRIES; i++) {
		if (!flock(f->fd, (f->read_only ? LOCK_SH : LOCK_EX) | LOCK_NB))
			return 0;
		if (errno != EWOULDBLOCK)
			return file_fail(f, "lock", errno);
		sleep_ns(LOCK_RETRY_NS);
	}
	return fail(-EBUSY,
		"bdev: file: %s is locked: another device or process uses it; close it there, or make a copy",
		f->path);
}

static int image_bytes(const struct file_bdev *f, uint64_t *bytes)
{
	struct stat st;

	if (f->block_device) {
		if (ioctl(f->fd, BLKGETSIZE64, bytes))
			return file_fail(f, "ask for the size of", errno);
		return 0;
	}
	if (fstat(f->fd, &st))
		return file_fail(f, "look at", errno);
	*bytes = (uint64_t)st.st_size;
	return 0;
}

int file_grow(struct file_bdev *f, uint64_t num_blocks)
{
	uint64_t wanted = num_blocks * f->block_size;
	uint64_t bytes;
	int rc = image_bytes(f, &bytes);

	if (rc || bytes >= wanted)
		return rc;
	if (f->block_device || f->read_only)
		return fail(-ENOSPC,
			"bdev: file: %s has %" PRIu64 " bytes and cannot become %" PRIu64 ": it is %s",
			f->path, bytes, wanted, f->block_device ? "a block device" : "open read-only");
	if (ftruncate(f->fd, (off_t)wanted))
		return file_fail(f, "extend", errno);
	return 0;
}

/* The number of blocks: as asked for, or as the file has them. */
static int size_image(struct file_bdev *f, const struct nvio_bdev_file_opts *opts)
{
	uint64_t bytes, wanted;
	int rc = image_bytes(f, &bytes);

	if (rc)
		return rc;
	f->num_blocks = opts->num_blocks;
	if (!f->num_blocks) {
		f->num_blocks = bytes / f->block_size;
		if (!bytes)
			return fail(-EINVAL,
				"bdev: file: %s is empty; extend it (truncate -s), or set `create` and num_blocks",
				f->path);
		if (bytes % f->block_size)
			return fail(-EINVAL,
				"bdev: file: %s has %" PRIu64
				" bytes, which is not a multiple of the block size %u: "
				"cut short? extend it to %" PRIu64
				" (truncate -s), or choose another block size",
				f->path, bytes, f->block_size, ALIGN_UP(bytes, (uint64_t)f->block_size));
		return 0;
	}
	if (__builtin_mul_overflow(f->num_blocks, (uint64_t)f->block_size, &wanted) || wanted > INT64_MAX)
		return fail(-EINVAL,
			"bdev: file: %s: %" PRIu64 " blocks of %u bytes are more than 2^63 - 1 bytes",
			f->path, f->num_blocks, f->block_size);
	if (wanted <= bytes)
		return 0;
	if (!opts->create)
		return fail(-ENOSPC,
			"bdev: file: %s has %" PRIu64 " bytes, and %" PRIu64
			" are asked for; set `create` to extend it",
			f->path, bytes, wanted);
	return file_grow(f, f->num_blocks);
}

/* Whether a direct read that is aligned to `align` and no better is taken. */
static bool direct_read_works(const struct file_bdev *f, unsigned char *buf, uint32_t align)
{
	/* The buffer is aligned to twice the largest: from here on its addresses are aligned to `align`, no
	 * better. */
	return pread(f->fd, buf + align, align, align) == (ssize_t)align;
}

/*
 * Turns O_DIRECT on where it can serve every request of the device. What the alignment is, a read tells: file
 * systems differ, and only newer kernels can be asked. Tiny files do without.
 */
static int try_direct(struct file_bdev *f, uint64_t bytes)
{
	unsigned char *buf;
	int flags = fcntl(f->fd, F_GETFL);

	if (bytes < 2 * DIRECT_ALIGN_MAX || flags < 0 || fcntl(f->fd, F_SETFL, flags | O_DIRECT))
		return 0;
	buf = alloc_aligned(2 * DIRECT_ALIGN_MAX, 2 * DIRECT_ALIGN_MAX);
	if (!buf)
		return fail(-ENOMEM, "bdev: file: %s: no memory for a buffer", f->path);
	for (uint32_t align = DIRECT_ALIGN_MIN; align <= MIN(DIRECT_ALIGN_MAX, f->block_size) && !f->align;
		align *= 2)
		if (direct_read_works(f, buf, align))
			f->align = align;
	alloc_free(buf);
	if (!f->align && fcntl(f->fd, F_SETFL, flags))
		return file_fail(f, "turn O_DIRECT off for", errno);
	return 0;
}

/* A hole behind the end of a regular file changes nothing, and tells whether holes can be. Block devices tell
 * when asked. */
static bool can_punch(const struct file_bdev *f, uint64_t bytes)
{
	if (f->read_only)
		return false;
	return f->block_device ||
	       !fallocate(f->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)bytes, f->block_size);
}

static int file_setup(struct file_bdev *f, const struct nvio_bdev_file_opts *opts)
{
	struct stat st;
	uint64_t bytes;
	int rc;

	if (fstat(f->fd, &st))
		return file_fail(f, "look at", errno);
	rc = check_type(f, st.st_mode);
	if (rc)
		return rc;
	f->block_device = S_ISBLK(st.st_mode);
	rc = make_blocking(f);
	if (rc)
		return rc;
	rc = lock_image(f);
	if (rc)
		return rc;
	rc = size_image(f, opts);
	if (rc)
		return rc;
	rc = image_bytes(f, &bytes);
	if (!rc && !opts->no_direct)
		rc = try_direct(f, bytes);
	if (rc)
		return rc;
	f->can_unmap = can_punch(f, bytes);
	uuid_derive(f->block_device ? 0 : st.st_dev, f->block_device ? st.st_rdev : st.st_ino, f->uuid);
	return 0;
}

int file_open(struct file_bdev *f, const struct nvio_bdev_file_opts *opts)
{
	int rc;

	f->fd = -1;
	if (!opts->path || !*opts->path)
		return fail(-EINVAL, "bdev: file: the path is %s", opts->path ? "empty" : "NULL");
	f->path = alloc_strdup(opts->path);
	if (!f->path)
		return fail(-ENOMEM, "bdev: file: no memory for the path");
	f->block_size = opts->block_size;
	f->read_only = opts->read_only;
	rc = open_or_create(f, opts);
	if (!rc)
		rc = file_setup(f, opts);
	if (rc)
		file_close(f);
	return rc;
}

void file_close(struct file_bdev *f)
{
	if (f->created)
		unlink(f->path);
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
	alloc_free(f->path);
	f->path = NULL;
}
