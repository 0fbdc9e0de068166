/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Namespaces: the active list as the controller tells it, and the handles. A handle, once given out, stays where it is
 * until its controller's husk goes; what it says changes.
 */
#include "host/host.h"

#include "base/alloc.h"

#define LIST_PER_PAGE 1024u

static struct nvio_ns *ns_find(const struct nvio_ctrlr *c, uint32_t nsid, uint32_t *at)
{
	uint32_t lo = 0, hi = c->ns_count;

	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;

		if (c->ns[mid]->nsid < nsid)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (at)
		*at = lo;
	return lo < c->ns_count && c->ns[lo]->nsid == nsid ? c->ns[lo] : NULL;
}

static struct nvio_ns *ns_new(struct nvio_ctrlr *c, uint32_t nsid)
{
	struct nvio_ns *ns = alloc_zeroed(sizeof(*ns));

	if (!ns)
		return NULL;
	ns->ctrlr = c;
	ns->nsid = nsid;
	ns->sqe_nsid = (uint64_t)nsid << 32;
	ns->seen = true;
	return ns;
}

static int ns_add(struct nvio_ctrlr *c, uint32_t nsid)
{
	uint32_t at;
	struct nvio_ns *ns = ns_find(c, nsid, &at);

	if (ns) {
		ns->seen = true;
		return 0;
	}
	if (c->ns_count == HOST_MAX_NS) {
		log_msg(&c->env->log, NVIO_LOG_WARN, "%s: %s: namespace %u and those after it are left out: more than %u", c->ops->name,
			c->trid.traddr, nsid, HOST_MAX_NS);
		return -ENOSPC;
	}
	if (!c->ns)
		c->ns = alloc_array(HOST_MAX_NS, sizeof(struct nvio_ns *));
	ns = c->ns ? ns_new(c, nsid) : NULL;
	if (!ns)
		return -ENOMEM;
	memmove(&c->ns[at + 1], &c->ns[at], (c->ns_count - at) * sizeof(c->ns[0]));
	c->ns[at] = ns;
	c->ns_count++;
	return 0;
}

void ns_list_begin(struct nvio_ctrlr *c)
{
	for (uint32_t i = 0; i < c->ns_count; i++)
		c->ns[i]->seen = false;
	c->ns_done = 0;
	c->list_from = 0;
}

/*
 * Takes a page of the active namespace list (Identify CNS 02h: ascending, ends with 0). A list that does not ascend is cut off
 * there, or a hostile one would keep us busy for ever. 0, 1 or -errno.
 */
int ns_list_add(struct nvio_ctrlr *c, const uint8_t *page, uint32_t *last)
{
	for (uint32_t i = 0; i < LIST_PER_PAGE; i++) {
		nvio_le32 le;
		uint32_t nsid;
		int rc;

		memcpy(&le, page + i * 4, 4);
		nsid = nvio_get_le32(le);
		if (!nsid)
			return 0;
		if (nsid <= *last || nsid > nvio_get_le32(c->id.nn) || nsid == NVIO_NSID_ALL) {
			log_msg(&c->env->log, NVIO_LOG_WARN, "%s: %s: the active namespace list is out of order at %u", c->ops->name,
				c->trid.traddr, nsid);
			return 0;
		}
		*last = nsid;
		rc = ns_add(c, nsid);
		if (rc)
			return rc == -ENOSPC ? 0 : rc;
	}
	return 1;
}

struct nvio_ns *ns_to_identify(struct nvio_ctrlr *c)
{
	while (c->ns_done < c->ns_count && !c->ns[c->ns_done]->seen)
		c->ns_done++;
	return c->ns_done < c->ns_count ? c->ns[c->ns_done] : NULL;
}

static void ns_gone(struct nvio_ns *ns)
{
	ns->active = false;
	ns->num_blocks = 0;
	ns->max_blocks = 0;
	ns->block_size = 0;
}

static const struct nvio_lbaf *format_of(const struct nvio_id_ns *id)
{
	return &id->lbaf[nvio_flbas_index(id->flbas, id->nlbaf)];
}

/* What we can drive: blocks of 512 bytes to 4 KiB without metadata in the data stream. NULL: this one. */
static const char *why_not(const struct nvio_ctrlr *c, const struct nvio_ns *ns, const struct nvio_id_ns *id)
{
	const struct nvio_lbaf *f;

	if (!id)
		return "the controller does not identify it";
	f = format_of(id);
	if (!nvio_get_le64(id->nsze))
		return "it has no blocks";
	if (f->ds < 9 || f->ds > 12)
		return "its block size is none of 512 to 4096 bytes";
	if (nvio_get_le64(id->nsze) > UINT64_MAX >> f->ds)
		return "it claims more than 2^64 bytes";
	if (nvio_get_le16(f->ms))
		return "its format has metadata";
	if (ns->shift && ns->shift != f->ds && c->ns_old_count == HOST_MAX_NS)
		return "its block size changes too often";
	return NULL;
}

/* A handle keeps its block size, since I/O in flight counts in it: when that changes, another handle takes its place. */
static int ns_replace(struct nvio_ctrlr *c, uint32_t at)
{
	struct nvio_ns *old = c->ns[at], *ns = ns_new(c, old->nsid);

	if (!ns)
		return -ENOMEM;
	ns_gone(old);
	old->next_old = c->ns_old;
	c->ns_old = old;
	c->ns_old_count++;
	c->ns[at] = ns;
	return 0;
}

