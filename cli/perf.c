/* SPDX-License-Identifier: BSD-3-Clause */
/* `nvio perf`: options, their checks against the device, and the report. */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "out.h"
#include "perf.h"

/* Verifying writes and reads everything, so it is kept short unless asked otherwise. */
#define VERIFY_BYTES (UINT64_C(1) << 30)
#define VERIFY_UNITS (UINT64_C(1) << 26)

static const char *const wait_names[] = { "spin", "sleep", "adaptive", NULL };
static const char *const buffers_names[] = { "dma", "registered", "foreign", NULL };
static const char *const rw_names[] = { "randread", "randwrite", "read", "write", "randrw", NULL };

static struct {
	unsigned rw;
	uint64_t depth, bs, ios, read_percent, size, seed, threads;
	double time_s;
	bool verify;
	unsigned wait, buffers;
	uint64_t misalign;
} args = { .rw = PERF_RANDREAD,
	.depth = 32,
	.bs = 4096,
	.ios = CLI_UNSET,
	.read_percent = CLI_UNSET,
	.size = CLI_UNSET,
	.seed = CLI_UNSET,
	.threads = 1 };

static int check_args(void)
{
	if (args.ios != CLI_UNSET && args.time_s > 0)
		return cli_usage("--time and --ios exclude each other");
	if (args.read_percent != CLI_UNSET && args.rw != PERF_RANDRW)
		return cli_usage("--rwmixread is for --rw randrw");
	if (args.bs * args.depth > PERF_MEMORY_MAX / args.threads)
		return cli_usage("--qd x --bs%s is more than 1 GiB", args.threads > 1 ? " x --threads" : "");
	if (args.ios < args.threads)
		return cli_usage("--ios %" PRIu64 " are fewer than --threads", args.ios);
	return CLI_OK;
}

/* Every operand of the loop, checked against the device. */
static int prepare(struct perf *p)
{
	const char *what = p->target->is_bdev ? "device" : "namespace";
	uint32_t block = p->target->block_size;
	uint64_t have = p->target->bytes, size = args.size == CLI_UNSET ? have : args.size;

	if (args.bs % block)
		return cli_fail(
			"--bs %" PRIu64 " is not a multiple of the block size, %" PRIu32, args.bs, block);
	if (size > have)
		return cli_fail("--size %" PRIu64 " is more than the %s has, %" PRIu64, size, what, have);
	if (p->verify && args.size == CLI_UNSET && size > VERIFY_BYTES) {
		size = VERIFY_BYTES;
		cli_note("verifying in the first 1 GiB; --size says otherwise");
	}
	p->units = size / args.bs;
	if (!p->units)
		return cli_fail("%" PRIu64 " bytes hold no I/O of %" PRIu64, size, args.bs);
	if (p->units < p->threads)
		return cli_fail("%" PRIu64 " bytes hold %" PRIu64 " I/Os, fewer than --threads %" PRIu32, size, p->units, p->threads);
	if (p->verify && p->units > VERIFY_UNITS)
		return cli_fail("--size: more than %" PRIu64 " I/Os cannot be kept track of", VERIFY_UNITS);
	if (p->verify && block > PERF_VERIFY_BLOCK_MAX)
		return cli_fail("--verify: blocks of %" PRIu32 " bytes are too large", block);
	/* One unit has at most one I/O at a time. */
	if (p->verify && p->depth > p->units / p->threads)
		return cli_fail("--verify: %" PRIu64 " bytes hold %" PRIu64 " I/Os%s, fewer than --qd %" PRIu32, size,
			p->units / p->threads, p->threads > 1 ? " for each thread" : "", p->depth);
	return CLI_OK;
}

static double per_second(const struct perf *p, double what)
{
	return p->elapsed_s > 0 ? what / p->elapsed_s : 0;
}

/* A tenth is exact enough, and shorter. */
static double tenth(double v)
{
	return (double)(uint64_t)(v * 10 + 0.5) / 10;
}

