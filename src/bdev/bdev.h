/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The block-device room's own structures: registry, device, descriptor, channel, and the end of an I/O, which
 * is the half of the hot path that modules call (the other half is io.c).
 *
 * Life of a device: registered; perhaps deleted (out of the registry, events sent, new I/O refused); when
 * then the last descriptor is closed and the last channel gone, destroyed.
 */
#ifndef BDEV_BDEV_H
#define BDEV_BDEV_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/env.h"
#include "base/fail.h"
#include "base/list.h"
#include "base/op.h"
#include "bdev/check.h"
#include "bdev/names.h"
#include "thread/msg.h"
#include "thread/thread.h"
#include <nvio/bdev.h>
#include <nvio/bdev_module.h>
#include <nvio/histogram.h>

#define BDEV_MAX_CHANNELS 256 /* per device; one per nvio_thread */
#define BDEV_MAX_ALIASES  16
#define BDEV_MAX_IOVCNT	  (1 << 20)
#define BDEV_MAX_MODULES  64
#define BDEV_MIN_BLOCK	  512u
#define BDEV_MAX_BLOCK	  65536u
#define BDEV_MAX_BUF_ALIGN 4096u

/* What a descriptor for reading allows, and what needs one for writing. */
#define BDEV_READ_TYPES                                                                                                \
	(NVIO_BDEV_CAN(NVIO_BDEV_IO_READ) | NVIO_BDEV_CAN(NVIO_BDEV_IO_FLUSH) | NVIO_BDEV_CAN(NVIO_BDEV_IO_COMPARE))
#define BDEV_WRITE_TYPES                                                                                               \
	(NVIO_BDEV_CAN(NVIO_BDEV_IO_WRITE) | NVIO_BDEV_CAN(NVIO_BDEV_IO_WRITE_ZEROES) |                                 \
		NVIO_BDEV_CAN(NVIO_BDEV_IO_UNMAP) | NVIO_BDEV_CAN(NVIO_BDEV_IO_COMPARE_AND_WRITE) |                     \
		NVIO_BDEV_CAN(NVIO_BDEV_IO_COPY) | NVIO_BDEV_CAN(NVIO_BDEV_IO_RESET) |                                  \
		NVIO_BDEV_CAN(NVIO_BDEV_IO_NVME) | NVIO_BDEV_CAN(NVIO_BDEV_IO_NVME_ADMIN))

/* What the layer can make of reads and writes. */
#define BDEV_EMULATED_TYPES                                                                                            \
	(NVIO_BDEV_CAN(NVIO_BDEV_IO_WRITE_ZEROES) | NVIO_BDEV_CAN(NVIO_BDEV_IO_COMPARE) |                               \
		NVIO_BDEV_CAN(NVIO_BDEV_IO_COMPARE_AND_WRITE) | NVIO_BDEV_CAN(NVIO_BDEV_IO_COPY))

struct bdev_qos;

/*
 * What holds I/O of a device back (gate.c), for all its channels: locks of ranges, a reset, limits of rates. `lock` is of all this and of
 * what says so; it is taken inside of the registry lock, and never held across a module or a callback. Plain I/O never takes it.
 */
struct bdev_gate {
	pthread_mutex_t lock;
	uint64_t gen;	      /* grows with each change that every channel has to take over */
	struct list channels; /* by in_gate */
	uint32_t channel_count;
	struct list locks;	    /* of struct bdev_lock, in the order of asking */
	struct nvio_bdev_io *reset; /* the one that is under way, or NULL */
	struct bdev_channel *reset_channel; /* where it was asked for; the I/O may be on its way below */
	uint64_t reset_gen;
	uint32_t reset_pending;	       /* channels that I/O from before it is in flight on */
	bool reset_with_module;	       /* that has ended, and the module has its turn */
	_Atomic(struct bdev_qos *) qos; /* NULL: never had a limit; stays once it is there */
};

