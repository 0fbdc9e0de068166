/* SPDX-License-Identifier: BSD-3-Clause */
/* The null device: writes vanish, reads are zeros. It measures everything but a device. */
#include <string.h>

#include "base/alloc.h"
#include "base/opts.h"
#include "bdev/bdev.h"
#include "bdev/modules/modules.h"

struct null_bdev {
	bool untouched_reads; /* immutable */
};

static NOINLINE void zero_pieces(const struct iovec *iov, uint64_t left)
{
	for (; left; iov++) {
		size_t n = MIN(iov->iov_len, left);

		if (n)
			memset(iov->iov_base, 0, n);
		left -= n;
	}
}

static int null_submit(void *device, void *channel, struct nvio_bdev_io *io)
{
	const struct null_bdev *null = device;

	if (io->type == NVIO_BDEV_IO_READ && !null->untouched_reads)
		zero_pieces(io->iov, io->len);
	bdev_io_done(io, 0);
	return 0;
}

static int null_resize(void *device, uint64_t num_blocks, bool busy)
{
	return 0;
}

static void null_destroy(void *device)
{
	alloc_free(device);
}

const struct nvio_bdev_module null_module = {
	.name = "null",
	.submit = null_submit,
	.resize = null_resize,
	.destroy = null_destroy,
};

void nvio_bdev_null_opts_init(struct nvio_bdev_null_opts *opts)
{
	*opts = (struct nvio_bdev_null_opts){ .size = sizeof(*opts), .block_size = BDEV_MIN_BLOCK };
}

int nvio_bdev_null_create(struct nvio_env *env, const struct nvio_bdev_null_opts *opts)
{
	struct nvio_bdev_params params;
	struct nvio_bdev_null_opts o;
	struct null_bdev *null;
	int rc;

	if (!env || !opts)
		return fail(-EINVAL, "bdev: null: %s is NULL", env ? "the options" : "the environment");
	nvio_bdev_null_opts_init(&o);
	rc = opts_copy("nvio_bdev_null_opts", &o, sizeof(o), opts, sizeof(o));
	if (rc)
		return rc;
	null = alloc_zeroed(sizeof(*null));
	if (!null)
		return fail(-ENOMEM, "bdev: null: no memory for the device");
	null->untouched_reads = o.untouched_reads;
	nvio_bdev_params_init(&params);
	params.module = &null_module;
	params.name = o.name;
	params.device = null;
	params.block_size = o.block_size;
	params.num_blocks = o.num_blocks;
	params.uuid = o.uuid;
	params.io_types |= NVIO_BDEV_CAN(NVIO_BDEV_IO_WRITE_ZEROES) | NVIO_BDEV_CAN(NVIO_BDEV_IO_UNMAP);
	rc = nvio_bdev_register(env, &params);
	if (rc)
		null_destroy(null);
	return rc;
}
