/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Options, all from tables: a subcommand's own and the common ones. The same rows make the parser
 * (getopt_long), the checks of values and the help, so that none of them can say something else than the
 * others.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

#define OPTS_MAX 48
/* What getopt_long() answers for row i; above every character. */
#define LONG_BASE 256

static const char *const formats[] = { "normal", "json", NULL };
static const char *const levels[] = { "error", "warn", "notice", "info", "debug", NULL };

static const struct cli_opt common[] = {
	{ "output-format", 'o', CLI_WORD, &cli.json, "FORMAT", "normal (default) or json", formats },
	{ "log-level", 0, CLI_WORD, &cli.log_level, "LEVEL", "error, warn (default), notice, info or debug",
		levels },
	{ "help", 'h', CLI_HELP, NULL, NULL, "this" },
	{ NULL },
};

static const struct cli_opt output_only[] = {
	{ "output-format", 'o', CLI_WORD, &cli.json, "FORMAT", "normal (default) or json", formats },
	{ "help", 'h', CLI_HELP, NULL, NULL, "this" },
	{ NULL },
};

static const struct cli_opt decode[] = {
	{ "verbose", 'v', CLI_FLAG, &cli.verbose, NULL, "explain the bits" },
	{ "human-readable", 'H', CLI_FLAG, &cli.verbose, NULL, "the same" },
	{ NULL },
};

static const struct cli_opt steps[] = {
	{ "verbose", 'v', CLI_FLAG, &cli.verbose, NULL,
		"tell each step on standard error (--log-level debug)" },
	{ NULL },
};

static size_t gather(const struct cli_opt **rows)
{
	const struct cli_opt *tables[3] = { cli.cmd->opts, cli.cmd->decodes ? decode : steps, common };
	size_t n = 0;

	if (cli.cmd->devices == CLI_DEVICE_NONE || cli.cmd->args) {
		tables[1] = NULL;
		tables[2] = output_only;
	}
	for (size_t t = 0; t < CLI_COUNT(tables); t++) {
		for (const struct cli_opt *o = tables[t]; o && o->name && n < OPTS_MAX; o++)
			rows[n++] = o;
	}
	return n;
}

static void help(const struct cli_opt *const *rows, size_t n)
{
	static const char *const devices[] = { "", " DEVICE", " [DEVICE]..." };

	printf("Usage: nvio %s%s%s [OPTION]...\n%s.\n\nOptions:\n", cli.cmd->name, cli.cmd->args ? " " : "",
		cli.cmd->args ? cli.cmd->args : devices[cli.cmd->devices], cli.cmd->what);
	for (size_t i = 0; i < n; i++) {
		char left[64];

		snprintf(left, sizeof(left), "%c%c%s --%s%s%s", rows[i]->key ? '-' : ' ',
			rows[i]->key ? rows[i]->key : ' ', rows[i]->key ? "," : " ", rows[i]->name,
			rows[i]->arg ? " " : "", rows[i]->arg ? rows[i]->arg : "");
		printf("  %-26s %s%s\n", left, rows[i]->help, rows[i]->required ? " (required)" : "");
	}
	if (cli.cmd->devices != CLI_DEVICE_NONE && !cli.cmd->args)
		printf("\nDEVICE is a transport id: loop:disk.img, loop:ram:256M, "
		       "'trtype:LOOP traddr:disk.img'.\n");
	if (cli.cmd->more)
		printf("\n%s", cli.cmd->more);
}

/* By hand, since strtoull() takes signs, blanks, and a leading 0 for octal. */
int cli_opts_number(const char *text, bool suffix, uint64_t *value)
{
	static const char units[] = "kMGTP";
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	const char *set = hex ? "0123456789abcdefABCDEF" : "0123456789";
	const char *start = text + (hex ? 2 : 0);
	size_t digits = strspn(start, set);
	unsigned long long v;

	if (!digits)
		return -EINVAL;
	errno = 0;
	v = strtoull(start, NULL, hex ? 16 : 10);
	if (errno)
		return -ERANGE;
	text = start + digits;
	if (suffix && *text) {
		const char *unit = strchr(units, *text == 'K' ? 'k' : *text);
		unsigned shift;

		if (!unit || text[1])
			return -EINVAL;
		shift = 10 * (unsigned)(unit - units + 1);
		if (v > UINT64_MAX >> shift)
			return -ERANGE;
		v <<= shift;
	} else if (*text) {
		return -EINVAL;
	}
	*value = v;
	return 0;
}

static int bad_value(const struct cli_opt *o, const char *text, const char *what)
{
	return cli_usage("--%s: '%s' %s", o->name, text, what);
}

static int set_number(const struct cli_opt *o, const char *text, uint64_t *to)
{
	bool suffix = o->kind == CLI_SIZE;
	/* The largest value of all stands for "not given". */
	uint64_t max = o->max ? o->max : CLI_UNSET - 1;
	uint64_t v;
	int rc = cli_opts_number(text, suffix, &v);

	if (rc == -ERANGE)
		return bad_value(o, text, "is too large");
	if (rc)
		return bad_value(o, text,
			suffix ? "is not a size: a number, and perhaps k, M, G, T or P behind it"
			       : "is not a number: decimal, or hexadecimal with 0x");
	if (v < o->min || v > max)
		return cli_usage("--%s: %s is out of range: %llu to %llu", o->name, text,
			(unsigned long long)o->min, (unsigned long long)max);
	*to = v;
	return CLI_OK;
}

