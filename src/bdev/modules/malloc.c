/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The malloc device: RAM. One anonymous mapping, of which the kernel hands out pages as they are written;
 * unmap and write zeroes of whole pages give them back.
 *
 * Any number of threads copy in and out of it without a lock, so the mapping may move only when no other
 * thread has a channel.
 */
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/opts.h"
#include "bdev/bdev.h"
#include "bdev/modules/modules.h"

/* Giving back pages is a system call and a fault for each page later; below this much, writing zeros is
 * faster. */
#define GIVE_BACK_MIN (256 * 1024)

struct malloc_bdev {
	unsigned char *base; /* moved by resize alone, see above */
	size_t mapped;	     /* bytes; the largest that the device ever was. resize_lock of the device */
	size_t bytes;	     /* of the device. resize_lock of the device */
	uint32_t block_size; /* immutable */
	size_t page_size;    /* immutable */
};

static ALWAYS_INLINE void copy_out(const unsigned char *from, const struct iovec *iov, uint64_t left)
{
	for (; left; iov++) {
		size_t n = MIN(iov->iov_len, left);

		if (n)
			memcpy(iov->iov_base, from, n);
		from += n;
		left -= n;
	}
}

static ALWAYS_INLINE void copy_in(unsigned char *to, const struct iovec *iov, uint64_t left)
{
	for (; left; iov++) {
		size_t n = MIN(iov->iov_len, left);

		if (n)
			memcpy(to, iov->iov_base, n);
		to += n;
		left -= n;
	}
}

/* Makes [at, at + len) read as zeros, and its whole pages cost nothing where there are enough of them. */
static NOINLINE void zero_range(const struct malloc_bdev *m, unsigned char *at, size_t len)
{
	unsigned char *end = at + len;
	unsigned char *first = (unsigned char *)ALIGN_UP((uintptr_t)at, m->page_size);
	unsigned char *last = (unsigned char *)ALIGN_DOWN((uintptr_t)end, m->page_size);

	/* It fails for memory that is locked (mlockall), and then the pages are written like others. */
	if (len < GIVE_BACK_MIN || madvise(first, (size_t)(last - first), MADV_DONTNEED)) {
		memset(at, 0, len);
		return;
	}
	memset(at, 0, (size_t)(first - at));
	memset(last, 0, (size_t)(end - last));
}

static int malloc_submit(void *device, void *channel, struct nvio_bdev_io *io)
{
	const struct malloc_bdev *m = device;

	if (io->type == NVIO_BDEV_IO_READ)
		copy_out(m->base + io->offset, io->iov, io->len);
	else if (io->type == NVIO_BDEV_IO_WRITE)
		copy_in(m->base + io->offset, io->iov, io->len);
	else
		zero_range(m, m->base + io->offset, io->len);
	bdev_io_done(io, 0);
	return 0;
}

/* Whatever the kernel calls it: for absurd sizes mremap says EINVAL. */
static COLD int no_room(uint64_t bytes)
{
	return fail(-ENOMEM, "bdev: malloc: cannot map %" PRIu64 " bytes of memory: %s; ask for less", bytes,
		strerror(errno));
}

static int grow_mapping(struct malloc_bdev *m, size_t bytes, bool busy)
{
	void *base = mremap(m->base, m->mapped, bytes, busy ? 0 : MREMAP_MAYMOVE);

	if (base == MAP_FAILED && busy)
		return fail(-EBUSY,
			"bdev: malloc: resize: memory must move to grow to %zu bytes, and other threads have "
			"channels; put them first",
			bytes);
	if (base == MAP_FAILED)
		return no_room(bytes);
	m->base = base;
	m->mapped = bytes;
	return 0;
}

static int malloc_resize(void *device, uint64_t num_blocks, bool busy)
{
	struct malloc_bdev *m = device;
	size_t bytes = ALIGN_UP(num_blocks * m->block_size, m->page_size);
	int rc = 0;

	if (bytes > m->mapped)
		rc = grow_mapping(m, bytes, busy);
	if (rc)
		return rc;
	/* What is cut off stays mapped, as somebody may be copying there; grown again it reads as zeros. */
	bytes = num_blocks * m->block_size;
	if (bytes < m->bytes)
		zero_range(m, m->base + bytes, m->bytes - bytes);
	m->bytes = bytes;
	return 0;
}

static void malloc_destroy(void *device)
{
	struct malloc_bdev *m = device;

	munmap(m->base, m->mapped);
	alloc_free(m);
}

const struct nvio_bdev_module malloc_module = {
	.name = "malloc",
	.submit = malloc_submit,
	.resize = malloc_resize,
	.destroy = malloc_destroy,
};

void nvio_bdev_malloc_opts_init(struct nvio_bdev_malloc_opts *opts)
{
	*opts = (struct nvio_bdev_malloc_opts){ .size = sizeof(*opts), .block_size = BDEV_MIN_BLOCK };
}

/* Sizes that make no device are refused by the registration, in words, and so not mapped here. */
static int malloc_alloc(uint64_t num_blocks, uint32_t block_size, struct malloc_bdev **out)
{
	struct malloc_bdev *m = alloc_zeroed(sizeof(*m));
	uint64_t bytes;
	int rc;

	if (!m)
		return fail(-ENOMEM, "bdev: malloc: no memory for the device");
	if (__builtin_mul_overflow(num_blocks, (uint64_t)block_size, &bytes) || bytes > INT64_MAX || !bytes)
		bytes = 1;
	m->page_size = (size_t)sysconf(_SC_PAGESIZE);
	m->block_size = block_size;
	m->bytes = bytes;
	m->mapped = ALIGN_UP(bytes, m->page_size);
	m->base = mmap(
		NULL, m->mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (m->base == MAP_FAILED) {
		rc = no_room(bytes);
		alloc_free(m);
		return rc;
	}
	/*
	 * Large pages where the kernel has them: at random places they are faster by a third, as there is less to be
	 * walked to find each. Refused, it costs nothing.
	 */
	madvise(m->base, m->mapped, MADV_HUGEPAGE);
	*out = m;
	return 0;
}

int nvio_bdev_malloc_create(struct nvio_env *env, const struct nvio_bdev_malloc_opts *opts)
{
	struct nvio_bdev_malloc_opts o;
	struct nvio_bdev_params params;
	struct malloc_bdev *m = NULL;
	int rc;

	if (!env || !opts)
		return fail(-EINVAL, "bdev: malloc: %s is NULL", env ? "the options" : "the environment");
	nvio_bdev_malloc_opts_init(&o);
	rc = opts_copy("nvio_bdev_malloc_opts", &o, sizeof(o), opts, sizeof(o));
	if (rc)
		return rc;
	rc = malloc_alloc(o.num_blocks, o.block_size, &m);
	if (rc)
		return rc;
	nvio_bdev_params_init(&params);
	params.module = &malloc_module;
	params.name = o.name;
	params.device = m;
	params.block_size = o.block_size;
	params.num_blocks = o.num_blocks;
	params.uuid = o.uuid;
	params.io_types |= NVIO_BDEV_CAN(NVIO_BDEV_IO_WRITE_ZEROES) | NVIO_BDEV_CAN(NVIO_BDEV_IO_UNMAP);
	rc = nvio_bdev_register(env, &params);
	if (rc)
		malloc_destroy(m);
	return rc;
}
