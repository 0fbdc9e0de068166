/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The io_uring engine: a ring per channel. Submits only prepare entries; the channel's poller hands them to
 * the kernel in one call per poll, and reaps. It rests while nothing is in flight; when it has long found
 * nothing it lets the thread sleep on the ring's descriptor.
 *
 * Each I/O in flight has at most one entry, and no more are taken than the ring has, so there is always an
 * entry to be had, and the completion queue, which is twice as long, cannot overflow.
 */
#include <fcntl.h>
#include <liburing.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "bdev/modules/file.h"

#define REAP_BATCH	  32u
#define BOUNCES		  16u
#define IDLE_BEFORE_SLEEP 4096u /* polls in a row with nothing reaped: some 100 us */

struct uring_channel {
	struct file_bdev *f;
	struct nvio_thread *thread;
	struct nvio_poller *poller;
	struct io_uring ring;
	uint32_t in_flight; /* with an entry in the ring, or in `starved` */
	uint32_t idle;	    /* polls in a row that reaped nothing */
	bool asleep;	    /* the poller rests, and the thread watches the ring's descriptor */
	bool was_full;	    /* somebody was sent away and waits for nvio_bdev_channel_ready() */
	uint8_t free_slots[FILE_CHANNEL_DEPTH];
	uint32_t free_slot_count;
	struct iovec (*vecs)[FILE_STEP_IOVCNT]; /* by slot: must last until the kernel has read them */
	unsigned char *bounces;
	void *free_bounces[BOUNCES];
	uint32_t free_bounce_count;
	struct op_queue starved; /* in flight, and the next step wants a bounce buffer */
};

/* What an I/O is at, in file_progress.phase; reads and writes are at PHASE_FIRST only. */
enum {
	PHASE_FIRST,
	PHASE_PUNCH, /* write zeroes: the file system has no ZERO_RANGE, so by punching a hole */
	PHASE_SYNC,  /* write zeroes with FUA: the second step */
};

static int ring_init(const struct file_bdev *f, struct io_uring *ring)
{
	int rc = io_uring_queue_init(FILE_CHANNEL_DEPTH, ring, 0);

	if (rc)
		return fail(rc, "bdev: file: %s: io_uring: %s; use the thread engine, or allow io_uring",
			f->path, strerror(-rc));
	return 0;
}

/* Whether rings can be had is found out once, before anybody relies on it. */
static int uring_init(struct file_bdev *f)
{
	struct io_uring ring;
	int rc = ring_init(f, &ring);

	if (!rc)
		io_uring_queue_exit(&ring);
	return rc;
}

static void uring_fini(struct file_bdev *f)
{
}

static void *bounce_get(struct uring_channel *c)
{
	return c->free_bounce_count ? c->free_bounces[--c->free_bounce_count] : NULL;
}

static void bounce_put(struct uring_channel *c, struct file_progress *p)
{
	if (p->bounced)
		c->free_bounces[c->free_bounce_count++] = p->bounce;
	p->bounced = false;
}

static void prepare_rw(
	struct uring_channel *c, struct io_uring_sqe *sqe, struct nvio_bdev_io *io, void *bounce)
{
	struct file_progress *p = file_progress(io);
	struct iovec *vec = c->vecs[p->slot];
	unsigned count = file_step(c->f, io, p, vec, bounce);
	uint64_t at = io->offset + p->done;
	bool one = count == 1;

	if (io->type == NVIO_BDEV_IO_READ && one)
		io_uring_prep_read(sqe, c->f->fd, vec->iov_base, (unsigned)vec->iov_len, at);
	else if (io->type == NVIO_BDEV_IO_READ)
		io_uring_prep_readv(sqe, c->f->fd, vec, count, at);
	else if (one)
		io_uring_prep_write(sqe, c->f->fd, vec->iov_base, (unsigned)vec->iov_len, at);
	else
		io_uring_prep_writev(sqe, c->f->fd, vec, count, at);
	if (io->fua)
		sqe->rw_flags = RWF_DSYNC;
}

