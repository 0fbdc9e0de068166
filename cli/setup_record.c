/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What setup has to take back, in two files that lie where what they speak of lies: a restart of the machine forgets bindings, owners of
 * device files, hugepages and limits, and /run with them; files below /etc stay, and so does /var/lib.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "out.h"
#include "setup.h"

static const char *const record_paths[] = { "/run/nvio/setup.json", "/var/lib/nvio/setup.json" };
static const char lock_path[] = "/run/nvio/setup.lock";

static bool is_record(const json_t *root)
{
	json_t *step;
	size_t i;

	if (!json_is_array(json_object_get(root, "steps")))
		return false;
	json_array_foreach(json_object_get(root, "steps"), i, step) {
		if (!json_is_object(step) || !tree_get(step, "do")[0])
			return false;
	}
	return true;
}

static int load(const char *path, json_t **steps)
{
	char *text = tree_text("%s", path), full[PATH_MAX];
	json_error_t why = { .text = "no \"steps\" in it" };
	json_t *root;

	tree_path(full, "%s", path);
	if (!text && errno != ENOENT)
		return cli_fail("%s: %s", full, strerror(errno));
	if (!text) {
		*steps = cli_json_array();
		return CLI_OK;
	}
	root = json_loads(text, 0, &why);
	free(text);
	if (!is_record(root)) {
		json_decref(root);
		return cli_fail("%s is not as setup wrote it: %s; move it away, and what it remembered has to be undone by hand", full,
			why.text);
	}
	*steps = json_incref(json_object_get(root, "steps"));
	json_decref(root);
	return CLI_OK;
}

static int no_lock(const char *path)
{
	return cli_fail("%s: %s%s", path, strerror(errno), errno == EACCES || errno == EPERM ? "; this needs root: run it with sudo" : "");
}

static int take_lock(struct record *r)
{
	static const char *const folders[] = { "/run", "/run/nvio" };
	char path[PATH_MAX];

	for (size_t i = 0; i < CLI_COUNT(folders); i++) {
		if (mkdir(tree_path(path, "%s", folders[i]), 0755) && errno != EEXIST)
			return no_lock(path);
	}
	r->lock = open(tree_path(path, "%s", lock_path), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (r->lock < 0)
		return no_lock(path);
	while (flock(r->lock, LOCK_EX)) {
		if (errno != EINTR)
			return no_lock(path);
	}
	return CLI_OK;
}

int record_open(struct record *r, bool lock)
{
	int status = CLI_OK;

	*r = (struct record){ .lock = -1 };
	if (lock)
		status = take_lock(r);
	for (size_t i = 0; i < CLI_COUNT(r->steps) && !status; i++)
		status = load(record_paths[i], &r->steps[i]);
	if (status)
		record_close(r);
	return status;
}

void record_close(struct record *r)
{
	for (size_t i = 0; i < CLI_COUNT(r->steps); i++)
		json_decref(r->steps[i]);
	if (r->lock >= 0)
		close(r->lock);
	*r = (struct record){ .lock = -1 };
}

static size_t find(const json_t *steps, const json_t *step)
{
	json_t *one;
	size_t i;

	json_array_foreach(steps, i, one) {
		if (step_same(one, step))
			break;
	}
	return i;
}

void record_add(struct record *r, json_t *inverse)
{
	const char *what = tree_get(inverse, "do");
	json_t *steps = r->steps[!strcmp(what, "file") || !strcmp(what, "remove")];

	/* The oldest says how things were before any of it. */
	if (find(steps, inverse) == json_array_size(steps))
		cli_json_add(steps, inverse);
	else
		json_decref(inverse);
}

void record_drop(struct record *r, const json_t *step)
{
	for (size_t i = 0; i < CLI_COUNT(r->steps); i++)
		json_array_remove(r->steps[i], find(r->steps[i], step));
}

static int save(const char *path, json_t *steps)
{
	char full[PATH_MAX], *text;
	json_t *root;
	int rc;

	if (!json_array_size(steps)) {
		if (unlink(tree_path(full, "%s", path)) && errno != ENOENT)
			return cli_fail("%s: %s", full, strerror(errno));
		/* Its folder goes when it is empty, which the one of the lock is not. */
		*strrchr(full, '/') = 0;
		rmdir(full);
		return CLI_OK;
	}
	root = cli_json_object();
	cli_json_set(root, "steps", json_incref(steps));
	text = json_dumps(root, JSON_INDENT(2));
	json_decref(root);
	rc = text ? step_write_file(path, text) : -ENOMEM;
	free(text);
	return rc ? CLI_FAILED : CLI_OK;
}

int record_save(const struct record *r)
{
	int status = CLI_OK;

	for (size_t i = 0; i < CLI_COUNT(r->steps) && !status; i++)
		status = save(record_paths[i], r->steps[i]);
	return status;
}
