/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Probing: a list of candidates is made, the caller chooses, and the chosen ones connect side by side, each driven by its own poll, a
 * bounded number at a time.
 */
#include "env/probe.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fail.h"
#include "base/op.h"
#include "env/env.h"
#include <nvio/co.h>
#include <nvio/error.h>

/* Each takes an admin queue and a few descriptors while it connects. */
#define CONNECTING_MAX 64

/* One that is connecting. */
struct attempt {
	struct probe_candidate *candidate; /* NULL: free */
	struct nvio_ctrlr *ctrlr;
	struct nvio_op op;
};

struct probe {
	struct nvio_env *env;
	nvio_attach_fn attach;
	void *arg;
	int attached;
	unsigned connecting;
	struct attempt attempts[CONNECTING_MAX];
};

static struct nvio_probe_info info_of(const struct probe_candidate *c)
{
	return (struct nvio_probe_info){
		.size = sizeof(struct nvio_probe_info),
		.trid = &c->trid,
		.pci = c->is_pci ? &c->pci : NULL,
	};
}

static void tell(struct probe *p, const struct probe_candidate *c, struct nvio_ctrlr *ctrlr, int rc)
{
	struct nvio_probe_info info = info_of(c);

	p->attached += ctrlr != NULL;
	p->attach(&info, ctrlr, rc, p->arg);
}

/* The first that is free; there is one, as long as fewer are connecting. */
static struct attempt *attempt_free(struct probe *p)
{
	struct attempt *a = p->attempts;

	while (a->candidate)
		a++;
	return a;
}

static void begin(struct probe *p, struct probe_candidate *c)
{
	struct attempt *a = attempt_free(p);
	int rc;

	a->op = (struct nvio_op)NVIO_OP(NULL);
	rc = env_connect_begin(p->env, &c->trid, &c->opts, &a->op, &a->ctrlr);
	if (rc) {
		tell(p, c, NULL, rc);
		return;
	}
	a->candidate = c;
	p->connecting++;
}

/* Its place is free before the caller is called, who may well poll, wait and close in there. */
static void finish(struct probe *p, struct attempt *a)
{
	struct probe_candidate *c = a->candidate;
	struct nvio_ctrlr *ctrlr = a->ctrlr;
	int rc = a->op.status;
	char why[512];

	a->candidate = NULL;
	p->connecting--;
	if (rc) {
		snprintf(why, sizeof(why), "%s", nvio_ctrlr_failure(ctrlr));
		nvio_ctrlr_close(ctrlr);
		ctrlr = NULL;
		fail(rc, "%s", why);
	}
	tell(p, c, ctrlr, rc);
}

/* A turn for each. A poll that fails has ended the op before. */
static bool poll_all(struct probe *p)
{
	bool worked = false;

	for (unsigned i = 0; i < CONNECTING_MAX; i++) {
		struct attempt *a = &p->attempts[i];

		if (!a->candidate)
			continue;
		worked |= nvio_ctrlr_poll(a->ctrlr) != 0;
		if (nvio_op_pending(&a->op))
			continue;
		finish(p, a);
		worked = true;
	}
	return worked;
}

static void close_all(struct probe *p)
{
	for (unsigned i = 0; i < CONNECTING_MAX; i++)
		if (p->attempts[i].candidate)
			nvio_ctrlr_close(p->attempts[i].ctrlr);
}

/* In a coroutine the others get their turn; outside, the nvio_thread that is current. */
static int breathe(unsigned *idle, bool worked)
{
	if (nvio_co_current())
		return nvio_co_yield();
	op_idle_count(idle, worked);
	return 0;
}

static int connect_chosen(struct probe *p, struct probe_candidate *list, size_t count)
{
	unsigned idle = 0;
	size_t next = 0;
	int rc = 0;

	while (!rc && (next < count || p->connecting)) {
		while (next < count && p->connecting < CONNECTING_MAX) {
			if (list[next].chosen)
				begin(p, &list[next]);
			next++;
		}
		rc = p->connecting ? breathe(&idle, poll_all(p)) : 0;
	}
	if (rc)
		close_all(p);
	return rc ? rc : p->attached;
}