static void prepare_other(struct uring_channel *c, struct io_uring_sqe *sqe, struct nvio_bdev_io *io)
{
	int mode = FALLOC_FL_ZERO_RANGE;

	if (io->type == NVIO_BDEV_IO_FLUSH || file_progress(io)->phase == PHASE_SYNC) {
		io_uring_prep_fsync(sqe, c->f->fd, IORING_FSYNC_DATASYNC);
		return;
	}
	if (io->type == NVIO_BDEV_IO_UNMAP || file_progress(io)->phase == PHASE_PUNCH)
		mode = FALLOC_FL_PUNCH_HOLE;
	io_uring_prep_fallocate(sqe, c->f->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)io->offset, (off_t)io->len);
}

static bool is_rw(const struct nvio_bdev_io *io)
{
	return io->type == NVIO_BDEV_IO_READ || io->type == NVIO_BDEV_IO_WRITE;
}

/* Prepares the next entry of the I/O; false: it must wait for a bounce buffer. */
static bool prepare(struct uring_channel *c, struct nvio_bdev_io *io)
{
	struct io_uring_sqe *sqe;
	void *bounce = NULL;

	if (is_rw(io) && c->f->align && file_needs_bounce(c->f, io, file_progress(io))) {
		bounce = bounce_get(c);
		if (!bounce)
			return false;
	}
	sqe = io_uring_get_sqe(&c->ring);
	invariant(sqe);
	if (is_rw(io))
		prepare_rw(c, sqe, io, bounce);
	else
		prepare_other(c, sqe, io);
	io_uring_sqe_set_data(sqe, io);
	return true;
}

static void wake(struct uring_channel *c)
{
	if (c->asleep)
		nvio_thread_remove_fd(c->thread, c->ring.ring_fd);
	c->asleep = false;
	c->idle = 0;
	nvio_poller_resume(c->poller);
}

static int uring_submit(struct file_bdev *f, void *channel, struct nvio_bdev_io *io)
{
	struct uring_channel *c = channel;
	struct file_progress *p = file_progress(io);

	if (!c->free_slot_count || !op_queue_empty(&c->starved)) {
		c->was_full = true;
		return -EAGAIN;
	}
	p->slot = c->free_slots[--c->free_slot_count];
	if (!prepare(c, io))
		op_queue_push(&c->starved, bdev_io_op(io));
	if (!c->in_flight++ || c->asleep)
		wake(c);
	return 0;
}

static void finish(struct uring_channel *c, struct nvio_bdev_io *io, int status)
{
	c->free_slots[c->free_slot_count++] = file_progress(io)->slot;
	c->in_flight--;
	bdev_io_done(io, status);
}

/* What comes after a step that is no read or write. As file_step_done(). */
static int other_done(struct nvio_bdev_io *io, int res)
{
	struct file_progress *p = file_progress(io);

	if (file_again(p, res))
		return 1;
	if (io->type == NVIO_BDEV_IO_WRITE_ZEROES && res == -EOPNOTSUPP && p->phase == PHASE_FIRST) {
		p->phase = PHASE_PUNCH;
		return 1;
	}
	if (!res && io->type == NVIO_BDEV_IO_WRITE_ZEROES && io->fua && p->phase != PHASE_SYNC) {
		p->phase = PHASE_SYNC;
		return 1;
	}
	return res < 0 ? file_status(res) : 0;
}

static void step_done(struct uring_channel *c, struct nvio_bdev_io *io, int res)
{
	struct file_progress *p = file_progress(io);
	int rc;

	if (is_rw(io)) {
		rc = file_step_done(c->f, io, p, res);
		bounce_put(c, p);
	} else {
		rc = other_done(io, res);
	}
	if (rc <= 0)
		finish(c, io, rc);
	else if (!op_queue_empty(&c->starved) || !prepare(c, io))
		op_queue_push(&c->starved, bdev_io_op(io));
}

static void feed_starved(struct uring_channel *c)
{
	while (!op_queue_empty(&c->starved) && prepare(c, bdev_op_io(c->starved.head)))
		op_queue_pop(&c->starved);
}

static unsigned reap(struct uring_channel *c)
{
	struct io_uring_cqe *cqes[REAP_BATCH];
	struct nvio_bdev_io *ios[REAP_BATCH];
	int res[REAP_BATCH];
	unsigned n = io_uring_peek_batch_cqe(&c->ring, cqes, REAP_BATCH);

	for (unsigned i = 0; i < n; i++) {
		ios[i] = io_uring_cqe_get_data(cqes[i]);
		res[i] = cqes[i]->res;
	}
	io_uring_cq_advance(&c->ring, n);
	for (unsigned i = 0; i < n; i++)
		step_done(c, ios[i], res[i]);
	feed_starved(c);
	return n;
}

