/* SPDX-License-Identifier: BSD-3-Clause */
/* admin-passthru: any admin command, its dwords as given; data from a file, to the screen or as it is. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <nvio/spec/admin.h>
#include <nvio/spec/command.h>

#include "cli.h"
#include "out.h"

#define DATA_MAX (16u << 20)

static struct {
	uint64_t opcode, cdw2, cdw3, cdw10, cdw11, cdw12, cdw13, cdw14, cdw15, data_len, timeout_ms;
	bool read, write, raw;
	const char *input;
} args;

/* Reads exactly `len` bytes: a command that goes out with half of its data is worse than none. */
static int read_input(const char *name, uint8_t *data, size_t len)
{
	bool from_stdin = !strcmp(name, "-");
	int fd = from_stdin ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC);
	size_t have = 0;
	ssize_t n = 1;
	int status = CLI_OK;

	if (fd < 0)
		return cli_fail("%s: %s", name, strerror(errno));
	while (have < len && n) {
		n = read(fd, data + have, len - have);
		if (n < 0 && errno != EINTR) {
			status = cli_fail("%s: %s", name, strerror(errno));
			goto close;
		}
		have += n > 0 ? (size_t)n : 0;
	}
	if (have < len)
		status = cli_fail("%s has %zu bytes, but --data-len asks for %zu", name, have, len);
close:
	if (!from_stdin)
		close(fd);
	return status;
}

static int check(void)
{
	if (args.read && args.write)
		return cli_usage("--read and --write exclude each other");
	if ((args.read || args.write) && !args.data_len)
		return cli_usage("--%s needs --data-len", args.read ? "read" : "write");
	if (args.data_len && !args.read && !args.write)
		return cli_usage("--data-len needs --read or --write");
	if (args.input && !args.write)
		return cli_usage("--input-file is for --write");
	if (args.raw && !args.read)
		return cli_usage("--raw-binary is for --read");
	if (args.raw && cli.json)
		return cli_usage("--raw-binary and -o json exclude each other");
	return CLI_OK;
}

static void show(const struct nvio_cpl *cpl, const void *data)
{
	size_t len = args.read ? args.data_len : 0;
	json_t *root;

	if (args.raw) {
		fwrite(data, 1, len, stdout);
		return;
	}
	if (!cli.json) {
		printf("opcode 0x%02" PRIx64 " (%s): success, result 0x%08" PRIx32 "\n", args.opcode,
			nvio_admin_opcode_str((uint8_t)args.opcode), cpl->dw0);
		cli_hexdump(data, len);
		return;
	}
	root = cli_json_object();
	cli_json_set(root, "opcode", cli_json_u64(args.opcode));
	cli_json_set(root, "command", cli_json_text(nvio_admin_opcode_str((uint8_t)args.opcode)));
	cli_json_set(root, "result", json_integer(cpl->dw0));
	if (len)
		cli_json_set(root, "data", cli_json_hex(data, len));
	cli_json_print(root);
}

static int submit(struct cli_dev *dev, void *data)
{
	struct nvio_sqe cmd = {
		.opc = (uint8_t)args.opcode,
		.nsid = nvio_to_le32(cli.nsid == CLI_UNSET ? 0 : (uint32_t)cli.nsid),
		.cdw2 = nvio_to_le32((uint32_t)args.cdw2),
		.cdw3 = nvio_to_le32((uint32_t)args.cdw3),
		.cdw10 = nvio_to_le32((uint32_t)args.cdw10),
		.cdw11 = nvio_to_le32((uint32_t)args.cdw11),
		.cdw12 = nvio_to_le32((uint32_t)args.cdw12),
		.cdw13 = nvio_to_le32((uint32_t)args.cdw13),
		.cdw14 = nvio_to_le32((uint32_t)args.cdw14),
		.cdw15 = nvio_to_le32((uint32_t)args.cdw15),
	};
	struct nvio_op op = NVIO_OP(NULL);

	op.timeout_us = args.timeout_ms * 1000;
	if (nvio_await(nvio_ctrlr_admin(dev->ctrlr, &cmd, data, args.data_len, &op), &op))
		return cli_fail_op(&op, "opcode 0x%02" PRIx64 " (%s)", args.opcode,
			nvio_admin_opcode_str((uint8_t)args.opcode));
	show(&op.cpl, data);
	return CLI_OK;
}

static int run_admin_passthru(void)
{
	struct cli_dev dev;
	uint8_t *data = NULL;
	int status = check();

	if (status)
		return status;
	if (args.data_len) {
		data = calloc(1, args.data_len);
		if (!data)
			return cli_fail("out of memory");
	}
	if (args.write)
		status = read_input(args.input ? args.input : "-", data, args.data_len);
	if (!status)
		status = cli_dev_open_arg(&dev);
	if (!status) {
		status = submit(&dev, data);
		cli_dev_close(&dev);
	}
	free(data);
	return status;
}

#define DWORD(name, field)                                                                                   \
	{                                                                                                    \
		name, 0, CLI_NUMBER, &args.field, "N", "command dword", .max = UINT32_MAX                    \
	}

static const struct cli_opt passthru_opts[] = {
	{ "opcode", 'O', CLI_NUMBER, &args.opcode, "N", "the command's opcode", .max = 255,
		.required = true },
	{ "namespace-id", 'n', CLI_NUMBER, &cli.nsid, "NSID", "the command's namespace (default: 0)",
		.max = UINT32_MAX },
	DWORD("cdw2", cdw2),
	DWORD("cdw3", cdw3),
	DWORD("cdw10", cdw10),
	DWORD("cdw11", cdw11),
	DWORD("cdw12", cdw12),
	DWORD("cdw13", cdw13),
	DWORD("cdw14", cdw14),
	DWORD("cdw15", cdw15),
	{ "data-len", 'l', CLI_SIZE, &args.data_len, "BYTES", "bytes of data", .max = DATA_MAX },
	{ "read", 'r', CLI_FLAG, &args.read, NULL, "the data comes from the controller" },
	{ "write", 'w', CLI_FLAG, &args.write, NULL, "the data goes to the controller" },
	{ "input-file", 'i', CLI_TEXT, &args.input, "FILE",
		"the data of --write (default: -, standard input)" },
	{ "raw-binary", 'b', CLI_FLAG, &args.raw, NULL,
		"print the data that was read as it is, and nothing else" },
	{ "timeout", 't', CLI_NUMBER, &args.timeout_ms, "MS",
		"milliseconds that the command may take (default: 60000)", .min = 1, .max = UINT32_MAX },
	{ NULL },
};

const struct cli_cmd cli_admin_passthru = {
	.name = "admin-passthru",
	.what = "Send any admin command",
	.more = "Dwords 4 to 9 are the pointers to the data, which the library sets. The commands that\n"
		"manage queues are its own, too, and are refused.\n",
	.devices = CLI_DEVICE_ONE,
	.opts = passthru_opts,
	.run = run_admin_passthru,
};
