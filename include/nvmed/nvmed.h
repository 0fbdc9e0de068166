/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * NVMeDirect's device interface: result codes, what a device says of itself, quotas, and the numbers of its ioctls. There is no kernel
 * module any more: nvmed_ioctl() (lib_nvmed.h) answers the same requests in this process.
 */
#ifndef NVMED_NVMED_H
#define NVMED_NVMED_H

#include <linux/types.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/types.h>

typedef __u64 u64;
typedef __u32 u32;
typedef __u16 u16;
typedef __u8 u8;

/* Requests of nvmed_ioctl(); the numbers are those of the kernel module. */
#define NVMED_IOCTL_NVMED_INFO      _IOW('N', 0x50, struct nvmed_device_info)
#define NVMED_IOCTL_QUEUE_CREATE    _IOWR('N', 0x51, unsigned int)     /* a struct nvmed_create_queue_args */
#define NVMED_IOCTL_QUEUE_DELETE    _IOW('N', 0x52, unsigned int)      /* the queue's qid */
#define NVMED_IOCTL_GET_BUFFER_ADDR _IOWR('N', 0x60, struct nvmed_buf) /* device addresses, one a page */
#define NVMED_IOCTL_INTERRUPT_COMM  _IOWR('N', 0x61, unsigned long)    /* in: a qid; out: how many of its requests ended, 0 after a while */
#define NVMED_IOCTL_GET_USER        _IOWR('N', 0x70, struct nvmed_user_quota)
#define NVMED_IOCTL_SET_USER        _IOWR('N', 0x71, struct nvmed_user_quota)

/* Functions return them negated. */
typedef enum {
	NVMED_SUCCESS = 0,
	NVMED_FAULT = 1,
	NVMED_NOENTRY = 2,
	NVMED_EXCEEDLIMIT = 3,
	NVMED_NOPERM = 4,
	NVMED_OVERQUOTA = 5,
	NVMED_INVALID = 6,
} NVMED_RESULT;

typedef struct nvmed_buf {
	void *addr;
	unsigned int size; /* pages */
	u64 *pfnList;
} NVMED_BUF;

typedef struct nvmed_device_info {
	int instance;             /* the 0 of nvme0n1; 0 where the path has none */
	int lba_shift;            /* 9: blocks of 512 bytes */
	unsigned int ns_id;
	int q_depth;              /* commands that a queue takes at once */
	u64 capacity;             /* bytes of the device, or of the partition */
	u32 max_hw_sectors;       /* blocks that one command moves at most */
	u32 stripe_size;          /* bytes; 0: the drive names none */
	u32 db_stride;            /* bytes between two doorbells, as a power of two of 4 */
	u8 vwc;                   /* 1: the drive has a volatile write cache */

	unsigned long start_sect; /* of the partition, in blocks; 0 for the whole device */
	unsigned long nr_sects;
	int part_no;              /* 0: the whole device */
} NVMED_DEVICE_INFO;

typedef struct nvmed_create_queue_args {
	u32 qid;
	int reqInterrupt;
} NVMED_CREATE_QUEUE_ARGS;

typedef struct nvmed_user_quota {
	uid_t uid;
	unsigned int queue_max;
	unsigned int queue_used;
} NVMED_USER_QUOTA;

#endif
