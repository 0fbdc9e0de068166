/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The simulator: host, target and block device on one thread and a simulated clock, with faults. Everything that happens follows
 * from the seed, which is printed; a run that fails is repeated by giving its seed.
 *
 *     sim SEEDS [FIRST]
 *     sim --catch         proves that it sees wrong data: a drive that flips bits must end a run
 *
 * What must hold: every op that was accepted ends exactly once; a read that succeeds gives what the last successful write wrote (or,
 * where a write failed, the old content or the new, block by block); nothing leaks (under the address sanitizer). In one seed of three the
 * drive stands behind an IOMMU, while memory is registered and unregistered: it never reaches for anything that is not mapped.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/random.h"
#include <nvio/nvme.h>

#define MAX_OPS    64
#define MAX_QPAIRS 3
#define MAX_LEN    (96 << 10)
#define STEPS      3000
#define DRAIN_S    3600 /* simulated; every op has a deadline long before */

struct world;

struct request {
	struct nvio_op op;
	struct world *w;
	enum { IDLE, READ, WRITE, ZEROES, FLUSH, COMPARE } kind;
	unsigned qpair;
	uint64_t lba;
	uint32_t nblocks;
	uint32_t stamp;
	uint8_t *mem, *buf;
	uint8_t *own; /* mem is not the environment's, but this: registered, or bounced */
	bool in_flight;
};

/* What a block may hold: `now`, or `maybe` when a write to it failed. A stamp of 0 is zeros. */
struct block {
	uint32_t now, maybe;
	bool unsure, locked;
};

struct world {
	struct random random;
	uint64_t seed, clock_ns;
	struct nvio_env *env;
	struct nvio_drive *drive;
	struct nvio_ctrlr *ctrlr;
	struct nvio_ns *ns;
	struct nvio_qpair *qp[MAX_QPAIRS];
	unsigned qpairs, ops;
	uint32_t block_size, next_stamp;
	uint64_t num_blocks;
	struct block *blocks;
	struct request requests[MAX_OPS];
	uint64_t submitted, ended, succeeded, refused;
	bool dead, corrupt, iommu, noise_there;
	uint8_t *noise; /* registered and unregistered meanwhile */
};

#define ensure(w, cond, ...)                                                              \
	do {                                                                              \
		if (!(cond)) {                                                            \
			printf("# seed %" PRIu64 ": ", (w)->seed);                        \
			printf(__VA_ARGS__);                                              \
			printf(" (%s, line %d)\n", #cond, __LINE__);                      \
			fflush(stdout);                                                   \
			abort();                                                          \
		}                                                                         \
	} while (0)

static uint64_t sim_now(void *arg)
{
	return ((struct world *)arg)->clock_ns;
}

static uint64_t below(struct world *w, uint64_t n)
{
	return random_below(&w->random, n);
}

/* ---- content ---- */

static void fill(struct world *w, uint8_t *buf, uint64_t lba, uint32_t nblocks, uint32_t stamp)
{
	for (uint32_t b = 0; b < nblocks; b++) {
		uint8_t *p = buf + (size_t)b * w->block_size;
		uint64_t word = stamp ? (lba + b) << 32 | stamp : 0;

		for (uint32_t i = 0; i < w->block_size; i += 8)
			memcpy(p + i, &word, 8);
	}
}

static bool holds(struct world *w, const uint8_t *p, uint64_t lba, uint32_t stamp)
{
	uint64_t word = stamp ? lba << 32 | stamp : 0;

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
		if (holds(w, p, r->lba + i, b->now)) {
			b->unsure = false;
		} else {
			ensure(w, b->unsure && holds(w, p, r->lba + i, b->maybe),
				"block %" PRIu64 " holds %#" PRIx64 ", not stamp %u%s", r->lba + i, word, b->now, b->unsure ? " or another" : "");
			b->now = b->maybe;
			b->unsure = false;
		}
	}
}

static void settle_write(struct world *w, struct request *r)
{
	for (uint32_t i = 0; i < r->nblocks; i++) {
		struct block *b = &w->blocks[r->lba + i];

		if (!r->op.status) {
			b->now = r->stamp;
			b->unsure = false;
		} else if (!b->unsure || b->maybe == r->stamp) {
			b->maybe = r->stamp;
			b->unsure = true;
		} else {
			/* Two failed writes: three possible contents. Keep the range out of the game. */
			continue;
		}
	}
}

/* ---- ops ---- */

