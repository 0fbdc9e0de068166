/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the controller says unasked, and what it wants to hear: asynchronous events (NVMe Base 2.0 section 5.2) and
 * keep-alive (section 3.9). Both go on from whatever poll comes by, so no user has to think of them.
 */
#include "host/hot.h"

#include <nvio/spec/feature.h>

static void event_arm(struct nvio_ctrlr *c, struct admin_cmd *cmd);

static void on_event(struct admin_cmd *cmd, int rc)
{
	struct nvio_ctrlr *c = cmd->c;
	uint32_t dw0 = cmd->op.cpl.dw0;

	/* A controller that wants fewer requests outstanding, or is going down, gets no new one. */
	if (rc)
		return;
	log_msg(&c->env->log, NVIO_LOG_NOTICE, "%s: %s: asynchronous event %#x", c->ops->name, c->trid.traddr, dw0);
	if (nvio_aer_type(dw0) == NVIO_AER_NOTICE && nvio_aer_info(dw0) == NVIO_AER_NOTICE_NS_CHANGED)
		c->ns_changed = true;
	if (c->event_count < ARRAY_SIZE(c->events))
		c->events[c->event_count++] = dw0;
	sleep_wake_ctrlr(c);
	event_arm(c, cmd);
}

static void event_arm(struct nvio_ctrlr *c, struct admin_cmd *cmd)
{
	struct nvio_sqe sqe = { .opc = NVIO_ADMIN_ASYNC_EVENT };

	admin_send(c, cmd, &sqe, NULL, 0, on_event);
}

void events_arm(struct nvio_ctrlr *c)
{
	/* Most of a small admin queue stays free for commands. */
	uint32_t n = MIN(MIN((uint32_t)HOST_AER_COUNT, (uint32_t)c->id.aerl + 1), c->admin->nslots / 4u);

	for (uint32_t i = 0; i < n; i++)
		if (!c->aers[i].busy)
			event_arm(c, &c->aers[i]);
}

static void on_keep_alive(struct admin_cmd *cmd, int rc)
{
	struct nvio_ctrlr *c = cmd->c;

	if (rc && rc != -ECANCELED)
		log_msg(&c->env->log, NVIO_LOG_WARN, "%s: %s: keep-alive: %s", c->ops->name, c->trid.traddr, nvio_op_strerror(&cmd->op));
}

void keep_alive_poll(struct nvio_ctrlr *c, uint64_t now)
{
	struct nvio_sqe sqe = { .opc = NVIO_ADMIN_KEEP_ALIVE };
	uint64_t period = c->opts.keep_alive_timeout_ms * NS_PER_MS;

	if (now < c->next_keep_alive_ns)
		return;
	if (c->keep_alive.busy) {
		/* Behind the users' long commands it has not been sent yet; that the controller is busy is a sign of life. */
		if (op_io(&c->keep_alive.op)->flags & HOST_IO_QUEUED)
			return;
		/* Sent half a timeout ago and not answered for as long again: it hears us no more, or we it. */
		if (now >= c->next_keep_alive_ns + period / 2)
			ctrlr_request_reset(c, "keep-alive was not answered");
		return;
	}
	/* Twice per timeout, so that one may be late. */
	c->next_keep_alive_ns = now + period / 2;
	admin_send(c, &c->keep_alive, &sqe, NULL, 0, on_keep_alive);
}
