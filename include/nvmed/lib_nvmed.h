/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * NVMeDirect's API on nvio: programs written for it compile unchanged. What differs from the published code, and why, is in docs/nvmed.md.
 *
 * Threads: every function may be called from any thread, and a queue or a handle may be shared by several; a queue that one thread has to
 * itself costs the least. The position of nvmed_read() and nvmed_write() is for one thread at a time, as are changes of a handle's features.
 * Callbacks run without any lock held and may call every function here, but nvmed_close() where they run on the device's own thread.
 *
 * Failures: errno is set, and nvmed_errmsg() says which step failed, why, and what to do.
 */
#ifndef NVMED_LIB_NVMED_H
#define NVMED_LIB_NVMED_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

#include "nvme_hdr.h"
#include "nvmed.h"
#include "radix-tree.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The page of buffers and of the cache, whatever the machine's is. */
#ifndef PAGE_SIZE
#define PAGE_SIZE 4096L
#endif

typedef enum {
	NVMED_FALSE = 0,
	NVMED_TRUE = 1,
} NVMED_BOOL;

#ifndef FALSE
#define FALSE 0
#endif
#ifndef TRUE
#define TRUE 1
#endif

#define QtoD(q) ((q)->nvmed)
#define HtoQ(h) ((h)->queue)
#define HtoD(h) QtoD(HtoQ(h))

/* Flags of nvmed_open(), features of nvmed_feature_set(). */
enum {
	NVMED_NO_CACHE = 1 << 0,        /* no block cache: all handles are direct */
	NVMED_CACHE_SIZE = 1 << 1,      /* nvmed_feature_set(): pages of the cache */
	NVMED_CACHE_LAZY_INIT = 1 << 2, /* memory for the cache when it is first used, not at open */
	NVMED_NUM_FLAGS = 3,
};

/* Flags of nvmed_queue_create(). */
enum {
	QUEUE_MANUAL_COMPLETION = 1 << 0, /* asynchronous I/O completes in nvmed_aio_handle_complete(), not by the device's thread */
	QUEUE_INTERRUPT = 1 << 1,         /* who waits sleeps until the drive interrupts */
	QUEUE_NUM_FLAGS = 2,
};
#define QUEUE_MANUAL_CQ (QUEUE_MANUAL_COMPLETION | QUEUE_INTERRUPT)

/* Flags of nvmed_handle_create(), features of nvmed_handle_feature_set(). */
enum {
	HANDLE_DIRECT_IO = 1 << 0,
	HANDLE_SYNC_IO = 1 << 1,    /* what is written is with the drive when the call returns */
	HANDLE_HINT_DMEM = 1 << 2,  /* buffers come from nvmed_get_buffer() */
	HANDLE_MQ = 1 << 3,         /* set by nvmed_handle_create_mq() */
	HANDLE_INTERRUPT = 1 << 4,  /* sleep while waiting; wants a QUEUE_INTERRUPT queue */
	HANDLE_NUM_FLAGS = 5,
};

/* What nvmed_aio_read() and nvmed_aio_write() answer. */
enum {
	NVMED_AIO_QUEUED = 0,
	NVMED_AIO_ERROR = -1,
};

/* NVMED_AIO_CTX.status */
enum {
	AIO_INIT = 0,          /* queued */
	AIO_PROCESS = 1 << 1,  /* with the drive */
	AIO_COMPLETE = 1 << 2, /* ended, well or not: nvmed_aio_error() */
};

/* The fields that programs may read. What lies behind them is the library's; only it makes these objects. */
typedef struct nvmed {
	char *ns_path; /* as it was opened */
	int ns_fd;     /* names the device to nvmed_ioctl(); the device's until nvmed_close() */
	u32 flags;
	NVMED_DEVICE_INFO *dev_info;
} NVMED;

typedef struct nvmed_queue {
	NVMED *nvmed;
	u32 flags;
	u16 qid;
	u32 q_depth;
} NVMED_QUEUE;

typedef struct nvmed_handle {
	struct nvmed_queue *queue;     /* of a multi-queue handle: the first */
	struct nvmed_queue **queue_mq; /* NULL, or the library's copy of the array */
	u32 flags;
	off_t offset;
	int num_mq;
	NVMED_QUEUE *(*mq_get_queue)(struct nvmed_handle *handle, u8 opcode, unsigned long offs, unsigned int len);
} NVMED_HANDLE;

/* One asynchronous request. The program's from its making to the submit, and again from the completion on; the library's between. */
typedef struct nvmed_aio_ctx {
	NVMED_HANDLE *handle;
	off_t start_lba;      /* in bytes, for all its name */
	size_t len;           /* bytes */
	void *buf;
	u64 *prpList;         /* the library's */

	u8 opcode;            /* the library's: nvme_cmd_read or nvme_cmd_write */
	volatile int status;  /* AIO_INIT, AIO_PROCESS, AIO_COMPLETE */
	int num_init_io;      /* 1 once it is with the drive */
	int num_complete_io;  /* 1: ended well; negative: nvmed_aio_error() */

	void *private_data;   /* the program's own */
	void *cb_userdata;    /* the callback's second argument */
	void (*aio_callback)(const struct nvmed_aio_ctx *context, void *userdata); /* may be NULL */
} NVMED_AIO_CTX;

