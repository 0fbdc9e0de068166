/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The controller's states: one handler each, a table of what may follow what, and one setter that checks, traces and arms
 * the deadline. Everything here is under the controller's lock.
 */
#include "host/hot.h"

#include <stdarg.h>

#include "base/text.h"
#include <nvio/error.h>
#include <nvio/spec/feature.h>
#include <nvio/spec/log.h>

typedef void (*state_fn)(struct nvio_ctrlr *c, enum ctrlr_event event);

static uint64_t reg_read(struct nvio_ctrlr *c, uint32_t offset, uint32_t width) { return c->ops->reg_read(c, offset, width); }

static void write_cc(struct nvio_ctrlr *c, uint32_t cc)
{
	c->cc = cc;
	c->ops->reg_write(c, NVIO_REG_CC, 4, cc);
}

/* What is in flight ends, and its buffers are their owners' again: nothing may be written to them any more. */
static void cut_off(struct nvio_ctrlr *c)
{
	if (c->ops->cut_off)
		c->ops->cut_off(c);
}

/* A step did not work: the end while connecting; another try (they are counted) while resetting. */
static void step_failed(struct nvio_ctrlr *c, int rc, const char *fmt, ...) NVIO_PRINTF(3, 4);
static void step_failed(struct nvio_ctrlr *c, int rc, const char *fmt, ...)
{
	char why[160];
	va_list ap;

	va_start(ap, fmt);
	text_vformat(why, sizeof(why), fmt, ap);
	va_end(ap);
	if (ctrlr_state(c) == CTRLR_FAILING) {
		/* It does not even stop; that has been said. */
		cut_off(c);
		ctrlr_set_state(c, CTRLR_FAILED);
	} else if (c->connect_op || c->closing)
		ctrlr_fail(c, rc, "%s: %s: %s: %s", c->ops->name, c->trid.traddr, ctrlr_state_name(ctrlr_state(c)), why);
	else
		ctrlr_request_reset(c, why);
}

/* ---- registers ---- */

static void run_probe(struct nvio_ctrlr *c, enum ctrlr_event event)
{
	uint64_t cap = reg_read(c, NVIO_REG_CAP, 8);
	uint32_t cc, csts;

	if (cap == UINT64_MAX) {
		ctrlr_removed(c);
		return;
	}
	c->cap = cap;
	c->vs = (uint32_t)reg_read(c, NVIO_REG_VS, 4);
	if (nvio_cap_mpsmin(cap) > 0) {
		step_failed(c, -EOPNOTSUPP, "its smallest memory page (CAP.MPSMIN) is larger than 4 KiB");
		return;
	}
	cc = (uint32_t)reg_read(c, NVIO_REG_CC, 4);
	csts = (uint32_t)reg_read(c, NVIO_REG_CSTS, 4);
	c->cc = cc;
	/* EN must not be cleared between EN = 1 and RDY = 1 (NVMe Base 2.0 section 3.1.3.5). */
	if (nvio_cc_en(cc) && !nvio_csts_rdy(csts) && !nvio_csts_cfs(csts))
		ctrlr_set_state(c, CTRLR_SETTLE);
	else
		ctrlr_set_state(c, CTRLR_DISABLE);
}

static void run_settle(struct nvio_ctrlr *c, enum ctrlr_event event)
{
	uint32_t csts = (uint32_t)reg_read(c, NVIO_REG_CSTS, 4);

	if (nvio_csts_rdy(csts) || nvio_csts_cfs(csts))
		ctrlr_set_state(c, CTRLR_DISABLE);
}

static int admin_make(struct nvio_ctrlr *c)
{
	uint32_t entries = c->opts.admin_queue_size;

	if (c->admin)
		return 0;
	return c->ops->qpair_create(c, 0, entries, entries - 1, &c->admin);
}

/* Its queues are gone from here on, doorbells with them. */
static void disable(struct nvio_ctrlr *c)
{
	if (c->admin) {
		c->admin->live = false;
		c->admin->gate |= GATE_CLOSED;
	}
	if (nvio_cc_en(c->cc))
		write_cc(c, nvio_cc_with_en(c->cc, 0));
}

