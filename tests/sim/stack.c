/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The simulator of block devices: random stacks, several descriptors and channels on several nvio_threads (all polled here, in random
 * order) and a simulated clock; every operation, injected errors, delays, limits and weights, locks, resets, cancelling, deadlines, channels
 * that come and go, and an end in the middle of it. Everything follows from the seed, which is printed.
 *
 *     sim_stack SEEDS [FIRST]
 *     sim_stack --catch       proves that it sees wrong data: a device that changes bytes must end a run
 *
 * What must hold: every op that was accepted ends exactly once; a read that succeeds gives what the last successful write wrote (or,
 * where a write failed, the old content or the new, block by block); nothing leaks (under the address sanitizer).
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/random.h"
#include <nvio/bdev.h>
#include <nvio/bdev_lock.h>
#include <nvio/bdev_qos.h>
#include <nvio/env.h>
#include <nvio/error.h>

#define MAX_OPS	   48
#define MAX_LEN	   (64 << 10)
#define MAX_LAYERS 4
#define MAX_IOV	   5
#define MAX_WAYS   3
#define STEPS	   2500
#define DRAIN_S	   3600 /* simulated */
#define KEY	   "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

struct world;

enum kind { IDLE, READ, WRITE, ZEROES, FLUSH, COMPARE, COMPARE_AND_WRITE, COPY, RESET, LOCK, QUIESCE, QOS, KINDS };

struct request {
	struct nvio_op op;
	struct world *w;
	enum kind kind;
	struct way *way;
	uint64_t lba, src;
	uint32_t nblocks, stamp;
	uint8_t *mem, *buf, *buf2;
	struct iovec iov[MAX_IOV];
	int iovcnt;
	bool in_flight, differs;
};

/* What a block may hold: `now`, or `maybe` when a write to it failed. A stamp of 0 is zeros. */
struct block {
	uint32_t now, maybe;
	bool unsure, locked;
};

/* A way to the device: a thread, and a descriptor and a channel on it. The first one's thread made the stack. */
struct way {
	struct nvio_thread *thread;
	struct nvio_bdev_desc *desc;
	struct nvio_channel *ch;
};

struct world {
	struct random random;
	uint64_t seed, clock_ns;
	struct nvio_env *env;
	struct way ways[MAX_WAYS];
	unsigned way_count;
	char text[1024], name[NVIO_BDEV_NAME_MAX + 1];
	uint32_t block_size, next_stamp;
	uint64_t num_blocks;
	unsigned ops;
	struct block *blocks;
	struct request requests[MAX_OPS];
	struct nvio_bdev_lock lock;
	struct way *lock_way;
	enum { UNLOCKED, LOCKING, LOCKED } lock_state;
	bool quiesced, has_crypto;
	uint64_t submitted, ended, succeeded;
	bool corrupt;
};