static const struct {
	const char *key, *name;
	double percent;
} percentiles[] = {
	{ "p50", "50 %", 50 },
	{ "p90", "90 %", 90 },
	{ "p99", "99 %", 99 },
	{ "p999", "99.9 %", 99.9 },
};

static void report(const struct perf *p)
{
	char rate[32];

	printf("%s, %" PRIu32 " bytes, queue depth %" PRIu32, rw_names[p->rw], p->bs, p->depth);
	if (p->threads > 1)
		printf(" on each of %" PRIu32 " threads", p->threads);
	printf(": %" PRIu64 " I/Os in %.3f s, %" PRIu64 " errors\n", p->done, p->elapsed_s, p->errors);
	printf("  IOPS       %.0f\n", per_second(p, (double)p->done));
	printf("  bandwidth  %s/s\n", cli_bytes(rate, sizeof(rate), per_second(p, (double)p->done * p->bs)));
	printf("  latency, us\n    mean    %10.2f\n", nvio_histogram_mean(&p->latency) / 1e3);
	for (size_t i = 0; i < CLI_COUNT(percentiles); i++)
		printf("    %-7s %10.2f\n", percentiles[i].name,
			(double)nvio_histogram_percentile(&p->latency, percentiles[i].percent) / 1e3);
	printf("    max     %10.2f\n", (double)nvio_histogram_max(&p->latency) / 1e3);
	if (p->rw == PERF_RANDRW)
		printf("  reads %" PRIu64 ", writes %" PRIu64 "\n", p->reads, p->writes);
	if (p->wait != PERF_SPIN)
		printf("  sleeps %" PRIu64 "\n", p->sleeps);
	if (p->verify)
		printf("  verify     %" PRIu64 " bad blocks\n", p->pattern.mismatches);
}

static void report_json(const struct perf *p)
{
	json_t *root = cli_json_object(), *lat = cli_json_object();

	cli_json_set(root, "device", cli_json_text(cli.devices[0]));
	cli_json_set(root, "rw", cli_json_text(rw_names[p->rw]));
	cli_json_set(root, "qd", json_integer(p->depth));
	if (p->target->is_bdev)
		cli_json_set(root, "threads", json_integer(p->threads));
	cli_json_set(root, "bs", json_integer(p->bs));
	cli_json_set(root, "time_s", json_real(p->elapsed_s));
	cli_json_set(root, "seed", cli_json_u64(p->seed));
	cli_json_set(root, "ios", cli_json_u64(p->done));
	cli_json_set(root, "reads", cli_json_u64(p->reads));
	cli_json_set(root, "writes", cli_json_u64(p->writes));
	cli_json_set(root, "errors", cli_json_u64(p->errors));
	cli_json_set(root, "iops", json_real(tenth(per_second(p, (double)p->done))));
	cli_json_set(root, "bw_bytes", cli_json_u64((uint64_t)per_second(p, (double)p->done * p->bs)));
	cli_json_set(lat, "mean", json_real(tenth(nvio_histogram_mean(&p->latency))));
	for (size_t i = 0; i < CLI_COUNT(percentiles); i++)
		cli_json_set(lat, percentiles[i].key,
			cli_json_u64(nvio_histogram_percentile(&p->latency, percentiles[i].percent)));
	cli_json_set(lat, "max", cli_json_u64(nvio_histogram_max(&p->latency)));
	cli_json_set(root, "lat_ns", lat);
	if (p->wait != PERF_SPIN)
		cli_json_set(root, "sleeps", cli_json_u64(p->sleeps));
	if (p->verify)
		cli_json_set(root, "bad_blocks", cli_json_u64(p->pattern.mismatches));
	cli_json_print(root);
}

