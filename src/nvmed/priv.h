/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of libnvmed share: the objects behind NVMED, NVMED_QUEUE and NVMED_HANDLE, and the lock that is on the way of every
 * request. Order of locks: device, then queue, then handle; none is held while a callback runs.
 */
#ifndef NVMED_PRIV_H
#define NVMED_PRIV_H

#include <nvmed/lib_nvmed.h>
#include <nvio/nvme.h>

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <sys/uio.h>

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define PAGE_SHIFT 12
#define PAGE_BYTES (1u << PAGE_SHIFT)
#define QUEUE_IODS 256           /* requests of one queue that are with the library at once; more wait in line */
#define QUEUES_MAX 1024          /* of one device */
#define CHUNK_BYTES (1u << 30)   /* a longer request is several */

enum { DEVICE_LIVE = 0x4e564d44, QUEUE_LIVE = 0x4e564d51, HANDLE_LIVE = 0x4e564d48 };

/*
 * A lock for a few instructions up to one page copied. The one thread that has a queue to itself pays one exchange; `waiters` tells a
 * holder that polls for long to let others in.
 */
struct lock {
	unsigned char held;
	unsigned int waiters;
};

void lock_wait(struct lock *l);

static inline void cpu_relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

static inline void lock(struct lock *l)
{
	if (unlikely(__atomic_exchange_n(&l->held, 1, __ATOMIC_ACQUIRE)))
		lock_wait(l);
}

static inline void unlock(struct lock *l)
{
	__atomic_store_n(&l->held, 0, __ATOMIC_RELEASE);
}

/* One request of the library to the drive. */
struct iod {
	struct nvio_op op;
	struct iod *next;            /* of the free ones */
	struct queue *queue;
	struct iod **pprev;          /* of a write that is in `writing`, with `next` */
	u64 first, last;             /* the pages that it changes */
	NVMED_AIO_CTX *ctx;          /* NULL: somebody waits for it */
	u64 began_ns;                /* when the period of polling adapts */
	bool pooled;                 /* of its queue, not of a caller's stack */
};

/* Contexts in line. A context has no room for a link but `prpList`, which is the library's. */
struct ctx_list {
	NVMED_AIO_CTX *head, **tail; /* tail NULL: empty */
};

static inline NVMED_AIO_CTX **ctx_next(NVMED_AIO_CTX *ctx) { return (NVMED_AIO_CTX **)&ctx->prpList; }

static inline void ctx_push(struct ctx_list *l, NVMED_AIO_CTX *ctx)
{
	*ctx_next(ctx) = NULL;
	if (l->head)
		*l->tail = ctx;
	else
		l->head = ctx;
	l->tail = ctx_next(ctx);
}

static inline NVMED_AIO_CTX *ctx_pop(struct ctx_list *l)
{
	NVMED_AIO_CTX *ctx = l->head;

	if (ctx)
		l->head = *ctx_next(ctx);
	return ctx;
}

/* The device's thread, which completes what nobody else does (reaper.c). */
enum { REAPER_AWAKE, REAPER_SLEEPS, REAPER_PAUSES };
#define SIZE_CLASSES 9 /* requests of 4 KiB, 8 KiB, ... 1 MiB and more */
struct reaper {
	pthread_t thread;
	bool runs;                   /* device->mutex */
	bool stop;                   /* atomic, as are the next five */
	int sleeps;                  /* REAPER_... */
	unsigned int seq;            /* of contexts begun */
	int wake_fd;
	int period_us;
	unsigned int pending;        /* contexts that it is to complete */
	u32 in_class[SIZE_CLASSES];  /* of these, by size; atomic */
	u32 class_ns[SIZE_CLASSES];  /* what they took of late; atomic */
	struct lock lock;            /* of `ready` */
	struct ctx_list ready;       /* to be told to the program */
};

/* The block cache: cache.h. */
#define CACHE_SHARDS 16
struct page;
struct chunk;
struct shard {
	struct lock lock;            /* of all below */
	unsigned int mask;
	struct page **buckets;
	struct page *newest, *oldest;
	struct page *dirty;
} __attribute__((aligned(64)));

