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

/* A bit of nvio_bdev_params.io_types. */
#define NVIO_BDEV_CAN(type) (1u << (type))

/*
 * One I/O on its way through a module. It lies in the op of whoever submitted it, so it costs no allocation;
 * it is the module's from submit() until nvio_bdev_io_done(). Range and alignment have been checked.
 */
struct nvio_bdev_io {
	/*
	 * Read-only for the module, but for what it changes for a device below before nvio_bdev_io_forward() (iov and iovcnt;
	 * `type`, `fua`, `len`) and puts back in forwarded().
	 */
	uint64_t offset; /* bytes; 0 for a flush, which is of the whole device, and for a reset */
	uint64_t len;	 /* bytes; 0 for a flush and a reset; of the buffer for NVME and NVME_ADMIN */
	const struct iovec *iov; /* of types with data: at least `len` bytes together; the rest stays untouched. COMPARE and
				    COMPARE_AND_WRITE: what should be there, and it ends with -EILSEQ when it is not */
	struct iovec one; /* where iov points to for a single buffer */
	struct nvio_bdev_desc *desc;
	void *channel;	/* the library's */
	int32_t iovcnt;
	uint8_t type;	/* enum nvio_bdev_io_type */
	bool fua;	/* WRITE, WRITE_ZEROES, COMPARE_AND_WRITE, COPY: must be durable when done */
	uint16_t state; /* the library's */
	uint64_t begun; /* the library's */
	void *frame;	/* the library's */

	/* The module's own; undefined at submit(), and again in forwarded(). */
	uint64_t module[5];

	/* What only some types have, and what only some I/O needs. */
	const struct iovec *iov2; /* COMPARE_AND_WRITE: as iov, what takes its place; both or nothing */
	struct iovec two;	  /* where iov2 points to for a single buffer */
	int32_t iovcnt2;
	uint32_t reserved;
	union {
		uint64_t src;		    /* COPY: bytes, from where; forwarded it moves along with `offset` */
		const struct nvio_sqe *cmd; /* NVME, NVME_ADMIN: stays as it is until the I/O is done */
	};
	uint64_t deadline_ns; /* the library's */
	uint64_t rest;	      /* the library's */
	void *context;	      /* the module's own, too */
};

nvio_static_assert(sizeof(struct nvio_bdev_io) == 184, "it fills the private area of an op; part of the ABI");

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
	 * that status; of WRITE_ZEROES, COMPARE, COMPARE_AND_WRITE and COPY -EOPNOTSUPP makes the library do it by other means.
	 */
	int (*submit)(void *device, void *channel, struct nvio_bdev_io *io);
	/*
	 * NULL: what was forwarded ends as it ended below. Otherwise it is called when an I/O that was forwarded has ended there, with
	 * everything in `io` as it was (but io->module), and is submit() once more: nvio_bdev_io_done(), or another forward.
	 */
	void (*forwarded)(void *device, void *channel, struct nvio_bdev_io *io, int status);
	/* NULL: nothing to do. 0 or -errno with nothing left behind. On the channel's thread. */
	int (*channel_create)(void *device, void *channel, struct nvio_thread *thread);
	/*
	 * NULL: nothing to do. Finishes what is in flight (nvio_bdev_io_done() for each) before it ends. Of a module that forwards
	 * nothing is in flight any more.
	 */
	void (*channel_destroy)(void *device, void *channel);
	/*
	 * NULL: nothing can be hurried. Ends what the module itself holds back on this channel as soon as it can, with -ECANCELED: the
	 * device is being reset or the channel goes. A module that forwards also calls nvio_bdev_channel_abort() for the channel below,
	 * and must have it when it ever holds an I/O back: channel_destroy() comes only after all have ended.
	 */
	void (*abort)(void *device, void *channel);
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
	uint32_t io_types;   /* NVIO_BDEV_CAN() of what submit() takes; READ is a must. What is missing of WRITE_ZEROES, COMPARE,
				COMPARE_AND_WRITE and COPY, or is answered with -EOPNOTSUPP, the library does by reading and writing. */
	uint64_t num_blocks; /* 1 and up; at most 2^63 - 1 bytes together */
	const uint8_t *uuid; /* 16 bytes; NULL: a random one */
	bool read_only;
	bool volatile_cache; /* then FLUSH is a must, and submit() honours io->fua */

	/*
	 * What submit() can take at once; the library splits or copies reads, writes and compares that are not so. All other types
	 * come as large as they were asked for. 0: no limit.
	 */
	uint32_t max_io_bytes;	 /* of READ, WRITE, COMPARE; a multiple of the block */
	uint32_t boundary_bytes; /* a power of two, at least a block: no READ, WRITE or COMPARE crosses a multiple of it */
	uint32_t max_iovcnt;	 /* of READ, WRITE, COMPARE */
	uint32_t buf_align;	 /* a power of two up to 4096: of buffers' addresses, and of the lengths of all iovecs but the last */

	uint32_t forwards; /* how many I/Os per channel nvio_bdev_io_forward() is used for at once; more wait. 0: it is not used */
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

