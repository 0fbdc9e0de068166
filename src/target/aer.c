/* SPDX-License-Identifier: BSD-3-Clause */
/* Asynchronous Event Request: matching events with the requests that wait for them. */
#include "target/admin.h"

#include <string.h>

#include "base/fail.h"
#include <nvio/spec/feature.h>
#include <nvio/spec/identify.h>
#include <nvio/spec/log.h>

void tgt_aer_init(struct tgt_aer *a)
{
	memset(a, 0, sizeof(*a));
	list_init(&a->waiting);
}

void tgt_aer_reset(struct tgt_aer *a)
{
	invariant(list_empty(&a->waiting));
	tgt_aer_init(a);
}

/* Hands events to requests until either is used up, or all that is left is silent. */
static void match(struct tgt_ctrlr *c)
{
	struct tgt_aer *a = &c->aer;

	for (uint32_t i = 0; i < a->num_events && a->num_waiting;) {
		struct tgt_event ev = a->events[i];
		struct tgt_req *req;

		if (a->silent & 1u << ev.type) {
			i++;
			continue;
		}
		a->num_events--;
		memmove(&a->events[i], &a->events[i + 1], (a->num_events - i) * sizeof(ev));
		a->silent |= (uint8_t)(1u << ev.type);
		req = list_entry(list_pop_front(&a->waiting), struct tgt_req, link);
		a->num_waiting--;
		req->dw0 = nvio_aer_build(ev.type, ev.info, ev.lid);
		tgt_req_done(req, 0);
	}
}

static bool wanted(const struct tgt_ctrlr *c, uint8_t type, uint8_t info)
{
	uint32_t config = c->features.value[NVIO_FID_ASYNC_EVENT_CONFIG];

	switch (type) {
	case NVIO_AER_SMART:
		return config & (info == NVIO_AER_SMART_TEMPERATURE ? NVIO_SMART_TEMPERATURE : 0);
	case NVIO_AER_NOTICE:
		return config & (info == NVIO_AER_NOTICE_NS_CHANGED ? NVIO_OAES_NS_ATTRIBUTES : 0);
	default:
		return true;
	}
}

void tgt_event(struct tgt_ctrlr *c, uint8_t type, uint8_t info, uint8_t lid)
{
	struct tgt_aer *a = &c->aer;

	if (!wanted(c, type, info))
		return;
	for (uint32_t i = 0; i < a->num_events; i++)
		if (a->events[i].type == type && a->events[i].info == info)
			return;
	if (a->num_events == TGT_MAX_EVENTS)
		return; /* the host has long stopped listening */
	a->events[a->num_events++] = (struct tgt_event){ type, info, lid };
	match(c);
}

void tgt_aer_log_read(struct tgt_ctrlr *c, uint8_t lid)
{
	static const struct {
		uint8_t lid, type;
	} pages[] = {
		{ NVIO_LID_ERROR, NVIO_AER_ERROR },
		{ NVIO_LID_SMART, NVIO_AER_SMART },
		{ NVIO_LID_CHANGED_NS, NVIO_AER_NOTICE },
	};

	for (size_t i = 0; i < ARRAY_SIZE(pages); i++)
		if (pages[i].lid == lid)
			c->aer.silent &= (uint8_t)~(1u << pages[i].type);
	match(c);
}

void tgt_exec_aer(struct tgt_req *req)
{
	struct tgt_aer *a = &req->ctrlr->aer;

	if (a->num_waiting > TGT_AERL) {
		tgt_req_done(req, TGT_DNR(NVIO_SCT_COMMAND, NVIO_SC_AER_LIMIT_EXCEEDED));
		return;
	}
	list_push_back(&a->waiting, &req->link);
	a->num_waiting++;
	match(req->ctrlr);
}
