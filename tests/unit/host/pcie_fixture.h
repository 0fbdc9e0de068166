/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of the PCI transport share: the fixture's bare controller as a function of the synthetic bus. */
#ifndef UNIT_HOST_PCIE_FIXTURE_H
#define UNIT_HOST_PCIE_FIXTURE_H

#include "tests/unit/host/fixture.h"

#include "tests/support/synth_nvme.h"

#define BDF "0000:01:00.0"

static struct synth_nvme dev;

static inline void pcie_tick(void)
{
	synth_nvme_move(&dev);
}

/* The device, moved whenever the host looks at the clock; nothing connected. */
static inline void pcie_plug(void)
{
	synth_nvme_open(&dev, f.env, BDF, "bare");
	f.tick = pcie_tick;
}

/* Nobody is connected. */
static inline void pcie_unplug(void)
{
	f.tick = NULL;
	synth_nvme_close(&dev);
}

static inline int pcie_setup(void **state)
{
	if (fix_setup(state))
		return -1;
	pcie_plug();
	return 0;
}

static inline void pcie_disconnect(void)
{
	nvio_qpair_free(f.qp);
	nvio_ctrlr_close(f.c);
	f.qp = NULL;
	f.c = NULL;
}

/* What must hold of every driver, whatever happened to it. */
static inline int pcie_teardown(void **state)
{
	f.step_ns = MS;
	pcie_disconnect();
	assert_int_equal(dev.mastered_running, 0);
	assert_int_equal(dev.enabled_blind, 0);
	assert_int_equal(dev.vectors_too_early, 0);
	assert_int_equal(dev.synth.counts.opens, dev.synth.counts.closes);
	assert_false(!dev.pulled && synth_is_bus_master(&dev.synth));
	pcie_unplug();
	return fix_teardown(state);
}

static inline int pcie_connect(const struct nvio_ctrlr_opts *opts)
{
	return nvio_connect(f.env, BDF, opts, &f.c);
}

static inline void pcie_connect_all(const struct nvio_ctrlr_opts *opts)
{
	if (pcie_connect(opts) || nvio_qpair_alloc(f.c, NULL, &f.qp))
		fail_msg("%s", nvio_errmsg());
	f.ns = nvio_ctrlr_ns(f.c, 1);
	assert_non_null(f.ns);
}

#define PCIE_TEST(test) cmocka_unit_test_setup_teardown(test, pcie_setup, pcie_teardown)

#endif
