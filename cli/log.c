/* SPDX-License-Identifier: BSD-3-Clause */
/* Log pages: smart-log and error-log. JSON keys are those of nvme-cli 2. */
#include <inttypes.h>
#include <stdlib.h>

#include <nvio/error.h>
#include <nvio/spec/admin.h>
#include <nvio/spec/log.h>
#include <nvio/spec/status.h>

#include "cli.h"
#include "out.h"

#define SMART(field, key, label, how)                                                                        \
	{                                                                                                    \
		key, offsetof(struct nvio_log_smart, field), sizeof(((struct nvio_log_smart *)0)->field),    \
			how, label                                                                           \
	}

static const struct cli_field smart_fields[] = {
	{ "critical_warning", offsetof(struct nvio_log_smart, critical_warning), 1, CLI_SHOW_HEX,
		"critical warning", NVIO_BITS_CRITICAL_WARNING + 1 },
	SMART(temperature, "temperature", "temperature", CLI_SHOW_KELVIN),
	SMART(available_spare, "avail_spare", "available spare, %", CLI_SHOW_DEC),
	SMART(spare_threshold, "spare_thresh", "spare threshold, %", CLI_SHOW_DEC),
	SMART(percentage_used, "percent_used", "used, %", CLI_SHOW_DEC),
	SMART(endurance_group_warning, "endurance_grp_critical_warning_summary", "endurance groups' warnings",
		CLI_SHOW_HEX),
	SMART(data_units_read, "data_units_read", "data units read", CLI_SHOW_DEC),
	SMART(data_units_written, "data_units_written", "data units written", CLI_SHOW_DEC),
	SMART(host_reads, "host_read_commands", "read commands", CLI_SHOW_DEC),
	SMART(host_writes, "host_write_commands", "write commands", CLI_SHOW_DEC),
	SMART(busy_minutes, "controller_busy_time", "busy, minutes", CLI_SHOW_DEC),
	SMART(power_cycles, "power_cycles", "power cycles", CLI_SHOW_DEC),
	SMART(power_on_hours, "power_on_hours", "power-on hours", CLI_SHOW_DEC),
	SMART(unsafe_shutdowns, "unsafe_shutdowns", "unsafe shutdowns", CLI_SHOW_DEC),
	SMART(media_errors, "media_errors", "media errors", CLI_SHOW_DEC),
	SMART(error_log_entries, "num_err_log_entries", "error log entries", CLI_SHOW_DEC),
	SMART(warning_temp_minutes, "warning_temp_time", "minutes above warning temperature", CLI_SHOW_DEC),
	SMART(critical_temp_minutes, "critical_comp_time", "minutes above critical temperature",
		CLI_SHOW_DEC),
	SMART(tmt1_count, "thm_temp1_trans_count", "light throttling, times", CLI_SHOW_DEC),
	SMART(tmt2_count, "thm_temp2_trans_count", "heavy throttling, times", CLI_SHOW_DEC),
	SMART(tmt1_seconds, "thm_temp1_total_time", "light throttling, seconds", CLI_SHOW_DEC),
	SMART(tmt2_seconds, "thm_temp2_total_time", "heavy throttling, seconds", CLI_SHOW_DEC),
};

/* Data units are thousands of 512 bytes. */
static void print_units(const char *what, nvio_le128 units)
{
	char text[32];

	printf("%-34s: %s\n", what,
		cli_bytes(text, sizeof(text), (double)nvio_get_le128_low(units, NULL) * 512000));
}

static void print_smart(const struct nvio_log_smart *log)
{
	cli_fields_print(smart_fields, CLI_COUNT(smart_fields), log);
	print_units("data read", log->data_units_read);
	print_units("data written", log->data_units_written);
	for (int i = 0; i < 8; i++) {
		int kelvin = nvio_get_le16(log->temp_sensor[i]);

		if (kelvin)
			printf("temperature sensor %d%14s: %d C (%d K)\n", i + 1, "", kelvin - 273, kelvin);
	}
}

static void json_smart(const struct nvio_log_smart *log)
{
	json_t *root = cli_json_object();

	cli_fields_json(root, smart_fields, CLI_COUNT(smart_fields), log);
	for (int i = 0; i < 8; i++) {
		char key[32];

		snprintf(key, sizeof(key), "temperature_sensor_%d", i + 1);
		if (nvio_get_le16(log->temp_sensor[i]))
			cli_json_set(root, key, json_integer(nvio_get_le16(log->temp_sensor[i])));
	}
	cli_json_print(root);
}

static int run_smart_log(void)
{
	struct nvio_op op = NVIO_OP(NULL);
	struct nvio_log_smart log;
	struct cli_dev dev;
	uint32_t nsid = cli.nsid == CLI_UNSET ? NVIO_NSID_ALL : (uint32_t)cli.nsid;
	int status = cli_dev_open_arg(&dev);

	if (status)
		return status;
	if (nvio_await(nvio_ctrlr_get_log(dev.ctrlr, NVIO_LID_SMART, nsid, 0, &log, sizeof(log), &op), &op))
		status = cli_fail_op(&op, "get log page, %s", nvio_log_str(NVIO_LID_SMART));
	else if (cli.json)
		json_smart(&log);
	else
		print_smart(&log);
	cli_dev_close(&dev);
	return status;
}

