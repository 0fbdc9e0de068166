/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device's thread: polls the queues that are not manual while contexts are under way there, and tells the program. Between two polls it
 * pauses for the device's period, which by default follows what requests of those sizes have taken of late; for queues that interrupt it
 * sleeps until they do. It is started with the first such context and sleeps while there are none.
 */
#include "priv.h"

#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define SLEEP_FDS  64
#define SLEEP_MS   5       /* others may reap these queues, too */
#define PART       4       /* of the expected time is the adapted pause */
#define PAUSE_MAX_NS 500000

static u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * 1000000000 + (u64)t.tv_nsec;
}

static unsigned int class_of(size_t len)
{
	unsigned int class = 0;

	while (class < SIZE_CLASSES - 1 && len > (size_t)PAGE_BYTES << class)
		class++;
	return class;
}

static bool adapts(struct reaper *r)
{
	return __atomic_load_n(&r->period_us, __ATOMIC_RELAXED) == NVMED_POLLING_ADAPT;
}

void reaper_began(struct device *d, struct iod *iod)
{
	iod->began_ns = 0;
	if (!adapts(&d->reaper))
		return;
	iod->began_ns = now_ns();
	__atomic_fetch_add(&d->reaper.in_class[class_of(iod->ctx->len)], 1, __ATOMIC_RELAXED);
}

void reaper_ended(struct device *d, struct iod *iod)
{
	unsigned int class = class_of(iod->ctx->len);
	u32 *mean = &d->reaper.class_ns[class];
	u64 took;

	if (!iod->began_ns)
		return;
	took = now_ns() - iod->began_ns;
	__atomic_fetch_sub(&d->reaper.in_class[class], 1, __ATOMIC_RELAXED);
	__atomic_store_n(mean, (u32)(((u64)__atomic_load_n(mean, __ATOMIC_RELAXED) * 7 + (took < UINT_MAX ? took : UINT_MAX)) / 8),
		__ATOMIC_RELAXED);
}

bool reaper_is_me(struct device *d)
{
	return d->reaper.runs && pthread_equal(d->reaper.thread, pthread_self());
}

void reaper_fire(struct device *d)
{
	struct reaper *r = &d->reaper;

	for (;;) {
		NVMED_AIO_CTX *ctx;

		lock(&r->lock);
		ctx = ctx_pop(&r->ready);
		unlock(&r->lock);
		if (!ctx)
			return;
		__atomic_fetch_sub(&r->pending, 1, __ATOMIC_RELAXED);
		aio_fire(ctx);
	}
}

/*
 * Polls once. Fills `fds` with what to sleep on and returns how many; -1: there is one that has to be polled, or too many. 0: with `pending`
 * not 0, its contexts are ready.
 */
static int reap(struct device *d, struct pollfd *fds)
{
	int n = 0;

	pthread_mutex_lock(&d->mutex);
	for (struct queue *q = d->queues; q; q = q->next) {
		int ms;

		if (!queue_auto(q))
			continue;
		lock(&q->lock);
		if (q->aio)
			nvio_qpair_poll(q->qp, 0);
		if (q->aio && n >= 0) {
			if (!(q->pub.flags & QUEUE_INTERRUPT) || n == SLEEP_FDS || nvio_qpair_arm(q->qp, &ms))
				n = -1;
			else
				fds[n++] = (struct pollfd){ .fd = nvio_qpair_fd(q->qp), .events = POLLIN };
		}
		unlock(&q->lock);
	}
	pthread_mutex_unlock(&d->mutex);
	return n;
}