struct bdev_registry {
	pthread_mutex_t lock; /* of all this, and of what says so; never held across a callback or module */
	struct list devices; /* in order of creation */
	struct list leaving; /* deleted, and not gone yet */
	struct bdev_names names; /* of devices */
	struct list cursors;	 /* of nvio_bdev_for_each() */
	const struct nvio_bdev_module *modules[BDEV_MAX_MODULES];
	unsigned module_count;
	uint64_t last_serial;
	pthread_mutex_t event_lock; /* recursive, outside of all others: events of roaming descriptors, one at a time; see bdev_desc_mute() */
	uint64_t opened_ns, opened_ticks; /* immutable; the same moment by both clocks */
	_Atomic uint64_t ns_per_tick;	  /* times 2^32, of histograms; set before there are any */
};

struct nvio_bdev {
	/* Hot: read by every thread. */
	_Atomic uint64_t io_size; /* bytes that I/O may touch; 0 once deleted: one comparison refuses both */
	uint64_t block_mask;						     /* immutable */
	int (*submit)(void *device, void *channel, struct nvio_bdev_io *io); /* immutable */
	void *device;							     /* immutable; the module's */
	_Atomic uint32_t native; /* NVIO_BDEV_CAN() of what the module takes; what it turns out not to have goes for good */
	uint32_t block_size;	 /* immutable */
	uint32_t io_types;	 /* immutable; NVIO_BDEV_CAN() of what is native or emulated */
	uint32_t forwards;	 /* immutable */
	bool volatile_cache;	 /* immutable */
	bool read_only;		 /* immutable */

	/* What the module can take at once, as masks and largest values; all immutable. */
	uint32_t max_io_bytes;
	uint32_t max_iovcnt;
	uint64_t boundary_mask; /* UINT64_MAX: no boundary */
	uintptr_t buf_mask;
	uint32_t gates; /* that the device's limits close on each channel */

	_Atomic bool removed;
	_Atomic uint64_t num_blocks;
	struct nvio_env *env;			     /* immutable */
	const struct nvio_bdev_module *module;	     /* immutable */
	char *name;				     /* immutable */
	uint8_t uuid[16];			     /* immutable */
	_Atomic(struct bdev_alias *) aliases[BDEV_MAX_ALIASES]; /* added under the registry lock, never taken back */
	struct bdev_name by_name, by_uuid;			/* registry lock */
	uint64_t serial;			     /* immutable; in order of creation */
	struct list link;			     /* registry lock; in devices or leaving */
	struct list descs;			     /* registry lock; those open */
	struct list channels;			     /* registry lock */
	struct nvio_bdev_desc *claimed_by;	     /* registry lock */
	uint32_t pins; /* registry lock; of those who look at it without a descriptor: it is not destroyed yet */
	uint64_t slots_used[BDEV_MAX_CHANNELS / 64]; /* registry lock; see bdev_channel.slot */
	pthread_mutex_t resize_lock; /* one resize at a time, and no new channel meanwhile; outside of the
					registry lock */
	struct nvio_io_device_ops channel_ops; /* immutable */

	/* What is known of its I/O; stat.h. Registry lock. */
	struct list walks;
	uint64_t walk_bits;
	struct bdev_stat *past;			/* NVIO_BDEV_IO_TYPES; what channels that have ended have counted. Immutable */
	struct nvio_histogram *past_histograms; /* the same; NULL: there are to be none */
	uint64_t counted_since_ns;		/* by clock_monotonic_ns() */
	uint64_t sample_period_us;		/* 0: no sampling */
	struct bdev_gate gate;

	/* The deletion. */
	struct nvio_op *delete_op;	   /* registry lock; NULL: none, or cancelled */
	struct nvio_thread *delete_thread; /* registry lock; where both ops complete. May be gone: delete_thread_id */
	uint64_t delete_thread_id;	   /* registry lock */
	struct nvio_op gone_op;		   /* delete_thread; completes with the last channel's end */
	bool channels_gone;		   /* registry lock */
};