static void on_done(struct nvio_op *op)
{
	struct request *r = op->arg;
	struct world *w = r->w;
	bool stuck = false;

	ensure(w, r->in_flight, "an op ended twice");
	ensure(w, op->status != -EINPROGRESS, "done with a status of in flight");
	r->in_flight = false;
	w->ended++;
	w->succeeded += !op->status;
	if (r->kind == READ && !op->status)
		check_read(w, r);
	if (r->kind == WRITE || r->kind == ZEROES)
		settle_write(w, r);
	if (r->kind == COMPARE && op->status == -EILSEQ)
		for (uint32_t i = 0; i < r->nblocks; i++)
			stuck |= !w->blocks[r->lba + i].unsure;
	ensure(w, !stuck || r->kind != COMPARE || r->nblocks > 1, "compare with the right content says that it differs");
	for (uint32_t i = 0; i < r->nblocks; i++)
		w->blocks[r->lba + i].locked = false;
	r->kind = IDLE;
}

/* A range that no op in flight touches, and of whose content at most two versions are possible. */
static bool pick_range(struct world *w, struct request *r)
{
	uint32_t max = MAX_LEN / w->block_size;

	r->nblocks = (uint32_t)(1 + below(w, below(w, 4) ? 16 : max));
	r->lba = below(w, w->num_blocks - r->nblocks + 1);
	for (uint32_t i = 0; i < r->nblocks; i++)
		if (w->blocks[r->lba + i].locked)
			return false;
	return true;
}

static bool any_unsure(struct world *w, struct request *r)
{
	for (uint32_t i = 0; i < r->nblocks; i++)
		if (w->blocks[r->lba + i].unsure)
			return true;
	return false;
}

static int submit(struct world *w, struct request *r, struct nvio_qpair *qp)
{
	switch (r->kind) {
	case READ:
		memset(r->buf, 0xee, (size_t)r->nblocks * w->block_size);
		return nvio_ns_read(w->ns, qp, r->buf, r->lba, r->nblocks, &r->op);
	case WRITE:
		fill(w, r->buf, r->lba, r->nblocks, r->stamp);
		return nvio_ns_write(w->ns, qp, r->buf, r->lba, r->nblocks, &r->op);
	case ZEROES:
		return nvio_ns_write_zeroes(w->ns, qp, r->lba, r->nblocks, &r->op);
	case COMPARE:
		fill(w, r->buf, r->lba, 1, w->blocks[r->lba].now);
		return nvio_ns_compare(w->ns, qp, r->buf, r->lba, 1, &r->op);
	default:
		return nvio_ns_flush(w->ns, qp, &r->op);
	}
}

static void start_op(struct world *w, struct request *r)
{
	static const int kinds[] = { READ, READ, READ, WRITE, WRITE, WRITE, ZEROES, FLUSH, COMPARE };
	int rc;

	if (!pick_range(w, r))
		return;
	r->kind = kinds[below(w, sizeof(kinds) / sizeof(kinds[0]))];
	/* A second write of unsure content would make three versions possible: read it first. */
	if ((r->kind == WRITE || r->kind == ZEROES || r->kind == COMPARE) && any_unsure(w, r))
		r->kind = READ;
	if (r->kind == FLUSH)
		r->nblocks = 0;
	if (r->kind == COMPARE)
		r->nblocks = 1;
	r->stamp = r->kind == ZEROES ? 0 : ++w->next_stamp;
	r->buf = r->mem + (below(w, 4) ? below(w, 64) * 64 : below(w, 4096));
	r->qpair = (unsigned)below(w, w->qpairs);
	r->op = (struct nvio_op)NVIO_OP(on_done);
	r->op.arg = r;
	if (!below(w, 8))
		r->op.timeout_us = 1 + below(w, 50000);
	for (uint32_t i = 0; i < r->nblocks; i++)
		w->blocks[r->lba + i].locked = true;
	r->in_flight = true;
	rc = submit(w, r, w->qp[r->qpair]);
	if (!rc) {
		w->submitted++;
		return;
	}
	ensure(w, rc == -ENODEV || rc == -EIO, "submit: %d: %s", rc, nvio_errmsg());
	r->in_flight = false;
	for (uint32_t i = 0; i < r->nblocks; i++)
		w->blocks[r->lba + i].locked = false;
	r->kind = IDLE;
	w->refused++;
	w->dead = true;
}

static void poll_all(struct world *w)
{
	for (unsigned i = 0; i < w->qpairs; i++)
		if (below(w, 4))
			nvio_qpair_poll(w->qp[i], (uint32_t)below(w, 8));
	if (!below(w, 4))
		nvio_ctrlr_poll(w->ctrlr);
	w->clock_ns += below(w, below(w, 50) ? 20000 : 5000000);
}

/* ---- the world ---- */

