/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sleeping, both ways: a target that sleeps until a doorbell rings, and hosts that sleep until a queue has completions.
 *
 * Whoever is awake must pay next to nothing for the other's sleep. So the one that publishes (a doorbell, a completion) does a
 * plain store and then a plain load of "does it sleep?", without a fence between them; the one that falls asleep says so, makes
 * every other thread of the process pass a full barrier (membarrier), and only then looks for the last time. Either the last look
 * sees what was published, or the publisher's load sees the sleeper. Where the kernel refuses membarrier the sleeper cannot know,
 * and is told: it may only nap.
 */
#include <errno.h>
#include <linux/membarrier.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fail.h"
#include "loop/port.h"

/* ---- The heavy half of the barrier ---- */

static bool membarrier(int cmd)
{
	return !syscall(SYS_membarrier, cmd, 0, 0);
}

/* The first call of a process finds that it has not registered yet. What has been refused once is not asked for again. */
static bool barrier_all_threads(void)
{
	static bool refused; /* atomic */

	if (likely(!__atomic_load_n(&refused, __ATOMIC_RELAXED))) {
		if (likely(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED)))
			return true;
		if (membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) &&
			membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED))
			return true;
		__atomic_store_n(&refused, true, __ATOMIC_RELAXED);
	}
	return false;
}

static void event_write(int fd)
{
	static const uint64_t one = 1;

	/* A full counter says all there is to say. */
	if (fd >= 0)
		(void)!write(fd, &one, sizeof(one));
}

/* ---- The target sleeps ---- */

void loop_target_set_eventfd(struct loop_port *port, int fd)
{
	pthread_mutex_lock(&port->bell_lock);
	port->target_fd = fd;
	pthread_mutex_unlock(&port->bell_lock);
}

bool loop_target_sleeps(struct loop_port *port)
{
	__atomic_store_n(&port->target_asleep, 1, __ATOMIC_RELAXED);
	/* Forbids that the target's last look at doorbells and writes comes before a host can see this; for the host see
	 * loop_target_check(). */
	return barrier_all_threads();
}

void loop_target_awake(struct loop_port *port)
{
	__atomic_store_n(&port->target_asleep, 0, __ATOMIC_RELAXED);
}

const uint32_t *loop_target_asleep(struct loop_port *port)
{
	return &port->target_asleep;
}

void loop_target_wake(struct loop_port *port)
{
	/* Only the first writes; what it takes the target to wake up, others need not pay for. */
	if (!__atomic_exchange_n(&port->target_asleep, 0, __ATOMIC_RELAXED))
		return;
	pthread_mutex_lock(&port->bell_lock);
	event_write(port->target_fd);
	pthread_mutex_unlock(&port->bell_lock);
}

/* ---- Hosts sleep ---- */

uint32_t *loop_bells_armed(struct loop_port *port)
{
	return &port->bells_armed;
}

uint32_t loop_bell_armed(struct loop_port *port, uint32_t qid)
{
	return __atomic_load_n(&port->bells[qid].armed, __ATOMIC_RELAXED);
}

static void bell_write(struct loop_port *port, struct loop_bell *bell)
{
	pthread_mutex_lock(&port->bell_lock);
	event_write(bell->event_fd);
	pthread_mutex_unlock(&port->bell_lock);
}

void loop_bell_ring(struct loop_port *port, uint32_t qid)
{
	struct loop_bell *bell = &port->bells[qid];

	if (__atomic_load_n(&bell->armed, __ATOMIC_RELAXED) && __atomic_exchange_n(&bell->armed, 0, __ATOMIC_RELAXED))
		bell_write(port, bell);
}

void loop_bells_ring(struct loop_port *port)
{
	/*
	 * What the host is to find has been published before; the loads of `armed` must not come first. In the processor the membarrier of
	 * loop_bell_arm() forbids it, so only the compiler is to be told.
	 */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	for (uint32_t qid = 0; qid < LOOP_MAX_VECTORS; qid++)
		loop_bell_ring(port, qid);
}