int probe_candidates(struct nvio_env *env, struct probe_candidate *list, size_t count, nvio_probe_fn probe, nvio_attach_fn attach,
	void *arg)
{
	struct probe *p;
	int rc;

	for (size_t i = 0; i < count; i++) {
		struct nvio_probe_info info = info_of(&list[i]);

		nvio_ctrlr_opts_init(&list[i].opts);
		list[i].chosen = !probe || probe(&info, &list[i].opts, arg);
	}
	p = alloc_zeroed(sizeof(*p));
	if (!p)
		return fail(-ENOMEM, "probe: no memory for the connections");
	p->env = env;
	p->attach = attach;
	p->arg = arg;
	rc = connect_chosen(p, list, count);
	alloc_free(p);
	return rc;
}

/* ---- what there is ---- */

struct found {
	struct probe_candidate *list;
	size_t count, room;
	bool all;             /* not one that was named: those that cannot be taken are left out */
	bool unsafe_no_iommu;
};

static bool is_for_us(const struct found *f, const struct nvio_pci_info *info)
{
	if (!f->all)
		return true;
	if (info->owner == NVIO_PCI_VFIO)
		return info->iommu_group >= 0 || f->unsafe_no_iommu;
	return info->owner == NVIO_PCI_UIO && f->unsafe_no_iommu;
}

static int grow(struct found *f)
{
	size_t room = f->room ? 2 * f->room : 8;
	struct probe_candidate *list = alloc_array(room, sizeof(*list));

	if (!list)
		return fail(-ENOMEM, "probe: no memory for %zu controllers", room);
	if (f->count)
		memcpy(list, f->list, f->count * sizeof(*list));
	alloc_free(f->list);
	f->list = list;
	f->room = room;
	return 0;
}

static int add(const struct nvio_pci_info *info, void *arg)
{
	struct found *f = arg;
	struct probe_candidate *c;

	if (!is_for_us(f, info))
		return 0;
	if (f->count == f->room && grow(f))
		return -ENOMEM;
	c = &f->list[f->count];
	c->pci = *info;
	c->is_pci = true;
	if (nvio_trid_pcie(&c->trid, info->bdf))
		return -EINVAL;
	f->count++;
	return 0;
}

static int probe_bus(struct nvio_env *env, const char *bdf, nvio_probe_fn probe, nvio_attach_fn attach, void *arg)
{
	struct found f = { .all = !bdf, .unsafe_no_iommu = env->opts.unsafe_no_iommu };
	struct nvio_pci_scan_opts opts;
	int rc;

	if (env->opts.no_pci)
		return fail(-EPERM, "probe: this environment was opened with no_pci");
	nvio_pci_scan_opts_init(&opts);
	opts.root = env->opts.pci_root;
	opts.bdf = bdf;
	rc = nvio_pci_scan(&opts, add, &f);
	if (rc == -ENOENT)
		rc = 0;
	if (!rc)
		rc = probe_candidates(env, f.list, f.count, probe, attach, arg);
	alloc_free(f.list);
	return rc;
}

int nvio_probe(struct nvio_env *env, const struct nvio_trid *trid, nvio_probe_fn probe, nvio_attach_fn attach, void *arg)
{
	struct probe_candidate one = { .chosen = false };
	char text[2 * NVIO_TRADDR_MAX + NVIO_NQN_MAX + NVIO_TRSVCID_MAX];

	if (!env || !attach)
		return fail(-EINVAL, "probe: %s is NULL", !env ? "the environment" : "the function that gets the controllers");
	if (!trid || (trid->trtype == NVIO_TRTYPE_PCIE && !trid->traddr[0]))
		return probe_bus(env, NULL, probe, attach, arg);
	/* Normalised, and whatever the caller has put there is checked. */
	nvio_trid_format(trid, text, sizeof(text));
	if (nvio_trid_parse(text, &one.trid))
		return -EINVAL;
	if (one.trid.trtype == NVIO_TRTYPE_PCIE)
		return probe_bus(env, one.trid.traddr, probe, attach, arg);
	return probe_candidates(env, &one, 1, probe, attach, arg);
}