/* Why the calling thread's last call failed, in words; "" when none did. Valid until its next failure. */
NVMED_EXPORT const char *nvmed_errmsg(void);

/*
 * Opens what `path` leads to: /dev/nvme0n1, /dev/nvmed0n1 or a partition of it (p1), which the table /etc/nvmed.conf or the environment
 * variable NVMED_MAP lead to a drive; a PCI address; a transport id ("trtype:PCIe traddr:0000:01:00.0", "loop:disk.img?bs=4096"), with
 * " nsid:2" behind it for another namespace than the first; or a file, which becomes a software drive and needs no privilege. `flags`:
 * NVMED_NO_CACHE, NVMED_CACHE_LAZY_INIT. NULL on error: errno is EINVAL a flag, a bad name or a bad table, ENODEV no such drive, namespace or partition, ENOENT no such file, EBUSY the
 * file is open elsewhere, or what the drive answered; the words also go to standard error.
 */
NVMED_EXPORT NVMED *nvmed_open(char *path, int flags);

/* 0; -1 (-NVMED_FAULT) queues still exist; -2 (-NVMED_NOENTRY) NULL, or closed already. Buffers of the device go with it. */
NVMED_EXPORT int nvmed_close(NVMED *nvmed);

/* A queue of `flags`, one of the drive's I/O queue pairs. NULL on error: errno EINVAL, ENOSPC the drive has no more, ... */
NVMED_EXPORT NVMED_QUEUE *nvmed_queue_create(NVMED *nvmed, int flags);

/* 0; -1 (-NVMED_FAULT) handles still use it; -2 (-NVMED_NOENTRY) NULL, or destroyed already. */
NVMED_EXPORT int nvmed_queue_destroy(NVMED_QUEUE *queue);

/* A handle on one queue. NULL on error: errno EINVAL an unknown flag, or HANDLE_INTERRUPT on a queue that is polled. */
NVMED_EXPORT NVMED_HANDLE *nvmed_handle_create(NVMED_QUEUE *queue, int flags);

/*
 * Waits for the handle's asynchronous I/O (callbacks run), flushes, and ends the handle. 0; -2 (-NVMED_NOENTRY) NULL, or destroyed already;
 * -1 (-NVMED_FAULT) a multi-queue handle, or the flush failed: in the latter case the handle is gone all the same.
 */
NVMED_EXPORT int nvmed_handle_destroy(NVMED_HANDLE *handle);

/*
 * A handle on several queues of one device. `func` picks one of them for each request, with its opcode (nvme_cmd_...), its offset and its
 * length in bytes; a pick that is none of the `num_queue` fails the request with EINVAL. The array is copied.
 */
NVMED_EXPORT NVMED_HANDLE *nvmed_handle_create_mq(NVMED_QUEUE **queues, int num_queue, int flags,
	NVMED_QUEUE *(*func)(NVMED_HANDLE *handle, u8 opcode, unsigned long offs, unsigned int len));

/* As nvmed_handle_destroy(); -1 (-NVMED_FAULT) is also for a handle that is not multi-queue. */
NVMED_EXPORT int nvmed_handle_destroy_mq(NVMED_HANDLE *handle);

/*
 * Turns HANDLE_DIRECT_IO, _SYNC_IO, _HINT_DMEM or _INTERRUPT on or off, from the next request on. Returns the value set; -6 (-NVMED_INVALID)
 * for _INTERRUPT on a queue that is polled, _DIRECT_IO off on a device without cache, or anything else.
 */
NVMED_EXPORT int nvmed_handle_feature_set(NVMED_HANDLE *handle, int feature, int value);

/* TRUE or FALSE; -6 (-NVMED_INVALID) for what is no feature, or no handle. */
NVMED_EXPORT int nvmed_handle_feature_get(NVMED_HANDLE *handle, int feature);

/* `num_pages` x 4096 zeroed bytes, page aligned, that the drive reaches without a copy. NULL on error (errno). */
NVMED_EXPORT void *nvmed_get_buffer(NVMED *nvmed, unsigned int num_pages);

/* Gives one back. NULL is allowed; anything else that is no buffer sets errno to EINVAL and is left alone. */
NVMED_EXPORT void nvmed_put_buffer(void *ptr);

/*
 * Moves the handle's position: SEEK_SET, SEEK_CUR, and SEEK_END, which is the size of the device **minus** `offset`. The new position, or -1:
 * EINVAL below 0, beyond the end, not block aligned on a direct handle, or an unknown `whence`; EOVERFLOW.
 */
NVMED_EXPORT off_t nvmed_lseek(NVMED_HANDLE *handle, off_t offset, int whence);

