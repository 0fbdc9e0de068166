/* SPDX-License-Identifier: BSD-3-Clause */
/* Connecting, where there is no bus to look at and no text to parse: the registers are handed in. */
#include "base/fail.h"
#include "base/text.h"
#include "host/pcie/mmio.h"
#include <nvio/libc.h>

/* Registers end where doorbells begin, and the first two of those are the admin queue's. */
#define BAR_LEN_MIN (NVIO_REG_DOORBELL + 8u)

static int check(const struct nvio_bar *bar)
{
	if (!bar->base || (uintptr_t)bar->base % 8 || bar->len < BAR_LEN_MIN)
		return fail(-EINVAL, "connect: a BAR of %zu bytes at %p; at least %u bytes, aligned to 8, expected", bar->len, bar->base, BAR_LEN_MIN);
	if (!bar->name || !bar->name[0] || strlen(bar->name) > NVIO_TRADDR_MAX)
		return fail(-EINVAL, "connect: the BAR's name must have 1 to %d characters", NVIO_TRADDR_MAX);
	return 0;
}

int nvio_connect_bar(struct nvio_env *env, const struct nvio_bar *bar, const struct nvio_ctrlr_opts *opts, struct nvio_ctrlr **out)
{
	struct nvio_trid trid = { .trtype = NVIO_TRTYPE_PCIE };
	struct nvio_op op = NVIO_OP(NULL);
	struct nvio_ctrlr *c = NULL;
	char why[sizeof(c->failure)];
	int rc;

	if (!env || !bar || !out)
		return fail(-EINVAL, "connect: %s is NULL", !env ? "the environment" : !bar ? "the BAR" : "where to put the controller");
	rc = check(bar);
	if (rc)
		return rc;
	memcpy(trid.traddr, bar->name, strlen(bar->name) + 1);
	rc = mmio_ctrlr_create(env, &trid, bar, opts, &op, &c);
	if (rc)
		return rc;
	rc = nvio_wait(&op);
	if (!rc) {
		*out = c;
		return 0;
	}
	text_format(why, sizeof(why), "%s", nvio_ctrlr_failure(c));
	nvio_ctrlr_close(c);
	return fail(rc, "%s", why);
}
