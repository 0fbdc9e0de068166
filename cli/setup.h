/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of `nvio setup` and `nvio doctor` share: a drive and what is on it, and steps: what is to be done, as JSON, so that they
 * can be shown as shell commands, run, turned round, and remembered until `nvio setup reset`.
 */
#ifndef CLI_SETUP_H
#define CLI_SETUP_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include <nvio/pci.h>

#include "tree.h"

/* The options of `nvio setup`, as given. */
struct setup_args {
	const char *user, *group;
	unsigned driver; /* 0 vfio-pci, 1 uio_pci_generic */
	bool persistent, force, dry_run;
	uint64_t node;   /* CLI_UNSET */
};

extern struct setup_args setup;

/* The words behind `nvio setup`. They print and return the tool's exit status. */
int setup_status(char **args, int n);
int setup_bind(char **args, int n);
int setup_unbind(char **args, int n);
int setup_hugepages(char **args, int n);
int setup_memlock(char **args, int n);
int setup_reset(char **args, int n);

/*
 * A drive as JSON: "address", "vendor", "device", "owner", "driver", ..., and "nodes": the controller, namespaces and partitions with
 * "mounts", "holders", "open_by", "swap". setup_use.c
 */
json_t *setup_drive(const struct nvio_pci_info *info);
/*
 * All NVMe functions, or those of `bdfs`, which may be any functions when `any_class`. CLI_OK; CLI_USAGE an address is none; CLI_FAILED.
 */
int setup_drives(char **bdfs, int n, bool any_class, json_t **drives);
/* Why the drive must not be taken away, one sentence each; empty: it may be. */
json_t *setup_uses(const json_t *drive);

/* The nodes of a drive that the kernel has, without their uses. setup_nodes.c */
json_t *setup_nodes(const struct nvio_pci_info *info);
/* Adds to the "holders" of a node the device `name`, which stands on it, in words. setup_holders.c */
void setup_add_holders(json_t *node, const char *name);
/* Mounts, swap, and users that the kernel does not count among the holders. */
void setup_add_mounts(json_t *nodes);
/* "PID (COMMAND)" of each process that has one of the nodes open, into its "open_by". */
void setup_add_openers(json_t *nodes);
/* Adds to `uses` what the next start would miss: lines of /etc/fstab and /etc/crypttab that want the drive. */
void setup_add_fstab(json_t *uses, const json_t *drive);

/*
 * Steps. Each is an object with "do":
 *   module    name                           modprobe
 *   unmodule  name
 *   driver    bdf, driver ("": none)
 *   give      bdf, group, who, uid, gid, mode  the nodes that vfio-pci has made for it
 *   own       path, who, uid, gid, mode      uid or gid -1: as it is
 *   file      path, text                     written anew; only over one of our own
 *   remove    path                           only one of our own
 *   value     path, value                    of sysfs
 *   limit     pid, start, soft, hard         RLIMIT_MEMLOCK of a process
 */
json_t *step_module(const char *name);
json_t *step_driver(const char *bdf, const char *driver);
json_t *step_file(const char *path, const char *text);
json_t *step_remove(const char *path);
json_t *step_value(const char *path, uint64_t value);
json_t *step_limit(pid_t pid, json_int_t soft, json_int_t hard); /* -1: without limit */
json_t *step_own(const char *path, const json_t *who);           /* who: an object with "who", "uid", "gid", "mode" */
json_t *step_give(const char *bdf, int group, const json_t *who);
/* The step as the shell would be told it. step_print.c */
void step_print(const json_t *step);
/* Whether it would change nothing. step_undo.c */
bool step_is_done(const json_t *step);
/* The step that takes it back, as things are now; NULL: there is nothing to take back. */
json_t *step_inverse(const json_t *step);
/* 0 or -errno; words on standard error. Running one again changes nothing. step_run.c */
int step_run(const json_t *step);
/* Whether two steps are about the same thing. */
bool step_same(const json_t *a, const json_t *b);

/* The first line of every file that setup writes. */
#define STEP_HEADER "# Written by nvio setup"
/* 1: there is one and it is ours; 0: there is none; -EEXIST: somebody else's. */
int step_file_is_ours(const char *path);
/* vfio-pci and its like, which take a function only by its driver_override. */
bool step_is_for_user_space(const char *driver);
/* Replaces the file, and makes its folders. 0 or -errno; words on standard error. */
int step_write_file(const char *path, const char *text);
/* When the process began, in ticks, as /proc tells; 0: there is none. */
unsigned long long step_process_start(pid_t pid);

/*
 * Runs the steps that are not done, or with --dry-run shows them; as JSON, if asked. When one fails, those before it are taken back, newest
 * first. What takes them back in the end is remembered, and what is remembered about the things in `forget` (may be NULL) is not any more.
 * The arrays are consumed. setup_plan.c
 */
int plan_run(json_t *steps, json_t *forget);
/* plan_run() did something, and people should be told. */
bool plan_tells(void);

/*
 * What `setup reset` has to do, oldest first, in two files: what a restart forgets by itself, and what it does not. setup_record.c
 */
struct record {
	json_t *steps[2];
	int lock;
};

/* With `lock`, for this process alone until record_close(). CLI_OK or CLI_FAILED. */
int record_open(struct record *r, bool lock);
void record_close(struct record *r);
/* Remembers it, unless something about the same thing is remembered already; takes it over. */
void record_add(struct record *r, json_t *inverse);
/* Forgets everything about the same thing. */
void record_drop(struct record *r, const json_t *step);
int record_save(const struct record *r);

#endif