struct cache {
	struct shard shards[CACHE_SHARDS];
	unsigned int num_shards;     /* immutable once active */
	unsigned int pages;          /* made so far; device->mutex and atomic */
	struct chunk *chunks;        /* device->mutex */
	struct lock free_lock;
	struct page *free;
	/* Atomic. */
	unsigned int used;           /* pages that are not free; changed under free_lock */
	unsigned int capacity;
	bool active;                 /* direct writes look for pages */
	bool usable;                 /* and all of them do */
	unsigned int dirty;
	u64 dirtied;                 /* how often a page became dirty */
	u64 clock;
	u64 stream;                  /* the page behind the last one read from the drive */
};

struct device {
	NVMED pub;
	unsigned int magic;
	NVMED_DEVICE_INFO info;
	struct nvio_env *env;
	struct nvio_ctrlr *ctrlr;
	struct nvio_ns *ns;
	char trid[NVIO_TRADDR_MAX * 4];
	u64 capacity;                /* bytes */
	u64 start;                   /* first block of the partition */
	unsigned int block_shift;
	pthread_mutex_t mutex;       /* the lists below, and admin commands */
	struct queue *queues;
	unsigned int num_queues;
	struct queue *dead_queues;   /* kept until close, so that a stale pointer is told from a live one */
	struct handle *dead_handles;
	struct reaper reaper;
	struct cache cache;
	struct queue *slots[QUEUES_MAX]; /* the queues once more, for who has not the mutex; atomic */
	unsigned int num_slots;      /* of these, ever used; atomic */
	struct device *next;         /* of the open ones, under devices_mutex */
};

struct queue {
	NVMED_QUEUE pub;
	unsigned int magic;          /* device->mutex, and read by anybody */
	struct lock lock;            /* everything below */
	struct device *device;
	struct nvio_qpair *qp;
	struct iod *iods, *free_iods;
	struct iod *writing;         /* direct writes and discards under way; also read without the lock */
	unsigned int slot;
	struct ctx_list waiting;     /* for a free iod */
	unsigned int aio;            /* contexts in here, waiting or with the drive */
	unsigned int handles;        /* device->mutex */
	struct queue *next;          /* device->mutex */
};

struct handle {
	NVMED_HANDLE pub;
	unsigned int magic;
	struct device *device;
	struct lock done_lock;       /* of `done` */
	struct ctx_list done;        /* to be told by nvmed_aio_handle_complete() */
	int inflight;                /* contexts whose callback has not returned; atomic, as the next two */
	int submitted, completed;    /* since they were last asked for */
	struct handle *next;         /* of dead ones: device->mutex */
};

static inline struct device *device_of(NVMED *nvmed) { return (struct device *)nvmed; }
static inline struct queue *queue_of(NVMED_QUEUE *queue) { return (struct queue *)queue; }
static inline struct handle *handle_of(NVMED_HANDLE *handle) { return (struct handle *)handle; }

static inline bool queue_live(struct queue *q)
{
	return q && __atomic_load_n(&q->magic, __ATOMIC_RELAXED) == QUEUE_LIVE;
}

static inline bool handle_live(struct handle *h)
{
	return h && __atomic_load_n(&h->magic, __ATOMIC_RELAXED) == HANDLE_LIVE;
}

static inline u32 flags_of(struct handle *h)
{
	return __atomic_load_n(&h->pub.flags, __ATOMIC_RELAXED);
}

/* error.c: sets errno and the words; returns -1. `err` is positive. */
int failed(int err, const char *format, ...) NVIO_PRINTF(2, 3);
/* The same with libnvio's words behind it. `rc` is a -errno. */
int failed_nvio(int rc, const char *what);

/* And with how an op ended. */
int failed_op(const struct nvio_op *op, const char *what);

/* path.c: what a path leads to. */
struct target {
	char trid[NVIO_TRADDR_MAX * 4];
	unsigned int nsid;
	int instance;
	int part;                    /* 0: the whole namespace */
};
int path_resolve(const char *path, struct target *t);

