/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The loop of `nvio perf`: as many slots as the depth, each with its op and its buffer; a completion submits
 * the slot's next I/O from within the callback. One reading of the clock both ends one I/O and begins the
 * next.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <nvio/error.h>
#include <nvio/mem.h>

#include "perf.h"
#include "stream.h"

struct run;

struct slot {
	struct nvio_op op;
	struct run *run;
	uint8_t *buf;
	uint64_t begin_ns;
	uint64_t unit;
	uint32_t generation;
	bool is_write;
};

/* What one phase does: the measurement itself, or writing and reading all of the region before and after it.
 */
enum phase {
	PHASE_MEASURE,
	PHASE_FILL,
	PHASE_CHECK,
};

struct run {
	struct perf *p;
	struct perf_io io;
	enum phase phase;
	struct slot *slots;
	uint8_t *memory;
	size_t memory_size, stride; /* from one buffer to the next */
	uint8_t *busy; /* verify: a bit for each unit with an I/O in flight */
	uint64_t random;
	uint64_t next_unit; /* sequential phases */
	uint64_t left;	    /* I/Os still to be submitted; CLI_UNSET: until the time is over */
	uint64_t end_ns;
	uint32_t in_flight;
	uint64_t errors;
	bool stop;
};

/* xorshift64*: the numbers need not be good, only quick and not in step with anything. */
static uint64_t random_next(struct run *r)
{
	r->random ^= r->random >> 12;
	r->random ^= r->random << 25;
	r->random ^= r->random >> 27;
	return r->random * UINT64_C(0x2545f4914f6cdd1d);
}

static bool is_busy(const struct run *r, uint64_t unit)
{
	return r->busy[unit / 8] >> unit % 8 & 1;
}

/*
 * With verify no two I/Os may be on one unit: which of them was last could not be known. There are more units
 * than slots.
 */
static uint64_t pick_free(struct run *r, uint64_t unit)
{
	while (is_busy(r, unit))
		unit = unit + 1 < r->p->units ? unit + 1 : 0;
	r->busy[unit / 8] |= (uint8_t)(1u << unit % 8);
	return unit;
}

static void pick(struct run *r, struct slot *s)
{
	struct perf *p = r->p;
	uint64_t unit;

	if (r->phase != PHASE_MEASURE || p->rw == PERF_READ || p->rw == PERF_WRITE) {
		unit = r->next_unit;
		r->next_unit = unit + 1 < p->units ? unit + 1 : 0;
	} else {
		unit = (uint64_t)((unsigned __int128)random_next(r) * p->units >> 64);
	}
	s->unit = p->first + (r->busy ? pick_free(r, unit) : unit);
	if (r->phase != PHASE_MEASURE)
		s->is_write = r->phase == PHASE_FILL;
	else if (p->rw == PERF_RANDRW)
		s->is_write = (random_next(r) >> 32) % 100 >= p->read_percent;
	else
		s->is_write = p->rw == PERF_WRITE || p->rw == PERF_RANDWRITE;
	if (s->is_write && p->verify)
		s->generation = perf_verify_fill(&p->pattern, s->buf, s->unit);
}

static void slot_error(struct run *r, struct slot *s)
{
	if (!r->errors++)
		perf_io_fail(&r->io, &s->op, s->is_write, s->unit * r->p->bs);
}

static void completed(struct nvio_op *op);

static void submit_next(struct run *r, struct slot *s, uint64_t now)
{
	struct perf *p = r->p;

	if (r->stop || !r->left || (r->left == CLI_UNSET && now >= r->end_ns))
		return;
	pick(r, s);
	if (p->verify && s->is_write)
		now = progress_now_ns(); /* making the pattern is not the drive's time */
	s->begin_ns = now;
	s->op = cli_dev_op(completed);
	if (perf_io_submit(&r->io, s->is_write, s->buf, s->unit * p->bs, p->bs, &s->op)) {
		slot_error(r, s);
		r->stop = true;
		return;
	}
	r->in_flight++;
	if (r->left != CLI_UNSET)
		r->left--;
}

/* What a failed write has left behind nobody knows, so its unit is not looked at any more. */
static void verify_completed(struct run *r, struct slot *s)
{
	struct perf_verify *v = &r->p->pattern;
	uint64_t unit = s->unit - r->p->first;

	r->busy[unit / 8] &= (uint8_t) ~(1u << unit % 8);
	if (s->is_write)
		v->generation[unit] = s->op.status ? 0 : s->generation;
	else if (!s->op.status)
		perf_verify_check(v, s->buf, s->unit);
}