static void run_disable(struct nvio_ctrlr *c, enum ctrlr_event event)
{
	/* It may be entered from within a completion of the admin queue; what follows empties that, and waits for the next poll. */
	if (event == CTRLR_ENTER) {
		disable(c);
		return;
	}
	if (event != CTRLR_POLL || nvio_csts_rdy((uint32_t)reg_read(c, NVIO_REG_CSTS, 4)))
		return;
	/* The controller has stopped: nothing that it was given is its own any more. */
	if (c->admin)
		admin_drop_all(c, -ECANCELED);
	if (c->closing)
		ctrlr_set_state(c, CTRLR_CLOSED);
	else
		ctrlr_set_state(c, CTRLR_ENABLE);
}

/* Until it has stopped it may still write to the buffers of what is in flight, so nothing ends before. */
static void run_failing(struct nvio_ctrlr *c, enum ctrlr_event event)
{
	if (event == CTRLR_ENTER)
		disable(c);
	else if (event == CTRLR_POLL && !nvio_csts_rdy((uint32_t)reg_read(c, NVIO_REG_CSTS, 4)))
		ctrlr_set_state(c, CTRLR_FAILED);
}

static void run_enable(struct nvio_ctrlr *c, enum ctrlr_event event)
{
	uint32_t csts;
	int rc;

	if (event == CTRLR_ENTER) {
		rc = admin_make(c);
		if (rc) {
			ctrlr_fail(c, rc, "%s", nvio_errmsg());
			return;
		}
		c->admin->ops->rewind(c->admin);
		c->ops->admin_setup(c);
		/* NVM commands, 4 KiB pages, round robin; entries of 64 and 16 bytes. */
		write_cc(c, nvio_cc_build(&(struct nvio_cc){ .en = 1, .iosqes = 6, .iocqes = 4 }));
		return;
	}
	csts = (uint32_t)reg_read(c, NVIO_REG_CSTS, 4);
	if (!nvio_csts_rdy(csts))
		return;
	if (c->closing) {
		ctrlr_set_state(c, CTRLR_DISABLE);
		return;
	}
	c->admin->live = true;
	qpair_pump(c->admin);
	ctrlr_set_state(c, CTRLR_IDENTIFY);
}

/* ---- commands ---- */

static void on_state_reply(struct admin_cmd *cmd, int rc);

static void state_send(struct nvio_ctrlr *c, const struct nvio_sqe *sqe, void *buf)
{
	admin_send(c, &c->state_cmd, sqe, buf, buf ? HOST_PAGE : 0, on_state_reply);
}

static uint32_t transfer_limit(const struct nvio_ctrlr *c)
{
	uint32_t mdts = c->id.mdts;

	/* MDTS is a power of two of the smallest page; 0: no limit (NVMe Base 2.0 figure "Identify Controller"). */
	if (!mdts || mdts >= 9)
		return HOST_MAX_TRANSFER;
	return HOST_PAGE << mdts;
}

static void run_identify(struct nvio_ctrlr *c, enum ctrlr_event event)
{
	struct nvio_sqe sqe = { .opc = NVIO_ADMIN_IDENTIFY, .cdw10 = nvio_to_le32(NVIO_CNS_CTRLR) };

	if (event == CTRLR_ENTER) {
		state_send(c, &sqe, c->dma);
	} else if (event == CTRLR_REPLY) {
		/* After a reset, other threads are reading it; it hardly ever differs. */
		if (memcmp(&c->id, c->dma, sizeof(c->id)))
			memcpy(&c->id, c->dma, sizeof(c->id));
		if (c->max_transfer != transfer_limit(c))
			c->max_transfer = transfer_limit(c);
		ctrlr_set_state(c, CTRLR_SET_QUEUES);
	}
}

static void run_set_queues(struct nvio_ctrlr *c, enum ctrlr_event event)
{
	uint32_t n = c->opts.num_io_queues - 1;
	struct nvio_sqe sqe = { .opc = NVIO_ADMIN_SET_FEATURES, .cdw10 = nvio_to_le32(NVIO_FID_NUM_QUEUES), .cdw11 = nvio_to_le32(n | n << 16) };
	uint32_t dw0, nsq, ncq;

	if (event == CTRLR_ENTER) {
		state_send(c, &sqe, NULL);
	} else if (event == CTRLR_REPLY) {
		dw0 = c->state_cmd.op.cpl.dw0;
		nsq = (dw0 & 0xffff) + 1;
		ncq = (dw0 >> 16) + 1;
		c->max_queues = MIN(MIN(nsq, ncq), c->opts.num_io_queues);
		ctrlr_set_state(c, CTRLR_SET_EVENTS);
	}
}

