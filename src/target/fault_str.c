/* SPDX-License-Identifier: BSD-3-Clause */
/* Faults in words: "KIND[:key=value]...". */
#include "target/fault.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/parse.h"

#define FAULT_TEXT_MAX 255u
#define KINDS          "delay, lose, status, fatal, remove, phase, unknown_cid, duplicate, short, corrupt, never_ready, never_stop, lose_abort"
#define KEYS           "opcode, admin, nsid, lba, blocks, skip, every, count, p, us, sf"

static int parse_kind(const char *text, enum nvio_fault_kind *kind)
{
	static const char *const names[] = {
		[NVIO_FAULT_DELAY] = "delay",
		[NVIO_FAULT_LOSE] = "lose",
		[NVIO_FAULT_STATUS] = "status",
		[NVIO_FAULT_FATAL] = "fatal",
		[NVIO_FAULT_REMOVE] = "remove",
		[NVIO_FAULT_PHASE] = "phase",
		[NVIO_FAULT_UNKNOWN_CID] = "unknown_cid",
		[NVIO_FAULT_DUPLICATE] = "duplicate",
		[NVIO_FAULT_SHORT] = "short",
		[NVIO_FAULT_CORRUPT] = "corrupt",
		[NVIO_FAULT_NEVER_READY] = "never_ready",
		[NVIO_FAULT_NEVER_STOP] = "never_stop",
		[NVIO_FAULT_LOSE_ABORT] = "lose_abort",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!strcmp(text, names[i])) {
			*kind = (enum nvio_fault_kind)i;
			return 0;
		}
	}
	return fail(-EINVAL, "drive: fault: \"%s\" is not a kind; there are: " KINDS, text);
}

static int parse_probability(const char *value, double *p)
{
	char *end;
	double d = strtod(value, &end);

	/* 0 means "always" in the structure, so it is refused here rather than misunderstood. */
	if (end == value || *end || !(d > 0 && d <= 1))
		return fail(-EINVAL, "drive: fault: p=%s is not above 0 and at most 1", value);
	*p = d;
	return 0;
}

static int parse_key(struct nvio_fault *f, const char *key, const char *value)
{
	static const struct {
		const char *key;
		uint64_t max;
	} numbers[] = {
		{ "opcode", 255 }, { "nsid", UINT32_MAX }, { "lba", UINT64_MAX }, { "blocks", UINT64_MAX },
		{ "skip", UINT32_MAX }, { "every", UINT32_MAX }, { "count", UINT32_MAX }, { "us", UINT64_MAX / 1000 },
		{ "sf", 0x7fff },
	};
	char what[32];
	uint64_t v = 0;
	size_t i;
	int rc;

	if (!strcmp(key, "p"))
		return parse_probability(value, &f->probability);
	if (!strcmp(key, "admin"))
		return parse_bool("drive: fault: admin", value, &f->admin);
	for (i = 0; i < ARRAY_SIZE(numbers) && strcmp(key, numbers[i].key); i++)
		;
	if (i == ARRAY_SIZE(numbers))
		return fail(-EINVAL, "drive: fault: \"%s\" is not a key; there are: " KEYS, key);
	snprintf(what, sizeof(what), "drive: fault: %s", key);
	rc = parse_u64(what, value, numbers[i].max, &v);
	if (rc)
		return rc == -ERANGE ? -EINVAL : rc;
	switch (i) {
	case 0: f->opcode = (int)v; break;
	case 1: f->nsid = (uint32_t)v; break;
	case 2: f->lba_first = v; f->lba_count = f->lba_count ? f->lba_count : 1; break;
	case 3: f->lba_count = v; break;
	case 4: f->skip = (uint32_t)v; break;
	case 5: f->every = (uint32_t)v; break;
	case 6: f->count = (uint32_t)v; break;
	case 7: f->delay_us = v; break;
	default: f->sf = (uint16_t)v; break;
	}
	return 0;
}

int fault_parse(const char *text, struct nvio_fault *fault)
{
	struct nvio_fault f = NVIO_FAULT_INIT(NVIO_FAULT_DELAY);
	char copy[FAULT_TEXT_MAX + 1], *rest = copy, *word;
	int rc;

	if (!text)
		return fail(-EINVAL, "drive: fault: none given (NULL)");
	if (strlen(text) > FAULT_TEXT_MAX)
		return fail(-EINVAL, "drive: fault: longer than %u bytes", FAULT_TEXT_MAX);
	strcpy(copy, text);
	rc = parse_kind(strsep(&rest, ":"), &f.kind);
	while (!rc && (word = strsep(&rest, ":"))) {
		char *value = strchr(word, '=');

		if (!value)
			return fail(-EINVAL, "drive: fault: \"%s\" is not key=value", word);
		*value++ = '\0';
		rc = parse_key(&f, word, value);
	}
	if (!rc)
		*fault = f;
	return rc;
}