/*
 * Bytes moved, cut at the end of the device (0: a read at its end), or -1 with errno: EINVAL NULL, no handle, an offset below 0 or beyond the
 * end, or, on a direct handle, an offset or a count that is no multiple of the drive's block; ENOSPC a write at the end; EIO and
 * others as the drive answered, ENODEV it is gone, ETIMEDOUT. Any buffer will do; those of nvmed_get_buffer() are not copied.
 */
NVMED_EXPORT ssize_t nvmed_read(NVMED_HANDLE *handle, void *buf, size_t count);
NVMED_EXPORT ssize_t nvmed_write(NVMED_HANDLE *handle, void *buf, size_t count);
NVMED_EXPORT ssize_t nvmed_pread(NVMED_HANDLE *handle, void *buf, size_t count, off_t offset);
NVMED_EXPORT ssize_t nvmed_pwrite(NVMED_HANDLE *handle, void *buf, size_t count, off_t offset);

/* All that was written, by whichever handle of the device, is durable when this returns 0. -1 with errno. */
NVMED_EXPORT int nvmed_flush(NVMED_HANDLE *handle);

/* Deallocates `len` bytes from `start` on, both multiples of the drive's block, within the device. 0; -1 with errno. */
NVMED_EXPORT int nvmed_discard(NVMED_HANDLE *handle, unsigned long start, unsigned int len);

/*
 * Begins a read or a write of `len` bytes at `start_lba`, both multiples of the drive's block, within the device. NVMED_AIO_QUEUED (0): it will
 * complete once, after this call has returned; NVMED_AIO_ERROR (-1) with errno: it will not. Any number may be under way. The callback runs, on
 * a queue of QUEUE_MANUAL_COMPLETION, in nvmed_aio_handle_complete(), and otherwise on the device's own thread; it may submit more.
 * Without a callback `status` tells, from whichever thread.
 */
NVMED_EXPORT int nvmed_aio_read(NVMED_AIO_CTX *context);
NVMED_EXPORT int nvmed_aio_write(NVMED_AIO_CTX *context);

/* Shows the drive what was submitted. How many contexts of the handle since the last call; -1 no handle. */
NVMED_EXPORT int nvmed_aio_queue_submit(NVMED_HANDLE *handle);

/*
 * Completes what is ready on the handle's queues, running callbacks. How many contexts of the handle have completed since the last call, those
 * of the device's thread included; -1 no handle. Does not wait.
 */
NVMED_EXPORT int nvmed_aio_handle_complete(NVMED_HANDLE *handle);

/* How a completed context ended: 0, or a negative errno. */
NVMED_EXPORT int nvmed_aio_error(const NVMED_AIO_CTX *context);

/* Features of nvmed_feature_set() beside NVMED_CACHE_SIZE; nvio's own. */
enum {
	NVMED_POLLING_PERIOD = 1 << 8, /* of the device's thread, in microseconds; 0: it polls without a pause; NVMED_POLLING_ADAPT */
};
#define NVMED_POLLING_ADAPT (-1) /* a quarter of what requests of the sizes under way have taken of late; the default */

/* A feature of the device. The value set; -6 (-NVMED_INVALID) with errno. */
NVMED_EXPORT int nvmed_feature_set(NVMED *nvmed, int feature, int value);

/*
 * How many queues user `uid` may have on the device, counted over all processes that use libnvmed (0: as many as there are), and in *max and
 * *used (either may be NULL) what holds now. 0; -4 (-NVMED_NOPERM) the caller is not root; -2 (-NVMED_NOENTRY) no open device; -3
 * (-NVMED_EXCEEDLIMIT) too many users have one; -1 (-NVMED_FAULT) the table in /dev/shm. A user who has them all gets no more from
 * nvmed_queue_create() (EDQUOT).
 */
NVMED_EXPORT int nvmed_set_user_quota(NVMED *nvmed, uid_t uid, unsigned int num_queue, unsigned int *max, unsigned int *used);

/* 0, *max and *used (either may be NULL); -2 (-NVMED_NOENTRY) the user has no quota, or no open device; -1 (-NVMED_FAULT) the table. */
NVMED_EXPORT int nvmed_get_user_quota(NVMED *nvmed, uid_t uid, unsigned int *max, unsigned int *used);

/*
 * What ioctl() on `ns_fd` was to the kernel module: a request of nvmed.h and a pointer to its argument. 0; -1 with errno: EBADF no device's
 * ns_fd, ENOTTY an unknown request, EFAULT NULL, or what the request says.
 */
NVMED_EXPORT int nvmed_ioctl(int fd, unsigned long request, ...);

/* Its value (flags: TRUE or FALSE); -6 (-NVMED_INVALID) with errno, for what is no feature or no device. */
NVMED_EXPORT int nvmed_feature_get(NVMED *nvmed, int feature);

#ifdef __cplusplus
}
#endif

#endif