/*
 * What one descriptor has on one channel. Written by the channel's thread alone (but what is in the backlog), so lines of its own. What
 * waits is queued here, and the channel goes round those who have something waiting: nobody starves for another's flood.
 */
struct bdev_share {
	CACHE_ALIGNED _Atomic uint32_t n; /* in flight, also waiting */
	struct bdev_channel *ch;	  /* NULL: nothing ever waited, and all below is zero */
	struct op_queue room;		  /* the module had no room; in order */
	struct list in_rooms;		  /* of the channel */
	struct op_queue unpaid[2];	  /* a rate or another limit is reached: reads, writes; in order */
	struct list in_unpaid;		  /* of the channel */
	struct list in_backlog;		  /* gate.lock; of the device: as in_unpaid */
	bool stuck;			  /* gate.lock; what is there cannot go even where the device could take more */
};

/* A rate: so many I/Os or bytes may go, which grow with time; what is larger than all there is goes into debt. */
struct bdev_bucket {
	_Atomic int64_t tokens; /* at most `burst`; any thread takes some */
	uint64_t rate;		/* gate.lock, as is all below; per second. 0: no limit */
	uint64_t burst;
	uint64_t filled_ns;
	uint64_t rest; /* of the last filling, in billionths */
};

struct nvio_bdev_desc {
	struct nvio_bdev *bdev;	    /* immutable; may be gone once closed */
	struct bdev_registry *reg;  /* immutable */
	uint32_t io_types;	    /* immutable; what the flags of open allow and the device can */
	bool writable;		    /* immutable */
	struct nvio_thread *thread; /* immutable; the opening one: events and close. May be gone: thread_id */
	uint64_t thread_id;	    /* immutable */
	struct list link;	    /* registry lock */
	uint32_t events;	    /* registry lock; bits to be told */
	bool roams;		    /* registry lock; events may run on another thread once the opening one is gone */
	bool event_sent; /* registry lock; a message is under way, and frees what was closed meanwhile */
	bool closed;	 /* registry lock */
	bool muted;	 /* event lock */
	void *opened_at; /* immutable; checked builds: the caller of nvio_bdev_open() */
	char opener[32]; /* immutable; the opening thread's name */
	nvio_bdev_event_fn event_fn; /* opening thread */
	void *event_arg;	     /* opening thread */

	/* Limits: qos.c. */
	_Atomic uint32_t qos_mask;   /* of `caps`; written under gate.lock */
	uint32_t weight;	     /* gate.lock, as is all below; 0: 1 */
	uint32_t backlogged;	     /* how many of its shares are in the backlog */
	uint64_t vtime;		     /* what it has had, by weight */
	struct bdev_bucket caps[2];  /* I/Os, bytes */
	struct bdev_share shares[BDEV_MAX_CHANNELS];
};

/* Why a submit on a channel does not go straight to the module: bits of bdev_channel.gates. */
enum {
	BDEV_GATE_WAITING = 1 << 0, /* others wait for room before it */
	BDEV_GATE_LIMITS = 1 << 1,  /* the module cannot take everything at once: piece.c */
	BDEV_GATE_TIMED = 1 << 2,   /* there are histograms: observe.c */
	BDEV_GATE_LOCKED = 1 << 4,  /* there are locks that keep something out */
	BDEV_GATE_RESET = 1 << 5,   /* the device is being reset */
	BDEV_GATE_QOS = 1 << 6,	    /* there are limits of rates */
};

/*
 * Where an I/O came from that was sent on to a device below, and what it had there; as many per channel as the module's params say.
 */
struct bdev_frame {
	struct bdev_frame *next; /* free: the next free one; in use: the frame of the device above */
	struct bdev_channel *ch;
	struct nvio_bdev_desc *desc;
	uint64_t offset;
	uint64_t begun;
	uint64_t deadline_ns;
	uint64_t rest;
	uint16_t state;
};

