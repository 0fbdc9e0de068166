/* SPDX-License-Identifier: BSD-3-Clause */
/* get-feature: one feature's value and data, and with -H what the bits mean. */
#include <inttypes.h>
#include <stdlib.h>

#include <nvio/spec/admin.h>
#include <nvio/spec/feature.h>

#include "cli.h"
#include "out.h"

/* A part of a feature's value: bits [shift, shift + bits), told as its number plus `base`. */
struct part {
	uint8_t fid;
	uint8_t shift, bits, base;
	const char *key;
	const char *what;
};

static const struct part parts[] = {
	{ NVIO_FID_ARBITRATION, 0, 3, 0, "ab", "arbitration burst, log2 (7: no limit)" },
	{ NVIO_FID_ARBITRATION, 8, 8, 1, "lpw", "low priority weight" },
	{ NVIO_FID_ARBITRATION, 16, 8, 1, "mpw", "medium priority weight" },
	{ NVIO_FID_ARBITRATION, 24, 8, 1, "hpw", "high priority weight" },
	{ NVIO_FID_POWER_MANAGEMENT, 0, 5, 0, "ps", "power state" },
	{ NVIO_FID_POWER_MANAGEMENT, 5, 3, 0, "wh", "workload hint" },
	{ NVIO_FID_LBA_RANGE_TYPE, 0, 6, 1, "num", "LBA ranges" },
	{ NVIO_FID_TEMPERATURE_THRESHOLD, 0, 16, 0, "tmpth", "threshold, Kelvin" },
	{ NVIO_FID_TEMPERATURE_THRESHOLD, 16, 4, 0, "tmpsel", "sensor (0: composite)" },
	{ NVIO_FID_TEMPERATURE_THRESHOLD, 20, 2, 0, "thsel", "0: over, 1: under" },
	{ NVIO_FID_ERROR_RECOVERY, 0, 16, 0, "tler", "time limited error recovery, 100 ms" },
	{ NVIO_FID_ERROR_RECOVERY, 16, 1, 0, "dulbe", "deallocated or unwritten block error" },
	{ NVIO_FID_VOLATILE_WRITE_CACHE, 0, 1, 0, "wce", "volatile write cache enabled" },
	{ NVIO_FID_NUM_QUEUES, 0, 16, 1, "nsq", "I/O submission queues" },
	{ NVIO_FID_NUM_QUEUES, 16, 16, 1, "ncq", "I/O completion queues" },
	{ NVIO_FID_IRQ_COALESCING, 0, 8, 1, "thr", "completions per interrupt, at least" },
	{ NVIO_FID_IRQ_COALESCING, 8, 8, 0, "time", "or so long, 100 us" },
	{ NVIO_FID_IRQ_VECTOR_CONFIG, 0, 16, 0, "iv", "interrupt vector" },
	{ NVIO_FID_IRQ_VECTOR_CONFIG, 16, 1, 0, "cd", "coalescing disabled" },
	{ NVIO_FID_WRITE_ATOMICITY, 0, 1, 0, "dn", "normal atomicity not needed" },
	{ NVIO_FID_ASYNC_EVENT_CONFIG, 0, 8, 0, "smart", "SMART critical warnings" },
	{ NVIO_FID_ASYNC_EVENT_CONFIG, 8, 1, 0, "nan", "namespace attribute notices" },
	{ NVIO_FID_ASYNC_EVENT_CONFIG, 9, 1, 0, "fan", "firmware activation notices" },
	{ NVIO_FID_AUTO_POWER_STATE, 0, 1, 0, "apste", "autonomous transitions enabled" },
	{ NVIO_FID_HOST_MEMORY_BUFFER, 0, 1, 0, "ehm", "host memory enabled" },
	{ NVIO_FID_KEEP_ALIVE, 0, 32, 0, "kato", "keep alive timeout, ms (0: off)" },
	{ NVIO_FID_HOST_THERMAL, 0, 16, 0, "tmt2", "heavy throttling from, Kelvin" },
	{ NVIO_FID_HOST_THERMAL, 16, 16, 0, "tmt1", "light throttling from, Kelvin" },
	{ NVIO_FID_NON_OP_POWER_STATE, 0, 1, 0, "noppme", "non-operational power states permissive" },
	{ NVIO_FID_SOFTWARE_PROGRESS, 0, 8, 0, "pbslc", "pre-boot software load count" },
	{ NVIO_FID_HOST_ID, 0, 1, 0, "exhid", "128-bit host identifier" },
	{ NVIO_FID_NS_WRITE_PROTECTION, 0, 3, 0, "wps",
		"0: writable, 1: protected, 2: until power cycle, 3: for ever" },
};

/* Select 3 asks for what can be done with the feature; the answer is the same for all of them. */
static const struct part capabilities[] = {
	{ 0, 0, 1, 0, "saveable", "can be saved" },
	{ 0, 1, 1, 0, "ns_specific", "each namespace has its own" },
	{ 0, 2, 1, 0, "changeable", "can be changed" },
};

static const char *const selects[] = { "current", "default", "saved", "supported" };

static struct {
	uint64_t fid, sel, cdw11, data_len;
} args = { .data_len = CLI_UNSET };

