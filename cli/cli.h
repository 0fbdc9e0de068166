/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of the command-line tool share: the table of subcommands, the table of options, the device,
 * and how results and failures are told. The tool uses public headers only. Functions here that can fail say
 * why on standard error themselves and return the tool's exit status.
 */
#ifndef CLI_H
#define CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nvio/ctrlr.h>
#include <nvio/env.h>
#include <nvio/log.h>
#include <nvio/ns.h>
#include <nvio/op.h>
#include <nvio/qpair.h>
#include <nvio/trid.h>

#define CLI_COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum cli_exit {
	CLI_OK = 0,
	CLI_FAILED = 1,  /* the device, a file or the system said no */
	CLI_USAGE = 2,   /* the command line makes no sense; nothing was done */
	CLI_DIFFERS = 3, /* compare found a difference, or perf --verify wrong data */
};

/* A number option that was not given. */
#define CLI_UNSET UINT64_MAX

enum cli_kind {
	CLI_FLAG,    /* bool: set when given */
	CLI_NUMBER,  /* uint64_t: decimal, or hexadecimal with 0x; between min and max */
	CLI_SIZE,    /* uint64_t: the same, and k, M, G or T behind it */
	CLI_SECONDS, /* double, above 0 */
	CLI_TEXT,    /* const char * */
	CLI_WORD,    /* unsigned: the index of one of `words` */
	CLI_NUMBERS, /* struct cli_numbers: several, separated by commas */
	CLI_HELP,    /* shows the help */
};

#define CLI_NUMBERS_MAX 256

struct cli_numbers {
	size_t count;
	uint64_t value[CLI_NUMBERS_MAX];
};

/* One option; a table of them ends with a row without a name. Help, parser and messages come from here. */
struct cli_opt {
	const char *name;         /* without the dashes */
	char key;                 /* the short form, or 0 */
	enum cli_kind kind;
	void *to;                 /* what it sets; by kind */
	const char *arg;          /* what the value is called; NULL for flags */
	const char *help;
	const char *const *words; /* CLI_WORD: ends with NULL */
	uint64_t min, max;        /* of numbers and sizes; max 0: anything below CLI_UNSET */
	bool required;
};

enum cli_devices {
	CLI_DEVICE_NONE,
	CLI_DEVICE_ONE,
	CLI_DEVICE_ANY, /* none, one or more */
};

struct cli_cmd {
	const char *name;
	const char *what;           /* one line for the overview */
	const char *more;           /* behind the options in the help; may be NULL */
	enum cli_devices devices;
	const char *args;           /* what stands behind the name, where that is no DEVICE: words, addresses. No controller is opened */
	bool decodes;               /* -v and -H explain the bits; elsewhere -v tells the steps */
	const struct cli_opt *opts; /* its own; the common ones come by themselves */
	int (*run)(void);
};

/* The command line as it was understood. */
struct cli_args {
	const struct cli_cmd *cmd;
	char **devices;
	int num_devices;
	unsigned json;     /* -o: 0 normal, 1 json */
	bool verbose;      /* -v or -H */
	uint64_t nsid;     /* -n; CLI_UNSET */
	uint64_t timeout_ms; /* --timeout; 0: the library's own deadlines */
	unsigned log_level;
};

extern struct cli_args cli;

/* -n of a command that works on one namespace. */
#define CLI_OPT_NSID                                                                                       \
	{ "namespace-id", 'n', CLI_NUMBER, &cli.nsid, "NSID",                                              \
	  "the namespace (default: the first active one)", .max = UINT32_MAX }

/* --timeout of a command that moves data. */
#define CLI_OPT_TIMEOUT                                                                                      \
	{ "timeout", 0, CLI_NUMBER, &cli.timeout_ms, "MS",                                                   \
	  "milliseconds that each I/O may take (default: 30000)", .min = 1, .max = UINT32_MAX }

/* Fills in `cli` and the options' targets; *done: the help was shown and there is nothing to run. opts.c */
int cli_opts_parse(int argc, char **argv, bool *done);
int cli_opts_number(const char *text, bool suffix, uint64_t *value); /* 0, -EINVAL or -ERANGE */

/* The subcommands, in the order of the overview; ends with a row without a name. main.c */
extern const struct cli_cmd *const cli_cmds[];
extern const struct cli_cmd cli_list, cli_id_ctrlr, cli_id_ns, cli_list_ns, cli_smart_log, cli_error_log,
	cli_get_feature, cli_read, cli_write, cli_compare, cli_flush, cli_dsm, cli_write_zeroes,
	cli_admin_passthru, cli_perf, cli_setup, cli_doctor, cli_version;

/* Messages on standard error: "nvio: SUBCOMMAND: ...". say.c */
int cli_fail(const char *fmt, ...) NVIO_PRINTF(1, 2);  /* CLI_FAILED */
int cli_usage(const char *fmt, ...) NVIO_PRINTF(1, 2); /* CLI_USAGE, and where the help is */
void cli_note(const char *fmt, ...) NVIO_PRINTF(1, 2);
/* CLI_FAILED: what failed, and how the op ended or why it could not be submitted. */
int cli_fail_op(const struct nvio_op *op, const char *fmt, ...) NVIO_PRINTF(2, 3);

/* The device. dev.c */
struct cli_dev {
	struct nvio_env *env;
	struct nvio_ctrlr *ctrlr;
	struct nvio_ns *ns;    /* cli_dev_open_ns() only */
	struct nvio_qpair *qp; /* the same */
	uint32_t deadline_ms;  /* of an I/O when --timeout says nothing */
	uint32_t resets;       /* of the controller when it was opened */
};

int cli_env_open(struct nvio_env **env); /* as --log-level and -v say */
int cli_dev_parse(const char *text, struct nvio_trid *trid);
/* opts NULL: the tool's defaults. A failed open leaves nothing to close. */
int cli_dev_open(struct cli_dev *dev, const struct nvio_trid *trid, const struct nvio_ctrlr_opts *opts);
int cli_dev_open_ns(struct cli_dev *dev, const struct nvio_trid *trid, const struct nvio_ctrlr_opts *opts);
/* The same for the only device of the command line. */
int cli_dev_open_arg(struct cli_dev *dev);
int cli_dev_open_ns_arg(struct cli_dev *dev);
void cli_dev_close(struct cli_dev *dev);
void cli_dev_opts_init(struct nvio_ctrlr_opts *opts);
/* Whether [lba, lba + blocks) lies in the namespace; CLI_FAILED says both. */
int cli_dev_check_range(const struct cli_dev *dev, uint64_t lba, uint64_t blocks);
int cli_dev_flush(struct cli_dev *dev);
/* An op with the deadline that --timeout says. */
struct nvio_op cli_dev_op(nvio_op_fn done);
/* cli_fail_op() for an I/O: how long it had, whether a reset followed, and whose disk is full. */
int cli_dev_fail_op(const struct cli_dev *dev, const struct nvio_op *op, const char *fmt, ...)
	NVIO_PRINTF(3, 4);

#endif