static int bell_make(struct loop_port *port, struct loop_bell *bell)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), set;

	if (fd < 0)
		return -errno;
	bell->event_fd = fd;
	bell->fd = fd;
	bell->rest_fd = -1;
	if (!port->hot.kick)
		return 0;
	/* With an inline target the host also sleeps on what the target waits for. */
	set = epoll_create1(EPOLL_CLOEXEC);
	if (set < 0 || epoll_ctl(set, EPOLL_CTL_ADD, fd, &ev)) {
		int rc = -errno;

		if (set >= 0)
			close(set);
		close(fd);
		bell->event_fd = bell->fd = -1;
		return rc;
	}
	bell->fd = set;
	return 0;
}

int loop_bell_open(struct loop_port *port, uint32_t qid)
{
	struct loop_bell *bell;
	int rc = 0;

	if (qid >= LOOP_MAX_VECTORS)
		return fail(-EOPNOTSUPP, "loop: %s: queue %u: only the first %d can be slept on", port->name, qid, LOOP_MAX_VECTORS);
	bell = &port->bells[qid];
	pthread_mutex_lock(&port->bell_lock);
	if (bell->fd < 0)
		rc = bell_make(port, bell);
	if (!rc)
		rc = bell->fd;
	pthread_mutex_unlock(&port->bell_lock);
	return rc < 0 ? fail(rc, "loop: %s: queue %u: no descriptor to sleep on: %s; raise the limit of open files (ulimit -n)",
				port->name, qid, strerror(-rc)) :
			rc;
}

void loop_bell_close(struct loop_port *port, uint32_t qid)
{
	struct loop_bell *bell = &port->bells[qid];

	pthread_mutex_lock(&port->bell_lock);
	__atomic_store_n(&bell->armed, 0, __ATOMIC_RELAXED);
	if (bell->fd >= 0 && bell->fd != bell->event_fd)
		close(bell->fd);
	if (bell->event_fd >= 0)
		close(bell->event_fd);
	bell->fd = bell->event_fd = -1;
	pthread_mutex_unlock(&port->bell_lock);
}

void loop_bell_strike(struct loop_port *port, uint32_t qid)
{
	bell_write(port, &port->bells[qid]);
}

void loop_bell_silence(struct loop_port *port, uint32_t qid)
{
	uint64_t count;

	(void)!read(port->bells[qid].event_fd, &count, sizeof(count));
}

bool loop_bell_arm(struct loop_port *port, uint32_t qid, uint32_t head)
{
	__atomic_store_n(&port->bells[qid].armed, head + 1, __ATOMIC_RELAXED);
	/* Release: a target that sees this looks at the bells, and must find the one above. */
	__atomic_store_n(&port->bells_armed, 1, __ATOMIC_RELEASE);
	/* Forbids that the host's last look at its queue comes before a target can see this; for the target see memq_irq_flush(). */
	return barrier_all_threads();
}

/* What an inline target waits for joins what the bell's descriptor tells of. */
static int bell_chain(struct loop_bell *bell, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN };

	if (bell->rest_fd == fd)
		return 0;
	if (bell->rest_fd >= 0)
		(void)epoll_ctl(bell->fd, EPOLL_CTL_DEL, bell->rest_fd, NULL);
	bell->rest_fd = -1;
	/* Another drive's descriptor may have the number of one that is closed, and so is in no set any more. */
	if (fd >= 0 && epoll_ctl(bell->fd, EPOLL_CTL_ADD, fd, &ev) && errno != EEXIST)
		return -errno;
	bell->rest_fd = fd;
	return 0;
}

int loop_bell_rest(struct loop_port *port, uint32_t qid, int *timeout_ms)
{
	int fd = -1, rc;

	*timeout_ms = -1;
	if (!port->hot.kick)
		return 0;
	rc = loop_rest(port, &fd, timeout_ms);
	if (rc)
		return rc;
	rc = bell_chain(&port->bells[qid], fd);
	return rc ? fail(rc, "loop: %s: queue %u: cannot watch what the drive waits for: %s", port->name, qid, strerror(-rc)) : 0;
}
