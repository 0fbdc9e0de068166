/* SPDX-License-Identifier: BSD-3-Clause */
/* `nvio setup reset`: takes back, newest first, all that setup has done and remembers. */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "out.h"
#include "setup.h"

/* Newest first: what this start of the machine has, then what outlives it. */
static json_t *in_order(const struct record *r)
{
	json_t *steps = cli_json_array();

	for (size_t k = 0; k < CLI_COUNT(r->steps); k++) {
		for (size_t i = json_array_size(r->steps[k]); i-- > 0;)
			cli_json_add(steps, json_incref(json_array_get(r->steps[k], i)));
	}
	return steps;
}

static int find_drive(const struct nvio_pci_info *info, void *arg)
{
	*(json_t **)arg = setup_drive(info);
	return 0;
}

/* Whoever has been given the drive meanwhile is not to lose it by a tidying up. A drive that is gone has nobody. */
static int check_drive(const json_t *step)
{
	struct nvio_pci_scan_opts opts;
	json_t *drive = NULL, *uses, *use;
	int status = CLI_OK;
	size_t i;

	nvio_pci_scan_opts_init(&opts);
	opts.root = tree_root;
	opts.class_code = NVIO_PCI_ANY;
	opts.bdf = tree_get(step, "bdf");
	if (nvio_pci_scan(&opts, find_drive, &drive) || !drive)
		return CLI_OK;
	uses = setup_uses(drive);
	json_array_foreach(uses, i, use) {
		if (!setup.force)
			status = cli_fail("%s: %s; end that first (--force takes it away)", opts.bdf, json_string_value(use));
	}
	json_decref(uses);
	json_decref(drive);
	return status;
}

static bool is_gone(const json_t *step)
{
	return !strcmp(tree_get(step, "do"), "driver") && !tree_exists("/sys/bus/pci/devices/%s", tree_get(step, "bdf"));
}

static int check(const json_t *steps)
{
	json_t *step;
	int status = CLI_OK;
	size_t i;

	json_array_foreach(steps, i, step) {
		if (!strcmp(tree_get(step, "do"), "driver") && !step_is_done(step) && check_drive(step))
			status = CLI_FAILED;
	}
	return status;
}

/* Each on its own: one that fails is remembered still, and the others are taken back. A module may well be in use by others by now. */
static int run(struct record *r, const json_t *steps, size_t *count)
{
	int status = CLI_OK;
	json_t *step;
	size_t i;

	json_array_foreach(steps, i, step) {
		bool is_module = !strcmp(tree_get(step, "do"), "unmodule");

		if (!step_is_done(step) && !is_gone(step)) {
			if (step_run(step) && !is_module) {
				status = CLI_FAILED;
				continue;
			}
			++*count;
		}
		record_drop(r, step);
		if (record_save(r))
			return CLI_FAILED;
	}
	return status;
}

static void show(const json_t *steps, size_t count)
{
	json_t *root, *step;
	size_t i;

	if (cli.json) {
		root = cli_json_object();
		cli_json_set(root, "dry_run", json_boolean(setup.dry_run));
		cli_json_set(root, "steps", json_deep_copy(steps));
		cli_json_print(root);
	} else if (setup.dry_run) {
		json_array_foreach(steps, i, step) {
			if (!step_is_done(step) && !is_gone(step))
				step_print(step);
		}
		if (!json_array_size(steps))
			printf("# nothing to do\n");
	} else if (count) {
		printf("%zu steps taken back; all is as it was before nvio setup\n", count);
	} else {
		printf("nothing to take back\n");
	}
}

int setup_reset(char **args, int n)
{
	struct record r;
	json_t *steps;
	size_t count = 0;
	int status;

	if (n)
		return cli_usage("reset: '%s' is too much: it takes everything back; for one drive: nvio setup unbind", args[0]);
	status = record_open(&r, !setup.dry_run);
	if (status)
		return status;
	steps = in_order(&r);
	status = check(steps);
	if (!status && !setup.dry_run)
		status = run(&r, steps, &count);
	if (!status)
		show(steps, count);
	else
		cli_note("what is left can be taken back by another 'nvio setup reset'");
	json_decref(steps);
	record_close(&r);
	return status;
}
