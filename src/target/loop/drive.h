/* SPDX-License-Identifier: BSD-3-Clause */
/* The software drive from the inside: who owns its parts, and who may be at work in it. */
#ifndef TARGET_LOOP_DRIVE_H
#define TARGET_LOOP_DRIVE_H

#include <pthread.h>
#include <stdatomic.h>

#include "loop/loop.h"
#include "target/loop/port.h"
#include <nvio/drive.h>

#define DRIVE_NAME_MAX 255u

struct nvio_drive {
	/* Hot. */
	_Atomic bool busy;          /* INLINE: an OS thread is polling it */
	struct nvio_thread *thread; /* immutable; opts.thread when attached, else our own */
	uint32_t idle;              /* polls in a row that found nothing */
	bool asleep;                /* the poller rests; see drive_sleep.c */
	struct memq memq;

	struct fault_plan faults;
	struct tgt_subsystem subsys;
	struct loop_port_ops port_ops; /* immutable */
	struct loop_port *port;
	struct tgt_loop_iommu iommu;
	struct nvio_poller *poller;
	struct nvio_timer nap;      /* see drive_sleep.c */
	uint32_t nap_us;
	uint64_t sleeps;            /* others may read */
	struct nvio_env *env;       /* immutable, as is all below */
	enum nvio_drive_poll poll;
	char *name;
	int core;
	int bell_fd;                /* written by whoever rouses it; -1: INLINE */
	struct env_child child;
	uint32_t num_bdevs;         /* made; "<name>n1" and up */

	pthread_t os_thread;        /* OS_THREAD */
	_Atomic bool stop;          /* told to the OS thread */
};

/* drive_opts.c */
#define DRIVE_SERIAL_SIZE 21
void drive_serial(char *serial, const char *name); /* the default serial number of that name */
/* Checks what the caller wants; *opts has no gaps then. 0; -EINVAL; -E2BIG. */
int drive_opts_check(struct nvio_drive_opts *opts, const struct nvio_drive_opts *from);
int drive_subsystem_init(struct nvio_drive *d, const struct nvio_drive_opts *opts);

/* drive_open.c */
void drive_close_parts(struct nvio_drive *d);

/* drive_os_thread.c */
int drive_os_thread_start(struct nvio_drive *d);
void drive_os_thread_stop(struct nvio_drive *d);

/* drive_sleep.c */
int drive_sleep_init(struct nvio_drive *d); /* after the port is published */
void drive_sleep_fini(struct nvio_drive *d);
int drive_poller(void *drive);              /* the poller of a drive that is not moved by its host */
void drive_rouse(struct nvio_drive *d);     /* on its thread: its poller runs again */
int drive_on_bell(void *drive);             /* the same, when the bell has rung */
void drive_roused(void *drive);
int drive_rest(void *drive, int *fd, int *timeout_ms);

/* drive.c */
int drive_kick(void *drive);
void drive_detached(void *drive);
bool drive_quiet(void *drive);
int drive_urge(void *drive);
void drive_child_close(struct env_child *child);

#endif