static void add_faults(struct world *w)
{
	static const enum nvio_fault_kind kinds[] = {
		NVIO_FAULT_DELAY, NVIO_FAULT_DELAY, NVIO_FAULT_DELAY, NVIO_FAULT_LOSE, NVIO_FAULT_STATUS, NVIO_FAULT_STATUS, NVIO_FAULT_PHASE,
		NVIO_FAULT_UNKNOWN_CID, NVIO_FAULT_DUPLICATE, NVIO_FAULT_LOSE_ABORT, NVIO_FAULT_FATAL, NVIO_FAULT_REMOVE,
	};
	unsigned n = (unsigned)below(w, 5);
	struct nvio_fault flip = NVIO_FAULT_INIT(NVIO_FAULT_CORRUPT);

	flip.probability = 0.1;
	if (w->corrupt)
		ensure(w, !nvio_drive_add_fault(w->drive, &flip), "fault: %s", nvio_errmsg());
	for (unsigned i = 0; i < n; i++) {
		struct nvio_fault f = NVIO_FAULT_INIT(kinds[below(w, sizeof(kinds) / sizeof(kinds[0]))]);

		f.skip = (uint32_t)below(w, 200);
		f.probability = f.kind == NVIO_FAULT_DELAY ? 0.3 : 0.02;
		f.delay_us = below(w, 20000);
		f.sf = below(w, 2) ? 0x281 : 0x4002;
		if (f.kind == NVIO_FAULT_FATAL)
			f.count = (uint32_t)(1 + below(w, 2));
		if (f.kind == NVIO_FAULT_REMOVE)
			f.skip += 1000;
		ensure(w, !nvio_drive_add_fault(w->drive, &f), "fault: %s", nvio_errmsg());
	}
}

static void no_log(void *arg, enum nvio_log_level level, const char *text)
{
}

/* Of the environment; or the caller's own, which behind an IOMMU is registered, or else bounced. */
static void make_buffer(struct world *w, struct request *r)
{
	size_t len = MAX_LEN + 8192;

	if (!w->iommu || below(w, 2)) {
		r->mem = nvio_mem_alloc(w->env, len, 0);
	} else {
		r->mem = r->own = aligned_alloc(4096, len);
		if (below(w, 4))
			ensure(w, !nvio_mem_register(w->env, r->own, len), "register: %s", nvio_errmsg());
	}
	ensure(w, r->mem, "buffer: %s", nvio_errmsg());
}

/* Memory that has nothing to do with any I/O comes and goes. */
static void make_noise(struct world *w)
{
	size_t len = 16 * 4096;

	if (!w->noise)
		w->noise = aligned_alloc(4096, len);
	ensure(w, !(w->noise_there ? nvio_mem_unregister(w->env, w->noise, len) : nvio_mem_register(w->env, w->noise, len)), "register: %s",
		nvio_errmsg());
	w->noise_there = !w->noise_there;
}

static void world_open(struct world *w)
{
	static const char *const mdts[] = { "8k", "16k", "64k", "1M" };
	struct nvio_env_opts eo;
	struct nvio_ctrlr_opts co;
	struct nvio_qpair_opts qo;
	char form[128], trid[160];

	nvio_env_opts_init(&eo);
	eo.now_ns = sim_now;
	eo.now_arg = w;
	eo.seed = w->seed + 1;
	eo.log_fn = no_log; /* losing controllers is what is done here */
	w->clock_ns = 1000000000;
	ensure(w, !nvio_env_open(&eo, &w->env), "env: %s", nvio_errmsg());
	w->block_size = below(w, 2) ? 512 : 4096;
	w->iommu = w->seed % 3 == 0;
	snprintf(form, sizeof(form), "ram:2M?bs=%u&mdts=%s&seed=%" PRIu64 "&entries=%u&iommu=%d", w->block_size, mdts[below(w, 4)], w->seed + 1,
		(unsigned)(4 + below(w, 60)), w->iommu);
	ensure(w, !nvio_drive_open_str(w->env, form, &w->drive), "drive: %s", nvio_errmsg());
	nvio_ctrlr_opts_init(&co);
	co.command_timeout_ms = 100;
	co.abort_timeout_ms = 20;
	co.max_resets = 5;
	co.bounce = w->iommu;
	snprintf(trid, sizeof(trid), "loop:%s", form);
	ensure(w, !nvio_connect(w->env, trid, &co, &w->ctrlr), "connect: %s", nvio_errmsg());
	w->ns = nvio_ctrlr_ns(w->ctrlr, 1);
	w->num_blocks = nvio_ns_num_blocks(w->ns);
	w->blocks = calloc(w->num_blocks, sizeof(*w->blocks));
	w->qpairs = (unsigned)(1 + below(w, MAX_QPAIRS));
	w->ops = (unsigned)(1 + below(w, MAX_OPS));
	for (unsigned i = 0; i < w->qpairs; i++) {
		nvio_qpair_opts_init(&qo);
		qo.io_queue_size = (uint32_t)(2 + below(w, 40));
		qo.flags = below(w, 2) ? NVIO_QPAIR_IMMEDIATE : 0;
		ensure(w, !nvio_qpair_alloc(w->ctrlr, &qo, &w->qp[i]), "qpair: %s", nvio_errmsg());
	}
	for (unsigned i = 0; i < w->ops; i++) {
		w->requests[i].w = w;
		make_buffer(w, &w->requests[i]);
	}
	add_faults(w);
}