static int ring_event(void *arg)
{
	struct uring_channel *c = arg;

	wake(c);
	return 1;
}

/* Lets the thread sleep; if that cannot be, it goes on spinning. */
static void sleep_on_ring(struct uring_channel *c)
{
	if (nvio_thread_add_fd(c->thread, c->ring.ring_fd, ring_event, c)) {
		fail_clear();
		c->idle = 0;
		return;
	}
	c->asleep = true;
	nvio_poller_pause(c->poller);
}

static int uring_poll(void *arg)
{
	struct uring_channel *c = arg;
	unsigned n;

	n = reap(c);
	if (n && c->was_full) {
		c->was_full = false;
		nvio_bdev_channel_ready(c);
	}
	/* It fails when memory is short, or the kernel wants its completions taken first; the next poll tries
	 * again, so there must be one: of entries that the kernel has not taken, the ring tells nothing. */
	if (io_uring_sq_ready(&c->ring))
		n += io_uring_submit(&c->ring) > 0;
	if (!c->in_flight)
		nvio_poller_pause(c->poller);
	else if (n)
		c->idle = 0;
	else if (++c->idle >= IDLE_BEFORE_SLEEP && !io_uring_sq_ready(&c->ring))
		sleep_on_ring(c);
	return (int)n;
}

static void *map_anonymous(size_t bytes)
{
	void *p =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static int bounces_init(struct uring_channel *c)
{
	if (!c->f->align)
		return 0;
	c->bounces = map_anonymous(BOUNCES * FILE_BOUNCE_BYTES);
	if (!c->bounces)
		return -ENOMEM;
	for (unsigned i = 0; i < BOUNCES; i++)
		c->free_bounces[c->free_bounce_count++] = c->bounces + i * FILE_BOUNCE_BYTES;
	return 0;
}

static int uring_channel_create(struct file_bdev *f, void *channel, struct nvio_thread *thread)
{
	struct uring_channel *c = channel;
	int rc;

	c->f = f;
	c->thread = thread;
	op_queue_init(&c->starved);
	for (uint8_t i = 0; i < FILE_CHANNEL_DEPTH; i++)
		c->free_slots[c->free_slot_count++] = i;
	c->vecs = alloc_array(FILE_CHANNEL_DEPTH, sizeof(*c->vecs));
	if (!c->vecs)
		return fail(-ENOMEM, "bdev: file: %s: no memory for a channel", f->path);
	rc = bounces_init(c);
	if (rc) {
		fail(rc, "bdev: file: %s: no memory for bounce buffers", f->path);
		goto out_vecs;
	}
	rc = ring_init(f, &c->ring);
	if (rc)
		goto out_bounces;
	rc = nvio_poller_register(thread, "file io_uring", uring_poll, c, 0, &c->poller);
	if (rc)
		goto out_ring;
	nvio_poller_pause(c->poller);
	return 0;
out_ring:
	io_uring_queue_exit(&c->ring);
out_bounces:
	if (c->bounces)
		munmap(c->bounces, BOUNCES * FILE_BOUNCE_BYTES);
out_vecs:
	alloc_free(c->vecs);
	return rc;
}

/* What the kernel has must come back before the buffers, which are the callers', may go. */
static void uring_channel_destroy(struct file_bdev *f, void *channel)
{
	struct uring_channel *c = channel;

	while (c->in_flight) {
		io_uring_submit_and_wait(&c->ring, 1);
		reap(c);
	}
	if (c->asleep)
		nvio_thread_remove_fd(c->thread, c->ring.ring_fd);
	nvio_poller_unregister(c->poller);
	io_uring_queue_exit(&c->ring);
	if (c->bounces)
		munmap(c->bounces, BOUNCES * FILE_BOUNCE_BYTES);
	alloc_free(c->vecs);
}

const struct file_engine file_engine_uring = {
	.name = "io_uring",
	.channel_size = sizeof(struct uring_channel),
	.init = uring_init,
	.fini = uring_fini,
	.channel_create = uring_channel_create,
	.channel_destroy = uring_channel_destroy,
	.submit = uring_submit,
};
