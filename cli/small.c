/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands without data of their own: flush, dsm, write-zeroes; and version, which needs no device. */
#include <inttypes.h>

#include <nvio/spec/nvm.h>
#include <nvio/version.h>

#include "cli.h"
#include "out.h"

/*
 * Blocks of one nvio_ns_write_zeroes(); the library splits it further. Bounds how long a deadline has to
 * cover.
 */
#define ZEROES_STEP (1u << 20)

static void show_range(const char *what, uint64_t lba, uint64_t blocks)
{
	json_t *root;

	if (!cli.json) {
		printf("%s: %" PRIu64 " blocks from block %" PRIu64 " on\n", what, blocks, lba);
		return;
	}
	root = cli_json_object();
	cli_json_set(root, "start_block", cli_json_u64(lba));
	cli_json_set(root, "blocks", cli_json_u64(blocks));
	cli_json_print(root);
}

/* Ranges may lie anywhere, so that the first block of one says nothing about the others. */
static void show_ranges(const struct nvio_lba_range *ranges, size_t count, uint64_t total)
{
	json_t *root, *list;

	if (!cli.json && count == 1) {
		show_range("deallocated", ranges[0].lba, total);
		return;
	}
	if (!cli.json) {
		printf("deallocated: %" PRIu64 " blocks in %zu ranges\n", total, count);
		return;
	}
	root = cli_json_object();
	list = cli_json_array();
	for (size_t i = 0; i < count; i++) {
		json_t *one = cli_json_object();

		cli_json_set(one, "start_block", cli_json_u64(ranges[i].lba));
		cli_json_set(one, "blocks", cli_json_u64(ranges[i].nblocks));
		cli_json_add(list, one);
	}
	cli_json_set(root, "ranges", list);
	cli_json_set(root, "blocks", cli_json_u64(total));
	cli_json_print(root);
}

static int run_flush(void)
{
	struct cli_dev dev;
	json_t *root;
	int status = cli_dev_open_ns_arg(&dev);

	if (status)
		return status;
	status = cli_dev_flush(&dev);
	if (!status && cli.json) {
		root = cli_json_object();
		cli_json_set(root, "nsid", json_integer(nvio_ns_id(dev.ns)));
		cli_json_set(root, "flushed", json_true());
		cli_json_print(root);
	} else if (!status) {
		printf("namespace %" PRIu32 " flushed\n", nvio_ns_id(dev.ns));
	}
	cli_dev_close(&dev);
	return status;
}

static struct {
	struct cli_numbers starts, blocks;
	bool deallocate;
} dsm;

static int run_dsm(void)
{
	static struct nvio_lba_range ranges[CLI_NUMBERS_MAX];
	struct nvio_op op = NVIO_OP(NULL);
	uint64_t total = 0;
	struct cli_dev dev;
	int status;

	if (!dsm.deallocate)
		return cli_usage("--ad is missing: deallocating is what can be done with the ranges");
	if (dsm.starts.count != dsm.blocks.count)
		return cli_usage("--slbs has %zu numbers and --blocks %zu; they come in pairs",
			dsm.starts.count, dsm.blocks.count);
	status = cli_dev_open_ns_arg(&dev);
	if (status)
		return status;
	for (size_t i = 0; i < dsm.starts.count && !status; i++) {
		ranges[i].lba = dsm.starts.value[i];
		ranges[i].nblocks = (uint32_t)dsm.blocks.value[i];
		total += ranges[i].nblocks;
		status = cli_dev_check_range(&dev, ranges[i].lba, ranges[i].nblocks);
	}
	if (!status &&
		nvio_await(nvio_ns_deallocate(dev.ns, dev.qp, ranges, (uint32_t)dsm.starts.count, &op), &op))
		status = cli_dev_fail_op(&dev, &op, "deallocate");
	if (!status)
		show_ranges(ranges, dsm.starts.count, total);
	cli_dev_close(&dev);
	return status;
}

static struct {
	uint64_t start, blocks;
} zeroes;

