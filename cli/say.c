/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages of the tool: one line each, on standard error, with the tool's and the subcommand's name in front.
 */
#include <stdarg.h>
#include <stdio.h>

#include "cli.h"

static void say(const char *fmt, va_list ap, const char *tail)
{
	fprintf(stderr, "nvio: ");
	if (cli.cmd)
		fprintf(stderr, "%s: ", cli.cmd->name);
	vfprintf(stderr, fmt, ap);
	if (tail)
		fprintf(stderr, ": %s", tail);
	fputc('\n', stderr);
}

int cli_fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(fmt, ap, NULL);
	va_end(ap);
	return CLI_FAILED;
}

int cli_usage(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(fmt, ap, NULL);
	va_end(ap);
	fprintf(stderr, "Try: nvio %s%s--help\n", cli.cmd ? cli.cmd->name : "", cli.cmd ? " " : "");
	return CLI_USAGE;
}

void cli_note(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(fmt, ap, NULL);
	va_end(ap);
}

int cli_fail_op(const struct nvio_op *op, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(fmt, ap, nvio_op_strerror(op));
	va_end(ap);
	return CLI_FAILED;
}