static void pause_between_polls(struct reaper *r)
{
	u32 ns = 0;
	int period = __atomic_load_n(&r->period_us, __ATOMIC_RELAXED);

	if (period > 0)
		ns = (u32)period * 1000;
	/* The smallest requests under way are those that are waited for. */
	for (int i = 0; period == NVMED_POLLING_ADAPT && !ns && i < SIZE_CLASSES; i++)
		if (__atomic_load_n(&r->in_class[i], __ATOMIC_RELAXED))
			ns = __atomic_load_n(&r->class_ns[i], __ATOMIC_RELAXED) / PART;
	if (period == NVMED_POLLING_ADAPT && ns > PAUSE_MAX_NS)
		ns = PAUSE_MAX_NS;
	if (!ns) {
		sched_yield();
		return;
	}
	__atomic_store_n(&r->sleeps, REAPER_PAUSES, __ATOMIC_SEQ_CST);
	nanosleep(&(struct timespec){ .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 }, NULL);
	__atomic_store_n(&r->sleeps, REAPER_AWAKE, __ATOMIC_SEQ_CST);
}

/* Until a wake-up, or the drive's; `n` of `fds` are the drive's. Not at all when a context more has been begun since `seq`. */
static void sleep_on(struct reaper *r, struct pollfd *fds, int n, unsigned int seq)
{
	uint64_t count;

	fds[n] = (struct pollfd){ .fd = r->wake_fd, .events = POLLIN };
	__atomic_store_n(&r->sleeps, REAPER_SLEEPS, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&r->seq, __ATOMIC_SEQ_CST) == seq && !__atomic_load_n(&r->stop, __ATOMIC_SEQ_CST))
		poll(fds, (nfds_t)n + 1, n ? SLEEP_MS : -1);
	__atomic_store_n(&r->sleeps, REAPER_AWAKE, __ATOMIC_SEQ_CST);
	if (fds[n].revents && read(r->wake_fd, &count, sizeof(count)) < 0)
		return;
}

static void *reaper_main(void *arg)
{
	struct pollfd fds[SLEEP_FDS + 1];
	struct device *d = arg;
	struct reaper *r = &d->reaper;

	while (!__atomic_load_n(&r->stop, __ATOMIC_SEQ_CST)) {
		unsigned int seq = __atomic_load_n(&r->seq, __ATOMIC_SEQ_CST);
		int n = reap(d, fds);

		reaper_fire(d);
		if (n < 0)
			pause_between_polls(r);
		else if (n || !__atomic_load_n(&r->pending, __ATOMIC_SEQ_CST))
			sleep_on(r, fds, n, seq);
	}
	return NULL;
}

int reaper_start(struct device *d)
{
	struct reaper *r = &d->reaper;
	int rc = 0;

	if (likely(__atomic_load_n(&r->runs, __ATOMIC_ACQUIRE)))
		return 0;
	pthread_mutex_lock(&d->mutex);
	if (!r->runs) {
		r->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		rc = r->wake_fd < 0 ? errno : pthread_create(&r->thread, NULL, reaper_main, d);
		if (!rc)
			__atomic_store_n(&r->runs, true, __ATOMIC_RELEASE);
		else if (r->wake_fd >= 0)
			close(r->wake_fd);
	}
	pthread_mutex_unlock(&d->mutex);
	return rc ? failed(rc, "nvmed: aio: the device's thread: %s", strerror(rc)) : 0;
}

static void reaper_ring(struct reaper *r)
{
	static const uint64_t one = 1;

	if (write(r->wake_fd, &one, sizeof(one)) < 0)
		return; /* full: it wakes all the same */
}

/* Said before the context is begun, and taken back when it cannot be. */
void reaper_expect(struct device *d, int more)
{
	__atomic_fetch_add(&d->reaper.pending, (unsigned int)more, __ATOMIC_SEQ_CST);
}

/* One has been begun. */
void reaper_wake(struct device *d)
{
	__atomic_fetch_add(&d->reaper.seq, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&d->reaper.sleeps, __ATOMIC_SEQ_CST) == REAPER_SLEEPS)
		reaper_ring(&d->reaper);
}

void reaper_stop(struct device *d)
{
	struct reaper *r = &d->reaper;

	if (!r->runs)
		return;
	__atomic_store_n(&r->stop, true, __ATOMIC_SEQ_CST);
	reaper_ring(r);
	pthread_join(r->thread, NULL);
	close(r->wake_fd);
}