static void completed(struct nvio_op *op)
{
	struct slot *s = (struct slot *)((char *)op - offsetof(struct slot, op));
	struct run *r = s->run;
	struct perf *p = r->p;
	uint64_t now = progress_now_ns();

	r->in_flight--;
	if (op->status)
		slot_error(r, s);
	if (r->phase == PHASE_MEASURE && !op->status) {
		nvio_histogram_add(&p->latency, now - s->begin_ns);
		p->done++;
		p->reads += !s->is_write;
		p->writes += s->is_write;
	}
	if (r->busy) {
		verify_completed(r, s);
		now = progress_now_ns();
	}
	/* A device that is gone fails each I/O at once; going on would only count. */
	if (op->status == -ENODEV)
		r->stop = true;
	submit_next(r, s, now);
}

/* Runs a phase to its end; the seconds it took. */
static double run_phase(struct run *r, enum phase phase, uint64_t ios)
{
	uint64_t begin = progress_now_ns();

	r->phase = phase;
	r->left = ios;
	r->next_unit = 0;
	r->end_ns = begin + (uint64_t)(r->p->time_s * 1e9);
	for (uint32_t i = 0; i < r->p->depth; i++)
		submit_next(r, &r->slots[i], progress_now_ns());
	while (r->in_flight)
		perf_io_poll(&r->io);
	return (double)(progress_now_ns() - begin) / 1e9;
}

/* ---- buffers ---- */

static bool is_foreign(const struct perf *p)
{
	return p->buffers != PERF_BUFFERS_DMA;
}

