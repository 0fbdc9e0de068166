/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The devices of a controller: one for each active namespace, which comes, goes and changes its size with it. All at the controller's
 * home, but for the end of a device, which may be anywhere and leaves a sign.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "bdev/modules/modules.h"
#include "bdev/modules/nvme.h"
#include "bdev/uuid.h"
#include <nvio/error.h>

static void bdev_put(struct nvme_bdev *b)
{
	if (atomic_fetch_sub(&b->refs, 1) != 1)
		return;
	nvme_ctrlr_put(b->nc);
	alloc_free(b->name);
	alloc_free(b);
}

void nvme_destroy(void *device)
{
	struct nvme_bdev *b = device;

	atomic_store(&b->gone, true);
	bdev_put(b);
}

void nvme_forget(struct nvme_bdev *b)
{
	list_remove(&b->link);
	bdev_put(b);
}

/* ---- what a device looks like ---- */

static uint64_t hash(uint64_t h, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;

	/* FNV-1a: it need not be strong, only the same next time. */
	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * 0x100000001b3ull;
	return h;
}

static bool all_zero(const uint8_t *p, size_t len)
{
	while (len && !p[len - 1])
		len--;
	return !len;
}

struct uuid_search {
	const uint8_t *uuid;
};

static int same_uuid(struct nvio_bdev *bdev, void *arg)
{
	const struct uuid_search *s = arg;

	return !memcmp(nvio_bdev_uuid(bdev), s->uuid, 16);
}

/*
 * The namespace's own identifier where it has one. A drive in this environment hands on that of the device that is behind it, which is
 * taken; then, as where there is none, the uuid is derived from serial number, namespace id and identifier, and so the same each time.
 */
static void uuid_of(const struct nvme_ctrlr *nc, const struct nvme_bdev *b, uint8_t uuid[16])
{
	const struct nvio_id_ctrlr *c = nvio_ctrlr_id(nc->ctrlr);
	const struct nvio_id_ns *id = nvio_ns_identify(b->ns);
	struct uuid_search s = { uuid };
	uint64_t h;

	memcpy(uuid, id->nguid, sizeof(id->nguid));
	if (!all_zero(uuid, 16) && !nvio_bdev_for_each(nc->env, same_uuid, &s))
		return;
	h = hash(0xcbf29ce484222325ull, c->sn, sizeof(c->sn));
	h = hash(h, c->mn, sizeof(c->mn));
	h = hash(h, id->nguid, sizeof(id->nguid));
	h = hash(h, id->eui64, sizeof(id->eui64));
	uuid_derive(h, b->nsid, uuid);
}

/* What the controller has (ONCS); the rest the library does by reading and writing. */
static uint32_t io_types_of(const struct nvio_id_ctrlr *id)
{
	uint32_t oncs = nvio_get_le16(id->oncs);
	uint32_t types = NVIO_BDEV_CAN(NVIO_BDEV_IO_READ) | NVIO_BDEV_CAN(NVIO_BDEV_IO_WRITE) | NVIO_BDEV_CAN(NVIO_BDEV_IO_FLUSH) |
			 NVIO_BDEV_CAN(NVIO_BDEV_IO_RESET) | NVIO_BDEV_CAN(NVIO_BDEV_IO_NVME) |
			 NVIO_BDEV_CAN(NVIO_BDEV_IO_NVME_ADMIN);

	if (oncs & NVIO_ONCS_COMPARE)
		types |= NVIO_BDEV_CAN(NVIO_BDEV_IO_COMPARE);
	if (oncs & NVIO_ONCS_WRITE_ZEROES)
		types |= NVIO_BDEV_CAN(NVIO_BDEV_IO_WRITE_ZEROES);
	if (oncs & NVIO_ONCS_DSM)
		types |= NVIO_BDEV_CAN(NVIO_BDEV_IO_UNMAP);
	return types;
}

static int publish(struct nvme_ctrlr *nc, struct nvme_bdev *b)
{
	const struct nvio_id_ctrlr *id = nvio_ctrlr_id(nc->ctrlr);
	struct nvio_bdev_params p;
	uint8_t uuid[16];

	uuid_of(nc, b, uuid);
	nvio_bdev_params_init(&p);
	p.module = &nvme_module;
	p.name = b->name;
	p.device = b;
	p.channel_size = sizeof(struct nvme_channel);
	p.block_size = nvio_ns_block_size(b->ns);
	p.num_blocks = nvio_ns_num_blocks(b->ns);
	p.io_types = io_types_of(id);
	p.uuid = uuid;
	p.read_only = nvio_ns_is_read_only(b->ns);
	p.volatile_cache = id->vwc & NVIO_VWC_PRESENT;
	return nvio_bdev_register(nc->env, &p);
}

/* ---- coming ---- */

