/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The controller, whatever its front end: its namespaces (a descriptor and a channel each), keep alive, reset.
 */
#include "target/target.h"

#include <string.h>

#include "base/alloc.h"
#include "base/fail.h"

static bool unmap_reads_zeros(const struct nvio_bdev *b)
{
	/* nvio/bdev.h promises zeros for these modules; of others it promises nothing. */
	static const char *const modules[] = { "malloc", "null", "file" };

	for (size_t i = 0; i < ARRAY_SIZE(modules); i++)
		if (!strcmp(nvio_bdev_module(b), modules[i]))
			return true;
	return false;
}

static void note_change(struct tgt_ctrlr *c, uint32_t nsid)
{
	for (uint32_t i = 0; i < MIN(c->num_changed, TGT_CHANGED_MAX); i++)
		if (c->changed_ns[i] == nsid)
			goto told;
	if (c->num_changed < TGT_CHANGED_MAX)
		c->changed_ns[c->num_changed] = nsid;
	c->num_changed++;
told:
	tgt_event(c, NVIO_AER_NOTICE, NVIO_AER_NOTICE_NS_CHANGED, NVIO_LID_CHANGED_NS);
}

void tgt_attach_settle(struct tgt_attach *at)
{
	if (!at->desc || at->inflight)
		return;
	nvio_channel_put(at->ch);
	at->ch = NULL;
	/* Nothing of ours is in flight and the channel is put, which are the only reasons to refuse. */
	invariant(!nvio_bdev_close(at->desc));
	at->desc = NULL;
}

static void on_bdev_event(struct nvio_bdev_desc *desc, enum nvio_bdev_event event, void *arg)
{
	struct tgt_attach *at = arg;

	if (event == NVIO_BDEV_RESIZED) {
		at->num_blocks = nvio_bdev_num_blocks(nvio_bdev_desc_bdev(desc));
	} else {
		at->flags |= TGT_REMOVED;
		at->num_blocks = 0;
		tgt_attach_settle(at);
	}
	note_change(at->ctrlr, at->nsid);
}

static int attach(struct tgt_ctrlr *c, struct tgt_attach *at, uint32_t nsid)
{
	const struct tgt_ns *ns = &c->subsys->ns[nsid - 1];
	struct nvio_bdev *b;
	int rc;

	rc = nvio_bdev_open(c->env, ns->bdev, ns->read_only ? NVIO_BDEV_READ : NVIO_BDEV_WRITE, &at->desc);
	if (rc)
		return rc;
	rc = nvio_bdev_channel(at->desc, &at->ch);
	if (rc)
		goto close;
	b = nvio_bdev_desc_bdev(at->desc);
	at->ctrlr = c;
	at->nsid = nsid;
	at->num_blocks = nvio_bdev_num_blocks(b);
	at->shift = (uint8_t)__builtin_ctz(nvio_bdev_block_size(b));
	at->flags = (ns->read_only || nvio_bdev_is_read_only(b) ? TGT_READ_ONLY : 0) |
		(nvio_bdev_has_volatile_cache(b) ? TGT_CACHED : 0) | (unmap_reads_zeros(b) ? TGT_UNMAP_ZEROES : 0);
	nvio_bdev_set_event_fn(at->desc, on_bdev_event, at);
	return 0;
close:
	nvio_bdev_close(at->desc);
	at->desc = NULL;
	return rc;
}

static void on_keep_alive(struct nvio_timer *timer)
{
	struct tgt_ctrlr *c = timer->arg;

	/* NVMe Base 2.0 section 3.9: without a Keep Alive in time the controller stops and says so in CSTS.CFS. */
	c->front->fatal(c);
}

int tgt_ctrlr_init(struct tgt_ctrlr *c, struct nvio_env *env, struct nvio_thread *thread,
	const struct tgt_subsystem *subsys, const struct tgt_ctrlr_opts *opts)
{
	int rc;

	memset(c, 0, sizeof(*c));
	c->env = env;
	c->thread = thread;
	c->subsys = subsys;
	c->max_transfer = opts->max_transfer;
	c->max_queues = opts->max_queues;
	c->keep_alive.fn = on_keep_alive;
	c->keep_alive.arg = c;
	c->born_ns = clock_now(&env->clock);
	list_init(&c->bounce_wait);
	tgt_aer_init(&c->aer);
	tgt_features_init(c);
	rc = -ENOMEM;
	c->bounce = alloc_aligned(TGT_PAGE, TGT_BOUNCE_BYTES);
	c->ns = alloc_array(subsys->num_ns, sizeof(*c->ns));
	if (!c->bounce || !c->ns) {
		rc = fail(-ENOMEM, "target: controller: no memory for %u namespaces", subsys->num_ns);
		goto fini;
	}
	for (uint32_t i = 0; i < subsys->num_ns; i++) {
		c->num_ns = i + 1;
		rc = attach(c, &c->ns[i], i + 1);
		if (rc)
			goto fini;
	}
	tgt_ctrlr_reset(c);
	return 0;
fini:
	tgt_ctrlr_fini(c);
	return rc;
}

void tgt_ctrlr_fini(struct tgt_ctrlr *c)
{
	nvio_timer_stop(&c->keep_alive);
	for (uint32_t i = 0; c->ns && i < c->num_ns; i++)
		tgt_attach_settle(&c->ns[i]);
	alloc_free(c->ns);
	alloc_free(c->bounce);
	c->ns = NULL;
	c->bounce = NULL;
}

void tgt_ctrlr_reset(struct tgt_ctrlr *c)
{
	invariant(list_empty(&c->bounce_wait) && !c->bounce_user);
	c->aborts = 0;
	c->io_queues = 0;
	c->num_changed = 0;
	tgt_aer_reset(&c->aer);
	tgt_features_init(c);
	tgt_ctrlr_keep_alive(c);
}

void tgt_ctrlr_keep_alive(struct tgt_ctrlr *c)
{
	uint32_t ms = c->features.value[NVIO_FID_KEEP_ALIVE];

	if (!ms)
		nvio_timer_stop(&c->keep_alive);
	else if (nvio_timer_start(c->thread, &c->keep_alive, ms * 1000ull))
		c->front->fatal(c); /* no memory for a timer: better to stop than not to notice a dead host */
}

bool tgt_ctrlr_has_cache(const struct tgt_ctrlr *c)
{
	for (uint32_t i = 0; i < c->num_ns; i++)
		if (c->ns[i].flags & TGT_CACHED)
			return true;
	return c->subsys->volatile_cache;
}

uint32_t tgt_ctrlr_inflight(const struct tgt_ctrlr *c)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < c->num_ns; i++)
		n += c->ns[i].inflight;
	return n;
}