/* part.c: finds partition `part` of `ns`: its first block and how many it has. 0; -1 with errno. */
int part_find(struct device *d, int part, u64 *first, u64 *blocks);

/* device.c */
bool device_live(NVMED *nvmed);
struct device *device_by_fd(int fd);

/* quota.c: a queue more, or one less; under device->mutex. 0, or -1 with errno. */
int quota_take(struct device *d);
void quota_give_back(struct device *d);

/* buffer.c */
void buffers_forget(struct device *d);

/* queue.c */
struct iod *iod_get(struct queue *q, struct iod *spare);
void iod_put(struct queue *q, struct iod *iod);
void queue_sleep(struct queue *q);
int queue_wait(struct queue *q, struct iod *iod, bool sleep);

/* flush.c: for a handle that may be on its way out. */
int flush_device(struct handle *h);

/* aio.c: waits until no context of the handle is under way, but those whose callbacks the caller is in. */
void aio_drain(struct handle *h);
void aio_fire(NVMED_AIO_CTX *ctx);

/* reaper.c */
int reaper_start(struct device *d);
void reaper_stop(struct device *d);
void reaper_expect(struct device *d, int more);
void reaper_wake(struct device *d);
void reaper_began(struct device *d, struct iod *iod);
void reaper_ended(struct device *d, struct iod *iod);
bool reaper_is_me(struct device *d);
void reaper_fire(struct device *d);

static inline bool queue_auto(struct queue *q)
{
	return !(q->pub.flags & QUEUE_MANUAL_COMPLETION);
}

static inline void writing_add(struct queue *q, struct iod *iod)
{
	iod->next = q->writing;
	iod->pprev = &q->writing;
	if (q->writing)
		q->writing->pprev = &iod->next;
	__atomic_store_n(&q->writing, iod, __ATOMIC_RELAXED);
}

static inline void writing_remove(struct iod *iod)
{
	__atomic_store_n(iod->pprev, iod->next, __ATOMIC_RELAXED);
	if (iod->next)
		iod->next->pprev = iod->pprev;
}

/* cache.c, cache_io.c. Byte ranges are within the device; 0, or -1 with errno. */
int cache_make(struct device *d);
void cache_drop(struct device *d);
int cache_resize(struct device *d, int pages);
int cache_read(struct handle *h, char *buf, u64 offset, u64 len);
int cache_write(struct handle *h, const char *buf, u64 offset, u64 len);
/* Writes back what is dirty in pages [first, last]. What fails stays dirty. */
int cache_write_back(struct handle *h, u64 first, u64 last);
/* Takes pages [first, last] out. False: there are some that are busy or dirty. */
bool cache_take_out(struct device *d, u64 first, u64 last);
void cache_pause(unsigned int *rounds);

static inline bool cache_active(struct device *d)
{
	return __atomic_load_n(&d->cache.active, __ATOMIC_ACQUIRE);
}

/* rw.c. An iod for a direct request, with the queue locked and the cache out of its way; NULL with errno, and nothing locked. */
struct iod *request_begin(struct handle *h, struct queue *q, struct iod *spare, u64 offset, u64 len, bool changes);
int io_pages(struct handle *h, u8 opcode, const struct iovec *iov, int n, u64 offset, u64 len);

static inline void request_end(struct queue *q, struct iod *iod, bool changes)
{
	if (changes)
		writing_remove(iod);
	iod_put(q, iod);
}

/* handle.c: the queue of a request, NULL with errno where the handle's function picks none of its own. */
struct queue *handle_pick(struct handle *h, u8 opcode, u64 offset, u64 len);

static inline struct queue *handle_queue(struct handle *h, u8 opcode, u64 offset, u64 len)
{
	return likely(!h->pub.queue_mq) ? queue_of(h->pub.queue) : handle_pick(h, opcode, offset, len);
}

static inline bool handle_sleeps(u32 flags)
{
	return flags & HANDLE_INTERRUPT;
}

#endif
