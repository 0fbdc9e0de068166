/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nvio in a plain epoll loop: the loop is the program's, and sleeps when there is nothing to do. A timer
 * of the program's own ticks in the same loop.
 *
 *     epoll_loop image.bin
 */
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "job.h"

#define TICKS 3 /* at least, and the job done */

static void watch(int ep, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = fd };

	epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
}

int main(int argc, char **argv)
{
	struct itimerspec every_ms = { .it_interval.tv_nsec = 1000000, .it_value.tv_nsec = 1000000 };
	int ep = epoll_create1(0), timer = timerfd_create(CLOCK_MONOTONIC, 0);
	struct epoll_event evs[16];
	unsigned ticks = 0;
	uint64_t expired;
	struct job job;

	if (argc != 2)
		return fprintf(stderr, "usage: %s IMAGE\n", argv[0]), 2;
	if (job_start(&job, argv[1]))
		return 1;
	watch(ep, nvio_thread_fd(job.thread));
	watch(ep, timer);
	timerfd_settime(timer, 0, &every_ms, NULL);
	while (!job.failed && (!job.done || ticks < TICKS)) {
		int n = epoll_wait(ep, evs, 16, nvio_thread_timeout_ms(job.thread));

		nvio_thread_poll(job.thread, 0);
		for (int i = 0; i < n; i++)
			if (evs[i].data.fd == timer &&
				read(timer, &expired, sizeof(expired)) == sizeof(expired))
				ticks++;
	}
	close(timer);
	close(ep);
	return job_end(&job, argv[1], ticks);
}