static void print_error(size_t i, const struct nvio_log_error *e)
{
	uint16_t status = nvio_get_le16(e->status);
	uint16_t at = nvio_get_le16(e->parm_loc);

	printf("entry %zu\n", i);
	printf("  error count    : %" PRIu64 "\n", nvio_get_le64(e->error_count));
	printf("  queue          : %u\n", nvio_get_le16(e->sqid));
	printf("  command        : %#x\n", nvio_get_le16(e->cid));
	printf("  status         : %#x (%s)\n", nvio_cqe_status_sf(status),
		nvio_status_str(nvio_cqe_status_sf(status)));
	printf("  phase tag      : %u\n", nvio_cqe_status_phase(status));
	if (at == NVIO_PARM_LOC_NONE)
		printf("  bad parameter  : none\n");
	else
		printf("  bad parameter  : byte %u, bit %u\n", at & 0xffu, at >> 8 & 7u);
	printf("  block          : %" PRIu64 "\n", nvio_get_le64(e->lba));
	printf("  namespace      : %#" PRIx32 "\n", nvio_get_le32(e->nsid));
	printf("  vendor log     : %#x\n", e->vs);
	printf("  transport type : %u\n", e->trtype);
	printf("  command info   : %#" PRIx64 "\n", nvio_get_le64(e->cs));
	printf("  transport info : %#x\n", nvio_get_le16(e->trtype_info));
}

static json_t *json_error(const struct nvio_log_error *e)
{
	uint16_t status = nvio_get_le16(e->status);
	json_t *one = cli_json_object();

	cli_json_set(one, "error_count", cli_json_u64(nvio_get_le64(e->error_count)));
	cli_json_set(one, "sqid", json_integer(nvio_get_le16(e->sqid)));
	cli_json_set(one, "cmdid", json_integer(nvio_get_le16(e->cid)));
	cli_json_set(one, "status_field", json_integer(nvio_cqe_status_sf(status)));
	cli_json_set(one, "phase_tag", json_integer(nvio_cqe_status_phase(status)));
	cli_json_set(one, "parm_error_location", json_integer(nvio_get_le16(e->parm_loc)));
	cli_json_set(one, "lba", cli_json_u64(nvio_get_le64(e->lba)));
	cli_json_set(one, "nsid", json_integer(nvio_get_le32(e->nsid)));
	cli_json_set(one, "vs", json_integer(e->vs));
	cli_json_set(one, "trtype", json_integer(e->trtype));
	cli_json_set(one, "cs", cli_json_u64(nvio_get_le64(e->cs)));
	cli_json_set(one, "trtype_spec_info", json_integer(nvio_get_le16(e->trtype_info)));
	return one;
}

static void show_errors(const struct nvio_log_error *log, size_t entries)
{
	json_t *root, *errors;
	size_t used = 0;

	if (!cli.json) {
		for (size_t i = 0; i < entries; i++) {
			if (nvio_get_le64(log[i].error_count))
				print_error(used++, &log[i]);
		}
		printf("%zu of %zu entries in use\n", used, entries);
		return;
	}
	root = cli_json_object();
	errors = cli_json_array();
	for (size_t i = 0; i < entries; i++)
		cli_json_add(errors, json_error(&log[i]));
	cli_json_set(root, "errors", errors);
	cli_json_print(root);
}

static uint64_t error_entries = CLI_UNSET;

static int run_error_log(void)
{
	struct nvio_op op = NVIO_OP(NULL);
	struct nvio_log_error *log;
	struct cli_dev dev;
	uint64_t have;
	int status = cli_dev_open_arg(&dev);

	if (status)
		return status;
	have = nvio_ctrlr_id(dev.ctrlr)->elpe + UINT64_C(1);
	if (error_entries == CLI_UNSET || error_entries > have)
		error_entries = have;
	log = calloc(error_entries, sizeof(*log));
	if (!log)
		status = cli_fail("out of memory");
	else if (nvio_await(nvio_ctrlr_get_log(dev.ctrlr, NVIO_LID_ERROR, NVIO_NSID_ALL, 0, log,
				    (uint32_t)(error_entries * sizeof(*log)), &op),
			 &op))
		status = cli_fail_op(&op, "get log page, %s", nvio_log_str(NVIO_LID_ERROR));
	else
		show_errors(log, error_entries);
	free(log);
	cli_dev_close(&dev);
	return status;
}

static const struct cli_opt smart_opts[] = {
	{ "namespace-id", 'n', CLI_NUMBER, &cli.nsid, "NSID",
		"of this namespace (default: 0xffffffff, the controller)", .max = UINT32_MAX },
	{ NULL },
};

static const struct cli_opt error_opts[] = {
	{ "log-entries", 'e', CLI_NUMBER, &error_entries, "N",
		"the newest N (default, and at most: all there are)", .min = 1 },
	{ NULL },
};

const struct cli_cmd cli_smart_log = {
	.name = "smart-log",
	.what = "Show the SMART / Health Information log page",
	.devices = CLI_DEVICE_ONE,
	.decodes = true,
	.opts = smart_opts,
	.run = run_smart_log,
};

const struct cli_cmd cli_error_log = {
	.name = "error-log",
	.what = "Show the Error Information log page",
	.devices = CLI_DEVICE_ONE,
	.opts = error_opts,
	.run = run_error_log,
};
