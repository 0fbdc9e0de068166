/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where the I/O of `nvio perf` goes: a namespace through the driver's queue pair, or a block device, made from text, through an
 * nvio_thread's channel. The rest of perf knows neither.
 */
#include <inttypes.h>
#include <poll.h>
#include <string.h>

#include <nvio/error.h>

#include "perf.h"
#include "stream.h"

#define SPIN_NS 20000 /* adaptive: about what sleeping and waking up cost */

/* Whether the text begins with the name of a kind of block device. */
static bool is_bdev(const char *text)
{
	size_t len = strcspn(text, ":?");
	const char *kind;

	for (unsigned i = 0; (kind = nvio_bdev_str_kind(i)); i++)
		if (strlen(kind) == len && !memcmp(kind, text, len))
			return true;
	return false;
}

static int open_ctrlr(struct perf_target *t, const char *text, const struct perf *p)
{
	struct nvio_ctrlr_opts opts;
	struct nvio_trid trid;
	int status = cli_dev_parse(text, &trid);

	if (status)
		return status;
	cli_dev_opts_init(&opts);
	opts.io_queue_requests = p->depth;
	opts.io_queue_size = p->depth + 1;
	opts.bounce = p->buffers == PERF_BUFFERS_FOREIGN;
	status = cli_dev_open_ns(&t->dev, &trid, &opts);
	if (status)
		return status;
	t->env = t->dev.env;
	t->block_size = nvio_ns_block_size(t->dev.ns);
	t->bytes = nvio_ns_size_bytes(t->dev.ns);
	return CLI_OK;
}

static void close_bdev(struct perf_target *t)
{
	if (t->thread)
		nvio_thread_detach(t->thread);
	nvio_env_close(t->env);
}

static int open_bdev(struct perf_target *t, const char *text)
{
	struct nvio_bdev_desc *desc;
	struct nvio_thread *thread;

	t->is_bdev = true;
	if (cli.nsid != CLI_UNSET)
		return cli_usage("-n is for controllers; %s is a block device", text);
	if (nvio_bdev_check_str(text))
		return cli_usage("%s", nvio_errmsg());
	if (cli_env_open(&t->env))
		return CLI_FAILED;
	if (nvio_thread_create(t->env, NULL, &thread) || nvio_thread_attach(thread))
		goto failed;
	t->thread = thread;
	if (nvio_bdev_create_str(t->env, text, t->name) ||
		nvio_bdev_open(t->env, t->name, t->writes ? NVIO_BDEV_WRITE : NVIO_BDEV_READ, &desc))
		goto failed;
	t->block_size = nvio_bdev_block_size(nvio_bdev_desc_bdev(desc));
	t->bytes = nvio_bdev_size_bytes(nvio_bdev_desc_bdev(desc));
	nvio_bdev_close(desc);
	return CLI_OK;
failed:
	cli_fail("%s", nvio_errmsg());
	close_bdev(t);
	return CLI_FAILED;
}

int perf_target_open(struct perf_target *t, const char *text, const struct perf *p, bool writes)
{
	memset(t, 0, sizeof(*t));
	t->writes = writes;
	if (is_bdev(text))
		return open_bdev(t, text);
	if (p->threads > 1)
		return cli_usage("--threads is for block devices, as in: nvio perf malloc:1G --threads 2");
	return open_ctrlr(t, text, p);
}

void perf_target_close(struct perf_target *t)
{
	if (t->is_bdev)
		close_bdev(t);
	else
		cli_dev_close(&t->dev);
}

int perf_io_open(struct perf_io *io, struct perf_target *t, bool own_thread)
{
	memset(io, 0, sizeof(*io));
	io->target = t;
	if (!t->is_bdev)
		return CLI_OK;
	io->thread = t->thread;
	if (own_thread) {
		if (nvio_thread_create(t->env, NULL, &io->thread))
			return cli_fail("%s", nvio_errmsg());
		io->own_thread = true;
		nvio_thread_attach(io->thread);
	}
	if (nvio_bdev_open(t->env, t->name, t->writes ? NVIO_BDEV_WRITE : NVIO_BDEV_READ, &io->desc) ||
		nvio_bdev_channel(io->desc, &io->ch)) {
		cli_fail("%s", nvio_errmsg());
		perf_io_close(io);
		return CLI_FAILED;
	}
	return CLI_OK;
}

void perf_io_close(struct perf_io *io)
{
	if (io->ch)
		nvio_channel_put(io->ch);
	nvio_bdev_close(io->desc);
	if (!io->own_thread)
		return;
	nvio_thread_detach(io->thread);
	if (nvio_thread_destroy(io->thread))
		cli_note("%s", nvio_errmsg());
}

int perf_io_submit(struct perf_io *io, bool is_write, void *buf, uint64_t offset, uint32_t bytes, struct nvio_op *op)
{
	struct perf_target *t = io->target;
	uint64_t block = offset / t->block_size;
	uint32_t blocks = bytes / t->block_size;

	if (t->is_bdev)
		return is_write ? nvio_bdev_write(io->desc, io->ch, buf, offset, bytes, op)
				: nvio_bdev_read(io->desc, io->ch, buf, offset, bytes, op);
	return is_write ? nvio_ns_write(t->dev.ns, t->dev.qp, buf, block, blocks, op)
			: nvio_ns_read(t->dev.ns, t->dev.qp, buf, block, blocks, op);
}

/* Where and how long to sleep; 0: not now. */
static int arm(struct perf_io *io, struct pollfd *fd, int *timeout_ms)
{
	int rc;

	if (io->thread) {
		fd->fd = nvio_thread_fd(io->thread);
		*timeout_ms = nvio_thread_timeout_ms(io->thread);
		return fd->fd >= 0 && *timeout_ms != 0;
	}
	fd->fd = nvio_qpair_fd(io->target->dev.qp);
	rc = fd->fd < 0 ? fd->fd : nvio_qpair_arm(io->target->dev.qp, timeout_ms);
	return rc == 0 && *timeout_ms != 0;
}

static void wait_idle(struct perf_io *io)
{
	struct pollfd fd = { .events = POLLIN };
	uint64_t now = progress_now_ns();
	int timeout_ms;

	if (!io->idle_since_ns)
		io->idle_since_ns = now;
	if (io->wait == PERF_ADAPTIVE && now - io->idle_since_ns < SPIN_NS)
		return;
	if (!arm(io, &fd, &timeout_ms))
		return;
	io->sleeps++;
	poll(&fd, 1, timeout_ms);
}

/* When the queue pair has failed its ops complete all the same; their callbacks count the errors. */
void perf_io_poll(struct perf_io *io)
{
	int n = io->thread ? nvio_thread_poll(io->thread, 0) : nvio_qpair_poll(io->target->dev.qp, 0);

	if (n == 0 && io->wait != PERF_SPIN)
		wait_idle(io);
	else
		io->idle_since_ns = 0;
}

void perf_io_fail(struct perf_io *io, const struct nvio_op *op, bool is_write, uint64_t offset)
{
	const char *what = is_write ? "write" : "read";
	uint64_t block = offset / io->target->block_size;

	if (io->target->is_bdev)
		cli_fail_op(op, "%s at block %" PRIu64, what, block);
	else
		cli_dev_fail_op(&io->target->dev, op, "%s at block %" PRIu64, what, block);
}