static int write_zeroes(struct cli_dev *dev)
{
	uint64_t lba = zeroes.start, left = zeroes.blocks;
	int status = cli_dev_check_range(dev, lba, left);

	if (status)
		return status;
	while (left) {
		uint32_t step = left < ZEROES_STEP ? (uint32_t)left : ZEROES_STEP;
		struct nvio_op op = NVIO_OP(NULL);

		if (nvio_await(nvio_ns_write_zeroes(dev->ns, dev->qp, lba, step, &op), &op))
			return cli_dev_fail_op(dev, &op, "%" PRIu32 " blocks from block %" PRIu64 " on", step, lba);
		lba += step;
		left -= step;
	}
	return cli_dev_flush(dev);
}

static int run_write_zeroes(void)
{
	struct cli_dev dev;
	int status = cli_dev_open_ns_arg(&dev);

	if (status)
		return status;
	status = write_zeroes(&dev);
	if (!status)
		show_range("zeroed and flushed", zeroes.start, zeroes.blocks);
	cli_dev_close(&dev);
	return status;
}

static int run_version(void)
{
	json_t *root, *features;

	if (!cli.json) {
		printf("nvio %d.%d.%d, library %s\n", NVIO_VERSION_MAJOR, NVIO_VERSION_MINOR,
			NVIO_VERSION_PATCH, nvio_version());
		for (const struct nvio_feature *f = nvio_features(); f->name; f++)
			printf("  %-10s %-3s  %s\n", f->name, f->built_in ? "yes" : "no", f->what);
		return CLI_OK;
	}
	root = cli_json_object();
	cli_json_set(root, "version", cli_json_text(nvio_version()));
	features = cli_json_object();
	for (const struct nvio_feature *f = nvio_features(); f->name; f++)
		cli_json_set(features, f->name, json_boolean(f->built_in));
	cli_json_set(root, "features", features);
	return cli_json_print(root);
}

static const struct cli_opt flush_opts[] = {
	CLI_OPT_NSID,
	{ NULL },
};

static const struct cli_opt dsm_opts[] = {
	CLI_OPT_NSID,
	{ "ad", 'd', CLI_FLAG, &dsm.deallocate, NULL, "deallocate the ranges: their content is given up" },
	{ "slbs", 's', CLI_NUMBERS, &dsm.starts, "LIST", "the first block of each range: 0,8,100",
		.required = true },
	{ "blocks", 'b', CLI_NUMBERS, &dsm.blocks, "LIST", "the number of blocks of each range: 8,8,1",
		.min = 1, .max = UINT32_MAX, .required = true },
	{ NULL },
};

static const struct cli_opt zeroes_opts[] = {
	CLI_OPT_NSID,
	{ "start-block", 's', CLI_NUMBER, &zeroes.start, "N", "the first block (default: 0)" },
	{ "block-count", 'c', CLI_NUMBER, &zeroes.blocks, "N",
		"how many blocks (1 is one; nvme-cli counts from 0)", .min = 1, .required = true },
	{ NULL },
};

static const struct cli_opt no_opts[] = { { NULL } };

const struct cli_cmd cli_flush = {
	.name = "flush",
	.what = "Make everything written so far durable",
	.devices = CLI_DEVICE_ONE,
	.opts = flush_opts,
	.run = run_flush,
};

const struct cli_cmd cli_dsm = {
	.name = "dsm",
	.what = "Deallocate (trim) ranges of blocks",
	.devices = CLI_DEVICE_ONE,
	.opts = dsm_opts,
	.run = run_dsm,
};

const struct cli_cmd cli_write_zeroes = {
	.name = "write-zeroes",
	.what = "Set blocks to zeros without sending any, and flush",
	.devices = CLI_DEVICE_ONE,
	.opts = zeroes_opts,
	.run = run_write_zeroes,
};

const struct cli_cmd cli_version = {
	.name = "version",
	.what = "Show the version and what is built in",
	.devices = CLI_DEVICE_NONE,
	.opts = no_opts,
	.run = run_version,
};
