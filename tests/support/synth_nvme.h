/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An NVMe controller on the synthetic bus: behind its BAR 0 is whatever is published in the room loop, a software drive or the bare
 * controller. It is strict where the specification allows it to be: it does nothing for who has not made it a bus master, takes
 * vectors only once they are enabled, and interrupts only for a queue that was empty, as far as it was told, or that still is not when
 * it is told (NVMe PCIe Transport 1.0 section 3.3.1).
 */
#ifndef SUPPORT_SYNTH_NVME_H
#define SUPPORT_SYNTH_NVME_H

#include <pthread.h>
#include <stdatomic.h>

#include "loop/iommu.h"
#include "loop/loop.h"
#include "pci/synth.h"
#include <nvio/spec/regs.h>

#define SYNTH_NVME_QUEUES 8
#define SYNTH_NVME_BAR	  (NVIO_REG_DOORBELL + 2 * SYNTH_NVME_QUEUES * 4)

/* A completion queue as the interrupts see it. */
struct synth_cq {
	const uint8_t *mem; /* NULL: there is none */
	uint32_t size, tail, phase, told;
	bool interrupts;
	uint32_t vector;
};

struct synth_nvme {
	struct synth synth; /* first */
	struct nvio_env *env;
	struct loop_port *port;
	struct loop_tlb tlb;
	pthread_mutex_t lock; /* what follows */
	uint32_t bar[SYNTH_NVME_BAR / 4] __attribute__((aligned(8)));
	uint32_t cc;
	const uint8_t *asq;
	uint32_t asq_size, asq_tail;
	struct synth_cq cqs[SYNTH_NVME_QUEUES];
	bool pulled;
	uint64_t moves, pull_at; /* the move before which it is pulled out, or, with asks_back, the system wants it back; 0: never */
	bool asks_back;

	/* What the driver did wrong, or might have. */
	atomic_uint mastered;	       /* bus mastering went on ... */
	atomic_uint mastered_running;  /* ... while it was enabled, or not stopped yet */
	atomic_uint enabled_blind;     /* CC.EN = 1 without an admin queue, or without bus mastering */
	atomic_uint strays;	       /* doorbells that it could not follow without being bus master */
	atomic_uint vectors_too_early; /* queues with a vector that is not enabled */
	atomic_uint raised[SYNTH_VECTORS];

	pthread_t thread;
	bool has_thread;
	atomic_bool stop;
};

/* `loop_name` must be published, and has no other host. Aborts on failure. The BAR may be made smaller before it is connected to. */
void synth_nvme_open(struct synth_nvme *n, struct nvio_env *env, const char *bdf, const char *loop_name);
/* Nobody is connected. */
void synth_nvme_close(struct synth_nvme *n);

/* Does what there is to do, and nothing when it is called from within itself or is busy on another thread. */
void synth_nvme_move(struct synth_nvme *n);
/* Moves all the time, on a thread of its own. */
void synth_nvme_run(struct synth_nvme *n);

/* Out of its slot, at once: when this returns it does no more DMA. Any thread. */
void synth_nvme_pull(struct synth_nvme *n);

#endif