static int run_perf(void)
{
	static struct perf_target target;
	static struct perf p;
	bool writes = args.verify || args.rw == PERF_WRITE || args.rw == PERF_RANDWRITE || args.rw == PERF_RANDRW;
	int status = check_args();

	p.threads = (uint32_t)args.threads;
	p.depth = (uint32_t)args.depth;
	p.wait = (enum perf_wait)args.wait;
	p.buffers = (enum perf_buffers)args.buffers;
	p.misalign = (uint32_t)args.misalign;
	if (!status)
		status = perf_target_open(&target, cli.devices[0], &p, writes);
	if (status)
		return status;
	p.target = &target;
	p.rw = (enum perf_rw)args.rw;
	p.bs = (uint32_t)args.bs;
	p.time_s = args.time_s > 0 ? args.time_s : 2;
	p.ios = args.ios;
	p.read_percent = args.read_percent == CLI_UNSET ? 50 : (uint32_t)args.read_percent;
	/* 62 bits, so that JSON tells them all. */
	p.seed = args.seed != CLI_UNSET ? args.seed : ((uint64_t)time(NULL) * 2654435761u) >> 2;
	p.verify = args.verify;
	status = prepare(&p);
	if (!status) {
		status = perf_run(&p);
		if (cli.json)
			report_json(&p);
		else
			report(&p);
	}
	perf_target_close(&target);
	return status;
}

static const struct cli_opt perf_opts[] = {
	CLI_OPT_NSID,
	{ "rw", 0, CLI_WORD, &args.rw, "KIND", "randread (default), randwrite, read, write or randrw",
		rw_names },
	{ "qd", 'q', CLI_NUMBER, &args.depth, "N", "I/Os in flight (default: 32)", .min = 1,
		.max = PERF_DEPTH_MAX },
	{ "bs", 'b', CLI_SIZE, &args.bs, "BYTES", "of one I/O (default: 4k)", .min = 512, .max = 64 << 20 },
	{ "threads", 0, CLI_NUMBER, &args.threads, "N",
		"of a block device: so many OS threads, each with its share and its own I/Os in flight (default: 1)", .min = 1,
		.max = PERF_THREADS_MAX },
	{ "time", 't', CLI_SECONDS, &args.time_s, "S", "how long, in seconds (default: 2)" },
	{ "ios", 0, CLI_NUMBER, &args.ios, "N", "how many I/Os, whatever time they take", .min = 1 },
	{ "rwmixread", 0, CLI_NUMBER, &args.read_percent, "PERCENT", "reads of randrw (default: 50)",
		.max = 100 },
	{ "size", 0, CLI_SIZE, &args.size, "BYTES", "use the first BYTES of the device (default: all)",
		.min = 512 },
	{ "seed", 0, CLI_NUMBER, &args.seed, "N", "of the random numbers (default: the time)",
		.max = INT64_MAX },
	{ "wait", 0, CLI_WORD, &args.wait, "HOW",
		"when nothing has completed: spin (default), sleep until the drive interrupts, or adaptive: spin a while, then sleep", wait_names },
	{ "buffers", 0, CLI_WORD, &args.buffers, "WHICH",
		"dma (default): the library's; registered: made known to it; foreign: neither, so a PCIe drive's data is copied", buffers_names },
	{ "misalign", 0, CLI_NUMBER, &args.misalign, "BYTES", "from the beginning of a page on that each buffer begins at (default: 0)",
		.max = 4095 },
	CLI_OPT_TIMEOUT,
	{ "verify", 0, CLI_FLAG, &args.verify, NULL,
		"write a pattern, and check each read and in the end everything" },
	{ NULL },
};

const struct cli_cmd cli_perf = {
	.name = "perf",
	.what = "Measure IOPS, bandwidth and latency",
	.more = "It may also be a block device, made on the spot: null:1G, malloc:1G?bs=4096, file:PATH, or stacked\n"
		"as in delay?avg_read=100:file:PATH?size=1G; nvio(1) tells more.\n\n"
		"Kinds that write, and --verify, overwrite the data of the device. With --verify the\n"
		"tool's own work on the pattern takes part of the time. Exit status 3: --verify found\n"
		"blocks that are not what was written.\n",
	.devices = CLI_DEVICE_ONE,
	.opts = perf_opts,
	.run = run_perf,
};
