/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The environment: the context that everything else is opened in. It is a value, not a process-wide state: open as
 * many as you like, close them, open them again. It needs no privilege and no hugepages until a real drive does.
 *
 * The one thing of the process that nvio touches: while it has a real PCIe drive, it handles SIGBUS, which an access to a drive that
 * was pulled out may be. Any other SIGBUS is passed on to the handler that was there before (docs/pci.md).
 */
#ifndef NVIO_ENV_H
#define NVIO_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nvio/compiler.h>
#include <nvio/log.h>

NVIO_BEGIN_DECLS

struct nvio_env;

enum nvio_hugepages {
	NVIO_HUGEPAGES_NO = 0,  /* ordinary pages (--no-huge) */
	NVIO_HUGEPAGES_TRY,     /* 2 MiB pages when there, ordinary pages otherwise */
	NVIO_HUGEPAGES_2M,      /* 2 MiB pages or an error */
	NVIO_HUGEPAGES_1G,      /* 1 GiB pages or an error */
};

enum nvio_mlock {
	NVIO_MLOCK_AUTO = 0,    /* what a PCI function uses does not swap: VFIO pins it, and without an IOMMU it is on hugepages */
	NVIO_MLOCK_ALWAYS,      /* locked, or an error that names the RLIMIT_MEMLOCK needed */
	NVIO_MLOCK_NEVER,
};

struct nvio_env_opts {
	size_t size;                 /* sizeof(struct nvio_env_opts), set by nvio_env_opts_init() */
	const char *name;            /* 1 to 63 printable bytes, "nvio" by default; in log lines and lock files */
	const char *core_mask;       /* "0x3" or "[0,2-5]"; NULL: the cores this process may use. OS threads that nvio
	                                starts run on these cores. */
	int main_core;               /* -1: the first of the mask. Where the calling thread is bound to; not bound when -1. */
	uint64_t mem_size_mb;        /* upper bound of DMA memory in MiB; 0: none. With hugepages: reserved at open. */
	int shm_id;                  /* -1: private. 0 and up: this environment holds the id, and a second one (in any process
	                                of this user) fails with -EALREADY. */
	bool no_pci;                 /* PCI functions are refused, and the bus is not looked at */
	enum nvio_hugepages hugepages;
	bool hugepage_single_segments; /* the whole of mem_size_mb is one mapping of one file; needs mem_size_mb */
	enum nvio_mlock mlock;
	enum nvio_log_level log_level; /* NVIO_LOG_WARN by default */
	nvio_log_fn log_fn;          /* NULL: standard error */
	void *log_arg;
	uint64_t (*now_ns)(void *arg); /* the clock; NULL: CLOCK_MONOTONIC. A simulation hands in its own. */
	void *now_arg;
	uint64_t seed;               /* of the environment's random numbers; 0: from the operating system */
	const char *pci_root;        /* the tree whose sys/ and dev/ have the PCI functions; NULL: "/". For tests and containers. */
	bool unsafe_no_iommu;        /* PCI functions may be driven without an IOMMU (VFIO's no-IOMMU mode, uio_pci_generic): a wrong device
	                                address then overwrites any memory of the machine. Needs root, and hugepages, the only memory that
	                                stays where it is. */
};

/* Fills in the defaults. Any thread. */
NVIO_EXPORT void nvio_env_opts_init(struct nvio_env_opts *opts);

/*
 * Opens an environment; `opts` NULL means the defaults, and is copied otherwise (strings too).
 * 0; -EINVAL bad option (named in nvio_errmsg()); -EALREADY the shm_id is held; -ENOMEM memory or hugepages;
 * -EPERM or -EACCES memory locking or PCI access; -E2BIG an option that this release does not know is set; another -errno
 * of the system: the shm_id's lock file (-EACCES: something else lies in its place), or files run out (-EMFILE). A failed
 * open leaves nothing behind. Any thread.
 */
NVIO_EXPORT int nvio_env_open(const struct nvio_env_opts *opts, struct nvio_env **env);

/*
 * Ends the coroutines of its threads first: they are cancelled, and polled until they have run to their end (nvio/co.h); one that
 * has not after a minute is told in the log by its name, and its stack is left as it is. Not from within a coroutine.
 * Then closes it and, newest first, what is still open in it: controllers, drives, block devices, threads, memory. In-flight
 * ops of those complete before they go: as they would have, or with -ECANCELED or -ENODEV. NULL is allowed. The caller sees to it that no
 * other thread uses the environment any more.
 */
NVIO_EXPORT void nvio_env_close(struct nvio_env *env);

NVIO_EXPORT const char *nvio_env_name(const struct nvio_env *env);

/* The cores of its mask in ascending order: fills up to `max` of `cores`, returns how many there are. */
NVIO_EXPORT int nvio_env_cores(const struct nvio_env *env, int *cores, int max);

NVIO_END_DECLS

#endif
