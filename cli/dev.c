/* SPDX-License-Identifier: BSD-3-Clause */
/* From the DEVICE of the command line to a connected controller, its namespace and a queue pair, and back. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <nvio/error.h>

#include "cli.h"
#include "image.h"

static bool is_kernel_name(const char *text)
{
	return !strncmp(text, "/dev/", 5) || (!strncmp(text, "nvme", 4) && text[4] >= '0' && text[4] <= '9');
}

/* A path or a short form whose "loop:" was left out. */
static bool is_loop_address(const char *text)
{
	size_t word = strcspn(text, ":=? \t");
	struct stat st;

	return *text && (!stat(text, &st) || !text[word] || (word && text[word] == '?') ||
			!strncmp(text, "ram:", 4) || !strncmp(text, "null:", 5));
}

int cli_dev_parse(const char *text, struct nvio_trid *trid)
{
	struct stat st;

	if (!nvio_trid_parse(text, trid))
		return CLI_OK;
	if (is_kernel_name(text) && (stat(text, &st) || !S_ISREG(st.st_mode)))
		return cli_usage("%s; devices of the kernel are not reachable by this release", nvio_errmsg());
	if (is_loop_address(text))
		return cli_usage("%s; did you mean loop:%s?", nvio_errmsg(), text);
	return cli_usage("%s", nvio_errmsg());
}

/* One queue pair is all that a subcommand uses. */
void cli_dev_opts_init(struct nvio_ctrlr_opts *opts)
{
	nvio_ctrlr_opts_init(opts);
	opts->num_io_queues = 1;
}

int cli_env_open(struct nvio_env **env)
{
	struct nvio_env_opts opts;

	nvio_env_opts_init(&opts);
	opts.log_level = (enum nvio_log_level)cli.log_level;
	if (cli.verbose && !cli.cmd->decodes && opts.log_level < NVIO_LOG_DEBUG)
		opts.log_level = NVIO_LOG_DEBUG;
	return nvio_env_open(&opts, env) ? cli_fail("%s", nvio_errmsg()) : CLI_OK;
}

int cli_dev_open(struct cli_dev *dev, const struct nvio_trid *trid, const struct nvio_ctrlr_opts *opts)
{
	struct nvio_ctrlr_opts own;
	struct image image;
	int rc;

	memset(dev, 0, sizeof(*dev));
	if (cli_env_open(&dev->env))
		return CLI_FAILED;
	if (!opts) {
		cli_dev_opts_init(&own);
		opts = &own;
	}
	dev->deadline_ms = opts->command_timeout_ms;
	rc = nvio_connect_trid(dev->env, trid, opts, &dev->ctrlr);
	if (!rc) {
		dev->resets = nvio_ctrlr_reset_count(dev->ctrlr);
		return CLI_OK;
	}
	image_parse(trid, &image);
	if (rc == -ENOENT && !image.sized && !image.read_only && image_is_missing(&image))
		cli_fail("%s; there is no image %s: to make one, say how large: 'loop:%s%csize=SIZE'",
			nvio_errmsg(), image.path, trid->traddr, strchr(trid->traddr, '?') ? '&' : '?');
	else
		cli_fail("%s", nvio_errmsg());
	cli_dev_close(dev);
	return CLI_FAILED;
}

int cli_dev_open_ns(struct cli_dev *dev, const struct nvio_trid *trid, const struct nvio_ctrlr_opts *opts)
{
	uint32_t nsid = (uint32_t)cli.nsid;
	int status = cli_dev_open(dev, trid, opts);

	if (status)
		return status;
	if (cli.nsid == CLI_UNSET) {
		nsid = nvio_ctrlr_next_ns(dev->ctrlr, 0);
		if (!nsid) {
			cli_fail("the controller has no active namespace");
			goto close;
		}
	}
	dev->ns = nvio_ctrlr_ns(dev->ctrlr, nsid);
	if (!dev->ns || nvio_qpair_alloc(dev->ctrlr, NULL, &dev->qp)) {
		cli_fail("%s", nvio_errmsg());
		goto close;
	}
	return CLI_OK;
close:
	cli_dev_close(dev);
	return CLI_FAILED;
}

int cli_dev_open_arg(struct cli_dev *dev)
{
	struct nvio_trid trid;
	int status = cli_dev_parse(cli.devices[0], &trid);

	return status ? status : cli_dev_open(dev, &trid, NULL);
}

int cli_dev_open_ns_arg(struct cli_dev *dev)
{
	struct nvio_trid trid;
	int status = cli_dev_parse(cli.devices[0], &trid);

	return status ? status : cli_dev_open_ns(dev, &trid, NULL);
}

void cli_dev_close(struct cli_dev *dev)
{
	nvio_qpair_free(dev->qp);
	nvio_ctrlr_close(dev->ctrlr);
	nvio_env_close(dev->env);
	memset(dev, 0, sizeof(*dev));
}

int cli_dev_check_range(const struct cli_dev *dev, uint64_t lba, uint64_t blocks)
{
	uint64_t have = nvio_ns_num_blocks(dev->ns);

	if (lba <= have && blocks <= have - lba)
		return CLI_OK;
	return cli_fail("%" PRIu64 " blocks from block %" PRIu64 " on do not fit: namespace %" PRIu32
			" has %" PRIu64 " blocks of %" PRIu32 " bytes",
		blocks, lba, nvio_ns_id(dev->ns), have, nvio_ns_block_size(dev->ns));
}

int cli_dev_flush(struct cli_dev *dev)
{
	struct nvio_op op = cli_dev_op(NULL);

	if (nvio_await(nvio_ns_flush(dev->ns, dev->qp, &op), &op))
		return cli_dev_fail_op(dev, &op, "flush");
	return CLI_OK;
}

struct nvio_op cli_dev_op(nvio_op_fn done)
{
	struct nvio_op op = NVIO_OP(done);

	op.timeout_us = cli.timeout_ms * 1000;
	return op;
}

/* What the status does not say; "" when there is nothing to add. */
static void explain(const struct cli_dev *dev, int status, char *text, size_t size)
{
	const struct nvio_trid *trid = nvio_ctrlr_trid(dev->ctrlr);
	uint64_t ms = cli.timeout_ms ? cli.timeout_ms : dev->deadline_ms;
	char number[16] = "";
	struct image image;

	*text = 0;
	if (status == -ETIMEDOUT)
		snprintf(text, size, "; it had %" PRIu64 " ms%s", ms,
			nvio_ctrlr_reset_count(dev->ctrlr) != dev->resets
				? ", and the controller was reset"
				: "");
	if (status != -ENOSPC)
		return;
	image_parse(trid, &image);
	if (image.several && dev->ns && nvio_ns_id(dev->ns) > 1)
		snprintf(number, sizeof(number), ".%" PRIu32, nvio_ns_id(dev->ns));
	if (image.is_file)
		snprintf(text, size,
			"; loop:%s: the file system that holds its image %s%s is full, or a quota or "
			"limit on file sizes is reached: make room there",
			trid->traddr, image.path, number);
}

int cli_dev_fail_op(const struct cli_dev *dev, const struct nvio_op *op, const char *fmt, ...)
{
	char what[128], more[2 * NVIO_TRADDR_MAX + 256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	explain(dev, op->status, more, sizeof(more));
	return cli_fail("%s: %s%s", what, nvio_op_strerror(op), more);
}
