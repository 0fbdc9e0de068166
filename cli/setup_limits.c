/* SPDX-License-Identifier: BSD-3-Clause */
/* `nvio setup hugepages` and `memlock`: memory for DMA, from the system and for one user. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "out.h"
#include "setup.h"

static const struct {
	const char *name;
	unsigned kib;
} sizes[] = { { "2M", 2048 }, { "1G", 1048576 } };

/* "64", "64,2M" or "2,1G". */
static int parse_pages(const char *text, uint64_t *count, size_t *size)
{
	const char *comma = strchr(text, ',');
	char number[24];

	*size = 0;
	if (comma) {
		while (*size < CLI_COUNT(sizes) && strcmp(sizes[*size].name, comma + 1) != 0)
			++*size;
		if (*size == CLI_COUNT(sizes))
			return cli_usage("hugepages: '%s' is no size of a hugepage: 2M or 1G", comma + 1);
	}
	snprintf(number, sizeof(number), "%.*s", (int)(comma ? comma - text : (long)strlen(text)), text);
	if (cli_opts_number(number, false, count) || *count > 1u << 30)
		return cli_usage("hugepages: '%s' is no number of hugepages, as in: nvio setup hugepages 64,2M", number);
	return CLI_OK;
}

/* The same with each start, before anything has cut memory to pieces. */
static int add_lasting(json_t *steps, const char *path, uint64_t count, size_t size)
{
	char name[128], text[512], full[PATH_MAX], node[32] = "";

	if (setup.node != CLI_UNSET)
		snprintf(node, sizeof(node), "-node%" PRIu64, setup.node);
	snprintf(name, sizeof(name), "/etc/tmpfiles.d/nvio-hugepages-%s%s.conf", sizes[size].name, node);
	snprintf(text, sizeof(text),
		STEP_HEADER " hugepages --persistent: has them made at each start.\n"
			    "# To undo: nvio setup reset.\n"
			    "w %s - - - - %" PRIu64 "\n",
		path, count);
	if (step_file_is_ours(name) < 0)
		return cli_fail("%s is there, and was not written by setup: it is left alone", tree_path(full, "%s", name));
	cli_json_add(steps, step_file(name, text));
	return CLI_OK;
}

int setup_hugepages(char **args, int n)
{
	char path[160], folder[64] = "/sys/kernel/mm/hugepages";
	json_t *steps;
	uint64_t count;
	size_t size;
	int status;

	if (n != 1)
		return cli_usage("hugepages: how many? as in: nvio setup hugepages 64,2M");
	status = parse_pages(args[0], &count, &size);
	if (status)
		return status;
	if (setup.node != CLI_UNSET)
		snprintf(folder, sizeof(folder), "/sys/devices/system/node/node%" PRIu64 "/hugepages", setup.node);
	snprintf(path, sizeof(path), "%s/hugepages-%ukB/nr_hugepages", folder, sizes[size].kib);
	if (!tree_exists("%s", path)) {
		char full[PATH_MAX];

		return cli_fail("there is no %s: this machine has no hugepages of %s%s", tree_path(full, "%s", path),
			sizes[size].name, setup.node != CLI_UNSET ? " on that node, or no such node" : "");
	}
	steps = cli_json_array();
	cli_json_add(steps, step_value(path, count));
	status = setup.persistent ? add_lasting(steps, path, count, size) : CLI_OK;
	if (!status)
		status = plan_run(json_incref(steps), NULL);
	json_decref(steps);
	if (!status && plan_tells())
		printf("%" PRIu64 " hugepages of %s\n", count, sizes[size].name);
	return status;
}

/* "64M", "1G", "unlimited"; -1: without limit. */
static int parse_bytes(const char *text, json_int_t *bytes)
{
	uint64_t value;

	*bytes = -1;
	if (!strcmp(text, "unlimited"))
		return CLI_OK;
	if (cli_opts_number(text, true, &value) || value < 64 << 10 || value > (uint64_t)1 << 50)
		return cli_usage("memlock: '%s' is no size: 64k or more, as in 1G, or unlimited", text);
	*bytes = (json_int_t)(value & ~(uint64_t)1023);
	return CLI_OK;
}

static bool status_number(pid_t pid, const char *key, long *value)
{
	char *text = tree_text("/proc/%d/status", (int)pid), *at = text ? strstr(text, key) : NULL;

	if (at)
		*value = strtol(at + strlen(key), NULL, 10);
	free(text);
	return at != NULL;
}

/*
 * Limits of PAM reach who logs in from now on. The shell that has called us, through sudo, is older: it is the first of our ancestors
 * that belongs to the user. 0: there is none.
 */
static pid_t find_shell(uid_t uid)
{
	long pid = getppid(), owner;

	for (int depth = 0; depth < 16 && pid > 1; depth++) {
		if (!status_number((pid_t)pid, "\nUid:", &owner))
			return 0;
		if (owner == (long)uid)
			return (pid_t)pid;
		if (!status_number((pid_t)pid, "\nPPid:", &pid))
			return 0;
	}
	return 0;
}

static int memlock_steps(json_t *steps, json_int_t bytes, uid_t uid, pid_t *shell)
{
	char path[160], text[640], kib[32] = "unlimited", full[PATH_MAX];

	if (bytes >= 0)
		snprintf(kib, sizeof(kib), "%" JSON_INTEGER_FORMAT, bytes / 1024);
	snprintf(path, sizeof(path), "/etc/security/limits.d/90-nvio-%s.conf", setup.user);
	snprintf(text, sizeof(text),
		STEP_HEADER " memlock: lets this user lock memory for the DMA of a drive.\n"
			    "# To undo: nvio setup reset. It holds for those who log in from now on.\n"
			    "%s - memlock %s\n",
		setup.user, kib);
	if (step_file_is_ours(path) < 0)
		return cli_fail("%s is there, and was not written by setup: it is left alone", tree_path(full, "%s", path));
	cli_json_add(steps, step_file(path, text));
	*shell = uid ? find_shell(uid) : 0;
	if (*shell)
		cli_json_add(steps, step_limit(*shell, bytes, bytes));
	return CLI_OK;
}

int setup_memlock(char **args, int n)
{
	json_t *steps;
	json_int_t bytes;
	pid_t shell = 0;
	uid_t uid;
	gid_t gid;
	int status;

	if (n != 1)
		return cli_usage("memlock: how much? as in: nvio setup memlock 1G --user $USER");
	if (!setup.user)
		return cli_usage("memlock: --user is missing: whose limit?");
	status = parse_bytes(args[0], &bytes);
	if (status)
		return status;
	switch (tree_user(setup.user, &uid, &gid)) {
	case 0: break;
	case -EINVAL: return cli_usage("--user: that is no name of a user: letters, digits, and _ . - @ within");
	default: return cli_fail("there is no user %s", setup.user);
	}
	steps = cli_json_array();
	status = memlock_steps(steps, bytes, uid, &shell);
	if (!status)
		status = plan_run(json_incref(steps), NULL);
	json_decref(steps);
	if (!status && plan_tells())
		printf("%s may lock %s%s\n", setup.user, args[0],
			shell ? ", in this shell too" : " from the next login on (su - has PAM set it as well)");
	return status;
}
