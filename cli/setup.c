/* SPDX-License-Identifier: BSD-3-Clause */
/* `nvio setup`: its words, and which options go with which. */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "setup.h"

struct setup_args setup = { .node = CLI_UNSET };

static const char *const drivers[] = { "vfio-pci", "uio_pci_generic", NULL };

static const struct word {
	const char *name;
	int (*run)(char **args, int n);
	bool user, group, driver, persistent, force, dry_run, node; /* the options that it takes */
} words[] = {
	{ "status", setup_status },
	{ "bind", setup_bind, .user = true, .group = true, .driver = true, .persistent = true, .force = true, .dry_run = true },
	{ "unbind", setup_unbind, .force = true, .dry_run = true },
	{ "hugepages", setup_hugepages, .persistent = true, .dry_run = true, .node = true },
	{ "memlock", setup_memlock, .user = true, .dry_run = true },
	{ "reset", setup_reset, .force = true, .dry_run = true },
};

/* An option that a word has no use for would be a misunderstanding. */
static int check_options(const struct word *w)
{
	const struct {
		const char *name;
		bool given, taken;
	} options[] = {
		{ "user", setup.user != NULL, w->user },
		{ "group", setup.group != NULL, w->group },
		{ "driver", setup.driver != 0, w->driver },
		{ "persistent", setup.persistent, w->persistent },
		{ "force", setup.force, w->force },
		{ "dry-run", setup.dry_run, w->dry_run },
		{ "node", setup.node != CLI_UNSET, w->node },
	};

	for (size_t i = 0; i < CLI_COUNT(options); i++) {
		if (options[i].given && !options[i].taken)
			return cli_usage("%s takes no --%s", w->name, options[i].name);
	}
	return CLI_OK;
}

static int run_setup(void)
{
	const char *name = cli.num_devices ? cli.devices[0] : NULL;
	int status;

	if (!name)
		return cli_usage("what? status, bind, unbind, hugepages, memlock or reset");
	for (size_t i = 0; i < CLI_COUNT(words); i++) {
		if (strcmp(words[i].name, name) != 0)
			continue;
		status = check_options(&words[i]);
		if (!status)
			status = tree_check();
		return status ? status : words[i].run(cli.devices + 1, cli.num_devices - 1);
	}
	return cli_usage("there is no '%s': status, bind, unbind, hugepages, memlock or reset", name);
}

static const struct cli_opt setup_opts[] = {
	{ "user", 'u', CLI_TEXT, &setup.user, "NAME", "bind, memlock: who may use the drive, lock memory" },
	{ "group", 'g', CLI_TEXT, &setup.group, "NAME", "bind: the same for a group" },
	{ "driver", 0, CLI_WORD, &setup.driver, "NAME", "bind: vfio-pci (default) or uio_pci_generic (unsafe)", drivers },
	{ "persistent", 'p', CLI_FLAG, &setup.persistent, NULL, "bind, hugepages: at each start, not only until the next" },
	{ "node", 0, CLI_NUMBER, &setup.node, "N", "hugepages: of this NUMA node", .max = 1023 },
	{ "force", 'f', CLI_FLAG, &setup.force, NULL, "bind, unbind, reset: although the drive is in use: data is lost" },
	{ "dry-run", 'n', CLI_FLAG, &setup.dry_run, NULL, "show what would be done, as shell commands" },
	{ "root", 0, CLI_TEXT, &tree_root, "DIR", "the tree to look at and to write to (default: /)" },
	{ NULL },
};

const struct cli_cmd cli_setup = {
	.name = "setup",
	.what = "Hand drives to user space and back, with memory and permissions",
	.more = "  status                  all NVMe drives, who has them, and what is on them\n"
		"  bind ADDRESS...         to user space; never a drive that is in use\n"
		"  unbind ADDRESS...       back to the kernel, until its block devices are there\n"
		"  hugepages N[,2M|,1G]    reserve hugepages\n"
		"  memlock SIZE            let --user lock so much memory for DMA\n"
		"  reset                   take all of it back\n"
		"\nADDRESS is a PCI address: 0000:01:00.0. A drive with data on it: look at status first.\n",
	.devices = CLI_DEVICE_ANY,
	.args = "WORD [ADDRESS]...",
	.opts = setup_opts,
	.run = run_setup,
};
