/* SPDX-License-Identifier: BSD-3-Clause */
/* Probing's inner side: a list that came from wherever. */
#ifndef ENV_PROBE_H
#define ENV_PROBE_H

#include <nvio/probe.h>

struct probe_candidate {
	struct nvio_trid trid;
	struct nvio_pci_info pci;
	bool is_pci;
	/* probe_candidates() fills in. */
	bool chosen;
	struct nvio_ctrlr_opts opts;
};

/* As nvio_probe(), for these; the list is the caller's. */
int probe_candidates(struct nvio_env *env, struct probe_candidate *list, size_t count, nvio_probe_fn probe, nvio_attach_fn attach,
	void *arg);

#endif