static void run_set_events(struct nvio_ctrlr *c, enum ctrlr_event event)
{
	/* All critical warnings (7:0), and the notices that the controller says it has (OAES). */
	uint32_t want = 0x1f | (nvio_get_le32(c->id.oaes) & (NVIO_OAES_NS_ATTRIBUTES | NVIO_OAES_FIRMWARE));
	struct nvio_sqe sqe = { .opc = NVIO_ADMIN_SET_FEATURES, .cdw10 = nvio_to_le32(NVIO_FID_ASYNC_EVENT_CONFIG), .cdw11 = nvio_to_le32(want) };

	if (event == CTRLR_ENTER)
		state_send(c, &sqe, NULL);
	else if (event == CTRLR_REPLY)
		ctrlr_set_state(c, CTRLR_SET_KEEP_ALIVE);
}

static void run_set_keep_alive(struct nvio_ctrlr *c, enum ctrlr_event event)
{
	uint32_t ms = c->opts.keep_alive_timeout_ms;
	struct nvio_sqe sqe = { .opc = NVIO_ADMIN_SET_FEATURES, .cdw10 = nvio_to_le32(NVIO_FID_KEEP_ALIVE), .cdw11 = nvio_to_le32(ms) };

	if (event == CTRLR_ENTER) {
		c->next_keep_alive_ns = UINT64_MAX;
		if (ms && nvio_get_le16(c->id.kas))
			state_send(c, &sqe, NULL);
		else
			ctrlr_set_state(c, CTRLR_LIST_NS);
	} else if (event == CTRLR_REPLY) {
		if (!c->state_cmd.op.status)
			c->next_keep_alive_ns = ctrlr_now(c) + ms * NS_PER_MS / 2;
		ctrlr_set_state(c, CTRLR_LIST_NS);
	}
}

/* A notice is repeated only after the log page that it points to was read (NVMe Base 2.0 section 5.2). */
static void run_changed_ns(struct nvio_ctrlr *c, enum ctrlr_event event)
{
	struct nvio_sqe sqe = {
		.opc = NVIO_ADMIN_GET_LOG_PAGE, .nsid = nvio_to_le32(NVIO_NSID_ALL),
		.cdw10 = nvio_to_le32(NVIO_LID_CHANGED_NS | (HOST_PAGE / 4 - 1) << 16),
	};

	if (event == CTRLR_ENTER)
		state_send(c, &sqe, c->dma);
	else if (event == CTRLR_REPLY)
		ctrlr_set_state(c, CTRLR_LIST_NS);
}

static void run_list_ns(struct nvio_ctrlr *c, enum ctrlr_event event)
{
	struct nvio_sqe sqe = { .opc = NVIO_ADMIN_IDENTIFY, .cdw10 = nvio_to_le32(NVIO_CNS_ACTIVE_NS_LIST) };
	int rc;

	if (event == CTRLR_POLL)
		return;
	if (event == CTRLR_ENTER) {
		ns_list_begin(c);
	} else {
		rc = ns_list_add(c, c->dma, &c->list_from);
		if (rc < 0) {
			step_failed(c, rc, "no memory for the namespaces");
			return;
		}
		if (!rc) {
			ctrlr_set_state(c, CTRLR_IDENTIFY_NS);
			return;
		}
	}
	sqe.nsid = nvio_to_le32(c->list_from);
	state_send(c, &sqe, c->dma);
}

static void run_identify_ns(struct nvio_ctrlr *c, enum ctrlr_event event)
{
	struct nvio_sqe sqe = { .opc = NVIO_ADMIN_IDENTIFY, .cdw10 = nvio_to_le32(NVIO_CNS_NS) };
	struct nvio_ns *ns;

	if (event == CTRLR_POLL)
		return;
	if (event == CTRLR_REPLY && ns_update(c, c->ns_done++, c->state_cmd.op.status ? NULL : c->dma)) {
		step_failed(c, -ENOMEM, "no memory for the namespaces");
		return;
	}
	ns = ns_to_identify(c);
	if (!ns) {
		ns_list_end(c);
		ctrlr_set_state(c, CTRLR_READY);
		return;
	}
	sqe.nsid = nvio_to_le32(ns->nsid);
	state_send(c, &sqe, c->dma);
}

static void end_op(struct nvio_ctrlr *c, struct nvio_op **op, int rc)
{
	if (*op)
		admin_user_ended(c, *op, rc);
	*op = NULL;
}

