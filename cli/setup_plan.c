/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Running a list of steps as one: what takes a step back is on disk before the step is made, so that whatever ends us half way, `nvio
 * setup reset` still finds its way.
 */
#include <stdio.h>

#include "cli.h"
#include "out.h"
#include "setup.h"

bool plan_tells(void)
{
	return !cli.json && !setup.dry_run;
}

static json_t *without_done(json_t *steps)
{
	json_t *left = cli_json_array(), *step;
	size_t i;

	json_array_foreach(steps, i, step) {
		if (!step_is_done(step))
			cli_json_add(left, json_incref(step));
	}
	json_decref(steps);
	return left;
}

static void show(const json_t *steps)
{
	json_t *step, *root;
	size_t i;

	if (cli.json) {
		root = cli_json_object();
		cli_json_set(root, "dry_run", json_boolean(setup.dry_run));
		cli_json_set(root, "steps", json_deep_copy(steps));
		cli_json_print(root);
	} else if (setup.dry_run) {
		json_array_foreach(steps, i, step)
			step_print(step);
		if (!json_array_size(steps))
			printf("# nothing to do\n");
	}
}

/* Newest first; what cannot be taken back has been told, and the others still are. */
static void take_back(const json_t *inverses)
{
	for (size_t i = json_array_size(inverses); i-- > 0;)
		step_run(json_array_get(inverses, i));
}

static int run_all(struct record *r, const json_t *steps)
{
	json_t *before[2] = { json_deep_copy(r->steps[0]), json_deep_copy(r->steps[1]) };
	json_t *inverses = cli_json_array(), *inverse;
	int status = CLI_OK;

	for (size_t i = 0; i < json_array_size(steps) && !status; i++) {
		const json_t *step = json_array_get(steps, i);

		inverse = step_inverse(step);
		if (inverse) {
			cli_json_add(inverses, json_incref(inverse));
			record_add(r, inverse);
			status = record_save(r);
		}
		if (!status && step_run(step))
			status = CLI_FAILED;
	}
	if (status) {
		take_back(inverses);
		for (size_t i = 0; i < CLI_COUNT(before); i++) {
			json_decref(r->steps[i]);
			r->steps[i] = json_incref(before[i]);
		}
		record_save(r);
		cli_note("what was done has been taken back");
	}
	json_decref(inverses);
	for (size_t i = 0; i < CLI_COUNT(before); i++)
		json_decref(before[i]);
	return status;
}

int plan_run(json_t *steps, json_t *forget)
{
	struct record r;
	int status = CLI_OK;
	json_t *step;
	size_t i;

	steps = without_done(steps);
	if (setup.dry_run)
		goto show;
	status = record_open(&r, true);
	if (status)
		goto out;
	status = run_all(&r, steps);
	if (!status && forget) {
		json_array_foreach(forget, i, step)
			record_drop(&r, step);
		status = record_save(&r);
	}
	record_close(&r);
show:
	if (!status)
		show(steps);
out:
	json_decref(steps);
	json_decref(forget);
	return status;
}
