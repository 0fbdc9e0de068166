/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An engine for fio over libnvio. engine.c is what fio calls, and all that knows fio's structures; device.c has the drives and block
 * devices of the process, which jobs that are threads share; lane.c is one job's way to one of them, for its I/O.
 */
#ifndef NVIO_FIO_JOB_H
#define NVIO_FIO_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include <nvio/op.h>

struct nvio_bdev_desc;
struct nvio_channel;
struct nvio_ctrlr;
struct nvio_env;
struct nvio_ns;
struct nvio_qpair;
struct nvio_thread;

#define FIO_NAME_MAX  4095
#define FIO_LANES_MAX 64 /* drives and block devices of one job */
#define WHY_MAX	      512

/* Words into `why`, WHY_MAX bytes; what is longer is cut. */
void tell(char *why, const char *format, ...) __attribute__((format(printf, 2, 3)));

enum fio_huge { FIO_HUGE_NO, FIO_HUGE_TRY, FIO_HUGE_2M, FIO_HUGE_1G };

/* What jobs of a process that share something must agree about. */
struct device_opts {
	bool bounce;
	bool unsafe_no_iommu;
	enum fio_huge huge;
};

/* A controller, or a block device made from text; it lives until the last user of any is gone. */
struct device {
	struct device *next;
	char text[FIO_NAME_MAX + 1]; /* what it was opened by */
	struct device_opts opts;
	struct nvio_ctrlr *ctrlr;    /* NULL: a block device, by its name */
	char bdev[256];
};

/* A file name of fio, taken apart. */
struct device_name {
	char text[FIO_NAME_MAX + 1];
	bool is_bdev;
	uint32_t nsid; /* 0: not said */
};

/* 0; -EINVAL, and `why` (WHY_MAX bytes) tells. */
int device_name_parse(const char *file_name, struct device_name *name, char *why);

/*
 * Takes a user's share in all devices of this process, and opens one. 0, or -errno with `why` (WHY_MAX bytes). Each device_get() that was 0 is
 * answered by one device_put(); the last one closes everything. Any thread.
 */
int device_get(const struct device_name *name, const struct device_opts *opts, struct device **dev, char *why);
void device_put(void);

/* The environment; there is one between get and put. */
struct nvio_env *device_env(void);

/* Queue pairs are made and freed one at a time, as each needs the controller's admin queue. */
void device_lock(void);
void device_unlock(void);

/* What a lane leads to. */
struct shape {
	uint32_t block_size;
	uint64_t bytes;
	bool read_only;
	bool can_trim;
	bool can_zero;
};

enum io_kind { IO_READ, IO_WRITE, IO_ZERO, IO_TRIM, IO_SYNC };

struct io {
	struct nvio_op op;
	void *user;
	uint64_t ranges[2]; /* of a trim: struct nvio_lba_range, which must stay until it is done */
};

struct lane {
	struct device *dev;
	/* A controller's. */
	struct nvio_qpair *qp;
	/* A block device's. */
	struct nvio_bdev_desc *desc;
	struct nvio_channel *ch;
};

/* A job's file: a lane, and with controllers a namespace. */
struct target {
	struct lane *lane;
	struct nvio_ns *ns;
	struct shape shape;
};

/* What a file has, without a lane. 0, or -errno with `why`. */
int target_look(struct device *dev, uint32_t nsid, struct target *t, char *why);

/* `depth` I/Os at once. `thread`: the job's, current; it is used by block devices alone. 0, or -errno with `why`. */
int lane_open(struct lane *lane, struct device *dev, uint32_t depth, bool writes, char *why);
void lane_close(struct lane *lane);

/* 0, or -errno and nothing was submitted; nvio_errmsg() has the words. */
int target_submit(struct target *t, enum io_kind kind, void *buf, uint64_t offset, uint64_t len, struct io *io);

#endif