static void run_ready(struct nvio_ctrlr *c, enum ctrlr_event event)
{
	if (event == CTRLR_ENTER) {
		atomic_store_explicit(&c->up, true, memory_order_relaxed);
		events_arm(c);
		end_op(c, &c->connect_op, 0);
		end_op(c, &c->reset_op, 0);
		qpair_call_all(c);
	} else if (event == CTRLR_POLL && c->ns_changed) {
		c->ns_changed = false;
		ctrlr_set_state(c, CTRLR_CHANGED_NS);
	}
}

static void run_shutdown(struct nvio_ctrlr *c, enum ctrlr_event event)
{
	if (event == CTRLR_ENTER)
		write_cc(c, nvio_cc_with_shn(c->cc, NVIO_CC_SHN_NORMAL));
	if (nvio_csts_shst((uint32_t)reg_read(c, NVIO_REG_CSTS, 4)) == NVIO_CSTS_SHST_COMPLETE)
		ctrlr_set_state(c, CTRLR_DISABLE);
}

static void run_ended(struct nvio_ctrlr *c, enum ctrlr_event event)
{
	int rc;

	if (event != CTRLR_ENTER)
		return;
	rc = ctrlr_state(c) == CTRLR_FAILED ? -EIO : ctrlr_state(c) == CTRLR_REMOVED ? -ENODEV : -ECANCELED;
	if (c->admin)
		admin_drop_all(c, rc);
	end_op(c, &c->connect_op, c->failure_rc ? c->failure_rc : rc);
	end_op(c, &c->reset_op, rc);
	qpair_call_all(c);
}

/* ---- the table ---- */

#define TO(s) (1u << (s))
#define ENDINGS (TO(CTRLR_FAILING) | TO(CTRLR_REMOVED))
#define AGAIN   (ENDINGS | TO(CTRLR_DISABLE)) /* a reset, or a close, may come at any time */

enum deadline {
	DEADLINE_NONE,
	DEADLINE_CAP_TO,  /* what the controller says it needs to become ready or stop */
	DEADLINE_RTD3E,   /* ... to shut down */
	DEADLINE_OPTION,  /* state_timeout_ms */
	DEADLINE_STOP,    /* the longer of the two: there is no harm in waiting, and some in not */
};

static const struct state {
	const char *name;
	state_fn run;
	enum deadline deadline;
	uint32_t next;
	const char *waiting_for;
} states[CTRLR_STATES] = {
	[CTRLR_NEW] = { "new", NULL, DEADLINE_NONE, TO(CTRLR_PROBE) | TO(CTRLR_CLOSED), NULL },
	[CTRLR_PROBE] = { "probing", run_probe, DEADLINE_OPTION, AGAIN | TO(CTRLR_SETTLE), NULL },
	[CTRLR_SETTLE] = { "settling", run_settle, DEADLINE_CAP_TO, AGAIN, "CSTS.RDY = 1 after an earlier CC.EN = 1" },
	[CTRLR_FAILING] = { "failing", run_failing, DEADLINE_STOP, TO(CTRLR_FAILED) | TO(CTRLR_REMOVED), "CSTS.RDY = 0" },
	[CTRLR_DISABLE] = { "disabling", run_disable, DEADLINE_CAP_TO, AGAIN | TO(CTRLR_ENABLE) | TO(CTRLR_CLOSED), "CSTS.RDY = 0" },
	[CTRLR_ENABLE] = { "enabling", run_enable, DEADLINE_CAP_TO, AGAIN | TO(CTRLR_IDENTIFY), "CSTS.RDY = 1" },
	[CTRLR_IDENTIFY] = { "identifying", run_identify, DEADLINE_OPTION, AGAIN | TO(CTRLR_SET_QUEUES), "Identify Controller" },
	[CTRLR_SET_QUEUES] = { "asking for queues", run_set_queues, DEADLINE_OPTION, AGAIN | TO(CTRLR_SET_EVENTS),
		"Set Features: Number of Queues" },
	[CTRLR_SET_EVENTS] = { "configuring events", run_set_events, DEADLINE_OPTION, AGAIN | TO(CTRLR_SET_KEEP_ALIVE),
		"Set Features: Asynchronous Event Configuration" },
	[CTRLR_SET_KEEP_ALIVE] = { "configuring keep-alive", run_set_keep_alive, DEADLINE_OPTION, AGAIN | TO(CTRLR_LIST_NS),
		"Set Features: Keep Alive Timer" },
	[CTRLR_CHANGED_NS] = { "reading changed namespaces", run_changed_ns, DEADLINE_OPTION, AGAIN | TO(CTRLR_LIST_NS) | TO(CTRLR_SHUTDOWN),
		"Get Log Page: Changed Namespace List" },
	[CTRLR_LIST_NS] = { "listing namespaces", run_list_ns, DEADLINE_OPTION, AGAIN | TO(CTRLR_IDENTIFY_NS) | TO(CTRLR_SHUTDOWN),
		"Identify: active namespaces" },
	[CTRLR_IDENTIFY_NS] = { "identifying namespaces", run_identify_ns, DEADLINE_OPTION, AGAIN | TO(CTRLR_READY) | TO(CTRLR_SHUTDOWN),
		"Identify Namespace" },
	[CTRLR_READY] = { "ready", run_ready, DEADLINE_NONE, AGAIN | TO(CTRLR_CHANGED_NS) | TO(CTRLR_SHUTDOWN), NULL },
	[CTRLR_SHUTDOWN] = { "shutting down", run_shutdown, DEADLINE_RTD3E, AGAIN, "CSTS.SHST = complete" },
	[CTRLR_CLOSED] = { "closed", run_ended, DEADLINE_NONE, 0, NULL },
	[CTRLR_FAILED] = { "failed", run_ended, DEADLINE_NONE, TO(CTRLR_CLOSED), NULL },
	[CTRLR_REMOVED] = { "removed", run_ended, DEADLINE_NONE, TO(CTRLR_CLOSED), NULL },
};

