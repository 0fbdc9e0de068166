/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of `nvio doctor` share: each check says how it stands, why, and the command that mends it. */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include <stdbool.h>

#include <jansson.h>

#include <nvio/compiler.h>

enum doctor_level {
	DOCTOR_OK,
	DOCTOR_NOTE,    /* not as it might be, but it works */
	DOCTOR_PROBLEM,
};

struct doctor {
	json_t *checks; /* the results */
	json_t *drives; /* as setup_drives() tells them; empty when the bus cannot be looked at */
	bool one;       /* a drive was named, and it is the only one in `drives` */
	bool problem;
	bool vfio;      /* some drive is to be used through VFIO, or may be: not all have the driver of UIO */
	char user[64];  /* who is asking */
};

/* Adds a result. fix: the command, or what to do; NULL: nothing to do. */
void doctor_say(struct doctor *d, enum doctor_level level, const char *check, const char *fix, const char *fmt, ...)
	NVIO_PRINTF(5, 6);
bool doctor_has_cap(int cap); /* in effect, in this process */

/* doctor_system.c */
void doctor_iommu(struct doctor *d);
void doctor_remapping(struct doctor *d);
void doctor_modules(struct doctor *d);
void doctor_nodes(struct doctor *d);
void doctor_no_iommu(struct doctor *d);
void doctor_lockdown(struct doctor *d);
void doctor_container(struct doctor *d);

/* doctor_drive.c: each drive */
void doctor_drives(struct doctor *d);

/* doctor_user.c */
void doctor_memlock(struct doctor *d);
void doctor_hugepages(struct doctor *d);
void doctor_capabilities(struct doctor *d);

#endif