/* What the controller answered, for op.cpl; before nvio_bdev_io_done(). Thread: the channel's. */
NVIO_EXPORT void nvio_bdev_io_set_cpl(struct nvio_bdev_io *io, const struct nvio_cpl *cpl);

/*
 * Sends the I/O on to a device below, from submit() or forwarded(), as it is but for its offset; the op travels along, nothing is copied
 * or allocated. The value is what submit() returns: 0, -EAGAIN (more than params.forwards are under way: hand it in again), -ENODEV the
 * device below is gone, -ERANGE it has become too short, -EOPNOTSUPP it cannot do that, -EBADF the descriptor is read-only. Once it
 * has ended below, the module's forwarded() is called. Thread: the channel's, which the channel below must be of, too.
 */
NVIO_EXPORT int nvio_bdev_io_forward(struct nvio_bdev_io *io, struct nvio_bdev_desc *below, struct nvio_channel *ch, uint64_t offset);

/* For a module's abort(): the same for the channel below. Thread: the channel's. */
NVIO_EXPORT void nvio_bdev_channel_abort(struct nvio_channel *ch);

/*
 * What a module that builds on another device holds of it: opened, claimed, and its events seen to. When the device below is
 * removed, the one above is deleted; when it is resized, `resized` is called. That happens on the thread that opened the base or, when
 * that is gone, on the one that removes or resizes.
 */
struct nvio_bdev_base;

struct nvio_bdev_base_opts {
	size_t size;
	const char *base;  /* the device below */
	const char *name;  /* the device above, which will be registered under it; copied */
	void *device;	   /* its nvio_bdev_params.device: should another have taken over the name, that one is left alone. NULL: by name */
	bool read_only;	   /* open it for reading only, and do not claim it */
	bool shared;	   /* do not claim it: others of the kind build on it, too */
	void (*resized)(void *arg, uint64_t num_blocks); /* NULL: nothing happens. Thread: see below */
	void (*removed)(void *arg); /* instead of the deletion of `name`; NULL: that. Thread: see below */
	void *arg;
};

NVIO_EXPORT void nvio_bdev_base_opts_init(struct nvio_bdev_base_opts *opts);

/*
 * 0; what nvio_bdev_open() and nvio_bdev_claim() answer; -ENOMEM. A device below that is read-only is opened for reading. Thread: a
 * current nvio_thread is needed.
 */
NVIO_EXPORT int nvio_bdev_base_open(struct nvio_env *env, const struct nvio_bdev_base_opts *opts, struct nvio_bdev_base **base);

/*
 * Once no I/O is under way: destroy() calls it, also from within `resized` and `removed`. After it has returned neither is running or
 * will be, on whatever thread. NULL is allowed. Any thread.
 */
NVIO_EXPORT void nvio_bdev_base_close(struct nvio_bdev_base *base);

NVIO_EXPORT struct nvio_bdev_desc *nvio_bdev_base_desc(struct nvio_bdev_base *base);
NVIO_EXPORT struct nvio_bdev *nvio_bdev_base_bdev(struct nvio_bdev_base *base);

/*
 * Parameters of a device that looks like the one below: its blocks, size, I/O types and cache; not its limits, which the library sees to
 * when the I/O arrives there. `forwards` is set to NVIO_BDEV_FORWARDS.
 */
#define NVIO_BDEV_FORWARDS 256
NVIO_EXPORT void nvio_bdev_base_params(struct nvio_bdev_base *base, struct nvio_bdev_params *params);

NVIO_END_DECLS

#endif
