/* SPDX-License-Identifier: BSD-3-Clause */
/* What the caller's process may do: lock memory, and what its capabilities are worth here. */
#include <inttypes.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "cli.h"
#include "doctor.h"
#include "out.h"
#include "setup.h"

/*
 * Memory for DMA counts for each address space that it is mapped in. A region of the heap has 4 MiB, and queues and
 * buffers of a small program take two.
 */
#define MEMLOCK_LEAST ((rlim_t)16 << 20)
#define MEMLOCK_AMPLE ((rlim_t)256 << 20)

void doctor_memlock(struct doctor *d)
{
	struct rlimit limit;
	char fix[160], now[32];

	if (getrlimit(RLIMIT_MEMLOCK, &limit))
		return;
	snprintf(fix, sizeof(fix), "sudo nvio setup memlock 1G --user %s, and log in anew", d->user);
	cli_bytes(now, sizeof(now), (double)limit.rlim_cur);
	if (doctor_has_cap(CAP_IPC_LOCK))
		doctor_say(d, DOCTOR_OK, "memlock", NULL, "you may lock any memory (CAP_IPC_LOCK)");
	else if (limit.rlim_cur == RLIM_INFINITY)
		doctor_say(d, DOCTOR_OK, "memlock", NULL, "no limit");
	else if (limit.rlim_cur < MEMLOCK_LEAST)
		doctor_say(d, DOCTOR_PROBLEM, "memlock", fix, "you may lock %s, and DMA needs at least 16 MiB", now);
	else if (limit.rlim_cur < MEMLOCK_AMPLE)
		doctor_say(d, DOCTOR_NOTE, "memlock", fix,
			"you may lock %s, enough for small buffers; all that an application allocates for DMA counts", now);
	else
		doctor_say(d, DOCTOR_OK, "memlock", NULL, "you may lock %s", now);
}

static unsigned long pages(const char *size, const char *file)
{
	char line[32];

	tree_line(line, sizeof(line), "/sys/kernel/mm/hugepages/hugepages-%s/%s", size, file);
	return strtoul(line, NULL, 10);
}

static bool has_uio(const struct doctor *d)
{
	json_t *drive;
	size_t i;

	json_array_foreach(d->drives, i, drive) {
		if (!strcmp(tree_get(drive, "owner"), "uio"))
			return true;
	}
	return false;
}

/* Behind an IOMMU ordinary pages do. Without one, only hugepages stay where they are. */
void doctor_hugepages(struct doctor *d)
{
	unsigned long small = pages("2048kB", "nr_hugepages"), large = pages("1048576kB", "nr_hugepages");

	if (small || large)
		doctor_say(d, DOCTOR_OK, "hugepages", NULL, "%lu of 2 MiB (%lu free), %lu of 1 GiB (%lu free)", small,
			pages("2048kB", "free_hugepages"), large, pages("1048576kB", "free_hugepages"));
	else if (has_uio(d))
		doctor_say(d, DOCTOR_PROBLEM, "hugepages", "sudo nvio setup hugepages 64,2M",
			"none, and a drive without an IOMMU cannot do without");
	else
		doctor_say(d, DOCTOR_OK, "hugepages", NULL, "none, and none needed; they make large buffers a little faster to map");
}

void doctor_capabilities(struct doctor *d)
{
	static const struct {
		int cap;
		const char *name;
	} caps[] = { { CAP_SYS_ADMIN, "CAP_SYS_ADMIN" }, { CAP_IPC_LOCK, "CAP_IPC_LOCK" }, { CAP_SYS_RAWIO, "CAP_SYS_RAWIO" } };
	char text[128] = "";

	for (size_t i = 0; i < CLI_COUNT(caps); i++) {
		if (!doctor_has_cap(caps[i].cap))
			continue;
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", text[0] ? ", " : "", caps[i].name);
	}
	doctor_say(d, DOCTOR_OK, "capabilities", NULL, "%s", text[0] ? text : "none, and none needed once a drive is bound for you");
}