/* What has ended on a channel, of one type. Own thread: whoever wants to know asks it by message. */
struct bdev_stat {
	uint64_t ops; /* errors among them */
	uint64_t bytes;
	uint64_t errors;
	uint64_t ticks; /* from submit to end, together */
	uint64_t min_ticks; /* 0: none yet */
	uint64_t max_ticks;
};

/* Queue depths that were seen. */
struct bdev_samples {
	uint64_t count, sum, max;
};

/*
 * An epoch is two bits, as two may want to know at once when all from before has ended: who drains this channel, and who drains the one
 * below, where I/O of this one is without a frame.
 */
#define BDEV_EPOCH_OWN	1u
#define BDEV_EPOCH_FED	2u
#define BDEV_EPOCH_MASK 3u

/* bdev_channel.draining; the epoch that is to end is the other one. */
enum {
	BDEV_DRAIN_OWN = 1 << 0,
	BDEV_DRAIN_FED = 1 << 1,
};

/* Context of the nvio_channel; the module's own follows behind it. Own thread. */
struct bdev_channel {
	struct nvio_pollable pollable; /* owner of the ops that are with the module or waiting */
	struct nvio_thread *thread;
	struct nvio_bdev *bdev;
	uint32_t gates;
	uint32_t epoch;		      /* 0 to 3: which of in_flight new I/O counts in. BDEV_EPOCH_ */
	uint32_t draining;	      /* BDEV_DRAIN_; asked when one of in_flight becomes 0 */
	uint64_t in_flight[4];	      /* by epoch: so that those from before a moment can be told from later ones */
	size_t count_at;	 /* where in each descriptor its share of this channel is, in bytes */
	struct bdev_stat stats[NVIO_BDEV_IO_TYPES];
	uint32_t open[NVIO_BDEV_IO_TYPES]; /* checked builds: what of in_flight and apart is of which type */
	struct list rooms; /* shares for which the module had no room, whose turn is next first */

	/* What holds I/O back: gate.c. */
	uint64_t apart[2];     /* in flight, too, but waiting for room or below with a frame; by BDEV_EPOCH_OWN */
	struct op_queue held;  /* wait for a lock or for the end of a reset, and do not count as in flight; in order */
	struct list unpaid;    /* shares of which something waits for a limit; that does not count as in flight, either */
	struct bdev_qos *qos;  /* with BDEV_GATE_QOS, as are the next ones */
	struct bdev_bucket *fast[2][2]; /* of reads and writes: I/Os, bytes; see bdev_qos_fast() */
	struct bdev_bucket full;	/* stands in `fast` for no limit */
	uint64_t qos_due_ns;   /* when to look at those again; 0: somebody will tell */
	uint64_t blocked_ns;   /* since when those wait only for slower ones elsewhere; 0: they do not */
	uint64_t seen_gen;     /* written under gate.lock: what of gate.gen it has taken over */
	uint64_t drained_gen;  /* the same: up to where all I/O from before has ended */
	uint64_t drain_gen;    /* up to where that is waited for */
	struct note note;      /* has it look at the gate */
	bool kicked;	       /* gate.lock; the note is under way */
	struct list in_gate;   /* gate.lock */

	/* What is watched: observe.c. */
	struct nvio_histogram *histograms; /* NVIO_BDEV_IO_TYPES, or NULL */
	struct bdev_samples samples;
	uint64_t sample_period_us;
	struct nvio_timer sample_timer;
	uint64_t walked; /* registry lock; which walks have been here: stat.h */

	/* What is done in pieces: piece.c. */
	struct bdev_pool *pool;	   /* NULL: not needed so far */
	struct op_queue unissued;  /* I/Os of which pieces are still to be handed out; in order */
	bool pumping;		   /* bdev_pieces_pump() is at it */