const char *ctrlr_state_name(enum ctrlr_state s) { return states[s].name; }

static uint64_t state_deadline(const struct nvio_ctrlr *c, enum deadline kind, uint64_t now)
{
	uint64_t ms = c->opts.state_timeout_ms;

	if (kind == DEADLINE_NONE)
		return UINT64_MAX;
	if (kind == DEADLINE_CAP_TO) /* units of 500 ms, 0-based in effect: a controller may say 0 and still need a moment */
		ms = MAX(nvio_cap_to(c->cap), 1u) * 500ull;
	else if (kind == DEADLINE_STOP)
		ms = MAX(ms, MAX(nvio_cap_to(c->cap), 1u) * 500ull);
	else if (kind == DEADLINE_RTD3E && nvio_get_le32(c->id.rtd3e))
		ms = DIV_ROUND_UP(nvio_get_le32(c->id.rtd3e), 1000u) + 500;
	return now + ms * NS_PER_MS;
}

void ctrlr_set_state(struct nvio_ctrlr *c, enum ctrlr_state to)
{
	enum ctrlr_state from = ctrlr_state(c);
	uint64_t now = ctrlr_now(c);

	invariant(states[from].next & TO(to));
	log_msg(&c->env->log, NVIO_LOG_INFO, "%s: %s: %s -> %s", c->ops->name, c->trid.traddr, states[from].name, states[to].name);
	if (to == CTRLR_FAILING || to == CTRLR_DISABLE || to == CTRLR_SHUTDOWN || ctrlr_state_ended(to))
		atomic_store_explicit(&c->up, false, memory_order_relaxed);
	atomic_store_explicit(&c->state, to, memory_order_release);
	c->state_since_ns = now;
	c->state_deadline_ns = state_deadline(c, states[to].deadline, now);
	c->next_service_ns = now;
	sleep_wake_ctrlr(c);
	states[to].run(c, CTRLR_ENTER);
}

/* What a controller does not have is no reason not to use it; nor is a namespace that went since it was listed. */
static bool may_be_refused(enum ctrlr_state s, int rc)
{
	return s == CTRLR_SET_EVENTS || s == CTRLR_SET_KEEP_ALIVE || s == CTRLR_CHANGED_NS || (s == CTRLR_IDENTIFY_NS && rc == -ENODEV);
}

/* The answer to a state's command; one that belongs to a state that was left meanwhile means nothing any more. */
static void on_state_reply(struct admin_cmd *cmd, int rc)
{
	struct nvio_ctrlr *c = cmd->c;
	enum ctrlr_state s = ctrlr_state(c);

	if (s < CTRLR_IDENTIFY || s > CTRLR_IDENTIFY_NS)
		return;
	if (rc && !may_be_refused(s, rc)) {
		step_failed(c, -EIO, "%s: %s", states[s].waiting_for, nvio_op_strerror(&cmd->op));
		return;
	}
	states[s].run(c, CTRLR_REPLY);
}

/* ---- what can happen at any time ---- */

