/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Load on the raw driver: reads and writes on a namespace of a software drive, one queue pair, callbacks,
 * polled.
 */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nvio/nvme.h>

struct nvme_io {
	struct nvio_op op;
	struct nvme_load *l;
	void *buf;
	uint64_t begin_ns;
};

struct nvme_load {
	struct load l;
	struct nvio_ns *ns;
	struct nvio_qpair *qp;
	struct nvio_env *env;
	struct nvio_ctrlr *ctrlr;
	uint32_t nblocks;
	uint8_t *memory;
	struct nvme_io ios[LOAD_MAX_DEPTH];
};

/* Inlined where it is called, or the benchmark would count its own calls. */
static inline __attribute__((always_inline)) void submit(struct nvme_load *l, struct nvme_io *io)
{
	uint64_t lba = load_next_unit(&l->l) * l->nblocks;
	int rc;

	l->l.issued++;
	if (l->l.write)
		rc = nvio_ns_write(l->ns, l->qp, io->buf, lba, l->nblocks, &io->op);
	else
		rc = nvio_ns_read(l->ns, l->qp, io->buf, lba, l->nblocks, &io->op);
	if (rc)
		load_die("submit", rc);
}

static void on_done(struct nvio_op *op)
{
	struct nvme_io *io = op->arg;
	struct nvme_load *l = io->l;

	if (op->status)
		load_die(nvio_op_strerror(op), op->status);
	l->l.completed++;
	if (l->l.issued < l->l.limit)
		submit(l, io);
}

static void on_done_timed(struct nvio_op *op)
{
	struct nvme_io *io = op->arg;
	struct nvme_load *l = io->l;
	uint64_t now = load_now_ns();

	if (op->status)
		load_die(nvio_op_strerror(op), op->status);
	nvio_histogram_add(l->l.latency, now - io->begin_ns);
	l->l.completed++;
	if (l->l.issued < l->l.limit) {
		io->begin_ns = load_now_ns();
		submit(l, io);
	}
}

static void nvme_run(struct load *load)
{
	struct nvme_load *l = (struct nvme_load *)load;
	int rc;

	for (unsigned i = 0; i < load->depth && load->issued < load->limit; i++) {
		l->ios[i].begin_ns = load_now_ns();
		submit(l, &l->ios[i]);
	}
	while (load_goes_on(load)) {
		rc = nvio_qpair_poll(l->qp, 0);
		if (rc < 0)
			load_die("poll", rc);
	}
}

/* Each page of a RAM drive is there beforehand: this is about queues and copying, not about the first touch. */
static void touch_all(struct nvme_load *l)
{
	struct nvio_op op = NVIO_OP(NULL);
	int rc;

	for (uint64_t unit = 0; unit <= l->l.mask; unit++) {
		rc = nvio_await(nvio_ns_write(l->ns, l->qp, l->memory, unit * l->nblocks, l->nblocks, &op), &op);
		if (rc)
			load_die("fill", rc);
	}
}

static struct load *nvme_open(const struct load_opts *opts)
{
	struct nvme_load *l = calloc(1, sizeof(*l));
	char trid[256];
	int rc;

	if (!l)
		load_die("memory", -ENOMEM);
	snprintf(trid, sizeof(trid), "loop:%s", opts->what);
	rc = nvio_env_open(NULL, &l->env);
	if (rc)
		load_die("environment", rc);
	rc = nvio_connect(l->env, trid, NULL, &l->ctrlr);
	if (rc)
		load_die(trid, rc);
	l->ns = nvio_ctrlr_ns(l->ctrlr, 1);
	if (!l->ns)
		load_die(trid, -ENODEV);
	rc = nvio_qpair_alloc(l->ctrlr, NULL, &l->qp);
	if (rc)
		load_die(trid, rc);
	load_init(&l->l, opts, nvio_ns_size_bytes(l->ns));
	l->nblocks = LOAD_IO / nvio_ns_block_size(l->ns);
	l->memory = nvio_mem_alloc_zeroed(l->env, (size_t)opts->depth * LOAD_IO, LOAD_IO);
	if (!l->memory)
		load_die("buffers", -ENOMEM);
	for (unsigned i = 0; i < opts->depth; i++)
		l->ios[i] = (struct nvme_io){
			.op = { .done = opts->latency ? on_done_timed : on_done, .arg = &l->ios[i] },
			.l = l,
			.buf = l->memory + (size_t)i * LOAD_IO,
		};
	if (!strncmp(opts->what, "ram:", 4))
		touch_all(l);
	return &l->l;
}

static void nvme_close(struct load *load)
{
	struct nvme_load *l = (struct nvme_load *)load;

	nvio_qpair_free(l->qp);
	nvio_ctrlr_close(l->ctrlr);
	nvio_mem_free(l->env, l->memory);
	nvio_env_close(l->env);
	free(l);
}

const struct load_kind load_nvme = {
	.name = "nvme",
	.open = nvme_open,
	.run = nvme_run,
	.close = nvme_close,
};
