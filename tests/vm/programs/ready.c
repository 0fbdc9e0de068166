/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From attach to ready, and how much of it was the drive's own. The library tells of each state that it enters; the drive's are those in
 * which a register of its is waited for, and for each state that waits for a command, one command: the fastest of a hundred Identify
 * commands made afterwards. Taking the function is counted apart: the kernel resets it, which alone is 100 ms (PCIe 4.0 section 6.6.2). All
 * else counts against the library: its memory, polling late.
 *
 *     vm_ready TRID MOST_MS
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <nvio/nvme.h>

static double begin_ms, taken_ms, entered_ms, registers_ms;
static unsigned commands;
static bool in_registers, in_command;

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* "pcie: 0000:00:04.0: disabling -> enabling" */
static void on_log(void *arg, enum nvio_log_level level, const char *text)
{
	const char *to = strstr(text, " -> ");
	double now = now_ms();

	if (strstr(text, ": taken ("))
		taken_ms = now - begin_ms;
	if (!to)
		return;
	to += 4;
	if (in_registers)
		registers_ms += now - entered_ms;
	commands += in_command;
	entered_ms = now;
	in_registers = !strcmp(to, "settling") || !strcmp(to, "disabling") || !strcmp(to, "enabling");
	in_command = !in_registers && strcmp(to, "probing") && strcmp(to, "ready");
}

static double fastest_command_ms(struct nvio_ctrlr *ctrlr, void *page)
{
	double fastest = 1e9;

	for (int i = 0; i < 100; i++) {
		struct nvio_op op = NVIO_OP(NULL);
		double begin = now_ms(), took;

		if (nvio_await(nvio_ctrlr_identify(ctrlr, 1, 0, page, &op), &op))
			return 0;
		took = now_ms() - begin;
		fastest = took < fastest ? took : fastest;
	}
	return fastest;
}

int main(int argc, char **argv)
{
	struct nvio_env_opts opts;
	struct nvio_ctrlr *ctrlr;
	struct nvio_env *env;
	double whole, drive, fastest;

	if (argc != 3)
		return fprintf(stderr, "usage: vm_ready TRID MOST_MS\n"), 2;
	nvio_env_opts_init(&opts);
	opts.log_level = NVIO_LOG_INFO;
	opts.log_fn = on_log;
	if (nvio_env_open(&opts, &env))
		return fprintf(stderr, "%s\n", nvio_errmsg()), 1;
	begin_ms = now_ms();
	if (nvio_connect(env, argv[1], NULL, &ctrlr))
		return fprintf(stderr, "%s\n", nvio_errmsg()), 1;
	whole = now_ms() - begin_ms;
	fastest = fastest_command_ms(ctrlr, nvio_mem_alloc(env, 4096, 4096));
	drive = taken_ms + registers_ms + commands * fastest;
	printf("ready after %.2f ms: %.2f ms until it was taken; the drive's %.2f ms for registers, %u commands of %.2f ms; beyond them %.2f ms\n",
		whole, taken_ms, registers_ms, commands, fastest, whole - drive);
	nvio_env_close(env);
	return commands < 4 || fastest <= 0 || whole - drive > atof(argv[2]);
}
