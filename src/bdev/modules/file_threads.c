/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The thread engine: a pool of OS threads per device that do blocking system calls, for where io_uring is
 * forbidden or not built in. What they have finished waits in its channel for the channel's poller. One mutex
 * guards it all: the pool is there to work everywhere, not to be fast.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/signals.h"
#include "bdev/modules/file.h"

#define IDLE_BEFORE_SLEEP 4096u /* polls in a row that found nothing: some 100 us */

struct pool {
	struct file_bdev *f;  /* immutable */
	pthread_mutex_t lock; /* the queues, `stop`; in each channel: done, asleep */
	pthread_cond_t work;
	struct op_queue jobs;
	bool stop;
	uint32_t count; /* immutable once started */
	struct worker *workers;
};

struct worker {
	struct pool *pool;
	pthread_t os_thread;
	void *bounce; /* NULL where O_DIRECT is off */
};

struct pool_channel {
	struct pool *pool;	    /* immutable */
	struct nvio_thread *thread; /* immutable */
	int event_fd;		    /* immutable; written when a job ends and the thread may sleep */
	struct op_queue done;	    /* pool lock */
	bool asleep;		    /* pool lock; the poller rests */
	_Atomic bool has_done;	    /* a hint, so that an idle poll takes no lock */
	struct nvio_poller *poller; /* from here on: own thread */
	uint32_t in_flight;
	uint32_t idle;
	bool was_full;
};

/* One system call's worth; bytes or -errno. */
static int64_t read_or_write(const struct file_bdev *f, struct nvio_bdev_io *io, void *bounce)
{
	struct file_progress *p = file_progress(io);
	bool bounced = f->align && file_needs_bounce(f, io, p);
	struct iovec vec[FILE_STEP_IOVCNT];
	int count = (int)file_step(f, io, p, vec, bounced ? bounce : NULL);
	off_t at = (off_t)(io->offset + p->done);
	ssize_t n;

	if (io->type == NVIO_BDEV_IO_READ)
		n = preadv(f->fd, vec, count, at);
	else
		n = pwritev2(f->fd, vec, count, at, io->fua ? RWF_DSYNC : 0);
	return n < 0 ? -errno : n;
}

static int punch_or_zero(const struct file_bdev *f, int mode, const struct nvio_bdev_io *io)
{
	int rc;

	do {
		rc = fallocate(f->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)io->offset, (off_t)io->len) ? -errno
												     : 0;
	} while (rc == -EINTR);
	return rc;
}

static int do_write_zeroes(const struct file_bdev *f, const struct nvio_bdev_io *io)
{
	int rc = punch_or_zero(f, FALLOC_FL_ZERO_RANGE, io);

	if (rc == -EOPNOTSUPP)
		rc = punch_or_zero(f, FALLOC_FL_PUNCH_HOLE, io);
	if (!rc && io->fua && fdatasync(f->fd))
		rc = -errno;
	return rc;
}

/* The whole I/O, blocking. Its status. */
static int do_job(const struct file_bdev *f, struct nvio_bdev_io *io, void *bounce)
{
	int rc;

	switch (io->type) {
	case NVIO_BDEV_IO_READ:
	case NVIO_BDEV_IO_WRITE:
		do {
			int64_t res = read_or_write(f, io, bounce);

			rc = file_step_done(f, io, file_progress(io), res);
		} while (rc > 0);
		return rc;
	case NVIO_BDEV_IO_FLUSH: rc = fdatasync(f->fd) ? -errno : 0; break;
	case NVIO_BDEV_IO_UNMAP: rc = punch_or_zero(f, FALLOC_FL_PUNCH_HOLE, io); break;
	default: rc = do_write_zeroes(f, io); break;
	}
	return rc ? file_status(rc) : 0;
}

