/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Asynchronous events: the requests that wait for one, and the events that wait for a request (NVMe Base 2.0 section
 * 5.2). After an event its type is silent until the host has read the log page that goes with it.
 */
#ifndef TARGET_AER_H
#define TARGET_AER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

#define TGT_AERL       3u /* outstanding requests, 0's based */
#define TGT_MAX_EVENTS 8u /* more of the same are told once */
#define TGT_CHANGED_MAX 1024u

struct tgt_ctrlr;

struct tgt_event {
	uint8_t type, info, lid;
};

struct tgt_aer {
	struct list waiting;      /* struct tgt_req */
	uint32_t num_waiting;
	struct tgt_event events[TGT_MAX_EVENTS];
	uint32_t num_events;
	uint8_t silent;           /* bit per type: reported, log page not read yet */
};

void tgt_aer_init(struct tgt_aer *a);

/* Something happened. Notices and SMART events are dropped unless the host has asked for them. */
void tgt_event(struct tgt_ctrlr *c, uint8_t type, uint8_t info, uint8_t lid);

/* The host has read the page (without "retain"): its events may be told again. */
void tgt_aer_log_read(struct tgt_ctrlr *c, uint8_t lid);

/* A controller level reset: events are forgotten; the requests went with their queue. */
void tgt_aer_reset(struct tgt_aer *a);

#endif
