/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A job, between what fio calls (engine.c), how it is begun and ended (job.c), and what can be asked of it (options.c).
 */
#ifndef NVIO_FIO_ENGINE_H
#define NVIO_FIO_ENGINE_H

#include <fio.h>

#include "job.h"

enum { WAIT_SPIN, WAIT_SLEEP };
enum { BUFFERS_ALLOC, BUFFERS_REGISTER, BUFFERS_PLAIN };
enum { WRITE_DATA, WRITE_ZEROES };

/* As fio fills it in. */
struct nvio_options {
	void *unused; /* fio takes an offset of 0 for none */
	unsigned int nsid;
	unsigned int wait;
	unsigned int buffers;
	unsigned int bounce;
	unsigned int write_mode;
	unsigned int fua;
	unsigned int command_timeout_ms;
	unsigned int hugepages;
	unsigned int unsafe_no_iommu;
};

extern struct fio_option nvio_option_table[];

struct job {
	const struct nvio_options *opts;
	unsigned depth;

	/* By file. */
	unsigned num_targets;
	struct device **devices;   /* each is a share of ours */
	struct target *targets;

	/* While it runs; its OS thread's alone. */
	struct nvio_thread *thread; /* NULL: no block devices */
	struct lane lanes[FIO_LANES_MAX];
	unsigned num_lanes;
	struct io *ios;
	struct io **done;	    /* in the order of completion */
	unsigned num_done;
	unsigned num_taken;	    /* of these, handed to fio */
	unsigned in_flight;
	struct io_u **unkicked;	    /* submitted since the last commit */
	unsigned num_unkicked;
	void *mem;
	size_t mem_len;
};

/* Opens the devices of the job's files and looks at them. 0, or -errno and fio's log has the words. */
int job_open(struct thread_data *td, struct job **job);
void job_close(struct job *job);

/* Lanes for it all. 0, or -errno and fio's log has the words; job_stop() is for both. */
int job_start(struct thread_data *td, struct job *job);
void job_stop(struct job *job);

int engine_fits(void);
int engine_setup(struct thread_data *td);
int engine_init(struct thread_data *td);
enum fio_q_status engine_queue(struct thread_data *td, struct io_u *io_u);
int engine_commit(struct thread_data *td);
int engine_getevents(struct thread_data *td, unsigned int min, unsigned int max, const struct timespec *t);
struct io_u *engine_event(struct thread_data *td, int event);
char *engine_errdetails(struct io_u *io_u);
int engine_cancel(struct thread_data *td, struct io_u *io_u);
int engine_io_u_init(struct thread_data *td, struct io_u *io_u);
int engine_iomem_alloc(struct thread_data *td, size_t size);
void engine_iomem_free(struct thread_data *td);
void engine_cleanup(struct thread_data *td);

#endif
