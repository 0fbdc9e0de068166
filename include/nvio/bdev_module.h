/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a block device is made: a module is a table of functions, a device is one registration of it. The
 * built-in modules (malloc, null, file) use just this, and an application's own module stands beside them as
 * an equal.
 */
#ifndef NVIO_BDEV_MODULE_H
#define NVIO_BDEV_MODULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include <nvio/bdev.h>
#include <nvio/compiler.h>

NVIO_BEGIN_DECLS

enum nvio_bdev_io_type {
	NVIO_BDEV_IO_READ,
	NVIO_BDEV_IO_WRITE,
	NVIO_BDEV_IO_WRITE_ZEROES,
	NVIO_BDEV_IO_UNMAP,
	NVIO_BDEV_IO_FLUSH,
};

/* A bit of nvio_bdev_params.io_types. */
#define NVIO_BDEV_CAN(type) (1u << (type))

/*
 * One I/O on its way through a module. It lies in the op of whoever submitted it, so it costs no allocation;
 * it is the module's from submit() until nvio_bdev_io_done(). Range and alignment have been checked.
 */
struct nvio_bdev_io {
	/* Read-only for the module. */
	uint64_t offset; /* bytes; 0 for a flush, which is of the whole device */
	uint64_t len;	 /* bytes; 0 for a flush */
	const struct iovec *iov; /* READ, WRITE: at least `len` bytes together; the rest stays untouched */
	struct iovec one; /* where iov points to for a single buffer */
	struct nvio_bdev_desc *desc;
	void *channel;	      /* the library's */
	uint64_t deadline_ns; /* the library's */
	uint64_t rest;	      /* the library's */
	int32_t iovcnt;
	uint8_t type;  /* enum nvio_bdev_io_type */
	bool fua;      /* WRITE, WRITE_ZEROES: must be durable when done */
	uint8_t state; /* the library's */
	uint8_t reserved;

	/* The module's own; undefined at submit(). */
	uint64_t module[5];
};

nvio_static_assert(sizeof(struct nvio_bdev_io) == 120, "it fills the private area of an op; part of the ABI");

/*
 * The functions of a module. `device` and `channel` are its own contexts: the pointer of
 * nvio_bdev_params.device, and channel_size zeroed bytes (aligned to 64) per device and nvio_thread.
 */
struct nvio_bdev_module {
	const char *name;
	/*
	 * Takes the I/O. 0: taken, nvio_bdev_io_done() was or will be called, once, on the channel's thread.
	 * -EAGAIN: no room now; the library keeps it, in order, and hands it in again after
	 * nvio_bdev_channel_ready(), which the module must then call. Any other error completes the I/O with
	 * that status.
	 */
	int (*submit)(void *device, void *channel, struct nvio_bdev_io *io);
	/* NULL: nothing to do. 0 or -errno with nothing left behind. On the channel's thread. */
	int (*channel_create)(void *device, void *channel, struct nvio_thread *thread);
	/* NULL: nothing to do. Finishes what is in flight (nvio_bdev_io_done() for each) before it ends. */
	void (*channel_destroy)(void *device, void *channel);
	/* NULL: -EOPNOTSUPP. I/O may be running; `busy`: other threads than this one have channels. */
	int (*resize)(void *device, uint64_t num_blocks, bool busy);
	/* The device's end: no channel and no I/O is left. Frees `device`. */
	void (*destroy)(void *device);
};

/*
 * Makes a module known in the environment; the table must stay until it is unregistered. The built-in ones
 * are known from the start. 0; -EINVAL no name, submit or destroy; -EEXIST; -ENOMEM. Any thread.
 */
NVIO_EXPORT int nvio_bdev_module_register(struct nvio_env *env, const struct nvio_bdev_module *module);

/* 0; -ENOENT; -EBUSY devices of it exist (named in nvio_errmsg()). Any thread. */
NVIO_EXPORT int nvio_bdev_module_unregister(struct nvio_env *env, const struct nvio_bdev_module *module);

struct nvio_bdev_params {
	size_t size;
	const struct nvio_bdev_module *module; /* registered */
	const char *name;    /* 1 to NVIO_BDEV_NAME_MAX bytes, no control characters; copied */
	void *device;	     /* the module's context; its own again through destroy() */
	size_t channel_size; /* bytes of context per channel */
	uint32_t block_size; /* a power of two, 512 to 65536 */
	uint32_t io_types;   /* NVIO_BDEV_CAN() of what submit() takes; READ is a must. WRITE_ZEROES that is
				missing, or answered with -EOPNOTSUPP, is done by writing zeros. */
	uint64_t num_blocks; /* 1 and up; at most 2^63 - 1 bytes together */
	const uint8_t *uuid; /* 16 bytes; NULL: a random one */
	bool read_only;
	bool volatile_cache; /* then FLUSH is a must, and submit() honours io->fua */
};

NVIO_EXPORT void nvio_bdev_params_init(struct nvio_bdev_params *params);

/*
 * Makes a device. 0; -EINVAL bad parameter (named in nvio_errmsg()); -EEXIST the name is in use; -ENOENT the
 * module is not registered; -ENOMEM. On an error `device` is still the caller's. Any thread.
 */
NVIO_EXPORT int nvio_bdev_register(struct nvio_env *env, const struct nvio_bdev_params *params);

/* One more name for the device `name`. 0; -ENODEV; -EEXIST; -EINVAL; -ENOMEM. Any thread. */
NVIO_EXPORT int nvio_bdev_add_alias(struct nvio_env *env, const char *name, const char *alias);

/* The module's end of an I/O: 0 or -errno. The op's `done` runs later, in the thread's poll. Thread: the
 * channel's. */
NVIO_EXPORT void nvio_bdev_io_done(struct nvio_bdev_io *io, int status);

/* There is room again after an -EAGAIN: submit() is called for what waits, from within. Thread: the
 * channel's. */
NVIO_EXPORT void nvio_bdev_channel_ready(void *channel);

/*
 * Takes the device for a module that builds on it: as long as it lasts others get -EPERM when they open it
 * for writing. 0; -EPERM claimed already; -EBUSY open for writing elsewhere; -ENODEV. Ends with the release
 * or with the descriptor. Thread: the opening one.
 */
NVIO_EXPORT int nvio_bdev_claim(struct nvio_bdev_desc *desc);
NVIO_EXPORT void nvio_bdev_release(struct nvio_bdev_desc *desc);

NVIO_END_DECLS

#endif
