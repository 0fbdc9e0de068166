/* SPDX-License-Identifier: BSD-3-Clause */
/* From the DEVICE of the command line to a connected controller, its namespace and a queue pair, and back. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <nvio/error.h>

#include "cli.h"
#include "image.h"

int cli_dev_parse(const char *text, struct nvio_trid *trid)
{
	if (nvio_trid_parse(text, trid))
		return cli_usage("%s", nvio_errmsg());
	return CLI_OK;
}

/* One queue pair is all that a subcommand uses. */
void cli_dev_opts_init(struct nvio_ctrlr_opts *opts)
{
	nvio_ctrlr_opts_init(opts);
	opts->num_io_queues = 1;
}

int cli_dev_open(struct cli_dev *dev, const struct nvio_trid *trid, const struct nvio_ctrlr_opts *opts)
{
	struct nvio_ctrlr_opts own;
	struct nvio_env_opts env;
	struct image image;
	int rc;

	memset(dev, 0, sizeof(*dev));
	nvio_env_opts_init(&env);
	env.log_level = (enum nvio_log_level)cli.log_level;
	if (cli.verbose && !cli.cmd->decodes && env.log_level < NVIO_LOG_DEBUG)
		env.log_level = NVIO_LOG_DEBUG;
	if (nvio_env_open(&env, &dev->env))
		return cli_fail("%s", nvio_errmsg());
	if (!opts) {
		cli_dev_opts_init(&own);
		opts = &own;
	}
	rc = nvio_connect_trid(dev->env, trid, opts, &dev->ctrlr);
	if (!rc)
		return CLI_OK;
	image_parse(trid, &image);
	if (rc == -ENOENT && image.is_file && !image.sized)
		cli_fail("there is no image %s; to make one, say how large: 'loop:%s%csize=SIZE'", image.path,
			trid->traddr, strchr(trid->traddr, '?') ? '&' : '?');
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
	struct nvio_op op = NVIO_OP(NULL);

	if (nvio_await(nvio_ns_flush(dev->ns, dev->qp, &op), &op))
		return cli_fail_op(&op, "flush");
	return CLI_OK;
}
