/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What fio calls. A job is setup (sizes, by the process that starts the jobs), init (lanes, by the job itself), queue and getevents,
 * and cleanup. docs/fio.md is for users.
 */
#include "engine.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <nvio/bdev.h>
#include <nvio/nvme.h>

#define SPIN_NS 20000 /* wait=sleep: about what sleeping and waking up cost */

/* fio's own; weak, as one that has none is then told so. */
extern const char fio_version_string[] __attribute__((weak));

int engine_fits(void)
{
	if (fio_version_string && !strcmp(fio_version_string, NVIO_FIO_VERSION))
		return 0;
	log_err("fio: nvio: this engine was built for %s, and fio's structures differ from version to version; build it anew\n",
		NVIO_FIO_VERSION);
	return -EINVAL;
}

static void on_done(struct nvio_op *op)
{
	struct job *job = op->arg;

	job->done[job->num_done++] = (struct io *)op;
	job->in_flight--;
}

nvio_static_assert(offsetof(struct io, op) == 0, "on_done() is given the one for the other");

/* What fio has been given by the last getevents is its own again, and may be submitted anew: it makes room in `done`. */
static void forget_taken(struct job *job)
{
	if (!job->num_taken)
		return;
	job->num_done -= job->num_taken;
	memmove(job->done, job->done + job->num_taken, job->num_done * sizeof(*job->done));
	job->num_taken = 0;
}

