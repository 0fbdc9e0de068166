/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of the nvme module share: controllers attached and detached, data that tells where it belongs. */
#ifndef TEST_BDEV_NVME_H
#define TEST_BDEV_NVME_H

#include "support.h"

#include <nvio/bdev_nvme.h>
#include <nvio/ctrlr.h>
#include <nvio/drive.h>
#include <nvio/ns.h>
#include <nvio/spec/admin.h>

static MAYBE_UNUSED int attach_with(struct fixture *f, const char *name, const char *trid, const struct nvio_ctrlr_opts *ctrlr)
{
	struct nvio_bdev_nvme_opts o;
	struct nvio_op op = NVIO_OP(NULL);

	nvio_bdev_nvme_opts_init(&o);
	o.name = name;
	o.trid = trid;
	o.ctrlr = ctrlr;
	return nvio_await(nvio_bdev_nvme_attach(f->env, &o, &op), &op);
}

static MAYBE_UNUSED void attach(struct fixture *f, const char *name, const char *trid)
{
	if (attach_with(f, name, trid, NULL))
		fail_msg("%s", nvio_errmsg());
}

static MAYBE_UNUSED int detach(struct fixture *f, const char *name)
{
	struct nvio_op op = NVIO_OP(NULL);

	return nvio_await(nvio_bdev_nvme_detach(f->env, name, &op), &op);
}

static MAYBE_UNUSED bool is_there(struct fixture *f, const char *name)
{
	struct nvio_bdev_desc *desc;

	if (nvio_bdev_open(f->env, name, NVIO_BDEV_READ, &desc))
		return false;
	assert_ok(nvio_bdev_close(desc));
	return true;
}

/* Each 8 bytes say where they belong. */
static MAYBE_UNUSED void stamp(void *buf, uint64_t offset, size_t len)
{
	uint64_t *p = buf;

	for (size_t i = 0; i < len / 8; i++)
		p[i] = (offset + i * 8) * 0x9e3779b97f4a7c15ull;
}

static MAYBE_UNUSED bool is_stamped(const void *buf, uint64_t offset, size_t len)
{
	const uint64_t *p = buf;

	for (size_t i = 0; i < len / 8; i++)
		if (p[i] != (offset + i * 8) * 0x9e3779b97f4a7c15ull)
			return false;
	return true;
}

struct events {
	unsigned removed, resized;
};

static MAYBE_UNUSED void count_events(struct nvio_bdev_desc *desc, enum nvio_bdev_event event, void *arg)
{
	struct events *e = arg;

	if (event == NVIO_BDEV_REMOVED)
		e->removed++;
	else
		e->resized++;
}

#define poll_until(f, cond)                                                                                  \
	do {                                                                                                 \
		while (!(cond))                                                                              \
			nvio_thread_poll((f)->thread, 0);                                                    \
	} while (0)

#endif