	/* Of a module that forwards: forward.c. */
	struct bdev_frame *free_frames;
	struct bdev_frame *frames;   /* all of them; NULL: the module does not forward */
	struct bdev_channel *feeds;  /* what is below, where I/O goes through without a frame; NULL: none so far */
	struct list feeder;	     /* in feeds->feeders */
	bool hooked;		     /* the module has forwarded() */
	bool wants_ready;	     /* no frame, or no room below: nvio_bdev_channel_ready() is owed */
	struct list feeders;	     /* the channels that feed this one */
	struct bdev_stat stats_apart[NVIO_BDEV_IO_TYPES]; /* of a feeding channel: what did not go through like this */
	unsigned slot;		 /* the same as an index */
	bool ending;		 /* being destroyed: nothing is submitted any more */
	bool resubmitting;	 /* nvio_bdev_channel_ready() is at it */
	uint64_t timer_due_ns;	 /* of `timer` while it runs; 0: it does not */
	struct nvio_timer timer; /* for the deadlines of what waits, and for qos_due_ns */
	struct list link;	 /* registry lock; in bdev.channels */
	CACHE_ALIGNED unsigned char module[];
};

/* nvio_bdev_io.state */
enum {
	BDEV_IO_WAITING = 1 << 0,   /* for room, in its share */
	BDEV_IO_NATIVE = 1 << 1,    /* the module should have it; when it answers -EOPNOTSUPP, the layer does it */
	BDEV_IO_PIECES = 1 << 2,    /* it is being done in pieces */
	BDEV_IO_UNISSUED = 1 << 3,  /* in bdev_channel.unissued */
	BDEV_IO_PIECE = 1 << 4,	    /* it is a piece of another one */
	BDEV_IO_DEADLINE = 1 << 5,  /* deadline_ns is set */
	BDEV_IO_FORWARDED = 1 << 6, /* it came from a device above, which `frame` tells */
	BDEV_IO_TIMED = 1 << 7,	    /* its latency goes into a histogram */
	BDEV_IO_HELD = 1 << 10,	    /* in bdev_channel.held */
	BDEV_IO_UNPAID = 1 << 11,   /* for a limit, in its share */
	BDEV_IO_LIMITED = 1 << 12,  /* it is one of the device's max_in_flight */
	BDEV_IO_RESET = 1 << 13,    /* it is gate.reset, or will be */
	BDEV_IO_LOCKING = 1 << 14,  /* a lock is waited for on its behalf */
	BDEV_IO_SWAPPING = 1 << 15, /* a compare and write that has locked its range */
};

nvio_static_assert(
	sizeof(struct nvio_bdev_io) <= sizeof(((struct nvio_op *)0)->priv), "no allocation per I/O");

static inline struct nvio_bdev_io *bdev_op_io(struct nvio_op *op)
{
	return (struct nvio_bdev_io *)op->priv;
}

static inline struct nvio_op *bdev_io_op(struct nvio_bdev_io *io)
{
	return container_of((uint64_t *)io, struct nvio_op, priv);
}

static ALWAYS_INLINE struct bdev_share *bdev_share(struct nvio_bdev_desc *desc, const struct bdev_channel *ch)
{
	return (struct bdev_share *)((char *)desc + ch->count_at);
}

static inline struct nvio_bdev_desc *bdev_share_desc(struct bdev_share *share)
{
	return (struct nvio_bdev_desc *)((char *)share - share->ch->count_at);
}

/* Plain load and store: the counter has one writer, and the reader (close) wants no more than a sound value.
 */
static ALWAYS_INLINE void bdev_count_add(
	struct nvio_bdev_desc *desc, const struct bdev_channel *ch, uint32_t n)
{
	_Atomic uint32_t *count = &bdev_share(desc, ch)->n;

	atomic_store_explicit(
		count, atomic_load_explicit(count, memory_order_relaxed) + n, memory_order_relaxed);
}

/*
 * When an I/O began, in ticks, with the channel's epoch in the lowest bits.
 */
static ALWAYS_INLINE uint64_t bdev_begun(const struct bdev_channel *ch)
{
	return (cycles() & ~(uint64_t)BDEV_EPOCH_MASK) | ch->epoch;
}

/* gate.c: one of in_flight has become 0 while somebody waits for just that. */
void bdev_drain_check(struct bdev_channel *ch) COLD;