static void poll_lanes(struct job *job)
{
	/* Their errors are those of the ops, which have all completed then. */
	for (unsigned i = 0; i < job->num_lanes; i++)
		if (job->lanes[i].qp)
			nvio_qpair_poll(job->lanes[i].qp, 0);
	if (job->thread)
		nvio_thread_poll(job->thread, 0);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void sooner(int *timeout_ms, int other_ms)
{
	if (*timeout_ms < 0 || (other_ms >= 0 && other_ms < *timeout_ms))
		*timeout_ms = other_ms;
}

/* Until one of the lanes has something, and no longer than max_ms (-1: no limit). */
static void sleep_on_lanes(struct job *job, int max_ms)
{
	struct pollfd fds[FIO_LANES_MAX + 1];
	int timeout_ms = max_ms, ms = -1;
	nfds_t count = 0;

	for (unsigned i = 0; i < job->num_lanes; i++) {
		if (!job->lanes[i].qp)
			continue;
		/* What cannot be slept on is polled. */
		if (nvio_qpair_arm(job->lanes[i].qp, &ms))
			return;
		sooner(&timeout_ms, ms);
		fds[count++] = (struct pollfd){ .fd = nvio_qpair_fd(job->lanes[i].qp), .events = POLLIN };
	}
	if (job->thread) {
		sooner(&timeout_ms, nvio_thread_timeout_ms(job->thread));
		fds[count++] = (struct pollfd){ .fd = nvio_thread_fd(job->thread), .events = POLLIN };
	}
	if (timeout_ms)
		poll(fds, count, timeout_ms);
}

/* Until `min` I/Os are done, or all that there are, or (0: never) it is until_ns. */
static void wait_for(struct job *job, unsigned min, uint64_t until_ns)
{
	bool sleeps = job->opts->wait == WAIT_SLEEP;
	uint64_t idle_since = 0, now;
	unsigned seen;

	for (;;) {
		seen = job->num_done;
		poll_lanes(job);
		if (job->num_done >= min || !job->in_flight)
			return;
		if (!sleeps && !until_ns)
			continue;
		now = now_ns();
		if (until_ns && now >= until_ns)
			return;
		if (job->num_done != seen || !idle_since)
			idle_since = now;
		else if (sleeps && now - idle_since >= SPIN_NS)
			sleep_on_lanes(job, until_ns ? (int)((until_ns - now) / 1000000) + 1 : -1);
	}
}

int engine_commit(struct thread_data *td)
{
	struct job *job = td->io_ops_data;
	struct timespec now;

	if (!job->num_unkicked)
		return 0;
	for (unsigned i = 0; i < job->num_lanes; i++)
		if (job->lanes[i].qp)
			nvio_qpair_kick(job->lanes[i].qp);
	/* For fio an I/O is submitted now. */
	if (fio_fill_issue_time(td)) {
		fio_gettime(&now, NULL);
		for (unsigned i = 0; i < job->num_unkicked; i++) {
			job->unkicked[i]->issue_time = now;
			io_u_queued(td, job->unkicked[i]);
		}
	}
	io_u_mark_submit(td, job->num_unkicked);
	job->num_unkicked = 0;
	return 0;
}

int engine_getevents(struct thread_data *td, unsigned int min, unsigned int max, const struct timespec *t)
{
	struct job *job = td->io_ops_data;
	uint64_t until_ns = 0;

	/* fio does not commit when it only looks, and what it is handed out may be in its hands again by the next commit. */
	engine_commit(td);
	forget_taken(job);
	if (min && t)
		until_ns = now_ns() + (uint64_t)t->tv_sec * 1000000000u + (uint64_t)t->tv_nsec;
	if (job->num_done < min || !min)
		wait_for(job, min, until_ns);
	job->num_taken = job->num_done < max ? job->num_done : max;
	return (int)job->num_taken;
}

struct io_u *engine_event(struct thread_data *td, int event)
{
	struct job *job = td->io_ops_data;
	struct io *io = job->done[event];
	struct io_u *io_u = io->user;

	io_u->error = -io->op.status;
	io_u->resid = io->op.status ? io_u->xfer_buflen : 0;
	return io_u;
}

char *engine_errdetails(struct io_u *io_u)
{
	struct io *io = io_u->engine_data;
	char *line = NULL;

	return asprintf(&line, "nvio: %s", nvio_op_strerror(&io->op)) < 0 ? NULL : line;
}

static enum io_kind kind_of(const struct job *job, const struct io_u *io_u)
{
	switch (io_u->ddir) {
	case DDIR_READ:
		return IO_READ;
	case DDIR_WRITE:
		return job->opts->write_mode == WRITE_ZEROES ? IO_ZERO : IO_WRITE;
	case DDIR_TRIM:
		return IO_TRIM;
	default: /* fsync, fdatasync and sync_file_range: a drive has one flush */
		return IO_SYNC;
	}
}

static int submit(struct job *job, struct io_u *io_u, enum io_kind kind)
{
	struct target *t = FILE_ENG_DATA(io_u->file);
	struct io *io = io_u->engine_data;
	uint32_t bs = t->shape.block_size;
	int rc;

	io->op.flags = job->opts->fua && (kind == IO_WRITE || kind == IO_ZERO) ? NVIO_OP_FUA : 0;
	/* The words are for the log here: fio asks for no details of what was never in flight. */
	if (kind != IO_SYNC && (io_u->offset % bs || io_u->xfer_buflen % bs)) {
		log_err("fio: nvio: %s: offset %llu and length %llu are to be multiples of the block size, %u\n", io_u->file->file_name,
			io_u->offset, io_u->xfer_buflen, bs);
		return -EINVAL;
	}
	rc = target_submit(t, kind, io_u->xfer_buf, io_u->offset, io_u->xfer_buflen, io);
	if (rc) {
		log_err("fio: nvio: %s\n", nvio_errmsg());
		return rc;
	}
	job->in_flight++;
	return 0;
}

/*
 * A flush is waited for. fio asks for one after so many writes, and again until one has completed: were they queued, there would be as
 * many as the job is deep. What else completes meanwhile is handed out later.
 */
static int flush(struct thread_data *td, struct job *job, struct io_u *io_u)
{
	struct io *io = io_u->engine_data;
	unsigned i = job->num_done;
	int rc;

	engine_commit(td);
	fio_gettime(&io_u->issue_time, NULL);
	rc = submit(job, io_u, IO_SYNC);
	if (rc)
		return rc;
	while (nvio_op_pending(&io->op))
		wait_for(job, job->num_done + 1, 0);
	while (job->done[i] != io)
		i++;
	job->num_done--;
	memmove(job->done + i, job->done + i + 1, (job->num_done - i) * sizeof(*job->done));
	if (io->op.status)
		log_err("fio: nvio: %s: flush: %s\n", io_u->file->file_name, nvio_op_strerror(&io->op));
	return io->op.status;
}

enum fio_q_status engine_queue(struct thread_data *td, struct io_u *io_u)
{
	struct job *job = td->io_ops_data;
	enum io_kind kind = kind_of(job, io_u);

	forget_taken(job);
	if (kind == IO_SYNC) {
		io_u->error = -flush(td, job, io_u);
		return FIO_Q_COMPLETED;
	}
	io_u->error = -submit(job, io_u, kind);
	if (io_u->error)
		return FIO_Q_COMPLETED;
	job->unkicked[job->num_unkicked++] = io_u;
	return FIO_Q_QUEUED;
}

int engine_cancel(struct thread_data *td, struct io_u *io_u)
{
	struct io *io = io_u->engine_data;

	/* It completes all the same, and is handed out then: there is nothing that fio could take back now. */
	nvio_cancel(&io->op);
	return 1;
}

int engine_io_u_init(struct thread_data *td, struct io_u *io_u)
{
	struct job *job = td->io_ops_data;
	struct io *io = &job->ios[io_u->index];

	io->op = (struct nvio_op){ .done = on_done, .arg = job, .timeout_us = job->opts->command_timeout_ms * 1000ull };
	io->user = io_u;
	io_u->engine_data = io;
	return 0;
}

/* Whatever is in flight ends before its memory does. */
static void drain(struct job *job)
{
	unsigned count = job->ios ? job->depth : 0;

	forget_taken(job);
	for (unsigned i = 0; i < count && job->in_flight; i++)
		if (nvio_op_pending(&job->ios[i].op))
			nvio_cancel(&job->ios[i].op);
	while (job->in_flight)
		wait_for(job, job->depth + 1, 0);
}

static int alloc_pages(struct job *job, size_t size)
{
	size = (size + 4095) & ~(size_t)4095;
	job->mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (job->mem == MAP_FAILED) {
		job->mem = NULL;
		return -errno;
	}
	job->mem_len = size;
	if (job->opts->buffers == BUFFERS_REGISTER && nvio_mem_register(device_env(), job->mem, size)) {
		log_err("fio: nvio: %s\n", nvio_errmsg());
		munmap(job->mem, size);
		job->mem = NULL;
		return -ENOMEM;
	}
	return 0;
}

int engine_iomem_alloc(struct thread_data *td, size_t size)
{
	struct job *job = td->io_ops_data;
	int rc = 0;

	if (job->opts->buffers == BUFFERS_ALLOC) {
		job->mem = nvio_mem_alloc(device_env(), size ? size : 1, 4096);
		if (!job->mem) {
			log_err("fio: nvio: %s\n", nvio_errmsg());
			rc = -ENOMEM;
		}
	} else {
		rc = alloc_pages(job, size ? size : 1);
	}
	td->orig_buffer = job->mem;
	return rc;
}

void engine_iomem_free(struct thread_data *td)
{
	struct job *job = td->io_ops_data;

	if (!job || !job->mem)
		return;
	drain(job);
	if (job->opts->buffers == BUFFERS_ALLOC) {
		nvio_mem_free(device_env(), job->mem);
	} else {
		if (job->opts->buffers == BUFFERS_REGISTER)
			nvio_mem_unregister(device_env(), job->mem, job->mem_len);
		munmap(job->mem, job->mem_len);
	}
	job->mem = NULL;
}

void engine_cleanup(struct thread_data *td)
{
	struct job *job = td->io_ops_data;

	if (!job)
		return;
	if (job->num_lanes)
		drain(job);
	engine_iomem_free(td);
	job_stop(job);
	job_close(job);
	td->io_ops_data = NULL;
}