static void world_run(struct world *w)
{
	uint64_t end;

	for (unsigned step = 0; step < STEPS && !w->dead; step++) {
		struct request *r = &w->requests[below(w, w->ops)];

		if (!r->in_flight)
			start_op(w, r);
		else if (!below(w, 200))
			nvio_cancel(&r->op);
		if (!below(w, 1500)) {
			/* A reset out of the blue; its own end is waited for like any other. */
			struct nvio_op op = NVIO_OP(NULL);

			if (!nvio_ctrlr_reset(w->ctrlr, &op))
				while (nvio_op_pending(&op))
					poll_all(w), nvio_ctrlr_poll(w->ctrlr);
		}
		if (w->iommu && !below(w, 8))
			make_noise(w);
		if (below(w, 3))
			poll_all(w);
	}
	end = w->clock_ns + DRAIN_S * 1000000000ull;
	while (w->ended < w->submitted) {
		ensure(w, w->clock_ns < end, "%" PRIu64 " of %" PRIu64 " ops ended; state %s", w->ended, w->submitted, nvio_ctrlr_state(w->ctrlr));
		poll_all(w);
	}
}

/* After all faults, what is there must still be right. */
static void world_audit(struct world *w)
{
	struct request *r = &w->requests[0];
	struct nvio_drive_stats stats;

	nvio_drive_get_stats(w->drive, &stats);
	ensure(w, !stats.dma_faults, "%" PRIu64 " accesses to what is not mapped", stats.dma_faults);
	nvio_drive_clear_faults(w->drive);
	if (!nvio_ctrlr_is_ready(w->ctrlr) || w->dead)
		return;
	for (uint64_t lba = 0; lba < w->num_blocks; lba += 16) {
		int rc;

		r->lba = lba;
		r->nblocks = 16;
		r->buf = r->mem;
		r->op = (struct nvio_op)NVIO_OP(NULL);
		rc = nvio_ns_read(w->ns, w->qp[0], r->buf, r->lba, r->nblocks, &r->op);
		while (!rc && nvio_op_pending(&r->op))
			poll_all(w);
		ensure(w, !rc && !r->op.status, "audit: %s", nvio_op_strerror(&r->op));
		check_read(w, r);
	}
}

static void world_close(struct world *w)
{
	/* By the environment, or one by one: both must do. */
	if (below(w, 2)) {
		for (unsigned i = 0; i < w->qpairs; i++)
			nvio_qpair_free(w->qp[i]);
		nvio_ctrlr_close(w->ctrlr);
		nvio_drive_close(w->drive);
		for (unsigned i = 0; i < w->ops; i++)
			if (!w->requests[i].own)
				nvio_mem_free(w->env, w->requests[i].mem);
	}
	nvio_env_close(w->env);
	for (unsigned i = 0; i < w->ops; i++)
		free(w->requests[i].own);
	free(w->noise);
	ensure(w, w->ended == w->submitted, "%" PRIu64 " of %" PRIu64 " ops ended", w->ended, w->submitted);
	free(w->blocks);
}

struct totals {
	uint64_t submitted, succeeded, resets, dead;
};

static void run_seed(uint64_t seed, bool corrupt, struct totals *t)
{
	static struct world w;

	memset(&w, 0, sizeof(w));
	w.seed = seed;
	w.corrupt = corrupt;
	random_init(&w.random, seed);
	world_open(&w);
	world_run(&w);
	world_audit(&w);
	t->submitted += w.submitted;
	t->succeeded += w.succeeded;
	t->resets += nvio_ctrlr_reset_count(w.ctrlr);
	t->dead += !nvio_ctrlr_is_ready(w.ctrlr);
	world_close(&w);
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
	printf("%sok 1 - a drive that flips bits is caught\n1..1\n", WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT ? "" : "not ");
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
	printf("# %" PRIu64 " ops, %" PRIu64 " succeeded, %" PRIu64 " resets, %" PRIu64 " controllers lost\n", t.submitted, t.succeeded, t.resets,
		t.dead);
	printf("1..1\nok 1 - every op ends once and data is right, seeds %" PRIu64 " to %" PRIu64 "\n", first, first + seeds - 1);
	return 0;
}