/* What comes with the value, by specification; -l says otherwise. */
static uint32_t data_len(void)
{
	if (args.data_len != CLI_UNSET)
		return (uint32_t)args.data_len;
	if (args.sel == NVIO_SEL_SUPPORTED)
		return 0;
	switch (args.fid) {
	case NVIO_FID_LBA_RANGE_TYPE:
	case NVIO_FID_HOST_MEMORY_BUFFER:
	case NVIO_FID_ENHANCED_CTRLR_METADATA:
	case NVIO_FID_CTRLR_METADATA:
	case NVIO_FID_NS_METADATA: return 4096;
	case NVIO_FID_AUTO_POWER_STATE: return 256;
	case NVIO_FID_TIMESTAMP: return sizeof(struct nvio_timestamp);
	case NVIO_FID_PLM_CONFIG:
	case NVIO_FID_HOST_BEHAVIOR: return sizeof(struct nvio_host_behavior);
	case NVIO_FID_HOST_ID: return args.cdw11 & NVIO_HOST_ID_EXTENDED ? 16 : 8;
	default: return 0;
	}
}

static uint32_t part_value(const struct part *p, uint32_t value)
{
	uint64_t mask = (UINT64_C(1) << p->bits) - 1;

	return (uint32_t)((value >> p->shift & mask) + p->base);
}

static bool part_applies(const struct part *p)
{
	return p->fid == args.fid || args.sel == NVIO_SEL_SUPPORTED;
}

static void show_parts(uint32_t value, json_t *fields)
{
	bool supported = args.sel == NVIO_SEL_SUPPORTED;
	const struct part *p = supported ? capabilities : parts;

	for (size_t n = supported ? CLI_COUNT(capabilities) : CLI_COUNT(parts); n; n--, p++) {
		if (!part_applies(p))
			continue;
		if (fields)
			cli_json_set(fields, p->key, json_integer(part_value(p, value)));
		else
			printf("  %-38s: %" PRIu32 "\n", p->what, part_value(p, value));
	}
}

static void show(uint32_t value, const void *data, uint32_t len)
{
	const char *name = nvio_feature_str((uint8_t)args.fid);
	json_t *root, *fields;

	if (!cli.json) {
		printf("feature 0x%02" PRIx64 " (%s), %s value: 0x%08" PRIx32 "\n", args.fid, name,
			selects[args.sel], value);
		if (cli.verbose)
			show_parts(value, NULL);
		cli_hexdump(data, len);
		return;
	}
	root = cli_json_object();
	cli_json_set(root, "fid", cli_json_u64(args.fid));
	cli_json_set(root, "feature", cli_json_text(name));
	cli_json_set(root, "select", cli_json_text(selects[args.sel]));
	cli_json_set(root, "value", json_integer(value));
	if (cli.verbose) {
		fields = cli_json_object();
		show_parts(value, fields);
		cli_json_set(root, "fields", fields);
	}
	if (len)
		cli_json_set(root, "data", cli_json_hex(data, len));
	cli_json_print(root);
}

static int run_get_feature(void)
{
	struct nvio_op op = NVIO_OP(NULL);
	uint32_t nsid = cli.nsid == CLI_UNSET ? NVIO_NSID_NONE : (uint32_t)cli.nsid;
	uint32_t len = data_len();
	struct cli_dev dev;
	void *data = NULL;
	int status = cli_dev_open_arg(&dev);

	if (status)
		return status;
	if (len) {
		data = calloc(1, len);
		if (!data) {
			status = cli_fail("out of memory");
			goto close;
		}
	}
	if (nvio_await(nvio_ctrlr_get_feature(dev.ctrlr, (uint8_t)args.fid, (uint8_t)args.sel, nsid,
			       (uint32_t)args.cdw11, data, len, &op),
		    &op))
		status = cli_fail_op(
			&op, "feature 0x%02" PRIx64 " (%s)", args.fid, nvio_feature_str((uint8_t)args.fid));
	else
		show(op.cpl.dw0, data, len);
close:
	free(data);
	cli_dev_close(&dev);
	return status;
}

static const struct cli_opt feature_opts[] = {
	{ "feature-id", 'f', CLI_NUMBER, &args.fid, "FID",
		"which feature: 1 to 255, 7 being the number of queues", .min = 1, .max = 255,
		.required = true },
	{ "sel", 's', CLI_NUMBER, &args.sel, "N",
		"0 current (default), 1 default, 2 saved, 3 what is supported", .max = 3 },
	{ "namespace-id", 'n', CLI_NUMBER, &cli.nsid, "NSID",
		"of this namespace (default: 0, the controller)", .max = UINT32_MAX },
	{ "cdw11", 'c', CLI_NUMBER, &args.cdw11, "N", "command dword 11, for features that take one",
		.max = UINT32_MAX },
	{ "data-len", 'l', CLI_SIZE, &args.data_len, "BYTES", "bytes of data (default: what the feature has)",
		.max = 1 << 20 },
	{ NULL },
};

const struct cli_cmd cli_get_feature = {
	.name = "get-feature",
	.what = "Read a feature of the controller or of a namespace",
	.devices = CLI_DEVICE_ONE,
	.decodes = true,
	.opts = feature_opts,
	.run = run_get_feature,
};
