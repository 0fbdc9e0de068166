/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command-line tool: finds the subcommand, has its options parsed, runs it, and sees that its output got
 * out.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

struct cli_args cli = { .nsid = CLI_UNSET, .log_level = NVIO_LOG_WARN };

const struct cli_cmd *const cli_cmds[] = {
	&cli_list,
	&cli_id_ctrlr,
	&cli_id_ns,
	&cli_list_ns,
	&cli_smart_log,
	&cli_error_log,
	&cli_get_feature,
	&cli_read,
	&cli_write,
	&cli_compare,
	&cli_flush,
	&cli_dsm,
	&cli_write_zeroes,
	&cli_admin_passthru,
	&cli_perf,
	&cli_setup,
	&cli_doctor,
	&cli_version,
	NULL,
};

static void overview(FILE *f)
{
	fprintf(f, "Usage: nvio SUBCOMMAND [DEVICE] [OPTION]...\n"
		   "User-space NVMe: look at controllers and move data, without the kernel's driver.\n\n"
		   "Subcommands:\n");
	for (const struct cli_cmd *const *c = cli_cmds; *c; c++)
		fprintf(f, "  %-16s %s\n", (*c)->name, (*c)->what);
	fprintf(f,
		"\nDEVICE is a transport id in one argument: 'trtype:LOOP traddr:disk.img', or short:\n"
		"  loop:disk.img         a software drive over an image; with ?size=1G it is made\n"
		"  loop:ram:256M         one over memory, gone with the command\n"
		"  loop:null:1G          one that swallows writes and reads as zeros\n"
		"\nExit status: 0 success; 1 an operation failed, or the drive refused what its string\n"
		"asks for; 2 wrong usage, or a DEVICE that is no transport id; 3 compare found a\n"
		"difference, or perf --verify wrong data.\n"
		"\nnvio SUBCOMMAND --help says more.\n");
}

static const struct cli_cmd *find(const char *name)
{
	for (const struct cli_cmd *const *c = cli_cmds; *c; c++) {
		if (!strcmp((*c)->name, name))
			return *c;
	}
	return NULL;
}

/*
 * Output that was lost is a failure like any other: a full disk behind `nvio ... > file`, or a reader that
 * went away.
 */
static int finish(int status)
{
	if (fflush(stdout) || ferror(stdout)) {
		cli_note("standard output: %s", strerror(errno));
		return status == CLI_OK ? CLI_FAILED : status;
	}
	return status;
}

/*
 * Whoever starts us without one of the standard descriptors would have its number taken by the next file that
 * is opened, and our output would end up in a disk image. Opened the wrong way round, they fail as they
 * should.
 */
static void hold_descriptors(void)
{
	/* The lowest number that is free is the one that is missing. */
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) < 0)
			(void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
	}
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;
	bool done = false;
	int status;

	hold_descriptors();
	/* A reader that goes away is told as a write error, with a message. */
	signal(SIGPIPE, SIG_IGN);
	if (!name) {
		overview(stderr);
		return CLI_USAGE;
	}
	if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help")) {
		overview(stdout);
		return finish(CLI_OK);
	}
	if (!strcmp(name, "--version"))
		name = "version";
	cli.cmd = find(name);
	if (!cli.cmd)
		return cli_usage("there is no subcommand '%s'", name);
	status = cli_opts_parse(argc - 1, argv + 1, &done);
	if (status || done)
		return finish(status);
	return finish(cli.cmd->run());
}