/* With the pool lock held, which is also what keeps the channel from going away under the write. */
static void job_done(struct nvio_bdev_io *io)
{
	struct pool_channel *c = io->context;
	uint64_t one = 1;

	op_queue_push(&c->done, bdev_io_op(io));
	atomic_store_explicit(&c->has_done, true, memory_order_relaxed);
	/* It cannot fail: the counter is far from its end. */
	if (c->asleep)
		(void)!write(c->event_fd, &one, sizeof(one));
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct pool *pool = w->pool;
	struct nvio_op *op;

	/* Left on the cores where it is if that fails. */
	if (env_bind_thread(pool->f->env, -1))
		fail_clear();
	pthread_mutex_lock(&pool->lock);
	for (;;) {
		struct nvio_bdev_io *io;

		while (!pool->stop && op_queue_empty(&pool->jobs))
			pthread_cond_wait(&pool->work, &pool->lock);
		op = op_queue_pop(&pool->jobs);
		if (!op)
			break;
		pthread_mutex_unlock(&pool->lock);
		io = bdev_op_io(op);
		file_progress(io)->status = do_job(pool->f, io, w->bounce);
		pthread_mutex_lock(&pool->lock);
		job_done(io);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

static int start_worker(struct pool *pool, struct worker *w)
{
	sigset_t before;
	int rc;

	w->pool = pool;
	if (pool->f->align) {
		w->bounce = alloc_aligned(4096, FILE_BOUNCE_BYTES);
		if (!w->bounce)
			return fail(-ENOMEM, "bdev: file: %s: no memory for bounce buffers", pool->f->path);
	}
	signals_block(&before);
	rc = pthread_create(&w->os_thread, NULL, work, w);
	signals_restore(&before);
	if (!rc)
		return 0;
	alloc_free(w->bounce);
	return fail(
		-rc, "bdev: file: %s: cannot start a thread: %s; ask for fewer", pool->f->path, strerror(rc));
}

static void threads_fini(struct file_bdev *f)
{
	struct pool *pool = f->engine_data;

	pthread_mutex_lock(&pool->lock);
	pool->stop = true;
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	for (uint32_t i = 0; i < pool->count; i++) {
		pthread_join(pool->workers[i].os_thread, NULL);
		alloc_free(pool->workers[i].bounce);
	}
	pthread_cond_destroy(&pool->work);
	pthread_mutex_destroy(&pool->lock);
	alloc_free(pool->workers);
	alloc_free(pool);
}

static int threads_init(struct file_bdev *f)
{
	struct pool *pool = alloc_zeroed(sizeof(*pool));
	struct worker *workers = alloc_array(f->threads, sizeof(*workers));
	int rc = 0;

	if (!pool || !workers) {
		alloc_free(workers);
		alloc_free(pool);
		return fail(-ENOMEM, "bdev: file: %s: no memory for %u threads", f->path, f->threads);
	}
	pool->f = f;
	pool->workers = workers;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->work, NULL);
	op_queue_init(&pool->jobs);
	f->engine_data = pool;
	while (!rc && pool->count < f->threads) {
		rc = start_worker(pool, &pool->workers[pool->count]);
		if (!rc)
			pool->count++;
	}
	if (rc)
		threads_fini(f);
	return rc;
}

static unsigned end_done(struct pool_channel *c)
{
	struct op_queue done;
	struct nvio_op *op;
	unsigned n = 0;

	op_queue_init(&done);
	pthread_mutex_lock(&c->pool->lock);
	op_queue_splice(&done, &c->done);
	atomic_store_explicit(&c->has_done, false, memory_order_relaxed);
	pthread_mutex_unlock(&c->pool->lock);
	while ((op = op_queue_pop(&done))) {
		c->in_flight--;
		bdev_io_done(bdev_op_io(op), file_progress(bdev_op_io(op))->status);
		n++;
	}
	return n;
}

static void wake(struct pool_channel *c)
{
	uint64_t count;
	bool slept;

	pthread_mutex_lock(&c->pool->lock);
	slept = c->asleep;
	c->asleep = false;
	pthread_mutex_unlock(&c->pool->lock);
	if (slept) {
		(void)!read(c->event_fd, &count, sizeof(count));
		nvio_thread_remove_fd(c->thread, c->event_fd);
	}
	c->idle = 0;
	nvio_poller_resume(c->poller);
}

static int event(void *arg)
{
	wake(arg);
	return 1;
}

/* Lets the thread sleep until a job ends; if that cannot be, it goes on spinning. */
static void sleep_on_event(struct pool_channel *c)
{
	bool asleep;

	c->idle = 0;
	if (nvio_thread_add_fd(c->thread, c->event_fd, event, c)) {
		fail_clear();
		return;
	}
	pthread_mutex_lock(&c->pool->lock);
	asleep = op_queue_empty(&c->done);
	c->asleep = asleep;
	pthread_mutex_unlock(&c->pool->lock);
	if (asleep)
		nvio_poller_pause(c->poller);
	else
		nvio_thread_remove_fd(c->thread, c->event_fd);
}

static int channel_poll(void *arg)
{
	struct pool_channel *c = arg;
	unsigned n = 0;

	if (atomic_load_explicit(&c->has_done, memory_order_relaxed))
		n = end_done(c);
	if (n && c->was_full) {
		c->was_full = false;
		nvio_bdev_channel_ready(c);
	}
	if (!c->in_flight)
		nvio_poller_pause(c->poller);
	else if (n)
		c->idle = 0;
	else if (++c->idle >= IDLE_BEFORE_SLEEP)
		sleep_on_event(c);
	return (int)n;
}

static int threads_submit(struct file_bdev *f, void *channel, struct nvio_bdev_io *io)
{
	struct pool_channel *c = channel;
	struct pool *pool = c->pool;
	bool asleep;

	if (c->in_flight == FILE_CHANNEL_DEPTH) {
		c->was_full = true;
		return -EAGAIN;
	}
	io->context = c;
	pthread_mutex_lock(&pool->lock);
	asleep = c->asleep;
	op_queue_push(&pool->jobs, bdev_io_op(io));
	pthread_cond_signal(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	if (!c->in_flight++ || asleep)
		wake(c);
	return 0;
}

static int threads_channel_create(struct file_bdev *f, void *channel, struct nvio_thread *thread)
{
	struct pool_channel *c = channel;
	int rc;

	c->pool = f->engine_data;
	c->thread = thread;
	op_queue_init(&c->done);
	c->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->event_fd < 0) {
		rc = -errno;
		return fail(rc, "bdev: file: %s: eventfd: %s; raise the limit of open files (ulimit -n)",
			f->path, strerror(-rc));
	}
	rc = nvio_poller_register(thread, "file threads", channel_poll, c, 0, &c->poller);
	if (rc) {
		close(c->event_fd);
		return rc;
	}
	nvio_poller_pause(c->poller);
	return 0;
}

/* Waits for the jobs that are still with the pool. */
static void threads_channel_destroy(struct file_bdev *f, void *channel)
{
	struct pool_channel *c = channel;

	while (c->in_flight)
		if (!end_done(c))
			sleep_ns(50 * NS_PER_US);
	wake(c);
	nvio_poller_unregister(c->poller);
	close(c->event_fd);
}

const struct file_engine file_engine_threads = {
	.name = "threads",
	.channel_size = sizeof(struct pool_channel),
	.init = threads_init,
	.fini = threads_fini,
	.channel_create = threads_channel_create,
	.channel_destroy = threads_channel_destroy,
	.submit = threads_submit,
};
