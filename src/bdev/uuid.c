/* SPDX-License-Identifier: BSD-3-Clause */
/* See uuid.h. */
#include <string.h>

#include "base/env.h"
#include "bdev/uuid.h"

static void set_version(uint8_t uuid[16], unsigned version)
{
	uuid[6] = (uint8_t)(version << 4 | (uuid[6] & 0x0f));
	uuid[8] = (uint8_t)(0x80 | (uuid[8] & 0x3f));
}

void uuid_random(struct nvio_env *env, uint8_t uuid[16])
{
	lock_take(&env->lock);
	random_fill(&env->random, uuid, 16);
	lock_give(&env->lock);
	set_version(uuid, 4);
}

void uuid_derive(uint64_t a, uint64_t b, uint8_t uuid[16])
{
	struct random r;

	/* The generator spreads neighbouring seeds far apart, which inode numbers are. */
	random_init(&r, a);
	random_init(&r, random_u64(&r) ^ b);
	random_fill(&r, uuid, 16);
	set_version(uuid, 8);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool uuid_parse(const char *text, uint8_t uuid[16])
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
	unsigned digits = 0;

	if (strlen(text) != sizeof(form) - 1)
		return false;
	for (unsigned i = 0; form[i]; i++) {
		int digit = hex_digit(text[i]);

		if (form[i] == '-' ? text[i] != '-' : digit < 0)
			return false;
		if (form[i] == '-')
			continue;
		uuid[digits / 2] = (uint8_t)(digits % 2 ? uuid[digits / 2] | digit : digit << 4);
		digits++;
	}
	return true;
}
