/* SPDX-License-Identifier: BSD-3-Clause */
/* `nvio doctor`: whether the caller could use a drive on the PCI bus now, and if not, what to do, command by command. */
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "doctor.h"
#include "out.h"
#include "setup.h"

static const char *const level_names[] = { "ok", "note", "problem" };

void doctor_say(struct doctor *d, enum doctor_level level, const char *check, const char *fix, const char *fmt, ...)
{
	json_t *one = cli_json_object();
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	cli_json_set(one, "check", cli_json_text(check));
	cli_json_set(one, "level", cli_json_text(level_names[level]));
	cli_json_set(one, "text", cli_json_text(text));
	if (fix)
		cli_json_set(one, "fix", cli_json_text(fix));
	cli_json_add(d->checks, one);
	d->problem |= level == DOCTOR_PROBLEM;
}

bool doctor_has_cap(int cap)
{
	char *text = tree_text("/proc/self/status"), *at = text ? strstr(text, "\nCapEff:") : NULL;
	bool has = at && (strtoull(at + 8, NULL, 16) >> cap & 1);

	free(text);
	return has;
}

/* For whom commands are written down. */
static void find_user(char user[64])
{
	struct passwd *pw = getpwuid(geteuid());
	const char *sudo = geteuid() ? NULL : getenv("SUDO_USER");

	/* It stands in commands that people copy: a name that needs quoting is left to the shell. */
	snprintf(user, 64, "%s", sudo ? sudo : pw && geteuid() ? pw->pw_name : "$USER");
	for (const char *p = user; *p; p++) {
		if (strchr(" '\"\\;&|<>()`\n\t", *p))
			strcpy(user, "$USER");
	}
}

static void print(const json_t *checks)
{
	static const char *const marks[] = { "ok     ", "note   ", "PROBLEM" };
	json_t *one;
	size_t i;

	json_array_foreach(checks, i, one) {
		const char *level = tree_get(one, "level"), *fix = tree_get(one, "fix");

		for (size_t k = 0; k < CLI_COUNT(marks); k++) {
			if (!strcmp(level, level_names[k]))
				printf("%s  ", marks[k]);
		}
		printf("%s: ", tree_get(one, "check"));
		tree_print(tree_get(one, "text"));
		if (fix[0])
			printf("\n           %s", fix);
		putchar('\n');
	}
}

static int show(const struct doctor *d)
{
	json_t *root;

	if (cli.json) {
		root = cli_json_object();
		cli_json_set(root, "usable", json_boolean(!d->problem));
		cli_json_set(root, "checks", json_incref(d->checks));
		cli_json_print(root);
	} else {
		print(d->checks);
	}
	if (!d->problem)
		return CLI_OK;
	return cli_fail("%s", d->one ? "this drive cannot be used by you as things are" : "there are problems");
}

static int run_doctor(void)
{
	static void (*const checks[])(struct doctor *d) = { doctor_container, doctor_iommu, doctor_remapping, doctor_modules,
		doctor_nodes, doctor_no_iommu, doctor_lockdown, doctor_drives, doctor_memlock, doctor_hugepages, doctor_capabilities };
	struct doctor d = { .one = cli.num_devices == 1 };
	json_t *drive;
	int status = tree_check();
	size_t i;

	if (status)
		return status;
	if (cli.num_devices > 1)
		return cli_usage("'%s' is too much: one address, or none for the whole system", cli.devices[1]);
	status = setup_drives(cli.devices, cli.num_devices, false, &d.drives);
	if (status)
		return status;
	json_array_foreach(d.drives, i, drive)
		d.vfio |= strcmp(tree_get(drive, "owner"), "uio") != 0;
	d.vfio |= !json_array_size(d.drives);
	d.checks = cli_json_array();
	find_user(d.user);
	for (i = 0; i < CLI_COUNT(checks); i++)
		checks[i](&d);
	status = show(&d);
	json_decref(d.checks);
	json_decref(d.drives);
	return status;
}

static const struct cli_opt doctor_opts[] = {
	{ "root", 0, CLI_TEXT, &tree_root, "DIR", "the tree to look at (default: /)" },
	{ NULL },
};

const struct cli_cmd cli_doctor = {
	.name = "doctor",
	.what = "Check what a drive on the PCI bus needs, and say how to mend it",
	.more = "ADDRESS is a PCI address: 0000:01:00.0. Exit status: 0 when you could use that drive now (without\n"
		"an address: when there is no problem), 1 otherwise. Nothing is changed.\n",
	.devices = CLI_DEVICE_ANY,
	.args = "[ADDRESS]",
	.opts = doctor_opts,
	.run = run_doctor,
};
