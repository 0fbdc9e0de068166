/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory queues over loop: registers and doorbells are those of a controller in this process. Any pointer is a buffer, unless the
 * controller is behind an IOMMU.
 */
#include "host/pcie/mq.h"

#include "loop/loop.h"

static struct loop_port *port_of(struct nvio_ctrlr *c) { return c->transport; }

static int loop_host_open(struct nvio_ctrlr *c)
{
	struct loop_port *port;
	int rc = loop_attach(c->env, c->trid.traddr, &port);

	if (!rc)
		c->transport = port;
	return rc;
}

static void loop_host_close(struct nvio_ctrlr *c)
{
	if (c->transport)
		loop_detach(port_of(c));
	c->transport = NULL;
}

static uint64_t loop_host_read(struct nvio_ctrlr *c, uint32_t offset, uint32_t width)
{
	return width == 8 ? loop_reg_read64(port_of(c), offset) : loop_reg_read32(port_of(c), offset);
}

static void loop_host_write(struct nvio_ctrlr *c, uint32_t offset, uint32_t width, uint64_t value)
{
	loop_reg_write(port_of(c), offset, width, value);
}

static int loop_host_kick(struct nvio_ctrlr *c)
{
	const struct loop_hot *hot = loop_hot(port_of(c));

	return hot->kick ? hot->kick(hot->ctx) : 0;
}

static uint32_t *loop_host_doorbell(struct nvio_ctrlr *c, uint32_t index)
{
	return loop_doorbell(port_of(c), index);
}

static void loop_host_wake(struct nvio_ctrlr *c)
{
	loop_target_wake(port_of(c));
}

static int loop_host_qpair(struct nvio_ctrlr *c, uint16_t qid, uint32_t entries, uint32_t slots, struct nvio_qpair **qp)
{
	const struct loop_hot *hot = loop_hot(port_of(c));
	struct mq_bar bar = {
		.doorbell = loop_host_doorbell,
		.kick = hot->kick,
		.kick_ctx = hot->ctx,
		.asleep = hot->kick ? NULL : loop_target_asleep(port_of(c)),
		.wake = loop_host_wake,
		.identity = !loop_behind_iommu(port_of(c)),
		.vector = -1,
	};

	return mq_create(c, &bar, qid, entries, slots, qp);
}

/* ---- sleeping ---- */

static int loop_host_sleep_open(struct nvio_ctrlr *c, uint16_t qid)
{
	return loop_bell_open(port_of(c), qid);
}

static void loop_host_sleep_close(struct nvio_ctrlr *c, uint16_t qid)
{
	loop_bell_close(port_of(c), qid);
}

static void loop_host_sleep_begin(struct nvio_ctrlr *c, uint16_t qid)
{
	loop_bell_silence(port_of(c), qid);
}

static int loop_host_sleep_arm(struct nvio_ctrlr *c, uint16_t qid, uint32_t head)
{
	return loop_bell_arm(port_of(c), qid, head) ? -1 : SLEEP_NAP_MS;
}

static int loop_host_sleep_rest(struct nvio_ctrlr *c, uint16_t qid, int *timeout_ms)
{
	return loop_bell_rest(port_of(c), qid, timeout_ms);
}

static void loop_host_sleep_end(struct nvio_ctrlr *c, uint16_t qid)
{
	loop_bell_strike(port_of(c), qid);
}

static const struct sleep_ops loop_sleep_ops = {
	.open = loop_host_sleep_open,
	.close = loop_host_sleep_close,
	.begin = loop_host_sleep_begin,
	.arm = loop_host_sleep_arm,
	.rest = loop_host_sleep_rest,
	.end = loop_host_sleep_end,
};

const struct ctrlr_ops pcie_loop_ops = {
	.name = "loop",
	.open = loop_host_open,
	.close = loop_host_close,
	.reg_read = loop_host_read,
	.reg_write = loop_host_write,
	.kick = loop_host_kick,
	.qpair_create = loop_host_qpair,
	.admin_setup = mq_admin_setup,
	.sleep = &loop_sleep_ops,
};