/*
 * It is counted, before bdev_one_less(): in ch->stats, or in stats_apart when it did not go through without a frame, where others
 * do.
 */
static ALWAYS_INLINE void bdev_io_account(
	struct bdev_channel *ch, struct bdev_stat *stats, const struct nvio_bdev_io *io, int status)
{
	struct bdev_stat *stat = &stats[io->type];
	uint64_t ticks = cycles() - (io->begun & ~(uint64_t)BDEV_EPOCH_MASK);

	if (NVIO_CHECKED)
		ch->open[io->type]--;
	stat->ops++;
	stat->bytes += io->len;
	stat->ticks += ticks;
	/* One comparison: 0, of none yet, becomes the largest there is. */
	if (unlikely(ticks - 1 < stat->min_ticks - 1))
		stat->min_ticks = ticks;
	if (unlikely(ticks > stat->max_ticks))
		stat->max_ticks = ticks;
	if (unlikely(status))
		stat->errors++;
}

/* One I/O less in flight. The last step of an end: whoever waits for just that is told in there. */
static ALWAYS_INLINE void bdev_one_less(struct bdev_channel *ch, uint64_t begun)
{
	if (unlikely(!--ch->in_flight[begun & BDEV_EPOCH_MASK]) && unlikely(ch->draining))
		bdev_drain_check(ch);
}

/* What has begun and has not ended, and waits neither for a lock nor for a limit. */
static inline uint64_t bdev_in_flight(const struct bdev_channel *ch)
{
	return ch->in_flight[0] + ch->in_flight[1] + ch->in_flight[2] + ch->in_flight[3] + ch->apart[0] + ch->apart[1];
}

/* The end of an I/O: from here on only the thread knows the op, no longer the channel. */
static ALWAYS_INLINE void bdev_io_end(struct nvio_bdev_io *io, int status)
{
	struct bdev_channel *ch = io->channel;
	struct nvio_op *op = bdev_io_op(io);
	struct nvio_thread *thread = ch->thread;
	uint64_t begun = io->begun;

	if (NVIO_CHECKED)
		bdev_release_buffers(io);
	bdev_io_account(ch, ch->stats, io, status);
	bdev_count_add(io->desc, ch, -1u);
	op->owner = thread_pollable(thread);
	thread_end_op(thread, op, status);
	bdev_one_less(ch, begun);
}

/* The same where more than the module has a say: a deadline, a device above, something done in pieces. io.c */
void bdev_io_done_slow(struct nvio_bdev_io *io, int status);
/* As bdev_io_done(), of what never went down: the channel below must not count it. io.c */
void bdev_io_done_here(struct nvio_bdev_io *io, int status);

/* nvio_bdev_io_done() for modules in this library. */
static ALWAYS_INLINE void bdev_io_done(struct nvio_bdev_io *io, int status)
{
	if (NVIO_CHECKED)
		bdev_check_done(io);
	if (unlikely(io->state))
		bdev_io_done_slow(io, status);
	else
		bdev_io_end(io, status);
}

/* forward.c: the I/O goes back to the device above, after it was accounted here. */
void bdev_io_return(struct nvio_bdev_io *io, int status);
int bdev_frames_init(struct bdev_channel *ch);
void bdev_frames_fini(struct bdev_channel *ch);
/* The rest of nvio_bdev_channel_ready(): those above, which found no room here. */
void bdev_feeders_ready(struct bdev_channel *ch);
/* As bdev_io_end(), for what did not go through without a frame. */
void bdev_io_end_apart(struct nvio_bdev_io *io, int status);

/* io.c: takes it, waits for room, or ends with the error. 0 */
int bdev_io_hand_over(struct nvio_bdev_io *io);
/*
 * io.c: the same, behind all gates but those of the module's own (room and limits): whatever holds I/O back lets it go by this.
 */
int bdev_io_start(struct nvio_bdev_io *io);
/* io.c: words for messages */
const char *bdev_type_name(unsigned type);

