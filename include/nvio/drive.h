/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The software drive: an NVMe controller made of this library's target, over RAM, nothing or a file. It has a name, and
 * `trtype:LOOP traddr:<name>` in the same environment connects to it. It needs no device, no privilege and no second thread,
 * and its fault plan makes any failure repeatable.
 */
#ifndef NVIO_DRIVE_H
#define NVIO_DRIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nvio/bdev.h>
#include <nvio/compiler.h>

NVIO_BEGIN_DECLS

struct nvio_env;
struct nvio_thread;
struct nvio_drive;

#define NVIO_DRIVE_MAX_NS     64
#define NVIO_DRIVE_MAX_QUEUES 128 /* I/O queue pairs */

enum nvio_drive_backing {
	NVIO_DRIVE_RAM,  /* `bytes` of memory, taken as it is written */
	NVIO_DRIVE_NULL, /* `bytes` that swallow writes and read as zeros */
	NVIO_DRIVE_FILE, /* an image at `path`; `bytes` 0: as large as the file, else it is made or extended to that size */
};

/*
 * Who moves the drive forward. One that has nothing to do burns nothing: after a few hundred microseconds an OS thread of its own sleeps,
 * and an attached one lets its nvio_thread sleep (nvio_thread_timeout_ms() is -1 then), until the host rings a doorbell or writes a
 * register. An inline one sleeps with its host: nvio_qpair_arm().
 */
enum nvio_drive_poll {
	NVIO_DRIVE_INLINE = 0, /* whoever polls the host side, within that call: one thread is enough */
	NVIO_DRIVE_OS_THREAD,  /* an OS thread of its own */
	NVIO_DRIVE_ATTACHED,   /* opts.thread, which the caller polls */
};

struct nvio_drive_ns_opts {
	enum nvio_drive_backing backing;
	const char *path;
	uint64_t bytes;
	uint32_t block_size;      /* 512 (default) or 4096 */
	bool read_only;
	bool untouched_reads;     /* NULL backing: see nvio_bdev_null_opts */
	enum nvio_bdev_file_engine engine; /* FILE backing */
	bool no_direct;           /* FILE backing: do not try O_DIRECT */
};

struct nvio_drive_opts {
	size_t size;
	const char *name;         /* of the loop endpoint, unique in the environment; 1 to 255 bytes */
	const char *serial;       /* at most 20 bytes of printable ASCII; "NVIO" and a hash of the name by default */
	const char *model;        /* at most 40; "nvio software drive" */
	const char *firmware;     /* at most 8; the version */
	const char *nqn;          /* NULL: made from the serial */
	uint32_t num_ns;          /* 1 to NVIO_DRIVE_MAX_NS */
	const struct nvio_drive_ns_opts *ns; /* num_ns of them; copied */
	uint32_t mdts_bytes;      /* largest transfer: a power of two from 8192 to 1 GiB; 0: no limit (MDTS 0). Default 1 MiB */
	uint32_t max_queues;      /* I/O queue pairs granted, 1 to NVIO_DRIVE_MAX_QUEUES; default 64 */
	uint32_t max_queue_entries; /* CAP.MQES + 1: 2 to 65536; default 4096 */
	uint32_t doorbell_stride; /* CAP.DSTRD: 0 to 4 */
	uint32_t ready_timeout_ms; /* CAP.TO, rounded up to 500 ms; default 500 */
	bool volatile_cache;      /* report a volatile write cache (RAM: flush does nothing). File backing always reports one. */
	enum nvio_drive_poll poll;
	struct nvio_thread *thread; /* NVIO_DRIVE_ATTACHED */
	int core;                 /* NVIO_DRIVE_OS_THREAD: bound to it; -1: not bound */
	bool record_registers;    /* keep the order of register writes, for nvio_drive_register_writes() */
	uint64_t seed;            /* of the fault plan; 0: from the environment */
	/*
	 * The drive stands behind an IOMMU: it reaches memory of its environment and memory that was registered, by device addresses, as a PCIe
	 * drive does. Any other pointer is refused with -EFAULT, or bounced (nvio_ctrlr_opts.bounce), so that a program that is
	 * to drive a real one can be tested without it.
	 */
	bool iommu;
};

NVIO_EXPORT void nvio_drive_opts_init(struct nvio_drive_opts *opts);

/*
 * Makes a drive. 0; -EINVAL bad option (named); -EEXIST name in use; -ENOMEM; or what the image says: -ENOENT, -EACCES, -EISDIR,
 * -EBUSY, -ENOSPC, ... A failed open leaves nothing behind. Any thread; the drive belongs to the one that opens it.
 */
NVIO_EXPORT int nvio_drive_open(struct nvio_env *env, const struct nvio_drive_opts *opts, struct nvio_drive **drive);

/*
 * Makes a drive from a short form: "ram:SIZE", "null:SIZE" or "PATH", each with "?key=value&..." behind it: bs, size, ns (how many
 * namespaces, sharing the size; files get ".2", ".3", ... appended), serial, model, mdts, queues, entries, stride, vwc, poll=inline|thread,
 * core, ro, engine=io_uring|threads, direct=0|1, untouched=1, iommu=0|1, seed, and any number of fault=... (see nvio_drive_add_fault_str()).
 * '%' escapes a byte in hexadecimal. An unknown key is an error. The name is the whole short form.
 * An image that does not exist is an error (-ENOENT) unless `size` says how large to make it.
 */