#define ensure(w, cond, ...)                                                                                           \
	do {                                                                                                           \
		if (!(cond)) {                                                                                         \
			printf("# seed %" PRIu64 ", %s: ", (w)->seed, (w)->text);                                      \
			printf(__VA_ARGS__);                                                                           \
			printf(" (%s, line %d)\n", #cond, __LINE__);                                                   \
			fflush(stdout);                                                                                \
			abort();                                                                                       \
		}                                                                                                      \
	} while (0)

/* Each look moves it on a little, since what waits for something else, as closing does, looks again and again. */
static uint64_t sim_now(void *arg)
{
	return ((struct world *)arg)->clock_ns += 100;
}

static uint64_t below(struct world *w, uint64_t n)
{
	return random_below(&w->random, n);
}

/* What is done on one of the ways is done with its thread current. */
static struct way *enter(struct world *w, unsigned i)
{
	struct way *way = &w->ways[i];

	ensure(w, !nvio_thread_attach(way->thread), "attach: %s", nvio_errmsg());
	return way;
}

static void leave(struct world *w, struct way *way)
{
	ensure(w, !nvio_thread_detach(way->thread), "detach: %s", nvio_errmsg());
}

/* ---- content ---- */

static uint64_t word_of(uint64_t lba, uint32_t stamp)
{
	return stamp ? lba << 32 | stamp : 0;
}

static void fill_block(struct world *w, uint8_t *p, uint64_t lba, uint32_t stamp)
{
	uint64_t word = word_of(lba, stamp);

	for (uint32_t i = 0; i < w->block_size; i += 8)
		memcpy(p + i, &word, 8);
}

static void fill(struct world *w, uint8_t *buf, uint64_t lba, uint32_t nblocks, uint32_t stamp)
{
	for (uint32_t b = 0; b < nblocks; b++)
		fill_block(w, buf + (size_t)b * w->block_size, lba + b, stamp);
}

static bool holds(struct world *w, const uint8_t *p, uint64_t lba, uint32_t stamp)
{
	uint64_t word = word_of(lba, stamp);

	for (uint32_t i = 0; i < w->block_size; i += 8)
		if (memcmp(p + i, &word, 8))
			return false;
	return true;
}

static void check_read(struct world *w, struct request *r)
{
	for (uint32_t i = 0; i < r->nblocks; i++) {
		struct block *b = &w->blocks[r->lba + i];
		const uint8_t *p = r->buf + (size_t)i * w->block_size;
		uint64_t word;

		memcpy(&word, p, 8);
		if (!holds(w, p, r->lba + i, b->now)) {
			ensure(w, b->unsure && holds(w, p, r->lba + i, b->maybe),
				"block %" PRIu64 " holds %#" PRIx64 ", not stamp %u%s", r->lba + i, word, b->now,
				b->unsure ? " or another" : "");
			b->now = b->maybe;
		}
		b->unsure = false;
	}
}

static void settle_write(struct world *w, struct request *r)
{
	for (uint32_t i = 0; i < r->nblocks; i++) {
		struct block *b = &w->blocks[r->lba + i];

		if (!r->op.status)
			*b = (struct block){ .now = r->stamp, .locked = b->locked };
		else if (!b->unsure)
			*b = (struct block){ .now = b->now, .maybe = r->stamp, .unsure = true, .locked = b->locked };
	}
}

/* ---- ops ---- */

static bool writes(enum kind kind)
{
	return kind == WRITE || kind == ZEROES || kind == COMPARE_AND_WRITE || kind == COPY;
}

static void set_locked(struct world *w, struct request *r, bool locked)
{
	for (uint32_t i = 0; i < r->nblocks; i++) {
		w->blocks[r->lba + i].locked = locked;
		if (r->kind == COPY)
			w->blocks[r->src + i].locked = locked;
	}
}

static void on_done(struct nvio_op *op)
{
	struct request *r = op->arg;
	struct world *w = r->w;

	ensure(w, r->in_flight, "an op ended twice");
	ensure(w, op->status != -EINPROGRESS, "done with a status of in flight");
	r->in_flight = false;
	w->ended++;
	w->succeeded += !op->status;
	if (r->kind == READ && !op->status)
		check_read(w, r);
	if (r->kind == COMPARE || r->kind == COMPARE_AND_WRITE) {
		ensure(w, op->status || !r->differs, "a compare with other content succeeds");
		ensure(w, op->status != -EILSEQ || r->differs, "a compare with the right content says that it differs");
	}
	if (writes(r->kind) && op->status != -EILSEQ)
		settle_write(w, r);
	if (r->kind == LOCK || r->kind == QUIESCE) {
		w->lock_state = op->status ? UNLOCKED : LOCKED;
		w->quiesced = r->kind == QUIESCE;
	}
	set_locked(w, r, false);
	r->kind = IDLE;
}

static bool is_free(struct world *w, uint64_t lba, uint32_t nblocks)
{
	for (uint32_t i = 0; i < nblocks; i++)
		if (w->blocks[lba + i].locked)
			return false;
	return true;
}

static bool any_unsure(struct world *w, uint64_t lba, uint32_t nblocks)
{
	for (uint32_t i = 0; i < nblocks; i++)
		if (w->blocks[lba + i].unsure)
			return true;
	return false;
}

/* The buffer in pieces of odd sizes. */
static void cut(struct world *w, struct request *r)
{
	uint64_t left = (uint64_t)r->nblocks * w->block_size;
	uint8_t *p = r->buf;

	for (r->iovcnt = 0; left; r->iovcnt++) {
		uint64_t n = r->iovcnt == MAX_IOV - 1 ? left : below(w, left + 1);

		r->iov[r->iovcnt] = (struct iovec){ .iov_base = p, .iov_len = n };
		p += n;
		left -= n;
	}
}

/* What the blocks hold now, or, in one block, something else. */
static void fill_expected(struct world *w, struct request *r)
{
	for (uint32_t i = 0; i < r->nblocks; i++)
		fill_block(w, r->buf + (size_t)i * w->block_size, r->lba + i, w->blocks[r->lba + i].now);
	r->differs = !below(w, 3);
	if (r->differs)
		r->buf[below(w, (uint64_t)r->nblocks * w->block_size)] ^= 0x80;
}

static int submit_qos(struct world *w, struct request *r)
{
	struct nvio_bdev_desc_qos d;
	struct nvio_bdev_qos q;

	if (below(w, 2)) {
		nvio_bdev_desc_qos_init(&d);
		d.weight = (uint32_t)(1 + below(w, 1000));
		if (!below(w, 3))
			d.ios = (struct nvio_bdev_rate){ .per_s = 100 + below(w, 100000) };
		return nvio_bdev_set_desc_qos(r->way->desc, r->way->ch, &d, &r->op);
	}

	nvio_bdev_qos_init(&q);
	if (below(w, 2))
		q.read_ios = (struct nvio_bdev_rate){ .per_s = 100 + below(w, 100000) };
	if (below(w, 2))
		q.all_bytes = (struct nvio_bdev_rate){ .per_s = 1000000 + below(w, 100000000), .burst = 1 + below(w, 1000000) };
	if (!below(w, 3))
		q.max_in_flight = (uint32_t)(1 + below(w, 16));
	return nvio_bdev_set_qos(r->way->desc, r->way->ch, &q, &r->op);
}

static int submit(struct world *w, struct request *r)
{
	uint64_t offset = r->lba * w->block_size, len = (uint64_t)r->nblocks * w->block_size;

	switch (r->kind) {
	case READ:
		memset(r->buf, 0xee, len);
		cut(w, r);
		return below(w, 2) ? nvio_bdev_read(r->way->desc, r->way->ch, r->buf, offset, len, &r->op)
				   : nvio_bdev_readv(r->way->desc, r->way->ch, r->iov, r->iovcnt, offset, len, &r->op);
	case WRITE:
		fill(w, r->buf, r->lba, r->nblocks, r->stamp);
		cut(w, r);
		return below(w, 2) ? nvio_bdev_write(r->way->desc, r->way->ch, r->buf, offset, len, &r->op)
				   : nvio_bdev_writev(r->way->desc, r->way->ch, r->iov, r->iovcnt, offset, len, &r->op);
	case ZEROES: return nvio_bdev_write_zeroes(r->way->desc, r->way->ch, offset, len, &r->op);
	case COMPARE:
		fill_expected(w, r);
		return nvio_bdev_compare(r->way->desc, r->way->ch, r->buf, offset, len, &r->op);
	case COMPARE_AND_WRITE:
		fill_expected(w, r);
		fill(w, r->buf2, r->lba, r->nblocks, r->stamp);
		return nvio_bdev_compare_and_write(r->way->desc, r->way->ch, r->buf, r->buf2, offset, len, &r->op);
	case COPY: return nvio_bdev_copy(r->way->desc, r->way->ch, r->src * w->block_size, offset, len, &r->op);
	case RESET: return nvio_bdev_reset(r->way->desc, r->way->ch, &r->op);
	case LOCK:
		return nvio_bdev_lock_range(r->way->desc, r->way->ch, &w->lock, offset, len,
			(uint32_t)below(w, 4), &r->op);
	case QUIESCE: return nvio_bdev_quiesce(r->way->desc, r->way->ch, &w->lock, &r->op);
	case QOS: return submit_qos(w, r);
	default: return nvio_bdev_flush(r->way->desc, r->way->ch, &r->op);
	}
}

/* Mostly I/O; now and then what stops it. */
static enum kind pick_kind(struct world *w)
{
	static const enum kind io[] = { READ, READ, READ, READ, WRITE, WRITE, WRITE, WRITE, ZEROES, FLUSH, COMPARE, COMPARE_AND_WRITE, COPY };
	static const enum kind rare[] = { RESET, LOCK, LOCK, QUIESCE, QOS, QOS };

	return below(w, 40) ? io[below(w, sizeof(io) / sizeof(io[0]))] : rare[below(w, sizeof(rare) / sizeof(rare[0]))];
}

static bool pick(struct world *w, struct request *r)
{
	uint32_t max = MAX_LEN / w->block_size;

	r->kind = pick_kind(w);
	r->nblocks = (uint32_t)(1 + below(w, below(w, 4) ? 16 : max));
	r->lba = below(w, w->num_blocks - r->nblocks + 1);
	if ((r->kind == LOCK || r->kind == QUIESCE) && w->lock_state != UNLOCKED)
		return false;
	if (r->kind >= RESET || r->kind == FLUSH)
		return true;
	if (!is_free(w, r->lba, r->nblocks))
		return false;
	/* A second write of unsure content would make three versions possible: read it first. */
	if (r->kind != READ && any_unsure(w, r->lba, r->nblocks))
		r->kind = READ;
	if (r->kind == COPY) {
		/* Blocks hold their own number, so what may be copied is zeros: over whatever is there, from where nothing else is. */
		r->src = below(w, w->num_blocks - r->nblocks + 1);
		if ((r->src < r->lba + r->nblocks && r->lba < r->src + r->nblocks) || !is_free(w, r->src, r->nblocks))
			return false;
		for (uint32_t i = 0; i < r->nblocks; i++)
			if (w->blocks[r->src + i].now || w->blocks[r->src + i].unsure)
				return false;
	}
	return true;
}

static void start_op(struct world *w, struct request *r)
{
	int rc;

	if (!pick(w, r)) {
		r->kind = IDLE;
		return;
	}
	r->stamp = r->kind == ZEROES || r->kind == COPY ? 0 : ++w->next_stamp;
	r->buf = r->mem + below(w, 4) * 4096 / (1 + below(w, 512));
	r->buf2 = r->mem + MAX_LEN + 8192;
	r->op = (struct nvio_op)NVIO_OP(on_done);
	r->op.arg = r;
	if (!below(w, 8) || r->kind == RESET || r->kind == LOCK || r->kind == QUIESCE)
		r->op.timeout_us = 1 + below(w, 100000);
	if (r->kind < RESET && r->kind != FLUSH)
		set_locked(w, r, true);
	else
		r->nblocks = r->kind == LOCK ? r->nblocks : 0;
	r->way = enter(w, (unsigned)below(w, w->way_count));
	if (r->kind == LOCK || r->kind == QUIESCE) {
		w->lock_state = LOCKING;
		w->lock_way = r->way;
	}
	r->in_flight = true;
	rc = submit(w, r);
	leave(w, r->way);
	if (r->kind >= RESET)
		r->nblocks = 0;
	if (!rc) {
		w->submitted++;
		return;
	}
	ensure(w, r->kind == RESET && (rc == -EALREADY || rc == -EOPNOTSUPP), "submit of kind %d: %d: %s", r->kind, rc, nvio_errmsg());
	r->in_flight = false;
	r->kind = IDLE;
}

static void unlock(struct world *w)
{
	if (w->lock_state != LOCKED)
		return;
	w->lock_state = UNLOCKED;
	enter(w, (unsigned)(w->lock_way - w->ways));
	ensure(w, !(w->quiesced ? nvio_bdev_unquiesce(&w->lock) : nvio_bdev_unlock_range(&w->lock)), "unlock: %s", nvio_errmsg());
	leave(w, w->lock_way);
}

static void poll(struct world *w)
{
	for (unsigned i = 0; i < w->way_count; i++)
		nvio_thread_poll(w->ways[below(w, w->way_count)].thread, (uint32_t)below(w, 4));
	w->clock_ns += below(w, below(w, 50) ? 20000 : 5000000);
	if (!below(w, 8))
		unlock(w);
}

/* ---- the world ---- */

/* One layer in front of the text. */
static void put_layer(struct world *w, const char *below_it)
{
	char layer[256];

	switch (below(w, w->has_crypto ? 6 : 5)) {
	case 0: snprintf(layer, sizeof(layer), "passthru"); break;
	case 1:
		snprintf(layer, sizeof(layer), "delay?avg_read=%" PRIu64 "&p99_read=50000&avg_write=%" PRIu64 "&p99_write=20000",
			below(w, 300), below(w, 300));
		break;
	case 2: snprintf(layer, sizeof(layer), "error?kind=fail&p=0.02"); break;
	case 3: snprintf(layer, sizeof(layer), "error?kind=no_memory&p=0.1&us=%" PRIu64, 1 + below(w, 500)); break;
	case 4: snprintf(layer, sizeof(layer), "split?count=%" PRIu64, 1 + below(w, 2)); break;
	default: snprintf(layer, sizeof(layer), "crypto?key=%s", KEY); break;
	}
	snprintf(w->text, sizeof(w->text), "%s:%s", layer, below_it);
}

static void make_text(struct world *w)
{
	unsigned layers = (unsigned)below(w, MAX_LAYERS + 1);
	char before[sizeof(w->text)];

	/* RAM, or a software drive behind the driver. */
	if (below(w, 3))
		snprintf(w->text, sizeof(w->text), "malloc:2M?bs=%u", w->block_size);
	else
		snprintf(w->text, sizeof(w->text), "nvme:loop:ram:2M?bs=%u&mdts=16k&entries=16%s", w->block_size,
			below(w, 2) ? "&fault=delay:p=0.2:us=300" : "");
	for (unsigned i = 0; i < layers; i++) {
		memcpy(before, w->text, sizeof(before));
		put_layer(w, before);
	}
	if (w->corrupt) {
		memcpy(before, w->text, sizeof(before));
		snprintf(w->text, sizeof(w->text), "error?kind=corrupt&p=0.1:%.900s", before);
	}
}

static void no_log(void *arg, enum nvio_log_level level, const char *text)
{
}

/* Until it has succeeded: what was never written through an encrypting layer reads as anything. */
static void clear_all(struct world *w)
{
	struct way *way = enter(w, 0);
	uint64_t chunk = w->num_blocks / 16, rest = w->num_blocks % 16;

	for (unsigned i = 0; i < 17; i++) {
		uint64_t blocks = i < 16 ? chunk : rest;
		int rc = blocks ? -EIO : 0;

		for (unsigned tries = 0; tries < 1000 && rc; tries++) {
			struct nvio_op op = NVIO_OP(NULL);

			rc = nvio_bdev_write_zeroes(way->desc, way->ch, i * chunk * w->block_size, blocks * w->block_size, &op);
			while (!rc && nvio_op_pending(&op))
				poll(w);
			rc = rc ? rc : op.status;
		}
		ensure(w, !rc, "clear: %s", nvio_errno_name(rc));
	}
	leave(w, way);
}

static void world_open(struct world *w)
{
	struct nvio_env_opts eo;
	int rc;

	nvio_env_opts_init(&eo);
	eo.now_ns = sim_now;
	eo.now_arg = w;
	eo.seed = w->seed + 1;
	eo.log_fn = no_log; /* closing in the middle of it is what is done here */
	w->clock_ns = 1000000000;
	ensure(w, !nvio_env_open(&eo, &w->env), "env: %s", nvio_errmsg());
	w->way_count = (unsigned)(1 + below(w, MAX_WAYS));
	for (unsigned i = 0; i < w->way_count; i++)
		ensure(w, !nvio_thread_create(w->env, NULL, &w->ways[i].thread), "thread: %s", nvio_errmsg());
	enter(w, 0);
	w->block_size = below(w, 2) ? 512 : 4096;
	w->has_crypto = !nvio_bdev_check_str("crypto?key=" KEY ":malloc:1M");
	make_text(w);
	rc = nvio_bdev_create_str(w->env, w->text, w->name);
	ensure(w, !rc, "create: %s", nvio_errmsg());
	leave(w, &w->ways[0]);
	for (unsigned i = 0; i < w->way_count; i++) {
		struct way *way = enter(w, i);

		ensure(w, !nvio_bdev_open(w->env, w->name, NVIO_BDEV_WRITE, &way->desc), "open: %s", nvio_errmsg());
		ensure(w, !nvio_bdev_channel(way->desc, &way->ch), "channel: %s", nvio_errmsg());
		leave(w, way);
	}
	w->num_blocks = nvio_bdev_num_blocks(nvio_bdev_desc_bdev(w->ways[0].desc));
	w->blocks = calloc(w->num_blocks, sizeof(*w->blocks));
	ensure(w, w->blocks, "memory");
	w->ops = (unsigned)(1 + below(w, MAX_OPS));
	for (unsigned i = 0; i < w->ops; i++) {
		w->requests[i].w = w;
		w->requests[i].mem = malloc(2 * (MAX_LEN + 8192));
		ensure(w, w->requests[i].mem, "buffer");
	}
	clear_all(w);
}

static void cancel(struct world *w, struct request *r)
{
	enter(w, (unsigned)(r->way - w->ways));
	nvio_cancel(&r->op);
	leave(w, r->way);
}

static bool is_busy(const struct world *w, const struct way *way)
{
	for (unsigned i = 0; i < w->ops; i++)
		if (w->requests[i].in_flight && w->requests[i].way == way)
			return true;
	return false;
}

/*
 * A channel goes, and another one comes. Not with I/O in flight: its end would wait for that, and what that waits for may be another of
 * the threads, which nobody polls meanwhile. Nor with a lock that is asked for or held.
 */
static void renew(struct world *w)
{
	struct way *way = enter(w, (unsigned)below(w, w->way_count));

	if (!is_busy(w, way) && (w->lock_state == UNLOCKED || w->lock_way != way)) {
		nvio_channel_put(way->ch);
		for (unsigned i = 0; i < 3; i++)
			nvio_thread_poll(way->thread, 0);
		ensure(w, !nvio_bdev_channel(way->desc, &way->ch), "channel: %s", nvio_errmsg());
	}
	leave(w, way);
}

static void world_run(struct world *w)
{
	for (unsigned step = 0; step < STEPS; step++) {
		struct request *r = &w->requests[below(w, w->ops)];

		if (!r->in_flight)
			start_op(w, r);
		else if (!below(w, 200))
			cancel(w, r);
		if (!below(w, 500))
			renew(w);
		if (below(w, 3))
			poll(w);
	}
}

static void world_drain(struct world *w)
{
	uint64_t end = w->clock_ns + DRAIN_S * 1000000000ull;

	while (w->ended < w->submitted) {
		ensure(w, w->clock_ns < end, "%" PRIu64 " of %" PRIu64 " ops ended", w->ended, w->submitted);
		poll(w);
		unlock(w);
	}
}

/* After all that, what is there must still be right, as far as it can be read. */
static void world_audit(struct world *w)
{
	struct request *r = &w->requests[0];
	struct way *way = enter(w, 0);

	for (uint64_t lba = 0; lba + 8 <= w->num_blocks; lba += 8) {
		int rc = -EIO;

		r->lba = lba;
		r->nblocks = 8;
		r->buf = r->mem;
		for (unsigned tries = 0; tries < 50 && rc; tries++) {
			r->op = (struct nvio_op)NVIO_OP(NULL);
			rc = nvio_bdev_read(way->desc, way->ch, r->buf, lba * w->block_size, 8ull * w->block_size, &r->op);
			while (!rc && nvio_op_pending(&r->op))
				poll(w);
			rc = rc ? rc : r->op.status;
		}
		ensure(w, !rc, "audit: %s", nvio_op_strerror(&r->op));
		check_read(w, r);
	}
	leave(w, way);
}

static void world_close(struct world *w, bool drained)
{
	/* By the environment, or one by one: both must do. */
	for (unsigned i = 0; drained && i < w->way_count && below(w, 3); i++) {
		struct way *way = enter(w, i);

		nvio_channel_put(way->ch);
		for (unsigned n = 0; n < 3; n++)
			nvio_thread_poll(way->thread, 0);
		ensure(w, !nvio_bdev_close(way->desc), "close: %s", nvio_errmsg());
		leave(w, way);
	}
	nvio_env_close(w->env);
	ensure(w, w->ended == w->submitted, "%" PRIu64 " of %" PRIu64 " ops ended", w->ended, w->submitted);
	for (unsigned i = 0; i < w->ops; i++)
		free(w->requests[i].mem);
	free(w->blocks);
}

struct totals {
	uint64_t submitted, succeeded, encrypted, nvme;
};

static void run_seed(uint64_t seed, bool corrupt, struct totals *t)
{
	static struct world w;
	bool drained;

	memset(&w, 0, sizeof(w));
	w.seed = seed;
	w.corrupt = corrupt;
	random_init(&w.random, seed);
	world_open(&w);
	world_run(&w);
	/* A third of them end in the middle of it. */
	drained = below(&w, 3);
	if (drained) {
		world_drain(&w);
		world_audit(&w);
	}
	t->submitted += w.submitted;
	t->succeeded += w.succeeded;
	t->encrypted += !!strstr(w.text, "crypto");
	t->nvme += !!strstr(w.text, "nvme");
	world_close(&w, drained);
}

static int catch_corruption(void)
{
	struct totals t = { 0 };
	int status;
	pid_t pid = fork();

	if (!pid) {
		for (uint64_t seed = 1; seed <= 5; seed++)
			run_seed(seed, true, &t);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	printf("%sok 1 - a device that changes bytes is caught\n1..1\n",
		WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT ? "" : "not ");
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t seeds, first;
	struct totals t = { 0 };

	if (argc == 2 && !strcmp(argv[1], "--catch"))
		return catch_corruption();
	seeds = argc > 1 ? strtoull(argv[1], NULL, 0) : 100;
	first = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	printf("# seeds %" PRIu64 " to %" PRIu64 "\n", first, first + seeds - 1);
	fflush(stdout);
	for (uint64_t seed = first; seed < first + seeds; seed++)
		run_seed(seed, false, &t);
	printf("# %" PRIu64 " ops, %" PRIu64 " succeeded; %" PRIu64 " stacks with encryption, %" PRIu64 " over NVMe\n", t.submitted,
		t.succeeded, t.encrypted, t.nvme);
	printf("1..1\nok 1 - every op ends once and data is right, seeds %" PRIu64 " to %" PRIu64 "\n", first, first + seeds - 1);
	return 0;
}
