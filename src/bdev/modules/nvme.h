/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of the nvme module share. nvme.c is an I/O on its way to the driver and back; nvme_queue.c the queue pair of a
 * thread; nvme_ns.c the devices; nvme_ctrlr.c the controller, attached and
 * detached, and nvme_names.c and nvme_form.c how it is named.
 *
 * Who owns what: a controller belongs to the thread that attached it (its home), a queue to its thread, and a device is shared as all
 * block devices are. Memory is counted, since the environment may close in the middle of everything.
 */
#ifndef BDEV_MODULES_NVME_H
#define BDEV_MODULES_NVME_H

#include "bdev/bdev.h"
#include "host/host.h"

#define NVME_PERIOD_US	 10000	    /* how often a controller is looked at when nothing is going on */
#define NVME_IDLE_POLLS	 1024	    /* polls in vain before a poller rests */
#define NVME_PIECE	 (1u << 30) /* blocks of one command of the driver; longer ones without data go in pieces */
#define NVME_MIN_CMDS	 64	    /* I/Os of a queue at once; more when the controller takes more */
#define NVME_LAST_POLLS	 4	    /* until what only waits for polls has ended: channels, a note, completions */
#define NVME_ADMIN_GRACE (1000 * NS_PER_MS) /* how long the end of a channel waits for the controller's home to poll */

enum nvme_state {
	NVME_ATTACHING, /* connecting */
	NVME_ATTACHED,
	NVME_LEAVING,	/* its devices are being removed */
	NVME_CLOSING,	/* they are gone; its queues go */
	NVME_CLOSED,	/* only memory is left, for whoever still refers to it */
};

struct nvme_ctrlr {
	struct nvio_env *env;	    /* immutable */
	char *name;		    /* immutable */
	struct nvio_ctrlr *ctrlr;   /* immutable until CLOSED */
	struct nvio_thread *home;   /* immutable */
	atomic_uint refs;	    /* itself until CLOSED, each device, each queue, gone_op */
	struct env_child child;	    /* env lock; those attached are found by it */
	_Atomic(enum nvme_state) state; /* written at home */

	pthread_mutex_t lock;
	struct list queues; /* lock; nvme_queue.in_ctrlr */

	/* Home. */
	struct nvio_poller *poller; /* while something is going on */
	struct nvio_poller *beat;   /* always */
	bool resting;		    /* poller is paused */
	bool polling;		    /* not entered again from within */
	bool passing;		    /* it goes with its last device */
	uint32_t idle;
	struct nvio_channel *pin; /* keeps home from being destroyed */
	struct list devices;	  /* nvme_bdev.link */
	atomic_bool rescan;	  /* the controller has told of a change; any thread */
	uint32_t resets_seen;	  /* after one its namespaces may be others */
	struct nvio_op connect_op;
	struct nvio_op gone_op;	    /* the last queue's end */
	struct nvio_op *attach_op;  /* NULL: nobody waits */
	struct nvio_op *detach_op;
	int rc; /* why attaching did not work */
	char why[448];
};

/* One namespace as a device. */
struct nvme_bdev {
	/* Hot; immutable. */
	struct nvio_ns *ns;
	uint32_t shift; /* of the block size */
	uint32_t nsid;

	struct nvme_ctrlr *nc; /* immutable */
	char *name;	       /* immutable */
	atomic_uint refs;      /* the controller's list, the device, delete_op */
	atomic_bool gone;      /* the device is destroyed; any thread */

	/* Home. */
	struct list link;
	bool leaving; /* we have had it deleted, or would have if the user had not */
	struct nvio_op delete_op;
};

struct nvme_queue;
struct nvme_channel;

/* One I/O at the driver. */
struct nvme_cmd {
	struct nvio_op op;
	struct nvme_cmd *next; /* free */
	struct nvio_bdev_io *io;
	struct nvme_channel *ch;
	uint64_t rest;		     /* blocks that have still to be sent, of a long one without data */
	struct nvio_lba_range range; /* of a deallocate; of others without data the same */
};

/* The queue pair of a thread, shared by its channels to all namespaces. Its thread's, but where said otherwise. */
struct nvme_queue {
	/* Hot. */
	struct nvio_qpair *qp;	/* NULL: not needed so far, or not any more */
	struct nvme_cmd *free;	/* last in, first out */
	uint32_t in_flight;
	bool resting;		/* the poller is paused */
	bool starved;		/* a channel waits for a command to come free */
	uint32_t idle;
	uint32_t admin_out;	/* admin commands and resets, of in_flight */

	struct nvme_ctrlr *nc;	    /* immutable */
	struct nvio_thread *thread; /* immutable */
	struct nvio_poller *poller;
	int watched;		 /* the descriptor that wakes it while it rests with I/O in flight; -1: none */
	struct nvio_timer timer; /* for what only time brings about then */
	struct nvme_cmd *cmds;
	struct list waiting;	    /* nvme_channel.waiting: those that wait for a command */
	struct op_queue resets;	    /* wait for a reset that is under way to be over */
	struct nvio_op alloc_op;
	pthread_mutex_t lock;
	struct op_queue admin_done; /* lock; ended at the controller's home, and on the way to here */
	struct list in_ctrlr;	    /* nvme_ctrlr.lock */
};

/* A thread's channel to one namespace: the module's context of it. */
struct nvme_channel {
	struct nvme_queue *queue;
	struct nvio_channel *handle; /* queue's */
	uint64_t in_flight;
	struct list waiting; /* in queue.waiting */
};

/* nvme.c */
int nvme_submit(void *device, void *channel, struct nvio_bdev_io *io);
void nvme_cmd_end(struct nvme_cmd *cmd, int status);
/* Begins a reset; one that is under way already is waited for. 0 or -errno. */
int nvme_reset_begin(struct nvme_queue *q, struct nvme_cmd *cmd);

/* nvme_queue.c */
extern const struct nvio_io_device_ops nvme_queue_ops;
int nvme_channel_create(void *device, void *channel, struct nvio_thread *thread);
void nvme_channel_destroy(void *device, void *channel);
void nvme_channel_abort(void *device, void *channel);
void nvme_queue_wake(struct nvme_queue *q) COLD;
void nvme_queue_feed(struct nvme_queue *q) COLD;
/* The environment closes, on whatever thread: ends what is at the queue pair and gives that back; ends the rest once the controller is closed. */
void nvme_queue_kill(struct nvme_queue *q);
void nvme_queue_bury(struct nvme_queue *q);

/* nvme_ns.c; all at home */
int nvme_scan(struct nvme_ctrlr *nc); /* devices come, go and change with the namespaces; the first error */
void nvme_remove_all(struct nvme_ctrlr *nc);
bool nvme_is_unused(const struct nvme_ctrlr *nc); /* its devices have all been deleted */
void nvme_reap(struct nvme_ctrlr *nc); /* forgets devices that are gone */
void nvme_forget(struct nvme_bdev *b);
int nvme_resize(void *device, uint64_t num_blocks, bool busy);
void nvme_destroy(void *device);

/* nvme_names.c */
struct nvme_ctrlr *nvme_find(struct nvio_env *env, const char *name);
int nvme_join_env(struct nvme_ctrlr *nc); /* 0 or -EEXIST */

/* nvme_ctrlr.c */
void nvme_close_child(struct env_child *child);
void nvme_ctrlr_wake(struct nvme_ctrlr *nc); /* home */
void nvme_ctrlr_put(struct nvme_ctrlr *nc);
/* Detaches it without anybody waiting: with its last device, or `now`. Home. */
void nvme_leave_when_unused(struct nvio_env *env, const char *name, bool now);

#endif