static int add(struct nvme_ctrlr *nc, uint32_t nsid)
{
	struct nvio_ns *ns = nvio_ctrlr_ns(nc->ctrlr, nsid);
	char name[NVIO_BDEV_NAME_MAX + 1];
	struct nvme_bdev *b;
	int rc;

	/* Gone again since it was listed. */
	if (!ns)
		return 0;
	b = alloc_zeroed(sizeof(*b));
	if (!b)
		return fail(-ENOMEM, "bdev: nvme: %s: no memory for namespace %" PRIu32, nc->name, nsid);
	snprintf(name, sizeof(name), "%sn%" PRIu32, nc->name, nsid);
	b->name = alloc_strdup(name);
	if (!b->name) {
		rc = fail(-ENOMEM, "bdev: nvme: %s: no memory for namespace %" PRIu32, nc->name, nsid);
		goto free_bdev;
	}
	b->ns = ns;
	b->nsid = nsid;
	b->shift = (uint32_t)__builtin_ctz(nvio_ns_block_size(ns));
	b->nc = nc;
	/* Before it is registered: from then on it may go at any time. */
	atomic_store(&b->refs, 2);
	atomic_fetch_add(&nc->refs, 1);
	rc = publish(nc, b);
	if (rc)
		goto put_ctrlr;
	list_push_back(&nc->devices, &b->link);
	return 0;

put_ctrlr:
	nvme_ctrlr_put(nc);
	alloc_free(b->name);
free_bdev:
	alloc_free(b);
	return rc;
}

/* ---- going ---- */

static void deleted(struct nvio_op *op)
{
	bdev_put(container_of(op, struct nvme_bdev, delete_op));
}

static void begin_remove(struct nvme_bdev *b)
{
	if (b->leaving)
		return;
	b->leaving = true;
	if (atomic_load(&b->gone))
		return;
	b->delete_op = (struct nvio_op)NVIO_OP(deleted);
	atomic_fetch_add(&b->refs, 1);
	if (bdev_delete_of(b->nc->env, b->name, b, &b->delete_op)) {
		/* The user is deleting it. */
		fail_clear();
		bdev_put(b);
	}
}

void nvme_remove_all(struct nvme_ctrlr *nc)
{
	list_for_each (l, &nc->devices)
		begin_remove(list_entry(l, struct nvme_bdev, link));
}

/* What the user has deleted stays known, so that it does not come back by itself as long as the namespace is there. */
void nvme_reap(struct nvme_ctrlr *nc)
{
	list_for_each_safe (l, &nc->devices) {
		struct nvme_bdev *b = list_entry(l, struct nvme_bdev, link);

		if (b->leaving && atomic_load(&b->gone))
			nvme_forget(b);
	}
}

bool nvme_is_unused(const struct nvme_ctrlr *nc)
{
	list_for_each (l, &nc->devices)
		if (!atomic_load(&list_entry(l, struct nvme_bdev, link)->gone))
			return false;
	return true;
}

/* ---- changing ---- */

/* A namespace has the size that its controller says, so this is for following that, and for nothing else. */
int nvme_resize(void *device, uint64_t num_blocks, bool busy)
{
	const struct nvme_bdev *b = device;
	uint64_t has = nvio_ns_num_blocks(b->ns);

	if (num_blocks != has)
		return fail(-EOPNOTSUPP, "bdev: nvme: resize: %s: the namespace has %" PRIu64 " blocks, and only the controller changes that",
			b->name, has);
	return 0;
}

static void follow(struct nvme_ctrlr *nc, struct nvme_bdev *b)
{
	struct nvio_ns *ns = nvio_ctrlr_ns(nc->ctrlr, b->nsid);

	fail_clear();
	/* Another handle: it has another block size now, and is another device. */
	if (ns != b->ns) {
		begin_remove(b);
		return;
	}
	/* The device tells its descriptors only of a change. It fails when it is on its way out, or the namespace has changed again. */
	if (!atomic_load(&b->gone) && bdev_resize_of(nc->env, b->name, b, nvio_ns_num_blocks(ns)))
		fail_clear();
}

static bool is_known(const struct nvme_ctrlr *nc, uint32_t nsid)
{
	list_for_each (l, &nc->devices) {
		const struct nvme_bdev *b = list_entry(l, struct nvme_bdev, link);

		if (b->nsid == nsid && !b->leaving)
			return true;
	}
	return false;
}

int nvme_scan(struct nvme_ctrlr *nc)
{
	int first = 0;

	list_for_each (l, &nc->devices)
		follow(nc, list_entry(l, struct nvme_bdev, link));
	for (uint32_t nsid = nvio_ctrlr_next_ns(nc->ctrlr, 0); nsid; nsid = nvio_ctrlr_next_ns(nc->ctrlr, nsid)) {
		int rc = is_known(nc, nsid) ? 0 : add(nc, nsid);

		if (rc)
			log_msg(&nc->env->log, NVIO_LOG_WARN, "bdev: nvme: %s: namespace %" PRIu32 " did not become a device: %s", nc->name,
				nsid, nvio_errmsg());
		if (!first)
			first = rc;
	}
	return first;
}
