/* SPDX-License-Identifier: BSD-3-Clause */
/* A port from the inside; laid out by who writes what, so that host and target on two cores do not share
 * lines by accident. */
#ifndef LOOP_PORT_H
#define LOOP_PORT_H

#include <pthread.h>
#include <sched.h>

#include "base/compiler.h"
#include "loop/iommu.h"
#include "loop/loop.h"

#define LOOP_MAX_DSTRD 15 /* CAP.DSTRD has four bits */

struct loop_registry {
	pthread_mutex_t lock;
	struct list ports; /* published; lock */
	struct list all;   /* not freed yet; lock */
};

/* Why a port is not present; one bit each in port->absent. */
enum loop_absence {
	LOOP_REMOVED = 1 << 0,	 /* by loop_set_present() */
	LOOP_WITHDRAWN = 1 << 1, /* the target is gone for good */
	LOOP_STUCK = 1 << 2,	 /* the target did not take its writes */
};

struct loop_slot {
	struct loop_write write;
	uint32_t epoch;
};

/* Where a host sleeps until queue `qid` has completions; sleep.c. */
struct loop_bell {
	uint32_t armed; /* atomic; 0: not; else 1 + the entry that it waits for */
	int event_fd;	/* bell lock; -1: not made */
	int fd;		/* bell lock; what the host sleeps on: the eventfd, or an epoll set with it */
	int rest_fd;	/* the host's; in the set: what an inline target waits for */
};

struct loop_port {
	/* Immutable from publish to the end. */
	struct loop_hot hot;
	const struct loop_port_ops *ops;
	void *ctx;
	struct nvio_env *env;
	struct loop_registry *registry;
	char *name;
	uint32_t *doorbells;
	uint32_t doorbell_count;
	bool has_urge, can_rest, behind_iommu;
	uint32_t dstrd;

	/* Registry lock. */
	struct list link;
	struct list all;
	bool has_target;
	bool has_host;

	struct loop_iommu iommu; /* behind_iommu */

	uint32_t absent; /* atomic: enum loop_absence */

	/* Whoever kicks. */
	bool kicking CACHE_ALIGNED; /* atomic; set for good by withdraw */
	const char *kicker;	    /* atomic: the thread that runs the kick */
	bool withdrawn_in_kick;	    /* the kicker's */
	bool free_after_kick;

	pthread_mutex_t note_lock; /* held across ops->detached and ops->quiet */
	bool withdrawn;		   /* note lock */

	/* The writes' way: the host produces, the target consumes. */
	pthread_mutex_t write_lock CACHE_ALIGNED; /* the producers among themselves */
	uint32_t tail;				  /* atomic; write lock */
	uint32_t epoch;				  /* atomic; write lock; one more with each detach */
	uint32_t head CACHE_ALIGNED;		  /* atomic; the target's */
	struct loop_slot slots[LOOP_MAX_WRITES];

	pthread_mutex_t irq_lock;      /* an fd that is not in irq_fds any more is not written to */
	int irq_fds[LOOP_MAX_VECTORS]; /* written under the lock, read without to see that there is none */

	uint32_t target_asleep CACHE_ALIGNED; /* atomic; hosts read it after each doorbell */
	uint32_t bells_armed CACHE_ALIGNED;   /* atomic; a host has armed since the target last looked */
	pthread_mutex_t bell_lock;	      /* an fd that is not there any more is not written to */
	int target_fd;			      /* bell lock */
	struct loop_bell bells[LOOP_MAX_VECTORS];

	uint64_t regs[LOOP_REGS_SIZE / 8] CACHE_ALIGNED; /* atomic, by 4 or 8 bytes; the target's */
};

void loop_absent_set(struct loop_port *port, uint32_t why);
void loop_absent_clear(struct loop_port *port, uint32_t why);
void loop_writes_drop(struct loop_port *port);

/* loop.c: ops->rest of an inline target, as a kick runs. 0; 1: it is at work, ask again. */
int loop_rest(struct loop_port *port, int *fd, int *timeout_ms);

#endif