NVIO_EXPORT int nvio_drive_open_str(struct nvio_env *env, const char *form, struct nvio_drive **drive);

/* Closes: the host side sees the device vanish (all-ones), in-flight I/O of the drive is finished first. NULL is allowed. */
NVIO_EXPORT void nvio_drive_close(struct nvio_drive *drive);

NVIO_EXPORT const char *nvio_drive_name(const struct nvio_drive *drive);

/* For NVIO_DRIVE_INLINE without a host polling: moves the drive forward; returns work done. Any one thread at a time. */
NVIO_EXPORT int nvio_drive_poll(struct nvio_drive *drive);

/* Hot removal and return: registers read as all-ones and nothing is answered any more; the data stays. Any thread. */
NVIO_EXPORT int nvio_drive_remove(struct nvio_drive *drive);
NVIO_EXPORT int nvio_drive_insert(struct nvio_drive *drive);

enum nvio_fault_kind {
	NVIO_FAULT_DELAY,         /* complete `delay_us` later */
	NVIO_FAULT_LOSE,          /* never complete */
	NVIO_FAULT_STATUS,        /* complete with `sf` instead of executing */
	NVIO_FAULT_FATAL,         /* set CSTS.CFS and stop */
	NVIO_FAULT_REMOVE,        /* vanish: all-ones */
	NVIO_FAULT_PHASE,         /* write the completion with the wrong phase tag, then nothing */
	NVIO_FAULT_UNKNOWN_CID,   /* before the right completion, one for a command identifier nobody used */
	NVIO_FAULT_DUPLICATE,     /* complete twice */
	NVIO_FAULT_SHORT,         /* move only the first half of the data, and say success */
	NVIO_FAULT_CORRUPT,       /* flip one bit of the data */
	NVIO_FAULT_NEVER_READY,   /* CC.EN = 1 is never answered by CSTS.RDY = 1 */
	NVIO_FAULT_NEVER_STOP,    /* CC.EN = 0 is never answered by CSTS.RDY = 0 */
	NVIO_FAULT_LOSE_ABORT,    /* Abort commands succeed but abort nothing */
};

struct nvio_fault {
	enum nvio_fault_kind kind;
	bool admin;          /* the admin queue; else I/O queues */
	int opcode;          /* -1: any */
	uint32_t nsid;       /* 0: any */
	uint64_t lba_first;  /* with lba_count: only commands that touch the range */
	uint64_t lba_count;  /* 0: any */
	uint32_t skip;       /* let so many matching commands pass first */
	uint32_t every;      /* then every n-th; 0 or 1: each */
	uint32_t count;      /* at most so many times; 0: for ever */
	double probability;  /* 0 counts as 1; drawn from the drive's seed */
	uint64_t delay_us;
	uint16_t sf;         /* STATUS: SC 7:0, SCT 10:8, DNR 14 */
};

#define NVIO_FAULT_INIT(k) { .kind = (k), .opcode = -1 }

/* Adds a fault to the plan; the first that matches a command is taken. 0; -EINVAL; -ENOSPC more than 64. Any thread. */
NVIO_EXPORT int nvio_drive_add_fault(struct nvio_drive *drive, const struct nvio_fault *fault);

/* The same from text: "KIND[:key=value]...", for example "status:opcode=2:sf=0x281:count=1" or "delay:us=500:p=0.1". Keys: opcode, admin,
 * nsid, lba, blocks, skip, every, count, p, us, sf. */
NVIO_EXPORT int nvio_drive_add_fault_str(struct nvio_drive *drive, const char *text);
NVIO_EXPORT void nvio_drive_clear_faults(struct nvio_drive *drive);

struct nvio_drive_stats {
	uint64_t sq_doorbells, cq_doorbells; /* doorbell values seen to change by the drive; host writes are counted by loop */
	uint64_t doorbell_writes;            /* MMIO writes to doorbells by the host, when record_registers is set */
	uint64_t admin_commands, io_commands;
	uint64_t faults;                     /* how often the plan struck */
	uint64_t bad_doorbells;              /* values out of range, or for queues that are not there */
	uint64_t dma_faults;                 /* accesses to memory that is not mapped for it, when it stands behind an IOMMU */
	uint64_t sleeps;                     /* how often it had nothing to do for so long that it stopped polling its doorbells */
};
NVIO_EXPORT void nvio_drive_get_stats(struct nvio_drive *drive, struct nvio_drive_stats *stats);

struct nvio_register_write {
	uint32_t offset;
	uint32_t width;  /* 4 or 8 */
	uint64_t value;
};
/* The register writes (without doorbells) since open, oldest first: fills up to max, returns how many there were (at most 4096 kept). */
NVIO_EXPORT size_t nvio_drive_register_writes(struct nvio_drive *drive, struct nvio_register_write *writes, size_t max);

NVIO_END_DECLS

#endif