/* wait.c: queues it until the module has room. */
void bdev_io_wait(struct bdev_channel *ch, struct nvio_bdev_io *io);
/* The share in which something is to wait. */
struct bdev_share *bdev_share_get(struct bdev_channel *ch, struct nvio_bdev_io *io);
/* Ends one that waits, for whatever; false: it does not wait, but is with the module. */
bool bdev_waiting_end(struct bdev_channel *ch, struct nvio_bdev_io *io, int status);
/* Ends all that wait; with `forwarded`, only what came from devices above. */
void bdev_waiting_end_all(struct bdev_channel *ch, int status, bool forwarded);
/* Has the deadlines of what waits, and its limits, looked at no later than then. */
void bdev_timer_arm(struct bdev_channel *ch, uint64_t due_ns);
void bdev_timer_fired(struct nvio_timer *timer);
extern const struct pollable_ops bdev_channel_pollable;
void bdev_channel_ops_init(struct nvio_bdev *bdev, size_t module_size);
static inline struct bdev_channel *bdev_channel_of(void *module)
{
	return container_of((unsigned char *)module, struct bdev_channel, module);
}

/* registry.c; with the registry lock held */
struct nvio_bdev *bdev_find(struct bdev_registry *reg, const char *name);
/* Nobody finds it any more. */
void bdev_unlist(struct bdev_registry *reg, struct nvio_bdev *bdev);
int bdev_name_check(const char *what, const char *name);

/* device.c */
void bdev_free(struct nvio_bdev *bdev);	       /* the module's destroy included */
void bdev_last_closed(struct nvio_bdev *bdev); /* of a device whose channels are gone */
/* With the registry lock held: whether nothing keeps a deleted device any more. */
bool bdev_is_unused(const struct nvio_bdev *bdev);
void bdev_unpin(struct nvio_bdev *bdev);

/* observe.c: the latency of an I/O that ends now. */
void bdev_histogram_count(struct bdev_channel *ch, const struct nvio_bdev_io *io);

/*
 * device.c: nvio_bdev_delete() and nvio_bdev_resize() of the device `name` whose module's context is `device`, and of no other that has
 * taken over the name; NULL: of any.
 */
int bdev_delete_of(struct nvio_env *env, const char *name, const void *device, struct nvio_op *op);
int bdev_resize_of(struct nvio_env *env, const char *name, const void *device, uint64_t num_blocks);

/*
 * device.c: takes back a registration that was the first half of something: the device goes at once, its module's destroy included.
 * 0; -ENODEV; -EBUSY somebody has opened it already. Any thread.
 */
int bdev_withdraw(struct nvio_env *env, const char *name, const void *device);

/*
 * tell.c: calls set(device, arg) for the device of that name, with the registry lock held; then, unless heed is NULL, has heed() run for each of
 * its channels on its thread, with NULL as arg, and `op` complete. 0; -ENODEV; -EINVAL it is of another module, or no current thread; what
 * set() returns; -ENOMEM, when set() has been called. Any thread.
 */
int bdev_tell(struct nvio_env *env, const char *name, const struct nvio_bdev_module *module,
	int (*set)(void *device, void *arg), void *arg, int (*heed)(struct nvio_channel *ch, void *arg), struct nvio_op *op);

/* desc.c: closes whatever is in flight. On the opening thread, or when that is gone. */
void bdev_desc_close(struct nvio_bdev_desc *desc);

/* desc.c: once it has returned, no event of this roaming descriptor is, or will be, told but by a caller of this. Any thread. */
void bdev_desc_mute(struct nvio_bdev_desc *desc);

/* desc.c; with the registry lock held: tells every descriptor of the device, each on its own thread. */
void bdev_notify(struct nvio_bdev *bdev, enum nvio_bdev_event event);

/* The built-in modules, in one array that ends with NULL. modules/modules.c */
extern const struct nvio_bdev_module *const bdev_builtin_modules[];

#endif
