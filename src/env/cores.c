/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The cores of an environment: a mask as other storage tools write it, "0x3" or "f" (hexadecimal, bit 0 is
 * core 0) or
 * "[0,2-5]", held against what this process may use.
 */
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <string.h>

#include "base/fail.h"
#include "env/env.h"

#define CORES_MAX ((int)ARRAY_SIZE(((struct nvio_env *)0)->cores))
nvio_static_assert(CPU_SETSIZE >= ARRAY_SIZE(((struct nvio_env *)0)->cores), "a core must fit a cpu_set_t");

static int bad_mask(const char *mask, const char *why)
{
	return fail(-EINVAL, "env: open: core mask \"%s\": %s; \"0x3\" or \"[0,2-5]\" expected", mask, why);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int parse_hex(const char *mask, cpu_set_t *set)
{
	const char *digits = mask[0] == '0' && (mask[1] | 0x20) == 'x' ? mask + 2 : mask;
	size_t len = strlen(digits);

	if (!len)
		return bad_mask(mask, "empty");
	for (size_t i = 0; i < len; i++) {
		int digit = hex_digit(digits[i]);
		size_t core = (len - 1 - i) * 4;

		if (digit < 0)
			return bad_mask(mask, "not hexadecimal");
		for (int bit = 0; bit < 4; bit++) {
			if (!(digit >> bit & 1))
				continue;
			if (core + (size_t)bit >= (size_t)CORES_MAX)
				return bad_mask(mask, "a core beyond the last that is supported, 1023");
			CPU_SET(core + (size_t)bit, set);
		}
	}
	return 0;
}

/* The number at *at, moved behind it; -1: none there, or beyond the last core. */
static int number(const char **at)
{
	int n = 0;

	if (**at < '0' || **at > '9')
		return -1;
	for (; **at >= '0' && **at <= '9'; (*at)++) {
		n = n * 10 + (**at - '0');
		if (n >= CORES_MAX)
			return -1;
	}
	return n;
}

static int parse_list(const char *mask, cpu_set_t *set)
{
	const char *at = mask;
	int first, last;

	do {
		at++; /* the '[' or ',' */
		first = last = number(&at);
		if (first >= 0 && *at == '-') {
			at++;
			last = number(&at);
		}
		if (first < 0 || last < 0)
			return bad_mask(mask, "a core number from 0 to 1023 is missing");
		if (last < first)
			return bad_mask(mask, "a range runs backwards");
		for (int core = first; core <= last; core++)
			CPU_SET(core, set);
	} while (*at == ',');
	if (strcmp(at, "]") != 0)
		return bad_mask(mask, "no ] at the end");
	return 0;
}

static int choose(const struct nvio_env *env, const cpu_set_t *allowed, cpu_set_t *set)
{
	const char *mask = env->opts.core_mask;
	int rc;

	if (!mask) {
		*set = *allowed;
		return 0;
	}
	CPU_ZERO(set);
	rc = mask[0] == '[' ? parse_list(mask, set) : parse_hex(mask, set);
	if (rc)
		return rc;
	for (int core = 0; core < CORES_MAX; core++)
		if (CPU_ISSET(core, set) && !CPU_ISSET(core, allowed))
			return fail(-EINVAL,
				"env: open: core mask \"%s\": this process may not use core %d; "
				"see taskset -p, or the cpuset of its container",
				mask, core);
	if (!CPU_COUNT(set))
		return bad_mask(mask, "no core in it");
	return 0;
}

int env_cores_init(struct nvio_env *env)
{
	cpu_set_t allowed, set;
	int rc;

	if (sched_getaffinity(0, sizeof(allowed), &allowed))
		return fail(
			-errno, "env: open: cannot ask for the cores of this process: %s", strerror(errno));
	rc = choose(env, &allowed, &set);
	if (rc)
		return rc;
	env->core_count = 0;
	for (int core = 0; core < CORES_MAX; core++)
		if (CPU_ISSET(core, &set))
			env->cores[env->core_count++] = core;
	return 0;
}