/* Other threads do I/O on it meanwhile: what has not changed is not written. */
#define NS_SET(field, value)                                               \
	do {                                                               \
		if ((field) != (value))                                    \
			(field) = (value);                                 \
	} while (0)

static void ns_take(const struct nvio_ctrlr *c, struct nvio_ns *ns, const struct nvio_id_ns *id)
{
	uint8_t shift = format_of(id)->ds;

	if (memcmp(ns->id, id, sizeof(*id)))
		memcpy(ns->id, id, sizeof(*id));
	NS_SET(ns->shift, shift);
	NS_SET(ns->block_size, 1u << shift);
	NS_SET(ns->max_blocks, MIN(c->max_transfer >> shift, 65536u));
	NS_SET(ns->read_only, (id->nsattr & 1) != 0);
	NS_SET(ns->active, true);
	/* Last, and released: who sees blocks on another thread also sees their size. */
	if (ns->num_blocks != nvio_get_le64(id->nsze))
		__atomic_store_n(&ns->num_blocks, nvio_get_le64(id->nsze), __ATOMIC_RELEASE);
}

int ns_update(struct nvio_ctrlr *c, uint32_t at, const struct nvio_id_ns *id)
{
	struct nvio_ns *ns = c->ns[at];
	const char *problem = why_not(c, ns, id);

	if (problem) {
		log_msg(&c->env->log, NVIO_LOG_WARN, "%s: %s: namespace %u is not usable: %s", c->ops->name, c->trid.traddr, ns->nsid, problem);
		ns_gone(ns);
		return 0;
	}
	if (ns->shift && ns->shift != format_of(id)->ds && ns_replace(c, at))
		return -ENOMEM;
	ns = c->ns[at];
	if (!ns->id)
		ns->id = alloc_zeroed(sizeof(*ns->id));
	if (!ns->id)
		return -ENOMEM;
	ns_take(c, ns, id);
	return 0;
}

void ns_list_end(struct nvio_ctrlr *c)
{
	for (uint32_t i = 0; i < c->ns_count; i++)
		if (!c->ns[i]->seen)
			ns_gone(c->ns[i]);
}

void ns_all_gone(struct nvio_ctrlr *c)
{
	for (uint32_t i = 0; i < c->ns_count; i++) {
		ns_gone(c->ns[i]);
		c->ns[i]->ctrlr = NULL;
	}
	for (struct nvio_ns *ns = c->ns_old; ns; ns = ns->next_old)
		ns->ctrlr = NULL;
}

static void ns_free(struct nvio_ns *ns)
{
	alloc_free(ns->id);
	alloc_free(ns);
}

void ns_free_all(struct nvio_ctrlr *c)
{
	ns_all_gone(c);
	for (uint32_t i = 0; i < c->ns_count; i++)
		ns_free(c->ns[i]);
	while (c->ns_old) {
		struct nvio_ns *ns = c->ns_old;

		c->ns_old = ns->next_old;
		ns_free(ns);
	}
	alloc_free(c->ns);
	c->ns = NULL;
	c->ns_count = 0;
}

/* ---- for users ---- */

uint32_t nvio_ctrlr_num_ns(const struct nvio_ctrlr *c)
{
	return nvio_get_le32(c->id.nn);
}

struct nvio_ns *nvio_ctrlr_ns(struct nvio_ctrlr *c, uint32_t nsid)
{
	uint32_t nn = nvio_ctrlr_num_ns(c);
	struct nvio_ns *ns;

	lock_take(&c->lock);
	ns = ns_find(c, nsid, NULL);
	if (ns && !ns->active)
		ns = NULL;
	lock_give(&c->lock);
	if (ns)
		return ns;
	if (!nsid || nsid > nn)
		fail(-EINVAL, "%s: %s: namespace %u: ids go from 1 to %u; see 'nvio list-ns'", c->ops->name, c->trid.traddr, nsid, nn);
	else
		fail(-ENODEV, "%s: %s: namespace %u is not active; see 'nvio list-ns'", c->ops->name, c->trid.traddr, nsid);
	return NULL;
}

uint32_t nvio_ctrlr_next_ns(const struct nvio_ctrlr *c, uint32_t nsid)
{
	struct lock *lock = (struct lock *)(uintptr_t)&c->lock; /* the controller is const to its user, not the lock */
	uint32_t next = 0;

	lock_take(lock);
	for (uint32_t i = 0; i < c->ns_count && !next; i++)
		if (c->ns[i]->nsid > nsid && c->ns[i]->active)
			next = c->ns[i]->nsid;
	lock_give(lock);
	return next;
}

uint32_t nvio_ns_id(const struct nvio_ns *ns) { return ns->nsid; }
uint32_t nvio_ns_block_size(const struct nvio_ns *ns) { return ns->block_size; }
uint64_t nvio_ns_num_blocks(const struct nvio_ns *ns) { return ns->num_blocks; }
uint64_t nvio_ns_size_bytes(const struct nvio_ns *ns) { return ns->num_blocks * ns->block_size; }
uint32_t nvio_ns_max_transfer(const struct nvio_ns *ns) { return ns->active ? ns->max_blocks * ns->block_size : 0; }
bool nvio_ns_is_active(const struct nvio_ns *ns) { return ns->active; }
bool nvio_ns_is_read_only(const struct nvio_ns *ns) { return ns->read_only; }
const struct nvio_id_ns *nvio_ns_identify(const struct nvio_ns *ns) { return ns->active ? ns->id : NULL; }
struct nvio_ctrlr *nvio_ns_ctrlr(const struct nvio_ns *ns) { return ns->ctrlr; }
