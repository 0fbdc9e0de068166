/* SPDX-License-Identifier: BSD-3-Clause */
/* The engine's options, as `fio --enghelp` tells them, and the table by which fio finds everything. */
#include "engine.h"

#include <optgroup.h>

#define OPTION(opt_name, opt_lname, opt_type, field) \
	.name = (opt_name), .lname = (opt_lname), .type = (opt_type), .off1 = offsetof(struct nvio_options, field), \
	.category = FIO_OPT_C_ENGINE, .group = FIO_OPT_G_INVALID

struct fio_option nvio_option_table[] = {
	{
		OPTION("nsid", "Namespace id", FIO_OPT_INT, nsid),
		.help = "Namespace of each file that is a controller and says none (ns=); 0: the first active one",
		.def = "0",
		.maxval = UINT32_MAX - 1,
	},
	{
		OPTION("wait", "How to wait", FIO_OPT_STR, wait),
		.help = "How a job waits for completions",
		.def = "spin",
		.posval = {
			{ .ival = "spin", .oval = WAIT_SPIN, .help = "Poll: least latency, a whole core" },
			{ .ival = "sleep", .oval = WAIT_SLEEP, .help = "Poll for 20 us, then sleep until the drive rouses it" },
		},
	},
	{
		OPTION("buffers", "Where buffers come from", FIO_OPT_STR, buffers),
		.help = "Memory for I/O",
		.def = "alloc",
		.posval = {
			{ .ival = "alloc", .oval = BUFFERS_ALLOC, .help = "nvio_mem_alloc()" },
			{ .ival = "register", .oval = BUFFERS_REGISTER, .help = "Pages of the job's own, nvio_mem_register()" },
			{ .ival = "plain", .oval = BUFFERS_PLAIN, .help = "Pages that nvio knows nothing of; PCIe needs bounce=1 then" },
		},
	},
	{
		OPTION("bounce", "Bounce", FIO_OPT_BOOL, bounce),
		.help = "Controllers: copy I/O of memory that the drive cannot reach, in place of refusing it",
		.def = "0",
	},
	{
		OPTION("write_mode", "Write mode", FIO_OPT_STR, write_mode),
		.help = "What a write is",
		.def = "write",
		.posval = {
			{ .ival = "write", .oval = WRITE_DATA, .help = "Write" },
			{ .ival = "zeroes", .oval = WRITE_ZEROES, .help = "Write Zeroes: no data is moved" },
		},
	},
	{
		OPTION("fua", "Force Unit Access", FIO_OPT_BOOL, fua),
		.help = "A write is on the medium when it completes",
		.def = "0",
	},
	{
		OPTION("command_timeout_ms", "Command timeout", FIO_OPT_INT, command_timeout_ms),
		.help = "Deadline of each I/O; 0: the library's, 30 s for controllers and none for block devices",
		.def = "0",
		.maxval = UINT32_MAX,
	},
	{
		OPTION("hugepages", "Huge pages", FIO_OPT_STR, hugepages),
		.help = "Pages of the memory for I/O; the same for all jobs of a process",
		.def = "no",
		.posval = {
			{ .ival = "no", .oval = FIO_HUGE_NO, .help = "Ordinary ones" },
			{ .ival = "try", .oval = FIO_HUGE_TRY, .help = "2 MiB where there are any" },
			{ .ival = "2m", .oval = FIO_HUGE_2M, .help = "2 MiB, or an error" },
			{ .ival = "1g", .oval = FIO_HUGE_1G, .help = "1 GiB, or an error" },
		},
	},
	{
		OPTION("unsafe_no_iommu", "Without an IOMMU", FIO_OPT_BOOL, unsafe_no_iommu),
		.help = "PCIe drives may be used without an IOMMU, by root, with huge pages; the same for all jobs of a process",
		.def = "0",
	},
	{ .name = NULL },
};

static int open_file(struct thread_data *td, struct fio_file *f)
{
	return 0;
}

/* Found by its name. */
extern struct ioengine_ops ioengine __attribute__((visibility("default")));
struct ioengine_ops ioengine = {
	.name = "nvio",
	.version = FIO_IOOPS_VERSION,
	/* No file to look at, lay out or ask the kernel about; no offload: a queue pair belongs to one OS thread. */
	.flags = FIO_DISKLESSIO | FIO_RAWIO | FIO_NOEXTEND | FIO_NODISKUTIL | FIO_NO_OFFLOAD |
		FIO_ASYNCIO_SETS_ISSUE_TIME,
	.setup = engine_setup,
	.init = engine_init,
	.queue = engine_queue,
	.commit = engine_commit,
	.getevents = engine_getevents,
	.event = engine_event,
	.errdetails = engine_errdetails,
	.cancel = engine_cancel,
	.cleanup = engine_cleanup,
	.open_file = open_file,
	.close_file = open_file,
	.io_u_init = engine_io_u_init,
	.iomem_alloc = engine_iomem_alloc,
	.iomem_free = engine_iomem_free,
	.option_struct_size = sizeof(struct nvio_options),
	.options = nvio_option_table,
};