static int buffers_make(struct run *r)
{
	struct perf *p = r->p;

	/* A misaligned buffer keeps its distance from the next page's beginning, so each has pages of its own. */
	r->stride = p->misalign ? ((size_t)p->misalign + p->bs + 4095) / 4096 * 4096 : p->bs;
	r->memory_size = (r->stride * p->depth + 4095) / 4096 * 4096;
	if (!is_foreign(p)) {
		r->memory = nvio_mem_alloc_zeroed(p->target->env, r->memory_size, 0);
		return r->memory ? CLI_OK : cli_fail("%s", nvio_errmsg());
	}
	r->memory = mmap(NULL, r->memory_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (r->memory == MAP_FAILED) {
		r->memory = NULL;
		return cli_fail("out of memory");
	}
	if (p->buffers == PERF_BUFFERS_REGISTERED && nvio_mem_register(p->target->env, r->memory, r->memory_size)) {
		cli_fail("%s", nvio_errmsg());
		munmap(r->memory, r->memory_size);
		r->memory = NULL;
		return CLI_FAILED;
	}
	return CLI_OK;
}

static void buffers_free(struct run *r)
{
	struct perf *p = r->p;

	if (!r->memory)
		return;
	if (!is_foreign(p)) {
		nvio_mem_free(p->target->env, r->memory);
		return;
	}
	if (p->buffers == PERF_BUFFERS_REGISTERED)
		nvio_mem_unregister(p->target->env, r->memory, r->memory_size);
	munmap(r->memory, r->memory_size);
}

static int run_init(struct run *r)
{
	struct perf *p = r->p;

	r->random = p->seed | 1;
	r->slots = calloc(p->depth, sizeof(*r->slots));
	if (buffers_make(r))
		return CLI_FAILED;
	r->busy = p->verify ? calloc(1, p->units / 8 + 1) : NULL;
	if (!r->slots || (p->verify && !r->busy))
		return cli_fail("out of memory");
	for (uint32_t i = 0; i < p->depth; i++) {
		r->slots[i].run = r;
		r->slots[i].buf = r->memory + (size_t)i * r->stride + p->misalign;
	}
	/* Zeros are what some drives leave out. */
	for (size_t i = 0; i < r->memory_size; i += sizeof(uint64_t)) {
		uint64_t word = random_next(r);

		memcpy(r->memory + i, &word, sizeof(word));
	}
	return CLI_OK;
}

static void run_fini(struct run *r)
{
	buffers_free(r);
	free(r->slots);
	free(r->busy);
}

/* What one OS thread does, on its share of the region. */
struct worker {
	struct perf p;
	pthread_t thread;
	struct start *start;
	int status;
};

/* Where the OS threads meet before the measurement. */
struct start {
	pthread_mutex_t lock;
	pthread_cond_t all_here;
	uint32_t missing; /* lock; how many are still to come */
	bool failed;	  /* lock; somebody could not get ready: nobody measures */
};

static void arrive(struct start *s, uint32_t count, bool failed)
{
	s->failed |= failed;
	s->missing -= count;
	if (!s->missing)
		pthread_cond_broadcast(&s->all_here);
}

static bool all_ready(struct worker *w)
{
	struct start *s = w->start;
	bool ready;

	if (!s)
		return !w->status;
	pthread_mutex_lock(&s->lock);
	arrive(s, 1, w->status);
	while (s->missing)
		pthread_cond_wait(&s->all_here, &s->lock);
	ready = !s->failed;
	pthread_mutex_unlock(&s->lock);
	return ready;
}

static void worker_run(struct worker *w)
{
	struct perf *p = &w->p;
	struct run r = { .p = p };

	w->status = perf_io_open(&r.io, p->target, w->start);
	r.io.wait = p->wait;
	if (w->status) {
		all_ready(w);
		return;
	}
	w->status = run_init(&r);
	if (!w->status && p->verify && p->rw != PERF_WRITE && p->rw != PERF_RANDWRITE)
		run_phase(&r, PHASE_FILL, p->units);
	if (all_ready(w)) {
		p->elapsed_s = run_phase(&r, PHASE_MEASURE, p->ios);
		if (p->verify && !r.stop)
			run_phase(&r, PHASE_CHECK, p->units);
	}
	p->errors = r.errors;
	p->sleeps = r.io.sleeps;
	run_fini(&r);
	perf_io_close(&r.io);
}

static void *worker_main(void *arg)
{
	worker_run(arg);
	return NULL;
}

/* Its part of the region, of the I/Os and of the random numbers. */
static int worker_init(struct worker *w, const struct perf *p, uint32_t number, struct start *start)
{
	uint64_t first = p->units * number / p->threads;

	w->p = *p;
	w->start = start;
	w->p.first = first;
	w->p.units = p->units * (number + 1) / p->threads - first;
	w->p.seed = p->seed + number;
	if (p->ios != CLI_UNSET)
		w->p.ios = p->ios * (number + 1) / p->threads - p->ios * number / p->threads;
	return p->verify ? perf_verify_init(&w->p.pattern, &w->p) : CLI_OK;
}

static void merge(struct perf *p, const struct worker *w)
{
	p->elapsed_s = w->p.elapsed_s > p->elapsed_s ? w->p.elapsed_s : p->elapsed_s;
	p->done += w->p.done;
	p->reads += w->p.reads;
	p->writes += w->p.writes;
	p->errors += w->p.errors;
	p->sleeps += w->p.sleeps;
	p->pattern.mismatches += w->p.pattern.mismatches;
	nvio_histogram_merge(&p->latency, &w->p.latency);
}

/* All of them on OS threads of their own, or the only one on this. */
static int run_workers(struct worker *workers, uint32_t count, struct start *start)
{
	uint32_t started = 0;
	int status = CLI_OK;

	if (!start) {
		worker_run(workers);
		return workers->status;
	}
	while (started < count && !pthread_create(&workers[started].thread, NULL, worker_main, &workers[started]))
		started++;
	if (started < count) {
		status = cli_fail("the system gives no more than %" PRIu32 " threads", started);
		pthread_mutex_lock(&start->lock);
		arrive(start, count - started, true);
		pthread_mutex_unlock(&start->lock);
	}
	for (uint32_t i = 0; i < started; i++) {
		pthread_join(workers[i].thread, NULL);
		status = workers[i].status ? workers[i].status : status;
	}
	return status;
}

int perf_run(struct perf *p)
{
	struct start start = { .lock = PTHREAD_MUTEX_INITIALIZER, .all_here = PTHREAD_COND_INITIALIZER, .missing = p->threads };
	struct worker *workers = calloc(p->threads, sizeof(*workers));
	int status = workers ? CLI_OK : cli_fail("out of memory");

	for (uint32_t i = 0; !status && i < p->threads; i++)
		status = worker_init(&workers[i], p, i, p->threads > 1 ? &start : NULL);
	if (!status)
		status = run_workers(workers, p->threads, p->threads > 1 ? &start : NULL);
	for (uint32_t i = 0; workers && i < p->threads; i++) {
		merge(p, &workers[i]);
		perf_verify_fini(&workers[i].p.pattern);
	}
	free(workers);
	if (p->errors > 1)
		cli_note("%" PRIu64 " I/Os failed; the first one is told above", p->errors);
	if (status)
		return status;
	if (p->errors)
		return CLI_FAILED;
	return p->pattern.mismatches ? CLI_DIFFERS : CLI_OK;
}