void ctrlr_fail(struct nvio_ctrlr *c, int rc, const char *fmt, ...)
{
	va_list ap;

	if (ctrlr_state_ended(ctrlr_state(c)) || ctrlr_state(c) == CTRLR_FAILING)
		return;
	va_start(ap, fmt);
	text_vformat(c->failure, sizeof(c->failure), fmt, ap);
	va_end(ap);
	c->failure_rc = rc;
	log_msg(&c->env->log, NVIO_LOG_ERROR, "%s", c->failure);
	qpair_stale_all(c);
	ctrlr_set_state(c, CTRLR_FAILING);
}

void ctrlr_removed(struct nvio_ctrlr *c)
{
	if (ctrlr_state_ended(ctrlr_state(c)))
		return;
	text_format(c->failure, sizeof(c->failure), "%s: %s: the device is gone (registers read as all-ones)", c->ops->name, c->trid.traddr);
	c->failure_rc = -ENODEV;
	log_msg(&c->env->log, NVIO_LOG_ERROR, "%s", c->failure);
	cut_off(c);
	ctrlr_set_state(c, CTRLR_REMOVED);
}

void ctrlr_begin_reset(struct nvio_ctrlr *c, enum nvio_log_level level, const char *why)
{
	log_msg(&c->env->log, level, "%s: %s: reset: %s", c->ops->name, c->trid.traddr, why);
	atomic_fetch_add_explicit(&c->resets, 1, memory_order_relaxed);
	qpair_stale_all(c);
	ctrlr_set_state(c, CTRLR_DISABLE);
}

void ctrlr_request_reset(struct nvio_ctrlr *c, const char *why)
{
	if (ctrlr_state_ended(ctrlr_state(c)) || ctrlr_state(c) == CTRLR_FAILING || c->closing)
		return;
	if (atomic_fetch_add_explicit(&c->resets_in_row, 1, memory_order_relaxed) >= c->opts.max_resets) {
		ctrlr_fail(c, -EIO, "%s: %s: given up after %u resets in a row; the last because %s", c->ops->name, c->trid.traddr,
			c->opts.max_resets, why);
		return;
	}
	ctrlr_begin_reset(c, NVIO_LOG_WARN, why);
}

static void check_status(struct nvio_ctrlr *c)
{
	uint32_t csts = (uint32_t)reg_read(c, NVIO_REG_CSTS, 4);
	enum ctrlr_state s = ctrlr_state(c);

	if (csts == UINT32_MAX)
		ctrlr_removed(c);
	else if (nvio_csts_cfs(csts) && s >= CTRLR_ENABLE && s <= CTRLR_SHUTDOWN)
		step_failed(c, -EIO, "the controller reports a fatal status (CSTS.CFS)");
}

static void check_deadline(struct nvio_ctrlr *c, uint64_t now)
{
	enum ctrlr_state s = ctrlr_state(c);

	if (now < c->state_deadline_ns)
		return;
	step_failed(c, -ETIMEDOUT, "no %s within %llu ms", states[s].waiting_for ? states[s].waiting_for : "answer",
		(unsigned long long)((c->state_deadline_ns - c->state_since_ns) / NS_PER_MS));
}

int ctrlr_advance(struct nvio_ctrlr *c)
{
	enum ctrlr_state before = ctrlr_state(c);
	uint64_t now;
	int n = 0;

	if (ctrlr_state_ended(before))
		return 0;
	/* Before the first look, too: a device that has no thread has still to put away what its last host left. */
	if (c->ops->kick)
		n += c->ops->kick(c);
	if (before == CTRLR_NEW) {
		ctrlr_set_state(c, CTRLR_PROBE);
		return 1;
	}
	if (c->admin)
		n += admin_reap(c);
	now = ctrlr_now(c);
	if (ctrlr_state(c) != CTRLR_READY || now >= c->next_service_ns) {
		c->next_service_ns = now + HOST_SERVICE_NS;
		check_status(c);
	}
	if (!ctrlr_state_ended(ctrlr_state(c)))
		states[ctrlr_state(c)].run(c, CTRLR_POLL);
	if (!ctrlr_state_ended(ctrlr_state(c)))
		check_deadline(c, now);
	if (atomic_load_explicit(&c->up, memory_order_relaxed))
		keep_alive_poll(c, now);
	if (ctrlr_state(c) != CTRLR_READY)
		c->next_service_ns = now;
	return n + (ctrlr_state(c) != before);
}