static int set_numbers(const struct cli_opt *o, const char *text, struct cli_numbers *to)
{
	char one[32];

	to->count = 0;
	for (const char *p = text;; p++) {
		size_t len = strcspn(p, ",");
		int status;

		if (to->count == CLI_NUMBERS_MAX)
			return cli_usage("--%s: more than %d numbers", o->name, CLI_NUMBERS_MAX);
		if (len >= sizeof(one))
			return bad_value(o, text, "is not a list of numbers separated by commas");
		memcpy(one, p, len);
		one[len] = 0;
		status = set_number(o, one, &to->value[to->count]);
		if (status)
			return status;
		to->count++;
		p += len;
		if (!*p)
			return CLI_OK;
	}
}

static int set_seconds(const struct cli_opt *o, const char *text, double *to)
{
	char *end;
	double v = strtod(text, &end);

	/* The comparison also turns away what is not a number. */
	if (end == text || *end || !(v > 0 && v <= 1e6))
		return bad_value(o, text, "is not a number of seconds above 0");
	*to = v;
	return CLI_OK;
}

static int set_word(const struct cli_opt *o, const char *text, unsigned *to)
{
	for (unsigned i = 0; o->words[i]; i++) {
		if (!strcmp(o->words[i], text)) {
			*to = i;
			return CLI_OK;
		}
	}
	cli_note("--%s: '%s' is none of:", o->name, text);
	for (unsigned i = 0; o->words[i]; i++)
		fprintf(stderr, "  %s\n", o->words[i]);
	return CLI_USAGE;
}

static int set(const struct cli_opt *o, const char *text)
{
	switch (o->kind) {
	case CLI_FLAG: *(bool *)o->to = true; return CLI_OK;
	case CLI_NUMBER:
	case CLI_SIZE: return set_number(o, text, o->to);
	case CLI_SECONDS: return set_seconds(o, text, o->to);
	case CLI_TEXT: *(const char **)o->to = text; return CLI_OK;
	case CLI_WORD: return set_word(o, text, o->to);
	case CLI_NUMBERS: return set_numbers(o, text, o->to);
	case CLI_HELP: break;
	}
	return CLI_OK;
}

static int check_devices(int argc, char **argv)
{
	cli.devices = argv;
	cli.num_devices = argc;
	if (cli.cmd->devices == CLI_DEVICE_ONE && argc == 0)
		return cli_usage("no DEVICE given, as in: nvio %s loop:disk.img", cli.cmd->name);
	if (cli.cmd->devices == CLI_DEVICE_NONE && argc)
		return cli_usage("'%s' is too much: there is no argument", argv[0]);
	if (cli.cmd->devices == CLI_DEVICE_ONE && argc > 1)
		return cli_usage(
			"'%s' is too much: one DEVICE is enough (a transport id of several words needs "
			"quotes)",
			argv[1]);
	return CLI_OK;
}

static size_t index_of(const struct cli_opt *const *rows, size_t n, int c)
{
	if (c >= LONG_BASE)
		return (size_t)(c - LONG_BASE);
	for (size_t i = 0; i < n; i++) {
		if (rows[i]->key == c)
			return i;
	}
	return n;
}

static int unknown(int c, char **argv, const struct cli_opt *const *rows, size_t n)
{
	size_t i = index_of(rows, n, optopt);

	if (c == ':' && i < n)
		return cli_usage("--%s needs a value: %s", rows[i]->name, rows[i]->arg);
	if (optopt && optopt < LONG_BASE)
		return cli_usage("there is no option -%c", optopt);
	if (optopt)
		return cli_usage("--%s takes no value", rows[i]->name);
	return cli_usage("there is no option %s", argv[optind - 1]);
}

int cli_opts_parse(int argc, char **argv, bool *done)
{
	const struct cli_opt *rows[OPTS_MAX];
	struct option longs[OPTS_MAX + 1] = { 0 };
	char shorts[2 * OPTS_MAX + 2] = ":", *s = shorts + 1;
	bool given[OPTS_MAX] = { 0 };
	size_t n = gather(rows);
	int c, status;

	for (size_t i = 0; i < n; i++) {
		longs[i] = (struct option){ rows[i]->name, rows[i]->arg ? required_argument : no_argument,
			NULL, LONG_BASE + (int)i };
		if (!rows[i]->key)
			continue;
		*s++ = rows[i]->key;
		if (rows[i]->arg)
			*s++ = ':';
	}
	opterr = 0;
	while ((c = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		size_t i = c == '?' || c == ':' ? n : index_of(rows, n, c);

		if (i >= n)
			return unknown(c, argv, rows, n);
		if (rows[i]->kind == CLI_HELP) {
			help(rows, n);
			*done = true;
			return CLI_OK;
		}
		status = set(rows[i], optarg);
		if (status)
			return status;
		given[i] = true;
	}
	for (size_t i = 0; i < n; i++) {
		if (rows[i]->required && !given[i])
			return cli_usage("--%s is missing", rows[i]->name);
	}
	return check_devices(argc - optind, argv + optind);
}
